/* Natives of isolate/js/node/zlib.js and isolate/js/compression.js: compressors as objects, for
 * JavaScript to run at once or in libuv's thread pool. */

#include "common/cleanup.h"
#include "isolate/compressor.h"
#include "isolate/natives.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct handle {
	struct compressor *compressor;
	bool open;
	bool closing, orphaned; /* as soon as the thread is done */
	size_t reported;        /* to V8, as memory that the object keeps */
	/* Of the write that a thread works at. */
	bool busy;
	uv_work_t work;
	int flush;
	const char *in;
	char *copy; /* of IN, when its memory may go away */
	char *out;
	size_t in_length, out_length, read, made;
	engine_pin *in_pin, *out_pin;
	engine_ref *self, *state;
};

static _Thread_local engine_ref *done_hook;

/* ---- memory ---- */

static void report_memory(struct handle *handle)
{
	const size_t now = handle->compressor ? compressor_memory(handle->compressor) : 0;
	if (now != handle->reported)
		engine_external_memory(runtime.engine, (int64_t)now - (int64_t)handle->reported);
	handle->reported = now;
}

static void close_compressor(struct handle *handle)
{
	handle->compressor = compressor_free(handle->compressor);
	handle->open = false;
	report_memory(handle);
}

static void destroy(void *state)
{
	struct handle *handle = state;
	if (handle->busy) {
		handle->orphaned = true; /* the engine closes, and a thread still works */
		return;
	}
	close_compressor(handle);
	free(handle);
}

/* new ZlibHandle(mode) */
static engine_value *construct(struct engine *engine, struct engine_call *call)
{
	const int mode = engine_argument_int32(call, 0);
	if (mode < COMPRESSOR_DEFLATE || mode > COMPRESSOR_ZSTD_DECOMPRESS)
		return engine_throw(engine, "TypeError", "ERR_INVALID_ARG_VALUE", "Bad argument");
	struct handle *handle = calloc(1, sizeof *handle);
	if (handle)
		handle->compressor = compressor_new((enum compressor_mode)mode);
	if (!handle || !handle->compressor) {
		free(handle);
		return engine_throw(engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED",
			"Failed to allocate memory");
	}
	engine_set_state(engine_call_this(engine, call), handle);
	report_memory(handle);
	return NULL;
}

/* ---- opening ---- */

/* [message, code, number] */
static engine_value *failure_value(struct engine *engine, const struct compressor_error *error)
{
	engine_value *items[] = {
		engine_string(engine, error->message),
		engine_string(engine, error->code),
		engine_int32(engine, error->number),
	};
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

static bool in_range(int value, int least, int most)
{
	return value >= least && value <= most;
}

static bool zlib_options(const struct engine_call *call, struct compressor_options *ret_options)
{
	ret_options->window_bits = engine_argument_int32(call, 0);
	ret_options->level = engine_argument_int32(call, 1);
	ret_options->mem_level = engine_argument_int32(call, 2);
	ret_options->strategy = engine_argument_int32(call, 3);
	ret_options->single_member = engine_argument_bool(call, 4);
	return (ret_options->window_bits == 0 || in_range(ret_options->window_bits, 8, 15)) &&
	       in_range(ret_options->level, -1, 9) && in_range(ret_options->mem_level, 1, 9) &&
	       in_range(ret_options->strategy, 0, Z_FIXED);
}

/* open(windowBits, level, memLevel, strategy, singleMember, parameters, sourceSize,
 * dictionary): the last three may be undefined. Undefined, or what was wrong. */
static engine_value *open_handle(struct engine *engine, struct engine_call *call)
{
	struct handle *handle = engine_call_state(call);
	struct compressor_options options = {0};
	struct compressor_error error = {0};
	uint32_t parameters[COMPRESSOR_PARAMETERS_MAX];
	void *data;
	size_t length;
	if (!handle->compressor || handle->open || handle->busy || !zlib_options(call, &options))
		return engine_throw(engine, "TypeError", "ERR_INVALID_ARG_VALUE", "Bad argument");
	if (engine_bytes_get(engine_call_argument(engine, call, 5), &data, &length)) {
		if (length > sizeof parameters)
			return engine_throw(
				engine, "RangeError", "ERR_OUT_OF_RANGE", "too many parameters");
		if (length > 0)
			memcpy(parameters, data, length);
		options.parameters = parameters;
		options.parameter_count = length / sizeof parameters[0];
	}
	engine_value *size = engine_call_argument(engine, call, 6);
	if (engine_typeof(size) == ENGINE_NUMBER) {
		const double number = engine_to_number(engine, size);
		options.has_source_size = number >= 0 && number <= 9007199254740991.0;
		options.source_size = options.has_source_size ? (uint64_t)number : 0;
	}
	if (engine_bytes_get(engine_call_argument(engine, call, 7), &data, &length)) {
		options.dictionary = data;
		options.dictionary_length = length;
	}
	handle->open = true;
	const bool good = compressor_open(handle->compressor, &options, &error);
	report_memory(handle);
	if (good)
		return NULL;
	engine_value *result = failure_value(engine, &error);
	close_compressor(handle);
	return result;
}

/* ---- writing ---- */

static engine_value *bad_state(struct engine *engine, const char *message)
{
	return engine_throw(engine, "Error", "ERR_INVALID_STATE", "%s", message);
}

/* LENGTH bytes of VIEW from OFFSET: arguments AT to AT + 2. */
static bool span(struct engine *engine, struct engine_call *call, int at, engine_value **ret_view,
	char **ret_data, size_t *ret_length)
{
	void *data;
	size_t size;
	const double offset = engine_argument_number(call, at + 1);
	const double length = engine_argument_number(call, at + 2);
	*ret_view = engine_call_argument(engine, call, at);
	*ret_data = NULL;
	*ret_length = 0;
	if (engine_typeof(*ret_view) == ENGINE_UNDEFINED || engine_typeof(*ret_view) == ENGINE_NULL)
		return true;
	if (!engine_bytes_get(*ret_view, &data, &size) || !(offset >= 0 && offset <= UINT32_MAX) ||
		!(length >= 0 && length <= UINT32_MAX))
		return false;
	if ((size_t)offset > size || (size_t)length > size - (size_t)offset)
		return false;
	*ret_data = (char *)data + (size_t)offset;
	*ret_length = (size_t)length;
	return true;
}

/* (flush, in, inOffset, inLength, out, outOffset, outLength, state) */
static bool write_arguments(struct engine *engine, struct engine_call *call, struct handle *handle,
	engine_value **ret_in, engine_value **ret_out)
{
	char *in;
	handle->flush = engine_argument_int32(call, 0);
	if (!in_range(handle->flush, 0, Z_BLOCK) ||
		!span(engine, call, 1, ret_in, &in, &handle->in_length) ||
		!span(engine, call, 4, ret_out, &handle->out, &handle->out_length) ||
		!handle->out) {
		engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE",
			"what to read and where to write is not inside of the buffers");
		return false;
	}
	handle->in = in;
	return true;
}

static bool may_write(struct engine *engine, const struct handle *handle)
{
	if (handle->compressor && handle->open && !handle->busy && !handle->closing)
		return true;
	bad_state(engine,
		handle->busy ? "a write is in progress" : "the compression stream is closed");
	return false;
}

/* [room left, input left], as zlib.js looks at them. */
static void put_state(engine_value *state, const struct handle *handle)
{
	void *data;
	size_t length;
	const uint32_t numbers[] = {(uint32_t)(handle->out_length - handle->made),
		(uint32_t)(handle->in_length - handle->read)};
	if (engine_bytes_get(state, &data, &length) && length >= sizeof numbers)
		memcpy(data, numbers, sizeof numbers);
}

static void run(struct handle *handle)
{
	compressor_run(handle->compressor, handle->flush, handle->in, handle->in_length,
		handle->out, handle->out_length, &handle->read, &handle->made);
}

/* run(…): now. Undefined, or what was wrong. */
static engine_value *write_now(struct engine *engine, struct engine_call *call)
{
	struct handle *handle = engine_call_state(call);
	struct compressor_error error;
	engine_value *in, *out;
	if (!may_write(engine, handle) || !write_arguments(engine, call, handle, &in, &out))
		return NULL;
	run(handle);
	report_memory(handle);
	put_state(engine_call_argument(engine, call, 7), handle);
	return compressor_failed(handle->compressor, &error) ? failure_value(engine, &error) : NULL;
}

static void in_thread(uv_work_t *work)
{
	run(work->data);
}

static void forget_write(struct handle *handle)
{
	handle->in_pin = engine_pin_free(handle->in_pin);
	handle->out_pin = engine_pin_free(handle->out_pin);
	handle->self = engine_ref_free(handle->self);
	handle->state = engine_ref_free(handle->state);
	free(handle->copy);
	handle->copy = NULL;
	handle->in = handle->out = NULL;
}

/* The orphan of an engine that is closed has nobody to tell. */
static void after_thread(uv_work_t *work, int status)
{
	struct handle *handle = work->data;
	struct engine_scope scope;
	struct compressor_error error;
	(void)status;
	handle->busy = false;
	if (handle->orphaned) {
		handle->compressor = compressor_free(handle->compressor);
		free(handle->copy);
		free(handle);
		return;
	}
	engine_scope_open(runtime.engine, &scope);
	engine_value *self = engine_ref_get(runtime.engine, handle->self);
	put_state(engine_ref_get(runtime.engine, handle->state), handle);
	engine_value *failure = compressor_failed(handle->compressor, &error)
					? failure_value(runtime.engine, &error)
					: engine_undefined(runtime.engine);
	forget_write(handle);
	report_memory(handle);
	if (handle->closing)
		close_compressor(handle);
	engine_value *arguments[] = {self, failure};
	runtime_call(engine_ref_get(runtime.engine, done_hook), engine_undefined(runtime.engine),
		arguments, 2);
	engine_scope_close(runtime.engine, &scope);
}

/* Keeps the memory of a write in its place. What may shrink is copied; nobody writes there. */
static bool pin(struct engine *engine, struct handle *handle, engine_value *in, engine_value *out)
{
	bool fixed = true;
	handle->out_pin = engine_pin_new(out, &fixed);
	if (!handle->out_pin || !fixed) {
		engine_throw(engine, "TypeError", "ERR_INVALID_ARG_VALUE",
			"the output buffer must not be resizable");
		return false;
	}
	if (!handle->in)
		return true;
	handle->in_pin = engine_pin_new(in, &fixed);
	if (handle->in_pin && fixed)
		return true;
	handle->copy = malloc(handle->in_length ? handle->in_length : 1);
	if (!handle->copy) {
		engine_throw(engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED",
			"Failed to allocate memory");
		return false;
	}
	if (handle->in_length > 0)
		memcpy(handle->copy, handle->in, handle->in_length);
	handle->in = handle->copy;
	handle->in_pin = engine_pin_free(handle->in_pin);
	return true;
}

/* start(…): in the thread pool; zlibDone(this, undefined or what was wrong) follows. */
static engine_value *write_later(struct engine *engine, struct engine_call *call)
{
	struct handle *handle = engine_call_state(call);
	engine_value *in, *out;
	if (!may_write(engine, handle) || !write_arguments(engine, call, handle, &in, &out))
		return NULL;
	if (!pin(engine, handle, in, out)) {
		forget_write(handle);
		return NULL;
	}
	handle->self = engine_ref_new(engine, engine_call_this(engine, call));
	handle->state = engine_ref_new(engine, engine_call_argument(engine, call, 7));
	handle->work.data = handle;
	handle->busy = true;
	if (uv_queue_work(&runtime.loop, &handle->work, in_thread, after_thread) != 0) {
		handle->busy = false;
		forget_write(handle);
		return bad_state(engine, "no thread can be started");
	}
	return NULL;
}

/* ---- the rest ---- */

/* change(level, strategy) */
static engine_value *change(struct engine *engine, struct engine_call *call)
{
	struct handle *handle = engine_call_state(call);
	struct compressor_error error;
	const int level = engine_argument_int32(call, 0);
	const int strategy = engine_argument_int32(call, 1);
	if (!may_write(engine, handle))
		return NULL;
	if (!in_range(level, -1, 9) || !in_range(strategy, 0, Z_FIXED))
		return engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE", "Bad argument");
	const bool good = compressor_change(handle->compressor, level, strategy, &error);
	report_memory(handle);
	return good ? NULL : failure_value(engine, &error);
}

static engine_value *reset(struct engine *engine, struct engine_call *call)
{
	struct handle *handle = engine_call_state(call);
	struct compressor_error error;
	if (handle->busy)
		return engine_throw(engine, "Error", NULL,
			"Cannot reset zlib stream while a write is in progress");
	if (!may_write(engine, handle))
		return NULL;
	const bool good = compressor_reset(handle->compressor, &error);
	report_memory(handle);
	return good ? NULL : failure_value(engine, &error);
}

static engine_value *close_handle(struct engine *engine, struct engine_call *call)
{
	struct handle *handle = engine_call_state(call);
	(void)engine;
	if (handle->busy)
		handle->closing = true;
	else
		close_compressor(handle);
	return NULL;
}

/* ended(): whether a decoder has read the end. */
static engine_value *ended(struct engine *engine, struct engine_call *call)
{
	const struct handle *handle = engine_call_state(call);
	return engine_bool(engine,
		handle->compressor && !handle->busy && compressor_ended(handle->compressor));
}

/* zlibCrc32(bytes or string, value) */
static engine_value *crc32_native(struct engine *engine, struct engine_call *call)
{
	engine_value *value = engine_call_argument(engine, call, 0);
	const uLong start = (uint32_t)engine_argument_int32(call, 1);
	void *data;
	size_t length;
	if (engine_bytes_get(value, &data, &length)) /* without bytes zlib gives 0 */
		return engine_number(
			engine, (double)(length > 0 ? crc32_z(start, data, length) : start));
	if (engine_typeof(value) != ENGINE_STRING)
		return engine_throw(engine, "TypeError", "ERR_INVALID_ARG_TYPE", "not bytes");
	length = engine_string_utf8_length(engine, value);
	cleanup_free char *text = malloc(length ? length : 1);
	if (!text)
		return engine_throw(engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED",
			"Failed to allocate memory");
	length = engine_string_write_utf8(engine, value, text, length, NULL);
	return engine_number(engine, (double)crc32_z(start, (const unsigned char *)text, length));
}

static engine_value *version_number(struct engine *engine, struct engine_call *call)
{
	(void)call;
	return engine_int32(engine, ZLIB_VERNUM);
}

static const struct engine_native natives[] = {
	{"zlibCrc32", crc32_native, 2},
	{"zlibVersionNumber", version_number, 0},
};

static const struct engine_native methods[] = {
	{"open", open_handle, 8},
	{"run", write_now, 8},
	{"start", write_later, 8},
	{"change", change, 2},
	{"reset", reset, 0},
	{"close", close_handle, 0},
	{"ended", ended, 0},
};

static const struct engine_class classes[] = {
	{"ZlibHandle", construct, methods, ARRAY_LENGTH(methods), NULL, 0, destroy},
};

static void bind_module(void)
{
	done_hook = runtime_hook("zlibDone");
}

static void start_module(void)
{
	compressor_limit(runtime.start ? runtime.start->memory_bytes : 0);
}

const struct native_module zlib_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
	.bind = bind_module,
	.start = start_module,
};
