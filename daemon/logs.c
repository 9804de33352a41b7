#include "daemon/logs.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/file.h"
#include "common/log.h"
#include "daemon/journal.h"
#include "daemon/logs_old.h"
#include "daemon/secrets.h"
#include "daemon/takeover.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#define READ_BYTES (64 * 1024)
#define READS_PER_SECOND 64 /* of one tenant: 4 MiB/s; beyond, the pipe stays full */
#define ESCAPED_MAX (LOG_LINE_MAX * 10 / 2 + 16)
#define RECORD_MAX (ESCAPED_MAX * 2 + 128) /* JSON doubles backslashes at most */

struct log_pipe {
	struct tenant_log *log;
	int fd;
	enum log_stream stream;
	uint32_t instance;
	char release[13]; /* as `tenantctl releases` shows it */
	sd_event_source *source;
	struct secrets *secrets;
	size_t length; /* of the line that is not yet complete */
	char *line;    /* LOG_LINE_MAX bytes, while there is one: most pipes have none */
};

/* An entry of the ring: this header, then the line and its NUL. Entries follow each
 * other in ring.data; when the end is reached the oldest go. */
struct ring_entry {
	uint64_t time_us;
	uint32_t instance;
	uint16_t stream;
	uint16_t unused;
	uint32_t length; /* of the line without its NUL */
};

struct follower {
	log_follow_fn *follow;
	void *data;
};

struct tenant_log {
	sd_event *event;
	int folder_fd;
	int file_fd;
	uint64_t file_bytes;
	uint64_t file_retry_ms; /* after a failure: not before */
	uint64_t old_bytes;     /* of the file, from before this daemon; all until it is opened */
	char name[64];
	struct log_pipe **pipes; /* pipe_places, NULL where there is none */
	size_t pipe_places;
	struct follower followers[LOG_FOLLOWERS_MAX];
	size_t follower_count;

	/* The ring, made with the first line: DATA holds LENGTH bytes of whole entries. */
	char *ring;
	size_t ring_length;

	/* The second that the rate is counted in. */
	uint64_t second;
	uint32_t second_lines, second_bytes, second_reads;
	uint64_t suppressed;
	sd_event_source *timer; /* ends a pause, reports what was suppressed */
};

const char *log_stream_name(enum log_stream stream)
{
	static const char *const names[] = {"stdout", "stderr", "tenantd"};
	return names[stream];
}

char *format_time(char target[32], uint64_t time_us)
{
	time_t seconds = (time_t)(time_us / 1000000);
	struct tm utc;
	gmtime_r(&seconds, &utc);
	size_t length = strftime(target, 32, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(target + length, 32 - length, ".%03uZ", (unsigned)(time_us / 1000 % 1000));
	return target;
}

static uint64_t real_time_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- the file ---- */

static void file_name(const struct tenant_log *log, int generation, char target[80])
{
	if (generation == 0)
		snprintf(target, 80, "%s.log", log->name);
	else
		snprintf(target, 80, "%s.%d.log", log->name, generation);
}

static void rotate(struct tenant_log *log)
{
	char from[80], to[80];
	close_fd(&log->file_fd);
	for (int generation = LOG_FILES_KEPT; generation > 0; generation--) {
		file_name(log, generation - 1, from);
		file_name(log, generation, to);
		renameat(log->folder_fd, from, log->folder_fd, to);
	}
}

static int open_file(struct tenant_log *log)
{
	char name[80], last = '\n';
	struct stat status;
	file_name(log, 0, name);
	log->file_fd = openat(
		log->folder_fd, name, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (log->file_fd < 0)
		return -errno;
	log->file_bytes = fstat(log->file_fd, &status) == 0 ? (uint64_t)status.st_size : 0;
	if (log->old_bytes == UINT64_MAX)
		log->old_bytes = log->file_bytes;
	/* kill -9 in the middle of a write, a power cut or a full disk left half a line: it
	 * must not spoil the next one, too. */
	if (log->file_bytes == 0 ||
		pread(log->file_fd, &last, 1, (off_t)log->file_bytes - 1) != 1 || last == '\n')
		return 0;
	log->file_bytes++;
	return file_write_all(log->file_fd, "\n", 1);
}

/* Whoever cannot rename the full file must not fill the disk with it. */
static int open_next_file(struct tenant_log *log)
{
	rotate(log);
	log->old_bytes = 0; /* the ring holds less than a file */
	int result = open_file(log);
	return result == 0 && log->file_bytes > 0 ? -EFBIG : result;
}

/* A disk that is full must not stop the tenant or fill the daemon's own log: one
 * complaint, then another attempt every 10 s. The ring goes on. */
static void file_failed(struct tenant_log *log, int code)
{
	close_fd(&log->file_fd);
	log->file_retry_ms = clock_ms() + 10000;
	log_warn("event=log-failed tenant=%s message=\"cannot write the tenant's log: %s\"",
		log->name, strerror(abs(code)));
}

static void write_record(struct tenant_log *log, const char *record, size_t length)
{
	if (log->file_retry_ms && clock_ms() < log->file_retry_ms)
		return;
	log->file_retry_ms = 0;
	int result = log->file_fd >= 0 ? 0 : open_file(log);
	if (result == 0 && log->file_bytes > 0 && log->file_bytes + length > LOG_FILE_BYTES)
		result = open_next_file(log);
	if (result == 0)
		result = file_write_all(log->file_fd, record, length);
	if (result < 0)
		file_failed(log, result);
	else
		log->file_bytes += length;
}

/* JSON of an escaped line: printable UTF-8 without controls, so that only quotes and
 * backslashes need more; a tab is the one control that escape_line may keep. */
static size_t put_json_string(char *target, const char *line)
{
	size_t length = 0;
	for (; *line; line++) {
		if (*line == '"' || *line == '\\')
			target[length++] = '\\';
		if (*line == '\t') {
			target[length++] = '\\';
			target[length++] = 't';
		} else {
			target[length++] = *line;
		}
	}
	return length;
}

static void write_entry(struct tenant_log *log, const struct log_entry *entry)
{
	static char record[RECORD_MAX]; /* one thread */
	char time[32];
	size_t length =
		(size_t)snprintf(record, 128, "{\"time\":\"%s\",\"stream\":\"%s\",\"line\":\"",
			format_time(time, entry->time_us), log_stream_name(entry->stream));
	length += put_json_string(record + length, entry->line);
	memcpy(record + length, "\"}\n", 3);
	write_record(log, record, length + 3);
}

/* ---- the ring ---- */

static size_t entry_size(size_t line_length)
{
	size_t size = sizeof(struct ring_entry) + line_length + 1;
	return (size + 7) & ~(size_t)7;
}

static void remember(struct tenant_log *log, const struct log_entry *entry)
{
	size_t length = strlen(entry->line);
	size_t size = entry_size(length);
	if (log->ring == NULL)
		log->ring = malloc(LOG_RING_BYTES);
	if (log->ring == NULL || size > LOG_RING_BYTES)
		return;
	if (log->ring_length + size > LOG_RING_BYTES) {
		/* A quarter at once, so that the memmove is rare. */
		size_t gone = 0;
		while (gone < log->ring_length &&
			(gone < LOG_RING_BYTES / 4 ||
				log->ring_length - gone + size > LOG_RING_BYTES)) {
			struct ring_entry *old = (struct ring_entry *)(log->ring + gone);
			gone += entry_size(old->length);
		}
		log->ring_length -= gone;
		memmove(log->ring, log->ring + gone, log->ring_length);
	}
	struct ring_entry *place = (struct ring_entry *)(log->ring + log->ring_length);
	*place = (struct ring_entry){
		.time_us = entry->time_us,
		.instance = entry->instance,
		.stream = (uint16_t)entry->stream,
		.length = (uint32_t)length,
	};
	memcpy(place + 1, entry->line, length + 1);
	log->ring_length += size;
}

void tenant_log_last(struct tenant_log *log, size_t lines, log_follow_fn *follow, void *data)
{
	size_t count = 0;
	for (size_t at = 0; at < log->ring_length; count++)
		at += entry_size(((struct ring_entry *)(log->ring + at))->length);
	if (count < lines && log->old_bytes > 0)
		logs_old_last(
			log->folder_fd, log->name, log->old_bytes, lines - count, follow, data);
	for (size_t at = 0; at < log->ring_length; count--) {
		struct ring_entry *place = (struct ring_entry *)(log->ring + at);
		struct log_entry entry = {
			.time_us = place->time_us,
			.stream = place->stream,
			.instance = place->instance,
			.line = (const char *)(place + 1),
		};
		if (count <= lines)
			follow(data, &entry);
		at += entry_size(place->length);
	}
}

/* ---- one line ---- */

static void tell_journal(const struct tenant_log *log, const struct log_entry *entry)
{
	static const int priorities[] = {6, 4, 5}; /* syslog(3): info, warning, notice */
	journal_tenant_line(&(struct journal_line){
		.tenant = log->name,
		.release = entry->release,
		.stream = log_stream_name(entry->stream),
		.instance = entry->instance,
		.priority = priorities[entry->stream],
		.message = entry->line,
		.length = strlen(entry->line),
	});
}

static void emit(struct tenant_log *log, const struct log_entry *entry)
{
	remember(log, entry);
	write_entry(log, entry);
	tell_journal(log, entry);
	/* A follower may unfollow itself while it is called: from the last to the first. */
	for (size_t i = log->follower_count; i > 0; i--)
		log->followers[i - 1].follow(log->followers[i - 1].data, entry);
}

/* Returns how long the line is now that it is escaped. */
static size_t emit_now(
	struct tenant_log *log, const struct log_entry *entry, const char *source, size_t length)
{
	static char escaped[ESCAPED_MAX];
	struct log_entry now = *entry;
	const size_t shown = escape_line(escaped, sizeof escaped, source, length, 1);
	now.time_us = real_time_us();
	now.line = escaped;
	emit(log, &now);
	return shown;
}

static void report_suppressed(struct tenant_log *log)
{
	if (log->suppressed == 0)
		return;
	char line[80];
	int length = snprintf(line, sizeof line, "suppressed %" PRIu64 " lines: too many a second",
		log->suppressed);
	log->suppressed = 0;
	emit_now(log, &(struct log_entry){.stream = LOG_STREAM_DAEMON}, line, (size_t)length);
}

static void turn_second(struct tenant_log *log)
{
	uint64_t second = clock_ms() / 1000;
	if (second == log->second)
		return;
	log->second = second;
	log->second_lines = log->second_bytes = log->second_reads = 0;
	report_suppressed(log);
}

static bool arm_timer(struct tenant_log *log);

static void suppress(struct tenant_log *log)
{
	if (log->suppressed++ == 0)
		arm_timer(log);
}

/* LINE, which is changed, is one, or a piece of a long one. The clock is not looked at: a
 * tenant may print millions of empty lines. */
static void take_line(struct log_pipe *pipe, char *line, size_t length)
{
	struct tenant_log *log = pipe->log;
	if (log->second_lines >= LOG_RATE_LINES || log->second_bytes + length > LOG_RATE_BYTES) {
		suppress(log);
		return;
	}
	length = secrets_redact(pipe->secrets, line, length);
	if (length > 0 && line[length - 1] == '\r')
		length--;
	log->second_lines++;
	const struct log_entry entry = {
		.stream = pipe->stream, .instance = pipe->instance, .release = pipe->release};
	log->second_bytes += (uint32_t)emit_now(log, &entry, line, length);
}

void tenant_log_note(struct tenant_log *log, const char *line)
{
	turn_second(log);
	emit(log, &(struct log_entry){
			  .time_us = real_time_us(), .stream = LOG_STREAM_DAEMON, .line = line});
}

/* ---- the pipes ---- */

static struct log_pipe *pipe_free(struct log_pipe *pipe)
{
	if (pipe == NULL)
		return NULL;
	for (size_t i = 0; i < pipe->log->pipe_places; i++)
		if (pipe->log->pipes[i] == pipe)
			pipe->log->pipes[i] = NULL;
	sd_event_source_disable_unref(pipe->source);
	secrets_free(pipe->secrets);
	close_fd(&pipe->fd);
	free(pipe->line);
	free(pipe);
	return NULL;
}

/* How many bytes of TEXT are whole characters: without one of UTF-8 that is cut off. */
static size_t whole_characters(const char *text, size_t length)
{
	for (size_t back = 1; back <= 3 && back <= length; back++) {
		const unsigned char byte = (unsigned char)text[length - back];
		if ((byte & 0xC0) == 0x80)
			continue;
		const size_t need = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
		return need > back ? length - back : length;
	}
	return length;
}

/* The buffer is full: how much of it may go. What may be the beginning of a secret waits for
 * the rest of it, as does the beginning of a character. */
static size_t piece_length(const struct log_pipe *pipe)
{
	for (size_t back = 0; back <= 3; back++) {
		const size_t part =
			secrets_safe_length(pipe->secrets, pipe->line, pipe->length - back);
		if (whole_characters(pipe->line, part) == part)
			return part;
	}
	return secrets_safe_length(pipe->secrets, pipe->line, pipe->length);
}

static void take_piece(struct log_pipe *pipe)
{
	const size_t part = piece_length(pipe);
	take_line(pipe, pipe->line, part); /* which changes nothing behind it */
	pipe->length -= part;
	memmove(pipe->line, pipe->line + part, pipe->length);
}

static void end_line(struct log_pipe *pipe)
{
	if (pipe->line)
		take_line(pipe, pipe->line, pipe->length);
	free(take_pointer(pipe->line));
	pipe->length = 0;
}

/* Adds to the line that is not complete. */
static void keep_bytes(struct log_pipe *pipe, const char *data, size_t length)
{
	if (pipe->line == NULL && (pipe->line = malloc(LOG_LINE_MAX)) == NULL) {
		suppress(pipe->log); /* never without a look for secrets */
		return;
	}
	memcpy(pipe->line + pipe->length, data, length);
	pipe->length += length;
	if (pipe->length == LOG_LINE_MAX)
		take_piece(pipe);
}

/* Splits what arrived into lines. A line longer than the buffer goes out in pieces. */
static void take_bytes(struct log_pipe *pipe, char *data, size_t length)
{
	while (length > 0) {
		const size_t room = LOG_LINE_MAX - pipe->length;
		const size_t most = length < room ? length : room;
		const char *end = memchr(data, '\n', most);
		const size_t part = end ? (size_t)(end - data) : most;
		if (end && pipe->line == NULL) {
			take_line(pipe, data, part);
		} else {
			if (part > 0)
				keep_bytes(pipe, data, part);
			if (end)
				end_line(pipe);
		}
		data += part + (end != NULL);
		length -= part + (end != NULL);
	}
}

/* One read. Returns false when there is nothing more for now, or ever. */
static bool read_once(struct log_pipe *pipe, bool *ret_end)
{
	static char buffer[READ_BYTES];
	ssize_t length = read(pipe->fd, buffer, sizeof buffer);
	*ret_end = false;
	if (length > 0) {
		take_bytes(pipe, buffer, (size_t)length);
		return true;
	}
	*ret_end = length == 0 || (errno != EAGAIN && errno != EINTR);
	return false;
}

static void end_pipe(struct log_pipe *pipe)
{
	if (pipe->length > 0)
		end_line(pipe);
	pipe_free(pipe);
}

static int pipe_readable(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct log_pipe *pipe = data;
	struct tenant_log *log = pipe->log;
	bool end;
	(void)source;
	(void)fd;
	(void)events;
	turn_second(log);
	if (log->second_reads >= READS_PER_SECOND) {
		/* Not read until the second is over: the pipe fills and the tenant waits,
		 * or loses its output; nobody else does. */
		if (arm_timer(log)) {
			sd_event_source_set_enabled(pipe->source, SD_EVENT_OFF);
			return 0;
		}
	}
	log->second_reads++;
	read_once(pipe, &end);
	if (end)
		end_pipe(pipe);
	return 0;
}

static int second_is_over(sd_event_source *source, uint64_t usec, void *data)
{
	struct tenant_log *log = data;
	(void)source;
	(void)usec;
	turn_second(log);
	for (size_t i = 0; i < log->pipe_places; i++)
		if (log->pipes[i])
			sd_event_source_set_enabled(log->pipes[i]->source, SD_EVENT_ON);
	return 0;
}

/* To the end of the second. False when that cannot be: then nothing may wait for it. */
static bool arm_timer(struct tenant_log *log)
{
	int enabled = SD_EVENT_OFF;
	if (log->timer && sd_event_source_get_enabled(log->timer, &enabled) > 0)
		return true;
	uint64_t delay_us = 1000000 - clock_ns() / 1000 % 1000000;
	if (log->timer == NULL)
		return sd_event_add_time_relative(log->event, &log->timer, CLOCK_MONOTONIC,
			       delay_us, 1000, second_is_over, log) >= 0;
	return sd_event_source_set_time_relative(log->timer, delay_us) >= 0 &&
	       sd_event_source_set_enabled(log->timer, SD_EVENT_ONESHOT) >= 0;
}

/* Where another pipe has room, or -1. */
static ssize_t free_place(struct tenant_log *log)
{
	size_t place = 0;
	while (place < log->pipe_places && log->pipes[place])
		place++;
	if (place < log->pipe_places)
		return (ssize_t)place;
	const size_t places = log->pipe_places ? 2 * log->pipe_places : 4;
	struct log_pipe **pipes =
		places <= LOG_PIPES_MAX ? reallocarray(log->pipes, places, sizeof *pipes) : NULL;
	if (pipes == NULL)
		return -1;
	memset(pipes + log->pipe_places, 0, (places - log->pipe_places) * sizeof *pipes);
	log->pipes = pipes;
	log->pipe_places = places;
	return (ssize_t)place;
}

static const char *label_of(const struct tenant_log *log, uint32_t instance)
{
	for (size_t i = 0; i < log->pipe_places; i++)
		if (log->pipes[i] && log->pipes[i]->instance == instance)
			return log->pipes[i]->release;
	return "";
}

void tenant_log_label(struct tenant_log *log, uint32_t instance, const char *release)
{
	for (size_t i = 0; i < log->pipe_places; i++)
		if (log->pipes[i] && log->pipes[i]->instance == instance)
			snprintf(log->pipes[i]->release, sizeof log->pipes[i]->release, "%.12s",
				release);
}

int tenant_log_attach(struct tenant_log *log, int fd, enum log_stream stream, uint32_t instance,
	struct secrets *secrets, struct error *error)
{
	cleanup_close int mine = fd;
	ssize_t place = free_place(log);
	if (place < 0)
		return error_set(error, EUSERS, "too many instances write to one log");
	if (fcntl(mine, F_SETFL, O_NONBLOCK) < 0)
		return error_errno(error, errno, "cannot make a log pipe non-blocking");
	struct log_pipe *pipe = malloc(sizeof *pipe);
	if (pipe == NULL)
		return error_set(error, ENOMEM, "no memory for a log pipe");
	pipe->log = log;
	pipe->stream = stream;
	pipe->instance = instance;
	pipe->source = NULL;
	pipe->length = 0;
	pipe->line = NULL;
	snprintf(pipe->release, sizeof pipe->release, "%s", label_of(log, instance));
	pipe->secrets = secrets_share(secrets);
	pipe->fd = take_fd(&mine);
	int result =
		sd_event_add_io(log->event, &pipe->source, pipe->fd, EPOLLIN, pipe_readable, pipe);
	if (result < 0) {
		pipe_free(pipe);
		return error_errno(error, result, "cannot watch a log pipe");
	}
	/* Output is never as urgent as a worker's death or a control request. */
	sd_event_source_set_priority(pipe->source, SD_EVENT_PRIORITY_IDLE);
	log->pipes[place] = pipe;
	return 0;
}

void tenant_log_finish(struct tenant_log *log, uint32_t instance)
{
	turn_second(log);
	for (size_t i = 0; i < log->pipe_places; i++) {
		struct log_pipe *pipe = log->pipes[i];
		bool end = false;
		if (pipe == NULL || pipe->instance != instance)
			continue;
		/* A pipe holds at most 1 MiB (fs.pipe-max-size). */
		for (int reads = 0; reads < 32 && !end; reads++)
			if (!read_once(pipe, &end))
				break;
		end_pipe(pipe);
	}
}

/* ---- followers, and the log itself ---- */

int tenant_log_follow(struct tenant_log *log, log_follow_fn *follow, void *data)
{
	if (log->follower_count == LOG_FOLLOWERS_MAX)
		return -EUSERS;
	log->followers[log->follower_count++] = (struct follower){follow, data};
	return 0;
}

void tenant_log_unfollow(struct tenant_log *log, void *data)
{
	for (size_t i = 0; i < log->follower_count; i++) {
		if (log->followers[i].data != data)
			continue;
		log->followers[i] = log->followers[--log->follower_count];
		return;
	}
}

int tenant_log_new(sd_event *event, int folder_fd, const char *name, struct tenant_log **ret_log,
	struct error *error)
{
	struct tenant_log *log = calloc(1, sizeof *log);
	if (log == NULL)
		return error_set(error, ENOMEM, "no memory for a log");
	log->event = event;
	log->folder_fd = folder_fd;
	log->file_fd = -1;
	log->old_bytes = UINT64_MAX;
	snprintf(log->name, sizeof log->name, "%s", name);
	*ret_log = log;
	return 0;
}

struct tenant_log *tenant_log_free(struct tenant_log *log)
{
	if (log == NULL)
		return NULL;
	for (size_t i = 0; i < log->pipe_places; i++)
		if (log->pipes[i])
			end_pipe(log->pipes[i]);
	report_suppressed(log);
	sd_event_source_disable_unref(log->timer);
	close_fd(&log->file_fd);
	free(log->ring);
	free(log->pipes);
	free(log);
	return NULL;
}

void tenant_log_delete(int folder_fd, const char *name)
{
	struct tenant_log log = {.folder_fd = folder_fd};
	char path[80];
	snprintf(log.name, sizeof log.name, "%s", name);
	for (int generation = 0; generation <= LOG_FILES_KEPT; generation++) {
		file_name(&log, generation, path);
		unlinkat(folder_fd, path, 0);
	}
}

/* ---- for the next daemon ---- */

json_t *tenant_log_pack(const struct tenant_log *log, uint32_t instance, struct takeover *takeover)
{
	json_t *list = json_array();
	for (size_t i = 0; i < log->pipe_places; i++) {
		const struct log_pipe *pipe = log->pipes[i];
		if (pipe == NULL || pipe->instance != instance)
			continue;
		json_array_append_new(list,
			json_pack("{s:o, s:s, s:o}", "fd", takeover_put_fd(takeover, pipe->fd),
				"stream", log_stream_name(pipe->stream), "line",
				pipe->line ? takeover_put_bytes(takeover, pipe->line, pipe->length)
					   : json_null()));
	}
	return list;
}

static int restore_pipe(struct tenant_log *log, uint32_t instance, struct secrets *secrets,
	const json_t *packed, struct takeover *takeover, struct error *error)
{
	cleanup_free char *line = NULL;
	size_t length = 0;
	const bool out = strcmp(takeover_string(packed, "stream"), "stdout") == 0;
	const int fd = takeover_take_fd(takeover, json_object_get(packed, "fd"));
	if (fd < 0)
		return error_set(error, EBADF, "a log pipe was not handed over");
	int result = tenant_log_attach(
		log, fd, out ? LOG_STREAM_STDOUT : LOG_STREAM_STDERR, instance, secrets, error);
	if (result < 0 || json_is_null(json_object_get(packed, "line")))
		return result;
	if (takeover_take_bytes(takeover, json_object_get(packed, "line"), &line, &length) < 0 ||
		length >= LOG_LINE_MAX)
		return error_set(error, EINVAL, "a line of a log was not handed over");
	for (size_t i = 0; i < log->pipe_places; i++)
		if (log->pipes[i] && log->pipes[i]->fd == fd)
			keep_bytes(log->pipes[i], line, length);
	return 0;
}

int tenant_log_restore(struct tenant_log *log, uint32_t instance, const char *release,
	struct secrets *secrets, const json_t *packed, struct takeover *takeover,
	struct error *error)
{
	const json_t *pipe;
	size_t i;
	json_array_foreach(packed, i, pipe)
	{
		int result = restore_pipe(log, instance, secrets, pipe, takeover, error);
		if (result < 0)
			return result;
	}
	tenant_log_label(log, instance, release);
	return 0;
}
