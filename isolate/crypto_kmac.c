/* cSHAKE and KMAC of Web Cryptography (NIST SP 800-185), both on the Keccak that OpenSSL has for
 * its own KMAC: that one neither knows lengths in bits nor short keys. */
#include "common/cleanup.h"
#include "isolate/crypto_job.h"
#include "isolate/crypto_key.h"

#include <openssl/crypto.h>
#include <string.h>

#define CUSTOMIZATION_MAX 512
#define KEY_MAX 512
#define KMAC_OUTPUT_MAX (0xffffff / 8)

struct keccak_job {
	struct crypto_job job;
	bool wide; /* 256 */
	bool verify;
	size_t bits;            /* of output */
	struct crypto_key *key; /* KMAC */
	size_t key_bits;        /* KMAC */
	struct crypto_bytes name, customization, data, signature;
};

/* The number as bytes, big-endian, with their count before them or after them. */
static bool update_length(EVP_MD_CTX *context, size_t value, bool before)
{
	unsigned char bytes[sizeof value + 1];
	size_t count = 1, used = 0;
	for (size_t rest = value; rest >>= 8;)
		count++;
	if (before)
		bytes[used++] = (unsigned char)count;
	for (size_t i = count; i > 0; i--)
		bytes[used++] = (unsigned char)(value >> 8 * (i - 1));
	if (!before)
		bytes[used++] = (unsigned char)count;
	return EVP_DigestUpdate(context, bytes, used) == 1;
}

static size_t length_size(size_t value)
{
	size_t count = 2;
	while (value >>= 8)
		count++;
	return count;
}

struct text {
	const void *data;
	size_t length, bits;
};

/* bytepad of the strings, each with its length before it. */
static bool update_padded(EVP_MD_CTX *context, size_t rate, const struct text *texts, size_t count)
{
	static const unsigned char zeros[168];
	size_t written = length_size(rate);
	if (!update_length(context, rate, true))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!update_length(context, texts[i].bits, true) ||
			EVP_DigestUpdate(context, texts[i].data, texts[i].length) != 1)
			return false;
		written += length_size(texts[i].bits) + texts[i].length;
	}
	return written % rate == 0 || EVP_DigestUpdate(context, zeros, rate - written % rate) == 1;
}

static struct text text_of(const struct crypto_bytes *bytes)
{
	return (struct text){bytes->data, bytes->length, bytes->length * 8};
}

static bool absorb(EVP_MD_CTX *context, const struct keccak_job *job)
{
	const size_t rate = job->wide ? 136 : 168;
	const struct text head[] = {text_of(&job->name), text_of(&job->customization)};
	if (!update_padded(context, rate, head, ARRAY_LENGTH(head)))
		return false;
	if (job->key) {
		const struct text key = {
			job->key->bytes.data, (job->key_bits + 7) / 8, job->key_bits};
		if (!update_padded(context, rate, &key, 1))
			return false;
	}
	return EVP_DigestUpdate(context, job->data.data, job->data.length) == 1 &&
	       (!job->key || update_length(context, job->bits, false));
}

static bool work(void *state)
{
	struct keccak_job *job = state;
	struct crypto_bytes *out = &job->job.out;
	if (!crypto_bytes_new(out, (job->bits + 7) / 8))
		return false;
	if (out->length == 0)
		return true;
	EVP_MD *digest =
		EVP_MD_fetch(NULL, job->wide ? "KECCAK-KMAC-256" : "KECCAK-KMAC-128", NULL);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	const bool good = digest && context && EVP_DigestInit_ex2(context, digest, NULL) == 1 &&
			  absorb(context, job) &&
			  EVP_DigestFinalXOF(context, out->data, out->length) == 1;
	EVP_MD_CTX_free(context);
	EVP_MD_free(digest);
	if (job->bits % 8 != 0)
		out->data[out->length - 1] &= (unsigned char)(0xff << (8 - job->bits % 8));
	return good;
}

static bool too_big(struct engine *engine, const char *what)
{
	engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE", "%s is too big", what);
	return false;
}

static bool take_number(
	struct engine *engine, struct engine_call *call, int index, const char *name, size_t *ret)
{
	const double number = engine_argument_number(call, index);
	if (!(number >= 0 && number <= UINT32_MAX))
		return too_big(engine, name);
	*ret = (size_t)number;
	return true;
}

static bool take_name(struct engine *engine, struct engine_call *call, int index,
	const char *narrow, const char *wide, bool *ret_wide)
{
	cleanup_free char *name = crypto_take_text(engine, call, index, "algorithm");
	if (!name)
		return false;
	*ret_wide = strcmp(name, wide) == 0;
	if (*ret_wide || strcmp(name, narrow) == 0)
		return true;
	engine_throw(engine, "TypeError", "ERR_INVALID_ARG_VALUE", "not an algorithm: %s", name);
	return false;
}

/* CShakeJob(mode, algorithm, data, function name, customization, bits) */
static bool cshake_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct keccak_job *job = state;
	if (!take_name(engine, call, 1, "cSHAKE128", "cSHAKE256", &job->wide) ||
		!crypto_take_bytes(engine, engine_call_argument(engine, call, 2), CRYPTO_COPY,
			"data", &job->data) ||
		!crypto_take_optional(engine, call, 3, CRYPTO_COPY, "functionName", &job->name) ||
		!crypto_take_optional(
			engine, call, 4, CRYPTO_COPY, "customization", &job->customization) ||
		!take_number(engine, call, 5, "length", &job->bits))
		return false;
	if (job->customization.length > CUSTOMIZATION_MAX)
		return too_big(engine, "customization");
	return true;
}

/* KmacJob(mode, sign or verify, key, algorithm, customization, bits of key, bits, data[,
 * signature]) */
static bool kmac_configure(struct engine *engine, struct engine_call *call, void *state)
{
	static const unsigned char name[] = "KMAC";
	struct keccak_job *job = state;
	job->verify = engine_argument_int32(call, 1) == 1;
	struct crypto_key *key = crypto_take_key(
		engine, engine_call_argument(engine, call, 2), CRYPTO_KEY_SECRET, "key");
	if (!key)
		return false;
	job->key = crypto_key_ref(key);
	job->name = (struct crypto_bytes){.data = (unsigned char *)name, .length = 4};
	if (!take_name(engine, call, 3, "KMAC128", "KMAC256", &job->wide) ||
		!crypto_take_optional(
			engine, call, 4, CRYPTO_COPY, "customization", &job->customization) ||
		!take_number(engine, call, 5, "key length", &job->key_bits) ||
		!take_number(engine, call, 6, "length", &job->bits) ||
		!crypto_take_bytes(engine, engine_call_argument(engine, call, 7), CRYPTO_COPY,
			"data", &job->data) ||
		!crypto_take_optional(engine, call, 8, CRYPTO_COPY, "signature", &job->signature))
		return false;
	if (job->customization.length > CUSTOMIZATION_MAX)
		return too_big(engine, "customization");
	if (key->bytes.length > KEY_MAX || (job->key_bits + 7) / 8 > key->bytes.length)
		return too_big(engine, "key length");
	return (job->bits + 7) / 8 <= KMAC_OUTPUT_MAX || too_big(engine, "length");
}

static engine_value *kmac_result(struct engine *engine, void *state)
{
	struct keccak_job *job = state;
	struct crypto_bytes *out = &job->job.out;
	if (!job->verify)
		return crypto_buffer_of(engine, out);
	return engine_bool(
		engine, out->length > 0 && out->length == job->signature.length &&
				CRYPTO_memcmp(out->data, job->signature.data, out->length) == 0);
}

static void clear(void *state)
{
	struct keccak_job *job = state;
	crypto_key_unref(job->key);
	crypto_bytes_clear(&job->name);
	crypto_bytes_clear(&job->customization);
	crypto_bytes_clear(&job->data);
	crypto_bytes_clear(&job->signature);
}

static const struct crypto_job_type cshake_job = {
	.name = "CShakeJob",
	.size = sizeof(struct keccak_job),
	.configure = cshake_configure,
	.work = work,
	.clear = clear,
};
CRYPTO_JOB(cshake_job)

static const struct crypto_job_type kmac_job = {
	.name = "KmacJob",
	.size = sizeof(struct keccak_job),
	.configure = kmac_configure,
	.work = work,
	.result = kmac_result,
	.clear = clear,
};
CRYPTO_JOB(kmac_job)

static const struct engine_class classes[] = {
	CRYPTO_JOB_CLASS(cshake_job, "CShakeJob"),
	CRYPTO_JOB_CLASS(kmac_job, "KmacJob"),
};

const struct native_module crypto_kmac_natives = {
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
};
