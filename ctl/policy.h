/* `tenantctl policy`: what its three verbs share. */
#pragma once

#include "ctl/command.h"
#include "policy/policy.h"

#include <stddef.h>

/* A policy that is asked about. */
struct subject {
	struct policy *policy;
	char source[512]; /* the file, or "the default policy" */
};

/* ARGUMENT is a file (it has a slash or a dot, or --policy FILE is given) or a tenant,
 * whose policy the daemon tells. Returns 0 or an exit code, the error being reported. */
int subject_read(
	const struct invocation *invocation, const char *argument, struct subject *ret_subject);
void subject_clear(struct subject *subject);

int policy_explain_run(const struct invocation *invocation);
int policy_suggest_run(const struct invocation *invocation);
int policy_test_run(const struct invocation *invocation);
