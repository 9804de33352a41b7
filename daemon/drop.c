/* Taking a permission away from a process that has it. Landlock and seccomp only ever get
 * stricter by the process's own hand; but its mounts are the supervisor's to take: a helper
 * enters the worker's mount namespace and takes them off, or makes them read-only. What
 * the worker holds open stays open, as in Node. */
#include "daemon/drop.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/message.h"
#include "daemon/child.h"
#include "daemon/egress.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif
#ifndef UMOUNT_NOFOLLOW
#define UMOUNT_NOFOLLOW 8
#endif

#define HELPER_MS 2000 /* a file system that hangs must not hang the supervisor */

/* ---- mounts ---- */

int drop_remember(struct instance *instance, const struct grants *grants, struct error *error)
{
	drop_forget(instance);
	if (grants->count == 0)
		return 0;
	instance->grants = calloc(grants->count, sizeof *instance->grants);
	if (instance->grants == NULL)
		return error_set(error, ENOMEM, "no memory for grants");
	for (size_t i = 0; i < grants->count; i++) {
		char *path = strdup(grants->items[i].path);
		if (path == NULL)
			return error_set(error, ENOMEM, "no memory for grants");
		instance->grants[instance->grant_count++] = (struct instance_grant){
			.path = path,
			.write = grants->items[i].flags & SANDBOX_GRANT_WRITE,
		};
	}
	return 0;
}

void drop_forget(struct instance *instance)
{
	for (size_t i = 0; i < instance->grant_count; i++)
		free(instance->grants[i].path);
	free(instance->grants);
	instance->grants = NULL;
	instance->grant_count = 0;
}

enum act { TAKE_AWAY, MAKE_READ_ONLY };

static bool is_wanted(const struct instance_grant *grant, enum act act, const char *resource)
{
	if (act == MAKE_READ_ONLY && !grant->write)
		return false;
	return resource[0] == '\0' || strcmp(resource, grant->path) == 0;
}

static int act_on(const char *path, enum act act)
{
	struct mount_attr wanted = {.attr_set = MOUNT_ATTR_RDONLY};
	if (act == MAKE_READ_ONLY)
		return (int)syscall(SYS_mount_setattr, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &wanted,
			sizeof wanted);
	/* One that was dropped before is no mount any more. */
	int result = (int)syscall(SYS_umount2, path, MNT_DETACH | UMOUNT_NOFOLLOW);
	return result < 0 && (errno == EINVAL || errno == ENOENT) ? 0 : result;
}

/* In a process of its own: there is no way back from another mount namespace. Children
 * first: what is mounted in a mount goes before it. */
_Noreturn static void help(const struct instance *instance, enum act act, const char *resource)
{
	if (setns(instance->pidfd, CLONE_NEWNS) < 0)
		_exit(errno);
	for (size_t i = instance->grant_count; i > 0; i--) {
		const struct instance_grant *grant = &instance->grants[i - 1];
		if (is_wanted(grant, act, resource) && act_on(grant->path, act) < 0)
			_exit(errno);
	}
	_exit(0);
}

static int change_mounts(struct instance *instance, enum act act, const char *resource)
{
	siginfo_t info = {0};
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		help(instance, act, resource);
	cleanup_close int pidfd = pidfd_open(pid, 0);
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};
	if (pidfd < 0 || poll(&ended, 1, HELPER_MS) <= 0)
		kill(pid, SIGKILL);
	if (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0)
		return -errno;
	return info.si_code == CLD_EXITED ? -info.si_status : -ETIMEDOUT;
}

/* ---- scopes ---- */

static int drop_write(struct instance *instance, const char *resource)
{
	return change_mounts(instance, MAKE_READ_ONLY, resource);
}

static int drop_files(struct instance *instance, const char *resource)
{
	return change_mounts(instance, TAKE_AWAY, resource);
}

/* The worker has told tenantd-egress itself, on its channel; but the next process of it, if
 * this one dies, is told what the supervisor knows. */
static int drop_net(struct instance *instance, const char *resource)
{
	struct error error = {0};
	int result = instance->factory->egress ? egress_drop(instance->factory->egress,
							 instance->id, resource, &error)
					       : 0;
	return result == -ENOENT ? 0 : result;
}

static int drop_child(struct instance *instance, const char *resource)
{
	(void)instance; /* children_drop, as for every scope */
	(void)resource;
	return 0;
}

static const struct {
	const char *name;
	int (*drop)(struct instance *instance, const char *resource);
} scopes[] = {
	{"fs", drop_files},
	{"fs.read", drop_files}, /* to write is to read */
	{"fs.write", drop_write},
	{"net", drop_net},
	{"net.connect", drop_net},
	{"child", drop_child},
};

bool instance_drop(struct instance *instance, const void *message, size_t length)
{
	static _Alignas(8) char answer[MESSAGE_DROP_MAX];
	const char *scope = (const char *)message + sizeof(struct message_header);
	const size_t room = length - sizeof(struct message_header);
	const size_t scope_length = strnlen(scope, room);
	const char *resource = scope + scope_length + 1;
	if (scope_length + 1 >= room ||
		strnlen(resource, room - scope_length - 1) != room - scope_length - 2)
		return false;
	for (size_t i = 0; i < ARRAY_LENGTH(scopes); i++) {
		if (strcmp(scopes[i].name, scope) != 0)
			continue;
		children_drop(instance->children, scope, resource);
		int result = scopes[i].drop(instance, resource);
		if (result < 0) {
			/* It believes that it has it no more, and must not be wrong. */
			char why[128];
			snprintf(why, sizeof why, "it gave up %s, which failed: %s", scope,
				strerror(-result));
			instance_kill(instance, END_SANDBOX_FAILED, why);
			return true;
		}
		struct message_header header = {
			.type = MESSAGE_DROPPED,
			.instance = instance->id,
		};
		memcpy(answer, message, length);
		memcpy(answer, &header, sizeof header);
		(void)message_send(instance->channel, answer, length, NULL, 0);
		return true;
	}
	return false;
}
