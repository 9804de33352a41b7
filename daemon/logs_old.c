#include "daemon/logs_old.h"

#include "common/cleanup.h"

#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* "2026-11-21T12:00:00.000Z", as format_time writes it. */
static bool parse_time(const char *text, uint64_t *ret_us)
{
	struct tm utc = {0};
	unsigned ms = 0;
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);
	if (rest == NULL || sscanf(rest, ".%3uZ", &ms) != 1)
		return false;
	*ret_us = (uint64_t)timegm(&utc) * 1000000 + (uint64_t)ms * 1000;
	return true;
}

static bool find_stream(const char *name, enum log_stream *ret_stream)
{
	for (int i = LOG_STREAM_STDOUT; i <= LOG_STREAM_DAEMON; i++)
		if (strcmp(log_stream_name((enum log_stream)i), name) == 0) {
			*ret_stream = (enum log_stream)i;
			return true;
		}
	return false;
}

static void tell_line(const char *text, size_t length, log_follow_fn *follow, void *data)
{
	const char *time = NULL, *stream = NULL;
	struct log_entry entry = {0};
	json_t *item = json_loadb(text, length, 0, NULL);
	if (item &&
		json_unpack(item, "{s:s, s:s, s:s}", "time", &time, "stream", &stream, "line",
			&entry.line) == 0 &&
		parse_time(time, &entry.time_us) && find_stream(stream, &entry.stream))
		follow(data, &entry);
	json_decref(item);
}

/* The bytes before END, from the beginning of a line on. */
static char *read_end(int fd, uint64_t end, size_t *ret_length)
{
	const uint64_t start = end > LOG_OLD_BYTES ? end - LOG_OLD_BYTES : 0;
	char *text = malloc((size_t)(end - start) + 1);
	ssize_t length = text ? pread(fd, text, (size_t)(end - start), (off_t)start) : -1;
	if (length < 0) {
		free(text);
		return NULL;
	}
	char *first = start > 0 ? memchr(text, '\n', (size_t)length) : NULL;
	if (first) {
		length -= first + 1 - text;
		memmove(text, first + 1, (size_t)length);
	}
	*ret_length = (size_t)length;
	return text;
}

void logs_old_last(int folder_fd, const char *name, uint64_t end, size_t lines,
	log_follow_fn *follow, void *data)
{
	char path[80];
	struct stat status;
	size_t length = 0, count = 0;
	snprintf(path, sizeof path, "%s.log", name);
	cleanup_close int fd = openat(folder_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &status) < 0)
		return;
	if (end > (uint64_t)status.st_size)
		end = (uint64_t)status.st_size;
	cleanup_free char *text = read_end(fd, end, &length);
	const char *stop = text ? text + length : NULL;
	for (const char *at = text, *next; at < stop; at = next + 1, count++)
		if ((next = memchr(at, '\n', (size_t)(stop - at))) == NULL)
			break;
	for (const char *at = text, *next; at < stop; at = next + 1, count--) {
		if ((next = memchr(at, '\n', (size_t)(stop - at))) == NULL)
			break;
		if (count <= lines)
			tell_line(at, (size_t)(next - at), follow, data);
	}
}
