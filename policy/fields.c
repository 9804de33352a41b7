#include "policy/fields.h"

#include "common/cleanup.h"
#include "common/units.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#define KEYS_MAX 16        /* of one object */
#define NAME_LENGTH_MAX 32 /* that a suggestion is sought for */

/* Optimal string alignment: insert, remove, replace a letter, or swap two. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][NAME_LENGTH_MAX + 1];
	size_t a_length = strlen(a), b_length = strlen(b);
	if (a_length > NAME_LENGTH_MAX || b_length > NAME_LENGTH_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= b_length; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		size_t *row = rows[i % 3], *above = rows[(i - 1) % 3], *over = rows[(i + 1) % 3];
		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
			if (above[j] + 1 < best)
				best = above[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				over[j - 2] + 1 < best)
				best = over[j - 2] + 1;
			row[j] = best;
		}
	}
	return rows[a_length % 3][b_length];
}

/* "mem" for memory, "network" for net. */
static bool is_abbreviation(const char *a, const char *b)
{
	size_t length = strlen(a) < strlen(b) ? strlen(a) : strlen(b);
	return length >= 3 && strncasecmp(a, b, length) == 0;
}

const char *field_nearest(const char *name, const char *const *names, size_t count)
{
	const char *nearest = NULL;
	size_t least = SIZE_MAX;
	for (size_t i = 0; i < count; i++) {
		if (strcasecmp(name, names[i]) == 0 || is_abbreviation(name, names[i]))
			return names[i];
		size_t here = distance(name, names[i]);
		if (here < least) {
			least = here;
			nearest = names[i];
		}
	}
	/* A third of its letters may be wrong; more is another word. */
	return nearest && least <= 1 + strlen(nearest) / 4 && least < strlen(nearest) ? nearest
										      : NULL;
}

/* "a, b, c" */
static void join(char *text, size_t size, const char *const *names, size_t count)
{
	size_t used = 0;
	text[0] = '\0';
	for (size_t i = 0; i < count && used < size; i++)
		used += (size_t)snprintf(
			text + used, size - used, "%s%s", i > 0 ? ", " : "", names[i]);
}

static void unknown_key(struct document *document, struct field member, const char *key,
	const struct field_rule *object)
{
	const char *names[KEYS_MAX];
	size_t count = 0;
	for (size_t i = 0; i < object->key_count && count < KEYS_MAX; i++)
		if (object->keys[i].read != field_unsupported)
			names[count++] = object->keys[i].key;
	const char *nearest = field_nearest(key, names, count);
	if (nearest) {
		document_key_problem(
			document, member, "unknown key: did you mean \"%s\"?", nearest);
		return;
	}
	char known[256];
	join(known, sizeof known, names, count);
	document_key_problem(document, member, "unknown key: known here are %s", known);
}

void field_object(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	if (!json_is_object(field.value)) {
		document_type_problem(document, field, "an object");
		return;
	}
	const char *key;
	struct field member = {.place = places_child(&document->places, field.place)};
	json_object_foreach(field.value, key, member.value)
	{
		const struct field_rule *found = NULL;
		for (size_t i = 0; i < rule->key_count && !found; i++)
			if (strcmp(rule->keys[i].key, key) == 0)
				found = &rule->keys[i];
		if (found)
			found->read(document, member, found, target);
		else
			unknown_key(document, member, key, rule);
		member.place = places_sibling(&document->places, member.place);
	}
}

void field_boolean(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	if (!json_is_boolean(field.value)) {
		document_type_problem(document, field, "true or false");
		return;
	}
	*(bool *)((char *)target + rule->offset) = json_is_true(field.value);
}

void field_count(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	if (!json_is_integer(field.value)) {
		document_type_problem(document, field, "a whole number");
		return;
	}
	json_int_t value = json_integer_value(field.value);
	if (value < 0 || (uint64_t)value < rule->least || (uint64_t)value > rule->most) {
		document_problem(document, field,
			"%" JSON_INTEGER_FORMAT " is out of range %" PRIu64 "-%" PRIu64, value,
			rule->least, rule->most);
		return;
	}
	*(uint64_t *)((char *)target + rule->offset) = (uint64_t)value;
}

/* A number with a unit. */
struct unit_kind {
	const char *expected;
	int (*parse)(const char *text, uint64_t *ret_value);
	void (*format)(uint64_t value, char text[UNITS_TEXT_MAX]);
};

static void field_unit(struct document *document, struct field field, const struct field_rule *rule,
	void *target, const struct unit_kind *kind)
{
	const char *text = field_text(document, field, kind->expected);
	if (!text)
		return;
	char quoted[QUOTED_MAX];
	uint64_t value;
	int result = kind->parse(text, &value);
	if (result == -EINVAL) {
		document_problem(document, field, "expected %s, not %s", kind->expected,
			document_quote(quoted, text));
	} else if (result < 0 || value < rule->least || value > rule->most) {
		char least[UNITS_TEXT_MAX], most[UNITS_TEXT_MAX];
		kind->format(rule->least, least);
		kind->format(rule->most, most);
		document_problem(document, field, "%s is out of range \"%s\" to \"%s\"",
			document_quote(quoted, text), least, most);
	} else {
		*(uint64_t *)((char *)target + rule->offset) = value;
	}
}

void field_size(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	static const struct unit_kind kind = {
		"a size such as \"64K\", \"128M\" or \"2G\"", units_parse_size, units_format_size};
	field_unit(document, field, rule, target, &kind);
}

void field_duration(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	static const struct unit_kind kind = {
		"a duration such as \"500ms\", \"30s\", \"5m\" or \"1h\"", units_parse_duration,
		units_format_duration};
	field_unit(document, field, rule, target, &kind);
}

void field_percent(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	static const struct unit_kind kind = {"a percentage of one core such as \"50%\"",
		units_parse_percent, units_format_percent};
	field_unit(document, field, rule, target, &kind);
}

void field_choice(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	char expected[128] = "one of ";
	join(expected + strlen(expected), sizeof expected - strlen(expected), rule->names,
		rule->name_count);
	const char *text = field_text(document, field, expected);
	if (!text)
		return;
	for (size_t i = 0; i < rule->name_count; i++) {
		if (strcmp(rule->names[i], text) == 0) {
			*(unsigned *)((char *)target + rule->offset) = (unsigned)i;
			return;
		}
	}
	char quoted[QUOTED_MAX];
	document_quote(quoted, text);
	const char *nearest = field_nearest(text, rule->names, rule->name_count);
	if (nearest)
		document_problem(document, field, "expected %s, not %s: did you mean \"%s\"?",
			expected, quoted, nearest);
	else
		document_problem(document, field, "expected %s, not %s", expected, quoted);
}

void field_strings(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	struct policy_list *list = (struct policy_list *)((char *)target + rule->offset);
	struct field_walk walk;
	if (!field_list_begin(document, field, "a list of strings", POLICY_LIST_MAX, &walk))
		return;
	while (field_next(&walk)) {
		struct error error;
		const char *text = field_text(document, walk.field, "a string");
		if (!text)
			continue;
		if (rule->check(text, &error) < 0) {
			document_problem(document, walk.field, "%s", error.message);
			continue;
		}
		bool twice = false;
		for (size_t i = 0; i < list->count && !twice; i++)
			twice = strcmp(list->items[i], text) == 0;
		if (twice) {
			document_problem(document, walk.field, "is there twice: remove one");
			continue;
		}
		char **item = field_append(
			document, (void **)&list->items, &list->count, sizeof *list->items);
		if (!item)
			return;
		*item = strdup(text);
		if (!*item) {
			document->out_of_memory = true;
			return;
		}
	}
}

void field_unsupported(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	(void)rule;
	(void)target;
	document_key_problem(document, field, "not supported yet: remove it");
}

bool field_list_begin(struct document *document, struct field field, const char *expected,
	size_t most, struct field_walk *ret_walk)
{
	if (!json_is_array(field.value)) {
		document_type_problem(document, field, expected);
		return false;
	}
	if (json_array_size(field.value) > most) {
		document_problem(document, field, "%zu entries: at most %zu are allowed",
			json_array_size(field.value), most);
		return false;
	}
	*ret_walk = (struct field_walk){
		.places = &document->places,
		.list = field.value,
		.field = {.place = field.place},
	};
	return true;
}

bool field_next(struct field_walk *walk)
{
	if (walk->index >= json_array_size(walk->list))
		return false;
	walk->field.place = walk->index == 0 ? places_child(walk->places, walk->field.place)
					     : places_sibling(walk->places, walk->field.place);
	walk->field.value = json_array_get(walk->list, walk->index++);
	return true;
}

const char *field_text(struct document *document, struct field field, const char *expected)
{
	if (json_is_string(field.value))
		return json_string_value(field.value);
	document_type_problem(document, field, expected);
	return NULL;
}

void *field_append(struct document *document, void **items, size_t *count, size_t size)
{
	/* Lists are short (POLICY_LIST_MAX): growing by one is simple, and fast enough. */
	char *larger = reallocarray(*items, *count + 1, size);
	if (!larger) {
		document->out_of_memory = true;
		return NULL;
	}
	*items = larger;
	memset(larger + *count * size, 0, size);
	return larger + (*count)++ * size;
}
