#include "daemon/reload.h"

#include "common/escape.h"
#include "common/log.h"
#include "daemon/ingress.h"
#include "daemon/notify.h"
#include "daemon/supervisor.h"

#include <stdlib.h>

struct reload {
	struct supervisor *supervisor;
	size_t waiting; /* for so many tenants */
	bool late;      /* the deadline has passed: nobody is told any more */
	bool reading;   /* not all of them were asked yet */
	struct ingress_wait *routes;
	sd_event_source *deadline;
};

struct reload *reload_free(struct reload *reload)
{
	if (reload == NULL)
		return NULL;
	ingress_sync_cancel(reload->routes);
	sd_event_source_disable_unref(reload->deadline);
	free(reload);
	return NULL;
}

static void finish(struct reload *reload)
{
	struct supervisor *supervisor = reload->supervisor;
	if (!reload->late && !supervisor->stopping)
		notify_ready("Policies read again");
	/* Tenants that are still tried have its address. */
	if (reload->waiting > 0)
		return;
	supervisor->reload = reload_free(reload);
}

static void routes_known(void *data, bool applied)
{
	struct reload *reload = data;
	reload->routes = NULL;
	if (reload->waiting > 0 || reload->reading) /* another one has begun */
		return;
	if (!applied)
		log_warn("event=reload-late message=\"tenantd-ingress has not answered yet\"");
	finish(reload);
}

static void check_over(struct reload *reload)
{
	struct ingress_wait *routes;
	if (reload->waiting > 0 || reload->reading || reload->routes)
		return;
	if (reload->late) {
		finish(reload);
		return;
	}
	ingress_sync(reload->supervisor->ingress, routes_known, reload, &routes);
	if (routes)
		reload->routes = routes;
}

static int deadline_passed(sd_event_source *source, uint64_t usec, void *data)
{
	struct reload *reload = data;
	(void)source;
	(void)usec;
	log_warn("event=reload-late message=\"%zu tenants are still being tried with their new "
		 "policy\"",
		reload->waiting);
	reload->routes = ingress_sync_cancel(reload->routes);
	if (!reload->supervisor->stopping)
		notify_ready("Policies read again");
	reload->late = true;
	check_over(reload);
	return 0;
}

static void settled(void *data, struct tenant *tenant, int result, const char *message)
{
	struct reload *reload = data;
	(void)tenant;
	(void)result;
	(void)message;
	reload->waiting--;
	check_over(reload);
}

static void read_policy(struct reload *reload, struct tenant *tenant)
{
	struct error error = {0};
	struct policy *policy;
	char file[256];
	if (program_policy(reload->supervisor->policy_fd, tenant->record.name, &policy, file,
		    &error) < 0) {
		log_error("event=policy-kept tenant=%s message=\"%s\"", tenant->record.name,
			escape_for_log(error.message));
		return;
	}
	tenant_new_policy(tenant, policy, file);
	if (tenant->program && tenant->candidate &&
		tenant_wait(tenant, WAIT_UP, settled, reload) == 0)
		reload->waiting++;
}

static struct reload *reload_of(struct supervisor *supervisor)
{
	if (supervisor->reload == NULL)
		supervisor->reload = calloc(1, sizeof *supervisor->reload);
	struct reload *reload = supervisor->reload;
	if (reload == NULL)
		return NULL;
	reload->supervisor = supervisor;
	reload->late = false;
	reload->routes = ingress_sync_cancel(reload->routes);
	sd_event_source_disable_unref(reload->deadline);
	reload->deadline = NULL;
	sd_event_add_time_relative(supervisor->event, &reload->deadline, CLOCK_MONOTONIC,
		RELOAD_WAIT_MS * 1000ull, 0, deadline_passed, reload);
	return reload;
}

void reload_begin(struct supervisor *supervisor)
{
	/* While it starts, policies are yet to be read, and it is not ready. */
	if (supervisor->stopping || supervisor->control == NULL)
		return;
	struct reload *reload = reload_of(supervisor);
	if (reload == NULL) {
		log_error("event=not-reloaded message=\"out of memory\"");
		return;
	}
	notify_reloading();
	log_info("event=reloading");
	reload->reading = true;
	for (size_t i = supervisor->tenant_count; i > 0; i--)
		read_policy(reload, supervisor->tenants[i - 1]);
	reload->reading = false;
	supervisor_changed(supervisor, CHANGED_STATUS);
	check_over(reload);
}
