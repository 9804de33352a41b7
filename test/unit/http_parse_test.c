/* isolate/http_parse.c: what is accepted, what becomes of it, what is refused. Every
 * case runs whole, byte by byte, and split in two at every place. */

#include "isolate/http_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct outcome {
	enum http_progress progress;
	unsigned status;
	char head[70000];
	char body[4096];
	size_t head_length, body_length;
	uint32_t url_length;
	struct http_parser last;
	int heads;
};

static struct outcome *current;

static unsigned on_head(struct http_parser *parser)
{
	current->heads++;
	current->head_length = parser->head_length;
	current->url_length = parser->url_length;
	memcpy(current->head, parser->head, parser->head_length);
	current->last = *parser;
	return 0;
}

static unsigned on_body(struct http_parser *parser, const char *data, size_t length)
{
	(void)parser;
	if (current->body_length + length <= sizeof current->body)
		memcpy(current->body + current->body_length, data, length);
	current->body_length += length;
	return 0;
}

static const struct http_parser_callbacks callbacks = {on_head, on_body};

/* Feeds the parts [0, cut) and [cut, length) (CUT 0: all at once; STEP: in pieces). The
 * pieces are copies of their own, so that a parser that keeps a pointer is caught. */
static void parse(const char *data, size_t length, size_t cut, size_t step, struct outcome *out)
{
	struct http_parser parser;
	memset(out, 0, sizeof *out);
	current = out;
	http_parser_init(&parser, &callbacks);
	out->progress = HTTP_MORE;
	for (size_t at = 0; at < length && out->progress == HTTP_MORE;) {
		size_t end = step ? at + step : at < cut ? cut : length;
		if (end > length)
			end = length;
		char *piece = malloc(end - at);
		assert_non_null(piece);
		memcpy(piece, data + at, end - at);
		size_t used;
		out->progress = http_parser_feed(&parser, piece, end - at, &used);
		free(piece);
		at += used;
	}
	out->status = parser.status;
	http_parser_clear(&parser);
}

static struct outcome whole, other;

static void parse_all_ways(const char *data, size_t length)
{
	parse(data, length, 0, 0, &whole);
	parse(data, length, 0, 1, &other);
	for (size_t cut = 0; cut < length && length < 2000; cut++) {
		assert_int_equal(whole.progress, other.progress);
		assert_int_equal(whole.status, other.status);
		if (whole.progress != HTTP_FAILED) {
			assert_int_equal(whole.head_length, other.head_length);
			assert_memory_equal(whole.head, other.head, whole.head_length);
			assert_int_equal(whole.body_length, other.body_length);
			assert_memory_equal(whole.body, other.body, whole.body_length);
		}
		parse(data, length, cut, 0, &other);
	}
}

static void accepts(const char *request, const char *head, const char *body)
{
	parse_all_ways(request, strlen(request));
	if (whole.progress != HTTP_COMPLETE)
		fail_msg("not accepted (%u): %s", whole.status, request);
	assert_int_equal(whole.head_length, strlen(head));
	assert_memory_equal(whole.head, head, strlen(head));
	assert_int_equal(whole.body_length, strlen(body));
	assert_memory_equal(whole.body, body, strlen(body));
}

static void refuses_bytes(const char *request, size_t length, unsigned status)
{
	parse_all_ways(request, length);
	if (whole.progress != HTTP_FAILED || whole.status != status)
		fail_msg("%s with %u instead of %u: %s",
			whole.progress == HTTP_FAILED ? "refused" : "accepted", whole.status,
			status, request);
}

static void refuses(const char *request, unsigned status)
{
	refuses_bytes(request, strlen(request), status);
}

static void heads_become_blocks(void **state)
{
	(void)state;
	accepts("GET /path?q=1 HTTP/1.1\r\nHost: example.com\r\nX-One:  a b \t\r\nEmpty:\r\n\r\n",
		"http://example.com/path?q=1\nhost\rexample.com\nx-one\ra b\nempty\r\n", "");
	assert_int_equal(whole.url_length, strlen("http://example.com/path?q=1"));
	assert_true(whole.last.keep_alive);
	assert_false(whole.last.has_body);
	accepts("GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nX: \xE4\xFF\r\n\r\n",
		"http://127.0.0.1:8080/\nhost\r127.0.0.1:8080\nx\r\xE4\xFF\n", "");
	accepts("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nA: 2\r\n\r\n",
		"http://a/\nhost\ra\na\r1\na\r2\n", "");
}

static void urls_are_normalised(void **state)
{
	(void)state;
	static const char *const cases[][3] = {
		{"/a/../b", "example.com", "http://example.com/b"},
		{"/a/%2e%2E/b", "example.com", "http://example.com/b"},
		{"/a%2fb%20c", "example.com", "http://example.com/a%2fb%20c"},
		{"/x", "EXAMPLE.com:80", "http://example.com/x"},
		{"/x", "example.com:8080", "http://example.com:8080/x"},
		{"/x", "example.com:080", "http://example.com/x"},
		{"/x", "0x7f.1", "http://127.0.0.1/x"},
		{"/x", "[::1]:9", "http://[::1]:9/x"},
		{"/x", "127.0.0.1", "http://127.0.0.1/x"},
		{"//a/b", "example.com", "http://example.com//a/b"},
		{"/.well-known/x", "example.com", "http://example.com/.well-known/x"},
		{"/a\"b'c{d}", "example.com", "http://example.com/a%22b'c%7Bd%7D"},
		{"/?a'b", "example.com", "http://example.com/?a%27b"},
		{"/a\\b", "example.com", "http://example.com/a/b"},
		{"http://example.com/abs?x", "example.com", "http://example.com/abs?x"},
		{"http://example.com?x", "example.com", "http://example.com/?x"},
		{"HTTP://Example.com", "example.COM", "http://example.com/"},
		{"/x", "localhost", "http://localhost/x"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char request[256], head[256];
		snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n",
			cases[i][0], cases[i][1]);
		snprintf(head, sizeof head, "%s\nhost\r%s\n", cases[i][2], cases[i][1]);
		accepts(request, head, "");
	}
}

static void bodies_arrive(void **state)
{
	(void)state;
	accepts("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
		"http://a/\nhost\ra\ncontent-length\r5\n", "hello");
	assert_true(whole.last.has_body);
	assert_int_equal(whole.last.content_length, 5);
	accepts("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
		"3\r\nhel\r\n2;ext=\"x\"\r\nlo\r\n0\r\nTrailer: t\r\n\r\n",
		"http://a/\nhost\ra\ntransfer-encoding\rChunked\n", "hello");
	accepts("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
		"http://a/\nhost\ra\ncontent-length\r0\n", "");
	assert_false(whole.last.has_body);
}

static void versions_and_connections(void **state)
{
	(void)state;
	accepts("GET / HTTP/1.0\r\n\r\n", "http://localhost/\n", "");
	assert_false(whole.last.keep_alive);
	accepts("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"http://localhost/\nconnection\rkeep-alive\n", "");
	assert_true(whole.last.keep_alive);
	accepts("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		"http://a/\nhost\ra\nconnection\rclose\n", "");
	assert_false(whole.last.keep_alive);
	accepts("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
		"http://a/\nhost\ra\nconnection\rupgrade\nupgrade\rwebsocket\n", "");
	refuses("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505);
	refuses("GET / HTTP/3.7\r\nHost: a\r\n\r\n", 505);
	refuses("GET / HTTP/0.9\r\n\r\n", 505);
	refuses("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
}

static void expectations(void **state)
{
	(void)state;
	accepts("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
		"http://a/\nhost\ra\nexpect\r100-Continue\ncontent-length\r1\n", "x");
	assert_true(whole.last.expect_continue);
	accepts("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
		"http://a/\nhost\ra\nexpect\r100-continue\n", "");
	assert_false(whole.last.expect_continue);
	refuses("POST / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n", 417);
}

static void smuggling_shapes_are_refused(void **state)
{
	(void)state;
	static const char *const cases[] = {
		/* Both lengths, in both orders. */
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: "
		"chunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: "
		"5\r\n\r\n0\r\n\r\n",
		/* Two lengths, equal and not; lists, signs, other bases. */
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: "
		"6\r\n\r\nhello!",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
		/* Other codings, chunked not last, twice, hidden, in HTTP/1.0. */
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, "
		"chunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0b"
		"chunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nContent-Length: "
		"1\r\n\r\nx",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
		"chunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
		"identity\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		/* Folding, blanks around names, bare line ends, control characters. */
		"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\t2\r\n\r\n",
		"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
		"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX\t: 1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nno-colon\r\n\r\n",
		"GET / HTTP/1.1\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: 1\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: 1\rY: 2\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX(y): 1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX\x80: 1\r\n\r\n",
		/* Chunks that are none. */
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		"chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1 "
		"\r\na\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		"chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		"chunked\r\n\r\n10000000000000000\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		"chunked\r\n\r\n1;a\nb\r\na\r\n0\r\n\r\n",
		/* Hosts. */
		"GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost:\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a:x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: 1.2.3.4.5\r\n\r\n",
		"GET http://other/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
		/* Request lines. */
		"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / /x HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
		" GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"get / HTTP/1.1\r\nHost: a\r\n\r\n",
		"FOO / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTQ/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		refuses(cases[i], 400);
	static const char nul_in_value[] = "GET / HTTP/1.1\r\nHost: a\r\nX: 1\0002\r\n\r\n";
	refuses_bytes(nul_in_value, sizeof nul_in_value - 1, 400);
	static const char nul_in_target[] = "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n";
	refuses_bytes(nul_in_target, sizeof nul_in_target - 1, 400);
	refuses("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501);
	refuses("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 501);
}

static void server_wide_options(void **state)
{
	(void)state;
	accepts("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "http://a/\nhost\ra\n", "");
	assert_true(whole.last.server_wide);
}

static char *repeat(const char *before, char c, size_t count, const char *after)
{
	char *text = malloc(strlen(before) + count + strlen(after) + 1);
	assert_non_null(text);
	strcpy(text, before);
	memset(text + strlen(before), c, count);
	strcpy(text + strlen(before) + count, after);
	return text;
}

static void heads_have_limits(void **state)
{
	(void)state;
	char *text = repeat("GET /", 'a', HTTP_TARGET_BYTES - 1, " HTTP/1.1\r\nHost: a\r\n\r\n");
	parse(text, strlen(text), 0, 0, &whole);
	assert_int_equal(whole.progress, HTTP_COMPLETE);
	parse(text, strlen(text), 0, 100, &whole);
	assert_int_equal(whole.progress, HTTP_COMPLETE);
	free(text);
	text = repeat("GET /", 'a', HTTP_TARGET_BYTES, " HTTP/1.1\r\nHost: a\r\n\r\n");
	refuses(text, 414);
	free(text);
	/* The URL grows to three times as much. */
	text = repeat("GET /", '|', HTTP_TARGET_BYTES - 1, " HTTP/1.1\r\nHost: a\r\n\r\n");
	text[5] = '{';
	memset(text + 5, '{', HTTP_TARGET_BYTES - 1);
	parse(text, strlen(text), 0, 0, &whole);
	assert_int_equal(whole.progress, HTTP_COMPLETE);
	assert_int_equal(whole.url_length, 9 + 3 * (HTTP_TARGET_BYTES - 1));
	free(text);
	text = repeat("GET / HTTP/1.1\r\nHost: a\r\nX: ", 'x', HTTP_HEAD_BYTES - 20, "\r\n\r\n");
	parse(text, strlen(text), 0, 0, &whole);
	assert_int_equal(whole.progress, HTTP_COMPLETE);
	free(text);
	text = repeat("GET / HTTP/1.1\r\nHost: a\r\nX: ", 'x', HTTP_HEAD_BYTES, "\r\n\r\n");
	refuses(text, 431);
	free(text);
	text = repeat("GET / HTTP/1.1\r\nHost: a\r\n", 'x', HTTP_HEAD_BYTES, ": 1\r\n\r\n");
	refuses(text, 431);
	free(text);
	/* Blanks that are not stored count, too, when they come slowly. */
	text = repeat("GET / HTTP/1.1\r\nHost: a\r\nX:", ' ', 4 * HTTP_HEAD_BYTES, "1\r\n\r\n");
	parse(text, strlen(text), 0, 1000, &whole);
	assert_int_equal(whole.status, 431);
	free(text);
}

static void fields_are_counted(void **state)
{
	(void)state;
	char text[8192];
	for (int count = HTTP_FIELDS; count <= HTTP_FIELDS + 1; count++) {
		char *at = text + sprintf(text, "GET / HTTP/1.1\r\nHost: a\r\n");
		for (int i = 1; i < count; i++)
			at += sprintf(at, "f%d: v\r\n", i);
		strcpy(at, "\r\n");
		parse(text, strlen(text), 0, 0, &whole);
		assert_int_equal(whole.progress, count > HTTP_FIELDS ? HTTP_FAILED : HTTP_COMPLETE);
		assert_int_equal(whole.status, count > HTTP_FIELDS ? 431 : 0);
	}
}

static void framing_has_limits(void **state)
{
	(void)state;
	static const char start[] =
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
	char *text = repeat(start, '0', 200000, "1\r\na\r\n0\r\n\r\n");
	parse(text, strlen(text), 0, 1000, &whole);
	assert_int_equal(whole.status, 400);
	free(text);
	char before[200];
	snprintf(before, sizeof before, "%s1;", start);
	text = repeat(before, 'x', 200000, "\r\na\r\n0\r\n\r\n");
	parse(text, strlen(text), 0, 1000, &whole);
	assert_int_equal(whole.status, 400);
	free(text);
	snprintf(before, sizeof before, "%s0\r\nT: ", start);
	text = repeat(before, 'x', 200000, "\r\n\r\n");
	parse(text, strlen(text), 0, 1000, &whole);
	assert_int_equal(whole.status, 431);
	free(text);
}

static void messages_follow_each_other(void **state)
{
	(void)state;
	static const char text[] = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy"
				   "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
				   "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
				   "chunked\r\n\r\n1\r\nz\r\n0\r\n\r\n";
	for (size_t step = 1; step < sizeof text; step++) {
		struct http_parser parser;
		int complete = 0;
		memset(&whole, 0, sizeof whole);
		current = &whole;
		http_parser_init(&parser, &callbacks);
		for (size_t at = 0; at < sizeof text - 1;) {
			size_t used,
				length = sizeof text - 1 - at < step ? sizeof text - 1 - at : step;
			enum http_progress progress =
				http_parser_feed(&parser, text + at, length, &used);
			assert_int_not_equal(progress, HTTP_FAILED);
			complete += progress == HTTP_COMPLETE;
			at += used;
		}
		assert_int_equal(complete, 3);
		assert_int_equal(whole.heads, 3);
		assert_int_equal(whole.body_length, 3);
		http_parser_clear(&parser);
	}
}

/* ---- HTTP/2 ---- */

struct pair {
	const char *name, *value;
};

static char got_head[8192];

static unsigned keep_head(struct http_parser *parser)
{
	snprintf(got_head, sizeof got_head, "%.*s", (int)parser->head_length, parser->head);
	return 0;
}

/* The head that COUNT fields make, each kept for later; or the status. */
static unsigned h2(const struct pair *fields, size_t count)
{
	static const struct http_parser_callbacks keep = {keep_head, on_body};
	struct http_parser parser, second;
	http_parser_init(&parser, &keep);
	http_parser_init(&second, &keep);
	parser.secure = true;
	http_parser_head_begin(&parser);
	for (size_t i = 0; i < count; i++) {
		assert_true(http_parser_head_field(&parser, fields[i].name, strlen(fields[i].name),
			fields[i].value, strlen(fields[i].value)));
		assert_true(http_parser_head_keep(&parser));
		http_parser_head_begin(&second);
		http_parser_head_field(&second, ":path", 5, "/of/another", 11);
	}
	const unsigned status = http_parser_head_end(&parser, false);
	http_parser_clear(&parser);
	http_parser_clear(&second);
	return status;
}

#define H2(...)                                                                                    \
	h2((const struct pair[]){__VA_ARGS__},                                                     \
		sizeof((const struct pair[]){__VA_ARGS__}) / sizeof(struct pair))
#define GOOD {":method", "GET"}, {":scheme", "https"}, {":authority", "a.b"}, {":path", "/p?q"}

static void fields_of_http2_become_blocks(void **state)
{
	(void)state;
	assert_int_equal(H2(GOOD), 0);
	assert_string_equal(got_head, "https://a.b/p?q\nhost\ra.b\n");
	assert_int_equal(H2(GOOD, {"cookie", "a=1"}, {"x", "1"}, {"host", "A.b"}, {"cookie", "b=2"},
				 {"y", ""}, {"cookie", "c=3"}),
		0);
	assert_string_equal(
		got_head, "https://a.b/p?q\nhost\ra.b\ncookie\ra=1; b=2; c=3\nx\r1\ny\r\n");
	assert_int_equal(H2({":path", "/../%7E'"}, {":authority", "A.B:443"}, {":scheme", "https"},
				 {":method", "POST"}),
		0);
	assert_string_equal(got_head, "https://a.b/%7E'\nhost\rA.B:443\n");
	assert_int_equal(H2({":method", "GET"}, {":scheme", "https"}, {":path", "/"},
				 {"cookie", "a"}, {"host", "h"}, {"cookie", "b"}),
		0);
	assert_string_equal(got_head, "https://h/\ncookie\ra; b\nhost\rh\n");
}

static void fields_of_http2_are_refused(void **state)
{
	(void)state;
	assert_int_equal(H2(GOOD, {"host", "other"}), 400);
	assert_int_equal(
		H2({":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}),
		400);
	assert_int_equal(H2({":method", "GET"}, {":scheme", "https"}, {":path", "/"}), 400);
	assert_int_equal(H2({":method", "GET"}, {":scheme", "https"}, {":authority", "a"}), 400);
	assert_int_equal(H2({":method", "GET"}, {":scheme", "https"}, {":authority", "a"},
				 {":path", "https://a/"}),
		400);
	assert_int_equal(
		H2({":method", "BREW"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/"}),
		501);
	assert_int_equal(H2({":method", "CONNECT"}, {":scheme", "https"}, {":authority", "a"},
				 {":path", "/"}),
		501);
	assert_int_equal(H2(GOOD, {"content-length", "1"}, {"content-length", "1"}), 400);
	assert_int_equal(H2(GOOD, {"transfer-encoding", "gzip"}), 400);
	assert_int_equal(H2(GOOD, {"expect", "more"}), 417);
}

/* One that is too large is refused, and after a while no longer decoded. */
static void heads_of_http2_have_limits(void **state)
{
	(void)state;
	static char value[4096];
	struct http_parser parser;
	bool more = true;
	size_t count = 0;
	memset(value, 'v', sizeof value);
	http_parser_init(&parser, &callbacks);
	parser.secure = true;
	http_parser_head_begin(&parser);
	while (more && count < 1000) {
		more = http_parser_head_field(&parser, "x", 1, value, sizeof value);
		if (++count == 5)
			assert_int_equal(parser.status, 431);
	}
	assert_uint_in_range(count, 20, 30);
	http_parser_clear(&parser);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_become_blocks),
		cmocka_unit_test(urls_are_normalised),
		cmocka_unit_test(bodies_arrive),
		cmocka_unit_test(versions_and_connections),
		cmocka_unit_test(expectations),
		cmocka_unit_test(smuggling_shapes_are_refused),
		cmocka_unit_test(server_wide_options),
		cmocka_unit_test(heads_have_limits),
		cmocka_unit_test(fields_are_counted),
		cmocka_unit_test(framing_has_limits),
		cmocka_unit_test(messages_follow_each_other),
		cmocka_unit_test(fields_of_http2_become_blocks),
		cmocka_unit_test(fields_of_http2_are_refused),
		cmocka_unit_test(heads_of_http2_have_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
