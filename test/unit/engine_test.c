/* Values, calls, exceptions, classes, promises, bytes, clones. */
#include "common/cleanup.h"
#include "test/unit/engine_harness.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- values and strings ---- */

static void values_have_their_types(void **state)
{
	(void)state;
	SCOPE;
	static const struct {
		const char *source;
		enum engine_type type;
		const char *kind;
	} rows[] = {
		{"undefined", ENGINE_UNDEFINED, ""},
		{"null", ENGINE_NULL, ""},
		{"true", ENGINE_BOOLEAN, ""},
		{"1.5", ENGINE_NUMBER, ""},
		{"7n", ENGINE_BIGINT, ""},
		{"'x'", ENGINE_STRING, ""},
		{"Symbol('x')", ENGINE_SYMBOL, ""},
		{"() => 1", ENGINE_FUNCTION, ""},
		{"(class {})", ENGINE_FUNCTION, ""},
		{"(async () => 1)", ENGINE_FUNCTION, "AsyncFunction"},
		{"(function* () {})", ENGINE_FUNCTION, "GeneratorFunction"},
		{"(async function* () {})", ENGINE_FUNCTION, "AsyncGeneratorFunction"},
		{"({})", ENGINE_OBJECT, ""},
		{"[]", ENGINE_OBJECT, "Array"},
		{"Promise.resolve()", ENGINE_OBJECT, "Promise"},
		{"new Proxy([], {})", ENGINE_OBJECT, "Proxy"},
		{"new Map().entries()", ENGINE_OBJECT, "Map Iterator"},
		{"new Set().values()", ENGINE_OBJECT, "Set Iterator"},
		{"(function* () {})()", ENGINE_OBJECT, "Generator"},
		{"new WeakRef({})", ENGINE_OBJECT, "WeakRef"},
		{"new Date(0)", ENGINE_OBJECT, "Date"},
		{"/x/", ENGINE_OBJECT, "RegExp"},
		{"new Float32Array(2)", ENGINE_OBJECT, "Float32Array"},
		{"new SharedArrayBuffer(2)", ENGINE_OBJECT, "SharedArrayBuffer"},
		{"new Number(1)", ENGINE_OBJECT, "Number"},
		{"(function () { return arguments })()", ENGINE_OBJECT, "Arguments"},
		{"new RangeError", ENGINE_OBJECT, "Error"},
		{"Object.create(Error.prototype)", ENGINE_OBJECT, ""},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		engine_value *it = value(rows[i].source);
		if (engine_typeof(it) != rows[i].type || strcmp(engine_kind(it), rows[i].kind) != 0)
			fail_msg("%s: type %d, kind \"%s\"", rows[i].source, engine_typeof(it),
				engine_kind(it));
	}
	assert_true(engine_is_error(value("new TypeError")));
	assert_false(engine_is_error(value("({name: 'Error'})")));
	assert_true(engine_is_promise(value("(async () => 1)()")));
	assert_false(engine_is_promise(value("({then() {}})")));
	assert_true(engine_is_array(value("[]")));
	assert_true(engine_is_date(value("new Date")));
	assert_true(engine_is_buffer_or_view(value("new DataView(new ArrayBuffer(1))")));
	assert_false(engine_is_buffer_or_view(value("[1]")));
}

static void conversions_run_no_javascript(void **state)
{
	(void)state;
	SCOPE;
	assert_true(engine_to_int32(engine, value("2 ** 32 + 5")) == 5);
	assert_int_equal(engine_to_int32(engine, value("-1.9")), -1);
	assert_int_equal(engine_to_int32(engine, value("NaN")), 0);
	assert_int_equal(engine_to_int32(engine, value("'7'")), 0);
	assert_int_equal(engine_to_int32(engine, value("({valueOf() { throw 1 }})")), 0);
	assert_true(engine_to_number(engine, value("0.25")) == 0.25);
	assert_true(engine_to_number(engine, value("true")) == 1);
	assert_true(isnan(engine_to_number(engine, value("NaN"))));
	assert_true(engine_to_bool(engine, value("'0'")));
	assert_false(engine_to_bool(engine, value("''")));
	assert_true(engine_strict_equals(value("1"), engine_number(engine, 1)));
	assert_false(engine_strict_equals(value("'1'"), engine_int32(engine, 1)));
	assert_false(engine_exception_pending(engine));
	cleanup_free char *big =
		engine_to_utf8(engine, engine_bigint_u64(engine, UINT64_MAX), NULL);
	assert_string_equal(big, "18446744073709551615");
	cleanup_free char *symbol = engine_to_utf8(engine, value("Symbol('s')"), NULL);
	assert_string_equal(symbol, "Symbol(s)");
	assert_null(engine_to_utf8(engine, value("({toString() { throw 1 }})"), NULL));
	assert_false(engine_exception_pending(engine));
}

static void strings_cross_in_every_encoding(void **state)
{
	(void)state;
	SCOPE;
	char text[32];
	size_t read;
	engine_value *string =
		engine_string_utf8(engine, "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 10);
	assert_int_equal(engine_string_length(string), 5);
	assert_false(engine_string_is_one_byte(string));
	assert_int_equal(engine_string_utf8_length(engine, string), 10);
	assert_int_equal(engine_string_write_utf8(engine, string, text, sizeof text, &read), 10);
	assert_int_equal(read, 5);
	assert_memory_equal(text, "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 10);
	/* Room for 8: the last character is not cut. */
	assert_int_equal(engine_string_write_utf8(engine, string, text, 8, &read), 6);
	assert_int_equal(read, 3);

	engine_value *bad = engine_string_utf8(engine, "a\xff\xe2\x82z", 5);
	uint16_t units[8];
	assert_int_equal(engine_string_length(bad), 4);
	engine_string_write_utf16(engine, bad, units, 4);
	assert_int_equal(units[1], 0xfffd);
	assert_int_equal(units[2], 0xfffd);

	engine_value *lone = engine_string_utf16(engine, (uint16_t[]){'a', 0xd800, 'b'}, 3);
	assert_int_equal(engine_string_utf8_length(engine, lone), 5);
	assert_int_equal(engine_string_write_utf8(engine, lone, text, sizeof text, NULL), 5);
	assert_memory_equal(text,
		"a\xef\xbf\xbd"
		"b",
		5);

	engine_value *latin = engine_string_latin1(engine, "\xe4\x00x", 3);
	assert_true(engine_string_is_one_byte(latin));
	engine_string_write_latin1(engine, latin, text, 3);
	assert_memory_equal(text, "\xe4\x00x", 3);
	assert_true(engine_strict_equals(latin, value("'\\xe4\\0x'")));
	assert_true(engine_strict_equals(
		engine_string_internalized(engine, "once"), engine_string(engine, "once")));
}

static void a_string_over_the_limit_is_a_range_error(void **state)
{
	(void)state;
	SCOPE;
	size_t length = (1u << 29) + 1;
	char *data = malloc(length);
	memset(data, 'x', length);
	assert_null(engine_string_latin1(engine, data, length));
	free(data);
	assert_contains(caught(), "RangeError: Cannot create a string longer than");
}

static void properties_are_read_and_written(void **state)
{
	(void)state;
	SCOPE;
	engine_value *object = engine_object(engine);
	assert_int_equal(engine_set(engine, object, "a", engine_int32(engine, 4)), 0);
	assert_int_equal(engine_to_int32(engine, engine_get(engine, object, "a")), 4);
	assert_int_equal(engine_typeof(engine_get(engine, object, "b")), ENGINE_UNDEFINED);
	assert_int_equal(
		engine_typeof(engine_get(engine, engine_null(engine), "b")), ENGINE_UNDEFINED);
	engine_value *items[] = {engine_bool(engine, true), engine_string(engine, "x")};
	engine_value *array = engine_array(engine, items, 2);
	assert_int_equal(engine_array_length(array), 2);
	assert_int_equal(engine_set_index(engine, array, 4, engine_null(engine)), 0);
	assert_int_equal(engine_array_length(array), 5);
	assert_true(engine_strict_equals(engine_get_index(engine, array, 1), items[1]));

	engine_value *trap =
		value("({get bad() { throw new Error('got') }, set bad(x) { throw 's' }})");
	assert_null(engine_get(engine, trap, "bad"));
	assert_contains(caught(), "Error: got");
}

static void no_setter_runs_in_the_middle_of_c(void **state)
{
	(void)state;
	SCOPE;
	run("const trap = { configurable: true, set() { throw 's' } };"
	    "Object.defineProperty(Object.prototype, 'bad', trap);"
	    "Object.defineProperty(Array.prototype, 0, trap)");
	engine_value *object = engine_object(engine), *array = engine_array(engine, NULL, 0);
	assert_int_equal(engine_set(engine, object, "bad", engine_int32(engine, 4)), 0);
	assert_int_equal(engine_set_index(engine, array, 0, engine_int32(engine, 5)), 0);
	run("delete Object.prototype.bad; delete Array.prototype[0]");
	assert_int_equal(engine_to_int32(engine, engine_get(engine, object, "bad")), 4);
	assert_int_equal(engine_to_int32(engine, engine_get_index(engine, array, 0)), 5);
	assert_int_equal(
		engine_set(engine, value("new Proxy({}, { defineProperty() { throw 's' } })"),
			"bad", object),
		-ECANCELED);
	assert_contains(caught(), "'s'");
}

static void a_value_escapes_its_scope(void **state)
{
	(void)state;
	SCOPE;
	struct engine_scope inner;
	engine_scope_open(engine, &inner);
	engine_value *object = value("({mark: 42})");
	for (int i = 0; i < 5000; i++)
		engine_object(engine); /* more than one block of handles */
	object = engine_scope_escape(engine, &inner, object);
	engine_collect_garbage(engine);
	assert_int_equal(engine_to_int32(engine, engine_get(engine, object, "mark")), 42);
}

static void a_reference_outlives_scopes(void **state)
{
	(void)state;
	engine_ref *ref;
	{
		SCOPE;
		ref = engine_ref_new(engine, value("({mark: 43})"));
	}
	engine_collect_garbage(engine);
	SCOPE;
	assert_int_equal(
		engine_to_int32(engine, engine_get(engine, engine_ref_get(engine, ref), "mark")),
		43);
	assert_null(engine_ref_free(ref));
	assert_null(engine_ref_free(NULL));
}

/* ---- calls and exceptions ---- */

static void natives_are_called(void **state)
{
	(void)state;
	assert_runs("native.add(40, 2)", "42");
	assert_runs("native.add.name + native.add.length", "add2");
	assert_runs("try { new native.add } catch (e) { e.name }", "TypeError");
	assert_runs("native.add('x', 1.9)", "1");
	assert_runs("native.add()", "0");
	assert_runs("native.call(x => x * 2, 21)", "42");
	SCOPE;
	engine_value *function = engine_function(engine, 0), *result;
	engine_value *arguments[] = {engine_int32(engine, 1), engine_int32(engine, 2)};
	assert_int_equal(engine_call_function(
				 engine, function, engine_undefined(engine), arguments, 2, &result),
		0);
	assert_int_equal(engine_to_int32(engine, result), 3);
	assert_true(engine_strict_equals(
		engine_native_object(engine), engine_get(engine, engine_global(engine), "native")));
}

static void exceptions_cross_native_frames(void **state)
{
	(void)state;
	assert_runs("try { native.fail('RangeError', 0, 'm') } catch (e) {"
		    " [e.name, e.code, e.message, e instanceof RangeError].join() }",
		"RangeError,ERR_TEST,m,true");
	/* JavaScript → C → JavaScript → C → throw */
	assert_runs("try { native.call(() => native.fail('Error', 0, 'deep')) }"
		    " catch (e) { e.message }",
		"deep");
	assert_runs("native.swallow(() => { throw 'x' })", "x");
	/* What one native took does not come back in another. */
	assert_runs("native.swallow(() => { throw 1 }); native.add(1, 1)", "2");
	assert_runs("native.call(() => { native.swallow(() => { throw 1 }); return 'on' })", "on");
	assert_runs(
		"native.call(() => { try { native.fail('Error', 0, 'a') } catch {} return 'on' })",
		"on");
	assert_contains(run("native.call(() => { throw new Error('up') })"), "Error: up");
	assert_false(engine_exception_pending(engine));
}

static void a_deep_recursion_is_a_range_error(void **state)
{
	(void)state;
	assert_runs("try { (function f() { f() })() } catch (e) { e.name }", "RangeError");
	assert_runs(
		"try { (function f() { native.call(f) })() } catch (e) { e.name }", "RangeError");
}

static void a_thrown_error_is_described_with_its_place(void **state)
{
	(void)state;
	assert_string_equal(run("\n\tfunction f() { throw new TypeError('bad') }\n\n f()"),
		"! test.js:2\n"
		"\tfunction f() { throw new TypeError('bad') }\n"
		"\t               ^\n"
		"\n"
		"TypeError: bad\n"
		"    at f (test.js:2:23)\n"
		"    at test.js:4:2");
	assert_string_equal(run("let x = ;"),
		"! test.js:1\nlet x = ;\n        ^\n\nSyntaxError: Unexpected token ';'");
	assert_string_equal(run("throw 'te\\nxt'"), "! test.js:1\nthrow 'te\\nxt'\n^\n\n'te\\nxt'");
}

static void properties_and_causes_are_described(void **state)
{
	(void)state;
	const char *text =
		run("function f() {\nconst e = new Error('a', {cause: new Error('b', "
		    "{cause: 7})}); e.code = 'X'; e.list = [1, {y: -0}];\n"
		    "Object.defineProperty(e, 'g', {enumerable: true, get() { throw 1 }});"
		    "\nthrow e }\nf()");
	assert_contains(text, "Error: a\n    at f (test.js:2:");
	assert_contains(
		text, " {\n  code: 'X',\n  list: [ 1, { y: -0 } ],\n  g: [Getter/Setter],\n");
	assert_contains(text, "\n  [cause]: Error: b\n      at f (test.js:2:");
	assert_contains(text, " {\n    [cause]: 7\n  }\n}");
	assert_contains(run("throw new AggregateError([new Error('one')], 'all')"),
		"[errors]: [ Error: one");
	assert_contains(
		run("const e = new Error('loop'); e.cause = e; throw e"), "[cause]: Error: loop");
	assert_contains(run("throw {a: 1n, f() {}, p: new Proxy({}, {}), m: new Map}"),
		"{ a: 1n, f: [Function: f], p: [Proxy], m: Map {} }");
	/* A line of a bundle is not printed whole. */
	assert_true(strlen(run("/*' + 'x'.repeat(9) + '*/")) < 100);
	cleanup_free char *line = malloc(200001);
	memset(line, ' ', 200000);
	memcpy(line + 150000, "throw 1", 7);
	line[200000] = '\0';
	const char *cut = run(line);
	assert_true(strlen(cut) < 500);
	assert_contains(cut, "throw 1");
}

static void describing_runs_nothing_of_the_tenant(void **state)
{
	(void)state;
	/* All of these would never come back, or throw. */
	assert_contains(run("Error.prepareStackTrace = () => { for (;;); };"
			    "native.textOf(new Error('prepared'))"),
		"Error: prepared\n    at test.js:1");
	assert_runs(
		"typeof Error.prepareStackTrace + delete Error.prepareStackTrace", "functiontrue");
	assert_contains(run("native.textOf(Object.defineProperty(new Error('own'), 'stack',"
			    " {get() { for (;;); }}))"),
		"\n\nError: own");
	assert_contains(run("native.textOf(Object.defineProperty(new Error('x'), 'stack',"
			    " {value: 'My stack', enumerable: false}))"),
		"\n\nMy stack");
	assert_contains(run("class Bad extends Error { get name() { for (;;); }"
			    " get message() { for (;;); } } native.textOf(new Bad)"),
		"at test.js:1");
	assert_runs("native.textOf(new Proxy(new Error, {get() { for (;;); }}))", "[Proxy]");
	assert_runs("Object.defineProperty(Object.prototype, 'value', {get() { for (;;); },"
		    " configurable: true}); native.textOf({get z() { for (;;); }})",
		"{ z: [Getter/Setter] }");
	assert_runs("delete Object.prototype.value", "true");
	assert_runs("native.textOf(Object.create({toString() { for (;;); },"
		    " get constructor() { for (;;); }}))",
		"{}");
}

static void an_exception_has_one_owner(void **state)
{
	(void)state;
	SCOPE;
	assert_null(engine_throw_value(engine, engine_int32(engine, 9)));
	assert_true(engine_exception_pending(engine));
	engine_value *taken = engine_exception_take(engine);
	assert_int_equal(engine_to_int32(engine, taken), 9);
	assert_false(engine_exception_pending(engine));
	assert_null(engine_exception_take(engine));
	engine_value *error = engine_error_new(engine, "SyntaxError", "ERR_X", "what");
	cleanup_free char *text = engine_exception_describe(engine, error);
	assert_contains(text, "SyntaxError: what {\n  code: 'ERR_X'\n}");
}

/* ---- classes ---- */

static void instances_carry_native_state(void **state)
{
	(void)state;
	assert_runs("globalThis.c = new native.Counter(40); c.add(1); c.add(1); c.value", "42");
	assert_runs("c.constructor.name + (c instanceof native.Counter)", "Countertrue");
	assert_runs("Object.keys(native.Counter.prototype).length", "0");
	assert_runs("native.Counter.prototype.add.name + native.Counter.name", "addCounter");
	assert_runs("class D extends native.Counter { twice() { return this.value * 2 } };"
		    "new D(4).twice()",
		"8");
	SCOPE;
	assert_non_null(engine_get_state(engine, value("c"), HARNESS_CLASS_COUNTER));
	assert_null(engine_get_state(engine, value("c"), HARNESS_CLASS_SEALED));
	assert_null(engine_get_state(engine, value("({})"), HARNESS_CLASS_COUNTER));
	assert_null(engine_get_state(engine, value("1"), HARNESS_CLASS_COUNTER));
	assert_null(engine_get_state(engine, value("new Uint8Array(4)"), HARNESS_CLASS_COUNTER));
	assert_null(engine_get_state(
		engine, value("Object.create(native.Counter.prototype)"), HARNESS_CLASS_COUNTER));
	assert_runs("c.drop(); c.value", "null");
}

static void methods_refuse_a_wrong_receiver(void **state)
{
	(void)state;
	const char *receivers[] = {"{}", "undefined", "1", "new Uint8Array(2)", "new Proxy(c, {})",
		"native.Counter.prototype", "Object.create(c)"};
	assert_runs("globalThis.c = new native.Counter(1); c.value", "1");
	for (size_t i = 0; i < ARRAY_LENGTH(receivers); i++) {
		char source[200];
		snprintf(source, sizeof source,
			"try { native.Counter.prototype.add.call(%s, 1) } catch (e) { e.name }",
			receivers[i]);
		assert_runs(source, "TypeError");
	}
	assert_runs("const get = Object.getOwnPropertyDescriptor(native.Counter.prototype,"
		    " 'value').get; try { get.call({}) } catch (e) { e.name }",
		"TypeError");
	assert_contains(run("native.Counter(1)"), "TypeError: Class constructor Counter cannot");
	assert_contains(run("new native.Counter(-1)"), "RangeError: negative");
	assert_contains(run("new native.Sealed"), "TypeError: Illegal constructor");
}

static void c_makes_instances_of_sealed_classes(void **state)
{
	(void)state;
	static int number = 77;
	SCOPE;
	engine_value *sealed = engine_instance_new(engine, HARNESS_CLASS_SEALED, &number);
	assert_ptr_equal(engine_get_state(engine, sealed, HARNESS_CLASS_SEALED), &number);
	assert_int_equal(engine_to_int32(engine, engine_get(engine, sealed, "number")), 77);
}

static void collected_instances_are_destroyed(void **state)
{
	(void)state;
	int before = counters_alive;
	run("delete globalThis.c; (() => { for (let i = 0; i < 1000; i++) new native.Counter(i) "
	    "})()");
	engine_collect_garbage(engine);
	assert_true(counters_alive <= before + 5);
	run("globalThis.held = new native.Counter(5)"); /* the close destroys it */
}

/* ---- promises, microtasks, tasks ---- */

static int rejections, handled_later;
static char rejection_reason[64];

static void on_rejection(
	struct engine *e, void *arg, engine_value *promise, engine_value *reason, bool handled)
{
	assert_ptr_equal(arg, &rejections);
	assert_true(engine_is_promise(promise));
	if (handled) {
		handled_later++;
		return;
	}
	rejections++;
	cleanup_free char *text = engine_to_utf8(e, reason, NULL);
	snprintf(rejection_reason, sizeof rejection_reason, "%s", text);
	/* Also what it does wrong stays with it. */
	engine_throw(e, "Error", NULL, "in the callback");
}

static void unhandled_rejections_are_told(void **state)
{
	(void)state;
	engine_on_rejection(engine, on_rejection, &rejections);
	run("globalThis.p = Promise.reject(new Error('lost'))");
	assert_int_equal(rejections, 1);
	assert_string_equal(rejection_reason, "Error: lost");
	assert_false(engine_exception_pending(engine));
	run("p.catch(() => 0)");
	assert_int_equal(handled_later, 1);
	run("Promise.reject(1).catch(() => 0); (async () => { try { await Promise.reject(2) }"
	    " catch {} })()");
	/* Both are told before their handler comes. */
	assert_int_equal(rejections, 3);
	assert_int_equal(handled_later, 3);
	engine_on_rejection(engine, NULL, NULL);
}

static void promises_are_settled_from_c(void **state)
{
	(void)state;
	SCOPE;
	engine_value *resolver, *other;
	engine_value *promise = engine_promise_new(engine, &resolver);
	assert_int_equal(engine_promise_state(promise), ENGINE_PENDING);
	assert_int_equal(engine_typeof(engine_promise_result(engine, promise)), ENGINE_UNDEFINED);
	assert_int_equal(engine_promise_resolve(engine, resolver, engine_int32(engine, 5)), 0);
	assert_int_equal(engine_promise_state(promise), ENGINE_FULFILLED);
	assert_int_equal(engine_to_int32(engine, engine_promise_result(engine, promise)), 5);
	engine_value *rejected = engine_promise_new(engine, &other);
	assert_int_equal(engine_promise_reject(engine, other, engine_null(engine)), 0);
	assert_int_equal(engine_promise_state(rejected), ENGINE_REJECTED);
}

static void microtasks_run_only_when_told(void **state)
{
	(void)state;
	SCOPE;
	assert_false(engine_has_microtasks(engine));
	value("globalThis.log = []; Promise.resolve().then(() => { log.push(1);"
	      " Promise.resolve().then(() => log.push(2)) })");
	engine_queue_microtask(engine, value("() => log.push(3)"));
	assert_true(engine_has_microtasks(engine));
	assert_int_equal(engine_array_length(value("log")), 0);
	assert_int_equal(engine_run_microtasks(engine), 0);
	assert_false(engine_has_microtasks(engine));
	assert_runs("log.join()", "1,3,2");
}

static char uncaught_text[200];

static void on_uncaught(struct engine *e, void *arg, engine_value *exception)
{
	(void)arg;
	cleanup_free char *text = engine_exception_describe(e, exception);
	snprintf(uncaught_text, sizeof uncaught_text, "%s", text);
}

static void what_a_microtask_throws_is_told(void **state)
{
	(void)state;
	SCOPE;
	engine_on_uncaught(engine, on_uncaught, NULL);
	engine_queue_microtask(engine, value("() => { throw new Error('from a microtask') }"));
	engine_queue_microtask(engine, value("() => { globalThis.next = true }"));
	assert_int_equal(engine_run_microtasks(engine), 0);
	assert_contains(uncaught_text, "Error: from a microtask");
	assert_contains(uncaught_text, "test.js:1\n");
	assert_runs("next", "true");
	engine_on_uncaught(engine, NULL, NULL);
}

static void finalization_callbacks_run_as_tasks(void **state)
{
	(void)state;
	run("globalThis.gone = []; globalThis.registry = new FinalizationRegistry(x => "
	    "gone.push(x));"
	    "(() => { for (let i = 0; i < 10; i++) registry.register({}, i) })()");
	engine_collect_garbage(engine);
	assert_int_equal(engine_tasks_wait_ms(engine), 0);
	assert_int_equal(engine_run_tasks(engine), 0);
	assert_runs("gone.length >= 9", "true");
}

static void an_asynchronous_wait_ends_at_its_time(void **state)
{
	(void)state;
	while (engine_tasks_wait_ms(engine) == 0)
		engine_run_tasks(engine);
	run("globalThis.waited = ''; Atomics.waitAsync(new Int32Array(new SharedArrayBuffer(4)), 0,"
	    " 0, 20).value.then(x => waited = x)");
	int64_t wait = engine_tasks_wait_ms(engine);
	assert_true(wait > 0 && wait <= 20);
	for (int i = 0; i < 200 && strcmp(run("waited"), "") == 0; i++) {
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		engine_run_tasks(engine);
	}
	assert_runs("waited", "timed-out");
	assert_contains(run("Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)"),
		"TypeError");
}

static void previews_show_the_inside(void **state)
{
	(void)state;
	SCOPE;
	engine_set(engine, engine_global(engine), "seen",
		engine_preview(engine, value("Promise.resolve(4)")));
	assert_runs("JSON.stringify(seen)", "[1,4]");
	engine_set(engine, engine_global(engine), "seen",
		engine_preview(engine, value("new Promise(() => 0)")));
	assert_runs("JSON.stringify(seen)", "[0]");
	engine_set(engine, engine_global(engine), "seen",
		engine_preview(engine, value("new Proxy([1], {get() { throw 1 }})")));
	assert_runs("JSON.stringify(seen[0]) + typeof seen[1].get", "[1]function");
	value("globalThis.it = new Map([['a', 1], ['b', 2]]).entries(); it.next()");
	engine_set(engine, engine_global(engine), "seen", engine_preview(engine, value("it")));
	assert_runs("JSON.stringify(seen) + it.next().value", "[[\"b\",2]]b,2");
	engine_set(engine, engine_global(engine), "seen",
		engine_preview(engine, value("new Set([3, 4]).values()")));
	assert_runs("JSON.stringify(seen)", "[3,4]");
	assert_null(engine_preview(engine, value("({})")));
}

/* ---- bytes ---- */

static void bytes_are_seen_from_both_sides(void **state)
{
	(void)state;
	SCOPE;
	void *data;
	size_t length;
	engine_value *bytes = engine_bytes_new(engine, 4, &data);
	assert_memory_equal(data, "\0\0\0\0", 4);
	memcpy(data, "abcd", 4);
	engine_set(engine, engine_global(engine), "bytes", bytes);
	assert_runs("String(bytes)", "97,98,99,100");
	assert_true(engine_bytes_get(bytes, &data, &length));
	assert_int_equal(length, 4);
	assert_memory_equal(data, "abcd", 4);

	assert_true(engine_bytes_get(value("bytes.subarray(1, 3)"), &data, &length));
	assert_int_equal(length, 2);
	assert_memory_equal(data, "bc", 2);
	assert_true(engine_bytes_get(value("new DataView(bytes.buffer, 3)"), &data, &length));
	assert_int_equal(length, 1);
	assert_true(engine_bytes_get(value("new SharedArrayBuffer(9)"), &data, &length));
	assert_int_equal(length, 9);
	assert_false(engine_bytes_get(value("'abcd'"), &data, &length));

	engine_set(engine, engine_global(engine), "bytes", engine_bytes_copy(engine, "xy", 2));
	assert_runs("String(bytes)", "120,121");
	engine_set(engine, engine_global(engine), "bytes",
		engine_bytes_take(engine, strdup("own"), 3));
	assert_runs("String(bytes)", "111,119,110");
	assert_int_equal(engine_buffer_detach(engine, value("bytes.buffer")), 0);
	assert_runs("bytes.length + ',' + bytes.buffer.detached", "0,true");
	assert_int_equal(engine_buffer_detach(engine, value("1")), -EINVAL);
	assert_true(engine_bytes_get(value("bytes"), &data, &length));
	assert_int_equal(length, 0);
	engine_bytes_take(engine, NULL, 0);
	engine_bytes_new(engine, 0, &data);
}

static void a_small_array_keeps_its_place(void **state)
{
	(void)state;
	SCOPE;
	void *before, *after;
	size_t length;
	value("globalThis.flags = new Int32Array(2)");
	assert_true(engine_bytes_get(value("flags"), &before, &length));
	run("(() => { for (let i = 0; i < 1e5; i++) new Array(100) })()");
	engine_collect_garbage(engine);
	assert_true(engine_bytes_get(value("flags"), &after, &length));
	assert_ptr_equal(before, after);
	*(volatile int32_t *)after = 7;
	assert_runs("flags[0]", "7");
}

/* ---- structured clone ---- */

static engine_value *clone_with(const char *source, const char *transfer_source)
{
	engine_value *transfer[4];
	size_t count = 0;
	engine_value *list = transfer_source ? value(transfer_source) : NULL;
	for (; list && count < engine_array_length(list); count++)
		transfer[count] = engine_get_index(engine, list, (uint32_t)count);
	engine_value *make_error =
		value("message => Object.assign(new Error(message), {name: 'DataCloneError'})");
	engine_value *result =
		engine_structured_clone(engine, value(source), transfer, count, make_error);
	if (result)
		engine_set(engine, engine_global(engine), "cloned", result);
	return result;
}

static void values_are_cloned(void **state)
{
	(void)state;
	SCOPE;
	run("globalThis.source = {d: new Date(5), m: new Map([[1, {x: 1}]]), s: new Set([2]),"
	    " r: /a/g, b: new Uint8Array([1, 2]), e: new RangeError('r'), n: null, u: undefined,"
	    " big: 7n, list: [1, , 3]}; source.self = source");
	assert_non_null(clone_with("source", NULL));
	assert_runs("cloned !== source && cloned.self === cloned && cloned.d.getTime() === 5 &&"
		    " cloned.m.get(1).x === 1 && cloned.s.has(2) && String(cloned.r) === '/a/g' &&"
		    " String(cloned.b) === '1,2' && cloned.e instanceof RangeError &&"
		    " 'u' in cloned && cloned.big === 7n && !(1 in cloned.list)",
		"true");
	assert_non_null(clone_with("new SharedArrayBuffer(8)", NULL));
	assert_runs("cloned.byteLength", "8");
}

static void what_cannot_be_cloned_throws(void **state)
{
	(void)state;
	SCOPE;
	assert_null(clone_with("() => 1", NULL));
	assert_contains(caught(), "() => 1 could not be cloned.");
	assert_null(clone_with("({s: Symbol('q')})", NULL));
	assert_contains(caught(), "Symbol(q) could not be cloned.");
	assert_null(clone_with("new native.Counter(1)", NULL));
	assert_contains(caught(), "#<Counter> could not be cloned.");
	assert_null(clone_with("({get x() { throw new TypeError('from the getter') }})", NULL));
	assert_contains(caught(), "TypeError: from the getter");
	assert_null(clone_with("new Proxy({}, {})", NULL));
	assert_contains(caught(), "could not be cloned");
}

static void buffers_are_transferred(void **state)
{
	(void)state;
	SCOPE;
	run("globalThis.buffer = new Uint8Array([5, 6]).buffer");
	assert_non_null(clone_with("({buffer, view: new Uint8Array(buffer, 1)})", "[buffer]"));
	assert_runs("buffer.detached + ',' + new Uint8Array(cloned.buffer) + ',' + cloned.view[0] +"
		    " (cloned.view.buffer === cloned.buffer)",
		"true,5,6,6true");
	assert_null(clone_with("1", "[buffer]"));
	assert_contains(caught(), "detached");
	run("globalThis.buffer = new ArrayBuffer(2)");
	assert_null(clone_with("1", "[buffer, buffer]"));
	assert_contains(caught(), "more than once");
	assert_null(clone_with("1", "[{}]"));
	assert_contains(caught(), "not transferable");
	assert_null(clone_with("({get a() { buffer.transfer(); return 1 }, buffer})", "[buffer]"));
	assert_contains(caught(), "detached");
}

/* ---- eval, wasm, termination ---- */

#define WASM_MODULE "new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])"

static void eval_and_wasm_can_be_forbidden(void **state)
{
	(void)state;
	assert_runs("eval('1 + 1') + new Function('return 1')()", "3");
	assert_runs(
		"new WebAssembly.Module(" WASM_MODULE ") instanceof WebAssembly.Module", "true");
	run("globalThis.done = ''; WebAssembly.compile(" WASM_MODULE
	    ").then(m => done = String(m))");
	for (int i = 0; i < 10; i++) {
		engine_run_tasks(engine);
		engine_run_microtasks(engine);
	}
	assert_runs("done", "[object WebAssembly.Module]");
	engine_allow_eval(engine, false);
	engine_allow_wasm(engine, false);
	assert_contains(run("eval('1')"), "EvalError");
	assert_contains(run("new Function('return 1')"), "EvalError");
	assert_contains(run("(async () => {}).constructor('return 1')"), "EvalError");
	assert_contains(run("new WebAssembly.Module(" WASM_MODULE ")"), "CompileError");
	run("done = ''; WebAssembly.compile(" WASM_MODULE ").catch(e => done = e.name)");
	engine_run_tasks(engine);
	assert_runs("done", "CompileError");
	engine_allow_eval(engine, true);
	engine_allow_wasm(engine, true);
	assert_runs("eval('2')", "2");
}

static char code_told[1024];

static void hear_of_code(void *arg, enum engine_code code, bool allowed, const char *place)
{
	size_t used = strlen(code_told);
	(void)arg;
	snprintf(code_told + used, sizeof code_told - used, "%s %s %s\n",
		code == ENGINE_CODE_STRING ? "eval" : "wasm", allowed ? "allowed" : "denied",
		place);
}

/* What was told while SOURCE ran, and forgets it. */
static const char *told_of(const char *source)
{
	static char copy[sizeof code_told];
	code_told[0] = '\0';
	run(source);
	strcpy(copy, code_told);
	return copy;
}

static void what_makes_code_is_told(void **state)
{
	(void)state;
	engine_on_code(engine, hear_of_code, false, NULL);
	assert_string_equal(told_of("eval('1'); new Function('return 1')()"), "");
	assert_string_equal(told_of("new WebAssembly.Module(" WASM_MODULE ")"), "");
	engine_on_code(engine, hear_of_code, true, NULL);
	assert_runs("eval('40 + 2')", "42");
	assert_string_equal(told_of("eval('1')"), "eval allowed \n");
	assert_string_equal(told_of("new WebAssembly.Module(" WASM_MODULE ")"), "wasm allowed \n");
	engine_allow_eval(engine, false);
	engine_allow_wasm(engine, false);
	assert_contains(run("eval('1')"), "EvalError");
	assert_string_equal(told_of("eval('1')"), "eval denied \n");
	assert_string_equal(told_of("new Function('return 1')"), "eval denied \n");
	assert_string_equal(told_of("new WebAssembly.Module(" WASM_MODULE ")"), "wasm denied \n");
	/* What is no string is none of our business: eval returns it. */
	assert_string_equal(told_of("eval({}); eval(7)"), "");
	assert_runs("eval(7)", "7");
	assert_runs("eval('1 + 1'.length)", "5");
	engine_on_code(engine, NULL, true, NULL);
	assert_string_equal(told_of("eval('1')"), "");
	engine_allow_eval(engine, true);
	engine_allow_wasm(engine, true);
	assert_runs("eval('2')", "2");
}

static void *terminate_soon(void *arg)
{
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	engine_terminate(arg);
	return NULL;
}

static const char *run_terminated(const char *source)
{
	pthread_t thread;
	pthread_create(&thread, NULL, terminate_soon, engine);
	const char *result = run(source);
	pthread_join(thread, NULL);
	engine_cancel_terminate(engine);
	return result;
}

static void loops_can_be_terminated(void **state)
{
	(void)state;
	assert_string_equal(run_terminated("for (;;);"), "! terminated");
	assert_runs("1 + 1", "2");
	assert_string_equal(run_terminated("for (;;) { try { for (;;); } catch {} finally {} }"),
		"! terminated");
	/* Optimised code of this loop has no check at all with V8's own flags. */
	assert_string_equal(
		run_terminated("for (;;) { new Array(1000).fill(1.5) }"), "! terminated");
	assert_string_equal(run_terminated("/(a+)+b/.test('a'.repeat(40))"), "! terminated");
	/* Through native frames, whatever they do with it. */
	assert_string_equal(run_terminated("native.call(() => { for (;;); }); native.add(1, 1)"),
		"! terminated");
	assert_string_equal(
		run_terminated("native.swallow(() => { for (;;); }); for (;;);"), "! terminated");
	assert_runs("native.call(() => 'well')", "well");
}

static void endless_microtasks_can_be_terminated(void **state)
{
	(void)state;
	SCOPE;
	pthread_t thread;
	value("(function again() { Promise.resolve().then(again) })()");
	pthread_create(&thread, NULL, terminate_soon, engine);
	assert_int_equal(engine_run_microtasks(engine), -ETIMEDOUT);
	pthread_join(thread, NULL);
	engine_cancel_terminate(engine);
	assert_false(engine_exception_pending(engine));
	assert_int_equal(engine_run_microtasks(engine), 0);
	assert_runs("let ok = 0; Promise.resolve().then(() => ok = 1); ok", "0");
	assert_runs("ok", "1");
}

static void memory_is_counted(void **state)
{
	(void)state;
	struct engine_memory before, after;
	engine_memory(engine, &before);
	assert_true(before.heap_used > 0 && before.heap_used <= before.heap_total);
	assert_true(before.heap_limit >= before.heap_total);
	run("globalThis.big = new ArrayBuffer(10 << 20)");
	engine_memory(engine, &after);
	assert_int_equal(after.array_buffers - before.array_buffers, 10 << 20);
	assert_true(after.external >= before.external + (10 << 20));
	run("delete globalThis.big");
	engine_collect_garbage(engine);
	engine_memory(engine, &after);
	assert_true(after.array_buffers < before.array_buffers + (1 << 20));
	engine_external_memory(engine, 1 << 20);
	engine_external_memory(engine, -(1 << 20));
}

/* Each chunk of a body is a buffer; V8 would keep 64 MB of them. */
static void short_lived_buffers_do_not_pile_up(void **state)
{
	(void)state;
	struct engine_memory before, after;
	engine_collect_garbage(engine);
	engine_memory(engine, &before);
	run("for (let i = 0; i < 700; i++) new ArrayBuffer(65536)");
	engine_memory(engine, &after);
	assert_true(after.array_buffers < before.array_buffers + (12 << 20));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_have_their_types),
		cmocka_unit_test(conversions_run_no_javascript),
		cmocka_unit_test(strings_cross_in_every_encoding),
		cmocka_unit_test(a_string_over_the_limit_is_a_range_error),
		cmocka_unit_test(properties_are_read_and_written),
		cmocka_unit_test(no_setter_runs_in_the_middle_of_c),
		cmocka_unit_test(a_value_escapes_its_scope),
		cmocka_unit_test(a_reference_outlives_scopes),
		cmocka_unit_test(natives_are_called),
		cmocka_unit_test(exceptions_cross_native_frames),
		cmocka_unit_test(a_deep_recursion_is_a_range_error),
		cmocka_unit_test(a_thrown_error_is_described_with_its_place),
		cmocka_unit_test(properties_and_causes_are_described),
		cmocka_unit_test(describing_runs_nothing_of_the_tenant),
		cmocka_unit_test(an_exception_has_one_owner),
		cmocka_unit_test(instances_carry_native_state),
		cmocka_unit_test(methods_refuse_a_wrong_receiver),
		cmocka_unit_test(c_makes_instances_of_sealed_classes),
		cmocka_unit_test(collected_instances_are_destroyed),
		cmocka_unit_test(unhandled_rejections_are_told),
		cmocka_unit_test(promises_are_settled_from_c),
		cmocka_unit_test(microtasks_run_only_when_told),
		cmocka_unit_test(what_a_microtask_throws_is_told),
		cmocka_unit_test(finalization_callbacks_run_as_tasks),
		cmocka_unit_test(an_asynchronous_wait_ends_at_its_time),
		cmocka_unit_test(previews_show_the_inside),
		cmocka_unit_test(bytes_are_seen_from_both_sides),
		cmocka_unit_test(a_small_array_keeps_its_place),
		cmocka_unit_test(values_are_cloned),
		cmocka_unit_test(what_cannot_be_cloned_throws),
		cmocka_unit_test(buffers_are_transferred),
		cmocka_unit_test(eval_and_wasm_can_be_forbidden),
		cmocka_unit_test(what_makes_code_is_told),
		cmocka_unit_test(loops_can_be_terminated),
		cmocka_unit_test(endless_microtasks_can_be_terminated),
		cmocka_unit_test(memory_is_counted),
		cmocka_unit_test(short_lived_buffers_do_not_pile_up),
	};
	return cmocka_run_group_tests_name("engine", tests, harness_open, harness_close);
}
