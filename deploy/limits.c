#include "deploy/limits.h"

#include "common/escape.h"

#include <errno.h>
#include <string.h>

/* Why PATH is refused, NULL if it is not. */
static const char *refusal(const char *path, size_t length)
{
	if (length == 0)
		return "the name is empty";
	if (length >= DEPLOY_PATH_MAX)
		return "the path is too long";
	if (path[0] == '/')
		return "an absolute path";
	size_t depth = 0;
	for (const char *part = path, *end = path + length; part <= end; depth++) {
		const char *slash = memchr(part, '/', (size_t)(end - part));
		size_t size = (size_t)((slash ? slash : end) - part);
		if (size == 0)
			return "a path with an empty component";
		if (size > DEPLOY_NAME_MAX)
			return "a name is longer than 255 bytes";
		if (part[0] == '.' && (size == 1 || (size == 2 && part[1] == '.')))
			return "a path with `.` or `..` would climb out of the release";
		part += size + 1;
	}
	if (depth > DEPLOY_DEPTH_MAX)
		return "folders are nested too deeply";
	return NULL;
}

int deploy_path_check(const char *path, size_t length, struct error *error)
{
	char shown[512];
	size_t shown_length = escape_line(shown, sizeof shown, path, length, 0);
	const char *reason = refusal(path, length);
	if (reason)
		return error_set(error, EINVAL, "%s: %s", shown, reason);

	/* What needs no escape is well-formed UTF-8 without control characters,
	 * bidirectional marks and backslashes: exactly what a name may be. */
	char whole[4 * DEPLOY_PATH_MAX];
	shown_length = escape_line(whole, sizeof whole, path, length, 0);
	if (shown_length != length || memcmp(whole, path, length) != 0)
		return error_set(error, EINVAL,
			"%s: the name must be UTF-8 without control characters or backslashes",
			shown);
	return 0;
}
