/* Asking the supervisor where a program of the host is: process 1 of a job sees the host's
 * files, but as nobody, to whom all owners look the same. Nothing of the tenant's runs yet. */
#include "common/cleanup.h"
#include "common/message.h"
#include "sandbox/job_steps.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define PLACES 64 /* below are the places of other descriptors (job.c) */

enum { STATE_ASKING = 1 };

static const struct message_rule rules[] = {
	{MESSAGE_PROGRAM_IS, STATE_ASKING, sizeof(struct message_program) + 1,
		sizeof(struct message_program) + PROGRAM_PATH_MAX, 0, 1},
	{MESSAGE_SIGNAL, STATE_ASKING, sizeof(struct message_child_signal),
		sizeof(struct message_child_signal), 0, 0},
	{MESSAGE_DRAIN, STATE_ASKING, sizeof(struct message_drain), sizeof(struct message_drain), 0,
		0},
	{MESSAGE_EGRESS, STATE_ASKING, sizeof(struct message_header), sizeof(struct message_header),
		1, 1},
};

static void keep_signal(struct job *job, int number)
{
	if (number >= 1 && number <= 64)
		job->signals |= 1ull << (number - 1);
}

static int send_path(const struct job *job, const char *path, struct error *error)
{
	struct {
		struct message_header header;
		char path[PROGRAM_PATH_MAX];
	} message = {.header = {.type = MESSAGE_PROGRAM, .instance = job->instance}};
	const size_t length = strlen(path);
	if (length >= sizeof message.path)
		return 0;
	memcpy(message.path, path, length + 1);
	int result =
		message_send(job->channel, &message, sizeof message.header + length + 1, NULL, 0);
	return result < 0 ? error_errno(error, result, "cannot ask for %s", path) : 1;
}

/* What is not the answer. */
static void keep(struct job *job, const void *message, int *fd)
{
	struct message_child_signal what;
	memcpy(&what.header, message, sizeof what.header);
	switch ((enum message_type)what.header.type) {
	case MESSAGE_SIGNAL:
		memcpy(&what, message, sizeof what);
		keep_signal(job, what.number);
		break;
	case MESSAGE_DRAIN:
		keep_signal(job, SIGTERM);
		break;
	default: /* EGRESS: nothing was sent to the last one yet */
		if (job->egress >= 0)
			(void)dup3(*fd, job->egress, O_CLOEXEC);
		close_fd(fd);
		break;
	}
}

static int take_answer(const char *path, const void *message, size_t length, int *fd,
	struct job_found *ret_found, struct error *error)
{
	struct message_program is;
	memcpy(&is, message, sizeof is);
	const char *real = (const char *)message + sizeof is;
	const size_t room = length - sizeof is;
	if (is.code != 0)
		return 0;
	if (*fd < 0 || strnlen(real, room) != room - 1 || room > sizeof ret_found->real ||
		real[0] != '/')
		return error_set(error, EBADMSG, "a malformed answer about %s", path);
	memcpy(ret_found->real, real, room);
	ret_found->mount = fcntl(*fd, F_DUPFD_CLOEXEC, PLACES);
	if (ret_found->mount < 0)
		return error_errno(error, errno, "cannot keep the mount of %s", path);
	return 1;
}

int job_ask(void *data, const char *path, struct job_found *ret_found, struct error *error)
{
	struct job *job = data;
	int result = send_path(job, path, error);
	if (result <= 0)
		return result;
	for (;;) {
		_Alignas(8) char message[sizeof(struct message_program) + PROGRAM_PATH_MAX];
		struct message_header header;
		cleanup_close int fd = -1;
		size_t fd_count = 1;
		ssize_t length =
			message_receive(job->channel, message, sizeof message, &fd, &fd_count, 0);
		if (length == 0)
			_exit(0); /* Taken back. */
		if (length < 0)
			return error_errno(error, (int)length, "cannot receive PROGRAM_IS");
		if (!message_check(rules, ARRAY_LENGTH(rules), STATE_ASKING, message,
			    (size_t)length, fd_count, error))
			return -EBADMSG;
		memcpy(&header, message, sizeof header);
		if (header.type == MESSAGE_PROGRAM_IS)
			return take_answer(path, message, (size_t)length, &fd, ret_found, error);
		keep(job, message, &fd);
	}
}
