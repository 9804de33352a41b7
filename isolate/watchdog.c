#include "isolate/watchdog.h"

#include "common/clock.h"
#include "isolate/inspect.h"
#include "isolate/runtime.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static uint32_t tick_ms;
static uint64_t limit, first_limit, used;
static uint64_t turn_seen;
static char too_long[160], loading_too_long[160];

/* Runs in the signal handler: only async-signal-safe calls, no JavaScript. */
static void on_tick(int signal_number)
{
	(void)signal_number;
	int saved = errno;
	uint64_t turns = runtime.stats->turns;
	if (turns != turn_seen || inspect_active()) {
		turn_seen = turns;
		used = 0;
	} else {
		if (used == 0)
			runtime.stats->turn_started_ns = clock_ns() - tick_ms * 1000000ull;
		used += tick_ms;
		const bool first = turns == 0;
		if (used > (first ? first_limit : limit)) {
			const char *text = first ? loading_too_long : too_long;
			(void)!write(STDERR_FILENO, text, strlen(text));
			runtime_exit(WORKER_REASON_CPU_LIMIT, 152, text);
		}
	}
	errno = saved;
}

int watchdog_start(uint32_t limit_ms, struct error *error)
{
	if (limit_ms == 0)
		return 0;
	limit = limit_ms;
	first_limit = worker_first_turn_ms(limit_ms);
	tick_ms = limit_ms / 5 < 10 ? 10 : limit_ms / 5 > 100 ? 100 : limit_ms / 5;
	snprintf(too_long, sizeof too_long,
		"one turn of the event loop used more than %u ms of CPU time "
		"(limits.request.cpu)\n",
		limit_ms);
	snprintf(loading_too_long, sizeof loading_too_long,
		"loading the program used more than %llu ms of CPU time (limits.request.cpu; the "
		"first turn of the event loop may take ten times as much, and 5 s)\n",
		(unsigned long long)first_limit);
	struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
	struct itimerval every = {
		.it_interval = {.tv_sec = tick_ms / 1000, .tv_usec = tick_ms % 1000 * 1000},
	};
	every.it_value = every.it_interval;
	if (sigaction(SIGPROF, &action, NULL) < 0 || setitimer(ITIMER_PROF, &every, NULL) < 0)
		return error_errno(error, errno, "cannot start the CPU watchdog");
	return 0;
}
