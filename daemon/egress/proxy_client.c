/* One client of a proxy: it says what it wants, in HTTP or SOCKS5; a connection is made, or
 * it is told why not; then bytes flow. */
#include "daemon/egress/private.h"
#include "daemon/egress/proxy_parse.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define HEAD_MS 30000 /* to say what it wants */
#define CLOSE_MS 2000 /* to take an answer, before its connection is closed */

enum client_state {
	CLIENT_HEAD, /* says what it wants */
	CLIENT_SOCKS_REQUEST,
	CLIENT_CONNECTING,
	CLIENT_RELAYING,
	CLIENT_CLOSING, /* was told why not */
};

struct proxy_client {
	struct proxy_client *next, **place;
	struct proxy *proxy;
	enum client_state state;
	bool socks;
	int fd; /* -1: the relay's */
	sd_event_source *source, *deadline;
	struct attempt *attempt;
	struct relay *relay;
	size_t length;
	char data[PROXY_HEAD_MAX];
	struct proxy_request request;
};

void proxy_client_free(struct proxy_client *client)
{
	struct proxy *proxy = client->proxy;
	*client->place = client->next;
	if (client->next)
		client->next->place = client->place;
	if (client->attempt)
		attempt_cancel(client->attempt);
	relay_free(client->relay);
	sd_event_source_disable_unref(client->source);
	sd_event_source_disable_unref(client->deadline);
	if (client->fd >= 0)
		close_foreign(client->fd);
	free(client);
	proxy->client_count--;
	proxy_has_room(proxy);
}

/* ---- answers ---- */

/* Answers, and closes when it was taken: to close with unread bytes would reset the
 * connection, and the answer with it. */
static void answer_and_close(struct proxy_client *client, const void *data, size_t length)
{
	if (send(client->fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)length ||
		shutdown(client->fd, SHUT_WR) < 0) {
		proxy_client_free(client);
		return;
	}
	client->state = CLIENT_CLOSING;
	sd_event_source_set_io_events(client->source, EPOLLIN);
	sd_event_source_set_time_relative(client->deadline, CLOSE_MS * 1000);
	sd_event_source_set_enabled(client->deadline, SD_EVENT_ONESHOT);
}

static const char *phrase(unsigned status)
{
	switch (status) {
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 431:
		return "Request Header Fields Too Large";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	default:
		return "Bad Gateway";
	}
}

/* ERROR is a name of RFC 9209 2.3; TEXT goes into its details and the body. */
static void answer_http(
	struct proxy_client *client, unsigned status, const char *error, const char *text)
{
	char message[4096], details[1024];
	size_t length = 0;
	for (const char *next = text; *next && length + 3 < sizeof details; next++) {
		if (*next == '"' || *next == '\\')
			details[length++] = '\\';
		details[length++] = *next >= ' ' && *next < 0x7F ? *next : '?';
	}
	details[length] = '\0';
	int written = snprintf(message, sizeof message,
		"HTTP/1.1 %u %s\r\n"
		"Proxy-Status: tenantd; error=%s; details=\"%s\"\r\n"
		"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n"
		"%sConnection: close\r\n\r\n%s\n",
		status, phrase(status), error, details, strlen(text) + 1,
		status == 503 ? "Retry-After: 1\r\n" : "", text);
	answer_and_close(client, message, (size_t)written);
}

static void answer_socks(struct proxy_client *client, uint8_t reply)
{
	const uint8_t message[10] = {5, reply, 0, 1};
	answer_and_close(client, message, sizeof message);
}

static const struct {
	unsigned status;
	uint8_t reply;
	const char *error;
} refusals[] = {
	[EGRESS_DENIED] = {403, SOCKS_DENIED, "http_request_denied"},
	[EGRESS_BAD_HOST] = {400, SOCKS_FAILED, "http_request_error"},
	[EGRESS_NOT_FOUND] = {502, SOCKS_HOST_UNREACHABLE, "dns_error"},
	[EGRESS_DNS_FAILED] = {502, SOCKS_HOST_UNREACHABLE, "dns_error"},
	[EGRESS_TIMED_OUT] = {504, SOCKS_EXPIRED, "connection_timeout"},
	[EGRESS_CONNECT_FAILED] = {502, SOCKS_FAILED, "connection_refused"},
	[EGRESS_LIMIT] = {503, SOCKS_FAILED, "connection_limit_reached"},
	[EGRESS_FAILED] = {502, SOCKS_FAILED, "proxy_internal_error"},
};

static void answer_refused(struct proxy_client *client, const struct attempt_result *result)
{
	uint8_t reply = refusals[result->refusal].reply;
	if (result->code == ECONNREFUSED)
		reply = SOCKS_REFUSED;
	else if (result->code == ENETUNREACH)
		reply = SOCKS_NETWORK_UNREACHABLE;
	else if (result->code == EHOSTUNREACH)
		reply = SOCKS_HOST_UNREACHABLE;
	if (client->socks)
		answer_socks(client, reply);
	else
		answer_http(client, refusals[result->refusal].status,
			refusals[result->refusal].error, result->text);
}

/* ---- the connection ---- */

static void relay_done(void *data, int result)
{
	(void)result;
	proxy_client_free(data);
}

static void start_relay(struct proxy_client *client, int upstream)
{
	static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";
	static const char socks_ok[10] = {5, 0, 0, 1};
	static char before[sizeof client->request.head + PROXY_HEAD_MAX];
	const struct proxy_request *request = &client->request;
	size_t more = client->length; /* bytes behind the head that are here already */
	uint64_t limit = UINT64_MAX;
	if (!request->tunnel && request->body != UINT64_MAX) {
		if (more > request->body)
			more = (size_t)request->body; /* the connection ends with this request */
		limit = request->body - more;
	}
	memcpy(before, request->head, request->head_length);
	memcpy(before + request->head_length, client->data, more);
	const struct relay_options options = {
		.client = take_fd(&client->fd),
		.upstream = upstream,
		.before = before,
		.before_length = request->head_length + more,
		.greeting = !request->tunnel ? NULL
			    : client->socks  ? socks_ok
					     : established,
		.greeting_length = !request->tunnel ? 0
				   : client->socks  ? sizeof socks_ok
						    : sizeof established - 1,
		.limit = limit,
		.http = !request->tunnel,
		.done = relay_done,
		.data = client,
	};
	/* The relay watches the descriptor from here on. */
	sd_event_source_disable_unref(take_pointer(client->source));
	sd_event_source_disable_unref(take_pointer(client->deadline));
	client->state = CLIENT_RELAYING;
	if (relay_new(client->proxy->member->world->event, &options, &client->relay) < 0)
		proxy_client_free(client);
}

static void attempt_done(void *data, struct attempt_result *result)
{
	struct proxy_client *client = data;
	client->attempt = NULL;
	if (result->refusal)
		answer_refused(client, result);
	else
		start_relay(client, take_fd(&result->socket));
}

static void start_attempt(struct proxy_client *client)
{
	const struct attempt_options options = {
		.host = client->request.host,
		.host_length = client->request.host_length,
		.port = client->request.port,
		.done = attempt_done,
		.data = client,
	};
	client->state = CLIENT_CONNECTING;
	/* Only its end is noticed meanwhile. The attempt has a deadline of its own. */
	sd_event_source_set_io_events(client->source, 0);
	sd_event_source_set_enabled(client->deadline, SD_EVENT_OFF);
	client->attempt = attempt_start(client->proxy->member, &options);
	if (client->attempt == NULL)
		proxy_client_free(client);
}

/* ---- what it says ---- */

static void consume(struct proxy_client *client, size_t count)
{
	client->length -= count;
	memmove(client->data, client->data + count, client->length);
}

static void parse_http(struct proxy_client *client)
{
	unsigned status = 400;
	const char *why = "";
	int used =
		proxy_parse_request(client->data, client->length, &client->request, &status, &why);
	if (used < 0) {
		answer_http(client, status, "http_request_error", why);
	} else if (used > 0) {
		consume(client, (size_t)used);
		start_attempt(client);
	}
}

static void parse_socks_request(struct proxy_client *client)
{
	uint8_t reply;
	int used = socks_parse_request(
		(const uint8_t *)client->data, client->length, &client->request, &reply);
	if (used < 0) {
		answer_socks(client, reply);
	} else if (used > 0) {
		consume(client, (size_t)used);
		start_attempt(client);
	}
}

static void parse_greeting(struct proxy_client *client)
{
	static const uint8_t no_method[2] = {5, 0xff}, no_authentication[2] = {5, 0};
	int used = socks_parse_greeting((const uint8_t *)client->data, client->length);
	if (used == 0)
		return;
	if (used < 0) {
		answer_and_close(client, no_method, sizeof no_method);
		return;
	}
	if (send(client->fd, no_authentication, 2, MSG_NOSIGNAL | MSG_DONTWAIT) != 2) {
		proxy_client_free(client);
		return;
	}
	client->socks = true;
	client->state = CLIENT_SOCKS_REQUEST;
	consume(client, (size_t)used);
	parse_socks_request(client);
}

/* No method of HTTP begins with 5. */
static void parse(struct proxy_client *client)
{
	if (client->state == CLIENT_SOCKS_REQUEST)
		parse_socks_request(client);
	else if (client->data[0] == 5)
		parse_greeting(client);
	else if (client->data[0] == 4)
		proxy_client_free(client); /* SOCKS4 has no names, and no way to say so */
	else
		parse_http(client);
}

static int client_readable(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct proxy_client *client = data;
	(void)source;
	(void)events;
	if (client->state == CLIENT_CONNECTING) { /* nothing else is waited for */
		proxy_client_free(client);
		return 0;
	}
	if (client->state == CLIENT_CLOSING)
		client->length = 0; /* what it still says is not of interest */
	ssize_t got = recv(fd, client->data + client->length, sizeof client->data - client->length,
		MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got <= 0) {
		proxy_client_free(client);
		return 0;
	}
	client->length += (size_t)got;
	if (client->state != CLIENT_CLOSING)
		parse(client);
	return 0;
}

static int deadline_passed(sd_event_source *source, uint64_t usec, void *data)
{
	(void)source;
	(void)usec;
	proxy_client_free(data);
	return 0;
}

int proxy_client_new(struct proxy *proxy, int fd)
{
	sd_event *event = proxy->member->world->event;
	struct proxy_client *client = calloc(1, sizeof *client);
	if (client == NULL) {
		close_foreign(fd);
		return -ENOMEM;
	}
	client->proxy = proxy;
	client->fd = fd;
	client->next = proxy->clients;
	client->place = &proxy->clients;
	if (client->next)
		client->next->place = &client->next;
	proxy->clients = client;
	proxy->client_count++;
	int result = sd_event_add_io(event, &client->source, fd, EPOLLIN, client_readable, client);
	if (result >= 0)
		result = sd_event_add_time_relative(event, &client->deadline, CLOCK_MONOTONIC,
			HEAD_MS * 1000, 1000, deadline_passed, client);
	if (result < 0)
		proxy_client_free(client);
	return result < 0 ? result : 0;
}
