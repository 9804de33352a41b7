/* Landlock (landlock(7), the kernel's userspace-api/landlock): the three calls, and what
 * each version of the interface knows. Who may do what is with the users: worker_landlock.c,
 * job_landlock.c, tenantd-egress, the process that unpacks archives. Spelled out, because the
 * headers of the build machine may be older than the kernel. */
#pragma once

#include "common/error.h"

#include <stdint.h>

#define LANDLOCK_FS_EXECUTE (1ull << 0)
#define LANDLOCK_FS_WRITE_FILE (1ull << 1)
#define LANDLOCK_FS_READ_FILE (1ull << 2)
#define LANDLOCK_FS_READ_DIR (1ull << 3)
#define LANDLOCK_FS_REMOVE (3ull << 4) /* of folders, of files */
#define LANDLOCK_FS_MAKE_CHAR (1ull << 6)
#define LANDLOCK_FS_MAKE_DIR (1ull << 7)
#define LANDLOCK_FS_MAKE_REG (1ull << 8)
#define LANDLOCK_FS_MAKE_SOCK (1ull << 9)
#define LANDLOCK_FS_MAKE_FIFO (1ull << 10)
#define LANDLOCK_FS_MAKE_BLOCK (1ull << 11)
#define LANDLOCK_FS_MAKE_SYM (1ull << 12)
#define LANDLOCK_FS_REFER (1ull << 13)        /* ABI 2 */
#define LANDLOCK_FS_TRUNCATE (1ull << 14)     /* ABI 3 */
#define LANDLOCK_FS_IOCTL_DEV (1ull << 15)    /* ABI 5 */
#define LANDLOCK_FS_RESOLVE_UNIX (1ull << 16) /* ABI 9 */

#define LANDLOCK_READ (LANDLOCK_FS_READ_FILE | LANDLOCK_FS_READ_DIR)
/* The rights that a rule on a file, not a folder, may name. */
#define LANDLOCK_OF_FILES                                                                          \
	(LANDLOCK_FS_EXECUTE | LANDLOCK_FS_WRITE_FILE | LANDLOCK_FS_READ_FILE |                    \
		LANDLOCK_FS_TRUNCATE | LANDLOCK_FS_IOCTL_DEV)

#define LANDLOCK_NET_NOTHING 0ull
#define LANDLOCK_NET_BIND_TCP (1ull << 0) /* ABI 4 */
#define LANDLOCK_NET_EVERYTHING (~0ull)

/* sandbox_landlock_abi, asked once: forked children inherit the answer. */
int landlock_abi(void);
/* Makes a ruleset that denies all that the running kernel knows of files, of abstract unix
 * sockets and of signals to others, and of the network what DENIED_NET names. Returns its
 * descriptor, close-on-exec, or -errno when there is no Landlock. */
int landlock_open(uint64_t denied_net, struct error *error);
/* Allows RIGHTS, those that the kernel knows, to what is below FD or is FD. */
int landlock_allow(int ruleset, int fd, uint64_t rights, struct error *error);
/* The same by path; of a file only what is a file's. Nothing when there is none, or none that
 * the caller may reach: then it stays denied. */
int landlock_allow_path(int ruleset, const char *path, uint64_t rights, struct error *error);
/* Enters the domain, for good. Wants no_new_privs. RULESET stays the caller's. */
int landlock_restrict(int ruleset, struct error *error);
