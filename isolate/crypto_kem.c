/* Key encapsulation: crypto.encapsulate and decapsulate, ML-KEM of Web Cryptography. */

#include "isolate/crypto_job.h"
#include "isolate/crypto_key.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>

struct kem_job {
	struct crypto_job job;
	struct crypto_key *key;
	struct crypto_bytes ciphertext; /* given, or made: then job.out is the shared key */
};

static void kem_clear(void *state)
{
	struct kem_job *job = state;
	crypto_key_unref(job->key);
	crypto_bytes_clear(&job->ciphertext);
}

/* Older kinds of keys can do it in more ways than one. False when a kind cannot at all. */
static bool set_operation(EVP_PKEY_CTX *ctx, const EVP_PKEY *key)
{
	const char *operation = NULL;
	if (EVP_PKEY_is_a(key, "RSA"))
		operation = OSSL_KEM_PARAM_OPERATION_RSASVE;
	else if (EVP_PKEY_is_a(key, "EC") || EVP_PKEY_is_a(key, "X25519") ||
		 EVP_PKEY_is_a(key, "X448"))
		operation = OSSL_KEM_PARAM_OPERATION_DHKEM;
	if (!operation)
		return true;
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
			OSSL_KEM_PARAM_OPERATION, (char *)(uintptr_t)operation, 0),
		OSSL_PARAM_construct_end(),
	};
	return EVP_PKEY_CTX_set_params(ctx, params) > 0;
}

/* ---- encapsulating ---- */

/* new KEMEncapsulateJob(mode, the five of a key) */
static bool encapsulate_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct kem_job *job = state;
	int index = 1;
	job->job.quick = true;
	job->key = crypto_take_key_arguments(engine, call, &index, CRYPTO_KEY_PUBLIC);
	return job->key != NULL;
}

static bool encapsulate_work(void *state)
{
	struct kem_job *job = state;
	struct crypto_bytes *secret = &job->job.out, *ciphertext = &job->ciphertext;
	size_t length = 0, secret_length = 0;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(job->key->pkey, NULL);
	const bool good = ctx && EVP_PKEY_encapsulate_init(ctx, NULL) > 0 &&
			  set_operation(ctx, job->key->pkey) &&
			  EVP_PKEY_encapsulate(ctx, NULL, &length, NULL, &secret_length) > 0 &&
			  crypto_bytes_new(ciphertext, length) &&
			  crypto_bytes_new(secret, secret_length) &&
			  EVP_PKEY_encapsulate(ctx, ciphertext->data, &length, secret->data,
				  &secret_length) > 0 &&
			  length <= ciphertext->length && secret_length <= secret->length;
	EVP_PKEY_CTX_free(ctx);
	if (good) {
		ciphertext->length = length;
		secret->length = secret_length;
	} else {
		ERR_clear_error(); /* Node tells no reason */
	}
	return good;
}

/* Buffers for node:crypto, ArrayBuffers for the web. */
static engine_value *bytes_value(
	struct engine *engine, const struct kem_job *job, struct crypto_bytes *bytes)
{
	return job->job.mode == CRYPTO_WEB ? crypto_buffer_of(engine, bytes)
					   : crypto_nodebuffer_of(engine, bytes);
}

/* [shared key, ciphertext]; the web's object is made of it in isolate/js/node/crypto/jobs.js */
static engine_value *encapsulate_result(struct engine *engine, void *state)
{
	struct kem_job *job = state;
	engine_value *both[2] = {bytes_value(engine, job, &job->job.out)};
	if (!both[0] || !(both[1] = bytes_value(engine, job, &job->ciphertext)))
		return NULL;
	return engine_array(engine, both, 2);
}

static engine_value *encapsulate_throw(struct engine *engine, void *state)
{
	(void)state;
	ERR_clear_error();
	return engine_throw(
		engine, "Error", "ERR_CRYPTO_OPERATION_FAILED", "Failed to perform encapsulation");
}

static const struct crypto_job_type encapsulate_job = {
	.name = "KEMEncapsulateJob",
	.size = sizeof(struct kem_job),
	.configure = encapsulate_configure,
	.work = encapsulate_work,
	.result = encapsulate_result,
	.throw_sync = encapsulate_throw,
	.clear = kem_clear,
};
CRYPTO_JOB(encapsulate_job)

/* ---- decapsulating ---- */

/* new KEMDecapsulateJob(mode, the five of a key, ciphertext) */
static bool decapsulate_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct kem_job *job = state;
	int index = 1;
	job->key = crypto_take_key_arguments(engine, call, &index, CRYPTO_KEY_PRIVATE);
	if (!job->key)
		return false;
	job->job.quick = !EVP_PKEY_is_a(job->key->pkey, "RSA");
	return crypto_take_bytes(engine, engine_call_argument(engine, call, index), CRYPTO_COPY,
		"ciphertext", &job->ciphertext);
}

static bool decapsulate_work(void *state)
{
	struct kem_job *job = state;
	struct crypto_bytes *secret = &job->job.out;
	const struct crypto_bytes *in = &job->ciphertext;
	size_t length = 0;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(job->key->pkey, NULL);
	const bool good =
		ctx && EVP_PKEY_decapsulate_init(ctx, NULL) > 0 &&
		set_operation(ctx, job->key->pkey) &&
		EVP_PKEY_decapsulate(ctx, NULL, &length, in->data, in->length) > 0 &&
		crypto_bytes_new(secret, length) &&
		EVP_PKEY_decapsulate(ctx, secret->data, &length, in->data, in->length) > 0 &&
		length <= secret->length;
	EVP_PKEY_CTX_free(ctx);
	if (good)
		secret->length = length;
	else
		ERR_clear_error();
	return good;
}

static engine_value *decapsulate_result(struct engine *engine, void *state)
{
	struct kem_job *job = state;
	return bytes_value(engine, job, &job->job.out);
}

static engine_value *decapsulate_throw(struct engine *engine, void *state)
{
	(void)state;
	ERR_clear_error();
	return engine_throw(
		engine, "Error", "ERR_CRYPTO_OPERATION_FAILED", "Failed to perform decapsulation");
}

static const struct crypto_job_type decapsulate_job = {
	.name = "KEMDecapsulateJob",
	.size = sizeof(struct kem_job),
	.configure = decapsulate_configure,
	.work = decapsulate_work,
	.result = decapsulate_result,
	.throw_sync = decapsulate_throw,
	.clear = kem_clear,
};
CRYPTO_JOB(decapsulate_job)

/* ---- the tables ---- */

static const struct engine_class classes[] = {
	CRYPTO_JOB_CLASS(encapsulate_job, "KEMEncapsulateJob"),
	CRYPTO_JOB_CLASS(decapsulate_job, "KEMDecapsulateJob"),
};

const struct native_module crypto_kem_natives = {
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
};
