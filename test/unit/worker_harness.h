/* A real worker behind a socketpair: the test is its supervisor. Needs root. */
#pragma once

#include "common/protocol.h"

#include <stdbool.h>
#include <sys/types.h>

struct worker_options {
	enum worker_mode mode; /* WORKER_MODE_SERVE when 0 */
	bool ready_signal;
	bool unix_listener;
	bool no_listener;
	uint32_t concurrent; /* 0: 100 */
	uint32_t files;      /* 0: 256 */
};

struct worker {
	int channel, pidfd, log;
	pid_t pid;
	struct worker_stats *stats;
	int listener; /* the test's own copy; -1 */
	unsigned port;
	char folder[64];
};

/* Once: PROGRAM is tenant-zygote, SNAPSHOT its library. */
int harness_zygote_start(const char *program, const char *snapshot);
void harness_zygote_stop(void);

/* Starts a worker with SOURCE as its main.js. Does not wait. */
struct worker worker_begin(const char *source, const struct worker_options *options);
/* The same, and waits until it is ready. */
struct worker worker_serve(const char *source);
/* Kills what is left of it. */
void worker_end(struct worker *worker);

/* What the worker and its program wrote so far. */
const char *worker_log(const struct worker *worker);
/* Waits until the log has TEXT. */
void worker_wait_log(const struct worker *worker, const char *text);

/* ---- messages ---- */

/* Waits at most MS for the next message, which must be of TYPE. NULL when none came. */
const void *worker_message(struct worker *worker, enum message_type type, int ms);
/* Fails when it does not come. */
const void *worker_expect(struct worker *worker, enum message_type type);
/* Waits for FAILED or EXITING (TYPE) and the process' end. Returns its exit code. */
int worker_expect_end(
	struct worker *worker, enum message_type type, enum worker_reason reason, const char *text);

void worker_drain(struct worker *worker, uint32_t grace_ms);
void worker_accept(struct worker *worker, bool on);
void worker_probe(struct worker *worker, uint32_t id, enum probe_kind kind, const char *path);
void worker_schedule(struct worker *worker, uint32_t id, const char *cron, uint32_t late);
/* Gives it a new channel. Returns the sender's end. */
int worker_handover(struct worker *worker);
/* One packet: LENGTH bytes of {flags}, FDS. Returns 0 or a negative errno. */
int handover_send(int channel, uint32_t flags, size_t length, const int *fds, size_t count);
/* Waits for the outcome of ID; TEXT (NULL: any) must be in it. */
void worker_expect_outcome(
	struct worker *worker, enum message_type type, uint32_t id, bool ok, const char *text);

/* ---- a client ---- */

/* A connected pair, by TCP or a unix socket: RET[0] the client's, RET[1] the server's end. */
void connect_pair(int domain, int ret[2]);
int client_connect(const struct worker *worker);
void client_send(int fd, const char *text);
/* The next response with its head, "" when the server closes, NULL after MS. */
const char *client_response(int fd, int ms);
void client_expect(int fd, const char *part);
/* Whether the server closes without another byte. */
bool client_closed(int fd, int ms);

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"
