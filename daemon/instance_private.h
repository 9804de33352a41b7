/* The halves of daemon/instance.c that stand in files of their own. */
#pragma once

#include "common/message.h"
#include "daemon/instance.h"

#include <signal.h>

/* Not yet about to end. */
#define INSTANCE_ALIVE (INSTANCE_STOCK | INSTANCE_BOOTING | INSTANCE_CONFINED | INSTANCE_READY)

/* No deadline until it is ready, because it may never be: it may run, and end. */
static inline bool instance_may_be_script(enum worker_mode mode)
{
	return mode == WORKER_MODE_SCRIPT || mode == WORKER_MODE_EITHER;
}

/* ---- daemon/instance_start.c ---- */

/* START as it is sent, with its descriptors, kept until the worker is known to exist. */
struct start_message {
	size_t length;
	size_t fd_count;
	int fds[MESSAGE_FDS_MAX];
	size_t owned_count;
	int owned[MESSAGE_FDS_MAX]; /* those of FDS that are closed with the message */
	int inspect_fd;             /* a debugger's, for INSPECT; -1: none */
	char data[];
};

/* Makes the release's mount, the page of statistics (INSTANCE->stats) and the log's
 * pipes, and encodes START. */
int start_message_make(struct instance *instance, const struct instance_spec *spec,
	struct start_message **ret_start, struct error *error);
struct start_message *start_message_free(struct start_message *start);

/* As egress_renewed_fn: the worker gets CHANNEL. */
void instance_renew_egress(void *data, int channel);

/* ---- daemon/instance.c, for daemon/instance_handover.c ---- */

int instance_watch_channel(struct instance *instance, struct error *error);
int instance_watch_process(struct instance *instance, struct error *error);
/* At AT_US of CLOCK_MONOTONIC. */
void instance_set_deadline(struct instance *instance, uint64_t at_us);

/* ---- daemon/instance_accept.c ---- */

/* Tells the worker whether to take connections, if that has changed. */
void instance_tell_accept(struct instance *instance);

/* ---- instance_ingress.c ---- */

/* It serves: connections of the shared ports come to it, too. */
void instance_join_ingress(struct instance *instance);

/* ---- daemon/instance_end.c ---- */

/* INSTANCE->end, made when first needed: it is most of an instance's memory, and few ever need
 * it. Without memory what is said of the end is lost, never the end. */
struct instance_end *instance_make_end(struct instance *instance);
void instance_free_end(struct instance *instance);

/* Takes over what FAILED or EXITING says. */
void instance_keep_report(struct instance *instance, const void *message, size_t length);
/* Fills INSTANCE->end from its exit status (si_code 0: unknown), what it said, what the
 * daemon did to it and what the kernel counted. */
void instance_explain_end(struct instance *instance, const siginfo_t *info);
