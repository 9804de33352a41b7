/* One request and its response, between a connection and JavaScript. */
#pragma once

#include "isolate/http_connection.h"
#include "isolate/runtime.h"

void http_exchange_bind(void);

/* Gives the request to the program. */
void http_exchange_dispatch(struct http_connection *connection);
/* Answers STATUS without JavaScript. FIELDS: further header fields, or "". */
void http_exchange_refuse(struct http_connection *connection, unsigned status, const char *fields);
/* More of the body is there, or its end, and the program waits for it. */
void http_exchange_body(struct http_connection *connection);
/* The program may go on to write. */
void http_exchange_drained(struct http_connection *connection);
/* Ends the exchange for the program, which is told if it works on it. */
void http_exchange_abort(struct http_connection *connection, enum http_abort reason);

/* Its connection is the program's. */
void http_exchange_upgraded(struct http_connection *connection);

#define HTTP_EXCHANGE_NATIVES 13
extern const struct engine_native http_exchange_natives[HTTP_EXCHANGE_NATIVES];
