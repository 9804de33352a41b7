#include "daemon/split.h"

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/message.h"
#include "common/protocol.h"
#include "daemon/health.h"
#include "daemon/ingress.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define ACCEPT_BURST 32 /* connections of one listener in one turn of the loop */
#define RETRY_US 5000   /* after every channel was full, or there were no descriptors */

struct member {
	uint32_t instance;
	bool canary;
	int channel; /* our end */
	struct instance *process;
};

/* A listener that only one of them has is that one's alone. */
enum side { SIDE_BOTH, SIDE_BEFORE, SIDE_CANARY };

struct source {
	struct split *split;
	enum side side;
	sd_event_source *event;
};

struct split {
	struct split_options options;
	struct member *members;
	size_t count;
	size_t turn[2]; /* of each fleet: where the last search ended */
	uint32_t error;
	uint64_t handed[2];
	int waiting; /* a connection that nobody had room for; -1: none */
	bool waiting_canary;
	struct source sources[2 * WORKER_LISTENERS_MAX];
	size_t source_count;
	sd_event_source *retry;
};

/* ---- members ---- */

/* A channel: the worker's end is sent to it, ours comes back. */
static int open_channel(struct instance *instance, struct error *error)
{
	const struct message_header message = {
		.type = MESSAGE_HANDOVER,
		.instance = instance->id,
	};
	int pair[2];
	int result = message_pair(pair);
	if (result < 0)
		return error_errno(error, result, "cannot make a channel for connections");
	cleanup_close int ours = pair[0];
	cleanup_close int theirs = pair[1];
	if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0 || fcntl(theirs, F_SETFL, O_NONBLOCK) < 0)
		return error_errno(error, errno, "cannot make a channel non-blocking");
	result = message_send(instance->channel, &message, sizeof message, &theirs, 1);
	if (result < 0)
		return error_errno(error, result, "cannot hand a channel to a worker");
	return take_fd(&ours);
}

/* The same shares of what comes by tenantd-ingress: each fleet gets its part, whatever the
 * number of its instances. PERCENT of the two together is exact. */
static void share_ingress(const struct split *split)
{
	uint32_t counts[2] = {0};
	for (size_t i = 0; i < split->count; i++)
		counts[split->members[i].canary]++;
	for (size_t i = 0; i < split->count; i++) {
		const struct member *member = &split->members[i];
		const uint32_t part =
			member->canary ? split->options.percent : 100 - split->options.percent;
		const uint32_t others = counts[!member->canary];
		ingress_set_weight(member->process->factory->ingress, member->instance,
			others ? part * others : 1);
	}
}

void split_join(struct split *split, struct instance *instance)
{
	struct error error = {0};
	struct member *members =
		reallocarray(split->members, split->count + 1, sizeof *split->members);
	int channel = -ENOMEM;
	if (members) {
		split->members = members;
		channel = open_channel(instance, &error);
	}
	if (channel < 0) {
		log_warn("event=canary-channel-failed tenant=%s pid=%d message=\"%s\"",
			instance->tenant, instance->pid, escape_for_log(error.message));
		return; /* it goes on taking connections itself */
	}
	instance_accept(instance, false);
	members[split->count++] = (struct member){
		.instance = instance->id,
		.canary = fleet_of(instance) == split->options.canary,
		.channel = channel,
		.process = instance,
	};
	share_ingress(split);
}

void split_leave(struct split *split, uint32_t instance)
{
	for (size_t i = 0; split && i < split->count; i++) {
		if (split->members[i].instance != instance)
			continue;
		close(split->members[i].channel);
		split->members[i] = split->members[--split->count];
		share_ingress(split);
		return;
	}
}

/* ---- handing over ---- */

/* Tries the instances of one fleet, each once, from the one after the last; well ones
 * first. */
static bool give(struct split *split, bool canary, int connection)
{
	const struct handover packet = {0};
	for (int well = 1; well >= 0; well--)
		for (size_t i = 0; i < split->count; i++) {
			const size_t place = (split->turn[canary] + 1 + i) % split->count;
			const struct member *member = &split->members[place];
			if (member->canary != canary ||
				health_is_ready(member->process) != (well == 1) ||
				message_send(member->channel, &packet, sizeof packet, &connection,
					1) < 0)
				continue;
			split->turn[canary] = place;
			split->handed[canary]++;
			return true;
		}
	return false;
}

/* The other fleet's, rather than nobody's. */
static bool hand_over(struct split *split, bool canary, int connection)
{
	return give(split, canary, connection) || give(split, !canary, connection);
}

static void listen_again(struct split *split, bool on)
{
	for (size_t i = 0; i < split->source_count; i++)
		sd_event_source_set_enabled(
			split->sources[i].event, on ? SD_EVENT_ON : SD_EVENT_OFF);
}

/* Further connections wait in the listeners' queues, where they are safe. */
static void pause_listening(struct split *split)
{
	listen_again(split, false);
	sd_event_source_set_time_relative(split->retry, RETRY_US);
	sd_event_source_set_enabled(split->retry, SD_EVENT_ONESHOT);
}

static int try_again(sd_event_source *source, uint64_t usec, void *data)
{
	struct split *split = data;
	(void)source;
	(void)usec;
	if (split->waiting >= 0 && !hand_over(split, split->waiting_canary, split->waiting)) {
		pause_listening(split);
		return 0;
	}
	close_fd(&split->waiting);
	listen_again(split, true);
	return 0;
}

static bool choose(const struct source *source)
{
	struct split *split = source->split;
	if (source->side == SIDE_BOTH)
		return split_choose(&split->error, split->options.percent);
	return source->side == SIDE_CANARY;
}

static int connection_waits(sd_event_source *unused, int fd, uint32_t events, void *data)
{
	const struct source *source = data;
	struct split *split = source->split;
	(void)unused;
	(void)events;
	for (int i = 0; i < ACCEPT_BURST && split->waiting < 0; i++) {
		cleanup_close int connection =
			accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (connection < 0 && (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR))
			return 0;
		if (connection < 0) { /* no descriptors, no memory: it can be waited out */
			pause_listening(split);
			return 0;
		}
		const bool canary = choose(source);
		if (hand_over(split, canary, connection))
			continue;
		split->waiting = take_fd(&connection);
		split->waiting_canary = canary;
		pause_listening(split);
	}
	return 0;
}

/* ---- begin and end ---- */

static void join_all(struct split *split, const struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->member_count; i++)
		if (fleet->members[i].role == FLEET_SERVING)
			split_join(split, fleet->members[i].instance);
}

static bool has(const struct listeners *listeners, const struct listener *listener)
{
	for (size_t i = 0; i < listeners->count; i++)
		if (strcmp(listeners->items[i].spec, listener->spec) == 0)
			return true;
	return false;
}

static int open_source(struct split *split, int fd, enum side side)
{
	struct source *source = &split->sources[split->source_count];
	*source = (struct source){.split = split, .side = side};
	int result = sd_event_add_io(
		split->options.event, &source->event, fd, EPOLLIN, connection_waits, source);
	split->source_count += result >= 0;
	return result;
}

static int open_sources(struct split *split, struct error *error)
{
	const struct listeners *before = split->options.before_listeners;
	const struct listeners *canary = split->options.canary_listeners;
	int result = sd_event_add_time_relative(split->options.event, &split->retry,
		CLOCK_MONOTONIC, RETRY_US, 1000, try_again, split);
	if (result >= 0)
		result = sd_event_source_set_enabled(split->retry, SD_EVENT_OFF);
	for (size_t i = 0; result >= 0 && i < canary->count; i++)
		result = open_source(split, canary->items[i].fd,
			has(before, &canary->items[i]) ? SIDE_BOTH : SIDE_CANARY);
	for (size_t i = 0; result >= 0 && i < before->count; i++)
		if (!has(canary, &before->items[i]))
			result = open_source(split, before->items[i].fd, SIDE_BEFORE);
	return result < 0 ? error_errno(error, result, "cannot watch the listeners") : 0;
}

int split_new(const struct split_options *options, struct split **ret_split, struct error *error)
{
	struct split *split = calloc(1, sizeof *split);
	if (split == NULL)
		return error_set(error, ENOMEM, "no memory to share connections");
	split->options = *options;
	split->waiting = -1;
	int result = open_sources(split, error);
	if (result < 0) {
		split_free(split);
		return result;
	}
	join_all(split, options->before);
	join_all(split, options->canary);
	*ret_split = split;
	return 0;
}

struct split *split_free(struct split *split)
{
	if (split == NULL)
		return NULL;
	for (size_t i = 0; i < split->source_count; i++)
		sd_event_source_disable_unref(split->sources[i].event);
	sd_event_source_disable_unref(split->retry);
	/* It was accepted, so it is ours to see to. */
	if (split->waiting >= 0 && !hand_over(split, split->waiting_canary, split->waiting))
		log_warn("event=connection-lost message=\"no instance had room for it\"");
	close_fd(&split->waiting);
	for (size_t i = 0; i < split->count; i++) {
		instance_accept(split->members[i].process, true);
		ingress_set_weight(
			split->members[i].process->factory->ingress, split->members[i].instance, 1);
		close(split->members[i].channel);
	}
	free(split->members);
	free(split);
	return NULL;
}

void split_counts(const struct split *split, uint64_t *ret_before, uint64_t *ret_canary)
{
	*ret_before = split->handed[false];
	*ret_canary = split->handed[true];
}
