#include "daemon/run_source.h"

#include "common/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "tenantd-run-"
#define FILE_BYTES_MAX (256ul << 20)

/* The first is there and in memory also in a container whose root is read-only. */
static const char *const places[] = {"/dev/shm", "/tmp", "/run"};

/* ---- what others left ---- */

static int open_folder(int parent, const char *name)
{
	return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Removes what is in FOLDER: files, and folders of files down to DEPTH. */
static void remove_content(int folder, int depth)
{
	cleanup_close int own = open_folder(folder, ".");
	cleanup_closedir DIR *list = own < 0 ? NULL : fdopendir(own);
	if (list)
		take_fd(&own);
	for (struct dirent *entry; list && (entry = readdir(list));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
			unlinkat(folder, entry->d_name, 0) == 0 || depth == 0)
			continue;
		cleanup_close int below = open_folder(folder, entry->d_name);
		if (below >= 0)
			remove_content(below, depth - 1);
		unlinkat(folder, entry->d_name, AT_REMOVEDIR);
	}
}

/* The folder's lock lives as long as who made it. One that others may write is none that was
 * made here, whatever its name. */
static void remove_stale(int parent, const char *name)
{
	struct stat status;
	cleanup_close int folder = open_folder(parent, name);
	if (folder < 0 || fstat(folder, &status) < 0 || status.st_uid != geteuid() ||
		status.st_mode & (S_IWGRP | S_IWOTH) || flock(folder, LOCK_EX | LOCK_NB) < 0)
		return;
	remove_content(folder, 1);
	unlinkat(parent, name, AT_REMOVEDIR);
}

static void remove_all_stale(const char *place)
{
	DIR *list = opendir(place);
	for (struct dirent *entry; list && (entry = readdir(list));)
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0)
			remove_stale(dirfd(list), entry->d_name);
	if (list)
		closedir(list);
}

/* ---- the copy ---- */

/* Locked, before somebody takes it for stale: who did that has removed it. Others may pass it,
 * and see nothing in it. */
static int make_outer(const char *place, char path[RUN_SOURCE_PATH_SIZE])
{
	for (int tries = 0; tries < 3; tries++) {
		snprintf(path, RUN_SOURCE_PATH_SIZE, "%s/" PREFIX "XXXXXX", place);
		if (mkdtemp(path) == NULL)
			return -errno;
		cleanup_close int folder = open_folder(AT_FDCWD, path);
		if (folder < 0)
			return -errno;
		if (flock(folder, LOCK_EX | LOCK_NB) == 0 && access(path, F_OK) == 0 &&
			fchmod(folder, 0711) == 0)
			return take_fd(&folder);
	}
	return -EAGAIN;
}

/* The worker, whose user id nobody knows yet, must be able to read the copy; other users of the
 * host, from whom the file may be kept, must not. So it lies in a folder whose name is its
 * secret. */
static int make_folder(const char *place, struct run_source *ret)
{
	uint64_t secret[2];
	cleanup_close int outer = make_outer(place, ret->copy);
	if (outer < 0)
		return outer;
	if (getrandom(secret, sizeof secret, 0) != sizeof secret)
		return -errno;
	const size_t length = strlen(ret->copy);
	snprintf(ret->copy + length, sizeof ret->copy - length, "/%016" PRIx64 "%016" PRIx64,
		secret[0], secret[1]);
	if (mkdir(ret->copy, 0700) < 0) {
		int code = errno;
		ret->copy[length] = '\0';
		rmdir(ret->copy);
		return -code;
	}
	cleanup_close int folder = open_folder(AT_FDCWD, ret->copy);
	if (folder < 0 || fchmod(folder, 0755) < 0)
		return -errno;
	ret->lock = take_fd(&outer);
	return take_fd(&folder);
}

static int copy_bytes(int from, int to)
{
	static char buffer[65536];
	size_t total = 0;
	ssize_t got;
	while ((got = read(from, buffer, sizeof buffer)) > 0) {
		total += (size_t)got;
		if (total > FILE_BYTES_MAX)
			return -EFBIG;
		for (ssize_t done = 0; done < got;) {
			ssize_t put = write(to, buffer + done, (size_t)(got - done));
			if (put < 0)
				return -errno;
			done += put;
		}
	}
	return got < 0 ? -errno : 0;
}

static int copy_into(int folder, const char *name, int file)
{
	cleanup_close int copy =
		openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (copy < 0 || lseek(file, 0, SEEK_SET) < 0 || fchmod(copy, 0644) < 0)
		return -errno;
	return copy_bytes(file, copy);
}

static int copy_file(const char *path, int file, struct run_source *ret, struct error *error)
{
	const char *slash = strrchr(path, '/');
	int result = -ENOENT;
	if (snprintf(ret->name, sizeof ret->name, "%s", slash ? slash + 1 : path) >=
		(int)sizeof ret->name)
		return error_set(error, ENAMETOOLONG, "the name of %s is too long", path);
	for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
		remove_all_stale(places[i]);
		cleanup_close int folder = make_folder(places[i], ret);
		if (folder < 0) {
			result = result == -ENOENT ? folder : result;
			ret->copy[0] = '\0';
			continue;
		}
		result = copy_into(folder, ret->name, file);
		if (result == 0) {
			ret->folder = take_fd(&folder);
			ret->entry = ret->name;
			return 0;
		}
		run_source_close(ret);
	}
	return error_errno(error, result,
		"cannot copy %s to /dev/shm, /tmp or /run: make one of them writable, or put it "
		"into a folder of its own, and name that",
		path);
}

int run_source_open(const char *path, struct run_source *ret, struct error *error)
{
	struct stat status;
	*ret = (struct run_source){.folder = -1, .lock = -1};
	/* A FIFO would be waited for. */
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &status) < 0)
		return error_errno(error, errno, "cannot open %s", path);
	if (S_ISDIR(status.st_mode)) {
		ret->folder = take_fd(&fd);
		return 0;
	}
	if (!S_ISREG(status.st_mode))
		return error_set(error, EINVAL, "%s is neither a file nor a folder", path);
	return copy_file(path, fd, ret, error);
}

void run_source_close(struct run_source *source)
{
	char path[sizeof source->copy + sizeof source->name + 1];
	if (source->copy[0] == '\0')
		return;
	snprintf(path, sizeof path, "%s/%s", source->copy, source->name);
	unlink(path);
	rmdir(source->copy);
	*strrchr(source->copy, '/') = '\0';
	rmdir(source->copy);
	source->copy[0] = '\0';
	close_fd(&source->lock);
}
