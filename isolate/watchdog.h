/* The limit of CPU time for one turn of the event loop. A profiling timer ticks while
 * the process uses CPU (setitimer(2), ITIMER_PROF: no system call while it runs, none
 * for a request); when the loop has not turned for as many ticks as the limit allows,
 * the worker ends. It works in native loops too, which V8 cannot terminate.
 *
 * Each thread of a program has a loop of its own and the same limit for one turn of it, by
 * its own CPU time: one that is over it ends the worker, as the first would. */
#pragma once

#include "common/error.h"
#include "common/protocol.h"

#include <stdint.h>

/* LIMIT_MS of one turn, 0 for none. The first turn, in which the program is loaded,
 * may take ten times as long, and 5 seconds at least. */
int watchdog_start(uint32_t limit_ms, struct error *error);

/* The calling thread's loop, whose turns STATS counts, is watched as well, if there is a
 * limit; until it is removed, before STATS or the thread go. */
void watchdog_add(const struct worker_stats *stats);
void watchdog_remove(const struct worker_stats *stats);
