/* What cgroup.c, cgroup_layout.c, cgroup_v1.c and cgroup_v2.c share; also for tests. */
#pragma once

#include "common/error.h"
#include "sandbox/cgroup.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CGROUP_HIERARCHIES_MAX 8
#define CGROUP_BIT(controller) (1u << (controller))

/* ---- cgroup_layout.c: where the hierarchies are ---- */

struct cgroup_place {
	bool v2;
	unsigned controllers; /* v1: CGROUP_BITs that it has; v2: not known yet */
	char mount[PATH_MAX]; /* where it is mounted */
	char own[PATH_MAX];   /* this process's group below that: "" or "/a/b" */
};

struct cgroup_layout {
	size_t count;
	struct cgroup_place places[CGROUP_HIERARCHIES_MAX];
};

/* From the texts of /proc/self/mountinfo and /proc/self/cgroup. A hierarchy whose part
 * that we are in is not visible (a mount of another container's) is left out. */
void cgroup_layout_parse(
	const char *mountinfo, const char *self_cgroup, struct cgroup_layout *ret_layout);

/* "memory" -> CGROUP_MEMORY; -1: none of ours. */
int cgroup_controller_find(const char *name, size_t length);
const char *cgroup_controller_name(enum cgroup_controller controller);

/* ---- the files of one group; FOLDER is a descriptor ---- */

/* 0 or a negative errno, -ENOENT when the file is not there. */
int cgroup_file_write(int folder, const char *file, const char *text);
int cgroup_file_write_u64(int folder, const char *file, uint64_t value);
/* Reads a small file as text. Returns the length or a negative errno. */
int cgroup_file_read(int folder, const char *file, char *text, size_t size);
/* The number that TEXT is, or the one after KEY in lines of "key value". -ENOENT when there
 * is none; "max" is UINT64_MAX. */
int cgroup_text_u64(const char *text, const char *key, uint64_t *ret_value);
/* The same of a file. */
int cgroup_file_read_u64(int folder, const char *file, const char *key, uint64_t *ret_value);

/* What differs between the versions. CONTROLLERS are the ones of this hierarchy. */
struct cgroup_version {
	int (*set_memory)(int folder, uint64_t bytes);
	int (*set_cpu)(int folder, uint32_t percent);
	int (*kill)(int folder, unsigned controllers);
	int (*populated)(int folder);
	/* Until no process is left; 0, or -EBUSY after WAIT_MS. */
	int (*wait_empty)(int folder, unsigned wait_ms);
	void (*read_stats)(int folder, unsigned controllers, struct cgroup_stats *stats);
};
extern const struct cgroup_version cgroup_v1, cgroup_v2;

/* SIGKILL to all of cgroup.procs, until two looks show nothing new. */
int cgroup_kill_listed(int folder);
