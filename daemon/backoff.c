#include "daemon/backoff.h"

#include <string.h>

const struct backoff_limits backoff_defaults = {
	.base_ms = 100,
	.cap_ms = 60 * 1000,
	.floor_ms = 10,
	.healthy_ms = 30 * 1000,
	.give_up_count = 10,
	.give_up_window_ms = 5 * 60 * 1000,
};

struct backoff_limits backoff_limits_of(const struct manifest *manifest)
{
	const struct manifest_backoff *wanted = &manifest->backoff;
	struct backoff_limits limits = backoff_defaults;
	limits.base_ms = (uint32_t)wanted->base_ms;
	limits.cap_ms = (uint32_t)wanted->cap_ms;
	limits.healthy_ms = (uint32_t)wanted->reset_ms;
	limits.give_up_window_ms = (uint32_t)wanted->crashloop_window_ms;
	limits.give_up_count = wanted->crashloop_count < BACKOFF_FAILURES_MAX
				       ? (uint32_t)wanted->crashloop_count
				       : BACKOFF_FAILURES_MAX;
	return limits;
}

void backoff_reset(struct backoff *backoff)
{
	memset(backoff, 0, sizeof *backoff);
}

bool backoff_failed(struct backoff *backoff, const struct backoff_limits *limits, uint64_t now_ms,
	uint64_t served_ms)
{
	if (served_ms >= limits->healthy_ms)
		backoff_reset(backoff);
	uint32_t count = limits->give_up_count;
	backoff->times_ms[backoff->failures % count] = now_ms;
	backoff->failures++;
	if (backoff->failures < count)
		return false;
	/* The slot that the next failure will take holds the oldest of the last COUNT. */
	uint64_t oldest_ms = backoff->times_ms[backoff->failures % count];
	return now_ms - oldest_ms <= limits->give_up_window_ms;
}

uint32_t backoff_delay_ms(
	const struct backoff *backoff, const struct backoff_limits *limits, uint64_t random)
{
	uint32_t doublings = backoff->failures > 0 ? backoff->failures - 1 : 0;
	uint64_t bound = limits->cap_ms;
	if (doublings < 32 && ((uint64_t)limits->base_ms << doublings) < bound)
		bound = (uint64_t)limits->base_ms << doublings;
	uint64_t delay = random % (bound + 1);
	return (uint32_t)(delay < limits->floor_ms ? limits->floor_ms : delay);
}
