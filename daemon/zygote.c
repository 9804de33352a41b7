#include "daemon/zygote.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/message.h"
#include "common/protocol.h"
#include "daemon/helper_process.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>

#define UNDER_WAY_MAX 16 /* sent to one zygote and not yet answered */

const struct zygote_options zygote_defaults = {
	.spawns_max = 1000,
	.age_max_ms = 60 * 60 * 1000,
	.ready_ms = 30 * 1000,
	.spawn_ms = 10 * 1000,
};

static const struct message_rule rules[] = {
	{MESSAGE_ZYGOTE_READY, HELPER_STARTING, sizeof(struct message_header),
		sizeof(struct message_header), 0, 0},
	{MESSAGE_SPAWNED, HELPER_SERVING, sizeof(struct message_spawned),
		sizeof(struct message_spawned), 1, 1},
	{MESSAGE_SPAWN_FAILED, HELPER_STARTING | HELPER_SERVING, sizeof(struct message_report),
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
	struct helper_process helper;
	struct zygote *zygote;
	uint64_t young_ms;              /* since when it counts as new, */
	uint32_t spawns;                /* and its workers since then */
	struct request_queue under_way; /* in the order in which they were sent */
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
	struct helper_restart restart;
	char last_error[512];
};

static void send_requests(struct zygote *zygote);
static void process_died(void *data, const char *why);

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
	helper_process_end(&process->helper, NULL);
	free(process);
	return NULL;
}

static void handle_message(void *data, const char *message, size_t length, int *fds);

static const struct helper_kind kind = {
	.name = "zygote",
	.label = "the zygote",
	.rules = rules,
	.rule_count = ARRAY_LENGTH(rules),
	.message = handle_message,
	.died = process_died,
	.forks = true,
};

#define ARGUMENTS_MAX 9

static void make_arguments(const struct zygote_options *options, const char **arguments)
{
	size_t length = 0;
	arguments[length++] = options->snapshot ? "tenant-zygote" : "tenant-launcher";
	if (options->snapshot) {
		arguments[length++] = options->snapshot;
		if (options->jitless)
			arguments[length++] = "--jitless";
		if (options->once)
			arguments[length++] = "--once";
		if (tier_is_bare(options->tier)) {
			arguments[length++] = "--tier";
			arguments[length++] = tier_name(options->tier);
		}
		if (options->ca_file) {
			arguments[length++] = "--ca-file";
			arguments[length++] = options->ca_file;
		}
	}
	arguments[length] = NULL;
}

static int process_start(
	struct zygote *zygote, struct zygote_process **ret_process, struct error *error)
{
	const char *arguments[ARGUMENTS_MAX];
	make_arguments(&zygote->options, arguments);
	const struct helper_start what = {
		.program = zygote->options.program,
		.arguments = arguments,
		.ready_ms = zygote->options.ready_ms,
	};
	struct zygote_process *process = calloc(1, sizeof *process);
	if (process == NULL)
		return error_set(error, ENOMEM, "no memory for the zygote");
	queue_init(&process->under_way);
	process->zygote = zygote;
	helper_process_init(&process->helper, &kind, zygote->event, process);
	int result = helper_process_start(&process->helper, &what, error);
	if (result < 0) {
		process_free(process);
		return result;
	}
	process->young_ms = process->helper.started_ms;
	*ret_process = process;
	return 0;
}

static bool is_warm(const struct zygote_process *process)
{
	return process && process->helper.state == HELPER_SERVING;
}

/* ---- its death ---- */

static int start_again(void *data, struct error *error)
{
	struct zygote *zygote = data;
	return process_start(zygote, &zygote->current, error);
}

static void log_death(
	const struct zygote_process *process, const struct helper_end *end, const char *why)
{
	struct zygote *zygote = process->zygote;
	/* What it said itself, in SPAWN_FAILED before it was ready, is worth more. */
	if (zygote->last_error[0] == '\0')
		snprintf(zygote->last_error, sizeof zygote->last_error,
			"the zygote ended (%s %d): %s", end->killed ? "signal" : "exit code",
			end->status, why);
	helper_process_log_end(&process->helper, end, why);
}

static void process_died(void *data, const char *why)
{
	struct zygote_process *process = data;
	struct zygote *zygote = process->zygote;
	struct request_queue lost = process->under_way;
	struct helper_end end;
	bool retired = process == zygote->retired;

	helper_process_end(&process->helper, &end);
	if (!retired || lost.count > 0)
		log_death(process, &end, why);
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
	if (zygote->current == NULL && !helper_restart_is_pending(&zygote->restart))
		helper_restart_schedule(&zygote->restart, end.served_ms);
	answer_all(&lost, -EAGAIN, "the zygote ended");
}

/* ---- what it says ---- */

static void retire_current(struct zygote *zygote)
{
	struct zygote_process *old = zygote->current;
	zygote->current = zygote->next;
	zygote->next = NULL;
	if (old == NULL)
		return;
	if (old->under_way.count == 0 || zygote->retired) {
		struct request_queue lost = old->under_way;
		process_free(old);
		answer_all(&lost, -EAGAIN, "the zygote was replaced");
		return;
	}
	zygote->retired = old;
}

static void became_ready(struct zygote_process *process)
{
	struct zygote *zygote = process->zygote;
	zygote->last_error[0] = '\0';
	helper_process_ready(&process->helper, zygote->options.jitless ? " jitless=true" : "");
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
	if (zygote->next || !is_warm(process))
		return;
	if (process->spawns < zygote->options.spawns_max &&
		clock_ms() - process->young_ms < zygote->options.age_max_ms)
		return;
	log_info("event=zygote-replaced pid=%d spawns=%u", process->helper.pid, process->spawns);
	if (process_start(zygote, &zygote->next, &error) < 0) {
		log_warn("event=zygote-failed message=\"%s\"", escape_for_log(error.message));
		process->spawns = 0; /* again after as many */
		process->young_ms = clock_ms();
	}
}

/* Of the oldest request under way. */
static void set_deadline(struct zygote_process *process)
{
	helper_process_set_deadline(&process->helper,
		process->under_way.count > 0 ? process->zygote->options.spawn_ms : 0);
}

/* The answer to the oldest request: the zygote works on one after the other. */
static void answered(
	struct zygote_process *process, int result, pid_t pid, int pidfd, const char *message)
{
	struct zygote *zygote = process->zygote;
	struct request *request = queue_take(&process->under_way);
	process->spawns++;
	set_deadline(process);
	if (process == zygote->retired && process->under_way.count == 0) {
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

static void handle_message(void *data, const char *message, size_t length, int *fds)
{
	struct zygote_process *process = data;
	const struct message_header *header = (const void *)message;
	(void)length;
	if (header->type == MESSAGE_ZYGOTE_READY) {
		became_ready(process);
		return;
	}
	const bool spawned = header->type == MESSAGE_SPAWNED;
	if (!spawned && !is_warm(process)) {
		const char *text = message + sizeof(struct message_report);
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
		answered(process, 0, ((const struct message_spawned *)header)->pid, fds[0], "");
	else
		answered(process, -ECHILD, 0, -1, message + sizeof(struct message_report));
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
	return message_send(process->helper.channel, &message, sizeof message, fds, count);
}

static void send_requests(struct zygote *zygote)
{
	struct zygote_process *process = zygote->current;
	while (is_warm(process) && zygote->waiting.first &&
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
			set_deadline(process);
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
	helper_restart_init(&zygote->restart, kind.name, event, start_again, zygote);
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
	for (size_t i = 0; i < ARRAY_LENGTH(processes); i++) {
		if (processes[i] == NULL)
			continue;
		queues[i + 1] = processes[i]->under_way;
		process_free(processes[i]);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(queues); i++)
		for (struct request *request = queues[i].first; request;) {
			struct request *next = request->next;
			request_free(request);
			request = next;
		}
	helper_restart_clear(&zygote->restart);
	sd_event_source_disable_unref(zygote->answer_unsent);
	free(zygote);
	return NULL;
}

bool zygote_is_ready(const struct zygote *zygote)
{
	return is_warm(zygote->current);
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
		if (processes[i] && processes[i]->helper.pid == pid)
			return true;
	return false;
}

size_t zygote_pids(const struct zygote *zygote, pid_t ret_pids[ZYGOTE_PROCESSES_MAX])
{
	const struct zygote_process *processes[ZYGOTE_PROCESSES_MAX] = {
		zygote->current, zygote->next, zygote->retired};
	size_t count = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(processes); i++)
		if (processes[i] && processes[i]->helper.pid > 0)
			ret_pids[count++] = processes[i]->helper.pid;
	return count;
}
