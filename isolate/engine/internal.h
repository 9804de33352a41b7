/* What the files of the engine share: the struct behind engine.h and the passage
 * between its handles and V8's. */
#pragma once

/* struct engine_memory and engine_memory() are one name in C++. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include "isolate/engine/engine.h"
#pragma GCC diagnostic pop

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

	size_t limit = SIZE_MAX;
	size_t used = 0;
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

struct module_entry;
struct import_job;

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
	bool eval_allowed, wasm_allowed;
	const intptr_t *microtask_count; /* in V8's queue; NULL when not to be seen */

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
	unsigned code_caches_rejected;
	import_job *import_jobs; /* queued, not yet run */
};

/* The one of this process: V8's callbacks for fatal errors carry no argument. */
extern struct engine *engine_current;

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
/* Runs tasks that are due. */
void process_run_tasks(void);
void process_clear_tasks(void);          /* drops them all, when the isolate ends */
double process_tasks_wait_seconds(void); /* negative: none */

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

/* code.cc */
void code_attach(struct engine *engine);

/* limits.cc */
void limits_configure(v8::Isolate::CreateParams *params, struct engine *engine);
void limits_attach(struct engine *engine);
void limits_set(struct engine *engine, uint64_t heap_bytes);

/* modules.cc */
/* Loads and links a module and all that it imports; NULL with an exception pending. */
module_entry *modules_load(struct engine *engine, const std::string &specifier,
	const std::string &referrer, const std::string &type);
/* Sets RET_TYPE to the `type` attribute. STEP: elements for each attribute, 2 or 3.
 * -ECANCELED with a TypeError pending for attributes that mean nothing here. */
int modules_attributes(struct engine *engine, v8::Local<v8::FixedArray> attributes, int step,
	std::string *ret_type);
module_entry *modules_find(struct engine *engine, v8::Local<v8::Module> module);
v8::Local<v8::Module> modules_module(const module_entry *entry);
const std::string &modules_url(const module_entry *entry);
void modules_forget(struct engine *engine);

/* imports.cc */
void imports_attach(struct engine *engine);
void imports_forget(struct engine *engine);

/* calls.cc. SOURCE (malloc'ed, whose ownership passes) as a V8 string; plain ASCII stays
 * outside of V8's heap. Empty when it is too long. */
v8::MaybeLocal<v8::String> source_string(v8::Isolate *isolate, char *source, size_t length);
/* Of a script or module NAME, from which import() in it knows where it is. */
v8::ScriptOrigin source_origin(struct engine *engine, const char *name, bool module);
