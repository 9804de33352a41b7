/* The confinement of one process: each step is one function, and they run in the one
 * order that is safe. sandbox_spawn forks the process into its namespaces and cgroup;
 * the child then calls sandbox_prepare (all that needs no tenant), sandbox_enter (the
 * tenant's root, ids, limits, Landlock), makes its last preparations and calls
 * sandbox_seal (seccomp) and sandbox_check, which tries what must be forbidden.
 * A step that fails ends the start: a process that is confined in part must not run
 * on. Linux only; needs root in a user namespace that may map uid_base…. */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- the parent ---- */

struct sandbox_spawn {
	uint32_t uid_base;       /* first host id mapped into the new user namespace, as 0 */
	uint32_t uid_count;      /* how many */
	int cgroup_v2;           /* folder for CLONE_INTO_CGROUP, or -1 */
	const int *cgroup_procs; /* v1 cgroup.procs files, open for writing */
	size_t cgroup_procs_count;
};

/* Makes the detached, read-only, inert mount of a release folder that sandbox_enter
 * puts at /app. FOLDER must be in the caller's mount namespace and the caller root
 * there. Returns its descriptor, the caller's, or a negative errno. */
int sandbox_release_mount(int folder, struct error *error);

/* The version of Landlock that the kernel has (for status and doctor), or a negative
 * errno when it has none; then sandbox_enter fails. */
int sandbox_landlock_abi(void);

/* Like fork: returns 0 in the child, the pid in the parent, or a negative errno. The
 * child is a child of the caller's *parent* (CLONE_PARENT), in new user, mount, pid,
 * net, ipc, uts and cgroup namespaces, in its cgroups, with its id maps written, root
 * in its user namespace; it does not return from here before all of that is so, and
 * dies if the parent fails to do it (its parent then gets a SIGCHLD for a pid that it
 * was never told). Signal handlers are inherited. glibc's cached thread id is right in the child.
 * *ret_pidfd becomes the caller's. The caller must have one thread. */
pid_t sandbox_spawn(const struct sandbox_spawn *spawn, int *ret_pidfd, struct error *error);

/* Moves the caller into new network and IPC namespaces, which the next child of
 * sandbox_spawn inherits instead of having its own made: half a millisecond that a
 * caller with nothing else to do spends before it is asked. The child has no rights over
 * them at all. Each serves one child; without this call, or after a failure, sandbox_spawn
 * makes what it needs. */
int sandbox_namespaces_ahead(struct error *error);

/* For a long-lived process that spawns: leaves the host's mounts for an empty tmpfs,
 * so that each child copies few mounts. /proc stays reachable by a descriptor that
 * sandbox_spawn alone uses, and that the child closes before it returns. */
int sandbox_small_root(struct error *error);

/* The seccomp filter as a BPF program, made once and loaded by each child with one
 * system call (libseccomp's binary tree; hot calls by number alone). */
struct sandbox_filter;
struct sandbox_filter_options {
	bool jitless;    /* forbid executable memory */
	bool test_hooks; /* never in production: a call that is not on the list raises SIGSYS
			    instead of failing, so that a developer sees which it was */
};
int sandbox_filter_build(const struct sandbox_filter_options *options,
	struct sandbox_filter **ret_filter, struct error *error);
struct sandbox_filter *sandbox_filter_free(struct sandbox_filter *filter);

/* ---- the child ---- */

/* Dies with the supervisor (PDEATHSIG; CHANNEL's peer must still be there), new
 * session, private mounts, an empty root of its own with the mount points, pivoted
 * into; core dumps off. Needs no tenant. */
int sandbox_prepare(int channel, struct error *error);

struct sandbox_enter {
	int channel;     /* the supervisor's, to make sure once more that it is there; 0: not */
	int release;     /* detached mount (open_tree), put at /app; -1: none. Stays the caller's */
	uint32_t uid;    /* uid and gid inside the namespace, not 0 */
	uint32_t files;  /* RLIMIT_NOFILE */
	const int *keep; /* descriptors that stay open, ascending; 0-2 are always kept */
	size_t keep_count;
	uint32_t skip; /* test only: bit mask of enum sandbox_step left out */
};
/* Mount of the release, read-only root, rlimits, bounding set, securebits, ids, empty
 * capability sets, not dumpable, no_new_privs, every other descriptor closed, Landlock. */
int sandbox_enter(const struct sandbox_enter *enter, struct error *error);

/* seccomp: the last step. Afterwards only the allow-list works. */
int sandbox_seal(const struct sandbox_filter *filter, struct error *error);

/* Tries what must be forbidden (open outside, socket, fork, exec, mount, ptrace, kill,
 * setuid, new user namespace, …); the first that works is the error. Cheap: each must
 * fail at the door. */
int sandbox_check(struct error *error);
