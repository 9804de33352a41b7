/* As much of TLS as says whose a connection is: the names in a ClientHello (RFC 8446
 * section 4.1.2, RFC 6066 section 3, RFC 7301), which may be spread over several records.
 * Every length is checked against what is around it. */
#include "daemon/ingress/private.h"

#include <string.h>

#define RECORD_HEADER 5
#define RECORD_MAX 16384
#define HANDSHAKE 22
#define CLIENT_HELLO 1
#define EXTENSION_NAME 0
#define EXTENSION_ALPN 16

struct reader {
	const uint8_t *at, *end;
	bool failed;
};

static size_t left(const struct reader *reader)
{
	return (size_t)(reader->end - reader->at);
}

static uint32_t number(struct reader *reader, size_t bytes)
{
	uint32_t value = 0;
	if (reader->failed || left(reader) < bytes) {
		reader->failed = true;
		return 0;
	}
	while (bytes-- > 0)
		value = value << 8 | *reader->at++;
	return value;
}

/* A vector whose length takes BYTES, and is from LEAST to MOST. */
static struct reader vector(struct reader *reader, size_t bytes, size_t least, size_t most)
{
	const size_t length = number(reader, bytes);
	struct reader inner = {reader->at, reader->at, reader->failed};
	if (reader->failed || length > left(reader) || length < least || length > most) {
		reader->failed = inner.failed = true;
		return inner;
	}
	inner.end = inner.at + length;
	reader->at += length;
	return inner;
}

static bool take_names(struct reader extension, struct client_hello *hello)
{
	struct reader list = vector(&extension, 2, 1, 65535);
	const uint32_t type = number(&list, 1);
	struct reader name = vector(&list, 2, 1, 65535);
	/* One name of the one type that there is. */
	if (list.failed || type != 0 || left(&list) > 0 || left(&extension) > 0)
		return false;
	/* No port belongs there, and no address. */
	if (memchr(name.at, ':', left(&name)) || memchr(name.at, '[', left(&name)))
		return false;
	return site_host((const char *)name.at, left(&name), hello->host) == 0;
}

static bool take_protocols(struct reader extension, struct client_hello *hello)
{
	struct reader list = vector(&extension, 2, 2, 65535);
	while (!list.failed && left(&list) > 0) {
		struct reader name = vector(&list, 1, 1, 255);
		hello->http11 |= left(&name) == 8 && memcmp(name.at, "http/1.1", 8) == 0;
		hello->http2 |= left(&name) == 2 && memcmp(name.at, "h2", 2) == 0;
	}
	hello->alpn = true;
	return !list.failed && left(&extension) == 0;
}

static bool take_extensions(struct reader extensions, struct client_hello *hello)
{
	bool named = false;
	while (left(&extensions) > 0) {
		const uint32_t type = number(&extensions, 2);
		struct reader extension = vector(&extensions, 2, 0, 65535);
		if (extensions.failed)
			return false;
		if (type == EXTENSION_NAME) {
			if (named || !take_names(extension, hello))
				return false;
			named = true;
		} else if (type == EXTENSION_ALPN) {
			if (hello->alpn || !take_protocols(extension, hello))
				return false;
		}
	}
	return true;
}

static enum parse_result take_hello(struct reader hello, struct client_hello *ret_hello)
{
	number(&hello, 2);                    /* legacy_version: the extensions say more */
	number(&hello, 4), number(&hello, 4); /* random, 32 bytes */
	for (int i = 0; i < 6; i++)
		number(&hello, 4);
	vector(&hello, 1, 0, 32);    /* session */
	vector(&hello, 2, 2, 65534); /* cipher suites */
	vector(&hello, 1, 1, 255);   /* compression */
	if (hello.failed)
		return PARSE_BAD;
	if (left(&hello) > 0) { /* SSL 3 had no extensions */
		struct reader extensions = vector(&hello, 2, 0, 65535);
		if (hello.failed || left(&hello) > 0 || !take_extensions(extensions, ret_hello))
			return PARSE_BAD;
	}
	return ret_hello->alpn && !ret_hello->http11 && !ret_hello->http2 ? PARSE_PROTOCOL
									  : PARSE_DONE;
}

/* Joins what is there of the records' contents in MESSAGE (HELLO_BYTES_MAX). BAD when they
 * are no handshake; else MORE, and RET_LENGTH. */
static enum parse_result join(
	const uint8_t *data, size_t length, uint8_t *message, size_t *ret_length)
{
	size_t used = 0;
	while (length > 0) {
		if (data[0] != HANDSHAKE || (length > 1 && data[1] != 3))
			return PARSE_BAD;
		if (length < RECORD_HEADER)
			break;
		const size_t size = (size_t)data[3] << 8 | data[4];
		if (size == 0 || size > RECORD_MAX)
			return PARSE_BAD;
		data += RECORD_HEADER;
		length -= RECORD_HEADER;
		const size_t here = size < length ? size : length;
		memcpy(message + used, data, here); /* less than what was peeked in all */
		used += here;
		data += here;
		length -= here;
		/* What follows the message is none of our business. */
		if (used >= 4 && used - 4 >= ((size_t)message[1] << 16 | (size_t)message[2] << 8 |
						     message[3]))
			break;
	}
	*ret_length = used;
	return PARSE_MORE;
}

enum parse_result client_hello_parse(
	const uint8_t *data, size_t length, struct client_hello *ret_hello)
{
	static uint8_t message[HELLO_BYTES_MAX]; /* one thread */
	size_t used;
	*ret_hello = (struct client_hello){0};
	if (length == 0)
		return PARSE_MORE;
	if (data[0] != HANDSHAKE)
		return PARSE_FOREIGN;
	if (length > HELLO_BYTES_MAX)
		length = HELLO_BYTES_MAX;
	if (join(data, length, message, &used) == PARSE_BAD ||
		(used > 0 && message[0] != CLIENT_HELLO))
		return PARSE_BAD;
	if (used < 4)
		return PARSE_MORE;
	const size_t size = (size_t)message[1] << 16 | (size_t)message[2] << 8 | message[3];
	if (size > HELLO_BYTES_MAX - 4)
		return PARSE_BAD;
	if (used - 4 < size)
		return PARSE_MORE;
	return take_hello((struct reader){message + 4, message + 4 + size, false}, ret_hello);
}
