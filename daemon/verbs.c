#include "daemon/verbs.h"

#include "common/cleanup.h"
#include "common/control.h"
#include "common/escape.h"
#include "daemon/inspect.h"
#include "daemon/operations.h"
#include "daemon/reexec.h"
#include "daemon/run.h"
#include "daemon/supervisor.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define LOG_LINES_DEFAULT 100

uint32_t verb_wait_ms(const json_t *request)
{
	const json_t *value = json_object_get(request, "wait_ms");
	json_int_t ms = json_is_integer(value) ? json_integer_value(value) : VERB_WAIT_MS;
	return ms < 1 ? 1 : ms > VERB_WAIT_MS ? VERB_WAIT_MS : (uint32_t)ms;
}

/* The tenant that the request names; answers itself when there is none. */
struct tenant *verb_tenant(struct control_connection *connection, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "name"));
	struct error error = {0};
	struct tenant *tenant = NULL;
	if (name == NULL || policy_check_name(name, &error) < 0)
		control_fail(connection, "invalid", CONTROL_EXIT_USAGE, "%s",
			name ? error.message : "the request has no name");
	else if ((tenant = supervisor_find(control_data(connection), name)) == NULL)
		control_fail(connection, "unknown-tenant", CONTROL_EXIT_UNKNOWN,
			"there is no tenant %s", name);
	return tenant;
}

/* ---- version, list, status ---- */

static void version_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	const struct supervisor *supervisor = control_data(connection);
	(void)request;
	(void)fds;
	(void)fd_count;
	control_done(
		connection, json_pack("{s:s, s:i, s:s, s:i, s:s}", "version", TENANTD_VERSION,
				    "schema", CONTROL_SCHEMA, "engine", "V8", "pid", (int)getpid(),
				    "tier", tier_name(supervisor->options->tier)));
}

static void list_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	const struct supervisor *supervisor = control_data(connection);
	(void)request;
	(void)fds;
	(void)fd_count;
	for (size_t i = 0; i < supervisor->tenant_count; i++)
		control_item(connection, tenant_describe(supervisor->tenants[i]));
	control_done(connection, NULL);
}

static void status_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	const struct tenant *tenant = verb_tenant(connection, request);
	(void)fds;
	(void)fd_count;
	if (tenant)
		control_done(connection, tenant_describe(tenant));
}

/* ---- start, stop, restart, remove ---- */

/* A request that waits for a tenant. */
struct pending {
	struct control_connection *connection;
	struct supervisor *supervisor;
	char name[CONTROL_NAME_MAX + 1];
};

static void pending_closed(void *data)
{
	struct pending *pending = data;
	struct tenant *tenant = supervisor_find(pending->supervisor, pending->name);
	if (tenant)
		tenant_forget_waiter(tenant, pending);
	free(pending);
}

static const struct control_hold pending_hold = {.closed = pending_closed};

static void pending_done(void *data, struct tenant *tenant, int result, const char *message)
{
	struct pending *pending = data;
	struct error error = {0};
	/* Who is told that it is done may rely on it, come kill -9 or a power cut. */
	operations_sync(pending->supervisor->operations);
	if (result == 0 && pending->supervisor->save_wanted &&
		supervisor_save(pending->supervisor, &error) < 0)
		control_fail(pending->connection, "not-durable", CONTROL_EXIT_FAILURE,
			"%s: done, but a restart of tenantd would not know it: %s", pending->name,
			error.message);
	else if (result < 0)
		control_fail(pending->connection, "failed", CONTROL_EXIT_FAILURE, "%s: %s",
			pending->name, message);
	else if (tenant->machine.state == TENANT_NEW)
		verb_done(pending->connection, NULL);
	else
		verb_done(pending->connection, tenant_describe(tenant));
	free(pending);
}

/* Puts EVENT to the tenant and answers when GOAL is reached. */
static void act(struct control_connection *connection, const json_t *request, struct tenant *tenant,
	enum tenant_event event, enum waiter_goal goal)
{
	struct pending *pending = malloc(sizeof *pending);
	if (pending == NULL) {
		control_fail(connection, "no-memory", CONTROL_EXIT_FAILURE, "out of memory");
		return;
	}
	pending->connection = connection;
	pending->supervisor = tenant->supervisor;
	snprintf(pending->name, sizeof pending->name, "%s", tenant->record.name);
	control_hold(connection, &pending_hold, pending, verb_wait_ms(request));
	int result = tenant_wait(tenant, goal, pending_done, pending);
	struct machine probe = tenant->machine;
	struct machine_step step;
	if (result == 0 && machine_step(&probe, event, &step) >= 0)
		verb_note_early(connection, tenant, tenant_event_name(event), request);
	if (result == 0)
		result = tenant_handle(tenant, event, "the operator");
	if (result == -EPERM) {
		tenant_forget_waiter(tenant, pending);
		control_fail(connection, "busy", CONTROL_EXIT_FAILURE,
			"%s is %s: %s is not possible", tenant->record.name,
			tenant_state_name(tenant->machine.state), tenant_event_name(event));
		free(pending);
	} else if (result < 0) {
		control_fail(connection, "no-memory", CONTROL_EXIT_FAILURE, "out of memory");
		free(pending);
	}
}

static bool serves(const struct tenant *tenant)
{
	return tenant_serves(tenant) && tenant->machine.state != TENANT_IDLE;
}

static bool is_deploying(struct control_connection *connection, const struct tenant *tenant)
{
	if (tenant->candidate == NULL)
		return false;
	control_fail(connection, "busy", CONTROL_EXIT_FAILURE, "a deployment of %s is under way",
		tenant->record.name);
	return true;
}

static void want_running(struct tenant *tenant, bool running)
{
	if (tenant->record.running != running)
		supervisor_changed(tenant->supervisor, CHANGED_RECORD);
	tenant->record.running = running;
}

static void start_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	struct tenant *tenant = verb_tenant(connection, request);
	(void)fds;
	(void)fd_count;
	if (tenant == NULL)
		return;
	if (serves(tenant)) { /* start of what runs is no error */
		verb_done(connection, tenant_describe(tenant));
		return;
	}
	want_running(tenant, true);
	act(connection, request, tenant, TENANT_EVENT_START, WAIT_UP);
}

static void stop_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	struct tenant *tenant = verb_tenant(connection, request);
	(void)fds;
	(void)fd_count;
	if (tenant == NULL)
		return;
	/* One that was never deployed has nothing to be stopped with: it goes. */
	if (tenant->record.release[0] == '\0') {
		act(connection, request, tenant, TENANT_EVENT_REMOVE, WAIT_GONE);
		return;
	}
	want_running(tenant, false);
	act(connection, request, tenant, TENANT_EVENT_STOP, WAIT_DOWN);
}

static void restart_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	struct tenant *tenant = verb_tenant(connection, request);
	(void)fds;
	(void)fd_count;
	if (tenant == NULL || is_deploying(connection, tenant))
		return;
	want_running(tenant, true);
	act(connection, request, tenant, TENANT_EVENT_RESTART, WAIT_UP);
}

/* Of what waits for the operator, or for its time, a start comes of it. */
static void reset_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	struct tenant *tenant = verb_tenant(connection, request);
	(void)fds;
	(void)fd_count;
	if (tenant == NULL)
		return;
	const enum tenant_state state = tenant->machine.state;
	if (state == TENANT_CRASHLOOP || state == TENANT_FAILED || state == TENANT_BACKOFF) {
		act(connection, request, tenant, TENANT_EVENT_RESET, WAIT_UP);
	} else if (tenant_handle(tenant, TENANT_EVENT_RESET, "the operator") < 0) {
		control_fail(connection, "busy", CONTROL_EXIT_FAILURE,
			"%s is %s: reset is not possible", tenant->record.name,
			tenant_state_name(state));
	} else {
		verb_note(connection, tenant, "reset", request);
		control_done(connection, tenant_describe(tenant));
	}
}

static void remove_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	struct tenant *tenant = verb_tenant(connection, request);
	(void)fds;
	(void)fd_count;
	if (tenant)
		act(connection, request, tenant, TENANT_EVENT_REMOVE, WAIT_GONE);
}

/* ---- logs ---- */

struct following {
	struct control_connection *connection;
	struct supervisor *supervisor;
	char name[CONTROL_NAME_MAX + 1];
};

static void send_entry(void *data, const struct log_entry *entry)
{
	char time[32];
	control_item(data, json_pack("{s:s, s:s, s:s}", "time", format_time(time, entry->time_us),
				   "stream", log_stream_name(entry->stream), "line", entry->line));
}

static void following_closed(void *data)
{
	struct following *following = data;
	struct tenant *tenant = supervisor_find(following->supervisor, following->name);
	if (tenant) {
		tenant_log_unfollow(tenant->log, following->connection);
		tenant_forget_waiter(tenant, following);
	}
	free(following);
}

static json_t *following_resume(const void *data)
{
	const struct following *following = data;
	return json_pack("{s:s, s:s, s:i, s:b}", "verb", "logs", "name", following->name, "lines",
		0, "follow", 1);
}

static const struct control_hold following_hold = {following_closed, NULL, following_resume};

/* The tenant is removed: nothing more can come. */
static void following_ended(void *data, struct tenant *tenant, int result, const char *message)
{
	struct following *following = data;
	(void)result;
	(void)message;
	tenant_log_unfollow(tenant->log, following->connection);
	control_done(following->connection, NULL);
	free(following);
}

static void follow(struct control_connection *connection, struct tenant *tenant)
{
	struct following *following = malloc(sizeof *following);
	if (following == NULL || tenant_log_follow(tenant->log, send_entry, connection) < 0 ||
		tenant_wait(tenant, WAIT_GONE, following_ended, following) < 0) {
		tenant_log_unfollow(tenant->log, connection);
		free(following);
		control_fail(connection, "busy", CONTROL_EXIT_FAILURE,
			"too many follow the log of %s", tenant->record.name);
		return;
	}
	following->connection = connection;
	following->supervisor = tenant->supervisor;
	snprintf(following->name, sizeof following->name, "%s", tenant->record.name);
	control_hold(connection, &following_hold, following, 0);
}

static void logs_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	struct tenant *tenant = verb_tenant(connection, request);
	const json_t *lines = json_object_get(request, "lines");
	(void)fds;
	(void)fd_count;
	if (tenant == NULL)
		return;
	json_int_t count = json_is_integer(lines) ? json_integer_value(lines) : LOG_LINES_DEFAULT;
	tenant_log_last(tenant->log, count < 0 ? 0 : (size_t)count, send_entry, connection);
	if (json_is_true(json_object_get(request, "follow")))
		follow(connection, tenant);
	else
		control_done(connection, NULL);
}

/* ---- check, shutdown ---- */

static void check_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	const char *text = json_string_value(json_object_get(request, "policy"));
	const char *file = json_string_value(json_object_get(request, "policy_file"));
	struct policy *policy = NULL;
	struct error error = {0};
	(void)fds;
	(void)fd_count;
	if (text == NULL)
		control_fail(
			connection, "invalid", CONTROL_EXIT_USAGE, "the request has no policy");
	else if (policy_parse(text, strlen(text), file ? file : "policy", &policy, &error) < 0)
		control_fail(
			connection, "invalid-policy", CONTROL_EXIT_FAILURE, "%s", error.message);
	else
		control_done(connection, NULL);
	policy_free(policy);
}

static void shutdown_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	struct supervisor *supervisor = control_data(connection);
	(void)request;
	(void)fds;
	(void)fd_count;
	control_done(connection, NULL);
	supervisor_stop(supervisor);
}

/* ---- the table ---- */

const struct control_verb verbs[] = {
	{"version", version_verb, 0, 0, true},
	{"list", list_verb, 0, 0, true},
	{"status", status_verb, 0, 0, true},
	{"deploy", deploy_verb, 1, 1, false},
	{"rollback", rollback_verb, 0, 0, false},
	{"promote", promote_verb, 0, 0, false},
	{"releases", releases_verb, 0, 0, true},
	{"diff", diff_verb, 0, 0, true},
	{"prune", prune_verb, 0, 0, false},
	{"history", history_verb, 0, 0, true},
	{"start", start_verb, 0, 0, false},
	{"stop", stop_verb, 0, 0, false},
	{"restart", restart_verb, 0, 0, false},
	{"reset", reset_verb, 0, 0, false},
	{"remove", remove_verb, 0, 0, false},
	{"logs", logs_verb, 0, 0, true},
	{"events", events_verb, 0, 0, true},
	{"audit", audit_verb, 0, 0, true},
	{"policy", policy_verb, 0, 0, true},
	{"doctor", doctor_verb, 0, 0, true},
	{"run", run_verb, 3, 5, false},
	{"inspect", inspect_verb, 1, 1, false},
	{"check", check_verb, 0, 0, true},
	{"daemon-reexec", reexec_verb, 0, 0, false},
	{"shutdown", shutdown_verb, 0, 0, true},
};
const size_t verbs_count = ARRAY_LENGTH(verbs);
