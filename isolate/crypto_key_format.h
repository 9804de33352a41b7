/* Keys as bytes: reading and writing them. Nothing of the engine. */
#pragma once

#include "isolate/crypto.h"

/* Numbers that the library uses, too (isolate/js/node/crypto/constants.js). */
enum crypto_key_format {
	CRYPTO_DER,
	CRYPTO_PEM,
	CRYPTO_JWK,
	CRYPTO_RAW_PUBLIC,
	CRYPTO_RAW_PRIVATE,
	CRYPTO_RAW_SEED,
	CRYPTO_STORE,
};
enum crypto_key_structure { CRYPTO_PKCS1, CRYPTO_PKCS8, CRYPTO_SPKI, CRYPTO_SEC1 };

struct crypto_encoding {
	enum crypto_key_format format;
	enum crypto_key_structure structure;
	bool as_object;      /* key generation: a KeyObjectHandle is wanted */
	int point_form;      /* CRYPTO_RAW_PUBLIC of EC */
	EVP_CIPHER *cipher;  /* owned; writing private keys */
	bool has_passphrase; /* an empty one is one */
	struct crypto_bytes passphrase;
};
void crypto_encoding_clear(struct crypto_encoding *encoding);
#define cleanup_encoding __attribute__((cleanup(crypto_encoding_clear)))

/* A kind of asymmetric key. */
struct crypto_family {
	const char *type; /* as OpenSSL names it: "ML-DSA-44" */
	const char *name; /* as Node does: "ml-dsa-44" */
	int id;           /* EVP_PKEY_…; NID for kinds that only providers know */
	bool raw_public, raw_private;
	const char *seed; /* the parameter that has it, NULL: there is none */
	size_t seed_length;
};
/* NULL: not one that Node knows. */
const struct crypto_family *crypto_family_of(const EVP_PKEY *pkey);
const struct crypto_family *crypto_family_named(const char *type); /* any case */
const struct crypto_family *crypto_family_by_id(int id);

/* A PEM or DER private key. NULL: OpenSSL's queue says why, or *ret_needs_passphrase. */
EVP_PKEY *crypto_read_private(const struct crypto_encoding *encoding, const void *data,
	size_t length, bool *ret_needs_passphrase);
/* A public key, or (PEM, PKCS#1) a private one, which *ret_private tells. */
EVP_PKEY *crypto_read_any(const struct crypto_encoding *encoding, const void *data, size_t length,
	bool *ret_private, bool *ret_needs_passphrase);
/* Raw bytes of FAMILY, which is not EC. */
EVP_PKEY *crypto_read_raw(const struct crypto_family *family, enum crypto_key_format format,
	const void *data, size_t length);
/* A point (CRYPTO_RAW_PUBLIC) or a number (CRYPTO_RAW_PRIVATE) of the curve GROUP (OpenSSL's
 * short name); the public point of a private one is computed. */
EVP_PKEY *crypto_read_ec(
	const char *group, enum crypto_key_format format, const void *data, size_t length);

/* True when PKEY has been written. False: OpenSSL's queue says why, or there is no such way. */
bool crypto_write_public(
	EVP_PKEY *pkey, const struct crypto_encoding *encoding, struct crypto_bytes *ret);
bool crypto_write_private(
	EVP_PKEY *pkey, const struct crypto_encoding *encoding, struct crypto_bytes *ret);
bool crypto_write_raw(EVP_PKEY *pkey, enum crypto_key_format format, struct crypto_bytes *ret);
/* The point in FORM (POINT_CONVERSION_…). */
bool crypto_write_point(EVP_PKEY *pkey, int form, struct crypto_bytes *ret);
/* A parameter that is a number, big-endian; WIDTH 0: as long as it needs, at least 1. */
bool crypto_write_number(
	EVP_PKEY *pkey, const char *parameter, size_t width, struct crypto_bytes *ret);
/* Bytes of EC's group order, 0 when that is not known. */
size_t crypto_order_bytes(EVP_PKEY *pkey);
size_t crypto_field_bytes(EVP_PKEY *pkey);

/* The short name of a curve by OpenSSL's or NIST's ("P-256") name. NULL: unknown. */
const char *crypto_curve_name(const char *name);
