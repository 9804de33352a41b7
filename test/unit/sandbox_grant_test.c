/* Files of the host that a tenant is granted: each property by itself, with all walls and
 * with one of them taken away. Needs root, and a /srv that only root may write. */
#include "common/cleanup.h"
#include "common/clock.h"
#include "sandbox/steps.h"
#include "sandbox_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <cmocka.h>

#define WORLD "/srv/tenantd-grant-test"
#define DATA WORLD "/data" /* somebody's, closed to others */
#define OUT DATA "/out"
#define OPEN WORLD "/open" /* open to everybody, so that no mode but a wall is in the way */
#define OWNER 1234
#define GROUP 1235
#define TENANT (CONFINED_UID_BASE + CONFINED_UID)
#define READ 0u
#define WRITE ((unsigned)SANDBOX_GRANT_WRITE)
#define GRANTS_MAX 4

static struct report report;
static struct sandbox_grant grants[GRANTS_MAX];
static size_t grant_count;
static char warning[256];
static bool used; /* the grants' mounts are somewhere */

static void need_sandbox(void)
{
	const char *why = confined_unavailable();
	if (why) {
		print_message("skipped: %s\n", why);
		skip();
	}
}

/* ---- the world ---- */

static void put(const char *path, mode_t mode, uid_t user, gid_t group)
{
	cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && write(fd, "hello", 5) == 5);
	assert_int_equal(fchown(fd, user, group) | fchmod(fd, mode), 0);
}

static void put_folder(const char *path, mode_t mode, uid_t user, gid_t group)
{
	assert_int_equal(mkdir(path, 0700) | chown(path, user, group) | chmod(path, mode), 0);
}

static void put_link(const char *target, const char *path)
{
	assert_int_equal(symlink(target, path), 0);
}

static int end_world(void **state)
{
	(void)state;
	while (grant_count > 0)
		close(grants[--grant_count].mount);
	used = false;
	return system("rm -rf " WORLD) == 0 ? 0 : -1;
}

/* The same things in a folder that is somebody's and in one that is everybody's. */
static void fill(const char *folder, mode_t mode, mode_t folder_mode, uid_t user, gid_t group)
{
	static const char *const files[] = {"file", "other", "program"};
	char path[256];
	put_folder(folder, folder_mode, user, group);
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
		snprintf(path, sizeof path, "%s/%s", folder, files[i]);
		put(path, mode, user, group);
	}
	snprintf(path, sizeof path, "%s/out", folder);
	put_folder(path, folder_mode, user, group);
	snprintf(path, sizeof path, "%s/out/inside", folder);
	put(path, mode, user, group);
	static const char *const links[][2] = {{WORLD "/secret/file", "absolute"},
		{"../secret/file", "relative"}, {"chain2", "chain1"},
		{"./out/../../secret/../secret/file", "chain2"}, {"/etc/passwd", "passwd"}};
	for (size_t i = 0; i < ARRAY_LENGTH(links); i++) {
		snprintf(path, sizeof path, "%s/%s", folder, links[i][1]);
		put_link(links[i][0], path);
	}
}

static int make_world(void **state)
{
	umask(0);
	(void)end_world(state);
	put_folder(WORLD, 0755, 0, 0);
	put_folder(WORLD "/secret", 0755, 0, 0);
	put(WORLD "/secret/file", 0644, 0, 0);
	fill(DATA, 0700, 0700, OWNER, GROUP);
	fill(OPEN, 0777, 0777, 0, 0);
	put_folder(OPEN "-more", 0777, 0, 0);
	put(OPEN "-more/file", 0666, 0, 0);
	put(DATA "/roots", 0600, 0, 0);
	put(DATA "/everybodys", 0644, 0, 0);
	return 0;
}

static int try_grant(const char *path, unsigned flags, struct error *error)
{
	struct sandbox_grant *grant = &grants[grant_count];
	*grant = (struct sandbox_grant){.path = path, .mount = -1, .flags = flags};
	int result = sandbox_grant_mount(grant, TENANT, warning, error);
	if (result == 0)
		grant_count++;
	used = used && grant_count > 1;
	return result;
}

static void grant(const char *path, unsigned flags)
{
	struct error error = {0};
	if (try_grant(path, flags, &error) < 0)
		fail_msg("%s", error.message);
	if (warning[0])
		print_message("%s\n", warning);
}

/* ---- acts ---- */

/* Each returns what a system call does: -1 and errno, or anything else. */
struct act {
	const char *name;
	long (*act)(const char *folder);
	bool reads; /* allowed where only reading is granted */
};

static const char *in(const char *folder, const char *name)
{
	static char paths[4][512];
	static unsigned next;
	char *path = paths[next++ % 4];
	snprintf(path, sizeof paths[0], "%s/%s", folder, name);
	return path;
}

#define ACT(function, ...)                                                                         \
	static long function(const char *folder)                                                   \
	{                                                                                          \
		(void)folder;                                                                      \
		return __VA_ARGS__;                                                                \
	}
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

static int *codes; /* errno of each act, shared with the confined process */

struct trial {
	const struct act *acts;
	size_t count;
	const char *folder;
};

static void run_acts(struct report *tell, void *argument)
{
	const struct trial *trial = argument;
	(void)tell;
	for (size_t i = 0; i < trial->count; i++) {
		errno = 0;
		codes[i] = trial->acts[i].act(trial->folder) < 0 ? errno : 0;
	}
}

static bool is_wall(int code)
{
	return code == EACCES || code == EPERM || code == EROFS || code == ENOENT || code == EXDEV;
}

static struct confine with_grants(void)
{
	return (struct confine){
		.prepare = true,
		.enter = true,
		.seal = true,
		.file_calls = SANDBOX_FILES_WRITE,
		.grants = grants,
		.grant_count = grant_count,
	};
}

/* Landlock alone: the host's own root, every file before it, the tenant's ids. And no
 * seccomp either, so that nothing else can be what stops it. */
static struct confine landlock_alone(void)
{
	struct confine confine = with_grants();
	confine.prepare = confine.seal = false;
	confine.skip = SANDBOX_STEP_MOUNTS | SANDBOX_STEP_RELEASE | SANDBOX_STEP_FOLDER;
	return confine;
}

static struct confine mounts_alone(void)
{
	struct confine confine = with_grants();
	confine.skip = SANDBOX_STEP_LANDLOCK;
	return confine;
}

/* A mount can be put in place once: after that it is opened again. */
static void renew_grants(void)
{
	struct error error = {0};
	for (size_t i = 0; used && i < grant_count; i++) {
		close(grants[i].mount);
		if (sandbox_grant_mount(&grants[i], TENANT, warning, &error) < 0)
			fail_msg("%s", error.message);
	}
	used = true;
}

static void confined(const struct confine *confine, confined_body *body, void *argument)
{
	renew_grants();
	int status = confined_run(confine, body, argument, &report);
	if (status != 0 || !report.set)
		fail_msg("status %x: %s", status, report.error.message);
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
	struct trial trial = {acts, 4, WORLD "/plain"};
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
	struct trial trial = {acts, 3, WORLD "/absolute"};
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
	struct trial trial = {acts, 2, OPEN};
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

static int share_codes(void **state)
{
	(void)state;
	codes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return codes == MAP_FAILED ? -1 : 0;
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, make_world, end_world)

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
		IN_WORLD(what_a_tenant_makes_is_the_owners),
		IN_WORLD(many_owners_are_mapped_with_few_namespaces),
		IN_WORLD(a_tenant_cannot_leave_a_setuid_file_on_the_host),
		IN_WORLD(what_cannot_be_granted_is_named),
		IN_WORLD(links_are_followed_where_only_root_can_make_them),
		IN_WORLD(a_tenant_cannot_turn_a_grant_into_another),
		IN_WORLD(a_grant_that_vanishes_before_the_start_harms_nobody),
		IN_WORLD(tmp_is_private_and_bounded),
		IN_WORLD(grants_may_lie_in_the_private_tmp),
		IN_WORLD(without_tmp_there_is_none),
		IN_WORLD(the_check_allows_for_grants_and_for_nothing_else),
		IN_WORLD(a_file_system_without_id_maps_is_reported),
	};
	return cmocka_run_group_tests(tests, share_codes, NULL);
}
