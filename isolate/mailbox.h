/* How threads of one process call each other: letters that another thread's event loop
 * delivers. Each runtime has at most one mailbox, made when it is first asked for. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* Part of what is to be delivered. In at most one mailbox at a time. */
struct letter {
	struct letter *next;
	bool queued; /* under the mailbox's lock */
	void (*deliver)(struct letter *letter);
};

struct mailbox;

/* That of the calling thread's runtime; its own, not a reference. NULL when there is no
 * memory or descriptor for it. */
struct mailbox *mailbox_own(void);
/* Of the calling thread, if it has one already. */
struct mailbox *mailbox_existing(void);

struct mailbox *mailbox_ref(struct mailbox *mailbox);
struct mailbox *mailbox_unref(struct mailbox *mailbox); /* takes NULL, returns NULL */

/* Has LETTER delivered in the mailbox's thread, once, however often it is posted before
 * that. False when that thread takes none any more. Any thread. */
bool mailbox_post(struct mailbox *mailbox, struct letter *letter);
/* LETTER is not delivered any more. Any thread; does not wait for a delivery under way. */
void mailbox_take_back(struct mailbox *mailbox, struct letter *letter);

/* Something wants the calling thread's loop to go on waiting, or no longer does. */
void mailbox_hold(int change);

/* The calling thread's takes no letters any more; its handle is closing. */
void mailbox_close(void);
