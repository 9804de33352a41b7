/* The id of an archive's release, for who signs it: unpacked as the daemon would, into a
 * temporary folder, and hashed. */
#include "common/cleanup.h"
#include "deploy/archive.h"
#include "deploy/tree.h"
#include "deploy/unpack_private.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

int archive_id(int archive_fd, char ret_id[STORE_ID_SIZE], struct error *error)
{
	char folder[512];
	struct unpack_report report = {0};
	const char *parent = getenv("TMPDIR");
	snprintf(folder, sizeof folder, "%s/tenantctl.XXXXXX",
		parent && parent[0] == '/' && strlen(parent) < 480 ? parent : "/var/tmp");
	if (mkdtemp(folder) == NULL)
		return error_errno(error, errno, "cannot make a temporary folder");
	cleanup_close int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unpack_locale();
	int result = fd < 0 ? error_errno(error, errno, "cannot open %s", folder)
			    : unpack_extract(archive_fd, fd, &report, error);
	if (result == 0)
		result = tree_hash(fd, ret_id, error);
	(void)tree_remove(AT_FDCWD, folder);
	return result;
}
