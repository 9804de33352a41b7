/* /etc of a job: one user, itself; localhost; no name servers, because it has no network
 * of its own to ask them over. Nothing says what else lives on the host. */
#include "common/cleanup.h"
#include "common/file.h"
#include "sandbox/job_steps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_file(
	int root, const char *path, const char *text, mode_t mode, struct error *error)
{
	cleanup_close int fd =
		openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return error_errno(error, errno, "cannot make /%s", path);
	int result = file_write_all(fd, text, strlen(text));
	return result < 0 ? error_errno(error, result, "cannot write /%s", path) : 0;
}

int job_etc_write(int root, const struct worker_start *start, struct error *error)
{
	char users[256], groups[128];
	snprintf(users, sizeof users,
		"tenant:x:%u:%u:tenant:" JOB_HOME ":/bin/sh\n"
		"nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
		start->uid, start->uid);
	snprintf(groups, sizeof groups, "tenant:x:%u:\nnogroup:x:65534:\n", start->uid);
	const struct {
		const char *path, *text;
	} files[] = {
		{"etc/passwd", users},
		{"etc/group", groups},
		{"etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"},
		{"etc/resolv.conf", "# No name server: the proxy, if there is one, resolves.\n"},
		{"etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\nservices: files\n"
				      "protocols: files\n"},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
		int result = write_file(root, files[i].path, files[i].text, 0644, error);
		if (result < 0)
			return result;
	}
	return 0;
}

/* A secret's name is that of a variable: no path. */
static int write_secret(int folder, const char *entry, uint32_t uid, struct error *error)
{
	char name[256];
	size_t length = strcspn(entry, "=");
	if (length == 0 || length >= sizeof name || memchr(entry, '/', length))
		return error_set(error, EINVAL, "a secret with an odd name");
	memcpy(name, entry, length);
	name[length] = '\0';
	int result = write_file(folder, name, entry + length + 1, 0400, error);
	if (result == 0 && fchownat(folder, name, uid, uid, AT_SYMLINK_NOFOLLOW) < 0)
		result = error_errno(error, errno, "cannot give the secret %s to the tenant", name);
	return result;
}

int job_secrets_write(int root, const struct worker_start *start, struct error *error)
{
	if (start->secret_count == 0)
		return 0;
	if (mkdirat(root, "run", 0755) < 0 || mkdirat(root, "run/secrets", 0700) < 0 ||
		fchownat(root, "run/secrets", start->uid, start->uid, 0) < 0)
		return error_errno(error, errno, "cannot make " JOB_SECRETS);
	cleanup_close int folder =
		openat(root, "run/secrets", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0)
		return error_errno(error, errno, "cannot open " JOB_SECRETS);
	for (size_t i = 0; i < start->secret_count; i++) {
		int result = write_secret(folder, start->secrets[i], start->uid, error);
		if (result < 0)
			return result;
		/* Process 1 lives as long as the job, and needs it no more. */
		explicit_bzero((char *)start->secrets[i], strlen(start->secrets[i]));
	}
	return 0;
}
