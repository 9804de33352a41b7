#include "isolate/http_parse.h"

#include <ada_c.h>
#include <stdlib.h>
#include <string.h>

/* In front of the target there is room for "https://" and the host, which come last. */
enum {
	SCHEME_MOST = sizeof "https://" - 1,
	ROOM = SCHEME_MOST + HTTP_HOST_BYTES,
	/* Each field takes two bytes more than its name and value. */
	STORE_BYTES = ROOM + HTTP_TARGET_BYTES + HTTP_HEAD_BYTES + 2 * HTTP_FIELDS + 8,
	/* A URL that is percent-encoded on the way grows to three times at most. */
	JOINED_BYTES = 3 * (HTTP_TARGET_BYTES + ROOM) + STORE_BYTES,
};

/* Heads are built here: one thread parses, one connection at a time, and a head that
 * is not complete when its data ends moves to a store of its own. */
static char scratch[STORE_BYTES];
static char joined[JOINED_BYTES];

/* ---- characters ---- */

enum {
	TARGET_PLAIN = 1, /* stays as it is when a URL is parsed */
	TARGET = 2,       /* may be in a request target */
	HOST = 4,         /* may be in Host */
};

static uint8_t classes[256];
static uint8_t lower[256];

static void add_class(const char *characters, uint8_t class)
{
	for (const char *c = characters; *c; c++)
		classes[(uint8_t)*c] |= class;
}

static void make_tables(void)
{
	for (int c = 0; c < 256; c++)
		lower[c] = (uint8_t)(c >= 'A' && c <= 'Z' ? c + 32 : c);
	for (int c = 0x21; c < 0x7F; c++)
		if (c != '#')
			classes[c] |= TARGET;
	const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
	add_class(letters, TARGET_PLAIN | HOST);
	add_class("!$&()*+,;=:@/?%", TARGET_PLAIN);
	add_class("!$&'()*+,;=:[]%", HOST);
}

static bool equals_ignoring_case(const char *a, const char *b, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (lower[(uint8_t)a[i]] != lower[(uint8_t)b[i]])
			return false;
	return true;
}

/* ---- is the URL already what parsing it would give? ---- */

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A decimal number without leading zeros, at most MOST. */
static bool plain_number(const char *text, size_t length, unsigned most)
{
	unsigned value = 0;
	if (length == 0 || length > 5 || (text[0] == '0' && length > 1))
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!digit(text[i]))
			return false;
		value = value * 10 + (unsigned)(text[i] - '0');
	}
	return value <= most;
}

static bool plain_ipv4(const char *name, size_t length)
{
	const char *end = name + length;
	for (int part = 0; part < 4; part++) {
		const char *dot = memchr(name, '.', (size_t)(end - name));
		const char *stop = dot ? dot : end;
		if ((part < 3) != (dot != NULL) || !plain_number(name, (size_t)(stop - name), 255))
			return false;
		name = stop + 1;
	}
	return true;
}

/* Lower-case labels, the last beginning with a letter, none of them punycode. */
static bool plain_name(const char *name, size_t length)
{
	char before = '.';
	bool letter = false;
	for (size_t i = 0; i < length; i++) {
		char c = name[i];
		if (c == '.' && before == '.')
			return false;
		if (before == '.')
			letter = c >= 'a' && c <= 'z';
		if (!((c >= 'a' && c <= 'z') || digit(c) || c == '-' || c == '.'))
			return false;
		if (c == '-' && before == '-')
			return false;
		before = c;
	}
	return letter && before != '.';
}

static bool plain_host(const char *host, size_t length)
{
	const char *colon = memchr(host, ':', length);
	size_t name = colon ? (size_t)(colon - host) : length;
	if (colon) {
		size_t port = length - name - 1;
		if (!plain_number(colon + 1, port, 65535) ||
			(port == 2 && !memcmp(colon, ":80", 3)) ||
			(port == 3 && !memcmp(colon, ":443", 4)))
			return false;
	}
	return plain_name(host, name) || plain_ipv4(host, name);
}

/* *RET_PLAIN: without "/." and without anything that is percent-encoded. False when a
 * character is not allowed at all. */
static bool check_target(const char *target, size_t length, bool *ret_plain)
{
	bool plain = length > 0 && target[0] == '/';
	char before = 0;
	for (size_t i = 0; i < length; i++) {
		uint8_t class = classes[(uint8_t)target[i]];
		if (!(class & TARGET))
			return false;
		/* %2e is a dot, too. */
		if (target[i] == '%' && i + 2 < length && target[i + 1] == '2' &&
			lower[(uint8_t)target[i + 2]] == 'e')
			plain = false;
		if (!(class & TARGET_PLAIN) || (target[i] == '.' && before == '/'))
			plain = false;
		before = target[i];
	}
	*ret_plain = plain;
	return true;
}

/* ---- building the head ---- */

static struct http_parser *parser_of(llhttp_t *llhttp)
{
	return llhttp->data;
}

static char *base(struct http_parser *parser)
{
	return parser->store ? parser->store : scratch;
}

static int fail(struct http_parser *parser, unsigned status)
{
	parser->status = status;
	return HPE_USER;
}

/* Room for LENGTH bytes more, within the limit of a head. */
static char *reserve(struct http_parser *parser, size_t length)
{
	if (length > HTTP_HEAD_BYTES ||
		parser->length - ROOM - parser->target_length + length > HTTP_HEAD_BYTES)
		return NULL;
	char *place = base(parser) + parser->length;
	parser->length += (uint32_t)length;
	return place;
}

static void begin_head(struct http_parser *parser)
{
	parser->length = ROOM;
	parser->target_length = 0;
	parser->name = parser->value = parser->host = 0;
	parser->head_bytes = parser->trailer_bytes = 0;
	parser->body_bytes = parser->framing_bytes = 0;
	parser->fields = 0;
	parser->in_head = true;
	parser->in_body = false;
	parser->expect_continue = parser->server_wide = parser->has_length = false;
	parser->chunked_seen = parser->other_coding = false;
	parser->authority_length = parser->cookie_end = 0;
}

static int on_message_begin(llhttp_t *llhttp)
{
	begin_head(parser_of(llhttp));
	return 0;
}

static int on_url(llhttp_t *llhttp, const char *data, size_t length)
{
	struct http_parser *parser = parser_of(llhttp);
	if (parser->target_length + length > HTTP_TARGET_BYTES)
		return fail(parser, 414);
	memcpy(base(parser) + parser->length, data, length);
	parser->length += (uint32_t)length;
	parser->target_length += (uint32_t)length;
	return 0;
}

/* Trailers are not given to the program (RFC 9110 section 6.5.1 allows that): only
 * their size counts. */
static int count_trailer(struct http_parser *parser, size_t length)
{
	parser->trailer_bytes += (uint32_t)length;
	return parser->trailer_bytes > HTTP_HEAD_BYTES ? fail(parser, 431) : 0;
}

static int on_field(llhttp_t *llhttp, const char *data, size_t length)
{
	struct http_parser *parser = parser_of(llhttp);
	if (parser->in_body)
		return count_trailer(parser, length);
	bool first = parser->name == 0;
	if (first && ++parser->fields > HTTP_FIELDS)
		return fail(parser, 431);
	char *place = reserve(parser, length + first);
	if (!place)
		return fail(parser, 431);
	if (first) {
		*place++ = '\n';
		parser->name = (uint32_t)(place - base(parser));
	}
	for (size_t i = 0; i < length; i++)
		place[i] = (char)lower[(uint8_t)data[i]];
	return 0;
}

static int on_value(llhttp_t *llhttp, const char *data, size_t length)
{
	struct http_parser *parser = parser_of(llhttp);
	if (parser->in_body)
		return count_trailer(parser, length);
	bool first = parser->value == 0;
	char *place = reserve(parser, length + first);
	if (!place)
		return fail(parser, 431);
	if (first) {
		*place++ = '\r';
		parser->value = (uint32_t)(place - base(parser));
	}
	memcpy(place, data, length);
	return 0;
}

static int note_coding(struct http_parser *parser, const char *value, size_t length)
{
	/* A second Transfer-Encoding, or any other than chunked, is an error. */
	if (parser->chunked_seen || length != 7 || !equals_ignoring_case(value, "chunked", 7))
		parser->other_coding = true;
	parser->chunked_seen = true;
	return 0;
}

static int note_field(struct http_parser *parser, const char *name, size_t name_length,
	const char *value, size_t length)
{
	switch (name_length) {
	case 4:
		if (memcmp(name, "host", 4))
			return 0;
		if (parser->host)
			return fail(parser, 400);
		parser->host = (uint32_t)(value - base(parser));
		parser->host_length = (uint32_t)length;
		return 0;
	case 6:
		if (memcmp(name, "expect", 6))
			return 0;
		if (length != 12 || !equals_ignoring_case(value, "100-continue", 12))
			return fail(parser, 417);
		parser->expect_continue = true;
		return 0;
	case 17:
		return memcmp(name, "transfer-encoding", 17) ? 0
							     : note_coding(parser, value, length);
	default:
		return 0;
	}
}

static int on_value_complete(llhttp_t *llhttp)
{
	struct http_parser *parser = parser_of(llhttp);
	if (parser->in_body)
		return 0;
	if (parser->value == 0 && on_value(llhttp, "", 0))
		return HPE_USER;
	char *text = base(parser);
	uint32_t end = parser->length;
	while (end > parser->value && (text[end - 1] == ' ' || text[end - 1] == '\t'))
		end--;
	parser->length = end;
	uint32_t name = parser->name, value = parser->value;
	parser->name = parser->value = 0;
	return note_field(parser, text + name, value - 1 - name, text + value, end - value);
}

/* ---- the whole head ---- */

static const char *scheme_of(const struct http_parser *parser, size_t *ret_length)
{
	*ret_length = parser->secure ? SCHEME_MOST : SCHEME_MOST - 1;
	return parser->secure ? "https://" : "http://";
}

/* Absolute-form (RFC 9112 section 3.2.2): the authority must be the Host's; what
 * remains is the path. */
static bool split_absolute(struct http_parser *parser, const char **target, size_t *length)
{
	size_t scheme;
	const char *own = scheme_of(parser, &scheme);
	if (*length <= scheme || !equals_ignoring_case(*target, own, scheme))
		return false;
	const char *authority = *target + scheme;
	size_t rest = *length - scheme, end = 0;
	while (end < rest && authority[end] != '/' && authority[end] != '?')
		end++;
	if (end == 0 || end > HTTP_HOST_BYTES)
		return false;
	if (parser->host == 0) {
		parser->host = (uint32_t)(authority - base(parser));
		parser->host_length = (uint32_t)end;
	}
	if (end != parser->host_length ||
		!equals_ignoring_case(authority, base(parser) + parser->host, end))
		return false;
	*target = authority + end;
	*length = rest - end;
	return true;
}

/* The URL as the standard's parser writes it, and the fields after it. */
static int join_parsed(struct http_parser *parser, const char *url, size_t url_length)
{
	ada_url parsed = ada_parse(url, url_length);
	int result = fail(parser, 400);
	if (ada_is_valid(parsed)) {
		ada_string href = ada_get_href(parsed);
		uint32_t fields = ROOM + parser->target_length;
		size_t rest = parser->length - fields;
		if (href.length + rest <= sizeof joined) {
			memcpy(joined, href.data, href.length);
			memcpy(joined + href.length, base(parser) + fields, rest);
			parser->head = joined;
			parser->head_length = (uint32_t)(href.length + rest);
			parser->url_length = (uint32_t)href.length;
			parser->status = 0;
			result = 0;
		}
	}
	ada_free(parsed);
	return result;
}

/* Whether HOST may be one, and whether it is plain. Most requests of a worker have the
 * same, so the last answer is kept. */
static bool check_host(const char *host, size_t length, bool *ret_plain)
{
	static char last[HTTP_HOST_BYTES];
	static size_t last_length;
	static bool last_plain;
	if (length == 0 || length > HTTP_HOST_BYTES)
		return false;
	if (length != last_length || memcmp(host, last, length) != 0) {
		for (size_t i = 0; i < length; i++)
			if (!(classes[(uint8_t)host[i]] & HOST))
				return false;
		memcpy(last, host, length);
		last_length = length;
		last_plain = plain_host(host, length);
	}
	*ret_plain = last_plain;
	return true;
}

static int make_url(struct http_parser *parser)
{
	char *text = base(parser);
	const char *target = text + ROOM;
	size_t length = parser->target_length;
	bool plain;
	if (!check_target(target, length, &plain))
		return fail(parser, 400);
	if (length == 1 && target[0] == '*' && parser->method == HTTP_OPTIONS) {
		parser->server_wide = true;
		target = "/";
	} else if (length == 0 || (target[0] != '/' && !split_absolute(parser, &target, &length))) {
		return fail(parser, 400);
	}
	const char *host = parser->host ? text + parser->host : "localhost";
	size_t host_length = parser->host ? parser->host_length : 9;
	bool host_is_plain;
	if (!check_host(host, host_length, &host_is_plain))
		return fail(parser, 400);
	size_t scheme_length;
	const char *scheme = scheme_of(parser, &scheme_length);
	if (plain && host_is_plain) {
		char *start = text + ROOM - scheme_length - host_length;
		memcpy(start, scheme, scheme_length);
		memcpy(start + scheme_length, host, host_length);
		parser->head = start;
		parser->url_length = (uint32_t)(scheme_length + host_length + length);
		parser->head_length = (uint32_t)(text + parser->length - start);
		return 0;
	}
	static char url[SCHEME_MOST + HTTP_HOST_BYTES + HTTP_TARGET_BYTES];
	memcpy(url, scheme, scheme_length);
	memcpy(url + scheme_length, host, host_length);
	memcpy(url + scheme_length + host_length, target, length);
	return join_parsed(parser, url, scheme_length + host_length + length);
}

static int check_head(struct http_parser *parser, const llhttp_t *llhttp)
{
	if (llhttp->http_major != 1)
		return fail(parser, 505);
	/* A program cannot have these: the fetch standard forbids them. */
	if (llhttp->method == HTTP_CONNECT || llhttp->method == HTTP_TRACE)
		return fail(parser, 501);
	if (parser->host == 0 && llhttp->http_minor >= 1)
		return fail(parser, 400);
	if (parser->other_coding || (parser->chunked_seen && llhttp->http_minor == 0) ||
		(parser->chunked_seen && (llhttp->flags & F_CONTENT_LENGTH)))
		return fail(parser, 400);
	return 0;
}

static int on_headers_complete(llhttp_t *llhttp)
{
	struct http_parser *parser = parser_of(llhttp);
	parser->method = llhttp->method;
	parser->http10 = llhttp->http_minor == 0;
	if (check_head(parser, llhttp))
		return HPE_USER;
	char *end = reserve(parser, 1);
	if (!end)
		return fail(parser, 431);
	*end = '\n';
	if (make_url(parser))
		return HPE_USER;
	/* An offer to upgrade is declined by ignoring it (RFC 9110 section 7.8). */
	llhttp->upgrade = 0;
	parser->in_head = false;
	parser->in_body = true;
	parser->keep_alive = llhttp_should_keep_alive(llhttp);
	parser->has_length = llhttp->flags & F_CONTENT_LENGTH;
	parser->content_length = parser->has_length ? llhttp->content_length : 0;
	parser->has_body = parser->chunked_seen || parser->content_length > 0;
	/* HTTP/1.0 knows no 100 (Continue). */
	if (parser->http10 || !parser->has_body)
		parser->expect_continue = false;
	unsigned status = parser->callbacks->head(parser);
	return status ? fail(parser, status) : 0;
}

static int on_body(llhttp_t *llhttp, const char *data, size_t length)
{
	struct http_parser *parser = parser_of(llhttp);
	parser->body_bytes += length;
	unsigned status = parser->callbacks->body(parser, data, length);
	return status ? fail(parser, status) : 0;
}

static int on_message_complete(llhttp_t *llhttp)
{
	parser_of(llhttp)->in_body = false;
	return HPE_PAUSED;
}

/* ---- feeding ---- */

static llhttp_settings_t settings;

static void make_settings(void)
{
	llhttp_settings_init(&settings);
	settings.on_message_begin = on_message_begin;
	settings.on_url = on_url;
	settings.on_header_field = on_field;
	settings.on_header_value = on_value;
	settings.on_header_value_complete = on_value_complete;
	settings.on_headers_complete = on_headers_complete;
	settings.on_body = on_body;
	settings.on_message_complete = on_message_complete;
	make_tables();
}

void http_parser_init(struct http_parser *parser, const struct http_parser_callbacks *callbacks)
{
	if (!settings.on_message_begin)
		make_settings();
	memset(parser, 0, sizeof *parser);
	llhttp_init(&parser->llhttp, HTTP_REQUEST, &settings);
	parser->llhttp.data = parser;
	parser->callbacks = callbacks;
}

void http_parser_clear(struct http_parser *parser)
{
	free(parser->store);
	parser->store = NULL;
}

static unsigned status_of(const llhttp_t *llhttp, enum llhttp_errno error)
{
	if (error == HPE_PAUSED_H2_UPGRADE)
		return 505;
	/* The same error says that something else follows a version that is fine. */
	bool known = llhttp->http_major == 1 && llhttp->http_minor <= 1;
	return error == HPE_INVALID_VERSION && !known ? 505 : 400;
}

/* A head that goes on in the next data leaves the scratch. */
static bool keep_head(struct http_parser *parser, size_t length)
{
	parser->head_bytes += (uint32_t)(length < HTTP_HEAD_BYTES ? length : HTTP_HEAD_BYTES);
	if (parser->head_bytes > HTTP_HEAD_BYTES + HTTP_TARGET_BYTES) {
		parser->status = 431;
		return false;
	}
	if (parser->store)
		return true;
	parser->store = malloc(STORE_BYTES);
	if (!parser->store) {
		parser->status = 503;
		return false;
	}
	memcpy(parser->store, scratch, parser->length);
	return true;
}

enum http_progress http_parser_feed(
	struct http_parser *parser, const char *data, size_t length, size_t *ret_used)
{
	*ret_used = 0;
	if (parser->status)
		return HTTP_FAILED;
	if (parser->store && !parser->in_head)
		http_parser_clear(parser);
	uint64_t body_before = parser->in_body ? parser->body_bytes : 0;
	enum llhttp_errno error = llhttp_execute(&parser->llhttp, data, length);
	if (error == HPE_PAUSED) {
		*ret_used = (size_t)(llhttp_get_error_pos(&parser->llhttp) - data);
		llhttp_resume(&parser->llhttp);
		return HTTP_COMPLETE;
	}
	if (error != HPE_OK) {
		if (!parser->status)
			parser->status = status_of(&parser->llhttp, error);
		return HTTP_FAILED;
	}
	*ret_used = length;
	if (parser->in_head && !keep_head(parser, length))
		return HTTP_FAILED;
	if (parser->in_body) {
		/* Chunk extensions and zeros in front of sizes could go on for ever. */
		uint64_t body = parser->body_bytes - body_before;
		parser->framing_bytes += length > body ? length - body : 0;
		if (parser->framing_bytes > HTTP_FRAMING_BYTES + 8 * parser->body_bytes +
						    HTTP_HEAD_BYTES + HTTP_TARGET_BYTES) {
			parser->status = 400;
			return HTTP_FAILED;
		}
	}
	return HTTP_MORE;
}

/* ---- HTTP/2 ---- */

void http_parser_head_begin(struct http_parser *parser)
{
	parser->status = 0;
	begin_head(parser);
	parser->method = UINT8_MAX;
	parser->content_length = 0;
	parser->http10 = parser->has_body = false;
	parser->keep_alive = true;
}

static bool is(const char *name, size_t length, const char *wanted)
{
	return length == strlen(wanted) && memcmp(name, wanted, length) == 0;
}

/* Methods that llhttp knows; HTTP/2 has no other rule for them. */
static uint8_t method_of(const char *name, size_t length)
{
	for (int i = 0; i <= HTTP_QUERY; i++)
		if (is(name, length, llhttp_method_name((llhttp_method_t)i)))
			return (uint8_t)i;
	return UINT8_MAX;
}

static int take_pseudo(struct http_parser *parser, const char *name, size_t name_length,
	const char *value, size_t length)
{
	if (is(name, name_length, ":path"))
		return on_url(&parser->llhttp, value, length);
	if (is(name, name_length, ":method")) {
		parser->method = method_of(value, length);
		return parser->method == UINT8_MAX ? fail(parser, 501) : 0;
	}
	if (is(name, name_length, ":scheme"))
		return is(value, length, parser->secure ? "https" : "http") ? 0 : fail(parser, 400);
	if (!is(name, name_length, ":authority") || length == 0 || length > HTTP_HOST_BYTES)
		return fail(parser, 400);
	memcpy(base(parser), value, length);
	parser->authority_length = (uint32_t)length;
	return 0;
}

static int add_field(struct http_parser *parser, const char *name, size_t name_length,
	const char *value, size_t length)
{
	llhttp_t *llhttp = &parser->llhttp;
	return on_field(llhttp, name, name_length) || on_value(llhttp, value, length) ||
	       on_value_complete(llhttp);
}

/* A client may cut its cookies into several fields, of which a program gets one (RFC 9113
 * section 8.2.3): the rest is put behind what is there. */
static int add_crumb(struct http_parser *parser, const char *value, size_t length)
{
	const uint32_t at = parser->cookie_end, tail = parser->length - at;
	if (++parser->fields > HTTP_FIELDS || !reserve(parser, length + 2))
		return fail(parser, 431);
	char *place = base(parser) + at;
	memmove(place + length + 2, place, tail);
	memcpy(place, "; ", 2);
	memcpy(place + 2, value, length);
	parser->cookie_end += (uint32_t)length + 2;
	if (parser->host > at)
		parser->host += (uint32_t)length + 2;
	return 0;
}

static int take_length(struct http_parser *parser, const char *value, size_t length)
{
	uint64_t number = 0;
	for (size_t i = 0; i < length; i++) {
		if (!digit(value[i]) || number > (UINT64_MAX - 9) / 10)
			return fail(parser, 400);
		number = number * 10 + (uint64_t)(value[i] - '0');
	}
	if (length == 0 || parser->has_length)
		return fail(parser, 400);
	parser->has_length = true;
	parser->content_length = number;
	return 0;
}

/* The pseudo-header fields are over: the authority becomes the host. */
static int end_pseudo(struct http_parser *parser)
{
	if (parser->host || parser->authority_length == 0)
		return 0;
	return add_field(parser, "host", 4, base(parser), parser->authority_length);
}

static int take_field(struct http_parser *parser, const char *name, size_t name_length,
	const char *value, size_t length)
{
	if (end_pseudo(parser))
		return HPE_USER;
	/* Beside :authority it may say the same, no more (RFC 9113 section 8.3.1). */
	if (parser->host && is(name, name_length, "host"))
		return length == parser->host_length && equals_ignoring_case(value,
								base(parser) + parser->host, length)
			       ? 0
			       : fail(parser, 400);
	if (is(name, name_length, "cookie") && parser->cookie_end)
		return add_crumb(parser, value, length);
	if (is(name, name_length, "content-length") && take_length(parser, value, length))
		return HPE_USER;
	if (add_field(parser, name, name_length, value, length))
		return HPE_USER;
	if (is(name, name_length, "cookie"))
		parser->cookie_end = parser->length;
	return 0;
}

bool http_parser_head_field(struct http_parser *parser, const char *name, size_t name_length,
	const char *value, size_t value_length)
{
	/* One that is refused is still decoded to its end, since the compression's state is of
	 * the connection; but not for ever. */
	parser->head_bytes += (uint32_t)(name_length + value_length + 32);
	if (parser->head_bytes > 4 * (HTTP_HEAD_BYTES + HTTP_TARGET_BYTES))
		return false;
	if (parser->status)
		return true;
	if (name_length > 0 && name[0] == ':')
		take_pseudo(parser, name, name_length, value, value_length);
	else
		take_field(parser, name, name_length, value, value_length);
	return true;
}

bool http_parser_head_keep(struct http_parser *parser)
{
	if (parser->store || parser->status)
		return true;
	parser->store = malloc(STORE_BYTES);
	if (!parser->store)
		return false;
	memcpy(parser->store, scratch, parser->length);
	return true;
}

unsigned http_parser_head_end(struct http_parser *parser, bool body)
{
	parser->in_head = false;
	parser->has_body = body;
	if (!parser->status && end_pseudo(parser) == 0) {
		const char *target = base(parser) + ROOM;
		char *end = reserve(parser, 1);
		const bool valid = parser->target_length > 0 && parser->host &&
				   (target[0] == '/' || is(target, parser->target_length, "*"));
		if (!end)
			fail(parser, 431);
		else if (parser->method == HTTP_CONNECT || parser->method == HTTP_TRACE)
			fail(parser, 501);
		else if (!valid || parser->method == UINT8_MAX || parser->other_coding)
			fail(parser, 400);
		else {
			*end = '\n';
			make_url(parser);
		}
	}
	if (!body)
		parser->expect_continue = false;
	if (!parser->status)
		parser->status = parser->callbacks->head(parser);
	return parser->status;
}
