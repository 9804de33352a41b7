#include "daemon/run.h"

#include "common/cleanup.h"
#include "common/control.h"
#include "common/escape.h"
#include "common/log.h"
#include "daemon/audit.h"
#include "daemon/listeners.h"
#include "daemon/program.h"
#include "daemon/unpack_job.h"
#include "policy/match.h"
#include "sandbox/job.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#define STOP_GRACE_MS 5000
#define DENIALS_MAX 10
#define CONFINED_MS 30000 /* a script has no readiness, but it must get so far */

struct run {
	struct run *next;
	struct supervisor *supervisor;
	struct control_connection *connection; /* NULL: the client is gone */
	char name[80];
	struct policy *policy; /* until there is a program */
	int exit_code;         /* of a client whose command was not found; 0: by the error */
	json_t *request;       /* entry or command, and arguments */
	json_t *denials;       /* what a command was refused, each once */
	int stdio[3];
	int debugger; /* a socket; -1: none */
	struct unpack_job *job;
	struct store_staging staging;
	struct program *program;
	struct instance *instance;
};

/* ---- the end ---- */

static void run_free(struct run *run)
{
	struct supervisor *supervisor = run->supervisor;
	struct run **place = &supervisor->runs;
	while (*place != run)
		place = &(*place)->next;
	*place = run->next;
	unpack_job_cancel(run->job);
	instance_free(run->instance);
	program_free(run->program, NULL);
	policy_free(run->policy);
	store_discard(supervisor->store, &run->staging);
	for (size_t i = 0; i < ARRAY_LENGTH(run->stdio); i++)
		close_fd(&run->stdio[i]);
	close_fd(&run->debugger);
	json_decref(run->request);
	json_decref(run->denials);
	free(run);
	supervisor_check_end(supervisor);
}

static void fail(struct run *run, const struct error *error)
{
	int code = run->exit_code                                   ? run->exit_code
		   : error->code == EINVAL || error->code == ENOENT ? CONTROL_EXIT_NOT_RUNNABLE
								    : CONTROL_EXIT_TOOL;
	struct control_connection *connection = take_pointer(run->connection);
	if (connection)
		control_fail(connection, "failed", code, "%s", error->message);
	run_free(run);
}

static void run_ready(struct instance *instance, void *data)
{
	(void)instance; /* a script is never ready: it runs */
	(void)data;
}

static void run_ended(struct instance *instance, void *data)
{
	struct run *run = data;
	const struct instance_end *end = instance->end;
	struct control_connection *connection = take_pointer(run->connection);
	log_info("event=run-ended tenant=%s pid=%d reason=%s exit_code=%d signal=%d "
		 "message=\"%s\"",
		run->name, instance->pid, end_reason_name(end->reason), end->exit_code, end->signal,
		message_for_log(end->message));
	if (connection) {
		json_t *done = instance_end_describe(end);
		json_object_del(done, "time");
		json_object_set(done, "denials", run->denials);
		control_done(connection, done);
	}
	run_free(run);
}

static bool is_told(const struct run *run, const char *permission, const char *resource)
{
	size_t i;
	json_t *denial;
	json_array_foreach(run->denials, i,
		denial) if (strcmp(permission, json_string_value(json_object_get(denial,
						       "permission"))) == 0 &&
			    strcmp(resource, json_string_value(json_object_get(
						     denial, "resource"))) == 0) return true;
	return false;
}

/* What a command was refused it may not be able to say: npm shows "403" and not the
 * proxy's reason. Whoever ran it is told with its end. */
static void run_denied(struct instance *instance, const struct audit_event *event, void *data)
{
	struct run *run = data;
	const char *permission = audit_permission_name(event->permission);
	char resource[256], detail[512];
	if (instance->mode != WORKER_MODE_JOB || event->permission == AUDIT_SYSCALL ||
		event->permission == AUDIT_RESOURCE)
		return;
	snprintf(resource, sizeof resource, "%.255s", escape_for_log(event->resource));
	snprintf(detail, sizeof detail, "%.511s", escape_for_log(event->detail));
	if (json_array_size(run->denials) >= DENIALS_MAX || is_told(run, permission, resource))
		return;
	json_array_append_new(run->denials,
		json_pack("{s:s, s:s, s:s, s:s}", "permission", permission, "resource", resource,
			"layer", audit_layer_name(event->layer), "detail", detail));
}

static const struct instance_events run_events = {run_ready, run_ended, run_denied};

/* ---- the beginning ---- */

static int collect_arguments(
	const json_t *list, const char ***ret_arguments, size_t *ret_count, struct error *error)
{
	size_t count = json_array_size(list);
	const char **arguments = calloc(count + 1, sizeof *arguments);
	if (arguments == NULL)
		return error_set(error, ENOMEM, "no memory for arguments");
	for (size_t i = 0; i < count; i++) {
		arguments[i] = json_string_value(json_array_get(list, i));
		if (arguments[i] == NULL) {
			free(arguments);
			return error_set(error, EINVAL, "an argument is not a string");
		}
	}
	*ret_arguments = arguments;
	*ret_count = count;
	return 0;
}

static int start_instance(struct run *run, const struct instance_spec *spec, struct error *error)
{
	int result = instance_start(
		&run->supervisor->factory, spec, &run_events, run, &run->instance, error);
	/* Only the program holds them now, so that their other ends see its end. */
	for (size_t i = 0; i < ARRAY_LENGTH(run->stdio); i++)
		close_fd(&run->stdio[i]);
	close_fd(&run->debugger);
	if (result == 0)
		supervisor_watch(run->supervisor);
	return result;
}

static uint32_t inspect_mode(const struct run *run)
{
	const char *how = json_string_value(json_object_get(run->request, "inspect"));
	if (run->debugger < 0)
		return WORKER_INSPECT_NONE;
	return how && strcmp(how, "break") == 0 ? WORKER_INSPECT_BREAK : WORKER_INSPECT_ATTACHED;
}

/* So that a test of a server is a run: `server.listen(0)`. A policy of a tenant that serves may be
 * used for a run beside it, whose ports are taken then; most such runs listen to nothing. */
static void open_listeners(struct run *run)
{
	struct error error = {0};
	struct listener_ports ports = {0};
	if (json_object_get(run->request, "policy") == NULL)
		return; /* the default, with a listener for services */
	if (listeners_open(&run->program->policy->net.listen, NULL, &ports,
		    &run->program->listeners, &error) < 0)
		log_info("event=run-without-listeners tenant=%s message=\"%s\"", run->name,
			message_for_log(error.message));
	/* What a socket unit lends can be had twice: whoever serves on it would lose connections
	 * to the run. */
	for (size_t i = 0; i < run->program->listeners.count; i++)
		if (run->program->listeners.items[i].lent) {
			listeners_close(&run->program->listeners, NULL);
			log_info("event=run-without-listeners tenant=%s message=\"a socket unit's "
				 "listener is a tenant's\"",
				run->name);
			return;
		}
}

static int start_worker(struct run *run, struct error *error)
{
	cleanup_free const char **arguments = NULL;
	size_t count = 0;
	int result = collect_arguments(
		json_object_get(run->request, "arguments"), &arguments, &count, error);
	if (result < 0)
		return result;
	open_listeners(run);
	struct instance_spec spec = {
		.tenant = run->name,
		.release = "run",
		.listeners = &run->program->listeners,
		.release_fd = run->program->release_fd,
		.entry = run->program->entry,
		.mode = WORKER_MODE_SCRIPT,
		.policy = run->program->policy,
		.arguments = arguments,
		.argument_count = count,
		.uid_slot = -1,
		.startup_ms = CONFINED_MS,
		.idle_ms = (uint32_t)run->program->manifest->idle_ms,
		.inspect = inspect_mode(run),
		.inspect_fd = run->debugger,
		.stdio = {run->stdio[0], run->stdio[1], run->stdio[2]},
	};
	return start_instance(run, &spec, error);
}

/* ---- a command of the host ---- */

/* As execvp(3) would find it, in the folders where programs lie. */
static int find_command(const char *command, char path[PATH_MAX], struct error *error)
{
	static const char folders[] = JOB_PATH;
	struct stat status;
	if (command[0] == '/') {
		snprintf(path, PATH_MAX, "%s", command);
		if (stat(path, &status) < 0)
			return error_errno(error, errno, "%s", path);
		return 0;
	}
	for (const char *folder = folders; *folder && strchr(command, '/') == NULL;) {
		size_t length = strcspn(folder, ":");
		snprintf(path, PATH_MAX, "%.*s/%s", (int)length, folder, command);
		if (stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0)
			return 0;
		folder += length + (folder[length] == ':');
	}
	return error_set(error, ENOENT, "%s: command not found (in " JOB_PATH ")", command);
}

/* The client's current folder, if it is granted: else the command would not find it. */
static const char *choose_folder(const struct run *run)
{
	const char *folder = json_string_value(json_object_get(run->request, "folder"));
	const struct policy *policy = run->policy;
	if (folder && (policy_match_path(&policy->fs.read, folder) ||
			      policy_match_path(&policy->fs.write, folder)))
		return folder;
	return "";
}

static int start_command(struct run *run, struct error *error)
{
	cleanup_free const char **arguments = NULL;
	size_t count = 0;
	char path[PATH_MAX];
	int result = collect_arguments(
		json_object_get(run->request, "arguments"), &arguments, &count, error);
	const char *command = json_string_value(json_object_get(run->request, "command"));
	if (result == 0 && (count == 0 || command == NULL))
		result = error_set(error, EINVAL, "no command");
	if (result < 0)
		return result;
	result = find_command(command, path, error);
	if (result < 0) {
		run->exit_code = result == -ENOENT || result == -ENOTDIR
					 ? CONTROL_EXIT_NOT_FOUND
					 : CONTROL_EXIT_NOT_RUNNABLE;
		return result;
	}
	const struct instance_job job = {
		.folder = choose_folder(run),
		.time_ms = (uint32_t)run->policy->limits.time_ms,
	};
	const struct instance_spec spec = {
		.tenant = run->name,
		.release = "run",
		.release_fd = -1,
		.entry = path,
		.mode = WORKER_MODE_JOB,
		.policy = run->policy,
		.arguments = arguments,
		.argument_count = count,
		.uid_slot = -1,
		.startup_ms = CONFINED_MS,
		.stdio = {run->stdio[0], run->stdio[1], run->stdio[2]},
		.job = &job,
	};
	return start_instance(run, &spec, error);
}

/* ---- a script of the client's ---- */

static void unpacked(
	void *data, int result, const struct unpack_result *what, const struct error *why)
{
	struct run *run = data;
	struct error error = {0};
	run->job = NULL;
	if (result < 0) {
		fail(run, why);
		return;
	}
	run->staging = what->staging;
	int folder = fcntl(run->staging.fd, F_DUPFD_CLOEXEC, 3);
	if (folder < 0)
		result = error_errno(&error, errno, "cannot open the program's folder");
	if (result == 0)
		result = program_of_folder(folder, "run",
			json_string_value(json_object_get(run->request, "entry")),
			take_pointer(run->policy), "run", &run->program, &error);
	if (result == 0)
		result = start_worker(run, &error);
	if (result < 0) {
		fail(run, &error);
		return;
	}
	if (run->connection)
		control_item(run->connection, json_pack("{s:{s:s}}", "started", "name", run->name));
}

/* ---- the client ---- */

static void client_gone(void *data)
{
	struct run *run = data;
	run->connection = NULL;
	if (run->instance)
		instance_kill(run->instance, END_OPERATOR, "its client is gone");
	else
		run_free(run);
}

/* `signal`: what a terminal or a CI system sends to end a program. */
static void client_message(void *data, const json_t *message)
{
	struct run *run = data;
	const char *verb = json_string_value(json_object_get(message, "verb"));
	json_int_t number = json_integer_value(json_object_get(message, "number"));
	if (verb == NULL || strcmp(verb, "signal") != 0 || run->instance == NULL)
		return;
	if (number == SIGKILL)
		instance_kill(run->instance, END_OPERATOR, "killed");
	else if (run->instance->mode == WORKER_MODE_JOB)
		instance_signal(run->instance, (int)number);
	else if (number == SIGTERM || number == SIGINT || number == SIGHUP || number == SIGQUIT)
		instance_drain(run->instance, STOP_GRACE_MS, END_OPERATOR);
}

static const struct control_hold run_hold = {client_gone, client_message};

/* The request may ask for more records than the policy does, or for fewer. */
static int take_audit(const json_t *request, struct policy *policy, struct error *error)
{
	const char *text = json_string_value(json_object_get(request, "audit"));
	int audit = text ? policy_audit_find(text) : (int)policy->audit;
	if (audit < 0)
		return error_set(error, EINVAL, "audit is off, denied or all");
	policy->audit = (enum policy_audit)audit;
	return 0;
}

static int take_policy(const json_t *request, struct policy **ret_policy, struct error *error)
{
	const char *text = json_string_value(json_object_get(request, "policy"));
	const char *file = json_string_value(json_object_get(request, "policy_file"));
	int result = 0;
	if (text)
		result =
			policy_parse(text, strlen(text), file ? file : "policy", ret_policy, error);
	else if ((*ret_policy = policy_default()) == NULL)
		result = error_set(error, ENOMEM, "no memory for a policy");
	return result < 0 ? result : take_audit(request, *ret_policy, error);
}

static unsigned count_runs(const struct supervisor *supervisor)
{
	unsigned count = 0;
	for (const struct run *run = supervisor->runs; run; run = run->next)
		count++;
	return count;
}

static int begin(struct run *run, const json_t *request, int archive_fd, struct error *error)
{
	const char *name = json_string_value(json_object_get(request, "name"));
	if (name && policy_check_name(name, error) < 0)
		return -EINVAL;
	if (name)
		snprintf(run->name, sizeof run->name, "%s", name);
	else
		snprintf(run->name, sizeof run->name, "run-%u", ++run->supervisor->last_run);
	if (count_runs(run->supervisor) > RUNS_MAX)
		return error_set(error, EBUSY, "%d programs run already", RUNS_MAX);
	int result = take_policy(request, &run->policy, error);
	if (result == 0 && json_object_get(request, "command"))
		return start_command(run, error);
	if (result == 0)
		result = unpack_job_start(
			run->supervisor, archive_fd, NULL, unpacked, run, &run->job, error);
	return result;
}

void run_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	struct error error = {0};
	/* A script's archive comes before the streams. */
	const size_t streams = json_object_get(request, "command") ? 0 : 1;
	const size_t debuggers = streams && json_object_get(request, "inspect") ? 1 : 0;
	if (fd_count != streams + 3 + debuggers) {
		control_fail(connection, "bad-request", CONTROL_EXIT_TOOL,
			"a request to run with %zu descriptors", fd_count);
		return;
	}
	struct run *run = calloc(1, sizeof *run);
	if (run == NULL) {
		control_fail(
			connection, "no-memory", CONTROL_EXIT_TOOL, "tenantd is out of memory");
		return;
	}
	run->supervisor = control_data(connection);
	run->next = run->supervisor->runs;
	run->supervisor->runs = run;
	run->connection = connection;
	run->request = json_incref((json_t *)request);
	run->denials = json_array();
	run->staging = STORE_STAGING_NONE;
	for (size_t i = 0; i < ARRAY_LENGTH(run->stdio); i++)
		run->stdio[i] = take_fd(&fds[streams + i]);
	run->debugger = debuggers ? take_fd(&fds[streams + 3]) : -1;
	if (begin(run, request, fds[0], &error) < 0) {
		fail(run, &error);
		return;
	}
	control_hold(connection, &run_hold, run, 0);
}

/* ---- all of them ---- */

void run_stop_all(struct supervisor *supervisor, bool at_once)
{
	struct run *next;
	for (struct run *run = supervisor->runs; run; run = next) {
		next = run->next;
		if (run->instance == NULL)
			fail(run, &(struct error){ECANCELED, "tenantd ends"});
		else if (at_once)
			instance_kill(run->instance, END_OPERATOR, "killed: tenantd ends");
		else
			instance_drain(run->instance, STOP_GRACE_MS, END_OPERATOR);
	}
}

void run_free_all(struct supervisor *supervisor)
{
	while (supervisor->runs) {
		supervisor->runs->connection = NULL;
		run_free(supervisor->runs);
	}
}
