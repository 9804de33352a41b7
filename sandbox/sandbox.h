/* The confinement of one process: each step is one function, and they run in the one
 * order that is safe. sandbox_spawn forks the process into its namespaces and cgroup;
 * the child then calls sandbox_prepare (all that needs no tenant), sandbox_enter (the
 * tenant's root, ids, limits, Landlock), makes its last preparations and calls
 * sandbox_seal (seccomp) and sandbox_check, which tries what must be forbidden.
 * A step that fails ends the start: a process that is confined in part must not run
 * on. Linux only; needs root in a user namespace that may map uid_base…. */
#pragma once

#include "common/error.h"
#include "common/tier.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Where a field or argument says `tier`: TIER_CONTAINER makes no namespaces and no mounts,
 * TIER_SINGLE changes no ids either, everything else is TIER_FULL. sandbox.c has the list of the steps of each. */

/* ---- the parent ---- */

struct sandbox_spawn {
	enum tier tier;
	uint32_t uid_base;       /* first host id mapped into the new user namespace, as 0 */
	uint32_t uid_count;      /* how many */
	int cgroup_v2;           /* folder for CLONE_INTO_CGROUP, or -1 */
	const int *cgroup_procs; /* v1 cgroup.procs files, open for writing */
	size_t cgroup_procs_count;
	uint64_t share; /* test only: namespaces (CLONE_NEW…) that it does not get; 0 */
};

/* Makes the detached, read-only, inert mount of a release folder that sandbox_enter
 * puts at /app. FOLDER must be in the caller's mount namespace and the caller root
 * there. Returns its descriptor, the caller's, or a negative errno. */
int sandbox_release_mount(int folder, struct error *error);

/* The version of Landlock that the kernel has (for status and doctor), or a negative
 * errno when it has none; then sandbox_enter fails. */
int sandbox_landlock_abi(void);
/* The oldest one that will do for files with no mounts before it (tier container): it knows
 * TRUNCATE. */
#define SANDBOX_LANDLOCK_ABI_ALONE 3

/* Like fork: returns 0 in the child, the pid in the parent, or a negative errno. The
 * child is a child of the caller's *parent* (CLONE_PARENT), in tier full in new user, mount, pid,
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

/* ---- the parent: files of the host that a tenant is granted ---- */

enum sandbox_grant_flag {
	SANDBOX_GRANT_WRITE = 1 << 0,   /* and read */
	SANDBOX_GRANT_FOLDER = 1 << 1,  /* else a file */
	SANDBOX_GRANT_EXECUTE = 1 << 2, /* programs in it may be run: jobs */
};

/* One granted file or folder as a mount that nothing refers to but its descriptor. */
struct sandbox_grant {
	const char *path; /* absolute, normalised: where it is, inside as outside */
	int mount;        /* descriptor; stays the caller's. Tier container: of the file itself */
	unsigned flags;   /* enum sandbox_grant_flag */
};

/* Opens GRANT's path once and makes its mount of what is there now: nodev, nosuid, noexec
 * unless EXECUTE, read-only unless WRITE. Sets the FOLDER flag. What is mounted below the
 * path on the host is not part of it.
 *
 * Symbolic links on the way are followed where only root could have put them: in folders
 * that are root's, that nobody else may write, and that were never granted for writing
 * (sandbox_grant_distrust). Elsewhere a tenant could have moved its grant to /etc.
 *
 * The owner of the file or folder becomes ID (uid and gid, of the host) in this mount, and
 * what ID makes there becomes the owner's. Where the file system cannot do that the mount is
 * a plain one and WARNING, else "", says so.
 *
 * Errors are those of open(2), and -EINVAL for what is neither file nor folder, -ELOOP for
 * a link that must not be followed, -EPERM for the kernel's own file systems (proc, cgroup
 * and the like) and for "/" and "/app"; ERROR begins with PATH. */
int sandbox_grant_mount(
	struct sandbox_grant *grant, uint32_t id, char warning[256], struct error *error);

/* The same in tier container, where there are no mounts: a descriptor (O_PATH) of what is
 * there now, for a Landlock rule. What is mounted below a granted folder is part of it, and
 * owners and modes are what they are: WARNING says when they keep ID from what it is granted.
 * "/app" may be granted, as it is no special place there. */
int sandbox_grant_place(
	struct sandbox_grant *grant, uint32_t id, char warning[256], struct error *error);

/* Remembers that tenants may write below PATH, which need not exist: no symbolic link there
 * is followed any more. sandbox_grant_mount does so itself for what it grants, and marks it
 * (an attribute trusted.tenantd.written) for daemons to come; the order matters only among
 * the first grants of different tenants. */
void sandbox_grant_distrust(const char *path);

/* ---- the parent: programs of the host that a tenant's job may run ---- */

/* Opens (O_PATH; the caller's) the program, or folder of programs, that PATH, absolute and
 * normalised, is now, following symbolic links as sandbox_grant_mount does: where only root
 * could have put them. Errors as there; -EACCES for what lies in a folder through which the
 * host's user ID may not pass, by owner and mode. */
int sandbox_program_open(
	const char *path, uint32_t id, struct stat *ret_status, struct error *error);
/* A mount of it, with what is mounted below it: read-only, nosuid, nodev, and executable.
 * Returns its descriptor, the caller's; REAL (PATH_MAX bytes): where PATH led to. */
int sandbox_program_mount(const char *path, uint32_t id, char *real, struct error *error);

/* ---- the parent: seccomp ---- */

/* The seccomp filter as a BPF program, made once and loaded by each child with one
 * system call (libseccomp's binary tree; hot calls by number alone). */
struct sandbox_filter;

enum sandbox_files {
	SANDBOX_FILES_NONE,  /* its release, to read */
	SANDBOX_FILES_READ,  /* and granted files, to read, list and watch */
	SANDBOX_FILES_WRITE, /* and to write, make, remove */
};
struct sandbox_filter_options {
	enum tier tier;
	bool jitless; /* forbid executable memory */
	enum sandbox_files files;
	bool network; /* sockets are handed to it: to accept on, to set options of */
	bool report;  /* what is forbidden raises SIGSYS, whose handler (sandbox_seal installs
			 it) makes the call fail and tells sandbox_report_violations' channel.
			 Else it just fails */
};
int sandbox_filter_build(const struct sandbox_filter_options *options,
	struct sandbox_filter **ret_filter, struct error *error);
struct sandbox_filter *sandbox_filter_free(struct sandbox_filter *filter);

/* One for each kind of tenant, all with `report`: [files][network]. */
struct sandbox_filters {
	struct sandbox_filter *of[SANDBOX_FILES_WRITE + 1][2];
};
int sandbox_filters_build(
	enum tier tier, bool jitless, struct sandbox_filters *ret, struct error *error);

/* The name of the system call NUMBER ("mount"), or "syscall 999". Valid until the next call. */
const char *sandbox_syscall_name(int number);

/* ---- the child ---- */

/* Dies with the supervisor (PDEATHSIG; CHANNEL's peer must still be there), new
 * session, core dumps off; in tier full private mounts, an empty root of its own with the
 * mount points, pivoted into. Needs no tenant. */
int sandbox_prepare(enum tier tier, int channel, struct error *error);

struct sandbox_enter {
	int channel;      /* the supervisor's, to make sure once more that it is there; 0: not */
	int release;      /* detached mount (open_tree), put at /app; -1: none. Stays the caller's.
			     Tier container: the folder */
	const char *root; /* tier container: the path of that folder */
	uint32_t uid;     /* uid and gid inside the namespace, not 0. Tier container: the host's */
	uint32_t files;   /* RLIMIT_NOFILE */
	uint32_t tier;    /* enum tier */
	uint64_t memory_bytes; /* tier container: RLIMIT_DATA, on top of what is there; 0: none */
	uint32_t threads;      /* tier container: RLIMIT_NPROC, of all with that uid; 0: none */
	const int *keep;       /* descriptors that stay open, ascending; 0-2 are always kept */
	size_t keep_count;
	const struct sandbox_grant *grants; /* ascending by path: parents first */
	size_t grant_count;
	uint64_t tmp_bytes; /* of a private, writable /tmp; 0: none. Not in tier container */
	uint32_t skip;      /* test only: bit mask of enum sandbox_step left out */
};
/* Mounts of the release, of grants and /tmp, read-only root, rlimits, bounding set, securebits,
 * ids, empty capability sets, not dumpable, no_new_privs, every other descriptor closed, Landlock.
 */
int sandbox_enter(const struct sandbox_enter *enter, struct error *error);

/* seccomp: the last step. Afterwards only the allow-list works, in every thread that
 * there is or will be. */
int sandbox_seal(const struct sandbox_filter *filter, struct error *error);

/* Tries what must be forbidden (open outside, socket, fork, exec, mount, ptrace, kill,
 * setuid, new user namespace, …) to a process that entered with ENTER; the first that works
 * is the error. Cheap: each must fail at the door. */
int sandbox_check(const struct sandbox_enter *enter, struct error *error);

/* From now on violations of a filter with `report` are told to CHANNEL as AUDIT messages
 * (AUDIT_SYSCALL, AUDIT_LAYER_SECCOMP, the call's number, no resource): at most ten a second,
 * each number once in ten seconds. Call it behind sandbox_check, which violates a lot. */
void sandbox_report_violations(int channel, uint32_t instance);
