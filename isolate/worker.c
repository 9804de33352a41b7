#include "isolate/worker.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/message.h"
#include "isolate/fork_pages.h"
#include "isolate/http_server.h"
#include "isolate/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Where the descriptors of START end up. */
#define FIRST_TURNS 3

enum { FD_CHANNEL = 3, FD_STATS, FD_EGRESS, FD_LISTENERS };

static struct worker_start start;
static uv_poll_t channel_poll;
static engine_ref *start_process, *start_server, *before_exit, *exit_hook, *entry_promise,
	*entry_namespace;

static const struct message_rule rules[] = {
	{MESSAGE_START, 1, sizeof(struct message_header), MESSAGE_LENGTH_MAX, WORKER_FD_LISTENERS,
		WORKER_FD_LISTENERS + WORKER_LISTENERS_MAX},
	{MESSAGE_DRAIN, 2, sizeof(struct message_drain), sizeof(struct message_drain), 0, 0},
};
enum { STATE_WAITING = 1, STATE_STARTED = 2 };

/* ---- telling the supervisor ---- */

static void tell(enum message_type type)
{
	struct message_header header = {.type = type, .instance = runtime.instance};
	(void)message_send(runtime.channel, &header, sizeof header, NULL, 0);
}

_Noreturn static void end_sandbox(const struct error *error)
{
	log_error("worker: %s", error->message);
	runtime_exit(WORKER_REASON_SANDBOX, 70, error->message);
}

/* ---- becoming a tenant ---- */

/* A stock worker has time: let the pages that every program will write be its own
 * already, and the code be compiled. */
static void warm_up_if_idle(void)
{
	struct pollfd waiting = {.fd = runtime.channel, .events = POLLIN};
	if (poll(&waiting, 1, 0) == 0)
		runtime_warm_up();
}

static int receive_start(int *fds, size_t *fd_count, struct error *error)
{
	static char message[MESSAGE_LENGTH_MAX];
	ssize_t length =
		message_receive(runtime.channel, message, sizeof message, fds, fd_count, 0);
	if (length == 0)
		_exit(0); /* The supervisor does not need this worker any more. */
	if (length < 0)
		return error_errno(error, (int)length, "cannot receive START");
	if (!message_check(rules, ARRAY_LENGTH(rules), STATE_WAITING, message, (size_t)length,
		    *fd_count, error))
		return -EBADMSG;
	struct message_header header;
	memcpy(&header, message, sizeof header);
	runtime.instance = header.instance;
	return worker_start_decode(message, (size_t)length, &start, error);
}

/* Puts each descriptor in its place: standard ones, channel, stats, listeners. All are
 * moved above the places first, so that none is overwritten before its turn. */
static int place_fds(int *fds, size_t count, struct error *error)
{
	const size_t listeners = count - WORKER_FD_LISTENERS;
	for (size_t i = 0; i < count; i++) {
		int high = fcntl(fds[i], F_DUPFD_CLOEXEC, 64);
		if (high < 0)
			return error_errno(error, errno, "cannot move a descriptor");
		close(fds[i]);
		fds[i] = high;
	}
	int places[][2] = {
		{fds[WORKER_FD_STDIN], STDIN_FILENO},
		{fds[WORKER_FD_STDOUT], STDOUT_FILENO},
		{fds[WORKER_FD_STDERR], STDERR_FILENO},
		{runtime.channel, FD_CHANNEL},
		{fds[WORKER_FD_STATS], FD_STATS},
		{fds[WORKER_FD_EGRESS], FD_EGRESS},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(places); i++)
		if (places[i][0] != places[i][1] && dup2(places[i][0], places[i][1]) < 0)
			return error_errno(error, errno, "cannot place a descriptor");
	for (size_t i = 0; i < listeners; i++)
		if (dup2(fds[WORKER_FD_LISTENERS + i], FD_LISTENERS + (int)i) < 0)
			return error_errno(error, errno, "cannot place a listener");
	runtime.channel = FD_CHANNEL;
	return 0;
}

/* What ps and top show of it. */
static void name_process(void)
{
	char name[16];
	snprintf(name, sizeof name, "t:%.13s", start.tenant);
	prctl(PR_SET_NAME, name);
}

static int map_stats(struct error *error)
{
	void *page = mmap(
		NULL, sizeof(struct worker_stats), PROT_READ | PROT_WRITE, MAP_SHARED, FD_STATS, 0);
	if (page == MAP_FAILED)
		return error_errno(error, errno, "cannot map the page of statistics");
	runtime.stats = page;
	return 0;
}

static int enter_sandbox(int release, size_t listeners, struct error *error)
{
	int keep[FD_LISTENERS - FD_CHANNEL + WORKER_LISTENERS_MAX];
	const size_t count = FD_LISTENERS - FD_CHANNEL + listeners;
	for (size_t i = 0; i < count; i++)
		keep[i] = FD_CHANNEL + (int)i;
	struct sandbox_enter enter = {
		.channel = FD_CHANNEL,
		.release = release,
		.uid = start.uid,
		.files = start.files,
		.keep = keep,
		.keep_count = count,
	};
	return sandbox_enter(&enter, error);
}

static size_t become_tenant(const struct sandbox_filter *filter)
{
	struct error error = {0};
	int fds[WORKER_FD_LISTENERS + WORKER_LISTENERS_MAX];
	size_t count = ARRAY_LENGTH(fds);
	fork_pages_take();
	int result = sandbox_prepare(runtime.channel, &error);
	if (result == 0) {
		warm_up_if_idle();
		result = receive_start(fds, &count, &error);
	}
	if (result == 0)
		result = place_fds(fds, count, &error);
	if (result == 0)
		result = map_stats(&error);
	if (result == 0)
		name_process();
	if (result == 0)
		result = enter_sandbox(fds[WORKER_FD_RELEASE], count - WORKER_FD_LISTENERS, &error);
	/* The loop is made behind the filter: libuv must find io_uring refused. */
	if (result == 0)
		result = sandbox_seal(filter, &error);
	if (result == 0)
		result = sandbox_check(&error);
	if (result == 0)
		result = runtime_start(&start, &error);
	if (result < 0)
		end_sandbox(&error);
	tell(MESSAGE_CONFINED);
	return count - WORKER_FD_LISTENERS;
}

/* ---- the program ---- */

static engine_value *hook_call(engine_ref *hook, engine_value *const *arguments, int count)
{
	engine_value *result = NULL;
	if (engine_call_function(runtime.engine, engine_ref_get(runtime.engine, hook),
		    engine_undefined(runtime.engine), arguments, count, &result) < 0)
		runtime_uncaught();
	return result;
}

static void import_entry(void)
{
	char specifier[PATH_MAX];
	engine_value *promise, *namespace;
	snprintf(specifier, sizeof specifier, "./%s", start.entry);
	if (engine_module_import(runtime.engine, specifier, &promise, &namespace) < 0) {
		runtime_uncaught();
		return;
	}
	entry_promise = engine_ref_new(runtime.engine, promise);
	entry_namespace = engine_ref_new(runtime.engine, namespace);
	runtime_tick();
}

static enum engine_promise_state entry_state(void)
{
	return entry_promise ? engine_promise_state(engine_ref_get(runtime.engine, entry_promise))
			     : ENGINE_REJECTED;
}

/* Lets the loop turn until the entry module has evaluated: top-level await. */
static void wait_for_entry(void)
{
	while (entry_state() == ENGINE_PENDING && uv_run(&runtime.loop, UV_RUN_ONCE) != 0)
		;
	if (entry_state() != ENGINE_PENDING)
		return;
	static const char text[] =
		"the entry module waits (top-level await) for something that never comes";
	dprintf(STDERR_FILENO, "%s\n", text);
	runtime_exit(WORKER_REASON_BOOT, 13, text);
}

static void serve(size_t listeners, engine_value *environment)
{
	struct error error = {0};
	int fds[WORKER_LISTENERS_MAX];
	engine_value *handler = engine_get(
		runtime.engine, engine_ref_get(runtime.engine, entry_namespace), "default");
	engine_value *arguments[] = {
		handler ? handler : engine_undefined(runtime.engine),
		environment,
	};
	hook_call(start_server, arguments, 2);
	for (size_t i = 0; i < listeners; i++)
		fds[i] = FD_LISTENERS + (int)i;
	if (http_server_start(fds, listeners, &error) < 0) {
		log_error("worker: %s", error.message);
		runtime_exit(WORKER_REASON_BOOT, 1, error.message);
	}
	runtime_tick();
	/* A service lives until it is told to stop, also one that was granted no listener. */
	uv_ref((uv_handle_t *)&channel_poll);
	/* Who already waits in the listen queue is accepted, read and served first: telling the
	 * supervisor wakes it, on this core if there is but one. */
	for (int turn = 0; turn < FIRST_TURNS; turn++)
		uv_run(&runtime.loop, UV_RUN_NOWAIT);
	runtime.ready = true;
	tell(MESSAGE_READY);
}

/* Runs until nothing is left to do. */
_Noreturn static void run_to_the_end(void)
{
	do {
		uv_run(&runtime.loop, UV_RUN_DEFAULT);
		struct engine_scope scope;
		engine_scope_open(runtime.engine, &scope);
		hook_call(before_exit, NULL, 0);
		runtime_tick();
		engine_scope_close(runtime.engine, &scope);
	} while (uv_loop_alive(&runtime.loop));
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	runtime_call(engine_ref_get(runtime.engine, exit_hook), engine_undefined(runtime.engine),
		NULL, 0);
	abort(); /* The hook exits. */
}

/* ---- the channel ---- */

void http_on_drained(void)
{
	runtime_exit(WORKER_REASON_DRAINED, 0, "drained");
}

static void on_drain(const struct message_drain *drain)
{
	if (runtime.stopping)
		return;
	runtime.stopping = true;
	if (start.mode == WORKER_MODE_SERVE && runtime.ready)
		http_server_drain(drain->grace_ms);
	else
		runtime_exit(WORKER_REASON_DRAINED, 143, "stopped");
}

static void on_channel(uv_poll_t *handle, int status, int events)
{
	(void)handle;
	(void)events;
	struct error error = {0};
	struct message_drain drain;
	size_t fd_count = 0;
	ssize_t length = status < 0 ? status
				    : message_receive(runtime.channel, &drain, sizeof drain, NULL,
					      &fd_count, MSG_DONTWAIT);
	if (length == -EAGAIN)
		return;
	if (length <= 0 || !message_check(rules, ARRAY_LENGTH(rules), STATE_STARTED, &drain,
				   (size_t)length, fd_count, &error))
		_exit(0); /* Without a supervisor there is nothing to live for. */
	on_drain(&drain);
}

static void watch_channel(void)
{
	uv_poll_init(&runtime.loop, &channel_poll, runtime.channel);
	uv_poll_start(&channel_poll, UV_READABLE, on_channel);
	uv_unref((uv_handle_t *)&channel_poll);
}

/* ---- life ---- */

void worker_bind(void)
{
	start_process = runtime_hook("startProcess");
	start_server = runtime_hook("startServer");
	before_exit = runtime_hook("beforeExit");
	exit_hook = runtime_hook("exit");
}

_Noreturn void worker_main(int channel, const struct sandbox_filter *filter)
{
	struct engine_scope scope;
	runtime.channel = channel;
	size_t listeners = become_tenant(filter);
	watch_channel();
	modules_init();
	engine_scope_open(runtime.engine, &scope);
	engine_value *environment = hook_call(start_process, NULL, 0);
	import_entry();
	wait_for_entry();
	if (start.mode == WORKER_MODE_SERVE && entry_state() == ENGINE_FULFILLED)
		serve(listeners, environment);
	engine_scope_close(runtime.engine, &scope);
	run_to_the_end();
}
