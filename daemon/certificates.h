/* Certificates and keys of net.ingress: the operator's PEM files, read as root, shown to nobody
 * but the tenant's own workers. What was read stays until something better is: a file that is
 * damaged while the tenant runs takes nothing away from it. */
#pragma once

#include "common/error.h"
#include "policy/policy.h"

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

struct certificates;

/* Reads those of SITES. One that cannot be used is taken from BEFORE (which may be NULL, and
 * stays the caller's) where that has it by the same names, with a word in the log that TENANT
 * is in. Else, where STRICT, it is an error that says which entry, which file and why; where
 * not, it is left out, with a word in the log. *RET is NULL when there are none. */
int certificates_read(const char *tenant, const struct policy_sites *sites,
	const struct certificates *before, bool strict, struct certificates **ret,
	struct error *error);
/* The same certificates and keys for the same hosts. Both may be NULL. */
bool certificates_equal(const struct certificates *a, const struct certificates *b);
/* Wipes them. Takes NULL; returns NULL. */
struct certificates *certificates_free(struct certificates *certificates);

/* As worker_certificates_encode, in a memfd that is the caller's. NULL: of none. Returns it, or
 * a negative errno. */
int certificates_memory(const struct certificates *certificates);

/* For a daemon that takes over (daemon/reexec.h); and back. NULL and null: of none. */
struct takeover;
json_t *certificates_pack(const struct certificates *certificates, struct takeover *takeover);
struct certificates *certificates_restore(const json_t *packed, struct takeover *takeover);
