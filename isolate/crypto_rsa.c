/* RSA as node:crypto has it: publicEncrypt, privateDecrypt, privateEncrypt (a signature of
 * the bytes as they are), publicDecrypt (what such a signature holds), and RSA-OAEP of Web
 * Cryptography. */

#include "common/cleanup.h"
#include "isolate/crypto_cipher.h"
#include "isolate/crypto_job.h"
#include "isolate/crypto_key.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdlib.h>

const struct crypto_rsa_operation crypto_rsa_encrypt = {EVP_PKEY_encrypt_init, EVP_PKEY_encrypt};
const struct crypto_rsa_operation crypto_rsa_decrypt = {EVP_PKEY_decrypt_init, EVP_PKEY_decrypt};
static const struct crypto_rsa_operation rsa_sign = {EVP_PKEY_sign_init, EVP_PKEY_sign};
static const struct crypto_rsa_operation rsa_recover = {
	EVP_PKEY_verify_recover_init, EVP_PKEY_verify_recover};

static bool set_label(EVP_PKEY_CTX *ctx, const struct crypto_bytes *label)
{
	if (label->length == 0)
		return true;
	unsigned char *copy = OPENSSL_memdup(label->data, label->length);
	if (copy && EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, copy, (int)label->length) > 0)
		return true;
	OPENSSL_free(copy);
	return false;
}

static bool set_params(EVP_PKEY_CTX *ctx, const struct crypto_rsa_params *params)
{
	if (EVP_PKEY_CTX_set_rsa_padding(ctx, params->padding) <= 0)
		return false;
	if (params->digest && EVP_PKEY_CTX_set_rsa_oaep_md(ctx, params->digest) <= 0)
		return false;
	return set_label(ctx, &params->label);
}

bool crypto_rsa_run(const struct crypto_rsa_operation *operation, EVP_PKEY *key,
	const struct crypto_rsa_params *params, const struct crypto_bytes *in,
	struct crypto_bytes *ret_out)
{
	struct crypto_bytes out = {0};
	size_t length = 0;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	bool good = ctx && operation->init(ctx) > 0 && set_params(ctx, params) &&
		    operation->run(ctx, NULL, &length, in->data, in->length) > 0 &&
		    crypto_bytes_new(&out, length) &&
		    operation->run(ctx, out.data, &length, in->data, in->length) > 0;
	EVP_PKEY_CTX_free(ctx);
	if (!good || length > out.length) {
		crypto_bytes_clear(&out);
		return false;
	}
	/* What is longer than the message was not for the program: the rest is wiped. */
	good = crypto_bytes_dup(ret_out, out.data, length);
	crypto_bytes_clear(&out);
	return good;
}

/* ---- node:crypto ---- */

/* A key whose decryption of PKCS #1 v1.5 does not answer a wrong padding with random bytes tells
 * an attacker what is right (Bleichenbacher's attack). False with an exception pending. */
static bool check_implicit_rejection(struct engine *engine, EVP_PKEY *key)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	const bool begun = ctx && EVP_PKEY_decrypt_init(ctx) > 0;
	const bool good =
		begun && EVP_PKEY_CTX_ctrl_str(ctx, "rsa_pkcs1_implicit_rejection", "1") > 0;
	EVP_PKEY_CTX_free(ctx);
	if (good)
		return true;
	if (!begun) {
		crypto_throw(engine, "cannot decrypt with this key");
		return false;
	}
	ERR_clear_error();
	engine_throw(engine, "TypeError", "ERR_INVALID_ARG_VALUE",
		"RSA_PKCS1_PADDING is no longer supported for private decryption");
	return false;
}

/* The digest of OAEP that argument INDEX names, if any. False with an exception pending. */
static bool take_oaep_digest(
	struct engine *engine, struct engine_call *call, int index, EVP_MD **ret_digest)
{
	*ret_digest = NULL;
	if (engine_typeof(engine_call_argument(engine, call, index)) != ENGINE_STRING)
		return true;
	cleanup_free char *name = crypto_take_text(engine, call, index, "key.oaepHash");
	if (!name)
		return false;
	*ret_digest = crypto_digest(name);
	ERR_clear_error();
	if (!*ret_digest)
		engine_throw(engine, "Error", "ERR_OSSL_EVP_INVALID_DIGEST", "Invalid digest used");
	return *ret_digest != NULL;
}

static bool too_long(struct engine *engine, const struct crypto_bytes *bytes, const char *message)
{
	if (bytes->length <= INT_MAX)
		return false;
	engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE", "%s", message);
	return true;
}

/* The bytes that argument INDEX and the one three after it are, and the result. */
static engine_value *run(struct engine *engine, struct engine_call *call, int index, EVP_PKEY *key,
	const struct crypto_rsa_operation *operation, struct crypto_rsa_params *params)
{
	cleanup_bytes struct crypto_bytes in = {0}, out = {0};
	engine_value *data = engine_call_argument(engine, call, index);
	/* RSA reads its input more than once. */
	if (!crypto_take_bytes(engine, data, CRYPTO_COPY, "buffer", &in) ||
		too_long(engine, &in, "buffer is too long"))
		return NULL;
	if (!crypto_take_optional(
		    engine, call, index + 3, CRYPTO_COPY, "key.oaepLabel", &params->label) ||
		too_long(engine, &params->label, "oaepLabel is too big"))
		return NULL;
	ERR_clear_error();
	if (!crypto_rsa_run(operation, key, params, &in, &out))
		return crypto_throw(engine, "RSA operation failed");
	ERR_clear_error();
	return crypto_buffer_of(engine, &out);
}

/* (the five of a key, buffer, padding, oaepHash, oaepLabel) */
static engine_value *key_cipher(struct engine *engine, struct engine_call *call,
	enum crypto_key_type wanted, const struct crypto_rsa_operation *operation)
{
	int index = 0;
	EVP_MD *digest;
	if (!crypto_start())
		return crypto_throw(engine, "OpenSSL does not start");
	cleanup_key struct crypto_key *key =
		crypto_take_key_arguments(engine, call, &index, wanted);
	if (!key)
		return NULL;
	struct crypto_rsa_params params = {.padding = engine_argument_int32(call, index + 1)};
	if (operation == &crypto_rsa_decrypt && params.padding == RSA_PKCS1_PADDING &&
		!check_implicit_rejection(engine, key->pkey))
		return NULL;
	if (!take_oaep_digest(engine, call, index + 2, &digest))
		return NULL;
	params.digest = digest;
	engine_value *result = run(engine, call, index, key->pkey, operation, &params);
	crypto_bytes_clear(&params.label);
	EVP_MD_free(digest);
	return result;
}

static engine_value *public_encrypt(struct engine *engine, struct engine_call *call)
{
	return key_cipher(engine, call, CRYPTO_KEY_PUBLIC, &crypto_rsa_encrypt);
}

static engine_value *private_decrypt(struct engine *engine, struct engine_call *call)
{
	return key_cipher(engine, call, CRYPTO_KEY_PRIVATE, &crypto_rsa_decrypt);
}

static engine_value *private_encrypt(struct engine *engine, struct engine_call *call)
{
	return key_cipher(engine, call, CRYPTO_KEY_PRIVATE, &rsa_sign);
}

static engine_value *public_decrypt(struct engine *engine, struct engine_call *call)
{
	return key_cipher(engine, call, CRYPTO_KEY_PUBLIC, &rsa_recover);
}

/* ---- RSA-OAEP ---- */

struct oaep_job {
	struct crypto_job job;
	bool encrypt;
	struct crypto_key *key;
	EVP_MD *digest;
	struct crypto_bytes in, label;
};

#define VARIANT_OAEP 2 /* kKeyVariantRSA_OAEP of isolate/js/node/crypto/binding.js */

/* new RSACipherJob(mode, 0 encrypt or 1 decrypt, key, data, variant, hash, label) */
static bool oaep_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct oaep_job *job = state;
	job->encrypt = engine_argument_int32(call, 1) == 0;
	job->job.quick = job->encrypt;
	job->job.failure = "Cipher job failed";
	struct crypto_key *key = crypto_take_key(engine, engine_call_argument(engine, call, 2),
		job->encrypt ? CRYPTO_KEY_PUBLIC : CRYPTO_KEY_PRIVATE, "key");
	if (!key)
		return false;
	job->key = crypto_key_ref(key);
	if (engine_argument_int32(call, 4) != VARIANT_OAEP) {
		engine_throw(
			engine, "RangeError", "ERR_CRYPTO_INVALID_KEYTYPE", "Invalid key type");
		return false;
	}
	job->digest = crypto_take_digest(engine, call, 5);
	return job->digest &&
	       crypto_take_bytes(engine, engine_call_argument(engine, call, 3), CRYPTO_COPY, "data",
		       &job->in) &&
	       !too_long(engine, &job->in, "data is too large") &&
	       crypto_take_optional(engine, call, 6, CRYPTO_COPY, "label", &job->label) &&
	       !too_long(engine, &job->label, "label is too big");
}

static bool oaep_work(void *state)
{
	struct oaep_job *job = state;
	const struct crypto_rsa_params params = {RSA_PKCS1_OAEP_PADDING, job->digest, job->label};
	return crypto_rsa_run(job->encrypt ? &crypto_rsa_encrypt : &crypto_rsa_decrypt,
		job->key->pkey, &params, &job->in, &job->job.out);
}

static void oaep_clear(void *state)
{
	struct oaep_job *job = state;
	crypto_key_unref(job->key);
	EVP_MD_free(job->digest);
	crypto_bytes_clear(&job->in);
	crypto_bytes_clear(&job->label);
}

static const struct crypto_job_type oaep_job = {
	.name = "RSACipherJob",
	.size = sizeof(struct oaep_job),
	.configure = oaep_configure,
	.work = oaep_work,
	.clear = oaep_clear,
};
CRYPTO_JOB(oaep_job)

/* ---- the tables ---- */

static const struct engine_class classes[] = {CRYPTO_JOB_CLASS(oaep_job, "RSACipherJob")};

static const struct engine_native natives[] = {
	{"publicEncrypt", public_encrypt, 9},
	{"privateDecrypt", private_decrypt, 9},
	{"privateEncrypt", private_encrypt, 9},
	{"publicDecrypt", public_decrypt, 9},
};

const struct native_module crypto_rsa_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
};
