/* `tenantctl daemon-reexec`: the program of the daemon is replaced by the one that its path
 * leads to now, while tenants and their connections go on.
 *
 * The daemon stays the same process: what execve(2) keeps are its pid, its children, and the
 * descriptors that are not closed on exec. So workers do not lose their parent, and listeners
 * and channels stay as they are; what is not a descriptor goes over in a sealed memfd
 * (daemon/takeover.h). In this order:
 *
 *   1. the new program is asked whether it can take over (--check-handover): it has all of the
 *      daemon's options, and starts a zygote of its own. If not, nothing has happened;
 *   2. requests are no longer read but wait, and what is under way comes to its end, within
 *      REEXEC_QUIET_MS: deployments, starts, ends, programs that tenants run. What does not
 *      (a canary, a `tenantctl run`) is named, and nothing has happened;
 *   3. tenantd-ingress accepts no more, and hands over what it has accepted;
 *   4. execve. If it fails, all goes on as before;
 *   5. the new daemon adopts the tenants (daemon/adopt.h), with helpers of its own, and answers
 *      who asked.
 *
 * kill -9 leaves at each step what it leaves at any other time: workers die with the process. */
#pragma once

#include "daemon/control.h"
#include "daemon/supervisor.h"

#define REEXEC_QUIET_MS 10000
#define REEXEC_CHECK_MS 30000
#define REEXEC_INGRESS_MS 2000

/* The program and its arguments, as they were given. Once, before anything changes them. */
void reexec_remember(int argc, char **argv);
/* What --check-handover does: could this program, with OPTIONS, take over from one that writes
 * handovers of VERSION? Returns the exit code; the reason goes to standard error. */
int reexec_check(const struct options *options, const char *version);

/* The verb. One at a time. */
void reexec_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count);
