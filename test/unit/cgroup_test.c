/* Control groups on the host that there is: the same tests on v1, hybrid and v2. What
 * a v2 host would be told is checked on a folder of plain files, beside it. */
#include "sandbox/cgroup.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/file.h"
#include "sandbox/cgroup_host.h"
#include "sandbox_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <cmocka.h>

#define MEGABYTE (1024u * 1024u)
#define WAIT_MS 3000

static struct cgroup_host *host;
static char host_name[64];
static const char *unavailable;
static bool v1_only; /* the v2 tree is hidden */
static struct error error;

static void need_host(void)
{
	if (unavailable) {
		print_message("skipped: %s\n", unavailable);
		skip();
	}
}

static void need_controller(enum cgroup_controller controller)
{
	need_host();
	if (cgroup_host_missing(host, controller)) {
		print_message(
			"skipped: no %s controller here\n", cgroup_controller_name(controller));
		skip();
	}
}

static void check(int result)
{
	if (result < 0)
		fail_msg("%s", error.message);
}

static struct cgroup *create(const char *name)
{
	struct cgroup *cgroup = NULL;
	check(cgroup_create(host, name, &cgroup, &error));
	return cgroup;
}

static struct cgroup *destroy(struct cgroup *cgroup)
{
	check(cgroup_remove(cgroup, WAIT_MS, &error));
	return cgroup_free(cgroup);
}

static void enter(const struct cgroup *cgroup)
{
	const int *procs;
	size_t count = cgroup_procs_files(cgroup, &procs);
	for (size_t i = 0; i < count; i++)
		if (write(procs[i], "0", 1) != 1)
			_exit(97);
	if (cgroup_v2_folder(cgroup) >= 0 &&
		cgroup_file_write(cgroup_v2_folder(cgroup), "cgroup.procs", "0") < 0)
		_exit(97);
}

/* Forks a process into CGROUP that runs BODY; returns when it is in. */
static pid_t start_in(const struct cgroup *cgroup, void (*body)(void))
{
	int ready[2];
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		enter(cgroup);
		(void)!write(ready[1], "", 1);
		body();
		_exit(0);
	}
	close(ready[1]);
	char byte;
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static int end_of(pid_t pid)
{
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void sleep_for_ever(void)
{
	for (;;)
		pause();
}

static void the_host_says_what_it_is(void **state)
{
	(void)state;
	need_host();
	if (v1_only)
		assert_string_equal(cgroup_host_version(host), "v1");
	char text[1024];
	size_t length = cgroup_host_describe(host, text, sizeof text);
	print_message("%s\n", text);
	assert_int_equal(length, strlen(text));
	const char *version = cgroup_host_version(host);
	assert_memory_equal(text, version, strlen(version));
	const bool has_v1 = host->count > (host->v2 >= 0 ? 1u : 0u);
	assert_int_equal(strstr(text, "favordynmods") != NULL, has_v1 && host->dynmods < 0);
	/* Cut, never over the end. */
	char little[8];
	memset(little, 'x', sizeof little);
	assert_int_equal(cgroup_host_describe(host, little, 6), 5);
	assert_int_equal(little[6], 'x');
}

static void bad_names_are_refused(void **state)
{
	(void)state;
	static const char *const names[] = {
		"", ".", "..", "a/b", "../x", "cgroup.procs", "a\nb", ".hidden"};
	struct cgroup_host *other = NULL;
	struct cgroup *cgroup = NULL;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		assert_int_equal(cgroup_host_open(names[i], true, &other, &error), -EINVAL);
		if (host)
			assert_int_equal(cgroup_create(host, names[i], &cgroup, &error), -EINVAL);
	}
	assert_null(other);
	assert_null(cgroup);
}

static void limits_can_be_read_back(void **state)
{
	(void)state;
	need_controller(CGROUP_MEMORY);
	struct cgroup *cgroup = create("limits");
	struct cgroup_limits limits = {64 * MEGABYTE, 50, 16};
	struct cgroup_stats stats;
	check(cgroup_set_limits(cgroup, &limits, &error));
	cgroup_read_stats(cgroup, &stats);
	assert_int_equal(stats.memory_limit_bytes, 64 * MEGABYTE);
	/* Up, down and away: v1 demands an order that depends on the direction. */
	limits.memory_bytes = 128 * MEGABYTE;
	check(cgroup_set_limits(cgroup, &limits, &error));
	limits.memory_bytes = 32 * MEGABYTE;
	check(cgroup_set_limits(cgroup, &limits, &error));
	cgroup_read_stats(cgroup, &stats);
	assert_int_equal(stats.memory_limit_bytes, 32 * MEGABYTE);
	limits = (struct cgroup_limits){0};
	check(cgroup_set_limits(cgroup, &limits, &error));
	cgroup_read_stats(cgroup, &stats);
	assert_int_equal(stats.memory_limit_bytes, 0);
	destroy(cgroup);
}

static void eat_memory(void)
{
	enum { SIZE = 256 * 1024 * 1024 };
	char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < SIZE; i += 4096)
		((volatile char *)memory)[i] = 1;
}

static void memory_over_the_limit_kills(void **state)
{
	(void)state;
	need_controller(CGROUP_MEMORY);
	struct cgroup *cgroup = create("memory");
	const struct cgroup_limits limits = {.memory_bytes = 16 * MEGABYTE};
	check(cgroup_set_limits(cgroup, &limits, &error));
	int status = end_of(start_in(cgroup, eat_memory));
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	struct cgroup_stats stats;
	cgroup_read_stats(cgroup, &stats);
	assert_true(stats.oom_kills >= 1);
	assert_true(stats.memory_peak_bytes > 8 * MEGABYTE);
	destroy(cgroup);
}

static void burn(void)
{
	const uint64_t end = clock_ms() + 600;
	while (clock_ms() < end)
		;
}

static void cpu_is_limited_and_counted(void **state)
{
	(void)state;
	need_controller(CGROUP_CPU);
	struct cgroup *cgroup = create("cpu");
	const struct cgroup_limits limits = {.cpu_percent = 20};
	check(cgroup_set_limits(cgroup, &limits, &error));
	assert_int_equal(end_of(start_in(cgroup, burn)), 0);
	struct cgroup_stats stats;
	cgroup_read_stats(cgroup, &stats);
	assert_true(stats.throttled > 0);
	assert_true(stats.throttled_usec > 0);
	assert_true(stats.cpu_usec > 10000);
	/* 20 % of 600 ms, and a period of each end to spare. */
	assert_true(stats.cpu_usec < 300000);
	destroy(cgroup);
}

static void fork_too_often(void)
{
	for (int i = 0; i < 8; i++) {
		pid_t pid = fork();
		if (pid == 0)
			sleep_for_ever();
		if (pid < 0)
			_exit(errno == EAGAIN ? 10 + i : 1);
	}
	_exit(0);
}

static void processes_are_limited(void **state)
{
	(void)state;
	need_controller(CGROUP_PIDS);
	struct cgroup *cgroup = create("pids");
	const struct cgroup_limits limits = {.pids = 4};
	check(cgroup_set_limits(cgroup, &limits, &error));
	int status = end_of(start_in(cgroup, fork_too_often));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 13);
	/* The three that it made are left over. */
	assert_int_equal(cgroup_populated(cgroup), 1);
	struct cgroup_stats stats;
	cgroup_read_stats(cgroup, &stats);
	assert_true(stats.pids_denied >= 1);
	check(cgroup_kill(cgroup, &error));
	destroy(cgroup);
}

static void make_children_for_ever(void)
{
	for (;;)
		if (fork() == 0)
			(void)poll(NULL, 0, 20);
}

static void kill_beats_a_fork_bomb(void **state)
{
	(void)state;
	need_controller(CGROUP_PIDS);
	struct cgroup *cgroup = create("bomb");
	const struct cgroup_limits limits = {.pids = 64};
	check(cgroup_set_limits(cgroup, &limits, &error));
	pid_t pid = start_in(cgroup, make_children_for_ever);
	(void)poll(NULL, 0, 50);
	check(cgroup_kill(cgroup, &error));
	assert_true(WIFSIGNALED(end_of(pid)));
	check(cgroup_remove(cgroup, WAIT_MS, &error));
	assert_int_equal(cgroup_populated(cgroup), 0);
	/* Once more, of what is gone. */
	check(cgroup_kill(cgroup, &error));
	check(cgroup_remove(cgroup, 0, &error));
	cgroup_free(cgroup);
}

/* Newer kernels (seen on 7.2) count a process for a moment longer than its parent waits for
 * it: until it is off its CPU for good. */
static void until_empty(const struct cgroup *cgroup)
{
	const uint64_t deadline = clock_ms() + WAIT_MS;
	while (cgroup_populated(cgroup) == 1 && clock_ms() < deadline)
		usleep(1000);
	assert_int_equal(cgroup_populated(cgroup), 0);
}

static void an_occupied_group_is_neither_removed_nor_taken(void **state)
{
	(void)state;
	need_host();
	struct cgroup *cgroup = create("busy"), *second = NULL;
	pid_t pid = start_in(cgroup, sleep_for_ever);
	assert_int_equal(cgroup_remove(cgroup, 0, &error), -EBUSY);
	assert_non_null(strstr(error.message, "busy"));
	const uint64_t before = clock_ms();
	assert_int_equal(cgroup_remove(cgroup, 50, &error), -EBUSY);
	assert_true(clock_ms() - before >= 45);
	assert_int_equal(cgroup_create(host, "busy", &second, &error), -EBUSY);
	assert_int_equal(cgroup_populated(cgroup), 1);
	check(cgroup_kill(cgroup, &error));
	end_of(pid);
	until_empty(cgroup);
	/* Taken over as it is. */
	check(cgroup_create(host, "busy", &second, &error));
	destroy(second);
	cgroup_free(cgroup);
}

static void leftovers_of_an_earlier_run_are_killed_and_removed(void **state)
{
	(void)state;
	need_host();
	struct cgroup *first = create("left-1"), *second = create("left-2");
	pid_t pid = start_in(first, sleep_for_ever);
	cgroup_free(first);
	cgroup_free(second);
	check(cgroup_host_clean(host, WAIT_MS, &error));
	assert_int_equal(end_of(pid) & 0x7f, SIGKILL);
	for (size_t i = 0; i < host->count; i++)
		assert_int_equal(faccessat(host->hierarchies[i].base, "left-1", F_OK, 0), -1);
	check(cgroup_host_clean(host, 0, &error));
}

static void tell_group(struct report *report, void *argument)
{
	struct cgroup_stats stats;
	cgroup_read_stats(argument, &stats);
	report->value = (long)stats.pids;
	report->more[0] = cgroup_populated(argument);
	report->more[1] = (long)stats.memory_limit_bytes;
}

static void a_spawned_process_is_in_all_of_them(void **state)
{
	(void)state;
	need_controller(CGROUP_PIDS);
	const char *why = confined_unavailable();
	if (why) {
		print_message("skipped: %s\n", why);
		skip();
	}
	struct cgroup *cgroup = create("spawn");
	const struct cgroup_limits limits = {64 * MEGABYTE, 100, 8};
	check(cgroup_set_limits(cgroup, &limits, &error));
	struct report report;
	struct confine confine = {.cgroup_v2 = cgroup_v2_folder(cgroup)};
	confine.cgroup_procs_count = cgroup_procs_files(cgroup, &confine.cgroup_procs);
	assert_int_equal(confined_run(&confine, tell_group, cgroup, &report), 0);
	assert_int_equal(report.value, 1);
	assert_int_equal(report.more[0], 1);
	destroy(cgroup);
}

/* ---- v2: finding and preparing the place ---- */

/* A folder in the v2 tree, for what can be tried there without controllers too. */
static int make_v2_folder(char *path, size_t size)
{
	need_host();
	if (host->v2 < 0) {
		print_message("skipped: no v2 tree here\n");
		skip();
	}
	snprintf(path, size, "%.3800s-v2", host->hierarchies[host->v2].path);
	assert_int_equal(mkdir(path, 0755), 0);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void a_delegated_group_is_found_from_below(void **state)
{
	(void)state;
	struct cgroup_place place = {.v2 = true};
	char path[4096], parent[8192];
	cleanup_close int folder = make_v2_folder(path, sizeof path);
	/* Nobody has delegated anything: the top. */
	snprintf(place.mount, sizeof place.mount, "%.*s", (int)(strrchr(path, '/') - path), path);
	snprintf(place.own, sizeof place.own, "%.1000s/service/inner", strrchr(path, '/'));
	cgroup_find_v2_parent(&place, parent, sizeof parent);
	assert_string_equal(parent, place.mount);
	assert_int_equal(fsetxattr(folder, "user.delegate", "1", 1, 0), 0);
	cgroup_find_v2_parent(&place, parent, sizeof parent);
	assert_string_equal(parent, path);
	assert_int_equal(rmdir(path), 0);
}

static void processes_of_an_inner_group_move_to_a_leaf(void **state)
{
	(void)state;
	char path[4096], text[64];
	cleanup_close int folder = make_v2_folder(path, sizeof path);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sleep_for_ever();
	}
	snprintf(text, sizeof text, "%d", pid);
	assert_int_equal(cgroup_file_write(folder, "cgroup.procs", text), 0);
	check(cgroup_move_to_leaf(folder, &error));
	assert_int_equal(cgroup_file_read(folder, "cgroup.procs", text, sizeof text), 0);
	assert_true(cgroup_file_read(folder, "supervisor/cgroup.procs", text, sizeof text) > 0);
	assert_int_equal(atoi(text), pid);
	/* Again, of a group that is empty already. */
	check(cgroup_move_to_leaf(folder, &error));
	kill(pid, SIGKILL);
	end_of(pid);
	assert_int_equal(unlinkat(folder, "supervisor", AT_REMOVEDIR), 0);
	assert_int_equal(rmdir(path), 0);
}

/* ---- what a v2 host is told ---- */

static void expect_file(int folder, const char *name, const char *text)
{
	char have[64] = "";
	assert_true(cgroup_file_read(folder, name, have, sizeof have) >= 0);
	assert_string_equal(have, text);
}

static void v2_limits_are_written_as_the_kernel_reads_them(void **state)
{
	(void)state;
	static const char *const files[] = {
		"memory.max", "memory.swap.max", "memory.oom.group", "cpu.max"};
	char path[] = "/tmp/tenantd-cgroup-XXXXXX";
	assert_non_null(mkdtemp(path));
	cleanup_close int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++)
		close(openat(folder, files[i], O_WRONLY | O_CREAT, 0600));
	assert_int_equal(cgroup_v2.set_memory(folder, 128 * MEGABYTE), 0);
	assert_int_equal(cgroup_v2.set_cpu(folder, 50), 0);
	expect_file(folder, "memory.max", "134217728");
	expect_file(folder, "memory.swap.max", "0");
	expect_file(folder, "memory.oom.group", "1");
	expect_file(folder, "cpu.max", "50000 100000");
	/* Without swap accounting there is no such file. */
	assert_int_equal(unlinkat(folder, "memory.swap.max", 0), 0);
	assert_int_equal(cgroup_v2.set_memory(folder, 128 * MEGABYTE), 0);
	/* Without the controller there is none, and that is an error. */
	assert_int_equal(unlinkat(folder, "cpu.max", 0), 0);
	assert_int_equal(cgroup_v2.set_cpu(folder, 0), -ENOENT);
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++)
		(void)unlinkat(folder, files[i], 0);
	assert_int_equal(rmdir(path), 0);
}

static void numbers_are_found_by_their_key(void **state)
{
	(void)state;
	char path[] = "/tmp/tenantd-cgroup-XXXXXX";
	assert_non_null(mkdtemp(path));
	cleanup_close int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int file = openat(folder, "f", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(file, "oom 3\noom_kill 7\nbad x\nlimit max\n", 33), 33);
	uint64_t value = 99;
	assert_int_equal(cgroup_file_read_u64(folder, "f", "oom_kill", &value), 0);
	assert_int_equal(value, 7);
	assert_int_equal(cgroup_file_read_u64(folder, "f", "limit", &value), 0);
	assert_true(value == UINT64_MAX);
	value = 5;
	assert_int_equal(cgroup_file_read_u64(folder, "f", "kill", &value), -ENOENT);
	assert_int_equal(cgroup_file_read_u64(folder, "f", "bad", &value), -EBADMSG);
	assert_int_equal(cgroup_file_read_u64(folder, "none", NULL, &value), -ENOENT);
	assert_int_equal(value, 5);
	(void)unlinkat(folder, "f", 0);
	assert_int_equal(rmdir(path), 0);
}

/* Makes a hybrid host look like one with v1 alone, to this process only. */
static const char *hide_v2(void)
{
	static struct cgroup_layout layout;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return "cannot make a mount namespace";
	for (bool found = true; found;) {
		cleanup_free char *mountinfo = NULL;
		size_t length;
		if (file_read(AT_FDCWD, "/proc/self/mountinfo", 4u << 20, &mountinfo, &length,
			    &error) < 0)
			return error.message;
		cgroup_layout_parse(mountinfo, "1:memory,cpu,pids:/\n0::/\n", &layout);
		found = false;
		for (size_t i = 0; i < layout.count; i++)
			if (layout.places[i].v2)
				found = umount2(layout.places[i].mount, MNT_DETACH) == 0;
	}
	for (size_t i = 0; i < layout.count; i++)
		if (!layout.places[i].v2)
			return NULL;
	return "no v1 hierarchy here";
}

static int open_host(void **state)
{
	(void)state;
	snprintf(host_name, sizeof host_name, "tenantd-test-%d", getpid());
	if (geteuid() != 0)
		unavailable = "needs root";
	else if (v1_only && (unavailable = hide_v2()))
		return 0;
	else if (cgroup_host_open(host_name, true, &host, &error) < 0)
		unavailable = error.message;
	return 0;
}

static int close_host(void **state)
{
	(void)state;
	int result = 0;
	int parents[CGROUP_HIERARCHIES_MAX];
	size_t count = host ? host->count : 0;
	for (size_t i = 0; i < count; i++)
		parents[i] = dup(host->hierarchies[i].parent);
	host = cgroup_host_close(host);
	/* Nothing is left behind. */
	for (size_t i = 0; i < count; i++) {
		if (faccessat(parents[i], host_name, F_OK, 0) == 0)
			result = -1;
		close(parents[i]);
	}
	return result;
}

int main(int argc, char **argv)
{
	v1_only = argc > 1 && strcmp(argv[1], "v1") == 0;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_host_says_what_it_is),
		cmocka_unit_test(bad_names_are_refused),
		cmocka_unit_test(limits_can_be_read_back),
		cmocka_unit_test(memory_over_the_limit_kills),
		cmocka_unit_test(cpu_is_limited_and_counted),
		cmocka_unit_test(processes_are_limited),
		cmocka_unit_test(kill_beats_a_fork_bomb),
		cmocka_unit_test(an_occupied_group_is_neither_removed_nor_taken),
		cmocka_unit_test(leftovers_of_an_earlier_run_are_killed_and_removed),
		cmocka_unit_test(a_spawned_process_is_in_all_of_them),
		cmocka_unit_test(a_delegated_group_is_found_from_below),
		cmocka_unit_test(processes_of_an_inner_group_move_to_a_leaf),
		cmocka_unit_test(v2_limits_are_written_as_the_kernel_reads_them),
		cmocka_unit_test(numbers_are_found_by_their_key),
	};
	return cmocka_run_group_tests(tests, open_host, close_host);
}
