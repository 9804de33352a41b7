/* Ciphers of node:crypto: what is behind Cipheriv and Decipheriv, their names and sizes.
 * The rules of lengths and states are Node's, those of the ciphers OpenSSL's. */

#include "isolate/crypto_cipher.h"
#include "common/cleanup.h"
#include "isolate/crypto_key.h"
#include "isolate/natives.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <stdlib.h>
#include <string.h>

#define NO_TAG_LENGTH UINT_MAX
#define DEFAULT_TAG_LENGTH 16 /* of GCM and ChaCha20-Poly1305 */
#define MOST_TAG_BYTES 16

enum tag_state { TAG_UNKNOWN, TAG_GIVEN, TAG_COMPUTED };

struct cipher {
	EVP_CIPHER_CTX *ctx; /* NULL once final() was called */
	bool encrypt;
	bool failed; /* CCM: update() found that the data is not authentic; final() says so */
	enum tag_state tag_state;
	unsigned tag_length;
	unsigned char tag[MOST_TAG_BYTES];
	int most_bytes; /* of a message, CCM */
};

/* ---- what a cipher is ---- */

bool crypto_cipher_is_aead(const EVP_CIPHER *cipher)
{
	switch (EVP_CIPHER_get_mode(cipher)) {
	case EVP_CIPH_CCM_MODE:
	case EVP_CIPH_GCM_MODE:
	case EVP_CIPH_OCB_MODE:
		return true;
	case EVP_CIPH_STREAM_CIPHER:
		return EVP_CIPHER_get_nid(cipher) == NID_chacha20_poly1305;
	default:
		return false;
	}
}

static bool is_aead(const struct cipher *cipher)
{
	return crypto_cipher_is_aead(EVP_CIPHER_CTX_get0_cipher(cipher->ctx));
}

static int mode_of(const struct cipher *cipher)
{
	return EVP_CIPHER_CTX_get_mode(cipher->ctx);
}

/* NIST SP 800-38D, 5.2.1.2. */
static bool is_gcm_tag_length(unsigned length)
{
	return length == 4 || length == 8 || (length >= 12 && length <= 16);
}

/* ---- making one ---- */

static void cipher_destroy(void *state)
{
	struct cipher *cipher = state;
	EVP_CIPHER_CTX_free(cipher->ctx);
	OPENSSL_cleanse(cipher->tag, sizeof cipher->tag);
	free(cipher);
}

/* Tag and nonce of an AEAD, which OpenSSL wants to know before the key. False with an
 * exception pending. */
static bool init_aead(struct engine *engine, struct cipher *cipher, const char *name, int iv_length,
	unsigned tag_length)
{
	EVP_CIPHER_CTX *ctx = cipher->ctx;
	const bool gcm = mode_of(cipher) == EVP_CIPH_GCM_MODE;
	if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, iv_length, NULL) <= 0) {
		engine_throw(engine, "TypeError", "ERR_CRYPTO_INVALID_IV",
			"Invalid initialization vector");
		return false;
	}
	if (mode_of(cipher) == EVP_CIPH_CCM_MODE)
		cipher->most_bytes = iv_length == 12 ? 16777215 : iv_length == 13 ? 65535 : INT_MAX;
	if (tag_length == NO_TAG_LENGTH) {
		if (gcm)
			return true; /* 16 to encrypt, that of the tag to decrypt */
		if (EVP_CIPHER_CTX_get_nid(ctx) != NID_chacha20_poly1305) {
			engine_throw(engine, "TypeError", "ERR_CRYPTO_INVALID_AUTH_TAG",
				"authTagLength required for %s", name);
			return false;
		}
		tag_length = DEFAULT_TAG_LENGTH;
	} else if (gcm ? !is_gcm_tag_length(tag_length)
		       : tag_length > MOST_TAG_BYTES ||
				   EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, (int)tag_length,
					   NULL) <= 0) {
		engine_throw(engine, "TypeError", "ERR_CRYPTO_INVALID_AUTH_TAG",
			"Invalid authentication tag length: %u", tag_length);
		return false;
	}
	cipher->tag_length = tag_length;
	return true;
}

/* False with an exception pending. */
static bool init(struct engine *engine, struct cipher *cipher, const EVP_CIPHER *type,
	const char *name, const struct crypto_bytes *key, const struct crypto_bytes *iv,
	unsigned tag_length)
{
	EVP_CIPHER_CTX *ctx = cipher->ctx = EVP_CIPHER_CTX_new();
	if (!ctx) {
		engine_throw(engine, "Error", "ERR_CRYPTO_OPERATION_FAILED",
			"Failed to allocate cipher context");
		return false;
	}
	if (EVP_CIPHER_get_mode(type) == EVP_CIPH_WRAP_MODE)
		EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	if (EVP_CipherInit_ex(ctx, type, NULL, NULL, NULL, cipher->encrypt) != 1) {
		crypto_throw(engine, "Failed to initialize cipher");
		return false;
	}
	if (crypto_cipher_is_aead(type) &&
		!init_aead(engine, cipher, name, (int)iv->length, tag_length))
		return false;
	if (EVP_CIPHER_CTX_set_key_length(ctx, (int)key->length) <= 0) {
		engine_throw(
			engine, "RangeError", "ERR_CRYPTO_INVALID_KEYLEN", "Invalid key length");
		return false;
	}
	if (EVP_CipherInit_ex(ctx, NULL, NULL, key->data, iv->length ? iv->data : NULL,
		    cipher->encrypt) != 1) {
		crypto_throw(engine, "Failed to initialize cipher");
		return false;
	}
	return true;
}

static bool fits_iv(const EVP_CIPHER *type, size_t length)
{
	const int expected = EVP_CIPHER_get_iv_length(type);
	if (length == 0)
		return expected == 0;
	if (!crypto_cipher_is_aead(type))
		return length == (size_t)expected;
	/* OpenSSL let longer ones through once, CVE-2019-1543. */
	return EVP_CIPHER_get_nid(type) != NID_chacha20_poly1305 || length <= 12;
}

/* authTagLength as Node's library gives it: -1 for none. */
static unsigned tag_length_of(const struct engine_call *call, int index)
{
	const double length = engine_argument_number(call, index);
	if (length == -1)
		return NO_TAG_LENGTH;
	return length >= 0 && length < NO_TAG_LENGTH ? (unsigned)length : NO_TAG_LENGTH - 1;
}

/* A cipher that is ready; NULL with an exception pending. */
static struct cipher *cipher_new(struct engine *engine, struct engine_call *call,
	const struct crypto_key *key, const struct crypto_bytes *iv)
{
	cleanup_free char *name = crypto_take_text(engine, call, 1, "cipher");
	if (!name)
		return NULL;
	if (key->bytes.length > INT_MAX || iv->length > INT_MAX) {
		engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE",
			key->bytes.length > INT_MAX ? "key is too big" : "iv is too big");
		return NULL;
	}
	const EVP_CIPHER *type = EVP_get_cipherbyname(name);
	if (!type || !fits_iv(type, iv->length)) {
		if (type)
			engine_throw(engine, "TypeError", "ERR_CRYPTO_INVALID_IV",
				"Invalid initialization vector");
		else
			engine_throw(
				engine, "Error", "ERR_CRYPTO_UNKNOWN_CIPHER", "Unknown cipher");
		return NULL;
	}
	struct cipher *cipher = calloc(1, sizeof *cipher);
	if (!cipher) {
		engine_throw(engine, "Error", "ERR_CRYPTO_OPERATION_FAILED", "out of memory");
		return NULL;
	}
	cipher->encrypt = engine_argument_bool(call, 0);
	cipher->tag_length = NO_TAG_LENGTH;
	if (!init(engine, cipher, type, name, &key->bytes, iv, tag_length_of(call, 4))) {
		cipher_destroy(cipher);
		return NULL;
	}
	return cipher;
}

/* new CipherBase(encrypt, name, key, iv, tagLength): KEY bytes or a KeyObjectHandle, IV
 * bytes or null, TAGLENGTH -1 for none. */
static engine_value *cipher_construct(struct engine *engine, struct engine_call *call)
{
	cleanup_bytes struct crypto_bytes iv = {0};
	if (!crypto_start())
		return crypto_throw(engine, "OpenSSL does not start");
	ERR_clear_error();
	cleanup_key struct crypto_key *key = crypto_take_secret(engine, call, 2, "key");
	if (!key || !crypto_take_optional(engine, call, 3, CRYPTO_BORROW, "iv", &iv))
		return NULL;
	struct cipher *cipher = cipher_new(engine, call, key, &iv);
	ERR_clear_error();
	if (cipher)
		engine_set_state(engine_call_this(engine, call), cipher);
	return NULL;
}

/* ---- data ---- */

/* False with an exception pending. */
static bool check_ccm_length(struct engine *engine, const struct cipher *cipher, size_t length)
{
	if (length <= (size_t)cipher->most_bytes)
		return true;
	engine_throw(
		engine, "RangeError", "ERR_CRYPTO_INVALID_MESSAGELEN", "Invalid message length");
	return false;
}

/* Buffers for SIZE bytes of input: *ret_size at most come out. False when the cipher says no. */
static bool output_size(struct cipher *cipher, const struct crypto_bytes *input, int *ret_size)
{
	const int block = EVP_CIPHER_CTX_get_block_size(cipher->ctx);
	if (block <= 0 || input->length > (size_t)(INT_MAX - block))
		return false;
	*ret_size = (int)input->length + block;
	return !cipher->encrypt || mode_of(cipher) != EVP_CIPH_WRAP_MODE ||
	       EVP_CipherUpdate(cipher->ctx, NULL, ret_size, input->data, (int)input->length) == 1;
}

/* A result of LENGTH bytes in OUTPUT, malloc'ed, as an ArrayBuffer. */
static engine_value *result_of(struct engine *engine, unsigned char *output, size_t length)
{
	unsigned char *exact = realloc(output, length ? length : 1);
	struct crypto_bytes bytes = {exact ? exact : output, length, true};
	engine_value *result = crypto_buffer_of(engine, &bytes);
	crypto_bytes_clear(&bytes);
	return result;
}

/* As many bytes as came out, -1 when the cipher cannot take more. */
static int update(
	struct cipher *cipher, const struct crypto_bytes *input, unsigned char *output, int most)
{
	int size = 0;
	const bool good =
		EVP_CipherUpdate(cipher->ctx, output, &size, input->data, (int)input->length) == 1;
	if (!good && !cipher->encrypt && mode_of(cipher) == EVP_CIPH_CCM_MODE) {
		cipher->failed = true;
		return 0;
	}
	return good && size >= 0 && size <= most ? size : -1;
}

/* Never with OpenSSL's reason, as in Node. */
static engine_value *wrong_state(struct engine *engine)
{
	ERR_clear_error();
	return crypto_throw(engine, "Trying to add data in unsupported state");
}

/* update(bytes): an ArrayBuffer of what comes out */
static engine_value *cipher_update(struct engine *engine, struct engine_call *call)
{
	struct cipher *cipher = engine_call_state(call);
	cleanup_bytes struct crypto_bytes input = {0};
	int most;
	ERR_clear_error();
	if (!crypto_take_bytes(
		    engine, engine_call_argument(engine, call, 0), CRYPTO_BORROW, "data", &input))
		return NULL;
	if (input.length > INT_MAX)
		return engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE", "data is too long");
	if (!cipher || !cipher->ctx)
		return wrong_state(engine);
	if (mode_of(cipher) == EVP_CIPH_CCM_MODE && !check_ccm_length(engine, cipher, input.length))
		return NULL;
	if (!output_size(cipher, &input, &most))
		return wrong_state(engine);
	unsigned char *output = calloc(1, (size_t)most + 1);
	if (!output)
		return engine_throw(engine, "RangeError", NULL, "Array buffer allocation failed");
	const int size = update(cipher, &input, output, most);
	if (size < 0) {
		OPENSSL_cleanse(output, (size_t)most);
		free(output);
		return wrong_state(engine);
	}
	ERR_clear_error();
	return result_of(engine, output, (size_t)size);
}

/* The last step of a context with the tag of what was encrypted. The size of OUTPUT is a
 * block. */
static bool finish(struct cipher *cipher, unsigned char *output, int *ret_size)
{
	*ret_size = 0;
	if (!cipher->encrypt && mode_of(cipher) == EVP_CIPH_CCM_MODE)
		return !cipher->failed;
	if (EVP_CipherFinal_ex(cipher->ctx, output, ret_size) != 1)
		return false;
	if (!cipher->encrypt || !is_aead(cipher))
		return true;
	if (cipher->tag_length == NO_TAG_LENGTH)
		cipher->tag_length = DEFAULT_TAG_LENGTH;
	if (EVP_CIPHER_CTX_ctrl(
		    cipher->ctx, EVP_CTRL_AEAD_GET_TAG, (int)cipher->tag_length, cipher->tag) <= 0)
		return false;
	cipher->tag_state = TAG_COMPUTED;
	return true;
}

/* final() */
static engine_value *cipher_final(struct engine *engine, struct engine_call *call)
{
	struct cipher *cipher = engine_call_state(call);
	unsigned char output[EVP_MAX_BLOCK_LENGTH];
	int size;
	ERR_clear_error();
	if (!cipher || !cipher->ctx)
		return engine_throw(engine, "Error", "ERR_CRYPTO_INVALID_STATE", "Invalid state");
	const bool aead = is_aead(cipher);
	const bool good = finish(cipher, output, &size);
	EVP_CIPHER_CTX_free(cipher->ctx);
	cipher->ctx = NULL;
	if (!good)
		return crypto_throw(
			engine, aead ? "Unsupported state or unable to authenticate data"
				     : "Unsupported state");
	ERR_clear_error();
	struct crypto_bytes bytes = {output, (size_t)size, false};
	engine_value *result = crypto_buffer_of(engine, &bytes);
	OPENSSL_cleanse(output, sizeof output);
	return result;
}

/* setAutoPadding(on) */
static engine_value *cipher_set_auto_padding(struct engine *engine, struct engine_call *call)
{
	struct cipher *cipher = engine_call_state(call);
	const bool on = engine_call_count(call) == 0 || engine_argument_bool(call, 0);
	return engine_bool(
		engine, cipher && cipher->ctx && EVP_CIPHER_CTX_set_padding(cipher->ctx, on) == 1);
}

/* ---- authentication ---- */

/* getAuthTag(): undefined before final() */
static engine_value *cipher_get_auth_tag(struct engine *engine, struct engine_call *call)
{
	const struct cipher *cipher = engine_call_state(call);
	if (!cipher || cipher->ctx || !cipher->encrypt || cipher->tag_state != TAG_COMPUTED)
		return NULL;
	struct crypto_bytes tag = {
		(unsigned char *)(uintptr_t)cipher->tag, cipher->tag_length, false};
	return crypto_buffer_of(engine, &tag);
}

/* setAuthTag(tag): false in the wrong state; 'short' when it was taken although it should
 * have had its length announced */
static engine_value *cipher_set_auth_tag(struct engine *engine, struct engine_call *call)
{
	struct cipher *cipher = engine_call_state(call);
	cleanup_bytes struct crypto_bytes tag = {0};
	if (!cipher || !cipher->ctx || !is_aead(cipher) || cipher->encrypt ||
		cipher->tag_state != TAG_UNKNOWN)
		return engine_bool(engine, false);
	if (!crypto_take_bytes(
		    engine, engine_call_argument(engine, call, 0), CRYPTO_BORROW, "buffer", &tag))
		return NULL;
	if (tag.length > INT_MAX)
		return engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE", "buffer is too big");
	const unsigned length = (unsigned)tag.length;
	const bool gcm = mode_of(cipher) == EVP_CIPH_GCM_MODE;
	const bool announced = cipher->tag_length != NO_TAG_LENGTH;
	if ((announced && cipher->tag_length != length) || (gcm && !is_gcm_tag_length(length)) ||
		length > MOST_TAG_BYTES)
		return engine_throw(engine, "TypeError", "ERR_CRYPTO_INVALID_AUTH_TAG",
			"Invalid authentication tag length: %u", length);
	cipher->tag_length = length;
	const bool good =
		EVP_CIPHER_CTX_ctrl(cipher->ctx, EVP_CTRL_AEAD_SET_TAG, (int)length, tag.data) > 0;
	ERR_clear_error();
	if (good)
		cipher->tag_state = TAG_GIVEN;
	if (good && gcm && !announced && length != DEFAULT_TAG_LENGTH)
		return engine_string_internalized(engine, "short");
	return engine_bool(engine, good);
}

/* setAAD(bytes, plaintextLength): -1 for no length, which CCM needs */
static engine_value *cipher_set_aad(struct engine *engine, struct engine_call *call)
{
	struct cipher *cipher = engine_call_state(call);
	const int32_t plain_length = engine_argument_int32(call, 1);
	cleanup_bytes struct crypto_bytes aad = {0};
	int size;
	if (!crypto_take_bytes(
		    engine, engine_call_argument(engine, call, 0), CRYPTO_BORROW, "aadbuf", &aad))
		return NULL;
	if (aad.length > INT_MAX)
		return engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE", "buffer is too big");
	if (!cipher || !cipher->ctx || !is_aead(cipher))
		return engine_bool(engine, false);
	bool good = true;
	if (mode_of(cipher) == EVP_CIPH_CCM_MODE) {
		if (plain_length < 0)
			return engine_throw(engine, "TypeError", "ERR_MISSING_ARGS",
				"options.plaintextLength required for CCM mode with AAD");
		if (!check_ccm_length(engine, cipher, (size_t)plain_length))
			return NULL;
		good = EVP_CipherUpdate(cipher->ctx, NULL, &size, NULL, plain_length) == 1;
	}
	good = good && EVP_CipherUpdate(cipher->ctx, NULL, &size, aad.data, (int)aad.length) == 1;
	ERR_clear_error();
	return engine_bool(engine, good);
}

/* ---- names ---- */

struct names {
	struct engine *engine;
	engine_value *array;
};

static void add_name(const EVP_CIPHER *cipher, const char *from, const char *to, void *arg)
{
	(void)cipher;
	(void)to;
	struct names *names = arg;
	const EVP_CIPHER *known = from ? EVP_get_cipherbyname(from) : NULL;
	const char *name = known ? EVP_CIPHER_get0_name(known) : NULL;
	/* Some are for OpenSSL's own use: those cannot be fetched. */
	EVP_CIPHER *fetched = name ? EVP_CIPHER_fetch(NULL, name, NULL) : NULL;
	if (!fetched)
		return;
	EVP_CIPHER_free(fetched);
	engine_set_index(names->engine, names->array, engine_array_length(names->array),
		engine_string(names->engine, from));
}

/* getCiphers() */
static engine_value *get_ciphers(struct engine *engine, struct engine_call *call)
{
	(void)call;
	if (!crypto_start())
		return crypto_throw(engine, "OpenSSL does not start");
	struct names names = {engine, engine_array(engine, NULL, 0)};
	EVP_CIPHER_do_all_sorted(add_name, &names);
	ERR_clear_error();
	return names.array;
}

static const char *mode_name(int mode)
{
	static const struct {
		int mode;
		const char *name;
	} rows[] = {{EVP_CIPH_CCM_MODE, "ccm"}, {EVP_CIPH_CFB_MODE, "cfb"},
		{EVP_CIPH_CBC_MODE, "cbc"}, {EVP_CIPH_CTR_MODE, "ctr"}, {EVP_CIPH_ECB_MODE, "ecb"},
		{EVP_CIPH_GCM_MODE, "gcm"}, {EVP_CIPH_OCB_MODE, "ocb"}, {EVP_CIPH_OFB_MODE, "ofb"},
		{EVP_CIPH_WRAP_MODE, "wrap"}, {EVP_CIPH_XTS_MODE, "xts"},
		{EVP_CIPH_STREAM_CIPHER, "stream"}};
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		if (rows[i].mode == mode)
			return rows[i].name;
	return "{unknown}";
}

/* Whether TYPE works with a key and a nonce of these sizes; 0 or less: not asked. */
static bool accepts_sizes(
	const EVP_CIPHER *type, const int32_t *key_length, const int32_t *iv_length)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool good = ctx && EVP_CipherInit_ex(ctx, type, NULL, NULL, NULL, 1) == 1;
	if (good && key_length)
		good = EVP_CIPHER_CTX_set_key_length(ctx, *key_length) > 0;
	if (good && iv_length) {
		switch (EVP_CIPHER_get_mode(type)) {
		case EVP_CIPH_CCM_MODE:
			good = *iv_length >= 7 && *iv_length <= 13;
			break;
		case EVP_CIPH_GCM_MODE:
			break;
		case EVP_CIPH_OCB_MODE:
			good = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, *iv_length, NULL) >
			       0;
			break;
		default:
			good = *iv_length == EVP_CIPHER_get_iv_length(type);
		}
	}
	EVP_CIPHER_CTX_free(ctx);
	return good;
}

/* getCipherInfo(object, nameOrNid, keyLength, ivLength): OBJECT with its members, undefined
 * when there is none, or none of those sizes */
static engine_value *get_cipher_info(struct engine *engine, struct engine_call *call)
{
	engine_value *info = engine_call_argument(engine, call, 0);
	engine_value *which = engine_call_argument(engine, call, 1);
	const bool sized_key =
		engine_typeof(engine_call_argument(engine, call, 2)) == ENGINE_NUMBER;
	const bool sized_iv = engine_typeof(engine_call_argument(engine, call, 3)) == ENGINE_NUMBER;
	const int32_t key_length = engine_argument_int32(call, 2);
	const int32_t iv_length = engine_argument_int32(call, 3);
	const EVP_CIPHER *type = NULL;
	if (engine_typeof(info) != ENGINE_OBJECT || !crypto_start())
		return NULL;
	if (engine_typeof(which) == ENGINE_STRING) {
		cleanup_free char *name = engine_to_utf8(engine, which, NULL);
		type = name ? EVP_get_cipherbyname(name) : NULL;
	} else if (engine_typeof(which) == ENGINE_NUMBER) {
		const char *name = OBJ_nid2sn(engine_argument_int32(call, 1));
		type = name ? EVP_get_cipherbyname(name) : NULL;
	}
	if (!type ||
		((sized_key || sized_iv) && !accepts_sizes(type, sized_key ? &key_length : NULL,
						    sized_iv ? &iv_length : NULL))) {
		ERR_clear_error();
		return NULL;
	}
	ERR_clear_error();
	const int mode = EVP_CIPHER_get_mode(type);
	const int nonce = sized_iv ? iv_length : EVP_CIPHER_get_iv_length(type);
	const int key = sized_key ? key_length : EVP_CIPHER_get_key_length(type);
	engine_set(engine, info, "mode", engine_string_internalized(engine, mode_name(mode)));
	engine_set(
		engine, info, "name", engine_string(engine, OBJ_nid2sn(EVP_CIPHER_get_nid(type))));
	engine_set(engine, info, "nid", engine_int32(engine, EVP_CIPHER_get_nid(type)));
	if (mode != EVP_CIPH_STREAM_CIPHER)
		engine_set(engine, info, "blockSize",
			engine_int32(engine, EVP_CIPHER_get_block_size(type)));
	if (nonce != 0)
		engine_set(engine, info, "ivLength", engine_int32(engine, nonce));
	engine_set(engine, info, "keyLength", engine_int32(engine, key));
	return info;
}

/* ---- the tables ---- */

static const struct engine_native cipher_methods[] = {
	{"update", cipher_update, 1},
	{"final", cipher_final, 0},
	{"setAutoPadding", cipher_set_auto_padding, 1},
	{"getAuthTag", cipher_get_auth_tag, 0},
	{"setAuthTag", cipher_set_auth_tag, 1},
	{"setAAD", cipher_set_aad, 2},
};

static const struct engine_class classes[] = {
	{
		.name = "CipherBase",
		.construct = cipher_construct,
		.methods = cipher_methods,
		.method_count = ARRAY_LENGTH(cipher_methods),
		.destroy = cipher_destroy,
	},
};

static const struct engine_native natives[] = {
	{"getCiphers", get_ciphers, 0},
	{"getCipherInfo", get_cipher_info, 4},
};

const struct native_module crypto_cipher_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
};
