/* What an instance is told in START, and the descriptors that go with it. */
#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "daemon/drop.h"
#include "daemon/egress.h"
#include "daemon/grants.h"
#include "daemon/instance_private.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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
	explicit_bzero(start->data, start->length); /* secrets */
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
	int result = tenant_log_attach(
		instance->log, ends[0], stream, instance->id, instance->secrets, error);
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
	tenant_log_label(instance->log, instance->id, instance->release);
	return 0;
}

/* Behind the listeners. The mounts become the message's. */
static void put_mounts(struct grants *grants, struct start_message *start)
{
	for (size_t i = 0; i < grants->count; i++)
		start->fds[start->fd_count++] = keep(start, grants->items[i].mount);
	grants->count = 0;
}

/* tenantd-egress was started again. A worker that is yet to be made must not get the old
 * channel. */
void instance_renew_egress(void *data, int channel)
{
	struct instance *instance = data;
	const struct message_header message = {
		.type = MESSAGE_EGRESS,
		.instance = instance->id,
	};
	/* As new as its first one: what is asked for meanwhile waits in the channel. */
	if (instance->start && dup3(channel, instance->start->fds[WORKER_FD_EGRESS], O_CLOEXEC) < 0)
		log_warn("event=egress-not-renewed tenant=%s instance=%u", instance->tenant,
			instance->id);
	if (instance->channel >= 0 && instance->stage != INSTANCE_STOCK &&
		message_send(instance->channel, &message, sizeof message, &channel, 1) < 0)
		log_warn("event=egress-not-renewed tenant=%s instance=%u", instance->tenant,
			instance->id);
}

/* A job always has its proxy: one without net.connect refuses everything, and says to the
 * program which line of the policy is missing. */
static bool wants_egress(const struct instance *instance, const struct instance_spec *spec)
{
	return instance->factory->egress != NULL &&
	       (spec->mode == WORKER_MODE_JOB || egress_needed(spec->policy));
}

static int put_egress(struct instance *instance, const struct instance_spec *spec,
	struct start_message *start, struct error *error)
{
	struct egress *egress = instance->factory->egress;
	int channel;
	start->fds[WORKER_FD_EGRESS] = instance->factory->null_fd;
	if (!wants_egress(instance, spec))
		return 0;
	const struct egress_add_options options = {
		.instance = instance->id,
		.tenant = spec->tenant,
		.policy = spec->policy,
		.proxy = spec->mode == WORKER_MODE_JOB,
		.renewed = instance_renew_egress,
		.data = instance,
	};
	int result = egress_add(egress, &options, &channel, error);
	if (result == 0)
		start->fds[WORKER_FD_EGRESS] = keep(start, channel);
	return result;
}

static int put_fds(struct instance *instance, const struct instance_spec *spec,
	struct start_message *start, struct error *error)
{
	start->fds[WORKER_FD_RELEASE] = instance->factory->null_fd;
	if (spec->release_fd >= 0) {
		int release = tier_is_bare(instance->factory->tier)
				      ? fcntl(spec->release_fd, F_DUPFD_CLOEXEC, 3)
				      : sandbox_release_mount(spec->release_fd, error);
		if (release < 0)
			return error->code
				       ? release
				       : error_errno(error, errno, "cannot pass on the release");
		start->fds[WORKER_FD_RELEASE] = keep(start, release);
	}
	start->fds[WORKER_FD_CACHE] = instance->factory->null_fd;
	int cache = spec->cache_fd > 0 ? fcntl(spec->cache_fd, F_DUPFD_CLOEXEC, 3) : -1;
	if (cache >= 0) /* else its modules are parsed */
		start->fds[WORKER_FD_CACHE] = keep(start, cache);
	int stats = make_stats(instance, error);
	if (stats < 0)
		return stats;
	start->fds[WORKER_FD_STATS] = keep(start, stats);
	if (spec->mode == WORKER_MODE_SERVE)
		instance->stats_fd = fcntl(stats, F_DUPFD_CLOEXEC, 3);
	int result = put_stdio(instance, spec, start, error);
	if (result == 0)
		result = put_egress(instance, spec, start, error);
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

/* The policy's rules as text: START has no other form for them. */
static void put_rules(struct worker_start *what, const struct policy *policy)
{
	static char connect[POLICY_LIST_MAX][POLICY_NET_TEXT_MAX];
	static char deny[POLICY_LIST_MAX][POLICY_NET_TEXT_MAX];
	for (size_t i = 0; i < policy->net.connect.count && i < WORKER_RULES_MAX; i++) {
		policy_net_rule_format(&policy->net.connect.items[i], connect[i]);
		what->connect[what->connect_count++] = connect[i];
	}
	for (size_t i = 0; i < policy->net.deny.count && i < WORKER_RULES_MAX; i++) {
		policy_net_rule_format(&policy->net.deny.items[i], deny[i]);
		what->deny[what->deny_count++] = deny[i];
	}
	for (size_t i = 0; i < policy->child_exec.count && i < WORKER_RULES_MAX; i++)
		what->exec[what->exec_count++] = policy->child_exec.items[i];
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
		what->listener_names[what->listener_count] = spec->listeners->items[i].name;
		what->listeners[what->listener_count++] = spec->listeners->items[i].address;
	}
	return 0;
}

/* What only a job is told. */
static void put_job(struct worker_start *what, const struct instance_job *job)
{
	what->folder = job->folder;
	what->time_ms = job->time_ms;
	if (job->parent == NULL)
		return;
	/* A child's environment is what its parent says, as everywhere: it is no secret to
	 * the parent, and a child need not know all that the parent does. */
	what->environment_count = 0;
	for (size_t i = 0; i < job->environment_count && i < WORKER_STRINGS_MAX; i++)
		what->environment[what->environment_count++] = job->environment[i];
	what->secret_count = 0;
}

/* Where the release lies, for a worker that sees what we see. */
static const char *real_root(int release)
{
	static char path[PATH_MAX];
	char link[32];
	if (release < 0)
		return "/";
	snprintf(link, sizeof link, "/proc/self/fd/%d", release);
	ssize_t length = readlink(link, path, sizeof path - 1);
	path[length < 0 ? 0 : length] = '\0';
	return path;
}

/* Encodes into a static buffer (one thread), then into a message of the right size. */
static int encode(struct instance *instance, const struct instance_spec *spec,
	const struct grants *grants, struct start_message **ret_start, struct error *error)
{
	static struct worker_start what;
	static char data[MESSAGE_LENGTH_MAX];
	struct policy_list environment = {0};
	const struct policy *policy = spec->policy;
	const struct policy_limits *limits = &policy->limits;
	const bool container = tier_is_bare(instance->factory->tier);
	what = (struct worker_start){
		.tenant = spec->tenant,
		.entry = spec->entry,
		.mode = spec->mode,
		.uid = container ? instance->uid : instance->uid - instance->uid_first,
		.root = container ? real_root(spec->release_fd) : "/app",
		.tier = instance->factory->tier,
		.audit = policy->audit,
		.egress = wants_egress(instance, spec),
		.allow_eval = policy->allow_eval,
		.allow_wasm = policy->allow_wasm,
		.allow_jit = policy->allow_jit,
		.ingress = policy->net.ingress.count > 0,
		.inspect = spec->inspect,
		.ready_signal = spec->manifest && spec->manifest->ready_signal,
		.memory_bytes = limits->memory_bytes,
		.threads = (uint32_t)limits->pids,
		.stack_bytes = limits->stack_bytes,
		.files = (uint32_t)limits->files,
		.turn_cpu_ms = instance->turn_cpu_ms,
		.request_ms = (uint32_t)limits->request.time_ms,
		.body_bytes = limits->request.body_bytes,
		.concurrent = (uint32_t)limits->request.concurrent,
		.idle_ms = spec->idle_ms,
		.tmp_bytes = limits->tmp_bytes,
		.time_ms = (uint32_t)limits->time_ms,
	};
	put_rules(&what, policy);
	grants_put(grants, &what);
	int result = secrets_read(instance->factory->secrets_folder, spec->tenant,
		&policy->env.secrets, &instance->secrets, error);
	for (size_t i = 0; i < secrets_count(instance->secrets); i++)
		what.secrets[what.secret_count++] = secrets_entry(instance->secrets, i);
	if (result == 0)
		result = policy_environment(policy, environ, &environment, error);
	if (result == 0)
		result = put_strings(&what, spec, &environment, error);
	if (result == 0 && spec->job)
		put_job(&what, spec->job);
	ssize_t length = 0;
	if (result == 0)
		length = worker_start_encode(&what, instance->id, data, sizeof data);
	policy_list_clear(&environment);
	if (length < 0)
		explicit_bzero(data, sizeof data);
	if (length < 0)
		result = error_set(error, E2BIG,
			"arguments, environment and permissions of %s are too long together",
			escape_for_log(spec->tenant));
	if (result < 0)
		return result;
	struct start_message *start = calloc(1, sizeof *start + (size_t)length);
	if (start)
		memcpy(start->data, data, (size_t)length);
	explicit_bzero(data, (size_t)length);
	if (start == NULL)
		return error_set(error, ENOMEM, "no memory for START");
	start->length = (size_t)length;
	start->inspect_fd = -1;
	*ret_start = start;
	return 0;
}

/* Of its own: the caller's is closed when START may not have been sent yet. */
static int put_inspector(
	const struct instance_spec *spec, struct start_message *start, struct error *error)
{
	if (spec->inspect == WORKER_INSPECT_NONE)
		return 0;
	start->inspect_fd = fcntl(spec->inspect_fd, F_DUPFD_CLOEXEC, 3);
	if (start->inspect_fd < 0)
		return error_errno(error, errno, "cannot keep the debugger's socket");
	keep(start, start->inspect_fd);
	return 0;
}

int start_message_make(struct instance *instance, const struct instance_spec *spec,
	struct start_message **ret_start, struct error *error)
{
	static struct grants grants;
	struct start_message *start = NULL;
	int result = grants_open(
		spec->policy, spec->tenant, instance->uid, instance->factory->tier, &grants, error);
	if (result < 0)
		return result;
	result = drop_remember(instance, &grants, error);
	if (result == 0)
		result = encode(instance, spec, &grants, &start, error);
	if (result == 0)
		result = put_fds(instance, spec, start, error);
	if (result == 0)
		result = put_inspector(spec, start, error);
	if (result < 0) {
		grants_close(&grants);
		start_message_free(start);
		return result;
	}
	put_mounts(&grants, start);
	*ret_start = start;
	return 0;
}
