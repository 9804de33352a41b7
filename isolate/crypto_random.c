/* Randomness of node:crypto: bytes, primes; and comparing without telling time. */
#include "common/cleanup.h"
#include "isolate/crypto_job.h"

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include <string.h>

/* ---- RandomBytesJob(mode, buffer, offset, size) ---- */

/* Bytes come from the kernel: two forks cannot share what nobody keeps. A thread writes them
 * where they are wanted, unless the buffer can shrink meanwhile. */
struct bytes_job {
	struct crypto_job job;
	engine_pin *pin;
	unsigned char *target; /* in what is pinned; NULL: job.out */
	engine_ref *buffer;    /* then */
	size_t offset, size;
};

static bool bytes_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct bytes_job *job = state;
	engine_value *buffer = engine_call_argument(engine, call, 1);
	const double offset = engine_argument_number(call, 2),
		     size = engine_argument_number(call, 3);
	bool fixed = false;
	void *data;
	size_t length;
	if (!engine_bytes_get(buffer, &data, &length) || !(offset >= 0 && size >= 0) ||
		offset > (double)length || size > (double)length - offset) {
		engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE",
			"the buffer does not have these bytes");
		return false;
	}
	job->offset = (size_t)offset;
	job->size = (size_t)size;
	job->job.failure = "the kernel gave no randomness";
	job->pin = engine_pin_new(buffer, &fixed);
	if (job->pin && fixed && data) /* what is detached has none */
		job->target = (unsigned char *)data + job->offset;
	else
		job->buffer = engine_ref_new(engine, buffer);
	return true;
}

static bool bytes_work(void *state)
{
	struct bytes_job *job = state;
	if (job->target)
		return crypto_random(job->target, job->size);
	return crypto_bytes_new(&job->job.out, job->size) &&
	       crypto_random(job->job.out.data, job->size);
}

static engine_value *bytes_result(struct engine *engine, void *state)
{
	struct bytes_job *job = state;
	void *data;
	size_t length;
	if (job->target || !engine_bytes_get(engine_ref_get(engine, job->buffer), &data, &length))
		return engine_undefined(engine);
	const size_t room = length > job->offset ? length - job->offset : 0;
	const size_t count = room < job->size ? room : job->size;
	if (count > 0)
		memcpy((char *)data + job->offset, job->job.out.data, count);
	job->buffer = engine_ref_free(job->buffer);
	return engine_undefined(engine);
}

static void bytes_clear(void *state)
{
	struct bytes_job *job = state;
	engine_pin_free(job->pin);
	engine_ref_free(job->buffer);
}

static const struct crypto_job_type bytes_job = {
	.name = "RandomBytesJob",
	.size = sizeof(struct bytes_job),
	.configure = bytes_configure,
	.work = bytes_work,
	.result = bytes_result,
	.clear = bytes_clear,
};
CRYPTO_JOB(bytes_job)

/* ---- RandomPrimeJob(mode, bits, safe, add, remainder) ---- */

struct prime_job {
	struct crypto_job job;
	int bits; /* CheckPrimeJob: of rounds */
	bool safe, prime;
	BIGNUM *number, *add, *remainder;
};

static bool failed(struct engine *engine)
{
	ERR_clear_error();
	engine_throw(engine, "Error", "ERR_CRYPTO_OPERATION_FAILED", "could not generate prime");
	return false;
}

static bool take_number(struct engine *engine, struct engine_call *call, int index, BIGNUM **ret)
{
	cleanup_bytes struct crypto_bytes bytes = {0};
	if (engine_typeof(engine_call_argument(engine, call, index)) == ENGINE_UNDEFINED)
		return true;
	if (!crypto_take_optional(engine, call, index, CRYPTO_COPY, "number", &bytes))
		return false;
	*ret = BN_bin2bn(bytes.data, (int)bytes.length, NULL);
	return *ret || failed(engine);
}

static bool prime_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct prime_job *job = state;
	const double bits = engine_argument_number(call, 1);
	if (!(bits >= 1 && bits <= INT32_MAX)) {
		engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE", "size is out of range");
		return false;
	}
	job->bits = (int)bits;
	job->safe = engine_argument_bool(call, 2);
	if (!take_number(engine, call, 3, &job->add) ||
		!take_number(engine, call, 4, &job->remainder))
		return false;
	/* OpenSSL checks neither, and would never end. */
	if (job->add && BN_num_bits(job->add) > job->bits) {
		engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE", "invalid options.add");
		return false;
	}
	if (job->add && job->remainder && BN_cmp(job->add, job->remainder) <= 0) {
		engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE", "invalid options.rem");
		return false;
	}
	job->number = BN_secure_new();
	return job->number || failed(engine);
}

static bool prime_work(void *state)
{
	struct prime_job *job = state;
	struct crypto_bytes *out = &job->job.out;
	if (BN_generate_prime_ex(
		    job->number, job->bits, job->safe, job->add, job->remainder, NULL) != 1)
		return false;
	return crypto_bytes_new(out, (size_t)BN_num_bytes(job->number)) &&
	       BN_bn2binpad(job->number, out->data, (int)out->length) >= 0;
}

static void prime_clear(void *state)
{
	struct prime_job *job = state;
	BN_clear_free(job->number);
	BN_free(job->add);
	BN_free(job->remainder);
}

static const struct crypto_job_type prime_job = {
	.name = "RandomPrimeJob",
	.size = sizeof(struct prime_job),
	.configure = prime_configure,
	.work = prime_work,
	.clear = prime_clear,
};
CRYPTO_JOB(prime_job)

/* ---- CheckPrimeJob(mode, candidate, rounds) ---- */

static bool check_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct prime_job *job = state;
	const double rounds = engine_argument_number(call, 2);
	if (!take_number(engine, call, 1, &job->number))
		return false;
	if (!job->number || !(rounds >= 0 && rounds <= INT32_MAX)) {
		engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE", "checks is out of range");
		return false;
	}
	job->bits = (int)rounds;
	return true;
}

/* OpenSSL's own number of rounds is enough for whatever was chosen by an adversary; more can be
 * asked for. */
static bool check_work(void *state)
{
	struct prime_job *job = state;
	BN_CTX *context = BN_CTX_new();
	int result = -1;
	if (context) {
		result = BN_check_prime(job->number, context, NULL);
		for (int done = 64; result == 1 && done < job->bits; done += 64)
			result = BN_check_prime(job->number, context, NULL);
	}
	BN_CTX_free(context);
	job->prime = result == 1;
	return result >= 0;
}

static engine_value *check_result(struct engine *engine, void *state)
{
	const struct prime_job *job = state;
	return engine_bool(engine, job->prime);
}

static const struct crypto_job_type check_job = {
	.name = "CheckPrimeJob",
	.size = sizeof(struct prime_job),
	.configure = check_configure,
	.work = check_work,
	.result = check_result,
	.clear = prime_clear,
};
CRYPTO_JOB(check_job)

/* ---- comparing ---- */

/* timingSafeEqual(a, b) */
static engine_value *timing_safe_equal(struct engine *engine, struct engine_call *call)
{
	void *data[2];
	size_t lengths[2];
	for (int i = 0; i < 2; i++)
		if (!engine_bytes_get(engine_call_argument(engine, call, i), &data[i], &lengths[i]))
			return engine_throw(engine, "TypeError", "ERR_INVALID_ARG_TYPE",
				"The \"buf%d\" argument must be an instance of ArrayBuffer, "
				"Buffer, TypedArray, or DataView.",
				i + 1);
	if (lengths[0] != lengths[1])
		return engine_throw(engine, "RangeError", "ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH",
			"Input buffers must have the same byte length");
	return engine_bool(
		engine, lengths[0] == 0 || CRYPTO_memcmp(data[0], data[1], lengths[0]) == 0);
}

static const struct engine_class classes[] = {
	CRYPTO_JOB_CLASS(bytes_job, "RandomBytesJob"),
	CRYPTO_JOB_CLASS(prime_job, "RandomPrimeJob"),
	CRYPTO_JOB_CLASS(check_job, "CheckPrimeJob"),
};

static const struct engine_native natives[] = {
	{"timingSafeEqual", timing_safe_equal, 2},
};

const struct native_module crypto_random_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
};
