/* The control socket: accepts connections of root (or of the daemon's own user) alone,
 * reads one JSON object a message, and finds the verb in one table. Everything is
 * bounded: connections, the length of a request, what waits to be sent, the time that a
 * connection may be silent before it asks. What is said: common/control.h. */
#pragma once

#include "common/error.h"
#include "daemon/who.h"

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#define CONTROL_CONNECTIONS_MAX 256
#define CONTROL_QUEUE_BYTES (8 * 1024 * 1024) /* of one connection */

struct control;
struct control_connection;

/* HANDLE answers with control_done or control_fail, at once or (after control_hold)
 * later. It may take descriptors out of FDS with take_fd; the others are closed. */
struct control_verb {
	const char *name;
	void (*handle)(struct control_connection *connection, const json_t *request, int *fds,
		size_t fd_count);
	size_t fds_least, fds_most;
	bool while_stopping; /* allowed when the daemon is about to end */
};

/* For a request that is answered later. */
struct control_hold {
	/* The client is gone, or its deadline has passed: forget the connection. */
	void (*closed)(void *data);
	/* Another message on the same connection (`signal`); NULL: none is allowed. */
	void (*message)(void *data, const json_t *message);
	/* The request with which another daemon's program goes on where this one is; NULL: it
	 * cannot, and the connection ends. */
	json_t *(*resume)(const void *data);
};

/* Binds PATH (mode 0660; what a dead daemon left there is replaced) and listens.
 * VERBS must live as long; DATA is what control_data gives to the handlers. */
int control_open(sd_event *event, const char *path, const struct control_verb *verbs,
	size_t verb_count, void *data, struct control **ret_control, struct error *error);
/* From now on only verbs that are allowed while stopping. */
void control_set_stopping(struct control *control);
/* Closes all connections and removes the socket. */
struct control *control_close(struct control *control);

void *control_data(const struct control_connection *connection);
/* Who is at the other end. */
void control_who(const struct control_connection *connection, struct who *ret_who);

/* Sends {"item": ITEM} (which it takes); a client that does not read is cut off. */
void control_item(struct control_connection *connection, json_t *item);
/* The last message: {"done": DONE} (taken; NULL is {}). */
void control_done(struct control_connection *connection, json_t *done);
/* The same, with FD_COUNT descriptors, which stay the caller's. */
void control_done_with(
	struct control_connection *connection, json_t *done, const int *fds, size_t fd_count);
/* The last message: an error. CODE is a word for programs, EXIT the exit code. */
void control_fail(struct control_connection *connection, const char *code, int exit,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The answer comes later; at the latest after DEADLINE_MS (0: never), with exit code
 * 124. What to call meanwhile is HOLD; control_done and control_fail end it. */
void control_hold(struct control_connection *connection, const struct control_hold *hold,
	void *data, uint32_t deadline_ms);

/* ---- while the daemon's program is replaced (daemon/reexec.h) ---- */

/* No request is read, and nobody accepted; both wait, and lose nothing. */
void control_pause(struct control *control, bool pause);
/* The socket, its connections that wait, those that can be resumed, and ASKER, which is to be
 * answered by the next daemon. Others, with requests under way, end. */
struct takeover;
json_t *control_pack(
	struct control *control, const struct control_connection *asker, struct takeover *takeover);
/* As control_open, with what was packed; *RET_ASKER is NULL when it is gone. What is resumed is
 * handled from within: DATA must be ready for it. */
int control_adopt(sd_event *event, const char *path, const struct control_verb *verbs,
	size_t verb_count, void *data, const json_t *packed, struct takeover *takeover,
	struct control **ret_control, struct control_connection **ret_asker, struct error *error);
