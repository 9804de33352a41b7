#include "sandbox_harness.h"

#include "common/cleanup.h"
#include "sandbox/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUN_MS_MAX 10000
#define EXIT_STEP_FAILED 99

struct shared {
	struct report report;
	pid_t pid;
	int spawned; /* result of sandbox_spawn when it failed */
};

static struct shared *share(void)
{
	struct shared *shared = mmap(
		NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED ? NULL : shared;
}

static struct sandbox_enter entered_with;

const struct sandbox_enter *confined_enter(void)
{
	return &entered_with;
}

static int take_steps(const struct confine *confine, int channel,
	const struct sandbox_filter *filter, struct error *error)
{
	int result = 0;
	if (confine->prepare)
		result = sandbox_prepare(confine->tier, channel, error);
	if (result == 0 && confine->enter) {
		entered_with = (struct sandbox_enter){
			.channel = channel,
			.release = confine->release > 0 ? confine->release : -1,
			.root = confine->root,
			.tier = confine->tier,
			.uid = CONFINED_UID + (tier_is_bare(confine->tier) ? CONFINED_UID_BASE : 0),
			.memory_bytes = confine->memory_bytes,
			.threads = confine->threads,
			.files = confine->files ? confine->files : 64,
			.keep = confine->keep,
			.keep_count = confine->keep_count,
			.grants = confine->grants,
			.grant_count = confine->grant_count,
			.tmp_bytes = confine->tmp_bytes,
			.skip = confine->skip,
		};
		result = sandbox_enter(&entered_with, error);
	}
	if (result == 0 && confine->seal)
		result = sandbox_seal(filter, error);
	if (result == 0 && confine->violations)
		sandbox_report_violations(channel, 42);
	return result;
}

static _Noreturn void run_zygote(const struct confine *confine, confined_body *body, void *argument,
	int channel, struct shared *shared)
{
	struct sandbox_filter *filter = NULL;
	struct error *error = &shared->report.error;
	int pidfd = -1;
	const struct sandbox_filter_options options = {
		.tier = confine->tier,
		.jitless = confine->jitless,
		.files = confine->file_calls,
		.network = confine->network,
		.report = confine->violations,
	};
	if (confine->seal && sandbox_filter_build(&options, &filter, error) < 0)
		_exit(EXIT_STEP_FAILED);
	/* Without what root has: it is who its child will be. */
	const uint32_t own = CONFINED_UID_BASE + CONFINED_UID;
	if (confine->tier == TIER_SINGLE && identity_become(own, error) < 0)
		_exit(EXIT_STEP_FAILED);
	if (confine->small_root && sandbox_small_root(error) < 0)
		_exit(EXIT_STEP_FAILED);
	const struct sandbox_spawn spawn = {
		.tier = confine->tier,
		.uid_base = CONFINED_UID_BASE,
		.uid_count = CONFINED_UID_COUNT,
		.cgroup_v2 = confine->cgroup_v2 > 0 ? confine->cgroup_v2 : -1,
		.cgroup_procs = confine->cgroup_procs,
		.cgroup_procs_count = confine->cgroup_procs_count,
		.share = confine->share,
	};
	pid_t pid = sandbox_spawn(&spawn, &pidfd, error);
	if (pid == 0) {
		if (take_steps(confine, channel, filter, error) < 0)
			_exit(EXIT_STEP_FAILED);
		body(&shared->report, argument);
		shared->report.set = 1;
		_exit(0);
	}
	if (pid < 0)
		shared->spawned = pid;
	else
		shared->pid = pid;
	_exit(0);
}

/* Waits with a deadline, so that a test that hangs fails. */
static int wait_for(pid_t pid)
{
	int status = 0;
	cleanup_close int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};
	if (pidfd >= 0 && poll(&ended, 1, RUN_MS_MAX) == 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status;
}

int confined_run(
	const struct confine *confine, confined_body *body, void *argument, struct report *report)
{
	memset(report, 0, sizeof *report);
	struct shared *shared = share();
	int channel[2];
	if (!shared || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, channel) < 0)
		return -errno;
	/* High, so that the descriptors a test keeps are below it. */
	int far = dup2(channel[1], CONFINED_CHANNEL);
	close(channel[1]);
	int keep[16];
	struct confine full = *confine;
	for (size_t i = 0; i < confine->keep_count; i++)
		keep[i] = confine->keep[i];
	keep[full.keep_count++] = far;
	full.keep = keep;
	int input = open("/dev/null", O_RDONLY | O_CLOEXEC);

	pid_t zygote = fork();
	if (zygote == 0) {
		dup2(confine->standard_input > 0 ? confine->standard_input : input, 0);
		close(channel[0]);
		run_zygote(&full, body, argument, far, shared);
	}
	close(far);
	close(input);
	int status = wait_for(zygote);
	if (shared->pid > 0)
		status = wait_for(shared->pid);
	else if (shared->spawned < 0)
		status = shared->spawned;
	*report = shared->report;
	while (report->audit_count < ARRAY_LENGTH(report->audits) &&
		recv(channel[0], &report->audits[report->audit_count], sizeof report->audits[0],
			MSG_DONTWAIT) > 0)
		report->audit_count++;
	close(channel[0]);
	munmap(shared, sizeof *shared);
	return status;
}

int unconfined_run(confined_body *body, void *argument, struct report *report)
{
	memset(report, 0, sizeof *report);
	struct shared *shared = share();
	if (!shared)
		return -errno;
	pid_t pid = fork();
	if (pid == 0) {
		body(&shared->report, argument);
		shared->report.set = 1;
		_exit(0);
	}
	int status = wait_for(pid);
	*report = shared->report;
	munmap(shared, sizeof *shared);
	return status;
}

static void do_nothing(struct report *report, void *argument)
{
	(void)report;
	(void)argument;
}

const char *confined_unavailable(void)
{
	static char reason[sizeof(((struct report *)NULL)->error.message) + 32];
	if (geteuid() != 0)
		return "needs root";
	struct report report;
	const struct confine confine = {0};
	if (confined_run(&confine, do_nothing, NULL, &report) == 0)
		return NULL;
	const char *why = report.error.message;
	memcpy(reason, "cannot make a sandbox: ", 23);
	memcpy(reason + 23, why, strlen(why) + 1);
	return reason;
}
