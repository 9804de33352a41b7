/* The places of values, and that the scanner and jansson read the same JSON. */
#include "common/cleanup.h"
#include "policy/places.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void pointer_and_place(const struct places *places, uint32_t place, const char *pointer,
	size_t line, size_t column)
{
	char text[256];
	size_t got_line, got_column;
	assert_int_equal(places_pointer(places, place, text, sizeof text), strlen(pointer));
	assert_string_equal(text, pointer);
	places_line_column(
		places->text, places->length, places->items[place].value, &got_line, &got_column);
	assert_int_equal(got_line, line);
	assert_int_equal(got_column, column);
}

static void every_value_has_its_pointer_line_and_column(void **state)
{
	(void)state;
	static const char text[] = "{\n"
				   "\t\"a\": [1, {\"x\": true}],\n"
				   "  \"k/e~y\\n\" : \"v\",\r\n"
				   "  \"\xc3\xa9\xf0\x9f\x98\x80\": null, \"\": {}\n"
				   "}";
	struct places places;
	struct places_error error;
	assert_int_equal(places_read(text, strlen(text), &places, &error), 0);
	assert_int_equal(places.count, 8);
	pointer_and_place(&places, 0, "", 1, 1);
	pointer_and_place(&places, 1, "/a", 2, 7);
	pointer_and_place(&places, 2, "/a/0", 2, 8);
	pointer_and_place(&places, 3, "/a/1", 2, 11);
	pointer_and_place(&places, 4, "/a/1/x", 2, 17);
	pointer_and_place(&places, 5, "/k~1e~0y\\x0a", 3, 15);
	/* Columns count characters: the key has two of them in six bytes. */
	pointer_and_place(&places, 6, "/\xc3\xa9\xf0\x9f\x98\x80", 4, 9);
	pointer_and_place(&places, 7, "/", 4, 19);
	places_clear(&places);
}

static void children_and_siblings_follow_the_text(void **state)
{
	(void)state;
	static const char text[] = "[[1,[2]],[],{\"a\":3},4]";
	struct places places;
	struct places_error error;
	assert_int_equal(places_read(text, strlen(text), &places, &error), 0);
	/* 0: all, 1: [1,[2]], 2: 1, 3: [2], 4: 2, 5: [], 6: {}, 7: 3, 8: 4 */
	assert_int_equal(places_child(&places, 0), 1);
	assert_int_equal(places_sibling(&places, 1), 5);
	assert_int_equal(places_child(&places, 1), 2);
	assert_int_equal(places_sibling(&places, 2), 3);
	assert_int_equal(places_sibling(&places, 3), 0);
	assert_int_equal(places_child(&places, 4), 0);
	assert_int_equal(places_child(&places, 5), 0);
	assert_int_equal(places_sibling(&places, 6), 8);
	assert_int_equal(places_sibling(&places, 7), 0);
	assert_int_equal(places_sibling(&places, 8), 0);
	assert_int_equal(places_sibling(&places, 0), 0);
	assert_int_equal(places_at(&places, 0), 0);
	assert_int_equal(places_at(&places, 4), 3);
	assert_int_equal(places_at(&places, 14), 7);
	assert_int_equal(places_at(&places, 1000), 8);
	places_clear(&places);
}

/* What JSON allows and what it does not, by both parsers. */
static void the_scanner_and_jansson_agree(void **state)
{
	(void)state;
	static const char *const texts[] = {"{}", "[]", "0", "-0", "-", "00", "-01", "1.", ".5",
		"1.5", "1e5", "1E+5", "1e", "1e-", "+1", "0x1", "1_000", "NaN", "Infinity", "true",
		"True", "tru", "truee", "true1", "null", "nul", "\"\"", "\"a", "\"\\", "\"\\\"",
		"\"\\x\"", "\"\\u12\"", "\"\\u12aF\"", "\"\t\"", "\"\x7f\"", "\"a\nb\"", "'a'",
		"[1,]", "[,]", "[1 2]", "[1", "[", "]", "{", "}", "{\"a\"}", "{\"a\":}",
		"{\"a\":1,}", "{\"a\" 1}", "{a:1}", "{1:1}", "{\"a\":1 \"b\":2}", "{\"a\":1]",
		"[1}", "1 1", "{} x", "[] []", "", " ", "\n[\n1\n,\n2\n]\n", "\v[]", "\f1",
		"// x\n1", "/* x */1", "# x\n1", "\xef\xbb\xbf{}", "[1]\x1f", "\xa0[]",
		"[[[[[[[[[[1]]]]]]]]]]"};
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		struct places places;
		struct places_error error;
		size_t length = strlen(texts[i]);
		int result = places_read(texts[i], length, &places, &error);
		json_t *value = json_loadb(texts[i], length, JSON_DECODE_ANY, NULL);
		if ((result == 0) != (value != NULL))
			fail_msg("%s: the scanner says %d, jansson %s", texts[i], result,
				value ? "yes" : "no");
		if (result < 0) {
			assert_true(error.offset <= length);
			assert_non_null(error.message);
		}
		json_decref(value);
		places_clear(&places);
	}
}

static void a_nul_byte_ends_nothing(void **state)
{
	(void)state;
	static const char *const texts[] = {"[1\0]", "\"a\0b\"", "\0", "[]\0"};
	static const size_t lengths[] = {4, 5, 1, 3};
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		struct places places;
		struct places_error error;
		assert_int_equal(places_read(texts[i], lengths[i], &places, &error), -EINVAL);
		places_clear(&places);
	}
}

static void nesting_has_a_limit(void **state)
{
	(void)state;
	char text[2 * (PLACES_DEPTH_MAX + 1)];
	for (size_t depth = PLACES_DEPTH_MAX; depth <= PLACES_DEPTH_MAX + 1; depth++) {
		struct places places;
		struct places_error error;
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		int result = places_read(text, 2 * depth, &places, &error);
		assert_int_equal(result, depth > PLACES_DEPTH_MAX ? -EINVAL : 0);
		if (result < 0)
			assert_int_equal(error.offset, PLACES_DEPTH_MAX);
		places_clear(&places);
	}
}

static void a_pointer_is_cut_where_the_room_ends(void **state)
{
	(void)state;
	static const char text[] = "{\"aaaaaaaaaa\": {\"bbbbbbbbbb\": [0, 1]}}";
	struct places places;
	struct places_error error;
	assert_int_equal(places_read(text, strlen(text), &places, &error), 0);
	static const char whole[] = "/aaaaaaaaaa/bbbbbbbbbb/1";
	for (size_t size = 1; size <= sizeof whole; size++) {
		char pointer[64];
		memset(pointer, 'X', sizeof pointer);
		size_t length = places_pointer(&places, 4, pointer, size);
		assert_true(length < size);
		assert_int_equal(strlen(pointer), length);
		assert_memory_equal(pointer, whole, length);
		assert_int_equal(pointer[size], 'X');
	}
	places_clear(&places);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_value_has_its_pointer_line_and_column),
		cmocka_unit_test(children_and_siblings_follow_the_text),
		cmocka_unit_test(the_scanner_and_jansson_agree),
		cmocka_unit_test(a_nul_byte_ends_nothing),
		cmocka_unit_test(nesting_has_a_limit),
		cmocka_unit_test(a_pointer_is_cut_where_the_room_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
