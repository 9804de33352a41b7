/* That a release is what its id says, proved by hashing it in a process of its own; for
 * daemon/releases.h. */
#pragma once

#include "common/error.h"
#include "daemon/program.h"

struct proof;
struct supervisor;

/* A release is at most 512 MiB; a disk that needs longer than that for it has other worries. */
#define PROOF_DEADLINE_MS (120 * 1000)

/* RESULT 0: PROGRAM has its proof, for as long as nobody touches the release. Else ERROR says
 * why not. The proof is gone when this is called. */
typedef void proof_fn(void *data, int result, const struct error *error);

/* PROGRAM must live until DONE is called, or the proof is cancelled. */
int proof_start(struct supervisor *supervisor, struct program *program, proof_fn *done, void *data,
	struct proof **ret_proof, struct error *error);
/* DONE is not called. Takes NULL; returns NULL. */
struct proof *proof_cancel(struct proof *proof);
