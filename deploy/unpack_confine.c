/* The confinement of the process that parses an archive. It is another one than the
 * workers' (sandbox/): no namespaces are worth their time for a process that lives a
 * few milliseconds and needs two descriptors, and it writes, which workers do not. */
#include "common/cleanup.h"
#include "common/file.h"
#include "deploy/limits.h"
#include "deploy/unpack_private.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define UNPACK_MEMORY_MAX (1024ull * 1024 * 1024)
#define UNPACK_CPU_SECONDS 60

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif
#ifndef UNDER_SANITIZER
#define UNDER_SANITIZER 0
#endif

int unpack_die_with(pid_t parent, struct error *error)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return error_errno(error, errno, "cannot ask to die with the parent");
	/* It may have died before we asked. */
	if (getppid() != parent)
		return error_set(error, ESRCH, "the parent is gone");
	return 0;
}

int unpack_arrange_fds(const int *fds, size_t count, struct error *error)
{
	int high[8];
	if (count > ARRAY_LENGTH(high))
		return error_set(error, EINVAL, "too many descriptors");
	/* First out of the way, so that no place is overwritten before it was moved. */
	for (size_t i = 0; i < count; i++) {
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3 + (int)count);
		if (high[i] < 0)
			return error_errno(error, errno, "cannot arrange descriptors");
	}
	for (size_t i = 0; i < count; i++)
		if (dup3(high[i], 3 + (int)i, O_CLOEXEC) < 0)
			return error_errno(error, errno, "cannot arrange descriptors");
	if (close_range(3 + (unsigned)count, ~0u, 0) < 0)
		return error_errno(error, errno, "cannot close other descriptors");
	return 0;
}

/* The daemon's log is not for a process that may have been taken over. */
static int step_standard_streams(struct error *error)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	/* A sanitizer's report must get out, in tests. */
	int last = UNDER_SANITIZER ? STDOUT_FILENO : STDERR_FILENO;
	for (int fd = STDIN_FILENO; null >= 0 && fd <= last; fd++)
		if (dup2(null, fd) < 0)
			return error_errno(error, errno, "cannot detach the standard streams");
	if (null < 0)
		return error_errno(error, errno, "cannot open /dev/null");
	close(null);
	return 0;
}

/* Against an archive that makes the parser grow or spin: memory, CPU time, the size of a
 * file, and no process, descriptor or core dump beyond the few that are needed. */
static int step_limits(struct error *error)
{
	static const struct {
		__rlimit_resource_t resource;
		rlim_t most;
	} limits[] = {
		{RLIMIT_FSIZE, DEPLOY_BYTES_MAX},
		{RLIMIT_NOFILE, 16},
		{RLIMIT_CPU, UNPACK_CPU_SECONDS},
		{RLIMIT_NPROC, 0},
		{RLIMIT_CORE, 0},
		{RLIMIT_AS, UNPACK_MEMORY_MAX},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
		/* A sanitizer's shadow memory alone is terabytes. */
		if (UNDER_SANITIZER && limits[i].resource == RLIMIT_AS)
			continue;
		struct rlimit limit = {limits[i].most, limits[i].most};
		if (setrlimit(limits[i].resource, &limit) < 0)
			return error_errno(error, errno, "cannot set a resource limit");
	}
	return 0;
}

/* Even if a path check and openat2 both failed there is nothing above the staging
 * folder. Before the capabilities go, which it needs. */
static int step_root(struct error *error)
{
	if (fchdir(UNPACK_FD_STAGING) < 0 || chroot(".") < 0)
		return error_errno(error, errno, "cannot enter the staging folder as root");
	return 0;
}

static int step_capabilities(struct error *error)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
	if (syscall(SYS_capset, &header, data) < 0)
		return error_errno(error, errno, "cannot drop capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(error, errno, "cannot set no_new_privs");
	/* Nor may another process of the same uid look into it. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return error_errno(error, errno, "cannot become undumpable");
	return 0;
}

static int landlock_restrict(int ruleset)
{
	struct landlock_path_beneath_attr rule = {
		.allowed_access = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
				  LANDLOCK_ACCESS_FS_MAKE_DIR,
		.parent_fd = UNPACK_FD_STAGING,
	};
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ||
		syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return -errno;
	return 0;
}

/* Writing new files and folders below staging is the one thing left: no reading, no
 * links, no devices, no removal, anywhere. */
static int step_landlock(struct error *error)
{
	/* The newest right of each version of the interface, version 1 first. */
	static const uint64_t newest[] = {LANDLOCK_ACCESS_FS_MAKE_SYM, LANDLOCK_ACCESS_FS_REFER,
		LANDLOCK_ACCESS_FS_TRUNCATE, LANDLOCK_ACCESS_FS_TRUNCATE,
		LANDLOCK_ACCESS_FS_IOCTL_DEV};
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 1)
		return error_errno(
			error, errno, "this kernel offers no Landlock (is it in the lsm= list?)");
	size_t known =
		(size_t)version > ARRAY_LENGTH(newest) ? ARRAY_LENGTH(newest) : (size_t)version;
	struct landlock_ruleset_attr attributes = {
		.handled_access_fs = 2 * newest[known - 1] - 1,
	};
	if (version >= 4)
		attributes.handled_access_net =
			LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP;
	if (version >= 6)
		attributes.scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL;
	cleanup_close int ruleset =
		(int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
	if (ruleset < 0)
		return error_errno(error, errno, "cannot make a Landlock ruleset");
	int result = landlock_restrict(ruleset);
	if (result < 0)
		return error_errno(error, result, "cannot enter a Landlock ruleset");
	return 0;
}

/* Last, since it forbids all of the steps above. What is left is what reading an
 * archive, writing files and the allocator need; anything else kills. */
static int step_seccomp(struct error *error)
{
	static const int allowed[] = {
		SCMP_SYS(read),
		SCMP_SYS(lseek),
		SCMP_SYS(fstat),
		SCMP_SYS(newfstatat),
		SCMP_SYS(openat2),
		SCMP_SYS(mkdirat),
		SCMP_SYS(write),
		SCMP_SYS(close),
		SCMP_SYS(sendto), /* its report; it has no socket that could send elsewhere */
		SCMP_SYS(brk),
		SCMP_SYS(munmap),
		SCMP_SYS(mremap),
		SCMP_SYS(madvise),
		SCMP_SYS(futex),
		SCMP_SYS(getrandom),
		SCMP_SYS(clock_gettime),
		SCMP_SYS(rt_sigreturn),
		SCMP_SYS(exit_group),
#if UNDER_SANITIZER
		SCMP_SYS(getpid),
		SCMP_SYS(gettid),
		SCMP_SYS(sched_yield),
		SCMP_SYS(sigaltstack),
		SCMP_SYS(rt_sigaction),
		SCMP_SYS(rt_sigprocmask),
		SCMP_SYS(readlink),
		SCMP_SYS(mprotect),
		SCMP_SYS(prctl),
		SCMP_SYS(getrlimit),
		SCMP_SYS(prlimit64),
#endif
	};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!filter)
		return error_errno(error, ENOMEM, "cannot make a seccomp filter");
	int result = 0;
	for (size_t i = 0; result == 0 && i < ARRAY_LENGTH(allowed); i++)
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	static const int by_parts[] = {SCMP_SYS(openat), SCMP_SYS(fcntl)};
	for (size_t i = 0; result == 0 && !file_has_openat2() && i < ARRAY_LENGTH(by_parts); i++)
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, by_parts[i], 0);
	/* Memory, but never code. */
	if (result == 0)
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
			SCMP_A2_32(SCMP_CMP_MASKED_EQ, 4 /* PROT_EXEC */, 0));
	if (result == 0)
		result = seccomp_load(filter);
	seccomp_release(filter);
	if (result < 0)
		return error_errno(error, result, "cannot load the seccomp filter");
	return 0;
}

int unpack_confine(pid_t parent, struct error *error)
{
	umask(0);
	int result = unpack_die_with(parent, error);
	if (result == 0)
		result = step_standard_streams(error);
	if (result == 0)
		result = step_limits(error);
	if (result == 0)
		result = step_root(error);
	if (result == 0)
		result = step_capabilities(error);
	if (result == 0)
		result = step_landlock(error);
	if (result == 0)
		result = step_seccomp(error);
	return result;
}
