/* The client's end of the control socket: common/control.h. */
#pragma once

#include "common/error.h"
#include "ctl/command.h"

#include <jansson.h>
#include <stddef.h>

/* Connects to the daemon: --socket, else TENANTD_SOCKET, else the default. */
int client_connect(const struct invocation *invocation, int *ret_fd, struct error *error);

/* Sends REQUEST as one message, with descriptors that stay the caller's. */
int client_send(
	int fd, const json_t *request, const int *fds, size_t fd_count, struct error *error);

/* Receives one message. Returns 1 and the message, 0 when none is there yet and FLAGS
 * hold MSG_DONTWAIT, a negative errno when the daemon is gone or talks nonsense. */
int client_receive(int fd, int flags, json_t **ret_message, struct error *error);

/* A request with this verb; NAME may be NULL. */
json_t *client_request(const char *verb, const char *name);

/* The tenant in an answer: its member "tenant", or the whole of it. */
const json_t *client_tenant(const json_t *done);

/* What to do with each {"item"} of an answer. */
typedef void client_item(const json_t *item, void *data);

/* One whole exchange: connects, sends REQUEST (taken), hands each item to ITEM (which may
 * be NULL), and returns 0 and what came last: "done" or "error", the other being NULL. If
 * there was no answer, that was reported through the output, and the exit code comes back. */
int client_exchange(const struct invocation *invocation, json_t *request, const int *fds,
	size_t fd_count, client_item *item, void *data, json_t **ret_done, json_t **ret_failed);

/* The same, an "error" being reported too: returns 0 and "done" in *RET_DONE (may be
 * NULL), else the exit code to end with. With --no-wait there may be success without
 * "done". */
int client_call(const struct invocation *invocation, json_t *request, const int *fds,
	size_t fd_count, client_item *item, void *data, json_t **ret_done);

/* client_call with descriptors in the answer: at most *FD_COUNT of them, which become the
 * caller's. */
int client_call_fds(const struct invocation *invocation, json_t *request, json_t **ret_done,
	int *ret_fds, size_t *fd_count);

/* Takes the members of an "error" message, reports it and returns its exit code. */
int client_report(const json_t *error);

/* A request of a command that shows lines: of the tenant that it names, or of all, with --lines
 * and --follow. Returns 0 or the exit code of a usage error. */
int client_request_lines(
	const struct invocation *invocation, const char *verb, json_t **ret_request);

/* Puts --timeout and --no-wait into REQUEST as wait_ms. Returns 0 or the exit code of a
 * usage error. */
int client_put_wait(const struct invocation *invocation, json_t *request);

/* Puts the file of --policy into REQUEST, after a check of its own. Returns 0 or an exit
 * code. */
int client_put_policy(const struct invocation *invocation, json_t *request);

/* Checks a tenant's name before anybody is asked. Returns 0 or an exit code. */
int client_check_name(const char *name);
