/* What it takes to make workers, shared by all tenants: zygotes (one whose workers may
 * compile to machine code, and one, started when first needed, whose workers may not),
 * control groups, user ids, instance numbers; and the control groups of dead workers
 * that could not be removed at once. */
#pragma once

#include "common/error.h"
#include "common/tier.h"
#include "daemon/zygote.h"
#include "sandbox/cgroup.h"

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#define FACTORY_IDS_PER_SLOT 2   /* inside: 0, root of the namespace, and 1, the tenant */
#define FACTORY_SPARE_SLOTS 1024 /* for workers that belong to no tenant, but to a run */
#define FACTORY_UID_INSIDE 1
#define FACTORY_UID_BASE 1879048192 /* where nobody says otherwise */

struct audit;
struct egress;
struct ingress;
struct stock;
struct instance;

/* What forks: each is started when first needed. */
enum factory_kind {
	FACTORY_JIT,      /* tenant-zygote */
	FACTORY_JITLESS,  /* the same, and its workers make no machine code */
	FACTORY_LAUNCHER, /* tenant-launcher: jobs */
	FACTORY_KINDS,
};

struct factory {
	sd_event *event;
	struct cgroup_host *cgroups;
	struct zygote_options zygote_options;
	const char *launcher; /* path of tenant-launcher; set by its owner */
	struct zygote *zygotes[FACTORY_KINDS];
	struct stock *stock;   /* NULL: none; set by its owner */
	struct audit *audit;   /* NULL: none; set by its owner */
	struct egress *egress; /* NULL: nobody connects; set by its owner */
	struct ingress *ingress; /* NULL: no shared ports; set by its owner */
	struct schedules *schedules; /* NULL: none; set by its owner */
	const char *secrets_folder;
	enum tier tier;
	uint32_t own_uid; /* tier single: who all workers are, as we are; else 0 */
	uint32_t uid_base;
	uint32_t slots; /* uid ranges, the spare ones included */
	int null_fd;    /* /dev/null, for reading */

	uint32_t last_instance;
	struct instance *instances; /* all that were made and not yet freed */
	bool spare_used[FACTORY_SPARE_SLOTS];
	uint32_t last_cgroup;
	struct cgroup *spare_cgroup; /* made ahead: it is the dearest part of a start here */
	sd_event_source *spare_timer;
	struct cgroup **graves;
	size_t grave_count;
	sd_event_source *grave_timer;
};

/* Starts the first zygote. CGROUPS stays the caller's and must live longer. */
int factory_open(struct factory *factory, sd_event *event, struct cgroup_host *cgroups,
	const struct zygote_options *options, uint32_t uid_base, uint32_t uid_count,
	struct error *error);
/* Kills the zygotes and removes what graves can be removed within WAIT_MS. */
void factory_close(struct factory *factory, unsigned wait_ms);

/* The zygote for workers of this kind, or the launcher, started if need be. NULL with ERROR
 * filled. */
struct zygote *factory_zygote(struct factory *factory, enum factory_kind kind, struct error *error);

/* Slots below this are for tenants. */
uint32_t factory_tenant_slots(const struct factory *factory);
/* First host id of a slot. */
uint32_t factory_uid(const struct factory *factory, uint32_t slot);
/* All host ids, from factory->uid_base on. */
uint32_t factory_uid_count(const struct factory *factory);
/* A slot for a worker without tenant, or -EUSERS; and back. */
int64_t factory_take_spare(struct factory *factory);
void factory_give_spare(struct factory *factory, int64_t slot);

/* An empty group without limits, the caller's. */
int factory_take_cgroup(struct factory *factory, struct cgroup **ret_cgroup, struct error *error);
/* Kills and removes the group (which it takes), now or as soon as it can be. */
void factory_bury(struct factory *factory, struct cgroup *cgroup);

/* Whether PID is a zygote or a worker, and whether workers may have been forked of which no message
 * has come yet: then an unknown child must not be reaped. */
bool factory_owns(const struct factory *factory, pid_t pid);
bool factory_expects_children(const struct factory *factory);
