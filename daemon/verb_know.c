/* The verbs that tell what is allowed and what was decided: audit, policy, doctor. They
 * change nothing. */
#include "common/cleanup.h"
#include "common/control.h"
#include "daemon/program.h"
#include "daemon/supervisor.h"
#include "daemon/verbs.h"
#include "sandbox/probe.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define AUDIT_LINES_DEFAULT 100

/* ---- audit ---- */

struct watching {
	struct control_connection *connection;
	struct audit *audit;
	char name[CONTROL_NAME_MAX + 1]; /* "": all */
	bool denied_only;
};

static void send_line(struct control_connection *connection, const char *line, size_t length)
{
	json_t *item = json_loadb(line, length, 0, NULL);
	if (item) /* a line that was cut in two by a full disk is none */
		control_item(connection, item);
}

static void answer_line(void *data, const char *line, size_t length)
{
	send_line(data, line, length);
}

static void watch_line(void *data, const char *line, size_t length)
{
	const struct watching *watching = data;
	send_line(watching->connection, line, length);
}

static void watching_closed(void *data)
{
	struct watching *watching = data;
	audit_unfollow(watching->audit, watching);
	free(watching);
}

static json_t *watching_resume(const void *data)
{
	const struct watching *watching = data;
	return json_pack("{s:s, s:o*, s:i, s:b, s:b}", "verb", "audit", "name",
		watching->name[0] ? json_string(watching->name) : NULL, "lines", 0, "follow", 1,
		"denied", watching->denied_only);
}

static const struct control_hold watching_hold = {watching_closed, NULL, watching_resume};

static void watch(
	struct control_connection *connection, struct audit *audit, const struct audit_query *query)
{
	struct watching *watching = calloc(1, sizeof *watching);
	struct audit_query copy = *query;
	if (watching && query->tenant) {
		snprintf(watching->name, sizeof watching->name, "%s", query->tenant);
		copy.tenant = watching->name;
	}
	if (watching == NULL || audit_follow(audit, &copy, watch_line, watching) < 0) {
		free(watching);
		control_fail(
			connection, "busy", CONTROL_EXIT_FAILURE, "too many follow the audit log");
		return;
	}
	watching->connection = connection;
	watching->audit = audit;
	watching->denied_only = query->denied_only;
	control_hold(connection, &watching_hold, watching, 0);
}

/* A name without a tenant is no error: of one that was removed, or of a run, there may be
 * records all the same. */
void audit_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	const struct supervisor *supervisor = control_data(connection);
	const json_t *lines = json_object_get(request, "lines");
	json_int_t count = json_is_integer(lines) ? json_integer_value(lines) : AUDIT_LINES_DEFAULT;
	struct error error = {0};
	struct audit_query query = {
		.tenant = json_string_value(json_object_get(request, "name")),
		.denied_only = json_is_true(json_object_get(request, "denied")),
		.lines = count < 0 ? 0 : (size_t)count,
	};
	(void)fds;
	(void)fd_count;
	if (query.tenant && policy_check_name(query.tenant, &error) < 0) {
		control_fail(connection, "invalid", CONTROL_EXIT_USAGE, "%s", error.message);
		return;
	}
	bool whole = audit_last(supervisor->audit, &query, answer_line, connection);
	if (json_is_true(json_object_get(request, "follow")))
		watch(connection, supervisor->audit, &query);
	else
		control_done(connection, json_pack("{s:b}", "cut", !whole));
}

/* ---- policy ---- */

/* Where workers find RELEASE (a folder; -1: there is none yet), and below which folder all
 * releases are. */
static void put_places(json_t *answer, const struct supervisor *supervisor, int release)
{
	char link[32], path[PATH_MAX] = "/app";
	char *slash = path;
	json_object_set_new(answer, "tier", json_string(tier_name(supervisor->options->tier)));
	if (supervisor->options->tier == TIER_CONTAINER) {
		snprintf(link, sizeof link, "/proc/self/fd/%d", release);
		ssize_t length = release < 0 ? -1 : readlink(link, path, sizeof path - 1);
		path[length < 0 ? 0 : length] = '\0';
		slash = strrchr(path, '/');
	}
	json_object_set_new(answer, "release", json_string(path));
	if (slash && slash > path)
		*slash = '\0';
	json_object_set_new(answer, "releases", json_string(path));
}

/* Which one a tenant has, or would have if it were deployed now. */
void policy_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	const struct supervisor *supervisor = control_data(connection);
	const char *name = json_string_value(json_object_get(request, "name"));
	const struct tenant *tenant;
	struct policy *policy = NULL;
	struct error error = {0};
	char file[256];
	(void)fds;
	(void)fd_count;
	if (name == NULL || policy_check_name(name, &error) < 0) {
		control_fail(connection, "invalid", CONTROL_EXIT_USAGE, "%s",
			name ? error.message : "the request has no name");
		return;
	}
	tenant = supervisor_find(supervisor, name);
	if (tenant == NULL) {
		control_fail(connection, "unknown-tenant", CONTROL_EXIT_UNKNOWN,
			"there is no tenant %s", name);
		return;
	}
	const struct policy *used = tenant->program ? tenant->program->policy : NULL;
	if (used) {
		snprintf(file, sizeof file, "%s", tenant->program->policy_file);
	} else if (program_policy(supervisor->policy_fd, name, &policy, file, &error) < 0) {
		control_fail(
			connection, "invalid-policy", CONTROL_EXIT_FAILURE, "%s", error.message);
		return;
	}
	cleanup_free char *text = policy_print(used ? used : policy);
	policy_free(policy);
	if (text == NULL) {
		control_fail(connection, "no-memory", CONTROL_EXIT_FAILURE, "out of memory");
		return;
	}
	json_t *answer = json_pack("{s:s, s:s}", "policy", text, "file", file);
	put_places(answer, supervisor, tenant->program ? tenant->program->release_fd : -1);
	control_done(connection, answer);
}

/* ---- doctor ---- */

static bool are_limits_missing(const struct cgroup_host *host)
{
	bool some = false;
	for (int i = 0; i < CGROUP_CONTROLLERS_NEEDED; i++)
		some |= cgroup_host_missing(host, (enum cgroup_controller)i);
	return some;
}

void doctor_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	const struct supervisor *supervisor = control_data(connection);
	static struct probe_report report;
	char cgroups[512];
	(void)request;
	(void)fds;
	(void)fd_count;
	cgroup_host_describe(supervisor->cgroups, cgroups, sizeof cgroups);
	probe_run(
		&(struct probe_options){
			.state_folder = supervisor->options->state_folder,
			.uid_base = supervisor->options->uid_base,
			.uid_count = supervisor->options->uid_count,
			.cgroups = cgroups,
			.limits_missing = are_limits_missing(supervisor->cgroups),
		},
		&report);
	json_t *items = json_array();
	for (size_t i = 0; i < report.count; i++) {
		const struct probe_item *item = &report.items[i];
		json_array_append_new(
			items, json_pack("{s:s, s:s, s:s, s:s, s:s}", "group", item->group, "name",
				       item->name, "state", probe_state_name(item->state), "value",
				       item->value, "cost", item->cost));
	}
	control_done(connection,
		json_pack("{s:s, s:s, s:o}", "tier", tier_name(supervisor->options->tier),
			"possible", tier_name(probe_tier(&report)), "items", items));
}
