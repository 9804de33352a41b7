/* The system calls that a job may make: what programs such as shells, compilers, git, node
 * and curl need (docker's default profile is the model), less what reaches kernel code that
 * few have read, other processes, namespaces, mounts, keys, or privileges. A list of what
 * is allowed, because a list of what is not would miss the next new call.
 *
 * What is not on it fails with EPERM: asked of process 1, which reports it, or by the
 * filter itself. Calls newer than this file, other ABIs (int 0x80, x32), and calls whose
 * users fall back on ENOSYS only, get that. */
#include "common/cleanup.h"
#include "sandbox/filter.h"
#include "sandbox/job_steps.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/memfd.h>
#include <linux/netlink.h>
#include <linux/prctl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct job_filter {
	struct sock_fprog asking; /* forbidden calls go to the listener */
	struct sock_fprog plain;  /* and here they fail by themselves */
};

/* ---- the list ---- */

static const int allowed[] = {
	/* memory */
	SCMP_SYS(brk),
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(mprotect),
	SCMP_SYS(madvise),
	SCMP_SYS(mincore),
	SCMP_SYS(msync),
	SCMP_SYS(mlock),
	SCMP_SYS(mlock2),
	SCMP_SYS(munlock),
	SCMP_SYS(mlockall),
	SCMP_SYS(munlockall),
	SCMP_SYS(membarrier),
	SCMP_SYS(pkey_alloc),
	SCMP_SYS(pkey_free),
	SCMP_SYS(pkey_mprotect),
	462 /* mseal */,
	SCMP_SYS(shmget),
	SCMP_SYS(shmat),
	SCMP_SYS(shmdt),
	SCMP_SYS(shmctl),
	SCMP_SYS(semget),
	SCMP_SYS(semop),
	SCMP_SYS(semctl),
	SCMP_SYS(semtimedop),
	/* descriptors */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(preadv),
	SCMP_SYS(pwritev),
	SCMP_SYS(preadv2),
	SCMP_SYS(pwritev2),
	SCMP_SYS(lseek),
	SCMP_SYS(close),
	SCMP_SYS(close_range),
	SCMP_SYS(dup),
	SCMP_SYS(dup2),
	SCMP_SYS(dup3),
	SCMP_SYS(fcntl),
	SCMP_SYS(pipe),
	SCMP_SYS(eventfd),
	SCMP_SYS(eventfd2),
	SCMP_SYS(signalfd),
	SCMP_SYS(signalfd4),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(timerfd_gettime),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(select),
	SCMP_SYS(pselect6),
	SCMP_SYS(epoll_create),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(sendfile),
	SCMP_SYS(splice),
	SCMP_SYS(tee),
	SCMP_SYS(vmsplice),
	SCMP_SYS(copy_file_range),
	SCMP_SYS(readahead),
	SCMP_SYS(fadvise64),
	SCMP_SYS(inotify_init),
	SCMP_SYS(inotify_init1),
	SCMP_SYS(inotify_add_watch),
	SCMP_SYS(inotify_rm_watch),
	/* files: mounts and Landlock decide which */
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(statfs),
	SCMP_SYS(fstatfs),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getdents),
	SCMP_SYS(getdents64),
	SCMP_SYS(getcwd),
	SCMP_SYS(chdir),
	SCMP_SYS(fchdir),
	SCMP_SYS(rename),
	SCMP_SYS(renameat),
	SCMP_SYS(link),
	SCMP_SYS(linkat),
	SCMP_SYS(symlink),
	SCMP_SYS(symlinkat),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(rmdir),
	SCMP_SYS(truncate),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
	SCMP_SYS(chown),
	SCMP_SYS(fchown),
	SCMP_SYS(lchown),
	SCMP_SYS(fchownat),
	SCMP_SYS(umask),
	SCMP_SYS(utime),
	SCMP_SYS(utimes),
	SCMP_SYS(utimensat),
	SCMP_SYS(futimesat),
	SCMP_SYS(sync),
	SCMP_SYS(syncfs),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(sync_file_range),
	SCMP_SYS(flock),
	SCMP_SYS(getxattr),
	SCMP_SYS(lgetxattr),
	SCMP_SYS(fgetxattr),
	SCMP_SYS(listxattr),
	SCMP_SYS(llistxattr),
	SCMP_SYS(flistxattr),
	SCMP_SYS(setxattr),
	SCMP_SYS(lsetxattr),
	SCMP_SYS(fsetxattr),
	SCMP_SYS(removexattr),
	SCMP_SYS(lremovexattr),
	SCMP_SYS(fremovexattr),
	SCMP_SYS(landlock_create_ruleset),
	SCMP_SYS(landlock_add_rule),
	SCMP_SYS(landlock_restrict_self),
	/* sockets: their kinds are below; the network has nothing but loopback */
	SCMP_SYS(connect),
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(shutdown),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	/* processes */
	SCMP_SYS(fork),
	SCMP_SYS(vfork),
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(wait4),
	SCMP_SYS(waitid),
	SCMP_SYS(kill),
	SCMP_SYS(tkill),
	SCMP_SYS(tgkill),
	SCMP_SYS(rt_sigqueueinfo),
	SCMP_SYS(rt_tgsigqueueinfo),
	SCMP_SYS(pidfd_open),
	SCMP_SYS(pidfd_send_signal),
	SCMP_SYS(set_tid_address),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getppid),
	SCMP_SYS(getpgid),
	SCMP_SYS(getpgrp),
	SCMP_SYS(setpgid),
	SCMP_SYS(getsid),
	SCMP_SYS(setsid),
	SCMP_SYS(arch_prctl),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigpending),
	SCMP_SYS(rt_sigsuspend),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(pause),
	SCMP_SYS(futex),
	449 /* futex_waitv */,
	SCMP_SYS(set_robust_list),
	SCMP_SYS(get_robust_list),
	SCMP_SYS(rseq),
	/* who it is: only its own id is mapped, so changing ids leads nowhere */
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getresuid),
	SCMP_SYS(getresgid),
	SCMP_SYS(getgroups),
	SCMP_SYS(setuid),
	SCMP_SYS(setgid),
	SCMP_SYS(setreuid),
	SCMP_SYS(setregid),
	SCMP_SYS(setresuid),
	SCMP_SYS(setresgid),
	SCMP_SYS(setfsuid),
	SCMP_SYS(setfsgid),
	SCMP_SYS(capget),
	SCMP_SYS(capset),
	SCMP_SYS(uname),
	SCMP_SYS(sysinfo),
	SCMP_SYS(getrandom),
	/* time and scheduling of its own */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(times),
	SCMP_SYS(alarm),
	SCMP_SYS(setitimer),
	SCMP_SYS(getitimer),
	SCMP_SYS(timer_create),
	SCMP_SYS(timer_settime),
	SCMP_SYS(timer_gettime),
	SCMP_SYS(timer_getoverrun),
	SCMP_SYS(timer_delete),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_setaffinity),
	SCMP_SYS(sched_getparam),
	SCMP_SYS(sched_setparam),
	SCMP_SYS(sched_getscheduler),
	SCMP_SYS(sched_setscheduler),
	SCMP_SYS(sched_getattr),
	SCMP_SYS(sched_setattr),
	SCMP_SYS(sched_get_priority_max),
	SCMP_SYS(sched_get_priority_min),
	SCMP_SYS(sched_rr_get_interval),
	SCMP_SYS(getpriority),
	SCMP_SYS(setpriority),
	SCMP_SYS(ioprio_get),
	SCMP_SYS(ioprio_set),
	SCMP_SYS(getcpu),
	SCMP_SYS(getrlimit),
	SCMP_SYS(setrlimit),
	SCMP_SYS(prlimit64),
	SCMP_SYS(getrusage),
};

/* Beside those that every filter has. */
static const int pretend_missing[] = {
	SCMP_SYS(process_madvise),
	SCMP_SYS(memfd_secret),
	457 /* statmount */,
	458 /* listmount */,
};

#define NAMESPACES                                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
		CLONE_NEWPID | CLONE_NEWNET)
/* On the host, a file of a write grant may belong to somebody whose rights it would lend. */
#define SETID (S_ISUID | S_ISGID)
#define CREATES (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) /* else there is no mode */
#define SOCKET_KIND 0xfu                               /* without SOCK_CLOEXEC, SOCK_NONBLOCK */
#define MEMFD_NOT_EXECUTABLE 0x8u                      /* MFD_NOEXEC_SEAL */

#define INTERNET(family, kind, protocol)                                                           \
	{                                                                                          \
		SCMP_SYS(socket), 3,                                                               \
		{                                                                                  \
			LOW(0, family), MASKED(1, SOCKET_KIND, kind), LOW(2, protocol)             \
		}                                                                                  \
	}
#define IOCTL(number)                                                                              \
	{                                                                                          \
		SCMP_SYS(ioctl), 1,                                                                \
		{                                                                                  \
			LOW(1, number)                                                             \
		}                                                                                  \
	}
#define PRCTL(number)                                                                              \
	{                                                                                          \
		SCMP_SYS(prctl), 1,                                                                \
		{                                                                                  \
			LOW(0, number)                                                             \
		}                                                                                  \
	}
#define MAKE_NODE(kind)                                                                            \
	{SCMP_SYS(mknod), 1, {MASKED(1, S_IFMT | SETID, kind)}},                                   \
	{                                                                                          \
		SCMP_SYS(mknodat), 1,                                                              \
		{                                                                                  \
			MASKED(2, S_IFMT | SETID, kind)                                            \
		}                                                                                  \
	}

static const struct filter_rule rules[] = {
	{SCMP_SYS(clone), 1, {WITHOUT(0, NAMESPACES)}},

	{SCMP_SYS(open), 1, {WITHOUT(1, CREATES)}},
	{SCMP_SYS(open), 1, {WITHOUT(2, SETID)}},
	{SCMP_SYS(openat), 1, {WITHOUT(2, CREATES)}},
	{SCMP_SYS(openat), 1, {WITHOUT(3, SETID)}},
	{SCMP_SYS(creat), 1, {WITHOUT(1, SETID)}},
	{SCMP_SYS(chmod), 1, {WITHOUT(1, SETID)}},
	{SCMP_SYS(fchmod), 1, {WITHOUT(1, SETID)}},
	{SCMP_SYS(fchmodat), 1, {WITHOUT(2, SETID)}},
	{452 /* fchmodat2 */, 1, {WITHOUT(2, SETID)}},
	{SCMP_SYS(mkdir), 1, {WITHOUT(1, SETID)}},
	{SCMP_SYS(mkdirat), 1, {WITHOUT(2, SETID)}},
	MAKE_NODE(0),
	MAKE_NODE(S_IFREG),
	MAKE_NODE(S_IFIFO),
	MAKE_NODE(S_IFSOCK),

	/* Not MPTCP, SCTP, raw, packet, vsock, AF_ALG and the rest of a large surface. */
	INTERNET(AF_INET, SOCK_STREAM, 0),
	INTERNET(AF_INET, SOCK_STREAM, IPPROTO_TCP),
	INTERNET(AF_INET, SOCK_DGRAM, 0),
	INTERNET(AF_INET, SOCK_DGRAM, IPPROTO_UDP),
	INTERNET(AF_INET6, SOCK_STREAM, 0),
	INTERNET(AF_INET6, SOCK_STREAM, IPPROTO_TCP),
	INTERNET(AF_INET6, SOCK_DGRAM, 0),
	INTERNET(AF_INET6, SOCK_DGRAM, IPPROTO_UDP),
	{SCMP_SYS(socket), 1, {LOW(0, AF_UNIX)}},
	{SCMP_SYS(socket), 2, {LOW(0, AF_NETLINK), LOW(2, NETLINK_ROUTE)}},
	{SCMP_SYS(socketpair), 1, {LOW(0, AF_UNIX)}},

	/* Not O_NOTIFICATION_PIPE (CVE-2022-0995). */
	{SCMP_SYS(pipe2), 1, {ONLY(1, O_CLOEXEC | O_NONBLOCK | O_DIRECT)}},

	/* Not RENAME_WHITEOUT, which leaves a device file. */
	{SCMP_SYS(renameat2), 1, {WITHOUT(4, RENAME_WHITEOUT)}},

	/* One that can be executed would be a program that nobody granted. */
	{SCMP_SYS(memfd_create), 1, {WITH(1, MEMFD_NOT_EXECUTABLE)}},

	{SCMP_SYS(personality), 1, {LOW(0, 0)}},
	{SCMP_SYS(personality), 1, {LOW(0, 0xffffffffu)}},

	/* Not TIOCSTI and TIOCLINUX, which type into terminals, and none of those that file
	 * systems and drivers bring. */
	IOCTL(FIONBIO),
	IOCTL(FIONREAD),
	IOCTL(FIOASYNC),
	IOCTL(FIOCLEX),
	IOCTL(FIONCLEX),
	IOCTL(FIOQSIZE),
	IOCTL(TCGETS),
	IOCTL(TCSETS),
	IOCTL(TCSETSW),
	IOCTL(TCSETSF),
	IOCTL(0x802c542a /* TCGETS2 */),
	IOCTL(TIOCGWINSZ),
	IOCTL(TIOCGPGRP),
	IOCTL(TIOCSPGRP),
	IOCTL(TIOCGSID),
	IOCTL(TIOCOUTQ),
	IOCTL(FICLONE),
	IOCTL(FICLONERANGE),
	IOCTL(FS_IOC_GETFLAGS),
	IOCTL(FS_IOC_FIEMAP),
	IOCTL(SIOCGIFCONF),
	IOCTL(SIOCGIFNAME),
	IOCTL(SIOCGIFINDEX),
	IOCTL(SIOCGIFFLAGS),
	IOCTL(SIOCGIFADDR),
	IOCTL(SIOCGIFMTU),
	/* For process 1: they do nothing without a listener, which nobody else has. */
	IOCTL(SECCOMP_IOCTL_NOTIF_RECV),
	IOCTL(SECCOMP_IOCTL_NOTIF_SEND),

	PRCTL(PR_SET_NAME),
	PRCTL(PR_GET_NAME),
	PRCTL(PR_SET_VMA),
	PRCTL(PR_SET_PDEATHSIG),
	PRCTL(PR_GET_PDEATHSIG),
	PRCTL(PR_GET_DUMPABLE),
	PRCTL(PR_SET_DUMPABLE),
	PRCTL(PR_GET_SECCOMP),
	PRCTL(PR_GET_NO_NEW_PRIVS),
	PRCTL(PR_SET_NO_NEW_PRIVS),
	PRCTL(PR_CAPBSET_READ),
	PRCTL(PR_GET_SECUREBITS),
	PRCTL(PR_GET_KEEPCAPS),
	PRCTL(PR_SET_CHILD_SUBREAPER),
	PRCTL(PR_GET_CHILD_SUBREAPER),
	PRCTL(PR_SET_TIMERSLACK),
	PRCTL(PR_GET_TIMERSLACK),
	PRCTL(PR_SET_THP_DISABLE),
	PRCTL(PR_GET_THP_DISABLE),
	PRCTL(PR_GET_TID_ADDRESS),
	PRCTL(PR_GET_SPECULATION_CTRL),
	PRCTL(PR_SET_SPECULATION_CTRL),
};

/* ---- building ---- */

static int add_rules(scmp_filter_ctx context, struct error *error)
{
	int result = filter_allow(context, allowed, ARRAY_LENGTH(allowed), error);
	if (result == 0)
		result = filter_pretend_missing(
			context, pretend_missing, ARRAY_LENGTH(pretend_missing), error);
	return result < 0 ? result : filter_add(context, rules, ARRAY_LENGTH(rules), error);
}

/* What libseccomp cannot say: all values but one. Merged pages (KSM) can be timed by those
 * who share them. A lease on a granted file stalls whoever opens it on the host. */
#ifndef F_SETLEASE
#define F_SETLEASE 1024
#endif
static const struct sock_filter prologue[] = {
	FILTER_FOREIGN_CALLS,
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 2),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FILTER_LOW_HALF(2)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MADV_MERGEABLE, 4, 5),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 0, 4),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FILTER_LOW_HALF(1)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_SETLEASE, 1, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_NOTIFY, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
};

static int build(uint32_t forbidden, struct sock_fprog *ret_program, struct error *error)
{
	scmp_filter_ctx context = filter_new(forbidden, SCMP_ACT_ERRNO(ENOSYS), error);
	int result = context ? add_rules(context, error) : -ENOMEM;
	if (result == 0)
		result = filter_export(context,
			(struct filter_part){prologue, ARRAY_LENGTH(prologue)},
			(struct filter_part){NULL, 0}, ret_program, error);
	seccomp_release(context);
	return result;
}

int job_filter_build(struct job_filter **ret_filter, struct error *error)
{
	struct error no_listener = {0};
	struct job_filter *filter = calloc(1, sizeof *filter);
	if (filter == NULL)
		return error_set(error, ENOMEM, "no memory for the seccomp filter");
	int result = build(SCMP_ACT_ERRNO(EPERM), &filter->plain, error);
	if (result < 0) {
		job_filter_free(filter);
		return result;
	}
	/* An old kernel has no listeners: then nobody is told, and nothing else changes. */
	(void)build(SCMP_ACT_NOTIFY, &filter->asking, &no_listener);
	*ret_filter = filter;
	return 0;
}

struct job_filter *job_filter_free(struct job_filter *filter)
{
	if (filter == NULL)
		return NULL;
	free(filter->asking.filter);
	free(filter->plain.filter);
	free(filter);
	return NULL;
}

/* ---- loading ---- */

int job_filter_load(const struct job_filter *filter, bool listener, struct error *error)
{
	if (listener && filter->asking.len > 0) {
		long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter->asking);
		if (fd >= 0)
			return (int)fd;
	}
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter->plain) < 0) {
		error_errno(error, errno, "cannot load the seccomp filter");
		return -EPERM - 1; /* not to be taken for "no listener" */
	}
	return -1;
}

/* A filter of its own before the others: the strictest answer counts. */
int job_filter_refuse_unix(struct error *error)
{
	static struct sock_filter instructions[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {ARRAY_LENGTH(instructions), instructions};
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return error_errno(error, errno, "cannot load the filter of unix sockets");
	return 0;
}

void job_filter_name(int call, char name[64])
{
	char *resolved = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call);
	snprintf(name, 64, "%s", resolved ? resolved : "");
	free(resolved);
}
