/* A helper process of the daemon (zygote, launcher, egress, ingress): fork, exec, a channel
 * to it, its messages checked against a table, its deadline, its death, and the next start.
 *
 * A user embeds a struct helper_process, and a struct helper_restart if it is to live on:
 *
 *	static const struct message_rule rules[] = {… HELPER_STARTING … HELPER_SERVING …};
 *	static const struct helper_kind kind = {.name = "ingress", .label = "tenantd-ingress",
 *		.rules = rules, .rule_count = ARRAY_LENGTH(rules), .message = handle_message,
 *		.died = died};
 *
 *	helper_process_init(&x->process, &kind, event, x);
 *	helper_restart_init(&x->restart, "ingress", event, start, x);
 *	start():          helper_process_start(&x->process, &(struct helper_start){…}, error)
 *	handle_message(): on its READY: helper_process_ready(&x->process, "")
 *	died():           helper_process_end(&x->process, &end);
 *	                  helper_process_log_end(&x->process, &end, why);
 *	                  helper_restart_schedule(&x->restart, end.served_ms);
 *	free():           helper_process_end(&x->process, &end); helper_restart_clear(&x->restart)
 *
 * It sends with message_send(x->process.channel, …), which does not block (-EAGAIN: full). */
#pragma once

#include "common/error.h"
#include "common/protocol.h"
#include "daemon/backoff.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <systemd/sd-event.h>

#define HELPER_CHANNEL_FD 3      /* where the program finds its channel */
#define HELPER_MESSAGE_MAX 16383 /* the longest message that a helper may send */

/* As the rules of its messages name them. 0: it does not run. */
enum { HELPER_STARTING = 1, HELPER_SERVING = 2 };

/* What all processes of a kind have in common. */
struct helper_kind {
	const char *name;  /* in events: event=NAME-ready, NAME-ended */
	const char *label; /* in messages: "tenantd-egress", "the zygote" */
	const struct message_rule *rules;
	size_t rule_count;
	/* A message that the rules allow, NUL after its end; FDS, as many as its rule says, are
	 * the callee's. */
	void (*message)(void *data, const char *message, size_t length, int *fds);
	/* Its channel has room again; may be NULL. See helper_process_want_room. */
	void (*room)(void *data);
	/* It ended, closed its channel, said what the rules forbid, or missed its deadline: call
	 * helper_process_end, then free or start it as you like. */
	void (*died)(void *data, const char *why);
	uint32_t channel_bytes; /* that it has not read yet; 0: the kernel's default */
	/* A zygote: what it forks must not inherit what is only for itself, a short slice of
	 * the scheduler and SIGPIPE's default; and its arguments may be relative paths. */
	bool forks;
};

/* One process. Fields are to be read only. */
struct helper_process {
	const struct helper_kind *kind;
	sd_event *event;
	void *data;
	pid_t pid; /* 0: it does not run */
	int pidfd, channel;
	uint32_t state;
	uint64_t started_ms;
	sd_event_source *channel_source, *exit_source, *deadline;
};

struct helper_start {
	const char *program;
	const char *const *arguments; /* with its name; NULL-terminated */
	uint32_t ready_ms;            /* the deadline for helper_process_ready */
};

struct helper_end {
	pid_t pid;
	bool killed; /* STATUS is a signal; else an exit code */
	int status;
	uint64_t served_ms;
};

/* DATA goes to the callbacks of KIND. EVENT must live longer. */
void helper_process_init(struct helper_process *process, const struct helper_kind *kind,
	sd_event *event, void *data);
/* The caller must have SIGCHLD blocked or unhandled, and one thread. The program gets an
 * environment that is empty but for what concerns the place it runs at, /dev/null as input
 * (and as output, and "/" as its folder, unless it forks), the channel and no other
 * descriptor but stderr, a session of its own, and SIGKILL when the daemon dies. */
int helper_process_start(
	struct helper_process *process, const struct helper_start *what, struct error *error);
/* It serves: state, deadline, and an entry in the log with DETAIL (" key=value") at its end. */
void helper_process_ready(struct helper_process *process, const char *detail);
/* It is taken for dead unless this is called again within MS; 0: no deadline. */
void helper_process_set_deadline(struct helper_process *process, uint32_t ms);
/* Whether room() is to be called once the channel takes messages again. */
void helper_process_want_room(struct helper_process *process, bool wanted);
/* Kills it; its end is noticed by the loop. */
void helper_process_kill(struct helper_process *process, const char *why);
/* Kills and reaps it, if it runs; closes everything. RET_END may be NULL. */
void helper_process_end(struct helper_process *process, struct helper_end *ret_end);
void helper_process_log_end(
	const struct helper_process *process, const struct helper_end *end, const char *why);

/* The next start after a death: the first at once, because somebody may be waiting for it;
 * then with backoff, and without end. */
typedef int helper_start_fn(void *data, struct error *error);

struct helper_restart {
	const char *name;
	sd_event *event;
	helper_start_fn *start;
	void *data;
	struct backoff backoff;
	sd_event_source *timer; /* NULL: none is pending */
};

/* START is called by the loop; returns 0 also when nobody needs the process any more. When
 * it fails, that is logged (event=NAME-failed), and it is called again in a second. */
void helper_restart_init(struct helper_restart *restart, const char *name, sd_event *event,
	helper_start_fn *start, void *data);
void helper_restart_schedule(struct helper_restart *restart, uint64_t served_ms);
bool helper_restart_is_pending(const struct helper_restart *restart);
void helper_restart_clear(struct helper_restart *restart);
