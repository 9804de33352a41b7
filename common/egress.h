/* The messages of tenantd-egress, the one process that resolves names and connects to
 * the world (SOCK_SEQPACKET, common/message.h; checked as common/protocol.h says).
 *
 *   egress -> supervisor   READY       it is confined and serves
 *                          AUDIT       a decision about a connection
 *   supervisor -> egress   ADD         a worker or job, what it may; with its channel
 *                          FORGET      it is gone
 *   worker -> egress       CONNECT     to a name or address, and a port
 *                          RESOLVE     a name that it may connect to
 *                          CANCEL      a CONNECT or RESOLVE, by its id
 *                          DROP        a rule, or all: less from now on
 *                          PROXY       a listening socket: be its proxy (jobs; once)
 *   egress -> worker       CONNECTED   with the socket
 *                          RESOLVED    addresses
 *                          REFUSED     why not
 *
 * A worker's channel stands for what it may: nothing in a message says who sends it. */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum egress_type {
	EGRESS_READY = 1,
	EGRESS_AUDIT,
	EGRESS_ADD,
	EGRESS_FORGET,
	EGRESS_CONNECT,
	EGRESS_RESOLVE,
	EGRESS_CANCEL,
	EGRESS_DROP,
	EGRESS_PROXY,
	EGRESS_CONNECTED,
	EGRESS_RESOLVED,
	EGRESS_REFUSED,
	EGRESS_TYPE_COUNT,
};

#define EGRESS_HOST_MAX 1024     /* what a tenant may ask for; a longer one is refused */
#define EGRESS_ADDRESSES_MAX 32  /* of one name that are looked at */
#define EGRESS_MESSAGE_MAX 65536 /* ADD may be longer: MESSAGE_LENGTH_MAX */

/* All messages begin with it. ID: of the instance between supervisor and egress, of
 * the request between worker and egress. */
struct egress_header {
	uint32_t type; /* enum egress_type */
	uint32_t id;
};

/* Descriptor of ADD: egress's end of the channel. */
struct egress_add {
	const char *tenant;
	uint32_t audit;           /* enum policy_audit */
	bool proxy;               /* PROXY is allowed: a job */
	uint32_t concurrent;      /* most requests, and relays of its proxy, under way */
	uint32_t rate_per_second; /* most connections begun in a second; bursts of as many */
	uint32_t timeout_ms;      /* most time for one connection, the name included */
	size_t connect_count, deny_count;
	const char *connect[256], *deny[256]; /* as policy_net_rule_parse takes them */
};

struct egress_connect {
	struct egress_header header;
	uint16_t port;       /* not for unix */
	uint8_t unix_socket; /* HOST is an absolute path */
	uint8_t family;      /* 0, 4 or 6: only such addresses */
	uint32_t timeout_ms; /* 0: as ADD says; never more */
			     /* then HOST; its length is the message's rest, NULs are seen */
};

/* RESOLVE: as CONNECT, port 0: a name that some rule allows for some port. */

enum egress_refusal {
	EGRESS_DENIED = 1, /* by the policy */
	EGRESS_BAD_HOST,   /* neither a name nor an address */
	EGRESS_NOT_FOUND,  /* the name has no address */
	EGRESS_DNS_FAILED, /* the resolver does not answer, or answers an error */
	EGRESS_TIMED_OUT,
	EGRESS_CONNECT_FAILED, /* CODE is connect's errno */
	EGRESS_LIMIT,          /* too many, or too fast */
	EGRESS_FAILED,         /* egress itself: CODE */
};

/* Descriptor of CONNECTED: the socket, non-blocking, close-on-exec. */
struct egress_connected {
	struct egress_header header;
	uint16_t port;
	uint16_t family;     /* AF_INET, AF_INET6, AF_UNIX */
	uint8_t address[16]; /* of the peer, network order */
};

struct egress_resolved {
	struct egress_header header;
	uint32_t count;
	struct {
		uint32_t family; /* AF_INET, AF_INET6 */
		uint8_t address[16];
	} addresses[EGRESS_ADDRESSES_MAX];
};

struct egress_refused {
	struct egress_header header;
	uint32_t refusal; /* enum egress_refusal */
	int32_t code;     /* errno, 0 */
			  /* then the text, NUL-terminated: for people */
};

/* DROP: the rule's text behind the header, NUL-terminated; "" drops all. */

/* AUDIT: who, what, and the decision. */
struct egress_audit {
	struct egress_header header;
	uint32_t allowed; /* 0 or 1 */
			  /* then the resource ("example.com:443 (93.184.216.34)") and the
			     reason, both NUL-terminated */
};

/* ADD. Encodes to SIZE bytes: the length, or -EMSGSIZE. Decodes in place; strings stay
 * in DATA. */
ssize_t egress_add_encode(const struct egress_add *add, uint32_t instance, void *data, size_t size);
int egress_add_decode(
	const void *data, size_t length, struct egress_add *ret_add, struct error *error);
