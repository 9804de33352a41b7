/* What the host must be able to do. */
#pragma once

#include "common/error.h"
#include "common/tier.h"

#include <stdbool.h>
#include <stdint.h>

/* Checks all that TIER needs; the first thing that is missing is the error, in one sentence that
 * says what to do. The ids are those that workers will get. */
int kernel_check(enum tier tier, uint32_t uid_base, uint32_t uid_count, struct error *error);

/* The best tier whose privileges we have: full, container or single. Whether the kernel has
 * the rest is kernel_check's to say. */
enum tier kernel_best_tier(void);
/* Are these ids mapped into our user namespace? */
bool kernel_has_ids(uint32_t uid_base, uint32_t uid_count);
