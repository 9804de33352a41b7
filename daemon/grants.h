/* The files and folders that a policy grants, as mounts for one instance. */
#pragma once

#include "common/error.h"
#include "common/protocol.h"
#include "policy/policy.h"
#include "sandbox/sandbox.h"

struct grants {
	size_t count;
	struct sandbox_grant items[WORKER_GRANTS_MAX]; /* ascending by path */
};

/* Opens what POLICY grants, for the host's user ID: mounts, or in tier container files. Paths stay
 * POLICY's. A path that cannot be granted as it is now is an error that names it:
 *
 *   /permissions/fs/read/0: /srv/x: No such file or directory
 *
 * What works less well than it should is logged, for TENANT. */
int grants_open(const struct policy *policy, const char *tenant, uint32_t id, enum tier tier,
	struct grants *ret, struct error *error);
void grants_close(struct grants *grants);

/* No symbolic link is followed below what POLICY grants for writing, in no tenant's grants:
 * for whoever learns of a policy, before anything is started. */
void grants_distrust(const struct policy *policy);

/* Into START. */
void grants_put(const struct grants *grants, struct worker_start *start);
