/* Keys to bytes: see crypto_key_format.h. */
#include "isolate/crypto_key_format.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/encoder.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

/* What BIO has got, which is freed in any case. */
static bool take_bio(BIO *bio, bool good, struct crypto_bytes *ret)
{
	BUF_MEM *memory = NULL;
	if (good)
		BIO_get_mem_ptr(bio, &memory);
	good = memory && crypto_bytes_dup(ret, memory->data, memory->length);
	if (memory)
		OPENSSL_cleanse(memory->data, memory->length);
	BIO_free(bio);
	return good;
}

/* OpenSSL asks at a terminal when it is given no pointer. */
static const unsigned char *passphrase_of(const struct crypto_encoding *encoding)
{
	return encoding->passphrase.data ? encoding->passphrase.data : (const unsigned char *)"";
}

static bool encode(EVP_PKEY *pkey, BIO *bio, int selection, const char *structure,
	const struct crypto_encoding *encoding, bool encrypt)
{
	OSSL_ENCODER_CTX *ctx = OSSL_ENCODER_CTX_new_for_pkey(
		pkey, selection, encoding->format == CRYPTO_PEM ? "PEM" : "DER", structure, NULL);
	bool good = ctx && OSSL_ENCODER_CTX_get_num_encoders(ctx) > 0;
	if (good && encrypt)
		good = OSSL_ENCODER_CTX_set_cipher(
			       ctx, EVP_CIPHER_get0_name(encoding->cipher), NULL) == 1 &&
		       OSSL_ENCODER_CTX_set_passphrase(
			       ctx, passphrase_of(encoding), encoding->passphrase.length) == 1;
	good = good && OSSL_ENCODER_to_bio(ctx, bio) == 1;
	OSSL_ENCODER_CTX_free(ctx);
	return good;
}

/* ---- public ---- */

/* PEM through the wrapper itself: some keys have no other way. */
static bool write_spki(EVP_PKEY *pkey, BIO *bio, const struct crypto_encoding *encoding)
{
	if (encoding->format != CRYPTO_PEM)
		return i2d_PUBKEY_bio(bio, pkey) == 1;
	X509_PUBKEY *wrapped = NULL;
	const bool good = X509_PUBKEY_set(&wrapped, pkey) == 1 &&
			  PEM_write_bio_X509_PUBKEY(bio, wrapped) == 1;
	X509_PUBKEY_free(wrapped);
	return good;
}

bool crypto_write_public(
	EVP_PKEY *pkey, const struct crypto_encoding *encoding, struct crypto_bytes *ret)
{
	const struct crypto_family *family = crypto_family_of(pkey);
	if (encoding->structure == CRYPTO_PKCS1 && (!family || family->id != EVP_PKEY_RSA))
		return false;
	BIO *bio = BIO_new(BIO_s_mem());
	bool good = bio != NULL;
	if (good && encoding->structure == CRYPTO_PKCS1)
		good = encode(pkey, bio, OSSL_KEYMGMT_SELECT_PUBLIC_KEY, "pkcs1", encoding, false);
	else if (good)
		good = write_spki(pkey, bio, encoding);
	return take_bio(bio, good, ret);
}

/* ---- private ---- */

static int write_view(const void *arg, unsigned char **out)
{
	const struct crypto_bytes *der = arg;
	if (out) {
		memcpy(*out, der->data, der->length);
		*out += der->length;
	}
	return (int)der->length;
}

/* With an empty passphrase OpenSSL's encoders would ask for one. */
static bool write_traditional(EVP_PKEY *pkey, BIO *bio, const struct crypto_encoding *encoding)
{
	struct crypto_bytes der = {0};
	OSSL_ENCODER_CTX *ctx = OSSL_ENCODER_CTX_new_for_pkey(
		pkey, OSSL_KEYMGMT_SELECT_KEYPAIR, "DER", "pkcs1", NULL);
	const bool good =
		ctx && OSSL_ENCODER_to_data(ctx, &der.data, &der.length) == 1 &&
		PEM_ASN1_write_bio(write_view, PEM_STRING_RSA, bio, &der, encoding->cipher,
			passphrase_of(encoding), (int)encoding->passphrase.length, NULL, NULL) == 1;
	OPENSSL_clear_free(der.data, der.length);
	OSSL_ENCODER_CTX_free(ctx);
	return good;
}

static bool write_structure(EVP_PKEY *pkey, BIO *bio, const struct crypto_encoding *encoding)
{
	const bool pem = encoding->format == CRYPTO_PEM, encrypt = pem && encoding->cipher;
	const char *passphrase = (const char *)passphrase_of(encoding);
	const int length = (int)encoding->passphrase.length;
	switch (encoding->structure) {
	case CRYPTO_PKCS1:
		if (encrypt && length == 0)
			return write_traditional(pkey, bio, encoding);
		return encode(pkey, bio, OSSL_KEYMGMT_SELECT_ALL, "pkcs1", encoding, encrypt);
	case CRYPTO_SEC1:
		return encode(
			pkey, bio, OSSL_KEYMGMT_SELECT_ALL, "type-specific", encoding, encrypt);
	case CRYPTO_PKCS8:
		if (pem)
			return PEM_write_bio_PKCS8PrivateKey(bio, pkey, encoding->cipher,
				       passphrase, length, NULL, NULL) == 1;
		return i2d_PKCS8PrivateKey_bio(
			       bio, pkey, encoding->cipher, passphrase, length, NULL, NULL) == 1;
	default:
		return false;
	}
}

bool crypto_write_private(
	EVP_PKEY *pkey, const struct crypto_encoding *encoding, struct crypto_bytes *ret)
{
	const struct crypto_family *family = crypto_family_of(pkey);
	const int id = family ? family->id : 0;
	if ((encoding->structure == CRYPTO_PKCS1 && id != EVP_PKEY_RSA) ||
		(encoding->structure == CRYPTO_SEC1 && id != EVP_PKEY_EC))
		return false;
	BIO *bio = BIO_new(BIO_s_secmem());
	return take_bio(bio, bio && write_structure(pkey, bio, encoding), ret);
}

/* ---- raw ---- */

static bool write_seed(EVP_PKEY *pkey, const struct crypto_family *family, struct crypto_bytes *ret)
{
	size_t length = 0;
	if (!crypto_bytes_new(ret, family->seed_length))
		return false;
	if (EVP_PKEY_get_octet_string_param(pkey, family->seed, ret->data, ret->length, &length) ==
			1 &&
		length == ret->length)
		return true;
	crypto_bytes_clear(ret);
	return false;
}

bool crypto_write_raw(EVP_PKEY *pkey, enum crypto_key_format format, struct crypto_bytes *ret)
{
	int (*get)(const EVP_PKEY *, unsigned char *, size_t *) =
		format == CRYPTO_RAW_PUBLIC ? EVP_PKEY_get_raw_public_key
					    : EVP_PKEY_get_raw_private_key;
	size_t length = 0;
	if (format == CRYPTO_RAW_SEED)
		return write_seed(pkey, crypto_family_of(pkey), ret);
	if (get(pkey, NULL, &length) != 1 || !crypto_bytes_new(ret, length))
		return false;
	if (get(pkey, ret->data, &ret->length) == 1)
		return true;
	crypto_bytes_clear(ret);
	return false;
}

static EC_GROUP *group_of(EVP_PKEY *pkey)
{
	char name[80];
	size_t length = 0;
	if (EVP_PKEY_get_utf8_string_param(
		    pkey, OSSL_PKEY_PARAM_GROUP_NAME, name, sizeof name, &length) == 1 &&
		crypto_curve_name(name))
		return EC_GROUP_new_by_curve_name(OBJ_sn2nid(crypto_curve_name(name)));
	/* One without a name, its numbers are in the key. */
	OSSL_PARAM *params = NULL;
	EC_GROUP *group = NULL;
	if (EVP_PKEY_todata(pkey, OSSL_KEYMGMT_SELECT_ALL_PARAMETERS, &params) == 1)
		group = EC_GROUP_new_from_params(params, NULL, NULL);
	OSSL_PARAM_free(params);
	return group;
}

bool crypto_write_point(EVP_PKEY *pkey, int form, struct crypto_bytes *ret)
{
	cleanup_bytes struct crypto_bytes encoded = {0};
	size_t length = 0;
	if (EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, NULL, 0, &length) != 1 ||
		!crypto_bytes_new(&encoded, length) ||
		EVP_PKEY_get_octet_string_param(
			pkey, OSSL_PKEY_PARAM_PUB_KEY, encoded.data, length, &length) != 1)
		return false;
	EC_GROUP *group = group_of(pkey);
	EC_POINT *point = group ? EC_POINT_new(group) : NULL;
	unsigned char *data = NULL;
	if (point && EC_POINT_oct2point(group, point, encoded.data, length, NULL) == 1)
		length = EC_POINT_point2buf(
			group, point, (point_conversion_form_t)form, &data, NULL);
	const bool good = data && length > 0 && crypto_bytes_dup(ret, data, length);
	OPENSSL_free(data);
	EC_POINT_free(point);
	EC_GROUP_free(group);
	return good;
}

bool crypto_write_number(
	EVP_PKEY *pkey, const char *parameter, size_t width, struct crypto_bytes *ret)
{
	BIGNUM *number = NULL;
	bool good = EVP_PKEY_get_bn_param(pkey, parameter, &number) == 1;
	if (good && width == 0)
		width = BN_num_bytes(number) > 0 ? (size_t)BN_num_bytes(number) : 1;
	good = good && crypto_bytes_new(ret, width);
	if (good && BN_bn2binpad(number, ret->data, (int)width) < 0) {
		crypto_bytes_clear(ret);
		good = false;
	}
	BN_clear_free(number);
	return good;
}

size_t crypto_order_bytes(EVP_PKEY *pkey)
{
	EC_GROUP *group = group_of(pkey);
	const size_t bytes = group ? (size_t)(EC_GROUP_order_bits(group) + 7) / 8 : 0;
	EC_GROUP_free(group);
	return bytes;
}

size_t crypto_field_bytes(EVP_PKEY *pkey)
{
	EC_GROUP *group = group_of(pkey);
	const size_t bytes = group ? (size_t)(EC_GROUP_get_degree(group) + 7) / 8 : 0;
	EC_GROUP_free(group);
	return bytes;
}
