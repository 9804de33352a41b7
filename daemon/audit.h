/* What was decided about tenants, one JSON line each, in STATE/audit/audit.jsonl:
 *
 *   {"time","tenant","release","pid","permission","resource","result":"allowed"|"denied",
 *    "layer","detail"}
 *
 * The file is rotated, and each tenant has a rate; what is over it is counted, and the
 * count is told in a line {"time","tenant","dropped"}. Whatever a tenant had a hand in is
 * escaped and cut, and its secrets are left out. Nothing here waits or fails for a
 * caller: a disk that is full costs records, never the loop. A line is with the kernel
 * when audit_record returns: kill -9 of the daemon loses none, a power cut the last ones. */
#pragma once

#include "common/error.h"
#include "common/protocol.h"
#include "policy/policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#define AUDIT_FILE "audit.jsonl"
#define AUDIT_FILE_BYTES (4 * 1024 * 1024)
#define AUDIT_FILES_KEPT 3        /* beside the one that is written: audit.1.jsonl… */
#define AUDIT_RATE 20             /* records a second of one tenant, in the long run */
#define AUDIT_BURST 500           /* and so many at once */
#define AUDIT_LINE_MAX (8 * 1024) /* of a line, its end included */
#define AUDIT_FOLLOWERS_MAX 16

struct audit;
struct instance;

/* One decision. Strings may be anything, and NULL; they stay the caller's. */
struct audit_event {
	const char *tenant;
	const char *release;
	pid_t pid; /* on the host; 0: none */
	enum audit_permission permission;
	const char *resource;
	bool allowed;
	enum audit_layer layer;
	const char *detail; /* in words: the rule, the reason, the system call's name */
	bool claimed;       /* by the tenant's own worker, which may lie */
};

/* Records a decision about INSTANCE, if its policy's `audit` asks for it. For whoever
 * made it, or was told of it: the tenant is always that of INSTANCE. */
void audit_record(struct instance *instance, enum audit_permission permission, const char *resource,
	bool allowed, enum audit_layer layer, const char *detail);

/* MESSAGE_AUDIT (LENGTH bytes, checked by the table of daemon/instance.c). False when no
 * worker would say that. */
bool audit_message(struct instance *instance, const void *message, size_t length);
#define AUDIT_MESSAGE_MAX (sizeof(struct message_audit) + AUDIT_RESOURCE_MAX + 1)

/* What the kernel counted in the control group of an instance that has ended: a limit
 * that was hit is a denial of the layer cgroup. */
void audit_limits(struct instance *instance);

/* ---- the log ---- */

/* The files are in the folder `audit` below FOLDER_FD. With EVENT, drops are told within
 * a second also of a tenant that is silent afterwards; NULL: with its next record. */
int audit_open(sd_event *event, int folder_fd, struct audit **ret_audit, struct error *error);
/* Takes NULL, returns NULL. */
struct audit *audit_close(struct audit *audit);

/* Records EVENT whatever any policy says; the rate still holds. AUDIT may be NULL. */
void audit_write(struct audit *audit, const struct audit_event *event);

/* Lines about TENANT (NULL: about all), with DENIED_ONLY only denials. */
struct audit_query {
	const char *tenant;
	bool denied_only;
	size_t lines; /* the last so many */
};
/* LINE is JSON without a newline, LENGTH bytes, not NUL-terminated. */
typedef void audit_line_fn(void *data, const char *line, size_t length);

/* Calls TAKE with what the files hold, oldest first, at most BYTES_MAX bytes in all.
 * Returns false when there were more lines than that, and the oldest are left out. */
#define AUDIT_ANSWER_MAX (4 * 1024 * 1024)
bool audit_last(
	struct audit *audit, const struct audit_query *query, audit_line_fn *take, void *data);

/* Calls TAKE with each new line until audit_unfollow with the same DATA. -EUSERS when
 * there are too many. QUERY is copied, but for what it points to. */
int audit_follow(
	struct audit *audit, const struct audit_query *query, audit_line_fn *take, void *data);
void audit_unfollow(struct audit *audit, const void *data);
