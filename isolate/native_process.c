/* Natives of isolate/js/process.js and of the ticks: output, exit, memory, time. */

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/file.h"
#include "isolate/natives.h"
#include "isolate/thread.h"

#include <openssl/opensslv.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* writeStdio(fd, string or bytes): standard output and error are written at once and
 * whole, as Node does with pipes, so that nothing is lost when the process ends. A
 * reader that is gone is not the program's problem. */
static engine_value *write_stdio(struct engine *engine, struct engine_call *call)
{
	int fd = engine_argument_int32(call, 0);
	engine_value *value = engine_call_argument(engine, call, 1);
	void *bytes;
	size_t length;
	if (fd != STDOUT_FILENO && fd != STDERR_FILENO)
		return engine_throw(engine, "RangeError", NULL, "writeStdio: bad descriptor");
	if (engine_bytes_get(value, &bytes, &length)) {
		(void)file_write_all(fd, bytes, length);
		return NULL;
	}
	char small[4096];
	cleanup_free char *large = NULL;
	if (engine_typeof(value) != ENGINE_STRING)
		return engine_throw(engine, "TypeError", NULL, "writeStdio: not a string");
	size_t most = engine_string_length(value) * 3;
	char *text = most <= sizeof small ? small : (large = malloc(most));
	if (!text)
		return engine_throw(engine, "RangeError", NULL, "the string is too large to write");
	length = engine_string_write_utf8(engine, value, text, most, NULL);
	(void)file_write_all(fd, text, length);
	return NULL;
}

static engine_value *exit_process(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	if (runtime.thread) {
		thread_exit(engine_argument_int32(call, 0));
		return NULL;
	}
	int code = engine_argument_int32(call, 0) & 0xFF;
	char text[96];
	snprintf(text, sizeof text, "%s called process.exit(%d)%s",
		runtime.start ? runtime.start->entry : "the program", code,
		runtime.ready ? "" : " before it was ready");
	runtime_exit(WORKER_REASON_EXIT, (uint32_t)code, text);
}

/* Ends the worker for an error that nobody handles. */
static engine_value *fatal(struct engine *engine, struct engine_call *call)
{
	engine_throw_value(engine, engine_call_argument(engine, call, 0));
	runtime_uncaught();
	return NULL;
}

static engine_value *run_microtasks(struct engine *engine, struct engine_call *call)
{
	(void)call;
	engine_run_microtasks(engine);
	return NULL;
}

/* memoryUsage(): [rss, heapTotal, heapUsed, external, arrayBuffers, heap limit] in
 * bytes. There is no /proc in here; the largest resident size so far is what the kernel
 * tells. */
static engine_value *memory_usage(struct engine *engine, struct engine_call *call)
{
	(void)call;
	struct engine_memory memory;
	struct rusage usage;
	engine_memory(engine, &memory);
	getrusage(RUSAGE_SELF, &usage);
	engine_value *items[] = {
		engine_number(engine, (double)usage.ru_maxrss * 1024),
		engine_number(engine, (double)memory.heap_total),
		engine_number(engine, (double)memory.heap_used),
		engine_number(engine, (double)memory.external),
		engine_number(engine, (double)memory.array_buffers),
		engine_number(engine, (double)memory.heap_limit),
	};
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

/* heapLimit(): of the JavaScript heap, in bytes. */
static engine_value *heap_limit(struct engine *engine, struct engine_call *call)
{
	(void)call;
	struct engine_memory memory;
	engine_memory(engine, &memory);
	return engine_number(engine, (double)memory.heap_limit);
}

/* cpuUsage(): [user, system] in microseconds. */
static engine_value *cpu_usage(struct engine *engine, struct engine_call *call)
{
	(void)call;
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	engine_value *items[] = {
		engine_number(engine,
			(double)usage.ru_utime.tv_sec * 1e6 + (double)usage.ru_utime.tv_usec),
		engine_number(engine,
			(double)usage.ru_stime.tv_sec * 1e6 + (double)usage.ru_stime.tv_usec),
	};
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

/* resourceUsage(): the numbers of getrusage(2) in Node's order. */
static engine_value *resource_usage(struct engine *engine, struct engine_call *call)
{
	(void)call;
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	const double numbers[] = {
		(double)usage.ru_utime.tv_sec * 1e6 + (double)usage.ru_utime.tv_usec,
		(double)usage.ru_stime.tv_sec * 1e6 + (double)usage.ru_stime.tv_usec,
		(double)usage.ru_maxrss,
		(double)usage.ru_ixrss,
		(double)usage.ru_idrss,
		(double)usage.ru_isrss,
		(double)usage.ru_minflt,
		(double)usage.ru_majflt,
		(double)usage.ru_nswap,
		(double)usage.ru_inblock,
		(double)usage.ru_oublock,
		(double)usage.ru_msgsnd,
		(double)usage.ru_msgrcv,
		(double)usage.ru_nsignals,
		(double)usage.ru_nvcsw,
		(double)usage.ru_nivcsw,
	};
	engine_value *items[ARRAY_LENGTH(numbers)];
	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
		items[i] = engine_number(engine, numbers[i]);
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

static bool may_write_files(void)
{
	const struct worker_start *start = runtime.start;
	bool writes = start && start->tmp_bytes > 0;
	for (size_t i = 0; start && i < start->grant_count; i++)
		writes |= start->grants[i].write;
	return writes;
}

/* umask(mask). Who writes no files makes none, and may not ask the kernel. */
static engine_value *set_umask(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	if (may_write_files())
		umask((mode_t)(engine_argument_int32(call, 0) & 0777));
	return NULL;
}

struct resources {
	struct engine *engine;
	engine_value *list;
	uint32_t count;
};

static const char *resource_name(const uv_handle_t *handle)
{
	switch (handle->type) {
	case UV_TIMER:
		return "Timeout";
	case UV_TCP:
		return ((const uv_stream_t *)handle)->connection_cb ? "TCPServerWrap"
								    : "TCPSocketWrap";
	case UV_NAMED_PIPE:
		return "PipeWrap";
	case UV_FS_EVENT:
		return "FSEvent";
	case UV_IDLE:
		return "Immediate";
	default:
		return NULL;
	}
}

static void add_resource(uv_handle_t *handle, void *arg)
{
	struct resources *resources = arg;
	const char *name =
		uv_is_active(handle) && uv_has_ref(handle) ? resource_name(handle) : NULL;
	if (name)
		engine_set_index(resources->engine, resources->list, resources->count++,
			engine_string(resources->engine, name));
}

/* activeResources(): kinds of what keeps the event loop going. */
static engine_value *active_resources(struct engine *engine, struct engine_call *call)
{
	(void)call;
	struct resources resources = {engine, engine_array(engine, NULL, 0), 0};
	uv_walk(&runtime.loop, add_resource, &resources);
	return resources.list;
}

/* hrtime(): monotonic milliseconds, with the nanoseconds as fraction. */
static engine_value *hrtime(struct engine *engine, struct engine_call *call)
{
	(void)call;
	return engine_number(engine, (double)clock_ns() / 1e6);
}

static engine_value *hrtime_bigint(struct engine *engine, struct engine_call *call)
{
	(void)call;
	return engine_bigint_u64(engine, clock_ns());
}

static engine_value *string_list(struct engine *engine, const char *const *list, size_t count)
{
	engine_value *array = engine_array(engine, NULL, 0);
	for (size_t i = 0; i < count; i++)
		engine_set_index(engine, array, (uint32_t)i, engine_string(engine, list[i]));
	return array;
}

/* startInfo(): [entry, arguments, environment, folder of the release] of START, the secrets among
 * the last; in the zygote, which has none, empty ones. */
static engine_value *start_info(struct engine *engine, struct engine_call *call)
{
	(void)call;
	static const struct worker_start nothing = {.entry = "main.js", .root = "/app"};
	const struct worker_start *start = runtime.start ? runtime.start : &nothing;
	engine_value *items[] = {
		engine_string(engine, start->entry),
		string_list(engine, start->arguments, start->argument_count),
		string_list(engine, start->environment, start->environment_count),
		engine_string(engine, start->root),
	};
	for (size_t i = 0; i < start->secret_count; i++)
		engine_set_index(engine, items[2], (uint32_t)(start->environment_count + i),
			engine_string(engine, start->secrets[i]));
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

static engine_value *version(struct engine *engine, struct engine_call *call)
{
	(void)call;
	engine_value *items[] = {
		engine_string(engine, TENANTD_VERSION),
		engine_string(engine, engine_version()),
		engine_string(engine, uv_version_string()),
		engine_string(engine, OPENSSL_VERSION_STR),
		engine_string(engine, SQLITE_VERSION),
	};
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

static const struct engine_native natives[] = {
	{"writeStdio", write_stdio, 2},
	{"exit", exit_process, 1},
	{"fatal", fatal, 1},
	{"runMicrotasks", run_microtasks, 0},
	{"memoryUsage", memory_usage, 0},
	{"cpuUsage", cpu_usage, 0},
	{"heapLimit", heap_limit, 0},
	{"resourceUsage", resource_usage, 0},
	{"umask", set_umask, 1},
	{"activeResources", active_resources, 0},
	{"hrtime", hrtime, 0},
	{"hrtimeBigint", hrtime_bigint, 0},
	{"startInfo", start_info, 0},
	{"version", version, 0},
};

const struct native_module process_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
};
