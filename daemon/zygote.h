/* The zygote: starts tenant-zygote, asks it for workers, starts another when it dies,
 * and replaces it after so many workers or so much time, because all workers of one
 * zygote share its address layout and hash seed. Requests wait while there is none. */
#pragma once

#include "common/error.h"
#include "common/tier.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <systemd/sd-event.h>

#define ZYGOTE_QUEUE_MAX 4096 /* requests that wait */

struct zygote;

struct zygote_options {
	const char *program;  /* path of tenant-zygote; stays the caller's, as the next one */
	const char *snapshot; /* path of the library's snapshot; NULL: tenant-launcher, which has
				 none */
	const char *ca_file; /* of tenant-zygote: authorities that TLS trusts; NULL: the system's */
	bool jitless;
	bool once; /* for one worker: it leaves out what pays with the second */
	enum tier tier;      /* of its workers; TIER_NONE: full */
	uint32_t spawns_max; /* replaced after so many workers */
	uint64_t age_max_ms; /* and with the first worker after this time */
	uint32_t ready_ms;   /* deadline of its own start */
	uint32_t spawn_ms;   /* deadline of one spawn: a zygote that hangs is killed */
};
extern const struct zygote_options zygote_defaults;

/* How a request ended: RESULT 0 with PID and PIDFD (the callee's), -EAGAIN when the
 * zygote died over it (the request may be made again), or another negative errno with
 * MESSAGE. */
typedef void zygote_spawned_fn(void *data, int result, pid_t pid, int pidfd, const char *message);

struct zygote_request {
	uint32_t instance; /* unique among the requests under way */
	uint32_t uid_base, uid_count;
	int channel;   /* the worker's end; the zygote module takes it */
	int cgroup_v2; /* -1: none; this one and the next stay the caller's, and open */
	const int *cgroup_procs;
	size_t cgroup_procs_count;
	zygote_spawned_fn *spawned;
	void *data;
};

/* Called each time that a zygote is ready: the first one, a replacement, a successor. */
typedef void zygote_ready_fn(void *data);

/* Starts one. ON_READY may be NULL. EVENT must live longer. The caller must have
 * SIGCHLD blocked or unhandled, and one thread. */
int zygote_new(sd_event *event, const struct zygote_options *options, zygote_ready_fn *on_ready,
	void *data, struct zygote **ret_zygote, struct error *error);
/* Ends it; its workers live on. Requests under way are dropped without an answer. */
struct zygote *zygote_free(struct zygote *zygote);

/* True when one is warm. */
bool zygote_is_ready(const struct zygote *zygote);
/* False while there is no process: it has ended and the next one is not started yet. */
bool zygote_is_alive(const struct zygote *zygote);
/* The text of what went wrong last, "" if nothing. */
const char *zygote_last_error(const struct zygote *zygote);
/* Requests that have no answer yet. */
size_t zygote_pending(const struct zygote *zygote);

/* Asks for a worker. SPAWNED is called later, never from here. -EAGAIN when too many
 * requests wait. */
int zygote_spawn(struct zygote *zygote, const struct zygote_request *request, struct error *error);
/* Takes a request back: SPAWNED will not be called. Whatever has been or will be forked
 * for it is killed. */
void zygote_forget(struct zygote *zygote, uint32_t instance);
/* Whether PID is one of its processes (for whoever reaps unknown children). */
bool zygote_owns(const struct zygote *zygote, pid_t pid);
/* Its processes: at most ZYGOTE_PROCESSES_MAX. Returns how many. */
#define ZYGOTE_PROCESSES_MAX 3
size_t zygote_pids(const struct zygote *zygote, pid_t ret_pids[ZYGOTE_PROCESSES_MAX]);
