/* The whole daemon: what it has, and the order of its start and end. */
#pragma once

#include "common/error.h"
#include "daemon/audit.h"
#include "daemon/control.h"
#include "daemon/events.h"
#include "daemon/factory.h"
#include "daemon/ingress.h"
#include "daemon/start_queue.h"
#include "daemon/state.h"
#include "daemon/stock.h"
#include "daemon/tenant.h"
#include "deploy/store.h"

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

struct takeover;

struct options {
	const char *state_folder;
	const char *socket;
	const char *policy_folder;
	const char *runtime_folder;
	const char *cgroup_name;
	const char *secrets_folder;
	const char *resolv_conf, *hosts; /* of tenantd-egress; NULL: those of /etc */
	const char *ca_file;             /* NULL: the system's bundle */
	uint32_t keep_releases;          /* of each tenant, to roll back to */
	enum tier tier;
	uint32_t warm;
	uint32_t uid_base, uid_count;
	struct ingress_port ports[2 * INGRESS_PORTS_MAX]; /* that tenants share */
	size_t port_count;
	struct takeover *takeover; /* of the daemon before (daemon/reexec.h); NULL: none */
};

struct run;

struct supervisor {
	const struct options *options;
	char zygote_program[4096], launcher_program[4096], snapshot[4096];
	sd_event *event;
	struct store *store;
	int state_fd;  /* the store's */
	int policy_fd; /* policy.d */
	int log_fd;    /* the tenants' logs */
	struct audit *audit;
	struct events *events;
	struct history *history;       /* of releases */
	struct operations *operations; /* of operators */
	struct deploying *deploying;   /* who deploys, and who waits to */
	struct who reloader;           /* who had the policies read again */
	struct reload *reload;         /* NULL: none is under way */
	sd_event_source *sweep;        /* of the store, in a process of its own */
	unsigned sweeps_killed;        /* in a row */
	char egress_program[4096];
	struct egress *egress;
	char ingress_program[4096];
	struct ingress *ingress;
	struct cgroup_host *cgroups;
	struct factory factory;
	struct control *control;
	struct tenant *tenants[STATE_TENANTS_MAX]; /* in the order of their names */
	size_t tenant_count;
	struct code_cache *code_cache; /* that is being made; NULL: none */
	struct run *runs;              /* one-off programs, daemon/run.c */
	unsigned unpacks;              /* archives that are being unpacked */
	unsigned proofs;               /* releases that are being hashed */
	struct start_queue start_queue;
	unsigned last_run;
	bool stopping, save_wanted, prune_wanted, swept;
	bool patient;  /* what is started now may wait for its turn: daemon/start_queue.h */
	bool adopting; /* daemon/adopt.h: whose the children are is not known yet */
	struct pid1_reaper *reaper;
	sd_event_source *settle; /* saves, prunes, tells the service manager, when idle */
	sd_event_source *watch;  /* of what uses CPU time */
	sd_event_source *stop_deadline;
};

/* The start, in its order. ERROR says in one sentence what is missing. -ECANCELED when
 * it was told to end meanwhile. */
int supervisor_start(
	struct supervisor *supervisor, const struct options *options, struct error *error);
/* Serves until it is told to end; all tenants have ended then. */
int supervisor_run(struct supervisor *supervisor, struct error *error);
/* Frees everything, whatever of it there is. */
void supervisor_finish(struct supervisor *supervisor);

/* Begins the end: drains every tenant. A second call kills. */
void supervisor_stop(struct supervisor *supervisor);

struct tenant *supervisor_find(const struct supervisor *supervisor, const char *name);
/* A tenant of this name, in state NEW, with a log and user ids. -EUSERS when full. */
int supervisor_add(struct supervisor *supervisor, const struct state_tenant *record,
	struct tenant **ret_tenant, struct error *error);
/* The tenant is no more; frees it. */
void supervisor_remove(struct supervisor *supervisor, struct tenant *tenant);

/* A user id range that no tenant has, or -EUSERS. */
int64_t supervisor_free_slot(const struct supervisor *supervisor);

/* Writes the state file now. */
int supervisor_save(struct supervisor *supervisor, struct error *error);
/* What has changed, and is seen to as soon as the loop is idle. */
enum supervisor_change {
	CHANGED_STATUS = 1,   /* the service manager is told */
	CHANGED_RECORD = 2,   /* the state file is written */
	CHANGED_RELEASES = 4, /* releases that nobody uses any more are removed */
};
void supervisor_changed(struct supervisor *supervisor, unsigned changes);
/* Looks whether the end has come: call when something has ended. */
void supervisor_check_end(struct supervisor *supervisor);
/* Makes sure that CPU time is watched: call when something has started. */
void supervisor_watch(struct supervisor *supervisor);
