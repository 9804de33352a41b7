#include "isolate/http_upgrade.h"

#include "common/cleanup.h"
#include "isolate/http_connection_private.h"
#include "isolate/http_exchange.h"
#include "isolate/http_tls.h"
#include "isolate/native_net.h"
#include "isolate/runtime.h"
#include "isolate/tls.h"

#include <errno.h>
#include <fcntl.h>

static _Thread_local engine_ref *on_upgraded;

void http_upgrade_bind(void)
{
	on_upgraded = runtime_hook("onUpgraded");
}

/* httpUpgrade(slot, generation): whether the request's connection will be the program's. Then
 * the hook onUpgraded follows: (slot, generation, stream, session, bytes), when nothing of the
 * HTTP server works with the connection any more. Not of HTTP/2, where a request has none; not
 * while it has a body, or an earlier answer is still being written. */
engine_value *http_upgrade_native(struct engine *engine, struct engine_call *call)
{
	struct http_connection *connection = http_connection_find(
		(uint32_t)engine_argument_int32(call, 0), (uint32_t)engine_argument_int32(call, 1));
	const bool possible = connection && !connection->stream_of && !connection->closing &&
			      !connection->last && connection->parsing == HTTP_PARSING_DONE &&
			      connection->answering == HTTP_ANSWER_WAITING &&
			      !connection->parser.http10 && !connection->writing &&
			      connection->out.length == 0;
	if (possible) {
		connection->upgrading = true;
		http_connection_wake(connection);
	}
	return engine_bool(engine, possible);
}

static void tell(uint32_t slot, uint32_t generation, engine_value *stream, engine_value *session,
	engine_value *head)
{
	engine_value *arguments[] = {
		engine_int32(runtime.engine, (int32_t)slot),
		engine_int32(runtime.engine, (int32_t)generation),
		stream,
		session ? session : engine_undefined(runtime.engine),
		head,
	};
	runtime_call(engine_ref_get(runtime.engine, on_upgraded), engine_undefined(runtime.engine),
		arguments, ARRAY_LENGTH(arguments));
}

void http_upgrade(struct http_connection *connection)
{
	struct engine_scope scope;
	const uint32_t slot = connection->slot, generation = connection->generation;
	uv_os_fd_t fd;
	int copy = -1;
	connection->upgrading = false;
	if (uv_fileno(&connection->uv.handle, &fd) == 0)
		copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0) {
		http_connection_cut(connection, HTTP_ABORT_DISCONNECTED);
		return;
	}
	engine_scope_open(runtime.engine, &scope);
	engine_value *head = engine_bytes_copy(runtime.engine,
		connection->ahead.length ? connection->ahead.data : "", connection->ahead.length);
	engine_value *session = NULL;
	struct tls_pipe pipe;
	const bool secure = http_tls_take(connection, &pipe);
	if (secure)
		session = tls_session_adopt(&pipe);
	if (engine_exception_pending(runtime.engine))
		engine_exception_take(runtime.engine);
	/* What the descriptor was is the program's now: closing this end sends nothing. */
	http_exchange_upgraded(connection);
	http_connection_close(connection);
	engine_value *stream = net_stream_accepted(copy);
	if (engine_exception_pending(runtime.engine))
		engine_exception_take(runtime.engine);
	/* What has been encrypted so far is never gone on with in clear text. */
	if (head && stream && (!secure || session))
		tell(slot, generation, stream, session, head);
	engine_scope_close(runtime.engine, &scope);
}
