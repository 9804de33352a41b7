/* What this kernel, this machine and this process have of what tenantd uses: for
 * `tenantctl doctor`, with or without a daemon. It looks, and changes nothing. */
#pragma once

#include "common/tier.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum probe_state {
	PROBE_FINE,
	PROBE_NOTE,    /* worth knowing; costs nothing of the confinement */
	PROBE_WEAKER,  /* works, with less: COST says what */
	PROBE_MISSING, /* the tier full is not possible without it */
	PROBE_FATAL,   /* no tier is */
};

struct probe_item {
	const char *group; /* "kernel", "limits", "host", "daemon" */
	const char *name;
	enum probe_state state;
	char value[192];
	char cost[320]; /* "" where there is none */
};

#define PROBE_ITEMS_MAX 64
struct probe_report {
	struct probe_item items[PROBE_ITEMS_MAX];
	size_t count;
	bool no_ids; /* nobody can be given an id of their own: not root, or without capabilities */
};

struct probe_options {
	const char *state_folder; /* its filesystem is asked about; NULL: not */
	uint32_t uid_base, uid_count;
	const char *cgroups; /* what cgroup_host_describe says, of a daemon; NULL: looked for */
	bool limits_missing; /* not all that it needs is there */
	const char *proc;    /* where the kernel tells of its consoles; NULL: /proc */
};

/* Takes some milliseconds. Forks a child (with clone) that it waits for. */
void probe_run(const struct probe_options *options, struct probe_report *ret_report);

/* The best tier that is possible here; TIER_SINGLE is `tenantd run`'s. */
enum tier probe_tier(const struct probe_report *report);
/* "fine", "note", "weaker", "missing", "fatal" */
const char *probe_state_name(enum probe_state state);
