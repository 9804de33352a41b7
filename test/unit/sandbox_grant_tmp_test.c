/* A private /tmp, and grants in it. */
#include "sandbox_grant_world.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- /tmp ---- */

static void fill_tmp(struct report *tell, void *argument)
{
	(void)argument;
	static char block[65536];
	struct statvfs status;
	struct stat folder;
	int fd = open("/tmp/big", O_WRONLY | O_CREAT, 0600);
	ssize_t written;
	while ((written = write(fd, block, sizeof block)) > 0)
		tell->more[0] += written;
	tell->more[1] = errno;
	(void)unlink("/tmp/big");
	close(fd);
	for (;; tell->more[2]++) {
		char path[32];
		snprintf(path, sizeof path, "/tmp/%ld", tell->more[2]);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
		if (fd < 0)
			break;
		close(fd);
	}
	tell->more[3] = errno;
	tell->more[4] = statvfs("/tmp", &status) == 0 ? (long)status.f_flag : -errno;
	tell->more[5] = stat("/tmp", &folder) == 0 ? (long)folder.st_uid : -errno;
	tell->more[6] = open("/new", O_WRONLY | O_CREAT, 0600) < 0 ? errno : 0;
	tell->more[7] = folder.st_mode;
}

static void tmp_is_private_and_bounded(void **state)
{
	(void)state;
	need_sandbox();
	struct confine confine = with_grants();
	confine.tmp_bytes = 1 << 20;
	confined(&confine, fill_tmp, NULL);
	assert_true(report.more[0] > 900 * 1024 && report.more[0] <= 1 << 20);
	assert_int_equal(report.more[1], ENOSPC);
	assert_true(report.more[2] > 200 && report.more[2] <= 256);
	assert_int_equal(report.more[3], ENOSPC);
	assert_int_equal(report.more[4] & (ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_RDONLY),
		ST_NOSUID | ST_NODEV | ST_NOEXEC);
	assert_int_equal(report.more[5], CONFINED_UID);
	assert_int_equal(report.more[6], EROFS);
	assert_int_equal(report.more[7], S_IFDIR | 0700);
}

static void look_at_tmp(struct report *tell, void *argument)
{
	(void)argument;
	tell->more[0] = open("/tmp", O_RDONLY | O_DIRECTORY) < 0 ? errno : 0;
	tell->more[1] = open("/tmp/tenantd-grant-test/file", O_RDONLY) < 0 ? errno : 0;
	tell->more[2] = open("/tmp/tenantd-grant-test/file", O_WRONLY) < 0 ? errno : 0;
	tell->more[3] = rename("/tmp/tenantd-grant-test", "/tmp/x") < 0 ? errno : 0;
	tell->more[4] = open("/tmp/tenantd-grant-test.host", O_RDONLY) < 0 ? errno : 0;
}

static void grants_may_lie_in_the_private_tmp(void **state)
{
	(void)state;
	need_sandbox();
	assert_int_equal(system("rm -rf /tmp/tenantd-grant-test*"), 0);
	put_folder("/tmp/tenantd-grant-test", 0755, OWNER, GROUP);
	put("/tmp/tenantd-grant-test/file", 0644, OWNER, GROUP);
	put("/tmp/tenantd-grant-test.host", 0644, OWNER, GROUP);
	grant("/tmp/tenantd-grant-test", READ);
	struct confine confine = with_grants();
	confine.tmp_bytes = 1 << 20;
	confined(&confine, look_at_tmp, NULL);
	assert_int_equal(report.more[0] | report.more[1], 0);
	assert_int_equal(report.more[2], EROFS);
	assert_int_equal(report.more[3], EBUSY);
	assert_int_equal(report.more[4], ENOENT);
	assert_int_equal(system("rm -rf /tmp/tenantd-grant-test*"), 0);
}

static void without_tmp_there_is_none(void **state)
{
	(void)state;
	need_sandbox();
	struct confine confine = with_grants();
	confined(&confine, look_at_tmp, NULL);
	assert_int_equal(report.more[0], ENOENT);
}

int main(void)
{
	if (geteuid() != 0) {
		print_message("skipped: needs root\n");
		return 77;
	}
	const struct CMUnitTest tests[] = {
		IN_WORLD(tmp_is_private_and_bounded),
		IN_WORLD(grants_may_lie_in_the_private_tmp),
		IN_WORLD(without_tmp_there_is_none),
	};
	return cmocka_run_group_tests(tests, share_codes, NULL);
}
