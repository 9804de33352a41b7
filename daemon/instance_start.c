/* What an instance is told in START, and the descriptors that go with it. */
#include "common/cleanup.h"
#include "common/escape.h"
#include "daemon/instance_private.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Keeps FD for as long as the message lives. */
static int keep(struct start_message *start, int fd)
{
	start->owned[start->owned_count++] = fd;
	return fd;
}

struct start_message *start_message_free(struct start_message *start)
{
	if (start == NULL)
		return NULL;
	for (size_t i = 0; i < start->owned_count; i++)
		close(start->owned[i]);
	free(start);
	return NULL;
}

/* The page that the worker writes and we read. Sealed in size: a worker that made it
 * smaller would kill the supervisor with SIGBUS. */
static int make_stats(struct instance *instance, struct error *error)
{
	cleanup_close int fd = memfd_create("stats", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, sizeof(struct worker_stats)) < 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return error_errno(error, errno, "cannot make the page of statistics");
	void *page = mmap(NULL, sizeof(struct worker_stats), PROT_READ, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return error_errno(error, errno, "cannot map the page of statistics");
	instance->stats = page;
	return take_fd(&fd);
}

/* A pipe into the tenant's log. Returns its writing end. */
static int make_log_pipe(struct instance *instance, enum log_stream stream, struct error *error)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(error, errno, "cannot make a log pipe");
	int result = tenant_log_attach(instance->log, ends[0], stream, instance->id, error);
	if (result < 0) {
		close(ends[1]);
		return result;
	}
	return ends[1];
}

static int put_stdio(struct instance *instance, const struct instance_spec *spec,
	struct start_message *start, struct error *error)
{
	if (spec->log == NULL) {
		for (int i = 0; i < 3; i++)
			start->fds[WORKER_FD_STDIN + i] = fcntl(spec->stdio[i], F_DUPFD_CLOEXEC, 3);
		for (int i = 0; i < 3; i++)
			if (start->fds[WORKER_FD_STDIN + i] >= 0)
				keep(start, start->fds[WORKER_FD_STDIN + i]);
		for (int i = 0; i < 3; i++)
			if (start->fds[WORKER_FD_STDIN + i] < 0)
				return error_errno(error, EMFILE, "cannot pass standard %d on", i);
		return 0;
	}
	start->fds[WORKER_FD_STDIN] = instance->factory->null_fd;
	int out = make_log_pipe(instance, LOG_STREAM_STDOUT, error);
	if (out < 0)
		return out;
	start->fds[WORKER_FD_STDOUT] = keep(start, out);
	int err = make_log_pipe(instance, LOG_STREAM_STDERR, error);
	if (err < 0)
		return err;
	start->fds[WORKER_FD_STDERR] = keep(start, err);
	return 0;
}

static int put_fds(struct instance *instance, const struct instance_spec *spec,
	struct start_message *start, struct error *error)
{
	int release = sandbox_release_mount(spec->release_fd, error);
	if (release < 0)
		return release;
	start->fds[WORKER_FD_RELEASE] = keep(start, release);
	int stats = make_stats(instance, error);
	if (stats < 0)
		return stats;
	start->fds[WORKER_FD_STATS] = keep(start, stats);
	int result = put_stdio(instance, spec, start, error);
	start->fds[WORKER_FD_EGRESS] = instance->factory->null_fd;
	start->fd_count = WORKER_FD_LISTENERS;
	/* Descriptors of its own: START may be sent again after the tenant closed its. */
	for (size_t i = 0; result == 0 && spec->listeners && i < spec->listeners->count; i++) {
		int fd = fcntl(spec->listeners->items[i].fd, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return error_errno(error, errno, "cannot pass a listener on");
		start->fds[start->fd_count++] = keep(start, fd);
	}
	return result;
}

static int put_strings(struct worker_start *what, const struct instance_spec *spec,
	const struct policy_list *environment, struct error *error)
{
	if (environment->count > WORKER_STRINGS_MAX)
		return error_set(error, E2BIG, "the environment has %zu variables, at most %d fit",
			environment->count, WORKER_STRINGS_MAX);
	if (spec->argument_count > WORKER_STRINGS_MAX)
		return error_set(error, E2BIG, "%zu arguments, at most %d fit",
			spec->argument_count, WORKER_STRINGS_MAX);
	for (size_t i = 0; i < environment->count; i++)
		what->environment[what->environment_count++] = environment->items[i];
	for (size_t i = 0; i < spec->argument_count; i++)
		what->arguments[what->argument_count++] = spec->arguments[i];
	for (size_t i = 0; spec->listeners && i < spec->listeners->count; i++) {
		what->listener_names[what->listener_count] = "";
		what->listeners[what->listener_count++] = spec->listeners->items[i].address;
	}
	return 0;
}

/* Encodes into a static buffer (one thread), then into a message of the right size. */
static int encode(struct instance *instance, const struct instance_spec *spec,
	struct start_message **ret_start, struct error *error)
{
	static struct worker_start what;
	static char data[MESSAGE_LENGTH_MAX];
	struct policy_list environment = {0};
	const struct policy *policy = spec->policy;
	const struct policy_limits *limits = &policy->limits;
	what = (struct worker_start){
		.tenant = spec->tenant,
		.entry = spec->entry,
		.mode = spec->mode,
		.uid = instance->uid - instance->uid_first,
		.root = "/app",
		.tier = TIER_FULL,
		.audit = policy->audit,
		.allow_eval = policy->allow_eval,
		.allow_wasm = policy->allow_wasm,
		.allow_jit = policy->allow_jit,
		.memory_bytes = limits->memory_bytes,
		.files = (uint32_t)limits->files,
		.turn_cpu_ms = instance->turn_cpu_ms,
		.request_ms = (uint32_t)limits->request.time_ms,
		.body_bytes = limits->request.body_bytes,
		.concurrent = (uint32_t)limits->request.concurrent,
		.idle_ms = spec->idle_ms,
	};
	int result = policy_environment(policy, environ, &environment, error);
	if (result == 0)
		result = put_strings(&what, spec, &environment, error);
	ssize_t length = 0;
	if (result == 0)
		length = worker_start_encode(&what, instance->id, data, sizeof data);
	policy_list_clear(&environment);
	if (length < 0)
		result = error_set(error, E2BIG,
			"arguments and environment of %s are too long together",
			escape_for_log(spec->tenant));
	if (result < 0)
		return result;
	struct start_message *start = calloc(1, sizeof *start + (size_t)length);
	if (start == NULL)
		return error_set(error, ENOMEM, "no memory for START");
	memcpy(start->data, data, (size_t)length);
	start->length = (size_t)length;
	*ret_start = start;
	return 0;
}

int start_message_make(struct instance *instance, const struct instance_spec *spec,
	struct start_message **ret_start, struct error *error)
{
	struct start_message *start = NULL;
	int result = encode(instance, spec, &start, error);
	if (result < 0)
		return result;
	result = put_fds(instance, spec, start, error);
	if (result < 0) {
		start_message_free(start);
		return result;
	}
	*ret_start = start;
	return 0;
}
