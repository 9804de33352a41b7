#include "common/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void an_error_has_a_code_and_a_message(void **state)
{
	(void)state;
	struct error error = {0};
	assert_int_equal(error_set(&error, EINVAL, "cannot %s %d", "read", 7), -EINVAL);
	assert_int_equal(error.code, EINVAL);
	assert_string_equal(error.message, "cannot read 7");
	/* The sign of the code does not matter. */
	assert_int_equal(error_set(&error, -ENOENT, "x"), -ENOENT);
	assert_int_equal(error.code, ENOENT);
}

static void errno_is_explained(void **state)
{
	(void)state;
	struct error error = {0};
	assert_int_equal(error_errno(&error, -ENOENT, "cannot open %s", "x"), -ENOENT);
	assert_string_equal(error.message, "cannot open x: No such file or directory");
}

static void context_is_put_in_front(void **state)
{
	(void)state;
	struct error error = {0};
	error_set(&error, EACCES, "denied");
	assert_int_equal(error_prefix(&error, "tenant %s", "shop"), -EACCES);
	assert_string_equal(error.message, "tenant shop: denied");
}

static void nobody_has_to_listen(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, EINVAL, "x"), -EINVAL);
	assert_int_equal(error_errno(NULL, EIO, "x"), -EIO);
	assert_true(error_prefix(NULL, "x") < 0);
}

static void long_messages_are_cut(void **state)
{
	(void)state;
	struct error error = {0};
	char text[3000];
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	error_errno(&error, EIO, "%s", text);
	assert_int_equal(strlen(error.message), sizeof error.message - 1);
	error_prefix(&error, "%s", text);
	assert_int_equal(strlen(error.message), sizeof error.message - 1);
	assert_int_equal(error.code, EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_has_a_code_and_a_message),
		cmocka_unit_test(errno_is_explained),
		cmocka_unit_test(context_is_put_in_front),
		cmocka_unit_test(nobody_has_to_listen),
		cmocka_unit_test(long_messages_are_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
