/* WebSocket (RFC 6455), the server's side of it: bytes in, bytes out, no sockets. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum websocket_opcode {
	WEBSOCKET_CONTINUATION = 0,
	WEBSOCKET_TEXT = 1,
	WEBSOCKET_BINARY = 2,
	WEBSOCKET_CLOSE = 8,
	WEBSOCKET_PING = 9,
	WEBSOCKET_PONG = 10,
};

#define WEBSOCKET_HEAD_MAX 10 /* bytes of a head that a server sends */
#define WEBSOCKET_ACCEPT_SIZE 29

struct websocket_frame {
	bool final;
	enum websocket_opcode opcode;
	char *payload; /* in what was given, unmasked in place */
	size_t length;
};

/* Sec-WebSocket-Accept for Sec-WebSocket-Key. */
void websocket_accept(const char *key, char ret[WEBSOCKET_ACCEPT_SIZE]);

/* The frame that DATA begins with. Returns how many bytes it has, 0 when that is more than
 * LENGTH, -EBADMSG for what no client may send, -EMSGSIZE for a payload above MOST. */
ssize_t websocket_parse(char *data, size_t length, size_t most, struct websocket_frame *ret);

/* The head of a whole message with LENGTH bytes. Returns its own length. */
size_t websocket_head(
	uint8_t head[WEBSOCKET_HEAD_MAX], enum websocket_opcode opcode, uint64_t length);
