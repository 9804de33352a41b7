/* The verbs of the control socket, see common/control.h. */
#pragma once

#include "daemon/control.h"

extern const struct control_verb verbs[];
extern const size_t verbs_count;

/* How long a request waits when it does not say: longer than any start and any grace. */
#define VERB_WAIT_MS (11 * 60 * 1000)

/* Milliseconds to wait, from wait_ms of the request. */
uint32_t verb_wait_ms(const json_t *request);

/* daemon/verb_answer.c: control_done, once each new connection to the shared ports goes by what was
 * done (daemon/ingress.h, ingress_sync). If that is not so in time DONE has a "note" that says it.
 */
void verb_done(struct control_connection *connection, json_t *done);

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
void rollback_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count);

/* daemon/verb_releases.c */
void releases_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count);
void promote_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count);
void diff_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count);
void prune_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count);
void history_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count);

/* daemon/verb_events.c */
void events_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count);

/* The tenant that the request names. Answers itself, and returns NULL, when there is none. */
struct tenant *verb_tenant(struct control_connection *connection, const json_t *request);
/* Notes in the log of operations that the peer does ACTION to TENANT. */
void verb_note(struct control_connection *connection, const struct tenant *tenant,
	const char *action, const json_t *request);
/* The same, and who answers calls operations_sync first: what is done meanwhile need not wait
 * for the disk. */
void verb_note_early(struct control_connection *connection, const struct tenant *tenant,
	const char *action, const json_t *request);
