#include "deploy/objects.h"

#include "common/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Between finding no object and making it, another may make it; and the other way round. */
#define TRIES 3

static bool same_bytes(int a, int b)
{
	unsigned char left[32768], right[sizeof left];
	off_t offset = 0;
	for (;;) {
		ssize_t got = pread(a, left, sizeof left, offset);
		if (got < 0 || pread(b, right, sizeof right, offset) != got)
			return false;
		if (got == 0)
			return true;
		if (memcmp(left, right, (size_t)got) != 0)
			return false;
		offset += got;
	}
}

/* Is the object NAME what the file PATH is? 1, 0 when there is none, -1 when it is something
 * else: damaged, e.g. by a power cut before its content reached the disk. */
static int compare(int objects_fd, const char *name, int dir_fd, const char *path)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	cleanup_close int object = openat(objects_fd, name, flags);
	if (object < 0)
		return errno == ENOENT ? 0 : -1;
	struct stat status;
	cleanup_close int file = openat(dir_fd, path, flags);
	if (file < 0 || fstat(object, &status) < 0 || !S_ISREG(status.st_mode))
		return -1;
	return same_bytes(object, file) ? 1 : -1;
}

/* Puts the object in the file's place, in one step. */
static bool replace(int objects_fd, const char *name, int dir_fd, const char *path)
{
	char link[64];
	snprintf(link, sizeof link, "link-%d", (int)getpid());
	(void)unlinkat(objects_fd, link, 0);
	if (linkat(objects_fd, name, objects_fd, link, 0) < 0)
		return false; /* EMLINK, or swept meanwhile */
	bool replaced = renameat(objects_fd, link, dir_fd, path) == 0;
	(void)unlinkat(objects_fd, link, 0);
	return replaced;
}

static bool share(int objects_fd, int dir_fd, const struct tree_entry *entry)
{
	char name[TREE_HEX_SIZE];
	tree_hex(entry->hash, name);
	for (int tries = 0; tries < TRIES; tries++) {
		switch (compare(objects_fd, name, dir_fd, entry->path)) {
		case 1:
			return replace(objects_fd, name, dir_fd, entry->path);
		case -1:
			if (unlinkat(objects_fd, name, 0) < 0)
				return false;
			break;
		default:
			if (linkat(dir_fd, entry->path, objects_fd, name, 0) == 0 ||
				errno != EEXIST)
				return false;
		}
	}
	return false;
}

size_t objects_share(int objects_fd, int dir_fd, const struct tree *tree)
{
	size_t shared = 0;
	for (size_t i = 0; i < tree->count; i++) {
		const struct tree_entry *entry = &tree->entries[i];
		if (!entry->folder && entry->size > 0)
			shared += share(objects_fd, dir_fd, entry);
	}
	return shared;
}

int objects_open(int objects_fd, const char *owner, struct error *error)
{
	if (mkdirat(objects_fd, owner, 0700) < 0 && errno != EEXIST)
		return error_errno(error, errno, "cannot make the objects' folder of %s", owner);
	int fd = openat(objects_fd, owner, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? error_errno(error, errno, "cannot open the objects' folder of %s", owner)
		      : fd;
}

/* Of one owner; returns how many. The folder goes when nothing is left in it. Who opened it
 * just now shares nothing then. */
static int sweep_owner(int objects_fd, const char *owner)
{
	cleanup_close int fd =
		openat(objects_fd, owner, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int removed = fd < 0 ? 0 : objects_sweep(fd, NULL);
	(void)unlinkat(objects_fd, owner, AT_REMOVEDIR);
	return removed < 0 ? 0 : removed;
}

int objects_sweep(int objects_fd, struct error *error)
{
	int own = openat(objects_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_closedir DIR *dir = own < 0 ? NULL : fdopendir(own);
	int removed = 0;
	if (!dir)
		return error_errno(error, errno, "cannot read the objects");
	for (struct dirent *entry; (entry = readdir(dir));) {
		struct stat status;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
			fstatat(objects_fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(status.st_mode)) {
			removed += sweep_owner(objects_fd, entry->d_name);
			continue;
		}
		/* One that is linked between these two calls loses its name, no more: the
		 * release that links it has the file. */
		if (status.st_nlink > 1 && store_id_valid(entry->d_name))
			continue;
		removed += unlinkat(objects_fd, entry->d_name, 0) == 0;
	}
	return removed;
}
