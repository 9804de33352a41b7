/* tenant-zygote SNAPSHOT [--jitless]: holds a warm isolate with the library and no
 * tenant's code, and forks workers when the supervisor, at descriptor 3, asks. It never
 * touches the network and never runs a tenant's code. */

#include "common/cleanup.h"
#include "common/log.h"
#include "common/message.h"
#include "isolate/fork_pages.h"
#include "isolate/rehearsal.h"
#include "isolate/runtime.h"
#include "isolate/worker.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SUPERVISOR_FD 3
#define IDLE_MS 20

enum { STATE_SERVING = 1 };

/* The worker's channel, then cgroups: see struct message_spawn. */
static const struct message_rule rules[] = {
	{MESSAGE_SPAWN, STATE_SERVING, sizeof(struct message_spawn), sizeof(struct message_spawn),
		1, 10},
};

static struct sandbox_filter *filter;

static void reply_failed(uint32_t instance, const struct error *error)
{
	char report[sizeof(struct message_report) + sizeof error->message];
	size_t length = message_report_encode(report, sizeof report, MESSAGE_SPAWN_FAILED, instance,
		WORKER_REASON_SANDBOX, 0, error->message);
	(void)message_send(SUPERVISOR_FD, report, length, NULL, 0);
}

static void spawn(const struct message_spawn *request, const int *fds, size_t fd_count)
{
	struct error error = {0};
	cleanup_close int pidfd = -1;
	const size_t v2 = request->cgroup_v2 ? 1 : 0;
	if (request->cgroup_v2 > 1 || fd_count != 1 + v2 + request->cgroup_procs) {
		error_set(&error, EBADMSG, "SPAWN with descriptors that do not match");
		reply_failed(request->header.instance, &error);
		return;
	}
	struct sandbox_spawn how = {
		.uid_base = request->uid_base,
		.uid_count = request->uid_count,
		.cgroup_v2 = v2 ? fds[1] : -1,
		.cgroup_procs = fds + 1 + v2,
		.cgroup_procs_count = request->cgroup_procs,
	};
	pid_t pid = sandbox_spawn(&how, &pidfd, &error);
	if (pid == 0) {
		close(SUPERVISOR_FD);
		runtime.instance = request->header.instance;
		worker_main(fds[0], filter);
	}
	if (pid < 0) {
		reply_failed(request->header.instance, &error);
		return;
	}
	struct message_spawned reply = {
		.header = {.type = MESSAGE_SPAWNED, .instance = request->header.instance},
		.pid = pid,
	};
	(void)message_send(SUPERVISOR_FD, &reply, sizeof reply, &pidfd, 1);
}

/* Work for the next start, when no start is under way: it would be in the way of it where
 * there is but one core. */
static void prepare_next(void)
{
	struct error error = {0};
	struct pollfd request = {.fd = SUPERVISOR_FD, .events = POLLIN};
	if (poll(&request, 1, IDLE_MS) == 0 && sandbox_namespaces_ahead(&error) < 0)
		log_warn("%s; starts take longer", error.message);
}

/* Serves until the supervisor closes its end. */
static int serve(void)
{
	for (;;) {
		struct error error = {0};
		prepare_next();
		struct message_spawn request;
		int fds[MESSAGE_FDS_MAX];
		size_t fd_count = ARRAY_LENGTH(fds);
		ssize_t length =
			message_receive(SUPERVISOR_FD, &request, sizeof request, fds, &fd_count, 0);
		if (length == 0)
			return 0;
		if (length < 0)
			error_errno(&error, (int)length, "cannot receive");
		if (length < 0 || !message_check(rules, ARRAY_LENGTH(rules), STATE_SERVING,
					  &request, (size_t)length, fd_count, &error)) {
			log_error("the supervisor's message: %s", error.message);
			return 1;
		}
		spawn(&request, fds, fd_count);
		for (size_t i = 0; i < fd_count; i++)
			close(fds[i]);
	}
}

/* Everything that can be done before the first fork is done here. */
static int prepare(const char *snapshot, bool jitless, struct error *error)
{
	int result = runtime_open(snapshot, jitless, error);
	if (result < 0)
		return result;
	worker_bind();
	runtime_warm_up();
	engine_low_memory(runtime.engine);
	result = engine_check_fork_safe(error);
	if (result == 0)
		result = sandbox_filter_build(
			&(struct sandbox_filter_options){.jitless = jitless}, &filter, error);
	if (result < 0)
		return result;
	struct error slower = {0};
	fork_pages_fill_holes();
	if (fork_pages_share_code(&slower) < 0 || fork_pages_learn(rehearse_worker, &slower) < 0)
		log_warn("%s; starts take longer", slower.message);
	return sandbox_small_root(error);
}

int main(int argc, char **argv)
{
	struct error error = {0};
	struct message_header ready = {.type = MESSAGE_ZYGOTE_READY};

	log_init("tenant-zygote");
	if (argc < 2) {
		fprintf(stderr, "usage: tenant-zygote SNAPSHOT [--jitless]\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_IGN); /* A Ctrl-C is the supervisor's to handle. */
	bool jitless = argc > 2 && strcmp(argv[2], "--jitless") == 0;
	if (prepare(argv[1], jitless, &error) < 0) {
		log_error("%s", error.message);
		reply_failed(0, &error);
		return 1;
	}
	if (message_send(SUPERVISOR_FD, &ready, sizeof ready, NULL, 0) < 0)
		return 1;
	return serve();
}
