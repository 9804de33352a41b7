#include "daemon/egress/private.h"

#include <errno.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#define TICK_S 5
#define STRIKES_MAX 3

static volatile sig_atomic_t busy, turn;

/* Async-signal-safe. The first ticks interrupt whatever waits. */
static void tick(int number)
{
	static sig_atomic_t last_turn = -1;
	static int strikes;
	(void)number;
	if (!busy || turn != last_turn) {
		last_turn = turn;
		strikes = 0;
		return;
	}
	if (++strikes >= STRIKES_MAX)
		_exit(70);
}

int watchdog_loop(sd_event *event)
{
	struct sigaction action = {.sa_handler = tick}; /* no SA_RESTART */
	const struct itimerval interval = {{TICK_S, 0}, {TICK_S, 0}};
	if (sigaction(SIGALRM, &action, NULL) < 0 || setitimer(ITIMER_REAL, &interval, NULL) < 0)
		return -errno;
	for (;;) {
		int result = sd_event_prepare(event);
		if (result == 0)
			result = sd_event_wait(event, UINT64_MAX);
		busy = 1;
		turn = (turn + 1) & 0xffff;
		if (result > 0)
			result = sd_event_dispatch(event);
		busy = 0;
		if (result < 0 && result != -EINTR)
			return result;
		if (sd_event_get_state(event) == SD_EVENT_FINISHED) {
			sd_event_get_exit_code(event, &result);
			return result;
		}
	}
}
