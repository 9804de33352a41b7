#include "common/control.h"
#include "ctl/client.h"
#include "ctl/output.h"

#include <stdlib.h>
#include <string.h>

#define LINES_DEFAULT "100"

static void show(const json_t *item, void *data)
{
	(void)data;
	output->event_line(item);
}

static int run(const struct invocation *invocation)
{
	const char *name = invocation->argument_count ? invocation->arguments[0] : NULL;
	const char *lines = invocation->options[OPTION_LINES];
	if (!lines)
		lines = LINES_DEFAULT;
	size_t length = strlen(lines);
	int code = name ? client_check_name(name) : 0;
	if (code)
		return code;
	if (length == 0 || length > 7 || strspn(lines, "0123456789") != length)
		return output_fail(CONTROL_EXIT_USAGE, "usage",
			"--lines: `%s` is no number between 0 and 9999999", lines);
	json_t *request = client_request("events", name);
	json_object_set_new(request, "lines", json_integer(atoi(lines)));
	json_object_set_new(
		request, "follow", json_boolean(invocation->options[OPTION_FOLLOW] != NULL));
	return client_call(invocation, request, NULL, 0, show, NULL, NULL);
}

const struct command command_events = {
	.name = "events",
	.group = GROUP_LOOK,
	.arguments = "[NAME]",
	.summary = "show what happened to a tenant, or to all",
	.details = "Each change of a tenant's state, and what befell its instances, with the "
		   "reason: exit, signal, oom, cpu-limit, heap-limit, seccomp, boot-failed, "
		   "probe-failed, operator, deploy, auto-rollback, retired, idle and others. The "
		   "daemon keeps the last 1000 since its own start.\n"
		   "With --json each line is one object: time, tenant, event, from, to, reason, "
		   "message, release, pid. With --plain the fields come in this order.\n",
	.options = OPTION_BIT(OPTION_FOLLOW) | OPTION_BIT(OPTION_LINES),
	.arguments_most = 1,
	.kinds = {ARGUMENT_TENANT},
	.run = run,
};
