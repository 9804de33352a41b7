/* Messages with file descriptors over a SOCK_SEQPACKET socket (unix(7)): one send
 * is one receive, never half a message. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The kernel's SCM_MAX_FD is 253. */
#define MESSAGE_FDS_MAX 224
#define MESSAGE_LENGTH_MAX (128 * 1024)

/* Makes a connected pair; both ends are close-on-exec and blocking. */
int message_pair(int ret_fds[2]);

/* Sends one message with FD_COUNT descriptors, which stay the caller's. Never
 * raises SIGPIPE. Returns 0 or a negative errno: -EPIPE when the other side is
 * gone, -EAGAIN on a full non-blocking socket, -EMSGSIZE when too long. */
int message_send(int socket, const void *data, size_t length, const int *fds, size_t fd_count);

/* Receives one message into DATA (SIZE bytes) and at most *FD_COUNT descriptors,
 * which become the caller's, close-on-exec. Sets *FD_COUNT to the number received.
 * Returns the length, 0 when the other side is gone, or a negative errno. A message
 * that is longer than SIZE, or carries more descriptors than there is room for, is
 * -EMSGSIZE, and its descriptors are closed. FLAGS as recvmsg(2), e.g. MSG_DONTWAIT. */
ssize_t message_receive(int socket, void *data, size_t size, int *fds, size_t *fd_count, int flags);
