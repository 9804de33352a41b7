/* The messages of tenantd-ingress, which accepts on the ports that tenants share and hands
 * each connection to a worker (SOCK_SEQPACKET, common/message.h; checked as
 * common/protocol.h says).
 *
 *   ingress -> supervisor   READY      it is confined and serves
 *                           WANTED     connections wait for a tenant that has no instance
 *                           APPLIED    all that came before that SYNC is in effect
 *   supervisor -> ingress   COUNTS     the page to count in (first)
 *                           LISTEN     a listening socket
 *                           SITES      what a tenant has, all of it; counts from COMMIT on
 *                           COMMIT     the SITES since the last one, all at once
 *                           STATE      what to do while a tenant has no instance
 *                           INSTANCE   a worker, with both ends of its channel
 *                           WEIGHT     its share of its tenant's connections
 *                           REMOVE     no more to that worker; what it has not taken from
 *                                      its channel is another's
 *                           STOP       accept no more
 *                           SYNC       to be answered by APPLIED
 *
 * What goes over a worker's channel is struct handover, common/protocol.h. */
#pragma once

#include "common/error.h"
#include "common/site.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum ingress_type {
	INGRESS_READY = 1,
	INGRESS_WANTED,
	INGRESS_COUNTS,
	INGRESS_LISTEN,
	INGRESS_SITES,
	INGRESS_COMMIT,
	INGRESS_STATE,
	INGRESS_INSTANCE,
	INGRESS_WEIGHT,
	INGRESS_REMOVE,
	INGRESS_STOP,
	INGRESS_SYNC,
	INGRESS_APPLIED,
	INGRESS_TYPE_COUNT,
};

#define INGRESS_TENANTS_MAX 4096 /* ids are below */
#define INGRESS_SITES_MAX 256    /* of one tenant */
#define INGRESS_LISTENERS_MAX 16
#define INGRESS_WEIGHT_MAX 100000

/* All messages begin with it. ID: of the tenant (WANTED, SITES, STATE), of the instance
 * (INSTANCE, WEIGHT, REMOVE), a number that rises (SYNC, APPLIED), 0 for none. */
struct ingress_header {
	uint32_t type; /* enum ingress_type */
	uint32_t id;
};

/* Descriptor of COUNTS: a memfd of one struct ingress_counts, sealed in size. The supervisor
 * reads it for `status` and trusts none of it: it copies once and takes each for a number. It
 * outlives the process. */
struct ingress_tenant_counts {
	uint64_t handed;  /* connections that workers got */
	uint64_t refused; /* answered with 503: all full, or not to be waited for */
	uint64_t waiting; /* now */
};
struct ingress_counts {
	uint64_t accepted;
	uint64_t unknown;   /* of no site: 404, unrecognized_name */
	uint64_t malformed; /* no HTTP, no TLS, no Host */
	uint64_t late;      /* head not complete in time, or given up for another */
	uint64_t pending;   /* now: heads that are being waited for */
	struct ingress_tenant_counts tenants[INGRESS_TENANTS_MAX];
};

/* Descriptor of LISTEN: the socket. */
struct ingress_listen {
	struct ingress_header header;
	uint32_t tls; /* 0 or 1 */
};

/* SITES. COUNT 0: the tenant is forgotten. Pointers are into the message. */
struct ingress_sites {
	const char *tenant;
	size_t count;
	struct ingress_site {
		const char *host, *path; /* canonical */
		bool tls;                /* its tenant has a certificate for it */
	} sites[INGRESS_SITES_MAX];
};

/* A tenant has no STATE before its first SITES are committed: its connections wait. */
struct ingress_state {
	struct ingress_header header;
	uint32_t wait; /* 1: an instance will come, or can be asked for by WANTED. 0: 503 */
};

/* Descriptors of INSTANCE: ingress's end, and the worker's, which ingress reads only once the
 * worker does not any more. */
struct ingress_instance {
	struct ingress_header header;
	uint32_t tenant;
	uint32_t weight;
};

struct ingress_weight {
	struct ingress_header header;
	uint32_t weight; /* 0 to INGRESS_WEIGHT_MAX; 0: none, while it is not forgotten */
};

/* SITES. Encodes to SIZE bytes: the length, or -EMSGSIZE. Decodes in place. */
ssize_t ingress_sites_encode(
	const struct ingress_sites *sites, uint32_t id, void *data, size_t size);
int ingress_sites_decode(
	const void *data, size_t length, struct ingress_sites *ret_sites, struct error *error);
