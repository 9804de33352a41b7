#include "daemon/slice.h"

#include "common/cleanup.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <linux/sched/types.h>

#define SHORT_NS 100000 /* the least that the kernel takes */

/* Percent of one core. */
#define QUIET_PERCENT 20
#define BUSY_PERCENT 40

static uint64_t read_clock(clockid_t clock)
{
	struct timespec time = {0};
	if (clock_gettime(clock, &time) < 0)
		return 0;
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* NS 0: the kernel's own. Others' policies are left alone. */
static void set_thread(pid_t tid, uint64_t ns, uint64_t flags)
{
	struct sched_attr attributes = {.size = sizeof attributes};
	if (sched_getattr(tid, &attributes, sizeof attributes, 0) < 0 ||
		attributes.sched_policy != SCHED_OTHER)
		return;
	attributes.size = sizeof attributes;
	attributes.sched_flags = flags;
	attributes.sched_runtime = ns;
	(void)sched_setattr(tid, &attributes, 0);
}

void slice_shorten_own(void)
{
	set_thread(0, SHORT_NS, SCHED_FLAG_RESET_ON_FORK);
}

static void set_process(pid_t pid, uint64_t ns)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	cleanup_closedir DIR *threads = opendir(path);
	if (threads == NULL)
		return;
	for (struct dirent *entry; (entry = readdir(threads));) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (tid > 0)
			set_thread(tid, ns, 0);
	}
}

void slice_review(struct slice *slice, pid_t pid)
{
	clockid_t clock;
	if (clock_getcpuclockid(pid, &clock) != 0)
		return;
	uint64_t used_ns = read_clock(clock), now_ns = read_clock(CLOCK_MONOTONIC);
	uint64_t span_ns = now_ns - slice->seen_ns, ran_ns = used_ns - slice->used_ns;
	bool first = slice->seen_ns == 0;
	slice->seen_ns = now_ns;
	slice->used_ns = used_ns;
	if (first || span_ns == 0)
		return;
	uint64_t percent = ran_ns * 100 / span_ns;
	if (slice->is_short ? percent < BUSY_PERCENT : percent > QUIET_PERCENT)
		return;
	slice->is_short = !slice->is_short;
	set_process(pid, slice->is_short ? SHORT_NS : 0);
}
