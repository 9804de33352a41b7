/* Keys of bytes: see crypto_key_format.h. */
#include "isolate/crypto_key_format.h"

#include "common/cleanup.h"

#include <openssl/asn1.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <strings.h>

void crypto_encoding_clear(struct crypto_encoding *encoding)
{
	EVP_CIPHER_free(encoding->cipher);
	encoding->cipher = NULL;
	crypto_bytes_clear(&encoding->passphrase);
}

/* ---- families ---- */

#define ML_DSA_SEED .raw_public = true, .seed = OSSL_PKEY_PARAM_ML_DSA_SEED, .seed_length = 32
#define ML_KEM_SEED .raw_public = true, .seed = OSSL_PKEY_PARAM_ML_KEM_SEED, .seed_length = 64
#define RAW .raw_public = true, .raw_private = true

static const struct crypto_family families[] = {
	{"RSA", "rsa", EVP_PKEY_RSA},
	{"RSA-PSS", "rsa-pss", EVP_PKEY_RSA_PSS},
	{"DSA", "dsa", EVP_PKEY_DSA},
	{"DH", "dh", EVP_PKEY_DH},
	{"EC", "ec", EVP_PKEY_EC},
	{"ED25519", "ed25519", EVP_PKEY_ED25519, RAW},
	{"ED448", "ed448", EVP_PKEY_ED448, RAW},
	{"X25519", "x25519", EVP_PKEY_X25519, RAW},
	{"X448", "x448", EVP_PKEY_X448, RAW},
	{"ML-DSA-44", "ml-dsa-44", EVP_PKEY_ML_DSA_44, ML_DSA_SEED},
	{"ML-DSA-65", "ml-dsa-65", EVP_PKEY_ML_DSA_65, ML_DSA_SEED},
	{"ML-DSA-87", "ml-dsa-87", EVP_PKEY_ML_DSA_87, ML_DSA_SEED},
	{"ML-KEM-512", "ml-kem-512", NID_ML_KEM_512, ML_KEM_SEED},
	{"ML-KEM-768", "ml-kem-768", NID_ML_KEM_768, ML_KEM_SEED},
	{"ML-KEM-1024", "ml-kem-1024", NID_ML_KEM_1024, ML_KEM_SEED},
	{"SLH-DSA-SHA2-128f", "slh-dsa-sha2-128f", EVP_PKEY_SLH_DSA_SHA2_128F, RAW},
	{"SLH-DSA-SHA2-128s", "slh-dsa-sha2-128s", EVP_PKEY_SLH_DSA_SHA2_128S, RAW},
	{"SLH-DSA-SHA2-192f", "slh-dsa-sha2-192f", EVP_PKEY_SLH_DSA_SHA2_192F, RAW},
	{"SLH-DSA-SHA2-192s", "slh-dsa-sha2-192s", EVP_PKEY_SLH_DSA_SHA2_192S, RAW},
	{"SLH-DSA-SHA2-256f", "slh-dsa-sha2-256f", EVP_PKEY_SLH_DSA_SHA2_256F, RAW},
	{"SLH-DSA-SHA2-256s", "slh-dsa-sha2-256s", EVP_PKEY_SLH_DSA_SHA2_256S, RAW},
	{"SLH-DSA-SHAKE-128f", "slh-dsa-shake-128f", EVP_PKEY_SLH_DSA_SHAKE_128F, RAW},
	{"SLH-DSA-SHAKE-128s", "slh-dsa-shake-128s", EVP_PKEY_SLH_DSA_SHAKE_128S, RAW},
	{"SLH-DSA-SHAKE-192f", "slh-dsa-shake-192f", EVP_PKEY_SLH_DSA_SHAKE_192F, RAW},
	{"SLH-DSA-SHAKE-192s", "slh-dsa-shake-192s", EVP_PKEY_SLH_DSA_SHAKE_192S, RAW},
	{"SLH-DSA-SHAKE-256f", "slh-dsa-shake-256f", EVP_PKEY_SLH_DSA_SHAKE_256F, RAW},
	{"SLH-DSA-SHAKE-256s", "slh-dsa-shake-256s", EVP_PKEY_SLH_DSA_SHAKE_256S, RAW},
};

const struct crypto_family *crypto_family_named(const char *type)
{
	for (size_t i = 0; i < ARRAY_LENGTH(families); i++)
		if (strcasecmp(families[i].type, type) == 0)
			return &families[i];
	return NULL;
}

const struct crypto_family *crypto_family_of(const EVP_PKEY *pkey)
{
	const char *type = pkey ? EVP_PKEY_get0_type_name(pkey) : NULL;
	return type ? crypto_family_named(type) : NULL;
}

const struct crypto_family *crypto_family_by_id(int id)
{
	for (size_t i = 0; i < ARRAY_LENGTH(families); i++)
		if (families[i].id == id)
			return &families[i];
	return NULL;
}

/* ---- PEM and DER: public keys ---- */

typedef EVP_PKEY *(*der_reader)(const unsigned char **place, long length);

static EVP_PKEY *read_spki(const unsigned char **place, long length)
{
	return d2i_PUBKEY(NULL, place, length);
}

static EVP_PKEY *read_rsa_public(const unsigned char **place, long length)
{
	return d2i_PublicKey(EVP_PKEY_RSA, NULL, place, length);
}

static EVP_PKEY *read_certificate(const unsigned char **place, long length)
{
	X509 *certificate = d2i_X509(NULL, place, length);
	EVP_PKEY *pkey = certificate ? X509_get_pubkey(certificate) : NULL;
	X509_free(certificate);
	return pkey;
}

/* OpenSSL's own would ask whoever is at the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *arg)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

/* The key of the first section NAME of a PEM text. *ret_found: there is one. */
static EVP_PKEY *read_section(
	const void *data, size_t length, const char *name, der_reader read, bool *ret_found)
{
	unsigned char *der = NULL;
	long der_length = 0;
	EVP_PKEY *pkey = NULL;
	BIO *bio = BIO_new_mem_buf(data, (int)length);
	ERR_set_mark();
	*ret_found = bio && PEM_bytes_read_bio(
				    &der, &der_length, NULL, name, bio, no_passphrase, NULL) == 1;
	ERR_pop_to_mark();
	if (*ret_found) {
		const unsigned char *place = der;
		pkey = read(&place, der_length);
	}
	OPENSSL_free(der);
	BIO_free(bio);
	return pkey;
}

/* Of the text's sections, in Node's order of preference. */
static EVP_PKEY *read_public_pem(const void *data, size_t length, bool *ret_found)
{
	static const struct {
		const char *section;
		der_reader read;
	} ways[] = {
		{"PUBLIC KEY", read_spki},
		{"RSA PUBLIC KEY", read_rsa_public},
		{"CERTIFICATE", read_certificate},
	};
	EVP_PKEY *pkey = NULL;
	*ret_found = false;
	for (size_t i = 0; i < ARRAY_LENGTH(ways) && !pkey; i++) {
		bool found;
		pkey = read_section(data, length, ways[i].section, ways[i].read, &found);
		*ret_found |= found;
	}
	return pkey;
}

/* ---- PEM and DER: private keys ---- */

/* Where the contents of the SEQUENCE that DATA is begin, and how long they are. */
static bool sequence(const unsigned char *data, size_t length, size_t *ret_start, size_t *ret_size)
{
	if (length < 2 || data[0] != 0x30)
		return false;
	if (!(data[1] & 0x80)) {
		*ret_start = 2;
		*ret_size = length - 2 < data[1] ? length - 2 : data[1];
		return true;
	}
	const size_t count = data[1] & 0x7f;
	if (count + 2 > length || count > sizeof(size_t))
		return false;
	size_t size = 0;
	for (size_t i = 0; i < count; i++)
		size = size << 8 | data[i + 2];
	*ret_start = 2 + count;
	*ret_size = length - 2 - count < size ? length - 2 - count : size;
	return true;
}

/* PrivateKeyInfo begins with a version, EncryptedPrivateKeyInfo with an algorithm. */
static bool is_encrypted(const unsigned char *data, size_t length)
{
	size_t start, size;
	return sequence(data, length, &start, &size) && size >= 1 && data[start] != 2;
}

/* RSAPrivateKey begins with the version 0 or 1, RSAPublicKey with the modulus. */
static bool is_rsa_private(const unsigned char *data, size_t length)
{
	size_t start, size;
	return sequence(data, length, &start, &size) && size >= 3 && data[start] == 2 &&
	       data[start + 1] == 1 && !(data[start + 2] & 0xfe);
}

/* No question is asked of anybody: there is no terminal. */
static int give_passphrase(char *buffer, int size, int writing, void *arg)
{
	(void)writing;
	const struct crypto_encoding *encoding = arg;
	if (!encoding->has_passphrase || encoding->passphrase.length > (size_t)size)
		return -1;
	if (encoding->passphrase.length > 0)
		memcpy(buffer, encoding->passphrase.data, encoding->passphrase.length);
	return (int)encoding->passphrase.length;
}

static EVP_PKEY *read_pkcs8(
	const struct crypto_encoding *encoding, BIO *bio, const void *data, size_t length)
{
	if (is_encrypted(data, length))
		return d2i_PKCS8PrivateKey_bio(bio, NULL, give_passphrase, (void *)encoding);
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO_bio(bio, NULL);
	EVP_PKEY *pkey = info ? EVP_PKCS82PKEY(info) : NULL;
	PKCS8_PRIV_KEY_INFO_free(info);
	return pkey;
}

EVP_PKEY *crypto_read_private(const struct crypto_encoding *encoding, const void *data,
	size_t length, bool *ret_needs_passphrase)
{
	*ret_needs_passphrase = false;
	ERR_clear_error();
	BIO *bio = BIO_new_mem_buf(data, (int)length);
	EVP_PKEY *pkey = NULL;
	if (!bio)
		return NULL;
	if (encoding->format == CRYPTO_PEM)
		pkey = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, (void *)encoding);
	else if (encoding->format == CRYPTO_DER && encoding->structure == CRYPTO_PKCS8)
		pkey = read_pkcs8(encoding, bio, data, length);
	else if (encoding->format == CRYPTO_DER && encoding->structure != CRYPTO_SPKI)
		pkey = d2i_PrivateKey_bio(bio, NULL);
	BIO_free(bio);
	if (pkey) {
		ERR_clear_error();
		return pkey;
	}
	const unsigned long error = ERR_peek_error();
	*ret_needs_passphrase = !encoding->has_passphrase && ERR_GET_LIB(error) == ERR_LIB_PEM &&
				ERR_GET_REASON(error) == PEM_R_BAD_PASSWORD_READ;
	return NULL;
}

EVP_PKEY *crypto_read_any(const struct crypto_encoding *encoding, const void *data, size_t length,
	bool *ret_private, bool *ret_needs_passphrase)
{
	const unsigned char *place = data;
	bool found;
	*ret_private = *ret_needs_passphrase = false;
	ERR_clear_error();
	if (encoding->format == CRYPTO_PEM) {
		EVP_PKEY *pkey = read_public_pem(data, length, &found);
		*ret_private = !pkey; /* a damaged one is reported as Node does */
		if (found)
			return pkey;
	} else if (encoding->structure == CRYPTO_SPKI) {
		return d2i_PUBKEY(NULL, &place, (long)length);
	} else if (encoding->structure == CRYPTO_PKCS1 && !is_rsa_private(data, length)) {
		return d2i_PublicKey(EVP_PKEY_RSA, NULL, &place, (long)length);
	}
	*ret_private = true;
	return crypto_read_private(encoding, data, length, ret_needs_passphrase);
}

/* ---- raw bytes ---- */

static EVP_PKEY *from_params(const char *type, int selection, OSSL_PARAM *params)
{
	EVP_PKEY *pkey = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
		EVP_PKEY_fromdata(ctx, &pkey, selection, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

EVP_PKEY *crypto_read_raw(const struct crypto_family *family, enum crypto_key_format format,
	const void *data, size_t length)
{
	if (format == CRYPTO_RAW_PUBLIC)
		return EVP_PKEY_new_raw_public_key_ex(NULL, family->type, NULL, data, length);
	if (format == CRYPTO_RAW_PRIVATE)
		return EVP_PKEY_new_raw_private_key_ex(NULL, family->type, NULL, data, length);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(family->seed, (void *)data, length),
		OSSL_PARAM_construct_end(),
	};
	return from_params(family->type, EVP_PKEY_KEYPAIR, params);
}

/* ---- elliptic curves ---- */

const char *crypto_curve_name(const char *name)
{
	int nid = EC_curve_nist2nid(name);
	if (nid == NID_undef)
		nid = OBJ_sn2nid(name);
	if (nid == NID_undef)
		nid = OBJ_ln2nid(name);
	return nid == NID_undef ? NULL : OBJ_nid2sn(nid);
}

/* The point that belongs to NUMBER, uncompressed. NUMBER must be below the group's order. */
static bool public_point(const EC_GROUP *group, const BIGNUM *number, struct crypto_bytes *ret)
{
	const BIGNUM *order = EC_GROUP_get0_order(group);
	EC_POINT *point = EC_POINT_new(group);
	unsigned char *data = NULL;
	size_t length = 0;
	if (point && order && !BN_is_zero(number) && BN_cmp(number, order) < 0 &&
		EC_POINT_mul(group, point, number, NULL, NULL, NULL) == 1)
		length = EC_POINT_point2buf(
			group, point, POINT_CONVERSION_UNCOMPRESSED, &data, NULL);
	const bool good = length > 0 && crypto_bytes_dup(ret, data, length);
	OPENSSL_free(data);
	EC_POINT_free(point);
	return good;
}

static EVP_PKEY *ec_of(const char *name, const BIGNUM *number, const struct crypto_bytes *point)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY *pkey = NULL;
	if (builder &&
		OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, name, 0) ==
			1 &&
		OSSL_PARAM_BLD_push_octet_string(
			builder, OSSL_PKEY_PARAM_PUB_KEY, point->data, point->length) == 1 &&
		(!number || OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, number) == 1))
		params = OSSL_PARAM_BLD_to_param(builder);
	if (params)
		pkey = from_params("EC", number ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	return pkey;
}

static EVP_PKEY *ec_private(const char *name, const void *data, size_t length)
{
	cleanup_bytes struct crypto_bytes point = {0};
	EC_GROUP *group = EC_GROUP_new_by_curve_name(OBJ_sn2nid(name));
	BIGNUM *number = BN_secure_new();
	EVP_PKEY *pkey = NULL;
	const size_t width = group ? (size_t)(EC_GROUP_order_bits(group) + 7) / 8 : 0;
	if (number && width == length && BN_bin2bn(data, (int)length, number) &&
		public_point(group, number, &point))
		pkey = ec_of(name, number, &point);
	BN_clear_free(number);
	EC_GROUP_free(group);
	return pkey;
}

EVP_PKEY *crypto_read_ec(
	const char *group, enum crypto_key_format format, const void *data, size_t length)
{
	if (format == CRYPTO_RAW_PRIVATE)
		return ec_private(group, data, length);
	const struct crypto_bytes point = {.data = (void *)data, .length = length};
	return length > 0 ? ec_of(group, NULL, &point) : NULL;
}
