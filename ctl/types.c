#include "ctl/command.h"

#include "common/control.h"

#include <stdio.h>

/* The file itself, so that no version of tenantctl prints another's. */
static const char text[] = {
#ifdef __clang__
#pragma clang diagnostic ignored "-Wc23-extensions"
#endif
#embed "../isolate/types/tenantd.d.ts"
};

static int run(const struct invocation *invocation)
{
	(void)invocation;
	if (fwrite(text, 1, sizeof text, stdout) != sizeof text || fflush(stdout) != 0)
		return CONTROL_EXIT_FAILURE;
	return CONTROL_EXIT_OK;
}

const struct command command_types = {
	.name = "types",
	.group = GROUP_ABOUT,
	.arguments = "",
	.summary = "print the types of what programs find, for TypeScript",
	.details = "tenantctl types > tenantd.d.ts, beside the program's sources.\n",
	.run = run,
};
