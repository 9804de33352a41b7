/* A policy that takes effect with a release. Which release is active stands in the state file, the
 * policy in the operator's folder, and no file system replaces two files at once. So the new
 * policy is written beside the old one first, under a name with a number in it; the state file
 * names that number together with the release, and by that both are decided; then the file gets
 * its place, by one rename. Killed before the state file is written, a daemon leaves the old
 * release with the old policy; after it, the next one finds a change that it can finish. Whether
 * it was finished is seen from the name, so that what the operator wrote afterwards is theirs.
 *
 *   FOLDER/NAME.json               the policy, the operator's
 *   FOLDER/.NAME.json.<number>     one that is to come, or one that went */
#pragma once

#include "common/error.h"

#include <stdbool.h>

/* "put-" or "remove-", and 16 lower-case hexadecimal digits; NUL included. */
#define POLICY_CHANGE_SIZE 24

bool policy_change_valid(const char *change);

/* Writes TEXT, durably, to where it does no harm; with TEXT NULL the file is to go. */
int policy_change_prepare(int folder_fd, const char *tenant, const char *text,
	char ret_change[POLICY_CHANGE_SIZE], struct error *error);
/* Does it, if it has not been done. On failure the policy is as it was. 1: it is done, but a
 * power cut may undo it: CHANGE must stay in the state file. */
int policy_change_apply(int folder_fd, const char *tenant, const char *change, struct error *error);
/* Nobody will name CHANGE any more: what there is under its name is removed. */
void policy_change_forget(int folder_fd, const char *tenant, const char *change);

/* Removes what an earlier daemon left; IS_NAMED is asked about each. */
typedef bool policy_change_named_fn(void *data, const char *tenant, const char *number);
void policy_change_sweep(int folder_fd, policy_change_named_fn *is_named, void *data);
