/* Makes the archive of a release, as tenantctl sends it: a reproducible pax tar, i.e.
 * the same files always give the same bytes (sorted names, times and owners zero, modes
 * 0644 and 0755). */
#pragma once

#include "common/error.h"
#include "deploy/limits.h"
#include "deploy/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct archive_made {
	int fd;         /* a memfd, sealed, or for a large one an unlinked file; at offset 0 */
	size_t entries; /* files and folders in it */
	uint64_t bytes; /* of the files */
	char entry[DEPLOY_PATH_MAX]; /* the module to start with, as tenant.json says it */
};

/* Files that are not on the disk, or are different there: what deploy/bundle.h makes. */
struct archive_file {
	char *path;    /* in the release */
	char *content; /* SIZE bytes; NULL: the file is left out */
	size_t size;
};
struct archive_overlay {
	char entry[DEPLOY_PATH_MAX];
	struct archive_file *files; /* ascending by path, each once */
	size_t count;
	bool without_packages; /* node_modules folders are left out */
};
/* Takes NULL; returns NULL. */
struct archive_overlay *archive_overlay_free(struct archive_overlay *overlay);

/* Archives PATH.
 *
 * A file NAME.js or NAME.mjs is a release of its own: it is stored under its name,
 * with a tenant.json {"entry": NAME.js} made for it.
 *
 * Of a folder everything is taken but .git folders and node_modules/.bin (links to
 * command line tools, which no tenant can run); any other symbolic link, and whatever
 * is neither file nor folder, is refused, so that nothing from outside the folder
 * slips in. The entry is what tenant.json says; without tenant.json it is package.json's
 * "main" (and a tenant.json is made that says so), else what policy/manifest.h finds.
 *
 * OVERLAY (may be NULL) changes what of a folder is taken.
 *
 * Entries that have to be bundled first (deploy/bundle.h) are refused. Returns 0 and a
 * descriptor that is the caller's, or a negative errno: -EINVAL for a release that
 * cannot be, -EFBIG for one over the bounds of limits.h, -ENOENT when nothing is there. */
int archive_make(const char *path, const struct archive_overlay *overlay,
	struct archive_made *ret_made, struct error *error);

/* The id that the archive ARCHIVE_FD's release will have in a store. It is unpacked for that,
 * below $TMPDIR; to be told only of archives that one means to deploy or sign. Changes the
 * process's locale. */
int archive_id(int archive_fd, char ret_id[STORE_ID_SIZE], struct error *error);
