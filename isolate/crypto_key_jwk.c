/* The numbers that a JSON Web Key is made of (RFC 7517, RFC 7518, RFC 8037): the library turns
 * them into base64url and back (isolate/js/node/crypto/jwk.js). */
#include "common/cleanup.h"
#include "isolate/crypto_key_private.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <string.h>

#define PARTS_MAX 10

struct parts {
	struct engine *engine;
	engine_value *items[PARTS_MAX];
	size_t count;
	bool failed; /* with or without an exception pending */
};

static void add(struct parts *parts, engine_value *value)
{
	if (!value || parts->count == PARTS_MAX)
		parts->failed = true;
	else
		parts->items[parts->count++] = value;
}

static void add_text(struct parts *parts, const char *text)
{
	add(parts, engine_string(parts->engine, text));
}

static void add_bytes(struct parts *parts, bool good, struct crypto_bytes *bytes)
{
	if (good && !parts->failed)
		add(parts, crypto_nodebuffer_of(parts->engine, bytes));
	else
		parts->failed = true;
	crypto_bytes_clear(bytes);
}

static void add_number(struct parts *parts, EVP_PKEY *pkey, const char *parameter, size_t width)
{
	struct crypto_bytes bytes = {0};
	const bool good = crypto_write_number(pkey, parameter, width, &bytes);
	add_bytes(parts, good, &bytes);
}

static void add_raw(struct parts *parts, EVP_PKEY *pkey, enum crypto_key_format format)
{
	struct crypto_bytes bytes = {0};
	const bool good = crypto_write_raw(pkey, format, &bytes);
	add_bytes(parts, good, &bytes);
}

static const char *const rsa_numbers[] = {
	OSSL_PKEY_PARAM_RSA_N,
	OSSL_PKEY_PARAM_RSA_E,
	OSSL_PKEY_PARAM_RSA_D,
	OSSL_PKEY_PARAM_RSA_FACTOR1,
	OSSL_PKEY_PARAM_RSA_FACTOR2,
	OSSL_PKEY_PARAM_RSA_EXPONENT1,
	OSSL_PKEY_PARAM_RSA_EXPONENT2,
	OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};
#define RSA_PUBLIC_NUMBERS 2

static void asymmetric_parts(struct parts *parts, struct crypto_key *key)
{
	const struct crypto_family *family = crypto_family_of(key->pkey);
	const bool private = key->type == CRYPTO_KEY_PRIVATE;
	char curve[80] = "";
	if (!family)
		return;
	if (family->id == EVP_PKEY_RSA || family->id == EVP_PKEY_RSA_PSS) {
		const size_t count = private ? ARRAY_LENGTH(rsa_numbers) : RSA_PUBLIC_NUMBERS;
		add_text(parts, family->type);
		for (size_t i = 0; i < count && !parts->failed; i++)
			add_number(parts, key->pkey, rsa_numbers[i], 0);
	} else if (family->id == EVP_PKEY_EC) {
		const size_t width = crypto_field_bytes(key->pkey);
		(void)EVP_PKEY_get_utf8_string_param(
			key->pkey, OSSL_PKEY_PARAM_GROUP_NAME, curve, sizeof curve, NULL);
		const char *name = crypto_curve_name(curve);
		add_text(parts, "EC");
		add_text(parts, name ? name : "");
		add_number(parts, key->pkey, OSSL_PKEY_PARAM_EC_PUB_X, width);
		add_number(parts, key->pkey, OSSL_PKEY_PARAM_EC_PUB_Y, width);
		if (private)
			add_number(parts, key->pkey, OSSL_PKEY_PARAM_PRIV_KEY, width);
	} else if (family->raw_public) {
		add_text(parts, "raw");
		add_text(parts, family->type);
		add_raw(parts, key->pkey, CRYPTO_RAW_PUBLIC);
		if (private)
			add_raw(parts, key->pkey,
				family->seed ? CRYPTO_RAW_SEED : CRYPTO_RAW_PRIVATE);
	}
}

/* jwkParts(): ['oct', bytes], ['RSA' or 'RSA-PSS', n, e[, d, p, q, dp, dq, qi]],
 * ['EC', curve, x, y[, d]], ['raw', type, public[, seed or private]]; [] for kinds that have no
 * JWK; undefined when something is missing in the key. */
engine_value *crypto_jwk_parts(struct engine *engine, struct engine_call *call)
{
	struct crypto_key *key = crypto_handle_key(call);
	struct parts parts = {.engine = engine};
	struct crypto_bytes bytes = {0};
	if (!key)
		return engine_throw(
			engine, "Error", "ERR_CRYPTO_OPERATION_FAILED", "the handle has no key");
	if (key->type == CRYPTO_KEY_SECRET) {
		const bool good = crypto_bytes_dup(&bytes, key->bytes.data, key->bytes.length);
		add_text(&parts, "oct");
		add_bytes(&parts, good, &bytes);
	} else {
		asymmetric_parts(&parts, key);
	}
	ERR_clear_error();
	return parts.failed ? NULL : engine_array(engine, parts.items, parts.count);
}

/* ---- and back ---- */

static EVP_PKEY *from_builder(const char *type, int selection, OSSL_PARAM_BLD *builder)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *pkey = NULL;
	if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
		EVP_PKEY_fromdata(ctx, &pkey, selection, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return pkey;
}

static BIGNUM *number_of(const struct crypto_bytes *bytes)
{
	BIGNUM *number = BN_secure_new();
	return number && BN_bin2bn(bytes->data, (int)bytes->length, number) ? number : NULL;
}

/* COUNT numbers, of which those of a public key come first. */
static EVP_PKEY *rsa_of(const struct crypto_bytes *parts, size_t count)
{
	BIGNUM *numbers[ARRAY_LENGTH(rsa_numbers)] = {NULL};
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	bool good = builder != NULL;
	EVP_PKEY *pkey = NULL;
	for (size_t i = 0; i < count && good; i++) {
		numbers[i] = number_of(&parts[i]);
		good = numbers[i] &&
		       OSSL_PARAM_BLD_push_BN(builder, rsa_numbers[i], numbers[i]) == 1;
	}
	if (good)
		pkey = from_builder("RSA",
			count > RSA_PUBLIC_NUMBERS ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
			builder);
	OSSL_PARAM_BLD_free(builder);
	for (size_t i = 0; i < count; i++)
		BN_clear_free(numbers[i]);
	return pkey;
}

/* Field elements may be written with fewer bytes, but not with more. */
static bool pad(const struct crypto_bytes *from, unsigned char *target, size_t width)
{
	size_t skip = 0;
	while (skip < from->length && from->data[skip] == 0)
		skip++;
	const size_t length = from->length - skip;
	if (length > width)
		return false;
	memset(target, 0, width - length);
	memcpy(target + width - length, from->data + skip, length);
	return true;
}

static EVP_PKEY *ec_of(const char *curve, const struct crypto_bytes *parts, bool private)
{
	const int nid = OBJ_sn2nid(curve);
	EC_GROUP *group = EC_GROUP_new_by_curve_name(nid);
	const size_t width = group ? (size_t)(EC_GROUP_get_degree(group) + 7) / 8 : 0;
	cleanup_bytes struct crypto_bytes point = {0};
	BIGNUM *number = private ? number_of(&parts[2]) : NULL;
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	EVP_PKEY *pkey = NULL;
	bool good = width > 0 && builder && (!private || number) &&
		    crypto_bytes_new(&point, 1 + 2 * width);
	if (good)
		point.data[0] = POINT_CONVERSION_UNCOMPRESSED;
	good = good && pad(&parts[0], point.data + 1, width) &&
	       pad(&parts[1], point.data + 1 + width, width) &&
	       (!private || BN_cmp(number, EC_GROUP_get0_order(group)) < 0) &&
	       OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curve, 0) ==
		       1 &&
	       OSSL_PARAM_BLD_push_octet_string(
		       builder, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.length) == 1 &&
	       (!private || OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, number) == 1);
	if (good)
		pkey = from_builder(
			"EC", private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, builder);
	OSSL_PARAM_BLD_free(builder);
	BN_clear_free(number);
	EC_GROUP_free(group);
	return pkey;
}

static EVP_PKEY *raw_of(const char *type, const struct crypto_bytes *bytes, bool private)
{
	const struct crypto_family *family = crypto_family_named(type);
	if (!family || !family->raw_public)
		return NULL;
	return crypto_read_raw(family,
		!private       ? CRYPTO_RAW_PUBLIC
		: family->seed ? CRYPTO_RAW_SEED
			       : CRYPTO_RAW_PRIVATE,
		bytes->data, bytes->length);
}

/* The arguments from 3 on. */
static bool take_parts(struct engine *engine, struct engine_call *call, struct crypto_bytes *parts,
	size_t *ret_count)
{
	const int count = engine_call_count(call) - 3;
	*ret_count = 0;
	for (int i = 0; i < count && i < (int)ARRAY_LENGTH(rsa_numbers); i++) {
		if (!crypto_take_bytes(engine, engine_call_argument(engine, call, 3 + i),
			    CRYPTO_COPY, "key", &parts[i]))
			return false;
		(*ret_count)++;
	}
	return true;
}

static EVP_PKEY *make(const char *kind, const char *name, bool private,
	const struct crypto_bytes *parts, size_t count)
{
	if (strcmp(kind, "RSA") == 0 &&
		count == (private ? ARRAY_LENGTH(rsa_numbers) : RSA_PUBLIC_NUMBERS))
		return rsa_of(parts, count);
	if (strcmp(kind, "EC") == 0 && count == (private ? 3 : 2))
		return ec_of(name, parts, private);
	if (strcmp(kind, "raw") == 0 && count == 1)
		return raw_of(name, parts, private);
	return NULL;
}

/* initParts(kind, curve or type, whether private, numbers as jwkParts has them (of 'raw' only
 * one)): whether it is a key. */
engine_value *crypto_jwk_init(struct engine *engine, struct engine_call *call)
{
	struct crypto_bytes parts[ARRAY_LENGTH(rsa_numbers)] = {0};
	size_t count;
	const bool private = engine_argument_bool(call, 2);
	cleanup_free char *kind = crypto_take_text(engine, call, 0, "kind");
	cleanup_free char *name = kind ? crypto_take_text(engine, call, 1, "name") : NULL;
	if (!name || !crypto_start())
		return NULL;
	EVP_PKEY *pkey = NULL;
	const bool taken = take_parts(engine, call, parts, &count);
	if (taken)
		pkey = make(kind, name, private, parts, count);
	for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
		crypto_bytes_clear(&parts[i]);
	ERR_clear_error();
	if (!taken)
		return NULL;
	if (!pkey)
		return engine_bool(engine, false);
	struct crypto_key *key =
		crypto_key_new(private ? CRYPTO_KEY_PRIVATE : CRYPTO_KEY_PUBLIC, pkey);
	return crypto_handle_set(engine, call, key) ? engine_bool(engine, true) : NULL;
}
