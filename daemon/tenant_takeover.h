/* A tenant that goes on while the daemon's program is replaced (daemon/reexec.h). */
#pragma once

#include "daemon/takeover.h"
#include "daemon/tenant.h"

/* What keeps TENANT from being handed over now; NULL: nothing. */
const char *tenant_obstacle(const struct tenant *tenant);

/* All but its record, which is in the state file. */
json_t *tenant_pack(const struct tenant *tenant, struct takeover *takeover);
/* TENANT is fresh, from supervisor_add. On failure it is so again, and whatever ran for it is
 * ended: it may be started anew. */
int tenant_adopt(struct tenant *tenant, const json_t *packed, struct takeover *takeover,
	struct error *error);
/* Ends what runs for a tenant that cannot be adopted. */
void tenant_abandon(struct supervisor *supervisor, const json_t *packed, struct takeover *takeover);
