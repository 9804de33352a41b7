#include "daemon/pid1.h"

#include "common/cleanup.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Until a child that is somebody's has been reaped by them, or an unknown one has turned out
 * to be nobody's. Nothing tells of that, and others may wait behind it. */
#define AGAIN_US 50000

struct pid1_reaper {
	pid1_known_fn *known;
	void *data;
	sd_event_source *source, *again;
};

int pid1_adopt(struct error *error)
{
	if (getpid() == 1)
		return 0;
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return error_errno(error, errno, "cannot become the reaper of orphans");
	return 0;
}

/* ---- orphans ---- */

static void reap(struct pid1_reaper *reaper)
{
	for (;;) {
		siginfo_t info = {0};
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
			return;
		if (reaper->known(reaper->data, info.si_pid))
			break;
		waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
	}
	sd_event_source_set_time_relative(reaper->again, AGAIN_US);
	sd_event_source_set_enabled(reaper->again, SD_EVENT_ONESHOT);
}

static int child_ended(sd_event_source *source, const struct signalfd_siginfo *unused, void *data)
{
	(void)source;
	(void)unused;
	reap(data);
	return 0;
}

static int look_again(sd_event_source *source, uint64_t usec, void *data)
{
	(void)source;
	(void)usec;
	reap(data);
	return 0;
}

int pid1_reap(sd_event *event, pid1_known_fn *known, void *data, struct pid1_reaper **ret_reaper)
{
	struct pid1_reaper *reaper = calloc(1, sizeof *reaper);
	if (reaper == NULL)
		return -ENOMEM;
	reaper->known = known;
	reaper->data = data;
	int result = sd_event_add_signal(
		event, &reaper->source, SIGCHLD | SD_EVENT_SIGNAL_PROCMASK, child_ended, reaper);
	if (result >= 0)
		result = sd_event_source_set_priority(reaper->source, SD_EVENT_PRIORITY_IDLE);
	if (result >= 0)
		result = sd_event_add_time_relative(
			event, &reaper->again, CLOCK_MONOTONIC, 0, 1000, look_again, reaper);
	if (result >= 0)
		result = sd_event_source_set_priority(reaper->again, SD_EVENT_PRIORITY_IDLE);
	if (result < 0) {
		pid1_reaper_free(reaper);
		return result;
	}
	*ret_reaper = reaper;
	return 0;
}

struct pid1_reaper *pid1_reaper_free(struct pid1_reaper *reaper)
{
	if (reaper == NULL)
		return NULL;
	sd_event_source_disable_unref(reaper->source);
	sd_event_source_disable_unref(reaper->again);
	free(reaper);
	return NULL;
}

/* ---- signals ---- */

bool pid1_is_left_alone(int number)
{
	static const int numbers[] = {SIGKILL, SIGSTOP, SIGTSTP, SIGCHLD, SIGPIPE, SIGSEGV, SIGBUS,
		SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
		if (number == numbers[i])
			return true;
	return number > 31 && number < SIGRTMIN;
}

int pid1_signals(sd_event *event, sd_event_signal_handler_t handler, void *data)
{
	int result = 0;
	signal(SIGPIPE, SIG_IGN);
	for (int number = 1; number <= SIGRTMAX && result >= 0; number++)
		if (!pid1_is_left_alone(number))
			result = sd_event_add_signal(
				event, NULL, number | SD_EVENT_SIGNAL_PROCMASK, handler, data);
	return result < 0 ? result : 0;
}
