#include "daemon/fleet_private.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/log.h"
#include "daemon/code_cache.h"
#include "daemon/health.h"
#include "daemon/proof.h"
#include "daemon/releases.h"
#include "daemon/supervisor.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

/* Of one slot's instances: the oldest that still drains goes when there are more. */
#define LEAVING_MOST(count) (2 * (size_t)(count) + 4)

static void on_ready(struct instance *instance, void *data);
static void on_ended(struct instance *instance, void *data);
static void on_readiness(struct instance *instance, void *data);
const struct instance_events fleet_instance_events = {
	.ready = on_ready,
	.ended = on_ended,
	.readiness = on_readiness,
};

/* ---- members ---- */

static struct fleet_member *find(const struct fleet *fleet, const struct instance *instance)
{
	for (size_t i = 0; i < fleet->member_count; i++)
		if (fleet->members[i].instance == instance)
			return &fleet->members[i];
	return NULL;
}

static size_t count_role(const struct fleet *fleet, enum fleet_role role)
{
	size_t count = 0;
	for (size_t i = 0; i < fleet->member_count; i++)
		count += fleet->members[i].role == role;
	return count;
}

/* The one of SLOT in this role, but for EXCEPT. */
static struct fleet_member *of_slot(const struct fleet *fleet, uint32_t slot, enum fleet_role role,
	const struct instance *except)
{
	for (size_t i = 0; i < fleet->member_count; i++) {
		struct fleet_member *member = &fleet->members[i];
		if (member->slot == slot && member->role == role && member->instance != except)
			return member;
	}
	return NULL;
}

/* Slots whose instance is still to begin. */
static size_t count_waiting(const struct fleet *fleet)
{
	size_t count = 0;
	for (uint32_t i = 0; i < fleet->count; i++)
		count += fleet->slots[i].waits != FLEET_WAITS_NOT;
	return count;
}

static int reserve_member(struct fleet *fleet, struct error *error)
{
	if (fleet->member_count < fleet->member_places)
		return 0;
	size_t places = fleet->member_places ? 2 * fleet->member_places : fleet->count;
	struct fleet_member *members = reallocarray(fleet->members, places, sizeof *fleet->members);
	if (members == NULL)
		return error_set(error, ENOMEM, "no memory for another instance");
	fleet->members = members;
	fleet->member_places = places;
	return 0;
}

static void remove_member(struct fleet *fleet, struct fleet_member *member)
{
	size_t place = (size_t)(member - fleet->members);
	memmove(member, member + 1, (--fleet->member_count - place) * sizeof *member);
}

/* A member drains. One whose fleet drains faster than its programs do would have ever more of
 * them: the oldest goes. */
static void leave(struct fleet *fleet, struct fleet_member *member, enum end_reason reason)
{
	member->role = FLEET_LEAVING;
	fleet->options.events->leaving(fleet, member->instance, fleet->options.data);
	instance_drain(member->instance, fleet->grace_ms, reason);
	if (count_role(fleet, FLEET_LEAVING) <= LEAVING_MOST(fleet->count))
		return;
	for (size_t i = 0; i < fleet->member_count; i++)
		if (fleet->members[i].role == FLEET_LEAVING) {
			instance_kill(fleet->members[i].instance, reason,
				"killed: too many of its tenant's instances drain");
			return;
		}
}

/* ---- one instance ---- */

static void proved(void *data, int result, const struct error *error);

/* The release has to be hashed before anything of it starts. */
static int wait_for_proof(struct fleet *fleet, uint32_t slot, struct error *error)
{
	int result = fleet->proof ? 0
				  : proof_start(fleet->options.supervisor, fleet->program, proved,
					    fleet, &fleet->proof, error);
	if (result == 0)
		fleet->slots[slot].waits = FLEET_WAITS_PROOF;
	return result;
}

static int start_one(struct fleet *fleet, uint32_t slot, struct error *error)
{
	const struct fleet_options *options = &fleet->options;
	const struct program *program = fleet->program;
	struct instance_spec spec = {
		.tenant = options->tenant,
		.release = program->release,
		.release_fd = program->release_fd,
		.entry = program->entry,
		.mode = WORKER_MODE_SERVE,
		.policy = program->policy,
		.listeners = &program->listeners,
		.uid_slot = options->uid_slot,
		.cache_fd = -1,
		.startup_ms = (uint32_t)program->manifest->startup_ms,
		.idle_ms = (uint32_t)program->manifest->idle_ms,
		.log = options->log,
		.manifest = program->manifest,
		/* Also one that is to take the place of one that serves. */
		.must_be_ready = (options->strict && !fleet->ready) ||
				 of_slot(fleet, slot, FLEET_SERVING, NULL) != NULL,
	};
	struct instance *instance;
	int result = release_check(options->supervisor, options->tenant, fleet->program, error);
	if (result > 0)
		return wait_for_proof(fleet, slot, error);
	if (result == 0)
		result = reserve_member(fleet, error);
	if (result == 0) {
		spec.cache_fd = code_cache_open(options->supervisor, program);
		result = instance_start(&options->supervisor->factory, &spec,
			&fleet_instance_events, fleet, &instance, error);
		close_fd(&spec.cache_fd);
	}
	if (result < 0)
		return result;
	fleet->members[fleet->member_count++] = (struct fleet_member){
		.instance = instance,
		.slot = slot,
		.role = FLEET_STARTING,
	};
	supervisor_watch(options->supervisor);
	return 0;
}

static void retry_later(struct fleet *fleet, uint32_t slot, uint64_t served_ms);

/* What the fleet is worth after something of it went. */
static enum fleet_outcome judge(const struct fleet *fleet)
{
	if (count_role(fleet, FLEET_SERVING) > 0 || count_role(fleet, FLEET_STARTING) > 0 ||
		count_waiting(fleet) > 0)
		return FLEET_GOES_ON;
	if (!fleet->ready)
		return FLEET_UNFIT;
	for (uint32_t i = 0; fleet->resilient && i < fleet->count; i++)
		if (fleet->slots[i].timer)
			return FLEET_GOES_ON;
	return FLEET_LOST;
}

static void check_ready(struct fleet *fleet)
{
	if (fleet->ready || fleet->program == NULL || count_role(fleet, FLEET_STARTING) > 0 ||
		count_role(fleet, FLEET_SERVING) == 0 || count_waiting(fleet) > 0)
		return;
	for (uint32_t i = 0; i < fleet->count; i++)
		if (!fleet->slots[i].tried)
			return;
	fleet->ready = true;
	fleet->busy_ms = clock_ms();
	fleet->options.events->ready(fleet, fleet->options.data);
}

/* The fleet may be gone afterwards. */
static void start_or_retry(struct fleet *fleet, uint32_t number)
{
	struct error error = {0};
	if (start_one(fleet, number, &error) == 0)
		return;
	retry_later(fleet, number, 0);
	fleet->options.events->start_failed(
		fleet, judge(fleet), error.message, fleet->options.data);
}

static int slot_due(sd_event_source *source, uint64_t usec, void *data)
{
	struct fleet_slot *slot = data;
	struct fleet *fleet = slot->fleet;
	(void)source;
	(void)usec;
	slot->timer = sd_event_source_disable_unref(slot->timer);
	slot->delay_ms = 0;
	fleet->restarts++;
	start_or_retry(fleet, (uint32_t)(slot - fleet->slots));
	return 0;
}

void fleet_take_turn(struct fleet *fleet)
{
	uint32_t number = fleet->count, more = 0;
	for (uint32_t i = fleet->count; i > 0; i--)
		if (fleet->slots[i - 1].waits == FLEET_WAITS_TURN) {
			number = i - 1;
			more++;
		}
	if (more <= 1)
		start_queue_remove(fleet->options.supervisor, fleet);
	if (more == 0)
		return;
	fleet->slots[number].waits = FLEET_WAITS_NOT;
	start_or_retry(fleet, number);
}

/* All that waited for it start, or fail together: the owner is told once. */
static void proved(void *data, int result, const struct error *why)
{
	struct fleet *fleet = data;
	struct error error = {0};
	bool failed = false;
	fleet->proof = NULL;
	if (result < 0)
		error = *why;
	for (uint32_t i = 0; i < fleet->count; i++) {
		if (fleet->slots[i].waits != FLEET_WAITS_PROOF)
			continue;
		fleet->slots[i].waits = FLEET_WAITS_NOT;
		if (result == 0 && start_one(fleet, i, &error) == 0)
			continue;
		failed = true;
		retry_later(fleet, i, 0);
	}
	start_queue_moved(fleet->options.supervisor);
	if (failed)
		fleet->options.events->start_failed(fleet,
			fleet->options.strict && !fleet->ready ? FLEET_UNFIT : judge(fleet),
			error.message, fleet->options.data);
}

void fleet_start_at(struct fleet_slot *slot, uint32_t delay_ms)
{
	sd_event_source_disable_unref(take_pointer(slot->timer));
	slot->delay_ms = delay_ms;
	sd_event_add_time_relative(slot->fleet->options.supervisor->event, &slot->timer,
		CLOCK_MONOTONIC, (uint64_t)delay_ms * 1000, 1000, slot_due, slot);
}

static uint32_t choose_delay(struct fleet_slot *slot, const struct backoff_limits *limits)
{
	uint64_t random = 0;
	if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
		random = clock_ns();
	return backoff_delay_ms(&slot->backoff, limits, random);
}

/* While others serve nobody gives up: the delay is as long as it gets. Where nobody else of
 * this fleet may be left, and the tenant is served by another one, it must come to an end. */
static void retry_later(struct fleet *fleet, uint32_t number, uint64_t served_ms)
{
	struct fleet_slot *slot = &fleet->slots[number];
	const struct backoff_limits limits = backoff_limits_of(fleet->program->manifest);
	bool too_often = backoff_failed(&slot->backoff, &limits, clock_ms(), served_ms);
	slot->tried = true;
	if (too_often && fleet->resilient)
		slot->done = true;
	else
		fleet_start_at(slot, choose_delay(slot, &limits));
}

/* ---- what instances do ---- */

static void on_ready(struct instance *instance, void *data)
{
	struct fleet *fleet = data;
	struct fleet_member *member = find(fleet, instance), *before;
	start_queue_moved(fleet->options.supervisor);
	if (member->role != FLEET_STARTING)
		return;
	const uint32_t slot = member->slot;
	member->role = FLEET_SERVING;
	fleet->slots[slot].tried = true;
	fleet->busy_ms = clock_ms();
	fleet->options.events->joined(fleet, instance, fleet->options.data);
	while ((before = of_slot(fleet, slot, FLEET_SERVING, instance)))
		leave(fleet, before, END_RETIRED);
	if (fleet->program)
		code_cache_want(fleet->options.supervisor, fleet->options.tenant, fleet->program);
	check_ready(fleet);
}

static void on_readiness(struct instance *instance, void *data)
{
	struct fleet *fleet = data;
	const struct fleet_member *member = find(fleet, instance);
	if (member->role == FLEET_SERVING && !health_is_ready(instance))
		fleet->options.events->unready(fleet, instance, fleet->options.data);
}

static enum fleet_ending classify(const struct fleet *fleet, const struct instance_end *end)
{
	const struct manifest *manifest = fleet->program->manifest;
	const bool by_itself = end->reason == END_EXIT && end->exit_code >= 0;
	for (size_t i = 0; by_itself && i < manifest->stop_code_count; i++)
		if (end->exit_code == manifest->stop_codes[i])
			return FLEET_FINISHED;
	if (end->exit_code == 0 && manifest->restart != MANIFEST_RESTART_ALWAYS)
		return FLEET_FINISHED;
	return manifest->restart == MANIFEST_RESTART_NEVER ? FLEET_NEVER : FLEET_FAILED;
}

/* One that should be there is not: what becomes of its slot, and of the fleet. */
static enum fleet_outcome account(
	struct fleet *fleet, const struct fleet_member *gone, struct fleet_death *death)
{
	struct fleet_slot *slot = &fleet->slots[gone->slot];
	const bool started = gone->role == FLEET_STARTING;
	if (started && of_slot(fleet, gone->slot, FLEET_SERVING, NULL)) {
		/* It was to replace one that goes on. */
		const struct backoff_limits limits = backoff_limits_of(fleet->program->manifest);
		backoff_failed(&slot->backoff, &limits, clock_ms(), 0);
		slot->replace_after_ms = clock_ms() + choose_delay(slot, &limits);
		return FLEET_GOES_ON;
	}
	if (!started && (slot->waits || of_slot(fleet, gone->slot, FLEET_STARTING, NULL)))
		return judge(fleet); /* what was to replace it comes anyway */
	slot->tried = true;
	if (fleet->options.strict && !fleet->ready)
		return FLEET_UNFIT;
	if (death->ending == FLEET_FAILED)
		retry_later(fleet, gone->slot, death->served_ms);
	else
		slot->done = true;
	death->gave_up = fleet->resilient && slot->done && death->ending == FLEET_FAILED;
	return judge(fleet);
}

static void on_ended(struct instance *instance, void *data)
{
	struct fleet *fleet = data;
	struct fleet_member *member = find(fleet, instance);
	struct fleet_member gone = *member;
	struct instance_end end = *instance->end;
	char release[STORE_ID_SIZE];
	snprintf(release, sizeof release, "%.*s", STORE_ID_LENGTH, instance->release);
	struct fleet_death death = {
		.end = &end,
		.release = release,
		.pid = instance->pid,
		.instance = instance->id,
		.was_ready = instance->ready_ns != 0,
		.served_ms = instance->ready_ns ? (clock_ns() - instance->ready_ns) / 1000000 : 0,
		.outcome = FLEET_LEFT,
	};
	remove_member(fleet, member);
	/* Whoever still knows it, such as a split, must not: what follows may be a takeover. */
	if (gone.role == FLEET_SERVING)
		fleet->options.events->leaving(fleet, instance, fleet->options.data);
	instance_free(instance); /* it may not outlive the tenant's log */
	start_queue_moved(fleet->options.supervisor);
	if (gone.role != FLEET_LEAVING) {
		death.ending = classify(fleet, &end);
		death.outcome = account(fleet, &gone, &death);
	}
	death.empty = fleet->program == NULL && fleet->member_count == 0;
	/* What was waited for may be what has just failed. */
	if (death.outcome == FLEET_GOES_ON)
		check_ready(fleet);
	fleet->options.events->ended(fleet, &death, fleet->options.data); /* may free it */
}

/* ---- all of them ---- */

int fleet_add_slots(struct fleet *fleet, uint32_t count, struct error *error)
{
	struct fleet_slot *slots = calloc(count, sizeof *slots);
	if (slots == NULL)
		return error_set(error, ENOMEM, "no memory for %u instances", count);
	if (fleet->slots)
		memcpy(slots, fleet->slots, fleet->count * sizeof *slots);
	for (uint32_t i = 0; i < count; i++) {
		slots[i].fleet = fleet;
		if (slots[i].timer)
			sd_event_source_set_userdata(slots[i].timer, &slots[i]);
	}
	free(fleet->slots);
	fleet->slots = slots;
	fleet->count = count;
	return 0;
}

/* Starts what slots from FIRST on should have. */
static int start_all(struct fleet *fleet, uint32_t first, struct error *error)
{
	if (fleet->options.patient && start_queue_add(fleet->options.supervisor, fleet) == 0) {
		for (uint32_t i = first; i < fleet->count; i++)
			fleet->slots[i].waits = FLEET_WAITS_TURN;
		return 0;
	}
	for (uint32_t i = first; i < fleet->count; i++) {
		int result = start_one(fleet, i, error);
		if (result < 0 && (i == 0 || fleet->options.strict))
			return result;
		if (result < 0)
			retry_later(fleet, i, 0);
	}
	return 0;
}

int fleet_new(const struct fleet_options *options, struct fleet **ret_fleet, struct error *error)
{
	struct fleet *fleet = calloc(1, sizeof *fleet);
	if (fleet == NULL)
		return error_set(error, ENOMEM, "no memory for instances");
	fleet->options = *options;
	fleet->program = options->program;
	fleet->grace_ms = (uint32_t)options->program->manifest->grace_ms;
	snprintf(fleet->release, sizeof fleet->release, "%s", options->program->release);
	int result = fleet_add_slots(fleet, options->count ? options->count : 1, error);
	if (result == 0)
		result = start_all(fleet, 0, error);
	if (result < 0) {
		fleet_free(fleet);
		return result;
	}
	*ret_fleet = fleet;
	return 0;
}

int fleet_grow(struct fleet *fleet, uint32_t count, struct error *error)
{
	const uint32_t before = fleet->count;
	if (count <= before)
		return 1;
	int result = fleet_add_slots(fleet, count, error);
	if (result < 0)
		return result;
	fleet->ready = false;
	fleet->resilient = false;
	return start_all(fleet, before, error);
}

static void stop_timers(struct fleet *fleet)
{
	for (uint32_t i = 0; i < fleet->count; i++) {
		fleet->slots[i].timer = sd_event_source_disable_unref(fleet->slots[i].timer);
		fleet->slots[i].waits = FLEET_WAITS_NOT;
	}
	start_queue_remove(fleet->options.supervisor, fleet);
	fleet->proof = proof_cancel(fleet->proof);
	fleet->idle = sd_event_source_disable_unref(fleet->idle);
}

void fleet_drain(struct fleet *fleet, enum end_reason reason, const char *message)
{
	stop_timers(fleet);
	fleet->program = NULL;
	for (size_t i = 0; i < fleet->member_count; i++) {
		struct fleet_member *member = &fleet->members[i];
		const enum fleet_role role = member->role;
		member->role = FLEET_LEAVING;
		if (role == FLEET_STARTING)
			instance_kill(member->instance, reason, message);
		if (role != FLEET_SERVING)
			continue;
		fleet->options.events->leaving(fleet, member->instance, fleet->options.data);
		instance_drain(member->instance, fleet->grace_ms, reason);
	}
}

void fleet_kill(struct fleet *fleet, enum end_reason reason, const char *message)
{
	stop_timers(fleet);
	for (size_t i = 0; i < fleet->member_count; i++)
		instance_kill(fleet->members[i].instance, reason, message);
}

struct fleet *fleet_free(struct fleet *fleet)
{
	if (fleet == NULL)
		return NULL;
	stop_timers(fleet);
	for (size_t i = 0; i < fleet->member_count; i++)
		instance_free(fleet->members[i].instance);
	free(fleet->members);
	free(fleet->slots);
	free(fleet);
	return NULL;
}

void fleet_hurry(struct fleet *fleet)
{
	if (fleet)
		start_queue_hurry(fleet->options.supervisor, fleet);
}

void fleet_reset(struct fleet *fleet)
{
	for (uint32_t i = 0; fleet && i < fleet->count; i++) {
		struct fleet_slot *slot = &fleet->slots[i];
		backoff_reset(&slot->backoff);
		slot->replace_after_ms = 0;
		if (slot->timer || slot->done)
			fleet_start_at(slot, 0);
		slot->done = false;
	}
	if (fleet)
		fleet->restarts = 0;
}

/* ---- replacing one ---- */

struct fleet *fleet_of(const struct instance *instance)
{
	return instance->events == &fleet_instance_events ? instance->data : NULL;
}

int fleet_replace(struct instance *instance, const char *reason, struct error *error)
{
	struct fleet *fleet = fleet_of(instance);
	const struct fleet_member *member = fleet ? find(fleet, instance) : NULL;
	if (member == NULL || member->role != FLEET_SERVING || fleet->program == NULL)
		return error_set(error, EPERM, "it does not serve");
	const uint32_t number = member->slot;
	struct fleet_slot *slot = &fleet->slots[number];
	if (slot->waits || of_slot(fleet, number, FLEET_STARTING, NULL))
		return error_set(error, EALREADY, "another starts in its place already");
	if (clock_ms() < slot->replace_after_ms)
		return error_set(error, EAGAIN, "the last try to replace it failed");
	int result = start_one(fleet, number, error);
	if (result < 0) {
		const struct backoff_limits limits = backoff_limits_of(fleet->program->manifest);
		backoff_failed(&slot->backoff, &limits, clock_ms(), 0);
		slot->replace_after_ms = clock_ms() + choose_delay(slot, &limits);
		return result;
	}
	fleet->options.events->retired(fleet, instance, reason, fleet->options.data);
	return 0;
}

/* ---- idleness ---- */

/* What a worker says is a hint: one that lies about its work only stops its own tenant. */
static bool is_busy(struct fleet_member *member)
{
	struct worker_stats stats;
	if (member->role != FLEET_SERVING || !instance_read_stats(member->instance, &stats))
		return true;
	const bool busy = stats.requests != member->requests || stats.requests_active > 0 ||
			  stats.connections > 0;
	member->requests = stats.requests;
	return busy;
}

static bool idle_for_long(const struct fleet *fleet)
{
	return clock_ms() - fleet->busy_ms >= fleet->program->manifest->stop_after_ms;
}

/* Not from within the watch over instances: some of them are about to go. */
static int fleet_is_idle(sd_event_source *source, void *data)
{
	struct fleet *fleet = data;
	(void)source;
	fleet->idle = sd_event_source_disable_unref(fleet->idle);
	for (size_t i = 0; i < fleet->member_count; i++)
		if (is_busy(&fleet->members[i]))
			fleet_touch(fleet);
	if (idle_for_long(fleet))
		fleet->options.events->idle(fleet, fleet->options.data);
	return 0;
}

void fleet_watch(struct instance *instance)
{
	struct fleet *fleet = fleet_of(instance);
	if (fleet == NULL || fleet->program == NULL || !fleet->ready ||
		fleet->program->manifest->stop_after_ms == 0 || fleet->idle)
		return;
	if (is_busy(find(fleet, instance)))
		fleet_touch(fleet);
	else if (idle_for_long(fleet))
		sd_event_add_defer(
			fleet->options.supervisor->event, &fleet->idle, fleet_is_idle, fleet);
}

void fleet_touch(struct fleet *fleet)
{
	if (fleet)
		fleet->busy_ms = clock_ms();
}

/* ---- what there is ---- */

bool fleet_is_empty(const struct fleet *fleet)
{
	return fleet == NULL || fleet->member_count == 0;
}

uint32_t fleet_serving(const struct fleet *fleet)
{
	return fleet ? (uint32_t)count_role(fleet, FLEET_SERVING) : 0;
}

bool fleet_has(const struct fleet *fleet, uint32_t instance)
{
	for (size_t i = 0; fleet && i < fleet->member_count; i++)
		if (fleet->members[i].instance->id == instance)
			return true;
	return false;
}

struct instance *fleet_pick(const struct fleet *fleet, uint32_t turn)
{
	const uint32_t serving = fleet_serving(fleet);
	uint32_t nth = serving ? turn % serving : 0;
	for (size_t i = 0; serving && i < fleet->member_count; i++)
		if (fleet->members[i].role == FLEET_SERVING && nth-- == 0)
			return fleet->members[i].instance;
	return NULL;
}

struct instance *fleet_first(const struct fleet *fleet)
{
	for (int role = FLEET_SERVING; fleet && role >= FLEET_STARTING; role--)
		for (size_t i = 0; i < fleet->member_count; i++)
			if (fleet->members[i].role == (enum fleet_role)role)
				return fleet->members[i].instance;
	return NULL;
}

static json_t *describe_member(const struct fleet *fleet, const struct fleet_member *member)
{
	static const char *const names[] = {
		[FLEET_STARTING] = "starting",
		[FLEET_SERVING] = "serving",
		[FLEET_LEAVING] = "draining",
	};
	const struct instance *instance = member->instance;
	struct worker_stats stats = {0};
	const uint64_t since_ns = instance->ready_ns ? instance->ready_ns : instance->started_ns;
	(void)instance_read_stats(instance, &stats);
	json_t *object = json_pack("{s:i, s:i, s:s, s:s, s:f, s:I, s:I, s:I}", "slot",
		(int)member->slot, "pid", (int)instance->pid, "state", names[member->role],
		"release", fleet->release, "age_ms", (double)(clock_ns() - since_ns) / 1e6,
		"requests", (json_int_t)stats.requests, "requests_active",
		(json_int_t)stats.requests_active, "connections", (json_int_t)stats.connections);
	json_t *health = health_describe(instance);
	if (health)
		json_object_update_missing_new(object, health);
	return object;
}

void fleet_describe(const struct fleet *fleet, json_t *list)
{
	for (size_t i = 0; fleet && i < fleet->member_count; i++)
		if (json_array_size(list) < FLEET_DESCRIBED_MAX)
			json_array_append_new(list, describe_member(fleet, &fleet->members[i]));
	for (uint32_t i = 0; fleet && fleet->program && i < fleet->count; i++) {
		const struct fleet_slot *slot = &fleet->slots[i];
		if ((slot->timer || slot->done || slot->waits) &&
			json_array_size(list) < FLEET_DESCRIBED_MAX)
			json_array_append_new(
				list, json_pack("{s:i, s:n, s:s, s:s, s:i}", "slot", (int)i, "pid",
					      "state", slot->done ? "ended" : "waiting", "release",
					      fleet->release, "backoff_ms", (int)slot->delay_ms));
	}
}
