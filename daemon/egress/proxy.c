/* The proxy of a job: a listening socket in the job's own network namespace, whose clients
 * reach what the job's policy allows and nothing else. As many as limits.connect.concurrent
 * at a time; the others wait in the socket's queue. */
#include "daemon/egress/private.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define AGAIN_US 200000 /* after an accept that failed */

static int try_again(sd_event_source *source, uint64_t usec, void *data)
{
	(void)source;
	(void)usec;
	proxy_has_room(data);
	return 0;
}

static void rest(struct proxy *proxy)
{
	sd_event_source_set_enabled(proxy->source, SD_EVENT_OFF);
	sd_event_source_set_time_relative(proxy->again, AGAIN_US);
	sd_event_source_set_enabled(proxy->again, SD_EVENT_ONESHOT);
}

static int listener_ready(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct proxy *proxy = data;
	const struct linger off = {0};
	(void)events;
	int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (client < 0) {
		if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			rest(proxy); /* no descriptors, no memory, or shut down */
		return 0;
	}
	/* Inherited from a listener that its owner may have set up for that. */
	setsockopt(client, SOL_SOCKET, SO_LINGER, &off, sizeof off);
	if (proxy_client_new(proxy, client) < 0)
		rest(proxy);
	else if (proxy->client_count >= proxy->member->concurrent)
		sd_event_source_set_enabled(source, SD_EVENT_OFF);
	return 0;
}

void proxy_has_room(struct proxy *proxy)
{
	if (proxy->client_count < proxy->member->concurrent)
		sd_event_source_set_enabled(proxy->source, SD_EVENT_ON);
}

int proxy_new(struct member *member, int listener, struct proxy **ret_proxy, struct error *error)
{
	struct proxy *proxy = calloc(1, sizeof *proxy);
	if (proxy == NULL) {
		close_foreign(listener);
		return error_set(error, ENOMEM, "no memory for a proxy");
	}
	proxy->member = member;
	proxy->listener = listener;
	sd_event *event = member->world->event;
	int result = fcntl(listener, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
	if (result == 0)
		result = sd_event_add_io(
			event, &proxy->source, listener, EPOLLIN, listener_ready, proxy);
	if (result >= 0)
		result = sd_event_add_time_relative(
			event, &proxy->again, CLOCK_MONOTONIC, 0, 1000, try_again, proxy);
	if (result < 0) {
		proxy_free(proxy);
		return error_errno(error, -result, "cannot serve a proxy");
	}
	sd_event_source_set_enabled(proxy->again, SD_EVENT_OFF);
	*ret_proxy = proxy;
	return 0;
}

struct proxy *proxy_free(struct proxy *proxy)
{
	if (proxy == NULL)
		return NULL;
	while (proxy->clients)
		proxy_client_free(proxy->clients);
	sd_event_source_disable_unref(proxy->source);
	sd_event_source_disable_unref(proxy->again);
	close_foreign(proxy->listener);
	free(proxy);
	return NULL;
}
