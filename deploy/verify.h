/* Hashing a release without blocking the daemon.
 *
 *   verify_start(release_fd, &verify, &error);
 *   …wait until verify.result_fd is readable…
 *   verify_finish(&verify, id, &error);      or verify_cancel(&verify); */
#pragma once

#include "common/error.h"
#include "deploy/store.h"

struct verify {
	int result_fd; /* readable when verify_finish will not block */
	int pidfd;     /* of a child of the caller, which dies with it */
};

/* RELEASE_FD is the folder, and stays the caller's. Needs one thread. */
int verify_start(int release_fd, struct verify *ret_verify, struct error *error);
/* The hash of all that is in it, which is the release's id if it is what it should be. Ends and
 * reaps the child; on failure, too. */
int verify_finish(struct verify *verify, char ret_id[STORE_ID_SIZE], struct error *error);
void verify_cancel(struct verify *verify);
