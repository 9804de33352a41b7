#include "daemon/run_output.h"

#include "common/cleanup.h"
#include "common/escape.h"
#include "daemon/logs.h"
#include "daemon/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

struct run_output {
	struct run_output_options options;
	struct secrets *secrets;
	int from;                        /* -1: its end was seen */
	sd_event_source *reads, *writes; /* one of them is on; no WRITES: it never waits */
	bool cut;                        /* the line before this one goes on in it */
	size_t in_length;
	size_t out_start, out_end;
	char in[RUN_OUTPUT_LINE_MAX];
	char out[RUN_OUTPUT_TEXT_MAX];
};

/* ---- one line ---- */

/* Quotes and backslashes of ESCAPED, in place of which there is room for twice as much. */
static size_t quote(char *target, const char *escaped, size_t length)
{
	size_t put = 0;
	for (size_t i = 0; i < length; i++) {
		if (escaped[i] == '"' || escaped[i] == '\\')
			target[put++] = '\\';
		target[put++] = escaped[i] == '\t' ? ' ' : escaped[i];
	}
	return put;
}

size_t run_output_json(char text[RUN_OUTPUT_TEXT_MAX], const char *stream, const char *level,
	const char *line, size_t length)
{
	static char escaped[RUN_OUTPUT_LINE_MAX * 4 + 1];
	struct timespec now;
	char time[32];
	if (length > RUN_OUTPUT_LINE_MAX)
		length = RUN_OUTPUT_LINE_MAX;
	clock_gettime(CLOCK_REALTIME, &now);
	format_time(time, (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
	size_t put = (size_t)snprintf(text, 256,
		"{\"time\":\"%s\",\"stream\":\"%s\",%s%s%s\"line\":\"", time, stream,
		level ? "\"level\":\"" : "", level ? level : "", level ? "\"," : "");
	size_t all = level ? 0 : escape_line(escaped, sizeof escaped, line, length, 0);
	put += quote(text + put, level ? line : escaped, level ? length : all);
	memcpy(text + put, "\"}\n", 3);
	return put + 3;
}

/* LENGTH bytes of what came are a line, or what of one can be taken now. */
static void take_line(struct run_output *output, size_t length, bool whole)
{
	char line[RUN_OUTPUT_LINE_MAX];
	memcpy(line, output->in, length);
	const size_t shown = secrets_redact(output->secrets, line, length);
	char *const out = output->out;
	output->out_start = 0;
	if (output->options.format == RUN_FORMAT_JSON) {
		output->out_end = run_output_json(out, output->options.stream, NULL, line, shown);
	} else {
		memcpy(out, line, shown);
		output->out_end = shown;
		if (whole)
			out[output->out_end++] = '\n';
	}
	const size_t used = length + (whole ? 1 : 0);
	output->in_length -= used;
	memmove(output->in, output->in + used, output->in_length);
	output->cut = !whole;
}

/* The next line into the room for output. False: there is none yet. */
static bool next_line(struct run_output *output)
{
	const char *newline = memchr(output->in, '\n', output->in_length);
	if (newline) {
		/* The end of a line that went out in pieces. */
		const size_t length = (size_t)(newline - output->in);
		const bool bare =
			output->cut && length == 0 && output->options.format == RUN_FORMAT_JSON;
		if (bare) {
			output->cut = false;
			memmove(output->in, output->in + 1, --output->in_length);
			return next_line(output);
		}
		take_line(output, length, true);
		return true;
	}
	if (output->in_length == sizeof output->in) {
		size_t safe = secrets_safe_length(output->secrets, output->in, output->in_length);
		take_line(output, safe > 0 ? safe : output->in_length, false);
		return true;
	}
	if (output->from < 0 && output->in_length > 0) {
		take_line(output, output->in_length, false);
		return true;
	}
	return false;
}

/* ---- in and out ---- */

/* At most what a pipe that is writable takes at once (pipe(7)): the descriptor may be shared
 * with others, so it stays blocking. Returns false when it has to be waited for. */
static bool write_some(struct run_output *output)
{
	size_t length = output->out_end - output->out_start;
	if (output->writes && length > PIPE_BUF)
		length = PIPE_BUF;
	ssize_t put = write(output->options.to, output->out + output->out_start, length);
	if (put < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	/* Who would have read it is gone: the program goes on, as one that ignores SIGPIPE. */
	output->out_start = put < 0 ? output->out_end : output->out_start + (size_t)put;
	return output->writes == NULL;
}

static void go_on(struct run_output *output)
{
	bool more = true;
	while (more) {
		if (output->out_start == output->out_end && !next_line(output))
			break;
		more = output->writes == NULL && write_some(output);
	}
	const bool waits = output->out_start < output->out_end;
	if (output->writes)
		sd_event_source_set_enabled(output->writes, waits ? SD_EVENT_ON : SD_EVENT_OFF);
	if (output->reads)
		sd_event_source_set_enabled(output->reads, waits ? SD_EVENT_OFF : SD_EVENT_ON);
	if (run_output_is_done(output))
		output->options.done(output->options.data);
}

static int readable(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct run_output *output = data;
	(void)source;
	(void)events;
	ssize_t got =
		read(fd, output->in + output->in_length, sizeof output->in - output->in_length);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got > 0) {
		output->in_length += (size_t)got;
	} else {
		output->reads = sd_event_source_disable_unref(output->reads);
		close_fd(&output->from);
	}
	go_on(output);
	return 0;
}

static int writable(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct run_output *output = data;
	(void)source;
	(void)fd;
	if (events & (EPOLLERR | EPOLLHUP) && !(events & EPOLLOUT))
		output->out_start = output->out_end;
	else
		write_some(output);
	go_on(output);
	return 0;
}

bool run_output_is_done(const struct run_output *output)
{
	return output == NULL ||
	       (output->from < 0 && output->in_length == 0 && output->out_start == output->out_end);
}

/* ---- the whole ---- */

int run_output_new(sd_event *event, const struct run_output_options *options,
	struct run_output **ret_output, int *ret_fd, struct error *error)
{
	int ends[2];
	struct run_output *output = calloc(1, sizeof *output);
	if (output == NULL || pipe2(ends, O_CLOEXEC) < 0) {
		free(output);
		return error_errno(error, errno, "cannot make a pipe for the output");
	}
	cleanup_close int end = ends[1];
	output->options = *options;
	output->from = ends[0];
	fcntl(output->from, F_SETFL, O_NONBLOCK);
	int result =
		sd_event_add_io(event, &output->reads, output->from, EPOLLIN, readable, output);
	if (result >= 0)
		result = sd_event_add_io(
			event, &output->writes, options->to, EPOLLOUT, writable, output);
	if (result == -EPERM) /* A regular file, or /dev/null: it never has to be waited for. */
		result = 0;
	if (result >= 0 && output->writes)
		result = sd_event_source_set_enabled(output->writes, SD_EVENT_OFF);
	if (result < 0) {
		run_output_free(output);
		return error_errno(error, result, "cannot watch the output");
	}
	*ret_output = output;
	*ret_fd = take_fd(&end);
	return 0;
}

void run_output_redact(struct run_output *output, struct secrets *secrets)
{
	secrets_free(output->secrets);
	output->secrets = secrets_share(secrets);
}

struct run_output *run_output_free(struct run_output *output)
{
	if (output == NULL)
		return NULL;
	sd_event_source_disable_unref(output->reads);
	sd_event_source_disable_unref(output->writes);
	close_fd(&output->from);
	secrets_free(output->secrets);
	free(output);
	return NULL;
}
