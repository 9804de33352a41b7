/* /proc of a job: its own processes, and of the rest only what programs count processors and
 * memory with. The kernel's `subset=pid` would leave out that too, so everything else is
 * covered, whatever it is called: a list of what is dangerous would miss the next one. */
#include "common/cleanup.h"
#include "sandbox/job_mount.h"
#include "sandbox/job_steps.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static bool is_shown(const char *name)
{
	static const char *const names[] = {"self", "thread-self", "mounts", "net", "cpuinfo",
		"meminfo", "stat", "uptime", "loadavg", "version", "filesystems"};
	if (isdigit((unsigned char)name[0]) || name[0] == '.')
		return true;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* Covers one entry with nothing: an empty folder or /dev/null. */
static int cover(int proc, const char *name, int nothing, struct error *error)
{
	struct stat status;
	if (fstatat(proc, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || S_ISLNK(status.st_mode))
		return 0;
	cleanup_close int mount =
		S_ISDIR(status.st_mode)
			? (int)syscall(SYS_open_tree, nothing, "",
				  AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
			: job_clone_host("/dev/null", JOB_MOUNT_DEVICE, error);
	if (mount < 0)
		return error_errno(error, errno, "cannot make a cover for /proc/%s", name);
	if (syscall(SYS_move_mount, mount, "", proc, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_errno(error, errno, "cannot cover /proc/%s", name);
	return 0;
}

static int cover_others(int root, struct error *error)
{
	static const struct job_setting with[] = {
		{"size", "4k"}, {"nr_inodes", "2"}, {"mode", "555"}};
	cleanup_close int proc = openat(root, "proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int listed = proc < 0 ? -1 : openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_closedir DIR *folder = listed < 0 ? NULL : fdopendir(listed);
	if (folder == NULL)
		return error_errno(error, errno, "cannot list /proc");
	/* Mounted where it will be covered itself: a mount can be cloned only once it is part
	 * of the tree. */
	cleanup_close int nothing =
		job_make_filesystem("tmpfs", with, ARRAY_LENGTH(with), JOB_MOUNT_INERT, error);
	if (nothing < 0)
		return nothing;
	int result = 0;
	bool first = true;
	for (struct dirent *entry; result == 0 && (entry = readdir(folder));) {
		if (is_shown(entry->d_name))
			continue;
		if (first && entry->d_type == DT_DIR) {
			first = false;
			if (syscall(SYS_move_mount, nothing, "", proc, entry->d_name,
				    MOVE_MOUNT_F_EMPTY_PATH) < 0)
				return error_errno(
					error, errno, "cannot cover /proc/%s", entry->d_name);
			continue;
		}
		result = cover(proc, entry->d_name, nothing, error);
	}
	return result;
}

int job_mount_proc(int root, struct error *error)
{
	static const struct job_setting with[] = {{"hidepid", "invisible"}};
	cleanup_close int mount =
		job_make_filesystem("proc", with, ARRAY_LENGTH(with), JOB_MOUNT_SCRATCH, error);
	if (mount < 0)
		return mount;
	int result = job_attach(root, mount, "/proc", error);
	return result < 0 ? result : cover_others(root, error);
}
