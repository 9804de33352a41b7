/* Tenants and their instances. Which instance gets the next connection is decided by smooth
 * weighted round robin: each is owed its weight with every connection, who is owed most gets
 * it and pays for all. Shares are exact over any sum of weights, and evenly spread. */
#include "daemon/ingress/private.h"

#include "common/cleanup.h"
#include "common/message.h"
#include "common/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

struct tenant *tenant_take(struct world *world, uint32_t id)
{
	struct tenant **place = &world->tenants[id];
	if (*place == NULL && (*place = calloc(1, sizeof **place)) != NULL) {
		(*place)->id = id;
		(*place)->wait = true;
	}
	return *place;
}

static struct instance *instance_free(struct instance *instance)
{
	close_fd(&instance->channel);
	close_fd(&instance->theirs);
	free(instance);
	return NULL;
}

static struct tenant *tenant_free(struct tenant *tenant)
{
	if (tenant == NULL)
		return NULL;
	for (struct instance *instance = tenant->instances, *next; instance; instance = next) {
		next = instance->next;
		instance_free(instance);
	}
	free(tenant->sites);
	free(tenant->staged);
	free(tenant);
	return NULL;
}

void tenants_free(struct world *world)
{
	for (size_t i = 0; i < INGRESS_TENANTS_MAX; i++)
		world->tenants[i] = tenant_free(world->tenants[i]);
	free(world->table.items);
	world->table = (struct site_table){0};
}

void tenants_sweep(struct world *world)
{
	for (size_t i = 0; i < INGRESS_TENANTS_MAX; i++) {
		struct tenant *tenant = world->tenants[i];
		if (tenant == NULL || !tenant->committed || tenant->instances ||
			tenant->has_staged || tenant->waiting ||
			(tenant->sites && tenant->sites->count > 0))
			continue;
		world->tenants[i] = tenant_free(tenant);
	}
}

static struct instance **find_instance(struct world *world, uint32_t id)
{
	for (size_t i = 0; i < INGRESS_TENANTS_MAX; i++) {
		struct tenant *tenant = world->tenants[i];
		for (struct instance **place = tenant ? &tenant->instances : NULL; place && *place;
			place = &(*place)->next)
			if ((*place)->id == id)
				return place;
	}
	return NULL;
}

int instance_add(struct world *world, const struct ingress_instance *message, int channel,
	int theirs, struct error *error)
{
	cleanup_close int mine = channel, its = theirs;
	struct tenant *tenant = tenant_take(world, message->tenant);
	struct instance *instance = malloc(sizeof *instance);
	if (tenant == NULL || instance == NULL || find_instance(world, message->header.id)) {
		free(instance);
		return error_set(error, tenant && instance ? EEXIST : ENOMEM,
			"cannot add instance %u", message->header.id);
	}
	if (fcntl(mine, F_SETFL, O_NONBLOCK) < 0) {
		free(instance);
		return error_errno(error, errno, "cannot set up the channel of an instance");
	}
	*instance = (struct instance){
		.next = tenant->instances,
		.tenant = tenant,
		.id = message->header.id,
		.channel = take_fd(&mine),
		.theirs = take_fd(&its),
		.weight = message->weight,
	};
	tenant->instances = instance;
	tenant->wanted = false;
	connections_retry(world, tenant);
	return 0;
}

void instance_set_weight(struct world *world, uint32_t id, uint32_t weight)
{
	struct instance **place = find_instance(world, id);
	if (place == NULL)
		return;
	struct tenant *tenant = (*place)->tenant;
	(*place)->weight = weight;
	/* New shares begin from nothing owed. */
	for (struct instance *instance = tenant->instances; instance; instance = instance->next)
		instance->credit = 0;
	connections_retry(world, tenant);
}

/* What the worker has not taken by now it will not take: it drains, or is dead. Whichever of
 * us both reads a packet has the connection. */
static void reclaim(struct world *world, struct instance *instance)
{
	for (;;) {
		struct handover handover;
		int fd = -1;
		size_t count = 1;
		ssize_t length = message_receive(
			instance->theirs, &handover, sizeof handover, &fd, &count, MSG_DONTWAIT);
		if (length <= 0)
			return;
		if (count == 0)
			continue;
		if (length == sizeof handover)
			connection_return(world, instance->tenant, fd, handover.flags);
		else
			close_shared(fd);
	}
}

void instance_remove(struct world *world, uint32_t id)
{
	struct instance **place = find_instance(world, id);
	if (place == NULL)
		return;
	struct instance *instance = *place;
	struct tenant *tenant = instance->tenant;
	*place = instance->next;
	reclaim(world, instance);
	instance_free(instance);
	if (tenant->waiting > 0)
		channel_want(world, tenant);
}

/* It may be given connections. */
static bool takes(const struct instance *instance)
{
	return instance->weight > 0 && !instance->leaves;
}

/* Who is owed most; it pays, though its channel may turn out to be full: then that share is
 * forgone, not saved up. */
static struct instance *choose(struct tenant *tenant, uint64_t total)
{
	struct instance *best = NULL;
	for (struct instance *instance = tenant->instances; instance; instance = instance->next) {
		if (!takes(instance))
			continue;
		instance->credit += instance->weight;
		if (best == NULL || instance->credit > best->credit)
			best = instance;
	}
	best->credit -= (int64_t)total;
	return best;
}

static bool give(struct instance *instance, int fd, uint32_t flags)
{
	const struct handover handover = {.flags = flags};
	const int result = message_send(instance->channel, &handover, sizeof handover, &fd, 1);
	instance->leaves |= result == -EPIPE;
	return result == 0;
}

static uint64_t total_weight(const struct tenant *tenant)
{
	uint64_t total = 0;
	for (const struct instance *instance = tenant->instances; instance;
		instance = instance->next)
		total += takes(instance) ? instance->weight : 0;
	return total;
}

/* All that there are drain: another will come. */
static bool all_leave(const struct tenant *tenant)
{
	for (const struct instance *instance = tenant->instances; instance;
		instance = instance->next)
		if (!instance->leaves)
			return false;
	return true;
}

enum choice tenant_hand_over(struct tenant *tenant, int fd, uint32_t flags)
{
	const uint64_t total = total_weight(tenant);
	if (total > 0) {
		struct instance *first = choose(tenant, total);
		if (give(first, fd, flags))
			return CHOICE_HANDED;
		/* It is full, or leaves: the others, in their order. */
		for (struct instance *instance = tenant->instances; instance;
			instance = instance->next)
			if (instance != first && takes(instance) && give(instance, fd, flags))
				return CHOICE_HANDED;
	}
	return all_leave(tenant) ? CHOICE_NONE : CHOICE_FULL;
}
