#include "daemon/reexec.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/control.h"
#include "common/escape.h"
#include "common/log.h"
#include "daemon/deploying.h"
#include "daemon/egress.h"
#include "daemon/fdstore.h"
#include "daemon/instance_takeover.h"
#include "daemon/kernel.h"
#include "daemon/notify.h"
#include "daemon/operations.h"
#include "daemon/schedule.h"
#include "daemon/takeover.h"
#include "daemon/tenant_takeover.h"
#include "daemon/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_US 10000
#define SAID_MAX 2000
#define OPTION "--handover="

static struct {
	char path[PATH_MAX];
	int count;
	char **arguments; /* NULL-terminated, room for one more; none is OPTION */
} own;

/* One request. */
struct reexec {
	struct supervisor *supervisor;
	struct control_connection *connection;
	pid_t pid;   /* of the new program that is asked */
	int said_fd; /* what it says */
	bool paused;
	uint64_t deadline_ms, ingress_deadline_ms; /* 0: not yet */
	sd_event_source *asked, *timer;
};

static struct reexec *running;

void reexec_remember(int argc, char **argv)
{
	ssize_t length = readlink("/proc/self/exe", own.path, sizeof own.path - 1);
	own.path[length > 0 ? length : 0] = '\0';
	own.arguments = calloc((size_t)argc + 2, sizeof *own.arguments);
	for (int i = 0; own.arguments && i < argc; i++)
		if (strncmp(argv[i], OPTION, strlen(OPTION)) != 0)
			own.arguments[own.count++] = argv[i];
}

/* ---- the new program, before ---- */

static int start_zygote(const struct options *options, struct error *error)
{
	char program[PATH_MAX], snapshot[PATH_MAX];
	struct zygote_options zygote_options = zygote_defaults;
	struct zygote *zygote;
	sd_event *event;
	snprintf(program, sizeof program, "%s/tenant-zygote", options->runtime_folder);
	snprintf(snapshot, sizeof snapshot, "%s/library.snapshot", options->runtime_folder);
	zygote_options.program = program;
	zygote_options.snapshot = snapshot;
	zygote_options.ca_file = options->ca_file;
	zygote_options.tier = options->tier;
	int result = sd_event_new(&event);
	if (result < 0)
		return error_errno(error, result, "cannot make an event loop");
	result = zygote_new(event, &zygote_options, NULL, NULL, &zygote, error);
	while (result == 0 && !zygote_is_ready(zygote)) {
		if (sd_event_run(event, UINT64_MAX) < 0)
			result = error_set(error, EIO, "the event loop failed");
		else if (!zygote_is_alive(zygote))
			result = error_set(error, ECHILD, "%s", zygote_last_error(zygote));
	}
	if (result == 0)
		zygote_free(zygote);
	sd_event_unref(event);
	return result;
}

int reexec_check(const struct options *options, const char *version)
{
	struct error error = {0};
	int result = 0;
	if (strtoul(version, NULL, 10) != TAKEOVER_VERSION)
		result = error_set(&error, ENOTSUP,
			"tenantd " TENANTD_VERSION " takes over handovers of version %d, not "
			"\"%s\": restart the daemon instead",
			TAKEOVER_VERSION, escape_for_log(version));
	if (result == 0)
		result = kernel_check(options->tier, options->uid_base, options->uid_count, &error);
	if (result == 0)
		result = start_zygote(options, &error);
	if (result < 0)
		fprintf(stderr, "%s\n", error.message);
	else
		puts("tenantd " TENANTD_VERSION " can take over");
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- the end of a request ---- */

static void stop_asking(struct reexec *reexec)
{
	siginfo_t info;
	reexec->asked = sd_event_source_disable_unref(reexec->asked);
	if (reexec->pid > 0) {
		kill(reexec->pid, SIGKILL);
		waitid(P_PID, (id_t)reexec->pid, &info, WEXITED);
	}
	reexec->pid = 0;
}

/* All goes on as before. */
static void reexec_free(struct reexec *reexec)
{
	struct supervisor *supervisor = reexec->supervisor;
	stop_asking(reexec);
	if (reexec->paused)
		control_pause(supervisor->control, false);
	ingress_resume(supervisor->ingress);
	sd_event_source_disable_unref(reexec->timer);
	close_fd(&reexec->said_fd);
	free(reexec);
	running = NULL;
}

static void note(const struct reexec *reexec, const char *result, const char *detail)
{
	struct who who;
	control_who(reexec->connection, &who);
	operations_note(reexec->supervisor->operations, &(struct operation){
								.action = "daemon-reexec",
								.tenant = "",
								.by = &who,
								.from = TENANTD_VERSION,
								.result = result,
								.detail = detail,
							});
}

static void fail(struct reexec *reexec, const char *code, const char *message)
{
	log_warn("event=reexec-refused message=\"%s\"", escape_for_log(message));
	note(reexec, "failed", message);
	control_fail(
		reexec->connection, code, CONTROL_EXIT_FAILURE, "%s; nothing was changed", message);
	reexec_free(reexec);
}

static void client_gone(void *data)
{
	log_info("event=reexec-cancelled message=\"who asked for it is gone\"");
	reexec_free(data);
}

static const struct control_hold hold = {.closed = client_gone};

/* ---- what must be over first ---- */

static bool obstacle(const struct supervisor *supervisor, char *text, size_t size)
{
	const char *why = NULL;
	if (supervisor->deploying)
		snprintf(
			text, size, "%s: a deployment is under way", supervisor->deploying->tenant);
	else if (supervisor->unpacks > 0)
		snprintf(text, size, "an archive is being unpacked");
	else if (supervisor->runs)
		snprintf(text, size, "a tenantctl run is under way");
	else if (supervisor->code_cache)
		snprintf(text, size, "a code cache is being made");
	else if (supervisor->sweep)
		snprintf(text, size, "the store is being swept");
	else if (supervisor->reload)
		snprintf(text, size, "policies are being read again");
	else if (ingress_syncing(supervisor->ingress))
		snprintf(text, size, "who deployed is yet to be told so");
	else
		text[0] = '\0';
	for (size_t i = 0; text[0] == '\0' && i < supervisor->tenant_count; i++)
		if ((why = tenant_obstacle(supervisor->tenants[i])))
			snprintf(text, size, "%s: %s", supervisor->tenants[i]->record.name, why);
	return text[0] != '\0';
}

/* ---- the handover ---- */

static json_t *pack_helpers(const struct supervisor *supervisor)
{
	const struct factory *factory = &supervisor->factory;
	json_t *list = json_array();
	for (size_t i = 0; i < ARRAY_LENGTH(factory->zygotes); i++) {
		pid_t pids[ZYGOTE_PROCESSES_MAX];
		const size_t count =
			factory->zygotes[i] ? zygote_pids(factory->zygotes[i], pids) : 0;
		for (size_t k = 0; k < count; k++)
			json_array_append_new(list, json_integer(pids[k]));
	}
	if (egress_pid(supervisor->egress) > 0)
		json_array_append_new(list, json_integer(egress_pid(supervisor->egress)));
	if (ingress_pid(supervisor->ingress) > 0)
		json_array_append_new(list, json_integer(ingress_pid(supervisor->ingress)));
	for (const struct instance *next = factory->instances; next; next = next->sibling)
		if (next->stage == INSTANCE_STOCK && next->pidfd >= 0)
			json_array_append_new(list, json_integer(next->pid));
	return list;
}

/* The control groups that are not to be cleaned away. */
static json_t *pack_groups(const struct supervisor *supervisor)
{
	json_t *groups = json_object();
	for (const struct instance *next = supervisor->factory.instances; next;
		next = next->sibling)
		if (next->stage != INSTANCE_STOCK && next->cgroup)
			json_object_set_new(groups, cgroup_name(next->cgroup), json_true());
	return groups;
}

static json_t *pack_tenants(const struct supervisor *supervisor, struct takeover *takeover)
{
	json_t *tenants = json_object();
	for (size_t i = 0; i < supervisor->tenant_count; i++) {
		const struct tenant *tenant = supervisor->tenants[i];
		if (json_object_set_new(
			    tenants, tenant->record.name, tenant_pack(tenant, takeover)) < 0)
			takeover->failed = true;
	}
	return tenants;
}

static int pack(struct reexec *reexec, struct takeover *takeover, struct error *error)
{
	struct supervisor *supervisor = reexec->supervisor;
	const struct factory *factory = &supervisor->factory;
	int result = takeover_new(takeover, error);
	if (result < 0)
		return result;
	const struct {
		const char *key;
		json_t *value;
	} parts[] = {
		{"started_ns", json_integer((json_int_t)clock_ns())},
		{"last_instance", json_integer(factory->last_instance)},
		{"last_cgroup", json_integer(factory->last_cgroup)},
		{"lock", takeover_put_fd(takeover, store_lock_fd(supervisor->store))},
		{"helpers", pack_helpers(supervisor)},
		{"groups", pack_groups(supervisor)},
		{"events", events_pack(supervisor->events)},
		{"schedules", schedules_pack(factory->schedules)},
		{"passed", fdstore_pack(takeover)},
		{"ports", ingress_pack(supervisor->ingress, takeover)},
		{"tenants", pack_tenants(supervisor, takeover)},
		{"control", control_pack(supervisor->control, reexec->connection, takeover)},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
		if (json_object_set_new(takeover->root, parts[i].key, parts[i].value) < 0)
			takeover->failed = true;
	return 0;
}

/* Comes back only when it fails. */
static int replace(struct reexec *reexec, struct error *error)
{
	struct supervisor *supervisor = reexec->supervisor;
	struct takeover takeover;
	char option[32];
	int result = supervisor->save_wanted ? supervisor_save(supervisor, error) : 0;
	if (result == 0)
		result = pack(reexec, &takeover, error);
	if (result < 0)
		return result;
	cleanup_close int fd = takeover_seal(&takeover, error);
	if (fd >= 0) {
		note(reexec, "ok", NULL);
		log_info("event=reexec path=%s tenants=%zu", own.path, supervisor->tenant_count);
		notify_reloading();
		snprintf(option, sizeof option, OPTION "%d", fd);
		own.arguments[own.count] = option;
		takeover_keep(&takeover, true);
		execv(own.path, own.arguments);
		result = error_errno(error, errno, "cannot run %s", own.path);
		takeover_keep(&takeover, false);
		own.arguments[own.count] = NULL;
		notify_ready("Serving");
	}
	takeover_clear(&takeover);
	return fd < 0 ? fd : result;
}

/* ---- waiting ---- */

static bool is_late(const struct reexec *reexec, const char *what)
{
	char message[512];
	if (clock_ms() < reexec->deadline_ms)
		return false;
	snprintf(message, sizeof message,
		"what is under way did not come to its end within %d s: %s", REEXEC_QUIET_MS / 1000,
		what);
	fail((struct reexec *)reexec, "busy", message);
	return true;
}

/* True when nothing is left to wait for. False: not yet, or the request is over. */
static bool is_quiet(struct reexec *reexec)
{
	struct supervisor *supervisor = reexec->supervisor;
	char text[256];
	if (obstacle(supervisor, text, sizeof text)) {
		/* Who started meanwhile may be waited for by connections of the shared ports. */
		ingress_resume(supervisor->ingress);
		reexec->ingress_deadline_ms = 0;
		is_late(reexec, text);
		return false;
	}
	if (ingress_pause(supervisor->ingress))
		return true;
	if (reexec->ingress_deadline_ms == 0)
		reexec->ingress_deadline_ms = clock_ms() + REEXEC_INGRESS_MS;
	/* Clients that say nothing, or not all of their request. */
	return clock_ms() >= reexec->ingress_deadline_ms;
}

static int look(sd_event_source *source, uint64_t usec, void *data)
{
	struct reexec *reexec = data;
	struct error error = {0};
	(void)usec;
	if (reexec->supervisor->stopping) {
		fail(reexec, "stopping", "tenantd is stopping");
		return 0;
	}
	sd_event_source_set_time_relative(source, LOOK_US);
	sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	if (is_quiet(reexec) && replace(reexec, &error) < 0)
		fail(reexec, "failed", error.message);
	return 0;
}

static void wait_for_quiet(struct reexec *reexec)
{
	reexec->paused = true;
	reexec->deadline_ms = clock_ms() + REEXEC_QUIET_MS;
	control_pause(reexec->supervisor->control, true);
	/* Behind everything else that the loop has to do. */
	if (sd_event_add_time_relative(reexec->supervisor->event, &reexec->timer, CLOCK_MONOTONIC,
		    0, 1000, look, reexec) < 0 ||
		sd_event_source_set_priority(reexec->timer, SD_EVENT_PRIORITY_IDLE) < 0)
		fail(reexec, "no-memory", "out of memory");
}

/* ---- asking the new program ---- */

/* The last line that is not empty. */
static void read_said(int fd, char text[SAID_MAX])
{
	const off_t end = lseek(fd, 0, SEEK_END);
	const off_t begin = end > SAID_MAX - 1 ? end - (SAID_MAX - 1) : 0;
	ssize_t length = pread(fd, text, SAID_MAX - 1, begin);
	length = length < 0 ? 0 : length;
	while (length > 0 && text[length - 1] == '\n')
		length--;
	text[length] = '\0';
	const char *line = strrchr(text, '\n');
	if (line)
		memmove(text, line + 1, strlen(line));
}

static int has_answered(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct reexec *reexec = data;
	siginfo_t info = {0};
	char said[SAID_MAX], message[SAID_MAX + PATH_MAX + 64];
	(void)source;
	(void)events;
	if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0)
		return 0;
	reexec->pid = 0;
	reexec->asked = sd_event_source_disable_unref(reexec->asked);
	reexec->timer = sd_event_source_disable_unref(reexec->timer);
	read_said(reexec->said_fd, said);
	log_info("event=reexec-asked path=%s message=\"%s\"", own.path, escape_for_log(said));
	if (info.si_code == CLD_EXITED && info.si_status == 0) {
		wait_for_quiet(reexec);
		return 0;
	}
	snprintf(message, sizeof message, "%s cannot take over: %s%s", own.path,
		escape_for_log(said), said[0] ? "" : "it says nothing, and failed");
	fail(reexec, "refused", message);
	return 0;
}

static int took_too_long(sd_event_source *source, uint64_t usec, void *data)
{
	char message[PATH_MAX + 64];
	(void)source;
	(void)usec;
	snprintf(message, sizeof message, "%s did not say within %d s whether it can take over",
		own.path, REEXEC_CHECK_MS / 1000);
	fail(data, "refused", message);
	return 0;
}

_Noreturn static void exec_check(int said_fd)
{
	char option[48];
	sigset_t none;
	snprintf(option, sizeof option, "--check-handover=%d", TAKEOVER_VERSION);
	own.arguments[own.count] = option;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(said_fd, STDOUT_FILENO) >= 0 && dup2(said_fd, STDERR_FILENO) >= 0 &&
		close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
		execv(own.path, own.arguments);
	dprintf(STDERR_FILENO, "%s\n", strerror(errno));
	_exit(127);
}

static int ask(struct reexec *reexec, struct error *error)
{
	sd_event *event = reexec->supervisor->event;
	reexec->said_fd = memfd_create("handover-check", MFD_CLOEXEC);
	if (reexec->said_fd < 0 || own.path[0] == '\0' || own.arguments == NULL)
		return error_set(error, ENOMEM, "it is not known which program this is");
	/* Two positions in one file would write over each other. */
	fcntl(reexec->said_fd, F_SETFL, O_APPEND);
	const pid_t pid = fork();
	if (pid < 0)
		return error_errno(error, errno, "cannot fork");
	if (pid == 0)
		exec_check(reexec->said_fd);
	reexec->pid = pid;
	cleanup_close int pidfd = pidfd_open(pid, 0);
	int result = pidfd < 0 ? -errno
			       : sd_event_add_io(event, &reexec->asked, pidfd, EPOLLIN,
					 has_answered, reexec);
	if (result >= 0) {
		sd_event_source_set_io_fd_own(reexec->asked, 1);
		take_fd(&pidfd);
		result = sd_event_add_time_relative(event, &reexec->timer, CLOCK_MONOTONIC,
			REEXEC_CHECK_MS * 1000ull, 0, took_too_long, reexec);
	}
	return result < 0 ? error_errno(error, -result, "cannot watch %s", own.path) : 0;
}

void reexec_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	struct error error = {0};
	(void)request;
	(void)fds;
	(void)fd_count;
	if (running) {
		control_fail(connection, "busy", CONTROL_EXIT_FAILURE,
			"another daemon-reexec is under way");
		return;
	}
	struct reexec *reexec = calloc(1, sizeof *reexec);
	if (reexec == NULL) {
		control_fail(connection, "no-memory", CONTROL_EXIT_FAILURE, "out of memory");
		return;
	}
	reexec->supervisor = control_data(connection);
	reexec->connection = connection;
	reexec->said_fd = -1;
	running = reexec;
	if (ask(reexec, &error) < 0)
		fail(reexec, "failed", error.message);
	else
		control_hold(connection, &hold, reexec, 0);
}
