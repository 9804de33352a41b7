#include "daemon/kernel.h"

#include "common/cleanup.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int check_root(struct error *error)
{
	if (geteuid() == 0)
		return 0;
	return error_set(error, EPERM,
		"tenantd must be started as root: it makes namespaces, control groups and user ids "
		"for its tenants");
}

static int check_user_namespaces(struct error *error)
{
	unsigned long most = 0;
	if (access("/proc/self/ns/user", F_OK) < 0)
		return error_set(error, ENOTSUP,
			"this kernel has no user namespaces (CONFIG_USER_NS), or /proc is not "
			"mounted");
	cleanup_fclose FILE *file = fopen("/proc/sys/user/max_user_namespaces", "re");
	if (file && fscanf(file, "%lu", &most) == 1 && most == 0)
		return error_set(error, ENOTSUP,
			"user namespaces are switched off: set the sysctl user.max_user_namespaces "
			"to more than 0");
	return 0;
}

static int check_landlock(struct error *error)
{
	int abi = sandbox_landlock_abi();
	if (abi >= 1)
		return 0;
	return error_set(error, ENOTSUP,
		"this kernel has no Landlock (%s): it needs Linux 5.13 with "
		"CONFIG_SECURITY_LANDLOCK "
		"and \"landlock\" in the lsm= boot parameter",
		abi == -EOPNOTSUPP ? "switched off at boot" : "not built in");
}

static int check_seccomp(struct error *error)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0)
		return 0;
	return error_set(error, ENOTSUP,
		"this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER), or whatever runs "
		"tenantd forbids them");
}

static int check_calls(struct error *error)
{
	cleanup_close int pidfd = pidfd_open(getpid(), 0);
	if (pidfd < 0)
		return error_set(error, ENOTSUP,
			"the system call pidfd_open is missing or forbidden: it needs Linux 5.3");
	if (syscall(SYS_open_tree, -1, "", ~0u) < 0 && errno == ENOSYS)
		return error_set(error, ENOTSUP,
			"the system call open_tree is missing or forbidden: it needs Linux 5.2");
	return 0;
}

/* In a user namespace of our own, only ids that are mapped into it can be given away. */
static int check_ids(uint32_t uid_base, uint32_t uid_count, struct error *error)
{
	static const char *const maps[] = {"/proc/self/uid_map", "/proc/self/gid_map"};
	for (size_t i = 0; i < ARRAY_LENGTH(maps); i++) {
		unsigned long inside, outside, count;
		bool covered = false;
		cleanup_fclose FILE *file = fopen(maps[i], "re");
		if (file == NULL)
			return error_errno(error, errno, "cannot open %s", maps[i]);
		while (fscanf(file, "%lu %lu %lu", &inside, &outside, &count) == 3)
			covered |= uid_base >= inside &&
				   (unsigned long)uid_base + uid_count <= inside + count;
		if (!covered)
			return error_set(error, ENOTSUP,
				"the user ids %u-%u, meant for tenants, are not mapped into this "
				"user namespace (%s): choose others with --uid-base and "
				"--uid-count",
				uid_base, uid_base + uid_count - 1, maps[i]);
	}
	return 0;
}

int kernel_check(uint32_t uid_base, uint32_t uid_count, struct error *error)
{
	int result = check_root(error);
	if (result == 0)
		result = check_user_namespaces(error);
	if (result == 0)
		result = check_landlock(error);
	if (result == 0)
		result = check_seccomp(error);
	if (result == 0)
		result = check_calls(error);
	if (result == 0)
		result = check_ids(uid_base, uid_count, error);
	return result;
}
