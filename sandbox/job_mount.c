#include "sandbox/job_mount.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PROPAGATION_PRIVATE (1 << 18) /* MS_PRIVATE */
#define FOLDERS_DEEP_MAX 64

/* ---- file systems ---- */

/* A new file system that nothing refers to but the descriptor. */
int job_make_filesystem(const char *type, const struct job_setting *with, size_t count,
	unsigned attributes, struct error *error)
{
	cleanup_close int context = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
	if (context < 0)
		return error_errno(error, errno, "cannot make a %s", type);
	for (size_t i = 0; i < count; i++)
		if (syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, with[i].key, with[i].value,
			    0) < 0)
			return error_errno(error, errno, "cannot make a %s with %s=%s", type,
				with[i].key, with[i].value);
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return error_errno(error, errno, "cannot make a %s", type);
	int mount = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes);
	return mount < 0 ? error_errno(error, errno, "cannot mount a %s", type) : mount;
}

int job_set_attributes(int mount, unsigned flags, uint64_t set, uint64_t clear)
{
	struct mount_attr wanted = {
		.attr_set = set,
		.attr_clr = clear,
		.propagation = PROPAGATION_PRIVATE,
	};
	return (int)syscall(
		SYS_mount_setattr, mount, "", AT_EMPTY_PATH | flags, &wanted, sizeof wanted);
}

/* A copy of what the host has at PATH, mounts below it included. */
int job_clone_host(const char *path, uint64_t attributes, struct error *error)
{
	cleanup_close int mount = (int)syscall(
		SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (mount < 0)
		return error_errno(error, errno, "cannot clone %s", path);
	if (job_set_attributes(mount, AT_RECURSIVE, attributes, 0) < 0)
		return error_errno(error, errno, "cannot make the mount of %s safe", path);
	return take_fd(&mount);
}

/* ---- places in the new root ---- */

/* Without openat2: what it would say, by really having that root for a moment. The process is
 * alone, and root of its namespace. */
static int open_in_chroot(int root, const char *path, int flags)
{
	cleanup_close int old_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int old_folder = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (old_root < 0 || old_folder < 0 || fchdir(root) < 0)
		return -1;
	int fd = -1;
	if (chroot(".") == 0)
		fd = open(path, O_PATH | O_CLOEXEC | flags);
	const int code = errno;
	/* Whoever cannot come back must not go on. */
	if (fchdir(old_root) < 0 || chroot(".") < 0 || fchdir(old_folder) < 0)
		_exit(125);
	errno = code;
	return fd;
}

/* PATH as the program will see it: links are followed, and never lead out. */
int job_open_inside(int root, const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | flags,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
	return fd < 0 && errno == ENOSYS ? open_in_chroot(root, path, (int)flags) : fd;
}

static int make_place(int root, const char *path, bool folder, int depth, struct error *error);

/* The folder in which PATH is or will be; *RET_NAME is its name there. */
static int open_parent(
	int root, const char *path, const char **ret_name, int depth, struct error *error)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');
	snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - path) : 0, path);
	*ret_name = slash ? slash + 1 : path;
	return parent[0] ? make_place(root, parent, true, depth + 1, error)
			 : job_open_inside(root, ".", 0);
}

/* Opens PATH, and makes it and the folders above it where they are missing. */
static int make_place(int root, const char *path, bool folder, int depth, struct error *error)
{
	const char *name;
	int fd = job_open_inside(root, path, 0);
	if (fd >= 0)
		return fd;
	if (errno != ENOENT || depth > FOLDERS_DEEP_MAX)
		return error_errno(
			error, errno == ENOENT ? ELOOP : errno, "cannot make a place for %s", path);
	cleanup_close int parent = open_parent(root, path, &name, depth, error);
	if (parent < 0)
		return parent;
	int result = 0;
	if (folder) {
		result = mkdirat(parent, name, 0755);
	} else {
		cleanup_close int file =
			openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
		result = file;
	}
	fd = result < 0 ? -1 : openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_errno(error, errno, "cannot make a place for %s", path);
	return fd;
}

int job_attach(int root, int mount, const char *path, struct error *error)
{
	struct stat status;
	if (fstatat(mount, "", &status, AT_EMPTY_PATH) < 0)
		return error_errno(error, errno, "cannot look at what belongs to %s", path);
	cleanup_close int place = make_place(root, path, S_ISDIR(status.st_mode), 0, error);
	if (place < 0)
		return place;
	if (syscall(SYS_move_mount, mount, "", place, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return error_errno(error, errno, "cannot mount %s", path);
	return 0;
}

int job_make_link(int root, const char *target, const char *path, struct error *error)
{
	const char *name;
	cleanup_close int parent = open_parent(root, path, &name, 0, error);
	if (parent < 0)
		return parent;
	/* In a folder of the host's it is there already, or the host's files are as they are. */
	if (symlinkat(target, parent, name) < 0 && errno != EEXIST && errno != EROFS)
		return error_errno(error, errno, "cannot link %s", path);
	return 0;
}
