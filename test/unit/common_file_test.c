#include "common/cleanup.h"
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static char folder[32];
static int dir_fd = -1;

static int setup(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/file-test-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir_fd < 0;
}

static int teardown(void **state)
{
	(void)state;
	static const char *const names[] = {"a", "a.new", "a.old", "sub/b", "sub/b.new"};
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		unlinkat(dir_fd, names[i], 0);
	unlinkat(dir_fd, "a", AT_REMOVEDIR);
	unlinkat(dir_fd, "sub", AT_REMOVEDIR);
	close_fd(&dir_fd);
	return rmdir(folder);
}

static void holds(const char *path, const char *expected, size_t expected_length)
{
	cleanup_free char *data = NULL;
	size_t length = 0;
	struct error error = {0};
	if (file_read(dir_fd, path, 1 << 20, &data, &length, &error) < 0)
		fail_msg("%s", error.message);
	assert_int_equal(length, expected_length);
	assert_memory_equal(data, expected, length);
	assert_int_equal(data[length], '\0');
}

static bool is_there(const char *path)
{
	return faccessat(dir_fd, path, F_OK, 0) == 0;
}

static void what_is_written_can_be_read(void **state)
{
	(void)state;
	struct error error = {0};
	struct stat status;
	umask(022);
	assert_int_equal(file_write_atomic(dir_fd, "a", "one\0two", 7, 0640, &error), 0);
	holds("a", "one\0two", 7);
	assert_false(is_there("a.new"));
	assert_int_equal(fstatat(dir_fd, "a", &status, 0), 0);
	assert_int_equal(status.st_mode & 0777, 0640);
	assert_int_equal(file_write_atomic(dir_fd, "a", "", 0, 0640, &error), 0);
	holds("a", "", 0);
}

static void it_is_replaced_as_a_whole(void **state)
{
	(void)state;
	struct error error = {0};
	assert_int_equal(file_write_atomic(dir_fd, "a", "a long first one", 16, 0600, &error), 0);
	/* A reader that has it open keeps what it opened. */
	cleanup_close int old = openat(dir_fd, "a", O_RDONLY | O_CLOEXEC);
	assert_int_equal(file_write_atomic(dir_fd, "a", "short", 5, 0600, &error), 0);
	holds("a", "short", 5);
	char data[32];
	assert_int_equal(read(old, data, sizeof data), 16);
	assert_memory_equal(data, "a long first one", 16);
}

static void what_a_killed_writer_left_is_no_obstacle(void **state)
{
	(void)state;
	struct error error = {0};
	cleanup_close int fd = openat(dir_fd, "a.new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(file_write_all(fd, "half of something much longer", 29), 0);
	assert_int_equal(file_write_atomic(dir_fd, "a", "whole", 5, 0600, &error), 0);
	holds("a", "whole", 5);
	assert_false(is_there("a.new"));
}

static void folders_in_the_path_must_exist(void **state)
{
	(void)state;
	struct error error = {0};
	assert_int_equal(file_write_atomic(dir_fd, "sub/b", "x", 1, 0600, &error), -ENOENT);
	assert_non_null(strstr(error.message, "cannot write sub/b"));
	assert_int_equal(mkdirat(dir_fd, "sub", 0700), 0);
	assert_int_equal(file_write_atomic(dir_fd, "sub/b", "x", 1, 0600, &error), 0);
	holds("sub/b", "x", 1);
}

/* The disk is full: RLIMIT_FSIZE makes write(2) fail as ENOSPC does, half way. */
static void a_failed_write_keeps_the_old_content(void **state)
{
	(void)state;
	struct error error = {0};
	static char large[100000];
	assert_int_equal(file_write_atomic(dir_fd, "a", "old", 3, 0600, &error), 0);
	pid_t child = fork();
	if (child == 0) {
		struct rlimit limit = {.rlim_cur = 50000, .rlim_max = 50000};
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		int result = file_write_atomic(dir_fd, "a", large, sizeof large, 0600, &error);
		_exit(result == -EFBIG && strstr(error.message, "cannot write a") ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	holds("a", "old", 3);
	assert_false(is_there("a.new"));
}

static void a_name_that_cannot_be_replaced_is_an_error(void **state)
{
	(void)state;
	struct error error = {0};
	assert_int_equal(mkdirat(dir_fd, "a", 0700), 0);
	assert_int_equal(file_write_atomic(dir_fd, "a", "x", 1, 0600, &error), -EISDIR);
	assert_false(is_there("a.new"));
	char path[5000];
	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	assert_int_equal(file_write_atomic(dir_fd, path, "x", 1, 0600, &error), -ENAMETOOLONG);
}

/* ---- the last step fails ---- */

static bool folder_fails, no_exchange, no_way_back;
int __real_fsync(int fd);
int __real_renameat2(int old_fd, const char *old, int new_fd, const char *new, unsigned flags);
int __wrap_fsync(int fd);
int __wrap_renameat2(int old_fd, const char *old, int new_fd, const char *new, unsigned flags);

int __wrap_fsync(int fd)
{
	struct stat status;
	if (folder_fails && fstat(fd, &status) == 0 && S_ISDIR(status.st_mode)) {
		if (no_way_back)
			no_exchange = true;
		errno = EIO;
		return -1;
	}
	return __real_fsync(fd);
}

int __wrap_renameat2(int old_fd, const char *old, int new_fd, const char *new, unsigned flags)
{
	if (no_exchange && flags == RENAME_EXCHANGE) {
		errno = EINVAL;
		return -1;
	}
	return __real_renameat2(old_fd, old, new_fd, new, flags);
}

/* Whoever is told of a failure goes on with the old content, and so must who reads the file after
 * a kill -9. */
static void a_folder_that_cannot_be_synced_keeps_the_old_content(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) {
		struct error error = {0};
		no_exchange = round > 0;
		assert_int_equal(file_write_atomic(dir_fd, "a", "old", 3, 0600, &error), 0);
		folder_fails = true;
		assert_int_equal(file_write_atomic(dir_fd, "a", "new!", 4, 0600, &error), -EIO);
		assert_non_null(strstr(error.message, "cannot make a durable"));
		holds("a", "old", 3);
		assert_false(is_there("a.new"));
		assert_false(is_there("a.old"));
		/* One that was not there is not there. */
		assert_int_equal(unlinkat(dir_fd, "a", 0), 0);
		assert_int_equal(file_write_atomic(dir_fd, "a", "new!", 4, 0600, &error), -EIO);
		assert_false(is_there("a"));
		assert_false(is_there("a.new"));
		folder_fails = no_exchange = false;
	}
}

static void what_cannot_be_put_back_is_said_to_be_unknown(void **state)
{
	(void)state;
	struct error error = {0};
	assert_int_equal(file_write_atomic(dir_fd, "a", "old", 3, 0600, &error), 0);
	folder_fails = no_way_back = true;
	assert_int_equal(file_write_atomic(dir_fd, "a", "new!", 4, 0600, &error), -ENOTRECOVERABLE);
	folder_fails = no_way_back = no_exchange = false;
	assert_non_null(strstr(error.message, "cannot be put back"));
}

static void without_exchange_it_is_replaced_all_the_same(void **state)
{
	(void)state;
	struct error error = {0};
	no_exchange = true;
	assert_int_equal(file_write_atomic(dir_fd, "a", "one", 3, 0600, &error), 0);
	assert_int_equal(file_write_atomic(dir_fd, "a", "two!", 4, 0600, &error), 0);
	no_exchange = false;
	holds("a", "two!", 4);
	assert_false(is_there("a.new"));
	assert_false(is_there("a.old"));
}

/* Killed at any moment, it leaves the old or the new, never a part. */
static void a_kill_at_any_moment_leaves_old_or_new(void **state)
{
	(void)state;
	struct error error = {0};
	static char one[30000], two[20000];
	memset(one, '1', sizeof one);
	memset(two, '2', sizeof two);
	assert_int_equal(file_write_atomic(dir_fd, "a", one, sizeof one, 0600, &error), 0);
	for (unsigned round = 0; round < 25; round++) {
		pid_t child = fork();
		if (child == 0) {
			for (;;) {
				file_write_atomic(dir_fd, "a", two, sizeof two, 0600, NULL);
				file_write_atomic(dir_fd, "a", one, sizeof one, 0600, NULL);
			}
		}
		usleep(300 + round * 173);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		cleanup_free char *data = NULL;
		size_t length = 0;
		assert_int_equal(file_read(dir_fd, "a", 1 << 20, &data, &length, &error), 0);
		assert_true(length == sizeof one || length == sizeof two);
		assert_memory_equal(data, length == sizeof one ? one : two, length);
	}
}

static void reading_has_a_limit(void **state)
{
	(void)state;
	struct error error = {0};
	char *data = NULL;
	size_t length = 0;
	static char large[40000];
	assert_int_equal(file_write_atomic(dir_fd, "a", large, sizeof large, 0600, &error), 0);
	assert_int_equal(file_read(dir_fd, "a", sizeof large - 1, &data, &length, &error), -EFBIG);
	assert_null(data);
	assert_non_null(strstr(error.message, "a is larger than 39999 bytes"));
	assert_int_equal(file_read(dir_fd, "a", sizeof large, &data, &length, &error), 0);
	assert_int_equal(length, sizeof large);
	free(data);
	data = NULL;
	assert_int_equal(file_read(dir_fd, "missing", 1, &data, NULL, &error), -ENOENT);
	assert_string_equal(error.message, "cannot open missing: No such file or directory");
	assert_int_equal(file_read(AT_FDCWD, folder, 1, &data, NULL, &error), -EISDIR);
}

/* What openat2 says, and without it (test/variants/without openat2) what we do. */
static void below_a_folder_is_no_way_out(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		int flags, code;
	} cases[] = {
		{"sub/b", O_RDONLY, 0},
		{"sub//b", O_RDONLY, 0},
		{"./sub/./b", O_RDONLY, 0},
		{"sub", O_PATH | O_DIRECTORY, 0},
		{"sub/", O_PATH | O_DIRECTORY, 0},
		{"sub/c", O_RDONLY, ENOENT},
		{"sub/b/c", O_RDONLY, ENOTDIR},
		{"/etc/passwd", O_RDONLY, EXDEV},
		{"../etc", O_RDONLY, EXDEV},
		{"sub/link", O_RDONLY, ELOOP},
		{"link/b", O_RDONLY, ELOOP},
		{"sub/b", O_WRONLY | O_CREAT | O_EXCL, EEXIST},
	};
	assert_int_equal(mkdirat(dir_fd, "sub", 0755), 0);
	cleanup_close int made =
		file_open_beneath(dir_fd, "sub/b", O_WRONLY | O_CREAT | O_EXCL, 0640);
	struct stat status;
	assert_true(made >= 0 && fstat(made, &status) == 0);
	assert_int_equal(status.st_mode & 07777, 0640);
	assert_int_equal(fcntl(made, F_GETFD), FD_CLOEXEC);
	assert_int_equal(symlinkat("b", dir_fd, "sub/link"), 0);
	assert_int_equal(symlinkat("sub", dir_fd, "link"), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		cleanup_close int fd =
			file_open_beneath(dir_fd, cases[i].path, cases[i].flags, 0600);
		const int code = fd < 0 ? errno : 0;
		/* A link in the middle, asked for as a folder, is none. */
		if (code != cases[i].code && !(cases[i].code == ELOOP && code == ENOTDIR))
			fail_msg("%s: %s", cases[i].path, strerror(code));
	}
	unlinkat(dir_fd, "sub/link", 0);
	unlinkat(dir_fd, "link", 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_can_be_read),
		TEST(it_is_replaced_as_a_whole),
		TEST(what_a_killed_writer_left_is_no_obstacle),
		TEST(folders_in_the_path_must_exist),
		TEST(a_failed_write_keeps_the_old_content),
		TEST(a_name_that_cannot_be_replaced_is_an_error),
		TEST(a_folder_that_cannot_be_synced_keeps_the_old_content),
		TEST(what_cannot_be_put_back_is_said_to_be_unknown),
		TEST(without_exchange_it_is_replaced_all_the_same),
		TEST(a_kill_at_any_moment_leaves_old_or_new),
		TEST(reading_has_a_limit),
		TEST(below_a_folder_is_no_way_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
