#include "isolate/message_port.h"

#include "common/cleanup.h"
#include "isolate/runtime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Locks are taken in this order: NAMES_LOCK, a group's, a mailbox's. */
struct port_group {
	pthread_mutex_t lock;
	unsigned references; /* members that are not freed; under NAMES_LOCK for a named one */
	struct port *first, *last;
	char *name;              /* of a broadcast */
	struct port_group *next; /* of those with a name */
};

#define MESSAGE_COST 256 /* of one message, beside its bytes */

static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;
static struct port_group *named;
static atomic_size_t waiting_bytes;
static size_t limit_bytes;

void port_set_limit(size_t bytes)
{
	limit_bytes = bytes;
}

/* ---- groups ---- */

static struct port_group *group_new(const char *name)
{
	struct port_group *group = calloc(1, sizeof *group);
	if (!group)
		return NULL;
	if (name && !(group->name = strdup(name))) {
		free(group);
		return NULL;
	}
	pthread_mutex_init(&group->lock, NULL);
	return group;
}

static void group_free(struct port_group *group)
{
	pthread_mutex_destroy(&group->lock);
	free(group->name);
	free(group);
}

static void group_unref(struct port_group *group)
{
	pthread_mutex_lock(&names_lock);
	const bool last = --group->references == 0;
	if (last && group->name) {
		struct port_group **place = &named;
		while (*place != group)
			place = &(*place)->next;
		*place = group->next;
	}
	pthread_mutex_unlock(&names_lock);
	if (last)
		group_free(group);
}

static struct port *port_new(struct port_group *group)
{
	struct port *port = calloc(1, sizeof *port);
	if (!port)
		return NULL;
	atomic_init(&port->references, 1);
	port->end = &port->first;
	port->group = group;
	/* At the end: a broadcast reaches those first that were made first. */
	pthread_mutex_lock(&group->lock);
	port->previous = group->last;
	if (group->last)
		group->last->next = port;
	else
		group->first = port;
	group->last = port;
	pthread_mutex_unlock(&group->lock);
	return port;
}

int port_pair(struct port **ret_first, struct port **ret_second)
{
	struct port_group *group = group_new(NULL);
	struct port *first = group ? port_new(group) : NULL;
	struct port *second = first ? port_new(group) : NULL;
	if (!second) {
		free(first);
		if (group)
			group_free(group);
		return -ENOMEM;
	}
	group->references = 2;
	*ret_first = first;
	*ret_second = second;
	return 0;
}

struct port *port_broadcast(const char *name)
{
	pthread_mutex_lock(&names_lock);
	struct port_group *group = named;
	while (group && strcmp(group->name, name) != 0)
		group = group->next;
	if (!group && (group = group_new(name))) {
		group->next = named;
		named = group;
	}
	if (group)
		group->references++;
	pthread_mutex_unlock(&names_lock);
	if (!group)
		return NULL;
	struct port *port = port_new(group);
	if (!port)
		group_unref(group);
	return port;
}

/* ---- messages ---- */

static void free_one(struct port_message *message)
{
	atomic_fetch_sub(&waiting_bytes, message->bytes);
	engine_message_unref(message->message);
	for (size_t i = 0; i < message->port_count; i++)
		port_unref(message->ports[i]);
	free(message->ports);
	free(message);
}

/* A message may hold ports whose queues hold messages with ports, as deep as a program
 * likes: one after the other, without recursion. */
static void free_all(struct port_message *messages)
{
	static _Thread_local struct port_message *doomed;
	static _Thread_local bool freeing;
	while (messages) {
		struct port_message *next = messages->next;
		messages->next = doomed;
		doomed = messages;
		messages = next;
	}
	if (freeing)
		return;
	freeing = true;
	while (doomed) {
		struct port_message *message = doomed;
		doomed = message->next;
		free_one(message);
	}
	freeing = false;
}

void port_message_free(struct port_message *message)
{
	if (!message)
		return;
	message->next = NULL;
	free_all(message);
}

static struct port_message *message_new(
	engine_message *message, struct port *const *ports, size_t count, const char *types)
{
	const size_t length = strlen(types);
	struct port_message *queued = calloc(1, sizeof *queued + length + 1);
	if (queued && count > 0)
		queued->ports = calloc(count, sizeof(struct port *));
	if (!queued || (count > 0 && !queued->ports)) {
		free(queued);
		return NULL;
	}
	memcpy(queued->types, types, length + 1);
	if (count > 0)
		memcpy(queued->ports, ports, count * sizeof(struct port *));
	queued->port_count = count;
	queued->message = engine_message_ref(message);
	queued->bytes = engine_message_size(message) + MESSAGE_COST;
	atomic_fetch_add(&waiting_bytes, queued->bytes);
	return queued;
}

/* Under the group's lock. */
static void wake(struct port *port)
{
	if (port->owner && (port->started || port->peer_gone))
		mailbox_post(port->owner, &port->letter);
}

static void enqueue(struct port *port, struct port_message *message)
{
	message->next = NULL;
	*port->end = message;
	port->end = &message->next;
	port->count++;
	wake(port);
}

/* PORTS leave this thread. */
static void send_away(struct port *const *ports, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct port *port = ports[i];
		port_hold(port, false);
		pthread_mutex_lock(&port->group->lock);
		struct mailbox *owner = port->owner;
		if (owner)
			mailbox_take_back(owner, &port->letter);
		port->owner = NULL;
		port->started = false;
		pthread_mutex_unlock(&port->group->lock);
		mailbox_unref(owner);
		port->id = 0;
	}
}

int port_let_go(struct port *port)
{
	send_away(&port, 1);
	return 0;
}

static bool is_among(const struct port *port, struct port *const *ports, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (ports[i] == port)
			return true;
	return false;
}

/* To the one that is there, or, of a broadcast, to each. */
static int post_to_all(struct port *port, engine_message *message, struct port *const *ports,
	size_t count, const char *types)
{
	int result = 0;
	bool taken = false;
	pthread_mutex_lock(&port->group->lock);
	for (struct port *other = port->group->first; other && result == 0; other = other->next) {
		/* A port in a message for itself: nobody can ever take it out. */
		if (other == port || is_among(other, ports, count))
			continue;
		struct port_message *queued =
			message_new(message, taken ? NULL : ports, taken ? 0 : count, types);
		if (queued)
			enqueue(other, queued);
		else if (!taken)
			result = -ENOMEM;
		taken = true;
	}
	pthread_mutex_unlock(&port->group->lock);
	if (!taken && result == 0)
		for (size_t i = 0; i < count; i++)
			port_unref(ports[i]);
	return result;
}

int port_post(struct port *port, engine_message *message, struct port *const *ports, size_t count,
	const char *types)
{
	int result = 0;
	const size_t bytes = engine_message_size(message);
	if (limit_bytes > 0 && atomic_load(&waiting_bytes) + bytes > limit_bytes)
		result = -ENOBUFS;
	if (result == 0) {
		send_away(ports, count);
		result = post_to_all(port, message, ports, count, types);
	}
	engine_message_unref(message);
	return result;
}

struct port_message *port_take(struct port *port)
{
	pthread_mutex_lock(&port->group->lock);
	struct port_message *message = port->first;
	if (message) {
		port->first = message->next;
		if (!port->first)
			port->end = &port->first;
		port->count--;
	}
	pthread_mutex_unlock(&port->group->lock);
	return message;
}

size_t port_waiting(struct port *port, bool *ret_peer_gone)
{
	pthread_mutex_lock(&port->group->lock);
	size_t count = port->count;
	*ret_peer_gone = port->peer_gone;
	pthread_mutex_unlock(&port->group->lock);
	return count;
}

/* ---- the owner ---- */

int port_own(struct port *port, void (*deliver)(struct letter *letter))
{
	struct mailbox *mailbox = mailbox_own();
	if (!mailbox)
		return -ENOMEM;
	port->letter.deliver = deliver;
	pthread_mutex_lock(&port->group->lock);
	port->owner = mailbox_ref(mailbox);
	if (port->peer_gone)
		wake(port);
	pthread_mutex_unlock(&port->group->lock);
	return 0;
}

void port_start(struct port *port)
{
	pthread_mutex_lock(&port->group->lock);
	port->started = !port->closed;
	if (port->count > 0)
		wake(port);
	pthread_mutex_unlock(&port->group->lock);
}

void port_again(struct port *port)
{
	pthread_mutex_lock(&port->group->lock);
	wake(port);
	pthread_mutex_unlock(&port->group->lock);
}

void port_stop(struct port *port)
{
	pthread_mutex_lock(&port->group->lock);
	port->started = false;
	pthread_mutex_unlock(&port->group->lock);
}

void port_hold(struct port *port, bool hold)
{
	if (port->holds == hold)
		return;
	port->holds = hold;
	mailbox_hold(hold ? 1 : -1);
}

/* ---- the end ---- */

static void leave(struct port *port)
{
	if (port->previous)
		port->previous->next = port->next;
	else
		port->group->first = port->next;
	if (port->next)
		port->next->previous = port->previous;
	else
		port->group->last = port->previous;
	/* A broadcast goes on with the others. */
	if (port->group->name)
		return;
	for (struct port *other = port->group->first; other; other = other->next) {
		other->peer_gone = true;
		wake(other);
	}
}

void port_close(struct port *port)
{
	struct mailbox *owner = NULL;
	struct port_message *messages = NULL;
	if (port->closed)
		return;
	port_hold(port, false);
	pthread_mutex_lock(&port->group->lock);
	port->closed = true;
	port->started = false;
	leave(port);
	owner = port->owner;
	port->owner = NULL;
	if (owner)
		mailbox_take_back(owner, &port->letter);
	messages = port->first;
	port->first = NULL;
	port->end = &port->first;
	port->count = 0;
	pthread_mutex_unlock(&port->group->lock);
	mailbox_unref(owner);
	free_all(messages);
}

struct port *port_ref(struct port *port)
{
	atomic_fetch_add(&port->references, 1);
	return port;
}

struct port *port_unref(struct port *port)
{
	if (!port || atomic_fetch_sub(&port->references, 1) > 1)
		return NULL;
	port_close(port);
	group_unref(port->group);
	free(port);
	return NULL;
}
