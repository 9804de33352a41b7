/* What the supervisor says. It is trusted; what is wrong with its messages is a fault of
 * ours, and the end: it starts another. */
#include "daemon/ingress/private.h"

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/message.h"
#include "common/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* message_check looks at the first four bytes only: both headers begin alike. */
_Static_assert(sizeof(struct ingress_header) == sizeof(struct message_header), "one header");

enum { STATE_NEW = 1, STATE_COUNTING = 2 };

#define MESSAGES_MAX 256 /* in one turn */
#define TYPE(name) ((enum message_type)(name))
#define EXACTLY(type) sizeof(type), sizeof(type)

static const struct message_rule rules[] = {
	{TYPE(INGRESS_COUNTS), STATE_NEW, EXACTLY(struct ingress_header), 1, 1},
	{TYPE(INGRESS_LISTEN), STATE_COUNTING, EXACTLY(struct ingress_listen), 1, 1},
	{TYPE(INGRESS_SITES), STATE_COUNTING, sizeof(struct ingress_header), MESSAGE_LENGTH_MAX, 0,
		0},
	{TYPE(INGRESS_COMMIT), STATE_COUNTING, EXACTLY(struct ingress_header), 0, 0},
	{TYPE(INGRESS_STATE), STATE_COUNTING, EXACTLY(struct ingress_state), 0, 0},
	{TYPE(INGRESS_INSTANCE), STATE_COUNTING, EXACTLY(struct ingress_instance), 2, 2},
	{TYPE(INGRESS_WEIGHT), STATE_COUNTING, EXACTLY(struct ingress_weight), 0, 0},
	{TYPE(INGRESS_REMOVE), STATE_COUNTING, EXACTLY(struct ingress_header), 0, 0},
	{TYPE(INGRESS_STOP), STATE_COUNTING, EXACTLY(struct ingress_header), 0, 0},
	{TYPE(INGRESS_SYNC), STATE_COUNTING, EXACTLY(struct ingress_header), 0, 0},
};

static int take_counts(struct world *world, int fd, struct error *error)
{
	void *page = mmap(
		NULL, sizeof(struct ingress_counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (page == MAP_FAILED)
		return error_errno(error, errno, "cannot map the counts");
	world->counts = page;
	/* Of the process before, if there was one. */
	world->counts->pending = 0;
	for (size_t i = 0; i < INGRESS_TENANTS_MAX; i++)
		if (world->counts->tenants[i].waiting)
			world->counts->tenants[i].waiting = 0;
	return 0;
}

static int take_listener(struct world *world, const void *data, int fd, struct error *error)
{
	struct ingress_listen listen;
	memcpy(&listen, data, sizeof listen);
	if (listen.tls > 1 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		close(fd);
		return error_set(error, EBADMSG, "a malformed LISTEN message");
	}
	return listener_add(world, fd, listen.tls, error);
}

static int take_sites(struct world *world, const void *data, size_t length, struct error *error)
{
	static struct ingress_sites sites;
	struct ingress_header header;
	memcpy(&header, data, sizeof header);
	int result = ingress_sites_decode(data, length, &sites, error);
	if (result < 0)
		return result;
	struct tenant *tenant = tenant_take(world, header.id);
	if (tenant == NULL || sites_stage(tenant, &sites) < 0)
		return error_set(error, ENOMEM, "no memory for sites");
	snprintf(tenant->name, sizeof tenant->name, "%s", sites.tenant);
	return 0;
}

static int commit(struct world *world, struct error *error)
{
	if (sites_commit(world) < 0)
		return error_set(error, ENOMEM, "no memory for the table of sites");
	/* Whose sites have gone is not to be waited for. */
	for (size_t i = 0; i < INGRESS_TENANTS_MAX; i++) {
		struct tenant *tenant = world->tenants[i];
		if (tenant == NULL || tenant->waiting == 0 ||
			(tenant->sites && tenant->sites->count > 0))
			continue;
		tenant->wait = false;
		connections_retry(world, tenant);
	}
	tenants_sweep(world);
	return 0;
}

static int take_state(struct world *world, const void *data, struct error *error)
{
	struct ingress_state state;
	memcpy(&state, data, sizeof state);
	if (state.wait > 1 || state.header.id >= INGRESS_TENANTS_MAX)
		return error_set(error, EBADMSG, "a malformed STATE message");
	struct tenant *tenant = tenant_take(world, state.header.id);
	if (tenant == NULL)
		return error_set(error, ENOMEM, "no memory for a tenant");
	tenant->wait = state.wait;
	tenant->wanted = false;
	if (tenant->waiting == 0)
		return 0;
	if (tenant->wait)
		channel_want(world, tenant);
	else
		connections_retry(world, tenant);
	return 0;
}

static int take_instance(struct world *world, const void *data, const int *fds, struct error *error)
{
	struct ingress_instance instance;
	memcpy(&instance, data, sizeof instance);
	if (instance.tenant >= INGRESS_TENANTS_MAX || instance.weight > INGRESS_WEIGHT_MAX) {
		close(fds[0]);
		close(fds[1]);
		return error_set(error, EBADMSG, "a malformed INSTANCE message");
	}
	return instance_add(world, &instance, fds[0], fds[1], error);
}

static int take_weight(struct world *world, const void *data, struct error *error)
{
	struct ingress_weight weight;
	memcpy(&weight, data, sizeof weight);
	if (weight.weight > INGRESS_WEIGHT_MAX)
		return error_set(error, EBADMSG, "a malformed WEIGHT message");
	instance_set_weight(world, weight.header.id, weight.weight);
	return 0;
}

/* The answer is small, and the supervisor reads: a channel that is full is one that nobody reads,
 * and who waits for the answer does not wait for ever. */
static int sync_up(const struct world *world, uint32_t number)
{
	const struct ingress_header applied = {INGRESS_APPLIED, number};
	(void)message_send(world->supervisor.fd, &applied, sizeof applied, NULL, 0);
	return 0;
}

static int handle(
	struct world *world, const void *data, size_t length, const int *fds, struct error *error)
{
	struct ingress_header header;
	memcpy(&header, data, sizeof header);
	switch ((enum ingress_type)header.type) {
	case INGRESS_COUNTS:
		return take_counts(world, fds[0], error);
	case INGRESS_LISTEN:
		return take_listener(world, data, fds[0], error);
	case INGRESS_SITES:
		return take_sites(world, data, length, error);
	case INGRESS_COMMIT:
		return commit(world, error);
	case INGRESS_STATE:
		return take_state(world, data, error);
	case INGRESS_INSTANCE:
		return take_instance(world, data, fds, error);
	case INGRESS_WEIGHT:
		return take_weight(world, data, error);
	case INGRESS_REMOVE:
		instance_remove(world, header.id);
		return 0;
	case INGRESS_SYNC:
		return sync_up(world, header.id);
	default:
		listeners_close(world);
		return 0;
	}
}

/* One message. Returns false when there is none, or the end has come. */
static bool receive(struct world *world)
{
	static _Alignas(8) char message[MESSAGE_LENGTH_MAX];
	struct error error = {0};
	int fds[2];
	size_t fd_count = ARRAY_LENGTH(fds);
	ssize_t length = message_receive(
		world->supervisor.fd, message, sizeof message, fds, &fd_count, MSG_DONTWAIT);
	if (length == -EAGAIN)
		return false;
	if (length == 0 || length == -ECONNRESET) {
		world->ended = true;
		return false;
	}
	int result = (int)length;
	if (length < 0) {
		error_errno(&error, (int)-length, "cannot receive");
	} else if (!message_check(rules, ARRAY_LENGTH(rules),
			   world->counts ? STATE_COUNTING : STATE_NEW, message, (size_t)length,
			   fd_count, &error)) {
		for (size_t i = 0; i < fd_count; i++)
			close(fds[i]);
		result = -EBADMSG;
	} else {
		result = handle(world, message, (size_t)length, fds, &error);
	}
	if (result >= 0)
		return true;
	log_error("event=ingress-bad-message message=\"%s\"", escape_for_log(error.message));
	world->ended = true;
	world->end_code = result;
	return false;
}

static void channel_ready(struct watch *watch, uint32_t events)
{
	struct world *world = (struct world *)((char *)watch - offsetof(struct world, supervisor));
	(void)events;
	for (int i = 0; i < MESSAGES_MAX && receive(world); i++)
		;
}

int channel_open(struct world *world, struct error *error)
{
	int type = 0;
	socklen_t length = sizeof type;
	if (getsockopt(CHANNEL_FD, SOL_SOCKET, SO_TYPE, &type, &length) < 0 ||
		type != SOCK_SEQPACKET)
		return error_set(error, EINVAL, "descriptor 3 is not tenantd's channel");
	world->supervisor = (struct watch){channel_ready, CHANNEL_FD};
	if (fcntl(CHANNEL_FD, F_SETFL, O_NONBLOCK) < 0 ||
		fcntl(CHANNEL_FD, F_SETFD, FD_CLOEXEC) < 0)
		return error_errno(error, errno, "cannot set up the channel");
	if (close_range(CHANNEL_FD + 1, ~0u, 0) < 0)
		return error_errno(error, errno, "cannot close what was inherited");
	return 0;
}

int channel_ready_message(struct world *world, struct error *error)
{
	const struct ingress_header ready = {INGRESS_READY, 0};
	int result = loop_add(world, &world->supervisor, EPOLLIN);
	if (result < 0)
		return error_errno(error, -result, "cannot watch tenantd's channel");
	result = message_send(world->supervisor.fd, &ready, sizeof ready, NULL, 0);
	return result < 0 ? error_errno(error, -result, "cannot tell tenantd") : 0;
}

void channel_want(struct world *world, struct tenant *tenant)
{
	const struct ingress_header wanted = {INGRESS_WANTED, tenant->id};
	if (tenant->wanted || tenant->instances)
		return;
	/* When it cannot be told now, the next connection does. */
	tenant->wanted = message_send(world->supervisor.fd, &wanted, sizeof wanted, NULL, 0) == 0;
}
