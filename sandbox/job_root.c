/* What a job sees as "/": an empty tmpfs, read-only in the end, into which the host's
 * libraries, the granted programs and the grants are mounted, each at its own path. It is
 * built over the old root, while the old root's paths can still be cloned; then the old
 * root goes. All of it is done as the namespace's root, who is nobody on the host: what the
 * tenant's uid could not reach there, it cannot mount here. */
#include "common/cleanup.h"
#include "common/path.h"
#include "sandbox/job_mount.h"
#include "sandbox/job_steps.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

#define TMP_BYTES_LEAST (16u << 20) /* programs cannot do without any /tmp */
#define TMP_INODE_BYTES 4096        /* one inode for so many bytes */

/* What of the host's programs is code, and nobody's secret. Where the host has symbolic
 * links (a merged /usr), the job has the same ones. */
static const char *const libraries[] = {"/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32",
	"/usr/libexec", "/usr/share", "/usr/include", "/usr/local/lib", "/usr/local/share", "/lib",
	"/lib32", "/lib64", "/libx32"};
/* Of these only the links: what is in them is granted one by one. */
static const char *const program_folders[] = {"/bin", "/sbin", "/usr/sbin"};

static const char *const settings[] = {"/etc/ld.so.cache", "/etc/ssl/certs", "/etc/ssl/openssl.cnf",
	"/etc/ca-certificates", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted",
	"/etc/crypto-policies", "/etc/alternatives", "/etc/localtime", "/etc/timezone",
	"/etc/mime.types", "/etc/protocols", "/etc/services"};

static const char *const devices[] = {
	"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"};

static const char *const links[][2] = {
	{"/proc/self/fd", "dev/fd"},
	{"/proc/self/fd/0", "dev/stdin"},
	{"/proc/self/fd/1", "dev/stdout"},
	{"/proc/self/fd/2", "dev/stderr"},
	{"/tmp", "dev/shm"},
	{"/tmp", "var/tmp"},
	{"/proc/self/mounts", "etc/mtab"},
};

/* ---- parts of the host ---- */

/* The host's link, if it is one. 1: it was; 0: it was not, or is not there. */
static int copy_link(int root, const char *path, struct error *error)
{
	char target[PATH_MAX];
	ssize_t length = readlink(path, target, sizeof target - 1);
	if (length < 0)
		return 0;
	target[length] = '\0';
	int result = job_make_link(root, target, path, error);
	return result < 0 ? result : 1;
}

/* What the host has at PATH, or nothing if that is not there or not for the tenant's eyes. */
static int mount_host(int root, const char *path, uint64_t attributes, struct error *error)
{
	struct stat status;
	if (stat(path, &status) < 0)
		return 0;
	cleanup_close int mount = job_clone_host(path, attributes, error);
	return mount < 0 ? mount : job_attach(root, mount, path, error);
}

static int mount_libraries(int root, struct error *error)
{
	int result = 0;
	for (size_t i = 0; result >= 0 && i < ARRAY_LENGTH(program_folders); i++)
		result = copy_link(root, program_folders[i], error);
	for (size_t i = 0; result >= 0 && i < ARRAY_LENGTH(libraries); i++) {
		result = copy_link(root, libraries[i], error);
		if (result == 0)
			result = mount_host(root, libraries[i], JOB_MOUNT_LIBRARY, error);
	}
	for (size_t i = 0; result >= 0 && i < ARRAY_LENGTH(settings); i++)
		result = mount_host(root, settings[i], JOB_MOUNT_INERT, error);
	return result < 0 ? result : 0;
}

/* Does PATH lead to PROGRAM in the job already? */
static bool is_there(int root, const char *path, const struct job_program *program)
{
	struct stat ours, hosts;
	cleanup_close int fd = job_open_inside(root, path, 0);
	int result = program->mount >= 0 ? fstatat(program->mount, "", &hosts, AT_EMPTY_PATH)
					 : stat(path, &hosts);
	return fd >= 0 && result == 0 && fstatat(fd, "", &ours, AT_EMPTY_PATH) == 0 &&
	       ours.st_dev == hosts.st_dev && ours.st_ino == hosts.st_ino;
}

/* The supervisor made it read-only. Once more here, for the day it forgets. */
static int mount_program(int root, const struct job_program *program, struct error *error)
{
	const unsigned deep = program->folder ? AT_RECURSIVE : 0;
	if (job_set_attributes(program->mount, deep, JOB_MOUNT_LIBRARY, 0) < 0)
		return error_errno(error, errno, "cannot make the mount of %s safe", program->real);
	return job_attach(root, program->mount, program->real, error);
}

static int mount_programs(int root, const struct job_programs *programs, struct error *error)
{
	int result = 0;
	for (size_t i = 0; result == 0 && i < programs->count; i++) {
		const struct job_program *program = &programs->items[i];
		const bool granted = program->mount < 0;
		if (!granted && !is_there(root, program->real, program))
			result = mount_program(root, program, error);
		if (granted && strcmp(program->path, program->real) == 0)
			continue;
		if (result == 0 && !is_there(root, program->path, program))
			result = job_make_link(root, program->real, program->path, error);
	}
	return result;
}

/* ---- what is not the host's ---- */

static int mount_tmp(int root, const struct worker_start *start, struct error *error)
{
	char size[32], inodes[32];
	uint64_t bytes = start->tmp_bytes ? start->tmp_bytes : TMP_BYTES_LEAST;
	snprintf(size, sizeof size, "%llu", (unsigned long long)bytes);
	snprintf(inodes, sizeof inodes, "%llu", (unsigned long long)(bytes / TMP_INODE_BYTES + 64));
	const struct job_setting with[] = {
		{"source", "tmp"}, {"size", size}, {"nr_inodes", inodes}, {"mode", "1777"}};
	cleanup_close int mount =
		job_make_filesystem("tmpfs", with, ARRAY_LENGTH(with), JOB_MOUNT_SCRATCH, error);
	if (mount < 0)
		return mount;
	const char *const home = &JOB_HOME[sizeof "/tmp"]; /* as /tmp has it */
	if (mkdirat(mount, home, 0700) < 0 ||
		fchownat(mount, home, start->uid, start->uid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(error, errno, "cannot make " JOB_HOME);
	return job_attach(root, mount, "/tmp", error);
}

static int mount_devices(int root, struct error *error)
{
	int result = 0;
	for (size_t i = 0; result == 0 && i < ARRAY_LENGTH(devices); i++)
		result = mount_host(root, devices[i], JOB_MOUNT_DEVICE, error);
	return result;
}

/* Where no grant has its place. */
static int make_links(int root, struct error *error)
{
	int result = 0;
	for (size_t i = 0; result == 0 && i < ARRAY_LENGTH(links); i++)
		result = job_make_link(root, links[i][0], links[i][1], error);
	return result;
}

/* ---- grants ---- */

/* Whoever grants a folder's files and programs in it, or it among programs, wants them to
 * run; Landlock still says which. */
static bool has_programs(const struct worker_grant *grant, const struct job_programs *programs)
{
	for (size_t i = 0; i < programs->count; i++) {
		const struct job_program *program = &programs->items[i];
		if (path_is_in(program->path, grant->path) ||
			path_is_in(program->real, grant->path))
			return true;
		if (program->folder && (path_is_in(grant->path, program->path) ||
					       path_is_in(grant->path, program->real)))
			return true;
	}
	return false;
}

/* The supervisor made the mounts as they must be. Once more here, because a mistake there
 * must not become a writable folder of the host here. */
static int mount_grant(int root, int mount, const struct worker_grant *grant,
	const struct job_programs *programs, struct error *error)
{
	const bool runs = has_programs(grant, programs);
	uint64_t set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
		       (grant->write ? 0 : MOUNT_ATTR_RDONLY) | (runs ? 0 : MOUNT_ATTR_NOEXEC);
	if (strcmp(grant->path, "/") == 0)
		return error_set(error, EINVAL,
			"a program cannot be granted all files (/): name the folders");
	if (job_set_attributes(mount, AT_RECURSIVE, set, runs ? MOUNT_ATTR_NOEXEC : 0) < 0)
		return error_errno(error, errno, "cannot make the mount of %s safe", grant->path);
	return job_attach(root, mount, grant->path, error);
}

/* ---- all of it ---- */

static int fill(int root, const struct worker_start *start, const struct job_programs *programs,
	int release, const int *mounts, struct error *error)
{
	static const char *const folders[] = {"etc", "dev", "proc", "tmp", "usr", "var"};
	int result = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(folders); i++)
		if (mkdirat(root, folders[i], 0755) < 0)
			return error_errno(error, errno, "cannot make /%s", folders[i]);
	result = mount_libraries(root, error);
	if (result == 0)
		result = job_etc_write(root, start, error);
	if (result == 0)
		result = job_secrets_write(root, start, error);
	if (result == 0)
		result = job_mount_proc(root, error);
	if (result == 0)
		result = mount_devices(root, error);
	if (result == 0)
		result = mount_tmp(root, start, error);
	if (result == 0)
		result = mount_programs(root, programs, error);
	if (result == 0 && release >= 0) {
		if (job_set_attributes(release, 0, JOB_MOUNT_INERT, 0) < 0)
			result = error_errno(error, errno, "cannot make /app read-only");
		else
			result = job_attach(root, release, "/app", error);
	}
	/* Last, parents first: a grant wins over what else has its place. */
	for (size_t i = 0; result == 0 && i < start->grant_count; i++)
		result = mount_grant(root, mounts[i], &start->grants[i], programs, error);
	return result < 0 ? result : make_links(root, error);
}

/* The old root, which after the pivot is stacked on the same place, goes with all in it. */
static int leave_host(int root, struct error *error)
{
	if (fchdir(root) < 0)
		return error_errno(error, errno, "cannot enter the job's root");
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return error_errno(error, errno, "cannot pivot to the job's root");
	if (syscall(SYS_umount2, ".", MNT_DETACH) < 0)
		return error_errno(error, errno, "cannot let go of the old root");
	if (chdir("/") < 0)
		return error_errno(error, errno, "cannot go to the job's root");
	return 0;
}

int job_root_enter(const struct worker_start *start, const struct job_programs *programs,
	int release, const int *mounts, struct error *error)
{
	/* Room for synthetic files and for the places of mounts. */
	static const struct job_setting with[] = {
		{"source", "job"}, {"size", "1m"}, {"nr_inodes", "16384"}, {"mode", "755"}};
	mode_t mask = umask(022); /* other users (the tenant's) must be able to look */
	cleanup_close int root =
		job_make_filesystem("tmpfs", with, ARRAY_LENGTH(with), JOB_MOUNT_SCRATCH, error);
	if (root < 0)
		return root;
	/* Over "/", where the current root does not see it: paths still lead to the host. */
	if (syscall(SYS_move_mount, root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_errno(error, errno, "cannot mount the job's root");
	int result = fill(root, start, programs, release, mounts, error);
	umask(mask);
	if (result < 0)
		return result;
	if (job_set_attributes(root, 0, JOB_MOUNT_INERT, 0) < 0)
		return error_errno(error, errno, "cannot make the job's root read-only");
	return leave_host(root, error);
}
