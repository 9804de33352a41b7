/* A worker: one process for one instance of one tenant, forked from the zygote. */
#pragma once

#include "isolate/runtime.h"
#include "sandbox/sandbox.h"

/* Looks the hooks of the worker up, in the zygote, before any fork. */
void worker_bind(void);

/* The life of a worker, from the return of sandbox_spawn in the child to its exit.
 * It was made for TIER. CHANNEL is its end of the channel to the supervisor; START decides which of
 * FILTERS it gets. */
_Noreturn void worker_main(enum tier tier, int channel, const struct sandbox_filters *filters);
