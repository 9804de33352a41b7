#include "daemon/notify.h"

#include "common/clock.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include <systemd/sd-daemon.h>

void notify_ready(const char *status)
{
	sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void notify_reloading(void)
{
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_ns() / 1000);
}

void notify_stopping(uint64_t most_ms)
{
	sd_notifyf(0, "STOPPING=1\nSTATUS=Draining tenants\nEXTEND_TIMEOUT_USEC=%" PRIu64,
		most_ms * 1000);
}

void notify_tenants(const unsigned counts[TENANT_STATE_COUNT])
{
	/* Whatever is tried beside it, it serves. */
	const bool serves[TENANT_STATE_COUNT] = {
		[TENANT_RUNNING] = true,
		[TENANT_REPLACING] = true,
		[TENANT_PROVING] = true,
		[TENANT_CANARY] = true,
	};
	char text[512];
	unsigned up = 0;
	for (int state = 0; state < TENANT_STATE_COUNT; state++)
		up += serves[state] ? counts[state] : 0;
	size_t length =
		(size_t)snprintf(text, sizeof text, "%u tenant%s up", up, up == 1 ? "" : "s");
	for (int state = 0; state < TENANT_STATE_COUNT; state++)
		if (!serves[state] && counts[state] && length < sizeof text)
			length += (size_t)snprintf(text + length, sizeof text - length, ", %u %s",
				counts[state], tenant_state_name((enum tenant_state)state));
	sd_notifyf(0, "STATUS=%s", text);
}

void notify_watchdog(sd_event *event)
{
	sd_event_set_watchdog(event, 1);
}
