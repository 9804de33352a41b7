/* The parts of daemon/tenant.h that stand in files of their own. */
#pragma once

#include "daemon/tenant.h"

/* No event follows. */
#define NO_EVENT TENANT_EVENT_COUNT

uint64_t tenant_now_us(void);
/* What is started: the candidate's program, else the tenant's own. */
struct program *tenant_target(const struct tenant *tenant);
/* After each change of its state, program or instances. */
void tenant_review_schedules(struct tenant *tenant);
bool tenant_waits_for_empty(enum tenant_state state);
/* In BACKOFF: the next try is at AT_MS of clock_ms. */
void tenant_resume_backoff(struct tenant *tenant, uint64_t at_ms);

/* ---- tenant_wait.c ---- */

/* Answers who has what they waited for, or will not get it, after EVENT took STEP. */
void tenant_settle(struct tenant *tenant, enum tenant_event event, const struct machine_step *step);
void tenant_answer_all(struct tenant *tenant, int result, const char *message);

/* ---- tenant_fleet.c ---- */

/* What its fleets have in common. PROGRAM may be NULL: of one that drains. */
struct fleet_options tenant_fleet_options(struct tenant *tenant, struct program *program);
/* Starts tenant->next. */
int tenant_start_fleet(struct tenant *tenant, struct error *error);
/* FLEET, which is neither active nor next any more, drains on its own. */
void tenant_let_go(
	struct tenant *tenant, struct fleet *fleet, enum end_reason reason, const char *message);
/* Which event a start that failed is: back to something older, or on to another try. */
enum tenant_event tenant_start_failed(
	struct tenant *tenant, const char *message, enum fleet_ending ending);
struct backoff_limits tenant_limits(const struct tenant *tenant);

/* Watches the listeners of a tenant that sleeps; and no more. */
int tenant_watch_listeners(struct tenant *tenant, struct error *error);
void tenant_unwatch_listeners(struct tenant *tenant);
/* Shares connections as the candidate's weight says, if it has one. */
int tenant_share(struct tenant *tenant, struct error *error);
/* The same for those that come through the shared ports; or, without a split, all alike. */
void tenant_weigh(const struct tenant *tenant);

/* ---- tenant_deploy.c ---- */

/* tenant->next is ready: it takes over, or has to prove itself first. */
void tenant_next_ready(struct tenant *tenant);
/* It takes over now. */
void tenant_take_over(struct tenant *tenant);
/* Makes the candidate durable, its release and its policy at one moment, before it is allowed to
 * take over. After a failure all is as it was. */
int tenant_commit(struct tenant *tenant, struct error *error);
/* Before its release may run: the policy that was activated with it, if the daemon was killed in
 * between, gets its place. */
int tenant_finish_policy(struct tenant *tenant, struct error *error);
/* How many instances the candidate begins with. */
uint32_t tenant_candidate_count(const struct deployment *deployment);
uint64_t tenant_min_healthy_ms(const struct deployment *deployment);
/* The candidate, which is committed, becomes the tenant's program. */
void tenant_install(struct tenant *tenant);
void tenant_reject(struct tenant *tenant);
/* Is there something to roll back to, because the release is new? */
bool tenant_may_fall_back(const struct tenant *tenant);
/* Deploys that, because of WHY. */
void tenant_fall_back(struct tenant *tenant, const char *why);
void tenant_drop_fallback(struct tenant *tenant);
const char *tenant_fallback_release(const struct tenant *tenant);
/* What is kept to roll back to, for tenant_handover.c; everything stays the tenant's. */
struct fallback_view {
	const struct program *program; /* NULL: there is nothing */
	const char *policy_text;       /* NULL: none */
	bool policy_remove;
	uint64_t until_us; /* CLOCK_MONOTONIC */
};
struct fallback_view tenant_view_fallback(const struct tenant *tenant);
/* The same again. Takes PROGRAM; copies the rest. */
int tenant_restore_fallback(
	struct tenant *tenant, struct program *program, const struct fallback_view *view);
