#include "policy/document.h"

#include "common/escape.h"
#include "policy/policy.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Keeps the first problems in order of place; those at one place in order of arrival. */
static void note(struct document *document, size_t offset, const char *message)
{
	size_t position = document->problem_count;
	while (position > 0 && document->problems[position - 1].offset > offset)
		position--;
	if (document->problem_count == DOCUMENT_PROBLEMS_MAX)
		document->unkept_count++;
	else
		document->problem_count++;
	if (position == DOCUMENT_PROBLEMS_MAX)
		return;
	size_t behind = document->problem_count - position - 1;
	struct document_problem *problem = &document->problems[position];
	memmove(problem + 1, problem, behind * sizeof *problem);
	problem->offset = offset;
	snprintf(problem->message, sizeof problem->message, "%s", message);
}

__attribute__((format(printf, 4, 0))) static void note_at(
	struct document *document, uint32_t place, size_t offset, const char *format, va_list args)
{
	char message[512];
	size_t length = places_pointer(&document->places, place, message, 256);
	if (length > 0)
		length += (size_t)snprintf(message + length, sizeof message - length, ": ");
	vsnprintf(message + length, sizeof message - length, format, args);
	note(document, offset, message);
}

void document_problem(struct document *document, struct field field, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	note_at(document, field.place, document->places.items[field.place].value, format, args);
	va_end(args);
}

void document_key_problem(struct document *document, struct field field, const char *format, ...)
{
	const struct place *place = &document->places.items[field.place];
	va_list args;
	va_start(args, format);
	note_at(document, field.place, place->key != PLACES_NO_KEY ? place->key : place->value,
		format, args);
	va_end(args);
}

void document_type_problem(struct document *document, struct field field, const char *expected)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object",
		[JSON_ARRAY] = "a list",
		[JSON_STRING] = "a string",
		[JSON_INTEGER] = "a number",
		[JSON_REAL] = "a number with a fraction or exponent",
		[JSON_TRUE] = "true",
		[JSON_FALSE] = "false",
		[JSON_NULL] = "null",
	};
	document_problem(
		document, field, "expected %s, not %s", expected, names[json_typeof(field.value)]);
}

/* What jansson refuses although the scanner did not: bad UTF-8, lone surrogates,
 * numbers out of range, a key that is there twice. All of it is inside the token that
 * begins last before the byte that jansson had come to. */
static void note_jansson(struct document *document, const json_error_t *error)
{
	size_t reached = error->position > 0 ? (size_t)error->position - 1 : 0;
	struct field field = {.place = places_at(&document->places, reached)};
	const struct place *place = &document->places.items[field.place];
	bool in_key = place->key != PLACES_NO_KEY && place->value > reached;
	char text[JSON_ERROR_TEXT_LENGTH];
	switch (json_error_code(error)) {
	case json_error_out_of_memory:
		document->out_of_memory = true;
		return;
	case json_error_duplicate_key:
		snprintf(text, sizeof text, "this key is there twice: remove one");
		break;
	case json_error_null_character:
	case json_error_null_byte_in_key:
		snprintf(text, sizeof text, "\\u0000 is not allowed");
		break;
	case json_error_numeric_overflow:
		snprintf(text, sizeof text, "the number is too large");
		break;
	default:
		escape_line(text, sizeof text, error->text, strlen(error->text), 0);
	}
	if (in_key)
		document_key_problem(document, field, "%s", text);
	else
		document_problem(document, field, "%s", text);
}

/* The two parsers walked the same text; should they ever disagree about what is in it,
 * no place could be trusted, nor the permissions that were read. */
static bool same_shape(const struct places *places, uint32_t place, json_t *value)
{
	char first = places->text[places->items[place].value];
	uint32_t child = places_child(places, place);
	if (json_is_object(value)) {
		const char *key;
		json_t *member;
		json_object_foreach(value, key, member)
		{
			if (child == 0 || !same_shape(places, child, member))
				return false;
			child = places_sibling(places, child);
		}
		return first == '{' && child == 0;
	}
	if (json_is_array(value)) {
		size_t index;
		json_t *element;
		json_array_foreach(value, index, element)
		{
			if (child == 0 || !same_shape(places, child, element))
				return false;
			child = places_sibling(places, child);
		}
		return first == '[' && child == 0;
	}
	if (child != 0)
		return false;
	switch (json_typeof(value)) {
	case JSON_STRING:
		return first == '"';
	case JSON_TRUE:
		return first == 't';
	case JSON_FALSE:
		return first == 'f';
	case JSON_NULL:
		return first == 'n';
	default:
		return first == '-' || (first >= '0' && first <= '9');
	}
}

void document_open(
	struct document *document, const char *file_name, const char *text, size_t length)
{
	*document = (struct document){.file_name = file_name, .text = text, .length = length};
	if (length > POLICY_LENGTH_MAX) {
		note(document, 0, "larger than 1 MiB");
		return;
	}
	struct places_error wrong;
	if (places_read(text, length, &document->places, &wrong) < 0) {
		document->out_of_memory = wrong.out_of_memory;
		note(document, wrong.offset, wrong.message);
		return;
	}
	json_error_t error;
	document->root = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!document->root) {
		note_jansson(document, &error);
	} else if (!same_shape(&document->places, 0, document->root)) {
		note(document, 0, "internal error: two JSON parsers read this differently");
		json_decref(document->root);
		document->root = NULL;
	}
}

/* All problems that fit, as whole lines, and how many there are beside. */
static void describe(const struct document *document, char *text, size_t size)
{
	const size_t room_for_rest = 24;
	size_t used = 0, shown = 0;
	text[0] = '\0';
	for (; shown < document->problem_count; shown++) {
		const struct document_problem *problem = &document->problems[shown];
		size_t line, column;
		char row[1024];
		places_line_column(
			document->text, document->length, problem->offset, &line, &column);
		int length = snprintf(row, sizeof row, "%s%s:%zu:%zu: %s", shown ? "\n" : "",
			document->file_name, line, column, problem->message);
		bool fits = used + (size_t)length + room_for_rest < size;
		if (!fits && shown > 0)
			break;
		used += (size_t)snprintf(text + used, size - used, "%s", row);
		if (used >= size)
			return;
	}
	size_t rest = document->problem_count - shown + document->unkept_count;
	if (rest > 0)
		snprintf(text + used, size - used, "\n(and %zu more)", rest);
}

int document_close(struct document *document, struct error *error)
{
	int result = 0;
	if (document->out_of_memory) {
		result = error_errno(error, ENOMEM, "cannot read %s", document->file_name);
	} else if (document->problem_count > 0) {
		char text[sizeof error->message];
		describe(document, text, sizeof text);
		result = error_set(error, EINVAL, "%s", text);
	}
	json_decref(document->root);
	places_clear(&document->places);
	*document = (struct document){0};
	return result;
}

struct field document_root(const struct document *document)
{
	return (struct field){.value = document->root, .place = 0};
}

struct field document_member(const struct document *document, struct field object, const char *name)
{
	const char *key;
	struct field member = {.place = places_child(&document->places, object.place)};
	json_object_foreach(object.value, key, member.value)
	{
		if (strcmp(key, name) == 0)
			return member;
		member.place = places_sibling(&document->places, member.place);
	}
	return (struct field){.place = object.place};
}

const char *document_quote(char quoted[QUOTED_MAX], const char *text)
{
	const size_t most = QUOTED_MAX - sizeof "\"\"...";
	char escaped[QUOTED_MAX * 10];
	size_t length = strlen(text);
	size_t shown = length < most ? length : most;
	/* Cut between two characters, so that no part of one is shown as bad bytes. */
	for (;; shown--) {
		if (shown > 0 && shown < length && ((unsigned char)text[shown] & 0xC0) == 0x80)
			continue;
		if (escape_line(escaped, sizeof escaped, text, shown, 0) <= most)
			break;
	}
	snprintf(quoted, QUOTED_MAX, shown < length ? "\"%.*s...\"" : "\"%.*s\"", (int)most,
		escaped);
	return quoted;
}
