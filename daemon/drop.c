/* Taking a permission away from a process that has it. Landlock and seccomp only ever get
 * stricter by the process's own hand; but its mounts are the supervisor's to take: a helper
 * enters the worker's mount namespace and takes them off, or makes them read-only. What
 * the worker holds open stays open, as in Node.
 *
 * A mount is found by its number, not by its path: when a folder is renamed on the host, a
 * mount that lies in it, within another grant, moves along, and whoever looked at the old
 * place would find nothing, and believe that it is gone. */
#include "daemon/drop.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/message.h"
#include "daemon/child.h"
#include "daemon/egress.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif

#define RENAMES_MAX 16 /* that a mount is looked for again after */
#define HELPER_MS 2000 /* a file system that hangs must not hang the supervisor */

/* ---- mounts ---- */

/* It keeps it when it is moved to its place. 0 before Linux 5.8. */
static uint64_t mount_number(int fd)
{
	struct statx status;
	return statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) == 0 &&
			       status.stx_mask & STATX_MNT_ID
		       ? status.stx_mnt_id
		       : 0;
}

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
			.mount = mount_number(grants->items[i].mount),
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

/* ---- in the helper: where a mount is ---- */

/* Where a mount is now. */
struct spot {
	char path[PATH_MAX]; /* as the worker sees it */
	int fd;              /* its root */
};

/* "\040" and the like, in place (proc_pid_mountinfo(5)). */
static void unescape(char *text)
{
	char *to = text;
	for (const char *from = text; *from; to++) {
		const bool escaped = from[0] == '\\' && from[1] >= '0' && from[1] <= '3' &&
				     from[2] >= '0' && from[2] <= '7' && from[3] >= '0' &&
				     from[3] <= '7';
		*to = escaped ? (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 |
					(from[3] - '0'))
			      : *from;
		from += escaped ? 4 : 1;
	}
	*to = '\0';
}

/* Whether the mount NUMBER is still within the worker's reach, and at which path. */
static bool find_path(int mounts, uint64_t number, char path[PATH_MAX])
{
	cleanup_free char *line = NULL;
	size_t room = 0;
	/* A stream of its own each time: one that is rewound may show what it has read before. */
	int fd = dup(mounts);
	cleanup_fclose FILE *stream = fd < 0 ? NULL : fdopen(fd, "r");
	if (stream == NULL || lseek(mounts, 0, SEEK_SET) < 0)
		_exit(errno);
	while (getline(&line, &room, stream) > 0) {
		unsigned long long id;
		int place = 0;
		if (sscanf(line, "%llu %*s %*s %*s %n", &id, &place) < 1 || id != number || !place)
			continue;
		line[place + (int)strcspn(line + place, " \n")] = '\0';
		snprintf(path, PATH_MAX, "%s", line + place);
		unescape(path);
		return true;
	}
	return false;
}

/* 1: found; 0: it is nowhere; -1 and errno. Whoever renames folders meanwhile makes it look
 * again, so many times. */
static int find_spot(int mounts, const struct instance_grant *grant, struct spot *ret)
{
	for (int i = 0; i < RENAMES_MAX; i++) {
		if (!find_path(mounts, grant->mount, ret->path))
			return 0;
		ret->fd = open(ret->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (ret->fd >= 0 && mount_number(ret->fd) == grant->mount)
			return 1;
		close_fd(&ret->fd);
	}
	errno = EBUSY;
	return -1;
}

/* Where mounts have no numbers: where it was. */
static int find_by_path(const struct instance_grant *grant, struct spot *ret)
{
	struct statx status;
	snprintf(ret->path, sizeof ret->path, "%s", grant->path);
	ret->fd = open(ret->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (ret->fd < 0)
		return errno == ENOENT ? 0 : -1;
	if (statx(ret->fd, "", AT_EMPTY_PATH, 0, &status) == 0 &&
		status.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT &&
		!(status.stx_attributes & STATX_ATTR_MOUNT_ROOT)) {
		close_fd(&ret->fd);
		return 0;
	}
	return 1;
}

/* ---- in the helper: acts ---- */

struct helper {
	enum act act;
	int mounts;      /* mountinfo of the worker */
	int descriptors; /* /proc/self/fd, which the worker's root has not */
};

/* umount2(2) takes a path only; this one leads to what is open, wherever that is by now. */
static int take_away(const struct helper *helper, const struct spot *spot)
{
	char name[16];
	snprintf(name, sizeof name, "%d", spot->fd);
	if (fchdir(helper->descriptors) < 0)
		return -1;
	return (int)syscall(SYS_umount2, name, MNT_DETACH);
}

static int make_read_only(int mount)
{
	struct mount_attr wanted = {.attr_set = MOUNT_ATTR_RDONLY};
	return (int)syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &wanted, sizeof wanted);
}

/* The kernel makes no mount read-only that a file is open in for writing: a read-only copy
 * takes its place, and what is open stays open in what was there. Returns its number. */
static int64_t exchange(const struct helper *helper, const struct spot *spot)
{
	cleanup_close int copy = (int)syscall(SYS_open_tree, spot->fd, "",
		OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
	const uint64_t number = copy < 0 ? 0 : mount_number(copy);
	if (copy < 0 || make_read_only(copy) < 0 || take_away(helper, spot) < 0)
		return -1;
	if (syscall(SYS_move_mount, copy, "", AT_FDCWD, spot->path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -1;
	return (int64_t)number;
}

/* Returns the mount's number from now on, or -1 and errno. */
static int64_t act_on(const struct helper *helper, const struct instance_grant *grant)
{
	struct spot spot = {.fd = -1};
	int result =
		grant->mount ? find_spot(helper->mounts, grant, &spot) : find_by_path(grant, &spot);
	/* One that was in another, which was dropped before, is nowhere any more. */
	if (result <= 0)
		return result;
	int64_t number = (int64_t)grant->mount;
	if (helper->act == TAKE_AWAY)
		number = take_away(helper, &spot);
	else if (make_read_only(spot.fd) < 0)
		number = errno == EBUSY ? exchange(helper, &spot) : -1;
	const int code = errno;
	close_fd(&spot.fd);
	errno = code;
	return number;
}

/* In a process of its own: there is no way back from another mount namespace. Children
 * first: what is mounted in a mount goes before it. */
_Noreturn static void help(
	const struct instance *instance, enum act act, const char *resource, uint64_t *numbers)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/mountinfo", instance->pid);
	struct helper helper = {
		.act = act,
		.mounts = open(path, O_RDONLY | O_CLOEXEC),
		.descriptors = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC),
	};
	if (helper.mounts < 0 || helper.descriptors < 0)
		_exit(errno);
	if (setns(instance->pidfd, CLONE_NEWNS) < 0)
		_exit(errno);
	for (size_t i = instance->grant_count; i > 0; i--) {
		const struct instance_grant *grant = &instance->grants[i - 1];
		if (!is_wanted(grant, act, resource))
			continue;
		int64_t number = act_on(&helper, grant);
		if (number < 0)
			_exit(errno);
		numbers[i - 1] = (uint64_t)number;
	}
	_exit(0);
}

/* ---- in the supervisor ---- */

static int run_helper(
	const struct instance *instance, enum act act, const char *resource, uint64_t *numbers)
{
	siginfo_t info = {0};
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		help(instance, act, resource, numbers);
	cleanup_close int pidfd = pidfd_open(pid, 0);
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};
	if (pidfd < 0 || poll(&ended, 1, HELPER_MS) <= 0)
		kill(pid, SIGKILL);
	if (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0)
		return -errno;
	return info.si_code == CLD_EXITED ? -info.si_status : -ETIMEDOUT;
}

static void note(
	struct instance *instance, enum act act, const char *resource, const uint64_t *numbers)
{
	for (size_t i = 0; i < instance->grant_count; i++) {
		struct instance_grant *grant = &instance->grants[i];
		if (!is_wanted(grant, act, resource))
			continue;
		grant->write = false;
		grant->gone = act == TAKE_AWAY;
		grant->mount = numbers[i];
	}
}

/* A helper only where there is something to do: each grant is given up once, and so a worker
 * cannot make the supervisor fork for as long as it likes. */
static int change_mounts(struct instance *instance, enum act act, const char *resource)
{
	bool wanted = false;
	for (size_t i = 0; i < instance->grant_count; i++)
		wanted |= is_wanted(&instance->grants[i], act, resource);
	if (!wanted)
		return 0;
	/* The helper says here what has got another number. */
	const size_t size = instance->grant_count * sizeof(uint64_t);
	uint64_t *numbers =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (numbers == MAP_FAILED)
		return -errno;
	int result = run_helper(instance, act, resource, numbers);
	if (result == 0)
		note(instance, act, resource, numbers);
	munmap(numbers, size);
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
		int result = children_drop(instance->children, scope, resource);
		if (result == 0)
			result = scopes[i].drop(instance, resource);
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
