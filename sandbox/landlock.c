#include "sandbox/landlock.h"

#include "common/cleanup.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CREATE_RULESET_VERSION 1u
#define RULE_PATH_BENEATH 1
#define RESTRICT_LOG_SAME_EXEC_OFF 1u /* ABI 7 */

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

int landlock_abi(void)
{
	static int abi;
	if (abi <= 0)
		abi = sandbox_landlock_abi();
	return abi;
}

static struct ruleset everything(void)
{
	struct ruleset ruleset = {0};
	for (size_t i = 0; i < ARRAY_LENGTH(versions) && versions[i].abi <= landlock_abi(); i++) {
		ruleset.handled_access_fs = (1ull << versions[i].fs_bits) - 1;
		ruleset.handled_access_net = (1ull << versions[i].net_bits) - 1;
		ruleset.scoped = (1ull << versions[i].scope_bits) - 1;
	}
	return ruleset;
}

int landlock_open(uint64_t denied_net, struct error *error)
{
	if (landlock_abi() <= 0)
		return error_errno(error, -landlock_abi(),
			"Landlock is not there (Linux 5.13 and `landlock` in the lsm= list are "
			"needed)");
	struct ruleset wanted = everything();
	wanted.handled_access_net &= denied_net;
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &wanted, sizeof wanted, 0);
	return ruleset < 0 ? error_errno(error, errno, "cannot make a Landlock ruleset") : ruleset;
}

int landlock_allow(int ruleset, int fd, uint64_t rights, struct error *error)
{
	const struct path_beneath rule = {
		.allowed_access = rights & everything().handled_access_fs,
		.parent_fd = fd,
	};
	if (rule.allowed_access == 0)
		return 0; /* what the kernel does not know it does not deny */
	if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0)
		return error_errno(error, errno, "cannot add a Landlock rule");
	return 0;
}

int landlock_allow_path(int ruleset, const char *path, uint64_t rights, struct error *error)
{
	struct stat status;
	cleanup_close int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == EACCES
			       ? 0
			       : error_errno(error, errno, "cannot open %s", path);
	if (fstatat(fd, "", &status, AT_EMPTY_PATH) < 0)
		return error_errno(error, errno, "cannot look at %s", path);
	if (!S_ISDIR(status.st_mode))
		rights &= LANDLOCK_OF_FILES;
	int result = landlock_allow(ruleset, fd, rights, error);
	if (result < 0)
		error_prefix(error, "%s", path);
	return result;
}

int landlock_restrict(int ruleset, struct error *error)
{
	/* A tenant must not be able to flood the host's audit log with denials. */
	const unsigned flags = landlock_abi() >= 7 ? RESTRICT_LOG_SAME_EXEC_OFF : 0;
	if (syscall(SYS_landlock_restrict_self, ruleset, flags) < 0)
		return error_errno(error, errno, "cannot enter the Landlock domain");
	return 0;
}
