/* What a confined process sees as "/": an empty tmpfs, read-only from the start, with
 * the release at /app and nothing else but what mounts.c adds. Made with the mount API by
 * descriptors (fsopen(2), mount_setattr(2)), so that no path of the host is ever looked up. */
#include "common/cleanup.h"
#include "sandbox/sandbox.h"
#include "sandbox/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif
#define MOUNT_INERT (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

int root_set_attributes(int mount, uint64_t set, uint64_t clear)
{
	struct mount_attr wanted = {.attr_set = set, .attr_clr = clear};
	return (int)syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &wanted, sizeof wanted);
}

int root_private(struct error *error)
{
	struct mount_attr wanted = {.propagation = 1 << 18 /* MS_PRIVATE */};
	if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &wanted, sizeof wanted) < 0)
		return error_errno(error, errno, "cannot make the mounts private");
	return 0;
}

int root_make_tmpfs(const struct tmpfs_options *options, struct error *error)
{
	char bytes[24], inodes[24], id[12];
	snprintf(bytes, sizeof bytes, "%" PRIu64, options->bytes);
	snprintf(inodes, sizeof inodes, "%" PRIu64, options->inodes);
	snprintf(id, sizeof id, "%u", options->id);
	const struct {
		unsigned command;
		const char *key, *value;
	} settings[] = {
		{FSCONFIG_SET_STRING, "source", "tenant"},
		{FSCONFIG_SET_STRING, "size", bytes},
		{FSCONFIG_SET_STRING, "nr_inodes", inodes},
		{FSCONFIG_SET_STRING, "mode", options->mode},
		{FSCONFIG_SET_STRING, "uid", id},
		{FSCONFIG_SET_STRING, "gid", id},
		{FSCONFIG_CMD_CREATE, NULL, NULL},
	};
	cleanup_close int context = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	if (context < 0)
		return error_errno(error, errno, "cannot make a tmpfs");
	for (size_t i = 0; i < ARRAY_LENGTH(settings); i++)
		if (syscall(SYS_fsconfig, context, settings[i].command, settings[i].key,
			    settings[i].value, 0) < 0)
			return error_errno(error, errno, "cannot make a tmpfs: %s",
				settings[i].key ? settings[i].key : "create");
	int mount = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC,
		MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (mount < 0)
		return error_errno(error, errno, "cannot mount a tmpfs");
	return mount;
}

/* Puts ROOT over "/", makes it the root, and lets go of the old one, which after the
 * pivot is stacked on the same place: pivot_root(2), `pivot_root(".", ".")`. */
static int pivot_into(int root, struct error *error)
{
	if (syscall(SYS_move_mount, root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_errno(error, errno, "cannot mount the new root");
	if (fchdir(root) < 0)
		return error_errno(error, errno, "cannot enter the new root");
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return error_errno(error, errno, "cannot pivot to the new root");
	if (syscall(SYS_umount2, ".", MNT_DETACH) < 0)
		return error_errno(error, errno, "cannot let go of the old root");
	/* Until here the current folder was still outside: CVE-2024-21626's kind. */
	if (chdir("/") < 0)
		return error_errno(error, errno, "cannot go to the new root");
	return 0;
}

int root_replace(const struct root_options *options, struct error *error)
{
	/* Bounded for the case that all else fails to keep it from being written. Inodes that
	 * are not used cost nothing; mount points of grants need some. */
	static const struct tmpfs_options small = {
		.bytes = 16 * 1024, .inodes = 4096, .mode = "755"};
	cleanup_close int root = root_make_tmpfs(&small, error);
	if (root < 0)
		return root;
	for (const char *const *folder = options->folders; folder && *folder; folder++)
		if (mkdirat(root, *folder, 0755) < 0)
			return error_errno(error, errno, "cannot make /%s", *folder);
	/* Read-only before anything can see it: mounting onto /app later is no write. */
	if (root_set_attributes(root, MOUNT_INERT, 0) < 0)
		return error_errno(error, errno, "cannot make the root read-only");
	return pivot_into(root, error);
}

int root_mount_release(int release, struct error *error)
{
	if (syscall(SYS_move_mount, release, "", AT_FDCWD, "/app", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_errno(error, errno, "cannot mount the release at /app");
	/* The supervisor made it inert. Made so again here, because a mistake there must
	 * not become a writable folder of the host here. */
	if (root_set_attributes(release, MOUNT_INERT, 0) < 0)
		return error_errno(error, errno, "cannot make /app read-only");
	return 0;
}

int root_verify_folder(struct error *error)
{
	char folder[16];
	/* The system call, not the C library's wrapper: "(unreachable)" must be seen. */
	if (syscall(SYS_getcwd, folder, sizeof folder) < 0)
		return error_errno(error, errno, "cannot tell the current folder");
	if (strcmp(folder, "/") != 0)
		return error_set(error, EXDEV, "the current folder is %s and not /", folder);
	struct stat here, root;
	if (stat(".", &here) < 0 || stat("/", &root) < 0)
		return error_errno(error, errno, "cannot look at /");
	if (here.st_dev != root.st_dev || here.st_ino != root.st_ino)
		return error_set(error, EXDEV, "the current folder is outside of the root");
	return 0;
}

int root_hostname(struct error *error)
{
	static const char name[] = "tenant";
	if (sethostname(name, sizeof name - 1) < 0 || setdomainname("", 0) < 0)
		return error_errno(error, errno, "cannot set the host name");
	return 0;
}

/* ---- the supervisor's half ---- */

int sandbox_release_mount(int folder, struct error *error)
{
	cleanup_close int mount = (int)syscall(
		SYS_open_tree, folder, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (mount < 0)
		return error_errno(error, errno, "cannot clone the release's mount");
	struct mount_attr wanted = {
		.attr_set = MOUNT_INERT,
		.propagation = 1 << 18 /* MS_PRIVATE */,
	};
	if (syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &wanted, sizeof wanted) < 0)
		return error_errno(error, errno, "cannot make the release's mount read-only");
	return take_fd(&mount);
}
