#include "ctl/client.h"
#include "ctl/output.h"

#include <stdbool.h>
#include <stdio.h>

static void show(const json_t *item, void *data)
{
	*(bool *)data = true;
	output->audit_line(item);
}

/* For people, whom silence would leave in doubt; a name may be that of a run. */
static void say_nothing_found(const struct invocation *invocation, const char *name)
{
	if (invocation->options[OPTION_JSON] || invocation->options[OPTION_PLAIN])
		return;
	fprintf(stderr, "there are no %s%s%s\n",
		invocation->options[OPTION_DENIED] ? "denials" : "records", name ? " of " : "",
		name ? name : "");
}

static int run(const struct invocation *invocation)
{
	json_t *request;
	bool some = false;
	int code = client_request_lines(invocation, "audit", &request);
	if (code)
		return code;
	json_object_set_new(
		request, "denied", json_boolean(invocation->options[OPTION_DENIED] != NULL));
	code = client_call(invocation, request, NULL, 0, show, &some, NULL);
	if (code == 0 && !some)
		say_nothing_found(
			invocation, invocation->argument_count ? invocation->arguments[0] : NULL);
	return code;
}

const struct command command_audit = {
	.name = "audit",
	.group = GROUP_LOOK,
	.arguments = "[NAME]",
	.summary = "show what was denied to a tenant, or to all",
	.details = "What is recorded is up to the policy: \"audit\": \"denied\" (the default), "
		   "\"all\" "
		   "or \"off\". A line says which layer decided: mount, landlock, seccomp, egress, "
		   "cgroup, supervisor or engine. A tenant that asks too often is cut short: "
		   "\"records dropped\".\n"
		   "With --json each line is one object: time, tenant, release, pid, permission, "
		   "resource, result, layer, detail. With --plain the fields are: time, tenant, "
		   "result, permission, resource, layer, detail.\n",
	.options = OPTION_BIT(OPTION_FOLLOW) | OPTION_BIT(OPTION_LINES) | OPTION_BIT(OPTION_DENIED),
	.arguments_most = 1,
	.kinds = {ARGUMENT_TENANT},
	.run = run,
};
