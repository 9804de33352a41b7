#include "common/control.h"
#include "ctl/client.h"
#include "ctl/output.h"

#include <string.h>

#define LOG_LINES 10

static void collect(const json_t *item, void *data)
{
	json_array_append(data, (json_t *)item);
}

static int run(const struct invocation *invocation)
{
	const char *name = invocation->arguments[0];
	json_t *done = NULL, *lines = json_array();
	int code = client_check_name(name);
	if (code == 0)
		code = client_call(
			invocation, client_request("status", name), NULL, 0, NULL, NULL, &done);
	if (code == 0) {
		json_t *request = client_request("logs", name);
		json_object_set_new(request, "lines", json_integer(LOG_LINES));
		json_object_set_new(request, "follow", json_false());
		code = client_call(invocation, request, NULL, 0, collect, lines, NULL);
	}
	if (code == 0) {
		const json_t *tenant = client_tenant(done);
		const char *state = output_string(tenant, "state");
		output->tenant(tenant, lines);
		/* While a release replaces another, the old one serves. */
		if (strcmp(state, "running") != 0 && strcmp(state, "replacing") != 0)
			code = CONTROL_EXIT_NOT_RUNNING;
	}
	json_decref(lines);
	json_decref(done);
	return code;
}

const struct command command_status = {
	.name = "status",
	.group = GROUP_LOOK,
	.arguments = "NAME",
	.summary = "show one tenant, and the end of its log",
	.details = "Exits with 0 if the tenant serves, 3 if it does not, 4 if there is no such "
		   "tenant.\n",
	.arguments_least = 1,
	.arguments_most = 1,
	.kinds = {ARGUMENT_TENANT},
	.run = run,
};
