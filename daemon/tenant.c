#include "daemon/tenant.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/file.h"
#include "common/log.h"
#include "daemon/supervisor.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define NO_EVENT TENANT_EVENT_COUNT

static void on_ready(struct instance *instance, void *data);
static void on_ended(struct instance *instance, void *data);
static const struct instance_events instance_events = {on_ready, on_ended};

static uint64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Length of the first line of a message that is escaped already, as one log line takes. */
static int first_line(const char *message)
{
	size_t length = strcspn(message, "\n");
	return length < 500 ? (int)length : 500;
}

bool tenant_is_empty(const struct tenant *tenant)
{
	for (size_t i = 0; i < TENANT_DRAINING_MAX; i++)
		if (tenant->draining[i])
			return false;
	return tenant->current == NULL && tenant->next == NULL;
}

/* ---- what to run ---- */

static struct program *target(const struct tenant *tenant)
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
	if (target(tenant))
		return 0;
	if (tenant->record.release[0] == '\0')
		return error_set(error, ENOENT, "nothing was deployed yet");
	int result =
		program_policy(supervisor->policy_fd, tenant->record.name, &policy, file, error);
	if (result < 0)
		return result;
	return program_new(
		supervisor->store, tenant->record.release, policy, file, &tenant->program, error);
}

void tenant_load(struct tenant *tenant)
{
	struct error error = {0};
	tenant->since_us = now_us();
	if (load_program(tenant, &error) < 0)
		log_error("event=not-loaded tenant=%s message=\"%s\"", tenant->record.name,
			escape_for_log(error.message));
}

struct deployment *deployment_free(struct deployment *deployment, const struct listeners *keep)
{
	if (deployment == NULL)
		return NULL;
	program_free(deployment->program, keep);
	free(deployment->policy_text);
	free(deployment);
	return NULL;
}

/* ---- waiting ---- */

int tenant_wait(struct tenant *tenant, enum waiter_goal goal, waiter_fn *done, void *data)
{
	struct waiter *waiter = malloc(sizeof *waiter);
	if (waiter == NULL)
		return -ENOMEM;
	*waiter = (struct waiter){tenant->waiters, goal, done, data};
	tenant->waiters = waiter;
	return 0;
}

void tenant_forget_waiter(struct tenant *tenant, const void *data)
{
	struct waiter **place = &tenant->waiters;
	while (*place) {
		struct waiter *waiter = *place;
		if (waiter->data != data) {
			place = &waiter->next;
			continue;
		}
		*place = waiter->next;
		free(waiter);
	}
}

/* Answers all who wait for GOAL. They may add no new waiters. */
static void answer(struct tenant *tenant, enum waiter_goal goal, int result, const char *message)
{
	struct waiter **place = &tenant->waiters, *answered = NULL;
	while (*place) {
		struct waiter *waiter = *place;
		if (waiter->goal != goal) {
			place = &waiter->next;
			continue;
		}
		*place = waiter->next;
		waiter->next = answered;
		answered = waiter;
	}
	while (answered) {
		struct waiter *waiter = answered;
		answered = waiter->next;
		waiter->done(waiter->data, tenant, result, message);
		free(waiter);
	}
}

/* Who has what they waited for, or will not get it, after EVENT took STEP. */
static void settle(struct tenant *tenant, enum tenant_event event, const struct machine_step *step)
{
	if (event == TENANT_EVENT_READY)
		answer(tenant, WAIT_UP, 0, "");
	else if (event == TENANT_EVENT_REJECTED || event == TENANT_EVENT_UNFIT ||
		 (event == TENANT_EVENT_GAVE_UP && step->from == TENANT_STARTING))
		answer(tenant, WAIT_UP, -ECHILD, tenant->start_error);
	switch (step->to) {
	case TENANT_STOPPED:
		answer(tenant, WAIT_DOWN, 0, "");
		answer(tenant, WAIT_UP, -ECANCELED, "it was stopped");
		break;
	case TENANT_STOPPING:
		answer(tenant, WAIT_UP, -ECANCELED, "it was stopped");
		break;
	case TENANT_CYCLING:
		answer(tenant, WAIT_DOWN, -ECANCELED, "it was started again");
		break;
	case TENANT_REMOVING:
		answer(tenant, WAIT_UP, -ECANCELED, "it was removed");
		break;
	case TENANT_NEW:
		answer(tenant, WAIT_GONE, 0, "");
		answer(tenant, WAIT_DOWN, 0, "");
		answer(tenant, WAIT_UP, -ECANCELED, "it was removed");
		break;
	default:
		break;
	}
}

/* ---- the actions ---- */

/* INSTANCE, which is neither current nor next any more, drains or dies on its own. */
static void let_go(struct tenant *tenant, struct instance *instance)
{
	size_t place = 0, oldest = 0;
	while (place < TENANT_DRAINING_MAX && tenant->draining[place])
		place++;
	if (place == TENANT_DRAINING_MAX) {
		for (size_t i = 1; i < TENANT_DRAINING_MAX; i++)
			if (tenant->draining[i]->id < tenant->draining[oldest]->id)
				oldest = i;
		place = oldest;
		instance_free(tenant->draining[place]);
	}
	tenant->draining[place] = instance;
}

static void cancel(struct tenant *tenant)
{
	struct instance *next = take_pointer(tenant->next);
	if (next == NULL)
		return;
	let_go(tenant, next);
	instance_kill(next, END_OPERATOR, "no longer wanted while it started");
}

static void reject(struct tenant *tenant)
{
	const struct listeners *keep = tenant->program ? &tenant->program->listeners : NULL;
	if (tenant->candidate == NULL)
		return;
	log_info("event=rejected tenant=%s release=%.12s", tenant->record.name,
		tenant->candidate->program->release);
	tenant->candidate = deployment_free(tenant->candidate, keep);
	supervisor_changed(tenant->supervisor, CHANGED_RELEASES);
}

static void retire(struct tenant *tenant, enum tenant_state to)
{
	struct instance *current = take_pointer(tenant->current);
	if (current == NULL)
		return;
	let_go(tenant, current);
	uint32_t grace_ms = tenant->program ? (uint32_t)tenant->program->manifest->grace_ms : 0;
	instance_drain(current, grace_ms,
		to == TENANT_RUNNING && tenant->candidate ? END_DEPLOY : END_OPERATOR);
}

static void promote(struct tenant *tenant)
{
	struct deployment *deployment = take_pointer(tenant->candidate);
	tenant->current = take_pointer(tenant->next);
	tenant->ready_us = instance_ready_us(tenant->current);
	tenant->start_error[0] = '\0';
	log_info("event=ready tenant=%s release=%.12s pid=%d ms=%.1f", tenant->record.name,
		tenant->current->release, tenant->current->pid, (double)tenant->ready_us / 1000);
	if (deployment == NULL)
		return;
	struct program *old = tenant->program;
	tenant->program = take_pointer(deployment->program);
	program_free(old, &tenant->program->listeners);
	deployment_free(deployment, NULL);
	tenant->restarts = 0;
	supervisor_changed(tenant->supervisor, CHANGED_RELEASES);
}

static int open_listeners(struct tenant *tenant, struct error *error)
{
	int result = load_program(tenant, error);
	struct program *program = target(tenant);
	if (result < 0 || program->listeners.count > 0 || program->policy->net.listen.count == 0)
		return result;
	const struct listeners *have =
		tenant->candidate && tenant->program ? &tenant->program->listeners : NULL;
	struct listener_ports before = tenant->record.ports;
	result = listeners_open(&program->policy->net.listen, have, &tenant->record.ports,
		&program->listeners, error);
	if (memcmp(&before, &tenant->record.ports, sizeof before) != 0)
		supervisor_changed(tenant->supervisor, CHANGED_RECORD);
	return result;
}

static int start_instance(struct tenant *tenant, struct error *error)
{
	const struct program *program = target(tenant);
	struct instance_spec spec = {
		.tenant = tenant->record.name,
		.release = program->release,
		.release_fd = program->release_fd,
		.entry = program->entry,
		.mode = WORKER_MODE_SERVE,
		.policy = program->policy,
		.listeners = &program->listeners,
		.uid_slot = tenant->record.uid_slot,
		.startup_ms = (uint32_t)program->manifest->startup_ms,
		.idle_ms = (uint32_t)program->manifest->idle_ms,
		.log = tenant->log,
	};
	int result = instance_start(&tenant->supervisor->factory, &spec, &instance_events, tenant,
		&tenant->next, error);
	if (result == 0)
		supervisor_watch(tenant->supervisor);
	return result;
}

static int backoff_is_over(sd_event_source *source, uint64_t usec, void *data)
{
	struct tenant *tenant = data;
	(void)source;
	(void)usec;
	tenant->restarts++;
	tenant_handle(tenant, TENANT_EVENT_BACKOFF_OVER, "after a delay");
	return 0;
}

static void delay(struct tenant *tenant)
{
	uint64_t random = 0;
	if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
		random = clock_ns();
	tenant->backoff_ms = backoff_delay_ms(&tenant->backoff, &backoff_defaults, random);
	log_info("event=backoff tenant=%s ms=%u failures=%u", tenant->record.name,
		tenant->backoff_ms, tenant->backoff.failures);
	sd_event_add_time_relative(tenant->supervisor->event, &tenant->backoff_timer,
		CLOCK_MONOTONIC, (uint64_t)tenant->backoff_ms * 1000, 1000, backoff_is_over,
		tenant);
}

/* Which event a start that failed is: back to something older, or on to another try. */
static enum tenant_event start_failed(struct tenant *tenant, const char *message)
{
	snprintf(tenant->start_error, sizeof tenant->start_error, "%s", message);
	log_warn("event=start-failed tenant=%s message=\"%s\"", tenant->record.name,
		message_for_log(message));
	if (tenant->candidate || tenant->machine.state == TENANT_REPLACING)
		return TENANT_EVENT_REJECTED;
	bool never =
		tenant->program && tenant->program->manifest->restart == MANIFEST_RESTART_NEVER;
	return backoff_failed(&tenant->backoff, &backoff_defaults, clock_ms(), 0) || never
		       ? TENANT_EVENT_GAVE_UP
		       : TENANT_EVENT_UNFIT;
}

/* Carries the actions of STEP out, in their order. Returns the event that follows from
 * them, or NO_EVENT. */
static enum tenant_event carry_out(struct tenant *tenant, const struct machine_step *step)
{
	struct error error = {0};
	const uint32_t actions = step->actions;
	int result = 0;
	if (actions & TENANT_ACTION_RESET) {
		backoff_reset(&tenant->backoff);
		tenant->restarts = 0;
	}
	if (actions & TENANT_ACTION_CANCEL)
		cancel(tenant);
	if (actions & TENANT_ACTION_REJECT)
		reject(tenant);
	if (actions & TENANT_ACTION_RETIRE)
		retire(tenant, step->to);
	if (actions & TENANT_ACTION_PROMOTE)
		promote(tenant);
	if (actions & TENANT_ACTION_OPEN)
		result = open_listeners(tenant, &error);
	if (result == 0 && actions & TENANT_ACTION_START)
		result = start_instance(tenant, &error);
	if (actions & TENANT_ACTION_DELAY)
		delay(tenant);
	if (actions & TENANT_ACTION_CLOSE && tenant->program)
		listeners_close(&tenant->program->listeners, NULL);
	return result < 0 ? start_failed(tenant, error.message) : NO_EVENT;
}

/* ---- events ---- */

static bool waits_for_empty(enum tenant_state state)
{
	return state == TENANT_STOPPING || state == TENANT_CYCLING || state == TENANT_REMOVING;
}

static void enter_state(struct tenant *tenant, enum tenant_event event,
	const struct machine_step *step, const char *reason)
{
	if (step->from == step->to)
		return;
	tenant->backoff_timer = sd_event_source_disable_unref(tenant->backoff_timer);
	tenant->since_us = now_us();
	if (event == TENANT_EVENT_REJECTED)
		snprintf(tenant->reason, sizeof tenant->reason,
			"what was to replace it failed: %.*s", first_line(tenant->start_error),
			tenant->start_error);
	else if (event != TENANT_EVENT_EMPTY) /* then why it drained is still why */
		snprintf(tenant->reason, sizeof tenant->reason, "%.*s", first_line(reason), reason);
	log_debug("event=state tenant=%s from=%s to=%s by=%s reason=\"%s\"", tenant->record.name,
		tenant_state_name(step->from), tenant_state_name(step->to),
		tenant_event_name(event), escape_for_log(reason));
	supervisor_changed(tenant->supervisor, CHANGED_STATUS);
}

static void forget(struct tenant *tenant)
{
	struct supervisor *supervisor = tenant->supervisor;
	log_info("event=removed tenant=%s", tenant->record.name);
	supervisor_remove(supervisor, tenant);
}

int tenant_handle(struct tenant *tenant, enum tenant_event event, const char *reason)
{
	struct machine_step step;
	int result = machine_step(&tenant->machine, event, &step);
	if (result < 0)
		return result;
	for (;;) {
		enter_state(tenant, event, &step, reason);
		enum tenant_event follows = carry_out(tenant, &step);
		if (step.actions & TENANT_ACTION_FORGET) {
			/* Whoever is told that it is gone may rely on that. */
			tenant->record.release[0] = '\0';
			supervisor_changed(tenant->supervisor, CHANGED_RECORD);
		}
		settle(tenant, event, &step);
		if (step.actions & TENANT_ACTION_FORGET) {
			forget(tenant);
			return 0;
		}
		if (follows == NO_EVENT && waits_for_empty(tenant->machine.state) &&
			tenant_is_empty(tenant))
			follows = TENANT_EVENT_EMPTY;
		if (follows == NO_EVENT)
			break;
		event = follows;
		reason = event == TENANT_EVENT_EMPTY ? "" : tenant->start_error;
		if (machine_step(&tenant->machine, event, &step) < 0)
			break;
	}
	supervisor_check_end(tenant->supervisor);
	return 0;
}

/* ---- a deployment ---- */

int tenant_deploy(struct tenant *tenant, struct deployment *deployment, const char *reason,
	struct error *error)
{
	const struct listeners *keep = tenant->program ? &tenant->program->listeners : NULL;
	struct machine probe = tenant->machine;
	struct machine_step step;
	int result = 0;
	if (tenant->candidate)
		result = error_set(error, EBUSY,
			"another deployment of %s is under way: wait for it, or stop the tenant",
			tenant->record.name);
	else if (machine_step(&probe, TENANT_EVENT_DEPLOY, &step) < 0)
		result = error_set(error, EPERM, "%s is %s: deploy when that is over",
			tenant->record.name, tenant_state_name(tenant->machine.state));
	if (result < 0) {
		deployment_free(deployment, keep);
		return result;
	}
	tenant->candidate = deployment;
	return tenant_handle(tenant, TENANT_EVENT_DEPLOY, reason);
}

/* Writes the operator's policy. On failure the old file is as it was. */
static int install_policy(struct tenant *tenant, const char *text, struct error *error)
{
	char path[128];
	snprintf(path, sizeof path, "%s.json", tenant->record.name);
	int result = file_write_atomic(
		tenant->supervisor->policy_fd, path, text, strlen(text), 0644, error);
	return result < 0 ? error_prefix(error, "cannot install the policy") : 0;
}

static void restore_policy(struct tenant *tenant, const char *text)
{
	struct error error = {0};
	char path[128];
	snprintf(path, sizeof path, "%s.json", tenant->record.name);
	if (text)
		install_policy(tenant, text, &error);
	else
		unlinkat(tenant->supervisor->policy_fd, path, 0);
	if (error.code)
		log_error("event=policy-not-restored tenant=%s message=\"%s\"", tenant->record.name,
			escape_for_log(error.message));
}

/* Makes the deployment durable, before it is allowed to take over: the policy first,
 * then the state file; if that fails, the policy goes back. */
static int commit(struct tenant *tenant, struct error *error)
{
	struct supervisor *supervisor = tenant->supervisor;
	const struct deployment *deployment = tenant->candidate;
	struct state_tenant before = tenant->record;
	cleanup_free char *old_policy = NULL;
	struct error ignored;
	char path[128];
	snprintf(path, sizeof path, "%s.json", tenant->record.name);
	if (deployment->policy_text) {
		file_read(supervisor->policy_fd, path, POLICY_LENGTH_MAX, &old_policy, NULL,
			&ignored);
		int result = install_policy(tenant, deployment->policy_text, error);
		if (result < 0)
			return result;
	}
	snprintf(tenant->record.release, sizeof tenant->record.release, "%s",
		deployment->program->release);
	tenant->record.running = true;
	int result = supervisor_save(supervisor, error);
	if (result < 0) {
		tenant->record = before;
		if (deployment->policy_text)
			restore_policy(tenant, old_policy);
	}
	return result;
}

/* ---- what instances do ---- */

static void on_ready(struct instance *instance, void *data)
{
	struct tenant *tenant = data;
	struct error error = {0};
	if (instance != tenant->next)
		return;
	if (tenant->candidate && commit(tenant, &error) < 0) {
		instance_kill(instance, END_DEPLOY, error.message); /* on_ended rejects it */
		return;
	}
	tenant_handle(tenant, TENANT_EVENT_READY, "ready");
}

static void log_end(struct tenant *tenant, const struct instance *instance)
{
	const struct instance_end *end = &instance->end;
	char line[640];
	int first = first_line(end->message);
	log_info("event=ended tenant=%s release=%.12s pid=%d reason=%s exit_code=%d signal=%d "
		 "message=\"%s\"",
		tenant->record.name, instance->release, instance->pid, end_reason_name(end->reason),
		end->exit_code, end->signal, message_for_log(end->message));
	if (end->reason == END_DRAINED || end->reason == END_OPERATOR || end->reason == END_DEPLOY)
		return;
	snprintf(line, sizeof line, "worker %d ended: %s: %.*s", instance->pid,
		end_reason_name(end->reason), first, end->message);
	tenant_log_note(tenant->log, line);
}

/* Which event the end of the serving instance is. */
static enum tenant_event classify_exit(struct tenant *tenant, const struct instance *instance)
{
	const enum manifest_restart restart = tenant->program->manifest->restart;
	uint64_t served_ms = (clock_ns() - instance->ready_ns) / 1000000;
	if (instance->end.exit_code == 0 && restart != MANIFEST_RESTART_ALWAYS)
		return TENANT_EVENT_FINISHED;
	if (restart == MANIFEST_RESTART_NEVER)
		return TENANT_EVENT_GAVE_UP;
	return backoff_failed(&tenant->backoff, &backoff_defaults, clock_ms(), served_ms)
		       ? TENANT_EVENT_GAVE_UP
		       : TENANT_EVENT_EXITED;
}

static enum tenant_event next_ended(struct tenant *tenant, const struct instance *instance)
{
	char message[sizeof tenant->start_error];
	const enum end_reason why = instance->end.reason;
	/* What we did to it ourselves needs no other reason than the message. */
	bool ours = why == END_DEPLOY || why == END_OPERATOR;
	snprintf(message, sizeof message, "%s%s%s", ours ? "" : end_reason_name(why),
		ours ? "" : ": ", instance->end.message);
	tenant->next = NULL;
	return start_failed(tenant, message);
}

static void on_ended(struct instance *instance, void *data)
{
	struct tenant *tenant = data;
	enum tenant_event event = TENANT_EVENT_EMPTY;
	char reason[sizeof tenant->reason];
	log_end(tenant, instance);
	snprintf(reason, sizeof reason, "%s", end_reason_name(instance->end.reason));
	if (instance == tenant->current || instance == tenant->next ||
		waits_for_empty(tenant->machine.state))
		tenant->last_end = instance->end;
	if (instance == tenant->current) {
		event = classify_exit(tenant, instance);
		tenant->current = NULL;
	} else if (instance == tenant->next) {
		event = next_ended(tenant, instance);
	} else {
		for (size_t i = 0; i < TENANT_DRAINING_MAX; i++)
			if (tenant->draining[i] == instance)
				tenant->draining[i] = NULL;
		supervisor_changed(tenant->supervisor, CHANGED_RELEASES);
	}
	instance_free(instance);
	if (event != TENANT_EVENT_EMPTY)
		tenant_handle(tenant, event, reason);
	else if (waits_for_empty(tenant->machine.state) && tenant_is_empty(tenant))
		tenant_handle(tenant, TENANT_EVENT_EMPTY, "");
}

/* ---- the rest ---- */

void tenant_new_policy(struct tenant *tenant, struct policy *policy, const char *file)
{
	struct error error = {0};
	struct program *program = tenant->program;
	cleanup_free char *new_text = policy_print(policy);
	cleanup_free char *old_text = program ? policy_print(program->policy) : NULL;
	if (program == NULL || (new_text && old_text && strcmp(new_text, old_text) == 0)) {
		policy_free(policy);
		if (program)
			snprintf(program->policy_file, sizeof program->policy_file, "%s", file);
		return;
	}
	struct deployment *deployment = calloc(1, sizeof *deployment);
	int result = deployment ? program_new(tenant->supervisor->store, program->release, policy,
					  file, &deployment->program, &error)
				: error_set(&error, ENOMEM, "no memory");
	if (result == 0 && tenant->machine.state == TENANT_STOPPED) {
		program_free(program, NULL);
		tenant->program = take_pointer(deployment->program);
		deployment_free(deployment, NULL);
		log_info("event=policy-changed tenant=%s", tenant->record.name);
		return;
	}
	if (result == 0)
		result = tenant_deploy(tenant, deployment, "its policy changed", &error);
	else
		free(deployment);
	if (result < 0)
		log_warn("event=policy-not-applied tenant=%s message=\"%s\"", tenant->record.name,
			escape_for_log(error.message));
	else
		log_info("event=policy-changed tenant=%s", tenant->record.name);
}

static void kill_instance(struct instance *instance)
{
	if (instance)
		instance_kill(instance, END_OPERATOR, "killed: tenantd ends");
}

void tenant_kill(struct tenant *tenant)
{
	for (size_t i = 0; i < TENANT_DRAINING_MAX; i++)
		kill_instance(tenant->draining[i]);
	kill_instance(tenant->next);
	kill_instance(tenant->current);
}

struct tenant *tenant_free(struct tenant *tenant)
{
	if (tenant == NULL)
		return NULL;
	for (size_t i = 0; i < TENANT_DRAINING_MAX; i++)
		instance_free(tenant->draining[i]);
	instance_free(tenant->next);
	instance_free(tenant->current);
	answer(tenant, WAIT_UP, -ECANCELED, "tenantd ends");
	answer(tenant, WAIT_DOWN, -ECANCELED, "tenantd ends");
	answer(tenant, WAIT_GONE, -ECANCELED, "tenantd ends");
	sd_event_source_disable_unref(tenant->backoff_timer);
	deployment_free(tenant->candidate, NULL);
	program_free(tenant->program, NULL);
	tenant_log_free(tenant->log);
	free(tenant);
	return NULL;
}
