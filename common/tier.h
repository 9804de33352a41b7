/* How much of the confinement a host can give: chosen by the operator, never silently. */
#pragma once

enum tier {
	TIER_NONE, /* a policy that asks for none in particular */
	/* In a default container, without CAP_SYS_ADMIN: Landlock, seccomp, rlimits, an own
	 * uid; no namespaces, no mounts, and often no cgroups. */
	TIER_CONTAINER,
	TIER_FULL, /* all layers */
};

/* "", "container", "full" */
const char *tier_name(enum tier tier);
/* -1 when NAME is none. */
int tier_find(const char *name);
