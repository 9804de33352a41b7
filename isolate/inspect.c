#include "isolate/inspect.h"

#include "common/cleanup.h"
#include "common/file.h"
#include "isolate/channel.h"
#include "isolate/engine/inspector.h"
#include "isolate/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <simdutf_c.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Waiting messages, and how much of a debugger's is read ahead. */
#define QUEUE_MAX 1024
#define MAP_MAX (64u << 20) /* of a source map that is shown to the debugger */
#define START_WAIT_MS 10000 /* for MESSAGE_INSPECT, which comes right behind START */

struct message {
	struct message *next;
	size_t length; /* 0: the session ends */
	char data[];
};

/* Between the reading thread and the main one. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct message *first, **end = &first;
static size_t count;
static bool hung_up; /* the debugger's end is closed, or speaks nonsense */

static int fd = -1;
static uv_async_t wake;
static struct engine *engine; /* for the reading thread, whose `runtime` is another */
static pthread_t reader;
static struct engine_inspector *inspector;
static engine_ref *inspected; /* the library's: a debugger came, or went */
static atomic_bool active;
static bool in_call; /* messages are being dispatched */

bool inspect_active(void)
{
	return atomic_load_explicit(&active, memory_order_relaxed);
}

/* ---- the reading thread ---- */

static bool read_all(void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t got = read(fd, (char *)data + done, size - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

static struct message *read_message(void)
{
	uint32_t length;
	if (!read_all(&length, sizeof length) || length > INSPECT_MESSAGE_MAX)
		return NULL;
	struct message *message = malloc(sizeof *message + length);
	if (!message)
		return NULL;
	message->next = NULL;
	message->length = length;
	if (read_all(message->data, length))
		return message;
	free(message);
	return NULL;
}

static void on_interrupt(void *arg);

static void *read_messages(void *arg)
{
	(void)arg;
	bool more = true;
	while (more) {
		struct message *message = read_message();
		more = message != NULL;
		pthread_mutex_lock(&lock);
		while (count == QUEUE_MAX)
			pthread_cond_wait(&changed, &lock);
		if (message) {
			*end = message;
			end = &message->next;
			count++;
		} else {
			hung_up = true;
		}
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&lock);
		uv_async_send(&wake);
		engine_interrupt(engine, on_interrupt, NULL);
	}
	return NULL;
}

/* ---- the main thread ---- */

static struct message *take(void)
{
	pthread_mutex_lock(&lock);
	struct message *message = first;
	if (message) {
		first = message->next;
		if (!first)
			end = &first;
		count--;
		pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&lock);
	return message;
}

/* All that are there. */
static void dispatch(void)
{
	for (struct message *message; inspector && (message = take());) {
		if (message->length)
			engine_inspector_dispatch(inspector, message->data, message->length);
		else
			engine_inspector_reset(inspector);
		free(message);
	}
}

static void tell_library(bool on)
{
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	engine_value *argument = engine_bool(runtime.engine, on);
	if (engine_call_function(runtime.engine, engine_ref_get(runtime.engine, inspected),
		    engine_undefined(runtime.engine), &argument, 1, NULL) < 0)
		(void)engine_exception_take(runtime.engine);
	engine_scope_close(runtime.engine, &scope);
}

static void close_connection(void)
{
	if (fd < 0)
		return;
	engine_inspector_reset(inspector);
	pthread_join(reader, NULL);
	close_fd(&fd);
	hung_up = false;
	atomic_store(&active, false);
	tell_library(false);
}

/* In the middle of JavaScript, or in the loop. A breakpoint that is hit meanwhile waits in a call
 * further in. */
static void take_turn(void)
{
	struct engine_scope scope;
	if (in_call || fd < 0)
		return;
	in_call = true;
	engine_scope_open(runtime.engine, &scope);
	dispatch();
	engine_scope_close(runtime.engine, &scope);
	in_call = false;
}

static void on_interrupt(void *arg)
{
	(void)arg;
	take_turn();
}

static void on_wake(uv_async_t *handle)
{
	(void)handle;
	take_turn();
	runtime_tick(); /* what Runtime.evaluate left */
	pthread_mutex_lock(&lock);
	const bool gone = hung_up && !first;
	pthread_mutex_unlock(&lock);
	if (gone)
		close_connection();
}

/* The engine waits, at a breakpoint or before the program. */
static bool wait_for_messages(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&lock);
	while (!first && !hung_up)
		pthread_cond_wait(&changed, &lock);
	const bool more = first != NULL;
	pthread_mutex_unlock(&lock);
	dispatch();
	return more;
}

/* ---- to the debugger ---- */

static bool send_all(const void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t sent = send(fd, (const char *)data + done, size - done, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0) {
			/* The reader sees it, and so will we. */
			shutdown(fd, SHUT_RDWR);
			return false;
		}
		done += (size_t)sent;
	}
	return true;
}

static void send_message(const char *data, size_t length)
{
	const uint32_t size = (uint32_t)length;
	if (fd >= 0 && send_all(&size, sizeof size))
		send_all(data, length);
}

/* The source map that is beside the script URL, as a data: URL. NULL when there is none. */
static char *inline_map(const char *url, const char *map)
{
	static const char scheme[] = "file://", head[] = "data:application/json;base64,";
	cleanup_free char *path = NULL, *data = NULL;
	size_t length;
	struct error error = {0};
	/* What was required has a path for its URL. */
	const char *file =
		strncmp(url, scheme, sizeof scheme - 1) == 0 ? url + sizeof scheme - 1 : url;
	const char *slash = strrchr(file, '/');
	if (file[0] != '/' || !slash || strchr(map, ':'))
		return NULL;
	if (asprintf(&path, "%.*s%s", (int)(slash - file) + 1, file, map) < 0) {
		path = NULL;
		return NULL;
	}
	if (file_read(AT_FDCWD, path, MAP_MAX, &data, &length, &error) < 0)
		return NULL;
	const size_t size = simdutf_base64_length_from_binary(length, SIMDUTF_BASE64_DEFAULT);
	char *result = malloc(sizeof head + size);
	if (!result)
		return NULL;
	memcpy(result, head, sizeof head - 1);
	simdutf_binary_to_base64(data, length, result + sizeof head - 1, SIMDUTF_BASE64_DEFAULT);
	result[sizeof head - 1 + size] = '\0';
	return result;
}

/* A debugger cannot read the release: with the map of a script it shows its sources. NULL:
 * MESSAGE stays as it is. */
static char *with_map(const char *message, size_t length)
{
	static const char parsed[] = "{\"method\":\"Debugger.scriptParsed\"";
	const char *url, *map;
	char *result = NULL;
	if (length < sizeof parsed || memcmp(message, parsed, sizeof parsed - 1) != 0 ||
		!memmem(message, length, "\"sourceMapURL\":\"", 16))
		return NULL;
	json_t *json = json_loadb(message, length, 0, NULL);
	json_t *params = json_object_get(json, "params");
	if (json_unpack(params, "{s:s, s:s}", "url", &url, "sourceMapURL", &map) == 0 && map[0]) {
		cleanup_free char *data = inline_map(url, map);
		if (data && json_object_set_new(params, "sourceMapURL", json_string(data)) == 0)
			result = json_dumps(json, JSON_COMPACT);
	}
	json_decref(json);
	return result;
}

static void on_message(void *arg, const char *message, size_t length)
{
	(void)arg;
	cleanup_free char *changed_message = with_map(message, length);
	if (changed_message)
		send_message(changed_message, strlen(changed_message));
	else
		send_message(message, length);
}

/* ---- opening ---- */

void inspect_bind(void)
{
	inspected = runtime_hook("inspected");
}

static bool open_inspector(void)
{
	static const struct engine_inspector_client client = {
		.send = on_message, .wait = wait_for_messages};
	if (inspector)
		return true;
	if (uv_async_init(&runtime.loop, &wake, on_wake) < 0)
		return false;
	uv_unref((uv_handle_t *)&wake);
	engine = runtime.engine;
	inspector = engine_inspector_open(
		runtime.engine, &client, runtime.start ? runtime.start->tenant : "tenantd");
	return inspector != NULL;
}

/* One at a time: the supervisor sees to it, and another is closed. */
static void on_inspect(const void *message, size_t length, int *fds, size_t fd_count)
{
	const struct timeval patience = {.tv_sec = INSPECT_WRITE_MS / 1000};
	(void)message;
	(void)length;
	(void)fd_count;
	if (fd >= 0 || !open_inspector()) {
		close(fds[0]);
		return;
	}
	fd = fds[0];
	tell_library(true);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	atomic_store(&active, true);
	if (pthread_create(&reader, NULL, read_messages, NULL) != 0) {
		close_fd(&fd);
		atomic_store(&active, false);
	}
}

void inspect_watch(void)
{
	channel_on(MESSAGE_INSPECT, on_inspect);
}

/* In FILE of the release, as URL or as path, a breakpoint at its first statement. NULL without
 * memory. */
static char *make_breakpoint(const char *root, const char *file)
{
	cleanup_free char *pattern = NULL;
	char *result = NULL;
	size_t used = 0, size = 2 * (strlen(root) + strlen(file)) + 32;
	if (!(pattern = malloc(size)))
		return NULL;
	used += (size_t)snprintf(pattern, size, "^(file://)?");
	for (const char *part = root; part; part = part == root ? file : NULL) {
		if (part == file)
			pattern[used++] = '/';
		for (const char *at = part; *at; at++) {
			if (strchr("\\^$.|?*+()[]{}", *at))
				pattern[used++] = '\\';
			pattern[used++] = *at;
		}
	}
	memcpy(pattern + used, "$", 2);
	json_t *message = json_pack("{s:i, s:s, s:{s:s, s:i}}", "id", ENGINE_INSPECTOR_OWN_CALL,
		"method", "Debugger.setBreakpointByUrl", "params", "urlRegex", pattern,
		"lineNumber", 0);
	if (message)
		result = json_dumps(message, JSON_COMPACT);
	json_decref(message);
	return result;
}

static bool is_inspect(const void *message, const void *arg)
{
	(void)arg;
	struct message_header header;
	memcpy(&header, message, sizeof header);
	return header.type == MESSAGE_INSPECT;
}

void inspect_wait(bool wait_for_debugger)
{
	struct message_header header;
	struct engine_scope scope;
	int got;
	size_t got_count = 1;
	if (channel_wait_for(
		    is_inspect, NULL, &header, sizeof header, &got, &got_count, START_WAIT_MS) < 0)
		return;
	on_inspect(&header, sizeof header, &got, 1);
	if (!wait_for_debugger || fd < 0)
		return;
	cleanup_free char *breakpoint = make_breakpoint(runtime.start->root, runtime.start->entry);
	if (!breakpoint)
		return;
	engine_scope_open(runtime.engine, &scope);
	in_call = true;
	engine_inspector_wait_for_debugger(inspector, breakpoint);
	in_call = false;
	engine_scope_close(runtime.engine, &scope);
}
