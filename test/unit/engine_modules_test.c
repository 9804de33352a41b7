/* ES modules: graphs, JSON, import(), import.meta, failures, code caches. */
#include "common/cleanup.h"
#include "common/error.h"
#include "test/unit/engine_harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a loader with its files in memory ---- */

static const struct {
	const char *name, *source;
} files[] = {
	{"main.js", "import { two } from './two.js'; import * as all from './two.js';\n"
		    "export const sum = two + all.two; export default 'main';"},
	{"two.js", "export const two = 2;"},
	{"a.js", "import { b } from './b.js'; export function a() { return 'a' + b }"},
	{"b.js", "import { a } from './a.js'; export const b = typeof a + a.name;"},
	{"self.js", "import * as self from './self.js'; export const me = self; export let x = 1;"},
	{"typed.js", "import './two.js' with { type: 'json' };\n"
		     "import './two.js' with { other: 'value' };"},
	{"values.js", "import { a, b } from 'host:values'; import * as all from 'host:values';\n"
		      "export const text = `${a} ${b} ${Object.keys(all)}`;"},
	{"source.js", "import source it from 'host:values'; export const found = it.name;"},
	{"no-source.js", "import source it from './two.js';"},
	{"missing.js", "\nimport './nowhere.js';"},
	{"missing-deep.js", "import './missing.js';"},
	{"syntax.js", "export const a = 1;\nexport const b = ;\n"},
	{"syntax-deep.js", "import './syntax.js';"},
	{"no-export.js", "import { three } from './two.js';"},
	{"throws.js", "globalThis.ran = (globalThis.ran ?? 0) + 1; throw new Error('top level')"},
	{"throws-deep.js", "import './throws.js'; globalThis.after = true;"},
	{"await.js", "export let v = 1; v = await Promise.resolve(2); await null; v++;"},
	{"await-user.js", "import { v } from './await.js'; export const seen = v;"},
	{"await-fails.js", "await null; throw new TypeError('later')"},
	{"meta.js", "export const url = import.meta.url; export const same = import.meta ==="
		    " import.meta; export const proto = Object.getPrototypeOf(import.meta);"},
	{"dynamic.js", "globalThis.order = ['before'];\n"
		       "export const p = import('./side.js'); order.push('after');\n"
		       "export const ns = await p; order.push('done');"},
	{"side.js", "globalThis.order?.push('side'); export const side = 's';"},
	{"dynamic-eval.js", "export const v = await eval(\"import('./two.js')\");"},
	{"dir/inner.js", "export { two } from '../two.js'; export const d ="
			 " (await import('./other.js')).o;"},
	{"dir/other.js", "export const o = 'other';"},
	{"thenable.js", "export function then(resolve) { resolve('from then') }"},
	{"utf8.js", "export const text = 'ä€😀';"},
	{"host.js", "import thing, { a, b } from 'host:thing'; import * as all from 'host:thing';\n"
		    "export const same = thing === globalThis.thing && all.default === thing &&"
		    " (await import('host:thing')) === all;\n"
		    "export const text = `${a} ${b} ${Object.keys(all)}`;"},
	{"host-missing.js", "import { nothing } from 'host:thing';"},
	{"cached.js", "export function f() { return [1, 2].map(x => x * 21)[1] } f();"},
};

static unsigned loads;
static char types[100] = ",";

/* Normalises "x", "./x" and "../x" against file:///app/DIR/. */
static char *resolve(const char *specifier, const char *referrer)
{
	const char *base = "file:///app/";
	char folder[200] = "", *url = NULL;
	if (strncmp(specifier, base, strlen(base)) == 0)
		return strdup(specifier);
	if (strncmp(referrer, base, strlen(base)) == 0)
		snprintf(folder, sizeof folder, "%s", referrer + strlen(base));
	char *slash = strrchr(folder, '/');
	*(slash ? slash + 1 : folder) = '\0';
	if (strncmp(specifier, "./", 2) == 0)
		specifier += 2;
	if (strncmp(specifier, "../", 3) == 0) {
		specifier += 3;
		folder[0] = '\0';
	}
	return asprintf(&url, "%s%s%s", base, folder, specifier) < 0 ? NULL : url;
}

/* many/N.js imports many/N+1.js … : a chain; wide.js imports all of wide/0..199. */
static char *generate(const char *name)
{
	char *source = NULL;
	int number, last;
	if (sscanf(name, "chain/%d-%d.js", &number, &last) == 2) {
		if (number == last)
			return strdup("export const depth = 0;");
		if (asprintf(&source,
			    "import { depth as d } from './%d-%d.js'; export const depth = d + 1;",
			    number + 1, last) < 0)
			return NULL;
		return source;
	}
	if (sscanf(name, "wide/%d.js", &number) == 1)
		return asprintf(&source, "import '../two.js'; export default %d;", number) < 0
			       ? NULL
			       : source;
	if (strcmp(name, "wide.js") == 0) {
		size_t size;
		FILE *out = open_memstream(&source, &size);
		for (int i = 0; i < 200; i++)
			fprintf(out, "import w%d from './wide/%d.js';\n", i, i);
		fprintf(out, "export default 0");
		for (int i = 0; i < 200; i++)
			fprintf(out, " + w%d", i);
		fclose(out);
		return source;
	}
	if (strcmp(name, "huge.js") == 0) {
		size_t size;
		FILE *out = open_memstream(&source, &size);
		for (int i = 0; i < 60000; i++)
			fprintf(out, "export function f%d(x) { return x + %d } // filler\n", i, i);
		fclose(out);
		return source;
	}
	return NULL;
}

static int load(void *arg, const char *specifier, const char *referrer, const char *type,
	struct engine_module_source *ret_source, struct error *error)
{
	assert_ptr_equal(arg, &loads);
	if (strstr(referrer, "typed.js"))
		snprintf(types + strlen(types), sizeof types - strlen(types), "%s,", type);
	if (strcmp(specifier, "throw:it") == 0) {
		engine_throw(engine, "RangeError", NULL, "thrown by the loader");
		return -ECANCELED;
	}
	if (strcmp(specifier, "host:values") == 0) {
		engine_value *value;
		static const char text[] =
			"globalThis.evaluations = 0; [['a', 'b'], () => { evaluations++; return "
			"[1]; }, { name: 'the source' }]";
		if (engine_run_script(engine, text, sizeof text - 1, "values", &value) < 0)
			return -ECANCELED;
		ret_source->url = strdup(specifier);
		ret_source->names = engine_get_index(engine, value, 0);
		ret_source->evaluate = engine_get_index(engine, value, 1);
		ret_source->object = engine_get_index(engine, value, 2);
		return 0;
	}
	if (strcmp(specifier, "host:thing") == 0) {
		static const char thing[] =
			"globalThis.thing = globalThis.thing || { a: 1, get b() { return this.a + "
			"1 }, 0: 'index',"
			" default: 'hidden', [Symbol('s')]: 1, 'not a name': 3 }";
		ret_source->url = strdup(specifier);
		return engine_run_script(
			engine, thing, sizeof thing - 1, "thing", &ret_source->exports);
	}
	cleanup_free char *url = resolve(specifier, referrer);
	const char *name = url + strlen("file:///app/");
	char *source = generate(name);
	for (size_t i = 0; !source && i < ARRAY_LENGTH(files); i++)
		if (strcmp(files[i].name, name) == 0)
			source = strdup(files[i].source);
	if (!source) {
		ret_source->code = "ERR_MODULE_NOT_FOUND";
		return error_set(error, ENOENT, "Cannot find module '%s'", specifier);
	}
	loads++;
	ret_source->url = take_pointer(url);
	ret_source->source = source;
	ret_source->length = strlen(source);
	return 0;
}

static void set_meta(struct engine *e, void *arg, const char *url, engine_value *meta)
{
	assert_ptr_equal(arg, &loads);
	engine_set(e, meta, "url", engine_string(e, url));
}

static int open_with_modules(void **state)
{
	int result = harness_open(state);
	if (result == 0)
		engine_modules_init(engine, load, set_meta, &loads);
	return result;
}

/* ---- helpers ---- */

/* Imports NAME, runs what it takes, and puts the namespace into the global `ns`. Returns
 * "", or how it failed. */
static const char *import_module(const char *name)
{
	SCOPE;
	engine_value *promise, *namespace;
	int result = engine_module_import(engine, name, &promise, &namespace);
	if (result < 0) {
		assert_int_equal(result, -ECANCELED);
		return caught();
	}
	assert_int_equal(engine_run_microtasks(engine), 0);
	engine_set(engine, engine_global(engine), "ns", namespace);
	if (engine_promise_state(promise) == ENGINE_PENDING)
		return "pending";
	if (engine_promise_state(promise) == ENGINE_FULFILLED)
		return "";
	engine_throw_value(engine, engine_promise_result(engine, promise));
	return caught();
}

#define assert_imports(name) assert_string_equal(import_module(name), "")

/* ---- tests ---- */

static void a_graph_is_loaded_once(void **state)
{
	(void)state;
	loads = 0;
	assert_imports("file:///app/main.js");
	assert_runs("ns.sum + ns.default", "4main");
	assert_int_equal(loads, 2);
	assert_imports("file:///app/two.js");
	assert_runs("ns.two", "2");
	assert_imports("file:///app/utf8.js");
	assert_runs("ns.text", "ä€😀");
}

static void modules_of_the_host_export_an_object(void **state)
{
	(void)state;
	assert_imports("file:///app/host.js");
	assert_runs("ns.same + ' ' + ns.text", "true 1 2 0,a,b,default,not a name");
	assert_contains(import_module("file:///app/host-missing.js"),
		"SyntaxError: The requested module 'host:thing' does not provide an export named "
		"'nothing'");
	assert_runs("thing.c = 3; thing.a = 7; ns.text", "1 2 0,a,b,default,not a name");
}

static void cycles_are_linked(void **state)
{
	(void)state;
	assert_imports("file:///app/a.js");
	assert_runs("ns.a()", "afunctiona");
	assert_imports("file:///app/self.js");
	assert_runs("ns.me === ns && ns.x === 1", "true");
}

static void many_modules_are_loaded(void **state)
{
	(void)state;
	loads = 0;
	assert_imports("file:///app/wide.js");
	assert_runs("ns.default", "19900");
	assert_true(loads >= 201);
	assert_imports("file:///app/chain/0-1000.js");
	assert_runs("ns.depth", "1000");
	assert_imports("file:///app/huge.js");
	assert_runs("ns.f59999(1)", "60000");
}

static void a_deep_chain_does_not_overflow(void **state)
{
	(void)state;
	/* V8 evaluates by recursion: the error is its own, and the process lives. */
	const char *result = import_module("file:///app/chain/0-20000.js");
	if (strcmp(result, "") != 0)
		assert_contains(result, "RangeError: Maximum call stack size exceeded");
	assert_runs("1 + 1", "2");
}

static void attributes_are_the_loaders_to_judge(void **state)
{
	(void)state;
	assert_imports("file:///app/typed.js");
	assert_string_equal(types, ",json,other=value,");
}

static void a_function_gives_the_values(void **state)
{
	(void)state;
	assert_imports("file:///app/values.js");
	assert_runs("ns.text", "1 undefined a,b");
	assert_runs("evaluations", "1");
	assert_imports("file:///app/source.js");
	assert_runs("ns.found", "the source");
	assert_contains(import_module("file:///app/no-source.js"),
		"SyntaxError: Source phase import object is not defined for module "
		"'file:///app/two.js'");
	assert_imports("file:///app/two.js");
	run("import.source('host:values').then(x => got = x.name)");
	assert_int_equal(engine_run_microtasks(engine), 0);
	assert_runs("got", "the source");
}

static void what_the_loader_throws_is_thrown(void **state)
{
	(void)state;
	assert_contains(import_module("throw:it"), "! RangeError: thrown by the loader");
	assert_runs("1", "1");
}

/* ---- CommonJS ---- */

static const char *kind_of(const char *source)
{
	SCOPE;
	static unsigned count;
	engine_value *function = NULL;
	char url[60];
	snprintf(url, sizeof url, "file:///app/kind-%u.js", count++);
	engine_value *text = engine_string(engine, source), *where = engine_string(engine, url);
	bool is_module = engine_commonjs_is_module(engine, text, where, where);
	assert_false(engine_exception_pending(engine));
	if (!is_module)
		assert_int_equal(engine_module_state(engine, url), ENGINE_MODULE_NONE);
	if (is_module)
		return "module";
	if (engine_commonjs_compile(engine, text, where, where, true, &function) < 0) {
		engine_exception_take(engine);
		return "neither";
	}
	return function ? "function" : "module";
}

static void what_a_source_is_its_syntax_tells(void **state)
{
	(void)state;
	static const struct {
		const char *source, *kind;
	} table[] = {
		{"", "function"},
		{"exports.a = 1; return;", "function"},
		{"with ({}) {}", "function"},
		{"import('x')", "function"},
		{"import 'x'", "module"},
		{"import x from 'x'; return;", "module"},
		{"1;\n\n  export const a = 1;", "module"},
		{"if (1) {}\nexport {}", "module"},
		{"export const = 1", "module"},
		{"import.meta.url", "module"},
		{"await 1", "module"},
		{"for await (const x of []) {}", "module"},
		{"const require = 1; await 1", "module"},
		{"const module = 1;", "module"},
		{"let __filename = 1, exports;", "module"},
		{"const module = 1; return;", "module"},
		{"let a; let a;", "neither"},
		{"const = ", "neither"},
		{"`\nexport default 1\n`", "function"},
		{"// \n/*\nimport 'x'\n*/ with ({}) {}", "function"},
		{"#!/usr/bin/env node\nexports.a = 1", "function"},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
		if (strcmp(kind_of(table[i].source), table[i].kind) != 0)
			fail_msg("%s is not a %s", table[i].source, table[i].kind);
}

static void modules_are_required_at_once(void **state)
{
	(void)state;
	SCOPE;
	engine_value *namespace = engine_module_require(engine, "file:///app/main.js");
	assert_non_null(namespace);
	assert_ptr_equal(engine_module_require(engine, "file:///app/await-user.js"), NULL);
	assert_contains(caught(), "ERR_REQUIRE_ASYNC_MODULE");
	assert_ptr_equal(engine_module_require(engine, "file:///app/throws.js"), NULL);
	assert_contains(caught(), "Error: top level");
	engine_value *facade = engine_module_facade(engine, "file:///app/main.js");
	assert_non_null(facade);
	engine_set(engine, engine_global(engine), "facade", facade);
	assert_runs("Object.keys(facade) + facade.default + facade.__esModule",
		"__esModule,default,summaintrue");
	assert_null(engine_module_facade(engine, "file:///app/never.js"));
	assert_contains(caught(), "no module");
}

static void a_missing_module_names_who_asked(void **state)
{
	(void)state;
	const char *text = import_module("file:///app/missing-deep.js");
	assert_contains(text,
		"Error: Cannot find module './nowhere.js' imported from file:///app/missing.js");
	assert_contains(text, "code: 'ERR_MODULE_NOT_FOUND'");
	assert_contains(import_module("file:///app/none.js"),
		"Error: Cannot find module 'file:///app/none.js' {");
	assert_contains(import_module("file:///app/no-export.js"),
		"file:///app/no-export.js:1\nimport { three } from './two.js';\n         ^^^^^\n\n"
		"SyntaxError: The requested module './two.js' does not provide an export named "
		"'three'");
}

static void a_syntax_error_has_its_place(void **state)
{
	(void)state;
	const char *expected = "! file:///app/syntax.js:2\nexport const b = ;\n"
			       "                 ^\n\nSyntaxError: Unexpected token ';'";
	assert_string_equal(import_module("file:///app/syntax.js"), expected);
	/* It stays as it failed, also for others. */
	loads = 0;
	assert_string_equal(import_module("file:///app/syntax-deep.js"), expected);
	assert_string_equal(import_module("file:///app/syntax.js"), expected);
}

static void a_module_that_threw_stays_so(void **state)
{
	(void)state;
	assert_contains(import_module("file:///app/throws.js"), "Error: top level");
	assert_contains(import_module("file:///app/throws-deep.js"), "Error: top level");
	assert_contains(import_module("file:///app/throws.js"), "Error: top level");
	assert_runs("globalThis.ran + ',' + globalThis.after", "1,undefined");
}

static void top_level_await_settles_the_promise(void **state)
{
	(void)state;
	assert_imports("file:///app/await-user.js");
	assert_runs("ns.seen", "3");
	assert_contains(import_module("file:///app/await-fails.js"), "TypeError: later");
}

static void import_meta_is_the_embedders(void **state)
{
	(void)state;
	assert_imports("file:///app/meta.js");
	assert_runs("ns.url + ns.same + ns.proto", "file:///app/meta.jstruenull");
}

static void dynamic_import_runs_later(void **state)
{
	(void)state;
	assert_imports("file:///app/dynamic.js");
	assert_runs("order.join() + ns.ns.side", "before,after,side,dones");
	assert_imports("file:///app/dir/inner.js");
	assert_runs("ns.two + ns.d", "2other");
	assert_imports("file:///app/dynamic-eval.js");
	assert_runs("ns.v.two", "2");
	/* From a script; a module with an export `then` is a thenable. */
	run("globalThis.got = ''; import('file:///app/thenable.js').then(x => got = x)");
	assert_runs("got", "from then");
	run("import('file:///app/main.js').then(x => got = x.default)");
	assert_runs("got", "main");
}

static void dynamic_import_rejects(void **state)
{
	(void)state;
	run("globalThis.why = null; globalThis.said = e => why = e");
	run("import('./nowhere.js').catch(said)");
	assert_runs("why.message + why.code",
		"Cannot find module './nowhere.js' imported from test.jsERR_MODULE_NOT_FOUND");
	run("import('file:///app/syntax.js').catch(said)");
	assert_contains(run("native.textOf(why)"), "file:///app/syntax.js:2\n");
	run("globalThis.first = why; import('file:///app/syntax.js').catch(said)");
	assert_runs("first === why", "true");
	run("import('file:///app/throws.js').catch(said)");
	assert_runs("why.message", "top level");
	run("import('throw:it').catch(said)");
	assert_runs("why.name", "RangeError");
	run("import({toString() { throw 'no string' }}).catch(said)");
	assert_runs("why", "no string");
}

static void a_code_cache_is_accepted_once(void **state)
{
	(void)state;
	cleanup_free void *data = NULL;
	size_t length;
	assert_imports("file:///app/cached.js");
	assert_int_equal(
		engine_code_cache_make(engine, "file:///app/cached.js", &data, &length), 0);
	assert_true(length > 100);
	assert_int_equal(
		engine_code_cache_make(engine, "file:///app/none.js", &data, &length), -ENOENT);
	assert_int_equal(engine_code_cache_make(engine, "host:values", &data, &length), -EINVAL);
	assert_int_equal(
		engine_code_cache_make(engine, "file:///app/syntax.js", &data, &length), -EINVAL);

	/* Another engine takes it. */
	harness_close(state);
	struct error error;
	struct engine_options options = {.tables = &harness_tables};
	assert_int_equal(engine_open(&options, &engine, &error), 0);
	engine_modules_init(engine, load, set_meta, &loads);
	engine_code_cache_offer(engine, "file:///app/cached.js", data, length);
	assert_imports("file:///app/cached.js");
	assert_runs("ns.f()", "42");
	assert_int_equal(engine_code_cache_rejected(engine), 0);

	/* A cache of another module, a damaged one and a short one are refused. */
	engine_code_cache_offer(engine, "file:///app/two.js", data, length);
	assert_imports("file:///app/two.js");
	assert_int_equal(engine_code_cache_rejected(engine), 1);
	engine_code_cache_offer(engine, "file:///app/never.js", data, length);
	((char *)data)[length / 2] ^= 1;
	engine_code_cache_offer(engine, "file:///app/main.js", data, length);
	engine_code_cache_offer(engine, "file:///app/utf8.js", data, 3);
	assert_int_equal(engine_code_cache_rejected(engine), 3);
	assert_imports("file:///app/main.js");
	assert_imports("file:///app/utf8.js");
	assert_int_equal(engine_code_cache_rejected(engine), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_graph_is_loaded_once),
		cmocka_unit_test(modules_of_the_host_export_an_object),
		cmocka_unit_test(cycles_are_linked),
		cmocka_unit_test(many_modules_are_loaded),
		cmocka_unit_test(a_deep_chain_does_not_overflow),
		cmocka_unit_test(attributes_are_the_loaders_to_judge),
		cmocka_unit_test(a_function_gives_the_values),
		cmocka_unit_test(what_the_loader_throws_is_thrown),
		cmocka_unit_test(what_a_source_is_its_syntax_tells),
		cmocka_unit_test(modules_are_required_at_once),
		cmocka_unit_test(a_missing_module_names_who_asked),
		cmocka_unit_test(a_syntax_error_has_its_place),
		cmocka_unit_test(a_module_that_threw_stays_so),
		cmocka_unit_test(top_level_await_settles_the_promise),
		cmocka_unit_test(import_meta_is_the_embedders),
		cmocka_unit_test(dynamic_import_runs_later),
		cmocka_unit_test(dynamic_import_rejects),
		cmocka_unit_test(a_code_cache_is_accepted_once),
	};
	return cmocka_run_group_tests_name(
		"engine_modules", tests, open_with_modules, harness_close);
}
