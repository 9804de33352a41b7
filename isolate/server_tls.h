/* TLS of the HTTP server: the tenant's own certificates, one for each host of net.ingress that
 * has one. They come over the channel (CERTIFICATES), and their keys are in no other tenant's
 * process. Which one is shown says the name that the client asks for (SNI); a name that is not
 * the tenant's is refused. A worker that never gets one touches nothing of OpenSSL. */
#pragma once

#include "isolate/tls_pipe.h"

/* Listens for the supervisor's CERTIFICATES. Call when the channel is there. */
void server_tls_watch(void);

/* Are there any? */
bool server_tls_ready(void);
/* The server's side of a new connection. False without certificates or memory. */
bool server_tls_open(struct tls_pipe *pipe);
/* For a program's own server (node:tls), which speaks HTTP/1.1 alone: the context of all of
 * them, the caller's to free. NULL without certificates. */
SSL_CTX *server_tls_context(void);
/* After the handshake: it is to be HTTP/2 (ALPN). */
bool server_tls_speaks_http2(const struct tls_pipe *pipe);
