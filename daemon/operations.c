#include "daemon/operations.h"

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/file.h"
#include "common/log.h"
#include "daemon/logs.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define LINES_MAX 10000 /* of one answer */
#define DETAIL_MAX 512

struct operations {
	int folder_fd;
	int file_fd; /* -1: not open */
	uint64_t file_bytes;
	bool sync_due; /* its last line may not be on the disk yet */
};

static const char *file_name(int generation, char name[32])
{
	if (generation == 0)
		snprintf(name, 32, "operations.jsonl");
	else
		snprintf(name, 32, "operations.%d.jsonl", generation);
	return name;
}

int operations_open(int state_fd, struct operations **ret_operations, struct error *error)
{
	if (mkdirat(state_fd, "operations", 0700) < 0 && errno != EEXIST)
		return error_errno(error, errno, "cannot make the folder operations");
	cleanup_close int fd =
		openat(state_fd, "operations", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_errno(error, errno, "cannot open the folder operations");
	struct operations *operations = calloc(1, sizeof *operations);
	if (operations == NULL)
		return error_set(error, ENOMEM, "no memory for the log of operations");
	operations->folder_fd = take_fd(&fd);
	operations->file_fd = -1;
	*ret_operations = operations;
	return 0;
}

struct operations *operations_close(struct operations *operations)
{
	if (operations == NULL)
		return NULL;
	close_fd(&operations->file_fd);
	close_fd(&operations->folder_fd);
	free(operations);
	return NULL;
}

/* ---- writing ---- */

static void rotate(struct operations *operations)
{
	char from[32], to[32];
	close_fd(&operations->file_fd);
	for (int generation = OPERATIONS_FILES - 1; generation > 0; generation--)
		renameat(operations->folder_fd, file_name(generation - 1, from),
			operations->folder_fd, file_name(generation, to));
}

static int open_file(struct operations *operations)
{
	struct stat status;
	char name[32], last = '\n';
	operations->file_fd = openat(operations->folder_fd, file_name(0, name),
		O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (operations->file_fd < 0)
		return -errno;
	operations->file_bytes =
		fstat(operations->file_fd, &status) == 0 ? (uint64_t)status.st_size : 0;
	if (fsync(operations->folder_fd) < 0)
		return -errno;
	/* Half a line, from a power cut, must not spoil the next one, too. */
	if (operations->file_bytes > 0 &&
		pread(operations->file_fd, &last, 1, (off_t)operations->file_bytes - 1) == 1 &&
		last != '\n')
		return file_write_all(operations->file_fd, "\n", 1);
	return 0;
}

static int write_line(struct operations *operations, const char *line, size_t length, bool early)
{
	if (operations->file_fd >= 0 && operations->file_bytes + length > OPERATIONS_FILE_BYTES) {
		operations_sync(operations);
		rotate(operations);
	}
	int result = operations->file_fd >= 0 ? 0 : open_file(operations);
	if (result == 0)
		result = file_write_all(operations->file_fd, line, length);
	if (result == 0 && !early && fdatasync(operations->file_fd) < 0)
		result = -errno;
	if (result == 0)
		operations->sync_due = early;
	if (result == 0)
		operations->file_bytes += length;
	else
		close_fd(&operations->file_fd); /* the next try looks at what is there */
	return result;
}

/* TEXT as a value: printable. */
static json_t *string(const char *text)
{
	char escaped[OPERATIONS_MESSAGE_MAX];
	escape_line(escaped, sizeof escaped, text ? text : "", text ? strlen(text) : 0, 0);
	return json_string(escaped);
}

void operations_one_line(char *target, size_t size, const char *text)
{
	size_t used = 0;
	target[0] = '\0';
	while (*text && used + 1 < size) {
		const size_t blank = strspn(text, " \t\n"), length = strcspn(text + blank, "\n");
		if (used > 0 && length > 0)
			target[used++] = ' ';
		used += escape_line(target + used, size - used, text + blank, length, 0);
		text += blank + length;
	}
}

static json_t *one_line(const char *text)
{
	char line[DETAIL_MAX];
	operations_one_line(line, sizeof line, text ? text : "");
	return json_string(line);
}

static json_t *release(const char *id)
{
	return id && id[0] ? json_string(id) : json_null();
}

static uint64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void operations_note(struct operations *operations, const struct operation *operation)
{
	char time[32], who[WHO_TEXT_MAX];
	json_t *object = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:s, s:o, s:o}", "time",
		format_time(time, now_us()), "tenant", operation->tenant, "action",
		operation->action, "by", who_describe(operation->by), "from",
		release(operation->from), "to", release(operation->to), "result", operation->result,
		"message", string(operation->message), "detail", one_line(operation->detail));
	cleanup_free char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	log_info("event=operation action=%s tenant=%s by=\"%s\" from=%.12s to=%.12s result=%s "
		 "message=\"%s\"",
		operation->action, operation->tenant, escape_for_log(who_text(operation->by, who)),
		operation->from ? operation->from : "", operation->to ? operation->to : "",
		operation->result, escape_for_log(operation->message ? operation->message : ""));
	if (operations == NULL || text == NULL)
		return;
	const size_t length = strlen(text);
	text[length] = '\n'; /* no longer a string: written with its length */
	int result = write_line(operations, text, length + 1, operation->early);
	if (result < 0)
		log_error("event=operation-not-recorded message=\"cannot write the log of "
			  "operations: %s\"",
			strerror(-result));
}

void operations_sync(struct operations *operations)
{
	if (operations == NULL || !operations->sync_due)
		return;
	operations->sync_due = false;
	if (operations->file_fd >= 0 && fdatasync(operations->file_fd) < 0)
		log_error("event=operation-not-recorded message=\"cannot write the log of "
			  "operations: %s\"",
			strerror(errno));
}

/* ---- reading ---- */

/* Takes the lines of TEXT that match, from the last, in front of those that are there. */
static void collect(json_t *found, char *text, size_t length, const char *tenant, size_t most)
{
	while (length > 0 && json_array_size(found) < most) {
		if (text[length - 1] == '\n')
			length--;
		const char *before = memrchr(text, '\n', length);
		const size_t start = before ? (size_t)(before - text) + 1 : 0;
		json_t *object = json_loadb(text + start, length - start, 0, NULL);
		const char *name = json_string_value(json_object_get(object, "tenant"));
		/* Half a line is no object. */
		if (name && (tenant == NULL || strcmp(name, tenant) == 0))
			json_array_append(found, object);
		json_decref(object);
		length = start;
	}
}

void operations_last(struct operations *operations, const char *tenant, size_t lines,
	operations_fn *take, void *data)
{
	json_t *found = json_array();
	if (lines > LINES_MAX)
		lines = LINES_MAX;
	for (int generation = 0; generation < OPERATIONS_FILES; generation++) {
		cleanup_free char *text = NULL;
		char name[32];
		size_t length = 0;
		if (json_array_size(found) >= lines)
			break;
		if (file_read(operations->folder_fd, file_name(generation, name),
			    2 * OPERATIONS_FILE_BYTES, &text, &length, NULL) == 0)
			collect(found, text, length, tenant, lines);
	}
	for (size_t i = json_array_size(found); i > 0; i--)
		take(data, json_array_get(found, i - 1));
	json_decref(found);
}
