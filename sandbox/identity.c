/* Raw system calls where the C library's would do more than one thing. */
#include "sandbox/identity.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int set_ids(uint32_t id, struct error *error)
{
	if (setgroups(0, NULL) < 0)
		return error_errno(error, errno, "cannot drop the supplementary groups");
	if (setresgid(id, id, id) < 0)
		return error_errno(error, errno, "cannot become group %u", id);
	if (setresuid(id, id, id) < 0)
		return error_errno(error, errno, "cannot become user %u", id);
	return 0;
}

/* A call that says success is not believed (setuid has succeeded without effect more
 * than once in Linux's history). */
static int verify_ids(uint32_t id, struct error *error)
{
	uid_t user[3];
	gid_t group[3];
	if (getresuid(&user[0], &user[1], &user[2]) < 0 ||
		getresgid(&group[0], &group[1], &group[2]) < 0)
		return error_errno(error, errno, "cannot read the ids");
	for (int i = 0; i < 3; i++)
		if (user[i] != id || group[i] != id)
			return error_set(error, EPERM,
				"the ids are user %u, group %u after becoming %u", user[i],
				group[i], id);
	if (getgroups(0, NULL) != 0)
		return error_set(error, EPERM, "supplementary groups are left");
	return 0;
}

int identity_become_namespace_root(struct error *error)
{
	int result = set_ids(0, error);
	return result < 0 ? result : verify_ids(0, error);
}

int identity_become(uint32_t id, struct error *error)
{
	if (id == 0)
		return error_set(error, EINVAL, "a tenant must not be user 0");
	int result = set_ids(id, error);
	return result < 0 ? result : verify_ids(id, error);
}

int identity_is(uint32_t id, struct error *error)
{
	uid_t user[3];
	if (id == 0)
		return error_set(error, EINVAL, "a tenant must not be user 0");
	if (getresuid(&user[0], &user[1], &user[2]) < 0)
		return error_errno(error, errno, "cannot read the ids");
	for (int i = 0; i < 3; i++)
		if (user[i] != id)
			return error_set(error, EPERM, "the user is %u, and not %u", user[i], id);
	return 0;
}

int identity_drop_bounding(struct error *error)
{
	/* Up to the first that the kernel does not know. */
	for (unsigned long capability = 0; capability < 64; capability++) {
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL && capability > 0)
			return 0;
		return error_errno(error, errno, "cannot drop capability %lu from the bounding set",
			capability);
	}
	return 0;
}

int identity_lock_securebits(struct error *error)
{
	const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
				   SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
				   SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
	if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0)
		return error_errno(error, errno, "cannot lock the securebits");
	return 0;
}

int identity_drop_capabilities(struct error *error)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return error_errno(error, errno, "cannot clear the ambient capabilities");
	if (syscall(SYS_capset, &header, data) < 0)
		return error_errno(error, errno, "cannot drop the capabilities");
	memset(data, 0xff, sizeof data);
	if (syscall(SYS_capget, &header, data) < 0)
		return error_errno(error, errno, "cannot read the capabilities");
	for (int i = 0; i < 2; i++)
		if (data[i].effective | data[i].permitted | data[i].inheritable)
			return error_set(error, EPERM, "capabilities are left after dropping all");
	return 0;
}

int identity_not_dumpable(struct error *error)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_errno(error, errno, "cannot make the process undumpable");
	return 0;
}

int identity_no_new_privileges(struct error *error)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(error, errno, "cannot set no_new_privs");
	return 0;
}
