#include "sandbox/fork_server.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/message.h"
#include "common/protocol.h"
#include "sandbox/sandbox.h"

#include <poll.h>
#include <stdlib.h>

#define IDLE_MS 20

enum { STATE_SERVING = 1 };

/* The new process's channel, then cgroups: see struct message_spawn. */
static const struct message_rule rules[] = {
	{MESSAGE_SPAWN, STATE_SERVING, sizeof(struct message_spawn), sizeof(struct message_spawn),
		1, 10},
};

static void reply_failed(uint32_t instance, const struct error *error)
{
	char report[sizeof(struct message_report) + sizeof error->message];
	size_t length = message_report_encode(report, sizeof report, MESSAGE_SPAWN_FAILED, instance,
		WORKER_REASON_SANDBOX, 0, error->message);
	(void)message_send(FORK_SERVER_FD, report, length, NULL, 0);
}

void fork_server_failed(const struct error *error)
{
	reply_failed(0, error);
}

static void spawn(const struct fork_server *server, const struct message_spawn *request,
	const int *fds, size_t fd_count)
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
		.tier = server->tier,
		.uid_base = request->uid_base,
		.uid_count = request->uid_count,
		.cgroup_v2 = v2 ? fds[1] : -1,
		.cgroup_procs = fds + 1 + v2,
		.cgroup_procs_count = request->cgroup_procs,
	};
	pid_t pid = sandbox_spawn(&how, &pidfd, &error);
	if (pid == 0) {
		close(FORK_SERVER_FD);
		server->child(fds[0], request->header.instance, server->data);
		abort();
	}
	if (pid < 0) {
		reply_failed(request->header.instance, &error);
		return;
	}
	struct message_spawned reply = {
		.header = {.type = MESSAGE_SPAWNED, .instance = request->header.instance},
		.pid = pid,
	};
	(void)message_send(FORK_SERVER_FD, &reply, sizeof reply, &pidfd, 1);
}

/* Work for the next start, when no start is under way: it would be in the way of it where
 * there is but one core. */
static void prepare_next(void)
{
	struct error error = {0};
	struct pollfd request = {.fd = FORK_SERVER_FD, .events = POLLIN};
	if (poll(&request, 1, IDLE_MS) == 0 && sandbox_namespaces_ahead(&error) < 0)
		log_warn("%s; starts take longer", error.message);
}

static int serve(const struct fork_server *server)
{
	for (;;) {
		struct error error = {0};
		if (server->namespaces_ahead)
			prepare_next();
		struct message_spawn request;
		int fds[MESSAGE_FDS_MAX];
		size_t fd_count = ARRAY_LENGTH(fds);
		ssize_t length = message_receive(
			FORK_SERVER_FD, &request, sizeof request, fds, &fd_count, 0);
		if (length == 0)
			return 0;
		if (length < 0)
			error_errno(&error, (int)length, "cannot receive");
		if (length < 0 || !message_check(rules, ARRAY_LENGTH(rules), STATE_SERVING,
					  &request, (size_t)length, fd_count, &error)) {
			log_error("the supervisor's message: %s", error.message);
			return 1;
		}
		spawn(server, &request, fds, fd_count);
		for (size_t i = 0; i < fd_count; i++)
			close(fds[i]);
	}
}

int fork_server_run(const struct fork_server *server)
{
	struct message_header ready = {.type = MESSAGE_ZYGOTE_READY};
	if (message_send(FORK_SERVER_FD, &ready, sizeof ready, NULL, 0) < 0)
		return 1;
	return serve(server);
}
