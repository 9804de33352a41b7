/* Who waits for a tenant: requests of operators. */
#include "daemon/tenant_private.h"

#include <errno.h>
#include <stdlib.h>

int tenant_wait(struct tenant *tenant, enum waiter_goal goal, waiter_fn *done, void *data)
{
	struct waiter *waiter = malloc(sizeof *waiter);
	if (waiter == NULL)
		return -ENOMEM;
	*waiter = (struct waiter){tenant->waiters, goal, done, data};
	tenant->waiters = waiter;
	return 0;
}

void tenant_forget_waiter(struct tenant *tenant, const void *data)
{
	struct waiter **place = &tenant->waiters;
	while (*place) {
		struct waiter *waiter = *place;
		if (waiter->data != data) {
			place = &waiter->next;
			continue;
		}
		*place = waiter->next;
		free(waiter);
	}
}

/* Answers all who wait for GOAL. They may add no new waiters. */
static void answer(struct tenant *tenant, enum waiter_goal goal, int result, const char *message)
{
	struct waiter **place = &tenant->waiters, *answered = NULL;
	while (*place) {
		struct waiter *waiter = *place;
		if (waiter->goal != goal) {
			place = &waiter->next;
			continue;
		}
		*place = waiter->next;
		waiter->next = answered;
		answered = waiter;
	}
	while (answered) {
		struct waiter *waiter = answered;
		answered = waiter->next;
		waiter->done(waiter->data, tenant, result, message);
		free(waiter);
	}
}

void tenant_answer_all(struct tenant *tenant, int result, const char *message)
{
	answer(tenant, WAIT_UP, result, message);
	answer(tenant, WAIT_DOWN, result, message);
	answer(tenant, WAIT_GONE, result, message);
}

/* Will what started, and somebody waits for, never be ready? */
static bool is_failed_start(enum tenant_event event, enum tenant_state from)
{
	switch (event) {
	case TENANT_EVENT_REJECTED:
	case TENANT_EVENT_UNFIT:
		return true;
	case TENANT_EVENT_GAVE_UP:
	case TENANT_EVENT_FAILED:
	case TENANT_EVENT_FINISHED:
		return from == TENANT_STARTING;
	default:
		return false;
	}
}

void tenant_settle(struct tenant *tenant, enum tenant_event event, const struct machine_step *step)
{
	if (event == TENANT_EVENT_READY || event == TENANT_EVENT_CANARY)
		answer(tenant, WAIT_UP, 0, "");
	else if (is_failed_start(event, step->from))
		answer(tenant, WAIT_UP, -ECHILD, tenant->start_error ? tenant->start_error : "");
	switch (step->to) {
	case TENANT_STOPPED:
		answer(tenant, WAIT_DOWN, 0, "");
		answer(tenant, WAIT_UP, -ECANCELED, "it was stopped");
		break;
	case TENANT_STOPPING:
		answer(tenant, WAIT_UP, -ECANCELED, "it was stopped");
		break;
	case TENANT_CYCLING:
		answer(tenant, WAIT_DOWN, -ECANCELED, "it was started again");
		break;
	case TENANT_REMOVING:
		answer(tenant, WAIT_UP, -ECANCELED, "it was removed");
		break;
	case TENANT_NEW:
		answer(tenant, WAIT_GONE, 0, "");
		answer(tenant, WAIT_DOWN, 0, "");
		answer(tenant, WAIT_UP, -ECANCELED, "it was removed");
		break;
	default:
		break;
	}
}
