#include "daemon/health.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/log.h"
#include "daemon/instance_private.h"
#include "daemon/takeover.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define WHY_MAX 160

/* One probe and how it goes. Times are clock_ms. */
struct probe {
	struct manifest_probe what; /* its path is ours */
	bool active;
	uint64_t due_ms;              /* when to ask next */
	uint32_t id;                  /* asked, not answered; 0: nothing is */
	uint64_t deadline_ms;         /* for the answer */
	uint64_t failures, successes; /* in a row */
	char why[WHY_MAX];            /* the last failure's reason, as it was told */
};

struct health {
	struct instance *instance;
	struct probe probes[MANIFEST_PROBE_ROLES];
	uint64_t begun_ms; /* initialDelaySeconds count from here */
	uint32_t last_id;
	bool must_be_ready;
	bool started; /* startup has passed, or there is none */
	bool ready;   /* readiness says so, or there is none */
	bool told;    /* the event `ready` has come */
	bool stopped;
	sd_event_source *timer; /* to what is due first */
};

int health_new(struct instance *instance, const struct manifest *manifest, bool must_be_ready,
	struct health **ret, struct error *error)
{
	bool wanted = false;
	for (size_t i = 0; i < MANIFEST_PROBE_ROLES; i++)
		wanted |= manifest->probes[i].wanted;
	*ret = NULL;
	if (!wanted)
		return 0;
	struct health *health = calloc(1, sizeof *health);
	if (health == NULL)
		return error_set(error, ENOMEM, "no memory for probes");
	health->instance = instance;
	health->must_be_ready = must_be_ready;
	for (size_t i = 0; i < MANIFEST_PROBE_ROLES; i++) {
		struct manifest_probe *what = &health->probes[i].what;
		*what = manifest->probes[i];
		if (what->path && !(what->path = strdup(what->path))) {
			health_free(health);
			return error_set(error, ENOMEM, "no memory for probes");
		}
	}
	health->started = !health->probes[MANIFEST_PROBE_STARTUP].what.wanted;
	health->ready = !health->probes[MANIFEST_PROBE_READINESS].what.wanted;
	*ret = health;
	return 0;
}

struct health *health_free(struct health *health)
{
	if (health == NULL)
		return NULL;
	sd_event_source_disable_unref(health->timer);
	for (size_t i = 0; i < MANIFEST_PROBE_ROLES; i++)
		free(health->probes[i].what.path);
	free(health);
	return NULL;
}

void health_stop(struct health *health)
{
	if (health == NULL)
		return;
	health->stopped = true;
	health->timer = sd_event_source_disable_unref(health->timer);
}

/* ---- what follows from it ---- */

static enum manifest_probe_role role_of(const struct health *health, const struct probe *probe)
{
	return (enum manifest_probe_role)(probe - health->probes);
}

/* "liveness probe GET /healthz" */
static const char *name_of(const struct health *health, const struct probe *probe)
{
	static char name[256];
	static const char *const kinds[] = {
		[PROBE_TCP] = "tcpSocket",
		[PROBE_HTTP] = "GET ",
		[PROBE_HEALTH] = "health()",
	};
	snprintf(name, sizeof name, "%s probe %s%.160s",
		manifest_probe_name(role_of(health, probe)), kinds[probe->what.kind],
		probe->what.path ? probe->what.path : "");
	return name;
}

/* Enough of it: the instance ends. */
static void give_up(struct health *health, const struct probe *probe)
{
	char message[512];
	snprintf(message, sizeof message, "%s failed %" PRIu64 " time%s in a row: %s",
		name_of(health, probe), probe->failures, probe->failures == 1 ? "" : "s",
		probe->why);
	health_stop(health);
	instance_kill(health->instance, END_PROBE_FAILED, message);
}

static void begin_probe(struct health *health, enum manifest_probe_role role)
{
	struct probe *probe = &health->probes[role];
	probe->active = probe->what.wanted;
	probe->due_ms = health->begun_ms + probe->what.initial_delay_ms;
}

static void tell_ready(struct health *health)
{
	struct instance *instance = health->instance;
	health->told = true;
	instance->ready_ns = clock_ns();
	instance_tell_accept(instance);
	instance_join_ingress(instance);
	instance->events->ready(instance, instance->data);
}

static void startup_passed(struct health *health)
{
	health->probes[MANIFEST_PROBE_STARTUP].active = false;
	health->started = true;
	begin_probe(health, MANIFEST_PROBE_READINESS);
	begin_probe(health, MANIFEST_PROBE_LIVENESS);
	if (health->ready)
		tell_ready(health);
}

/* Readiness has decided, for the first time or anew. */
static void decide_ready(struct health *health, const struct probe *probe, bool ready)
{
	struct instance *instance = health->instance;
	const bool changed = health->ready != ready;
	if (!health->told && !ready && health->must_be_ready) {
		give_up(health, probe);
		return;
	}
	health->ready = ready;
	if (!health->told) {
		tell_ready(health);
		return;
	}
	if (!changed)
		return;
	log_info("event=%s tenant=%s instance=%u message=\"%s\"",
		ready ? "probe-ready" : "probe-unready", instance->tenant, instance->id,
		ready ? "" : escape_for_log(probe->why));
	instance_tell_accept(instance);
	if (instance->events->readiness)
		instance->events->readiness(instance, instance->data);
}

static void passed(struct health *health, struct probe *probe)
{
	const enum manifest_probe_role role = role_of(health, probe);
	/* Before the first decision they add up: one that passes now and then must not keep
	 * everybody waiting. */
	if (health->told || role != MANIFEST_PROBE_READINESS)
		probe->failures = 0;
	probe->successes++;
	if (role == MANIFEST_PROBE_STARTUP)
		startup_passed(health);
	else if (role == MANIFEST_PROBE_READINESS &&
		 probe->successes >= probe->what.success_threshold &&
		 (!health->ready || !health->told))
		decide_ready(health, probe, true);
}

static void failed(struct health *health, struct probe *probe, const char *why)
{
	const enum manifest_probe_role role = role_of(health, probe);
	const struct instance *instance = health->instance;
	snprintf(probe->why, sizeof probe->why, "%s", why);
	probe->successes = 0;
	probe->failures++;
	/* Once, and when it matters: a tenant must not fill the log. */
	if (probe->failures == 1 || probe->failures == probe->what.failure_threshold)
		log_info("event=probe-failed tenant=%s instance=%u probe=%s failures=%" PRIu64
			 " message=\"%s\"",
			instance->tenant, instance->id, manifest_probe_name(role), probe->failures,
			escape_for_log(why));
	if (probe->failures < probe->what.failure_threshold)
		return;
	if (role != MANIFEST_PROBE_READINESS)
		give_up(health, probe);
	else if (health->ready || !health->told)
		decide_ready(health, probe, false);
}

/* ---- asking ---- */

static void ask(struct health *health, struct probe *probe, uint64_t now_ms)
{
	char data[sizeof(struct message_probe) + PROBE_PATH_MAX + 1];
	struct instance *instance = health->instance;
	const char *path = probe->what.path ? probe->what.path : "";
	if (++health->last_id == 0)
		health->last_id = 1;
	const struct message_probe message = {
		.header = {.type = MESSAGE_PROBE, .instance = instance->id},
		.id = health->last_id,
		.kind = probe->what.kind,
	};
	probe->id = message.id;
	probe->deadline_ms = now_ms + probe->what.timeout_ms;
	/* By the clock, as long as that is ahead: the period is from one question to the next. */
	probe->due_ms = now_ms + probe->what.period_ms;
	memcpy(data, &message, sizeof message);
	memcpy(data + sizeof message, path, strlen(path) + 1);
	/* A channel that is full is one that nobody reads: no answer will come, and that is what
	 * is being asked. */
	if (instance->channel >= 0)
		(void)message_send(
			instance->channel, data, sizeof message + strlen(path) + 1, NULL, 0);
}

static void look(struct health *health, struct probe *probe, uint64_t now_ms)
{
	char why[64];
	if (!probe->active)
		return;
	/* At a breakpoint nobody answers. */
	if (health->instance->inspection) {
		probe->deadline_ms = now_ms + probe->what.timeout_ms;
		probe->due_ms = now_ms + probe->what.period_ms;
		return;
	}
	if (probe->id && now_ms >= probe->deadline_ms) {
		probe->id = 0;
		snprintf(why, sizeof why, "no answer within %" PRIu64 " s",
			probe->what.timeout_ms / 1000);
		failed(health, probe, why);
	}
	if (!health->stopped && probe->id == 0 && now_ms >= probe->due_ms)
		ask(health, probe, now_ms);
}

static void arm(struct health *health);

static int timer_passed(sd_event_source *source, uint64_t usec, void *data)
{
	struct health *health = data;
	(void)source;
	(void)usec;
	for (size_t i = 0; i < MANIFEST_PROBE_ROLES && !health->stopped; i++)
		look(health, &health->probes[i], clock_ms());
	arm(health);
	return 0;
}

static void arm(struct health *health)
{
	uint64_t next_ms = UINT64_MAX;
	for (size_t i = 0; i < MANIFEST_PROBE_ROLES; i++) {
		const struct probe *probe = &health->probes[i];
		uint64_t here_ms = probe->id ? probe->deadline_ms : probe->due_ms;
		if (probe->active && here_ms < next_ms)
			next_ms = here_ms;
	}
	if (health->stopped || next_ms == UINT64_MAX)
		return;
	const uint64_t next_us = next_ms * 1000;
	if (health->timer == NULL) {
		sd_event_add_time(health->instance->factory->event, &health->timer, CLOCK_MONOTONIC,
			next_us, 20000, timer_passed, health);
		return;
	}
	sd_event_source_set_time(health->timer, next_us);
	sd_event_source_set_enabled(health->timer, SD_EVENT_ONESHOT);
}

bool health_begin(struct health *health)
{
	health->begun_ms = clock_ms();
	if (health->started) {
		begin_probe(health, MANIFEST_PROBE_READINESS);
		begin_probe(health, MANIFEST_PROBE_LIVENESS);
		health->told = health->ready;
	} else {
		begin_probe(health, MANIFEST_PROBE_STARTUP);
	}
	arm(health);
	return health->told;
}

bool health_answer(struct health *health, const void *message, size_t length)
{
	struct message_outcome outcome;
	char text[OUTCOME_TEXT_MAX + 1];
	memcpy(&outcome, message, sizeof outcome);
	if (outcome.id == 0 || outcome.id > health->last_id)
		return false;
	for (size_t i = 0; i < MANIFEST_PROBE_ROLES && !health->stopped; i++) {
		struct probe *probe = &health->probes[i];
		if (probe->id != outcome.id)
			continue;
		probe->id = 0;
		snprintf(text, sizeof text, "%.*s", (int)(length - sizeof outcome),
			(const char *)message + sizeof outcome);
		secrets_redact_string(health->instance->secrets, text);
		if (outcome.ok)
			passed(health, probe);
		else
			failed(health, probe, text[0] ? text : "it says no");
		arm(health);
		return true;
	}
	return true; /* too late: its failure was counted */
}

/* ---- for others ---- */

bool health_accepts(const struct health *health)
{
	return health == NULL || (health->started && health->ready);
}

bool health_is_ready(const struct instance *instance)
{
	const struct health *health = instance->health;
	return instance->stage == INSTANCE_READY && !instance->draining &&
	       (health == NULL || (health->told && health->ready));
}

json_t *health_describe(const struct instance *instance)
{
	const struct health *health = instance->health;
	json_t *list = json_array();
	for (size_t i = 0; health && i < MANIFEST_PROBE_ROLES; i++) {
		const struct probe *probe = &health->probes[i];
		char why[WHY_MAX * 2];
		escape_line(why, sizeof why, probe->why, strlen(probe->why), 0);
		if (probe->failures > 0)
			json_array_append_new(list,
				json_pack("{s:s, s:I, s:s}", "role",
					manifest_probe_name((enum manifest_probe_role)i), "failing",
					(json_int_t)probe->failures, "message", why));
	}
	return json_pack("{s:b, s:o}", "ready", health_is_ready(instance), "probes", list);
}

/* ---- for the next daemon ---- */

json_t *health_pack(const struct health *health)
{
	if (health == NULL || health->stopped)
		return json_null();
	json_t *probes = json_array();
	for (size_t i = 0; i < MANIFEST_PROBE_ROLES; i++) {
		const struct probe *probe = &health->probes[i];
		json_array_append_new(probes,
			json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:o}", "active", probe->active,
				"due_ms", (json_int_t)probe->due_ms, "id", (json_int_t)probe->id,
				"deadline_ms", (json_int_t)probe->deadline_ms, "failures",
				(json_int_t)probe->failures, "successes",
				(json_int_t)probe->successes, "why", takeover_text(probe->why)));
	}
	return json_pack("{s:o, s:I, s:I, s:b, s:b, s:b}", "probes", probes, "begun_ms",
		(json_int_t)health->begun_ms, "last_id", (json_int_t)health->last_id, "started",
		health->started, "ready", health->ready, "told", health->told);
}

/* What it asked is answered to the new daemon, or late: the channel and the clock go on. */
void health_restore(struct health *health, const json_t *packed)
{
	const json_t *probes = json_object_get(packed, "probes");
	if (health == NULL)
		return;
	if (!json_is_object(packed)) {
		health_stop(health);
		return;
	}
	health->begun_ms = takeover_number(packed, "begun_ms");
	health->last_id = (uint32_t)takeover_number(packed, "last_id");
	health->started = takeover_flag(packed, "started");
	health->ready = takeover_flag(packed, "ready");
	health->told = takeover_flag(packed, "told");
	for (size_t i = 0; i < MANIFEST_PROBE_ROLES; i++) {
		const json_t *from = json_array_get(probes, i);
		struct probe *probe = &health->probes[i];
		probe->active = takeover_flag(from, "active") && probe->what.wanted;
		probe->due_ms = takeover_number(from, "due_ms");
		probe->id = (uint32_t)takeover_number(from, "id");
		probe->deadline_ms = takeover_number(from, "deadline_ms");
		probe->failures = takeover_number(from, "failures");
		probe->successes = takeover_number(from, "successes");
		snprintf(probe->why, sizeof probe->why, "%s", takeover_string(from, "why"));
	}
	arm(health);
}
