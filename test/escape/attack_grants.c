/* From files that were granted to those that were not: E22, and E13's descriptors. The
 * attacker owns what is in its writable folder; around it stands what the host made:
 *
 *   read_folder/file, sub/         to read
 *   write_folder/own, program      to read and to write
 *   write_folder/out, up, device   links to a file of the host and to "..", a device node
 *   read_file, and a file "sibling" beside it, which is not granted */
#include "attack_acts.h"

#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define PATH_SIZE 512

static char *in(const char *folder, const char *name, char path[PATH_SIZE])
{
	snprintf(path, PATH_SIZE, "%s/%s", folder, name);
	return path;
}

/* One call on names below the two folders. */
#define ON_GRANTS(function, call)                                                                  \
	long function(target_t *target)                                                            \
	{                                                                                          \
		char file[PATH_SIZE], made[PATH_SIZE], own[PATH_SIZE], new[PATH_SIZE];             \
		in(target->read_folder, "file", file);                                             \
		in(target->read_folder, "made", made);                                             \
		in(target->write_folder, "own", own);                                              \
		in(target->write_folder, "new", new);                                              \
		(void)file, (void)made, (void)own, (void)new;                                      \
		return call;                                                                       \
	}

/* ---- what is granted to read is not granted to write ---- */

ON_GRANTS(grant_open_write, open_path(file, O_WRONLY))
ON_GRANTS(grant_open_read_write, open_path(file, O_RDWR))
ON_GRANTS(grant_open_truncate, open_path(file, O_RDONLY | O_TRUNC))
ON_GRANTS(grant_open_create, open_path(made, O_RDONLY | O_CREAT))
ON_GRANTS(grant_open_unnamed, open_path(target->read_folder, O_TMPFILE | O_RDWR))
ON_GRANTS(grant_truncate, CALL(SYS_truncate, file, 0))
ON_GRANTS(grant_mkdir, CALL(SYS_mkdirat, AT_FDCWD, made, 0700))
ON_GRANTS(grant_unlink, CALL(SYS_unlinkat, AT_FDCWD, file, 0))
ON_GRANTS(grant_chmod, CALL(SYS_fchmodat, AT_FDCWD, file, 0777))
ON_GRANTS(grant_utimes, CALL(SYS_utimensat, AT_FDCWD, file, NULL, 0))
ON_GRANTS(grant_symlink, CALL(SYS_symlinkat, "x", AT_FDCWD, made))
ON_GRANTS(grant_rename, CALL(SYS_renameat2, AT_FDCWD, file, AT_FDCWD, made, 0))

/* By a descriptor that was opened to read (CVE-2024-36137, CVE-2025-55132). */
ON_GRANTS(grant_fchmod, CALL(SYS_fchmod, open_path(file, O_RDONLY), 0777))
ON_GRANTS(grant_futimes, CALL(SYS_utimensat, open_path(file, O_RDONLY), NULL, NULL, 0))
ON_GRANTS(grant_fchown, CALL(SYS_fchown, open_path(file, O_RDONLY), 0, 0))

long grant_rmdir(target_t *target)
{
	char path[PATH_SIZE];
	return CALL(SYS_unlinkat, AT_FDCWD, in(target->read_folder, "sub", path), AT_REMOVEDIR);
}

/* ---- between two grants ---- */

/* A second name, in a folder with more rights. */
ON_GRANTS(grant_link_out, CALL(SYS_linkat, AT_FDCWD, file, AT_FDCWD, new, 0))
ON_GRANTS(grant_link_in, CALL(SYS_linkat, AT_FDCWD, own, AT_FDCWD, made, 0))
ON_GRANTS(grant_rename_out, CALL(SYS_renameat2, AT_FDCWD, file, AT_FDCWD, new, 0))
ON_GRANTS(grant_rename_in, CALL(SYS_renameat2, AT_FDCWD, own, AT_FDCWD, made, 0))
ON_GRANTS(grant_exchange, CALL(SYS_renameat2, AT_FDCWD, own, AT_FDCWD, file, RENAME_EXCHANGE))
ON_GRANTS(grant_link_descriptor,
	CALL(SYS_linkat, open_path(file, O_RDONLY), "", AT_FDCWD, new, AT_EMPTY_PATH))

/* ---- out of a folder that may be written ---- */

/* Links that the host's side put there, or that the attacker made: both end in its root. */
long grant_follow(target_t *target)
{
	char path[PATH_SIZE];
	return open_path(in(target->write_folder, "out", path), O_RDONLY);
}

long grant_follow_own(target_t *target)
{
	char path[PATH_SIZE];
	in(target->write_folder, "new", path);
	(void)CALL(SYS_symlinkat, target->outside_file, AT_FDCWD, path);
	return open_path(path, O_RDONLY);
}

long grant_truncate_through_link(target_t *target)
{
	char path[PATH_SIZE];
	return CALL(SYS_truncate, in(target->write_folder, "to-file", path), 0);
}

long grant_follow_up(target_t *target)
{
	char path[PATH_SIZE];
	return open_path(in(target->write_folder, "up/secret", path), O_RDONLY);
}

long grant_walk_up(target_t *target)
{
	char path[PATH_SIZE];
	return open_path(in(target->write_folder, ".././/read/../secret", path), O_RDONLY);
}

/* By a descriptor that outlives a rename of what is above it. */
long grant_rename_below(target_t *target)
{
	char deep[PATH_SIZE], moved[PATH_SIZE];
	in(target->write_folder, "deep", deep);
	in(target->write_folder, "moved", moved);
	(void)CALL(SYS_mkdirat, AT_FDCWD, deep, 0700);
	long folder = open_path(deep, O_RDONLY | O_DIRECTORY);
	(void)CALL(SYS_renameat2, AT_FDCWD, deep, AT_FDCWD, moved, 0);
	return folder < 0 ? -1 : CALL(SYS_openat, folder, "../../secret", O_RDONLY);
}

/* A grant's mount point may be listed, with what else was put there for the attacker. */
long grant_list_parent(target_t *target)
{
	char path[256], names[4096];
	long folder = open_path(dirname_of(target->write_folder, path), O_RDONLY | O_DIRECTORY);
	long length = folder < 0 ? -1 : CALL(SYS_getdents64, folder, names, sizeof names);
	if (length > 0 && memmem(names, (size_t)length, "secret", sizeof "secret"))
		return 0;
	errno = EPERM;
	return -1;
}

/* ---- files with a power of their own ---- */

ON_GRANTS(grant_make_device, CALL(SYS_mknodat, AT_FDCWD, new, S_IFCHR | 0600, 0x103))
ON_GRANTS(grant_make_fifo, CALL(SYS_mknodat, AT_FDCWD, new, S_IFIFO | 0600, 0))
ON_GRANTS(grant_make_socket, CALL(SYS_mknodat, AT_FDCWD, new, S_IFSOCK | 0600, 0))
ON_GRANTS(grant_setuid, CALL(SYS_fchmodat, AT_FDCWD, own, 04755))
ON_GRANTS(grant_setuid_high, CALL(SYS_fchmodat, AT_FDCWD, own, HIGH_BIT | 04755))
ON_GRANTS(grant_setuid_descriptor, CALL(SYS_fchmod, open_path(own, O_RDONLY), 06755))
ON_GRANTS(grant_create_setuid, CALL(SYS_openat, AT_FDCWD, new, O_CREAT | O_WRONLY, 04755))
ON_GRANTS(grant_mkdir_setgid,
	CALL(SYS_mkdirat, AT_FDCWD, new, 02777) < 0 ? -1 : CALL(SYS_fchmodat, AT_FDCWD, new, 02777))
ON_GRANTS(grant_chown, CALL(SYS_fchownat, AT_FDCWD, own, 0, 0, 0))
ON_GRANTS(grant_attribute, CALL(SYS_setxattr, own, "security.attack", "x", 1, 0))
ON_GRANTS(grant_lease, CALL(SYS_fcntl, open_path(own, O_RDONLY), F_SETLEASE, F_RDLCK))
ON_GRANTS(grant_notify, CALL(SYS_fcntl, open_path(target->write_folder, O_RDONLY), F_NOTIFY, 2))
ON_GRANTS(grant_whiteout, CALL(SYS_renameat2, AT_FDCWD, own, AT_FDCWD, new, RENAME_WHITEOUT))

long grant_open_device(target_t *target)
{
	char path[PATH_SIZE];
	return open_path(in(target->write_folder, "device", path), O_RDONLY);
}

/* Garbage that is executable: ENOEXEC says that only the format was wrong. */
long grant_execute(target_t *target)
{
	char path[PATH_SIZE];
	char *const arguments[] = {path, NULL};
	in(target->write_folder, "program", path);
	long result = CALL(SYS_execve, path, arguments, NULL);
	return result < 0 && errno == ENOEXEC ? 0 : -1;
}

long grant_map_code(target_t *target)
{
	char path[PATH_SIZE];
	long fd = open_path(in(target->write_folder, "program", path), O_RDONLY);
	return fd < 0 ? -1 : CALL(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
}

/* ---- one file ---- */

static void beside(target_t *target, char path[PATH_SIZE])
{
	char folder[256];
	in(dirname_of(target->read_file, folder), "sibling", path);
}

long grant_open_sibling(target_t *target)
{
	char path[PATH_SIZE];
	beside(target, path);
	return open_path(path, O_RDONLY);
}

/* Another name, where there are more rights. */
long grant_link_outside(target_t *target)
{
	char path[PATH_SIZE], new[PATH_SIZE];
	beside(target, path);
	return CALL(SYS_linkat, AT_FDCWD, path, AT_FDCWD, in(target->write_folder, "new", new), 0);
}

long grant_stat_sibling(target_t *target)
{
	char path[PATH_SIZE];
	struct stat status;
	beside(target, path);
	return CALL(SYS_newfstatat, AT_FDCWD, path, &status, 0);
}

long grant_write_file(target_t *target)
{
	return open_path(target->read_file, O_WRONLY);
}

/* ---- E13 descriptors from others, and for others ---- */

/* A folder of the host, sent by an accomplice outside: what is below it stays closed. */
long use_received_folder(target_t *target)
{
	char byte, control[64];
	struct iovec part = {&byte, 1};
	struct msghdr message = {NULL, 0, &part, 1, control, sizeof control, 0};
	if (CALL(SYS_recvmsg, target->accomplice, &message, MSG_DONTWAIT) < 0)
		return -1;
	const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (!header)
		return -1;
	int folder;
	memcpy(&folder, CMSG_DATA(header), sizeof folder);
	return CALL(SYS_openat, folder, target->outside_file + 1, O_RDONLY);
}

long send_descriptor(target_t *target)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	const int fd = 0;
	memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
	struct iovec part = {"x", 1};
	struct msghdr message = {NULL, 0, &part, 1, &control, sizeof control, 0};
	return CALL(SYS_sendmsg, target->accomplice, &message, MSG_NOSIGNAL);
}
