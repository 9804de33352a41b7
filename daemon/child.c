#include "daemon/child.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/message.h"
#include "daemon/audit.h"
#include "policy/match.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define START_MS 30000 /* until the program runs */
#define STDIO_COUNT 3

struct child {
	struct child *next;
	struct children *children;
	uint32_t number; /* the worker's */
	struct instance *instance;
	int ends[STDIO_COUNT]; /* the worker's, until they are sent; -1: none */
	bool started;
};

struct children {
	struct instance *parent;
	struct policy *policy; /* a copy: the tenant may get another meanwhile */
	int release_fd;
	int inherited[STDIO_COUNT]; /* what CHILD_STDIO_INHERIT means; -1: not made yet */
	bool dropped;               /* it gave up the right to start any */
	struct child *first;
	size_t count;
};

/* ---- what it may ---- */

static int copy_policy(const struct policy *policy, struct policy **ret_copy, struct error *error)
{
	cleanup_free char *text = policy_print(policy);
	if (text == NULL)
		return error_set(error, ENOMEM, "no memory for a policy");
	return policy_parse(text, strlen(text), "policy", ret_copy, error);
}

/* Without a log the worker has its client's streams, and so have its children. */
static int take_stdio(
	struct children *children, const struct instance_spec *spec, struct error *error)
{
	for (size_t i = 0; spec->log == NULL && i < STDIO_COUNT; i++) {
		children->inherited[i] = fcntl(spec->stdio[i], F_DUPFD_CLOEXEC, 3);
		if (children->inherited[i] < 0)
			return error_errno(error, errno, "cannot keep a standard stream");
	}
	return 0;
}

/* Takes RESOURCE ("": everything) off the list. */
static void remove_from(struct policy_list *list, const char *resource)
{
	size_t kept = 0;
	for (size_t i = 0; i < list->count; i++) {
		if (resource[0] && strcmp(list->items[i], resource) != 0)
			list->items[kept++] = list->items[i];
		else
			free(list->items[i]);
	}
	list->count = kept;
}

int children_new(struct instance *instance, const struct instance_spec *spec,
	struct children **ret_children, struct error *error)
{
	if (spec->policy->child_exec.count == 0 || spec->mode == WORKER_MODE_JOB)
		return 0;
	struct children *children = calloc(1, sizeof *children);
	if (children == NULL)
		return error_set(error, ENOMEM, "no memory for children");
	children->parent = instance;
	for (size_t i = 0; i < STDIO_COUNT; i++)
		children->inherited[i] = -1;
	children->release_fd = fcntl(spec->release_fd, F_DUPFD_CLOEXEC, 3);
	int result = children->release_fd < 0
			     ? error_errno(error, errno, "cannot keep the release's folder")
			     : copy_policy(spec->policy, &children->policy, error);
	/* Its secrets are the parent's, to pass on or not. */
	if (result == 0)
		remove_from(&children->policy->env.secrets, "");
	if (result == 0)
		result = take_stdio(children, spec, error);
	if (result < 0) {
		children_free(children);
		return result;
	}
	*ret_children = children;
	return 0;
}

static struct child *child_free(struct child *child)
{
	if (child == NULL)
		return NULL;
	struct children *children = child->children;
	for (struct child **place = &children->first; *place; place = &(*place)->next)
		if (*place == child) {
			*place = child->next;
			children->count--;
			break;
		}
	instance_free(child->instance);
	for (size_t i = 0; i < STDIO_COUNT; i++)
		close_fd(&child->ends[i]);
	free(child);
	return NULL;
}

struct children *children_free(struct children *children)
{
	if (children == NULL)
		return NULL;
	while (children->first)
		child_free(children->first);
	policy_free(children->policy);
	close_fd(&children->release_fd);
	for (size_t i = 0; i < STDIO_COUNT; i++)
		close_fd(&children->inherited[i]);
	free(children);
	return NULL;
}

/* What may no longer be written may still be read. */
static void write_to_read(struct policy *policy, const char *resource)
{
	struct policy_list *read = &policy->fs.read, *write = &policy->fs.write;
	for (size_t i = 0; i < write->count; i++) {
		const char *path = write->items[i];
		if ((resource[0] && strcmp(path, resource) != 0) || policy_match_path(read, path))
			continue;
		char *copy = strdup(path);
		char **larger =
			copy ? reallocarray(read->items, read->count + 1, sizeof *larger) : NULL;
		if (larger == NULL) { /* then it may not be read either */
			free(copy);
			continue;
		}
		read->items = larger;
		read->items[read->count++] = copy;
	}
	remove_from(write, resource);
}

void children_drop(struct children *children, const char *scope, const char *resource)
{
	if (children == NULL)
		return;
	struct policy *policy = children->policy;
	if (strcmp(scope, "child") == 0)
		children->dropped = true;
	if (strcmp(scope, "fs.write") == 0)
		write_to_read(policy, resource);
	if (strcmp(scope, "fs") == 0 || strcmp(scope, "fs.read") == 0) {
		remove_from(&policy->fs.read, resource);
		remove_from(&policy->fs.write, resource);
	}
	/* A part of a rule cannot be taken out of it: then all goes. */
	if (strcmp(scope, "net") == 0 || strcmp(scope, "net.connect") == 0)
		policy->net.connect.count = 0;
}

/* ---- answers ---- */

/* The worker's channel does not block. One that asks and does not read is not waited for. */
static void answer(
	struct instance *parent, const void *message, size_t length, const int *fds, size_t count)
{
	if (parent->channel < 0 || parent->stage == INSTANCE_ENDED)
		return;
	int result = message_send(parent->channel, message, length, fds, count);
	if (result < 0 && result != -EPIPE && result != -ECONNRESET)
		instance_kill(parent, END_PROTOCOL, "it does not read what it asked for");
}

static void answer_failed(struct instance *parent, uint32_t number, int code, const char *text)
{
	struct {
		struct message_child_failed failed;
		char text[1024];
	} message = {
		.failed =
			{
				.header = {.type = MESSAGE_CHILD_FAILED, .instance = parent->id},
				.child = number,
				.code = code,
			},
	};
	snprintf(message.text, sizeof message.text, "%s", text);
	answer(parent, &message, sizeof message.failed + strlen(message.text) + 1, NULL, 0);
}

static void child_ready(struct instance *instance, void *data)
{
	struct child *child = data;
	struct instance *parent = child->children->parent;
	const struct message_child_started message = {
		.header = {.type = MESSAGE_CHILD_STARTED, .instance = parent->id},
		.child = child->number,
		.pid = instance->pid,
	};
	int fds[STDIO_COUNT];
	size_t count = 0;
	for (size_t i = 0; i < STDIO_COUNT; i++)
		if (child->ends[i] >= 0)
			fds[count++] = child->ends[i];
	child->started = true;
	answer(parent, &message, sizeof message, fds, count);
	for (size_t i = 0; i < STDIO_COUNT; i++)
		close_fd(&child->ends[i]);
}

/* What Node's spawn would have failed with. */
static int failure_code(enum end_reason reason)
{
	switch (reason) {
	case END_NOT_FOUND:
		return ENOENT;
	case END_NOT_RUNNABLE:
		return EACCES;
	case END_OOM:
		return ENOMEM;
	default:
		return EAGAIN;
	}
}

static void child_ended(struct instance *instance, void *data)
{
	struct child *child = data;
	struct instance *parent = child->children->parent;
	const struct instance_end *end = &instance->end;
	if (child->started) {
		const struct message_child_exited message = {
			.header = {.type = MESSAGE_CHILD_EXITED, .instance = parent->id},
			.child = child->number,
			.exit_code = end->exit_code,
			.signal = end->signal,
			.timed_out = end->reason == END_TIME_LIMIT,
		};
		answer(parent, &message, sizeof message, NULL, 0);
	} else {
		answer_failed(parent, child->number, failure_code(end->reason), end->message);
	}
	child_free(child);
}

static const struct instance_events child_events = {child_ready, child_ended};

/* ---- starting ---- */

/* A pair of sockets and not a pipe, as Node has it: both ways, and no SIGPIPE for us. */
static int make_pipe(struct child *child, size_t index, struct error *error)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(error, errno, "cannot make a pipe");
	child->ends[index] = pair[0];
	return pair[1];
}

/* What the worker has itself. Where that is the tenant's log, one pipe into it serves all
 * of its children. */
static int inherit(struct children *children, size_t index, struct error *error)
{
	struct instance *parent = children->parent;
	int *kept = &children->inherited[index];
	if (*kept < 0 && index == 0)
		*kept = fcntl(parent->factory->null_fd, F_DUPFD_CLOEXEC, 3);
	if (*kept < 0 && parent->log) {
		int ends[2];
		if (pipe2(ends, O_CLOEXEC) < 0)
			return error_errno(error, errno, "cannot make a log pipe");
		int result = tenant_log_attach(parent->log, ends[0],
			index == 1 ? LOG_STREAM_STDOUT : LOG_STREAM_STDERR, parent->id,
			parent->secrets, error);
		if (result < 0) {
			close(ends[1]);
			return result;
		}
		*kept = ends[1];
	}
	int fd = *kept < 0 ? -1 : fcntl(*kept, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? error_errno(error, EMFILE, "cannot pass a standard stream on") : fd;
}

static int make_stdio(struct child *child, const struct worker_child *wanted,
	int stdio[STDIO_COUNT], struct error *error)
{
	for (size_t i = 0; i < STDIO_COUNT; i++) {
		switch ((enum child_stdio)wanted->stdio[i]) {
		case CHILD_STDIO_PIPE:
			stdio[i] = make_pipe(child, i, error);
			break;
		case CHILD_STDIO_INHERIT:
			stdio[i] = inherit(child->children, i, error);
			break;
		default:
			stdio[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
			if (stdio[i] < 0)
				error_errno(error, errno, "cannot open /dev/null");
			break;
		}
		if (stdio[i] < 0)
			return -EMFILE;
	}
	return 0;
}

/* The shorter of two limits, of which 0 is none. */
static uint32_t shorter(uint64_t one, uint64_t other)
{
	if (one == 0 || (other != 0 && other < one))
		one = other;
	return one > UINT32_MAX ? UINT32_MAX : (uint32_t)one;
}

static int start_instance(struct child *child, const struct worker_child *wanted,
	const int stdio[STDIO_COUNT], struct error *error)
{
	struct children *children = child->children;
	struct instance *parent = children->parent;
	const struct instance_job job = {
		.parent = parent,
		.folder = wanted->folder,
		.time_ms = shorter(wanted->time_ms, children->policy->limits.time_ms),
		.environment = wanted->environment,
		.environment_count = wanted->environment_count,
	};
	const struct instance_spec spec = {
		.tenant = parent->tenant,
		.release = parent->release,
		.release_fd = children->release_fd,
		.entry = wanted->path,
		.mode = WORKER_MODE_JOB,
		.policy = children->policy,
		.arguments = wanted->arguments,
		.argument_count = wanted->argument_count,
		.uid_slot = -1,
		.startup_ms = START_MS,
		.stdio = {stdio[0], stdio[1], stdio[2]},
		.job = &job,
	};
	return instance_start(
		parent->factory, &spec, &child_events, child, &child->instance, error);
}

static int start(struct children *children, const struct worker_child *wanted, struct error *error)
{
	int stdio[STDIO_COUNT] = {-1, -1, -1};
	struct child *child = calloc(1, sizeof *child);
	if (child == NULL)
		return error_set(error, ENOMEM, "no memory for a child");
	*child = (struct child){
		.next = children->first,
		.children = children,
		.number = wanted->child,
		.ends = {-1, -1, -1},
	};
	children->first = child;
	children->count++;
	int result = make_stdio(child, wanted, stdio, error);
	if (result == 0)
		result = start_instance(child, wanted, stdio, error);
	for (size_t i = 0; i < STDIO_COUNT; i++)
		close_fd(&stdio[i]);
	if (result < 0)
		child_free(child);
	return result;
}

/* ---- deciding ---- */

/* Grants are compared name by name, so a path must have one spelling only. */
static bool is_normal(const char *path)
{
	for (const char *part = path; *part == '/'; part += strcspn(part, "/")) {
		size_t length = strcspn(++part, "/");
		if (length == 0 || strncmp(part, ".", length) == 0 ||
			(length == 2 && strncmp(part, "..", 2) == 0))
			return false;
	}
	return path[0] == '/';
}

/* 0, or what to answer. */
static int decide(
	const struct children *children, const struct worker_child *wanted, char text[256])
{
	struct stat status;
	if (!is_normal(wanted->path) || children->dropped ||
		policy_match_path(&children->policy->child_exec, wanted->path) == NULL) {
		snprintf(text, 256, "child.exec does not grant it");
		return EACCES;
	}
	if (stat(wanted->path, &status) < 0) {
		snprintf(text, 256, "%s", strerror(errno));
		return errno;
	}
	if (S_ISDIR(status.st_mode)) {
		snprintf(text, 256, "it is a folder");
		return EACCES;
	}
	if (children->count >= WORKER_CHILDREN_MAX) {
		snprintf(text, 256, "%d programs run already", WORKER_CHILDREN_MAX);
		return EAGAIN;
	}
	return 0;
}

static struct child *find(const struct children *children, uint32_t number)
{
	struct child *child = children ? children->first : NULL;
	while (child && child->number != number)
		child = child->next;
	return child;
}

bool children_start(struct instance *instance, const void *message, size_t length)
{
	static struct worker_child wanted; /* large */
	struct children *children = instance->children;
	struct error error = {0};
	char text[256] = "child.exec grants nothing";
	if (worker_child_decode(message, length, &wanted, &error) < 0 ||
		wanted.argument_count == 0 || find(children, wanted.child))
		return false;
	int code = children ? decide(children, &wanted, text) : EACCES;
	audit_record(instance, AUDIT_CHILD, wanted.path, code == 0, AUDIT_LAYER_SUPERVISOR,
		code ? text : NULL);
	if (code == 0 && start(children, &wanted, &error) < 0) {
		code = error.code;
		snprintf(text, sizeof text, "%.255s", error.message);
	}
	if (code)
		answer_failed(instance, wanted.child, code, text);
	return true;
}

bool children_signal(struct instance *instance, const void *message)
{
	struct message_child_signal what;
	memcpy(&what, message, sizeof what);
	struct child *child = find(instance->children, what.child);
	if (what.number < 0 || what.number > 64)
		return false;
	/* Of one that has just ended it does not know yet. */
	if (child == NULL || what.number == 0)
		return true;
	if (what.number == SIGKILL && child->instance)
		instance_kill(child->instance, END_SIGNAL, "killed by its parent");
	else if (child->instance)
		instance_signal(child->instance, what.number);
	return true;
}
