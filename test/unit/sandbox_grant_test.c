/* Files of the host that a tenant is granted: what a grant gives and what it does not, with
 * all walls and with one of them taken away. */
#include "common/cleanup.h"
#include "sandbox/steps.h"
#include "sandbox_grant_world.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- acts ---- */

ACT(read_file, open(in(folder, "file"), O_RDONLY))
ACT(list_folder, open(folder, O_RDONLY | O_DIRECTORY))
ACT(read_below, open(in(folder, "out/inside"), O_RDONLY))
ACT(open_to_write, open(in(folder, "file"), O_WRONLY))
ACT(open_to_append, open(in(folder, "file"), O_RDWR | O_APPEND))
ACT(truncate_by_open, open(in(folder, "file"), O_RDONLY | O_TRUNC))
ACT(create, open(in(folder, "new"), O_WRONLY | O_CREAT | O_EXCL, 0644))
ACT(create_to_read, open(in(folder, "new2"), O_RDONLY | O_CREAT | O_EXCL, 0644))
ACT(create_unnamed, open(folder, O_TMPFILE | O_RDWR, 0600))
ACT(make_folder, mkdir(in(folder, "made"), 0755))
ACT(make_link, symlink("/etc/passwd", in(folder, "made-link")))
ACT(make_name, link(in(folder, "file"), in(folder, "hard")))
ACT(make_name_below, link(in(folder, "file"), in(folder, "out/hard")))
ACT(move, rename(in(folder, "other"), in(folder, "moved")))
ACT(move_below, rename(in(folder, "moved"), in(folder, "out/moved")))
ACT(change_times, utimensat(AT_FDCWD, in(folder, "file"), NULL, 0))
ACT(change_mode, chmod(in(folder, "file"), 0700))
ACT(take_away, unlink(in(folder, "out/inside")))

static const struct act acts[] = {
	{"read a file", read_file, true},
	{"list a folder", list_folder, true},
	{"read a file below", read_below, true},
	{"open for writing", open_to_write, false},
	{"open for appending", open_to_append, false},
	{"O_RDONLY|O_TRUNC", truncate_by_open, false},
	{"O_CREAT", create, false},
	{"O_RDONLY|O_CREAT", create_to_read, false},
	{"O_TMPFILE", create_unnamed, false},
	{"mkdir", make_folder, false},
	{"symlink", make_link, false},
	{"link", make_name, false},
	{"link into another folder", make_name_below, false},
	{"rename", move, false},
	{"rename into another folder", move_below, false},
	{"utimensat", change_times, false},
	{"chmod", change_mode, false},
	{"unlink", take_away, false},
};
#define ACTS ARRAY_LENGTH(acts)

/* What no grant of FOLDER gives. */
ACT(follow_absolute, open(in(folder, "absolute"), O_RDONLY))
ACT(follow_relative, open(in(folder, "relative"), O_RDONLY))
ACT(follow_chain, open(in(folder, "chain1"), O_RDONLY))
ACT(follow_to_passwd, open(in(folder, "passwd"), O_RDONLY))
ACT(walk_up, open(in(folder, "../secret/file"), O_RDONLY))
ACT(walk_up_and_down, open(in(folder, "out/../../secret/file"), O_RDONLY))
ACT(list_parent, open(in(folder, ".."), O_RDONLY | O_DIRECTORY))
ACT(list_root, open("/", O_RDONLY | O_DIRECTORY))
ACT(create_beside, open(in(folder, "../beside"), O_WRONLY | O_CREAT, 0600))
ACT(prefix, open(OPEN "-more/file", O_RDONLY))
ACT(move_out, rename(in(folder, "file"), in(folder, "../moved")))
ACT(move_from_outside, rename(in(folder, "../open-more/file"), in(folder, "moved-in")))
ACT(name_outside, link(in(folder, "file"), in(folder, "../hard")))
ACT(name_from_outside, link(in(folder, "../secret/file"), in(folder, "hard-in")))
ACT(write_release, open("/app/file", O_WRONLY))
ACT(create_in_release, open("/app/new", O_WRONLY | O_CREAT, 0600))
ACT(make_device, mknod(in(folder, "device"), S_IFCHR | 0666, 0x103))
ACT(make_pipe, mknod(in(folder, "pipe"), S_IFIFO | 0666, 0))
ACT(make_socket, mknod(in(folder, "socket"), S_IFSOCK | 0666, 0))
ACT(run, (execl(in(folder, "program"), "x", NULL), -1))

static const struct act never[] = {
	{"follow an absolute link", follow_absolute, false},
	{"follow a relative link", follow_relative, false},
	{"follow a chain of links", follow_chain, false},
	{"follow a link to the host", follow_to_passwd, false},
	{"../", walk_up, false},
	{"out/../../", walk_up_and_down, false},
	{"list the parent", list_parent, false},
	{"list /", list_root, false},
	{"create beside", create_beside, false},
	{"a path that begins the same", prefix, false},
	{"rename to the outside", move_out, false},
	{"rename from the outside", move_from_outside, false},
	{"link to the outside", name_outside, false},
	{"link from the outside", name_from_outside, false},
	{"write to /app", write_release, false},
	{"create in /app", create_in_release, false},
	{"make a device", make_device, false},
	{"make a pipe", make_pipe, false},
	{"make a socket", make_socket, false},
	{"run a program", run, false},
};
#define NEVER ARRAY_LENGTH(never)

/* Landlock alone: the host's own root, every file before it, the tenant's ids. And no
 * seccomp either, so that nothing else can be what stops it. */
static struct confine landlock_alone(void)
{
	struct confine confine = with_grants();
	confine.prepare = confine.seal = false;
	confine.skip = SANDBOX_STEP_MOUNTS | SANDBOX_STEP_RELEASE | SANDBOX_STEP_FOLDER;
	return confine;
}

static void expect_acts(const struct confine *confine, const char *folder, bool writes)
{
	struct trial trial = {acts, ACTS, folder};
	confined(confine, run_acts, &trial);
	for (size_t i = 0; i < ACTS; i++) {
		const bool allowed = writes || acts[i].reads;
		if (allowed ? codes[i] != 0 : !is_wall(codes[i]))
			fail_msg("%s: %s", acts[i].name,
				codes[i] ? strerror(codes[i]) : "was not stopped");
	}
}

static void expect_never(const struct confine *confine, const char *folder, size_t first)
{
	struct trial trial = {never + first, NEVER - first, folder};
	confined(confine, run_acts, &trial);
	for (size_t i = 0; i < NEVER - first; i++)
		if (!is_wall(codes[i]))
			fail_msg("%s: %s", never[first + i].name,
				codes[i] ? strerror(codes[i]) : "was not stopped");
}

/* ---- what a grant gives ---- */

static void a_read_grant_can_be_read_and_nothing_else(void **state)
{
	(void)state;
	need_sandbox();
	grant(DATA, READ);
	struct confine confine = with_grants();
	expect_acts(&confine, DATA, false);
	expect_never(&confine, DATA, 0);
	confine = mounts_alone();
	expect_acts(&confine, DATA, false);
}

static void a_write_grant_can_be_read_and_written(void **state)
{
	(void)state;
	need_sandbox();
	grant(DATA, WRITE);
	struct confine confine = with_grants();
	expect_acts(&confine, DATA, true);
	expect_never(&confine, DATA, 0);
}

static void without_landlock_the_mounts_hold(void **state)
{
	(void)state;
	need_sandbox();
	grant(OPEN, READ);
	struct confine confine = mounts_alone();
	expect_acts(&confine, OPEN, false);
	end_world(NULL);
	make_world(NULL);
	grant(OPEN, WRITE);
	confine = mounts_alone();
	expect_acts(&confine, OPEN, true);
	/* But for reading the root, which is empty but for where the grant is. */
	static const size_t lists[] = {6, 7};
	struct trial trial = {never, NEVER, OPEN};
	confined(&confine, run_acts, &trial);
	for (size_t i = 0; i < NEVER; i++)
		if (i != lists[0] && i != lists[1] && !is_wall(codes[i]))
			fail_msg("%s: %s", never[i].name, strerror(codes[i]));
}

static void without_mounts_landlock_holds(void **state)
{
	(void)state;
	need_sandbox();
	if (sandbox_landlock_abi() < 3) {
		print_message("skipped: needs Landlock that knows truncation (Linux 6.2)\n");
		skip();
	}
	grant(OPEN, READ);
	struct confine confine = landlock_alone();
	struct trial trial = {acts, ACTS, OPEN};
	confined(&confine, run_acts, &trial);
	for (size_t i = 0; i < ACTS; i++) {
		/* Times and modes are none of Landlock's rights: there the mount stands alone. */
		const bool blind = acts[i].act == change_times || acts[i].act == change_mode;
		if (!blind && (acts[i].reads ? codes[i] != 0 : !is_wall(codes[i])))
			fail_msg("%s: %s", acts[i].name, strerror(codes[i]));
	}
	expect_never(&confine, OPEN, 0);
	end_world(NULL);
	make_world(NULL);
	grant(OPEN, WRITE);
	confine = landlock_alone();
	expect_never(&confine, OPEN, 0);
	confined(&confine, run_acts, &trial);
	for (size_t i = 0; i < ACTS; i++)
		if (codes[i] != 0 && acts[i].act != change_mode)
			fail_msg("%s: %s", acts[i].name, strerror(codes[i]));
}

static void grants_in_grants_keep_their_own_rights(void **state)
{
	(void)state;
	need_sandbox();
	grant(DATA, READ);
	grant(OUT, WRITE);
	for (int alone = 0; alone < 2; alone++) {
		struct confine confine = alone ? mounts_alone() : with_grants();
		struct trial trial = {acts, ACTS, DATA};
		confined(&confine, run_acts, &trial);
		for (size_t i = 0; i < ACTS; i++) {
			/* Of `out` it is the entry that is removed, and into it that is linked
			 * or moved: the first is granted, the others come from outside. */
			const bool allowed = acts[i].reads || acts[i].act == take_away;
			if (allowed ? codes[i] != 0 : !is_wall(codes[i]))
				fail_msg("%s: %s", acts[i].name, strerror(codes[i]));
		}
		trial = (struct trial){(const struct act[]){{"create", create, false},
					       {"mkdir", make_folder, false}},
			2, OUT};
		confined(&confine, run_acts, &trial);
		assert_int_equal(codes[0] | codes[1], 0);
		end_world(NULL);
		make_world(NULL);
		grant(DATA, READ);
		grant(OUT, WRITE);
	}
}

ACT(read_itself, open(folder, O_RDONLY))
ACT(write_itself, open(folder, O_WRONLY | O_TRUNC))
ACT(remove_itself, unlink(folder))
ACT(move_itself, rename(folder, DATA "/moved"))
ACT(read_sibling, open(DATA "/other", O_RDONLY))

static void a_granted_file_is_that_file_alone(void **state)
{
	(void)state;
	need_sandbox();
	static const struct act of_file[] = {{"read", read_itself, true},
		{"write", write_itself, false}, {"unlink", remove_itself, false},
		{"rename", move_itself, false}, {"read its sibling", read_sibling, false}};
	for (unsigned flags = READ; flags <= WRITE; flags++)
		for (int wall = 0; wall < 2; wall++) {
			grant(DATA "/file", flags);
			struct confine confine = wall ? mounts_alone() : with_grants();
			struct trial trial = {of_file, ARRAY_LENGTH(of_file), DATA "/file"};
			confined(&confine, run_acts, &trial);
			assert_int_equal(codes[0], 0);
			assert_int_equal(codes[1] == 0, flags == WRITE);
			for (size_t i = 2; i < ARRAY_LENGTH(of_file); i++)
				assert_true(is_wall(codes[i]) || codes[i] == EBUSY);
			end_world(NULL);
			make_world(NULL);
		}
}

static void tell_mount(struct report *tell, void *argument)
{
	struct statvfs status;
	tell->value = statvfs(argument, &status) == 0 ? (long)status.f_flag : -errno;
}

static void grants_are_inert_mounts_also_where_somebody_forgot(void **state)
{
	(void)state;
	need_sandbox();
	const long inert = ST_NOSUID | ST_NODEV | ST_NOEXEC;
	for (unsigned flags = READ; flags <= WRITE; flags++) {
		grant(DATA, flags);
		struct confine confine = with_grants();
		confined(&confine, tell_mount, (void *)DATA);
		assert_int_equal(report.value & (inert | ST_RDONLY),
			inert | (flags == WRITE ? 0 : ST_RDONLY));
		close(grants[--grant_count].mount);
		used = false;
		int careless = (int)syscall(
			SYS_open_tree, AT_FDCWD, OPEN, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		assert_true(careless >= 0);
		grants[grant_count++] = (struct sandbox_grant){
			.path = OPEN, .mount = careless, .flags = flags | SANDBOX_GRANT_FOLDER};
		confine = with_grants();
		confined(&confine, tell_mount, (void *)OPEN);
		assert_int_equal(report.value & (inert | ST_RDONLY),
			inert | (flags == WRITE ? 0 : ST_RDONLY));
		close(grants[--grant_count].mount);
	}
}

/* ---- the check ---- */

static void check_itself(struct report *tell, void *argument)
{
	(void)argument;
	tell->value = sandbox_check(confined_enter(), &tell->error);
}

static void check_without_grants(struct report *tell, void *argument)
{
	(void)argument;
	struct sandbox_enter less = *confined_enter();
	less.grant_count = 0;
	tell->value = sandbox_check(&less, &tell->error);
}

static void the_check_allows_for_grants_and_for_nothing_else(void **state)
{
	(void)state;
	need_sandbox();
	put(WORLD "/passwd", 0644, 0, 0);
	static const char *const paths[] = {"/etc", "/etc/passwd", "/usr/bin", WORLD};
	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++)
		for (unsigned flags = READ; flags <= WRITE; flags++) {
			grant(paths[i], i < 3 ? READ : flags);
			struct confine confine = with_grants();
			confine.file_calls = flags ? SANDBOX_FILES_WRITE : SANDBOX_FILES_READ;
			confine.tmp_bytes = flags ? 1 << 20 : 0;
			confined(&confine, check_itself, NULL);
			if (report.value < 0)
				fail_msg("%s: %s", paths[i], report.error.message);
			close(grants[--grant_count].mount);
		}
	/* And what was not granted is found: here the check is told of less. */
	grant("/etc", READ);
	struct confine confine = with_grants();
	confined(&confine, check_without_grants, NULL);
	assert_int_equal(report.value, -EPERM);
	assert_non_null(strstr(report.error.message, "opening a file of the host"));
}

int main(void)
{
	if (geteuid() != 0) {
		print_message("skipped: needs root\n");
		return 77;
	}
	const struct CMUnitTest tests[] = {
		IN_WORLD(a_read_grant_can_be_read_and_nothing_else),
		IN_WORLD(a_write_grant_can_be_read_and_written),
		IN_WORLD(without_landlock_the_mounts_hold),
		IN_WORLD(without_mounts_landlock_holds),
		IN_WORLD(grants_in_grants_keep_their_own_rights),
		IN_WORLD(a_granted_file_is_that_file_alone),
		IN_WORLD(grants_are_inert_mounts_also_where_somebody_forgot),
		IN_WORLD(the_check_allows_for_grants_and_for_nothing_else),
	};
	return cmocka_run_group_tests(tests, share_codes, NULL);
}
