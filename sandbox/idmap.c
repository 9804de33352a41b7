/* User namespaces that exist only to say "this owner is that tenant": what an id-mapped
 * mount needs (mount_setattr(2), MOUNT_ATTR_IDMAP). A namespace is made by a process in it,
 * which is ended as soon as its maps are written; a descriptor keeps the namespace. */
#include "common/cleanup.h"
#include "sandbox/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define CACHED_MAX 32

/* The least recently used one makes room: tenants come and go, and each costs a process. */
static struct users {
	uid_t owner;
	gid_t group;
	uint32_t id;
	int fd;
	uint64_t used; /* 0: empty */
} cache[CACHED_MAX];
static uint64_t uses;

static struct users *find(uid_t owner, gid_t group, uint32_t id)
{
	for (size_t i = 0; i < CACHED_MAX; i++)
		if (cache[i].used && cache[i].owner == owner && cache[i].group == group &&
			cache[i].id == id)
			return &cache[i];
	return NULL;
}

static struct users *oldest(void)
{
	struct users *found = &cache[0];
	for (size_t i = 1; i < CACHED_MAX; i++)
		if (cache[i].used < found->used)
			found = &cache[i];
	return found;
}

/* A process in a new user namespace, that does nothing. */
static pid_t start_holder(int *ret_pidfd, struct error *error)
{
	int pidfd = -1, no_cgroup = -1;
	/* No signal when it ends: nobody else need hear of it. */
	pid_t pid = spawn_clone(CLONE_NEWUSER | CLONE_PIDFD, &pidfd, NULL, &no_cgroup);
	if (pid == 0) {
		/* Raw calls only: the C library does not know of this process. */
		syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		for (;;)
			syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
	}
	if (pid < 0)
		return error_errno(error, errno, "cannot make a user namespace");
	*ret_pidfd = pidfd;
	return pid;
}

static void end_holder(int pidfd)
{
	siginfo_t info;
	syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	while (waitid((idtype_t)3 /* P_PIDFD */, (id_t)pidfd, &info, WEXITED | __WALL) < 0 &&
		errno == EINTR)
		;
}

static int open_namespace(pid_t pid, struct error *error)
{
	char path[32];
	int proc = spawn_proc(error);
	if (proc < 0)
		return proc;
	snprintf(path, sizeof path, "%d/ns/user", pid);
	int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? error_errno(error, errno, "cannot open a user namespace") : fd;
}

/* The id on the disk, the id that acts, one of it. */
static int write_map(pid_t pid, const char *file, uint32_t owner, uint32_t id, struct error *error)
{
	char path[32], map[48];
	snprintf(path, sizeof path, "%d/%s", pid, file);
	snprintf(map, sizeof map, "%u %u 1\n", owner, id);
	return spawn_write_proc(path, map, error);
}

static int make(uid_t owner, gid_t group, uint32_t id, struct error *error)
{
	cleanup_close int pidfd = -1;
	pid_t pid = start_holder(&pidfd, error);
	if (pid < 0)
		return pid;
	int result = write_map(pid, "uid_map", owner, id, error);
	if (result == 0)
		result = write_map(pid, "gid_map", group, id, error);
	if (result == 0)
		result = open_namespace(pid, error);
	end_holder(pidfd);
	return result;
}

int idmap_users(uid_t owner, gid_t group, uint32_t id, struct error *error)
{
	struct users *users = find(owner, group, id);
	if (!users) {
		int fd = make(owner, group, id, error);
		if (fd < 0)
			return fd;
		users = oldest();
		if (users->used)
			close(users->fd);
		*users = (struct users){.owner = owner, .group = group, .id = id, .fd = fd};
	}
	users->used = ++uses;
	return users->fd;
}
