/* How much of the confinement a host can give: chosen by the operator, never silently. */
#pragma once

#include <stdbool.h>

enum tier {
	TIER_NONE, /* a policy that asks for none in particular */
	/* Without root and without any capability, as in a container with `--user` or
	 * `--cap-drop ALL`: what Landlock, seccomp and rlimits stop, and no uid of its own. Only
	 * for one tenant (`tenantd run`): two would be one user. */
	TIER_SINGLE,
	/* In a default container, without CAP_SYS_ADMIN: Landlock, seccomp, rlimits, an own
	 * uid; no namespaces, no mounts, and often no cgroups. */
	TIER_CONTAINER,
	TIER_FULL, /* all layers */
};

/* No namespaces and no mounts: the process keeps the root of whoever starts it. */
static inline bool tier_is_bare(unsigned tier)
{
	return tier == TIER_SINGLE || tier == TIER_CONTAINER;
}

/* "", "single", "container", "full" */
const char *tier_name(enum tier tier);
/* -1 when NAME is none. */
int tier_find(const char *name);
