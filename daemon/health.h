/* The probes of one instance: startup, readiness, liveness, with the names and the meaning
 * that Kubernetes gives them. The worker is asked (PROBE) and answers (PROBED); who takes too
 * long has failed, so one in a busy loop fails.
 *
 * Startup comes first, and the others wait for it: when it has failed failureThreshold times
 * in a row, the instance is killed with END_PROBE_FAILED. Readiness decides whether the
 * instance takes connections; it begins with no. Liveness: after failureThreshold failures
 * in a row the instance is killed, with END_PROBE_FAILED, too.
 *
 * The event `ready` comes when startup has passed and readiness has decided for the first
 * time: a release that is tried (must_be_ready) is killed when that was a no; any other
 * instance waits unready, as long as it takes.
 *
 * An instance without probes costs nothing; one with probes has one timer. */
#pragma once

#include "common/error.h"
#include "policy/manifest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

struct health;
struct instance;

/* What is kept of the probes of MANIFEST, which stays the caller's. *RET is NULL when it has
 * none. */
int health_new(struct instance *instance, const struct manifest *manifest, bool must_be_ready,
	struct health **ret, struct error *error);
/* Takes NULL; returns NULL. */
struct health *health_free(struct health *health);

/* READY came. Returns false when the event `ready` must wait: it comes from here, later. */
bool health_begin(struct health *health);
/* It drains: nobody asks any more. Takes NULL. */
void health_stop(struct health *health);
/* PROBED came. False: no worker answers so. */
bool health_answer(struct health *health, const void *message, size_t length);

/* Is it fit for connections? Without a readiness probe, from `ready` on. */
bool health_is_ready(const struct instance *instance);
/* May its worker take connections, as far as the probes are concerned? Takes NULL. */
bool health_accepts(const struct health *health);

/* For a daemon that takes over (daemon/takeover.h); null without probes. And back: into what
 * health_new has just made. Both take NULL. */
json_t *health_pack(const struct health *health);
void health_restore(struct health *health, const json_t *packed);

/* For `status`: {"ready": bool, "probes": [{"role", "failing", "message"}]}: the probes that
 * failed last, with why. */
json_t *health_describe(const struct instance *instance);
