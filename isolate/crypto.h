/* What all natives of node:crypto and Web Cryptography share: starting OpenSSL, bytes of
 * arguments, errors in Node's form, digests by name. Nothing of OpenSSL is touched before a
 * program asks, and nothing of it is alive in the snapshot. */
#pragma once

#include "isolate/engine/engine.h"

#include <openssl/evp.h>

/* Makes OpenSSL ready for this process: the built-in providers, no configuration file, fresh
 * randomness after a fork. The first thing that whatever calls OpenSSL does; cheap when
 * repeated. False when that failed. */
bool crypto_start(void);
/* When the engine is open: finds what C needs of the library. */
void crypto_bind(void);
/* In a thread that ends: gives back what it has kept. */
void crypto_unbind(void);

/* ---- bytes ---- */

/* Bytes that C works on: OWNED ones are malloc'ed, and wiped when released. */
struct crypto_bytes {
	unsigned char *data; /* may be NULL when LENGTH is 0 */
	size_t length;
	bool owned;
};

enum crypto_take {
	CRYPTO_BORROW, /* valid until JavaScript runs again; another thread may write shared memory
			*/
	CRYPTO_COPY,   /* owned: for threads, and for whatever reads twice */
};
/* Bytes of an ArrayBuffer, shared or not, of a view, or of a string's UTF-8 (always owned).
 * False with an exception pending: VALUE is something else (a TypeError that says NAME), or
 * there is no memory. */
bool crypto_take_bytes(struct engine *engine, engine_value *value, enum crypto_take how,
	const char *name, struct crypto_bytes *ret);
/* The same of argument INDEX; undefined and null are no bytes: DATA NULL, LENGTH 0. */
bool crypto_take_optional(struct engine *engine, struct engine_call *call, int index,
	enum crypto_take how, const char *name, struct crypto_bytes *ret);
/* A NUL-terminated copy of a string argument, malloc'ed. NULL with an exception pending when it
 * is none, or has a NUL inside (a TypeError that says NAME). */
char *crypto_take_text(
	struct engine *engine, struct engine_call *call, int index, const char *name);
/* Zeroed and owned. False when there is no memory. */
bool crypto_bytes_new(struct crypto_bytes *bytes, size_t length);
bool crypto_bytes_dup(struct crypto_bytes *ret, const void *data, size_t length);
/* Wipes and frees what is owned; leaves no bytes. */
void crypto_bytes_clear(struct crypto_bytes *bytes);
/* For `cleanup_bytes struct crypto_bytes data = {0};` */
#define cleanup_bytes __attribute__((cleanup(crypto_bytes_clear)))

/* A new ArrayBuffer (Uint8Array) with what BYTES has, which is given away when owned: BYTES
 * is empty then. NULL with an exception pending. */
engine_value *crypto_buffer_of(struct engine *engine, struct crypto_bytes *bytes);
engine_value *crypto_uint8array_of(struct engine *engine, struct crypto_bytes *bytes);
/* A Buffer of node:buffer. */
engine_value *crypto_nodebuffer_of(struct engine *engine, struct crypto_bytes *bytes);

/* Random bytes from the kernel: no two forks can share them. On any thread. */
bool crypto_random(void *data, size_t length);

/* ---- strings ---- */

/* BYTES as a string in the encoding that ENCODING names ("hex", "base64", …, any case), or as a
 * Buffer when it names none. Owned bytes may be given away. NULL with an exception pending. */
engine_value *crypto_encoded_of(
	struct engine *engine, struct crypto_bytes *bytes, const engine_value *encoding);
/* Bytes of argument INDEX, which is a string in the encoding of argument ENCODING_INDEX (UTF-8
 * when that names none), or bytes already: borrowed. False with an exception pending. */
bool crypto_take_encoded(struct engine *engine, struct engine_call *call, int index,
	int encoding_index, const char *name, struct crypto_bytes *ret);

/* ---- errors ---- */

/* Throws the oldest error of OpenSSL's queue as Node does: message "error:0308010C:digital
 * envelope routines::unsupported", code ERR_OSSL_EVP_UNSUPPORTED, library, reason,
 * opensslErrorStack of the others. With an empty queue: an Error whose message is WHAT,
 * without a code. The queue is empty afterwards. Returns NULL. */
engine_value *crypto_throw(struct engine *engine, const char *what);
/* The same with the message WHAT in any case, and no code: what OpenSSL says is in the stack. */
engine_value *crypto_throw_with_stack(struct engine *engine, const char *what);
/* Error, TypeError or RangeError with Node's CODE: engine_throw. */

#define CRYPTO_ERRORS_MAX 16
#define CRYPTO_ERROR_TEXT 160
/* The errors of a thread's queue as texts, which cross threads. NULL: none. */
struct crypto_errors;
/* Empties the queue of this thread. With nothing in it: the one error FALLBACK. NULL without
 * memory. */
struct crypto_errors *crypto_errors_capture(const char *fallback);
/* An Error object: message the oldest error, opensslErrorStack the others. ERRORS may be
 * NULL (no memory). NULL with an exception pending. */
engine_value *crypto_errors_value(struct engine *engine, const struct crypto_errors *errors);
void crypto_errors_free(struct crypto_errors *errors); /* takes NULL */

/* ---- digests ---- */

/* The digest NAME ("sha256", "RSA-SHA512", any case), fetched once for each isolate: a new
 * reference for EVP_MD_free. NULL when there is none; OpenSSL's queue says why. On the
 * engine's thread only. */
EVP_MD *crypto_digest(const char *name);
/* The same of argument INDEX: NULL with TypeError ERR_CRYPTO_INVALID_DIGEST pending, "Invalid
 * digest: NAME". */
EVP_MD *crypto_take_digest(struct engine *engine, struct engine_call *call, int index);
/* Digests have small numbers, the same as long as the isolate lives: -1 for one that is not
 * remembered. *ret_digest: as crypto_digest gives it. */
int crypto_digest_number(const char *name, EVP_MD **ret_digest);
/* A new reference; NULL when NUMBER is none. */
EVP_MD *crypto_digest_numbered(int number);
