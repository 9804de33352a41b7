/* `tenantctl run`: a script, or a command of the host, once, as if it were started right
 * here: its streams, its signals and its exit code are passed through. */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/control.h"
#include "common/path.h"
#include "ctl/client.h"
#include "ctl/devtools.h"
#include "ctl/output.h"
#include "ctl/pack.h"
#include "ctl/port.h"
#include "ctl/relay.h"
#include "policy/policy.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

/* After the program has ended its pipes are at their end too, unless something else
 * still holds them: then wait this long after the last byte. */
#define LINGER_MS 1000

/* So many interrupts, and the operator wants out, whatever the program does. */
#define INTERRUPTS_MAX 3

enum { STREAM_IN, STREAM_OUT, STREAM_ERR, STREAM_COUNT };

struct run {
	bool is_command;
	int control;
	int signals;
	struct relay streams[STREAM_COUNT];
	int theirs[STREAM_COUNT];    /* the program's ends, until they are sent */
	struct devtools *devtools;   /* NULL: no debugger was asked for */
	int debugger;                /* the worker's end of it */
	int interrupts, last_signal; /* that were passed on */
	json_t *answer;              /* the last message */
};

static int set_up_streams(struct run *run, struct error *error)
{
	static const int own[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
	for (int i = 0; i < STREAM_COUNT; i++) {
		int ends[2];
		if (pipe2(ends, O_CLOEXEC) < 0)
			return error_errno(error, errno, "cannot make a pipe");
		bool in = i == STREAM_IN;
		struct relay *relay = &run->streams[i];
		relay->from = in ? own[i] : ends[0];
		relay->to = in ? ends[1] : own[i];
		relay->from_pipe = !in;
		relay->to_pipe = in;
		run->theirs[i] = in ? ends[0] : ends[1];
		if (fcntl(in ? ends[1] : ends[0], F_SETFL, O_NONBLOCK) < 0)
			return error_errno(error, errno, "cannot set up a pipe");
	}
	/* Nothing to read from, e.g. closed by the caller (`<&-`). */
	if (fcntl(STDIN_FILENO, F_GETFD) < 0)
		relay_close(&run->streams[STREAM_IN]);
	return 0;
}

/* From here on signals are messages. */
static int set_up_signals(struct run *run, struct error *error)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (run->is_command) {
		sigaddset(&set, SIGQUIT);
		sigaddset(&set, SIGUSR1);
		sigaddset(&set, SIGUSR2);
	}
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return error_errno(error, errno, "cannot block signals");
	signal(SIGPIPE, SIG_IGN);
	run->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->signals < 0)
		return error_errno(error, errno, "cannot make a signalfd");
	return 0;
}

/* KEY, "entry" or "command", is WHAT. NULL: an argument is not UTF-8. */
static json_t *make_request(const struct invocation *invocation, const char *key, const char *what)
{
	json_t *request = client_request("run", invocation->options[OPTION_NAME]);
	json_t *arguments = json_array();
	json_object_set_new(request, key, json_string(what));
	for (size_t i = 0; i < invocation->rest_count; i++) {
		json_t *argument = json_string(invocation->rest[i]);
		if (!argument) { /* not UTF-8 */
			json_decref(arguments);
			json_decref(request);
			return NULL;
		}
		json_array_append_new(arguments, argument);
	}
	json_object_set_new(request, "arguments", arguments);
	return request;
}

/* Opens the port for debuggers if one was asked for. Returns 0 or an exit code. */
static int open_devtools(const struct invocation *invocation, struct run *run, json_t *request)
{
	struct error error = {0};
	uint16_t port;
	const bool breaks = invocation->options[OPTION_INSPECT_BREAK];
	if (!breaks && !invocation->options[OPTION_INSPECT])
		return 0;
	if (run->is_command)
		return output_fail(CONTROL_EXIT_USAGE, "usage",
			"--inspect is for scripts: a command has debuggers of its own");
	int code = port_option(invocation->options[OPTION_PORT], &port);
	if (code)
		return code;
	if (devtools_open(port, invocation->arguments[0], &run->devtools, &run->debugger, &error) <
		0)
		return output_fail(CONTROL_EXIT_TOOL, "port", "%s", error.message);
	json_object_set_new(request, "inspect", json_string(breaks ? "break" : "attach"));
	return 0;
}

/* A process of its own relays what debuggers say, until the worker hangs up. */
static int start_devtools(struct run *run, struct error *error)
{
	close_fd(&run->debugger);
	if (!run->devtools)
		return 0;
	devtools_announce(run->devtools);
	const pid_t child = fork();
	if (child < 0)
		return error_errno(error, errno, "cannot start the debuggers' server");
	if (child == 0) {
		/* An interrupt is for the program. */
		signal(SIGINT, SIG_IGN);
		signal(SIGTERM, SIG_IGN);
		close_fd(&run->control);
		for (int i = 0; i < STREAM_COUNT; i++)
			relay_close(&run->streams[i]);
		close(STDIN_FILENO);
		close(STDOUT_FILENO);
		devtools_serve(run->devtools, -1);
		_exit(0);
	}
	run->devtools = devtools_close(run->devtools);
	return 0;
}

/* Connects and asks. ARCHIVE is -1 for a command. Returns 0 or an exit code. */
static int ask(const struct invocation *invocation, struct run *run, int archive, json_t *request)
{
	struct error error = {0};
	int code = client_put_policy(invocation, request);
	if (code)
		return CONTROL_EXIT_TOOL;
	const char *audit = invocation->options[OPTION_AUDIT];
	if (audit && policy_audit_find(audit) < 0)
		return output_fail(CONTROL_EXIT_USAGE, "usage",
			"--audit: `%s` is not off, denied or all", audit);
	if (audit)
		json_object_set_new(request, "audit", json_string(audit));
	code = open_devtools(invocation, run, request);
	if (code)
		return code;
	int result = client_connect(invocation, &run->control, &error);
	if (result == 0)
		result = set_up_streams(run, &error);
	const int fds[] = {archive, run->theirs[STREAM_IN], run->theirs[STREAM_OUT],
		run->theirs[STREAM_ERR], run->debugger};
	const size_t first = archive < 0 ? 1 : 0;
	const size_t last = run->debugger < 0 ? 4 : 5;
	if (result == 0)
		result = client_send(run->control, request, fds + first, last - first, &error);
	/* Only the program holds its ends now: when it ends, ours see the end of file. */
	for (int i = 0; i < STREAM_COUNT; i++)
		close_fd(&run->theirs[i]);
	if (result == 0)
		result = start_devtools(run, &error);
	if (result == 0)
		result = set_up_signals(run, &error);
	if (result < 0)
		return output_fail(CONTROL_EXIT_TOOL, "unreachable", "%s", error.message);
	return 0;
}

/* Archives FILE and asks for it to be run. Returns 0 or an exit code. */
static int start_script(const struct invocation *invocation, struct run *run)
{
	struct error error = {0};
	struct archive_made made;
	int result = pack_release(invocation, invocation->arguments[0], &made, &error);
	if (result < 0)
		return output_fail(
			result == -ENOENT ? CONTROL_EXIT_NOT_FOUND : CONTROL_EXIT_NOT_RUNNABLE,
			"release", "%s", error.message);
	cleanup_close int archive = made.fd;
	json_t *request = make_request(invocation, "entry", made.entry);
	if (!request)
		return output_fail(CONTROL_EXIT_TOOL, "usage", "an argument is not UTF-8");
	int code = ask(invocation, run, archive, request);
	json_decref(request);
	return code;
}

/* FOLDER/COMMAND in one spelling: grants are compared name by name. */
static int join(const char *folder, const char *command, char path[PATH_MAX])
{
	path[0] = '\0';
	return path_go(path, PATH_MAX, command[0] == '/' ? "" : folder) &&
			       path_go(path, PATH_MAX, command)
		       ? 0
		       : -ENAMETOOLONG;
}

/* Asks for a command of the daemon's host. Returns 0 or an exit code. */
static int start_command(const struct invocation *invocation, struct run *run)
{
	char folder[PATH_MAX], path[PATH_MAX];
	const char *command = invocation->rest[0];
	const bool here = getcwd(folder, sizeof folder) != NULL;
	if (strchr(command, '/')) {
		if (join(here ? folder : "", command, path) < 0)
			return output_fail(CONTROL_EXIT_NOT_FOUND, "usage",
				"%s: the path is too long", command);
		command = path;
	}
	json_t *request = make_request(invocation, "command", command);
	if (!request)
		return output_fail(CONTROL_EXIT_TOOL, "usage", "an argument is not UTF-8");
	if (here)
		json_object_set_new(request, "folder", json_string(folder));
	int code = ask(invocation, run, -1, request);
	json_decref(request);
	return code;
}

/* Takes all messages that are there. Returns -1 to go on, or an exit code. */
static int take_messages(struct run *run)
{
	for (;;) {
		struct error error = {0};
		json_t *message;
		int got = client_receive(run->control, MSG_DONTWAIT, &message, &error);
		if (got == 0)
			return -1;
		if (got < 0)
			return output_fail(CONTROL_EXIT_TOOL, "connection", "%s", error.message);
		if (json_object_get(message, "done") || json_object_get(message, "error")) {
			run->answer = message;
			return -1;
		}
		json_decref(message); /* {"item": {"started": …}} */
	}
}

/* Passes a signal on. Returns -1 to go on, or an exit code. */
static int take_signal(struct run *run)
{
	struct signalfd_siginfo info;
	if (read(run->signals, &info, sizeof info) != sizeof info)
		return -1;
	int number = (int)info.ssi_signo;
	const bool ends = number != SIGUSR1 && number != SIGUSR2;
	if (ends)
		run->last_signal = number;
	if (ends && ++run->interrupts >= INTERRUPTS_MAX)
		return output_fail(128 + number, "interrupted",
			"%d signals, and the program goes on: it will be killed", run->interrupts);
	if (run->answer)
		return -1; /* it has ended; only output is left */
	json_t *request = json_pack("{s:s, s:i}", "verb", "signal", "number", number);
	struct error error = {0};
	int result = client_send(run->control, request, NULL, 0, &error);
	json_decref(request);
	if (result < 0)
		return output_fail(CONTROL_EXIT_TOOL, "connection", "%s", error.message);
	return -1;
}

/* Nobody reads our output: end as any filter in a pipeline does. The daemon ends the
 * script when we are gone. */
static int die_of_pipe(void)
{
	signal(SIGPIPE, SIG_DFL);
	raise(SIGPIPE);
	return 128 + SIGPIPE;
}

static bool output_relayed(const struct run *run)
{
	return relay_done(&run->streams[STREAM_OUT]) && relay_done(&run->streams[STREAM_ERR]);
}

/* Relays until the script has ended and all of its output is written. Returns 0, or an
 * exit code when that failed. */
static int relay_all(struct run *run)
{
	while (!run->answer || !output_relayed(run)) {
		struct pollfd watches[STREAM_COUNT + 2];
		for (int i = 0; i < STREAM_COUNT; i++)
			relay_prepare(&run->streams[i], &watches[i]);
		watches[3] = (struct pollfd){.fd = run->signals, .events = POLLIN};
		watches[4] =
			(struct pollfd){.fd = run->answer ? -1 : run->control, .events = POLLIN};
		if (run->answer)
			watches[STREAM_IN].fd = -1;
		int ready = poll(watches, ARRAY_LENGTH(watches), run->answer ? LINGER_MS : -1);
		if (ready == 0)
			return 0;
		if (ready < 0 && errno != EINTR)
			return output_fail(
				CONTROL_EXIT_TOOL, "poll", "cannot wait: %s", strerror(errno));
		int code = -1;
		for (int i = 0; ready > 0 && i < STREAM_COUNT; i++)
			if (relay_move(&run->streams[i], &watches[i]) == -EPIPE)
				code = die_of_pipe();
		if (code < 0 && ready > 0 && watches[3].revents)
			code = take_signal(run);
		if (code < 0 && ready > 0 && watches[4].revents)
			code = take_messages(run);
		if (code >= 0)
			return code;
	}
	return 0;
}

static bool is_among(const char *reason, const char *const *reasons, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(reason, reasons[i]) == 0)
			return true;
	return false;
}

/* Ends that a command cannot say a word about. */
static const char *const unsaid_reasons[] = {"time-limit", "not-found", "not-runnable"};

/* Not the program, but what it runs in, has failed. */
static bool is_tool_failure(const char *reason)
{
	static const char *const reasons[] = {"sandbox-failed", "start-timeout", "protocol"};
	return is_among(reason, reasons, ARRAY_LENGTH(reasons));
}

/* What a command was refused, when that may be why it failed. */
static void tell_denials(const json_t *done)
{
	size_t i;
	json_t *denial;
	json_array_foreach(json_object_get(done, "denials"), i, denial)
	{
		char text[1024];
		snprintf(text, sizeof text, "tenantctl: denied: %s %s (%s): %s",
			output_string(denial, "permission"), output_string(denial, "resource"),
			output_string(denial, "layer"), output_string(denial, "detail"));
		output_lines(true, text);
	}
}

/* The exit code of a script that came to an end, with a word to the operator where the
 * script could not say itself why. */
static int conclude_end(const struct run *run, const json_t *done, bool json)
{
	const char *reason = output_string(done, "reason");
	const char *message = output_string(done, "message");
	json_int_t number = output_integer(done, "signal");
	bool killed = number > 0 && number < 65, failed = is_tool_failure(reason);
	bool unsaid =
		killed || failed || is_among(reason, unsaid_reasons, ARRAY_LENGTH(unsaid_reasons));
	if (json) {
		fprintf(stderr, "\n");
		json_dumpf(done, stderr, JSON_COMPACT);
		fprintf(stderr, "\n");
	} else if (unsaid) {
		char text[8192];
		snprintf(text, sizeof text, "tenantctl: %s%s%s", reason, message[0] ? ": " : "",
			message);
		output_lines(true, text);
	}
	if (!json && (killed || output_integer(done, "exit_code") != 0))
		tell_denials(done);
	if (failed)
		return CONTROL_EXIT_TOOL;
	if (killed)
		return 128 + (int)number;
	if (strcmp(reason, "drained") == 0 && run->last_signal)
		return 128 + run->last_signal;
	return (int)(output_integer(done, "exit_code") & 255);
}

static int conclude(const struct run *run, bool json)
{
	const json_t *failed = json_object_get(run->answer, "error");
	if (!failed)
		return conclude_end(run, json_object_get(run->answer, "done"), json);
	json_int_t exit = output_integer(failed, "exit");
	int code = client_report(failed);
	/* 1 and 2 would look like the script's own. */
	return exit <= CONTROL_EXIT_UNKNOWN ? CONTROL_EXIT_TOOL : code;
}

static int run_program(const struct invocation *invocation)
{
	static struct run run = {
		.control = -1, .signals = -1, .theirs = {-1, -1, -1}, .debugger = -1};
	for (int i = 0; i < STREAM_COUNT; i++)
		run.streams[i].from = run.streams[i].to = -1;
	if (invocation->argument_count == 0 && invocation->rest_count == 0)
		return output_fail(CONTROL_EXIT_TOOL, "usage",
			"what is to be run? `tenantctl run FILE`, or `tenantctl run -- COMMAND`");
	run.is_command = invocation->argument_count == 0;
	int code =
		run.is_command ? start_command(invocation, &run) : start_script(invocation, &run);
	if (code == 0)
		code = relay_all(&run);
	if (code == 0)
		code = conclude(&run, invocation->options[OPTION_JSON] != NULL);
	for (int i = 0; i < STREAM_COUNT; i++)
		relay_close(&run.streams[i]);
	json_decref(run.answer);
	close_fd(&run.signals);
	close_fd(&run.control);
	return code;
}

const struct command command_run = {
	.name = "run",
	.group = GROUP_RUN,
	.arguments = "[FILE|DIR]",
	.summary = "run a script or a command once, confined, and exit with its code",
	.details =
		"The program gets what is typed or piped in, its output and errors come out here, "
		"and INT, TERM and HUP are passed on to it, to a command also QUIT, USR1 and USR2; "
		"a third one that ends programs ends the wait.\n"
		"FILE and DIR are as for deploy, and arguments after -- are the script's own. "
		"Without FILE, what comes after -- is a command of tenantd's host with its "
		"arguments, and may be any program: it gets the host's libraries, the files and "
		"programs that the policy grants, a private /tmp, and the network only through "
		"the proxy that HTTP_PROXY, HTTPS_PROXY and ALL_PROXY name, as far as net.connect "
		"grants it. What was denied is told when the command fails. Its current folder is "
		"this one if the policy grants it, else /. The command "
		"itself is granted by being named; whatever else it runs, a shell included, must "
		"be in child.exec.\n"
		"--inspect lets a debugger look into a script (the Chrome DevTools protocol, on "
		"127.0.0.1, for this operator alone); with --inspect-brk the script waits for it.\n"
		"Without --policy nothing is granted: no files but a script's own, no network, "
		"no child processes.\n"
		"Exits with the program's code, or 128 plus the number of the signal that killed "
		"it; 124 if it ran longer than limits.time, 125 if tenantd failed, 126 if it "
		"cannot be run, 127 if it was not found. With --json the outcome is the last line "
		"of standard error.\n",
	.options = OPTION_BIT(OPTION_POLICY) | OPTION_BIT(OPTION_NAME) | OPTION_BIT(OPTION_AUDIT) |
		   OPTION_BIT(OPTION_BUNDLE) | OPTION_BIT(OPTION_INSPECT) |
		   OPTION_BIT(OPTION_INSPECT_BREAK) | OPTION_BIT(OPTION_PORT),
	.arguments_least = 0,
	.arguments_most = 1,
	.kinds = {ARGUMENT_PATH},
	.takes_rest = true,
	.run = run_program,
};
