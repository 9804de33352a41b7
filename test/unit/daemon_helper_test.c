/* How the programs that serve the daemon lose what they do not need, and end when they hang.
 * Each step in a process of its own, as root. */
#include "common/cleanup.h"
#include "common/clock.h"
#include "daemon/helper/helper.h"
#include "sandbox/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ID 64999

static pid_t begin(int (*play)(void))
{
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(play());
	return pid;
}

/* Its exit code; 128 and its signal. */
static int end(pid_t pid)
{
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- what it loses ---- */

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

static int become(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	struct error error = {0};
	uid_t user[3];
	gid_t group[3];
	int death = 0;
	CHECK(helper_become(ID, &error) == 0);
	CHECK(getresuid(&user[0], &user[1], &user[2]) == 0);
	CHECK(getresgid(&group[0], &group[1], &group[2]) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(user[i] == ID && group[i] == ID);
	CHECK(getgroups(0, NULL) == 0);
	CHECK(syscall(SYS_capget, &header, data) == 0);
	for (int i = 0; i < 2; i++)
		CHECK((data[i].effective | data[i].permitted | data[i].inheritable) == 0);
	CHECK(prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 0);
	CHECK(prctl(PR_GET_DUMPABLE) == 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHECK(prctl(PR_GET_PDEATHSIG, &death) == 0 && death == SIGKILL);
	CHECK(setuid(0) < 0);
	return 0;
}

static void it_becomes_somebody_without_any_privilege(void **state)
{
	(void)state;
	assert_int_equal(end(begin(become)), 0);
}

static int become_root(void)
{
	struct error error = {0};
	CHECK(helper_become(0, &error) == -EINVAL);
	CHECK(strstr(error.message, "user 0"));
	return 0;
}

static void it_does_not_stay_root(void **state)
{
	(void)state;
	assert_int_equal(end(begin(become_root)), 0);
}

static int limit(void)
{
	struct error error = {0};
	struct rlimit files, core, memory;
	CHECK(helper_limits(&error) == 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0 && getrlimit(RLIMIT_CORE, &core) == 0 &&
		getrlimit(RLIMIT_MEMLOCK, &memory) == 0);
	CHECK(files.rlim_cur == files.rlim_max && files.rlim_max <= 65536);
	CHECK(core.rlim_max <= 1 && memory.rlim_max == 0);
	return 0;
}

static void its_limits_are_set(void **state)
{
	(void)state;
	assert_int_equal(end(begin(limit)), 0);
}

static int filtered(void)
{
	static const int calls[] = {
		SCMP_SYS(write),
		SCMP_SYS(exit_group),
		/* for a sanitizer */
		SCMP_SYS(mmap),
		SCMP_SYS(munmap),
		SCMP_SYS(sigaltstack),
	};
	static const struct filter_rule rules[] = {
		{SCMP_SYS(fcntl), 1, {LOW(1, F_GETFL)}},
		{SCMP_SYS(getsid), 0, {{0}}, ENOTTY},
		{SCMP_SYS(listen), 0, {{0}}, FILTER_PRETEND_DONE},
	};
	struct error error = {0};
	CHECK(helper_filter(calls, ARRAY_LENGTH(calls), rules, ARRAY_LENGTH(rules), &error) == 0);
	CHECK(fcntl(0, F_GETFL) >= 0);
	CHECK(fcntl(0, F_GETFD) < 0 && errno == EPERM);
	/* The upper half of an argument that the kernel takes as 32 bits. */
	CHECK(syscall(SYS_fcntl, 0, (long)F_GETFL | 1l << 32, 0) >= 0);
	CHECK(getsid(0) < 0 && errno == ENOTTY);
	CHECK(syscall(SYS_listen, -1, 0) == 0);
	CHECK(syscall(SYS_getppid) < 0 && errno == EPERM);
	CHECK(syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY) < 0 && errno == EPERM);
	return 0;
}

static void its_filter_allows_what_is_listed(void **state)
{
	(void)state;
	assert_int_equal(end(begin(filtered)), 0);
}

/* ---- the watchdog ---- */

/* A turn in which it computes for ever. */
static int hang(void)
{
	if (helper_watchdog() < 0)
		return 1;
	helper_busy(true);
	for (;;)
		(void)poll(NULL, 0, 1000); /* interrupted or not */
}

/* A turn in which a call waits; then the next turn. */
static int wait_in_a_turn(void)
{
	int pipes[2];
	char byte;
	if (helper_watchdog() < 0 || pipe(pipes) < 0)
		return 1;
	const uint64_t before = clock_ms();
	helper_busy(true);
	if (read(pipes[0], &byte, 1) >= 0 || errno != EINTR)
		return 2;
	helper_busy(false);
	return clock_ms() - before < 12000 ? 0 : 3;
}

/* Waiting for the next turn is no hanging, nor are many turns. */
static int live_on(void)
{
	if (helper_watchdog() < 0)
		return 1;
	for (const uint64_t until = clock_ms() + 22000; clock_ms() < until;) {
		helper_busy(false);
		(void)poll(NULL, 0, clock_ms() + 8000 > until ? 100 : 8000);
		helper_busy(true);
	}
	return 0;
}

static void whoever_hangs_ends_and_nobody_else(void **state)
{
	(void)state;
	const uint64_t before = clock_ms();
	const pid_t hanging = begin(hang), waiting = begin(wait_in_a_turn), living = begin(live_on);
	assert_int_equal(end(waiting), 0);
	assert_int_equal(end(hanging), 70);
	assert_uint_in_range(clock_ms() - before, 9000, 21000);
	assert_int_equal(end(living), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_becomes_somebody_without_any_privilege),
		cmocka_unit_test(it_does_not_stay_root),
		cmocka_unit_test(its_limits_are_set),
		cmocka_unit_test(its_filter_allows_what_is_listed),
		cmocka_unit_test(whoever_hangs_ends_and_nobody_else),
	};
	if (geteuid() != 0) {
		fprintf(stderr, "skipped: needs root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
