/* The scheduler's slices: how long who runs may go on while another waits for the core.
 *
 * A slice is no share: everybody gets the same time in the end. Of two that want the same
 * core the one with the shorter slice is let in at once, and the other finishes a slice
 * first, or what is left until the next tick (4 ms). Who mostly waits, and then answers
 * somebody, gets a short one; who computes keeps the kernel's, so that one tenant's busy
 * loop is not in every other's latency. Everybody begins with the kernel's: to be started
 * over and over earns nothing.
 *
 * sched(7), sched_setattr(2): since Linux 6.12; without effect before. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct slice {
	uint64_t seen_ns, used_ns; /* at the last review: the time, the process's CPU time */
	bool is_short;
};

/* Gives this process (one thread) a short slice. What it forks begins with the kernel's. */
void slice_shorten_own(void);
/* Looks, about once a second, what PID has used since the last time, and gives all of its
 * threads the slice that they deserve. SLICE begins as zeros. */
void slice_review(struct slice *slice, pid_t pid);
