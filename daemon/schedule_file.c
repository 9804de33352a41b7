/* What is known of schedules from one daemon to the next. */
#include "daemon/schedule_private.h"

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/file.h"
#include "common/log.h"
#include "daemon/takeover.h"
#include "policy/policy.h"

#include <fcntl.h>
#include <string.h>

#define FILE_VERSION 1
#define FILE_BYTES_MAX (16 * 1024 * 1024)

/* ---- reading ---- */

/* One entry; false: not one of ours. */
static bool read_entry(struct schedules *schedules, const json_t *object)
{
	const char *name, *cron, *zone = NULL, *why = "";
	json_int_t accounted, late, missed, due = 0, took = 0;
	int ok = 0;
	struct cron parsed;
	if (json_unpack((json_t *)object, "{s:s, s:s, s?s, s:I, s:I, s:I, s?{s:I, s:b, s:I, s:s}}",
		    "tenant", &name, "cron", &cron, "time_zone", &zone, "accounted", &accounted,
		    "late", &late, "missed", &missed, "last", "due_ms", &due, "ok", &ok, "ms",
		    &took, "message", &why) < 0)
		return false;
	if (policy_check_name(name, NULL) < 0 || cron_parse(cron, &parsed, NULL) < 0 ||
		(zone && cron_zone_check(zone, NULL) < 0) || late < 0 || missed < 0 || due < 0 ||
		took < 0)
		return false;
	struct timetable *table = timetable_make(schedules, name);
	struct schedule *larger = NULL;
	if (table && table->count < MANIFEST_SCHEDULES_MAX)
		larger = reallocarray(table->items, table->count + 1, sizeof *larger);
	if (larger == NULL)
		return false;
	table->items = larger;
	struct schedule *schedule = &larger[table->count];
	*schedule = (struct schedule){
		.text = strdup(cron),
		.zone = zone ? strdup(zone) : NULL,
		.cron = parsed,
		.accounted = accounted,
		.next = -1,
		.late = late < UINT32_MAX ? (uint32_t)late : UINT32_MAX,
		.missed = (uint64_t)missed,
		.last = {.due_ms = (uint64_t)due,
			.ok = ok,
			.took_ms = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX},
	};
	snprintf(schedule->last.why, sizeof schedule->last.why, "%s", why);
	if (schedule->text == NULL || (zone && schedule->zone == NULL)) {
		schedule_clear(schedule);
		return false;
	}
	table->count++;
	return true;
}

static bool read_root(struct schedules *schedules, const json_t *root)
{
	const json_t *list, *object;
	size_t i;
	if (json_integer_value(json_object_get(root, "version")) != FILE_VERSION)
		return false;
	list = json_object_get(root, "schedules");
	if (!json_is_array(list))
		return false;
	json_array_foreach(list, i, object)
	{
		if (!read_entry(schedules, object))
			return false;
	}
	return true;
}

void schedules_read(struct schedules *schedules)
{
	if (schedules->state_fd < 0)
		return;
	cleanup_free char *text = NULL;
	size_t length;
	struct error error = {0};
	int result = file_read(
		schedules->state_fd, SCHEDULES_FILE, FILE_BYTES_MAX, &text, &length, &error);
	if (result == -ENOENT)
		return;
	json_t *root = result < 0 ? NULL : json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
	if (root == NULL || !read_root(schedules, root)) {
		log_warn("event=schedules-unreadable file=%s message=\"%s\"", SCHEDULES_FILE,
			result < 0 ? escape_for_log(error.message)
				   : "put aside: what was missed before now is not known");
		renameat(schedules->state_fd, SCHEDULES_FILE, schedules->state_fd,
			SCHEDULES_FILE ".bad");
	}
	json_decref(root);
}

/* ---- writing ---- */

static json_t *pack(const char *name, const struct schedule *schedule)
{
	json_t *object = json_pack("{s:s, s:s, s:I, s:I, s:I}", "tenant", name, "cron",
		schedule->text, "accounted", (json_int_t)schedule->accounted, "late",
		(json_int_t)schedule->late, "missed", (json_int_t)schedule->missed);
	if (object && schedule->zone)
		json_object_set_new(object, "time_zone", json_string(schedule->zone));
	if (object && schedule->last.due_ms)
		json_object_set_new(object, "last",
			json_pack("{s:I, s:b, s:I, s:s}", "due_ms",
				(json_int_t)schedule->last.due_ms, "ok", schedule->last.ok, "ms",
				(json_int_t)schedule->last.took_ms, "message", schedule->last.why));
	return object;
}

void schedules_write(struct schedules *schedules)
{
	struct error error = {0};
	if (!schedules->changed || schedules->state_fd < 0)
		return;
	schedules->changed = false;
	json_t *list = json_array();
	for (const struct timetable *table = schedules->tables; table; table = table->next)
		for (size_t i = 0; i < table->count; i++)
			json_array_append_new(list, pack(table->name, &table->items[i]));
	json_t *root = json_pack("{s:i, s:o}", "version", FILE_VERSION, "schedules", list);
	cleanup_free char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
	json_decref(root);
	int result = text ? file_write_atomic(schedules->state_fd, SCHEDULES_FILE, text,
				    strlen(text), 0600, &error)
			  : error_set(&error, ENOMEM, "no memory");
	/* It only counts: to go on without is better than to stop. The next change tries again. */
	if (result < 0)
		log_error(
			"event=schedules-not-saved message=\"%s\"", escape_for_log(error.message));
}

/* ---- for the next daemon ---- */

static json_t *pack_runs(const struct schedule *schedule)
{
	json_t *runs = json_array();
	for (const struct schedule_run *run = schedule->runs; run; run = run->next)
		json_array_append_new(runs,
			json_pack("{s:I, s:I, s:I, s:I}", "id", (json_int_t)run->id, "instance",
				(json_int_t)run->instance, "due_ms", (json_int_t)run->due_ms,
				"started_ns", (json_int_t)run->started_ns));
	return runs;
}

json_t *schedules_pack(struct schedules *schedules)
{
	schedules_write(schedules);
	json_t *tables = json_object();
	for (const struct timetable *table = schedules->tables; table; table = table->next) {
		json_t *items = json_array();
		for (size_t i = 0; i < table->count; i++) {
			const struct schedule *schedule = &table->items[i];
			json_array_append_new(items,
				json_pack("{s:s, s:s?, s:b, s:I, s:o}", "cron", schedule->text,
					"time_zone", schedule->zone, "waits", schedule->waits,
					"waiting", (json_int_t)schedule->waiting, "runs",
					pack_runs(schedule)));
		}
		json_object_set_new(tables, table->name,
			json_pack("{s:b, s:I, s:o}", "active", table->active, "turn",
				(json_int_t)table->turn, "items", items));
	}
	return json_pack(
		"{s:I, s:o}", "last_run", (json_int_t)schedules->last_run, "tables", tables);
}

static void restore_runs(struct schedule *schedule, const json_t *packed)
{
	const json_t *from;
	size_t i;
	schedule->waits = takeover_flag(packed, "waits");
	schedule->waiting = (int64_t)takeover_number(packed, "waiting");
	json_array_foreach(json_object_get(packed, "runs"), i, from)
	{
		struct schedule_run *run = malloc(sizeof *run);
		if (run == NULL)
			return;
		*run = (struct schedule_run){
			.next = schedule->runs,
			.id = (uint32_t)takeover_number(from, "id"),
			.instance = (uint32_t)takeover_number(from, "instance"),
			.due_ms = takeover_number(from, "due_ms"),
			.started_ns = takeover_number(from, "started_ns"),
		};
		schedule->runs = run;
		schedule->run_count++;
	}
}

static bool is_that(const struct schedule *schedule, const json_t *packed)
{
	return strcmp(schedule->text, takeover_string(packed, "cron")) == 0 &&
	       strcmp(schedule->zone ? schedule->zone : "", takeover_string(packed, "time_zone")) ==
		       0;
}

/* One that was active counts as such all the time: what came due while the program was
 * replaced is made, not missed. */
void schedules_restore(struct schedules *schedules, const json_t *packed)
{
	const json_t *tables = json_object_get(packed, "tables"), *from;
	size_t i;
	schedules->last_run = (uint32_t)takeover_number(packed, "last_run");
	for (struct timetable *table = schedules->tables; table; table = table->next) {
		const json_t *known = json_object_get(tables, table->name);
		table->active = takeover_flag(known, "active");
		table->turn = (uint32_t)takeover_number(known, "turn");
		json_array_foreach(json_object_get(known, "items"), i, from)
		{
			for (size_t k = 0; k < table->count; k++)
				if (is_that(&table->items[k], from))
					restore_runs(&table->items[k], from);
		}
	}
}
