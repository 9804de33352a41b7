/* Hashing a release in a process of its own: what takes 65 ms for 50 MB would hold up the daemon's
 * loop, and who waits for it. */
#include "deploy/verify.h"

#include "common/cleanup.h"
#include "common/file.h"
#include "deploy/tree.h"
#include "deploy/unpack_private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum verify_fd { VERIFY_FD_RELEASE = 3, VERIFY_FD_RESULT, VERIFY_FD_END };

/* Shorter than PIPE_BUF: it comes as a whole, or not at all. */
struct verify_report {
	int32_t code; /* positive errno, 0 for success */
	char release[STORE_ID_SIZE];
	char message[1024];
};

static _Noreturn void run_verify(pid_t daemon, const int *fds)
{
	struct verify_report report = {0};
	struct error error = {0};
	unpack_reset_signals();
	int result = unpack_arrange_fds(fds, VERIFY_FD_END - VERIFY_FD_RELEASE, &error);
	if (result == 0)
		result = unpack_die_with(daemon, &error);
	if (result == 0)
		result = tree_hash(VERIFY_FD_RELEASE, report.release, &error);
	report.code = -result;
	snprintf(report.message, sizeof report.message, "%s", error.message);
	file_write_all(VERIFY_FD_RESULT, &report, sizeof report);
	_exit(result < 0);
}

int verify_start(int release_fd, struct verify *ret_verify, struct error *error)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(error, errno, "cannot make a pipe");
	cleanup_close int mine = ends[0], its = ends[1];
	const int fds[] = {release_fd, its};
	pid_t self = getpid();
	pid_t pid = fork();
	if (pid == 0)
		run_verify(self, fds);
	if (pid < 0)
		return error_errno(error, errno, "cannot fork who hashes a release");
	int pidfd = pidfd_open(pid, 0);
	if (pidfd < 0) {
		int code = errno;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return error_errno(error, code, "cannot watch who hashes a release");
	}
	*ret_verify = (struct verify){.result_fd = take_fd(&mine), .pidfd = pidfd};
	return 0;
}

/* It may have been reaped already, by a wait for any child. */
static void end(struct verify *verify, int options)
{
	siginfo_t info;
	pidfd_send_signal(verify->pidfd, SIGKILL, NULL, 0);
	while (waitid(P_PIDFD, (id_t)verify->pidfd, &info, WEXITED | options) < 0 && errno == EINTR)
		;
	close_fd(&verify->pidfd);
	close_fd(&verify->result_fd);
}

int verify_finish(struct verify *verify, char ret_id[STORE_ID_SIZE], struct error *error)
{
	struct verify_report report;
	ssize_t got;
	do
		got = read(verify->result_fd, &report, sizeof report);
	while (got < 0 && errno == EINTR);
	end(verify, 0);
	if (got != sizeof report)
		return error_set(error, ECHILD,
			"it was not hashed: who does that was killed (out of memory?)");
	report.release[sizeof report.release - 1] = '\0';
	report.message[sizeof report.message - 1] = '\0';
	if (report.code)
		return error_set(error, report.code, "%s", report.message);
	memcpy(ret_id, report.release, STORE_ID_SIZE);
	return 0;
}

void verify_cancel(struct verify *verify)
{
	/* It may be in the hands of a disk that hangs: who waits for any child reaps it then. */
	end(verify, WNOHANG);
}
