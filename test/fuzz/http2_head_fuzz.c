/* Heads of HTTP/2 from arbitrary fields (isolate/http_parse.c): pseudo-header fields first, each
 * once, as nghttp2 lets them through. However the head is interrupted the outcome is the same,
 * and it has the form that JavaScript relies on. */

#include "isolate/http_parse.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t hash;
static bool called;

static void check(bool condition)
{
	if (!condition)
		abort();
}

static unsigned on_head(struct http_parser *parser)
{
	const char *head = parser->head, *end = head + parser->head_length;
	called = true;
	check(parser->url_length < parser->head_length);
	check(memcmp(head, "https://", 8) == 0);
	check(end[-1] == '\n' && head[parser->url_length] == '\n');
	for (uint32_t i = 0; i < parser->url_length; i++)
		check(head[i] > 0x20 && head[i] < 0x7F);
	unsigned cookies = 0, hosts = 0;
	for (const char *at = head + parser->url_length + 1; at < end;) {
		const char *line = memchr(at, '\n', (size_t)(end - at));
		const char *colon = memchr(at, '\r', (size_t)(end - at));
		check(line && colon && colon < line && colon > at && *at != ':');
		cookies += colon - at == 6 && memcmp(at, "cookie", 6) == 0;
		hosts += colon - at == 4 && memcmp(at, "host", 4) == 0;
		at = line + 1;
	}
	check(cookies <= 1 && hosts == 1);
	for (size_t i = 0; i < parser->head_length; i++)
		hash = (hash ^ (uint8_t)head[i]) * UINT64_C(0x100000001b3);
	return 0;
}

static unsigned on_body(struct http_parser *parser, const char *data, size_t length)
{
	(void)parser;
	(void)data;
	(void)length;
	return 0;
}

/* The next text: a byte of length, then so many bytes, made what nghttp2 allows. */
static const char *take(const uint8_t **data, size_t *size, char *text, bool name, size_t *length)
{
	*length = 0;
	if (*size == 0)
		return text;
	size_t count = (*data)[0] & (name ? 15 : 255);
	++*data;
	--*size;
	if (count > *size)
		count = *size;
	for (size_t i = 0; i < count; i++) {
		uint8_t c = (*data)[i];
		if (name)
			c = c >= 'a' && c <= 'z' ? c : (uint8_t)('a' + c % 26);
		text[i] = (char)(c < 0x20 || c == 0x7F ? '.' : c);
	}
	*data += count;
	*size -= count;
	*length = count;
	return text;
}

static unsigned parse(const uint8_t *data, size_t size, bool pieces)
{
	static const struct http_parser_callbacks callbacks = {on_head, on_body};
	static const char *const pseudo[] = {":method", ":scheme", ":authority", ":path"};
	static const char *const known[] = {"cookie", "host", "content-length", "expect"};
	static char name[256], value[256];
	struct http_parser parser, other;
	size_t name_length, length;
	bool more = true;
	http_parser_init(&parser, &callbacks);
	http_parser_init(&other, &callbacks);
	parser.secure = true;
	hash = 1;
	called = false;
	http_parser_head_begin(&parser);
	const uint8_t order = size ? data[0] : 0;
	for (size_t i = 0; more && i < 4; i++) {
		const char *of = pseudo[(i + order) % 4];
		take(&data, &size, value, false, &length);
		more = http_parser_head_field(&parser, of, strlen(of), value, length);
	}
	while (more && size > 0) {
		const uint8_t kind = data[0];
		take(&data, &size, name, true, &name_length);
		take(&data, &size, value, false, &length);
		const char *of = kind >= 0xF0 ? known[kind % 4] : name;
		if (kind < 0xF0 && name_length == 0)
			continue;
		more = http_parser_head_field(
			&parser, of, kind >= 0xF0 ? strlen(of) : name_length, value, length);
		if (!pieces)
			continue;
		/* Another one is parsed in between. */
		check(http_parser_head_keep(&parser));
		http_parser_head_begin(&other);
		http_parser_head_field(&other, ":path", 5, "/another", 8);
	}
	const unsigned status = more ? http_parser_head_end(&parser, size & 1) : 1;
	check(!more || called == (status == 0));
	http_parser_clear(&parser);
	http_parser_clear(&other);
	return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 100000)
		return 0;
	const unsigned whole = parse(data, size, false);
	const uint64_t of_whole = hash;
	check(parse(data, size, true) == whole && hash == of_whole);
	return 0;
}
