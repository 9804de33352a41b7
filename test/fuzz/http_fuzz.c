/* Requests from arbitrary bytes in arbitrary pieces (isolate/http_parse.c). The first
 * byte seeds the sizes of the pieces. Beside the sanitizers' checks: however the bytes
 * are cut, the outcome is the same; heads have the form that JavaScript relies on. */

#include "isolate/http_parse.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	unsigned status;
	uint64_t hash; /* of heads and bodies */
	size_t messages;
};

static struct outcome *current;

static void add(const char *data, size_t length)
{
	for (size_t i = 0; i < length; i++)
		current->hash = (current->hash ^ (uint8_t)data[i]) * UINT64_C(0x100000001b3);
}

static void check(bool condition)
{
	if (!condition)
		abort();
}

static void check_head(const struct http_parser *parser)
{
	const char *head = parser->head, *end = head + parser->head_length;
	check(parser->url_length < parser->head_length);
	check(memcmp(head, "http://", 7) == 0);
	check(end[-1] == '\n' && head[parser->url_length] == '\n');
	for (uint32_t i = 0; i < parser->url_length; i++)
		check(head[i] > 0x20 && head[i] < 0x7F);
	for (const char *at = head + parser->url_length + 1; at < end;) {
		const char *line = memchr(at, '\n', (size_t)(end - at));
		const char *colon = memchr(at, '\r', (size_t)(end - at));
		check(line && colon && colon < line && colon > at);
		check(!memchr(colon + 1, '\r', (size_t)(line - colon - 1)));
		check(!memchr(at, 0, (size_t)(line - at)));
		for (const char *c = at; c < colon; c++)
			check(!(*c >= 'A' && *c <= 'Z') && *c > 0x20 && *c != ':');
		at = line + 1;
	}
}

static unsigned on_head(struct http_parser *parser)
{
	check_head(parser);
	add(parser->head, parser->head_length);
	return 0;
}

static unsigned on_body(struct http_parser *parser, const char *data, size_t length)
{
	(void)parser;
	add(data, length);
	return 0;
}

static void parse(const uint8_t *data, size_t size, unsigned seed, struct outcome *outcome)
{
	static const struct http_parser_callbacks callbacks = {on_head, on_body};
	struct http_parser parser;
	*outcome = (struct outcome){.hash = UINT64_C(0xcbf29ce484222325)};
	current = outcome;
	http_parser_init(&parser, &callbacks);
	for (size_t at = 0; at < size;) {
		seed = seed * 1103515245 + 12345;
		size_t length = seed ? 1 + (seed >> 16) % 64 : size;
		if (length > size - at)
			length = size - at;
		/* A copy of its own: reading past it, or later, is found. */
		char *piece = malloc(length);
		check(piece);
		memcpy(piece, data + at, length);
		size_t used;
		enum http_progress progress = http_parser_feed(&parser, piece, length, &used);
		check(used <= length);
		free(piece);
		if (progress == HTTP_FAILED) {
			check(parser.status >= 400);
			outcome->status = parser.status;
			break;
		}
		check(progress == HTTP_COMPLETE || used == length);
		outcome->messages += progress == HTTP_COMPLETE;
		at += used;
	}
	http_parser_clear(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > 100000)
		return 0;
	struct outcome one, two;
	parse(data + 1, size - 1, data[0], &one);
	/* Heads near the limits are counted by pieces; everything else must not differ, but
	 * for which of two errors at the same place is found first. */
	parse(data + 1, size - 1, data[0] + 77u, &two);
	if (size < HTTP_HEAD_BYTES) {
		check((one.status != 0) == (two.status != 0) && one.messages == two.messages);
		check(one.status != 0 || one.hash == two.hash);
	}
	return 0;
}
