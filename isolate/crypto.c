/* What all natives of node:crypto share: see crypto.h. */
#include "isolate/crypto.h"

#include "common/cleanup.h"
#include "isolate/runtime.h"
#include "isolate/tls_pipe.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <string.h>
#include <strings.h>

bool crypto_start(void)
{
	return tls_start();
}

/* ---- bytes ---- */

static bool throw_no_memory(struct engine *engine)
{
	engine_throw(engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED", "out of memory");
	return false;
}

static bool take_string(struct engine *engine, engine_value *value, struct crypto_bytes *ret)
{
	const size_t length = engine_string_utf8_length(engine, value);
	if (!crypto_bytes_new(ret, length))
		return throw_no_memory(engine);
	ret->length = engine_string_write_utf8(engine, value, (char *)ret->data, length, NULL);
	return true;
}

bool crypto_take_bytes(struct engine *engine, engine_value *value, enum crypto_take how,
	const char *name, struct crypto_bytes *ret)
{
	void *data;
	size_t length;
	*ret = (struct crypto_bytes){0};
	if (engine_typeof(value) == ENGINE_STRING) {
		if (!take_string(engine, value, ret))
			return false;
	} else if (!engine_bytes_get(value, &data, &length)) {
		engine_throw(engine, "TypeError", "ERR_INVALID_ARG_TYPE",
			"The \"%s\" argument must be an instance of ArrayBuffer, Buffer, "
			"TypedArray, or DataView.",
			name);
		return false;
	} else {
		*ret = (struct crypto_bytes){.data = data, .length = length};
	}
	/* OpenSSL counts in int in many places. */
	if (ret->length > INT32_MAX) {
		crypto_bytes_clear(ret);
		engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE", "%s is too big", name);
		return false;
	}
	if (how == CRYPTO_COPY && !ret->owned && !crypto_bytes_dup(ret, ret->data, ret->length))
		return throw_no_memory(engine);
	return true;
}

bool crypto_take_optional(struct engine *engine, struct engine_call *call, int index,
	enum crypto_take how, const char *name, struct crypto_bytes *ret)
{
	engine_value *value = engine_call_argument(engine, call, index);
	const enum engine_type type = engine_typeof(value);
	*ret = (struct crypto_bytes){0};
	if (type == ENGINE_UNDEFINED || type == ENGINE_NULL)
		return true;
	return crypto_take_bytes(engine, value, how, name, ret);
}

char *crypto_take_text(struct engine *engine, struct engine_call *call, int index, const char *name)
{
	engine_value *value = engine_call_argument(engine, call, index);
	size_t length = 0;
	if (engine_typeof(value) != ENGINE_STRING) {
		engine_throw(engine, "TypeError", "ERR_INVALID_ARG_TYPE",
			"The \"%s\" argument must be of type string.", name);
		return NULL;
	}
	cleanup_free char *text = engine_to_utf8(engine, value, &length);
	if (!text) {
		throw_no_memory(engine);
		return NULL;
	}
	if (strlen(text) != length) {
		engine_throw(engine, "TypeError", "ERR_INVALID_ARG_VALUE",
			"The argument '%s' must be a string without null bytes.", name);
		return NULL;
	}
	return take_pointer(text);
}

engine_value *crypto_uint8array_of(struct engine *engine, struct crypto_bytes *bytes)
{
	struct crypto_bytes given = *bytes;
	if (!given.owned)
		return engine_bytes_copy(engine, given.data, given.length);
	*bytes = (struct crypto_bytes){0};
	return engine_bytes_take(engine, given.data, given.length);
}

/* FastBuffer.prototype, as the library made it. */
static _Thread_local engine_ref *buffer_prototype;
static _Thread_local engine_ref *decode_string;

void crypto_bind(void)
{
	struct engine_scope scope;
	engine_ref *buffer = runtime_hook("FastBuffer");
	engine_scope_open(runtime.engine, &scope);
	engine_value *prototype =
		engine_get(runtime.engine, engine_ref_get(runtime.engine, buffer), "prototype");
	if (!prototype)
		abort(); /* a build error: it is ours */
	buffer_prototype = engine_ref_new(runtime.engine, prototype);
	decode_string = runtime_hook("decodeString");
	engine_ref_free(buffer);
	engine_scope_close(runtime.engine, &scope);
}

engine_value *crypto_nodebuffer_of(struct engine *engine, struct crypto_bytes *bytes)
{
	engine_value *array = crypto_uint8array_of(engine, bytes);
	if (array)
		engine_set_prototype(engine, array, engine_ref_get(engine, buffer_prototype));
	return array;
}

engine_value *crypto_buffer_of(struct engine *engine, struct crypto_bytes *bytes)
{
	engine_value *array = crypto_uint8array_of(engine, bytes);
	return array ? engine_view_buffer(array) : NULL;
}

/* ---- errors ---- */

struct crypto_errors {
	size_t count;
	char texts[CRYPTO_ERRORS_MAX][CRYPTO_ERROR_TEXT]; /* the oldest first */
};

struct crypto_errors *crypto_errors_capture(const char *fallback)
{
	struct crypto_errors *errors = calloc(1, sizeof *errors);
	unsigned long number;
	while (errors && errors->count < CRYPTO_ERRORS_MAX && (number = ERR_get_error()) != 0)
		ERR_error_string_n(number, errors->texts[errors->count++], CRYPTO_ERROR_TEXT);
	ERR_clear_error();
	if (errors && errors->count == 0)
		snprintf(errors->texts[errors->count++], CRYPTO_ERROR_TEXT, "%s", fallback);
	return errors;
}

void crypto_errors_free(struct crypto_errors *errors)
{
	free(errors);
}

/* `opensslErrorStack`: all from index FIRST on, the newest first. */
static bool set_stack(struct engine *engine, engine_value *error,
	const struct crypto_errors *errors, size_t first)
{
	engine_value *items[CRYPTO_ERRORS_MAX];
	size_t count = 0;
	for (size_t i = errors->count; i > first; i--) {
		items[count] = engine_string(engine, errors->texts[i - 1]);
		if (!items[count++])
			return false;
	}
	return count == 0 || engine_set(engine, error, "opensslErrorStack",
				     engine_array(engine, items, count)) == 0;
}

engine_value *crypto_errors_value(struct engine *engine, const struct crypto_errors *errors)
{
	if (!errors)
		return engine_error_new(engine, "Error", NULL, "out of memory");
	engine_value *error = engine_error_new(engine, "Error", NULL, errors->texts[0]);
	return error && set_stack(engine, error, errors, 1) ? error : NULL;
}

/* The part of Node's error codes that names a library, as Node knows them. */
static const char *library_code(unsigned long number)
{
	static const struct {
		int library;
		const char *name;
	} names[] = {
		{ERR_LIB_SYS, "SYS_"},
		{ERR_LIB_BN, "BN_"},
		{ERR_LIB_RSA, "RSA_"},
		{ERR_LIB_DH, "DH_"},
		{ERR_LIB_EVP, "EVP_"},
		{ERR_LIB_BUF, "BUF_"},
		{ERR_LIB_OBJ, "OBJ_"},
		{ERR_LIB_PEM, "PEM_"},
		{ERR_LIB_DSA, "DSA_"},
		{ERR_LIB_X509, "X509_"},
		{ERR_LIB_ASN1, "ASN1_"},
		{ERR_LIB_CONF, "CONF_"},
		{ERR_LIB_CRYPTO, "CRYPTO_"},
		{ERR_LIB_EC, "EC_"},
		{ERR_LIB_SSL, "SSL_"},
		{ERR_LIB_BIO, "BIO_"},
		{ERR_LIB_PKCS7, "PKCS7_"},
		{ERR_LIB_X509V3, "X509V3_"},
		{ERR_LIB_PKCS12, "PKCS12_"},
		{ERR_LIB_RAND, "RAND_"},
		{ERR_LIB_DSO, "DSO_"},
		{ERR_LIB_ENGINE, "ENGINE_"},
		{ERR_LIB_OCSP, "OCSP_"},
		{ERR_LIB_UI, "UI_"},
		{ERR_LIB_COMP, "COMP_"},
		{ERR_LIB_ECDSA, "ECDSA_"},
		{ERR_LIB_ECDH, "ECDH_"},
		{ERR_LIB_OSSL_STORE, "OSSL_STORE_"},
		{ERR_LIB_FIPS, "FIPS_"},
		{ERR_LIB_CMS, "CMS_"},
		{ERR_LIB_TS, "TS_"},
		{ERR_LIB_HMAC, "HMAC_"},
		{ERR_LIB_CT, "CT_"},
		{ERR_LIB_ASYNC, "ASYNC_"},
		{ERR_LIB_KDF, "KDF_"},
		{ERR_LIB_SM2, "SM2_"},
		{ERR_LIB_USER, "USER_"},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (names[i].library == ERR_GET_LIB(number))
			return names[i].name;
	return "";
}

/* "ERR_OSSL_EVP_UNSUPPORTED" of "unsupported" of EVP. */
static void code_of(unsigned long number, const char *reason, char *code, size_t size)
{
	const char *library = library_code(number);
	size_t used = (size_t)snprintf(
		code, size, "ERR_%s%s", strcmp(library, "SSL_") == 0 ? "" : "OSSL_", library);
	for (const char *c = reason; *c && used + 1 < size; c++) {
		const bool lower = *c >= 'a' && *c <= 'z';
		code[used++] = lower ? (char)(*c - 'a' + 'A') : *c == ' ' ? '_' : *c;
	}
	code[used] = '\0';
}

static bool decorate(struct engine *engine, engine_value *error, unsigned long number)
{
	char code[128];
	const char *library = ERR_lib_error_string(number);
	const char *reason = ERR_reason_error_string(number);
	if (library && engine_set(engine, error, "library", engine_string(engine, library)) < 0)
		return false;
	if (!reason)
		return true;
	code_of(number, reason, code, sizeof code);
	return engine_set(engine, error, "reason", engine_string(engine, reason)) == 0 &&
	       engine_set(engine, error, "code", engine_string(engine, code)) == 0;
}

engine_value *crypto_throw(struct engine *engine, const char *what)
{
	char message[CRYPTO_ERROR_TEXT];
	const unsigned long number = ERR_get_error();
	if (number != 0)
		ERR_error_string_n(number, message, sizeof message);
	struct crypto_errors *others = ERR_peek_error() ? crypto_errors_capture("") : NULL;
	engine_value *error = engine_error_new(engine, "Error", NULL, number != 0 ? message : what);
	bool good = error && (!others || set_stack(engine, error, others, 0)) &&
		    (number == 0 || decorate(engine, error, number));
	crypto_errors_free(others);
	return good ? engine_throw_value(engine, error) : NULL;
}

engine_value *crypto_throw_with_stack(struct engine *engine, const char *what)
{
	struct crypto_errors *errors = ERR_peek_error() ? crypto_errors_capture("") : NULL;
	engine_value *error = engine_error_new(engine, "Error", NULL, what);
	const bool good = error && (!errors || set_stack(engine, error, errors, 0));
	crypto_errors_free(errors);
	return good ? engine_throw_value(engine, error) : NULL;
}

/* ---- strings ---- */

enum text_encoding {
	TEXT_BUFFER,
	TEXT_HEX,
	TEXT_BASE64,
	TEXT_BASE64URL,
	TEXT_LATIN1,
	TEXT_ASCII,
	TEXT_UTF8,
	TEXT_UTF16
};

static enum text_encoding encoding_of(
	struct engine *engine, const engine_value *value, enum text_encoding otherwise)
{
	static const struct {
		const char *name;
		enum text_encoding encoding;
	} names[] = {
		{"hex", TEXT_HEX},
		{"buffer", TEXT_BUFFER},
		{"base64", TEXT_BASE64},
		{"base64url", TEXT_BASE64URL},
		{"latin1", TEXT_LATIN1},
		{"binary", TEXT_LATIN1},
		{"utf8", TEXT_UTF8},
		{"utf-8", TEXT_UTF8},
		{"ascii", TEXT_ASCII},
		{"ucs2", TEXT_UTF16},
		{"ucs-2", TEXT_UTF16},
		{"utf16le", TEXT_UTF16},
		{"utf-16le", TEXT_UTF16},
	};
	char name[16] = "";
	(void)engine;
	if (engine_typeof(value) != ENGINE_STRING)
		return otherwise;
	const size_t length = engine_string_length(value);
	if (length >= sizeof name || !engine_string_is_one_byte(value))
		return otherwise;
	engine_string_write_latin1(engine, value, name, length);
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (strcasecmp(names[i].name, name) == 0)
			return names[i].encoding;
	return otherwise;
}

static engine_value *hex_of(struct engine *engine, const struct crypto_bytes *bytes)
{
	static const char digits[] = "0123456789abcdef";
	char small[128];
	cleanup_free char *large =
		bytes->length > sizeof small / 2 ? malloc(2 * bytes->length) : NULL;
	char *text = large ? large : small;
	if (!large && bytes->length > sizeof small / 2)
		return throw_no_memory(engine), NULL;
	for (size_t i = 0; i < bytes->length; i++) {
		text[2 * i] = digits[bytes->data[i] >> 4];
		text[2 * i + 1] = digits[bytes->data[i] & 15];
	}
	return engine_string_latin1(engine, text, 2 * bytes->length);
}

static engine_value *base64_of(
	struct engine *engine, const struct crypto_bytes *bytes, bool for_urls)
{
	cleanup_free char *text = malloc(bytes->length / 3 * 4 + 5);
	if (!text)
		return throw_no_memory(engine), NULL;
	int length = EVP_EncodeBlock((unsigned char *)text, bytes->data, (int)bytes->length);
	while (for_urls && length > 0 && text[length - 1] == '=')
		length--;
	for (int i = 0; for_urls && i < length; i++)
		text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
	return engine_string_latin1(engine, text, (size_t)length);
}

static engine_value *wide_of(struct engine *engine, const struct crypto_bytes *bytes)
{
	const size_t count = bytes->length / 2;
	cleanup_free uint16_t *units = malloc(count * 2 + 2);
	if (!units)
		return throw_no_memory(engine), NULL;
	for (size_t i = 0; i < count; i++)
		units[i] = (uint16_t)(bytes->data[2 * i] | bytes->data[2 * i + 1] << 8);
	return engine_string_utf16(engine, units, count);
}

static engine_value *ascii_of(struct engine *engine, const struct crypto_bytes *bytes)
{
	cleanup_free char *text = malloc(bytes->length + 1);
	if (!text)
		return throw_no_memory(engine), NULL;
	for (size_t i = 0; i < bytes->length; i++)
		text[i] = (char)(bytes->data[i] & 0x7f);
	return engine_string_latin1(engine, text, bytes->length);
}

engine_value *crypto_encoded_of(
	struct engine *engine, struct crypto_bytes *bytes, const engine_value *encoding)
{
	switch (encoding_of(engine, encoding, TEXT_BUFFER)) {
	case TEXT_HEX:
		return hex_of(engine, bytes);
	case TEXT_BASE64:
	case TEXT_BASE64URL:
		return base64_of(engine, bytes,
			encoding_of(engine, encoding, TEXT_BUFFER) == TEXT_BASE64URL);
	case TEXT_LATIN1:
		return engine_string_latin1(engine, (const char *)bytes->data, bytes->length);
	case TEXT_ASCII:
		return ascii_of(engine, bytes);
	case TEXT_UTF8:
		return engine_string_utf8(engine, (const char *)bytes->data, bytes->length);
	case TEXT_UTF16:
		return wide_of(engine, bytes);
	default:
		return crypto_nodebuffer_of(engine, bytes);
	}
}

/* Hexadecimal and base64 text: Buffer.from knows what Node lets through. */
static bool decode(struct engine *engine, engine_value *text, engine_value *encoding,
	const char *name, struct crypto_bytes *ret)
{
	engine_value *arguments[] = {text, encoding}, *decoded = NULL;
	return engine_call_function(engine, engine_ref_get(engine, decode_string),
		       engine_undefined(engine), arguments, 2, &decoded) == 0 &&
	       crypto_take_bytes(engine, decoded, CRYPTO_COPY, name, ret);
}

bool crypto_take_encoded(struct engine *engine, struct engine_call *call, int index,
	int encoding_index, const char *name, struct crypto_bytes *ret)
{
	engine_value *value = engine_call_argument(engine, call, index);
	engine_value *encoding = engine_call_argument(engine, call, encoding_index);
	if (engine_typeof(value) != ENGINE_STRING)
		return crypto_take_bytes(engine, value, CRYPTO_BORROW, name, ret);
	switch (encoding_of(engine, encoding, TEXT_UTF8)) {
	case TEXT_UTF8:
	case TEXT_BUFFER:
		return crypto_take_bytes(engine, value, CRYPTO_BORROW, name, ret);
	default:
		*ret = (struct crypto_bytes){0};
		return decode(engine, value, encoding, name, ret);
	}
}

/* ---- digests ---- */

#define DIGESTS_MAX 64 /* names that are remembered: programs may invent spellings */

struct digest {
	char name[32];
	EVP_MD *digest;
};
static _Thread_local struct digest *digests;
static _Thread_local size_t digest_count;

static int remember(const char *name, EVP_MD *digest)
{
	if (!digests)
		digests = calloc(DIGESTS_MAX, sizeof *digests);
	if (!digests || digest_count == DIGESTS_MAX || strlen(name) >= sizeof digests->name ||
		EVP_MD_up_ref(digest) != 1)
		return -1;
	struct digest *place = &digests[digest_count];
	snprintf(place->name, sizeof place->name, "%s", name);
	place->digest = digest;
	return (int)digest_count++;
}

/* The table of objects has all names ("RSA-SHA256"), the fetch only the true one. As in Node,
 * an unknown name leaves no error, and one that no provider has ("md4") is found, but cannot
 * be used. */
static EVP_MD *fetch(const char *name)
{
	if (strcmp(name, "dss1") == 0 || strcmp(name, "DSS1") == 0)
		name = "sha1"; /* Node still knows what DSA signed with */
	const EVP_MD *known = crypto_start() ? EVP_get_digestbyname(name) : NULL;
	const char *true_name = known ? EVP_MD_get0_name(known) : NULL;
	EVP_MD *digest = true_name ? EVP_MD_fetch(NULL, true_name, NULL) : NULL;
	return digest ? digest : (EVP_MD *)known; /* which is static */
}

int crypto_digest_number(const char *name, EVP_MD **ret_digest)
{
	*ret_digest = NULL;
	for (size_t i = 0; i < digest_count; i++)
		if (strcmp(digests[i].name, name) == 0) {
			*ret_digest = crypto_digest_numbered((int)i);
			return (int)i;
		}
	*ret_digest = fetch(name);
	return *ret_digest && EVP_MD_get0_provider(*ret_digest) ? remember(name, *ret_digest) : -1;
}

EVP_MD *crypto_digest_numbered(int number)
{
	if (number < 0 || (size_t)number >= digest_count)
		return NULL;
	EVP_MD *digest = digests[number].digest;
	return EVP_MD_up_ref(digest) == 1 ? digest : NULL;
}

EVP_MD *crypto_digest(const char *name)
{
	EVP_MD *digest;
	(void)crypto_digest_number(name, &digest);
	return digest;
}

EVP_MD *crypto_take_digest(struct engine *engine, struct engine_call *call, int index)
{
	cleanup_free char *name = crypto_take_text(engine, call, index, "digest");
	if (!name)
		return NULL;
	EVP_MD *digest = crypto_digest(name);
	if (!digest) {
		ERR_clear_error();
		engine_throw(engine, "TypeError", "ERR_CRYPTO_INVALID_DIGEST", "Invalid digest: %s",
			name);
	}
	return digest;
}

void crypto_unbind(void)
{
	for (size_t i = 0; i < digest_count; i++)
		EVP_MD_free(digests[i].digest);
	free(digests);
	digests = NULL;
	digest_count = 0;
	buffer_prototype = engine_ref_free(buffer_prototype);
}
