/* `tenantctl policy`: what its three verbs share. */
#pragma once

#include "common/tier.h"
#include "ctl/command.h"
#include "policy/policy.h"

#include <limits.h>
#include <stddef.h>

/* A policy that is asked about, and what it will be enforced in. */
struct subject {
	struct policy *policy;
	char source[512]; /* the file, or "the default policy" */
	enum tier tier;
	char release[PATH_MAX];  /* where its program finds the release; "" if nobody knows */
	char releases[PATH_MAX]; /* what all releases are below, likewise */
};

/* ARGUMENT is a file (it has a slash or a dot, or --policy FILE is given) or a tenant,
 * whose policy the daemon tells. The tier is the daemon's; of a file, when no daemon answers,
 * full. Returns 0 or an exit code, the error being reported. */
int subject_read(
	const struct invocation *invocation, const char *argument, struct subject *ret_subject);
void subject_clear(struct subject *subject);

int policy_explain_run(const struct invocation *invocation);
int policy_suggest_run(const struct invocation *invocation);
int policy_test_run(const struct invocation *invocation);
