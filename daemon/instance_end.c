/* Why an instance ended: what it said, what was done to it, what the kernel counted. */
#include "common/cleanup.h"
#include "common/control.h"
#include "common/escape.h"
#include "daemon/audit.h"
#include "daemon/instance_private.h"

#include <string.h>
#include <sys/wait.h>
#include <time.h>

static const char *const reason_names[END_REASON_COUNT] = {
	[END_NONE] = "none",
	[END_EXIT] = "exit",
	[END_SIGNAL] = "signal",
	[END_UNCAUGHT] = "uncaught",
	[END_OOM] = "oom",
	[END_CPU_LIMIT] = "cpu-limit",
	[END_HEAP_LIMIT] = "heap-limit",
	[END_SECCOMP] = "seccomp",
	[END_BOOT_FAILED] = "boot-failed",
	[END_SANDBOX_FAILED] = "sandbox-failed",
	[END_START_TIMEOUT] = "start-timeout",
	[END_PROTOCOL] = "protocol",
	[END_OPERATOR] = "operator",
	[END_DEPLOY] = "deploy",
	[END_DRAINED] = "drained",
	[END_TIME_LIMIT] = "time-limit",
	[END_NOT_FOUND] = "not-found",
	[END_NOT_RUNNABLE] = "not-runnable",
	[END_RETIRED] = "retired",
	[END_IDLE] = "idle",
	[END_PROBE_FAILED] = "probe-failed",
};

static const enum end_reason reported_reasons[WORKER_REASON_COUNT] = {
	[WORKER_REASON_EXIT] = END_EXIT,
	[WORKER_REASON_DRAINED] = END_DRAINED,
	[WORKER_REASON_UNCAUGHT] = END_UNCAUGHT,
	[WORKER_REASON_CPU_LIMIT] = END_CPU_LIMIT,
	[WORKER_REASON_HEAP_LIMIT] = END_HEAP_LIMIT,
	[WORKER_REASON_BOOT] = END_BOOT_FAILED,
	[WORKER_REASON_SANDBOX] = END_SANDBOX_FAILED,
	[WORKER_REASON_SIGNAL] = END_SIGNAL,
	[WORKER_REASON_TIME_LIMIT] = END_TIME_LIMIT,
	[WORKER_REASON_NOT_FOUND] = END_NOT_FOUND,
	[WORKER_REASON_NOT_RUNNABLE] = END_NOT_RUNNABLE,
};

const char *end_reason_name(enum end_reason reason)
{
	return reason_names[reason];
}

enum end_reason end_reason_find(const char *name)
{
	for (int reason = 0; reason < END_REASON_COUNT; reason++)
		if (strcmp(reason_names[reason], name) == 0)
			return (enum end_reason)reason;
	return END_EXIT;
}

/* A tenant's text, each of its lines escaped: a stack keeps its shape. */
static void escape_text(char *target, size_t size, const char *text)
{
	size_t length = 0;
	while (*text && length + 2 < size) {
		size_t line = strcspn(text, "\n");
		length += escape_line(target + length, size - length - 1, text, line, 1);
		text += line;
		if (*text == '\n') {
			text++;
			if (*text)
				target[length++] = '\n';
		}
	}
	target[length] = '\0';
}

/* What is told of an instance when there was no memory for it. */
static struct instance_end no_memory;

struct instance_end *instance_make_end(struct instance *instance)
{
	if (instance->end == NULL)
		instance->end = calloc(1, sizeof *instance->end);
	if (instance->end == NULL) {
		no_memory = (struct instance_end){0};
		instance->end = &no_memory;
	}
	return instance->end;
}

void instance_free_end(struct instance *instance)
{
	if (instance->end != &no_memory)
		free(instance->end);
	instance->end = NULL;
}

void instance_keep_report(struct instance *instance, const void *message, size_t length)
{
	struct message_report report;
	memcpy(&report, message, sizeof report);
	enum end_reason reason = END_EXIT;
	if (report.reason < WORKER_REASON_COUNT && reported_reasons[report.reason] != END_NONE)
		reason = reported_reasons[report.reason];
	struct instance_end *end = instance_make_end(instance);
	end->reason = reason;
	if (reason == END_SIGNAL && report.exit_code > 0 && report.exit_code <= (uint32_t)SIGRTMAX)
		instance->reported_signal = (int)report.exit_code;
	char text[MESSAGE_TEXT_MAX + 1];
	snprintf(text, sizeof text, "%s", message_report_text(message, length));
	secrets_redact_string(instance->secrets, text);
	escape_text(end->message, sizeof end->message, text);
}

/* How the process ended; a job's first process ends by itself, and has told how the
 * program did. */
static void take_status(struct instance *instance, const siginfo_t *info)
{
	struct instance_end *end = instance->end;
	const bool exited = info->si_code == CLD_EXITED;
	const bool killed = info->si_code == CLD_KILLED || info->si_code == CLD_DUMPED;
	end->exit_code = exited ? info->si_status : -1;
	end->signal = killed ? info->si_status : 0;
	if (exited && instance->reported_signal) {
		end->exit_code = -1;
		end->signal = instance->reported_signal;
	}
}

static uint64_t oom_kills(const struct instance *instance)
{
	struct cgroup_stats stats;
	cgroup_read_stats(instance->cgroup, &stats);
	return stats.oom_kills;
}

/* What the kernel knows outranks what we did, and that outranks what the worker says. */
static enum end_reason decide(const struct instance *instance)
{
	const struct instance_end *end = instance->end;
	if (end->signal == SIGKILL && instance->kill_message[0] == '\0' && oom_kills(instance) > 0)
		return END_OOM;
	if (end->signal == SIGSYS)
		return END_SECCOMP;
	if (instance->kill_message[0])
		return instance->kill_reason;
	if (end->reason != END_NONE && end->exit_code >= 0)
		return end->reason;
	return end->signal ? END_SIGNAL : END_EXIT;
}

static void describe(struct instance *instance)
{
	struct instance_end *end = instance->end;
	char *text = end->message;
	const size_t size = sizeof end->message;
	if (instance->kill_message[0] && (end->reason == instance->kill_reason)) {
		escape_text(text, size, instance->kill_message);
		return;
	}
	if (end->reason == END_OOM)
		snprintf(text, size, "the kernel killed it: over its memory limit (limits.memory)");
	else if (end->reason == END_SECCOMP)
		snprintf(text, size, "the kernel killed it: a forbidden system call");
	else if (text[0])
		return;
	else if (end->signal)
		snprintf(text, size, "killed by signal %d (%s)", end->signal,
			sigdescr_np(end->signal) ? sigdescr_np(end->signal) : "unknown");
	else if (end->exit_code >= 0)
		snprintf(text, size, "ended with exit code %d", end->exit_code);
	else
		snprintf(text, size, "ended, and its status is lost");
}

void instance_explain_end(struct instance *instance, const siginfo_t *info)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	struct instance_end *end = instance_make_end(instance);
	end->time_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	take_status(instance, info);
	end->reason = decide(instance);
	describe(instance);
	/* As timeout(1), and as a job. */
	if (end->reason == END_TIME_LIMIT && instance_may_be_script(instance->mode)) {
		end->exit_code = CONTROL_EXIT_TIMEOUT;
		end->signal = 0;
	}
	if (!instance->cgroup_is_parents) /* else it is told with the parent's end */
		audit_limits(instance);
}

/* ---- for the log ---- */

/* Appends what fits of LINE (LENGTH bytes, escaped) into MOST bytes, quotes escaped: or a
 * tenant could write fields of its own. Returns the new end. */
static char *append_line(char *end, const char *line, size_t length, size_t most)
{
	size_t i = 0, put = 0;
	for (; i < length && put + 2 <= most; i++) {
		if (line[i] == '"')
			end[put++] = '\\';
		end[put++] = line[i];
	}
	/* Not in the middle of a character, nor of an escape. */
	if (i < length) {
		while (put > 0 && ((unsigned char)line[i--] & 0xc0) == 0x80)
			put--;
		while (put > 0 && end[put - 1] == '\\')
			put--;
	}
	return end + put;
}

/* A message of several lines as one quoted value of a log line: a JavaScript error has
 * its place in the first and its name in a later one. One line that is long (of a
 * minified program) must not crowd out the rest. */
const char *message_for_log(const char *message)
{
	enum { TEXT_MAX = 400, PART_MAX = 120 };
	static char text[TEXT_MAX + 1];
	char *end = text, *const last = text + TEXT_MAX;
	for (;;) {
		message += strspn(message, " ^\n"); /* indentation, and a line of carets */
		size_t line = strcspn(message, "\n"), room = (size_t)(last - end);
		if (line == 0 || room < 16)
			break;
		if (end > text) {
			end = stpcpy(end, " | ");
			room -= 3;
		}
		end = append_line(end, message, line, room < PART_MAX ? room : PART_MAX);
		message += line;
	}
	*end = '\0';
	return text;
}
