/* What the parts of the ciphers share. */
#pragma once

#include "isolate/crypto.h"

/* CCM, GCM, OCB or ChaCha20-Poly1305. */
bool crypto_cipher_is_aead(const EVP_CIPHER *cipher);

/* An operation of RSA on IN: with public keys EVP_PKEY_encrypt and EVP_PKEY_verify_recover,
 * with private ones EVP_PKEY_decrypt and EVP_PKEY_sign. */
struct crypto_rsa_operation {
	int (*init)(EVP_PKEY_CTX *ctx);
	int (*run)(EVP_PKEY_CTX *ctx, unsigned char *out, size_t *out_length,
		const unsigned char *in, size_t in_length);
};
struct crypto_rsa_params {
	int padding;
	const EVP_MD *digest;      /* of OAEP, and of its MGF1; NULL: OpenSSL's */
	struct crypto_bytes label; /* of OAEP */
};
/* On any thread. False with OpenSSL's queue saying why. *ret_out is owned. */
bool crypto_rsa_run(const struct crypto_rsa_operation *operation, EVP_PKEY *key,
	const struct crypto_rsa_params *params, const struct crypto_bytes *in,
	struct crypto_bytes *ret_out);
extern const struct crypto_rsa_operation crypto_rsa_encrypt, crypto_rsa_decrypt;
