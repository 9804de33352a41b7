#include "ctl/transition.h"

static int run(const struct invocation *invocation)
{
	return transition_run(invocation, "stop");
}

const struct command command_stop = {
	.name = "stop",
	.group = GROUP_CONTROL,
	.arguments = "NAME",
	.summary = "stop a tenant; it stays deployed",
	.details = "The tenant stops to accept connections, finishes the requests that it has, and "
		   "ends, at the latest after its grace time. It stays stopped, also over a "
		   "restart of tenantd, until it is started or deployed again.\n",
	.options = OPTION_BIT(OPTION_TIMEOUT) | OPTION_BIT(OPTION_NO_WAIT),
	.arguments_least = 1,
	.arguments_most = 1,
	.kinds = {ARGUMENT_TENANT},
	.run = run,
};
