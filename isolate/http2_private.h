/* What isolate/http2.c (connections) and isolate/http2_stream.c (streams) share. */
#pragma once

#include "isolate/http2.h"

#include <nghttp2/nghttp2.h>

struct http2 {
	nghttp2_session *session;
	struct http_connection *connection;
	struct http_connection *streams;
	struct http_connection *head; /* the stream whose head is not complete */
	uint32_t count;               /* of streams */
	uint32_t noise;               /* frames that brought nothing, lately */
	uint64_t noise_ms;
	size_t fields_bytes; /* of the head or the trailers that are being received */
	uint64_t shut_ms;    /* the client was told to go elsewhere */
	bool shut;           /* and which requests are the last */
};

/* A stream begins. NULL when there is no room for it. */
struct http_connection *http2_stream_new(struct http2 *http2, int32_t id);
/* Its head is complete; BODY: one follows. */
void http2_stream_begin(struct http_connection *stream, bool body);
/* LENGTH bytes of its body. */
void http2_stream_body(struct http_connection *stream, const char *data, size_t length);
/* Its body is complete. */
void http2_stream_body_end(struct http_connection *stream);
/* The session has forgotten it. */
void http2_stream_closed(struct http_connection *stream);
/* It is dropped; programs are not told. */
void http2_stream_release(struct http_connection *stream);
/* It has output that its client does not take. */
bool http2_stream_waits(const struct http_connection *stream);
void http2_stream_sweep(struct http_connection *stream, uint64_t now);
