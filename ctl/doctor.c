#include "common/cleanup.h"
#include "common/control.h"
#include "ctl/client.h"
#include "ctl/output.h"
#include "sandbox/probe.h"

#include <string.h>

#define STATE_FOLDER "/var/lib/tenantd"
#define UID_BASE 1879048192
#define UID_COUNT 131072

/* As the daemon answers, when there is none: this process looks for itself. */
static json_t *look(void)
{
	static struct probe_report report;
	probe_run(
		&(struct probe_options){
			.state_folder = STATE_FOLDER, .uid_base = UID_BASE, .uid_count = UID_COUNT},
		&report);
	json_t *items = json_array();
	for (size_t i = 0; i < report.count; i++) {
		const struct probe_item *item = &report.items[i];
		json_array_append_new(
			items, json_pack("{s:s, s:s, s:s, s:s, s:s}", "group", item->group, "name",
				       item->name, "state", probe_state_name(item->state), "value",
				       item->value, "cost", item->cost));
	}
	return json_pack("{s:s, s:o}", "possible", tier_name(probe_tier(&report)), "items", items);
}

/* NULL when no daemon answers; REASON says why. */
static json_t *ask(const struct invocation *invocation, struct error *reason)
{
	cleanup_close int fd = -1;
	json_t *request = client_request("doctor", NULL), *answer = NULL;
	int result = client_connect(invocation, &fd, reason);
	if (result == 0)
		result = client_send(fd, request, NULL, 0, reason);
	if (result == 0)
		result = client_receive(fd, 0, &answer, reason);
	json_decref(request);
	if (result < 0)
		return NULL;
	json_t *done = json_incref(json_object_get(answer, "done"));
	if (done == NULL)
		error_set(reason, EPROTO, "tenantd: %s",
			output_string(json_object_get(answer, "error"), "message"));
	json_decref(answer);
	return done;
}

static void add_item(json_t *items, const char *mark, const char *text, const char *note)
{
	json_array_append_new(
		items, json_pack("{s:s, s:s, s:s}", "mark", mark, "text", text, "note", note));
}

/* The items of GROUP, each with what its absence costs. */
static json_t *section(const char *title, const char *group, const json_t *found)
{
	json_t *items = json_array();
	const json_t *one;
	size_t i;
	json_array_foreach(json_object_get(found, "items"), i, one)
	{
		char text[512];
		if (strcmp(output_string(one, "group"), group) != 0)
			continue;
		snprintf(text, sizeof text, "%s: %s", output_string(one, "name"),
			output_string(one, "value"));
		add_item(items, output_string(one, "state"), text, output_string(one, "cost"));
	}
	return json_pack("{s:s, s:o}", "title", title, "items", items);
}

static json_t *verdict(const json_t *found, const struct error *reason, bool full)
{
	json_t *items = json_array();
	const char *tier = output_string(found, "tier"),
		   *possible = output_string(found, "possible");
	char text[256];
	if (tier[0])
		snprintf(text, sizeof text, "tenantd runs, tier %s", tier);
	else
		snprintf(text, sizeof text, "tenantd was not asked; this is what tenantctl sees");
	add_item(items, tier[0] ? "fine" : "note", text, tier[0] ? "" : reason->message);
	snprintf(text, sizeof text, "the best tier here: %s", possible[0] ? possible : "none");
	add_item(items, full ? "fine" : "missing", text, "");
	return json_pack("{s:s, s:o}", "title", "tenantd", "items", items);
}

static int run(const struct invocation *invocation)
{
	static const char *const groups[][2] = {
		{"Kernel", "kernel"}, {"Limits", "limits"}, {"Rights", "daemon"}, {"Host", "host"}};
	struct error reason = {0};
	json_t *found = ask(invocation, &reason);
	json_t *result = json_pack("{s:s}", "source", found ? "tenantd" : "tenantctl");
	if (found == NULL)
		found = look();
	json_object_update(result, found);
	const bool full = strcmp(output_string(found, "possible"), tier_name(TIER_FULL)) == 0;
	json_t *sections = json_array();
	json_array_append_new(sections, verdict(found, &reason, full));
	for (size_t i = 0; i < ARRAY_LENGTH(groups); i++)
		json_array_append_new(sections, section(groups[i][0], groups[i][1], found));
	output->report(result, sections);
	json_decref(sections);
	json_decref(result);
	json_decref(found);
	return full ? CONTROL_EXIT_OK : CONTROL_EXIT_FAILURE;
}

const struct command command_doctor = {
	.name = "doctor",
	.group = GROUP_ABOUT,
	.arguments = "",
	.summary = "show what this host has of what tenantd needs",
	.details = "Asks the daemon, and looks for itself when none answers. Each line is fine, a "
		   "note, weaker (works, with less: the next line says what that costs), missing "
		   "(the tier full is not possible) or fatal (tenantd does not start).\n"
		   "Exits with 0 when the tier full is possible, else with 1.\n",
	.run = run,
};
