/* The verbs about releases that are there already: releases, promote, diff, prune; and what
 * operators did: history. */
#include "common/cleanup.h"
#include "common/control.h"
#include "daemon/deploying.h"
#include "daemon/history.h"
#include "daemon/operations.h"
#include "daemon/supervisor.h"
#include "daemon/verbs.h"

#include <errno.h>
#include <string.h>

#define HISTORY_LINES_DEFAULT 100

void verb_note_early(struct control_connection *connection, const struct tenant *tenant,
	const char *action, const json_t *request)
{
	struct supervisor *supervisor = control_data(connection);
	struct who who;
	control_who(connection, &who);
	operations_note(supervisor->operations,
		&(struct operation){
			.action = action,
			.tenant = tenant->record.name,
			.by = &who,
			.from = tenant->record.release,
			.to = strcmp(action, "remove") == 0 ? "" : tenant->record.release,
			.result = "ok",
			.message = json_string_value(json_object_get(request, "message")),
			.early = true,
		});
}

void verb_note(struct control_connection *connection, const struct tenant *tenant,
	const char *action, const json_t *request)
{
	const struct supervisor *supervisor = control_data(connection);
	verb_note_early(connection, tenant, action, request);
	operations_sync(supervisor->operations);
}

void releases_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	const struct supervisor *supervisor = control_data(connection);
	const struct tenant *tenant = verb_tenant(connection, request);
	json_t *record;
	size_t i;
	(void)fds;
	(void)fd_count;
	if (tenant == NULL)
		return;
	json_t *list =
		history_releases(supervisor->history, tenant->record.name, tenant->record.release);
	json_array_foreach(list, i, record) control_item(connection, json_incref(record));
	json_decref(list);
	control_done(connection, NULL);
}

/* ---- promote ---- */

struct promotion {
	struct control_connection *connection; /* NULL: the client is gone */
	struct supervisor *supervisor;
	struct who who;
	char name[CONTROL_NAME_MAX + 1];
	char from[STORE_ID_SIZE], to[STORE_ID_SIZE];
	char message[OPERATIONS_MESSAGE_MAX];
};

static void promotion_closed(void *data)
{
	struct promotion *promotion = data;
	promotion->connection = NULL;
}

static const struct control_hold promotion_hold = {.closed = promotion_closed};

static void promoted(void *data, struct tenant *tenant, int result, const char *message)
{
	struct promotion *promotion = data;
	operations_note(
		promotion->supervisor->operations, &(struct operation){
							   .action = "promote",
							   .tenant = promotion->name,
							   .by = &promotion->who,
							   .from = promotion->from,
							   .to = promotion->to,
							   .result = result < 0 ? "failed" : "ok",
							   .message = promotion->message,
							   .detail = result < 0 ? message : NULL,
						   });
	if (promotion->connection && result < 0)
		control_fail(promotion->connection, "failed", CONTROL_EXIT_FAILURE, "%s: %s",
			promotion->name, message);
	else if (promotion->connection)
		verb_done(promotion->connection, tenant_describe(tenant));
	free(promotion);
}

void promote_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	struct tenant *tenant = verb_tenant(connection, request);
	const char *message = json_string_value(json_object_get(request, "message"));
	struct error error = {0};
	(void)fds;
	(void)fd_count;
	if (tenant == NULL)
		return;
	if (tenant->candidate == NULL) {
		control_fail(connection, "no-canary", CONTROL_EXIT_FAILURE,
			"%s has no canary to promote", tenant->record.name);
		return;
	}
	struct promotion *promotion = calloc(1, sizeof *promotion);
	if (promotion == NULL || tenant_wait(tenant, WAIT_UP, promoted, promotion) < 0) {
		free(promotion);
		control_fail(connection, "no-memory", CONTROL_EXIT_FAILURE, "out of memory");
		return;
	}
	promotion->connection = connection;
	promotion->supervisor = tenant->supervisor;
	control_who(connection, &promotion->who);
	snprintf(promotion->name, sizeof promotion->name, "%s", tenant->record.name);
	snprintf(promotion->from, sizeof promotion->from, "%.*s", STORE_ID_LENGTH,
		tenant->record.release);
	snprintf(promotion->to, sizeof promotion->to, "%s", tenant->candidate->program->release);
	snprintf(promotion->message, sizeof promotion->message, "%s", message ? message : "");
	control_hold(connection, &promotion_hold, promotion, verb_wait_ms(request));
	if (tenant_promote(tenant, "promoted by the operator", &error) == 0)
		return;
	tenant_forget_waiter(tenant, promotion);
	control_fail(connection, "busy", CONTROL_EXIT_FAILURE, "%s", error.message);
	free(promotion);
}

/* ---- diff ---- */

static int find_release(const struct tenant *tenant, const json_t *request, const char *key,
	const char *otherwise, char ret_release[STORE_ID_SIZE], struct error *error)
{
	const char *text = json_string_value(json_object_get(request, key));
	return history_find(tenant->supervisor->history, tenant->record.name,
		tenant->record.release, text ? text : otherwise, ret_release, error);
}

/* Hands both folders over: who compares megabytes of what tenants wrote is the client. */
void diff_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	const struct tenant *tenant = verb_tenant(connection, request);
	char a[STORE_ID_SIZE], b[STORE_ID_SIZE];
	cleanup_close int first = -1, second = -1;
	struct error error = {0};
	(void)fds;
	(void)fd_count;
	if (tenant == NULL)
		return;
	struct store *store = tenant->supervisor->store;
	int result = find_release(tenant, request, "a", "previous", a, &error);
	if (result == 0)
		result = find_release(tenant, request, "b", "active", b, &error);
	if (result == 0) {
		first = store_release_open(store, a, &error);
		second = first < 0 ? -1 : store_release_open(store, b, &error);
		result = second < 0 ? -error.code : 0;
	}
	if (result < 0) {
		/* diff(1): 1 means that they differ. */
		control_fail(connection, "no-release", CONTROL_EXIT_USAGE, "%s: %s",
			tenant->record.name, error.message);
		return;
	}
	const int folders[] = {first, second};
	control_done_with(connection, json_pack("{s:s, s:s}", "a", a, "b", b), folders, 2);
}

/* ---- prune ---- */

void prune_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	struct tenant *tenant = verb_tenant(connection, request);
	const json_t *keep = json_object_get(request, "keep");
	const char (*ids)[STORE_ID_SIZE];
	struct error error = {0};
	int result = 0;
	(void)fds;
	(void)fd_count;
	if (tenant == NULL)
		return;
	struct history *history = tenant->supervisor->history;
	const char *name = tenant->record.name, *active = tenant->record.release;
	json_int_t number = json_integer_value(keep);
	if (keep && (!json_is_integer(keep) || number < 1 || number > HISTORY_KEEP_MAX)) {
		control_fail(connection, "invalid", CONTROL_EXIT_USAGE,
			"keep: a number from 1 to %d", HISTORY_KEEP_MAX);
		return;
	}
	const ssize_t before = history_kept(history, name, active, &ids);
	result = history_set_keep(history, name, active, keep ? (uint32_t)number : 0, &error);
	if (result < 0) {
		control_fail(connection, "failed", CONTROL_EXIT_FAILURE, "%s", error.message);
		return;
	}
	const ssize_t after = history_kept(history, name, active, &ids);
	if (before < 0 || after < 0) {
		control_fail(connection, "failed", CONTROL_EXIT_FAILURE,
			"cannot read which releases of %s are kept: %s", name,
			strerror((int)-(before < 0 ? before : after)));
		return;
	}
	verb_note(connection, tenant, "prune", request);
	supervisor_changed(tenant->supervisor, CHANGED_RELEASES);
	control_done(connection, json_pack("{s:s, s:I, s:I}", "name", name, "removed",
					 (json_int_t)(before - after), "kept", (json_int_t)after));
}

/* ---- history ---- */

static void send_operation(void *data, json_t *object)
{
	control_item(data, json_incref(object));
}

/* A name without a tenant is no error: it may have been removed. */
void history_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	const struct supervisor *supervisor = control_data(connection);
	const char *name = json_string_value(json_object_get(request, "name"));
	const json_t *lines = json_object_get(request, "lines");
	json_int_t count =
		json_is_integer(lines) ? json_integer_value(lines) : HISTORY_LINES_DEFAULT;
	struct error error = {0};
	(void)fds;
	(void)fd_count;
	if (name && policy_check_name(name, &error) < 0) {
		control_fail(connection, "invalid", CONTROL_EXIT_USAGE, "%s", error.message);
		return;
	}
	operations_last(supervisor->operations, name, count < 0 ? 0 : (size_t)count, send_operation,
		connection);
	control_done(connection, NULL);
}
