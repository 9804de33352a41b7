#include "daemon/program.h"

#include "common/cleanup.h"
#include "common/cron.h"
#include "daemon/grants.h"
#include "deploy/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static bool is_regular_file(const char *path, void *data)
{
	struct stat status;
	const struct program *program = data;
	return fstatat(program->release_fd, path, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(status.st_mode);
}

static int find_entry(struct program *program, const char *entry, struct error *error)
{
	if (entry == NULL)
		entry = manifest_entry(program->manifest, is_regular_file, program, error);
	else if (deploy_path_check(entry, strlen(entry), error) < 0)
		entry = NULL;
	if (entry == NULL)
		return -error->code;
	program->entry = strdup(entry);
	return program->entry ? 0 : error_set(error, ENOMEM, "no memory for a program");
}

/* What is due at a time that we cannot know would be due at a wrong one. */
static int check_zones(const struct manifest *manifest, struct error *error)
{
	for (size_t i = 0; i < manifest->schedule_count; i++) {
		const char *zone = manifest->schedules[i].time_zone;
		if (zone && !cron_zone_known(zone))
			return error_set(error, EINVAL,
				MANIFEST_FILE ": /schedules/%zu/timeZone: this host does not know "
					      "\"%s\": correct the name, or install tzdata",
				i, zone);
	}
	return 0;
}

int program_of_folder(int folder_fd, const char *id, const char *entry, struct policy *policy,
	const char *policy_file, struct program **ret_program, struct error *error)
{
	struct program *program = calloc(1, sizeof *program);
	if (program == NULL) {
		close(folder_fd);
		policy_free(policy);
		return error_set(error, ENOMEM, "no memory for a program");
	}
	program->release_fd = folder_fd;
	program->policy = policy;
	grants_distrust(policy);
	snprintf(program->release, sizeof program->release, "%s", id);
	snprintf(program->policy_file, sizeof program->policy_file, "%s", policy_file);
	int result = manifest_read(folder_fd, MANIFEST_FILE, &program->manifest, error);
	if (result == 0)
		result = check_zones(program->manifest, error);
	if (result == 0)
		result = find_entry(program, entry, error);
	if (result < 0) {
		program_free(program, NULL);
		return result;
	}
	*ret_program = program;
	return 0;
}

int program_new(struct store *store, const char *id, struct policy *policy, const char *policy_file,
	struct program **ret_program, struct error *error)
{
	int fd = store_release_open(store, id, error);
	if (fd < 0) {
		policy_free(policy);
		return fd;
	}
	return program_of_folder(fd, id, NULL, policy, policy_file, ret_program, error);
}

struct program *program_free(struct program *program, const struct listeners *keep)
{
	if (program == NULL)
		return NULL;
	listeners_close(&program->listeners, keep);
	policy_free(program->policy);
	manifest_free(program->manifest);
	close_fd(&program->release_fd);
	free(program->entry);
	free(program->signature);
	free(program->proof);
	free(program);
	return NULL;
}

int program_policy(int folder_fd, const char *name, struct policy **ret_policy, char ret_file[256],
	struct error *error)
{
	char path[128];
	struct stat status;
	snprintf(path, sizeof path, "%s.json", name);
	/* Opening a FIFO would wait for its writer, and everybody with us. */
	if (fstatat(folder_fd, path, &status, 0) == 0 && !S_ISREG(status.st_mode))
		return error_set(error, EINVAL, "%s is not a regular file", path);
	int result = policy_read(folder_fd, path, ret_policy, error);
	if (result == 0) {
		snprintf(ret_file, 256, "%s", path);
		return 0;
	}
	if (result != -ENOENT)
		return result;
	*ret_policy = policy_default();
	snprintf(ret_file, 256, "default");
	return *ret_policy ? 0 : error_set(error, ENOMEM, "no memory for a policy");
}
