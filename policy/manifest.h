/* tenant.json, which a release carries: what the program is and how it wants to be
 * run. It comes from the tenant, so it grants nothing. Errors as in policy/policy.h.
 * Everything in it is optional, and so is the file.
 *
 *   {
 *     "entry": "main.js",
 *     "restart": "always" | "on-failure" | "never", or
 *                { "policy": …, "backoff": "200ms", "cap": "30s", "reset": "60s",
 *                  "crashloop": { "count": 10, "window": "2m" }, "stopCodes": [64] },
 *     "startup": "10s", "grace": "10s", "idle_timeout": "75s",
 *     "ready": "listening" | "signal",
 *     "probes": { "startup" | "readiness" | "liveness": {
 *         "httpGet": { "path": "/healthz" } | "tcpSocket": {} | "health": true,
 *         "initialDelaySeconds": 0, "periodSeconds": 10, "timeoutSeconds": 1,
 *         "failureThreshold": 3, "successThreshold": 1 } },
 *     "instances": 1, "idle": "stop after 60s", "warm": 0,
 *     "retire": { "cpu": "1h", "memory": "100M", "requests": 100000, "age": "24h" },
 *     "schedules": [ { "cron": "0 3 * * *", "timeZone": "Europe/Berlin", "overlap": false } ],
 *     "min_healthy": "0s",
 *     "permissions": …          what it asks for; see policy/policy.h, nothing is granted
 *   } */
#pragma once

#include "common/error.h"
#include "common/protocol.h"
#include "policy/policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MANIFEST_FILE "tenant.json"
#define MANIFEST_INSTANCES_MAX 64
#define MANIFEST_SCHEDULES_MAX 32
#define MANIFEST_STOP_CODES_MAX 16
#define MANIFEST_CRASHLOOP_COUNT_MAX 16
#define MANIFEST_WARM_MAX 64

enum manifest_restart {
	MANIFEST_RESTART_ALWAYS,
	MANIFEST_RESTART_ON_FAILURE, /* not after exit code 0 */
	MANIFEST_RESTART_NEVER,
};

/* How long to wait before one that ended by itself starts again: daemon/backoff.h. */
struct manifest_backoff {
	uint64_t base_ms, cap_ms, reset_ms;
	uint64_t crashloop_count, crashloop_window_ms;
};

/* Kubernetes' names and meaning: startup holds the others back, readiness decides whether
 * connections come, liveness ends an instance. */
enum manifest_probe_role {
	MANIFEST_PROBE_STARTUP,
	MANIFEST_PROBE_READINESS,
	MANIFEST_PROBE_LIVENESS,
	MANIFEST_PROBE_ROLES,
};
struct manifest_probe {
	bool wanted;
	enum probe_kind kind;
	char *path; /* PROBE_HTTP; else NULL */
	uint64_t initial_delay_ms, period_ms, timeout_ms;
	uint64_t failure_threshold, success_threshold; /* consecutive */
};

struct manifest_schedule {
	char *cron;      /* common/cron.h; checked */
	char *time_zone; /* NULL: UTC. Of the right form; whether this host knows it is
			    cron_zone_known */
	bool overlap;    /* a run may begin while the one before is under way */
};

/* Drains and replaces an instance that has passed one of them; 0: no limit. */
struct manifest_retire {
	uint64_t cpu_ms, memory_bytes, requests, age_ms;
};

struct manifest {
	char *entry; /* path below the release, normalised; NULL when the file names none */
	enum manifest_restart restart;
	struct manifest_backoff backoff;
	size_t stop_code_count; /* exit codes after which it is not started again */
	uint8_t stop_codes[MANIFEST_STOP_CODES_MAX];
	uint64_t startup_ms; /* from start until ready; 100 ms to 10 min */
	uint64_t grace_ms;   /* for draining; 0 to 10 min */
	uint64_t idle_ms;    /* of a kept-alive connection; 1 s to 1 h */
	bool ready_signal;   /* ready when it says so: ctx.ready() */
	struct manifest_probe probes[MANIFEST_PROBE_ROLES];
	uint64_t instances;     /* 1 to MANIFEST_INSTANCES_MAX */
	uint64_t stop_after_ms; /* without a request: scales to zero; 0: never */
	uint64_t warm;          /* forked workers kept ready for it */
	struct manifest_retire retire;
	size_t schedule_count;
	struct manifest_schedule *schedules;
	uint64_t min_healthy_ms; /* a new release must have been ready this long to take over */
	/* What it asks for, which grants nothing: only what it names is set. NULL: it does not
	 * say. And the same as canonical JSON. */
	struct policy *asks;
	char *permissions;
};

/* "startup", "readiness", "liveness". */
const char *manifest_probe_name(enum manifest_probe_role role);

/* Parses a tenant.json. Returns 0 and a manifest for manifest_free, or -EINVAL
 * (-ENOMEM) with ERROR filled. */
int manifest_parse(const char *text, size_t length, const char *file_name, struct manifest **ret,
	struct error *error);

/* Reads and parses PATH below DIR_FD; without such a file, the defaults. */
int manifest_read(int dir_fd, const char *path, struct manifest **ret, struct error *error);

/* What holds for a release without tenant.json. NULL when out of memory. */
struct manifest *manifest_default(void);

/* Takes NULL; returns NULL. */
struct manifest *manifest_free(struct manifest *manifest);

/* As policy_print. */
char *manifest_print(const struct manifest *manifest);

/* What MANIFEST asks for that POLICY does not grant, one "fs.read /srv/x" each, in the order
 * of docs/policy.md. Free with policy_list_clear. 0 or -ENOMEM. */
int manifest_missing_permissions(const struct manifest *manifest, const struct policy *policy,
	struct policy_list *ret, struct error *error);

/* The entry module: the manifest's own, or the first that is there of main.js,
 * main.mjs, index.js, index.mjs. EXISTS says whether the release has a regular file of
 * that path. NULL, with the reason in ERROR, when it has none. The string is the
 * manifest's or static. */
typedef bool manifest_exists(const char *path, void *data);
const char *manifest_entry(
	const struct manifest *manifest, manifest_exists *exists, void *data, struct error *error);
