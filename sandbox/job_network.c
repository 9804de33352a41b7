/* A job's network: a namespace of its own with nothing in it but loopback. If the policy
 * lets it connect anywhere, tenantd-egress serves a proxy there: process 1 makes the
 * listening socket, which belongs to this namespace whoever accepts on it. */
#include "common/cleanup.h"
#include "common/egress.h"
#include "common/message.h"
#include "sandbox/job_steps.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROXY_BACKLOG 128

int job_network_up(struct error *error)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(error, errno, "cannot make a socket");
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return error_errno(error, errno, "cannot bring up the loopback interface");
	return 0;
}

int job_proxy_listen(uint16_t *ret_port, struct error *error)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t length = sizeof address;
	cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(error, errno, "cannot make the proxy's socket");
	/* Any free port: the program's own servers may want the ones that have names. */
	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
		listen(fd, PROXY_BACKLOG) < 0 ||
		getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return error_errno(error, errno, "cannot listen for the proxy");
	*ret_port = ntohs(address.sin_port);
	return take_fd(&fd);
}

int job_proxy_send(int channel, int proxy, struct error *error)
{
	struct egress_header header = {.type = EGRESS_PROXY};
	int result = message_send(channel, &header, sizeof header, &proxy, 1);
	/* It is gone: another channel comes with the next one (MESSAGE_EGRESS). */
	if (result == -EPIPE || result == -ECONNRESET)
		return 0;
	if (result < 0)
		return error_errno(error, result, "cannot hand the proxy's socket to egress");
	return 0;
}
