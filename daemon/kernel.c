#include "daemon/kernel.h"

#include "common/cleanup.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
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

static bool has_capability(unsigned number)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[2] = {0};
	return syscall(SYS_capget, &header, sets) == 0 &&
	       sets[number / 32].effective >> (number % 32) & 1;
}

/* What a default container lacks, and the tier full cannot do without. */
static int check_admin(struct error *error)
{
	if (!has_capability(CAP_SYS_ADMIN))
		return error_set(error, EPERM,
			"CAP_SYS_ADMIN is missing, as in a default container: without it there are "
			"no namespaces and no mounts, which the tier full is made of. Give the "
			"container that capability and a seccomp profile that allows their system "
			"calls, or start tenantd with --tier container, which does without them");
	if (syscall(SYS_open_tree, -1, "", ~0u) < 0 && errno == EPERM)
		return error_set(error, EPERM,
			"a seccomp profile forbids mounts (open_tree), which the tier full is made "
			"of: allow them, or start tenantd with --tier container, which does "
			"without "
			"them");
	return 0;
}

/* What is left to tell tenants from each other. Without them, as a plain user, all would
 * have the daemon's own id, and its files and processes. */
static int check_ids_can_be_given(struct error *error)
{
	static const struct {
		unsigned number;
		const char *name;
	} needed[] = {
		{CAP_SETUID, "CAP_SETUID"},
		{CAP_SETGID, "CAP_SETGID"},
		{CAP_SETPCAP, "CAP_SETPCAP"},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(needed); i++)
		if (!has_capability(needed[i].number))
			return error_set(error, EPERM,
				"%s is missing: tenants cannot have user ids of their own. Give it "
				"to "
				"the container (--cap-add)",
				needed[i].name);
	return 0;
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

static int check_landlock(enum tier tier, struct error *error)
{
	int abi = sandbox_landlock_abi();
	if (tier_is_bare(tier) && abi >= 1 && abi < SANDBOX_LANDLOCK_ABI_ALONE)
		return error_set(error, ENOTSUP,
			"this kernel's Landlock (ABI %d) is too old for the tier %s, where it is "
			"the only wall around files: it needs ABI %d, Linux 6.2",
			abi, tier_name(tier), SANDBOX_LANDLOCK_ABI_ALONE);
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
	return 0;
}

static int check_mounts(struct error *error)
{
	if (syscall(SYS_open_tree, -1, "", ~0u) < 0 && errno == ENOSYS)
		return error_set(
			error, ENOTSUP, "the system call open_tree is missing: it needs Linux 5.2");
	return 0;
}

/* Are COUNT ids from BASE on mapped into our user namespace, says MAP? */
static bool is_mapped(const char *map, uint32_t base, uint32_t count)
{
	unsigned long inside, outside, number;
	bool covered = false;
	cleanup_fclose FILE *file = fopen(map, "re");
	while (file && fscanf(file, "%lu %lu %lu", &inside, &outside, &number) == 3)
		covered |= base >= inside && (unsigned long)base + count <= inside + number;
	return covered;
}

static const char *const id_maps[] = {"/proc/self/uid_map", "/proc/self/gid_map"};

bool kernel_has_ids(uint32_t uid_base, uint32_t uid_count)
{
	return is_mapped(id_maps[0], uid_base, uid_count) &&
	       is_mapped(id_maps[1], uid_base, uid_count);
}

/* In a user namespace of our own, only ids that are mapped into it can be given away. */
static int check_ids(uint32_t uid_base, uint32_t uid_count, struct error *error)
{
	for (size_t i = 0; i < ARRAY_LENGTH(id_maps); i++)
		if (!is_mapped(id_maps[i], uid_base, uid_count))
			return error_set(error, ENOTSUP,
				"the user ids %u-%u, meant for tenants, are not mapped into this "
				"user namespace (%s): choose others with --uid-base and "
				"--uid-count",
				uid_base, uid_base + uid_count - 1, id_maps[i]);
	return 0;
}

/* Nothing is left of root then that a tenant, who is the same user, could make use of. */
static int check_unprivileged(struct error *error)
{
	if (getuid() == 0 || geteuid() == 0)
		return error_set(error, EPERM,
			"the tier single is for a user other than root, who owns the files of "
			"the container: start it as another (podman run --user), or with the "
			"capabilities that the tier container needs");
	return 0;
}

enum tier kernel_best_tier(void)
{
	struct error unused = {0};
	if (geteuid() != 0 || check_ids_can_be_given(&unused) < 0)
		return TIER_SINGLE;
	return check_admin(&unused) < 0 ? TIER_CONTAINER : TIER_FULL;
}

static int check_tier(enum tier tier, struct error *error)
{
	if (tier == TIER_SINGLE)
		return check_unprivileged(error);
	if (tier == TIER_CONTAINER)
		return check_ids_can_be_given(error);
	int result = check_admin(error);
	if (result == 0)
		result = check_user_namespaces(error);
	return result == 0 ? check_mounts(error) : result;
}

int kernel_check(enum tier tier, uint32_t uid_base, uint32_t uid_count, struct error *error)
{
	int result = tier == TIER_SINGLE ? 0 : check_root(error);
	if (result == 0)
		result = check_landlock(tier, error);
	if (result == 0)
		result = check_tier(tier, error);
	if (result == 0)
		result = check_seccomp(error);
	if (result == 0)
		result = check_calls(error);
	if (result == 0 && tier != TIER_SINGLE)
		result = check_ids(uid_base, uid_count, error);
	return result;
}
