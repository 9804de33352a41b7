/* HTTP/2 (RFC 9113) of the server: nghttp2 between the plain bytes of a connection and its
 * streams. A stream is a struct http_connection without a socket: the same exchange, the same
 * natives, the same deadlines; what it writes becomes frames of the connection that it is
 * of, and its body's flow is that of the program's reading.
 *
 * What a client may do to us is bounded (isolate/http_limits.h): streams at a time, the size
 * of heads, resets, continuations, and frames that bring nothing. */
#pragma once

#include "isolate/http_connection.h"

/* CONNECTION speaks it from now on. False without memory. */
bool http2_open(struct http_connection *connection);
void http2_close(struct http_connection *connection);

/* DATA has arrived. */
void http2_receive(struct http_connection *connection, const char *data, size_t length);
/* Appends the frames that may be sent to its output, as long as there is room. */
void http2_fill(struct http_connection *connection);
/* More frames wait to be filled in. */
bool http2_has_more(const struct http_connection *connection);
/* Nothing will be received or sent any more: time to close. */
bool http2_over(const struct http_connection *connection);
/* Streams are under way. */
bool http2_busy(const struct http_connection *connection);
/* So much waits to be sent that nothing more should be read. */
bool http2_stuffed(const struct http_connection *connection);

/* Tells the client to take further requests elsewhere; those that are on their way are
 * answered still. */
void http2_shut(struct http_connection *connection);
/* The last frames before it is closed. */
void http2_end(struct http_connection *connection);
/* Ends all streams; programs that work on one are told REASON. */
void http2_abort(struct http_connection *connection, enum http_abort reason);
/* Deadlines. */
void http2_sweep(struct http_connection *connection, uint64_t now);
/* Since when output has waited for its client, in ms of the loop; 0 when none does. */
uint64_t http2_waiting_since(const struct http_connection *connection);

/* ---- streams ---- */

/* Before the loop waits, after it was marked. */
void http2_stream_run(struct http_connection *stream);
/* The program took some of the body, or will not: the client may send more. */
void http2_stream_resume(struct http_connection *stream);
void http2_stream_cut(struct http_connection *stream, enum http_abort reason);
/* The response's head. FIELDS: "name: value\r\n" of each, LENGTH bytes. What is in the
 * stream's output is its body then, also what is put there later. */
bool http2_stream_head(struct http_connection *stream, const struct http_answer *answer,
	const char *fields, size_t length);
/* Its connection is to take no more after it, if it can be. */
void http2_stream_last(struct http_connection *stream);
/* 100 (Continue) */
bool http2_stream_continue(struct http_connection *stream);
