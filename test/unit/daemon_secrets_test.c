/* Secrets: who may hold them, where they are found, and that they are left out of text. */
#include "daemon/secrets.h"

#include "common/cleanup.h"
#include "common/file.h"
#include "daemon/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static void put_at(const char *path, const char *content, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, content, strlen(content)), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void put(const char *name, const char *content, mode_t mode)
{
	char path[256];
	snprintf(path, sizeof path, "%s/shop/%s", folder, name);
	put_at(path, content, mode);
}

static int make_folder(void **state)
{
	char path[128];
	(void)state;
	strcpy(folder, "/tmp/secrets-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/shop", folder);
	unsetenv("CREDENTIALS_DIRECTORY");
	return mkdir(path, 0700);
}

static int remove_folder(void **state)
{
	char command[128];
	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

static int read_one(const char *name, struct secrets **ret, struct error *error)
{
	char *names[] = {(char *)name};
	struct policy_list list = {.items = names, .count = 1};
	return secrets_read(folder, "shop", &list, ret, error);
}

static void refuse(const char *name, int code, const char *why)
{
	struct secrets *secrets = NULL;
	struct error error = {0};
	assert_int_equal(read_one(name, &secrets, &error), -code);
	if (strstr(error.message, why) == NULL)
		fail_msg("%s: %s", name, error.message);
	assert_null(secrets);
}

static void take(const char *name, const char *entry)
{
	struct secrets *secrets = NULL;
	struct error error = {0};
	if (read_one(name, &secrets, &error) < 0)
		fail_msg("%s", error.message);
	assert_int_equal(secrets_count(secrets), 1);
	assert_string_equal(secrets_entry(secrets, 0), entry);
	secrets_free(secrets);
}

static void one_newline_at_the_end_is_cut(void **state)
{
	(void)state;
	put("KEY", "s3cret\n", 0600);
	take("KEY", "KEY=s3cret");
	put("KEY", "two\n\n", 0400);
	take("KEY", "KEY=two\n");
	put("KEY", "", 0600);
	take("KEY", "KEY=");
}

static void what_others_could_read_or_write_is_refused(void **state)
{
	char path[256];
	(void)state;
	put("KEY", "x", 0640);
	refuse("KEY", EPERM, "mode 0640");
	put("KEY", "x", 0604);
	refuse("KEY", EPERM, "chmod 0600");
	put("KEY", "x", 0600);
	snprintf(path, sizeof path, "%s/shop", folder);
	chmod(path, 0770);
	refuse("KEY", EPERM, "chmod go-w");
	chmod(path, 0700);
	if (geteuid() == 0) {
		snprintf(path, sizeof path, "%s/shop/KEY", folder);
		assert_int_equal(chown(path, 1000, 0), 0);
		refuse("KEY", EPERM, "belongs to user 1000");
	}
}

static void links_folders_and_pipes_are_refused(void **state)
{
	char path[256], target[256];
	(void)state;
	put("REAL", "x", 0600);
	snprintf(path, sizeof path, "%s/shop/LINK", folder);
	snprintf(target, sizeof target, "%s/shop/REAL", folder);
	assert_int_equal(symlink(target, path), 0);
	refuse("LINK", ELOOP, "links are not followed");
	snprintf(path, sizeof path, "%s/shop/PIPE", folder);
	assert_int_equal(mkfifo(path, 0600), 0);
	refuse("PIPE", EINVAL, "not a regular file");
	snprintf(path, sizeof path, "%s/shop/DIR", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	refuse("DIR", EINVAL, "not a regular file");
}

static void too_long_and_binary_ones_are_refused(void **state)
{
	static char large[SECRET_LENGTH_MAX + 2];
	char path[256];
	(void)state;
	memset(large, 'x', SECRET_LENGTH_MAX);
	put("LONG", large, 0600);
	struct secrets *secrets = NULL;
	struct error error = {0};
	assert_int_equal(read_one("LONG", &secrets, &error), 0);
	secrets_free(secrets);
	large[SECRET_LENGTH_MAX] = 'x';
	put("LONG", large, 0600);
	refuse("LONG", EFBIG, "larger than");
	snprintf(path, sizeof path, "%s/shop/ZERO", folder);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "a\0b", 3), 3);
	close(fd);
	refuse("ZERO", EINVAL, "zero byte");
}

static void a_missing_one_says_where_it_was_looked_for(void **state)
{
	(void)state;
	refuse("NONE", ENOKEY, "/shop/NONE");
	refuse("NONE", ENOKEY, "no systemd credentials");
	setenv("CREDENTIALS_DIRECTORY", folder, 1);
	refuse("NONE", ENOKEY, "shop.NONE and NONE");
}

static void credentials_come_after_files_the_most_specific_first(void **state)
{
	char path[256];
	(void)state;
	setenv("CREDENTIALS_DIRECTORY", folder, 1);
	snprintf(path, sizeof path, "%s/KEY", folder);
	put_at(path, "for all\n", 0440);
	take("KEY", "KEY=for all");
	snprintf(path, sizeof path, "%s/shop.KEY", folder);
	put_at(path, "its own", 0440);
	take("KEY", "KEY=its own");
	/* As ImportCredential=tenantd.* names it. */
	snprintf(path, sizeof path, "%s/tenantd.shop.KEY", folder);
	put_at(path, "imported", 0400);
	take("KEY", "KEY=imported");
	put("KEY", "of the operator", 0600);
	take("KEY", "KEY=of the operator");
}

/* ---- leaving out ---- */

static struct secrets *make(const char *a, const char *b)
{
	char *names[] = {(char *)"A", (char *)"B"};
	struct policy_list list = {.items = names, .count = b ? 2 : 1};
	struct secrets *secrets = NULL;
	struct error error = {0};
	put("A", a, 0600);
	if (b)
		put("B", b, 0600);
	if (secrets_read(folder, "shop", &list, &secrets, &error) < 0)
		fail_msg("%s", error.message);
	return secrets;
}

static void check(const struct secrets *secrets, const char *text, const char *expected)
{
	char copy[1024];
	snprintf(copy, sizeof copy, "%s", text);
	secrets_redact_string(secrets, copy);
	assert_string_equal(copy, expected);
}

static void values_become_stars(void **state)
{
	(void)state;
	struct secrets *secrets = make("hunter22", "swordfish");
	check(secrets, "", "");
	check(secrets, "nothing here", "nothing here");
	check(secrets, "hunter22", "***");
	check(secrets, "the key is hunter22, and swordfish too", "the key is ***, and *** too");
	check(secrets, "hunter22swordfish", "***");
	check(secrets, "hunter2", "hunter2");
	check(secrets, "hunthunter22", "hunt***");
	check(NULL, "hunter22", "hunter22");
	secrets_free(secrets);
}

static void overlapping_values_leave_nothing_over(void **state)
{
	(void)state;
	struct secrets *secrets = make("abcdef", "defghi");
	check(secrets, "xabcdefghiy", "x***y");
	secrets_free(secrets);
	secrets = make("aaaa", "aaaaaaaa");
	check(secrets, "aaaaaaaaaaa-aaa", "***-aaa");
	secrets_free(secrets);
}

static void short_values_stay(void **state)
{
	(void)state;
	struct secrets *secrets = make("abc", NULL);
	check(secrets, "abcabc", "abcabc");
	secrets_free(secrets);
}

static void each_line_of_a_value_is_left_out(void **state)
{
	(void)state;
	struct secrets *secrets = make("-----BEGIN\nMIIEvQ\r\nabc\nfinal-line\n", NULL);
	check(secrets, "MIIEvQ", "***");
	check(secrets, "x final-line y", "x *** y");
	check(secrets, "abc", "abc");
	secrets_free(secrets);
}

static void a_long_value_is_left_out_wherever_it_is_cut(void **state)
{
	(void)state;
	char value[700], text[1024];
	for (size_t i = 0; i < sizeof value - 1; i++)
		value[i] = (char)('!' + (i * 7 + i / 90) % 90);
	value[sizeof value - 1] = '\0';
	struct secrets *secrets = make(value, NULL);
	snprintf(text, sizeof text, "<%s>", value);
	check(secrets, text, "<***>");
	secrets_free(secrets);
}

/* ---- in a log ---- */

static char lines[64 * 1024];

static void see(void *data, const struct log_entry *entry)
{
	(void)data;
	strcat(lines, entry->line);
	strcat(lines, "\n");
}

/* Writes TEXT to a log in pieces of SIZE bytes, and collects the lines. */
static void write_log(struct secrets *secrets, const char *text, size_t size)
{
	sd_event *event = NULL;
	struct tenant_log *log = NULL;
	struct error error = {0};
	int ends[2], folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	lines[0] = '\0';
	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(tenant_log_new(event, folder_fd, "shop", &log, &error), 0);
	assert_int_equal(tenant_log_follow(log, see, NULL), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(tenant_log_attach(log, ends[0], LOG_STREAM_STDOUT, 1, secrets, &error), 0);
	for (size_t left = strlen(text); left > 0;) {
		size_t part = left < size ? left : size;
		assert_int_equal(write(ends[1], text, part), part);
		text += part;
		left -= part;
		assert_true(sd_event_run(event, 1000000) > 0);
	}
	close(ends[1]);
	tenant_log_finish(log, 1);
	tenant_log_free(log);
	tenant_log_delete(folder_fd, "shop");
	sd_event_unref(event);
	close(folder_fd);
}

static void a_log_has_none_also_when_it_comes_in_pieces(void **state)
{
	(void)state;
	struct secrets *secrets = make("hunter22", NULL);
	for (size_t size = 1; size < 12; size++) {
		write_log(secrets, "key=hunter22;\nplain\nhunter22\n", size);
		assert_string_equal(lines, "key=***;\nplain\n***\n");
	}
	secrets_free(secrets);
}

/* A line longer than the buffer goes out in pieces: at every place of the cut. */
static void a_long_line_is_not_cut_in_a_secret(void **state)
{
	(void)state;
	static char text[LOG_LINE_MAX + 400];
	struct secrets *secrets = make("hunter22", NULL);
	for (size_t at = LOG_LINE_MAX - 300; at < LOG_LINE_MAX + 40; at += 3) {
		memset(text, '.', sizeof text);
		memcpy(text + at, "hunter22", 8);
		text[sizeof text - 2] = '\n';
		text[sizeof text - 1] = '\0';
		write_log(secrets, text, 4096);
		assert_null(strstr(lines, "hunt"));
		assert_null(strstr(lines, "er22"));
		assert_non_null(strstr(lines, "***"));
	}
	secrets_free(secrets);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		TEST(one_newline_at_the_end_is_cut),
		TEST(what_others_could_read_or_write_is_refused),
		TEST(links_folders_and_pipes_are_refused),
		TEST(too_long_and_binary_ones_are_refused),
		TEST(a_missing_one_says_where_it_was_looked_for),
		TEST(credentials_come_after_files_the_most_specific_first),
		TEST(values_become_stars),
		TEST(overlapping_values_leave_nothing_over),
		TEST(short_values_stay),
		TEST(each_line_of_a_value_is_left_out),
		TEST(a_long_value_is_left_out_wherever_it_is_cut),
		TEST(a_log_has_none_also_when_it_comes_in_pieces),
		TEST(a_long_line_is_not_cut_in_a_secret),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
