/* The insides of tenantd-ingress: one thread, one epoll. A connection is accepted, its first
 * bytes are looked at in the socket (MSG_PEEK), and it goes to an instance of the tenant that
 * has the site; the process never reads a byte of one that it hands over. */
#pragma once

#include "common/error.h"
#include "common/ingress.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;
struct tenant;
struct world;

/* ---- confine.c ---- */

/* An id of its own without any privilege, no new ones, limits, Landlock, seccomp. After it
 * the process can use the descriptors that it is handed, and nothing else. */
int confine(uint32_t uid, struct error *error);

/* ---- head.c, client_hello.c: pure ---- */

#define HEAD_BYTES_MAX (16 * 1024) /* the worker's HTTP_HEAD_BYTES: it refuses more */
#define HELLO_BYTES_MAX (16 * 1024)

enum parse_result {
	PARSE_MORE, /* all is right so far */
	PARSE_DONE,
	PARSE_BAD,
	PARSE_VERSION,  /* HTTP: neither 1.0 nor 1.1 */
	PARSE_FOREIGN,  /* TLS: not TLS at all. HTTP: TLS */
	PARSE_PROTOCOL, /* TLS: its ALPN offers nothing that we speak */
};

struct http_head {
	char host[SITE_HOST_MAX + 1]; /* "" for an address in brackets */
	char path[SITE_PATH_KEPT];
};
/* The beginning of a connection, up to the end of its Host field. What follows is the
 * worker's to refuse. */
enum parse_result http_head_parse(const char *data, size_t length, struct http_head *ret_head);

struct client_hello {
	char host[SITE_HOST_MAX + 1]; /* "": it names none */
	bool alpn;                    /* it has the extension */
	bool http11, http2;           /* and offers these */
};
enum parse_result client_hello_parse(
	const uint8_t *data, size_t length, struct client_hello *ret_hello);

/* ---- loop.c ---- */

/* Embedded first in whatever waits for a descriptor. */
struct watch {
	void (*ready)(struct watch *watch, uint32_t events);
	int fd; /* -1: none; events that are still on their way are not delivered */
};
int loop_open(struct world *world, struct error *error);
int loop_add(struct world *world, struct watch *watch, uint32_t events);
int loop_change(struct world *world, struct watch *watch, uint32_t events);
/* Call before the descriptor is passed on or closed: epoll would hold on to what others
 * still have. */
void loop_remove(struct world *world, struct watch *watch);
/* Until world->ended. What makes the process wait against its will is interrupted, and
 * whatever hangs ends it, for the supervisor to start another. */
int loop_run(struct world *world, struct error *error);
/* Closes a descriptor that others have, too, without waiting. */
void close_shared(int fd);

/* ---- sites.c ---- */

struct site {
	const char *host, *path; /* in the owner's block */
	struct tenant *tenant;
	bool tls;
};
/* All that is committed, sorted by host. */
struct site_table {
	struct site *items;
	size_t count;
};
/* Replaces what the tenant has; not found by sites_find before sites_commit. */
int sites_stage(struct tenant *tenant, const struct ingress_sites *sites);
int sites_commit(struct world *world);
/* The most specific site; NULL when there is none. PATH NULL: by host alone, among those
 * with a certificate. */
const struct site *sites_find(const struct site_table *table, const char *host, const char *path);

/* ---- tenants.c ---- */

struct instance {
	struct instance *next;
	struct tenant *tenant;
	uint32_t id;
	int channel; /* ours, non-blocking */
	int theirs;  /* the worker's end */
	uint32_t weight;
	bool leaves;    /* it drains, and has said so by closing: REMOVE is on its way */
	int64_t credit; /* what it is owed: smooth weighted round robin */
};

struct site_block { /* one allocation: the sites and their strings */
	size_t count;
	struct site sites[];
};

struct tenant {
	uint32_t id;
	char name[64];
	struct site_block *sites, *staged;
	bool has_staged;
	bool committed;
	bool wait;   /* ingress_state */
	bool wanted; /* WANTED was sent since it last had an instance or a STATE */
	uint32_t waiting;
	struct instance *instances;
};

/* The tenant ID, made if there is none. NULL: no memory. */
struct tenant *tenant_take(struct world *world, uint32_t id);
void tenants_free(struct world *world);
/* Frees those without sites and without instances. */
void tenants_sweep(struct world *world);
/* CHANNEL and THEIRS are taken. */
int instance_add(struct world *world, const struct ingress_instance *message, int channel,
	int theirs, struct error *error);
void instance_set_weight(struct world *world, uint32_t id, uint32_t weight);
void instance_remove(struct world *world, uint32_t id);

enum choice {
	CHOICE_HANDED,
	CHOICE_FULL, /* no instance takes one now */
	CHOICE_NONE, /* there is none */
};
/* Passes FD on; it stays the caller's. */
enum choice tenant_hand_over(struct tenant *tenant, int fd, uint32_t flags);

/* ---- connections.c ---- */

struct listener {
	struct watch watch;
	struct world *world;
	bool tls;
};
/* FD is taken. */
int listener_add(struct world *world, int fd, bool tls, struct error *error);
void listeners_close(struct world *world);
int connections_open(struct world *world, struct error *error);
/* TENANT has an instance, or will get none: those who wait for it go on. */
void connections_retry(struct world *world, struct tenant *tenant);
/* A connection that a worker has not taken. FD is taken. */
void connection_return(struct world *world, struct tenant *tenant, int fd, uint32_t flags);
/* Sees to the deadlines. Returns how many milliseconds until the next; -1: none. */
int connections_tick(struct world *world);
/* At the end of a turn: places of connections that ended in it can be used again. */
void connections_settle(struct world *world);

/* ---- channel.c ---- */

#define CHANNEL_FD 3
int channel_open(struct world *world, struct error *error);
int channel_ready_message(struct world *world, struct error *error);
void channel_want(struct world *world, struct tenant *tenant);

/* ---- everything ---- */

struct connection_list {
	struct connection *first, *last;
};

struct world {
	int epoll;
	struct watch supervisor;
	bool ended;
	int end_code; /* negative errno: why */
	struct ingress_counts *counts;
	struct listener listeners[INGRESS_LISTENERS_MAX];
	size_t listener_count;
	bool accepting;
	uint64_t paused_until_ms; /* no descriptors: do not accept before */
	struct tenant *tenants[INGRESS_TENANTS_MAX];
	struct site_table table;
	/* Of a fixed number, in one mapping, of which only what was used once takes memory. */
	struct connection *connections;
	size_t connection_max, connection_made, connection_used;
	size_t waiting_count; /* of all tenants */
	struct connection_list spare, ending, heads, waiting, answered;
};
