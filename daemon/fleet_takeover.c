#include "daemon/fleet_takeover.h"

#include "common/clock.h"
#include "daemon/fleet_private.h"
#include "daemon/instance_takeover.h"
#include "daemon/supervisor.h"

#include <errno.h>
#include <string.h>

const char *fleet_obstacle(const struct fleet *fleet)
{
	for (uint32_t i = 0; fleet && i < fleet->count; i++)
		if (fleet->slots[i].waits)
			return "a worker is yet to start";
	for (size_t i = 0; fleet && i < fleet->member_count; i++) {
		const char *obstacle = instance_obstacle(fleet->members[i].instance);
		if (obstacle)
			return obstacle;
		if (fleet->members[i].role == FLEET_STARTING)
			return "a worker is not ready yet";
	}
	return NULL;
}

/* ---- failures ---- */

json_t *backoff_pack(const struct backoff *backoff)
{
	json_t *times = json_array();
	for (size_t i = 0; backoff->failures && i < BACKOFF_FAILURES_MAX; i++)
		json_array_append_new(times, json_integer((json_int_t)backoff->times_ms[i]));
	return json_pack(
		"{s:I, s:o}", "failures", (json_int_t)backoff->failures, "times_ms", times);
}

void backoff_restore(struct backoff *backoff, const json_t *packed)
{
	const json_t *times = json_object_get(packed, "times_ms");
	backoff->failures = (uint32_t)takeover_number(packed, "failures");
	for (size_t i = 0; i < BACKOFF_FAILURES_MAX; i++)
		backoff->times_ms[i] = (uint64_t)json_integer_value(json_array_get(times, i));
}

/* ---- packing ---- */

static json_t *pack_slot(const struct fleet_slot *slot)
{
	uint64_t due_us = 0;
	if (slot->timer)
		sd_event_source_get_time(slot->timer, &due_us);
	return json_pack("{s:o, s:I, s:I, s:I, s:b, s:b}", "backoff", backoff_pack(&slot->backoff),
		"due_us", (json_int_t)due_us, "delay_ms", (json_int_t)slot->delay_ms,
		"replace_after_ms", (json_int_t)slot->replace_after_ms, "tried", slot->tried,
		"done", slot->done);
}

json_t *fleet_pack(const struct fleet *fleet, struct takeover *takeover)
{
	json_t *slots = json_array(), *members = json_array();
	for (uint32_t i = 0; i < fleet->count; i++)
		json_array_append_new(slots, pack_slot(&fleet->slots[i]));
	for (size_t i = 0; i < fleet->member_count; i++) {
		const struct fleet_member *member = &fleet->members[i];
		json_array_append_new(
			members, json_pack("{s:I, s:b, s:I, s:o}", "slot", (json_int_t)member->slot,
					 "serves", member->role == FLEET_SERVING, "requests",
					 (json_int_t)member->requests, "instance",
					 instance_pack(member->instance, takeover)));
	}
	return json_pack("{s:s, s:o, s:o, s:b, s:b, s:b, s:I, s:I, s:I}", "release", fleet->release,
		"slots", slots, "members", members, "ready", fleet->ready, "resilient",
		fleet->resilient, "strict", fleet->options.strict, "restarts",
		(json_int_t)fleet->restarts, "grace_ms", (json_int_t)fleet->grace_ms, "busy_ms",
		(json_int_t)fleet->busy_ms);
}

/* ---- adopting ---- */

static void take_slot(struct fleet_slot *slot, const json_t *packed)
{
	const uint64_t due_ms = takeover_number(packed, "due_us") / 1000, now_ms = clock_ms();
	backoff_restore(&slot->backoff, json_object_get(packed, "backoff"));
	slot->replace_after_ms = takeover_number(packed, "replace_after_ms");
	slot->tried = takeover_flag(packed, "tried");
	slot->done = takeover_flag(packed, "done");
	if (due_ms == 0 || slot->fleet->program == NULL)
		return;
	fleet_start_at(slot, due_ms > now_ms ? (uint32_t)(due_ms - now_ms) : 0);
	slot->delay_ms = (uint32_t)takeover_number(packed, "delay_ms");
}

static int take_member(struct fleet *fleet, const json_t *packed, int release_fd,
	struct takeover *takeover, struct error *error)
{
	struct fleet_member *member = &fleet->members[fleet->member_count];
	const struct instance_spec spec = {
		.tenant = fleet->options.tenant,
		.release = fleet->release,
		.release_fd = release_fd,
		.log = fleet->options.log,
		.manifest = fleet->program ? fleet->program->manifest : NULL,
	};
	const uint64_t slot = takeover_number(packed, "slot");
	if (slot >= fleet->count)
		return error_set(error, EINVAL, "an instance of no slot was handed over");
	*member = (struct fleet_member){
		.slot = (uint32_t)slot,
		.role = takeover_flag(packed, "serves") ? FLEET_SERVING : FLEET_LEAVING,
		.requests = takeover_number(packed, "requests"),
	};
	int result = instance_adopt(&fleet->options.supervisor->factory, &spec,
		json_object_get(packed, "instance"), takeover, &fleet_instance_events, fleet,
		&member->instance, error);
	fleet->member_count += result == 0;
	return result;
}

int fleet_adopt(const struct fleet_options *options, const json_t *packed, int release_fd,
	struct takeover *takeover, struct fleet **ret_fleet, struct error *error)
{
	const json_t *slots = json_object_get(packed, "slots"), *from;
	const json_t *members = json_object_get(packed, "members");
	size_t i;
	struct fleet *fleet = calloc(1, sizeof *fleet);
	if (fleet == NULL)
		return error_set(error, ENOMEM, "no memory for instances");
	fleet->options = *options;
	fleet->options.strict = takeover_flag(packed, "strict");
	fleet->program = options->program;
	fleet->ready = takeover_flag(packed, "ready");
	fleet->resilient = takeover_flag(packed, "resilient");
	fleet->restarts = (uint32_t)takeover_number(packed, "restarts");
	fleet->grace_ms = (uint32_t)takeover_number(packed, "grace_ms");
	fleet->busy_ms = takeover_number(packed, "busy_ms");
	snprintf(fleet->release, sizeof fleet->release, "%s", takeover_string(packed, "release"));
	fleet->member_places = json_array_size(members);
	fleet->members = calloc(fleet->member_places + 1, sizeof *fleet->members);
	int result = fleet->members && json_array_size(slots) > 0
			     ? fleet_add_slots(fleet, (uint32_t)json_array_size(slots), error)
			     : error_set(error, EINVAL, "a fleet without slots was handed over");
	json_array_foreach(members, i, from)
	{
		if (result == 0)
			result = take_member(fleet, from, release_fd, takeover, error);
	}
	if (result < 0) {
		fleet_free(fleet);
		return result;
	}
	json_array_foreach(slots, i, from)
	{
		take_slot(&fleet->slots[i], from);
	}
	*ret_fleet = fleet;
	return 0;
}

void fleet_abandon(struct supervisor *supervisor, const json_t *packed, struct takeover *takeover)
{
	const json_t *member;
	size_t i;
	json_array_foreach(json_object_get(packed, "members"), i, member)
	{
		instance_abandon(
			&supervisor->factory, json_object_get(member, "instance"), takeover);
	}
}
