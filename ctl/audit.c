#include "common/control.h"
#include "ctl/client.h"
#include "ctl/output.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES_DEFAULT "100"

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
	json_t *request = client_request("audit", name);
	json_object_set_new(request, "lines", json_integer(atoi(lines)));
	json_object_set_new(
		request, "follow", json_boolean(invocation->options[OPTION_FOLLOW] != NULL));
	json_object_set_new(
		request, "denied", json_boolean(invocation->options[OPTION_DENIED] != NULL));
	bool some = false;
	code = client_call(invocation, request, NULL, 0, show, &some, NULL);
	if (code == 0 && !some)
		say_nothing_found(invocation, name);
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
