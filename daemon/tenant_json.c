/* A tenant as tenantctl shows it: the object {tenant} of common/control.h. */
#include "common/cleanup.h"
#include "common/clock.h"
#include "daemon/supervisor.h"
#include "daemon/tenant.h"

#include <string.h>

json_t *instance_end_describe(const struct instance_end *end)
{
	char time[32];
	if (end->reason == END_NONE)
		return json_null();
	json_t *object = json_object();
	json_object_set_new(object, "reason", json_string(end_reason_name(end->reason)));
	json_object_set_new(object, "exit_code",
		end->exit_code >= 0 ? json_integer(end->exit_code) : json_null());
	json_object_set_new(
		object, "signal", end->signal ? json_integer(end->signal) : json_null());
	json_object_set_new(object, "message", json_string(end->message));
	json_object_set_new(object, "time", json_string(format_time(time, end->time_us)));
	return object;
}

static json_t *describe_listeners(const struct listeners *listeners)
{
	json_t *list = json_array();
	for (size_t i = 0; i < listeners->count; i++)
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:s}", "name", listeners->items[i].name, "url",
				listeners->items[i].url, "address", listeners->items[i].address));
	return list;
}

static json_t *describe_stats(const struct instance *instance)
{
	struct worker_stats stats;
	if (instance == NULL || !instance_read_stats(instance, &stats))
		return json_null();
	uint64_t now_ns = clock_ns();
	uint64_t busy_ns = stats.turn_started_ns && stats.turn_started_ns < now_ns
				   ? now_ns - stats.turn_started_ns
				   : 0;
	return json_pack("{s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:I}", "requests",
		(json_int_t)stats.requests, "requests_active", (json_int_t)stats.requests_active,
		"connections", (json_int_t)stats.connections, "loop_delay_ms",
		(double)stats.delay_max_ns / 1e6, "loop_busy_ms", (double)busy_ns / 1e6,
		"heap_used", (json_int_t)stats.heap_used_bytes, "heap_limit",
		(json_int_t)stats.heap_limit_bytes, "external", (json_int_t)stats.external_bytes);
}

static json_t *describe_cgroup(const struct instance *instance)
{
	struct cgroup_stats stats;
	if (instance == NULL || instance->cgroup == NULL)
		return json_null();
	instance_read_use(instance, &stats);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "memory", (json_int_t)stats.memory_bytes,
		"memory_peak", (json_int_t)stats.memory_peak_bytes, "memory_limit",
		(json_int_t)stats.memory_limit_bytes, "cpu_usec", (json_int_t)stats.cpu_usec,
		"pids", (json_int_t)stats.pids, "oom_kills", (json_int_t)stats.oom_kills);
}

/* The limits of the policy that this host cannot keep: nothing is silently unlimited. */
static json_t *describe_missing(const struct cgroup_host *host)
{
	static const char *const names[] = {
		[CGROUP_MEMORY] = "memory",
		[CGROUP_CPU] = "cpu",
		[CGROUP_PIDS] = "pids",
	};
	json_t *list = json_array();
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (cgroup_host_missing(host, (enum cgroup_controller)i))
			json_array_append_new(list, json_string(names[i]));
	return list;
}

static json_t *describe_policy(const struct tenant *tenant, const struct program *program)
{
	const char *file = program ? program->policy_file : "default";
	char path[4096];
	if (strcmp(file, "default") == 0)
		return json_pack("{s:s}", "file", file);
	snprintf(path, sizeof path, "%s/%s", tenant->supervisor->options->policy_folder, file);
	return json_pack("{s:s}", "file", path);
}

json_t *tenant_describe(const struct tenant *tenant)
{
	static const struct listeners none;
	const struct instance *instance = tenant->current ? tenant->current : tenant->next;
	const struct program *program = tenant->program     ? tenant->program
					: tenant->candidate ? tenant->candidate->program
							    : NULL;
	char since[32];
	json_t *object = json_object();
	json_object_set_new(object, "name", json_string(tenant->record.name));
	json_object_set_new(object, "state", json_string(tenant_state_name(tenant->machine.state)));
	json_object_set_new(object, "release",
		tenant->record.release[0] ? json_string(tenant->record.release) : json_null());
	json_object_set_new(object, "pid",
		instance && instance->pid ? json_integer(instance->pid) : json_null());
	json_object_set_new(object, "uid",
		json_integer(instance ? instance->uid
				      : factory_uid(&tenant->supervisor->factory,
						tenant->record.uid_slot) +
						FACTORY_UID_INSIDE));
	json_object_set_new(object, "since", json_string(format_time(since, tenant->since_us)));
	json_object_set_new(object, "ready_ms", json_real((double)(tenant->ready_us / 100) / 10));
	json_object_set_new(
		object, "listeners", describe_listeners(program ? &program->listeners : &none));
	json_object_set_new(object, "restarts", json_integer(tenant->restarts));
	json_object_set_new(object, "backoff_ms",
		json_integer(tenant->machine.state == TENANT_BACKOFF ? tenant->backoff_ms : 0));
	json_object_set_new(object, "reason", json_string(tenant->reason));
	json_object_set_new(object, "last_exit", instance_end_describe(&tenant->last_end));
	json_object_set_new(object, "stats", describe_stats(instance));
	json_object_set_new(object, "cgroup", describe_cgroup(instance));
	json_object_set_new(object, "policy", describe_policy(tenant, program));
	json_object_set_new(object, "cgroup_version",
		json_string(cgroup_host_version(tenant->supervisor->cgroups)));
	json_object_set_new(
		object, "tier", json_string(tier_name(tenant->supervisor->options->tier)));
	json_object_set_new(object, "not_enforced", describe_missing(tenant->supervisor->cgroups));
	return object;
}
