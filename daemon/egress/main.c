/* tenantd-egress: resolves names, checks them and their addresses against the policy of
 * who asks, connects, and hands the socket over. Started by tenantd, whose channel is
 * descriptor 3. */
#include "daemon/egress/private.h"

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/route.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHANNEL_FD 3

static const struct option long_options[] = {
	{"uid", required_argument, NULL, 'u'},
	{"resolv-conf", required_argument, NULL, 'r'},
	{"hosts", required_argument, NULL, 'h'},
	{0},
};

static int parse_options(int argc, char **argv, struct confine_options *options)
{
	int option;
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		char *end = NULL;
		if (option == 'u')
			options->uid = (uint32_t)strtoul(optarg, &end, 10);
		else if (option == 'r')
			options->resolv_conf = optarg;
		else if (option == 'h')
			options->hosts = optarg;
		else
			return -EINVAL;
		if (end && (*end || end == optarg))
			return -EINVAL;
	}
	return optind == argc && options->uid > 0 ? 0 : -EINVAL;
}

static int start(struct world *world, const struct confine_options *options, struct error *error)
{
	int type = 0;
	socklen_t length = sizeof type;
	if (getsockopt(CHANNEL_FD, SOL_SOCKET, SO_TYPE, &type, &length) < 0 ||
		type != SOCK_SEQPACKET)
		return error_set(error, EINVAL, "descriptor 3 is not tenantd's channel");
	world->supervisor = CHANNEL_FD;
	if (fcntl(CHANNEL_FD, F_SETFL, O_NONBLOCK) < 0 ||
		fcntl(CHANNEL_FD, F_SETFD, FD_CLOEXEC) < 0)
		return error_errno(error, errno, "cannot set up the channel");
	if (close_range(CHANNEL_FD + 1, ~0u, 0) < 0)
		return error_errno(error, errno, "cannot close what was inherited");
	/* No family of sockets but the Internet's and unix can be made afterwards. What would
	 * change the host's network takes capabilities, which are gone then. */
	world->route = route_open(error);
	if (world->route < 0)
		return world->route;
	int result = confine(options, error);
	if (result < 0)
		return result;
	result = sd_event_new(&world->event);
	if (result < 0)
		return error_errno(error, -result, "cannot make an event loop");
	result = resolver_new(
		world->event, options->resolv_conf, options->hosts, &world->resolver, error);
	if (result == 0)
		result = world_start(world, error);
	return result;
}

int main(int argc, char **argv)
{
	struct confine_options options = {.resolv_conf = "/etc/resolv.conf", .hosts = "/etc/hosts"};
	static struct world world;
	struct error error = {0};
	log_init("tenantd-egress");
	tzset(); /* while it can read the time zone */
	if (parse_options(argc, argv, &options) < 0) {
		fprintf(stderr,
			"usage: tenantd-egress --uid N [--resolv-conf FILE] [--hosts FILE]\n"
			"It is started by tenantd.\n");
		return 2;
	}
	int result = start(&world, &options, &error);
	if (result == 0)
		result = watchdog_loop(world.event);
	if (result < 0 && error.message[0])
		log_error("event=egress-failed message=\"%s\"", escape_for_log(error.message));
	world_finish(&world);
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
