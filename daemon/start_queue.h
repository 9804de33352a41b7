/* Whose turn it is to start. When the daemon starts, all tenants want to at once: on a host that
 * is slow, or has many, none of them would be ready before its deadline. So they start a few at a
 * time, in their order; one that is ready makes room for the next, and so does one that only
 * waits (for a database, say) and leaves the processors to others. Its deadline begins when its
 * turn has come. Listeners are open from the beginning: connections wait.
 *
 * So does a tenant that ended, or was not ready in time, when its delay is over. Whatever else
 * starts (what an operator does, a connection to a tenant that sleeps, one instance of several)
 * does not wait for its turn, but counts; and a tenant in the queue that is wanted now is started
 * now. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <systemd/sd-event.h>

struct fleet;
struct supervisor;

/* For each processor that the daemon may use. */
#define START_QUEUE_EACH 2
/* How often those that start are looked at, while others wait. */
#define START_QUEUE_LOOK_MS 1000
/* Of that time, one that needs the processor less than this is taken to be waiting. */
#define START_QUEUE_BUSY_PERCENT 20

/* Longest wait: how long others start is theirs to say. */
#define START_QUEUE_WAIT_MS 10000

struct start_queue {
	struct fleet *first, *last;
	unsigned most;            /* at a time; 0: not known yet */
	sd_event_source *turn;    /* somebody may start */
	sd_event_source *looking; /* at those that start */
};

/* FLEET has slots that wait for their turn: fleet_take_turn. */
int start_queue_add(struct supervisor *supervisor, struct fleet *fleet);
/* It has none any more. Nothing when it is not there. */
void start_queue_remove(struct supervisor *supervisor, struct fleet *fleet);
/* It does not wait any longer. Nothing when it is not there. */
void start_queue_hurry(struct supervisor *supervisor, struct fleet *fleet);
/* Something that started is ready, or has ended. */
void start_queue_moved(struct supervisor *supervisor);
void start_queue_close(struct supervisor *supervisor);
