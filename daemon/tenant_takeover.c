#include "daemon/tenant_takeover.h"

#include "common/cleanup.h"
#include "daemon/fleet_takeover.h"
#include "daemon/ingress.h"
#include "daemon/supervisor.h"
#include "daemon/tenant_private.h"
#include "daemon/tenant_sites.h"

#include <errno.h>
#include <string.h>

const char *tenant_obstacle(const struct tenant *tenant)
{
	const char *obstacle = NULL;
	switch (tenant->machine.state) {
	case TENANT_CANARY:
		return "its canary waits to be promoted or rolled back";
	case TENANT_REPLACING:
	case TENANT_PROVING:
		return "a release or a policy is being tried";
	case TENANT_NEW:
	case TENANT_STARTING:
		return "it starts";
	case TENANT_STOPPING:
	case TENANT_CYCLING:
	case TENANT_REMOVING:
		return "it drains";
	default:
		break;
	}
	if (tenant->candidate || tenant->next || tenant->split)
		return "a release or a policy is being tried";
	for (const struct fleet *fleet = tenant->draining; fleet && !obstacle; fleet = fleet->after)
		obstacle = fleet_obstacle(fleet);
	return obstacle ? obstacle : fleet_obstacle(tenant->active);
}

/* ---- packing ---- */

static json_t *pack_listeners(const struct listeners *listeners, struct takeover *takeover)
{
	json_t *list = json_array();
	for (size_t i = 0; i < listeners->count; i++) {
		const struct listener *listener = &listeners->items[i];
		json_array_append_new(
			list, json_pack("{s:o, s:b, s:o, s:o, s:o, s:o, s:i}", "fd",
				      takeover_put_fd(takeover, listener->fd), "lent",
				      listener->lent, "name", takeover_text(listener->name), "spec",
				      takeover_text(listener->spec), "address",
				      takeover_text(listener->address), "url",
				      takeover_text(listener->url), "port", (int)listener->port));
	}
	return list;
}

/* With its policy as it is in force, which the file may not be any more. */
static json_t *pack_program(const struct program *program, struct takeover *takeover)
{
	if (program == NULL)
		return json_null();
	cleanup_free char *policy = policy_print(program->policy);
	return json_pack("{s:s, s:s?, s:o, s:s?, s:o}", "release", program->release, "policy",
		policy, "policy_file", takeover_text(program->policy_file), "signature",
		program->signature, "listeners", pack_listeners(&program->listeners, takeover));
}

static json_t *pack_fallback(const struct tenant *tenant, struct takeover *takeover)
{
	const struct fallback_view view = tenant_view_fallback(tenant);
	if (view.program == NULL)
		return json_null();
	return json_pack("{s:o, s:s?, s:b, s:I}", "program", pack_program(view.program, takeover),
		"policy_text", view.policy_text, "policy_remove", view.policy_remove, "until_us",
		(json_int_t)view.until_us);
}

static json_t *pack_end(const struct instance_end *end)
{
	if (end == NULL)
		return json_null();
	return json_pack("{s:s, s:i, s:i, s:I, s:o}", "reason", end_reason_name(end->reason),
		"exit_code", end->exit_code, "signal", end->signal, "time_us",
		(json_int_t)end->time_us, "message", takeover_text(end->message));
}

static json_t *pack_numbers(const struct tenant *tenant)
{
	uint64_t timer_us = 0;
	if (tenant->timer)
		sd_event_source_get_time(tenant->timer, &timer_us);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "timer_us", (json_int_t)timer_us,
		"backoff_ms", (json_int_t)tenant->backoff_ms, "trial_until_ms",
		(json_int_t)tenant->trial_until_ms, "since_us", (json_int_t)tenant->since_us,
		"ready_us", (json_int_t)tenant->ready_us, "restarts", (json_int_t)tenant->restarts);
}

json_t *tenant_pack(const struct tenant *tenant, struct takeover *takeover)
{
	json_t *draining = json_array();
	for (const struct fleet *fleet = tenant->draining; fleet; fleet = fleet->after)
		json_array_append_new(draining, fleet_pack(fleet, takeover));
	json_t *active = tenant->active ? fleet_pack(tenant->active, takeover) : json_null();
	json_t *packed = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"name", tenant->record.name, "state", tenant_state_name(tenant->machine.state),
		"back", tenant_state_name(tenant->machine.back), "program",
		pack_program(tenant->program, takeover), "active", active, "draining", draining,
		"fallback", pack_fallback(tenant, takeover), "numbers", pack_numbers(tenant),
		"backoff", backoff_pack(&tenant->backoff), "reason", takeover_text(tenant->reason),
		"last_end", pack_end(tenant->last_end), "deaths", deaths_pack(tenant->deaths));
	json_t *certificates = ingress_pack_certificates(
		tenant->supervisor->ingress, tenant->record.name, takeover);
	if (json_object_set_new(packed, "certificates", certificates) < 0)
		takeover->failed = true;
	if (packed && tenant->start_error)
		json_object_set_new(packed, "start_error", takeover_text(tenant->start_error));
	return packed;
}

/* ---- adopting ---- */

static int take_listeners(struct listeners *listeners, const json_t *packed,
	struct takeover *takeover, struct error *error)
{
	const json_t *from;
	size_t i;
	json_array_foreach(packed, i, from)
	{
		struct listener *listener = listeners_reserve(listeners);
		if (listener == NULL)
			return error_set(error, ENOMEM, "no memory for listeners");
		listener->fd = takeover_take_fd(takeover, json_object_get(from, "fd"));
		if (listener->fd < 0)
			return error_set(error, EBADF, "the listener %s was not handed over",
				takeover_string(from, "address"));
		listener->lent = takeover_flag(from, "lent");
		listener->port = (uint16_t)takeover_number(from, "port");
		snprintf(
			listener->name, sizeof listener->name, "%s", takeover_string(from, "name"));
		snprintf(
			listener->spec, sizeof listener->spec, "%s", takeover_string(from, "spec"));
		snprintf(listener->address, sizeof listener->address, "%s",
			takeover_string(from, "address"));
		snprintf(listener->url, sizeof listener->url, "%s", takeover_string(from, "url"));
		listeners->count++;
	}
	return 0;
}

static int take_program(struct tenant *tenant, const json_t *packed, struct takeover *takeover,
	struct program **ret_program, struct error *error)
{
	const char *text = takeover_string(packed, "policy");
	const char *file = takeover_string(packed, "policy_file");
	const json_t *signature = json_object_get(packed, "signature");
	struct policy *policy;
	struct program *program;
	int result = policy_parse(text, strlen(text), file, &policy, error);
	if (result == 0)
		result = program_new(tenant->supervisor->store, takeover_string(packed, "release"),
			policy, file, &program, error);
	if (result < 0)
		return result;
	if (json_is_string(signature))
		program->signature = strdup(json_string_value(signature));
	result = take_listeners(
		&program->listeners, json_object_get(packed, "listeners"), takeover, error);
	if (result < 0) {
		program_free(program, NULL);
		return result;
	}
	*ret_program = program;
	return 0;
}

static int take_fallback(
	struct tenant *tenant, const json_t *packed, struct takeover *takeover, struct error *error)
{
	struct program *program;
	const struct fallback_view view = {
		.policy_text = json_string_value(json_object_get(packed, "policy_text")),
		.policy_remove = takeover_flag(packed, "policy_remove"),
		.until_us = takeover_number(packed, "until_us"),
	};
	if (!json_is_object(packed))
		return 0;
	int result =
		take_program(tenant, json_object_get(packed, "program"), takeover, &program, error);
	if (result == 0 && tenant_restore_fallback(tenant, program, &view) < 0)
		result = error_set(error, ENOMEM, "no memory for the release before");
	return result;
}

static enum tenant_state find_state(const char *name, enum tenant_state otherwise)
{
	for (int state = 0; state < TENANT_STATE_COUNT; state++)
		if (strcmp(tenant_state_name((enum tenant_state)state), name) == 0)
			return (enum tenant_state)state;
	return otherwise;
}

static void take_last_end(struct tenant *tenant, const json_t *packed)
{
	if (!json_is_object(packed) || !(tenant->last_end = calloc(1, sizeof *tenant->last_end)))
		return;
	struct instance_end *end = tenant->last_end;
	end->reason = end_reason_find(takeover_string(packed, "reason"));
	end->exit_code = (int)(int64_t)takeover_number(packed, "exit_code");
	end->signal = (int)takeover_number(packed, "signal");
	end->time_us = takeover_number(packed, "time_us");
	snprintf(end->message, sizeof end->message, "%s", takeover_string(packed, "message"));
}

static void take_history(struct tenant *tenant, const json_t *packed)
{
	const json_t *numbers = json_object_get(packed, "numbers");
	const char *start_error = json_string_value(json_object_get(packed, "start_error"));
	tenant->machine.state = find_state(takeover_string(packed, "state"), TENANT_STOPPED);
	tenant->machine.back = find_state(takeover_string(packed, "back"), TENANT_STOPPED);
	tenant->backoff_ms = (uint32_t)takeover_number(numbers, "backoff_ms");
	tenant->trial_until_ms = takeover_number(numbers, "trial_until_ms");
	tenant->since_us = takeover_number(numbers, "since_us");
	tenant->ready_us = takeover_number(numbers, "ready_us");
	tenant->restarts = (uint32_t)takeover_number(numbers, "restarts");
	backoff_restore(&tenant->backoff, json_object_get(packed, "backoff"));
	snprintf(tenant->reason, sizeof tenant->reason, "%s", takeover_string(packed, "reason"));
	tenant->start_error = start_error ? strdup(start_error) : NULL;
	take_last_end(tenant, json_object_get(packed, "last_end"));
	deaths_restore(&tenant->deaths, json_object_get(packed, "deaths"));
}

static int take_fleet(struct tenant *tenant, const json_t *packed, struct program *program,
	struct takeover *takeover, struct fleet **ret_fleet, struct error *error)
{
	const struct fleet_options options = tenant_fleet_options(tenant, program);
	cleanup_close int release = store_release_open(
		tenant->supervisor->store, takeover_string(packed, "release"), error);
	return release < 0 ? release
			   : fleet_adopt(&options, packed, release, takeover, ret_fleet, error);
}

/* The last one first, as it stands in the list. */
static int take_draining(
	struct tenant *tenant, const json_t *packed, struct takeover *takeover, struct error *error)
{
	struct fleet **place = &tenant->draining;
	const json_t *from;
	size_t i;
	json_array_foreach(packed, i, from)
	{
		int result = take_fleet(tenant, from, NULL, takeover, place, error);
		if (result < 0)
			return result;
		place = &(*place)->after;
	}
	return 0;
}

static int take_parts(
	struct tenant *tenant, const json_t *packed, struct takeover *takeover, struct error *error)
{
	const json_t *program = json_object_get(packed, "program");
	const json_t *active = json_object_get(packed, "active");
	int result = 0;
	if (json_is_object(program))
		result = take_program(tenant, program, takeover, &tenant->program, error);
	ingress_restore_certificates(tenant->supervisor->ingress, tenant->record.name,
		json_object_get(packed, "certificates"), takeover);
	if (result == 0) /* before its instances join in */
		tenant_sites_take(tenant);
	if (result == 0)
		result =
			take_fallback(tenant, json_object_get(packed, "fallback"), takeover, error);
	if (result == 0 && json_is_object(active))
		result = tenant->program ? take_fleet(tenant, active, tenant->program, takeover,
						   &tenant->active, error)
					 : error_set(error, EINVAL, "its policy is missing");
	if (result == 0)
		result =
			take_draining(tenant, json_object_get(packed, "draining"), takeover, error);
	if (result == 0 && tenant->machine.state == TENANT_IDLE)
		result = tenant->program ? tenant_watch_listeners(tenant, error)
					 : error_set(error, EINVAL, "its policy is missing");
	return result;
}

static void make_fresh(struct tenant *tenant)
{
	while (tenant->draining) {
		struct fleet *fleet = tenant->draining;
		tenant->draining = fleet->after;
		fleet_free(fleet);
	}
	tenant->active = fleet_free(tenant->active);
	tenant_unwatch_listeners(tenant);
	tenant_drop_fallback(tenant);
	tenant->program = program_free(tenant->program, NULL);
	tenant->machine = (struct machine){.state = TENANT_STOPPED};
}

int tenant_adopt(
	struct tenant *tenant, const json_t *packed, struct takeover *takeover, struct error *error)
{
	const json_t *numbers = json_object_get(packed, "numbers");
	take_history(tenant, packed);
	int result = take_parts(tenant, packed, takeover, error);
	if (result < 0) {
		make_fresh(tenant);
		tenant_abandon(tenant->supervisor, packed, takeover);
		return result;
	}
	if (tenant->machine.state == TENANT_BACKOFF)
		tenant_resume_backoff(tenant, takeover_number(numbers, "timer_us") / 1000);
	if (tenant->program == NULL)
		tenant_load(tenant);
	tenant_sites_state(tenant);
	tenant_review_schedules(tenant);
	return 0;
}

void tenant_abandon(struct supervisor *supervisor, const json_t *packed, struct takeover *takeover)
{
	const json_t *fleet;
	size_t i;
	fleet_abandon(supervisor, json_object_get(packed, "active"), takeover);
	json_array_foreach(json_object_get(packed, "draining"), i, fleet)
	{
		fleet_abandon(supervisor, fleet, takeover);
	}
}
