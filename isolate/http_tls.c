#include "isolate/http_tls.h"

#include "isolate/http2.h"
#include "isolate/server_tls.h"

#include <openssl/err.h>
#include <stdlib.h>

struct http_tls {
	struct tls_pipe pipe;
	bool established;
	size_t received; /* before that */
};

/* A record may have waited for its end. */
#define PLAIN_BYTES (HTTP_READ_BYTES + SSL3_RT_MAX_PLAIN_LENGTH)

bool http_tls_begin(struct http_connection *connection)
{
	connection->tls = calloc(1, sizeof *connection->tls);
	if (connection->tls && server_tls_open(&connection->tls->pipe))
		return true;
	free(connection->tls);
	connection->tls = NULL;
	return false;
}

void http_tls_drop(struct http_connection *connection)
{
	if (!connection->tls)
		return;
	tls_pipe_close(&connection->tls->pipe);
	free(connection->tls);
	connection->tls = NULL;
}

bool http_tls_take(struct http_connection *connection, struct tls_pipe *ret_pipe)
{
	if (!connection->tls)
		return false;
	tls_pipe_move(&connection->tls->pipe, ret_pipe);
	free(connection->tls);
	connection->tls = NULL;
	return true;
}

bool http_tls_in_handshake(const struct http_connection *connection)
{
	return connection->tls && !connection->tls->established;
}

bool http_tls_has_begun(const struct http_connection *connection)
{
	return http_tls_in_handshake(connection) && connection->tls->received > 0;
}

struct http_buffer *http_tls_out(struct http_connection *connection)
{
	return &connection->tls->pipe.out;
}

/* Whether it can go on. */
static bool handshake(struct http_connection *connection, size_t length)
{
	struct http_tls *tls = connection->tls;
	tls->received += length;
	switch (tls_pipe_handshake(&tls->pipe)) {
	case TLS_DONE:
		break;
	case TLS_WAITS:
		if (tls->received <= HTTP_TLS_BYTES)
			return true;
		/* fall through */
	default:
		/* The alert, if there is one, is all that is still to be said. */
		ERR_clear_error();
		connection->last = connection->unread_input = true;
		return false;
	}
	tls->established = true;
	connection->since_ms = uv_now(http_server.loop);
	if (!server_tls_speaks_http2(&tls->pipe) || http2_open(connection))
		return true;
	connection->broken = true;
	return false;
}

void http_tls_receive(struct http_connection *connection, const char *data, size_t length)
{
	static char plain[PLAIN_BYTES];
	struct http_tls *tls = connection->tls;
	enum tls_outcome outcome = TLS_WAITS;
	size_t count;
	tls_pipe_feed(&tls->pipe, data, length);
	if (tls->established || handshake(connection, length))
		while (tls->established && !connection->closing && !connection->last &&
			(outcome = tls_pipe_read(&tls->pipe, plain, sizeof plain, &count)) ==
				TLS_DONE)
			http_connection_take(connection, plain, count);
	if (connection->closing)
		return;
	if (connection->last)
		tls_pipe_feed(&tls->pipe, NULL, 0); /* for nobody */
	else if (!tls_pipe_keep(&tls->pipe) || connection->broken ||
		 (connection->writing && tls->pipe.out.length > HTTP_TLS_ANSWERS_BYTES))
		outcome = TLS_FAILED;
	http_connection_flush(connection);
	if (outcome != TLS_WAITS && outcome != TLS_DONE && !connection->last)
		http_connection_ended(connection);
	ERR_clear_error();
}

bool http_tls_encrypt(struct http_connection *connection)
{
	struct http_buffer *out = &connection->out;
	size_t total = 0, taken = 0;
	while (total < out->length && tls_pipe_write(&connection->tls->pipe, out->data + total,
					      out->length - total, &taken) == TLS_DONE)
		total += taken;
	const bool whole = total == out->length;
	http_buffer_release(out);
	return whole;
}

void http_tls_end(struct http_connection *connection)
{
	struct tls_pipe *pipe = &connection->tls->pipe;
	if (connection->writing || (SSL_get_shutdown(pipe->ssl) & SSL_SENT_SHUTDOWN))
		return;
	tls_pipe_shutdown(pipe);
	if (pipe->out.length == 0)
		return;
	/* Nobody waits until it is taken. */
	uv_buf_t buffer = uv_buf_init(pipe->out.data, (unsigned)pipe->out.length);
	(void)uv_try_write(&connection->uv.stream, &buffer, 1);
	http_buffer_release(&pipe->out);
}
