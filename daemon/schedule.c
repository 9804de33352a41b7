#include "daemon/schedule_private.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/message.h"
#include "daemon/instance.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

/* How late a run may begin, for whatever reason, and still be it. */
#define TOLERANCE_S 60
/* Runs of one schedule that may overlap. */
#define RUNS_MAX 16
/* Missed ones are counted up to here. */
#define MISSED_MOST 10000
#define SAVE_US 200000
/* An instance is there, but its channel is full. */
#define RETRY_US 1000000

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int64_t now_s(void)
{
	return (int64_t)(now_ms() / 1000);
}

/* ---- memory ---- */

void schedule_clear(struct schedule *schedule)
{
	while (schedule->runs) {
		struct schedule_run *run = schedule->runs;
		schedule->runs = run->next;
		free(run);
	}
	free(schedule->text);
	free(schedule->zone);
}

static struct timetable *find(const struct schedules *schedules, const char *name)
{
	struct timetable *table = schedules->tables;
	while (table && strcmp(table->name, name) != 0)
		table = table->next;
	return table;
}

struct timetable *timetable_make(struct schedules *schedules, const char *name)
{
	struct timetable *table = find(schedules, name);
	if (table || !(table = calloc(1, sizeof *table)))
		return table;
	table->owner = schedules;
	snprintf(table->name, sizeof table->name, "%s", name);
	table->next = schedules->tables;
	schedules->tables = table;
	return table;
}

static void drop_table(struct timetable *table)
{
	struct timetable **place = &table->owner->tables;
	while (*place != table)
		place = &(*place)->next;
	*place = table->next;
	for (size_t i = 0; i < table->count; i++)
		schedule_clear(&table->items[i]);
	sd_event_source_disable_unref(table->timer);
	free(table->items);
	free(table);
}

static int save_passed(sd_event_source *source, uint64_t usec, void *data)
{
	(void)source;
	(void)usec;
	schedules_write(data);
	return 0;
}

static void save_soon(struct schedules *schedules)
{
	if (schedules->changed)
		return; /* it is armed */
	schedules->changed = true;
	sd_event_source_set_time_relative(schedules->save, SAVE_US);
	sd_event_source_set_enabled(schedules->save, SD_EVENT_ONESHOT);
}

int schedules_open(sd_event *event, int state_fd, const struct schedule_calls *calls,
	struct schedules **ret, struct error *error)
{
	struct schedules *schedules = calloc(1, sizeof *schedules);
	if (schedules == NULL)
		return error_set(error, ENOMEM, "no memory for schedules");
	schedules->event = event;
	schedules->state_fd = state_fd;
	schedules->calls = calls;
	int result = sd_event_add_time_relative(
		event, &schedules->save, CLOCK_MONOTONIC, 0, 0, save_passed, schedules);
	if (result >= 0)
		result = sd_event_source_set_enabled(schedules->save, SD_EVENT_OFF);
	if (result < 0) {
		free(schedules);
		return error_errno(error, result, "cannot make the timer of schedules");
	}
	schedules_read(schedules);
	*ret = schedules;
	return 0;
}

struct schedules *schedules_close(struct schedules *schedules)
{
	if (schedules == NULL)
		return NULL;
	schedules_write(schedules);
	while (schedules->tables)
		drop_table(schedules->tables);
	sd_event_source_disable_unref(schedules->save);
	free(schedules);
	return NULL;
}

/* ---- runs ---- */

static void tell(struct timetable *table, const char *result, const struct schedule *schedule,
	const char *why)
{
	char line[512];
	snprintf(line, sizeof line, "schedule \"%s\"%s%s %s: %s", schedule->text,
		schedule->zone ? " of " : "", schedule->zone ? schedule->zone : "", result, why);
	log_warn("event=schedule-%s tenant=%s cron=\"%s\" zone=%s message=\"%s\"", result,
		table->name, schedule->text, schedule->zone ? schedule->zone : "UTC",
		message_for_log(why));
	if (table->tenant)
		table->owner->calls->tell(table->tenant, result, line);
}

static void miss(
	struct timetable *table, struct schedule *schedule, uint32_t count, const char *why)
{
	char text[128];
	if (count == 0)
		return;
	schedule->late = schedule->late < UINT32_MAX - count ? schedule->late + count : UINT32_MAX;
	schedule->missed += count;
	snprintf(text, sizeof text, "%s%" PRIu32 " run%s: %s",
		count == MISSED_MOST ? "at least " : "", count, count == 1 ? "" : "s", why);
	tell(table, "missed", schedule, text);
	save_soon(table->owner);
}

/* Its outcome; frees the run at *PLACE. */
static void finish(struct timetable *table, struct schedule *schedule, struct schedule_run **place,
	bool ok, const char *why)
{
	struct schedule_run *run = *place;
	*place = run->next;
	schedule->run_count--;
	schedule->last = (struct schedule_outcome){
		.due_ms = run->due_ms,
		.ok = ok,
		.took_ms = (uint32_t)((clock_ns() - run->started_ns) / 1000000),
	};
	snprintf(schedule->last.why, sizeof schedule->last.why, "%s", ok ? "" : why);
	if (ok)
		log_info("event=schedule-done tenant=%s cron=\"%s\" ms=%" PRIu32, table->name,
			schedule->text, schedule->last.took_ms);
	else
		tell(table, "failed", schedule, why);
	free(run);
	save_soon(table->owner);
}

static int send_run(struct timetable *table, struct schedule *schedule, struct instance *instance)
{
	char data[sizeof(struct message_scheduled) + SCHEDULE_CRON_MAX + 1];
	struct schedules *schedules = table->owner;
	const size_t length = strlen(schedule->text) + 1;
	struct schedule_run *run = malloc(sizeof *run);
	if (run == NULL)
		return -ENOMEM;
	if (++schedules->last_run == 0)
		schedules->last_run = 1;
	*run = (struct schedule_run){
		.next = schedule->runs,
		.id = schedules->last_run,
		.instance = instance->id,
		.due_ms = (uint64_t)schedule->waiting * 1000,
		.started_ns = clock_ns(),
	};
	const struct message_scheduled message = {
		.header = {.type = MESSAGE_SCHEDULED, .instance = instance->id},
		.id = run->id,
		.late = schedule->late,
		.due_ms = run->due_ms,
	};
	memcpy(data, &message, sizeof message);
	memcpy(data + sizeof message, schedule->text, length);
	int result = message_send(instance->channel, data, sizeof message + length, NULL, 0);
	if (result < 0) {
		free(run);
		return result;
	}
	log_info("event=scheduled tenant=%s cron=\"%s\" pid=%d late=%" PRIu32, table->name,
		schedule->text, instance->pid, schedule->late);
	schedule->runs = run;
	schedule->run_count++;
	schedule->late = 0;
	schedule->waits = false;
	return 0;
}

/* Sends what waits, if somebody is there. True: somebody must come first. */
static bool dispatch(struct timetable *table)
{
	bool nobody = false;
	for (size_t i = 0; i < table->count; i++) {
		struct schedule *schedule = &table->items[i];
		if (!schedule->waits)
			continue;
		struct instance *instance = table->owner->calls->pick(table->tenant, table->turn);
		nobody |= instance == NULL;
		if (instance && send_run(table, schedule, instance) == 0) {
			table->turn++;
			save_soon(table->owner);
		}
	}
	return nobody;
}

static void miss_what_waits(struct timetable *table)
{
	for (size_t i = 0; i < table->count; i++)
		if (table->items[i].waits) {
			table->items[i].waits = false;
			miss(table, &table->items[i], 1, "the tenant does not run");
		}
}

/* Makes somebody come: from the loop only, never from within a change of the tenant's state.
 * It changes that state, which leads back to schedules_review: TABLE may be gone
 * afterwards. */
static void wake(struct timetable *table)
{
	char name[sizeof table->name];
	struct schedules *schedules = table->owner;
	memcpy(name, table->name, sizeof name);
	table->woken = true;
	if (schedules->calls->wake(table->tenant) == 0)
		return;
	table = find(schedules, name);
	if (table)
		miss_what_waits(table);
}

static void begin(struct timetable *table, struct schedule *schedule, int64_t due)
{
	if (schedule->waits) {
		schedule->waiting = due;
		miss(table, schedule, 1, "no instance was ready until the next was due");
	} else if (schedule->runs && !schedule->overlap) {
		miss(table, schedule, 1, "the one before is still under way");
	} else if (schedule->run_count == RUNS_MAX) {
		miss(table, schedule, 1, "too many are under way");
	} else {
		schedule->waits = true;
		schedule->waiting = due;
		table->woken = false;
	}
}

/* Accounts for all that was due up to NOW; the last of it may begin. */
static void account(struct timetable *table, struct schedule *schedule, int64_t now)
{
	int64_t last = 0;
	uint32_t count = cron_count(
		&schedule->cron, schedule->zone, schedule->accounted, now, MISSED_MOST, &last);
	if (count > 0) {
		const bool late = !table->active || now - last > TOLERANCE_S;
		miss(table, schedule, late ? count : count - 1,
			"tenantd, or the tenant, did not run then");
		schedule->accounted = last;
		if (!late)
			begin(table, schedule, last);
		save_soon(table->owner);
	}
	schedule->next = cron_next(&schedule->cron, schedule->zone,
		schedule->accounted > now ? schedule->accounted : now);
}

/* ---- the timer ---- */

static int timer_passed(sd_event_source *source, uint64_t usec, void *data);

static void arm(struct timetable *table)
{
	int64_t next = INT64_MAX;
	bool retry = false;
	for (size_t i = 0; i < table->count; i++) {
		if (table->items[i].next >= 0 && table->items[i].next < next)
			next = table->items[i].next;
		retry |= table->items[i].waits;
	}
	const bool somebody =
		retry && table->owner->calls->pick(table->tenant, table->turn) != NULL;
	retry = retry && (somebody || !table->woken);
	if (!table->active || (next == INT64_MAX && !retry)) {
		if (table->timer)
			sd_event_source_set_enabled(table->timer, SD_EVENT_OFF);
		return;
	}
	uint64_t at_us = next == INT64_MAX ? UINT64_MAX : (uint64_t)next * 1000000;
	/* At once, where somebody must be woken. */
	const uint64_t retry_us = now_ms() * 1000 + (somebody ? RETRY_US : 0);
	if (retry && retry_us < at_us)
		at_us = retry_us;
	if (table->timer == NULL) {
		sd_event_add_time(table->owner->event, &table->timer, CLOCK_REALTIME, at_us, 50000,
			timer_passed, table);
		return;
	}
	sd_event_source_set_time(table->timer, at_us);
	sd_event_source_set_enabled(table->timer, SD_EVENT_ONESHOT);
}

static int timer_passed(sd_event_source *source, uint64_t usec, void *data)
{
	struct timetable *table = data;
	const int64_t now = now_s();
	(void)source;
	(void)usec;
	for (size_t i = 0; i < table->count; i++)
		if (table->items[i].next >= 0 && table->items[i].next <= now)
			account(table, &table->items[i], now);
	const bool nobody = dispatch(table) && !table->woken;
	arm(table);
	if (nobody)
		wake(table);
	return 0;
}

/* ---- what a tenant has ---- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_that(const struct schedule *schedule, const struct manifest_schedule *wanted)
{
	return same_text(schedule->text, wanted->cron) &&
	       same_text(schedule->zone, wanted->time_zone);
}

static bool is_up_to_date(const struct timetable *table, const struct manifest *manifest)
{
	if (table->count != manifest->schedule_count)
		return false;
	for (size_t i = 0; i < table->count; i++)
		if (!is_that(&table->items[i], &manifest->schedules[i]) ||
			table->items[i].overlap != manifest->schedules[i].overlap)
			return false;
	return true;
}

/* A schedule that a release brings: what was due before is none of its. */
static bool make_new(struct schedule *schedule, const struct manifest_schedule *wanted)
{
	*schedule = (struct schedule){
		.text = strdup(wanted->cron),
		.zone = wanted->time_zone ? strdup(wanted->time_zone) : NULL,
		.accounted = now_s(),
		.next = -1,
	};
	if (schedule->text && (schedule->zone || !wanted->time_zone) &&
		cron_parse(wanted->cron, &schedule->cron, NULL) == 0)
		return true;
	schedule_clear(schedule);
	return false;
}

/* Those that stay keep what is known of them. */
static bool rebuild(struct timetable *table, const struct manifest *manifest)
{
	struct schedule *items = calloc(manifest->schedule_count, sizeof *items);
	size_t count = 0;
	if (items == NULL)
		return false;
	for (size_t i = 0; i < manifest->schedule_count; i++) {
		const struct manifest_schedule *wanted = &manifest->schedules[i];
		size_t k = 0;
		while (k < table->count && !is_that(&table->items[k], wanted))
			k++;
		if (k < table->count) {
			items[count] = table->items[k];
			table->items[k] = (struct schedule){0};
		} else if (!make_new(&items[count], wanted)) {
			continue;
		}
		items[count++].overlap = wanted->overlap;
	}
	for (size_t i = 0; i < table->count; i++)
		schedule_clear(&table->items[i]);
	free(table->items);
	table->items = items;
	table->count = count;
	save_soon(table->owner);
	return true;
}

void schedules_review(struct schedules *schedules, struct tenant *tenant, const char *name,
	const struct manifest *manifest, bool active)
{
	if (schedules == NULL)
		return;
	struct timetable *table = find(schedules, name);
	if (manifest && manifest->schedule_count == 0) {
		if (table) {
			drop_table(table);
			save_soon(schedules);
		}
		return;
	}
	if (manifest && table == NULL && !(table = timetable_make(schedules, name)))
		log_error("event=no-schedules tenant=%s message=\"no memory\"", name);
	if (table == NULL)
		return;
	table->tenant = tenant;
	const bool changed =
		manifest && !is_up_to_date(table, manifest) && rebuild(table, manifest);
	if (changed || active != table->active) {
		const int64_t now = now_s();
		/* What was due until now falls under what held until now; a first look at what the
		 * file has comes from before the daemon's start. */
		for (size_t i = 0; i < table->count; i++)
			account(table, &table->items[i], now);
		table->active = active;
	}
	if (!active)
		miss_what_waits(table);
	else
		dispatch(table);
	arm(table);
}

void schedules_forget_tenant(struct schedules *schedules, const char *name, bool removed)
{
	struct timetable *table = schedules ? find(schedules, name) : NULL;
	if (table == NULL)
		return;
	if (!removed) {
		table->tenant = NULL;
		table->active = false;
		table->timer = sd_event_source_disable_unref(table->timer);
		return;
	}
	drop_table(table);
	/* Now: a tenant of the same name must not inherit it. */
	schedules->changed = true;
	schedules_write(schedules);
}

/* ---- what instances say ---- */

bool schedules_done(struct schedules *schedules, const struct instance *instance,
	const void *message, size_t length)
{
	struct message_outcome outcome;
	char text[OUTCOME_TEXT_MAX + 1], why[SCHEDULE_WHY_MAX];
	memcpy(&outcome, message, sizeof outcome);
	if (schedules == NULL || outcome.id == 0 || outcome.id > schedules->last_run)
		return false;
	/* Its tenant's only: it may say so as often as it is listened to. */
	struct timetable *table = find(schedules, instance->tenant);
	for (size_t i = 0; table && i < table->count; i++) {
		struct schedule *schedule = &table->items[i];
		struct schedule_run **place = &schedule->runs;
		while (*place && (*place)->id != outcome.id)
			place = &(*place)->next;
		if (*place == NULL)
			continue;
		if ((*place)->instance != instance->id)
			return false;
		snprintf(text, sizeof text, "%.*s", (int)(length - sizeof outcome),
			(const char *)message + sizeof outcome);
		secrets_redact_string(instance->secrets, text);
		escape_line(why, sizeof why, text, strlen(text), 0);
		finish(table, schedule, place, outcome.ok, why[0] ? why : "it failed");
		arm(table);
		return true;
	}
	return true; /* of a schedule that is no more */
}

void schedules_forget_instance(struct schedules *schedules, const struct instance *instance)
{
	char why[SCHEDULE_WHY_MAX];
	for (struct timetable *table = schedules ? schedules->tables : NULL; table;
		table = table->next)
		for (size_t i = 0; i < table->count; i++) {
			struct schedule_run **place = &table->items[i].runs;
			while (*place) {
				if ((*place)->instance != instance->id) {
					place = &(*place)->next;
					continue;
				}
				/* One that was freed while it lived has no end. */
				const enum end_reason reason = instance->end
								       ? instance->end->reason
								       : instance->kill_reason;
				snprintf(why, sizeof why, "its worker ended: %s",
					end_reason_name(reason));
				finish(table, &table->items[i], place, false, why);
			}
		}
}

/* ---- for others ---- */

bool schedules_busy(const struct schedules *schedules, const char *name)
{
	const struct timetable *table = schedules ? find(schedules, name) : NULL;
	for (size_t i = 0; table && i < table->count; i++)
		if (table->items[i].runs || table->items[i].waits)
			return true;
	return false;
}

static json_t *time_text(int64_t seconds)
{
	char text[32];
	struct tm parts;
	const time_t when = seconds;
	if (seconds < 0 || gmtime_r(&when, &parts) == NULL)
		return json_null();
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
	return json_string(text);
}

static json_t *describe(const struct timetable *table, const struct schedule *schedule)
{
	const struct schedule_outcome *last = &schedule->last;
	json_t *outcome = json_null();
	if (last->due_ms)
		outcome = json_pack("{s:o, s:s, s:s, s:I}", "due",
			time_text((int64_t)(last->due_ms / 1000)), "outcome",
			last->ok ? "ok" : "failed", "message", last->why, "ms",
			(json_int_t)last->took_ms);
	return json_pack("{s:s, s:s, s:b, s:o, s:I, s:I, s:o}", "cron", schedule->text, "time_zone",
		schedule->zone ? schedule->zone : "UTC", "overlap", schedule->overlap, "next",
		time_text(table->active ? schedule->next : -1), "running",
		(json_int_t)schedule->run_count, "missed", (json_int_t)schedule->missed, "last",
		outcome);
}

json_t *schedules_describe(const struct schedules *schedules, const char *name)
{
	const struct timetable *table = schedules ? find(schedules, name) : NULL;
	json_t *list = json_array();
	for (size_t i = 0; table && i < table->count; i++)
		json_array_append_new(list, describe(table, &table->items[i]));
	return list;
}
