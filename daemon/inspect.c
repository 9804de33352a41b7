#include "daemon/inspect.h"

#include "common/control.h"
#include "common/log.h"
#include "common/message.h"
#include "daemon/fleet.h"
#include "daemon/tenant.h"
#include "daemon/verbs.h"

#include <stdlib.h>

struct inspection {
	struct instance *instance;
	struct control_connection *connection; /* NULL: the client is gone */
};

static void let_go(struct inspection *inspection)
{
	log_info("event=inspect-end tenant=%s instance=%u", inspection->instance->tenant,
		inspection->instance->id);
	inspection->instance->inspection = NULL;
	free(inspection);
}

static void client_gone(void *data)
{
	let_go(data);
}

static const struct control_hold inspection_hold = {.closed = client_gone};

struct inspection *inspection_end(struct inspection *inspection, const char *reason)
{
	if (inspection == NULL)
		return NULL;
	struct control_connection *connection = inspection->connection;
	let_go(inspection);
	control_done(connection, json_pack("{s:s}", "reason", reason));
	return NULL;
}

/* The first that serves. */
static struct instance *serving(const struct tenant *tenant)
{
	const struct fleet *fleet = tenant->active;
	for (size_t i = 0; fleet && i < fleet->member_count; i++)
		if (fleet->members[i].role == FLEET_SERVING)
			return fleet->members[i].instance;
	return NULL;
}

static int begin(struct instance *instance, struct control_connection *connection, int fd,
	struct error *error)
{
	const struct message_header message = {.type = MESSAGE_INSPECT, .instance = instance->id};
	struct inspection *inspection = calloc(1, sizeof *inspection);
	if (inspection == NULL)
		return error_set(error, ENOMEM, "no memory for a debugger");
	int result = message_send(instance->channel, &message, sizeof message, &fd, 1);
	if (result < 0) {
		free(inspection);
		return error_errno(error, result, "cannot reach the worker");
	}
	*inspection = (struct inspection){.instance = instance, .connection = connection};
	instance->inspection = inspection;
	log_info("event=inspect tenant=%s instance=%u", instance->tenant, instance->id);
	return 0;
}

void inspect_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	struct tenant *tenant = verb_tenant(connection, request);
	struct error error = {0};
	(void)fd_count;
	if (tenant == NULL)
		return;
	struct instance *instance = serving(tenant);
	if (instance == NULL) {
		control_fail(connection, "not-running", CONTROL_EXIT_NOT_RUNNING,
			"no instance of %s serves: there is nothing to inspect",
			tenant->record.name);
		return;
	}
	if (instance->inspection) {
		control_fail(connection, "busy", CONTROL_EXIT_FAILURE,
			"another tenantctl inspects %s", tenant->record.name);
		return;
	}
	if (begin(instance, connection, fds[0], &error) < 0) {
		control_fail(connection, "failed", CONTROL_EXIT_FAILURE, "%s", error.message);
		return;
	}
	verb_note(connection, tenant, "inspect", request);
	control_hold(connection, &inspection_hold, instance->inspection, 0);
	control_item(connection,
		json_pack("{s:i, s:s}", "pid", (int)instance->pid, "release", instance->release));
}
