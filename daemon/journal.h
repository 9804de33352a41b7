/* The journal of systemd, when standard error leads there: lines of the daemon and of tenants
 * as entries with fields of their own, so that `journalctl TENANT=shop` works:
 *
 *   TENANT RELEASE INSTANCE   whom it is about
 *   STREAM                    stdout, stderr, or tenantd for the daemon's notes on a tenant
 *   EVENT                     of the daemon's lines: the first word of the line
 *   SYSLOG_IDENTIFIER         tenantd, or tenantd/TENANT
 *   PRIORITY MESSAGE
 *
 * The protocol is journald's own (systemd.io/JOURNAL_NATIVE_PROTOCOL). sd_journal_sendv(3)
 * is not used, because it waits for a journald that hangs, for ever, and all tenants with it. */
#pragma once

#include "common/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define JOURNAL_WAIT_MS 100   /* at most, for one entry */
#define JOURNAL_PAUSE_MS 1000 /* after that: everything is lost, and counted */

/* If standard error is what $JOURNAL_STREAM names, the lines of common/log.h go to the journal
 * at SOCKET from now on. Else nothing changes. */
void journal_open(const char *socket);
/* Back to standard error. */
void journal_close(void);

struct journal_line {
	const char *tenant;
	const char *release; /* "" or NULL: none */
	const char *stream;
	uint32_t instance; /* 0: none */
	int priority;      /* of syslog(3) */
	const char *message;
	size_t length; /* of MESSAGE, which may hold any bytes */
};
/* A line of a tenant. Nothing, while the journal is not open. */
void journal_tenant_line(const struct journal_line *line);
