/* Diffie-Hellman over primes: DiffieHellman and DiffieHellmanGroup of node:crypto, and
 * DHBitsJob, which derives a secret from two keys of any kind that can. */

#include "isolate/crypto_dh.h"
#include "common/cleanup.h"
#include "isolate/crypto_job.h"
#include "isolate/crypto_key.h"

#include <limits.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/dh.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct dh {
	BIGNUM *p, *g;
	BIGNUM *q, *j; /* of parameters that were generated; may be NULL */
	BIGNUM *public, *private;
	const struct dh_group *group; /* one that has a name */
};

struct dh_group {
	const char *name;
	BIGNUM *(*prime)(BIGNUM *);
	const char *openssl_name; /* NULL: too small for OpenSSL to know */
	int private_bits;
};

static const struct dh_group groups[] = {
	{"modp1", BN_get_rfc2409_prime_768, NULL, 0},
	{"modp2", BN_get_rfc2409_prime_1024, NULL, 0},
	{"modp5", BN_get_rfc3526_prime_1536, "modp_1536", 200},
	{"modp14", BN_get_rfc3526_prime_2048, "modp_2048", 225},
	{"modp15", BN_get_rfc3526_prime_3072, "modp_3072", 275},
	{"modp16", BN_get_rfc3526_prime_4096, "modp_4096", 325},
	{"modp17", BN_get_rfc3526_prime_6144, "modp_6144", 375},
	{"modp18", BN_get_rfc3526_prime_8192, "modp_8192", 400},
};

BIGNUM *crypto_dh_prime(const char *name)
{
	for (size_t i = 0; i < ARRAY_LENGTH(groups); i++)
		if (strcasecmp(groups[i].name, name) == 0)
			return groups[i].prime(NULL);
	return NULL;
}

static void dh_destroy(void *state)
{
	struct dh *dh = state;
	BN_free(dh->p);
	BN_free(dh->g);
	BN_free(dh->q);
	BN_free(dh->j);
	BN_free(dh->public);
	BN_clear_free(dh->private);
	free(dh);
}

static engine_value *failed(struct engine *engine, const char *message)
{
	ERR_clear_error();
	return engine_throw(engine, "Error", "ERR_CRYPTO_OPERATION_FAILED", "%s", message);
}

static engine_value *invalid(struct engine *engine, const char *message)
{
	ERR_clear_error();
	return engine_throw(engine, "TypeError", "ERR_INVALID_ARG_VALUE", "%s", message);
}

/* ---- keys of OpenSSL ---- */

static bool push(OSSL_PARAM_BLD *builder, const char *name, const BIGNUM *number)
{
	return !number || OSSL_PARAM_BLD_push_BN(builder, name, number) == 1;
}

static bool push_group(OSSL_PARAM_BLD *builder, const struct dh *dh)
{
	if (dh->group && dh->group->openssl_name)
		return OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME,
			       dh->group->openssl_name, 0) == 1;
	return push(builder, OSSL_PKEY_PARAM_FFC_P, dh->p) &&
	       push(builder, OSSL_PKEY_PARAM_FFC_G, dh->g);
}

/* A key of the group of DH, with these halves, which may be NULL. */
static EVP_PKEY *key_of(const struct dh *dh, const BIGNUM *public, const BIGNUM *private)
{
	EVP_PKEY *key = NULL;
	OSSL_PARAM *params = NULL;
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
	if (builder && ctx && push_group(builder, dh) &&
		push(builder, OSSL_PKEY_PARAM_PUB_KEY, public) &&
		push(builder, OSSL_PKEY_PARAM_PRIV_KEY, private))
		params = OSSL_PARAM_BLD_to_param(builder);
	const int selection = private  ? EVP_PKEY_KEYPAIR
			      : public ? EVP_PKEY_PUBLIC_KEY
				       : EVP_PKEY_KEY_PARAMETERS;
	if (!params || EVP_PKEY_fromdata_init(ctx) <= 0 ||
		EVP_PKEY_fromdata(ctx, &key, selection, params) <= 0)
		key = NULL;
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* ---- making one ---- */

static BIGNUM *number_of(const struct crypto_bytes *bytes)
{
	return BN_bin2bn(bytes->data, (int)bytes->length, NULL);
}

static engine_value *bad_generator(struct engine *engine)
{
	ERR_raise(ERR_LIB_DH, DH_R_BAD_GENERATOR);
	return crypto_throw(engine, "Invalid generator");
}

/* Parameters with a new prime of BITS. */
static bool generate_parameters(struct dh *dh, int bits, int generator)
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
	const bool good = ctx && EVP_PKEY_paramgen_init(ctx) > 0 &&
			  EVP_PKEY_CTX_set_dh_paramgen_prime_len(ctx, bits) == 1 &&
			  EVP_PKEY_CTX_set_dh_paramgen_generator(ctx, generator) == 1 &&
			  EVP_PKEY_paramgen(ctx, &key) > 0 &&
			  EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_FFC_P, &dh->p) == 1 &&
			  EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_FFC_G, &dh->g) == 1;
	if (good) {
		EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_FFC_Q, &dh->q);
		EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_FFC_COFACTOR, &dh->j);
	}
	EVP_PKEY_free(key);
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return good;
}

/* new DiffieHellman(bits, generator). False with an exception pending. */
static bool init_by_size(struct engine *engine, struct engine_call *call, struct dh *dh)
{
	const int32_t bits = engine_argument_int32(call, 0);
	const int32_t generator = engine_argument_int32(call, 1);
	if (bits < 2) {
		ERR_raise(ERR_LIB_DH, DH_R_MODULUS_TOO_SMALL);
		crypto_throw(engine, "Invalid prime length");
	} else if (engine_typeof(engine_call_argument(engine, call, 1)) != ENGINE_NUMBER) {
		engine_throw(engine, "TypeError", "ERR_INVALID_ARG_TYPE",
			"Second argument must be an int32");
	} else if (generator < 2) {
		bad_generator(engine);
	} else if (!generate_parameters(dh, bits, generator)) {
		invalid(engine, "Invalid DH parameters");
	} else {
		return true;
	}
	return false;
}

static bool take_generator(struct engine *engine, struct engine_call *call, struct dh *dh)
{
	engine_value *value = engine_call_argument(engine, call, 1);
	if (engine_typeof(value) == ENGINE_NUMBER) {
		const int32_t generator = engine_argument_int32(call, 1);
		dh->g = BN_new();
		if (generator >= 2 && dh->g && BN_set_word(dh->g, (BN_ULONG)generator) == 1)
			return true;
		bad_generator(engine);
		return false;
	}
	cleanup_bytes struct crypto_bytes bytes = {0};
	if (!crypto_take_bytes(engine, value, CRYPTO_COPY, "generator", &bytes))
		return false;
	dh->g = number_of(&bytes);
	if (dh->g && BN_cmp(dh->g, BN_value_one()) > 0)
		return true;
	bad_generator(engine);
	return false;
}

/* new DiffieHellman(prime, generator). False with an exception pending. */
static bool init_by_prime(struct engine *engine, struct engine_call *call, struct dh *dh)
{
	cleanup_bytes struct crypto_bytes prime = {0};
	if (!crypto_take_bytes(
		    engine, engine_call_argument(engine, call, 0), CRYPTO_COPY, "prime", &prime))
		return false;
	dh->p = number_of(&prime);
	if (!dh->p) {
		invalid(engine, "Invalid prime");
		return false;
	}
	if (!take_generator(engine, call, dh))
		return false;
	if (BN_num_bits(dh->p) >= 512 && BN_cmp(dh->g, dh->p) >= 0) {
		bad_generator(engine);
		return false;
	}
	EVP_PKEY *key = key_of(dh, NULL, NULL);
	EVP_PKEY_free(key);
	if (!key)
		invalid(engine, "Invalid DH parameters");
	return key != NULL;
}

static engine_value *finish_construct(
	struct engine *engine, struct engine_call *call, struct dh *dh, bool good)
{
	if (good)
		engine_set_state(engine_call_this(engine, call), dh);
	else
		dh_destroy(dh);
	return NULL;
}

static engine_value *dh_construct(struct engine *engine, struct engine_call *call)
{
	if (!crypto_start())
		return crypto_throw(engine, "OpenSSL does not start");
	struct dh *dh = calloc(1, sizeof *dh);
	if (!dh)
		return failed(engine, "out of memory");
	ERR_clear_error();
	const bool sized = engine_typeof(engine_call_argument(engine, call, 0)) == ENGINE_NUMBER;
	return finish_construct(engine, call, dh,
		sized ? init_by_size(engine, call, dh) : init_by_prime(engine, call, dh));
}

/* new DiffieHellmanGroup(name) */
static engine_value *group_construct(struct engine *engine, struct engine_call *call)
{
	const struct dh_group *group = NULL;
	cleanup_free char *name = NULL;
	if (!crypto_start())
		return crypto_throw(engine, "OpenSSL does not start");
	if (engine_typeof(engine_call_argument(engine, call, 0)) != ENGINE_STRING)
		return engine_throw(
			engine, "TypeError", "ERR_INVALID_ARG_TYPE", "Group name must be a string");
	name = engine_to_utf8(engine, engine_call_argument(engine, call, 0), NULL);
	for (size_t i = 0; name && i < ARRAY_LENGTH(groups); i++)
		if (strcasecmp(groups[i].name, name) == 0)
			group = &groups[i];
	if (!group)
		return engine_throw(
			engine, "Error", "ERR_CRYPTO_UNKNOWN_DH_GROUP", "Unknown DH group");
	struct dh *dh = calloc(1, sizeof *dh);
	if (!dh)
		return failed(engine, "out of memory");
	dh->group = group;
	dh->p = group->prime(NULL);
	dh->g = BN_new();
	const bool good = dh->p && dh->g && BN_set_word(dh->g, 2) == 1;
	if (!good)
		failed(engine, "out of memory");
	return finish_construct(engine, call, dh, good);
}

/* ---- the numbers ---- */

static engine_value *number_value(struct engine *engine, const BIGNUM *number, const char *message)
{
	struct crypto_bytes bytes = {0};
	if (!number)
		return engine_throw(engine, "Error", "ERR_CRYPTO_INVALID_STATE", "%s", message);
	if (!crypto_bytes_new(&bytes, (size_t)BN_num_bytes(number)))
		return failed(engine, "out of memory");
	BN_bn2bin(number, bytes.data);
	return crypto_buffer_of(engine, &bytes);
}

static engine_value *get_prime(struct engine *engine, struct engine_call *call)
{
	const struct dh *dh = engine_call_state(call);
	return number_value(engine, dh ? dh->p : NULL, "p is null");
}

static engine_value *get_generator(struct engine *engine, struct engine_call *call)
{
	const struct dh *dh = engine_call_state(call);
	return number_value(engine, dh ? dh->g : NULL, "g is null");
}

static engine_value *get_public_key(struct engine *engine, struct engine_call *call)
{
	const struct dh *dh = engine_call_state(call);
	return number_value(
		engine, dh ? dh->public : NULL, "No public key - did you forget to generate one?");
}

static engine_value *get_private_key(struct engine *engine, struct engine_call *call)
{
	const struct dh *dh = engine_call_state(call);
	return number_value(engine, dh ? dh->private : NULL,
		"No private key - did you forget to generate one?");
}

/* The number that argument 0 is; NULL with an exception pending. */
static BIGNUM *take_number(struct engine *engine, struct engine_call *call, const char *name)
{
	cleanup_bytes struct crypto_bytes bytes = {0};
	engine_value *value = engine_call_argument(engine, call, 0);
	if (!crypto_take_bytes(engine, value, CRYPTO_COPY, name, &bytes))
		return NULL;
	BIGNUM *number = number_of(&bytes);
	if (!number)
		failed(engine, "out of memory");
	return number;
}

/* Whether OpenSSL would take these halves of a key. */
static bool is_acceptable(const struct dh *dh, const BIGNUM *public, const BIGNUM *private)
{
	if (dh->group)
		return true;
	EVP_PKEY *key = key_of(dh, public, private);
	EVP_PKEY_free(key);
	return key != NULL;
}

static engine_value *set_public_key(struct engine *engine, struct engine_call *call)
{
	struct dh *dh = engine_call_state(call);
	BIGNUM *number = dh ? take_number(engine, call, "key") : NULL;
	if (!number)
		return NULL;
	if (!is_acceptable(dh, number, dh->private)) {
		BN_free(number);
		return invalid(engine, "Invalid public key");
	}
	BN_free(dh->public);
	dh->public = number;
	return NULL;
}

static engine_value *set_private_key(struct engine *engine, struct engine_call *call)
{
	struct dh *dh = engine_call_state(call);
	BIGNUM *number = dh ? take_number(engine, call, "key") : NULL;
	if (!number)
		return NULL;
	if (!is_acceptable(dh, dh->public, number)) {
		BN_clear_free(number);
		return invalid(engine, "Invalid private key");
	}
	BN_clear_free(dh->private);
	dh->private = number;
	return NULL;
}

/* ---- generating ---- */

static BIGNUM *new_private(const struct dh *dh)
{
	const int bits = dh->group->private_bits;
	BIGNUM *number = BN_secure_new();
	BIGNUM *range = BN_dup(dh->p);
	const bool good =
		number && range &&
		(bits ? BN_priv_rand(number, bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1
		      : BN_sub_word(range, 3) == 1 && BN_priv_rand_range(number, range) == 1 &&
					BN_add_word(number, 2) == 1);
	BN_free(range);
	if (good)
		return number;
	BN_clear_free(number);
	return NULL;
}

static bool compute_public(struct dh *dh)
{
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *number = BN_new();
	if (ctx && number &&
		BN_mod_exp_mont_consttime(number, dh->g, dh->private, dh->p, ctx, NULL) == 1) {
		BN_free(dh->public);
		dh->public = number;
		number = NULL;
	}
	BN_CTX_free(ctx);
	const bool good = number == NULL;
	BN_free(number);
	return good;
}

/* Both halves, by OpenSSL's rules for parameters without a name. */
static bool generate_both(struct dh *dh)
{
	EVP_PKEY *params = key_of(dh, NULL, NULL), *key = NULL;
	EVP_PKEY_CTX *ctx = params ? EVP_PKEY_CTX_new(params, NULL) : NULL;
	BIGNUM *public = NULL, *private = NULL;
	const bool good = ctx && EVP_PKEY_keygen_init(ctx) > 0 && EVP_PKEY_keygen(ctx, &key) > 0 &&
			  EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PUB_KEY, &public) == 1 &&
			  EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &private) == 1;
	if (good) {
		BN_free(dh->public);
		dh->public = public;
		dh->private = private;
	} else {
		BN_free(public);
		BN_clear_free(private);
	}
	EVP_PKEY_free(key);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(params);
	return good;
}

/* generateKeys(): the public key */
static engine_value *generate_keys(struct engine *engine, struct engine_call *call)
{
	struct dh *dh = engine_call_state(call);
	bool good = dh != NULL;
	ERR_clear_error();
	if (good && !dh->private && !dh->group) {
		good = generate_both(dh);
	} else if (good) {
		if (!dh->private)
			dh->private = new_private(dh);
		good = dh->private && compute_public(dh);
	}
	if (!good)
		return failed(engine, "Key generation failed");
	ERR_clear_error();
	return number_value(engine, dh->public, "");
}

/* ---- deriving ---- */

enum check { CHECK_GOOD, CHECK_FAILED, CHECK_SMALL, CHECK_LARGE, CHECK_INVALID };

/* The checks of NIST SP 800-56A, 5.6.2.3.1: a peer must not make us use a small subgroup. */
static enum check check_public(const struct dh *dh, const BIGNUM *public)
{
	if (BN_cmp(public, BN_value_one()) <= 0)
		return CHECK_SMALL;
	BIGNUM *last = BN_dup(dh->p);
	const bool good = last && BN_sub_word(last, 1) == 1;
	const bool large = good && BN_cmp(public, last) >= 0;
	BN_free(last);
	if (!good || large)
		return good ? CHECK_LARGE : CHECK_FAILED;
	if (dh->group && !dh->group->openssl_name)
		return CHECK_GOOD;
	EVP_PKEY *key = key_of(dh, public, NULL);
	EVP_PKEY_CTX *ctx = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
	const enum check result = !ctx                              ? CHECK_FAILED
				  : EVP_PKEY_public_check(ctx) != 1 ? CHECK_INVALID
								    : CHECK_GOOD;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	return result;
}

static engine_value *throw_check(struct engine *engine, enum check check)
{
	static const char key_type[] = "ERR_CRYPTO_INVALID_KEYTYPE";
	static const char key_length[] = "ERR_CRYPTO_INVALID_KEYLEN";
	ERR_clear_error();
	switch (check) {
	case CHECK_SMALL:
		return engine_throw(engine, "RangeError", key_length, "Supplied key is too small");
	case CHECK_LARGE:
		return engine_throw(engine, "RangeError", key_length, "Supplied key is too large");
	case CHECK_INVALID:
		return engine_throw(engine, "RangeError", key_type, "Supplied key is invalid");
	default:
		return engine_throw(engine, "RangeError", key_type, "Unspecified validation error");
	}
}

static bool derive_by_numbers(const struct dh *dh, const BIGNUM *peer, struct crypto_bytes *ret)
{
	BIGNUM *secret = BN_secure_new();
	BN_CTX *ctx = BN_CTX_new();
	const size_t size = (size_t)BN_num_bytes(dh->p);
	const bool good =
		secret && ctx &&
		BN_mod_exp_mont_consttime(secret, peer, dh->private, dh->p, ctx, NULL) == 1 &&
		crypto_bytes_new(ret, size) && BN_bn2binpad(secret, ret->data, (int)size) >= 0;
	BN_clear_free(secret);
	BN_CTX_free(ctx);
	return good;
}

/* With PAD, as long as the prime is. */
static bool derive(EVP_PKEY *own, EVP_PKEY *peer, bool pad, struct crypto_bytes *ret)
{
	size_t length = 0;
	EVP_PKEY_CTX *ctx = own && peer ? EVP_PKEY_CTX_new(own, NULL) : NULL;
	bool good = ctx && EVP_PKEY_derive_init(ctx) > 0 &&
		    (!pad || EVP_PKEY_CTX_set_dh_pad(ctx, 1) == 1) &&
		    EVP_PKEY_derive_set_peer(ctx, peer) > 0 &&
		    EVP_PKEY_derive(ctx, NULL, &length) > 0 && length > 0 &&
		    crypto_bytes_new(ret, length) && EVP_PKEY_derive(ctx, ret->data, &length) > 0 &&
		    length <= ret->length;
	EVP_PKEY_CTX_free(ctx);
	if (good && length < ret->length) {
		const size_t zeros = ret->length - length;
		memmove(ret->data + zeros, ret->data, length);
		memset(ret->data, 0, zeros);
	}
	return good;
}

/* computeSecret(publicKey) */
static engine_value *compute_secret(struct engine *engine, struct engine_call *call)
{
	struct dh *dh = engine_call_state(call);
	cleanup_bytes struct crypto_bytes secret = {0};
	BIGNUM *peer = dh ? take_number(engine, call, "key") : NULL;
	if (!peer)
		return NULL;
	ERR_clear_error();
	const enum check check = check_public(dh, peer);
	if (check != CHECK_GOOD) {
		BN_free(peer);
		return throw_check(engine, check);
	}
	bool good = dh->private != NULL;
	if (good && dh->group) {
		good = derive_by_numbers(dh, peer, &secret);
	} else if (good) {
		EVP_PKEY *own = key_of(dh, dh->public, dh->private);
		EVP_PKEY *other = key_of(dh, peer, NULL);
		good = derive(own, other, true, &secret);
		EVP_PKEY_free(own);
		EVP_PKEY_free(other);
	}
	BN_free(peer);
	if (!good)
		return failed(engine, "Failed to compute shared secret");
	ERR_clear_error();
	return crypto_buffer_of(engine, &secret);
}

/* ---- what is wrong with the parameters ---- */

static int check_order(const struct dh *dh, BN_CTX *ctx, int *codes)
{
	BIGNUM *quotient = BN_new(), *rest = BN_new();
	int prime = -1;
	if (BN_ucmp(dh->p, dh->q) <= 0) {
		*codes |= DH_CHECK_INVALID_Q_VALUE;
		prime = 1;
	} else if (quotient && rest && BN_mod_exp(rest, dh->g, dh->q, dh->p, ctx) == 1) {
		if (!BN_is_one(rest))
			*codes |= DH_NOT_SUITABLE_GENERATOR;
		prime = BN_check_prime(dh->q, ctx, NULL);
		if (prime == 0)
			*codes |= DH_CHECK_Q_NOT_PRIME;
		if (BN_div(quotient, rest, dh->p, dh->q, ctx) != 1)
			prime = -1;
		else if (!BN_is_one(rest))
			*codes |= DH_CHECK_INVALID_Q_VALUE;
		else if (dh->j && BN_cmp(dh->j, quotient) != 0)
			*codes |= DH_CHECK_INVALID_J_VALUE;
	}
	BN_free(quotient);
	BN_free(rest);
	return prime < 0 ? -1 : 0;
}

static int check_prime(const struct dh *dh, BN_CTX *ctx, int *codes)
{
	const int prime = BN_check_prime(dh->p, ctx, NULL);
	if (prime < 0)
		return -1;
	if (prime == 0) {
		*codes |= DH_CHECK_P_NOT_PRIME;
	} else if (!dh->q) {
		BIGNUM *half = BN_new();
		const int safe =
			half && BN_rshift1(half, dh->p) == 1 ? BN_check_prime(half, ctx, NULL) : -1;
		BN_free(half);
		if (safe < 0)
			return -1;
		if (safe == 0)
			*codes |= DH_CHECK_P_NOT_SAFE_PRIME;
	}
	return 0;
}

/* The codes of DH_check(3), -1 when there is no telling. */
static int check_parameters(const struct dh *dh)
{
	const int bits = BN_num_bits(dh->p);
	int codes = 0;
	if (bits > OPENSSL_DH_CHECK_MAX_MODULUS_BITS)
		return -1;
	if (!BN_is_odd(dh->p))
		codes |= DH_CHECK_P_NOT_PRIME;
	if (BN_cmp(dh->g, BN_value_one()) <= 0)
		codes |= DH_NOT_SUITABLE_GENERATOR;
	if (bits < 512)
		codes |= DH_MODULUS_TOO_SMALL;
	if (bits > OPENSSL_DH_MAX_MODULUS_BITS)
		codes |= DH_MODULUS_TOO_LARGE;
	BIGNUM *last = BN_dup(dh->p);
	BN_CTX *ctx = BN_CTX_new();
	bool good = last && ctx && BN_sub_word(last, 1) == 1;
	if (good && BN_cmp(dh->g, last) >= 0)
		codes |= DH_NOT_SUITABLE_GENERATOR;
	good = good && (!dh->q || check_order(dh, ctx, &codes) == 0) &&
	       check_prime(dh, ctx, &codes) == 0;
	BN_free(last);
	BN_CTX_free(ctx);
	return good ? codes : -1;
}

static engine_value *verify_error(struct engine *engine, struct engine_call *call)
{
	const struct dh *dh = engine_call_state(call);
	if (!dh || (dh->group && dh->group->openssl_name))
		return engine_int32(engine, 0);
	const int codes = check_parameters(dh);
	if (codes < 0)
		return failed(engine, "Checking DH parameters failed");
	ERR_clear_error();
	return engine_int32(engine, codes);
}

/* ---- jobs ---- */

struct bits_job {
	struct crypto_job job;
	struct crypto_key *public, *private;
};

/* new DHBitsJob(mode, the five of the peer's key, the five of the own) */
static bool bits_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct bits_job *job = state;
	int index = 1;
	job->public = crypto_take_key_arguments(engine, call, &index, CRYPTO_KEY_PUBLIC);
	if (!job->public)
		return false;
	job->private = crypto_take_key_arguments(engine, call, &index, CRYPTO_KEY_PRIVATE);
	if (!job->private)
		return false;
	const EVP_PKEY *key = job->private->pkey;
	job->job.quick = EVP_PKEY_is_a(key, "X25519") ||
			 (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) <= 256);
	return true;
}

static bool bits_work(void *state)
{
	struct bits_job *job = state;
	return derive(job->private->pkey, job->public->pkey, false, &job->job.out);
}

static engine_value *bits_throw(struct engine *engine, void *state)
{
	(void)state;
	return crypto_throw(engine, "diffieHellman failed");
}

static void bits_clear(void *state)
{
	struct bits_job *job = state;
	crypto_key_unref(job->public);
	crypto_key_unref(job->private);
}

static const struct crypto_job_type bits_job = {
	.name = "DHBitsJob",
	.size = sizeof(struct bits_job),
	.configure = bits_configure,
	.work = bits_work,
	.throw_sync = bits_throw,
	.clear = bits_clear,
};
CRYPTO_JOB(bits_job)

/* ---- the tables ---- */

static const struct engine_native methods[] = {
	{"generateKeys", generate_keys, 0},
	{"computeSecret", compute_secret, 1},
	{"getPrime", get_prime, 0},
	{"getGenerator", get_generator, 0},
	{"getPublicKey", get_public_key, 0},
	{"getPrivateKey", get_private_key, 0},
	{"setPublicKey", set_public_key, 1},
	{"setPrivateKey", set_private_key, 1},
};
static const struct engine_native getters[] = {{"verifyError", verify_error, 0}};

#define DH_CLASS(name_, construct_)                                                                \
	{                                                                                          \
		.name = name_,                                                                     \
		.construct = construct_,                                                           \
		.methods = methods,                                                                \
		.method_count = ARRAY_LENGTH(methods),                                             \
		.getters = getters,                                                                \
		.getter_count = ARRAY_LENGTH(getters),                                             \
		.destroy = dh_destroy,                                                             \
	}

static const struct engine_class classes[] = {
	DH_CLASS("DiffieHellman", dh_construct),
	DH_CLASS("DiffieHellmanGroup", group_construct),
	CRYPTO_JOB_CLASS(bits_job, "DHBitsJob"),
};

const struct native_module crypto_dh_natives = {
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
};
