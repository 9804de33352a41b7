/* HTTP/1.1 requests, from bytes to heads and bodies: llhttp, strict, and the checks
 * that it leaves to its user. Knows nothing of sockets or JavaScript.
 *
 * A valid head becomes one block of Latin-1 text, ready to be a JavaScript string:
 *
 *     http://host/path?query \n name \r value \n name \r value \n
 *
 * (without the spaces; https:// where it came by TLS). Names are lower-case, values trimmed;
 * neither can hold \r or
 * \n, so `\nNAME\r` finds a field. The URL is normalised as the URL standard does.
 *
 * What two parsers might read differently (RFC 9112 section 11.2: both lengths, two
 * lengths, other codings than chunked, obs-fold, bare LF or CR, blanks before the
 * colon, two or no Host, an authority that differs from Host) is an error here, and
 * every error means: answer with its status and close. */
#pragma once

#include "isolate/http_limits.h"

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_parser;

struct http_parser_callbacks {
	/* The head is complete (http_parser fields below) and valid. Returns 0, or the
	 * status to refuse the request with. */
	unsigned (*head)(struct http_parser *parser);
	/* LENGTH bytes of the body, valid during the call only if they are in the data
	 * that http_parser_feed was given: they always are. Returns 0 or a status. */
	unsigned (*body)(struct http_parser *parser, const char *data, size_t length);
};

struct http_parser {
	llhttp_t llhttp;
	const struct http_parser_callbacks *callbacks;
	unsigned status; /* of the error, once there is one */

	/* The head, from the head callback until the next http_parser_feed. */
	const char *head;
	uint32_t head_length;
	uint32_t url_length;
	uint8_t method; /* llhttp_method_t */
	bool http10;
	bool keep_alive;
	bool has_body;   /* chunked, or Content-Length above 0 */
	bool has_length; /* Content-Length is there */
	bool expect_continue;
	bool server_wide; /* OPTIONS * */
	bool secure;      /* set by the caller, after http_parser_init: the URL is https: */
	uint64_t content_length;

	/* Inside. */
	char *store;     /* a head that came in pieces; NULL while the shared scratch is used */
	uint32_t length; /* of what is in the scratch or store */
	uint32_t target_length;
	uint32_t name, value;       /* where the current field's begin; 0 while there is none */
	uint32_t host, host_length; /* host 0: none yet */
	uint32_t head_bytes;        /* consumed without completing it */
	uint32_t trailer_bytes;
	uint32_t authority_length; /* HTTP/2: :authority, at the begin of the scratch or store */
	uint32_t cookie_end;       /* HTTP/2: of the cookie field; 0 while there is none */
	uint64_t body_bytes, framing_bytes;
	uint16_t fields;
	bool in_head, in_body, chunked_seen, other_coding;
};

enum http_progress {
	HTTP_MORE,     /* all was consumed; the message is not complete */
	HTTP_COMPLETE, /* a message ended; the rest was not consumed */
	HTTP_FAILED,   /* parser->status; nothing more can be parsed */
};

void http_parser_init(struct http_parser *parser, const struct http_parser_callbacks *callbacks);
void http_parser_clear(struct http_parser *parser); /* frees what it holds */

/* Parses. *ret_used: bytes consumed. After HTTP_COMPLETE the next call begins with the
 * next message. */
enum http_progress http_parser_feed(
	struct http_parser *parser, const char *data, size_t length, size_t *ret_used);

/* ---- heads whose fields come one by one: HTTP/2 ---- */

/* Of RFC 9113 section 8 the caller has checked: names and values are made of characters that
 * may be there; pseudo-header fields come first, each once, without unknown ones; no field is
 * about the connection. The head has the same form, with :authority as host. */
void http_parser_head_begin(struct http_parser *parser);
/* Errors are told by http_parser_head_end. Returns false when more fields make no sense. */
bool http_parser_head_field(struct http_parser *parser, const char *name, size_t name_length,
	const char *value, size_t value_length);
/* The head goes on later, and another one may be built in between. */
bool http_parser_head_keep(struct http_parser *parser);
/* BODY: one follows. The head callback is called if it is valid. Returns 0, or the status to
 * refuse the request with. */
unsigned http_parser_head_end(struct http_parser *parser, bool body);

/* Bytes of a message have arrived and its head is not complete. */
static inline bool http_parser_in_head(const struct http_parser *parser)
{
	return parser->in_head;
}
