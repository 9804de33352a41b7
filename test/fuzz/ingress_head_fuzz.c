/* Any bytes as the beginning of a request: what is decided early stays decided however many
 * bytes follow, and what it says is canonical. */
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

static void check(const struct http_head *head)
{
	char host[SITE_HOST_MAX + 1], path[SITE_PATH_KEPT];
	require(head->path[0] == '/');
	require(site_path(head->path, strlen(head->path), path) == 0);
	require(strlen(head->path) == SITE_PATH_KEPT - 1 || strcmp(path, head->path) == 0);
	if (head->host[0] == '\0')
		return;
	require(site_host(head->host, strlen(head->host), host) == 0);
	require(strcmp(host, head->host) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_head whole = {0}, part = {0};
	cleanup_free char *copy = malloc(size + !size);
	require(copy != NULL);
	memcpy(copy, data, size);
	const enum parse_result result = http_head_parse(copy, size, &whole);
	if (result == PARSE_DONE)
		check(&whole);
	const size_t step = size / 64 + 1;
	for (size_t length = 0; length < size; length += step) {
		cleanup_free char *begin = malloc(length + !length);
		require(begin != NULL);
		memcpy(begin, data, length);
		const enum parse_result early = http_head_parse(begin, length, &part);
		require(early == PARSE_MORE || early == result);
		if (early == PARSE_DONE)
			require(strcmp(part.host, whole.host) == 0 &&
				strcmp(part.path, whole.path) == 0);
	}
	return 0;
}
