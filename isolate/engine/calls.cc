/* Running JavaScript: functions, scripts, microtasks and V8's tasks. */
#include "isolate/engine/internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int engine_call_function(struct engine *engine, engine_value *function, engine_value *receiver,
	engine_value *const *arguments, int count, engine_value **ret_result)
{
	if (__builtin_expect(engine->stopped.load(std::memory_order_relaxed), false))
		return -ETIMEDOUT;
	if (__builtin_expect(!to_local(function)->IsFunction(), false)) {
		engine_throw(engine, "TypeError", "ERR_INVALID_ARG_TYPE",
			"What should be called is not a function");
		return -ECANCELED;
	}
	v8::TryCatch try_catch(engine->isolate);
	v8::Local<v8::Value> result;
	v8::Local<v8::Value> *locals =
		reinterpret_cast<v8::Local<v8::Value> *>(const_cast<engine_value **>(arguments));
	if (!to_local<v8::Function>(function)
			->Call(engine->isolate, context_of(engine), to_local(receiver), count,
				locals)
			.ToLocal(&result))
		return exceptions_keep(engine, try_catch);
	if (ret_result)
		*ret_result = from_local(result);
	return 0;
}

/* ---- microtasks and tasks ---- */

int engine_run_microtasks(struct engine *engine)
{
	if (__builtin_expect(engine->dead != nullptr, false))
		tables_destroy_dead(engine);
	if (__builtin_expect(engine->stopped.load(std::memory_order_relaxed), false))
		return -ETIMEDOUT;
	v8::HandleScope scope(engine->isolate);
	v8::TryCatch try_catch(engine->isolate);
	engine->isolate->PerformMicrotaskCheckpoint();
	return try_catch.HasCaught() ? exceptions_keep(engine, try_catch) : 0;
}

void engine_queue_microtask(struct engine *engine, engine_value *function)
{
	if (to_local(function)->IsFunction())
		engine->isolate->EnqueueMicrotask(to_local<v8::Function>(function));
}

bool engine_has_microtasks(struct engine *engine)
{
	return !engine->microtask_count || *engine->microtask_count > 0;
}

int engine_run_tasks(struct engine *engine)
{
	if (process_tasks_wait_seconds(engine->tasks.get()) != 0)
		return 0;
	if (engine->stopped.load(std::memory_order_relaxed))
		return -ETIMEDOUT;
	v8::HandleScope scope(engine->isolate);
	v8::TryCatch try_catch(engine->isolate);
	process_run_tasks(engine->tasks.get());
	tables_destroy_dead(engine);
	return try_catch.HasTerminated() ? exceptions_keep(engine, try_catch) : 0;
}

int64_t engine_tasks_wait_ms(struct engine *engine)
{
	double seconds = process_tasks_wait_seconds(engine->tasks.get());
	return seconds < 0 ? -1 : (int64_t)ceil(seconds * 1000);
}

/* ---- scripts ---- */

namespace
{

/* Source text that V8 reads where it is: a program of megabytes is not copied into
 * the heap, whose limit is the tenant's. */
class ascii_source final : public v8::String::ExternalOneByteStringResource
{
      public:
	ascii_source(char *text, size_t size) : text_(text), size_(size)
	{
	}
	~ascii_source() override
	{
		free(text_);
	}
	const char *data() const override
	{
		return text_;
	}
	size_t length() const override
	{
		return size_;
	}

      private:
	char *text_;
	size_t size_;
};

bool is_ascii(const char *text, size_t length)
{
	size_t i = 0;
	uint64_t seen = 0, word;
	for (; i + sizeof word <= length; i += sizeof word) {
		memcpy(&word, text + i, sizeof word);
		seen |= word;
	}
	for (; i < length; i++)
		seen |= (uint8_t)text[i];
	return (seen & 0x8080808080808080u) == 0;
}

} // namespace

/* Shorter ones are cheaper in the heap. */
#define EXTERNAL_SOURCE_LEAST 4096

v8::MaybeLocal<v8::String> source_string(v8::Isolate *isolate, char *source, size_t length)
{
	v8::MaybeLocal<v8::String> string;
	if (length > (size_t)v8::String::kMaxLength) {
		free(source);
		return string;
	}
	if (length < EXTERNAL_SOURCE_LEAST || !is_ascii(source, length)) {
		string = v8::String::NewFromUtf8(
			isolate, source, v8::NewStringType::kNormal, (int)length);
		free(source);
		return string;
	}
	ascii_source *resource = new ascii_source(source, length);
	string = v8::String::NewExternalOneByte(isolate, resource);
	if (string.IsEmpty())
		delete resource;
	return string;
}

v8::ScriptOrigin source_origin_of(
	struct engine *engine, v8::Local<v8::String> name, v8::Local<v8::String> url, bool module)
{
	/* Code made by eval has no name of its own, but it inherits this: it is how
	 * import() in such code knows where it is. */
	v8::Local<v8::PrimitiveArray> options = v8::PrimitiveArray::New(engine->isolate, 1);
	options->Set(engine->isolate, 0, url);
	return v8::ScriptOrigin(
		name, 0, 0, false, -1, v8::Local<v8::Value>(), false, false, module, options);
}

v8::ScriptOrigin source_origin(struct engine *engine, const char *name, bool module)
{
	v8::Isolate *isolate = engine->isolate;
	v8::Local<v8::String> url =
		v8::String::NewFromUtf8(isolate, name).FromMaybe(v8::String::Empty(isolate));
	return source_origin_of(engine, url, url, module);
}

int engine_run_script(struct engine *engine, const char *source, size_t length, const char *name,
	engine_value **ret_result)
{
	v8::EscapableHandleScope scope(engine->isolate);
	v8::TryCatch try_catch(engine->isolate);
	v8::Local<v8::Context> context = context_of(engine);
	v8::ScriptOrigin origin = source_origin(engine, name, false);
	v8::Local<v8::String> text;
	v8::Local<v8::Script> script;
	v8::Local<v8::Value> result;
	char *copy = static_cast<char *>(malloc(length + 1));
	if (copy)
		memcpy(copy, source, length);
	if (!copy || !source_string(engine->isolate, copy, length).ToLocal(&text)) {
		engine_throw(engine, "RangeError", "ERR_STRING_TOO_LONG",
			"%s: a script of %zu bytes is too long", name, length);
		return -ECANCELED;
	}
	if (!v8::Script::Compile(context, text, &origin).ToLocal(&script) ||
		!script->Run(context).ToLocal(&result))
		return exceptions_keep(engine, try_catch);
	if (ret_result)
		*ret_result = from_local(scope.Escape(result));
	return 0;
}
