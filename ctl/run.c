/* `tenantctl run`: a script once, as if it were a program of its own: its streams, its
 * signals and its exit code are passed through. */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/control.h"
#include "ctl/client.h"
#include "ctl/output.h"
#include "ctl/relay.h"
#include "deploy/archive.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

/* After the script has ended its pipes are at their end too, unless something else
 * still holds them: then wait this long after the last byte. */
#define LINGER_MS 1000

/* So many interrupts, and the operator wants out, whatever the script does. */
#define INTERRUPTS_MAX 3

enum { STREAM_IN, STREAM_OUT, STREAM_ERR, STREAM_COUNT };

struct run {
	int control;
	int signals;
	struct relay streams[STREAM_COUNT];
	int theirs[STREAM_COUNT];    /* the script's ends, until they are sent */
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
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return error_errno(error, errno, "cannot block signals");
	signal(SIGPIPE, SIG_IGN);
	run->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->signals < 0)
		return error_errno(error, errno, "cannot make a signalfd");
	return 0;
}

static json_t *make_request(const struct invocation *invocation, const char *entry)
{
	json_t *request = client_request("run", invocation->options[OPTION_NAME]);
	json_t *arguments = json_array();
	json_object_set_new(request, "entry", json_string(entry));
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

/* Archives FILE, connects and asks. Returns 0 or an exit code. */
static int start(const struct invocation *invocation, struct run *run)
{
	struct error error = {0};
	struct archive_made made;
	int result = archive_make(invocation->arguments[0], &made, &error);
	if (result < 0)
		return output_fail(
			result == -ENOENT ? CONTROL_EXIT_NOT_FOUND : CONTROL_EXIT_NOT_RUNNABLE,
			"release", "%s", error.message);
	cleanup_close int archive = made.fd;
	json_t *request = make_request(invocation, made.entry);
	if (!request)
		return output_fail(CONTROL_EXIT_TOOL, "usage", "an argument is not UTF-8");
	int code = client_put_policy(invocation, request);
	if (code == 0) {
		result = client_connect(invocation, &run->control, &error);
		if (result == 0)
			result = set_up_streams(run, &error);
		const int fds[] = {archive, run->theirs[STREAM_IN], run->theirs[STREAM_OUT],
			run->theirs[STREAM_ERR]};
		if (result == 0)
			result = client_send(run->control, request, fds, ARRAY_LENGTH(fds), &error);
	}
	json_decref(request);
	/* Only the script holds its ends now: when it ends, ours see the end of file. */
	for (int i = 0; i < STREAM_COUNT; i++)
		close_fd(&run->theirs[i]);
	if (code)
		return CONTROL_EXIT_TOOL;
	if (result == 0)
		result = set_up_signals(run, &error);
	if (result < 0)
		return output_fail(CONTROL_EXIT_TOOL, "unreachable", "%s", error.message);
	return 0;
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
	int number = run->last_signal = (int)info.ssi_signo;
	if (++run->interrupts >= INTERRUPTS_MAX)
		return output_fail(128 + number, "interrupted",
			"%d signals, and the script goes on: it will be killed", run->interrupts);
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

/* Not the script, but what it runs in, has failed. */
static bool is_tool_failure(const char *reason)
{
	static const char *const reasons[] = {"sandbox-failed", "start-timeout", "protocol"};
	for (size_t i = 0; i < ARRAY_LENGTH(reasons); i++)
		if (strcmp(reason, reasons[i]) == 0)
			return true;
	return false;
}

/* The exit code of a script that came to an end, with a word to the operator where the
 * script could not say itself why. */
static int conclude_end(const struct run *run, const json_t *done, bool json)
{
	const char *reason = output_string(done, "reason");
	const char *message = output_string(done, "message");
	json_int_t number = output_integer(done, "signal");
	bool killed = number > 0 && number < 65, failed = is_tool_failure(reason);
	if (json) {
		fprintf(stderr, "\n");
		json_dumpf(done, stderr, JSON_COMPACT);
		fprintf(stderr, "\n");
	} else if (killed || failed) {
		char text[8192];
		snprintf(text, sizeof text, "tenantctl: %s%s%s", reason, message[0] ? ": " : "",
			message);
		output_lines(true, text);
	}
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

static int run_script(const struct invocation *invocation)
{
	static struct run run = {.control = -1, .signals = -1, .theirs = {-1, -1, -1}};
	for (int i = 0; i < STREAM_COUNT; i++)
		run.streams[i].from = run.streams[i].to = -1;
	int code = start(invocation, &run);
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
	.arguments = "FILE|DIR",
	.summary = "run a script once, confined, and exit with its code",
	.details =
		"The script gets what is typed or piped in, its output and errors come out here, "
		"and INT, TERM and HUP are passed on to it; a third one ends the wait. "
		"Arguments after -- are the script's own.\n"
		"FILE and DIR are as for deploy. Without --policy the script is granted nothing: "
		"no files but its own, no network, no child processes.\n"
		"Exits with the script's code, or 128 plus the number of the signal that killed "
		"it; 125 if tenantd failed, 126 if the script cannot be run, 127 if it was not "
		"found. With --json the outcome is the last line of standard error.\n",
	.options = OPTION_BIT(OPTION_POLICY) | OPTION_BIT(OPTION_NAME),
	.arguments_least = 1,
	.arguments_most = 1,
	.kinds = {ARGUMENT_PATH},
	.takes_rest = true,
	.run = run_script,
};
