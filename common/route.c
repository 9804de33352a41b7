#include "common/route.h"

#include "common/cleanup.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#define ANSWERS_MAX 16 /* late ones to what was asked before, looked through */

struct question {
	struct nlmsghdr header;
	struct rtmsg route;
	struct rtattr destination;
	uint8_t address[16];
};

int route_open(struct error *error)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	return fd < 0 ? error_errno(error, errno, "cannot open a socket to the routing table") : fd;
}

static bool ask(int fd, int family, const uint8_t *address, uint32_t number)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	const unsigned length = family == AF_INET ? 4 : 16;
	struct question question = {
		.header = {.nlmsg_type = RTM_GETROUTE,
			.nlmsg_flags = NLM_F_REQUEST,
			.nlmsg_seq = number},
		.route = {.rtm_family = (uint8_t)family, .rtm_dst_len = (uint8_t)(length * 8)},
		.destination = {.rta_type = RTA_DST, .rta_len = (uint16_t)RTA_LENGTH(length)},
	};
	memcpy(question.address, address, length);
	question.header.nlmsg_len = (uint32_t)(sizeof question - sizeof question.address + length);
	return sendto(fd, &question, question.header.nlmsg_len, MSG_NOSIGNAL,
		       (const struct sockaddr *)&kernel,
		       sizeof kernel) == (ssize_t)question.header.nlmsg_len;
}

/* 1: own, 0: not, -1: the answer to something else. */
static int judge(const void *answer, size_t length, uint32_t number)
{
	struct nlmsghdr header;
	struct rtmsg route;
	struct nlmsgerr refusal;
	if (length < sizeof header)
		return 1;
	memcpy(&header, answer, sizeof header);
	if (header.nlmsg_seq != number)
		return -1;
	const char *body = (const char *)answer + sizeof header;
	if (header.nlmsg_type == NLMSG_ERROR && length >= sizeof header + sizeof refusal.error) {
		memcpy(&refusal.error, body, sizeof refusal.error);
		/* No route at all, or one that forbids: it leads nowhere, so not to us. */
		return refusal.error == -ENOBUFS || refusal.error == -ENOMEM ||
		       refusal.error == -EPERM;
	}
	if (header.nlmsg_type != RTM_NEWROUTE || length < sizeof header + sizeof route)
		return 1;
	memcpy(&route, body, sizeof route);
	return route.rtm_type == RTN_LOCAL || route.rtm_type == RTN_ANYCAST;
}

/* The kernel answers before sendto returns. */
bool route_is_own(int route_fd, int family, const uint8_t address[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, 0xff};
	static uint32_t number; /* one thread */
	static char answer[4096];
	/* connect(2) takes it for the IPv4 address; the table of IPv6 knows nothing of it. */
	if (family == AF_INET6 && memcmp(address, mapped, sizeof mapped) == 0) {
		family = AF_INET;
		address += sizeof mapped;
	}
	if (!ask(route_fd, family, address, ++number))
		return true;
	for (int i = 0; i < ANSWERS_MAX; i++) {
		ssize_t length = recv(route_fd, answer, sizeof answer, MSG_DONTWAIT);
		if (length < 0)
			return true;
		int verdict = judge(answer, (size_t)length, number);
		if (verdict >= 0)
			return verdict;
	}
	return true;
}
