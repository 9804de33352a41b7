#include "common/cleanup.h"
#include "common/control.h"
#include "ctl/client.h"
#include "ctl/output.h"

#include <stdio.h>

/* Asks the daemon. NULL, with the reason, when there is none: no error here. */
static json_t *ask_daemon(const struct invocation *invocation, struct error *error)
{
	cleanup_close int fd = -1;
	json_t *request = client_request("version", NULL), *answer = NULL;
	int result = client_connect(invocation, &fd, error);
	if (result == 0)
		result = client_send(fd, request, NULL, 0, error);
	if (result == 0)
		result = client_receive(fd, 0, &answer, error);
	json_decref(request);
	if (result < 0)
		return NULL;
	json_t *done = json_incref(json_object_get(answer, "done"));
	if (!done)
		error_set(error, EPROTO, "%s",
			output_string(json_object_get(answer, "error"), "message"));
	json_decref(answer);
	return done;
}

static int run(const struct invocation *invocation)
{
	struct error error = {0};
	json_t *daemon = ask_daemon(invocation, &error);
	json_t *result = json_pack("{s:{s:s, s:i}, s:O?}", "tenantctl", "version", TENANTD_VERSION,
		"schema", CONTROL_SCHEMA, "tenantd", daemon);
	if (!daemon)
		output_result(result, "tenantctl %s\ntenantd   unknown: %s", TENANTD_VERSION,
			error.message);
	else
		output_result(result, "tenantctl %s\ntenantd   %s, pid %lld%s%s%s%s",
			TENANTD_VERSION, output_string(daemon, "version"),
			(long long)output_integer(daemon, "pid"),
			output_string(daemon, "engine")[0] ? ", " : "",
			output_string(daemon, "engine"),
			output_string(daemon, "tier")[0] ? ", tier " : "",
			output_string(daemon, "tier"));
	json_decref(daemon);
	return CONTROL_EXIT_OK;
}

const struct command command_version = {
	.name = "version",
	.group = GROUP_ABOUT,
	.arguments = "",
	.summary = "show the versions of tenantctl and of the daemon",
	.details = "Exits with 0 also when no daemon can be reached.\n",
	.run = run,
};
