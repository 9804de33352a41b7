/* wpt_worker SNAPSHOT: runs web platform tests, one after the other, each in a fork of
 * this process, as tenants run. test/wpt/wpt.py speaks to it.
 *
 * A line of the standard input is one run: TIMEOUT_MS, CONFIG and paths of scripts, with
 * tabs between. CONFIG is JSON that the scripts find as __wpt. What they write goes to the
 * standard output; at the end of each run this process adds the line "@END STATUS", with
 * what waitpid gave.
 *
 * When TIMEOUT_MS have passed, or nothing is left to wait for (but timers that keep no
 * program alive, which get GRACE_MS), the function __wptTimeout
 * that the first script has defined is called. A run that hangs is killed later. */

#include "common/cleanup.h"
#include "common/file.h"
#include "isolate/natives.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* For tests that never come back to the loop. */
#define KILL_AFTER_MS 5000
#define GRACE_MS 2000

static const struct worker_start start = {
	.tenant = "wpt",
	.entry = "test.js",
	.root = "/app",
	.mode = WORKER_MODE_SCRIPT,
	.allow_eval = true,
	.allow_wasm = true,
	.allow_jit = true,
	.memory_bytes = 1024u << 20,
	.files = 64,
	.turn_cpu_ms = 120000,
};

static void run_source(const char *source, size_t length, const char *name)
{
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	if (engine_run_script(runtime.engine, source, length, name, NULL) < 0)
		runtime_uncaught();
	engine_scope_close(runtime.engine, &scope);
}

static void run_file(const char *path)
{
	struct error error = {0};
	cleanup_free char *source = NULL;
	size_t length;
	if (file_read(AT_FDCWD, path, 64u << 20, &source, &length, &error) < 0) {
		fprintf(stderr, "%s\n", error.message);
		_exit(2);
	}
	run_source(source, length, path);
}

static void on_timeout(uv_timer_t *timer)
{
	static const char call[] = "__wptTimeout('timeout')";
	(void)timer;
	run_source(call, sizeof call - 1, "timeout");
	runtime_tick();
	uv_stop(&runtime.loop);
}

static void start_timer(uv_timer_t *timer, uint64_t timeout_ms)
{
	uv_timer_init(&runtime.loop, timer);
	uv_timer_start(timer, on_timeout, timeout_ms, 0);
	uv_unref((uv_handle_t *)timer);
}

static void on_grace(uv_timer_t *timer)
{
	(void)timer;
	uv_stop(&runtime.loop);
}

static void define_config(const char *config)
{
	cleanup_free char *source = NULL;
	int length = asprintf(&source, "globalThis.__wpt = %s;", config);
	if (length < 0)
		_exit(2);
	run_source(source, (size_t)length, "config");
}

_Noreturn static void child(uint64_t timeout_ms, const char *config, char *paths)
{
	static const char last_call[] = "__wptTimeout('nothing is left to wait for')";
	static uv_timer_t timer, grace;
	struct error error = {0};
	/* It dies with this program, which may be killed at any moment. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(STDOUT_FILENO, STDERR_FILENO);
	if (runtime_start(&start, &error) < 0) {
		fprintf(stderr, "%s\n", error.message);
		_exit(2);
	}
	start_timer(&timer, timeout_ms);
	uv_timer_init(&runtime.loop, &grace);
	define_config(config);
	for (char *path; (path = strsep(&paths, "\t"));)
		run_file(path);
	/* The harness takes the first microtask for the end of loading. */
	runtime_tick();
	uv_run(&runtime.loop, UV_RUN_DEFAULT);
	uv_timer_start(&grace, on_grace, GRACE_MS, 0);
	uv_run(&runtime.loop, UV_RUN_DEFAULT);
	run_source(last_call, sizeof last_call - 1, "end");
	runtime_tick();
	_exit(0);
}

/* What waitpid gave. */
static int wait_for(pid_t pid, uint64_t timeout_ms)
{
	cleanup_close int pidfd = pidfd_open(pid, 0);
	struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};
	int status = 0;
	if (poll(&poll_fd, 1, (int)(timeout_ms + KILL_AFTER_MS)) <= 0)
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return status;
}

static void run_line(char *line)
{
	line[strcspn(line, "\n")] = '\0';
	char *timeout = strsep(&line, "\t"), *config = strsep(&line, "\t");
	uint64_t timeout_ms = strtoull(timeout, NULL, 10);
	if (!config || !line) {
		fprintf(stderr, "wpt_worker: not a run: %s\n", timeout);
		exit(2);
	}
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(2);
	}
	if (pid == 0)
		child(timeout_ms, config, line);
	printf("\n@END %d\n", wait_for(pid, timeout_ms));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct error error = {0};
	cleanup_free char *line = NULL;
	size_t size = 0;
	if (argc != 2) {
		fprintf(stderr, "usage: wpt_worker SNAPSHOT\n");
		return 2;
	}
	if (runtime_open(argv[1], false, &error) < 0) {
		fprintf(stderr, "%s\n", error.message);
		return 2;
	}
	while (getline(&line, &size, stdin) > 0)
		run_line(line);
	return 0;
}
