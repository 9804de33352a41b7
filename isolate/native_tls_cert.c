/* Certificates as node:tls shows them. */

#include "common/cleanup.h"
#include "isolate/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <string.h>

static engine_value *string_of_bio(struct engine *engine, BIO *bio)
{
	char *data;
	long length = BIO_get_mem_data(bio, &data);
	return engine_string_utf8(engine, data, length > 0 ? (size_t)length : 0);
}

engine_value *tls_certificate_pem(struct engine *engine, X509 *certificate)
{
	BIO *bio = BIO_new(BIO_s_mem());
	engine_value *text = NULL;
	if (bio && PEM_write_bio_X509(bio, certificate) == 1)
		text = string_of_bio(engine, bio);
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

/* LIST: an object without a prototype, made by the library. */
static void fill_name(struct engine *engine, engine_value *object, const X509_NAME *name)
{
	for (int i = 0; i < X509_NAME_entry_count(name); i++) {
		const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
		const ASN1_OBJECT *type = X509_NAME_ENTRY_get_object(entry);
		char number[128];
		int nid = OBJ_obj2nid(type);
		const char *key = nid == NID_undef ? NULL : OBJ_nid2sn(nid);
		if (!key) {
			OBJ_obj2txt(number, sizeof number, type, 1);
			key = number;
		}
		unsigned char *value = NULL;
		int length = ASN1_STRING_to_UTF8(&value, X509_NAME_ENTRY_get_data(entry));
		if (length >= 0)
			add_attribute(engine, object, key,
				engine_string_utf8(engine, (char *)value, (size_t)length));
		OPENSSL_free(value);
	}
}

/* ---- subjectaltname ---- */

/* A name that could be taken for more than one, or for another kind, is written as a JSON
 * string: the text must have one meaning (CVE-2021-44532). */
static bool is_plain(const unsigned char *data, int length)
{
	for (int i = 0; i < length; i++)
		if (data[i] == '"' || data[i] == '\\' || data[i] == ',' || data[i] == '\'' ||
			data[i] < ' ' || data[i] > '~')
			return false;
	return true;
}

static void write_value(BIO *bio, const char *prefix, const unsigned char *data, int length)
{
	BIO_printf(bio, "%s:", prefix);
	if (is_plain(data, length)) {
		BIO_write(bio, data, length);
		return;
	}
	BIO_puts(bio, "\"");
	for (int i = 0; i < length; i++) {
		if (data[i] == '"' || data[i] == '\\')
			BIO_printf(bio, "\\%c", data[i]);
		else if (data[i] < ' ' || data[i] > '~' || data[i] == ',' || data[i] == '\'')
			BIO_printf(bio, "\\u%04x", data[i]);
		else
			BIO_write(bio, data + i, 1);
	}
	BIO_puts(bio, "\"");
}

static void write_address(BIO *bio, const ASN1_OCTET_STRING *address)
{
	const unsigned char *data = ASN1_STRING_get0_data(address);
	int length = ASN1_STRING_length(address);
	BIO_puts(bio, "IP Address:");
	if (length == 4) {
		BIO_printf(bio, "%d.%d.%d.%d", data[0], data[1], data[2], data[3]);
	} else if (length == 16) {
		for (int i = 0; i < 16; i += 2)
			BIO_printf(bio, "%s%X", i ? ":" : "", data[i] << 8 | data[i + 1]);
	} else {
		BIO_printf(bio, "<invalid length=%d>", length);
	}
}

static void write_alt_name(BIO *bio, const GENERAL_NAME *name)
{
	char number[128];
	switch (name->type) {
	case GEN_DNS:
	case GEN_URI:
	case GEN_EMAIL:
		write_value(bio,
			name->type == GEN_DNS   ? "DNS"
			: name->type == GEN_URI ? "URI"
						: "email",
			ASN1_STRING_get0_data(name->d.ia5), ASN1_STRING_length(name->d.ia5));
		break;
	case GEN_IPADD:
		write_address(bio, name->d.iPAddress);
		break;
	case GEN_RID:
		OBJ_obj2txt(number, sizeof number, name->d.rid, 1);
		BIO_printf(bio, "Registered ID:%s", number);
		break;
	default:
		BIO_puts(bio, "othername:<unsupported>");
	}
}

static engine_value *alt_names(struct engine *engine, const X509 *certificate)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	BIO *bio = names ? BIO_new(BIO_s_mem()) : NULL;
	engine_value *text = NULL;
	for (int i = 0; bio && i < sk_GENERAL_NAME_num(names); i++) {
		if (i)
			BIO_puts(bio, ", ");
		write_alt_name(bio, sk_GENERAL_NAME_value(names, i));
	}
	if (bio)
		text = string_of_bio(engine, bio);
	BIO_free(bio);
	GENERAL_NAMES_free(names);
	return text;
}

/* ---- the rest ---- */

static void set(struct engine *engine, engine_value *object, const char *key, engine_value *value)
{
	if (value)
		engine_set(engine, object, key, value);
}

static engine_value *time_text(struct engine *engine, const ASN1_TIME *time)
{
	BIO *bio = BIO_new(BIO_s_mem());
	engine_value *text = NULL;
	if (bio && ASN1_TIME_print(bio, time) == 1)
		text = string_of_bio(engine, bio);
	BIO_free(bio);
	return text;
}

static engine_value *fingerprint(
	struct engine *engine, const X509 *certificate, const EVP_MD *digest)
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	char text[EVP_MAX_MD_SIZE * 3 + 1];
	unsigned length;
	if (X509_digest(certificate, digest, bytes, &length) != 1)
		return NULL;
	for (unsigned i = 0; i < length; i++)
		snprintf(text + (size_t)i * 3, 4, i + 1 < length ? "%02X:" : "%02X", bytes[i]);
	return engine_string(engine, text);
}

static engine_value *hex_of(struct engine *engine, const BIGNUM *number, const char *prefix)
{
	char *hex = number ? BN_bn2hex(number) : NULL;
	cleanup_free char *text = NULL;
	if (!hex || asprintf(&text, "%s%s", prefix, hex) < 0)
		text = NULL;
	OPENSSL_free(hex);
	return text ? engine_string(engine, text) : NULL;
}

static void set_key_members(struct engine *engine, engine_value *object, X509 *certificate)
{
	EVP_PKEY *key = X509_get0_pubkey(certificate);
	BIGNUM *modulus = NULL, *exponent = NULL;
	char group[64];
	size_t length;
	if (!key)
		return;
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
		EVP_PKEY_get_bn_param(key, "n", &modulus);
		EVP_PKEY_get_bn_param(key, "e", &exponent);
		set(engine, object, "modulus", hex_of(engine, modulus, ""));
		cleanup_free char *text = NULL;
		if (exponent && asprintf(&text, "0x%lx", (unsigned long)BN_get_word(exponent)) > 0)
			set(engine, object, "exponent", engine_string(engine, text));
	} else if (EVP_PKEY_get_group_name(key, group, sizeof group, &length) == 1) {
		set(engine, object, "asn1Curve", engine_string(engine, group));
	}
	BN_free(modulus);
	BN_free(exponent);
	set(engine, object, "bits", engine_int32(engine, EVP_PKEY_get_bits(key)));
	unsigned char *der = NULL;
	int size = i2d_PUBKEY(key, &der);
	if (size > 0)
		set(engine, object, "pubkey", engine_bytes_copy(engine, der, (size_t)size));
	OPENSSL_free(der);
}

static engine_value *key_usage(struct engine *engine, const X509 *certificate)
{
	STACK_OF(ASN1_OBJECT) *list = X509_get_ext_d2i(certificate, NID_ext_key_usage, NULL, NULL);
	engine_value *array = list ? engine_array(engine, NULL, 0) : NULL;
	for (int i = 0; array && i < sk_ASN1_OBJECT_num(list); i++) {
		char number[128];
		if (OBJ_obj2txt(number, sizeof number, sk_ASN1_OBJECT_value(list, i), 1) > 0)
			engine_set_index(engine, array, engine_array_length(array),
				engine_string(engine, number));
	}
	sk_ASN1_OBJECT_pop_free(list, ASN1_OBJECT_free);
	return array;
}

static engine_value *serial_number(struct engine *engine, X509 *certificate)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
	engine_value *text = hex_of(engine, number, "");
	BN_free(number);
	return text;
}

engine_value *tls_certificate_object(struct engine *engine, X509 *certificate)
{
	engine_value *object = engine_object(engine);
	engine_value *subject = engine_object(engine), *issuer = engine_object(engine);
	fill_name(engine, subject, X509_get_subject_name(certificate));
	fill_name(engine, issuer, X509_get_issuer_name(certificate));
	set(engine, object, "subject", subject);
	set(engine, object, "issuer", issuer);
	set(engine, object, "subjectaltname", alt_names(engine, certificate));
	set(engine, object, "ca", engine_bool(engine, X509_check_ca(certificate) == 1));
	set_key_members(engine, object, certificate);
	set(engine, object, "valid_from", time_text(engine, X509_get0_notBefore(certificate)));
	set(engine, object, "valid_to", time_text(engine, X509_get0_notAfter(certificate)));
	set(engine, object, "fingerprint", fingerprint(engine, certificate, EVP_sha1()));
	set(engine, object, "fingerprint256", fingerprint(engine, certificate, EVP_sha256()));
	set(engine, object, "fingerprint512", fingerprint(engine, certificate, EVP_sha512()));
	set(engine, object, "ext_key_usage", key_usage(engine, certificate));
	set(engine, object, "serialNumber", serial_number(engine, certificate));
	unsigned char *der = NULL;
	int size = i2d_X509(certificate, &der);
	if (size > 0)
		set(engine, object, "raw", engine_bytes_copy(engine, der, (size_t)size));
	OPENSSL_free(der);
	ERR_clear_error();
	return object;
}
