/* Makes the archive of a release, as tenantctl sends it: a reproducible pax tar, i.e.
 * the same files always give the same bytes (sorted names, times and owners zero, modes
 * 0644 and 0755). */
#pragma once

#include "common/error.h"
#include "deploy/limits.h"

#include <stddef.h>
#include <stdint.h>

struct archive_made {
	int fd;         /* a memfd, sealed, or for a large one an unlinked file; at offset 0 */
	size_t entries; /* files and folders in it */
	uint64_t bytes; /* of the files */
	char entry[DEPLOY_PATH_MAX]; /* the module to start with, as tenant.json says it */
};

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
 * TypeScript and CommonJS entries are refused with advice. Returns 0 and a
 * descriptor that is the caller's, or a negative errno: -EINVAL for a release that
 * cannot be, -EFBIG for one over the bounds of limits.h, -ENOENT when nothing is there. */
int archive_make(const char *path, struct archive_made *ret_made, struct error *error);
