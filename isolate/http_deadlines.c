#include "isolate/http_connection_private.h"

#include "isolate/http2.h"
#include "isolate/http_exchange.h"
#include "isolate/http_tls.h"
#include "isolate/inspect.h"

/* ---- deadlines ---- */

static bool writer_is_stuck(struct http_connection *connection, uint64_t now)
{
	if (!connection->writing)
		return false;
	size_t left = uv_stream_get_write_queue_size(&connection->uv.stream);
	if (left != connection->write_left) {
		connection->write_left = left;
		connection->write_ms = now;
	}
	return now - connection->write_ms > HTTP_WRITE_MS;
}

static bool under_way(const struct http_connection *connection)
{
	return connection->answering == HTTP_ANSWER_WAITING ||
	       connection->answering == HTTP_ANSWER_STREAMING;
}

static void sweep_one(struct http_connection *connection, uint64_t now)
{
	if (connection->lingering) {
		if (now - connection->linger_ms > HTTP_LINGER_MS)
			http_connection_close(connection);
	} else if (http_tls_in_handshake(connection)) {
		if (now - connection->since_ms > HTTP_HEAD_MS)
			http_connection_close(connection);
	} else if (writer_is_stuck(connection, now)) {
		http_connection_cut(connection, HTTP_ABORT_READER);
	} else if (under_way(connection) && http_server.request_ms && !inspect_active() &&
		   now - connection->started_ms > http_server.request_ms) {
		http_connection_refuse(connection, 503, HTTP_ABORT_TIME);
	} else if (connection->parsing == HTTP_PARSING_BODY && connection->reading &&
		   now - connection->read_ms > HTTP_BODY_MS) {
		http_connection_refuse(connection, 408, HTTP_ABORT_BODY_TIME);
	} else if (connection->answering == HTTP_ANSWER_DONE &&
		   !http_connection_finished(connection) &&
		   now - connection->since_ms > HTTP_BODY_MS) {
		/* Answered; the program neither reads nor gives up the body. */
		http_connection_cut(connection, HTTP_ABORT_BODY_TIME);
	} else if (http_parser_in_head(&connection->parser)) {
		if (now - connection->since_ms > HTTP_HEAD_MS)
			http_connection_refuse(connection, 408, HTTP_ABORT_BODY_TIME);
	} else if (http_connection_idle(connection) &&
		   (now - connection->since_ms > http_server.idle_ms ||
			   (http_server.draining && !connection->http2 &&
				   http_connection_may_end(connection)))) {
		http_connection_close(connection);
	} else if (connection->http2) {
		http2_sweep(connection, now);
	}
	http_connection_flush(connection);
}

void http_connections_sweep(void)
{
	uint64_t now = uv_now(http_server.loop);
	for (struct http_connection *next, *connection = http_server.connections; connection;
		connection = next) {
		next = connection->next;
		sweep_one(connection, now);
	}
	http_connection_tick();
}

/* ---- room for output ---- */

/* Since when a reader has been waited for that is now; 0 when none is. */
static uint64_t waiting_since(const struct http_connection *connection)
{
	if (connection->http2)
		return http2_waiting_since(connection);
	return connection->writing ? connection->waiting_ms : 0;
}

/* Cuts those who have been waited for longest, until half of the room is there again. */
static void cut_slow_readers(uint64_t room)
{
	const uint64_t now = uv_now(http_server.loop);
	for (uint64_t least = 8 * HTTP_PATIENCE_MS; least >= HTTP_PATIENCE_MS; least /= 2) {
		for (struct http_connection *next, *connection = http_server.connections;
			connection && http_buffers_held() > room / 2; connection = next) {
			const uint64_t since = waiting_since(connection);
			next = connection->next;
			if (since && now - since >= least && connection != http_server.current)
				http_connection_cut(connection, HTTP_ABORT_READER);
		}
	}
}

bool http_connections_have_room(void)
{
	if (http_server.out_bytes == 0 || http_buffers_held() <= http_server.out_bytes)
		return true;
	cut_slow_readers(http_server.out_bytes);
	return http_buffers_held() <= http_server.out_bytes;
}
