/* The worker's end of the channel to tenantd-egress (common/egress.h), which alone
 * resolves names and connects: a worker has no network of its own. One for the process;
 * nothing of it runs, and nothing is sent, before the first request, and without
 * net.connect in the policy nothing ever is: each request is refused at once.
 *
 * A callback is called once, later, from the loop, in a scope of the engine's that is
 * not open; never from inside the function that began the request, and not at all after
 * egress_cancel. When egress crashes, every request under way fails with EGRESS_FAILED
 * and ECONNRESET; those made before the supervisor brought a new channel wait for it, at
 * most EGRESS_RETURN_MS.
 *
 * The worker receives descriptors here. It never sends one: its filter has no call for it. */
#pragma once

#include "common/egress.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define EGRESS_REQUESTS_MAX 1024 /* under way at a time; more are refused: EGRESS_LIMIT */
#define EGRESS_RETURN_MS 5000

struct egress_request; /* from its beginning until its callback, or egress_cancel */

struct egress_result {
	enum egress_refusal refusal; /* 0: it worked */
	int code;                    /* of a refusal: a positive errno, or 0 */
	const char *text;            /* of a refusal, for people: valid during the callback */
	/* egress_connect: the connected socket, non-blocking, close-on-exec: the callback's
	 * to close. -1 otherwise. */
	int fd;
	uint16_t family; /* of the peer: AF_INET, AF_INET6 or AF_UNIX */
	uint16_t port;
	uint8_t address[16]; /* network order */
	/* egress_resolve: the addresses. NULL otherwise; valid during the callback. */
	const struct egress_resolved *resolved;
};

typedef void (*egress_callback)(void *data, const struct egress_result *result);

/* CHANNEL: WORKER_FD_EGRESS, where it was placed; -1 without net.connect. Costs nothing. */
void egress_client_open(int channel);

/* May this worker ask at all? False without net.connect in the policy, or when all of it
 * was dropped. */
bool egress_permitted(void);

/* Connects to HOST (LENGTH bytes: a name or a numeric address, without brackets; egress
 * makes it canonical and looks at every byte) and PORT, or, where UNIX_SOCKET, to the
 * socket at the absolute path HOST. FAMILY: 0, 4 or 6: only such addresses. TIMEOUT_MS: 0
 * for the policy's, never more than that. NULL only when out of memory. */
struct egress_request *egress_connect(const char *host, size_t length, uint16_t port,
	bool unix_socket, unsigned family, uint32_t timeout_ms, egress_callback callback,
	void *data);

/* The addresses of a name that the policy allows for some port. As egress_connect. */
struct egress_request *egress_resolve(const char *host, size_t length, unsigned family,
	uint32_t timeout_ms, egress_callback callback, void *data);

/* Whether the request keeps the program alive: at first it does. */
void egress_reference(struct egress_request *request, bool keeps_alive);

/* Ends the request without its callback; a socket that is on its way is closed. Takes
 * NULL, returns NULL. */
struct egress_request *egress_cancel(struct egress_request *request);

/* Gives up RULE (as the policy spells it), or all with "": connections that are made from
 * now on. Also on every later channel. 0 or -E2BIG, -ENOMEM. */
int egress_drop(const char *rule);

/* The policy's names for the refusals: the `code` that JavaScript's errors carry
 * ("ENOTFOUND", "ECONNREFUSED", "ERR_ACCESS_DENIED" …). Static. */
const char *egress_result_code(const struct egress_result *result);

/* MESSAGE_EGRESS from the supervisor: egress was started anew. FD becomes the client's. */
/* In a thread that starts another: answers for it may be read by this one. */
void egress_client_share(void);
/* In a thread that ends: its requests fail. */
void egress_client_end(void);
void egress_client_new_channel(int fd);
