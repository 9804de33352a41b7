/* A fleet that goes on while the daemon's program is replaced (daemon/reexec.h). */
#pragma once

#include "daemon/backoff.h"
#include "daemon/fleet.h"
#include "daemon/takeover.h"

/* What keeps FLEET (may be NULL) from being handed over now; NULL: nothing. */
const char *fleet_obstacle(const struct fleet *fleet);

json_t *fleet_pack(const struct fleet *fleet, struct takeover *takeover);
/* As it was. OPTIONS as for fleet_new, but that PROGRAM is NULL for one that drains; RELEASE_FD
 * is its release's folder, and stays the caller's. On failure what runs is to be ended:
 * fleet_abandon. */
int fleet_adopt(const struct fleet_options *options, const json_t *packed, int release_fd,
	struct takeover *takeover, struct fleet **ret_fleet, struct error *error);
/* Ends what is left of it. */
void fleet_abandon(struct supervisor *supervisor, const json_t *packed, struct takeover *takeover);

json_t *backoff_pack(const struct backoff *backoff);
void backoff_restore(struct backoff *backoff, const json_t *packed);
