/* What the host must be able to do. */
#pragma once

#include "common/error.h"
#include "common/tier.h"

#include <stdint.h>

/* Checks all that TIER needs; the first thing that is missing is the error, in one sentence that
 * says what to do. The ids are those that workers will get. */
int kernel_check(enum tier tier, uint32_t uid_base, uint32_t uid_count, struct error *error);
