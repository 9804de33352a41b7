/* Landlock: what the files and sockets of a process may be used for, decided by the
 * kernel at the object and not at the system call (landlock(7), and the kernel's
 * userspace-api/landlock). Everything that the running kernel can handle is handled,
 * and only reading is granted, below a root that holds nothing but the release. It is
 * the second wall behind mounts and seccomp, not the only one: see MSG_FASTOPEN,
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
#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)

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

/* On "/" and not on /app: the kernel walks from a file up through mount points to the
 * root of what is mounted, and a rule on the folder that a mount covers is never met. */
static int grant_reading(int ruleset, struct error *error)
{
	cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_errno(error, errno, "cannot open /");
	struct path_beneath rule = {
		.allowed_access = FS_READ_FILE | FS_READ_DIR,
		.parent_fd = root,
	};
	if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0)
		return error_errno(error, errno, "cannot add a Landlock rule");
	return 0;
}

int landlock_restrict(struct error *error)
{
	static int abi; /* the kernel's, asked once: forked children inherit the answer */
	if (abi <= 0)
		abi = sandbox_landlock_abi();
	if (abi <= 0)
		return error_errno(error, -abi,
			"Landlock is not there (Linux 5.13 and `landlock` in the lsm= list are "
			"needed)");
	struct ruleset wanted = everything(abi);
	cleanup_close int ruleset =
		(int)syscall(SYS_landlock_create_ruleset, &wanted, sizeof wanted, 0);
	if (ruleset < 0)
		return error_errno(error, errno, "cannot make a Landlock ruleset");
	int result = grant_reading(ruleset, error);
	if (result < 0)
		return result;
	/* A tenant must not be able to flood the host's audit log with denials. */
	unsigned flags = abi >= 7 ? RESTRICT_LOG_SAME_EXEC_OFF : 0;
	if (syscall(SYS_landlock_restrict_self, ruleset, flags) < 0)
		return error_errno(error, errno, "cannot enter the Landlock domain");
	return 0;
}
