/* The tier container: what takes the place of namespaces and mounts. The attacks on it are
 * sandbox_attack_test's, a whole daemon in it variants_test.py's. */
#include "common/cleanup.h"
#include "sandbox/steps.h"
#include "sandbox_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#define FOLDER "/srv/tenantd-container-test"
#define ID (CONFINED_UID_BASE + CONFINED_UID)

static struct report report;
static int release = -1;

static void need_root(void)
{
	if (geteuid() != 0) {
		print_message("skipped: needs root\n");
		skip();
	}
}

static struct confine contained(void)
{
	return (struct confine){
		.tier = TIER_CONTAINER,
		.prepare = true,
		.enter = true,
		.seal = true,
		.release = release,
		.root = FOLDER "/release",
	};
}

static void confined(const struct confine *confine, confined_body *body, void *argument)
{
	int status = confined_run(confine, body, argument, &report);
	if (status != 0 || !report.set)
		fail_msg("status %x: %s", status, report.error.message);
}

static void write_file(const char *path, mode_t mode)
{
	cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, "text", 4) != 4 || fchmod(fd, mode) < 0)
		fail_msg("%s: %s", path, strerror(errno));
}

static int setup(void **state)
{
	(void)state;
	(void)mkdir(FOLDER, 0755);
	(void)mkdir(FOLDER "/release", 0755);
	(void)mkdir(FOLDER "/closed", 0700);
	(void)mkdir(FOLDER "/closed/open", 0755);
	if (geteuid() == 0) {
		write_file(FOLDER "/release/main.js", 0644);
		write_file(FOLDER "/outside", 0666);
		write_file(FOLDER "/private", 0600);
	}
	release = open(FOLDER "/release", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return 0;
}

static int teardown(void **state)
{
	static const char *const files[] = {"/release/main.js", "/outside", "/private",
		"/closed/open", "/closed", "/release", ""};
	(void)state;
	close_fd(&release);
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
		char path[128];
		snprintf(path, sizeof path, FOLDER "%s", files[i]);
		(void)remove(path);
	}
	return 0;
}

/* ---- the whole ---- */

static void check_itself(struct report *tell, void *argument)
{
	(void)argument;
	tell->value = sandbox_check(confined_enter(), &tell->error);
	tell->more[0] = getuid();
	tell->more[1] = open("main.js", O_RDONLY) < 0 ? errno : 0;
	tell->more[2] = open(FOLDER "/release/main.js", O_RDONLY) < 0 ? errno : 0;
	tell->more[3] = open(FOLDER "/outside", O_RDONLY) < 0 ? errno : 0;
	tell->more[4] = open(FOLDER "/outside", O_WRONLY) < 0 ? errno : 0;
	tell->more[5] = open(FOLDER "/release", O_RDONLY | O_DIRECTORY) < 0 ? errno : 0;
	tell->more[6] = open(FOLDER, O_RDONLY | O_DIRECTORY) < 0 ? errno : 0;
}

static void the_sequence_passes_its_own_check(void **state)
{
	(void)state;
	need_root();
	for (int variant = 0; variant < 4; variant++) {
		struct confine confine = contained();
		confine.jitless = variant & 1;
		confine.violations = variant & 2;
		confined(&confine, check_itself, NULL);
		if (report.value < 0)
			fail_msg("%s", report.error.message);
		assert_int_equal(report.more[0], ID);
		assert_int_equal(report.more[1], 0);
		assert_int_equal(report.more[2], 0);
		assert_int_equal(report.more[3], EACCES);
		assert_int_equal(report.more[4], EACCES);
		assert_int_equal(report.more[5], 0);
		assert_int_equal(report.more[6], EACCES);
	}
}

/* Landlock is the one wall around files here: its absence must be found. */
static void without_landlock_the_check_fails(void **state)
{
	(void)state;
	need_root();
	struct confine confine = contained();
	confine.skip = SANDBOX_STEP_LANDLOCK;
	confined(&confine, check_itself, NULL);
	assert_int_equal(report.value, -EPERM);
	assert_non_null(strstr(report.error.message, "opening a file of the host"));
}

static void never(struct report *tell, void *argument)
{
	(void)argument;
	tell->value = 1;
}

static void expect_refused(const struct confine *confine, const char *message)
{
	int status = confined_run(confine, never, NULL, &report);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 0);
	assert_int_equal(report.value, 0);
	if (!strstr(report.error.message, message))
		fail_msg("%s", report.error.message);
}

static void what_cannot_be_kept_is_refused(void **state)
{
	(void)state;
	need_root();
	struct confine confine = contained();
	confine.tmp_bytes = 4096;
	expect_refused(&confine, "limits.tmp");
	confine = contained();
	cleanup_close int hidden = open(FOLDER "/closed/open", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	confine.release = hidden;
	confine.root = FOLDER "/closed/open";
	expect_refused(&confine, "must let others pass");
	confine.root = FOLDER "/release";
	expect_refused(&confine, "another folder than the release");
}

/* ---- signals ---- */

static void send_signals(struct report *tell, void *argument)
{
	const pid_t own = getpid();
	(void)argument;
	tell->more[0] = kill(own, 0) < 0 ? errno : 0;
	tell->more[1] = syscall(SYS_tgkill, own, own, 0) < 0 ? errno : 0;
	tell->more[2] = kill(1, 0) < 0 ? errno : 0;
	tell->more[3] = kill(-1, 0) < 0 ? errno : 0;
	tell->more[4] = kill(-own, 0) < 0 ? errno : 0;
	tell->more[5] = kill(getppid(), 0) < 0 ? errno : 0;
	tell->more[6] = syscall(SYS_tgkill, getppid(), getppid(), 0) < 0 ? errno : 0;
	tell->more[7] = syscall(SYS_kill, (1l << 32) | 1, 0) < 0 ? errno : 0;
}

static void it_signals_nobody_but_itself(void **state)
{
	(void)state;
	need_root();
	for (int violations = 0; violations < 2; violations++) {
		struct confine confine = contained();
		/* Under the filter alone. */
		confine.skip = SANDBOX_STEP_LANDLOCK;
		confine.violations = violations;
		confined(&confine, send_signals, NULL);
		for (int i = 0; i < 8; i++)
			assert_int_equal(report.more[i], i < 2 ? 0 : EPERM);
		assert_int_equal(report.audit_count > 0, violations);
	}
}

/* ---- limits ---- */

static void *sleep_well(void *argument)
{
	(void)argument;
	for (;;)
		pause();
	return NULL;
}

static void use_up(struct report *tell, void *argument)
{
	(void)argument;
	while (mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
			MAP_FAILED &&
		tell->more[0] < 1000)
		tell->more[0]++;
	tell->more[1] = errno;
	/* What is only reserved does not count: V8 reserves gigabytes. */
	tell->more[2] = mmap(NULL, 1ul << 34, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED;
}

static void memory_is_limited(void **state)
{
	(void)state;
	need_root();
	struct confine confine = contained();
	confine.memory_bytes = 64 << 20;
	confined(&confine, use_up, NULL);
	assert_int_in_range(report.more[0], 50, 64);
	assert_int_equal(report.more[1], ENOMEM);
	assert_int_equal(report.more[2], 1);
}

static void make_threads(struct report *tell, void *argument)
{
	(void)argument;
	pthread_t thread;
	while (tell->more[0] < 100 && pthread_create(&thread, NULL, sleep_well, NULL) == 0)
		tell->more[0]++;
}

static void threads_are_limited(void **state)
{
	(void)state;
	need_root();
	struct confine confine = contained();
	confine.threads = 8;
	confined(&confine, make_threads, NULL);
	assert_int_in_range(report.more[0], 1, 7);
}

/* ---- grants ---- */

static void grants_say_what_owners_and_modes_forbid(void **state)
{
	static const struct {
		const char *path;
		unsigned flags;
		const char *warning;
	} cases[] = {
		{FOLDER "/outside", 0, ""},
		{FOLDER "/outside", SANDBOX_GRANT_WRITE, ""},
		{FOLDER "/release", 0, ""},
		{FOLDER "/release", SANDBOX_GRANT_WRITE, "may not write it"},
		{FOLDER "/private", 0, "may not read it (owner 0, mode 0600)"},
		{FOLDER "/closed/open", 0, "does not let user"},
	};
	(void)state;
	need_root();
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct sandbox_grant grant = {.path = cases[i].path, .flags = cases[i].flags};
		struct error error = {0};
		char warning[256];
		assert_int_equal(sandbox_grant_place(&grant, ID, warning, &error), 0);
		close(grant.mount);
		if (cases[i].warning[0] ? !strstr(warning, cases[i].warning) : warning[0])
			fail_msg("%zu: %s", i, warning);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sequence_passes_its_own_check),
		cmocka_unit_test(without_landlock_the_check_fails),
		cmocka_unit_test(what_cannot_be_kept_is_refused),
		cmocka_unit_test(it_signals_nobody_but_itself),
		cmocka_unit_test(memory_is_limited),
		cmocka_unit_test(threads_are_limited),
		cmocka_unit_test(grants_say_what_owners_and_modes_forbid),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
