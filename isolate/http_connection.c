#include "isolate/http_connection_private.h"

#include "isolate/http2.h"
#include "isolate/http_exchange.h"
#include "isolate/http_sites.h"
#include "isolate/http_tls.h"
#include "isolate/http_upgrade.h"
#include "isolate/server_tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct http_server http_server;

/* One read fills it and is parsed before the next one begins. */
static char read_buffer[HTTP_READ_BYTES];

static uint64_t now_ms(void)
{
	return uv_now(http_server.loop);
}

/* What is being read is this connection, or carries this stream. */
static bool is_current(const struct http_connection *connection)
{
	const struct http_connection *current = http_server.current;
	return current &&
	       (current == connection ||
		       (connection->stream_of && connection->stream_of == current->http2));
}

/* The program has begun to read the body, and a promise of ctx.waitUntil may go on with
 * that after the response. Whether it has begun is known when its microtasks have run. */
static bool body_pending(const struct http_connection *connection)
{
	if (connection->holds == 0 || !connection->parser.has_body || connection->body_unwanted ||
		connection->body_ended)
		return false;
	return connection->body_started || (http_server.entered && is_current(connection));
}

bool http_connection_finished(const struct http_connection *connection)
{
	return connection->parsing == HTTP_PARSING_DONE &&
	       connection->answering == HTTP_ANSWER_DONE && !body_pending(connection);
}

bool http_connection_idle(const struct http_connection *connection)
{
	/* Whoever has begun a handshake is about to ask. */
	if (connection->http2 ? http2_busy(connection) : http_tls_has_begun(connection))
		return false;
	bool between = http_connection_finished(connection) ||
		       (connection->parsing == HTTP_PARSING_HEAD &&
			       !http_parser_in_head(&connection->parser));
	return between && !connection->closing && !connection->lingering && !connection->last &&
	       !connection->writing && connection->out.length == 0 && connection->ahead.length == 0;
}

bool http_connection_may_end(const struct http_connection *connection)
{
	uv_os_fd_t fd;
	int waiting = 0;
	if (!http_connection_idle(connection))
		return false;
	if (now_ms() - connection->since_ms <
		(connection->started_ms == 0 ? HTTP_FRESH_MS : HTTP_QUIET_MS))
		return false;
	return uv_fileno(&connection->uv.handle, &fd) < 0 || ioctl(fd, FIONREAD, &waiting) < 0 ||
	       waiting == 0;
}

void http_connection_tick(void)
{
	if (!http_server.entered)
		return;
	http_server.entered = false;
	runtime_tick();
}

/* ---- the table ---- */

static unsigned on_head(struct http_parser *parser);
static unsigned on_body(struct http_parser *parser, const char *data, size_t length);
static const struct http_parser_callbacks parser_callbacks = {on_head, on_body};

/* In its first state, or NULL when there is no memory or no slot. */
static struct http_connection *new_connection(void)
{
	struct http_server *server = &http_server;
	if (server->pooled)
		return server->pool[--server->pooled];
	if (server->made == HTTP_CONNECTIONS_MAX)
		return NULL;
	struct http_connection *connection = calloc(1, sizeof *connection);
	if (!connection)
		return NULL;
	connection->slot = server->made;
	server->table[server->made++] = connection;
	return connection;
}

static void drop(struct http_connection *connection)
{
	uint32_t slot = connection->slot, generation = connection->generation;
	http2_close(connection);
	http_tls_drop(connection);
	http_parser_clear(&connection->parser);
	http_buffer_release(&connection->out);
	http_buffer_release(&connection->sending);
	http_buffer_release(&connection->ahead);
	http_buffer_release(&connection->body);
	memset(connection, 0, sizeof *connection);
	connection->slot = slot;
	connection->generation = generation + 1;
	connection->closing = true; /* So that nobody finds it. */
	http_server.pool[http_server.pooled++] = connection;
}

struct http_connection *http_connection_find(uint32_t slot, uint32_t generation)
{
	if (slot >= http_server.made)
		return NULL;
	struct http_connection *connection = http_server.table[slot];
	return connection->generation == generation && !connection->closing ? connection : NULL;
}

/* ---- closing ---- */

static void on_closed(uv_handle_t *handle)
{
	struct http_connection *connection = handle->data;
	connection->closed = true;
	if (!connection->dirty)
		drop(connection);
	http_server_closed();
}

/* A client tells by it that nothing is missing. */
static void say_goodbye(struct http_connection *connection)
{
	if (connection->http2) {
		http2_end(connection);
		http_tls_encrypt(connection);
	}
	http_tls_end(connection);
}

void http_connection_close(struct http_connection *connection)
{
	if (connection->closing)
		return;
	if (connection->http2)
		http2_abort(connection, HTTP_ABORT_DISCONNECTED);
	if (connection->tls && !connection->broken && !connection->writing)
		say_goodbye(connection);
	connection->closing = true;
	connection->generation++;
	if (connection->next)
		connection->next->previous = connection->previous;
	if (connection->previous)
		connection->previous->next = connection->next;
	else
		http_server.connections = connection->next;
	http_server.open--;
	runtime.stats->connections--;
	/* A body that only closing ends must not look complete. */
	if (!connection->broken || !connection->is_tcp ||
		connection->framing != HTTP_FRAMING_CLOSE ||
		uv_tcp_close_reset(&connection->uv.tcp, on_closed) < 0)
		uv_close(&connection->uv.handle, on_closed);
}

void http_connection_cut(struct http_connection *connection, enum http_abort reason)
{
	if (connection->closing)
		return;
	if (connection->stream_of) {
		http2_stream_cut(connection, reason);
		return;
	}
	if (connection->http2)
		http2_abort(connection, reason);
	if (connection->answering == HTTP_ANSWER_STREAMING)
		connection->broken = true;
	http_exchange_abort(connection, reason);
	http_connection_close(connection);
}

static void start_reading(struct http_connection *connection);

/* All is written. If the peer may still be sending, closing would make its kernel
 * throw away the response (RFC 9112 section 9.6): shut our side and wait. */
static void close_written(struct http_connection *connection)
{
	if (connection->tls)
		http_tls_end(connection);
	if (!connection->unread_input ||
		uv_shutdown(&connection->shutdown, &connection->uv.stream, NULL) < 0) {
		http_connection_close(connection);
		return;
	}
	connection->lingering = true;
	connection->linger_ms = now_ms();
	connection->discarded = 0;
	start_reading(connection);
}

/* ---- writing ---- */

static void on_written(uv_write_t *request, int status)
{
	struct http_connection *connection = request->handle->data;
	connection->writing = false;
	http_buffer_release(&connection->sending);
	if (connection->closing)
		return;
	if (status < 0) {
		http_connection_cut(connection, HTTP_ABORT_DISCONNECTED);
		http_connection_tick();
		return;
	}
	http_connection_mark(connection);
}

/* The socket's buffer is full: the loop writes the rest. */
static void write_later(struct http_connection *connection, struct http_buffer *out, size_t written)
{
	connection->sending = *out;
	*out = (struct http_buffer){0};
	uv_buf_t rest = uv_buf_init(connection->sending.data + written,
		(unsigned)(connection->sending.length - written));
	if (uv_write(&connection->write, &connection->uv.stream, &rest, 1, on_written) < 0) {
		http_connection_cut(connection, HTTP_ABORT_DISCONNECTED);
		return;
	}
	connection->writing = true;
	connection->write_ms = connection->waiting_ms = now_ms();
	connection->write_left = rest.len;
}

/* What the socket takes: frames of streams, records of plain bytes. NULL when it cannot be
 * made. */
static struct http_buffer *make_output(struct http_connection *connection)
{
	if (connection->http2) {
		http2_fill(connection);
		if (connection->broken)
			return NULL;
	}
	if (!connection->tls)
		return &connection->out;
	return http_tls_encrypt(connection) ? http_tls_out(connection) : NULL;
}

void http_connection_flush(struct http_connection *connection)
{
	if (connection->closing || connection->writing)
		return;
	struct http_buffer *out = make_output(connection);
	if (!out) {
		http_connection_cut(connection, HTTP_ABORT_DISCONNECTED);
		return;
	}
	if (out->length) {
		/* uv_buf_t counts in size_t, but one system call takes 2 GiB at most. */
		size_t length = out->length;
		uv_buf_t buffer = uv_buf_init(
			out->data, (unsigned)(length > 0x40000000 ? 0x40000000 : length));
		int written = uv_try_write(&connection->uv.stream, &buffer, 1);
		if (written == (int)length) {
			http_buffer_release(out);
		} else if (written >= 0 || written == UV_EAGAIN) {
			write_later(connection, out, written > 0 ? (size_t)written : 0);
		} else {
			http_connection_cut(connection, HTTP_ABORT_DISCONNECTED);
		}
	}
	if (connection->http2 && !connection->closing && !connection->writing) {
		if (http2_over(connection))
			connection->last = connection->unread_input = true;
		else if (http2_has_more(connection))
			http_connection_mark(connection);
	}
	if (connection->last && !connection->writing && !connection->closing &&
		!connection->lingering)
		close_written(connection);
}

/* ---- reading ---- */

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
	(void)handle;
	(void)suggested;
	*ret_buffer = uv_buf_init(read_buffer, sizeof read_buffer);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer);

static void start_reading(struct http_connection *connection)
{
	if (connection->reading || connection->closing)
		return;
	connection->reading = true;
	connection->read_ms = now_ms();
	if (uv_read_start(&connection->uv.stream, on_allocate, on_read) < 0)
		connection->broken = true;
}

static void stop_reading(struct http_connection *connection)
{
	if (!connection->reading)
		return;
	connection->reading = false;
	uv_read_stop(&connection->uv.stream);
}

bool http_connection_body_is_waste(const struct http_connection *connection)
{
	return connection->body_unwanted ||
	       (connection->answering == HTTP_ANSWER_DONE && !body_pending(connection));
}

/* Whether reading on would only fill memory. */
static bool read_enough(const struct http_connection *connection)
{
	if (connection->http2)
		return http2_stuffed(connection);
	return connection->ahead.length >= HTTP_PIPELINE_BYTES ||
	       (connection->parsing == HTTP_PARSING_BODY && !connection->body_whole &&
		       connection->body.length >= HTTP_BODY_BUFFER &&
		       !http_connection_body_is_waste(connection));
}

void http_connection_resume(struct http_connection *connection)
{
	if (connection->stream_of)
		http2_stream_resume(connection);
	else if (!connection->reading && !read_enough(connection))
		start_reading(connection);
}

static unsigned on_head(struct http_parser *parser)
{
	struct http_connection *connection =
		(struct http_connection *)((char *)parser -
					   offsetof(struct http_connection, parser));
	connection->parsing = HTTP_PARSING_BODY;
	connection->keep_alive = parser->keep_alive && !http_server.draining;
	connection->head_request = parser->method == HTTP_HEAD;
	connection->continue_due = parser->expect_continue;
	/* Of a shared port: another tenant may have what this request is for. */
	if (connection->listener == HTTP_NO_LISTENER &&
		!http_sites_allow(parser->head, parser->url_length))
		return 421;
	if (http_server.body_bytes && parser->content_length > http_server.body_bytes)
		return 413;
	return 0;
}

static unsigned keep_body(struct http_connection *connection, const char *data, size_t length)
{
	if (connection->answering == HTTP_ANSWER_NONE && !connection->piece &&
		connection->body.length == 0) {
		connection->piece = data;
		connection->piece_length = length;
		return 0;
	}
	if (connection->piece) {
		if (!http_buffer_append(
			    &connection->body, connection->piece, connection->piece_length))
			return 503;
		connection->piece = NULL;
	}
	return http_buffer_append(&connection->body, data, length) ? 0 : 503;
}

static unsigned on_body(struct http_parser *parser, const char *data, size_t length)
{
	struct http_connection *connection =
		(struct http_connection *)((char *)parser -
					   offsetof(struct http_connection, parser));
	connection->continue_due = false;
	connection->body_total += length;
	if (http_server.body_bytes && connection->body_total > http_server.body_bytes)
		return 413;
	if (!http_connection_body_is_waste(connection))
		return keep_body(connection, data, length);
	connection->discarded += length;
	return 0;
}

/* ---- one exchange after the other ---- */

static void begin_exchange(struct http_connection *connection)
{
	connection->generation++;
	connection->parsing = HTTP_PARSING_HEAD;
	connection->answering = HTTP_ANSWER_NONE;
	connection->body_total = connection->discarded = 0;
	connection->piece = NULL;
	if (connection->body.data)
		http_buffer_release(&connection->body);
	connection->body_started = connection->body_whole = connection->body_wanted = false;
	connection->body_unwanted = connection->body_ended = connection->drain_wanted = false;
	connection->holds = 0;
	connection->head_request = connection->continue_due = false;
}

void http_connection_refuse(
	struct http_connection *connection, unsigned status, enum http_abort reason)
{
	if (connection->answering == HTTP_ANSWER_STREAMING) {
		http_connection_cut(connection, reason);
		return;
	}
	bool answered = connection->answering == HTTP_ANSWER_DONE;
	http_exchange_abort(connection, reason);
	connection->keep_alive = false;
	connection->last = connection->unread_input = true;
	if (!answered)
		http_exchange_refuse(connection, status, "");
}

/* What the response left over: drains a little, so that the connection can go on. */
static void finish_body(struct http_connection *connection)
{
	bool waste = http_connection_body_is_waste(connection);
	uint64_t left = connection->parser.content_length > connection->body_total
				? connection->parser.content_length - connection->body_total
				: 0;
	if (waste) {
		connection->piece = NULL;
		http_buffer_release(&connection->body);
	}
	/* A client that was never told to continue may send the body, or not. */
	if (connection->continue_due || connection->discarded > HTTP_DISCARD_BYTES ||
		(waste && (left > HTTP_DISCARD_BYTES || !connection->keep_alive)))
		connection->last = connection->unread_input = true;
	else
		http_connection_resume(connection);
}

/* After something happened to the exchange: in the read callback, or before the loop
 * waits. */
static void settle(struct http_connection *connection)
{
	if (connection->closing || connection->lingering)
		return;
	if (connection->broken) {
		http_connection_flush(connection);
		http_connection_cut(connection, HTTP_ABORT_DISCONNECTED);
		return;
	}
	if (connection->answering != HTTP_ANSWER_DONE)
		return;
	if (connection->parsing == HTTP_PARSING_BODY)
		finish_body(connection);
	else if (!connection->keep_alive && http_connection_finished(connection))
		connection->last = true;
}

/* The body stays in the read buffer no longer. */
static bool keep_piece(struct http_connection *connection)
{
	const char *piece = connection->piece;
	connection->piece = NULL;
	return !piece || http_connection_body_is_waste(connection) ||
	       http_buffer_append(&connection->body, piece, connection->piece_length);
}

/* Something of a message was parsed: tell the program. */
static void advance(struct http_connection *connection)
{
	if (connection->answering == HTTP_ANSWER_NONE)
		http_exchange_dispatch(connection);
	else if (connection->body_wanted &&
		 (connection->parsing == HTTP_PARSING_DONE ||
			 (!connection->body_whole && connection->body.length)))
		http_exchange_body(connection);
	if (!keep_piece(connection)) {
		http_connection_refuse(connection, 503, HTTP_ABORT_BODY_SIZE);
		return;
	}
	if (connection->reading && read_enough(connection))
		stop_reading(connection);
	settle(connection);
}

/* A further message may begin. */
static bool may_begin(const struct http_connection *connection)
{
	return http_connection_finished(connection) && !connection->writing &&
	       connection->out.length < HTTP_OUT_BUFFER;
}

/* Parses DATA until it is used up or has to wait; what waits becomes the rest. */
static void consume(struct http_connection *connection, const char *data, size_t length)
{
	while (length && !connection->closing && !connection->last) {
		if (connection->parsing == HTTP_PARSING_DONE) {
			if (!may_begin(connection))
				break;
			begin_exchange(connection);
		}
		if (connection->parsing == HTTP_PARSING_HEAD &&
			!http_parser_in_head(&connection->parser))
			connection->since_ms = now_ms();
		size_t used;
		enum http_progress progress =
			http_parser_feed(&connection->parser, data, length, &used);
		if (progress == HTTP_FAILED) {
			unsigned status = connection->parser.status;
			length = 0;
			http_connection_refuse(connection, status,
				status == 413 ? HTTP_ABORT_BODY_SIZE : HTTP_ABORT_MALFORMED);
			break;
		}
		data += used;
		length -= used;
		if (progress == HTTP_COMPLETE)
			connection->parsing = HTTP_PARSING_DONE;
		if (connection->parsing != HTTP_PARSING_HEAD)
			advance(connection);
	}
	connection->rest = data;
	connection->rest_length = connection->last ? 0 : length;
}

/* Consumes DATA, answers included, and keeps what has to wait. */
static void receive(struct http_connection *connection, const char *data, size_t length)
{
	http_server.current = connection;
	consume(connection, data, length);
	http_connection_tick();
	while (connection->rest_length && !connection->closing && !connection->last) {
		settle(connection);
		if (connection->out.length >= HTTP_OUT_BUFFER)
			http_connection_flush(connection);
		if (connection->closing || connection->last || !may_begin(connection))
			break;
		consume(connection, connection->rest, connection->rest_length);
		http_connection_tick();
	}
	http_server.current = NULL;
	if (connection->rest_length && !connection->closing && !connection->last) {
		connection->unread_input = true;
		if (!http_buffer_append(
			    &connection->ahead, connection->rest, connection->rest_length))
			http_connection_cut(connection, HTTP_ABORT_DISCONNECTED);
		else if (read_enough(connection))
			stop_reading(connection);
	}
	connection->rest_length = 0;
	settle(connection);
	http_connection_flush(connection);
	/* The program waits for room in the output that was just written. */
	if (connection->drain_wanted && !connection->closing)
		http_connection_mark(connection);
}

void http_connection_ended(struct http_connection *connection)
{
	http_connection_cut(connection, HTTP_ABORT_DISCONNECTED);
	http_connection_tick();
}

void http_connection_take(struct http_connection *connection, const char *data, size_t length)
{
	if (connection->http2) {
		http2_receive(connection, data, length);
		if (!connection->closing && read_enough(connection))
			stop_reading(connection);
		return;
	}
	bool waits = connection->ahead.length ||
		     (connection->parsing == HTTP_PARSING_DONE && !may_begin(connection));
	if (!waits) {
		receive(connection, data, length);
		return;
	}
	if (!http_buffer_append(&connection->ahead, data, length))
		http_connection_cut(connection, HTTP_ABORT_DISCONNECTED);
	else if (read_enough(connection))
		stop_reading(connection);
	http_connection_mark(connection);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
	struct http_connection *connection = stream->data;
	if (length == 0)
		return;
	if (length < 0) {
		http_connection_ended(connection);
		return;
	}
	connection->read_ms = now_ms();
	if (connection->lingering) {
		connection->discarded += (size_t)length;
		if (connection->discarded > 4 * HTTP_DISCARD_BYTES)
			http_connection_close(connection);
		return;
	}
	if (connection->last) {
		/* Nobody takes it, and all that is to be said is still being written: until then
		 * it stays with the kernel, which makes the client wait. */
		connection->unread_input = true;
		stop_reading(connection);
		return;
	}
	if (connection->tls)
		http_tls_receive(connection, buffer->base, (size_t)length);
	else
		http_connection_take(connection, buffer->base, (size_t)length);
}

/* ---- before the loop waits ---- */

void http_connection_mark(struct http_connection *connection)
{
	if (connection != http_server.current)
		http_connection_wake(connection);
}

void http_connection_wake(struct http_connection *connection)
{
	if (connection->dirty)
		return;
	connection->dirty = true;
	connection->next_dirty = http_server.dirty;
	http_server.dirty = connection;
}

static void run_dirty(struct http_connection *connection)
{
	if (connection->stream_of) {
		http2_stream_run(connection);
		http_connection_tick();
		return;
	}
	if (connection->upgrading) {
		http_upgrade(connection);
		return;
	}
	settle(connection);
	http_connection_flush(connection);
	if (connection->closing || connection->lingering)
		return;
	if (connection->drain_wanted && !connection->writing &&
		connection->out.length < HTTP_OUT_BUFFER) {
		connection->drain_wanted = false;
		http_exchange_drained(connection);
		http_connection_tick();
	}
	if (connection->ahead.length && !connection->last && may_begin(connection)) {
		/* Taken out, because consuming may put a rest back. */
		struct http_buffer ahead = connection->ahead;
		connection->ahead = (struct http_buffer){0};
		connection->unread_input = false;
		receive(connection, ahead.data, ahead.length);
		http_buffer_release(&ahead);
	}
	if (!connection->closing && !connection->last)
		http_connection_resume(connection);
}

void http_connections_run_dirty(void)
{
	/* What is marked meanwhile is looked at too; but JavaScript that always finds
	 * something to write must not keep the loop from reading. */
	for (int rounds = 0; http_server.dirty && rounds < 8; rounds++) {
		struct http_connection *connection = http_server.dirty;
		http_server.dirty = NULL;
		while (connection) {
			struct http_connection *next = connection->next_dirty;
			connection->dirty = false;
			if (connection->closed)
				drop(connection);
			else if (!connection->closing)
				run_dirty(connection);
			connection = next;
		}
	}
	http_server_dirty(http_server.dirty != NULL);
}

/* ---- opening ---- */

static void begin(struct http_connection *connection)
{
	connection->closing = false;
	connection->since_ms = now_ms();
	http_parser_init(&connection->parser, &parser_callbacks);
	connection->parser.secure = connection->tls != NULL;
	connection->next = http_server.connections;
	connection->previous = NULL;
	if (connection->next)
		connection->next->previous = connection;
	http_server.connections = connection;
	http_server.open++;
	runtime.stats->connections++;
	start_reading(connection);
	if (connection->broken)
		http_connection_mark(connection);
}

struct http_connection *http_connection_new_stream(const struct http_connection *parent)
{
	struct http_connection *stream =
		http_server.streams < HTTP2_STREAMS_ALL ? new_connection() : NULL;
	if (!stream)
		return NULL;
	stream->closing = false;
	stream->keep_alive = true;
	stream->listener = parent->listener;
	stream->since_ms = now_ms();
	http_parser_init(&stream->parser, &parser_callbacks);
	stream->parser.secure = parent->parser.secure;
	http_server.streams++;
	return stream;
}

void http_connection_drop_stream(struct http_connection *stream)
{
	stream->closing = stream->closed = true;
	stream->generation++;
	stream->stream_of = NULL;
	http_server.streams--;
	if (!stream->dirty)
		drop(stream);
	http_server_closed();
}

static void on_unused(uv_handle_t *handle)
{
	drop(handle->data);
}

int http_connection_open(int fd, bool is_tcp, int listener, unsigned flags)
{
	int result;
	const bool tls = flags & HANDOVER_TLS;
	struct http_connection *connection = tls && !server_tls_ready() ? NULL : new_connection();
	if (!connection) {
		close(fd);
		return tls && !server_tls_ready() ? -EPROTONOSUPPORT : -ENOMEM;
	}
	if (tls && !http_tls_begin(connection)) {
		close(fd);
		drop(connection);
		return -ENOMEM;
	}
	connection->is_tcp = is_tcp;
	connection->listener = listener < 0 ? HTTP_NO_LISTENER : (uint8_t)listener;
	if (is_tcp) {
		uv_tcp_init(http_server.loop, &connection->uv.tcp);
		result = uv_tcp_open(&connection->uv.tcp, fd);
	} else {
		uv_pipe_init(http_server.loop, &connection->uv.pipe, 0);
		result = uv_pipe_open(&connection->uv.pipe, fd);
	}
	connection->uv.handle.data = connection;
	if (result < 0) {
		close(fd);
		uv_close(&connection->uv.handle, on_unused);
		return result;
	}
	/* A response is one write: there is nothing for Nagle's algorithm to join. */
	if (is_tcp)
		uv_tcp_nodelay(&connection->uv.tcp, 1);
	begin(connection);
	return 0;
}
