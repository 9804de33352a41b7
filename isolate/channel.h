/* The supervisor's messages to a tenant's process, after START: one table of rules, and
 * the part of the runtime that each is for. */
#pragma once

#include "common/protocol.h"

#include <stdbool.h>
#include <stddef.h>

/* Gets a message that the rules allow. Its descriptors become the handler's. */
typedef void (*channel_handler)(const void *message, size_t length, int *fds, size_t fd_count);

/* Who gets messages of TYPE; from a module's start function. Without a handler they are
 * dropped, their descriptors closed. */
void channel_on(enum message_type type, channel_handler handler);

/* Reads the channel whenever the loop turns; does not keep the loop alive. */
void channel_watch(void);
/* From now on the program lives until it is told to stop. */
void channel_keep_alive(void);

/* Waits at most TIMEOUT_MS for the next message of TYPE, which must not carry
 * descriptors, outside of the loop: for what JavaScript asks for synchronously. Other
 * messages that arrive meanwhile are kept, and delivered by the loop in their order.
 * Returns its length, -ETIMEDOUT, -EMSGSIZE when it is longer than SIZE. */
ssize_t channel_wait(enum message_type type, void *data, size_t size, int timeout_ms);

/* The same for the first message that WANTED, given ARGUMENT, takes, with its descriptors,
 * which become the caller's: room for *FD_COUNT. */
typedef bool channel_wanted(const void *message, const void *argument);
ssize_t channel_wait_for(channel_wanted *wanted, const void *argument, void *data, size_t size,
	int *fds, size_t *fd_count, int timeout_ms);
