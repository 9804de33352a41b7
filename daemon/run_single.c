#include "daemon/run_single.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/control.h"
#include "common/escape.h"
#include "common/log.h"
#include "daemon/audit.h"
#include "daemon/egress.h"
#include "daemon/factory.h"
#include "daemon/health.h"
#include "daemon/instance.h"
#include "daemon/kernel.h"
#include "daemon/notify.h"
#include "daemon/pid1.h"
#include "daemon/program.h"
#include "daemon/run_single_private.h"
#include "daemon/run_source.h"
#include "daemon/schedule.h"
#include "daemon/slice.h"
#include "sandbox/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define CLEAN_MS 5000
#define WATCH_US 1000000
#define FLUSH_US 2000000 /* for its last lines to be read by somebody, after its end */
#define DENIALS_MAX 20   /* of a second, in the log */
#define EXIT_BY_SIGNAL 128
#define STOPPED_CODE (EXIT_BY_SIGNAL + SIGTERM) /* of a worker that nothing held back */

/* In a user namespace of 65536 ids, as rootless podman makes them. */
#define UID_BASE_SMALL 60000
#define UID_COUNT (FACTORY_IDS_PER_SLOT * (FACTORY_SPARE_SLOTS + 1))

struct single {
	struct run_options options;
	char zygote_program[4096], launcher_program[4096], egress_program[4096], snapshot[4096];
	enum tier tier;
	struct run_source source;
	sd_event *event;
	struct pid1_reaper *reaper;
	struct cgroup_host *cgroups;
	struct factory factory;
	struct egress *egress;
	struct listener_ports ports;
	struct program *program;
	struct instance *instance;
	struct run_output *outputs[2]; /* of stdout, of stderr */
	sd_event_source *watch, *flush;
	uint64_t denials_ms; /* since when they are counted */
	uint32_t denials;
	int stop_signal; /* that it was told to end by; 0: not yet */
	bool ready, ended;
	int exit_code;
};

/* ---- its exit code ---- */

/* As a shell and as `tenantctl run` have it. */
static int exit_code_of(const struct single *single, const struct instance_end *end)
{
	if (end->reason == END_SANDBOX_FAILED)
		return CONTROL_EXIT_TOOL;
	if (end->signal > 0)
		return EXIT_BY_SIGNAL + end->signal;
	if (end->reason == END_DRAINED && end->exit_code == STOPPED_CODE && single->stop_signal)
		return EXIT_BY_SIGNAL + single->stop_signal;
	return end->exit_code >= 0 ? end->exit_code & 255 : CONTROL_EXIT_TOOL;
}

static int when_flushed(sd_event_source *source, uint64_t usec, void *data)
{
	struct single *single = data;
	(void)source;
	(void)usec;
	return sd_event_exit(single->event, 0);
}

static void check_end(void *data)
{
	struct single *single = data;
	if (!single->ended)
		return;
	if (run_output_is_done(single->outputs[0]) && run_output_is_done(single->outputs[1]))
		sd_event_exit(single->event, 0);
	else if (single->flush == NULL)
		sd_event_add_time_relative(single->event, &single->flush, CLOCK_MONOTONIC, FLUSH_US,
			0, when_flushed, single);
}

/* ---- what the worker does ---- */

static void review_schedules(struct single *single)
{
	/* Opaque to daemon/schedule.c, which gives it back to the calls below. */
	schedules_review(single->factory.schedules, (struct tenant *)single, single->options.name,
		single->program->manifest, !single->ended && !single->stop_signal);
}

static void on_ready(struct instance *instance, void *data)
{
	struct single *single = data;
	single->ready = true;
	log_info("event=ready pid=%d ms=%.1f", instance->pid,
		(double)instance_ready_us(instance) / 1e3);
	for (size_t i = 0; i < single->program->listeners.count; i++)
		log_info("event=listening address=%s", single->program->listeners.items[i].address);
	notify_ready("Serving");
	review_schedules(single);
}

/* Ends that the program's own output does not explain. */
static bool is_unexpected(const struct instance_end *end)
{
	return end->reason != END_EXIT && end->reason != END_DRAINED && end->reason != END_UNCAUGHT;
}

static void on_ended(struct instance *instance, void *data)
{
	struct single *single = data;
	const struct instance_end *end = instance->end;
	single->ended = true;
	single->exit_code = exit_code_of(single, end);
	log_line(is_unexpected(end) ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
		"event=ended reason=%s exit_code=%d message=\"%s\"", end_reason_name(end->reason),
		single->exit_code, message_for_log(end->message));
	review_schedules(single);
	check_end(single);
}

/* What was refused is the first thing to know of a program that does not work. */
static void on_denied(struct instance *instance, const struct audit_event *event, void *data)
{
	struct single *single = data;
	(void)instance;
	const uint64_t now_ms = clock_ms();
	if (now_ms - single->denials_ms >= 1000) {
		if (single->denials > DENIALS_MAX)
			log_warn("event=denied dropped=%u", single->denials - DENIALS_MAX);
		single->denials_ms = now_ms;
		single->denials = 0;
	}
	if (++single->denials > DENIALS_MAX)
		return;
	log_warn("event=denied permission=%s resource=\"%s\" layer=%s message=\"%s\"",
		audit_permission_name(event->permission), escape_for_log(event->resource),
		audit_layer_name(event->layer), escape_for_log(event->detail));
}

static const struct instance_events events = {
	.ready = on_ready,
	.ended = on_ended,
	.denied = on_denied,
};

static void egress_decided(
	void *data, uint32_t id, const char *resource, bool allowed, const char *reason)
{
	struct single *single = data;
	for (struct instance *next = single->factory.instances; next; next = next->sibling)
		if (next->id == id)
			audit_record(next, AUDIT_NET_CONNECT, resource, allowed, AUDIT_LAYER_EGRESS,
				reason);
}

/* ---- its schedules ---- */

static struct instance *pick(struct tenant *tenant, uint32_t turn)
{
	const struct single *single = (const void *)tenant;
	(void)turn;
	return single->ready && !single->ended && !single->stop_signal ? single->instance : NULL;
}

static int wake(struct tenant *tenant)
{
	const struct single *single = (const void *)tenant;
	return single->ended || single->stop_signal ? -EPERM : 0;
}

static void tell(struct tenant *tenant, const char *result, const char *line)
{
	(void)tenant;
	log_warn("event=schedule result=%s message=\"%s\"", result, escape_for_log(line));
}

static const struct schedule_calls schedule_calls = {pick, wake, tell};

/* ---- signals ---- */

static void stop(struct single *single, int number)
{
	const uint64_t grace_ms = single->options.grace_ms != UINT64_MAX
					  ? single->options.grace_ms
					  : single->program->manifest->grace_ms;
	const bool again = single->stop_signal != 0;
	if (!again)
		single->stop_signal = number;
	if (single->instance == NULL) {
		sd_event_exit(single->event, 0); /* there is nothing yet that could finish */
		return;
	}
	if (single->ended)
		return;
	if (again) {
		instance_kill(single->instance, END_OPERATOR, "killed: told to end twice");
		return;
	}
	log_info("event=stopping signal=%d grace_ms=%llu", number, (unsigned long long)grace_ms);
	notify_stopping(grace_ms);
	review_schedules(single);
	instance_drain(single->instance, (uint32_t)grace_ms, END_OPERATOR);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	struct single *single = data;
	const int number = (int)info->ssi_signo;
	(void)source;
	if (number == SIGTERM || number == SIGINT || number == SIGQUIT)
		stop(single, number);
	else if (number != SIGTTIN && number != SIGTTOU && single->instance && !single->ended)
		instance_signal(single->instance, number);
	return 0;
}

static bool knows_child(void *data, pid_t pid)
{
	const struct single *single = data;
	return factory_owns(&single->factory, pid) || factory_expects_children(&single->factory);
}

static int watch_cpu(sd_event_source *source, uint64_t usec, void *data)
{
	struct single *single = data;
	(void)usec;
	for (struct instance *next = single->factory.instances; next; next = next->sibling)
		instance_watch_cpu(next);
	sd_event_source_set_time_relative(source, WATCH_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int open_loop(struct single *single, struct error *error)
{
	struct rlimit files;
	struct error adopt = {0};
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	slice_shorten_own();
	if (pid1_adopt(&adopt) < 0)
		log_warn("event=no-reaper message=\"%s\"", escape_for_log(adopt.message));
	int result = sd_event_new(&single->event);
	if (result >= 0)
		result = pid1_signals(single->event, on_signal, single);
	if (result >= 0)
		result = pid1_reap(single->event, knows_child, single, &single->reaper);
	if (result >= 0)
		result = sd_event_add_time_relative(single->event, &single->watch, CLOCK_MONOTONIC,
			WATCH_US, 200000, watch_cpu, single);
	return result < 0 ? error_errno(error, result, "cannot make an event loop") : 0;
}

/* ---- the start ---- */

/* Named when it is less than all, because nobody else has said so. */
static int choose_tier(struct single *single, struct error *error)
{
	struct run_options *options = &single->options;
	const bool chosen = options->tier == TIER_NONE;
	single->tier = chosen ? kernel_best_tier() : options->tier;
	if (single->tier == TIER_SINGLE) {
		options->uid_base = getuid();
	} else if (options->uid_base == 0) {
		options->uid_base = FACTORY_UID_BASE;
		if (!kernel_has_ids(options->uid_base, options->uid_count))
			options->uid_base = UID_BASE_SMALL;
	}
	int result = kernel_check(single->tier, options->uid_base, options->uid_count, error);
	if (result == 0 && single->tier == TIER_SINGLE)
		result = identity_not_dumpable(error);
	if (result == 0 && chosen && single->tier != TIER_FULL)
		log_warn("event=tier tier=%s message=\"the best that is possible here; --tier %s "
			 "says "
			 "that it is meant\"",
			tier_name(single->tier), tier_name(single->tier));
	return result;
}

static int find_runtime(struct single *single, struct error *error)
{
	const char *folder = single->options.runtime;
	snprintf(single->zygote_program, sizeof single->zygote_program, "%s/tenant-zygote", folder);
	snprintf(single->launcher_program, sizeof single->launcher_program, "%s/tenant-launcher",
		folder);
	snprintf(
		single->egress_program, sizeof single->egress_program, "%s/tenantd-egress", folder);
	snprintf(single->snapshot, sizeof single->snapshot, "%s/library.snapshot", folder);
	if (access(single->zygote_program, X_OK) < 0)
		return error_errno(error, errno, "cannot run %s (--runtime says where it lies)",
			single->zygote_program);
	if (access(single->snapshot, R_OK) < 0)
		return error_errno(error, errno, "cannot read %s (--runtime says where it lies)",
			single->snapshot);
	return 0;
}

/* What takes more than one program's daemon. */
static int check_policy(const struct policy *policy, const char *file, struct error *error)
{
	if (policy->net.ingress.count > 0)
		return error_set(error, ENOTSUP,
			"%s: /permissions/net/ingress: `tenantd run` has no ports that tenants "
			"share: use net.listen",
			file);
	if (policy->signed_by.count > 0)
		return error_set(error, ENOTSUP,
			"%s: /signedBy: `tenantd run` takes no signed releases: who starts it "
			"brings the program",
			file);
	return 0;
}

static void tell_what_is_ignored(const struct manifest *manifest)
{
	if (manifest->instances > 1 || manifest->stop_after_ms > 0 || manifest->warm > 0)
		log_warn("event=ignored message=\"tenant.json: instances, idle and warm mean "
			 "nothing to `tenantd run`, which starts one worker\"");
}

static int open_program(struct single *single, struct error *error)
{
	const struct run_options *options = &single->options;
	struct policy *policy = NULL;
	char file[256];
	int result = run_options_policy(options, &policy, file, error);
	if (result == 0)
		result = check_policy(policy, file, error);
	if (result < 0) {
		policy_free(policy);
		return result;
	}
	result = run_source_open(options->path, &single->source, error);
	if (result < 0) {
		single->exit_code =
			result == -ENOENT ? CONTROL_EXIT_NOT_FOUND : CONTROL_EXIT_NOT_RUNNABLE;
		policy_free(policy);
		return result;
	}
	result = program_of_folder(single->source.folder, "run", single->source.entry, policy, file,
		&single->program, error);
	if (result < 0) {
		single->exit_code = CONTROL_EXIT_NOT_RUNNABLE;
		return result;
	}
	tell_what_is_ignored(single->program->manifest);
	return 0;
}

static int open_cgroups(struct single *single, struct error *error)
{
	char name[64], text[512];
	snprintf(name, sizeof name, "tenantd-run-%d", getpid());
	int result = cgroup_host_open(name, tier_is_bare(single->tier), &single->cgroups, error);
	if (result == 0)
		result = cgroup_host_clean(single->cgroups, CLEAN_MS, error);
	if (result < 0)
		return result;
	cgroup_host_describe(single->cgroups, text, sizeof text);
	log_info("event=cgroups message=\"%s\"", escape_for_log(text));
	return 0;
}

static int start_zygote(struct single *single, struct error *error)
{
	const struct run_options *options = &single->options;
	struct zygote_options zygote = zygote_defaults;
	zygote.program = single->zygote_program;
	zygote.snapshot = single->snapshot;
	zygote.ca_file = options->ca_file;
	zygote.tier = single->tier;
	zygote.once = true;
	int result = factory_open(&single->factory, single->event, single->cgroups, &zygote,
		options->uid_base, options->uid_count, error);
	if (result < 0)
		return result;
	single->factory.tier = single->tier;
	single->factory.own_uid = single->tier == TIER_SINGLE ? getuid() : 0;
	single->factory.launcher = single->launcher_program;
	single->factory.secrets_folder = options->secrets_folder;
	const struct zygote *first = single->factory.zygotes[0];
	while (!zygote_is_ready(first)) {
		result = sd_event_run(single->event, UINT64_MAX);
		if (result < 0)
			return error_errno(error, result, "the event loop failed");
		if (single->stop_signal)
			return error_set(error, ECANCELED, "told to end while starting");
		if (!zygote_is_alive(first))
			return error_set(error, ECHILD, "%s", zygote_last_error(first));
	}
	return schedules_open(
		single->event, -1, &schedule_calls, &single->factory.schedules, error);
}

static int open_egress(struct single *single, struct error *error)
{
	const struct policy *policy = single->program->policy;
	if (!egress_needed(policy) && policy->child_exec.count == 0)
		return 0;
	const int64_t slot = factory_take_spare(&single->factory);
	const struct egress_options options = {
		.program = single->egress_program,
		.resolv_conf = single->options.resolv_conf,
		.hosts = single->options.hosts,
		.uid = single->factory.own_uid
			       ? single->factory.own_uid
			       : factory_uid(&single->factory, (uint32_t)slot) + FACTORY_UID_INSIDE,
		.audit = egress_decided,
		.audit_data = single,
	};
	int result = egress_new(single->event, &options, &single->egress, error);
	single->factory.egress = single->egress;
	return result;
}

static int open_outputs(struct single *single, int stdio[3], struct error *error)
{
	static const char *const streams[] = {"stdout", "stderr"};
	for (int i = 0; i < 2; i++) {
		const struct run_output_options options = {
			.stream = streams[i],
			.to = STDOUT_FILENO + i,
			.format = single->options.format,
			.done = check_end,
			.data = single,
		};
		int result = run_output_new(
			single->event, &options, &single->outputs[i], &stdio[1 + i], error);
		if (result < 0)
			return result;
	}
	return 0;
}

static int start_worker(struct single *single, struct error *error)
{
	const struct program *program = single->program;
	int stdio[3] = {STDIN_FILENO, -1, -1};
	int result = open_outputs(single, stdio, error);
	struct instance_spec spec = {
		.tenant = single->options.name,
		.release = "run",
		.release_fd = program->release_fd,
		.entry = program->entry,
		.mode = WORKER_MODE_EITHER,
		.policy = program->policy,
		.listeners = &program->listeners,
		.arguments = single->options.arguments,
		.argument_count = single->options.argument_count,
		.uid_slot = -1,
		.startup_ms = (uint32_t)program->manifest->startup_ms,
		.idle_ms = (uint32_t)program->manifest->idle_ms,
		.stdio = {stdio[0], stdio[1], stdio[2]},
		.manifest = program->manifest,
	};
	if (result == 0)
		result = instance_start(
			&single->factory, &spec, &events, single, &single->instance, error);
	/* Only the worker has them now, so that its end is theirs. */
	close_fd(&stdio[1]);
	close_fd(&stdio[2]);
	for (int i = 0; result == 0 && i < 2; i++)
		run_output_redact(single->outputs[i], single->instance->secrets);
	return result;
}

static int start(struct single *single, struct error *error)
{
	int result = open_program(single, error);
	if (result == 0)
		result = choose_tier(single, error);
	if (result == 0)
		result = find_runtime(single, error);
	if (result == 0)
		result = open_loop(single, error);
	if (result == 0)
		result = open_cgroups(single, error);
	if (result == 0) /* a port that is taken is told before anything takes time */
		result = listeners_open(&single->program->policy->net.listen, NULL, &single->ports,
			&single->program->listeners, error);
	if (result == 0)
		result = start_zygote(single, error);
	if (result == 0)
		result = open_egress(single, error);
	if (result == 0)
		result = start_worker(single, error);
	return result;
}

/* ---- the whole ---- */

static void finish(struct single *single)
{
	single->instance = instance_free(single->instance);
	if (single->factory.event)
		factory_close(&single->factory, 1000);
	single->factory.schedules = schedules_close(single->factory.schedules);
	egress_free(single->egress);
	single->program = program_free(single->program, NULL);
	run_source_close(&single->source);
	cgroup_host_close(single->cgroups);
	for (int i = 0; i < 2; i++)
		run_output_free(single->outputs[i]);
	sd_event_source_disable_unref(single->watch);
	sd_event_source_disable_unref(single->flush);
	pid1_reaper_free(single->reaper);
	sd_event_unref(single->event);
}

/* The daemon's own lines, like the program's. */
static void log_as_json(enum log_level level, const char *line, size_t line_length)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	static char text[RUN_OUTPUT_TEXT_MAX];
	size_t length = run_output_json(text, "tenantd", names[level], line, line_length);
	ssize_t ignored = write(STDERR_FILENO, text, length);
	(void)ignored;
}

int run_single_main(int argument_count, char **arguments, const char *runtime)
{
	static struct single single;
	struct error error = {0};
	single = (struct single){
		.options =
			{
				.name = "app",
				.policy_folder = "/etc/tenantd/policy.d",
				.secrets_folder = SECRETS_FOLDER_DEFAULT,
				.runtime = runtime,
				.uid_count = UID_COUNT,
				.grace_ms = UINT64_MAX,
			},
		.source = {.folder = -1, .lock = -1},
		.factory = {.null_fd = -1},
		.exit_code = CONTROL_EXIT_TOOL,
	};
	log_set_level(LOG_LEVEL_WARN);
	int result = run_options_parse(argument_count, arguments, &single.options);
	if (result != 0)
		return result < 0 ? CONTROL_EXIT_TOOL : EXIT_SUCCESS;
	if (single.options.format == RUN_FORMAT_JSON)
		log_set_writer(log_as_json);
	result = start(&single, &error);
	if (result == 0) {
		result = sd_event_loop(single.event);
		if (result < 0)
			error_errno(&error, result, "the event loop failed");
	}
	if (single.stop_signal && !single.ended) { /* told to end before it ran */
		single.exit_code = EXIT_BY_SIGNAL + single.stop_signal;
		result = 0;
	}
	if (result < 0)
		log_error("%s", error.message);
	finish(&single);
	return single.exit_code;
}
