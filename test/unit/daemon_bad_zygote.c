/* A zygote for tests of the daemon: it speaks common/protocol.h as its first argument
 * (in the place of the snapshot) says, and its workers as the entry module of their
 * START says. Most of it is wrong on purpose. */
#include "common/cleanup.h"
#include "common/message.h"
#include "common/protocol.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define CHANNEL 3
#define ONCE "die-after-fork-once"

static uint32_t instance;
static const char *mode;

/* ---- workers ---- */

static void tell_as(int channel, enum message_type type, uint32_t about)
{
	struct message_header header = {.type = type, .instance = about};
	(void)message_send(channel, &header, sizeof header, NULL, 0);
}

static void report(int channel, enum message_type type, enum worker_reason reason, uint32_t code,
	const char *text)
{
	static char data[sizeof(struct message_report) + MESSAGE_TEXT_MAX + 1];
	size_t length =
		message_report_encode(data, sizeof data, type, instance, reason, code, text);
	(void)message_send(channel, data, length, NULL, 0);
}

_Noreturn static void sleep_forever(void)
{
	for (;;)
		pause();
}

_Noreturn static void wait_for_drain(int channel)
{
	struct message_drain drain;
	size_t none = 0;
	(void)message_receive(channel, &drain, sizeof drain, NULL, &none, 0);
	report(channel, MESSAGE_EXITING, WORKER_REASON_DRAINED, 0, "drained");
	_exit(0);
}

static void become_ready(int channel)
{
	tell_as(channel, MESSAGE_CONFINED, instance);
	tell_as(channel, MESSAGE_READY, instance);
}

_Noreturn static void print_and_exit(int channel, const int *fds)
{
	static const char out[] = "to stdout\n", err[] = "to stderr, without an end";
	become_ready(channel);
	(void)!write(fds[WORKER_FD_STDOUT], out, sizeof out - 1);
	(void)!write(fds[WORKER_FD_STDERR], err, sizeof err - 1);
	report(channel, MESSAGE_EXITING, WORKER_REASON_EXIT, 7, "");
	_exit(7);
}

_Noreturn static void flood(int channel)
{
	become_ready(channel);
	for (;;)
		tell_as(channel, MESSAGE_READY, instance);
}

_Noreturn static void send_with_fd(int channel)
{
	struct message_header header = {.type = MESSAGE_CONFINED, .instance = instance};
	int fd = 0;
	(void)message_send(channel, &header, sizeof header, &fd, 1);
	sleep_forever();
}

_Noreturn static void report_at_length(int channel)
{
	static char text[MESSAGE_TEXT_MAX];
	memset(text, '\x1b', sizeof text - 1);
	tell_as(channel, MESSAGE_CONFINED, instance);
	report(channel, MESSAGE_FAILED, WORKER_REASON_BOOT, 1, text);
	_exit(1);
}

_Noreturn static void unterminated_report(int channel)
{
	char data[sizeof(struct message_report) + 3] = {0};
	size_t length = message_report_encode(
		data, sizeof data, MESSAGE_EXITING, instance, WORKER_REASON_EXIT, 9, "xx");
	data[length - 1] = 'x';
	become_ready(channel);
	(void)message_send(channel, data, length, NULL, 0);
	_exit(9);
}

_Noreturn static void work(int channel, const struct worker_start *start, const int *fds)
{
	const char *entry = start->entry;
	if (strcmp(entry, "late.js") == 0)
		usleep(200000);
	if (strcmp(entry, "good.js") == 0 || strcmp(entry, "late.js") == 0) {
		become_ready(channel);
		wait_for_drain(channel);
	}
	if (strcmp(entry, "print.js") == 0)
		print_and_exit(channel, fds);
	if (strcmp(entry, "flood.js") == 0)
		flood(channel);
	if (strcmp(entry, "fds.js") == 0)
		send_with_fd(channel);
	if (strcmp(entry, "long.js") == 0)
		report_at_length(channel);
	if (strcmp(entry, "unterminated.js") == 0)
		unterminated_report(channel);
	if (strcmp(entry, "deaf.js") == 0)
		become_ready(channel);
	if (strcmp(entry, "garbage.js") == 0)
		(void)message_send(channel, "abc", 3, NULL, 0);
	if (strcmp(entry, "early.js") == 0)
		tell_as(channel, MESSAGE_READY, instance);
	if (strcmp(entry, "other.js") == 0)
		tell_as(channel, MESSAGE_CONFINED, instance + 1);
	if (strcmp(entry, "spawned.js") == 0)
		tell_as(channel, MESSAGE_SPAWNED, instance);
	if (strcmp(entry, "closed.js") == 0) {
		become_ready(channel);
		close(channel);
	}
	if (strcmp(entry, "liar.js") == 0) { /* says that it goes, and stays */
		become_ready(channel);
		report(channel, MESSAGE_EXITING, WORKER_REASON_EXIT, 0, "bye");
	}
	if (strcmp(entry, "segv.js") == 0)
		raise(SIGSEGV); /* pid 1 of its namespace: ignored, unless it has a handler */
	if (strcmp(entry, "exit3.js") == 0)
		_exit(3);
	sleep_forever();
}

_Noreturn static void worker(int channel)
{
	static char data[MESSAGE_LENGTH_MAX];
	static struct worker_start start;
	struct error error = {0};
	int fds[MESSAGE_FDS_MAX];
	size_t fd_count = ARRAY_LENGTH(fds);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ssize_t length = message_receive(channel, data, sizeof data, fds, &fd_count, 0);
	if (length <= 0)
		_exit(0);
	if (worker_start_decode(data, (size_t)length, &start, &error) < 0 ||
		fd_count < WORKER_FD_LISTENERS) {
		report(channel, MESSAGE_EXITING, WORKER_REASON_SANDBOX, 70, error.message);
		_exit(70);
	}
	work(channel, &start, fds);
}

/* ---- the zygote ---- */

static bool is_mode(const char *name)
{
	return strcmp(mode, name) == 0;
}

/* A file that says that the first zygote of this test has died already. */
static const char *once_path(void)
{
	static char path[64];
	snprintf(path, sizeof path, "/tmp/bad-zygote-%d", getppid());
	return path;
}

static void spawn(const struct message_spawn *request, const int *fds)
{
	struct error error = {0};
	int pidfd = -1;
	const size_t v2 = request->cgroup_v2;
	struct sandbox_spawn how = {
		.uid_base = request->uid_base,
		.uid_count = request->uid_count,
		.cgroup_v2 = v2 ? fds[1] : -1,
		.cgroup_procs = fds + 1 + v2,
		.cgroup_procs_count = request->cgroup_procs,
	};
	instance = request->header.instance;
	pid_t pid = sandbox_spawn(&how, &pidfd, &error);
	if (pid == 0)
		worker(fds[0]);
	if (pid < 0) {
		report(CHANNEL, MESSAGE_SPAWN_FAILED, WORKER_REASON_SANDBOX, 0, error.message);
		return;
	}
	if (is_mode("die-after-fork"))
		_exit(9);
	if (is_mode(ONCE) && access(once_path(), F_OK) < 0) {
		close(open(once_path(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
		_exit(9);
	}
	struct message_spawned spawned = {
		.header = {.type = MESSAGE_SPAWNED, .instance = instance + is_mode("wrong-answer")},
		.pid = pid,
	};
	(void)message_send(CHANNEL, &spawned, sizeof spawned, &pidfd, !is_mode("no-pidfd"));
	close(pidfd);
}

/* Returns false when the request is not to be served as it should. */
static bool misbehave(const struct message_spawn *request)
{
	instance = request->header.instance;
	if (is_mode("hang"))
		return true;
	if (is_mode("die"))
		_exit(9);
	if (is_mode("fail")) {
		report(CHANNEL, MESSAGE_SPAWN_FAILED, WORKER_REASON_SANDBOX, 0, "no room");
		return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	mode = argc > 1 ? argv[1] : "good";
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (is_mode("exit"))
		return 3;
	if (is_mode("garbage"))
		(void)message_send(CHANNEL, "abc", 3, NULL, 0);
	if (is_mode("early-spawned"))
		tell_as(CHANNEL, MESSAGE_SPAWNED, 1);
	if (is_mode("complain")) {
		report(CHANNEL, MESSAGE_SPAWN_FAILED, WORKER_REASON_SANDBOX, 0, "a bad snapshot");
		return 1;
	}
	if (!is_mode("never-ready"))
		tell_as(CHANNEL, MESSAGE_ZYGOTE_READY, 0);
	for (;;) {
		struct message_spawn request;
		int fds[MESSAGE_FDS_MAX];
		size_t fd_count = ARRAY_LENGTH(fds);
		ssize_t length =
			message_receive(CHANNEL, &request, sizeof request, fds, &fd_count, 0);
		if (length <= 0)
			return 0;
		if (!misbehave(&request))
			spawn(&request, fds);
		for (size_t i = 0; i < fd_count; i++)
			close(fds[i]);
	}
}
