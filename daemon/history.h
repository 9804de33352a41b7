/* The releases of each tenant: what was deployed, by whom, why, and what became of it, in
 * STATE/history/NAME.json, replaced as a whole and durably (common/file.h): kill -9 at any
 * moment leaves the old or the new file. What is active is not here but in the state file;
 * where the two differ (killed in between), that one is right, and this one follows.
 *
 * The newest release to have gone live stands first. As many as --keep-releases stay in the
 * store, the active and the one before it always among them; of what failed, and is not in the
 * store, the last few are remembered. In memory there are the ids only. */
#pragma once

#include "common/error.h"
#include "daemon/who.h"
#include "deploy/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#define HISTORY_KEEP_DEFAULT 5
#define HISTORY_KEEP_MAX 50
#define HISTORY_FAILED_MAX 5
#define HISTORY_MESSAGE_MAX 1024 /* bytes of -m, escaped */

struct history;

/* What is about to be tried. */
struct history_attempt {
	const char *release;
	const char *from; /* what it is to replace; "": nothing */
	const struct who *by;
	const char *message;   /* NULL: none */
	const char *signed_by; /* the key, if it was verified; NULL */
	uint64_t bytes;
	size_t entries;
	uint32_t keep; /* how many of this tenant's to keep from now on; 0: as before */
};

/* KEEP is for tenants that were given no number of their own. */
int history_open(int state_fd, uint32_t keep, struct history **ret_history, struct error *error);
struct history *history_close(struct history *history);

/* Notes that a release is tried, before it is: whoever restarts a killed daemon can see it.
 * ACTIVE is what serves now. */
int history_begin(struct history *history, const char *tenant, const char *active,
	const struct history_attempt *attempt, struct error *error);
/* TO is live, in place of FROM ("": of nothing); which was ROLLED_BACK because of REASON
 * (NULL: it was not, but replaced). A failure to write is logged: the state file has it. */
void history_live(struct history *history, const char *tenant, const char *from, const char *to,
	const char *rolled_back);
/* What was tried (history_begin) did not go live. Nothing happens to one that did. */
void history_failed(struct history *history, const char *tenant, const char *active,
	const char *release, const char *reason);
/* RELEASE, which serves, is about to be rolled back because of REASON; it is no good one, whether
 * or not it comes to that. */
void history_condemn(
	struct history *history, const char *tenant, const char *release, const char *reason);
/* The tenant is no more. */
void history_forget(struct history *history, const char *tenant);
/* From now on KEEP releases of TENANT are kept; 0: as many as before. */
int history_set_keep(struct history *history, const char *tenant, const char *active, uint32_t keep,
	struct error *error);

/* Its releases, the newest first: [{"release", "deployed", "live": times | null, "by",
 * "message", "signed_by", "bytes", "entries", "from", "outcome": "active" | "previous" |
 * "kept" | "rolled-back" | "failed" | "trying", "reason", "stored"}]. */
json_t *history_releases(struct history *history, const char *tenant, const char *active);
/* The last good release before the active one, which is in the store. -ENOENT. */
int history_previous(struct history *history, const char *tenant, const char *active,
	char ret_release[STORE_ID_SIZE], struct error *error);
/* The release that TEXT means: an id, the unambiguous beginning of one (at least 4 digits),
 * "active" or "previous". -ENOENT, -EINVAL; one that is not in the store any more is -ESTALE. */
int history_find(struct history *history, const char *tenant, const char *active, const char *text,
	char ret_release[STORE_ID_SIZE], struct error *error);
/* The text of the signature that RELEASE came with, of a tenantd that kept signatures here; NULL
 * if it has none. The caller's. */
char *history_signature(struct history *history, const char *tenant, const char *release);

/* How many ids are to stay in the store for TENANT, and which; they stay the history's until its
 * next call. A negative errno when that cannot be read now: not "none", who removes the others
 * has to wait. */
ssize_t history_kept(struct history *history, const char *tenant, const char *active,
	const char (**ret_ids)[STORE_ID_SIZE]);
