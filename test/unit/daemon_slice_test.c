/* Who computes and who waits are told apart by what the kernel has counted. */
#include "daemon/slice.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SHORT_NS 100000

static uint64_t slice_of(pid_t pid)
{
	struct sched_attr attributes = {.size = sizeof attributes};
	assert_return_code(sched_getattr(pid, &attributes, sizeof attributes, 0), 0);
	return attributes.sched_runtime;
}

static void wait_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* A kernel that has no slices of one's own reports 0 for all. */
static bool have_slices(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		slice_shorten_own();
		_exit(slice_of(0) == SHORT_NS ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status) == 0;
}

static void what_it_forks_begins_with_the_kernels(void **state)
{
	(void)state;
	if (!have_slices())
		skip();
	pid_t pid = fork();
	if (pid == 0) {
		slice_shorten_own();
		pid_t child = fork();
		if (child == 0)
			_exit(slice_of(0) == SHORT_NS ? 1 : 0);
		int status;
		waitpid(child, &status, 0);
		_exit(WEXITSTATUS(status));
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A child that computes after a signal, and waits before. */
static pid_t start_child(void)
{
	sigset_t usr1;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	pid_t pid = fork();
	if (pid == 0) {
		int number;
		sigwait(&usr1, &number);
		for (;;)
			__asm__ volatile("");
	}
	return pid;
}

static void a_process_gets_the_slice_that_it_deserves(void **state)
{
	(void)state;
	if (!have_slices())
		skip();
	struct slice slice = {0};
	pid_t pid = start_child();
	uint64_t before = slice_of(pid);
	assert_int_not_equal(before, SHORT_NS);
	slice_review(&slice, pid);
	wait_ms(100);
	slice_review(&slice, pid);
	assert_int_equal(slice_of(pid), SHORT_NS);

	assert_return_code(kill(pid, SIGUSR1), 0);
	/* Others may have the core: until it got most of it. */
	for (int tries = 0; slice.is_short && tries < 100; tries++) {
		wait_ms(100);
		slice_review(&slice, pid);
	}
	assert_int_equal(slice_of(pid), before);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_forks_begins_with_the_kernels),
		cmocka_unit_test(a_process_gets_the_slice_that_it_deserves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
