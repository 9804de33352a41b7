/* What the daemon does as the first process of a container: it reaps whom nobody waits for,
 * and no signal has an effect of its own. The whole of it, in one: test/container. */
#include "daemon/pid1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pid_t kept;
static bool knows_kept(void *data, pid_t pid)
{
	(void)data;
	return kept == pid;
}

static pid_t child_that_ends(int code)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(code);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	return pid;
}

static bool is_zombie(pid_t pid)
{
	siginfo_t info = {0};
	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == pid;
}

static void turn(sd_event *event, int ms)
{
	struct timespec begin, now;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		assert_true(sd_event_run(event, 5000) >= 0);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < ms);
}

static void orphans_are_reaped_also_behind_a_child_that_somebody_keeps(void **state)
{
	sd_event *event;
	struct pid1_reaper *reaper = NULL;
	(void)state;
	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(pid1_reap(event, knows_kept, NULL, &reaper), 0);
	kept = child_that_ends(1);
	pid_t orphan = child_that_ends(2);
	turn(event, 100);
	assert_true(is_zombie(kept));
	/* Who keeps it waits for it: nothing tells of that, and the orphan goes all the same. */
	assert_int_equal(waitpid(kept, NULL, 0), kept);
	kept = 0;
	turn(event, 200);
	assert_false(is_zombie(orphan));
	assert_int_equal(waitpid(orphan, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	pid1_reaper_free(reaper);
	sd_event_unref(event);
}

static void descendants_without_a_parent_become_ours(void **state)
{
	struct error error = {0};
	int ends[2];
	pid_t parent = 0;
	(void)state;
	assert_int_equal(pid1_adopt(&error), 0);
	assert_int_equal(pipe(ends), 0);
	pid_t middle = fork();
	if (middle == 0) {
		if (fork() == 0) {
			while (getppid() != atoi(getenv("PID1_TEST")))
				usleep(1000);
			pid_t now = getppid();
			_exit(write(ends[1], &now, sizeof now) != sizeof now);
		}
		_exit(0);
	}
	waitpid(middle, NULL, 0);
	assert_int_equal(read(ends[0], &parent, sizeof parent), sizeof parent);
	assert_int_equal(parent, getpid());
	wait(NULL);
}

static int last_signal;
static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	(void)source;
	(void)data;
	last_signal = (int)info->ssi_signo;
	return 0;
}

static void every_signal_is_handled_but_those_that_are_left_alone(void **state)
{
	sd_event *event;
	(void)state;
	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(pid1_signals(event, on_signal, NULL), 0);
	for (int number = 1; number <= SIGRTMAX; number++) {
		if (pid1_is_left_alone(number))
			continue;
		last_signal = 0;
		assert_int_equal(kill(getpid(), number), 0);
		turn(event, 1);
		assert_int_equal(last_signal, number);
	}
	assert_true(pid1_is_left_alone(SIGKILL) && pid1_is_left_alone(SIGSEGV) &&
		    pid1_is_left_alone(SIGCHLD) && pid1_is_left_alone(32));
	assert_false(pid1_is_left_alone(SIGTERM) || pid1_is_left_alone(SIGTTIN) ||
		     pid1_is_left_alone(SIGRTMIN));
	sd_event_unref(event);
}

int main(void)
{
	char text[16];
	sigset_t blocked;
	snprintf(text, sizeof text, "%d", getpid());
	setenv("PID1_TEST", text, 1);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(orphans_are_reaped_also_behind_a_child_that_somebody_keeps),
		cmocka_unit_test(descendants_without_a_parent_become_ours),
		cmocka_unit_test(every_signal_is_handled_but_those_that_are_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
