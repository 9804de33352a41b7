/* The system calls that a tenant's process may make (seccomp(2)): a list of what V8,
 * libuv and the C library need once everything is open, and nothing else. A list of
 * what is forbidden would miss the next new call (flatpak's CVE-2021-41133). What a
 * tenant was granted adds to it: files to read, files to write, sockets.
 *
 * Three answers to what is not on it: EPERM for calls that we know and refuse, ENOSYS
 * for calls newer than this file and for some whose callers fall back on ENOSYS only,
 * and ENOSYS for any other ABI (int 0x80, x32), whose numbers mean other calls. The first
 * of them are violations: with `report` they raise SIGSYS and are told, see violation.c.
 *
 * Calls of the hot path are allowed by number alone: the kernel finds out when a filter
 * is loaded which numbers it always allows, and does not run it for those at all. */
#include "common/cleanup.h"
#include "sandbox/filter.h"
#include "sandbox/sandbox.h"
#include "sandbox/steps.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Exactly what pthread_create asks for: a thread of this process and never a process. */
#define THREAD_FLAGS                                                                               \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |        \
		CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

/* Send flags without power. MSG_FASTOPEN is connect(2) in disguise (and gets past
 * Landlock before Linux 7.2); MSG_OOB on unix sockets was CVE-2025-38236. */
#define SEND_FLAGS (MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE | MSG_EOR)

/* Bits that would make a file run as its owner, whom a grant makes the tenant: such a file
 * must not be left on the host, where mounts are not nosuid. */
#define RUNS_AS_OWNER (S_ISUID | S_ISGID)

/* As an errno that no rule means: fails with EPERM, and is no violation. Asked for by
 * libraries as a matter of course. */
#define QUIET 0xfd0

struct sandbox_filter {
	bool report;
	bool own_pid; /* tier container: sandbox_seal loads a filter of pids before it */
	struct sock_fprog program;
};

/* ---- the list ---- */

static const int allowed[] = {
	/* memory */
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(pkey_free),
	SCMP_SYS(membarrier),
	/* descriptors that it has */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(preadv),
	SCMP_SYS(lseek),
	SCMP_SYS(close),
	SCMP_SYS(eventfd2),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	/* pipes and channels that it was handed; none can be made, bound or connected */
	SCMP_SYS(shutdown),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	/* files: mounts and Landlock decide which, and that they are only read */
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64),
	SCMP_SYS(getcwd),
	/* time */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(setitimer),
	SCMP_SYS(getitimer),
	SCMP_SYS(times),
	SCMP_SYS(restart_syscall),
	/* threads and signals of its own */
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_getparam),
	SCMP_SYS(sched_getscheduler),
	SCMP_SYS(getcpu),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	/* who and how much it is */
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getppid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getresuid),
	SCMP_SYS(getresgid),
	SCMP_SYS(getrlimit),
	SCMP_SYS(getrusage),
	SCMP_SYS(sysinfo),
	SCMP_SYS(getrandom),
};

/* Of files that were granted, to read. */
static const int reading[] = {
	SCMP_SYS(statfs),
	SCMP_SYS(fstatfs),
	SCMP_SYS(fadvise64),
	SCMP_SYS(flock),
};

/* Landlock does not see it: without mounts around the tenant it would tell the names of what
 * is made and opened anywhere. */
static const int watching[] = {
	SCMP_SYS(inotify_init1),
	SCMP_SYS(inotify_add_watch),
	SCMP_SYS(inotify_rm_watch),
};

/* And to write: what libuv's functions of files do. No owners, no extended attributes (a
 * file's capabilities are one), no devices, pipes or sockets. */
static const int writing[] = {
	SCMP_SYS(pwrite64),
	SCMP_SYS(pwritev),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(copy_file_range),
	SCMP_SYS(sendfile),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(rmdir),
	SCMP_SYS(rename),
	SCMP_SYS(renameat),
	SCMP_SYS(symlink),
	SCMP_SYS(symlinkat),
	SCMP_SYS(link),
	SCMP_SYS(utimensat),
	SCMP_SYS(umask),
};

/* Of sockets to accept on, and connections. Not listen: see rules. */
static const int sockets[] = {
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
};

/* Beside those that every filter has. */
static const int pretend_missing[] = {
	SCMP_SYS(pidfd_open),
	449 /* futex_waitv */,
	462 /* mseal */,
};

static const struct filter_rule rules[] = {
	{SCMP_SYS(clone), 1, {EXACTLY(0, THREAD_FLAGS)}},

	/* Without an address: it would be a connection of its own. And not sendmsg, whose
	 * control messages no filter can see: a descriptor sent to the supervisor is closed
	 * there, which takes as long as its sender likes (SO_LINGER, up to 18 hours). */
	{SCMP_SYS(sendto), 2, {ONLY(3, SEND_FLAGS), EXACTLY(4, 0)}},

	{SCMP_SYS(getsockopt), 2, {LOW(1, SOL_SOCKET), LOW(2, SO_ERROR)}},
	{SCMP_SYS(getsockopt), 2, {LOW(1, SOL_SOCKET), LOW(2, SO_TYPE)}},
	{SCMP_SYS(getsockopt), 2, {LOW(1, SOL_SOCKET), LOW(2, SO_DOMAIN)}},
	{SCMP_SYS(getsockopt), 2, {LOW(1, SOL_SOCKET), LOW(2, SO_PROTOCOL)}},
	{SCMP_SYS(getsockopt), 2, {LOW(1, SOL_SOCKET), LOW(2, SO_ACCEPTCONN)}},
	{SCMP_SYS(getsockopt), 2, {LOW(1, SOL_SOCKET), LOW(2, SO_SNDBUF)}},
	{SCMP_SYS(getsockopt), 2, {LOW(1, SOL_SOCKET), LOW(2, SO_RCVBUF)}},

	/* Not F_SETOWN and F_SETSIG: with O_ASYNC they send signals anywhere. */
	{SCMP_SYS(fcntl), 1, {LOW(1, F_GETFL)}},
	{SCMP_SYS(fcntl), 1, {LOW(1, F_SETFL)}},
	{SCMP_SYS(fcntl), 1, {LOW(1, F_GETFD)}},
	{SCMP_SYS(fcntl), 1, {LOW(1, F_SETFD)}},
	{SCMP_SYS(fcntl), 1, {LOW(1, F_DUPFD_CLOEXEC)}},

	{SCMP_SYS(ioctl), 1, {LOW(1, FIONBIO)}},
	{SCMP_SYS(ioctl), 1, {LOW(1, FIONREAD)}},
	/* isatty(3): whatever it holds, it is no terminal to it. */
	{SCMP_SYS(ioctl), 1, {LOW(1, TCGETS)}, ENOTTY},
	{SCMP_SYS(ioctl), 1, {LOW(1, 0x802c542a /* TCGETS2 */)}, ENOTTY},
	{SCMP_SYS(ioctl), 1, {LOW(1, TIOCGWINSZ)}, ENOTTY},

	/* Names of threads and mappings, and what the process may know of itself. */
	{SCMP_SYS(prctl), 1, {LOW(0, PR_SET_NAME)}},
	{SCMP_SYS(prctl), 1, {LOW(0, PR_GET_NAME)}},
	{SCMP_SYS(prctl), 1, {LOW(0, PR_SET_VMA)}},
	{SCMP_SYS(prctl), 1, {LOW(0, PR_GET_DUMPABLE)}},
	{SCMP_SYS(prctl), 1, {LOW(0, PR_GET_SECCOMP)}},
	{SCMP_SYS(prctl), 1, {LOW(0, PR_GET_NO_NEW_PRIVS)}},
	{SCMP_SYS(prctl), 1, {LOW(0, PR_CAPBSET_READ)}},
	{SCMP_SYS(prctl), 1, {LOW(0, PR_GET_SECUREBITS)}},

	/* Reading its own limits, not setting and not another's. */
	{SCMP_SYS(prlimit64), 2, {LOW(0, 0), EXACTLY(2, 0)}},

	/* Not O_NOTIFICATION_PIPE (CVE-2022-0995): a queue of the kernel's own events. */
	{SCMP_SYS(pipe2), 1, {ONLY(1, O_CLOEXEC | O_NONBLOCK)}},

	{SCMP_SYS(pkey_alloc), 1, {LOW(0, 0)}},

	/* libuv asks which kernel this is; whoever knows can choose its exploit. */
	{SCMP_SYS(uname), 0, {{0}}, QUIET},
};

/* Signals to itself only, who is number 1 of its pid namespace. */
static const struct filter_rule namespace_rules[] = {
	{SCMP_SYS(kill), 1, {LOW(0, 1)}},
	{SCMP_SYS(tgkill), 1, {LOW(0, 1)}},
};

/* Without one its number is not known when the filter is made: see seal_pids. */
static const int container_calls[] = {SCMP_SYS(kill), SCMP_SYS(tgkill)};

/* Locks of SQLite, who takes one to read too. They hold back whoever asks for one, as flock
 * does, and nobody else. Not F_SETLKW: nothing here waits in the kernel for another. */
static const struct filter_rule reading_rules[] = {
	{SCMP_SYS(fcntl), 1, {LOW(1, F_GETLK)}},
	{SCMP_SYS(fcntl), 1, {LOW(1, F_SETLK)}},
};

static const struct filter_rule writing_rules[] = {
	{SCMP_SYS(openat), 1, {WITHOUT(3, RUNS_AS_OWNER)}},
	/* There the mode means nothing, and may be what the register held. */
	{SCMP_SYS(openat), 1, {WITHOUT(2, O_CREAT | (O_TMPFILE & ~O_DIRECTORY))}},
	{SCMP_SYS(mkdir), 1, {WITHOUT(1, RUNS_AS_OWNER)}},
	{SCMP_SYS(mkdirat), 1, {WITHOUT(2, RUNS_AS_OWNER)}},
	{SCMP_SYS(chmod), 1, {WITHOUT(1, RUNS_AS_OWNER)}},
	{SCMP_SYS(fchmod), 1, {WITHOUT(1, RUNS_AS_OWNER)}},
	{SCMP_SYS(fchmodat), 1, {WITHOUT(2, RUNS_AS_OWNER)}},
	{452 /* fchmodat2 */, 1, {WITHOUT(2, RUNS_AS_OWNER)}},
	/* Not AT_EMPTY_PATH: a name for a file that was handed over as a descriptor. */
	{SCMP_SYS(linkat), 1, {WITHOUT(4, AT_EMPTY_PATH)}},
	/* Not RENAME_WHITEOUT, which leaves a device file. */
	{SCMP_SYS(renameat2), 1, {WITHOUT(4, RENAME_WHITEOUT)}},
	/* Copies without copying are tried first where a file system may have them. */
	{SCMP_SYS(ioctl), 1, {LOW(1, 0x40049409 /* FICLONE */)}, EOPNOTSUPP},
};

static const struct filter_rule socket_rules[] = {
	/* The supervisor listens already. A tenant's own would give a socket that it closed
	 * (shutdown of a listener, or of a connection under way) a port of the host's. */
	{SCMP_SYS(listen), 0, {{0}}, FILTER_PRETEND_DONE},
	{SCMP_SYS(setsockopt), 2, {LOW(1, SOL_SOCKET), LOW(2, SO_KEEPALIVE)}},
	{SCMP_SYS(setsockopt), 2, {LOW(1, SOL_SOCKET), LOW(2, SO_LINGER)}},
	{SCMP_SYS(setsockopt), 2, {LOW(1, SOL_SOCKET), LOW(2, SO_SNDBUF)}},
	{SCMP_SYS(setsockopt), 2, {LOW(1, SOL_SOCKET), LOW(2, SO_RCVBUF)}},
	{SCMP_SYS(setsockopt), 2, {LOW(1, SOL_SOCKET), LOW(2, SO_REUSEADDR)}},
	{SCMP_SYS(setsockopt), 2, {LOW(1, IPPROTO_TCP), LOW(2, TCP_NODELAY)}},
	{SCMP_SYS(setsockopt), 2, {LOW(1, IPPROTO_TCP), LOW(2, TCP_CORK)}},
	{SCMP_SYS(setsockopt), 2, {LOW(1, IPPROTO_TCP), LOW(2, TCP_KEEPIDLE)}},
	{SCMP_SYS(setsockopt), 2, {LOW(1, IPPROTO_TCP), LOW(2, TCP_KEEPINTVL)}},
	{SCMP_SYS(setsockopt), 2, {LOW(1, IPPROTO_TCP), LOW(2, TCP_KEEPCNT)}},
	{SCMP_SYS(setsockopt), 2, {LOW(1, IPPROTO_TCP), LOW(2, TCP_USER_TIMEOUT)}},
	{SCMP_SYS(setsockopt), 2, {LOW(1, IPPROTO_TCP), LOW(2, TCP_QUICKACK)}},
	/* libcurl finds out whether there is IPv6 (once; its sockets are handed in anyway). */
	{SCMP_SYS(socket), 2,
		{LOW(0, AF_INET6),
			MASKED(1, 0xffffffffu & ~(unsigned)(SOCK_CLOEXEC | SOCK_NONBLOCK),
				SOCK_DGRAM)},
		EAFNOSUPPORT},
};

/* ---- building ---- */

/* Executable memory is what a JIT lives from. Without one it is only the attacker's
 * (and with one these three calls are hot, and allowed by number). */
static const int memory_calls[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(pkey_mprotect)};
static const struct filter_rule jitless_rules[] = {
	{SCMP_SYS(mmap), 1, {WITHOUT(2, PROT_EXEC)}},
	{SCMP_SYS(mmap), 1, {WITH(2, PROT_EXEC)}, EACCES},
	{SCMP_SYS(mprotect), 1, {WITHOUT(2, PROT_EXEC)}},
	{SCMP_SYS(mprotect), 1, {WITH(2, PROT_EXEC)}, EACCES},
	{SCMP_SYS(pkey_mprotect), 1, {WITHOUT(2, PROT_EXEC)}},
	{SCMP_SYS(pkey_mprotect), 1, {WITH(2, PROT_EXEC)}, EACCES},
};

#define ALLOW(calls) filter_allow(context, calls, ARRAY_LENGTH(calls), error)
#define ADD(list) filter_add(context, list, ARRAY_LENGTH(list), error)

static int add_file_rules(
	scmp_filter_ctx context, const struct sandbox_filter_options *options, struct error *error)
{
	const enum sandbox_files files = options->files;
	static const int open_by_number[] = {SCMP_SYS(openat)};
	int result = 0;
	if (files >= SANDBOX_FILES_READ)
		result = ALLOW(reading);
	if (result == 0 && files >= SANDBOX_FILES_READ)
		result = ADD(reading_rules);
	if (result == 0 && files >= SANDBOX_FILES_READ && !tier_is_bare(options->tier))
		result = ALLOW(watching);
	/* Without anything to write the mode is not looked at: mounts and Landlock see to it. */
	if (files < SANDBOX_FILES_WRITE)
		return result < 0 ? result : ALLOW(open_by_number);
	if (result == 0)
		result = ALLOW(writing);
	return result < 0 ? result : ADD(writing_rules);
}

static int add_socket_rules(scmp_filter_ctx context, struct error *error)
{
	int result = ALLOW(sockets);
	return result < 0 ? result : ADD(socket_rules);
}

static int add_rules(
	scmp_filter_ctx context, const struct sandbox_filter_options *options, struct error *error)
{
	int result = options->jitless ? ADD(jitless_rules) : ALLOW(memory_calls);
	if (result == 0)
		result = ALLOW(allowed);
	if (result == 0)
		result = filter_pretend_missing(
			context, pretend_missing, ARRAY_LENGTH(pretend_missing), error);
	if (result == 0)
		result = ADD(rules);
	if (result == 0)
		result =
			tier_is_bare(options->tier) ? ALLOW(container_calls) : ADD(namespace_rules);
	if (result == 0)
		result = add_file_rules(context, options, error);
	if (result == 0 && options->network)
		result = add_socket_rules(context, error);
	return result;
}

/* What libseccomp cannot say: all values but one. Merged pages (KSM) are shared with other
 * tenants, who can time what they hold. */
static const struct sock_filter prologue[] = {
	FILTER_FOREIGN_CALLS,
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FILTER_LOW_HALF(2)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MADV_MERGEABLE, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
};

/* Where a program that reports goes instead of failing with CODE: SIGSYS with the error as
 * its datum. See FILTER_HUSH. */
#define VIOLATION(code)                                                                            \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FILTER_LOW_HALF(5)),                                    \
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FILTER_HUSH, 0, 1),                            \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (code)),                             \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP | (code))
static const struct sock_filter epilogue[] = {VIOLATION(EPERM), VIOLATION(EACCES)};
#define VIOLATION_LENGTH (ARRAY_LENGTH(epilogue) / 2)

/* What is forbidden, and not just missing, leads to the epilogue. */
static void settle_answers(struct sandbox_filter *filter)
{
	const size_t end = filter->program.len - ARRAY_LENGTH(epilogue);
	for (size_t i = 0; i < end; i++) {
		struct sock_filter *at = &filter->program.filter[i];
		if (at->code != (BPF_RET | BPF_K))
			continue;
		if (filter->report && at->k == (SECCOMP_RET_ERRNO | EPERM))
			*at = (struct sock_filter)BPF_STMT(
				BPF_JMP | BPF_JA, (uint32_t)(end - i - 1));
		else if (filter->report && at->k == (SECCOMP_RET_ERRNO | EACCES))
			*at = (struct sock_filter)BPF_STMT(
				BPF_JMP | BPF_JA, (uint32_t)(end - i - 1 + VIOLATION_LENGTH));
		else if (at->k == (SECCOMP_RET_ERRNO | QUIET))
			at->k = SECCOMP_RET_ERRNO | EPERM;
	}
}

int sandbox_filter_build(const struct sandbox_filter_options *options,
	struct sandbox_filter **ret_filter, struct error *error)
{
	struct sandbox_filter *filter = calloc(1, sizeof *filter);
	if (filter == NULL)
		return error_set(error, ENOMEM, "no memory for the seccomp filter");
	filter->report = options->report;
	filter->own_pid = tier_is_bare(options->tier);
	scmp_filter_ctx context = filter_new(SCMP_ACT_ERRNO(EPERM), SCMP_ACT_ERRNO(ENOSYS), error);
	int result = context ? add_rules(context, options, error) : -ENOMEM;
	if (result == 0)
		result = filter_export(context,
			(struct filter_part){prologue, ARRAY_LENGTH(prologue)},
			(struct filter_part){epilogue, ARRAY_LENGTH(epilogue)}, &filter->program,
			error);
	seccomp_release(context);
	if (result < 0) {
		sandbox_filter_free(filter);
		return result;
	}
	settle_answers(filter);
	*ret_filter = filter;
	return 0;
}

struct sandbox_filter *sandbox_filter_free(struct sandbox_filter *filter)
{
	if (filter == NULL)
		return NULL;
	free(filter->program.filter);
	free(filter);
	return NULL;
}

int sandbox_filters_build(
	enum tier tier, bool jitless, struct sandbox_filters *ret, struct error *error)
{
	struct sandbox_filters filters = {0};
	int result = 0;
	for (int i = 0; i < 2 * (SANDBOX_FILES_WRITE + 1) && result == 0; i++) {
		const struct sandbox_filter_options options = {
			.tier = tier,
			.jitless = jitless,
			.files = (enum sandbox_files)(i / 2),
			.network = i % 2,
			.report = true,
		};
		result = sandbox_filter_build(&options, &filters.of[i / 2][i % 2], error);
	}
	if (result == 0)
		*ret = filters;
	else
		for (int i = 0; i < 2 * (SANDBOX_FILES_WRITE + 1); i++)
			sandbox_filter_free(filters.of[i / 2][i % 2]);
	return result;
}

size_t filter_program(const struct sandbox_filter *filter, const void **ret_program)
{
	*ret_program = filter->program.filter;
	return filter->program.len;
}

const char *sandbox_syscall_name(int number)
{
	static char name[48];
	char *known = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
	if (known)
		snprintf(name, sizeof name, "%s", known);
	else
		snprintf(name, sizeof name, "syscall %d", number);
	free(known);
	return name;
}

/* ---- loading ---- */

/* Every thread, should there be any: one outside the filter is a way out. */
static int load(const struct sock_fprog *program, struct error *error)
{
	long result =
		syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, program);
	if (result > 0)
		return error_set(
			error, EBUSY, "thread %ld cannot be put under the seccomp filter", result);
	if (result < 0)
		return error_errno(error, errno, "cannot load the seccomp filter");
	return 0;
}

/* Signals to no pid but its own. A filter of its own, since the other one is made before the
 * process: where two answer, the stricter answer counts. On a foreign ABI the numbers mean
 * other calls, which the other one refuses anyway. */
static int seal_pids(bool report, struct error *error)
{
	const uint32_t own = (uint32_t)getpid();
	struct sock_filter instructions[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_kill, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FILTER_LOW_HALF(0)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, own, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		VIOLATION(EPERM),
	};
	if (!report)
		instructions[ARRAY_LENGTH(instructions) - 1].k = SECCOMP_RET_ERRNO | EPERM;
	const struct sock_fprog program = {
		.len = ARRAY_LENGTH(instructions),
		.filter = instructions,
	};
	return load(&program, error);
}

int sandbox_seal(const struct sandbox_filter *filter, struct error *error)
{
	int result = filter->report ? violation_answer(error) : 0;
	if (result == 0 && filter->own_pid)
		result = seal_pids(filter->report, error);
	/* The pointer in the program is good in a forked child too. */
	return result < 0 ? result : load(&filter->program, error);
}
