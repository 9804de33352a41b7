#include "ctl/signing.h"

#include "common/cleanup.h"
#include "common/control.h"
#include "common/file.h"
#include "ctl/output.h"
#include "ctl/pack.h"
#include "deploy/signature.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);
	return length > tail && strcmp(text + length - tail, end) == 0;
}

int signing_open(const struct invocation *invocation, const char *path,
	struct archive_made *ret_made, struct error *error)
{
	struct stat status;
	if (!ends_with(path, ".tar") && !ends_with(path, ".tar.zst"))
		return pack_release(invocation, path, ret_made, error);
	cleanup_close int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0)
		return error_errno(error, errno, "cannot open the archive %s", path);
	if (!S_ISREG(status.st_mode))
		return error_set(error, EINVAL, "the archive %s is not a regular file", path);
	*ret_made = (struct archive_made){.fd = take_fd(&fd)};
	return 0;
}

int signing_path(const char *path, char *ret_path, size_t size, struct error *error)
{
	size_t length = strlen(path);
	while (length > 1 && path[length - 1] == '/')
		length--;
	int written = snprintf(ret_path, size, "%.*s" SIGNATURE_SUFFIX, (int)length, path);
	if ((size_t)written >= size)
		return error_set(error, ENAMETOOLONG, "the path is too long");
	return 0;
}

static int sign(const struct invocation *invocation, int fd, char text[SIGNATURE_TEXT_MAX],
	struct error *error)
{
	char release[STORE_ID_SIZE];
	struct signature signature;
	int result = archive_id(fd, release, error);
	if (result == 0)
		result = signature_make(invocation->options[OPTION_SIGN_KEY], release,
			invocation->arguments[0], &signature, error);
	if (result == 0)
		signature_print(&signature, text);
	return result;
}

int signing_put(const struct invocation *invocation, json_t *request, const char *path, int fd)
{
	char beside[4096], made[SIGNATURE_TEXT_MAX];
	cleanup_free char *text = NULL;
	struct error error = {0};
	struct signature signature;
	size_t length;
	int result = 0;
	if (invocation->options[OPTION_SIGN_KEY]) {
		result = sign(invocation, fd, made, &error);
		if (result == 0)
			json_object_set_new(request, "signature", json_string(made));
		else
			return output_fail(CONTROL_EXIT_FAILURE, "signature", "%s", error.message);
		return 0;
	}
	result = signing_path(path, beside, sizeof beside, &error);
	if (result == 0)
		result = file_read(AT_FDCWD, beside, SIGNATURE_TEXT_MAX, &text, &length, &error);
	if (result == -ENOENT)
		return 0;
	/* One that is there and cannot be read is not taken for none. */
	if (result == 0 && signature_parse(text, length, &signature, &error) < 0)
		result = error_prefix(&error, "%s", beside);
	if (result < 0)
		return output_fail(CONTROL_EXIT_FAILURE, "signature", "%s", error.message);
	json_object_set_new(request, "signature", json_stringn(text, length));
	return 0;
}
