#include "common/control.h"
#include "ctl/client.h"
#include "ctl/output.h"

#include <stdlib.h>
#include <string.h>

#define LINES_DEFAULT "100"

static void show(const json_t *item, void *data)
{
	(void)data;
	output->log_line(item);
}

static int run(const struct invocation *invocation)
{
	const char *name = invocation->arguments[0];
	const char *lines = invocation->options[OPTION_LINES];
	if (!lines)
		lines = LINES_DEFAULT;
	size_t length = strlen(lines);
	int code = client_check_name(name);
	if (code)
		return code;
	if (length == 0 || length > 7 || strspn(lines, "0123456789") != length)
		return output_fail(CONTROL_EXIT_USAGE, "usage",
			"--lines: `%s` is no number between 0 and 9999999", lines);
	json_t *request = client_request("logs", name);
	json_object_set_new(request, "lines", json_integer(atoi(lines)));
	json_object_set_new(
		request, "follow", json_boolean(invocation->options[OPTION_FOLLOW] != NULL));
	return client_call(invocation, request, NULL, 0, show, NULL, NULL);
}

const struct command command_logs = {
	.name = "logs",
	.group = GROUP_LOOK,
	.arguments = "NAME",
	.summary = "show what a tenant wrote",
	.details =
		"One line each: the time, where it was written to, the text. What could harm a "
		"terminal is escaped.\n"
		"With --json each line is one object: time, stream, line. With --plain the three "
		"are separated by tabs.\n",
	.options = OPTION_BIT(OPTION_FOLLOW) | OPTION_BIT(OPTION_LINES),
	.arguments_least = 1,
	.arguments_most = 1,
	.kinds = {ARGUMENT_TENANT},
	.run = run,
};
