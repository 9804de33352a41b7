#include "test/unit/worker_harness.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/message.h"
#include "common/tier.h"
#include "daemon/zygote.h"
#include "sandbox/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#define PATIENCE_MS 8000
#define UID_BASE 1879048192

static sd_event *event;
static struct zygote *zygote;

static struct {
	bool done;
	int result, pidfd;
	pid_t pid;
} spawned;

/* ---- the zygote ---- */

int harness_zygote_start(const char *program, const char *snapshot)
{
	struct zygote_options options = zygote_defaults;
	struct error error = {0};
	options.program = program;
	options.snapshot = snapshot;
	if (sd_event_new(&event) < 0 ||
		zygote_new(event, &options, NULL, NULL, &zygote, &error) < 0) {
		fprintf(stderr, "%s\n", error.message);
		return -1;
	}
	return 0;
}

void harness_zygote_stop(void)
{
	zygote = zygote_free(zygote);
	event = sd_event_unref(event);
}

static void on_spawned(void *data, int result, pid_t pid, int pidfd, const char *message)
{
	(void)data;
	if (result < 0)
		fprintf(stderr, "%s\n", message);
	spawned.done = true;
	spawned.result = result;
	spawned.pid = pid;
	spawned.pidfd = pidfd;
}

static void spawn(struct worker *worker)
{
	static uint32_t instance;
	struct error error = {0};
	int pair[2];
	assert_int_equal(message_pair(pair), 0);
	struct zygote_request request = {
		.instance = ++instance,
		.uid_base = UID_BASE,
		.uid_count = 2,
		.channel = pair[1],
		.cgroup_v2 = -1,
		.spawned = on_spawned,
	};
	memset(&spawned, 0, sizeof spawned);
	assert_int_equal(zygote_spawn(zygote, &request, &error), 0);
	const uint64_t until = clock_ms() + 30000;
	while (!spawned.done && clock_ms() < until)
		sd_event_run(event, 100000);
	assert_true(spawned.done);
	assert_int_equal(spawned.result, 0);
	worker->channel = pair[0];
	worker->pid = spawned.pid;
	worker->pidfd = spawned.pidfd;
}

/* ---- START ---- */

static int write_program(struct worker *worker, const char *source)
{
	char path[128];
	snprintf(worker->folder, sizeof worker->folder, "/tmp/worker-test-XXXXXX");
	assert_non_null(mkdtemp(worker->folder));
	chmod(worker->folder, 0755);
	snprintf(path, sizeof path, "%s/main.js", worker->folder);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	fputs(source, file);
	fclose(file);
	chmod(path, 0644);
	int folder = open(worker->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(folder >= 0);
	return folder;
}

static int make_listener(struct worker *worker, bool is_unix)
{
	if (is_unix) {
		struct sockaddr_un address = {.sun_family = AF_UNIX};
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", worker->folder);
		assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
		assert_int_equal(listen(fd, 512), 0);
		return fd;
	}
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 512), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	worker->port = ntohs(address.sin_port);
	return fd;
}

static void send_start(
	struct worker *worker, const struct worker_options *options, int *fds, size_t fd_count)
{
	static struct worker_start start;
	static char data[MESSAGE_LENGTH_MAX];
	start = (struct worker_start){
		.tenant = "test",
		.entry = "main.js",
		.mode = options->mode,
		.uid = 1,
		.root = "/app",
		.folder = "",
		.tier = TIER_FULL,
		.audit = 1,
		.allow_wasm = true,
		.allow_jit = true,
		.ready_signal = options->ready_signal,
		.memory_bytes = 128u << 20,
		.files = options->files ? options->files : 256,
		.threads = 32,
		.request_ms = 30000,
		.body_bytes = 1u << 20,
		.concurrent = options->concurrent ? options->concurrent : 100,
		.idle_ms = 60000,
		.listener_count = worker->listener >= 0,
		.listeners = {options->unix_listener ? "unix:/socket" : "tcp:127.0.0.1:1"},
		.listener_names = {"main"},
	};
	ssize_t length = worker_start_encode(&start, 7, data, sizeof data);
	assert_true(length > 0);
	assert_int_equal(message_send(worker->channel, data, (size_t)length, fds, fd_count), 0);
}

struct worker worker_begin(const char *source, const struct worker_options *options)
{
	static const struct worker_options none;
	struct error error = {0};
	struct worker worker = {.listener = -1};
	options = options ? options : &none;
	cleanup_close int folder = write_program(&worker, source);
	cleanup_close int release = sandbox_release_mount(folder, &error);
	if (release < 0)
		fail_msg("%s", error.message);
	cleanup_close int stats = memfd_create("stats", MFD_CLOEXEC);
	cleanup_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	worker.log = memfd_create("log", MFD_CLOEXEC);
	fcntl(worker.log, F_SETFL, O_APPEND);
	assert_int_equal(ftruncate(stats, sizeof *worker.stats), 0);
	worker.stats =
		mmap(NULL, sizeof *worker.stats, PROT_READ | PROT_WRITE, MAP_SHARED, stats, 0);
	assert_true(worker.stats != MAP_FAILED);
	if (!options->no_listener)
		worker.listener = make_listener(&worker, options->unix_listener);
	spawn(&worker);
	int fds[] = {release, stats, null, worker.log, worker.log, null, null, worker.listener};
	send_start(&worker, options, fds, WORKER_FD_LISTENERS + (worker.listener >= 0));
	return worker;
}

struct worker worker_serve(const char *source)
{
	struct worker worker = worker_begin(source, NULL);
	worker_expect(&worker, MESSAGE_READY);
	return worker;
}

void worker_end(struct worker *worker)
{
	char path[128];
	pidfd_send_signal(worker->pidfd, SIGKILL, NULL, 0);
	waitid(P_PIDFD, (id_t)worker->pidfd, &(siginfo_t){0}, WEXITED);
	munmap(worker->stats, sizeof *worker->stats);
	const int fds[] = {worker->pidfd, worker->channel, worker->log, worker->listener};
	for (size_t i = 0; i < ARRAY_LENGTH(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	static const char *const names[] = {"main.js", "socket"};
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		snprintf(path, sizeof path, "%s/%s", worker->folder, names[i]);
		unlink(path);
	}
	rmdir(worker->folder);
}

const char *worker_log(const struct worker *worker)
{
	static char text[65536];
	ssize_t length = pread(worker->log, text, sizeof text - 1, 0);
	text[length < 0 ? 0 : length] = '\0';
	return text;
}

void worker_wait_log(const struct worker *worker, const char *text)
{
	const uint64_t until = clock_ms() + PATIENCE_MS;
	while (!strstr(worker_log(worker), text)) {
		if (clock_ms() > until)
			fail_msg("\"%s\" is not in the log:\n%s", text, worker_log(worker));
		usleep(5000);
	}
}

/* ---- messages ---- */

const void *worker_message(struct worker *worker, enum message_type type, int ms)
{
	static _Alignas(8) char message[MESSAGE_LENGTH_MAX + 1];
	const uint64_t until = clock_ms() + (uint64_t)ms;
	for (uint64_t now = clock_ms(); now <= until; now = clock_ms()) {
		struct pollfd waiting = {.fd = worker->channel, .events = POLLIN};
		if (poll(&waiting, 1, (int)(until - now)) <= 0)
			break;
		ssize_t length = message_receive(
			worker->channel, message, MESSAGE_LENGTH_MAX, NULL, NULL, MSG_DONTWAIT);
		if (length <= 0)
			fail_msg("the channel is closed. Log:\n%s", worker_log(worker));
		message[length] = '\0';
		const struct message_header *header = (const void *)message;
		assert_int_equal(header->instance, 7);
		if (header->type == type)
			return message;
		/* A real supervisor hears of confinement, too. */
		if (header->type == MESSAGE_CONFINED || header->type == MESSAGE_AUDIT)
			continue;
		fail_msg("message %u instead of %u: %s\n%s", header->type, type,
			header->type == MESSAGE_FAILED || header->type == MESSAGE_EXITING
				? message_report_text(message, (size_t)length)
				: "",
			worker_log(worker));
	}
	return NULL;
}

const void *worker_expect(struct worker *worker, enum message_type type)
{
	const void *message = worker_message(worker, type, PATIENCE_MS);
	if (!message)
		fail_msg("message %u did not come. Log:\n%s", type, worker_log(worker));
	return message;
}

int worker_expect_end(
	struct worker *worker, enum message_type type, enum worker_reason reason, const char *text)
{
	siginfo_t info = {0};
	const struct message_report *report = worker_expect(worker, type);
	const char *said = (const char *)(report + 1);
	assert_int_equal(report->reason, reason);
	if (!strstr(said, text))
		fail_msg("\"%s\" is not in \"%s\"", text, said);
	const uint32_t code = report->exit_code;
	assert_int_equal(waitid(P_PIDFD, (id_t)worker->pidfd, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(info.si_code, CLD_EXITED);
	assert_int_equal(info.si_status, code);
	return info.si_status;
}

static void tell(struct worker *worker, const void *message, size_t length)
{
	assert_int_equal(message_send(worker->channel, message, length, NULL, 0), 0);
}

void worker_drain(struct worker *worker, uint32_t grace_ms)
{
	const struct message_drain drain = {
		.header = {.type = MESSAGE_DRAIN, .instance = 7}, .grace_ms = grace_ms};
	tell(worker, &drain, sizeof drain);
}

void worker_accept(struct worker *worker, bool on)
{
	const struct message_accept accept = {
		.header = {.type = MESSAGE_ACCEPT, .instance = 7}, .on = on};
	tell(worker, &accept, sizeof accept);
}

void worker_probe(struct worker *worker, uint32_t id, enum probe_kind kind, const char *path)
{
	char data[sizeof(struct message_probe) + PROBE_PATH_MAX + 1];
	const struct message_probe probe = {
		.header = {.type = MESSAGE_PROBE, .instance = 7}, .id = id, .kind = kind};
	memcpy(data, &probe, sizeof probe);
	strcpy(data + sizeof probe, path);
	tell(worker, data, sizeof probe + strlen(path) + 1);
}

void worker_schedule(struct worker *worker, uint32_t id, const char *cron, uint32_t late)
{
	char data[sizeof(struct message_scheduled) + SCHEDULE_CRON_MAX + 1];
	const struct message_scheduled due = {
		.header = {.type = MESSAGE_SCHEDULED, .instance = 7},
		.id = id,
		.late = late,
		.due_ms = 1795262400000,
	};
	memcpy(data, &due, sizeof due);
	strcpy(data + sizeof due, cron);
	tell(worker, data, sizeof due + strlen(cron) + 1);
}

int worker_handover(struct worker *worker)
{
	const struct message_header header = {.type = MESSAGE_HANDOVER, .instance = 7};
	int pair[2];
	assert_int_equal(message_pair(pair), 0);
	assert_int_equal(message_send(worker->channel, &header, sizeof header, &pair[1], 1), 0);
	close(pair[1]);
	return pair[0];
}

int handover_send(int channel, uint32_t flags, size_t length, const int *fds, size_t count)
{
	uint32_t packet[2] = {flags, 0};
	return message_send(channel, packet, length, fds, count);
}

void worker_expect_outcome(
	struct worker *worker, enum message_type type, uint32_t id, bool ok, const char *text)
{
	const struct message_outcome *outcome = worker_expect(worker, type);
	const char *said = (const char *)(outcome + 1);
	if (outcome->ok != ok)
		fail_msg("outcome %u of %u: %s", outcome->ok, outcome->id, said);
	assert_int_equal(outcome->id, id);
	if (text && !strstr(said, text))
		fail_msg("\"%s\" is not in \"%s\"", text, said);
	if (ok)
		assert_string_equal(said, "");
}

/* ---- a client ---- */

int client_connect(const struct worker *worker)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_un local;
	} address;
	socklen_t length = sizeof address;
	assert_int_equal(getsockname(worker->listener, &address.any, &length), 0);
	int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, &address.any, length) < 0)
		fail_msg("cannot connect: %s", strerror(errno));
	return fd;
}

void connect_pair(int domain, int ret[2])
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	if (domain == AF_UNIX) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret), 0);
		return;
	}
	cleanup_close int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener, 1), 0);
	getsockname(listener, (struct sockaddr *)&address, &length);
	ret[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(ret[0], (struct sockaddr *)&address, sizeof address), 0);
	ret[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(ret[1] >= 0);
}

void client_send(int fd, const char *text)
{
	const size_t length = strlen(text);
	assert_int_equal(send(fd, text, length, MSG_NOSIGNAL), (ssize_t)length);
}

/* Reads no more than the response: byte by byte through the head. */
const char *client_response(int fd, int ms)
{
	static char text[16384];
	size_t length = 0, wanted = SIZE_MAX;
	while (length < wanted && length < sizeof text - 1) {
		struct pollfd waiting = {.fd = fd, .events = POLLIN};
		if (poll(&waiting, 1, ms) <= 0)
			return NULL;
		ssize_t count =
			recv(fd, text + length, wanted == SIZE_MAX ? 1 : wanted - length, 0);
		if (count <= 0)
			break;
		length += (size_t)count;
		text[length] = '\0';
		if (wanted == SIZE_MAX && length >= 4 && !strcmp(text + length - 4, "\r\n\r\n")) {
			const char *field = strstr(text, "content-length: ");
			wanted = length + (field ? strtoul(field + 16, NULL, 10) : 0);
		}
	}
	text[length] = '\0';
	return text;
}

void client_expect(int fd, const char *part)
{
	const char *text = client_response(fd, PATIENCE_MS);
	if (!text || !strstr(text, part))
		fail_msg("\"%s\" is not in the response:\n%s", part, text ? text : "(none came)");
}

bool client_closed(int fd, int ms)
{
	const char *text = client_response(fd, ms);
	return text && *text == '\0';
}
