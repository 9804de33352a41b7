#include "deploy/unpack.h"

#include "common/cleanup.h"
#include "common/message.h"
#include "deploy/objects.h"
#include "deploy/store_private.h"
#include "deploy/unpack_private.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* After SIGKILL a process is gone in far less, unless its disk hangs. */
#define CANCEL_WAIT_MS 5000

/* ---- inside the helper and the unpacker ---- */

/* Where the helper has what it needs; it begins like the unpacker's own table. */
enum helper_fd {
	HELPER_FD_ARCHIVE = UNPACK_FD_ARCHIVE,
	HELPER_FD_STAGING = UNPACK_FD_STAGING,
	HELPER_FD_RESULT = UNPACK_FD_RESULT,
	HELPER_FD_LIFELINE = UNPACK_FD_LIFELINE,
	HELPER_FD_STAGING_PARENT,
	HELPER_FD_RELEASES,
	HELPER_FD_OBJECTS,
	HELPER_FD_END,
};

static void report_error(struct unpack_report *report, const struct error *error)
{
	report->code = error->code ? error->code : EIO;
	memcpy(report->message, error->message, sizeof report->message);
	report->message[sizeof report->message - 1] = '\0';
}

static void send_report(int fd, const struct unpack_report *report)
{
	/* A reader that is gone cannot be told. */
	(void)message_send(fd, report, sizeof *report, NULL, 0);
}

static _Noreturn void run_unpacker(pid_t helper, int result_fd)
{
	struct unpack_report report = {0};
	struct error error = {0};
	const int fds[] = {HELPER_FD_ARCHIVE, HELPER_FD_STAGING, result_fd, HELPER_FD_LIFELINE};
	int result = unpack_arrange_fds(fds, ARRAY_LENGTH(fds), &error);
	unpack_locale();
	if (result == 0) {
		result = unpack_confine(helper, &error);
		if (result < 0)
			error_prefix(&error, "cannot confine the unpacker");
	}
	if (result == 0)
		result = unpack_extract(UNPACK_FD_ARCHIVE, UNPACK_FD_STAGING, &report, &error);
	if (result < 0)
		report_error(&report, &error);
	send_report(UNPACK_FD_RESULT, &report);
	_exit(result < 0);
}

/* Takes a report from someone who is not trusted. LENGTH as message_receive returned it. */
static bool report_valid(struct unpack_report *report, ssize_t length)
{
	if (length != sizeof *report || report->code < 0 || report->code > 4095 ||
		report->entries > DEPLOY_FILES_MAX || report->bytes > DEPLOY_BYTES_MAX)
		return false;
	report->message[sizeof report->message - 1] = '\0';
	report->release[sizeof report->release - 1] = '\0';
	return true;
}

/* How a process that sent no report ended, for a person. */
static int describe_end(const char *who, int status, struct error *error)
{
	if (!WIFSIGNALED(status))
		return error_set(error, EIO, "the %s ended with code %d and no result", who,
			WEXITSTATUS(status));
	int number = WTERMSIG(status);
	const char *hint = "";
	if (number == SIGSYS)
		hint = ": it tried a system call that it may not make";
	else if (number == SIGXCPU)
		hint = ": the archive takes too much CPU time";
	else if (number == SIGKILL)
		hint = ": out of memory, or it was stopped";
	return error_set(error, EIO, "the %s was killed by signal %d (SIG%s)%s", who, number,
		sigabbrev_np(number) ? sigabbrev_np(number) : "?", hint);
}

/* Runs the unpacker to its end. */
static int supervise_unpacker(struct unpack_report *report, struct error *error)
{
	cleanup_close int mine = -1;
	int pair[2];
	int result = message_pair(pair);
	if (result < 0)
		return error_errno(error, result, "cannot make a socket pair");
	mine = pair[0];
	pid_t helper = getpid();
	pid_t pid = fork();
	if (pid == 0)
		run_unpacker(helper, pair[1]);
	int code = errno;
	close(pair[1]);
	if (pid < 0)
		return error_errno(error, code, "cannot fork the unpacker");

	ssize_t length = message_receive(mine, report, sizeof *report, NULL, NULL, 0);
	/* The report is its last word: from here on nothing may change in staging, even
	 * if it was taken over. One that ends by itself keeps its own wait status. */
	(void)kill(pid, SIGKILL);
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (length == 0)
		return describe_end("unpacker", status, error);
	if (!report_valid(report, length))
		return error_set(error, EBADMSG, "the unpacker sent a malformed result");
	report->release[0] = '\0';
	if (report->code)
		return error_set(error, report->code, "%s", report->message);
	return 0;
}

/* The store as the helper sees it: the same folders at other descriptors. */
static struct store helper_store(void)
{
	return (struct store){
		.state = -1,
		.releases = HELPER_FD_RELEASES,
		.staging = HELPER_FD_STAGING_PARENT,
		.objects = HELPER_FD_OBJECTS,
		.lock = -1,
	};
}

static struct store_staging helper_staging(const char *name)
{
	struct store_staging staging = {.fd = HELPER_FD_STAGING};
	snprintf(staging.name, sizeof staging.name, "%s", name);
	return staging;
}

static int finish_staging(
	bool ephemeral, const char *name, struct unpack_report *report, struct error *error)
{
	if (ephemeral) {
		/* The tenant, under whatever uid, must be able to enter. */
		if (fchmod(HELPER_FD_STAGING, 0555) < 0)
			return error_errno(error, errno, "cannot open up the staging folder");
		return 0;
	}
	struct store store = helper_store();
	struct store_staging staging = helper_staging(name);
	return store_commit(&store, &staging, report->release, error);
}

/* Here, not in the daemon: a bad archive may have made thousands of files before it turned out
 * to be one, and all that the daemon does would wait for their removal. */
static void remove_staging(const char *name)
{
	struct store store = helper_store();
	struct store_staging staging = helper_staging(name);
	store_discard(&store, &staging);
}

/* The daemon's handlers and masks are not for the helper. A Ctrl-C at the terminal is
 * for the daemon, which decides what becomes of the helper. */
void unpack_reset_signals(void)
{
	sigset_t none;
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void run_helper(pid_t daemon, const struct unpack *unpack, const int *fds)
{
	struct unpack_report report = {0};
	struct error error = {0};
	unpack_reset_signals();
	int result = unpack_arrange_fds(fds, HELPER_FD_END - HELPER_FD_ARCHIVE, &error);
	if (result < 0)
		_exit(1); /* without its descriptors it cannot even say so */
	result = unpack_die_with(daemon, &error);
	if (result == 0)
		result = supervise_unpacker(&report, &error);
	if (result == 0)
		result = finish_staging(unpack->ephemeral, unpack->staging.name, &report, &error);
	if (result < 0) {
		remove_staging(unpack->staging.name);
		report_error(&report, &error);
	}
	send_report(HELPER_FD_RESULT, &report);
	_exit(result < 0);
}

/* ---- in the daemon ---- */

static int check_archive(int archive_fd, struct error *error)
{
	struct stat status;
	if (fstat(archive_fd, &status) < 0)
		return error_errno(error, errno, "cannot use the archive");
	/* A pipe or a device could block the unpacker for ever. */
	if (!S_ISREG(status.st_mode))
		return error_set(error, EINVAL, "the archive must be a regular file or a memfd");
	if (status.st_size > (off_t)(2 * DEPLOY_BYTES_MAX))
		return error_set(error, EFBIG, "the archive is larger than %llu MiB",
			2 * DEPLOY_BYTES_MAX >> 20);
	return 0;
}

/* Forks the helper. The lifeline's other end is in the helper and the unpacker only:
 * when it hangs up, both are gone. */
static int fork_helper(struct store *store, int archive_fd, const char *owner,
	struct unpack *unpack, struct error *error)
{
	int pair[2], lifeline[2];
	cleanup_close int objects = -1;
	if (owner && (objects = objects_open(store->objects, owner, error)) < 0)
		return objects;
	int result = message_pair(pair);
	if (result < 0)
		return error_errno(error, result, "cannot make a socket pair");
	if (pipe2(lifeline, O_CLOEXEC) < 0) {
		close(pair[0]);
		close(pair[1]);
		return error_errno(error, errno, "cannot make a pipe");
	}
	const int fds[] = {archive_fd, unpack->staging.fd, pair[1], lifeline[1], store->staging,
		store->releases, owner ? objects : store->objects};
	pid_t self = getpid();
	pid_t pid = fork();
	if (pid == 0)
		run_helper(self, unpack, fds);
	int code = errno;
	close(pair[1]);
	close(lifeline[1]);
	unpack->result_fd = pair[0];
	unpack->lifeline_fd = lifeline[0];
	unpack->pid = pid;
	if (pid < 0)
		return error_errno(error, code, "cannot fork the unpacker");
	unpack->pidfd = pidfd_open(pid, 0);
	if (unpack->pidfd < 0)
		return error_errno(error, errno, "cannot watch the unpacker");
	return 0;
}

int unpack_start(struct store *store, int archive_fd, const struct unpack_options *options,
	struct unpack *ret_unpack, struct error *error)
{
	struct unpack unpack = {
		.result_fd = -1,
		.lifeline_fd = -1,
		.pidfd = -1,
		.pid = -1,
		.ephemeral = options && options->ephemeral,
		.store = store,
		.staging = STORE_STAGING_NONE,
	};
	int result = check_archive(archive_fd, error);
	if (result == 0)
		result = store_stage(store, &unpack.staging, error);
	if (result == 0)
		result = fork_helper(
			store, archive_fd, options ? options->owner : NULL, &unpack, error);
	if (result < 0) {
		unpack_cancel(&unpack);
		return result;
	}
	*ret_unpack = unpack;
	return 0;
}

/* Waits for the end of the helper. Returns its wait status; 0 if another waited for it. */
static int reap(struct unpack *unpack)
{
	int status = 0;
	if (unpack->pid <= 0)
		return 0;
	while (waitpid(unpack->pid, &status, 0) < 0)
		if (errno != EINTR)
			return 0;
	return status;
}

/* Closes what is open; whatever is still staged is removed. */
static void release(struct unpack *unpack)
{
	/* While a process of theirs is alive it may still be making files. */
	if (unpack->lifeline_fd >= 0) {
		struct pollfd watch = {.fd = unpack->lifeline_fd};
		while (poll(&watch, 1, CANCEL_WAIT_MS) < 0 && errno == EINTR)
			;
	}
	close_fd(&unpack->lifeline_fd);
	close_fd(&unpack->result_fd);
	close_fd(&unpack->pidfd);
	store_discard(unpack->store, &unpack->staging);
	unpack->pid = -1;
}

int unpack_finish(struct unpack *unpack, struct unpack_result *ret_result, struct error *error)
{
	struct unpack_report report;
	ssize_t length = message_receive(unpack->result_fd, &report, sizeof report, NULL, NULL, 0);
	int status = reap(unpack);
	int result = 0;
	if (length == 0)
		result = describe_end("unpacking helper", status, error);
	else if (!report_valid(&report, length))
		result = error_set(error, EBADMSG, "the unpacking helper sent a malformed result");
	else if (report.code)
		result = error_set(error, report.code, "%s", report.message);
	else if (!unpack->ephemeral && !store_id_valid(report.release))
		result = error_set(error, EBADMSG, "the unpacking helper sent no release");
	if (result == 0) {
		*ret_result = (struct unpack_result){
			.entries = report.entries,
			.bytes = report.bytes,
			.staging = STORE_STAGING_NONE,
		};
		if (unpack->ephemeral) {
			ret_result->staging = unpack->staging;
			unpack->staging = STORE_STAGING_NONE;
		} else {
			memcpy(ret_result->release, report.release, STORE_ID_SIZE);
			/* The helper renamed or removed it. */
			close_fd(&unpack->staging.fd);
		}
	}
	release(unpack);
	return result;
}

void unpack_cancel(struct unpack *unpack)
{
	if (unpack->pidfd >= 0)
		(void)pidfd_send_signal(unpack->pidfd, SIGKILL, NULL, 0);
	else if (unpack->pid > 0)
		(void)kill(unpack->pid, SIGKILL);
	reap(unpack);
	release(unpack);
}
