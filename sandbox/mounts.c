/* The worker's half of file grants: mount points for them in its root, the mounts put
 * there, and a /tmp of its own. Runs as root of the namespace, after the release was
 * mounted; the root is writable for that time, which only this process could use. */
#include "common/cleanup.h"
#include "sandbox/sandbox.h"
#include "sandbox/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TMP_INODES_LEAST 64
#define TMP_INODES_MOST 65536
#define TMP_BYTES_PER_INODE 4096

uint64_t grant_attributes(unsigned flags)
{
	return MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
	       (flags & SANDBOX_GRANT_WRITE ? 0 : MOUNT_ATTR_RDONLY) |
	       (flags & SANDBOX_GRANT_EXECUTE ? 0 : MOUNT_ATTR_NOEXEC);
}

/* ---- mount points ---- */

/* The file systems that are this process's own. */
struct own {
	dev_t root, tmp;
};

/* Makes what is missing, but only in our own file systems: below a grant that was mounted
 * before it, a folder made here would be made on the host. */
static int make_point(int folder, const char *name, bool is_folder, const struct own *own)
{
	struct stat status;
	if (fstat(folder, &status) < 0)
		return -errno;
	if (status.st_dev != own->root && status.st_dev != own->tmp)
		return -ENOENT;
	if ((is_folder ? mkdirat(folder, name, 0755) : mknodat(folder, name, S_IFREG | 0444, 0)) <
		0)
		return -errno;
	return 0;
}

static int open_point(int folder, const char *name, bool is_folder, const struct own *own)
{
	int fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		int result = make_point(folder, name, is_folder, own);
		if (result < 0)
			return result;
		fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	}
	if (fd < 0)
		return -errno;
	struct stat status;
	if (fstat(fd, &status) < 0 || S_ISLNK(status.st_mode)) {
		close(fd);
		return -ELOOP;
	}
	return fd;
}

/* Returns a descriptor of where PATH is in the root, made if need be. No symbolic link is
 * followed: one can only lie in a grant, and be somebody else's. */
static int find_point(const char *path, bool is_folder, const struct own *own, struct error *error)
{
	char rest[PATH_MAX], *next = rest;
	cleanup_close int folder = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0 || strlen(path) >= sizeof rest)
		return error_set(error, EINVAL, "%s: cannot be mounted", path);
	strcpy(rest, path);
	for (char *name; (name = strsep(&next, "/"));) {
		if (name[0] == '\0')
			continue;
		int fd = open_point(folder, name, next || is_folder, own);
		if (fd == -ELOOP)
			return error_set(error, ELOOP,
				"%s: lies behind a symbolic link in another grant: grant what the "
				"link points to",
				path);
		if (fd < 0)
			return error_errno(
				error, fd, "%s: has no place in the tenant's root", path);
		close_fd(&folder);
		folder = fd;
	}
	return take_fd(&folder);
}

static int mount_at(
	int mount, const char *path, bool folder, const struct own *own, struct error *error)
{
	cleanup_close int point = find_point(path, folder, own, error);
	if (point < 0)
		return point;
	if (syscall(SYS_move_mount, mount, "", point, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return error_errno(error, errno, "%s: cannot be mounted", path);
	return 0;
}

/* ---- what is mounted ---- */

static int mount_grant(
	const struct sandbox_grant *grant, const struct own *own, struct error *error)
{
	int result = mount_at(
		grant->mount, grant->path, grant->flags & SANDBOX_GRANT_FOLDER, own, error);
	if (result < 0)
		return result;
	/* The supervisor made it inert. Made so again here, for the day it forgets. */
	if (root_set_attributes(grant->mount, grant_attributes(grant->flags), 0) < 0)
		return error_errno(error, errno, "%s: cannot be made inert", grant->path);
	return 0;
}

static int mount_tmp(const struct sandbox_enter *enter, struct own *own, struct error *error)
{
	struct stat status;
	/* Inodes are the kernel's memory and not the file system's: bounded, too. */
	uint64_t inodes = enter->tmp_bytes / TMP_BYTES_PER_INODE;
	if (inodes < TMP_INODES_LEAST)
		inodes = TMP_INODES_LEAST;
	if (inodes > TMP_INODES_MOST)
		inodes = TMP_INODES_MOST;
	cleanup_close int mount = root_make_tmpfs(
		&(struct tmpfs_options){
			.bytes = enter->tmp_bytes,
			.inodes = inodes,
			.mode = "700",
			.id = enter->uid,
		},
		error);
	if (mount < 0)
		return mount;
	if (fstat(mount, &status) < 0)
		return error_errno(error, errno, "/tmp");
	int result = mount_at(mount, "/tmp", true, own, error);
	own->tmp = status.st_dev;
	return result;
}

static int mount_all(const struct sandbox_enter *enter, struct error *error)
{
	struct stat root;
	if (stat("/", &root) < 0)
		return error_errno(error, errno, "/");
	struct own own = {.root = root.st_dev, .tmp = root.st_dev};
	int result = enter->tmp_bytes > 0 ? mount_tmp(enter, &own, error) : 0;
	for (size_t i = 0; i < enter->grant_count && result == 0; i++)
		result = mount_grant(&enter->grants[i], &own, error);
	return result;
}

int mounts_make(const struct sandbox_enter *enter, struct error *error)
{
	if (enter->grant_count == 0 && enter->tmp_bytes == 0)
		return 0;
	cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_errno(error, errno, "cannot open /");
	if (root_set_attributes(root, 0, MOUNT_ATTR_RDONLY) < 0)
		return error_errno(error, errno, "cannot make mount points");
	/* The tenant must get through the folders made here; and what it makes itself in the
	 * operator's folders is meant for others, as it is with any other program. */
	umask(022);
	int result = mount_all(enter, error);
	if (root_set_attributes(root, MOUNT_ATTR_RDONLY, 0) < 0)
		return error_errno(error, errno, "cannot make the root read-only again");
	return result;
}
