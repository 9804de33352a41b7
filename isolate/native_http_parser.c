/* internalBinding('http_parser') of Node's own HTTP library (_http_common, _http_server,
 * _http_client): the classes HTTPParser, on llhttp, and ConnectionsList. What JavaScript is
 * told, and when, is what Node's src/node_http_parser.cc tells it.
 *
 * A parser reaches the program (socket.parser), which may call anything at any time: a parser
 * that executes refuses to be initialised, executed or closed from its callbacks. */

#include "common/cleanup.h"
#include "isolate/http_connection.h"
#include "isolate/http_sites.h"
#include "isolate/native_http_parser_private.h"
#include "isolate/natives.h"

#include <llhttp.h>
#include <stdlib.h>
#include <string.h>

/* The properties of a parser that hold its callbacks; isolate/js/node/http_binding.js has the
 * same numbers. */
enum {
	ON_MESSAGE_BEGIN = 0,
	ON_HEADERS = 1,
	ON_HEADERS_COMPLETE = 2,
	ON_MESSAGE_COMPLETE = 4,
};

#define HEADER_BYTES (16 * 1024)
#define CHUNK_EXTENSIONS_BYTES (16 * 1024)
#define COPY_BYTES 4096 /* input that long is copied out of JavaScript's reach */

static _Thread_local engine_ref *give_body;
static size_t parser_class, connections_class;
static _Thread_local struct parser *live; /* all that there are */

static struct parser *parser_of(llhttp_t *llhttp)
{
	return llhttp->data;
}

/* ---- pieces ---- */

static void piece_reset(struct piece *piece)
{
	free(piece->own);
	*piece = (struct piece){0};
}

/* False: no memory. */
static bool piece_own(struct piece *piece, size_t more)
{
	char *own = realloc(piece->own, piece->size + more + 1);
	if (own == NULL)
		return false;
	if (piece->own == NULL && piece->size > 0)
		memcpy(own, piece->data, piece->size);
	piece->data = piece->own = own;
	return true;
}

static bool piece_add(struct piece *piece, const char *at, size_t length)
{
	if (piece->data == NULL) {
		piece->data = at;
	} else if (piece->own || piece->data + piece->size != at) {
		if (!piece_own(piece, length))
			return false;
		memcpy(piece->own + piece->size, at, length);
	}
	piece->size += length;
	return true;
}

/* The input will be gone. */
static bool piece_save(struct piece *piece)
{
	return piece->own || piece->size == 0 || piece_own(piece, 0);
}

static engine_value *piece_string(const struct piece *piece)
{
	return engine_string_latin1(runtime.engine, piece->size ? piece->data : "", piece->size);
}

/* Without the white space behind it. */
static engine_value *piece_trimmed(const struct piece *piece)
{
	size_t size = piece->size;
	while (size > 0 && (piece->data[size - 1] == ' ' || piece->data[size - 1] == '\t'))
		size--;
	return engine_string_latin1(runtime.engine, size ? piece->data : "", size);
}

static void forget_pieces(struct parser *parser)
{
	piece_reset(&parser->url);
	piece_reset(&parser->status);
	for (size_t i = 0; i < FIELDS_MAX; i++) {
		piece_reset(&parser->fields[i]);
		piece_reset(&parser->values[i]);
	}
	parser->field_count = parser->value_count = 0;
}

static bool save_pieces(struct parser *parser)
{
	bool saved = piece_save(&parser->url) && piece_save(&parser->status);
	for (size_t i = 0; i < parser->field_count; i++)
		saved = saved && piece_save(&parser->fields[i]);
	for (size_t i = 0; i < parser->value_count; i++)
		saved = saved && piece_save(&parser->values[i]);
	return saved;
}

/* ---- calling JavaScript ---- */

/* FUNCTION, as a method of OBJECT's, in the context of PARSER. NULL, with parser->failed, when it
 * threw. */
static engine_value *call_in_context(struct parser *parser, engine_value *object,
	engine_value *function, engine_value *const *arguments, int count)
{
	engine_value *result = NULL, *before = NULL;
	if (parser->context) {
		before = engine_async_context(runtime.engine);
		engine_set_async_context(
			runtime.engine, engine_ref_get(runtime.engine, parser->context));
	}
	if (engine_call_function(runtime.engine, function, object, arguments, count, &result) < 0)
		parser->failed = true;
	if (before)
		engine_set_async_context(runtime.engine, before);
	return parser->failed ? NULL : result;
}

/* parser[INDEX](…ARGUMENTS): the result; NULL when there is no such function, or, with
 * parser->failed, when it threw. */
static engine_value *call_back(struct parser *parser, engine_value *object, uint32_t index,
	engine_value *const *arguments, int count)
{
	engine_value *function = engine_get_index(runtime.engine, object, index);
	if (function == NULL) {
		parser->failed = true;
		return NULL;
	}
	if (engine_typeof(function) != ENGINE_FUNCTION)
		return NULL;
	return call_in_context(parser, object, function, arguments, count);
}

static _Thread_local engine_value *executing; /* the object of the parser that executes */

static int exception(struct parser *parser)
{
	llhttp_set_error_reason(&parser->llhttp, "HPE_JS_EXCEPTION:JS Exception");
	return HPE_USER;
}

static int no_memory(struct parser *parser)
{
	llhttp_set_error_reason(&parser->llhttp, "HPE_INTERNAL:Out of memory");
	return HPE_USER;
}

/* A callback that asked for a pause pauses when it returns. */
static int pause_if_asked(struct parser *parser)
{
	if (!parser->pause_pending && !parser->freed)
		return 0;
	parser->pause_pending = false;
	llhttp_set_error_reason(&parser->llhttp, "Paused");
	return HPE_PAUSED;
}

/* [name, value, …] of what has been collected. */
static engine_value *collected(struct parser *parser)
{
	engine_value *items[2 * FIELDS_MAX];
	for (size_t i = 0; i < parser->value_count; i++) {
		items[2 * i] = piece_string(&parser->fields[i]);
		items[2 * i + 1] = piece_trimmed(&parser->values[i]);
	}
	return engine_array(runtime.engine, items, 2 * parser->value_count);
}

/* Gives what has been collected to JavaScript. */
static void flush(struct parser *parser)
{
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	engine_value *arguments[] = {collected(parser), piece_string(&parser->url)};
	call_back(parser, executing, ON_HEADERS, arguments, ARRAY_LENGTH(arguments));
	engine_scope_close(runtime.engine, &scope);
	piece_reset(&parser->url);
	parser->flushed = true;
}

/* ---- what llhttp says ---- */

static int count_header(struct parser *parser, size_t length)
{
	parser->header_bytes += length;
	if (parser->header_bytes < parser->header_bytes_max)
		return 0;
	llhttp_set_error_reason(&parser->llhttp, "HPE_HEADER_OVERFLOW:Header overflow");
	return HPE_USER;
}

static int on_message_begin(llhttp_t *llhttp)
{
	struct parser *parser = parser_of(llhttp);
	struct engine_scope scope;
	forget_pieces(parser);
	parser->head_complete = false;
	parser->flushed = false;
	parser->is_new = false;
	parser->extension_bytes = 0;
	parser->header_bytes = 0;
	parser->started_ns = uv_hrtime();
	parser->active = parser->list != NULL;
	engine_scope_open(runtime.engine, &scope);
	call_back(parser, executing, ON_MESSAGE_BEGIN, NULL, 0);
	engine_scope_close(runtime.engine, &scope);
	return parser->failed ? exception(parser) : pause_if_asked(parser);
}

static int add_to(struct parser *parser, struct piece *piece, const char *at, size_t length)
{
	const int refused = count_header(parser, length);
	if (refused)
		return refused;
	return piece_add(piece, at, length) ? pause_if_asked(parser) : no_memory(parser);
}

static int on_url(llhttp_t *llhttp, const char *at, size_t length)
{
	struct parser *parser = parser_of(llhttp);
	return add_to(parser, &parser->url, at, length);
}

static int on_status(llhttp_t *llhttp, const char *at, size_t length)
{
	struct parser *parser = parser_of(llhttp);
	return add_to(parser, &parser->status, at, length);
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t length)
{
	struct parser *parser = parser_of(llhttp);
	if (parser->field_count == parser->value_count) {
		if (++parser->field_count == FIELDS_MAX) {
			flush(parser);
			if (parser->failed)
				return exception(parser);
			parser->field_count = 1;
			parser->value_count = 0;
		}
		piece_reset(&parser->fields[parser->field_count - 1]);
	}
	return add_to(parser, &parser->fields[parser->field_count - 1], at, length);
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t length)
{
	struct parser *parser = parser_of(llhttp);
	if (parser->field_count == 0)
		return 0;
	if (parser->value_count != parser->field_count)
		piece_reset(&parser->values[parser->value_count++]);
	return add_to(parser, &parser->values[parser->value_count - 1], at, length);
}

enum head_argument {
	HEAD_MAJOR,
	HEAD_MINOR,
	HEAD_FIELDS,
	HEAD_METHOD,
	HEAD_URL,
	HEAD_STATUS,
	HEAD_STATUS_TEXT,
	HEAD_UPGRADE,
	HEAD_KEEP_ALIVE,
	HEAD_ARGUMENTS,
};

static void take_head(struct parser *parser, engine_value **arguments)
{
	struct engine *engine = runtime.engine;
	llhttp_t *llhttp = &parser->llhttp;
	for (int i = 0; i < HEAD_ARGUMENTS; i++)
		arguments[i] = engine_undefined(engine);
	if (parser->flushed) {
		flush(parser); /* the rest */
	} else {
		arguments[HEAD_FIELDS] = collected(parser);
		if (llhttp->type == HTTP_REQUEST)
			arguments[HEAD_URL] = piece_string(&parser->url);
	}
	if (llhttp->type == HTTP_REQUEST) {
		arguments[HEAD_METHOD] = engine_int32(engine, llhttp->method);
	} else {
		arguments[HEAD_STATUS] = engine_int32(engine, llhttp->status_code);
		arguments[HEAD_STATUS_TEXT] = piece_string(&parser->status);
	}
	arguments[HEAD_MAJOR] = engine_int32(engine, llhttp->http_major);
	arguments[HEAD_MINOR] = engine_int32(engine, llhttp->http_minor);
	arguments[HEAD_UPGRADE] = engine_bool(engine, llhttp->upgrade);
	arguments[HEAD_KEEP_ALIVE] = engine_bool(engine, llhttp_should_keep_alive(llhttp));
}

static int on_headers_complete(llhttp_t *llhttp)
{
	struct parser *parser = parser_of(llhttp);
	struct engine_scope scope;
	engine_value *arguments[HEAD_ARGUMENTS];
	int verdict = 0;
	parser->head_complete = true;
	parser->header_bytes = 0;
	engine_scope_open(runtime.engine, &scope);
	take_head(parser, arguments);
	if (!parser->failed) {
		engine_value *result = call_back(
			parser, executing, ON_HEADERS_COMPLETE, arguments, HEAD_ARGUMENTS);
		verdict = result ? engine_to_int32(runtime.engine, result) : 0;
	}
	engine_scope_close(runtime.engine, &scope);
	parser->field_count = parser->value_count = 0;
	if (parser->failed)
		return exception(parser);
	const int paused = verdict == 0 || parser->freed ? pause_if_asked(parser) : 0;
	return paused ? paused : verdict == 1 || verdict == 2 ? verdict : 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t length)
{
	struct parser *parser = parser_of(llhttp);
	struct engine_scope scope;
	if (length == 0)
		return 0;
	engine_scope_open(runtime.engine, &scope);
	engine_value *bytes = engine_bytes_copy(runtime.engine, at, length);
	/* A Buffer is made by JavaScript, which then calls parser[kOnBody]. */
	if (bytes)
		call_in_context(
			parser, executing, engine_ref_get(runtime.engine, give_body), &bytes, 1);
	else
		parser->failed = true;
	engine_scope_close(runtime.engine, &scope);
	return parser->failed ? exception(parser) : pause_if_asked(parser);
}

static int on_message_complete(llhttp_t *llhttp)
{
	struct parser *parser = parser_of(llhttp);
	struct engine_scope scope;
	parser->started_ns = 0;
	parser->ended_ns = uv_hrtime();
	parser->active = false;
	if (parser->field_count)
		flush(parser); /* trailers */
	if (!parser->failed) {
		engine_scope_open(runtime.engine, &scope);
		call_back(parser, executing, ON_MESSAGE_COMPLETE, NULL, 0);
		engine_scope_close(runtime.engine, &scope);
	}
	return parser->failed ? exception(parser) : pause_if_asked(parser);
}

static int on_chunk_header(llhttp_t *llhttp)
{
	struct parser *parser = parser_of(llhttp);
	parser->header_bytes = 0;
	parser->extension_bytes = 0;
	return pause_if_asked(parser);
}

static int on_chunk_complete(llhttp_t *llhttp)
{
	struct parser *parser = parser_of(llhttp);
	parser->header_bytes = 0;
	return pause_if_asked(parser);
}

static int on_chunk_extension(llhttp_t *llhttp, const char *at, size_t length)
{
	struct parser *parser = parser_of(llhttp);
	(void)at;
	parser->extension_bytes += length;
	if (parser->extension_bytes <= CHUNK_EXTENSIONS_BYTES)
		return 0;
	llhttp_set_error_reason(llhttp, "HPE_CHUNK_EXTENSIONS_OVERFLOW:Chunk extensions overflow");
	return HPE_USER;
}

static const llhttp_settings_t settings = {
	.on_message_begin = on_message_begin,
	.on_url = on_url,
	.on_status = on_status,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_chunk_extension_name = on_chunk_extension,
	.on_chunk_extension_value = on_chunk_extension,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_message_complete = on_message_complete,
	.on_chunk_header = on_chunk_header,
	.on_chunk_complete = on_chunk_complete,
};

/* ---- executing ---- */

static engine_value *string_of(const char *text, size_t length)
{
	return engine_string_latin1(runtime.engine, text, length);
}

/* The Error that execute gives: code, reason and bytesParsed say what was wrong, and where. */
static engine_value *parse_error(struct parser *parser, llhttp_errno_t error, size_t parsed)
{
	struct engine *engine = runtime.engine;
	const char *reason = llhttp_get_error_reason(&parser->llhttp);
	const char *code = llhttp_errno_name(error);
	size_t code_length = strlen(code);
	const char *colon = error == HPE_USER && reason ? strchr(reason, ':') : NULL;
	if (colon) {
		code = reason;
		code_length = (size_t)(colon - reason);
		reason = colon + 1;
	}
	if (reason == NULL)
		reason = "";
	engine_value *result = engine_error_new(engine, "Error", NULL, "Parse Error");
	engine_set(engine, result, "bytesParsed", engine_number(engine, (double)parsed));
	engine_set(engine, result, "code", string_of(code, code_length));
	engine_set(engine, result, "reason", string_of(reason, strlen(reason)));
	return result;
}

/* Parses DATA, or, without one, the end. The number of bytes parsed, or an Error; NULL of a
 * good end, or with an exception pending. */
static engine_value *execute(
	struct parser *parser, engine_value *object, const char *data, size_t length)
{
	engine_value *outer = executing;
	size_t parsed = length;
	executing = object;
	parser->depth++;
	parser->failed = false;
	parser->input = data;
	parser->input_length = length;
	llhttp_errno_t error = data ? llhttp_execute(&parser->llhttp, data, length)
				    : llhttp_finish(&parser->llhttp);
	const bool saved = save_pieces(parser);
	parser->depth--;
	executing = outer;
	if (error != HPE_OK) {
		const char *at = llhttp_get_error_pos(&parser->llhttp);
		parsed = data && at >= data && at <= data + length ? (size_t)(at - data) : 0;
	}
	if (error == HPE_PAUSED_UPGRADE) {
		error = HPE_OK;
		llhttp_resume_after_upgrade(&parser->llhttp);
	}
	if (parser->pause_pending) {
		parser->pause_pending = false;
		llhttp_pause(&parser->llhttp);
	}
	parser->input = NULL;
	parser->input_length = 0;
	if (parser->failed)
		return NULL;
	if (parser->freed) {
		parser->freed = false;
		forget_pieces(parser);
		return data ? engine_number(runtime.engine, (double)parsed) : NULL;
	}
	if (!saved)
		return engine_throw(runtime.engine, "RangeError", NULL, "out of memory");
	if (!parser->llhttp.upgrade && error != HPE_OK)
		return parse_error(parser, error, parsed);
	return data ? engine_number(runtime.engine, (double)parsed) : NULL;
}

/* The parser of a call, if it may be used now; NULL with an exception pending. */
static struct parser *usable(struct engine_call *call)
{
	struct parser *parser = engine_call_state(call);
	if (parser && parser->initialised && !parser->closed && parser->depth == 0)
		return parser;
	engine_throw(runtime.engine, "Error", "ERR_INVALID_STATE",
		"Invalid state: the HTTP parser is %s",
		parser && parser->depth    ? "executing"
		: parser && parser->closed ? "closed"
					   : "not initialized");
	return NULL;
}

/* execute(bytes): how many were parsed, or an Error. The bytes stay where they are, and what
 * they are, as far as the parser can be harmed, whatever its callbacks do. */
static engine_value *parser_execute(struct engine *engine, struct engine_call *call)
{
	struct parser *parser = usable(call);
	engine_value *bytes = engine_call_argument(engine, call, 0);
	char copy[COPY_BYTES];
	void *data;
	size_t length;
	if (parser == NULL)
		return NULL;
	if (!engine_bytes_get(bytes, &data, &length))
		return engine_throw(engine, "TypeError", "ERR_INVALID_ARG_TYPE",
			"The \"buffer\" argument must be a Buffer, a TypedArray or a DataView");
	engine_value *object = engine_call_this(engine, call);
	if (length <= sizeof copy) {
		if (length)
			memcpy(copy, data, length);
		return execute(parser, object, copy, length);
	}
	bool fixed = false;
	engine_pin *pin = engine_pin_new(bytes, &fixed);
	if (pin && fixed) {
		engine_value *result = execute(parser, object, data, length);
		engine_pin_free(pin);
		return result;
	}
	engine_pin_free(pin);
	char *heap = malloc(length);
	if (heap == NULL)
		return engine_throw(engine, "RangeError", NULL, "out of memory");
	memcpy(heap, data, length);
	engine_value *result = execute(parser, object, heap, length);
	free(heap);
	return result;
}

/* finish(): the input has ended. undefined, or an Error. */
static engine_value *parser_finish(struct engine *engine, struct engine_call *call)
{
	struct parser *parser = engine_call_state(call);
	/* From a callback, as Node's library does it: what runs already ends first. */
	if (parser == NULL || !parser->initialised || parser->closed || parser->depth)
		return NULL;
	return execute(parser, engine_call_this(engine, call), NULL, 0);
}

/* initialize(type, resource, maxHeaderSize, lenientFlags, connections). */
static engine_value *parser_initialize(struct engine *engine, struct engine_call *call)
{
	struct parser *parser = engine_call_state(call);
	const int32_t type = engine_argument_int32(call, 0);
	const double most = engine_argument_number(call, 2);
	if (parser == NULL || parser->closed || parser->depth)
		return engine_throw(engine, "Error", "ERR_INVALID_STATE",
			"Invalid state: the HTTP parser is %s",
			parser && parser->depth ? "executing" : "closed");
	if (type != HTTP_REQUEST && type != HTTP_RESPONSE)
		return engine_throw(engine, "TypeError", "ERR_INVALID_ARG_VALUE",
			"The argument 'type' must be HTTPParser.REQUEST or HTTPParser.RESPONSE");
	http_connections_remove(parser);
	forget_pieces(parser);
	llhttp_init(&parser->llhttp, (llhttp_type_t)type, &settings);
	parser->llhttp.data = parser;
	parser->llhttp.lenient_flags = (uint16_t)engine_argument_int32(call, 3);
	parser->header_bytes_max = most >= 1 && most < 1e15 ? (uint64_t)most : HEADER_BYTES;
	parser->header_bytes = parser->extension_bytes = 0;
	parser->head_complete = parser->flushed = parser->failed = parser->pause_pending = false;
	parser->freed = false;
	parser->initialised = parser->is_new = true;
	/* A client that sends nothing must not hold its connection for ever. */
	parser->started_ns = parser->ended_ns = uv_hrtime();
	parser->context = engine_ref_free(parser->context);
	engine_value *context = engine_async_context(engine);
	if (context && engine_typeof(context) != ENGINE_UNDEFINED)
		parser->context = engine_ref_new(engine, context);
	http_connections_add(parser, engine_call_this(engine, call),
		engine_get_state(engine, engine_call_argument(engine, call, 4), connections_class),
		engine_call_argument(engine, call, 4));
	parser->active = parser->list != NULL;
	return NULL;
}

static engine_value *pause_parser(struct engine_call *call, bool wanted)
{
	struct parser *parser = engine_call_state(call);
	if (parser == NULL || !parser->initialised || parser->closed)
		return NULL;
	if (parser->depth)
		parser->pause_pending = wanted;
	else if (wanted)
		llhttp_pause(&parser->llhttp);
	else
		llhttp_resume(&parser->llhttp);
	return NULL;
}

static engine_value *parser_pause(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	return pause_parser(call, true);
}

static engine_value *parser_resume(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	return pause_parser(call, false);
}

/* remove(): from its list. */
static engine_value *parser_remove(struct engine *engine, struct engine_call *call)
{
	struct parser *parser = engine_call_state(call);
	(void)engine;
	if (parser)
		http_connections_remove(parser);
	return NULL;
}

/* free(): nobody uses it for now. */
static engine_value *parser_free(struct engine *engine, struct engine_call *call)
{
	struct parser *parser = engine_call_state(call);
	(void)engine;
	if (parser == NULL)
		return NULL;
	parser->context = engine_ref_free(parser->context);
	parser->freed = parser->depth > 0;
	return NULL;
}

static engine_value *parser_close(struct engine *engine, struct engine_call *call)
{
	struct parser *parser = engine_call_state(call);
	(void)engine;
	if (parser == NULL)
		return NULL;
	http_connections_remove(parser);
	parser->context = engine_ref_free(parser->context);
	parser->closed = true;
	parser->freed = parser->depth > 0;
	if (parser->depth == 0)
		forget_pieces(parser);
	return NULL;
}

/* consume(stream), unconsume(): Node's way around JavaScript, which is not taken here. */
static engine_value *parser_consume(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	(void)call;
	return NULL;
}

/* getCurrentBuffer(): a copy of what is parsed now. */
static engine_value *parser_current_buffer(struct engine *engine, struct engine_call *call)
{
	const struct parser *parser = engine_call_state(call);
	if (parser == NULL || parser->input == NULL)
		return engine_bytes_copy(engine, "", 0);
	return engine_bytes_copy(engine, parser->input, parser->input_length);
}

static engine_value *parser_construct(struct engine *engine, struct engine_call *call)
{
	struct parser *parser = calloc(1, sizeof *parser);
	if (parser == NULL)
		return engine_throw(engine, "RangeError", NULL, "out of memory");
	parser->next_live = live;
	if (live)
		live->previous_live = parser;
	live = parser;
	engine_set_state(engine_call_this(engine, call), parser);
	return NULL;
}

static void parser_destroy(void *state)
{
	struct parser *parser = state;
	if (parser->previous_live)
		parser->previous_live->next_live = parser->next_live;
	else
		live = parser->next_live;
	if (parser->next_live)
		parser->next_live->previous_live = parser->previous_live;
	http_connections_remove(parser);
	engine_ref_free(parser->context);
	forget_pieces(parser);
	free(parser);
}

/* ---- the module ---- */

#define METHOD_NAME(number, name, string) [number] = #string,

/* httpParserMethods(): [those of HTTP, all that the parser knows]; by their number. */
static engine_value *parser_methods(struct engine *engine, struct engine_call *call)
{
	static const char *const http[] = {HTTP_METHOD_MAP(METHOD_NAME)};
	static const char *const all[] = {HTTP_ALL_METHOD_MAP(METHOD_NAME)};
	const char *const *names[] = {http, all};
	const size_t lengths[] = {ARRAY_LENGTH(http), ARRAY_LENGTH(all)};
	engine_value *lists[2];
	(void)call;
	for (size_t which = 0; which < 2; which++) {
		uint32_t count = 0;
		lists[which] = engine_array(engine, NULL, 0);
		for (size_t i = 0; i < lengths[which]; i++)
			if (names[which][i])
				engine_set_index(engine, lists[which], count++,
					engine_string_internalized(engine, names[which][i]));
	}
	return engine_array(engine, lists, 2);
}

static void count(void)
{
	runtime.stats->requests_active = http_server.active + http_server.tasks;
}

/* httpBegin(): a request for the program's own server. False: there are
 * limits.request.concurrent already, and this one does not count. */
static engine_value *request_begin(struct engine *engine, struct engine_call *call)
{
	(void)call;
	if (runtime.thread)
		return engine_bool(engine, true); /* the books are the first one's */
	if (http_server.concurrent && http_server.active >= http_server.concurrent)
		return engine_bool(engine, false);
	http_server.active++;
	count();
	return engine_bool(engine, true);
}

/* httpDone(whether it was answered): the end of one that counts. */
static engine_value *request_done(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	if (runtime.thread)
		return NULL;
	if (http_server.active > 0)
		http_server.active--;
	if (engine_argument_bool(call, 0))
		runtime.stats->requests++;
	count();
	return NULL;
}

/* httpSiteAllows(url): may a request for it be answered here? */
static engine_value *site_allows(struct engine *engine, struct engine_call *call)
{
	size_t length;
	cleanup_free char *url =
		engine_to_utf8(engine, engine_call_argument(engine, call, 0), &length);
	return engine_bool(engine, url && http_sites_allow(url, length));
}

static void find_classes(void)
{
	const struct engine_tables *tables = natives_tables();
	while (strcmp(tables->classes[parser_class].name, "HTTPParser") != 0)
		parser_class++;
	connections_class = parser_class + 1;
	give_body = runtime_hook("httpBody");
}

/* The thread ends: what holds objects lets go of them. */
static void stop(void)
{
	for (struct parser *parser = live; parser; parser = parser->next_live) {
		http_connections_remove(parser);
		parser->context = engine_ref_free(parser->context);
	}
}

static const struct engine_native parser_functions[] = {
	{"close", parser_close, 0},
	{"free", parser_free, 0},
	{"remove", parser_remove, 0},
	{"execute", parser_execute, 1},
	{"finish", parser_finish, 0},
	{"initialize", parser_initialize, 5},
	{"pause", parser_pause, 0},
	{"resume", parser_resume, 0},
	{"consume", parser_consume, 0},
	{"unconsume", parser_consume, 0},
	{"getCurrentBuffer", parser_current_buffer, 0},
};

static const struct engine_class classes[] = {
	{
		.name = "HTTPParser",
		.construct = parser_construct,
		.methods = parser_functions,
		.method_count = ARRAY_LENGTH(parser_functions),
		.destroy = parser_destroy,
	},
	{
		.name = "ConnectionsList",
		.construct = http_connections_construct,
		.methods = http_connections_methods,
		.method_count = HTTP_CONNECTIONS_METHODS,
		.destroy = http_connections_destroy,
	},
};

static const struct engine_native natives[] = {
	{"httpParserMethods", parser_methods, 0},
	{"httpBegin", request_begin, 0},
	{"httpDone", request_done, 1},
	{"httpSiteAllows", site_allows, 1},
};

const struct native_module http_parser_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
	.bind = find_classes,
	.stop = stop,
};
