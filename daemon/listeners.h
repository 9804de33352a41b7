/* The listening sockets of a tenant. The supervisor binds and owns them, and passes
 * them to each instance, so that a deploy or a restart never closes a port; a free
 * port, once chosen, is kept for the tenant's whole life. The service manager keeps a copy of
 * each over a restart of the daemon (daemon/fdstore.h). */
#pragma once

#include "common/error.h"
#include "common/protocol.h"
#include "policy/policy.h"

#include <stdbool.h>
#include <stdint.h>

#define LISTENER_BACKLOG 511

struct listener {
	int fd;
	bool lent;                             /* by a socket unit: its path stays */
	char name[64];                         /* "" without one */
	char spec[POLICY_NET_TEXT_MAX];        /* as the policy says: "127.0.0.1:0" */
	char address[POLICY_NET_TEXT_MAX + 8]; /* as the worker is told: "tcp:127.0.0.1:8080" */
	char url[POLICY_NET_TEXT_MAX + 8];     /* for a person: "http://127.0.0.1:8080/" */
	uint16_t port;                         /* bound to; 0 for a unix socket */
};

struct listeners {
	size_t count;
	struct listener *items; /* its own; at most WORKER_LISTENERS_MAX */
};

/* The ports that were chosen for "ADDRESS:0" entries. */
#define LISTENER_PORT_SPEC_MAX 160 /* an address of TCP, and a name: not a path */
struct listener_port {
	char spec[LISTENER_PORT_SPEC_MAX];
	uint16_t port;
};
struct listener_ports {
	size_t count;
	struct listener_port items[WORKER_LISTENERS_MAX];
};

/* One more at the end, empty but for its descriptor, -1; not counted yet. Others may move. NULL
 * when there are WORKER_LISTENERS_MAX, or no memory. */
struct listener *listeners_reserve(struct listeners *listeners);

/* Binds what WANTED names: each entry that it lists, also where two look alike (two free
 * ports of one address). An entry that HAVE (may be NULL) has already is shared with
 * it, not bound again. PORTS says which port an entry with port 0 had last; it gets
 * that one if it is free, and another otherwise; PORTS is brought up to date. Either
 * all are bound, or none, and the error names the address and what to do. */
int listeners_open(const struct policy_listeners *wanted, const struct listeners *have,
	struct listener_ports *ports, struct listeners *ret_listeners, struct error *error);

/* Closes all; the path of a unix socket goes too, unless KEEP (may be NULL) has it. At the
 * daemon's end, copies that the service manager keeps stay open, and so do their paths. */
void listeners_close(struct listeners *listeners, const struct listeners *keep);
