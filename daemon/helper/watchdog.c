#include "daemon/helper/helper.h"

#include <errno.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#define TICK_S 5
#define STRIKES_MAX 3

static volatile sig_atomic_t in_turn, turn;

/* Async-signal-safe. The first ticks interrupt whatever waits. */
static void tick(int number)
{
	static sig_atomic_t last_turn = -1;
	static int strikes;
	(void)number;
	if (!in_turn || turn != last_turn) {
		last_turn = turn;
		strikes = 0;
		return;
	}
	if (++strikes >= STRIKES_MAX)
		_exit(70);
}

int helper_watchdog(void)
{
	const struct sigaction action = {.sa_handler = tick}; /* no SA_RESTART */
	const struct itimerval interval = {{TICK_S, 0}, {TICK_S, 0}};
	return sigaction(SIGALRM, &action, NULL) < 0 || setitimer(ITIMER_REAL, &interval, NULL) < 0
		       ? -errno
		       : 0;
}

void helper_busy(bool busy)
{
	if (busy)
		turn = (turn + 1) & 0xffff;
	in_turn = busy;
}
