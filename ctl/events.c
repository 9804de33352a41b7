#include "ctl/client.h"
#include "ctl/output.h"

static void show(const json_t *item, void *data)
{
	(void)data;
	output->event_line(item);
}

static int run(const struct invocation *invocation)
{
	json_t *request;
	int code = client_request_lines(invocation, "events", &request);
	return code ? code : client_call(invocation, request, NULL, 0, show, NULL, NULL);
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
