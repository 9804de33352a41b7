#include "daemon/factory.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/log.h"
#include "daemon/instance.h"
#include "daemon/stock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

#define GRAVE_RETRY_US 100000
#define SPARE_DELAY_US 20000 /* after a start, which has the machine to itself */

static void zygote_ready(void *data)
{
	struct factory *factory = data;
	if (factory->stock)
		stock_renew(factory->stock);
}

struct zygote *factory_zygote(struct factory *factory, enum factory_kind kind, struct error *error)
{
	if (factory->zygotes[kind])
		return factory->zygotes[kind];
	struct zygote_options options = factory->zygote_options;
	options.jitless = kind == FACTORY_JITLESS;
	if (kind == FACTORY_LAUNCHER) {
		options.program = factory->launcher;
		options.snapshot = NULL;
	}
	/* The stock is of workers with JIT: only their zygote's news concern it. */
	if (zygote_new(factory->event, &options, kind == FACTORY_JIT ? zygote_ready : NULL, factory,
		    &factory->zygotes[kind], error) < 0)
		return NULL;
	return factory->zygotes[kind];
}

/* ---- control groups ---- */

static int make_cgroup(struct factory *factory, struct cgroup **ret_cgroup, struct error *error)
{
	char name[32];
	snprintf(name, sizeof name, "worker-%u", ++factory->last_cgroup);
	return cgroup_create(factory->cgroups, name, ret_cgroup, error);
}

static int make_spare(sd_event_source *source, uint64_t usec, void *data)
{
	struct factory *factory = data;
	struct error error = {0};
	(void)source;
	(void)usec;
	if (factory->spare_cgroup == NULL)
		make_cgroup(factory, &factory->spare_cgroup, &error); /* else with the start */
	return 0;
}

int factory_take_cgroup(struct factory *factory, struct cgroup **ret_cgroup, struct error *error)
{
	sd_event_source_set_time_relative(factory->spare_timer, SPARE_DELAY_US);
	sd_event_source_set_enabled(factory->spare_timer, SD_EVENT_ONESHOT);
	if (factory->spare_cgroup) {
		*ret_cgroup = take_pointer(factory->spare_cgroup);
		return 0;
	}
	return make_cgroup(factory, ret_cgroup, error);
}

int factory_open(struct factory *factory, sd_event *event, struct cgroup_host *cgroups,
	const struct zygote_options *options, uint32_t uid_base, uint32_t uid_count,
	struct error *error)
{
	*factory = (struct factory){
		.secrets_folder = SECRETS_FOLDER_DEFAULT,
		.tier = TIER_FULL,
		.event = event,
		.cgroups = cgroups,
		.zygote_options = *options,
		.uid_base = uid_base,
		.slots = uid_count / FACTORY_IDS_PER_SLOT,
	};
	factory->null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (factory->null_fd < 0)
		return error_errno(error, errno, "cannot open /dev/null");
	int result = sd_event_add_time_relative(
		event, &factory->spare_timer, CLOCK_MONOTONIC, 0, 1000, make_spare, factory);
	if (result < 0)
		return error_errno(error, result, "cannot make a timer");
	sd_event_source_set_priority(factory->spare_timer, SD_EVENT_PRIORITY_IDLE);
	return factory_zygote(factory, FACTORY_JIT, error) ? 0 : -error->code;
}

void factory_close(struct factory *factory, unsigned wait_ms)
{
	struct error error = {0};
	for (size_t i = 0; i < ARRAY_LENGTH(factory->zygotes); i++)
		factory->zygotes[i] = zygote_free(factory->zygotes[i]);
	sd_event_source_disable_unref(factory->spare_timer);
	factory_bury(factory, take_pointer(factory->spare_cgroup));
	sd_event_source_disable_unref(factory->grave_timer);
	for (size_t i = 0; i < factory->grave_count; i++) {
		cgroup_kill(factory->graves[i], &error);
		if (cgroup_remove(factory->graves[i], wait_ms, &error) < 0)
			log_warn("event=cgroup-left message=\"%s\"", escape_for_log(error.message));
		cgroup_free(factory->graves[i]);
	}
	free(factory->graves);
	close_fd(&factory->null_fd);
	/* Whoever adopts orphans should not have to reap ours. */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* ---- user ids ---- */

uint32_t factory_tenant_slots(const struct factory *factory)
{
	return factory->slots > FACTORY_SPARE_SLOTS ? factory->slots - FACTORY_SPARE_SLOTS : 0;
}

uint32_t factory_uid(const struct factory *factory, uint32_t slot)
{
	return factory->uid_base + slot * FACTORY_IDS_PER_SLOT;
}

uint32_t factory_uid_count(const struct factory *factory)
{
	return factory->slots * FACTORY_IDS_PER_SLOT;
}

int64_t factory_take_spare(struct factory *factory)
{
	for (uint32_t i = 0; i < FACTORY_SPARE_SLOTS; i++) {
		if (factory->spare_used[i])
			continue;
		factory->spare_used[i] = true;
		return (int64_t)factory_tenant_slots(factory) + i;
	}
	return -EUSERS;
}

void factory_give_spare(struct factory *factory, int64_t slot)
{
	int64_t index = slot - factory_tenant_slots(factory);
	if (index >= 0 && index < FACTORY_SPARE_SLOTS)
		factory->spare_used[index] = false;
}

/* ---- graves ---- */

static int visit_graves(sd_event_source *source, uint64_t usec, void *data)
{
	struct factory *factory = data;
	struct error error = {0};
	size_t kept = 0;
	(void)usec;
	for (size_t i = 0; i < factory->grave_count; i++) {
		struct cgroup *cgroup = factory->graves[i];
		/* A process that was being forked when its instance was given up may have
		 * come into the group since. */
		if (cgroup_remove(cgroup, 0, &error) == 0) {
			cgroup_free(cgroup);
			continue;
		}
		cgroup_kill(cgroup, &error);
		factory->graves[kept++] = cgroup;
	}
	factory->grave_count = kept;
	if (kept > 0) {
		sd_event_source_set_time_relative(source, GRAVE_RETRY_US);
		sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	}
	return 0;
}

static void schedule_visit(struct factory *factory)
{
	if (factory->grave_timer == NULL) {
		sd_event_add_time_relative(factory->event, &factory->grave_timer, CLOCK_MONOTONIC,
			GRAVE_RETRY_US, 0, visit_graves, factory);
		return;
	}
	sd_event_source_set_time_relative(factory->grave_timer, GRAVE_RETRY_US);
	sd_event_source_set_enabled(factory->grave_timer, SD_EVENT_ONESHOT);
}

void factory_bury(struct factory *factory, struct cgroup *cgroup)
{
	struct error error = {0};
	if (cgroup == NULL)
		return;
	int result = cgroup_remove(cgroup, 0, &error);
	if (result == 0) {
		cgroup_free(cgroup);
		return;
	}
	cgroup_kill(cgroup, &error);
	struct cgroup **larger =
		reallocarray(factory->graves, factory->grave_count + 1, sizeof *factory->graves);
	if (larger == NULL) {
		log_warn("event=cgroup-left message=\"%s\"", escape_for_log(error.message));
		cgroup_free(cgroup); /* The next start cleans it. */
		return;
	}
	factory->graves = larger;
	factory->graves[factory->grave_count++] = cgroup;
	schedule_visit(factory);
}

/* ---- children ---- */

bool factory_owns(const struct factory *factory, pid_t pid)
{
	for (size_t i = 0; i < ARRAY_LENGTH(factory->zygotes); i++)
		if (factory->zygotes[i] && zygote_owns(factory->zygotes[i], pid))
			return true;
	for (const struct instance *instance = factory->instances; instance;
		instance = instance->sibling)
		if (instance->pid == pid && instance->pidfd >= 0)
			return true;
	return false;
}

bool factory_expects_children(const struct factory *factory)
{
	for (size_t i = 0; i < ARRAY_LENGTH(factory->zygotes); i++)
		if (factory->zygotes[i] && zygote_pending(factory->zygotes[i]) > 0)
			return true;
	return false;
}
