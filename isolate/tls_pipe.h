/* One end of a TLS connection, between bytes: what arrives is lent or given to it, what is to
 * be sent collects in a buffer. Knows nothing of sockets or JavaScript; node:tls and the HTTP
 * server carry the bytes. An idle one holds no buffers. */
#pragma once

#include "isolate/http_response.h"

#include <openssl/ssl.h>

struct tls_pipe {
	SSL *ssl;
	struct http_buffer out; /* to be sent: the carrier takes from it */
	/* Inside. */
	struct http_buffer kept; /* arrived, and had to wait */
	size_t kept_used;
	const char *lent;
	size_t lent_length;
	bool ended; /* nothing arrives any more */
};

enum tls_outcome {
	TLS_DONE,
	TLS_WAITS,  /* for the peer */
	TLS_ASKS,   /* for the carrier's answer to a callback that said "later" */
	TLS_ENDED,  /* by the peer's close_notify */
	TLS_FAILED, /* OpenSSL's queue of errors says why; an alert may be in OUT */
};

/* In a worker the first time: OpenSSL is not touched before, and its randomness must not be
 * that of the process that this one was forked from. False without memory or randomness. */
bool tls_start(void);

/* A session of CTX. False without memory. */
bool tls_pipe_open(struct tls_pipe *pipe, SSL_CTX *ctx, bool server);
void tls_pipe_close(struct tls_pipe *pipe);
/* It lies at TO from now on. Nothing may be lent to it. */
void tls_pipe_move(const struct tls_pipe *from, struct tls_pipe *to);

/* DATA has arrived. It must stay as it is until it was used up, or tls_pipe_keep was called. */
void tls_pipe_feed(struct tls_pipe *pipe, const char *data, size_t length);
/* Copies what was not used. False without memory. */
bool tls_pipe_keep(struct tls_pipe *pipe);
void tls_pipe_feed_end(struct tls_pipe *pipe);

/* As far as it goes. */
enum tls_outcome tls_pipe_handshake(struct tls_pipe *pipe);
/* As much as there is, up to SIZE. What was read before an error counts first: *RET_LENGTH is
 * above 0 exactly when TLS_DONE is returned; the error comes again at the next call. */
enum tls_outcome tls_pipe_read(
	struct tls_pipe *pipe, char *buffer, size_t size, size_t *ret_length);
/* TLS_DONE when it took some. */
enum tls_outcome tls_pipe_write(
	struct tls_pipe *pipe, const char *data, size_t length, size_t *ret_length);
/* Says to the peer that our side has ended: close_notify. */
void tls_pipe_shutdown(struct tls_pipe *pipe);
