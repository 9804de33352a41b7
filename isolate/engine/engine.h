/* The engine: V8 13.6 behind plain C.
 *
 * One struct engine is one isolate with one context, used by one thread. A process
 * opens one (engine_open); threads that it makes may have one each (engine_open_thread).
 *
 * Values are handles that live in the innermost open scope (engine_scope_open);
 * whatever must live longer is an engine_ref. Native callbacks run inside a scope of
 * their own and return a value or NULL for undefined.
 *
 * Functions that can run JavaScript return 0, or -ECANCELED with an exception
 * pending (engine_exception_*), or -ETIMEDOUT when execution was terminated. No
 * function may be called with an exception pending, except those that say so. A
 * native function lets a pending exception reach its JavaScript caller by returning.
 *
 * Native functions and classes are known by static tables given to engine_setup, so
 * that a snapshot can hold them: no callback is ever a heap object. The same tables,
 * in the same order, must be given when a snapshot is built and when it is loaded.
 *
 * Microtasks run only when engine_run_microtasks is called.
 *
 * Threads: V8 is single-threaded here (--single-threaded), so that a warm engine
 * survives fork(2); see engine_after_fork. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "common/error.h"

struct engine;
typedef struct engine_value engine_value; /* a handle, valid in its scope */
typedef struct engine_ref engine_ref;     /* owned until engine_ref_free */

/* ---- process and life ---- */

struct engine_call; /* the arguments of one call of a native function */
typedef engine_value *(*engine_native_function)(struct engine *, struct engine_call *);

struct engine_native {
	const char *name; /* property of the `native` object; letters only */
	engine_native_function function;
	int length; /* its .length */
};

/* A class whose instances carry one native pointer. `new native.Name(...)` calls
 * CONSTRUCT with the new object (engine_call_this), which may set the pointer with
 * engine_set_state; METHODS are on the prototype, GETTERS are accessor properties.
 * DESTROY runs some time after the object was collected, or when the engine closes,
 * unless the pointer is NULL; it must not run JavaScript. A method called on something
 * else throws a TypeError before it runs. An instance with a pointer cannot be in a
 * snapshot. */
struct engine_class {
	const char *name;
	/* NULL: `new` throws "Illegal constructor", only engine_instance_new makes one */
	engine_native_function construct;
	const struct engine_native *methods;
	size_t method_count;
	const struct engine_native *getters;
	size_t getter_count;
	void (*destroy)(void *state);
};

/* What the engine is made with, the same for building and loading a snapshot. */
struct engine_tables {
	const struct engine_native *natives;
	size_t native_count;
	const struct engine_class *classes;
	size_t class_count;
};

/* Initialises V8 once for the process, with the flags that fork needs. Must come
 * before any thread is made. JITLESS also turns WebAssembly off in V8. */
struct engine_flags {
	bool jitless;
	unsigned stack_kb; /* 0: V8's default, 984 */
};
int engine_process_init(const struct engine_flags *flags, struct error *error);

/* Whether V8's memory survives fork(2). libnode's V8 marks all of it MADV_DONTFORK;
 * the engine brings a madvise(2) that leaves that out (fork_memory.c), which works only
 * when the executable exports it, as linking with the `engine` target does. Looks at
 * /proc/self/smaps: after engine_open, before the first fork. 0 or -ENOTSUP. */
int engine_check_fork_safe(struct error *error);

/* "13.6.233.17-node.53": part of the key of everything that is stored. */
const char *engine_version(void);
/* A number that changes when V8's version or flags change: key of code caches. */
uint32_t engine_cache_tag(void);

/* What the library is called in stacks. */
#define ENGINE_LIBRARY_NAME "tenantd:library"

/* Builds a snapshot: a context with the global `native` object, in which SOURCE (one
 * classic script, NAME for stack traces) has run. SOURCE sees `native` as a global
 * and removes it itself if tenants must not. The blob is self-describing: its head
 * has the engine's version and a checksum. The caller frees *ret_data. Used by the
 * builder process only, which then exits. */
int engine_snapshot_build(const struct engine_tables *tables, const char *source, size_t length,
	const char *name, void **ret_data, size_t *ret_length, struct error *error);

struct engine_options {
	const struct engine_tables *tables;
	const void *snapshot; /* must stay valid while the engine lives; NULL: none, then
				 `native` is a global of a fresh context */
	size_t snapshot_length;
	uint64_t heap_bytes; /* limit of the JavaScript heap and of external memory;
				0: V8's default, and no limit of external memory */
};

/* Opens the engine. A snapshot of another version or of other tables, or a damaged one,
 * is -ESTALE with a message, never an abort. */
int engine_open(
	const struct engine_options *options, struct engine **ret_engine, struct error *error);
/* No scope may be open. What is left of engine_refs goes with it. Takes NULL. */
void engine_close(struct engine *engine);

/* In another thread of the same process: an engine like PARENT, from the same snapshot and
 * with TABLES, alike but for the functions in them; what PARENT may do with eval and WebAssembly,
 * and one budget of external memory with it. HEAP_BYTES as in engine_options. PARENT must stay open
 * meanwhile. engine_before_threads comes before the first of them, in the process's first thread.
 */
struct engine *engine_open_thread(
	struct engine *parent, const struct engine_tables *tables, uint64_t heap_bytes);
void engine_before_threads(struct engine *engine);

/* In a child of fork: new randomness for Math.random (31 bits from getrandom); the
 * heap's limit and that of external memory become HEAP_BYTES (0: unchanged).
 * JavaScript before the fork, and in the snapshot, must not have called Math.random:
 * V8 keeps the state of the first call. Hashes of strings and objects stay as in the
 * parent. */
int engine_after_fork(struct engine *engine, uint64_t heap_bytes, struct error *error);

/* Whether V8's lists that only the start from a snapshot needs are out of the way of collections
 * (startup_cache.cc). */
bool engine_startup_cache_dropped(const struct engine *engine);
/* JavaScript may use BYTES of the stack from here on downwards; then it throws a
 * RangeError. The thread must have as much, and some more for V8's own functions. */
void engine_set_stack(struct engine *engine, size_t bytes);
/* Collects garbage and gives memory back: before forking. */
void engine_low_memory(struct engine *engine);

/* ---- what the embedder provides ---- */

/* The heap is at its limit, even after collecting. Must not return to JavaScript:
 * report and _exit. Called at most once, on the engine's thread. V8 makes a single huge
 * array even where it does not fit, and only then looks: the limit of the whole process
 * (its cgroup) stays necessary. */
typedef void (*engine_heap_limit_callback)(void *arg, size_t used, size_t limit);
/* V8's own fatal errors (out of memory, failed check). Must not return. */
typedef void (*engine_fatal_callback)(void *arg, const char *where, const char *message);
void engine_on_heap_limit(struct engine *engine, engine_heap_limit_callback callback, void *arg);
void engine_on_fatal(struct engine *engine, engine_fatal_callback callback, void *arg);
/* CALLBACK comes back, after engine_stop: the engine gets a little more memory to end with,
 * and on_fatal's callback is called when it takes too much. */
void engine_on_heap_limit_stop(
	struct engine *engine, engine_heap_limit_callback callback, void *arg);

/* Promise rejections: HANDLED false when a promise was rejected without a handler,
 * true when a handler was added to one of those later. */
typedef void (*engine_rejection_callback)(
	struct engine *, void *arg, engine_value *promise, engine_value *reason, bool handled);
void engine_on_rejection(struct engine *engine, engine_rejection_callback callback, void *arg);

/* An exception that no caller can get: thrown by a function given to
 * engine_queue_microtask, or by the callback of a FinalizationRegistry. Without this
 * it is lost. */
typedef void (*engine_uncaught_callback)(struct engine *, void *arg, engine_value *exception);
void engine_on_uncaught(struct engine *engine, engine_uncaught_callback callback, void *arg);

/* eval, new Function and string timers; WebAssembly compilation. Both start allowed. */
void engine_allow_eval(struct engine *engine, bool allow);
void engine_allow_wasm(struct engine *engine, bool allow);
/* Atomics.wait; not allowed from the start. */
void engine_allow_wait(struct engine *engine, bool allow);

/* Hears of each attempt at one of these that was refused, with ALL also of each that was
 * allowed. PLACE is "URL:line:column" in a file of the program, "" where there is none.
 * Called in the middle of JavaScript, which it must not enter. */
enum engine_code { ENGINE_CODE_STRING, ENGINE_CODE_WASM };
typedef void (*engine_code_callback)(
	void *arg, enum engine_code code, bool allowed, const char *place);
void engine_on_code(struct engine *engine, engine_code_callback callback, bool all, void *arg);

/* ---- scopes and references ---- */

struct engine_scope {
	void *storage[8]; /* opaque */
};
void engine_scope_open(struct engine *engine, struct engine_scope *scope);
void engine_scope_close(struct engine *engine, struct engine_scope *scope);
/* Closes SCOPE but keeps VALUE alive in the scope around it. */
engine_value *engine_scope_escape(
	struct engine *engine, struct engine_scope *scope, engine_value *value);

engine_ref *engine_ref_new(struct engine *engine, engine_value *value);
engine_value *engine_ref_get(struct engine *engine, engine_ref *ref);
engine_ref *engine_ref_free(engine_ref *ref); /* takes NULL, returns NULL */

/* ---- native calls ---- */

int engine_call_count(const struct engine_call *call);
/* Undefined when there are fewer. */
engine_value *engine_call_argument(
	struct engine *engine, const struct engine_call *call, int index);
engine_value *engine_call_this(struct engine *engine, const struct engine_call *call);
/* The native pointer of `this`, for methods and getters of a class. */
void *engine_call_state(const struct engine_call *call);

/* Cheap access to arguments, for hot paths. A wrong type gives 0, false or NULL. */
int32_t engine_argument_int32(const struct engine_call *call, int index);
double engine_argument_number(const struct engine_call *call, int index);
bool engine_argument_bool(const struct engine_call *call, int index);

void engine_set_state(engine_value *object, void *state);
/* A new instance of CLASS_INDEX with STATE, without calling its constructor. NULL with
 * an exception pending when that failed. */
engine_value *engine_instance_new(struct engine *engine, size_t class_index, void *state);
/* The pointer of an instance of CLASS_INDEX (row of the class table), else NULL. */
void *engine_get_state(struct engine *engine, engine_value *object, size_t class_index);

/* ---- values ---- */

engine_value *engine_undefined(struct engine *engine);
engine_value *engine_null(struct engine *engine);
engine_value *engine_bool(struct engine *engine, bool value);
engine_value *engine_int32(struct engine *engine, int32_t value);
engine_value *engine_number(struct engine *engine, double value);
engine_value *engine_bigint_u64(struct engine *engine, uint64_t value);
engine_value *engine_bigint_i64(struct engine *engine, int64_t value);
/* Strings: NULL with a RangeError pending when over V8's limit. UTF-8 input that is
 * ill-formed is replaced with U+FFFD. */
engine_value *engine_string(struct engine *engine, const char *utf8);
engine_value *engine_string_utf8(struct engine *engine, const char *utf8, size_t length);
engine_value *engine_string_latin1(struct engine *engine, const char *data, size_t length);
engine_value *engine_string_utf16(struct engine *engine, const uint16_t *data, size_t length);
/* For property names and literals that repeat. */
engine_value *engine_string_internalized(struct engine *engine, const char *ascii);
engine_value *engine_object(struct engine *engine);
/* An object without prototype. NAMES are strings; of the same, the last one counts. */
engine_value *engine_record(struct engine *engine, engine_value *const *names,
	engine_value *const *values, size_t count);
engine_value *engine_array(struct engine *engine, engine_value *const *items, size_t count);
/* A new private symbol: as a key of properties that reflection and proxies do not see. */
engine_value *engine_private_symbol(struct engine *engine, engine_value *name);
/* Function over row INDEX of the natives table. */
engine_value *engine_function(struct engine *engine, size_t native_index);

enum engine_type {
	ENGINE_UNDEFINED,
	ENGINE_NULL,
	ENGINE_BOOLEAN,
	ENGINE_NUMBER,
	ENGINE_BIGINT,
	ENGINE_STRING,
	ENGINE_SYMBOL,
	ENGINE_FUNCTION,
	ENGINE_OBJECT,
};
enum engine_type engine_typeof(const engine_value *value); /* null is ENGINE_NULL */
bool engine_is_promise(const engine_value *value);
bool engine_is_error(const engine_value *value);
bool engine_is_array(const engine_value *value);
bool engine_is_buffer_or_view(const engine_value *value); /* ArrayBuffer, shared or not, or view */
bool engine_is_date(const engine_value *value);
bool engine_strict_equals(const engine_value *a, const engine_value *b);

bool engine_to_bool(struct engine *engine, const engine_value *value);
/* Of a number or boolean; 0 for anything else. Run no JavaScript. */
double engine_to_number(struct engine *engine, const engine_value *value);
int32_t engine_to_int32(struct engine *engine, const engine_value *value);
/* Of a BigInt. False when it is none, or does not fit. */
bool engine_bigint_to_i64(const engine_value *value, int64_t *ret_number);

/* String contents; of any other value those of the empty string. What is written beyond the
 * end of one is zeros. */
size_t engine_string_length(const engine_value *string); /* UTF-16 units */
bool engine_string_is_one_byte(const engine_value *string);
size_t engine_string_utf8_length(struct engine *engine, const engine_value *string);
/* Copies without a NUL; lone surrogates become U+FFFD. Returns bytes written, never
 * cutting a character. *ret_read (may be NULL): UTF-16 units consumed. */
size_t engine_string_write_utf8(struct engine *engine, const engine_value *string, char *target,
	size_t size, size_t *ret_read);
void engine_string_write_latin1(
	struct engine *engine, const engine_value *string, char *target, size_t length);
void engine_string_write_utf16(
	struct engine *engine, const engine_value *string, uint16_t *target, size_t length);
/* Any value, converted as String(value) does; malloc'ed, NUL-terminated UTF-8 that
 * the caller frees; NULL when conversion threw (the exception is dropped). */
char *engine_to_utf8(struct engine *engine, engine_value *value, size_t *ret_length);

/* Properties. engine_get returns NULL with an exception pending when a getter threw.
 * engine_set and engine_set_index define the object's own: no setter of a prototype, which may
 * be a tenant's, runs in the middle of C. */
engine_value *engine_get(struct engine *engine, engine_value *object, const char *name);
engine_value *engine_get_index(struct engine *engine, engine_value *object, uint32_t index);
int engine_set(struct engine *engine, engine_value *object, const char *name, engine_value *value);
int engine_set_index(
	struct engine *engine, engine_value *object, uint32_t index, engine_value *value);
/* OBJECT must be an ordinary one (no proxy); runs no JavaScript. */
void engine_set_prototype(struct engine *engine, engine_value *object, engine_value *prototype);
uint32_t engine_array_length(const engine_value *array); /* 0: no array */
engine_value *engine_global(struct engine *engine);
/* The `native` object: functions and classes of the tables, and whatever the library
 * put on it (`native.hooks`). The engine keeps it, in snapshots too, even when the
 * library has removed the global of that name. */
engine_value *engine_native_object(struct engine *engine);

/* ---- calling ---- */

/* ARGUMENTS without NULL; a TypeError where FUNCTION cannot be called. RET_RESULT may be NULL. Runs
 * no microtasks. */
int engine_call_function(struct engine *engine, engine_value *function, engine_value *receiver,
	engine_value *const *arguments, int count, engine_value **ret_result);
/* Runs microtasks until the queue is empty. 0 or -ETIMEDOUT. */
int engine_run_microtasks(struct engine *engine);
void engine_queue_microtask(struct engine *engine, engine_value *function);
/* True when microtasks are waiting, so that a caller can skip the checkpoint. May be
 * conservative (true without need), never false with one waiting. */
bool engine_has_microtasks(struct engine *engine);

/* V8's own tasks: FinalizationRegistry callbacks, timeouts of Atomics.waitAsync, steps
 * of garbage collection, WebAssembly. Runs those that are due; for once a turn of the
 * event loop, cheap when there are none. 0 or -ETIMEDOUT; microtasks come after. */
int engine_run_tasks(struct engine *engine);
/* Milliseconds until engine_run_tasks has something to do: 0 now, -1 nothing waits. */
int64_t engine_tasks_wait_ms(struct engine *engine);
/* CALLBACK is called by any other thread that has made such a task for ENGINE. */
void engine_on_task(struct engine *engine, void (*callback)(void *arg), void *arg);

/* Runs a classic script in the context. */
int engine_run_script(struct engine *engine, const char *source, size_t length, const char *name,
	engine_value **ret_result);

/* ---- exceptions ---- */

/* Make an exception pending. TYPE: "Error", "TypeError", "RangeError", "SyntaxError".
 * CODE (may be NULL) becomes its `code` property. Return NULL for
 * `return engine_throw_…` in native functions. */
engine_value *engine_throw(struct engine *engine, const char *type, const char *code,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
engine_value *engine_throw_value(struct engine *engine, engine_value *value);
engine_value *engine_error_new(
	struct engine *engine, const char *type, const char *code, const char *message);
bool engine_exception_pending(struct engine *engine);
/* Takes the pending exception's value; NULL if none. */
engine_value *engine_exception_take(struct engine *engine);
/* A text for people: "file:line\nsource line\n   ^\n\nstack" for a thrown error whose
 * place is known, the inspected value otherwise; with causes. Of the exception just
 * taken, or of any value. malloc'ed. Runs no tenant code that could loop: getters are
 * not called, `stack` is read as data. */
char *engine_exception_describe(struct engine *engine, engine_value *exception);

/* Where ERROR (or what Error.captureStackTrace was given) was made: its line of source,
 * and the column in it, from 0. NULL when that is not known. */
engine_value *engine_error_place(struct engine *engine, engine_value *error, int *ret_column);

/* Where in the sources a place of code is that was made of them: the strings are the
 * finder's, until it is called again. Lines and columns begin with 1. */
struct engine_source_place {
	const char *url;
	int line, column;
	const char *text; /* that line; NULL: not known */
};
/* False when it is not known. */
typedef bool (*engine_source_finder)(
	void *arg, const char *url, int line, int column, struct engine_source_place *ret_place);
/* From now on, stacks and engine_exception_describe tell places in the sources. */
void engine_set_source_finder(struct engine *engine, engine_source_finder finder, void *arg);

/* ---- promises ---- */

/* A value that V8 carries along: a reaction to a promise runs with what was set when it
 * was registered. undefined at first. What AsyncLocalStorage is made of. */
engine_value *engine_async_context(struct engine *engine);
void engine_set_async_context(struct engine *engine, engine_value *value);

enum engine_promise_state { ENGINE_PENDING, ENGINE_FULFILLED, ENGINE_REJECTED };
/* A new promise and its resolver, in the current scope. */
engine_value *engine_promise_new(struct engine *engine, engine_value **ret_resolver);
int engine_promise_resolve(struct engine *engine, engine_value *resolver, engine_value *value);
int engine_promise_reject(struct engine *engine, engine_value *resolver, engine_value *reason);
enum engine_promise_state engine_promise_state(const engine_value *promise);
engine_value *engine_promise_result(struct engine *engine, engine_value *promise);
/* What an inspector shows: [state, result] of a promise (state an enum
 * engine_promise_state; no result while pending), [target, handler] of a proxy (both
 * null when revoked), the entries of an iterator of a Map or Set and of a WeakMap or
 * WeakSet, an entry that has a key being [key, value]. NULL when VALUE is none of them.
 * Moves no iterator. */
engine_value *engine_preview(struct engine *engine, engine_value *value);
/* The internal kind of an object, whatever its prototype says: "Promise", "Proxy",
 * "Map", "Set", "WeakMap", "WeakSet", "WeakRef", "Map Iterator", "Set Iterator",
 * "Generator", "Module" (a namespace), "Error", "Date", "RegExp", "Arguments", "Array",
 * "ArrayBuffer", "SharedArrayBuffer", "DataView", "Uint8Array" and the other typed
 * arrays, "Number", "String", "Boolean", "Symbol", "BigInt" (wrappers), "AsyncFunction",
 * "GeneratorFunction", "AsyncGeneratorFunction", "External", "WebAssembly.Module",
 * "WebAssembly.Memory"; "" for others. */
const char *engine_kind(const engine_value *value);

/* ---- ES modules ---- */

/* Finds a module. SPECIFIER as written, REFERRER the URL of the module that asks ("" for
 * the entry), TYPE the `type` attribute ("" for none, "KEY=VALUE" of another attribute),
 * which is the loader's to judge.
 * Sets url (malloc'ed, with VARIANT the unique key of the module), and what it is, unless
 * that URL is loaded already:
 * - source (malloc'ed) and length: JavaScript;
 * - exports, an object in the current scope, of a module that is built in: its own
 *   enumerable properties, as they are when it is first evaluated, and the object itself as
 *   `default`, are what it exports;
 * - names, an array of strings, and evaluate, a function that is called when the module is
 *   evaluated, and returns an array of the values of these exports. What is undefined in it
 *   stays so.
 * OBJECT is what `import source` of it gives (NULL: nothing).
 * On failure returns a negative errno: -ECANCELED with an exception pending, which the import
 * throws, -ETIMEDOUT when execution was terminated, or any other with the message that the
 * import throws in ERROR, and `code` (a static string such as "ERR_MODULE_NOT_FOUND").
 * " imported from REFERRER" is added to the message unless it says so already. */
struct engine_module_source {
	char *url;
	const char *variant; /* static; NULL: none */
	char *source;
	size_t length;
	engine_value *exports;
	engine_value *names, *evaluate;
	engine_value *object;
	const char *code;
};
typedef int (*engine_module_loader)(void *arg, const char *specifier, const char *referrer,
	const char *type, struct engine_module_source *ret_source, struct error *error);
/* import.meta of a module: the embedder sets properties on META. */
typedef void (*engine_module_meta)(struct engine *, void *arg, const char *url, engine_value *meta);
void engine_modules_init(
	struct engine *engine, engine_module_loader loader, engine_module_meta meta, void *arg);

/* Loads, links and evaluates SPECIFIER and all that it imports. *ret_promise settles
 * when it has evaluated (top-level await); *ret_namespace is its namespace object.
 * Dynamic import() uses the same loader. -ECANCELED with an exception pending when
 * loading, parsing or linking failed: its message says which module, who asked. */
int engine_module_import(struct engine *engine, const char *specifier, engine_value **ret_promise,
	engine_value **ret_namespace);

/* Loads, links and evaluates the module URL, all at once, for require(). Its namespace, or
 * NULL with an exception pending: what evaluating it threw, ERR_REQUIRE_ASYNC_MODULE where
 * there is a top-level await in the graph, ERR_REQUIRE_CYCLE_MODULE when it is being
 * evaluated already. */
engine_value *engine_module_require(struct engine *engine, const char *url);
/* ENGINE_MODULE_…: how far a module of this URL is. */
enum engine_module_state { ENGINE_MODULE_NONE, ENGINE_MODULE_LOADED, ENGINE_MODULE_EVALUATED };
enum engine_module_state engine_module_state(struct engine *engine, const char *url);
/* The namespace of a module of its own, which exports all that the module URL does, and
 * __esModule as true. URL must have a default export, and be linked. */
engine_value *engine_module_facade(struct engine *engine, const char *url);

/* ---- CommonJS ---- */

/* Compiles SOURCE (a string) as the body of a function of `exports, require, module,
 * __filename, __dirname`. FILENAME is what stacks show, URL where import() in it is. With
 * DETECT, a source that is no such body, but an ES module, is none: then 0 and *ret_function
 * is NULL; as it is for some such sources that could be a function. -ECANCELED with a
 * SyntaxError pending. */
int engine_commonjs_compile(struct engine *engine, engine_value *source, engine_value *filename,
	engine_value *url, bool detect, engine_value **ret_function);
/* Whether SOURCE is an ES module, by its syntax. Then it is compiled and waits to be imported
 * as URL, without being asked for again. */
bool engine_commonjs_is_module(
	struct engine *engine, engine_value *source, engine_value *filename, engine_value *url);
/* SOURCE (malloc'ed, whose ownership passes) as a string; a long one stays outside of the
 * heap. NULL with a RangeError pending when it is too long. */
engine_value *engine_string_source(struct engine *engine, char *source, size_t length);

/* Loads and links URL and all that it imports, and evaluates nothing. */
int engine_module_load(struct engine *engine, const char *url);
/* Calls EACH with the URL of each module that is loaded. */
void engine_modules_each(
	struct engine *engine, void (*each)(void *arg, const char *url), void *arg);

/* Code cache of a module that has been imported or loaded, to be offered when it is loaded
 * again; keyed by the embedder with engine_cache_tag. malloc'ed. A cache that V8
 * rejects is ignored; engine_code_cache_rejected counts them. */
int engine_code_cache_make(
	struct engine *engine, const char *url, void **ret_data, size_t *ret_length);
void engine_code_cache_offer(
	struct engine *engine, const char *url, const void *data, size_t length);
unsigned engine_code_cache_rejected(struct engine *engine);
unsigned engine_code_cache_used(struct engine *engine);

/* ---- bytes ---- */

/* The limit of external memory holds for ArrayBuffers of a fixed length, the tenant's
 * and these; resizable ones and WebAssembly memories V8 maps by itself.
 *
 * Uint8Array over a new zeroed store; NULL with a RangeError pending when over the
 * limit of external memory (as much as the heap's limit). */
engine_value *engine_bytes_new(struct engine *engine, size_t length, void **ret_data);
engine_value *engine_bytes_copy(struct engine *engine, const void *data, size_t length);
/* Uint8Array over DATA (malloc'ed), whose ownership passes in any case; counted as
 * external, NULL with a RangeError pending when over the limit. */
engine_value *engine_bytes_take(struct engine *engine, void *data, size_t length);
/* Bytes of an ArrayBuffer, SharedArrayBuffer or any view: pointer valid while VALUE
 * lives and JavaScript does not run (it may detach or shrink it). False if VALUE is
 * something else. */
bool engine_bytes_get(engine_value *value, void **ret_data, size_t *ret_length);
/* Keeps the memory behind VALUE (as engine_bytes_get takes it) in its place for a thread,
 * whatever JavaScript does with the ArrayBuffer: transfer it, detach it, drop it. Only
 * *ret_fixed memory stays accessible: a resizable buffer takes pages away when it shrinks.
 * Freed on the engine's thread. NULL when VALUE is something else. */
typedef struct engine_pin engine_pin;
engine_pin *engine_pin_new(engine_value *value, bool *ret_fixed);
engine_pin *engine_pin_free(engine_pin *pin); /* takes NULL, returns NULL */
/* The ArrayBuffer of a view, whatever its prototype says. NULL when it is none. */
engine_value *engine_view_buffer(engine_value *view);
/* Moves the contents out of an ArrayBuffer, as structuredClone's transfer does. */
int engine_buffer_detach(struct engine *engine, engine_value *array_buffer);

/* ---- structured clone ---- */

/* The structured serialize algorithm with transfer of ArrayBuffers. What cannot be
 * cloned (functions, symbols, instances of native classes) and what cannot be
 * transferred throws through MAKE_ERROR: a function that is called with a message and
 * returns the DOMException to throw. NULL with the exception pending. */
engine_value *engine_structured_clone(struct engine *engine, engine_value *value,
	engine_value *const *transfer, size_t transfer_count, engine_value *make_error);

/* ---- messages ---- */

/* A value on its way between engines of the process (or within one): what the structured
 * serialize algorithm makes of it. Belongs to no engine; reference counted, by any thread. */
typedef struct engine_message engine_message;

/* Functions of the library for objects that V8 does not know.
 * is_host(object): whether write_host is to be asked; not called for plain objects.
 * write_host(object): a value that is written in its place, or throws.
 * read_host(value, context): what write_host's value stands for; CONTEXT as in
 * engine_message_read.
 * make_error(message): the DOMException to throw. */
struct engine_message_hooks {
	engine_ref *is_host, *write_host, *read_host, *make_error;
};
void engine_messages_init(struct engine *engine, const struct engine_message_hooks *hooks);

/* Serializes VALUE; the contents of BUFFERS (ArrayBuffers, each once and not detached) move
 * into the message. NULL with the exception pending: then nothing was taken. One reference
 * is the caller's. */
engine_message *engine_message_write(
	struct engine *engine, engine_value *value, engine_value *const *buffers, size_t count);
/* The value; NULL with an exception pending when it cannot be made here. A message with
 * buffers can be read once, others more often. */
engine_value *engine_message_read(
	struct engine *engine, engine_message *message, engine_value *context);
size_t engine_message_size(const engine_message *message); /* bytes that it holds on to */
engine_message *engine_message_ref(engine_message *message);
engine_message *engine_message_unref(engine_message *message); /* takes and returns NULL */

/* ---- limits and numbers ---- */

/* Ends JavaScript as soon as V8 looks; may be called by another thread. Best effort:
 * some native loops never look. */
void engine_terminate(struct engine *engine);
void engine_cancel_terminate(struct engine *engine);
/* engine_terminate for good: from now on nothing runs any more, and every function that
 * would returns -ETIMEDOUT. May be called by another thread. */
void engine_stop(struct engine *engine);
bool engine_stopped(const struct engine *engine);

struct engine_memory {
	size_t heap_total, heap_used, heap_limit, external, array_buffers;
};
void engine_memory(struct engine *engine, struct engine_memory *ret_memory);
/* Tells V8 of native memory that JavaScript objects keep alive. */
void engine_external_memory(struct engine *engine, int64_t change_bytes);
void engine_collect_garbage(struct engine *engine); /* full, for tests and before fork */

#ifdef __cplusplus
}
#endif
