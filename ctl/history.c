#include "common/cleanup.h"
#include "ctl/client.h"
#include "ctl/output.h"

#include <stdio.h>
#include <string.h>

static void collect(const json_t *item, void *data)
{
	json_array_append(data, (json_t *)item);
}

static void copy(char text[OUTPUT_CELL_MAX], const json_t *row, const char *key)
{
	output_safe(text, OUTPUT_CELL_MAX, output_string(row, key));
}

static void when(char text[OUTPUT_CELL_MAX], const json_t *row)
{
	copy(text, row, "time");
}

static void tenant(char text[OUTPUT_CELL_MAX], const json_t *row)
{
	copy(text, row, "tenant");
}

static void action(char text[OUTPUT_CELL_MAX], const json_t *row)
{
	copy(text, row, "action");
}

static void result(char text[OUTPUT_CELL_MAX], const json_t *row)
{
	copy(text, row, "result");
}

static void by(char text[OUTPUT_CELL_MAX], const json_t *row)
{
	const json_t *who = json_object_get(row, "by");
	char login[64], user[64], command[64];
	if (!json_is_object(who)) {
		snprintf(text, OUTPUT_CELL_MAX, "tenantd");
		return;
	}
	output_safe(login, sizeof login, output_string(who, "login"));
	output_safe(user, sizeof user, output_string(who, "user"));
	output_safe(command, sizeof command, output_string(who, "command"));
	snprintf(text, OUTPUT_CELL_MAX, "%s%s%s(%lld) %s[%lld]", login, login[0] ? " as " : "",
		user, (long long)output_integer(who, "uid"), command,
		(long long)output_integer(who, "pid"));
}

/* "3f2a… -> 91bc…": what served before and after. */
static void change(char text[OUTPUT_CELL_MAX], const json_t *row)
{
	char from[64], to[64];
	output_safe(from, 13, output_string(row, "from"));
	output_safe(to, 13, output_string(row, "to"));
	if (strcmp(from, to) == 0)
		snprintf(text, OUTPUT_CELL_MAX, "%s", from[0] ? from : "-");
	else
		snprintf(text, OUTPUT_CELL_MAX, "%s -> %s", from[0] ? from : "-", to[0] ? to : "-");
}

static void from(char text[OUTPUT_CELL_MAX], const json_t *row)
{
	copy(text, row, "from");
}

static void to(char text[OUTPUT_CELL_MAX], const json_t *row)
{
	copy(text, row, "to");
}

static void why(char text[OUTPUT_CELL_MAX], const json_t *row)
{
	char message[100], detail[100];
	output_safe(message, sizeof message, output_string(row, "message"));
	output_safe(detail, sizeof detail, output_string(row, "detail"));
	snprintf(text, OUTPUT_CELL_MAX, "%s%s%s", message, message[0] && detail[0] ? ": " : "",
		detail);
}

static void message(char text[OUTPUT_CELL_MAX], const json_t *row)
{
	copy(text, row, "message");
}

static void detail(char text[OUTPUT_CELL_MAX], const json_t *row)
{
	copy(text, row, "detail");
}

static const struct output_column table[] = {{"TIME", when, NULL}, {"TENANT", tenant, NULL},
	{"ACTION", action, NULL}, {"RESULT", result, NULL}, {"BY", by, NULL},
	{"RELEASE", change, NULL}, {"MESSAGE", why, NULL}};
static const struct output_column plain[] = {{"", when, NULL}, {"", tenant, NULL},
	{"", action, NULL}, {"", result, NULL}, {"", by, NULL}, {"", from, NULL}, {"", to, NULL},
	{"", message, NULL}, {"", detail, NULL}};

static int run(const struct invocation *invocation)
{
	json_t *request, *rows = json_array();
	int code = client_request_lines(invocation, "history", &request);
	if (code) {
		json_decref(rows);
		return code;
	}
	code = client_call(invocation, request, NULL, 0, collect, rows, NULL);
	const bool is_plain = output == &output_plain;
	if (code == 0)
		output->rows("history", rows, is_plain ? plain : table,
			is_plain ? ARRAY_LENGTH(plain) : ARRAY_LENGTH(table),
			"nothing was done yet");
	json_decref(rows);
	return code;
}

const struct command command_history = {
	.name = "history",
	.group = GROUP_LOOK,
	.arguments = "[NAME]",
	.summary = "show what operators did to a tenant, or to all",
	.details =
		"Deployments, rollbacks, promotions, starts, stops, restarts, removals, prunings "
		"and changed policies: when, by whom, from which release to which, and how it "
		"went. Who it was is the kernel's word: user id and process at the other end of "
		"the control socket, and who had logged in before sudo. A tenant that was removed "
		"keeps its history.\n"
		"With --plain the fields are: time, tenant, action, result, by, from, to, message, "
		"detail.\n",
	.options = OPTION_BIT(OPTION_LINES),
	.arguments_most = 1,
	.kinds = {ARGUMENT_TENANT},
	.run = run,
};
