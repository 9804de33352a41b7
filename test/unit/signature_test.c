/* Signatures of releases: one way to write them, and nothing that is altered passes. */
#include "deploy/signature.h"

#include "common/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define RELEASE "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char folder[64], private_key[96], public_key[128], base64[SIGNATURE_KEY_TEXT_SIZE];

static int set_up(void **unused)
{
	unsigned char key[SIGNATURE_KEY_SIZE];
	(void)unused;
	snprintf(folder, sizeof folder, "/tmp/signature_test.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(private_key, sizeof private_key, "%s/key", folder);
	snprintf(public_key, sizeof public_key, "%s/key.pub", folder);
	if (signature_key_generate(private_key, key, NULL) < 0)
		return -1;
	signature_key_print(key, base64);
	return 0;
}

static int tear_down(void **unused)
{
	char command[128];
	(void)unused;
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

static void sign(const char *tenant, char text[SIGNATURE_TEXT_MAX])
{
	struct signature signature;
	struct error error = {0};
	if (signature_make(private_key, RELEASE, tenant, &signature, &error) < 0)
		fail_msg("%s", error.message);
	signature_print(&signature, text);
}

/* What signature_check says of TEXT; "" when it is good. */
static const char *check(const char *text, const char *key, const char *tenant)
{
	static struct error error;
	error = (struct error){0};
	int result = signature_check(text, &key, 1, RELEASE, tenant, NULL, &error);
	assert_int_equal(result, -error.code);
	return error.message;
}

static void what_is_signed_passes(void **unused)
{
	char text[SIGNATURE_TEXT_MAX], again[SIGNATURE_TEXT_MAX], key[SIGNATURE_KEY_TEXT_SIZE];
	struct signature signature;
	const char *keys[] = {public_key};
	(void)unused;
	sign("shop", text);
	assert_int_equal(signature_parse(text, strlen(text), &signature, NULL), 0);
	signature_print(&signature, again);
	assert_string_equal(text, again);
	assert_string_equal(signature.tenant, "shop");
	assert_string_equal(check(text, base64, "shop"), "");
	assert_int_equal(signature_check(text, keys, 1, RELEASE, "shop", key, NULL), 0);
	assert_string_equal(key, base64);
	sign(NULL, text);
	assert_string_equal(check(text, base64, "anybody"), "");
}

static void every_altered_byte_is_refused(void **unused)
{
	char text[SIGNATURE_TEXT_MAX];
	(void)unused;
	sign("shop", text);
	for (size_t i = 0; text[i]; i++) {
		const char was = text[i];
		for (int bit = 0; bit < 8; bit++) {
			text[i] = (char)(was ^ (1 << bit));
			assert_string_not_equal(check(text, base64, "shop"), "");
		}
		text[i] = was;
	}
	assert_string_equal(check(text, base64, "shop"), "");
}

static void it_says_what_is_wrong(void **unused)
{
	char text[SIGNATURE_TEXT_MAX], other[SIGNATURE_KEY_TEXT_SIZE] = {0};
	const char *const keys[] = {base64};
	struct error error = {0};
	(void)unused;
	sign("shop", text);
	assert_non_null(strstr(check(text, base64, "blog"), "is signed for the tenant shop"));
	memset(other, 'A', 43);
	other[43] = '=';
	assert_non_null(strstr(check(text, other, "shop"), "does not name"));
	assert_int_equal(signature_check(text, keys, 1,
				 "ff23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
				 "shop", NULL, &error),
		-EKEYREJECTED);
	assert_non_null(strstr(error.message, "it was altered after it was signed"));
	assert_non_null(strstr(check("", base64, "shop"), "line 1 of the signature"));
	assert_non_null(strstr(check(text, "/nowhere/key.pub", "shop"), "signedBy/0: cannot open"));
}

static void a_signature_is_written_in_one_way(void **unused)
{
	char text[SIGNATURE_TEXT_MAX], changed[2 * SIGNATURE_TEXT_MAX];
	struct signature signature;
	(void)unused;
	sign(NULL, text);
	for (size_t length = 0; length < strlen(text); length++)
		assert_int_equal(signature_parse(text, length, &signature, NULL), -EINVAL);
	static const char *const extra[] = {"\n", " ", "x", "\r\n", "tenant -\n"};
	for (size_t i = 0; i < ARRAY_LENGTH(extra); i++) {
		snprintf(changed, sizeof changed, "%s%s", text, extra[i]);
		assert_int_equal(
			signature_parse(changed, strlen(changed), &signature, NULL), -EINVAL);
		snprintf(changed, sizeof changed, "%s%s", extra[i], text);
		assert_int_equal(
			signature_parse(changed, strlen(changed), &signature, NULL), -EINVAL);
	}
	/* A NUL in the middle of a line. */
	memcpy(changed, text, strlen(text) + 1);
	*strstr(changed, "tenant -") = '\0';
	assert_int_equal(signature_parse(changed, strlen(text), &signature, NULL), -EINVAL);
}

static void base64_is_canonical(void **unused)
{
	unsigned char bytes[SIGNATURE_KEY_SIZE];
	char key[SIGNATURE_KEY_TEXT_SIZE];
	(void)unused;
	memset(key, 'A', 43);
	memcpy(key + 43, "=", 2);
	assert_int_equal(signature_base64(key, 44, bytes, sizeof bytes), 0);
	key[42] = 'B'; /* a bit that belongs to no byte */
	assert_int_equal(signature_base64(key, 44, bytes, sizeof bytes), -EINVAL);
	key[42] = 'A';
	key[0] = ' ';
	assert_int_equal(signature_base64(key, 44, bytes, sizeof bytes), -EINVAL);
	key[0] = '-';
	assert_int_equal(signature_base64(key, 44, bytes, sizeof bytes), -EINVAL);
	assert_int_equal(signature_base64("AAAA", 4, bytes, sizeof bytes), -EINVAL);
	/* One that looks like a path. */
	key[0] = '/';
	assert_int_equal(signature_key_read(key, bytes, NULL), 0);
	assert_int_equal(bytes[0], 0xFC);
}

static void keys_are_looked_at(void **unused)
{
	unsigned char key[SIGNATURE_KEY_SIZE];
	struct signature signature;
	struct error error = {0};
	struct stat status;
	char path[128];
	(void)unused;
	assert_int_equal(stat(private_key, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(signature_key_generate(private_key, key, &error), -EEXIST);
	/* A private key is no public one, nor the other way round. */
	assert_int_equal(signature_key_read(private_key, key, &error), -EINVAL);
	assert_int_equal(chmod(public_key, 0600), 0);
	assert_int_equal(signature_make(public_key, RELEASE, NULL, &signature, &error), -EINVAL);
	assert_int_equal(chmod(private_key, 0640), 0);
	assert_int_equal(signature_make(private_key, RELEASE, NULL, &signature, &error), -EPERM);
	assert_int_equal(chmod(private_key, 0600), 0);
	assert_int_equal(chmod(public_key, 0664), 0);
	assert_int_equal(signature_key_read(public_key, key, &error), -EPERM);
	assert_int_equal(chmod(public_key, 0644), 0);
	assert_int_equal(chown(public_key, 12345, 0), 0);
	assert_int_equal(signature_key_read(public_key, key, &error), -EPERM);
	assert_int_equal(chown(public_key, 0, 0), 0);
	assert_int_equal(signature_key_read(public_key, key, &error), 0);
	snprintf(path, sizeof path, "%s/fifo", folder);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(signature_key_read(path, key, &error), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_signed_passes),
		cmocka_unit_test(every_altered_byte_is_refused),
		cmocka_unit_test(it_says_what_is_wrong),
		cmocka_unit_test(a_signature_is_written_in_one_way),
		cmocka_unit_test(base64_is_canonical),
		cmocka_unit_test(keys_are_looked_at),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
