/* What operators did, and when: one line of JSON for each deploy, rollback, promotion, start,
 * stop, restart, removal, pruning and change of policy, in STATE/operations/operations.jsonl
 * (mode 0600), on the disk before the operator is answered. `tenantctl history` shows it.
 *
 *   {"time","tenant","action","by": {uid, user, login, pid, command} | null,
 *    "from": release | null, "to": release | null, "result","message","detail"}
 *
 * result is ok, failed, refused or canary; "by" is null for what tenantd did itself. At most
 * OPERATIONS_FILES files of OPERATIONS_FILE_BYTES are kept. A power cut may leave half a last
 * line: it is closed before the next, and readers skip it. */
#pragma once

#include "common/error.h"
#include "daemon/who.h"

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#define OPERATIONS_FILE_BYTES (1024 * 1024)
#define OPERATIONS_FILES 8
#define OPERATIONS_MESSAGE_MAX 1024 /* bytes of what an operator may say (-m) */

struct operations;

struct operation {
	const char *action; /* a word */
	const char *tenant;
	const struct who *by;
	const char *from, *to; /* releases; NULL or "": none */
	const char *result;
	const char *message; /* the operator's; NULL: none */
	const char *detail;  /* why it failed; NULL: none */
	bool early;          /* the operator is not answered before operations_sync */
};

int operations_open(int state_fd, struct operations **ret_operations, struct error *error);
struct operations *operations_close(struct operations *operations);

/* Writes a line. A disk that is full must not keep an operator from stopping a tenant: what
 * cannot be written is in the daemon's log, as everything here is. */
void operations_note(struct operations *operations, const struct operation *operation);
/* What was written early is on the disk then. A start need not wait for that, only its answer. */
void operations_sync(struct operations *operations);

/* TEXT, e.g. a stack, as one printable line: its lines joined by spaces. */
void operations_one_line(char *target, size_t size, const char *text);

/* The last LINES lines (of TENANT, NULL: of all), the oldest first. Each OBJECT stays the
 * callee's only for the call. */
typedef void operations_fn(void *data, json_t *object);
void operations_last(struct operations *operations, const char *tenant, size_t lines,
	operations_fn *take, void *data);
