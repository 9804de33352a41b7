/* What a tenant's releases demand of its life, and are told of it: daemon/tenant.c calls these
 * at the few places where a release comes to serve, or does not. */
#pragma once

#include "common/error.h"
#include "daemon/program.h"

#include <stddef.h>

struct deployment;
struct supervisor;
struct tenant;

/* May PROGRAM start? Where its policy demands signatures (signedBy) its release must have one
 * that holds, and must be what was signed: each file is hashed before the program is started for
 * the first time, and again when anything on the disk has changed since (tree_fingerprint).
 * Without signedBy nothing is looked at. 1: yes, once proof_start (daemon/proof.h) says so, too.
 * -EKEYREJECTED with the reason. */
int release_check(struct supervisor *supervisor, const char *tenant, struct program *program,
	struct error *error);
/* It has been unpacked a moment ago, and hashed by who did that. */
void release_is_fresh(struct program *program);
/* The text of the signature that RELEASE came with; NULL: it has none. The caller's. */
char *release_signature(struct supervisor *supervisor, const char *tenant, const char *release);

/* DEPLOYMENT has taken over, and the state file says so; FROM is what served before. */
void release_is_live(struct tenant *tenant, const char *from, const struct deployment *deployment);
/* The release that serves is not to be gone back to, because of REASON: something older is about to
 * take its place. */
void release_is_condemned(struct tenant *tenant, const char *reason);
/* DEPLOYMENT is given up, because of REASON. */
void release_is_rejected(
	struct tenant *tenant, const struct deployment *deployment, const char *reason);

/* A policy that was read again is being applied ("ok"), or is not ("failed"), because of WHY. */
void release_policy_changed(struct tenant *tenant, const char *result, const char *why);

/* Adds the releases that TENANT may be rolled back to, to *KEEP, an array of *COUNT that grows
 * (*ROOM). False when out of memory, or when the history cannot be read at the moment: then
 * nothing may be pruned. */
bool releases_keep(const struct tenant *tenant, const char ***keep, size_t *count, size_t *room);
