#include "isolate/handover.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/message.h"
#include "isolate/http_connection.h"
#include "isolate/http_server.h"
#include "isolate/native_net.h"
#include "isolate/runtime.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define CHANNELS_MAX 16
#define PACKETS_A_TURN 32 /* so that what is under way gets its turn, too */

struct channel {
	uv_poll_t poll;
	int fd;
	bool polling;
};

static struct channel *channels[CHANNELS_MAX];
static size_t count;

static void on_packets(uv_poll_t *poll, int status, int events);

size_t handover_channels(void)
{
	return count;
}

/* ---- life ---- */

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void close_channel(struct channel *channel)
{
	for (size_t i = 0; i < count; i++)
		if (channels[i] == channel)
			channels[i] = channels[--count];
	uv_close((uv_handle_t *)&channel->poll, on_closed);
	close(channel->fd);
}

/* Reads while there is room. In between, what is sent waits in the channel, and when that is
 * full the sender finds another worker. */
static void set_polling(struct channel *channel, bool polling)
{
	if (channel->polling == polling)
		return;
	channel->polling = polling;
	if (polling)
		uv_poll_start(&channel->poll, UV_READABLE, on_packets);
	else
		uv_poll_stop(&channel->poll);
}

void handover_add(int fd)
{
	struct channel *channel =
		count < CHANNELS_MAX && !http_server.draining ? calloc(1, sizeof *channel) : NULL;
	if (!channel || uv_poll_init(&runtime.loop, &channel->poll, fd) < 0) {
		/* A sender that finds it closed looks for another worker. */
		free(channel);
		close(fd);
		return;
	}
	channel->fd = fd;
	channel->poll.data = channel;
	channels[count++] = channel;
	if (http_server.loop)
		set_polling(channel, true);
}

void handover_resume(void)
{
	for (size_t i = 0; i < count; i++)
		set_polling(channels[i], true);
}

void handover_close(void)
{
	while (count > 0)
		close_channel(channels[0]);
}

/* ---- whose it is ---- */

static bool same_tcp_listener(const struct sockaddr_storage *own, const struct sockaddr_storage *at)
{
	if (own->ss_family == AF_INET) {
		const struct sockaddr_in *a = (const void *)own, *b = (const void *)at;
		return a->sin_port == b->sin_port &&
		       (a->sin_addr.s_addr == htonl(INADDR_ANY) ||
			       a->sin_addr.s_addr == b->sin_addr.s_addr);
	}
	const struct sockaddr_in6 *a = (const void *)own, *b = (const void *)at;
	return a->sin6_port == b->sin6_port &&
	       (IN6_IS_ADDR_UNSPECIFIED(&a->sin6_addr) ||
		       memcmp(&a->sin6_addr, &b->sin6_addr, sizeof a->sin6_addr) == 0);
}

/* The listener of the tenant's that a connection whose own end is at AT was made to; -1:
 * another one, as tenantd-ingress's are. */
static int listener_of(const struct sockaddr_storage *at, socklen_t length)
{
	for (size_t i = 0; i < runtime.start->listener_count; i++) {
		struct sockaddr_storage own = {0};
		socklen_t own_length = sizeof own;
		if (!net_listener_address(i, (struct sockaddr *)&own, &own_length) ||
			own.ss_family != at->ss_family)
			continue;
		if (own.ss_family == AF_UNIX ? own_length == length && memcmp(&own, at, length) == 0
					     : same_tcp_listener(&own, at))
			return (int)i;
	}
	return -1;
}

static void serve(int fd, unsigned flags)
{
	struct sockaddr_storage address = {0}, peer;
	socklen_t length = sizeof address, peer_length = sizeof peer, type_length = sizeof(int);
	int type = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_length) < 0 || type != SOCK_STREAM ||
		getsockname(fd, (struct sockaddr *)&address, &length) < 0 ||
		getpeername(fd, (struct sockaddr *)&peer, &peer_length) < 0) {
		close(fd); /* no connection, or the client has gone already */
		return;
	}
	const int listener = listener_of(&address, length);
	if (listener >= 0 && !(flags & HANDOVER_TLS) && net_connection_given((size_t)listener, fd))
		return;
	if (listener < 0 && net_shared_given(fd, flags & HANDOVER_TLS))
		return;
	int result = http_server_serve(fd, address.ss_family != AF_UNIX, listener, flags);
	if (result == -EPROTONOSUPPORT)
		log_warn("worker: a connection was handed over for TLS, which no certificate is "
			 "here for: closed");
}

/* ---- packets ---- */

/* One packet. False when there is none, or none will follow. */
static bool receive(struct channel *channel)
{
	struct handover packet;
	int fd = -1;
	size_t fd_count = 1;
	ssize_t length =
		message_receive(channel->fd, &packet, sizeof packet, &fd, &fd_count, MSG_DONTWAIT);
	if (length == -EAGAIN)
		return false;
	if (length == -EMSGSIZE) /* its descriptors are closed */
		return true;
	const bool whole = length == (ssize_t)sizeof packet && fd_count == 1;
	if (whole && (packet.flags & ~(unsigned)HANDOVER_TLS) == 0) {
		serve(fd, packet.flags);
		return true;
	}
	if (length >= 0 && fd_count == 1)
		close(fd);
	if (length > 0)
		return true;
	close_channel(channel);
	return false;
}

static void on_packets(uv_poll_t *poll, int status, int events)
{
	struct channel *channel = poll->data;
	(void)events;
	if (status < 0) {
		close_channel(channel);
		return;
	}
	for (int i = 0; i < PACKETS_A_TURN; i++) {
		if (!http_server_has_room()) {
			set_polling(channel, false);
			return;
		}
		if (!receive(channel))
			return;
	}
}

void handover_drain(void)
{
	for (size_t i = count; i-- > 0;) {
		struct channel *channel = channels[i];
		/* From here on a sender gets EPIPE. What is in the channel can still be read, and
		 * behind it is the end: no connection is lost between the two. Read at once, it
		 * finds the program's own listeners open. */
		shutdown(channel->fd, SHUT_RD);
		while (http_server_has_room() && receive(channel))
			;
	}
}
