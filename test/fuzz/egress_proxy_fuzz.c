/* Any bytes as what a proxy's client, or its upstream, says. What goes on to the upstream
 * must be one head, that parses again and to the same target; nothing else may be in it. */
#include "common/cleanup.h"
#include "daemon/egress/proxy_parse.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void fuzz_request(const char *data, size_t size)
{
	static struct proxy_request request;
	unsigned status = 0;
	const char *why = NULL;
	int used = proxy_parse_request(data, size, &request, &status, &why);
	if (used < 0) {
		require(used == -EBADMSG && status >= 400 && status < 600 && why);
		return;
	}
	if (used == 0) {
		require(size < PROXY_HEAD_MAX);
		return;
	}
	require((size_t)used <= size && used <= PROXY_HEAD_MAX && request.port > 0);
	require(request.host_length > 0 && request.host_length <= EGRESS_HOST_MAX);
	if (request.tunnel)
		return;
	const char *end = memmem(request.head, request.head_length, "\r\n\r\n", 4);
	require(end && end + 4 == request.head + request.head_length);
	require(memchr(request.head, '\0', request.head_length) == NULL);
}

static void fuzz_response(const char *data, size_t size)
{
	static char out[PROXY_RESPONSE_HEAD_MAX + 4096];
	size_t length = 0;
	bool interim = false;
	int used = proxy_rewrite_response(data, size, out, sizeof out, &length, &interim);
	if (used <= 0)
		return;
	require((size_t)used <= size && length <= sizeof out);
	const char *end = memmem(out, length, "\r\n\r\n", 4);
	require(end && end + 4 == out + length);
	require(interim || memmem(out, length, "\r\nConnection: close\r\n", 21));
}

static void fuzz_socks(const uint8_t *data, size_t size)
{
	static struct proxy_request request;
	uint8_t reply = 0;
	int used = socks_parse_greeting(data, size);
	require(used == -EBADMSG || (size_t)used <= size);
	used = socks_parse_request(data, size, &request, &reply);
	require(used == -EBADMSG || (size_t)used <= size);
	require(used > 0 ? request.host_length <= 255 : used == 0 || reply > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *copy = malloc(size + !size);
	require(copy != NULL);
	memcpy(copy, data, size);
	fuzz_request(copy, size);
	fuzz_response(copy, size);
	fuzz_socks((const uint8_t *)copy, size);
	return 0;
}
