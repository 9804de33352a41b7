/* Natives of isolate/js/crypto.js: randomness, straight from the kernel, so that no
 * state can be shared by two forks. */

#include "common/cleanup.h"
#include "isolate/natives.h"

#include <errno.h>
#include <sys/random.h>

/* randomFill(bytes) */
static engine_value *random_fill(struct engine *engine, struct engine_call *call)
{
	void *data;
	size_t length;
	if (!engine_bytes_get(engine_call_argument(engine, call, 0), &data, &length))
		return engine_throw(engine, "TypeError", NULL, "randomFill: not bytes");
	for (size_t done = 0; done < length;) {
		ssize_t count = getrandom((char *)data + done, length - done, 0);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return engine_throw(engine, "Error", "ERR_CRYPTO_OPERATION_FAILED",
				"the kernel gave no randomness: error %d", errno);
		done += (size_t)count;
	}
	return NULL;
}

static const struct engine_native natives[] = {
	{"randomFill", random_fill, 1},
};

const struct native_module crypto_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
};
