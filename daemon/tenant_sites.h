/* A tenant's net.ingress, between its program and daemon/ingress.h. */
#pragma once

#include "common/error.h"

struct program;
struct supervisor;
struct tenant;

/* Could it be this one's? -EADDRINUSE when a site of it is another tenant's; another error when
 * a certificate cannot be used. */
int tenant_sites_check(
	const struct tenant *tenant, const struct program *program, struct error *error);
/* Its policy was read again, and is the same: its certificates may not be. */
void tenant_sites_renew(struct tenant *tenant);
/* tenant->program is what it is from now on. */
void tenant_sites_take(struct tenant *tenant);
/* It has come into another state: are connections to wait for it? */
void tenant_sites_state(struct tenant *tenant);
/* Connections wait for the tenant NAME: ingress_options.wanted of DATA, the supervisor. */
void tenant_sites_wanted(void *data, const char *name);
