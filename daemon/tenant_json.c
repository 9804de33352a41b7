/* A tenant as tenantctl shows it: the object {tenant} of common/control.h. */
#include "common/cleanup.h"
#include "common/clock.h"
#include "daemon/schedule.h"
#include "daemon/supervisor.h"
#include "daemon/tenant_private.h"

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

/* Of all instances that serve, or else of the one that starts. */
typedef void member_fn(void *data, const struct instance *instance);

static void for_each_member(const struct fleet *fleet, member_fn *take, void *data)
{
	const bool serves = fleet_serving(fleet) > 0;
	for (size_t i = 0; fleet && i < fleet->member_count; i++) {
		const enum fleet_role role = fleet->members[i].role;
		if (role == FLEET_SERVING || (!serves && role == FLEET_STARTING))
			take(data, fleet->members[i].instance);
	}
}

struct all_stats {
	struct worker_stats sum;
	uint64_t busy_ns; /* the longest */
	bool some;
};

static void add_stats(void *data, const struct instance *instance)
{
	struct all_stats *all = data;
	struct worker_stats stats, *sum = &all->sum;
	if (!instance_read_stats(instance, &stats))
		return;
	uint64_t now_ns = clock_ns();
	uint64_t busy_ns = stats.turn_started_ns && stats.turn_started_ns < now_ns
				   ? now_ns - stats.turn_started_ns
				   : 0;
	all->some = true;
	all->busy_ns = busy_ns > all->busy_ns ? busy_ns : all->busy_ns;
	if (stats.delay_max_ns > sum->delay_max_ns)
		sum->delay_max_ns = stats.delay_max_ns;
	sum->requests += stats.requests;
	sum->requests_active += stats.requests_active;
	sum->connections += stats.connections;
	sum->heap_used_bytes += stats.heap_used_bytes;
	sum->heap_limit_bytes += stats.heap_limit_bytes;
	sum->external_bytes += stats.external_bytes;
	sum->code_caches_used += stats.code_caches_used;
	sum->code_caches_rejected += stats.code_caches_rejected;
}

static json_t *describe_stats(const struct fleet *fleet)
{
	struct all_stats all = {0};
	const struct worker_stats *sum = &all.sum;
	for_each_member(fleet, add_stats, &all);
	if (!all.some)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:I, s:I, s:I}", "requests",
		(json_int_t)sum->requests, "requests_active", (json_int_t)sum->requests_active,
		"connections", (json_int_t)sum->connections, "loop_delay_ms",
		(double)sum->delay_max_ns / 1e6, "loop_busy_ms", (double)all.busy_ns / 1e6,
		"heap_used", (json_int_t)sum->heap_used_bytes, "heap_limit",
		(json_int_t)sum->heap_limit_bytes, "external", (json_int_t)sum->external_bytes,
		"code_caches_used", (json_int_t)sum->code_caches_used, "code_caches_rejected",
		(json_int_t)sum->code_caches_rejected);
}

struct all_use {
	struct cgroup_stats sum;
	bool some;
};

/* Limits hold for each instance. */
static void add_use(void *data, const struct instance *instance)
{
	struct all_use *all = data;
	struct cgroup_stats use;
	if (instance->cgroup == NULL)
		return;
	instance_read_use(instance, &use);
	all->some = true;
	all->sum.memory_bytes += use.memory_bytes;
	all->sum.memory_peak_bytes += use.memory_peak_bytes;
	all->sum.memory_limit_bytes = use.memory_limit_bytes;
	all->sum.cpu_usec += use.cpu_usec;
	all->sum.pids += use.pids;
	all->sum.oom_kills += use.oom_kills;
}

static json_t *describe_cgroup(const struct fleet *fleet)
{
	struct all_use all = {0};
	const struct cgroup_stats *sum = &all.sum;
	for_each_member(fleet, add_use, &all);
	if (!all.some)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "memory", (json_int_t)sum->memory_bytes,
		"memory_peak", (json_int_t)sum->memory_peak_bytes, "memory_limit",
		(json_int_t)sum->memory_limit_bytes, "cpu_usec", (json_int_t)sum->cpu_usec, "pids",
		(json_int_t)sum->pids, "oom_kills", (json_int_t)sum->oom_kills);
}

static json_t *describe_instances(const struct tenant *tenant)
{
	json_t *list = json_array();
	fleet_describe(tenant->active, list);
	fleet_describe(tenant->next, list);
	for (const struct fleet *fleet = tenant->draining; fleet; fleet = fleet->after)
		fleet_describe(fleet, list);
	return list;
}

/* The deployment that is under way. */
static json_t *describe_candidate(const struct tenant *tenant)
{
	const struct deployment *candidate = tenant->candidate;
	char since[32];
	if (candidate == NULL)
		return json_null();
	json_t *object = json_pack("{s:s, s:s, s:s, s:o, s:i, s:i, s:i}", "release",
		candidate->program->release, "strategy",
		candidate->strategy == DEPLOY_CANARY ? "canary" : "all-at-once", "since",
		format_time(since, candidate->since_us), "by",
		candidate->who ? json_string(candidate->who) : json_null(), "instances",
		tenant->next ? (int)tenant->next->count : 0, "serving",
		(int)fleet_serving(tenant->next), "weight", (int)candidate->canary_weight_percent);
	if (tenant->split) {
		uint64_t before, canary;
		split_counts(tenant->split, &before, &canary);
		json_object_set_new(object, "connections",
			json_pack("{s:I, s:I}", "before", (json_int_t)before, "canary",
				(json_int_t)canary));
	}
	return object;
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
	const struct fleet *fleet = tenant->active ? tenant->active : tenant->next;
	const struct instance *instance = fleet_first(fleet);
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
	json_object_set_new(object, "ingress",
		ingress_describe(tenant->supervisor->ingress, tenant->record.name));
	json_object_set_new(
		object, "restarts", json_integer(tenant->restarts + (fleet ? fleet->restarts : 0)));
	json_object_set_new(object, "backoff_ms",
		json_integer(tenant->machine.state == TENANT_BACKOFF ? tenant->backoff_ms : 0));
	json_object_set_new(object, "reason", json_string(tenant->reason));
	json_object_set_new(object, "last_exit",
		tenant->last_end ? instance_end_describe(tenant->last_end) : json_null());
	json_object_set_new(object, "instances", describe_instances(tenant));
	json_object_set_new(object, "wanted",
		json_integer(program ? (json_int_t)program->manifest->instances : 0));
	json_object_set_new(object, "candidate", describe_candidate(tenant));
	json_object_set_new(object, "rollback_to",
		tenant->fallback ? json_string(tenant_fallback_release(tenant)) : json_null());
	json_object_set_new(object, "deaths", deaths_describe(tenant->deaths));
	json_object_set_new(object, "schedules",
		schedules_describe(tenant->supervisor->factory.schedules, tenant->record.name));
	json_object_set_new(object, "stats", describe_stats(fleet));
	json_object_set_new(object, "cgroup", describe_cgroup(fleet));
	json_object_set_new(object, "policy", describe_policy(tenant, program));
	json_object_set_new(object, "cgroup_version",
		json_string(cgroup_host_version(tenant->supervisor->cgroups)));
	json_object_set_new(
		object, "tier", json_string(tier_name(tenant->supervisor->options->tier)));
	json_object_set_new(object, "not_enforced", describe_missing(tenant->supervisor->cgroups));
	return object;
}
