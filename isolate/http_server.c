#include "isolate/http_server.h"

#include "common/cleanup.h"
#include "isolate/http_exchange.h"
#include "isolate/native_net.h"
#include "isolate/natives.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

struct listener {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
	bool is_tcp;
	bool open;
	bool held; /* a connection waits in libuv until there is room */
};

static struct listener listeners[WORKER_LISTENERS_MAX];
static size_t listener_count;
static uv_prepare_t before_wait;
static uv_idle_t no_wait; /* active while connections wait for their turn */
static uv_timer_t sweep, grace;
static bool drained;

/* ---- the clock ---- */

static void on_sweep(uv_timer_t *timer)
{
	http_date_refresh();
	if (http_server.open == 0)
		uv_timer_stop(timer);
	http_connections_sweep();
}

/* One timer for all deadlines, only while there are connections. */
static void start_sweep(void)
{
	if (uv_is_active((uv_handle_t *)&sweep))
		return;
	http_date_refresh();
	uv_timer_start(&sweep, on_sweep, HTTP_SWEEP_MS, HTTP_SWEEP_MS);
}

/* ---- accepting ---- */

/* Makes room by closing the connection that has been idle longest. */
static bool evict_idle(void)
{
	struct http_connection *oldest = NULL;
	for (struct http_connection *connection = http_server.connections; connection;
		connection = connection->next)
		if (http_connection_idle(connection) &&
			(!oldest || connection->since_ms < oldest->since_ms))
			oldest = connection;
	if (oldest)
		http_connection_cut(oldest, HTTP_ABORT_DISCONNECTED);
	return oldest;
}

static void on_unused(uv_handle_t *handle)
{
	http_connection_drop(handle->data);
}

static void accept_one(struct listener *listener)
{
	struct http_connection *connection = http_connection_new();
	if (!connection) {
		listener->held = true;
		return;
	}
	connection->is_tcp = listener->is_tcp;
	connection->listener = (uint8_t)(listener - listeners);
	connection->uv.handle.data = connection;
	if (listener->is_tcp)
		uv_tcp_init(http_server.loop, &connection->uv.tcp);
	else
		uv_pipe_init(http_server.loop, &connection->uv.pipe, 0);
	connection->uv.handle.data = connection;
	listener->held = false;
	if (uv_accept(&listener->uv.stream, &connection->uv.stream) < 0) {
		uv_close(&connection->uv.handle, on_unused);
		return;
	}
	/* A response is one write: there is nothing for Nagle's algorithm to join. */
	if (listener->is_tcp)
		uv_tcp_nodelay(&connection->uv.tcp, 1);
	http_connection_open(connection);
	start_sweep();
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct listener *listener = stream->data;
	if (status < 0)
		return;
	if (http_server.open >= http_server.limit && !evict_idle()) {
		/* Not accepted: libuv stops asking, and others of this tenant's
		 * workers may take the next. */
		listener->held = true;
		return;
	}
	accept_one(listener);
}

static void accept_held(void)
{
	for (size_t i = 0; i < listener_count; i++)
		if (listeners[i].open && listeners[i].held &&
			http_server.open < http_server.limit && !http_server.draining)
			accept_one(&listeners[i]);
}

static int open_listener(struct listener *listener, int fd, const char *name, struct error *error)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return error_errno(error, errno, "cannot use the listener %s", name);
	listener->is_tcp = address.ss_family != AF_UNIX;
	int result;
	if (listener->is_tcp) {
		uv_tcp_init(http_server.loop, &listener->uv.tcp);
		result = uv_tcp_open(&listener->uv.tcp, fd);
	} else {
		uv_pipe_init(http_server.loop, &listener->uv.pipe, 0);
		result = uv_pipe_open(&listener->uv.pipe, fd);
	}
	listener->uv.handle.data = listener;
	if (result == 0)
		result = uv_listen(&listener->uv.stream, SOMAXCONN, on_connection);
	if (result < 0)
		return error_set(error, result, "cannot accept on the listener %s: %s", name,
			uv_strerror(result));
	listener->open = true;
	return 0;
}

static void close_listener(struct listener *listener)
{
	if (!listener->open)
		return;
	listener->open = false;
	uv_close(&listener->uv.handle, NULL);
}

void http_server_release(size_t index)
{
	if (index < listener_count)
		close_listener(&listeners[index]);
}

/* ---- life ---- */

static void check_drained(void)
{
	if (!http_server.draining || drained || http_server.open || http_server.holds)
		return;
	drained = true;
	http_on_drained();
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
	accept_held();
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
	uv_timer_init(&runtime.loop, &grace);
	uv_unref((uv_handle_t *)&before_wait);
	uv_unref((uv_handle_t *)&sweep);
	for (size_t i = 0; i < count; i++) {
		const char *name = i < runtime.start->listener_count && runtime.start->listeners[i]
					   ? runtime.start->listeners[i]
					   : "(unnamed)";
		int result = 0;
		if (!net_listener_taken(i))
			result = open_listener(&listeners[i], listener_fds[i], name, error);
		if (result < 0)
			return result;
		listener_count = i + 1;
	}
	return 0;
}

static void on_grace(uv_timer_t *timer)
{
	(void)timer;
	for (struct http_connection *next, *connection = http_server.connections; connection;
		connection = next) {
		next = connection->next;
		http_connection_cut(connection, HTTP_ABORT_DRAINED);
	}
	runtime_tick();
	http_server.holds = 0;
}

void http_server_drain(uint32_t grace_ms)
{
	if (http_server.draining)
		return;
	http_server.draining = true;
	/* Closed, not shut down: other workers accept on the same sockets. */
	for (size_t i = 0; i < listener_count; i++)
		close_listener(&listeners[i]);
	net_listeners_drain();
	for (struct http_connection *next, *connection = http_server.connections; connection;
		connection = next) {
		next = connection->next;
		if (http_connection_may_end(connection))
			http_connection_cut(connection, HTTP_ABORT_DRAINED);
	}
	/* A little before the supervisor's own deadline, so that the end is orderly. */
	uint32_t early = grace_ms / 10 < 250 ? grace_ms / 10 : 250;
	uv_timer_start(&grace, on_grace, grace_ms - early, 0);
}

/* ---- the module ---- */

const struct native_module http_natives = {
	.natives = http_exchange_natives,
	.native_count = HTTP_EXCHANGE_NATIVES,
	.bind = http_exchange_bind,
};
