/* The steps of the confinement, each by itself where that is possible, and then the
 * whole sequence. */
#include "common/cleanup.h"
#include "common/clock.h"
#include "sandbox/steps.h"
#include "sandbox_harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include <cmocka.h>

#define FOLDER "/tmp/tenantd-sandbox-test"
#define INERT (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC)

static struct report report;

static void need_sandbox(void)
{
	const char *why = confined_unavailable();
	if (why) {
		print_message("skipped: %s\n", why);
		skip();
	}
}

static void need_root(void)
{
	if (geteuid() != 0) {
		print_message("skipped: needs root\n");
		skip();
	}
}

/* Runs BODY in the sandbox; it must come to its end. */
static void confined(const struct confine *confine, confined_body *body, void *argument)
{
	int status = confined_run(confine, body, argument, &report);
	if (status != 0 || !report.set)
		fail_msg("status %x: %s", status, report.error.message);
}

static void free_run(confined_body *body, void *argument)
{
	int status = unconfined_run(body, argument, &report);
	if (status != 0 || !report.set)
		fail_msg("status %x: %s", status, report.error.message);
}

static const struct confine spawned = {0};
static const struct confine prepared = {.prepare = true};
static const struct confine entered = {.prepare = true, .enter = true};
static const struct confine sealed = {.prepare = true, .enter = true, .seal = true};

/* ---- spawn ---- */

static void tell_ids(struct report *tell, void *argument)
{
	(void)argument;
	tell->value = getpid();
	tell->more[0] = getppid();
	tell->more[1] = *spawn_tid_address();
	tell->more[2] = getuid() | geteuid() | getgid() | getegid();
	tell->more[3] = getgroups(0, NULL);
	/* A mutex that remembers its owner by the cached thread id. */
	pthread_mutex_t mutex = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
	tell->more[4] = pthread_mutex_lock(&mutex) || pthread_mutex_lock(&mutex) != EDEADLK;
}

static void spawn_makes_the_first_process_of_a_pid_namespace(void **state)
{
	(void)state;
	need_sandbox();
	confined(&spawned, tell_ids, NULL);
	assert_int_equal(report.value, 1);
	assert_int_equal(report.more[0], 0);
	assert_int_equal(report.more[1], 1);
	assert_int_equal(report.more[2], 0);
	assert_int_equal(report.more[3], 0);
	assert_int_equal(report.more[4], 0);
}

static void tell_file(struct report *tell, void *argument)
{
	cleanup_close int fd = open(argument, O_RDONLY);
	tell->value = fd < 0 ? -errno : read(fd, tell->text, sizeof tell->text - 1);
}

static void spawn_maps_a_range_of_ids(void **state)
{
	(void)state;
	need_sandbox();
	static const char *const files[] = {"/proc/self/uid_map", "/proc/self/gid_map"};
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
		unsigned inside, outside, count;
		confined(&spawned, tell_file, (void *)files[i]);
		assert_int_equal(sscanf(report.text, "%u %u %u", &inside, &outside, &count), 3);
		assert_int_equal(inside, 0);
		assert_int_equal(outside, CONFINED_UID_BASE);
		assert_int_equal(count, CONFINED_UID_COUNT);
	}
}

static void tell_namespace(struct report *tell, void *argument)
{
	tell->value = readlink(argument, tell->text, sizeof tell->text - 1);
}

static void spawn_shares_no_namespace(void **state)
{
	(void)state;
	need_sandbox();
	static const char *const names[] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"};
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		char path[64], own[64] = "";
		snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
		assert_true(readlink(path, own, sizeof own - 1) > 0);
		confined(&spawned, tell_namespace, path);
		assert_true(report.value > 0);
		assert_string_not_equal(report.text, own);
	}
}

static void try_walls_behind_seccomp(struct report *tell, void *argument)
{
	(void)argument;
	char text[16] = "";
	tell->more[0] = unshare(CLONE_NEWUSER) < 0 ? errno : 0;
	int memory = memfd_create("x", 0);
	(void)!write(memory, "garbage", 7);
	char *const arguments[] = {text, NULL};
	execveat(memory, "", arguments, arguments, AT_EMPTY_PATH);
	tell->more[1] = errno;
	cleanup_close int fd = open("/proc/self/oom_score_adj", O_RDONLY);
	(void)!read(fd, text, sizeof text - 1);
	tell->more[2] = atoi(text);
}

static void spawn_forbids_nested_users_and_anonymous_programs(void **state)
{
	(void)state;
	need_sandbox();
	confined(&spawned, try_walls_behind_seccomp, NULL);
	assert_int_equal(report.more[0], ENOSPC);
	assert_int_equal(report.more[1], EACCES);
	assert_true(report.more[2] >= 500);
}

static void never(struct report *tell, void *argument)
{
	(void)argument;
	tell->value = 1;
}

static void spawn_leaves_no_process_when_it_fails(void **state)
{
	(void)state;
	need_sandbox();
	const int not_open = 1000;
	const struct confine confine = {.cgroup_procs = &not_open, .cgroup_procs_count = 1};
	assert_int_equal(confined_run(&confine, never, NULL, &report), -EBADF);
	assert_int_equal(report.value, 0);
	assert_non_null(strstr(report.error.message, "cgroup"));
	/* The process is our child, and dead or dying. */
	int status;
	assert_true(waitpid(-1, &status, 0) > 0);
	assert_true(status != 0);
	assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
}

/* ---- prepare ---- */

static void be_orphaned(struct report *tell, void *argument)
{
	(void)argument;
	int channel[2], signal_number = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, channel) < 0)
		_exit(1);
	tell->value = supervisor_watch(channel[0], &tell->error);
	close(channel[1]);
	tell->more[0] = supervisor_watch(channel[0], &tell->error);
	prctl(PR_GET_PDEATHSIG, &signal_number);
	tell->more[1] = signal_number;
}

static void a_process_without_its_supervisor_stops(void **state)
{
	(void)state;
	free_run(be_orphaned, NULL);
	assert_int_equal(report.value, 0);
	assert_int_equal(report.more[0], -EPIPE);
	assert_int_equal(report.more[1], SIGKILL);
	assert_non_null(strstr(report.error.message, "supervisor"));
}

static void wait_for_ever(struct report *tell, void *argument)
{
	(void)tell;
	(void)argument;
	for (;;)
		pause();
}

static void a_sealed_process_dies_with_its_supervisor(void **state)
{
	(void)state;
	need_sandbox();
	/* The write end is the tenant's; its last copy closes when the tenant dies. */
	int pipe_fds[2];
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	int kept = dup2(pipe_fds[1], 50);
	struct confine confine = sealed;
	confine.keep = &kept;
	confine.keep_count = 1;
	pid_t supervisor = fork();
	if (supervisor == 0) {
		close(pipe_fds[0]);
		confined_run(&confine, wait_for_ever, NULL, &report);
		_exit(0);
	}
	close(kept);
	close(pipe_fds[1]);
	(void)poll(NULL, 0, 100);
	struct pollfd gone = {.fd = pipe_fds[0], .events = POLLIN};
	assert_int_equal(poll(&gone, 1, 0), 0);
	kill(supervisor, SIGKILL);
	waitpid(supervisor, NULL, 0);
	assert_int_equal(poll(&gone, 1, 3000), 1);
	assert_true(gone.revents & POLLHUP);
	close(pipe_fds[0]);
}

static void leave_session(struct report *tell, void *argument)
{
	(void)argument;
	long before = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
	tell->value = supervisor_leave_session(&tell->error);
	tell->more[0] = getsid(0) == getpid() && getpgrp() == getpid();
	tell->more[1] = umask(0);
	tell->more[2] =
		syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0) != before;
}

static void session_keyring_and_umask_are_left(void **state)
{
	(void)state;
	free_run(leave_session, NULL);
	assert_int_equal(report.value, 0);
	assert_int_equal(report.more[0], 1);
	assert_int_equal(report.more[1], 077);
	assert_int_equal(report.more[2], 1);
}

static void look_around(struct report *tell, void *argument)
{
	(void)argument;
	struct statvfs status;
	char *names = tell->text;
	DIR *dir = opendir("/");
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		if (entry->d_name[0] != '.')
			names = stpcpy(stpcpy(names, entry->d_name), " ");
	tell->more[0] = statvfs("/", &status) == 0 ? (long)(status.f_flag & INERT) : -1;
	tell->more[1] = open("/x", O_WRONLY | O_CREAT, 0600) < 0 ? errno : 0;
	tell->more[2] = open("/proc/self/status", O_RDONLY) < 0 ? errno : 0;
	tell->more[3] = root_verify_folder(&tell->error);
	tell->more[4] = umount2("/", MNT_DETACH) < 0 ? errno : 0;
	tell->more[5] = prctl(PR_GET_DUMPABLE);
	struct rlimit core;
	getrlimit(RLIMIT_CORE, &core);
	tell->more[6] = (long)core.rlim_max;
	struct utsname host;
	uname(&host);
	tell->more[7] = strcmp(host.nodename, "tenant");
}

static size_t count_mounts(void)
{
	size_t count = 0;
	cleanup_fclose FILE *file = fopen("/proc/self/mountinfo", "re");
	for (int byte; (byte = getc(file)) != EOF;)
		count += byte == '\n';
	return count;
}

static void the_root_is_empty_and_read_only(void **state)
{
	(void)state;
	need_sandbox();
	size_t before = count_mounts();
	for (int small = 0; small < 2; small++) {
		struct confine confine = prepared;
		confine.small_root = small;
		confined(&confine, look_around, NULL);
		assert_string_equal(report.text, "app ");
		assert_int_equal(report.more[0], INERT);
		/* Though still root in its namespace, with every capability. */
		assert_int_equal(report.more[1], EROFS);
		assert_int_equal(report.more[2], ENOENT);
		assert_int_equal(report.more[3], 0);
		/* There is nothing below to come to. */
		assert_int_equal(report.more[4], EINVAL);
		assert_int_equal(report.more[5], 0);
		assert_int_equal(report.more[6], 1);
		assert_int_equal(report.more[7], 0);
	}
	/* Nothing came out. */
	assert_int_equal(count_mounts(), before);
}

/* ---- enter ---- */

static void make_release(void)
{
	(void)mkdir(FOLDER, 0777);
	(void)chmod(FOLDER, 0777);
	cleanup_close int file = open(FOLDER "/file", O_WRONLY | O_CREAT | O_TRUNC, 0666);
	(void)fchmod(file, 04777);
	(void)!write(file, "hello", 5);
}

static void try_release(struct report *tell, void *argument)
{
	(void)argument;
	struct statvfs status;
	cleanup_close int file = open("/app/file", O_RDONLY);
	tell->value = file < 0 ? -errno : read(file, tell->text, 16);
	tell->more[0] = statvfs("/app", &status) == 0 ? (long)(status.f_flag & INERT) : -1;
	tell->more[1] = open("/app/file", O_WRONLY) < 0 ? errno : 0;
	tell->more[2] = open("/app/new", O_WRONLY | O_CREAT, 0600) < 0 ? errno : 0;
	tell->more[3] = chmod("/app/file", 0) < 0 ? errno : 0;
	char *const arguments[] = {"x", NULL};
	execve("/app/file", arguments, arguments);
	tell->more[4] = errno;
}

static void expect_release(void)
{
	assert_int_equal(report.value, 5);
	assert_string_equal(report.text, "hello");
	assert_int_equal(report.more[0], INERT);
	assert_int_equal(report.more[1], EROFS);
	assert_int_equal(report.more[2], EROFS);
	assert_int_equal(report.more[3], EROFS);
	assert_int_equal(report.more[4], EACCES);
}

/* The mount is the host's, moved into a mount namespace of another user namespace. */
static void the_release_is_mounted_read_only_at_app(void **state)
{
	(void)state;
	need_sandbox();
	make_release();
	cleanup_close int folder = open(FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int careless = 0; careless < 2; careless++) {
		/* A supervisor that forgot to make it read-only. */
		cleanup_close int mount =
			careless ? (int)syscall(SYS_open_tree, folder, "",
					   AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
				 : sandbox_release_mount(folder, &report.error);
		assert_true(mount >= 0);
		struct confine confine = entered;
		confine.release = mount;
		/* The mount alone, for root of the namespace, not Landlock. */
		confine.skip = ~(uint32_t)SANDBOX_STEP_RELEASE;
		confined(&confine, try_release, NULL);
		expect_release();
	}
	assert_int_equal(unlink(FOLDER "/file"), 0);
	assert_int_equal(rmdir(FOLDER), 0);
}

static void close_descriptors(struct report *tell, void *argument)
{
	(void)argument;
	for (int fd = 3; fd < 40; fd++)
		(void)dup2(0, fd);
	const int keep[] = {5, 6, 20};
	tell->value = fds_close_others(keep, ARRAY_LENGTH(keep), &tell->error);
	for (int fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			tell->more[tell->more[7]++] = fd;
}

static void every_other_descriptor_is_closed(void **state)
{
	(void)state;
	free_run(close_descriptors, NULL);
	assert_int_equal(report.value, 0);
	assert_int_equal(report.more[7], 6);
	assert_int_equal(report.more[3], 5);
	assert_int_equal(report.more[4], 6);
	assert_int_equal(report.more[5], 20);
	/* Nonsense is refused before anything is closed. */
	static const int bad[][2] = {{6, 5}, {5, 5}, {2, 5}, {-1, 5}};
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		assert_int_equal(fds_close_others(bad[i], 2, &report.error), -EINVAL);
}

static void limit(struct report *tell, void *argument)
{
	(void)argument;
	static const int resources[] = {
		RLIMIT_NOFILE, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE, RLIMIT_RTPRIO, RLIMIT_NICE};
	struct rlimit now;
	tell->value = limits_apply(48, &tell->error);
	for (size_t i = 0; i < ARRAY_LENGTH(resources); i++) {
		getrlimit((__rlimit_resource_t)resources[i], &now);
		tell->more[i] = (long)now.rlim_max;
	}
	while (dup(0) >= 0)
		tell->more[6]++;
	tell->more[7] = errno;
}

static void limits_are_set(void **state)
{
	(void)state;
	free_run(limit, NULL);
	assert_int_equal(report.value, 0);
	assert_int_equal(report.more[0], 48);
	for (int i = 1; i < 5; i++)
		assert_int_equal(report.more[i], 0);
	assert_true(report.more[6] < 48);
	assert_int_equal(report.more[7], EMFILE);
}

static void ask_too_much(struct report *tell, void *argument)
{
	(void)argument;
	const struct rlimit low = {64, 64};
	setrlimit(RLIMIT_NOFILE, &low);
	tell->value = limits_apply(128, &tell->error);
}

static void a_limit_above_the_hosts_is_an_error_that_says_so(void **state)
{
	(void)state;
	need_sandbox();
	confined(&spawned, ask_too_much, NULL);
	assert_int_equal(report.value, -EPERM);
	assert_non_null(strstr(report.error.message, "RLIMIT_NOFILE to 128"));
	assert_non_null(strstr(report.error.message, "hard limit is 64"));
}

static void drop_bounding(struct report *tell, void *argument)
{
	(void)argument;
	tell->value = identity_drop_bounding(&tell->error);
	for (int capability = 0; capability < 64; capability++)
		tell->more[0] += prctl(PR_CAPBSET_READ, capability) == 1;
}

static void the_bounding_set_is_emptied(void **state)
{
	(void)state;
	need_sandbox();
	confined(&spawned, drop_bounding, NULL);
	assert_int_equal(report.value, 0);
	assert_int_equal(report.more[0], 0);
}

static void lock_securebits(struct report *tell, void *argument)
{
	(void)argument;
	tell->value = identity_lock_securebits(&tell->error);
	tell->more[0] = prctl(PR_GET_SECUREBITS);
	tell->more[1] = prctl(PR_SET_SECUREBITS, 0) < 0 ? errno : 0;
	tell->more[2] = prctl(PR_SET_KEEPCAPS, 1) < 0 ? errno : 0;
	tell->more[3] =
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0) < 0 ? errno : 0;
}

static void securebits_are_locked(void **state)
{
	(void)state;
	need_sandbox();
	confined(&spawned, lock_securebits, NULL);
	assert_int_equal(report.value, 0);
	assert_int_equal(report.more[0], 0xef);
	for (int i = 1; i < 4; i++)
		assert_int_equal(report.more[i], EPERM);
}

static void become(struct report *tell, void *argument)
{
	(void)argument;
	tell->more[0] = identity_become(0, &tell->error);
	tell->more[1] = identity_become(CONFINED_UID_COUNT, &tell->error);
	tell->value = identity_become(CONFINED_UID, &tell->error);
	tell->more[2] = getuid();
	tell->more[3] = getegid();
	tell->more[4] = getgroups(0, NULL);
}

static void the_tenants_ids_are_taken(void **state)
{
	(void)state;
	need_sandbox();
	confined(&spawned, become, NULL);
	assert_int_equal(report.value, 0);
	assert_int_equal(report.more[0], -EINVAL);
	assert_int_equal(report.more[1], -EINVAL); /* not mapped */
	assert_int_equal(report.more[2], CONFINED_UID);
	assert_int_equal(report.more[3], CONFINED_UID);
	assert_int_equal(report.more[4], 0);
}

static void drop_capabilities(struct report *tell, void *argument)
{
	(void)argument;
	tell->value = identity_drop_capabilities(&tell->error);
	tell->more[0] = setresuid(5, 5, 5) < 0 ? errno : 0;
	tell->more[1] = sethostname("x", 1) < 0 ? errno : 0;
	tell->more[2] = identity_drop_bounding(&tell->error);
	tell->more[3] = mount("none", "/tmp", "tmpfs", 0, NULL) < 0 ? errno : 0;
}

static void capabilities_are_gone(void **state)
{
	(void)state;
	need_sandbox();
	confined(&spawned, drop_capabilities, NULL);
	assert_int_equal(report.value, 0);
	assert_int_equal(report.more[0], EPERM);
	assert_int_equal(report.more[1], EPERM);
	assert_int_equal(report.more[2], -EPERM);
	assert_int_equal(report.more[3], EPERM);
}

static void close_process(struct report *tell, void *argument)
{
	(void)argument;
	tell->value = identity_not_dumpable(&tell->error) |
		      identity_no_new_privileges(&tell->error) | limits_no_core(&tell->error);
	tell->more[0] = prctl(PR_GET_DUMPABLE);
	tell->more[1] = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	tell->more[2] = prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0) < 0 ? errno : 0;
	struct rlimit core;
	getrlimit(RLIMIT_CORE, &core);
	tell->more[3] = (long)core.rlim_max;
}

static void no_dumps_and_no_new_privileges(void **state)
{
	(void)state;
	free_run(close_process, NULL);
	assert_int_equal(report.value, 0);
	assert_int_equal(report.more[0], 0);
	assert_int_equal(report.more[1], 1);
	assert_int_equal(report.more[2], EINVAL);
	assert_int_equal(report.more[3], 1);
}

static void change_root_only(struct report *tell, void *argument)
{
	(void)argument;
	tell->more[0] = chdir("/") | root_verify_folder(&tell->error);
	tell->more[1] = chdir("/tmp");
	tell->more[2] = root_verify_folder(&tell->error);
	/* What a container runtime forgot in CVE-2024-21626. */
	mkdir("/tmp/tenantd-root-test", 0700);
	tell->more[3] = chroot("/tmp/tenantd-root-test");
	tell->more[4] = root_verify_folder(&tell->error);
	(void)rmdir("tenantd-root-test");
}

static void a_folder_outside_of_the_root_is_found(void **state)
{
	(void)state;
	need_root();
	free_run(change_root_only, NULL);
	assert_int_equal(report.more[0], 0);
	assert_int_equal(report.more[1], 0);
	assert_true(report.more[2] < 0);
	assert_int_equal(report.more[3], 0);
	assert_true(report.more[4] < 0);
}

/* ---- Landlock and seccomp alone ---- */

static int open_listener(struct sockaddr_in *address)
{
	*address = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof *address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)address, length) < 0 || listen(fd, 1) < 0)
		return -1;
	return getsockname(fd, (struct sockaddr *)address, &length) < 0 ? -1 : fd;
}

static void be_landlocked(struct report *tell, void *argument)
{
	struct sockaddr_in *address = argument;
	char *const arguments[] = {"true", NULL};
	pid_t parent = getppid();
	/* All of the host, to read: as a grant. */
	const struct sandbox_grant all = {
		.path = "/",
		.mount = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC),
		.flags = SANDBOX_GRANT_FOLDER,
	};
	const struct sandbox_enter enter = {.release = -1, .grants = &all, .grant_count = 1};
	int ruleset = worker_landlock_prepare(&enter, &tell->error);
	if (ruleset < 0 || identity_no_new_privileges(&tell->error) < 0 ||
		landlock_restrict(ruleset, &tell->error) < 0)
		_exit(1);
	tell->more[0] = open("/etc/passwd", O_RDONLY) < 0 ? errno : 0;
	tell->more[1] = open("/etc/passwd", O_WRONLY) < 0 ? errno : 0;
	tell->more[2] = open("/tmp/landlocked", O_WRONLY | O_CREAT, 0600) < 0 ? errno : 0;
	tell->more[3] = mkdir("/tmp/landlocked", 0700) < 0 ? errno : 0;
	execve("/bin/true", arguments, arguments);
	tell->more[4] = errno;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	tell->more[5] = connect(fd, (struct sockaddr *)address, sizeof *address) < 0 ? errno : 0;
	tell->more[6] = kill(parent, 0) < 0 ? errno : 0;
	tell->more[7] = mount("none", "/tmp", "tmpfs", 0, NULL) < 0 ? errno : 0;
}

static void landlock_alone_leaves_reading_only(void **state)
{
	(void)state;
	int abi = sandbox_landlock_abi();
	if (abi < 1) {
		print_message("skipped: no Landlock in this kernel\n");
		skip();
	}
	struct sockaddr_in address;
	cleanup_close int listener = open_listener(&address);
	assert_true(listener >= 0);
	free_run(be_landlocked, &address);
	assert_int_equal(report.more[0], 0);
	for (int i = 1; i < 5; i++)
		assert_int_equal(report.more[i], EACCES);
	assert_int_equal(report.more[5], abi >= 4 ? EACCES : 0);
	assert_int_equal(report.more[6], abi >= 6 ? EPERM : 0);
	assert_int_equal(report.more[7], EPERM);
}

static void *run_thread(void *argument)
{
	*(int *)argument = 7;
	return NULL;
}

static void be_sealed(struct report *tell, void *argument)
{
	const struct sandbox_filter *filter = argument;
	if (identity_no_new_privileges(&tell->error) < 0 || sandbox_seal(filter, &tell->error) < 0)
		_exit(1);
	int seen = 0;
	pthread_t thread;
	tell->value = pthread_create(&thread, NULL, run_thread, &seen);
	if (tell->value == 0)
		pthread_join(thread, NULL);
	tell->more[0] = seen;
	tell->more[1] = fork() < 0 ? errno : 0;
	tell->more[2] = socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0;
	struct stat status;
	cleanup_close int fd = open("/etc/passwd", O_RDONLY);
	tell->more[3] = fd >= 0 && fstat(fd, &status) == 0 && stat("/", &status) == 0;
	void *memory = malloc(1 << 20);
	tell->more[4] = memory != NULL;
	free(memory);
	tell->more[5] = isatty(1) || errno != ENOTTY;
	tell->more[6] = sandbox_seal(filter, &tell->error);
}

static void seccomp_alone_leaves_threads_and_files(void **state)
{
	(void)state;
	struct error error;
	struct sandbox_filter *filter;
	const struct sandbox_filter_options options = {0};
	assert_int_equal(sandbox_filter_build(&options, &filter, &error), 0);
	free_run(be_sealed, filter);
	assert_int_equal(report.value, 0);
	assert_int_equal(report.more[0], 7);
	assert_int_equal(report.more[1], EPERM);
	assert_int_equal(report.more[2], EPERM);
	assert_int_equal(report.more[3], 1);
	assert_int_equal(report.more[4], 1);
	assert_int_equal(report.more[5], 0);
	assert_int_equal(report.more[6], -EPERM);
	sandbox_filter_free(filter);
}

/* ---- all of it ---- */

static void check_itself(struct report *tell, void *argument)
{
	(void)argument;
	uint64_t before = clock_ns();
	tell->value = sandbox_check(confined_enter(), &tell->error);
	tell->more[0] = (long)(clock_ns() - before);
}

static void the_whole_sequence_passes_its_own_check(void **state)
{
	(void)state;
	need_sandbox();
	for (int variant = 0; variant < 8; variant++) {
		struct confine confine = sealed;
		confine.small_root = variant & 1;
		confine.jitless = variant & 2;
		confine.violations = variant & 4;
		confined(&confine, check_itself, NULL);
		if (report.value < 0)
			fail_msg("%s", report.error.message);
		if ((variant & 3) == 3)
			print_message("the check took %ld us%s\n", report.more[0] / 1000,
				confine.violations ? ", with signals" : "");
	}
}

static void the_check_finds_what_was_left_out(void **state)
{
	(void)state;
	need_sandbox();
	static const struct {
		struct confine confine;
		const char *message;
	} cases[] = {
		{{.prepare = true, .enter = true}, "seccomp"},
		{{.prepare = true, .seal = true, .enter = true, .skip = SANDBOX_STEP_BOUNDING},
			"bounding set"},
		{{.prepare = true, .seal = true, .enter = true, .skip = SANDBOX_STEP_SECUREBITS},
			"securebits"},
		{{.prepare = true, .seal = true, .enter = true, .skip = SANDBOX_STEP_IDS}, "root"},
		{{.enter = true, .seal = true, .skip = SANDBOX_STEP_LANDLOCK | SANDBOX_STEP_FOLDER},
			"opening a file of the host"},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		confined(&cases[i].confine, check_itself, NULL);
		assert_int_equal(report.value, -EPERM);
		assert_non_null(strstr(report.error.message, "not tight"));
		/* Where we are filtered ourselves, its state looks as it should: an act tells. */
		if (i == 0 && prctl(PR_GET_SECCOMP) != 0)
			continue;
		if (!strstr(report.error.message, cases[i].message))
			fail_msg("%zu: %s", i, report.error.message);
	}
}

static void a_failed_step_ends_the_start(void **state)
{
	(void)state;
	need_sandbox();
	struct confine confine = sealed;
	confine.files = UINT32_MAX;
	int status = confined_run(&confine, never, NULL, &report);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 0);
	assert_int_equal(report.value, 0);
	assert_non_null(strstr(report.error.message, "RLIMIT_NOFILE"));
	/* No mount at all where one is expected. */
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	confine = sealed;
	confine.release = null;
	status = confined_run(&confine, never, NULL, &report);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 0);
	assert_non_null(strstr(report.error.message, "/app"));
	close(null);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spawn_makes_the_first_process_of_a_pid_namespace),
		cmocka_unit_test(spawn_maps_a_range_of_ids),
		cmocka_unit_test(spawn_shares_no_namespace),
		cmocka_unit_test(spawn_forbids_nested_users_and_anonymous_programs),
		cmocka_unit_test(spawn_leaves_no_process_when_it_fails),
		cmocka_unit_test(a_process_without_its_supervisor_stops),
		cmocka_unit_test(a_sealed_process_dies_with_its_supervisor),
		cmocka_unit_test(session_keyring_and_umask_are_left),
		cmocka_unit_test(the_root_is_empty_and_read_only),
		cmocka_unit_test(the_release_is_mounted_read_only_at_app),
		cmocka_unit_test(every_other_descriptor_is_closed),
		cmocka_unit_test(limits_are_set),
		cmocka_unit_test(a_limit_above_the_hosts_is_an_error_that_says_so),
		cmocka_unit_test(the_bounding_set_is_emptied),
		cmocka_unit_test(securebits_are_locked),
		cmocka_unit_test(the_tenants_ids_are_taken),
		cmocka_unit_test(capabilities_are_gone),
		cmocka_unit_test(no_dumps_and_no_new_privileges),
		cmocka_unit_test(a_folder_outside_of_the_root_is_found),
		cmocka_unit_test(landlock_alone_leaves_reading_only),
		cmocka_unit_test(seccomp_alone_leaves_threads_and_files),
		cmocka_unit_test(the_whole_sequence_passes_its_own_check),
		cmocka_unit_test(the_check_finds_what_was_left_out),
		cmocka_unit_test(a_failed_step_ends_the_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
