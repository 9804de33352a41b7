#include "daemon/zygote.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/message.h"
#include "common/protocol.h"
#include "daemon/backoff.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define UNDER_WAY_MAX 16 /* sent to one zygote and not yet answered */
#define CHANNEL_FD 3     /* where tenant-zygote expects its channel */

const struct zygote_options zygote_defaults = {
	.spawns_max = 1000,
	.age_max_ms = 60 * 60 * 1000,
	.ready_ms = 30 * 1000,
	.spawn_ms = 10 * 1000,
};

/* Tenants wait for it: it comes again soon, and without end. */
static const struct backoff_limits restart_limits = {
	.base_ms = 20,
	.cap_ms = 2000,
	.floor_ms = 10,
	.healthy_ms = 10 * 1000,
	.give_up_count = BACKOFF_FAILURES_MAX,
	.give_up_window_ms = 0,
};

enum { STATE_BOOTING = 1, STATE_WARM = 2 };

static const struct message_rule rules[] = {
	{MESSAGE_ZYGOTE_READY, STATE_BOOTING, sizeof(struct message_header),
		sizeof(struct message_header), 0, 0},
	{MESSAGE_SPAWNED, STATE_WARM, sizeof(struct message_spawned),
		sizeof(struct message_spawned), 1, 1},
	{MESSAGE_SPAWN_FAILED, STATE_BOOTING | STATE_WARM, sizeof(struct message_report),
		sizeof(struct message_report) + MESSAGE_TEXT_MAX + 1, 0, 0},
};

struct request {
	struct zygote_request what; /* .spawned is NULL when it was taken back */
	int failed;                 /* why it could not be sent */
	struct request *next;
};

struct request_queue {
	struct request *first;
	struct request **last;
	size_t count;
};

/* One process. */
struct zygote_process {
	struct zygote *zygote;
	pid_t pid;
	int pidfd;
	int channel;
	uint32_t state;
	uint64_t started_ms;
	uint32_t spawns;
	struct request_queue under_way; /* in the order in which they were sent */
	sd_event_source *channel_source, *exit_source, *deadline;
};

struct zygote {
	sd_event *event;
	struct zygote_options options;
	zygote_ready_fn *on_ready;
	void *data;
	struct zygote_process *current; /* takes requests, when it is warm */
	struct zygote_process *next;    /* a replacement that gets warm */
	struct zygote_process *retired; /* answers what it was asked, then goes */
	struct request_queue waiting;
	struct request_queue unsent; /* could not be sent: answered by the loop */
	sd_event_source *answer_unsent;
	struct backoff backoff;
	sd_event_source *restart;
	char last_error[512];
};

static void send_requests(struct zygote *zygote);
static void process_died(struct zygote_process *process, const char *why);

/* ---- queues ---- */

static void queue_init(struct request_queue *queue)
{
	*queue = (struct request_queue){.last = &queue->first};
}

static void queue_put(struct request_queue *queue, struct request *request)
{
	request->next = NULL;
	*queue->last = request;
	queue->last = &request->next;
	queue->count++;
}

static struct request *queue_take(struct request_queue *queue)
{
	struct request *request = queue->first;
	queue->first = request->next;
	if (queue->first == NULL)
		queue->last = &queue->first;
	queue->count--;
	return request;
}

static void request_free(struct request *request)
{
	close_fd(&request->what.channel);
	free(request);
}

/* Ends a request: the callback comes last, because it may make a new one. */
static void answer(struct request *request, int result, pid_t pid, int pidfd, const char *message)
{
	zygote_spawned_fn *spawned = request->what.spawned;
	void *data = request->what.data;
	request_free(request);
	if (spawned) {
		spawned(data, result, pid, pidfd, message);
		return;
	}
	if (result == 0) { /* taken back */
		pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
		close(pidfd); /* the sweep of unknown children reaps it */
	}
}

static void answer_all(struct request_queue *queue, int result, const char *message)
{
	struct request_queue old = *queue;
	queue_init(queue);
	for (struct request *request = old.first; request;) {
		struct request *next = request->next;
		answer(request, result, 0, -1, message);
		request = next;
	}
}

/* ---- the process ---- */

static struct zygote_process *process_free(struct zygote_process *process)
{
	if (process == NULL)
		return NULL;
	sd_event_source_disable_unref(process->channel_source);
	sd_event_source_disable_unref(process->exit_source);
	sd_event_source_disable_unref(process->deadline);
	close_fd(&process->channel);
	close_fd(&process->pidfd);
	free(process);
	return NULL;
}

/* In the child. Its environment is empty but for what concerns the place it runs at:
 * nothing of the daemon's is a tenant's business. */
_Noreturn static void exec_zygote(const struct zygote_options *options, int channel)
{
	static const char *const passed[] = {"TZ", "LANG", "JOURNAL_STREAM", "ASAN_OPTIONS",
		"LSAN_OPTIONS", "UBSAN_OPTIONS", "LD_LIBRARY_PATH"};
	char *environment[ARRAY_LENGTH(passed) + 1];
	char entries[ARRAY_LENGTH(passed)][512];
	size_t count = 0;
	sigset_t none;

	for (size_t i = 0; i < ARRAY_LENGTH(passed); i++) {
		const char *value = getenv(passed[i]);
		if (value == NULL)
			continue;
		snprintf(entries[count], sizeof entries[count], "%s=%s", passed[i], value);
		environment[count] = entries[count];
		count++;
	}
	environment[count] = NULL;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid(); /* no terminal, no signals from its keyboard */
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		_exit(127);
	int high = fcntl(channel, F_DUPFD_CLOEXEC, CHANNEL_FD + 1);
	if (high < 0 || dup2(high, CHANNEL_FD) < 0 || close_range(CHANNEL_FD + 1, ~0u, 0) < 0)
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	const char *arguments[8] = {"tenant-launcher"};
	if (options->snapshot) {
		size_t length = 0;
		arguments[length++] = "tenant-zygote";
		arguments[length++] = options->snapshot;
		if (options->jitless)
			arguments[length++] = "--jitless";
		if (options->tier == TIER_CONTAINER) {
			arguments[length++] = "--tier";
			arguments[length++] = tier_name(options->tier);
		}
		if (options->ca_file) {
			arguments[length++] = "--ca-file";
			arguments[length++] = options->ca_file;
		}
	}
	execve(options->program, (char **)arguments, environment);
	log_error("event=zygote-exec-failed path=%s message=\"%s\"", options->program,
		strerror(errno));
	_exit(127);
}

static void handle_message(struct zygote_process *process, const void *data, int *fds);

/* What a zygote says that the table does not allow is its end. */
static int channel_readable(sd_event_source *source, int fd, uint32_t events, void *data)
{
	static _Alignas(8) char message[sizeof(struct message_report) + MESSAGE_TEXT_MAX + 1];
	struct zygote_process *process = data;
	struct error error = {0};
	int fds[4];
	size_t fd_count = ARRAY_LENGTH(fds);
	(void)source;
	(void)events;

	ssize_t length = message_receive(fd, message, sizeof message, fds, &fd_count, MSG_DONTWAIT);
	if (length == -EAGAIN)
		return 0;
	if (length == 0) {
		process_died(process, "it closed its channel");
		return 0;
	}
	if (length < 0)
		error_errno(&error, (int)length, "cannot receive");
	else if (message_check(rules, ARRAY_LENGTH(rules), process->state, message, (size_t)length,
			 fd_count, &error)) {
		message[sizeof message - 1] = '\0';
		if ((size_t)length < sizeof message)
			message[length] = '\0';
		handle_message(process, message, fds);
		return 0;
	}
	for (size_t i = 0; length >= 0 && i < fd_count; i++)
		close(fds[i]);
	process_died(process, error.message);
	return 0;
}

static int process_exited(sd_event_source *source, int fd, uint32_t events, void *data)
{
	(void)source;
	(void)fd;
	(void)events;
	process_died(data, "it ended");
	return 0;
}

static int deadline_passed(sd_event_source *source, uint64_t usec, void *data)
{
	struct zygote_process *process = data;
	(void)source;
	(void)usec;
	process_died(process, process->state == STATE_BOOTING ? "it was not ready in time"
							      : "it did not answer in time");
	return 0;
}

/* One deadline at a time: of its start, then of the oldest request under way. */
static void set_deadline(struct zygote_process *process, uint32_t ms)
{
	uint64_t usec = (uint64_t)ms * 1000;
	if (ms == 0) {
		if (process->deadline)
			sd_event_source_set_enabled(process->deadline, SD_EVENT_OFF);
		return;
	}
	if (process->deadline == NULL) {
		sd_event_add_time_relative(process->zygote->event, &process->deadline,
			CLOCK_MONOTONIC, usec, 0, deadline_passed, process);
		return;
	}
	sd_event_source_set_time_relative(process->deadline, usec);
	sd_event_source_set_enabled(process->deadline, SD_EVENT_ONESHOT);
}

static int watch(struct zygote_process *process)
{
	sd_event *event = process->zygote->event;
	int result = sd_event_add_io(event, &process->channel_source, process->channel, EPOLLIN,
		channel_readable, process);
	if (result >= 0)
		result = sd_event_add_io(event, &process->exit_source, process->pidfd, EPOLLIN,
			process_exited, process);
	/* What it still said is read before its end is noticed. */
	if (result >= 0)
		result = sd_event_source_set_priority(process->exit_source, 10);
	set_deadline(process, process->zygote->options.ready_ms);
	return result;
}

static int process_start(
	struct zygote *zygote, struct zygote_process **ret_process, struct error *error)
{
	int pair[2];
	int result = message_pair(pair);
	if (result < 0)
		return error_errno(error, result, "cannot make a channel for the zygote");
	cleanup_close int mine = pair[0], its = pair[1];
	struct zygote_process *process = calloc(1, sizeof *process);
	if (process == NULL)
		return error_set(error, ENOMEM, "no memory for the zygote");
	queue_init(&process->under_way);
	process->zygote = zygote;
	process->state = STATE_BOOTING;
	process->started_ms = clock_ms();
	process->pidfd = -1;
	process->channel = -1;
	pid_t pid = fork();
	if (pid < 0) {
		result = error_errno(error, errno, "cannot fork the zygote");
		process_free(process);
		return result;
	}
	if (pid == 0)
		exec_zygote(&zygote->options, its);
	process->pid = pid;
	process->pidfd = pidfd_open(pid, 0);
	process->channel = take_fd(&mine);
	if (process->pidfd < 0 || fcntl(process->channel, F_SETFL, O_NONBLOCK) < 0 ||
		watch(process) < 0) {
		result = error_errno(error, errno, "cannot watch the zygote");
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		process_free(process);
		return result;
	}
	*ret_process = process;
	return 0;
}

/* Kills, if need be, and reaps. It has no state that a kill could spoil. */
static void end_process(struct zygote_process *process, siginfo_t *ret_info)
{
	pidfd_send_signal(process->pidfd, SIGKILL, NULL, 0);
	memset(ret_info, 0, sizeof *ret_info);
	waitid(P_PIDFD, (id_t)process->pidfd, ret_info, WEXITED);
}

/* ---- its death ---- */

static int restart_now(sd_event_source *source, uint64_t usec, void *data)
{
	struct zygote *zygote = data;
	struct error error = {0};
	(void)source;
	(void)usec;
	zygote->restart = sd_event_source_disable_unref(zygote->restart);
	if (process_start(zygote, &zygote->current, &error) < 0) {
		log_error("event=zygote-failed message=\"%s\"", escape_for_log(error.message));
		sd_event_add_time_relative(zygote->event, &zygote->restart, CLOCK_MONOTONIC,
			1000000, 0, restart_now, zygote);
	}
	return 0;
}

static void schedule_restart(struct zygote *zygote, uint64_t served_ms)
{
	uint64_t random = 0;
	if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
		random = clock_ns();
	backoff_failed(&zygote->backoff, &restart_limits, clock_ms(), served_ms);
	/* The first one at once: a tenant may be waiting. */
	uint32_t delay_ms = zygote->backoff.failures > 1
				    ? backoff_delay_ms(&zygote->backoff, &restart_limits, random)
				    : 0;
	sd_event_add_time_relative(zygote->event, &zygote->restart, CLOCK_MONOTONIC,
		(uint64_t)delay_ms * 1000, 0, restart_now, zygote);
}

static void log_death(const struct zygote_process *process, const siginfo_t *info, const char *why)
{
	struct zygote *zygote = process->zygote;
	bool killed = info->si_code == CLD_KILLED || info->si_code == CLD_DUMPED;
	/* What it said itself, in SPAWN_FAILED before it was ready, is worth more. */
	if (zygote->last_error[0] == '\0')
		snprintf(zygote->last_error, sizeof zygote->last_error,
			"the zygote ended (%s %d): %s", killed ? "signal" : "exit code",
			info->si_status, why);
	log_error("event=zygote-ended pid=%d %s=%d served_ms=%llu message=\"%s\"", process->pid,
		killed ? "signal" : "exit_code", info->si_status,
		(unsigned long long)(clock_ms() - process->started_ms), escape_for_log(why));
}

static void process_died(struct zygote_process *process, const char *why)
{
	struct zygote *zygote = process->zygote;
	struct request_queue lost = process->under_way;
	siginfo_t info;
	uint64_t served_ms = clock_ms() - process->started_ms;
	bool retired = process == zygote->retired;

	end_process(process, &info);
	if (!retired || lost.count > 0)
		log_death(process, &info, why);
	if (retired)
		zygote->retired = NULL;
	else if (process == zygote->next)
		zygote->next = NULL;
	else
		zygote->current = NULL;
	process_free(process);
	if (zygote->current == NULL && zygote->next) {
		zygote->current = zygote->next;
		zygote->next = NULL;
	}
	if (zygote->current == NULL && zygote->restart == NULL)
		schedule_restart(zygote, served_ms);
	answer_all(&lost, -EAGAIN, "the zygote ended");
}

/* ---- what it says ---- */

static void retire_current(struct zygote *zygote)
{
	siginfo_t info;
	struct zygote_process *old = zygote->current;
	zygote->current = zygote->next;
	zygote->next = NULL;
	if (old == NULL)
		return;
	if (old->under_way.count == 0 || zygote->retired) {
		struct request_queue lost = old->under_way;
		end_process(old, &info);
		process_free(old);
		answer_all(&lost, -EAGAIN, "the zygote was replaced");
		return;
	}
	zygote->retired = old;
}

static void became_ready(struct zygote_process *process)
{
	struct zygote *zygote = process->zygote;
	process->state = STATE_WARM;
	set_deadline(process, 0);
	zygote->last_error[0] = '\0';
	log_info("event=zygote-ready pid=%d ms=%llu%s", process->pid,
		(unsigned long long)(clock_ms() - process->started_ms),
		zygote->options.jitless ? " jitless=true" : "");
	if (process == zygote->next)
		retire_current(zygote);
	send_requests(zygote);
	if (zygote->on_ready)
		zygote->on_ready(zygote->data);
}

static void replace_if_old(struct zygote *zygote)
{
	struct zygote_process *process = zygote->current;
	struct error error = {0};
	if (process == NULL || zygote->next || process->state != STATE_WARM)
		return;
	if (process->spawns < zygote->options.spawns_max &&
		clock_ms() - process->started_ms < zygote->options.age_max_ms)
		return;
	log_info("event=zygote-replaced pid=%d spawns=%u", process->pid, process->spawns);
	if (process_start(zygote, &zygote->next, &error) < 0) {
		log_warn("event=zygote-failed message=\"%s\"", escape_for_log(error.message));
		process->spawns = 0; /* again after as many */
		process->started_ms = clock_ms();
	}
}

/* The answer to the oldest request: the zygote works on one after the other. */
static void answered(
	struct zygote_process *process, int result, pid_t pid, int pidfd, const char *message)
{
	struct zygote *zygote = process->zygote;
	struct request *request = queue_take(&process->under_way);
	process->spawns++;
	set_deadline(process, process->under_way.count > 0 ? zygote->options.spawn_ms : 0);
	if (process == zygote->retired && process->under_way.count == 0) {
		siginfo_t info;
		end_process(process, &info);
		process_free(process);
		zygote->retired = NULL;
	} else if (process == zygote->current) {
		send_requests(zygote);
	}
	answer(request, result, pid, pidfd, message);
	replace_if_old(zygote);
}

static bool is_expected(const struct zygote_process *process, uint32_t instance)
{
	return process->under_way.first && process->under_way.first->what.instance == instance;
}

static void handle_message(struct zygote_process *process, const void *data, int *fds)
{
	const struct message_header *header = data;
	if (header->type == MESSAGE_ZYGOTE_READY) {
		became_ready(process);
		return;
	}
	const bool spawned = header->type == MESSAGE_SPAWNED;
	if (!spawned && process->state == STATE_BOOTING) {
		const char *text = (const char *)data + sizeof(struct message_report);
		snprintf(process->zygote->last_error, sizeof process->zygote->last_error,
			"the zygote cannot start: %s", escape_for_log(text));
		return; /* It ends now. */
	}
	if (!is_expected(process, header->instance)) {
		if (spawned)
			close(fds[0]);
		process_died(process, "it answered what nobody had asked");
		return;
	}
	if (spawned)
		answered(process, 0, ((const struct message_spawned *)data)->pid, fds[0], "");
	else
		answered(process, -ECHILD, 0, -1,
			(const char *)data + sizeof(struct message_report));
}

/* ---- requests ---- */

static int send_spawn(struct zygote_process *process, const struct zygote_request *what)
{
	struct message_spawn message = {
		.header = {.type = MESSAGE_SPAWN, .instance = what->instance},
		.uid_base = what->uid_base,
		.uid_count = what->uid_count,
		.cgroup_v2 = what->cgroup_v2 >= 0,
		.cgroup_procs = (uint32_t)what->cgroup_procs_count,
	};
	int fds[MESSAGE_FDS_MAX];
	size_t count = 0;
	fds[count++] = what->channel;
	if (what->cgroup_v2 >= 0)
		fds[count++] = what->cgroup_v2;
	for (size_t i = 0; i < what->cgroup_procs_count && count < ARRAY_LENGTH(fds); i++)
		fds[count++] = what->cgroup_procs[i];
	return message_send(process->channel, &message, sizeof message, fds, count);
}

static void send_requests(struct zygote *zygote)
{
	struct zygote_process *process = zygote->current;
	while (process && process->state == STATE_WARM && zygote->waiting.first &&
		process->under_way.count < UNDER_WAY_MAX) {
		struct request *request = zygote->waiting.first;
		int result = send_spawn(process, &request->what);
		if (result == -EAGAIN && process->under_way.count > 0)
			return; /* with the next answer */
		queue_take(&zygote->waiting);
		if (result == -EPIPE || result == -ECONNRESET) {
			/* Its death is about to be noticed: part of what it takes along. */
			queue_put(&process->under_way, request);
			return;
		}
		if (result < 0) {
			request->failed = result;
			queue_put(&zygote->unsent, request);
			sd_event_source_set_enabled(zygote->answer_unsent, SD_EVENT_ONESHOT);
			continue;
		}
		close_fd(&request->what.channel);
		queue_put(&process->under_way, request);
		if (process->under_way.count == 1)
			set_deadline(process, zygote->options.spawn_ms);
	}
}

static int answer_unsent(sd_event_source *source, void *data)
{
	struct zygote *zygote = data;
	(void)source;
	while (zygote->unsent.first) {
		struct request *request = queue_take(&zygote->unsent);
		answer(request, request->failed, 0, -1, strerror(-request->failed));
	}
	return 0;
}

int zygote_spawn(struct zygote *zygote, const struct zygote_request *what, struct error *error)
{
	struct request *request =
		zygote->waiting.count < ZYGOTE_QUEUE_MAX ? malloc(sizeof *request) : NULL;
	if (request == NULL) {
		close(what->channel);
		return error_set(error, EAGAIN, "too many workers are to be started at once");
	}
	request->what = *what;
	request->failed = 0;
	queue_put(&zygote->waiting, request);
	/* Sent at once if it can be. The answer, even that it could not be sent, is left to
	 * the loop: the caller is in the middle of something. */
	if (zygote->waiting.count == 1)
		send_requests(zygote);
	return 0;
}

static bool forget_in(struct request_queue *queue, uint32_t instance)
{
	for (struct request *request = queue->first; request; request = request->next)
		if (request->what.instance == instance) {
			request->what.spawned = NULL;
			return true;
		}
	return false;
}

void zygote_forget(struct zygote *zygote, uint32_t instance)
{
	struct request_queue waiting = zygote->waiting;
	queue_init(&zygote->waiting);
	for (struct request *request = waiting.first; request;) {
		struct request *next = request->next;
		if (request->what.instance == instance)
			request_free(request);
		else
			queue_put(&zygote->waiting, request);
		request = next;
	}
	if (forget_in(&zygote->unsent, instance))
		return;
	struct zygote_process *processes[] = {zygote->current, zygote->next, zygote->retired};
	for (size_t i = 0; i < ARRAY_LENGTH(processes); i++)
		if (processes[i] && forget_in(&processes[i]->under_way, instance))
			return;
}

/* ---- the whole ---- */

int zygote_new(sd_event *event, const struct zygote_options *options, zygote_ready_fn *on_ready,
	void *data, struct zygote **ret_zygote, struct error *error)
{
	struct zygote *zygote = calloc(1, sizeof *zygote);
	if (zygote == NULL)
		return error_set(error, ENOMEM, "no memory for the zygote");
	zygote->event = event;
	zygote->options = *options;
	zygote->on_ready = on_ready;
	zygote->data = data;
	queue_init(&zygote->waiting);
	queue_init(&zygote->unsent);
	int result = sd_event_add_defer(event, &zygote->answer_unsent, answer_unsent, zygote);
	if (result < 0)
		error_errno(error, result, "cannot make an event source for the zygote");
	else
		sd_event_source_set_enabled(zygote->answer_unsent, SD_EVENT_OFF);
	if (result >= 0)
		result = process_start(zygote, &zygote->current, error);
	if (result < 0) {
		zygote_free(zygote);
		return result;
	}
	*ret_zygote = zygote;
	return 0;
}

struct zygote *zygote_free(struct zygote *zygote)
{
	if (zygote == NULL)
		return NULL;
	struct zygote_process *processes[] = {zygote->current, zygote->next, zygote->retired};
	struct request_queue queues[] = {zygote->waiting, {0}, {0}, {0}, zygote->unsent};
	siginfo_t info;
	for (size_t i = 0; i < ARRAY_LENGTH(processes); i++) {
		if (processes[i] == NULL)
			continue;
		queues[i + 1] = processes[i]->under_way;
		end_process(processes[i], &info);
		process_free(processes[i]);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(queues); i++)
		for (struct request *request = queues[i].first; request;) {
			struct request *next = request->next;
			request_free(request);
			request = next;
		}
	sd_event_source_disable_unref(zygote->restart);
	sd_event_source_disable_unref(zygote->answer_unsent);
	free(zygote);
	return NULL;
}

bool zygote_is_ready(const struct zygote *zygote)
{
	return zygote->current && zygote->current->state == STATE_WARM;
}

bool zygote_is_alive(const struct zygote *zygote)
{
	return zygote->current != NULL;
}

const char *zygote_last_error(const struct zygote *zygote)
{
	return zygote->last_error;
}

size_t zygote_pending(const struct zygote *zygote)
{
	const struct zygote_process *processes[] = {zygote->current, zygote->next, zygote->retired};
	size_t count = zygote->waiting.count;
	for (size_t i = 0; i < ARRAY_LENGTH(processes); i++)
		count += processes[i] ? processes[i]->under_way.count : 0;
	return count;
}

bool zygote_owns(const struct zygote *zygote, pid_t pid)
{
	const struct zygote_process *processes[] = {zygote->current, zygote->next, zygote->retired};
	for (size_t i = 0; i < ARRAY_LENGTH(processes); i++)
		if (processes[i] && processes[i]->pid == pid)
			return true;
	return false;
}
