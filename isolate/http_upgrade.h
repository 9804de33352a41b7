/* A request whose connection goes over to another protocol (101): from then on it is the
 * program's, as a stream (isolate/native_net.c). */
#pragma once

#include "isolate/http_connection.h"
#include "isolate/runtime.h"

/* The native httpUpgrade: isolate/js/server.js. */
engine_value *http_upgrade_native(struct engine *engine, struct engine_call *call);
void http_upgrade_bind(void);

/* Hands CONNECTION over, which is marked as upgrading; before the loop waits. */
void http_upgrade(struct http_connection *connection);
