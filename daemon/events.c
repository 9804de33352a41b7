#include "daemon/events.h"

#include "common/clock.h"
#include "daemon/logs.h"
#include "daemon/takeover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One event in one piece of memory: strings follow each other in TEXT, "" for none. */
struct record {
	uint64_t time_us;
	pid_t pid;
	char text[];
};

enum field { TENANT, NAME, FROM, TO, REASON, MESSAGE, RELEASE, FIELDS };

struct follower {
	const char *tenant;
	events_fn *take;
	void *data;
};

struct events {
	struct record *ring[EVENTS_KEPT];
	size_t next, count;
	size_t fresh; /* of them, at most, are not of the daemon before */
	struct follower followers[EVENTS_FOLLOWERS_MAX];
	size_t follower_count;
};

struct events *events_new(void)
{
	return calloc(1, sizeof(struct events));
}

struct events *events_free(struct events *events)
{
	if (events == NULL)
		return NULL;
	for (size_t i = 0; i < EVENTS_KEPT; i++)
		free(events->ring[i]);
	free(events);
	return NULL;
}

static struct record *make_record(const struct event *event)
{
	const char *const fields[FIELDS] = {
		[TENANT] = event->tenant,
		[NAME] = event->name,
		[FROM] = event->from,
		[TO] = event->to,
		[REASON] = event->reason,
		[MESSAGE] = event->message,
		[RELEASE] = event->release,
	};
	size_t length = 0;
	for (size_t i = 0; i < FIELDS; i++)
		length += (fields[i] ? strlen(fields[i]) : 0) + 1;
	struct record *record = malloc(sizeof *record + length);
	if (record == NULL)
		return NULL;
	char *end = record->text;
	for (size_t i = 0; i < FIELDS; i++)
		end = stpcpy(end, fields[i] ? fields[i] : "") + 1;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	record->time_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	record->pid = event->pid;
	return record;
}

static json_t *text_or_null(const char *text)
{
	return text[0] ? json_string(text) : json_null();
}

static json_t *describe(const struct record *record)
{
	const char *fields[FIELDS], *next = record->text;
	char time[32];
	for (size_t i = 0; i < FIELDS; i++) {
		fields[i] = next;
		next += strlen(next) + 1;
	}
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:o, s:o}", "time",
		format_time(time, record->time_us), "tenant", fields[TENANT], "event", fields[NAME],
		"from", text_or_null(fields[FROM]), "to", text_or_null(fields[TO]), "reason",
		fields[REASON], "message", fields[MESSAGE], "release",
		text_or_null(fields[RELEASE]), "pid",
		record->pid > 0 ? json_integer(record->pid) : json_null());
}

static bool concerns(const struct record *record, const char *tenant)
{
	return tenant == NULL || strcmp(record->text, tenant) == 0;
}

static void keep(struct events *events, struct record *record)
{
	free(events->ring[events->next]);
	events->ring[events->next] = record;
	events->next = (events->next + 1) % EVENTS_KEPT;
	events->count += events->count < EVENTS_KEPT;
}

void events_add(struct events *events, const struct event *event)
{
	struct record *record = make_record(event);
	if (record == NULL)
		return;
	keep(events, record);
	events->fresh += events->fresh < EVENTS_KEPT;
	/* A follower may unfollow itself while it is called: from the last to the first. */
	for (size_t i = events->follower_count; i > 0; i--) {
		const struct follower *follower = &events->followers[i - 1];
		json_t *what = concerns(record, follower->tenant) ? describe(record) : NULL;
		if (what)
			follower->take(follower->data, what);
	}
}

/* The event that came BACK before the next one. */
static const struct record *nth_last(const struct events *events, size_t back)
{
	return events->ring[(events->next + EVENTS_KEPT - back) % EVENTS_KEPT];
}

/* Of the last COUNT of all. */
static void take_last(
	const struct events *events, const char *tenant, size_t count, events_fn *take, void *data)
{
	for (size_t back = count; back > 0; back--) {
		const struct record *record = nth_last(events, back);
		json_t *what = concerns(record, tenant) ? describe(record) : NULL;
		if (what)
			take(data, what);
	}
}

void events_last(
	const struct events *events, const char *tenant, size_t count, events_fn *take, void *data)
{
	size_t first = 0, found = 0;
	while (first < events->count && found < count)
		found += concerns(nth_last(events, ++first), tenant);
	take_last(events, tenant, first, take, data);
}

void events_fresh(const struct events *events, const char *tenant, events_fn *take, void *data)
{
	take_last(events, tenant, events->fresh, take, data);
}

int events_follow(struct events *events, const char *tenant, events_fn *take, void *data)
{
	if (events->follower_count == EVENTS_FOLLOWERS_MAX)
		return -EUSERS;
	events->followers[events->follower_count++] = (struct follower){tenant, take, data};
	return 0;
}

void events_unfollow(struct events *events, const void *data)
{
	for (size_t i = 0; i < events->follower_count; i++) {
		if (events->followers[i].data != data)
			continue;
		events->followers[i] = events->followers[--events->follower_count];
		return;
	}
}

/* ---- for the next daemon ---- */

/* [time, pid, one text for each field] of each, the oldest first. */
json_t *events_pack(const struct events *events)
{
	json_t *list = json_array();
	for (size_t back = events->count; back > 0; back--) {
		const struct record *record = nth_last(events, back);
		json_t *item = json_pack("[I, i]", (json_int_t)record->time_us, (int)record->pid);
		const char *next = record->text;
		for (size_t i = 0; i < FIELDS; i++, next += strlen(next) + 1)
			json_array_append_new(item, takeover_text(next));
		json_array_append_new(list, item);
	}
	return list;
}

void events_restore(struct events *events, const json_t *packed)
{
	const json_t *item;
	size_t i;
	json_array_foreach(packed, i, item)
	{
		const char *fields[FIELDS];
		for (size_t k = 0; k < FIELDS; k++)
			fields[k] = json_string_value(json_array_get(item, 2 + k));
		struct record *record = make_record(&(struct event){
			.tenant = fields[TENANT],
			.name = fields[NAME],
			.from = fields[FROM],
			.to = fields[TO],
			.reason = fields[REASON],
			.message = fields[MESSAGE],
			.release = fields[RELEASE],
			.pid = (pid_t)json_integer_value(json_array_get(item, 1)),
		});
		if (record == NULL)
			return;
		record->time_us = (uint64_t)json_integer_value(json_array_get(item, 0));
		keep(events, record);
	}
}
