/* Checks of single strings: each returns 0, or -EINVAL with what is wrong. */
#pragma once

#include "common/error.h"

#define PATH_LENGTH_MAX 4095

/* An absolute path without //, . and .. and without a slash at its end, so that two
 * equal grants are two equal strings. */
int check_path(const char *path, struct error *error);

/* The name of an environment variable: [A-Za-z_][A-Za-z0-9_]*, at most 255. */
int check_variable(const char *name, struct error *error);

/* A public key for Ed25519: 32 bytes in base64, or the absolute path of its file. */
int check_public_key(const char *text, struct error *error);
