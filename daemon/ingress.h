/* The supervisor's side of tenantd-ingress, the process that accepts on the ports that tenants
 * share: who has which site, which instances serve, and a channel from it to each of them.
 * The listening sockets stay here: while the process is started again, clients wait in the
 * kernel's queue. (common/ingress.h: the messages.)
 *
 * Without shared ports there is no process, and sites are only kept apart. */
#pragma once

#include "common/error.h"
#include "policy/policy.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>
#include <systemd/sd-event.h>

struct ingress;

#define INGRESS_PORTS_MAX 16 /* of each kind */

/* One --http or --https. */
struct ingress_port {
	const char *address; /* as an entry of net.listen */
	int fd;              /* -1: to be bound; else it listens already, and is taken */
	bool tls;
};

/* Connections wait for TENANT, which has no instance. */
typedef void ingress_wanted_fn(void *data, const char *tenant);

struct ingress_options {
	const char *program; /* path of tenantd-ingress; stays the caller's, as all here */
	uint32_t uid;        /* on the host: its own user and group; not 0 */
	const struct ingress_port *ports;
	size_t port_count;
	ingress_wanted_fn *wanted;
	void *data;
};

/* Binds the ports and starts the process, which accepts nobody yet; its deaths are seen to. */
int ingress_new(sd_event *event, const struct ingress_options *options,
	struct ingress **ret_ingress, struct error *error);
/* All tenants are known: it accepts. */
void ingress_open(struct ingress *ingress);
/* Accepts no more; what was accepted is still handed over. */
void ingress_stop(struct ingress *ingress);
/* The same for a while: the listeners stay open, and nobody is refused. True when all that was
 * accepted has been handed over; else call again. */
bool ingress_pause(struct ingress *ingress);
/* It accepts again. */
void ingress_resume(struct ingress *ingress);
/* The shared ports that it bound itself, for a daemon that takes over: fdstore_restore. */
struct takeover;
json_t *ingress_pack(const struct ingress *ingress, struct takeover *takeover);
/* The certificates of TENANT; and back, before ingress_set_sites: a file that is damaged by now
 * takes nothing away. */
json_t *ingress_pack_certificates(
	const struct ingress *ingress, const char *tenant, struct takeover *takeover);
void ingress_restore_certificates(struct ingress *ingress, const char *tenant, const json_t *packed,
	struct takeover *takeover);
/* Kills the process. Takes NULL; returns NULL. All that follow take NULL for INGRESS. */
struct ingress *ingress_free(struct ingress *ingress);

/* ---- sites ---- */

/* Could TENANT have these? -EADDRINUSE, with ERROR naming the other tenant, when one of them
 * is somebody else's. */
int ingress_check(const struct ingress *ingress, const char *tenant,
	const struct policy_sites *sites, struct error *error);
/* It has these from now on, and no others; all change at once. As ingress_check, and then
 * nothing has changed. SITES stay the caller's. */
int ingress_set_sites(struct ingress *ingress, const char *tenant, const struct policy_sites *sites,
	struct error *error);
/* Reads the certificates of its sites again; instances that run get what changed. What cannot
 * be used is left out, or as it was before, with a word in the log. */
void ingress_renew_certificates(struct ingress *ingress, const char *tenant);
/* Could its certificates be those of SITES? As certificates_read when STRICT. */
int ingress_check_certificates(const struct ingress *ingress, const char *tenant,
	const struct policy_sites *sites, struct error *error);
/* It is removed. */
void ingress_forget(struct ingress *ingress, const char *tenant);
/* What becomes of connections while it has no instance. WAIT (the default): one will come, or
 * is to be asked for. Else 503. */
void ingress_set_wait(struct ingress *ingress, const char *tenant, bool wait);

/* ---- instances ---- */

/* Sends a message, with a descriptor unless FD is -1, to the worker. 0, or a negative errno. */
typedef int ingress_tell_fn(void *data, const void *message, size_t length, int fd);

/* It serves TENANT. Call before it is told to drain: ingress_remove. -EEXIST when it is there. */
int ingress_add(struct ingress *ingress, uint32_t instance, const char *tenant,
	ingress_tell_fn *tell, void *data, struct error *error);
/* Its share of its tenant's connections beside the others' (who begin with 1), at most
 * INGRESS_WEIGHT_MAX; 0: none, until it is something else again. */
void ingress_set_weight(struct ingress *ingress, uint32_t instance, uint32_t weight);
/* It may have any at all, or, while OPEN is false, none. At first it may. */
void ingress_set_open(struct ingress *ingress, uint32_t instance, bool open);
/* No more to it. Connections that it has not taken yet go to others. Nothing when it is not
 * there. */
void ingress_remove(struct ingress *ingress, uint32_t instance);

/* ---- in effect ---- */

/* How long the process may take to go by what it was told; a few microseconds is usual. */
#define INGRESS_SYNC_MS 2000

/* APPLIED false: the process has not answered in time. */
typedef void ingress_synced_fn(void *data, bool applied);
struct ingress_wait;

/* Calls DONE once: when each connection that is made from then on is one that goes by what was
 * said here before; at the latest after INGRESS_SYNC_MS. When that is the case already it is
 * called at once, from within, and *RET_WAIT is NULL. */
void ingress_sync(struct ingress *ingress, ingress_synced_fn *done, void *data,
	struct ingress_wait **ret_wait);
/* DONE is not called any more. Takes NULL; returns NULL. */
struct ingress_wait *ingress_sync_cancel(struct ingress_wait *wait);
/* Is somebody waiting for that? */
bool ingress_syncing(const struct ingress *ingress);

/* ---- for status ---- */

/* {sites, ports, handed, refused, waiting}, or null when it has no site. */
json_t *ingress_describe(const struct ingress *ingress, const char *tenant);
/* 0 when it does not run; and how often it was started. */
pid_t ingress_pid(const struct ingress *ingress);
uint32_t ingress_starts(const struct ingress *ingress);
