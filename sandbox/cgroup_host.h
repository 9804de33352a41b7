/* The insides of a cgroup_host, for cgroup_host.c and cgroup.c. */
#pragma once

#include "sandbox/cgroup_private.h"

#define CGROUP_NAME_MAX 128

struct cgroup_hierarchy {
	bool v2;
	const struct cgroup_version *version;
	unsigned controllers; /* the ones that we use here */
	int parent, base;     /* folders */
	char path[PATH_MAX];  /* of the base, for messages */
};

struct cgroup_host {
	char *name;
	size_t count;
	struct cgroup_hierarchy hierarchies[CGROUP_HIERARCHIES_MAX];
	int v2;           /* index, or -1 */
	unsigned missing; /* needed controllers that are nowhere */
	int dynmods;      /* the mount that holds favordynmods, or a negative errno */
};

bool cgroup_name_is_good(const char *name);
/* The v2 group below which the base belongs. */
void cgroup_find_v2_parent(const struct cgroup_place *place, char *parent, size_t size);
/* Moves every process of PARENT into a leaf, unless PARENT is the root of all. */
int cgroup_move_to_leaf(int parent, struct error *error);
/* Enables CONTROLLERS for the children of FOLDER (v2). */
int cgroup_enable(int folder, unsigned controllers, struct error *error);
/* Removes NAME, whose open folder is FOLDER, waiting for its processes. */
int cgroup_remove_folder(const struct cgroup_hierarchy *hierarchy, const char *name, int folder,
	uint64_t deadline_ms);
