#include "daemon_fleet_world.h"

#include "common/clock.h"
#include "daemon/code_cache.h"
#include "daemon/health.h"
#include "daemon/proof.h"
#include "daemon/releases.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- pretended workers ---- */

struct instance *made[MOST]; /* in the order of their starts; NULL: freed */
size_t made_count, starts_to_fail;
bool unready;
struct worker_stats pretended_stats;

int instance_start(struct factory *factory, const struct instance_spec *spec,
	const struct instance_events *events, void *data, struct instance **ret_instance,
	struct error *error)
{
	if (starts_to_fail > 0) {
		starts_to_fail--;
		return error_set(error, EMFILE, "no descriptors");
	}
	assert_true(made_count < MOST);
	struct instance *instance = calloc(1, sizeof *instance);
	instance->factory = factory;
	instance->events = events;
	instance->data = data;
	instance->id = (uint32_t)made_count + 1;
	instance->pid = 100 + (pid_t)made_count;
	instance->stage = INSTANCE_CONFINED;
	instance->mode = spec->mode;
	instance->sibling = factory->instances;
	factory->instances = instance;
	snprintf(instance->release, sizeof instance->release, "%s", spec->release);
	made[made_count++] = *ret_instance = instance;
	return 0;
}

void instance_drain(struct instance *instance, uint32_t grace_ms, enum end_reason reason)
{
	(void)grace_ms;
	instance->draining = true;
	instance->kill_reason = reason;
}

void instance_kill(struct instance *instance, enum end_reason reason, const char *message)
{
	snprintf(instance->kill_message, sizeof instance->kill_message, "%s", message);
	instance->kill_reason = reason;
}

struct instance *instance_free(struct instance *instance)
{
	for (size_t i = 0; i < made_count; i++)
		if (made[i] == instance)
			made[i] = NULL;
	struct instance **place = &instance->factory->instances;
	while (*place != instance)
		place = &(*place)->sibling;
	*place = instance->sibling;
	free(instance);
	return NULL;
}

bool instance_read_stats(const struct instance *instance, struct worker_stats *ret_stats)
{
	(void)instance;
	*ret_stats = pretended_stats;
	return true;
}

bool health_is_ready(const struct instance *instance)
{
	(void)instance;
	return !unready;
}

json_t *health_describe(const struct instance *instance)
{
	(void)instance;
	return NULL;
}

/* ---- no code caches ---- */

int code_cache_open(struct supervisor *ours, const struct program *what)
{
	(void)ours;
	(void)what;
	return -1;
}

void code_cache_want(struct supervisor *ours, const char *tenant, const struct program *what)
{
	(void)ours;
	(void)tenant;
	(void)what;
}

/* ---- pretended proofs ---- */

bool unproved;
static proof_fn *prove; /* NULL: none is under way */
static void *prove_data;
unsigned proofs_cancelled;

int release_check(
	struct supervisor *ours, const char *tenant, struct program *what, struct error *error)
{
	(void)ours;
	(void)tenant;
	(void)what;
	(void)error;
	return unproved;
}

int proof_start(struct supervisor *ours, struct program *what, proof_fn *done, void *data,
	struct proof **ret_proof, struct error *error)
{
	(void)ours;
	(void)error;
	assert_null(prove);
	prove = done;
	prove_data = data;
	*ret_proof = (struct proof *)what;
	return 0;
}

struct proof *proof_cancel(struct proof *proof)
{
	proofs_cancelled += proof != NULL;
	if (proof)
		prove = NULL;
	return NULL;
}

void end_proof(int result)
{
	const struct error error = {.code = -result, .message = "no descriptors"};
	proof_fn *done = prove;
	prove = NULL;
	unproved = false;
	assert_non_null(done);
	done(prove_data, result, &error);
}

void supervisor_watch(struct supervisor *ours)
{
	(void)ours;
}

void become_ready(size_t number)
{
	struct instance *instance = made[number];
	assert_non_null(instance);
	instance->stage = INSTANCE_READY;
	instance->ready_ns = clock_ns();
	instance->events->ready(instance, instance->data);
}

void end_with(size_t number, enum end_reason reason, int exit_code)
{
	struct instance *instance = made[number];
	assert_non_null(instance);
	struct instance_end end = {
		.reason = reason,
		.exit_code = exit_code,
		.signal = exit_code < 0 ? SIGKILL : 0,
	};
	instance->end = &end; /* until it is freed, in there */
	instance->stage = INSTANCE_ENDED;
	instance->events->ended(instance, instance->data);
}

void die(size_t number)
{
	end_with(number, END_SIGNAL, -1);
}

/* ---- the owner ---- */

unsigned joined, ready, left, went_on, unfit, lost, idle, unwell, empty, leaving, not_started;
struct fleet_death last;

static void on_joined(struct fleet *whose, struct instance *instance, void *data)
{
	(void)whose;
	(void)instance;
	(void)data;
	joined++;
}

static void on_leaving(struct fleet *whose, struct instance *instance, void *data)
{
	(void)whose;
	(void)data;
	assert_false(instance->draining); /* before it is told */
	leaving++;
}

static void on_ready(struct fleet *whose, void *data)
{
	(void)whose;
	(void)data;
	ready++;
}

static void on_ended(struct fleet *whose, const struct fleet_death *death, void *data)
{
	(void)whose;
	(void)data;
	last = *death;
	left += death->outcome == FLEET_LEFT;
	went_on += death->outcome == FLEET_GOES_ON;
	unfit += death->outcome == FLEET_UNFIT;
	lost += death->outcome == FLEET_LOST;
	empty += death->empty;
}

static void on_start_failed(
	struct fleet *whose, enum fleet_outcome outcome, const char *message, void *data)
{
	(void)whose;
	(void)data;
	assert_string_equal(message, "no descriptors");
	not_started++;
	lost += outcome == FLEET_LOST;
	unfit += outcome == FLEET_UNFIT;
}

static void on_unready(struct fleet *whose, struct instance *instance, void *data)
{
	(void)whose;
	(void)instance;
	(void)data;
	unwell++;
}

static void on_retired(
	struct fleet *whose, struct instance *instance, const char *reason, void *data)
{
	(void)whose;
	(void)instance;
	(void)data;
	assert_string_equal(reason, "requests 10");
}

static void on_idle(struct fleet *whose, void *data)
{
	(void)whose;
	(void)data;
	idle++;
}

const struct fleet_events fleet_owner = {
	.joined = on_joined,
	.leaving = on_leaving,
	.ready = on_ready,
	.ended = on_ended,
	.start_failed = on_start_failed,
	.unready = on_unready,
	.retired = on_retired,
	.idle = on_idle,
};

/* ---- set-up ---- */

struct supervisor supervisor;
struct manifest manifest;
struct program program;
struct fleet *fleet;

int world_begin(void **unused)
{
	(void)unused;
	memset(&last, 0, sizeof last);
	joined = ready = left = went_on = unfit = lost = idle = unwell = empty = leaving = 0;
	not_started = 0;
	made_count = starts_to_fail = 0;
	unready = unproved = false;
	prove = NULL;
	proofs_cancelled = 0;
	pretended_stats = (struct worker_stats){0};
	manifest = (struct manifest){
		.restart = MANIFEST_RESTART_ALWAYS,
		.backoff = {.base_ms = 10,
			.cap_ms = 20,
			.reset_ms = 60000,
			.crashloop_count = 3,
			.crashloop_window_ms = 60000},
		.grace_ms = 1000,
	};
	program = (struct program){.manifest = &manifest};
	snprintf(program.release, sizeof program.release, "aaaa");
	return sd_event_new(&supervisor.event);
}

int world_end(void **unused)
{
	(void)unused;
	fleet = fleet_free(fleet);
	for (size_t i = 0; i < made_count; i++)
		assert_null(made[i]);
	start_queue_close(&supervisor);
	supervisor.start_queue = (struct start_queue){0};
	supervisor.event = sd_event_unref(supervisor.event);
	return 0;
}

int start(uint32_t count, bool strict)
{
	struct error error = {0};
	const struct fleet_options options = {
		.supervisor = &supervisor,
		.tenant = "shop",
		.program = &program,
		.count = count,
		.strict = strict,
		.events = &fleet_owner,
	};
	return fleet_new(&options, &fleet, &error);
}

void start_ready(uint32_t count)
{
	assert_int_equal(start(count, false), 0);
	for (size_t i = 0; i < count; i++)
		become_ready(i);
	assert_int_equal(ready, 1);
}

/* Runs the loop until so many were started, or in vain for a while. */
bool until_made(size_t count)
{
	const uint64_t until = clock_ms() + 500;
	while (made_count < count && clock_ms() < until)
		sd_event_run(supervisor.event, 20000);
	return made_count >= count;
}
