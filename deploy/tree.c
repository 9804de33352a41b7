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

#define REMOVE_DEPTH_MAX 128

struct walk {
	struct tree *tree;
	bool stat_only;
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

void tree_hex(const unsigned char bytes[TREE_HASH_SIZE], char ret_text[TREE_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < TREE_HASH_SIZE; i++) {
		*ret_text++ = digits[bytes[i] >> 4];
		*ret_text++ = digits[bytes[i] & 15];
	}
	*ret_text = '\0';
}

static int begin_hash(EVP_MD_CTX *digest, struct error *error)
{
	if (EVP_DigestInit_ex(digest, sha256(), NULL) != 1)
		return error_set(error, EIO, "OpenSSL has no SHA-256");
	return 0;
}

/* ---- the walk ---- */

static struct tree_entry *walk_add(struct walk *walk)
{
	struct tree *tree = walk->tree;
	if (tree->count == DEPLOY_FILES_MAX) {
		error_set(walk->error, EFBIG, "more than %d files and folders", DEPLOY_FILES_MAX);
		return NULL;
	}
	if (tree->count == tree->room) {
		size_t room = tree->room ? tree->room * 2 : 64;
		struct tree_entry *larger =
			reallocarray(tree->entries, room, sizeof *tree->entries);
		if (!larger) {
			error_errno(walk->error, ENOMEM, "cannot list the release");
			return NULL;
		}
		tree->entries = larger;
		tree->room = room;
	}
	struct tree_entry *entry = &tree->entries[tree->count];
	*entry = (struct tree_entry){.path = strdup(walk->path)};
	if (!entry->path) {
		error_errno(walk->error, ENOMEM, "cannot list the release");
		return NULL;
	}
	tree->count++;
	return entry;
}

static int hash_content(struct walk *walk, int fd, struct tree_entry *entry)
{
	unsigned char buffer[65536];
	int result = begin_hash(walk->digest, walk->error);
	while (result == 0) {
		ssize_t got = read(fd, buffer, sizeof buffer);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(walk->error, errno, "cannot read %s", walk->path);
		if (got == 0)
			break;
		entry->size += (uint64_t)got;
		walk->tree->bytes += (uint64_t)got;
		if (walk->tree->bytes > DEPLOY_BYTES_MAX)
			return error_set(
				walk->error, EFBIG, "more than %llu MiB", DEPLOY_BYTES_MAX >> 20);
		EVP_DigestUpdate(walk->digest, buffer, (size_t)got);
	}
	EVP_DigestFinal_ex(walk->digest, entry->hash, NULL);
	return result;
}

static int hash_status(struct walk *walk, const struct stat *status, struct tree_entry *entry)
{
	const uint64_t numbers[] = {
		status->st_dev,
		status->st_ino,
		status->st_mode,
		(uint64_t)status->st_size,
		(uint64_t)status->st_mtim.tv_sec,
		(uint64_t)status->st_mtim.tv_nsec,
		(uint64_t)status->st_ctim.tv_sec,
		(uint64_t)status->st_ctim.tv_nsec,
	};
	int result = begin_hash(walk->digest, walk->error);
	EVP_DigestUpdate(walk->digest, numbers, sizeof numbers);
	EVP_DigestFinal_ex(walk->digest, entry->hash, NULL);
	return result;
}

static int walk_folder(struct walk *walk, int dir_fd, size_t length, int depth);

/* Opens NAME; for its status alone, or to read it. */
static int open_entry(struct walk *walk, int dir_fd, const char *name, struct stat *ret_status)
{
	/* O_NONBLOCK: a FIFO must not hold us up. */
	const int flags = walk->stat_only ? O_PATH : O_RDONLY | O_NONBLOCK | O_NOCTTY;
	int fd = openat(dir_fd, name, flags | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ELOOP)
		return error_set(walk->error, EINVAL, "%s is a symbolic link", walk->path);
	if (fd < 0 || fstat(fd, ret_status) < 0) {
		int code = errno;
		close_fd(&fd);
		return error_errno(walk->error, code, "cannot open %s", walk->path);
	}
	if (!S_ISREG(ret_status->st_mode) && !S_ISDIR(ret_status->st_mode)) {
		close_fd(&fd);
		return error_set(
			walk->error, EINVAL, "%s is neither a file nor a folder", walk->path);
	}
	return fd;
}

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
	struct stat status;
	cleanup_close int fd = open_entry(walk, dir_fd, name, &status);
	if (fd < 0)
		return fd;
	struct tree_entry *entry = walk_add(walk);
	if (!entry)
		return -walk->error->code;
	if (walk->stat_only)
		result = hash_status(walk, &status, entry);
	if (result < 0)
		return result;
	if (S_ISDIR(status.st_mode)) {
		entry->folder = true;
		return walk_folder(walk, fd, length + (size_t)size, depth + 1);
	}
	walk->tree->files++;
	return walk->stat_only ? 0 : hash_content(walk, fd, entry);
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
		walk->path[length] = '\0';
		if (result < 0)
			return result;
	}
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct tree_entry *)a)->path, ((const struct tree_entry *)b)->path);
}

static int read_tree(int dir_fd, bool stat_only, struct tree *ret_tree, struct error *error)
{
	struct error local = {0};
	struct tree tree = {0};
	struct walk walk = {.tree = &tree, .stat_only = stat_only, .error = &local};
	walk.digest = EVP_MD_CTX_new();
	int result = walk.digest ? walk_folder(&walk, dir_fd, 0, 0)
				 : error_errno(&local, ENOMEM, "cannot hash");
	EVP_MD_CTX_free(walk.digest);
	if (result == 0 && tree.files == 0)
		result = error_set(&local, EINVAL, "the release holds no file");
	if (result < 0) {
		tree_clear(&tree);
		if (error)
			*error = local;
		return result;
	}
	qsort(tree.entries, tree.count, sizeof *tree.entries, compare_entries);
	*ret_tree = tree;
	return 0;
}

int tree_read(int dir_fd, struct tree *ret_tree, struct error *error)
{
	return read_tree(dir_fd, false, ret_tree, error);
}

void tree_clear(struct tree *tree)
{
	for (size_t i = 0; i < tree->count; i++)
		free(tree->entries[i].path);
	free(tree->entries);
	*tree = (struct tree){0};
}

/* ---- hashes of all of it ---- */

/* The canonical listing, hashed line by line. */
static int hash_listing(
	const struct tree *tree, unsigned char ret_hash[TREE_HASH_SIZE], struct error *error)
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	int result = digest ? begin_hash(digest, error) : error_errno(error, ENOMEM, "cannot hash");
	for (size_t i = 0; result == 0 && i < tree->count; i++) {
		const struct tree_entry *entry = &tree->entries[i];
		char hex[TREE_HEX_SIZE], line[DEPLOY_PATH_MAX + 128];
		tree_hex(entry->hash, hex);
		int length = entry->folder ? snprintf(line, sizeof line, "d %s\n", entry->path)
					   : snprintf(line, sizeof line, "f %" PRIu64 " %s %s\n",
						     entry->size, hex, entry->path);
		EVP_DigestUpdate(digest, line, (size_t)length);
	}
	if (result == 0)
		EVP_DigestFinal_ex(digest, ret_hash, NULL);
	EVP_MD_CTX_free(digest);
	return result;
}

int tree_id(const struct tree *tree, char ret_id[STORE_ID_SIZE], struct error *error)
{
	unsigned char hash[TREE_HASH_SIZE];
	int result = hash_listing(tree, hash, error);
	if (result == 0)
		tree_hex(hash, ret_id);
	return result;
}

int tree_hash(int dir_fd, char ret_id[STORE_ID_SIZE], struct error *error)
{
	struct tree tree = {0};
	int result = tree_read(dir_fd, &tree, error);
	if (result == 0)
		result = tree_id(&tree, ret_id, error);
	tree_clear(&tree);
	return result;
}

int tree_fingerprint(int dir_fd, unsigned char ret_print[TREE_HASH_SIZE], struct error *error)
{
	struct tree tree = {0};
	int result = read_tree(dir_fd, true, &tree, error);
	/* A folder counts as what its status is, like a file. */
	for (size_t i = 0; i < tree.count; i++)
		tree.entries[i].folder = false;
	if (result == 0)
		result = hash_listing(&tree, ret_print, error);
	tree_clear(&tree);
	return result;
}

/* ---- sealing ---- */

static int seal(
	int dir_fd, const struct tree *tree, const struct tree_entry *entry, struct error *error)
{
	const char *path = entry ? entry->path : ".";
	const mode_t mode = !entry || entry->folder ? 0555 : 0444;
	struct stat status;
	cleanup_close int fd = openat(dir_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0)
		return error_errno(error, errno, "cannot open %s", path);
	/* A file that other releases share has its mode: setting it would change its ctime. */
	if ((status.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
		return error_errno(error, errno, "cannot make %s read-only", path);
	if (tree->count <= SYNC_EACH_MAX && fsync(fd) < 0)
		return error_errno(error, errno, "cannot make %s durable", path);
	return 0;
}

int tree_seal(int dir_fd, const struct tree *tree, struct error *error)
{
	int result = 0;
	/* What is in a folder comes after it: from the end, so that a folder is sealed, and
	 * synced, after its files. */
	for (size_t i = tree->count; result == 0 && i > 0; i--)
		result = seal(dir_fd, tree, &tree->entries[i - 1], error);
	if (result == 0)
		result = seal(dir_fd, tree, NULL, error);
	if (result == 0 && tree->count > SYNC_EACH_MAX && syncfs(dir_fd) < 0)
		return error_errno(error, errno, "cannot make the release durable");
	return result;
}

/* ---- removing ---- */

static int remove_level(int dir_fd, const char *name, int depth)
{
	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) /* another may be removing it, too: a sweep of an earlier daemon */
		return errno == ENOENT ? 0 : -errno;
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
