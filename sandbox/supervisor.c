/* A confined process belongs to its supervisor: it dies with it, and shares nothing
 * with the session in which it was started. */
#include "sandbox/steps.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/keyctl.h>

int supervisor_watch(int channel, struct error *error)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return error_errno(error, errno, "cannot ask to die with the supervisor");
	/* The signal comes only for a death after this call. The parent's pid says nothing
	 * (it is 0: outside of our pid namespace), but the other end of the channel is the
	 * supervisor's alone and went with it. */
	if (channel < 0)
		return 0;
	struct pollfd poll_fd = {.fd = channel, .events = POLLIN};
	if (poll(&poll_fd, 1, 0) < 0)
		return error_errno(error, errno, "cannot look at the supervisor's channel");
	if (poll_fd.revents & (POLLHUP | POLLERR | POLLNVAL))
		return error_set(error, EPIPE, "the supervisor is gone");
	return 0;
}

int supervisor_leave_session(struct error *error)
{
	if (setsid() < 0)
		return error_errno(error, errno, "cannot make a new session");
	/* A kernel without keys, or a container that forbids them, leaves none to reach. */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS &&
		errno != EPERM && errno != EACCES)
		return error_errno(error, errno, "cannot make a new session keyring");
	umask(077);
	return 0;
}
