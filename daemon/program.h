/* What an instance is started with: a release and a policy, read and checked once, and
 * the listeners that belong to them. A tenant has one; a deployment brings another. */
#pragma once

#include "common/error.h"
#include "daemon/listeners.h"
#include "deploy/store.h"
#include "policy/manifest.h"
#include "policy/policy.h"

struct program {
	char release[STORE_ID_SIZE];
	int release_fd; /* its folder */
	struct policy *policy;
	char policy_file[256]; /* where it is from, or "default" */
	struct manifest *manifest;
	char *entry;
	struct listeners listeners; /* count 0: not open */
	char *signature;            /* that it came with; NULL: what the store has */
	unsigned char *proof;       /* that its content was verified: daemon/releases.c */
};

/* Opens the release ID and reads its manifest. POLICY is taken, also on failure. */
int program_new(struct store *store, const char *id, struct policy *policy, const char *policy_file,
	struct program **ret_program, struct error *error);
/* Of a release that is not in the store: FOLDER_FD (taken, also on failure). ENTRY may
 * be NULL: the manifest's. */
int program_of_folder(int folder_fd, const char *id, const char *entry, struct policy *policy,
	const char *policy_file, struct program **ret_program, struct error *error);
/* Closes its listeners (see listeners_close: KEEP may be NULL), frees it. Takes NULL. */
struct program *program_free(struct program *program, const struct listeners *keep);

/* Reads the policy of the tenant NAME below FOLDER_FD, or makes the default one. Says in
 * RET_FILE (256 bytes) where it is from. */
int program_policy(int folder_fd, const char *name, struct policy **ret_policy, char ret_file[256],
	struct error *error);
