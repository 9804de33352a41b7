/* Forking a process straight into its namespaces and cgroup, with its ids mapped.
 * One clone makes all of it at once: there is no moment at which the child runs
 * outside. What only the parent may do to it (id maps, v1 cgroups) is done while the
 * child waits on a socket. */
#include "common/cleanup.h"
#include "sandbox/sandbox.h"
#include "sandbox/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PR_GET_TID_ADDRESS
#define PR_GET_TID_ADDRESS 40
#endif

/* How a child ends that the parent could not finish; nobody reads more into it. */
#define EXIT_UNFINISHED 125

#define NAMESPACES                                                                                 \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | \
		CLONE_NEWCGROUP)

/* Those that cost most to make and need no rights of the child's. */
#define NAMESPACES_AHEAD (CLONE_NEWNET | CLONE_NEWIPC)

static int proc_fd = -1;
static bool namespaces_ahead; /* ours are new, nobody else is in them */

int spawn_proc(struct error *error)
{
	if (proc_fd >= 0)
		return proc_fd;
	cleanup_close int fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(error, errno, "cannot open /proc");
	/* Ids are written to /proc/PID, with the pid that clone3 returned: it must be the
	 * /proc of this pid namespace, or some other process would get them. */
	char text[16] = "";
	ssize_t length = readlinkat(fd, "self", text, sizeof text - 1);
	if (length <= 0 || atoi(text) != getpid())
		return error_set(error, ESRCH,
			"/proc belongs to another pid namespace: mount a proc of this one");
	return proc_fd = take_fd(&fd);
}

/* The kernel knows an address to clear at the thread's end. After fork(3) it is that of
 * the cached id; after exec, since glibc 2.43, it is that of another field. */
static int *told_by_kernel(void)
{
	int *address = NULL;
	if (prctl(PR_GET_TID_ADDRESS, &address) < 0 || !address)
		return NULL;
	return *address == (int)syscall(SYS_gettid) ? address : NULL;
}

/* A child of fork(3) asks the kernel; its thread descriptor is where ours is. */
static int *told_by_child(void)
{
	int *address = NULL;
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return NULL;
	pid_t pid = fork();
	if (pid == 0) {
		address = told_by_kernel();
		_exit(write(fds[1], &address, sizeof address) == sizeof address ? 0 : 1);
	}
	close(fds[1]);
	if (pid < 0 || read(fds[0], &address, sizeof address) != sizeof address)
		address = NULL;
	close(fds[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return address && *address == (int)syscall(SYS_gettid) ? address : NULL;
}

int *spawn_tid_address(void)
{
	static int *address;
	if (!address)
		address = told_by_kernel();
	if (!address)
		address = told_by_child();
	return address;
}

int spawn_write_proc(const char *path, const char *text, struct error *error)
{
	int proc = spawn_proc(error);
	if (proc < 0)
		return proc;
	cleanup_close int fd = openat(proc, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(error, errno, "cannot open /proc/%s", path);
	if (write(fd, text, strlen(text)) < 0)
		return error_errno(error, errno, "cannot write \"%.40s\" to /proc/%s", text, path);
	return 0;
}

/* ---- cloning ---- */

pid_t spawn_clone(uint64_t flags, int *ret_pidfd, int *child_tid, int *cgroup)
{
	struct clone_args arguments = {
		.flags = flags | (*cgroup >= 0 ? CLONE_INTO_CGROUP : 0),
		.pidfd = (uintptr_t)ret_pidfd,
		.child_tid = (uintptr_t)child_tid,
		/* The parent's own exit signal is used: CLONE_PARENT demands 0 here. */
		.exit_signal = 0,
		.cgroup = *cgroup >= 0 ? (uint64_t)*cgroup : 0,
	};
	pid_t pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
	/* Container profiles pretend that it is missing, because no filter can see its flags. */
	if (pid >= 0 || errno != ENOSYS)
		return pid;
	*cgroup = -1;
#if defined __x86_64__
	return (pid_t)syscall(SYS_clone, flags, NULL, ret_pidfd, child_tid, NULL);
#else
	return (pid_t)syscall(SYS_clone, flags, NULL, ret_pidfd, NULL, child_tid);
#endif
}

/* ---- the parent's half ---- */

/* The namespaces that the child has in common with us. */
static uint64_t shared_namespaces(const struct sandbox_spawn *spawn)
{
	return tier_is_bare(spawn->tier) ? NAMESPACES : spawn->share;
}

static int write_maps(pid_t pid, const struct sandbox_spawn *spawn, struct error *error)
{
	char path[32], map[48];
	if (shared_namespaces(spawn) & CLONE_NEWUSER)
		return 0;
	snprintf(map, sizeof map, "0 %u %u\n", spawn->uid_base, spawn->uid_count);
	/* `setgroups` stays "allow": the child must still drop the groups that it
	 * inherited, which "deny" would forbid (the hole of CVE-2014-8989 is open only to
	 * those who may write the map themselves; here a privileged process writes it). */
	snprintf(path, sizeof path, "%d/uid_map", pid);
	int result = spawn_write_proc(path, map, error);
	if (result < 0)
		return result;
	snprintf(path, sizeof path, "%d/gid_map", pid);
	return spawn_write_proc(path, map, error);
}

static int enter_v2(int folder, const char *pid, struct error *error)
{
	cleanup_close int procs = openat(folder, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (procs < 0 || write(procs, pid, strlen(pid)) < 0)
		return error_errno(error, errno, "cannot move process %s into its cgroup", pid);
	return 0;
}

/* v1 hierarchies cannot take a process at its birth: it is moved while it waits. Nor can v2
 * without clone3: BORN_IN is then -1. */
static int enter_cgroups(
	pid_t pid, int born_in, const struct sandbox_spawn *spawn, struct error *error)
{
	char text[16];
	int length = snprintf(text, sizeof text, "%d", pid);
	int result =
		spawn->cgroup_v2 >= 0 && born_in < 0 ? enter_v2(spawn->cgroup_v2, text, error) : 0;
	if (result < 0)
		return result;
	for (size_t i = 0; i < spawn->cgroup_procs_count; i++)
		if (write(spawn->cgroup_procs[i], text, (size_t)length) < 0)
			return error_errno(
				error, errno, "cannot move process %d into its cgroup", pid);
	return 0;
}

static int finish_child(
	pid_t pid, int born_in, int release, const struct sandbox_spawn *spawn, struct error *error)
{
	int result = enter_cgroups(pid, born_in, spawn, error);
	if (result >= 0)
		result = write_maps(pid, spawn, error);
	if (result >= 0 && send(release, "", 1, MSG_NOSIGNAL) != 1)
		result = error_errno(error, errno, "cannot release process %d", pid);
	return result;
}

/* ---- the child's half ---- */

/* Walls behind seccomp's, which need /proc and the ids of before: the kernel's uid is
 * still the host's root (a map does not change who one is), which the files below
 * demand, while all capabilities are only in the new namespaces. */
static int settle_sysctls(uint64_t share, struct error *error)
{
	static const struct {
		const char *path, *value;
		uint64_t namespace; /* whose setting it is: never the host's */
	} settings[] = {
		/* A tenant must be the first to die when the host's memory ends, not the
		 * daemon, whose protection it inherited. */
		{"self/oom_score_adj", "500"},
		/* No user namespace inside this one: it would be a full set of capabilities
		 * against the kernel's largest surfaces. */
		{"sys/user/max_user_namespaces", "0", CLONE_NEWUSER},
		/* No executable memfd in this pid namespace (Linux 6.3): execveat of one gets
		 * around Landlock's EXECUTE right. */
		{"sys/vm/memfd_noexec", "2", CLONE_NEWPID},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(settings); i++) {
		if (settings[i].namespace & share)
			continue;
		int result = spawn_write_proc(settings[i].path, settings[i].value, error);
		/* Inside a container /proc/sys is read-only, an old kernel lacks one, and a
		 * higher oom_score_adj may be locked in: the first wall must do then. */
		if (result < 0 && result != -EROFS && result != -EACCES && result != -EPERM &&
			result != -ENOENT)
			return result;
	}
	return 0;
}

static _Noreturn void child_died(const struct error *error)
{
	dprintf(2, "sandbox: %s\n", error->message);
	_exit(EXIT_UNFINISHED);
}

static void settle_child(int wait, const int *tid, const struct sandbox_spawn *spawn)
{
	struct error error = {0};
	char byte;
	ssize_t got;
	do
		got = read(wait, &byte, 1);
	while (got < 0 && errno == EINTR);
	/* End of file: the parent failed, or is gone. It reports, not we. */
	if (got != 1)
		_exit(EXIT_UNFINISHED);
	close(wait);
	if (*tid != (int)syscall(SYS_gettid)) {
		error_set(&error, EPROTO, "the C library's thread id is wrong after clone");
		child_died(&error);
	}
	if (settle_sysctls(shared_namespaces(spawn), &error) < 0)
		child_died(&error);
	/* The host's /proc must not stay reachable for one step longer than needed. */
	close_fd(&proc_fd);
	/* In tier single it is who it was, and may become nobody else. */
	if (spawn->tier != TIER_SINGLE && identity_become_namespace_root(&error) < 0)
		child_died(&error);
}

/* ---- both ---- */

static int spawn_failed(int code, struct error *error)
{
	switch (code) {
	case EINVAL:
		return error_set(error, code,
			"clone refused: the caller is the first process of a pid namespace (it "
			"must "
			"have a parent that the child can be given to), or the kernel is older "
			"than "
			"5.7");
	case ENOSPC:
	case EUSERS:
		return error_set(
			error, code, "no more namespaces: raise /proc/sys/user/max_*_namespaces");
	case EPERM:
		return error_set(error, code,
			"not allowed to make namespaces: root (or CAP_SYS_ADMIN) is needed, "
			"outside "
			"of a chroot, and a container profile that allows it; in a default "
			"container "
			"take tenantd --tier container");
	default:
		return error_errno(error, code, "clone");
	}
}

static uint64_t clone_flags(uint64_t share)
{
	const uint64_t namespaces = NAMESPACES & ~share;
	return (namespaces_ahead ? namespaces & ~NAMESPACES_AHEAD : namespaces) | CLONE_PIDFD |
	       CLONE_PARENT | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
}

pid_t sandbox_spawn(const struct sandbox_spawn *spawn, int *ret_pidfd, struct error *error)
{
	int *tid = spawn_tid_address();
	if (!tid)
		return error_set(error, ENOTSUP,
			"the kernel cannot tell the thread id's address "
			"(CONFIG_CHECKPOINT_RESTORE)");
	int proc = spawn_proc(error);
	if (proc < 0)
		return proc;
	/* A socket and not a pipe: a child that was killed meanwhile is no SIGPIPE for us. */
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(error, errno, "cannot make a socket pair");
	cleanup_close int wait = pair[0], release = pair[1];

	const uint64_t share = shared_namespaces(spawn);
	int pidfd = -1, born_in = spawn->cgroup_v2;
	pid_t pid = spawn_clone(clone_flags(share), &pidfd, tid, &born_in);
	namespaces_ahead = false; /* They are that child's now. */
	if (pid < 0)
		return spawn_failed(errno, error);
	if (pid == 0) {
		close_fd(&release);
		settle_child(take_fd(&wait), tid, spawn);
		return 0;
	}
	cleanup_close int owned = pidfd;
	int result = finish_child(pid, born_in, release, spawn, error);
	if (result < 0) {
		/* Its parent, which is not us, reaps it. */
		syscall(SYS_pidfd_send_signal, owned, SIGKILL, NULL, 0);
		return result;
	}
	*ret_pidfd = take_fd(&owned);
	return pid;
}

int sandbox_namespaces_ahead(struct error *error)
{
	if (namespaces_ahead)
		return 0;
	if (unshare(NAMESPACES_AHEAD) < 0)
		return error_errno(error, errno, "cannot make namespaces ahead of need");
	namespaces_ahead = true;
	return 0;
}

int sandbox_small_root(struct error *error)
{
	/* Kept for the id maps: a descriptor of /proc works after the mount is gone. */
	int result = spawn_proc(error);
	if (result < 0)
		return result;
	(void)spawn_tid_address(); /* Found once, before there is anything to wait for. */
	if (unshare(CLONE_NEWNS) < 0)
		return error_errno(error, errno, "cannot make a mount namespace");
	result = root_private(error);
	if (result < 0)
		return result;
	return root_replace(&(struct root_options){0}, error);
}
