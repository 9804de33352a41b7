/* Making keys: SecretKeyGenJob, and a job for each way to make a pair. After its own arguments a
 * pair takes how both are wanted: (format, structure) of the public one, (format, structure,
 * cipher, passphrase) of the private one; in CRYPTO_WEB nothing, and both are handles. */
#include "common/cleanup.h"
#include "isolate/crypto_dh.h"
#include "isolate/crypto_job.h"
#include "isolate/crypto_key_private.h"

#include <openssl/core_names.h>
#include <openssl/dh.h>
#include <openssl/dsa.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <string.h>

#define RSA_PSS_VARIANT 1

struct pair_job {
	struct crypto_job job;
	struct crypto_encoding public, private;
	EVP_PKEY *pkey;
	const char *type; /* OpenSSL's name of the kind, or of the curve */
	int bits, other;  /* DSA: of the divisor, DH: the generator, PSS: the salt, or -1 */
	unsigned exponent;
	bool explicit;
	EVP_MD *digest, *mgf1;
	BIGNUM *prime;
};

static void clear(void *state)
{
	struct pair_job *job = state;
	crypto_encoding_clear(&job->public);
	crypto_encoding_clear(&job->private);
	EVP_PKEY_free(job->pkey);
	EVP_MD_free(job->digest);
	EVP_MD_free(job->mgf1);
	BN_free(job->prime);
}

static bool take_encodings(
	struct engine *engine, struct engine_call *call, int index, struct pair_job *job)
{
	job->job.failure = "Key generation job failed";
	if (job->job.mode == CRYPTO_WEB) {
		job->public.as_object = job->private.as_object = true;
		return true;
	}
	return crypto_take_format(engine, call, &index, &job->public) &&
	       crypto_take_private_encoding(engine, call, &index, &job->private);
}

static bool out_of_range(struct engine *engine, const char *name)
{
	engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE", "%s is out of range", name);
	return false;
}

static bool take_int(
	struct engine *engine, struct engine_call *call, int index, const char *name, int *ret)
{
	const double number = engine_argument_number(call, index);
	if (engine_typeof(engine_call_argument(engine, call, index)) != ENGINE_NUMBER ||
		!(number >= INT32_MIN && number <= INT32_MAX))
		return out_of_range(engine, name);
	*ret = (int)number;
	return true;
}

/* [public, private], as wanted. */
static engine_value *result(struct engine *engine, void *state)
{
	struct pair_job *job = state;
	struct crypto_key *key = crypto_key_new(CRYPTO_KEY_PRIVATE, job->pkey);
	engine_value *items[2];
	job->pkey = NULL;
	if (!key)
		return engine_throw(
			engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED", "out of memory");
	items[0] = crypto_key_encoded(engine, key, CRYPTO_KEY_PUBLIC, &job->public);
	items[1] = items[0] ? crypto_key_encoded(engine, key, CRYPTO_KEY_PRIVATE, &job->private)
			    : NULL;
	crypto_key_unref(key);
	return items[1] ? engine_array(engine, items, 2) : NULL;
}

/* Frees CONTEXT. */
static bool generate(struct pair_job *job, EVP_PKEY_CTX *context, bool ready)
{
	const bool good = context && ready && EVP_PKEY_generate(context, &job->pkey) == 1;
	EVP_PKEY_CTX_free(context);
	return good;
}

/* A context for keys with the parameters that CONTEXT, which is freed, is set to. */
static EVP_PKEY_CTX *with_parameters(EVP_PKEY_CTX *context, bool ready)
{
	EVP_PKEY *parameters = NULL;
	if (context && ready && EVP_PKEY_paramgen(context, &parameters) != 1)
		parameters = NULL;
	EVP_PKEY_CTX_free(context);
	context = parameters ? EVP_PKEY_CTX_new_from_pkey(NULL, parameters, NULL) : NULL;
	EVP_PKEY_free(parameters);
	return context;
}

static EVP_PKEY_CTX *context_for(const char *type)
{
	return EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
}

/* ---- RsaKeyPairGenJob(mode, variant, bits, exponent[, digest, mgf1 digest, salt], …) ---- */

static EVP_MD *take_mgf1(struct engine *engine, struct engine_call *call, int index)
{
	cleanup_free char *name = crypto_take_text(engine, call, index, "digest");
	if (!name)
		return NULL;
	EVP_MD *digest = crypto_digest(name);
	if (!digest)
		engine_throw(engine, "TypeError", "ERR_CRYPTO_INVALID_DIGEST",
			"Invalid MGF1 digest: %s", name);
	return digest;
}

static bool is_given(struct engine *engine, struct engine_call *call, int index)
{
	return engine_typeof(engine_call_argument(engine, call, index)) != ENGINE_UNDEFINED;
}

static bool take_pss(struct engine *engine, struct engine_call *call, struct pair_job *job)
{
	job->type = "RSA-PSS";
	if (is_given(engine, call, 4) && !(job->digest = crypto_take_digest(engine, call, 4)))
		return false;
	if (is_given(engine, call, 5) && !(job->mgf1 = take_mgf1(engine, call, 5)))
		return false;
	if (!is_given(engine, call, 6))
		return true;
	if (!take_int(engine, call, 6, "salt length", &job->other))
		return false;
	return job->other >= 0 || out_of_range(engine, "salt length");
}

static bool rsa_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct pair_job *job = state;
	const double exponent = engine_argument_number(call, 3);
	/* In Web Cryptography PSS keys are RSA keys, bound to nothing. */
	const bool pss = engine_argument_int32(call, 1) == RSA_PSS_VARIANT;
	if (!take_int(engine, call, 2, "modulusLength", &job->bits))
		return false;
	if (!(exponent >= 0 && exponent <= UINT32_MAX))
		return out_of_range(engine, "publicExponent");
	job->exponent = (unsigned)exponent;
	job->other = -1;
	job->type = "RSA";
	if (pss && !take_pss(engine, call, job))
		return false;
	return take_encodings(engine, call, pss ? 7 : 4, job);
}

static bool set_pss(EVP_PKEY_CTX *context, const struct pair_job *job)
{
	const EVP_MD *mgf1 = job->mgf1 ? job->mgf1 : job->digest;
	const int salt =
		job->other >= 0 || !job->digest ? job->other : EVP_MD_get_size(job->digest);
	return (!job->digest || EVP_PKEY_CTX_set_rsa_pss_keygen_md(context, job->digest) == 1) &&
	       (!mgf1 || EVP_PKEY_CTX_set_rsa_pss_keygen_mgf1_md(context, mgf1) == 1) &&
	       (salt < 0 || EVP_PKEY_CTX_set_rsa_pss_keygen_saltlen(context, salt) == 1);
}

static bool rsa_work(void *state)
{
	struct pair_job *job = state;
	EVP_PKEY_CTX *context = context_for(job->type);
	BIGNUM *exponent = BN_new();
	const bool ready = context && exponent && BN_set_word(exponent, job->exponent) == 1 &&
			   EVP_PKEY_keygen_init(context) == 1 &&
			   EVP_PKEY_CTX_set_rsa_keygen_bits(context, job->bits) == 1 &&
			   EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, exponent) == 1 &&
			   (strcmp(job->type, "RSA") == 0 || set_pss(context, job));
	BN_free(exponent);
	return generate(job, context, ready);
}

/* ---- DsaKeyPairGenJob(mode, bits, bits of the divisor, …) ---- */

static bool dsa_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct pair_job *job = state;
	return take_int(engine, call, 1, "modulusLength", &job->bits) &&
	       take_int(engine, call, 2, "divisorLength", &job->other) &&
	       take_encodings(engine, call, 3, job);
}

static bool dsa_work(void *state)
{
	struct pair_job *job = state;
	EVP_PKEY_CTX *context = context_for("DSA");
	const bool ready =
		context && EVP_PKEY_paramgen_init(context) == 1 &&
		EVP_PKEY_CTX_set_dsa_paramgen_bits(context, job->bits) == 1 &&
		(job->other < 0 || EVP_PKEY_CTX_set_dsa_paramgen_q_bits(context, job->other) == 1);
	context = with_parameters(context, ready);
	return generate(job, context, context && EVP_PKEY_keygen_init(context) == 1);
}

/* ---- EcKeyPairGenJob(mode, curve, explicit or named, …) ---- */

static bool ec_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct pair_job *job = state;
	engine_value *encoding = engine_call_argument(engine, call, 2);
	cleanup_free char *name = crypto_take_text(engine, call, 1, "namedCurve");
	if (!name)
		return false;
	const struct crypto_family *family = crypto_family_named(name);
	job->explicit = engine_typeof(encoding) == ENGINE_NUMBER &&
			engine_to_int32(engine, encoding) == OPENSSL_EC_EXPLICIT_CURVE;
	job->type = family && family->raw_private && !family->seed ? family->type
								   : crypto_curve_name(name);
	if (!job->type) {
		engine_throw(
			engine, "TypeError", "ERR_CRYPTO_INVALID_CURVE", "Invalid EC curve name");
		return false;
	}
	return take_encodings(engine, call, 3, job);
}

static bool ec_work(void *state)
{
	struct pair_job *job = state;
	const bool curve = crypto_family_named(job->type) == NULL;
	EVP_PKEY_CTX *context = context_for(curve ? "EC" : job->type);
	bool ready = context && EVP_PKEY_keygen_init(context) == 1;
	if (ready && curve)
		ready = EVP_PKEY_CTX_set_group_name(context, job->type) == 1 &&
			EVP_PKEY_CTX_set_ec_param_enc(
				context, job->explicit ? OPENSSL_EC_EXPLICIT_CURVE
						       : OPENSSL_EC_NAMED_CURVE) == 1;
	return generate(job, context, ready);
}

/* ---- NidKeyPairGenJob(mode, number, …) ---- */

static bool nid_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct pair_job *job = state;
	int id;
	if (!take_int(engine, call, 1, "type", &id))
		return false;
	const struct crypto_family *family = crypto_family_by_id(id);
	if (!family || !family->raw_public) {
		engine_throw(engine, "TypeError", "ERR_INVALID_ARG_VALUE",
			"must be a supported key type");
		return false;
	}
	job->type = family->type;
	return take_encodings(engine, call, 2, job);
}

static bool nid_work(void *state)
{
	struct pair_job *job = state;
	EVP_PKEY_CTX *context = context_for(job->type);
	return generate(job, context, context && EVP_PKEY_keygen_init(context) == 1);
}

/* ---- DhKeyPairGenJob(mode, group, …) or (mode, prime or its bits, generator, …) ---- */

static bool dh_take_prime(struct engine *engine, struct engine_call *call, struct pair_job *job)
{
	cleanup_bytes struct crypto_bytes prime = {0};
	if (!crypto_take_bytes(
		    engine, engine_call_argument(engine, call, 1), CRYPTO_COPY, "prime", &prime))
		return false;
	job->prime = BN_bin2bn(prime.data, (int)prime.length, NULL);
	return job->prime || out_of_range(engine, "prime");
}

static bool dh_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct pair_job *job = state;
	switch (engine_typeof(engine_call_argument(engine, call, 1))) {
	case ENGINE_STRING: {
		cleanup_free char *name = crypto_take_text(engine, call, 1, "group");
		job->prime = name ? crypto_dh_prime(name) : NULL;
		job->other = 2;
		if (name && !job->prime)
			engine_throw(
				engine, "Error", "ERR_CRYPTO_UNKNOWN_DH_GROUP", "Unknown DH group");
		return job->prime && take_encodings(engine, call, 2, job);
	}
	case ENGINE_NUMBER:
		if (!take_int(engine, call, 1, "primeLength", &job->bits))
			return false;
		if (job->bits < 0)
			return out_of_range(engine, "Invalid prime size");
		break;
	default:
		if (!dh_take_prime(engine, call, job))
			return false;
	}
	return take_int(engine, call, 2, "generator", &job->other) &&
	       take_encodings(engine, call, 3, job);
}

static EVP_PKEY_CTX *dh_of_prime(const struct pair_job *job)
{
	BIGNUM *generator = BN_new();
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY_CTX *context = context_for("DH");
	EVP_PKEY *parameters = NULL;
	if (generator && builder && job->other >= 0 &&
		BN_set_word(generator, (unsigned)job->other) == 1 &&
		OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_FFC_P, job->prime) == 1 &&
		OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_FFC_G, generator) == 1)
		params = OSSL_PARAM_BLD_to_param(builder);
	if (params && context && EVP_PKEY_fromdata_init(context) == 1)
		(void)EVP_PKEY_fromdata(context, &parameters, EVP_PKEY_KEY_PARAMETERS, params);
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	BN_free(generator);
	context = parameters ? EVP_PKEY_CTX_new_from_pkey(NULL, parameters, NULL) : NULL;
	EVP_PKEY_free(parameters);
	return context;
}

static EVP_PKEY_CTX *dh_of_size(const struct pair_job *job)
{
	EVP_PKEY_CTX *context = context_for("DH");
	const bool ready = context && EVP_PKEY_paramgen_init(context) == 1 &&
			   EVP_PKEY_CTX_set_dh_paramgen_prime_len(context, job->bits) == 1 &&
			   EVP_PKEY_CTX_set_dh_paramgen_generator(context, job->other) == 1;
	return with_parameters(context, ready);
}

static bool dh_work(void *state)
{
	struct pair_job *job = state;
	EVP_PKEY_CTX *context = job->prime ? dh_of_prime(job) : dh_of_size(job);
	return generate(job, context, context && EVP_PKEY_keygen_init(context) == 1);
}

/* ---- SecretKeyGenJob(mode, bits) ---- */

struct secret_job {
	struct crypto_job job;
	size_t bits;
	struct crypto_key *key;
};

static bool secret_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct secret_job *job = state;
	const double bits = engine_argument_number(call, 1);
	if (engine_typeof(engine_call_argument(engine, call, 1)) != ENGINE_NUMBER ||
		!(bits >= 0 && bits <= UINT32_MAX))
		return out_of_range(engine, "length");
	job->job.failure = "Key generation job failed";
	job->job.quick = bits <= 8 * CRYPTO_QUICK_BYTES;
	/* node:crypto counts in bytes, Web Cryptography in bits. */
	job->bits = job->job.mode == CRYPTO_WEB ? (size_t)bits : (size_t)bits / 8 * 8;
	return true;
}

static bool secret_work(void *state)
{
	struct secret_job *job = state;
	cleanup_bytes struct crypto_bytes bytes = {0};
	if (!crypto_bytes_new(&bytes, (job->bits + 7) / 8) ||
		!crypto_random(bytes.data, bytes.length))
		return false;
	if (job->bits % 8 != 0)
		bytes.data[bytes.length - 1] &= (unsigned char)(0xff << (8 - job->bits % 8));
	job->key = crypto_key_new_secret(bytes.data, bytes.length);
	return job->key != NULL;
}

static engine_value *secret_result(struct engine *engine, void *state)
{
	struct secret_job *job = state;
	struct crypto_key *key = job->key;
	job->key = NULL;
	return crypto_key_handle(engine, key);
}

static void secret_clear(void *state)
{
	struct secret_job *job = state;
	crypto_key_unref(job->key);
}

static const struct crypto_job_type secret_job = {
	.name = "SecretKeyGenJob",
	.size = sizeof(struct secret_job),
	.configure = secret_configure,
	.work = secret_work,
	.result = secret_result,
	.clear = secret_clear,
};
CRYPTO_JOB(secret_job)

#define PAIR_JOB(variable, name_, configure_, work_)                                               \
	static const struct crypto_job_type variable = {                                           \
		.name = name_,                                                                     \
		.size = sizeof(struct pair_job),                                                   \
		.configure = configure_,                                                           \
		.work = work_,                                                                     \
		.result = result,                                                                  \
		.clear = clear,                                                                    \
	};                                                                                         \
	CRYPTO_JOB(variable)

PAIR_JOB(rsa_job, "RsaKeyPairGenJob", rsa_configure, rsa_work)
PAIR_JOB(dsa_job, "DsaKeyPairGenJob", dsa_configure, dsa_work)
PAIR_JOB(ec_job, "EcKeyPairGenJob", ec_configure, ec_work)
PAIR_JOB(nid_job, "NidKeyPairGenJob", nid_configure, nid_work)
PAIR_JOB(dh_job, "DhKeyPairGenJob", dh_configure, dh_work)

static const struct engine_class classes[] = {
	CRYPTO_JOB_CLASS(secret_job, "SecretKeyGenJob"),
	CRYPTO_JOB_CLASS(rsa_job, "RsaKeyPairGenJob"),
	CRYPTO_JOB_CLASS(dsa_job, "DsaKeyPairGenJob"),
	CRYPTO_JOB_CLASS(ec_job, "EcKeyPairGenJob"),
	CRYPTO_JOB_CLASS(nid_job, "NidKeyPairGenJob"),
	CRYPTO_JOB_CLASS(dh_job, "DhKeyPairGenJob"),
};

const struct native_module crypto_keygen_natives = {
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
};
