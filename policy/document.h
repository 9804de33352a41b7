/* A JSON text being read: its jansson value, the places of its values, and the
 * problems found so far. Readers go on after a problem, so that a person sees all of
 * them at once. */
#pragma once

#include "common/error.h"
#include "policy/places.h"

#include <jansson.h>

#define DOCUMENT_PROBLEMS_MAX 10

struct document_problem {
	size_t offset;
	char message[512]; /* with the JSON pointer */
};

struct document {
	const char *file_name; /* borrowed, as is the text */
	const char *text;
	size_t length;
	json_t *root;
	struct places places;
	struct document_problem problems[DOCUMENT_PROBLEMS_MAX];
	size_t problem_count; /* of those kept */
	size_t unkept_count;  /* of those beyond */
	bool out_of_memory;
};

/* A value and its place. */
struct field {
	json_t *value;
	uint32_t place;
};

/* Parses LENGTH bytes of TEXT. A failure is noted as a problem, and root is NULL. */
void document_open(
	struct document *document, const char *file_name, const char *text, size_t length);

/* Returns 0 when there was no problem; otherwise -EINVAL or -ENOMEM, with all problems
 * that fit in ERROR, one a line, in order of place. Clears DOCUMENT. */
int document_close(struct document *document, struct error *error);

struct field document_root(const struct document *document);

/* The member NAME of OBJECT; where there is none, its value is NULL and its place that
 * of OBJECT. */
struct field document_member(
	const struct document *document, struct field object, const char *name);

/* Notes a problem at the value of FIELD, or at its key. */
void document_problem(struct document *document, struct field field, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void document_key_problem(struct document *document, struct field field, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Notes that FIELD is not of the type it must be: "expected EXPECTED, not a number". */
void document_type_problem(struct document *document, struct field field, const char *expected);

/* TEXT in double quotes for a message: escaped, and cut when long. */
#define QUOTED_MAX 96
const char *document_quote(char quoted[QUOTED_MAX], const char *text);
