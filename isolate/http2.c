#include "isolate/http2_private.h"

#include "isolate/http_exchange.h"

#include <stdlib.h>

static uint64_t now_ms(void)
{
	return uv_now(http_server.loop);
}

/* ---- what bounds a client ---- */

/* Counts frames that cost us more than they cost the client: a bucket that leaks. */
static void count_noise(struct http2 *http2, uint32_t weight)
{
	const uint64_t now = now_ms(), leaked = (now - http2->noise_ms) * HTTP2_NOISE_RATE / 1000;
	if (leaked > 0) {
		http2->noise = http2->noise > leaked ? http2->noise - (uint32_t)leaked : 0;
		http2->noise_ms = now;
	}
	http2->noise += weight;
	if (http2->noise > HTTP2_NOISE_MAX)
		nghttp2_session_terminate_session(http2->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* A client may make us reset the streams that it is not to reset too often by itself: errors
 * of its own count as much (CVE-2025-8671). */
static void count_error(struct http2 *http2)
{
	count_noise(http2, HTTP2_NOISE_MAX / HTTP2_RESETS_MAX);
}

/* What is decoded of a head or of trailers, for us or for nobody, ends somewhere: a byte may
 * name a field of 4 KiB. */
static bool count_field(struct http2 *http2, size_t name_length, size_t value_length)
{
	http2->fields_bytes += name_length + value_length + 32;
	return http2->fields_bytes <= HTTP2_FIELDS_BYTES;
}

/* One for the process: nghttp2 copies it. */
static const nghttp2_option *options(void)
{
	static nghttp2_option *option;
	if (option || nghttp2_option_new(&option) != 0)
		return option;
	nghttp2_option_set_no_auto_window_update(option, 1);
	nghttp2_option_set_stream_reset_rate_limit(option, HTTP2_RESETS_MAX, HTTP2_RESETS_RATE);
	nghttp2_option_set_glitch_rate_limit(option, HTTP2_NOISE_MAX, HTTP2_NOISE_RATE);
	nghttp2_option_set_max_continuations(option, HTTP2_CONTINUATIONS_MAX);
	nghttp2_option_set_max_outbound_ack(option, HTTP2_ACKS_MAX);
	nghttp2_option_set_max_send_header_block_length(option, HTTP2_ANSWER_HEAD_BYTES);
	nghttp2_option_set_no_closed_streams(option, 1);
	return option;
}

/* ---- callbacks ---- */

static struct http_connection *stream_of(nghttp2_session *session, int32_t id)
{
	return nghttp2_session_get_stream_user_data(session, id);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *data)
{
	struct http2 *http2 = data;
	http2->fields_bytes = 0;
	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	struct http_connection *stream = http2_stream_new(http2, frame->hd.stream_id);
	if (!stream) {
		/* It was not begun: the client may ask again (RFC 9113 section 8.7). */
		nghttp2_submit_rst_stream(
			session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
		return 0;
	}
	nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream);
	http2->head = stream;
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags, void *data)
{
	struct http2 *http2 = data;
	struct http_connection *stream = http2->head;
	(void)flags;
	/* Trailers are for nobody, and neither is what was refused. */
	const bool wanted = stream && stream->stream == frame->hd.stream_id;
	if (count_field(http2, name_length, value_length) &&
		(!wanted || http_parser_head_field(&stream->parser, (const char *)name, name_length,
				    (const char *)value, value_length)))
		return 0;
	nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* Strict as with HTTP/1.1: nothing that two might read differently. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
	const uint8_t *name, size_t name_length, const uint8_t *value, size_t value_length,
	uint8_t flags, void *data)
{
	(void)session;
	(void)frame;
	(void)name;
	(void)name_length;
	(void)value;
	(void)value_length;
	(void)flags;
	count_error(data);
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *data)
{
	struct http2 *http2 = data;
	struct http_connection *stream;
	const bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		stream = stream_of(session, frame->hd.stream_id);
		if (stream && stream == http2->head) {
			http2->head = NULL;
			http2_stream_begin(stream, !end);
		} else if (stream && end) {
			http2_stream_body_end(stream);
		}
		break;
	case NGHTTP2_DATA:
		stream = stream_of(session, frame->hd.stream_id);
		if (stream && end)
			http2_stream_body_end(stream);
		else if (frame->hd.length <= frame->data.padlen)
			count_noise(http2, 1);
		break;
	case NGHTTP2_WINDOW_UPDATE: /* a large response has many */
		break;
	default:
		count_noise(http2, 1);
	}
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
	size_t length, void *data)
{
	struct http_connection *stream = stream_of(session, id);
	(void)flags;
	(void)data;
	if (stream)
		http2_stream_body(stream, (const char *)bytes, length);
	else
		nghttp2_session_consume_connection(session, length);
	return 0;
}

/* The client's fault, whoever found it. */
static bool is_error_of_client(uint32_t code)
{
	return code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_FLOW_CONTROL_ERROR ||
	       code == NGHTTP2_STREAM_CLOSED || code == NGHTTP2_FRAME_SIZE_ERROR;
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *data)
{
	if (frame->hd.type == NGHTTP2_RST_STREAM &&
		is_error_of_client(frame->rst_stream.error_code))
		count_error(data);
	if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
		!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	struct http_connection *stream = stream_of(session, frame->hd.stream_id);
	if (stream) {
		stream->end_sent = true;
		if (stream->parsing == HTTP_PARSING_BODY)
			http_connection_mark(stream);
	}
	return 0;
}

/* A head that is too large to be sent: the stream must not wait for it for ever. */
static int on_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int error, void *data)
{
	(void)data;
	/* One that was reset meanwhile is not reset back (RFC 9113 section 5.4.2). */
	if (frame->hd.type == NGHTTP2_HEADERS && error != NGHTTP2_ERR_STREAM_CLOSED &&
		error != NGHTTP2_ERR_STREAM_CLOSING)
		nghttp2_submit_rst_stream(
			session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_INTERNAL_ERROR);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *data)
{
	struct http2 *http2 = data;
	struct http_connection *stream = stream_of(session, id);
	(void)code;
	if (!stream)
		return 0;
	if (http2->head == stream)
		http2->head = NULL;
	http2_stream_closed(stream);
	return 0;
}

static const nghttp2_session_callbacks *callbacks(void)
{
	static nghttp2_session_callbacks *all;
	if (all || nghttp2_session_callbacks_new(&all) != 0)
		return all;
	nghttp2_session_callbacks_set_on_begin_headers_callback(all, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(all, on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback(all, on_invalid_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(all, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(all, on_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(all, on_sent);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(all, on_not_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(all, on_stream_close);
	return all;
}

/* ---- life ---- */

static bool send_settings(struct http2 *http2)
{
	const uint32_t limit = http_server.concurrent;
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
			limit && limit < HTTP2_STREAMS_MAX ? limit : HTTP2_STREAMS_MAX},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_WINDOW_BYTES},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_BYTES},
		{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
	};
	return nghttp2_submit_settings(http2->session, NGHTTP2_FLAG_NONE, settings,
		       sizeof settings / sizeof settings[0]) == 0 &&
	       nghttp2_session_set_local_window_size(
		       http2->session, NGHTTP2_FLAG_NONE, 0, HTTP2_CONNECTION_BYTES) == 0;
}

bool http2_open(struct http_connection *connection)
{
	struct http2 *http2 = calloc(1, sizeof *http2);
	const nghttp2_option *option = options();
	const nghttp2_session_callbacks *functions = callbacks();
	connection->http2 = http2;
	if (!http2)
		return false;
	http2->connection = connection;
	http2->noise_ms = now_ms();
	if (option && functions &&
		nghttp2_session_server_new2(&http2->session, functions, http2, option) == 0 &&
		send_settings(http2)) {
		/* A drain that began during the handshake has told the others already. */
		if (http_server.draining)
			http2_shut(connection);
		return true;
	}
	http2_close(connection);
	return false;
}

void http2_close(struct http_connection *connection)
{
	struct http2 *http2 = connection->http2;
	if (!http2)
		return;
	http2_abort(connection, HTTP_ABORT_DISCONNECTED);
	nghttp2_session_del(http2->session);
	free(http2);
	connection->http2 = NULL;
}

void http2_abort(struct http_connection *connection, enum http_abort reason)
{
	struct http2 *http2 = connection->http2;
	while (http2->streams) {
		struct http_connection *stream = http2->streams;
		http_exchange_abort(stream, reason);
		http2_stream_release(stream);
	}
}

bool http2_busy(const struct http_connection *connection)
{
	return connection->http2->count > 0;
}

bool http2_has_more(const struct http_connection *connection)
{
	return nghttp2_session_want_write(connection->http2->session);
}

bool http2_over(const struct http_connection *connection)
{
	nghttp2_session *session = connection->http2->session;
	return !nghttp2_session_want_read(session) && !nghttp2_session_want_write(session);
}

bool http2_stuffed(const struct http_connection *connection)
{
	return connection->writing &&
	       nghttp2_session_get_outbound_queue_size(connection->http2->session) > HTTP2_ACKS_MAX;
}

/* ---- bytes ---- */

void http2_receive(struct http_connection *connection, const char *data, size_t length)
{
	struct http2 *http2 = connection->http2;
	http_server.current = connection;
	nghttp2_ssize used = 0;
	/* In pieces: a session that has had enough takes what it was given until its GOAWAY is
	 * made, which it is in between. */
	for (size_t at = 0; at < length && used >= 0; at += HTTP2_PIECE_BYTES) {
		const size_t left = length - at;
		used = nghttp2_session_mem_recv2(http2->session, (const uint8_t *)data + at,
			left < HTTP2_PIECE_BYTES ? left : HTTP2_PIECE_BYTES);
		if (left > HTTP2_PIECE_BYTES)
			http2_fill(connection);
		if (!nghttp2_session_want_read(http2->session))
			break;
	}
	if (http2->head && !http_parser_head_keep(&http2->head->parser))
		used = NGHTTP2_ERR_NOMEM;
	http_server.current = NULL;
	/* Neither a preface nor frames, or a flood: GOAWAY says so. */
	if (used < 0)
		nghttp2_session_terminate_session(
			http2->session, used == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM
								    : NGHTTP2_PROTOCOL_ERROR);
	http_connection_tick();
	if (used < 0)
		connection->last = connection->unread_input = true;
	http_connection_flush(connection);
}

void http2_fill(struct http_connection *connection)
{
	const uint8_t *frames;
	nghttp2_ssize length = 0;
	while (connection->out.length < HTTP_OUT_BUFFER &&
		(length = nghttp2_session_mem_send2(connection->http2->session, &frames)) > 0)
		if (!http_buffer_append(&connection->out, frames, (size_t)length))
			length = NGHTTP2_ERR_NOMEM;
	if (length < 0)
		connection->broken = true;
}

/* ---- the end ---- */

void http2_shut(struct http_connection *connection)
{
	struct http2 *http2 = connection->http2;
	if (http2->shut_ms)
		return;
	http2->shut_ms = now_ms();
	nghttp2_submit_shutdown_notice(http2->session);
	http_connection_mark(connection);
}

void http2_end(struct http_connection *connection)
{
	nghttp2_session *session = connection->http2->session;
	nghttp2_session_terminate_session2(
		session, nghttp2_session_get_last_proc_stream_id(session), NGHTTP2_NO_ERROR);
	http2_fill(connection);
}

/* Requests that crossed the notice have arrived by now: RFC 9113 section 6.8. */
static void shut_for_good(struct http2 *http2)
{
	http2->shut = true;
	nghttp2_submit_goaway(http2->session, NGHTTP2_FLAG_NONE,
		nghttp2_session_get_last_proc_stream_id(http2->session), NGHTTP2_NO_ERROR, NULL, 0);
}

void http2_sweep(struct http_connection *connection, uint64_t now)
{
	struct http2 *http2 = connection->http2;
	for (struct http_connection *next, *stream = http2->streams; stream; stream = next) {
		next = stream->next;
		http2_stream_sweep(stream, now);
	}
	if (http2->head && now - http2->head->since_ms > HTTP_HEAD_MS) {
		nghttp2_session_terminate_session(http2->session, NGHTTP2_ENHANCE_YOUR_CALM);
		http2_abort(connection, HTTP_ABORT_BODY_TIME);
	}
	if (http2->shut_ms && !http2->shut && now - http2->shut_ms >= HTTP_QUIET_MS)
		shut_for_good(http2);
}

uint64_t http2_waiting_since(const struct http_connection *connection)
{
	uint64_t since = connection->writing ? connection->waiting_ms : 0;
	for (const struct http_connection *stream = connection->http2->streams; stream;
		stream = stream->next)
		if (http2_stream_waits(stream) && (since == 0 || stream->waiting_ms < since))
			since = stream->waiting_ms;
	return since;
}
