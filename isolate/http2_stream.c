#include "isolate/http2_private.h"

#include "isolate/http_exchange.h"
#include "isolate/inspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t now_ms(void)
{
	return uv_now(http_server.loop);
}

/* ---- life ---- */

struct http_connection *http2_stream_new(struct http2 *http2, int32_t id)
{
	struct http_connection *stream = http_connection_new_stream(http2->connection);
	if (!stream)
		return NULL;
	stream->stream_of = http2;
	stream->stream = id;
	stream->next = http2->streams;
	if (stream->next)
		stream->next->previous = stream;
	http2->streams = stream;
	http2->count++;
	http_parser_head_begin(&stream->parser);
	return stream;
}

void http2_stream_release(struct http_connection *stream)
{
	struct http2 *http2 = stream->stream_of;
	if (stream->next)
		stream->next->previous = stream->previous;
	if (stream->previous)
		stream->previous->next = stream->next;
	else
		http2->streams = stream->next;
	http2->count--;
	if (http2->head == stream)
		http2->head = NULL;
	http2->connection->since_ms = now_ms();
	if (!stream->stream_over)
		nghttp2_session_set_stream_user_data(http2->session, stream->stream, NULL);
	if (stream->unconsumed > 0)
		nghttp2_session_consume_connection(http2->session, stream->unconsumed);
	http_connection_mark(http2->connection);
	http_connection_drop_stream(stream);
}

void http2_stream_cut(struct http_connection *stream, enum http_abort reason)
{
	nghttp2_session *session = stream->stream_of->session;
	if (stream->closing)
		return;
	http_exchange_abort(stream, reason);
	if (!stream->stream_over)
		nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream->stream,
			reason == HTTP_ABORT_READER ? NGHTTP2_FLOW_CONTROL_ERROR
						    : NGHTTP2_INTERNAL_ERROR);
	http2_stream_release(stream);
}

/* As HTTP/1.1 does it, but that only the stream ends. */
static void refuse(struct http_connection *stream, unsigned status, enum http_abort reason)
{
	const bool answered =
		stream->answering == HTTP_ANSWER_DONE || stream->answering == HTTP_ANSWER_STREAMING;
	if (answered || stream->stream_over) {
		http2_stream_cut(stream, reason);
		return;
	}
	http_exchange_abort(stream, reason);
	stream->body_unwanted = true;
	http_buffer_release(&stream->body);
	http_exchange_refuse(stream, status, "");
}

/* ---- requests ---- */

void http2_stream_begin(struct http_connection *stream, bool body)
{
	const unsigned status = http_parser_head_end(&stream->parser, body);
	stream->parsing = body ? HTTP_PARSING_BODY : HTTP_PARSING_DONE;
	stream->head_request = stream->parser.method == HTTP_HEAD;
	stream->read_ms = stream->stream_of->connection->started_ms = now_ms();
	if (status)
		http_exchange_refuse(stream, status, "");
	else
		http_exchange_dispatch(stream);
	http_parser_clear(&stream->parser);
}

/* The program is told of what it waits for. */
static void advance(struct http_connection *stream)
{
	if (stream->body_wanted && (stream->parsing == HTTP_PARSING_DONE ||
					   (!stream->body_whole && stream->body.length > 0)))
		http_exchange_body(stream);
}

void http2_stream_body(struct http_connection *stream, const char *data, size_t length)
{
	stream->read_ms = now_ms();
	stream->continue_due = false;
	stream->body_total += length;
	stream->unconsumed += (uint32_t)length;
	if (http_connection_body_is_waste(stream)) {
		http2_stream_resume(stream);
	} else if (http_server.body_bytes && stream->body_total > http_server.body_bytes) {
		refuse(stream, 413, HTTP_ABORT_BODY_SIZE);
	} else if (!http_buffer_append(&stream->body, data, length)) {
		refuse(stream, 503, HTTP_ABORT_BODY_SIZE);
	} else {
		if (stream->body_whole)
			http2_stream_resume(stream);
		advance(stream);
	}
}

void http2_stream_body_end(struct http_connection *stream)
{
	stream->parsing = HTTP_PARSING_DONE;
	stream->continue_due = false;
	advance(stream);
}

void http2_stream_resume(struct http_connection *stream)
{
	struct http2 *http2 = stream->stream_of;
	if (stream->unconsumed == 0 || (stream->body.length > 0 && !stream->body_whole &&
					       !http_connection_body_is_waste(stream)))
		return;
	if (stream->stream_over)
		nghttp2_session_consume_connection(http2->session, stream->unconsumed);
	else
		nghttp2_session_consume(http2->session, stream->stream, stream->unconsumed);
	stream->unconsumed = 0;
	stream->read_ms = now_ms();
	http_connection_mark(http2->connection);
}

/* ---- responses ---- */

static size_t left(const struct http_connection *stream)
{
	return stream->out.length - stream->out_sent;
}

/* Forgets what was sent when that is the greater part: each byte is moved once at most. */
static void forget_sent(struct http_connection *stream)
{
	if (stream->out_sent * 2 < stream->out.length)
		return;
	http_buffer_consume(&stream->out, stream->out_sent);
	stream->out_sent = 0;
}

static nghttp2_ssize read_body(nghttp2_session *session, int32_t id, uint8_t *target, size_t size,
	uint32_t *flags, nghttp2_data_source *source, void *data)
{
	struct http_connection *stream = nghttp2_session_get_stream_user_data(session, id);
	(void)source;
	(void)data;
	if (!stream || stream->broken)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* RST_STREAM */
	const size_t there = left(stream), count = there < size ? there : size;
	const bool whole = stream->answering == HTTP_ANSWER_DONE && count == there;
	if (count == 0 && !whole) {
		stream->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	if (count > 0)
		memcpy(target, stream->out.data + stream->out_sent, count);
	stream->out_sent += count;
	stream->write_ms = now_ms();
	forget_sent(stream);
	if (whole)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (stream->drain_wanted && stream->out.length < HTTP_OUT_BUFFER)
		http_connection_mark(stream);
	return (nghttp2_ssize)count;
}

static nghttp2_nv field(const char *name, size_t name_length, const char *value, size_t length)
{
	return (nghttp2_nv){
		(uint8_t *)name, (uint8_t *)value, name_length, length, NGHTTP2_NV_FLAG_NONE};
}

/* The library's fields: it has checked them. */
static size_t split_fields(const char *fields, size_t length, nghttp2_nv *ret)
{
	size_t count = 0;
	for (const char *at = fields, *end = fields + length; at < end;) {
		const char *stop = memchr(at, '\r', (size_t)(end - at));
		const char *colon = memchr(at, ':', (size_t)(end - at));
		if (!stop || !colon || colon > stop)
			break;
		const char *value = colon + 1;
		while (value < stop && *value == ' ')
			value++;
		ret[count++] = field(at, (size_t)(colon - at), value, (size_t)(stop - value));
		at = stop + 2;
	}
	return count;
}

static size_t count_lines(const char *fields, size_t length)
{
	size_t count = 0;
	for (size_t i = 0; i < length; i++)
		count += fields[i] == '\r'; /* what split_fields goes by */
	return count;
}

#define OWN_FIELDS 3 /* :status, content-length, date */

/* How many fields there are in RET, which has room for OWN_FIELDS more than FIELDS has. */
static size_t make_fields(const struct http_answer *answer, const char *fields, size_t length,
	char status[4], char number[24], nghttp2_nv *ret)
{
	size_t count = 0;
	snprintf(status, 4, "%03u", answer->status % 1000u);
	ret[count++] = field(":status", 7, status, 3);
	count += split_fields(fields, length, ret + count);
	if (answer->framing == HTTP_FRAMING_LENGTH) {
		const int digits = snprintf(number, 24, "%llu", (unsigned long long)answer->length);
		ret[count++] = field("content-length", 14, number, (size_t)digits);
	}
	if (!answer->has_date) {
		size_t date_length;
		const char *date = http_date(&date_length);
		ret[count++] = field("date", 4, date, date_length);
	}
	return count;
}

bool http2_stream_head(struct http_connection *stream, const struct http_answer *answer,
	const char *fields, size_t length)
{
	nghttp2_nv few[32], *list = few;
	char status[4], number[24];
	const size_t most = count_lines(fields, length) + OWN_FIELDS;
	const nghttp2_data_provider2 body = {.read_callback = read_body};
	const bool has_body = answer->framing != HTTP_FRAMING_NONE && !stream->head_request &&
			      (answer->framing != HTTP_FRAMING_LENGTH || answer->length > 0);
	if (stream->stream_over)
		return true; /* to nobody */
	if (most > sizeof few / sizeof few[0])
		list = calloc(most, sizeof *list);
	if (!list)
		return false;
	const size_t count = make_fields(answer, fields, length, status, number, list);
	const int result = nghttp2_submit_response2(
		stream->stream_of->session, stream->stream, list, count, has_body ? &body : NULL);
	stream->write_ms = stream->waiting_ms = now_ms();
	if (list != few)
		free(list);
	return result == 0;
}

void http2_stream_last(struct http_connection *stream)
{
	http2_shut(stream->stream_of->connection);
}

bool http2_stream_continue(struct http_connection *stream)
{
	const nghttp2_nv status = field(":status", 7, "100", 3);
	return nghttp2_submit_headers(stream->stream_of->session, NGHTTP2_FLAG_NONE, stream->stream,
		       NULL, &status, 1, NULL) == 0;
}

/* ---- after something happened ---- */

void http2_stream_closed(struct http_connection *stream)
{
	stream->stream_over = true;
	if (stream->broken || !http_connection_finished(stream)) {
		/* By the client, or in the middle of an answer. A body that is there as a whole
		 * may still be read, for ctx.waitUntil. */
		if (stream->broken || stream->answering != HTTP_ANSWER_DONE ||
			stream->parsing != HTTP_PARSING_DONE) {
			http_exchange_abort(stream, HTTP_ABORT_DISCONNECTED);
			http2_stream_release(stream);
		}
		return;
	}
	http2_stream_release(stream);
}

void http2_stream_run(struct http_connection *stream)
{
	struct http2 *http2 = stream->stream_of;
	if (stream->broken) {
		http2_stream_cut(stream, HTTP_ABORT_DISCONNECTED);
		return;
	}
	if (stream->drain_wanted && stream->out.length < HTTP_OUT_BUFFER) {
		stream->drain_wanted = false;
		http_exchange_drained(stream);
	}
	const bool done = stream->answering == HTTP_ANSWER_DONE;
	if (stream->deferred && !stream->stream_over && (done || left(stream) > 0)) {
		stream->deferred = false;
		stream->write_ms = now_ms();
		nghttp2_session_resume_data(http2->session, stream->stream);
	}
	http2_stream_resume(stream);
	if (stream->stream_over) {
		if (http_connection_finished(stream))
			http2_stream_release(stream);
	} else if (stream->end_sent && stream->parsing == HTTP_PARSING_BODY &&
		   http_connection_body_is_waste(stream)) {
		/* The client need not send the rest (RFC 9113 section 8.1). */
		nghttp2_submit_rst_stream(
			http2->session, NGHTTP2_FLAG_NONE, stream->stream, NGHTTP2_NO_ERROR);
	}
	http_connection_mark(http2->connection);
}

/* ---- deadlines ---- */

bool http2_stream_waits(const struct http_connection *stream)
{
	return left(stream) > 0;
}

void http2_stream_sweep(struct http_connection *stream, uint64_t now)
{
	const bool under_way = stream->answering == HTTP_ANSWER_WAITING ||
			       stream->answering == HTTP_ANSWER_STREAMING;
	const bool receiving = stream->parsing == HTTP_PARSING_BODY &&
			       stream->answering != HTTP_ANSWER_NONE &&
			       stream->unconsumed < HTTP2_WINDOW_BYTES / 2;
	if (stream->stream_of->head == stream)
		return; /* the connection's deadline */
	if (under_way && http_server.request_ms && !inspect_active() &&
		now - stream->started_ms > http_server.request_ms)
		refuse(stream, 503, HTTP_ABORT_TIME);
	else if (left(stream) > 0 && now - stream->write_ms > HTTP_WRITE_MS)
		http2_stream_cut(stream, HTTP_ABORT_READER);
	else if (receiving && now - stream->read_ms > HTTP_BODY_MS)
		refuse(stream, 408, HTTP_ABORT_BODY_TIME);
	else if (stream->answering == HTTP_ANSWER_DONE && left(stream) == 0 &&
		 now - stream->since_ms > HTTP_BODY_MS)
		http2_stream_cut(stream, HTTP_ABORT_BODY_TIME);
}
