/* The signatures that releases came with, in STATE/signatures/<id>/<tenant>. One file for each
 * release of a tenant, written before the release is tried, and gone with the release: no other
 * file has to be whole for a release to start. Nothing here is believed: whoever starts a release
 * checks what the file says. */
#include "common/cleanup.h"
#include "common/file.h"
#include "deploy/signature.h"
#include "deploy/store.h"
#include "deploy/store_private.h"
#include "deploy/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_path(char path[PATH_MAX], const char *id, const char *tenant, struct error *error)
{
	if (!store_id_valid(id) || strchr(tenant, '/') || tenant[0] == '.' || tenant[0] == '\0')
		return error_set(error, EINVAL, "a signature of no release, or of nobody");
	snprintf(path, PATH_MAX, "%s/%s", id, tenant);
	return 0;
}

int store_signature_put(struct store *store, const char *id, const char *tenant, const char *text,
	struct error *error)
{
	char path[PATH_MAX];
	int result = make_path(path, id, tenant, error);
	if (result < 0)
		return result;
	if (mkdirat(store->signatures, id, 0700) == 0)
		result = fsync(store->signatures) < 0 ? -errno : 0;
	else if (errno != EEXIST)
		result = -errno;
	if (result < 0)
		return error_errno(error, result, "cannot keep the signature of %.12s", id);
	result = file_write_atomic(store->signatures, path, text, strlen(text), 0600, error);
	return result < 0 ? error_prefix(error, "cannot keep the signature of %.12s", id) : 0;
}

int store_signature_get(struct store *store, const char *id, const char *tenant, char **ret_text,
	struct error *error)
{
	char path[PATH_MAX];
	int result = make_path(path, id, tenant, error);
	if (result == 0)
		result = file_read(
			store->signatures, path, SIGNATURE_TEXT_MAX, ret_text, NULL, error);
	return result;
}

void store_signatures_sweep(struct store *store)
{
	int own = openat(store->signatures, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_closedir DIR *folder = own < 0 ? NULL : fdopendir(own);
	struct stat status;
	if (folder == NULL) {
		close_fd(&own);
		return;
	}
	for (struct dirent *entry; (entry = readdir(folder));) {
		if (!store_id_valid(entry->d_name))
			continue;
		if (fstatat(store->releases, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0 &&
			errno == ENOENT)
			(void)tree_remove(store->signatures, entry->d_name);
	}
}
