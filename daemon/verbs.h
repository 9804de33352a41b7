/* The verbs of the control socket, see common/control.h. */
#pragma once

#include "daemon/control.h"

extern const struct control_verb verbs[];
extern const size_t verbs_count;

/* How long a request waits when it does not say: longer than any start and any grace. */
#define VERB_WAIT_MS (11 * 60 * 1000)

/* Milliseconds to wait, from wait_ms of the request. */
uint32_t verb_wait_ms(const json_t *request);

/* daemon/verb_know.c */
void audit_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count);
void policy_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count);
void doctor_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count);

/* daemon/verb_deploy.c */
void deploy_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count);
