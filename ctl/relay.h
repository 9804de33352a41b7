/* Bytes between tenantctl's own standard streams and those of a script that `run` has
 * started, which are pipes: the script never gets the operator's terminal itself, to
 * which it could write input (TIOCSTI) or whose settings it could change. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define RELAY_BUFFER 65536

/* One direction. Reads only when all that was read before is written. */
struct relay {
	int from, to;   /* -1: this direction is over */
	bool from_pipe; /* FROM is ours alone, and non-blocking */
	bool to_pipe;   /* the same of TO */
	size_t start, end;
	char buffer[RELAY_BUFFER];
};

struct pollfd;

/* What to wait for: fills one pollfd, fd -1 for nothing. */
void relay_prepare(const struct relay *relay, struct pollfd *watch);

/* Moves what can be moved without blocking, given what poll said. Returns 0, or -EPIPE
 * when nobody reads the operator's end any more. */
int relay_move(struct relay *relay, const struct pollfd *watch);

/* True when everything was read and written. */
bool relay_done(const struct relay *relay);

/* Gives up, closing pipes that are ours. */
void relay_close(struct relay *relay);
