/* The runtime of one thread of a worker: engine, event loop and what every native module
 * needs. The process's first is made warm in the zygote and inherited by fork; the loop and
 * everything of libuv is made after the fork, in runtime_start. A program may start threads
 * (isolate/thread.h), each with a runtime of its own, which starts and ends there.
 *
 * C enters JavaScript in one way only: engine_call_function and then runtime_tick,
 * which runs process.nextTick callbacks and microtasks until both are empty (Node's
 * order) and ends the worker when an exception or rejection was left unhandled.
 * runtime_call does both. */
#pragma once

#include "common/protocol.h"
#include "isolate/engine/engine.h"

#include <uv.h>

struct thread;

struct runtime {
	struct engine *engine;
	uv_loop_t loop;                   /* after runtime_start */
	const struct worker_start *start; /* what to be; NULL in the zygote */
	struct worker_stats *stats;       /* shared page; a private one without supervisor */
	int channel;                      /* to the supervisor; -1 without */
	uint32_t instance;                /* the number the supervisor gave this worker */
	bool ready;                       /* READY was sent: from now on an end is EXITING */
	bool stopping;                    /* DRAIN was received */
	struct thread *thread;            /* NULL in the process's first */
};

/* Of the calling thread. The thread pool's have none. */
extern _Thread_local struct runtime runtime;
/* Of the process's first thread. */
struct runtime *runtime_first(void);

/* Opens the engine with all native modules and binds them. SNAPSHOT is the path of a
 * file that tenant-snapshot made; it is mapped and stays so. Process-wide: once. */
int runtime_open(const char *snapshot, bool jitless, struct error *error);

/* Lets the library run its hot paths once, so that code is compiled: in the zygote, before
 * the first fork. */
void runtime_warm_up(void);

/* In a stock worker: only what every program will run, so that the pages that it writes
 * are its own already, and no others. */
void runtime_warm_worker(void);

/* In the worker, after the fork and behind the sandbox: new randomness, the heap's
 * limit, the loop, stats, the modules' start functions. START stays the caller's. */
int runtime_start(const struct worker_start *start, struct error *error);

/* In a new thread of the program, whose RUNTIME is zero but for what it has from another:
 * an engine with that much heap and stack, the loop, the modules that work there.
 * runtime_end_thread follows in any case, after the loop is closed. */
int runtime_start_thread(uint64_t heap_bytes, size_t stack_bytes, struct error *error);
void runtime_end_thread(void);
/* Other threads' engines may have tasks for this one's from now on. */
void runtime_listen_to_threads(void);

/* A function that the library put on native.hooks, looked up once after the engine is
 * open and kept: `static engine_ref *hook; … hook = runtime_hook("onRequest")`. Aborts
 * with a message when the library has no such hook: a build error, not a run-time one. */
engine_ref *runtime_hook(const char *name);

/* The memory of a typed array that the library put on native.hooks, SIZE bytes at least:
 * numbers that C and JavaScript exchange without a call. It must lie outside of V8's heap
 * (made over an ArrayBuffer of its own), where it never moves. Aborts as runtime_hook. */
void *runtime_shared(const char *name, size_t size);

/* Calls FUNCTION with a scope of its own and ticks. What it throws is an uncaught
 * exception: the worker ends with code 1 and the stack in its log (unless the program
 * listens for it). */
void runtime_call(
	engine_value *function, engine_value *receiver, engine_value *const *arguments, int count);

/* After JavaScript returned to C with nothing pending. Cheap when nothing waits. */
void runtime_tick(void);

/* The pending exception is nobody's: as runtime_call does it. */
void runtime_uncaught(void);

/* EXCEPTION ends the worker, whoever listens for uncaught ones: its stack goes to the log and
 * to the supervisor. */
_Noreturn void runtime_end_uncaught(engine_value *exception);

/* Ends the process: tells the supervisor why (FAILED before it is ready, EXITING
 * after), and exits with CODE. TEXT is for a person. Async-signal-safe. */
_Noreturn void runtime_exit(enum worker_reason reason, uint32_t code, const char *text);

/* Natives of one subject: each file has one array, isolate/natives.c joins them in a
 * fixed order (a snapshot depends on it). */
struct native_module {
	const struct engine_native *natives;
	size_t native_count;
	const struct engine_class *classes;
	size_t class_count;
	/* Called once in the zygote or test, when the engine is open: fetch hooks. May
	 * be NULL. Nothing of libuv. */
	void (*bind)(void);
	/* Called in the worker when the loop exists and START is known. May be NULL. */
	void (*start)(void);
	/* Called in a thread that ends, when nothing of the program runs any more: closes
	 * handles that have memory of their own, ends what waits, frees what the thread had.
	 * Handles that are left are closed after it. May be NULL. */
	void (*stop)(void);
	/* Works in the process's first thread only: elsewhere its functions throw, and
	 * neither bind nor start is called. */
	bool first_thread_only;
};
