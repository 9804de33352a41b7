/* A debugger at a worker: the verb `inspect` of the control socket. The client's stream socket
 * goes to the worker, which speaks the Chrome DevTools protocol on it (isolate/inspect.h); the
 * daemon reads nothing of it. While the client stays connected, what the worker takes long for
 * says nothing: no probe fails, no turn is too long. */
#pragma once

#include "daemon/control.h"

struct instance;
struct inspection;

/* inspect {name} + the socket: item {"pid", "release"}, done {"reason"} when the worker has
 * ended. */
void inspect_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count);

/* Its worker has ended. Takes NULL, returns NULL. */
struct inspection *inspection_end(struct inspection *inspection, const char *reason);
