/* What isolate/http_connection.c (reading, writing) and isolate/http_deadlines.c share. */
#pragma once

#include "isolate/http_connection.h"

/* Closes now; programs are not told. */
void http_connection_close(struct http_connection *connection);
/* Refuses what cannot be parsed or takes too long, and closes. The program, if it
 * works on it, is told REASON. */
void http_connection_refuse(
	struct http_connection *connection, unsigned status, enum http_abort reason);
