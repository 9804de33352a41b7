/* What daemon/schedule.c and its file share. */
#pragma once

#include "common/cron.h"
#include "daemon/schedule.h"

#include <stdint.h>

#define SCHEDULE_WHY_MAX 160

struct schedule_run {
	struct schedule_run *next;
	uint32_t id, instance;
	uint64_t due_ms;     /* CLOCK_REALTIME */
	uint64_t started_ns; /* clock_ns */
};

/* The last one that came to its end. */
struct schedule_outcome {
	uint64_t due_ms; /* 0: there was none */
	bool ok;
	uint32_t took_ms;
	char why[SCHEDULE_WHY_MAX]; /* escaped */
};

struct schedule {
	char *text, *zone; /* ZONE NULL: UTC */
	bool overlap;
	struct cron cron;
	int64_t accounted; /* Unix seconds: all that was due up to here was run or missed */
	int64_t next;      /* due next; -1: never */
	bool waits;        /* for an instance, since WAITING was due */
	int64_t waiting;
	uint32_t late;   /* missed since the last run */
	uint64_t missed; /* in all */
	struct schedule_run *runs;
	uint32_t run_count;
	struct schedule_outcome last;
};

/* The schedules of a tenant. */
struct timetable {
	struct timetable *next;
	struct schedules *owner;
	char name[64];
	struct tenant *tenant; /* NULL: not there (yet) */
	bool active;
	bool woken; /* somebody will come, for what waits */
	uint32_t turn;
	size_t count;
	struct schedule *items;
	sd_event_source *timer;
};

struct schedules {
	sd_event *event;
	int state_fd;
	const struct schedule_calls *calls;
	struct timetable *tables;
	uint32_t last_run;
	sd_event_source *save; /* a moment after something has changed */
	bool changed;
};

/* A table of that name, made if need be; NULL when out of memory. */
struct timetable *timetable_make(struct schedules *schedules, const char *name);
void schedule_clear(struct schedule *schedule);

/* ---- daemon/schedule_file.c ---- */

void schedules_read(struct schedules *schedules);
/* Now, if something has changed. */
void schedules_write(struct schedules *schedules);
