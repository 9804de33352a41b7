/* Who owns what in a granted folder, as the tenant and as the host see it. */
#include "common/cleanup.h"
#include "common/clock.h"
#include "sandbox/steps.h"
#include "sandbox_grant_world.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- owners ---- */

static void make_all_kinds(struct report *tell, void *argument)
{
	(void)argument;
	struct stat status;
	tell->more[0] = open(DATA "/new", O_WRONLY | O_CREAT, 0666) < 0 ? errno : 0;
	tell->more[1] = mkdir(DATA "/made", 0777) < 0 ? errno : 0;
	tell->more[2] = symlink("x", DATA "/made-link") < 0 ? errno : 0;
	tell->more[3] = stat(DATA "/file", &status) == 0 ? (long)status.st_uid : -errno;
	tell->more[4] = open(DATA "/roots", O_RDONLY) < 0 ? errno : 0;
	tell->more[5] = open(DATA "/everybodys", O_RDONLY) < 0 ? errno : 0;
	tell->more[6] = open(DATA "/everybodys", O_WRONLY) < 0 ? errno : 0;
	tell->more[7] = chmod(DATA "/everybodys", 0666) < 0 ? errno : 0;
	tell->value = stat(DATA "/roots", &status) == 0 ? (long)status.st_uid : -errno;
}

static void what_a_tenant_makes_is_the_owners(void **state)
{
	(void)state;
	need_sandbox();
	static const char *const paths[] = {DATA "/new", DATA "/made", DATA "/made-link"};
	grant(DATA, WRITE);
	assert_string_equal(warning, "");
	struct confine confine = with_grants();
	confined(&confine, make_all_kinds, NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
		struct stat status;
		assert_int_equal(report.more[i], 0);
		assert_int_equal(lstat(paths[i], &status), 0);
		assert_int_equal(status.st_uid, OWNER);
		assert_int_equal(status.st_gid, GROUP);
		assert_true(S_ISLNK(status.st_mode) || !(status.st_mode & 022));
	}
	/* To the tenant it is its own. Files of others are nobody's, and closed. */
	assert_int_equal(report.more[3], CONFINED_UID);
	assert_int_equal(report.value, 65534);
	assert_int_equal(report.more[4], EACCES);
	assert_int_equal(report.more[5], 0);
	assert_int_equal(report.more[6], EACCES);
	assert_int_equal(report.more[7], EOVERFLOW);
}

static void many_owners_are_mapped_with_few_namespaces(void **state)
{
	(void)state;
	need_sandbox();
	struct error error = {0};
	uint64_t start = clock_ns();
	int first = idmap_users(5000, 5000, TENANT, &error);
	uint64_t made = clock_ns();
	assert_true(first >= 0);
	grant(OPEN, READ);
	uint64_t again = clock_ns();
	grant(OPEN, READ);
	print_message("a user namespace takes %ld us, a grant with one at hand %ld us\n",
		(long)(made - start) / 1000, (long)(clock_ns() - again) / 1000);
	assert_int_equal(idmap_users(5000, 5000, TENANT, &error), first);
	int lowest = dup(0), highest = lowest;
	close(lowest);
	for (uint32_t i = 0; i < 100; i++)
		assert_true(idmap_users(6000 + i, 6000, TENANT, &error) >= 0);
	highest = dup(0);
	close(highest);
	assert_true(highest - lowest <= 33);
	/* Their processes are gone. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
}

static void a_file_system_without_id_maps_is_reported(void **state)
{
	(void)state;
	need_sandbox();
	put_folder(WORLD "/plain", 0755, 0, 0);
	/* ramfs has none. In a mount namespace of the test's own. */
	assert_int_equal(
		unshare(CLONE_NEWNS) | mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("none", WORLD "/plain", "ramfs", 0, "mode=0755"), 0);
	put(WORLD "/plain/file", 0644, 0, 0);
	grant(WORLD "/plain", WRITE);
	assert_non_null(strstr(warning, WORLD "/plain: its file system cannot map ids"));
	struct confine confine = with_grants();
	struct trial trial = {looks, 4, WORLD "/plain"};
	confined(&confine, run_acts, &trial);
	assert_int_equal(codes[0] | codes[1], 0);
	assert_int_equal(codes[3], EACCES);
	assert_int_equal(umount2(WORLD "/plain", MNT_DETACH), 0);
}

/* ---- no file that runs as its owner ---- */

static void try_setuid(struct report *tell, void *argument)
{
	(void)argument;
	const int file = open(DATA "/file", O_RDWR), folder = open(DATA, O_RDONLY | O_DIRECTORY);
	const char *path = DATA "/suid", *old = DATA "/file";
	const long results[] = {
		syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_WRONLY, 04755),
		syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_WRONLY, 02755),
		syscall(SYS_openat, folder, ".", O_TMPFILE | O_RDWR, 06755),
		syscall(SYS_creat, path, 04755),
		syscall(SYS_open, path, O_CREAT | O_WRONLY, 04755),
		syscall(SYS_mknod, path, S_IFREG | 04755, 0),
		syscall(SYS_mknodat, AT_FDCWD, path, S_IFREG | 04755, 0),
		syscall(SYS_mkdir, path, 04755),
		syscall(SYS_mkdirat, AT_FDCWD, path, 02755),
		syscall(SYS_chmod, old, 04755),
		syscall(SYS_chmod, old, 02755),
		syscall(SYS_fchmod, file, 04755),
		syscall(SYS_fchmod, file, 1l << 32 | 04755),
		syscall(SYS_fchmodat, AT_FDCWD, old, 04755),
		syscall(452 /* fchmodat2 */, AT_FDCWD, old, 04755, 0),
		syscall(SYS_chown, old, 0, 0),
		syscall(SYS_fchown, file, 0, 0),
		syscall(SYS_fchownat, AT_FDCWD, old, 0, 0, 0),
		syscall(SYS_setxattr, old, "security.capability", "x", 1, 0),
		syscall(SYS_fsetxattr, file, "user.x", "x", 1, 0),
		syscall(SYS_io_uring_setup, 8, 0),
	};
	tell->value = file < 0 || folder < 0 ? -1 : 0;
	for (size_t i = 0; i < ARRAY_LENGTH(results); i++)
		if (results[i] >= 0)
			tell->more[tell->value++ % 8] = (long)i + 1;
}

static void a_tenant_cannot_leave_a_setuid_file_on_the_host(void **state)
{
	(void)state;
	need_sandbox();
	/* Root's own: the worst case. */
	assert_int_equal(system("chown -R 0:0 " DATA), 0);
	grant(DATA, WRITE);
	struct confine confine = with_grants();
	confined(&confine, try_setuid, NULL);
	if (report.value != 0)
		fail_msg("call %ld worked", report.more[0]);
	assert_int_equal(system("test -z \"$(find " WORLD " -perm /6000)\""), 0);
	struct stat status;
	assert_int_equal(stat(DATA "/file", &status), 0);
	assert_int_equal(status.st_uid | status.st_gid, 0);
	assert_true(listxattr(DATA "/file", NULL, 0) <= 0);
}

int main(void)
{
	if (geteuid() != 0) {
		print_message("skipped: needs root\n");
		return 77;
	}
	const struct CMUnitTest tests[] = {
		IN_WORLD(what_a_tenant_makes_is_the_owners),
		IN_WORLD(many_owners_are_mapped_with_few_namespaces),
		IN_WORLD(a_file_system_without_id_maps_is_reported),
		IN_WORLD(a_tenant_cannot_leave_a_setuid_file_on_the_host),
	};
	return cmocka_run_group_tests(tests, share_codes, NULL);
}
