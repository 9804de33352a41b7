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

static void short_id(char text[OUTPUT_CELL_MAX], const json_t *row)
{
	char release[OUTPUT_TEXT_MAX];
	snprintf(text, OUTPUT_CELL_MAX, "%s", output_release(release, row));
}

static void id(char text[OUTPUT_CELL_MAX], const json_t *row)
{
	copy(text, row, "release");
}

static void outcome(char text[OUTPUT_CELL_MAX], const json_t *row)
{
	copy(text, row, "outcome");
}

static void deployed(char text[OUTPUT_CELL_MAX], const json_t *row)
{
	copy(text, row, "deployed");
}

static void age(char text[OUTPUT_CELL_MAX], const json_t *row)
{
	char age_text[OUTPUT_TEXT_MAX];
	snprintf(text, OUTPUT_CELL_MAX, "%s", output_age(age_text, output_string(row, "deployed")));
}

static void by(char text[OUTPUT_CELL_MAX], const json_t *row)
{
	const json_t *who = json_object_get(row, "by");
	const char *login = output_string(who, "login"), *user = output_string(who, "user");
	char name[OUTPUT_CELL_MAX];
	output_safe(name, sizeof name, login[0] ? login : user);
	if (name[0])
		snprintf(text, OUTPUT_CELL_MAX, "%.200s", name);
	else if (json_is_object(who))
		snprintf(text, OUTPUT_CELL_MAX, "%lld", (long long)output_integer(who, "uid"));
	else
		snprintf(text, OUTPUT_CELL_MAX, "-");
}

static void size(char text[OUTPUT_CELL_MAX], const json_t *row)
{
	char bytes[OUTPUT_TEXT_MAX];
	snprintf(text, OUTPUT_CELL_MAX, "%s", output_bytes(bytes, output_integer(row, "bytes")));
}

static void bytes(char text[OUTPUT_CELL_MAX], const json_t *row)
{
	snprintf(text, OUTPUT_CELL_MAX, "%lld", (long long)output_integer(row, "bytes"));
}

static void is_signed(char text[OUTPUT_CELL_MAX], const json_t *row)
{
	snprintf(text, OUTPUT_CELL_MAX, "%s", output_string(row, "signed_by")[0] ? "yes" : "-");
}

static void signed_by(char text[OUTPUT_CELL_MAX], const json_t *row)
{
	copy(text, row, "signed_by");
}

/* What was said when it was deployed, or why it is no more. */
static void because(char text[OUTPUT_CELL_MAX], const json_t *row)
{
	copy(text, row, output_string(row, "reason")[0] ? "reason" : "message");
}

static const struct output_column columns[] = {
	{"RELEASE", short_id, id},
	{"OUTCOME", outcome, NULL},
	{"AGE", age, deployed},
	{"BY", by, NULL},
	{"SIZE", size, bytes},
	{"SIGNED", is_signed, signed_by},
	{"MESSAGE", because, NULL},
};

static int run(const struct invocation *invocation)
{
	const char *name = invocation->arguments[0];
	json_t *releases = json_array();
	int code = client_check_name(name);
	if (code == 0)
		code = client_call(invocation, client_request("releases", name), NULL, 0, collect,
			releases, NULL);
	if (code == 0)
		output->rows("releases", releases, columns, ARRAY_LENGTH(columns),
			"nothing was deployed yet");
	json_decref(releases);
	return code;
}

const struct command command_releases = {
	.name = "releases",
	.group = GROUP_DEPLOY,
	.arguments = "NAME",
	.summary = "list the releases of a tenant",
	.details =
		"The one that went live last comes first. The outcome is active, previous (where "
		"rollback goes), kept, rolled-back, failed (and gone; the message says why), or "
		"trying. With --plain the fields are: the whole id, outcome, time, by whom, bytes, "
		"the key that signed it, message.\n",
	.arguments_least = 1,
	.arguments_most = 1,
	.kinds = {ARGUMENT_TENANT},
	.run = run,
};
