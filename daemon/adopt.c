#include "daemon/adopt.h"

#include "common/clock.h"
#include "common/escape.h"
#include "common/log.h"
#include "daemon/notify.h"
#include "daemon/schedule.h"
#include "daemon/tenant_takeover.h"
#include "daemon/verbs.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* The one that this process may have. */
static struct {
	size_t adopted, renewed;
	struct control_connection *asker;
} so_far;

static struct takeover *takeover_of(const struct supervisor *supervisor)
{
	return supervisor->options->takeover;
}

static const json_t *part(const struct supervisor *supervisor, const char *key)
{
	return json_object_get(takeover_of(supervisor)->root, key);
}

/* They are children of this process that nobody has waited for: their numbers are theirs. */
static void end_helpers(const json_t *pids)
{
	const json_t *pid;
	size_t i;
	json_array_foreach(pids, i, pid)
	{
		if (json_integer_value(pid) > 1)
			kill((pid_t)json_integer_value(pid), SIGKILL);
	}
	json_array_foreach(pids, i, pid)
	{
		siginfo_t info;
		if (json_integer_value(pid) > 1)
			waitid(P_PID, (id_t)json_integer_value(pid), &info, WEXITED);
	}
}

void adopt_begin(struct supervisor *supervisor)
{
	if (takeover_of(supervisor) == NULL)
		return;
	supervisor->adopting = true;
	notify_watchdog(supervisor->event); /* the service manager's clock runs on */
	end_helpers(part(supervisor, "helpers"));
	events_restore(supervisor->events, part(supervisor, "events"));
}

bool adopt_keeps_group(void *data, const char *name)
{
	const struct supervisor *supervisor = data;
	return takeover_of(supervisor) && json_object_get(part(supervisor, "groups"), name);
}

int adopt_lock(struct supervisor *supervisor)
{
	struct takeover *takeover = takeover_of(supervisor);
	const int fd = takeover ? takeover_take_fd(takeover, part(supervisor, "lock")) : -1;
	return fd < 0 ? -1 : fd;
}

void adopt_numbers(struct supervisor *supervisor)
{
	const struct takeover *takeover = takeover_of(supervisor);
	if (takeover == NULL)
		return;
	supervisor->factory.last_instance =
		(uint32_t)takeover_number(takeover->root, "last_instance");
	supervisor->factory.last_cgroup = (uint32_t)takeover_number(takeover->root, "last_cgroup");
}

void adopt_schedules(struct supervisor *supervisor)
{
	if (takeover_of(supervisor))
		schedules_restore(supervisor->factory.schedules, part(supervisor, "schedules"));
}

bool adopt_tenant(struct supervisor *supervisor, struct tenant *tenant)
{
	struct error error = {0};
	struct takeover *takeover = takeover_of(supervisor);
	if (takeover == NULL)
		return false;
	const json_t *packed = json_object_get(part(supervisor, "tenants"), tenant->record.name);
	if (packed == NULL)
		return false;
	int result = tenant_adopt(tenant, packed, takeover, &error);
	/* Taken, whatever came of it. */
	json_object_del((json_t *)part(supervisor, "tenants"), tenant->record.name);
	if (result == 0) {
		so_far.adopted++;
		return true;
	}
	so_far.renewed++;
	log_error("event=not-adopted tenant=%s message=\"%s\"", tenant->record.name,
		escape_for_log(error.message));
	tenant_note(tenant, "not-adopted", "daemon", NULL, escape_for_log(error.message));
	return false;
}

void adopt_rest(struct supervisor *supervisor)
{
	const char *name;
	json_t *packed;
	if (takeover_of(supervisor) == NULL)
		return;
	json_object_foreach((json_t *)part(supervisor, "tenants"), name, packed)
	{
		log_error("event=not-adopted tenant=%s message=\"the state file does not know it\"",
			escape_for_log(name));
		tenant_abandon(supervisor, packed, takeover_of(supervisor));
	}
	supervisor_watch(supervisor);
}

int adopt_control(struct supervisor *supervisor, struct error *error)
{
	const char *path = supervisor->options->socket;
	if (takeover_of(supervisor) == NULL)
		return control_open(supervisor->event, path, verbs, verbs_count, supervisor,
			&supervisor->control, error);
	return control_adopt(supervisor->event, path, verbs, verbs_count, supervisor,
		part(supervisor, "control"), takeover_of(supervisor), &supervisor->control,
		&so_far.asker, error);
}

void adopt_finish(struct supervisor *supervisor)
{
	struct takeover *takeover = takeover_of(supervisor);
	if (takeover == NULL)
		return;
	const double ms =
		(double)(clock_ns() - takeover_number(takeover->root, "started_ns")) / 1e6;
	log_info("event=reexeced from=%s version=" TENANTD_VERSION
		 " adopted=%zu renewed=%zu ms=%.1f",
		escape_for_log(takeover_string(takeover->root, "from")), so_far.adopted,
		so_far.renewed, ms);
	if (so_far.asker)
		control_done(so_far.asker,
			json_pack("{s:s, s:s, s:i, s:I, s:I, s:f}", "version", TENANTD_VERSION,
				"from", takeover_string(takeover->root, "from"), "pid",
				(int)getpid(), "adopted", (json_int_t)so_far.adopted, "renewed",
				(json_int_t)so_far.renewed, "ms", ms));
	takeover_clear(takeover);
	supervisor->adopting = false;
	/* Who died meanwhile was not to be reaped before it was known whose it is. */
	kill(getpid(), SIGCHLD);
}
