/* The heap's limit, termination, and the numbers about memory. */
#include "isolate/engine/internal.h"

#include <v8-profiler.h>

#include <stdio.h>
#include <stdlib.h>

/* Most of the young generation: three semi-spaces of 4 MiB. V8's own 16 MiB each would
 * be more than a small tenant's whole heap, and a zygote's children share the choice. */
#define YOUNG_BYTES_MAX (12u << 20)

/* What a thread gets on top of its limit, that it may end. */
#define EXTENSION_BYTES (8u << 20)
#define EXTENSIONS_MAX 8

/* The old generation alone has a limit that can change after the fork. */
static size_t old_part(uint64_t heap_bytes)
{
	uint64_t young = heap_bytes / 4 < YOUNG_BYTES_MAX ? heap_bytes / 4 : YOUNG_BYTES_MAX;
	return (size_t)(heap_bytes - young);
}

static void report_limit(struct engine *engine)
{
	v8::HeapStatistics statistics;
	engine->isolate->GetHeapStatistics(&statistics);
	size_t limit = engine->heap_bytes ? engine->heap_bytes : statistics.heap_size_limit();
	engine->heap_limit_reached = true;
	engine->heap_limit_callback(engine->heap_limit_arg, statistics.used_heap_size(), limit);
}

/* V8 calls this after a collection that did not help, and dies of it unless it gets
 * more. */
static size_t near_heap_limit(void *data, size_t current, size_t)
{
	struct engine *engine = static_cast<struct engine *>(data);
	if (engine->old_bytes > current)
		return engine->old_bytes; /* the limit was raised after the isolate was made */
	if (engine->heap_limit_callback && !engine->heap_limit_reached)
		report_limit(engine);
	if (!engine->heap_limit_stops)
		return current;
	/* It is to stop, and needs room for its way out. Some loops never look. */
	if (++engine->heap_limit_extended > EXTENSIONS_MAX && engine->fatal_callback)
		engine->fatal_callback(engine->fatal_arg, "a thread", "out of memory");
	return current + EXTENSION_BYTES;
}

static void out_of_memory(const char *where, const v8::OOMDetails &details)
{
	struct engine *engine = engine_current;
	/* One object that is larger than the limit comes here directly. */
	if (engine && details.is_heap_oom && engine->heap_limit_callback &&
		!engine->heap_limit_reached && !engine->heap_limit_stops)
		report_limit(engine);
	char message[256];
	snprintf(message, sizeof message, "out of memory%s%s", details.detail ? ": " : "",
		details.detail ? details.detail : "");
	if (engine && engine->fatal_callback)
		engine->fatal_callback(engine->fatal_arg, where, message);
	fprintf(stderr, "fatal error in V8: %s: %s\n", where, message);
	abort();
}

static void fatal_error(const char *where, const char *message)
{
	struct engine *engine = engine_current;
	if (engine && engine->fatal_callback)
		engine->fatal_callback(engine->fatal_arg, where, message);
	fprintf(stderr, "fatal error in V8: %s: %s\n", where, message);
	abort();
}

void limits_configure(v8::Isolate::CreateParams *params, struct engine *engine)
{
	if (engine->heap_bytes) {
		const bool own_bytes = engine->bytes.use_count() == 1; /* not a thread's */
		params->constraints.ConfigureDefaultsFromHeapSize(0, engine->heap_bytes);
		engine->old_bytes = old_part(engine->heap_bytes);
		params->constraints.set_max_old_generation_size_in_bytes(engine->old_bytes);
		if (own_bytes)
			engine->bytes->limit = engine->heap_bytes;
	}
	size_t young = engine->heap_bytes && engine->heap_bytes / 4 < YOUNG_BYTES_MAX
			       ? engine->heap_bytes / 4
			       : YOUNG_BYTES_MAX;
	params->constraints.set_max_young_generation_size_in_bytes(young);
	params->fatal_error_callback = fatal_error;
	params->oom_error_callback = out_of_memory;
}

void limits_attach(struct engine *engine)
{
	engine->isolate->AddNearHeapLimitCallback(near_heap_limit, engine);
}

void limits_set(struct engine *engine, uint64_t heap_bytes)
{
	engine->heap_bytes = heap_bytes;
	engine->old_bytes = old_part(heap_bytes);
	engine->bytes->limit = heap_bytes;
	/* Removing a callback is how V8's interface lowers the limit of a living isolate.
	 * It never raises it: near_heap_limit does, when V8 comes that far. */
	engine->isolate->RemoveNearHeapLimitCallback(near_heap_limit, engine->old_bytes);
	engine->isolate->AddNearHeapLimitCallback(near_heap_limit, engine);
}

void engine_on_heap_limit(struct engine *engine, engine_heap_limit_callback callback, void *arg)
{
	engine->heap_limit_callback = callback;
	engine->heap_limit_arg = arg;
}

void engine_on_heap_limit_stop(
	struct engine *engine, engine_heap_limit_callback callback, void *arg)
{
	engine_on_heap_limit(engine, callback, arg);
	engine->heap_limit_stops = true;
}

void engine_stop(struct engine *engine)
{
	engine->stopped = true;
	engine->isolate->TerminateExecution();
}

bool engine_stopped(const struct engine *engine)
{
	return engine->stopped.load(std::memory_order_relaxed);
}

void engine_on_fatal(struct engine *engine, engine_fatal_callback callback, void *arg)
{
	engine->fatal_callback = callback;
	engine->fatal_arg = arg;
}

void engine_terminate(struct engine *engine)
{
	engine->isolate->TerminateExecution();
}

void engine_cancel_terminate(struct engine *engine)
{
	engine->terminated = false;
	engine->isolate->CancelTerminateExecution();
}

void engine_memory(struct engine *engine, struct engine_memory *ret_memory)
{
	v8::HeapStatistics statistics;
	engine->isolate->GetHeapStatistics(&statistics);
	ret_memory->heap_total = statistics.total_heap_size();
	ret_memory->heap_used = statistics.used_heap_size();
	ret_memory->heap_limit =
		engine->heap_bytes ? engine->heap_bytes : statistics.heap_size_limit();
	ret_memory->external = statistics.external_memory();
	ret_memory->array_buffers = engine->bytes->used;
}

void engine_external_memory(struct engine *engine, int64_t change_bytes)
{
	v8::ExternalMemoryAccounter accounter;
	accounter.Update(engine->isolate, change_bytes);
}

void engine_collect_garbage(struct engine *engine)
{
	/* With no scope of the caller's on the stack this is exact; twice, since what
	 * was reached only through a collected object goes in the second round. */
	engine->isolate->LowMemoryNotification();
	tables_destroy_dead(engine);
	engine->isolate->LowMemoryNotification();
	tables_destroy_dead(engine);
}

namespace
{
class Nothing : public v8::QueryObjectPredicate
{
      public:
	bool Filter(v8::Local<v8::Object>) override
	{
		return false;
	}
};
} // namespace

void engine_low_memory(struct engine *engine)
{
	engine_collect_garbage(engine);
	/* V8 sweeps its pages when it next wants room in them: every child of a fork would,
	 * each in copies of its own. Whoever walks the heap has it swept before. */
	v8::HandleScope scope(engine->isolate);
	Nothing nothing;
	std::vector<v8::Global<v8::Object>> none;
	engine->isolate->GetHeapProfiler()->QueryObjects(context_of(engine), &nothing, &none);
	engine_run_tasks(engine);
}
