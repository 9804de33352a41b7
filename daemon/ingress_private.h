/* What daemon/ingress.c and daemon/ingress_sites.c share. */
#pragma once

#include "common/ingress.h"
#include "common/protocol.h"
#include "daemon/certificates.h"
#include "daemon/helper_process.h"
#include "daemon/ingress.h"
#include "daemon/listeners.h"

/* A tenant that has sites, or an instance. */
struct ingress_tenant {
	struct ingress_tenant *next;
	uint32_t id; /* of ingress's own; a place in the counts */
	char name[64];
	struct policy_sites sites;
	struct certificates *certificates;   /* of them; NULL: none, or no port for them */
	struct ingress_tenant_counts before; /* of whoever had its place in the counts */
	bool wait;
	bool sites_due, wait_due; /* the process does not know yet */
	bool removed;             /* goes when the process has been told */
};

struct ingress_member {
	struct ingress_member *next;
	struct ingress_tenant *tenant;
	uint32_t instance;
	uint32_t weight;
	bool shut;       /* its readiness probe does not pass: as if its weight were 0 */
	bool attached;   /* it has a channel: ours is sent, or to be sent */
	bool weight_due; /* as sites_due */
	int mine, its;   /* until they are sent */
	ingress_tell_fn *tell;
	void *data;
};

/* Who waits until the process goes by what it was told: daemon/ingress_sync.c. */
struct ingress_sync {
	struct ingress_wait *waits;
	uint64_t sent;      /* messages, of all there were */
	uint64_t asked_at;  /* SENT when SYNC was sent last */
	uint64_t in_effect; /* SENT, as far as the process has said */
	uint32_t number;    /* of the SYNC sent last */
	bool due;           /* another is to be sent */
};

struct ingress {
	struct ingress_options options;
	sd_event *event;
	struct helper_process process;
	struct helper_restart restart;
	struct listeners listeners[2]; /* plain, TLS */
	struct ingress_counts *counts;
	int counts_fd;
	struct ingress_tenant *tenants;
	struct ingress_member *members;
	struct ingress_sync sync;
	uint32_t last_id, starts;
	size_t listeners_sent;
	bool counts_sent, commit_due, open, stopping, paused;
};

/* A copy that is the caller's. -ENOMEM. */
int ingress_sites_copy(const struct policy_sites *from, struct policy_sites *ret_sites);
bool ingress_sites_equal(const struct policy_sites *a, const struct policy_sites *b);
/* As ingress_check. */
int ingress_sites_check(const struct ingress_tenant *tenants, const char *tenant,
	const struct policy_sites *sites, struct error *error);
/* What the process is told of TENANT. */
ssize_t ingress_sites_message(const struct ingress_tenant *tenant, void *data, size_t size);
/* What a worker of TENANT is told. */
ssize_t ingress_worker_message(const struct ingress_tenant *tenants,
	const struct ingress_tenant *tenant, uint32_t instance, void *data, size_t size);

/* ---- ingress_sync.c, for ingress.c ---- */

/* The number of the SYNC that is sent now. */
uint32_t ingress_sync_number(struct ingress *ingress);
/* The process has answered that of NUMBER; or it is gone, and the next one begins with all that
 * was to be known. */
void ingress_sync_applied(struct ingress *ingress, uint32_t number);
void ingress_sync_died(struct ingress *ingress);
void ingress_sync_clear(struct ingress *ingress);

/* ---- ingress.c, for ingress_takeover.c and ingress_sync.c ---- */

/* Tells the process what it does not know yet, as much as its channel takes. */
void ingress_send_due(struct ingress *ingress);

/* NULL: it has no site, and no instance. */
struct ingress_tenant *ingress_find(const struct ingress *ingress, const char *name);
/* The same, made if need be. */
struct ingress_tenant *ingress_take(struct ingress *ingress, const char *name, struct error *error);
