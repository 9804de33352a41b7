/* Natives of isolate/js/node/buffer_binding.js: what node:buffer does with bytes and
 * strings. The first argument is a view; the JavaScript side has checked types, not
 * bounds. */

#include "common/cleanup.h"
#include "isolate/natives.h"

#include <simdutf_c.h>
#include <stdlib.h>
#include <string.h>

/* As in string_decoder_binding.js, and in Node. */
enum encoding { ENCODING_ASCII, ENCODING_UTF8, ENCODING_BASE64, ENCODING_UTF16, ENCODING_LATIN1 };

struct bytes {
	uint8_t *data;
	size_t length;
};

/* ---- arguments ---- */

static bool view_argument(
	struct engine *engine, struct engine_call *call, int index, struct bytes *ret_bytes)
{
	void *data;
	if (!engine_bytes_get(
		    engine_call_argument(engine, call, index), &data, &ret_bytes->length)) {
		engine_throw(
			engine, "TypeError", "ERR_INVALID_ARG_TYPE", "argument must be a buffer");
		return false;
	}
	ret_bytes->data = data;
	return true;
}

/* A number that is absent, negative or no number gives FALLBACK. */
static size_t size_argument(
	struct engine *engine, struct engine_call *call, int index, size_t fallback)
{
	engine_value *value = engine_call_argument(engine, call, index);
	if (engine_typeof(value) != ENGINE_NUMBER)
		return fallback;
	double number = engine_to_number(engine, value);
	if (!(number >= 0))
		return 0;
	return number > 9007199254740991.0 ? (size_t)1 << 53 : (size_t)number;
}

static engine_value *out_of_range(struct engine *engine)
{
	return engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE", "Index out of range");
}

static engine_value *out_of_memory(struct engine *engine)
{
	return engine_throw(
		engine, "Error", "ERR_MEMORY_ALLOCATION_FAILED", "Failed to allocate memory");
}

/* The part of a view that a slice is about: (view, start, end). */
static bool slice_arguments(
	struct engine *engine, struct engine_call *call, struct bytes *ret_bytes)
{
	if (!view_argument(engine, call, 0, ret_bytes))
		return false;
	size_t start = size_argument(engine, call, 1, 0);
	size_t end = size_argument(engine, call, 2, ret_bytes->length);
	if (end < start)
		end = start;
	if (end > ret_bytes->length) {
		out_of_range(engine);
		return false;
	}
	ret_bytes->data += start;
	ret_bytes->length = end - start;
	return true;
}

/* Where a string goes: (view, string, offset, length). */
static bool write_arguments(struct engine *engine, struct engine_call *call,
	struct bytes *ret_target, engine_value **ret_string)
{
	if (!view_argument(engine, call, 0, ret_target))
		return false;
	*ret_string = engine_call_argument(engine, call, 1);
	if (engine_typeof(*ret_string) != ENGINE_STRING) {
		engine_throw(
			engine, "TypeError", "ERR_INVALID_ARG_TYPE", "argument must be a string");
		return false;
	}
	size_t offset = size_argument(engine, call, 2, 0);
	if (offset > ret_target->length) {
		engine_throw(engine, "RangeError", "ERR_BUFFER_OUT_OF_BOUNDS",
			"\"offset\" is outside of buffer bounds");
		return false;
	}
	size_t room = ret_target->length - offset;
	size_t length = size_argument(engine, call, 3, room);
	ret_target->data += offset;
	ret_target->length = length < room ? length : room;
	return true;
}

/* ---- bytes to strings ---- */

static engine_value *latin1_slice(struct engine *engine, struct engine_call *call)
{
	struct bytes bytes;
	if (!slice_arguments(engine, call, &bytes))
		return NULL;
	return engine_string_latin1(engine, (const char *)bytes.data, bytes.length);
}

static engine_value *ascii_slice(struct engine *engine, struct engine_call *call)
{
	struct bytes bytes;
	if (!slice_arguments(engine, call, &bytes))
		return NULL;
	if (simdutf_validate_ascii((const char *)bytes.data, bytes.length))
		return engine_string_latin1(engine, (const char *)bytes.data, bytes.length);
	cleanup_free char *text = malloc(bytes.length);
	if (!text)
		return out_of_memory(engine);
	for (size_t i = 0; i < bytes.length; i++)
		text[i] = (char)(bytes.data[i] & 0x7F);
	return engine_string_latin1(engine, text, bytes.length);
}

/* Long and valid UTF-8 goes through simdutf, which is faster than V8's decoder. */
static engine_value *utf8_slice(struct engine *engine, struct engine_call *call)
{
	enum { LONG = 256 };
	struct bytes bytes;
	if (!slice_arguments(engine, call, &bytes))
		return NULL;
	const char *data = (const char *)bytes.data;
	if (simdutf_validate_ascii(data, bytes.length))
		return engine_string_latin1(engine, data, bytes.length);
	if (bytes.length < LONG || !simdutf_validate_utf8(data, bytes.length))
		return engine_string_utf8(engine, data, bytes.length);
	size_t units = simdutf_utf16_length_from_utf8(data, bytes.length);
	cleanup_free char16_t *text = malloc(units * sizeof *text);
	if (!text)
		return out_of_memory(engine);
	units = simdutf_convert_valid_utf8_to_utf16le(data, bytes.length, text);
	return engine_string_utf16(engine, (const uint16_t *)text, units);
}

/* Half a unit at the end is dropped. */
static engine_value *ucs2_slice(struct engine *engine, struct engine_call *call)
{
	struct bytes bytes;
	if (!slice_arguments(engine, call, &bytes))
		return NULL;
	size_t units = bytes.length / 2;
	if ((uintptr_t)bytes.data % 2 == 0)
		return engine_string_utf16(engine, (const uint16_t *)(void *)bytes.data, units);
	cleanup_free uint16_t *copy = malloc(units * 2 + 1);
	if (!copy)
		return out_of_memory(engine);
	memcpy(copy, bytes.data, units * 2);
	return engine_string_utf16(engine, copy, units);
}

static engine_value *hex_slice(struct engine *engine, struct engine_call *call)
{
	static const char digits[] = "0123456789abcdef";
	struct bytes bytes;
	if (!slice_arguments(engine, call, &bytes))
		return NULL;
	cleanup_free char *text = malloc(bytes.length * 2 + 1);
	if (!text)
		return out_of_memory(engine);
	for (size_t i = 0; i < bytes.length; i++) {
		text[2 * i] = digits[bytes.data[i] >> 4];
		text[2 * i + 1] = digits[bytes.data[i] & 15];
	}
	return engine_string_latin1(engine, text, bytes.length * 2);
}

static engine_value *encode_base64(
	struct engine *engine, struct engine_call *call, simdutf_base64_options options)
{
	struct bytes bytes;
	if (!slice_arguments(engine, call, &bytes))
		return NULL;
	size_t size = simdutf_base64_length_from_binary(bytes.length, options);
	cleanup_free char *text = malloc(size + 1);
	if (!text)
		return out_of_memory(engine);
	size = simdutf_binary_to_base64((const char *)bytes.data, bytes.length, text, options);
	return engine_string_latin1(engine, text, size);
}

static engine_value *base64_slice(struct engine *engine, struct engine_call *call)
{
	return encode_base64(engine, call, SIMDUTF_BASE64_DEFAULT);
}

static engine_value *base64url_slice(struct engine *engine, struct engine_call *call)
{
	return encode_base64(engine, call, SIMDUTF_BASE64_URL);
}

/* ---- strings to bytes ---- */

static engine_value *count(struct engine *engine, size_t number)
{
	return engine_number(engine, (double)number);
}

static engine_value *utf8_write(struct engine *engine, struct engine_call *call)
{
	struct bytes target;
	engine_value *string;
	if (!write_arguments(engine, call, &target, &string))
		return NULL;
	if (target.length == 0)
		return count(engine, 0);
	return count(engine,
		engine_string_write_utf8(engine, string, (char *)target.data, target.length, NULL));
}

static engine_value *latin1_write(struct engine *engine, struct engine_call *call)
{
	struct bytes target;
	engine_value *string;
	if (!write_arguments(engine, call, &target, &string))
		return NULL;
	size_t units = engine_string_length(string);
	if (units > target.length)
		units = target.length;
	if (units > 0)
		engine_string_write_latin1(engine, string, (char *)target.data, units);
	return count(engine, units);
}

static engine_value *ucs2_write(struct engine *engine, struct engine_call *call)
{
	struct bytes target;
	engine_value *string;
	if (!write_arguments(engine, call, &target, &string))
		return NULL;
	size_t units = engine_string_length(string);
	if (units > target.length / 2)
		units = target.length / 2;
	if ((uintptr_t)target.data % 2 == 0) {
		if (units > 0)
			engine_string_write_utf16(
				engine, string, (uint16_t *)(void *)target.data, units);
		return count(engine, units * 2);
	}
	cleanup_free uint16_t *copy = malloc(units * 2 + 1);
	if (!copy)
		return out_of_memory(engine);
	engine_string_write_utf16(engine, string, copy, units);
	memcpy(target.data, copy, units * 2);
	return count(engine, units * 2);
}

/* STRING as one byte for each character; those above U+00FF become one that is in no
 * alphabet. malloc'ed; NULL with an exception pending. */
static uint8_t *characters(struct engine *engine, engine_value *string, size_t length)
{
	uint8_t *text = malloc(length + 1);
	if (!text) {
		out_of_memory(engine);
		return NULL;
	}
	if (engine_string_is_one_byte(string)) {
		engine_string_write_latin1(engine, string, (char *)text, length);
		return text;
	}
	cleanup_free uint16_t *units = malloc((length + 1) * sizeof *units);
	if (!units) {
		free(text);
		out_of_memory(engine);
		return NULL;
	}
	engine_string_write_utf16(engine, string, units, length);
	for (size_t i = 0; i < length; i++)
		text[i] = units[i] > 0xFF ? 0xFF : (uint8_t)units[i];
	return text;
}

static int hex_digit(uint8_t character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	character |= 0x20;
	return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

/* Ends at the first pair that is none. */
static engine_value *hex_write(struct engine *engine, struct engine_call *call)
{
	struct bytes target;
	engine_value *string;
	if (!write_arguments(engine, call, &target, &string))
		return NULL;
	size_t pairs = engine_string_length(string) / 2, written = 0;
	if (pairs > target.length)
		pairs = target.length;
	cleanup_free uint8_t *text = characters(engine, string, engine_string_length(string));
	if (!text)
		return NULL;
	for (; written < pairs; written++) {
		int high = hex_digit(text[2 * written]), low = hex_digit(text[2 * written + 1]);
		if (high < 0 || low < 0)
			break;
		target.data[written] = (uint8_t)(high << 4 | low);
	}
	return count(engine, written);
}

static int base64_digit(uint8_t character)
{
	if (character >= 'A' && character <= 'Z')
		return character - 'A';
	if (character >= 'a' && character <= 'z')
		return character - 'a' + 26;
	if (character >= '0' && character <= '9')
		return character - '0' + 52;
	if (character == '+' || character == '-')
		return 62;
	return character == '/' || character == '_' ? 63 : -1;
}

/* What is in neither alphabet is skipped, padding ends it. */
static size_t decode_lenient(const uint8_t *text, size_t length, struct bytes *target)
{
	uint32_t bits = 0;
	unsigned bit_count = 0;
	size_t written = 0;
	for (size_t i = 0; i < length && written < target->length && text[i] != '='; i++) {
		int digit = base64_digit(text[i]);
		if (digit < 0)
			continue;
		bits = bits << 6 | (uint32_t)digit;
		bit_count += 6;
		if (bit_count < 8)
			continue;
		bit_count -= 8;
		target->data[written++] = (uint8_t)(bits >> bit_count);
	}
	return written;
}

static engine_value *base64_write(struct engine *engine, struct engine_call *call)
{
	struct bytes target;
	engine_value *string;
	if (!write_arguments(engine, call, &target, &string))
		return NULL;
	size_t length = engine_string_length(string);
	cleanup_free uint8_t *text = characters(engine, string, length);
	if (!text)
		return NULL;
	const char *input = (const char *)text;
	if (target.length >= simdutf_maximal_binary_length_from_base64(input, length)) {
		simdutf_result result = simdutf_base64_to_binary(input, length, (char *)target.data,
			SIMDUTF_BASE64_DEFAULT_OR_URL, SIMDUTF_LAST_CHUNK_LOOSE);
		if (result.error == SIMDUTF_ERROR_SUCCESS)
			return count(engine, result.count);
	}
	return count(engine, decode_lenient(text, length, &target));
}

static engine_value *utf8_length(struct engine *engine, struct engine_call *call)
{
	engine_value *string = engine_call_argument(engine, call, 0);
	if (engine_typeof(string) != ENGINE_STRING)
		return count(engine, 0);
	return count(engine, engine_string_utf8_length(engine, string));
}

/* ---- comparing and copying ---- */

static engine_value *order(struct engine *engine, const struct bytes *a, const struct bytes *b)
{
	size_t common = a->length < b->length ? a->length : b->length;
	int result = common > 0 ? memcmp(a->data, b->data, common) : 0;
	if (result == 0)
		result = (a->length > b->length) - (a->length < b->length);
	return engine_int32(engine, (result > 0) - (result < 0));
}

static engine_value *bytes_compare(struct engine *engine, struct engine_call *call)
{
	struct bytes a, b;
	if (!view_argument(engine, call, 0, &a) || !view_argument(engine, call, 1, &b))
		return NULL;
	return order(engine, &a, &b);
}

static bool cut(
	struct engine *engine, struct bytes *bytes, const char *name, size_t start, size_t end)
{
	if (start > bytes->length) {
		engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE",
			"The value of \"%s\" is out of range.", name);
		return false;
	}
	size_t wanted = end > start ? end - start : 0, room = bytes->length - start;
	bytes->data += start;
	bytes->length = wanted < room ? wanted : room;
	return true;
}

/* bytesCompareOffset(source, target, targetStart, sourceStart, targetEnd, sourceEnd) */
static engine_value *bytes_compare_offset(struct engine *engine, struct engine_call *call)
{
	struct bytes source, target;
	if (!view_argument(engine, call, 0, &source) || !view_argument(engine, call, 1, &target))
		return NULL;
	if (!cut(engine, &source, "sourceStart", size_argument(engine, call, 3, 0),
		    size_argument(engine, call, 5, source.length)) ||
		!cut(engine, &target, "targetStart", size_argument(engine, call, 2, 0),
			size_argument(engine, call, 4, target.length)))
		return NULL;
	return order(engine, &source, &target);
}

/* bytesCopy(source, target, targetStart, sourceStart, count) */
static engine_value *bytes_copy(struct engine *engine, struct engine_call *call)
{
	struct bytes source, target;
	if (!view_argument(engine, call, 0, &source) || !view_argument(engine, call, 1, &target))
		return NULL;
	size_t to = size_argument(engine, call, 2, 0), from = size_argument(engine, call, 3, 0);
	size_t length = size_argument(engine, call, 4, 0);
	if (to > target.length || from > source.length || length > target.length - to ||
		length > source.length - from)
		return out_of_range(engine);
	if (length > 0)
		memmove(target.data + to, source.data + from, length);
	return count(engine, length);
}

/* ---- fill ---- */

/* STRING in ENCODING as malloc'ed bytes. */
static uint8_t *encode(
	struct engine *engine, engine_value *string, enum encoding encoding, size_t *ret_length)
{
	size_t units = engine_string_length(string);
	if (encoding == ENCODING_LATIN1) {
		uint8_t *data = malloc(units + 1);
		if (data)
			engine_string_write_latin1(engine, string, (char *)data, units);
		*ret_length = units;
		return data;
	}
	if (encoding == ENCODING_UTF16) {
		uint16_t *data = malloc(units * 2 + 2);
		if (data)
			engine_string_write_utf16(engine, string, data, units);
		*ret_length = units * 2;
		return (uint8_t *)data;
	}
	size_t size = engine_string_utf8_length(engine, string);
	uint8_t *data = malloc(size + 1);
	*ret_length =
		data ? engine_string_write_utf8(engine, string, (char *)data, size + 1, NULL) : 0;
	return data;
}

static void repeat(struct bytes *target, const uint8_t *pattern, size_t length)
{
	size_t done = length < target->length ? length : target->length;
	memmove(target->data, pattern, done);
	while (done < target->length) {
		size_t more = done < target->length - done ? done : target->length - done;
		memcpy(target->data + done, target->data, more);
		done += more;
	}
}

/* bytesFill(view, value, start, end, encoding): a string (utf8, latin1 or utf16le by
 * its number; other encodings come as bytes), bytes or a number. -1: nothing to fill
 * with, -2: out of range. */
static engine_value *bytes_fill(struct engine *engine, struct engine_call *call)
{
	struct bytes target, pattern;
	if (!view_argument(engine, call, 0, &target))
		return NULL;
	engine_value *value = engine_call_argument(engine, call, 1);
	size_t start = size_argument(engine, call, 2, 0);
	size_t end = size_argument(engine, call, 3, target.length);
	if (start > end || end > target.length)
		return engine_int32(engine, -2);
	target.data += start;
	target.length = end - start;
	if (target.length == 0)
		return NULL;
	cleanup_free uint8_t *encoded = NULL;
	void *data;
	if (engine_typeof(value) == ENGINE_STRING) {
		enum encoding encoding = (enum encoding)engine_argument_int32(call, 4);
		encoded = encode(engine, value, encoding, &pattern.length);
		if (!encoded)
			return out_of_memory(engine);
		pattern.data = encoded;
	} else if (engine_bytes_get(value, &data, &pattern.length)) {
		pattern.data = data;
	} else {
		memset(target.data, engine_to_int32(engine, value) & 0xFF, target.length);
		return NULL;
	}
	if (pattern.length == 0)
		return engine_int32(engine, -1);
	repeat(&target, pattern.data, pattern.length);
	return NULL;
}

/* ---- searching ---- */

/* Where to begin, as indexOf and lastIndexOf want it; -1: no match is possible. */
static int64_t search_start(size_t haystack, double offset, size_t needle, bool forward)
{
	int64_t length = (int64_t)haystack, at = (int64_t)offset;
	if (at < 0) {
		if (at + length >= 0)
			return length + at;
		return forward || needle == 0 ? 0 : -1;
	}
	if (at + (int64_t)needle <= length)
		return at;
	if (needle == 0)
		return length;
	return forward ? -1 : length - 1;
}

static int64_t find_forward(
	const struct bytes *haystack, const struct bytes *needle, size_t start, size_t step)
{
	while (start + needle->length <= haystack->length) {
		const uint8_t *at = memmem(haystack->data + start, haystack->length - start,
			needle->data, needle->length);
		if (!at)
			return -1;
		size_t index = (size_t)(at - haystack->data);
		if (index % step == 0)
			return (int64_t)index;
		start = index + 1;
	}
	return -1;
}

static int64_t find_backward(
	const struct bytes *haystack, const struct bytes *needle, size_t start, size_t step)
{
	size_t last = haystack->length - needle->length;
	if (start > last)
		start = last;
	start -= start % step;
	for (size_t i = start;; i -= step) {
		if (haystack->data[i] == needle->data[0] &&
			memcmp(haystack->data + i, needle->data, needle->length) == 0)
			return (int64_t)i;
		if (i < step)
			return -1;
	}
}

/* Of (view, needle, offset, encoding, forward, end). */
static engine_value *search(
	struct engine *engine, struct engine_call *call, const struct bytes *needle)
{
	struct bytes haystack;
	if (!view_argument(engine, call, 0, &haystack))
		return NULL;
	bool forward = engine_argument_bool(call, 4);
	size_t end = size_argument(engine, call, 5, haystack.length);
	size_t step = engine_argument_int32(call, 3) == ENCODING_UTF16 ? 2 : 1;
	if (end < haystack.length)
		haystack.length = end;
	int64_t start = search_start(
		haystack.length, engine_argument_number(call, 2), needle->length, forward);
	if (needle->length == 0)
		return engine_number(engine, (double)start);
	haystack.length -= haystack.length % step;
	if (start < 0 || needle->length > haystack.length ||
		(forward && (size_t)start + needle->length > haystack.length) ||
		needle->length < step)
		return engine_int32(engine, -1);
	int64_t found = forward ? find_forward(&haystack, needle, (size_t)start, step)
				: find_backward(&haystack, needle, (size_t)start, step);
	return engine_number(engine, (double)found);
}

static engine_value *index_of_bytes(struct engine *engine, struct engine_call *call)
{
	struct bytes needle;
	if (!view_argument(engine, call, 1, &needle))
		return NULL;
	return search(engine, call, &needle);
}

static engine_value *index_of_string(struct engine *engine, struct engine_call *call)
{
	struct bytes needle;
	enum encoding encoding = (enum encoding)engine_argument_int32(call, 3);
	cleanup_free uint8_t *encoded =
		encode(engine, engine_call_argument(engine, call, 1), encoding, &needle.length);
	if (!encoded)
		return out_of_memory(engine);
	needle.data = encoded;
	return search(engine, call, &needle);
}

/* indexOfNumber(view, number, offset, forward, end) */
static engine_value *index_of_number(struct engine *engine, struct engine_call *call)
{
	struct bytes haystack;
	if (!view_argument(engine, call, 0, &haystack))
		return NULL;
	int byte = (int)((uint32_t)engine_argument_int32(call, 1) & 0xFF);
	bool forward = engine_argument_bool(call, 3);
	size_t end = size_argument(engine, call, 4, haystack.length);
	if (end < haystack.length)
		haystack.length = end;
	int64_t start = search_start(haystack.length, engine_argument_number(call, 2), 1, forward);
	if (start < 0 || haystack.length == 0)
		return engine_int32(engine, -1);
	const uint8_t *at =
		forward ? memchr(haystack.data + start, byte, haystack.length - (size_t)start)
			: memrchr(haystack.data, byte, (size_t)start + 1);
	return engine_number(engine, at ? (double)(at - haystack.data) : -1);
}

/* ---- the rest ---- */

static engine_value *swap(struct engine *engine, struct engine_call *call, size_t size)
{
	struct bytes bytes;
	if (!view_argument(engine, call, 0, &bytes))
		return NULL;
	for (size_t i = 0; i + size <= bytes.length; i += size)
		for (size_t low = i, high = i + size - 1; low < high; low++, high--) {
			uint8_t byte = bytes.data[low];
			bytes.data[low] = bytes.data[high];
			bytes.data[high] = byte;
		}
	return engine_call_argument(engine, call, 0);
}

static engine_value *swap16(struct engine *engine, struct engine_call *call)
{
	return swap(engine, call, 2);
}

static engine_value *swap32(struct engine *engine, struct engine_call *call)
{
	return swap(engine, call, 4);
}

static engine_value *swap64(struct engine *engine, struct engine_call *call)
{
	return swap(engine, call, 8);
}

static engine_value *is_utf8(struct engine *engine, struct engine_call *call)
{
	struct bytes bytes;
	if (!view_argument(engine, call, 0, &bytes))
		return NULL;
	return engine_bool(engine, simdutf_validate_utf8((const char *)bytes.data, bytes.length));
}

static engine_value *is_ascii(struct engine *engine, struct engine_call *call)
{
	struct bytes bytes;
	if (!view_argument(engine, call, 0, &bytes))
		return NULL;
	return engine_bool(engine, simdutf_validate_ascii((const char *)bytes.data, bytes.length));
}

static const struct engine_native natives[] = {
	{"latin1Slice", latin1_slice, 3},
	{"asciiSlice", ascii_slice, 3},
	{"utf8Slice", utf8_slice, 3},
	{"ucs2Slice", ucs2_slice, 3},
	{"hexSlice", hex_slice, 3},
	{"base64Slice", base64_slice, 3},
	{"base64urlSlice", base64url_slice, 3},
	{"utf8Write", utf8_write, 4},
	{"latin1Write", latin1_write, 4},
	{"ucs2Write", ucs2_write, 4},
	{"hexWrite", hex_write, 4},
	{"base64Write", base64_write, 4},
	{"utf8Length", utf8_length, 1},
	{"bytesCompare", bytes_compare, 2},
	{"bytesCompareOffset", bytes_compare_offset, 6},
	{"bytesCopy", bytes_copy, 5},
	{"bytesFill", bytes_fill, 5},
	{"indexOfBytes", index_of_bytes, 6},
	{"indexOfString", index_of_string, 6},
	{"indexOfNumber", index_of_number, 5},
	{"swap16", swap16, 1},
	{"swap32", swap32, 1},
	{"swap64", swap64, 1},
	{"isUtf8", is_utf8, 1},
	{"isAscii", is_ascii, 1},
};

const struct native_module buffer_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
};
