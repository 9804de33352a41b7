#include "daemon/run_source.h"

#include "common/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "tenantd-run-"
#define FILE_BYTES_MAX (256ul << 20)

/* The first is there and in memory also in a container whose root is read-only. */
static const char *const places[] = {"/dev/shm", "/tmp", "/run"};

/* ---- what others left ---- */

/* The folder's lock lives as long as who made it. */
static void remove_stale(int parent, const char *name)
{
	struct stat status;
	cleanup_close int folder =
		openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0 || fstat(folder, &status) < 0 || status.st_uid != geteuid() ||
		flock(folder, LOCK_EX | LOCK_NB) < 0)
		return;
	DIR *list = fdopendir(dup(folder));
	for (struct dirent *entry; list && (entry = readdir(list));)
		if (entry->d_name[0] != '.' || strlen(entry->d_name) > 2)
			unlinkat(folder, entry->d_name, 0);
	if (list)
		closedir(list);
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

/* Locked, before somebody takes it for stale: who did that has removed it. */
static int make_folder(const char *place, char path[64])
{
	for (int tries = 0; tries < 3; tries++) {
		snprintf(path, 64, "%s/" PREFIX "XXXXXX", place);
		if (mkdtemp(path) == NULL)
			return -errno;
		cleanup_close int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (folder < 0)
			return -errno;
		if (flock(folder, LOCK_EX | LOCK_NB) == 0 && access(path, F_OK) == 0 &&
			fchmod(folder, 0755) == 0)
			return take_fd(&folder);
	}
	return -EAGAIN;
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
		cleanup_close int folder = make_folder(places[i], ret->copy);
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
	*ret = (struct run_source){.folder = -1};
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
	source->copy[0] = '\0';
}
