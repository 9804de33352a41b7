/* While a canary has a weight: the supervisor accepts on the tenant's listeners and hands each
 * connection over to an instance of the one fleet or the other (struct handover of
 * common/protocol.h), so that of any hundred connections in a row exactly so many are the new
 * one's. Within a fleet each instance gets its turn; one whose channel is full is passed
 * over. The workers take no connections from the listeners meanwhile. */
#pragma once

#include "common/error.h"
#include "daemon/fleet.h"

#include <stdint.h>

#include <systemd/sd-event.h>

struct split;

struct split_options {
	sd_event *event;
	/* The caller's, and stay open. */
	const struct listeners *before_listeners, *canary_listeners;
	struct fleet *before, *canary;
	uint32_t percent; /* of the canary, 1 to 99 */
};

int split_new(const struct split_options *options, struct split **ret_split, struct error *error);
/* An instance of one of the fleets is ready: it takes part. */
void split_join(struct split *split, struct instance *instance);
/* One has ended, or drains. Takes NULL. */
void split_leave(struct split *split, uint32_t instance);
/* From now on the workers take connections themselves. Takes NULL; returns NULL. */
struct split *split_free(struct split *split);

/* How many connections were handed to each. */
void split_counts(const struct split *split, uint64_t *ret_before, uint64_t *ret_canary);

/* ---- the arithmetic ---- */

/* Which of two gets the next one: true for the one that has PERCENT of the weight. *ERROR is
 * what was left over so far, and begins with 0: the rest is carried on, so that it comes out
 * exactly, and as evenly as it can. */
static inline bool split_choose(uint32_t *error, uint32_t percent)
{
	*error += percent;
	if (*error < 100)
		return false;
	*error -= 100;
	return true;
}
