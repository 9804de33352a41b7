#include "common/cleanup.h"
#include "common/units.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef int parser(const char *text, uint64_t *ret_value);
typedef void formatter(uint64_t value, char text[UNITS_TEXT_MAX]);

struct expected {
	const char *text;
	int result;
	uint64_t value;
};

static void check(parser *parse, const struct expected *expected, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value = 4711;
		int result = parse(expected[i].text, &value);
		uint64_t right = expected[i].result == 0 ? expected[i].value : 4711;
		if (result != expected[i].result || value != right)
			fail_msg("\"%s\": got %d, %" PRIu64 ", expected %d, %" PRIu64,
				expected[i].text, result, value, expected[i].result, right);
	}
}

static void sizes_count_in_powers_of_1024(void **state)
{
	(void)state;
	static const struct expected expected[] = {
		{"0", 0, 0},
		{"512", 0, 512},
		{"1K", 0, 1024},
		{"128M", 0, 134217728},
		{"2G", 0, 2147483648},
		{"1T", 0, 1099511627776},
		{"0T", 0, 0},
		{"007", 0, 7},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"16777216T", -ERANGE, 0},
		{"16777215T", 0, UINT64_C(16777215) << 40},
		{"99999999999999999999999999999999999M", -ERANGE, 0},
	};
	check(units_parse_size, expected, ARRAY_LENGTH(expected));
}

static void what_is_no_size_is_refused(void **state)
{
	(void)state;
	static const struct expected expected[] = {
		{"", -EINVAL, 0},
		{"M", -EINVAL, 0},
		{"1m", -EINVAL, 0},
		{"1MB", -EINVAL, 0},
		{"1 M", -EINVAL, 0},
		{" 1M", -EINVAL, 0},
		{"1M ", -EINVAL, 0},
		{"+1M", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"1.5G", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
		{"1e3", -EINVAL, 0},
		{"\xd9\xa1", -EINVAL, 0},
		/* Not a number out of range: no unit of ours at all. */
		{"99999999999999999999999999X", -EINVAL, 0},
	};
	check(units_parse_size, expected, ARRAY_LENGTH(expected));
}

static void durations_need_a_unit_unless_zero(void **state)
{
	(void)state;
	static const struct expected expected[] = {
		{"0", 0, 0},
		{"000", 0, 0},
		{"1ms", 0, 1},
		{"30s", 0, 30000},
		{"5m", 0, 300000},
		{"2h", 0, 7200000},
		{"500", -EINVAL, 0},
		{"1S", -EINVAL, 0},
		{"1d", -EINVAL, 0},
		{"1m30s", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"s", -EINVAL, 0},
		{"18446744073709551615ms", 0, UINT64_MAX},
		{"18446744073709552s", -ERANGE, 0},
		{"18446744073709551616", -EINVAL, 0},
	};
	check(units_parse_duration, expected, ARRAY_LENGTH(expected));
}

static void percentages_need_their_sign(void **state)
{
	(void)state;
	static const struct expected expected[] = {
		{"50%", 0, 50},
		{"250%", 0, 250},
		{"0%", 0, 0},
		{"0", 0, 0},
		{"50", -EINVAL, 0},
		{"%", -EINVAL, 0},
		{"50%%", -EINVAL, 0},
		{"12.5%", -EINVAL, 0},
		{"18446744073709551616%", -ERANGE, 0},
	};
	check(units_parse_percent, expected, ARRAY_LENGTH(expected));
}

static void what_is_printed_is_the_shortest_exact_form(void **state)
{
	(void)state;
	static const struct {
		formatter *format;
		uint64_t value;
		const char *text;
	} expected[] = {
		{units_format_size, 0, "0"},
		{units_format_size, 1, "1"},
		{units_format_size, 1023, "1023"},
		{units_format_size, 1024, "1K"},
		{units_format_size, 1536 * UNITS_MIB, "1536M"},
		{units_format_size, 2 * UNITS_TIB, "2T"},
		{units_format_size, UINT64_MAX, "18446744073709551615"},
		{units_format_duration, 0, "0ms"},
		{units_format_duration, 999, "999ms"},
		{units_format_duration, 90000, "90s"},
		{units_format_duration, 120000, "2m"},
		{units_format_duration, 86400000, "24h"},
		{units_format_percent, 250, "250%"},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
		char text[UNITS_TEXT_MAX];
		expected[i].format(expected[i].value, text);
		assert_string_equal(text, expected[i].text);
	}
}

static void what_is_printed_parses_to_the_same_number(void **state)
{
	(void)state;
	static const struct {
		formatter *format;
		parser *parse;
	} kinds[] = {
		{units_format_size, units_parse_size},
		{units_format_duration, units_parse_duration},
		{units_format_percent, units_parse_percent},
	};
	uint64_t value = 1;
	for (unsigned round = 0; round < 3000; round++) {
		value = value * UINT64_C(6364136223846793005) + 1442695040888963407u;
		uint64_t number = value >> (round % 64);
		for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
			char text[UNITS_TEXT_MAX];
			uint64_t again = ~number;
			kinds[i].format(number, text);
			assert_int_equal(kinds[i].parse(text, &again), 0);
			assert_true(again == number);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_count_in_powers_of_1024),
		cmocka_unit_test(what_is_no_size_is_refused),
		cmocka_unit_test(durations_need_a_unit_unless_zero),
		cmocka_unit_test(percentages_need_their_sign),
		cmocka_unit_test(what_is_printed_is_the_shortest_exact_form),
		cmocka_unit_test(what_is_printed_parses_to_the_same_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
