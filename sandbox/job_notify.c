/* What a job is refused by seccomp, for whoever wrote its policy: the kernel asks process 1
 * about each forbidden call (seccomp_unotify(2)). The answer is always EPERM, never
 * "continue": another thread may change what was looked at in between. */
#include "common/clock.h"
#include "common/message.h"
#include "sandbox/job_steps.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define BURST 50     /* records at once */
#define PER_SECOND 5 /* and from then on */

/* True when another record may be sent: a program that tries in a loop must not fill the
 * operator's log. */
static bool may_tell(void)
{
	static uint64_t last_ms, credit_ms = BURST * 1000 / PER_SECOND;
	uint64_t now = clock_ms();
	if (last_ms)
		credit_ms += now - last_ms;
	last_ms = now;
	if (credit_ms > BURST * 1000 / PER_SECOND)
		credit_ms = BURST * 1000 / PER_SECOND;
	if (credit_ms < 1000 / PER_SECOND)
		return false;
	credit_ms -= 1000 / PER_SECOND;
	return true;
}

static void tell(const struct job *job, int call)
{
	struct {
		struct message_audit audit;
		char resource[64];
	} message = {
		.audit =
			{
				.header = {.type = MESSAGE_AUDIT, .instance = job->instance},
				.permission = AUDIT_SYSCALL,
				.layer = AUDIT_LAYER_SECCOMP,
				.syscall = call,
			},
	};
	job_filter_name(call, message.resource);
	size_t length = sizeof message.audit + strlen(message.resource) + 1;
	(void)message_send(job->channel, &message, length, NULL, 0);
}

bool job_notify_answer(const struct job *job, int listener)
{
	struct seccomp_notif question = {0};
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &question) < 0)
		return errno == ENOENT || errno == EINTR; /* who asked is dead */
	struct seccomp_notif_resp answer = {.id = question.id, .error = -EPERM};
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	if (job->start->audit != 0 && may_tell())
		tell(job, question.data.nr);
	return true;
}
