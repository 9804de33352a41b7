#include "daemon/policy_change.h"

#include "common/cleanup.h"
#include "common/control.h"
#include "common/file.h"
#include "common/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define NUMBER_LENGTH 16
#define PUT "put-"
#define REMOVE "remove-"
#define MIDDLE ".json."
#define PATH_SIZE (CONTROL_NAME_MAX + sizeof MIDDLE + NUMBER_LENGTH + 2)

/* What stands behind "put-" or "remove-", or NULL. */
static const char *number_of(const char *change)
{
	const char *number = strchr(change, '-');
	number = number ? number + 1 : "";
	return strlen(number) == NUMBER_LENGTH &&
			       strspn(number, "0123456789abcdef") == NUMBER_LENGTH
		       ? number
		       : NULL;
}

static bool is_put(const char *change)
{
	return strncmp(change, PUT, sizeof PUT - 1) == 0;
}

bool policy_change_valid(const char *change)
{
	return number_of(change) &&
	       (is_put(change) || strncmp(change, REMOVE, sizeof REMOVE - 1) == 0);
}

static void paths(
	const char *tenant, const char *change, char policy[PATH_SIZE], char beside[PATH_SIZE])
{
	snprintf(policy, PATH_SIZE, "%s.json", tenant);
	snprintf(beside, PATH_SIZE, ".%s" MIDDLE "%s", tenant, number_of(change));
}

static int write_beside(int folder_fd, const char *path, const char *text, struct error *error)
{
	cleanup_close int fd =
		openat(folder_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int result = fd < 0 ? -errno : file_write_all(fd, text, strlen(text));
	if (result == 0 && (fsync(fd) < 0 || fsync(folder_fd) < 0))
		result = -errno;
	if (result == 0)
		return 0;
	if (fd >= 0)
		unlinkat(folder_fd, path, 0);
	return error_errno(error, result, "cannot write the policy");
}

int policy_change_prepare(int folder_fd, const char *tenant, const char *text,
	char ret_change[POLICY_CHANGE_SIZE], struct error *error)
{
	char change[POLICY_CHANGE_SIZE], policy[PATH_SIZE], beside[PATH_SIZE];
	unsigned char random[NUMBER_LENGTH / 2];
	struct stat status;
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return error_errno(error, errno, "cannot name the policy");
	int length = snprintf(change, sizeof change, "%s", text ? PUT : REMOVE);
	for (size_t i = 0; i < sizeof random; i++)
		length += snprintf(
			change + length, sizeof change - (size_t)length, "%02x", random[i]);
	paths(tenant, change, policy, beside);
	/* What rename(2) would fail with, once it is too late. */
	if (fstatat(folder_fd, policy, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
		S_ISDIR(status.st_mode))
		return error_errno(error, EISDIR, "cannot install the policy %s", policy);
	int result = text ? write_beside(folder_fd, beside, text, error) : 0;
	if (result == 0)
		memcpy(ret_change, change, sizeof change);
	return result;
}

int policy_change_apply(int folder_fd, const char *tenant, const char *change, struct error *error)
{
	char policy[PATH_SIZE], beside[PATH_SIZE];
	paths(tenant, change, policy, beside);
	const bool put = is_put(change);
	const bool there = faccessat(folder_fd, beside, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	/* Of what went, the name says that it did. */
	int result = put == there ? renameat(folder_fd, put ? beside : policy, folder_fd,
					    put ? policy : beside)
				  : 0;
	if (result < 0 && errno != ENOENT)
		return error_errno(error, errno, "cannot %s the policy %s",
			put ? "install" : "remove", policy);
	return fsync(folder_fd) < 0;
}

void policy_change_forget(int folder_fd, const char *tenant, const char *change)
{
	char policy[PATH_SIZE], beside[PATH_SIZE];
	paths(tenant, change, policy, beside);
	unlinkat(folder_fd, beside, 0);
}

/* ".NAME.json.NUMBER" into its parts; false for everything else. */
static bool take_apart(const char *path, char tenant[CONTROL_NAME_MAX + 1], const char **ret_number)
{
	const char *middle = path[0] == '.' ? strstr(path + 1, MIDDLE) : NULL;
	if (middle == NULL || middle - path - 1 > CONTROL_NAME_MAX)
		return false;
	const char *number = middle + sizeof MIDDLE - 1;
	if (strlen(number) != NUMBER_LENGTH || strspn(number, "0123456789abcdef") != NUMBER_LENGTH)
		return false;
	snprintf(tenant, CONTROL_NAME_MAX + 1, "%.*s", (int)(middle - path - 1), path + 1);
	*ret_number = number;
	return true;
}

void policy_change_sweep(int folder_fd, policy_change_named_fn *is_named, void *data)
{
	char tenant[CONTROL_NAME_MAX + 1];
	const char *number;
	int own = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_closedir DIR *folder = own < 0 ? NULL : fdopendir(own);
	if (folder == NULL) {
		close_fd(&own);
		return;
	}
	for (struct dirent *entry; (entry = readdir(folder));) {
		if (!take_apart(entry->d_name, tenant, &number) || is_named(data, tenant, number))
			continue;
		if (unlinkat(folder_fd, entry->d_name, 0) < 0)
			log_warn("event=policy-left message=\"cannot remove %s: %s\"",
				entry->d_name, strerror(errno));
	}
}
