/* Bytes of keys and the like, and random ones: see crypto.h. Nothing of the engine. */
#include "isolate/crypto.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

bool crypto_bytes_new(struct crypto_bytes *bytes, size_t length)
{
	unsigned char *data = calloc(1, length ? length : 1);
	if (!data)
		return false;
	*bytes = (struct crypto_bytes){.data = data, .length = length, .owned = true};
	return true;
}

bool crypto_bytes_dup(struct crypto_bytes *ret, const void *data, size_t length)
{
	if (!crypto_bytes_new(ret, length))
		return false;
	if (length > 0)
		memcpy(ret->data, data, length);
	return true;
}

void crypto_bytes_clear(struct crypto_bytes *bytes)
{
	if (bytes->owned) {
		OPENSSL_cleanse(bytes->data, bytes->length);
		free(bytes->data);
	}
	*bytes = (struct crypto_bytes){0};
}

bool crypto_random(void *data, size_t length)
{
	for (size_t done = 0; done < length;) {
		const ssize_t count = getrandom((char *)data + done, length - done, 0);
		if (count < 0 && errno != EINTR)
			return false;
		done += count > 0 ? (size_t)count : 0;
	}
	return true;
}
