/* The new daemon's side of daemon/reexec.h: what the old one has handed over becomes this one's.
 * All take a supervisor whose options have a handover; where they have none they do nothing.
 *
 * A tenant that cannot be adopted, for whatever reason, is one whose instances end and start
 * anew: the log and `tenantctl events` say so. */
#pragma once

#include "daemon/supervisor.h"

/* The old daemon's helpers end, and its events are this one's. As soon as there is a loop. */
void adopt_begin(struct supervisor *supervisor);
/* The descriptor that holds the store's lock, the caller's; -1: none was handed over. */
int adopt_lock(struct supervisor *supervisor);
/* For cgroup_host_clean_but: DATA is the supervisor. */
bool adopt_keeps_group(void *data, const char *name);
/* Numbers go on: when the factory is open, and has made nothing yet. */
void adopt_numbers(struct supervisor *supervisor);
/* When schedules are open, and before the first tenant. */
void adopt_schedules(struct supervisor *supervisor);
/* True when TENANT is as it was, and needs nothing else. */
bool adopt_tenant(struct supervisor *supervisor, struct tenant *tenant);
/* Ends what runs for tenants that the state file does not know. After the last one. */
void adopt_rest(struct supervisor *supervisor);
/* The socket goes on; as control_open where nothing was handed over. */
int adopt_control(struct supervisor *supervisor, struct error *error);
/* The daemon is ready: whoever asked for it gets the answer. */
void adopt_finish(struct supervisor *supervisor);
