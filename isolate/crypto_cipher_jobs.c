/* The ciphers of Web Cryptography, each message at once: AES in CBC, CTR, GCM, OCB and KW, and
 * ChaCha20-Poly1305. A tag follows the ciphertext. */

#include "isolate/crypto_cipher.h"
#include "isolate/crypto_job.h"
#include "isolate/crypto_key.h"

#include <limits.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <string.h>

#define AES_BLOCK 16

/* AESCipherJob's variants: kKeyVariantAES_* of isolate/js/node/crypto/binding.js, in Node's
 * order. */
static const EVP_CIPHER *cipher_of_variant(int variant)
{
	static const EVP_CIPHER *(*const ciphers[])(void) = {EVP_aes_128_ctr, EVP_aes_192_ctr,
		EVP_aes_256_ctr, EVP_aes_128_cbc, EVP_aes_192_cbc, EVP_aes_256_cbc, EVP_aes_128_gcm,
		EVP_aes_192_gcm, EVP_aes_256_gcm, EVP_aes_128_wrap, EVP_aes_192_wrap,
		EVP_aes_256_wrap, EVP_aes_128_ocb, EVP_aes_192_ocb, EVP_aes_256_ocb};
	if (variant < 0 || (size_t)variant >= ARRAY_LENGTH(ciphers))
		return NULL;
	return ciphers[variant]();
}

struct cipher_job {
	struct crypto_job job;
	bool encrypt;
	const EVP_CIPHER *cipher;
	struct crypto_key *key;
	struct crypto_bytes in, iv, aad;
	unsigned length; /* of the tag in bytes, or of the counter in bits */
};

/* ---- arguments ---- */

static bool too_long(struct engine *engine, const struct crypto_bytes *bytes, const char *what)
{
	if (bytes->length <= INT_MAX)
		return false;
	engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE", "%s is too big", what);
	return true;
}

/* The first arguments of both: mode, 0 encrypt or 1 decrypt, key, data. */
static bool configure(struct engine *engine, struct engine_call *call, struct cipher_job *job,
	const EVP_CIPHER *cipher)
{
	engine_value *data = engine_call_argument(engine, call, 3);
	void *start;
	size_t length;
	job->job.failure = "Cipher job failed";
	job->encrypt = engine_argument_int32(call, 1) == 0;
	job->cipher = cipher;
	if (!cipher) {
		engine_throw(engine, "Error", "ERR_CRYPTO_UNKNOWN_CIPHER", "Unknown cipher");
		return false;
	}
	struct crypto_key *key = crypto_take_key(
		engine, engine_call_argument(engine, call, 2), CRYPTO_KEY_SECRET, "key");
	if (!key)
		return false;
	job->key = crypto_key_ref(key);
	if (key->bytes.length != (size_t)EVP_CIPHER_get_key_length(cipher)) {
		engine_throw(
			engine, "RangeError", "ERR_CRYPTO_INVALID_KEYLEN", "Invalid key length");
		return false;
	}
	job->job.quick = engine_bytes_get(data, &start, &length) && length <= CRYPTO_QUICK_BYTES;
	return crypto_take_bytes(engine, data, crypto_job_take(&job->job), "data", &job->in) &&
	       !too_long(engine, &job->in, "data");
}

/* The nonce, of LEAST to MOST bytes. */
static bool take_iv(struct engine *engine, struct engine_call *call, struct cipher_job *job,
	int index, size_t least, size_t most)
{
	/* Small, and wanted twice: always a copy. */
	if (!crypto_take_bytes(
		    engine, engine_call_argument(engine, call, index), CRYPTO_COPY, "iv", &job->iv))
		return false;
	if (job->iv.length >= least && job->iv.length <= most)
		return true;
	engine_throw(engine, "TypeError", "ERR_CRYPTO_INVALID_IV", "Invalid initialization vector");
	return false;
}

static bool take_counter(struct engine *engine, struct engine_call *call, struct cipher_job *job)
{
	const double bits = engine_argument_number(call, 6);
	if (!take_iv(engine, call, job, 5, AES_BLOCK, INT_MAX))
		return false;
	if (job->iv.length != AES_BLOCK || !(bits >= 1 && bits <= 128)) {
		engine_throw(engine, "TypeError", "ERR_CRYPTO_INVALID_COUNTER", "Invalid counter");
		return false;
	}
	job->length = (unsigned)bits;
	return true;
}

static bool take_tag_and_aad(
	struct engine *engine, struct engine_call *call, struct cipher_job *job)
{
	const double bytes = engine_argument_number(call, 6);
	if (engine_typeof(engine_call_argument(engine, call, 6)) != ENGINE_NUMBER ||
		!(bytes >= 0 && bytes <= EVP_MAX_AEAD_TAG_LENGTH)) {
		engine_throw(
			engine, "RangeError", "ERR_CRYPTO_INVALID_TAG_LENGTH", "Invalid taglength");
		return false;
	}
	job->length = (unsigned)bytes;
	return crypto_take_optional(
		       engine, call, 7, crypto_job_take(&job->job), "additionalData", &job->aad) &&
	       !too_long(engine, &job->aad, "additionalData");
}

/* new AESCipherJob(mode, …, variant[, iv, tagLength, additionalData]) or (…, counter, bits) */
static bool aes_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct cipher_job *job = state;
	const EVP_CIPHER *cipher = cipher_of_variant(engine_argument_int32(call, 4));
	if (!configure(engine, call, job, cipher))
		return false;
	switch (EVP_CIPHER_get_mode(cipher)) {
	case EVP_CIPH_WRAP_MODE:
		return true; /* with the standard's nonce, which is OpenSSL's default */
	case EVP_CIPH_CTR_MODE:
		return take_counter(engine, call, job);
	case EVP_CIPH_GCM_MODE:
		return take_iv(engine, call, job, 5, 12, INT_MAX) &&
		       take_tag_and_aad(engine, call, job);
	case EVP_CIPH_OCB_MODE:
		return take_iv(engine, call, job, 5, 1, 15) && take_tag_and_aad(engine, call, job);
	default:
		return take_iv(engine, call, job, 5, AES_BLOCK, INT_MAX);
	}
}

/* new ChaCha20Poly1305CipherJob(mode, …, iv[, tagLength, additionalData]) */
static bool chacha_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct cipher_job *job = state;
	job->length = 16;
	return configure(engine, call, job, EVP_chacha20_poly1305()) &&
	       take_iv(engine, call, job, 4, 12, 12) &&
	       crypto_take_optional(
		       engine, call, 5, crypto_job_take(&job->job), "additionalData", &job->aad) &&
	       !too_long(engine, &job->aad, "additionalData");
}

static void cipher_clear(void *state)
{
	struct cipher_job *job = state;
	crypto_key_unref(job->key);
	crypto_bytes_clear(&job->in);
	crypto_bytes_clear(&job->iv);
	crypto_bytes_clear(&job->aad);
}

/* ---- all but CTR ---- */

static bool set_up(const struct cipher_job *job, EVP_CIPHER_CTX *ctx, bool aead)
{
	if (EVP_CIPHER_get_mode(job->cipher) == EVP_CIPH_WRAP_MODE)
		EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	return EVP_CipherInit_ex(ctx, job->cipher, NULL, NULL, NULL, job->encrypt) == 1 &&
	       (!aead || EVP_CIPHER_CTX_ctrl(
				 ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)job->iv.length, NULL) > 0) &&
	       EVP_CipherInit_ex(
		       ctx, NULL, NULL, job->key->bytes.data, job->iv.data, job->encrypt) == 1;
}

/* The tag that ends what is to be decrypted, or the length of the one that is to be made. */
static bool set_tag(const struct cipher_job *job, EVP_CIPHER_CTX *ctx, size_t data_length)
{
	const bool ocb = EVP_CIPHER_get_mode(job->cipher) == EVP_CIPH_OCB_MODE;
	if (ocb && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, (int)job->length, NULL) <= 0)
		return false;
	return job->encrypt || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, (int)job->length,
				       job->in.data + data_length) > 0;
}

static bool run(const struct cipher_job *job, EVP_CIPHER_CTX *ctx, size_t data_length,
	struct crypto_bytes *out)
{
	int size = 0, last = 0;
	if (job->aad.length &&
		EVP_CipherUpdate(ctx, NULL, &size, job->aad.data, (int)job->aad.length) != 1)
		return false;
	size = 0;
	if (data_length &&
		EVP_CipherUpdate(ctx, out->data, &size, job->in.data, (int)data_length) != 1)
		return false;
	if (EVP_CipherFinal_ex(ctx, out->data + size, &last) != 1)
		return false;
	out->length = (size_t)size + (size_t)last;
	return true;
}

static bool cipher_work(void *state)
{
	struct cipher_job *job = state;
	const bool aead = crypto_cipher_is_aead(job->cipher);
	const size_t tag = aead ? job->length : 0;
	struct crypto_bytes *out = &job->job.out;
	size_t data_length = job->in.length;
	if (!job->encrypt && data_length < tag)
		return false;
	if (!job->encrypt)
		data_length -= tag;
	/* A block of padding, eight bytes of AES-KW, and the tag. */
	const size_t most = data_length + EVP_MAX_BLOCK_LENGTH + tag;
	if (most > INT_MAX || !crypto_bytes_new(out, most))
		return false;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool good = ctx && set_up(job, ctx, aead) && (!aead || set_tag(job, ctx, data_length)) &&
		    run(job, ctx, data_length, out);
	if (good && job->encrypt && tag) {
		good = EVP_CIPHER_CTX_ctrl(
			       ctx, EVP_CTRL_AEAD_GET_TAG, (int)tag, out->data + out->length) > 0;
		out->length += tag;
	}
	EVP_CIPHER_CTX_free(ctx);
	return good;
}

/* ---- CTR ---- */

/* OpenSSL counts in all 128 bits; the standard's counter is the last `length` of them, and
 * begins again at zero. */

static bool run_ctr(const struct cipher_job *job, const unsigned char *counter, size_t offset,
	size_t length, unsigned char *out)
{
	int size = 0, last = 0;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	const bool good = ctx &&
			  EVP_CipherInit_ex(ctx, job->cipher, NULL, job->key->bytes.data, counter,
				  job->encrypt) == 1 &&
			  EVP_CipherUpdate(ctx, out + offset, &size, job->in.data + offset,
				  (int)length) == 1 &&
			  EVP_CipherFinal_ex(ctx, out + offset + size, &last) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return good && (size_t)size + (size_t)last == length;
}

/* How often a counter that starts as BLOCK says can be used until it is zero again, at most
 * ENOUGH; *ret_all: of how many it can be in all, at most ENOUGH. */
static void count_left(
	const unsigned char *block, unsigned bits, size_t enough, size_t *ret_left, size_t *ret_all)
{
	/* Above 63 bits, only a counter whose upper bits are all set ends soon. */
	unsigned __int128 value = 0;
	for (size_t i = 0; i < AES_BLOCK; i++)
		value = value << 8 | block[i];
	const unsigned __int128 mask =
		bits == 128 ? ~(unsigned __int128)0 : ((unsigned __int128)1 << bits) - 1;
	const unsigned __int128 before_last = mask - (value & mask); /* uses after the first */
	*ret_left = before_last >= enough ? enough : (size_t)before_last + 1;
	*ret_all = mask >= enough ? enough : (size_t)mask + 1;
}

/* BLOCK with a counter of zero. */
static void zero_counter(unsigned char *block, unsigned bits)
{
	const unsigned bytes = bits / 8, rest = bits % 8;
	memset(block + AES_BLOCK - bytes, 0, bytes);
	if (rest)
		block[AES_BLOCK - bytes - 1] &= (unsigned char)(0xff << rest);
}

static bool ctr_work(struct cipher_job *job)
{
	const size_t length = job->in.length;
	const size_t blocks = (length + AES_BLOCK - 1) / AES_BLOCK;
	size_t left, all;
	count_left(job->iv.data, job->length, blocks, &left, &all);
	/* A counter that comes twice would give the same key stream twice. */
	if (all < blocks || !crypto_bytes_new(&job->job.out, length))
		return false;
	unsigned char *out = job->job.out.data;
	if (left >= blocks)
		return length == 0 || run_ctr(job, job->iv.data, 0, length, out);
	const size_t first = left * AES_BLOCK;
	unsigned char block[AES_BLOCK];
	memcpy(block, job->iv.data, sizeof block);
	zero_counter(block, job->length);
	return run_ctr(job, job->iv.data, 0, first, out) &&
	       run_ctr(job, block, first, length - first, out);
}

static bool aes_work(void *state)
{
	struct cipher_job *job = state;
	return EVP_CIPHER_get_mode(job->cipher) == EVP_CIPH_CTR_MODE ? ctr_work(job)
								     : cipher_work(job);
}

/* ---- the tables ---- */

static const struct crypto_job_type aes_job = {
	.name = "AESCipherJob",
	.size = sizeof(struct cipher_job),
	.configure = aes_configure,
	.work = aes_work,
	.clear = cipher_clear,
};
CRYPTO_JOB(aes_job)

static const struct crypto_job_type chacha_job = {
	.name = "ChaCha20Poly1305CipherJob",
	.size = sizeof(struct cipher_job),
	.configure = chacha_configure,
	.work = cipher_work,
	.clear = cipher_clear,
};
CRYPTO_JOB(chacha_job)

static const struct engine_class classes[] = {
	CRYPTO_JOB_CLASS(aes_job, "AESCipherJob"),
	CRYPTO_JOB_CLASS(chacha_job, "ChaCha20Poly1305CipherJob"),
};

const struct native_module crypto_cipher_job_natives = {
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
};
