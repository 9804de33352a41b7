/* Landlock: what the files and sockets of a process may be used for, decided by the
 * kernel at the object and not at the system call (landlock(7), and the kernel's
 * userspace-api/landlock). Everything that the running kernel can handle is handled, and
 * granted is what the mounts grant: reading of the release, reading or writing of what the
 * policy names. Files in "/" that are none of these cannot even be read. It is the second
 * wall behind mounts and seccomp, not the only one: see MSG_FASTOPEN,
 * MPTCP and memfd in seccomp.c for its holes. */
#include "common/cleanup.h"
#include "sandbox/sandbox.h"
#include "sandbox/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Spelled out, because the headers of the build machine may be older than the kernel. */
#define CREATE_RULESET_VERSION 1u
#define RULE_PATH_BENEATH 1
#define RESTRICT_LOG_SAME_EXEC_OFF 1u /* ABI 7 */

#define FS_EXECUTE (1ull << 0)
#define FS_WRITE_FILE (1ull << 1)
#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)
#define FS_REMOVE_DIR (1ull << 4)
#define FS_REMOVE_FILE (1ull << 5)
#define FS_MAKE_DIR (1ull << 7)
#define FS_MAKE_REG (1ull << 8)
#define FS_MAKE_SYM (1ull << 12)
#define FS_REFER (1ull << 13)    /* ABI 2 */
#define FS_TRUNCATE (1ull << 14) /* ABI 3 */

/* Never: MAKE_CHAR, MAKE_BLOCK (a device is the kernel), MAKE_SOCK, MAKE_FIFO (a way to
 * others), IOCTL_DEV. */
#define READING (FS_READ_FILE | FS_READ_DIR)
#define WRITING                                                                                    \
	(READING | FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG |    \
		FS_MAKE_SYM | FS_REFER | FS_TRUNCATE)
#define OF_FILES (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE)

struct ruleset {
	uint64_t handled_access_fs;
	uint64_t handled_access_net; /* ABI 4 */
	uint64_t scoped;             /* ABI 6 */
};

struct path_beneath {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));

/* What each version of the interface added, as the number of low bits that it knows. */
static const struct {
	int abi;
	uint8_t fs_bits, net_bits, scope_bits;
} versions[] = {
	{1, 13, 0, 0},  /* Linux 5.13: execute, read, write, make, remove */
	{2, 14, 0, 0},  /* 5.19: link and rename between folders */
	{3, 15, 0, 0},  /* 6.2: truncate */
	{4, 15, 2, 0},  /* 6.7: TCP bind and connect */
	{5, 16, 2, 0},  /* 6.10: ioctl of devices */
	{6, 16, 2, 2},  /* 6.12: abstract unix sockets, signals */
	{9, 17, 2, 2},  /* 7.1: unix sockets by path */
	{10, 17, 4, 2}, /* 7.2: UDP bind and send */
};

int sandbox_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
	return abi < 0 ? -errno : (int)abi;
}

static struct ruleset everything(int abi)
{
	struct ruleset ruleset = {0};
	for (size_t i = 0; i < ARRAY_LENGTH(versions) && versions[i].abi <= abi; i++) {
		ruleset.handled_access_fs = (1ull << versions[i].fs_bits) - 1;
		ruleset.handled_access_net = (1ull << versions[i].net_bits) - 1;
		ruleset.scoped = (1ull << versions[i].scope_bits) - 1;
	}
	return ruleset;
}

static int add_rule(int ruleset, int fd, uint64_t rights, struct error *error)
{
	struct path_beneath rule = {.allowed_access = rights, .parent_fd = fd};
	if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0)
		return error_errno(error, errno, "cannot add a Landlock rule");
	return 0;
}

static uint64_t rights_of(unsigned flags)
{
	uint64_t rights = flags & SANDBOX_GRANT_WRITE ? WRITING : READING;
	if (flags & SANDBOX_GRANT_EXECUTE)
		rights |= FS_EXECUTE;
	return flags & SANDBOX_GRANT_FOLDER ? rights : rights & OF_FILES;
}

static int add_tmp(int ruleset, uint64_t handled, struct error *error)
{
	cleanup_close int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (tmp < 0)
		return error_errno(error, errno, "cannot open /tmp");
	return add_rule(ruleset, tmp, WRITING & handled, error);
}

/* Rules lie on the root of what is mounted and not on the mount point: the kernel walks
 * from a file up to the former, and goes on above the latter. A rule covers what is below
 * it in the tenant's root, other mounts included: who may write a folder may write
 * all in it, as the policy has it. */
static int add_rules(
	int ruleset, uint64_t handled, const struct sandbox_enter *enter, struct error *error)
{
	int result = 0;
	if (enter->release >= 0)
		result = add_rule(ruleset, enter->release, READING, error);
	for (size_t i = 0; i < enter->grant_count && result == 0; i++) {
		const struct sandbox_grant *grant = &enter->grants[i];
		result = add_rule(ruleset, grant->mount, rights_of(grant->flags) & handled, error);
		if (result < 0)
			error_prefix(error, "%s", grant->path);
	}
	if (result == 0 && enter->tmp_bytes > 0 && !(enter->skip & SANDBOX_STEP_MOUNTS))
		result = add_tmp(ruleset, handled, error);
	return result;
}

/* Asked once: forked children inherit the answer. */
static int known_abi(void)
{
	static int abi;
	if (abi <= 0)
		abi = sandbox_landlock_abi();
	return abi;
}

int landlock_prepare(const struct sandbox_enter *enter, struct error *error)
{
	int abi = known_abi();
	if (abi <= 0)
		return error_errno(error, -abi,
			"Landlock is not there (Linux 5.13 and `landlock` in the lsm= list are "
			"needed)");
	if (enter->tier == TIER_CONTAINER && abi < SANDBOX_LANDLOCK_ABI_ALONE)
		return error_set(error, ENOTSUP,
			"Landlock ABI %d is too old for the tier container, where it is the only "
			"wall around files (Linux 6.2 has ABI %d)",
			abi, SANDBOX_LANDLOCK_ABI_ALONE);
	struct ruleset wanted = everything(abi);
	cleanup_close int ruleset =
		(int)syscall(SYS_landlock_create_ruleset, &wanted, sizeof wanted, 0);
	if (ruleset < 0)
		return error_errno(error, errno, "cannot make a Landlock ruleset");
	int result = add_rules(ruleset, wanted.handled_access_fs, enter, error);
	return result < 0 ? result : take_fd(&ruleset);
}

int landlock_restrict(int ruleset, struct error *error)
{
	/* A tenant must not be able to flood the host's audit log with denials. */
	unsigned flags = known_abi() >= 7 ? RESTRICT_LOG_SAME_EXEC_OFF : 0;
	if (syscall(SYS_landlock_restrict_self, ruleset, flags) < 0)
		return error_errno(error, errno, "cannot enter the Landlock domain");
	return 0;
}
