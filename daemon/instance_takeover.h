/* A worker that goes on while the daemon's program is replaced (daemon/reexec.h): what is known
 * of it, from one daemon to the next. */
#pragma once

#include "daemon/instance.h"
#include "daemon/takeover.h"

/* What keeps INSTANCE from being handed over now, as the end of a sentence; NULL: nothing. */
const char *instance_obstacle(const struct instance *instance);

json_t *instance_pack(const struct instance *instance, struct takeover *takeover);

/* The instance that PACKED is about, with all of its descriptors. SPEC says its tenant,
 * release, release_fd, log and manifest (NULL: of one that drains) as when it was started; the
 * rest of it is not looked at. On failure the process still runs: instance_abandon. The events
 * come later, never from here. */
int instance_adopt(struct factory *factory, const struct instance_spec *spec, const json_t *packed,
	struct takeover *takeover, const struct instance_events *events, void *data,
	struct instance **ret_instance, struct error *error);
/* Ends the process that PACKED is about, and buries its control group. */
void instance_abandon(struct factory *factory, const json_t *packed, struct takeover *takeover);
