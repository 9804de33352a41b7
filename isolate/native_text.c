/* Natives of isolate/js/encoding.js and base64.js, on simdutf: UTF-8, UTF-16, base64. */

#include "common/cleanup.h"
#include "isolate/natives.h"

#include <simdutf_c.h>
#include <stdlib.h>
#include <string.h>

enum {
	SMALL = 2048, /* bytes that fit on the stack */
};

/* Flags of utf8Decode and utf16Decode, as in encoding.js. */
enum { FLAG_FATAL = 1, FLAG_STRIP_BOM = 2, FLAG_BIG_ENDIAN = 4 };

static engine_value *out_of_memory(struct engine *engine)
{
	return engine_throw(engine, "RangeError", NULL, "not enough memory for the text");
}

static engine_value *invalid_data(struct engine *engine, const char *encoding)
{
	return engine_throw(engine, "TypeError", "ERR_ENCODING_INVALID_ENCODED_DATA",
		"The encoded data was not valid for encoding %s", encoding);
}

static engine_value *not_bytes(struct engine *engine)
{
	return engine_throw(engine, "TypeError", "ERR_INVALID_ARG_TYPE",
		"The argument must be an instance of ArrayBuffer, SharedArrayBuffer or "
		"ArrayBufferView");
}

/* ---- UTF-8 ---- */

/* ASCII, which V8 has as bytes: a copy. NULL when STRING is something else, or when an
 * exception is pending. */
static engine_value *encode_ascii(struct engine *engine, engine_value *string, size_t length)
{
	void *data;
	char small[SMALL];
	if (!engine_string_is_one_byte(string))
		return NULL;
	if (length <= SMALL) {
		engine_string_write_latin1(engine, string, small, length);
		return simdutf_validate_ascii(small, length)
			       ? engine_bytes_copy(engine, small, length)
			       : NULL;
	}
	engine_value *bytes = engine_bytes_new(engine, length, &data);
	if (!bytes)
		return NULL;
	engine_string_write_latin1(engine, string, data, length);
	return simdutf_validate_ascii(data, length) ? bytes : NULL;
}

/* utf8Encode(string): a new Uint8Array. */
static engine_value *utf8_encode(struct engine *engine, struct engine_call *call)
{
	engine_value *string = engine_call_argument(engine, call, 0);
	size_t units = engine_string_length(string);
	engine_value *ascii = encode_ascii(engine, string, units);
	if (ascii || engine_exception_pending(engine))
		return ascii;
	if (units * 3 <= SMALL) {
		char small[SMALL];
		size_t length = engine_string_write_utf8(engine, string, small, sizeof small, NULL);
		return engine_bytes_copy(engine, small, length);
	}
	void *data;
	size_t length = engine_string_utf8_length(engine, string);
	engine_value *bytes = engine_bytes_new(engine, length, &data);
	if (bytes)
		engine_string_write_utf8(engine, string, data, length, NULL);
	return bytes;
}

/* utf8EncodeInto(string, Uint8Array, counts): counts[0] units read, counts[1] bytes
 * written; never half a character. */
static engine_value *utf8_encode_into(struct engine *engine, struct engine_call *call)
{
	engine_value *string = engine_call_argument(engine, call, 0);
	void *target, *counts;
	size_t size, counts_size;
	if (!engine_bytes_get(engine_call_argument(engine, call, 1), &target, &size) ||
		!engine_bytes_get(engine_call_argument(engine, call, 2), &counts, &counts_size) ||
		counts_size < 2 * sizeof(uint32_t))
		return not_bytes(engine);
	size_t read = 0, written = 0;
	if (size > 0)
		written = engine_string_write_utf8(engine, string, target, size, &read);
	memcpy(counts, (uint32_t[]){(uint32_t)read, (uint32_t)written}, 2 * sizeof(uint32_t));
	return NULL;
}

/* Valid UTF-8 that is too long for V8's own decoder to be the fastest. */
static engine_value *decode_valid(struct engine *engine, const char *data, size_t length)
{
	cleanup_free char *latin1 = malloc(length);
	if (!latin1)
		return out_of_memory(engine);
	/* Stops at the first character that Latin-1 does not have. */
	size_t count = simdutf_convert_utf8_to_latin1(data, length, latin1);
	if (count > 0)
		return engine_string_latin1(engine, latin1, count);
	size_t units = simdutf_utf16_length_from_utf8(data, length);
	cleanup_free char16_t *utf16 = malloc(units * sizeof *utf16);
	if (!utf16)
		return out_of_memory(engine);
	units = simdutf_convert_valid_utf8_to_utf16le(data, length, utf16);
	return engine_string_utf16(engine, (const uint16_t *)utf16, units);
}

/* utf8Decode(bytes, flags) */
static engine_value *utf8_decode(struct engine *engine, struct engine_call *call)
{
	int32_t flags = engine_argument_int32(call, 1);
	void *bytes;
	size_t length;
	if (!engine_bytes_get(engine_call_argument(engine, call, 0), &bytes, &length))
		return not_bytes(engine);
	const char *data = bytes;
	if ((flags & FLAG_STRIP_BOM) && length >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0) {
		data += 3;
		length -= 3;
	}
	if (length == 0)
		return engine_string_latin1(engine, "", 0);
	if (simdutf_validate_ascii(data, length))
		return engine_string_latin1(engine, data, length);
	bool large = length > SMALL;
	if (((flags & FLAG_FATAL) || large) && !simdutf_validate_utf8(data, length)) {
		if (flags & FLAG_FATAL)
			return invalid_data(engine, "utf-8");
		large = false;
	}
	return large ? decode_valid(engine, data, length)
		     : engine_string_utf8(engine, data, length);
}

/* ---- UTF-16 ---- */

static bool is_lead(uint16_t unit)
{
	return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_trail(uint16_t unit)
{
	return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* Lone surrogates become U+FFFD. Returns whether there were any. */
static bool replace_lone_surrogates(uint16_t *units, size_t count)
{
	bool found = false;
	for (size_t i = 0; i < count; i++) {
		if (is_lead(units[i]) && i + 1 < count && is_trail(units[i + 1])) {
			i++;
		} else if (is_lead(units[i]) || is_trail(units[i])) {
			units[i] = 0xFFFD;
			found = true;
		}
	}
	return found;
}

/* utf16Decode(bytes, flags): half a unit at the end is U+FFFD. */
static engine_value *utf16_decode(struct engine *engine, struct engine_call *call)
{
	int32_t flags = engine_argument_int32(call, 1);
	const char *name = flags & FLAG_BIG_ENDIAN ? "utf-16be" : "utf-16le";
	void *bytes;
	size_t length;
	if (!engine_bytes_get(engine_call_argument(engine, call, 0), &bytes, &length))
		return not_bytes(engine);
	size_t count = length / 2;
	cleanup_free uint16_t *units = malloc((count + 1) * sizeof *units);
	if (!units)
		return out_of_memory(engine);
	if (count > 0)
		memcpy(units, bytes, count * 2);
	if (flags & FLAG_BIG_ENDIAN)
		for (size_t i = 0; i < count; i++)
			units[i] = __builtin_bswap16(units[i]);
	/* A lead surrogate before half a unit is one error with it. */
	bool open_pair = count > 0 && is_lead(units[count - 1]);
	bool lossy = replace_lone_surrogates(units, count);
	if (length % 2) {
		if (!open_pair)
			units[count++] = 0xFFFD;
		lossy = true;
	}
	if (lossy && (flags & FLAG_FATAL))
		return invalid_data(engine, name);
	return engine_string_utf16(engine, units, count);
}

/* ---- base64 ---- */

/* base64Encode(string): undefined when a character is above U+00FF. */
static engine_value *base64_encode(struct engine *engine, struct engine_call *call)
{
	engine_value *string = engine_call_argument(engine, call, 0);
	size_t length = engine_string_length(string);
	cleanup_free char *input = malloc(length + 1);
	if (!input)
		return out_of_memory(engine);
	if (engine_string_is_one_byte(string)) {
		engine_string_write_latin1(engine, string, input, length);
	} else {
		cleanup_free uint16_t *units = malloc((length + 1) * sizeof *units);
		if (!units)
			return out_of_memory(engine);
		engine_string_write_utf16(engine, string, units, length);
		for (size_t i = 0; i < length; i++) {
			if (units[i] > 0xFF)
				return NULL;
			input[i] = (char)units[i];
		}
	}
	size_t size = simdutf_base64_length_from_binary(length, SIMDUTF_BASE64_DEFAULT);
	cleanup_free char *output = malloc(size + 1);
	if (!output)
		return out_of_memory(engine);
	size = simdutf_binary_to_base64(input, length, output, SIMDUTF_BASE64_DEFAULT);
	return engine_string_latin1(engine, output, size);
}

/* base64Decode(string): the bytes as a string of U+0000 to U+00FF, by forgiving-base64;
 * undefined when it is none. */
static engine_value *base64_decode(struct engine *engine, struct engine_call *call)
{
	engine_value *string = engine_call_argument(engine, call, 0);
	size_t length = engine_string_length(string);
	/* A string with wide characters has one that base64 does not: or only such
	 * characters below U+0100, which V8 happened to store wide. */
	cleanup_free char16_t *units = malloc((length + 1) * sizeof *units);
	if (!units)
		return out_of_memory(engine);
	engine_string_write_utf16(engine, string, (uint16_t *)units, length);
	size_t most = simdutf_maximal_binary_length_from_base64_utf16(units, length);
	cleanup_free char *output = malloc(most + 1);
	if (!output)
		return out_of_memory(engine);
	simdutf_result result = simdutf_base64_to_binary_utf16(
		units, length, output, SIMDUTF_BASE64_DEFAULT, SIMDUTF_LAST_CHUNK_LOOSE);
	if (result.error != SIMDUTF_ERROR_SUCCESS)
		return NULL;
	return engine_string_latin1(engine, output, result.count);
}

static const struct engine_native natives[] = {
	{"utf8Encode", utf8_encode, 1},
	{"utf8EncodeInto", utf8_encode_into, 3},
	{"utf8Decode", utf8_decode, 2},
	{"utf16Decode", utf16_decode, 2},
	{"base64Encode", base64_encode, 1},
	{"base64Decode", base64_decode, 1},
};

const struct native_module text_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
};
