/* Unpacking an archive (deploy/unpack.h) without blocking the loop. */
#pragma once

#include "common/error.h"
#include "daemon/supervisor.h"
#include "deploy/unpack.h"

#define UNPACK_JOBS_MAX 8
#define UNPACK_DEADLINE_MS (120 * 1000)

struct unpack_job;

/* RESULT is 0 with what was UNPACKED (its staging becomes the callee's), or a negative
 * errno with ERROR. The job is gone when this is called. */
typedef void unpack_job_fn(
	void *data, int result, const struct unpack_result *unpacked, const struct error *error);

/* TENANT is whose release it is; NULL: of a run, and kept no longer than that (`ephemeral` of
 * deploy/unpack.h). -EBUSY when too many are under way. ARCHIVE_FD stays the caller's. */
int unpack_job_start(struct supervisor *supervisor, int archive_fd, const char *tenant,
	unpack_job_fn *done, void *data, struct unpack_job **ret_job, struct error *error);
/* Kills it; DONE is not called. Takes NULL, returns NULL. */
struct unpack_job *unpack_job_cancel(struct unpack_job *job);
