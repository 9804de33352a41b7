/* Diffie-Hellman over elliptic curves: ECDH of node:crypto, the forms of points, and the names
 * of the curves. */

#include "common/cleanup.h"
#include "isolate/crypto.h"
#include "isolate/natives.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <stdlib.h>

struct ecdh {
	EC_GROUP *group;
	BIGNUM *private; /* NULL before there is one */
	EC_POINT *public;
};

static engine_value *failed(struct engine *engine, const char *message)
{
	ERR_clear_error();
	return engine_throw(engine, "Error", "ERR_CRYPTO_OPERATION_FAILED", "%s", message);
}

/* ---- curves and points ---- */

/* The curve that argument INDEX names; NULL with an exception pending, WHAT says what failed. */
static EC_GROUP *take_group(
	struct engine *engine, struct engine_call *call, int index, const char *what)
{
	cleanup_free char *name = crypto_take_text(engine, call, index, "curve");
	if (!name)
		return NULL;
	if (!crypto_start()) {
		crypto_throw(engine, "OpenSSL does not start");
		return NULL;
	}
	const int nid = OBJ_sn2nid(name);
	if (nid == NID_undef) {
		ERR_clear_error();
		engine_throw(
			engine, "TypeError", "ERR_CRYPTO_INVALID_CURVE", "Invalid EC curve name");
		return NULL;
	}
	EC_GROUP *group = EC_GROUP_new_by_curve_name(nid);
	if (!group)
		failed(engine, what);
	return group;
}

/* NULL: the bytes are no point of the curve. */
static EC_POINT *point_of(const EC_GROUP *group, const struct crypto_bytes *bytes)
{
	EC_POINT *point = EC_POINT_new(group);
	if (point && EC_POINT_oct2point(group, point, bytes->data, bytes->length, NULL) == 1)
		return point;
	EC_POINT_free(point);
	return NULL;
}

/* The form that argument INDEX is: an enum point_conversion_form_t. */
static engine_value *point_value(struct engine *engine, struct engine_call *call, int index,
	const EC_GROUP *group, const EC_POINT *point)
{
	const int32_t form = engine_argument_int32(call, index);
	struct crypto_bytes bytes = {0};
	if (form != POINT_CONVERSION_COMPRESSED && form != POINT_CONVERSION_UNCOMPRESSED &&
		form != POINT_CONVERSION_HYBRID)
		return failed(engine, "Failed to get public key length");
	const size_t size =
		EC_POINT_point2oct(group, point, (point_conversion_form_t)form, NULL, 0, NULL);
	if (size == 0)
		return failed(engine, "Failed to get public key length");
	if (!crypto_bytes_new(&bytes, size) ||
		EC_POINT_point2oct(group, point, (point_conversion_form_t)form, bytes.data, size,
			NULL) != size) {
		crypto_bytes_clear(&bytes);
		return failed(engine, "Failed to get public key");
	}
	return crypto_buffer_of(engine, &bytes);
}

/* ECDHConvertKey(point, curve, form) */
static engine_value *convert_key(struct engine *engine, struct engine_call *call)
{
	cleanup_bytes struct crypto_bytes bytes = {0};
	if (!crypto_take_bytes(
		    engine, engine_call_argument(engine, call, 0), CRYPTO_COPY, "key", &bytes))
		return NULL;
	if (bytes.length == 0)
		return engine_string(engine, "");
	EC_GROUP *group = take_group(engine, call, 1, "Failed to get EC_GROUP");
	if (!group)
		return NULL;
	EC_POINT *point = point_of(group, &bytes);
	engine_value *result = point ? point_value(engine, call, 2, group, point)
				     : failed(engine, "Failed to convert Buffer to EC_POINT");
	EC_POINT_free(point);
	EC_GROUP_free(group);
	return result;
}

/* getCurves() */
static engine_value *get_curves(struct engine *engine, struct engine_call *call)
{
	(void)call;
	const size_t count = EC_get_builtin_curves(NULL, 0);
	EC_builtin_curve *curves = calloc(count ? count : 1, sizeof *curves);
	engine_value *names = engine_array(engine, NULL, 0);
	if (!curves || EC_get_builtin_curves(curves, count) != count) {
		free(curves);
		return failed(engine, "out of memory");
	}
	for (size_t i = 0; i < count; i++)
		engine_set_index(engine, names, (uint32_t)i,
			engine_string(engine, OBJ_nid2sn(curves[i].nid)));
	free(curves);
	return names;
}

/* ---- ECDH ---- */

static void ecdh_destroy(void *state)
{
	struct ecdh *ecdh = state;
	BN_clear_free(ecdh->private);
	EC_POINT_free(ecdh->public);
	EC_GROUP_free(ecdh->group);
	free(ecdh);
}

/* new ECDH(curve) */
static engine_value *ecdh_construct(struct engine *engine, struct engine_call *call)
{
	EC_GROUP *group = take_group(engine, call, 0, "Failed to create key using named curve");
	if (!group)
		return NULL;
	struct ecdh *ecdh = calloc(1, sizeof *ecdh);
	if (!ecdh) {
		EC_GROUP_free(group);
		return failed(engine, "out of memory");
	}
	ecdh->group = group;
	engine_set_state(engine_call_this(engine, call), ecdh);
	return NULL;
}

/* Takes both. */
static void set_pair(struct ecdh *ecdh, BIGNUM *private, EC_POINT *public)
{
	BN_clear_free(ecdh->private);
	EC_POINT_free(ecdh->public);
	ecdh->private = private;
	ecdh->public = public;
}

/* A new pair. Only numbers of OpenSSL's own generator are taken: it knows how. */
static bool generate(struct ecdh *ecdh)
{
	unsigned char octets[2 * 128 + 1];
	size_t length = 0;
	BIGNUM *private = NULL;
	EC_POINT *public = NULL;
	const char *name = OBJ_nid2sn(EC_GROUP_get_curve_name(ecdh->group));
	EVP_PKEY *key = name ? EVP_EC_gen(name) : NULL;
	bool good = key && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &private) == 1 &&
		    EVP_PKEY_get_octet_string_param(
			    key, OSSL_PKEY_PARAM_PUB_KEY, octets, sizeof octets, &length) == 1;
	EVP_PKEY_free(key);
	if (good) {
		const struct crypto_bytes bytes = {octets, length, false};
		public = point_of(ecdh->group, &bytes);
		good = public != NULL;
	}
	if (!good) {
		BN_clear_free(private);
		return false;
	}
	set_pair(ecdh, private, public);
	return true;
}

/* generateKeys() */
static engine_value *ecdh_generate_keys(struct engine *engine, struct engine_call *call)
{
	struct ecdh *ecdh = engine_call_state(call);
	ERR_clear_error();
	if (!ecdh || !generate(ecdh))
		return failed(engine, "Failed to generate key");
	ERR_clear_error();
	return NULL;
}

/* Whether the public key is one, and the private one's. */
static bool is_pair(const struct ecdh *ecdh)
{
	const BIGNUM *order = EC_GROUP_get0_order(ecdh->group);
	if (!ecdh->private || !ecdh->public || !order ||
		EC_POINT_is_at_infinity(ecdh->group, ecdh->public) ||
		EC_POINT_is_on_curve(ecdh->group, ecdh->public, NULL) != 1)
		return false;
	EC_POINT *point = EC_POINT_new(ecdh->group);
	const bool good = point &&
			  EC_POINT_mul(ecdh->group, point, NULL, ecdh->public, order, NULL) == 1 &&
			  EC_POINT_is_at_infinity(ecdh->group, point) &&
			  EC_POINT_mul(ecdh->group, point, ecdh->private, NULL, NULL, NULL) == 1 &&
			  EC_POINT_cmp(ecdh->group, point, ecdh->public, NULL) == 0;
	EC_POINT_clear_free(point);
	return good;
}

/* The x of the private key times PEER, as long as the field's elements are. */
static bool derive(const struct ecdh *ecdh, const EC_POINT *peer, struct crypto_bytes *ret)
{
	const size_t size = (size_t)(EC_GROUP_get_degree(ecdh->group) + 7) / 8;
	EC_POINT *point = EC_POINT_new(ecdh->group);
	BIGNUM *x = BN_secure_new();
	const bool good = point && x &&
			  EC_POINT_mul(ecdh->group, point, NULL, peer, ecdh->private, NULL) == 1 &&
			  EC_POINT_get_affine_coordinates(ecdh->group, point, x, NULL, NULL) == 1 &&
			  crypto_bytes_new(ret, size) && BN_bn2binpad(x, ret->data, (int)size) >= 0;
	EC_POINT_clear_free(point);
	BN_clear_free(x);
	return good;
}

/* computeSecret(point): a string when that is none of the curve */
static engine_value *ecdh_compute_secret(struct engine *engine, struct engine_call *call)
{
	const struct ecdh *ecdh = engine_call_state(call);
	cleanup_bytes struct crypto_bytes bytes = {0}, secret = {0};
	if (!ecdh || !crypto_take_bytes(engine, engine_call_argument(engine, call, 0), CRYPTO_COPY,
			     "key", &bytes))
		return NULL;
	ERR_clear_error();
	const bool pair = is_pair(ecdh);
	EC_POINT *peer = pair ? point_of(ecdh->group, &bytes) : NULL;
	const bool good = peer && derive(ecdh, peer, &secret);
	EC_POINT_free(peer);
	ERR_clear_error();
	if (!pair)
		return engine_throw(
			engine, "RangeError", "ERR_CRYPTO_INVALID_KEYPAIR", "Invalid key pair");
	if (!peer)
		return engine_string(engine, "ERR_CRYPTO_ECDH_INVALID_PUBLIC_KEY");
	if (!good)
		return failed(engine, "Failed to compute ECDH key");
	return crypto_buffer_of(engine, &secret);
}

/* getPublicKey(form) */
static engine_value *ecdh_get_public_key(struct engine *engine, struct engine_call *call)
{
	const struct ecdh *ecdh = engine_call_state(call);
	if (!ecdh || !ecdh->public)
		return failed(engine, "Failed to get ECDH public key");
	return point_value(engine, call, 0, ecdh->group, ecdh->public);
}

/* getPrivateKey() */
static engine_value *ecdh_get_private_key(struct engine *engine, struct engine_call *call)
{
	const struct ecdh *ecdh = engine_call_state(call);
	struct crypto_bytes bytes = {0};
	if (!ecdh || !ecdh->private)
		return failed(engine, "Failed to get ECDH private key");
	if (!crypto_bytes_new(&bytes, (size_t)BN_num_bytes(ecdh->private)))
		return failed(engine, "out of memory");
	BN_bn2bin(ecdh->private, bytes.data);
	return crypto_buffer_of(engine, &bytes);
}

/* setPrivateKey(bytes): the public key is made of it. SEC 1, 3.2.1: from 1 to the order less
 * one. */
static engine_value *ecdh_set_private_key(struct engine *engine, struct engine_call *call)
{
	struct ecdh *ecdh = engine_call_state(call);
	cleanup_bytes struct crypto_bytes bytes = {0};
	if (!ecdh || !crypto_take_bytes(engine, engine_call_argument(engine, call, 0), CRYPTO_COPY,
			     "key", &bytes))
		return NULL;
	BIGNUM *private = BN_bin2bn(bytes.data, (int)bytes.length, NULL);
	const BIGNUM *order = EC_GROUP_get0_order(ecdh->group);
	if (!private)
		return failed(engine, "Failed to convert Buffer to BN");
	if (BN_is_zero(private) || !order || BN_cmp(private, order) >= 0) {
		BN_clear_free(private);
		return engine_throw(engine, "RangeError", "ERR_CRYPTO_INVALID_KEYTYPE",
			"Private key is not valid for specified curve.");
	}
	EC_POINT *public = EC_POINT_new(ecdh->group);
	if (!public || EC_POINT_mul(ecdh->group, public, private, NULL, NULL, NULL) != 1) {
		EC_POINT_free(public);
		BN_clear_free(private);
		return failed(engine, "Failed to generate ECDH public key");
	}
	set_pair(ecdh, private, public);
	return NULL;
}

/* setPublicKey(point) */
static engine_value *ecdh_set_public_key(struct engine *engine, struct engine_call *call)
{
	struct ecdh *ecdh = engine_call_state(call);
	cleanup_bytes struct crypto_bytes bytes = {0};
	if (!ecdh || !crypto_take_bytes(engine, engine_call_argument(engine, call, 0), CRYPTO_COPY,
			     "key", &bytes))
		return NULL;
	EC_POINT *point = point_of(ecdh->group, &bytes);
	if (!point)
		return failed(engine, "Failed to convert Buffer to EC_POINT");
	EC_POINT_free(ecdh->public);
	ecdh->public = point;
	ERR_clear_error();
	return NULL;
}

/* ---- the tables ---- */

static const struct engine_native ecdh_methods[] = {
	{"generateKeys", ecdh_generate_keys, 0},
	{"computeSecret", ecdh_compute_secret, 1},
	{"getPublicKey", ecdh_get_public_key, 1},
	{"getPrivateKey", ecdh_get_private_key, 0},
	{"setPublicKey", ecdh_set_public_key, 1},
	{"setPrivateKey", ecdh_set_private_key, 1},
};

static const struct engine_class classes[] = {
	{
		.name = "ECDH",
		.construct = ecdh_construct,
		.methods = ecdh_methods,
		.method_count = ARRAY_LENGTH(ecdh_methods),
		.destroy = ecdh_destroy,
	},
};

static const struct engine_native natives[] = {
	{"ecdhConvertKey", convert_key, 3},
	{"getCurves", get_curves, 0},
};

const struct native_module crypto_ecdh_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
};
