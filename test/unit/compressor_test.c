/* isolate/compressor.h: all formats there and back, in pieces of any size, what is damaged,
 * and the limit of memory. */
#include "isolate/compressor.h"

#include "common/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SIZE 300000
#define Z_FINISH 4
#define ZSTD_WINDOW_LOG 101

static unsigned char text[SIZE], packed[SIZE + 4096], unpacked[SIZE + 16];

static const struct format {
	enum compressor_mode pack, unpack;
	int finish;
} formats[] = {
	{COMPRESSOR_DEFLATE, COMPRESSOR_INFLATE, Z_FINISH},
	{COMPRESSOR_DEFLATERAW, COMPRESSOR_INFLATERAW, Z_FINISH},
	{COMPRESSOR_GZIP, COMPRESSOR_GUNZIP, Z_FINISH},
	{COMPRESSOR_GZIP, COMPRESSOR_UNZIP, Z_FINISH},
	{COMPRESSOR_BROTLI_ENCODE, COMPRESSOR_BROTLI_DECODE, 2},
	{COMPRESSOR_ZSTD_COMPRESS, COMPRESSOR_ZSTD_DECOMPRESS, 2},
};

static struct compressor *start(enum compressor_mode mode)
{
	const struct compressor_options options = {.window_bits = 15, .level = 6, .mem_level = 8};
	struct compressor_error error;
	struct compressor *compressor = compressor_new(mode);
	assert_non_null(compressor);
	assert_true(compressor_open(compressor, &options, &error));
	return compressor;
}

/* Runs MODE over all of IN with no more than STEP bytes on either side at a time. */
static size_t run(enum compressor_mode mode, int finish, const unsigned char *in, size_t in_length,
	unsigned char *out, size_t out_length, size_t step, struct compressor_error *ret_error)
{
	struct compressor *compressor = start(mode);
	size_t read = 0, made = 0;
	*ret_error = (struct compressor_error){0};
	for (;;) {
		const size_t left = in_length - read;
		const size_t give = left < step ? left : step;
		const size_t room = out_length - made < step ? out_length - made : step;
		size_t consumed, produced;
		compressor_run(compressor, give == left ? finish : 0, in + read, give, out + made,
			room, &consumed, &produced);
		read += consumed;
		made += produced;
		if (compressor_failed(compressor, ret_error))
			break;
		if (read == in_length && produced < room)
			break;
		assert_true(consumed > 0 || produced > 0);
	}
	compressor_free(compressor);
	return made;
}

static void there_and_back_in_any_pieces(void **state)
{
	static const size_t steps[] = {SIZE, 70000, 4096, 333};
	struct compressor_error error;
	(void)state;
	for (size_t i = 0; i < SIZE; i++)
		text[i] = (unsigned char)((i * i >> 7) ^ (i % 97));
	for (size_t i = 0; i < ARRAY_LENGTH(formats); i++) {
		for (size_t j = 0; j < ARRAY_LENGTH(steps); j++) {
			const struct format *format = &formats[i];
			const size_t length = run(format->pack, format->finish, text, SIZE, packed,
				sizeof packed, steps[j], &error);
			assert_null(error.message);
			assert_int_equal(run(format->unpack, format->finish, packed, length,
						 unpacked, sizeof unpacked, steps[j], &error),
				SIZE);
			assert_null(error.message);
			assert_memory_equal(text, unpacked, SIZE);
			run(format->unpack, format->finish, packed, length / 2, unpacked,
				sizeof unpacked, steps[j], &error);
			assert_string_equal(error.message, "unexpected end of file");
		}
	}
}

static void memory_is_limited_for_all_together(void **state)
{
	uint32_t parameters[ZSTD_WINDOW_LOG + 1];
	struct compressor_error error;
	struct compressor_options options = {
		.parameters = parameters, .parameter_count = ARRAY_LENGTH(parameters)};
	size_t read, made;
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(parameters); i++)
		parameters[i] = COMPRESSOR_NO_PARAMETER;
	parameters[ZSTD_WINDOW_LOG] = 27; /* 128 MB */
	compressor_limit(8u << 20);
	struct compressor *compressor = compressor_new(COMPRESSOR_ZSTD_COMPRESS);
	assert_true(compressor_open(compressor, &options, &error));
	compressor_run(compressor, 0, text, SIZE, packed, sizeof packed, &read, &made);
	assert_true(compressor_failed(compressor, &error));
	assert_string_equal(error.code, "ZSTD_error_memory_allocation");
	compressor_free(compressor);
	/* A deflate holds 256 kB: at the 40th there is no more. */
	struct compressor *many[40];
	bool failed = false;
	for (size_t i = 0; i < ARRAY_LENGTH(many); i++) {
		many[i] = start(COMPRESSOR_DEFLATE);
		compressor_run(many[i], 0, text, 100, packed, sizeof packed, &read, &made);
		failed |= compressor_failed(many[i], &error);
	}
	assert_true(failed);
	assert_string_equal(error.code, "Z_MEM_ERROR");
	for (size_t i = 0; i < ARRAY_LENGTH(many); i++)
		compressor_free(many[i]);
	many[0] = start(COMPRESSOR_DEFLATE);
	compressor_run(many[0], 0, text, 100, packed, sizeof packed, &read, &made);
	assert_false(compressor_failed(many[0], &error));
	compressor_free(many[0]);
	compressor_limit(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back_in_any_pieces),
		cmocka_unit_test(memory_is_limited_for_all_together),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
