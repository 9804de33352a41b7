/* tenant-zygote SNAPSHOT [--jitless] [--tier TIER] [--once] [--ca-file FILE]: holds a warm isolate with the
 * library and no tenant's code, and forks workers when the supervisor, at descriptor 3, asks. It
 * never touches the network and never runs a tenant's code. */

#include "common/log.h"
#include "isolate/ca_store.h"
#include "isolate/fetch.h"
#include "isolate/fork_pages.h"
#include "isolate/rehearsal.h"
#include "isolate/runtime.h"
#include "isolate/worker.h"
#include "sandbox/fork_server.h"
#include "sandbox/sandbox.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

struct zygote_options {
	const char *snapshot, *ca_file;
	bool jitless;
	bool once; /* for one worker: what only pays with many is left out */
	enum tier tier;
};

static struct sandbox_filters filters;

static void become_worker(int channel, uint32_t instance, void *data)
{
	const struct zygote_options *options = data;
	runtime.instance = instance;
	worker_main(options->tier, channel, &filters);
}

/* Everything that can be done before the first fork is done here. */
static int prepare(const struct zygote_options *options, struct error *error)
{
	struct error untrusted = {0};
	int result = runtime_open(options->snapshot, options->jitless, error);
	if (result < 0)
		return result;
	worker_bind();
	if (!options->once)
		runtime_warm_up();
	engine_low_memory(runtime.engine);
	result = engine_check_fork_safe(error);
	if (result == 0)
		result = fetch_prepare(error);
	if (result == 0)
		result = sandbox_filters_build(options->tier, options->jitless, &filters, error);
	if (result < 0)
		return result;
	if (ca_store_load(options->ca_file, &untrusted) < 0)
		log_warn("%s; the TLS connections of tenants will fail", untrusted.message);
	struct error slower = {0};
	if (!options->once)
		fork_pages_fill_holes();
	if (!options->once && (fork_pages_share_code(&slower) < 0 ||
				      fork_pages_learn(rehearse_worker, &slower) < 0))
		log_warn("%s; starts take longer", slower.message);
	return tier_is_bare(options->tier) ? 0 : sandbox_small_root(error);
}

int main(int argc, char **argv)
{
	struct error error = {0};

	log_init("tenant-zygote");
	if (argc < 2) {
		fprintf(stderr, "usage: tenant-zygote SNAPSHOT [--jitless] [--tier TIER] "
				"[--once] [--ca-file FILE]\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_IGN); /* A Ctrl-C is the supervisor's to handle. */
	struct zygote_options options = {.snapshot = argv[1], .tier = TIER_FULL};
	for (int i = 2; i < argc; i++)
		if (strcmp(argv[i], "--jitless") == 0)
			options.jitless = true;
		else if (strcmp(argv[i], "--once") == 0)
			options.once = true;
		else if (strcmp(argv[i], "--ca-file") == 0 && i + 1 < argc)
			options.ca_file = argv[++i];
		else if (strcmp(argv[i], "--tier") == 0 && i + 1 < argc)
			options.tier = (enum tier)tier_find(argv[++i]);
	if (prepare(&options, &error) < 0) {
		log_error("%s", error.message);
		fork_server_failed(&error);
		return 1;
	}
	return fork_server_run(&(struct fork_server){
		.tier = options.tier,
		.namespaces_ahead = !tier_is_bare(options.tier),
		.child = become_worker,
		.data = &options,
	});
}
