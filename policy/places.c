#include "policy/places.h"

#include "common/escape.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct scanner {
	struct places *places;
	uint32_t capacity;
	const char *text;
	size_t length, at;
	struct places_error *error;
};

static bool wrong_at(struct scanner *s, size_t offset, const char *message)
{
	s->error->offset = offset;
	s->error->message = message;
	return false;
}

/* The byte at the current position, -1 at the end. */
static int peek(const struct scanner *s)
{
	return s->at < s->length ? (unsigned char)s->text[s->at] : -1;
}

static void skip_space(struct scanner *s)
{
	while (s->at < s->length && strchr(" \t\r\n", s->text[s->at]) && s->text[s->at] != '\0')
		s->at++;
}

/* Says what is wrong with a byte that cannot stand here; EXPECTED where nothing
 * better is known. */
static bool unexpected(struct scanner *s, const char *expected)
{
	int byte = peek(s);
	if (byte == -1)
		return wrong_at(s, s->at, "the text ends too early: something is not closed");
	if (byte == '/' || byte == '#')
		return wrong_at(s, s->at, "JSON has no comments: remove it");
	if (byte == '\'')
		return wrong_at(s, s->at, "strings stand in double quotes");
	if (byte == 0xEF && s->at == 0)
		return wrong_at(s, s->at, "a byte order mark: save the file as UTF-8 without one");
	return wrong_at(s, s->at, expected);
}

static bool scan_escape(struct scanner *s)
{
	int byte = peek(s);
	if (byte == 'u') {
		for (size_t i = 1; i <= 4; i++) {
			char digit = s->at + i < s->length ? s->text[s->at + i] : '\0';
			if (digit == '\0' || !strchr("0123456789abcdefABCDEF", digit))
				return wrong_at(s, s->at - 1, "\\u needs four hex digits");
		}
		s->at += 5;
		return true;
	}
	if (byte <= 0 || !strchr("\"\\/bfnrt", byte))
		return wrong_at(s, s->at - 1, "unknown escape: write \\\\ for a backslash");
	s->at++;
	return true;
}

static bool scan_string(struct scanner *s)
{
	size_t start = s->at++;
	for (;;) {
		int byte = peek(s);
		if (byte == -1 || byte == '\n')
			return wrong_at(s, start, "the string that begins here has no end");
		if (byte < 0x20)
			return wrong_at(s, s->at, "a control character: write it as \\u00NN");
		s->at++;
		if (byte == '"')
			return true;
		if (byte == '\\' && !scan_escape(s))
			return false;
	}
}

static size_t scan_digits(struct scanner *s)
{
	size_t start = s->at;
	while (s->at < s->length && s->text[s->at] >= '0' && s->text[s->at] <= '9')
		s->at++;
	return s->at - start;
}

static bool scan_number(struct scanner *s)
{
	size_t start = s->at;
	if (peek(s) == '-')
		s->at++;
	bool zero = peek(s) == '0';
	size_t digits = scan_digits(s);
	if (digits == 0 || (zero && digits > 1))
		return wrong_at(s, start, "not a number as JSON writes it");
	if (peek(s) == '.') {
		s->at++;
		if (scan_digits(s) == 0)
			return wrong_at(s, start, "not a number as JSON writes it");
	}
	if (peek(s) == 'e' || peek(s) == 'E') {
		s->at++;
		if (peek(s) == '+' || peek(s) == '-')
			s->at++;
		if (scan_digits(s) == 0)
			return wrong_at(s, start, "not a number as JSON writes it");
	}
	return true;
}

static bool scan_word(struct scanner *s)
{
	static const char *const words[] = {"true", "false", "null"};
	size_t start = s->at, end = s->at;
	while (end < s->length && ((s->text[end] >= 'a' && s->text[end] <= 'z') ||
					  (s->text[end] >= 'A' && s->text[end] <= 'Z')))
		end++;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (end - start != strlen(words[i]) ||
			strncasecmp(s->text + start, words[i], end - start) != 0)
			continue;
		if (memcmp(s->text + start, words[i], end - start) != 0)
			return wrong_at(s, start, "true, false and null stand in lower case");
		s->at = end;
		return true;
	}
	return unexpected(s, "expected a value: a string in double quotes, a number, true, false, "
			     "null, [ or {");
}

static bool add_place(struct scanner *s, uint32_t parent, size_t key, uint32_t *ret_place)
{
	struct places *places = s->places;
	if (places->count == s->capacity) {
		uint32_t capacity = s->capacity ? s->capacity * 2 : 64;
		struct place *items = realloc(places->items, capacity * sizeof *items);
		if (!items) {
			s->error->out_of_memory = true;
			return wrong_at(s, s->at, "out of memory");
		}
		places->items = items;
		s->capacity = capacity;
	}
	*ret_place = places->count++;
	places->items[*ret_place] = (struct place){
		.parent = parent,
		.key = (uint32_t)key,
		.value = (uint32_t)s->at,
	};
	return true;
}

static bool scan_value(struct scanner *s, uint32_t parent, size_t key, int depth);

/* Members of an object up to '}', or elements of an array up to ']'. */
static bool scan_inside(struct scanner *s, uint32_t self, char close, int depth)
{
	size_t comma = 0; /* offset of the last one; 0 for none, since a bracket stands before */
	s->at++;
	for (;;) {
		size_t key = PLACES_NO_KEY;
		skip_space(s);
		if (peek(s) == close) {
			if (comma)
				return wrong_at(s, comma, "nothing follows this comma: remove it");
			s->at++;
			return true;
		}
		if (close == '}') {
			key = s->at;
			if (peek(s) != '"')
				return unexpected(s, "expected a key in double quotes");
			if (!scan_string(s))
				return false;
			skip_space(s);
			if (peek(s) != ':')
				return unexpected(s, "expected a colon after the key");
			s->at++;
			skip_space(s);
		}
		if (!scan_value(s, self, key, depth + 1))
			return false;
		skip_space(s);
		if (peek(s) == ',') {
			comma = s->at++;
		} else if (peek(s) == close) {
			s->at++;
			return true;
		} else {
			return unexpected(s,
				close == '}' ? "expected a comma or }" : "expected a comma or ]");
		}
	}
}

static bool scan_value(struct scanner *s, uint32_t parent, size_t key, int depth)
{
	uint32_t self;
	if (depth >= PLACES_DEPTH_MAX)
		return wrong_at(s, s->at, "nested too deeply: at most 32 levels");
	if (!add_place(s, parent, key, &self))
		return false;
	bool good;
	int byte = peek(s);
	if (byte == '{')
		good = scan_inside(s, self, '}', depth);
	else if (byte == '[')
		good = scan_inside(s, self, ']', depth);
	else if (byte == '"')
		good = scan_string(s);
	else if (byte == '-' || (byte >= '0' && byte <= '9'))
		good = scan_number(s);
	else
		good = scan_word(s);
	s->places->items[self].next = s->places->count;
	return good;
}

int places_read(const char *text, size_t length, struct places *ret, struct places_error *error)
{
	*ret = (struct places){.text = text, .length = length};
	*error = (struct places_error){0};
	struct scanner s = {.places = ret, .text = text, .length = length, .error = error};
	if (length > INT32_MAX) {
		wrong_at(&s, 0, "too long");
		return -EINVAL;
	}
	skip_space(&s);
	if (s.at == length) {
		wrong_at(&s, 0, "the text is empty: expected a JSON object");
		return -EINVAL;
	}
	bool good = scan_value(&s, 0, PLACES_NO_KEY, 0);
	if (good) {
		skip_space(&s);
		if (s.at < length)
			good = unexpected(&s, "something follows the end: remove it");
	}
	if (good)
		return 0;
	return error->out_of_memory ? -ENOMEM : -EINVAL;
}

void places_clear(struct places *places)
{
	free(places->items);
	*places = (struct places){0};
}

uint32_t places_child(const struct places *places, uint32_t place)
{
	return places->items[place].next > place + 1 ? place + 1 : 0;
}

uint32_t places_sibling(const struct places *places, uint32_t place)
{
	uint32_t next = places->items[place].next;
	uint32_t parent = places->items[place].parent;
	return next < places->items[parent].next && place != parent ? next : 0;
}

uint32_t places_at(const struct places *places, size_t offset)
{
	uint32_t found = 0;
	for (uint32_t i = 1; i < places->count; i++) {
		const struct place *place = &places->items[i];
		size_t start = place->key != PLACES_NO_KEY ? place->key : place->value;
		if (start > offset)
			break;
		found = i;
	}
	return found;
}

/* One token of a pointer: ~ and / as RFC 6901 has them, then fit for a terminal. */
static size_t put_token(char *text, size_t size, const char *token, size_t length)
{
	char coded[128];
	size_t used = 0;
	for (size_t i = 0; i < length && used + 2 < sizeof coded; i++) {
		coded[used] = token[i];
		if (token[i] == '~' || token[i] == '/') {
			coded[used++] = '~';
			coded[used] = token[i] == '~' ? '0' : '1';
		}
		used++;
	}
	return escape_line(text, size, coded, used, 0);
}

static size_t put_key(const struct places *places, uint32_t key, char *text, size_t size)
{
	struct places_error ignored;
	struct places unused = {0};
	struct scanner s = {.places = &unused,
		.text = places->text,
		.length = places->length,
		.at = key,
		.error = &ignored};
	scan_string(&s);
	json_t *string =
		json_loadb(places->text + key, s.at - key, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	size_t length = string ? put_token(text, size, json_string_value(string),
					 json_string_length(string))
			       : put_token(text, size, places->text + key + 1, s.at - key - 1);
	json_decref(string);
	return length;
}

size_t places_pointer(const struct places *places, uint32_t place, char *text, size_t size)
{
	if (place == 0) {
		text[0] = '\0';
		return 0;
	}
	uint32_t parent = places->items[place].parent;
	size_t length = places_pointer(places, parent, text, size);
	if (length + 2 > size)
		return length;
	text[length++] = '/';
	text[length] = '\0';
	if (places->items[place].key != PLACES_NO_KEY)
		return length +
		       put_key(places, places->items[place].key, text + length, size - length);
	size_t index = 0;
	for (uint32_t i = parent + 1; i != place; i = places->items[i].next)
		index++;
	char number[24];
	int digits = snprintf(number, sizeof number, "%zu", index);
	return length + escape_line(text + length, size - length, number, (size_t)digits, 0);
}

void places_line_column(
	const char *text, size_t length, size_t offset, size_t *ret_line, size_t *ret_column)
{
	size_t line = 1, column = 1;
	for (size_t i = 0; i < offset && i < length; i++) {
		if (text[i] == '\n') {
			line++;
			column = 1;
		} else if (((unsigned char)text[i] & 0xC0) != 0x80) {
			column++;
		}
	}
	*ret_line = line;
	*ret_column = column;
}
