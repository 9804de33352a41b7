#include "ctl/client.h"
#include "ctl/output.h"

#include <jansson.h>

static int run(const struct invocation *invocation)
{
	json_t *done = NULL;
	int code = client_call(
		invocation, client_request("daemon-reexec", NULL), NULL, 0, NULL, NULL, &done);
	if (code)
		return code;
	const long long renewed = output_integer(done, "renewed");
	output_result(json_incref(done),
		"tenantd %s took over from %s, pid %lld: %lld tenants go on, %lld started anew, "
		"%.0f ms",
		output_string(done, "version"), output_string(done, "from"),
		(long long)output_integer(done, "pid"), (long long)output_integer(done, "adopted"),
		renewed, json_real_value(json_object_get(done, "ms")));
	json_decref(done);
	return 0;
}

const struct command command_daemon_reexec = {
	.name = "daemon-reexec",
	.group = GROUP_CONTROL,
	.arguments = "",
	.summary = "replace the daemon's program, while tenants go on",
	.details = "The program that is at the daemon's path now takes over: after an upgrade, "
		   "say. It is asked first whether it can; if not, nothing happens. Deployments, "
		   "starts and programs of tenants that are under way are waited for, at most "
		   "10 s; a canary, or a `tenantctl run`, must have come to its end. Requests of "
		   "tenants are served all the while, and no worker is restarted. Who follows "
		   "logs, events or audit records goes on.\n",
	.run = run,
};
