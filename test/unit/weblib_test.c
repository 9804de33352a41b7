/* The web-standard half of the JavaScript library, in the real engine with the real
 * snapshot: weblib_test SNAPSHOT HARNESS FILE...
 *
 * Each FILE is a test program (test/js/weblib); it runs in a fork of this process, as
 * tenants do, after HARNESS, on a loop of its own. It passes when the harness says so
 * and, if there is a FILE with the ending .expected beside it, when its output equals
 * that file.
 *
 * weblib_test SNAPSHOT --run FILE... runs scripts one after the other in one context,
 * and then the loop, without judging. */

#include "common/cleanup.h"
#include "common/file.h"
#include "isolate/natives.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *harness;

static const struct worker_start start = {
	.tenant = "weblib",
	.entry = "test.js",
	.mode = WORKER_MODE_SCRIPT,
	.allow_eval = true,
	.allow_wasm = true,
	.allow_jit = true,
	.memory_bytes = 512u << 20,
	.files = 64,
	.turn_cpu_ms = 60000,
};

static void run_file(const char *path)
{
	struct error error = {0};
	struct engine_scope scope;
	cleanup_free char *source = NULL;
	size_t length;
	if (file_read(AT_FDCWD, path, 64u << 20, &source, &length, &error) < 0) {
		fprintf(stderr, "%s\n", error.message);
		_exit(2);
	}
	engine_scope_open(runtime.engine, &scope);
	if (engine_run_script(runtime.engine, source, length, path, NULL) < 0)
		runtime_uncaught();
	engine_scope_close(runtime.engine, &scope);
}

/* The number of failed tests, as the harness counts them. */
static int finish(void)
{
	static const char call[] = "__finish()";
	struct engine_scope scope;
	engine_value *result;
	engine_scope_open(runtime.engine, &scope);
	if (engine_run_script(runtime.engine, call, sizeof call - 1, "finish", &result) < 0)
		runtime_uncaught();
	int failed = engine_to_int32(runtime.engine, result);
	engine_scope_close(runtime.engine, &scope);
	return failed;
}

static void begin(void)
{
	struct error error = {0};
	if (runtime_start(&start, &error) < 0) {
		fprintf(stderr, "%s\n", error.message);
		_exit(2);
	}
}

_Noreturn static void child(const char *path, int output)
{
	if (output >= 0) {
		dup2(output, STDOUT_FILENO);
		dup2(output, STDERR_FILENO);
	}
	begin();
	run_file(harness);
	run_file(path);
	runtime_tick();
	uv_run(&runtime.loop, UV_RUN_DEFAULT);
	_exit(finish() == 0 ? 0 : 1);
}

static void compare(int output, const char *expected_path)
{
	struct error error = {0};
	cleanup_free char *expected = NULL;
	cleanup_free char *actual = NULL;
	size_t expected_length, actual_length;
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", output);
	assert_int_equal(
		file_read(AT_FDCWD, expected_path, 1u << 20, &expected, &expected_length, &error),
		0);
	assert_int_equal(file_read(AT_FDCWD, path, 1u << 20, &actual, &actual_length, &error), 0);
	if (expected_length == actual_length && memcmp(expected, actual, actual_length) == 0)
		return;
	print_error("---- output ----\n%.*s\n---- is not %s\n", (int)actual_length, actual,
		expected_path);
	fail();
}

static void runs_in_a_fork(void **state)
{
	const char *path = *state;
	char expected[4096];
	snprintf(expected, sizeof expected, "%.*s.expected", (int)strlen(path) - 3, path);
	bool has_expected = access(expected, R_OK) == 0;
	cleanup_close int output = has_expected ? memfd_create("output", 0) : -1;
	int status;
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		child(path, output);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		if (has_expected)
			compare(output, expected); /* shows what it said */
		fail_msg("%s ended with status %#x", path, status);
	}
	if (has_expected)
		compare(output, expected);
}

static int run_plain(int count, char **paths)
{
	begin();
	for (int i = 0; i < count; i++)
		run_file(paths[i]);
	runtime_tick();
	uv_run(&runtime.loop, UV_RUN_DEFAULT);
	return 0;
}

int main(int argc, char **argv)
{
	static struct CMUnitTest tests[64];
	struct error error = {0};
	if (argc < 4 || (size_t)argc - 3 > ARRAY_LENGTH(tests)) {
		fprintf(stderr, "usage: weblib_test SNAPSHOT HARNESS FILE...\n");
		return 2;
	}
	if (runtime_open(argv[1], false, &error) < 0) {
		fprintf(stderr, "%s\n", error.message);
		return 2;
	}
	if (strcmp(argv[2], "--run") == 0)
		return run_plain(argc - 3, argv + 3);
	harness = argv[2];
	size_t count = (size_t)argc - 3;
	for (size_t i = 0; i < count; i++) {
		const char *name = strrchr(argv[i + 3], '/');
		tests[i] = (struct CMUnitTest){
			.name = name ? name + 1 : argv[i + 3],
			.test_func = runs_in_a_fork,
			.initial_state = argv[i + 3],
		};
	}
	return _cmocka_run_group_tests("weblib", tests, count, NULL, NULL);
}
