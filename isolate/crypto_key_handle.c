/* The class KeyObjectHandle: what KeyObject of node:crypto and CryptoKey hold of a key. Only the
 * library has instances (isolate/js/node/crypto/keys.js). */
#include "common/cleanup.h"
#include "isolate/crypto_key_private.h"
#include "isolate/natives.h"
#include "isolate/runtime.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>
#include <string.h>

struct handle {
	struct crypto_key *key; /* NULL before init */
};

/* About what a key takes outside of V8's heap, so that garbage is collected in time. */
static int64_t size_of(const struct crypto_key *key)
{
	return key->pkey ? 4096 : (int64_t)(sizeof *key + key->bytes.length);
}

static void give_key(struct handle *handle, struct crypto_key *key)
{
	handle->key = key;
	engine_external_memory(runtime.engine, size_of(key));
}

static size_t handle_class;
static _Thread_local engine_ref *import_jwk, *export_jwk;

static void find_class(void)
{
	const struct engine_tables *tables = natives_tables();
	size_t index = 0;
	while (strcmp(tables->classes[index].name, "KeyObjectHandle") != 0)
		index++;
	handle_class = index;
	import_jwk = runtime_hook("importJwk");
	export_jwk = runtime_hook("exportJwk");
}

engine_ref *crypto_jwk_hook(void)
{
	return import_jwk;
}

engine_ref *crypto_export_jwk_hook(void)
{
	return export_jwk;
}

static void destroy(void *state)
{
	struct handle *handle = state;
	if (handle->key)
		engine_external_memory(runtime.engine, -size_of(handle->key));
	crypto_key_unref(handle->key);
	free(handle);
}

struct crypto_key *crypto_key_of(struct engine *engine, engine_value *value)
{
	const struct handle *handle = engine_typeof(value) == ENGINE_OBJECT
					      ? engine_get_state(engine, value, handle_class)
					      : NULL;
	return handle ? handle->key : NULL;
}

static engine_value *no_memory(struct engine *engine)
{
	return engine_throw(engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED", "out of memory");
}

engine_value *crypto_key_handle(struct engine *engine, struct crypto_key *key)
{
	struct handle *handle = calloc(1, sizeof *handle);
	if (!handle) {
		crypto_key_unref(key);
		return no_memory(engine);
	}
	give_key(handle, key);
	engine_value *object = engine_instance_new(engine, handle_class, handle);
	if (!object)
		destroy(handle);
	return object;
}

/* new KeyObjectHandle() */
static engine_value *construct(struct engine *engine, struct engine_call *call)
{
	struct handle *handle = calloc(1, sizeof *handle);
	if (!handle)
		return no_memory(engine);
	engine_set_state(engine_call_this(engine, call), handle);
	return NULL;
}

/* The key of `this`, which must be TYPE (or not secret, for CRYPTO_KEY_PUBLIC). */
static struct crypto_key *key_of_call(
	struct engine *engine, struct engine_call *call, enum crypto_key_type type)
{
	const struct handle *handle = engine_call_state(call);
	struct crypto_key *key = handle ? handle->key : NULL;
	if (key && (key->type == type ||
			   (type == CRYPTO_KEY_PUBLIC && key->type != CRYPTO_KEY_SECRET)))
		return key;
	engine_throw(engine, "RangeError", "ERR_CRYPTO_INVALID_KEYTYPE", "Invalid key type");
	return NULL;
}

static engine_value *incompatible(struct engine *engine)
{
	return engine_throw(engine, "Error", "ERR_CRYPTO_INCOMPATIBLE_KEY_OPTIONS",
		"The selected key encoding is incompatible with the key type");
}

static engine_value *failed(struct engine *engine, const char *what)
{
	ERR_clear_error();
	return engine_throw(engine, "Error", "ERR_CRYPTO_OPERATION_FAILED", "%s", what);
}

/* ---- making keys ---- */

static struct crypto_key *take_new(
	struct engine *engine, struct engine_call *call, enum crypto_key_type type)
{
	int index = 1;
	if (type == CRYPTO_KEY_SECRET && engine_argument_int32(call, 2) == CRYPTO_JWK)
		return crypto_take_jwk(engine, engine_call_argument(engine, call, 1), type);
	if (type == CRYPTO_KEY_SECRET)
		return crypto_take_secret(engine, call, 1, "key");
	struct crypto_key *key = crypto_take_key_arguments(engine, call, &index, type);
	if (!key || key->type == type)
		return key;
	struct crypto_key *public = crypto_key_as(key, type);
	crypto_key_unref(key);
	if (!public)
		no_memory(engine);
	return public;
}

/* init(type, data[, format, structure, passphrase, named curve]) */
static engine_value *init(struct engine *engine, struct engine_call *call)
{
	struct handle *handle = engine_call_state(call);
	const int32_t type = engine_argument_int32(call, 0);
	if (!handle || handle->key)
		return failed(engine, "the handle has a key");
	if (engine_typeof(engine_call_argument(engine, call, 0)) != ENGINE_NUMBER ||
		type < CRYPTO_KEY_SECRET || type > CRYPTO_KEY_PRIVATE)
		return engine_throw(
			engine, "TypeError", "ERR_INVALID_ARG_VALUE", "Invalid type of key");
	ERR_clear_error();
	struct crypto_key *key = take_new(engine, call, (enum crypto_key_type)type);
	if (!key)
		return NULL;
	if (handle->key) { /* looking into a JWK runs JavaScript */
		crypto_key_unref(key);
		return failed(engine, "the handle has a key");
	}
	give_key(handle, key);
	return engine_int32(engine, (int32_t)key->type);
}

/* ---- asking ---- */

static engine_value *get_type(struct engine *engine, struct engine_call *call)
{
	const struct handle *handle = engine_call_state(call);
	if (!handle || !handle->key)
		return failed(engine, "the handle has no key");
	return engine_int32(engine, (int32_t)handle->key->type);
}

static engine_value *get_symmetric_size(struct engine *engine, struct engine_call *call)
{
	const struct crypto_key *key = key_of_call(engine, call, CRYPTO_KEY_SECRET);
	return key ? engine_number(engine, (double)key->bytes.length) : NULL;
}

static engine_value *get_asymmetric_type(struct engine *engine, struct engine_call *call)
{
	const struct crypto_key *key = key_of_call(engine, call, CRYPTO_KEY_PUBLIC);
	const struct crypto_family *family = key ? crypto_family_of(key->pkey) : NULL;
	return family ? engine_string_internalized(engine, family->name) : NULL;
}

static engine_value *equals(struct engine *engine, struct engine_call *call)
{
	const struct handle *handle = engine_call_state(call);
	const struct crypto_key *key = handle ? handle->key : NULL;
	const struct crypto_key *other =
		crypto_key_of(engine, engine_call_argument(engine, call, 0));
	if (!key || !other || key->type != other->type)
		return engine_bool(engine, false);
	if (key->type == CRYPTO_KEY_SECRET)
		return engine_bool(engine, key->bytes.length == other->bytes.length &&
						   CRYPTO_memcmp(key->bytes.data, other->bytes.data,
							   key->bytes.length) == 0);
	const int result = EVP_PKEY_eq(key->pkey, other->pkey);
	ERR_clear_error();
	if (result == -2)
		return engine_throw(engine, "Error", "ERR_CRYPTO_UNSUPPORTED_OPERATION",
			"Unsupported crypto operation");
	return engine_bool(engine, result == 1);
}

static engine_value *check_ec(struct engine *engine, struct engine_call *call)
{
	const struct crypto_key *key = key_of_call(engine, call, CRYPTO_KEY_PUBLIC);
	if (!key)
		return NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
	const bool good =
		ctx && (key->type == CRYPTO_KEY_PRIVATE ? EVP_PKEY_check(ctx)
							: EVP_PKEY_public_check(ctx)) == 1;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return engine_bool(engine, good);
}

/* ---- details ---- */

static bool set_number(struct engine *engine, engine_value *target, const char *name, double number)
{
	return engine_set(engine, target, name, engine_number(engine, number)) == 0;
}

/* Bits of a parameter. */
static double bits_of(EVP_PKEY *pkey, const char *parameter)
{
	BIGNUM *number = NULL;
	const int bits =
		EVP_PKEY_get_bn_param(pkey, parameter, &number) == 1 ? BN_num_bits(number) : 0;
	BN_free(number);
	return bits;
}

/* "sha256" of whatever OpenSSL's providers call it; sha1 is what they leave out. */
static bool set_digest(struct engine *engine, EVP_PKEY *pkey, const char *parameter,
	engine_value *target, const char *name)
{
	char text[64] = "SHA1";
	(void)EVP_PKEY_get_utf8_string_param(pkey, parameter, text, sizeof text, NULL);
	EVP_MD *digest = crypto_digest(text);
	const char *long_name = digest ? OBJ_nid2ln(EVP_MD_get_type(digest)) : text;
	EVP_MD_free(digest);
	return engine_set(engine, target, name, engine_string(engine, long_name)) == 0;
}

/* A key that is bound to no parameters has no salt's length. */
static bool pss_detail(struct engine *engine, EVP_PKEY *pkey, engine_value *target)
{
	int salt = 0;
	if (EVP_PKEY_get_int_param(pkey, OSSL_PKEY_PARAM_RSA_PSS_SALTLEN, &salt) != 1)
		return true;
	return set_digest(engine, pkey, OSSL_PKEY_PARAM_RSA_DIGEST, target, "hashAlgorithm") &&
	       set_digest(engine, pkey, OSSL_PKEY_PARAM_RSA_MGF1_DIGEST, target,
		       "mgf1HashAlgorithm") &&
	       set_number(engine, target, "saltLength", salt);
}

static bool rsa_detail(struct engine *engine, EVP_PKEY *pkey, engine_value *target, bool pss)
{
	cleanup_bytes struct crypto_bytes exponent = {0};
	if (!crypto_write_number(pkey, OSSL_PKEY_PARAM_RSA_E, 0, &exponent)) {
		failed(engine, "the key has no exponent");
		return false;
	}
	if (!set_number(engine, target, "modulusLength", bits_of(pkey, OSSL_PKEY_PARAM_RSA_N)))
		return false;
	engine_value *buffer = crypto_buffer_of(engine, &exponent);
	return buffer && engine_set(engine, target, "publicExponent", buffer) == 0 &&
	       (!pss || pss_detail(engine, pkey, target));
}

static bool ec_detail(struct engine *engine, EVP_PKEY *pkey, engine_value *target)
{
	char name[80];
	if (EVP_PKEY_get_utf8_string_param(
		    pkey, OSSL_PKEY_PARAM_GROUP_NAME, name, sizeof name, NULL) != 1)
		return true;
	const char *curve = crypto_curve_name(name);
	return !curve ||
	       engine_set(engine, target, "namedCurve", engine_string(engine, curve)) == 0;
}

/* keyDetail(target): target, with what there is to know. */
static engine_value *key_detail(struct engine *engine, struct engine_call *call)
{
	const struct handle *handle = engine_call_state(call);
	engine_value *target = engine_call_argument(engine, call, 0);
	if (!handle || !handle->key || engine_typeof(target) != ENGINE_OBJECT)
		return failed(engine, "the handle has no key");
	const struct crypto_key *key = handle->key;
	bool good = true;
	if (key->type == CRYPTO_KEY_SECRET)
		return set_number(engine, target, "length", (double)key->bytes.length * 8) ? target
											   : NULL;
	const struct crypto_family *family = crypto_family_of(key->pkey);
	switch (family ? family->id : 0) {
	case EVP_PKEY_RSA:
	case EVP_PKEY_RSA_PSS:
		good = rsa_detail(engine, key->pkey, target, family->id == EVP_PKEY_RSA_PSS);
		break;
	case EVP_PKEY_DSA:
		good = set_number(engine, target, "modulusLength",
			       bits_of(key->pkey, OSSL_PKEY_PARAM_FFC_P)) &&
		       set_number(engine, target, "divisorLength",
			       bits_of(key->pkey, OSSL_PKEY_PARAM_FFC_Q));
		break;
	case EVP_PKEY_EC:
		good = ec_detail(engine, key->pkey, target);
		break;
	case EVP_PKEY_DH:
		break;
	default:
		return engine_throw(
			engine, "RangeError", "ERR_CRYPTO_INVALID_KEYTYPE", "Invalid key type");
	}
	ERR_clear_error();
	return good ? target : NULL;
}

/* ---- giving out ---- */

static engine_value *raw(struct engine *engine, EVP_PKEY *pkey, enum crypto_key_format format)
{
	cleanup_bytes struct crypto_bytes bytes = {0};
	const struct crypto_family *family = crypto_family_of(pkey);
	const bool possible =
		family && (format == CRYPTO_RAW_PUBLIC           ? family->raw_public
				  : format == CRYPTO_RAW_PRIVATE ? family->raw_private
								 : family->seed != NULL);
	if (!possible)
		return incompatible(engine);
	if (!crypto_write_raw(pkey, format, &bytes))
		return failed(engine, format == CRYPTO_RAW_PUBLIC ? "Failed to get raw public key"
				      : format == CRYPTO_RAW_PRIVATE
					      ? "Failed to get raw private key"
					      : "Failed to get raw seed");
	return crypto_nodebuffer_of(engine, &bytes);
}

static engine_value *raw_public(struct engine *engine, struct engine_call *call)
{
	const struct crypto_key *key = key_of_call(engine, call, CRYPTO_KEY_PUBLIC);
	return key ? raw(engine, key->pkey, CRYPTO_RAW_PUBLIC) : NULL;
}

static engine_value *raw_private(struct engine *engine, struct engine_call *call)
{
	const struct crypto_key *key = key_of_call(engine, call, CRYPTO_KEY_PRIVATE);
	return key ? raw(engine, key->pkey, CRYPTO_RAW_PRIVATE) : NULL;
}

static engine_value *raw_seed(struct engine *engine, struct engine_call *call)
{
	const struct crypto_key *key = key_of_call(engine, call, CRYPTO_KEY_PRIVATE);
	return key ? raw(engine, key->pkey, CRYPTO_RAW_SEED) : NULL;
}

static bool is_ec(const struct crypto_key *key)
{
	const struct crypto_family *family = crypto_family_of(key->pkey);
	return family && family->id == EVP_PKEY_EC;
}

static engine_value *ec_public(struct engine *engine, EVP_PKEY *pkey, int form)
{
	cleanup_bytes struct crypto_bytes bytes = {0};
	if (form != POINT_CONVERSION_COMPRESSED && form != POINT_CONVERSION_HYBRID)
		form = POINT_CONVERSION_UNCOMPRESSED;
	if (!crypto_write_point(pkey, form, &bytes))
		return failed(engine, "Failed to export EC public key");
	return crypto_nodebuffer_of(engine, &bytes);
}

static engine_value *ec_private(struct engine *engine, EVP_PKEY *pkey)
{
	cleanup_bytes struct crypto_bytes bytes = {0};
	const size_t width = crypto_order_bytes(pkey);
	if (width == 0 || !crypto_write_number(pkey, OSSL_PKEY_PARAM_PRIV_KEY, width, &bytes))
		return failed(engine, "Failed to export EC private key");
	return crypto_nodebuffer_of(engine, &bytes);
}

/* exportECPublicRaw(form) */
static engine_value *export_ec_public(struct engine *engine, struct engine_call *call)
{
	const struct crypto_key *key = key_of_call(engine, call, CRYPTO_KEY_PUBLIC);
	if (!key)
		return NULL;
	return is_ec(key) ? ec_public(engine, key->pkey, engine_argument_int32(call, 0))
			  : incompatible(engine);
}

static engine_value *export_ec_private(struct engine *engine, struct engine_call *call)
{
	const struct crypto_key *key = key_of_call(engine, call, CRYPTO_KEY_PRIVATE);
	if (!key)
		return NULL;
	return is_ec(key) ? ec_private(engine, key->pkey) : incompatible(engine);
}

static engine_value *written(
	struct engine *engine, const struct crypto_encoding *encoding, struct crypto_bytes *bytes)
{
	if (encoding->format == CRYPTO_PEM)
		return engine_string_latin1(engine, (const char *)bytes->data, bytes->length);
	return crypto_nodebuffer_of(engine, bytes);
}

static engine_value *as_jwk(struct engine *engine, engine_value *handle)
{
	engine_value *jwk = NULL;
	if (engine_call_function(engine, engine_ref_get(engine, export_jwk),
		    engine_undefined(engine), &handle, 1, &jwk) < 0)
		return NULL;
	return jwk;
}

engine_value *crypto_key_encoded(struct engine *engine, struct crypto_key *key,
	enum crypto_key_type type, const struct crypto_encoding *encoding)
{
	cleanup_bytes struct crypto_bytes bytes = {0};
	const bool private = type == CRYPTO_KEY_PRIVATE;
	if (encoding->as_object || encoding->format == CRYPTO_JWK) {
		struct crypto_key *other = crypto_key_as(key, type);
		engine_value *handle = other ? crypto_key_handle(engine, other) : no_memory(engine);
		return handle && encoding->format == CRYPTO_JWK ? as_jwk(engine, handle) : handle;
	}
	if (encoding->format == CRYPTO_RAW_PUBLIC && !private)
		return is_ec(key) ? ec_public(engine, key->pkey, encoding->point_form)
				  : raw(engine, key->pkey, CRYPTO_RAW_PUBLIC);
	if (encoding->format == CRYPTO_RAW_PRIVATE && private && is_ec(key))
		return ec_private(engine, key->pkey);
	if (encoding->format > CRYPTO_PEM)
		return private && encoding->format != CRYPTO_RAW_PUBLIC
			       ? raw(engine, key->pkey, encoding->format)
			       : incompatible(engine);
	ERR_clear_error();
	if (private ? !crypto_write_private(key->pkey, encoding, &bytes)
		    : !crypto_write_public(key->pkey, encoding, &bytes))
		return crypto_throw(engine,
			private ? "Failed to encode private key" : "Failed to encode public key");
	return written(engine, encoding, &bytes);
}

/* export([format, structure[, cipher, passphrase]]) */
static engine_value *export(struct engine *engine, struct engine_call *call)
{
	const struct handle *handle = engine_call_state(call);
	struct crypto_key *key = handle ? handle->key : NULL;
	cleanup_bytes struct crypto_bytes bytes = {0};
	cleanup_encoding struct crypto_encoding encoding = {0};
	int index = 0;
	if (!key)
		return failed(engine, "the handle has no key");
	if (key->type == CRYPTO_KEY_SECRET)
		return crypto_bytes_dup(&bytes, key->bytes.data, key->bytes.length)
			       ? crypto_nodebuffer_of(engine, &bytes)
			       : no_memory(engine);
	if (key->type == CRYPTO_KEY_PUBLIC
			? !crypto_take_format(engine, call, &index, &encoding)
			: !crypto_take_private_encoding(engine, call, &index, &encoding))
		return NULL;
	if (encoding.as_object || encoding.format > CRYPTO_PEM)
		return incompatible(engine);
	return crypto_key_encoded(engine, key, key->type, &encoding);
}

static const struct engine_native methods[] = {
	{"init", init, 6},
	{"getKeyType", get_type, 0},
	{"getSymmetricKeySize", get_symmetric_size, 0},
	{"getAsymmetricKeyType", get_asymmetric_type, 0},
	{"checkEcKeyData", check_ec, 0},
	{"keyDetail", key_detail, 1},
	{"equals", equals, 1},
	{"export", export, 4},
	{"rawPublicKey", raw_public, 0},
	{"rawPrivateKey", raw_private, 0},
	{"rawSeed", raw_seed, 0},
	{"exportECPublicRaw", export_ec_public, 1},
	{"exportECPrivateRaw", export_ec_private, 0},
	{"jwkParts", crypto_jwk_parts, 0},
	{"initParts", crypto_jwk_init, 4},
};

static const struct engine_class classes[] = {
	{
		.name = "KeyObjectHandle",
		.construct = construct,
		.methods = methods,
		.method_count = ARRAY_LENGTH(methods),
		.destroy = destroy,
	},
};

/* curveName(OpenSSL's or NIST's name): OpenSSL's, undefined when it is no curve. */
static engine_value *curve_name(struct engine *engine, struct engine_call *call)
{
	cleanup_free char *name = crypto_take_text(engine, call, 0, "curve");
	const char *found = name ? crypto_curve_name(name) : NULL;
	return found ? engine_string(engine, found) : NULL;
}

/* isPostQuantum(type): whether a JWK of `kty` AKP can be of it; case counts there. */
static engine_value *is_post_quantum(struct engine *engine, struct engine_call *call)
{
	cleanup_free char *name = crypto_take_text(engine, call, 0, "type");
	if (!name)
		return NULL;
	const struct crypto_family *family = crypto_family_named(name);
	return engine_bool(
		engine, family && strcmp(family->type, name) == 0 &&
				(strncmp(name, "ML-", 3) == 0 || strncmp(name, "SLH-", 4) == 0));
}

static const struct engine_native natives[] = {
	{"curveName", curve_name, 1},
	{"isPostQuantum", is_post_quantum, 1},
};

bool crypto_handle_set(struct engine *engine, struct engine_call *call, struct crypto_key *key)
{
	struct handle *handle = engine_call_state(call);
	if (key && handle && !handle->key) {
		give_key(handle, key);
		return true;
	}
	crypto_key_unref(key);
	failed(engine, "the handle has a key");
	return false;
}

struct crypto_key *crypto_handle_key(struct engine_call *call)
{
	const struct handle *handle = engine_call_state(call);
	return handle ? handle->key : NULL;
}

const struct native_module crypto_key_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
	.bind = find_class,
};
