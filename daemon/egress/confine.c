/* The confinement of tenantd-egress. It speaks with the whole Internet and with every
 * tenant; taken over, it must be no more than a process that can connect. The order:
 * files are opened by a path for Landlock while it still may; ids before capabilities,
 * whose loss would forbid changing them; no_new_privs before Landlock and seccomp, which
 * want it; seccomp last, because it forbids the rest. */
#include "daemon/egress/private.h"

#include "common/cleanup.h"
#include "daemon/helper/helper.h"
#include "sandbox/filter.h"
#include "sandbox/landlock.h"
#include "sandbox/sandbox.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- Landlock ---- */

/* The folder of PATH, and that of what it leads to: a file that is replaced is another
 * inode, and a rule for the old one would not hold. */
static int grant_folders_of(int ruleset, const char *path, struct error *error)
{
	char folder[PATH_MAX], real[PATH_MAX];
	snprintf(folder, sizeof folder, "%s", path);
	char *slash = strrchr(folder, '/');
	if (slash == NULL || slash == folder)
		return landlock_allow_path(ruleset, path, LANDLOCK_FS_READ_FILE, error);
	*slash = '\0';
	int result = landlock_allow_path(ruleset, folder, LANDLOCK_READ, error);
	if (result < 0 || realpath(path, real) == NULL)
		return result;
	slash = strrchr(real, '/');
	if (slash == real)
		return result;
	*slash = '\0';
	return landlock_allow_path(ruleset, real, LANDLOCK_READ, error);
}

/* No file but the resolver's, no listening, no signals and no abstract sockets of others. */
static int make_ruleset(const struct confine_options *options, struct error *error)
{
	static const char *const files[] = {"/etc/nsswitch.conf", "/etc/services", "/etc/host.conf",
		"/etc/gai.conf", "/etc/localtime"};
	if (sandbox_landlock_abi() < 0)
		return -1; /* the supervisor's tier knows; seccomp and the id still hold */
	cleanup_close int ruleset = landlock_open(LANDLOCK_NET_BIND_TCP, error);
	if (ruleset < 0)
		return ruleset;
	int result = grant_folders_of(ruleset, options->resolv_conf, error);
	if (result == 0)
		result = grant_folders_of(ruleset, options->hosts, error);
	for (size_t i = 0; result == 0 && i < ARRAY_LENGTH(files); i++)
		result = landlock_allow_path(ruleset, files[i], LANDLOCK_FS_READ_FILE, error);
	/* Which sockets: the policies say. */
	if (result == 0)
		result = landlock_allow_path(ruleset, "/", LANDLOCK_FS_RESOLVE_UNIX, error);
	return result < 0 ? result : take_fd(&ruleset);
}

/* ---- seccomp ---- */

static const int allowed[] = {
	/* memory */
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(futex),
	/* descriptors */
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(close),
	SCMP_SYS(lseek),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(pread64),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(eventfd2),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(splice),
	/* sockets: connect is what it is for; bind and listen are not */
	SCMP_SYS(connect),
	SCMP_SYS(accept4),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	/* time, signals, itself */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(setitimer),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getppid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getrandom),
	SCMP_SYS(uname),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(getrlimit),
	SCMP_SYS(sysinfo),
	SCMP_SYS(rseq),
	SCMP_SYS(set_robust_list),
};

static const struct filter_rule conditional[] = {
	{SCMP_SYS(mmap), 1, {WITHOUT(2, PROT_EXEC)}},
	{SCMP_SYS(mprotect), 1, {WITHOUT(2, PROT_EXEC)}},
	{SCMP_SYS(openat), 1, {WITHOUT(2, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)}},
	{SCMP_SYS(open), 1, {WITHOUT(1, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)}},
	{SCMP_SYS(socket), 1, {LOW(0, AF_INET)}},
	{SCMP_SYS(socket), 1, {LOW(0, AF_INET6)}},
	{SCMP_SYS(socket), 1, {LOW(0, AF_UNIX)}},
	{SCMP_SYS(setsockopt), 1, {LOW(1, SOL_SOCKET)}},
	{SCMP_SYS(setsockopt), 1, {LOW(1, IPPROTO_TCP)}},
	{SCMP_SYS(pipe2), 1, {ONLY(1, O_CLOEXEC | O_NONBLOCK)}},
	{SCMP_SYS(fcntl), 1, {LOW(1, F_GETFL)}},
	{SCMP_SYS(fcntl), 1, {LOW(1, F_SETFL)}},
	{SCMP_SYS(fcntl), 1, {LOW(1, F_GETFD)}},
	{SCMP_SYS(fcntl), 1, {LOW(1, F_SETFD)}},
	{SCMP_SYS(fcntl), 1, {LOW(1, F_DUPFD_CLOEXEC)}},
	{SCMP_SYS(ioctl), 1, {LOW(1, FIONREAD)}},
	{SCMP_SYS(ioctl), 1, {LOW(1, FIONBIO)}},
	{SCMP_SYS(prlimit64), 2, {LOW(0, 0), EXACTLY(2, 0)}},
	/* abort(3) */
	{SCMP_SYS(tgkill), 1, {LOW(2, SIGABRT)}},
};

/* Tries what must fail now. */
static int check(struct error *error)
{
	const char *what = NULL;
	cleanup_close int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		what = "write to its memory";
	else if (fork() >= 0)
		what = "fork";
	else if (setuid(0) == 0)
		what = "become root";
	else if (socket(AF_NETLINK, SOCK_RAW, 0) >= 0 || errno != EPERM)
		what = "open another netlink socket";
	else if (syscall(SYS_bind, 0, NULL, 0) == 0 || errno != EPERM)
		what = "bind";
	else if (syscall(SYS_execve, NULL, NULL, NULL) == 0 || errno != EPERM)
		what = "exec";
	return what ? error_set(error, EPERM, "the confinement does not hold: it could %s", what)
		    : 0;
}

int confine(const struct confine_options *options, struct error *error)
{
	int result = helper_limits(error);
	if (result < 0)
		return result;
	cleanup_close int ruleset = make_ruleset(options, error);
	if (ruleset < -1 || (ruleset < 0 && error->code))
		return ruleset;
	result = helper_become(options->uid, error);
	if (result == 0)
		result = ruleset < 0 ? 0 : landlock_restrict(ruleset, error);
	close_fd(&ruleset);
	if (result == 0)
		result = helper_filter(allowed, ARRAY_LENGTH(allowed), conditional,
			ARRAY_LENGTH(conditional), error);
	if (result == 0)
		result = check(error);
	return result;
}
