#include "daemon/helper_process.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/message.h"
#include "daemon/slice.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define FDS_MAX 4 /* that one message of a helper brings */
#define RETRY_MS 1000

static const struct backoff_limits restart_limits = {
	.base_ms = 20,
	.cap_ms = 2000,
	.floor_ms = 10,
	.healthy_ms = 10 * 1000,
	.give_up_count = BACKOFF_FAILURES_MAX,
	.give_up_window_ms = 0,
};

/* ---- the child ---- */

/* Nothing of the daemon's environment is a helper's business, or a tenant's, but what
 * concerns the place it runs at. */
#define PASSED_MAX 7
static void pick_environment(char entries[PASSED_MAX][512], char *environment[PASSED_MAX + 1])
{
	static const char *const passed[PASSED_MAX] = {"TZ", "LANG", "JOURNAL_STREAM",
		"ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "LD_LIBRARY_PATH"};
	size_t count = 0;
	for (size_t i = 0; i < PASSED_MAX; i++) {
		const char *value = getenv(passed[i]);
		if (value == NULL)
			continue;
		snprintf(entries[count], 512, "%s=%s", passed[i], value);
		environment[count] = entries[count];
		count++;
	}
	environment[count] = NULL;
}

/* The channel in its place, and no descriptor behind it. */
static bool arrange_descriptors(bool forks, int channel)
{
	int null = open("/dev/null", (forks ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || (!forks && dup2(null, STDOUT_FILENO) < 0))
		return false;
	int high = fcntl(channel, F_DUPFD_CLOEXEC, HELPER_CHANNEL_FD + 1);
	return high >= 0 && dup2(high, HELPER_CHANNEL_FD) >= 0 &&
	       close_range(HELPER_CHANNEL_FD + 1, ~0u, 0) == 0;
}

_Noreturn static void exec_helper(
	const struct helper_kind *kind, const struct helper_start *what, int channel)
{
	char entries[PASSED_MAX][512];
	char *environment[PASSED_MAX + 1];
	sigset_t none;
	pick_environment(entries, environment);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid(); /* no terminal, no signals from its keyboard */
	if (!kind->forks) {
		slice_shorten_own(); /* it waits, and others for it */
		signal(SIGPIPE, SIG_DFL);
	}
	if ((!kind->forks && chdir("/") < 0) || !arrange_descriptors(kind->forks, channel))
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(what->program, (char **)what->arguments, environment);
	log_error("event=%s-exec-failed path=%s message=\"%s\"", kind->name, what->program,
		strerror(errno));
	_exit(127);
}

/* ---- what happens to it ---- */

/* What the rules do not allow is the end of the process. */
static void read_channel(struct helper_process *process)
{
	static _Alignas(8) char message[HELPER_MESSAGE_MAX + 1];
	const struct helper_kind *kind = process->kind;
	struct error error = {0};
	int fds[FDS_MAX];
	size_t fd_count = FDS_MAX;
	ssize_t length = message_receive(
		process->channel, message, HELPER_MESSAGE_MAX, fds, &fd_count, MSG_DONTWAIT);
	if (length == -EAGAIN)
		return;
	if (length == 0 || length == -ECONNRESET) {
		error_set(&error, EPIPE, "it closed its channel");
	} else if (length < 0) {
		error_errno(&error, (int)-length, "cannot receive");
	} else if (message_check(kind->rules, kind->rule_count, process->state, message,
			   (size_t)length, fd_count, &error)) {
		message[length] = '\0';
		kind->message(process->data, message, (size_t)length, fds);
		return;
	}
	for (size_t i = 0; length > 0 && i < fd_count; i++)
		close(fds[i]);
	kind->died(process->data, error.message);
}

static int channel_ready(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct helper_process *process = data;
	(void)source;
	(void)fd;
	if ((events & EPOLLOUT) && process->kind->room)
		process->kind->room(process->data);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		read_channel(process);
	return 0;
}

static int exited(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct helper_process *process = data;
	(void)source;
	(void)fd;
	(void)events;
	process->kind->died(process->data, "it ended");
	return 0;
}

static int deadline_passed(sd_event_source *source, uint64_t usec, void *data)
{
	struct helper_process *process = data;
	(void)source;
	(void)usec;
	process->kind->died(process->data, process->state == HELPER_STARTING
						   ? "it was not ready in time"
						   : "it did not answer in time");
	return 0;
}

static int watch(struct helper_process *process, uint32_t ready_ms)
{
	int result = sd_event_add_io(process->event, &process->channel_source, process->channel,
		EPOLLIN, channel_ready, process);
	if (result >= 0)
		result = sd_event_add_io(process->event, &process->exit_source, process->pidfd,
			EPOLLIN, exited, process);
	/* What it still said is read before its end is noticed. */
	if (result >= 0)
		result = sd_event_source_set_priority(process->exit_source, 10);
	if (result >= 0)
		result = sd_event_add_time_relative(process->event, &process->deadline,
			CLOCK_MONOTONIC, (uint64_t)ready_ms * 1000, 0, deadline_passed, process);
	return result;
}

/* ---- one process ---- */

void helper_process_init(
	struct helper_process *process, const struct helper_kind *kind, sd_event *event, void *data)
{
	*process = (struct helper_process){
		.kind = kind,
		.event = event,
		.data = data,
		.pidfd = -1,
		.channel = -1,
	};
}

int helper_process_start(
	struct helper_process *process, const struct helper_start *what, struct error *error)
{
	const struct helper_kind *kind = process->kind;
	const int bytes = (int)(kind->channel_bytes / 2); /* the kernel doubles it */
	int pair[2];
	int result = message_pair(pair);
	if (result < 0)
		return error_errno(error, -result, "cannot make a channel for %s", kind->label);
	cleanup_close int mine = pair[0], its = pair[1];
	pid_t pid = fork();
	if (pid < 0)
		return error_errno(error, errno, "cannot fork %s", kind->label);
	if (pid == 0)
		exec_helper(kind, what, its);
	process->pid = pid;
	process->started_ms = clock_ms();
	process->state = HELPER_STARTING;
	process->pidfd = pidfd_open(pid, 0);
	process->channel = take_fd(&mine);
	if (bytes > 0)
		setsockopt(process->channel, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
	result = process->pidfd < 0 || fcntl(process->channel, F_SETFL, O_NONBLOCK) < 0
			 ? -errno
			 : watch(process, what->ready_ms);
	if (result < 0) {
		error_errno(error, -result, "cannot watch %s", kind->label);
		helper_process_end(process, NULL);
		return result;
	}
	return 0;
}

void helper_process_ready(struct helper_process *process, const char *detail)
{
	process->state = HELPER_SERVING;
	helper_process_set_deadline(process, 0);
	log_info("event=%s-ready pid=%d ms=%llu%s", process->kind->name, process->pid,
		(unsigned long long)(clock_ms() - process->started_ms), detail);
}

void helper_process_set_deadline(struct helper_process *process, uint32_t ms)
{
	if (ms > 0)
		sd_event_source_set_time_relative(process->deadline, (uint64_t)ms * 1000);
	sd_event_source_set_enabled(process->deadline, ms > 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

void helper_process_want_room(struct helper_process *process, bool wanted)
{
	sd_event_source_set_io_events(process->channel_source, EPOLLIN | (wanted ? EPOLLOUT : 0u));
}

void helper_process_kill(struct helper_process *process, const char *why)
{
	log_warn("event=%s-killed pid=%d message=\"%s\"", process->kind->name, process->pid, why);
	pidfd_send_signal(process->pidfd, SIGKILL, NULL, 0);
}

/* It has no state that a kill could spoil. */
void helper_process_end(struct helper_process *process, struct helper_end *ret_end)
{
	siginfo_t info = {0};
	sd_event_source_disable_unref(take_pointer(process->channel_source));
	sd_event_source_disable_unref(take_pointer(process->exit_source));
	sd_event_source_disable_unref(take_pointer(process->deadline));
	if (process->pid > 0) {
		if (process->pidfd >= 0)
			pidfd_send_signal(process->pidfd, SIGKILL, NULL, 0);
		else
			kill(process->pid, SIGKILL);
		waitid(P_PID, (id_t)process->pid, &info, WEXITED);
	}
	if (ret_end)
		*ret_end = (struct helper_end){
			.pid = process->pid,
			.killed = info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED,
			.status = info.si_status,
			.served_ms = process->pid > 0 ? clock_ms() - process->started_ms : 0,
		};
	process->pid = 0;
	process->state = 0;
	close_fd(&process->pidfd);
	close_fd(&process->channel);
}

void helper_process_log_end(
	const struct helper_process *process, const struct helper_end *end, const char *why)
{
	log_error("event=%s-ended pid=%d %s=%d served_ms=%llu message=\"%s\"", process->kind->name,
		end->pid, end->killed ? "signal" : "exit_code", end->status,
		(unsigned long long)end->served_ms, escape_for_log(why));
}

/* ---- the next ---- */

static void start_after(struct helper_restart *restart, uint32_t delay_ms);

static int start_now(sd_event_source *source, uint64_t usec, void *data)
{
	struct helper_restart *restart = data;
	struct error error = {0};
	(void)source;
	(void)usec;
	restart->timer = sd_event_source_disable_unref(restart->timer);
	if (restart->start(restart->data, &error) < 0) {
		log_error("event=%s-failed message=\"%s\"", restart->name,
			escape_for_log(error.message));
		start_after(restart, RETRY_MS);
	}
	return 0;
}

static void start_after(struct helper_restart *restart, uint32_t delay_ms)
{
	helper_restart_clear(restart);
	sd_event_add_time_relative(restart->event, &restart->timer, CLOCK_MONOTONIC,
		(uint64_t)delay_ms * 1000, 0, start_now, restart);
}

void helper_restart_init(struct helper_restart *restart, const char *name, sd_event *event,
	helper_start_fn *start, void *data)
{
	*restart = (struct helper_restart){
		.name = name,
		.event = event,
		.start = start,
		.data = data,
	};
}

void helper_restart_schedule(struct helper_restart *restart, uint64_t served_ms)
{
	uint64_t random = 0;
	if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
		random = clock_ns();
	backoff_failed(&restart->backoff, &restart_limits, clock_ms(), served_ms);
	start_after(restart, restart->backoff.failures > 1
				     ? backoff_delay_ms(&restart->backoff, &restart_limits, random)
				     : 0);
}

bool helper_restart_is_pending(const struct helper_restart *restart)
{
	return restart->timer != NULL;
}

void helper_restart_clear(struct helper_restart *restart)
{
	restart->timer = sd_event_source_disable_unref(restart->timer);
}
