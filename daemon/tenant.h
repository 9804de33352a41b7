/* One tenant: its state, its instances, its listeners, and whoever waits for it. Events
 * go through the table of daemon/machine.h; daemon/tenant.c carries its actions out. What its
 * instances do is daemon/tenant_fleet.c's concern, deployments are daemon/tenant_deploy.c's,
 * and who waits is daemon/tenant_wait.c's. */
#pragma once

#include "common/error.h"
#include "daemon/backoff.h"
#include "daemon/deaths.h"
#include "daemon/fleet.h"
#include "daemon/instance.h"
#include "daemon/logs.h"
#include "daemon/machine.h"
#include "daemon/program.h"
#include "daemon/schedule.h"
#include "daemon/split.h"
#include "daemon/state.h"

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#define TENANT_DRAINING_MAX 6 /* fleets */

/* How long at least a new release is watched: one that fails within that time is rolled
 * back. */
#define TENANT_HEALTHY_MS 10000

struct supervisor;

enum deployment_strategy {
	DEPLOY_ALL_AT_ONCE,
	DEPLOY_CANARY, /* serves beside what runs until tenant_promote or tenant_abort_candidate */
};

/* A release or policy that is being tried. */
struct deployment {
	struct program *program;
	char *policy_text; /* to be installed with it; NULL: none */
	enum deployment_strategy strategy;
	uint32_t canary_instances;      /* how many; 0: by the weight, or one */
	uint32_t canary_weight_percent; /* of new connections, 1 to 99; 0: as the kernel likes */
	uint64_t min_healthy_ms;        /* 0: tenant.json's */
	char *who;                      /* NULL: the daemon itself */
	uint64_t since_us;              /* set by tenant_deploy */
	bool automatic;                 /* a rollback of the daemon's own */
	bool policy_remove;             /* the operator's file goes: there was none before */
	char *policy_before;            /* that policy_text took the place of; set when it did */
};

/* What a release that has just taken over is rolled back to. */
struct fallback;

struct tenant;

/* Who waits for what. */
enum waiter_goal {
	WAIT_UP,   /* until what starts is ready, or has failed */
	WAIT_DOWN, /* until it is stopped */
	WAIT_GONE, /* until it is removed */
};

/* RESULT is 0, or a negative errno with MESSAGE. TENANT is still valid, if only just. */
typedef void waiter_fn(void *data, struct tenant *tenant, int result, const char *message);

struct waiter {
	struct waiter *next;
	enum waiter_goal goal;
	waiter_fn *done;
	void *data;
};

struct tenant {
	struct supervisor *supervisor;
	struct state_tenant record;
	struct machine machine;
	bool adopted; /* from the daemon before: daemon/adopt.h */
	struct program *program;      /* NULL: not loaded, or never deployed */
	struct deployment *candidate; /* NULL: no deployment under way */
	struct fleet *active;         /* serves */
	struct fleet *next;           /* starts, or is tried: of the candidate, if there is one */
	struct fleet *draining;       /* the last first */
	struct split *split;          /* a canary with a weight; else NULL */
	struct fallback *fallback;    /* NULL: nothing to roll back to on our own */
	struct backoff backoff;
	sd_event_source *timer;    /* of its state: backoff, or the healthy time */
	sd_event_source **watched; /* its listeners, while it sleeps: watched_count */
	size_t watched_count;
	uint32_t backoff_ms;
	uint64_t trial_until_ms; /* CLOCK_MONOTONIC: a canary that fails before is dropped */
	struct tenant_log *log;
	struct waiter *waiters;
	uint64_t since_us; /* when it came into its state */
	uint64_t ready_us; /* how long the last start took */
	uint32_t restarts; /* by itself, since the last time that the operator touched it */
	char reason[128];  /* why it is in its state */
	char *start_error; /* why the last start failed; NULL: it did not */
	struct instance_end *last_end;   /* NULL: none yet */
	struct deaths *deaths;           /* NULL: none yet */
	const struct fleet_death *about; /* what the next change of state comes from, or NULL */
};

/* Puts EVENT through the table and does what it says, and all that follows from it. The
 * tenant may be gone afterwards. -EPERM when the event is not possible in its state. */
int tenant_handle(struct tenant *tenant, enum tenant_event event, const char *reason);

/* Tries DEPLOYMENT (taken, also on failure). -EBUSY when another is under way, -EPERM in
 * a state that cannot. The outcome goes to whoever waits for WAIT_UP. */
int tenant_deploy(struct tenant *tenant, struct deployment *deployment, const char *reason,
	struct error *error);
/* The canary takes over: what is missing of its instances starts, then the old ones drain. Of
 * one that has yet to prove itself: it need not any longer. -EPERM when there is neither. The
 * outcome goes to whoever waits for WAIT_UP. */
int tenant_promote(struct tenant *tenant, const char *reason, struct error *error);
/* Drops the deployment under way, canary or not; what served before goes on alone. -EPERM when
 * there is none. Who waits for WAIT_UP is told REASON. */
int tenant_abort_candidate(struct tenant *tenant, const char *reason, struct error *error);

/* Is INSTANCE (its id) one of the deployment that is under way? */
bool tenant_is_candidate(const struct tenant *tenant, uint32_t instance);

/* There is something for it to do: one that sleeps (idle) starts. -EPERM when it does not
 * run, and is not about to. */
int tenant_wake(struct tenant *tenant);
/* The TURN-th of the instances that serve its active release; NULL: none does. */
struct instance *tenant_pick(const struct tenant *tenant, uint32_t turn);
struct deployment *deployment_free(struct deployment *deployment, const struct listeners *keep);

/* DONE is called once, later or from within the next tenant_handle; unless it is taken
 * back by tenant_forget_waiter. */
int tenant_wait(struct tenant *tenant, enum waiter_goal goal, waiter_fn *done, void *data);
void tenant_forget_waiter(struct tenant *tenant, const void *data);

/* For schedules_open. */
extern const struct schedule_calls tenant_schedule_calls;

/* Reads its release and policy, so that `status` can tell of them; an error is logged and
 * comes again with the next start. */
void tenant_load(struct tenant *tenant);
/* A policy that was read again. Takes POLICY. */
void tenant_new_policy(struct tenant *tenant, struct policy *policy, const char *file);

/* Says what befell it in `tenantctl events`. INSTANCE and MESSAGE (escaped) may be NULL. */
void tenant_note(const struct tenant *tenant, const char *name, const char *reason,
	const struct instance *instance, const char *message);

/* Calls TAKE with each release that it uses, or may go back to on its own. */
typedef void release_fn(void *data, const char *release);
void tenant_releases(const struct tenant *tenant, release_fn *take, void *data);
/* Does it serve? Also: would the next connection be served? */
bool tenant_serves(const struct tenant *tenant);

/* Kills every instance at once. */
void tenant_kill(struct tenant *tenant);
bool tenant_is_empty(const struct tenant *tenant);
/* Frees it, with whatever still runs. */
struct tenant *tenant_free(struct tenant *tenant);

/* What `list` and `status` say of it. NULL when out of memory. daemon/tenant_json.c */
json_t *tenant_describe(const struct tenant *tenant);
json_t *instance_end_describe(const struct instance_end *end);
