/* Walks over a whole folder, bounded and without following any link. Private to the
 * deploy folder. */
#pragma once

#include "common/error.h"
#include "deploy/store.h"

#include <stdbool.h>

/* Loads what hashing needs, so that processes forked later have it. */
int tree_prepare(struct error *error);

/* Computes the id of what is below DIR_FD: the SHA-256 over one line for each file and
 * folder, sorted by path: "f <size> <sha256> <path>\n" or "d <path>\n". With SEAL each
 * file becomes 0444, each folder 0555, and all of it durable before the return.
 * -EINVAL for what a release cannot hold (links, devices, no file at all), -EFBIG over
 * the bounds of limits.h. */
int tree_hash(int dir_fd, bool seal, char ret_id[STORE_ID_SIZE], struct error *error);

/* Removes NAME below DIR_FD, a folder with all in it. Returns 0, also when there is
 * none, or a negative errno. */
int tree_remove(int dir_fd, const char *name);
