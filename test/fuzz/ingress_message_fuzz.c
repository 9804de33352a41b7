/* Any bytes as SITES, of ingress and of a worker: what is accepted comes back the same. */
#include "common/cleanup.h"
#include "common/ingress.h"
#include "common/protocol.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void try_worker(const uint8_t *data, size_t size)
{
	static struct worker_sites sites;
	static char encoded[2 * 1024 * 1024];
	struct error error = {0};
	uint32_t instance;
	if (worker_sites_decode(data, size, &sites, &error) < 0) {
		require(error.message[0] != '\0');
		return;
	}
	memcpy(&instance, data + 4, sizeof instance);
	ssize_t length = worker_sites_encode(&sites, instance, encoded, sizeof encoded);
	require(length == (ssize_t)size && memcmp(encoded, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ingress_sites sites;
	static char encoded[2 * 1024 * 1024];
	struct error error = {0};
	uint32_t id;
	/* Of the right size, so that reading behind it is seen. */
	cleanup_free uint8_t *copy = malloc(size + !size);
	require(copy != NULL);
	memcpy(copy, data, size);
	try_worker(copy, size);
	if (ingress_sites_decode(copy, size, &sites, &error) < 0) {
		require(error.message[0] != '\0');
		return 0;
	}
	memcpy(&id, copy + 4, sizeof id);
	ssize_t length = ingress_sites_encode(&sites, id, encoded, sizeof encoded);
	require(length == (ssize_t)size && memcmp(encoded, copy, size) == 0);
	return 0;
}
