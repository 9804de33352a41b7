#include "daemon/instance.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/message.h"
#include "daemon/audit.h"
#include "daemon/child.h"
#include "daemon/drop.h"
#include "daemon/egress.h"
#include "daemon/health.h"
#include "daemon/ingress.h"
#include "daemon/inspect.h"
#include "daemon/instance_private.h"
#include "daemon/job_program.h"
#include "daemon/schedule.h"
#include "daemon/stock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* For a worker that said that it ends, or closed its channel, to be gone. */
#define LINGER_MS 2000

/* More than a job's first process takes to end it by TERM, and then by KILL. */
#define JOB_TIME_MARGIN_MS 10000

/* Messages that one worker is listened to in an interval. */
#define TALK_INTERVAL_US 100000
#define TALK_MESSAGES 200

#define DESCRIPTORS_SPARE (40 + WORKER_GRANTS_MAX)

/* More than a channel's buffer holds. */
#define LAST_MESSAGES_MAX 1024

#define REPORT_MAX (sizeof(struct message_report) + MESSAGE_TEXT_MAX + 1)
#define OUTCOME_MAX (sizeof(struct message_outcome) + OUTCOME_TEXT_MAX + 1)

static const struct message_rule rules[] = {
	{MESSAGE_CONFINED, INSTANCE_BOOTING, sizeof(struct message_header),
		sizeof(struct message_header), 0, 0},
	{MESSAGE_READY, INSTANCE_CONFINED, sizeof(struct message_header),
		sizeof(struct message_header), 0, 0},
	{MESSAGE_FAILED, INSTANCE_BOOTING | INSTANCE_CONFINED, sizeof(struct message_report),
		REPORT_MAX, 0, 0},
	{MESSAGE_EXITING, INSTANCE_ALIVE, sizeof(struct message_report), REPORT_MAX, 0, 0},
	{MESSAGE_AUDIT, (INSTANCE_ALIVE & ~INSTANCE_STOCK) | INSTANCE_ENDING,
		sizeof(struct message_audit) + 1, AUDIT_MESSAGE_MAX, 0, 0},
	{MESSAGE_CHILD_START, INSTANCE_CONFINED | INSTANCE_READY, sizeof(struct message_header),
		MESSAGE_LENGTH_MAX, 0, 0},
	{MESSAGE_CHILD_SIGNAL, INSTANCE_CONFINED | INSTANCE_READY,
		sizeof(struct message_child_signal), sizeof(struct message_child_signal), 0, 0},
	{MESSAGE_DROP, INSTANCE_CONFINED | INSTANCE_READY, sizeof(struct message_header) + 2,
		MESSAGE_DROP_MAX, 0, 0},
	{MESSAGE_PROBED, INSTANCE_READY | INSTANCE_ENDING, sizeof(struct message_outcome) + 1,
		OUTCOME_MAX, 0, 0},
	{MESSAGE_SCHEDULED_DONE, INSTANCE_READY | INSTANCE_ENDING,
		sizeof(struct message_outcome) + 1, OUTCOME_MAX, 0, 0},
	{MESSAGE_PROGRAM, INSTANCE_BOOTING, sizeof(struct message_header) + 2,
		sizeof(struct message_header) + PROGRAM_PATH_MAX, 0, 0},
};

static int respawn(struct instance *instance, struct error *error);

/* ---- deadlines ---- */

static int deadline_passed(sd_event_source *source, uint64_t usec, void *data)
{
	struct instance *instance = data;
	(void)source;
	(void)usec;
	if (instance->draining)
		instance_kill(instance, instance->kill_reason, "it did not drain in time");
	else if (instance->channel_source == NULL)
		instance_kill(instance, END_PROTOCOL, "it closed its channel, and went on");
	else if (instance->stage == INSTANCE_ENDING)
		instance_kill(instance, END_PROTOCOL, "it said that it ends, and went on");
	else if ((instance_may_be_script(instance->mode) && instance->stage == INSTANCE_CONFINED) ||
		 (instance->mode == WORKER_MODE_JOB && instance->stage == INSTANCE_READY))
		instance_kill(instance, END_TIME_LIMIT, "it ran longer than limits.time allows");
	else
		instance_kill(instance, END_START_TIMEOUT, "it was not ready in time");
	return 0;
}

static void set_deadline(struct instance *instance, uint32_t ms)
{
	if (ms == 0) {
		if (instance->deadline)
			sd_event_source_set_enabled(instance->deadline, SD_EVENT_OFF);
		return;
	}
	if (instance->deadline == NULL) {
		sd_event_add_time_relative(instance->factory->event, &instance->deadline,
			CLOCK_MONOTONIC, (uint64_t)ms * 1000, 1000, deadline_passed, instance);
		return;
	}
	sd_event_source_set_time_relative(instance->deadline, (uint64_t)ms * 1000);
	sd_event_source_set_enabled(instance->deadline, SD_EVENT_ONESHOT);
}

/* ---- the end ---- */

static void ended(struct instance *instance)
{
	sd_event_source_disable_unref(take_pointer(instance->channel_source));
	sd_event_source_disable_unref(take_pointer(instance->exit_source));
	sd_event_source_disable_unref(take_pointer(instance->deadline));
	instance->children = children_free(instance->children);
	health_stop(instance->health);
	instance->inspection = inspection_end(instance->inspection, "ended");
	schedules_forget_instance(instance->factory->schedules, instance);
	egress_forget(instance->factory->egress, instance->id);
	ingress_remove(instance->factory->ingress, instance->id);
	close_fd(&instance->channel);
	close_fd(&instance->pidfd);
	if (instance->log)
		tenant_log_finish(instance->log, instance->id);
	instance->stage = INSTANCE_ENDED;
	instance->events->ended(instance, instance->data); /* may free it */
}

static void read_messages(struct instance *instance);

static int process_exited(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct instance *instance = data;
	siginfo_t info = {0};
	(void)source;
	(void)events;
	int result = waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG);
	if (result < 0 ? errno != ECHILD : info.si_pid == 0)
		return 0;
	instance->dead = true;
	read_messages(instance); /* its last words */
	instance_explain_end(instance, &info);
	ended(instance);
	return 0;
}

static int finish_without_process(sd_event_source *source, void *data)
{
	struct instance *instance = data;
	siginfo_t info = {0};
	(void)source;
	instance_explain_end(instance, &info);
	ended(instance);
	return 0;
}

/* For an end without a process: it is told by the loop, never from a call. */
static void finish_later(struct instance *instance)
{
	if (instance->finish)
		return;
	sd_event_add_defer(
		instance->factory->event, &instance->finish, finish_without_process, instance);
}

void instance_kill(struct instance *instance, enum end_reason reason, const char *message)
{
	struct error error = {0};
	if (instance->stage == INSTANCE_ENDED)
		return;
	ingress_remove(instance->factory->ingress, instance->id);
	if (instance->kill_message[0] == '\0') {
		instance->kill_reason = reason;
		snprintf(instance->kill_message, sizeof instance->kill_message, "%s", message);
	}
	/* All of a child's processes die with the first one, which its pidfd is of. */
	if (!instance->cgroup_is_parents && cgroup_kill(instance->cgroup, &error) < 0)
		log_warn("event=kill-failed tenant=%s instance=%u message=\"%s\"", instance->tenant,
			instance->id, escape_for_log(error.message));
	/* And where there are no cgroups this is all there is of it. */
	if (instance->pidfd >= 0)
		pidfd_send_signal(instance->pidfd, SIGKILL, NULL, 0);
	if (instance->spawning && instance->factory->zygotes[instance->kind]) {
		zygote_forget(instance->factory->zygotes[instance->kind], instance->id);
		instance->spawning = false;
	}
	if (instance->pidfd < 0)
		finish_later(instance);
}

void instance_drain(struct instance *instance, uint32_t grace_ms, enum end_reason reason)
{
	struct message_drain drain = {
		.header = {.type = MESSAGE_DRAIN, .instance = instance->id},
		.grace_ms = grace_ms,
	};
	if (instance->draining && grace_ms > 0)
		return;
	if (instance->kill_reason == END_NONE)
		instance->kill_reason = reason;
	instance->draining = true;
	health_stop(instance->health);
	/* Before it is told: it closes its end of the channel. */
	ingress_remove(instance->factory->ingress, instance->id);
	if (grace_ms == 0 || instance->channel < 0 || instance->stage == INSTANCE_STOCK ||
		message_send(instance->channel, &drain, sizeof drain, NULL, 0) < 0) {
		instance_kill(instance, reason, "killed");
		return;
	}
	set_deadline(instance, grace_ms);
}

void instance_signal(struct instance *instance, int number)
{
	const struct message_child_signal message = {
		.header = {.type = MESSAGE_SIGNAL, .instance = instance->id},
		.number = number,
	};
	/* Before START it would not be understood; then there is no program to notify. */
	if (instance->channel >= 0 && instance->stage != INSTANCE_ENDED)
		(void)message_send(instance->channel, &message, sizeof message, NULL, 0);
}

/* ---- what it says ---- */

/* What it was asked for, and answers. */
static void handle_outcome(struct instance *instance, const void *message, size_t length)
{
	const struct message_header *header = message;
	const bool probe = header->type == MESSAGE_PROBED;
	/* It is not well: it is going, or gone. */
	if (probe && instance->health && (instance->dead || instance->stage != INSTANCE_READY))
		return;
	bool known =
		probe ? instance->health && health_answer(instance->health, message, length)
		      : schedules_done(instance->factory->schedules, instance, message, length);
	if (!known)
		instance_kill(instance, END_PROTOCOL, "an answer to nothing that it was asked");
}

/* What only a tenant's program asks for. */
static bool handle_wish(struct instance *instance, const void *message, size_t length)
{
	const struct message_header *header = message;
	switch ((enum message_type)header->type) {
	case MESSAGE_CHILD_START:
		return children_start(instance, message, length);
	case MESSAGE_CHILD_SIGNAL:
		return children_signal(instance, message);
	default:
		return instance_drop(instance, message, length);
	}
}

static void handle_message(struct instance *instance, const void *message, size_t length)
{
	const struct message_header *header = message;
	switch ((enum message_type)header->type) {
	case MESSAGE_CONFINED:
		instance->stage = INSTANCE_CONFINED;
		/* A script is started now; a job looks at its time itself. */
		if (instance_may_be_script(instance->mode) && !instance->draining)
			set_deadline(instance, instance->time_ms);
		log_debug("event=confined tenant=%s instance=%u ms=%.1f", instance->tenant,
			instance->id, (double)(clock_ns() - instance->started_ns) / 1e6);
		break;
	case MESSAGE_READY:
		if (instance->mode == WORKER_MODE_COMPILE) {
			instance_kill(
				instance, END_PROTOCOL, "it compiles, and says that it serves");
			break;
		}
		instance->stage = INSTANCE_READY;
		instance->ready_ns = clock_ns();
		if (instance->draining)
			break;
		/* A job's first process looks at the time; this is for the day it does not. */
		set_deadline(instance, instance->mode == WORKER_MODE_JOB && instance->time_ms
					       ? instance->time_ms + JOB_TIME_MARGIN_MS
					       : 0);
		/* Else it is told by daemon/health.c. */
		if (instance->health == NULL || health_begin(instance->health)) {
			instance_join_ingress(instance);
			instance->events->ready(instance, instance->data);
		}
		break;
	case MESSAGE_PROBED:
	case MESSAGE_SCHEDULED_DONE:
		handle_outcome(instance, message, length);
		break;
	case MESSAGE_CHILD_START:
	case MESSAGE_CHILD_SIGNAL:
	case MESSAGE_DROP:
		if (instance->dead)
			break; /* the dead have no wishes */
		if (instance->mode == WORKER_MODE_JOB || !handle_wish(instance, message, length))
			instance_kill(instance, END_PROTOCOL, "a message of no worker");
		break;
	case MESSAGE_PROGRAM:
		if (instance->dead)
			break;
		if (instance->mode != WORKER_MODE_JOB ||
			!job_program_asked(instance, message, length))
			instance_kill(instance, END_PROTOCOL, "a message of no job");
		break;
	case MESSAGE_AUDIT:
		if (!audit_message(instance, message, length))
			instance_kill(instance, END_PROTOCOL, "an audit message of no worker");
		break;
	default: /* FAILED, EXITING: its exit follows. */
		instance_keep_report(instance, message, length);
		instance->stage = INSTANCE_ENDING;
		/* Whoever says so and does not go is killed. */
		if (!instance->draining)
			set_deadline(instance, LINGER_MS);
		break;
	}
}

/* One message. Returns false when there is none, or there will be none. */
static bool read_message(struct instance *instance)
{
	static _Alignas(8) char message[MESSAGE_LENGTH_MAX];
	struct error error = {0};
	int fds[1];
	size_t fd_count = 0;
	struct message_header header;
	ssize_t length = message_receive(
		instance->channel, message, sizeof message, fds, &fd_count, MSG_DONTWAIT);
	if (length == -EAGAIN)
		return false;
	if (length == 0 || length == -ECONNRESET) {
		/* Its death comes by the pidfd. A worker that only closed its channel has
		 * put itself out of reach. */
		instance->channel_source = sd_event_source_disable_unref(instance->channel_source);
		if (!instance->draining)
			set_deadline(instance, LINGER_MS);
		return false;
	}
	if (length < 0)
		error_errno(&error, (int)length, "cannot receive");
	else if (message_check(rules, ARRAY_LENGTH(rules), instance->stage, message, (size_t)length,
			 fd_count, &error)) {
		memcpy(&header, message, sizeof header);
		if (header.instance == instance->id) {
			handle_message(instance, message, (size_t)length);
			/* The environment of a child may hold secrets. */
			explicit_bzero(message, (size_t)length);
			return true;
		}
		error_set(&error, EBADMSG, "a message about another instance");
	}
	log_warn("event=bad-message tenant=%s instance=%u message=\"%s\"", instance->tenant,
		instance->id, escape_for_log(error.message));
	instance->channel_source = sd_event_source_disable_unref(instance->channel_source);
	instance_kill(instance, END_PROTOCOL, error.message);
	return false;
}

static void read_messages(struct instance *instance)
{
	for (int i = 0; i < LAST_MESSAGES_MAX && instance->channel_source; i++)
		if (!read_message(instance))
			break;
}

static int channel_readable(sd_event_source *source, int fd, uint32_t events, void *data)
{
	(void)source;
	(void)fd;
	(void)events;
	read_message(data);
	return 0;
}

/* ---- the beginning ---- */

static void spawned(void *data, int result, pid_t pid, int pidfd, const char *message)
{
	struct instance *instance = data;
	struct error error = {0};
	instance->spawning = false;
	/* Once; and not when it has come so far that its owner knows of it. */
	const bool fresh = instance->stage & (INSTANCE_STOCK | INSTANCE_BOOTING);
	if (result == -EAGAIN && fresh && !instance->retried && !instance->kill_message[0]) {
		instance->retried = true;
		if (respawn(instance, &error) == 0)
			return;
		message = error.message;
	}
	if (result < 0) {
		instance_kill(instance, END_SANDBOX_FAILED, message);
		return;
	}
	instance->pid = pid;
	instance->pidfd = pidfd;
	instance->start = start_message_free(instance->start);
	if (instance->channel_source)
		sd_event_source_set_enabled(instance->channel_source, SD_EVENT_ON);
	if (instance_watch_process(instance, &error) < 0) {
		instance_kill(instance, END_SANDBOX_FAILED, "cannot watch the worker");
		instance->pidfd = -1; /* Unwatched: the sweep reaps it. */
		close(pidfd);
		finish_later(instance);
	}
}

static int request_worker(struct instance *instance, struct error *error)
{
	struct zygote *zygote = factory_zygote(instance->factory, instance->kind, error);
	const int *procs = NULL;
	if (zygote == NULL) {
		close_fd(&instance->peer);
		return -error->code;
	}
	struct zygote_request request = {
		.instance = instance->id,
		.uid_base = instance->uid_first,
		.uid_count = instance->uid_count,
		.channel = take_fd(&instance->peer),
		.cgroup_v2 = cgroup_v2_folder(instance->cgroup),
		.spawned = spawned,
		.data = instance,
	};
	request.cgroup_procs_count = cgroup_procs_files(instance->cgroup, &procs);
	request.cgroup_procs = procs;
	int result = zygote_spawn(zygote, &request, error);
	instance->spawning = result == 0;
	return result;
}

int instance_watch_channel(struct instance *instance, struct error *error)
{
	int result = sd_event_add_io(instance->factory->event, &instance->channel_source,
		instance->channel, EPOLLIN, channel_readable, instance);
	if (result < 0)
		return error_errno(error, result, "cannot watch a worker's channel");
	/* Not before others, and not for as long as it likes to talk: the rest waits in the
	 * channel, then the worker. Its last words are read at its death, whatever waits. */
	result = sd_event_source_set_ratelimit(
		instance->channel_source, TALK_INTERVAL_US, TALK_MESSAGES);
	return result < 0 ? error_errno(error, result, "cannot limit a worker's messages") : 0;
}

int instance_watch_process(struct instance *instance, struct error *error)
{
	int result = sd_event_add_io(instance->factory->event, &instance->exit_source,
		instance->pidfd, EPOLLIN, process_exited, instance);
	return result < 0 ? error_errno(error, result, "cannot watch the worker") : 0;
}

void instance_set_deadline(struct instance *instance, uint64_t at_us)
{
	const uint64_t now_us = clock_ns() / 1000;
	set_deadline(instance, at_us <= now_us ? 1 : (uint32_t)((at_us - now_us) / 1000 + 1));
}

static int open_channel(struct instance *instance, struct error *error)
{
	int pair[2];
	int result = message_pair(pair);
	if (result < 0)
		return error_errno(error, result, "cannot make a worker's channel");
	instance->channel = pair[0];
	instance->peer = pair[1];
	if (fcntl(instance->channel, F_SETFL, O_NONBLOCK) < 0)
		return error_errno(error, errno, "cannot make a channel non-blocking");
	result = instance_watch_channel(instance, error);
	/* What the worker says waits until the zygote has said which process it is: their
	 * messages take different ways. */
	if (result == 0)
		sd_event_source_set_enabled(instance->channel_source, SD_EVENT_OFF);
	return result;
}

/* A debugger that is there from the beginning. */
static int send_inspect(struct instance *instance)
{
	const struct message_header message = {.type = MESSAGE_INSPECT, .instance = instance->id};
	const struct start_message *start = instance->start;
	if (start->inspect_fd < 0)
		return 0;
	return message_send(instance->channel, &message, sizeof message, &start->inspect_fd, 1);
}

static int send_start(struct instance *instance, struct error *error)
{
	const struct start_message *start = instance->start;
	int result = message_send(
		instance->channel, start->data, start->length, start->fds, start->fd_count);
	if (result < 0)
		return error_errno(error, result, "cannot send START to the worker");
	result = send_inspect(instance);
	if (result < 0)
		return error_errno(error, result, "cannot send INSPECT to the worker");
	/* Right behind it: no connection before its probes say so. */
	instance->accept_off_now = false;
	instance_tell_accept(instance);
	return 0;
}

static int renew_cgroup(struct instance *instance, struct error *error)
{
	struct cgroup *fresh;
	if (instance->cgroup_is_parents)
		return 0;
	int result = factory_take_cgroup(instance->factory, &fresh, error);
	if (result < 0)
		return result;
	cgroup_kill(instance->cgroup, error);
	factory_bury(instance->factory, instance->cgroup);
	instance->cgroup = fresh;
	return 0;
}

static int set_limits(struct instance *instance, struct error *error)
{
	if (instance->cgroup_is_parents)
		return 0; /* the parent's are its */
	return cgroup_set_limits(instance->cgroup, &instance->limits, error);
}

/* The zygote died while it worked on this one, which may or may not have been forked:
 * whatever there is of it dies, and all begins anew, with a channel of its own. And with
 * a group of its own: in newer kernels (seen with 6.18) a process that is born into a
 * group (CLONE_INTO_CGROUP) on which cgroup.kill was ever used dies at once. */
static int respawn(struct instance *instance, struct error *error)
{
	log_info("event=respawn tenant=%s instance=%u", instance->tenant, instance->id);
	int result = renew_cgroup(instance, error);
	if (result < 0)
		return result;
	sd_event_source_disable_unref(take_pointer(instance->channel_source));
	close_fd(&instance->channel);
	if (instance->stage != INSTANCE_STOCK) {
		instance->stage = INSTANCE_BOOTING;
		result = set_limits(instance, error);
	}
	if (result == 0)
		result = open_channel(instance, error);
	if (result == 0)
		result = request_worker(instance, error);
	if (result == 0 && instance->start)
		result = send_start(instance, error);
	return result;
}

/* A start takes about twenty descriptors, and a mount for each grant. Without them messages
 * from the zygote lose theirs, which would look like its fault: so no start begins that may
 * run out. */
static int check_descriptors(const struct factory *factory, struct error *error)
{
	struct rlimit most;
	int lowest_free = fcntl(factory->null_fd, F_DUPFD_CLOEXEC, 3);
	if (lowest_free >= 0)
		close(lowest_free);
	if (getrlimit(RLIMIT_NOFILE, &most) == 0 &&
		(lowest_free < 0 || (rlim_t)lowest_free + DESCRIPTORS_SPARE > most.rlim_cur))
		return error_set(error, EMFILE,
			"tenantd has too few descriptors left (of %llu) to start another worker: "
			"raise its limit (LimitNOFILE=, ulimit -n)",
			(unsigned long long)most.rlim_cur);
	return 0;
}

/* Makes the worker that of SLOT, or of a spare one when that is negative. */
static int take_uid(struct instance *instance, int64_t slot, struct error *error)
{
	struct factory *factory = instance->factory;
	if (factory->own_uid) {
		instance->uid = factory->own_uid;
		return 0;
	}
	if (slot < 0)
		slot = instance->spare_slot = factory_take_spare(factory);
	if (slot < 0)
		return error_set(error, EUSERS, "no user id is free for another worker");
	instance->uid = factory_uid(factory, (uint32_t)slot) + FACTORY_UID_INSIDE;
	return 0;
}

/* Only its own ids are mapped into a worker whose tenant is known. A stock worker can
 * become any tenant's: the map is written once, when it is forked. What has no
 * capabilities cannot use the others, and nothing of theirs is within its reach. */
static void map_uids(struct instance *instance)
{
	const bool known = instance->uid > 0;
	instance->uid_first =
		known ? instance->uid - FACTORY_UID_INSIDE : instance->factory->uid_base;
	instance->uid_count = known ? FACTORY_IDS_PER_SLOT : factory_uid_count(instance->factory);
}

static enum factory_kind kind_of(const struct instance_spec *spec)
{
	if (spec && spec->mode == WORKER_MODE_JOB)
		return FACTORY_LAUNCHER;
	return spec && !spec->policy->allow_jit ? FACTORY_JITLESS : FACTORY_JIT;
}

/* A child shares its parent's limits and rights, and nothing else. */
static void join_parent(struct instance *instance, const struct instance *parent)
{
	instance->uid = parent->uid;
	instance->cgroup = parent->cgroup;
	instance->cgroup_is_parents = true;
}

/* An instance with its group and channel, whose worker has been asked for. SPEC is NULL
 * for the stock. */
static int new_instance(struct factory *factory, const struct instance_spec *spec,
	const struct instance_events *events, void *data, struct instance **ret_instance,
	struct error *error)
{
	int result = check_descriptors(factory, error);
	if (result < 0)
		return result;
	struct instance *instance = calloc(1, sizeof *instance);
	if (instance == NULL)
		return error_set(error, ENOMEM, "no memory for an instance");
	instance->factory = factory;
	instance->sibling = factory->instances;
	factory->instances = instance;
	instance->events = events;
	instance->data = data;
	instance->channel = instance->peer = instance->pidfd = instance->stats_fd = -1;
	instance->id = ++factory->last_instance ? factory->last_instance : ++factory->last_instance;
	instance->stage = INSTANCE_STOCK;
	instance->kind = kind_of(spec);
	instance->started_ns = clock_ns();
	instance->spare_slot = -1;
	if (spec && spec->job && spec->job->parent)
		join_parent(instance, spec->job->parent);
	else if (spec)
		result = take_uid(instance, spec->uid_slot, error);
	map_uids(instance);
	if (result == 0 && instance->cgroup == NULL)
		result = factory_take_cgroup(factory, &instance->cgroup, error);
	if (result == 0)
		result = open_channel(instance, error);
	if (result == 0)
		result = request_worker(instance, error);
	if (result < 0) {
		instance_free(instance);
		return result;
	}
	*ret_instance = instance;
	return 0;
}

int instance_prepare(struct factory *factory, const struct instance_events *events, void *data,
	struct instance **ret_instance, struct error *error)
{
	return new_instance(factory, NULL, events, data, ret_instance, error);
}

/* 0: none. A script may compute for as long as it likes, where nobody says otherwise. */
static uint32_t turn_cpu_ms(const struct instance_spec *spec)
{
	const struct policy_limits *limits = &spec->policy->limits;
	if (spec->mode == WORKER_MODE_JOB ||
		(instance_may_be_script(spec->mode) && !limits->request.cpu_named))
		return 0;
	return (uint32_t)limits->request.cpu_ms;
}

/* Everything between the fork's request and the end of START runs while the zygote
 * forks: the worker waits for START, so limits and mounts are there in time. */
static int start_with(
	struct instance *instance, const struct instance_spec *spec, struct error *error)
{
	snprintf(instance->tenant, sizeof instance->tenant, "%s", spec->tenant);
	snprintf(instance->release, sizeof instance->release, "%s", spec->release);
	instance->mode = spec->mode;
	instance->log = spec->log;
	instance->turn_cpu_ms = turn_cpu_ms(spec);
	instance->audit = spec->policy->audit;
	instance->time_ms = spec->job ? spec->job->time_ms : (uint32_t)spec->policy->limits.time_ms;
	instance->limits = (struct cgroup_limits){
		.memory_bytes = spec->policy->limits.memory_bytes,
		.cpu_percent = (uint32_t)spec->policy->limits.cpu_percent,
		.pids = (uint32_t)spec->policy->limits.pids,
	};
	int result = set_limits(instance, error);
	if (result == 0 && spec->manifest) {
		instance->retire = spec->manifest->retire;
		result = health_new(
			instance, spec->manifest, spec->must_be_ready, &instance->health, error);
	}
	if (result == 0)
		result = children_new(instance, spec, &instance->children, error);
	if (result == 0)
		result = start_message_make(instance, spec, &instance->start, error);
	if (result < 0)
		return result;
	instance->stage = INSTANCE_BOOTING;
	result = send_start(instance, error);
	/* A spawn that failed already: the zygote's answer says why, and comes soon. */
	if ((result == -EPIPE || result == -ECONNRESET) && instance->spawning)
		result = 0;
	if (result == 0 && !instance->spawning)
		instance->start = start_message_free(instance->start);
	set_deadline(instance, spec->startup_ms);
	return result;
}

/* One from the stock, that has START. NULL when there is none, or it was just dying. */
static struct instance *start_from_stock(struct factory *factory, const struct instance_spec *spec,
	const struct instance_events *events, void *data)
{
	struct error error = {0};
	struct instance *instance = stock_take(factory->stock);
	if (instance == NULL)
		return NULL;
	instance->events = events;
	instance->data = data;
	instance->started_ns = clock_ns();
	int result = take_uid(instance, spec->uid_slot, &error);
	if (result == 0)
		result = start_with(instance, spec, &error);
	return result < 0 ? instance_free(instance) : instance;
}

/* Less confinement than the tenant's operator demands is none. */
static int check_tier(
	const struct factory *factory, const struct instance_spec *spec, struct error *error)
{
	const struct policy *policy = spec->policy;
	if (spec->mode == WORKER_MODE_JOB && factory->tier != TIER_FULL)
		return error_set(error, ENOTSUP,
			"programs run in namespaces only, which the tier \"%s\" has none of",
			tier_name(factory->tier));
	if (policy->tier > factory->tier)
		return error_set(error, ENOTSUP,
			"the policy demands the tier \"%s\", and this tenantd gives \"%s\" "
			"(tenantd "
			"--tier)",
			tier_name(policy->tier), tier_name(factory->tier));
	if (factory->tier != TIER_FULL && policy->child_exec.count > 0)
		return error_set(error, ENOTSUP,
			"/permissions/child/exec: programs run in namespaces only, which the tier "
			"\"%s\" has none of",
			tier_name(factory->tier));
	if (factory->tier != TIER_FULL && policy->limits.tmp_bytes > 0)
		return error_set(error, ENOTSUP,
			"/limits/tmp: a /tmp whose size is limited is a mount, which the tier "
			"\"%s\" "
			"has none of: grant a folder with /permissions/fs/write",
			tier_name(factory->tier));
	return 0;
}

int instance_start(struct factory *factory, const struct instance_spec *spec,
	const struct instance_events *events, void *data, struct instance **ret_instance,
	struct error *error)
{
	int result = check_tier(factory, spec, error);
	if (result < 0)
		return result;
	struct instance *instance = factory->stock && kind_of(spec) == FACTORY_JIT
					    ? start_from_stock(factory, spec, events, data)
					    : NULL;
	if (instance) {
		*ret_instance = instance;
		return 0;
	}
	result = new_instance(factory, spec, events, data, &instance, error);
	if (result < 0)
		return result;
	result = start_with(instance, spec, error);
	if (result < 0) {
		instance_free(instance);
		return result;
	}
	*ret_instance = instance;
	return 0;
}

static void leave_factory(struct instance *instance)
{
	struct instance **place = &instance->factory->instances;
	while (*place != instance)
		place = &(*place)->sibling;
	*place = instance->sibling;
}

struct instance *instance_free(struct instance *instance)
{
	if (instance == NULL)
		return NULL;
	leave_factory(instance);
	if (instance->stage != INSTANCE_ENDED && instance->cgroup)
		instance_kill(instance, END_OPERATOR, "killed");
	sd_event_source_disable_unref(instance->channel_source);
	sd_event_source_disable_unref(instance->exit_source);
	sd_event_source_disable_unref(instance->deadline);
	sd_event_source_disable_unref(instance->finish);
	if (instance->log)
		tenant_log_finish(instance->log, instance->id);
	if (instance->stats)
		munmap(instance->stats, sizeof *instance->stats);
	egress_forget(instance->factory->egress, instance->id);
	ingress_remove(instance->factory->ingress, instance->id);
	schedules_forget_instance(instance->factory->schedules, instance);
	start_message_free(instance->start);
	secrets_free(instance->secrets);
	children_free(instance->children);
	health_free(instance->health);
	drop_forget(instance);
	if (!instance->cgroup_is_parents)
		factory_bury(instance->factory, instance->cgroup);
	factory_give_spare(instance->factory, instance->spare_slot);
	close_fd(&instance->channel);
	close_fd(&instance->peer);
	close_fd(&instance->pidfd);
	close_fd(&instance->stats_fd);
	instance_free_end(instance);
	free(instance);
	return NULL;
}
