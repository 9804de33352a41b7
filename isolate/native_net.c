#include "isolate/native_net_private.h"

#include "common/cleanup.h"
#include "isolate/http_connection.h"
#include "isolate/natives.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define READ_BYTES 65536
#define KEEP_BYTES 49152 /* a read as long as that gives its buffer away; others are copied */
#define SLICE_BYTES 65536
#define VECTOR_MAX 16

static _Thread_local engine_ref *net_event;
static size_t stream_class;
static _Thread_local char *read_buffer; /* of the next read, whichever stream has it */

/* ---- telling JavaScript ---- */

/* In a scope that the caller has opened. EXTRA may be NULL. */
void net_tell(
	struct net_stream *stream, enum net_event event, engine_value *value, engine_value *extra)
{
	engine_value *arguments[] = {
		engine_ref_get(runtime.engine, stream->self),
		engine_int32(runtime.engine, event),
		value ? value : engine_undefined(runtime.engine),
		extra ? extra : engine_undefined(runtime.engine),
	};
	runtime_call(engine_ref_get(runtime.engine, net_event), engine_undefined(runtime.engine),
		arguments, ARRAY_LENGTH(arguments));
}

static void tell_status(struct net_stream *stream, enum net_event event, int status)
{
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	net_tell(stream, event, engine_int32(runtime.engine, status), NULL);
	engine_scope_close(runtime.engine, &scope);
}

/* ---- opening and closing ---- */

struct net_stream *net_stream_new(void)
{
	struct net_stream *stream = calloc(1, sizeof *stream);
	if (stream)
		stream->listener = -1;
	return stream;
}

/* FD stays the caller's when this fails. */
int net_stream_open_fd(struct net_stream *stream, int fd)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	/* A pipe is no socket, and libuv's pipes are both. */
	stream->is_tcp = getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
			 address.ss_family != AF_UNIX;
	int result;
	if (stream->is_tcp) {
		uv_tcp_init(&runtime.loop, &stream->uv.tcp);
		result = uv_tcp_open(&stream->uv.tcp, fd);
	} else {
		uv_pipe_init(&runtime.loop, &stream->uv.pipe, 0);
		result = uv_pipe_open(&stream->uv.pipe, fd);
	}
	stream->uv.handle.data = stream;
	stream->open = true;
	return result;
}

void net_stream_reference(struct net_stream *stream)
{
	if (stream->request)
		egress_reference(stream->request, !stream->unreferenced);
	if (!stream->open)
		return;
	if (stream->unreferenced)
		uv_unref(&stream->uv.handle);
	else
		uv_ref(&stream->uv.handle);
}

static void on_closed(uv_handle_t *handle)
{
	struct net_stream *stream = handle->data;
	struct engine_scope scope;
	if (stream->accepted && http_server.holds > 0)
		http_server.holds--;
	if (stream->accepted)
		runtime.stats->connections--;
	if (stream->listener >= 0)
		close_fd(&stream->fd);
	stream->open = false;
	engine_scope_open(runtime.engine, &scope);
	net_tell(stream, NET_CLOSE, NULL, NULL);
	engine_scope_close(runtime.engine, &scope);
	/* From here on it is the garbage collector's. */
	stream->self = engine_ref_free(stream->self);
}

static void forget_write(struct net_stream *stream)
{
	stream->chunks = engine_ref_free(stream->chunks);
	free(stream->slice);
	stream->slice = NULL;
}

void net_stream_close(struct net_stream *stream, bool reset)
{
	stream->closing = true;
	stream->request = egress_cancel(stream->request);
	net_listener_forget(stream);
	if (!stream->open) {
		stream->self = engine_ref_free(stream->self);
		return;
	}
	if (!reset || !stream->is_tcp || stream->listener >= 0 ||
		uv_tcp_close_reset(&stream->uv.tcp, on_closed) < 0)
		uv_close(&stream->uv.handle, on_closed);
}

static void destroy(void *state)
{
	free(state);
}

/* An instance for STREAM, which it owns: kept alive until the stream has closed. */
engine_value *net_stream_instance(struct net_stream *stream)
{
	engine_value *instance = engine_instance_new(runtime.engine, stream_class, stream);
	if (instance)
		stream->self = engine_ref_new(runtime.engine, instance);
	return instance;
}

void net_stream_unused(uv_handle_t *handle)
{
	free(handle->data);
}

engine_value *net_stream_open(int fd)
{
	struct net_stream *stream = net_stream_new();
	int result = stream ? net_stream_open_fd(stream, fd) : -ENOMEM;
	engine_value *instance = NULL;
	if (result == 0)
		instance = net_stream_instance(stream);
	else
		engine_throw(runtime.engine, "Error", uv_err_name(result),
			"cannot open a stream: %s", uv_strerror(result));
	if (result < 0)
		close(fd);
	if (!instance && stream && stream->open)
		uv_close(&stream->uv.handle, net_stream_unused);
	else if (!instance)
		free(stream);
	return instance;
}

/* ---- connecting ---- */

static void tell_refused(struct net_stream *stream, unsigned refusal, int code, const char *text)
{
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	engine_value *items[] = {
		engine_int32(runtime.engine, code),
		engine_string(runtime.engine, text ? text : ""),
	};
	net_tell(stream, NET_CONNECT, engine_int32(runtime.engine, (int32_t)refusal),
		engine_array(runtime.engine, items, ARRAY_LENGTH(items)));
	engine_scope_close(runtime.engine, &scope);
}

static void on_connected(void *data, const struct egress_result *result)
{
	struct net_stream *stream = data;
	stream->request = NULL;
	if (result->refusal) {
		tell_refused(stream, result->refusal, result->code, result->text);
		return;
	}
	int opened = net_stream_open_fd(stream, result->fd);
	if (opened < 0) {
		close(result->fd);
		tell_refused(stream, EGRESS_FAILED, -opened, uv_strerror(opened));
		return;
	}
	net_stream_reference(stream);
	tell_status(stream, NET_CONNECT, 0);
}

/* connect(host, port, unix, family, timeout in ms): 0 or a negative errno. */
static engine_value *stream_connect(struct engine *engine, struct engine_call *call)
{
	struct net_stream *stream = engine_call_state(call);
	if (!stream || stream->open || stream->request || stream->closing)
		return engine_int32(engine, -EALREADY);
	size_t length;
	cleanup_free char *host =
		engine_to_utf8(engine, engine_call_argument(engine, call, 0), &length);
	if (!host)
		return engine_int32(engine, -ENOMEM);
	stream->request = egress_connect(host, length, (uint16_t)engine_argument_int32(call, 1),
		engine_argument_bool(call, 2), (unsigned)engine_argument_int32(call, 3),
		(uint32_t)engine_argument_int32(call, 4), on_connected, stream);
	if (!stream->request)
		return engine_int32(engine, -ENOMEM);
	if (!stream->self)
		stream->self = engine_ref_new(engine, engine_call_this(engine, call));
	net_stream_reference(stream);
	return engine_int32(engine, 0);
}

/* ---- reading ---- */

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
	(void)handle;
	(void)suggested;
	if (!read_buffer)
		read_buffer = malloc(READ_BYTES);
	*ret_buffer = uv_buf_init(read_buffer, read_buffer ? READ_BYTES : 0);
}

/* The bytes of a read as JavaScript has them; NULL when there is no memory for them. */
static engine_value *bytes_of_read(size_t length)
{
	engine_value *bytes;
	if (length >= KEEP_BYTES)
		bytes = engine_bytes_take(runtime.engine, take_pointer(read_buffer), length);
	else
		bytes = engine_bytes_copy(runtime.engine, read_buffer, length);
	if (!bytes)
		engine_exception_take(runtime.engine);
	return bytes;
}

static void on_read(uv_stream_t *uv, ssize_t length, const uv_buf_t *buffer)
{
	struct net_stream *stream = uv->data;
	struct engine_scope scope;
	engine_value *value = NULL;
	(void)buffer;
	if (length == 0)
		return;
	engine_scope_open(runtime.engine, &scope);
	if (length > 0) {
		stream->bytes_read += (uint64_t)length;
		value = bytes_of_read((size_t)length);
		if (!value)
			length = -ENOMEM;
	}
	if (length < 0 && length != UV_EOF)
		value = engine_int32(runtime.engine, (int32_t)length);
	if (length < 0)
		uv_read_stop(uv);
	net_tell(stream, NET_READ, value, NULL);
	engine_scope_close(runtime.engine, &scope);
}

/* The stream of a call, when it is open and stays so. */
static struct net_stream *usable(const struct engine_call *call)
{
	struct net_stream *stream = engine_call_state(call);
	return stream && stream->open && !stream->closing ? stream : NULL;
}

/* The same, if it is no listener, whose handle is not a stream's. */
static struct net_stream *usable_connection(const struct engine_call *call)
{
	struct net_stream *stream = usable(call);
	return stream && stream->listener < 0 ? stream : NULL;
}

static engine_value *stream_read_start(struct engine *engine, struct engine_call *call)
{
	struct net_stream *stream = usable_connection(call);
	if (!stream)
		return engine_int32(engine, -EBADF);
	int result = uv_read_start(&stream->uv.stream, on_allocate, on_read);
	return engine_int32(engine, result == UV_EALREADY ? 0 : result);
}

static engine_value *stream_read_stop(struct engine *engine, struct engine_call *call)
{
	struct net_stream *stream = usable_connection(call);
	if (stream)
		uv_read_stop(&stream->uv.stream);
	return engine_int32(engine, 0);
}

/* ---- writing ---- */

static void on_slice_written(uv_write_t *request, int status);

/* Chunk INDEX of CHUNKS, which is one array of bytes or an array of them. */
static engine_value *chunk_at(engine_value *chunks, uint32_t index)
{
	return engine_is_array(chunks) ? engine_get_index(runtime.engine, chunks, index) : chunks;
}

/* What is next to be written, at most VECTOR_MAX pieces; they hold until JavaScript runs.
 * A chunk that the program has detached meanwhile has no bytes. */
static unsigned gather(const struct net_stream *stream, engine_value *chunks, uv_buf_t *vector)
{
	const uint32_t count = engine_is_array(chunks) ? engine_array_length(chunks) : 1;
	size_t offset = stream->offset;
	unsigned pieces = 0;
	for (uint32_t i = stream->chunk; i < count && pieces < VECTOR_MAX; i++, offset = 0) {
		void *data;
		size_t length;
		engine_value *chunk = chunk_at(chunks, i);
		if (!chunk || !engine_bytes_get(chunk, &data, &length) || length <= offset)
			continue;
		length -= offset;
		vector[pieces++] = uv_buf_init(
			(char *)data + offset, (unsigned)(length > INT32_MAX ? INT32_MAX : length));
	}
	return pieces;
}

static void advance(struct net_stream *stream, engine_value *chunks, size_t written)
{
	const uint32_t count = engine_is_array(chunks) ? engine_array_length(chunks) : 1;
	stream->bytes_written += written;
	for (; stream->chunk < count; stream->chunk++, stream->offset = 0) {
		void *data;
		size_t length = 0;
		engine_value *chunk = chunk_at(chunks, stream->chunk);
		if (!chunk || !engine_bytes_get(chunk, &data, &length))
			length = 0;
		size_t left = length > stream->offset ? length - stream->offset : 0;
		if (written < left) {
			stream->offset += written;
			return;
		}
		written -= left;
	}
}

/* The socket is full: libuv writes a copy of the next bytes when it can. 1 or an errno. */
static int write_slice(struct net_stream *stream, const uv_buf_t *vector, unsigned pieces)
{
	size_t length = 0;
	stream->slice = malloc(SLICE_BYTES);
	if (!stream->slice)
		return -ENOMEM;
	for (unsigned i = 0; i < pieces && length < SLICE_BYTES; i++) {
		size_t room = SLICE_BYTES - length;
		size_t part = vector[i].len < room ? vector[i].len : room;
		memcpy(stream->slice + length, vector[i].base, part);
		length += part;
	}
	stream->slice_length = length;
	uv_buf_t buffer = uv_buf_init(stream->slice, (unsigned)length);
	int result = uv_write(&stream->write, &stream->uv.stream, &buffer, 1, on_slice_written);
	return result < 0 ? result : 1;
}

/* Writes what the socket takes. 0: all of it; 1: the rest follows; or a negative errno. */
static int write_more(struct net_stream *stream, engine_value *chunks)
{
	for (;;) {
		uv_buf_t vector[VECTOR_MAX];
		unsigned pieces = gather(stream, chunks, vector);
		if (pieces == 0)
			return 0;
		int written = uv_try_write(&stream->uv.stream, vector, pieces);
		if (written == UV_EAGAIN)
			return write_slice(stream, vector, pieces);
		if (written < 0)
			return written;
		advance(stream, chunks, (size_t)written);
	}
}

static void on_slice_written(uv_write_t *request, int status)
{
	struct net_stream *stream = request->handle->data;
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	free(stream->slice);
	stream->slice = NULL;
	if (status == 0) {
		engine_value *chunks = engine_ref_get(runtime.engine, stream->chunks);
		advance(stream, chunks, stream->slice_length);
		status = stream->closing ? UV_ECANCELED : write_more(stream, chunks);
	}
	if (status <= 0) {
		forget_write(stream);
		net_tell(stream, NET_WRITE, engine_int32(runtime.engine, status), NULL);
	}
	engine_scope_close(runtime.engine, &scope);
}

/* write(bytes or array of bytes): 0 written, 1 the event NET_WRITE follows, or a negative
 * errno. One at a time: the library's streams queue the rest, within their limit. */
static engine_value *stream_write(struct engine *engine, struct engine_call *call)
{
	struct net_stream *stream = usable_connection(call);
	if (!stream)
		return engine_int32(engine, -EBADF);
	if (stream->chunks)
		return engine_int32(engine, -EALREADY);
	engine_value *chunks = engine_call_argument(engine, call, 0);
	stream->chunk = 0;
	stream->offset = 0;
	int result = write_more(stream, chunks);
	if (result == 1)
		stream->chunks = engine_ref_new(engine, chunks);
	else
		forget_write(stream);
	return engine_int32(engine, result);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
	tell_status(request->handle->data, NET_SHUTDOWN, status);
}

/* shutdown(): our side ends. 0: the event NET_SHUTDOWN follows; or a negative errno. */
static engine_value *stream_shutdown(struct engine *engine, struct engine_call *call)
{
	struct net_stream *stream = usable_connection(call);
	if (!stream)
		return engine_int32(engine, -ENOTCONN);
	return engine_int32(
		engine, uv_shutdown(&stream->shutdown, &stream->uv.stream, on_shutdown));
}

/* ---- the rest of a handle ---- */

/* close(reset): whether the event NET_CLOSE follows; false when nothing was open. */
static engine_value *stream_close(struct engine *engine, struct engine_call *call)
{
	struct net_stream *stream = engine_call_state(call);
	if (!stream || stream->closing)
		return engine_bool(engine, false);
	bool open = stream->open;
	net_stream_close(stream, engine_argument_bool(call, 0));
	return engine_bool(engine, open);
}

static engine_value *reference(struct engine_call *call, bool wanted)
{
	struct net_stream *stream = engine_call_state(call);
	if (stream) {
		stream->unreferenced = !wanted;
		net_stream_reference(stream);
	}
	return NULL;
}

static engine_value *stream_ref(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	return reference(call, true);
}

static engine_value *stream_unref(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	return reference(call, false);
}

static engine_value *stream_has_ref(struct engine *engine, struct engine_call *call)
{
	struct net_stream *stream = engine_call_state(call);
	return engine_bool(engine, stream && !stream->closing && !stream->unreferenced);
}

/* setNoDelay(whether): 0 or a negative errno. */
static engine_value *stream_set_no_delay(struct engine *engine, struct engine_call *call)
{
	struct net_stream *stream = usable_connection(call);
	int result = 0;
	if (stream && stream->is_tcp)
		result = uv_tcp_nodelay(&stream->uv.tcp, engine_argument_bool(call, 0));
	return engine_int32(engine, result);
}

/* setKeepAlive(whether, seconds): 0 or a negative errno. Without a delay the system's. */
static engine_value *stream_set_keep_alive(struct engine *engine, struct engine_call *call)
{
	struct net_stream *stream = usable_connection(call);
	uv_os_fd_t fd;
	int on = engine_argument_bool(call, 0), delay = engine_argument_int32(call, 1);
	int result = 0;
	if (!stream || !stream->is_tcp)
		return engine_int32(engine, 0);
	if (!on || delay > 0)
		result = uv_tcp_keepalive(&stream->uv.tcp, on, (unsigned)delay);
	else if (uv_fileno(&stream->uv.handle, &fd) == 0)
		result = setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) < 0 ? -errno : 0;
	return engine_int32(engine, result);
}

static engine_value *address_object(struct engine *engine, const struct sockaddr_storage *address)
{
	char text[INET6_ADDRSTRLEN];
	engine_value *object = engine_object(engine);
	if (address->ss_family == AF_INET6) {
		const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
		inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
		engine_set(engine, object, "address", engine_string(engine, text));
		engine_set(engine, object, "family", engine_string(engine, "IPv6"));
		engine_set(engine, object, "port", engine_int32(engine, ntohs(six->sin6_port)));
	} else if (address->ss_family == AF_INET) {
		const struct sockaddr_in *four = (const struct sockaddr_in *)address;
		inet_ntop(AF_INET, &four->sin_addr, text, sizeof text);
		engine_set(engine, object, "address", engine_string(engine, text));
		engine_set(engine, object, "family", engine_string(engine, "IPv4"));
		engine_set(engine, object, "port", engine_int32(engine, ntohs(four->sin_port)));
	}
	return object;
}

/* address(whether the peer's): { address, family, port }; {} of a unix socket; undefined
 * when it has none (any more). */
static engine_value *stream_address(struct engine *engine, struct engine_call *call)
{
	struct net_stream *stream = usable(call);
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof address;
	uv_os_fd_t fd;
	if (!stream || uv_fileno(&stream->uv.handle, &fd) < 0)
		return NULL;
	int result = engine_argument_bool(call, 0)
			     ? getpeername(fd, (struct sockaddr *)&address, &length)
			     : getsockname(fd, (struct sockaddr *)&address, &length);
	return result < 0 ? NULL : address_object(engine, &address);
}

/* hasInput(): something has arrived that was not read yet. */
static engine_value *stream_has_input(struct engine *engine, struct engine_call *call)
{
	struct net_stream *stream = usable_connection(call);
	uv_os_fd_t fd;
	int length = 0;
	if (!stream || uv_fileno(&stream->uv.handle, &fd) < 0 || ioctl(fd, FIONREAD, &length) < 0)
		length = 0;
	return engine_bool(engine, length > 0);
}

static engine_value *stream_bytes_read(struct engine *engine, struct engine_call *call)
{
	struct net_stream *stream = engine_call_state(call);
	return engine_number(engine, stream ? (double)stream->bytes_read : 0);
}

static engine_value *stream_bytes_written(struct engine *engine, struct engine_call *call)
{
	struct net_stream *stream = engine_call_state(call);
	return engine_number(engine, stream ? (double)stream->bytes_written : 0);
}

static engine_value *construct(struct engine *engine, struct engine_call *call)
{
	struct net_stream *stream = net_stream_new();
	if (!stream)
		return engine_throw(engine, "RangeError", NULL, "out of memory");
	engine_set_state(engine_call_this(engine, call), stream);
	return NULL;
}

/* ---- the module ---- */

static void find_hooks(void)
{
	const struct engine_tables *tables = natives_tables();
	net_event = runtime_hook("netEvent");
	net_listeners_bind();
	while (strcmp(tables->classes[stream_class].name, "NetStream") != 0)
		stream_class++;
}

static const struct engine_native methods[] = {
	{"connect", stream_connect, 5},
	{"listen", net_stream_listen, 1},
	{"readStart", stream_read_start, 0},
	{"readStop", stream_read_stop, 0},
	{"write", stream_write, 1},
	{"shutdown", stream_shutdown, 0},
	{"close", stream_close, 1},
	{"ref", stream_ref, 0},
	{"unref", stream_unref, 0},
	{"hasRef", stream_has_ref, 0},
	{"setNoDelay", stream_set_no_delay, 1},
	{"setKeepAlive", stream_set_keep_alive, 2},
	{"address", stream_address, 1},
	{"hasInput", stream_has_input, 0},
};

static const struct engine_native getters[] = {
	{"bytesRead", stream_bytes_read, 0},
	{"bytesWritten", stream_bytes_written, 0},
};

static const struct engine_class classes[] = {
	{
		.name = "NetStream",
		.construct = construct,
		.methods = methods,
		.method_count = ARRAY_LENGTH(methods),
		.getters = getters,
		.getter_count = ARRAY_LENGTH(getters),
		.destroy = destroy,
	},
};

static const struct engine_native natives[] = {
	{"netListeners", net_list_listeners, 0},
	{"netListenAudit", net_listen_audit, 2},
	{"netTakeShared", net_take_shared, 1},
};

/* Of a thread, sockets and pipes of its loop are streams of this file. */
static void close_stream(uv_handle_t *handle, void *data)
{
	(void)data;
	if ((handle->type == UV_TCP || handle->type == UV_NAMED_PIPE) && !uv_is_closing(handle))
		net_stream_close(handle->data, false);
}

static void stop(void)
{
	uv_walk(&runtime.loop, close_stream, NULL);
	free(read_buffer);
	read_buffer = NULL;
}

const struct native_module net_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
	.bind = find_hooks,
	.stop = stop,
};
