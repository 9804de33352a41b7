/* The files of cgroup v2 (the kernel's admin-guide/cgroup-v2). */
#include "common/cleanup.h"
#include "common/clock.h"
#include "sandbox/cgroup_private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define CPU_PERIOD_USEC 100000u

static int v2_kill(int folder, unsigned controllers)
{
	(void)controllers;
	/* Atomic against fork, and with all descendants. Linux 5.14. */
	int result = cgroup_file_write(folder, "cgroup.kill", "1");
	return result == -ENOENT ? cgroup_kill_listed(folder) : result;
}

static int v2_populated(int folder)
{
	uint64_t value;
	int result = cgroup_file_read_u64(folder, "cgroup.events", "populated", &value);
	return result < 0 ? result : value != 0;
}

static int v2_wait_empty(int folder, unsigned wait_ms)
{
	const uint64_t deadline = clock_ms() + wait_ms;
	/* The event is "changed since this descriptor last read". */
	cleanup_close int events = openat(folder, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (events < 0)
		return -errno;
	for (;;) {
		char text[256];
		ssize_t length = pread(events, text, sizeof text - 1, 0);
		if (length < 0)
			return -errno;
		int populated = v2_populated(folder);
		if (populated <= 0)
			return populated;
		const uint64_t now = clock_ms();
		if (now >= deadline)
			return -EBUSY;
		struct pollfd changed = {.fd = events, .events = POLLPRI};
		(void)poll(&changed, 1, (int)(deadline - now));
	}
}

static int v2_set_memory(int folder, uint64_t bytes)
{
	int result = bytes > 0 ? cgroup_file_write_u64(folder, "memory.max", bytes)
			       : cgroup_file_write(folder, "memory.max", "max");
	if (result < 0)
		return result;
	/* A tenant over its limit must fail, not make the host swap. The file is not there
	 * without swap accounting. */
	result = cgroup_file_write(folder, "memory.swap.max", bytes > 0 ? "0" : "max");
	if (result < 0 && result != -ENOENT)
		return result;
	/* Half a tenant is none. Linux 4.19. */
	result = cgroup_file_write(folder, "memory.oom.group", "1");
	return result == -ENOENT ? 0 : result;
}

static int v2_set_cpu(int folder, uint32_t percent)
{
	char text[48];
	if (percent == 0)
		snprintf(text, sizeof text, "max %u", CPU_PERIOD_USEC);
	else
		snprintf(text, sizeof text, "%llu %u",
			(unsigned long long)percent * (CPU_PERIOD_USEC / 100), CPU_PERIOD_USEC);
	return cgroup_file_write(folder, "cpu.max", text);
}

static void v2_read_stats(int folder, unsigned controllers, struct cgroup_stats *stats)
{
	uint64_t value;
	char text[2048];
	/* Its core counts CPU time, with or without the controller; opening the file is dear. */
	if (cgroup_file_read(folder, "cpu.stat", text, sizeof text) > 0) {
		cgroup_text_u64(text, "usage_usec", &stats->cpu_usec);
		cgroup_text_u64(text, "nr_throttled", &stats->throttled);
		cgroup_text_u64(text, "throttled_usec", &stats->throttled_usec);
	}
	if (controllers & CGROUP_BIT(CGROUP_MEMORY)) {
		cgroup_file_read_u64(folder, "memory.current", NULL, &stats->memory_bytes);
		cgroup_file_read_u64(folder, "memory.peak", NULL, &stats->memory_peak_bytes);
		cgroup_file_read_u64(folder, "memory.events", "oom_kill", &stats->oom_kills);
		if (cgroup_file_read_u64(folder, "memory.max", NULL, &value) == 0 &&
			value != UINT64_MAX)
			stats->memory_limit_bytes = value;
	}
	if (controllers & CGROUP_BIT(CGROUP_PIDS)) {
		cgroup_file_read_u64(folder, "pids.current", NULL, &stats->pids);
		cgroup_file_read_u64(folder, "pids.events", "max", &stats->pids_denied);
	}
}

const struct cgroup_version cgroup_v2 = {
	.set_memory = v2_set_memory,
	.set_cpu = v2_set_cpu,
	.kill = v2_kill,
	.populated = v2_populated,
	.wait_empty = v2_wait_empty,
	.read_stats = v2_read_stats,
};
