/* The sweep of the store in a process of its own: thousands of unlink(2) would hold up the
 * daemon's loop, and who waits for it. */
#include "common/cleanup.h"
#include "deploy/store.h"
#include "deploy/store_private.h"
#include "deploy/unpack_private.h"

#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

enum sweep_fd { SWEEP_FD_STAGING = 3, SWEEP_FD_OBJECTS, SWEEP_FD_END };

static _Noreturn void run_sweep(pid_t daemon, const int *fds)
{
	struct store store = {
		.state = -1,
		.releases = -1,
		.staging = SWEEP_FD_STAGING,
		.objects = SWEEP_FD_OBJECTS,
		.signatures = -1,
		.lock = -1,
	};
	struct error error = {0};
	unpack_reset_signals();
	/* The daemon's sockets, above all its listeners, must end with the daemon's will. */
	int result = unpack_arrange_fds(fds, SWEEP_FD_END - SWEEP_FD_STAGING, &error);
	if (result == 0)
		result = unpack_die_with(daemon, &error);
	if (result == 0)
		result = store_sweep(&store, &error);
	_exit(result < 0);
}

int store_sweep_fork(struct store *store, int *ret_pidfd, struct error *error)
{
	const int fds[] = {store->staging, store->objects};
	pid_t self = getpid();
	pid_t pid = fork();
	if (pid == 0)
		run_sweep(self, fds);
	if (pid < 0)
		return error_errno(error, errno, "cannot fork the sweep of the store");
	int pidfd = pidfd_open(pid, 0);
	if (pidfd < 0) {
		int code = errno;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return error_errno(error, code, "cannot watch the sweep of the store");
	}
	*ret_pidfd = pidfd;
	return 0;
}
