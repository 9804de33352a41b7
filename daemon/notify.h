/* What the service manager is told, see sd_notify(3). Without a service manager
 * ($NOTIFY_SOCKET) all of these do nothing. */
#pragma once

#include <systemd/sd-event.h>

/* The start is complete. Also after a reload. STATUS is a line for a person. */
void notify_ready(const char *status);
/* Policies are being read again (with the time, as Type=notify-reload wants). */
void notify_reloading(void);
/* The end has begun; there is no way back. */
void notify_stopping(void);
void notify_status(const char *status);
/* Feeds the watchdog from the loop, if the service manager wants one. */
void notify_watchdog(sd_event *event);
