#include "daemon/unpack_job.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

struct unpack_job {
	struct supervisor *supervisor;
	struct unpack unpack;
	unpack_job_fn *done;
	void *data;
	sd_event_source *source, *deadline;
};

static void job_free(struct unpack_job *job)
{
	job->supervisor->unpacks--;
	sd_event_source_disable_unref(job->source);
	sd_event_source_disable_unref(job->deadline);
	free(job);
}

static int result_is_there(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct unpack_job *job = data;
	struct unpack_result unpacked = {.staging = STORE_STAGING_NONE};
	struct error error = {0};
	unpack_job_fn *done = job->done;
	void *done_data = job->data;
	(void)source;
	(void)fd;
	(void)events;
	/* Before the descriptor is closed, and not as one that is still watched. */
	job->source = sd_event_source_disable_unref(job->source);
	int result = unpack_finish(&job->unpack, &unpacked, &error);
	/* The new release has no tenant yet: DONE gives it one before anything is pruned. */
	job_free(job);
	done(done_data, result, &unpacked, &error);
	return 0;
}

static int deadline_passed(sd_event_source *source, uint64_t usec, void *data)
{
	struct unpack_job *job = data;
	struct error error = {0};
	unpack_job_fn *done = job->done;
	void *done_data = job->data;
	(void)source;
	(void)usec;
	unpack_job_cancel(job);
	error_set(&error, ETIMEDOUT, "the archive was not unpacked within %d seconds",
		UNPACK_DEADLINE_MS / 1000);
	done(done_data, -ETIMEDOUT, NULL, &error);
	return 0;
}

int unpack_job_start(struct supervisor *supervisor, int archive_fd, const char *tenant,
	unpack_job_fn *done, void *data, struct unpack_job **ret_job, struct error *error)
{
	const struct unpack_options options = {.ephemeral = tenant == NULL, .owner = tenant};
	if (supervisor->unpacks >= UNPACK_JOBS_MAX)
		return error_set(
			error, EBUSY, "%d archives are being unpacked: try again", UNPACK_JOBS_MAX);
	struct unpack_job *job = calloc(1, sizeof *job);
	if (job == NULL)
		return error_set(error, ENOMEM, "no memory for an archive");
	job->supervisor = supervisor;
	job->done = done;
	job->data = data;
	int result = unpack_start(supervisor->store, archive_fd, &options, &job->unpack, error);
	if (result < 0) {
		free(job);
		return result;
	}
	supervisor->unpacks++;
	result = sd_event_add_io(supervisor->event, &job->source, job->unpack.result_fd, EPOLLIN,
		result_is_there, job);
	if (result >= 0)
		result = sd_event_add_time_relative(supervisor->event, &job->deadline,
			CLOCK_MONOTONIC, UNPACK_DEADLINE_MS * 1000ull, 0, deadline_passed, job);
	if (result < 0) {
		unpack_job_cancel(job);
		return error_errno(error, result, "cannot wait for an archive");
	}
	*ret_job = job;
	return 0;
}

struct unpack_job *unpack_job_cancel(struct unpack_job *job)
{
	if (job == NULL)
		return NULL;
	job->source = sd_event_source_disable_unref(job->source);
	unpack_cancel(&job->unpack);
	job_free(job);
	return NULL;
}
