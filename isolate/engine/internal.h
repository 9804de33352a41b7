/* What the files of the engine share: the struct behind engine.h and the passage
 * between its handles and V8's. */
#pragma once

/* struct engine_memory and engine_memory() are one name in C++. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include "isolate/engine/engine.h"
#pragma GCC diagnostic pop

#include <atomic>
#include <bit>
#include <memory>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <v8-external-memory-accounter.h>
#include <v8.h>
#include <vector>

/* Memory of ArrayBuffers, with a budget. V8 holds a reference as long as one of them
 * lives, and so may outlive the engine. Always zeroed, even where V8 promises to fill
 * it: what was in it before belongs to somebody else. */
class byte_allocator final : public v8::ArrayBuffer::Allocator
{
      public:
	void *Allocate(size_t length) override;
	void *AllocateUninitialized(size_t length) override;
	void Free(void *data, size_t length) override;

	bool reserve(size_t length); /* counts memory that came from elsewhere */
	void release(size_t length);

	/* One budget for all engines of the process, whose threads share and pass buffers. */
	std::atomic<size_t> limit = SIZE_MAX;
	std::atomic<size_t> used = 0;
};

/* The native pointer of one object, while it is not NULL. */
struct class_instance {
	v8::Global<v8::Object> object; /* weak */
	void (*destroy)(void *state);
	void *state;
	struct engine *engine;
	class_instance *previous, *next; /* in engine->instances or engine->dead */
};

/* Internal fields of an instance of a native class. */
enum instance_field { FIELD_STATE, FIELD_CLASS, FIELD_INSTANCE, FIELD_COUNT };

/* modules.cc: one module, found by its URL. */
struct module_entry {
	std::string url;
	v8::Global<v8::Module> module;     /* empty when it failed */
	v8::Global<v8::Value> error;       /* why it failed: the same at every import */
	v8::Global<v8::Object> exports;    /* of a built-in one */
	v8::Global<v8::Array> names;       /* of one that EVALUATE gives the values of */
	v8::Global<v8::Function> evaluate; /* gone when it has been called */
	v8::Global<v8::Object> object;     /* what `import source` gives */
	bool resolved = false;             /* REQUESTS is complete */
	bool visited = false;              /* during one load */
	std::unordered_map<std::string, module_entry *> requests, source_requests;
};

struct import_job;
class task_queue;

struct code_cache {
	uint8_t *data;
	size_t length;
};

struct engine {
	v8::Isolate *isolate;
	v8::Global<v8::Context> context;
	v8::Global<v8::Object> native;
	v8::Global<v8::Object> error_constructor;
	v8::Global<v8::Value> stack_getter; /* V8's own, of the `stack` of errors */
	std::shared_ptr<byte_allocator> bytes;
	std::shared_ptr<task_queue> tasks;
	const v8::StartupData *blob; /* V8 keeps its address; NULL: none */
	std::atomic<bool> stopped;   /* no JavaScript any more: engine_stop */

	struct engine_tables tables;
	std::vector<intptr_t> external_references;
	std::vector<v8::Global<v8::FunctionTemplate>> class_templates;
	class_instance *instances; /* alive */
	class_instance *dead;      /* collected, to be destroyed */

	/* The exception that C must handle, or pass on by returning to JavaScript. */
	bool pending;
	bool terminated; /* JavaScript below a native function was terminated */
	unsigned native_depth;
	v8::Global<v8::Value> exception;
	v8::Global<v8::Message> message;
	/* The one that was taken last, whose place engine_exception_describe tells. */
	v8::Global<v8::Value> taken_exception;
	v8::Global<v8::Message> taken_message;

	uint64_t heap_bytes; /* the limit asked for; 0: V8's default */
	size_t old_bytes;    /* what of it the old generation may have; 0 likewise */
	bool heap_limit_reached;
	bool heap_limit_stops;        /* the callback comes back: engine_on_heap_limit_stop */
	unsigned heap_limit_extended; /* how often it was given more since */
	bool eval_allowed, wasm_allowed;
	const intptr_t *microtask_count; /* in V8's queue; NULL when not to be seen */
	bool startup_cache_dropped;
	bool may_collect_young;
	size_t young_buffer_bytes; /* allocated since the last collection because of them */

	engine_heap_limit_callback heap_limit_callback;
	void *heap_limit_arg;
	engine_fatal_callback fatal_callback;
	void *fatal_arg;
	engine_rejection_callback rejection_callback;
	void *rejection_arg;
	engine_uncaught_callback uncaught_callback;
	void *uncaught_arg;

	engine_code_callback code_callback;
	void *code_arg;
	bool code_all; /* it hears of what is allowed, too */

	engine_source_finder source_finder; /* NULL: none */
	void *source_finder_arg;
	v8::Global<v8::Function> site_to_string; /* V8's own, of call sites; or not known yet */
	bool describing;                         /* nothing of the tenant's may run */

	engine_module_loader module_loader;
	engine_module_meta module_meta;
	void *module_arg;
	std::unordered_map<std::string, module_entry *> modules; /* by URL */
	std::unordered_multimap<int, module_entry *> modules_by_hash;
	std::unordered_map<std::string, code_cache> code_caches; /* offered, by URL */
	unsigned code_caches_used, code_caches_rejected;
	/* The CommonJS function that was compiled last, to see what its source is. */
	v8::Global<v8::String> detected_source;
	v8::Global<v8::Function> detected_function;
	import_job *import_jobs; /* queued, not yet run */

	struct engine_message_hooks message_hooks;
};

/* The one of this thread: V8's callbacks for fatal errors carry no argument. Not
 * thread_local, whose accesses go through a function. */
extern __thread struct engine *engine_current;

/* ---- handles ---- */

/* An engine_value * is a v8::Local: both are one pointer to a slot in a HandleScope. */
static_assert(sizeof(v8::Local<v8::Value>) == sizeof(engine_value *));
static_assert(std::is_trivially_copyable_v<v8::Local<v8::Value>>);

template <class T>
static inline engine_value *from_local(v8::Local<T> local)
{
	return std::bit_cast<engine_value *>(local);
}

template <class T = v8::Value>
static inline v8::Local<T> to_local(const engine_value *value)
{
	return std::bit_cast<v8::Local<v8::Value>>(value).template As<T>();
}

/* The empty string where VALUE is none: who asks for its text gets that of none. */
static inline v8::Local<v8::String> text_of(v8::Isolate *isolate, const engine_value *value)
{
	v8::Local<v8::Value> local = to_local(value);
	return __builtin_expect(local->IsString(), true) ? local.As<v8::String>()
							 : v8::String::Empty(isolate);
}

template <class T>
static inline engine_value *from_maybe(v8::MaybeLocal<T> maybe)
{
	return from_local(maybe.FromMaybe(v8::Local<T>()));
}

/* A Global's slot serves as a Local's: no handle has to be made for each use. The
 * handle is good as long as the Global. */
template <class T>
static inline v8::Local<T> view_of(const v8::Global<T> &global)
{
	static_assert(sizeof(v8::Global<T>) == sizeof(v8::Local<T>));
	return *reinterpret_cast<const v8::Local<T> *>(&global);
}

static inline v8::Local<v8::Context> context_of(struct engine *engine)
{
	return view_of(engine->context);
}

static inline v8::Local<v8::String> string_of(struct engine *engine, const char *text)
{
	return v8::String::NewFromUtf8(engine->isolate, text, v8::NewStringType::kInternalized)
		.ToLocalChecked();
}

/* Where a failure leaves nothing to do. */
static inline void ignore(v8::Maybe<bool>)
{
}

std::string utf8_of(struct engine *engine, v8::Local<v8::String> string);

/* ---- what the files offer each other ---- */

/* process.cc */
bool process_is_initialized(void);
/* The tasks of one engine. The first of the process has a queue that is there already. */
std::shared_ptr<task_queue> process_queue_first(void);
std::shared_ptr<task_queue> process_queue_new(v8::Isolate *isolate); /* and for its thread */
void process_queue_forget(v8::Isolate *isolate);
void process_queue_on_task(task_queue *queue, void (*callback)(void *arg), void *arg);
/* Runs tasks that are due. */
void process_run_tasks(task_queue *queue);
void process_clear_tasks(task_queue *queue);                /* drops them, when the isolate ends */
double process_tasks_wait_seconds(const task_queue *queue); /* negative: none */

/* tables.cc */
void tables_references(struct engine *engine); /* fills external_references */
void tables_install(struct engine *engine);    /* makes `native` in the context */
void tables_destroy_dead(struct engine *engine);
void tables_destroy_all(struct engine *engine);
/* Name of a class that has an instance with a pointer, NULL if none has. */
const char *tables_class_alive(struct engine *engine);

/* isolate.cc */
struct engine *isolate_allocate(const struct engine_tables *tables, uint64_t heap_bytes);
/* The rest of opening, once the isolate and its context exist. */
void isolate_attach(struct engine *engine, v8::Local<v8::Context> context);
/* Lets go of all that is in the heap. */
void isolate_detach(struct engine *engine);

/* snapshot.cc. Sets RET_BLOB to V8's part of DATA, or fails with -ESTALE. */
int snapshot_check(const struct engine_tables *tables, const void *data, size_t length,
	v8::StartupData *ret_blob, struct error *error);

/* Finds damage in what was stored, not malice. */
#define CHECKSUM_START 0xcbf29ce484222325u
uint64_t checksum(uint64_t start, const void *data, size_t length);

/* exceptions.cc. Makes what TRY_CATCH caught pending. Returns -ECANCELED, or -ETIMEDOUT
 * when execution was terminated. */
int exceptions_keep(struct engine *engine, const v8::TryCatch &try_catch);
void exceptions_drop(struct engine *engine);
/* Throws the pending exception, or the termination, to the JavaScript that called the
 * native function which now returns. */
void exceptions_rethrow(struct engine *engine);

/* describe.cc */
void describe_attach(struct engine *engine);
/* "NAME: MESSAGE" of an error, without running anything. */
std::string describe_headline(struct engine *engine, v8::Local<v8::Value> error);

/* sources.cc */
void sources_attach(struct engine *engine);
/* Where in the sources a place of NAME is, a URL or a path. */
bool sources_find(struct engine *engine, const std::string &name, int line, int column,
	struct engine_source_place *ret_place);

/* code.cc */
void code_attach(struct engine *engine);

/* values.cc */
void values_free_refs(void); /* those of this thread's engine that nobody freed */

/* bytes.cc */
v8::Local<v8::Context> bytes_make_context(struct engine *engine);

/* startup_cache.cc */
/* No further context can be made in ENGINE's isolate from then on. */
void startup_cache_drop(struct engine *engine);

/* limits.cc */
void limits_configure(v8::Isolate::CreateParams *params, struct engine *engine);
void limits_attach(struct engine *engine);
void limits_set(struct engine *engine, uint64_t heap_bytes);

/* modules.cc */
/* Loads and links a module and all that it imports; NULL with an exception pending. */
module_entry *modules_load(struct engine *engine, const std::string &specifier,
	const std::string &referrer, const std::string &type);
/* Sets RET_TYPE to the `type` attribute, or to "KEY=VALUE" of another one. STEP: elements for
 * each attribute, 2 or 3. */
void modules_attributes(struct engine *engine, v8::Local<v8::FixedArray> attributes, int step,
	std::string *ret_type);
module_entry *modules_find(struct engine *engine, v8::Local<v8::Module> module);
v8::Local<v8::Module> modules_module(const module_entry *entry);
/* Of one that is to be had as a source only: neither what it imports is loaded, nor is it
 * linked. The object, or a SyntaxError pending. */
module_entry *modules_source(struct engine *engine, const std::string &specifier,
	const std::string &referrer, const std::string &type);
v8::MaybeLocal<v8::Object> modules_source_object(struct engine *engine, const module_entry *entry);
/* With the code cache that was offered for URL, if there is one. */
v8::MaybeLocal<v8::Module> modules_compile(
	struct engine *engine, const std::string &url, v8::Local<v8::String> text);
/* MODULE is ENTRY's. */
void modules_enter(struct engine *engine, module_entry *entry, v8::Local<v8::Module> module);
const std::string &modules_url(const module_entry *entry);
void modules_forget(struct engine *engine);

/* synthetic.cc: modules without a source. 0, or an exception is pending. */
int synthetic_of_exports(struct engine *engine, module_entry *entry, v8::Local<v8::Object> exports);
int synthetic_of_names(struct engine *engine, module_entry *entry, v8::Local<v8::Array> names,
	v8::Local<v8::Function> evaluate);

/* imports.cc */
void imports_attach(struct engine *engine);
void imports_forget(struct engine *engine);

/* calls.cc. SOURCE (malloc'ed, whose ownership passes) as a V8 string; plain ASCII stays
 * outside of V8's heap. Empty when it is too long. */
v8::MaybeLocal<v8::String> source_string(v8::Isolate *isolate, char *source, size_t length);
/* Of a script or module NAME, from which import() in it knows where it is. */
v8::ScriptOrigin source_origin(struct engine *engine, const char *name, bool module);
/* Of a script NAME, in which import() is of the module URL. */
v8::ScriptOrigin source_origin_of(
	struct engine *engine, v8::Local<v8::String> name, v8::Local<v8::String> url, bool module);
