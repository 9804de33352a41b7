/* Landlock for a worker: what its files and sockets may be used for, decided by the kernel at
 * the object and not at the system call. Everything that the running kernel can handle is
 * handled, and granted is what the mounts grant: reading of the release, reading or writing
 * of what the policy names. Files in "/" that are none of these cannot even be read. It is
 * the second wall behind mounts and seccomp, not the only one: see MSG_FASTOPEN, MPTCP and
 * memfd in seccomp.c for its holes. */
#include "common/cleanup.h"
#include "sandbox/landlock.h"
#include "sandbox/sandbox.h"
#include "sandbox/steps.h"

#include <errno.h>
#include <fcntl.h>

/* Never: MAKE_CHAR, MAKE_BLOCK (a device is the kernel), MAKE_SOCK, MAKE_FIFO (a way to
 * others), IOCTL_DEV. */
#define WRITE                                                                                      \
	(LANDLOCK_READ | LANDLOCK_FS_WRITE_FILE | LANDLOCK_FS_REMOVE | LANDLOCK_FS_MAKE_DIR |      \
		LANDLOCK_FS_MAKE_REG | LANDLOCK_FS_MAKE_SYM | LANDLOCK_FS_REFER |                  \
		LANDLOCK_FS_TRUNCATE)

static uint64_t rights_of(unsigned flags)
{
	uint64_t rights = flags & SANDBOX_GRANT_WRITE ? WRITE : LANDLOCK_READ;
	if (flags & SANDBOX_GRANT_EXECUTE)
		rights |= LANDLOCK_FS_EXECUTE;
	return flags & SANDBOX_GRANT_FOLDER ? rights : rights & LANDLOCK_OF_FILES;
}

static int allow_tmp(int ruleset, struct error *error)
{
	cleanup_close int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (tmp < 0)
		return error_errno(error, errno, "cannot open /tmp");
	return landlock_allow(ruleset, tmp, WRITE, error);
}

/* Rules lie on the root of what is mounted and not on the mount point: the kernel walks
 * from a file up to the former, and goes on above the latter. A rule covers what is below
 * it in the tenant's root, other mounts included: who may write a folder may write
 * all in it, as the policy has it. */
static int add_rules(int ruleset, const struct sandbox_enter *enter, struct error *error)
{
	int result = 0;
	if (enter->release >= 0)
		result = landlock_allow(ruleset, enter->release, LANDLOCK_READ, error);
	for (size_t i = 0; i < enter->grant_count && result == 0; i++) {
		const struct sandbox_grant *grant = &enter->grants[i];
		result = landlock_allow(ruleset, grant->mount, rights_of(grant->flags), error);
		if (result < 0)
			error_prefix(error, "%s", grant->path);
	}
	if (result == 0 && enter->tmp_bytes > 0 && !(enter->skip & SANDBOX_STEP_MOUNTS))
		result = allow_tmp(ruleset, error);
	return result;
}

int worker_landlock_prepare(const struct sandbox_enter *enter, struct error *error)
{
	cleanup_close int ruleset = landlock_open(LANDLOCK_NET_EVERYTHING, error);
	if (ruleset < 0)
		return ruleset;
	if (tier_is_bare(enter->tier) && landlock_abi() < SANDBOX_LANDLOCK_ABI_ALONE)
		return error_set(error, ENOTSUP,
			"Landlock ABI %d is too old for this tier, where it is the only "
			"wall around files (Linux 6.2 has ABI %d)",
			landlock_abi(), SANDBOX_LANDLOCK_ABI_ALONE);
	int result = add_rules(ruleset, enter, error);
	return result < 0 ? result : take_fd(&ruleset);
}
