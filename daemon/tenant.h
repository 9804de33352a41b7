/* One tenant: its state, its instances, its listeners, and whoever waits for it. Events
 * go through the table of daemon/machine.h; this file carries its actions out. */
#pragma once

#include "common/error.h"
#include "daemon/backoff.h"
#include "daemon/instance.h"
#include "daemon/logs.h"
#include "daemon/machine.h"
#include "daemon/program.h"
#include "daemon/state.h"

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#define TENANT_DRAINING_MAX 6

struct supervisor;

/* A release or policy that is being tried. */
struct deployment {
	struct program *program;
	char *policy_text; /* to be installed with it; NULL: none */
};

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
	struct program *program;      /* NULL: not loaded, or never deployed */
	struct deployment *candidate; /* NULL: no deployment under way */
	struct instance *current;     /* serves */
	struct instance *next;        /* starts */
	struct instance *draining[TENANT_DRAINING_MAX];
	struct backoff backoff;
	sd_event_source *backoff_timer;
	uint32_t backoff_ms;
	struct tenant_log *log;
	struct waiter *waiters;
	uint64_t since_us; /* when it came into its state */
	uint64_t ready_us; /* how long the last start took */
	uint32_t restarts; /* by itself, since the last time that the operator touched it */
	char reason[128];  /* why it is in its state */
	char start_error[INSTANCE_MESSAGE_MAX + 128]; /* why the last start failed */
	struct instance_end last_end;                 /* reason END_NONE: none yet */
};

/* Puts EVENT through the table and does what it says, and all that follows from it. The
 * tenant may be gone afterwards. -EPERM when the event is not possible in its state. */
int tenant_handle(struct tenant *tenant, enum tenant_event event, const char *reason);

/* Tries DEPLOYMENT (taken, also on failure). -EBUSY when another is under way, -EPERM in
 * a state that cannot. The outcome goes to whoever waits for WAIT_UP. */
int tenant_deploy(struct tenant *tenant, struct deployment *deployment, const char *reason,
	struct error *error);
struct deployment *deployment_free(struct deployment *deployment, const struct listeners *keep);

/* DONE is called once, later or from within the next tenant_handle; unless it is taken
 * back by tenant_forget_waiter. */
int tenant_wait(struct tenant *tenant, enum waiter_goal goal, waiter_fn *done, void *data);
void tenant_forget_waiter(struct tenant *tenant, const void *data);

/* Reads its release and policy, so that `status` can tell of them; an error is logged and
 * comes again with the next start. */
void tenant_load(struct tenant *tenant);
/* A policy that was read again. Takes POLICY. */
void tenant_new_policy(struct tenant *tenant, struct policy *policy, const char *file);

/* Kills every instance at once. */
void tenant_kill(struct tenant *tenant);
bool tenant_is_empty(const struct tenant *tenant);
/* Frees it, with whatever still runs. */
struct tenant *tenant_free(struct tenant *tenant);

/* What `list` and `status` say of it. NULL when out of memory. daemon/tenant_json.c */
json_t *tenant_describe(const struct tenant *tenant);
json_t *instance_end_describe(const struct instance_end *end);
