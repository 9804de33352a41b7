#include "common/file.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int file_read(int dir_fd, const char *path, size_t most, char **ret_data, size_t *ret_length,
	struct error *error)
{
	cleanup_close int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return error_errno(error, errno, "cannot open %s", path);
	cleanup_free char *data = NULL;
	size_t length = 0, size = 0;
	for (;;) {
		if (length + 1 >= size) {
			size = size ? size * 2 : 16384;
			char *larger = realloc(data, size);
			if (!larger)
				return error_errno(error, ENOMEM, "cannot read %s", path);
			data = larger;
		}
		ssize_t got = read(fd, data + length, size - length - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(error, errno, "cannot read %s", path);
		if (got == 0)
			break;
		length += (size_t)got;
		if (length > most)
			return error_set(error, EFBIG, "%s is larger than %zu bytes", path, most);
	}
	data[length] = '\0';
	*ret_data = take_pointer(data);
	if (ret_length)
		*ret_length = length;
	return 0;
}

int file_write_all(int fd, const void *data, size_t length)
{
	const char *next = data;
	while (length > 0) {
		ssize_t wrote = write(fd, next, length);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return -errno;
		next += wrote;
		length -= (size_t)wrote;
	}
	return 0;
}

int file_sync_folder_of(int dir_fd, const char *path)
{
	char folder[PATH_MAX] = ".";
	const char *slash = strrchr(path, '/');
	if (slash) {
		size_t length = slash == path ? 1 : (size_t)(slash - path);
		if (length >= sizeof folder)
			return -ENAMETOOLONG;
		memcpy(folder, path, length);
		folder[length] = '\0';
	}
	cleanup_close int fd = openat(dir_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

/* How what stood at a path before can be put back. */
enum way_back {
	BACK_EXCHANGE, /* it has the temporary file's name now */
	BACK_NOTHING,  /* there was none */
	BACK_LINK,     /* it has a name of its own */
	BACK_NO,
};

/* Where a file system cannot exchange two names, what was there gets another name first. */
static int replace_linked(int dir_fd, const char *temporary, const char *path, const char *kept,
	enum way_back *ret_back)
{
	unlinkat(dir_fd, kept, 0);
	const bool linked = linkat(dir_fd, path, dir_fd, kept, 0) == 0;
	if (!linked && errno == ENOENT)
		*ret_back = BACK_NOTHING;
	else
		*ret_back = linked ? BACK_LINK : BACK_NO;
	if (renameat(dir_fd, temporary, dir_fd, path) == 0)
		return 0;
	const int code = errno;
	if (linked)
		unlinkat(dir_fd, kept, 0);
	return -code;
}

static int put_in_place(int dir_fd, const char *temporary, const char *path, const char *kept,
	enum way_back *ret_back)
{
	struct stat status;
	/* A folder would be moved as well as a file. */
	if (fstatat(dir_fd, path, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode))
		return -EISDIR;
	*ret_back = BACK_EXCHANGE;
	if (renameat2(dir_fd, temporary, dir_fd, path, RENAME_EXCHANGE) == 0)
		return 0;
	if (errno != ENOENT && errno != EINVAL && errno != ENOSYS)
		return -errno;
	return replace_linked(dir_fd, temporary, path, kept, ret_back);
}

static int put_back(
	int dir_fd, const char *temporary, const char *path, const char *kept, enum way_back back)
{
	switch (back) {
	case BACK_EXCHANGE:
		if (renameat2(dir_fd, temporary, dir_fd, path, RENAME_EXCHANGE) < 0)
			return -errno;
		unlinkat(dir_fd, temporary, 0);
		return 0;
	case BACK_NOTHING:
		return unlinkat(dir_fd, path, 0) < 0 ? -errno : 0;
	case BACK_LINK:
		return renameat(dir_fd, kept, dir_fd, path) < 0 ? -errno : 0;
	default:
		return -EIO;
	}
}

/* Renames TEMPORARY to PATH, durably. */
static int replace(int dir_fd, const char *temporary, const char *path, struct error *error)
{
	char kept[PATH_MAX];
	enum way_back back;
	if (snprintf(kept, sizeof kept, "%s.old", path) >= (int)sizeof kept)
		return error_errno(error, ENAMETOOLONG, "cannot write %s", path);
	int result = put_in_place(dir_fd, temporary, path, kept, &back);
	if (result < 0)
		return error_errno(error, result, "cannot write %s", path);
	result = file_sync_folder_of(dir_fd, path);
	if (result == 0) {
		if (back == BACK_EXCHANGE)
			unlinkat(dir_fd, temporary, 0);
		else if (back == BACK_LINK)
			unlinkat(dir_fd, kept, 0);
		return 0;
	}
	/* Who is told of a failure goes on with what was there before: so it must be there. */
	error_errno(error, result, "cannot make %s durable", path);
	if (put_back(dir_fd, temporary, path, kept, back) < 0)
		return error_set(error, ENOTRECOVERABLE,
			"cannot make %s durable (%s), and what was there before cannot be put back",
			path, strerror(-result));
	return result;
}

int file_write_atomic(int dir_fd, const char *path, const void *data, size_t length, mode_t mode,
	struct error *error)
{
	char temporary[PATH_MAX];
	if (snprintf(temporary, sizeof temporary, "%s.new", path) >= (int)sizeof temporary)
		return error_errno(error, ENAMETOOLONG, "cannot write %s", path);
	cleanup_close int fd =
		openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0)
		return error_errno(error, errno, "cannot write %s", temporary);
	int result = file_write_all(fd, data, length);
	if (result == 0 && fsync(fd) < 0)
		result = -errno;
	if (result < 0)
		error_errno(error, result, "cannot write %s", path);
	else
		result = replace(dir_fd, temporary, path, error);
	if (result < 0 && result != -ENOTRECOVERABLE)
		unlinkat(dir_fd, temporary, 0);
	return result;
}

/* ---- below a folder ---- */

bool file_has_openat2(void)
{
	/* A size of nothing is an error of those that have it. */
	return syscall(SYS_openat2, -1, "", NULL, 0) < 0 && errno != ENOSYS;
}

/* Each part by itself, so that none of them is a link. */
static int open_by_parts(int dir_fd, const char *path, int flags, mode_t mode)
{
	char rest[PATH_MAX], *next = rest;
	cleanup_close int folder = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
	if (folder < 0)
		return -1;
	if (path[0] == '/' || strlen(path) >= sizeof rest) {
		errno = path[0] == '/' ? EXDEV : ENAMETOOLONG;
		return -1;
	}
	strcpy(rest, path);
	for (char *name; (name = strsep(&next, "/"));) {
		if (strcmp(name, "..") == 0) {
			errno = EXDEV;
			return -1;
		}
		if (next == NULL)
			return openat(
				folder, name[0] ? name : ".", flags | O_NOFOLLOW | O_CLOEXEC, mode);
		if (name[0] == '\0')
			continue;
		int fd = openat(folder, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return -1;
		close(folder);
		folder = fd;
	}
	return -1;
}

int file_open_beneath(int dir_fd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.mode = flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
	return fd < 0 && errno == ENOSYS ? open_by_parts(dir_fd, path, flags, mode) : fd;
}
