/* Programs that a worker runs. Each start costs the supervisor, the launcher and the kernel
 * some milliseconds (namespaces, mounts) that no tenant's control group is charged for, and so
 * a tenant's starts are paced: a burst of them at once, then one at a time; more wait in
 * order, as the messages that they are, and are decided anew when their turn comes. */
#include "daemon/child.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/message.h"
#include "common/path.h"
#include "daemon/audit.h"
#include "daemon/egress.h"
#include "daemon/takeover.h"
#include "policy/match.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define START_MS 30000 /* until the program runs */
#define STDIO_COUNT 3

/* Of one tenant, whatever the number of its workers. */
#define PACE_BURST 16
#define PACE_US 40000

/* An honest worker waits for one start at a time. */
#define WAITING_BYTES_MAX (4 * MESSAGE_LENGTH_MAX)

struct child {
	struct child *next;
	struct children *children;
	uint32_t number; /* the worker's */
	struct instance *instance;
	int ends[STDIO_COUNT]; /* the worker's, until they are sent; -1: none */
	bool started;
	/* CHILD_START, while it waits for its turn; then NULL. */
	void *message;
	size_t length;
	uint64_t signals; /* that came meanwhile: bit N - 1 */
};

struct children {
	struct instance *parent;
	struct policy *policy; /* a copy: the tenant may get another meanwhile */
	int release_fd;
	int inherited[STDIO_COUNT]; /* what CHILD_STDIO_INHERIT means; -1: not made yet */
	bool dropped;               /* it gave up the right to start any */
	struct child *first;        /* the newest */
	size_t count;               /* waiting ones included */
	size_t waiting_bytes;
	uint64_t paced_us; /* the moment to which the tenant's starts are paid for; 0: never */
	sd_event_source *turn;
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

/* Its environment may hold secrets. */
static void forget_message(struct child *child)
{
	if (child->message == NULL)
		return;
	explicit_bzero(child->message, child->length);
	free(take_pointer(child->message));
	child->children->waiting_bytes -= child->length;
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
	forget_message(child);
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
	sd_event_source_disable_unref(children->turn);
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

static void answer_started(struct child *child, pid_t pid)
{
	struct instance *parent = child->children->parent;
	const struct message_child_started message = {
		.header = {.type = MESSAGE_CHILD_STARTED, .instance = parent->id},
		.child = child->number,
		.pid = pid,
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

static void answer_exited(const struct child *child, const struct instance_end *end)
{
	struct instance *parent = child->children->parent;
	const struct message_child_exited message = {
		.header = {.type = MESSAGE_CHILD_EXITED, .instance = parent->id},
		.child = child->number,
		.exit_code = end->exit_code,
		.signal = end->signal,
		.timed_out = end->reason == END_TIME_LIMIT,
	};
	answer(parent, &message, sizeof message, NULL, 0);
}

static void child_ready(struct instance *instance, void *data)
{
	answer_started(data, instance->pid);
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
	const struct instance_end *end = instance->end;
	if (child->started)
		answer_exited(child, end);
	else
		answer_failed(parent, child->number, failure_code(end->reason), end->message);
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

/* Of a child that has been added. */
static int start(struct child *child, const struct worker_child *wanted, struct error *error)
{
	int stdio[STDIO_COUNT] = {-1, -1, -1};
	int result = make_stdio(child, wanted, stdio, error);
	if (result == 0)
		result = start_instance(child, wanted, stdio, error);
	for (size_t i = 0; i < STDIO_COUNT; i++)
		close_fd(&stdio[i]);
	/* In the order of their numbers; behind START, so that the program gets them. */
	for (int number = 1; result == 0 && child->signals; number++, child->signals >>= 1)
		if (child->signals & 1)
			instance_signal(child->instance, number);
	return result;
}

static struct child *add(struct children *children, uint32_t number)
{
	struct child *child = calloc(1, sizeof *child);
	if (child == NULL)
		return NULL;
	*child = (struct child){
		.next = children->first,
		.children = children,
		.number = number,
		.ends = {-1, -1, -1},
	};
	children->first = child;
	children->count++;
	return child;
}

/* ---- deciding ---- */

/* 0, or what to answer. */
static int decide(
	const struct children *children, const struct worker_child *wanted, char text[256])
{
	struct stat status;
	struct error error = {0};
	if (!path_is_normal(wanted->path) || children->dropped ||
		policy_match_path(&children->policy->child_exec, wanted->path) == NULL) {
		snprintf(text, 256, "child.exec does not grant it");
		return EACCES;
	}
	/* Not by stat(2): where a tenant may have put a link, the answer would tell it what is
	 * at the other end. There the job looks, with the tenant's eyes, and also where only a
	 * grant of files lets it in. */
	cleanup_close int fd =
		sandbox_program_open(wanted->path, children->parent->uid, &status, &error);
	if (fd == -ENOENT || fd == -ENOTDIR) {
		snprintf(text, 256, "%s", strerror(-fd));
		return -fd;
	}
	if (fd >= 0 && S_ISDIR(status.st_mode)) {
		snprintf(text, 256, "it is a folder");
		return EACCES;
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

/* ---- pacing ---- */

/* The moment to which all workers of the tenant together have paid: none gains by there being
 * several, or by a new release. */
static uint64_t paid_until_us(const struct children *children)
{
	const struct instance *parent = children->parent;
	uint64_t paid_us = 0;
	for (const struct instance *other = parent->factory->instances; other;
		other = other->sibling)
		if (other->children && other->children->paced_us > paid_us &&
			strcmp(other->tenant, parent->tenant) == 0)
			paid_us = other->children->paced_us;
	return paid_us;
}

/* How long the next start must wait. */
static uint64_t wait_us(const struct children *children)
{
	const uint64_t free_us = clock_ns() / 1000 + (uint64_t)(PACE_BURST - 1) * PACE_US;
	const uint64_t paid_us = paid_until_us(children);
	return paid_us > free_us ? paid_us - free_us : 0;
}

static void pay(struct children *children)
{
	const uint64_t now_us = clock_ns() / 1000, paid_us = paid_until_us(children);
	children->paced_us = (paid_us > now_us ? paid_us : now_us) + PACE_US;
}

static struct child *first_waiting(const struct children *children)
{
	struct child *found = NULL;
	for (struct child *child = children->first; child; child = child->next)
		if (child->message)
			found = child;
	return found;
}

/* Answers when it fails, and the child is no more. */
static void start_now(struct child *child, const struct worker_child *wanted)
{
	struct children *children = child->children;
	struct error error = {0};
	pay(children);
	int result = start(child, wanted, &error);
	if (result == 0)
		return;
	answer_failed(
		children->parent, child->number, error.code ? error.code : EAGAIN, error.message);
	child_free(child);
}

/* What it asked for. It was well-formed when it came. */
static void read_message(const struct child *child, struct worker_child *ret_wanted)
{
	struct error error = {0};
	(void)worker_child_decode(child->message, child->length, ret_wanted, &error);
}

static int turn_came(sd_event_source *source, uint64_t usec, void *data);

static int wait_for_turn(struct children *children)
{
	const uint64_t us = wait_us(children);
	if (children->turn == NULL)
		return sd_event_add_time_relative(children->parent->factory->event, &children->turn,
			CLOCK_MONOTONIC, us, 1000, turn_came, children);
	int result = sd_event_source_set_time_relative(children->turn, us);
	return result < 0 ? result : sd_event_source_set_enabled(children->turn, SD_EVENT_ONESHOT);
}

static int turn_came(sd_event_source *source, uint64_t usec, void *data)
{
	static struct worker_child wanted; /* large */
	struct children *children = data;
	struct child *child;
	char text[256];
	(void)source;
	(void)usec;
	while ((child = first_waiting(children)) && wait_us(children) == 0) {
		read_message(child, &wanted);
		/* The strings stay in it until the start has used them. */
		struct child waited = *child;
		child->message = NULL;
		int code = decide(children, &wanted, text);
		if (code == 0) {
			start_now(child, &wanted);
		} else {
			answer_failed(children->parent, child->number, code, text);
			child_free(child);
		}
		forget_message(&waited);
	}
	/* Without a timer they wait for the next one. */
	if (child && wait_for_turn(children) < 0)
		log_warn("event=child-timer-failed tenant=%s", children->parent->tenant);
	return 0;
}

/* MESSAGE is that of CHILD. Returns 0, or what to answer. */
static int keep_for_later(struct child *child, const void *message, size_t length, char text[256])
{
	struct children *children = child->children;
	if (children->waiting_bytes + length > WAITING_BYTES_MAX) {
		snprintf(text, 256, "the programs that wait to be started take too much room");
		return EAGAIN;
	}
	child->message = malloc(length);
	if (child->message == NULL || wait_for_turn(children) < 0) {
		free(take_pointer(child->message));
		snprintf(text, 256, "no memory for a child");
		return ENOMEM;
	}
	memcpy(child->message, message, length);
	child->length = length;
	children->waiting_bytes += length;
	return 0;
}

/* ---- what the worker asks for ---- */

/* 0, or what to answer. */
static int begin(struct children *children, const struct worker_child *wanted, const void *message,
	size_t length, char text[256])
{
	if (children->count >= WORKER_CHILDREN_MAX) {
		snprintf(text, 256, "%d programs run already", WORKER_CHILDREN_MAX);
		return EAGAIN;
	}
	struct child *child = add(children, wanted->child);
	if (child == NULL) {
		snprintf(text, 256, "no memory for a child");
		return ENOMEM;
	}
	if (first_waiting(children) == NULL && wait_us(children) == 0) {
		start_now(child, wanted);
		return 0;
	}
	int code = keep_for_later(child, message, length, text);
	if (code)
		child_free(child);
	return code;
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
	if (code == 0)
		code = begin(children, &wanted, message, length, text);
	if (code)
		answer_failed(instance, wanted.child, code, text);
	return true;
}

/* It never ran: to its parent it looks like one that ran for no time. */
static void kill_waiting(struct child *child)
{
	static struct worker_child wanted; /* large */
	static const struct instance_end end = {
		.reason = END_SIGNAL, .exit_code = -1, .signal = SIGKILL};
	int stdio[STDIO_COUNT] = {-1, -1, -1};
	struct error error = {0};
	read_message(child, &wanted);
	if (make_stdio(child, &wanted, stdio, &error) == 0) {
		answer_started(child, 0);
		answer_exited(child, &end);
	} else {
		answer_failed(child->children->parent, child->number, EAGAIN, error.message);
	}
	for (size_t i = 0; i < STDIO_COUNT; i++)
		close_fd(&stdio[i]);
	child_free(child);
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
	if (child->message && what.number == SIGKILL)
		kill_waiting(child);
	else if (child->message)
		child->signals |= 1ull << (what.number - 1);
	else if (what.number == SIGKILL && child->instance)
		instance_kill(child->instance, END_SIGNAL, "killed by its parent");
	else if (child->instance)
		instance_signal(child->instance, what.number);
	return true;
}

/* ---- less ---- */

/* Those that run, too: their ways out are egress's, and it takes them away at once. What is
 * connected stays connected, as in the worker. */
static int drop_net(struct children *children, const char *resource)
{
	struct egress *egress = children->parent->factory->egress;
	/* A part of a rule cannot be taken out of it: then those to come lose all. */
	children->policy->net.connect.count = 0;
	for (struct child *child = children->first; egress && child; child = child->next) {
		struct error error = {0};
		int result = child->instance
				     ? egress_drop(egress, child->instance->id, resource, &error)
				     : 0;
		if (result < 0 && result != -ENOENT)
			return result;
	}
	return 0;
}

static void drop_waiting(struct children *children)
{
	struct child *child;
	while ((child = first_waiting(children))) {
		answer_failed(children->parent, child->number, EACCES,
			"the right to start programs was given up meanwhile");
		child_free(child);
	}
}

int children_drop(struct children *children, const char *scope, const char *resource)
{
	if (children == NULL)
		return 0;
	struct policy *policy = children->policy;
	if (strcmp(scope, "child") == 0) {
		children->dropped = true;
		drop_waiting(children);
	}
	if (strcmp(scope, "fs.write") == 0)
		write_to_read(policy, resource);
	if (strcmp(scope, "fs") == 0 || strcmp(scope, "fs.read") == 0) {
		remove_from(&policy->fs.read, resource);
		remove_from(&policy->fs.write, resource);
	}
	if (strcmp(scope, "net") == 0 || strcmp(scope, "net.connect") == 0)
		return drop_net(children, resource);
	return 0;
}

/* ---- for the next daemon ---- */

bool children_busy(const struct children *children)
{
	return children && children->first;
}

json_t *children_pack(const struct children *children)
{
	if (children == NULL)
		return json_null();
	cleanup_free char *policy = policy_print(children->policy);
	return json_pack("{s:s?, s:b, s:I}", "policy", policy, "dropped", children->dropped,
		"paced_us", (json_int_t)children->paced_us);
}

int children_restore(struct children *children, const json_t *packed, struct error *error)
{
	struct policy *policy;
	const char *text = takeover_string(packed, "policy");
	if (children == NULL)
		return 0;
	int result = policy_parse(text, strlen(text), "policy", &policy, error);
	if (result < 0)
		return result;
	policy_free(children->policy);
	children->policy = policy;
	children->dropped = takeover_flag(packed, "dropped");
	children->paced_us = takeover_number(packed, "paced_us");
	return 0;
}
