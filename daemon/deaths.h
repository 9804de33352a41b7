/* How a tenant's instances died of late: nothing until the first death, then the last
 * DEATHS_KEPT. */
#pragma once

#include "daemon/instance.h"
#include "deploy/store.h"

#include <stdint.h>

#include <jansson.h>

#define DEATHS_KEPT 10

struct deaths;

/* Adds one to *DEATHS, which is made when it is NULL. Out of memory it is not kept. */
void deaths_add(struct deaths **deaths, const struct instance_end *end, const char *release,
	pid_t pid, uint64_t served_ms);
/* Takes NULL; returns NULL. */
struct deaths *deaths_free(struct deaths *deaths);

/* The last first: [{"time","reason","exit_code","signal","release","pid","message","served_ms"}]
 * with a message of one line. */
json_t *deaths_describe(const struct deaths *deaths);

/* For a daemon that takes over, and back. DEATHS may be NULL. */
json_t *deaths_pack(const struct deaths *deaths);
void deaths_restore(struct deaths **deaths, const json_t *packed);
