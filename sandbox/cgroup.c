/* One instance's control groups: one folder in each hierarchy that the host uses. */
#include "sandbox/cgroup.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "sandbox/cgroup_host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct cgroup {
	const struct cgroup_host *host;
	char name[CGROUP_NAME_MAX + 1];
	int folders[CGROUP_HIERARCHIES_MAX]; /* as the host's hierarchies */
	int procs[CGROUP_HIERARCHIES_MAX];   /* v1's, close together */
	size_t procs_count;
};

static int open_procs(struct cgroup *cgroup, const struct cgroup_hierarchy *hierarchy, int folder,
	struct error *error)
{
	if (hierarchy->v2)
		return 0;
	int procs = openat(folder, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (procs < 0)
		return error_errno(error, errno, "cannot open %s/%s/cgroup.procs", hierarchy->path,
			cgroup->name);
	cgroup->procs[cgroup->procs_count++] = procs;
	return 0;
}

static int create_in(struct cgroup *cgroup, size_t index, struct error *error)
{
	const struct cgroup_hierarchy *hierarchy = &cgroup->host->hierarchies[index];
	bool existed = mkdirat(hierarchy->base, cgroup->name, 0755) < 0;
	if (existed && errno != EEXIST)
		return error_errno(error, errno, "cannot make the cgroup %s/%s", hierarchy->path,
			cgroup->name);
	int folder = openat(hierarchy->base, cgroup->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return error_errno(error, errno, "cannot open the cgroup %s/%s", hierarchy->path,
			cgroup->name);
	cgroup->folders[index] = folder;
	if (existed && hierarchy->version->populated(folder) != 0)
		return error_set(error, EBUSY, "the cgroup %s/%s has processes in it",
			hierarchy->path, cgroup->name);
	return open_procs(cgroup, hierarchy, folder, error);
}

static int open_in(struct cgroup *cgroup, size_t index, struct error *error)
{
	const struct cgroup_hierarchy *hierarchy = &cgroup->host->hierarchies[index];
	int folder = openat(hierarchy->base, cgroup->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return error_errno(error, errno, "cannot open the cgroup %s/%s", hierarchy->path,
			cgroup->name);
	cgroup->folders[index] = folder;
	return open_procs(cgroup, hierarchy, folder, error);
}

/* Without a group in any hierarchy. */
static int make_struct(const struct cgroup_host *host, const char *name, struct cgroup **ret_cgroup,
	struct error *error)
{
	if (!cgroup_name_is_good(name))
		return error_set(error, EINVAL, "\"%.64s\" cannot be a cgroup's name", name);
	struct cgroup *cgroup = calloc(1, sizeof *cgroup);
	if (!cgroup)
		return error_set(error, ENOMEM, "no memory for a cgroup");
	cgroup->host = host;
	snprintf(cgroup->name, sizeof cgroup->name, "%s", name);
	for (size_t i = 0; i < host->count; i++)
		cgroup->folders[i] = -1;
	*ret_cgroup = cgroup;
	return 0;
}

int cgroup_adopt(const struct cgroup_host *host, const char *name, struct cgroup **ret_cgroup,
	struct error *error)
{
	struct cgroup *cgroup;
	int result = make_struct(host, name, &cgroup, error);
	if (result < 0)
		return result;
	for (size_t i = 0; result == 0 && i < host->count; i++)
		result = open_in(cgroup, i, error);
	if (result < 0) {
		cgroup_free(cgroup);
		return result;
	}
	*ret_cgroup = cgroup;
	return 0;
}

const char *cgroup_name(const struct cgroup *cgroup)
{
	return cgroup->name;
}

int cgroup_create(const struct cgroup_host *host, const char *name, struct cgroup **ret_cgroup,
	struct error *error)
{
	struct cgroup *cgroup;
	int made = make_struct(host, name, &cgroup, error);
	if (made < 0)
		return made;
	for (size_t i = 0; i < host->count; i++) {
		int result = create_in(cgroup, i, error);
		if (result < 0) {
			/* Folders that are in use do not go. */
			for (size_t j = 0; j <= i; j++)
				(void)unlinkat(host->hierarchies[j].base, name, AT_REMOVEDIR);
			cgroup_free(cgroup);
			return result;
		}
	}
	*ret_cgroup = cgroup;
	return 0;
}

struct cgroup *cgroup_free(struct cgroup *cgroup)
{
	if (!cgroup)
		return NULL;
	for (size_t i = 0; i < cgroup->host->count; i++)
		close_fd(&cgroup->folders[i]);
	for (size_t i = 0; i < cgroup->procs_count; i++)
		close_fd(&cgroup->procs[i]);
	free(cgroup);
	return NULL;
}

/* ---- limits ---- */

static int set_pids(int folder, uint32_t pids)
{
	return pids > 0 ? cgroup_file_write_u64(folder, "pids.max", pids)
			: cgroup_file_write(folder, "pids.max", "max");
}

int cgroup_set_limits(
	struct cgroup *cgroup, const struct cgroup_limits *limits, struct error *error)
{
	for (size_t i = 0; i < cgroup->host->count; i++) {
		const struct cgroup_hierarchy *hierarchy = &cgroup->host->hierarchies[i];
		const unsigned has = hierarchy->controllers;
		const char *what = "memory";
		int result = 0;
		if (has & CGROUP_BIT(CGROUP_MEMORY))
			result = hierarchy->version->set_memory(
				cgroup->folders[i], limits->memory_bytes);
		if (result == 0 && has & CGROUP_BIT(CGROUP_CPU)) {
			what = "CPU";
			result = hierarchy->version->set_cpu(
				cgroup->folders[i], limits->cpu_percent);
		}
		if (result == 0 && has & CGROUP_BIT(CGROUP_PIDS)) {
			what = "process";
			result = set_pids(cgroup->folders[i], limits->pids);
		}
		if (result < 0)
			return error_errno(error, -result, "cannot set the %s limit in %s/%s", what,
				hierarchy->path, cgroup->name);
	}
	return 0;
}

/* ---- processes ---- */

int cgroup_v2_folder(const struct cgroup *cgroup)
{
	return cgroup->host->v2 < 0 ? -1 : cgroup->folders[cgroup->host->v2];
}

size_t cgroup_procs_files(const struct cgroup *cgroup, const int **ret_fds)
{
	*ret_fds = cgroup->procs;
	return cgroup->procs_count;
}

/* Where its processes are known best: v2, else the freezer, else any. */
static size_t best_hierarchy(const struct cgroup_host *host)
{
	if (host->v2 >= 0)
		return (size_t)host->v2;
	for (size_t i = 0; i < host->count; i++)
		if (host->hierarchies[i].controllers & CGROUP_BIT(CGROUP_FREEZER))
			return i;
	return 0;
}

int cgroup_kill(struct cgroup *cgroup, struct error *error)
{
	if (cgroup->host->count == 0)
		return 0;
	size_t best = best_hierarchy(cgroup->host);
	const struct cgroup_hierarchy *hierarchy = &cgroup->host->hierarchies[best];
	int result = hierarchy->version->kill(cgroup->folders[best], hierarchy->controllers);
	/* ENODEV: the group was removed meanwhile. */
	if (result < 0 && result != -ENODEV && result != -ENOENT)
		return error_errno(error, -result, "cannot kill the processes of %s/%s",
			hierarchy->path, cgroup->name);
	return 0;
}

int cgroup_populated(const struct cgroup *cgroup)
{
	if (cgroup->host->count == 0)
		return -ENOTSUP;
	size_t best = best_hierarchy(cgroup->host);
	int result = cgroup->host->hierarchies[best].version->populated(cgroup->folders[best]);
	return result == -ENODEV || result == -ENOENT ? 0 : result;
}

int cgroup_remove(struct cgroup *cgroup, unsigned wait_ms, struct error *error)
{
	const uint64_t deadline = clock_ms() + wait_ms;
	for (size_t i = 0; i < cgroup->host->count; i++) {
		const struct cgroup_hierarchy *hierarchy = &cgroup->host->hierarchies[i];
		int result =
			cgroup_remove_folder(hierarchy, cgroup->name, cgroup->folders[i], deadline);
		if (result < 0)
			return error_errno(error, -result, "cannot remove the cgroup %s/%s",
				hierarchy->path, cgroup->name);
	}
	return 0;
}

void cgroup_read_stats(const struct cgroup *cgroup, struct cgroup_stats *ret_stats)
{
	memset(ret_stats, 0, sizeof *ret_stats);
	for (size_t i = 0; i < cgroup->host->count; i++) {
		const struct cgroup_hierarchy *hierarchy = &cgroup->host->hierarchies[i];
		hierarchy->version->read_stats(
			cgroup->folders[i], hierarchy->controllers, ret_stats);
	}
}
