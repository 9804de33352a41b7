#include "common/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void what_is_put_can_be_got(void **state)
{
	(void)state;
	unsigned char data[256];
	struct wire_writer writer = {.data = data, .size = sizeof data};
	wire_put_u32(&writer, 0xdeadbeef);
	wire_put_u64(&writer, UINT64_MAX - 1);
	wire_put_string(&writer, "hello");
	wire_put_string(&writer, "");
	wire_put_string(&writer, NULL);
	assert_false(writer.failed);
	assert_int_equal(writer.length, 4 + 8 + (4 + 6) + (4 + 1) + (4 + 1));

	struct wire_reader reader = {.data = data, .length = writer.length};
	assert_int_equal(wire_get_u32(&reader), 0xdeadbeef);
	assert_true(wire_get_u64(&reader) == UINT64_MAX - 1);
	const char *string = wire_get_string(&reader, 5);
	assert_string_equal(string, "hello");
	/* It stays in the message. */
	assert_true((const unsigned char *)string > data);
	assert_true((const unsigned char *)string < data + sizeof data);
	assert_string_equal(wire_get_string(&reader, 0), "");
	assert_false(wire_get_end(&reader));
	assert_string_equal(wire_get_string(&reader, 0), "");
	assert_true(wire_get_end(&reader));
}

static void a_writer_that_is_full_writes_no_part_and_stays_failed(void **state)
{
	(void)state;
	unsigned char data[16];
	for (size_t size = 0; size < 12; size++) {
		memset(data, 0xAA, sizeof data);
		struct wire_writer writer = {.data = data, .size = size};
		wire_put_u64(&writer, 0);
		wire_put_u32(&writer, 0);
		assert_true(writer.failed);
		assert_true(writer.length <= size);
		for (size_t i = size; i < sizeof data; i++)
			assert_int_equal(data[i], 0xAA);
	}
	struct wire_writer writer = {.data = data, .size = 4};
	wire_put_u64(&writer, 1);
	wire_put_u32(&writer, 1); /* would fit */
	assert_true(writer.failed);
	assert_int_equal(writer.length, 0);
}

static void every_cut_of_a_message_fails(void **state)
{
	(void)state;
	unsigned char data[64];
	struct wire_writer writer = {.data = data, .size = sizeof data};
	wire_put_u32(&writer, 1);
	wire_put_string(&writer, "abc");
	wire_put_u64(&writer, 2);
	for (size_t length = 0; length <= writer.length; length++) {
		struct wire_reader reader = {.data = data, .length = length};
		wire_get_u32(&reader);
		const char *string = wire_get_string(&reader, 100);
		wire_get_u64(&reader);
		assert_int_equal(wire_get_end(&reader), length == writer.length);
		if (length < 4 + 4 + 4)
			assert_string_equal(string, "");
	}
}

static void a_failed_reader_gives_zeros_and_empty_strings(void **state)
{
	(void)state;
	unsigned char data[16];
	memset(data, 0xFF, sizeof data);
	struct wire_reader reader = {.data = data, .length = 2};
	assert_int_equal(wire_get_u32(&reader), 0);
	reader.length = sizeof data; /* even if there were something */
	assert_int_equal(wire_get_u32(&reader), 0);
	assert_true(wire_get_u64(&reader) == 0);
	assert_string_equal(wire_get_string(&reader, SIZE_MAX), "");
	assert_false(wire_get_end(&reader));
}

static void strings_that_break_their_promise_are_refused(void **state)
{
	(void)state;
	static const struct {
		uint32_t promised;
		char bytes[4];
		size_t most;
	} cases[] = {
		{3, "abc", 2},             /* longer than allowed */
		{2, "abc", 10},            /* no NUL at the end */
		{3, {'a', 0, 'c', 0}, 10}, /* a NUL inside */
		{UINT32_MAX, "abc", SIZE_MAX},
		{4, "abc", 10}, /* no room for the NUL */
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		unsigned char data[8];
		memcpy(data, &cases[i].promised, 4);
		memcpy(data + 4, cases[i].bytes, 4);
		struct wire_reader reader = {.data = data, .length = sizeof data};
		assert_string_equal(wire_get_string(&reader, cases[i].most), "");
		assert_true(reader.failed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_put_can_be_got),
		cmocka_unit_test(a_writer_that_is_full_writes_no_part_and_stays_failed),
		cmocka_unit_test(every_cut_of_a_message_fails),
		cmocka_unit_test(a_failed_reader_gives_zeros_and_empty_strings),
		cmocka_unit_test(strings_that_break_their_promise_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
