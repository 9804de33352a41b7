/* What tenantd-egress and tenantd-ingress have in common on the inside: how they lose what
 * they do not need, and how they end when they hang. (daemon/helper_process.h: how the
 * supervisor starts them.) All tenants need them, and all tenants speak with them. */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct filter_rule; /* sandbox/filter.h */

/* Many descriptors, no core dump, no locked memory, and others are killed first when memory
 * runs out. */
int helper_limits(struct error *error);
/* ID, which is not 0, as user and group, without any capability and any way to new ones;
 * not dumpable; dies with the supervisor. */
int helper_become(uint32_t id, struct error *error);
/* Allows these calls and nothing else: EPERM. Last, because it forbids the other steps. */
int helper_filter(const int *calls, size_t call_count, const struct filter_rule *rules,
	size_t rule_count, struct error *error);

/* Ends the process (exit code 70) when it is busy with one turn of its loop for fifteen
 * seconds, for the supervisor to start another. A call that waits (close(2) of a socket
 * that a tenant has given a long SO_LINGER) is interrupted before. Takes SIGALRM and the
 * timer of setitimer(2). 0 or -errno. */
int helper_watchdog(void);
/* A turn begins, or the process waits for the next. */
void helper_busy(bool busy);
