/* Tier container: the process keeps the container's root, because it may not mount. The
 * release is where it lies, in the state folder, and Landlock alone says what else can be
 * opened. */
#include "sandbox/steps.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int shared_root_enter(int release, struct error *error)
{
	if ((release < 0 ? chdir("/") : fchdir(release)) < 0)
		return error_errno(error, errno, "cannot go to the release");
	return 0;
}

int shared_root_verify(const char *root, struct error *error)
{
	struct stat here, there;
	if (root == NULL)
		root = "/";
	if (stat(".", &here) < 0)
		return error_errno(error, errno, "cannot look at the release");
	if (stat(root, &there) < 0)
		return error_set(error, errno,
			"user %u cannot come to the release at %s (%s): in the tier container the "
			"folders above it must let others pass (chmod o+x)",
			getuid(), root, strerror(errno));
	if (here.st_dev != there.st_dev || here.st_ino != there.st_ino)
		return error_set(error, EXDEV, "%s is another folder than the release", root);
	return 0;
}
