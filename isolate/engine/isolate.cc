/* The life of an engine: one isolate, one context, entered from open to close. */
#include "isolate/engine/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

__thread struct engine *engine_current;

/* Slot of the context's embedder data; 0 is the debugger's. It takes `native` through
 * a snapshot. */
#define CONTEXT_NATIVE 1

struct engine *isolate_allocate(const struct engine_tables *tables, uint64_t heap_bytes)
{
	struct engine *engine = new struct engine();
	if (tables)
		engine->tables = *tables;
	engine->bytes = std::make_shared<byte_allocator>();
	engine->heap_bytes = heap_bytes;
	engine->eval_allowed = engine->wasm_allowed = true;
	tables_references(engine);
	return engine;
}

/* ---- what V8 tells ---- */

static void on_promise_reject(v8::PromiseRejectMessage message)
{
	struct engine *engine = engine_current;
	bool handled = message.GetEvent() == v8::kPromiseHandlerAddedAfterReject;
	if (!engine->rejection_callback ||
		(!handled && message.GetEvent() != v8::kPromiseRejectWithNoHandler))
		return;
	v8::HandleScope scope(engine->isolate);
	v8::Local<v8::Value> reason = message.GetValue();
	engine->rejection_callback(engine, engine->rejection_arg, from_local(message.GetPromise()),
		reason.IsEmpty() ? engine_undefined(engine) : from_local(reason), handled);
	/* There is no JavaScript that could get what the callback left. */
	exceptions_drop(engine);
}

/* V8 reports here what no TryCatch gets; without a listener it prints to stdout. */
static void on_message(v8::Local<v8::Message> message, v8::Local<v8::Value> exception)
{
	struct engine *engine = engine_current;
	if (!engine->uncaught_callback)
		return;
	v8::HandleScope scope(engine->isolate);
	engine->taken_exception.Reset(engine->isolate, exception);
	engine->taken_message.Reset(engine->isolate, message);
	engine->uncaught_callback(engine, engine->uncaught_arg, from_local(exception));
	exceptions_drop(engine);
}

/* With explicit microtasks V8's own way leaves the promise of WebAssembly.compile
 * pending. */
static void on_wasm_compiled(v8::Isolate *, v8::Local<v8::Context> context,
	v8::Local<v8::Promise::Resolver> resolver, v8::Local<v8::Value> result,
	v8::WasmAsyncSuccess success)
{
	if (success == v8::WasmAsyncSuccess::kSuccess)
		ignore(resolver->Resolve(context, result));
	else
		ignore(resolver->Reject(context, result));
}

/* ---- microtasks ---- */

static void no_microtask(void *)
{
}

/* V8's queue tells nobody how long it is, but its count is the first word after the
 * vtable pointer. Taken only if it behaves as the count does. */
static void find_microtask_count(struct engine *engine, v8::Local<v8::Context> context)
{
	v8::MicrotaskQueue *queue = context->GetMicrotaskQueue();
	const intptr_t *count = reinterpret_cast<const intptr_t *>(queue) + 1;
	bool right = *count == 0;
	for (intptr_t i = 1; i <= 3; i++) {
		queue->EnqueueMicrotask(engine->isolate, no_microtask);
		right &= *count == i;
	}
	queue->PerformCheckpoint(engine->isolate);
	right &= *count == 0;
	engine->microtask_count = right ? count : nullptr;
}

/* ---- opening ---- */

static void configure_isolate(struct engine *engine)
{
	v8::Isolate *isolate = engine->isolate;
	isolate->SetMicrotasksPolicy(v8::MicrotasksPolicy::kExplicit);
	isolate->SetPromiseRejectCallback(on_promise_reject);
	isolate->AddMessageListener(on_message);
	isolate->SetWasmAsyncResolvePromiseCallback(on_wasm_compiled);
	/* Until engine_allow_wait: it blocks the thread. */
	isolate->SetAllowAtomicsWait(false);
	code_attach(engine);
	limits_attach(engine);
	imports_attach(engine);
}

void isolate_attach(struct engine *engine, v8::Local<v8::Context> context)
{
	engine_current = engine;
	engine->context.Reset(engine->isolate, context);
	configure_isolate(engine);
	v8::Local<v8::Value> native = context->GetNumberOfEmbedderDataFields() > CONTEXT_NATIVE
					      ? context->GetEmbedderData(CONTEXT_NATIVE)
					      : v8::Undefined(engine->isolate).As<v8::Value>();
	if (native->IsObject()) {
		engine->native.Reset(engine->isolate, native.As<v8::Object>());
	} else {
		tables_install(engine);
		context->SetEmbedderData(CONTEXT_NATIVE, view_of(engine->native));
	}
	describe_attach(engine);
	sources_attach(engine);
	find_microtask_count(engine, context);
}

void isolate_detach(struct engine *engine)
{
	/* It is in the heap, where a snapshot cannot have it. */
	engine->isolate->RemoveMessageListeners(on_message);
	modules_forget(engine);
	imports_forget(engine);
	exceptions_drop(engine);
	tables_destroy_all(engine);
	values_free_refs();
	engine->taken_exception.Reset();
	engine->taken_message.Reset();
	engine->detected_source.Reset();
	engine->detected_function.Reset();
	engine->error_constructor.Reset();
	engine->stack_getter.Reset();
	engine->site_to_string.Reset();
	engine->class_templates.clear();
	engine->native.Reset();
	engine->context.Reset();
}

/* The class templates are kept in the snapshot, in the order of the table. */
static bool load_templates(struct engine *engine)
{
	for (size_t i = 0; i < engine->tables.class_count; i++) {
		v8::Local<v8::FunctionTemplate> type;
		if (!engine->isolate->GetDataFromSnapshotOnce<v8::FunctionTemplate>(i).ToLocal(
			    &type))
			return false;
		engine->class_templates.emplace_back(engine->isolate, type);
	}
	return true;
}

static void fill_params(v8::Isolate::CreateParams *params, struct engine *engine)
{
	limits_configure(params, engine);
	params->array_buffer_allocator_shared = engine->bytes;
	params->external_references = engine->external_references.data();
	params->snapshot_blob = engine->blob;
}

/* Enters ENGINE's isolate and makes its context. */
static void enter(struct engine *engine)
{
	engine->isolate->Enter();
	v8::HandleScope scope(engine->isolate);
	if (engine->blob && !load_templates(engine)) {
		/* The checksum and the tables were right: not a matter of input. */
		fprintf(stderr, "the snapshot lacks the native classes\n");
		abort();
	}
	v8::Local<v8::Context> context = bytes_make_context(engine);
	context->Enter();
	isolate_attach(engine, context);
	if (engine->blob)
		startup_cache_drop(engine);
}

int engine_open(
	const struct engine_options *options, struct engine **ret_engine, struct error *error)
{
	static v8::StartupData blob; /* V8 keeps its address */
	if (!process_is_initialized())
		return error_set(error, EINVAL, "engine_process_init was not called");
	if (engine_current)
		return error_set(error, EBUSY, "an engine is open already");
	if (options->snapshot) {
		int result = snapshot_check(
			options->tables, options->snapshot, options->snapshot_length, &blob, error);
		if (result < 0)
			return result;
	}
	struct engine *engine = isolate_allocate(options->tables, options->heap_bytes);
	v8::Isolate::CreateParams params;
	engine->blob = options->snapshot ? &blob : nullptr;
	engine->tasks = process_queue_first();
	fill_params(&params, engine);
	engine->isolate = v8::Isolate::New(params);
	enter(engine);
	*ret_engine = engine;
	return 0;
}

struct engine *engine_open_thread(
	struct engine *parent, const struct engine_tables *tables, uint64_t heap_bytes)
{
	struct engine *engine = isolate_allocate(tables, heap_bytes);
	v8::Isolate::CreateParams params;
	engine->bytes = parent->bytes;
	engine->blob = parent->blob;
	engine->eval_allowed = parent->eval_allowed;
	engine->wasm_allowed = parent->wasm_allowed;
	fill_params(&params, engine);
	/* V8 asks for the queue while it makes the isolate. */
	engine->isolate = v8::Isolate::Allocate();
	engine->tasks = process_queue_new(engine->isolate);
	v8::Isolate::Initialize(engine->isolate, params);
	enter(engine);
	return engine;
}

void engine_before_threads(struct engine *engine)
{
	static bool done;
	static const char ask[] = "Math.random()";
	if (done)
		return;
	done = true;
	/* This context's state is made now, with the number that the flag has; that of others
	 * must not be the same. */
	struct engine_scope scope;
	engine_scope_open(engine, &scope);
	if (engine_run_script(engine, ask, sizeof ask - 1, "random", nullptr) < 0)
		exceptions_drop(engine);
	engine_scope_close(engine, &scope);
	v8::V8::SetFlagsFromString("--random-seed=0");
}

void engine_close(struct engine *engine)
{
	if (!engine)
		return;
	v8::Isolate *isolate = engine->isolate;
	{
		v8::HandleScope scope(isolate);
		context_of(engine)->Exit();
		isolate_detach(engine);
	}
	process_clear_tasks(engine->tasks.get());
	isolate->Exit();
	isolate->Dispose();
	process_queue_forget(isolate);
	engine_current = nullptr;
	for (auto &entry : engine->code_caches)
		free(entry.second.data);
	delete engine;
}

int engine_after_fork(struct engine *engine, uint64_t heap_bytes, struct error *error)
{
	uint32_t seed;
	if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
		return error_errno(error, errno, "cannot get random bytes");
	/* A context that has not used Math.random yet takes its state from this flag. Zero
	 * means none, and V8 reads an int. */
	char flag[40];
	snprintf(flag, sizeof flag, "--random-seed=%u", (seed & INT32_MAX) | 1);
	v8::V8::SetFlagsFromString(flag);
	if (heap_bytes)
		limits_set(engine, heap_bytes);
	return 0;
}

/* ---- settings ---- */

void engine_allow_wait(struct engine *engine, bool allow)
{
	engine->isolate->SetAllowAtomicsWait(allow);
}

void engine_on_task(struct engine *engine, void (*callback)(void *arg), void *arg)
{
	process_queue_on_task(engine->tasks.get(), callback, arg);
}

void engine_set_stack(struct engine *engine, size_t bytes)
{
	const uintptr_t here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
	if (bytes < here)
		engine->isolate->SetStackLimit(here - bytes);
}

void engine_on_rejection(struct engine *engine, engine_rejection_callback callback, void *arg)
{
	engine->rejection_callback = callback;
	engine->rejection_arg = arg;
}

void engine_on_uncaught(struct engine *engine, engine_uncaught_callback callback, void *arg)
{
	engine->uncaught_callback = callback;
	engine->uncaught_arg = arg;
}
