/* The messages between supervisor, zygote and workers (SOCK_SEQPACKET, see
 * common/message.h). Every message begins with a struct message_header; each
 * receiver has a table of what it accepts, from whom, in which state, how long, with
 * how many descriptors. Anything else is fatal to the sender: message_check.
 *
 *   supervisor -> zygote   SPAWN             fork one worker
 *   zygote -> supervisor   ZYGOTE_READY      warm; accepts SPAWN
 *                          SPAWNED           with a pidfd
 *                          SPAWN_FAILED      with the reason
 *   supervisor -> worker   START             become this tenant (once)
 *                          DRAIN             stop accepting, finish, exit
 *   worker -> supervisor   CONFINED          locked and self-checked; no tenant code yet
 *                          READY             module evaluated, listeners accept
 *                          FAILED            cannot become ready; then it exits
 *                          EXITING           ends by itself, with why
 *
 * A worker that was forked without START waiting is a stock worker: it has done all
 * of the work that needs no tenant, and blocks. */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum message_type {
	MESSAGE_ZYGOTE_READY = 1,
	MESSAGE_SPAWN,
	MESSAGE_SPAWNED,
	MESSAGE_SPAWN_FAILED,
	MESSAGE_START,
	MESSAGE_DRAIN,
	MESSAGE_CONFINED,
	MESSAGE_READY,
	MESSAGE_FAILED,
	MESSAGE_EXITING,
	MESSAGE_TYPE_COUNT,
};

struct message_header {
	uint32_t type;     /* enum message_type */
	uint32_t instance; /* which worker it is about; 0 for none */
};

/* One row of a receiver's table. STATES is a bit mask of the receiver's own states
 * in which the message is legal. */
struct message_rule {
	enum message_type type;
	uint32_t states;
	size_t least, most;         /* bytes, the header included */
	size_t fds_least, fds_most; /* descriptors */
};

/* Finds the rule that allows this message (LENGTH bytes, FD_COUNT descriptors) in
 * STATE (one bit). Returns NULL, with the reason in ERROR, if none does. */
const struct message_rule *message_check(const struct message_rule *rules, size_t rule_count,
	uint32_t state, const void *message, size_t length, size_t fd_count, struct error *error);

/* ---- supervisor -> zygote ---- */

/* Descriptors of SPAWN: the worker's end of its channel; then, if CGROUP_V2, the
 * instance's cgroup v2 folder; then CGROUP_PROCS descriptors, open for writing, of
 * the cgroup.procs files of v1 hierarchies. */
struct message_spawn {
	struct message_header header;
	uint32_t uid_base;  /* first host id of the range mapped into the worker */
	uint32_t uid_count; /* how many ids; inside they are 0..uid_count-1 */
	uint32_t cgroup_v2; /* 0 or 1 */
	uint32_t cgroup_procs;
};

/* Descriptor of SPAWNED: the pidfd. The worker is the supervisor's child. */
struct message_spawned {
	struct message_header header;
	int32_t pid;
};

/* SPAWN_FAILED, FAILED and EXITING are a struct message_report with a text. */
#define MESSAGE_TEXT_MAX (32 * 1024)

/* ---- supervisor -> worker ---- */

#define WORKER_LISTENERS_MAX 16
#define WORKER_STRINGS_MAX 1024 /* environment entries, arguments: each */
#define WORKER_STRING_MAX (64 * 1024)

enum worker_mode {
	WORKER_MODE_SERVE,  /* export default { fetch } on listeners */
	WORKER_MODE_SCRIPT, /* run once, exit with its code */
};

/* Order of the descriptors of START. Listeners follow the last one. */
enum worker_fd {
	WORKER_FD_RELEASE, /* detached mount of the release, open_tree(2); becomes /app */
	WORKER_FD_STATS,   /* memfd of one struct worker_stats page, shared */
	WORKER_FD_STDIN,
	WORKER_FD_STDOUT,
	WORKER_FD_STDERR,
	WORKER_FD_LISTENERS,
};

/* What START says. Pointers point into the message. Zero means no limit where a
 * limit may be absent. */
struct worker_start {
	const char *tenant;
	const char *entry; /* path of the entry module below /app */
	uint32_t mode;     /* enum worker_mode */
	uint32_t uid;      /* id inside the worker's user namespace, 1..uid_count-1 */
	bool allow_eval, allow_wasm, allow_jit;
	uint64_t memory_bytes; /* of the whole process; the heap limit follows from it */
	uint32_t files;        /* RLIMIT_NOFILE */
	uint32_t turn_cpu_ms;  /* most CPU time of one turn of the event loop */
	uint32_t request_ms;   /* most wall-clock time of one request */
	uint64_t body_bytes;   /* largest request body */
	uint32_t concurrent;   /* most requests under way */
	uint32_t idle_ms;      /* keep-alive time without a request */
	size_t environment_count;
	const char *environment[WORKER_STRINGS_MAX]; /* "NAME=value" */
	size_t argument_count;
	const char *arguments[WORKER_STRINGS_MAX];
	size_t listener_count;
	const char *listeners[WORKER_LISTENERS_MAX]; /* "tcp:127.0.0.1:8080", "unix:/run/x" */
};

struct message_drain {
	struct message_header header;
	uint32_t grace_ms; /* after that the supervisor kills */
};

/* Encodes START. Returns the length or -EMSGSIZE when it does not fit into SIZE. */
ssize_t worker_start_encode(
	const struct worker_start *start, uint32_t instance, void *data, size_t size);
/* Decodes START in place; strings stay in DATA. Returns 0, or -EBADMSG, and *RET_START
 * is undefined. Touches no more of the struct than the message fills: it is large. */
int worker_start_decode(
	const void *data, size_t length, struct worker_start *ret_start, struct error *error);

/* ---- worker -> supervisor ---- */

/* Why a worker says that it ends, or could not start. */
enum worker_reason {
	WORKER_REASON_EXIT = 1,   /* process.exit, or a script that came to its end */
	WORKER_REASON_DRAINED,    /* as told */
	WORKER_REASON_UNCAUGHT,   /* an exception or rejection that nobody handled */
	WORKER_REASON_CPU_LIMIT,  /* one turn used more than turn_cpu_ms */
	WORKER_REASON_HEAP_LIMIT, /* V8's heap reached its limit */
	WORKER_REASON_BOOT,       /* FAILED: the release could not be loaded */
	WORKER_REASON_SANDBOX,    /* FAILED: a step of the confinement failed */
	WORKER_REASON_COUNT,
};

struct message_report {
	struct message_header header;
	uint32_t reason;    /* enum worker_reason */
	uint32_t exit_code; /* that it will exit with */
			    /* then the text, NUL-terminated, for a person: message, stack */
};

/* Encodes a message_report with TEXT (cut at MESSAGE_TEXT_MAX). Returns the length.
 * Async-signal-safe. */
size_t message_report_encode(void *data, size_t size, enum message_type type, uint32_t instance,
	enum worker_reason reason, uint32_t exit_code, const char *text);
/* Returns the text of a checked report, "" when it has none or is not terminated. */
const char *message_report_text(const void *data, size_t length);

/* Shared between worker (writes) and supervisor (reads): what `status` shows even
 * while the worker is in a busy loop. The supervisor trusts none of it: it copies
 * once and treats each as a number. Times are CLOCK_MONOTONIC nanoseconds. */
struct worker_stats {
	uint64_t turns;           /* turns of the event loop */
	uint64_t turn_started_ns; /* when JavaScript was entered; 0 while idle in poll */
	uint64_t delay_max_ns;    /* longest turn so far */
	uint64_t requests;        /* answered */
	uint64_t requests_active;
	uint64_t connections;
	uint64_t heap_used_bytes; /* refreshed about once a second of activity */
	uint64_t heap_limit_bytes;
	uint64_t external_bytes;
};
