/* One-off programs (`tenantctl run`): an archive unpacked for this once and a worker, or a
 * command of the host and a job, with the client's own stdin, stdout and stderr, and nothing
 * left of it afterwards. It dies with the client's connection. */
#pragma once

#include "daemon/control.h"
#include "daemon/supervisor.h"

#define RUNS_MAX 64

/* The verb `run`. Descriptors: archive (of a script, not of a command), stdin, stdout,
 * stderr. */
void run_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count);
/* Ends all: at once, or after a moment to finish. */
void run_stop_all(struct supervisor *supervisor, bool at_once);
/* Frees all that are left. */
void run_free_all(struct supervisor *supervisor);
