#include "ctl/devtools.h"

#include "common/cleanup.h"
#include "ctl/websocket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_MAX 8192                /* bytes of a request's head */
#define FROM_CLIENT_MAX (16u << 20)  /* of a message, as the worker takes it */
#define FROM_WORKER_MAX (256u << 20) /* of one of its own */
#define READ_BYTES 65536

struct bytes {
	char *data;
	size_t start, length, capacity; /* LENGTH from START on */
};

struct client {
	int fd; /* -1: none */
	bool is_websocket;
	bool closing; /* when all is written */
	struct bytes in, out;
	struct bytes message; /* parts of one that are there */
};

struct devtools {
	int listener, worker;
	uint16_t port;
	char id[37];
	char *title;
	struct client clients[DEVTOOLS_CONNECTIONS];
	struct client *debugger; /* the one with the WebSocket */
	struct bytes from_worker, to_worker;
};

/* ---- bytes ---- */

static bool append(struct bytes *bytes, const void *data, size_t length)
{
	if (bytes->start + bytes->length + length > bytes->capacity) {
		if (bytes->length)
			memmove(bytes->data, bytes->data + bytes->start, bytes->length);
		bytes->start = 0;
		if (bytes->length + length > bytes->capacity) {
			size_t capacity = 2 * (bytes->length + length);
			char *grown = realloc(bytes->data, capacity);
			if (!grown)
				return false;
			bytes->data = grown;
			bytes->capacity = capacity;
		}
	}
	if (length)
		memcpy(bytes->data + bytes->start + bytes->length, data, length);
	bytes->length += length;
	return true;
}

static char *begin_of(const struct bytes *bytes)
{
	return bytes->data + bytes->start;
}

static void consume(struct bytes *bytes, size_t length)
{
	bytes->start += length;
	bytes->length -= length;
	if (bytes->length == 0)
		bytes->start = 0;
}

static void clear(struct bytes *bytes)
{
	free(bytes->data);
	*bytes = (struct bytes){0};
}

/* What can be read now. False at the end of the stream, or without memory. */
static bool read_some(int fd, struct bytes *bytes)
{
	char buffer[READ_BYTES];
	ssize_t got = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	return got > 0 && append(bytes, buffer, (size_t)got);
}

static bool write_some(int fd, struct bytes *bytes)
{
	ssize_t sent = send(fd, begin_of(bytes), bytes->length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		return errno == EAGAIN || errno == EINTR;
	consume(bytes, (size_t)sent);
	return true;
}

/* ---- the worker ---- */

/* One message; LENGTH 0 ends the debugger's session. */
static bool tell_worker(struct devtools *devtools, const void *data, size_t length)
{
	const uint32_t size = (uint32_t)length;
	return append(&devtools->to_worker, &size, sizeof size) &&
	       append(&devtools->to_worker, data, length);
}

static void drop_client(struct devtools *devtools, struct client *client)
{
	if (client->fd < 0)
		return;
	if (client == devtools->debugger) {
		devtools->debugger = NULL;
		tell_worker(devtools, NULL, 0);
	}
	close_fd(&client->fd);
	clear(&client->in);
	clear(&client->out);
	clear(&client->message);
	*client = (struct client){.fd = -1};
}

static bool send_frame(
	struct client *client, enum websocket_opcode opcode, const void *data, size_t length)
{
	uint8_t head[WEBSOCKET_HEAD_MAX];
	const size_t head_length = websocket_head(head, opcode, length);
	return append(&client->out, head, head_length) && append(&client->out, data, length);
}

/* Hands whole messages on. False when the worker is gone, or talks nonsense. */
static bool take_from_worker(struct devtools *devtools)
{
	struct bytes *bytes = &devtools->from_worker;
	uint32_t length;
	if (!read_some(devtools->worker, bytes))
		return false;
	while (bytes->length >= sizeof length) {
		memcpy(&length, begin_of(bytes), sizeof length);
		if (length > FROM_WORKER_MAX)
			return false;
		if (bytes->length < sizeof length + length)
			break;
		struct client *debugger = devtools->debugger;
		if (debugger && !send_frame(debugger, WEBSOCKET_TEXT,
					begin_of(bytes) + sizeof length, length))
			drop_client(devtools, debugger);
		consume(bytes, sizeof length + length);
	}
	return true;
}

/* ---- HTTP ---- */

static bool answer(struct client *client, const char *status, const char *type, const char *body)
{
	cleanup_free char *text = NULL;
	int length = asprintf(&text,
		"HTTP/1.1 %s\r\nContent-Type: %s; charset=UTF-8\r\nContent-Length: %zu\r\n"
		"Cache-Control: no-cache\r\nConnection: close\r\n\r\n%s",
		status, type, strlen(body), body);
	if (length < 0) {
		text = NULL;
		return false;
	}
	client->closing = true;
	return append(&client->out, text, (size_t)length);
}

static bool answer_json(struct client *client, json_t *json)
{
	cleanup_free char *text = json_dumps(json, JSON_INDENT(2));
	json_decref(json);
	return text && answer(client, "200 OK", "application/json", text);
}

static json_t *describe(const struct devtools *devtools)
{
	char place[96], url[112], frontend[224];
	snprintf(place, sizeof place, "127.0.0.1:%u/%s", devtools->port, devtools->id);
	snprintf(url, sizeof url, "ws://%s", place);
	snprintf(frontend, sizeof frontend,
		"devtools://devtools/bundled/js_app.html?experiments=true&v8only=true&ws=%s",
		place);
	return json_pack("[{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}]", "description",
		"tenantd tenant", "devtoolsFrontendUrl", frontend, "devtoolsFrontendUrlCompat",
		frontend, "id", devtools->id, "title", devtools->title, "type", "node", "url",
		"file://", "webSocketDebuggerUrl", url);
}

/* The value of field NAME in HEAD, copied without blanks around it. */
static bool field(const char *head, const char *name, char *value, size_t size)
{
	const size_t length = strlen(name);
	for (const char *line = strstr(head, "\r\n"); line && line[2];
		line = strstr(line + 2, "\r\n")) {
		if (strncasecmp(line + 2, name, length) != 0 || line[2 + length] != ':')
			continue;
		const char *start = line + 3 + length;
		start += strspn(start, " \t");
		size_t count = strcspn(start, "\r\n");
		while (count && (start[count - 1] == ' ' || start[count - 1] == '\t'))
			count--;
		if (count >= size)
			return false;
		memcpy(value, start, count);
		value[count] = '\0';
		return true;
	}
	return false;
}

/* A name that somebody's DNS server points here is not us. */
static bool host_is_local(const char *head)
{
	char host[128];
	if (!field(head, "host", host, sizeof host))
		return false;
	char *colon = strrchr(host, ':');
	if (colon && !strchr(colon, ']'))
		*colon = '\0';
	return strcmp(host, "127.0.0.1") == 0 || strcasecmp(host, "localhost") == 0 ||
	       strcmp(host, "[::1]") == 0;
}

/* Programs send none; of browsers' pages only DevTools itself. */
static bool origin_is_debugger(const char *head)
{
	char origin[256];
	return !field(head, "origin", origin, sizeof origin) ||
	       strncmp(origin, "devtools://", 11) == 0;
}

static bool upgrade(struct devtools *devtools, struct client *client, const char *head)
{
	char key[128], version[16], protocol[64], accept[WEBSOCKET_ACCEPT_SIZE], text[256];
	if (!field(head, "upgrade", protocol, sizeof protocol) ||
		strcasecmp(protocol, "websocket") != 0 ||
		!field(head, "sec-websocket-version", version, sizeof version) ||
		strcmp(version, "13") != 0 || !field(head, "sec-websocket-key", key, sizeof key) ||
		strlen(key) != 24)
		return answer(client, "400 Bad Request", "text/plain", "a WebSocket is wanted\n");
	if (!origin_is_debugger(head))
		return answer(client, "403 Forbidden", "text/plain", "not for web pages\n");
	if (devtools->debugger)
		return answer(
			client, "409 Conflict", "text/plain", "a debugger is there already\n");
	websocket_accept(key, accept);
	int length = snprintf(text, sizeof text,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		accept);
	client->is_websocket = true;
	devtools->debugger = client;
	return append(&client->out, text, (size_t)length);
}

static bool respond(struct devtools *devtools, struct client *client, const char *head)
{
	char path[128];
	if (sscanf(head, "GET %127s HTTP/1.", path) != 1)
		return answer(client, "400 Bad Request", "text/plain", "GET is wanted\n");
	if (!host_is_local(head))
		return answer(client, "400 Bad Request", "text/plain",
			"Host is neither localhost nor its address\n");
	if (strcmp(path, "/json") == 0 || strcmp(path, "/json/list") == 0)
		return answer_json(client, describe(devtools));
	if (strcmp(path, "/json/version") == 0)
		return answer_json(
			client, json_pack("{s:s, s:s}", "Browser", "tenantd/" TENANTD_VERSION,
					"Protocol-Version", "1.3"));
	if (path[0] == '/' && strcmp(path + 1, devtools->id) == 0)
		return upgrade(devtools, client, head);
	return answer(client, "404 Not Found", "text/plain", "there is nothing here\n");
}

/* False: drop it. */
static bool take_request(struct devtools *devtools, struct client *client)
{
	const char *end = memmem(begin_of(&client->in), client->in.length, "\r\n\r\n", 4);
	if (!end)
		return client->in.length <= HEAD_MAX;
	const size_t length = (size_t)(end - begin_of(&client->in)) + 4;
	cleanup_free char *head = strndup(begin_of(&client->in), length);
	if (!head || length > HEAD_MAX)
		return false;
	consume(&client->in, length);
	return respond(devtools, client, head);
}

/* ---- WebSocket ---- */

static bool take_frame(
	struct devtools *devtools, struct client *client, const struct websocket_frame *frame)
{
	struct bytes *message = &client->message;
	switch (frame->opcode) {
	case WEBSOCKET_PING:
		return send_frame(client, WEBSOCKET_PONG, frame->payload, frame->length);
	case WEBSOCKET_PONG:
		return true;
	case WEBSOCKET_CLOSE:
		client->closing = true;
		return send_frame(
			client, WEBSOCKET_CLOSE, frame->payload, frame->length < 2 ? 0 : 2);
	default:
		if (message->length + frame->length > FROM_CLIENT_MAX ||
			!append(message, frame->payload, frame->length))
			return false;
		if (!frame->final)
			return true;
		/* An empty one would end the session. */
		if (message->length && !tell_worker(devtools, begin_of(message), message->length))
			return false;
		consume(message, message->length);
		return true;
	}
}

static bool take_frames(struct devtools *devtools, struct client *client)
{
	struct websocket_frame frame;
	while (!client->closing) {
		ssize_t used = websocket_parse(
			begin_of(&client->in), client->in.length, FROM_CLIENT_MAX, &frame);
		if (used <= 0)
			return used == 0;
		if (!take_frame(devtools, client, &frame))
			return false;
		consume(&client->in, (size_t)used);
	}
	return true;
}

/* ---- the loop ---- */

/* The user whose process has the other end of a connection from PORT of this host to OURS; -1:
 * nobody's. The kernel's list has local address, remote address, …, user. */
static long user_of(unsigned port, unsigned ours)
{
	char line[512];
	long user = -1;
	cleanup_fclose FILE *list = fopen("/proc/net/tcp", "re");
	while (list && user < 0 && fgets(line, sizeof line, list)) {
		unsigned local, local_port, remote, remote_port;
		long found;
		if (sscanf(line, " %*d: %x:%x %x:%x %*x %*x:%*x %*x:%*x %*x %ld", &local,
			    &local_port, &remote, &remote_port, &found) == 5 &&
			local == htonl(INADDR_LOOPBACK) && local_port == port &&
			remote == htonl(INADDR_LOOPBACK) && remote_port == ours)
			user = found;
	}
	return user;
}

/* Root, who runs this, or who asked root to. Everybody of the host can connect. */
static bool is_operator(long user)
{
	const char *asked = getenv("SUDO_UID");
	return user == 0 || user == (long)geteuid() ||
	       (user >= 0 && asked && geteuid() == 0 && user == strtol(asked, NULL, 10));
}

static void accept_client(struct devtools *devtools)
{
	struct sockaddr_in peer;
	socklen_t size = sizeof peer;
	int fd = accept4(devtools->listener, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	if (!is_operator(user_of(ntohs(peer.sin_port), devtools->port))) {
		close(fd);
		return;
	}
	for (size_t i = 0; i < DEVTOOLS_CONNECTIONS; i++)
		if (devtools->clients[i].fd < 0) {
			devtools->clients[i].fd = fd;
			return;
		}
	close(fd);
}

static void move_client(struct devtools *devtools, struct client *client, short events)
{
	bool good = true;
	if (events & (POLLIN | POLLHUP | POLLERR))
		good = read_some(client->fd, &client->in);
	if (good && !client->closing && client->in.length)
		good = client->is_websocket || take_request(devtools, client);
	if (good && client->is_websocket && client->in.length)
		good = take_frames(devtools, client);
	if (good && client->out.length)
		good = write_some(client->fd, &client->out);
	if (!good || (client->closing && client->out.length == 0))
		drop_client(devtools, client);
}

/* Nobody's message is read while the one before waits to be written. */
static void prepare(const struct devtools *devtools, int stop, struct pollfd *watches)
{
	const struct client *debugger = devtools->debugger;
	watches[0] = (struct pollfd){.fd = stop, .events = POLLIN};
	watches[1] = (struct pollfd){.fd = devtools->listener, .events = POLLIN};
	watches[2] = (struct pollfd){.fd = devtools->worker};
	if (!debugger || debugger->out.length == 0)
		watches[2].events |= POLLIN;
	if (devtools->to_worker.length)
		watches[2].events |= POLLOUT;
	for (size_t i = 0; i < DEVTOOLS_CONNECTIONS; i++) {
		const struct client *client = &devtools->clients[i];
		watches[3 + i] = (struct pollfd){.fd = client->fd};
		if (!client->closing && devtools->to_worker.length == 0)
			watches[3 + i].events |= POLLIN;
		if (client->out.length)
			watches[3 + i].events |= POLLOUT;
	}
}

void devtools_serve(struct devtools *devtools, int stop)
{
	for (;;) {
		struct pollfd watches[3 + DEVTOOLS_CONNECTIONS];
		prepare(devtools, stop, watches);
		if (poll(watches, ARRAY_LENGTH(watches), -1) < 0 && errno != EINTR)
			return;
		if (watches[0].revents)
			return;
		if (watches[1].revents)
			accept_client(devtools);
		if (watches[2].revents & POLLOUT &&
			!write_some(devtools->worker, &devtools->to_worker))
			return;
		if (watches[2].revents & ~POLLOUT && !take_from_worker(devtools))
			return;
		for (size_t i = 0; i < DEVTOOLS_CONNECTIONS; i++)
			if (devtools->clients[i].fd >= 0 && watches[3 + i].fd >= 0 &&
				watches[3 + i].revents)
				move_client(
					devtools, &devtools->clients[i], watches[3 + i].revents);
	}
}

/* ---- opening ---- */

static int listen_on(struct devtools *devtools, uint16_t port, struct error *error)
{
	const int on = 1;
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	devtools->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (devtools->listener < 0 ||
		setsockopt(devtools->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
		bind(devtools->listener, (struct sockaddr *)&address, size) < 0 ||
		listen(devtools->listener, DEVTOOLS_CONNECTIONS) < 0 ||
		getsockname(devtools->listener, (struct sockaddr *)&address, &size) < 0)
		return error_errno(
			error, errno, "cannot listen on 127.0.0.1:%u for debuggers", port);
	devtools->port = ntohs(address.sin_port);
	return 0;
}

static int make_id(struct devtools *devtools, struct error *error)
{
	uint8_t random[16];
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return error_errno(error, errno, "cannot get random bytes");
	char *at = devtools->id;
	for (size_t i = 0; i < sizeof random; i++)
		at += sprintf(
			at, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", random[i]);
	return 0;
}

int devtools_open(uint16_t port, const char *title, struct devtools **ret, int *ret_worker,
	struct error *error)
{
	int ends[2];
	struct devtools *devtools = calloc(1, sizeof *devtools);
	if (!devtools || !(devtools->title = strdup(title))) {
		free(devtools);
		return error_set(error, ENOMEM, "no memory for the debuggers' server");
	}
	devtools->listener = devtools->worker = -1;
	for (size_t i = 0; i < DEVTOOLS_CONNECTIONS; i++)
		devtools->clients[i].fd = -1;
	int result = listen_on(devtools, port, error);
	if (result == 0)
		result = make_id(devtools, error);
	if (result == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		result = error_errno(error, errno, "cannot make a pair of sockets");
	if (result < 0) {
		devtools_close(devtools);
		return result;
	}
	devtools->worker = ends[0];
	*ret_worker = ends[1];
	*ret = devtools;
	return 0;
}

void devtools_announce(const struct devtools *devtools)
{
	fprintf(stderr,
		"Debugger listening on ws://127.0.0.1:%u/%s\n"
		"Open chrome://inspect, or "
		"devtools://devtools/bundled/"
		"js_app.html?experiments=true&v8only=true&ws=127.0.0.1:%u/"
		"%s\n",
		devtools->port, devtools->id, devtools->port, devtools->id);
}

struct devtools *devtools_close(struct devtools *devtools)
{
	if (!devtools)
		return NULL;
	for (size_t i = 0; i < DEVTOOLS_CONNECTIONS; i++)
		drop_client(devtools, &devtools->clients[i]);
	clear(&devtools->from_worker);
	clear(&devtools->to_worker);
	close_fd(&devtools->listener);
	close_fd(&devtools->worker);
	free(devtools->title);
	free(devtools);
	return NULL;
}
