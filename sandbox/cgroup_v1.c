/* The files of cgroup v1 (the kernel's admin-guide/cgroup-v1), and what both versions
 * share: reading and writing them. */
#include "common/cleanup.h"
#include "common/clock.h"
#include "sandbox/cgroup_private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CPU_PERIOD_USEC 100000
/* More than any tenant may have; a longer list is killed in several looks. */
#define PROCS_TEXT_MAX (32 * 1024)
#define KILL_ROUNDS_MAX 64
#define FREEZE_WAIT_MS 100

/* ---- files ---- */

int cgroup_file_write(int folder, const char *file, const char *text)
{
	cleanup_close int fd = openat(folder, file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

int cgroup_file_write_u64(int folder, const char *file, uint64_t value)
{
	char text[24];
	snprintf(text, sizeof text, "%llu", (unsigned long long)value);
	return cgroup_file_write(folder, file, text);
}

int cgroup_file_read(int folder, const char *file, char *text, size_t size)
{
	cleanup_close int fd = openat(folder, file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t used = 0;
	while (used < size - 1) {
		ssize_t got = read(fd, text + used, size - 1 - used);
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		used += (size_t)got;
	}
	text[used] = '\0';
	return (int)used;
}

int cgroup_text_u64(const char *text, const char *key, uint64_t *ret_value)
{
	const char *value = text;
	if (key) {
		size_t key_length = strlen(key);
		while (*value &&
			!(strncmp(value, key, key_length) == 0 && value[key_length] == ' ')) {
			value += strcspn(value, "\n");
			value += *value == '\n';
		}
		if (!*value)
			return -ENOENT;
		value += key_length + 1;
	}
	if (strncmp(value, "max", 3) == 0) {
		*ret_value = UINT64_MAX;
		return 0;
	}
	char *end;
	errno = 0;
	unsigned long long number = strtoull(value, &end, 10);
	if (end == value || errno)
		return -EBADMSG;
	*ret_value = number;
	return 0;
}

int cgroup_file_read_u64(int folder, const char *file, const char *key, uint64_t *ret_value)
{
	char text[4096];
	int length = cgroup_file_read(folder, file, text, sizeof text);
	return length < 0 ? length : cgroup_text_u64(text, key, ret_value);
}

/* ---- killing by the list ---- */

static void kill_all(const char *procs)
{
	while (*procs) {
		char *end;
		long pid = strtol(procs, &end, 10);
		if (end == procs)
			return;
		/* 0 is a process that this pid namespace cannot see. */
		if (pid > 1 && pid != getpid())
			(void)kill((pid_t)pid, SIGKILL);
		procs = end + (*end == '\n');
	}
}

int cgroup_kill_listed(int folder)
{
	char seen[2][PROCS_TEXT_MAX] = {"", ""};
	for (int round = 0; round < KILL_ROUNDS_MAX; round++) {
		char *now = seen[round & 1], *before = seen[!(round & 1)];
		int length = cgroup_file_read(folder, "cgroup.procs", now, PROCS_TEXT_MAX);
		if (length < 0)
			return length;
		/* A killed process forks no more, so a list without new ones is complete. */
		if (length == 0 || (round > 0 && strcmp(now, before) == 0))
			return 0;
		kill_all(now);
	}
	return -EBUSY;
}

static bool wait_frozen(int folder)
{
	const uint64_t deadline = clock_ms() + FREEZE_WAIT_MS;
	char state[32];
	while (cgroup_file_read(folder, "freezer.state", state, sizeof state) >= 0) {
		if (strncmp(state, "FROZEN", 6) == 0)
			return true;
		if (clock_ms() > deadline)
			return false;
		/* v1 tells nobody when it has frozen. */
		(void)poll(NULL, 0, 1);
	}
	return false;
}

/* Frozen processes neither fork nor exit, so the list holds still while it is read and
 * no pid in it can have become somebody else's. */
static int v1_kill(int folder, unsigned controllers)
{
	if (!(controllers & CGROUP_BIT(CGROUP_FREEZER)) ||
		cgroup_file_write(folder, "freezer.state", "FROZEN") < 0)
		return cgroup_kill_listed(folder);
	(void)wait_frozen(folder);
	int result = cgroup_kill_listed(folder);
	int thawed = cgroup_file_write(folder, "freezer.state", "THAWED");
	return result < 0 ? result : thawed;
}

static int v1_populated(int folder)
{
	char text[32];
	int length = cgroup_file_read(folder, "cgroup.procs", text, sizeof text);
	return length < 0 ? length : length > 0;
}

/* v1 has no event for it; the end of each process is one. */
static int v1_wait_empty(int folder, unsigned wait_ms)
{
	const uint64_t deadline = clock_ms() + wait_ms;
	for (;;) {
		char text[32];
		int length = cgroup_file_read(folder, "cgroup.procs", text, sizeof text);
		if (length <= 0)
			return length;
		const uint64_t now = clock_ms();
		if (now >= deadline)
			return -EBUSY;
		pid_t pid = (pid_t)strtol(text, NULL, 10);
		cleanup_close int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
		struct pollfd ended = {.fd = pidfd, .events = POLLIN};
		(void)poll(&ended, 1, pidfd >= 0 ? (int)(deadline - now) : 1);
		/* Exited but still listed for a moment. */
		if (ended.revents)
			(void)poll(NULL, 0, 1);
	}
}

/* ---- limits ---- */

static int v1_set_memory(int folder, uint64_t bytes)
{
	char text[24] = "-1";
	if (bytes > 0)
		snprintf(text, sizeof text, "%llu", (unsigned long long)bytes);
	/* The limit of memory and swap must never be below that of memory alone, so the
	 * order depends on the direction: try up first, then down. Kernels without swap
	 * accounting do not have it. */
	int both = cgroup_file_write(folder, "memory.memsw.limit_in_bytes", text);
	int result = cgroup_file_write(folder, "memory.limit_in_bytes", text);
	if (result < 0)
		return result;
	if (both < 0 && both != -ENOENT && both != -EOPNOTSUPP)
		both = cgroup_file_write(folder, "memory.memsw.limit_in_bytes", text);
	if (both == -ENOENT || both == -EOPNOTSUPP)
		both = 0;
	/* Swap inside the common limit would still hide a tenant's memory from it. */
	(void)cgroup_file_write(folder, "memory.swappiness", "0");
	return both;
}

static int v1_set_cpu(int folder, uint32_t percent)
{
	int result = cgroup_file_write_u64(folder, "cpu.cfs_period_us", CPU_PERIOD_USEC);
	if (result < 0)
		return result;
	if (percent == 0)
		return cgroup_file_write(folder, "cpu.cfs_quota_us", "-1");
	return cgroup_file_write_u64(
		folder, "cpu.cfs_quota_us", (uint64_t)percent * (CPU_PERIOD_USEC / 100));
}

/* ---- statistics ---- */

static void v1_read_stats(int folder, unsigned controllers, struct cgroup_stats *stats)
{
	uint64_t value;
	if (controllers & CGROUP_BIT(CGROUP_MEMORY)) {
		cgroup_file_read_u64(folder, "memory.usage_in_bytes", NULL, &stats->memory_bytes);
		cgroup_file_read_u64(
			folder, "memory.max_usage_in_bytes", NULL, &stats->memory_peak_bytes);
		cgroup_file_read_u64(folder, "memory.oom_control", "oom_kill", &stats->oom_kills);
		/* "No limit" is the largest number of pages. */
		if (cgroup_file_read_u64(folder, "memory.limit_in_bytes", NULL, &value) == 0 &&
			value < (1ull << 62))
			stats->memory_limit_bytes = value;
	}
	if (controllers & CGROUP_BIT(CGROUP_CPU)) {
		char text[512];
		if (cgroup_file_read(folder, "cpu.stat", text, sizeof text) > 0) {
			cgroup_text_u64(text, "nr_throttled", &stats->throttled);
			if (cgroup_text_u64(text, "throttled_time", &value) == 0)
				stats->throttled_usec = value / 1000;
		}
	}
	if (controllers & CGROUP_BIT(CGROUP_CPUACCT) &&
		cgroup_file_read_u64(folder, "cpuacct.usage", NULL, &value) == 0)
		stats->cpu_usec = value / 1000;
	if (controllers & CGROUP_BIT(CGROUP_PIDS)) {
		cgroup_file_read_u64(folder, "pids.current", NULL, &stats->pids);
		cgroup_file_read_u64(folder, "pids.events", "max", &stats->pids_denied);
	}
}

const struct cgroup_version cgroup_v1 = {
	.set_memory = v1_set_memory,
	.set_cpu = v1_set_cpu,
	.kill = v1_kill,
	.populated = v1_populated,
	.wait_empty = v1_wait_empty,
	.read_stats = v1_read_stats,
};
