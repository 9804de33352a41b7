#include "daemon/proof.h"

#include "common/cleanup.h"
#include "daemon/supervisor.h"
#include "deploy/tree.h"
#include "deploy/verify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

struct proof {
	struct supervisor *supervisor;
	struct program *program;
	struct verify verify;
	unsigned char print[TREE_HASH_SIZE]; /* of what was there before it was hashed */
	sd_event_source *source, *deadline;
	proof_fn *done;
	void *data;
};

static void proof_free(struct proof *proof)
{
	proof->supervisor->proofs--;
	sd_event_source_disable_unref(proof->source);
	sd_event_source_disable_unref(proof->deadline);
	free(proof);
}

static void finish(struct proof *proof, int result, const struct error *error)
{
	proof_fn *done = proof->done;
	void *data = proof->data;
	proof_free(proof);
	done(data, result, error);
}

static void keep_print(struct proof *proof)
{
	struct program *program = proof->program;
	free(program->proof);
	program->proof = malloc(sizeof proof->print);
	if (program->proof)
		memcpy(program->proof, proof->print, sizeof proof->print);
}

static int result_is_there(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct proof *proof = data;
	const char *release = proof->program->release;
	char found[STORE_ID_SIZE];
	struct error error = {0};
	(void)source;
	(void)fd;
	(void)events;
	/* Before the descriptor is closed, and not as one that is still watched. */
	proof->source = sd_event_source_disable_unref(proof->source);
	int result = verify_finish(&proof->verify, found, &error);
	if (result < 0)
		error_prefix(&error, "the release %.12s", release);
	else if (strcmp(found, release) != 0)
		result = error_set(&error, EUCLEAN,
			"the release %.12s is damaged: its files have the hash %.12s", release,
			found);
	else
		keep_print(proof);
	finish(proof, result, &error);
	return 0;
}

static int deadline_passed(sd_event_source *source, uint64_t usec, void *data)
{
	struct proof *proof = data;
	struct error error = {0};
	(void)source;
	(void)usec;
	error_set(&error, ETIMEDOUT, "the release %.12s could not be read within %d s",
		proof->program->release, PROOF_DEADLINE_MS / 1000);
	proof->source = sd_event_source_disable_unref(proof->source);
	verify_cancel(&proof->verify);
	finish(proof, -ETIMEDOUT, &error);
	return 0;
}

int proof_start(struct supervisor *supervisor, struct program *program, proof_fn *done, void *data,
	struct proof **ret_proof, struct error *error)
{
	struct proof *proof = calloc(1, sizeof *proof);
	if (proof == NULL)
		return error_set(error, ENOMEM, "no memory to check a release");
	proof->supervisor = supervisor;
	proof->program = program;
	proof->done = done;
	proof->data = data;
	/* The print comes first: what changes meanwhile is noticed the next time. And of the folder
	 * that the workers get, which its name in the store may have left: a damaged release that
	 * is deployed again is replaced. */
	int result = tree_fingerprint(program->release_fd, proof->print, error);
	if (result == 0)
		result = verify_start(program->release_fd, &proof->verify, error);
	if (result < 0) {
		free(proof);
		return error_prefix(error, "the release %.12s", program->release);
	}
	supervisor->proofs++;
	result = sd_event_add_io(supervisor->event, &proof->source, proof->verify.result_fd,
		EPOLLIN, result_is_there, proof);
	if (result >= 0)
		result = sd_event_add_time_relative(supervisor->event, &proof->deadline,
			CLOCK_MONOTONIC, PROOF_DEADLINE_MS * 1000ull, 0, deadline_passed, proof);
	if (result < 0) {
		proof_cancel(proof);
		return error_errno(error, result, "cannot wait until a release is hashed");
	}
	*ret_proof = proof;
	return 0;
}

struct proof *proof_cancel(struct proof *proof)
{
	if (proof == NULL)
		return NULL;
	proof->source = sd_event_source_disable_unref(proof->source);
	verify_cancel(&proof->verify);
	proof_free(proof);
	return NULL;
}
