/* The daemon's place in the host's control groups: found, made and cleaned. */
#include "sandbox/cgroup_host.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define NEEDED ((1u << CGROUP_CONTROLLERS_NEEDED) - 1)
#define LEAF "supervisor"
#define MOVE_ROUNDS_MAX 16

/* ---- favordynmods ---- */

/* On v1, writing a pid to cgroup.procs takes a lock whose writer first waits for a grace
 * period of RCU: 10-18 ms for the first of a burst, which would be the larger part of a
 * cold start. While any hierarchy anywhere is mounted with `favordynmods` (Linux 6.0) the
 * lock is kept in its fast mode for writers: 0.03 ms. So we hold a hierarchy of our own,
 * without controllers. It hangs on a descriptor only, so that no mount is left behind. */
static int favor_dynmods(const char *name)
{
	/* Its name is its own: the hierarchy of a daemon that was just killed, or has just
	 * replaced its program and is the same process, may still be going, and is busy. The
	 * kernel allows 63 bytes. */
	char own_name[64];
	snprintf(own_name, sizeof own_name, "%.32s-%d-%llx", name, getpid(),
		(unsigned long long)clock_ns());
	static const char *const flags[] = {"none", "favordynmods"};
	cleanup_close int context = (int)syscall(SYS_fsopen, "cgroup", FSOPEN_CLOEXEC);
	if (context < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_LENGTH(flags); i++)
		if (syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, flags[i], NULL, 0) < 0)
			return -errno;
	if (syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "name", own_name, 0) < 0 ||
		syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	int mount = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
	return mount < 0 ? -errno : mount;
}

/* ---- v2: where the base may be ---- */

static bool is_delegated(const char *path)
{
	char value[8];
	return getxattr(path, "user.delegate", value, sizeof value) == 1 ||
	       getxattr(path, "trusted.delegate", value, sizeof value) == 1;
}

/* The nearest group at or above ours that systemd has delegated; else the top of what we
 * see, which in a container is ours, and on a host is where docker puts its own too. To
 * make groups in a login session's or a slice's instead would be to meddle with what is
 * systemd's, and to move the user's shell about. */
void cgroup_find_v2_parent(const struct cgroup_place *place, char *parent, size_t size)
{
	char own[PATH_MAX];
	snprintf(own, sizeof own, "%s", place->own);
	while (*own) {
		snprintf(parent, size, "%s%s", place->mount, own);
		if (is_delegated(parent))
			return;
		*strrchr(own, '/') = '\0';
	}
	snprintf(parent, size, "%s", place->mount);
}

/* "No processes in inner nodes": a group that is not the real root and has processes
 * cannot give controllers to its children. */
int cgroup_move_to_leaf(int parent, struct error *error)
{
	if (faccessat(parent, "cgroup.type", F_OK, 0) < 0)
		return 0;
	for (int round = 0; round < MOVE_ROUNDS_MAX; round++) {
		char text[16 * 1024];
		int length = cgroup_file_read(parent, "cgroup.procs", text, sizeof text);
		if (length < 0)
			return error_errno(error, -length, "cannot read cgroup.procs");
		if (length == 0)
			return 0;
		if (mkdirat(parent, LEAF, 0755) < 0 && errno != EEXIST)
			return error_errno(error, errno, "cannot make the cgroup " LEAF);
		for (char *next, *pid = text; *pid; pid = next) {
			next = pid + strcspn(pid, "\n");
			if (*next)
				*next++ = '\0';
			/* One that has ended meanwhile is no matter; 0 is in another pid
			 * namespace, and nothing that we can move. */
			int result = cgroup_file_write(parent, LEAF "/cgroup.procs", pid);
			if (result < 0 && result != -ESRCH)
				return error_errno(error, -result,
					"cannot move process %s out of the delegated cgroup", pid);
		}
	}
	return error_set(error, EBUSY, "processes keep appearing in the delegated cgroup");
}

int cgroup_enable(int folder, unsigned controllers, struct error *error)
{
	for (int i = 0; i < CGROUP_CONTROLLERS_NEEDED; i++) {
		if (!(controllers & CGROUP_BIT(i)))
			continue;
		char text[16];
		snprintf(text, sizeof text, "+%s",
			cgroup_controller_name((enum cgroup_controller)i));
		int result = cgroup_file_write(folder, "cgroup.subtree_control", text);
		if (result == -EBUSY)
			return error_set(error, EBUSY,
				"cannot enable the %s controller: other processes live in the "
				"daemon's cgroup (under systemd: Delegate=yes)",
				text + 1);
		if (result < 0)
			return error_errno(
				error, -result, "cannot enable the %s controller", text + 1);
	}
	return 0;
}

static unsigned available_controllers(int folder)
{
	char text[256];
	unsigned bits = 0;
	if (cgroup_file_read(folder, "cgroup.controllers", text, sizeof text) < 0)
		return 0;
	for (const char *word = text; *word;) {
		size_t length = strcspn(word, " \n");
		int controller = cgroup_controller_find(word, length);
		if (controller >= 0)
			bits |= CGROUP_BIT(controller);
		word += length + (word[length] != '\0');
	}
	return bits & NEEDED;
}

/* ---- making the base ---- */

static int open_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int make_base(struct cgroup_host *host, const char *parent_path, bool v2,
	unsigned v1_controllers, struct error *error)
{
	struct cgroup_hierarchy *hierarchy = &host->hierarchies[host->count];
	cleanup_close int parent = open_folder(parent_path);
	if (parent < 0)
		return error_errno(error, -parent, "cannot open %s", parent_path);
	hierarchy->v2 = v2;
	hierarchy->version = v2 ? &cgroup_v2 : &cgroup_v1;
	hierarchy->controllers = v2 ? available_controllers(parent) : v1_controllers;
	int result = 0;
	if (v2 && hierarchy->controllers) {
		result = cgroup_move_to_leaf(parent, error);
		if (result == 0)
			result = cgroup_enable(parent, hierarchy->controllers, error);
	}
	if (result < 0)
		return error_prefix(error, "%s", parent_path);
	if (mkdirat(parent, host->name, 0755) < 0 && errno != EEXIST)
		return error_errno(
			error, errno, "cannot make the cgroup %s/%s", parent_path, host->name);
	cleanup_close int base = openat(parent, host->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (base < 0)
		return error_errno(
			error, errno, "cannot open the cgroup %s/%s", parent_path, host->name);
	if (v2 && (result = cgroup_enable(base, hierarchy->controllers, error)) < 0)
		return error_prefix(error, "%s/%s", parent_path, host->name);
	hierarchy->parent = take_fd(&parent);
	hierarchy->base = take_fd(&base);
	snprintf(
		hierarchy->path, sizeof hierarchy->path, "%.3800s/%.200s", parent_path, host->name);
	host->count++;
	return 0;
}

/* In a default container the groups can be seen, and not be changed. */
static bool is_not_ours(int result, bool may_be_missing)
{
	return may_be_missing && (result == -EROFS || result == -EACCES || result == -EPERM);
}

/* v2 first: what it can do need not be asked of v1. */
static int make_bases(struct cgroup_host *host, const struct cgroup_layout *layout,
	bool may_be_missing, struct error *error)
{
	unsigned have = 0;
	char parent[2 * PATH_MAX];
	for (size_t i = 0; i < layout->count; i++) {
		if (!layout->places[i].v2)
			continue;
		cgroup_find_v2_parent(&layout->places[i], parent, sizeof parent);
		int result = make_base(host, parent, true, 0, error);
		if (is_not_ours(result, may_be_missing))
			continue;
		if (result < 0)
			return result;
		have = host->hierarchies[0].controllers;
		host->v2 = 0;
	}
	/* With a v2 tree, CPU time is counted and processes are killed there. */
	unsigned wanted = NEEDED;
	if (host->v2 < 0)
		wanted |= CGROUP_BIT(CGROUP_CPUACCT) | CGROUP_BIT(CGROUP_FREEZER);
	else if (faccessat(host->hierarchies[host->v2].base, "cgroup.kill", F_OK, 0) < 0)
		wanted |= CGROUP_BIT(CGROUP_FREEZER);
	for (size_t i = 0; i < layout->count; i++) {
		unsigned use = layout->places[i].controllers & wanted & ~have;
		if (layout->places[i].v2 || !use)
			continue;
		snprintf(parent, sizeof parent, "%s%s", layout->places[i].mount,
			layout->places[i].own);
		int result = make_base(host, parent, false, use, error);
		if (is_not_ours(result, may_be_missing))
			continue;
		if (result < 0)
			return result;
		have |= use;
	}
	host->missing = NEEDED & ~have;
	return 0;
}

static int read_layout(struct cgroup_layout *layout, struct error *error)
{
	cleanup_free char *mountinfo = NULL;
	cleanup_free char *self_cgroup = NULL;
	size_t length;
	int result =
		file_read(AT_FDCWD, "/proc/self/mountinfo", 4u << 20, &mountinfo, &length, error);
	if (result >= 0)
		result = file_read(
			AT_FDCWD, "/proc/self/cgroup", 1u << 20, &self_cgroup, &length, error);
	if (result < 0)
		return result;
	cgroup_layout_parse(mountinfo, self_cgroup, layout);
	return 0;
}

static int report_missing(const struct cgroup_host *host, struct error *error)
{
	char names[64] = "";
	for (int i = 0; i < CGROUP_CONTROLLERS_NEEDED; i++)
		if (host->missing & CGROUP_BIT(i)) {
			size_t used = strlen(names);
			snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "",
				cgroup_controller_name((enum cgroup_controller)i));
		}
	return error_set(error, ENOTSUP,
		"no cgroup controller for: %s; tenants could not be limited (enable it in the "
		"kernel, "
		"under systemd give the service Delegate=yes, or allow missing limits)",
		names);
}

bool cgroup_name_is_good(const char *name)
{
	size_t length = strlen(name);
	return length > 0 && length <= CGROUP_NAME_MAX && !strchr(name, '/') &&
	       !strchr(name, '\n') && name[0] != '.' && strncmp(name, "cgroup.", 7) != 0;
}

int cgroup_host_open(const char *name, bool limits_may_be_missing, struct cgroup_host **ret_host,
	struct error *error)
{
	if (!cgroup_name_is_good(name))
		return error_set(error, EINVAL, "\"%.64s\" cannot be a cgroup's name", name);
	cleanup_free struct cgroup_layout *layout = calloc(1, sizeof *layout);
	struct cgroup_host *host = calloc(1, sizeof *host);
	char *own_name = strdup(name);
	if (!layout || !host || !own_name) {
		free(own_name);
		free(host);
		return error_set(error, ENOMEM, "no memory for cgroups");
	}
	host->name = own_name;
	host->v2 = host->dynmods = -1;
	int result = read_layout(layout, error);
	if (result == 0)
		result = make_bases(host, layout, limits_may_be_missing, error);
	if (result == 0 && host->missing && !limits_may_be_missing)
		result = report_missing(host, error);
	if (result < 0) {
		cgroup_host_close(host);
		return result;
	}
	if (host->count > (host->v2 >= 0 ? 1u : 0u))
		host->dynmods = favor_dynmods(name);
	*ret_host = host;
	return 0;
}

struct cgroup_host *cgroup_host_close(struct cgroup_host *host)
{
	if (!host)
		return NULL;
	for (size_t i = 0; i < host->count; i++) {
		/* Not while something is in it: then it is the next run's to clean. */
		(void)unlinkat(host->hierarchies[i].parent, host->name, AT_REMOVEDIR);
		close(host->hierarchies[i].base);
		close(host->hierarchies[i].parent);
	}
	if (host->dynmods >= 0)
		close(host->dynmods);
	free(host->name);
	free(host);
	return NULL;
}

/* ---- cleaning ---- */

int cgroup_remove_folder(const struct cgroup_hierarchy *hierarchy, const char *name, int folder,
	uint64_t deadline_ms)
{
	for (;;) {
		if (unlinkat(hierarchy->base, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		if (errno != EBUSY)
			return -errno;
		const uint64_t now = clock_ms();
		if (folder < 0 || now >= deadline_ms)
			return -EBUSY;
		int result = hierarchy->version->wait_empty(folder, (unsigned)(deadline_ms - now));
		if (result < 0)
			return result;
	}
}

static int clean_hierarchy(struct cgroup_hierarchy *hierarchy, uint64_t deadline_ms,
	cgroup_keep_fn *keep, void *data, struct error *error)
{
	int copy = openat(hierarchy->base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_closedir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir)
		return error_errno(error, errno, "cannot read %s", hierarchy->path);
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
			(keep && keep(data, entry->d_name)))
			continue;
		cleanup_close int folder =
			openat(hierarchy->base, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (folder < 0)
			continue;
		(void)hierarchy->version->kill(folder, hierarchy->controllers);
		int result = cgroup_remove_folder(hierarchy, entry->d_name, folder, deadline_ms);
		if (result < 0)
			return error_errno(error, -result, "cannot remove the cgroup %s/%s",
				hierarchy->path, entry->d_name);
	}
	return 0;
}

int cgroup_host_clean_but(struct cgroup_host *host, unsigned wait_ms, cgroup_keep_fn *keep,
	void *data, struct error *error)
{
	const uint64_t deadline = clock_ms() + wait_ms;
	int result = 0;
	for (size_t i = 0; i < host->count; i++) {
		int here = clean_hierarchy(&host->hierarchies[i], deadline, keep, data, error);
		if (result == 0)
			result = here;
	}
	return result;
}

int cgroup_host_clean(struct cgroup_host *host, unsigned wait_ms, struct error *error)
{
	return cgroup_host_clean_but(host, wait_ms, NULL, NULL, error);
}

/* ---- telling ---- */

const char *cgroup_host_version(const struct cgroup_host *host)
{
	if (host->count == 0)
		return "none";
	if (host->v2 < 0)
		return "v1";
	return host->count > 1 ? "hybrid" : "v2";
}

bool cgroup_host_missing(const struct cgroup_host *host, enum cgroup_controller controller)
{
	return host->missing & CGROUP_BIT(controller);
}

size_t cgroup_host_describe(const struct cgroup_host *host, char *text, size_t size)
{
	static const char *const costs[] = {
		[CGROUP_MEMORY] = "no memory controller: a tenant can use all memory",
		[CGROUP_CPU] = "no cpu controller: a tenant can use every CPU",
		[CGROUP_PIDS] = "no pids controller: threads are not limited",
	};
	size_t used = (size_t)snprintf(text, size, "%s", cgroup_host_version(host));
	for (size_t i = 0; i < host->count && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : " at ",
			host->hierarchies[i].path);
	for (int i = 0; i < CGROUP_CONTROLLERS_NEEDED && used < size; i++)
		if (host->missing & CGROUP_BIT(i))
			used += (size_t)snprintf(text + used, size - used, "; %s", costs[i]);
	if (host->dynmods < 0 && host->count > (host->v2 >= 0 ? 1u : 0u) && used < size)
		used += (size_t)snprintf(text + used, size - used,
			"; favordynmods is not available (%s): each start can take 10-20 ms longer",
			strerror(-host->dynmods));
	return used < size ? used : size - 1;
}
