/* What tenantctl and the daemon say to each other over the control socket, a
 * SOCK_SEQPACKET unix socket: one JSON object a message, at most CONTROL_LENGTH_MAX
 * bytes. The client sends one request; the daemon answers with any number of
 * {"item": {...}} messages and then exactly one last message, {"done": {...}} or
 * {"error": {"code": "...", "message": "...", "exit": N}}.
 * The daemon knows who asks by SO_PEERCRED alone.
 *
 *   verb      request                                   answer
 *   version   {}                                        done {version, schema, engine, pid,
 *                                                       tier}
 *   list      {}                                        item {tenant}…, done {}
 *   status    {name}                                    done {tenant}
 *   deploy    {name, policy?: text, policy_file?,       item {"log": line}… while it starts,
 *              message?, signature?: text, keep?,       done {tenant, release, previous,
 *              canary_instances?, canary_weight?: %,    ready_ms, canary, rollback}
 *              min_healthy_ms?, wait?: bool for the
 *              lock, wait_ms?} + the archive
 *   rollback  {name, release?, message?, wait?,         the same
 *              min_healthy_ms?, wait_ms?}
 *   promote   {name, message?, wait_ms?}                done {tenant}
 *   releases  {name}                                    item: see daemon/history.h…, done {}
 *   diff      {name, a?, b?: releases}                  done {a, b} + descriptors of both
 *                                                       folders
 *   prune     {name, keep?}                             done {name, removed, kept}
 *   history   {name?, lines?}                           item: a line of
 *                                                       daemon/operations.h…, done {}
 *   start, stop, restart {name, wait_ms?}               done {tenant}
 *   remove    {name}                                    done {}
 *   logs      {name, lines, follow}                     item {"time","stream","line"}…, done {}
 *   run       {name?, entry, arguments, policy?: text,  item {"started": …}, done {exit_code,
 *              policy_file?} + descriptors: archive,      signal, reason, message,
 *              stdin, stdout, stderr; audit?: "all"…   denials: [{permission, resource,
 *                                                      layer, detail}]}
 *             or {name?, command, arguments: argv,      the same
 *              folder, policy?, policy_file?} +
 *              descriptors: stdin, stdout, stderr
 *              inspect?: "attach"|"break": one more
 *              descriptor, as for inspect
 *   inspect   {name} + a stream socket: the debugger's    item {pid, release}, done {reason} when
 *              (isolate/inspect.h); until it hangs up      the worker has ended
 *   signal    {number}: on the connection of a `run`    (none)
 *   check     {policy: text, policy_file}               done {}
 *   audit     {name?, lines, follow, denied}            item: a line of daemon/audit.h…,
 *                                                       done {cut: there were more}
 *   policy    {name}                                    done {policy: text, file}
 *   reset     {name, wait_ms?}                          done {tenant}
 *   events    {name?, lines, follow}                    item {"time","tenant","event","from",
 *                                                       "to","reason","message","release",
 *                                                       "pid"}…, done {}
 *   doctor    {}                                        done {tier, possible, items: [{group,
 *                                                       name, state, value, cost}]}
 *   daemon-reexec {}                                    done {version, from, pid, adopted,
 *                                                       renewed, ms}, from the new program
 *   shutdown  {}                                        done {}
 *
 * {tenant} is
 *   {"name", "state", "release", "pid", "uid", "since": RFC 3339, "ready_ms",
 *    "listeners": [{"url", "address"}], "restarts", "backoff_ms", "reason",
 *    "last_exit": {"reason","exit_code","signal","message","time"} | null,
 *    "wanted": how many instances there should be, "instances": [{"slot", "pid", "state":
 *              "starting"|"serving"|"draining"|"waiting"|"ended", "release", "age_ms",
 *              "requests", "requests_active", "connections", "ready", "probes"} or, of one that
 *              is not there, {"slot", "pid": null, "state", "release", "backoff_ms"}],
 *    "candidate": {"release", "strategy": "all-at-once"|"canary", "since", "by", "instances",
 *              "serving", "weight", "connections"?: {"before", "canary"}} | null,
 *    "rollback_to": a release, while one that is new may be rolled back on its own | null,
 *    "deaths": the last first, [{"time","reason","exit_code","signal","release","pid",
 *              "message","served_ms"}],
 *    "stats": (of all that serve) {"requests","requests_active","connections","loop_delay_ms",
 *              "loop_busy_ms","heap_used","heap_limit","external"} | null,
 *    "cgroup": {"memory","memory_peak","memory_limit","cpu_usec","pids","oom_kills"} | null,
 *    "schedules": [{"cron", "time_zone", "overlap", "next": RFC 3339 | null, "running",
 *              "missed", "last": {"due", "outcome": "ok"|"failed", "message", "ms"} | null}],
 *    "policy": {"file": path or "default"}, "cgroup_version": "v2"|"v1"|"hybrid",
 *    "tier": "full"|"container", "not_enforced": ["memory", "cpu", "pids"]: limits that this
 *    host cannot keep}
 *
 * deploy, rollback, promote, start, stop, restart, reset and remove answer when each new connection
 * goes by what they did, also on shared ports. Where tenantd-ingress does not say so in time, done
 * has "note", a sentence about it.
 *
 * wait_ms: at most how long the answer may take; when it is over the answer is an error
 * with exit 124, and the work goes on. A client that hangs up ends its `run`, nothing else.
 *
 * An archive is a pax tar (libarchive) of the release: regular files and folders
 * only, in a memfd or a file. */
#pragma once

#define CONTROL_SCHEMA 1
#define CONTROL_LENGTH_MAX (100 * 1024)
#define CONTROL_SOCKET_DEFAULT "/run/tenantd/control.sock"
#define CONTROL_SOCKET_ENVIRONMENT "TENANTD_SOCKET"

/* Exit codes of tenantctl. */
#define CONTROL_EXIT_OK 0
#define CONTROL_EXIT_FAILURE 1
#define CONTROL_EXIT_USAGE 2
#define CONTROL_EXIT_NOT_RUNNING 3 /* status: configured, not running */
#define CONTROL_EXIT_UNKNOWN 4     /* status: no such tenant */
#define CONTROL_EXIT_TIMEOUT 124   /* the wait, not the work, came to its end */
#define CONTROL_EXIT_TOOL 125      /* run: tenantd itself failed */
#define CONTROL_EXIT_NOT_RUNNABLE 126
#define CONTROL_EXIT_NOT_FOUND 127

/* A tenant's name: [a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?, so that it can be a file name,
 * a cgroup, a DNS label. */
#define CONTROL_NAME_MAX 63
