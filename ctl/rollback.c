#include "common/clock.h"
#include "ctl/client.h"
#include "ctl/outcome.h"

#include <jansson.h>

static int run(const struct invocation *invocation)
{
	const char *name = invocation->arguments[0];
	const uint64_t begin_ns = clock_ns();
	int code = client_check_name(name);
	if (code)
		return code;
	json_t *request = client_request("rollback", name);
	if (invocation->argument_count > 1)
		json_object_set_new(request, "release", json_string(invocation->arguments[1]));
	code = client_put_wait(invocation, request);
	if (!code)
		code = outcome_put_options(invocation, request);
	if (code) {
		json_decref(request);
		return code;
	}
	return outcome_run(invocation, request, -1, begin_ns);
}

const struct command command_rollback = {
	.name = "rollback",
	.group = GROUP_DEPLOY,
	.arguments = "NAME [RELEASE]",
	.summary = "go back to an earlier release of a tenant",
	.details =
		"To the last one that was good and was not rolled back itself, or to RELEASE: its "
		"id, or the beginning of it. It is still in the store, and takes over as a new "
		"one does: without a request that is lost, and only when it is ready. The "
		"policy stays as it is. While a canary serves, `rollback NAME` ends that.\n",
	.options = OPTION_BIT(OPTION_MESSAGE) | OPTION_BIT(OPTION_TIMEOUT) |
		   OPTION_BIT(OPTION_WAIT) | OPTION_BIT(OPTION_MIN_HEALTHY),
	.arguments_least = 1,
	.arguments_most = 2,
	.kinds = {ARGUMENT_TENANT, ARGUMENT_RELEASE},
	.run = run,
};
