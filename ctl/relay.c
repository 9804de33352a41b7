#include "ctl/relay.h"

#include "common/cleanup.h"

#include <limits.h>
#include <poll.h>

void relay_prepare(const struct relay *relay, struct pollfd *watch)
{
	bool full = relay->end > relay->start;
	watch->fd = full ? relay->to : relay->from;
	watch->events = full ? POLLOUT : POLLIN;
	watch->revents = 0;
}

bool relay_done(const struct relay *relay)
{
	return relay->from < 0 && relay->start == relay->end;
}

/* The reader's end of the pipe, or the writer's, sees the end of file. */
static void close_to(struct relay *relay)
{
	if (relay->to_pipe)
		close_fd(&relay->to);
	relay->to = -1;
}

void relay_close(struct relay *relay)
{
	if (relay->from_pipe)
		close_fd(&relay->from);
	relay->from = -1;
	close_to(relay);
	relay->start = relay->end = 0;
}

static void read_some(struct relay *relay)
{
	ssize_t got = read(relay->from, relay->buffer, sizeof relay->buffer);
	if (got > 0) {
		relay->start = 0;
		relay->end = (size_t)got;
		return;
	}
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* The end, or a terminal that hung up. */
	if (relay->from_pipe)
		close_fd(&relay->from);
	relay->from = -1;
	close_to(relay);
}

static int write_some(struct relay *relay)
{
	size_t length = relay->end - relay->start;
	/* The operator's descriptors may be shared with other programs, so they stay
	 * blocking; a pipe that is writable takes PIPE_BUF bytes at once (pipe(7)). */
	if (!relay->to_pipe && length > PIPE_BUF)
		length = PIPE_BUF;
	ssize_t wrote = write(relay->to, relay->buffer + relay->start, length);
	if (wrote >= 0) {
		relay->start += (size_t)wrote;
		return 0;
	}
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	int code = errno;
	bool ours = relay->to_pipe;
	relay_close(relay);
	/* A script may end its input whenever it likes. */
	return ours ? 0 : -code;
}

int relay_move(struct relay *relay, const struct pollfd *watch)
{
	if (watch->fd < 0 || watch->revents == 0)
		return 0;
	if (watch->fd == relay->to && relay->end > relay->start)
		return write_some(relay);
	if (watch->fd == relay->from)
		read_some(relay);
	/* What goes to the operator mostly goes at once. */
	if (relay->end > relay->start && relay->to_pipe)
		return write_some(relay);
	return 0;
}
