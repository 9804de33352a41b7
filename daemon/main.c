/* tenantd: root's supervisor of the tenants. */
#include "common/cleanup.h"
#include "common/control.h"
#include "common/log.h"
#include "daemon/fdstore.h"
#include "daemon/history.h"
#include "daemon/journal.h"
#include "daemon/reexec.h"
#include "daemon/run_single.h"
#include "daemon/secrets.h"
#include "daemon/shared_ports.h"
#include "daemon/supervisor.h"
#include "daemon/takeover.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_USAGE 2

enum {
	OPTION_STATE = 256,
	OPTION_SOCKET,
	OPTION_POLICY_DIR,
	OPTION_RUNTIME,
	OPTION_WARM,
	OPTION_UID_BASE,
	OPTION_UID_COUNT,
	OPTION_CGROUP,
	OPTION_SECRETS_DIR,
	OPTION_TIER,
	OPTION_RESOLV_CONF,
	OPTION_HOSTS,
	OPTION_CA_FILE,
	OPTION_LOG_LEVEL,
	OPTION_FOREGROUND,
	OPTION_PRINT_STATES,
	OPTION_KEEP_RELEASES,
	OPTION_HTTP,
	OPTION_HTTPS,
	OPTION_HANDOVER,
	OPTION_CHECK_HANDOVER,
};

static const struct option long_options[] = {
	{"state", required_argument, NULL, OPTION_STATE},
	{"socket", required_argument, NULL, OPTION_SOCKET},
	{"policy-dir", required_argument, NULL, OPTION_POLICY_DIR},
	{"runtime", required_argument, NULL, OPTION_RUNTIME},
	{"warm", required_argument, NULL, OPTION_WARM},
	{"uid-base", required_argument, NULL, OPTION_UID_BASE},
	{"uid-count", required_argument, NULL, OPTION_UID_COUNT},
	{"cgroup", required_argument, NULL, OPTION_CGROUP},
	{"secrets-dir", required_argument, NULL, OPTION_SECRETS_DIR},
	{"tier", required_argument, NULL, OPTION_TIER},
	{"ca-file", required_argument, NULL, OPTION_CA_FILE},
	{"resolv-conf", required_argument, NULL, OPTION_RESOLV_CONF},
	{"hosts", required_argument, NULL, OPTION_HOSTS},
	{"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
	{"foreground", no_argument, NULL, OPTION_FOREGROUND},
	{"keep-releases", required_argument, NULL, OPTION_KEEP_RELEASES},
	{"http", required_argument, NULL, OPTION_HTTP},
	{"https", required_argument, NULL, OPTION_HTTPS},
	{"handover", required_argument, NULL, OPTION_HANDOVER},
	{"check-handover", required_argument, NULL, OPTION_CHECK_HANDOVER},
	{"print-states", no_argument, NULL, OPTION_PRINT_STATES},
	{"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

/* daemon/reexec.h: the descriptor of what another daemon has handed over, and the question
 * whether this program could take it. */
static uint32_t handover_fd;
static const char *check_version;

static const char usage[] =
	"usage: tenantd [OPTION…]\n"
	"  --state DIR        releases, state, logs        (/var/lib/tenantd)\n"
	"  --socket PATH      control socket               (" CONTROL_SOCKET_DEFAULT ")\n"
	"  --policy-dir DIR   NAME.json of each tenant     (/etc/tenantd/policy.d)\n"
	"  --runtime DIR      tenant-zygote, library.snapshot (beside\n"
	"                     tenantd, or ../lib/tenantd)\n"
	"  --warm N           workers prepared ahead       (2)\n"
	"  --uid-base N       first user id for tenants    (1879048192)\n"
	"  --uid-count N      how many                     (131072)\n"
	"  --secrets-dir DIR  TENANT/NAME of each secret   (" SECRETS_FOLDER_DEFAULT ")\n"
	"  --tier TIER        full, or container           (full)\n"
	"  --ca-file FILE     authorities that tenants' TLS trusts, PEM (the system's)\n"
	"  --resolv-conf FILE DNS servers for tenants      (/etc/resolv.conf)\n"
	"  --hosts FILE       names known without DNS      (/etc/hosts)\n"
	"  --keep-releases N  of each tenant, to roll back to (5)\n"
	"  --http ADDRESS     port that tenants share by net.ingress; several are possible\n"
	"  --https ADDRESS    the same for TLS\n"
	"  --cgroup NAME      base control group           (tenantd)\n"
	"  --log-level LEVEL  error, warn, info or debug   (info)\n"
	"  --foreground       accepted; there is no other way\n"
	"  --check-handover VERSION  whether it could take over by daemon-reexec\n"
	"  --print-states     prints the states of a tenant as Markdown\n"
	"  --version, --help\n"
	"or: tenantd run [OPTION…] FILE|DIR [--] [ARGUMENT…]   (one program; run --help)\n";

/* Folder of the running program, "." if unknown. */
static const char *own_folder(void)
{
	static char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
	if (length <= 0)
		return ".";
	path[length] = '\0';
	char *slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
	return path;
}

/* Where the other programs lie: beside this one, as in a build; where they are installed,
 * PREFIX/sbin/tenantd has them in PREFIX/lib/tenantd. */
static const char *runtime_folder(void)
{
	static char real[PATH_MAX];
	char path[PATH_MAX + sizeof "/../lib/tenantd/tenant-zygote"];
	const char *own = own_folder();
	snprintf(path, sizeof path, "%s/../lib/tenantd/tenant-zygote", own);
	if (realpath(path, real) == NULL)
		return own;
	*strrchr(real, '/') = '\0';
	return real;
}

static int parse_number(const char *option, const char *text, unsigned long least,
	unsigned long most, uint32_t *ret_number)
{
	char *end;
	errno = 0;
	unsigned long number = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || number < least || number > most) {
		fprintf(stderr, "tenantd: %s wants a number from %lu to %lu, not \"%s\"\n", option,
			least, most, text);
		return -EINVAL;
	}
	*ret_number = (uint32_t)number;
	return 0;
}

static int parse_level(const char *text)
{
	static const char *const levels[] = {"error", "warn", "info", "debug"};
	for (size_t i = 0; i < ARRAY_LENGTH(levels); i++)
		if (strcmp(text, levels[i]) == 0) {
			log_set_level((enum log_level)i);
			return 0;
		}
	fprintf(stderr, "tenantd: --log-level is error, warn, info or debug, not \"%s\"\n", text);
	return -EINVAL;
}

static int parse_tier(const char *text, enum tier *ret_tier)
{
	int tier = tier_find(text);
	if (tier < 0) {
		fprintf(stderr, "tenantd: --tier is full or container, not \"%s\"\n", text);
		return -EINVAL;
	}
	if (tier == TIER_SINGLE) {
		fprintf(stderr,
			"tenantd: the tier single is for one program (tenantd run): tenants of "
			"many would be one user\n");
		return -EINVAL;
	}
	*ret_tier = (enum tier)tier;
	return 0;
}

/* That it can be bound is seen at the start; that it is an address, now. */
static int add_port(struct options *options, bool tls)
{
	struct policy_listen parsed;
	struct error error;
	if (policy_listen_parse(optarg, &parsed, &error) < 0) {
		fprintf(stderr, "tenantd: %s: %s\n", tls ? "--https" : "--http", error.message);
		return -EINVAL;
	}
	if (options->port_count == ARRAY_LENGTH(options->ports)) {
		fprintf(stderr, "tenantd: at most %zu of --http and --https are possible\n",
			ARRAY_LENGTH(options->ports));
		return -EINVAL;
	}
	options->ports[options->port_count++] = (struct ingress_port){optarg, -1, tls};
	return 0;
}

/* Returns 0 to go on, 1 when all is done, negative on wrong usage. */
static int take_option(struct options *options, int option)
{
	switch (option) {
	case OPTION_STATE:
		options->state_folder = optarg;
		return 0;
	case OPTION_SOCKET:
		options->socket = optarg;
		return 0;
	case OPTION_POLICY_DIR:
		options->policy_folder = optarg;
		return 0;
	case OPTION_RUNTIME:
		options->runtime_folder = optarg;
		return 0;
	case OPTION_WARM:
		return parse_number("--warm", optarg, 0, STOCK_MAX, &options->warm);
	case OPTION_UID_BASE:
		return parse_number("--uid-base", optarg, 1, UINT32_MAX - 1, &options->uid_base);
	case OPTION_UID_COUNT:
		/* The spare ranges, and one tenant. */
		return parse_number("--uid-count", optarg,
			FACTORY_IDS_PER_SLOT * (FACTORY_SPARE_SLOTS + 1), 1u << 24,
			&options->uid_count);
	case OPTION_CGROUP:
		options->cgroup_name = optarg;
		return 0;
	case OPTION_SECRETS_DIR:
		options->secrets_folder = optarg;
		return 0;
	case OPTION_TIER:
		return parse_tier(optarg, &options->tier);
	case OPTION_CA_FILE:
		options->ca_file = optarg;
		return 0;
	case OPTION_RESOLV_CONF:
		options->resolv_conf = optarg;
		return 0;
	case OPTION_HOSTS:
		options->hosts = optarg;
		return 0;
	case OPTION_LOG_LEVEL:
		return parse_level(optarg);
	case OPTION_KEEP_RELEASES:
		return parse_number(
			"--keep-releases", optarg, 1, HISTORY_KEEP_MAX, &options->keep_releases);
	case OPTION_HTTP:
	case OPTION_HTTPS:
		return add_port(options, option == OPTION_HTTPS);
	case OPTION_FOREGROUND:
		return 0;
	case OPTION_HANDOVER:
		return parse_number("--handover", optarg, 3, INT_MAX, &handover_fd);
	case OPTION_CHECK_HANDOVER:
		check_version = optarg;
		return 0;
	case OPTION_PRINT_STATES:
		machine_print(stdout);
		return 1;
	case 'V':
		puts("tenantd " TENANTD_VERSION);
		return 1;
	case 'h':
		fputs(usage, stdout);
		return 1;
	default:
		return -EINVAL;
	}
}

static int parse_options(int argc, char **argv, struct options *options)
{
	int option;
	while ((option = getopt_long(argc, argv, "hV", long_options, NULL)) != -1) {
		int result = take_option(options, option);
		if (result != 0)
			return result;
	}
	if (optind < argc) {
		fprintf(stderr, "tenantd: unexpected argument \"%s\"\n%s", argv[optind], usage);
		return -EINVAL;
	}
	if ((uint64_t)options->uid_base + options->uid_count > UINT32_MAX) {
		fprintf(stderr, "tenantd: --uid-base and --uid-count go beyond the last user id\n");
		return -EINVAL;
	}
	return 0;
}

/* What the service manager passes. */
static int take_passed(struct options *options, struct error *error)
{
	static struct takeover takeover;
	int result = fdstore_open(error);
	if (result == 0 && handover_fd) {
		result = takeover_read((int)handover_fd, &takeover, error);
		options->takeover = &takeover;
	}
	if (result == 0 && handover_fd)
		result = fdstore_restore(json_object_get(takeover.root, "passed"),
			json_object_get(takeover.root, "ports"), &takeover, error);
	if (result == 0)
		result = shared_ports_add(
			options->ports, &options->port_count, ARRAY_LENGTH(options->ports), error);
	return result;
}

int main(int argc, char **argv)
{
	static struct supervisor supervisor;
	struct error error = {0};
	struct options options = {
		.state_folder = "/var/lib/tenantd",
		.socket = CONTROL_SOCKET_DEFAULT,
		.policy_folder = "/etc/tenantd/policy.d",
		.secrets_folder = SECRETS_FOLDER_DEFAULT,
		.tier = TIER_FULL,
		.runtime_folder = runtime_folder(),
		.warm = 2,
		.keep_releases = HISTORY_KEEP_DEFAULT,
		.uid_base = FACTORY_UID_BASE,
		.uid_count = 131072,
	};
	log_init("tenantd");
	reexec_remember(argc, argv);
	if (argc > 1 && strcmp(argv[1], "run") == 0)
		return run_single_main(argc - 1, argv + 1, runtime_folder());
	int result = parse_options(argc, argv, &options);
	if (result != 0)
		return result < 0 ? EXIT_USAGE : EXIT_SUCCESS;
	if (check_version)
		return reexec_check(&options, check_version);
	journal_open(JOURNAL_SOCKET);
	if (take_passed(&options, &error) < 0) {
		log_error("%s", error.message);
		return EXIT_FAILURE;
	}
	result = supervisor_start(&supervisor, &options, &error);
	if (result == 0)
		result = supervisor_run(&supervisor, &error);
	else if (result == -ECANCELED && supervisor.stopping)
		result = 0; /* Told to end before it was ready, and does. */
	if (result < 0)
		log_error("%s", error.message);
	supervisor_finish(&supervisor);
	if (result == 0)
		log_info("event=stopped");
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
