/* What to deploy or to sign, and its signature. */
#pragma once

#include "ctl/command.h"
#include "deploy/archive.h"

#include <jansson.h>

#define SIGNING_KEEP_MAX 50

/* The archive of PATH: itself, if its name ends with .tar or .tar.zst, else what pack_release
 * makes of it. */
int signing_open(const struct invocation *invocation, const char *path,
	struct archive_made *ret_made, struct error *error);

/* Puts the signature of the archive FD, which was made of PATH, into REQUEST: by --sign-key,
 * or from the file beside PATH; none, if there is neither. Returns 0 or an exit code. */
int signing_put(const struct invocation *invocation, json_t *request, const char *path, int fd);

/* "PATH.sig", without slashes at PATH's end. */
int signing_path(const char *path, char *ret_path, size_t size, struct error *error);
