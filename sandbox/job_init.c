/* Process 1 of a job: the program's parent, and that of all orphans; passes signals on,
 * ends the job when its time is over, tells how the program ended. It runs none of the
 * tenant's code, but lives among it: so it is as confined as the program, and takes no
 * orders but the supervisor's. */
#include "common/cleanup.h"
#include "common/message.h"
#include "sandbox/job_steps.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define LANDLOCK_SEES_UNIX 9 /* ABI, Linux 7.1: LANDLOCK_ACCESS_FS_RESOLVE_UNIX */
#define KILL_AFTER_MS 5000   /* from TERM to KILL when the time is over */
#define UMASK 022

enum { STATE_RUNNING = 1 };

static const struct message_rule rules[] = {
	{MESSAGE_SIGNAL, STATE_RUNNING, sizeof(struct message_child_signal),
		sizeof(struct message_child_signal), 0, 0},
	{MESSAGE_DRAIN, STATE_RUNNING, sizeof(struct message_drain), sizeof(struct message_drain),
		0, 0},
	{MESSAGE_EGRESS, STATE_RUNNING, sizeof(struct message_header),
		sizeof(struct message_header), 1, 1},
};

enum { WATCH_CHANNEL, WATCH_CHILDREN, WATCH_LISTENER, WATCH_TIME, WATCH_COUNT };

struct watch {
	struct job *job;
	pid_t program;
	int signals;  /* SIGCHLD */
	int listener; /* of seccomp; -1: none */
	int timer;
	bool timed_out;
};

/* ---- telling ---- */

_Noreturn void job_end(
	const struct job *job, bool failed, enum worker_reason reason, int code, const char *text)
{
	char report[sizeof(struct message_report) + 2048];
	size_t length = message_report_encode(report, sizeof report,
		failed ? MESSAGE_FAILED : MESSAGE_EXITING, job->instance, reason, (uint32_t)code,
		text);
	/* The supervisor may be slow: its channel is blocking here. */
	(void)message_send(job->channel, report, length, NULL, 0);
	_exit(reason == WORKER_REASON_SIGNAL ? 128 + code : code);
}

/* ---- the program's first moments ---- */

/* What the child says before it is the program: nothing when all went well (the socket
 * closes at exec), with a descriptor the listener, else what failed. */
struct first_words {
	int step; /* enum below */
	int code; /* errno */
};
enum { STEP_LISTENER, STEP_FOLDER, STEP_FILTER, STEP_EXEC };

static void say(int socket, int step, int code, const int *fd)
{
	const struct first_words words = {.step = step, .code = code};
	(void)message_send(socket, &words, sizeof words, fd, fd ? 1 : 0);
}

/* Whether a socket of the host's could be in reach, and only this could stop a connect. */
static bool must_refuse_unix(const struct worker_start *start)
{
	bool folders = false;
	for (size_t i = 0; i < start->grant_count; i++)
		folders |= start->grants[i].folder;
	return folders && sandbox_landlock_abi() < LANDLOCK_SEES_UNIX;
}

_Noreturn static void become_program(const struct job *job, int socket)
{
	struct error error = {0};
	sigset_t none;
	char *arguments[WORKER_STRINGS_MAX + 1];
	for (size_t i = 0; i < job->start->argument_count; i++)
		arguments[i] = (char *)job->start->arguments[i];
	arguments[job->start->argument_count] = NULL;
	/* A session of its own: signals of a keyboard go to a group that we know. */
	setsid();
	umask(UMASK);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (chdir(job->start->folder[0] ? job->start->folder : "/") < 0) {
		say(socket, STEP_FOLDER, errno, NULL);
		_exit(JOB_EXIT_FAILED);
	}
	if (must_refuse_unix(job->start) && job_filter_refuse_unix(&error) < 0) {
		say(socket, STEP_FILTER, error.code, NULL);
		_exit(JOB_EXIT_FAILED);
	}
	int listener = job_filter_load(job->filter, true, &error);
	if (listener < -1) {
		say(socket, STEP_FILTER, error.code, NULL);
		_exit(JOB_EXIT_FAILED);
	}
	if (listener >= 0) {
		say(socket, STEP_LISTENER, 0, &listener);
		close(listener);
	}
	execve(job->start->entry, arguments, job->environment);
	say(socket, STEP_EXEC, errno, NULL);
	_exit(JOB_EXIT_FAILED);
}

/* Why execve failed, in words: ENOENT may be about the interpreter. */
_Noreturn static void end_unstarted(const struct job *job, const struct first_words *words)
{
	char text[1024];
	const char *path = job->start->entry;
	const char *why = strerror(words->code);
	struct stat status;
	if (words->step == STEP_FOLDER) {
		/* As Node's spawn has it, which does not say which of the two is missing. */
		snprintf(text, sizeof text, "cannot go to %s: %s", job->start->folder, why);
		job_end(job, true, WORKER_REASON_NOT_FOUND, JOB_EXIT_NOT_FOUND, text);
	}
	if (words->step == STEP_FILTER)
		job_end(job, true, WORKER_REASON_SANDBOX, JOB_EXIT_FAILED,
			"cannot load the seccomp filter");
	bool there = stat(path, &status) == 0;
	if (words->code == ENOENT && !there) {
		snprintf(text, sizeof text,
			"%s: no such program, or the tenant's user may not reach it, or a symbolic "
			"link leads there that others than root may have made",
			path);
		job_end(job, true, WORKER_REASON_NOT_FOUND, JOB_EXIT_NOT_FOUND, text);
	}
	if (words->code == ENOENT)
		why = "its interpreter is not there";
	else if (words->code == ENOEXEC)
		why = "it is neither a program for this machine nor a script with #!";
	snprintf(text, sizeof text, "%s cannot be run: %s", path, why);
	job_end(job, true, WORKER_REASON_NOT_RUNNABLE, JOB_EXIT_NOT_RUNNABLE, text);
}

/* Starts it, and returns when it runs. */
static void start_program(struct watch *watch)
{
	struct job *job = watch->job;
	int pair[2];
	if (message_pair(pair) < 0)
		job_end(job, true, WORKER_REASON_SANDBOX, JOB_EXIT_FAILED,
			"cannot make a socket pair");
	watch->program = fork();
	if (watch->program < 0) {
		char text[128];
		snprintf(text, sizeof text, "cannot fork: %s", strerror(errno));
		job_end(job, true, WORKER_REASON_SANDBOX, JOB_EXIT_FAILED, text);
	}
	if (watch->program == 0)
		become_program(job, pair[1]);
	close(pair[1]);
	for (;;) {
		struct first_words words;
		int fd = -1;
		size_t fd_count = 1;
		ssize_t length = message_receive(pair[0], &words, sizeof words, &fd, &fd_count, 0);
		if (length != sizeof words)
			break; /* It runs, or is dead: waiting tells. */
		if (words.step != STEP_LISTENER)
			end_unstarted(job, &words);
		if (fd_count == 1)
			watch->listener = fd;
	}
	close(pair[0]);
	/* Only we hold what our program must not inherit: no terminal, no pipe's end that would
	 * keep its reader waiting after the program closed it. */
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; null >= 0 && i < 3; i++)
		dup2(null, i);
	close_fd(&null);
}

/* ---- signals ---- */

/* What a keyboard sends goes to the whole group, as from a keyboard. */
static void pass_signal(const struct watch *watch, int number)
{
	const bool keyboard = number == SIGINT || number == SIGQUIT || number == SIGHUP ||
			      number == SIGTSTP || number == SIGWINCH;
	if (number <= 0 || number > SIGRTMAX)
		return;
	(void)kill(keyboard ? -watch->program : watch->program, number);
	/* One that is stopped would not notice. */
	if (number == SIGTERM || number == SIGHUP)
		(void)kill(watch->program, SIGCONT);
}

static void set_timer(const struct watch *watch, uint32_t ms)
{
	const struct itimerspec when = {
		.it_value = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000},
	};
	timerfd_settime(watch->timer, 0, &when, NULL);
}

/* First politely, to all, then not. */
static void time_is_over(struct watch *watch)
{
	uint64_t count;
	if (read(watch->timer, &count, sizeof count) < 0)
		return;
	(void)kill(-1, watch->timed_out ? SIGKILL : SIGTERM);
	(void)kill(-1, SIGCONT);
	watch->timed_out = true;
	set_timer(watch, KILL_AFTER_MS);
}

/* ---- the supervisor ---- */

static void handle_message(struct watch *watch, const void *message, int *fds)
{
	struct job *job = watch->job;
	struct error error = {0};
	struct message_child_signal what;
	memcpy(&what.header, message, sizeof what.header);
	switch ((enum message_type)what.header.type) {
	case MESSAGE_SIGNAL:
		memcpy(&what, message, sizeof what);
		pass_signal(watch, what.number);
		break;
	case MESSAGE_DRAIN:
		pass_signal(watch, SIGTERM);
		break;
	default: /* EGRESS: another one, the last has died */
		if (job->proxy >= 0) {
			close(job->egress);
			job->egress = take_fd(&fds[0]);
			(void)job_proxy_send(job->egress, job->proxy, &error);
		}
		close_fd(&fds[0]);
		break;
	}
}

static void read_message(struct watch *watch)
{
	_Alignas(8) char message[256];
	struct error error = {0};
	int fds[1];
	size_t fd_count = ARRAY_LENGTH(fds);
	ssize_t length = message_receive(
		watch->job->channel, message, sizeof message, fds, &fd_count, MSG_DONTWAIT);
	if (length == -EAGAIN)
		return;
	/* Without a supervisor there is nothing to live for; all that is here dies with us. */
	if (length <= 0 || !message_check(rules, ARRAY_LENGTH(rules), STATE_RUNNING, message,
				   (size_t)length, fd_count, &error))
		_exit(JOB_EXIT_FAILED);
	handle_message(watch, message, fds);
}

/* ---- children ---- */

_Noreturn static void end_with(const struct watch *watch, int status)
{
	char text[128] = "";
	if (watch->timed_out) {
		snprintf(text, sizeof text, "it ran longer than its time (limits.time, %u ms)",
			watch->job->start->time_ms);
		job_end(watch->job, false, WORKER_REASON_TIME_LIMIT, JOB_EXIT_TIME_LIMIT, text);
	}
	if (WIFSIGNALED(status))
		job_end(watch->job, false, WORKER_REASON_SIGNAL, WTERMSIG(status), text);
	job_end(watch->job, false, WORKER_REASON_EXIT, WEXITSTATUS(status), text);
}

static void reap(struct watch *watch)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;
	(void)!read(watch->signals, &info, sizeof info);
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == watch->program)
			end_with(watch, status);
}

/* ---- life ---- */

static void set_up(struct watch *watch)
{
	sigset_t set;
	/* No handlers: what the tenant's processes send to process 1 is then not delivered
	 * (pid_namespaces(7)), but for what they cannot send, KILL and STOP from outside. */
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_SETMASK, &set, NULL);
	watch->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	watch->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (watch->signals < 0 || watch->timer < 0)
		job_end(watch->job, true, WORKER_REASON_SANDBOX, JOB_EXIT_FAILED,
			"cannot make a signalfd and a timerfd");
}

_Noreturn void job_run(struct job *job)
{
	struct watch watch = {.job = job, .listener = -1};
	struct error error = {0};
	struct message_header ready = {.type = MESSAGE_READY, .instance = job->instance};
	set_up(&watch);
	start_program(&watch);
	for (int number = 1; job->signals; number++, job->signals >>= 1)
		if (job->signals & 1)
			pass_signal(&watch, number);
	/* From here on nothing is needed that a program may not do either. */
	if (job_filter_load(job->filter, false, &error) < -1)
		job_end(job, true, WORKER_REASON_SANDBOX, JOB_EXIT_FAILED, error.message);
	(void)message_send(job->channel, &ready, sizeof ready, NULL, 0);
	if (job->start->time_ms)
		set_timer(&watch, job->start->time_ms);
	for (;;) {
		struct pollfd polled[WATCH_COUNT] = {
			[WATCH_CHANNEL] = {.fd = job->channel, .events = POLLIN},
			[WATCH_CHILDREN] = {.fd = watch.signals, .events = POLLIN},
			[WATCH_LISTENER] = {.fd = watch.listener, .events = POLLIN},
			[WATCH_TIME] = {.fd = watch.timer, .events = POLLIN},
		};
		if (poll(polled, ARRAY_LENGTH(polled), -1) < 0 && errno != EINTR)
			_exit(JOB_EXIT_FAILED);
		/* Else: nobody is left who could ask. */
		if (polled[WATCH_LISTENER].revents &&
			(!(polled[WATCH_LISTENER].revents & POLLIN) ||
				!job_notify_answer(job, watch.listener)))
			close_fd(&watch.listener);
		if (polled[WATCH_CHANNEL].revents)
			read_message(&watch);
		if (polled[WATCH_TIME].revents & POLLIN)
			time_is_over(&watch);
		if (polled[WATCH_CHILDREN].revents & POLLIN)
			reap(&watch);
	}
}
