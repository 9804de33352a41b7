#include "common/escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Decodes one UTF-8 sequence (Unicode 15, table 3-7). Returns its length, 0 if the
 * bytes are not a well-formed sequence. */
static size_t decode(const unsigned char *s, size_t length, uint32_t *ret_point)
{
	if (s[0] < 0x80) {
		*ret_point = s[0];
		return 1;
	}
	size_t need = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
	if (s[0] < 0xC2 || s[0] > 0xF4 || length < need)
		return 0;
	uint32_t point = s[0] & (0xFF >> (need + 1));
	for (size_t i = 1; i < need; i++) {
		if ((s[i] & 0xC0) != 0x80)
			return 0;
		point = point << 6 | (s[i] & 0x3F);
	}
	if ((need == 3 && (point < 0x800 || (point >= 0xD800 && point <= 0xDFFF))) ||
		(need == 4 && (point < 0x10000 || point > 0x10FFFF)))
		return 0;
	*ret_point = point;
	return need;
}

static bool is_dangerous(uint32_t point)
{
	return point < 0x20 || (point >= 0x7F && point <= 0x9F) || point == 0x061C ||
	       point == 0x200E || point == 0x200F || (point >= 0x2028 && point <= 0x202E) ||
	       (point >= 0x2066 && point <= 0x2069) || point == 0xFEFF;
}

size_t escape_line(char *target, size_t size, const char *source, size_t length, int keep_tab)
{
	const unsigned char *s = (const unsigned char *)source;
	size_t out = 0;
	if (size == 0)
		return 0;
	while (length > 0) {
		char piece[16];
		size_t piece_length;
		uint32_t point;
		size_t used = decode(s, length, &point);
		if (used == 0) {
			used = 1;
			piece_length = (size_t)snprintf(piece, sizeof piece, "\\x%02x", s[0]);
		} else if (point == '\\') {
			piece_length = (size_t)snprintf(piece, sizeof piece, "\\\\");
		} else if (is_dangerous(point) && !(point == '\t' && keep_tab)) {
			piece_length = (size_t)snprintf(
				piece, sizeof piece, point < 0x80 ? "\\x%02x" : "\\u{%x}", point);
		} else {
			memcpy(piece, s, used);
			piece_length = used;
		}
		if (out + piece_length >= size)
			break;
		memcpy(target + out, piece, piece_length);
		out += piece_length;
		s += used;
		length -= used;
	}
	target[out] = '\0';
	return out;
}

const char *escape_for_log(const char *source)
{
	static char buffers[4][512];
	static unsigned next;
	char *buffer = buffers[next++ % 4];
	const size_t size = sizeof buffers[0];
	size_t out = 0;
	/* From quote to quote, while the longest escape and a quote have room. */
	for (;;) {
		size_t part = strcspn(source, "\"");
		out += escape_line(buffer + out, size - out, source, part, 0);
		source += part;
		if (*source == '\0' || size - out < 16)
			return buffer;
		memcpy(buffer + out, "\\\"", sizeof "\\\"");
		out += 2;
		source++;
	}
}
