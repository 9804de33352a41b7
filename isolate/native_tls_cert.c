/* Certificates as node:tls shows them, and toLegacyObject of node:crypto. */

#include "common/cleanup.h"
#include "isolate/crypto_x509.h"
#include "isolate/tls.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

engine_value *tls_certificate_pem(struct engine *engine, X509 *certificate)
{
	BIO *bio = BIO_new(BIO_s_mem());
	engine_value *text = NULL;
	if (bio && PEM_write_bio_X509(bio, certificate) == 1)
		text = crypto_bio_string(engine, bio);
	BIO_free(bio);
	return text ? text : tls_throw(engine, "out of memory");
}

/* ---- names ---- */

/* One value, or an array when the name has the attribute more than once. */
static void add_attribute(
	struct engine *engine, engine_value *object, const char *key, engine_value *value)
{
	engine_value *before = engine_get(engine, object, key);
	if (!before || engine_typeof(before) == ENGINE_UNDEFINED) {
		engine_set(engine, object, key, value);
	} else if (engine_is_array(before)) {
		engine_set_index(engine, before, engine_array_length(before), value);
	} else {
		engine_value *both[] = {before, value};
		engine_set(engine, object, key, engine_array(engine, both, 2));
	}
}

/* Without a prototype, so that it has no attributes but the name's. */
static engine_value *name_object(struct engine *engine, const X509_NAME *name)
{
	engine_value *object = engine_object(engine);
	engine_set_prototype(engine, object, engine_null(engine));
	for (int i = 0; i < X509_NAME_entry_count(name); i++) {
		const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
		const ASN1_OBJECT *type = X509_NAME_ENTRY_get_object(entry);
		char number[128];
		int nid = OBJ_obj2nid(type);
		const char *key = nid == NID_undef ? NULL : OBJ_nid2sn(nid);
		if (!key) {
			OBJ_obj2txt(number, sizeof number, type, 0);
			key = number;
		}
		unsigned char *value = NULL;
		int length = ASN1_STRING_to_UTF8(&value, X509_NAME_ENTRY_get_data(entry));
		if (length >= 0)
			add_attribute(engine, object, key,
				engine_string_utf8(engine, (char *)value, (size_t)length));
		OPENSSL_free(value);
	}
	return object;
}

/* ---- keys ---- */

/* An undefined member is one as well, as in Node. */
static void set(struct engine *engine, engine_value *object, const char *key, engine_value *value)
{
	engine_set(engine, object, key, value ? value : engine_undefined(engine));
}

/* What Node shows of RSA and EC keys; members that a key has not stay NULL. */
struct key_members {
	engine_value *modulus, *exponent, *pubkey, *bits, *asn1_curve, *nist_curve;
};

static engine_value *hex_of(struct engine *engine, const BIGNUM *number, const char *prefix)
{
	BIO *bio = number ? BIO_new(BIO_s_mem()) : NULL;
	engine_value *text = NULL;
	if (bio && BIO_puts(bio, prefix) >= 0 && BN_print(bio, number) == 1)
		text = crypto_bio_string(engine, bio);
	BIO_free(bio);
	return text;
}

static void rsa_members(struct engine *engine, EVP_PKEY *key, struct key_members *members)
{
	BIGNUM *modulus = NULL, *exponent = NULL;
	unsigned char *der = NULL;
	EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &modulus);
	EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent);
	members->modulus = hex_of(engine, modulus, "");
	members->exponent = hex_of(engine, exponent, "0x");
	members->bits = engine_int32(engine, EVP_PKEY_get_bits(key));
	BN_free(modulus);
	BN_free(exponent);
	const int size = i2d_PUBKEY(key, &der);
	if (size > 0)
		members->pubkey = engine_bytes_copy(engine, der, (size_t)size);
	OPENSSL_free(der);
}

static void ec_members(struct engine *engine, EVP_PKEY *key, struct key_members *members)
{
	unsigned char point[2 * 128 + 1];
	char group[64];
	size_t length;
	if (EVP_PKEY_get_octet_string_param(
		    key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &length) == 1)
		members->pubkey = engine_bytes_copy(engine, point, length);
	members->bits = engine_int32(engine, EVP_PKEY_get_bits(key));
	const int nid = EVP_PKEY_get_group_name(key, group, sizeof group, &length) == 1
				? OBJ_txt2nid(group)
				: NID_undef;
	if (nid == NID_undef)
		return;
	const char *nist = EC_curve_nid2nist(nid);
	members->asn1_curve = engine_string(engine, OBJ_nid2sn(nid));
	members->nist_curve = nist ? engine_string(engine, nist) : NULL;
}

static void read_key(struct engine *engine, X509 *certificate, struct key_members *members)
{
	EVP_PKEY *key = X509_get0_pubkey(certificate);
	if (!key)
		return;
	if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS"))
		rsa_members(engine, key, members);
	else if (EVP_PKEY_is_a(key, "EC"))
		ec_members(engine, key, members);
}

/* ---- all of it ---- */

static engine_value *raw(struct engine *engine, X509 *certificate)
{
	unsigned char *der = NULL;
	const int size = i2d_X509(certificate, &der);
	engine_value *bytes = size > 0 ? engine_bytes_copy(engine, der, (size_t)size) : NULL;
	OPENSSL_free(der);
	return bytes;
}

engine_value *tls_certificate_object(struct engine *engine, X509 *certificate)
{
	struct key_members key = {0};
	read_key(engine, certificate, &key);
	const struct {
		const char *name;
		engine_value *value;
	} members[] = {
		{"subject", name_object(engine, X509_get_subject_name(certificate))},
		{"issuer", name_object(engine, X509_get_issuer_name(certificate))},
		{"subjectaltname", crypto_x509_alt_names(engine, certificate)},
		{"infoAccess", crypto_x509_info_access(engine, certificate)},
		{"ca", engine_bool(engine, X509_check_ca(certificate) == 1)},
		{"modulus", key.modulus},
		{"exponent", key.exponent},
		{"pubkey", key.pubkey},
		{"bits", key.bits},
		{"valid_from", crypto_x509_time(engine, X509_get0_notBefore(certificate))},
		{"valid_to", crypto_x509_time(engine, X509_get0_notAfter(certificate))},
		{"fingerprint", crypto_x509_fingerprint(engine, certificate, EVP_sha1())},
		{"fingerprint256", crypto_x509_fingerprint(engine, certificate, EVP_sha256())},
		{"fingerprint512", crypto_x509_fingerprint(engine, certificate, EVP_sha512())},
		{"ext_key_usage", crypto_x509_purposes(engine, certificate)},
		{"serialNumber", crypto_x509_serial_number(engine, certificate)},
		{"raw", raw(engine, certificate)},
		{"asn1Curve", key.asn1_curve},
		{"nistCurve", key.nist_curve},
	};
	engine_value *object = engine_object(engine);
	for (size_t i = 0; i < ARRAY_LENGTH(members); i++)
		set(engine, object, members[i].name, members[i].value);
	ERR_clear_error();
	return object;
}
