/* Which paths can be granted, and whose symbolic links are followed on the way. */
#include "common/cleanup.h"
#include "sandbox/steps.h"
#include "sandbox_grant_world.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- paths that cannot be granted ---- */

static void expect_refused(const char *path, int code, const char *text)
{
	struct error error = {0};
	int result = try_grant(path, READ, &error);
	if (result != -code || !strstr(error.message, text) ||
		strncmp(error.message, path, strlen(path)) != 0)
		fail_msg("%s: %d, %s", path, result, error.message);
}

static void what_cannot_be_granted_is_named(void **state)
{
	(void)state;
	need_sandbox();
	assert_int_equal(mknod(WORLD "/pipe", S_IFIFO | 0600, 0), 0);
	expect_refused(WORLD "/missing", ENOENT, "No such file or directory");
	expect_refused(WORLD "/missing/below", ENOENT, "No such file or directory");
	expect_refused(DATA "/file/below", ENOTDIR, "Not a directory");
	expect_refused(WORLD "/pipe", EINVAL, "neither a file nor a folder");
	expect_refused("/dev/null", EINVAL, "neither a file nor a folder");
	expect_refused("/proc", EPERM, "kernel's own");
	expect_refused("/proc/self/environ", EPERM, "kernel's own");
	expect_refused("/sys/kernel", EPERM, "kernel's own");
	expect_refused("/", EPERM, "that are needed");
	expect_refused("/app", EPERM, "release");
	expect_refused("/app/node_modules", EPERM, "release");
	assert_int_equal(grant_count, 0);
}

static void links_are_followed_where_only_root_can_make_them(void **state)
{
	(void)state;
	need_sandbox();
	put_link("data", WORLD "/relative");
	put_link(WORLD "/relative", WORLD "/absolute");
	put_link("loop", WORLD "/loop");
	grant(WORLD "/absolute", READ);
	expect_refused(WORLD "/loop", ELOOP, "too many");
	/* What it resolved to once: not what the link says now. */
	assert_int_equal(unlink(WORLD "/relative"), 0);
	put_link("secret", WORLD "/relative");
	struct confine confine = with_grants();
	struct trial trial = {looks, 3, WORLD "/absolute"};
	confined(&confine, run_acts, &trial);
	assert_int_equal(codes[0] | codes[1] | codes[2], 0);
	/* Somebody else's folder, and one that everybody may write. */
	put_link("/etc", DATA "/evil");
	put_link("/etc", OPEN "/evil");
	expect_refused(DATA "/evil", ELOOP, "symbolic link to /etc");
	expect_refused(OPEN "/evil", ELOOP, "symbolic link to /etc");
	expect_refused(OPEN "/evil/ssl", ELOOP, "symbolic link to /etc");
}

/* A tenant that may write a folder of root's puts a link where another grant was. */
static void a_tenant_cannot_turn_a_grant_into_another(void **state)
{
	(void)state;
	need_sandbox();
	put_folder(WORLD "/roots", 0755, 0, 0);
	put_folder(WORLD "/roots/deep", 0755, 0, 0);
	put_link("/etc", WORLD "/roots/deep/evil");
	put_link("/etc", WORLD "/roots/evil");
	grant(WORLD "/roots/evil", READ); /* Nobody was granted to write there. */
	close(grants[--grant_count].mount);
	grant(WORLD "/roots", WRITE);
	expect_refused(WORLD "/roots/evil", ELOOP, "symbolic link");
	expect_refused(WORLD "/roots/deep/evil", ELOOP, "symbolic link");
	/* The next daemon has read no policy yet that says who could write there. */
	grant_forget();
	expect_refused(WORLD "/roots/evil", ELOOP, "symbolic link");
	expect_refused(WORLD "/roots/deep/evil", ELOOP, "symbolic link");
	put_folder(WORLD "/others", 0755, 0, 0);
	put_link("/etc", WORLD "/others/evil");
	sandbox_grant_distrust(WORLD "/others");
	expect_refused(WORLD "/others/evil", ELOOP, "symbolic link");
}

static void never_runs(struct report *tell, void *argument)
{
	(void)argument;
	tell->value = 1;
}

static void a_grant_that_vanishes_before_the_start_harms_nobody(void **state)
{
	(void)state;
	need_sandbox();
	/* By itself it is what it was. */
	grant(OPEN, READ);
	assert_int_equal(rename(OPEN, WORLD "/elsewhere"), 0);
	struct confine confine = with_grants();
	struct trial trial = {looks, 2, OPEN};
	confined(&confine, run_acts, &trial);
	assert_int_equal(codes[0] | codes[1], 0);
	close(grants[--grant_count].mount);
	/* In another grant it has no place any more, and none is made on the host. */
	used = false;
	grant(DATA, WRITE);
	grant(OUT, WRITE);
	assert_int_equal(rename(OUT, WORLD "/elsewhere-too"), 0);
	confine = with_grants();
	int status = confined_run(&confine, never_runs, NULL, &report);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 0);
	assert_int_equal(report.value, 0);
	assert_string_equal(report.error.message,
		OUT ": has no place in the tenant's root: No such file or directory");
	assert_int_equal(access(OUT, F_OK), -1);
	/* Nor does a link lead it elsewhere. */
	assert_int_equal(rename(WORLD "/elsewhere-too", OUT), 0);
	used = true;
	renew_grants();
	assert_int_equal(rename(OUT, WORLD "/elsewhere-too"), 0);
	put_link("../secret", OUT);
	confine = with_grants();
	status = confined_run(&confine, never_runs, NULL, &report);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 0);
	assert_non_null(strstr(report.error.message, OUT ": lies behind a symbolic link"));
}

/* ---- programs ---- */

static int try_program(const char *path, char *real, struct error *error)
{
	int mount = sandbox_program_mount(path, TENANT, real, error);
	if (mount >= 0)
		close(mount);
	return mount < 0 ? mount : 0;
}

static void programs_are_found_as_grants_are(void **state)
{
	(void)state;
	need_sandbox();
	char real[PATH_MAX];
	struct error error = {0};
	put_folder(WORLD "/bin", 0755, 0, 0);
	put(WORLD "/bin/tool-1", 0755, 0, 0);
	put_link("tool-1", WORLD "/bin/tool");
	put_link(WORLD "/bin/tool", WORLD "/link");
	assert_int_equal(try_program(WORLD "/link", real, &error), 0);
	assert_string_equal(real, WORLD "/bin/tool-1");
	put_link(WORLD "/bin/tool-1", OPEN "/evil");
	put_link(WORLD "/bin", DATA "/evil");
	assert_int_equal(try_program(OPEN "/evil", real, &error), -ELOOP);
	/* Also where root follows it into a folder of root's, that another tenant was granted. */
	sandbox_grant_distrust(WORLD "/bin");
	assert_int_equal(try_program(WORLD "/link", real, &error), -ELOOP);
	assert_int_equal(try_program(WORLD "/bin/tool-1", real, &error), 0);
	assert_int_equal(try_program("/proc/self/environ", real, &error), -EPERM);
	assert_int_equal(try_program("/dev/null", real, &error), -EINVAL);
}

static void what_the_tenants_user_cannot_reach_is_no_program(void **state)
{
	(void)state;
	need_sandbox();
	char real[PATH_MAX];
	struct error error = {0};
	/* DATA is closed to others. */
	assert_int_equal(try_program(DATA "/program", real, &error), -EACCES);
	assert_int_equal(try_program(DATA "/missing", real, &error), -ENOENT);
	assert_int_equal(try_program(DATA "/out", real, &error), -EACCES);
	put_link(DATA "/program", WORLD "/link");
	assert_int_equal(try_program(WORLD "/link", real, &error), -EACCES);
	assert_int_equal(try_program(OPEN "/program", real, &error), 0);
}

static void a_programs_mount_is_read_only_and_may_run(void **state)
{
	(void)state;
	need_sandbox();
	static const char *const paths[] = {OPEN, OPEN "/program"};
	struct statvfs status;
	char real[PATH_MAX];
	struct error error = {0};
	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
		int mount = sandbox_program_mount(paths[i], TENANT, real, &error);
		assert_true(mount >= 0);
		assert_int_equal(fstatvfs(mount, &status), 0);
		assert_int_equal(status.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC),
			ST_RDONLY | ST_NOSUID | ST_NODEV);
		close(mount);
	}
}

int main(void)
{
	if (geteuid() != 0) {
		print_message("skipped: needs root\n");
		return 77;
	}
	const struct CMUnitTest tests[] = {
		IN_WORLD(what_cannot_be_granted_is_named),
		IN_WORLD(links_are_followed_where_only_root_can_make_them),
		IN_WORLD(a_tenant_cannot_turn_a_grant_into_another),
		IN_WORLD(a_grant_that_vanishes_before_the_start_harms_nobody),
		IN_WORLD(programs_are_found_as_grants_are),
		IN_WORLD(what_the_tenants_user_cannot_reach_is_no_program),
		IN_WORLD(a_programs_mount_is_read_only_and_may_run),
	};
	return cmocka_run_group_tests(tests, share_codes, NULL);
}
