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
 *                          AUDIT             a decision that only the worker saw
 *                          DROP              give up a permission; answered by DROPPED
 *                          CHILD_START       run a granted program
 *                          CHILD_SIGNAL      send it a signal
 *                          PROBED            the outcome of a PROBE
 *                          SCHEDULED_DONE    the outcome of a SCHEDULED
 *   supervisor -> worker   EGRESS            a new channel to the egress process
 *                          HANDOVER          a new channel that connections come over
 *                          SITES             what of the shared ports is its tenant's
 *                          CERTIFICATES      of hosts of those, with their keys
 *                          ACCEPT            take connections from its listeners, or do not
 *                          PROBE             is it well?
 *                          SCHEDULED         run the scheduled handler
 *                          SIGNAL            a signal for the program
 *                          INSPECT           a debugger's connection
 *                          DROPPED           the permission is gone
 *                          CHILD_STARTED     with the other ends of its pipes
 *                          CHILD_FAILED      it could not be started
 *                          CHILD_EXITED      how it ended
 *   supervisor -> job      START, EGRESS, and
 *                          SIGNAL            a signal for the program
 *                          PROGRAM_IS        the answer to PROGRAM, with a mount
 *   job -> supervisor      PROGRAM           where a program of the host is; before CONFINED
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
	MESSAGE_AUDIT,
	MESSAGE_DROP,
	MESSAGE_DROPPED,
	MESSAGE_EGRESS,
	MESSAGE_SIGNAL,
	MESSAGE_CHILD_START,
	MESSAGE_CHILD_SIGNAL,
	MESSAGE_CHILD_STARTED,
	MESSAGE_CHILD_FAILED,
	MESSAGE_CHILD_EXITED,
	MESSAGE_HANDOVER,
	MESSAGE_ACCEPT,
	MESSAGE_SITES,
	MESSAGE_PROBE,
	MESSAGE_PROBED,
	MESSAGE_SCHEDULED,
	MESSAGE_SCHEDULED_DONE,
	MESSAGE_PROGRAM,
	MESSAGE_PROGRAM_IS,
	MESSAGE_CERTIFICATES,
	MESSAGE_INSPECT,
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

#define WORKER_GRANTS_MAX 192 /* files and folders */
#define WORKER_RULES_MAX 256  /* of each list of permissions */

enum worker_mode {
	WORKER_MODE_SERVE,  /* export default { fetch } on listeners */
	WORKER_MODE_SCRIPT, /* run once, exit with its code */
	WORKER_MODE_JOB,    /* any program, in a sandbox of its own: tenant-launcher */
	/* SERVE if the program turns out to be a service when its module has evaluated (it
	 * exports fetch, or has taken a listener over), else SCRIPT: `tenantd run`. */
	WORKER_MODE_EITHER,
	WORKER_MODE_COMPILE, /* runs nothing: isolate/code_cache.h */
};

/* One file or folder of the host. Its mount is a descriptor of START. */
struct worker_grant {
	const char *path; /* absolute, normalised; the same inside as on the host */
	bool write;       /* and read */
	bool folder;
};

/* Order of the descriptors of START. Listeners follow the last one, then one detached
 * mount for each grant; in tier container the file or folder itself (O_PATH). */
enum worker_fd {
	/* Detached mount of the release, open_tree(2); becomes /app. Tier container: the
	 * folder itself. */
	WORKER_FD_RELEASE,
	WORKER_FD_STATS, /* memfd of one struct worker_stats page, shared */
	WORKER_FD_STDIN,
	WORKER_FD_STDOUT,
	WORKER_FD_STDERR,
	WORKER_FD_EGRESS, /* channel to the egress process; /dev/null without net.connect */
	WORKER_FD_CACHE,  /* the release's code cache, a file; /dev/null without one */
	WORKER_FD_LISTENERS,
};

/* Whether a debugger is there from the beginning: INSPECT follows right behind START. */
enum worker_inspect {
	WORKER_INSPECT_NONE,
	WORKER_INSPECT_ATTACHED,
	WORKER_INSPECT_BREAK, /* it says when the program begins */
	WORKER_INSPECT_COUNT,
};

/* What START says. Pointers point into the message. Zero means no limit where a
 * limit may be absent. */
struct worker_start {
	const char *tenant;
	const char *entry; /* path of the entry module below /app */
	uint32_t mode;     /* enum worker_mode */
	uint32_t uid;      /* id inside the worker's user namespace, 1..uid_count-1; the host's
			      in tier container */
	const char *root;  /* folder of the release as the worker sees it: "/app" in tier full */
	uint32_t tier;     /* enum tier */
	uint32_t audit;    /* enum policy_audit: 0 off, 1 denied, 2 all */
	bool egress;       /* WORKER_FD_EGRESS is a channel */
	bool allow_eval, allow_wasm, allow_jit;
	bool ingress;          /* something of the ports that tenants share is its own */
	uint32_t inspect;      /* enum worker_inspect */
	bool ready_signal;     /* READY only when the program calls ctx.ready() */
	uint64_t memory_bytes; /* of the whole process; the heap limit follows from it */
	uint64_t stack_bytes;  /* of JavaScript; 0: V8's default */
	uint32_t files;        /* RLIMIT_NOFILE */
	uint32_t threads;      /* of it: limits.pids. A cgroup's, where there are any */
	uint32_t turn_cpu_ms;  /* most CPU time of one turn of the event loop */
	uint32_t request_ms;   /* most wall-clock time of one request */
	uint64_t body_bytes;   /* largest request body */
	uint32_t concurrent;   /* most requests under way */
	uint32_t idle_ms;      /* keep-alive time without a request */
	uint64_t tmp_bytes;    /* of /tmp; 0: there is none */
	uint32_t time_ms;      /* jobs: most wall-clock time; 0: no limit */
	const char *folder;    /* jobs: the current folder; "" for "/" */
	size_t environment_count;
	const char *environment[WORKER_STRINGS_MAX]; /* "NAME=value" */
	size_t argument_count;
	const char *arguments[WORKER_STRINGS_MAX];
	size_t listener_count;
	const char *listeners[WORKER_LISTENERS_MAX];      /* "tcp:127.0.0.1:8080", "unix:/run/x" */
	const char *listener_names[WORKER_LISTENERS_MAX]; /* "" without one; as many */
	size_t grant_count;
	struct worker_grant grants[WORKER_GRANTS_MAX]; /* ascending by path: parents first */
	/* The rest of the permissions as the policy spells them, for good errors and for
	 * process.permission: who enforces them is somebody else. */
	size_t connect_count, deny_count, exec_count;
	const char *connect[WORKER_RULES_MAX], *deny[WORKER_RULES_MAX], *exec[WORKER_RULES_MAX];
	size_t secret_count;
	const char *secrets[WORKER_RULES_MAX]; /* "NAME=value" */
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
	WORKER_REASON_EXIT = 1,     /* process.exit, or a script that came to its end */
	WORKER_REASON_DRAINED,      /* as told */
	WORKER_REASON_UNCAUGHT,     /* an exception or rejection that nobody handled */
	WORKER_REASON_CPU_LIMIT,    /* one turn used more than turn_cpu_ms */
	WORKER_REASON_HEAP_LIMIT,   /* V8's heap reached its limit */
	WORKER_REASON_BOOT,         /* FAILED: the release could not be loaded */
	WORKER_REASON_SANDBOX,      /* FAILED: a step of the confinement failed */
	WORKER_REASON_SIGNAL,       /* a job's program was killed by the signal EXIT_CODE */
	WORKER_REASON_TIME_LIMIT,   /* a job ran longer than time_ms */
	WORKER_REASON_NOT_FOUND,    /* FAILED: a job's program is not there */
	WORKER_REASON_NOT_RUNNABLE, /* FAILED: a job's program cannot be run */
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

/* AUDIT. What the worker says is a hint: a compromised one may say anything, or nothing. */
struct message_audit {
	struct message_header header;
	uint32_t permission; /* enum audit_permission */
	uint32_t layer;      /* enum audit_layer */
	uint32_t allowed;    /* 0 or 1 */
	uint32_t dropped;    /* decisions before it that were too many to tell */
	int32_t syscall;     /* AUDIT_LAYER_SECCOMP: its number, else -1 */
	/* then the resource, NUL-terminated, at most AUDIT_RESOURCE_MAX */
};
#define AUDIT_RESOURCE_MAX 4096

/* What was asked for: the names of process.permission, see audit_permission_name. */
enum audit_permission {
	AUDIT_FS_READ,
	AUDIT_FS_WRITE,
	AUDIT_NET_CONNECT,
	AUDIT_NET_LISTEN,
	AUDIT_CHILD,
	AUDIT_ENV,
	AUDIT_SYSCALL,
	AUDIT_RESOURCE, /* a limit: memory, pids, cpu */
	AUDIT_EVAL,     /* code from a string; the resource is the place in the program */
	AUDIT_WASM,     /* likewise */
	AUDIT_PERMISSION_COUNT,
};
/* Who decided. */
enum audit_layer {
	AUDIT_LAYER_MOUNT,
	AUDIT_LAYER_LANDLOCK,
	AUDIT_LAYER_SECCOMP,
	AUDIT_LAYER_EGRESS,
	AUDIT_LAYER_CGROUP,
	AUDIT_LAYER_SUPERVISOR, /* jobs */
	AUDIT_LAYER_ENGINE,     /* eval, wasm */
	AUDIT_LAYER_COUNT,
};
/* "fs.read", "fs.write", "net.connect", "net.listen", "child", "env", "syscall", "resource",
 * "eval", "wasm" */
const char *audit_permission_name(enum audit_permission permission);
/* "mount", "landlock", "seccomp", "egress", "cgroup", "supervisor", "engine" */
const char *audit_layer_name(enum audit_layer layer);

/* DROP and DROPPED: the scope ("fs.read", "net", …) and the resource ("" for all of it), two
 * NUL-terminated strings behind the header. DROPPED repeats them. */
#define MESSAGE_DROP_MAX (sizeof(struct message_header) + 32 + AUDIT_RESOURCE_MAX)

/* ---- children of a worker: programs that the policy grants, run as jobs ---- */

#define WORKER_CHILDREN_MAX 64 /* at a time */

enum child_stdio {
	CHILD_STDIO_IGNORE,  /* /dev/null */
	CHILD_STDIO_PIPE,    /* a socketpair; the worker's end comes with CHILD_STARTED */
	CHILD_STDIO_INHERIT, /* the worker's own */
};

struct worker_child {
	uint32_t child; /* the worker's number for it, not in use */
	uint32_t stdio[3];
	uint32_t time_ms;   /* most wall-clock time; 0: no limit */
	const char *path;   /* absolute; must be one of child.exec */
	const char *folder; /* current folder; "" for "/" */
	size_t argument_count;
	const char *arguments[WORKER_STRINGS_MAX]; /* from argv[0] on */
	size_t environment_count;
	const char *environment[WORKER_STRINGS_MAX]; /* "NAME=value" */
};
/* As worker_start_encode and worker_start_decode. */
ssize_t worker_child_encode(
	const struct worker_child *child, uint32_t instance, void *data, size_t size);
int worker_child_decode(
	const void *data, size_t length, struct worker_child *ret_child, struct error *error);

/* CHILD_SIGNAL and SIGNAL (where CHILD is 0). */
struct message_child_signal {
	struct message_header header;
	uint32_t child;
	int32_t number;
};

/* Descriptors of CHILD_STARTED: the worker's ends of the pipes, in the order of stdio. */
struct message_child_started {
	struct message_header header;
	uint32_t child;
	int32_t pid; /* of its sandbox, on the host: a number to show, no more */
};

struct message_child_failed {
	struct message_header header;
	uint32_t child;
	int32_t code; /* errno: EACCES not granted, ENOENT no such program, EAGAIN too many */
	/* then the text, NUL-terminated */
};

struct message_child_exited {
	struct message_header header;
	uint32_t child;
	int32_t exit_code; /* -1: killed by SIGNAL */
	int32_t signal;
	uint32_t timed_out;
};

/* ---- connections that somebody else accepted ---- */

/* Descriptor of HANDOVER: a SOCK_SEQPACKET socket. Each packet on it is one struct handover
 * with one descriptor, a connected stream socket, which is the worker's from then on, as if
 * it had accepted it. The sender is tenantd-ingress, or the supervisor. A worker may have
 * several such channels; one that ends is closed. */
struct handover {
	uint32_t flags; /* bits of enum handover_flag */
};
enum handover_flag {
	HANDOVER_TLS = 1, /* the client speaks TLS: it ends in the worker */
};

/* SITES: the tenant's own, and those of others that are more specific than one of them
 * (common/site.h). Of a request on a connection from HANDOVER the most specific one must be
 * its own: else it is answered with 421, for only the first request decided who got the
 * connection. Replaces what the last one said; comes before the first HANDOVER of
 * tenantd-ingress. One that never got SITES takes every request. */
#define WORKER_SITES_MAX 1024

struct worker_sites {
	size_t count;
	struct worker_site {
		const char *host, *path;
		bool own;
	} sites[WORKER_SITES_MAX];
};
/* As worker_start_encode and worker_start_decode. */
ssize_t worker_sites_encode(
	const struct worker_sites *sites, uint32_t instance, void *data, size_t size);
int worker_sites_decode(
	const void *data, size_t length, struct worker_sites *ret_sites, struct error *error);

/* CERTIFICATES, with a memfd of worker_certificates_encode's bytes: those of hosts that are the
 * tenant's alone, with their keys. Replace what came before, at once; where one of them cannot
 * be used, all from before stay. Come before the first HANDOVER of tenantd-ingress. */
struct worker_certificate {
	const char *host;  /* "shop.example.com", "*.example.com" */
	const char *chain; /* PEM: its own certificate, then those that lead to its authority */
	const char *key;   /* PEM, without a passphrase */
};
#define CERTIFICATES_MAX 1024
#define CERTIFICATE_CHAIN_MAX (64 * 1024)
#define CERTIFICATE_KEY_MAX (32 * 1024)
#define CERTIFICATES_BYTES_MAX (8 * 1024 * 1024) /* of all that one worker gets */

/* Returns the length, or -EMSGSIZE when SIZE is too small. */
ssize_t worker_certificates_encode(
	const struct worker_certificate *list, size_t count, void *data, size_t size);
/* In place; RET has room for CERTIFICATES_MAX. Returns how many, or -EBADMSG. */
ssize_t worker_certificates_decode(
	const void *data, size_t length, struct worker_certificate *ret, struct error *error);

/* ACCEPT. A worker begins with taking connections. */
struct message_accept {
	struct message_header header;
	uint32_t on; /* 0 or 1 */
};

/* ---- is it well?, and what is due ---- */

enum probe_kind {
	PROBE_TCP,    /* the loop turns, and it takes connections */
	PROBE_HTTP,   /* GET of the path that follows gives a status from 200 to 399 */
	PROBE_HEALTH, /* the exported health() returns or resolves to anything but false */
	PROBE_KIND_COUNT,
};
/* A worker may have several under way. Who takes too long is not waited for. */
struct message_probe {
	struct message_header header;
	uint32_t id;
	uint32_t kind; /* enum probe_kind */
	/* then the path, NUL-terminated, at most PROBE_PATH_MAX; "" for other kinds */
};
#define PROBE_PATH_MAX 1024

struct message_scheduled {
	struct message_header header;
	uint32_t id;
	uint32_t late;   /* how many runs before this one were missed */
	uint64_t due_ms; /* Unix time */
			 /* then the cron expression as tenant.json has it, NUL-terminated */
};
#define SCHEDULE_CRON_MAX 256

/* PROBED and SCHEDULED_DONE. */
struct message_outcome {
	struct message_header header;
	uint32_t id;
	uint32_t ok; /* 0 or 1 */
		     /* then why not, NUL-terminated, at most OUTCOME_TEXT_MAX */
};
#define OUTCOME_TEXT_MAX 1024

/* ---- programs of the host that a job may run ---- */

/* PROGRAM: the path (absolute, of the host), NUL-terminated, behind the header. The job is
 * nobody on the host, and cannot tell whose symbolic links it would follow: the supervisor
 * goes there. One is answered before the next is sent. */
#define PROGRAM_PATH_MAX 4096 /* with the NUL */

/* PROGRAM_IS, with a detached mount if CODE is 0. */
struct message_program {
	struct message_header header;
	int32_t code; /* 0 or errno */
	/* then, if 0, where the path led to, NUL-terminated: no link is in it */
};

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
	uint64_t code_caches_used; /* modules that were not parsed, when its entry had been */
	uint64_t code_caches_rejected;
};

/* What the first turn may use of the CPU where each may use TURN_CPU_MS (not 0): the program
 * is loaded in it. */
static inline uint64_t worker_first_turn_ms(uint32_t turn_cpu_ms)
{
	const uint64_t most = (uint64_t)turn_cpu_ms * 10;
	return most > 5000 ? most : 5000;
}
