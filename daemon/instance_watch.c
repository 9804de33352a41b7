/* What a worker uses, and what it says of itself: looked at from outside. */
#include "common/cleanup.h"
#include "common/clock.h"
#include "daemon/instance_private.h"

#include <string.h>
#include <sys/stat.h>

/* A single turn of the event loop that has used this many times its limit was not
 * ended by the worker's own watchdog. */
#define CPU_BACKSTOP_FACTOR 10

bool instance_read_stats(const struct instance *instance, struct worker_stats *ret_stats)
{
	if (instance->stats == NULL || instance->stage == INSTANCE_ENDED)
		return false;
	memcpy(ret_stats, instance->stats, sizeof *ret_stats);
	return true;
}

/* Of one process: memory that is its own, and threads. */
static void read_process(pid_t pid, struct cgroup_stats *stats)
{
	char path[32];
	unsigned long long resident, shared;
	snprintf(path, sizeof path, "/proc/%d/statm", pid);
	cleanup_fclose FILE *memory = fopen(path, "re");
	if (memory && fscanf(memory, "%*u %llu %llu", &resident, &shared) == 2)
		stats->memory_bytes = (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
	snprintf(path, sizeof path, "/proc/%d/task", pid);
	struct stat tasks;
	if (stat(path, &tasks) == 0 && tasks.st_nlink > 2)
		stats->pids = tasks.st_nlink - 2;
}

void instance_read_use(const struct instance *instance, struct cgroup_stats *ret_stats)
{
	const struct cgroup_host *host = instance->factory->cgroups;
	clockid_t clock;
	struct timespec time;
	cgroup_read_stats(instance->cgroup, ret_stats);
	if (instance->pidfd < 0)
		return;
	if (ret_stats->cpu_usec == 0 && clock_getcpuclockid(instance->pid, &clock) == 0 &&
		clock_gettime(clock, &time) == 0)
		ret_stats->cpu_usec =
			(uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
	if (cgroup_host_missing(host, CGROUP_MEMORY) && cgroup_host_missing(host, CGROUP_PIDS))
		read_process(instance->pid, ret_stats);
}

void instance_watch_cpu(struct instance *instance)
{
	if (instance->mode == WORKER_MODE_SERVE && instance->stage == INSTANCE_READY)
		slice_review(&instance->slice, instance->pid);
	instance_tell_accept(instance);
	if (instance->stats == NULL || !(instance->stage & INSTANCE_ALIVE) ||
		instance->turn_cpu_ms == 0 || instance->inspection)
		return;
	uint64_t turn_ns = __atomic_load_n(&instance->stats->turn_started_ns, __ATOMIC_RELAXED);
	if (turn_ns == 0) {
		instance->watched_turn_ns = 0;
		return;
	}
	struct cgroup_stats used;
	instance_read_use(instance, &used);
	if (turn_ns != instance->watched_turn_ns) {
		instance->watched_turn_ns = turn_ns;
		instance->watched_cpu_usec = used.cpu_usec;
		return;
	}
	uint64_t turn_used_ms = (used.cpu_usec - instance->watched_cpu_usec) / 1000;
	uint64_t most_ms = instance->turn_cpu_ms;
	if (__atomic_load_n(&instance->stats->turns, __ATOMIC_RELAXED) == 0)
		most_ms = worker_first_turn_ms(instance->turn_cpu_ms);
	if (turn_used_ms > most_ms * CPU_BACKSTOP_FACTOR)
		instance_kill(instance, END_CPU_LIMIT,
			"one turn of the event loop used far more CPU time than "
			"limits.request.cpu allows");
}

uint64_t instance_ready_us(const struct instance *instance)
{
	return instance->ready_ns ? (instance->ready_ns - instance->started_ns) / 1000 : 0;
}
