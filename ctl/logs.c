#include "ctl/client.h"
#include "ctl/output.h"

static void show(const json_t *item, void *data)
{
	(void)data;
	output->log_line(item);
}

static int run(const struct invocation *invocation)
{
	json_t *request;
	int code = client_request_lines(invocation, "logs", &request);
	return code ? code : client_call(invocation, request, NULL, 0, show, NULL, NULL);
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
