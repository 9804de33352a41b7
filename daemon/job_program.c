/* Where a job's programs are. The job's first process builds the sandbox as the root of its
 * own user namespace, to which every other user of the host looks the same: it cannot tell
 * root's symbolic links from those that another tenant left in a folder that it may write,
 * and would follow them (`tool` -> somebody's program, or somebody's folder). So the
 * supervisor goes, by descriptors, as it does for file grants, and hands over a mount of
 * what it found. It finds nothing that the tenant's user could not reach on the host. */
#include "daemon/job_program.h"

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/message.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

_Static_assert(PROGRAM_PATH_MAX >= PATH_MAX, "every path fits into PROGRAM_IS");

bool job_program_asked(struct instance *instance, const void *message, size_t length)
{
	struct {
		struct message_program is;
		char real[PROGRAM_PATH_MAX];
	} answer = {.is.header = {.type = MESSAGE_PROGRAM_IS, .instance = instance->id}};
	struct error error = {0};
	const char *path = (const char *)message + sizeof(struct message_header);
	const size_t room = length - sizeof(struct message_header);
	if (strnlen(path, room) != room - 1 || path[0] != '/')
		return false;
	cleanup_close int mount = sandbox_program_mount(path, instance->uid, answer.real, &error);
	if (mount < 0) {
		answer.is.code = mount == -ENOTDIR ? ENOENT : -mount;
		/* What is not there is what a grant of programs may well name. */
		if (answer.is.code != ENOENT)
			log_info("event=program tenant=%s instance=%u message=\"%s\"",
				instance->tenant, instance->id, escape_for_log(error.message));
		answer.real[0] = '\0';
	}
	int result = message_send(instance->channel, &answer,
		sizeof answer.is + strlen(answer.real) + 1, &mount, mount >= 0);
	if (result < 0 && result != -EPIPE && result != -ECONNRESET)
		instance_kill(instance, END_PROTOCOL, "it does not read what it asked for");
	return true;
}
