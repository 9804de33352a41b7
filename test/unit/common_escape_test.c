#include "common/cleanup.h"
#include "common/escape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void check(const char *source, size_t length, int keep_tab, const char *expected)
{
	char target[256];
	size_t got = escape_line(target, sizeof target, source, length, keep_tab);
	assert_string_equal(target, expected);
	assert_int_equal(got, strlen(expected));
}

static void printable_text_stays_as_it_is(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "hello, world", "na\xc3\xafve",
		"\xe2\x82\xac \xf0\x9f\x98\x80", "a\"b'c%s", "\xef\xbf\xbd", "\xf4\x8f\xbf\xbf"};
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		check(texts[i], strlen(texts[i]), 0, texts[i]);
}

static void what_controls_a_terminal_is_escaped(void **state)
{
	(void)state;
	check("\x1b[31mred\x1b[0m", 12, 0, "\\x1b[31mred\\x1b[0m");
	check("a\nb\rc", 5, 0, "a\\x0ab\\x0dc");
	check("a\0b", 3, 0, "a\\x00b");
	check("\x7f", 1, 0, "\\x7f");
	check("\xc2\x9b"
	      "31m",
		5, 0, "\\u{9b}31m");              /* C1: CSI in one character */
	check("\xe2\x80\xae", 3, 0, "\\u{202e}"); /* right-to-left override */
	check("\xe2\x81\xa6\xe2\x81\xa9", 6, 0, "\\u{2066}\\u{2069}");
	check("\xe2\x80\xa8\xe2\x80\xa9", 6, 0, "\\u{2028}\\u{2029}");
	check("\xd8\x9c\xe2\x80\x8e\xe2\x80\x8f", 8, 0, "\\u{61c}\\u{200e}\\u{200f}");
	check("\xef\xbb\xbf", 3, 0, "\\u{feff}");
	check("a\\x41", 5, 0, "a\\\\x41");
}

static void a_tab_stays_when_it_may(void **state)
{
	(void)state;
	check("a\tb", 3, 1, "a\tb");
	check("a\tb", 3, 0, "a\\x09b");
}

static void bytes_that_are_no_utf8_are_escaped_one_by_one(void **state)
{
	(void)state;
	check("\xff\xfe", 2, 0, "\\xff\\xfe");
	check("\x80", 1, 0, "\\x80");
	check("\xc0\xaf", 2, 0, "\\xc0\\xaf");          /* overlong / */
	check("\xe0\x80\xaf", 3, 0, "\\xe0\\x80\\xaf"); /* overlong / */
	check("\xf0\x80\x80\xaf", 4, 0, "\\xf0\\x80\\x80\\xaf");
	check("\xed\xa0\x80", 3, 0, "\\xed\\xa0\\x80");          /* a surrogate */
	check("\xf4\x90\x80\x80", 4, 0, "\\xf4\\x90\\x80\\x80"); /* beyond U+10FFFF */
	check("\xe2\x82", 2, 0, "\\xe2\\x82");                   /* cut off */
	check("\xe2\x82"
	      "a",
		3, 0, "\\xe2\\x82a");
	check("\xf0\x9f\x98", 3, 0, "\\xf0\\x9f\\x98");
}

static void it_is_cut_at_a_whole_escape(void **state)
{
	(void)state;
	static const char source[] = "a\x1b\xe2\x82\xac\xe2\x80\xae.";
	static const char whole[] = "a\\x1b\xe2\x82\xac\\u{202e}.";
	static const size_t ends[] = {0, 1, 5, 8, 16, 17};
	for (size_t size = 1; size <= sizeof whole; size++) {
		char target[64];
		memset(target, 'X', sizeof target);
		size_t length = escape_line(target, size, source, sizeof source - 1, 0);
		size_t expected = 0;
		for (size_t i = 0; i < ARRAY_LENGTH(ends); i++)
			if (ends[i] < size)
				expected = ends[i];
		assert_int_equal(length, expected);
		assert_memory_equal(target, whole, length);
		assert_int_equal(target[length], '\0');
		assert_int_equal(target[size], 'X');
	}
	char untouched = 'X';
	assert_int_equal(escape_line(&untouched, 0, "a", 1, 0), 0);
	assert_int_equal(untouched, 'X');
}

static void several_can_stand_in_one_line_of_the_log(void **state)
{
	(void)state;
	const char *a = escape_for_log("a\n"), *b = escape_for_log("b\x1b");
	const char *c = escape_for_log("c"), *d = escape_for_log("d");
	assert_string_equal(a, "a\\x0a");
	assert_string_equal(b, "b\\x1b");
	assert_string_equal(c, "c");
	assert_string_equal(d, "d");
}

/* Or text could end the value that it stands in, and write fields of its own. */
static void a_value_of_the_log_cannot_be_ended_early(void **state)
{
	char longest[600];
	(void)state;
	assert_string_equal(escape_for_log("a\" b=\"c\\\""), "a\\\" b=\\\"c\\\\\\\"");
	memset(longest, '"', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	const char *escaped = escape_for_log(longest);
	assert_uint_in_range(strlen(escaped), 480, 511);
	assert_int_equal(strlen(escaped) % 2, 0);
	assert_int_equal(escaped[strlen(escaped) - 1], '"');
}

/* Whatever goes in: what comes out holds nothing dangerous. */
static void nothing_dangerous_comes_out(void **state)
{
	(void)state;
	uint64_t seed = 88172645463325252u;
	for (int round = 0; round < 20000; round++) {
		char source[24], target[sizeof source * 10 + 1];
		for (size_t i = 0; i < sizeof source; i++) {
			seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
			source[i] = (char)(seed % 3 ? seed >> 32 : 0xe2 + seed % 4);
		}
		size_t length = escape_line(target, sizeof target, source, sizeof source, 0);
		assert_int_equal(strlen(target), length);
		for (size_t i = 0; i < length; i++) {
			unsigned char byte = (unsigned char)target[i];
			assert_true(byte >= 0x20 && byte != 0x7f);
			assert_false(byte == 0xc2 && (unsigned char)target[i + 1] < 0xa0);
			assert_false(memcmp(target + i, "\xe2\x80\xae", 3) == 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(printable_text_stays_as_it_is),
		cmocka_unit_test(what_controls_a_terminal_is_escaped),
		cmocka_unit_test(a_tab_stays_when_it_may),
		cmocka_unit_test(bytes_that_are_no_utf8_are_escaped_one_by_one),
		cmocka_unit_test(it_is_cut_at_a_whole_escape),
		cmocka_unit_test(several_can_stand_in_one_line_of_the_log),
		cmocka_unit_test(a_value_of_the_log_cannot_be_ended_early),
		cmocka_unit_test(nothing_dangerous_comes_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
