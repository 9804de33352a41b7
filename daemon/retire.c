#include "daemon/retire.h"

#include "common/clock.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/units.h"
#include "daemon/fleet.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* Cheap ones first: the control group's files are read only for who has a limit there. */
static bool is_passed(const struct instance *instance, char text[RETIRE_TEXT_MAX])
{
	const struct manifest_retire *most = &instance->retire;
	char limit[UNITS_TEXT_MAX];
	struct worker_stats stats;
	struct cgroup_stats used;
	/* What the worker says of itself: one that lies is replaced too early or never. */
	if (most->requests && instance_read_stats(instance, &stats) &&
		stats.requests >= most->requests) {
		snprintf(text, RETIRE_TEXT_MAX, "requests %" PRIu64, most->requests);
		return true;
	}
	if (most->age_ms && clock_ns() - instance->ready_ns >= most->age_ms * 1000000) {
		units_format_duration(most->age_ms, limit);
		snprintf(text, RETIRE_TEXT_MAX, "age %s", limit);
		return true;
	}
	if (most->cpu_ms == 0 && most->memory_bytes == 0)
		return false;
	instance_read_use(instance, &used);
	if (most->cpu_ms && used.cpu_usec / 1000 >= most->cpu_ms) {
		units_format_duration(most->cpu_ms, limit);
		snprintf(text, RETIRE_TEXT_MAX, "cpu %s", limit);
		return true;
	}
	if (most->memory_bytes && used.memory_bytes >= most->memory_bytes) {
		units_format_size(most->memory_bytes, limit);
		snprintf(text, RETIRE_TEXT_MAX, "memory %s", limit);
		return true;
	}
	return false;
}

static bool has_limits(const struct manifest_retire *most)
{
	return most->cpu_ms || most->memory_bytes || most->requests || most->age_ms;
}

bool retire_due(const struct instance *instance, char text[RETIRE_TEXT_MAX])
{
	return has_limits(&instance->retire) && !instance->draining &&
	       instance->stage == INSTANCE_READY && instance->ready_ns > 0 &&
	       is_passed(instance, text);
}

void retire_look(struct instance *instance)
{
	struct error error = {0};
	char text[RETIRE_TEXT_MAX];
	if (!retire_due(instance, text))
		return;
	/* What is under way already, or was tried a moment ago, or is not one that serves (yet),
	 * comes again. */
	int result = fleet_replace(instance, text, &error);
	if (result < 0 && result != -EAGAIN && result != -EALREADY && result != -EPERM)
		log_warn("event=not-retired tenant=%s instance=%u reason=\"%s\" message=\"%s\"",
			instance->tenant, instance->id, text, escape_for_log(error.message));
}
