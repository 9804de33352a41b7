/* The life of a tenant as a table: state × event → actions, next state. Nothing here
 * does anything; daemon/tenant.c carries the actions out. The documentation of the
 * states (tenantd --print-states) is printed from the same table, so it cannot lie. */
#pragma once

#include <stdint.h>
#include <stdio.h>

enum tenant_state {
	TENANT_NEW,       /* a name; nothing was ever deployed under it */
	TENANT_STOPPED,   /* by the operator, or because it came to its end */
	TENANT_STARTING,  /* nothing serves; instances start */
	TENANT_RUNNING,   /* its instances serve */
	TENANT_REPLACING, /* they serve, others start beside them */
	TENANT_PROVING,   /* the others are ready, and must stay so for a while */
	TENANT_CANARY,    /* both serve, until the operator decides */
	TENANT_IDLE,      /* scaled to zero; the next connection starts it */
	TENANT_BACKOFF,   /* ended by itself; starts again after a delay */
	TENANT_CRASHLOOP, /* ended by itself too often; waits for the operator */
	TENANT_FAILED,    /* ended by itself, once, and tenant.json wants no other try */
	TENANT_STOPPING,  /* drains */
	TENANT_CYCLING,   /* drains, and starts again afterwards */
	TENANT_REMOVING,  /* drains, and is forgotten afterwards */
	TENANT_STATE_COUNT,
};

/* Of a tenant with one instance, "the instances" are that one. */
enum tenant_event {
	TENANT_EVENT_DEPLOY,       /* a release or a policy is to be tried */
	TENANT_EVENT_START,        /* the operator, or the daemon's own start */
	TENANT_EVENT_STOP,         /* the operator, or the daemon's end */
	TENANT_EVENT_RESTART,      /* the operator */
	TENANT_EVENT_RESET,        /* the operator */
	TENANT_EVENT_PROMOTE,      /* the operator */
	TENANT_EVENT_REMOVE,       /* the operator */
	TENANT_EVENT_WAKE,         /* a connection, or something else to do */
	TENANT_EVENT_READY,        /* the starting instances are ready, and may take over */
	TENANT_EVENT_TRIAL,        /* they are ready, and must prove themselves first */
	TENANT_EVENT_CANARY,       /* they are ready, and the operator wants to see them first */
	TENANT_EVENT_REJECTED,     /* they are not fit, and there is something to go back to */
	TENANT_EVENT_UNFIT,        /* they are not fit, and there is not */
	TENANT_EVENT_EXITED,       /* those that served have ended by themselves */
	TENANT_EVENT_FINISHED,     /* the same, and their release wants no others after them */
	TENANT_EVENT_GAVE_UP,      /* UNFIT or EXITED, once too often */
	TENANT_EVENT_FAILED,       /* UNFIT or EXITED, and once is enough (`restart: never`) */
	TENANT_EVENT_IDLE,         /* nothing to do for as long as tenant.json says */
	TENANT_EVENT_BACKOFF_OVER, /* the delay has passed */
	TENANT_EVENT_EMPTY,        /* no instance is left, draining ones included */
	TENANT_EVENT_COUNT,
};

/* Carried out in this order. */
enum tenant_action {
	TENANT_ACTION_RESET = 1 << 0,   /* forget earlier failures */
	TENANT_ACTION_CANCEL = 1 << 1,  /* the instances that start, or are tried, go */
	TENANT_ACTION_REJECT = 1 << 2,  /* drop the deployment under way; its caller is told why */
	TENANT_ACTION_RETIRE = 1 << 3,  /* those that serve drain */
	TENANT_ACTION_PROMOTE = 1 << 4, /* the started ones serve in their place */
	TENANT_ACTION_OPEN = 1 << 5,    /* open the listeners that are not open */
	TENANT_ACTION_START = 1 << 6,   /* start instances */
	TENANT_ACTION_GROW = 1 << 7,    /* start what the canary lacks */
	TENANT_ACTION_DELAY = 1 << 8,   /* wait, longer after each failure */
	TENANT_ACTION_PROVE = 1 << 9,   /* wait for the healthy time */
	TENANT_ACTION_SHARE = 1 << 10,  /* share connections between old and new */
	TENANT_ACTION_WATCH = 1 << 11,  /* wait for a connection */
	TENANT_ACTION_CLOSE = 1 << 12,  /* close the listeners */
	TENANT_ACTION_FORGET = 1 << 13, /* the tenant is no more */
	TENANT_ACTION_END = 1 << 14,
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

/* Prints the documentation of the table, in Markdown, with a diagram (Mermaid). */
void machine_print(FILE *file);
