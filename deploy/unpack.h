/* Takes an archive that nobody trusts (a tar, plain or zstd-compressed, as archive.h
 * makes it) into the store, without blocking the daemon and without parsing it in a
 * process that could do harm:
 *
 *   daemon -- fork --> helper -- fork --> unpacker
 *
 * The unpacker reads the archive. Before its first byte it has given up everything but
 * that descriptor and the staging folder: chroot into it, no capabilities, Landlock,
 * rlimits, seccomp. The helper parses nothing; when the unpacker has reported success it
 * hashes what is there, makes it durable and renames it (store_commit), and reports to
 * the daemon. Only regular files and folders come out of it; links, devices, setuid
 * bits, duplicate or dubious names and everything over the bounds of limits.h is refused
 * with the member's name.
 *
 *   struct unpack unpack;
 *   unpack_start(store, archive_fd, &options, &unpack, &error);
 *   …wait until unpack.result_fd is readable (poll, uv_poll; at most as long as you like)…
 *   unpack_finish(&unpack, &result, &error);      or unpack_cancel(&unpack); */
#pragma once

#include "deploy/limits.h"
#include "deploy/store.h"

#include <stdbool.h>
#include <sys/types.h>

struct unpack_options {
	/* For one run only: neither hashed nor made durable. The result is the staging
	 * folder itself, which the caller discards when the run is over. */
	bool ephemeral;
	/* Whose it is: its files are shared with other releases of the same owner. NULL: they
	 * are nobody's in particular. */
	const char *owner;
};

/* One unpack under way. The first two fields are for the caller to wait on. */
struct unpack {
	int result_fd;   /* readable when unpack_finish will not block */
	int pidfd;       /* of the helper; readable when it has ended */
	pid_t pid;       /* of the helper, a child of the caller */
	int lifeline_fd; /* hangs up when helper and unpacker are both gone */
	bool ephemeral;
	struct store *store;
	struct store_staging staging;
};

struct unpack_result {
	size_t entries;               /* files and folders */
	uint64_t bytes;               /* of the files */
	char release[STORE_ID_SIZE];  /* its id in the store; "" when ephemeral */
	struct store_staging staging; /* ephemeral: the folder, the caller's to discard */
};

/* Starts to unpack ARCHIVE_FD (a regular file or memfd, read from its beginning; stays
 * the caller's, who may close it at once). STORE must outlive the unpack. OPTIONS may be
 * NULL. Needs root, one thread. The helper dies with the caller. */
int unpack_start(struct store *store, int archive_fd, const struct unpack_options *options,
	struct unpack *ret_unpack, struct error *error);

/* Ends it: takes the result, reaps the helper (who may have been reaped already, by a
 * wait for any child), closes the descriptors. Blocks until the helper is done. On
 * failure nothing is left in the store, and ERROR says why: -EINVAL for an archive that
 * is refused, -EFBIG for one over a bound, -ENOSPC for a full disk. */
int unpack_finish(struct unpack *unpack, struct unpack_result *ret_result, struct error *error);

/* Kills the helper and its unpacker, reaps, removes what they had made. */
void unpack_cancel(struct unpack *unpack);
