/* Hashes of node:crypto: the class Hash, hash() at once, HashJob of Web Cryptography. Contexts
 * are used again: making one costs more than hashing a kilobyte. */
#include "common/cleanup.h"
#include "isolate/crypto_job.h"
#include "isolate/runtime.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <string.h>

/* ---- contexts ---- */

static _Thread_local EVP_MD_CTX *spare;

static EVP_MD_CTX *take_context(void)
{
	EVP_MD_CTX *context = spare;
	spare = NULL;
	return context ? context : EVP_MD_CTX_new();
}

/* On the thread that took it. */
static void give_context(EVP_MD_CTX *context)
{
	if (spare || !context)
		EVP_MD_CTX_free(context);
	else
		spare = context;
}

static void drop_spare(void)
{
	EVP_MD_CTX_free(spare);
	spare = NULL;
}

static bool is_xof(const EVP_MD *digest)
{
	return (EVP_MD_get_flags(digest) & EVP_MD_FLAG_XOF) != 0;
}

/* Bytes of output without a wish: SHAKE has none of its own, Node gives it these. */
static size_t size_of(const EVP_MD *digest)
{
	const int size = EVP_MD_get_size(digest);
	if (size > 0)
		return (size_t)size;
	if (EVP_MD_is_a(digest, "SHAKE128"))
		return 16;
	return EVP_MD_is_a(digest, "SHAKE256") ? 32 : 0;
}

static bool finish(EVP_MD_CTX *context, const EVP_MD *digest, unsigned char *out, size_t length)
{
	unsigned int written;
	if (is_xof(digest))
		return EVP_DigestFinalXOF(context, out, length) == 1;
	return EVP_DigestFinal_ex(context, out, &written) == 1;
}

static bool hash_at_once(
	const EVP_MD *digest, const struct crypto_bytes *data, unsigned char *out, size_t length)
{
	EVP_MD_CTX *context = take_context();
	const bool good = context && EVP_DigestInit_ex2(context, digest, NULL) == 1 &&
			  EVP_DigestUpdate(context, data->data, data->length) == 1 &&
			  finish(context, digest, out, length);
	if (good)
		give_context(context);
	else
		EVP_MD_CTX_free(context);
	return good;
}

/* The digest of argument INDEX, or of the number that the library remembers for it. New ones
 * are told to the library's table CACHE_INDEX. NULL: OpenSSL's queue may say why, or an
 * exception is pending. */
static EVP_MD *take_cached(
	struct engine *engine, struct engine_call *call, int index, int number, int cache_index)
{
	EVP_MD *digest = number >= 0 ? crypto_digest_numbered(number) : NULL;
	if (digest)
		return digest;
	cleanup_free char *name = crypto_take_text(engine, call, index, "algorithm");
	if (!name)
		return NULL;
	ERR_clear_error();
	number = crypto_digest_number(name, &digest);
	engine_value *cache = engine_call_argument(engine, call, cache_index);
	if (number < 0 || engine_typeof(cache) != ENGINE_OBJECT)
		return digest;
	if (engine_set(engine, cache, name, engine_int32(engine, number)) == 0)
		return digest;
	EVP_MD_free(digest);
	return NULL;
}

/* ---- hash() ---- */

#define SHORT_TEXT 1536 /* bytes of a string that needs no memory of its own */

/* The length that is wanted, argument INDEX; false with an exception pending. */
static bool take_length(struct engine *engine, struct engine_call *call, int index,
	size_t otherwise, size_t *ret_length)
{
	engine_value *value = engine_call_argument(engine, call, index);
	*ret_length = otherwise;
	if (engine_typeof(value) == ENGINE_UNDEFINED)
		return true;
	const double length = engine_to_number(engine, value);
	if (!(length >= 0 && length <= INT32_MAX)) {
		engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE", "outputLength is too big");
		return false;
	}
	*ret_length = (size_t)length;
	return true;
}

static engine_value *bad_length(struct engine *engine, struct engine_call *call, size_t length)
{
	char text[200];
	cleanup_free char *name = crypto_take_text(engine, call, 0, "algorithm");
	if (!name)
		return NULL;
	snprintf(text, sizeof text,
		"Output length %zu is invalid for %s, which does not support XOF", length, name);
	return crypto_throw(engine, text);
}

static engine_value *unsupported(struct engine *engine, struct engine_call *call)
{
	char text[200];
	if (engine_exception_pending(engine))
		return NULL;
	cleanup_free char *name = crypto_take_text(engine, call, 0, "algorithm");
	if (!name)
		return NULL;
	snprintf(text, sizeof text, "Digest method %s is not supported", name);
	return crypto_throw(engine, text);
}

static engine_value *hash_argument(
	struct engine *engine, struct engine_call *call, const EVP_MD *digest, size_t length)
{
	cleanup_bytes struct crypto_bytes data = {0}, large = {0};
	unsigned char small[EVP_MAX_MD_SIZE], text[SHORT_TEXT];
	struct crypto_bytes out = {.data = small, .length = length};
	engine_value *input = engine_call_argument(engine, call, 3);
	if (engine_typeof(input) == ENGINE_STRING && engine_string_length(input) <= SHORT_TEXT / 3)
		data = (struct crypto_bytes){.data = text,
			.length = engine_string_write_utf8(
				engine, input, (char *)text, sizeof text, NULL)};
	else if (!crypto_take_bytes(engine, input, CRYPTO_BORROW, "input", &data))
		return NULL;
	if (length > sizeof small) {
		if (!crypto_bytes_new(&large, length))
			return engine_throw(engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED",
				"out of memory");
		out = large;
		large = (struct crypto_bytes){0};
	}
	if (length > 0 && !hash_at_once(digest, &data, out.data, length)) {
		crypto_bytes_clear(&out);
		return crypto_throw(engine, "Digest method not supported");
	}
	engine_value *result =
		crypto_encoded_of(engine, &out, engine_call_argument(engine, call, 4));
	crypto_bytes_clear(&out);
	return result;
}

/* oneShotDigest(algorithm, number, cache, input, encoding, …, output length) */
static engine_value *one_shot(struct engine *engine, struct engine_call *call)
{
	size_t length;
	EVP_MD *digest = take_cached(engine, call, 0, engine_argument_int32(call, 1), 2);
	if (!digest)
		return unsupported(engine, call);
	engine_value *result = NULL;
	if (take_length(engine, call, 6, size_of(digest), &length))
		result = !is_xof(digest) && length != size_of(digest)
				 ? bad_length(engine, call, length)
				 : hash_argument(engine, call, digest, length);
	EVP_MD_free(digest);
	return result;
}

/* ---- the class Hash ---- */

/* About what one takes outside of V8's heap. */
#define HASH_BYTES 1024

struct hash {
	EVP_MD_CTX *context; /* NULL after digest */
	EVP_MD *digest;
	size_t length;
	struct crypto_bytes result;
	bool done;
};

static size_t hash_class;

static void find_class(void)
{
	const struct engine_tables *tables = natives_tables();
	size_t index = 0;
	while (strcmp(tables->classes[index].name, "Hash") != 0)
		index++;
	hash_class = index;
}

static void hash_destroy(void *state)
{
	struct hash *hash = state;
	engine_external_memory(runtime.engine, -HASH_BYTES);
	if (spare || engine_stopped(runtime.engine)) /* drop_spare was already */
		EVP_MD_CTX_free(hash->context);
	else
		spare = hash->context;
	EVP_MD_free(hash->digest);
	crypto_bytes_clear(&hash->result);
	free(hash);
}

static bool hash_begin(struct hash *hash, const struct hash *original)
{
	hash->context = take_context();
	if (!hash->context)
		return false;
	if (original)
		return original->context &&
		       EVP_MD_CTX_copy_ex(hash->context, original->context) == 1;
	return EVP_DigestInit_ex2(hash->context, hash->digest, NULL) == 1;
}

static struct hash *hash_make(
	struct engine *engine, struct engine_call *call, const struct hash *original)
{
	struct hash *hash = calloc(1, sizeof *hash);
	if (hash)
		engine_external_memory(engine, HASH_BYTES);
	if (!hash) {
		engine_throw(engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED", "out of memory");
		return NULL;
	}
	ERR_clear_error();
	if (original && EVP_MD_up_ref(original->digest) == 1)
		hash->digest = original->digest;
	else if (!original)
		hash->digest = take_cached(engine, call, 0, engine_argument_int32(call, 2), 3);
	if (hash->digest && take_length(engine, call, 1, size_of(hash->digest), &hash->length)) {
		if (!is_xof(hash->digest) && hash->length != size_of(hash->digest))
			ERR_raise(ERR_LIB_EVP, EVP_R_NOT_XOF_OR_INVALID_LENGTH);
		else if (hash_begin(hash, original))
			return hash;
	}
	hash_destroy(hash);
	if (!engine_exception_pending(engine))
		crypto_throw(engine, "Digest method not supported");
	return NULL;
}

/* new Hash(algorithm or a Hash, output length, number, cache) */
static engine_value *hash_construct(struct engine *engine, struct engine_call *call)
{
	engine_value *first = engine_call_argument(engine, call, 0);
	const struct hash *original = engine_typeof(first) == ENGINE_OBJECT
					      ? engine_get_state(engine, first, hash_class)
					      : NULL;
	struct hash *hash = hash_make(engine, call, original);
	if (hash)
		engine_set_state(engine_call_this(engine, call), hash);
	return NULL;
}

/* update(data, encoding): whether it was possible. */
static engine_value *hash_update(struct engine *engine, struct engine_call *call)
{
	struct hash *hash = engine_call_state(call);
	cleanup_bytes struct crypto_bytes data = {0};
	if (!hash || !hash->context)
		return engine_bool(engine, false);
	if (!crypto_take_encoded(engine, call, 0, 1, "data", &data))
		return NULL;
	/* Decoding may have run JavaScript. */
	const bool good =
		hash->context && EVP_DigestUpdate(hash->context, data.data, data.length) == 1;
	ERR_clear_error();
	return engine_bool(engine, good);
}

/* digest(encoding): more than once the same, for Hash is a stream as well. */
static engine_value *hash_digest(struct engine *engine, struct engine_call *call)
{
	struct hash *hash = engine_call_state(call);
	if (!hash)
		return engine_throw(engine, "Error", "ERR_INVALID_STATE", "not a hash");
	if (!hash->done) {
		if (!crypto_bytes_new(&hash->result, hash->length))
			return engine_throw(engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED",
				"out of memory");
		if (hash->length > 0 &&
			!finish(hash->context, hash->digest, hash->result.data, hash->length))
			return crypto_throw(engine, "Digest method not supported");
		hash->done = true;
		give_context(hash->context);
		hash->context = NULL;
	}
	struct crypto_bytes out = {.data = hash->result.data, .length = hash->result.length};
	return crypto_encoded_of(engine, &out, engine_call_argument(engine, call, 0));
}

/* ---- what there is ---- */

struct names {
	struct engine *engine;
	engine_value *array;
	uint32_t count;
	bool failed;
};

static void add_name(const EVP_MD *known, const char *from, const char *to, void *arg)
{
	struct names *names = arg;
	(void)known;
	(void)to;
	if (!from || names->failed)
		return;
	const EVP_MD *found = EVP_get_digestbyname(from);
	EVP_MD *digest = found ? EVP_MD_fetch(NULL, EVP_MD_get0_name(found), NULL) : NULL;
	if (digest)
		names->failed = engine_set_index(names->engine, names->array, names->count++,
					engine_string(names->engine, from)) < 0;
	EVP_MD_free(digest);
}

/* getHashes() */
static engine_value *get_hashes(struct engine *engine, struct engine_call *call)
{
	struct names names = {.engine = engine, .array = engine_array(engine, NULL, 0)};
	(void)call;
	if (!crypto_start())
		return crypto_throw(engine, "OpenSSL cannot be used");
	EVP_MD_do_all_sorted(add_name, &names);
	ERR_clear_error();
	return names.failed ? NULL : names.array;
}

/* ---- HashJob(mode, algorithm, data[, bits of output]) ---- */

struct hash_job {
	struct crypto_job job;
	EVP_MD *digest;
	struct crypto_bytes in;
	size_t length;
};

static bool job_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct hash_job *job = state;
	engine_value *bits = engine_call_argument(engine, call, 3);
	job->digest = crypto_take_digest(engine, call, 1);
	if (!job->digest || !crypto_take_bytes(engine, engine_call_argument(engine, call, 2),
				    crypto_job_take(&job->job), "data", &job->in))
		return false;
	job->job.quick = job->in.length <= CRYPTO_QUICK_BYTES;
	job->length = size_of(job->digest);
	if (engine_typeof(bits) != ENGINE_NUMBER)
		return true;
	const double length = engine_to_number(engine, bits) / 8;
	if (!(length >= 0 && length <= INT32_MAX)) {
		engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE", "length is too big");
		return false;
	}
	if ((size_t)length != job->length && !is_xof(job->digest)) {
		engine_throw(engine, "TypeError", "ERR_CRYPTO_INVALID_DIGEST",
			"Digest method not supported");
		return false;
	}
	job->length = (size_t)length;
	job->job.quick = job->job.quick && job->length <= CRYPTO_QUICK_BYTES;
	return true;
}

static bool job_work(void *state)
{
	struct hash_job *job = state;
	return crypto_bytes_new(&job->job.out, job->length) &&
	       (job->length == 0 ||
		       hash_at_once(job->digest, &job->in, job->job.out.data, job->length));
}

static void job_clear(void *state)
{
	struct hash_job *job = state;
	EVP_MD_free(job->digest);
	crypto_bytes_clear(&job->in);
}

static const struct crypto_job_type hash_job = {
	.name = "HashJob",
	.size = sizeof(struct hash_job),
	.configure = job_configure,
	.work = job_work,
	.clear = job_clear,
};
CRYPTO_JOB(hash_job)

static const struct engine_native methods[] = {
	{"update", hash_update, 2},
	{"digest", hash_digest, 1},
};

static const struct engine_class classes[] = {
	{
		.name = "Hash",
		.construct = hash_construct,
		.methods = methods,
		.method_count = ARRAY_LENGTH(methods),
		.destroy = hash_destroy,
	},
	CRYPTO_JOB_CLASS(hash_job, "HashJob"),
};

static const struct engine_native natives[] = {
	{"oneShotDigest", one_shot, 7},
	{"getHashes", get_hashes, 0},
};

const struct native_module crypto_hash_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
	.bind = find_class,
	.stop = drop_spare,
};
