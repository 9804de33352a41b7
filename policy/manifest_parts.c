/* The parts of tenant.json that are more than a number. */
#include "policy/manifest_private.h"

#include "common/cleanup.h"
#include "common/cron.h"
#include "common/units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS(seconds) ((seconds) * UINT64_C(1000))
#define HOURS(hours) SECONDS((hours) * UINT64_C(3600))
#define DAYS(days) HOURS((days) * UINT64_C(24))
#define OBJECT(table) .read = field_object, .keys = table, .key_count = ARRAY_LENGTH(table)

/* ---- restart ---- */

const char *const manifest_restart_names[] = {
	[MANIFEST_RESTART_ALWAYS] = "always",
	[MANIFEST_RESTART_ON_FAILURE] = "on-failure",
	[MANIFEST_RESTART_NEVER] = "never",
};

static void read_stop_codes(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	struct manifest *manifest = target;
	struct field_walk walk;
	(void)rule;
	if (!field_list_begin(document, field, "a list of exit codes such as [64]",
		    MANIFEST_STOP_CODES_MAX, &walk))
		return;
	while (field_next(&walk)) {
		uint64_t code = UINT64_MAX;
		static const struct field_rule whole = {
			.read = field_count, .least = 0, .most = 255};
		field_count(document, walk.field, &whole, &code);
		if (code == UINT64_MAX)
			continue;
		bool twice = false;
		for (size_t i = 0; i < manifest->stop_code_count && !twice; i++)
			twice = manifest->stop_codes[i] == code;
		if (twice)
			document_problem(document, walk.field, "is there twice: remove one");
		else
			manifest->stop_codes[manifest->stop_code_count++] = (uint8_t)code;
	}
}

#define AT(member) .offset = offsetof(struct manifest, member)

static const struct field_rule crashloop_keys[] = {
	{"count", field_count, AT(backoff.crashloop_count), .least = 1,
		.most = MANIFEST_CRASHLOOP_COUNT_MAX},
	{"window", field_duration, AT(backoff.crashloop_window_ms), .least = SECONDS(1),
		.most = HOURS(24)},
};
static const struct field_rule restart_keys[] = {
	{"policy", field_choice, AT(restart), .names = manifest_restart_names, .name_count = 3},
	{"backoff", field_duration, AT(backoff.base_ms), .least = 10, .most = HOURS(1)},
	{"cap", field_duration, AT(backoff.cap_ms), .least = 10, .most = HOURS(24)},
	{"reset", field_duration, AT(backoff.reset_ms), .least = 0, .most = HOURS(24)},
	{"crashloop", OBJECT(crashloop_keys)},
	{"stopCodes", read_stop_codes},
};

void manifest_read_restart(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	static const struct field_rule whole = {OBJECT(restart_keys)};
	struct manifest *manifest = target;
	(void)rule;
	if (!json_is_object(field.value)) {
		field_choice(document, field, &restart_keys[0], target);
		return;
	}
	field_object(document, field, &whole, target);
	if (manifest->backoff.cap_ms < manifest->backoff.base_ms) {
		struct field cap = document_member(document, field, "cap");
		document_problem(document, cap,
			"the longest delay (cap) is shorter than the first one (backoff)");
	}
}

/* ---- ready, idle ---- */

void manifest_read_ready(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	static const char *const names[] = {"listening", "signal"};
	static const struct field_rule choice = {
		.read = field_choice, .names = names, .name_count = ARRAY_LENGTH(names)};
	unsigned chosen = ((struct manifest *)target)->ready_signal;
	(void)rule;
	field_choice(document, field, &choice, &chosen);
	((struct manifest *)target)->ready_signal = chosen == 1;
}

void manifest_read_idle(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	static const char words[] = "stop after ", expected[] = "\"stop after 60s\" or \"never\"";
	char quoted[QUOTED_MAX];
	uint64_t ms;
	(void)rule;
	const char *text = field_text(document, field, expected);
	if (!text)
		return;
	uint64_t *after_ms = &((struct manifest *)target)->stop_after_ms;
	const bool begins = strncmp(text, words, sizeof words - 1) == 0;
	int result = begins ? units_parse_duration(text + sizeof words - 1, &ms) : -EINVAL;
	if (strcmp(text, "never") == 0)
		*after_ms = 0;
	else if (result == -EINVAL)
		document_problem(document, field, "expected %s, not %s", expected,
			document_quote(quoted, text));
	else if (result < 0 || ms < SECONDS(1) || ms > DAYS(7))
		document_problem(document, field, "%s is out of range \"1s\" to \"168h\"",
			document_quote(quoted, text + sizeof words - 1));
	else
		*after_ms = ms;
}

/* ---- probes ---- */

const char *const manifest_probe_names[MANIFEST_PROBE_ROLES] = {
	[MANIFEST_PROBE_STARTUP] = "startup",
	[MANIFEST_PROBE_READINESS] = "readiness",
	[MANIFEST_PROBE_LIVENESS] = "liveness",
};

const char *manifest_probe_name(enum manifest_probe_role role)
{
	return manifest_probe_names[role];
}

/* A path as a request line has it: it goes there as it is. */
static int check_probe_path(const char *path, struct error *error)
{
	if (path[0] != '/')
		return error_set(error, EINVAL, "expected a path that begins with /");
	if (strlen(path) > PROBE_PATH_MAX)
		return error_set(error, EINVAL, "the path is longer than %d bytes", PROBE_PATH_MAX);
	for (const unsigned char *next = (const unsigned char *)path; *next; next++)
		if (*next <= ' ' || *next >= 0x7f || *next == '#')
			return error_set(error, EINVAL,
				"the path has a space, a control character, # or what is not "
				"ASCII: write it percent-encoded");
	return 0;
}

static void read_path(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	struct manifest_probe *probe = target;
	struct error error;
	(void)rule;
	const char *text = field_text(document, field, "a path such as \"/healthz\"");
	if (!text)
		return;
	if (check_probe_path(text, &error) < 0) {
		document_problem(document, field, "%s", error.message);
		return;
	}
	probe->path = strdup(text);
	document->out_of_memory |= probe->path == NULL;
}

/* Kubernetes counts in whole seconds. */
static void read_seconds(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	uint64_t *ms = (uint64_t *)((char *)target + rule->offset);
	struct field_rule whole = *rule;
	uint64_t seconds = *ms / 1000;
	whole.offset = 0;
	field_count(document, field, &whole, &seconds);
	*ms = SECONDS(seconds);
}

/* How it asks: one of the three, once. */
static void take_kind(struct document *document, struct field field, struct manifest_probe *probe,
	enum probe_kind kind)
{
	if (probe->wanted)
		document_key_problem(
			document, field, "a probe asks in one way: httpGet, tcpSocket or health");
	probe->wanted = true;
	probe->kind = kind;
}

static void read_http_get(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	static const struct field_rule keys[] = {{"path", read_path}};
	static const struct field_rule object = {OBJECT(keys)};
	struct manifest_probe *probe = target;
	(void)rule;
	take_kind(document, field, probe, PROBE_HTTP);
	field_object(document, field, &object, probe);
	if (probe->path == NULL) {
		probe->path = strdup("/");
		document->out_of_memory |= probe->path == NULL;
	}
}

static void read_tcp_socket(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	(void)rule;
	take_kind(document, field, target, PROBE_TCP);
	if (!json_is_object(field.value))
		document_type_problem(document, field, "{}");
	else if (json_object_size(field.value) > 0)
		document_problem(document, field,
			"expected {}: it is the program's own listeners that are asked");
}

static void read_health(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	(void)rule;
	take_kind(document, field, target, PROBE_HEALTH);
	if (!json_is_true(field.value))
		document_problem(document, field,
			"expected true: the program's own health() is asked; leave the probe out "
			"if it has none");
}

#undef AT
#define AT(member) .offset = offsetof(struct manifest_probe, member)

static const struct field_rule probe_keys[] = {
	{"httpGet", read_http_get},
	{"tcpSocket", read_tcp_socket},
	{"health", read_health},
	{"initialDelaySeconds", read_seconds, AT(initial_delay_ms), .least = 0, .most = 3600},
	{"periodSeconds", read_seconds, AT(period_ms), .least = 1, .most = 3600},
	{"timeoutSeconds", read_seconds, AT(timeout_ms), .least = 1, .most = 3600},
	{"failureThreshold", field_count, AT(failure_threshold), .least = 1, .most = 1000},
	{"successThreshold", field_count, AT(success_threshold), .least = 1, .most = 1000},
};

#undef AT
#define AT(member) .offset = offsetof(struct manifest, member)

static void read_probe(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	static const struct field_rule object = {OBJECT(probe_keys)};
	struct manifest *manifest = target;
	struct manifest_probe *probe = (struct manifest_probe *)((char *)target + rule->offset);
	field_object(document, field, &object, probe);
	if (!json_is_object(field.value))
		return;
	if (!probe->wanted)
		document_problem(document, field,
			"it does not say how to ask: add \"httpGet\": {\"path\": \"/\"}, "
			"\"tcpSocket\": {} or \"health\": true");
	/* As in Kubernetes: a single success ends the one, and begins the other anew. */
	if (probe != &manifest->probes[MANIFEST_PROBE_READINESS] && probe->success_threshold != 1)
		document_problem(document, document_member(document, field, "successThreshold"),
			"must be 1 here: only readiness can ask for more");
}

void manifest_read_probes(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	static const struct field_rule keys[] = {
		{"startup", read_probe, AT(probes[MANIFEST_PROBE_STARTUP])},
		{"readiness", read_probe, AT(probes[MANIFEST_PROBE_READINESS])},
		{"liveness", read_probe, AT(probes[MANIFEST_PROBE_LIVENESS])},
	};
	static const struct field_rule object = {OBJECT(keys)};
	(void)rule;
	field_object(document, field, &object, target);
}

/* ---- retire ---- */

void manifest_read_retire(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	static const struct field_rule keys[] = {
		{"cpu", field_duration, AT(retire.cpu_ms), .least = 100, .most = DAYS(365)},
		{"memory", field_size, AT(retire.memory_bytes), .least = UNITS_MIB,
			.most = 64 * UNITS_TIB},
		{"requests", field_count, AT(retire.requests), .least = 1,
			.most = UINT64_C(1000000000000)},
		{"age", field_duration, AT(retire.age_ms), .least = SECONDS(1), .most = DAYS(365)},
	};
	static const struct field_rule object = {OBJECT(keys)};
	(void)rule;
	field_object(document, field, &object, target);
}

/* ---- schedules ---- */

static void read_cron(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	struct manifest_schedule *schedule = target;
	struct cron cron;
	struct error error;
	(void)rule;
	const char *text = field_text(document, field, "a string such as \"0 3 * * *\"");
	if (!text)
		return;
	if (strlen(text) > SCHEDULE_CRON_MAX) {
		document_problem(document, field, "longer than %d characters", SCHEDULE_CRON_MAX);
		return;
	}
	if (cron_parse(text, &cron, &error) < 0) {
		document_problem(document, field, "%s", error.message);
		return;
	}
	schedule->cron = strdup(text);
	document->out_of_memory |= schedule->cron == NULL;
}

static void read_time_zone(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	struct manifest_schedule *schedule = target;
	struct error error;
	(void)rule;
	const char *text = field_text(document, field, "a time zone such as \"Europe/Berlin\"");
	if (!text)
		return;
	if (cron_zone_check(text, &error) < 0) {
		char quoted[QUOTED_MAX];
		document_problem(
			document, field, "%s, not %s", error.message, document_quote(quoted, text));
		return;
	}
	if (strcmp(text, "UTC") == 0)
		return; /* the default, in one spelling */
	schedule->time_zone = strdup(text);
	document->out_of_memory |= schedule->time_zone == NULL;
}

static bool same_schedule(const struct manifest_schedule *a, const struct manifest_schedule *b)
{
	return strcmp(a->cron, b->cron) == 0 &&
	       strcmp(a->time_zone ? a->time_zone : "", b->time_zone ? b->time_zone : "") == 0;
}

static void read_schedule(struct document *document, struct field field, struct manifest *manifest)
{
	static const struct field_rule keys[] = {
		{"cron", read_cron},
		{"timeZone", read_time_zone},
		{"overlap", field_boolean, .offset = offsetof(struct manifest_schedule, overlap)},
	};
	static const struct field_rule object = {OBJECT(keys)};
	struct manifest_schedule *schedule = field_append(document, (void **)&manifest->schedules,
		&manifest->schedule_count, sizeof *manifest->schedules);
	if (!schedule)
		return;
	field_object(document, field, &object, schedule);
	if (!json_is_object(field.value))
		return;
	if (!json_object_get(field.value, "cron"))
		document_problem(
			document, field, "it does not say when: add \"cron\": \"0 3 * * *\"");
	for (size_t i = 0; schedule->cron && i + 1 < manifest->schedule_count; i++)
		if (manifest->schedules[i].cron && same_schedule(&manifest->schedules[i], schedule))
			document_problem(document, field, "is there twice: remove one");
}

void manifest_read_schedules(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	struct field_walk walk;
	(void)rule;
	if (!field_list_begin(document, field,
		    "a list of objects such as {\"cron\": \"0 3 * * *\"}", MANIFEST_SCHEDULES_MAX,
		    &walk))
		return;
	while (field_next(&walk))
		read_schedule(document, walk.field, target);
}
