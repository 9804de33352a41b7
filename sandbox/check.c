/* The last word before a tenant's first: the process tries what must be forbidden. A
 * step that silently did nothing (an old kernel, a changed library, a wrong filter) is
 * found here and not by an attacker. The acts are such that each, if it got past its
 * wall, would fail later in the kernel with another error, or do no harm. */
#include "common/cleanup.h"
#include "common/path.h"
#include "sandbox/sandbox.h"
#include "sandbox/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* One system call and the errors that count as "forbidden"; 0 ends the list. ENOENT
 * and EROFS are the answers of the mounts, the rest are seccomp's and Landlock's. */
struct forbidden {
	const char *name;
	long number;
	long arguments[4];
	int codes[4];
};

#define PATH(text) ((long)(uintptr_t)(text))
#define BAD_POINTER 1 /* EFAULT would mean: it reached the kernel's code */

static const struct forbidden acts[] = {
	{"writing to the root", SYS_openat,
		{AT_FDCWD, PATH("/written"), O_WRONLY | O_CREAT | O_EXCL, 0600}, {EROFS, EACCES}},
	/* By seccomp where nothing was granted to write, else by the mount, then Landlock. */
	{"making a folder", SYS_mkdir, {PATH("/made"), 0700}, {EPERM, EROFS, EACCES}},
	{"making a setuid folder", SYS_mkdir, {PATH("/made"), 04700}, {EPERM}},
	{"making a device", SYS_mknodat, {AT_FDCWD, PATH("/made"), S_IFCHR | 0600, 0x103}, {EPERM}},
	{"changing an owner", SYS_fchownat, {AT_FDCWD, PATH("/"), 0, 0}, {EPERM}},
	{"setting an attribute", SYS_setxattr, {BAD_POINTER, BAD_POINTER, BAD_POINTER, 0}, {EPERM}},
	{"an internet socket", SYS_socket, {AF_INET, SOCK_STREAM, 0}, {EPERM}},
	{"a unix socket", SYS_socket, {AF_UNIX, SOCK_STREAM, 0}, {EPERM}},
	{"a netlink socket", SYS_socket, {AF_NETLINK, SOCK_RAW, 0}, {EPERM}},
	{"connecting", SYS_connect, {-1, BAD_POINTER, 16}, {EPERM}},
	{"binding", SYS_bind, {-1, BAD_POINTER, 16}, {EPERM}},
	{"sending with MSG_FASTOPEN", SYS_sendmsg, {-1, BAD_POINTER, MSG_FASTOPEN}, {EPERM}},
	/* Flags that clone itself refuses as nonsense, were they to get there. */
	{"a child process", SYS_clone, {CLONE_THREAD | SIGCHLD}, {EPERM}},
	{"a child process by clone3", SYS_clone3, {BAD_POINTER, 88}, {ENOSYS}},
	{"executing a program", SYS_execve, {PATH("/"), 0, 0}, {EPERM}},
	{"executing a descriptor", SYS_execveat, {-1, PATH(""), 0, 0}, {EPERM}},
	{"mounting", SYS_mount, {BAD_POINTER, BAD_POINTER, 0, 0}, {EPERM}},
	{"unmounting", SYS_umount2, {BAD_POINTER, 0}, {EPERM}},
	{"cloning a mount", SYS_open_tree, {-1, BAD_POINTER, 0}, {EPERM}},
	{"changing the root", SYS_chroot, {BAD_POINTER}, {EPERM}},
	{"pivoting the root", SYS_pivot_root, {BAD_POINTER, BAD_POINTER}, {EPERM}},
	{"a user namespace", SYS_unshare, {CLONE_NEWUSER | CLONE_THREAD | CLONE_NEWPID}, {EPERM}},
	{"entering a namespace", SYS_setns, {-1, 0}, {EPERM}},
	{"tracing", SYS_ptrace, {PTRACE_ATTACH, 0, 0, 0}, {EPERM}},
	{"reading another process", SYS_process_vm_readv, {0, 0, 0, 0}, {EPERM}},
	{"signals to everybody", SYS_kill, {-1, 0}, {EPERM}},
	{"becoming root", SYS_setresuid, {0, 0, 0}, {EPERM}},
	{"setting groups", SYS_setgroups, {0, 0}, {EPERM}},
	{"setting capabilities", SYS_capset, {BAD_POINTER, 0}, {EPERM}},
	{"becoming dumpable", SYS_prctl, {PR_SET_DUMPABLE, 77}, {EPERM}},
	{"anonymous files", SYS_memfd_create, {BAD_POINTER, 0}, {EPERM}},
	{"io_uring", SYS_io_uring_setup, {0, BAD_POINTER}, {ENOSYS}},
	{"bpf", SYS_bpf, {0, BAD_POINTER, 0}, {EPERM}},
	{"userfaultfd", SYS_userfaultfd, {-1}, {EPERM}},
	{"performance counters", SYS_perf_event_open, {BAD_POINTER, 0, 0, -1}, {EPERM}},
	{"keys", SYS_keyctl, {-1, 0, 0, 0}, {EPERM}},
	{"another personality", SYS_personality, {0xffffffff}, {EPERM}},
	{"a filter of its own", SYS_seccomp, {-1, 0, BAD_POINTER}, {EPERM}},
	{"raising limits", SYS_prlimit64, {0, -1, BAD_POINTER, 0}, {EPERM}},
	{"unknown system calls", 0x3fffffff, {0}, {ENOSYS}},
};

static int try_with(const struct forbidden *act, unsigned hush, struct error *error)
{
	long result = syscall(act->number, act->arguments[0], act->arguments[1], act->arguments[2],
		act->arguments[3], 0, hush);
	if (result >= 0)
		return error_set(error, EPERM, "the sandbox is not tight: %s works", act->name);
	int code = errno;
	for (size_t i = 0; i < ARRAY_LENGTH(act->codes) && act->codes[i]; i++)
		if (act->codes[i] == code)
			return 0;
	return error_set(error, EPERM,
		"the sandbox is not tight: %s is not stopped where it should be (%s)", act->name,
		strerror(code));
}

static int try_act(const struct forbidden *act, struct error *error)
{
	return try_with(act, FILTER_HUSH, error);
}

/* What the process is, as the kernel says it. */
static int check_state(uint32_t tier, struct error *error)
{
	static const struct {
		const char *name;
		long number, arguments[2];
		long wanted;
		bool of_namespace; /* there is none in tier container */
		bool of_root;      /* took capabilities, which tier single has none of */
	} states[] = {
		{"no_new_privs", SYS_prctl, {PR_GET_NO_NEW_PRIVS}, 1},
		{"seccomp", SYS_prctl, {PR_GET_SECCOMP}, 2},
		{"dumpable", SYS_prctl, {PR_GET_DUMPABLE}, 0},
		{"CAP_CHOWN in the bounding set", SYS_prctl, {PR_CAPBSET_READ, 0}, 0,
			.of_root = true},
		{"CAP_SYS_ADMIN in the bounding set", SYS_prctl, {PR_CAPBSET_READ, 21}, 0,
			.of_root = true},
		{"securebits", SYS_prctl, {PR_GET_SECUREBITS}, 0xef, .of_root = true},
		{"pid", SYS_getpid, {0}, 1, true},
		{"parent's pid", SYS_getppid, {0}, 0, true},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
		if ((states[i].of_namespace && tier_is_bare(tier)) ||
			(states[i].of_root && tier == TIER_SINGLE))
			continue;
		long value = syscall(
			states[i].number, states[i].arguments[0], states[i].arguments[1], 0, 0, 0);
		if (value != states[i].wanted)
			return error_set(error, EPERM,
				"the sandbox is not tight: %s is %ld and not %ld", states[i].name,
				value, states[i].wanted);
	}
	/* Group 0 without user 0 is what some containers are given (OpenShift). */
	const bool of_group = tier != TIER_SINGLE && (getgid() == 0 || getegid() == 0);
	if (getuid() == 0 || geteuid() == 0 || of_group)
		return error_set(error, EPERM, "the sandbox is not tight: it runs as root");
	return 0;
}

static bool is_granted(const struct sandbox_enter *enter, const char *path)
{
	for (size_t i = 0; i < enter->grant_count; i++)
		if (path_is_in(path, enter->grants[i].path))
			return true;
	return false;
}

/* A file that every host has and this tenant was not granted: one of several, and all of
 * them only if somebody grants that much. By name, then by way of `..`. */
static int check_hosts_files(const struct sandbox_enter *enter, struct error *error)
{
	static const char *const files[] = {
		"/etc/passwd", "/proc/self/exe", "/dev/null", "/bin/sh", "/sys/kernel"};
	/* They are there without mounts, and Landlock refuses to open them. */
	const int also = tier_is_bare(enter->tier) ? EACCES : 0;
	int result = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(files) && result == 0; i++) {
		char up[32];
		if (is_granted(enter, files[i]))
			continue;
		snprintf(up, sizeof up, "../..%s", files[i]);
		result = try_act(&(struct forbidden){"opening a file of the host", SYS_openat,
					 {AT_FDCWD, PATH(files[i]), O_RDONLY}, {ENOENT, also}},
			error);
		if (result == 0)
			result = try_act(&(struct forbidden){"leaving the root by ..", SYS_openat,
						 {AT_FDCWD, PATH(up), O_RDONLY}, {ENOENT, also}},
				error);
	}
	return result;
}

/* Without a pid namespace it sees who else is there. */
static int check_signals(struct error *error)
{
	const pid_t others[] = {getppid(), 1};
	int result = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(others) && result == 0; i++)
		result = try_act(&(struct forbidden){"a signal to another process", SYS_kill,
					 {others[i], 0}, {EPERM}},
			error);
	return result;
}

int sandbox_check(const struct sandbox_enter *enter, struct error *error)
{
	int result = check_state(enter->tier, error);
	if (result == 0 && tier_is_bare(enter->tier))
		result = check_signals(error);
	if (result == 0)
		result = check_hosts_files(enter, error);
	for (size_t i = 0; result == 0 && i < ARRAY_LENGTH(acts); i++)
		result = try_act(&acts[i], error);
	/* One as a tenant would do it: where that is a signal, its handler answers. */
	if (result == 0)
		result = try_with(&(struct forbidden){"a raw socket", SYS_socket,
					  {AF_INET, SOCK_RAW, 0}, {EPERM}},
			0, error);
	return result;
}
