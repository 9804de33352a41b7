/* Limits on memory, CPU and processes, by control groups: one group for each
 * instance, in a base folder of the daemon's. Works on cgroup v2, on v1, and on hybrid
 * hosts, where v1 has the controllers and a v2 tree beside it is used for what only v2
 * can: place a process at its birth (CLONE_INTO_CGROUP) and kill a whole tree at once
 * (cgroup.kill).
 * Sources: cgroups(7), the kernel's admin-guide/cgroup-v2 and cgroup-v1. */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- the host ---- */

/* What a host can be asked to limit. */
enum cgroup_controller {
	CGROUP_MEMORY,
	CGROUP_CPU,
	CGROUP_PIDS,
	CGROUP_CONTROLLERS_NEEDED,
	/* v1 only, useful but not needed: v2 has both in its core. */
	CGROUP_CPUACCT = CGROUP_CONTROLLERS_NEEDED,
	CGROUP_FREEZER,
	CGROUP_CONTROLLER_COUNT,
};

struct cgroup_host;

/* Finds the hierarchies and makes the base folder NAME in each: below the daemon's own
 * group where that was delegated to it (systemd's Delegate=yes, a container, any v1
 * hierarchy), otherwise at the top of the tree, as docker does it. On v2, where a group
 * with processes cannot hand controllers to its children, a delegated own group's
 * processes are moved to a leaf `supervisor` beside the base folder.
 * On v1 it also holds `favordynmods` on for as long as the host is open, so that moving
 * a process takes 0.03 ms and not 10-18 (see cgroup_host_describe if that failed).
 * Fails closed with -ENOTSUP when a needed controller is missing, unless
 * LIMITS_MAY_BE_MISSING; then cgroup_host_missing says which, and hierarchies that may not be
 * changed (read-only, as in a default container) are as good as missing. */
int cgroup_host_open(const char *name, bool limits_may_be_missing, struct cgroup_host **ret_host,
	struct error *error);
/* Removes the base folders if they are empty. */
struct cgroup_host *cgroup_host_close(struct cgroup_host *host);

/* Kills and removes whatever an earlier run left in the base folder. Waits at most
 * WAIT_MS for processes to go; -EBUSY names the group that did not. */
int cgroup_host_clean(struct cgroup_host *host, unsigned wait_ms, struct error *error);

/* The same for all but those that KEEP (called with DATA) wants: a daemon that takes over from
 * another keeps the groups of what goes on. */
typedef bool cgroup_keep_fn(void *data, const char *name);
int cgroup_host_clean_but(struct cgroup_host *host, unsigned wait_ms, cgroup_keep_fn *keep,
	void *data, struct error *error);

/* "v2", "v1", "hybrid" or "none". */
const char *cgroup_host_version(const struct cgroup_host *host);
/* True when the host cannot limit this. */
bool cgroup_host_missing(const struct cgroup_host *host, enum cgroup_controller controller);
/* One line for status and doctor: the version, where the base is, what is missing and
 * what that costs. Returns the length. */
size_t cgroup_host_describe(const struct cgroup_host *host, char *text, size_t size);

/* ---- one instance ---- */

struct cgroup;

/* Makes the group NAME (a file name) in every hierarchy. One that exists already is
 * taken over if it is empty, and -EBUSY otherwise. HOST must live longer. */
int cgroup_create(const struct cgroup_host *host, const char *name, struct cgroup **ret_cgroup,
	struct error *error);
/* One that is there, with whatever runs in it. -ENOENT when it is not in every hierarchy. */
int cgroup_adopt(const struct cgroup_host *host, const char *name, struct cgroup **ret_cgroup,
	struct error *error);
const char *cgroup_name(const struct cgroup *cgroup);
/* Closes the descriptors; the group stays. */
struct cgroup *cgroup_free(struct cgroup *cgroup);

struct cgroup_limits {
	uint64_t memory_bytes; /* memory, kernel memory included, and no swap; 0: no limit */
	uint32_t cpu_percent;  /* of one CPU; 150 is one and a half; 0: no limit */
	uint32_t pids;         /* processes and threads; 0: no limit */
};
/* May be called again while processes run. A limit that the host cannot set because its
 * controller is missing is left out: cgroup_host_open has decided that. -EBUSY when
 * more memory is in use than the new limit and cannot be reclaimed (v1). */
int cgroup_set_limits(
	struct cgroup *cgroup, const struct cgroup_limits *limits, struct error *error);

/* Descriptors for SPAWN and sandbox_spawn; they stay the group's. */
int cgroup_v2_folder(const struct cgroup *cgroup);                           /* -1: none */
size_t cgroup_procs_files(const struct cgroup *cgroup, const int **ret_fds); /* v1 */

/* Kills every process in it, also one that is forking at this moment; 0 without any
 * hierarchy, where the caller's pidfd has to do. Returns when the signals are sent: processes are
 * gone when cgroup_populated says no. */
int cgroup_kill(struct cgroup *cgroup, struct error *error);

/* 1 when a process that is not a zombie is in it, else 0, or a negative errno. */
int cgroup_populated(const struct cgroup *cgroup);

/* Removes the group in every hierarchy. Its processes must be dying: waits for them at
 * most WAIT_MS, then -EBUSY; call again at the next event. What is already gone is no
 * error. The struct stays the caller's, for cgroup_free. */
int cgroup_remove(struct cgroup *cgroup, unsigned wait_ms, struct error *error);

struct cgroup_stats {
	uint64_t memory_bytes;
	uint64_t memory_peak_bytes;  /* 0: unknown */
	uint64_t memory_limit_bytes; /* 0: none */
	uint64_t cpu_usec;
	uint64_t throttled_usec; /* time that it wanted to run and was over its quota */
	uint64_t throttled;      /* how many periods */
	uint64_t pids;
	uint64_t oom_kills;   /* processes killed because of its own limit */
	uint64_t pids_denied; /* processes and threads refused because of its own limit */
};
/* What cannot be read is 0. */
void cgroup_read_stats(const struct cgroup *cgroup, struct cgroup_stats *ret_stats);
