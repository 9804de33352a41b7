/* Between the files that make keys: crypto_key.c, crypto_key_handle.c, crypto_keygen.c. */
#pragma once

#include "isolate/crypto_key.h"
#include "isolate/crypto_key_format.h"

/* The same key with the other TYPE: a new reference. NULL without memory. */
struct crypto_key *crypto_key_as(struct crypto_key *key, enum crypto_key_type type);

/* The two arguments (format, structure) at *INDEX, which moves behind them. */
bool crypto_take_format(struct engine *engine, struct engine_call *call, int *index,
	struct crypto_encoding *encoding);
bool crypto_take_passphrase(struct engine *engine, struct engine_call *call, int index,
	struct crypto_encoding *encoding);
/* The four arguments (format, structure, cipher, passphrase). */
bool crypto_take_private_encoding(struct engine *engine, struct engine_call *call, int *index,
	struct crypto_encoding *encoding);

/* KEY, which is not secret, as ENCODING says: a handle, a string, a Buffer, an object. NULL with
 * an exception pending. */
engine_value *crypto_key_encoded(struct engine *engine, struct crypto_key *key,
	enum crypto_key_type type, const struct crypto_encoding *encoding);

/* A new reference to the key of a JSON Web Key. NULL with an exception pending. */
struct crypto_key *crypto_take_jwk(
	struct engine *engine, engine_value *jwk, enum crypto_key_type wanted);
/* hooks.importJwk(jwk, whether secret): a KeyObjectHandle. hooks.exportJwk(handle): the JWK. */
engine_ref *crypto_jwk_hook(void);
engine_ref *crypto_export_jwk_hook(void);

/* For methods of KeyObjectHandle: the key of `this`, NULL before init; and giving it one, which
 * passes in any case. False with an exception pending. */
struct crypto_key *crypto_handle_key(struct engine_call *call);
bool crypto_handle_set(struct engine *engine, struct engine_call *call, struct crypto_key *key);
/* Methods in crypto_key_jwk.c. */
engine_value *crypto_jwk_parts(struct engine *engine, struct engine_call *call);
engine_value *crypto_jwk_init(struct engine *engine, struct engine_call *call);
