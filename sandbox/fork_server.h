/* The loop of a process that forks others for the supervisor (tenant-zygote,
 * tenant-launcher): the supervisor sends SPAWN, is answered SPAWNED or SPAWN_FAILED, and
 * talks to the new process by the channel that it sent along. */
#pragma once

#include "common/error.h"
#include "common/tier.h"

#include <stdbool.h>
#include <stdint.h>

#define FORK_SERVER_FD 3 /* where such a process finds its supervisor */

struct fork_server {
	enum tier tier; /* of the new processes */
	/* Makes network and IPC namespaces while there is nothing to do: see
	 * sandbox_namespaces_ahead. Not for children that must have rights over theirs. */
	bool namespaces_ahead;
	/* What the new process runs, in its namespaces and cgroup; never returns. CHANNEL is
	 * its own, INSTANCE the number that the supervisor gave it. */
	void (*child)(int channel, uint32_t instance, void *data);
	void *data;
};

/* Says ZYGOTE_READY and serves until the supervisor closes its end. Returns the exit code. */
int fork_server_run(const struct fork_server *server);

/* Tells the supervisor why there is nothing that could serve. */
void fork_server_failed(const struct error *error);
