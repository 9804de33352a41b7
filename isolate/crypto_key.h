/* Keys: what a KeyObjectHandle holds. A key never changes once it is made; it is shared by
 * reference between handles, jobs and threads. */
#pragma once

#include "isolate/crypto.h"

#include <stdatomic.h>

enum crypto_key_type { CRYPTO_KEY_SECRET, CRYPTO_KEY_PUBLIC, CRYPTO_KEY_PRIVATE };

struct crypto_key {
	atomic_uint references;
	enum crypto_key_type type;
	EVP_PKEY *pkey;            /* public and private */
	struct crypto_bytes bytes; /* secret */
};

/* Owns PKEY in any case. NULL without memory. */
struct crypto_key *crypto_key_new(enum crypto_key_type type, EVP_PKEY *pkey);
/* A copy of the bytes. */
struct crypto_key *crypto_key_new_secret(const void *data, size_t length);
struct crypto_key *crypto_key_ref(struct crypto_key *key); /* on any thread */
void crypto_key_unref(struct crypto_key *key);             /* on any thread; takes NULL */
void crypto_key_cleanup(struct crypto_key **key);
#define cleanup_key __attribute__((cleanup(crypto_key_cleanup)))

/* The key of a KeyObjectHandle: borrowed, valid until JavaScript runs again (take a
 * reference for a thread). NULL when VALUE is none, or init was not called. */
struct crypto_key *crypto_key_of(struct engine *engine, engine_value *value);
/* The same, of TYPE (a private key is good where a public one is wanted): NULL with a TypeError
 * pending that says NAME. */
struct crypto_key *crypto_take_key(
	struct engine *engine, engine_value *value, enum crypto_key_type type, const char *name);
/* A new KeyObjectHandle of KEY, whose reference is given away. NULL with an exception
 * pending. */
engine_value *crypto_key_handle(struct engine *engine, struct crypto_key *key);

/* The five arguments (data or handle, format, type, passphrase, named curve) that Node's
 * library makes of `key` options (prepareAsymmetricKey), at *INDEX, which is moved behind them.
 * A new reference; NULL with an exception pending.
 * WANTED CRYPTO_KEY_PRIVATE: a private key. CRYPTO_KEY_PUBLIC: a public or a private key, as
 * it was given (data that has both is private). */
struct crypto_key *crypto_take_key_arguments(
	struct engine *engine, struct engine_call *call, int *index, enum crypto_key_type wanted);

/* The secret bytes of argument INDEX: a KeyObjectHandle of a secret key, bytes, or a string.
 * A new reference, NULL with an exception pending. */
struct crypto_key *crypto_take_secret(
	struct engine *engine, struct engine_call *call, int index, const char *name);
