/* How long to wait before a tenant that ended by itself starts again: exponential
 * with full jitter (each delay is random between nothing and the bound, so that many
 * tenants that fail together do not come back together), capped, forgotten after a
 * healthy time. Too many failures within a window: give up. */
#pragma once

#include "policy/manifest.h"

#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_FAILURES_MAX 16

struct backoff_limits {
	uint32_t base_ms;           /* bound of the first delay */
	uint32_t cap_ms;            /* bound of every delay */
	uint32_t floor_ms;          /* no delay is shorter: a crash loop must not be a busy loop */
	uint32_t healthy_ms;        /* whoever served this long starts afresh */
	uint32_t give_up_count;     /* so many failures … at most BACKOFF_FAILURES_MAX */
	uint32_t give_up_window_ms; /* … within this time */
};

extern const struct backoff_limits backoff_defaults;

/* What tenant.json says about it. */
struct backoff_limits backoff_limits_of(const struct manifest *manifest);

struct backoff {
	uint32_t failures;                       /* since the last healthy time */
	uint64_t times_ms[BACKOFF_FAILURES_MAX]; /* of the last failures, a ring */
};

void backoff_reset(struct backoff *backoff);

/* Records a failure at NOW_MS of something that had served for SERVED_MS. Returns true
 * when it was one too many. */
bool backoff_failed(struct backoff *backoff, const struct backoff_limits *limits, uint64_t now_ms,
	uint64_t served_ms);

/* The delay after the last failure; RANDOM is any 64 random bits. */
uint32_t backoff_delay_ms(
	const struct backoff *backoff, const struct backoff_limits *limits, uint64_t random);
