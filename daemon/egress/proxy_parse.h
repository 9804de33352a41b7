/* What a proxy's client says, taken apart: HTTP/1.1 (RFC 9112, RFC 9110 7.6.1) by llhttp,
 * SOCKS5 (RFC 1928) by hand. Pure functions; whatever comes is hostile. */
#pragma once

#include "common/egress.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROXY_HEAD_MAX (16 * 1024)
#define PROXY_RESPONSE_HEAD_MAX (64 * 1024)

struct proxy_request {
	bool tunnel; /* CONNECT */
	char host[EGRESS_HOST_MAX + 1];
	size_t host_length;
	uint16_t port;
	uint64_t body; /* bytes of content that follow; UINT64_MAX: it ends by itself */
	size_t head_length;
	char head[PROXY_HEAD_MAX + 2048]; /* for the upstream; none for a tunnel */
};

/* Parses a request's head at the beginning of DATA. Returns the bytes that it took, 0 when
 * its end is not there yet, or -EBADMSG with an HTTP status and a text in *RET_STATUS and
 * *RET_WHY. */
int proxy_parse_request(const char *data, size_t length, struct proxy_request *ret,
	unsigned *ret_status, const char **ret_why);

/* Rewrites a response's head so that its connection ends with it. Returns the bytes of DATA
 * that it took, 0: not there yet, or -EBADMSG; RET (SIZE bytes) gets *RET_LENGTH bytes.
 * *RET_INTERIM: 1xx, another head follows. */
int proxy_rewrite_response(const char *data, size_t length, char *ret, size_t size,
	size_t *ret_length, bool *ret_interim);

enum {
	SOCKS_OK = 0,
	SOCKS_FAILED = 1,
	SOCKS_DENIED = 2,
	SOCKS_NETWORK_UNREACHABLE = 3,
	SOCKS_HOST_UNREACHABLE = 4,
	SOCKS_REFUSED = 5,
	SOCKS_EXPIRED = 6,
	SOCKS_NO_COMMAND = 7,
	SOCKS_NO_ADDRESS_TYPE = 8,
};

/* A client's greeting: the bytes it took, 0: more is needed, -EBADMSG: none, or none of its
 * methods is "no authentication". */
int socks_parse_greeting(const uint8_t *data, size_t length);
/* Its request, into HOST and PORT. As above; -EBADMSG with the answer in *RET_REPLY. */
int socks_parse_request(
	const uint8_t *data, size_t length, struct proxy_request *ret, uint8_t *ret_reply);
