#include "ctl/transition.h"

static int run(const struct invocation *invocation)
{
	return transition_run(invocation, "reset");
}

const struct command command_reset = {
	.name = "reset",
	.group = GROUP_CONTROL,
	.arguments = "NAME",
	.summary = "forget a tenant's failures",
	.details = "A tenant that ended too often (crashloop), failed, or waits for its next try "
		   "(backoff) starts at once, and its delays begin anew. Waits until it is ready. "
		   "Of any other tenant only the failures are forgotten.\n",
	.options = OPTION_BIT(OPTION_TIMEOUT) | OPTION_BIT(OPTION_NO_WAIT),
	.arguments_least = 1,
	.arguments_most = 1,
	.kinds = {ARGUMENT_TENANT},
	.run = run,
};
