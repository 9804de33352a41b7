/* The life of a tenant as a table: state × event → actions, next state. Nothing here
 * does anything; daemon/tenant.c carries the actions out. The documentation of the
 * states (tenantd --print-states) is printed from the same table, so it cannot lie. */
#pragma once

#include <stdint.h>
#include <stdio.h>

enum tenant_state {
	TENANT_NEW,       /* a name; nothing was ever deployed under it */
	TENANT_STOPPED,   /* by the operator */
	TENANT_STARTING,  /* nothing serves; an instance starts */
	TENANT_RUNNING,   /* one instance serves */
	TENANT_REPLACING, /* one serves, another starts beside it */
	TENANT_BACKOFF,   /* ended by itself; starts again after a delay */
	TENANT_FAILED,    /* ended by itself too often; waits for the operator */
	TENANT_STOPPING,  /* drains */
	TENANT_CYCLING,   /* drains, and starts again afterwards */
	TENANT_REMOVING,  /* drains, and is forgotten afterwards */
	TENANT_STATE_COUNT,
};

enum tenant_event {
	TENANT_EVENT_DEPLOY,       /* a release or a policy is to be tried */
	TENANT_EVENT_START,        /* the operator, or the daemon's own start */
	TENANT_EVENT_STOP,         /* the operator, or the daemon's end */
	TENANT_EVENT_RESTART,      /* the operator */
	TENANT_EVENT_REMOVE,       /* the operator */
	TENANT_EVENT_READY,        /* the starting instance is ready */
	TENANT_EVENT_REJECTED,     /* it ended before that, and there is something to go back to */
	TENANT_EVENT_UNFIT,        /* it ended before that, and there is not */
	TENANT_EVENT_EXITED,       /* the serving instance ended by itself */
	TENANT_EVENT_FINISHED,     /* the same, and its release wants no other after it */
	TENANT_EVENT_GAVE_UP,      /* UNFIT or EXITED, once too often */
	TENANT_EVENT_BACKOFF_OVER, /* the delay has passed */
	TENANT_EVENT_EMPTY,        /* no instance is left, draining ones included */
	TENANT_EVENT_COUNT,
};

/* Carried out in this order. */
enum tenant_action {
	TENANT_ACTION_RESET = 1 << 0,   /* forget earlier failures */
	TENANT_ACTION_CANCEL = 1 << 1,  /* kill the instance that starts */
	TENANT_ACTION_REJECT = 1 << 2,  /* drop the deployment under way; its caller is told why */
	TENANT_ACTION_RETIRE = 1 << 3,  /* the serving instance drains */
	TENANT_ACTION_PROMOTE = 1 << 4, /* the started instance serves */
	TENANT_ACTION_OPEN = 1 << 5,    /* open the listeners that are not open */
	TENANT_ACTION_START = 1 << 6,   /* start an instance */
	TENANT_ACTION_DELAY = 1 << 7,   /* wait, longer after each failure */
	TENANT_ACTION_CLOSE = 1 << 8,   /* close the listeners */
	TENANT_ACTION_FORGET = 1 << 9,  /* the tenant is no more */
	TENANT_ACTION_END = 1 << 10,
};

struct machine {
	enum tenant_state state;
	enum tenant_state back; /* where a REJECTED deployment leads to */
};

struct machine_step {
	enum tenant_state from, to;
	uint32_t actions; /* bits of enum tenant_action, the new state's own included */
};

/* Takes EVENT. Returns 0 and what is to be done, or -EPERM when the event is not
 * possible in this state (nothing changed then). */
int machine_step(struct machine *machine, enum tenant_event event, struct machine_step *ret_step);

const char *tenant_state_name(enum tenant_state state);
const char *tenant_event_name(enum tenant_event event);

/* Prints the documentation of the table, in Markdown. */
void machine_print(FILE *file);
