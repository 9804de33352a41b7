/* Threads of a program (node:worker_threads): each has an engine, an event loop and all of
 * the runtime of its own, within the one process, its confinement and its limits. */
#pragma once

#include "isolate/engine/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define THREADS_MAX 64 /* of one process */

struct thread;
struct port;

/* 0 is Node's "not given". */
struct thread_limits {
	double old_mb, young_mb, code_mb, stack_mb;
};

/* The calling thread ends with CODE, unless it ends already: nothing of its program runs any
 * more. Only in a thread. */
void thread_exit(int code);
/* It ends since its heap is full. */
void thread_out_of_memory(const char *reason);

uint32_t thread_number(void); /* of the caller: 0 for the process's first */
/* The caller's loop has waited that long, for performance.eventLoopUtilization. */
void thread_idle(uint64_t idle_ns);
