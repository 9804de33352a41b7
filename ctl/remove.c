#include "common/control.h"
#include "ctl/client.h"
#include "ctl/output.h"

#include <stdio.h>
#include <unistd.h>

/* Returns 0 to go on, or an exit code. */
static int ask(const char *name)
{
	if (!isatty(STDIN_FILENO))
		return output_fail(CONTROL_EXIT_USAGE, "usage",
			"removing %s cannot be undone: say --yes where nobody can be asked", name);
	char answer[16] = "";
	fprintf(stderr, "Remove %s, with its log and its releases? [y/N] ", name);
	if (fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
		return 0;
	return output_fail(CONTROL_EXIT_FAILURE, "cancelled", "%s was not removed", name);
}

static int run(const struct invocation *invocation)
{
	const char *name = invocation->arguments[0];
	int code = client_check_name(name);
	if (code == 0 && !invocation->options[OPTION_YES])
		code = ask(name);
	if (code == 0)
		code = client_call(
			invocation, client_request("remove", name), NULL, 0, NULL, NULL, NULL);
	if (code == 0) {
		output_result(json_pack("{s:s}", "removed", name), "%s is removed", name);
	}
	return code;
}

const struct command command_remove = {
	.name = "remove",
	.alias = "rm",
	.group = GROUP_DEPLOY,
	.arguments = "NAME",
	.summary = "stop a tenant and forget it",
	.details = "The tenant drains and ends; then its log and its releases are removed. Its "
		   "policy file is the operator's and stays: it holds again for whatever is "
		   "deployed under that name. Asks first, unless --yes is given.\n",
	.options = OPTION_BIT(OPTION_YES),
	.arguments_least = 1,
	.arguments_most = 1,
	.kinds = {ARGUMENT_TENANT},
	.run = run,
};
