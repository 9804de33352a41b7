/* What a tenant writes to stdout and stderr: pipe → lines → without its secrets →
 * escaped → rate-limited → a ring in memory (for `logs` and its followers) and a file of JSON lines
 * {"time","stream","line"} in the state folder, rotated; and to the journal, if the daemon
 * writes there (daemon/journal.h). Everything is bounded: the
 * length of a line, the lines and bytes in a second, the ring, the files, and the work
 * that a flood of output can make for the supervisor. */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#define LOG_LINE_MAX (8 * 1024) /* of source; a longer one is cut in pieces */
#define LOG_RING_BYTES (256 * 1024)
#define LOG_FOLLOWERS_MAX 16 /* of one tenant */
#define LOG_PIPES_MAX 512    /* of one tenant: two for each instance */
#define LOG_FILE_BYTES (8 * 1024 * 1024)
#define LOG_FILES_KEPT 2             /* beside the one that is written */
#define LOG_RATE_LINES 1000          /* in a second */
#define LOG_RATE_BYTES (1024 * 1024) /* in a second, escapes as what they take */

enum log_stream { LOG_STREAM_STDOUT, LOG_STREAM_STDERR, LOG_STREAM_DAEMON };

struct secrets;
struct tenant_log; /* of one tenant */
struct log_pipe;   /* the reading side of one stream of one instance */

struct log_entry {
	uint64_t time_us; /* CLOCK_REALTIME */
	enum log_stream stream;
	uint32_t instance;
	const char *line;    /* escaped, NUL-terminated */
	const char *release; /* of the instance, as it comes; NULL when it is read again */
};
typedef void log_follow_fn(void *data, const struct log_entry *entry);

/* FOLDER_FD is the folder of the log files, NAME the tenant's name; the file is opened
 * with the first line. Both EVENT and FOLDER_FD must outlive the log. */
int tenant_log_new(sd_event *event, int folder_fd, const char *name, struct tenant_log **ret_log,
	struct error *error);
/* Closes all. Pipes that are still open are closed too. Takes NULL, returns NULL. */
struct tenant_log *tenant_log_free(struct tenant_log *log);
/* Deletes the files of the tenant NAME. */
void tenant_log_delete(int folder_fd, const char *name);

/* Reads FD (which it takes, and makes non-blocking) until its end. SECRETS (of which it
 * takes a share; NULL: none) are replaced by *** in what comes. */
int tenant_log_attach(struct tenant_log *log, int fd, enum log_stream stream, uint32_t instance,
	struct secrets *secrets, struct error *error);
/* Which release INSTANCE runs, for the journal: to its pipes, and to those that it gets later. */
void tenant_log_label(struct tenant_log *log, uint32_t instance, const char *release);
/* Reads what the pipes of INSTANCE hold, then closes them: after its death. */
void tenant_log_finish(struct tenant_log *log, uint32_t instance);

/* A line of the daemon's own in the tenant's log ("worker ended: …"): printable already,
 * less than LOG_LINE_MAX bytes. */
void tenant_log_note(struct tenant_log *log, const char *line);

/* Calls FOLLOW with the last LINES lines that the ring holds, and, if those are fewer, with
 * lines of the file from before this daemon. */
void tenant_log_last(struct tenant_log *log, size_t lines, log_follow_fn *follow, void *data);
/* Calls FOLLOW with each line from now on, until tenant_log_unfollow with the same
 * DATA. Returns -EUSERS when there are too many. */
int tenant_log_follow(struct tenant_log *log, log_follow_fn *follow, void *data);
void tenant_log_unfollow(struct tenant_log *log, void *data);

/* The pipes of INSTANCE, with the lines that are not complete, for a daemon that takes over; and
 * back. SECRETS as for tenant_log_attach. What was printed before is in the file. */
struct takeover;
json_t *tenant_log_pack(const struct tenant_log *log, uint32_t instance, struct takeover *takeover);
int tenant_log_restore(struct tenant_log *log, uint32_t instance, const char *release,
	struct secrets *secrets, const json_t *packed, struct takeover *takeover,
	struct error *error);

const char *log_stream_name(enum log_stream stream);
/* Writes TIME_US as RFC 3339 with milliseconds, in UTC. TARGET needs 32 bytes. */
char *format_time(char target[32], uint64_t time_us);
