/* The least policy that a run needed, from what the audit log says that it asked for.
 * What no record tells of (limits, listeners, environment, the switch jit) is as in the policy
 * that it ran under; so are eval and wasm, unless that had all uses recorded. */
#pragma once

#include "common/error.h"
#include "common/protocol.h"
#include "policy/policy.h"

#include <stddef.h>

/* What is at a path on the host. */
enum suggest_place { SUGGEST_NOTHING, SUGGEST_FILE, SUGGEST_FOLDER };

struct suggestion;

/* LOOK says what is at a path; it is asked while suggest_policy runs. RELEASES (which must
 * outlive it) is the folder that the program finds releases in, or below which they all are;
 * "": unknown. NULL when out of memory. */
struct suggestion *suggest_new(enum suggest_place (*look)(const char *path), const char *releases);
struct suggestion *suggest_free(struct suggestion *suggestion);

/* One record: what was asked for, allowed or not. What makes no sense is left out, with a
 * note. */
void suggest_add(struct suggestion *suggestion, enum audit_permission permission,
	const char *resource, bool allowed);

/* The policy, made from BASE. Three or more files of one folder become that folder, four
 * or more hosts below one name become *.NAME, and a note says so. The caller frees it. */
int suggest_policy(struct suggestion *suggestion, const struct policy *base,
	struct policy **ret_policy, struct error *error);

/* What a person should know of it, after suggest_policy: one sentence each. */
const struct policy_list *suggest_notes(const struct suggestion *suggestion);
