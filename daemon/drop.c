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
	if (grant->gone || (act == MAKE_READ_ONLY && !grant->write))
		return false;
	return resource[0] == '\0' || strcmp(resource, grant->path) == 0;
}

static int make_read_only(int folder, const char *path, unsigned flags)
{
	struct mount_attr wanted = {.attr_set = MOUNT_ATTR_RDONLY};
	return (int)syscall(SYS_mount_setattr, folder, path, flags, &wanted, sizeof wanted);
}

/* The kernel makes no mount read-only that a file is open in for writing: a read-only copy
 * takes its place, and what is open stays open in what was there. */
static int exchange(const char *path)
{
	int copy = (int)syscall(SYS_open_tree, AT_FDCWD, path,
		OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW);
	if (copy < 0 || make_read_only(copy, "", AT_EMPTY_PATH) < 0 ||
		syscall(SYS_umount2, path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
		return -1;
	return (int)syscall(SYS_move_mount, copy, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
}

static int act_on(const char *path, enum act act)
{
	if (act == MAKE_READ_ONLY) {
		int result = make_read_only(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
		return result < 0 && errno == EBUSY ? exchange(path) : result;
	}
	/* One that was in another, which was dropped before, is no mount any more. */
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

static int run_helper(const struct instance *instance, enum act act, const char *resource)
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

/* A helper only where there is something to do: each grant is given up once, and so a worker
 * cannot make the supervisor fork for as long as it likes. */
static int change_mounts(struct instance *instance, enum act act, const char *resource)
{
	bool wanted = false;
	for (size_t i = 0; i < instance->grant_count; i++)
		wanted |= is_wanted(&instance->grants[i], act, resource);
	int result = wanted ? run_helper(instance, act, resource) : 0;
	for (size_t i = 0; result == 0 && i < instance->grant_count; i++) {
		struct instance_grant *grant = &instance->grants[i];
		if (!is_wanted(grant, act, resource))
			continue;
		grant->write = false;
		grant->gone = act == TAKE_AWAY;
	}
	return result == -ESRCH ? 0 : result; /* it has just ended */
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
	bool by_mounts;
} scopes[] = {
	{"fs", drop_files, true},
	{"fs.read", drop_files, true}, /* to write is to read */
	{"fs.write", drop_write, true},
	{"net", drop_net, false},
	{"net.connect", drop_net, false},
	{"child", drop_child, false},
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
		/* There the worker's mounts are our own, and the host's: its library does not
		 * ask, and who does must not take them from everybody. */
		if (scopes[i].by_mounts && instance->factory->tier != TIER_FULL)
			return false;
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
