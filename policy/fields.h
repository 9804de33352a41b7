/* JSON objects read by tables: one row for each known key says how its value is read,
 * where it goes in the target struct, and what its range is. */
#pragma once

#include "policy/document.h"
#include "policy/policy.h"

struct field_rule;

typedef void field_reader(
	struct document *document, struct field field, const struct field_rule *rule, void *target);

struct field_rule {
	const char *key;
	field_reader *read;
	size_t offset; /* of what it fills, in the target */

	uint64_t least, most; /* field_count, _size, _duration, _percent: uint64_t */

	const char *const *names; /* field_choice: an unsigned int, the index in NAMES */
	size_t name_count;

	/* field_strings: a struct policy_list, its items checked by CHECK. */
	int (*check)(const char *text, struct error *error);

	const struct field_rule *keys; /* field_object: read into the same target */
	size_t key_count;
};

/* Each notes a problem where the value is not what it must be, and then leaves the
 * target alone. */
field_reader field_object;
field_reader field_boolean; /* a bool */
field_reader field_count;
field_reader field_size;
field_reader field_duration;
field_reader field_percent;
field_reader field_choice;
field_reader field_strings;
field_reader field_unsupported; /* known, and refused */

/* Iterates over the elements of a list: `for (…; field_next(&walk);)` with walk.field
 * set. field_list_begin notes a problem unless FIELD is a list of at most MOST. */
struct field_walk {
	const struct places *places;
	json_t *list;
	size_t index;
	struct field field;
};
bool field_list_begin(struct document *document, struct field field, const char *expected,
	size_t most, struct field_walk *ret_walk);
bool field_next(struct field_walk *walk);

/* The string of FIELD; NULL, with the problem noted, when it is something else. */
const char *field_text(struct document *document, struct field field, const char *expected);

/* The one of NAMES that NAME was probably meant to be; NULL for none. */
const char *field_nearest(const char *name, const char *const *names, size_t count);

/* Appends to ITEMS (COUNT elements of SIZE bytes) a zeroed element. NULL, with
 * document->out_of_memory set, when there is no memory. */
void *field_append(struct document *document, void **items, size_t *count, size_t size);
