/* What the passage between C and JavaScript costs. Prints nanoseconds; asserts nothing. */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/error.h"
#include "isolate/engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 1000000

static struct engine *engine;

static engine_value *native_add(struct engine *e, struct engine_call *call)
{
	return engine_int32(e, engine_argument_int32(call, 0) + engine_argument_int32(call, 1));
}

static engine_value *native_nothing(struct engine *e, struct engine_call *call)
{
	(void)e, (void)call;
	return NULL;
}

static engine_value *run(const char *source)
{
	engine_value *result = NULL;
	if (engine_run_script(engine, source, strlen(source), "bench.js", &result) < 0) {
		fprintf(stderr, "%s\n",
			engine_exception_describe(engine, engine_exception_take(engine)));
		exit(1);
	}
	return result;
}

/* Best of five, each in a scope of its own. */
#define MEASURE(name, ...)                                                                         \
	do {                                                                                       \
		uint64_t best = UINT64_MAX;                                                        \
		for (int round_ = 0; round_ < 5; round_++) {                                       \
			uint64_t start_ = clock_ns();                                              \
			for (int i = 0; i < ROUNDS; i++) {                                         \
				struct engine_scope inner;                                         \
				engine_scope_open(engine, &inner);                                 \
				__VA_ARGS__;                                                       \
				engine_scope_close(engine, &inner);                                \
			}                                                                          \
			uint64_t took_ = clock_ns() - start_;                                      \
			best = took_ < best ? took_ : best;                                        \
		}                                                                                  \
		printf("%-42s %7.1f ns\n", name, (double)best / ROUNDS);                           \
	} while (0)

static void call_functions(void)
{
	engine_value *function = run("(a, b, c) => a + b + c");
	engine_value *receiver = engine_undefined(engine);
	engine_ref *ref = engine_ref_new(engine, function);
	MEASURE("C to JavaScript, 3 integers", {
		engine_value *arguments[] = {
			engine_int32(engine, i), engine_int32(engine, 2), engine_int32(engine, 3)};
		engine_call_function(engine, function, receiver, arguments, 3, NULL);
	});
	MEASURE("C to JavaScript, no arguments, by reference",
		engine_call_function(engine, engine_ref_get(engine, ref), receiver, NULL, 0, NULL));
	engine_ref_free(ref);
}

static void use_values(void)
{
	char text[32];
	engine_value *string = engine_string_latin1(engine, "hello world 1234", 16);
	engine_value *object = run("({status: 200})");
	engine_value *bytes = engine_bytes_new(engine, 64, NULL);
	void *data;
	size_t length;
	MEASURE("open and close a scope", (void)i);
	MEASURE("make a one-byte string of 16",
		engine_string_latin1(engine, "hello world 1234", 16));
	MEASURE("make a UTF-8 string of 16", engine_string_utf8(engine, "hello world 1234", 16));
	MEASURE("read a one-byte string of 16",
		engine_string_write_latin1(engine, string, text, 16));
	MEASURE("read a UTF-8 string of 16",
		engine_string_write_utf8(engine, string, text, sizeof text, NULL));
	MEASURE("get a property", engine_get(engine, object, "status"));
	MEASURE("look at bytes", engine_bytes_get(bytes, &data, &length));
	MEASURE("empty microtask checkpoint", engine_run_microtasks(engine));
	MEASURE("ask whether microtasks wait", engine_has_microtasks(engine));
	MEASURE("run no tasks", engine_run_tasks(engine));
}

static void from_javascript(const char *name, const char *function)
{
	char source[400];
	snprintf(source, sizeof source,
		"(() => { const f = %s; let s = 0;"
		" const loop = n => { for (let i = 0; i < n; i++) s = f(i, 1); };"
		" loop(1e5); loop(1e5); let best = Infinity;"
		" for (let r = 0; r < 5; r++) { const t = Date.now(); loop(3e6);"
		"  best = Math.min(best, Date.now() - t) }"
		" return best / 3 })()",
		function);
	printf("%-42s %7.1f ns\n", name, engine_to_number(engine, run(source)));
}

int main(void)
{
	static const struct engine_native natives[] = {
		{"add", native_add, 2}, {"nothing", native_nothing, 0}};
	static const struct engine_tables tables = {.natives = natives, .native_count = 2};
	struct engine_options options = {.tables = &tables};
	struct error error;
	struct engine_scope scope;
	if (engine_process_init(&(struct engine_flags){0}, &error) < 0 ||
		engine_open(&options, &engine, &error) < 0) {
		fprintf(stderr, "%s\n", error.message);
		return 1;
	}
	engine_scope_open(engine, &scope);
	printf("V8 %s\n", engine_version());
	call_functions();
	from_javascript("JavaScript to C, 2 integers", "native.add");
	from_javascript("JavaScript to C, nothing", "native.nothing");
	use_values();
	engine_scope_close(engine, &scope);
	engine_close(engine);
	return 0;
}
