#include "daemon/tenant_sites.h"

#include "common/escape.h"
#include "common/log.h"
#include "daemon/ingress.h"
#include "daemon/supervisor.h"
#include "daemon/tenant.h"

int tenant_sites_check(
	const struct tenant *tenant, const struct program *program, struct error *error)
{
	struct ingress *ingress = tenant->supervisor->ingress;
	const struct policy_sites *sites = &program->policy->net.ingress;
	int result = ingress_check(ingress, tenant->record.name, sites, error);
	/* What it has already is not taken from it because a file is damaged now. */
	if (result == 0 && program != tenant->program)
		result = ingress_check_certificates(ingress, tenant->record.name, sites, error);
	return result;
}

void tenant_sites_renew(struct tenant *tenant)
{
	ingress_renew_certificates(tenant->supervisor->ingress, tenant->record.name);
}

void tenant_sites_take(struct tenant *tenant)
{
	struct error error = {0};
	if (tenant->program == NULL)
		return;
	/* Checked before; only what changed since then can be in the way. */
	if (ingress_set_sites(tenant->supervisor->ingress, tenant->record.name,
		    &tenant->program->policy->net.ingress, &error) < 0)
		log_error("event=ingress-sites-kept tenant=%s message=\"%s\"", tenant->record.name,
			escape_for_log(error.message));
	tenant_sites_state(tenant);
}

/* One that does not run, and will not unless somebody says so, is not waited for. */
static bool waits(const struct tenant *tenant)
{
	switch (tenant->machine.state) {
	case TENANT_NEW:
	case TENANT_STOPPED:
	case TENANT_STOPPING:
	case TENANT_FAILED:
	case TENANT_CRASHLOOP:
	case TENANT_REMOVING:
		return false;
	default:
		return true;
	}
}

void tenant_sites_state(struct tenant *tenant)
{
	ingress_set_wait(tenant->supervisor->ingress, tenant->record.name, waits(tenant));
}

void tenant_sites_wanted(void *data, const char *name)
{
	struct supervisor *supervisor = data;
	struct tenant *tenant = supervisor_find(supervisor, name);
	if (tenant && waits(tenant) && tenant_wake(tenant) == 0)
		return;
	if (tenant && !waits(tenant))
		tenant_sites_state(tenant);
}
