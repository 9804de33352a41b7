#include "daemon/run_single_private.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/units.h"
#include "daemon/program.h"
#include "daemon/secrets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GRACE_MOST_MS (10 * 60 * 1000)

enum {
	OPTION_NAME = 256,
	OPTION_POLICY,
	OPTION_POLICY_DIR,
	OPTION_SECRETS_DIR,
	OPTION_TIER,
	OPTION_GRACE,
	OPTION_LOG_FORMAT,
	OPTION_LOG_LEVEL,
	OPTION_RUNTIME,
	OPTION_CA_FILE,
	OPTION_RESOLV_CONF,
	OPTION_HOSTS,
	OPTION_UID_BASE,
};

static const struct option long_options[] = {
	{"name", required_argument, NULL, OPTION_NAME},
	{"policy", required_argument, NULL, OPTION_POLICY},
	{"policy-dir", required_argument, NULL, OPTION_POLICY_DIR},
	{"secrets-dir", required_argument, NULL, OPTION_SECRETS_DIR},
	{"tier", required_argument, NULL, OPTION_TIER},
	{"grace", required_argument, NULL, OPTION_GRACE},
	{"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
	{"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
	{"runtime", required_argument, NULL, OPTION_RUNTIME},
	{"ca-file", required_argument, NULL, OPTION_CA_FILE},
	{"resolv-conf", required_argument, NULL, OPTION_RESOLV_CONF},
	{"hosts", required_argument, NULL, OPTION_HOSTS},
	{"uid-base", required_argument, NULL, OPTION_UID_BASE},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static const char usage[] =
	"usage: tenantd run [OPTION…] FILE|DIR [--] [ARGUMENT…]\n"
	"Runs one program, confined, until it ends, and exits with its code.\n"
	"  --policy FILE      what it may                  (NAME.json of --policy-dir)\n"
	"  --policy-dir DIR   where that lies              (/etc/tenantd/policy.d)\n"
	"  --name NAME        whose it is                  (app)\n"
	"  --secrets-dir DIR  NAME/… of each secret        (" SECRETS_FOLDER_DEFAULT ")\n"
	"  --tier TIER        full, container or single    (the best there is)\n"
	"  --grace TIME       to finish, when told to end  (tenant.json's)\n"
	"  --log-format FORM  plain, or json               (plain)\n"
	"  --log-level LEVEL  error, warn, info or debug   (warn)\n"
	"  --runtime DIR      tenant-zygote, library.snapshot\n"
	"  --ca-file FILE     authorities that its TLS trusts, PEM (the system's)\n"
	"  --resolv-conf FILE DNS servers                  (/etc/resolv.conf)\n"
	"  --hosts FILE       names known without DNS      (/etc/hosts)\n"
	"  --uid-base N       first of the user ids it is given as root\n"
	"  --help\n";

static int wrong(const char *option, const char *wanted)
{
	fprintf(stderr, "tenantd run: %s is %s, not \"%s\"\n", option, wanted, optarg);
	return -EINVAL;
}

static int parse_uid_base(struct run_options *options)
{
	char *end;
	errno = 0;
	unsigned long number = strtoul(optarg, &end, 10);
	if (errno || end == optarg || *end || *optarg == '-' || number < 1 ||
		number > UINT32_MAX - options->uid_count)
		return wrong("--uid-base", "a user id");
	options->uid_base = (uint32_t)number;
	return 0;
}

static int parse_level(void)
{
	static const char *const levels[] = {"error", "warn", "info", "debug"};
	for (size_t i = 0; i < ARRAY_LENGTH(levels); i++)
		if (strcmp(optarg, levels[i]) == 0) {
			log_set_level((enum log_level)i);
			return 0;
		}
	return wrong("--log-level", "error, warn, info or debug");
}

static int parse_format(struct run_options *options)
{
	if (strcmp(optarg, "json") == 0)
		options->format = RUN_FORMAT_JSON;
	else if (strcmp(optarg, "plain") == 0)
		options->format = RUN_FORMAT_PLAIN;
	else
		return wrong("--log-format", "plain or json");
	return 0;
}

static int take_option(struct run_options *options, int option)
{
	struct error error;
	switch (option) {
	case OPTION_NAME:
		options->name = optarg;
		if (policy_check_name(optarg, &error) == 0)
			return 0;
		fprintf(stderr, "tenantd run: --name: %s\n", error.message);
		return -EINVAL;
	case OPTION_POLICY:
		options->policy_file = optarg;
		return 0;
	case OPTION_POLICY_DIR:
		options->policy_folder = optarg;
		return 0;
	case OPTION_SECRETS_DIR:
		options->secrets_folder = optarg;
		return 0;
	case OPTION_TIER:
		options->tier = (enum tier)tier_find(optarg);
		return (int)options->tier < 0 ? wrong("--tier", "full, container or single") : 0;
	case OPTION_GRACE:
		return units_parse_duration(optarg, &options->grace_ms) < 0 ||
				       options->grace_ms > GRACE_MOST_MS
			       ? wrong("--grace", "a time of 0s to 10m")
			       : 0;
	case OPTION_LOG_FORMAT:
		return parse_format(options);
	case OPTION_LOG_LEVEL:
		return parse_level();
	case OPTION_RUNTIME:
		options->runtime = optarg;
		return 0;
	case OPTION_CA_FILE:
		options->ca_file = optarg;
		return 0;
	case OPTION_RESOLV_CONF:
		options->resolv_conf = optarg;
		return 0;
	case OPTION_HOSTS:
		options->hosts = optarg;
		return 0;
	case OPTION_UID_BASE:
		return parse_uid_base(options);
	case 'h':
		fputs(usage, stdout);
		return 1;
	default:
		return -EINVAL;
	}
}

int run_options_parse(int argc, char **argv, struct run_options *options)
{
	int option;
	/* "+": what follows the program is the program's. */
	while ((option = getopt_long(argc, argv, "+h", long_options, NULL)) != -1) {
		int result = take_option(options, option);
		if (result != 0)
			return result;
	}
	if (optind == argc) {
		fprintf(stderr, "tenantd run: what is to be run?\n%s", usage);
		return -EINVAL;
	}
	options->path = argv[optind++];
	if (optind < argc && strcmp(argv[optind], "--") == 0)
		optind++;
	options->arguments = (const char *const *)argv + optind;
	options->argument_count = (size_t)(argc - optind);
	return 0;
}

/* ---- the policy ---- */

/* As platforms tell it their programs: the port of the first listener that has one. */
static int take_port(struct policy *policy, struct error *error)
{
	const char *text = getenv("PORT");
	char *end;
	if (text == NULL || text[0] == '\0')
		return 0;
	errno = 0;
	unsigned long port = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || port < 1 || port > UINT16_MAX)
		return error_set(error, EINVAL, "the variable PORT is not a port, 1 to 65535");
	for (size_t i = 0; i < policy->net.listen.count; i++)
		if (policy->net.listen.items[i].family != AF_UNIX) {
			policy->net.listen.items[i].port = (uint16_t)port;
			return 0;
		}
	return 0;
}

/* Without a policy a program may listen, and no more. In a container, whose network is its
 * own, on all addresses; elsewhere as any tenant without one. */
static void listen_as_a_container(struct policy *policy)
{
	struct policy_listen *listen = policy->net.listen.items;
	if (getpid() != 1 || policy->net.listen.count != 1)
		return;
	listen->family = AF_INET;
	memset(listen->address, 0, sizeof listen->address);
	listen->port = RUN_PORT_DEFAULT;
}

static int read_policy(const struct run_options *options, struct policy **ret_policy,
	char ret_file[256], struct error *error)
{
	if (options->policy_file) {
		snprintf(ret_file, 256, "%s", options->policy_file);
		return policy_read(AT_FDCWD, options->policy_file, ret_policy, error);
	}
	cleanup_close int folder = open(options->policy_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0 && errno != ENOENT)
		return error_errno(
			error, errno, "cannot open the folder %s", options->policy_folder);
	if (folder >= 0) {
		int result = program_policy(folder, options->name, ret_policy, ret_file, error);
		if (result < 0 || strcmp(ret_file, "default") != 0)
			return result;
	} else {
		snprintf(ret_file, 256, "default");
		*ret_policy = policy_default();
	}
	if (*ret_policy == NULL)
		return error_set(error, ENOMEM, "no memory for a policy");
	listen_as_a_container(*ret_policy);
	return 0;
}

int run_options_policy(const struct run_options *options, struct policy **ret_policy,
	char ret_file[256], struct error *error)
{
	int result = read_policy(options, ret_policy, ret_file, error);
	return result == 0 ? take_port(*ret_policy, error) : result;
}
