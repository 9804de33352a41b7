/* The order in which a job is made. It is that of a worker (sandbox.c), with three
 * differences: the root holds programs and libraries, executing them is what it is for,
 * and process 1 stays behind as the program's parent. */
#include "sandbox/job.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/message.h"
#include "sandbox/job_steps.h"
#include "sandbox/sandbox.h"
#include "sandbox/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STATE_WAITING = 1 };

static const struct message_rule rules[] = {
	{MESSAGE_START, STATE_WAITING, sizeof(struct message_header), MESSAGE_LENGTH_MAX,
		WORKER_FD_LISTENERS, WORKER_FD_LISTENERS + WORKER_GRANTS_MAX},
};

/* What came with START. */
struct received {
	int fds[WORKER_FD_LISTENERS + WORKER_GRANTS_MAX];
	size_t count;
};

/* ---- START ---- */

static int receive_start(
	struct job *job, struct worker_start *start, struct received *received, struct error *error)
{
	static char message[MESSAGE_LENGTH_MAX];
	received->count = ARRAY_LENGTH(received->fds);
	ssize_t length = message_receive(
		job->channel, message, sizeof message, received->fds, &received->count, 0);
	if (length == 0)
		_exit(0); /* Taken back. */
	if (length < 0)
		return error_errno(error, (int)length, "cannot receive START");
	if (!message_check(rules, ARRAY_LENGTH(rules), STATE_WAITING, message, (size_t)length,
		    received->count, error))
		return -EBADMSG;
	int result = worker_start_decode(message, (size_t)length, start, error);
	if (result < 0)
		return result;
	struct message_header header;
	memcpy(&header, message, sizeof header);
	job->instance = header.instance;
	if (start->mode != WORKER_MODE_JOB || start->entry[0] != '/' ||
		start->argument_count == 0 ||
		received->count != WORKER_FD_LISTENERS + start->grant_count)
		return error_set(error, EBADMSG, "START is not that of a job");
	return 0;
}

/* Moves what came above the places, then puts each in its own, so that none is overwritten
 * before its turn. What has no place is closed by fds_close_others, mounts when mounted. */
static int place_fds(struct job *job, const struct worker_start *start, struct received *received,
	struct error *error)
{
	for (size_t i = 0; i < received->count; i++) {
		int high = fcntl(received->fds[i], F_DUPFD_CLOEXEC, 64);
		if (high < 0)
			return error_errno(error, errno, "cannot move a descriptor");
		close(received->fds[i]);
		received->fds[i] = high;
	}
	const int *fds = received->fds;
	for (int i = 0; i < 3; i++)
		if (dup2(fds[WORKER_FD_STDIN + i], i) < 0)
			return error_errno(error, errno, "cannot place a standard descriptor");
	if (job->channel != JOB_FD_CHANNEL && dup3(job->channel, JOB_FD_CHANNEL, O_CLOEXEC) < 0)
		return error_errno(error, errno, "cannot place the channel");
	if (fcntl(JOB_FD_CHANNEL, F_SETFD, FD_CLOEXEC) < 0 ||
		dup3(fds[WORKER_FD_EGRESS], JOB_FD_EGRESS, O_CLOEXEC) < 0)
		return error_errno(error, errno, "cannot place the channel to egress");
	job->channel = JOB_FD_CHANNEL;
	job->egress = start->egress ? JOB_FD_EGRESS : -1;
	return 0;
}

/* The release's mount; without one the descriptor is /dev/null's. */
static int release_of(const struct received *received)
{
	struct stat status;
	int fd = received->fds[WORKER_FD_RELEASE];
	return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode) ? fd : -1;
}

/* ---- the steps ---- */

static int prepare(struct job *job, struct error *error)
{
	int result;

	/* Everything below is about namespaces that are ours alone. In the host's own it would
	 * take the host apart. */
	if (getpid() != 1)
		return error_set(error, ENOTSUP,
			"a program needs namespaces of its own (the tier \"full\")");

	/* An orphan would run with nobody to limit or to stop it. */
	if ((result = supervisor_watch(job->channel, error)) < 0)
		return result;

	/* No memory of ours in a core file; nobody traces process 1. */
	if ((result = limits_no_core(error)) < 0)
		return result;
	if ((result = identity_not_dumpable(error)) < 0)
		return result;

	/* No terminal of the daemon's, no signals from it, no keys of it (CVE-2017-5226). */
	if ((result = supervisor_leave_session(error)) < 0)
		return result;

	/* A mount made here must not appear on the host. Before the first mount. */
	if ((result = root_private(error)) < 0)
		return result;

	return root_hostname(error);
}

/* With the capabilities of the namespace's root. */
static int build(struct job *job, const struct received *received,
	const struct job_programs *programs, struct error *error)
{
	int result;

	/* Loopback, and what listens on it: needs CAP_NET_ADMIN over the own namespace. */
	if ((result = job_network_up(error)) < 0)
		return result;
	if (job->egress >= 0) {
		cleanup_close int proxy = job_proxy_listen(&job->proxy_port, error);
		if (proxy < 0)
			return proxy;
		if (dup3(proxy, JOB_FD_PROXY, O_CLOEXEC) < 0)
			return error_errno(error, errno, "cannot place the proxy's socket");
		job->proxy = JOB_FD_PROXY;
		if ((result = job_proxy_send(job->egress, job->proxy, error)) < 0)
			return result;
	}

	/* Every path of the host that is not granted ceases to exist. */
	return job_root_enter(job->start, programs, release_of(received),
		received->fds + WORKER_FD_LISTENERS, error);
}

static int confine(struct job *job, const struct job_programs *programs, struct error *error)
{
	const int keep[] = {JOB_FD_CHANNEL, JOB_FD_EGRESS, JOB_FD_PROXY};
	const size_t kept = job->egress >= 0 ? 3 : 1;
	int result;

	/* A descriptor is a permission that no later step revokes (CVE-2024-21626): mounts,
	 * cgroups, all that START brought. */
	if ((result = fds_close_others(keep, kept, error)) < 0)
		return result;
	if ((result = limits_apply(job->start->files, error)) < 0)
		return result;

	/* From here on nothing is privileged any more, nor can become so: a setuid program of
	 * the host is a plain program here. The order is that of sandbox.c. */
	if ((result = identity_drop_bounding(error)) < 0)
		return result;
	if ((result = identity_lock_securebits(error)) < 0)
		return result;
	if ((result = identity_become(job->start->uid, error)) < 0)
		return result;
	if ((result = identity_drop_capabilities(error)) < 0)
		return result;

	/* Again: the change of ids undid both. */
	if ((result = identity_not_dumpable(error)) < 0)
		return result;
	if ((result = supervisor_watch(job->channel, error)) < 0)
		return result;
	if ((result = identity_no_new_privileges(error)) < 0)
		return result;
	if ((result = root_verify_folder(error)) < 0)
		return result;

	/* The same grants once more, by another part of the kernel. Process 1 is in the same
	 * domain as the program: it may signal it. */
	return job_landlock_restrict(job->start, programs, error);
}

static int become_job(struct job *job, struct worker_start *start, struct error *error)
{
	static struct job_programs programs;
	struct received received;
	int result = prepare(job, error);
	if (result == 0)
		result = receive_start(job, start, &received, error);
	if (result == 0)
		result = place_fds(job, start, &received, error);
	if (result == 0)
		result = job_programs_find(start, job_ask, job, &programs, error);
	if (result == 0)
		result = build(job, &received, &programs, error);
	if (result == 0)
		result = confine(job, &programs, error);
	job_programs_clear(&programs);
	if (result < 0)
		return result;
	job->environment = job_environment(start, job->proxy_port, error);
	return job->environment ? 0 : -error->code;
}

/* What ps and top show of it. */
static void name_process(const char *tenant)
{
	char name[16];
	snprintf(name, sizeof name, "j:%.13s", tenant);
	prctl(PR_SET_NAME, name);
}

_Noreturn void job_main(int channel, uint32_t instance, const struct job_filter *filter)
{
	static struct worker_start start;
	struct error error = {0};
	struct job job = {
		.instance = instance,
		.channel = channel,
		.egress = -1,
		.proxy = -1,
		.filter = filter,
		.start = &start,
	};
	if (become_job(&job, &start, &error) < 0) {
		log_error("job: %s", error.message);
		job_end(&job, true, WORKER_REASON_SANDBOX, JOB_EXIT_FAILED, error.message);
	}
	name_process(start.tenant);
	struct message_header confined = {.type = MESSAGE_CONFINED, .instance = job.instance};
	(void)message_send(job.channel, &confined, sizeof confined, NULL, 0);
	job_run(&job);
}
