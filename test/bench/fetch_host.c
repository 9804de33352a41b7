/* The runtime of a worker without the worker: no sandbox, no supervisor. For the tests of
 * fetch() (test/unit/fetch_*_test.py), which are its egress process and supervisor,
 * and for measuring what the confinement costs.
 *
 *     fetch_host [OPTION…] SNAPSHOT SCRIPT    SCRIPT is a classic script
 *
 *     --egress FD      channel to an egress process (common/egress.h)
 *     --channel FD     channel to a supervisor, which may send EGRESS
 *     --ca-file FILE   authorities to trust
 *     --memory BYTES   of the tenant
 *     --files N        its limit of descriptors */

#include "common/cleanup.h"
#include "common/file.h"
#include "isolate/ca_store.h"
#include "isolate/channel.h"
#include "isolate/egress_client.h"
#include "isolate/fetch.h"

#include <fcntl.h>
#include <getopt.h>
#include <string.h>

static struct worker_start start = {
	.entry = "fetch_host",
	.tenant = "fetch-host",
	.root = "/app",
	.mode = WORKER_MODE_SCRIPT,
	.allow_eval = true,
	.allow_wasm = true,
	.allow_jit = true,
};

_Noreturn static void die(const char *what, const char *why)
{
	fprintf(stderr, "fetch_host: %s: %s\n", what, why);
	exit(1);
}

static void run(const char *script)
{
	struct error error = {0};
	struct engine_scope scope;
	cleanup_free char *source = NULL;
	size_t length;
	if (file_read(AT_FDCWD, script, 16u << 20, &source, &length, &error) < 0)
		die("cannot read", error.message);
	engine_scope_open(runtime.engine, &scope);
	engine_ref *hook = runtime_hook("startProcess");
	runtime_call(
		engine_ref_get(runtime.engine, hook), engine_undefined(runtime.engine), NULL, 0);
	engine_ref_free(hook);
	if (engine_run_script(runtime.engine, source, length, script, NULL) < 0)
		runtime_uncaught();
	runtime_tick();
	engine_scope_close(runtime.engine, &scope);
}

int main(int argc, char **argv)
{
	enum { EGRESS = 1, CHANNEL, CA_FILE, MEMORY, FILES };
	static const struct option options[] = {
		{"egress", required_argument, NULL, EGRESS},
		{"channel", required_argument, NULL, CHANNEL},
		{"ca-file", required_argument, NULL, CA_FILE},
		{"memory", required_argument, NULL, MEMORY},
		{"files", required_argument, NULL, FILES},
		{0},
	};
	int egress = -1, channel = -1;
	const char *ca_file = NULL;
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (option == EGRESS)
			egress = atoi(optarg);
		else if (option == CHANNEL)
			channel = atoi(optarg);
		else if (option == CA_FILE)
			ca_file = optarg;
		else if (option == MEMORY)
			start.memory_bytes = strtoull(optarg, NULL, 10);
		else if (option == FILES)
			start.files = (uint32_t)strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (argc - optind != 2) {
		fprintf(stderr, "usage: fetch_host [OPTION…] SNAPSHOT SCRIPT\n");
		return 2;
	}
	struct error error = {0};
	start.egress = egress >= 0;
	if (runtime_open(argv[optind], false, &error) < 0 || fetch_prepare(&error) < 0 ||
		ca_store_load(ca_file, &error) < 0)
		die("cannot start", error.message);
	runtime.channel = channel;
	if (runtime_start(&start, &error) < 0)
		die("cannot start", error.message);
	egress_client_open(egress);
	if (channel >= 0)
		channel_watch();
	run(argv[optind + 1]);
	return uv_run(&runtime.loop, UV_RUN_DEFAULT);
}
