#include "daemon/start_queue.h"

#include "common/clock.h"
#include "daemon/fleet_private.h"
#include "daemon/supervisor.h"

#include <sched.h>
#include <stdio.h>
#include <sys/types.h>

static unsigned processors(void)
{
	cpu_set_t set;
	/* More than the set can hold: then there are many. */
	const int count =
		sched_getaffinity(0, sizeof set, &set) < 0 ? CPU_SETSIZE : CPU_COUNT(&set);
	return count > 0 ? (unsigned)count : 1;
}

/* ---- who starts ---- */

static bool is_starting(const struct instance *instance)
{
	return (instance->stage == INSTANCE_BOOTING || instance->stage == INSTANCE_CONFINED) &&
	       instance->mode == WORKER_MODE_SERVE && !instance->draining;
}

static unsigned count_starting(const struct supervisor *supervisor)
{
	unsigned count = supervisor->proofs;
	for (const struct instance *next = supervisor->factory.instances; next;
		next = next->sibling)
		count += is_starting(next) && !next->start_waits;
	return count;
}

/* For how long its main thread ran, or wanted to: a processor that others have is wanted all the
 * same. Of a kernel that does not say, it always did. */
static uint64_t wanted_ns(const struct instance *instance)
{
	char path[64];
	unsigned long long ran, waited;
	snprintf(path, sizeof path, "/proc/%d/schedstat", (int)instance->pid);
	FILE *file = fopen(path, "re");
	const bool known = file && fscanf(file, "%llu %llu", &ran, &waited) == 2;
	if (file)
		fclose(file);
	return known ? ran + waited : clock_ns();
}

/* One that waits is known to until it is ready: what it wants then is little. */
static void look_at(struct instance *instance)
{
	const uint64_t now = clock_ns(), wanted = wanted_ns(instance);
	const uint64_t elapsed = now - instance->start_looked_ns;
	const bool before = instance->start_looked_ns != 0;
	if (before &&
		(wanted - instance->start_wanted_ns) * 100 < elapsed * START_QUEUE_BUSY_PERCENT)
		instance->start_waits = true;
	instance->start_looked_ns = now;
	instance->start_wanted_ns = wanted;
}

/* ---- the queue ---- */

static int look(sd_event_source *source, uint64_t usec, void *data)
{
	struct supervisor *supervisor = data;
	(void)usec;
	for (struct instance *next = supervisor->factory.instances; next; next = next->sibling)
		if (is_starting(next) && !next->start_waits)
			look_at(next);
	struct fleet *first = supervisor->start_queue.first;
	/* One at each look, so that slow starts stay one after the other. */
	if (first && !first->hurried && clock_ms() - first->queued_ms >= START_QUEUE_WAIT_MS)
		start_queue_hurry(supervisor, first);
	if (supervisor->start_queue.first) {
		sd_event_source_set_time_relative(source, START_QUEUE_LOOK_MS * 1000);
		sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
		start_queue_moved(supervisor);
	}
	return 0;
}

static int take_turns(sd_event_source *source, void *data)
{
	struct supervisor *supervisor = data;
	struct start_queue *queue = &supervisor->start_queue;
	(void)source;
	/* Each turn is the end of one slot's wait. */
	while (queue->first && (queue->first->hurried || count_starting(supervisor) < queue->most))
		fleet_take_turn(queue->first);
	return 0;
}

void start_queue_moved(struct supervisor *supervisor)
{
	struct start_queue *queue = &supervisor->start_queue;
	if (queue->first)
		sd_event_source_set_enabled(queue->turn, SD_EVENT_ONESHOT);
}

static int open_queue(struct supervisor *supervisor)
{
	struct start_queue *queue = &supervisor->start_queue;
	int result = 0;
	if (queue->most == 0)
		queue->most = START_QUEUE_EACH * processors();
	if (queue->turn == NULL)
		result =
			sd_event_add_defer(supervisor->event, &queue->turn, take_turns, supervisor);
	if (result >= 0 && queue->looking == NULL)
		result = sd_event_add_time_relative(supervisor->event, &queue->looking,
			CLOCK_MONOTONIC, START_QUEUE_LOOK_MS * 1000, 100000, look, supervisor);
	else if (result >= 0 && queue->first == NULL) {
		sd_event_source_set_time_relative(queue->looking, START_QUEUE_LOOK_MS * 1000);
		sd_event_source_set_enabled(queue->looking, SD_EVENT_ONESHOT);
	}
	return result < 0 ? result : 0;
}

int start_queue_add(struct supervisor *supervisor, struct fleet *fleet)
{
	struct start_queue *queue = &supervisor->start_queue;
	if (fleet->queued)
		return 0;
	int result = open_queue(supervisor);
	if (result < 0)
		return result;
	fleet->queued = true;
	fleet->hurried = false;
	fleet->queued_ms = clock_ms();
	fleet->queue_next = NULL;
	if (queue->last)
		queue->last->queue_next = fleet;
	else
		queue->first = fleet;
	queue->last = fleet;
	start_queue_moved(supervisor);
	return 0;
}

void start_queue_remove(struct supervisor *supervisor, struct fleet *fleet)
{
	struct start_queue *queue = &supervisor->start_queue;
	struct fleet *before = NULL, *next = queue->first;
	if (!fleet->queued)
		return;
	for (; next != fleet; next = next->queue_next)
		before = next;
	if (before)
		before->queue_next = fleet->queue_next;
	else
		queue->first = fleet->queue_next;
	if (queue->last == fleet)
		queue->last = before;
	fleet->queued = false;
}

void start_queue_hurry(struct supervisor *supervisor, struct fleet *fleet)
{
	struct start_queue *queue = &supervisor->start_queue;
	if (!fleet->queued || fleet->hurried)
		return;
	start_queue_remove(supervisor, fleet);
	fleet->hurried = fleet->queued = true;
	fleet->queue_next = queue->first;
	queue->first = fleet;
	if (queue->last == NULL)
		queue->last = fleet;
	start_queue_moved(supervisor);
}

void start_queue_close(struct supervisor *supervisor)
{
	struct start_queue *queue = &supervisor->start_queue;
	queue->turn = sd_event_source_disable_unref(queue->turn);
	queue->looking = sd_event_source_disable_unref(queue->looking);
}
