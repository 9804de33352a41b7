/* Keys and their references, and what natives take of arguments: see crypto_key.h. The class
 * KeyObjectHandle is in crypto_key_handle.c. */
#include "isolate/crypto_key.h"

#include "common/cleanup.h"
#include "isolate/crypto_key_private.h"
#include "isolate/runtime.h"

#include <openssl/err.h>
#include <string.h>

/* ---- references ---- */

struct crypto_key *crypto_key_new(enum crypto_key_type type, EVP_PKEY *pkey)
{
	struct crypto_key *key = calloc(1, sizeof *key);
	if (!key) {
		EVP_PKEY_free(pkey);
		return NULL;
	}
	atomic_init(&key->references, 1);
	key->type = type;
	key->pkey = pkey;
	return key;
}

struct crypto_key *crypto_key_new_secret(const void *data, size_t length)
{
	struct crypto_key *key = crypto_key_new(CRYPTO_KEY_SECRET, NULL);
	if (key && !crypto_bytes_dup(&key->bytes, data, length)) {
		crypto_key_unref(key);
		return NULL;
	}
	return key;
}

struct crypto_key *crypto_key_ref(struct crypto_key *key)
{
	atomic_fetch_add_explicit(&key->references, 1, memory_order_relaxed);
	return key;
}

void crypto_key_unref(struct crypto_key *key)
{
	if (!key || atomic_fetch_sub_explicit(&key->references, 1, memory_order_acq_rel) != 1)
		return;
	EVP_PKEY_free(key->pkey);
	crypto_bytes_clear(&key->bytes);
	free(key);
}

void crypto_key_cleanup(struct crypto_key **key)
{
	crypto_key_unref(*key);
	*key = NULL;
}

struct crypto_key *crypto_key_as(struct crypto_key *key, enum crypto_key_type type)
{
	if (key->type == type)
		return crypto_key_ref(key);
	if (EVP_PKEY_up_ref(key->pkey) != 1)
		return NULL;
	return crypto_key_new(type, key->pkey);
}

/* ---- handles among the arguments ---- */

struct crypto_key *crypto_take_key(
	struct engine *engine, engine_value *value, enum crypto_key_type type, const char *name)
{
	struct crypto_key *key = crypto_key_of(engine, value);
	if (key && (key->type == type ||
			   (type == CRYPTO_KEY_PUBLIC && key->type == CRYPTO_KEY_PRIVATE)))
		return key;
	engine_throw(engine, "TypeError", "ERR_CRYPTO_INVALID_KEY_OBJECT_TYPE",
		"%s is not a key of the right type", name);
	return NULL;
}

struct crypto_key *crypto_take_secret(
	struct engine *engine, struct engine_call *call, int index, const char *name)
{
	cleanup_bytes struct crypto_bytes bytes = {0};
	engine_value *value = engine_call_argument(engine, call, index);
	struct crypto_key *key = crypto_key_of(engine, value);
	if (key)
		return crypto_take_key(engine, value, CRYPTO_KEY_SECRET, name) ? crypto_key_ref(key)
									       : NULL;
	if (!crypto_take_bytes(engine, value, CRYPTO_BORROW, name, &bytes))
		return NULL;
	key = crypto_key_new_secret(bytes.data, bytes.length);
	if (!key)
		engine_throw(engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED", "out of memory");
	return key;
}

/* ---- encodings among the arguments ---- */

static bool is_nothing(const engine_value *value)
{
	const enum engine_type type = engine_typeof(value);
	return type == ENGINE_UNDEFINED || type == ENGINE_NULL;
}

static bool throw_bad_key(struct engine *engine)
{
	engine_throw(engine, "TypeError", "ERR_INVALID_ARG_VALUE", "Invalid key data");
	return false;
}

static bool is_raw(enum crypto_key_format format)
{
	return format >= CRYPTO_RAW_PUBLIC && format <= CRYPTO_RAW_SEED;
}

bool crypto_take_format(struct engine *engine, struct engine_call *call, int *index,
	struct crypto_encoding *encoding)
{
	engine_value *format = engine_call_argument(engine, call, *index);
	engine_value *type = engine_call_argument(engine, call, *index + 1);
	*index += 2;
	if (engine_typeof(format) == ENGINE_UNDEFINED) {
		encoding->as_object = true;
		return true;
	}
	const double number =
		engine_typeof(format) == ENGINE_NUMBER ? engine_to_number(engine, format) : -1;
	if (!(number >= CRYPTO_DER && number <= CRYPTO_RAW_SEED))
		return throw_bad_key(engine);
	encoding->format = (enum crypto_key_format)number;
	encoding->structure = CRYPTO_PKCS1;
	if (engine_typeof(type) != ENGINE_NUMBER)
		return is_nothing(type) || throw_bad_key(engine);
	const int32_t value = engine_to_int32(engine, type);
	if (is_raw(encoding->format))
		encoding->point_form = value;
	else if (value >= CRYPTO_PKCS1 && value <= CRYPTO_SEC1)
		encoding->structure = (enum crypto_key_structure)value;
	else
		return throw_bad_key(engine);
	return true;
}

bool crypto_take_passphrase(struct engine *engine, struct engine_call *call, int index,
	struct crypto_encoding *encoding)
{
	encoding->has_passphrase = !is_nothing(engine_call_argument(engine, call, index));
	return crypto_take_optional(
		engine, call, index, CRYPTO_COPY, "passphrase", &encoding->passphrase);
}

bool crypto_take_private_encoding(struct engine *engine, struct engine_call *call, int *index,
	struct crypto_encoding *encoding)
{
	if (!crypto_take_format(engine, call, index, encoding))
		return false;
	const int cipher = (*index)++, passphrase = (*index)++;
	if (encoding->as_object || is_raw(encoding->format) ||
		is_nothing(engine_call_argument(engine, call, cipher)))
		return true;
	cleanup_free char *name = crypto_take_text(engine, call, cipher, "cipher");
	if (!name)
		return false;
	encoding->cipher = EVP_CIPHER_fetch(NULL, name, NULL);
	if (!encoding->cipher) {
		ERR_clear_error();
		engine_throw(engine, "Error", "ERR_CRYPTO_UNKNOWN_CIPHER", "Unknown cipher");
		return false;
	}
	if (!crypto_take_passphrase(engine, call, passphrase, encoding))
		return false;
	return encoding->has_passphrase || throw_bad_key(engine);
}

/* ---- keys of five arguments ---- */

static struct crypto_key *throw_read(struct engine *engine, bool needs_passphrase)
{
	if (!needs_passphrase) {
		crypto_throw(engine, "Failed to read private key");
		return NULL;
	}
	ERR_clear_error();
	engine_throw(engine, "TypeError", "ERR_MISSING_PASSPHRASE",
		"Passphrase required for encrypted key");
	return NULL;
}

static struct crypto_key *new_key(struct engine *engine, enum crypto_key_type type, EVP_PKEY *pkey)
{
	struct crypto_key *key = crypto_key_new(type, pkey);
	if (!key)
		engine_throw(engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED", "out of memory");
	return key;
}

/* The library looks into it, and makes a handle (isolate/js/node/crypto/jwk.js). */
struct crypto_key *crypto_take_jwk(
	struct engine *engine, engine_value *jwk, enum crypto_key_type wanted)
{
	engine_value *arguments[] = {jwk, engine_bool(engine, wanted == CRYPTO_KEY_SECRET)};
	engine_value *handle = NULL;
	if (engine_typeof(jwk) != ENGINE_OBJECT) {
		throw_bad_key(engine);
		return NULL;
	}
	if (engine_call_function(engine, engine_ref_get(engine, crypto_jwk_hook()),
		    engine_undefined(engine), arguments, 2, &handle) < 0)
		return NULL;
	struct crypto_key *key = crypto_key_of(engine, handle);
	if (!key || (key->type == CRYPTO_KEY_SECRET) != (wanted == CRYPTO_KEY_SECRET)) {
		throw_bad_key(engine);
		return NULL;
	}
	if (wanted == CRYPTO_KEY_PRIVATE && key->type == CRYPTO_KEY_PUBLIC) {
		engine_throw(engine, "TypeError", "ERR_CRYPTO_INVALID_JWK",
			"JWK does not contain private key material");
		return NULL;
	}
	return crypto_key_ref(key);
}

static struct crypto_key *throw_raw(struct engine *engine, const char *name)
{
	static const char *const others[] = {"rsa", "rsa-pss", "dsa", "dh"};
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
		if (strcmp(name, others[i]) == 0) {
			engine_throw(engine, "Error", "ERR_CRYPTO_INCOMPATIBLE_KEY_OPTIONS",
				"The selected key encoding is incompatible with the key type");
			return NULL;
		}
	engine_throw(engine, "TypeError", "ERR_INVALID_ARG_VALUE", "Invalid asymmetricKeyType: %s",
		name);
	return NULL;
}

static EVP_PKEY *read_raw(struct engine *engine, struct engine_call *call, int index,
	enum crypto_key_format format, const struct crypto_family *family,
	const struct crypto_bytes *data)
{
	if (family->id != EVP_PKEY_EC)
		return crypto_read_raw(family, format, data->data, data->length);
	cleanup_free char *name = crypto_take_text(engine, call, index, "namedCurve");
	if (!name)
		return NULL;
	const char *curve = crypto_curve_name(name);
	if (!curve) {
		engine_throw(
			engine, "TypeError", "ERR_CRYPTO_INVALID_CURVE", "Invalid EC curve name");
		return NULL;
	}
	return crypto_read_ec(curve, format, data->data, data->length);
}

/* data, format, name of the type, nothing, curve */
static struct crypto_key *take_raw(
	struct engine *engine, struct engine_call *call, int index, enum crypto_key_format format)
{
	cleanup_bytes struct crypto_bytes data = {0};
	cleanup_free char *name = crypto_take_text(engine, call, index + 2, "asymmetricKeyType");
	const struct crypto_family *family = name ? crypto_family_named(name) : NULL;
	if (!name)
		return NULL;
	const bool ec = family && family->id == EVP_PKEY_EC;
	if (!family || (!ec && !family->raw_public))
		return throw_raw(engine, name);
	if ((format == CRYPTO_RAW_PRIVATE && !ec && !family->raw_private) ||
		(format == CRYPTO_RAW_SEED && !family->seed)) {
		engine_throw(engine, "Error", "ERR_CRYPTO_INCOMPATIBLE_KEY_OPTIONS",
			"The selected key encoding is incompatible with the key type");
		return NULL;
	}
	if (!crypto_take_bytes(engine, engine_call_argument(engine, call, index), CRYPTO_COPY,
		    "keyData", &data))
		return NULL;
	EVP_PKEY *pkey = read_raw(engine, call, index + 4, format, family, &data);
	ERR_clear_error();
	if (!pkey) {
		if (!engine_exception_pending(engine))
			throw_bad_key(engine);
		return NULL;
	}
	return new_key(
		engine, format == CRYPTO_RAW_PUBLIC ? CRYPTO_KEY_PUBLIC : CRYPTO_KEY_PRIVATE, pkey);
}

static struct crypto_key *take_encoded(struct engine *engine, struct engine_call *call, int index,
	struct crypto_encoding *encoding, enum crypto_key_type wanted)
{
	cleanup_bytes struct crypto_bytes data = {0};
	bool needs_passphrase, private = true;
	if (!crypto_take_bytes(engine, engine_call_argument(engine, call, index), CRYPTO_COPY,
		    "keyData", &data) ||
		!crypto_take_passphrase(engine, call, index + 3, encoding))
		return NULL;
	EVP_PKEY *pkey =
		wanted == CRYPTO_KEY_PRIVATE
			? crypto_read_private(encoding, data.data, data.length, &needs_passphrase)
			: crypto_read_any(
				  encoding, data.data, data.length, &private, &needs_passphrase);
	if (!pkey && !private) {
		crypto_throw_with_stack(engine, "Failed to read asymmetric key");
		return NULL;
	}
	if (!pkey)
		return throw_read(engine, needs_passphrase);
	ERR_clear_error();
	return new_key(engine, private ? CRYPTO_KEY_PRIVATE : CRYPTO_KEY_PUBLIC, pkey);
}

struct crypto_key *crypto_take_key_arguments(
	struct engine *engine, struct engine_call *call, int *index, enum crypto_key_type wanted)
{
	const int first = *index;
	int place = first + 1;
	engine_value *value = engine_call_argument(engine, call, first);
	struct crypto_key *key = crypto_key_of(engine, value);
	cleanup_encoding struct crypto_encoding encoding = {0};
	*index += 5;
	if (key)
		return crypto_take_key(engine, value, wanted, "key") ? crypto_key_ref(key) : NULL;
	const int32_t format = engine_argument_int32(call, place);
	const bool bytes = engine_typeof(value) == ENGINE_STRING || engine_is_buffer_or_view(value);
	if (!crypto_start()) {
		crypto_throw(engine, "OpenSSL cannot be used");
		return NULL;
	}
	if (!bytes && engine_typeof(value) == ENGINE_OBJECT && format == CRYPTO_STORE) {
		/* A path would be read by OpenSSL itself, past the policy. */
		engine_throw(engine, "Error", "ERR_FEATURE_UNAVAILABLE_ON_PLATFORM",
			"Keys cannot be loaded through OpenSSL's STORE: read the file and pass "
			"its contents");
		return NULL;
	}
	if (!bytes && engine_typeof(value) == ENGINE_OBJECT && format == CRYPTO_JWK)
		return crypto_take_jwk(engine, value, wanted);
	if (!bytes) {
		throw_bad_key(engine);
		return NULL;
	}
	if (format >= CRYPTO_RAW_PUBLIC && format <= CRYPTO_RAW_SEED &&
		engine_typeof(engine_call_argument(engine, call, place)) == ENGINE_NUMBER)
		return take_raw(engine, call, first, (enum crypto_key_format)format);
	if (!crypto_take_format(engine, call, &place, &encoding))
		return NULL;
	if (encoding.as_object || encoding.format > CRYPTO_PEM) {
		throw_bad_key(engine);
		return NULL;
	}
	return take_encoded(engine, call, first, &encoding, wanted);
}
