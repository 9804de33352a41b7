/* The schedules of tenant.json: each tenant that has some has one timer, armed to what is
 * due next. Then one instance of the tenant is told (SCHEDULED); a tenant that sleeps is
 * woken first, one that starts is waited for.
 *
 * A run is missed, and never made up for, when it was due while
 *   - the daemon, or the tenant, did not run;
 *   - the one before was still under way, unless "overlap" allows that;
 *   - no instance became ready before the next was due.
 * How many were missed is told to the next run, to the log and in `status`.
 *
 * SCHEDULES_FILE of the state folder says up to when each schedule has been accounted for. It
 * is written a moment after a run began: after kill -9 within that moment a run that was
 * made counts as missed, never the other way round. */
#pragma once

#include "common/error.h"
#include "policy/manifest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#define SCHEDULES_FILE "schedules.json"

struct instance;
struct schedules;
struct tenant;

/* What a schedule needs of its tenant. */
struct schedule_calls {
	/* An instance that can run it, the TURN-th by some order; NULL: none serves now. */
	struct instance *(*pick)(struct tenant *tenant, uint32_t turn);
	/* It sleeps, or starts: an instance will serve. -EPERM when it will not. */
	int (*wake)(struct tenant *tenant);
	/* For the tenant's log and events. RESULT: "missed", "failed". LINE is printable. */
	void (*tell)(struct tenant *tenant, const char *result, const char *line);
};

/* Of the whole daemon. Reads the file below STATE_FD (which stays the caller's, as does
 * CALLS; -1: nothing is kept, and what was missed before is not known); one that makes no sense is
 * put aside with a warning: it decides about nothing but counts. */
int schedules_open(sd_event *event, int state_fd, const struct schedule_calls *calls,
	struct schedules **ret, struct error *error);
/* Writes what is to be written. Takes NULL; returns NULL. */
struct schedules *schedules_close(struct schedules *schedules);

/* What holds for the tenant NAME now: call after every change of its state or program, and
 * when one of its instances has become ready. ACTIVE: it runs, sleeps, or is about to start;
 * what is due otherwise is missed. Cheap where nothing has changed. MANIFEST stays the
 * caller's; NULL: not known. */
void schedules_review(struct schedules *schedules, struct tenant *tenant, const char *name,
	const struct manifest *manifest, bool active);
/* The tenant is freed; REMOVED: and is no more. All of these take NULL. */
void schedules_forget_tenant(struct schedules *schedules, const char *name, bool removed);

/* INSTANCE has ended, and with it its runs. */
void schedules_forget_instance(struct schedules *schedules, const struct instance *instance);
/* SCHEDULED_DONE came. False: no worker says so. */
bool schedules_done(struct schedules *schedules, const struct instance *instance,
	const void *message, size_t length);

/* Is a run of the tenant under way, or about to be? Then it is not idle. */
bool schedules_busy(const struct schedules *schedules, const char *name);

/* For a daemon that takes over: what is under way, the rest being in the file, which must have
 * been written; and back: after schedules_open, before any schedules_review. */
json_t *schedules_pack(struct schedules *schedules);
void schedules_restore(struct schedules *schedules, const json_t *packed);

/* For `status`: [{"cron", "time_zone", "overlap", "next", "running", "missed", "last":
 * {"due", "outcome": "ok"|"failed", "message", "ms"} | null}]; an empty list: none. Times are
 * text, null: never. */
json_t *schedules_describe(const struct schedules *schedules, const char *name);
