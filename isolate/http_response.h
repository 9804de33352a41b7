/* What the server sends: output buffers, status lines, the header fields that the
 * server itself is responsible for. Knows nothing of sockets or JavaScript. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes to be sent. The first block comes from a small cache, so that a connection
 * that waits holds nothing and one that answers allocates nothing. */
struct http_buffer {
	char *data;
	size_t length, capacity;
};

#define HTTP_BLOCK_BYTES (16 * 1024)

/* A place for SIZE bytes at the end, NULL without memory. The caller adds what it
 * wrote to LENGTH. */
char *http_buffer_reserve(struct http_buffer *buffer, size_t size);
bool http_buffer_append(struct http_buffer *buffer, const void *data, size_t size);
/* Forgets the first SIZE bytes. */
void http_buffer_consume(struct http_buffer *buffer, size_t size);
void http_buffer_release(struct http_buffer *buffer);
/* Bytes that all buffers together hold. */
size_t http_buffers_held(void);

/* How the end of a response's body is known to the client. */
enum http_framing {
	HTTP_FRAMING_LENGTH, /* Content-Length */
	HTTP_FRAMING_CHUNKED,
	HTTP_FRAMING_CLOSE, /* HTTP/1.0: by closing */
	HTTP_FRAMING_NONE,  /* 204 and 304 */
};

struct http_answer {
	unsigned status;
	const char *reason; /* NULL: the standard's */
	size_t reason_length;
	enum http_framing framing;
	uint64_t length;
	bool has_date; /* the fields have their own Date */
	bool keep_alive;
	bool http10;
};

/* The most that http_answer_begin and _end write, beside the reason and the fields. */
#define HTTP_ANSWER_BYTES 256

/* The status line; then the caller's fields, each "name: value\r\n"; then the rest of
 * the head. Both write at TARGET and return its new end. */
char *http_answer_begin(char *target, const struct http_answer *answer);
char *http_answer_end(char *target, const struct http_answer *answer);

/* The standard reason phrase of a status, "" if it has none. */
const char *http_reason(unsigned status);

/* The Date field is written from a text that is made once a second. */
void http_date_refresh(void);

/* Its value. */
const char *http_date(size_t *ret_length);

/* A whole response without JavaScript, with a body of one line; EXTRA_FIELDS may be
 * "". HEAD: without the body. */
bool http_answer_plain(struct http_buffer *buffer, unsigned status, const char *extra_fields,
	bool keep_alive, bool http10, bool head);

/* The size line and the end of a chunk of LENGTH bytes around DATA. */
bool http_chunk_append(struct http_buffer *buffer, const void *data, size_t length);
bool http_chunk_end(struct http_buffer *buffer);
