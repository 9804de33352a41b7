/* Any bytes as what a WebSocket client sends, in pieces: frames lie within what was given, and
 * what is legal does not depend on how it arrives. */
#include "ctl/websocket.h"

#include <stdlib.h>
#include <string.h>

#define MOST 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *copy_of(const uint8_t *data, size_t size)
{
	char *copy = malloc(size ? size : 1);
	if (!copy)
		abort();
	if (size)
		memcpy(copy, data, size);
	return copy;
}

/* What the first LENGTH bytes are, in memory that ends where they do. */
static ssize_t parse(const uint8_t *data, size_t length, struct websocket_frame *ret)
{
	char *copy = copy_of(data, length);
	ssize_t used = websocket_parse(copy, length, MOST, ret);
	if (used > 0) {
		if ((size_t)used > length || ret->length > MOST || ret->payload < copy ||
			ret->payload + ret->length != copy + used)
			abort();
		if (ret->opcode >= WEBSOCKET_CLOSE && (!ret->final || ret->length > 125))
			abort();
	}
	free(copy);
	return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct websocket_frame frame;
	for (size_t at = 0; at < size;) {
		const ssize_t whole = parse(data + at, size - at, &frame);
		for (size_t length = 0; length < size - at && length < 32; length++) {
			struct websocket_frame part;
			const ssize_t used = parse(data + at, length, &part);
			if (used > 0 && used != whole)
				abort();
			if (used < 0 && used != whole)
				abort();
		}
		if (whole <= 0)
			break;
		at += (size_t)whole;
	}
	return 0;
}
