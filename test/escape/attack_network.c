/* Sockets, made and handed over: E13, E14. */
#include "attack_acts.h"

#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/ioctl.h>
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

/* Other ways to write 127.0.0.1, and what else must not be reached. */
static long connect_inet6(target_t *target, struct in6_addr to)
{
	const struct sockaddr_in6 address = {.sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)target->tcp_port),
		.sin6_addr = to};
	long fd = CALL(SYS_socket, AF_INET6, SOCK_STREAM, 0);
	return fd < 0 ? -1 : CALL(SYS_connect, fd, &address, sizeof address);
}

long connect_mapped(target_t *target)
{
	return connect_inet6(
		target, (struct in6_addr){{{[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}}});
}

long connect_ipv6(target_t *target)
{
	return connect_inet6(target, in6addr_loopback);
}

static long connect_to(uint32_t address, int port)
{
	struct sockaddr_in to = loopback(port);
	to.sin_addr.s_addr = htonl(address);
	long fd = CALL(SYS_socket, AF_INET, SOCK_STREAM, 0);
	return fd < 0 ? -1 : CALL(SYS_connect, fd, &to, sizeof to);
}

long connect_any_address(target_t *target)
{
	return connect_to(INADDR_ANY, target->tcp_port);
}

long connect_metadata(target_t *target)
{
	(void)target;
	return connect_to(0xa9fea9fe, 80);
}

/* The kernel takes 32 bits of each: a filter that compares 64 sees other numbers. */
long open_socket_high_bits(target_t *target)
{
	(void)target;
	return CALL(SYS_socket, HIGH_BIT | AF_INET, HIGH_BIT | SOCK_STREAM, HIGH_BIT);
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

/* ---- sockets in the host's network, connected for the tenant by somebody else ---- */

/* Success is that it listens, whatever listen(2) says: a filter may pretend. */
static long is_listening(int fd)
{
	int listening = 0;
	socklen_t length = sizeof listening;
	if (CALL(SYS_getsockopt, fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 &&
		listening)
		return 0;
	errno = EPERM;
	return -1;
}

/* A listener that was closed opens its port again, with the host's other listener gone. */
long listen_again(target_t *target)
{
	(void)CALL(SYS_shutdown, target->listener, SHUT_RDWR);
	return CALL(SYS_listen, target->listener, 5) < 0 ? -1 : is_listening(target->listener);
}

static long disconnect(int fd)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	return CALL(SYS_connect, fd, &none, sizeof none);
}

/* connect(2): AF_UNSPEC dissolves the association. Then to anywhere. */
long reuse_connection_connect(target_t *target)
{
	const struct sockaddr_in address = loopback(target->tcp_port);
	if (disconnect(target->connected) < 0)
		return -1;
	return CALL(SYS_connect, target->connected, &address, sizeof address);
}

/* An unbound socket that listens gets a port of its own, on all addresses. */
long reuse_connection_listen(target_t *target)
{
	(void)CALL(SYS_shutdown, target->connected, SHUT_RDWR);
	(void)disconnect(target->connected);
	return CALL(SYS_listen, target->connected, 5) < 0 ? -1 : is_listening(target->connected);
}

/* Past Landlock, which does not see MSG_FASTOPEN before Linux 7.2. */
long reuse_connection_fastopen(target_t *target)
{
	const struct sockaddr_in address = loopback(target->tcp_port);
	(void)disconnect(target->connected);
	return CALL(SYS_sendto, target->connected, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, &address,
		sizeof address);
}

/* At the number of a listener, where a filter by numbers would let it listen. */
long reuse_connection_as_listener(target_t *target)
{
	(void)disconnect(target->connected);
	(void)CALL(SYS_close, target->listener);
	(void)CALL(SYS_fcntl, target->connected, F_DUPFD_CLOEXEC, target->listener);
	return CALL(SYS_listen, target->listener, 5) < 0 ? -1 : is_listening(target->listener);
}

static long set_option(int fd, int level, int option, const void *value, size_t length)
{
	return CALL(SYS_setsockopt, fd, level, option, value, length);
}

/* Writes its own sequence numbers and peers. */
long repair_connection(target_t *target)
{
	int one = 1;
	return set_option(target->connected, IPPROTO_TCP, 19 /* TCP_REPAIR */, &one, sizeof one);
}

long filter_connection(target_t *target)
{
	static const struct {
		unsigned short code;
		unsigned char jt, jf;
		unsigned k;
	} accept_all = {0x06, 0, 0, 0xffffffff};
	const struct {
		unsigned short length;
		const void *filter;
	} program = {1, &accept_all};
	return set_option(
		target->connected, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

/* Kernel TLS, SMC, MPTCP: much code behind one option. */
long hand_connection_to_protocol(target_t *target)
{
	return set_option(target->connected, IPPROTO_TCP, TCP_ULP, "tls", 3);
}

long bind_to_device(target_t *target)
{
	return set_option(target->connected, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
}

/* Loose source routing: packets that take a way of the sender's choice. */
long route_by_source(target_t *target)
{
	static const unsigned char option[] = {131, 7, 4, 127, 0, 0, 1, 0};
	return set_option(target->connected, IPPROTO_IP, IP_OPTIONS, option, sizeof option);
}

long force_buffer(target_t *target)
{
	const int size = 1 << 30;
	return set_option(target->connected, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
}

long choose_congestion_control(target_t *target)
{
	return set_option(target->connected, IPPROTO_TCP, TCP_CONGESTION, "reno", 5);
}

/* The socket lives in the host's network: its interfaces and their addresses. */
long list_interfaces(target_t *target)
{
	struct ifreq interfaces[8];
	struct ifconf list = {.ifc_len = sizeof interfaces, .ifc_req = interfaces};
	return CALL(SYS_ioctl, target->connected, SIOCGIFCONF, &list);
}
