/* Bytes between a client of the proxy and its upstream, both ways, with half-close. They
 * go through pipes by splice(2), and never through this process's memory: only what was
 * read too early does, and the head of an HTTP response, which is rewritten. */
#include "daemon/egress/private.h"
#include "daemon/egress/proxy_parse.h"

#include "common/cleanup.h"
#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define CHUNK (64 * 1024)
#define ROUNDS 16                   /* before others have their turn */
#define IDLE_MS (10 * 60 * 1000ull) /* without a byte either way */
#define REWRITTEN_MAX (PROXY_RESPONSE_HEAD_MAX + 4096)

/* Collects the head of a response. */
struct head_filter {
	size_t length;
	char data[PROXY_RESPONSE_HEAD_MAX];
};

struct direction {
	int from, to, pipe[2];
	size_t in_pipe;
	uint64_t limit;
	char *pending; /* goes first */
	size_t pending_length, pending_sent;
	struct head_filter *filter;
	bool eof, shut;
};

struct end {
	struct relay *relay;
	int fd;
	sd_event_source *source;
	bool gone; /* it neither sends nor takes any more; what it sent may be unread */
};

struct relay {
	relay_done_fn *done;
	void *data;
	bool http;
	struct end client, upstream;
	struct direction up, down;
	sd_event_source *idle;
	uint64_t last_ms;
};

/* ---- one direction ---- */

static bool wants_write(const struct direction *way)
{
	return way->pending || way->in_pipe > 0;
}

static bool wants_read(const struct direction *way)
{
	return !wants_write(way) && !way->eof && way->limit > 0;
}

static int append_pending(struct direction *way, const char *data, size_t length)
{
	if (length == 0)
		return 0;
	char *grown = realloc(way->pending, way->pending_length + length);
	if (grown == NULL)
		return -ENOMEM;
	memcpy(grown + way->pending_length, data, length);
	way->pending = grown;
	way->pending_length += length;
	return 0;
}

/* Each returns 1 when it went on, 0 when it must wait, or a negative errno. */

static int send_pending(struct direction *way)
{
	ssize_t sent = send(way->to, way->pending + way->pending_sent,
		way->pending_length - way->pending_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0)
		return errno == EAGAIN ? 0 : -errno;
	way->pending_sent += (size_t)sent;
	if (way->pending_sent == way->pending_length) {
		free(take_pointer(way->pending));
		way->pending_length = way->pending_sent = 0;
	}
	return 1;
}

static int empty_pipe(struct direction *way)
{
	ssize_t moved = splice(
		way->pipe[0], NULL, way->to, NULL, way->in_pipe, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (moved < 0)
		return errno == EAGAIN ? 0 : -errno;
	way->in_pipe -= (size_t)moved;
	return 1;
}

static int fill_pipe(struct direction *way)
{
	const size_t most = way->limit < CHUNK ? (size_t)way->limit : CHUNK;
	ssize_t moved = splice(
		way->from, NULL, way->pipe[1], NULL, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (moved < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (moved == 0)
		way->eof = true;
	way->in_pipe = (size_t)moved;
	if (way->limit != UINT64_MAX)
		way->limit -= (uint64_t)moved;
	return 1;
}

/* What of the collected bytes is a head goes out rewritten; behind the last one, all. */
static int rewrite(struct direction *way)
{
	static char rewritten[REWRITTEN_MAX];
	struct head_filter *filter = way->filter;
	size_t length;
	bool interim = true;
	while (interim) {
		int used = proxy_rewrite_response(filter->data, filter->length, rewritten,
			sizeof rewritten, &length, &interim);
		if (used <= 0)
			return used;
		int result = append_pending(way, rewritten, length);
		if (result < 0)
			return result;
		filter->length -= (size_t)used;
		memmove(filter->data, filter->data + used, filter->length);
	}
	int result = append_pending(way, filter->data, filter->length);
	free(take_pointer(way->filter));
	return result;
}

static int fill_filter(struct direction *way)
{
	struct head_filter *filter = way->filter;
	ssize_t got = recv(way->from, filter->data + filter->length,
		sizeof filter->data - filter->length, MSG_DONTWAIT);
	if (got < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (got == 0)
		return -EBADMSG; /* it ended before its head did */
	filter->length += (size_t)got;
	int result = rewrite(way);
	return result < 0 ? result : 1;
}

static int step(struct direction *way)
{
	if (way->pending)
		return send_pending(way);
	if (way->in_pipe > 0)
		return empty_pipe(way);
	if (way->eof) {
		if (!way->shut)
			shutdown(way->to, SHUT_WR);
		way->shut = true;
		return 0;
	}
	if (way->limit == 0)
		return 0;
	return way->filter ? fill_filter(way) : fill_pipe(way);
}

/* GONE: nothing will wake us for its source any more, so it is read to its end. */
static int pump(struct direction *way, bool gone)
{
	int result = 1;
	for (int round = 0; result > 0 && (gone || round < ROUNDS); round++)
		result = way->shut ? 0 : step(way);
	return result < 0 ? result : 0;
}

/* ---- the whole ---- */

static void finish(struct relay *relay, int result)
{
	relay->done(relay->data, result);
}

static void set_events(struct end *end, const struct direction *from, const struct direction *to)
{
	if (end->gone)
		return;
	sd_event_source_set_io_events(end->source,
		(wants_read(from) ? EPOLLIN : 0u) | (!to->shut && wants_write(to) ? EPOLLOUT : 0u));
}

/* A response that never came, or is none. */
static void say_bad_gateway(struct relay *relay)
{
	static const char text[] =
		"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
		"The server's answer is not HTTP/1.1.\n";
	if (send(relay->client.fd, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return; /* it is gone, too */
	shutdown(relay->client.fd, SHUT_WR);
}

static void move(struct relay *relay)
{
	int result = pump(&relay->up, relay->client.gone);
	/* A server may answer, and close, before it has read all. */
	if (result == -EPIPE || result == -ECONNRESET) {
		if (!relay->http) {
			finish(relay, result);
			return;
		}
		relay->up.shut = relay->up.eof = true;
		relay->up.in_pipe = 0;
		free(take_pointer(relay->up.pending));
		result = 0;
	}
	if (result == 0)
		result = pump(&relay->down, relay->upstream.gone);
	if (result < 0 && relay->down.filter && !relay->down.pending)
		say_bad_gateway(relay);
	if (result < 0 || (relay->down.shut && (relay->up.shut || relay->http))) {
		finish(relay, result);
		return;
	}
	set_events(&relay->client, &relay->up, &relay->down);
	set_events(&relay->upstream, &relay->down, &relay->up);
}

static int end_ready(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct end *end = data;
	struct relay *relay = end->relay;
	struct direction *to = end == &relay->client ? &relay->down : &relay->up;
	(void)fd;
	relay->last_ms = clock_ms();
	if (events & (EPOLLHUP | EPOLLERR)) {
		end->gone = true;
		sd_event_source_set_enabled(source, SD_EVENT_OFF);
		to->shut = to->eof = true;
		to->in_pipe = 0;
		free(take_pointer(to->pending));
	}
	move(relay);
	return 0;
}

static int idle_passed(sd_event_source *source, uint64_t usec, void *data)
{
	struct relay *relay = data;
	const uint64_t idle_ms = clock_ms() - relay->last_ms;
	(void)usec;
	if (idle_ms >= IDLE_MS) {
		finish(relay, -ETIMEDOUT);
		return 0;
	}
	sd_event_source_set_time_relative(source, (IDLE_MS - idle_ms) * 1000);
	sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

static void direction_clear(struct direction *way)
{
	close_fd(&way->pipe[0]);
	close_fd(&way->pipe[1]);
	free(way->pending);
	free(way->filter);
}

static int direction_init(struct direction *way, int from, int to, uint64_t limit)
{
	way->from = from;
	way->to = to;
	way->limit = limit;
	return pipe2(way->pipe, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
}

static int relay_init(struct relay *relay, sd_event *event, const struct relay_options *options)
{
	int result = direction_init(&relay->up, options->client, options->upstream, options->limit);
	if (result == 0)
		result = direction_init(
			&relay->down, options->upstream, options->client, UINT64_MAX);
	if (result == 0)
		result = append_pending(&relay->up, options->before, options->before_length);
	if (result == 0)
		result = append_pending(&relay->down, options->greeting, options->greeting_length);
	if (result == 0 && options->http) {
		relay->down.filter = malloc(sizeof *relay->down.filter);
		if (relay->down.filter == NULL)
			return -ENOMEM;
		relay->down.filter->length = 0;
	}
	if (result >= 0)
		result = sd_event_add_io(event, &relay->client.source, relay->client.fd,
			EPOLLIN | EPOLLOUT, end_ready, &relay->client);
	if (result >= 0)
		result = sd_event_add_io(event, &relay->upstream.source, relay->upstream.fd,
			EPOLLIN | EPOLLOUT, end_ready, &relay->upstream);
	if (result >= 0)
		result = sd_event_add_time_relative(event, &relay->idle, CLOCK_MONOTONIC,
			IDLE_MS * 1000, 1000000, idle_passed, relay);
	return result < 0 ? result : 0;
}

int relay_new(sd_event *event, const struct relay_options *options, struct relay **ret_relay)
{
	struct relay *relay = calloc(1, sizeof *relay);
	if (relay == NULL) {
		close_foreign(options->client);
		close(options->upstream);
		return -ENOMEM;
	}
	relay->done = options->done;
	relay->data = options->data;
	relay->http = options->http;
	relay->client = (struct end){.relay = relay, .fd = options->client};
	relay->upstream = (struct end){.relay = relay, .fd = options->upstream};
	relay->up.pipe[0] = relay->up.pipe[1] = -1;
	relay->down.pipe[0] = relay->down.pipe[1] = -1;
	relay->last_ms = clock_ms();
	int result = relay_init(relay, event, options);
	if (result < 0) {
		relay_free(relay);
		return result;
	}
	*ret_relay = relay;
	return 0;
}

struct relay *relay_free(struct relay *relay)
{
	if (relay == NULL)
		return NULL;
	sd_event_source_disable_unref(relay->client.source);
	sd_event_source_disable_unref(relay->upstream.source);
	sd_event_source_disable_unref(relay->idle);
	direction_clear(&relay->up);
	direction_clear(&relay->down);
	close_foreign(relay->client.fd);
	close(relay->upstream.fd);
	free(relay);
	return NULL;
}
