#include "ctl/transition.h"

static int run(const struct invocation *invocation)
{
	return transition_run(invocation, "restart");
}

const struct command command_restart = {
	.name = "restart",
	.group = GROUP_CONTROL,
	.arguments = "NAME",
	.summary = "start a tenant anew, without closing its ports",
	.details = "A new process of the same release starts beside the old one and takes over "
		   "when it "
		   "is ready; if it does not become ready, the old one goes on. A tenant that is "
		   "stopped is started.\n",
	.options = OPTION_BIT(OPTION_TIMEOUT) | OPTION_BIT(OPTION_NO_WAIT),
	.arguments_least = 1,
	.arguments_most = 1,
	.kinds = {ARGUMENT_TENANT},
	.run = run,
};
