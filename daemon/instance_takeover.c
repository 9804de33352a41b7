#include "daemon/instance_takeover.h"

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "daemon/child.h"
#include "daemon/egress.h"
#include "daemon/health.h"
#include "daemon/instance_private.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>

const char *instance_obstacle(const struct instance *instance)
{
	if (instance->stage == INSTANCE_ENDED)
		return "a worker has just ended";
	if (instance->spawning || instance->pidfd < 0 || instance->finish ||
		instance->stage & (INSTANCE_BOOTING | INSTANCE_CONFINED))
		return "a worker starts";
	if (instance->mode != WORKER_MODE_SERVE)
		return "a job runs";
	if (children_busy(instance->children))
		return "a program of its (child.exec) runs";
	return NULL;
}

/* ---- packing ---- */

static json_t *pack_grants(const struct instance *instance)
{
	json_t *list = json_array();
	for (size_t i = 0; i < instance->grant_count; i++) {
		const struct instance_grant *grant = &instance->grants[i];
		json_array_append_new(
			list, json_pack("{s:o, s:I, s:b, s:b}", "path", takeover_text(grant->path),
				      "mount", (json_int_t)grant->mount, "write", grant->write,
				      "gone", grant->gone));
	}
	return list;
}

/* Not in the JSON: its copies in memory cannot be wiped. */
static json_t *pack_secrets(const struct secrets *secrets, struct takeover *takeover)
{
	json_t *list = json_array();
	for (size_t i = 0; i < secrets_count(secrets); i++) {
		const char *entry = secrets_entry(secrets, i);
		json_array_append_new(list, takeover_put_bytes(takeover, entry, strlen(entry) + 1));
	}
	return list;
}

/* What it is about to end of, as far as that is known. */
static json_t *pack_end(const struct instance *instance)
{
	return json_pack("{s:s, s:o, s:s, s:o, s:i}", "kill_reason",
		end_reason_name(instance->kill_reason), "kill_message",
		takeover_text(instance->kill_message), "reason",
		end_reason_name(instance->end ? instance->end->reason : END_NONE), "message",
		takeover_text(instance->end ? instance->end->message : ""), "signal",
		instance->reported_signal);
}

static json_t *pack_watch(const struct instance *instance)
{
	uint64_t deadline_us = 0;
	int enabled = SD_EVENT_OFF;
	if (instance->deadline && sd_event_source_get_enabled(instance->deadline, &enabled) > 0)
		sd_event_source_get_time(instance->deadline, &deadline_us);
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:b}", "listens",
		instance->channel_source != NULL, "deadline_us", (json_int_t)deadline_us, "turn_ns",
		(json_int_t)instance->watched_turn_ns, "cpu_usec",
		(json_int_t)instance->watched_cpu_usec, "slice_seen_ns",
		(json_int_t)instance->slice.seen_ns, "slice_used_ns",
		(json_int_t)instance->slice.used_ns, "slice_short", instance->slice.is_short,
		"accept_off", instance->accept_off, "accept_off_now", instance->accept_off_now);
}

static json_t *pack_limits(const struct instance *instance)
{
	const struct manifest_retire *retire = &instance->retire;
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i}", "turn_cpu_ms",
		(json_int_t)instance->turn_cpu_ms, "time_ms", (json_int_t)instance->time_ms,
		"memory", (json_int_t)instance->limits.memory_bytes, "cpu",
		(json_int_t)instance->limits.cpu_percent, "pids", (json_int_t)instance->limits.pids,
		"retire_cpu_ms", (json_int_t)retire->cpu_ms, "retire_memory",
		(json_int_t)retire->memory_bytes, "retire_requests", (json_int_t)retire->requests,
		"retire_age_ms", (json_int_t)retire->age_ms, "audit", (int)instance->audit);
}

json_t *instance_pack(const struct instance *instance, struct takeover *takeover)
{
	json_t *packed = json_pack("{s:I, s:i, s:i, s:I, s:i, s:b, s:I, s:I, s:s}", "id",
		(json_int_t)instance->id, "stage", (int)instance->stage, "pid", (int)instance->pid,
		"uid", (json_int_t)instance->uid, "kind", (int)instance->kind, "draining",
		instance->draining, "started_ns", (json_int_t)instance->started_ns, "ready_ns",
		(json_int_t)instance->ready_ns, "cgroup", cgroup_name(instance->cgroup));
	const struct {
		const char *key;
		json_t *value;
	} parts[] = {
		{"pidfd", takeover_put_fd(takeover, instance->pidfd)},
		{"channel", takeover_put_fd(takeover, instance->channel)},
		{"stats", takeover_put_fd(takeover, instance->stats_fd)},
		{"log", tenant_log_pack(instance->log, instance->id, takeover)},
		{"egress", egress_pack(instance->factory->egress, instance->id, takeover)},
		{"grants", pack_grants(instance)},
		{"secrets", pack_secrets(instance->secrets, takeover)},
		{"children", children_pack(instance->children)},
		{"health", health_pack(instance->health)},
		{"end", pack_end(instance)},
		{"watch", pack_watch(instance)},
		{"limits", pack_limits(instance)},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
		if (json_object_set_new(packed, parts[i].key, parts[i].value) < 0)
			takeover->failed = true;
	return packed;
}

/* ---- adopting ---- */

static int take_descriptors(struct instance *instance, const json_t *packed,
	struct takeover *takeover, struct error *error)
{
	instance->pidfd = takeover_take_fd(takeover, json_object_get(packed, "pidfd"));
	instance->channel = takeover_take_fd(takeover, json_object_get(packed, "channel"));
	instance->stats_fd = takeover_take_fd(takeover, json_object_get(packed, "stats"));
	if (instance->pidfd < 0 || instance->channel < 0)
		return error_set(error, EBADF, "a descriptor of worker %d was not handed over",
			instance->pid);
	if (instance->stats_fd < 0)
		return 0;
	void *page = mmap(
		NULL, sizeof(struct worker_stats), PROT_READ, MAP_SHARED, instance->stats_fd, 0);
	if (page == MAP_FAILED)
		return error_errno(error, errno, "cannot map the page of statistics");
	instance->stats = page;
	return 0;
}

static int take_grants(struct instance *instance, const json_t *packed, struct error *error)
{
	const json_t *list = json_object_get(packed, "grants"), *from;
	const size_t count = json_array_size(list);
	size_t i;
	if (count == 0)
		return 0;
	instance->grants = calloc(count, sizeof *instance->grants);
	if (instance->grants == NULL)
		return error_set(error, ENOMEM, "no memory for grants");
	json_array_foreach(list, i, from)
	{
		char *path = strdup(takeover_string(from, "path"));
		if (path == NULL)
			return error_set(error, ENOMEM, "no memory for grants");
		instance->grants[instance->grant_count++] = (struct instance_grant){
			.path = path,
			.mount = takeover_number(from, "mount"),
			.write = takeover_flag(from, "write"),
			.gone = takeover_flag(from, "gone"),
		};
	}
	return 0;
}

static int take_secrets(struct instance *instance, const json_t *packed, struct takeover *takeover,
	struct error *error)
{
	const json_t *list = json_object_get(packed, "secrets");
	const size_t count = json_array_size(list);
	char *data = NULL;
	size_t length = 0, all = 0;
	for (size_t i = 0; i < count; i++)
		all += (size_t)json_integer_value(json_array_get(json_array_get(list, i), 1));
	if (count == 0)
		return 0;
	/* They stand one behind the other. */
	json_t *whole =
		json_pack("[O, I]", json_array_get(json_array_get(list, 0), 0), (json_int_t)all);
	int result = takeover_take_bytes(takeover, whole, &data, &length);
	json_decref(whole);
	if (result < 0)
		return error_errno(error, -result, "its secrets were not handed over");
	result = secrets_restore(data, length, &instance->secrets, error);
	explicit_bzero(data, length);
	free(data);
	return result;
}

static void take_numbers(struct instance *instance, const json_t *packed)
{
	const json_t *limits = json_object_get(packed, "limits");
	const json_t *watch = json_object_get(packed, "watch");
	const json_t *end = json_object_get(packed, "end");
	instance->turn_cpu_ms = (uint32_t)takeover_number(limits, "turn_cpu_ms");
	instance->time_ms = (uint32_t)takeover_number(limits, "time_ms");
	instance->audit = (enum policy_audit)takeover_number(limits, "audit");
	instance->limits = (struct cgroup_limits){
		.memory_bytes = takeover_number(limits, "memory"),
		.cpu_percent = (uint32_t)takeover_number(limits, "cpu"),
		.pids = (uint32_t)takeover_number(limits, "pids"),
	};
	instance->retire = (struct manifest_retire){
		.cpu_ms = takeover_number(limits, "retire_cpu_ms"),
		.memory_bytes = takeover_number(limits, "retire_memory"),
		.requests = takeover_number(limits, "retire_requests"),
		.age_ms = takeover_number(limits, "retire_age_ms"),
	};
	instance->watched_turn_ns = takeover_number(watch, "turn_ns");
	instance->watched_cpu_usec = takeover_number(watch, "cpu_usec");
	instance->slice.seen_ns = takeover_number(watch, "slice_seen_ns");
	instance->slice.used_ns = takeover_number(watch, "slice_used_ns");
	instance->slice.is_short = takeover_flag(watch, "slice_short");
	instance->accept_off = takeover_flag(watch, "accept_off");
	instance->accept_off_now = takeover_flag(watch, "accept_off_now");
	instance->kill_reason = end_reason_find(takeover_string(end, "kill_reason"));
	instance->reported_signal = (int)takeover_number(end, "signal");
	snprintf(instance->kill_message, sizeof instance->kill_message, "%s",
		takeover_string(end, "kill_message"));
	const enum end_reason reason = end_reason_find(takeover_string(end, "reason"));
	if (reason == END_NONE)
		return;
	struct instance_end *about = instance_make_end(instance);
	about->reason = reason;
	snprintf(about->message, sizeof about->message, "%s", takeover_string(end, "message"));
}

/* The process that connects is a new one, and so is the channel to it. */
static int take_egress(struct instance *instance, const json_t *packed, struct takeover *takeover,
	struct error *error)
{
	const json_t *egress = json_object_get(packed, "egress");
	int channel = -1;
	if (!json_is_object(egress))
		return 0;
	const struct egress_add_options options = {
		.instance = instance->id,
		.tenant = instance->tenant,
		.renewed = instance_renew_egress,
		.data = instance,
	};
	int result = egress_restore(
		instance->factory->egress, &options, egress, takeover, &channel, error);
	if (result == 0)
		instance_renew_egress(instance, channel);
	close_fd(&channel);
	return result;
}

static int take_children(struct instance *instance, const struct instance_spec *spec,
	const json_t *packed, struct error *error)
{
	const json_t *children = json_object_get(packed, "children");
	struct policy *policy;
	const char *text = takeover_string(children, "policy");
	if (!json_is_object(children))
		return 0;
	int result = policy_parse(text, strlen(text), "policy", &policy, error);
	if (result < 0)
		return result;
	struct instance_spec as_started = *spec;
	as_started.mode = WORKER_MODE_SERVE;
	as_started.policy = policy;
	result = children_new(instance, &as_started, &instance->children, error);
	if (result == 0)
		result = children_restore(instance->children, children, error);
	policy_free(policy);
	return result;
}

static int take_watch(struct instance *instance, const json_t *packed, struct error *error)
{
	const json_t *watch = json_object_get(packed, "watch");
	const uint64_t deadline_us = takeover_number(watch, "deadline_us");
	int result = instance_watch_process(instance, error);
	if (result == 0 && takeover_flag(watch, "listens"))
		result = instance_watch_channel(instance, error);
	if (result == 0 && deadline_us)
		instance_set_deadline(instance, deadline_us);
	return result;
}

/* All that can fail. */
static int take_parts(struct instance *instance, const struct instance_spec *spec,
	const json_t *packed, struct takeover *takeover, struct error *error)
{
	int result = take_descriptors(instance, packed, takeover, error);
	if (result == 0)
		result = cgroup_adopt(instance->factory->cgroups, takeover_string(packed, "cgroup"),
			&instance->cgroup, error);
	if (result == 0)
		result = take_grants(instance, packed, error);
	if (result == 0)
		result = take_secrets(instance, packed, takeover, error);
	if (result == 0)
		result = tenant_log_restore(spec->log, instance->id, spec->release,
			instance->secrets, json_object_get(packed, "log"), takeover, error);
	if (result == 0)
		result = take_children(instance, spec, packed, error);
	if (result == 0 && spec->manifest)
		result = health_new(instance, spec->manifest, false, &instance->health, error);
	if (result == 0)
		result = take_egress(instance, packed, takeover, error);
	if (result == 0)
		result = take_watch(instance, packed, error);
	return result;
}

int instance_adopt(struct factory *factory, const struct instance_spec *spec, const json_t *packed,
	struct takeover *takeover, const struct instance_events *events, void *data,
	struct instance **ret_instance, struct error *error)
{
	struct instance *instance = calloc(1, sizeof *instance);
	if (instance == NULL)
		return error_set(error, ENOMEM, "no memory for an instance");
	*instance = (struct instance){
		.factory = factory,
		.sibling = factory->instances,
		.events = events,
		.data = data,
		.mode = WORKER_MODE_SERVE,
		.log = spec->log,
		.id = (uint32_t)takeover_number(packed, "id"),
		.stage = (enum instance_stage)takeover_number(packed, "stage"),
		.kind = (enum factory_kind)takeover_number(packed, "kind"),
		.pid = (pid_t)takeover_number(packed, "pid"),
		.uid = (uint32_t)takeover_number(packed, "uid"),
		.draining = takeover_flag(packed, "draining"),
		.started_ns = takeover_number(packed, "started_ns"),
		.ready_ns = takeover_number(packed, "ready_ns"),
		.channel = -1,
		.peer = -1,
		.pidfd = -1,
		.stats_fd = -1,
		.spare_slot = -1,
	};
	factory->instances = instance;
	snprintf(instance->tenant, sizeof instance->tenant, "%s", spec->tenant);
	snprintf(instance->release, sizeof instance->release, "%s", spec->release);
	take_numbers(instance, packed);
	int result = take_parts(instance, spec, packed, takeover, error);
	if (result < 0) {
		instance_free(instance);
		return result;
	}
	health_restore(instance->health, json_object_get(packed, "health"));
	if (instance->stage == INSTANCE_READY && !instance->draining) {
		instance_join_ingress(instance);
		instance_tell_accept(instance);
	}
	*ret_instance = instance;
	return 0;
}

void instance_abandon(struct factory *factory, const json_t *packed, struct takeover *takeover)
{
	struct cgroup *cgroup;
	struct error error = {0};
	cleanup_close int pidfd = takeover_take_fd(takeover, json_object_get(packed, "pidfd"));
	if (pidfd >= 0)
		pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
	if (cgroup_adopt(factory->cgroups, takeover_string(packed, "cgroup"), &cgroup, &error) == 0)
		factory_bury(factory, cgroup);
}
