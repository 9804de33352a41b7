/* Resource limits of one process (setrlimit(2)). Memory, CPU and the number of
 * processes are the cgroup's; these bound what a cgroup does not know. */
#include "common/cleanup.h"
#include "sandbox/steps.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

static int set_limit(int resource, const char *name, rlim_t value, struct error *error)
{
	struct rlimit limit = {.rlim_cur = value, .rlim_max = value};
	if (setrlimit((__rlimit_resource_t)resource, &limit) == 0)
		return 0;
	int code = errno;
	struct rlimit now = {0};
	getrlimit((__rlimit_resource_t)resource, &now);
	return error_set(error, code, "cannot set %s to %llu (the hard limit is %llu): %s", name,
		(unsigned long long)value, (unsigned long long)now.rlim_max, strerror(code));
}

int limits_no_core(struct error *error)
{
	/* A core dump holds other people's secrets and is written outside the sandbox. One
	 * and not zero: to a core_pattern that is a pipe the kernel ignores the limit, but
	 * for the value 1 (core(5), fs/coredump.c); a file needs at least a page. */
	return set_limit(RLIMIT_CORE, "RLIMIT_CORE", 1, error);
}

int limits_apply(uint32_t files, struct error *error)
{
	const struct {
		int resource;
		const char *name;
		rlim_t value;
	} limits[] = {
		{RLIMIT_NOFILE, "RLIMIT_NOFILE", files},
		/* Memory that cannot be reclaimed, and the quota of io_uring and perf. */
		{RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK", 0},
		/* POSIX message queues are kernel memory that outlives their maker. */
		{RLIMIT_MSGQUEUE, "RLIMIT_MSGQUEUE", 0},
		/* Real-time or raised priority takes the CPU from everybody. */
		{RLIMIT_RTPRIO, "RLIMIT_RTPRIO", 0},
		{RLIMIT_NICE, "RLIMIT_NICE", 0},
		{RLIMIT_SIGPENDING, "RLIMIT_SIGPENDING", 128},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
		int result = set_limit(limits[i].resource, limits[i].name, limits[i].value, error);
		if (result < 0)
			return result;
	}
	return 0;
}
