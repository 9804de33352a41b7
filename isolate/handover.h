/* Connections that somebody else accepted: tenantd-ingress, or the supervisor while it
 * weighs two releases. They come over channels (common/protocol.h, struct handover) and are
 * served as if they had been accepted here: by the HTTP server, or, when the client connected
 * to a listener that the program took over with node:net, by the program's own server. */
#pragma once

#include <stddef.h>

/* Takes the channel FD. It is read once the HTTP server has started and has room. */
void handover_add(int fd);
/* There is room again. */
void handover_resume(void);

/* The worker ends. Senders are told to go elsewhere (EPIPE); what they had queued before is
 * served, then the channels close. */
void handover_drain(void);
/* Closes them all now. */
void handover_close(void);
/* How many channels there are. */
size_t handover_channels(void);
