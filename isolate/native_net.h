/* Streams over sockets that were handed in: by the egress process (clients), by the
 * supervisor (listeners of net.listen, pipes of children). Nothing here makes, binds or
 * connects a socket; no system call exists for that in a worker.
 *
 * JavaScript has the class native.NetStream (isolate/js/node/net/handle.js), whose
 * instances the library keeps; the hook netEvent tells it what happens. */
#pragma once

#include "isolate/runtime.h"

#include <sys/socket.h>

/* A NetStream over the connected socket or pipe FD, which becomes the stream's in any
 * case. NULL with an exception pending when that failed. */
engine_value *net_stream_open(int fd);

/* A NetStream over FD, a connection that a client made: it holds a worker that drains. FD becomes
 * the stream's in any case. NULL when there is none. */
engine_value *net_stream_accepted(int fd);

/* The listening sockets of START: COUNT descriptors from FIRST_FD on, which stay the
 * caller's. A program that listens on one (node:net) gets a copy; the HTTP server leaves
 * it alone from then on. */
void net_listeners_given(int first_fd, size_t count);
bool net_listener_taken(size_t index);
/* Where listener INDEX is, as getsockname(2) says. */
bool net_listener_address(size_t index, struct sockaddr *address, socklen_t *length);
/* Gives FD, a connection to listener INDEX that somebody else accepted, to the program that
 * took it over. False, and FD stays the caller's, when none did. */
bool net_connection_given(size_t index, int fd);
/* Gives FD, a connection from the ports that tenants share, to the program's own HTTP server
 * (node:http), TLS: it speaks TLS. False, and FD stays the caller's, when it has none. */
bool net_shared_given(int fd, bool tls);
bool net_shared_taken(void);
/* Whether connections are taken from them; at first they are. */
void net_listeners_accept(bool on);

/* The worker ends: accept nothing more on any of them. Connections that were accepted
 * hold it (http_server.holds) until they are closed, or the grace time is over. */
void net_listeners_drain(void);
