/* The supervisor's half of a file grant: a path of the policy becomes a mount that refers
 * to one file or folder of the host, inert, with the tenant as its owner. The worker's
 * half, which puts it in place, is mounts.c.
 *
 * The path is walked once, by descriptors, and not again: whatever is renamed afterwards,
 * the tenant has what was there. A system call that resolves the whole path would follow
 * symbolic links that a tenant left in a folder it may write, as root: `out` -> /etc, and
 * the next start grants /etc (CVE-2021-30465 and its like). So links are followed one at a
 * time, here, and only where nobody but root could have made them. */
#include "common/cleanup.h"
#include "common/path.h"
#include "sandbox/sandbox.h"
#include "sandbox/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

#define LINKS_MAX 16
#define DISTRUSTED_MAX 4096

/* On each folder that was granted for writing, so that it is remembered by the next daemon,
 * too: an attribute that only root sees. */
#define MARK "trusted.tenantd.written"

/* ---- where tenants may write ---- */

/* A folder, also after it was removed and another one got its number. */
struct identity {
	uint64_t device, inode, born_ns; /* the last is 0 where the file system does not know */
};
static struct identity distrusted[DISTRUSTED_MAX];
static size_t distrusted_count;
static bool distrust_everything; /* there was no more room to remember */

void grant_forget(void)
{
	distrusted_count = 0;
	distrust_everything = false;
}

static int identify(int folder, const char *path, struct identity *ret)
{
	struct statx status;
	if (statx(folder, path, AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &status) < 0)
		return -errno;
	*ret = (struct identity){
		.device = (uint64_t)status.stx_dev_major << 32 | status.stx_dev_minor,
		.inode = status.stx_ino,
	};
	if (status.stx_mask & STATX_BTIME)
		ret->born_ns =
			(uint64_t)status.stx_btime.tv_sec * 1000000000u + status.stx_btime.tv_nsec;
	return 0;
}

static bool is_known(const struct identity *identity)
{
	for (size_t i = 0; i < distrusted_count; i++)
		if (memcmp(&distrusted[i], identity, sizeof *identity) == 0)
			return true;
	return distrust_everything;
}

static void name_of(int fd, char name[32])
{
	snprintf(name, 32, "/proc/self/fd/%d", fd);
}

static bool is_marked(int folder)
{
	char name[32];
	name_of(folder, name);
	return getxattr(name, MARK, NULL, 0) >= 0;
}

static bool is_distrusted(int folder)
{
	struct identity identity;
	return identify(folder, "", &identity) < 0 || is_known(&identity) || is_marked(folder);
}

static void distrust(const struct identity *identity)
{
	if (is_known(identity))
		return;
	if (distrusted_count == DISTRUSTED_MAX) {
		distrust_everything = true;
		return;
	}
	distrusted[distrusted_count++] = *identity;
}

static void distrust_opened(int folder)
{
	struct identity identity;
	char name[32];
	name_of(folder, name);
	/* Where the file system cannot keep it, it holds until the daemon ends. */
	(void)setxattr(name, MARK, "", 0, 0);
	if (identify(folder, "", &identity) == 0)
		distrust(&identity);
	else
		distrust_everything = true;
}

void sandbox_grant_distrust(const char *path)
{
	struct identity identity;
	if (identify(AT_FDCWD, path, &identity) == 0)
		distrust(&identity);
}

/* ---- from a path to a descriptor ---- */

struct walk {
	const char *path; /* as the policy has it */
	int folder;       /* O_PATH, where it is now */
	bool trusted;     /* links in here are root's */
	uint32_t id;      /* who is to come there */
	bool passable;    /* it may, by the modes on the way */
	unsigned links;
	char rest[2 * PATH_MAX]; /* what is still to go */
};

/* By owner and mode alone: what lists of access say is not known. */
static bool may(uint32_t id, const struct stat *status, mode_t bits)
{
	unsigned shift = status->st_uid == id ? 6 : status->st_gid == id ? 3 : 0;
	return ((status->st_mode >> shift) & bits) == bits;
}

/* Nobody but root can make, move or remove anything in it. */
static bool is_roots_own(int folder, const struct stat *status)
{
	return status->st_uid == 0 && !(status->st_mode & (S_IWGRP | S_IWOTH)) &&
	       !is_distrusted(folder);
}

static int walk_from_root(struct walk *walk, struct error *error)
{
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat status;
	if (root < 0 || fstat(root, &status) < 0)
		return error_errno(error, errno, "%s: cannot open /", walk->path);
	close_fd(&walk->folder);
	walk->folder = root;
	walk->trusted = is_roots_own(root, &status);
	return 0;
}

/* Cuts the next component off. False when nothing is left. */
static bool next_name(struct walk *walk, char name[NAME_MAX + 1])
{
	const char *from = walk->rest + strspn(walk->rest, "/");
	size_t length = strcspn(from, "/");
	if (length == 0 || length > NAME_MAX)
		return false;
	memcpy(name, from, length);
	name[length] = '\0';
	memmove(walk->rest, from + length, strlen(from + length) + 1);
	return true;
}

static int follow(struct walk *walk, int link, struct error *error)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t length = readlinkat(link, "", target, sizeof target - 1);
	if (length < 0)
		return error_errno(error, errno, "%s: cannot read a symbolic link", walk->path);
	target[length] = '\0';
	if (!walk->trusted)
		return error_set(error, ELOOP,
			"%s: leads through a symbolic link to %s, in a folder that others than "
			"root may write: grant what is meant",
			walk->path, target);
	if (++walk->links > LINKS_MAX)
		return error_set(error, ELOOP, "%s: too many symbolic links", walk->path);
	if (strlen(walk->rest) >= sizeof rest)
		return error_errno(error, ENAMETOOLONG, "%s", walk->path);
	strcpy(rest, walk->rest);
	int length_now = snprintf(walk->rest, sizeof walk->rest, "%s/%s", target, rest);
	if (length_now < 0 || (size_t)length_now >= sizeof walk->rest)
		return error_errno(error, ENAMETOOLONG, "%s", walk->path);
	return target[0] == '/' ? walk_from_root(walk, error) : 0;
}

static int step(struct walk *walk, const char *name, struct error *error)
{
	cleanup_close int next = openat(walk->folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat status;
	if (next < 0 || fstat(next, &status) < 0)
		return error_errno(error, errno, "%s", walk->path);
	if (S_ISLNK(status.st_mode))
		return follow(walk, next, error);
	if (walk->rest[strspn(walk->rest, "/")] && !may(walk->id, &status, S_IXOTH))
		walk->passable = false;
	/* Once outside of what is root's alone, `..` does not lead back to trust. */
	walk->trusted = walk->trusted && is_roots_own(next, &status);
	close_fd(&walk->folder);
	walk->folder = take_fd(&next);
	return 0;
}

/* Returns an O_PATH descriptor, the caller's. *RET_PASSABLE: ID may come there. */
static int open_granted(const char *path, uint32_t id, bool *ret_passable, struct error *error)
{
	struct walk walk = {.path = path, .folder = -1, .id = id, .passable = true};
	char name[NAME_MAX + 1];
	if (strlen(path) >= PATH_MAX)
		return error_errno(error, ENAMETOOLONG, "%s", path);
	strcpy(walk.rest, path);
	int result = walk_from_root(&walk, error);
	while (result == 0 && next_name(&walk, name))
		result = step(&walk, name, error);
	if (result == 0 && strspn(walk.rest, "/") != strlen(walk.rest))
		result = error_errno(error, ENAMETOOLONG, "%s", path);
	if (result < 0) {
		close_fd(&walk.folder);
		return result;
	}
	*ret_passable = walk.passable;
	return walk.folder;
}

/* ---- what may be granted ---- */

/* Interfaces of the kernel that look like files: what they do is not reading and writing. */
static bool is_kernels(int fd)
{
	static const unsigned long magics[] = {PROC_SUPER_MAGIC, SYSFS_MAGIC, CGROUP_SUPER_MAGIC,
		CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC, SECURITYFS_MAGIC, BPF_FS_MAGIC,
		NSFS_MAGIC, DEVPTS_SUPER_MAGIC, BINFMTFS_MAGIC, EFIVARFS_MAGIC, PSTOREFS_MAGIC,
		0x62656570 /* configfs */, 0x19800202 /* mqueue */, 0x65735543 /* fusectl */};
	struct statfs status;
	if (fstatfs(fd, &status) < 0)
		return true;
	for (size_t i = 0; i < ARRAY_LENGTH(magics); i++)
		if ((unsigned long)status.f_type == magics[i])
			return true;
	return false;
}

static int check_kind(const char *path, int fd, const struct stat *status, struct error *error)
{
	if (!S_ISREG(status->st_mode) && !S_ISDIR(status->st_mode))
		return error_set(error, EINVAL, "%s: is neither a file nor a folder", path);
	if (is_kernels(fd))
		return error_set(error, EPERM,
			"%s: is one of the kernel's own file systems, which are not granted", path);
	return 0;
}

static int check_place(const char *path, struct error *error)
{
	if (path[0] != '/' || path[1] == '\0')
		return error_set(error, EPERM, "%s: grant the folders that are needed", path);
	return 0;
}

static int check_mount_point(const char *path, struct error *error)
{
	if (path_is_in(path, "/app"))
		return error_set(error, EPERM, "%s: is where the tenant's release is", path);
	return 0;
}

/* ---- the mount ---- */

static int clone_mount(const struct sandbox_grant *grant, int fd, struct error *error)
{
	/* Without what is mounted below it: those mounts were not named, may lie on other
	 * file systems, and would each need all of what follows. */
	cleanup_close int mount = (int)syscall(
		SYS_open_tree, fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (mount < 0)
		return error_errno(error, errno, "%s: cannot clone its mount", grant->path);
	struct mount_attr wanted = {
		.attr_set = grant_attributes(grant->flags),
		.propagation = 1 << 18 /* MS_PRIVATE */,
	};
	if (syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &wanted, sizeof wanted) < 0)
		return error_errno(error, errno, "%s: cannot make its mount inert", grant->path);
	return take_fd(&mount);
}

static int map_owner(
	const char *path, int mount, const struct stat *owner, uint32_t id, struct error *error)
{
	int users = idmap_users(owner->st_uid, owner->st_gid, id, error);
	if (users < 0)
		return error_prefix(error, "%s", path);
	struct mount_attr wanted = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)users};
	if (syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &wanted, sizeof wanted) == 0)
		return 0;
	return error_errno(error, errno, "%s: its file system cannot map ids", path);
}

/* What both kinds of grants begin with. Returns a descriptor (O_PATH), the caller's. */
static int find_granted(struct sandbox_grant *grant, uint32_t id, struct stat *ret_status,
	bool *ret_passable, struct error *error)
{
	int result = check_place(grant->path, error);
	if (result < 0)
		return result;
	cleanup_close int fd = open_granted(grant->path, id, ret_passable, error);
	if (fd < 0)
		return fd;
	if (fstat(fd, ret_status) < 0)
		return error_errno(error, errno, "%s", grant->path);
	result = check_kind(grant->path, fd, ret_status, error);
	if (result < 0)
		return result;
	grant->flags &= ~(unsigned)SANDBOX_GRANT_FOLDER;
	if (S_ISDIR(ret_status->st_mode))
		grant->flags |= SANDBOX_GRANT_FOLDER;
	return take_fd(&fd);
}

int sandbox_grant_mount(
	struct sandbox_grant *grant, uint32_t id, char warning[256], struct error *error)
{
	struct error plain = {0};
	struct stat status;
	bool passable;
	warning[0] = '\0';
	int result = check_mount_point(grant->path, error);
	if (result < 0)
		return result;
	cleanup_close int fd = find_granted(grant, id, &status, &passable, error);
	if (fd < 0)
		return fd;
	int mount = clone_mount(grant, fd, error);
	if (mount < 0)
		return mount;
	if (map_owner(grant->path, mount, &status, id, &plain) < 0)
		snprintf(warning, 256, "%.180s; the tenant is not its owner there", plain.message);
	if (grant->flags & SANDBOX_GRANT_WRITE)
		distrust_opened(fd);
	grant->mount = mount;
	return 0;
}

/* ---- without mounts ---- */

int sandbox_grant_place(
	struct sandbox_grant *grant, uint32_t id, char warning[256], struct error *error)
{
	struct stat status;
	bool passable;
	warning[0] = '\0';
	int fd = find_granted(grant, id, &status, &passable, error);
	if (fd < 0)
		return fd;
	const bool write = grant->flags & SANDBOX_GRANT_WRITE;
	const mode_t wanted = (write ? S_IROTH | S_IWOTH : S_IROTH) |
			      (grant->flags & SANDBOX_GRANT_FOLDER ? S_IXOTH : 0);
	if (!passable)
		snprintf(warning, 256,
			"%.120s: a folder above does not let user %u, the tenant's, pass (chmod "
			"o+x)",
			grant->path, id);
	else if (!may(id, &status, wanted))
		snprintf(warning, 256,
			"%.120s: user %u, the tenant's, may not %s it (owner %u, mode %04o): chown "
			"or chmod it",
			grant->path, id, write ? "write" : "read", status.st_uid,
			status.st_mode & 07777);
	if (write)
		distrust_opened(fd);
	grant->mount = fd;
	return 0;
}

/* ---- programs ---- */

int sandbox_program_open(
	const char *path, uint32_t id, struct stat *ret_status, struct error *error)
{
	bool passable;
	int result = check_place(path, error);
	if (result < 0)
		return result;
	cleanup_close int fd = open_granted(path, id, &passable, error);
	if (fd < 0)
		return fd;
	if (fstat(fd, ret_status) < 0)
		return error_errno(error, errno, "%s", path);
	result = check_kind(path, fd, ret_status, error);
	if (result < 0)
		return result;
	/* What a folder hides from the tenant's user, a link to a program must not show. */
	if (!passable)
		return error_set(error, EACCES,
			"%s: a folder on the way does not let user %u, the tenant's, pass", path,
			id);
	return take_fd(&fd);
}

/* The path that a descriptor has now: what it is called is the kernel's to say. */
static int real_path(int fd, char *real)
{
	char name[32];
	name_of(fd, name);
	ssize_t length = readlink(name, real, PATH_MAX - 1);
	if (length <= 0)
		return length < 0 ? -errno : -ENOENT;
	real[length] = '\0';
	return real[0] == '/' ? 0 : -ENOENT;
}

int sandbox_program_mount(const char *path, uint32_t id, char *real, struct error *error)
{
	struct stat status;
	cleanup_close int fd = sandbox_program_open(path, id, &status, error);
	if (fd < 0)
		return fd;
	int result = status.st_nlink == 0 ? -ENOENT : real_path(fd, real);
	if (result < 0)
		return error_errno(error, result, "%s", path);
	const unsigned deep = S_ISDIR(status.st_mode) ? AT_RECURSIVE : 0;
	cleanup_close int mount = (int)syscall(
		SYS_open_tree, fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | deep);
	if (mount < 0)
		return error_errno(error, errno, "%s: cannot clone its mount", path);
	struct mount_attr wanted = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
		.propagation = 1 << 18 /* MS_PRIVATE */,
	};
	if (syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH | deep, &wanted, sizeof wanted) < 0)
		return error_errno(error, errno, "%s: cannot make its mount read-only", path);
	return take_fd(&mount);
}
