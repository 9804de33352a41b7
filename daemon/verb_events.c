/* The verb `events`: what happened to tenants, and what goes on happening. */
#include "common/control.h"
#include "daemon/supervisor.h"
#include "daemon/verbs.h"

#include <errno.h>
#include <string.h>

#define EVENTS_DEFAULT 100

struct watching {
	struct control_connection *connection;
	struct events *events;
	char name[CONTROL_NAME_MAX + 1]; /* "": all */
};

static void send_event(void *data, json_t *event)
{
	control_item(data, event);
}

static void watch_event(void *data, json_t *event)
{
	const struct watching *watching = data;
	control_item(watching->connection, event);
}

static void watching_closed(void *data)
{
	struct watching *watching = data;
	events_unfollow(watching->events, watching);
	free(watching);
}

static json_t *watching_resume(const void *data)
{
	const struct watching *watching = data;
	return json_pack("{s:s, s:o*, s:i, s:b, s:b}", "verb", "events", "name",
		watching->name[0] ? json_string(watching->name) : NULL, "lines", 0, "follow", 1,
		"resumed", 1);
}

static const struct control_hold watching_hold = {watching_closed, NULL, watching_resume};

static void watch(struct control_connection *connection, struct events *events, const char *name)
{
	struct watching *watching = calloc(1, sizeof *watching);
	if (watching)
		snprintf(watching->name, sizeof watching->name, "%s", name ? name : "");
	if (watching == NULL ||
		events_follow(events, name ? watching->name : NULL, watch_event, watching) < 0) {
		free(watching);
		control_fail(
			connection, "busy", CONTROL_EXIT_FAILURE, "too many follow the events");
		return;
	}
	watching->connection = connection;
	watching->events = events;
	control_hold(connection, &watching_hold, watching, 0);
}

/* A name without a tenant is no error: of one that was removed there may be events, and of one
 * that is yet to come there will be. */
void events_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	const struct supervisor *supervisor = control_data(connection);
	const char *name = json_string_value(json_object_get(request, "name"));
	const json_t *lines = json_object_get(request, "lines");
	json_int_t count = json_is_integer(lines) ? json_integer_value(lines) : EVENTS_DEFAULT;
	struct error error = {0};
	(void)fds;
	(void)fd_count;
	if (name && policy_check_name(name, &error) < 0) {
		control_fail(connection, "invalid", CONTROL_EXIT_USAGE, "%s", error.message);
		return;
	}
	events_last(
		supervisor->events, name, count < 0 ? 0 : (size_t)count, send_event, connection);
	if (json_is_true(json_object_get(request, "resumed")))
		events_fresh(supervisor->events, name, send_event, connection);
	if (json_is_true(json_object_get(request, "follow")))
		watch(connection, supervisor->events, name);
	else
		control_done(connection, NULL);
}
