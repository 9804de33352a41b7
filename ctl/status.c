#include "common/cleanup.h"
#include "common/control.h"
#include "ctl/client.h"
#include "ctl/output.h"

#include <string.h>

#define LOG_LINES 10

static void collect(const json_t *item, void *data)
{
	json_array_append(data, (json_t *)item);
}

/* While a release replaces another, the old one does; and one that sleeps would, if it were
 * asked. */
static bool serves(const char *state)
{
	static const char *const states[] = {"running", "replacing", "proving", "canary", "idle"};
	for (size_t i = 0; i < ARRAY_LENGTH(states); i++)
		if (strcmp(state, states[i]) == 0)
			return true;
	return false;
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
		if (!serves(state))
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
