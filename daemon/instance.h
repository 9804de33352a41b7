/* One worker process, from the request for it to its end: its control group, its
 * channel, its START, its deadlines, why it died. Each message it sends is checked
 * against a table (type, stage, length, descriptors); anything else kills it. */
#pragma once

#include "common/error.h"
#include "common/protocol.h"
#include "daemon/factory.h"
#include "daemon/listeners.h"
#include "daemon/logs.h"
#include "daemon/secrets.h"
#include "daemon/slice.h"
#include "policy/manifest.h"
#include "policy/policy.h"

#include <stdbool.h>
#include <stdint.h>

#define INSTANCE_MESSAGE_MAX 4096

/* Why an instance ended, or ends. */
enum end_reason {
	END_NONE,
	END_EXIT,           /* by itself, with its exit code */
	END_SIGNAL,         /* killed by a signal that the daemon did not send */
	END_UNCAUGHT,       /* an exception or rejection that nobody handled */
	END_OOM,            /* the kernel: over the memory limit */
	END_CPU_LIMIT,      /* one turn took too long */
	END_HEAP_LIMIT,     /* V8: over the heap's limit */
	END_SECCOMP,        /* a forbidden system call */
	END_BOOT_FAILED,    /* the release could not be loaded */
	END_SANDBOX_FAILED, /* not made, or not confined */
	END_START_TIMEOUT,
	END_PROTOCOL,     /* it sent what no worker sends */
	END_OPERATOR,     /* told to end */
	END_DEPLOY,       /* replaced */
	END_DRAINED,      /* told to end, and did */
	END_TIME_LIMIT,   /* a run or job: longer than limits.time */
	END_NOT_FOUND,    /* a job: there is no such program */
	END_NOT_RUNNABLE, /* a job: the program cannot be run */
	END_PROBE_FAILED, /* tenant.json's probes say that it is not well */
	END_RETIRED,      /* replaced by a fresh one: a soft limit */
	END_IDLE,         /* nothing to do */
	END_REASON_COUNT,
};

struct instance_end {
	enum end_reason reason;
	int exit_code; /* -1: killed by SIGNAL */
	int signal;
	uint64_t time_us;                   /* CLOCK_REALTIME */
	char message[INSTANCE_MESSAGE_MAX]; /* escaped, line by line */
};

/* Stages: bits, as message_check wants them. */
enum instance_stage {
	INSTANCE_STOCK = 1,    /* forked ahead; no START sent */
	INSTANCE_BOOTING = 2,  /* START sent */
	INSTANCE_CONFINED = 4, /* locked in, checked */
	INSTANCE_READY = 8,    /* serves; of a job: the program runs */
	INSTANCE_ENDING = 16,  /* said that it ends */
	INSTANCE_ENDED = 32,
};

struct children;
struct health;
struct inspection;
struct instance;

/* A file or folder of the host that an instance has. */
struct instance_grant {
	char *path;
	uint64_t mount; /* its number in mountinfo; 0: not known */
	bool write;
	bool gone; /* given up */
};

struct audit_event;

struct instance_events {
	/* READY came, and the probes that hold it back have passed (daemon/health.h). The owner
	 * may kill it now, but not free it. */
	void (*ready)(struct instance *instance, void *data);
	/* It is gone; instance->end says why. The owner frees it, here or later. */
	void (*ended)(struct instance *instance, void *data);
	/* Something was refused to it, and recorded. May be NULL. */
	void (*denied)(struct instance *instance, const struct audit_event *event, void *data);
	/* After ready: its readiness probe has changed its mind; see health_is_ready. May be
	 * NULL. */
	void (*readiness)(struct instance *instance, void *data);
};

/* What only a job is told (WORKER_MODE_JOB). Its program is spec.entry, an absolute path,
 * and is granted by that; spec.arguments begin with argv[0]. */
struct instance_job {
	/* The worker whose child it is: it gets that one's ids and its place in that one's
	 * control group. NULL: ids and a group of its own. */
	struct instance *parent;
	const char *folder; /* current folder; "": / */
	uint32_t time_ms;   /* 0: no limit */
	/* Instead of the policy's, if there is a parent: "NAME=value". */
	const char *const *environment;
	size_t environment_count;
};

/* What to start. Everything stays the caller's, and need not outlive the call but LOG. */
struct instance_spec {
	const char *tenant;
	const char *release; /* its id, for the log */
	int release_fd;      /* its folder; -1: none, of a job */
	const char *entry;
	enum worker_mode mode;
	const struct policy *policy;
	const struct listeners *listeners; /* NULL: none */
	const char *const *arguments;
	size_t argument_count;
	int64_t uid_slot;    /* -1: a spare one */
	uint32_t startup_ms; /* until READY (serve) or CONFINED (script) */
	uint32_t idle_ms;
	int cache_fd;           /* its code cache, see isolate/code_cache.h; 0: none */
	struct tenant_log *log; /* gets stdout and stderr; NULL: STDIO has all three */
	int stdio[3];
	const struct instance_job *job; /* NULL: it is none */
	/* Of a script: enum worker_inspect, and the debugger's socket, which INSPECT brings. */
	uint32_t inspect;
	int inspect_fd;
	/* Its probes and soft limits; NULL: none. */
	const struct manifest *manifest;
	/* One whose readiness probe does not pass is of no use: it ends with END_PROBE_FAILED,
	 * rather than wait unready. For a release that is being tried. */
	bool must_be_ready;
};

struct instance {
	uint32_t id;
	enum instance_stage stage;
	enum worker_mode mode;
	enum factory_kind kind; /* who forks it */
	bool draining;
	char tenant[64];
	char release[72];
	pid_t pid;
	uint32_t uid; /* on the host; 0: not known yet, of a stock worker */
	uint64_t started_ns, ready_ns;
	uint64_t start_looked_ns, start_wanted_ns; /* daemon/start_queue.h */
	bool start_waits; /* it starts, and leaves the processor to others */
	uint32_t turn_cpu_ms;
	struct instance_end *end; /* NULL: nothing is known of its end yet */
	struct cgroup *cgroup;
	bool cgroup_is_parents; /* a child's: it is not to be killed, limited or buried with it */
	struct children *children;     /* programs that it runs; NULL: it may not run any */
	struct health *health;         /* NULL: it has no probes */
	struct inspection *inspection; /* NULL: no debugger is there */

	/* Private. */
	struct factory *factory;
	struct instance *sibling; /* in factory->instances */
	const struct instance_events *events;
	void *data;
	int channel, peer, pidfd;
	bool spawning, retried;
	bool dead; /* its process is; what it said is still being read */
	enum end_reason kill_reason;
	char kill_message[256];
	int reported_signal;           /* that killed a job's program */
	uint32_t uid_first, uid_count; /* host ids that are mapped into it, as 0… */
	int64_t spare_slot;            /* -1: none */
	struct cgroup_limits limits;
	struct worker_stats *stats;
	int stats_fd; /* of that page: for the next daemon (daemon/reexec.h) */
	enum policy_audit audit;
	uint32_t time_ms;              /* of a whole script; 0: no limit */
	struct instance_grant *grants; /* mounted in it, ascending by path */
	size_t grant_count;
	struct secrets *secrets; /* of START; NULL: none */
	struct tenant_log *log;
	struct start_message *start; /* kept until the worker exists: a zygote may die */
	sd_event_source *channel_source, *exit_source, *deadline, *finish;
	uint64_t watched_turn_ns, watched_cpu_usec;
	struct slice slice;
	bool accept_off;     /* by its owner: instance_accept */
	bool accept_off_now; /* as the worker was told */
	struct manifest_retire retire;
};

/* Starts a worker for SPEC, from the stock if that has one. The events come later, never
 * from here. */
int instance_start(struct factory *factory, const struct instance_spec *spec,
	const struct instance_events *events, void *data, struct instance **ret_instance,
	struct error *error);
/* A worker without START, for the stock; instance_start takes it over from there. */
int instance_prepare(struct factory *factory, const struct instance_events *events, void *data,
	struct instance **ret_instance, struct error *error);

/* Sends a job's program a signal. */
void instance_signal(struct instance *instance, int number);
/* Tells it to finish within GRACE_MS; whoever has not ended then is killed. REASON is
 * END_OPERATOR or END_DEPLOY. */
void instance_drain(struct instance *instance, uint32_t grace_ms, enum end_reason reason);
/* Kills it. The first reason stands. */
void instance_kill(struct instance *instance, enum end_reason reason, const char *message);
/* Kills it if it still lives, forgets it: no event comes any more. Takes NULL. */
struct instance *instance_free(struct instance *instance);

/* Whether it is to take connections from its listeners. It does so while both its owner
 * (who begins with yes) and its readiness probe want it. */
void instance_accept(struct instance *instance, bool on);

/* A copy of what the worker says about itself: numbers, none of them to be trusted.
 * False when there are none. */
bool instance_read_stats(const struct instance *instance, struct worker_stats *ret_stats);
/* What it uses: by its control group, and where no one counts by its process. */
void instance_read_use(const struct instance *instance, struct cgroup_stats *ret_stats);
/* About once a second: gives a worker the slice that it deserves, and kills it when one turn
 * has used far more CPU than allowed, though its own watchdog should have ended it. */
void instance_watch_cpu(struct instance *instance);

/* From the request to READY; 0 before. */
uint64_t instance_ready_us(const struct instance *instance);
const char *end_reason_name(enum end_reason reason);
/* END_EXIT for a name that nobody has. */
enum end_reason end_reason_find(const char *name);
/* An escaped message, such as instance->end->message, as one quoted value of a log line:
 * its lines joined, its quotes escaped, cut. Valid until the next call. */
const char *message_for_log(const char *message);
