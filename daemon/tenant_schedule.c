/* What the schedules of a tenant need of it. */
#include "daemon/tenant.h"

static struct instance *pick(struct tenant *tenant, uint32_t turn)
{
	return tenant_pick(tenant, turn);
}

static void tell(struct tenant *tenant, const char *result, const char *line)
{
	tenant_log_note(tenant->log, line);
	tenant_note(tenant, "schedule", result, NULL, line);
}

const struct schedule_calls tenant_schedule_calls = {pick, tenant_wake, tell};
