/* crypto.sign, crypto.verify and the signatures of Web Cryptography: the whole message at
 * once. */

#include "isolate/crypto_job.h"
#include "isolate/crypto_key.h"
#include "isolate/crypto_sign.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <string.h>

struct sign_job {
	struct crypto_job job;
	bool verify, verified;
	bool has_padding, has_salt_length;
	int padding, salt_length, form;
	const char *failed; /* what, when OpenSSL does not say */
	struct crypto_key *key;
	EVP_MD *digest; /* NULL: the key's own */
	struct crypto_bytes data, context, signature;
};

/* ---- points of small order ---- */

/* The y of the points of order 1, 2, 4 and 8 of edwards25519, and those that mean the same
 * modulo p, without the bit that says which of the two x. */
static const char *const ed25519_points[] = {
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
	"\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
	"\xec\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
	"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
	"\xed\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
	"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
	"\xee\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
	"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
	"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f"
	"\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a",
	"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0"
	"\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05",
};

static bool is_small_ed25519(const unsigned char *point)
{
	unsigned char y[32];
	memcpy(y, point, sizeof y);
	y[31] &= 0x7f;
	for (size_t i = 0; i < ARRAY_LENGTH(ed25519_points); i++)
		if (memcmp(y, ed25519_points[i], sizeof y) == 0)
			return true;
	return false;
}

/* Those of edwards448 have y 0, 1 or -1. */
static bool is_small_ed448(const unsigned char *point)
{
	unsigned char y[57], known[57] = {0};
	memcpy(y, point, sizeof y);
	y[56] &= 0x7f;
	if (memcmp(y, known, sizeof y) == 0)
		return true;
	known[0] = 1;
	if (memcmp(y, known, sizeof y) == 0)
		return true;
	memset(known, 0xff, 56);
	known[0] = known[28] = 0xfe; /* p - 1 */
	return memcmp(y, known, sizeof y) == 0;
}

bool crypto_has_small_order(const EVP_PKEY *key, const struct crypto_bytes *signature)
{
	unsigned char public[57];
	const bool ed25519 = EVP_PKEY_is_a(key, "ED25519");
	size_t size = ed25519 ? 32 : 57;
	if ((!ed25519 && !EVP_PKEY_is_a(key, "ED448")) || signature->length != 2 * size)
		return false;
	bool (*is_small)(const unsigned char *) = ed25519 ? is_small_ed25519 : is_small_ed448;
	return is_small(signature->data) ||
	       (EVP_PKEY_get_raw_public_key(key, public, &size) == 1 && is_small(public));
}

/* ---- arguments ---- */

/* What takes less time than handing it over to a thread, and coming back. */
static bool is_quick(const struct sign_job *job, size_t length)
{
	if (length > CRYPTO_QUICK_BYTES)
		return false;
	if (crypto_is_rsa(job->key->pkey))
		return job->verify;
	return EVP_PKEY_is_a(job->key->pkey, "ED25519") ||
	       (EVP_PKEY_is_a(job->key->pkey, "EC") && EVP_PKEY_get_bits(job->key->pkey) <= 256);
}

static bool is_number(struct engine *engine, struct engine_call *call, int index)
{
	return engine_typeof(engine_call_argument(engine, call, index)) == ENGINE_NUMBER;
}

/* Salt's length, padding, form. */
static bool take_options(struct engine *engine, struct engine_call *call, struct sign_job *job)
{
	job->has_salt_length = is_number(engine, call, 9);
	job->salt_length = engine_argument_int32(call, 9);
	job->padding = engine_argument_int32(call, 10);
	job->has_padding = is_number(engine, call, 10) && job->padding >= 0;
	job->form = engine_argument_int32(call, 11);
	if (job->form >= 0 && job->form < CRYPTO_SIGNATURE_FORMS)
		return true;
	engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE", "invalid signature encoding");
	return false;
}

static bool take_context(struct engine *engine, struct engine_call *call, struct sign_job *job)
{
	if (!crypto_take_optional(engine, call, 12, CRYPTO_COPY, "context", &job->context))
		return false;
	if (job->context.length <= 255)
		return true;
	engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE",
		"context string must be at most 255 bytes");
	return false;
}

static bool take_signature(struct engine *engine, struct engine_call *call, struct sign_job *job)
{
	if (!crypto_take_bytes(engine, engine_call_argument(engine, call, 13), CRYPTO_COPY,
		    "signature", &job->signature))
		return false;
	/* What has the wrong length is no signature, as an empty one is none. */
	if (job->form == CRYPTO_SIGNATURE_P1363 && crypto_is_dsa(job->key->pkey) &&
		!crypto_signature_to_der(job->key->pkey, &job->signature))
		crypto_bytes_clear(&job->signature);
	return true;
}

/* new SignJob(mode, 0 sign or 1 verify, the five of a key, data, digest, saltLength, padding,
 * form, context, signature) */
static bool sign_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct sign_job *job = state;
	int index = 2;
	void *start;
	size_t length;
	job->verify = engine_argument_int32(call, 1) == 1;
	job->key = crypto_take_key_arguments(
		engine, call, &index, job->verify ? CRYPTO_KEY_PUBLIC : CRYPTO_KEY_PRIVATE);
	if (!job->key)
		return false;
	engine_value *data = engine_call_argument(engine, call, 7);
	job->job.quick = engine_bytes_get(data, &start, &length) && is_quick(job, length);
	if (!crypto_take_bytes(engine, data, crypto_job_take(&job->job), "data", &job->data))
		return false;
	if (engine_typeof(engine_call_argument(engine, call, 8)) == ENGINE_STRING) {
		job->digest = crypto_take_digest(engine, call, 8);
		if (!job->digest)
			return false;
	}
	return take_options(engine, call, job) && take_context(engine, call, job) &&
	       (!job->verify || take_signature(engine, call, job));
}

static void sign_clear(void *state)
{
	struct sign_job *job = state;
	crypto_key_unref(job->key);
	EVP_MD_free(job->digest);
	crypto_bytes_clear(&job->data);
	crypto_bytes_clear(&job->context);
	crypto_bytes_clear(&job->signature);
}

/* ---- the work ---- */

static bool has_context(const EVP_PKEY *key)
{
	return crypto_signs_at_once(key);
}

/* A context for the key, with or without a context string: an Ed25519 key without one is
 * plain Ed25519, with one Ed25519ctx (RFC 8032, 5.1). */
static bool begin(struct sign_job *job, EVP_MD_CTX *ctx, EVP_PKEY_CTX **ret_ctx)
{
	EVP_PKEY *key = job->key->pkey;
	OSSL_PARAM params[3], *next = params;
	const char *digest = job->digest ? EVP_MD_get0_name(job->digest) : NULL;
	if (job->context.length) {
		digest = NULL;
		if (EVP_PKEY_is_a(key, "ED25519"))
			*next++ = OSSL_PARAM_construct_utf8_string(
				OSSL_SIGNATURE_PARAM_INSTANCE, (char *)(uintptr_t)"Ed25519ctx", 0);
		*next++ = OSSL_PARAM_construct_octet_string(OSSL_SIGNATURE_PARAM_CONTEXT_STRING,
			job->context.data, job->context.length);
	}
	*next = OSSL_PARAM_construct_end();
	const OSSL_PARAM *given = job->context.length ? params : NULL;
	return (job->verify ? EVP_DigestVerifyInit_ex(ctx, ret_ctx, digest, NULL, NULL, key, given)
			    : EVP_DigestSignInit_ex(
				      ctx, ret_ctx, digest, NULL, NULL, key, given)) == 1;
}

static bool make(struct sign_job *job, EVP_MD_CTX *ctx)
{
	struct crypto_bytes *out = &job->job.out;
	size_t length;
	job->failed = "PEM_read_bio_PrivateKey failed";
	if (EVP_DigestSign(ctx, NULL, &length, job->data.data, job->data.length) != 1 ||
		!crypto_bytes_new(out, length) ||
		EVP_DigestSign(ctx, out->data, &length, job->data.data, job->data.length) != 1 ||
		length > out->length)
		return false;
	out->length = length;
	if (job->form != CRYPTO_SIGNATURE_P1363 || !crypto_is_dsa(job->key->pkey))
		return true;
	return crypto_signature_to_p1363(job->key->pkey, out);
}

static bool sign_work(void *state)
{
	struct sign_job *job = state;
	EVP_PKEY *key = job->key->pkey;
	EVP_PKEY_CTX *options;
	if (job->context.length && !has_context(key)) {
		job->failed = "Context parameter is unsupported";
		return false;
	}
	job->failed = "EVP_SignInit_ex failed";
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx && begin(job, ctx, &options);
	if (good) {
		job->failed = "PEM_read_bio_PrivateKey failed";
		good = crypto_set_rsa_padding(key, options,
			job->has_padding ? job->padding : crypto_default_padding(key),
			job->has_salt_length ? &job->salt_length : NULL);
	}
	if (good && job->verify)
		job->verified = EVP_DigestVerify(ctx, job->signature.data, job->signature.length,
					job->data.data, job->data.length) == 1 &&
				!crypto_has_small_order(key, &job->signature);
	else if (good)
		good = make(job, ctx);
	EVP_MD_CTX_free(ctx);
	return good;
}

static engine_value *sign_result(struct engine *engine, void *state)
{
	struct sign_job *job = state;
	return job->verify ? engine_bool(engine, job->verified)
			   : crypto_buffer_of(engine, &job->job.out);
}

static engine_value *sign_throw(struct engine *engine, void *state)
{
	const struct sign_job *job = state;
	if (ERR_peek_error())
		return crypto_throw(engine, job->failed);
	return engine_throw(engine, "Error", "ERR_CRYPTO_OPERATION_FAILED", "%s", job->failed);
}

static const struct crypto_job_type sign_job = {
	.name = "SignJob",
	.size = sizeof(struct sign_job),
	.configure = sign_configure,
	.work = sign_work,
	.result = sign_result,
	.throw_sync = sign_throw,
	.clear = sign_clear,
};
CRYPTO_JOB(sign_job)

static const struct engine_class classes[] = {CRYPTO_JOB_CLASS(sign_job, "SignJob")};

const struct native_module crypto_sign_job_natives = {
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
};
