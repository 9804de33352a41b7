/* What tenants print: lines, escapes, limits, the ring, the files. */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/file.h"
#include "daemon/logs_old.h"
#include "daemon/secrets.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <jansson.h>

static char folder[] = "/tmp/logs-test-XXXXXX";
static int folder_fd = -1;
static sd_event *event;
static struct tenant_log *test_log;

/* What a follower saw. */
static char seen[1 << 20];
static size_t seen_length;
static unsigned seen_lines;

static void see(void *data, const struct log_entry *entry)
{
	(void)data;
	seen_lines++;
	int length = snprintf(seen + seen_length, sizeof seen - seen_length, "%s|%s\n",
		log_stream_name(entry->stream), entry->line);
	if (length > 0 && seen_length + (size_t)length < sizeof seen)
		seen_length += (size_t)length;
}

static int set_up(void **unused)
{
	(void)unused;
	return mkdtemp(folder) == NULL ||
	       (folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	close(folder_fd);
	return rmdir(folder);
}

static int open_log(void **unused)
{
	struct error error = {0};
	(void)unused;
	seen_length = seen_lines = 0;
	seen[0] = '\0';
	if (sd_event_new(&event) < 0 ||
		tenant_log_new(event, folder_fd, "shop", &test_log, &error) < 0)
		return -1;
	return tenant_log_follow(test_log, see, seen);
}

static int close_log(void **unused)
{
	(void)unused;
	test_log = tenant_log_free(test_log);
	event = sd_event_unref(event);
	tenant_log_delete(folder_fd, "shop");
	return 0;
}

/* Starts the test in a fresh second, so that the rate is counted in one. */
static void wait_for_fresh_second(void)
{
	usleep((useconds_t)(1000000 - clock_ns() / 1000 % 1000000));
}

static int attach(enum log_stream stream, uint32_t instance)
{
	struct error error = {0};
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(tenant_log_attach(test_log, ends[0], stream, instance, NULL, &error), 0);
	return ends[1];
}

static void turn_loop(unsigned milliseconds)
{
	uint64_t until = clock_ms() + milliseconds;
	while (clock_ms() < until)
		sd_event_run(event, 5000);
}

static void put(int fd, const char *text)
{
	assert_int_equal(file_write_all(fd, text, strlen(text)), 0);
}

static void test_lines_are_split_and_escaped(void **unused)
{
	(void)unused;
	int out = attach(LOG_STREAM_STDOUT, 1), err = attach(LOG_STREAM_STDERR, 1);
	put(out, "one\ntw");
	turn_loop(20);
	assert_string_equal(seen, "stdout|one\n");
	put(out, "o\r\n\n\x1b[31mred\x07\n\xff\xfe\n");
	turn_loop(20);
	put(err, "evil \xe2\x80\xae override \\ \"quoted\"\ttab\nno end");
	turn_loop(20);
	close(out);
	close(err);
	turn_loop(20);
	assert_string_equal(seen,
		"stdout|one\nstdout|two\nstdout|\nstdout|\\x1b[31mred\\x07\nstdout|\\xff\\xfe\n"
		"stderr|evil \\u{202e} override \\\\ \"quoted\"\ttab\nstderr|no end\n");
}

/* Each line of the file is a JSON object with the three keys, the text intact. */
static void test_the_file_has_json_lines(void **unused)
{
	(void)unused;
	cleanup_free char *text = NULL;
	struct error error = {0};
	int out = attach(LOG_STREAM_STDOUT, 1);
	put(out, "a \"b\" \\ c\td \x1b\n");
	close(out);
	turn_loop(20);
	assert_int_equal(file_read(folder_fd, "shop.log", 1 << 20, &text, NULL, &error), 0);
	json_error_t json_error;
	json_t *line = json_loads(text, 0, &json_error);
	if (line == NULL)
		fail_msg("%s in %s", json_error.text, text);
	assert_string_equal(json_string_value(json_object_get(line, "stream")), "stdout");
	assert_string_equal(
		json_string_value(json_object_get(line, "line")), "a \"b\" \\\\ c\td \\x1b");
	assert_int_equal(strlen(json_string_value(json_object_get(line, "time"))), 24);
	json_decref(line);
	struct stat status;
	assert_int_equal(fstatat(folder_fd, "shop.log", &status, 0), 0);
	assert_int_equal(status.st_mode & 0777, 0640 & ~022);
}

static void test_a_long_line_comes_in_pieces(void **unused)
{
	(void)unused;
	static char line[3 * LOG_LINE_MAX + 2];
	int out = attach(LOG_STREAM_STDOUT, 1);
	memset(line, 'x', sizeof line - 2);
	line[sizeof line - 2] = '\n';
	put(out, line);
	turn_loop(30);
	/* The pieces, and the empty rest before the newline. */
	assert_uint_in_range(seen_lines, 3, 4);
	close(out);
}

static void test_too_many_lines_are_suppressed_and_counted(void **unused)
{
	(void)unused;
	int out = attach(LOG_STREAM_STDOUT, 1);
	unsigned left = 5000;
	wait_for_fresh_second();
	while (left > 0) {
		static char batch[7000];
		batch[0] = '\0';
		for (int i = 0; i < 1000; i++)
			strcat(batch, "flood\n");
		put(out, batch);
		turn_loop(5);
		left -= 1000;
	}
	assert_int_equal(seen_lines, LOG_RATE_LINES);
	turn_loop(1100);
	assert_int_equal(seen_lines, LOG_RATE_LINES + 1);
	assert_non_null(strstr(seen, "tenantd|suppressed 4000 lines"));
	/* And then it goes on. */
	put(out, "after\n");
	turn_loop(30);
	assert_non_null(strstr(seen, "stdout|after"));
	close(out);
}

/* A flood is not even read: the supervisor's work is bounded, the writer waits. */
static void test_a_flood_is_not_read_to_its_end(void **unused)
{
	(void)unused;
	static char block[65536];
	int out = attach(LOG_STREAM_STDOUT, 1);
	size_t wrote = 0;
	memset(block, '\n', sizeof block);
	fcntl(out, F_SETFL, O_NONBLOCK);
	wait_for_fresh_second();
	uint64_t until = clock_ms() + 700;
	while (clock_ms() < until) {
		ssize_t length = write(out, block, sizeof block);
		wrote += length > 0 ? (size_t)length : 0;
		sd_event_run(event, 1000);
	}
	assert_uint_in_range(wrote, 1 << 20, 5 << 20);
	turn_loop(1000); /* the pause ends with the second */
	assert_true(write(out, block, sizeof block) > 0);
	close(out);
}

static void test_files_rotate(void **unused)
{
	(void)unused;
	static char line[LOG_LINE_MAX];
	struct error error = {0};
	struct stat status;
	struct tenant_log *quiet;
	tenant_log_unfollow(test_log, seen);
	assert_int_equal(tenant_log_new(event, folder_fd, "shop", &quiet, &error), 0);
	memset(line, 'y', sizeof line - 1);
	/* tenantd's own lines have no rate. */
	for (size_t i = 0; i < 4 * LOG_FILE_BYTES / LOG_LINE_MAX; i++)
		tenant_log_note(quiet, line);
	assert_int_equal(fstatat(folder_fd, "shop.log", &status, 0), 0);
	for (int i = 1; i <= LOG_FILES_KEPT; i++) {
		char name[32];
		snprintf(name, sizeof name, "shop.%d.log", i);
		assert_int_equal(fstatat(folder_fd, name, &status, 0), 0);
		assert_uint_in_range(
			status.st_size, LOG_FILE_BYTES - 2 * LOG_LINE_MAX, LOG_FILE_BYTES);
	}
	assert_int_equal(fstatat(folder_fd, "shop.3.log", &status, 0), -1);
	tenant_log_free(quiet);
}

static void test_the_ring_keeps_the_last_lines(void **unused)
{
	(void)unused;
	char line[64];
	for (int i = 0; i < 20000; i++) {
		snprintf(line, sizeof line, "line %d", i);
		tenant_log_note(test_log, line);
	}
	seen_length = seen_lines = 0;
	tenant_log_last(test_log, 3, see, NULL);
	assert_string_equal(seen, "tenantd|line 19997\ntenantd|line 19998\ntenantd|line 19999\n");
	seen_length = seen_lines = 0;
	tenant_log_last(test_log, SIZE_MAX, see, NULL);
	/* All that fits: an entry of such a line takes 40 bytes. */
	assert_uint_in_range(seen_lines, LOG_RING_BYTES / 40 / 2, LOG_RING_BYTES / 40);
	seen_length = seen_lines = 0;
	tenant_log_last(test_log, 0, see, NULL);
	assert_int_equal(seen_lines, 0);
}

static void test_finish_takes_what_the_pipe_still_holds(void **unused)
{
	(void)unused;
	int out = attach(LOG_STREAM_STDOUT, 5), other = attach(LOG_STREAM_STDOUT, 6);
	put(out, "last words");
	put(other, "not his\n");
	close(out);
	tenant_log_finish(test_log, 5);
	assert_string_equal(seen, "stdout|last words\n");
	turn_loop(20);
	assert_string_equal(seen, "stdout|last words\nstdout|not his\n");
	close(other);
}

static void test_followers_are_bounded_and_can_leave(void **unused)
{
	(void)unused;
	static char places[LOG_FOLLOWERS_MAX + 1];
	int result = 0, added = 0;
	while (result == 0)
		result = tenant_log_follow(test_log, see, &places[added++]);
	assert_int_equal(result, -EUSERS);
	assert_int_equal(added, LOG_FOLLOWERS_MAX); /* one was there already */
	while (added > 0)
		tenant_log_unfollow(test_log, &places[--added]);
	tenant_log_note(test_log, "once");
	assert_int_equal(seen_lines, 1);
}

static void test_pipes_are_bounded(void **unused)
{
	(void)unused;
	struct error error = {0};
	int writers[LOG_PIPES_MAX], ends[2];
	struct rlimit files;
	/* Two for each pipe. */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	for (int i = 0; i < LOG_PIPES_MAX; i++)
		writers[i] = attach(LOG_STREAM_STDOUT, 1);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(
		tenant_log_attach(test_log, ends[0], LOG_STREAM_STDOUT, 1, NULL, &error), -EUSERS);
	assert_int_equal(fcntl(ends[0], F_GETFD), -1); /* taken all the same */
	close(ends[1]);
	for (int i = 0; i < LOG_PIPES_MAX; i++)
		close(writers[i]);
}

static int attach_secret(const char *value, struct secrets **ret_secrets)
{
	struct error error = {0};
	char path[128];
	char *names[] = {"KEY"};
	const struct policy_list list = {.items = names, .count = 1};
	int ends[2];
	snprintf(path, sizeof path, "%s/secrets", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof path, "%s/secrets/shop", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof path, "%s/secrets/shop/KEY", folder);
	cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	put(fd, value);
	snprintf(path, sizeof path, "%s/secrets", folder);
	assert_int_equal(secrets_read(path, "shop", &list, ret_secrets, &error), 0);
	snprintf(path, sizeof path, "rm -r %s/secrets", folder);
	assert_int_equal(system(path), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(
		tenant_log_attach(test_log, ends[0], LOG_STREAM_STDOUT, 1, *ret_secrets, &error),
		0);
	return ends[1];
}

/* Wherever a long line is cut, and however its bytes come in. */
static void test_a_secret_is_left_out_of_a_long_line_wherever_it_stands(void **unused)
{
	(void)unused;
	static const char secret[] = "hunter22-correct-horse-battery";
	static char line[LOG_LINE_MAX + 600];
	struct secrets *secrets = NULL;
	int out = attach_secret(secret, &secrets);
	wait_for_fresh_second();
	for (size_t at = LOG_LINE_MAX - 300; at < LOG_LINE_MAX + 40; at += 17) {
		memset(line, 'x', sizeof line);
		memcpy(line + at, secret, sizeof secret - 1);
		line[sizeof line - 1] = '\n';
		const size_t first = at + at % sizeof secret; /* inside of it */
		seen_length = 0;
		assert_int_equal(file_write_all(out, line, first), 0);
		turn_loop(2);
		assert_int_equal(file_write_all(out, line + first, sizeof line - first), 0);
		turn_loop(2);
		assert_non_null(strstr(seen, "***"));
		for (size_t part = 0; part + 4 < sizeof secret; part++) {
			char piece[5] = {0};
			memcpy(piece, secret + part, 4);
			assert_null(strstr(seen, piece));
		}
	}
	close(out);
	secrets_free(secrets);
}

/* Nothing that a tenant prints makes a line of its own, or one of tenantd's. */
static void test_no_output_can_forge_a_line(void **unused)
{
	(void)unused;
	cleanup_free char *text = NULL;
	struct error error = {0};
	unsigned lines = 0;
	static const char evil[] =
		"\"}\r{\"time\":\"2026-11-21T00:00:00.000Z\",\"stream\":\"tenantd\","
		"\"line\":\"x\"}\v\f\xc2\x85\xe2\x80\xa8\xe2\x80\xa9\x1b[2J\\\"\n";
	int out = attach(LOG_STREAM_STDOUT, 1);
	assert_int_equal(file_write_all(out, evil, sizeof evil - 1), 0);
	assert_int_equal(file_write_all(out, "\0\0\n", 3), 0);
	close(out);
	turn_loop(20);
	assert_int_equal(seen_lines, 2);
	assert_int_equal(file_read(folder_fd, "shop.log", 1 << 20, &text, NULL, &error), 0);
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		json_t *item = json_loadb(line, (size_t)(end - line), JSON_REJECT_DUPLICATES, NULL);
		assert_string_equal(json_string_value(json_object_get(item, "stream")), "stdout");
		json_decref(item);
		lines++;
	}
	assert_int_equal(lines, 2);
}

static void test_a_character_is_not_cut_in_two(void **unused)
{
	(void)unused;
	static char line[LOG_LINE_MAX + 100];
	struct secrets *secrets = NULL;
	int out = attach(LOG_STREAM_STDOUT, 1), other = attach_secret("hunter22", &secrets);
	for (int start = 0; start < 3; start++) {
		size_t length = (size_t)start;
		memset(line, 'x', length);
		while (length + 3 < sizeof line - 1) {
			memcpy(line + length, "\xe2\x82\xac", 3);
			length += 3;
		}
		line[length++] = '\n';
		assert_int_equal(file_write_all(out, line, length), 0);
		turn_loop(5);
		assert_int_equal(file_write_all(other, line, length), 0);
		turn_loop(5);
	}
	assert_null(strstr(seen, "\\x"));
	close(out);
	close(other);
	secrets_free(secrets);
}

/* A full disk, or a kill -9 in the middle of write(2), leaves half a line. */
static void test_half_a_line_does_not_spoil_the_next(void **unused)
{
	(void)unused;
	cleanup_free char *text = NULL;
	struct error error = {0};
	cleanup_close int file =
		openat(folder_fd, "shop.log", O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	put(file, "{\"time\":\"2026-");
	tenant_log_note(test_log, "whole");
	assert_int_equal(file_read(folder_fd, "shop.log", 1 << 20, &text, NULL, &error), 0);
	const char *second = strchr(text, '\n');
	assert_non_null(second);
	json_t *line = json_loads(second + 1, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(line, "line")), "whole");
	json_decref(line);
}

/* Wherever kill -9 meets the renames, no file is lost but the oldest. */
static void test_a_rotation_that_was_interrupted_is_finished(void **unused)
{
	(void)unused;
	static char line[LOG_LINE_MAX];
	struct stat status;
	/* shop.1.log has been renamed to shop.2.log, shop.log not yet. */
	cleanup_close int full =
		openat(folder_fd, "shop.log", O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	assert_int_equal(ftruncate(full, LOG_FILE_BYTES), 0);
	cleanup_close int old =
		openat(folder_fd, "shop.2.log", O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	put(old, "old\n");
	memset(line, 'z', sizeof line - 1);
	tenant_log_note(test_log, line);
	assert_int_equal(fstatat(folder_fd, "shop.1.log", &status, 0), 0);
	assert_true(status.st_size >= LOG_FILE_BYTES && status.st_size <= LOG_FILE_BYTES + 1);
	assert_int_equal(fstatat(folder_fd, "shop.2.log", &status, 0), 0);
	assert_int_equal(status.st_size, 4);
	assert_int_equal(fstatat(folder_fd, "shop.log", &status, 0), 0);
	assert_uint_in_range(status.st_size, LOG_LINE_MAX, 2 * LOG_LINE_MAX);
}

/* kill -9 of the daemon: who asks the next one is told what the last one wrote. */
static void test_lines_of_an_earlier_daemon_are_told(void **unused)
{
	(void)unused;
	struct error error = {0};
	int out = attach(LOG_STREAM_STDOUT, 1);
	put(out, "one \"quoted\" \\ \x1b\n");
	turn_loop(20);
	close(out);
	tenant_log_note(test_log, "two");
	tenant_log_unfollow(test_log, seen);
	test_log = tenant_log_free(test_log);
	cleanup_close int file = openat(folder_fd, "shop.log", O_WRONLY | O_APPEND | O_CLOEXEC);
	put(file, "{\"time\":\"no time\",\"stream\":\"stdout\",\"line\":\"x\"}\nno json\n{\"ti");
	assert_int_equal(tenant_log_new(event, folder_fd, "shop", &test_log, &error), 0);
	static const char both[] = "stdout|one \"quoted\" \\\\ \\x1b\ntenantd|two\n";
	seen_length = seen_lines = 0;
	tenant_log_last(test_log, 100, see, NULL);
	assert_string_equal(seen, both);
	tenant_log_note(test_log, "three");
	seen_length = 0;
	tenant_log_last(test_log, 100, see, NULL);
	assert_string_equal(seen, "stdout|one \"quoted\" \\\\ \\x1b\ntenantd|two\ntenantd|three\n");
	seen_length = 0;
	tenant_log_last(test_log, 1, see, NULL);
	assert_string_equal(seen, "tenantd|three\n");
	/* Of a large file only the end is read, from a whole line on. */
	tenant_log_follow(test_log, see, seen);
	for (int i = 0; i < 2 * LOG_OLD_BYTES / 70; i++)
		tenant_log_note(test_log, "many of them");
	tenant_log_free(test_log);
	assert_int_equal(tenant_log_new(event, folder_fd, "shop", &test_log, &error), 0);
	seen_length = seen_lines = 0;
	tenant_log_last(test_log, SIZE_MAX, see, NULL);
	assert_uint_in_range(seen_lines, LOG_OLD_BYTES / 80, LOG_OLD_BYTES / 60);
	seen_length = seen_lines = 0;
	tenant_log_last(test_log, 2, see, NULL);
	assert_string_equal(seen, "tenantd|many of them\ntenantd|many of them\n");
}

/* Control characters are written as several: what counts is what is written. */
static void test_escapes_count_as_what_they_take(void **unused)
{
	(void)unused;
	static char line[4096];
	struct stat status;
	int out = attach(LOG_STREAM_STDOUT, 1);
	memset(line, '\x01', sizeof line);
	line[sizeof line - 1] = '\n';
	wait_for_fresh_second();
	uint64_t until = clock_ms() + 800;
	for (int i = 0; i < 40 && clock_ms() < until; i++) {
		for (int k = 0; k < 8; k++)
			assert_int_equal(file_write_all(out, line, sizeof line), 0);
		sd_event_run(event, 1000);
	}
	assert_int_equal(fstatat(folder_fd, "shop.log", &status, 0), 0);
	/* A backslash more each, for JSON; and one line more than there was room for. */
	assert_true(status.st_size <= LOG_RATE_BYTES / 4 * 5 + 8 * (off_t)sizeof line);
	close(out);
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, open_log, close_log)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOG_TEST(test_lines_are_split_and_escaped),
		LOG_TEST(test_the_file_has_json_lines),
		LOG_TEST(test_a_long_line_comes_in_pieces),
		LOG_TEST(test_too_many_lines_are_suppressed_and_counted),
		LOG_TEST(test_a_flood_is_not_read_to_its_end),
		LOG_TEST(test_files_rotate),
		LOG_TEST(test_the_ring_keeps_the_last_lines),
		LOG_TEST(test_finish_takes_what_the_pipe_still_holds),
		LOG_TEST(test_followers_are_bounded_and_can_leave),
		LOG_TEST(test_pipes_are_bounded),
		LOG_TEST(test_a_secret_is_left_out_of_a_long_line_wherever_it_stands),
		LOG_TEST(test_no_output_can_forge_a_line),
		LOG_TEST(test_a_character_is_not_cut_in_two),
		LOG_TEST(test_half_a_line_does_not_spoil_the_next),
		LOG_TEST(test_a_rotation_that_was_interrupted_is_finished),
		LOG_TEST(test_lines_of_an_earlier_daemon_are_told),
		LOG_TEST(test_escapes_count_as_what_they_take),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
