/* A connection of the HTTP server whose bytes are TLS's: what arrives is decrypted on the way
 * in, what is to be sent is encrypted on the way out, the rest of the server sees plain ones. */
#pragma once

#include "isolate/http_connection.h"
#include "isolate/tls_pipe.h"

/* Before the first byte is read. False when there is no certificate, or no memory. */
bool http_tls_begin(struct http_connection *connection);
void http_tls_drop(struct http_connection *connection);
/* Takes its session out, which goes on in *RET_PIPE. False when it has none. */
bool http_tls_take(struct http_connection *connection, struct tls_pipe *ret_pipe);

/* The handshake is not complete. Nothing of a request is known. */
bool http_tls_in_handshake(const struct http_connection *connection);
/* The same, and the client has begun. */
bool http_tls_has_begun(const struct http_connection *connection);
/* Records to be written. */
struct http_buffer *http_tls_out(struct http_connection *connection);
/* DATA arrived. What it says goes to http_connection_take, until the connection ends. */
void http_tls_receive(struct http_connection *connection, const char *data, size_t length);
/* Moves the connection's output to the pipe's. False when it cannot be sent any more. */
bool http_tls_encrypt(struct http_connection *connection);
/* close_notify is the last that is sent: so a client knows a whole answer from a cut one. */
void http_tls_end(struct http_connection *connection);
