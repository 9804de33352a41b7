/* tenantctl against a server of the test that plays the daemon from a script: what each
 * subcommand asks for, what it prints, and its exit code.
 * Arguments: the program, the project's folder. */
#include "common/cleanup.h"
#include "common/control.h"
#include "common/file.h"
#include "common/message.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWERS_MAX 8
#define CALLS_MAX 4

static const char *program, *project;
static char folder[64], socket_path[96];
static int listener = -1;

/* What the server says on one connection. */
struct call {
	const char *answers[ANSWERS_MAX];
	/* With the descriptors of `run`: archive, stdin, stdout, stderr. */
	void (*play)(int connection, const int *fds);
};

/* What came out of one tenantctl. */
struct outcome {
	int code;
	char out[131072], err[65536];
	char requests[8192]; /* one line each: the JSON, and the number of descriptors */
};

static struct outcome outcome;

static int set_up(void **unused)
{
	(void)unused;
	snprintf(folder, sizeof folder, "/tmp/ctl_test.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(socket_path, sizeof socket_path, "%s/control.sock", folder);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, socket_path);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0)
		return -1;
	return listen(listener, 8);
}

static int tear_down(void **unused)
{
	(void)unused;
	close_fd(&listener);
	char command[128];
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

static const char *in_folder(const char *name)
{
	static char path[4][128];
	static unsigned next;
	char *result = path[next++ % 4];
	snprintf(result, sizeof path[0], "%s/%s", folder, name);
	return result;
}

static const char *put(const char *name, const char *text)
{
	const char *path = in_folder(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, text, strlen(text)), 0);
	close(fd);
	return path;
}

/* ---- the server ---- */

static void serve_one(const struct call *call, int log_fd)
{
	static char data[CONTROL_LENGTH_MAX + 1];
	int fds[8];
	size_t fd_count = ARRAY_LENGTH(fds);
	cleanup_close int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ssize_t length = message_receive(connection, data, sizeof data - 1, fds, &fd_count, 0);
	if (length <= 0)
		_exit(1);
	dprintf(log_fd, "%.*s %zu\n", (int)length, data, fd_count);
	if (call->play)
		call->play(connection, fds);
	for (size_t i = 0; i < fd_count; i++)
		close(fds[i]);
	for (size_t i = 0; i < ANSWERS_MAX && call->answers[i]; i++)
		message_send(connection, call->answers[i], strlen(call->answers[i]), NULL, 0);
	/* Until the client has read all of it. */
	while (message_receive(connection, data, sizeof data, NULL, NULL, 0) > 0)
		;
}

static pid_t serve(const struct call *calls, size_t count, int log_fd)
{
	pid_t pid = fork();
	if (pid == 0) {
		alarm(20);
		for (size_t i = 0; i < count; i++)
			serve_one(&calls[i], log_fd);
		_exit(0);
	}
	return pid;
}

/* ---- the client ---- */

static pid_t launch(char *const *arguments, int in, int out, int err)
{
	pid_t pid = fork();
	if (pid == 0) {
		setenv(CONTROL_SOCKET_ENVIRONMENT, socket_path, 1);
		dup2(in, STDIN_FILENO);
		dup2(out, STDOUT_FILENO);
		dup2(err, STDERR_FILENO);
		alarm(20);
		execv(program, arguments);
		_exit(99);
	}
	return pid;
}

static void slurp(const char *name, char *text, size_t size)
{
	cleanup_close int fd = open(in_folder(name), O_RDONLY | O_CLOEXEC);
	ssize_t got = read(fd, text, size - 1);
	assert_true(got >= 0);
	text[got] = '\0';
}

static int wait_code(pid_t pid)
{
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Splits ARGUMENTS at spaces and runs tenantctl, CALLS being what the server does. */
static void ctl_with(const char *input, const struct call *calls, const char *arguments)
{
	char words[1024], *vector[32] = {(char *)"tenantctl"};
	size_t count = 1, call_count = 0;
	snprintf(words, sizeof words, "%s", arguments);
	for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
		vector[count++] = word;
	while (calls && call_count < CALLS_MAX &&
		(calls[call_count].answers[0] || calls[call_count].play))
		call_count++;

	cleanup_close int in = open(put("in", input), O_RDONLY | O_CLOEXEC);
	cleanup_close int out = open(put("out", ""), O_WRONLY | O_CLOEXEC);
	cleanup_close int err = open(put("err", ""), O_WRONLY | O_CLOEXEC);
	cleanup_close int log = open(put("log", ""), O_WRONLY | O_APPEND | O_CLOEXEC);
	pid_t server = serve(calls, call_count, log);
	pid_t client = launch(vector, in, out, err);
	outcome.code = wait_code(client);
	assert_int_equal(wait_code(server), 0);
	slurp("out", outcome.out, sizeof outcome.out);
	slurp("err", outcome.err, sizeof outcome.err);
	slurp("log", outcome.requests, sizeof outcome.requests);
}

static void ctl(const struct call *calls, const char *arguments)
{
	ctl_with("", calls, arguments);
}

#define assert_text(text, expected)                                                                \
	do {                                                                                       \
		if (!strstr(text, expected))                                                       \
			fail_msg("expected \"%s\" in \"%s\"", expected, text);                     \
	} while (0)

#define CALL(...)                                                                                  \
	(const struct call[CALLS_MAX])                                                             \
	{                                                                                          \
		{                                                                                  \
			.answers = { __VA_ARGS__ }                                                 \
		}                                                                                  \
	}

#define TENANT(state)                                                                              \
	"{\"name\":\"shop\",\"state\":\"" state "\",\"release\":"                                  \
	"\"3f2a91c0d1e23f2a91c0d1e23f2a91c0d1e23f2a91c0d1e23f2a91c0d1e23f2a\",\"pid\":4242,"       \
	"\"uid\":100001,\"since\":\"2026-11-21T10:00:00.000Z\",\"ready_ms\":4.2,\"listeners\":"    \
	"[{\"url\":\"http://127.0.0.1:8080\",\"address\":\"tcp:127.0.0.1:8080\"}],"                \
	"\"restarts\":2,\"backoff_ms\":0,\"reason\":\"\",\"last_exit\":{\"reason\":\"signal\","    \
	"\"exit_code\":null,\"signal\":9,\"message\":\"evil \\u001b[31m\\nsecond\",\"time\":"      \
	"\"2026-11-21T09:59:00.000Z\"},\"stats\":{\"requests\":123,\"requests_active\":1,"         \
	"\"connections\":4,\"loop_delay_ms\":3.5,\"loop_busy_ms\":0.0,\"heap_used\":1048576,"      \
	"\"heap_limit\":67108864,\"external\":0},\"cgroup\":{\"memory\":12582912,"                 \
	"\"memory_peak\":13631488,\"memory_limit\":134217728,\"cpu_usec\":530000,\"pids\":3,"      \
	"\"oom_kills\":0},\"policy\":{\"file\":\"default\"},\"cgroup_version\":\"v2\"}"
#define UNKNOWN                                                                                    \
	"{\"error\":{\"code\":\"unknown-tenant\",\"message\":\"there is no tenant shop\","         \
	"\"exit\":4}}"

/* ---- the command line ---- */

static void the_command_line_is_understood(void **unused)
{
	(void)unused;
	static const struct {
		const char *arguments;
		int code;
		const char *expected; /* on standard error; on standard output for code 0 */
	} cases[] = {
		{"", 2, "usage: tenantctl [OPTIONS] COMMAND"},
		{"help", 0, "deploy NAME FILE|DIR"},
		{"--help", 0, "Run and check"},
		{"help dep", 0, "usage: tenantctl deploy NAME FILE|DIR [--"},
		{"deploy --help", 0, "make a script or a folder the live release"},
		{"help nothing", 2, "there is no command `nothing`"},
		{"--version", 0, "tenantctl " TENANTD_VERSION},
		{"restat shop", 2, "did you mean `restart`?"},
		{"sta shop", 2, "`sta` could be status, start"},
		{"zzzzzz", 2, "there is no command `zzzzzz`; `tenantctl help` lists them"},
		{"logs", 2, "an argument is missing\nusage: tenantctl logs NAME"},
		{"logs shop --folow", 2, "`logs` has no option --folow; did you mean --follow?"},
		{"logs shop -z", 2, "`logs` has no option -z"},
		{"logs shop -n", 2, "--lines needs a value: --lines N"},
		{"logs shop -n x", 2, "--lines: `x` is no number"},
		{"logs shop --follow=1", 2, "--follow takes no value"},
		{"list shop", 2, "`shop` is one argument too many"},
		{"list --json --plain", 2, "--json and --plain exclude each other"},
		{"start Shop", 2, "Shop"},
		{"start ../x", 2, "../x"},
		{"start shop --timeout soon", 2, "--timeout: `soon` is no time"},
		{"start shop --timeout 0", 2, "--timeout: `0` is no time"},
		{"run x.js 1", 2, "the script's own arguments come after --"},
		{"remove shop", 2, "say --yes where nobody can be asked"},
		{"completion fish", 2, "only for bash and zsh"},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		ctl(NULL, cases[i].arguments);
		if (outcome.code != cases[i].code)
			fail_msg("`%s` exits with %d: %s", cases[i].arguments, outcome.code,
				outcome.err);
		assert_text(cases[i].code ? outcome.err : outcome.out, cases[i].expected);
		assert_string_equal(cases[i].code ? outcome.out : outcome.err, "");
	}
}

static void no_daemon_is_told(void **unused)
{
	(void)unused;
	char expected[256];
	close_fd(&listener);
	ctl(NULL, "list");
	snprintf(expected, sizeof expected,
		"tenantctl: cannot reach tenantd at %s: Connection refused; is it running?",
		socket_path);
	assert_int_equal(outcome.code, 1);
	assert_text(outcome.err, expected);
	char command[256];
	snprintf(command, sizeof command, "run %s --socket /nonexistent/s", put("main.js", ""));
	ctl(NULL, command);
	assert_int_equal(outcome.code, 125);
	assert_text(outcome.err,
		"tenantctl: cannot reach tenantd at /nonexistent/s: No such file or directory");
	ctl(NULL, "list --json");
	assert_int_equal(outcome.code, 1);
	assert_text(outcome.out, "\"code\": \"unreachable\"");
}

static void nonsense_from_the_daemon_is_told(void **unused)
{
	(void)unused;
	ctl(CALL("{"), "list");
	assert_int_equal(outcome.code, 1);
	assert_text(outcome.err, "tenantd's answer is not a JSON object");
	ctl(CALL("{\"error\":{}}"), "list");
	assert_int_equal(outcome.code, 1);
	assert_text(outcome.err, "tenantd failed without a reason");
	ctl(CALL("{\"error\":{\"message\":\"\\u001b]0;x\\u0007\",\"exit\":1}}"), "list");
	assert_string_equal(outcome.err, "tenantctl: \\x1b]0;x\\x07\n");
}

/* ---- looking ---- */

static void list_shows_a_table(void **unused)
{
	(void)unused;
	const struct call *calls = CALL("{\"item\":" TENANT("running") "}", "{\"done\":{}}");
	ctl(calls, "ls");
	assert_int_equal(outcome.code, 0);
	assert_string_equal(outcome.requests, "{\"verb\":\"list\"} 0\n");
	assert_text(outcome.out, "NAME  STATE    RELEASE        PID");
	assert_text(outcome.out, "shop  running  3f2a91c0d1e2  4242");
	assert_text(outcome.out, "12 MiB       123  http://127.0.0.1:8080\n");
	assert_null(strchr(outcome.out, '\x1b'));

	ctl(calls, "list --json");
	json_t *document = json_loads(outcome.out, 0, NULL);
	assert_non_null(document);
	json_t *tenant = json_array_get(json_object_get(document, "tenants"), 0);
	assert_string_equal(json_string_value(json_object_get(tenant, "name")), "shop");
	assert_int_equal(json_integer_value(json_object_get(document, "schema")), CONTROL_SCHEMA);
	json_decref(document);

	ctl(calls, "list --plain");
	assert_text(outcome.out, "shop\trunning\t3f2a91c0d1e23f2a");
	assert_text(outcome.out, "\t4242\t2026-11-21T10:00:00.000Z\t2\t12582912\t123\thttp:");
	ctl(CALL("{\"done\":{}}"), "list");
	assert_text(outcome.out, "no tenants; `tenantctl deploy NAME FILE` makes one");
}

static void status_shows_everything_and_exits_by_state(void **unused)
{
	(void)unused;
	static const struct call calls[CALLS_MAX] = {
		{.answers = {"{\"done\":" TENANT("running") "}"}},
		{.answers = {"{\"item\":{\"time\":\"T\",\"stream\":\"stdout\",\"line\":\"a "
			     "line\"}}",
			 "{\"done\":{}}"}},
	};
	ctl(calls, "status shop");
	assert_int_equal(outcome.code, 0);
	assert_string_equal(outcome.requests,
		"{\"verb\":\"status\",\"name\":\"shop\"} 0\n"
		"{\"verb\":\"logs\",\"name\":\"shop\",\"lines\":10,\"follow\":false} 0\n");
	static const char *const expected[] = {"shop  running for ",
		"listens    http://127.0.0.1:8080\n", "release    3f2a91c0d1e2\n",
		"pid 4242, uid 100001, ready after 4.2 ms", "restarts   2\n",
		"last exit  signal, signal 9 (SIGKILL), 2026-11-21T09:59:00.000Z\n",
		"evil \\x1b[31m\n", "second\n", "12 MiB of 128 MiB, peak 13 MiB",
		"530 ms in 3 threads", "1 MiB of 64 MiB", "longest turn 3.5 ms",
		"123 answered, 1 under way, 4 connections", "policy     default\n",
		"T stdout a line\n"};
	for (size_t i = 0; i < ARRAY_LENGTH(expected); i++)
		assert_text(outcome.out, expected[i]);
	ctl(calls, "status shop --plain");
	assert_text(outcome.out, "last_exit.signal\t9\n");
	assert_text(outcome.out, "log\tT\tstdout\ta line\n");
	ctl(calls, "status shop --json");
	json_t *document = json_loads(outcome.out, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(document, "log")), 1);
	json_decref(document);

	static const struct call stopped[CALLS_MAX] = {
		{.answers = {"{\"done\":" TENANT("stopped") "}"}}, {.answers = {"{\"done\":{}}"}}};
	ctl(stopped, "status shop");
	assert_int_equal(outcome.code, 3);
	ctl(CALL(UNKNOWN), "status shop");
	assert_int_equal(outcome.code, 4);
	assert_string_equal(outcome.err, "tenantctl: there is no tenant shop\n");
}

static void logs_are_printed_as_they_come(void **unused)
{
	(void)unused;
	const struct call *calls = CALL("{\"item\":{\"time\":\"T1\",\"stream\":\"stderr\",\"line\":"
					"\"a\\\\x1b[0m\\u001b\"}}",
		"{\"item\":{\"time\":\"T2\",\"stream\":\"tenantd\",\"line\":\"b\"}}",
		"{\"done\":{}}");
	ctl(calls, "logs shop -fn5");
	assert_int_equal(outcome.code, 0);
	assert_string_equal(outcome.requests,
		"{\"verb\":\"logs\",\"name\":\"shop\",\"lines\":5,\"follow\":true} 0\n");
	/* What the daemon has escaped is not escaped twice; what it has not, is. */
	assert_string_equal(outcome.out, "T1 stderr a\\x1b[0m\\x1b\nT2 tenantd b\n");
	ctl(calls, "logs shop --plain");
	assert_string_equal(outcome.out, "T1\tstderr\ta\\x1b[0m\\x1b\nT2\ttenantd\tb\n");
	ctl(calls, "logs shop --json");
	assert_text(outcome.out, "{\"time\":\"T2\",\"stream\":\"tenantd\",\"line\":\"b\"}\n");
}

/* ---- control ---- */

static void transitions_wait_as_they_are_told(void **unused)
{
	(void)unused;
	const struct call *running = CALL("{\"done\":" TENANT("running") "}");
	ctl(running, "start shop --timeout 30s");
	assert_int_equal(outcome.code, 0);
	assert_string_equal(outcome.out, "shop is running, ready after 4.2 ms\n");
	assert_string_equal(
		outcome.requests, "{\"verb\":\"start\",\"name\":\"shop\",\"wait_ms\":30000} 0\n");
	ctl(running, "restart shop -t 2");
	assert_string_equal(
		outcome.requests, "{\"verb\":\"restart\",\"name\":\"shop\",\"wait_ms\":2000} 0\n");
	ctl(CALL("{\"done\":" TENANT("stopped") "}"), "stop shop");
	assert_string_equal(outcome.requests, "{\"verb\":\"stop\",\"name\":\"shop\"} 0\n");
	assert_string_equal(outcome.out, "shop is stopped\n");

	const struct call *timeout =
		CALL("{\"error\":{\"code\":\"timeout\",\"message\":\"too late\",\"exit\":124}}");
	ctl(timeout, "start shop --timeout 1ms");
	assert_int_equal(outcome.code, 124);
	assert_string_equal(outcome.err, "tenantctl: too late\n");
	ctl(timeout, "start shop --no-wait");
	assert_int_equal(outcome.code, 0);
	assert_string_equal(outcome.out, "shop was told to start\n");
	ctl(running, "start shop --json");
	json_t *document = json_loads(outcome.out, 0, NULL);
	assert_non_null(json_object_get(json_object_get(document, "tenant"), "pid"));
	json_decref(document);
}

static void remove_needs_a_yes(void **unused)
{
	(void)unused;
	ctl(CALL("{\"done\":{}}"), "rm shop -y");
	assert_int_equal(outcome.code, 0);
	assert_string_equal(outcome.requests, "{\"verb\":\"remove\",\"name\":\"shop\"} 0\n");
	assert_string_equal(outcome.out, "shop is removed\n");
}

/* ---- deploy ---- */

static void deploy_sends_an_archive_and_shows_the_url(void **unused)
{
	(void)unused;
	char command[512];
	const struct call *calls = CALL("{\"item\":{\"log\":\"hello \\u001b\"}}",
		"{\"done\":{\"tenant\":" TENANT(
			"running") ",\"release\":\"3f2a91c0d1e2aaaa\","
				   "\"previous\":\"77ab00112233aaaa\",\"ready_ms\":4.2}}");
	snprintf(command, sizeof command, "deploy shop %s", put("main.js", "x"));
	ctl(calls, command);
	assert_int_equal(outcome.code, 0);
	assert_string_equal(outcome.requests, "{\"verb\":\"deploy\",\"name\":\"shop\"} 1\n");
	assert_text(outcome.out, "shop is live after ");
	assert_text(outcome.out, " ms: release 3f2a91c0d1e2, ready in 4.2 ms, in place of "
				 "77ab00112233\n  http://127.0.0.1:8080\n");
	assert_string_equal(outcome.err, "  | hello \\x1b\n");

	strcat(command, " --timeout 5s --policy ");
	strcat(command, put("policy.json", "{\"version\": 1}"));
	ctl(calls, command);
	assert_text(outcome.requests, "\"wait_ms\":5000,\"policy\":\"{\\\"version\\\": 1}\"");
	assert_text(outcome.requests, "policy.json\"} 1\n");
	put("policy.json", "{\"version\": 1, \"x\": 1}");
	ctl(NULL, command);
	assert_int_equal(outcome.code, 1);
	assert_text(outcome.err, "policy.json:1:");
	snprintf(command, sizeof command, "deploy shop %s", in_folder("nothing"));
	ctl(NULL, command);
	assert_int_equal(outcome.code, 1);
	assert_text(outcome.err, "nothing: No such file or directory");
	snprintf(command, sizeof command, "deploy shop %s", put("main.txt", ""));
	strcat(command, " --bundle never");
	ctl(NULL, command);
	assert_text(outcome.err, "main.txt is not a JavaScript module");
}

static void a_stack_is_shown_once(void **unused)
{
	(void)unused;
	char command[256];
	const struct call *calls = CALL("{\"item\":{\"log\":\"Uncaught main.js:1\"}}",
		"{\"item\":{\"log\":\"  at main.js\"}}",
		"{\"error\":{\"code\":\"failed\",\"message\":\"shop: boot-failed: "
		"main.js:1\\n  at main.js\",\"exit\":1}}");
	snprintf(command, sizeof command, "deploy shop %s", put("main.js", "x"));
	ctl(calls, command);
	assert_int_equal(outcome.code, 1);
	assert_string_equal(outcome.err, "  | Uncaught main.js:1\n  |   at main.js\n"
					 "tenantctl: shop: boot-failed: main.js:1\n");
	/* What was not in the log is told in full. */
	ctl(CALL("{\"error\":{\"message\":\"shop: a\\nb\",\"exit\":1}}"), command);
	assert_string_equal(outcome.err, "tenantctl: shop: a\nb\n");
}

static void check_needs_no_daemon(void **unused)
{
	(void)unused;
	char command[256];
	snprintf(command, sizeof command, "check %s", put("p.json", "{\"version\": 1}"));
	ctl(NULL, command);
	assert_int_equal(outcome.code, 0);
	assert_text(outcome.out, "p.json is valid\n");
	strcat(command, " --json");
	ctl(NULL, command);
	cleanup_free char *canonical = strdup(outcome.out);
	put("p.json", canonical);
	ctl(NULL, command);
	assert_string_equal(outcome.out, canonical);
	put("p.json", "{\n\"permissions\": {\"net\": {\"listen\": [\"127.0.0.1:70000\"]}}}");
	ctl(NULL, command);
	assert_int_equal(outcome.code, 1);
	assert_text(outcome.err, "p.json:2:");
	snprintf(command, sizeof command, "check %s", put("tenant.json", "{\"entry\": 1}"));
	ctl(NULL, command);
	assert_int_equal(outcome.code, 1);
	assert_text(outcome.err, "/entry");
}

static void version_works_without_a_daemon(void **unused)
{
	(void)unused;
	ctl(CALL("{\"done\":{\"version\":\"9\",\"schema\":1,\"engine\":\"V8\",\"pid\":7}}"),
		"version");
	assert_string_equal(outcome.out, "tenantctl " TENANTD_VERSION "\ntenantd   9, pid 7, V8\n");
	ctl(NULL, "version --json --socket /nonexistent/s");
	assert_int_equal(outcome.code, 0);
	assert_text(outcome.out, "\"tenantd\": null");
}

/* ---- run ---- */

static void end_run(int connection, const int *fds, const char *done)
{
	close(fds[1]);
	close(fds[2]);
	close(fds[3]);
	message_send(connection, done, strlen(done), NULL, 0);
	char data[64];
	while (message_receive(connection, data, sizeof data, NULL, NULL, 0) > 0)
		;
	_exit(0); /* the descriptors are closed: not again */
}

/* cat, with the number of bytes on standard error. */
static void play_cat(int connection, const int *fds)
{
	char data[4096];
	ssize_t got;
	size_t total = 0;
	while ((got = read(fds[1], data, sizeof data)) > 0) {
		file_write_all(fds[2], data, (size_t)got);
		total += (size_t)got;
	}
	dprintf(fds[3], "%zu bytes\n", total);
	end_run(connection, fds,
		"{\"done\":{\"exit_code\":7,\"signal\":null,\"reason\":\"exit\","
		"\"message\":\"\"}}");
}

static void run_relays_streams_and_the_exit_code(void **unused)
{
	(void)unused;
	static char input[100001];
	char command[256];
	for (size_t i = 0; i + 1 < sizeof input; i++)
		input[i] = (char)('a' + i % 26);
	snprintf(command, sizeof command, "run %s --name ci -- --json 2", put("main.js", ""));
	ctl_with(input, (const struct call[CALLS_MAX]){{.play = play_cat}}, command);
	assert_int_equal(outcome.code, 7);
	assert_string_equal(outcome.out, input);
	assert_string_equal(outcome.err, "100000 bytes\n");
	assert_string_equal(outcome.requests,
		"{\"verb\":\"run\",\"name\":\"ci\",\"entry\":\"main.js\","
		"\"arguments\":[\"--json\",\"2\"]} 4\n");
}

/* A command has no archive: its descriptors are the streams alone. */
static void play_command(int connection, const int *fds)
{
	const int streams[] = {-1, fds[0], fds[1], fds[2]};
	dprintf(fds[1], "out");
	end_run(connection, streams,
		"{\"done\":{\"exit_code\":124,\"signal\":null,\"reason\":\"time-limit\","
		"\"message\":\"too long\"}}");
}

static void a_command_is_asked_for_by_its_name_or_path(void **unused)
{
	(void)unused;
	static const struct {
		const char *written, *asked;
	} cases[] = {{"make", "make"}, {"/bin/../bin/./ls", "/bin/ls"}, {"/", ""}};
	char command[128], expected[256];
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		snprintf(command, sizeof command, "run -- %s -j 2", cases[i].written);
		ctl(((const struct call[CALLS_MAX]){{.play = play_command}}), command);
		assert_int_equal(outcome.code, 124);
		assert_string_equal(outcome.out, "out");
		assert_text(outcome.err, "time-limit: too long");
		snprintf(expected, sizeof expected,
			"{\"verb\":\"run\",\"command\":\"%s\",\"arguments\":[\"%s\",\"-j\",\"2\"],"
			"\"folder\":\"",
			cases[i].asked, cases[i].written);
		assert_int_equal(strncmp(outcome.requests, expected, strlen(expected)), 0);
		assert_text(outcome.requests, "} 3\n");
	}
	ctl(NULL, "run");
	assert_int_equal(outcome.code, 125);
	assert_text(outcome.err, "what is to be run?");
}

static void play_killed(int connection, const int *fds)
{
	dprintf(fds[2], "last words");
	end_run(connection, fds,
		"{\"done\":{\"exit_code\":null,\"signal\":9,\"reason\":\"memory\","
		"\"message\":\"over 128 MiB\"}}");
}

static void play_sandbox(int connection, const int *fds)
{
	end_run(connection, fds,
		"{\"done\":{\"exit_code\":1,\"signal\":null,\"reason\":"
		"\"sandbox-failed\",\"message\":\"no Landlock\"}}");
}

/* The worker has told that itself. */
static void play_limit(int connection, const int *fds)
{
	end_run(connection, fds,
		"{\"done\":{\"exit_code\":152,\"signal\":null,\"reason\":"
		"\"cpu-limit\",\"message\":\"too long\"}}");
}

static void play_error(int connection, const int *fds)
{
	end_run(connection, fds,
		"{\"error\":{\"code\":\"x\",\"message\":\"no zygote\",\"exit\":1}}");
}

static void play_not_runnable(int connection, const int *fds)
{
	end_run(connection, fds,
		"{\"error\":{\"code\":\"x\",\"message\":\"a syntax error\",\"exit\":126}}");
}

static void play_vanish(int connection, const int *fds)
{
	(void)connection;
	(void)fds;
	_exit(0);
}

static void run_tells_other_ends(void **unused)
{
	(void)unused;
	static const struct {
		void (*play)(int connection, const int *fds);
		int code;
		const char *out, *err;
	} cases[] = {
		{play_killed, 137, "last words", "tenantctl: memory: over 128 MiB\n"},
		{play_sandbox, 125, "", "tenantctl: sandbox-failed: no Landlock\n"},
		{play_limit, 152, "", ""},
		{play_error, 125, "", "tenantctl: no zygote\n"},
		{play_not_runnable, 126, "", "tenantctl: a syntax error\n"},
		{play_vanish, 125, "", "tenantctl: tenantd ended the connection"},
	};
	char command[256];
	snprintf(command, sizeof command, "run %s", put("main.js", ""));
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		ctl((const struct call[CALLS_MAX]){{.play = cases[i].play}}, command);
		assert_int_equal(outcome.code, cases[i].code);
		assert_string_equal(outcome.out, cases[i].out);
		assert_text(outcome.err, cases[i].err);
	}
	ctl(NULL, "run /nonexistent.js");
	assert_int_equal(outcome.code, 127);
	snprintf(command, sizeof command, "run --bundle never %s", put("main.txt", ""));
	ctl(NULL, command);
	assert_int_equal(outcome.code, 126);
}

/* Tells its client that it is there, waits for a signal message and ends with it. */
static void play_signal(int connection, const int *fds)
{
	char data[256] = "";
	dprintf(fds[2], "up\n");
	message_receive(connection, data, sizeof data - 1, NULL, NULL, 0);
	dprintf(fds[3], "%s\n", data);
	end_run(connection, fds,
		"{\"done\":{\"exit_code\":143,\"signal\":null,"
		"\"reason\":\"drained\"}}");
}

static void run_passes_signals_on(void **unused)
{
	(void)unused;
	const struct call call = {.play = play_signal};
	char *arguments[] = {(char *)"tenantctl", (char *)"run", (char *)put("main.js", ""), NULL};
	int out[2];
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	cleanup_close int err = open(put("err", ""), O_WRONLY | O_CLOEXEC);
	cleanup_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t server = serve(&call, 1, null);
	pid_t client = launch(arguments, null, out[1], err);
	close(out[1]);
	char text[16] = "";
	assert_int_equal(read(out[0], text, sizeof text), 3);
	kill(client, SIGINT);
	assert_int_equal(wait_code(client), 130);
	assert_int_equal(wait_code(server), 0);
	slurp("err", outcome.err, sizeof outcome.err);
	assert_string_equal(outcome.err, "{\"verb\":\"signal\",\"number\":2}\n");
	close(out[0]);
}

/* Writes for ever; ends when nobody reads. */
static void play_endless(int connection, const int *fds)
{
	char data[4096];
	memset(data, 'y', sizeof data);
	signal(SIGPIPE, SIG_IGN);
	while (write(fds[2], data, sizeof data) > 0)
		;
	end_run(connection, fds, "{\"done\":{\"exit_code\":0}}");
}

static void run_ends_when_nobody_reads(void **unused)
{
	(void)unused;
	const struct call call = {.play = play_endless};
	char *arguments[] = {(char *)"tenantctl", (char *)"run", (char *)put("main.js", ""), NULL};
	cleanup_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	/* Before there is a pipe that it would inherit. */
	pid_t server = serve(&call, 1, null);
	int out[2];
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid_t client = launch(arguments, null, out[1], null);
	close(out[1]);
	char text[16];
	assert_true(read(out[0], text, sizeof text) > 0);
	close(out[0]);
	assert_int_equal(wait_code(client), 128 + SIGPIPE);
	assert_int_equal(wait_code(server), 0);
}

/* ---- what is generated from the table ---- */

static void generated_files_are_up_to_date(void **unused)
{
	(void)unused;
	static const struct {
		const char *kind, *file;
	} cases[] = {{"bash", "ctl/completions/bash"}, {"zsh", "ctl/completions/zsh"},
		{"man", "docs/man/tenantctl.1"}};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char path[512], command[64];
		cleanup_free char *text = NULL;
		snprintf(path, sizeof path, "%s/%s", project, cases[i].file);
		assert_int_equal(file_read(AT_FDCWD, path, 1 << 20, &text, NULL, NULL), 0);
		snprintf(command, sizeof command, "completion %s", cases[i].kind);
		ctl(NULL, command);
		assert_int_equal(outcome.code, 0);
		if (!strstr(text, outcome.out))
			fail_msg("%s is not what `tenantctl completion %s` prints", path,
				cases[i].kind);
	}
}

static void bash_completion_knows_commands_options_and_tenants(void **unused)
{
	(void)unused;
	char script[1024];
	snprintf(script, sizeof script,
		"bash --norc -c 'tenantctl() { [ $1 = list ] && printf \"shop\\tx\\nshelf\\tx\\n\" "
		"|| "
		"echo \"0123456789abcdef of $3\"; }; . "
		"%s/ctl/completions/bash\n"
		"try() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _tenantctl; "
		"echo \"${COMPREPLY[*]}\"; }\n"
		"try tenantctl re; try tenantctl logs sh; try tenantctl logs shop --f\n"
		"try tenantctl --socket x start sho; try tenantctl completion z\n"
		"try tenantctl rollback -m x shop 01' > %s",
		project, in_folder("reply"));
	assert_int_equal(system(script), 0);
	slurp("reply", outcome.out, sizeof outcome.out);
	assert_string_equal(outcome.out,
		"releases remove restart reset\nshop shelf\n--follow\nshop\nzsh\n0123456789ab\n");
}

int main(int argument_count, char **arguments)
{
	if (argument_count < 3) {
		fprintf(stderr, "usage: ctl_test TENANTCTL PROJECT\n");
		return 2;
	}
	program = arguments[1];
	project = arguments[2];
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_command_line_is_understood),
		TEST(no_daemon_is_told),
		TEST(nonsense_from_the_daemon_is_told),
		TEST(list_shows_a_table),
		TEST(status_shows_everything_and_exits_by_state),
		TEST(logs_are_printed_as_they_come),
		TEST(transitions_wait_as_they_are_told),
		TEST(remove_needs_a_yes),
		TEST(deploy_sends_an_archive_and_shows_the_url),
		TEST(a_stack_is_shown_once),
		TEST(check_needs_no_daemon),
		TEST(version_works_without_a_daemon),
		TEST(run_relays_streams_and_the_exit_code),
		TEST(a_command_is_asked_for_by_its_name_or_path),
		TEST(run_tells_other_ends),
		TEST(run_passes_signals_on),
		TEST(run_ends_when_nobody_reads),
		TEST(generated_files_are_up_to_date),
		TEST(bash_completion_knows_commands_options_and_tenants),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
