/* Sockets, made and handed over: E13, E14. */
#include "attack_acts.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

/* ---- E13, E14 sockets ---- */

static long connect_unix(const char *name, bool abstract)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(name);
	memcpy(address.sun_path + abstract, name, length);
	long fd = CALL(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
	return fd < 0 ? -1
		      : CALL(SYS_connect, fd, &address,
				offsetof(struct sockaddr_un, sun_path) + abstract + length);
}

long connect_abstract(target_t *target)
{
	return connect_unix(target->abstract_name, true);
}

long connect_path(target_t *target)
{
	return connect_unix(target->socket_path, false);
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static long connect_inet(target_t *target, int protocol)
{
	const struct sockaddr_in address = loopback(target->tcp_port);
	long fd = CALL(SYS_socket, AF_INET, SOCK_STREAM, protocol);
	return fd < 0 ? -1 : CALL(SYS_connect, fd, &address, sizeof address);
}

long connect_tcp(target_t *target)
{
	return connect_inet(target, 0);
}

long connect_mptcp(target_t *target)
{
	return connect_inet(target, 262);
}

long bind_tcp(target_t *target)
{
	const struct sockaddr_in address = loopback(0);
	long fd = CALL(SYS_socket, AF_INET, SOCK_STREAM, 0);
	(void)target;
	return fd < 0 ? -1 : CALL(SYS_bind, fd, &address, sizeof address);
}

long listen_unbound(target_t *target)
{
	long fd = CALL(SYS_socket, AF_INET, SOCK_STREAM, 0);
	(void)target;
	return fd < 0 ? -1 : CALL(SYS_listen, fd, 1);
}

long send_udp(target_t *target)
{
	const struct sockaddr_in address = loopback(target->tcp_port);
	long fd = CALL(SYS_socket, AF_INET, SOCK_DGRAM, 0);
	return fd < 0 ? -1 : CALL(SYS_sendto, fd, "x", 1, 0, &address, sizeof address);
}

long send_fastopen(target_t *target)
{
	const struct sockaddr_in address = loopback(target->tcp_port);
	long fd = CALL(SYS_socket, AF_INET, SOCK_STREAM, 0);
	return fd < 0 ? -1
		      : CALL(SYS_sendto, fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, &address,
				sizeof address);
}

/* A listener that was handed over lives in the host's network: closed by shutdown, the
 * same socket could be connected to anywhere. */
long reuse_listener_connect(target_t *target)
{
	const struct sockaddr_in address = loopback(target->tcp_port);
	(void)CALL(SYS_shutdown, target->listener, SHUT_RDWR);
	return CALL(SYS_connect, target->listener, &address, sizeof address);
}

long reuse_listener_sendto(target_t *target)
{
	const struct sockaddr_in address = loopback(target->tcp_port);
	(void)CALL(SYS_shutdown, target->listener, SHUT_RDWR);
	return CALL(SYS_sendto, target->listener, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, &address,
		sizeof address);
}

long reuse_listener_sendmsg(target_t *target)
{
	struct sockaddr_in address = loopback(target->tcp_port);
	struct iovec part = {"x", 1};
	struct msghdr message = {&address, sizeof address, &part, 1, NULL, 0, 0};
	(void)CALL(SYS_shutdown, target->listener, SHUT_RDWR);
	return CALL(SYS_sendmsg, target->listener, &message, MSG_FASTOPEN | MSG_NOSIGNAL);
}

long reuse_listener_sendmmsg(target_t *target)
{
	struct sockaddr_in address = loopback(target->tcp_port);
	struct iovec part = {"x", 1};
	struct mmsghdr message = {{&address, sizeof address, &part, 1, NULL, 0, 0}, 0};
	(void)CALL(SYS_shutdown, target->listener, SHUT_RDWR);
	return CALL(SYS_sendmmsg, target->listener, &message, 1, MSG_FASTOPEN | MSG_NOSIGNAL);
}

long reuse_listener_bind(target_t *target)
{
	const struct sockaddr_in address = loopback(0);
	(void)CALL(SYS_shutdown, target->listener, SHUT_RDWR);
	/* Bound to its port already: only an unbinding connect(AF_UNSPEC) frees it. */
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	if (CALL(SYS_connect, target->listener, &none, sizeof none) < 0)
		return -1;
	(void)CALL(SYS_bind, target->listener, &address, sizeof address);
	return 0;
}

long connect_on_first_write(target_t *target)
{
	int one = 1;
	(void)CALL(SYS_shutdown, target->listener, SHUT_RDWR);
	return CALL(SYS_setsockopt, target->listener, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one,
		sizeof one);
}

long mark_socket(target_t *target)
{
	int one = 1;
	return CALL(SYS_setsockopt, target->listener, SOL_SOCKET, SO_MARK, &one, sizeof one);
}
