#include "common/cleanup.h"
#include "common/control.h"
#include "ctl/command.h"
#include "ctl/output.h"
#include "policy/manifest.h"
#include "policy/policy.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* Reads and checks PATH. The canonical text is the caller's to free. */
static int check(const char *path, char **ret_text, struct error *error)
{
	const char *slash = strrchr(path, '/');
	if (strcmp(slash ? slash + 1 : path, MANIFEST_FILE) == 0) {
		/* manifest_read takes a missing file for the defaults. */
		if (access(path, R_OK) < 0)
			return error_errno(error, errno, "cannot open %s", path);
		struct manifest *manifest = NULL;
		int result = manifest_read(AT_FDCWD, path, &manifest, error);
		if (result == 0)
			*ret_text = manifest_print(manifest);
		manifest_free(manifest);
		return result;
	}
	struct policy *policy = NULL;
	int result = policy_read(AT_FDCWD, path, &policy, error);
	if (result == 0)
		*ret_text = policy_print(policy);
	policy_free(policy);
	return result;
}

static int run(const struct invocation *invocation)
{
	const char *path = invocation->arguments[0];
	struct error error = {0};
	cleanup_free char *text = NULL;
	if (check(path, &text, &error) < 0)
		return output_fail(CONTROL_EXIT_FAILURE, "invalid", "%s", error.message);
	if (!text)
		return output_fail(CONTROL_EXIT_FAILURE, "memory", "out of memory");
	if (invocation->options[OPTION_JSON])
		fputs(text, stdout); /* just the form that can be fed back */
	else
		output_result(json_object(), "%s is valid", path);
	return CONTROL_EXIT_OK;
}

const struct command command_check = {
	.name = "check",
	.group = GROUP_RUN,
	.arguments = "FILE",
	.summary = "check a policy file, or a tenant.json",
	.details =
		"Needs no daemon. Every problem is told with file, line, column and the place in "
		"the document. With --json the canonical form of the file is printed, with all "
		"defaults, which reads back as the same policy.\n",
	.arguments_least = 1,
	.arguments_most = 1,
	.kinds = {ARGUMENT_PATH},
	.run = run,
};
