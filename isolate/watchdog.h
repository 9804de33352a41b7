/* The limit of CPU time for one turn of the event loop. A profiling timer ticks while
 * the process uses CPU (setitimer(2), ITIMER_PROF: no system call while it runs, none
 * for a request); when the loop has not turned for as many ticks as the limit allows,
 * the worker ends. It works in native loops too, which V8 cannot terminate. */
#pragma once

#include "common/error.h"

#include <stdint.h>

/* LIMIT_MS of one turn, 0 for none. The first turn, in which the program is loaded,
 * may take ten times as long, and 5 seconds at least. */
int watchdog_start(uint32_t limit_ms, struct error *error);
