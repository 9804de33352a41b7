/* What the service manager is told, see sd_notify(3). Without a service manager
 * ($NOTIFY_SOCKET) all of these do nothing. */
#pragma once

#include "daemon/machine.h"

#include <stdint.h>

#include <systemd/sd-event.h>

/* The start is complete. Also after a reload. STATUS is a line for a person. */
void notify_ready(const char *status);
/* Policies are being read again (with the time, as Type=notify-reload wants). */
void notify_reloading(void);
/* The end has begun; there is no way back. It takes at most MOST_MS, whatever
 * TimeoutStopSec= says. */
void notify_stopping(uint64_t most_ms);
/* "3 tenants up, 1 backoff": how many serve, and how many are in each other state. */
void notify_tenants(const unsigned counts[TENANT_STATE_COUNT]);
/* Feeds the watchdog from the loop, if the service manager wants one: a loop that does not
 * turn does not feed it. */
void notify_watchdog(sd_event *event);
