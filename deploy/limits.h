/* What a release may be at most. The side that makes an archive and the side that
 * unpacks it (and does not trust the first) keep to the same bounds. */
#pragma once

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

#define DEPLOY_BYTES_MAX (256ull * 1024 * 1024) /* of all files together */
#define DEPLOY_FILES_MAX 20000                  /* files and folders together */
#define DEPLOY_PATH_MAX 1024                    /* bytes of a path in a release, NUL included */
#define DEPLOY_NAME_MAX 255                     /* bytes of one component */
#define DEPLOY_DEPTH_MAX 32                     /* components of a path */
#define DEPLOY_MANIFEST "tenant.json"           /* of a release, in its root */
#define DEPLOY_MANIFEST_MAX (64 * 1024)         /* bytes */

/* A compressed archive may not unpack to more than this many times its own size,
 * except that the first DEPLOY_RATIO_FREE bytes are always allowed. */
#define DEPLOY_RATIO_MAX 100
#define DEPLOY_RATIO_FREE (16ull * 1024 * 1024)

/* Is PATH (LENGTH bytes) fit to be a file's path in a release: relative, no empty, `.`
 * or `..` component, well-formed UTF-8, no control characters, bidirectional marks or
 * backslashes, and within the bounds above? Returns 0, or -EINVAL with a message that
 * names the path, escaped. */
int deploy_path_check(const char *path, size_t length, struct error *error);
