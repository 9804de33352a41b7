/* Deployments: a release or a policy that is tried beside what serves, takes over when it is
 * well, and is rolled back when it does not stay so. */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/file.h"
#include "common/log.h"
#include "daemon/policy_change.h"
#include "daemon/releases.h"
#include "daemon/supervisor.h"
#include "daemon/tenant_private.h"
#include "daemon/tenant_sites.h"

#include <errno.h>
#include <string.h>

struct fallback {
	struct program *program; /* its listeners are closed */
	char *policy_text;       /* that came back with it; NULL: the operator's stays */
	bool policy_remove;
	sd_event_source *timer;
};

struct deployment *deployment_free(struct deployment *deployment, const struct listeners *keep)
{
	if (deployment == NULL)
		return NULL;
	program_free(deployment->program, keep);
	free(deployment->policy_text);
	free(deployment->policy_before);
	free(deployment->who);
	free(deployment);
	return NULL;
}

/* ---- how it is tried ---- */

uint32_t tenant_candidate_count(const struct deployment *deployment)
{
	const uint32_t most = (uint32_t)deployment->program->manifest->instances;
	uint32_t count = deployment->canary_instances;
	if (deployment->strategy != DEPLOY_CANARY)
		return most;
	if (count == 0)
		count = (most * deployment->canary_weight_percent + 99) / 100;
	return count == 0 ? 1 : count < most ? count : most;
}

uint64_t tenant_min_healthy_ms(const struct deployment *deployment)
{
	return deployment->min_healthy_ms ? deployment->min_healthy_ms
					  : deployment->program->manifest->min_healthy_ms;
}

/* How long its failures count against it. */
static uint64_t healthy_ms(const struct deployment *deployment)
{
	const uint64_t least = tenant_min_healthy_ms(deployment);
	return least > TENANT_HEALTHY_MS ? least : TENANT_HEALTHY_MS;
}

static int refuse_second(const struct tenant *tenant, struct error *error)
{
	const struct deployment *other = tenant->candidate;
	char since[32];
	return error_set(error, EBUSY, "%s of %s is under way, by %s, since %s: %s",
		tenant->machine.state == TENANT_CANARY ? "a canary" : "another deployment",
		tenant->record.name, other->who ? other->who : "tenantd",
		format_time(since, other->since_us),
		tenant->machine.state == TENANT_CANARY ? "promote it, or roll it back"
						       : "wait for it, or stop the tenant");
}

int tenant_deploy(struct tenant *tenant, struct deployment *deployment, const char *reason,
	struct error *error)
{
	const struct listeners *keep = tenant->program ? &tenant->program->listeners : NULL;
	struct machine probe = tenant->machine;
	struct machine_step step;
	int result = 0;
	if (tenant->candidate)
		result = refuse_second(tenant, error);
	else if (machine_step(&probe, TENANT_EVENT_DEPLOY, &step) < 0)
		result = error_set(error, EPERM, "%s is %s: deploy when that is over",
			tenant->record.name, tenant_state_name(tenant->machine.state));
	if (result < 0) {
		deployment_free(deployment, keep);
		return result;
	}
	/* Beside what does not run there is nothing to compare it with. */
	if (tenant->machine.state != TENANT_RUNNING)
		deployment->strategy = DEPLOY_ALL_AT_ONCE;
	deployment->since_us = tenant_now_us();
	tenant->trial_until_ms = 0;
	free(take_pointer(tenant->start_error)); /* of an earlier one */
	tenant->candidate = deployment;
	return tenant_handle(tenant, TENANT_EVENT_DEPLOY, reason);
}

void tenant_next_ready(struct tenant *tenant)
{
	const struct deployment *candidate = tenant->candidate;
	const enum tenant_state state = tenant->machine.state;
	const bool fresh = candidate && tenant->trial_until_ms == 0;
	if (!fresh) {
		tenant_take_over(tenant);
		return;
	}
	tenant->trial_until_ms = clock_ms() + healthy_ms(candidate);
	if (candidate->strategy == DEPLOY_CANARY && state == TENANT_REPLACING)
		tenant_handle(tenant, TENANT_EVENT_CANARY, "its canary serves");
	else if (tenant_min_healthy_ms(candidate) > 0)
		tenant_handle(tenant, TENANT_EVENT_TRIAL, "ready, and to stay so");
	else
		tenant_take_over(tenant);
}

void tenant_take_over(struct tenant *tenant)
{
	struct error error = {0};
	if (tenant->candidate && tenant_commit(tenant, &error) < 0)
		tenant_handle(tenant, tenant_start_failed(tenant, error.message, FLEET_FAILED),
			"not-durable");
	else
		tenant_handle(tenant, TENANT_EVENT_READY, "ready");
}

int tenant_promote(struct tenant *tenant, const char *reason, struct error *error)
{
	const enum tenant_state state = tenant->machine.state;
	if (state == TENANT_CANARY)
		return tenant_handle(tenant, TENANT_EVENT_PROMOTE, reason);
	if (state != TENANT_PROVING)
		return error_set(error, EPERM, "%s has no canary to promote: it is %s",
			tenant->record.name, tenant_state_name(state));
	tenant_take_over(tenant);
	return 0;
}

int tenant_abort_candidate(struct tenant *tenant, const char *reason, struct error *error)
{
	if (tenant->candidate == NULL)
		return error_set(
			error, EPERM, "no deployment of %s is under way", tenant->record.name);
	free(tenant->start_error);
	tenant->start_error = strdup(reason);
	return tenant_handle(tenant, TENANT_EVENT_REJECTED, "operator");
}

void tenant_reject(struct tenant *tenant)
{
	const struct listeners *keep = tenant->program ? &tenant->program->listeners : NULL;
	if (tenant->candidate == NULL)
		return;
	log_info("event=rejected tenant=%s release=%.12s", tenant->record.name,
		tenant->candidate->program->release);
	release_is_rejected(tenant, tenant->candidate,
		tenant->start_error ? tenant->start_error : tenant->reason);
	tenant->candidate = deployment_free(tenant->candidate, keep);
	supervisor_changed(tenant->supervisor, CHANGED_RELEASES);
}

bool tenant_is_candidate(const struct tenant *tenant, uint32_t instance)
{
	return tenant->candidate && fleet_has(tenant->next, instance);
}

/* ---- making it durable ---- */

int tenant_finish_policy(struct tenant *tenant, struct error *error)
{
	struct state_tenant *record = &tenant->record;
	const int folder_fd = tenant->supervisor->policy_fd;
	char change[POLICY_CHANGE_SIZE];
	struct error why = {0};
	if (record->policy_change[0] == '\0')
		return 0;
	int result = policy_change_apply(folder_fd, record->name, record->policy_change, error);
	if (result < 0)
		return error_prefix(
			error, "the release %.12s has a policy of its own", record->release);
	if (result > 0) {
		log_warn("event=policy-not-durable tenant=%s", record->name);
		return 0;
	}
	/* A later file of the operator's is not to be taken for the one that goes, so its name
	 * stays for as long as the state file speaks of it. */
	const bool went = record->policy_change[0] == 'r';
	memcpy(change, record->policy_change, sizeof change);
	record->policy_change[0] = '\0';
	supervisor_changed(tenant->supervisor, CHANGED_RECORD);
	if (went && supervisor_save(tenant->supervisor, &why) < 0)
		memcpy(record->policy_change, change, sizeof change);
	else if (went)
		policy_change_forget(folder_fd, record->name, change);
	return 0;
}

/* What is to become of the policy file: what is there now is kept, to go back to. */
static int prepare_policy(struct tenant *tenant, struct deployment *deployment, struct error *error)
{
	struct supervisor *supervisor = tenant->supervisor;
	char path[128];
	snprintf(path, sizeof path, "%s.json", tenant->record.name);
	if (deployment->policy_text == NULL && !deployment->policy_remove)
		return 0;
	int result = file_read(supervisor->policy_fd, path, POLICY_LENGTH_MAX,
		&deployment->policy_before, NULL, error);
	if (result < 0 && result != -ENOENT) /* what could not be restored is not replaced */
		return error_prefix(error, "cannot keep the old policy");
	return policy_change_prepare(supervisor->policy_fd, tenant->record.name,
		deployment->policy_text, tenant->record.policy_change, error);
}

/* RESULT is that of a state file that was to say what BEFORE did not. */
static void take_back(struct tenant *tenant, const struct state_tenant *before, int result)
{
	char change[POLICY_CHANGE_SIZE];
	memcpy(change, tenant->record.policy_change, sizeof change);
	tenant->record = *before;
	/* What a restart would read is not known: it may be the new release, with its policy. */
	if (result == -ENOTRECOVERABLE)
		supervisor_changed(tenant->supervisor, CHANGED_RECORD);
	else if (change[0] && strcmp(change, before->policy_change) != 0)
		policy_change_forget(tenant->supervisor->policy_fd, before->name, change);
}

/* The state file is written, the policy could not be put in place: BEFORE holds. */
static void go_back(struct tenant *tenant, const struct state_tenant *before)
{
	struct error error = {0};
	struct state_tenant wanted = tenant->record;
	tenant->record = *before;
	int result = supervisor_save(tenant->supervisor, &error);
	tenant->record = wanted;
	/* Until it can be written, a restart would find the new release, and finish the change. */
	take_back(tenant, before, result < 0 ? -ENOTRECOVERABLE : 0);
}

int tenant_commit(struct tenant *tenant, struct error *error)
{
	struct deployment *deployment = tenant->candidate;
	/* Looked at when it started; another may have taken them since. */
	int result = tenant_sites_check(tenant, deployment->program, error);
	if (result == 0)
		result = tenant_finish_policy(tenant, error);
	const struct state_tenant before = tenant->record;
	if (result == 0)
		result = prepare_policy(tenant, deployment, error);
	if (result < 0)
		return result;
	snprintf(tenant->record.release, sizeof tenant->record.release, "%s",
		deployment->program->release);
	tenant->record.running = true;
	result = supervisor_save(tenant->supervisor, error);
	if (result < 0) {
		take_back(tenant, &before, result);
		return result;
	}
	result = tenant_finish_policy(tenant, error);
	if (result < 0)
		go_back(tenant, &before);
	else
		release_is_live(tenant, before.release, deployment);
	return result;
}

/* ---- taking over, and going back ---- */

void tenant_drop_fallback(struct tenant *tenant)
{
	struct fallback *fallback = take_pointer(tenant->fallback);
	if (fallback == NULL)
		return;
	sd_event_source_disable_unref(fallback->timer);
	program_free(fallback->program, NULL);
	free(fallback->policy_text);
	free(fallback);
	supervisor_changed(tenant->supervisor, CHANGED_RELEASES);
}

const char *tenant_fallback_release(const struct tenant *tenant)
{
	return tenant->fallback ? tenant->fallback->program->release : NULL;
}

static int proved_itself(sd_event_source *source, uint64_t usec, void *data)
{
	(void)source;
	(void)usec;
	tenant_drop_fallback(data);
	return 0;
}

static void watch_fallback(struct tenant *tenant, uint64_t watched_ms)
{
	sd_event_add_time_relative(tenant->supervisor->event, &tenant->fallback->timer,
		CLOCK_MONOTONIC, watched_ms * 1000, 100000, proved_itself, tenant);
}

struct fallback_view tenant_view_fallback(const struct tenant *tenant)
{
	const struct fallback *fallback = tenant->fallback;
	struct fallback_view view = {0};
	if (fallback == NULL)
		return view;
	view.program = fallback->program;
	view.policy_text = fallback->policy_text;
	view.policy_remove = fallback->policy_remove;
	sd_event_source_get_time(fallback->timer, &view.until_us);
	return view;
}

int tenant_restore_fallback(
	struct tenant *tenant, struct program *program, const struct fallback_view *view)
{
	const uint64_t until_ms = view->until_us / 1000, now_ms = clock_ms();
	struct fallback *fallback = calloc(1, sizeof *fallback);
	if (fallback && view->policy_text)
		fallback->policy_text = strdup(view->policy_text);
	if (fallback == NULL || (view->policy_text && fallback->policy_text == NULL)) {
		free(fallback);
		program_free(program, NULL);
		return -ENOMEM;
	}
	fallback->program = program;
	fallback->policy_remove = view->policy_remove;
	tenant->fallback = fallback;
	watch_fallback(tenant, until_ms > now_ms ? until_ms - now_ms : 0);
	return 0;
}

/* Keeps OLD (taken) for as long as the new release must show that it is well. */
static void keep_fallback(struct tenant *tenant, struct program *old, struct deployment *deployment,
	uint64_t watched_ms)
{
	const struct listeners *used = &tenant->program->listeners;
	struct fallback *fallback = NULL;
	const bool other = old && strcmp(old->release, tenant->program->release) != 0;
	if (other && !deployment->automatic)
		fallback = calloc(1, sizeof *fallback);
	if (fallback == NULL) {
		program_free(old, used);
		return;
	}
	listeners_close(&old->listeners, used);
	fallback->program = old;
	if (deployment->policy_text) {
		fallback->policy_text = take_pointer(deployment->policy_before);
		fallback->policy_remove = fallback->policy_text == NULL;
	}
	tenant->fallback = fallback;
	watch_fallback(tenant, watched_ms);
}

void tenant_install(struct tenant *tenant)
{
	struct deployment *deployment = take_pointer(tenant->candidate);
	if (deployment == NULL)
		return;
	struct program *old = tenant->program;
	tenant_drop_fallback(tenant);
	const uint64_t watched_ms = healthy_ms(deployment);
	tenant->program = take_pointer(deployment->program);
	tenant_sites_take(tenant);
	keep_fallback(tenant, old, deployment, watched_ms);
	deployment_free(deployment, NULL);
	tenant->restarts = 0;
	supervisor_changed(tenant->supervisor, CHANGED_RELEASES);
}

bool tenant_may_fall_back(const struct tenant *tenant)
{
	return tenant->fallback && tenant->candidate == NULL && !tenant->supervisor->stopping;
}

void tenant_fall_back(struct tenant *tenant, const char *why)
{
	struct error error = {0};
	char reason[400];
	struct fallback *fallback = tenant->fallback;
	struct deployment *deployment = calloc(1, sizeof *deployment);
	if (deployment == NULL)
		return;
	snprintf(reason, sizeof reason, "auto-rollback: %.12s failed within its healthy time: %s",
		tenant->program->release, why);
	tenant->fallback = NULL;
	sd_event_source_disable_unref(fallback->timer);
	deployment->program = fallback->program;
	deployment->policy_text = fallback->policy_text;
	deployment->policy_remove = fallback->policy_remove;
	deployment->automatic = true;
	free(fallback);
	log_warn("event=auto-rollback tenant=%s from=%.12s to=%.12s message=\"%s\"",
		tenant->record.name, tenant->program->release, deployment->program->release,
		message_for_log(why));
	/* First: a daemon that is killed while it goes back must not find it good. */
	release_is_condemned(tenant, reason);
	tenant_note(tenant, "auto-rollback", "auto-rollback", NULL, reason);
	tenant_log_note(tenant->log, reason);
	if (tenant_deploy(tenant, deployment, reason, &error) < 0)
		log_error("event=not-rolled-back tenant=%s message=\"%s\"", tenant->record.name,
			escape_for_log(error.message));
}

/* ---- a policy that was read again ---- */

void tenant_new_policy(struct tenant *tenant, struct policy *policy, const char *file)
{
	struct error error = {0};
	struct program *program = tenant->program;
	cleanup_free char *new_text = policy_print(policy);
	cleanup_free char *old_text = program ? policy_print(program->policy) : NULL;
	if (program == NULL || (new_text && old_text && strcmp(new_text, old_text) == 0)) {
		policy_free(policy);
		if (program) {
			snprintf(program->policy_file, sizeof program->policy_file, "%s", file);
			tenant_sites_renew(tenant);
		}
		return;
	}
	struct deployment *deployment = calloc(1, sizeof *deployment);
	int result = deployment ? program_new(tenant->supervisor->store, program->release, policy,
					  file, &deployment->program, &error)
				: error_set(&error, ENOMEM, "no memory");
	if (result == 0)
		result = tenant_sites_check(tenant, deployment->program, &error);
	if (result == 0 && tenant->machine.state == TENANT_STOPPED) {
		/* What it could fall back to has the policy that is withdrawn here. */
		tenant_drop_fallback(tenant);
		program_free(program, NULL);
		tenant->program = take_pointer(deployment->program);
		tenant_sites_take(tenant);
		deployment_free(deployment, NULL);
		release_policy_changed(tenant, "ok", NULL);
		log_info("event=policy-changed tenant=%s", tenant->record.name);
		return;
	}
	if (result == 0)
		result = tenant_deploy(tenant, deployment, "its policy changed", &error);
	else
		deployment_free(deployment, program ? &program->listeners : NULL);
	release_policy_changed(
		tenant, result < 0 ? "failed" : "ok", result < 0 ? error.message : NULL);
	if (result < 0)
		log_warn("event=policy-not-applied tenant=%s message=\"%s\"", tenant->record.name,
			escape_for_log(error.message));
	else
		log_info("event=policy-changed tenant=%s", tenant->record.name);
}
