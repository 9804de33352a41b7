/* The instances of a tenant: how they are started, what is done when they are ready and when
 * they end, and who gets the connections while none of them, or two kinds of them, are there. */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/log.h"
#include "daemon/ingress.h"
#include "daemon/schedule.h"
#include "daemon/supervisor.h"
#include "daemon/tenant_private.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

static void fleet_joined(struct fleet *fleet, struct instance *instance, void *data);
static void fleet_leaving(struct fleet *fleet, struct instance *instance, void *data);
static void fleet_ready(struct fleet *fleet, void *data);
static void fleet_ended(struct fleet *fleet, const struct fleet_death *death, void *data);
static void fleet_start_failed(
	struct fleet *fleet, enum fleet_outcome outcome, const char *message, void *data);
static void fleet_unready(struct fleet *fleet, struct instance *instance, void *data);
static void fleet_retired(
	struct fleet *fleet, struct instance *instance, const char *reason, void *data);
static void fleet_idle(struct fleet *fleet, void *data);
static const struct fleet_events fleet_events = {
	.joined = fleet_joined,
	.leaving = fleet_leaving,
	.ready = fleet_ready,
	.ended = fleet_ended,
	.start_failed = fleet_start_failed,
	.unready = fleet_unready,
	.retired = fleet_retired,
	.idle = fleet_idle,
};

/* Length of the first line of a message that is escaped already, as one log line takes. */
static int first_line(const char *message)
{
	size_t length = strcspn(message, "\n");
	return length < 500 ? (int)length : 500;
}

struct backoff_limits tenant_limits(const struct tenant *tenant)
{
	return tenant->program ? backoff_limits_of(tenant->program->manifest) : backoff_defaults;
}

/* ---- beginning and end ---- */

struct fleet_options tenant_fleet_options(struct tenant *tenant, struct program *program)
{
	return (struct fleet_options){
		.supervisor = tenant->supervisor,
		.tenant = tenant->record.name,
		.log = tenant->log,
		.uid_slot = tenant->record.uid_slot,
		.program = program,
		.events = &fleet_events,
		.data = tenant,
	};
}

int tenant_start_fleet(struct tenant *tenant, struct error *error)
{
	struct program *program = tenant_target(tenant);
	struct fleet_options options = tenant_fleet_options(tenant, program);
	options.count = tenant->candidate ? tenant_candidate_count(tenant->candidate)
					  : (uint32_t)program->manifest->instances;
	options.strict = tenant->candidate || tenant->machine.state == TENANT_REPLACING;
	options.patient = tenant->supervisor->patient;
	return fleet_new(&options, &tenant->next, error);
}

/* Where too many drain, the oldest is last in the list. */
static void drop_oldest(struct tenant *tenant)
{
	size_t count = 0;
	struct fleet **place = &tenant->draining;
	for (; *place && (*place)->after; place = &(*place)->after)
		count++;
	if (count < TENANT_DRAINING_MAX)
		return;
	fleet_kill(*place, END_OPERATOR, "killed: too many of its tenant's instances drain");
}

void tenant_let_go(
	struct tenant *tenant, struct fleet *fleet, enum end_reason reason, const char *message)
{
	fleet_drain(fleet, reason, message);
	if (fleet_is_empty(fleet)) {
		fleet_free(fleet);
		supervisor_changed(tenant->supervisor, CHANGED_RELEASES);
		return;
	}
	fleet->after = tenant->draining;
	tenant->draining = fleet;
	drop_oldest(tenant);
}

static void forget_drained(struct tenant *tenant, struct fleet *fleet)
{
	struct fleet **place = &tenant->draining;
	while (*place && *place != fleet)
		place = &(*place)->after;
	if (*place == NULL)
		return;
	*place = fleet->after;
	fleet_free(fleet);
	supervisor_changed(tenant->supervisor, CHANGED_RELEASES);
}

/* ---- what is well ---- */

static void fleet_joined(struct fleet *fleet, struct instance *instance, void *data)
{
	struct tenant *tenant = data;
	(void)fleet;
	if (tenant->split) {
		split_join(tenant->split, instance);
		tenant_weigh(tenant);
	}
	tenant_review_schedules(tenant);
}

static void fleet_leaving(struct fleet *fleet, struct instance *instance, void *data)
{
	const struct tenant *tenant = data;
	(void)fleet;
	split_leave(tenant->split, instance->id);
}

static void fleet_ready(struct fleet *fleet, void *data)
{
	struct tenant *tenant = data;
	if (fleet == tenant->next)
		tenant_next_ready(tenant);
}

static void fleet_retired(
	struct fleet *fleet, struct instance *instance, const char *reason, void *data)
{
	char text[128];
	(void)fleet;
	snprintf(text, sizeof text, "retired: %s", reason);
	tenant_note(data, "replaced", "retired", instance, text);
}

static void fleet_idle(struct fleet *fleet, void *data)
{
	struct tenant *tenant = data;
	char reason[64];
	if (fleet != tenant->active || tenant->machine.state != TENANT_RUNNING ||
		schedules_busy(tenant->supervisor->factory.schedules, tenant->record.name))
		return;
	snprintf(reason, sizeof reason, "idle: nothing to do for %llu s",
		(unsigned long long)(tenant->program->manifest->stop_after_ms / 1000));
	tenant_handle(tenant, TENANT_EVENT_IDLE, reason);
}

/* ---- what is not ---- */

static bool is_ordinary(enum end_reason reason)
{
	return reason == END_DRAINED || reason == END_OPERATOR || reason == END_DEPLOY ||
	       reason == END_RETIRED || reason == END_IDLE;
}

static void log_death(struct tenant *tenant, const struct fleet_death *death)
{
	const struct instance_end *end = death->end;
	char line[640];
	log_info("event=ended tenant=%s release=%.12s pid=%d reason=%s exit_code=%d signal=%d "
		 "message=\"%s\"",
		tenant->record.name, death->release, death->pid, end_reason_name(end->reason),
		end->exit_code, end->signal, message_for_log(end->message));
	if (is_ordinary(end->reason))
		return;
	snprintf(line, sizeof line, "worker %d ended: %s: %.*s", death->pid,
		end_reason_name(end->reason), first_line(end->message), end->message);
	tenant_log_note(tenant->log, line);
}

/* What `status` and `events` tell of it. A change of state that comes of it is an event of its
 * own. */
static void record_death(struct tenant *tenant, const struct fleet_death *death)
{
	const bool drained = death->outcome == FLEET_LEFT && is_ordinary(death->end->reason);
	if (death->outcome != FLEET_LEFT || tenant_waits_for_empty(tenant->machine.state)) {
		if (tenant->last_end == NULL)
			tenant->last_end = malloc(sizeof *tenant->last_end);
		if (tenant->last_end)
			*tenant->last_end = *death->end;
	}
	if (drained)
		return;
	deaths_add(&tenant->deaths, death->end, death->release, death->pid, death->served_ms);
	if (death->outcome == FLEET_LEFT || death->outcome == FLEET_GOES_ON)
		tenant_note(tenant, "ended", end_reason_name(death->end->reason), NULL,
			death->end->message);
}

enum tenant_event tenant_start_failed(
	struct tenant *tenant, const char *message, enum fleet_ending ending)
{
	const struct backoff_limits limits = tenant_limits(tenant);
	free(tenant->start_error);
	tenant->start_error = strdup(message);
	log_warn("event=start-failed tenant=%s message=\"%s\"", tenant->record.name,
		message_for_log(message));
	if (tenant->candidate || tenant->machine.state == TENANT_REPLACING)
		return TENANT_EVENT_REJECTED;
	const bool too_often = backoff_failed(&tenant->backoff, &limits, clock_ms(), 0);
	if (ending == FLEET_FINISHED)
		return TENANT_EVENT_FINISHED;
	if (tenant->program && tenant->program->manifest->restart == MANIFEST_RESTART_NEVER)
		return TENANT_EVENT_FAILED;
	return too_often ? TENANT_EVENT_GAVE_UP : TENANT_EVENT_UNFIT;
}

static void reject_next(
	struct tenant *tenant, const char *message, enum fleet_ending ending, const char *reason)
{
	tenant_handle(tenant, tenant_start_failed(tenant, message, ending), reason);
}

/* Of the fleet that starts, or is tried. */
static void next_ended(struct tenant *tenant, const struct fleet_death *death)
{
	char message[INSTANCE_MESSAGE_MAX + 128];
	const enum end_reason why = death->end->reason;
	/* What we did to it ourselves needs no other reason than the message. */
	const bool ours = why == END_DEPLOY || why == END_OPERATOR;
	const bool tried = tenant->candidate && clock_ms() < tenant->trial_until_ms &&
			   death->ending != FLEET_FINISHED;
	if (death->outcome == FLEET_GOES_ON && !tried)
		return;
	snprintf(message, sizeof message, "%s%s%s", ours ? "" : end_reason_name(why),
		ours ? "" : ": ", death->end->message);
	tenant->about = death;
	reject_next(tenant, message, death->ending, end_reason_name(why));
}

static enum tenant_event lost_event(struct tenant *tenant, const struct fleet_death *death)
{
	const struct backoff_limits limits = tenant_limits(tenant);
	if (death->ending == FLEET_FINISHED)
		return TENANT_EVENT_FINISHED;
	if (death->ending == FLEET_NEVER)
		return TENANT_EVENT_FAILED;
	bool too_often = backoff_failed(&tenant->backoff, &limits, clock_ms(), death->served_ms);
	return too_often || death->gave_up ? TENANT_EVENT_GAVE_UP : TENANT_EVENT_EXITED;
}

static void active_ended(struct tenant *tenant, const struct fleet_death *death)
{
	char why[256];
	const bool fall_back = death->ending != FLEET_FINISHED && tenant_may_fall_back(tenant);
	snprintf(why, sizeof why, "%s: %.*s", end_reason_name(death->end->reason),
		first_line(death->end->message) < 160 ? first_line(death->end->message) : 160,
		death->end->message);
	if (death->outcome == FLEET_LOST) {
		enum tenant_event event = lost_event(tenant, death);
		char reason[sizeof tenant->reason];
		snprintf(reason, sizeof reason, "%s", end_reason_name(death->end->reason));
		if (event == TENANT_EVENT_FINISHED && death->end->exit_code > 0)
			snprintf(reason, sizeof reason, "finished: exit code %d, one of stopCodes",
				death->end->exit_code);
		tenant->about = death;
		tenant_handle(tenant, event, reason);
	}
	if (fall_back)
		tenant_fall_back(tenant, why);
}

static void fleet_ended(struct fleet *fleet, const struct fleet_death *death, void *data)
{
	struct tenant *tenant = data;
	log_death(tenant, death);
	split_leave(tenant->split, death->instance);
	if (tenant->split)
		tenant_weigh(tenant);
	record_death(tenant, death);
	if (death->outcome == FLEET_LEFT) {
		if (death->empty)
			forget_drained(tenant, fleet);
		if (tenant_waits_for_empty(tenant->machine.state) && tenant_is_empty(tenant))
			tenant_handle(tenant, TENANT_EVENT_EMPTY, "");
		return;
	}
	/* The tenant may be gone afterwards: one that was new. */
	if (fleet == tenant->next)
		next_ended(tenant, death);
	else if (fleet == tenant->active)
		active_ended(tenant, death);
}

static void fleet_start_failed(
	struct fleet *fleet, enum fleet_outcome outcome, const char *message, void *data)
{
	struct tenant *tenant = data;
	log_warn("event=start-failed tenant=%s message=\"%s\"", tenant->record.name,
		message_for_log(message));
	if (outcome == FLEET_GOES_ON)
		tenant_note(tenant, "not-started", "start-failed", NULL, message);
	else if (fleet == tenant->next)
		reject_next(tenant, message, FLEET_FAILED, "start-failed");
	else if (fleet == tenant->active)
		tenant_handle(tenant, TENANT_EVENT_EXITED, "start-failed");
}

/* A new release whose probe fails is none to keep. */
static void fleet_unready(struct fleet *fleet, struct instance *instance, void *data)
{
	struct tenant *tenant = data;
	static const char message[] = "probe-failed: its readiness probe fails";
	tenant_note(tenant, "unready", "probe-failed", instance, message);
	if (fleet == tenant->next && tenant->candidate && fleet->ready &&
		clock_ms() < tenant->trial_until_ms)
		reject_next(tenant, message, FLEET_FAILED, "probe-failed");
	else if (fleet == tenant->active && tenant_may_fall_back(tenant))
		tenant_fall_back(tenant, message);
}

/* ---- connections of a tenant that sleeps ---- */

static int connection_came(sd_event_source *source, int fd, uint32_t events, void *data)
{
	(void)source;
	(void)fd;
	(void)events;
	/* It waits in the listener's queue, for whoever starts now. */
	tenant_handle(data, TENANT_EVENT_WAKE, "a connection came");
	return 0;
}

int tenant_watch_listeners(struct tenant *tenant, struct error *error)
{
	const struct listeners *listeners = &tenant->program->listeners;
	tenant->watched = calloc(listeners->count + 1, sizeof *tenant->watched);
	if (tenant->watched == NULL)
		return error_set(error, ENOMEM, "no memory to watch listeners");
	for (size_t i = 0; i < listeners->count; i++) {
		int result = sd_event_add_io(tenant->supervisor->event,
			&tenant->watched[tenant->watched_count], listeners->items[i].fd, EPOLLIN,
			connection_came, tenant);
		if (result < 0)
			return error_errno(error, result, "cannot watch a listener");
		tenant->watched_count++;
	}
	return 0;
}

void tenant_unwatch_listeners(struct tenant *tenant)
{
	while (tenant->watched_count > 0)
		sd_event_source_disable_unref(tenant->watched[--tenant->watched_count]);
	free(tenant->watched);
	tenant->watched = NULL;
}

int tenant_wake(struct tenant *tenant)
{
	return tenant_handle(tenant, TENANT_EVENT_WAKE, "something to do");
}

struct instance *tenant_pick(const struct tenant *tenant, uint32_t turn)
{
	return fleet_pick(tenant->active, turn);
}

/* ---- a canary ---- */

static void set_weights(const struct tenant *tenant, const struct fleet *fleet, uint32_t weight)
{
	for (size_t i = 0; fleet && i < fleet->member_count; i++)
		if (fleet->members[i].role == FLEET_SERVING)
			ingress_set_weight(tenant->supervisor->factory.ingress,
				fleet->members[i].instance->id, weight);
}

void tenant_weigh(const struct tenant *tenant)
{
	const uint32_t before = fleet_serving(tenant->active), canary = fleet_serving(tenant->next);
	uint32_t of_before = 1, of_canary = 1;
	/* All of a fleet together have its share. */
	if (tenant->split && tenant->candidate && before > 0 && canary > 0) {
		of_before = (100 - tenant->candidate->canary_weight_percent) * canary;
		of_canary = tenant->candidate->canary_weight_percent * before;
	}
	set_weights(tenant, tenant->active, of_before);
	set_weights(tenant, tenant->next, of_canary);
}

int tenant_share(struct tenant *tenant, struct error *error)
{
	const struct deployment *candidate = tenant->candidate;
	if (candidate->canary_weight_percent == 0)
		return 0;
	const struct split_options options = {
		.event = tenant->supervisor->event,
		.before_listeners = &tenant->program->listeners,
		.canary_listeners = &candidate->program->listeners,
		.before = tenant->active,
		.canary = tenant->next,
		.percent = candidate->canary_weight_percent,
	};
	int result = split_new(&options, &tenant->split, error);
	tenant_weigh(tenant);
	return result;
}
