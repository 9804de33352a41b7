#include "test/unit/engine_harness.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct engine *engine;
bool harness_in_child;
int counters_alive;
static engine_ref *kept;

/* ---- natives ---- */

static engine_value *native_add(struct engine *e, struct engine_call *call)
{
	return engine_int32(e, engine_argument_int32(call, 0) + engine_argument_int32(call, 1));
}

static engine_value *native_call(struct engine *e, struct engine_call *call)
{
	engine_value *argument = engine_call_argument(e, call, 1), *result;
	if (engine_call_function(e, engine_call_argument(e, call, 0), engine_undefined(e),
		    &argument, 1, &result) < 0)
		return NULL;
	return result;
}

static engine_value *native_fail(struct engine *e, struct engine_call *call)
{
	cleanup_free char *type = engine_to_utf8(e, engine_call_argument(e, call, 0), NULL);
	cleanup_free char *message = engine_to_utf8(e, engine_call_argument(e, call, 2), NULL);
	return engine_throw(e, type, "ERR_TEST", "%s", message);
}

/* Calls and takes what was thrown: nothing reaches the caller. */
static engine_value *native_swallow(struct engine *e, struct engine_call *call)
{
	if (engine_call_function(e, engine_call_argument(e, call, 0), engine_undefined(e), NULL, 0,
		    NULL) == -ECANCELED)
		return engine_exception_take(e);
	return NULL;
}

static engine_value *native_keep(struct engine *e, struct engine_call *call)
{
	kept = engine_ref_free(kept);
	kept = engine_ref_new(e, engine_call_argument(e, call, 0));
	return engine_ref_get(e, kept);
}

static engine_value *native_text_of(struct engine *e, struct engine_call *call)
{
	cleanup_free char *text = engine_exception_describe(e, engine_call_argument(e, call, 0));
	return engine_string(e, text);
}

/* ---- classes ---- */

struct counter {
	int value;
};

static engine_value *counter_construct(struct engine *e, struct engine_call *call)
{
	if (engine_call_count(call) > 0 && engine_argument_int32(call, 0) < 0)
		return engine_throw(e, "RangeError", NULL, "negative");
	struct counter *counter = calloc(1, sizeof *counter);
	counter->value = engine_argument_int32(call, 0);
	counters_alive++;
	engine_set_state(engine_call_this(e, call), counter);
	return NULL;
}

static void counter_destroy(void *state)
{
	counters_alive--;
	free(state);
}

static engine_value *counter_add(struct engine *e, struct engine_call *call)
{
	struct counter *counter = engine_call_state(call);
	counter->value += engine_argument_int32(call, 0);
	return engine_int32(e, counter->value);
}

static engine_value *counter_drop(struct engine *e, struct engine_call *call)
{
	counter_destroy(engine_call_state(call));
	engine_set_state(engine_call_this(e, call), NULL);
	return NULL;
}

static engine_value *counter_value(struct engine *e, struct engine_call *call)
{
	struct counter *counter = engine_call_state(call);
	return counter ? engine_int32(e, counter->value) : engine_null(e);
}

static engine_value *sealed_number(struct engine *e, struct engine_call *call)
{
	return engine_int32(e, *(const int *)engine_call_state(call));
}

static const struct engine_native natives[] = {
	{"add", native_add, 2},
	{"call", native_call, 2},
	{"fail", native_fail, 3},
	{"swallow", native_swallow, 1},
	{"keep", native_keep, 1},
	{"textOf", native_text_of, 1},
};
static const struct engine_native counter_methods[] = {
	{"add", counter_add, 1},
	{"drop", counter_drop, 0},
};
static const struct engine_native counter_getters[] = {{"value", counter_value, 0}};
static const struct engine_native sealed_getters[] = {{"number", sealed_number, 0}};
static const struct engine_class classes[] = {
	[HARNESS_CLASS_COUNTER] =
		{
			.name = "Counter",
			.construct = counter_construct,
			.methods = counter_methods,
			.method_count = ARRAY_LENGTH(counter_methods),
			.getters = counter_getters,
			.getter_count = ARRAY_LENGTH(counter_getters),
			.destroy = counter_destroy,
		},
	[HARNESS_CLASS_SEALED] =
		{
			.name = "Sealed",
			.getters = sealed_getters,
			.getter_count = ARRAY_LENGTH(sealed_getters),
		},
};

const struct engine_tables harness_tables = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
};

/* ---- life ---- */

int harness_open(void **state)
{
	(void)state;
	struct error error = {0};
	struct engine_options options = {.tables = &harness_tables};
	if (engine_process_init(&(struct engine_flags){0}, &error) < 0 ||
		engine_open(&options, &engine, &error) < 0) {
		fprintf(stderr, "%s\n", error.message);
		return -1;
	}
	return 0;
}

int harness_close(void **state)
{
	(void)state;
	kept = engine_ref_free(kept);
	engine_close(engine);
	engine = NULL;
	if (counters_alive != 0)
		fprintf(stderr, "%d counters were not destroyed\n", counters_alive);
	return counters_alive == 0 ? 0 : -1;
}

void harness_scope_close(struct engine_scope *scope)
{
	engine_scope_close(engine, scope);
}

/* ---- JavaScript ---- */

static const char *remember(char *text)
{
	static char *texts[8];
	static unsigned next;
	unsigned slot = next++ % ARRAY_LENGTH(texts);
	free(texts[slot]);
	return texts[slot] = text;
}

static char *describe_pending(void)
{
	engine_value *exception = engine_exception_take(engine);
	cleanup_free char *text =
		exception ? engine_exception_describe(engine, exception) : strdup("terminated");
	char *result = NULL;
	if (asprintf(&result, "! %s", text) < 0)
		abort();
	return result;
}

const char *caught(void)
{
	return remember(describe_pending());
}

const char *run(const char *source)
{
	SCOPE;
	engine_value *result;
	char *text;
	if (engine_run_script(engine, source, strlen(source), "test.js", &result) < 0)
		text = describe_pending();
	else
		text = engine_to_utf8(engine, result, NULL);
	engine_run_microtasks(engine);
	return remember(text ? text : strdup("! not convertible"));
}

engine_value *value(const char *source)
{
	engine_value *result = NULL;
	if (engine_run_script(engine, source, strlen(source), "test.js", &result) == 0)
		return result;
	const char *text = caught();
	if (harness_in_child) {
		fprintf(stderr, "%s: %s\n", source, text);
		_exit(99);
	}
	fail_msg("%s: %s", source, text);
	return result;
}

void harness_contains(const char *text, const char *part, const char *file, int line)
{
	if (!strstr(text, part)) {
		print_error("\"%s\" is not in:\n%s\n", part, text);
		_fail(file, line);
	}
}
