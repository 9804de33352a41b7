#include "daemon/code_cache.h"

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/file.h"
#include "common/log.h"
#include "daemon/instance.h"
#include "daemon/supervisor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "caches"
#define NAME_SIZE (STORE_ID_SIZE + 32)
#define PROGRAM_LEAST (32 * 1024)
#define CACHE_MOST (64u << 20)
#define TIME_MS 60000

/* The one that is being made. */
struct code_cache {
	struct supervisor *supervisor;
	struct instance *instance;
	struct policy *policy;
	char name[NAME_SIZE];
	char tenant[64];
	int out; /* a memfd */
};

/* ---- files ---- */

/* Which library and engine it is: what is installed at the snapshot's place changes with
 * either. */
static uint64_t version_of(const struct supervisor *supervisor)
{
	struct stat status;
	if (stat(supervisor->snapshot, &status) < 0)
		return 0;
	return (uint64_t)status.st_size ^ (uint64_t)status.st_mtim.tv_sec << 24 ^
	       (uint64_t)status.st_mtim.tv_nsec;
}

static void name_of(
	const struct supervisor *supervisor, const struct program *program, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "%s-%016llx%s", program->release,
		(unsigned long long)version_of(supervisor),
		program->policy->allow_jit ? "" : "-jitless");
}

static int open_folder(const struct supervisor *supervisor)
{
	return openat(
		supervisor->state_fd, FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int code_cache_open(struct supervisor *supervisor, const struct program *program)
{
	char name[NAME_SIZE];
	cleanup_close int folder = open_folder(supervisor);
	if (folder < 0)
		return -1;
	name_of(supervisor, program, name);
	return openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

/* What was made becomes a file, in one step. Not durable before the return: a torn one has
 * the wrong checksums. */
static int keep(const struct code_cache *cache, struct error *error)
{
	struct stat status;
	if (mkdirat(cache->supervisor->state_fd, FOLDER, 0700) < 0 && errno != EEXIST)
		return error_errno(error, errno, "cannot make the folder %s", FOLDER);
	cleanup_close int folder = open_folder(cache->supervisor);
	if (folder < 0 || fstat(cache->out, &status) < 0)
		return error_errno(error, errno, "cannot open the folder %s", FOLDER);
	if (status.st_size == 0 || status.st_size > CACHE_MOST)
		return error_set(error, EFBIG, "it has %lld bytes", (long long)status.st_size);
	void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, cache->out, 0);
	if (data == MAP_FAILED)
		return error_errno(error, errno, "cannot read what was made");
	int result =
		file_write_atomic(folder, cache->name, data, (size_t)status.st_size, 0600, error);
	munmap(data, (size_t)status.st_size);
	return result;
}

void code_cache_sweep(struct supervisor *supervisor)
{
	char version[24];
	int own = open_folder(supervisor);
	cleanup_closedir DIR *folder = own < 0 ? NULL : fdopendir(own);
	snprintf(version, sizeof version, "-%016llx", (unsigned long long)version_of(supervisor));
	for (struct dirent *entry; folder && (entry = readdir(folder));) {
		char id[STORE_ID_SIZE];
		if (entry->d_name[0] == '.')
			continue;
		snprintf(id, sizeof id, "%.*s", STORE_ID_LENGTH, entry->d_name);
		cleanup_close int release =
			store_id_valid(id) ? store_release_open(supervisor->store, id, NULL) : -1;
		if (release < 0 ||
			strncmp(entry->d_name + strlen(id), version, strlen(version)) != 0)
			unlinkat(dirfd(folder), entry->d_name, 0);
	}
}

/* ---- making ---- */

struct code_cache *code_cache_free(struct code_cache *cache)
{
	if (!cache)
		return NULL;
	if (cache->supervisor->code_cache == cache)
		cache->supervisor->code_cache = NULL;
	instance_free(cache->instance);
	policy_free(cache->policy);
	close_fd(&cache->out);
	free(cache);
	return NULL;
}

static void on_ready(struct instance *instance, void *data)
{
	(void)instance; /* it never is */
	(void)data;
}

/* What cannot be compiled (CommonJS, for one) is not tried at each start: an empty file, which
 * no worker takes for a cache. */
static void remember_failure(const struct code_cache *cache)
{
	if (cache->supervisor->stopping)
		return;
	(void)mkdirat(cache->supervisor->state_fd, FOLDER, 0700);
	cleanup_close int folder = open_folder(cache->supervisor);
	cleanup_close int file = -1;
	if (folder >= 0)
		file = openat(folder, cache->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

static void on_ended(struct instance *instance, void *data)
{
	struct code_cache *cache = data;
	struct error error = {0};
	struct supervisor *supervisor = cache->supervisor;
	if (instance->end->exit_code != 0) {
		remember_failure(cache);
		log_debug("event=no-code-cache tenant=%s message=\"%s\"", cache->tenant,
			escape_for_log(instance->end->message));
	} else if (keep(cache, &error) < 0)
		log_warn("event=no-code-cache tenant=%s message=\"%s\"", cache->tenant,
			escape_for_log(error.message));
	else
		log_info("event=code-cache tenant=%s release=%.12s", cache->tenant, cache->name);
	code_cache_free(cache);
	supervisor_check_end(supervisor);
}

static const struct instance_events events = {.ready = on_ready, .ended = on_ended};

/* Nothing is granted to it; it gets as much memory as the program has. */
static struct policy *make_policy(const struct program *program)
{
	struct policy *policy = policy_default();
	if (!policy)
		return NULL;
	policy->allow_jit = program->policy->allow_jit;
	policy->allow_wasm = program->policy->allow_wasm;
	policy->limits.memory_bytes = program->policy->limits.memory_bytes;
	policy->limits.stack_bytes = program->policy->limits.stack_bytes;
	policy->limits.cpu_percent = program->policy->limits.cpu_percent;
	policy->limits.time_ms = TIME_MS;
	return policy;
}

static int start(struct code_cache *cache, const struct program *program, struct error *error)
{
	struct factory *factory = &cache->supervisor->factory;
	const struct instance_spec spec = {
		.tenant = cache->tenant,
		.release = "compile",
		.release_fd = program->release_fd,
		.entry = program->entry,
		.mode = WORKER_MODE_COMPILE,
		.policy = cache->policy,
		.uid_slot = -1,
		.startup_ms = TIME_MS,
		.stdio = {factory->null_fd, cache->out, factory->null_fd},
	};
	return instance_start(factory, &spec, &events, cache, &cache->instance, error);
}

static bool is_worth_it(const struct program *program)
{
	struct stat status;
	return fstatat(program->release_fd, program->entry, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(status.st_mode) && status.st_size >= PROGRAM_LEAST;
}

void code_cache_want(
	struct supervisor *supervisor, const char *tenant, const struct program *program)
{
	struct error error = {0};
	cleanup_close int there = -1;
	if (supervisor->code_cache || supervisor->stopping || !is_worth_it(program))
		return;
	there = code_cache_open(supervisor, program);
	if (there >= 0)
		return;
	struct code_cache *cache = calloc(1, sizeof *cache);
	if (!cache)
		return;
	*cache = (struct code_cache){.supervisor = supervisor, .policy = make_policy(program)};
	name_of(supervisor, program, cache->name);
	snprintf(cache->tenant, sizeof cache->tenant, "%s", tenant);
	cache->out = memfd_create("code", MFD_CLOEXEC);
	supervisor->code_cache = cache;
	if (cache->policy && cache->out >= 0 && start(cache, program, &error) == 0)
		return;
	log_warn("event=no-code-cache tenant=%s message=\"%s\"", tenant,
		escape_for_log(error.message));
	code_cache_free(cache);
}
