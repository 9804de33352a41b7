/* The halves of policy/manifest.c that stand in files of their own. */
#pragma once

#include "policy/fields.h"
#include "policy/manifest.h"

extern const char *const manifest_restart_names[];
extern const char *const manifest_probe_names[MANIFEST_PROBE_ROLES];

/* ---- policy/manifest_parts.c: readers of a struct manifest ---- */

field_reader manifest_read_restart;
field_reader manifest_read_ready;
field_reader manifest_read_probes;
field_reader manifest_read_idle;
field_reader manifest_read_retire;
field_reader manifest_read_schedules;

/* ---- policy/manifest_asks.c ---- */

field_reader manifest_read_permissions;

/* ---- policy/manifest_print.c ---- */

/* What is asked for as canonical JSON; only what is. NULL when out of memory. */
char *manifest_print_asks(const struct policy *asks);
