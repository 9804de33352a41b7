/* The natives of isolate/js/server.js. Each takes the exchange's slot and generation
 * first, and does nothing when that exchange is over. */

#include "isolate/http_exchange.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "isolate/http2.h"
#include "isolate/http_upgrade.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static engine_ref *on_request, *on_body, *on_drain, *on_abort;

static const char text_field[] = "content-type: text/plain;charset=UTF-8\r\n";

/* What onRequest is told beside the head goes through an Int32Array of the library's,
 * which costs no handles: slot, generation, meta, listener. */
enum { FRAME_SLOT, FRAME_GENERATION, FRAME_META, FRAME_LISTENER, FRAME_SIZE };
static int32_t *frame;

/* Meta: the method, these, and the length of the URL. */
enum {
	META_HAS_BODY = 1 << 6,
	META_BODY_COMPLETE = 1 << 7,
	META_HAS_LENGTH = 1 << 8,
	META_URL_SHIFT = 9,
};

enum { FLAG_HAS_DATE = 1 };

void http_exchange_bind(void)
{
	frame = runtime_shared("requestFrame", FRAME_SIZE * sizeof *frame);
	on_request = runtime_hook("onRequest");
	on_body = runtime_hook("onBody");
	on_drain = runtime_hook("onDrain");
	on_abort = runtime_hook("onAbort");
	http_upgrade_bind();
}

static struct http_connection *find(const struct engine_call *call)
{
	return http_connection_find(
		(uint32_t)engine_argument_int32(call, 0), (uint32_t)engine_argument_int32(call, 1));
}

/* ---- books ---- */

static void begin(struct http_connection *connection)
{
	connection->answering = HTTP_ANSWER_WAITING;
	connection->started_ms = uv_now(http_server.loop);
	runtime.stats->requests_active = ++http_server.active + http_server.tasks;
}

static void done(struct http_connection *connection)
{
	if (connection->answering == HTTP_ANSWER_WAITING ||
		connection->answering == HTTP_ANSWER_STREAMING)
		runtime.stats->requests_active = --http_server.active + http_server.tasks;
	connection->answering = HTTP_ANSWER_DONE;
	connection->since_ms = uv_now(http_server.loop);
	connection->drain_wanted = false;
	runtime.stats->requests++;
	http_connection_mark(connection);
}

void http_exchange_upgraded(struct http_connection *connection)
{
	done(connection);
}

/* ---- heads of responses ---- */

static void choose_end(struct http_connection *connection, struct http_answer *answer)
{
	/* Where others wait for room, the answer makes some, which takes no request from anybody.
	 */
	if (http_server.draining || http_server.full)
		connection->keep_alive = false;
	if (connection->stream_of && !connection->keep_alive)
		http2_stream_last(connection);
	if (answer->status == 204 || answer->status == 304)
		answer->framing = HTTP_FRAMING_NONE;
	else if (answer->framing == HTTP_FRAMING_CHUNKED &&
		 (connection->parser.http10 || connection->stream_of))
		answer->framing = HTTP_FRAMING_CLOSE;
	/* HTTP/1.0 without a length, and a body that nobody will wait for. */
	if ((answer->framing == HTTP_FRAMING_CLOSE && !connection->head_request) ||
		connection->continue_due)
		connection->keep_alive = false;
	connection->framing = (uint8_t)answer->framing;
	answer->keep_alive = connection->keep_alive;
	answer->http10 = connection->parser.http10;
}

/* The same as a frame's. */
static bool queue_stream_head(struct http_connection *stream, const struct http_answer *answer,
	engine_value *fields, size_t length)
{
	char small[2048];
	char *text = fields && length > sizeof small ? malloc(length) : small;
	if (!text)
		return false;
	if (fields)
		engine_string_write_latin1(runtime.engine, fields, text, length);
	const bool queued = http2_stream_head(stream, answer, fields ? text : text_field, length);
	if (text != small)
		free(text);
	return queued;
}

/* Queues the head. FIELDS: a string of "name: value\r\n" that the library has checked,
 * or not a string for text/plain. MORE: bytes that will follow. */
static bool queue_head(struct http_connection *connection, struct http_answer *answer,
	engine_value *fields, engine_value *reason, size_t more)
{
	char phrase[512];
	struct engine *engine = runtime.engine;
	bool own_fields = fields && engine_typeof(fields) == ENGINE_STRING;
	size_t fields_length = own_fields ? engine_string_length(fields) : sizeof text_field - 1;
	if (connection->stream_of) {
		choose_end(connection, answer);
		return queue_stream_head(
			connection, answer, own_fields ? fields : NULL, fields_length);
	}
	if (reason && engine_typeof(reason) == ENGINE_STRING) {
		size_t length = engine_string_length(reason);
		answer->reason_length = length < sizeof phrase ? length : sizeof phrase;
		engine_string_write_latin1(engine, reason, phrase, answer->reason_length);
		answer->reason = phrase;
	}
	choose_end(connection, answer);
	char *start = http_buffer_reserve(
		&connection->out, HTTP_ANSWER_BYTES + answer->reason_length + fields_length + more);
	if (!start)
		return false;
	char *end = http_answer_begin(start, answer);
	if (own_fields)
		engine_string_write_latin1(engine, fields, end, fields_length);
	else
		memcpy(end, text_field, fields_length);
	end = http_answer_end(end + fields_length, answer);
	connection->out.length += (size_t)(end - start);
	return true;
}

static void out_of_memory(struct http_connection *connection)
{
	connection->broken = true;
	http_connection_mark(connection);
}

/* ---- whole responses ---- */

static bool is_ascii(const char *text, size_t length)
{
	size_t i = 0;
	uint64_t word, high = 0;
	for (; i + sizeof word <= length; i += sizeof word) {
		memcpy(&word, text + i, sizeof word);
		high |= word;
	}
	for (; i < length; i++)
		high |= (uint8_t)text[i];
	return !(high & UINT64_C(0x8080808080808080));
}

static bool queue_bytes(struct http_connection *connection, struct http_answer *answer,
	engine_value *fields, engine_value *reason, const void *data, size_t length)
{
	answer->length = length;
	if (!queue_head(connection, answer, fields, reason, length))
		return false;
	if (connection->head_request || connection->framing == HTTP_FRAMING_NONE)
		return true;
	return http_buffer_append(&connection->out, data, length);
}

static bool queue_string(struct http_connection *connection, struct http_answer *answer,
	engine_value *fields, engine_value *reason, engine_value *body)
{
	struct engine *engine = runtime.engine;
	char small[4096];
	size_t length = engine_string_length(body);
	bool one_byte = engine_string_is_one_byte(body);
	if (one_byte && length <= sizeof small) {
		engine_string_write_latin1(engine, body, small, length);
		if (is_ascii(small, length))
			return queue_bytes(connection, answer, fields, reason, small, length);
	}
	size_t bytes = engine_string_utf8_length(engine, body);
	answer->length = bytes;
	if (!queue_head(connection, answer, fields, reason, bytes))
		return false;
	if (connection->head_request || connection->framing == HTTP_FRAMING_NONE)
		return true;
	char *place = http_buffer_reserve(&connection->out, bytes);
	if (!place)
		return false;
	if (one_byte && bytes == length)
		engine_string_write_latin1(engine, body, place, length);
	else
		engine_string_write_utf8(engine, body, place, bytes, NULL);
	connection->out.length += bytes;
	return true;
}

static void respond(struct http_connection *connection, struct http_answer *answer,
	engine_value *fields, engine_value *reason, engine_value *body)
{
	void *data = NULL;
	size_t length = 0;
	bool queued;
	if (body && engine_typeof(body) == ENGINE_STRING) {
		queued = queue_string(connection, answer, fields, reason, body);
	} else {
		if (body)
			engine_bytes_get(body, &data, &length);
		queued = queue_bytes(connection, answer, fields, reason, data, length);
	}
	if (!queued)
		out_of_memory(connection);
	done(connection);
}

/* httpRespond(slot, generation, status, reason, fields, body, flags): a whole response.
 * BODY: string, bytes, or undefined for none. */
static engine_value *native_respond(struct engine *engine, struct engine_call *call)
{
	struct http_connection *connection = find(call);
	if (!connection || connection->answering != HTTP_ANSWER_WAITING)
		return NULL;
	struct http_answer answer = {
		.status = (unsigned)engine_argument_int32(call, 2),
		.framing = HTTP_FRAMING_LENGTH,
		.has_date = engine_argument_int32(call, 6) & FLAG_HAS_DATE,
	};
	respond(connection, &answer, engine_call_argument(engine, call, 4),
		engine_call_argument(engine, call, 3), engine_call_argument(engine, call, 5));
	return NULL;
}

/* A body that may come or not, or that is too long to be read away, ends the connection: the
 * head must say so. */
static bool body_is_in_the_way(const struct http_connection *connection)
{
	const struct http_parser *parser = &connection->parser;
	return connection->continue_due ||
	       (parser->content_length > connection->body_total &&
		       parser->content_length - connection->body_total > HTTP_DISCARD_BYTES);
}

/* Its body is the status in words, as with HTTP/1.1. */
static bool refuse_stream(struct http_connection *stream, unsigned status, const char *fields)
{
	char head[512];
	const char *reason = http_reason(status);
	struct http_answer answer = {
		.status = status,
		.framing = HTTP_FRAMING_LENGTH,
		.length = strlen(reason) + 1,
	};
	const int length =
		snprintf(head, sizeof head, "%s%s", status == 204 ? "" : text_field, fields);
	choose_end(stream, &answer);
	if (!http2_stream_head(stream, &answer, head, (size_t)length))
		return false;
	if (stream->head_request || answer.framing == HTTP_FRAMING_NONE)
		return true;
	return http_buffer_append(&stream->out, reason, strlen(reason)) &&
	       http_buffer_append(&stream->out, "\n", 1);
}

void http_exchange_refuse(struct http_connection *connection, unsigned status, const char *fields)
{
	if (connection->stream_of) {
		if (!refuse_stream(connection, status, fields))
			out_of_memory(connection);
		done(connection);
		return;
	}
	if (http_server.draining || http_server.full || body_is_in_the_way(connection))
		connection->keep_alive = false;
	if (!http_answer_plain(&connection->out, status, fields, connection->keep_alive,
		    connection->parser.http10, connection->head_request))
		out_of_memory(connection);
	done(connection);
}

/* ---- streamed responses ---- */

/* httpStart(slot, generation, status, reason, fields, flags, length): the head of a
 * response whose body follows; LENGTH -1 when it is not known. Returns whether a body
 * is wanted: false when the response is complete with its head, or the client gone. */
static engine_value *native_start(struct engine *engine, struct engine_call *call)
{
	struct http_connection *connection = find(call);
	if (!connection || connection->answering != HTTP_ANSWER_WAITING)
		return engine_bool(engine, false);
	double length = engine_argument_number(call, 6);
	struct http_answer answer = {
		.status = (unsigned)engine_argument_int32(call, 2),
		.framing = length >= 0 ? HTTP_FRAMING_LENGTH : HTTP_FRAMING_CHUNKED,
		.length = length >= 0 ? (uint64_t)length : 0,
		.has_date = engine_argument_int32(call, 5) & FLAG_HAS_DATE,
	};
	if (!queue_head(connection, &answer, engine_call_argument(engine, call, 4),
		    engine_call_argument(engine, call, 3), 0)) {
		out_of_memory(connection);
		return engine_bool(engine, false);
	}
	connection->response_left = answer.length;
	if (connection->head_request || connection->framing == HTTP_FRAMING_NONE) {
		done(connection);
		return engine_bool(engine, false);
	}
	connection->answering = HTTP_ANSWER_STREAMING;
	http_connection_mark(connection);
	return engine_bool(engine, true);
}

/* httpWrite(slot, generation, bytes): true to go on, false to wait for onDrain,
 * undefined when nobody wants more, null when this is more than the promised length. */
static engine_value *native_write(struct engine *engine, struct engine_call *call)
{
	struct http_connection *connection = find(call);
	void *data;
	size_t length;
	if (!connection || connection->answering != HTTP_ANSWER_STREAMING ||
		!engine_bytes_get(engine_call_argument(engine, call, 2), &data, &length))
		return NULL;
	if (connection->framing == HTTP_FRAMING_LENGTH) {
		if (length > connection->response_left)
			return engine_null(engine);
		connection->response_left -= length;
	}
	bool queued = length == 0 ||
		      (connection->framing == HTTP_FRAMING_CHUNKED
				      ? http_chunk_append(&connection->out, data, length)
				      : http_buffer_append(&connection->out, data, length));
	if (!queued) {
		out_of_memory(connection);
		return NULL;
	}
	http_connection_mark(connection);
	connection->drain_wanted =
		connection->out.length + connection->sending.length >= HTTP_OUT_BUFFER;
	return engine_bool(engine, !connection->drain_wanted);
}

/* httpEnd(slot, generation): the body is complete. False when it is shorter than
 * promised, which cuts the connection. */
static engine_value *native_end(struct engine *engine, struct engine_call *call)
{
	struct http_connection *connection = find(call);
	if (!connection || connection->answering != HTTP_ANSWER_STREAMING)
		return engine_bool(engine, true);
	bool complete =
		connection->framing != HTTP_FRAMING_LENGTH || connection->response_left == 0;
	if (connection->framing == HTTP_FRAMING_CHUNKED && complete)
		complete = http_chunk_end(&connection->out);
	if (!complete)
		out_of_memory(connection);
	done(connection);
	return engine_bool(engine, complete);
}

/* httpCut(slot, generation): the response cannot be completed. The client sees that
 * it is not whole. */
static engine_value *native_cut(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	struct http_connection *connection = find(call);
	if (!connection || connection->answering == HTTP_ANSWER_DONE)
		return NULL;
	connection->broken = true;
	done(connection);
	return NULL;
}

/* ---- bodies of requests ---- */

static void begin_body(struct http_connection *connection, bool whole)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	connection->body_started = true;
	connection->body_whole = whole;
	if (connection->continue_due && connection->answering == HTTP_ANSWER_WAITING) {
		connection->continue_due = false;
		if (connection->stream_of
				? !http2_stream_continue(connection)
				: !http_buffer_append(&connection->out, go_on, sizeof go_on - 1))
			out_of_memory(connection);
		http_connection_mark(connection);
	}
}

/* The program has it all. The connection may have waited for that. */
static void end_body(struct http_connection *connection)
{
	connection->body_ended = true;
	if (connection->answering == HTTP_ANSWER_DONE)
		http_connection_mark(connection);
}

static engine_value *wait_for_body(struct http_connection *connection)
{
	connection->body_wanted = true;
	http_connection_resume(connection);
	return NULL;
}

/* What has arrived, in one place. False without memory. */
static bool gather(struct http_connection *connection, const char **ret_data, size_t *ret_length)
{
	if (connection->body.length == 0) {
		*ret_data = connection->piece;
		*ret_length = connection->piece ? connection->piece_length : 0;
		return true;
	}
	if (connection->piece &&
		!http_buffer_append(&connection->body, connection->piece, connection->piece_length))
		return false;
	connection->piece = NULL;
	*ret_data = connection->body.data;
	*ret_length = connection->body.length;
	return true;
}

/* httpBodyRead(slot, generation): the bytes that are there; null at the end; undefined
 * when onBody will be called; false when the exchange is over. */
static engine_value *native_body_read(struct engine *engine, struct engine_call *call)
{
	struct http_connection *connection = find(call);
	const char *data;
	size_t length;
	if (!connection)
		return engine_bool(engine, false);
	begin_body(connection, false);
	if (!gather(connection, &data, &length))
		return engine_throw(engine, "RangeError", NULL, "no memory for the body");
	if (length) {
		engine_value *bytes = engine_bytes_copy(engine, data, length);
		connection->piece = NULL;
		http_buffer_release(&connection->body);
		http_connection_resume(connection);
		return bytes;
	}
	if (connection->parsing == HTTP_PARSING_DONE) {
		end_body(connection);
		return engine_null(engine);
	}
	return wait_for_body(connection);
}

enum { BODY_TEXT, BODY_BYTES };

/* httpBodyWhole(slot, generation, kind): the whole body as text (decoded as UTF-8,
 * without a byte order mark) or bytes; undefined when onBody will be called once it is
 * complete; false when the exchange is over. */
static engine_value *native_body_whole(struct engine *engine, struct engine_call *call)
{
	struct http_connection *connection = find(call);
	const char *data;
	size_t length;
	if (!connection)
		return engine_bool(engine, false);
	begin_body(connection, true);
	if (connection->parsing != HTTP_PARSING_DONE)
		return wait_for_body(connection);
	if (!gather(connection, &data, &length))
		return engine_throw(engine, "RangeError", NULL, "no memory for the body");
	engine_value *value;
	if (engine_argument_int32(call, 2) == BODY_BYTES) {
		value = engine_bytes_copy(engine, data, length);
	} else {
		if (length >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0) {
			data += 3;
			length -= 3;
		}
		value = engine_string_utf8(engine, length ? data : "", length);
	}
	connection->piece = NULL;
	http_buffer_release(&connection->body);
	end_body(connection);
	return value;
}

/* httpBodyCancel(slot, generation): nobody will read the rest. */
static engine_value *native_body_cancel(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	struct http_connection *connection = find(call);
	if (!connection)
		return NULL;
	connection->body_unwanted = true;
	connection->body_wanted = false;
	connection->piece = NULL;
	http_buffer_release(&connection->body);
	http_connection_resume(connection);
	http_connection_mark(connection);
	return NULL;
}

/* ---- the rest ---- */

/* httpHold(slot, generation, change): promises given to ctx.waitUntil that have not
 * settled. They keep the worker, and the exchange's body, which they may be reading. */
static engine_value *native_hold(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	struct http_connection *connection = find(call);
	int32_t change = engine_argument_int32(call, 2);
	if (change > 0 || http_server.holds > 0) /* what was cut off may still settle */
		http_server.holds += (uint64_t)(int64_t)change;
	if (connection && (change > 0 || connection->holds > 0)) {
		connection->holds += (uint32_t)change;
		if (connection->answering == HTTP_ANSWER_DONE)
			http_connection_mark(connection);
	}
	return NULL;
}

/* httpErrorId(): 16 hexadecimal digits that join a 500 and the log. */
static engine_value *native_error_id(struct engine *engine, struct engine_call *call)
{
	(void)call;
	uint64_t random = 0;
	char text[17];
	if (getrandom(&random, sizeof random, 0) != sizeof random)
		random = uv_hrtime();
	snprintf(text, sizeof text, "%016llx", (unsigned long long)random);
	return engine_string(engine, text);
}

/* httpDescribe(error): what the log says of it, the stack included. */
static engine_value *native_describe(struct engine *engine, struct engine_call *call)
{
	cleanup_free char *text =
		engine_exception_describe(engine, engine_call_argument(engine, call, 0));
	return engine_string(engine, text ? text : "an error that cannot be described");
}

/* httpMethods(): the names, by the number in onRequest's meta. */
static engine_value *native_methods(struct engine *engine, struct engine_call *call)
{
	(void)call;
	engine_value *names[HTTP_QUERY + 1];
	for (int i = 0; i <= HTTP_QUERY; i++)
		names[i] = engine_string(engine, llhttp_method_name((llhttp_method_t)i));
	return engine_array(engine, names, ARRAY_LENGTH(names));
}

/* ---- into JavaScript ---- */

/* Calls HOOK; *ret_result is valid in the scope that the caller opened. */
static bool call_hook(
	engine_ref *hook, engine_value *const *arguments, int count, engine_value **ret_result)
{
	http_server.entered = true;
	if (engine_call_function(runtime.engine, engine_ref_get(runtime.engine, hook),
		    engine_undefined(runtime.engine), arguments, count, ret_result) == 0)
		return true;
	/* The hooks catch what programs throw: this is a termination, or no memory. */
	runtime_uncaught();
	return false;
}

static void call_with_slot(engine_ref *hook, struct http_connection *connection, int32_t detail)
{
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	engine_value *arguments[] = {
		engine_int32(runtime.engine, (int32_t)connection->slot),
		engine_int32(runtime.engine, detail),
	};
	call_hook(hook, arguments, 2, NULL);
	engine_scope_close(runtime.engine, &scope);
}

static void give(struct http_connection *connection)
{
	struct engine *engine = runtime.engine;
	const struct http_parser *parser = &connection->parser;
	struct engine_scope scope;
	engine_scope_open(engine, &scope);
	uint32_t meta = parser->method | parser->url_length << META_URL_SHIFT;
	if (parser->has_body)
		meta |= META_HAS_BODY;
	if (connection->parsing == HTTP_PARSING_DONE)
		meta |= META_BODY_COMPLETE;
	if (parser->has_length)
		meta |= META_HAS_LENGTH;
	frame[FRAME_SLOT] = (int32_t)connection->slot;
	frame[FRAME_GENERATION] = (int32_t)connection->generation;
	frame[FRAME_META] = (int32_t)meta;
	frame[FRAME_LISTENER] =
		connection->listener == HTTP_NO_LISTENER ? -1 : (int32_t)connection->listener;
	engine_value *head = engine_string_latin1(engine, parser->head, parser->head_length);
	engine_value *result = NULL;
	bool returned = call_hook(on_request, &head, 1, &result);
	if (connection->answering == HTTP_ANSWER_WAITING) {
		if (!returned) {
			connection->keep_alive = false;
			http_exchange_refuse(connection, 500, "");
		} else if (result && engine_typeof(result) == ENGINE_STRING) {
			/* The commonest response: 200, text, nothing else set. */
			struct http_answer answer = {.status = 200, .framing = HTTP_FRAMING_LENGTH};
			respond(connection, &answer, NULL, NULL, result);
		}
	}
	engine_scope_close(engine, &scope);
}

void http_exchange_dispatch(struct http_connection *connection)
{
	if (connection->parser.server_wide) {
		http_exchange_refuse(connection, 204, "");
		return;
	}
	if ((http_server.concurrent && http_server.active >= http_server.concurrent) ||
		!http_connections_have_room()) {
		http_exchange_refuse(connection, 503, "retry-after: 1\r\n");
		return;
	}
	begin(connection);
	give(connection);
}

void http_exchange_body(struct http_connection *connection)
{
	connection->body_wanted = false;
	call_with_slot(on_body, connection, 0);
}

void http_exchange_drained(struct http_connection *connection)
{
	call_with_slot(on_drain, connection, 0);
}

void http_exchange_abort(struct http_connection *connection, enum http_abort reason)
{
	bool working = connection->answering == HTTP_ANSWER_WAITING ||
		       connection->answering == HTTP_ANSWER_STREAMING;
	bool reading = connection->body_started && !connection->body_unwanted &&
		       (connection->parsing == HTTP_PARSING_BODY || connection->body.length);
	if (!working && !reading)
		return;
	connection->generation++;
	if (working) {
		runtime.stats->requests_active = --http_server.active + http_server.tasks;
		connection->answering = HTTP_ANSWER_DONE;
	}
	connection->body_wanted = connection->drain_wanted = false;
	call_with_slot(on_abort, connection, (int32_t)reason);
}

const struct engine_native http_exchange_natives[HTTP_EXCHANGE_NATIVES] = {
	{"httpRespond", native_respond, 7},
	{"httpStart", native_start, 7},
	{"httpWrite", native_write, 3},
	{"httpEnd", native_end, 2},
	{"httpCut", native_cut, 2},
	{"httpBodyRead", native_body_read, 2},
	{"httpBodyWhole", native_body_whole, 3},
	{"httpBodyCancel", native_body_cancel, 2},
	{"httpHold", native_hold, 3},
	{"httpErrorId", native_error_id, 0},
	{"httpDescribe", native_describe, 1},
	{"httpMethods", native_methods, 0},
	{"httpUpgrade", http_upgrade_native, 2},
};
