#include "isolate/runtime.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "isolate/engine/inspector.h"
#include "isolate/mailbox.h"
#include "isolate/modules.h"
#include "isolate/natives.h"
#include "isolate/thread.h"
#include "isolate/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

_Thread_local struct runtime runtime = {.channel = -1};

static struct runtime *first; /* the process's, whose memory stays */

/* Flags that JavaScript raises, so that a tick without work costs no call. */
enum { TICK_CALLBACKS, TICK_REJECTIONS, TICK_CONTEXTS, TICK_FLAGS };
static _Thread_local volatile int32_t *tick_flags;

static _Thread_local engine_ref *process_ticks, *uncaught_exception, *thread_uncaught, *rejection,
	*after_fork, *warm_up, *warm_worker;

static _Thread_local uv_prepare_t turn_end;
static _Thread_local uv_timer_t tasks_timer;
static _Thread_local uint64_t turn_ended_ns, idle_before_ns, heap_looked_ns;

/* ---- the end ---- */

struct runtime *runtime_first(void)
{
	return first ? first : &runtime;
}

/* By any thread of the process. */
_Noreturn void runtime_exit(enum worker_reason reason, uint32_t code, const char *text)
{
	char report[sizeof(struct message_report) + MESSAGE_TEXT_MAX + 1];
	const struct runtime *process = runtime_first();
	if (process->channel >= 0) {
		bool failed = !process->ready && process->start &&
			      process->start->mode == WORKER_MODE_SERVE;
		if (failed && reason == WORKER_REASON_UNCAUGHT)
			reason = WORKER_REASON_BOOT;
		size_t length = message_report_encode(report, sizeof report,
			failed ? MESSAGE_FAILED : MESSAGE_EXITING, process->instance, reason, code,
			text);
		/* A supervisor that is gone has killed us already. */
		(void)!send(process->channel, report, length, MSG_NOSIGNAL);
	}
	_exit((int)code);
}

static void write_log(const char *text)
{
	(void)file_write_all(STDERR_FILENO, text, strlen(text));
}

_Noreturn void runtime_end_uncaught(engine_value *exception)
{
	cleanup_free char *text = engine_exception_describe(runtime.engine, exception);
	const char *message = text ? text : "an exception that cannot be described";
	write_log("Uncaught ");
	write_log(message);
	write_log("\n");
	runtime_exit(WORKER_REASON_UNCAUGHT, 1, message);
}

static void on_heap_limit(void *arg, size_t used, size_t limit)
{
	(void)arg;
	char text[160];
	snprintf(text, sizeof text,
		"the JavaScript heap reached its limit: %zu MiB used of %zu MiB (limits.memory)",
		used >> 20, limit >> 20);
	write_log(text);
	write_log("\n");
	runtime_exit(WORKER_REASON_HEAP_LIMIT, 134, text);
}

/* A thread's: that thread ends, and its program's error event tells of it. */
static void on_thread_heap_limit(void *arg, size_t used, size_t limit)
{
	(void)arg;
	(void)used;
	(void)limit;
	thread_out_of_memory("JS heap out of memory");
}

static void on_fatal(void *arg, const char *where, const char *message)
{
	(void)arg;
	char text[512];
	snprintf(text, sizeof text, "fatal error in the engine: %s: %s", where ? where : "V8",
		message ? message : "unknown");
	write_log(text);
	write_log("\n");
	bool memory = message && strstr(message, "memory");
	runtime_exit(memory ? WORKER_REASON_HEAP_LIMIT : WORKER_REASON_UNCAUGHT, 134, text);
}

/* ---- into JavaScript and back ---- */

engine_ref *runtime_hook(const char *name)
{
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	engine_value *hooks =
		engine_get(runtime.engine, engine_native_object(runtime.engine), "hooks");
	engine_value *hook = hooks ? engine_get(runtime.engine, hooks, name) : NULL;
	if (!hook || engine_typeof(hook) != ENGINE_FUNCTION) {
		log_error("the JavaScript library has no hook %s", name);
		abort();
	}
	engine_ref *ref = engine_ref_new(runtime.engine, hook);
	engine_scope_close(runtime.engine, &scope);
	return ref;
}

void *runtime_shared(const char *name, size_t size)
{
	struct engine_scope scope;
	void *data;
	size_t length;
	engine_scope_open(runtime.engine, &scope);
	engine_value *hooks =
		engine_get(runtime.engine, engine_native_object(runtime.engine), "hooks");
	engine_value *view = hooks ? engine_get(runtime.engine, hooks, name) : NULL;
	if (!view || !engine_bytes_get(view, &data, &length) || length < size) {
		log_error("the JavaScript library shares no %s", name);
		abort();
	}
	engine_scope_close(runtime.engine, &scope);
	return data;
}

/* A thread tells its parent, and ends. */
static void end_uncaught(engine_value *exception)
{
	if (!runtime.thread)
		runtime_end_uncaught(exception);
	(void)engine_call_function(runtime.engine, engine_ref_get(runtime.engine, thread_uncaught),
		engine_undefined(runtime.engine), &exception, 1, NULL);
	if (engine_exception_pending(runtime.engine))
		engine_exception_take(runtime.engine);
	thread_exit(1);
}

static void give_to_listeners(engine_value *exception)
{
	engine_value *handled = NULL;
	int result = engine_call_function(runtime.engine,
		engine_ref_get(runtime.engine, uncaught_exception),
		engine_undefined(runtime.engine), &exception, 1, &handled);
	if (engine_stopped(runtime.engine))
		return;
	if (result < 0) {
		engine_value *thrown = engine_exception_take(runtime.engine);
		end_uncaught(thrown ? thrown : exception);
	} else if (!engine_to_bool(runtime.engine, handled)) {
		end_uncaught(exception);
	}
}

void runtime_uncaught(void)
{
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	engine_value *exception = engine_exception_take(runtime.engine);
	if (engine_stopped(runtime.engine))
		uv_stop(&runtime.loop);
	else if (!exception)
		runtime_exit(WORKER_REASON_CPU_LIMIT, 1, "execution was terminated");
	else
		give_to_listeners(exception);
	engine_scope_close(runtime.engine, &scope);
}

static void call_process_ticks(void)
{
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	if (engine_call_function(runtime.engine, engine_ref_get(runtime.engine, process_ticks),
		    engine_undefined(runtime.engine), NULL, 0, NULL) < 0)
		runtime_uncaught();
	engine_scope_close(runtime.engine, &scope);
}

void runtime_tick(void)
{
	/* What the program set for what follows ends with the callback that set it. */
	if (tick_flags[TICK_CONTEXTS])
		engine_set_async_context(runtime.engine, engine_undefined(runtime.engine));
	while (!engine_stopped(runtime.engine)) {
		if (!tick_flags[TICK_CALLBACKS] && engine_run_microtasks(runtime.engine) < 0)
			runtime_uncaught();
		if (!tick_flags[TICK_CALLBACKS] && !tick_flags[TICK_REJECTIONS])
			return;
		call_process_ticks();
	}
}

void runtime_call(
	engine_value *function, engine_value *receiver, engine_value *const *arguments, int count)
{
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	if (engine_call_function(runtime.engine, function, receiver, arguments, count, NULL) < 0)
		runtime_uncaught();
	runtime_tick();
	engine_scope_close(runtime.engine, &scope);
}

static void on_rejection(
	struct engine *engine, void *arg, engine_value *promise, engine_value *reason, bool handled)
{
	(void)arg;
	engine_value *arguments[] = {
		promise,
		reason ? reason : engine_undefined(engine),
		engine_bool(engine, handled),
	};
	/* The hook only keeps books; nothing of the tenant runs in it. */
	(void)engine_call_function(engine, engine_ref_get(engine, rejection),
		engine_undefined(engine), arguments, 3, NULL);
}

static void on_uncaught(struct engine *engine, void *arg, engine_value *exception)
{
	(void)engine;
	(void)arg;
	give_to_listeners(exception);
}

/* ---- life ---- */

static int map_file(const char *path, void **ret_data, size_t *ret_length, struct error *error)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) < 0)
		return error_errno(error, errno, "cannot open the snapshot %s", path);
	void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return error_errno(error, errno, "cannot map the snapshot %s", path);
	*ret_data = data;
	*ret_length = (size_t)status.st_size;
	return 0;
}

static void bind_engine(void)
{
	tick_flags = runtime_shared("tickFlags", TICK_FLAGS * sizeof *tick_flags);
	process_ticks = runtime_hook("processTicks");
	uncaught_exception = runtime_hook("uncaughtException");
	thread_uncaught = runtime_hook("threadUncaught");
	rejection = runtime_hook("rejection");
	after_fork = runtime_hook("afterFork");
	warm_up = runtime_hook("warmUp");
	warm_worker = runtime_hook("warmWorker");
	engine_on_rejection(runtime.engine, on_rejection, NULL);
	engine_on_uncaught(runtime.engine, on_uncaught, NULL);
	engine_on_fatal(runtime.engine, on_fatal, NULL);
	natives_bind();
}

int runtime_open(const char *snapshot, bool jitless, struct error *error)
{
	static struct worker_stats private_stats;
	void *data = NULL;
	first = &runtime;
	size_t length = 0;
	int result = engine_process_init(&(struct engine_flags){.jitless = jitless}, error);
	if (result == 0)
		result = map_file(snapshot, &data, &length, error);
	if (result < 0)
		return result;
	struct engine_options options = {
		.tables = natives_tables(),
		.snapshot = data,
		.snapshot_length = length,
	};
	result = engine_open(&options, &runtime.engine, error);
	if (result < 0)
		return error_prefix(error, "%s", snapshot);
	runtime.stats = &private_stats;
	engine_on_heap_limit(runtime.engine, on_heap_limit, NULL);
	bind_engine();
	return 0;
}

static void run_hook(engine_ref *hook)
{
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	runtime_call(
		engine_ref_get(runtime.engine, hook), engine_undefined(runtime.engine), NULL, 0);
	engine_scope_close(runtime.engine, &scope);
}

void runtime_warm_up(void)
{
	engine_inspector_prepare(runtime.engine);
	run_hook(warm_up);
}

void runtime_warm_worker(void)
{
	run_hook(warm_worker);
}

static void on_tasks_timer(uv_timer_t *handle)
{
	(void)handle; /* The turn that it makes runs the tasks. */
}

/* V8's own tasks. Most turns there are none. */
static void run_engine_tasks(void)
{
	int64_t wait_ms = engine_tasks_wait_ms(runtime.engine);
	if (wait_ms < 0)
		return;
	if (wait_ms > 0) {
		uv_timer_start(&tasks_timer, on_tasks_timer, (uint64_t)wait_ms, 0);
		return;
	}
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	if (engine_run_tasks(runtime.engine) < 0)
		runtime_uncaught();
	runtime_tick();
	engine_scope_close(runtime.engine, &scope);
	if (engine_tasks_wait_ms(runtime.engine) >= 0)
		uv_timer_start(&tasks_timer, on_tasks_timer, 0, 0);
}

/* Once in each turn of the loop, right before it waits: how long the turn was. */
static void on_turn_end(uv_prepare_t *handle)
{
	run_engine_tasks();
	struct worker_stats *stats = runtime.stats;
	uint64_t now = uv_hrtime();
	uint64_t idle = uv_metrics_idle_time(handle->loop);
	uint64_t busy = now - turn_ended_ns - (idle - idle_before_ns);
	turn_ended_ns = now;
	idle_before_ns = idle;
	thread_idle(idle);
	stats->turns++;
	stats->turn_started_ns = 0;
	if (busy > stats->delay_max_ns)
		stats->delay_max_ns = busy;
	if (now - heap_looked_ns > 1000000000u) {
		struct engine_memory memory;
		engine_memory(runtime.engine, &memory);
		stats->heap_used_bytes = memory.heap_used;
		stats->heap_limit_bytes = memory.heap_limit;
		stats->external_bytes = memory.external;
		heap_looked_ns = now;
	}
}

static int make_loop(struct error *error)
{
	int result = uv_loop_init(&runtime.loop);
	if (result < 0)
		return error_set(
			error, result, "cannot make the event loop: %s", uv_strerror(result));
	uv_loop_configure(&runtime.loop, UV_METRICS_IDLE_TIME);
	uv_prepare_init(&runtime.loop, &turn_end);
	uv_prepare_start(&turn_end, on_turn_end);
	uv_unref((uv_handle_t *)&turn_end);
	uv_timer_init(&runtime.loop, &tasks_timer);
	uv_unref((uv_handle_t *)&tasks_timer);
	turn_ended_ns = uv_hrtime();
	return 0;
}

/* Most of the tenant's memory is for the JavaScript heap; a quarter stays for code,
 * stacks, sockets and buffers. The cgroup limits the whole. */
static uint64_t heap_bytes(const struct worker_start *start)
{
	return start->memory_bytes / 4 * 3;
}

int runtime_start(const struct worker_start *start, struct error *error)
{
	runtime.start = start;
	int result = engine_after_fork(runtime.engine, heap_bytes(start), error);
	if (result == 0)
		result = make_loop(error);
	if (result == 0)
		result = watchdog_start(start->turn_cpu_ms, error);
	if (result < 0)
		return result;
	if (start->stack_bytes)
		engine_set_stack(runtime.engine, (size_t)start->stack_bytes);
	engine_allow_eval(runtime.engine, start->allow_eval);
	engine_allow_wasm(runtime.engine, start->allow_wasm);
	engine_allow_wait(runtime.engine, true);
	run_hook(after_fork);
	natives_start();
	return 0;
}

/* ---- threads ---- */

/* V8 has a task for a thread that waits. */
struct wake {
	struct letter letter;
	struct mailbox *mailbox;
};
static _Thread_local struct wake wake;

static void on_wake(struct letter *letter)
{
	(void)letter; /* The turn that it makes runs the tasks. */
}

static void on_engine_task(void *arg)
{
	struct wake *of = arg;
	mailbox_post(of->mailbox, &of->letter);
}

void runtime_listen_to_threads(void)
{
	struct mailbox *mailbox = wake.mailbox ? NULL : mailbox_own();
	if (!mailbox)
		return;
	wake = (struct wake){.letter.deliver = on_wake, .mailbox = mailbox_ref(mailbox)};
	engine_on_task(runtime.engine, on_engine_task, &wake);
}

int runtime_start_thread(uint64_t heap_bytes, size_t stack_bytes, struct error *error)
{
	int result = make_loop(error);
	if (result < 0)
		return result;
	runtime.engine = engine_open_thread(
		runtime_first()->engine, natives_tables_for_threads(), heap_bytes);
	engine_set_stack(runtime.engine, stack_bytes);
	engine_on_heap_limit_stop(runtime.engine, on_thread_heap_limit, NULL);
	engine_allow_wait(runtime.engine, true);
	bind_engine();
	engine_allow_eval(runtime.engine, runtime.start->allow_eval);
	engine_allow_wasm(runtime.engine, runtime.start->allow_wasm);
	modules_init();
	run_hook(after_fork);
	natives_start();
	runtime_listen_to_threads();
	return 0;
}

void runtime_end_thread(void)
{
	if (!runtime.engine)
		return;
	engine_on_task(runtime.engine, NULL, NULL);
	wake.mailbox = mailbox_unref(wake.mailbox);
	engine_close(runtime.engine);
	runtime.engine = NULL;
}
