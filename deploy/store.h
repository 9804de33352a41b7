/* The releases on disk, below the state folder of the daemon:
 *
 *   STATE/releases/<id>/   the files of one release, mode 0444, folders 0555
 *   STATE/objects/<tenant>/<sha256>
 *                          the same files by their content, as hard links: deploy/objects.h
 *   STATE/signatures/<id>/<tenant>
 *                          the signature that a tenant's release came with
 *   STATE/staging/<name>/  a release in the making; thrown away at the next start
 *   STATE/lock             held (fcntl) by the one daemon that uses the folder
 *
 * The id of a release is the SHA-256 of its canonical listing (each path with its size
 * and the SHA-256 of its content), so the same files are the same release, stored once; and what
 * releases have in common is stored once, too. A release appears under its id by one rename after
 * all of it is on the disk, and disappears by one rename too: kill -9 or a power cut at any moment
 * leaves either the whole release or none. Nothing here is for several threads. */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_ID_LENGTH 64 /* lower-case hexadecimal digits */
#define STORE_ID_SIZE (STORE_ID_LENGTH + 1)
#define STORE_STAGING_SIZE 32

struct store;

/* A release in the making: a fresh folder of mode 0700 below STATE/staging. */
struct store_staging {
	int fd; /* the folder, close-on-exec; -1 when there is none */
	char name[STORE_STAGING_SIZE];
};

#define STORE_STAGING_NONE ((struct store_staging){.fd = -1})

/* Opens the store in STATE_DIR; makes the folders (0700) that are missing, and removes
 * what an earlier daemon left in staging. -EBUSY when another process has it open. */
int store_open(const char *state_dir, struct store **ret_store, struct error *error);
/* As store_open, with the lock that this very process held already, before it replaced its program
 * (taken; -1: none): nobody else can have had it in between. */
int store_open_again(
	const char *state_dir, int lock_fd, struct store **ret_store, struct error *error);
/* The descriptor that holds the lock: it ends when this one, or any other of the file, is closed
 * by the process. Stays the store's. */
int store_lock_fd(const struct store *store);
/* Takes NULL; returns NULL. */
struct store *store_close(struct store *store);

/* The state folder itself, for the daemon's own files in it. Stays the store's. */
int store_state_fd(const struct store *store);

/* Lets others than root pass (not list) the folders above releases: for workers that read
 * theirs where it lies, because they may not mount (tier container). */
int store_let_pass(struct store *store, struct error *error);

/* ---- making a release: unpack.h does these three in a process of its own ---- */

int store_stage(struct store *store, struct store_staging *ret_staging, struct error *error);
/* Hashes what is in STAGING, makes it read-only and durable, and gives it its id. If a
 * release of this id exists already, that one stays. On success STAGING is closed and
 * emptied; on failure it is as it was, to be discarded. A release of this id that the disk
 * has damaged is replaced. Files that another release has already become the same files on
 * the disk. Refuses anything that is not a regular file or a folder. Blocks on the disk. */
int store_commit(struct store *store, struct store_staging *staging, char ret_id[STORE_ID_SIZE],
	struct error *error);
/* Removes STAGING and all in it; nothing to do when fd is -1. */
void store_discard(struct store *store, struct store_staging *staging);

/* ---- reading ---- */

/* True for 64 lower-case hexadecimal digits. All functions below refuse other ids. */
bool store_id_valid(const char *id);
/* Opens the folder of a release (O_RDONLY | O_DIRECTORY; fit for open_tree(2) with
 * AT_EMPTY_PATH). Returns the descriptor, the caller's; -ENOENT when there is none. */
int store_release_open(struct store *store, const char *id, struct error *error);
/* Reads DIR_FD's tenant.json (a release's folder from store_release_open, or a staging
 * folder) into memory that the caller frees, NUL-terminated. -ENOENT when the release
 * has none: the defaults hold. */
int store_release_manifest(int dir_fd, char **ret_text, size_t *ret_length, struct error *error);
/* Keeps TEXT as the signature with which TENANT has the release ID, durably; it goes with the
 * release. */
int store_signature_put(struct store *store, const char *id, const char *tenant, const char *text,
	struct error *error);
/* The same again, for the caller to check and free. -ENOENT when there is none. */
int store_signature_get(struct store *store, const char *id, const char *tenant, char **ret_text,
	struct error *error);
/* Hashes the release again. -EUCLEAN when its content is not what its id says. */
int store_verify(struct store *store, const char *id, struct error *error);
/* The ids of all releases, sorted; one allocation, that the caller frees. */
int store_list(struct store *store, char (**ret_ids)[STORE_ID_SIZE], size_t *ret_count,
	struct error *error);
/* Takes every release out of the store that is not among the COUNT ids of KEEP; the disk's
 * space comes back with store_sweep, or at the next store_open. Not to be called while
 * an unpack is under way, whose release nobody keeps yet. A release whose files are
 * mounted somewhere stays usable there until the sweep. Returns how many were removed. */
int store_prune(struct store *store, const char *const *keep, size_t count, struct error *error);
/* Gives back the space of what was pruned, and of files that no release has any more. Blocks
 * on the disk; may run beside anything else. */
int store_sweep(struct store *store, struct error *error);
/* The same in a process of its own, a child of the caller, which dies with it: *RET_PIDFD is
 * readable when it is to be waited for. */
int store_sweep_fork(struct store *store, int *ret_pidfd, struct error *error);
