/* tenant.json as canonical JSON: every key that has a default is there, with its value. */
#include "policy/manifest_private.h"

#include "common/cleanup.h"
#include "common/units.h"
#include "policy/permissions.h"
#include "policy/print.h"

#include <stdlib.h>
#include <string.h>

static json_t *count(uint64_t value)
{
	return json_integer((json_int_t)value);
}

/* ARRAY with VALUE, which it takes; NULL when out of memory. */
static json_t *append(json_t *array, json_t *value)
{
	if (array && value && json_array_append_new(array, value) == 0)
		return array;
	if (array == NULL)
		json_decref(value);
	json_decref(array);
	return NULL;
}

/* The same for a member. */
static json_t *with(json_t *object, const char *key, json_t *value)
{
	if (object && value && json_object_set_new(object, key, value) == 0)
		return object;
	if (object == NULL)
		json_decref(value);
	json_decref(object);
	return NULL;
}

static json_t *print_restart(const struct manifest *manifest)
{
	json_t *codes = json_array();
	for (size_t i = 0; i < manifest->stop_code_count; i++)
		codes = append(codes, count(manifest->stop_codes[i]));
	const struct manifest_backoff *backoff = &manifest->backoff;
	return json_pack("{s:s, s:o, s:o, s:o, s:{s:o, s:o}, s:o}", "policy",
		manifest_restart_names[manifest->restart], "backoff",
		print_duration(backoff->base_ms), "cap", print_duration(backoff->cap_ms), "reset",
		print_duration(backoff->reset_ms), "crashloop", "count",
		count(backoff->crashloop_count), "window",
		print_duration(backoff->crashloop_window_ms), "stopCodes", codes);
}

static json_t *print_probe(const struct manifest_probe *probe)
{
	json_t *how = NULL;
	static const char *const keys[] = {
		[PROBE_TCP] = "tcpSocket",
		[PROBE_HTTP] = "httpGet",
		[PROBE_HEALTH] = "health",
	};
	if (probe->kind == PROBE_HTTP)
		how = json_pack("{s:s}", "path", probe->path);
	else
		how = probe->kind == PROBE_TCP ? json_object() : json_true();
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", keys[probe->kind], how,
		"initialDelaySeconds", count(probe->initial_delay_ms / 1000), "periodSeconds",
		count(probe->period_ms / 1000), "timeoutSeconds", count(probe->timeout_ms / 1000),
		"failureThreshold", count(probe->failure_threshold), "successThreshold",
		count(probe->success_threshold));
}

static json_t *print_probes(const struct manifest *manifest)
{
	json_t *object = json_object();
	for (size_t i = 0; i < MANIFEST_PROBE_ROLES; i++)
		if (manifest->probes[i].wanted)
			object = with(
				object, manifest_probe_names[i], print_probe(&manifest->probes[i]));
	return object;
}

static json_t *print_retire(const struct manifest_retire *retire)
{
	json_t *object = json_object();
	if (retire->cpu_ms)
		object = with(object, "cpu", print_duration(retire->cpu_ms));
	if (retire->memory_bytes)
		object = with(object, "memory", print_size(retire->memory_bytes));
	if (retire->requests)
		object = with(object, "requests", count(retire->requests));
	if (retire->age_ms)
		object = with(object, "age", print_duration(retire->age_ms));
	return object;
}

static json_t *print_schedules(const struct manifest *manifest)
{
	json_t *array = json_array();
	for (size_t i = 0; i < manifest->schedule_count; i++) {
		const struct manifest_schedule *schedule = &manifest->schedules[i];
		array = append(
			array, json_pack("{s:s, s:s, s:b}", "cron", schedule->cron, "timeZone",
				       schedule->time_zone ? schedule->time_zone : "UTC", "overlap",
				       schedule->overlap));
	}
	return array;
}

static json_t *print_idle(uint64_t after_ms)
{
	char text[UNITS_TEXT_MAX], sentence[UNITS_TEXT_MAX + 16];
	if (after_ms == 0)
		return json_string("never");
	units_format_duration(after_ms, text);
	snprintf(sentence, sizeof sentence, "stop after %s", text);
	return json_string(sentence);
}

/* Without what is empty or false: nobody asks for that. Objects nest three deep. */
static void drop_empty(json_t *object)
{
	const char *key;
	json_t *value;
	void *next;
	json_object_foreach_safe(object, next, key, value)
	{
		if (json_is_object(value))
			drop_empty(value);
		if (json_is_false(value) || (json_is_array(value) && json_array_size(value) == 0) ||
			(json_is_object(value) && json_object_size(value) == 0))
			json_object_del(object, key);
	}
}

static json_t *print_asks(const struct policy *asks)
{
	json_t *object = permissions_print(asks);
	if (object)
		drop_empty(object);
	return object;
}

char *manifest_print_asks(const struct policy *asks)
{
	return print_json(print_asks(asks));
}

char *manifest_print(const struct manifest *manifest)
{
	json_t *root = json_object();
	if (manifest->entry)
		root = with(root, "entry", json_string(manifest->entry));
	root = with(root, "restart", print_restart(manifest));
	root = with(root, "startup", print_duration(manifest->startup_ms));
	root = with(root, "grace", print_duration(manifest->grace_ms));
	root = with(root, "idle_timeout", print_duration(manifest->idle_ms));
	root = with(root, "ready", json_string(manifest->ready_signal ? "signal" : "listening"));
	root = with(root, "probes", print_probes(manifest));
	root = with(root, "instances", count(manifest->instances));
	root = with(root, "idle", print_idle(manifest->stop_after_ms));
	root = with(root, "warm", count(manifest->warm));
	root = with(root, "retire", print_retire(&manifest->retire));
	root = with(root, "schedules", print_schedules(manifest));
	root = with(root, "min_healthy", print_duration(manifest->min_healthy_ms));
	if (manifest->asks)
		root = with(root, "permissions", print_asks(manifest->asks));
	return print_json(root);
}
