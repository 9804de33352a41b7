#include "daemon/control.h"

#include "common/cleanup.h"
#include "common/control.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/message.h"
#include "daemon/takeover.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define REQUEST_FDS_MAX 8
#define SILENT_MS (60 * 1000) /* before a request */

struct outgoing {
	struct outgoing *next;
	size_t length;
	char data[];
};

struct control_connection {
	struct control *control;
	struct control_connection *next;
	int fd;
	bool busy;   /* a request is under way */
	bool closed; /* to be freed as soon as nobody uses it */
	bool cut;    /* nothing more is sent */
	int entered; /* handlers of it on the stack */
	const struct control_hold *hold;
	void *hold_data;
	struct outgoing *queue, **queue_last;
	size_t queue_bytes;
	sd_event_source *source, *deadline;
};

struct control {
	sd_event *event;
	const struct control_verb *verbs;
	size_t verb_count;
	void *data;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int fd;
	bool stopping;
	sd_event_source *source, *resume;
	struct control_connection *connections;
	size_t connection_count;
};

void *control_data(const struct control_connection *connection)
{
	return connection->control->data;
}

void control_who(const struct control_connection *connection, struct who *ret_who)
{
	who_of_socket(connection->fd, ret_who);
}

/* ---- a connection's end ---- */

static void connection_free(struct control_connection *connection)
{
	struct control_connection **place = &connection->control->connections;
	while (*place != connection)
		place = &(*place)->next;
	*place = connection->next;
	connection->control->connection_count--;
	sd_event_source_disable_unref(connection->source);
	sd_event_source_disable_unref(connection->deadline);
	while (connection->queue) {
		struct outgoing *next = connection->queue->next;
		free(connection->queue);
		connection->queue = next;
	}
	close_fd(&connection->fd);
	free(connection);
}

/* Ends it now, or when the last handler of it has returned. */
static void connection_close(struct control_connection *connection)
{
	const struct control_hold *hold = connection->hold;
	connection->hold = NULL;
	connection->closed = true;
	if (hold) {
		connection->entered++;
		hold->closed(connection->hold_data);
		connection->entered--;
	}
	if (connection->entered == 0)
		connection_free(connection);
	else
		sd_event_source_set_enabled(connection->source, SD_EVENT_OFF);
}

/* ---- sending ---- */

static void set_writable(struct control_connection *connection, bool wanted)
{
	sd_event_source_set_io_events(connection->source, wanted ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static int enqueue(struct control_connection *connection, const char *data, size_t length)
{
	if (connection->queue_bytes + length > CONTROL_QUEUE_BYTES)
		return -ENOBUFS;
	struct outgoing *outgoing = malloc(sizeof *outgoing + length);
	if (outgoing == NULL)
		return -ENOMEM;
	outgoing->next = NULL;
	outgoing->length = length;
	memcpy(outgoing->data, data, length);
	*connection->queue_last = outgoing;
	connection->queue_last = &outgoing->next;
	connection->queue_bytes += length;
	set_writable(connection, true);
	return 0;
}

/* Returns 0 when all went out, -EAGAIN when the rest must wait, another error when the
 * client is gone. */
static int flush(struct control_connection *connection)
{
	while (connection->queue) {
		struct outgoing *first = connection->queue;
		int result = message_send(connection->fd, first->data, first->length, NULL, 0);
		if (result < 0)
			return result;
		connection->queue = first->next;
		if (connection->queue == NULL)
			connection->queue_last = &connection->queue;
		connection->queue_bytes -= first->length;
		free(first);
	}
	set_writable(connection, false);
	return 0;
}

static void send_text(struct control_connection *connection, const char *text)
{
	size_t length = strlen(text);
	if (connection->closed || connection->cut)
		return;
	int result =
		connection->queue ? -EAGAIN : message_send(connection->fd, text, length, NULL, 0);
	if (result == -EAGAIN)
		result = enqueue(connection, text, length);
	if (result < 0) {
		if (result == -ENOBUFS)
			log_warn(
				"event=control-slow message=\"a client does not read its answer\"");
		/* Not freed from here: callers go on with it. The loop sees the hang-up. */
		connection->cut = true;
		shutdown(connection->fd, SHUT_RDWR);
	}
}

/* Wraps BODY (taken) as {KEY: BODY} and sends it. */
static void send_json(struct control_connection *connection, const char *key, json_t *body)
{
	json_t *message = json_pack("{s:o}", key, body ? body : json_object());
	cleanup_free char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
	json_decref(message);
	if (text && strlen(text) > CONTROL_LENGTH_MAX) {
		log_warn("event=control-too-long bytes=%zu", strlen(text));
		send_text(connection,
			"{\"error\":{\"code\":\"too-long\",\"message\":\"the answer does not fit "
			"into a message\",\"exit\":1}}");
		return;
	}
	send_text(connection,
		text ? text
		     : "{\"error\":{\"code\":\"no-memory\",\"message\":\"tenantd is out of "
		       "memory\",\"exit\":1}}");
}

void control_item(struct control_connection *connection, json_t *item)
{
	send_json(connection, "item", item);
}

static void set_deadline(struct control_connection *connection, uint32_t ms);

static void answered(struct control_connection *connection)
{
	connection->busy = false;
	connection->hold = NULL;
	if (!connection->closed)
		set_deadline(connection, SILENT_MS);
}

void control_done(struct control_connection *connection, json_t *done)
{
	answered(connection);
	send_json(connection, "done", done);
}

/* Descriptors do not wait in the queue: there would be no end to them. A client that reads has
 * none. */
void control_done_with(
	struct control_connection *connection, json_t *done, const int *fds, size_t fd_count)
{
	json_t *message = json_pack("{s:o}", "done", done);
	cleanup_free char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
	json_decref(message);
	int result = text == NULL ? -ENOMEM
		     : connection->queue
			     ? -EAGAIN
			     : message_send(connection->fd, text, strlen(text), fds, fd_count);
	if (result < 0)
		control_fail(connection, "failed", CONTROL_EXIT_FAILURE,
			"cannot hand over what was asked for: %s", strerror(-result));
	else
		answered(connection);
}

void control_fail(
	struct control_connection *connection, const char *code, int exit, const char *format, ...)
{
	char message[8192];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	answered(connection);
	/* Cut in the middle of a character, or never UTF-8: say at least that. */
	json_t *text = json_string(message);
	if (text == NULL) {
		char escaped[sizeof message];
		escape_line(escaped, sizeof escaped, message, strlen(message), 1);
		text = json_string(escaped);
	}
	send_json(connection, "error",
		json_pack("{s:s, s:o, s:i}", "code", code, "message", text, "exit", exit));
}

/* ---- deadlines ---- */

static int deadline_passed(sd_event_source *source, uint64_t usec, void *data)
{
	struct control_connection *connection = data;
	(void)source;
	(void)usec;
	if (!connection->busy) { /* silent for too long */
		connection_close(connection);
		return 0;
	}
	const struct control_hold *hold = connection->hold;
	connection->hold = NULL;
	connection->entered++;
	if (hold)
		hold->closed(connection->hold_data);
	connection->entered--;
	control_fail(connection, "timeout", CONTROL_EXIT_TIMEOUT,
		"the time to wait is over; what was asked for goes on");
	return 0;
}

static void set_deadline(struct control_connection *connection, uint32_t ms)
{
	if (ms == 0) {
		if (connection->deadline)
			sd_event_source_set_enabled(connection->deadline, SD_EVENT_OFF);
		return;
	}
	if (connection->deadline == NULL) {
		sd_event_add_time_relative(connection->control->event, &connection->deadline,
			CLOCK_MONOTONIC, (uint64_t)ms * 1000, 0, deadline_passed, connection);
		return;
	}
	sd_event_source_set_time_relative(connection->deadline, (uint64_t)ms * 1000);
	sd_event_source_set_enabled(connection->deadline, SD_EVENT_ONESHOT);
}

void control_hold(struct control_connection *connection, const struct control_hold *hold,
	void *data, uint32_t deadline_ms)
{
	connection->hold = hold;
	connection->hold_data = data;
	set_deadline(connection, deadline_ms);
}

/* ---- requests ---- */

static void handle_request(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	const struct control *control = connection->control;
	const char *verb = json_string_value(json_object_get(request, "verb"));
	connection->busy = true;
	set_deadline(connection, 0);
	for (size_t i = 0; verb && i < control->verb_count; i++) {
		const struct control_verb *row = &control->verbs[i];
		if (strcmp(row->name, verb) != 0)
			continue;
		if (control->stopping && !row->while_stopping) {
			control_fail(connection, "stopping", CONTROL_EXIT_FAILURE,
				"tenantd is stopping");
			return;
		}
		if (fd_count < row->fds_least || fd_count > row->fds_most) {
			control_fail(connection, "invalid", CONTROL_EXIT_USAGE,
				"the verb %s takes %zu descriptors, and %zu came", row->name,
				row->fds_least, fd_count);
			return;
		}
		row->handle(connection, request, fds, fd_count);
		return;
	}
	control_fail(connection, "unknown-verb", CONTROL_EXIT_USAGE, "there is no verb %s",
		verb ? escape_for_log(verb) : "in the request");
}

static void handle_message(struct control_connection *connection, const char *data, size_t length,
	int *fds, size_t fd_count)
{
	json_error_t json_error;
	json_t *message = json_loadb(data, length, JSON_REJECT_DUPLICATES, &json_error);
	connection->entered++;
	if (connection->busy && !json_is_object(message))
		connection->closed = true; /* an answer would be taken for the request's */
	else if (!json_is_object(message))
		control_fail(connection, "invalid", CONTROL_EXIT_USAGE,
			"a request that is not a JSON object: %s",
			message ? "another kind of value" : escape_for_log(json_error.text));
	else if (!connection->busy)
		handle_request(connection, message, fds, fd_count);
	else if (connection->hold && connection->hold->message)
		connection->hold->message(connection->hold_data, message);
	else
		connection->closed = true; /* speaks out of turn */
	connection->entered--;
	json_decref(message);
}

static int connection_ready(sd_event_source *source, int fd, uint32_t events, void *data)
{
	static char buffer[CONTROL_LENGTH_MAX];
	struct control_connection *connection = data;
	int fds[REQUEST_FDS_MAX];
	size_t fd_count = ARRAY_LENGTH(fds);
	(void)source;

	if (events & EPOLLOUT) {
		int result = flush(connection);
		if (result < 0 && result != -EAGAIN) {
			connection_close(connection);
			return 0;
		}
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return 0;
	ssize_t length = message_receive(fd, buffer, sizeof buffer, fds, &fd_count, MSG_DONTWAIT);
	if (length == -EAGAIN)
		return 0;
	/* While a request is under way, who handles it must learn of the end: below. */
	if (length == -EMSGSIZE && !connection->busy) {
		control_fail(connection, "invalid", CONTROL_EXIT_USAGE,
			"a request of more than %d bytes, or with more descriptors than it may "
			"have "
			"or tenantd has left",
			CONTROL_LENGTH_MAX);
		return 0;
	}
	if (length <= 0) {
		connection_close(connection);
		return 0;
	}
	handle_message(connection, buffer, (size_t)length, fds, fd_count);
	for (size_t i = 0; i < fd_count; i++)
		close_fd(&fds[i]);
	if (connection->closed)
		connection_close(connection);
	return 0;
}

/* ---- the socket ---- */

static bool is_trusted(int fd)
{
	struct ucred peer;
	socklen_t length = sizeof peer;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return false;
	if (peer.uid == 0 || peer.uid == geteuid())
		return true;
	log_warn("event=control-refused uid=%u pid=%d", peer.uid, peer.pid);
	return false;
}

static int accept_again(sd_event_source *source, uint64_t usec, void *data)
{
	struct control *control = data;
	(void)source;
	(void)usec;
	sd_event_source_set_enabled(control->source, SD_EVENT_ON);
	return 0;
}

/* Out of descriptors or memory: who connects waits in the backlog, and the loop must
 * not spin over it. */
static void pause_accepting(struct control *control, int code)
{
	log_warn("event=accept-failed message=\"%s\"", strerror(code));
	sd_event_source_set_enabled(control->source, SD_EVENT_OFF);
	sd_event_source_disable_unref(control->resume);
	control->resume = NULL;
	if (sd_event_add_time_relative(control->event, &control->resume, CLOCK_MONOTONIC, 200000, 0,
		    accept_again, control) < 0)
		sd_event_source_set_enabled(control->source, SD_EVENT_ON);
}

/* NULL when there are too many, or no memory. */
static struct control_connection *add_connection(struct control *control, int client)
{
	struct control_connection *connection = control->connection_count < CONTROL_CONNECTIONS_MAX
							? calloc(1, sizeof *connection)
							: NULL;
	if (connection == NULL)
		return NULL;
	connection->control = control;
	connection->queue_last = &connection->queue;
	if (sd_event_add_io(control->event, &connection->source, client, EPOLLIN, connection_ready,
		    connection) < 0) {
		free(connection);
		return NULL;
	}
	connection->fd = client;
	connection->next = control->connections;
	control->connections = connection;
	control->connection_count++;
	set_deadline(connection, SILENT_MS);
	return connection;
}

static int accept_connection(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct control *control = data;
	(void)source;
	(void)events;
	cleanup_close int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (client < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			pause_accepting(control, errno);
		return 0;
	}
	static const char refused[] =
		"{\"error\":{\"code\":\"refused\",\"message\":\"only root may control tenantd\","
		"\"exit\":1}}";
	static const char full[] = "{\"error\":{\"code\":\"busy\",\"message\":\"too many control "
				   "connections\",\"exit\":1}}";
	if (!is_trusted(client)) {
		message_send(client, refused, sizeof refused - 1, NULL, 0);
		return 0;
	}
	if (add_connection(control, client) == NULL)
		message_send(client, full, sizeof full - 1, NULL, 0);
	else
		take_fd(&client);
	return 0;
}

static int bind_socket(const char *path, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address.sun_path)
		return error_set(error, ENAMETOOLONG, "the socket's path %s is too long", path);
	strcpy(address.sun_path, path);
	cleanup_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(error, errno, "cannot make a socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN)
		return error_set(error, EADDRINUSE,
			"another daemon listens on %s: stop it, or use another --socket", path);
	/* Any other kind of file refuses connections too, and is not ours to remove. */
	struct stat status;
	const bool stale = errno == ECONNREFUSED && lstat(path, &status) == 0;
	if (stale && !S_ISSOCK(status.st_mode))
		return error_set(
			error, EEXIST, "%s is there, and no socket: use another --socket", path);
	if (stale && unlink(path) < 0)
		return error_errno(error, errno, "cannot remove the stale socket %s", path);
	close_fd(&fd);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(error, errno, "cannot make a socket");
	mode_t before = umask(0117);
	int result = bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
	umask(before);
	if (result < 0 || listen(fd, 64) < 0)
		return error_errno(
			error, result < 0 ? -result : errno, "cannot listen on %s", path);
	return take_fd(&fd);
}

/* Takes FD, also on failure. */
static int open_with(sd_event *event, int listening, const char *path,
	const struct control_verb *verbs, size_t verb_count, void *data,
	struct control **ret_control, struct error *error)
{
	cleanup_close int fd = listening;
	struct control *control = calloc(1, sizeof *control);
	if (control == NULL)
		return error_set(error, ENOMEM, "no memory for the control socket");
	control->event = event;
	control->verbs = verbs;
	control->verb_count = verb_count;
	control->data = data;
	snprintf(control->path, sizeof control->path, "%s", path);
	control->fd = fd;
	int result =
		sd_event_add_io(event, &control->source, fd, EPOLLIN, accept_connection, control);
	if (result < 0) {
		free(control);
		return error_errno(error, result, "cannot watch the control socket");
	}
	take_fd(&fd);
	*ret_control = control;
	return 0;
}

int control_open(sd_event *event, const char *path, const struct control_verb *verbs,
	size_t verb_count, void *data, struct control **ret_control, struct error *error)
{
	const int fd = bind_socket(path, error);
	return fd < 0 ? fd
		      : open_with(event, fd, path, verbs, verb_count, data, ret_control, error);
}

/* ---- while the daemon's program is replaced ---- */

void control_pause(struct control *control, bool pause)
{
	const int enabled = pause ? SD_EVENT_OFF : SD_EVENT_ON;
	sd_event_source_set_enabled(control->source, enabled);
	for (struct control_connection *next = control->connections; next; next = next->next)
		if (!next->busy && !next->closed)
			sd_event_source_set_enabled(next->source, enabled);
}

/* What a client that is slow has not got yet goes along. */
static json_t *pack_resumed(struct control_connection *connection, struct takeover *takeover)
{
	json_t *queue = json_array();
	(void)flush(connection);
	for (const struct outgoing *next = connection->queue; next; next = next->next)
		json_array_append_new(queue, json_stringn(next->data, next->length));
	return json_pack("{s:o, s:o, s:o}", "fd", takeover_put_fd(takeover, connection->fd),
		"request", connection->hold->resume(connection->hold_data), "queue", queue);
}

json_t *control_pack(
	struct control *control, const struct control_connection *asker, struct takeover *takeover)
{
	json_t *waiting = json_array(), *resumed = json_array();
	for (struct control_connection *next = control->connections; next; next = next->next)
		if (next->busy && next->hold && next->hold->resume && !next->closed && !next->cut)
			json_array_append_new(resumed, pack_resumed(next, takeover));
	for (const struct control_connection *next = control->connections; next; next = next->next)
		if (!next->busy && !next->closed && !next->cut && next->queue == NULL)
			json_array_append_new(waiting, takeover_put_fd(takeover, next->fd));
	return json_pack("{s:o, s:o, s:o, s:o}", "fd", takeover_put_fd(takeover, control->fd),
		"waiting", waiting, "resumed", resumed, "asker",
		takeover_put_fd(takeover, asker ? asker->fd : -1));
}

static struct control_connection *adopt_connection(
	struct control *control, const json_t *packed, struct takeover *takeover)
{
	cleanup_close int fd = takeover_take_fd(takeover, packed);
	struct control_connection *connection = fd < 0 ? NULL : add_connection(control, fd);
	if (connection)
		take_fd(&fd);
	return connection;
}

static void resume(struct control *control, const json_t *packed, struct takeover *takeover)
{
	struct control_connection *connection =
		adopt_connection(control, json_object_get(packed, "fd"), takeover);
	const json_t *text;
	size_t i;
	if (connection == NULL)
		return;
	json_array_foreach(json_object_get(packed, "queue"), i, text)
	{
		/* What is lost is a part of the answer: rather none at all. */
		if (enqueue(connection, json_string_value(text), json_string_length(text)) < 0) {
			connection_close(connection);
			return;
		}
	}
	handle_request(connection, json_object_get(packed, "request"), NULL, 0);
}

int control_adopt(sd_event *event, const char *path, const struct control_verb *verbs,
	size_t verb_count, void *data, const json_t *packed, struct takeover *takeover,
	struct control **ret_control, struct control_connection **ret_asker, struct error *error)
{
	const json_t *from;
	size_t i;
	*ret_asker = NULL;
	const int fd = takeover_take_fd(takeover, json_object_get(packed, "fd"));
	if (fd < 0)
		return control_open(event, path, verbs, verb_count, data, ret_control, error);
	int result = open_with(event, fd, path, verbs, verb_count, data, ret_control, error);
	if (result < 0)
		return result;
	json_array_foreach(json_object_get(packed, "waiting"), i, from)
	{
		adopt_connection(*ret_control, from, takeover);
	}
	json_array_foreach(json_object_get(packed, "resumed"), i, from)
	{
		resume(*ret_control, from, takeover);
	}
	struct control_connection *asker =
		adopt_connection(*ret_control, json_object_get(packed, "asker"), takeover);
	if (asker)
		asker->busy = true; /* control_done follows */
	*ret_asker = asker;
	return 0;
}

void control_set_stopping(struct control *control)
{
	control->stopping = true;
}

struct control *control_close(struct control *control)
{
	if (control == NULL)
		return NULL;
	while (control->connections)
		connection_close(control->connections);
	sd_event_source_disable_unref(control->source);
	sd_event_source_disable_unref(control->resume);
	unlink(control->path);
	close_fd(&control->fd);
	free(control);
	return NULL;
}
