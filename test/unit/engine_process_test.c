/* Snapshots, forks and limits. Each test runs in a child of its own: a process has one
 * engine, and forking is what the engine is for. */
#include "common/cleanup.h"
#include "common/error.h"
#include "test/unit/engine_harness.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1u << 20)

static const char *program;

/* Results that children leave for their parent. */
static struct shared {
	double numbers[8];
	char texts[8][200];
	size_t used, limit, dirty;
} *shared;

/* ---- children ---- */

/* Ends a child; a failed assertion of cmocka's must not run on in it. */
#define CHILD_FAILED 99
#define check(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			_exit(CHILD_FAILED);                                                       \
		}                                                                                  \
	} while (0)
#define check_runs(source, expected)                                                               \
	do {                                                                                       \
		const char *text_ = run(source);                                                   \
		if (strcmp(text_, expected) != 0) {                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, text_);                 \
			_exit(CHILD_FAILED);                                                       \
		}                                                                                  \
	} while (0)

/* Forks; the child calls WORK and exits with 0. Returns the exit code, 128 + signal
 * when it was killed. */
static int in_child(void (*work)(const void *arg), const void *arg)
{
	int status;
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* cmocka's handlers and jumps would go on with its next test here. */
		signal(SIGSEGV, SIG_DFL);
		signal(SIGABRT, SIG_DFL);
		signal(SIGILL, SIG_DFL);
		harness_in_child = true;
		work(arg);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void open_engine(const void *snapshot, size_t length, uint64_t heap_bytes)
{
	struct error error = {0};
	struct engine_options options = {
		.tables = &harness_tables,
		.snapshot = snapshot,
		.snapshot_length = length,
		.heap_bytes = heap_bytes,
	};
	if (engine_open(&options, &engine, &error) < 0) {
		fprintf(stderr, "engine_open: %s\n", error.message);
		_exit(CHILD_FAILED);
	}
}

/* ---- snapshots ---- */

static const char library[] =
	"'use strict';\n"
	"const add = native.add, Counter = native.Counter;\n"
	"globalThis.built = add(20, 1);\n"
	"globalThis.twice = x => add(x, x);\n"
	"globalThis.counter = x => new Counter(x);\n"
	"globalThis.Sub = class extends Counter { more() { return this.value + 1 } };\n"
	"globalThis.map = new Map([['key', new Set([1, 2])]]);\n"
	"globalThis.symbol = Symbol('kept');\n"
	"globalThis.later = Promise.resolve(1).then(x => globalThis.settled = x);\n"
	"native.hooks = { hello: name => `hello ${name}` };\n"
	"delete globalThis.native;\n";

static void *snapshot;
static size_t snapshot_length;

static int build(const char *source, void **ret_data, size_t *ret_length, struct error *error)
{
	return engine_snapshot_build(
		&harness_tables, source, strlen(source), "library.js", ret_data, ret_length, error);
}

static void use_snapshot(const void *arg)
{
	(void)arg;
	open_engine(snapshot, snapshot_length, 0);
	check_runs("built + twice(4)", "29");
	check_runs("typeof native", "undefined");
	check_runs("const c = counter(5); c.add(2); c.value", "7");
	check_runs("new Sub(8).more()", "9");
	check_runs("[map.get('key').has(2), map.size, symbol.description].join()", "true,1,kept");
}

static void a_snapshot_keeps_natives_and_classes(void **state)
{
	(void)state;
	assert_int_equal(in_child(use_snapshot, NULL), 0);
}

/* V8's lists of what a snapshot refers to are cut, and what they named goes on living. */
static void use_large_snapshot(const void *arg)
{
	(void)arg;
	enum { FUNCTIONS = 3000 };
	cleanup_free char *source = malloc(FUNCTIONS * 100);
	size_t length = 0;
	struct error error = {0};
	void *data;
	for (int i = 0; i < FUNCTIONS; i++)
		length += (size_t)sprintf(source + length,
			"globalThis.name%d = function (value%d) { return `text %d ${value%d}` };\n",
			i, i, i, i);
	check(build(source, &data, &length, &error) == 0);
	open_engine(data, length, 0);
	check(engine_startup_cache_dropped(engine));
	check_runs("let kept; for (let i = 0; i < 1e5; i++) kept = [i, kept && kept[0]]; kept[1]",
		"99998");
	engine_collect_garbage(engine);
	check_runs(
		"let all = ''; for (let i = 0; i < 3000; i++) all = globalThis['name' + i](i); all",
		"text 2999 2999");
	engine_collect_garbage(engine);
	check_runs("name0.toString().length + name7(1)", "47text 7 1");
	check_runs("typeof gc", "undefined");
}

static void collections_do_not_walk_what_only_the_start_needed(void **state)
{
	(void)state;
	assert_int_equal(in_child(use_large_snapshot, NULL), 0);
}

static void open_a_second_time(const void *arg)
{
	(void)arg;
	open_engine(snapshot, snapshot_length, 0);
	engine_close(engine);
	open_engine(snapshot, snapshot_length, 0);
	check_runs("typeof gc", "undefined");
}

static void no_program_sees_a_function_that_collects_garbage(void **state)
{
	(void)state;
	assert_int_equal(in_child(open_a_second_time, NULL), 0);
}

static void use_hooks(const void *arg)
{
	(void)arg;
	open_engine(snapshot, snapshot_length, 0);
	SCOPE;
	engine_value *hooks = engine_get(engine, engine_native_object(engine), "hooks");
	engine_value *hello = engine_get(engine, hooks, "hello"), *result;
	engine_value *name = engine_string(engine, "you");
	check(engine_call_function(engine, hello, engine_undefined(engine), &name, 1, &result) ==
		0);
	check(engine_strict_equals(result, engine_string(engine, "hello you")));
	engine_value *counter = value("counter(1)");
	check(engine_get_state(engine, counter, HARNESS_CLASS_COUNTER) != NULL);
	check(engine_get_state(engine, counter, HARNESS_CLASS_SEALED) == NULL);
	static int number = 3;
	engine_set(engine, engine_global(engine), "sealed",
		engine_instance_new(engine, HARNESS_CLASS_SEALED, &number));
	check_runs("sealed.number + settled", "4");
}

static void use_hooks_and_close(const void *arg)
{
	use_hooks(arg);
	engine_close(engine);
	check(counters_alive == 0);
}

static void the_native_object_survives_its_global(void **state)
{
	(void)state;
	assert_int_equal(in_child(use_hooks_and_close, NULL), 0);
}

static void build_bad(const void *arg)
{
	(void)arg;
	struct error error = {0};
	void *data;
	size_t length;
	check(build("globalThis.c = new native.Counter(1)", &data, &length, &error) == -EINVAL);
	check(strstr(error.message, "native class Counter cannot be in a snapshot"));
	check(build("let x = 1;\nlet y = nothing;", &data, &length, &error) == -EINVAL);
	check(strstr(error.message, "the script of the snapshot failed: library.js:2\n"));
	check(strstr(error.message, "ReferenceError: nothing is not defined"));
	check(build("(() => { new native.Counter(1) })(); new native.Counter(1).drop()", &data,
		      &length, &error) == 0);
	free(data);
}

static void a_bad_library_is_no_snapshot(void **state)
{
	(void)state;
	assert_int_equal(in_child(build_bad, NULL), 0);
}

static int open_bytes(
	const void *data, size_t length, const struct engine_tables *tables, struct error *error)
{
	struct engine *opened = NULL;
	struct engine_options options = {
		.tables = tables, .snapshot = data, .snapshot_length = length};
	int result = engine_open(&options, &opened, error);
	assert_null(opened);
	return result;
}

static void a_damaged_or_foreign_snapshot_is_refused(void **state)
{
	(void)state;
	struct error error = {0};
	cleanup_free char *copy = malloc(snapshot_length);
	const size_t places[] = {
		0, 8, 9, 20, 72, 80, 88, 96, 104, 200, snapshot_length / 2, snapshot_length - 1};
	for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
		memcpy(copy, snapshot, snapshot_length);
		copy[places[i]] ^= 0x10;
		if (open_bytes(copy, snapshot_length, &harness_tables, &error) != -ESTALE)
			fail_msg("a change at %zu was not seen", places[i]);
	}
	const size_t lengths[] = {0, 1, 50, 103, 104, 500, snapshot_length - 1};
	for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++)
		assert_int_equal(
			open_bytes(snapshot, lengths[i], &harness_tables, &error), -ESTALE);

	struct engine_tables other = harness_tables;
	other.native_count--;
	assert_int_equal(open_bytes(snapshot, snapshot_length, &other, &error), -ESTALE);
	assert_contains(error.message, "other native functions");
}

static uint64_t head_checksum(const char *data, size_t length)
{
	uint64_t hash = 0xcbf29ce484222325u, word;
	for (; length >= 8; length -= 8, data += 8) {
		memcpy(&word, data, 8);
		hash = (hash ^ word) * 0x100000001b3u;
		hash ^= hash >> 29;
	}
	hash = (hash ^ 0) * 0x100000001b3u;
	return hash ^ hash >> 29;
}

static void a_snapshot_of_another_version_is_refused(void **state)
{
	(void)state;
	struct error error = {0};
	cleanup_free char *copy = malloc(snapshot_length);
	memcpy(copy, snapshot, snapshot_length);
	assert_string_equal(copy + 8, engine_version());
	strcpy(copy + 8, "12.9.1.1-node.1");
	uint64_t sum = head_checksum(copy, 96);
	memcpy(copy + 96, &sum, sizeof sum);
	assert_int_equal(open_bytes(copy, snapshot_length, &harness_tables, &error), -ESTALE);
	assert_contains(error.message, "made by V8 12.9.1.1-node.1, and this is V8 13.");
}

static void a_snapshot_loads_without_jit(void **state)
{
	(void)state;
	char path[] = "/tmp/engine-test-XXXXXX", command[600];
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, snapshot, snapshot_length), (ssize_t)snapshot_length);
	close(fd);
	snprintf(command, sizeof command, "%s --jitless %s", program, path);
	int status = system(command);
	unlink(path);
	assert_int_equal(status, 0);
}

/* The program run again with --jitless FILE. */
static int run_jitless(const char *path)
{
	struct error error = {0};
	static char data[16 * MIB];
	FILE *file = fopen(path, "r");
	size_t length = fread(data, 1, sizeof data, file);
	fclose(file);
	check(engine_process_init(
		      &(struct engine_flags){.jitless = true, .stack_kb = 512}, &error) == 0);
	open_engine(data, length, 0);
	check_runs("typeof WebAssembly", "undefined");
	check_runs("(() => { let n = 0; for (let i = 0; i < 1e6; i++) n += twice(1); return n })()",
		"2000000");
	check_runs("new Sub(8).more()", "9");
	engine_close(engine);
	return 0;
}

/* ---- fork ---- */

static const char work[] =
	"(() => {"
	"  const f = (a, b) => { let s = 0; for (let i = 0; i < a.length; i++) s += a[i] * b; "
	"return s };"
	"  const a = Array.from({length: 1000}, (_, i) => i);"
	"  let s = 0; for (let i = 0; i < 3000; i++) s = f(a, i % 7);"
	"  let text = ''; for (let i = 0; i < 20000; i++) text += i;"
	"  const o = {}; for (let i = 0; i < 20000; i++) o['k' + i] = [i];"
	"  return s + ',' + text.length + ',' + Object.keys(JSON.parse(JSON.stringify(o))).length +"
	"    ',' + /(\\d+)9(?=9)/.exec(text)[0].length })()";
#define WORK_RESULT "1498500,88890,20000,"

static int load_side(void *arg, const char *specifier, const char *referrer, const char *type,
	struct engine_module_source *ret_source, struct error *error)
{
	(void)arg, (void)referrer, (void)type, (void)error;
	ret_source->url = strdup(specifier);
	ret_source->source = strdup("export const text = `from ${import.meta.url}`");
	ret_source->length = strlen(ret_source->source);
	return 0;
}

static void work_as_fork(const void *arg)
{
	int index = *(const int *)arg;
	struct error error = {0};
	check(engine_after_fork(engine, 64 * MIB, &error) == 0);
	check(strncmp(run(work), WORK_RESULT, strlen(WORK_RESULT)) == 0);
	engine_collect_garbage(engine);
	check(strncmp(run(work), WORK_RESULT, strlen(WORK_RESULT)) == 0);
	run("import('file:///m').then(m => globalThis.imported = m.text)");
	check_runs("imported", "from undefined");
	check_runs("new Date(0).toISOString() + new Intl.NumberFormat('de').format(1.5)",
		"1970-01-01T00:00:00.000Z1,5");
	check_runs("counter(1).add(1)", "2");
	{
		SCOPE;
		shared->numbers[index] = engine_to_number(engine, value("Math.random()"));
	}
	engine_low_memory(engine);
	check_runs("twice(3)", "6");
	engine_close(engine);
}

static void a_warm_engine_survives_fork(const void *arg)
{
	(void)arg;
	struct error error = {0};
	open_engine(snapshot, snapshot_length, 0);
	engine_modules_init(engine, load_side, NULL, NULL);
	if (engine_check_fork_safe(&error) < 0) {
		fprintf(stderr, "%s\n", error.message);
		_exit(CHILD_FAILED);
	}
	check(strncmp(run(work), WORK_RESULT, strlen(WORK_RESULT)) == 0);
	engine_low_memory(engine);
	for (int i = 0; i < 4; i++)
		check(in_child(work_as_fork, &i) == 0);
	/* The parent is as it was. */
	check(strncmp(run(work), WORK_RESULT, strlen(WORK_RESULT)) == 0);
}

static void forks_of_a_warm_engine_work(void **state)
{
	(void)state;
	assert_int_equal(in_child(a_warm_engine_survives_fork, NULL), 0);
	for (int i = 0; i < 4; i++) {
		assert_true(shared->numbers[i] > 0 && shared->numbers[i] < 1);
		for (int j = 0; j < i; j++)
			assert_true(shared->numbers[i] != shared->numbers[j]);
	}
}

static void accept_cache(const void *arg)
{
	(void)arg;
	struct error error = {0};
	void *data;
	size_t length;
	engine_value *promise, *namespace;
	open_engine(NULL, 0, 0);
	uint32_t tag = engine_cache_tag();
	engine_modules_init(engine, load_side, NULL, NULL);
	{
		SCOPE;
		check(engine_module_import(engine, "file:///x", &promise, &namespace) == 0);
		check(engine_code_cache_make(engine, "file:///x", &data, &length) == 0);
	}
	engine_close(engine);
	open_engine(NULL, 0, 0);
	check(engine_after_fork(engine, 0, &error) == 0);
	engine_modules_init(engine, load_side, NULL, NULL);
	engine_code_cache_offer(engine, "file:///x", data, length);
	SCOPE;
	check(engine_module_import(engine, "file:///x", &promise, &namespace) == 0);
	check(engine_code_cache_rejected(engine) == 0);
	check(engine_cache_tag() == tag);
}

static void new_randomness_does_not_spoil_code_caches(void **state)
{
	(void)state;
	assert_int_equal(in_child(accept_cache, NULL), 0);
}

static void find_lost_memory(const void *arg)
{
	(void)arg;
	struct error error = {0};
	open_engine(NULL, 0, 0);
	check(engine_check_fork_safe(&error) == 0);
	void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* Past the engine's own madvise. */
	check(syscall(SYS_madvise, page, 4096, MADV_DONTFORK) == 0);
	check(engine_check_fork_safe(&error) == -ENOTSUP);
	check(strstr(error.message, "--export-dynamic-symbol=madvise"));
}

static void memory_that_fork_would_lose_is_seen(void **state)
{
	(void)state;
	assert_int_equal(in_child(find_lost_memory, NULL), 0);
}

/* ---- the heap's limit ---- */

#define LIMIT_REACHED 77
#define FATAL 78

/* A child with a heap of 32 MiB may have this much of its own when it is stopped. */
#ifdef __SANITIZE_ADDRESS__
#define PRIVATE_MOST (120 * MIB) /* with the sanitizer's shadow */
#else
#define PRIVATE_MOST (60 * MIB)
#endif

static size_t private_dirty(void)
{
	char line[200];
	size_t kib = 0;
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "Private_Dirty: %zu", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib << 10;
}

static void on_heap_limit(void *arg, size_t used, size_t limit)
{
	(void)arg;
	shared->used = used;
	shared->limit = limit;
	shared->dirty = private_dirty();
	_exit(LIMIT_REACHED);
}

static void on_fatal(void *arg, const char *where, const char *message)
{
	(void)arg;
	snprintf(shared->texts[0], sizeof shared->texts[0], "%s: %s", where, message);
	_exit(FATAL);
}

static void fill_heap(const void *source)
{
	struct error error = {0};
	engine_on_heap_limit(engine, on_heap_limit, NULL);
	check(engine_after_fork(engine, 32 * MIB, &error) == 0);
	fprintf(stderr, "%s\n", run(source));
}

static void fill_heap_in_fork(const void *source)
{
	open_engine(snapshot, snapshot_length, 0);
	run(work);
	engine_low_memory(engine);
	int code = in_child(fill_heap, source);
	_exit(code);
}

static void a_heap_at_its_limit_is_told_in_time(void **state)
{
	(void)state;
	const char *sources[] = {
		"const arr = []; for (;;) arr.push(new Array(1000).fill(1.5))",
		"const arr = []; for (;;) arr.push({a: arr.length, b: [1]})",
		"let s = 'x'; const all = []; for (;;) all.push((s + "
		"all.length).repeat(1000).split(''))",
		"const m = new Map(); for (let i = 0;; i++) m.set('key' + i, {i})",
		"let f = () => 0; for (;;) { const g = f, a = [1, 2, 3]; f = () => [g, a] }",
		"const huge = []; for (;;) huge.push(new Array(1 << 20).fill(0))",
		"const arr = []; for (;;) { try { arr.push(new Array(500).fill({})) } catch {} }",
		"const b = []; for (;;) b.push(1n << 60000n)",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(sources); i++) {
		memset(shared, 0, sizeof *shared);
		int code = in_child(fill_heap_in_fork, sources[i]);
		print_message(
			"%zu MiB used, %zu MiB private\n", shared->used >> 20, shared->dirty >> 20);
		if (code != LIMIT_REACHED || shared->limit != 32 * MIB ||
			shared->dirty > PRIVATE_MOST)
			fail_msg("%s: code %d, used %zu, limit %zu, private %zu MiB", sources[i],
				code, shared->used >> 20, shared->limit, shared->dirty >> 20);
	}
}

static void raise_limit(const void *arg)
{
	(void)arg;
	struct error error = {0};
	open_engine(NULL, 0, 48 * MIB);
	engine_on_heap_limit(engine, on_heap_limit, NULL);
	check(engine_after_fork(engine, 200 * MIB, &error) == 0);
	check_runs("const arr = []; for (let i = 0; i < 14000; i++) arr.push(new "
		   "Array(1000).fill(1.5));"
		   " arr.length",
		"14000");
	struct engine_memory memory;
	engine_memory(engine, &memory);
	check(memory.heap_limit == 200 * MIB && memory.heap_used > 100 * MIB);
	run("for (;;) arr.push(new Array(1000).fill(1.5))");
}

static void a_limit_can_be_raised_too(void **state)
{
	(void)state;
	assert_int_equal(in_child(raise_limit, NULL), LIMIT_REACHED);
	assert_int_equal(shared->limit, 200 * MIB);
	assert_true(shared->used > 150 * MIB && shared->used < 220 * MIB);
}

static void die_of_memory(const void *arg)
{
	(void)arg;
	open_engine(NULL, 0, 32 * MIB);
	engine_on_fatal(engine, on_fatal, NULL);
	run("const arr = []; for (;;) arr.push(new Array(1000).fill(1.5))");
}

static void a_fatal_error_is_told(void **state)
{
	(void)state;
	assert_int_equal(in_child(die_of_memory, NULL), FATAL);
	assert_contains(shared->texts[0], "out of memory");
}

/* ---- memory outside of the heap ---- */

static void use_external_memory(const void *arg)
{
	(void)arg;
	struct error error = {0};
	struct engine_memory memory;
	open_engine(NULL, 0, 0);
	check(engine_after_fork(engine, 32 * MIB, &error) == 0);
	check(strstr(
		run("new ArrayBuffer(64 << 20)"), "RangeError: Array buffer allocation failed"));
	check(strstr(run("new SharedArrayBuffer(64 << 20)"), "RangeError"));
	check(strstr(run("const a = []; for (;;) a.push(new Uint8Array(1 << 20))"), "RangeError"));
	run("a.length = 0");
	/* Garbage makes room. */
	check_runs("for (let i = 0; i < 500; i++) new Uint8Array(1 << 20); 'on'", "on");
	SCOPE;
	void *data;
	check(engine_bytes_new(engine, 40 * MIB, &data) == NULL);
	check(strstr(caught(), "RangeError: Array buffer allocation failed"));
	check(engine_bytes_take(engine, malloc(40 * MIB), 40 * MIB) == NULL);
	check(strstr(caught(), "RangeError"));
	{
		struct engine_scope inner;
		engine_scope_open(engine, &inner);
		for (int i = 0; i < 3; i++)
			check(engine_bytes_take(engine, calloc(MIB, 1), MIB) != NULL);
		engine_memory(engine, &memory);
		check(memory.array_buffers >= 3 * MIB);
		engine_scope_close(engine, &inner);
	}
	engine_collect_garbage(engine);
	engine_memory(engine, &memory);
	check(memory.array_buffers < MIB);
}

static void external_memory_has_a_limit(void **state)
{
	(void)state;
	assert_int_equal(in_child(use_external_memory, NULL), 0);
}

static int set_up(void **state)
{
	(void)state;
	struct error error = {0};
	shared = mmap(
		NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || engine_process_init(&(struct engine_flags){0}, &error) < 0 ||
		build(library, &snapshot, &snapshot_length, &error) < 0) {
		fprintf(stderr, "%s\n", error.message);
		return -1;
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(snapshot);
	return 0;
}

int main(int argc, char **argv)
{
	program = argv[0];
	if (argc == 3 && strcmp(argv[1], "--jitless") == 0)
		return run_jitless(argv[2]);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_snapshot_keeps_natives_and_classes),
		cmocka_unit_test(collections_do_not_walk_what_only_the_start_needed),
		cmocka_unit_test(no_program_sees_a_function_that_collects_garbage),
		cmocka_unit_test(the_native_object_survives_its_global),
		cmocka_unit_test(a_bad_library_is_no_snapshot),
		cmocka_unit_test(a_damaged_or_foreign_snapshot_is_refused),
		cmocka_unit_test(a_snapshot_of_another_version_is_refused),
		cmocka_unit_test(a_snapshot_loads_without_jit),
		cmocka_unit_test(forks_of_a_warm_engine_work),
		cmocka_unit_test(new_randomness_does_not_spoil_code_caches),
		cmocka_unit_test(memory_that_fork_would_lose_is_seen),
		cmocka_unit_test(a_heap_at_its_limit_is_told_in_time),
		cmocka_unit_test(a_limit_can_be_raised_too),
		cmocka_unit_test(a_fatal_error_is_told),
		cmocka_unit_test(external_memory_has_a_limit),
	};
	return cmocka_run_group_tests_name("engine_process", tests, set_up, tear_down);
}
