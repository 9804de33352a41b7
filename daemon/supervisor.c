#include "daemon/supervisor.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/log.h"
#include "daemon/adopt.h"
#include "daemon/code_cache.h"
#include "daemon/egress.h"
#include "daemon/fdstore.h"
#include "daemon/history.h"
#include "daemon/kernel.h"
#include "daemon/notify.h"
#include "daemon/operations.h"
#include "daemon/pid1.h"
#include "daemon/releases.h"
#include "daemon/reload.h"
#include "daemon/retire.h"
#include "daemon/run.h"
#include "daemon/slice.h"
#include "daemon/tenant_sites.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLEAN_MS 5000         /* for what an earlier daemon left to die */
#define KILL_MARGIN_MS 1000   /* after the longest grace */
#define DIE_MS 2000           /* for what was killed */
#define FINISH_MS 5000        /* for the rest of the end: helpers, the store */
#define SAVE_RETRY_US 5000000 /* after the state file could not be written */
#define SETTLE_US 50000
#define SWEEPS_KILLED_MAX 3
#define WATCH_US 1000000

/* ---- tenants ---- */

struct tenant *supervisor_find(const struct supervisor *supervisor, const char *name)
{
	for (size_t i = 0; i < supervisor->tenant_count; i++)
		if (strcmp(supervisor->tenants[i]->record.name, name) == 0)
			return supervisor->tenants[i];
	return NULL;
}

int supervisor_add(struct supervisor *supervisor, const struct state_tenant *record,
	struct tenant **ret_tenant, struct error *error)
{
	size_t place = supervisor->tenant_count;
	if (place == STATE_TENANTS_MAX)
		return error_set(error, EUSERS,
			"there are %d tenants already, no more are possible", STATE_TENANTS_MAX);
	struct tenant *tenant = calloc(1, sizeof *tenant);
	if (tenant == NULL)
		return error_set(error, ENOMEM, "no memory for a tenant");
	tenant->supervisor = supervisor;
	tenant->record = *record;
	tenant->record.ports = NULL;
	tenant->machine.state = record->release[0] ? TENANT_STOPPED : TENANT_NEW;
	int result = state_set_ports(&tenant->record, record->ports, record->port_count) < 0
			     ? error_set(error, ENOMEM, "no memory for a tenant")
			     : tenant_log_new(supervisor->event, supervisor->log_fd, record->name,
				       &tenant->log, error);
	if (result < 0) {
		free(tenant->record.ports);
		free(tenant);
		return result;
	}
	while (place > 0 && strcmp(supervisor->tenants[place - 1]->record.name, record->name) > 0) {
		supervisor->tenants[place] = supervisor->tenants[place - 1];
		place--;
	}
	supervisor->tenants[place] = tenant;
	supervisor->tenant_count++;
	*ret_tenant = tenant;
	return 0;
}

void supervisor_remove(struct supervisor *supervisor, struct tenant *tenant)
{
	char name[CONTROL_NAME_MAX + 1];
	size_t place = 0;
	while (supervisor->tenants[place] != tenant)
		place++;
	supervisor->tenant_count--;
	memmove(supervisor->tenants + place, supervisor->tenants + place + 1,
		(supervisor->tenant_count - place) * sizeof *supervisor->tenants);
	snprintf(name, sizeof name, "%s", tenant->record.name);
	tenant_free(tenant);
	ingress_forget(supervisor->ingress, name);
	history_forget(supervisor->history, name);
	tenant_log_delete(supervisor->log_fd, name);
	supervisor_changed(supervisor, CHANGED_STATUS | CHANGED_RECORD | CHANGED_RELEASES);
	supervisor_check_end(supervisor);
}

int64_t supervisor_free_slot(const struct supervisor *supervisor)
{
	const uint32_t most = factory_tenant_slots(&supervisor->factory);
	for (uint32_t slot = 0; slot < most && slot <= supervisor->tenant_count; slot++) {
		bool used = false;
		for (size_t i = 0; i < supervisor->tenant_count && !used; i++)
			used = supervisor->tenants[i]->record.uid_slot == slot;
		if (!used)
			return slot;
	}
	return -EUSERS;
}

/* ---- what is done when the loop is idle ---- */

int supervisor_save(struct supervisor *supervisor, struct error *error)
{
	static const struct state_tenant *records[STATE_TENANTS_MAX];
	size_t count = 0;
	for (size_t i = 0; i < supervisor->tenant_count; i++)
		if (supervisor->tenants[i]->record.release[0])
			records[count++] = &supervisor->tenants[i]->record;
	int result = state_write(supervisor->state_fd, records, count, error);
	if (result == 0)
		supervisor->save_wanted = false;
	return result;
}

struct kept {
	const char **ids;
	size_t count, most;
};

static void keep_release(void *data, const char *release)
{
	struct kept *kept = data;
	if (kept->count < kept->most && store_id_valid(release))
		kept->ids[kept->count++] = release;
}

static void start_sweep(struct supervisor *supervisor);

/* The sweep of the store has ended. One that was killed is started again, a few times; what is
 * left then, or after a failure, is swept the next time. */
static int sweep_ended(sd_event_source *source, int pidfd, uint32_t events, void *data)
{
	struct supervisor *supervisor = data;
	siginfo_t info = {0};
	(void)source;
	(void)events;
	waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
	if (info.si_pid && info.si_status != 0)
		log_warn("event=sweep-failed status=%d", info.si_status);
	supervisor->sweep = sd_event_source_disable_unref(supervisor->sweep);
	bool killed = info.si_pid && info.si_code != CLD_EXITED;
	supervisor->sweeps_killed = killed ? supervisor->sweeps_killed + 1 : 0;
	if (killed && supervisor->sweeps_killed <= SWEEPS_KILLED_MAX)
		supervisor->swept = false;
	if (!supervisor->swept && !supervisor->stopping) /* more was pruned meanwhile */
		start_sweep(supervisor);
	return 0;
}

static void start_sweep(struct supervisor *supervisor)
{
	struct error error = {0};
	int pidfd = -1;
	supervisor->swept = true;
	int result = store_sweep_fork(supervisor->store, &pidfd, &error);
	if (result == 0)
		result = sd_event_add_io(supervisor->event, &supervisor->sweep, pidfd, EPOLLIN,
			sweep_ended, supervisor);
	if (result >= 0)
		sd_event_source_set_io_fd_own(supervisor->sweep, 1);
	else
		close_fd(&pidfd);
	if (result < 0)
		log_warn("event=sweep-failed message=\"%s\"", escape_for_log(error.message));
}

static void prune(struct supervisor *supervisor)
{
	struct error error = {0};
	/* What a tenant runs, tries, may go back to, and lets drain. */
	size_t room = supervisor->tenant_count * (6 + TENANT_DRAINING_MAX) + 1;
	cleanup_free const char **keep = calloc(room, sizeof *keep);
	if (keep == NULL)
		return;
	struct kept used = {keep, 0, room};
	for (size_t i = 0; i < supervisor->tenant_count; i++)
		tenant_releases(supervisor->tenants[i], keep_release, &used);
	size_t count = used.count;
	for (size_t i = 0; i < supervisor->tenant_count; i++)
		if (!releases_keep(supervisor->tenants[i], &keep, &count, &room))
			return;
	int removed = store_prune(supervisor->store, keep, count, &error);
	if (removed < 0)
		log_warn("event=prune-failed message=\"%s\"", escape_for_log(error.message));
	code_cache_sweep(supervisor);
	if (removed > 0)
		log_debug("event=pruned releases=%d", removed);
	/* At the first time, also after what an earlier daemon did not come to. */
	if (removed > 0)
		supervisor->swept = false;
	if (!supervisor->swept && supervisor->sweep == NULL)
		start_sweep(supervisor);
	supervisor->prune_wanted = false;
}

static void tell_status(struct supervisor *supervisor)
{
	unsigned counts[TENANT_STATE_COUNT] = {0};
	for (size_t i = 0; i < supervisor->tenant_count; i++)
		counts[supervisor->tenants[i]->machine.state]++;
	notify_tenants(counts);
}

/* What the tenants want together, unless the operator wants more. */
static void fill_stock(struct supervisor *supervisor)
{
	uint64_t wanted = 0;
	for (size_t i = 0; i < supervisor->tenant_count; i++) {
		const struct tenant *tenant = supervisor->tenants[i];
		if (tenant->program && tenant->record.running)
			wanted += tenant->program->manifest->warm;
	}
	if (wanted < supervisor->options->warm)
		wanted = supervisor->options->warm;
	if (supervisor->factory.stock)
		stock_want(supervisor->factory.stock,
			wanted < STOCK_MAX ? (uint32_t)wanted : STOCK_MAX);
}

static int when_idle(sd_event_source *source, uint64_t usec, void *data)
{
	struct supervisor *supervisor = data;
	struct error error = {0};
	(void)usec;
	if (supervisor->save_wanted && supervisor_save(supervisor, &error) < 0) {
		/* A full disk can be waited out: what runs goes on. */
		log_error("event=save-failed message=\"%s\"", escape_for_log(error.message));
		sd_event_source_set_time_relative(source, SAVE_RETRY_US);
		sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
		return 0;
	}
	if (supervisor->prune_wanted && supervisor->unpacks == 0)
		prune(supervisor);
	if (!supervisor->stopping) {
		fill_stock(supervisor);
		tell_status(supervisor);
	}
	return 0;
}

void supervisor_changed(struct supervisor *supervisor, unsigned changes)
{
	supervisor->save_wanted |= (changes & CHANGED_RECORD) != 0;
	supervisor->prune_wanted |= (changes & CHANGED_RELEASES) != 0;
	if (supervisor->settle == NULL)
		return;
	/* Not in the way of a start: that is what most changes come from. */
	sd_event_source_set_time_relative(supervisor->settle, SETTLE_US);
	sd_event_source_set_enabled(supervisor->settle, SD_EVENT_ONESHOT);
}

static int watch_cpu(sd_event_source *source, uint64_t usec, void *data)
{
	struct supervisor *supervisor = data;
	struct instance *instance = supervisor->factory.instances;
	(void)usec;
	if (instance == NULL)
		return 0; /* supervisor_watch starts it again */
	for (; instance; instance = instance->sibling) {
		instance_watch_cpu(instance);
		fleet_watch(instance);
		retire_look(instance);
	}
	sd_event_source_set_time_relative(source, WATCH_US);
	sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

void supervisor_watch(struct supervisor *supervisor)
{
	int enabled = SD_EVENT_OFF;
	if (supervisor->watch == NULL ||
		sd_event_source_get_enabled(supervisor->watch, &enabled) > 0)
		return;
	sd_event_source_set_time_relative(supervisor->watch, WATCH_US);
	sd_event_source_set_enabled(supervisor->watch, SD_EVENT_ONESHOT);
}

/* ---- the end ---- */

void supervisor_check_end(struct supervisor *supervisor)
{
	if (!supervisor->stopping || supervisor->runs)
		return;
	for (size_t i = 0; i < supervisor->tenant_count; i++)
		if (!tenant_is_empty(supervisor->tenants[i]))
			return;
	sd_event_exit(supervisor->event, 0);
}

static void kill_all(struct supervisor *supervisor)
{
	run_stop_all(supervisor, true);
	for (size_t i = 0; i < supervisor->tenant_count; i++)
		tenant_kill(supervisor->tenants[i]);
	supervisor_check_end(supervisor);
}

/* First everything that is left dies; if even that is not noticed, the end comes without. */
static int stop_deadline(sd_event_source *source, uint64_t usec, void *data)
{
	struct supervisor *supervisor = data;
	static bool killed;
	(void)usec;
	if (killed) {
		log_warn("event=stop-forced message=\"workers did not die in time\"");
		return sd_event_exit(supervisor->event, 0);
	}
	killed = true;
	kill_all(supervisor);
	sd_event_source_set_time_relative(source, DIE_MS * 1000);
	sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

static void begin_stop(struct supervisor *supervisor)
{
	uint64_t grace_ms = 5000;
	supervisor->stopping = true;
	if (supervisor->control) /* not there yet when told so while starting */
		control_set_stopping(supervisor->control);
	fdstore_freeze();
	ingress_stop(supervisor->ingress);
	log_info("event=stopping tenants=%zu", supervisor->tenant_count);
	for (size_t i = supervisor->tenant_count; i > 0; i--) {
		struct tenant *tenant = supervisor->tenants[i - 1];
		if (tenant->program && tenant->program->manifest->grace_ms > grace_ms)
			grace_ms = tenant->program->manifest->grace_ms;
		tenant_handle(tenant, TENANT_EVENT_STOP, "tenantd ends");
	}
	run_stop_all(supervisor, false);
	notify_stopping(grace_ms + KILL_MARGIN_MS + DIE_MS + FINISH_MS);
	sd_event_add_time_relative(supervisor->event, &supervisor->stop_deadline, CLOCK_MONOTONIC,
		(grace_ms + KILL_MARGIN_MS) * 1000, 0, stop_deadline, supervisor);
	supervisor_check_end(supervisor);
}

void supervisor_stop(struct supervisor *supervisor)
{
	if (!supervisor->stopping)
		begin_stop(supervisor);
	else
		kill_all(supervisor);
}

/* ---- signals ---- */

static void end_signal(struct supervisor *supervisor, const struct signalfd_siginfo *info)
{
	log_info("event=signal number=%u pid=%u", info->ssi_signo, info->ssi_pid);
	supervisor_stop(supervisor);
}

static void hangup_signal(struct supervisor *supervisor, const struct signalfd_siginfo *info)
{
	who_of_process((pid_t)info->ssi_pid, info->ssi_uid, &supervisor->reloader);
	reload_begin(supervisor);
}

/* What else may come is no reason to end, and there are many tenants it could be meant for. */
static int any_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	(void)source;
	switch ((int)info->ssi_signo) {
	case SIGTERM:
	case SIGINT:
	case SIGQUIT:
		end_signal(data, info);
		break;
	case SIGHUP:
		hangup_signal(data, info);
		break;
	case SIGCONT:
	case SIGWINCH:
	case SIGURG:
	case SIGTTIN:
	case SIGTTOU:
		break; /* a terminal's */
	default:
		log_info("event=signal-ignored number=%u pid=%u", info->ssi_signo, info->ssi_pid);
	}
	return 0;
}

/* A worker whose SPAWNED has not been read yet must wait for that. */
static bool knows_child(void *data, pid_t pid)
{
	const struct supervisor *supervisor = data;
	return supervisor->adopting || factory_owns(&supervisor->factory, pid) ||
	       factory_expects_children(&supervisor->factory);
}

/* Nobody knows orphans, which are ours when the daemon is PID 1, and what a zygote forked and
 * then could not finish. */
static int add_signals(struct supervisor *supervisor)
{
	struct error error = {0};
	if (pid1_adopt(&error) < 0)
		log_warn("event=no-reaper message=\"%s\"", escape_for_log(error.message));
	int result = pid1_signals(supervisor->event, any_signal, supervisor);
	if (result == 0)
		result = pid1_reap(supervisor->event, knows_child, supervisor, &supervisor->reaper);
	return result;
}

/* ---- the start ---- */

static int open_loop(struct supervisor *supervisor, struct error *error)
{
	struct rlimit files;
	slice_shorten_own();
	/* A tenant needs about six descriptors. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	int result = sd_event_new(&supervisor->event);
	if (result >= 0)
		result = add_signals(supervisor);
	if (result >= 0)
		result = sd_event_add_time_relative(supervisor->event, &supervisor->settle,
			CLOCK_MONOTONIC, 0, 1000, when_idle, supervisor);
	if (result >= 0)
		result = sd_event_source_set_priority(supervisor->settle, SD_EVENT_PRIORITY_IDLE);
	if (result >= 0)
		result = sd_event_source_set_enabled(supervisor->settle, SD_EVENT_OFF);
	if (result >= 0)
		result = sd_event_add_time_relative(supervisor->event, &supervisor->watch,
			CLOCK_MONOTONIC, 0, 200000, watch_cpu, supervisor);
	if (result >= 0)
		result = sd_event_source_set_enabled(supervisor->watch, SD_EVENT_OFF);
	return result < 0 ? error_errno(error, result, "cannot make an event loop") : 0;
}

static int open_folder(int parent, const char *path, mode_t mode, struct error *error)
{
	if (mkdirat(parent, path, mode) < 0 && errno != EEXIST)
		return error_errno(error, errno, "cannot make the folder %s", path);
	int fd = openat(parent, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? error_errno(error, errno, "cannot open the folder %s", path) : fd;
}

/* The store holds the lock that keeps a second daemon out, and removes releases that
 * were half made. */
static int open_store(struct supervisor *supervisor, struct error *error)
{
	int result = store_open_again(supervisor->options->state_folder, adopt_lock(supervisor),
		&supervisor->store, error);
	if (result == 0 && supervisor->options->tier == TIER_CONTAINER)
		result = store_let_pass(supervisor->store, error);
	if (result < 0)
		return result;
	supervisor->state_fd = store_state_fd(supervisor->store);
	supervisor->log_fd = open_folder(supervisor->state_fd, "logs", 0750, error);
	if (supervisor->log_fd < 0)
		return supervisor->log_fd;
	result = audit_open(supervisor->event, supervisor->state_fd, &supervisor->audit, error);
	if (result == 0)
		result = history_open(supervisor->state_fd, supervisor->options->keep_releases,
			&supervisor->history, error);
	if (result == 0)
		result = operations_open(supervisor->state_fd, &supervisor->operations, error);
	if (result < 0)
		return result;
	supervisor->policy_fd =
		open_folder(AT_FDCWD, supervisor->options->policy_folder, 0755, error);
	return supervisor->policy_fd < 0 ? supervisor->policy_fd : 0;
}

/* Two daemons with different state folders must not clean up after each other: the name
 * of the base group comes from the folder's identity. */
static void cgroup_base_name(const struct supervisor *supervisor, char name[64])
{
	struct stat status;
	if (supervisor->options->cgroup_name)
		snprintf(name, 64, "%s", supervisor->options->cgroup_name);
	else if (strcmp(supervisor->options->state_folder, "/var/lib/tenantd") == 0 ||
		 fstat(supervisor->state_fd, &status) < 0)
		snprintf(name, 64, "tenantd");
	else
		snprintf(name, 64, "tenantd-%llx-%llx", (unsigned long long)status.st_dev,
			(unsigned long long)status.st_ino);
}

static int open_cgroups(struct supervisor *supervisor, struct error *error)
{
	char name[64], text[512];
	cgroup_base_name(supervisor, name);
	const bool may_be_missing = supervisor->options->tier == TIER_CONTAINER;
	int result = cgroup_host_open(name, may_be_missing, &supervisor->cgroups, error);
	if (result == 0)
		result = cgroup_host_clean_but(
			supervisor->cgroups, CLEAN_MS, adopt_keeps_group, supervisor, error);
	if (result < 0)
		return result;
	cgroup_host_describe(supervisor->cgroups, text, sizeof text);
	log_info("event=cgroups message=\"%s\"", escape_for_log(text));
	return 0;
}

static int check_runtime(struct supervisor *supervisor, struct error *error)
{
	const char *folder = supervisor->options->runtime_folder;
	snprintf(supervisor->zygote_program, sizeof supervisor->zygote_program, "%s/tenant-zygote",
		folder);
	/* Looked at when a job wants it: services run without. */
	snprintf(supervisor->launcher_program, sizeof supervisor->launcher_program,
		"%s/tenant-launcher", folder);
	snprintf(supervisor->snapshot, sizeof supervisor->snapshot, "%s/library.snapshot", folder);
	if (access(supervisor->zygote_program, X_OK) < 0)
		return error_errno(error, errno, "cannot run %s (--runtime says where it lies)",
			supervisor->zygote_program);
	if (access(supervisor->snapshot, R_OK) < 0)
		return error_errno(error, errno, "cannot read %s (--runtime says where it lies)",
			supervisor->snapshot);
	return 0;
}

/* A decision of tenantd-egress, about an instance that may be gone. */
static void egress_decided(
	void *data, uint32_t id, const char *resource, bool allowed, const char *reason)
{
	struct supervisor *supervisor = data;
	for (struct instance *next = supervisor->factory.instances; next; next = next->sibling)
		if (next->id == id)
			audit_record(next, AUDIT_NET_CONNECT, resource, allowed, AUDIT_LAYER_EGRESS,
				reason);
}

/* Its process starts with the first tenant that may connect, under a user id that no
 * tenant and no run gets. */
static int open_egress(struct supervisor *supervisor, struct error *error)
{
	const int64_t slot = factory_take_spare(&supervisor->factory);
	if (slot < 0)
		return error_set(error, EUSERS, "no user id for tenantd-egress: raise --uid-count");
	snprintf(supervisor->egress_program, sizeof supervisor->egress_program, "%s/tenantd-egress",
		supervisor->options->runtime_folder);
	const struct egress_options options = {
		.program = supervisor->egress_program,
		.resolv_conf = supervisor->options->resolv_conf,
		.hosts = supervisor->options->hosts,
		.uid = factory_uid(&supervisor->factory, (uint32_t)slot) + FACTORY_UID_INSIDE,
		.audit = egress_decided,
		.audit_data = supervisor,
	};
	int result = egress_new(supervisor->event, &options, &supervisor->egress, error);
	supervisor->factory.egress = supervisor->egress;
	return result;
}

/* The ports that tenants share. Bound before any tenant starts: what is wrong with them is
 * wrong with the daemon. */
static int open_ingress(struct supervisor *supervisor, struct error *error)
{
	const struct options *options = supervisor->options;
	const int64_t slot = options->port_count > 0 ? factory_take_spare(&supervisor->factory) : 0;
	if (slot < 0)
		return error_set(
			error, EUSERS, "no user id for tenantd-ingress: raise --uid-count");
	snprintf(supervisor->ingress_program, sizeof supervisor->ingress_program,
		"%s/tenantd-ingress", options->runtime_folder);
	const struct ingress_options ingress = {
		.program = supervisor->ingress_program,
		.uid = factory_uid(&supervisor->factory, (uint32_t)slot) + FACTORY_UID_INSIDE,
		.ports = options->ports,
		.port_count = options->port_count,
		.wanted = tenant_sites_wanted,
		.data = supervisor,
	};
	int result = ingress_new(supervisor->event, &ingress, &supervisor->ingress, error);
	supervisor->factory.ingress = supervisor->ingress;
	return result;
}

/* Not ready before the first zygote is: what is wrong with it is wrong with everything. */
static int start_zygote(struct supervisor *supervisor, struct error *error)
{
	struct zygote_options options = zygote_defaults;
	options.program = supervisor->zygote_program;
	options.snapshot = supervisor->snapshot;
	options.ca_file = supervisor->options->ca_file;
	options.tier = supervisor->options->tier;
	int result = factory_open(&supervisor->factory, supervisor->event, supervisor->cgroups,
		&options, supervisor->options->uid_base, supervisor->options->uid_count, error);
	if (result < 0)
		return result;
	adopt_numbers(supervisor);
	const struct zygote *zygote = supervisor->factory.zygotes[0];
	while (!zygote_is_ready(zygote)) {
		result = sd_event_run(supervisor->event, UINT64_MAX);
		if (result < 0)
			return error_errno(error, result, "the event loop failed");
		if (sd_event_get_state(supervisor->event) == SD_EVENT_FINISHED)
			return error_set(error, ECANCELED, "told to end while starting");
		if (!zygote_is_alive(zygote))
			return error_set(error, ECHILD, "%s", zygote_last_error(zygote));
	}
	supervisor->factory.launcher = supervisor->launcher_program;
	supervisor->factory.audit = supervisor->audit;
	supervisor->factory.secrets_folder = supervisor->options->secrets_folder;
	supervisor->factory.tier = supervisor->options->tier;
	result = schedules_open(supervisor->event, supervisor->state_fd, &tenant_schedule_calls,
		&supervisor->factory.schedules, error);
	if (result == 0)
		adopt_schedules(supervisor);
	if (result == 0)
		result = open_egress(supervisor, error);
	if (result == 0)
		result = open_ingress(supervisor, error);
	if (result < 0)
		return result;
	return stock_new(
		&supervisor->factory, supervisor->options->warm, &supervisor->factory.stock, error);
}

/* The state may be of a daemon with more user ids (--uid-count): a slot behind ours would
 * be somebody else's, or that of a run. Nothing that lasts depends on it. */
static int check_slots(struct supervisor *supervisor, struct error *error)
{
	const uint32_t most = factory_tenant_slots(&supervisor->factory);
	for (size_t i = 0; i < supervisor->tenant_count; i++) {
		struct state_tenant *record = &supervisor->tenants[i]->record;
		if (record->uid_slot < most)
			continue;
		int64_t slot = supervisor_free_slot(supervisor);
		if (slot < 0)
			return error_set(error, EUSERS,
				"%zu tenants have %u pairs of user ids: raise --uid-count",
				supervisor->tenant_count, most);
		record->uid_slot = (uint32_t)slot;
		supervisor_changed(supervisor, CHANGED_RECORD);
	}
	return 0;
}

static bool names_change(void *data, const char *name, const char *number)
{
	const struct tenant *tenant = supervisor_find(data, name);
	return tenant && strstr(tenant->record.policy_change, number);
}

/* Every tenant that should run starts; what is wrong with one does not concern others. */
static int start_tenants(struct supervisor *supervisor, struct error *error)
{
	struct state state = {0};
	int result = state_read(supervisor->state_fd, &state, error);
	for (size_t i = 0; result == 0 && i < state.count; i++) {
		struct tenant *tenant;
		result = supervisor_add(supervisor, &state.tenants[i], &tenant, error);
	}
	state_clear(&state);
	/* All of them are there: whoever writes the state file now writes all of it. */
	for (size_t i = 0; result == 0 && i < supervisor->tenant_count; i++) {
		struct tenant *tenant = supervisor->tenants[i];
		tenant->adopted = adopt_tenant(supervisor, tenant);
		if (!tenant->adopted)
			tenant_load(tenant);
	}
	if (result == 0) {
		policy_change_sweep(supervisor->policy_fd, names_change, supervisor);
		adopt_rest(supervisor);
	}
	if (result == 0)
		result = check_slots(supervisor, error);
	supervisor->patient = true;
	for (size_t i = 0; result == 0 && i < supervisor->tenant_count; i++)
		if (supervisor->tenants[i]->record.running && !supervisor->tenants[i]->adopted)
			tenant_handle(
				supervisor->tenants[i], TENANT_EVENT_START, "tenantd started");
	supervisor->patient = false;
	return result;
}

static int open_control(struct supervisor *supervisor, struct error *error)
{
	char folder[4096];
	snprintf(folder, sizeof folder, "%s", supervisor->options->socket);
	char *slash = strrchr(folder, '/');
	if (slash && slash != folder) {
		*slash = '\0';
		if (mkdir(folder, 0755) < 0 && errno != EEXIST)
			return error_errno(error, errno, "cannot make the folder %s", folder);
	}
	return adopt_control(supervisor, error);
}

int supervisor_start(
	struct supervisor *supervisor, const struct options *options, struct error *error)
{
	const uint64_t started_ms = clock_ms();
	*supervisor = (struct supervisor){
		.options = options,
		.state_fd = -1,
		.policy_fd = -1,
		.log_fd = -1,
		.factory.null_fd = -1,
	};
	int result = kernel_check(options->tier, options->uid_base, options->uid_count, error);
	supervisor->events = events_new();
	if (result == 0 && supervisor->events == NULL)
		result = error_set(error, ENOMEM, "no memory for events");
	if (result == 0)
		result = check_runtime(supervisor, error);
	if (result == 0)
		result = open_loop(supervisor, error);
	if (result == 0)
		adopt_begin(supervisor);
	if (result == 0) /* from here on we are the only one */
		result = open_store(supervisor, error);
	if (result == 0) /* before anything new runs, whatever an earlier daemon left dies */
		result = open_cgroups(supervisor, error);
	if (result == 0)
		result = start_zygote(supervisor, error);
	if (result == 0) /* binds their listeners, too */
		result = start_tenants(supervisor, error);
	if (result == 0) /* last: who can ask finds everything there */
		result = open_control(supervisor, error);
	if (result < 0)
		return result;
	fdstore_sweep();
	ingress_open(supervisor->ingress);
	supervisor_changed(supervisor, CHANGED_STATUS | CHANGED_RELEASES);
	notify_ready("Serving");
	notify_watchdog(supervisor->event);
	adopt_finish(supervisor);
	log_info("event=started pid=%d tenants=%zu socket=%s ms=%llu", getpid(),
		supervisor->tenant_count, options->socket,
		(unsigned long long)(clock_ms() - started_ms));
	return 0;
}

int supervisor_run(struct supervisor *supervisor, struct error *error)
{
	int result = sd_event_loop(supervisor->event);
	return result < 0 ? error_errno(error, result, "the event loop failed") : 0;
}

void supervisor_finish(struct supervisor *supervisor)
{
	struct error error = {0};
	fdstore_freeze(); /* also after a start that failed: the next one may not */
	if (supervisor->store && supervisor->save_wanted && supervisor->control)
		if (supervisor_save(supervisor, &error) < 0)
			log_error(
				"event=save-failed message=\"%s\"", escape_for_log(error.message));
	run_free_all(supervisor);
	code_cache_free(supervisor->code_cache);
	while (supervisor->tenant_count > 0)
		tenant_free(supervisor->tenants[--supervisor->tenant_count]);
	supervisor->reload = reload_free(supervisor->reload);
	start_queue_close(supervisor);
	supervisor->factory.stock = stock_free(supervisor->factory.stock);
	control_close(supervisor->control);
	if (supervisor->factory.event)
		factory_close(&supervisor->factory, 1000);
	supervisor->factory.schedules = schedules_close(supervisor->factory.schedules);
	egress_free(supervisor->egress);
	ingress_free(supervisor->ingress);
	audit_close(supervisor->audit); /* after the last instance */
	events_free(supervisor->events);
	history_close(supervisor->history);
	operations_close(supervisor->operations);
	cgroup_host_close(supervisor->cgroups);
	store_close(supervisor->store);
	close_fd(&supervisor->policy_fd);
	close_fd(&supervisor->log_fd);
	pid1_reaper_free(supervisor->reaper);
	sd_event_source_disable_unref(supervisor->settle);
	sd_event_source_disable_unref(supervisor->sweep);
	sd_event_source_disable_unref(supervisor->watch);
	sd_event_source_disable_unref(supervisor->stop_deadline);
	sd_event_unref(supervisor->event);
}
