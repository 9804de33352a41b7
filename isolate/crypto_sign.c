/* Sign and Verify of node:crypto: a message in pieces, and then the key. */

#include "isolate/crypto_sign.h"
#include "common/cleanup.h"
#include "isolate/crypto_key.h"
#include "isolate/natives.h"

#include <limits.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

/* ---- kinds of keys ---- */

bool crypto_is_rsa(const EVP_PKEY *key)
{
	return EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS");
}

bool crypto_is_dsa(const EVP_PKEY *key)
{
	return EVP_PKEY_is_a(key, "EC") || EVP_PKEY_is_a(key, "DSA");
}

bool crypto_signs_at_once(const EVP_PKEY *key)
{
	const char *name = EVP_PKEY_get0_type_name(key);
	return name &&
	       (strcmp(name, "ED25519") == 0 || strcmp(name, "ED448") == 0 ||
		       strncmp(name, "ML-DSA-", 7) == 0 || strncmp(name, "SLH-DSA-", 8) == 0);
}

int crypto_default_padding(const EVP_PKEY *key)
{
	return EVP_PKEY_is_a(key, "RSA-PSS") ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING;
}

bool crypto_set_rsa_padding(
	const EVP_PKEY *key, EVP_PKEY_CTX *ctx, int padding, const int *salt_length)
{
	if (!crypto_is_rsa(key))
		return true;
	if (EVP_PKEY_CTX_set_rsa_padding(ctx, padding) <= 0)
		return false;
	return padding != RSA_PKCS1_PSS_PADDING || !salt_length ||
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, *salt_length) > 0;
}

/* ---- the forms of signatures ---- */

/* Bytes of each of the two numbers of a signature, 0 when KEY's have none. */
static int number_bytes(const EVP_PKEY *key)
{
	int bits = 0;
	if (EVP_PKEY_is_a(key, "EC")) {
		bits = EVP_PKEY_get_bits(key); /* of the group's order */
	} else if (EVP_PKEY_is_a(key, "DSA")) {
		BIGNUM *order = NULL;
		if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_FFC_Q, &order) == 1)
			bits = BN_num_bits(order);
		BN_free(order);
	}
	return bits > 0 ? (bits + 7) / 8 : 0;
}

bool crypto_signature_to_p1363(const EVP_PKEY *key, struct crypto_bytes *signature)
{
	const int size = number_bytes(key);
	const unsigned char *data = signature->data;
	ECDSA_SIG *numbers = size ? d2i_ECDSA_SIG(NULL, &data, (long)signature->length) : NULL;
	struct crypto_bytes out = {0};
	if (!numbers)
		return true;
	if (!crypto_bytes_new(&out, 2 * (size_t)size)) {
		ECDSA_SIG_free(numbers);
		return false;
	}
	const bool good = BN_bn2binpad(ECDSA_SIG_get0_r(numbers), out.data, size) > 0 &&
			  BN_bn2binpad(ECDSA_SIG_get0_s(numbers), out.data + size, size) > 0;
	ECDSA_SIG_free(numbers);
	if (good) {
		struct crypto_bytes old = *signature;
		*signature = out;
		out = old;
	}
	crypto_bytes_clear(&out);
	return true;
}

bool crypto_signature_to_der(const EVP_PKEY *key, struct crypto_bytes *signature)
{
	const int size = number_bytes(key);
	unsigned char *der = NULL;
	if (!size)
		return true;
	if (signature->length != 2 * (size_t)size)
		return false;
	ECDSA_SIG *numbers = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(signature->data, size, NULL);
	BIGNUM *s = BN_bin2bn(signature->data + size, size, NULL);
	if (!numbers || !r || !s || ECDSA_SIG_set0(numbers, r, s) != 1) {
		BN_free(r);
		BN_free(s);
		ECDSA_SIG_free(numbers);
		return false;
	}
	const int length = i2d_ECDSA_SIG(numbers, &der);
	ECDSA_SIG_free(numbers);
	struct crypto_bytes out = {0};
	const bool good = length > 0 && crypto_bytes_dup(&out, der, (size_t)length);
	OPENSSL_free(der);
	if (!good)
		return false;
	crypto_bytes_clear(signature);
	*signature = out;
	return true;
}

/* ---- a message in pieces ---- */

struct signer {
	EVP_MD_CTX *digest; /* NULL before init() and after the end */
};

static void signer_destroy(void *state)
{
	struct signer *signer = state;
	EVP_MD_CTX_free(signer->digest);
	free(signer);
}

/* new Sign(), new Verify() */
static engine_value *signer_construct(struct engine *engine, struct engine_call *call)
{
	struct signer *signer = calloc(1, sizeof *signer);
	if (!signer)
		return engine_throw(
			engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED", "out of memory");
	engine_set_state(engine_call_this(engine, call), signer);
	return NULL;
}

static engine_value *not_initialised(struct engine *engine)
{
	return engine_throw(engine, "Error", "ERR_CRYPTO_INVALID_STATE", "Not initialised");
}

/* What failed: OpenSSL's reason, or WHAT. */
static engine_value *throw_failure(struct engine *engine, const char *what)
{
	if (ERR_peek_error())
		return crypto_throw(engine, what);
	return engine_throw(engine, "Error", "ERR_CRYPTO_OPERATION_FAILED", "%s", what);
}

/* init(digest) */
static engine_value *signer_init(struct engine *engine, struct engine_call *call)
{
	struct signer *signer = engine_call_state(call);
	if (!signer)
		return not_initialised(engine);
	cleanup_free char *name = crypto_take_text(engine, call, 0, "algorithm");
	if (!name)
		return NULL;
	/* The oldest name of SHA-1 here, of its use with DSA. */
	const bool dss1 = strcmp(name, "dss1") == 0 || strcmp(name, "DSS1") == 0;
	EVP_MD *digest = crypto_digest(dss1 ? "sha1" : name);
	ERR_clear_error();
	if (!digest)
		return engine_throw(
			engine, "TypeError", "ERR_CRYPTO_INVALID_DIGEST", "Invalid digest");
	EVP_MD_CTX_free(signer->digest);
	signer->digest = EVP_MD_CTX_new();
	const bool good = signer->digest && EVP_DigestInit_ex(signer->digest, digest, NULL) == 1;
	EVP_MD_free(digest);
	if (good)
		return NULL;
	EVP_MD_CTX_free(signer->digest);
	signer->digest = NULL;
	return throw_failure(engine, "EVP_SignInit_ex failed");
}

/* update(bytes) */
static engine_value *signer_update(struct engine *engine, struct engine_call *call)
{
	struct signer *signer = engine_call_state(call);
	cleanup_bytes struct crypto_bytes data = {0};
	engine_value *value = engine_call_argument(engine, call, 0);
	if (!crypto_take_bytes(engine, value, CRYPTO_BORROW, "data", &data))
		return NULL;
	if (!signer || !signer->digest)
		return not_initialised(engine);
	ERR_clear_error();
	if (EVP_DigestUpdate(signer->digest, data.data, data.length) != 1)
		return throw_failure(engine, "EVP_SignUpdate failed");
	return NULL;
}

/* ---- the end ---- */

struct end {
	EVP_MD_CTX *digest; /* taken from the signer */
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned length;
	int padding, salt_length, form;
	bool has_salt_length;
};

/* The three arguments from INDEX on: padding, length of the salt, form. False with an
 * exception pending. */
static bool take_options(
	struct engine *engine, struct engine_call *call, int index, EVP_PKEY *key, struct end *end)
{
	engine_value *padding = engine_call_argument(engine, call, index);
	engine_value *salt = engine_call_argument(engine, call, index + 1);
	end->padding = engine_typeof(padding) == ENGINE_NUMBER ? engine_argument_int32(call, index)
							       : crypto_default_padding(key);
	end->has_salt_length = engine_typeof(salt) == ENGINE_NUMBER;
	end->salt_length = engine_argument_int32(call, index + 1);
	end->form = engine_argument_int32(call, index + 2);
	if (end->form >= 0 && end->form < CRYPTO_SIGNATURE_FORMS)
		return true;
	engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE", "invalid signature encoding");
	return false;
}

static bool finish_digest(struct signer *signer, struct end *end)
{
	end->digest = signer->digest;
	signer->digest = NULL;
	return EVP_DigestFinal_ex(end->digest, end->hash, &end->length) == 1;
}

static bool set_options(const struct end *end, EVP_PKEY *key, EVP_PKEY_CTX *ctx)
{
	return crypto_set_rsa_padding(
		       key, ctx, end->padding, end->has_salt_length ? &end->salt_length : NULL) &&
	       EVP_PKEY_CTX_set_signature_md(ctx, EVP_MD_CTX_get0_md(end->digest)) == 1;
}

static bool sign(const struct end *end, EVP_PKEY *key, struct crypto_bytes *ret_signature)
{
	const int size = EVP_PKEY_get_size(key);
	size_t length = size > 0 ? (size_t)size : 0;
	struct crypto_bytes out = {0};
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	bool good = ctx && EVP_PKEY_sign_init(ctx) > 0 && set_options(end, key, ctx) &&
		    crypto_bytes_new(&out, length) &&
		    EVP_PKEY_sign(ctx, out.data, &length, end->hash, end->length) > 0 &&
		    length <= out.length;
	EVP_PKEY_CTX_free(ctx);
	good = good && crypto_bytes_dup(ret_signature, out.data, length);
	crypto_bytes_clear(&out);
	if (good && end->form == CRYPTO_SIGNATURE_P1363)
		good = crypto_signature_to_p1363(key, ret_signature);
	return good;
}

/* The key of the first five arguments; NULL with an exception pending. */
static struct crypto_key *take_key(
	struct engine *engine, struct engine_call *call, int *index, enum crypto_key_type wanted)
{
	struct crypto_key *key = crypto_take_key_arguments(engine, call, index, wanted);
	if (!key || !crypto_signs_at_once(key->pkey))
		return key;
	crypto_key_unref(key);
	engine_throw(engine, "Error", "ERR_CRYPTO_UNSUPPORTED_OPERATION",
		"Unsupported crypto operation");
	return NULL;
}

/* sign(the five of a key, padding, saltLength, form) */
static engine_value *signer_sign(struct engine *engine, struct engine_call *call)
{
	struct signer *signer = engine_call_state(call);
	struct end end = {0};
	int index = 0;
	cleanup_bytes struct crypto_bytes signature = {0};
	cleanup_key struct crypto_key *key = take_key(engine, call, &index, CRYPTO_KEY_PRIVATE);
	if (!key || !take_options(engine, call, index, key->pkey, &end))
		return NULL;
	if (!signer || !signer->digest)
		return not_initialised(engine);
	ERR_clear_error();
	const bool good = finish_digest(signer, &end) && sign(&end, key->pkey, &signature);
	EVP_MD_CTX_free(end.digest);
	if (!good)
		return throw_failure(engine, "PEM_read_bio_PrivateKey failed");
	ERR_clear_error();
	return crypto_buffer_of(engine, &signature);
}

/* 1 or 0; -1: KEY verifies nothing. */
static int verify(const struct end *end, EVP_PKEY *key, const struct crypto_bytes *signature)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	int result = ctx ? EVP_PKEY_verify_init(ctx) : 0;
	if (result == -2)
		result = -1;
	else
		result = result > 0 && set_options(end, key, ctx) &&
			 EVP_PKEY_verify(ctx, signature->data, signature->length, end->hash,
				 end->length) == 1;
	EVP_PKEY_CTX_free(ctx);
	return result;
}

/* verify(the five of a key, signature, padding, saltLength, form) */
static engine_value *signer_verify(struct engine *engine, struct engine_call *call)
{
	struct signer *signer = engine_call_state(call);
	struct end end = {0};
	int index = 0;
	cleanup_bytes struct crypto_bytes signature = {0};
	cleanup_key struct crypto_key *key = take_key(engine, call, &index, CRYPTO_KEY_PUBLIC);
	if (!key)
		return NULL;
	engine_value *given = engine_call_argument(engine, call, index);
	if (!crypto_take_bytes(engine, given, CRYPTO_COPY, "signature", &signature) ||
		!take_options(engine, call, index + 1, key->pkey, &end))
		return NULL;
	if (end.form == CRYPTO_SIGNATURE_P1363 && !crypto_signature_to_der(key->pkey, &signature))
		return engine_throw(
			engine, "Error", "ERR_CRYPTO_OPERATION_FAILED", "Malformed signature");
	if (!signer || !signer->digest)
		return not_initialised(engine);
	ERR_clear_error();
	const int result = finish_digest(signer, &end) ? verify(&end, key->pkey, &signature) : -1;
	EVP_MD_CTX_free(end.digest);
	if (result < 0)
		return throw_failure(engine, "PEM_read_bio_PUBKEY failed");
	ERR_clear_error();
	return engine_bool(engine, result == 1);
}

/* ---- the tables ---- */

static const struct engine_native sign_methods[] = {
	{"init", signer_init, 1},
	{"update", signer_update, 1},
	{"sign", signer_sign, 8},
};
static const struct engine_native verify_methods[] = {
	{"init", signer_init, 1},
	{"update", signer_update, 1},
	{"verify", signer_verify, 9},
};

static const struct engine_class classes[] = {
	{
		.name = "Sign",
		.construct = signer_construct,
		.methods = sign_methods,
		.method_count = ARRAY_LENGTH(sign_methods),
		.destroy = signer_destroy,
	},
	{
		.name = "Verify",
		.construct = signer_construct,
		.methods = verify_methods,
		.method_count = ARRAY_LENGTH(verify_methods),
		.destroy = signer_destroy,
	},
};

const struct native_module crypto_sign_natives = {
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
};
