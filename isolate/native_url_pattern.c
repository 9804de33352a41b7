/* Natives of isolate/js/url_pattern.js: what a pattern says, and what a URLPatternInit means
 * as a URL. Matching is JavaScript's, with V8's regular expressions. */

#include "isolate/engine/url_pattern.h"
#include "isolate/natives.h"

#include <stdlib.h>

enum { MEMBERS = URL_PATTERN_COMPONENTS + 1 }; /* of a URLPatternInit, baseURL being the last */

/* An input and the memory that it points to. */
struct taken_input {
	struct url_pattern_input input;
	char *texts[MEMBERS + 1];
	size_t count;
};

static void taken_free(struct taken_input *taken)
{
	for (size_t i = 0; i < taken->count; i++)
		free(taken->texts[i]);
}
#define cleanup_taken __attribute__((cleanup(taken_free)))

/* Nothing, unless VALUE is a string. */
static struct url_pattern_text take_text(
	struct engine *engine, struct taken_input *taken, engine_value *value)
{
	struct url_pattern_text text = {0};
	if (engine_typeof(value) != ENGINE_STRING)
		return text;
	char *data = engine_to_utf8(engine, value, &text.length);
	if (data)
		taken->texts[taken->count++] = data;
	text.data = data;
	return text;
}

/* VALUE is a string or an array of MEMBERS strings, undefined where there is none. False
 * with an exception pending when it is something else. */
static bool take_input(struct engine *engine, struct taken_input *taken, engine_value *value)
{
	if (engine_typeof(value) == ENGINE_STRING) {
		taken->input.text = take_text(engine, taken, value);
		return true;
	}
	if (!engine_is_array(value) || engine_array_length(value) != MEMBERS) {
		engine_throw(engine, "TypeError", NULL, "not an input of a URL pattern");
		return false;
	}
	for (uint32_t i = 0; i < MEMBERS; i++) {
		engine_value *member = engine_get_index(engine, value, i);
		if (!member)
			return false;
		struct url_pattern_text text = take_text(engine, taken, member);
		if (i < URL_PATTERN_COMPONENTS)
			taken->input.members[i] = text;
		else
			taken->input.base = text;
	}
	return true;
}

static engine_value *string_of(struct engine *engine, struct url_pattern_text text)
{
	return engine_string_utf8(engine, text.data ? text.data : "", text.length);
}

struct regexp_call {
	struct engine *engine;
	engine_value *function;
};

/* function(source, input or undefined) of url_pattern.js; an exception counts as no. */
static bool call_regexp(void *arg, struct url_pattern_text source, struct url_pattern_text input)
{
	struct regexp_call *call = arg;
	struct engine *engine = call->engine;
	struct engine_scope scope;
	engine_value *result;
	engine_scope_open(engine, &scope);
	engine_value *arguments[] = {
		string_of(engine, source),
		input.data ? string_of(engine, input) : engine_undefined(engine),
	};
	bool matches = arguments[0] && arguments[1] &&
		       engine_call_function(engine, call->function, engine_undefined(engine),
			       arguments, 2, &result) == 0 &&
		       engine_to_bool(engine, result);
	if (engine_exception_pending(engine))
		engine_exception_take(engine);
	engine_scope_close(engine, &scope);
	return matches;
}

/* [pattern, kind, text, whether it has regexp groups, names…] */
static engine_value *component_value(
	struct engine *engine, const struct url_pattern *pattern, unsigned index)
{
	enum { FIXED = 4 };
	struct url_pattern_component component;
	url_pattern_get(pattern, index, &component);
	engine_value **items = calloc(FIXED + component.name_count, sizeof items[0]);
	if (!items)
		return engine_throw(engine, "RangeError", NULL, "out of memory");
	items[0] = string_of(engine, component.pattern);
	items[1] = engine_int32(engine, component.kind);
	items[2] = string_of(engine, component.text);
	items[3] = engine_bool(engine, component.regexp_groups);
	for (size_t i = 0; i < component.name_count; i++)
		items[FIXED + i] = string_of(engine, url_pattern_name(pattern, index, i));
	/* Strings over V8's limit. */
	engine_value *result = NULL;
	if (!engine_exception_pending(engine))
		result = engine_array(engine, items, FIXED + component.name_count);
	free(items);
	return result;
}

/* urlPatternParse(input, base or undefined, whether to ignore case, regexp): its eight
 * components, or undefined. */
static engine_value *url_pattern_parse_native(struct engine *engine, struct engine_call *call)
{
	cleanup_taken struct taken_input taken = {0};
	struct regexp_call regexp = {engine, engine_call_argument(engine, call, 3)};
	if (engine_typeof(regexp.function) != ENGINE_FUNCTION)
		return engine_throw(engine, "TypeError", NULL, "not a function");
	if (!take_input(engine, &taken, engine_call_argument(engine, call, 0)))
		return NULL;
	if (taken.input.text.data)
		taken.input.base = take_text(engine, &taken, engine_call_argument(engine, call, 1));
	bool ignore_case = engine_to_bool(engine, engine_call_argument(engine, call, 2));
	struct url_pattern *pattern =
		url_pattern_parse(&taken.input, ignore_case, call_regexp, &regexp);
	if (!pattern)
		return NULL;
	engine_value *items[URL_PATTERN_COMPONENTS];
	engine_value *result = NULL;
	unsigned count = 0;
	while (count < URL_PATTERN_COMPONENTS &&
		(items[count] = component_value(engine, pattern, count)))
		count++;
	if (count == URL_PATTERN_COMPONENTS)
		result = engine_array(engine, items, count);
	url_pattern_free(pattern);
	return result;
}

struct process_target {
	struct engine *engine;
	engine_value *items[URL_PATTERN_COMPONENTS];
};

static void take_processed(void *arg, unsigned index, struct url_pattern_text text)
{
	struct process_target *target = arg;
	target->items[index] = string_of(target->engine, text);
}

/* urlPatternProcess(init): what is to be matched, eight strings, or undefined. */
static engine_value *url_pattern_process_native(struct engine *engine, struct engine_call *call)
{
	cleanup_taken struct taken_input taken = {0};
	struct process_target target = {.engine = engine};
	if (!take_input(engine, &taken, engine_call_argument(engine, call, 0)) ||
		!url_pattern_process(&taken.input, take_processed, &target) ||
		engine_exception_pending(engine))
		return NULL;
	return engine_array(engine, target.items, URL_PATTERN_COMPONENTS);
}

static const struct engine_native natives[] = {
	{"urlPatternParse", url_pattern_parse_native, 4},
	{"urlPatternProcess", url_pattern_process_native, 1},
};

const struct native_module url_pattern_natives = {
	.natives = natives,
	.native_count = sizeof natives / sizeof natives[0],
};
