/* Files, folders, mounts, the kernel's own files: E01-E06, E22, E23. */
#include "attack_acts.h"

#include <sys/mount.h>
#include <sys/stat.h>

#define FDS_MAX 65536

/* ---- E01 the runtime's own binary (CVE-2019-5736) ---- */

long open_own_program(target_t *target)
{
	(void)target;
	return open_path("/proc/self/exe", O_RDONLY);
}

long open_parents_program(target_t *target)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/exe", target->victim);
	return open_path(path, O_RDONLY);
}

/* Busy while it runs, unless it runs from a copy: what must not be is that it opens. */
long open_own_program_to_write(target_t *target)
{
	(void)target;
	long fd = open_path("/proc/self/exe", O_RDWR);
	return fd < 0 && errno == ETXTBSY ? 0 : fd;
}

/* The file is opened for execution before the arguments are looked at. */
static long would_execute(const char *path)
{
	return CALL(SYS_execve, path, (char *const *)1, NULL) < 0 && errno == EFAULT ? 0 : -1;
}

long execute_own_program(target_t *target)
{
	(void)target;
	return would_execute("/proc/self/exe");
}

/* ---- E02 descriptors that were forgotten (CVE-2024-21626, CVE-2016-9962) ---- */

static bool is_granted(target_t *target, int fd)
{
	for (size_t i = 0; i < target->granted_count; i++)
		if (target->granted[i] == fd)
			return true;
	return fd <= 2;
}

long find_leaked_descriptor(target_t *target)
{
	for (int fd = 0; fd < FDS_MAX; fd++)
		if (!is_granted(target, fd) && CALL(SYS_fcntl, fd, F_GETFD) >= 0)
			return fd;
	errno = EPERM;
	return -1;
}

long open_through_descriptors(target_t *target)
{
	for (int fd = 0; fd < 1024; fd++) {
		long file = CALL(SYS_openat, fd, "etc/passwd", O_RDONLY);
		if (file >= 0)
			return file;
		if (CALL(SYS_fchdir, fd) == 0 && (file = open_path("etc/passwd", O_RDONLY)) >= 0)
			return file;
	}
	(void)target;
	errno = EPERM;
	return -1;
}

long leave_by_descriptor_links(target_t *target)
{
	(void)target;
	for (int fd = 0; fd < 1024; fd++) {
		char path[64];
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		if (CALL(SYS_chdir, path) < 0)
			continue;
		long file = open_path("etc/passwd", O_RDONLY);
		if (file >= 0)
			return file;
	}
	errno = EPERM;
	return -1;
}

/* The kernel says "(unreachable)/…" of a folder that is not below the root. */
long leave_reachable_tree(target_t *target)
{
	char path[4096] = "";
	(void)target;
	if (CALL(SYS_getcwd, path, sizeof path) >= 0 && path[0] != '/')
		return 0;
	errno = EPERM;
	return -1;
}

/* ---- E03, E22 paths ---- */

long open_outside(target_t *target)
{
	return open_path(target->outside_file, O_RDONLY);
}

long stat_outside(target_t *target)
{
	struct stat status;
	return CALL(SYS_newfstatat, AT_FDCWD, target->outside_file, &status, 0);
}

long walk_up(target_t *target)
{
	char path[256] = "";
	for (int i = 0; i < 64; i++)
		strcat(path, "../");
	strcat(path, target->outside_file + 1);
	return open_path(path, O_RDONLY);
}

long walk_up_from_own_folder(target_t *target)
{
	long folder = open_path(target->folder, O_PATH | O_DIRECTORY);
	for (int i = 0; folder >= 0 && i < 64; i++) {
		long up = CALL(SYS_openat, folder, "..", O_PATH | O_DIRECTORY);
		(void)CALL(SYS_close, folder);
		folder = up;
	}
	return folder < 0 ? -1 : CALL(SYS_openat, folder, target->outside_file + 1, O_RDONLY);
}

long create_file(target_t *target)
{
	char path[256];
	path_in(target, "new", path, sizeof path);
	return open_path(path, O_WRONLY | O_CREAT);
}

long create_in_root(target_t *target)
{
	(void)target;
	long file = open_path("/attack-was-here", O_WRONLY | O_CREAT);
	if (file >= 0)
		(void)CALL(SYS_unlinkat, AT_FDCWD, "/attack-was-here", 0);
	return file;
}

long create_unnamed_file(target_t *target)
{
	return open_path(target->folder, O_TMPFILE | O_RDWR);
}

long open_for_writing(target_t *target)
{
	char path[256];
	path_in(target, "file", path, sizeof path);
	return open_path(path, O_WRONLY);
}

long truncate_on_open(target_t *target)
{
	char path[256];
	path_in(target, "file", path, sizeof path);
	return open_path(path, O_RDONLY | O_TRUNC);
}

#define ON_FILE(function, call)                                                                    \
	long function(target_t *target)                                                            \
	{                                                                                          \
		char path[256], other[256];                                                        \
		path_in(target, "file", path, sizeof path);                                        \
		path_in(target, "other", other, sizeof other);                                     \
		return call;                                                                       \
	}
ON_FILE(truncate_file, CALL(SYS_truncate, path, 0))
ON_FILE(make_folder, CALL(SYS_mkdirat, AT_FDCWD, other, 0700))
ON_FILE(make_link, CALL(SYS_linkat, AT_FDCWD, path, AT_FDCWD, other, 0))
ON_FILE(make_symlink, CALL(SYS_symlinkat, "/etc", AT_FDCWD, other))
ON_FILE(make_device, CALL(SYS_mknodat, AT_FDCWD, other, S_IFCHR | 0600, 0x101 /* /dev/mem */))
ON_FILE(rename_file, CALL(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, other, 0))
ON_FILE(remove_file, CALL(SYS_unlinkat, AT_FDCWD, path, 0))
ON_FILE(change_mode, CALL(SYS_fchmodat, AT_FDCWD, path, 04755))
ON_FILE(change_owner, CALL(SYS_fchownat, AT_FDCWD, path, 0, 0, 0))
ON_FILE(change_times, CALL(SYS_utimensat, AT_FDCWD, path, NULL, 0))
ON_FILE(set_attribute, CALL(SYS_setxattr, path, "trusted.attack", "x", 1, 0))
ON_FILE(watch_file, CALL(SYS_inotify_add_watch, CALL(SYS_inotify_init1, 0), path, 0xfff))

long make_handle(target_t *target)
{
	struct {
		unsigned bytes;
		int type;
		unsigned char data[128];
	} handle = {.bytes = sizeof handle.data};
	int mount;
	return CALL(SYS_name_to_handle_at, AT_FDCWD, target->folder, &handle, &mount, 0);
}

/* ---- E04 roots and mounts ---- */

long change_root(target_t *target)
{
	return CALL(SYS_chroot, target->folder);
}

/* The current folder stays outside of the new root. */
long dance_out_of_chroot(target_t *target)
{
	char jail[256], path[256] = "";
	path_in(target, "other", jail, sizeof jail);
	(void)CALL(SYS_mkdirat, AT_FDCWD, jail, 0700);
	if (CALL(SYS_chroot, jail) < 0)
		return -1;
	for (int i = 0; i < 64; i++)
		strcat(path, "../");
	strcat(path, target->outside_file + 1);
	return open_path(path, O_RDONLY);
}

long mount_cgroup(target_t *target)
{
	return CALL(SYS_mount, "none", target->folder, "cgroup2", 0, NULL);
}

long mount_tmpfs(target_t *target)
{
	return CALL(SYS_mount, "none", target->folder, "tmpfs", 0, NULL);
}

long mount_proc(target_t *target)
{
	return CALL(SYS_mount, "proc", target->folder, "proc", 0, NULL);
}

long remount_writable(target_t *target)
{
	(void)CALL(SYS_mount, target->folder, target->folder, NULL, MS_BIND, NULL);
	return CALL(SYS_mount, NULL, target->folder, NULL, MS_BIND | MS_REMOUNT, NULL);
}

long set_mount_writable(target_t *target)
{
	struct mount_attr attributes = {.attr_clr = MOUNT_ATTR_RDONLY};
	(void)CALL(SYS_mount, target->folder, target->folder, NULL, MS_BIND, NULL);
	return CALL(SYS_mount_setattr, AT_FDCWD, target->folder, 0, &attributes, sizeof attributes);
}

long clone_mount(target_t *target)
{
	return CALL(SYS_open_tree, AT_FDCWD, target->folder, OPEN_TREE_CLONE);
}

long unmount_root(target_t *target)
{
	(void)CALL(SYS_mount, "none", target->folder, "tmpfs", 0, NULL);
	return CALL(SYS_umount2, target->folder, MNT_DETACH);
}

long make_filesystem(target_t *target)
{
	(void)target;
	return CALL(SYS_fsopen, "tmpfs", 0);
}

/* ---- E06 the kernel's own files (CVE-2022-0492 and others) ---- */

#define OPENS(function, path, flags)                                                               \
	long function(target_t *target)                                                            \
	{                                                                                          \
		(void)target;                                                                      \
		return open_path(path, flags);                                                     \
	}
OPENS(open_sysrq, "/proc/sysrq-trigger", O_WRONLY)
OPENS(open_core_pattern, "/proc/sys/kernel/core_pattern", O_WRONLY)
OPENS(open_kcore, "/proc/kcore", O_RDONLY)
OPENS(open_environment, "/proc/self/environ", O_RDONLY)
OPENS(open_maps, "/proc/self/maps", O_RDONLY)
OPENS(open_sys, "/sys", O_RDONLY | O_DIRECTORY)
OPENS(open_cgroups, "/sys/fs/cgroup", O_RDONLY | O_DIRECTORY)
OPENS(open_memory_device, "/dev/kmsg", O_RDONLY)
OPENS(open_null, "/dev/null", O_RDWR)
OPENS(open_keys, "/proc/keys", O_RDONLY)
OPENS(open_modprobe, "/proc/sys/kernel/modprobe", O_WRONLY)
OPENS(open_binfmt, "/proc/sys/fs/binfmt_misc/register", O_WRONLY)
OPENS(open_uevent_helper, "/sys/kernel/uevent_helper", O_WRONLY)
OPENS(open_release_agent, "/sys/fs/cgroup/memory/release_agent", O_WRONLY)
OPENS(open_terminal, "/dev/tty", O_RDWR)
OPENS(open_run, "/run", O_RDONLY | O_DIRECTORY)
OPENS(write_own_memory, "/proc/self/mem", O_RDWR)

/* ---- E23 other processes' secrets ---- */

#define OF_VICTIM(function, file)                                                                  \
	long function(target_t *target)                                                            \
	{                                                                                          \
		char path[64];                                                                     \
		snprintf(path, sizeof path, "/proc/%d/" file, target->victim);                     \
		return open_path(path, O_RDONLY);                                                  \
	}
OF_VICTIM(open_victims_environment, "environ")
OF_VICTIM(open_victims_maps, "maps")
OF_VICTIM(open_victims_command, "cmdline")

long peek_at_victim(target_t *target)
{
	char path[64];
	struct stat status;
	snprintf(path, sizeof path, "/proc/%d", target->victim);
	return CALL(SYS_newfstatat, AT_FDCWD, path, &status, 0);
}
