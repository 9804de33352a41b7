#include "daemon/tenant.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/log.h"
#include "daemon/ingress.h"
#include "daemon/schedule.h"
#include "daemon/supervisor.h"
#include "daemon/tenant_private.h"
#include "daemon/tenant_sites.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

uint64_t tenant_now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Length of the first line of a message that is escaped already, as a reason takes. */
static int first_line(const char *message)
{
	size_t length = strcspn(message, "\n");
	return length < 500 ? (int)length : 500;
}

bool tenant_is_empty(const struct tenant *tenant)
{
	return tenant->active == NULL && tenant->next == NULL && tenant->draining == NULL;
}

bool tenant_serves(const struct tenant *tenant)
{
	switch (tenant->machine.state) {
	case TENANT_RUNNING:
	case TENANT_REPLACING:
	case TENANT_PROVING:
	case TENANT_CANARY:
	case TENANT_IDLE:
		return true;
	default:
		return false;
	}
}

/* ---- what to run ---- */

struct program *tenant_target(const struct tenant *tenant)
{
	return tenant->candidate ? tenant->candidate->program : tenant->program;
}

/* Reads release and policy where that has not been possible yet, e.g. because the policy
 * was wrong when the daemon started. */
static int load_program(struct tenant *tenant, struct error *error)
{
	struct supervisor *supervisor = tenant->supervisor;
	struct policy *policy;
	char file[256];
	if (tenant_target(tenant))
		return 0;
	if (tenant->record.release[0] == '\0')
		return error_set(error, ENOENT, "nothing was deployed yet");
	int result = tenant_finish_policy(tenant, error);
	if (result == 0)
		result = program_policy(
			supervisor->policy_fd, tenant->record.name, &policy, file, error);
	if (result < 0)
		return result;
	result = program_new(
		supervisor->store, tenant->record.release, policy, file, &tenant->program, error);
	if (result < 0)
		return result;
	result = tenant_sites_check(tenant, tenant->program, error);
	if (result < 0)
		tenant->program = program_free(tenant->program, NULL);
	else
		tenant_sites_take(tenant);
	return result;
}

void tenant_load(struct tenant *tenant)
{
	struct error error = {0};
	tenant->since_us = tenant_now_us();
	if (load_program(tenant, &error) < 0)
		log_error("event=not-loaded tenant=%s message=\"%s\"", tenant->record.name,
			escape_for_log(error.message));
	tenant_review_schedules(tenant);
}

static bool may_run(enum tenant_state state)
{
	return state != TENANT_NEW && state != TENANT_STOPPED && state != TENANT_CRASHLOOP &&
	       state != TENANT_FAILED && state != TENANT_STOPPING && state != TENANT_REMOVING;
}

void tenant_review_schedules(struct tenant *tenant)
{
	schedules_review(tenant->supervisor->factory.schedules, tenant, tenant->record.name,
		tenant->program ? tenant->program->manifest : NULL, may_run(tenant->machine.state));
}

void tenant_releases(const struct tenant *tenant, release_fn *take, void *data)
{
	take(data, tenant->record.release);
	if (tenant->candidate)
		take(data, tenant->candidate->program->release);
	if (tenant->fallback)
		take(data, tenant_fallback_release(tenant));
	if (tenant->active)
		take(data, tenant->active->release);
	if (tenant->next)
		take(data, tenant->next->release);
	for (const struct fleet *fleet = tenant->draining; fleet; fleet = fleet->after)
		take(data, fleet->release);
}

/* ---- the actions ---- */

static void cancel(struct tenant *tenant)
{
	struct fleet *next = take_pointer(tenant->next);
	if (next)
		tenant_let_go(tenant, next, tenant->candidate ? END_DEPLOY : END_OPERATOR,
			"no longer wanted while it started");
}

static void retire(struct tenant *tenant, const struct machine_step *step)
{
	struct fleet *active = take_pointer(tenant->active);
	enum end_reason reason = END_OPERATOR;
	if (active == NULL)
		return;
	if (step->to == TENANT_IDLE)
		reason = END_IDLE;
	else if (step->to == TENANT_RUNNING && tenant->candidate)
		reason = END_DEPLOY;
	tenant_let_go(tenant, active, reason, "no longer wanted while it started");
}

static void promote(struct tenant *tenant)
{
	struct fleet *fleet = tenant->active = take_pointer(tenant->next);
	const struct instance *first = fleet_first(fleet);
	fleet->resilient = false;
	tenant->ready_us = first ? instance_ready_us(first) : 0;
	free(take_pointer(tenant->start_error));
	log_info("event=ready tenant=%s release=%.12s pid=%d ms=%.1f", tenant->record.name,
		fleet->release, first ? first->pid : 0, (double)tenant->ready_us / 1000);
	tenant_install(tenant);
}

static int open_listeners(struct tenant *tenant, struct error *error)
{
	int result = load_program(tenant, error);
	struct program *program = tenant_target(tenant);
	if (result == 0)
		result = tenant_sites_check(tenant, program, error);
	if (result < 0 || program->listeners.count > 0 || program->policy->net.listen.count == 0)
		return result;
	const struct listeners *have =
		tenant->candidate && tenant->program ? &tenant->program->listeners : NULL;
	struct state_tenant *record = &tenant->record;
	struct listener_ports ports = {.count = record->port_count};
	if (ports.count > 0)
		memcpy(ports.items, record->ports, ports.count * sizeof ports.items[0]);
	result = listeners_open(
		&program->policy->net.listen, have, &ports, &program->listeners, error);
	if (ports.count == record->port_count &&
		(ports.count == 0 || memcmp(ports.items, record->ports,
					     ports.count * sizeof ports.items[0]) == 0))
		return result;
	if (state_set_ports(record, ports.items, ports.count) < 0 && result == 0)
		result = error_set(error, ENOMEM, "no memory for ports");
	supervisor_changed(tenant->supervisor, CHANGED_RECORD);
	return result;
}

static int backoff_is_over(sd_event_source *source, uint64_t usec, void *data)
{
	struct tenant *tenant = data;
	struct supervisor *supervisor = tenant->supervisor;
	(void)source;
	(void)usec;
	tenant->restarts++;
	/* Where starts are slow it is one of many. */
	supervisor->patient = true;
	tenant_handle(tenant, TENANT_EVENT_BACKOFF_OVER, "after a delay");
	supervisor->patient = false;
	return 0;
}

static void set_timer(struct tenant *tenant, uint64_t ms, sd_event_time_handler_t handler)
{
	sd_event_add_time_relative(tenant->supervisor->event, &tenant->timer, CLOCK_MONOTONIC,
		ms * 1000, 1000, handler, tenant);
}

void tenant_resume_backoff(struct tenant *tenant, uint64_t at_ms)
{
	const uint64_t now_ms = clock_ms();
	set_timer(tenant, at_ms > now_ms ? at_ms - now_ms : 0, backoff_is_over);
}

static void delay(struct tenant *tenant)
{
	const struct backoff_limits limits = tenant_limits(tenant);
	uint64_t random = 0;
	if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
		random = clock_ns();
	tenant->backoff_ms = backoff_delay_ms(&tenant->backoff, &limits, random);
	log_info("event=backoff tenant=%s ms=%u failures=%u", tenant->record.name,
		tenant->backoff_ms, tenant->backoff.failures);
	set_timer(tenant, tenant->backoff_ms, backoff_is_over);
}

static int proved(sd_event_source *source, uint64_t usec, void *data)
{
	(void)source;
	(void)usec;
	tenant_take_over(data);
	return 0;
}

static void reset(struct tenant *tenant)
{
	backoff_reset(&tenant->backoff);
	tenant->restarts = 0;
	fleet_reset(tenant->active);
}

/* The rest of a canary's instances. Returns what follows when there is nothing to wait for. */
static enum tenant_event grow(struct tenant *tenant)
{
	struct error error = {0};
	const uint64_t count = tenant->candidate->program->manifest->instances;
	int result = fleet_grow(tenant->next, (uint32_t)count, &error);
	if (result == 0)
		return NO_EVENT;
	if (result == 1)
		result = tenant_commit(tenant, &error);
	return result < 0 ? tenant_start_failed(tenant, error.message, FLEET_FAILED)
			  : TENANT_EVENT_READY;
}

/* Those that end something, or take over. */
static void carry_out_ends(struct tenant *tenant, const struct machine_step *step)
{
	if (step->actions & TENANT_ACTION_RESET)
		reset(tenant);
	if (step->actions & TENANT_ACTION_CANCEL)
		cancel(tenant);
	if (step->actions & TENANT_ACTION_REJECT)
		tenant_reject(tenant);
	if (step->actions & TENANT_ACTION_RETIRE)
		retire(tenant, step);
	if (step->actions & TENANT_ACTION_PROMOTE)
		promote(tenant);
}

/* Carries the actions of STEP out, in their order. Returns the event that follows from
 * them, or NO_EVENT. */
static enum tenant_event carry_out(struct tenant *tenant, const struct machine_step *step)
{
	struct error error = {0};
	const uint32_t actions = step->actions;
	int result = 0;
	carry_out_ends(tenant, step);
	if (actions & TENANT_ACTION_OPEN)
		result = open_listeners(tenant, &error);
	if (result == 0 && actions & TENANT_ACTION_START)
		result = tenant_start_fleet(tenant, &error);
	if (actions & TENANT_ACTION_GROW)
		return grow(tenant);
	if (actions & TENANT_ACTION_DELAY)
		delay(tenant);
	if (actions & TENANT_ACTION_PROVE)
		set_timer(tenant, tenant_min_healthy_ms(tenant->candidate), proved);
	if (actions & TENANT_ACTION_SHARE)
		result = tenant_share(tenant, &error);
	if (actions & TENANT_ACTION_WATCH)
		result = tenant_watch_listeners(tenant, &error);
	if (actions & TENANT_ACTION_CLOSE && tenant->program)
		listeners_close(&tenant->program->listeners, NULL);
	if (result < 0 && actions & TENANT_ACTION_WATCH)
		return TENANT_EVENT_WAKE; /* rather than never */
	return result < 0 ? tenant_start_failed(tenant, error.message, FLEET_FAILED) : NO_EVENT;
}

/* ---- what is told of it ---- */

void tenant_note(const struct tenant *tenant, const char *name, const char *reason,
	const struct instance *instance, const char *message)
{
	char line[512];
	const char *state = tenant_state_name(tenant->machine.state);
	snprintf(line, sizeof line, "%.*s", message ? first_line(message) : 0,
		message ? message : "");
	events_add(tenant->supervisor->events,
		&(struct event){
			.tenant = tenant->record.name,
			.name = name,
			.from = state,
			.to = state,
			.reason = reason,
			.message = line,
			.release = instance ? instance->release : tenant->record.release,
			.pid = instance ? instance->pid : 0,
		});
}

/* The word for why, where no instance's end says it. */
static const char *cause(enum tenant_event event, const char *reason)
{
	switch (event) {
	case TENANT_EVENT_DEPLOY:
		return strncmp(reason, "auto-rollback", 13) == 0 ? "auto-rollback" : "deploy";
	case TENANT_EVENT_START:
	case TENANT_EVENT_STOP:
	case TENANT_EVENT_RESTART:
	case TENANT_EVENT_RESET:
	case TENANT_EVENT_PROMOTE:
	case TENANT_EVENT_REMOVE:
		return strncmp(reason, "tenantd", 7) == 0 ? "daemon" : "operator";
	case TENANT_EVENT_WAKE:
		return "wake";
	case TENANT_EVENT_READY:
	case TENANT_EVENT_TRIAL:
	case TENANT_EVENT_CANARY:
		return "ready";
	case TENANT_EVENT_IDLE:
		return "idle";
	case TENANT_EVENT_BACKOFF_OVER:
		return "backoff";
	case TENANT_EVENT_EMPTY:
		return "drained";
	default:
		return strcmp(reason, "operator") == 0       ? "operator"
		       : strcmp(reason, "probe-failed") == 0 ? "probe-failed"
							     : "start-failed";
	}
}

static void tell(struct tenant *tenant, enum tenant_event event, const struct machine_step *step,
	const char *reason)
{
	const struct fleet_death *about = tenant->about;
	const struct instance *first = fleet_first(tenant->next ? tenant->next : tenant->active);
	const struct program *program = tenant_target(tenant);
	const char *message = about                 ? about->end->message
			      : tenant->start_error ? tenant->start_error
						    : reason;
	char line[512];
	if (!about && (strcmp(cause(event, reason), "start-failed") != 0))
		message = event == TENANT_EVENT_REJECTED && tenant->start_error
				  ? tenant->start_error
				  : reason;
	snprintf(line, sizeof line, "%.*s", first_line(message), message);
	events_add(tenant->supervisor->events,
		&(struct event){
			.tenant = tenant->record.name,
			.name = tenant_event_name(event),
			.from = tenant_state_name(step->from),
			.to = tenant_state_name(step->to),
			.reason =
				about ? end_reason_name(about->end->reason) : cause(event, reason),
			.message = line,
			.release = about     ? about->release
				   : program ? program->release
					     : tenant->record.release,
			.pid = about   ? about->pid
			       : first ? first->pid
				       : 0,
		});
}

/* ---- events ---- */

bool tenant_waits_for_empty(enum tenant_state state)
{
	return state == TENANT_STOPPING || state == TENANT_CYCLING || state == TENANT_REMOVING;
}

static void leave_state(struct tenant *tenant, const struct machine_step *step)
{
	const bool tried = step->to == TENANT_PROVING || step->to == TENANT_CANARY;
	tenant->timer = sd_event_source_disable_unref(tenant->timer);
	tenant_unwatch_listeners(tenant);
	/* A canary's connections are shared until it has taken over, or is gone. */
	if (tenant->split && step->to != TENANT_REPLACING && step->to != TENANT_CANARY) {
		tenant->split = split_free(tenant->split);
		tenant_weigh(tenant);
	}
	if (tenant->active)
		tenant->active->resilient = tried;
}

static void enter_state(struct tenant *tenant, enum tenant_event event,
	const struct machine_step *step, const char *reason)
{
	if (step->from == step->to) {
		/* Such as the old instances of a canary, that will not come back. */
		if (tenant->about)
			tell(tenant, event, step, reason);
		tenant->about = NULL;
		return;
	}
	leave_state(tenant, step);
	tenant->since_us = tenant_now_us();
	if (event == TENANT_EVENT_REJECTED && tenant->start_error)
		snprintf(tenant->reason, sizeof tenant->reason,
			"what was to replace it failed: %.*s", first_line(tenant->start_error),
			tenant->start_error);
	else if (event != TENANT_EVENT_EMPTY) /* then why it drained is still why */
		snprintf(tenant->reason, sizeof tenant->reason, "%.*s", first_line(reason), reason);
	log_debug("event=state tenant=%s from=%s to=%s by=%s reason=\"%s\"", tenant->record.name,
		tenant_state_name(step->from), tenant_state_name(step->to),
		tenant_event_name(event), escape_for_log(reason));
	tell(tenant, event, step, reason);
	tenant->about = NULL;
	tenant_sites_state(tenant);
	supervisor_changed(tenant->supervisor, CHANGED_STATUS);
}

static void forget(struct tenant *tenant)
{
	struct supervisor *supervisor = tenant->supervisor;
	log_info("event=removed tenant=%s", tenant->record.name);
	schedules_forget_tenant(supervisor->factory.schedules, tenant->record.name, true);
	supervisor_remove(supervisor, tenant);
}

int tenant_handle(struct tenant *tenant, enum tenant_event event, const char *reason)
{
	struct machine_step step;
	int result = machine_step(&tenant->machine, event, &step);
	bool changed = false;
	if (result < 0)
		return result;
	if (event == TENANT_EVENT_START || event == TENANT_EVENT_WAKE)
		fleet_hurry(tenant->next);
	for (;;) {
		changed |= step.from != step.to || step.actions != 0;
		enter_state(tenant, event, &step, reason);
		enum tenant_event follows = carry_out(tenant, &step);
		if (step.actions & TENANT_ACTION_FORGET) {
			/* Whoever is told that it is gone may rely on that. */
			tenant->record.release[0] = '\0';
			supervisor_changed(tenant->supervisor, CHANGED_RECORD);
			ingress_forget(tenant->supervisor->ingress, tenant->record.name);
		}
		tenant_settle(tenant, event, &step);
		if (step.actions & TENANT_ACTION_FORGET) {
			forget(tenant);
			return 0;
		}
		if (follows == NO_EVENT && tenant_waits_for_empty(tenant->machine.state) &&
			tenant_is_empty(tenant))
			follows = TENANT_EVENT_EMPTY;
		if (follows == NO_EVENT)
			break;
		event = follows;
		reason = event == TENANT_EVENT_EMPTY ? ""
			 : tenant->start_error       ? tenant->start_error
						     : "ready";
		if (machine_step(&tenant->machine, event, &step) < 0)
			break;
	}
	/* A review may end in WAKE, which must not end in a review. */
	if (changed)
		tenant_review_schedules(tenant);
	supervisor_check_end(tenant->supervisor);
	return 0;
}

/* ---- the rest ---- */

void tenant_kill(struct tenant *tenant)
{
	static const char message[] = "killed: tenantd ends";
	for (struct fleet *fleet = tenant->draining; fleet; fleet = fleet->after)
		fleet_kill(fleet, END_OPERATOR, message);
	if (tenant->next)
		fleet_kill(tenant->next, END_OPERATOR, message);
	if (tenant->active)
		fleet_kill(tenant->active, END_OPERATOR, message);
}

struct tenant *tenant_free(struct tenant *tenant)
{
	if (tenant == NULL)
		return NULL;
	tenant->split = split_free(tenant->split);
	tenant_unwatch_listeners(tenant);
	while (tenant->draining) {
		struct fleet *fleet = tenant->draining;
		tenant->draining = fleet->after;
		fleet_free(fleet);
	}
	fleet_free(tenant->next);
	fleet_free(tenant->active);
	tenant_answer_all(tenant, -ECANCELED, "tenantd ends");
	sd_event_source_disable_unref(tenant->timer);
	schedules_forget_tenant(tenant->supervisor->factory.schedules, tenant->record.name, false);
	tenant_drop_fallback(tenant);
	deployment_free(tenant->candidate, NULL);
	program_free(tenant->program, NULL);
	tenant_log_free(tenant->log);
	deaths_free(tenant->deaths);
	free(tenant->last_end);
	free(tenant->record.ports);
	free(tenant->start_error);
	free(tenant);
	return NULL;
}
