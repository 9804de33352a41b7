/* Files that are watched: by the kernel's events (inotify(7)), or by looking again and
 * again. */
#include "common/cleanup.h"
#include "isolate/native_fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WATCHERS_MAX = 1024, STATS_FIELDS = 18 };

enum watch_kind { WATCH_EVENTS, WATCH_POLL };

struct watcher {
	union {
		uv_handle_t handle;
		uv_fs_event_t events;
		uv_fs_poll_t poll;
	};
	int32_t number; /* the library's */
	bool bytes;     /* names as bytes */
	bool bigint;
};

static _Thread_local struct watcher **watchers; /* NULL before the first */
static _Thread_local engine_ref *event_hook;

static void tell(const struct watcher *watcher, int status, engine_value *kind, engine_value *name)
{
	struct engine *engine = runtime.engine;
	engine_value *arguments[] = {
		engine_int32(engine, watcher->number),
		engine_int32(engine, status),
		kind,
		name,
	};
	runtime_call(engine_ref_get(engine, event_hook), engine_undefined(engine), arguments, 4);
}

static void on_event(uv_fs_event_t *handle, const char *name, int events, int status)
{
	const struct watcher *watcher = handle->data;
	struct engine *engine = runtime.engine;
	struct engine_scope scope;
	engine_scope_open(engine, &scope);
	engine_value *value = engine_null(engine);
	if (name)
		value = watcher->bytes ? engine_bytes_copy(engine, name, strlen(name))
				       : engine_string(engine, name);
	const char *kind = events & UV_RENAME ? "rename" : "change";
	if (value)
		tell(watcher, status, engine_string(engine, kind), value);
	engine_scope_close(engine, &scope);
}

static void on_poll(
	uv_fs_poll_t *handle, int status, const uv_stat_t *previous, const uv_stat_t *current)
{
	const struct watcher *watcher = handle->data;
	struct engine *engine = runtime.engine;
	struct engine_scope scope;
	engine_scope_open(engine, &scope);
	fs_put_stat(current, 0, watcher->bigint);
	fs_put_stat(previous, STATS_FIELDS, watcher->bigint);
	tell(watcher, status, engine_undefined(engine), engine_undefined(engine));
	engine_scope_close(engine, &scope);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

/* Both take the watcher away when libuv keeps it until it is closed. */
static int start_events(struct watcher **watcher, const char *path)
{
	int result = uv_fs_event_init(&runtime.loop, &(*watcher)->events);
	if (result < 0)
		return result;
	(*watcher)->handle.data = *watcher;
	result = uv_fs_event_start(&(*watcher)->events, on_event, path, 0);
	if (result < 0)
		uv_close(&take_pointer(*watcher)->handle, on_closed);
	return result;
}

static int start_poll(struct watcher **watcher, const char *path, unsigned interval_ms)
{
	int result = uv_fs_poll_init(&runtime.loop, &(*watcher)->poll);
	if (result < 0)
		return result;
	(*watcher)->handle.data = *watcher;
	result = uv_fs_poll_start(&(*watcher)->poll, on_poll, path, interval_ms);
	if (result < 0)
		uv_close(&take_pointer(*watcher)->handle, on_closed);
	return result;
}

static int free_number(void)
{
	if (!watchers)
		watchers = calloc(WATCHERS_MAX, sizeof(struct watcher *));
	for (int i = 0; watchers && i < WATCHERS_MAX; i++)
		if (!watchers[i])
			return i;
	return -ENOSPC;
}

/* fsWatch(kind, path, want, interval): a number for fsWatchEvent, or a negative errno. */
engine_value *fs_watch(struct engine *engine, struct engine_call *call)
{
	cleanup_free char *path = NULL;
	size_t stripped;
	const enum watch_kind kind = (enum watch_kind)engine_argument_int32(call, 0);
	const unsigned want = (unsigned)engine_argument_int32(call, 2);
	int result = fs_path(engine, engine_call_argument(engine, call, 1), &path, &stripped);
	const int number = free_number();
	if (result == 0 && number < 0)
		result = number;
	cleanup_free struct watcher *watcher = result == 0 ? calloc(1, sizeof *watcher) : NULL;
	if (result == 0 && !watcher)
		result = -ENOMEM;
	if (result < 0)
		return engine_int32(engine, result);
	watcher->number = number;
	watcher->bytes = want & FS_WANT_BYTES;
	watcher->bigint = want & FS_WANT_BIGINT;
	result = kind == WATCH_POLL
			 ? start_poll(&watcher, path, (unsigned)engine_argument_int32(call, 3))
			 : start_events(&watcher, path);
	if (result < 0)
		return engine_int32(engine, result);
	watchers[number] = take_pointer(watcher);
	return engine_int32(engine, number);
}

static struct watcher *watcher_of(const struct engine_call *call)
{
	int32_t number = engine_argument_int32(call, 0);
	return watchers && number >= 0 && number < WATCHERS_MAX ? watchers[number] : NULL;
}

/* fsWatchRef(number, whether it keeps the program alive) */
engine_value *fs_watch_ref(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	struct watcher *watcher = watcher_of(call);
	if (watcher && engine_argument_bool(call, 1))
		uv_ref(&watcher->handle);
	else if (watcher)
		uv_unref(&watcher->handle);
	return NULL;
}

/* fsUnwatch(number) */
engine_value *fs_unwatch(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	struct watcher *watcher = watcher_of(call);
	if (!watcher)
		return NULL;
	watchers[watcher->number] = NULL;
	uv_close(&watcher->handle, on_closed);
	return NULL;
}

void fs_watch_stop(void)
{
	for (int i = 0; watchers && i < WATCHERS_MAX; i++)
		if (watchers[i])
			uv_close(&watchers[i]->handle, on_closed);
	free(watchers);
	watchers = NULL;
}

void fs_watch_bind(void)
{
	event_hook = runtime_hook("fsWatchEvent");
}
