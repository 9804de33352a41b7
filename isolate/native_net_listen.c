/* Listeners that a program takes over (node:net), and what connects to them. */

#include "isolate/native_net_private.h"

#include "common/cleanup.h"
#include "isolate/http_connection.h"
#include "isolate/http_server.h"
#include "isolate/permission.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#define REST_MS 100

static struct {
	int first_fd;
	size_t count;
	struct net_stream *taken[WORKER_LISTENERS_MAX];
	bool refused; /* by ACCEPT */
	bool resting; /* for want of descriptors */
	uv_timer_t rest;
} listeners;

void net_listeners_given(int first_fd, size_t count)
{
	listeners.first_fd = first_fd;
	listeners.count = count;
}

bool net_listener_taken(size_t index)
{
	return index < WORKER_LISTENERS_MAX && listeners.taken[index];
}

void net_listener_forget(const struct net_stream *stream)
{
	if (stream->listener >= 0 && listeners.taken[stream->listener] == stream)
		listeners.taken[stream->listener] = NULL;
}

engine_value *net_stream_accepted(int fd)
{
	struct net_stream *stream = net_stream_new();
	int result = stream ? net_stream_open_fd(stream, fd) : -ENOMEM;
	if (result < 0)
		close(fd);
	if (!stream)
		return NULL;
	engine_value *instance = result == 0 ? net_stream_instance(stream) : NULL;
	if (!instance) {
		engine_exception_take(runtime.engine);
		uv_close(&stream->uv.handle, net_stream_unused);
		return NULL;
	}
	stream->accepted = true;
	http_server.holds++;
	runtime.stats->connections++;
	return instance;
}

/* A connection of SERVER's, over FD, which becomes the stream's in any case. */
static void give_connection(struct net_stream *server, int fd)
{
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	engine_value *instance = net_stream_accepted(fd);
	if (instance)
		net_tell(server, NET_CONNECTION, instance, NULL);
	engine_scope_close(runtime.engine, &scope);
}

/* ---- the ports that tenants share ---- */

static _Thread_local engine_ref *shared_connection;
static _Thread_local bool shared_taken;

void net_listeners_bind(void)
{
	shared_connection = runtime_hook("sharedConnection");
}

bool net_shared_taken(void)
{
	return shared_taken;
}

bool net_shared_given(int fd, bool tls)
{
	struct engine_scope scope;
	if (!shared_taken)
		return false;
	engine_scope_open(runtime.engine, &scope);
	engine_value *arguments[] = {net_stream_accepted(fd), engine_bool(runtime.engine, tls)};
	if (arguments[0])
		runtime_call(engine_ref_get(runtime.engine, shared_connection),
			engine_undefined(runtime.engine), arguments, ARRAY_LENGTH(arguments));
	engine_scope_close(runtime.engine, &scope);
	return true;
}

/* netTakeShared(whether): the program's own server takes what comes to the ports that tenants
 * share. False when nothing of them is the tenant's. */
engine_value *net_take_shared(struct engine *engine, struct engine_call *call)
{
	const bool possible = !runtime.thread && runtime.start && runtime.start->ingress;
	shared_taken = possible && engine_argument_bool(call, 0);
	return engine_bool(engine, possible);
}

/* ---- accepting ---- */

static void on_connection(uv_poll_t *poll, int status, int events);

static void watch_listener(struct net_stream *server)
{
	if (listeners.refused || listeners.resting)
		uv_poll_stop(&server->uv.poll);
	else
		uv_poll_start(&server->uv.poll, UV_READABLE, on_connection);
}

static void watch_listeners(void)
{
	for (size_t i = 0; i < listeners.count; i++)
		if (listeners.taken[i])
			watch_listener(listeners.taken[i]);
}

static void on_rested(uv_timer_t *timer)
{
	(void)timer;
	listeners.resting = false;
	watch_listeners();
}

/* Descriptors have run out. The listener stays readable: asking on would be a busy loop. */
static void rest(void)
{
	if (!listeners.rest.loop)
		uv_timer_init(&runtime.loop, &listeners.rest);
	listeners.resting = true;
	uv_timer_start(&listeners.rest, on_rested, REST_MS, 0);
	watch_listeners();
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct net_stream *server = poll->data;
	(void)events;
	int fd = status < 0 ? -1 : accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		give_connection(server, fd);
	else if (status == 0 &&
		 (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
		rest();
}

bool net_listener_address(size_t index, struct sockaddr *address, socklen_t *length)
{
	return index < listeners.count &&
	       getsockname(listeners.first_fd + (int)index, address, length) == 0;
}

bool net_connection_given(size_t index, int fd)
{
	if (!net_listener_taken(index))
		return false;
	give_connection(listeners.taken[index], fd);
	return true;
}

void net_listeners_accept(bool on)
{
	listeners.refused = !on;
	watch_listeners();
}

static int listen_on(struct net_stream *stream, size_t index)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	if (listeners.taken[index])
		return -EADDRINUSE;
	if (runtime.stopping)
		return -ECANCELED;
	int fd = fcntl(listeners.first_fd + (int)index, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* What it has accepted already it answers. */
	http_server_release(index);
	stream->is_tcp = getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
			 address.ss_family != AF_UNIX;
	int result = uv_poll_init(&runtime.loop, &stream->uv.poll, fd);
	if (result < 0) {
		close(fd);
		return result;
	}
	stream->listener = (int)index;
	stream->fd = fd;
	stream->uv.handle.data = stream;
	stream->open = true;
	watch_listener(stream);
	return 0;
}

/* listen(index of netListeners): takes that listener over. 0 or a negative errno. */
engine_value *net_stream_listen(struct engine *engine, struct engine_call *call)
{
	struct net_stream *stream = engine_call_state(call);
	int32_t index = engine_argument_int32(call, 0);
	if (!stream || stream->open || stream->request || stream->closing || index < 0 ||
		(size_t)index >= listeners.count)
		return engine_int32(engine, -EINVAL);
	if (listeners.taken[index])
		return engine_int32(engine, -EADDRINUSE);
	if (!stream->self)
		stream->self = engine_ref_new(engine, engine_call_this(engine, call));
	int result = listen_on(stream, (size_t)index);
	if (result < 0) {
		net_stream_close(stream, false);
		return engine_int32(engine, result);
	}
	listeners.taken[index] = stream;
	net_stream_reference(stream);
	return engine_int32(engine, 0);
}

void net_listeners_drain(void)
{
	for (size_t i = 0; i < listeners.count; i++)
		if (listeners.taken[i])
			net_stream_close(listeners.taken[i], false);
}

/* netListeners(): [[name, address], …] of START: "tcp:127.0.0.1:80", "unix:/run/x". */
engine_value *net_list_listeners(struct engine *engine, struct engine_call *call)
{
	(void)call;
	engine_value *list = engine_array(engine, NULL, 0);
	for (size_t i = 0; i < listeners.count && i < runtime.start->listener_count; i++) {
		const char *name = runtime.start->listener_names[i];
		engine_value *items[] = {
			engine_string(engine, name ? name : ""),
			engine_string(engine, runtime.start->listeners[i]),
		};
		engine_set_index(engine, list, (uint32_t)i, engine_array(engine, items, 2));
	}
	return list;
}

/* netListenAudit(whether granted, resource): for the operator. Who decided is the supervisor,
 * which bound what the policy grants. */
engine_value *net_listen_audit(struct engine *engine, struct engine_call *call)
{
	size_t length;
	cleanup_free char *resource =
		engine_to_utf8(engine, engine_call_argument(engine, call, 1), &length);
	if (resource)
		permission_audit(AUDIT_NET_LISTEN, AUDIT_LAYER_SUPERVISOR,
			engine_argument_bool(call, 0), resource);
	return NULL;
}
