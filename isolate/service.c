#include "isolate/service.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/message.h"
#include "isolate/channel.h"
#include "isolate/handover.h"
#include "isolate/http_connection.h"
#include "isolate/http_server.h"
#include "isolate/http_sites.h"
#include "isolate/native_net.h"
#include "isolate/natives.h"
#include "isolate/server_tls.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Who waits in the listen queue is served before READY goes out. */
#define FIRST_TURNS 3

/* How much of the grace time is kept for the program's own shutdown, where it has one; and
 * what is left at its end, so that the worker ends by itself and not by the supervisor. */
#define SHUTDOWN_MOST_MS 2000
#define SPARE_MOST_MS 250

/* Of the hook drain: isolate/js/lifecycle.js. */
enum { DRAIN_HEARD = 1, DRAIN_SHUTDOWN = 2 };

enum { OUTCOME_PROBED, OUTCOME_SCHEDULED }; /* of lifecycleOutcome */

static engine_ref *start_server, *drain_hook, *shutdown_hook, *probe_hook, *scheduled_hook,
	*serves_hook, *signal_hook;

static struct {
	bool started;  /* start() is over */
	bool serving;  /* connections are taken */
	bool signaled; /* ctx.ready() was called */
	uv_timer_t end;
} service;

/* ---- starting ---- */

static engine_value *call_start(
	engine_value *program, engine_value *environment, bool needed, bool started)
{
	engine_value *result = NULL;
	engine_value *arguments[] = {
		program ? program : engine_undefined(runtime.engine),
		environment,
		engine_bool(runtime.engine, needed),
		engine_bool(runtime.engine, started),
	};
	if (engine_call_function(runtime.engine, engine_ref_get(runtime.engine, start_server),
		    engine_undefined(runtime.engine), arguments, ARRAY_LENGTH(arguments),
		    &result) < 0)
		runtime_uncaught();
	return result;
}

/* Whether the program took all of its listeners over, with node:net. */
static bool all_taken(void)
{
	for (size_t i = 0; i < runtime.start->listener_count; i++)
		if (!net_listener_taken(i))
			return false;
	return runtime.start->listener_count > 0 || net_shared_taken();
}

bool service_wanted(engine_value *program)
{
	engine_value *result = NULL;
	engine_value *arguments[] = {program ? program : engine_undefined(runtime.engine)};
	if (runtime.start->mode != WORKER_MODE_EITHER)
		return runtime.start->mode == WORKER_MODE_SERVE;
	for (size_t i = 0; i < runtime.start->listener_count; i++)
		if (net_listener_taken(i))
			return true;
	if (engine_call_function(runtime.engine, engine_ref_get(runtime.engine, serves_hook),
		    engine_undefined(runtime.engine), arguments, ARRAY_LENGTH(arguments),
		    &result) < 0)
		runtime_uncaught();
	return result && engine_to_bool(runtime.engine, result);
}

_Noreturn static void never_ready(const char *text)
{
	dprintf(STDERR_FILENO, "%s\n", text);
	runtime_exit(WORKER_REASON_BOOT, 13, text);
}

/* Lets the loop turn until the promise of start() settles. */
static void wait_for_start(engine_value *promise)
{
	bool alive = true;
	runtime_tick();
	while (engine_promise_state(promise) == ENGINE_PENDING && alive)
		alive = uv_run(&runtime.loop, UV_RUN_ONCE) != 0;
	if (engine_promise_state(promise) == ENGINE_PENDING)
		never_ready("start() waits for something that never comes");
	if (engine_promise_state(promise) == ENGINE_REJECTED)
		runtime_end_uncaught(engine_promise_result(runtime.engine, promise));
}

static void wait_for_signal(void)
{
	runtime_tick();
	while (!service.signaled && uv_run(&runtime.loop, UV_RUN_ONCE) != 0)
		;
	if (!service.signaled)
		never_ready("nothing is left to do, and the program has not called ctx.ready(), "
			    "which tenant.json says that it does");
}

static void listen_on(int first_fd)
{
	struct error error = {0};
	int fds[WORKER_LISTENERS_MAX];
	const size_t count = runtime.start->listener_count;
	for (size_t i = 0; i < count; i++)
		fds[i] = first_fd + (int)i;
	if (http_server_start(fds, count, &error) < 0) {
		log_error("worker: %s", error.message);
		runtime_exit(WORKER_REASON_BOOT, 1, error.message);
	}
}

void service_start(engine_value *program, engine_value *environment, int first_fd)
{
	/* Who may be a script need not serve what it was granted. */
	const bool either = runtime.start->mode == WORKER_MODE_EITHER;
	engine_value *promise = call_start(program, environment, !either && !all_taken(), false);
	if (promise && engine_is_promise(promise)) {
		wait_for_start(promise);
		call_start(program, environment, !either && !all_taken(), true);
	}
	service.started = true;
	/* No client meets a program that is not ready: until then others of the tenant's
	 * workers take the connections, or they wait. */
	if (runtime.start->ready_signal && !service.signaled)
		wait_for_signal();
	listen_on(first_fd);
	service.serving = true;
	runtime_tick();
	/* A service lives until it is told to stop, also one that was granted no listener. */
	channel_keep_alive();
	/* Who already waits in the listen queue is accepted, read and served first: telling the
	 * supervisor wakes it, on this core if there is but one. */
	for (int turn = 0; turn < FIRST_TURNS; turn++)
		uv_run(&runtime.loop, UV_RUN_NOWAIT);
	const struct message_header ready = {.type = MESSAGE_READY, .instance = runtime.instance};
	runtime.ready = true;
	(void)message_send(runtime.channel, &ready, sizeof ready, NULL, 0);
}

/* lifecycleReady(): of ctx.ready(). */
static engine_value *native_ready(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	(void)call;
	service.signaled = true;
	return NULL;
}

/* ---- the end ---- */

/* A hook whose result is a number. */
static int32_t call_hook(engine_ref *hook)
{
	struct engine_scope scope;
	engine_value *result = NULL;
	engine_scope_open(runtime.engine, &scope);
	if (engine_call_function(runtime.engine, engine_ref_get(runtime.engine, hook),
		    engine_undefined(runtime.engine), NULL, 0, &result) < 0)
		runtime_uncaught();
	const int32_t number = result ? engine_to_int32(runtime.engine, result) : 0;
	runtime_tick();
	engine_scope_close(runtime.engine, &scope);
	return number;
}

static void on_drained(void)
{
	call_hook(shutdown_hook); /* which ends with lifecycleDrained, now or later */
}

/* lifecycleDrained(code): nothing is left to wait for. */
static engine_value *native_drained(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	runtime_exit(
		WORKER_REASON_DRAINED, (uint32_t)engine_argument_int32(call, 0) & 0xFF, "drained");
}

static void on_end(uv_timer_t *timer)
{
	(void)timer;
	log_warn("worker: shutdown took longer than the grace time allows");
	runtime_exit(WORKER_REASON_DRAINED, 0, "drained, but for its shutdown");
}

static void drain(uint32_t grace_ms, bool has_shutdown)
{
	uint64_t spare = grace_ms / 10 < SPARE_MOST_MS ? grace_ms / 10 : SPARE_MOST_MS;
	uint64_t end = grace_ms - spare / 2, own = grace_ms / 4;
	if (own > SHUTDOWN_MOST_MS)
		own = SHUTDOWN_MOST_MS;
	uv_timer_init(&runtime.loop, &service.end);
	uv_timer_start(&service.end, on_end, end, 0);
	http_server_drain(has_shutdown ? end - own : grace_ms - spare, on_drained);
}

static void refuse_connections(bool refused)
{
	http_server_accept(!refused);
	net_listeners_accept(!refused);
}

/* Who listens to SIGTERM hears of it first, as a process of its own would, and may end when it
 * likes; a service is drained all the same. */
static void on_drain(const void *data, size_t length, int *fds, size_t fd_count)
{
	const struct message_drain *message = data;
	(void)length;
	(void)fds;
	(void)fd_count;
	if (runtime.stopping)
		return;
	runtime.stopping = true;
	if (service.serving)
		refuse_connections(true);
	const int32_t wishes = call_hook(drain_hook);
	if (service.serving)
		drain(message->grace_ms, wishes & DRAIN_SHUTDOWN);
	else if (runtime.start->mode == WORKER_MODE_SERVE || !(wishes & DRAIN_HEARD))
		runtime_exit(WORKER_REASON_DRAINED, 143, "stopped");
}

/* ---- signals ---- */

/* What the kernel would do to a process that does not listen: signal(7). */
static bool ends_processes(int number)
{
	static const int others[] = {SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGTSTP, SIGTTIN, SIGTTOU};
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
		if (number == others[i])
			return false;
	return true;
}

/* Does the program listen to it? Those without a name of Node's cannot be listened to. */
static bool emit_signal(int number)
{
	struct engine_scope scope;
	engine_value *result = NULL;
	char name[32];
	const char *abbreviation = number == SIGIO ? "IO" : sigabbrev_np(number);
	if (abbreviation == NULL)
		return false;
	snprintf(name, sizeof name, "SIG%s", abbreviation);
	engine_scope_open(runtime.engine, &scope);
	engine_value *arguments[] = {
		engine_string(runtime.engine, name),
		engine_number(runtime.engine, number),
	};
	if (engine_call_function(runtime.engine, engine_ref_get(runtime.engine, signal_hook),
		    engine_undefined(runtime.engine), arguments, ARRAY_LENGTH(arguments),
		    &result) < 0)
		runtime_uncaught();
	const bool heard = result && engine_to_bool(runtime.engine, result);
	runtime_tick();
	engine_scope_close(runtime.engine, &scope);
	return heard;
}

/* No signal reaches a worker: the supervisor tells it of those that it got itself. */
static void on_signal(const void *data, size_t length, int *fds, size_t fd_count)
{
	const struct message_child_signal *message = data;
	char text[64];
	(void)length;
	(void)fds;
	(void)fd_count;
	if (emit_signal(message->number) || !ends_processes(message->number))
		return;
	snprintf(text, sizeof text, "signal %d, which the program does not listen to",
		message->number);
	runtime_exit(WORKER_REASON_SIGNAL, (uint32_t)message->number, text);
}

/* ---- probes and schedules ---- */

static void send_outcome(enum message_type type, uint32_t id, bool ok, const char *text)
{
	char data[sizeof(struct message_outcome) + OUTCOME_TEXT_MAX];
	const struct message_outcome outcome = {
		.header = {.type = type, .instance = runtime.instance},
		.id = id,
		.ok = ok,
	};
	size_t length = strnlen(text, OUTCOME_TEXT_MAX - 1);
	memcpy(data, &outcome, sizeof outcome);
	memcpy(data + sizeof outcome, text, length);
	data[sizeof outcome + length] = '\0';
	(void)message_send(runtime.channel, data, sizeof outcome + length + 1, NULL, 0);
}

static void set_tasks(uint32_t count)
{
	http_server.tasks = count;
	runtime.stats->requests_active = http_server.active + count;
}

/* lifecycleOutcome(which, id, ok, text): of a probe or a scheduled run, once. */
static engine_value *native_outcome(struct engine *engine, struct engine_call *call)
{
	const bool scheduled = engine_argument_int32(call, 0) == OUTCOME_SCHEDULED;
	const uint32_t id = (uint32_t)engine_argument_int32(call, 1);
	cleanup_free char *text =
		engine_to_utf8(engine, engine_call_argument(engine, call, 3), NULL);
	if (scheduled) {
		set_tasks(http_server.tasks - 1);
		if (http_server.holds > 0)
			http_server.holds--;
	}
	send_outcome(scheduled ? MESSAGE_SCHEDULED_DONE : MESSAGE_PROBED, id,
		engine_argument_bool(call, 2), text ? text : "");
	return NULL;
}

/* The text behind a message of SIZE bytes; "" when it does not end. */
static const char *text_behind(const void *message, size_t length, size_t size)
{
	const char *text = (const char *)message + size;
	return length > size && text[length - size - 1] == '\0' ? text : "";
}

static void on_probe(const void *data, size_t length, int *fds, size_t fd_count)
{
	const struct message_probe *probe = data;
	const char *path = text_behind(data, length, sizeof *probe);
	(void)fds;
	(void)fd_count;
	if (!service.started) {
		send_outcome(MESSAGE_PROBED, probe->id, false, "the program has not started yet");
		return;
	}
	if (probe->kind == PROBE_TCP) {
		const bool takes = runtime.ready && !runtime.stopping;
		send_outcome(MESSAGE_PROBED, probe->id, takes,
			takes ? "" : "it takes no connections now");
		return;
	}
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	engine_value *arguments[] = {
		engine_number(runtime.engine, probe->id),
		engine_bool(runtime.engine, probe->kind == PROBE_HTTP),
		engine_string(runtime.engine, path),
	};
	runtime_call(engine_ref_get(runtime.engine, probe_hook), engine_undefined(runtime.engine),
		arguments, ARRAY_LENGTH(arguments));
	engine_scope_close(runtime.engine, &scope);
}

static void on_scheduled(const void *data, size_t length, int *fds, size_t fd_count)
{
	const struct message_scheduled *due = data;
	(void)fds;
	(void)fd_count;
	if (!runtime.ready || runtime.stopping) {
		send_outcome(MESSAGE_SCHEDULED_DONE, due->id, false,
			runtime.ready ? "the worker is stopping"
				      : "the program has not started yet");
		return;
	}
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	engine_value *arguments[] = {
		engine_number(runtime.engine, due->id),
		engine_string(runtime.engine, text_behind(data, length, sizeof *due)),
		engine_number(runtime.engine, (double)due->due_ms),
		engine_number(runtime.engine, due->late),
	};
	http_server.holds++;
	set_tasks(http_server.tasks + 1);
	runtime_call(engine_ref_get(runtime.engine, scheduled_hook),
		engine_undefined(runtime.engine), arguments, ARRAY_LENGTH(arguments));
	engine_scope_close(runtime.engine, &scope);
}

/* ---- where connections come from ---- */

static void on_accept(const void *data, size_t length, int *fds, size_t fd_count)
{
	const struct message_accept *accept = data;
	(void)length;
	(void)fds;
	(void)fd_count;
	if (!runtime.stopping)
		refuse_connections(!accept->on);
}

static void on_handover(const void *data, size_t length, int *fds, size_t fd_count)
{
	(void)data;
	(void)length;
	(void)fd_count; /* 1: the rules say so */
	handover_add(fds[0]);
}

/* ---- the module ---- */

void service_watch(void)
{
	channel_on(MESSAGE_DRAIN, on_drain);
	channel_on(MESSAGE_SIGNAL, on_signal);
	channel_on(MESSAGE_HANDOVER, on_handover);
	channel_on(MESSAGE_ACCEPT, on_accept);
	channel_on(MESSAGE_PROBE, on_probe);
	channel_on(MESSAGE_SCHEDULED, on_scheduled);
	http_sites_start();
	server_tls_watch();
}

static void find_hooks(void)
{
	start_server = runtime_hook("startServer");
	drain_hook = runtime_hook("drain");
	shutdown_hook = runtime_hook("shutdown");
	probe_hook = runtime_hook("probe");
	scheduled_hook = runtime_hook("scheduled");
	serves_hook = runtime_hook("serves");
	signal_hook = runtime_hook("signal");
}

static const struct engine_native natives[] = {
	{"lifecycleReady", native_ready, 0},
	{"lifecycleDrained", native_drained, 1},
	{"lifecycleOutcome", native_outcome, 4},
};

const struct native_module service_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.bind = find_hooks,
	.first_thread_only = true,
};
