#include "ctl/transition.h"

static int run(const struct invocation *invocation)
{
	return transition_run(invocation, "start");
}

const struct command command_start = {
	.name = "start",
	.group = GROUP_CONTROL,
	.arguments = "NAME",
	.summary = "start a tenant that is stopped or has failed",
	.details = "Waits until the tenant is ready. A tenant that runs already is left alone, "
		   "which is "
		   "no error. Earlier failures are forgotten, so that a tenant which has given up "
		   "tries again.\n",
	.options = OPTION_BIT(OPTION_TIMEOUT) | OPTION_BIT(OPTION_NO_WAIT),
	.arguments_least = 1,
	.arguments_most = 1,
	.kinds = {ARGUMENT_TENANT},
	.run = run,
};
