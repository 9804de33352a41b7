/* tenant.json, which a release carries: what the program is and how it wants to be
 * run. It comes from the tenant, so it grants nothing. Errors as in policy/policy.h.
 * Everything in it is optional, and so is the file. */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MANIFEST_FILE "tenant.json"

enum manifest_restart {
	MANIFEST_RESTART_ALWAYS,
	MANIFEST_RESTART_ON_FAILURE, /* not after exit code 0 */
	MANIFEST_RESTART_NEVER,
};

struct manifest {
	char *entry; /* path below the release, normalised; NULL when the file names none */
	enum manifest_restart restart;
	uint64_t startup_ms; /* from start until ready; 100 ms to 10 min */
	uint64_t grace_ms;   /* for draining; 0 to 10 min */
	uint64_t idle_ms;    /* of a kept-alive connection; 1 s to 1 h */
};

/* Parses a tenant.json. Returns 0 and a manifest for manifest_free, or -EINVAL
 * (-ENOMEM) with ERROR filled. */
int manifest_parse(const char *text, size_t length, const char *file_name, struct manifest **ret,
	struct error *error);

/* Reads and parses PATH below DIR_FD; without such a file, the defaults. */
int manifest_read(int dir_fd, const char *path, struct manifest **ret, struct error *error);

/* What holds for a release without tenant.json. NULL when out of memory. */
struct manifest *manifest_default(void);

/* Takes NULL; returns NULL. */
struct manifest *manifest_free(struct manifest *manifest);

/* As policy_print. */
char *manifest_print(const struct manifest *manifest);

/* The entry module: the manifest's own, or the first that is there of main.js,
 * main.mjs, index.js, index.mjs. EXISTS says whether the release has a regular file of
 * that path. NULL, with the reason in ERROR, when it has none. The string is the
 * manifest's or static. */
typedef bool manifest_exists(const char *path, void *data);
const char *manifest_entry(
	const struct manifest *manifest, manifest_exists *exists, void *data, struct error *error);
