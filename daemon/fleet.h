/* The instances of one program: as many as tenant.json asks for, on the same listeners. One
 * that ends by itself while others serve is started again on its own, after a delay of its
 * own; one that is to be replaced goes when the one after it is ready. What happens to all of
 * them together is its owner's concern (daemon/tenant.h), who is told when the last one that
 * served is gone.
 *
 * A fleet lives until its last instance has ended: when it is to go, it drains. */
#pragma once

#include "common/error.h"
#include "daemon/backoff.h"
#include "daemon/instance.h"
#include "daemon/program.h"

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-event.h>

struct fleet;
struct supervisor;

enum fleet_role {
	FLEET_STARTING,
	FLEET_SERVING, /* it is ready */
	FLEET_LEAVING, /* it drains, or was killed */
};

struct fleet_member {
	struct instance *instance;
	uint32_t slot;
	enum fleet_role role;
	uint64_t requests; /* when it was last looked at */
};

/* Why a slot's instance has not begun to start, though it is to. */
enum fleet_wait {
	FLEET_WAITS_NOT,
	FLEET_WAITS_TURN,  /* daemon/start_queue.h */
	FLEET_WAITS_PROOF, /* its release is being hashed: daemon/releases.h */
};

/* One of the instances that there should be; it outlives those that fill it. */
struct fleet_slot {
	struct fleet *fleet;
	struct backoff backoff;
	sd_event_source *timer; /* until the next start */
	uint32_t delay_ms;
	uint64_t replace_after_ms; /* no sooner: the last try to replace its instance failed */
	bool tried;                /* its first start came to an end, good or bad */
	enum fleet_wait waits;
	bool done; /* it ended, and is not to be started again */
};

/* How one that ended by itself did so, as far as tenant.json's `restart` is concerned. */
enum fleet_ending {
	FLEET_FAILED,
	FLEET_FINISHED, /* as it may: exit code 0, or one of stopCodes */
	FLEET_NEVER,    /* failed, and `restart` is never */
};

/* What that means for the fleet. */
enum fleet_outcome {
	FLEET_LEFT,    /* it was told to go */
	FLEET_GOES_ON, /* others serve, or start; it is started again where it should be */
	FLEET_UNFIT,   /* the fleet never became ready, and will not */
	FLEET_LOST,    /* no instance serves any more, and none is about to */
};

struct fleet_death {
	const struct instance_end *end;
	const char *release;
	pid_t pid;
	uint32_t instance;
	uint64_t served_ms; /* since it was ready */
	bool was_ready;
	enum fleet_ending ending;
	enum fleet_outcome outcome;
	bool gave_up; /* FLEET_LOST: each instance failed too often */
	bool empty;   /* it was the last of a fleet that drains */
};

/* The owner may drain the fleet from each of them. */
struct fleet_events {
	/* One more serves; before `ready`. */
	void (*joined)(struct fleet *fleet, struct instance *instance, void *data);
	/* One that serves is about to drain, or has ended: nobody may send it connections any
	 * more, or hold on to it. */
	void (*leaving)(struct fleet *fleet, struct instance *instance, void *data);
	/* It serves with all of its instances; where it may not be strict, with those that could
	 * be started. Not to be freed from here. */
	void (*ready)(struct fleet *fleet, void *data);
	/* An instance has ended. After FLEET_UNFIT, FLEET_LOST and `empty` the owner frees or
	 * drains the fleet. */
	void (*ended)(struct fleet *fleet, const struct fleet_death *death, void *data);
	/* It could not start one; the fleet is UNFIT or LOST if OUTCOME says so. */
	void (*start_failed)(
		struct fleet *fleet, enum fleet_outcome outcome, const char *message, void *data);
	/* An instance that serves should not, says its readiness probe. */
	void (*unready)(struct fleet *fleet, struct instance *instance, void *data);
	/* An instance is to be replaced: its soft limits. */
	void (*retired)(
		struct fleet *fleet, struct instance *instance, const char *reason, void *data);
	/* tenant.json's `idle`: for so long there was nothing to do. */
	void (*idle)(struct fleet *fleet, void *data);
};

struct fleet_options {
	struct supervisor *supervisor;
	const char *tenant;
	struct tenant_log *log;
	uint32_t uid_slot;
	struct program *program; /* the caller's; until the fleet drains */
	uint32_t count;
	/* The first that cannot be started makes it UNFIT: there is something to go back to. */
	bool strict;
	/* Its first instances wait for their turn to start. */
	bool patient;
	const struct fleet_events *events;
	void *data;
};

struct fleet {
	struct fleet *after; /* its owner's list */
	struct fleet_options options;
	struct program *program; /* NULL: it drains */
	char release[STORE_ID_SIZE];
	uint32_t count; /* of slots */
	struct fleet_slot *slots;
	struct fleet_member *members;
	size_t member_count, member_places;
	bool ready;     /* `ready` was told */
	bool resilient; /* never LOST as long as it may start one again: another fleet serves */
	uint32_t restarts;
	uint32_t grace_ms;
	uint64_t busy_ms; /* when it last had something to do */
	sd_event_source *idle;
	struct proof *proof; /* of its release; NULL: none is being made */
	struct fleet *queue_next;
	bool queued, hurried; /* daemon/start_queue.h */
	uint64_t queued_ms;   /* since when */
};

/* Starts the first COUNT instances. The events come later, never from here. */
int fleet_new(const struct fleet_options *options, struct fleet **ret_fleet, struct error *error);
/* Makes it one of COUNT instances, if it has fewer: `ready` comes again when they are. Returns
 * 1 when there is nothing to wait for. */
int fleet_grow(struct fleet *fleet, uint32_t count, struct error *error);

/* All of them drain together, within the program's grace. Then it starts
 * no more, and the program may go. REASON is what those are said to have ended of that do not
 * drain in time. */
void fleet_drain(struct fleet *fleet, enum end_reason reason, const char *message);
/* Kills all. */
void fleet_kill(struct fleet *fleet, enum end_reason reason, const char *message);
/* Kills what lives and frees; no event comes any more. Takes NULL; returns NULL. */
struct fleet *fleet_free(struct fleet *fleet);

/* Starts another in INSTANCE's place, which drains when that one is ready; if it cannot be
 * started, INSTANCE goes on. Returns -EAGAIN when that was tried a moment ago, -EALREADY when
 * it is under way, -EPERM when INSTANCE serves in no fleet. */
int fleet_replace(struct instance *instance, const char *reason, struct error *error);

/* About once a second, for every instance: has its fleet nothing to do? */
void fleet_watch(struct instance *instance);
/* It has something to do, whatever its workers say: it is not idle. Takes NULL. */
void fleet_touch(struct fleet *fleet);
/* It is wanted now: what waits for its turn starts. Takes NULL. */
void fleet_hurry(struct fleet *fleet);
/* Forgets failures; what waits for its time, or gave up, starts at once. Takes NULL. */
void fleet_reset(struct fleet *fleet);

/* All take NULL. */
bool fleet_is_empty(const struct fleet *fleet);
uint32_t fleet_serving(const struct fleet *fleet);
bool fleet_has(const struct fleet *fleet, uint32_t instance);
/* The one that has served longest, or else the first that starts; or NULL. */
struct instance *fleet_first(const struct fleet *fleet);
/* The TURN-th of those that serve, by some order that comes round again; or NULL. */
struct instance *fleet_pick(const struct fleet *fleet, uint32_t turn);
/* The fleet of INSTANCE, or NULL. */
struct fleet *fleet_of(const struct instance *instance);

/* For `status`: one object for each instance, and for each that should be there and is not. The
 * list does not grow beyond FLEET_DESCRIBED_MAX: an answer has a bound. */
#define FLEET_DESCRIBED_MAX 192
void fleet_describe(const struct fleet *fleet, json_t *list);
