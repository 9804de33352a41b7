#include "common/message.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

union control {
	char bytes[CMSG_SPACE(sizeof(int) * MESSAGE_FDS_MAX)];
	struct cmsghdr align;
};

int message_pair(int ret_fds[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0)
		return -errno;
	return 0;
}

int message_send(int socket, const void *data, size_t length, const int *fds, size_t fd_count)
{
	union control control;
	struct iovec part = {.iov_base = (void *)data, .iov_len = length};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (fd_count > MESSAGE_FDS_MAX || length == 0 || length > MESSAGE_LENGTH_MAX)
		return -EMSGSIZE;
	if (fd_count > 0) {
		memset(&control, 0, sizeof control);
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(header), fds, sizeof(int) * fd_count);
	}
	ssize_t sent;
	do /* Without descriptors by send(2): a worker's filter refuses sendmsg(2). */
		sent = fd_count > 0 ? sendmsg(socket, &message, MSG_NOSIGNAL)
				    : send(socket, data, length, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* Moves the received descriptors to FDS, up to ROOM. Returns how many there were;
 * those without room are closed. */
static size_t collect_fds(struct msghdr *message, int *fds, size_t room)
{
	size_t count = 0;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
		header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		size_t here = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < here; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
			if (count < room)
				fds[count] = fd;
			else
				close(fd);
			count++;
		}
	}
	return count;
}

ssize_t message_receive(int socket, void *data, size_t size, int *fds, size_t *fd_count, int flags)
{
	union control control;
	struct iovec part = {.iov_base = data, .iov_len = size};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes,
	};
	size_t room = fd_count ? *fd_count : 0;

	if (fd_count)
		*fd_count = 0;
	ssize_t length;
	do
		length = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
	while (length < 0 && errno == EINTR);
	if (length < 0)
		return -errno;
	size_t count = collect_fds(&message, fds, room);
	if (count > room || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		for (size_t i = 0; i < count && i < room; i++)
			close(fds[i]);
		return -EMSGSIZE;
	}
	if (fd_count)
		*fd_count = count;
	return length;
}
