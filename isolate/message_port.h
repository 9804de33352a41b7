/* Message ports: ends of channels between threads of the process, or within one. A port
 * belongs to one thread at a time, or is itself on its way in a message. */
#pragma once

#include "isolate/engine/engine.h"
#include "isolate/mailbox.h"

#include <stdatomic.h>

struct port_group;

/* A message in a port's queue. Freed by port_message_free. */
struct port_message {
	struct port_message *next;
	engine_message *message;
	size_t bytes; /* as it was counted */
	size_t port_count;
	struct port **ports; /* on their way, owned */
	char types[];        /* what the library made the ports from: a letter for each */
};

struct port {
	struct letter letter; /* there is something in the queue, or the other end closed */
	atomic_uint references;
	struct port_group *group;
	struct port *next, *previous; /* in GROUP */
	/* Under the group's lock: */
	struct mailbox *owner; /* NULL: on its way */
	struct port_message *first, **end;
	size_t count;
	bool started, closed, peer_gone;
	/* The owner's: */
	uint32_t id; /* the library's, 0: none */
	bool holds;  /* keeps its thread's loop alive */
};

/* Two ends. -ENOMEM. */
int port_pair(struct port **ret_first, struct port **ret_second);
/* One of all ports of that NAME in the process, which get each other's messages. */
struct port *port_broadcast(const char *name);

/* PORT arrives in the calling thread, which calls DELIVER for what it is to look at. */
int port_own(struct port *port, void (*deliver)(struct letter *letter));
/* PORT leaves the calling thread, as if it were in a message. Always 0. */
int port_let_go(struct port *port);
/* The library takes messages by port_take from now on whenever told to; or stops. */
void port_start(struct port *port);
void port_stop(struct port *port);
/* Keeps the thread's loop alive, or not. */
void port_hold(struct port *port, bool hold);

/* Sends MESSAGE (whose reference passes) with PORTS (COUNT, the caller's thread's, whose
 * ownership passes) to all others of PORT's group. 0, also when nobody takes it; -ENOMEM;
 * -ENOBUFS when the messages of the process that wait are too many bytes. In both cases
 * nothing was taken but MESSAGE. */
int port_post(struct port *port, engine_message *message, struct port *const *ports, size_t count,
	const char *types);
/* The first message; NULL when there is none. */
struct port_message *port_take(struct port *port);
/* How many wait. *RET_PEER_GONE: no more will come. */
size_t port_waiting(struct port *port, bool *ret_peer_gone);
/* Has the rest looked at in the loop's next turn. */
void port_again(struct port *port);

/* The other end learns of it. */
void port_close(struct port *port);
struct port *port_ref(struct port *port);
struct port *port_unref(struct port *port); /* takes NULL, returns NULL; the last closes it */
void port_message_free(struct port_message *message);

/* The most that messages which wait may hold, of the whole process; 0: no limit. */
void port_set_limit(size_t bytes);
