/* Resource limits of one process (setrlimit(2)). Memory, CPU and the number of
 * processes are the cgroup's; these bound what a cgroup does not know. */
#include "common/cleanup.h"
#include "sandbox/steps.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

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

/* What the kernel counts against RLIMIT_DATA: memory that is private and may be written. Not
 * what V8 reserves (PROT_NONE), nor its code. Inherited by the fork, most of it is shared. */
static int read_data_bytes(uint64_t *ret_bytes, struct error *error)
{
	unsigned long long pages;
	cleanup_fclose FILE *file = fopen("/proc/self/statm", "re");
	if (file == NULL)
		return error_errno(error, errno, "cannot open /proc/self/statm");
	if (fscanf(file, "%*u %*u %*u %*u %*u %llu", &pages) != 1)
		return error_set(error, EPROTO, "/proc/self/statm is not as it should be");
	*ret_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

int limits_without_cgroups(uint64_t data_bytes, uint32_t threads, struct error *error)
{
	uint64_t used = 0;
	int result = data_bytes > 0 ? read_data_bytes(&used, error) : 0;
	if (result == 0 && data_bytes > 0 && data_bytes < UINT64_MAX - used)
		result = set_limit(RLIMIT_DATA, "RLIMIT_DATA", used + data_bytes, error);
	if (result == 0 && threads > 0)
		result = set_limit(RLIMIT_NPROC, "RLIMIT_NPROC", threads, error);
	return result;
}
