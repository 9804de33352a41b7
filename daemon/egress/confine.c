/* The confinement of tenantd-egress. It speaks with the whole Internet and with every
 * tenant; taken over, it must be no more than a process that can connect. The order:
 * files are opened by a path for Landlock while it still may; ids before capabilities,
 * whose loss would forbid changing them; no_new_privs before Landlock and seccomp, which
 * want it; seccomp last, because it forbids the rest. */
#include "daemon/egress/private.h"

#include "common/cleanup.h"
#include "sandbox/sandbox.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILES_MAX 65536

/* All tenants need it: another process goes first. */
#define OOM_SCORE "-500"

/* ---- limits ---- */

static int step_limits(struct error *error)
{
	struct rlimit files;
	const struct rlimit none = {0, 0}, core = {1, 1}; /* 1: see sandbox/limits.c */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		if (files.rlim_max > FILES_MAX)
			files.rlim_max = FILES_MAX;
		files.rlim_cur = files.rlim_max;
	}
	if (setrlimit(RLIMIT_NOFILE, &files) < 0 || setrlimit(RLIMIT_CORE, &core) < 0 ||
		setrlimit(RLIMIT_MEMLOCK, &none) < 0 || setrlimit(RLIMIT_MSGQUEUE, &none) < 0)
		return error_errno(error, errno, "cannot set the limits");
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	char text[16] = "";
	if (fd >= 0 && read(fd, text, sizeof text - 1) > 0 && atoi(text) > atoi(OOM_SCORE))
		if (write(fd, OOM_SCORE, strlen(OOM_SCORE)) < 0)
			errno = 0; /* not allowed in some containers: it is then like others */
	if (fd >= 0)
		close(fd);
	return 0;
}

/* ---- Landlock ---- */

#define RULE_PATH_BENEATH 1
#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)
#define FS_RESOLVE_UNIX (1ull << 16) /* ABI 9 */
#define NET_BIND_TCP (1ull << 0)
#define RESTRICT_LOG_SAME_EXEC_OFF 1u

struct ruleset {
	uint64_t handled_access_fs;
	uint64_t handled_access_net; /* ABI 4 */
	uint64_t scoped;             /* ABI 6 */
};

struct path_beneath {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));

static int grant(int ruleset, const char *path, uint64_t access, struct error *error)
{
	cleanup_close int fd = open(path, O_PATH | O_CLOEXEC);
	struct path_beneath rule = {.allowed_access = access, .parent_fd = fd};
	if (fd < 0)
		return errno == ENOENT ? 0 : error_errno(error, errno, "cannot open %s", path);
	if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0)
		return error_errno(error, errno, "cannot add a Landlock rule for %s", path);
	return 0;
}

/* The folder of PATH, and that of what it leads to: a file that is replaced is another
 * inode, and a rule for the old one would not hold. */
static int grant_folders_of(int ruleset, const char *path, struct error *error)
{
	char folder[PATH_MAX], real[PATH_MAX];
	snprintf(folder, sizeof folder, "%s", path);
	char *slash = strrchr(folder, '/');
	if (slash == NULL || slash == folder)
		return grant(ruleset, path, FS_READ_FILE, error);
	*slash = '\0';
	int result = grant(ruleset, folder, FS_READ_FILE | FS_READ_DIR, error);
	if (result < 0 || realpath(path, real) == NULL)
		return result;
	slash = strrchr(real, '/');
	if (slash == real)
		return result;
	*slash = '\0';
	return grant(ruleset, real, FS_READ_FILE | FS_READ_DIR, error);
}

/* No file but the resolver's, no listening, no signals and no abstract sockets of others. */
static int make_ruleset(const struct confine_options *options, struct error *error)
{
	const int abi = sandbox_landlock_abi();
	if (abi < 0)
		return -1; /* the supervisor's tier knows; seccomp and the id still hold */
	struct ruleset wanted = {
		.handled_access_fs = (1ull << (abi >= 9   ? 17
					       : abi >= 5 ? 16
					       : abi >= 3 ? 15
					       : abi >= 2 ? 14
							  : 13)) -
				     1,
		.handled_access_net = abi >= 4 ? NET_BIND_TCP : 0,
		.scoped = abi >= 6 ? 3 : 0,
	};
	cleanup_close int ruleset =
		(int)syscall(SYS_landlock_create_ruleset, &wanted, sizeof wanted, 0);
	if (ruleset < 0)
		return error_errno(error, errno, "cannot make a Landlock ruleset");
	static const char *const files[] = {"/etc/nsswitch.conf", "/etc/services", "/etc/host.conf",
		"/etc/gai.conf", "/etc/localtime"};
	int result = grant_folders_of(ruleset, options->resolv_conf, error);
	if (result == 0)
		result = grant_folders_of(ruleset, options->hosts, error);
	for (size_t i = 0; result == 0 && i < ARRAY_LENGTH(files); i++)
		result = grant(ruleset, files[i], FS_READ_FILE, error);
	/* Which sockets: the policies say. */
	if (result == 0 && abi >= 9)
		result = grant(ruleset, "/", FS_RESOLVE_UNIX, error);
	return result < 0 ? result : take_fd(&ruleset);
}

static int step_landlock(int ruleset, struct error *error)
{
	if (ruleset < 0)
		return 0;
	const unsigned flags = sandbox_landlock_abi() >= 7 ? RESTRICT_LOG_SAME_EXEC_OFF : 0;
	if (syscall(SYS_landlock_restrict_self, ruleset, flags) < 0)
		return error_errno(error, errno, "cannot enter the Landlock domain");
	return 0;
}

/* ---- identity ---- */

static int drop_bounding(struct error *error)
{
	for (unsigned long capability = 0; capability < 64; capability++)
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) {
			if (errno == EINVAL && capability > 0)
				break;
			return error_errno(error, errno, "cannot drop capability %lu", capability);
		}
	return 0;
}

static int step_identity(uint32_t id, struct error *error)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[2] = {0};
	const pid_t parent = getppid();
	int result = drop_bounding(error);
	if (result < 0)
		return result;
	if (prctl(PR_SET_SECUREBITS,
		    SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
			    SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
		    0, 0, 0) < 0)
		return error_errno(error, errno, "cannot lock the securebits");
	if (setgroups(0, NULL) < 0 || setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0)
		return error_errno(error, errno, "cannot become user %u", id);
	if (syscall(SYS_capset, &header, none) < 0)
		return error_errno(error, errno, "cannot drop the capabilities");
	/* A change of ids takes both of these away. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		return error_set(error, ESRCH, "the supervisor is gone");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_errno(error, errno, "cannot make the process undumpable");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(error, errno, "cannot set no_new_privs");
	return 0;
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

#define LOW(argument, value) SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, 0xffffffffu, value)
#define WITHOUT(argument, bits) SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, bits, 0)

static const struct {
	int call;
	unsigned count;
	struct scmp_arg_cmp compare[2];
} conditional[] = {
	{SCMP_SYS(mmap), 1, {WITHOUT(2, PROT_EXEC)}},
	{SCMP_SYS(mprotect), 1, {WITHOUT(2, PROT_EXEC)}},
	{SCMP_SYS(openat), 1, {WITHOUT(2, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)}},
	{SCMP_SYS(open), 1, {WITHOUT(1, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)}},
	{SCMP_SYS(socket), 1, {LOW(0, AF_INET)}},
	{SCMP_SYS(socket), 1, {LOW(0, AF_INET6)}},
	{SCMP_SYS(socket), 1, {LOW(0, AF_UNIX)}},
	{SCMP_SYS(setsockopt), 1, {LOW(1, SOL_SOCKET)}},
	{SCMP_SYS(setsockopt), 1, {LOW(1, IPPROTO_TCP)}},
	{SCMP_SYS(pipe2), 1, {WITHOUT(1, 0xffffffffu & ~(O_CLOEXEC | O_NONBLOCK))}},
	{SCMP_SYS(fcntl), 1, {LOW(1, F_GETFL)}},
	{SCMP_SYS(fcntl), 1, {LOW(1, F_SETFL)}},
	{SCMP_SYS(fcntl), 1, {LOW(1, F_GETFD)}},
	{SCMP_SYS(fcntl), 1, {LOW(1, F_SETFD)}},
	{SCMP_SYS(fcntl), 1, {LOW(1, F_DUPFD_CLOEXEC)}},
	{SCMP_SYS(ioctl), 1, {LOW(1, FIONREAD)}},
	{SCMP_SYS(ioctl), 1, {LOW(1, FIONBIO)}},
	{SCMP_SYS(prlimit64), 2, {LOW(0, 0), SCMP_CMP64(2, SCMP_CMP_EQ, 0)}},
	/* abort(3) */
	{SCMP_SYS(tgkill), 1, {LOW(2, SIGABRT)}},
};

static int step_seccomp(struct error *error)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int result = filter ? 0 : -ENOMEM;
	for (size_t i = 0; result == 0 && i < ARRAY_LENGTH(allowed); i++)
		result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, allowed[i], 0, NULL);
	for (size_t i = 0; result == 0 && i < ARRAY_LENGTH(conditional); i++)
		result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, conditional[i].call,
			conditional[i].count, conditional[i].compare);
	if (result == 0)
		result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (result == 0)
		result = seccomp_load(filter);
	seccomp_release(filter);
	return result < 0 ? error_errno(error, -result, "cannot load the seccomp filter") : 0;
}

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
	else if (syscall(SYS_bind, 0, NULL, 0) == 0 || errno != EPERM)
		what = "bind";
	else if (syscall(SYS_execve, NULL, NULL, NULL) == 0 || errno != EPERM)
		what = "exec";
	return what ? error_set(error, EPERM, "the confinement does not hold: it could %s", what)
		    : 0;
}

int confine(const struct confine_options *options, struct error *error)
{
	int result = step_limits(error);
	if (result < 0)
		return result;
	cleanup_close int ruleset = make_ruleset(options, error);
	if (ruleset < -1 || (ruleset < 0 && error->code))
		return ruleset;
	result = step_identity(options->uid, error);
	if (result == 0)
		result = step_landlock(ruleset, error);
	close_fd(&ruleset);
	if (result == 0)
		result = step_seccomp(error);
	if (result == 0)
		result = check(error);
	return result;
}
