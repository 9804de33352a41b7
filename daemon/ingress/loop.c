/* The event loop: plain epoll, because a connection that has all of its head already costs
 * no more than accept, recv and sendmsg. */
#include "daemon/ingress/private.h"

#include "daemon/helper/helper.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 128

void close_shared(int fd)
{
	/* close(2) of the last reference waits as long as SO_LINGER says, whatever
	 * O_NONBLOCK says. */
	const struct linger off = {0};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);
	close(fd);
}

int loop_open(struct world *world, struct error *error)
{
	world->epoll = epoll_create1(EPOLL_CLOEXEC);
	return world->epoll < 0 ? error_errno(error, errno, "cannot make an event loop") : 0;
}

static int control(struct world *world, int operation, struct watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};
	return epoll_ctl(world->epoll, operation, watch->fd, &event) < 0 ? -errno : 0;
}

int loop_add(struct world *world, struct watch *watch, uint32_t events)
{
	return control(world, EPOLL_CTL_ADD, watch, events);
}

int loop_change(struct world *world, struct watch *watch, uint32_t events)
{
	return control(world, EPOLL_CTL_MOD, watch, events);
}

void loop_remove(struct world *world, struct watch *watch)
{
	/* One that was never added is no error. */
	(void)control(world, EPOLL_CTL_DEL, watch, 0);
}

static void dispatch(const struct epoll_event *events, int count)
{
	for (int i = 0; i < count; i++) {
		struct watch *watch = events[i].data.ptr;
		if (watch->fd >= 0) /* else it ended in this very turn */
			watch->ready(watch, events[i].events);
	}
}

int loop_run(struct world *world, struct error *error)
{
	struct epoll_event events[EVENTS_MAX];
	const int result = helper_watchdog();
	if (result < 0)
		return error_errno(error, -result, "cannot set the watchdog");
	while (!world->ended) {
		const int timeout = connections_tick(world);
		connections_settle(world);
		helper_busy(false);
		const int count = epoll_wait(world->epoll, events, EVENTS_MAX, timeout);
		const int code = errno;
		helper_busy(true);
		if (count >= 0)
			dispatch(events, count);
		else if (code != EINTR)
			return error_errno(error, code, "cannot wait for events");
		connections_settle(world);
	}
	return world->end_code;
}
