/* Where paths lead, and which descriptors are the program's. */
#include "isolate/native_fs.h"
#include "isolate/permission.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/permission-test-XXXXXX";

static int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder) || chdir(folder) < 0)
		return -1;
	return mkdir("sub", 0700) | symlink("sub", "link") | symlink("/etc/passwd", "absolute") |
	       symlink("../..", "sub/up") | symlink("loop", "loop") | symlink("sub/up", "chain");
}

static int remove_folder(void **state)
{
	(void)state;
	const char *const links[] = {"link", "absolute", "sub/up", "loop", "chain"};
	for (size_t i = 0; i < sizeof links / sizeof links[0]; i++)
		unlink(links[i]);
	return rmdir("sub") | chdir("/") | rmdir(folder);
}

static const char *lead(const char *name, bool follow)
{
	static char path[PATH_MAX], resolved[PATH_MAX];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	if (permission_resolve(path, follow, resolved) < 0)
		return "error";
	size_t length = strlen(folder);
	return strncmp(resolved, folder, length) == 0 ? resolved + length : resolved;
}

static void paths_lead_where_the_kernel_goes(void **state)
{
	(void)state;
	assert_string_equal(lead("sub/./x//y", true), "/sub/x/y");
	assert_string_equal(lead("sub/../x", true), "/x");
	assert_string_equal(lead("link/x", true), "/sub/x");
	assert_string_equal(lead("link", false), "/link");
	assert_string_equal(lead("link", true), "/sub");
	assert_string_equal(lead("link/", false), "/sub");
	/* ".." of a link is that of where it leads, whatever the text looks like. */
	assert_string_equal(lead("sub/up/x", true), "/tmp/x");
	assert_string_equal(lead("chain", true), "/tmp");
	assert_string_equal(lead("absolute", true), "/etc/passwd");
	assert_string_equal(lead("missing/../../x", true), "/tmp/x");
	assert_string_equal(lead("loop", true), "error");
	assert_string_equal(lead("../../../../../..", true), "/");
}

static void only_descriptors_of_the_program_are_usable(void **state)
{
	(void)state;
	assert_true(fs_fd_usable(0, FS_FD_READ));
	assert_false(fs_fd_usable(0, FS_FD_WRITE));
	assert_true(fs_fd_usable(1, FS_FD_WRITE));
	assert_false(fs_fd_usable(1, FS_FD_CHANGE));
	assert_false(fs_fd_usable(3, FS_FD_READ));
	assert_false(fs_fd_usable(-1, FS_FD_READ));
	assert_false(fs_fd_usable(1 << 30, FS_FD_READ));
	fs_fd_add(500);
	assert_true(fs_fd_usable(500, FS_FD_CHANGE));
	assert_false(fs_fd_usable(499, FS_FD_READ));
	assert_true(fs_fd_remove(500));
	assert_false(fs_fd_usable(500, FS_FD_READ));
}

static void a_descriptor_in_use_is_closed_by_its_last_user(void **state)
{
	(void)state;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	fs_fd_add(fd);
	fs_fd_hold(fd);
	fs_fd_hold(fd);
	assert_false(fs_fd_remove(fd));
	assert_false(fs_fd_usable(fd, FS_FD_READ));
	fs_fd_release(fd);
	assert_int_not_equal(fcntl(fd, F_GETFD), -1);
	fs_fd_release(fd);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_lead_where_the_kernel_goes),
		cmocka_unit_test(only_descriptors_of_the_program_are_usable),
		cmocka_unit_test(a_descriptor_in_use_is_closed_by_its_last_user),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
