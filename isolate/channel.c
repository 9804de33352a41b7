#include "isolate/channel.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/message.h"
#include "isolate/runtime.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { FDS_MAX = 4, KEPT_MAX = 1024, STATE_STARTED = 1 };

#define TEXT_MOST(type) (sizeof(type) + MESSAGE_TEXT_MAX + 1)

static const struct message_rule rules[] = {
	{MESSAGE_HANDOVER, STATE_STARTED, sizeof(struct message_header),
		sizeof(struct message_header), 1, 1},
	{MESSAGE_SITES, STATE_STARTED, sizeof(struct message_header) + sizeof(uint32_t),
		MESSAGE_LENGTH_MAX, 0, 0},
	{MESSAGE_CERTIFICATES, STATE_STARTED, sizeof(struct message_header),
		sizeof(struct message_header), 1, 1},
	{MESSAGE_ACCEPT, STATE_STARTED, sizeof(struct message_accept),
		sizeof(struct message_accept), 0, 0},
	{MESSAGE_PROBE, STATE_STARTED, sizeof(struct message_probe),
		sizeof(struct message_probe) + PROBE_PATH_MAX + 1, 0, 0},
	{MESSAGE_SCHEDULED, STATE_STARTED, sizeof(struct message_scheduled),
		sizeof(struct message_scheduled) + SCHEDULE_CRON_MAX + 1, 0, 0},
	{MESSAGE_DRAIN, STATE_STARTED, sizeof(struct message_drain), sizeof(struct message_drain),
		0, 0},
	{MESSAGE_SIGNAL, STATE_STARTED, sizeof(struct message_child_signal),
		sizeof(struct message_child_signal), 0, 0},
	{MESSAGE_DROPPED, STATE_STARTED, sizeof(struct message_header) + 2, MESSAGE_DROP_MAX, 0, 0},
	{MESSAGE_INSPECT, STATE_STARTED, sizeof(struct message_header),
		sizeof(struct message_header), 1, 1},
	{MESSAGE_EGRESS, STATE_STARTED, sizeof(struct message_header),
		sizeof(struct message_header), 1, 1},
	{MESSAGE_CHILD_STARTED, STATE_STARTED, sizeof(struct message_child_started),
		sizeof(struct message_child_started), 0, 3},
	{MESSAGE_CHILD_FAILED, STATE_STARTED, sizeof(struct message_child_failed),
		TEXT_MOST(struct message_child_failed), 0, 0},
	{MESSAGE_CHILD_EXITED, STATE_STARTED, sizeof(struct message_child_exited),
		sizeof(struct message_child_exited), 0, 0},
};

/* A message that came while something else was waited for. */
struct kept {
	struct kept *next;
	size_t length, fd_count;
	int fds[FDS_MAX];
	char data[];
};

static channel_handler handlers[MESSAGE_TYPE_COUNT];
static uv_poll_t channel_poll;
static uv_idle_t kept_idle; /* keeps the loop from waiting while messages are kept */
static struct kept *kept_first, **kept_end = &kept_first;
static size_t kept_count;
static bool watched;

void channel_on(enum message_type type, channel_handler handler)
{
	handlers[type] = handler;
}

/* Without a supervisor there is nothing to live for. */
_Noreturn static void end(void)
{
	_exit(0);
}

/* Returns the length, or -EAGAIN. */
static ssize_t receive(char *message, int *fds, size_t *fd_count)
{
	struct error error = {0};
	*fd_count = FDS_MAX;
	ssize_t length = message_receive(
		runtime.channel, message, MESSAGE_LENGTH_MAX, fds, fd_count, MSG_DONTWAIT);
	if (length == -EAGAIN)
		return length;
	/* Connections, or the way to egress: without it this worker would be of no use. */
	if (length == -EMSGSIZE)
		runtime_exit(WORKER_REASON_UNCAUGHT, 1,
			"no file descriptor was left for one that tenantd sent (limits.files)");
	if (length <= 0 || !message_check(rules, ARRAY_LENGTH(rules), STATE_STARTED, message,
				   (size_t)length, *fd_count, &error))
		end();
	return length;
}

static enum message_type type_of(const char *message)
{
	struct message_header header;
	memcpy(&header, message, sizeof header);
	return (enum message_type)header.type;
}

static void close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

static void deliver(const char *message, size_t length, int *fds, size_t fd_count)
{
	channel_handler handler = handlers[type_of(message)];
	if (handler) {
		handler(message, length, fds, fd_count);
		return;
	}
	close_all(fds, fd_count);
}

static void deliver_kept(void)
{
	while (kept_first) {
		cleanup_free struct kept *message = kept_first;
		kept_first = message->next;
		if (!kept_first)
			kept_end = &kept_first;
		kept_count--;
		deliver(message->data, message->length, message->fds, message->fd_count);
	}
	uv_idle_stop(&kept_idle);
}

static void on_idle(uv_idle_t *handle)
{
	(void)handle;
	deliver_kept();
}

static void on_channel(uv_poll_t *handle, int status, int events)
{
	(void)handle;
	(void)events;
	static _Alignas(8) char message[MESSAGE_LENGTH_MAX];
	int fds[FDS_MAX];
	size_t fd_count;
	if (status < 0)
		end();
	deliver_kept();
	ssize_t length = receive(message, fds, &fd_count);
	if (length >= 0)
		deliver(message, (size_t)length, fds, fd_count);
}

void channel_watch(void)
{
	uv_poll_init(&runtime.loop, &channel_poll, runtime.channel);
	uv_poll_start(&channel_poll, UV_READABLE, on_channel);
	uv_unref((uv_handle_t *)&channel_poll);
	uv_idle_init(&runtime.loop, &kept_idle);
	watched = true;
	if (kept_first)
		uv_idle_start(&kept_idle, on_idle);
}

void channel_keep_alive(void)
{
	uv_ref((uv_handle_t *)&channel_poll);
}

/* ---- waiting for one message ---- */

static int keep(const char *data, size_t length, const int *fds, size_t fd_count)
{
	if (kept_count == KEPT_MAX)
		return -ENOBUFS;
	struct kept *message = malloc(sizeof *message + length);
	if (!message)
		return -ENOMEM;
	*message = (struct kept){.length = length, .fd_count = fd_count};
	memcpy(message->fds, fds, fd_count * sizeof fds[0]);
	memcpy(message->data, data, length);
	*kept_end = message;
	kept_end = &message->next;
	kept_count++;
	if (watched)
		uv_idle_start(&kept_idle, on_idle);
	return 0;
}

/* 0 when there is something to read. */
static int wait_readable(uint64_t deadline_ms)
{
	uint64_t now = clock_ms();
	struct pollfd waiting = {.fd = runtime.channel, .events = POLLIN};
	int count = now < deadline_ms ? poll(&waiting, 1, (int)(deadline_ms - now)) : 0;
	if (count == 0)
		return -ETIMEDOUT;
	return count < 0 && errno != EINTR ? -errno : 0;
}

ssize_t channel_wait_for(channel_wanted *wanted, const void *argument, void *data, size_t size,
	int *ret_fds, size_t *fd_count, int timeout_ms)
{
	/* Not the buffer of on_channel: a handler may be what waits. */
	static _Alignas(8) char message[MESSAGE_LENGTH_MAX];
	uint64_t deadline_ms = clock_ms() + (uint64_t)timeout_ms;
	int fds[FDS_MAX], result;
	size_t count;
	if (runtime.channel < 0)
		return -ENOTCONN;
	while ((result = wait_readable(deadline_ms)) == 0) {
		ssize_t length = receive(message, fds, &count);
		if (length < 0)
			continue;
		if (wanted(message, argument)) {
			if ((size_t)length > size || count > *fd_count) {
				close_all(fds, count);
				return -EMSGSIZE;
			}
			memcpy(data, message, (size_t)length);
			if (count > 0)
				memcpy(ret_fds, fds, count * sizeof fds[0]);
			*fd_count = count;
			return length;
		}
		result = keep(message, (size_t)length, fds, count);
		if (result < 0) /* A lost message would leave somebody waiting for ever. */
			end();
	}
	return result;
}

static bool is_of_type(const void *message, const void *type)
{
	return type_of(message) == *(const enum message_type *)type;
}

ssize_t channel_wait(enum message_type type, void *data, size_t size, int timeout_ms)
{
	size_t no_fds = 0;
	return channel_wait_for(is_of_type, &type, data, size, NULL, &no_fds, timeout_ms);
}
