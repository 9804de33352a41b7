/* tenantd-ingress: accepts on the ports that tenants share, looks whose each connection is,
 * and hands it to a worker of that tenant. Started by tenantd, whose channel is descriptor
 * 3. */
#include "daemon/ingress/private.h"

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const struct option long_options[] = {
	{"uid", required_argument, NULL, 'u'},
	{0},
};

static int parse_options(int argc, char **argv, uint32_t *ret_uid)
{
	int option;
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		char *end = NULL;
		if (option != 'u')
			return -EINVAL;
		*ret_uid = (uint32_t)strtoul(optarg, &end, 10);
		if (*end || end == optarg)
			return -EINVAL;
	}
	return optind == argc && *ret_uid > 0 ? 0 : -EINVAL;
}

static int start(struct world *world, uint32_t uid, struct error *error)
{
	int result = channel_open(world, error);
	if (result == 0)
		result = confine(uid, error);
	if (result == 0)
		result = loop_open(world, error);
	if (result == 0)
		result = connections_open(world, error);
	if (result == 0)
		result = channel_ready_message(world, error);
	return result;
}

int main(int argc, char **argv)
{
	static struct world world;
	struct error error = {0};
	uint32_t uid = 0;
	log_init("tenantd-ingress");
	tzset(); /* while it can read the time zone */
	if (parse_options(argc, argv, &uid) < 0) {
		fprintf(stderr, "usage: tenantd-ingress --uid N\nIt is started by tenantd.\n");
		return 2;
	}
	int result = start(&world, uid, &error);
	if (result == 0)
		result = loop_run(&world, &error);
	if (result < 0 && error.message[0])
		log_error("event=ingress-failed message=\"%s\"", escape_for_log(error.message));
	tenants_free(&world);
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
