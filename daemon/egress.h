/* The supervisor's side of tenantd-egress, the process that connects to the world for
 * workers and jobs: started when the first of them needs it, started again when it dies.
 * Its death ends what is under way there and nothing else: every living instance gets a
 * new channel. (common/egress.h: the messages.) */
#pragma once

#include "common/error.h"
#include "policy/policy.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>
#include <systemd/sd-event.h>

struct egress;

/* It decided about a connection of INSTANCE. What was asked for comes from a tenant. */
typedef void egress_audit_fn(
	void *data, uint32_t instance, const char *resource, bool allowed, const char *reason);

struct egress_options {
	const char *program;     /* path of tenantd-egress; stays the caller's, as all here */
	const char *resolv_conf; /* NULL: /etc/resolv.conf */
	const char *hosts;       /* NULL: /etc/hosts */
	uint32_t uid;            /* on the host: its own user and group; not 0 */
	egress_audit_fn *audit;  /* NULL: to the log */
	void *audit_data;
};

/* Makes the supervisor's part; the process starts with the first egress_add. */
int egress_new(sd_event *event, const struct egress_options *options, struct egress **ret_egress,
	struct error *error);
/* Kills the process. Takes NULL; returns NULL. */
struct egress *egress_free(struct egress *egress);

/* The process died, and this is the instance's new channel: send it on in MESSAGE_EGRESS
 * (what is sent on it waits until the next process serves). CHANNEL stays the caller's. */
typedef void egress_renewed_fn(void *data, int channel);

struct egress_add_options {
	uint32_t instance;           /* unique among the living; its number everywhere */
	const char *tenant;          /* copied */
	const struct policy *policy; /* connect, deny, limits.connect, audit: copied */
	bool proxy;                  /* a job: may send PROXY */
	egress_renewed_fn *renewed;  /* may be NULL */
	void *data;
};

/* Does the policy let it connect anywhere? If not, it needs no channel. */
bool egress_needed(const struct policy *policy);

/* Call before START is sent. Makes a channel; the instance's end (blocking, close-on-exec)
 * is the caller's: it goes into START as WORKER_FD_EGRESS, with start.egress = true. Never
 * waits for the process. -EEXIST when the instance was added already. */
int egress_add(struct egress *egress, const struct egress_add_options *options, int *ret_channel,
	struct error *error);
/* The instance is gone, or going: ends its connections that are being made, and its
 * proxy. Does nothing for one that was not added. EGRESS may be NULL. */
void egress_forget(struct egress *egress, uint32_t instance);
/* It gives up RULE (an entry of net.connect as the policy spells it, or any narrower one),
 * or everything ("" or NULL): for ever, also after a new start of the process. -EINVAL when
 * RULE is none; -ENOENT when the instance was not added. */
int egress_drop(struct egress *egress, uint32_t instance, const char *rule, struct error *error);

/* For a daemon that takes over: what INSTANCE may, and gave up; null when it was not added.
 * And back: as egress_add, with what was packed instead of a policy. */
struct takeover;
json_t *egress_pack(struct egress *egress, uint32_t instance, struct takeover *takeover);
int egress_restore(struct egress *egress, const struct egress_add_options *options,
	const json_t *packed, struct takeover *takeover, int *ret_channel, struct error *error);

/* For status: the pid, 0 when it does not run, and how often it was started. */
pid_t egress_pid(const struct egress *egress);
uint32_t egress_starts(const struct egress *egress);
