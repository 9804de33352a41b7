/* The confinement of the process that parses an archive. It is another one than the
 * workers' (sandbox/): no namespaces are worth their time for a process that lives a
 * few milliseconds and needs two descriptors, and it writes, which workers do not. */
#include "common/cleanup.h"
#include "common/file.h"
#include "deploy/limits.h"
#include "deploy/unpack_private.h"
#include "sandbox/filter.h"
#include "sandbox/identity.h"
#include "sandbox/landlock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

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
	int result = identity_drop_capabilities(error);
	if (result == 0)
		result = identity_no_new_privileges(error);
	/* Nor may another process of the same uid look into it. */
	return result < 0 ? result : identity_not_dumpable(error);
}

/* Writing new files and folders below staging is the one thing left: no reading, no
 * links, no devices, no removal, anywhere. */
static int step_landlock(struct error *error)
{
	cleanup_close int ruleset = landlock_open(LANDLOCK_NET_EVERYTHING, error);
	if (ruleset < 0)
		return ruleset;
	int result = landlock_allow(ruleset, UNPACK_FD_STAGING,
		LANDLOCK_FS_WRITE_FILE | LANDLOCK_FS_MAKE_REG | LANDLOCK_FS_MAKE_DIR, error);
	return result < 0 ? result : landlock_restrict(ruleset, error);
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
	static const int by_parts[] = {SCMP_SYS(openat), SCMP_SYS(fcntl)};
	/* Memory, but never code. */
	static const struct filter_rule memory[] = {{SCMP_SYS(mmap), 1, {WITHOUT(2, PROT_EXEC)}}};
	scmp_filter_ctx filter = filter_new(SCMP_ACT_KILL_PROCESS, SCMP_ACT_KILL, error);
	if (!filter)
		return -ENOMEM;
	int result = filter_allow(filter, allowed, ARRAY_LENGTH(allowed), error);
	if (result == 0 && !file_has_openat2())
		result = filter_allow(filter, by_parts, ARRAY_LENGTH(by_parts), error);
	if (result == 0)
		result = filter_add(filter, memory, ARRAY_LENGTH(memory), error);
	return filter_load(filter, result, error);
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
