/* The lock of each tenant: one operator at a time deploys to it or rolls it back, from the
 * upload until the outcome. Who comes second is told who holds it and since when, or waits. */
#pragma once

#include "common/control.h"
#include "common/error.h"
#include "daemon/operations.h"
#include "daemon/who.h"

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

struct supervisor;

#define DEPLOYING_WAITING_MAX 64 /* of all tenants together: each holds an archive */

/* Part of whatever is under way; in the supervisor's list, in the order of arrival. */
struct deploying {
	struct deploying *next;
	struct supervisor *supervisor;
	char tenant[CONTROL_NAME_MAX + 1];
	struct who who;
	uint64_t since_us;
	bool rolls_back;
	char why[OPERATIONS_MESSAGE_MAX]; /* -m */
	bool begun;                       /* holds the lock */
	void (*begin)(struct deploying *deploying);
	sd_event_source *turn;
};

/* Takes the lock, and returns 1: go on. Or 0: BEGIN is called when it is its turn. -EBUSY with
 * who holds it, if WAIT is false; -EUSERS when too many wait. */
int deploying_enter(struct deploying *deploying, bool wait, struct error *error);
/* Gives it up, or the place in the queue. */
void deploying_leave(struct deploying *deploying);
/* Calls BEGIN once more, from the event loop. */
int deploying_retry(struct deploying *deploying);
/* Who holds the lock of TENANT; NULL: nobody. */
const struct deploying *deploying_of(const struct supervisor *supervisor, const char *tenant);
