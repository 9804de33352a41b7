/* What happened to tenants: each change of a tenant's state, and what befell its instances.
 * The last EVENTS_KEPT are kept in memory, for `tenantctl events`; who follows gets each one
 * as it comes. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#define EVENTS_KEPT 1000
#define EVENTS_FOLLOWERS_MAX 32

/* Strings may be NULL. */
struct event {
	uint64_t time_us; /* CLOCK_REALTIME */
	const char *tenant;
	const char *name;      /* what: an event of daemon/machine.h, or of an instance */
	const char *from, *to; /* states; the same where it did not change */
	const char *reason;    /* a word: exit, signal, oom, …, operator, deploy, idle */
	const char *message;   /* a sentence, escaped */
	const char *release;
	pid_t pid; /* of the instance that it is about; 0: of none */
};

struct events;

struct events *events_new(void);
/* Takes NULL; returns NULL. */
struct events *events_free(struct events *events);

/* Keeps a copy (its time is now), and tells followers. Out of memory it is lost. */
void events_add(struct events *events, const struct event *event);

/* TAKE gets {"time","tenant","event","from","to","reason","message","release","pid"}, its
 * own. */
typedef void events_fn(void *data, json_t *event);
/* The last COUNT of TENANT (NULL: of all), oldest first. */
void events_last(
	const struct events *events, const char *tenant, size_t count, events_fn *take, void *data);
/* Those of TENANT since this process began: what a follower of the daemon before has not seen. */
void events_fresh(const struct events *events, const char *tenant, events_fn *take, void *data);
/* Each one from now on, until events_unfollow with the same DATA. TENANT (may be NULL) must
 * live as long. -EUSERS when there are too many. */
int events_follow(struct events *events, const char *tenant, events_fn *take, void *data);
void events_unfollow(struct events *events, const void *data);

/* For a daemon that takes over, and back, into one that is empty. */
json_t *events_pack(const struct events *events);
void events_restore(struct events *events, const json_t *packed);
