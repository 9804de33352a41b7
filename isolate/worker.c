#include "isolate/worker.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/message.h"
#include "isolate/channel.h"
#include "isolate/code_cache.h"
#include "isolate/egress_client.h"
#include "isolate/fork_pages.h"
#include "isolate/inspect.h"
#include "isolate/modules.h"
#include "isolate/native_net.h"
#include "isolate/service.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* Where the descriptors of START end up. */
#define STACK_MARGIN (1024 * 1024)
#define DATA_MARGIN (64 * 1024 * 1024)
#define THREADS_FACTOR 8
#define WORKER_FDS_MAX (WORKER_FD_LISTENERS + WORKER_LISTENERS_MAX + WORKER_GRANTS_MAX)

enum { FD_CHANNEL = 3, FD_STATS, FD_EGRESS, FD_LISTENERS };

static struct worker_start start;
static engine_ref *start_process, *before_exit, *exit_hook, *entry_promise, *entry_program;

static const struct message_rule rules[] = {
	{MESSAGE_START, 1, sizeof(struct message_header), MESSAGE_LENGTH_MAX, WORKER_FD_LISTENERS,
		WORKER_FDS_MAX},
};
enum { STATE_WAITING = 1 };

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
 * already. */
static void warm_up_if_idle(void)
{
	struct pollfd waiting = {.fd = runtime.channel, .events = POLLIN};
	if (poll(&waiting, 1, 0) == 0)
		runtime_warm_worker();
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
	int result = worker_start_decode(message, (size_t)length, &start, error);
	if (result == 0 &&
		*fd_count != WORKER_FD_LISTENERS + start.listener_count + start.grant_count)
		result = error_set(error, EBADMSG, "START with descriptors that do not match");
	return result;
}

/* Puts each descriptor in its place: standard ones, channel, stats, listeners. Mounts stay
 * where they are for the short time that they are needed. All are
 * moved above the places first, so that none is overwritten before its turn. */
static int place_fds(int *fds, size_t count, struct error *error)
{
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
	for (size_t i = 0; i < start.listener_count; i++)
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

/* What JavaScript may use of the stack, and a margin for V8 and what it calls. The stack
 * grows as far as the limit says, up to the mappings below it: at least 128 MiB. */
static int grow_stack(struct error *error)
{
	struct rlimit limit;
	const rlim_t wanted = start.stack_bytes + STACK_MARGIN;
	if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur >= wanted)
		return 0;
	limit.rlim_cur = wanted;
	if (wanted > limit.rlim_max || setrlimit(RLIMIT_STACK, &limit) < 0)
		return error_set(error, ERANGE,
			"cannot have a stack of %llu KiB (limits.stack): tenantd's own hard limit "
			"is %llu KiB (ulimit -Hs, LimitSTACK=)",
			(unsigned long long)wanted >> 10, (unsigned long long)limit.rlim_max >> 10);
	return 0;
}

/* The secrets are in JavaScript now, and nowhere else in this process. */
static void forget_secrets(void)
{
	for (size_t i = 0; i < start.secret_count; i++)
		explicit_bzero((char *)start.secrets[i], strlen(start.secrets[i]));
	start.secret_count = 0;
}

static size_t list_grants(const int *mounts, struct sandbox_grant *ret)
{
	for (size_t i = 0; i < start.grant_count; i++)
		ret[i] = (struct sandbox_grant){
			.path = start.grants[i].path,
			.mount = mounts[i],
			.flags = (start.grants[i].write ? SANDBOX_GRANT_WRITE : 0u) |
				 (start.grants[i].folder ? SANDBOX_GRANT_FOLDER : 0u),
		};
	return start.grant_count;
}

static const struct sandbox_filter *choose_filter(const struct sandbox_filters *filters)
{
	enum sandbox_files files = start.grant_count ? SANDBOX_FILES_READ : SANDBOX_FILES_NONE;
	for (size_t i = 0; i < start.grant_count; i++)
		if (start.grants[i].write)
			files = SANDBOX_FILES_WRITE;
	if (start.tmp_bytes > 0)
		files = SANDBOX_FILES_WRITE;
	/* Connections may be handed over to a service that has no listener. */
	const bool network =
		start.listener_count > 0 || start.egress || start.mode == WORKER_MODE_SERVE;
	return filters->of[files][network];
}

/* FDS as START brought them, each in its place. */
static int enter_sandbox(const int *fds, const struct sandbox_filters *filters, struct error *error)
{
	int keep[FD_LISTENERS - FD_CHANNEL + WORKER_LISTENERS_MAX];
	struct sandbox_grant grants[WORKER_GRANTS_MAX];
	const size_t count = FD_LISTENERS - FD_CHANNEL + start.listener_count;
	for (size_t i = 0; i < count; i++)
		keep[i] = FD_CHANNEL + (int)i;
	struct sandbox_enter enter = {
		.channel = FD_CHANNEL,
		.release = fds[WORKER_FD_RELEASE],
		.root = start.root,
		.uid = start.uid,
		.files = start.files,
		.tier = start.tier,
		/* Beside the heap: threads' stacks, code, what libraries allocate. */
		.memory_bytes = start.memory_bytes ? start.memory_bytes + DATA_MARGIN : 0,
		/* Of all of the tenant's workers, of which a deploy doubles the number. */
		.threads = start.threads * THREADS_FACTOR,
		.keep = keep,
		.keep_count = count,
		.grants = grants,
		.grant_count =
			list_grants(fds + WORKER_FD_LISTENERS + start.listener_count, grants),
		.tmp_bytes = start.tmp_bytes,
	};
	int result = sandbox_enter(&enter, error);
	if (result == 0)
		result = sandbox_seal(choose_filter(filters), error);
	if (result == 0)
		result = sandbox_check(&enter, error);
	return result;
}

static void become_tenant(enum tier tier, const struct sandbox_filters *filters)
{
	struct error error = {0};
	int fds[WORKER_FDS_MAX];
	size_t count = ARRAY_LENGTH(fds);
	fork_pages_take();
	int result = sandbox_prepare(tier, runtime.channel, &error);
	if (result == 0) {
		warm_up_if_idle();
		result = receive_start(fds, &count, &error);
	}
	if (result == 0 && (tier_is_bare(start.tier) || tier_is_bare(tier)) && start.tier != tier)
		result = error_set(&error, EPROTO, "START is for another tier");
	if (result == 0)
		result = place_fds(fds, count, &error);
	if (result == 0)
		result = map_stats(&error);
	if (result == 0)
		name_process();
	if (result == 0)
		code_cache_map(fds[WORKER_FD_CACHE]);
	if (result == 0)
		result = grow_stack(&error);
	if (result == 0)
		result = enter_sandbox(fds, filters, &error);
	/* The loop is made behind the filter: libuv must find io_uring refused. */
	if (result == 0)
		result = runtime_start(&start, &error);
	if (result < 0)
		end_sandbox(&error);
	egress_client_open(start.egress ? FD_EGRESS : -1);
	tell(MESSAGE_CONFINED);
	if (start.audit != 0)
		sandbox_report_violations(FD_CHANNEL, runtime.instance);
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
	engine_value *promise, *program;
	if (modules_run_entry(start.entry, &promise, &program) < 0) {
		runtime_uncaught();
		return;
	}
	entry_program = engine_ref_new(runtime.engine, program);
	if (promise) {
		entry_promise = engine_ref_new(runtime.engine, promise);
		/* Node evaluates modules in a microtask: what they resolved comes before their
		 * ticks. */
		if (engine_run_microtasks(runtime.engine) < 0)
			runtime_uncaught();
	}
	runtime.stats->code_caches_used = engine_code_cache_used(runtime.engine);
	runtime.stats->code_caches_rejected = engine_code_cache_rejected(runtime.engine);
	runtime_tick();
}

static enum engine_promise_state entry_state(void)
{
	if (entry_promise)
		return engine_promise_state(engine_ref_get(runtime.engine, entry_promise));
	return entry_program ? ENGINE_FULFILLED : ENGINE_REJECTED;
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

static engine_value *default_export(void)
{
	return engine_get(runtime.engine, engine_ref_get(runtime.engine, entry_program), "default");
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
	/* The hook exits; not so the first time, where a listener throws and another deals with it.
	 */
	for (int i = 0; i < 2; i++)
		runtime_call(engine_ref_get(runtime.engine, exit_hook),
			engine_undefined(runtime.engine), NULL, 0);
	abort();
}

/* ---- life ---- */

void worker_bind(void)
{
	start_process = runtime_hook("startProcess");
	before_exit = runtime_hook("beforeExit");
	exit_hook = runtime_hook("exit");
	inspect_bind();
}

_Noreturn void worker_main(enum tier tier, int channel, const struct sandbox_filters *filters)
{
	struct engine_scope scope;
	runtime.channel = channel;
	become_tenant(tier, filters);
	service_watch();
	inspect_watch();
	channel_watch();
	net_listeners_given(FD_LISTENERS, start.listener_count);
	modules_init();
	engine_scope_open(runtime.engine, &scope);
	if (start.mode == WORKER_MODE_COMPILE)
		code_cache_write(start.entry);
	code_cache_offer();
	engine_value *environment = hook_call(start_process, NULL, 0);
	forget_secrets();
	if (start.inspect != WORKER_INSPECT_NONE)
		inspect_wait(start.inspect == WORKER_INSPECT_BREAK);
	import_entry();
	wait_for_entry();
	if (entry_state() == ENGINE_FULFILLED && service_wanted(default_export()))
		service_start(default_export(), environment, FD_LISTENERS);
	engine_scope_close(runtime.engine, &scope);
	run_to_the_end();
}
