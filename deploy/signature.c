#include "deploy/signature.h"

#include "common/cleanup.h"
#include "common/escape.h"
#include "policy/policy.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <string.h>
#include <time.h>

#define FIRST_LINE "tenantd-signature-1"
#define BASE64_MAX 89 /* of SIGNATURE_BYTES, NUL included */

/* ---- the text ---- */

/* What is signed: all lines but the last. */
static size_t print_signed(const struct signature *signature, char text[SIGNATURE_TEXT_MAX])
{
	char key[SIGNATURE_KEY_TEXT_SIZE];
	signature_key_print(signature->key, key);
	return (size_t)snprintf(text, SIGNATURE_TEXT_MAX,
		FIRST_LINE "\nrelease %s\ntenant %s\ntime %s\nkey %s\n", signature->release,
		signature->tenant[0] ? signature->tenant : "-", signature->time, key);
}

void signature_print(const struct signature *signature, char ret_text[SIGNATURE_TEXT_MAX])
{
	unsigned char encoded[BASE64_MAX];
	size_t length = print_signed(signature, ret_text);
	EVP_EncodeBlock(encoded, signature->bytes, SIGNATURE_BYTES);
	snprintf(ret_text + length, SIGNATURE_TEXT_MAX - length, "signature %s\n",
		(const char *)encoded);
}

struct reader {
	const char *next, *end;
	int line;
	struct error *error;
};

static int malformed(const struct reader *reader, const char *what)
{
	return error_set(reader->error, EINVAL, "line %d of the signature: %s", reader->line, what);
}

/* The next line, which must begin with WORD and a space; what comes after that. */
static const char *read_line(
	struct reader *reader, const char *word, size_t *ret_length, const char *expected)
{
	const size_t left = (size_t)(reader->end - reader->next), skip = strlen(word);
	const char *end = left ? memchr(reader->next, '\n', left) : NULL;
	const char *value = reader->next + skip;
	reader->line++;
	if (end == NULL || end < value || memcmp(reader->next, word, skip) != 0) {
		malformed(reader, expected);
		return NULL;
	}
	reader->next = end + 1;
	*ret_length = (size_t)(end - value);
	return value;
}

static int read_release(struct reader *reader, struct signature *signature)
{
	size_t length;
	const char *value = read_line(
		reader, "release ", &length, "expected \"release \" and the id of a release");
	if (value == NULL)
		return -EINVAL;
	if (length != STORE_ID_LENGTH)
		return malformed(reader, "the id of a release has 64 hexadecimal digits");
	memcpy(signature->release, value, length);
	return store_id_valid(signature->release)
		       ? 0
		       : malformed(reader, "the id of a release has 64 hexadecimal digits");
}

static int read_tenant(struct reader *reader, struct signature *signature)
{
	size_t length;
	const char *value = read_line(
		reader, "tenant ", &length, "expected \"tenant \" and the name of one, or -");
	if (value == NULL)
		return -EINVAL;
	if (length == 1 && *value == '-')
		return 0;
	if (length >= sizeof signature->tenant)
		return malformed(reader, "the tenant's name is too long");
	memcpy(signature->tenant, value, length);
	return strlen(signature->tenant) == length &&
			       policy_check_name(signature->tenant, NULL) == 0
		       ? 0
		       : malformed(reader, "that is no tenant's name");
}

static int read_time(struct reader *reader, struct signature *signature)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:ddZ";
	size_t length;
	const char *value = read_line(reader, "time ", &length, "expected \"time \" and a time");
	if (value == NULL)
		return -EINVAL;
	bool fits = length == sizeof shape - 1;
	for (size_t i = 0; fits && i < length; i++)
		fits = shape[i] == 'd' ? value[i] >= '0' && value[i] <= '9' : value[i] == shape[i];
	if (!fits)
		return malformed(reader, "a time is written as 2026-11-21T17:00:00Z");
	memcpy(signature->time, value, length);
	return 0;
}

static int read_base64(struct reader *reader, const char *word, unsigned char *target, size_t size,
	const char *expected)
{
	size_t length;
	const char *value = read_line(reader, word, &length, expected);
	if (value == NULL)
		return -EINVAL;
	return signature_base64(value, length, target, size) < 0 ? malformed(reader, expected) : 0;
}

int signature_parse(
	const char *text, size_t length, struct signature *ret_signature, struct error *error)
{
	struct signature signature = {0};
	struct reader reader = {.next = text, .end = text + length, .error = error};
	size_t rest;
	if (length >= SIGNATURE_TEXT_MAX)
		return error_set(error, EINVAL, "the signature is longer than %d bytes",
			SIGNATURE_TEXT_MAX - 1);
	const char *after = read_line(&reader, FIRST_LINE, &rest, "expected " FIRST_LINE);
	int result = after == NULL ? -EINVAL : 0;
	if (result == 0 && rest > 0)
		result = malformed(&reader, "expected " FIRST_LINE);
	if (result == 0)
		result = read_release(&reader, &signature);
	if (result == 0)
		result = read_tenant(&reader, &signature);
	if (result == 0)
		result = read_time(&reader, &signature);
	if (result == 0)
		result = read_base64(&reader, "key ", signature.key, sizeof signature.key,
			"expected \"key \" and 32 bytes in base64");
	if (result == 0)
		result = read_base64(&reader, "signature ", signature.bytes, sizeof signature.bytes,
			"expected \"signature \" and 64 bytes in base64");
	reader.line++;
	if (result == 0 && reader.next != reader.end)
		result = malformed(&reader, "nothing comes after the signature");
	if (result == 0)
		*ret_signature = signature;
	return result;
}

/* ---- signing and verifying ---- */

int signature_verify(const struct signature *signature, struct error *error)
{
	char text[SIGNATURE_TEXT_MAX];
	size_t length = print_signed(signature, text);
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key(
		EVP_PKEY_ED25519, NULL, signature->key, sizeof signature->key);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = key && context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
		    EVP_DigestVerify(context, signature->bytes, sizeof signature->bytes,
			    (const unsigned char *)text, length) == 1;
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	return good ? 0
		    : error_set(error, EBADMSG,
			      "the signature does not fit what it signs: it was altered, or made "
			      "with another key");
}

/* Is KEY one of KEYS? 1, 0, or why one of them cannot be read. */
static int is_trusted(const unsigned char key[SIGNATURE_KEY_SIZE], const char *const *keys,
	size_t count, struct error *error)
{
	for (size_t i = 0; i < count; i++) {
		unsigned char one[SIGNATURE_KEY_SIZE];
		int result = signature_key_read(keys[i], one, error);
		if (result < 0)
			return error_prefix(error, "signedBy/%zu", i);
		if (memcmp(one, key, sizeof one) == 0)
			return 1;
	}
	return 0;
}

int signature_check(const char *text, const char *const *keys, size_t count, const char *release,
	const char *tenant, char ret_key[SIGNATURE_KEY_TEXT_SIZE], struct error *error)
{
	struct signature signature;
	char key[SIGNATURE_KEY_TEXT_SIZE];
	int result = signature_parse(text, strlen(text), &signature, error);
	if (result < 0) {
		error->code = EKEYREJECTED;
		return -EKEYREJECTED;
	}
	signature_key_print(signature.key, key);
	if (strcmp(signature.release, release) != 0)
		return error_set(error, EKEYREJECTED,
			"its signature is for the release %.12s, and this is %.12s: it was altered "
			"after it was signed, or the signature belongs to another",
			signature.release, release);
	if (signature.tenant[0] && strcmp(signature.tenant, tenant) != 0)
		return error_set(error, EKEYREJECTED,
			"the release %.12s is signed for the tenant %s, not for %s", release,
			signature.tenant, tenant);
	result = is_trusted(signature.key, keys, count, error);
	if (result < 0)
		return result;
	if (result == 0)
		return error_set(error, EKEYREJECTED,
			"the release %.12s is signed by %s, which the policy's \"signedBy\" does "
			"not name",
			release, key);
	result = signature_verify(&signature, error);
	if (result < 0) {
		error->code = EKEYREJECTED;
		return -EKEYREJECTED;
	}
	if (ret_key)
		memcpy(ret_key, key, sizeof key);
	return 0;
}

static void now(char ret_text[SIGNATURE_TIME_SIZE])
{
	struct tm utc;
	time_t seconds = time(NULL);
	gmtime_r(&seconds, &utc);
	strftime(ret_text, SIGNATURE_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

int signature_make(const char *key_path, const char *release, const char *tenant,
	struct signature *ret_signature, struct error *error)
{
	struct signature signature = {0};
	char text[SIGNATURE_TEXT_MAX];
	size_t key_size = sizeof signature.key, size = sizeof signature.bytes;
	EVP_PKEY *key = signature_private_key_read(key_path, error);
	if (key == NULL)
		return -error->code;
	snprintf(signature.release, sizeof signature.release, "%s", release);
	snprintf(signature.tenant, sizeof signature.tenant, "%s", tenant ? tenant : "");
	now(signature.time);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = context && EVP_PKEY_get_raw_public_key(key, signature.key, &key_size) == 1 &&
		    key_size == sizeof signature.key;
	size_t length = print_signed(&signature, text);
	good = good && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
	       EVP_DigestSign(
		       context, signature.bytes, &size, (const unsigned char *)text, length) == 1 &&
	       size == sizeof signature.bytes;
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	if (!good)
		return error_set(error, EIO, "OpenSSL could not sign");
	*ret_signature = signature;
	return 0;
}
