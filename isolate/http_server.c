#include "isolate/http_server.h"

#include "common/cleanup.h"
#include "isolate/handover.h"
#include "isolate/http2.h"
#include "isolate/http_exchange.h"
#include "isolate/native_net.h"
#include "isolate/natives.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct listener {
	uv_poll_t poll;
	int fd;
	bool is_tcp;
	bool open;    /* it is for us to accept on */
	bool polling; /* and we do */
};

static struct listener listeners[WORKER_LISTENERS_MAX];
static size_t listener_count;
static uv_prepare_t before_wait;
static uv_idle_t no_wait; /* active while connections wait for their turn */
static uv_timer_t sweep, cut;
static bool refused; /* by ACCEPT: connections come by handover, or not at all */
static bool drained;
static void (*when_drained)(void);

/* ---- the clock ---- */

/* Whoever waits for a connection to be quiet waits for less than a second. */
static uint64_t sweep_every(void)
{
	return http_server.draining || http_server.full ? HTTP_HASTY_SWEEP_MS : HTTP_SWEEP_MS;
}

static void on_sweep(uv_timer_t *timer)
{
	http_date_refresh();
	if (http_server.open == 0)
		uv_timer_stop(timer);
	http_connections_sweep();
	/* One that was answered just now may be idle long enough by now; and descriptors that ran
	 * out may have been the program's own, which nobody tells of. */
	if (http_server.full)
		http_server_closed();
	else if (uv_is_active((uv_handle_t *)timer))
		uv_timer_set_repeat(timer, sweep_every());
}

/* One timer for all deadlines, only while there are connections. */
static void start_sweep(void)
{
	const uint64_t every = sweep_every();
	if (uv_is_active((uv_handle_t *)&sweep) && uv_timer_get_repeat(&sweep) <= every)
		return;
	http_date_refresh();
	uv_timer_start(&sweep, on_sweep, every, every);
}

/* ---- accepting ---- */

/* Makes room by closing the connection that has been idle longest; none whose next request
 * may be on its way. */
static bool evict_idle(void)
{
	struct http_connection *oldest = NULL;
	for (struct http_connection *connection = http_server.connections; connection;
		connection = connection->next)
		if (http_connection_idle(connection) &&
			(!oldest || connection->since_ms < oldest->since_ms))
			oldest = connection;
	if (!oldest || !http_connection_may_end(oldest))
		return false;
	http_connection_cut(oldest, HTTP_ABORT_DISCONNECTED);
	return true;
}

static void on_connection(uv_poll_t *poll, int status, int events);

/* Polls exactly the listeners that connections are wanted from. Nothing is accepted that
 * cannot be served: others of this tenant's workers may take it. */
static void watch_listeners(void)
{
	const bool wanted = !refused && !http_server.full && !http_server.draining;
	for (size_t i = 0; i < listener_count; i++) {
		struct listener *listener = &listeners[i];
		const bool poll = listener->open && wanted;
		if (poll == listener->polling)
			continue;
		listener->polling = poll;
		if (poll)
			uv_poll_start(&listener->poll, UV_READABLE, on_connection);
		else
			uv_poll_stop(&listener->poll);
	}
}

static void wait_for_room(void)
{
	http_server.full = true;
	watch_listeners();
	start_sweep();
}

bool http_server_has_room(void)
{
	/* The slots of connections that were closed in this turn come back in the next. */
	const bool slots = http_server.pooled > 0 || http_server.made < HTTP_CONNECTIONS_MAX;
	if (!http_server.full &&
		(!slots || (http_server.open >= http_server.limit && !evict_idle())))
		wait_for_room();
	return !http_server.full;
}

int http_server_serve(int fd, bool is_tcp, int listener, unsigned flags)
{
	int result = http_connection_open(fd, is_tcp, listener, flags);
	if (result == 0)
		start_sweep();
	return result;
}

/* One at a time: so several workers that share the listener share its connections. */
static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct listener *listener = poll->data;
	(void)events;
	if (status < 0 || !http_server_has_room())
		return;
	int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		(void)http_server_serve(fd, listener->is_tcp, (int)(listener - listeners), 0);
	else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
		wait_for_room(); /* It stays readable: asking on would be a busy loop. */
}

static int open_listener(struct listener *listener, const char *name, struct error *error)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	if (getsockname(listener->fd, (struct sockaddr *)&address, &length) < 0)
		return error_errno(error, errno, "cannot use the listener %s", name);
	listener->is_tcp = address.ss_family != AF_UNIX;
	int result = uv_poll_init(http_server.loop, &listener->poll, listener->fd);
	if (result < 0)
		return error_set(error, result, "cannot accept on the listener %s: %s", name,
			uv_strerror(result));
	listener->poll.data = listener;
	listener->open = true;
	return 0;
}

/* The descriptor stays: a program that takes the listener over copies it. */
void http_server_release(size_t index)
{
	struct listener *listener = &listeners[index];
	if (index >= listener_count || !listener->open)
		return;
	listener->open = listener->polling = false;
	uv_close((uv_handle_t *)&listener->poll, NULL);
}

void http_server_accept(bool on)
{
	refused = !on;
	if (http_server.loop)
		watch_listeners();
}

/* ---- life ---- */

static void check_drained(void)
{
	if (drained || http_server.open || http_server.holds || handover_channels())
		return;
	drained = true;
	when_drained();
}

static void on_before_wait(uv_prepare_t *handle)
{
	(void)handle;
	if (http_server.dirty)
		http_connections_run_dirty();
	if (http_server.draining)
		check_drained();
}

static void on_no_wait(uv_idle_t *handle)
{
	(void)handle;
}

void http_server_dirty(bool more)
{
	if (more)
		uv_idle_start(&no_wait, on_no_wait);
	else
		uv_idle_stop(&no_wait);
}

void http_server_closed(void)
{
	if (!http_server.full)
		return;
	http_server.full = false;
	watch_listeners();
	handover_resume();
}

static void take_limits(const struct worker_start *start)
{
	uint32_t limit = HTTP_CONNECTIONS_MAX;
	if (start->files && start->files < limit + HTTP_FILES_RESERVED)
		limit = start->files > 2 * HTTP_FILES_RESERVED ? start->files - HTTP_FILES_RESERVED
							       : start->files / 2;
	http_server.limit = limit ? limit : 1;
	http_server.concurrent = start->concurrent;
	http_server.body_bytes = start->body_bytes;
	http_server.out_bytes = start->memory_bytes / 4;
	http_server.request_ms = start->request_ms;
	http_server.idle_ms = start->idle_ms ? start->idle_ms : HTTP_IDLE_MS;
}

int http_server_start(const int *listener_fds, size_t count, struct error *error)
{
	if (count > WORKER_LISTENERS_MAX)
		return error_set(error, E2BIG, "%zu listeners; at most %d are possible", count,
			WORKER_LISTENERS_MAX);
	http_server.loop = &runtime.loop;
	take_limits(runtime.start);
	uv_prepare_init(&runtime.loop, &before_wait);
	uv_prepare_start(&before_wait, on_before_wait);
	uv_idle_init(&runtime.loop, &no_wait);
	uv_timer_init(&runtime.loop, &sweep);
	uv_timer_init(&runtime.loop, &cut);
	uv_unref((uv_handle_t *)&before_wait);
	uv_unref((uv_handle_t *)&sweep);
	for (size_t i = 0; i < count; i++) {
		const char *name = i < runtime.start->listener_count && runtime.start->listeners[i]
					   ? runtime.start->listeners[i]
					   : "(unnamed)";
		int result = 0;
		listeners[i].fd = listener_fds[i];
		if (!net_listener_taken(i))
			result = open_listener(&listeners[i], name, error);
		if (result < 0)
			return result;
		listener_count = i + 1;
	}
	watch_listeners();
	handover_resume();
	return 0;
}

static void on_cut(uv_timer_t *timer)
{
	(void)timer;
	handover_close();
	for (struct http_connection *next, *connection = http_server.connections; connection;
		connection = next) {
		next = connection->next;
		http_connection_cut(connection, HTTP_ABORT_DRAINED);
	}
	runtime_tick();
	http_server.holds = 0;
}

/* Closed, not shut down: other workers accept on the same sockets, and take what waits in
 * their queues. */
static void close_listeners(void)
{
	for (size_t i = 0; i < listener_count; i++) {
		http_server_release(i);
		close(listeners[i].fd);
		listeners[i].fd = -1;
	}
	net_listeners_drain();
}

void http_server_drain(uint64_t cut_ms, void (*done)(void))
{
	if (http_server.draining)
		return;
	when_drained = done;
	handover_drain();
	http_server.draining = true;
	close_listeners();
	for (struct http_connection *next, *connection = http_server.connections; connection;
		connection = next) {
		next = connection->next;
		if (connection->http2)
			http2_shut(connection);
		else if (http_connection_may_end(connection))
			http_connection_cut(connection, HTTP_ABORT_DRAINED);
	}
	start_sweep(); /* from now on it looks more often */
	uv_timer_start(&cut, on_cut, cut_ms, 0);
}

/* ---- the module ---- */

const struct native_module http_natives = {
	.natives = http_exchange_natives,
	.native_count = HTTP_EXCHANGE_NATIVES,
	.bind = http_exchange_bind,
	.first_thread_only = true,
};
