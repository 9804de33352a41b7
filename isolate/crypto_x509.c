/* X509Certificate of node:crypto, and its Certificate (SPKAC). */

#include "isolate/crypto_x509.h"
#include "common/cleanup.h"
#include "isolate/crypto_key.h"
#include "isolate/natives.h"
#include "isolate/tls.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

static size_t certificate_class; /* its row in the table of all classes, the same in all threads */

static void find_class(void)
{
	const struct engine_tables *tables = natives_tables();
	certificate_class = 0;
	while (strcmp(tables->classes[certificate_class].name, "X509Certificate") != 0)
		certificate_class++;
}

static void certificate_destroy(void *state)
{
	X509_free(state);
}

/* ---- reading ---- */

/* An encrypted one is refused: there is nobody to ask. */
static int no_passphrase(char *buffer, int size, int writing, void *data)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)data;
	return 0;
}

/* parseX509(bytes): PEM or DER */
static engine_value *parse(struct engine *engine, struct engine_call *call)
{
	cleanup_bytes struct crypto_bytes bytes = {0};
	if (!crypto_take_bytes(
		    engine, engine_call_argument(engine, call, 0), CRYPTO_COPY, "buffer", &bytes))
		return NULL;
	if (!crypto_start())
		return crypto_throw(engine, "OpenSSL does not start");
	ERR_clear_error();
	BIO *bio = BIO_new_mem_buf(bytes.data, (int)bytes.length);
	X509 *certificate = bio ? PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL) : NULL;
	if (bio && !certificate) {
		(void)BIO_reset(bio);
		certificate = d2i_X509_bio(bio, NULL);
	}
	BIO_free(bio);
	if (!certificate)
		return crypto_throw(engine, "not a certificate");
	ERR_clear_error();
	engine_value *object = engine_instance_new(engine, certificate_class, certificate);
	if (!object)
		X509_free(certificate);
	return object;
}

/* ---- texts ---- */

static engine_value *undefined_or(struct engine *engine, engine_value *value)
{
	ERR_clear_error();
	return value || engine_exception_pending(engine) ? value : engine_undefined(engine);
}

static engine_value *name_text(struct engine *engine, const X509_NAME *name)
{
	const unsigned long flags = ASN1_STRFLGS_ESC_2253 | ASN1_STRFLGS_ESC_CTRL |
				    ASN1_STRFLGS_UTF8_CONVERT | XN_FLAG_SEP_MULTILINE |
				    XN_FLAG_FN_SN;
	BIO *bio = BIO_new(BIO_s_mem());
	engine_value *text = NULL;
	if (bio && X509_NAME_print_ex(bio, name, 0, flags) > 0)
		text = crypto_bio_string(engine, bio);
	BIO_free(bio);
	return undefined_or(engine, text);
}

static engine_value *subject(struct engine *engine, struct engine_call *call)
{
	return name_text(engine, X509_get_subject_name(engine_call_state(call)));
}

static engine_value *issuer(struct engine *engine, struct engine_call *call)
{
	return name_text(engine, X509_get_issuer_name(engine_call_state(call)));
}

static engine_value *alt_names(struct engine *engine, struct engine_call *call)
{
	return undefined_or(engine, crypto_x509_alt_names(engine, engine_call_state(call)));
}

static engine_value *info_access(struct engine *engine, struct engine_call *call)
{
	return undefined_or(engine, crypto_x509_info_access(engine, engine_call_state(call)));
}

static engine_value *valid_from(struct engine *engine, struct engine_call *call)
{
	return crypto_x509_time(engine, X509_get0_notBefore(engine_call_state(call)));
}

static engine_value *valid_to(struct engine *engine, struct engine_call *call)
{
	return crypto_x509_time(engine, X509_get0_notAfter(engine_call_state(call)));
}

/* Milliseconds since 1970. */
static engine_value *milliseconds(struct engine *engine, const ASN1_TIME *time)
{
	struct tm parts;
	if (ASN1_TIME_to_tm(time, &parts) != 1)
		return engine_number(engine, __builtin_nan(""));
	return engine_number(engine, (double)timegm(&parts) * 1000);
}

static engine_value *valid_from_date(struct engine *engine, struct engine_call *call)
{
	return milliseconds(engine, X509_get0_notBefore(engine_call_state(call)));
}

static engine_value *valid_to_date(struct engine *engine, struct engine_call *call)
{
	return milliseconds(engine, X509_get0_notAfter(engine_call_state(call)));
}

static engine_value *signature_algorithm(struct engine *engine, struct engine_call *call)
{
	const int nid = X509_get_signature_nid(engine_call_state(call));
	const char *name = nid == NID_undef ? NULL : OBJ_nid2ln(nid);
	return name ? engine_string(engine, name) : NULL;
}

static engine_value *signature_algorithm_oid(struct engine *engine, struct engine_call *call)
{
	const X509_ALGOR *algorithm = NULL;
	const ASN1_OBJECT *object = NULL;
	char number[128];
	X509_get0_signature(NULL, &algorithm, engine_call_state(call));
	if (algorithm)
		X509_ALGOR_get0(&object, NULL, NULL, algorithm);
	const int length = object ? OBJ_obj2txt(number, sizeof number, object, 1) : -1;
	if (length < 0 || (size_t)length >= sizeof number)
		return NULL;
	return engine_string(engine, number);
}

static engine_value *fingerprint(struct engine *engine, struct engine_call *call)
{
	return crypto_x509_fingerprint(engine, engine_call_state(call), EVP_sha1());
}

static engine_value *fingerprint256(struct engine *engine, struct engine_call *call)
{
	return crypto_x509_fingerprint(engine, engine_call_state(call), EVP_sha256());
}

static engine_value *fingerprint512(struct engine *engine, struct engine_call *call)
{
	return crypto_x509_fingerprint(engine, engine_call_state(call), EVP_sha512());
}

static engine_value *key_usage(struct engine *engine, struct engine_call *call)
{
	return undefined_or(engine, crypto_x509_purposes(engine, engine_call_state(call)));
}

static engine_value *serial_number(struct engine *engine, struct engine_call *call)
{
	return undefined_or(engine, crypto_x509_serial_number(engine, engine_call_state(call)));
}

static engine_value *pem(struct engine *engine, struct engine_call *call)
{
	return tls_certificate_pem(engine, engine_call_state(call));
}

/* raw(): an ArrayBuffer of DER */
static engine_value *raw(struct engine *engine, struct engine_call *call)
{
	unsigned char *der = NULL;
	const int length = i2d_X509(engine_call_state(call), &der);
	struct crypto_bytes bytes = {der, length > 0 ? (size_t)length : 0, false};
	engine_value *result = length > 0 ? crypto_buffer_of(engine, &bytes) : NULL;
	OPENSSL_free(der);
	ERR_clear_error();
	return result;
}

static engine_value *to_legacy(struct engine *engine, struct engine_call *call)
{
	return tls_certificate_object(engine, engine_call_state(call));
}

/* ---- keys and other certificates ---- */

/* publicKey(): a KeyObjectHandle */
static engine_value *public_key(struct engine *engine, struct engine_call *call)
{
	ERR_clear_error();
	EVP_PKEY *pkey = X509_get_pubkey(engine_call_state(call));
	if (!pkey)
		return crypto_throw(engine, "the certificate has no public key");
	struct crypto_key *key = crypto_key_new(CRYPTO_KEY_PUBLIC, pkey);
	if (!key)
		return engine_throw(
			engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED", "out of memory");
	return crypto_key_handle(engine, key);
}

static engine_value *check_ca(struct engine *engine, struct engine_call *call)
{
	engine_value *result = engine_bool(engine, X509_check_ca(engine_call_state(call)) == 1);
	ERR_clear_error();
	return result;
}

/* checkIssued(certificate): whether that one issued this */
static engine_value *check_issued(struct engine *engine, struct engine_call *call)
{
	engine_value *value = engine_call_argument(engine, call, 0);
	X509 *other = engine_typeof(value) == ENGINE_OBJECT
			      ? engine_get_state(engine, value, certificate_class)
			      : NULL;
	if (!other)
		return engine_throw(
			engine, "TypeError", "ERR_INVALID_ARG_TYPE", "not a certificate");
	const bool good = X509_check_issued(other, engine_call_state(call)) == X509_V_OK;
	ERR_clear_error();
	return engine_bool(engine, good);
}

/* checkPrivateKey(key), verify(key) */
static engine_value *check_private_key(struct engine *engine, struct engine_call *call)
{
	const struct crypto_key *key = crypto_take_key(
		engine, engine_call_argument(engine, call, 0), CRYPTO_KEY_PRIVATE, "pkey");
	if (!key)
		return NULL;
	const bool good = X509_check_private_key(engine_call_state(call), key->pkey) == 1;
	ERR_clear_error();
	return engine_bool(engine, good);
}

static engine_value *verify(struct engine *engine, struct engine_call *call)
{
	const struct crypto_key *key = crypto_take_key(
		engine, engine_call_argument(engine, call, 0), CRYPTO_KEY_PUBLIC, "pkey");
	if (!key)
		return NULL;
	const bool good = X509_verify(engine_call_state(call), key->pkey) == 1;
	ERR_clear_error();
	return engine_bool(engine, good);
}

/* ---- names that it is for ---- */

/* RESULT as of X509_check_host(3): the name that matched, undefined when none did. */
static engine_value *match(
	struct engine *engine, struct engine_call *call, int result, const char *matched)
{
	ERR_clear_error();
	switch (result) {
	case 1:
		return matched ? engine_string_latin1(engine, matched, strlen(matched))
			       : engine_call_argument(engine, call, 0);
	case 0:
		return NULL;
	case -2:
		return engine_throw(engine, "TypeError", "ERR_INVALID_ARG_VALUE", "Invalid name");
	default:
		return engine_throw(
			engine, "Error", "ERR_CRYPTO_OPERATION_FAILED", "Operation failed");
	}
}

/* The first argument: NULL with an exception pending. */
static char *take_name(struct engine *engine, struct engine_call *call, size_t *ret_length)
{
	engine_value *value = engine_call_argument(engine, call, 0);
	if (engine_typeof(value) == ENGINE_STRING)
		return engine_to_utf8(engine, value, ret_length);
	engine_throw(engine, "TypeError", "ERR_INVALID_ARG_TYPE", "not a string");
	return NULL;
}

/* checkHost(name, flags) */
static engine_value *check_host(struct engine *engine, struct engine_call *call)
{
	size_t length = 0;
	char *matched = NULL;
	cleanup_free char *name = take_name(engine, call, &length);
	if (!name)
		return NULL;
	const int result = X509_check_host(engine_call_state(call), name, length,
		(unsigned)engine_argument_int32(call, 1), &matched);
	engine_value *value = match(engine, call, result, result == 1 ? matched : NULL);
	OPENSSL_free(matched);
	return value;
}

/* checkEmail(address, flags) */
static engine_value *check_email(struct engine *engine, struct engine_call *call)
{
	size_t length = 0;
	cleanup_free char *name = take_name(engine, call, &length);
	if (!name)
		return NULL;
	return match(engine, call,
		X509_check_email(engine_call_state(call), name, length,
			(unsigned)engine_argument_int32(call, 1)),
		NULL);
}

/* checkIP(address, flags) */
static engine_value *check_ip(struct engine *engine, struct engine_call *call)
{
	cleanup_free char *name = take_name(engine, call, NULL);
	if (!name)
		return NULL;
	return match(engine, call,
		X509_check_ip_asc(
			engine_call_state(call), name, (unsigned)engine_argument_int32(call, 1)),
		NULL);
}

/* getIssuerCert(): known of connections only, where node:tls has it */
static engine_value *get_issuer_cert(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	(void)call;
	return NULL;
}

/* copy(): another object of the same certificate */
static engine_value *copy(struct engine *engine, struct engine_call *call)
{
	X509 *certificate = engine_call_state(call);
	X509_up_ref(certificate);
	engine_value *object = engine_instance_new(engine, certificate_class, certificate);
	if (!object)
		X509_free(certificate);
	return object;
}

/* ---- SPKAC ---- */

/* The request that argument 0 is in base64; NULL, maybe with an exception pending. */
static NETSCAPE_SPKI *take_spkac(struct engine *engine, struct engine_call *call)
{
	cleanup_bytes struct crypto_bytes bytes = {0};
	if (!crypto_take_bytes(
		    engine, engine_call_argument(engine, call, 0), CRYPTO_COPY, "spkac", &bytes))
		return NULL;
	if (bytes.length == 0 || !crypto_start())
		return NULL;
	NETSCAPE_SPKI *spkac = NETSCAPE_SPKI_b64_decode((char *)bytes.data, (int)bytes.length);
	ERR_clear_error();
	return spkac;
}

static engine_value *empty_string(struct engine *engine)
{
	return engine_exception_pending(engine) ? NULL : engine_string(engine, "");
}

/* certVerifySpkac(spkac): "" for nothing at all */
static engine_value *verify_spkac(struct engine *engine, struct engine_call *call)
{
	size_t length;
	void *data;
	NETSCAPE_SPKI *spkac = take_spkac(engine, call);
	if (!spkac && engine_exception_pending(engine))
		return NULL;
	if (engine_bytes_get(engine_call_argument(engine, call, 0), &data, &length) && length == 0)
		return engine_string(engine, "");
	EVP_PKEY *key = spkac ? X509_PUBKEY_get(spkac->spkac->pubkey) : NULL;
	const bool good = key && NETSCAPE_SPKI_verify(spkac, key) > 0;
	EVP_PKEY_free(key);
	NETSCAPE_SPKI_free(spkac);
	ERR_clear_error();
	return engine_bool(engine, good);
}

/* certExportPublicKey(spkac): an ArrayBuffer of PEM, "" when there is none */
static engine_value *export_public_key(struct engine *engine, struct engine_call *call)
{
	NETSCAPE_SPKI *spkac = take_spkac(engine, call);
	EVP_PKEY *key = spkac ? NETSCAPE_SPKI_get_pubkey(spkac) : NULL;
	BIO *bio = key ? BIO_new(BIO_s_mem()) : NULL;
	engine_value *result = NULL;
	if (bio && PEM_write_bio_PUBKEY(bio, key) > 0) {
		char *data;
		const long length = BIO_get_mem_data(bio, &data);
		struct crypto_bytes bytes = {(unsigned char *)data, (size_t)length, false};
		result = crypto_buffer_of(engine, &bytes);
	} else {
		result = empty_string(engine);
	}
	BIO_free(bio);
	EVP_PKEY_free(key);
	NETSCAPE_SPKI_free(spkac);
	ERR_clear_error();
	return result;
}

/* certExportChallenge(spkac): an ArrayBuffer, "" when there is none */
static engine_value *export_challenge(struct engine *engine, struct engine_call *call)
{
	NETSCAPE_SPKI *spkac = take_spkac(engine, call);
	unsigned char *text = NULL;
	const int length = spkac ? ASN1_STRING_to_UTF8(&text, spkac->spkac->challenge) : -1;
	engine_value *result;
	if (length >= 0) {
		struct crypto_bytes bytes = {text, (size_t)length, false};
		result = crypto_buffer_of(engine, &bytes);
	} else {
		result = empty_string(engine);
	}
	OPENSSL_free(text);
	NETSCAPE_SPKI_free(spkac);
	ERR_clear_error();
	return result;
}

/* ---- the tables ---- */

static const struct engine_native certificate_methods[] = {
	{"subject", subject, 0},
	{"subjectAltName", alt_names, 0},
	{"infoAccess", info_access, 0},
	{"issuer", issuer, 0},
	{"validTo", valid_to, 0},
	{"validFrom", valid_from, 0},
	{"validToTime", valid_to_date, 0},
	{"validFromTime", valid_from_date, 0},
	{"signatureAlgorithm", signature_algorithm, 0},
	{"signatureAlgorithmOid", signature_algorithm_oid, 0},
	{"fingerprint", fingerprint, 0},
	{"fingerprint256", fingerprint256, 0},
	{"fingerprint512", fingerprint512, 0},
	{"keyUsage", key_usage, 0},
	{"serialNumber", serial_number, 0},
	{"pem", pem, 0},
	{"rawBuffer", raw, 0},
	{"publicKey", public_key, 0},
	{"checkCA", check_ca, 0},
	{"checkHost", check_host, 2},
	{"checkEmail", check_email, 2},
	{"checkIP", check_ip, 2},
	{"checkIssued", check_issued, 1},
	{"checkPrivateKey", check_private_key, 1},
	{"verify", verify, 1},
	{"legacy", to_legacy, 0},
	{"getIssuerCert", get_issuer_cert, 0},
	{"copy", copy, 0},
};

static const struct engine_class classes[] = {
	{
		.name = "X509Certificate",
		.methods = certificate_methods,
		.method_count = ARRAY_LENGTH(certificate_methods),
		.destroy = certificate_destroy,
	},
};

static const struct engine_native natives[] = {
	{"parseX509", parse, 1},
	{"certVerifySpkac", verify_spkac, 1},
	{"certExportPublicKey", export_public_key, 1},
	{"certExportChallenge", export_challenge, 1},
};

const struct native_module crypto_x509_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
	.bind = find_class,
};
