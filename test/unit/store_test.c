/* The release store: what it holds, what it refuses, and that kill -9 and a full disk
 * leave whole releases only. */
#include "deploy/store.h"

#include "common/cleanup.h"
#include "common/file.h"
#include "deploy/tree.h"
#include "deploy/verify.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KILLS 300

static char state[64];

static int set_up(void **unused)
{
	(void)unused;
	snprintf(state, sizeof state, "/tmp/store_test.XXXXXX");
	return mkdtemp(state) ? 0 : -1;
}

static int tear_down(void **unused)
{
	(void)unused;
	char command[128];
	snprintf(command, sizeof command, "rm -rf %s", state);
	return system(command);
}

static struct store *open_store(void)
{
	struct error error = {0};
	struct store *store = NULL;
	if (store_open(state, &store, &error) < 0)
		fail_msg("%s", error.message);
	return store;
}

static struct store_staging stage(struct store *store)
{
	struct store_staging staging = STORE_STAGING_NONE;
	struct error error = {0};
	if (store_stage(store, &staging, &error) < 0)
		fail_msg("%s", error.message);
	return staging;
}

static void put(int dir_fd, const char *path, const char *text)
{
	int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static void put_release(int dir_fd, const char *text)
{
	put(dir_fd, "main.js", text);
	assert_int_equal(mkdirat(dir_fd, "lib", 0755), 0);
	put(dir_fd, "lib/a.js", "a");
	put(dir_fd, "lib/b.js", "b");
}

static void commit(struct store *store, const char *text, char id[STORE_ID_SIZE])
{
	struct error error = {0};
	struct store_staging staging = stage(store);
	put_release(staging.fd, text);
	if (store_commit(store, &staging, id, &error) < 0)
		fail_msg("%s", error.message);
	assert_int_equal(staging.fd, -1);
}

static int count_in(const char *folder)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", state, folder);
	cleanup_closedir DIR *dir = opendir(path);
	assert_non_null(dir);
	int count = 0;
	while (readdir(dir))
		count++;
	return count - 2;
}

static int count_staged(void)
{
	return count_in("staging");
}

static void the_id_is_the_hash_of_the_listing(void **unused)
{
	(void)unused;
	struct store *store = open_store();
	char id[STORE_ID_SIZE];
	commit(store, "x", id);
	/* printf 'd lib\nf 1 <sha256 of a> lib/a.js\n…' | sha256sum */
	assert_string_equal(id, "e4d5bc10dc9a3388652d8d276d95c383fd6ebe03e2d03594a440277570c8ca1e");
	store_close(store);
}

static void the_same_files_are_stored_once(void **unused)
{
	(void)unused;
	struct store *store = open_store();
	char first[STORE_ID_SIZE], again[STORE_ID_SIZE], other[STORE_ID_SIZE];
	commit(store, "same", first);
	commit(store, "same", again);
	commit(store, "other", other);
	assert_string_equal(first, again);
	assert_string_not_equal(first, other);
	cleanup_free char (*ids)[STORE_ID_SIZE] = NULL;
	size_t count;
	assert_int_equal(store_list(store, &ids, &count, NULL), 0);
	assert_int_equal(count, 2);
	assert_int_equal(count_staged(), 0);
	store_close(store);
}

static void a_release_is_read_only(void **unused)
{
	(void)unused;
	struct store *store = open_store();
	char id[STORE_ID_SIZE];
	commit(store, "x", id);
	cleanup_close int fd = store_release_open(store, id, NULL);
	assert_true(fd >= 0);
	struct stat status;
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0555);
	assert_int_equal(fstatat(fd, "lib", &status, 0), 0);
	assert_int_equal(status.st_mode & 07777, 0555);
	assert_int_equal(fstatat(fd, "lib/a.js", &status, 0), 0);
	assert_int_equal(status.st_mode & 07777, 0444);
	store_close(store);
}

static void a_damaged_release_is_found(void **unused)
{
	(void)unused;
	struct store *store = open_store();
	struct error error = {0};
	char id[STORE_ID_SIZE];
	commit(store, "x", id);
	assert_int_equal(store_verify(store, id, &error), 0);
	cleanup_close int dir = store_release_open(store, id, NULL);
	assert_int_equal(fchmodat(dir, "main.js", 0644, 0), 0);
	cleanup_close int fd = openat(dir, "main.js", O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, "y", 1), 1);
	assert_int_equal(store_verify(store, id, &error), -EUCLEAN);
	assert_non_null(strstr(error.message, "is damaged"));
	store_close(store);
}

static void links_and_empty_releases_are_refused(void **unused)
{
	(void)unused;
	struct store *store = open_store();
	struct error error = {0};
	char id[STORE_ID_SIZE];
	struct store_staging staging = stage(store);
	assert_int_equal(store_commit(store, &staging, id, &error), -EINVAL);
	assert_string_equal(error.message, "the release holds no file");
	put_release(staging.fd, "x");
	assert_int_equal(symlinkat("/etc/passwd", staging.fd, "lib/link"), 0);
	assert_int_equal(store_commit(store, &staging, id, &error), -EINVAL);
	assert_string_equal(error.message, "lib/link is a symbolic link");
	assert_int_equal(unlinkat(staging.fd, "lib/link", 0), 0);
	assert_int_equal(mkfifoat(staging.fd, "pipe", 0600), 0);
	assert_int_equal(store_commit(store, &staging, id, &error), -EINVAL);
	assert_string_equal(error.message, "pipe is neither a file nor a folder");
	assert_true(staging.fd >= 0);
	store_discard(store, &staging);
	assert_int_equal(staging.fd, -1);
	assert_int_equal(count_staged(), 0);
	store_close(store);
}

static void strange_ids_are_refused(void **unused)
{
	(void)unused;
	struct store *store = open_store();
	struct error error = {0};
	char unknown[STORE_ID_SIZE];
	memset(unknown, 'a', STORE_ID_LENGTH);
	unknown[STORE_ID_LENGTH] = '\0';
	assert_int_equal(store_release_open(store, "../../etc", &error), -EINVAL);
	assert_int_equal(store_release_open(store, "", &error), -EINVAL);
	assert_int_equal(store_release_open(store, unknown, &error), -ENOENT);
	assert_string_equal(error.message, "there is no release aaaaaaaaaaaa");
	store_close(store);
}

static void the_manifest_is_read(void **unused)
{
	(void)unused;
	struct store *store = open_store();
	struct store_staging staging = stage(store);
	cleanup_free char *text = NULL;
	size_t length;
	assert_int_equal(store_release_manifest(staging.fd, &text, &length, NULL), -ENOENT);
	put(staging.fd, "tenant.json", "{}");
	assert_int_equal(store_release_manifest(staging.fd, &text, &length, NULL), 0);
	assert_string_equal(text, "{}");
	assert_int_equal(length, 2);
	store_discard(store, &staging);
	store_close(store);
}

static void pruning_keeps_what_is_named(void **unused)
{
	(void)unused;
	struct store *store = open_store();
	char kept[STORE_ID_SIZE], gone[STORE_ID_SIZE];
	commit(store, "kept", kept);
	commit(store, "gone", gone);
	const char *keep[] = {kept};
	assert_int_equal(store_prune(store, keep, 1, NULL), 1);
	assert_int_equal(store_prune(store, keep, 1, NULL), 0);
	assert_int_equal(store_verify(store, kept, NULL), 0);
	assert_int_equal(store_verify(store, gone, NULL), -ENOENT);
	/* What is out of sight is on the disk until the sweep, or the next start. */
	assert_int_equal(count_staged(), 1);
	assert_int_equal(store_sweep(store, NULL), 1); /* lib/a.js and lib/b.js are in use */
	assert_int_equal(count_staged(), 0);
	assert_int_equal(count_in("objects"), 3);
	assert_int_equal(store_verify(store, kept, NULL), 0);
	store_close(store);
}

static void a_signature_is_with_its_release(void **unused)
{
	(void)unused;
	struct store *store = open_store();
	char kept[STORE_ID_SIZE], gone[STORE_ID_SIZE], *text = NULL;
	commit(store, "kept", kept);
	commit(store, "gone", gone);
	assert_int_equal(store_signature_get(store, kept, "shop", &text, NULL), -ENOENT);
	assert_int_equal(store_signature_put(store, kept, "shop", "shop's", NULL), 0);
	assert_int_equal(store_signature_put(store, kept, "shop", "shop's new one", NULL), 0);
	assert_int_equal(store_signature_put(store, kept, "blog", "blog's", NULL), 0);
	assert_int_equal(store_signature_put(store, gone, "shop", "another", NULL), 0);
	assert_int_equal(store_signature_put(store, kept, "../x", "x", NULL), -EINVAL);
	assert_int_equal(store_signature_put(store, "../x", "shop", "x", NULL), -EINVAL);
	store_close(store);
	store = open_store();
	assert_int_equal(store_signature_get(store, kept, "shop", &text, NULL), 0);
	assert_string_equal(text, "shop's new one");
	free(text);
	const char *keep[] = {kept};
	assert_int_equal(store_prune(store, keep, 1, NULL), 1);
	assert_int_equal(store_signature_get(store, gone, "shop", &text, NULL), -ENOENT);
	assert_int_equal(count_in("signatures"), 1);
	assert_int_equal(store_signature_get(store, kept, "blog", &text, NULL), 0);
	free(text);
	store_close(store);
}

static int hash_of(struct store *store, const char *id, char found[STORE_ID_SIZE])
{
	struct verify verify;
	struct error error = {0};
	cleanup_close int fd = store_release_open(store, id, &error);
	if (verify_start(fd, &verify, &error) < 0)
		fail_msg("%s", error.message);
	return verify_finish(&verify, found, &error);
}

static void a_release_is_hashed_beside_the_daemon(void **unused)
{
	(void)unused;
	struct store *store = open_store();
	char id[STORE_ID_SIZE], found[STORE_ID_SIZE], path[256];
	commit(store, "whole", id);
	assert_int_equal(hash_of(store, id, found), 0);
	assert_string_equal(found, id);
	snprintf(path, sizeof path, "%s/releases/%s/main.js", state, id);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, "W", 1), 1);
	close(fd);
	assert_int_equal(hash_of(store, id, found), 0);
	assert_string_not_equal(found, id);
	/* What is no release is an error that is passed on. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(hash_of(store, id, found), -EINVAL);
	struct verify verify;
	cleanup_close int folder = store_release_open(store, id, NULL);
	assert_int_equal(verify_start(folder, &verify, NULL), 0);
	verify_cancel(&verify);
	assert_int_equal(verify.pidfd, -1);
	store_close(store);
}

static void the_sweep_runs_beside_the_daemon(void **unused)
{
	(void)unused;
	struct store *store = open_store();
	char id[STORE_ID_SIZE];
	int pidfd = -1;
	commit(store, "gone", id);
	assert_int_equal(store_prune(store, NULL, 0, NULL), 1);
	assert_int_equal(store_sweep_fork(store, &pidfd, NULL), 0);
	siginfo_t info = {0};
	assert_int_equal(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED), 0);
	assert_int_equal(info.si_status, 0);
	close(pidfd);
	assert_int_equal(count_staged(), 0);
	assert_int_equal(count_in("objects"), 0);
	store_close(store);
}

/* The file PATH of the release ID. */
static struct stat status_of(const char *id, const char *path)
{
	char text[256];
	struct stat status;
	snprintf(text, sizeof text, "%s/releases/%s/%s", state, id, path);
	assert_int_equal(stat(text, &status), 0);
	return status;
}

static void files_in_common_are_stored_once(void **unused)
{
	(void)unused;
	struct store *store = open_store();
	char first[STORE_ID_SIZE], second[STORE_ID_SIZE];
	commit(store, "one", first);
	commit(store, "two", second);
	assert_int_equal(status_of(first, "lib/a.js").st_ino, status_of(second, "lib/a.js").st_ino);
	assert_int_not_equal(
		status_of(first, "main.js").st_ino, status_of(second, "main.js").st_ino);
	assert_int_equal(status_of(first, "lib/a.js").st_mode & 07777, 0444);
	assert_int_equal(status_of(second, "lib").st_mode & 07777, 0555);
	assert_int_equal(store_verify(store, first, NULL), 0);
	assert_int_equal(store_verify(store, second, NULL), 0);
	store_close(store);
}

/* Puts TEXT into the object that the file PATH of the release ID is. */
static void damage(const char *id, const char *path, const char *text)
{
	char name[256];
	snprintf(name, sizeof name, "%s/releases/%s/%s", state, id, path);
	int fd = open(name, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static void a_damaged_object_is_shared_with_nobody(void **unused)
{
	(void)unused;
	struct store *store = open_store();
	char first[STORE_ID_SIZE], second[STORE_ID_SIZE], again[STORE_ID_SIZE];
	commit(store, "one", first);
	damage(first, "lib/a.js", "?");
	commit(store, "two", second);
	assert_int_equal(store_verify(store, first, NULL), -EUCLEAN);
	assert_int_equal(store_verify(store, second, NULL), 0);
	/* Deployed again, it is whole, and shares what is whole. */
	commit(store, "one", again);
	assert_string_equal(first, again);
	assert_int_equal(store_verify(store, first, NULL), 0);
	assert_int_equal(status_of(first, "lib/a.js").st_ino, status_of(second, "lib/a.js").st_ino);
	assert_int_equal(count_staged(), 0);
	store_close(store);
}

static void fifty_releases_cost_what_differs(void **unused)
{
	(void)unused;
	struct store *store = open_store();
	static char big[256 * 1024 + 1];
	char id[STORE_ID_SIZE], text[32], command[128];
	memset(big, 'x', sizeof big - 1);
	for (int i = 0; i < 50; i++) {
		struct store_staging staging = stage(store);
		snprintf(text, sizeof text, "%d", i);
		put(staging.fd, "main.js", text);
		put(staging.fd, "big.txt", big);
		assert_int_equal(store_commit(store, &staging, id, NULL), 0);
	}
	snprintf(command, sizeof command, "du -sk %s", state);
	FILE *du = popen(command, "re");
	long kib = 0;
	assert_non_null(du);
	assert_int_equal(fscanf(du, "%ld", &kib), 1);
	pclose(du);
	/* 256 KiB once, and a block or two for each release; not 50 times 256 KiB. */
	print_message("50 releases of 256 KiB, of which one file differs: %ld KiB\n", kib);
	assert_true(kib < 256 + 50 * 16 + 64);
	store_close(store);
}

static void print_of(const char *id, unsigned char print[TREE_HASH_SIZE])
{
	char path[256];
	snprintf(path, sizeof path, "%s/releases/%s", state, id);
	cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(tree_fingerprint(fd, print, NULL), 0);
}

static void a_fingerprint_notices_every_change(void **unused)
{
	(void)unused;
	struct store *store = open_store();
	char id[STORE_ID_SIZE], path[256];
	unsigned char before[TREE_HASH_SIZE], after[TREE_HASH_SIZE];
	commit(store, "x", id);
	print_of(id, before);
	print_of(id, after);
	assert_memory_equal(before, after, sizeof before);
	/* The same size, and the times put back. */
	const struct stat was = status_of(id, "main.js");
	const struct timespec times[] = {was.st_atim, was.st_mtim};
	struct timespec moment = {.tv_nsec = 20000000};
	nanosleep(&moment, NULL); /* the kernel's clock for files has steps of some ms */
	damage(id, "main.js", "y");
	snprintf(path, sizeof path, "%s/releases/%s/main.js", state, id);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	print_of(id, after);
	assert_memory_not_equal(before, after, sizeof before);
	store_close(store);
}

static void stale_staging_is_removed_at_the_next_open(void **unused)
{
	(void)unused;
	struct store *store = open_store();
	struct store_staging staging = stage(store);
	put_release(staging.fd, "x");
	assert_int_equal(fchmodat(staging.fd, "lib", 0555, 0), 0);
	close(staging.fd);
	store_close(store);
	assert_int_equal(count_staged(), 1);
	store_close(open_store());
	assert_int_equal(count_staged(), 0);
}

static void a_second_daemon_is_refused(void **unused)
{
	(void)unused;
	struct store *store = open_store();
	pid_t pid = fork();
	if (pid == 0) {
		struct error error = {0};
		struct store *second = NULL;
		char expected[128];
		int result = store_open(state, &second, &error);
		snprintf(expected, sizeof expected, "another tenantd (pid %d)", (int)getppid());
		_exit(result == -EBUSY && strstr(error.message, expected) ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	store_close(store);
}

static void unused_folders_are_made(void **unused)
{
	(void)unused;
	struct error error = {0};
	struct store *store = NULL;
	assert_int_equal(store_open("/nonexistent/folder", &store, &error), -ENOENT);
	assert_string_equal(error.message,
		"cannot make the folder /nonexistent/folder: No such file or directory");
	store_close(open_store());
	struct stat status;
	char path[128];
	snprintf(path, sizeof path, "%s/releases", state);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
}

/* Commits and prunes without end, until it is killed. */
static _Noreturn void churn(void)
{
	struct store *store = NULL;
	if (store_open(state, &store, NULL) < 0)
		_exit(1);
	for (unsigned turn = (unsigned)getpid();; turn++) {
		struct store_staging staging;
		char id[STORE_ID_SIZE], text[32];
		if (store_stage(store, &staging, NULL) < 0)
			_exit(2);
		snprintf(text, sizeof text, "%u", turn % 17);
		put_release(staging.fd, text);
		if (store_commit(store, &staging, id, NULL) < 0)
			_exit(3);
		const char *keep[] = {id};
		if (turn % 5 == 0 &&
			(store_prune(store, keep, 1, NULL) < 0 || store_sweep(store, NULL) < 0))
			_exit(4);
	}
}

static void kill_9_leaves_whole_releases_only(void **unused)
{
	(void)unused;
	unsigned seed = (unsigned)time(NULL);
	size_t seen = 0;
	for (int i = 0; i < KILLS; i++) {
		pid_t pid = fork();
		if (pid == 0)
			churn();
		/* A machine with much to do may need longer for the first one. */
		struct timespec wait = {.tv_nsec = rand_r(&seed) % (seen > 0 ? 6000000 : 60000000)};
		nanosleep(&wait, NULL);
		kill(pid, SIGKILL);
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));

		struct store *store = open_store();
		assert_int_equal(count_staged(), 0);
		cleanup_free char (*ids)[STORE_ID_SIZE] = NULL;
		size_t count;
		assert_int_equal(store_list(store, &ids, &count, NULL), 0);
		for (size_t k = 0; k < count; k++) {
			struct error error = {0};
			if (store_verify(store, ids[k], &error) < 0)
				fail_msg("after %d kills: %s", i, error.message);
		}
		seen += count;
		store_close(store);
	}
	assert_true(seen > 0);
}

/* In a mount namespace of its own, so that nothing stays behind. */
static int on_a_full_disk(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("tmpfs", state, "tmpfs", 0, "size=256k") < 0)
		return 77;
	struct error error = {0};
	struct store *store = NULL;
	struct store_staging staging;
	if (store_open(state, &store, &error) < 0 || store_stage(store, &staging, &error) < 0)
		return 1;
	put_release(staging.fd, "kept");
	char id[STORE_ID_SIZE];
	if (store_commit(store, &staging, id, &error) < 0)
		return 2;
	char block[4096] = {0};
	char path[128];
	snprintf(path, sizeof path, "%s/fill", state);
	cleanup_close int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (write(file, block, sizeof block) > 0)
		;
	/* Now not even a folder, or no file in it, can be made. */
	int result = store_stage(store, &staging, &error);
	if (result == 0) {
		cleanup_close int out = openat(staging.fd, "main.js", O_WRONLY | O_CREAT, 0644);
		if (out >= 0 && (write(out, block, sizeof block) > 0 || errno != ENOSPC))
			return 3;
		store_discard(store, &staging);
	} else if (result != -ENOSPC || !strstr(error.message, "No space left on device")) {
		return 4;
	}
	return store_verify(store, id, &error) < 0 ? 5 : count_staged() ? 6 : 0;
}

static void a_full_disk_leaves_what_was_there(void **unused)
{
	(void)unused;
	pid_t pid = fork();
	if (pid == 0)
		_exit(on_a_full_disk());
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip(); /* needs root, to mount */
	assert_int_equal(status, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_id_is_the_hash_of_the_listing),
		TEST(the_same_files_are_stored_once),
		TEST(a_release_is_read_only),
		TEST(a_damaged_release_is_found),
		TEST(links_and_empty_releases_are_refused),
		TEST(strange_ids_are_refused),
		TEST(the_manifest_is_read),
		TEST(pruning_keeps_what_is_named),
		TEST(a_signature_is_with_its_release),
		TEST(a_release_is_hashed_beside_the_daemon),
		TEST(the_sweep_runs_beside_the_daemon),
		TEST(files_in_common_are_stored_once),
		TEST(a_damaged_object_is_shared_with_nobody),
		TEST(fifty_releases_cost_what_differs),
		TEST(a_fingerprint_notices_every_change),
		TEST(stale_staging_is_removed_at_the_next_open),
		TEST(a_second_daemon_is_refused),
		TEST(unused_folders_are_made),
		TEST(kill_9_leaves_whole_releases_only),
		TEST(a_full_disk_leaves_what_was_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
