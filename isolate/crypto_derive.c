/* Keys from passwords and from other keys: PBKDF2, scrypt, HKDF, Argon2. What they cost is the
 * tenant's: threads count in its cgroup, and so does their memory. */
#include "common/cleanup.h"
#include "isolate/crypto_job.h"
#include "isolate/crypto_key.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <string.h>

struct derive_job {
	struct crypto_job job;
	struct crypto_key *secret;
	struct crypto_bytes salt, info, extra;
	EVP_MD *digest;
	size_t length;
	uint64_t n, r, p, memory; /* scrypt; n: PBKDF2's iterations */
	uint32_t lanes, cost, passes;
	const char *argon2;
};

static void clear(void *state)
{
	struct derive_job *job = state;
	crypto_key_unref(job->secret);
	crypto_bytes_clear(&job->salt);
	crypto_bytes_clear(&job->info);
	crypto_bytes_clear(&job->extra);
	EVP_MD_free(job->digest);
}

static bool out_of_range(struct engine *engine, const char *name)
{
	engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE", "%s is out of range", name);
	return false;
}

/* A number from 0 to MOST. */
static bool take_number(struct engine *engine, struct engine_call *call, int index, double most,
	const char *name, uint64_t *ret)
{
	const double number = engine_argument_number(call, index);
	if (engine_typeof(engine_call_argument(engine, call, index)) != ENGINE_NUMBER ||
		!(number >= 0 && number <= most))
		return out_of_range(engine, name);
	*ret = (uint64_t)number;
	return true;
}

static bool take_length(
	struct engine *engine, struct engine_call *call, int index, struct derive_job *job)
{
	uint64_t length;
	if (!take_number(engine, call, index, INT32_MAX, "length", &length))
		return false;
	job->length = (size_t)length;
	return true;
}

static bool take_salt(
	struct engine *engine, struct engine_call *call, int index, struct derive_job *job)
{
	return crypto_take_bytes(
		engine, engine_call_argument(engine, call, index), CRYPTO_COPY, "salt", &job->salt);
}

/* ---- */

/* Derives job->length bytes with PARAMS. */
static bool derive(struct derive_job *job, const char *name, OSSL_PARAM *params)
{
	if (!crypto_bytes_new(&job->job.out, job->length))
		return false;
	if (job->length == 0)
		return true;
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, NULL);
	EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	const bool good =
		context && EVP_KDF_derive(context, job->job.out.data, job->length, params) == 1;
	EVP_KDF_CTX_free(context);
	EVP_KDF_free(kdf);
	return good;
}

static OSSL_PARAM octets(const char *name, const struct crypto_bytes *bytes)
{
	static char none[1];
	return OSSL_PARAM_construct_octet_string(
		name, bytes->data ? (void *)bytes->data : none, bytes->length);
}

/* ---- PBKDF2Job(mode, password, salt, iterations, length, digest) ---- */

static bool pbkdf2_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct derive_job *job = state;
	job->secret = crypto_take_secret(engine, call, 1, "pass");
	if (!job->secret || !take_salt(engine, call, 2, job) ||
		!take_number(engine, call, 3, INT32_MAX, "iterations", &job->n) ||
		!take_length(engine, call, 4, job))
		return false;
	return (job->digest = crypto_take_digest(engine, call, 5)) != NULL;
}

static bool pbkdf2_work(void *state)
{
	struct derive_job *job = state;
	const struct crypto_bytes *secret = &job->secret->bytes;
	/* No bytes are an error, as in Node; so they are to HKDF. */
	return job->length > 0 && crypto_bytes_new(&job->job.out, job->length) &&
	       PKCS5_PBKDF2_HMAC(secret->data ? (const char *)secret->data : "",
		       (int)secret->length, job->salt.data, (int)job->salt.length, (int)job->n,
		       job->digest, (int)job->length, job->job.out.data) == 1;
}

/* ---- ScryptJob(mode, password, salt, N, r, p, memory, length) ---- */

/* What the work would refuse is refused here, as in Node: by code, and at once. */
static bool check_scrypt(struct engine *engine, const struct derive_job *job)
{
	char text[CRYPTO_ERROR_TEXT];
	ERR_clear_error();
	if (EVP_PBE_scrypt(NULL, 0, NULL, 0, job->n, job->r, job->p, job->memory, NULL, 0) == 1)
		return true;
	const unsigned long error = ERR_peek_last_error();
	ERR_error_string_n(error, text, sizeof text);
	ERR_clear_error();
	if (error != 0)
		engine_throw(engine, "RangeError", "ERR_CRYPTO_INVALID_SCRYPT_PARAMS",
			"Invalid scrypt params: %s", text);
	else
		engine_throw(engine, "RangeError", "ERR_CRYPTO_INVALID_SCRYPT_PARAMS",
			"Invalid scrypt params");
	return false;
}

static bool scrypt_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct derive_job *job = state;
	job->secret = crypto_take_secret(engine, call, 1, "pass");
	return job->secret && take_salt(engine, call, 2, job) &&
	       take_number(engine, call, 3, UINT32_MAX, "N", &job->n) &&
	       take_number(engine, call, 4, UINT32_MAX, "r", &job->r) &&
	       take_number(engine, call, 5, UINT32_MAX, "p", &job->p) &&
	       take_number(engine, call, 6, 9007199254740991.0, "maxmem", &job->memory) &&
	       take_length(engine, call, 7, job) && check_scrypt(engine, job);
}

static bool scrypt_work(void *state)
{
	struct derive_job *job = state;
	const struct crypto_bytes *secret = &job->secret->bytes;
	return crypto_bytes_new(&job->job.out, job->length) &&
	       (job->length == 0 ||
		       EVP_PBE_scrypt(secret->data ? (const char *)secret->data : "",
			       secret->length, job->salt.data, job->salt.length, job->n, job->r,
			       job->p, job->memory, job->job.out.data, job->length) == 1);
}

/* ---- HKDFJob(mode, digest, key, salt, info, length) ---- */

static bool hkdf_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct derive_job *job = state;
	job->digest = crypto_take_digest(engine, call, 1);
	job->secret = job->digest ? crypto_take_secret(engine, call, 2, "key") : NULL;
	if (!job->secret || !take_salt(engine, call, 3, job) ||
		!crypto_take_bytes(engine, engine_call_argument(engine, call, 4), CRYPTO_COPY,
			"info", &job->info) ||
		!take_length(engine, call, 5, job))
		return false;
	const int size = EVP_MD_get_size(job->digest);
	if (size > 0 && job->length <= 255 * (size_t)size)
		return true;
	engine_throw(engine, "RangeError", "ERR_CRYPTO_INVALID_KEYLEN", "Invalid key length");
	return false;
}

static bool hkdf_work(void *state)
{
	struct derive_job *job = state;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
			OSSL_KDF_PARAM_DIGEST, (char *)EVP_MD_get0_name(job->digest), 0),
		octets(OSSL_KDF_PARAM_KEY, &job->secret->bytes),
		octets(OSSL_KDF_PARAM_SALT, &job->salt),
		octets(OSSL_KDF_PARAM_INFO, &job->info),
		OSSL_PARAM_construct_end(),
	};
	return job->length > 0 && derive(job, OSSL_KDF_NAME_HKDF, params);
}

/* ---- Argon2Job(mode, password, salt, lanes, length, memory, passes, secret, associated data,
 * type) ---- */

static bool take_u32(
	struct engine *engine, struct engine_call *call, int index, const char *name, uint32_t *ret)
{
	uint64_t number;
	if (!take_number(engine, call, index, UINT32_MAX, name, &number))
		return false;
	*ret = (uint32_t)number;
	return true;
}

static bool argon2_configure(struct engine *engine, struct engine_call *call, void *state)
{
	static const char *const names[] = {"ARGON2D", "ARGON2I", "ARGON2ID"};
	struct derive_job *job = state;
	uint32_t type;
	job->secret = crypto_take_secret(engine, call, 1, "pass");
	if (!job->secret || !take_salt(engine, call, 2, job) ||
		!take_u32(engine, call, 3, "lanes", &job->lanes) ||
		!take_length(engine, call, 4, job) ||
		!take_u32(engine, call, 5, "memory", &job->cost) ||
		!take_u32(engine, call, 6, "passes", &job->passes) ||
		!crypto_take_optional(engine, call, 7, CRYPTO_COPY, "secret", &job->extra) ||
		!crypto_take_optional(engine, call, 8, CRYPTO_COPY, "associatedData", &job->info) ||
		!take_u32(engine, call, 9, "type", &type))
		return false;
	if (type >= ARRAY_LENGTH(names))
		return out_of_range(engine, "type");
	job->argon2 = names[type];
	return true;
}

/* One thread does the work of all lanes, which are a matter of the result, not of speed: OpenSSL
 * would start as many. */
static bool argon2_work(void *state)
{
	struct derive_job *job = state;
	OSSL_PARAM params[9];
	size_t count = 0;
	params[count++] = octets(OSSL_KDF_PARAM_PASSWORD, &job->secret->bytes);
	params[count++] = octets(OSSL_KDF_PARAM_SALT, &job->salt);
	params[count++] = OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_ARGON2_LANES, &job->lanes);
	params[count++] = OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_ARGON2_MEMCOST, &job->cost);
	params[count++] = OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_ITER, &job->passes);
	if (job->extra.length > 0)
		params[count++] = octets(OSSL_KDF_PARAM_SECRET, &job->extra);
	if (job->info.length > 0)
		params[count++] = octets(OSSL_KDF_PARAM_ARGON2_AD, &job->info);
	params[count] = OSSL_PARAM_construct_end();
	return derive(job, job->argon2, params);
}

#define DERIVE_JOB(variable, name_, configure_, work_)                                             \
	static const struct crypto_job_type variable = {                                           \
		.name = name_,                                                                     \
		.size = sizeof(struct derive_job),                                                 \
		.configure = configure_,                                                           \
		.work = work_,                                                                     \
		.clear = clear,                                                                    \
	};                                                                                         \
	CRYPTO_JOB(variable)

DERIVE_JOB(pbkdf2_job, "PBKDF2Job", pbkdf2_configure, pbkdf2_work)
DERIVE_JOB(scrypt_job, "ScryptJob", scrypt_configure, scrypt_work)
DERIVE_JOB(hkdf_job, "HKDFJob", hkdf_configure, hkdf_work)
DERIVE_JOB(argon2_job, "Argon2Job", argon2_configure, argon2_work)

static const struct engine_class classes[] = {
	CRYPTO_JOB_CLASS(pbkdf2_job, "PBKDF2Job"),
	CRYPTO_JOB_CLASS(scrypt_job, "ScryptJob"),
	CRYPTO_JOB_CLASS(hkdf_job, "HKDFJob"),
	CRYPTO_JOB_CLASS(argon2_job, "Argon2Job"),
};

const struct native_module crypto_derive_natives = {
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
};
