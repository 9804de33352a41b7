/* Routes reach tenantd-ingress by messages, which it reads when it comes to it. Who tells an
 * operator that something is deployed, or removed, must know that it has: SYNC is a message like
 * the others, and so its answer says that all before it is in effect. */
#include "daemon/ingress_private.h"

#include <stdlib.h>

struct ingress_wait {
	struct ingress_wait *next;
	struct ingress *ingress;
	uint32_t number; /* of the SYNC that is to be answered */
	sd_event_source *deadline;
	ingress_synced_fn *done;
	void *data;
};

static void take_out(struct ingress_wait *wait)
{
	struct ingress_wait **place = &wait->ingress->sync.waits;
	while (*place != wait)
		place = &(*place)->next;
	*place = wait->next;
	sd_event_source_disable_unref(wait->deadline);
}

static void finish(struct ingress_wait *wait, bool applied)
{
	ingress_synced_fn *done = wait->done;
	void *data = wait->data;
	take_out(wait);
	free(wait);
	done(data, applied);
}

static int is_late(sd_event_source *source, uint64_t usec, void *data)
{
	(void)source;
	(void)usec;
	finish(data, false);
	return 0;
}

/* Nobody asks a process that is not there, or will accept nobody: the next one begins with what
 * is known then, and gets the listeners last. */
static bool is_in_effect(const struct ingress *ingress)
{
	return ingress->process.state == 0 || ingress->stopping || ingress->paused ||
	       ingress->sync.in_effect == ingress->sync.sent;
}

void ingress_sync(struct ingress *ingress, ingress_synced_fn *done, void *data,
	struct ingress_wait **ret_wait)
{
	*ret_wait = NULL;
	if (ingress)
		ingress_send_due(ingress);
	struct ingress_wait *wait =
		ingress && !is_in_effect(ingress) ? calloc(1, sizeof *wait) : NULL;
	if (wait == NULL) {
		done(data, ingress == NULL || is_in_effect(ingress));
		return;
	}
	wait->ingress = ingress;
	wait->done = done;
	wait->data = data;
	wait->number = ingress->sync.number + 1;
	wait->next = ingress->sync.waits;
	ingress->sync.waits = wait;
	ingress->sync.due = true;
	*ret_wait = wait;
	if (sd_event_add_time_relative(ingress->event, &wait->deadline, CLOCK_MONOTONIC,
		    INGRESS_SYNC_MS * 1000, 0, is_late, wait) < 0) {
		*ret_wait = NULL;
		finish(wait, false);
		return;
	}
	ingress_send_due(ingress);
}

struct ingress_wait *ingress_sync_cancel(struct ingress_wait *wait)
{
	if (wait == NULL)
		return NULL;
	take_out(wait);
	free(wait);
	return NULL;
}

uint32_t ingress_sync_number(struct ingress *ingress)
{
	struct ingress_sync *sync = &ingress->sync;
	sync->due = false;
	sync->asked_at = sync->sent + 1; /* and the SYNC itself */
	return ++sync->number;
}

/* Those whose turn has come; they may add others, which wait for a later number. */
void ingress_sync_applied(struct ingress *ingress, uint32_t number)
{
	struct ingress_wait *wait = ingress->sync.waits;
	if (number == ingress->sync.number)
		ingress->sync.in_effect = ingress->sync.asked_at;
	while (wait) {
		if ((int32_t)(number - wait->number) < 0) {
			wait = wait->next;
			continue;
		}
		finish(wait, true);
		wait = ingress->sync.waits;
	}
}

void ingress_sync_died(struct ingress *ingress)
{
	ingress->sync.due = false;
	while (ingress->sync.waits)
		finish(ingress->sync.waits, true);
}

void ingress_sync_clear(struct ingress *ingress)
{
	while (ingress->sync.waits)
		ingress_sync_cancel(ingress->sync.waits);
}

bool ingress_syncing(const struct ingress *ingress)
{
	return ingress && ingress->sync.waits;
}
