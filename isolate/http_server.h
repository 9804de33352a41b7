/* The HTTP/1.1 server of a worker: the tenant's `export default { fetch }` behind
 * listening sockets that the supervisor opened. One thread, one loop (runtime.loop).
 *
 * The program is given by the library's hook startServer(handler, env); then
 * http_server_start begins to accept. Bounds: isolate/http_limits.h. */
#pragma once

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

/* Accepts on COUNT listening sockets (TCP or unix; they are shared with other workers
 * and stay the caller's until the server drains, which closes them). Limits come from
 * runtime.start. Returns 0 or a negative errno. */
int http_server_start(const int *listener_fds, size_t count, struct error *error);

/* Somebody else accepts on listener INDEX from now on: the server does not, whether it
 * has started or not. What it has accepted it answers. */
void http_server_release(size_t index);

/* Stops: closes the listeners and every idle connection, finishes the requests under
 * way with `Connection: close`, waits for the promises given to ctx.waitUntil, at most
 * GRACE_MS; then calls http_on_drained, from the loop. */
void http_server_drain(uint32_t grace_ms);

/* The caller of http_server_drain defines it. */
void http_on_drained(void);
