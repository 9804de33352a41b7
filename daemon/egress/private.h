/* The insides of tenantd-egress: one thread, one event loop. A member is a worker or job
 * with what its policy lets it connect to; an attempt is one connection that is being made
 * for it; a relay carries the bytes of its proxy's clients. */
#pragma once

#include "common/egress.h"
#include "common/error.h"
#include "policy/match.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

struct attempt;
struct member;
struct proxy;
struct relay;
struct resolver;
struct resolver_query;

/* ---- confine.c ---- */

struct confine_options {
	uint32_t uid; /* and gid; not 0 */
	const char *resolv_conf, *hosts;
};
/* An id of its own without any privilege, no new ones, limits, Landlock, seccomp. After it
 * the process can read the files of the resolver, and connect. */
int confine(const struct confine_options *options, struct error *error);

/* ---- watchdog.c ---- */

/* The loop, until sd_event_exit. A tenant may make a close(2) of ours wait (SO_LINGER):
 * that is interrupted after a few seconds, and whatever else hangs ends the process, for
 * the supervisor to start another. */
int watchdog_loop(sd_event *event);

/* ---- limits.c ---- */

/* A token bucket: RATE a second, and as many at once. */
struct bucket {
	uint32_t rate;
	uint64_t tokens_milli;
	uint64_t filled_ms;
};
void bucket_init(struct bucket *bucket, uint32_t rate, uint64_t now_ms);
bool bucket_take(struct bucket *bucket, uint64_t now_ms);

/* ---- sockets.c ---- */

/* Closes a descriptor that came from a tenant, or was shared with one, without waiting. */
void close_foreign(int fd);
/* Is it a listening stream socket? */
bool is_listener(int fd);
/* A non-blocking connection to the socket PATH, which no symbolic link leads to. */
int connect_unix(const char *path, int *ret_socket, struct error *error);
/* Begins a connection: the socket, or a negative errno. */
int connect_begin(int family, const uint8_t address[16], uint16_t port);

/* ---- resolve.c ---- */

struct resolver_address {
	int family;
	uint8_t address[16];
};

struct resolver_answer {
	enum egress_refusal refusal; /* 0: there are addresses; NOT_FOUND, DNS_FAILED */
	const char *why;             /* in words */
	size_t count;
	struct resolver_address addresses[EGRESS_ADDRESSES_MAX];
};

/* Called once from the loop, never from resolver_start. */
typedef void resolver_done_fn(void *data, const struct resolver_answer *answer);

int resolver_new(sd_event *event, const char *resolv_conf, const char *hosts,
	struct resolver **ret_resolver, struct error *error);
struct resolver *resolver_free(struct resolver *resolver);
/* FAMILY: 0, 4 or 6. NULL when out of memory, or too many are under way. */
struct resolver_query *resolver_start(struct resolver *resolver, const char *name, unsigned family,
	resolver_done_fn *done, void *data);
/* DONE is not called any more. The query itself goes on until the resolver gives it up. */
void resolver_detach(struct resolver_query *query);

/* ---- connect.c ---- */

/* How an attempt ended. */
struct attempt_result {
	enum egress_refusal refusal; /* 0: it is there */
	int code;
	char text[768]; /* why not, for people */
	int socket;     /* the callee's; -1: none */
	struct resolver_address peer;
	uint16_t port;
	size_t count; /* of a RESOLVE */
	const struct resolver_address *addresses;
};
/* Called once, from the loop, never from attempt_start. */
typedef void attempt_done_fn(void *data, struct attempt_result *result);

struct attempt_options {
	const char *host; /* HOST_LENGTH bytes, any */
	size_t host_length;
	uint16_t port;
	bool unix_socket;
	bool resolve_only;
	unsigned family; /* 0, 4, 6 */
	uint32_t timeout_ms;
	attempt_done_fn *done;
	void *data;
};
/* Begins. Returns NULL when out of memory; DONE is not called then. */
struct attempt *attempt_start(struct member *member, const struct attempt_options *options);
/* DONE is not called any more. */
void attempt_cancel(struct attempt *attempt);
/* All of a member's, with what the resolver still holds for it. */
void attempts_end(struct member *member);

/* ---- channel.c ---- */

/* This process. */
struct world {
	sd_event *event;
	int supervisor;
	sd_event_source *supervisor_source;
	int route; /* common/route.h */
	struct resolver *resolver;
	struct member *members;
	uint64_t audits_lost;
};

struct request;

struct member {
	struct member *next;
	struct world *world;
	uint32_t instance;
	char tenant[64];
	uint32_t audit; /* enum policy_audit */
	bool may_proxy;
	uint32_t concurrent;
	uint32_t timeout_ms;
	struct bucket bucket;
	struct bucket audits; /* more are not told: the supervisor's channel is everybody's */
	struct policy_net_rules connect, deny;
	int channel;
	sd_event_source *channel_source;
	uint32_t under_way; /* attempts, those that only the resolver still holds included */
	struct attempt *attempts;
	struct request *requests; /* of its channel */
	struct proxy *proxy;
};

/* Watches the supervisor's channel. */
int world_start(struct world *world, struct error *error);
void world_finish(struct world *world);
/* Tells the supervisor of a decision, if the member's policy asks for it. */
void member_audit(struct member *member, bool allowed, const char *resource, const char *reason);

/* ---- rules.c ---- */

/* Parses COUNT rules into RULES, for rules_free. */
int rules_parse(struct policy_net_rules *rules, const char *const *texts, size_t count,
	struct error *error);
void rules_free(struct policy_net_rules *rules);
/* TEXT is given up: every rule of CONNECT that is it goes, and DENY gets it, so that wider
 * rules do not allow it; "" is everything. Returns 1 when something was given up by it, 0 when
 * it had been before, -EINVAL when it is no rule. */
int rules_drop(struct policy_net_rules *connect, struct policy_net_rules *deny, const char *text,
	struct error *error);

/* ---- proxy.c, proxy_client.c ---- */

/* Serves the clients of LISTENER, which is taken. */
int proxy_new(struct member *member, int listener, struct proxy **ret_proxy, struct error *error);
struct proxy *proxy_free(struct proxy *proxy);

struct proxy_client;
struct proxy {
	struct member *member;
	int listener;
	sd_event_source *source, *again;
	struct proxy_client *clients;
	uint32_t client_count;
};
/* FD is taken, also on failure. */
int proxy_client_new(struct proxy *proxy, int fd);
void proxy_client_free(struct proxy_client *client);
/* A client has gone: there is room for another. */
void proxy_has_room(struct proxy *proxy);

/* ---- relay.c ---- */

/* It ended: 0, or a negative errno. The callee frees it. */
typedef void relay_done_fn(void *data, int result);
struct relay_options {
	int client, upstream; /* taken, also on failure */
	const char *before;   /* bytes for the upstream that come first */
	size_t before_length;
	const char *greeting; /* and for the client; NULL: none */
	size_t greeting_length;
	uint64_t limit; /* most bytes more from the client; UINT64_MAX: all */
	bool http;      /* the upstream's answer is HTTP: to end its connection */
	relay_done_fn *done;
	void *data;
};
int relay_new(sd_event *event, const struct relay_options *options, struct relay **ret_relay);
struct relay *relay_free(struct relay *relay);
