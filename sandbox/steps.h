/* The steps of the confinement, one function each: what sandbox.c puts in order and
 * what the tests try one at a time. Private to sandbox/ and its tests. */
#pragma once

#include "common/error.h"
#include "sandbox/identity.h"
#include "sandbox/landlock.h"
#include "sandbox/sandbox.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The steps of sandbox_enter that a test can leave out (sandbox_enter.skip), to show
 * that the others hold without it. */
enum sandbox_step {
	SANDBOX_STEP_RELEASE = 1 << 0,
	SANDBOX_STEP_DESCRIPTORS = 1 << 1,
	SANDBOX_STEP_LIMITS = 1 << 2,
	SANDBOX_STEP_BOUNDING = 1 << 3,
	SANDBOX_STEP_SECUREBITS = 1 << 4,
	SANDBOX_STEP_IDS = 1 << 5,
	SANDBOX_STEP_CAPABILITIES = 1 << 6,
	SANDBOX_STEP_DUMPABLE = 1 << 7,
	SANDBOX_STEP_SUPERVISOR = 1 << 8,
	SANDBOX_STEP_NO_NEW_PRIVILEGES = 1 << 9,
	SANDBOX_STEP_FOLDER = 1 << 10,
	SANDBOX_STEP_LANDLOCK = 1 << 11,
	SANDBOX_STEP_MOUNTS = 1 << 12, /* of grants and /tmp; Landlock keeps its rules for them */
};

/* ---- spawn.c ---- */

/* clone3, or where that is missing clone, which cannot place the child in a cgroup: then
 * *CGROUP (a v2 folder or -1, for CLONE_INTO_CGROUP) becomes -1. Returns as they do, with
 * errno. FLAGS are CLONE_… without an exit signal. */
pid_t spawn_clone(uint64_t flags, int *ret_pidfd, int *child_tid, int *cgroup);

/* The calling process's glibc thread id, which fork would keep right and a raw clone
 * does not; NULL when the kernel cannot tell. */
int *spawn_tid_address(void);

/* A descriptor of /proc as the caller sees it; kept open, close-on-exec. */
int spawn_proc(struct error *error);
/* Writes TEXT to PATH, relative to that. */
int spawn_write_proc(const char *path, const char *text, struct error *error);

/* ---- supervisor.c ---- */

/* Dies with its parent, and makes sure, unless CHANNEL is -1, that it is still there. */
int supervisor_watch(int channel, struct error *error);
/* New session, new session keyring, umask. */
int supervisor_leave_session(struct error *error);

/* ---- root.c ---- */

struct root_options {
	const char *const *folders; /* to make in it: mount points; NULL-terminated */
};
/* A new, empty, read-only root; the old one is gone. */
int root_replace(const struct root_options *options, struct error *error);
int root_private(struct error *error);

struct tmpfs_options {
	uint64_t bytes, inodes; /* the most of each */
	const char *mode;       /* octal */
	uint32_t id;            /* owner and group, in the caller's user namespace */
};
/* Returns a mount, nosuid, nodev, noexec, that nothing refers to but the descriptor. */
int root_make_tmpfs(const struct tmpfs_options *options, struct error *error);
/* Of the mount itself. -1 and errno. */
int root_set_attributes(int mount, uint64_t set, uint64_t clear);

int root_mount_release(int release, struct error *error);
/* The current folder is the root, and inside it. */
int root_verify_folder(struct error *error);
int root_hostname(struct error *error);

/* ---- shared_root.c: tier container ---- */

/* The release becomes the current folder. */
int shared_root_enter(int release, struct error *error);
/* ROOT leads there, and the caller may go that way; without a release: "/". */
int shared_root_verify(const char *root, struct error *error);

/* ---- mounts.c ---- */

/* Test only: forgets, as a restart does, where tenants may write. */
void grant_forget(void);

/* The attributes of a grant's mount (MOUNT_ATTR_…). */
uint64_t grant_attributes(unsigned flags);
/* Grants and /tmp into the root. */
int mounts_make(const struct sandbox_enter *enter, struct error *error);

/* ---- idmap.c ---- */

/* A user namespace in which OWNER and GROUP of a disk are ID (uid and gid): for
 * MOUNT_ATTR_IDMAP. The descriptor stays the cache's, until the next call. */
int idmap_users(uid_t owner, gid_t group, uint32_t id, struct error *error);

/* ---- limits.c ---- */

int limits_no_core(struct error *error);
int limits_apply(uint32_t files, struct error *error);
/* What cgroups limit elsewhere: data on top of what there is, and the threads and processes
 * of all with the same uid; 0: no limit. Needs /proc. */
int limits_without_cgroups(uint64_t data_bytes, uint32_t threads, struct error *error);

/* ---- fds.c ---- */

int fds_close_others(const int *keep, size_t keep_count, struct error *error);

/* ---- worker_landlock.c ---- */

/* A ruleset in which everything that Landlock knows is denied, but what the release, the
 * grants and /tmp of ENTER (the latter must be mounted) are for. By the mounts' descriptors,
 * not by path. Returns its descriptor. */
int worker_landlock_prepare(const struct sandbox_enter *enter, struct error *error);

/* ---- seccomp.c ---- */

/* The BPF program, for tests: instruction count and struct sock_filter array. */
size_t filter_program(const struct sandbox_filter *filter, const void **ret_program);

/* In the sixth argument of a forbidden call: it fails without a signal, which takes forty
 * times as long. For sandbox_check, which makes fifty of them at each start. A tenant that
 * uses it hides from the audit, as it could by a handler of its own, and gains nothing. */
#define FILTER_HUSH 0x68757368u

/* ---- violation.c ---- */

/* The handler of SIGSYS, for filters with `report`. */
int violation_answer(struct error *error);
