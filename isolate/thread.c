#include "isolate/thread.h"

#include "common/cleanup.h"
#include "isolate/egress_client.h"
#include "isolate/messaging.h"
#include "isolate/modules.h"
#include "isolate/natives.h"
#include "isolate/permission.h"
#include "isolate/watchdog.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#define STACK_MB 4
#define STACK_MB_MAX 64
#define STACK_MARGIN (256u << 10) /* what V8 and C functions may need beyond JavaScript's */
#define HEAP_MB_LEAST 4
#define CODE_TEXT_MAX 64

struct thread {
	struct letter ended; /* first member; to the parent */
	uint32_t id;
	char name[64];
	struct thread_limits limits;
	size_t stack_bytes;
	uint64_t heap_bytes;
	struct port *port; /* to the parent; the thread's from its start */
	struct mailbox *parent;
	struct letter halt;  /* to the thread: its loop may wait where no engine_stop reaches */
	struct thread *next; /* of the parent's list */
	bool referenced;     /* keeps the parent's loop alive */

	pthread_t handle;
	pthread_mutex_t lock;  /* of what follows */
	struct engine *engine; /* while it lives */
	struct mailbox *own;   /* from before ENGINE is there */
	bool stopping;
	int code;
	char error[CODE_TEXT_MAX]; /* Node's code; "": none */
	char reason[160];
	struct worker_stats stats;
	_Atomic uint64_t loop_start_ns, idle_ns;
};

static _Thread_local struct thread *children;
static _Thread_local engine_ref *thread_main_hook, *thread_ended_hook, *before_exit, *exit_hook;
static atomic_uint last_id;
static atomic_uint running;

/* ---- ending ---- */

static void stop(struct thread *thread, int code, const char *error, const char *reason)
{
	pthread_mutex_lock(&thread->lock);
	if (!thread->stopping) {
		thread->stopping = true;
		thread->code = code;
		snprintf(thread->error, sizeof thread->error, "%s", error);
		snprintf(thread->reason, sizeof thread->reason, "%s", reason);
		if (thread->engine)
			engine_stop(thread->engine);
		if (thread->own)
			mailbox_post(thread->own, &thread->halt);
	}
	pthread_mutex_unlock(&thread->lock);
}

void thread_exit(int code)
{
	stop(runtime.thread, code, "", "");
	uv_stop(&runtime.loop);
}

void thread_out_of_memory(const char *reason)
{
	stop(runtime.thread, 1, "ERR_WORKER_OUT_OF_MEMORY", reason);
}

uint32_t thread_number(void)
{
	return runtime.thread ? runtime.thread->id : 0;
}

static struct thread *thread_free(struct thread *thread)
{
	if (!thread)
		return NULL;
	port_unref(thread->port);
	mailbox_unref(thread->parent);
	mailbox_unref(thread->own);
	pthread_mutex_destroy(&thread->lock);
	free(thread);
	return NULL;
}

/* The other threads' loops end at once, and this waits until they have. */
static void end_children(void)
{
	for (struct thread *child = children; child; child = child->next)
		stop(child, 1, "", "");
	while (children) {
		struct thread *child = children;
		children = child->next;
		pthread_join(child->handle, NULL);
		if (mailbox_existing())
			mailbox_take_back(child->parent, &child->ended);
		thread_free(child);
	}
}

/* ---- the thread ---- */

static void deliver_halt(struct letter *letter)
{
	(void)letter;
	uv_stop(&runtime.loop);
}

/* Without a mailbox nobody could end the thread while it waits. */
static void publish_mailbox(struct thread *thread)
{
	struct mailbox *mailbox = mailbox_own();
	if (!mailbox) {
		stop(thread, 1, "ERR_WORKER_INIT_FAILED", "cannot make a mailbox");
		return;
	}
	pthread_mutex_lock(&thread->lock);
	thread->own = mailbox_ref(mailbox);
	pthread_mutex_unlock(&thread->lock);
}

static void publish_engine(struct thread *thread, struct engine *engine)
{
	pthread_mutex_lock(&thread->lock);
	thread->engine = engine;
	if (engine && thread->stopping)
		engine_stop(engine);
	pthread_mutex_unlock(&thread->lock);
}

static void call(engine_ref *hook)
{
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	runtime_call(
		engine_ref_get(runtime.engine, hook), engine_undefined(runtime.engine), NULL, 0);
	engine_scope_close(runtime.engine, &scope);
}

static void run_program(struct thread *thread)
{
	call(thread_main_hook);
	atomic_store(&thread->loop_start_ns, uv_hrtime());
	do {
		if (!engine_stopped(runtime.engine))
			uv_run(&runtime.loop, UV_RUN_DEFAULT);
		if (!engine_stopped(runtime.engine))
			call(before_exit);
	} while (!engine_stopped(runtime.engine) && uv_loop_alive(&runtime.loop));
	if (!engine_stopped(runtime.engine))
		call(exit_hook); /* calls thread_exit */
}

static void close_handle(uv_handle_t *handle, void *data)
{
	(void)data;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

/* Nothing of the program runs any more, but libuv's callbacks still do. */
static void end_loop(void)
{
	engine_stop(runtime.engine);
	end_children();
	natives_stop();
	mailbox_close();
	uv_walk(&runtime.loop, close_handle, NULL);
	while (uv_loop_close(&runtime.loop) == UV_EBUSY)
		uv_run(&runtime.loop, UV_RUN_ONCE);
}

static void begin_runtime(struct thread *thread, const struct runtime *parent)
{
	runtime = (struct runtime){
		.start = parent->start,
		.channel = parent->channel,
		.instance = parent->instance,
		.stats = &thread->stats,
		.thread = thread,
	};
}

static void *thread_run(void *data)
{
	struct thread *thread = data;
	struct error error = {0};
	prctl(PR_SET_NAME, thread->name[0] ? thread->name : "thread");
	begin_runtime(thread, runtime_first());
	if (runtime_start_thread(thread->heap_bytes, thread->stack_bytes, &error) < 0) {
		stop(thread, 1, "ERR_WORKER_INIT_FAILED", error.message);
	} else {
		publish_mailbox(thread);
		publish_engine(thread, runtime.engine);
		watchdog_add(&thread->stats);
		run_program(thread);
		watchdog_remove(&thread->stats);
		end_loop();
		publish_engine(thread, NULL);
	}
	runtime_end_thread();
	atomic_fetch_sub(&running, 1);
	/* The parent joins this thread before it frees any of it. */
	mailbox_post(thread->parent, &thread->ended);
	return NULL;
}

/* ---- in the parent ---- */

static struct thread *find(uint32_t id)
{
	struct thread *thread = children;
	while (thread && thread->id != id)
		thread = thread->next;
	return thread;
}

static void unlink_thread(struct thread *thread)
{
	struct thread **place = &children;
	while (*place != thread)
		place = &(*place)->next;
	*place = thread->next;
}

static void deliver_end(struct letter *letter)
{
	struct thread *thread = (struct thread *)letter;
	struct engine *engine = runtime.engine;
	struct engine_scope scope;
	pthread_join(thread->handle, NULL);
	unlink_thread(thread);
	if (thread->referenced)
		mailbox_hold(-1);
	engine_scope_open(engine, &scope);
	engine_value *arguments[] = {
		engine_number(engine, thread->id),
		engine_int32(engine, thread->code),
		engine_string(engine, thread->error),
		engine_string(engine, thread->reason),
	};
	thread_free(thread);
	runtime_call(engine_ref_get(engine, thread_ended_hook), engine_undefined(engine), arguments,
		ARRAY_LENGTH(arguments));
	engine_scope_close(engine, &scope);
}

static double limit_of(double wanted, double least, double most)
{
	return !(wanted > 0) ? most : wanted < least ? least : wanted > most ? most : wanted;
}

/* What the first thread's heap got (runtime_start); its engine is not this thread's to ask. */
static double most_heap_mb(void)
{
	uint64_t bytes = runtime.start ? runtime.start->memory_bytes / 4 * 3 : 0;
	if (bytes == 0) {
		struct engine_memory memory;
		engine_memory(runtime.engine, &memory);
		bytes = memory.heap_limit;
	}
	return (double)bytes / (1 << 20);
}

/* A thread never gets more than the program itself has. */
static void set_limits(struct thread *thread, const struct thread_limits *wanted)
{
	const double most_mb = most_heap_mb();
	const double stack =
		wanted->stack_mb > 0 ? limit_of(wanted->stack_mb, 0.5, STACK_MB_MAX) : STACK_MB;
	double heap = wanted->old_mb > 0
			      ? wanted->old_mb + (wanted->young_mb > 0 ? wanted->young_mb : 12)
			      : 0;
	heap = limit_of(heap, HEAP_MB_LEAST, most_mb);
	thread->heap_bytes = (uint64_t)(heap * (1 << 20));
	thread->stack_bytes = (size_t)(stack * (1 << 20));
	thread->limits = (struct thread_limits){
		.old_mb = wanted->old_mb > 0 ? limit_of(wanted->old_mb, 2, most_mb) : heap,
		.young_mb = wanted->young_mb > 0 ? wanted->young_mb : 12,
		.code_mb = wanted->code_mb > 0 ? wanted->code_mb : 0,
		.stack_mb = stack,
	};
}

static int create(struct thread *thread)
{
	pthread_attr_t attributes;
	if (atomic_fetch_add(&running, 1) >= THREADS_MAX) {
		atomic_fetch_sub(&running, 1);
		return -EAGAIN;
	}
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, thread->stack_bytes + STACK_MARGIN + (64u << 10));
	(void)natives_tables_for_threads(); /* makes them, while this is the only one */
	engine_before_threads(runtime.engine);
	runtime_listen_to_threads();
	egress_client_share();
	int result = -pthread_create(&thread->handle, &attributes, thread_run, thread);
	pthread_attr_destroy(&attributes);
	if (result < 0)
		atomic_fetch_sub(&running, 1);
	return result;
}

/* ---- natives ---- */

/* threadNumber(): the next thread's. */
static engine_value *new_number(struct engine *engine, struct engine_call *call)
{
	(void)call;
	return engine_number(engine, atomic_fetch_add(&last_id, 1) + 1);
}

/* threadStart(number, name, NativePort, [old, young, code, stack in MB]): 0 or an errno. */
static engine_value *start_thread(struct engine *engine, struct engine_call *call)
{
	struct thread_limits limits;
	double *wanted[] = {&limits.old_mb, &limits.young_mb, &limits.code_mb, &limits.stack_mb};
	engine_value *list = engine_call_argument(engine, call, 3);
	for (uint32_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
		engine_value *item =
			engine_is_array(list) ? engine_get_index(engine, list, i) : NULL;
		*wanted[i] = item ? engine_to_number(engine, item) : 0;
	}
	struct mailbox *mailbox = mailbox_own();
	struct thread *thread = mailbox ? calloc(1, sizeof *thread) : NULL;
	cleanup_free char *name =
		engine_to_utf8(engine, engine_call_argument(engine, call, 1), NULL);
	if (!thread)
		return engine_int32(engine, -ENOMEM);
	thread->id = (uint32_t)engine_argument_int32(call, 0);
	thread->ended.deliver = deliver_end;
	thread->halt.deliver = deliver_halt;
	thread->parent = mailbox_ref(mailbox);
	pthread_mutex_init(&thread->lock, NULL);
	snprintf(thread->name, sizeof thread->name, "%s", name ? name : "");
	set_limits(thread, &limits);
	thread->port = messaging_take_port(engine_call_argument(engine, call, 2));
	int result = thread->port ? port_let_go(thread->port) : -EINVAL;
	if (result == 0)
		result = create(thread);
	if (result < 0) {
		thread_free(thread);
		return engine_int32(engine, result);
	}
	thread->next = children;
	children = thread;
	thread->referenced = true;
	mailbox_hold(1);
	return engine_int32(engine, 0);
}

/* threadStop(number) */
static engine_value *stop_thread(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	struct thread *thread = find((uint32_t)engine_argument_int32(call, 0));
	if (thread)
		stop(thread, 1, "", "");
	return NULL;
}

/* threadRef(number, whether it keeps this one's loop alive) */
static engine_value *reference_thread(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	struct thread *thread = find((uint32_t)engine_argument_int32(call, 0));
	const bool wanted = engine_argument_bool(call, 1);
	if (thread && thread->referenced != wanted) {
		thread->referenced = wanted;
		mailbox_hold(wanted ? 1 : -1);
	}
	return NULL;
}

static engine_value *limits_value(struct engine *engine, const struct thread_limits *limits)
{
	engine_value *items[] = {
		engine_number(engine, limits->old_mb),
		engine_number(engine, limits->young_mb),
		engine_number(engine, limits->code_mb),
		engine_number(engine, limits->stack_mb),
	};
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

static double cpu_ms(const struct thread *thread)
{
	struct timespec spent;
	clockid_t clock;
	if (pthread_getcpuclockid(thread->handle, &clock) != 0 || clock_gettime(clock, &spent) < 0)
		return 0;
	return (double)spent.tv_sec * 1e3 + (double)spent.tv_nsec / 1e6;
}

/* threadInfo(number): [limits, start of the loop in ms or -1, idle ms, CPU ms, heap used, heap
 * limit]; undefined: it is none. */
static engine_value *thread_info(struct engine *engine, struct engine_call *call)
{
	struct thread *thread = find((uint32_t)engine_argument_int32(call, 0));
	if (!thread)
		return NULL;
	const uint64_t began = atomic_load(&thread->loop_start_ns);
	engine_value *items[] = {
		limits_value(engine, &thread->limits),
		engine_number(engine, began ? (double)began / 1e6 : -1),
		engine_number(engine, (double)atomic_load(&thread->idle_ns) / 1e6),
		engine_number(engine, cpu_ms(thread)),
	};
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

/* threadSelf(): [number, name, NativePort, limits]; undefined in the process's first. */
static engine_value *thread_self(struct engine *engine, struct engine_call *call)
{
	(void)call;
	struct thread *thread = runtime.thread;
	if (!thread || !thread->port)
		return NULL;
	engine_value *port = messaging_port_instance(take_pointer(thread->port));
	if (!port)
		return NULL;
	engine_value *items[] = {
		engine_number(engine, thread->id),
		engine_string(engine, thread->name),
		port,
		limits_value(engine, &thread->limits),
	};
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

/* threadImport(URL): the promise of the module's evaluation. */
static engine_value *import_module(struct engine *engine, struct engine_call *call)
{
	engine_value *promise = NULL;
	cleanup_free char *url =
		engine_to_utf8(engine, engine_call_argument(engine, call, 0), NULL);
	if (!url || engine_module_import(engine, url, &promise, NULL) < 0)
		return NULL;
	return promise;
}

/* threadMayEval(place): whether the policy lets strings become code; told if it does not. */
static engine_value *may_eval(struct engine *engine, struct engine_call *call)
{
	(void)call;
	const bool allowed = !runtime.start || runtime.start->allow_eval;
	if (!allowed)
		permission_audit(AUDIT_EVAL, AUDIT_LAYER_ENGINE, false, "new Worker");
	return engine_bool(engine, allowed);
}

/* threadCpuUsage(): [user, system] of the calling thread, in microseconds. */
static engine_value *cpu_usage(struct engine *engine, struct engine_call *call)
{
	(void)call;
	struct rusage usage;
	getrusage(RUSAGE_THREAD, &usage);
	engine_value *items[] = {
		engine_number(engine,
			(double)usage.ru_utime.tv_sec * 1e6 + (double)usage.ru_utime.tv_usec),
		engine_number(engine,
			(double)usage.ru_stime.tv_sec * 1e6 + (double)usage.ru_stime.tv_usec),
	};
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

/* ---- the table ---- */

void thread_idle(uint64_t idle_ns)
{
	if (runtime.thread)
		atomic_store(&runtime.thread->idle_ns, idle_ns);
}

static void find_hooks(void)
{
	thread_main_hook = runtime_hook("threadMain");
	thread_ended_hook = runtime_hook("threadEnded");
	before_exit = runtime_hook("beforeExit");
	exit_hook = runtime_hook("exit");
}

static const struct engine_native natives[] = {
	{"threadNumber", new_number, 0},
	{"threadStart", start_thread, 4},
	{"threadStop", stop_thread, 1},
	{"threadRef", reference_thread, 2},
	{"threadInfo", thread_info, 1},
	{"threadSelf", thread_self, 0},
	{"threadImport", import_module, 1},
	{"threadMayEval", may_eval, 1},
	{"threadCpuUsage", cpu_usage, 0},
};

const struct native_module thread_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.bind = find_hooks,
};
