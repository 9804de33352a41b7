/* What debuggers connect to: the Chrome DevTools protocol's HTTP and WebSocket, on loopback
 * only, relayed to a worker's inspector (isolate/inspect.h).
 *
 * Who may: root, and the user who runs this (or asked root to, by sudo): the kernel says whose a
 * connection is. No web page, whatever name it gave to 127.0.0.1 (Host and Origin are looked at).
 * One debugger at a time. */
#pragma once

#include "common/error.h"

#include <stdint.h>

#define DEVTOOLS_PORT 9229 /* as Node's */
#define DEVTOOLS_CONNECTIONS 8

struct devtools;

/* Listens on 127.0.0.1:PORT (0: any), for a program that debuggers call TITLE. *RET_WORKER is
 * the socket's end for the worker, the caller's. */
int devtools_open(uint16_t port, const char *title, struct devtools **ret, int *ret_worker,
	struct error *error);
/* Says on standard error where it listens. */
void devtools_announce(const struct devtools *devtools);
/* Relays until the worker hangs up, or STOP (-1: none) can be read from. */
void devtools_serve(struct devtools *devtools, int stop);
struct devtools *devtools_close(struct devtools *devtools); /* takes NULL, returns NULL */
