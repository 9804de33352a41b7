/* The steps of the confinement, one function each: what sandbox.c puts in order and
 * what the tests try one at a time. Private to sandbox/ and its tests. */
#pragma once

#include "common/error.h"
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
};

/* ---- spawn.c ---- */

/* The calling process's glibc thread id, which fork would keep right and a raw clone
 * does not; NULL when the kernel cannot tell. */
int *spawn_tid_address(void);

/* A descriptor of /proc as the caller sees it; kept open, close-on-exec. */
int spawn_proc(struct error *error);

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
int root_mount_release(int release, struct error *error);
/* The current folder is the root, and inside it. */
int root_verify_folder(struct error *error);
int root_hostname(struct error *error);

/* ---- limits.c ---- */

int limits_no_core(struct error *error);
int limits_apply(uint32_t files, struct error *error);

/* ---- identity.c ---- */

int identity_become_namespace_root(struct error *error);
int identity_drop_bounding(struct error *error);
int identity_lock_securebits(struct error *error);
int identity_become(uint32_t id, struct error *error);
int identity_drop_capabilities(struct error *error);
int identity_not_dumpable(struct error *error);
int identity_no_new_privileges(struct error *error);

/* ---- fds.c ---- */

int fds_close_others(const int *keep, size_t keep_count, struct error *error);

/* ---- landlock.c ---- */

/* Everything that Landlock knows is denied, except to read below "/". */
int landlock_restrict(struct error *error);

/* ---- seccomp.c ---- */

/* The BPF program, for tests: instruction count and struct sock_filter array. */
size_t filter_program(const struct sandbox_filter *filter, const void **ret_program);
