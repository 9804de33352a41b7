#include "deploy/store.h"

#include "common/cleanup.h"
#include "common/file.h"
#include "deploy/limits.h"
#include "deploy/objects.h"
#include "deploy/store_private.h"
#include "deploy/tree.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define PRUNED_PREFIX "prune-" /* in staging: removed from sight, not yet from the disk */

static int open_folder(int dir_fd, const char *path)
{
	return openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Opens PATH below DIR_FD, made with mode 0700 if it is missing. */
static int make_folder(int dir_fd, const char *path, int *ret_fd, struct error *error)
{
	if (mkdirat(dir_fd, path, 0700) == 0) {
		int result = file_sync_folder_of(dir_fd, path);
		if (result < 0)
			return error_errno(error, result, "cannot make %s durable", path);
	} else if (errno != EEXIST) {
		return error_errno(error, errno, "cannot make the folder %s", path);
	}
	*ret_fd = open_folder(dir_fd, path);
	if (*ret_fd < 0)
		return error_errno(error, errno, "cannot open the folder %s", path);
	return 0;
}

/* Is the descriptor that we came with one of this folder's lock? */
static bool is_its_lock(const struct store *store)
{
	struct stat own, there;
	return store->lock >= 0 && fstat(store->lock, &own) == 0 &&
	       fstatat(store->state, "lock", &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       own.st_dev == there.st_dev && own.st_ino == there.st_ino;
}

/* One daemon for each state folder. An fcntl lock, unlike flock, is not inherited by
 * children and so ends with this very process; execve(2) keeps it, if the file stays open. It ends
 * when the process closes any descriptor of the file: so there is only ever one. */
static int take_lock(struct store *store, const char *state_dir, struct error *error)
{
	if (!is_its_lock(store)) {
		close_fd(&store->lock);
		store->lock = openat(
			store->state, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	}
	if (store->lock < 0)
		return error_errno(error, errno, "cannot open %s/lock", state_dir);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (fcntl(store->lock, F_SETLK, &lock) == 0)
		return 0;
	if (errno != EACCES && errno != EAGAIN)
		return error_errno(error, errno, "cannot lock %s/lock", state_dir);
	struct flock owner = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (fcntl(store->lock, F_GETLK, &owner) < 0 || owner.l_type == F_UNLCK)
		owner.l_pid = 0;
	return error_set(error, EBUSY,
		"%s is in use by another tenantd (pid %d): stop that one, or give this one a "
		"state folder of its own",
		state_dir, (int)owner.l_pid);
}

static int empty_staging(struct store *store, struct error *error)
{
	int own = open_folder(store->staging, ".");
	cleanup_closedir DIR *dir = own < 0 ? NULL : fdopendir(own);
	if (!dir)
		return error_errno(error, errno, "cannot read the staging folder");
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		int result = tree_remove(store->staging, entry->d_name);
		if (result < 0)
			return error_errno(
				error, result, "cannot remove staging/%s", entry->d_name);
	}
	return 0;
}

static int store_set_up(struct store *store, const char *state_dir, struct error *error)
{
	int result = make_folder(AT_FDCWD, state_dir, &store->state, error);
	if (result == 0)
		result = take_lock(store, state_dir, error);
	if (result == 0)
		result = make_folder(store->state, "releases", &store->releases, error);
	if (result == 0)
		result = make_folder(store->state, "staging", &store->staging, error);
	if (result == 0)
		result = make_folder(store->state, "objects", &store->objects, error);
	if (result == 0)
		result = make_folder(store->state, "signatures", &store->signatures, error);
	if (result == 0)
		result = empty_staging(store, error);
	return result;
}

int store_open(const char *state_dir, struct store **ret_store, struct error *error)
{
	return store_open_again(state_dir, -1, ret_store, error);
}

int store_open_again(
	const char *state_dir, int lock_fd, struct store **ret_store, struct error *error)
{
	struct store *store = malloc(sizeof *store);
	if (!store) {
		close_fd(&lock_fd);
		return error_errno(error, ENOMEM, "cannot open %s", state_dir);
	}
	*store = (struct store){.state = -1,
		.releases = -1,
		.staging = -1,
		.objects = -1,
		.signatures = -1,
		.lock = lock_fd};
	int result = tree_prepare(error);
	if (result == 0)
		result = store_set_up(store, state_dir, error);
	if (result < 0) {
		store_close(store);
		return result;
	}
	*ret_store = store;
	return 0;
}

struct store *store_close(struct store *store)
{
	if (!store)
		return NULL;
	close_fd(&store->signatures);
	close_fd(&store->objects);
	close_fd(&store->staging);
	close_fd(&store->releases);
	close_fd(&store->state);
	close_fd(&store->lock);
	free(store);
	return NULL;
}

int store_lock_fd(const struct store *store)
{
	return store->lock;
}

int store_state_fd(const struct store *store)
{
	return store->state;
}

int store_let_pass(struct store *store, struct error *error)
{
	const int folders[] = {store->state, store->releases, store->staging};
	for (size_t i = 0; i < ARRAY_LENGTH(folders); i++)
		if (fchmod(folders[i], 0711) < 0)
			return error_errno(
				error, errno, "cannot let tenants pass the folders of releases");
	return 0;
}

int store_stage(struct store *store, struct store_staging *ret_staging, struct error *error)
{
	struct store_staging staging = STORE_STAGING_NONE;
	unsigned char random[8];
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return error_errno(error, errno, "cannot name a staging folder");
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(staging.name + 2 * i, 3, "%02x", random[i]);
	if (mkdirat(store->staging, staging.name, 0700) < 0)
		return error_errno(error, errno, "cannot make a staging folder");
	staging.fd = open_folder(store->staging, staging.name);
	if (staging.fd < 0) {
		int code = errno;
		unlinkat(store->staging, staging.name, AT_REMOVEDIR);
		return error_errno(error, code, "cannot open a staging folder");
	}
	*ret_staging = staging;
	return 0;
}

/* Is the release ID what its id says? */
static bool is_intact(struct store *store, const char *id)
{
	return store_verify(store, id, NULL) == 0;
}

/* Brings STAGING under its ID. *RET_REST: what is left in staging is to be removed. */
static int install(struct store *store, const struct store_staging *staging, const char *id,
	bool *ret_rest, struct error *error)
{
	/* rename(2) never replaces a folder that is not empty, and no release is empty:
	 * an existing release stays what it is. */
	*ret_rest = false;
	if (renameat(store->staging, staging->name, store->releases, id) == 0)
		return 0;
	if (errno != EEXIST && errno != ENOTEMPTY)
		return error_errno(error, errno, "cannot store the release %.12s", id);
	*ret_rest = true;
	/* Unless the disk has damaged it: deploying it again is how an operator repairs it. */
	if (is_intact(store, id) ||
		renameat2(store->staging, staging->name, store->releases, id, RENAME_EXCHANGE) == 0)
		return 0;
	return error_errno(error, errno, "cannot replace the damaged release %.12s", id);
}

int store_commit(struct store *store, struct store_staging *staging, char ret_id[STORE_ID_SIZE],
	struct error *error)
{
	char id[STORE_ID_SIZE];
	bool rest = false;
	struct tree tree;
	int result = tree_read(staging->fd, &tree, error);
	if (result < 0)
		return result;
	result = tree_id(&tree, id, error);
	if (result == 0) {
		objects_share(store->objects, staging->fd, &tree);
		result = tree_seal(staging->fd, &tree, error);
	}
	tree_clear(&tree);
	if (result == 0)
		result = install(store, staging, id, &rest, error);
	/* Also for a release that was there: its rename may not be on the disk yet. */
	if (result == 0 && fsync(store->releases) < 0)
		result = error_errno(error, errno, "cannot make the release %.12s durable", id);
	if (result < 0)
		return result;
	if (rest) {
		store_discard(store, staging);
	} else {
		close_fd(&staging->fd);
		staging->name[0] = '\0';
	}
	memcpy(ret_id, id, sizeof id);
	return 0;
}

void store_discard(struct store *store, struct store_staging *staging)
{
	if (staging->fd < 0)
		return;
	close_fd(&staging->fd);
	/* What cannot be removed now is removed by the next store_open. */
	(void)tree_remove(store->staging, staging->name);
	staging->name[0] = '\0';
}

bool store_id_valid(const char *id)
{
	return strlen(id) == STORE_ID_LENGTH && strspn(id, "0123456789abcdef") == STORE_ID_LENGTH;
}

int store_release_open(struct store *store, const char *id, struct error *error)
{
	if (!store_id_valid(id))
		return error_set(
			error, EINVAL, "a release's id is %d hexadecimal digits", STORE_ID_LENGTH);
	int fd = openat(store->releases, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return error_set(error, ENOENT, "there is no release %.12s", id);
	if (fd < 0)
		return error_errno(error, errno, "cannot open the release %.12s", id);
	return fd;
}

int store_release_manifest(int dir_fd, char **ret_text, size_t *ret_length, struct error *error)
{
	struct stat status;
	if (fstatat(dir_fd, DEPLOY_MANIFEST, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(error, errno, "cannot open %s", DEPLOY_MANIFEST);
	if (!S_ISREG(status.st_mode))
		return error_set(error, EINVAL, "%s is not a file", DEPLOY_MANIFEST);
	return file_read(dir_fd, DEPLOY_MANIFEST, DEPLOY_MANIFEST_MAX, ret_text, ret_length, error);
}

int store_verify(struct store *store, const char *id, struct error *error)
{
	cleanup_close int fd = store_release_open(store, id, error);
	if (fd < 0)
		return fd;
	char found[STORE_ID_SIZE];
	int result = tree_hash(fd, found, error);
	if (result < 0)
		return result;
	if (strcmp(found, id) != 0)
		return error_set(error, EUCLEAN,
			"the release %.12s is damaged: its files have the hash %.12s", id, found);
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, STORE_ID_SIZE);
}

int store_list(struct store *store, char (**ret_ids)[STORE_ID_SIZE], size_t *ret_count,
	struct error *error)
{
	int own = open_folder(store->releases, ".");
	cleanup_closedir DIR *dir = own < 0 ? NULL : fdopendir(own);
	if (!dir)
		return error_errno(error, errno, "cannot read the releases");
	cleanup_free char (*ids)[STORE_ID_SIZE] = NULL;
	size_t count = 0, room = 0;
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (!store_id_valid(entry->d_name))
			continue;
		if (count == room) {
			room = room ? room * 2 : 64;
			void *larger = reallocarray(ids, room, sizeof *ids);
			if (!larger)
				return error_errno(error, ENOMEM, "cannot list the releases");
			ids = larger;
		}
		memcpy(ids[count++], entry->d_name, STORE_ID_SIZE);
	}
	if (count > 0)
		qsort(ids, count, sizeof *ids, compare_ids);
	*ret_ids = take_pointer(ids);
	*ret_count = count;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_kept(const char *id, const char **keep, size_t count)
{
	return count > 0 && bsearch(&id, keep, count, sizeof *keep, compare_names) != NULL;
}

/* Out of sight in one step, under a name that no other has. */
static int take_aside(struct store *store, const char *id, struct error *error)
{
	char name[NAME_MAX];
	uint64_t random = 0;
	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return error_errno(error, errno, "cannot name a staging folder");
	snprintf(name, sizeof name, PRUNED_PREFIX "%.12s-%016" PRIx64, id, random);
	if (renameat(store->releases, id, store->staging, name) < 0)
		return error_errno(error, errno, "cannot remove the release %.12s", id);
	return 0;
}

int store_prune(
	struct store *store, const char *const *keep, size_t keep_count, struct error *error)
{
	cleanup_free char (*ids)[STORE_ID_SIZE] = NULL;
	size_t count;
	int result = store_list(store, &ids, &count, error);
	int removed = 0;
	/* Thousands of both are possible. */
	cleanup_free const char **sorted = calloc(keep_count + 1, sizeof *sorted);
	if (sorted == NULL)
		return error_errno(error, ENOMEM, "cannot remove releases");
	if (keep_count > 0) {
		memcpy(sorted, keep, keep_count * sizeof *sorted);
		qsort(sorted, keep_count, sizeof *sorted, compare_names);
	}
	for (size_t i = 0; result == 0 && i < count; i++) {
		if (is_kept(ids[i], sorted, keep_count))
			continue;
		result = take_aside(store, ids[i], error);
		removed += result == 0;
	}
	if (result == 0 && removed > 0 && fsync(store->releases) < 0)
		return error_errno(error, errno, "cannot make the removal of releases durable");
	store_signatures_sweep(store);
	return result < 0 ? result : removed;
}

int store_sweep(struct store *store, struct error *error)
{
	int own = open_folder(store->staging, ".");
	cleanup_closedir DIR *dir = own < 0 ? NULL : fdopendir(own);
	if (!dir)
		return error_errno(error, errno, "cannot read the staging folder");
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (strncmp(entry->d_name, PRUNED_PREFIX, sizeof PRUNED_PREFIX - 1) != 0)
			continue;
		int result = tree_remove(store->staging, entry->d_name);
		if (result < 0)
			return error_errno(
				error, result, "cannot remove staging/%s", entry->d_name);
	}
	return objects_sweep(store->objects, error);
}
