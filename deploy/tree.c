#include "deploy/tree.h"

#include "common/cleanup.h"
#include "deploy/limits.h"

#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Up to this many files and folders each gets an fsync of its own; from then on one
 * syncfs at the end is cheaper, though it waits for what others wrote too. */
#define SYNC_EACH_MAX 8

#define HASH_SIZE 32
#define REMOVE_DEPTH_MAX 128

struct tree_entry {
	char *path;
	bool folder;
	uint64_t size;
	unsigned char hash[HASH_SIZE];
};

struct walk {
	struct tree_entry *entries;
	size_t count, room, files;
	uint64_t bytes;
	bool seal;
	EVP_MD_CTX *digest;
	char path[DEPLOY_PATH_MAX]; /* of what is being looked at */
	struct error *error;
};

/* OpenSSL reads its configuration and looks for providers at the first use, for some
 * milliseconds: not in each helper that unpacks, but once, before they are forked. */
static const EVP_MD *sha256(void)
{
	static EVP_MD *fetched;
	if (!fetched)
		fetched = EVP_MD_fetch(NULL, "SHA256", NULL);
	return fetched;
}

int tree_prepare(struct error *error)
{
	return sha256() ? 0 : error_set(error, ENOTSUP, "OpenSSL has no SHA-256");
}

static void to_hex(const unsigned char *bytes, size_t count, char *target)
{
	for (size_t i = 0; i < count; i++)
		snprintf(target + 2 * i, 3, "%02x", bytes[i]);
}

static struct tree_entry *walk_add(struct walk *walk)
{
	if (walk->count == DEPLOY_FILES_MAX) {
		error_set(walk->error, EFBIG, "more than %d files and folders", DEPLOY_FILES_MAX);
		return NULL;
	}
	if (walk->count == walk->room) {
		size_t room = walk->room ? walk->room * 2 : 64;
		struct tree_entry *larger =
			reallocarray(walk->entries, room, sizeof *walk->entries);
		if (!larger) {
			error_errno(walk->error, ENOMEM, "cannot list the release");
			return NULL;
		}
		walk->entries = larger;
		walk->room = room;
	}
	struct tree_entry *entry = &walk->entries[walk->count];
	*entry = (struct tree_entry){.path = strdup(walk->path)};
	if (!entry->path) {
		error_errno(walk->error, ENOMEM, "cannot list the release");
		return NULL;
	}
	walk->count++;
	return entry;
}

static int seal(struct walk *walk, int fd, mode_t mode)
{
	if (!walk->seal)
		return 0;
	if (fchmod(fd, mode) < 0)
		return error_errno(walk->error, errno, "cannot make %s read-only", walk->path);
	if (walk->count <= SYNC_EACH_MAX && fsync(fd) < 0)
		return error_errno(walk->error, errno, "cannot make %s durable", walk->path);
	return 0;
}

static int hash_file(struct walk *walk, int fd, struct tree_entry *entry)
{
	unsigned char buffer[65536];
	if (EVP_DigestInit_ex(walk->digest, sha256(), NULL) != 1)
		return error_set(walk->error, EIO, "OpenSSL has no SHA-256");
	for (;;) {
		ssize_t got = read(fd, buffer, sizeof buffer);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(walk->error, errno, "cannot read %s", walk->path);
		if (got == 0)
			break;
		entry->size += (uint64_t)got;
		walk->bytes += (uint64_t)got;
		if (walk->bytes > DEPLOY_BYTES_MAX)
			return error_set(
				walk->error, EFBIG, "more than %llu MiB", DEPLOY_BYTES_MAX >> 20);
		EVP_DigestUpdate(walk->digest, buffer, (size_t)got);
	}
	EVP_DigestFinal_ex(walk->digest, entry->hash, NULL);
	walk->files++;
	return 0;
}

static int walk_folder(struct walk *walk, int dir_fd, size_t length, int depth);

static int walk_entry(struct walk *walk, int dir_fd, const char *name, size_t length, int depth)
{
	int size = snprintf(
		walk->path + length, sizeof walk->path - length, "%s%s", length ? "/" : "", name);
	if (size < 0 || (size_t)size >= sizeof walk->path - length)
		return error_set(
			walk->error, ENAMETOOLONG, "%.200s…: the path is too long", walk->path);
	int result = deploy_path_check(walk->path, length + (size_t)size, walk->error);
	if (result < 0)
		return result;

	/* O_NONBLOCK: a FIFO must not hold us up. */
	cleanup_close int fd =
		openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 && errno == ELOOP)
		return error_set(walk->error, EINVAL, "%s is a symbolic link", walk->path);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) < 0)
		return error_errno(walk->error, errno, "cannot open %s", walk->path);
	if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
		return error_set(
			walk->error, EINVAL, "%s is neither a file nor a folder", walk->path);
	struct tree_entry *entry = walk_add(walk);
	if (!entry)
		return -walk->error->code;
	if (S_ISDIR(status.st_mode)) {
		entry->folder = true;
		result = walk_folder(walk, fd, length + (size_t)size, depth + 1);
		walk->path[length + (size_t)size] = '\0';
		return result < 0 ? result : seal(walk, fd, 0555);
	}
	result = hash_file(walk, fd, entry);
	return result < 0 ? result : seal(walk, fd, 0444);
}

static int walk_folder(struct walk *walk, int dir_fd, size_t length, int depth)
{
	if (depth > DEPLOY_DEPTH_MAX)
		return error_set(walk->error, EINVAL, "%s: nested too deeply", walk->path);
	/* A descriptor of its own: DIR_FD's position is the caller's. */
	int own = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_closedir DIR *dir = own < 0 ? NULL : fdopendir(own);
	if (!dir) {
		int code = errno;
		close_fd(&own);
		return error_errno(walk->error, code, "cannot read the folder %s", walk->path);
	}
	for (;;) {
		errno = 0;
		struct dirent *entry = readdir(dir);
		if (!entry && errno)
			return error_errno(
				walk->error, errno, "cannot read the folder %s", walk->path);
		if (!entry)
			return 0;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		int result = walk_entry(walk, dir_fd, entry->d_name, length, depth);
		if (result < 0)
			return result;
	}
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct tree_entry *)a)->path, ((const struct tree_entry *)b)->path);
}

/* The canonical listing, hashed line by line. */
static int hash_listing(struct walk *walk, char ret_id[STORE_ID_SIZE])
{
	unsigned char hash[HASH_SIZE];
	qsort(walk->entries, walk->count, sizeof *walk->entries, compare_entries);
	if (EVP_DigestInit_ex(walk->digest, sha256(), NULL) != 1)
		return error_set(walk->error, EIO, "OpenSSL has no SHA-256");
	for (size_t i = 0; i < walk->count; i++) {
		const struct tree_entry *entry = &walk->entries[i];
		char hex[2 * HASH_SIZE + 1], line[DEPLOY_PATH_MAX + 128];
		to_hex(entry->hash, HASH_SIZE, hex);
		int length = entry->folder ? snprintf(line, sizeof line, "d %s\n", entry->path)
					   : snprintf(line, sizeof line, "f %" PRIu64 " %s %s\n",
						     entry->size, hex, entry->path);
		EVP_DigestUpdate(walk->digest, line, (size_t)length);
	}
	EVP_DigestFinal_ex(walk->digest, hash, NULL);
	to_hex(hash, HASH_SIZE, ret_id);
	return 0;
}

int tree_hash(int dir_fd, bool seal_it, char ret_id[STORE_ID_SIZE], struct error *error)
{
	struct error local = {0};
	struct walk walk = {.seal = seal_it, .error = &local};
	walk.digest = EVP_MD_CTX_new();
	int result = walk.digest ? walk_folder(&walk, dir_fd, 0, 0)
				 : error_errno(&local, ENOMEM, "cannot hash");
	if (result == 0 && walk.files == 0)
		result = error_set(&local, EINVAL, "the release holds no file");
	walk.path[0] = '\0';
	if (result == 0)
		result = seal(&walk, dir_fd, 0555);
	if (result == 0 && seal_it && walk.count > SYNC_EACH_MAX && syncfs(dir_fd) < 0)
		result = error_errno(&local, errno, "cannot make the release durable");
	if (result == 0)
		result = hash_listing(&walk, ret_id);
	for (size_t i = 0; i < walk.count; i++)
		free(walk.entries[i].path);
	free(walk.entries);
	EVP_MD_CTX_free(walk.digest);
	if (result < 0 && error)
		*error = local;
	return result;
}

static int remove_level(int dir_fd, const char *name, int depth)
{
	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* Sealed folders are 0555; root in a user namespace may be held to that. */
	if (fchmod(fd, 0700) < 0 || depth > REMOVE_DEPTH_MAX) {
		close(fd);
		return depth > REMOVE_DEPTH_MAX ? -ELOOP : -EPERM;
	}
	cleanup_closedir DIR *dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		int result = remove_level(fd, entry->d_name, depth + 1);
		if (result < 0)
			return result;
	}
	return unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int tree_remove(int dir_fd, const char *name)
{
	return remove_level(dir_fd, name, 0);
}
