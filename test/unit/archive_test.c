/* Archives of releases: how tenantctl makes them, and what the daemon takes from
 * archives that nobody trusts. The unpacking tests need root. */
#include "deploy/archive.h"
#include "deploy/unpack.h"
#include "deploy/unpack_private.h"

#include "common/cleanup.h"
#include "common/file.h"

#include <setjmp.h>
#include <stdarg.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char base[64];   /* of one test */
static char state[96];  /* store */
static char source[96]; /* what is archived */
static struct store *store;

static int set_up(void **unused)
{
	(void)unused;
	snprintf(base, sizeof base, "/tmp/archive_test.XXXXXX");
	if (!mkdtemp(base))
		return -1;
	snprintf(state, sizeof state, "%s/state", base);
	snprintf(source, sizeof source, "%s/app", base);
	return mkdir(source, 0755) < 0 ? -1 : store_open(state, &store, NULL);
}

static int tear_down(void **unused)
{
	(void)unused;
	store = store_close(store);
	char command[128];
	snprintf(command, sizeof command, "rm -rf %s", base);
	return system(command);
}

/* ---- making ---- */

static const char *in_source(const char *name)
{
	static char path[4][512];
	static unsigned next;
	char *result = path[next++ % 4];
	snprintf(result, sizeof path[0], "%s/%s", source, name);
	return result;
}

static void put(const char *name, const char *text)
{
	int fd = open(in_source(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static void put_folder(const char *name)
{
	assert_int_equal(mkdir(in_source(name), 0700), 0);
}

static struct archive_made make(const char *path)
{
	struct archive_made made;
	struct error error = {0};
	if (archive_make(path, NULL, &made, &error) < 0)
		fail_msg("%s", error.message);
	return made;
}

static void assert_refused(const char *path, const char *expected)
{
	struct archive_made made;
	struct error error = {0};
	if (archive_make(path, NULL, &made, &error) >= 0)
		fail_msg("not refused: %s", expected);
	if (!strstr(error.message, expected))
		fail_msg("expected \"%s\", got \"%s\"", expected, error.message);
}

static size_t read_fd(int fd, char *data, size_t size)
{
	ssize_t got = pread(fd, data, size, 0);
	assert_true(got >= 0);
	return (size_t)got;
}

static void the_same_files_give_the_same_bytes(void **unused)
{
	(void)unused;
	static char first[65536], second[65536];
	put("main.js", "main");
	put("b.js", "b");
	put_folder("lib");
	put("lib/a.js", "a");
	struct archive_made one = make(source);
	/* Another order on the disk, other times, other modes. */
	assert_int_equal(unlink(in_source("main.js")), 0);
	put("main.js", "main");
	assert_int_equal(chmod(in_source("main.js"), 0600), 0);
	const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
	assert_int_equal(utimensat(AT_FDCWD, in_source("b.js"), times, 0), 0);
	struct archive_made two = make(source);
	size_t length = read_fd(one.fd, first, sizeof first);
	assert_true(length > 0 && length < sizeof first);
	assert_int_equal(read_fd(two.fd, second, sizeof second), length);
	assert_memory_equal(first, second, length);
	assert_string_equal(one.entry, "main.js");
	assert_int_equal(one.entries, 4);
	assert_int_equal(one.bytes, 6);
	close(one.fd);
	close(two.fd);
}

static void folders_that_cannot_be_a_release_are_refused(void **unused)
{
	(void)unused;
	assert_refused(in_source("nothing"), "nothing: No such file or directory");
	assert_refused("/dev/null", "/dev/null is neither a file nor a folder");
	assert_refused(source, "which module to start with?");
	put("index.ts", "");
	assert_refused(source, "index.ts is TypeScript, which tenantctl turns into JavaScript");
	put("tenant.json", "{\"entry\": \"gone.js\"}");
	assert_refused(source, "gone.js");
	put("tenant.json", "{\"entry\": \"index.ts\"}");
	assert_refused(source, "is TypeScript, which tenantctl turns into JavaScript");
	put("tenant.json", "{\n \"entry\": }");
	assert_refused(source, "/app/tenant.json:2:");
	assert_int_equal(unlink(in_source("tenant.json")), 0);
	put("package.json", "{\"main\": \"./lib.json\"}");
	put("lib.json", "");
	assert_refused(source, "lib.json is data, not a program");
	put("package.json", "{");
	assert_refused(source, "/app/package.json:1:");
	put("package.json", "{}");
	put("main.js", "");
	assert_int_equal(symlink("/etc/passwd", in_source("link.js")), 0);
	assert_refused(source, "/app/link.js is a symbolic link");
	assert_int_equal(unlink(in_source("link.js")), 0);
	assert_int_equal(mkfifo(in_source("pipe"), 0600), 0);
	assert_refused(source, "/app/pipe is neither a file nor a folder");
	assert_int_equal(unlink(in_source("pipe")), 0);
	put("bad\x1b[31m.js", "");
	assert_refused(source, "bad\\x1b[31m.js: the name must be UTF-8");
}

static void bounds_hold_when_making(void **unused)
{
	(void)unused;
	put("main.js", "");
	assert_int_equal(truncate(in_source("main.js"), (off_t)DEPLOY_BYTES_MAX + 1), 0);
	assert_refused(source, "more than 256 MiB");
	assert_refused(in_source("main.js"), "more than 256 MiB");
	put("main.js", "");
	char path[256] = "d";
	for (int i = 0; i < DEPLOY_DEPTH_MAX; i++) {
		put_folder(path);
		strcat(path, "/d");
	}
	put_folder(path);
	assert_refused(source, "nested too deeply");
}

static void git_and_command_links_are_left_out(void **unused)
{
	(void)unused;
	put("main.js", "");
	put_folder(".git");
	put(".git/config", "");
	put_folder("node_modules");
	put_folder("node_modules/.bin");
	assert_int_equal(symlink("../x/cli.js", in_source("node_modules/.bin/x")), 0);
	put_folder("node_modules/x");
	put("node_modules/x/index.js", "");
	struct archive_made made = make(source);
	/* main.js, node_modules, node_modules/x, node_modules/x/index.js */
	assert_int_equal(made.entries, 4);
	close(made.fd);
}

static void one_file_is_a_release(void **unused)
{
	(void)unused;
	put("shop.mjs", "x");
	struct archive_made made = make(in_source("shop.mjs"));
	assert_string_equal(made.entry, "shop.mjs");
	assert_int_equal(made.entries, 2);
	close(made.fd);
	put("data.json", "{}");
	assert_refused(in_source("data.json"), "data.json is data, not a program");
	put("a.ts", "");
	assert_refused(
		in_source("a.ts"), "a.ts is TypeScript, which tenantctl turns into JavaScript");
	put("a.txt", "");
	assert_refused(in_source("a.txt"), "its name must end with .js, .mjs or .cjs");
}

/* ---- unpacking ---- */

static int count_in(const char *name)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", state, name);
	cleanup_closedir DIR *dir = opendir(path);
	assert_non_null(dir);
	int count = 0;
	while (readdir(dir))
		count++;
	return count - 2;
}

static int unpack(int fd, bool ephemeral, struct unpack_result *ret, struct error *error)
{
	struct unpack unpack;
	struct unpack_options options = {.ephemeral = ephemeral};
	int result = unpack_start(store, fd, &options, &unpack, error);
	if (result < 0)
		return result;
	struct pollfd watch = {.fd = unpack.result_fd, .events = POLLIN};
	assert_int_equal(poll(&watch, 1, 20000), 1);
	const int staged = count_in("staging");
	result = unpack_finish(&unpack, ret, error);
	/* 20000 files are not for the daemon's loop to remove. */
	if (result < 0)
		assert_int_equal(staged, 0);
	return result;
}

static void assert_nothing_left(void)
{
	assert_int_equal(count_in("staging"), 0);
	assert_int_equal(count_in("releases"), 0);
}

static void a_folder_survives_the_way_into_the_store(void **unused)
{
	(void)unused;
	/* In NFC and in NFD these are two names, and both are to stay what they are. */
	put("main.js", "x");
	put("caf\xc3\xa9.js", "nfc");
	put("cafe\xcc\x81.js", "nfd");
	put_folder("empty");
	put_folder("a");
	put_folder("a/b");
	put("a/b/c.js", "c");
	struct archive_made made = make(source);
	struct unpack_result first, second;
	struct error error = {0};
	if (unpack(made.fd, false, &first, &error) < 0)
		fail_msg("%s", error.message);
	assert_int_equal(first.entries, 7);
	assert_int_equal(first.bytes, 8);
	assert_int_equal(unpack(made.fd, false, &second, NULL), 0);
	assert_string_equal(first.release, second.release);
	assert_int_equal(count_in("releases"), 1);
	assert_int_equal(count_in("staging"), 0);
	assert_int_equal(store_verify(store, first.release, NULL), 0);

	cleanup_close int dir = store_release_open(store, first.release, NULL);
	cleanup_free char *text = NULL, *nfd = NULL;
	assert_int_equal(file_read(dir, "a/b/c.js", 100, &text, NULL, NULL), 0);
	assert_string_equal(text, "c");
	assert_int_equal(file_read(dir, "cafe\xcc\x81.js", 100, &nfd, NULL, NULL), 0);
	assert_string_equal(nfd, "nfd");
	struct stat status;
	assert_int_equal(fstatat(dir, "empty", &status, 0), 0);
	assert_int_equal(status.st_uid, 0);
	close(made.fd);
}

static void a_run_needs_no_release(void **unused)
{
	(void)unused;
	put("main.js", "x");
	struct archive_made made = make(source);
	struct unpack_result result;
	assert_int_equal(unpack(made.fd, true, &result, NULL), 0);
	assert_string_equal(result.release, "");
	struct stat status;
	assert_int_equal(fstat(result.staging.fd, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0555);
	assert_int_equal(fstatat(result.staging.fd, "main.js", &status, 0), 0);
	assert_int_equal(count_in("releases"), 0);
	store_discard(store, &result.staging);
	assert_nothing_left();
	close(made.fd);
}

struct member {
	const char *name;
	mode_t type;
	mode_t mode;
	const char *target; /* of links */
	const char *content;
	bool hard;
};

static struct archive *tar_open(int *ret_fd, bool zstd)
{
	struct archive *tar = archive_write_new();
	*ret_fd = memfd_create("tar", MFD_CLOEXEC);
	assert_true(*ret_fd >= 0);
	archive_write_set_format_pax_restricted(tar);
	if (zstd)
		assert_int_equal(archive_write_add_filter_zstd(tar), ARCHIVE_OK);
	assert_int_equal(archive_write_open_fd(tar, *ret_fd), ARCHIVE_OK);
	return tar;
}

static void tar_add(struct archive *tar, const struct member *member)
{
	struct archive_entry *entry = archive_entry_new();
	archive_entry_set_pathname(entry, member->name);
	archive_entry_set_filetype(entry, member->type ? member->type : AE_IFREG);
	archive_entry_set_perm(entry, member->mode ? member->mode : 0644);
	size_t length = member->content ? strlen(member->content) : 0;
	archive_entry_set_size(entry, (int64_t)length);
	if (member->target && member->hard)
		archive_entry_set_hardlink(entry, member->target);
	else if (member->target)
		archive_entry_set_symlink(entry, member->target);
	/* A name that is not UTF-8 is a warning here. */
	assert_true(archive_write_header(tar, entry) >= ARCHIVE_WARN);
	if (length)
		assert_int_equal(archive_write_data(tar, member->content, length), length);
	archive_entry_free(entry);
}

static void assert_unpack_refused(int fd, int code, const char *expected)
{
	struct unpack_result result;
	struct error error = {0};
	int got = unpack(fd, false, &result, &error);
	close(fd);
	if (got != code || !strstr(error.message, expected))
		fail_msg("expected %d \"%s\", got %d \"%s\"", code, expected, got, error.message);
	assert_nothing_left();
}

static void hostile_members_are_refused(void **unused)
{
	(void)unused;
	static const struct {
		struct member members[3];
		const char *expected;
	} cases[] = {
		{{{"../evil.js"}}, "../evil.js: a path with `.` or `..`"},
		{{{"a/../../evil.js"}}, "a path with `.` or `..`"},
		{{{"/etc/cron.d/evil"}}, "/etc/cron.d/evil: an absolute path"},
		{{{"a//b.js"}}, "a path with an empty component"},
		{{{"a/./b.js"}}, "a path with `.` or `..`"},
		{{{"..", AE_IFDIR}}, "a path with `.` or `..`"},
		{{{"link", AE_IFLNK, 0777, "/etc"}}, "link is a symbolic link"},
		{{{"link", AE_IFLNK, 0777, "/etc"}, {"link/passwd"}}, "link is a symbolic link"},
		{{{"a.js"}, {"b.js", AE_IFREG, 0, "a.js", NULL, true}}, "b.js is a hard link"},
		{{{"dev", AE_IFCHR}}, "dev is a device"},
		{{{"dev", AE_IFBLK}}, "dev is a device"},
		{{{"pipe", AE_IFIFO}}, "pipe is a FIFO"},
		{{{"su", AE_IFREG, 04755}}, "su has a set-user-id"},
		{{{"sg", AE_IFREG, 02755}}, "sg has a set-user-id or set-group-id bit"},
		{{{"a.js"}, {"a.js"}}, "a.js is in the archive twice"},
		{{{"a.js"}, {"./a.js"}}, "a.js is in the archive twice"},
		{{{"a"}, {"a/b.js"}}, "one of its folders is in the archive as a file"},
		{{{"a"}, {"a", AE_IFDIR}}, "a is in the archive twice"},
		{{{"a", AE_IFDIR}, {"a"}}, "a is in the archive twice"},
		{{{"a\nb.js"}}, "a\\x0ab.js: the name must be UTF-8 without control"},
		{{{"a\x1b]0;x\x07.js"}}, "the name must be UTF-8 without control"},
		{{{"a\\b.js"}}, "a\\\\b.js: the name must be UTF-8 without control"},
		{{{"a\xe2\x80\xaegpj.js"}}, "a\\u{202e}gpj.js: the name must be UTF-8"},
		{{{"a\xff.js"}}, "UTF-8"},
		{{{"d", AE_IFDIR}}, "the archive holds no file"},
		{{{NULL}}, "the archive holds no file"},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		int fd;
		struct archive *tar = tar_open(&fd, false);
		for (size_t k = 0; k < 3 && cases[i].members[k].name; k++)
			tar_add(tar, &cases[i].members[k]);
		archive_write_free(tar);
		assert_unpack_refused(fd, -EINVAL, cases[i].expected);
	}
}

static void names_over_the_bounds_are_refused(void **unused)
{
	(void)unused;
	char deep[2 * (DEPLOY_DEPTH_MAX + 1)], name[300], path[1100];
	memset(deep, 'd', sizeof deep);
	for (size_t i = 1; i < sizeof deep; i += 2)
		deep[i] = '/';
	deep[sizeof deep - 1] = '\0';
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	memset(path, 'p', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	const struct {
		const char *name, *expected;
	} cases[] = {{deep, "nested too deeply"}, {name, "longer than 255 bytes"},
		{path, "the path is too long"}};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		int fd;
		struct archive *tar = tar_open(&fd, false);
		tar_add(tar, &(struct member){cases[i].name});
		archive_write_free(tar);
		assert_unpack_refused(fd, -EINVAL, cases[i].expected);
	}
}

static void too_many_members_are_refused(void **unused)
{
	(void)unused;
	int fd;
	struct archive *tar = tar_open(&fd, false);
	for (int i = 0; i <= DEPLOY_FILES_MAX; i++) {
		char name[32];
		snprintf(name, sizeof name, "f%d", i);
		tar_add(tar, &(struct member){name});
	}
	archive_write_free(tar);
	assert_unpack_refused(fd, -EFBIG, "more than 20000 files and folders");

	tar = tar_open(&fd, false);
	for (int i = 0; i <= 2 * DEPLOY_FILES_MAX; i++)
		tar_add(tar, &(struct member){"d", AE_IFDIR});
	archive_write_free(tar);
	assert_unpack_refused(fd, -EFBIG, "more than 40000 members");
}

static void add_zeros(struct archive *tar, const char *name, uint64_t size)
{
	static char zeros[1 << 20];
	struct archive_entry *entry = archive_entry_new();
	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0644);
	archive_entry_set_size(entry, (int64_t)size);
	assert_int_equal(archive_write_header(tar, entry), ARCHIVE_OK);
	archive_entry_free(entry);
	for (uint64_t done = 0; done < size; done += sizeof zeros)
		assert_true(archive_write_data(tar, zeros, sizeof zeros) > 0);
}

static void bombs_are_refused(void **unused)
{
	(void)unused;
	int fd;
	struct archive *tar = tar_open(&fd, true);
	add_zeros(tar, "zeros", 64 << 20);
	archive_write_free(tar);
	assert_unpack_refused(fd, -EFBIG, "zeros: the archive unpacks to more than 100 times");

	tar = tar_open(&fd, true);
	add_zeros(tar, "big", DEPLOY_BYTES_MAX + (1 << 20));
	archive_write_free(tar);
	assert_unpack_refused(fd, -EFBIG, "big: the archive unpacks to more than 256 MiB");

	/* A compressed archive that is none is welcome. */
	tar = tar_open(&fd, true);
	tar_add(tar, &(struct member){"main.js", .content = "x"});
	archive_write_free(tar);
	struct unpack_result result;
	assert_int_equal(unpack(fd, false, &result, NULL), 0);
	close(fd);
}

/* A GNU sparse file: 100 MiB in one block of archive. */
static void sparse_files_are_refused(void **unused)
{
	(void)unused;
	int fd;
	struct archive *tar = tar_open(&fd, false);
	struct archive_entry *entry = archive_entry_new();
	archive_entry_set_pathname(entry, "sparse");
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0644);
	archive_entry_set_size(entry, 100 << 20);
	archive_entry_sparse_add_entry(entry, 50 << 20, 512);
	assert_int_equal(archive_write_header(tar, entry), ARCHIVE_OK);
	char *data = calloc(1, 100 << 20);
	archive_write_data(tar, data, 100 << 20);
	free(data);
	archive_entry_free(entry);
	archive_write_free(tar);
	assert_unpack_refused(fd, -EINVAL, "sparse");
}

static int memfd_of(const void *data, size_t length)
{
	int fd = memfd_create("data", MFD_CLOEXEC);
	assert_true(fd >= 0);
	if (length)
		assert_int_equal(file_write_all(fd, data, length), 0);
	return fd;
}

static void what_is_no_archive_is_refused(void **unused)
{
	(void)unused;
	static char noise[4096];
	for (size_t i = 0; i < sizeof noise; i++)
		noise[i] = (char)(i * 7 + i / 13);
	assert_unpack_refused(memfd_of("", 0), -EINVAL, "cannot read the archive");
	assert_unpack_refused(memfd_of(noise, sizeof noise), -EINVAL, "cannot read the archive");
	int fd;
	struct archive *tar = tar_open(&fd, false);
	add_zeros(tar, "cut.js", 1 << 20);
	archive_write_free(tar);
	assert_int_equal(ftruncate(fd, 300000), 0);
	assert_unpack_refused(fd, -EINVAL, "cannot read the archive at cut.js: Truncated");
	int pipe_fds[2];
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_unpack_refused(pipe_fds[0], -EINVAL, "must be a regular file");
	close(pipe_fds[1]);
}

static void cancelling_leaves_nothing(void **unused)
{
	(void)unused;
	int fd;
	struct archive *tar = tar_open(&fd, false);
	for (int i = 0; i < 5000; i++) {
		char name[32];
		snprintf(name, sizeof name, "f%d", i);
		tar_add(tar, &(struct member){name});
	}
	archive_write_free(tar);
	for (int i = 0; i < 20; i++) {
		struct unpack unpacking;
		assert_int_equal(unpack_start(store, fd, NULL, &unpacking, NULL), 0);
		usleep((useconds_t)i * 500);
		unpack_cancel(&unpacking);
		assert_int_equal(count_in("staging"), 0);
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* ECHILD */
	}
	close(fd);
}

static void a_killed_helper_is_an_error(void **unused)
{
	(void)unused;
	put("main.js", "x");
	struct archive_made made = make(source);
	struct unpack unpacking;
	struct unpack_result result;
	struct error error = {0};
	assert_int_equal(unpack_start(store, made.fd, NULL, &unpacking, NULL), 0);
	kill(unpacking.pid, SIGKILL);
	if (unpack_finish(&unpacking, &result, &error) < 0)
		assert_non_null(strstr(error.message, "was killed by signal 9 (SIGKILL)"));
	assert_int_equal(count_in("staging"), 0);
	close(made.fd);
}

/* Needs a mount namespace; 77 without. */
static int unpack_to_a_full_disk(int fd)
{
	store = store_close(store);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("tmpfs", state, "tmpfs", 0, "size=512k") < 0)
		return 77;
	struct unpack_result result;
	struct error error = {0};
	if (store_open(state, &store, &error) < 0)
		return 1;
	int got = unpack(fd, false, &result, &error);
	if (got != -ENOSPC ||
		strcmp(error.message, "cannot write zeros: No space left on device") != 0) {
		fprintf(stderr, "%d: %s\n", got, error.message);
		return 2;
	}
	return count_in("staging") || count_in("releases") ? 3 : 0;
}

static void a_full_disk_is_told(void **unused)
{
	(void)unused;
	int fd;
	struct archive *tar = tar_open(&fd, false);
	add_zeros(tar, "zeros", 2 << 20);
	archive_write_free(tar);
	pid_t pid = fork();
	if (pid == 0)
		_exit(unpack_to_a_full_disk(fd));
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fd);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

/* ---- the confinement, as if the parser had been taken over ---- */

static int open_in_jail(const char *path, uint64_t flags)
{
	struct open_how how = {.flags = flags, .mode = flags & O_CREAT ? 0644 : 0};
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
	return fd < 0 && errno == ENOSYS ? openat(AT_FDCWD, path, (int)flags, 0644) : fd;
}

/* Runs ATTACK inside the unpacker's confinement; returns the wait status. */
static int in_jail(int (*attack)(void))
{
	struct store_staging staging;
	assert_int_equal(store_stage(store, &staging, NULL), 0);
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid == 0) {
		struct error error = {0};
		const int fds[] = {staging.fd, staging.fd, staging.fd, staging.fd};
		if (unpack_arrange_fds(fds, 4, &error) < 0 || unpack_confine(parent, &error) < 0)
			_exit(99);
		_exit(attack());
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	store_discard(store, &staging);
	return status;
}

static int attack_files(void)
{
	if (open_in_jail("/etc/passwd", O_RDONLY) >= 0 || errno != ENOENT)
		return 1;
	if (open_in_jail("../../lock", O_RDONLY) >= 0 || errno != ENOENT)
		return 2;
	int fd = open_in_jail("/main.js", O_WRONLY | O_CREAT | O_EXCL);
	if (fd < 0 || write(fd, "x", 1) != 1)
		return 3; /* the one thing that works */
	if (open_in_jail("/main.js", O_RDONLY) >= 0 || errno != EACCES)
		return 4;
	if (open_in_jail("/", O_RDONLY | O_DIRECTORY) >= 0 || errno != EACCES)
		return 5;
	return 0;
}

static int attack_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) < 0;
}

static int attack_fork(void)
{
	return fork() < 0;
}

static int attack_symlink(void)
{
	return symlinkat("/etc", UNPACK_FD_STAGING, "link");
}

static int attack_kill(void)
{
	return kill(getppid(), 0);
}

static int attack_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return page == MAP_FAILED;
}

static void the_unpacker_is_confined(void **unused)
{
	(void)unused;
	assert_int_equal(in_jail(attack_files), 0);
	int (*const deadly[])(void) = {
		attack_socket, attack_fork, attack_symlink, attack_kill, attack_code};
	for (size_t i = 0; i < ARRAY_LENGTH(deadly); i++) {
		int status = in_jail(deadly[i]);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGSYS);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_same_files_give_the_same_bytes),
		TEST(folders_that_cannot_be_a_release_are_refused),
		TEST(bounds_hold_when_making),
		TEST(git_and_command_links_are_left_out),
		TEST(one_file_is_a_release),
		TEST(a_folder_survives_the_way_into_the_store),
		TEST(a_run_needs_no_release),
		TEST(hostile_members_are_refused),
		TEST(names_over_the_bounds_are_refused),
		TEST(too_many_members_are_refused),
		TEST(bombs_are_refused),
		TEST(sparse_files_are_refused),
		TEST(what_is_no_archive_is_refused),
		TEST(cancelling_leaves_nothing),
		TEST(a_killed_helper_is_an_error),
		TEST(a_full_disk_is_told),
		TEST(the_unpacker_is_confined),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
