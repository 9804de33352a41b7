/* Natives of isolate/js/node/stdio.js: process.stdin, whatever descriptor 0 is. The handle
 * is made when the program first reads. */

#include "isolate/natives.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { CHUNK = 65536 };

enum kind { KIND_NONE, KIND_STREAM, KIND_FILE, KIND_ENDED };

static enum kind kind;
static union {
	uv_handle_t handle;
	uv_stream_t stream;
	uv_pipe_t pipe;
	uv_tcp_t tcp;
	uv_idle_t idle;
} input;
static engine_ref *on_stdin;

/* onStdin(bytes), onStdin(null) at the end, onStdin(negative error). */
static void report(engine_value *value)
{
	runtime_call(engine_ref_get(runtime.engine, on_stdin), engine_undefined(runtime.engine),
		&value, 1);
}

static void finish(int error)
{
	struct engine_scope scope;
	kind = KIND_ENDED;
	uv_close(&input.handle, NULL);
	engine_scope_open(runtime.engine, &scope);
	report(error == 0 ? engine_null(runtime.engine) : engine_int32(runtime.engine, error));
	engine_scope_close(runtime.engine, &scope);
}

static void give(const void *data, size_t length)
{
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	engine_value *bytes = engine_bytes_copy(runtime.engine, data, length);
	if (bytes)
		report(bytes);
	else
		runtime_uncaught();
	engine_scope_close(runtime.engine, &scope);
}

static void allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
	(void)handle;
	(void)suggested;
	ret_buffer->base = malloc(CHUNK);
	ret_buffer->len = ret_buffer->base ? CHUNK : 0;
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
	(void)stream;
	cleanup_free char *data = buffer->base;
	if (length > 0)
		give(data, (size_t)length);
	else if (length < 0)
		finish(length == UV_EOF ? 0 : (int)length);
}

/* A file is always ready: one piece in each turn of the loop, while somebody wants it. */
static void on_idle(uv_idle_t *idle)
{
	(void)idle;
	cleanup_free char *data = malloc(CHUNK);
	ssize_t length = data ? read(STDIN_FILENO, data, CHUNK) : -1;
	if (length > 0)
		give(data, (size_t)length);
	else
		finish(length == 0 ? 0 : data ? -errno : -ENOMEM);
}

static int open_input(void)
{
	int result;
	kind = KIND_STREAM;
	switch (uv_guess_handle(STDIN_FILENO)) {
	case UV_NAMED_PIPE:
		result = uv_pipe_init(&runtime.loop, &input.pipe, 0);
		return result < 0 ? result : uv_pipe_open(&input.pipe, STDIN_FILENO);
	case UV_TCP:
		result = uv_tcp_init(&runtime.loop, &input.tcp);
		return result < 0 ? result : uv_tcp_open(&input.tcp, STDIN_FILENO);
	default:
		kind = KIND_FILE;
		return uv_idle_init(&runtime.loop, &input.idle);
	}
}

/* stdinStart(): reads until stdinStop(), or to the end. Returns 0 or a negative error. */
static engine_value *stdin_start(struct engine *engine, struct engine_call *call)
{
	(void)call;
	int result = 0;
	if (kind == KIND_NONE)
		result = open_input();
	if (result == 0 && kind == KIND_STREAM)
		result = uv_read_start(&input.stream, allocate, on_read);
	if (result == 0 && kind == KIND_FILE)
		result = uv_idle_start(&input.idle, on_idle);
	return engine_int32(engine, result == UV_EALREADY ? 0 : result);
}

static engine_value *stdin_stop(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	(void)call;
	if (kind == KIND_STREAM)
		uv_read_stop(&input.stream);
	else if (kind == KIND_FILE)
		uv_idle_stop(&input.idle);
	return NULL;
}

/* stdinRef(bool): whether waiting for input keeps the program alive. */
static engine_value *stdin_ref(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	if (kind != KIND_STREAM && kind != KIND_FILE)
		return NULL;
	if (engine_argument_bool(call, 0))
		uv_ref(&input.handle);
	else
		uv_unref(&input.handle);
	return NULL;
}

static void bind_hooks(void)
{
	on_stdin = runtime_hook("onStdin");
}

static const struct engine_native natives[] = {
	{"stdinStart", stdin_start, 0},
	{"stdinStop", stdin_stop, 0},
	{"stdinRef", stdin_ref, 1},
};

const struct native_module stdin_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.bind = bind_hooks,
	.first_thread_only = true,
};
