/* The HTTP/1.1 server of a worker: the tenant's `export default { fetch }` behind
 * listening sockets that the supervisor opened. One thread, one loop (runtime.loop).
 *
 * The program is given by the library's hook startServer(handler, env); then
 * http_server_start begins to accept. Bounds: isolate/http_limits.h. */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Accepts on COUNT listening sockets (TCP or unix; they are shared with other workers, and
 * the server's from now on: it closes them when it drains). Limits come from runtime.start.
 * Returns 0 or a negative errno. */
int http_server_start(const int *listener_fds, size_t count, struct error *error);

/* Somebody else accepts on listener INDEX from now on: the server does not, whether it
 * has started or not. What it has accepted it answers. */
void http_server_release(size_t index);

/* Whether connections are taken from the listeners; at first they are. Connections under
 * way go on, and others may come by handover. */
void http_server_accept(bool on);

/* Whether one connection more can be served, if need be for the one that has been idle
 * longest. If not, handover_resume is called when it can. */
bool http_server_has_room(void);
/* As http_connection_open: how every connection begins. */
int http_server_serve(int fd, bool is_tcp, int listener, unsigned flags);

/* Stops: closes the listeners and every idle connection, finishes the requests under
 * way with `Connection: close`, serves what was handed over already, waits for the promises
 * given to ctx.waitUntil; cuts off what is left after CUT_MS. Then it calls DONE, once, from
 * the loop. */
void http_server_drain(uint64_t cut_ms, void (*done)(void));
