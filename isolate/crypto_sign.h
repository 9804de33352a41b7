/* What the parts of signatures share. All of it on any thread. */
#pragma once

#include "isolate/crypto.h"

enum crypto_signature_form { CRYPTO_SIGNATURE_DER, CRYPTO_SIGNATURE_P1363, CRYPTO_SIGNATURE_FORMS };

bool crypto_is_rsa(const EVP_PKEY *key);        /* RSA or RSA-PSS */
bool crypto_is_dsa(const EVP_PKEY *key);        /* DSA or ECDSA: signatures have two forms */
bool crypto_signs_at_once(const EVP_PKEY *key); /* Ed25519 and the like: no digest before */
int crypto_default_padding(const EVP_PKEY *key);

/* Padding and, for RSA-PSS, the length of the salt, NULL for OpenSSL's default. Nothing for
 * other keys. False with OpenSSL's queue saying why. */
bool crypto_set_rsa_padding(
	const EVP_PKEY *key, EVP_PKEY_CTX *ctx, int padding, const int *salt_length);

/* A signature of KEY from one form into the other, in place. TO_P1363 leaves what is none as
 * it is. False: TO_DER, it has not the length; or no memory. */
bool crypto_signature_to_p1363(const EVP_PKEY *key, struct crypto_bytes *signature);
bool crypto_signature_to_der(const EVP_PKEY *key, struct crypto_bytes *signature);

/* Whether one of the points of an EdDSA signature, or the key, is of small order: such a
 * signature holds for other messages and keys as well, and Web Cryptography refuses it. */
bool crypto_has_small_order(const EVP_PKEY *key, const struct crypto_bytes *signature);
