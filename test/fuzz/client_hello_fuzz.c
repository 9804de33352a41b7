/* Any bytes as a ClientHello: what is decided early stays decided, and a name is canonical. */
#include "common/cleanup.h"
#include "daemon/ingress/private.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct client_hello whole, part;
	char host[SITE_HOST_MAX + 1];
	cleanup_free uint8_t *copy = malloc(size + !size);
	require(copy != NULL);
	memcpy(copy, data, size);
	const enum parse_result result = client_hello_parse(copy, size, &whole);
	if (result == PARSE_DONE && whole.host[0])
		require(site_host(whole.host, strlen(whole.host), host) == 0 &&
			strcmp(host, whole.host) == 0);
	const size_t step = size / 64 + 1;
	for (size_t length = 0; length < size; length += step) {
		cleanup_free uint8_t *begin = malloc(length + !length);
		require(begin != NULL);
		memcpy(begin, data, length);
		const enum parse_result early = client_hello_parse(begin, length, &part);
		require(early == PARSE_MORE || early == result);
		if (early == PARSE_DONE)
			require(strcmp(part.host, whole.host) == 0);
	}
	return 0;
}
