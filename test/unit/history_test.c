/* The history of releases and the log of operations: what is kept, in which order, over every
 * kind of end; and what a damaged file leads to. */
#include "daemon/history.h"

#include "common/cleanup.h"
#include "daemon/operations.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static int folder_fd = -1;
static struct history *history;
static const struct who somebody = {.uid = 1000, .pid = 42, .user = "alice", .command = "ctl"};

static int set_up(void **unused)
{
	(void)unused;
	snprintf(folder, sizeof folder, "/tmp/history_test.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return history_open(folder_fd, 3, &history, NULL);
}

static int tear_down(void **unused)
{
	char command[128];
	(void)unused;
	history_close(history);
	close_fd(&folder_fd);
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

/* The id of release number N. */
static const char *id(unsigned n)
{
	static char ids[8][STORE_ID_SIZE];
	static unsigned next;
	char *place = ids[next++ % 8];
	snprintf(place, STORE_ID_SIZE, "%08x%056x", n * 0x11111111u, n);
	return place;
}

static void begin(unsigned n, unsigned from)
{
	struct error error = {0};
	char active[STORE_ID_SIZE];
	snprintf(active, sizeof active, "%s", from ? id(from) : "");
	const struct history_attempt attempt = {
		.release = id(n), .from = active, .by = &somebody, .message = "why\n\x1b[31m"};
	if (history_begin(history, "shop", active, &attempt, &error) < 0)
		fail_msg("%s", error.message);
}

static void deploy(unsigned n, unsigned from)
{
	begin(n, from);
	history_live(history, "shop", from ? id(from) : "", id(n), NULL);
}

/* "n:outcome n:outcome …" */
static const char *outcomes(unsigned active)
{
	static char text[1024];
	json_t *list = history_releases(history, "shop", active ? id(active) : ""), *one;
	size_t i;
	text[0] = '\0';
	json_array_foreach(list, i, one)
	{
		unsigned n = 0;
		const char *release = json_string_value(json_object_get(one, "release"));
		sscanf(release + 8, "%x", &n);
		size_t used = strlen(text);
		snprintf(text + used, sizeof text - used, "%s%u:%s", i ? " " : "", n,
			json_string_value(json_object_get(one, "outcome")));
	}
	json_decref(list);
	return text;
}

static size_t kept(unsigned active, unsigned n)
{
	const char (*ids)[STORE_ID_SIZE];
	const ssize_t count = history_kept(history, "shop", id(active), &ids);
	size_t found = 0;
	for (ssize_t i = 0; i < count; i++)
		found += strcmp(ids[i], id(n)) == 0;
	return found;
}

/* As after a restart of the daemon. */
static void reopen(void)
{
	history_close(history);
	assert_int_equal(history_open(folder_fd, 3, &history, NULL), 0);
}

static void the_last_to_go_live_comes_first(void **unused)
{
	(void)unused;
	deploy(1, 0);
	deploy(2, 1);
	deploy(3, 2);
	assert_string_equal(outcomes(3), "3:active 2:previous 1:kept");
	reopen();
	assert_string_equal(outcomes(3), "3:active 2:previous 1:kept");
	deploy(1, 3);
	assert_string_equal(outcomes(1), "1:active 3:previous 2:kept");
}

static void as_many_are_kept_as_was_said(void **unused)
{
	(void)unused;
	for (unsigned n = 1; n <= 6; n++)
		deploy(n, n - 1);
	assert_string_equal(outcomes(6), "6:active 5:previous 4:kept");
	for (unsigned n = 1; n <= 6; n++)
		assert_int_equal(kept(6, n), n > 3);
	reopen();
	assert_int_equal(kept(6, 4), 1);
	assert_int_equal(kept(6, 3), 0);
	assert_int_equal(history_set_keep(history, "shop", id(6), 1, NULL), 0);
	/* Active and previous stay. */
	assert_string_equal(outcomes(6), "6:active 5:previous");
	assert_int_equal(kept(6, 5), 1);
}

/* `tenantctl prune NAME` alone: the number that holds for the tenant goes on to hold. */
static void no_number_changes_no_number(void **unused)
{
	(void)unused;
	for (unsigned n = 1; n <= 4; n++)
		deploy(n, n - 1);
	assert_int_equal(history_set_keep(history, "shop", id(4), 0, NULL), 0);
	assert_string_equal(outcomes(4), "4:active 3:previous 2:kept");
	deploy(5, 4);
	assert_string_equal(outcomes(5), "5:active 4:previous 3:kept");
	assert_int_equal(history_set_keep(history, "shop", id(5), 2, NULL), 0);
	assert_int_equal(history_set_keep(history, "shop", id(5), 0, NULL), 0);
	assert_string_equal(outcomes(5), "5:active 4:previous");
}

/* Else whoever removes what nobody keeps would remove all that can be rolled back to. */
static void what_cannot_be_read_is_not_taken_for_nothing(void **unused)
{
	const char (*ids)[STORE_ID_SIZE];
	char path[128], aside[128];
	(void)unused;
	deploy(1, 0);
	deploy(2, 1);
	reopen();
	snprintf(path, sizeof path, "%s/history/shop.json", folder);
	snprintf(aside, sizeof aside, "%s/history/aside", folder);
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(history_kept(history, "shop", id(2), &ids), -EISDIR);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rename(aside, path), 0);
	assert_int_equal(kept(2, 1), 1);
}

static void one_that_was_rolled_back_is_not_gone_back_to(void **unused)
{
	char found[STORE_ID_SIZE];
	(void)unused;
	for (unsigned n = 1; n <= 3; n++)
		deploy(n, n - 1);
	history_live(history, "shop", id(3), id(2), "slow");
	assert_string_equal(outcomes(2), "2:active 3:rolled-back 1:previous");
	assert_int_equal(history_previous(history, "shop", id(2), found, NULL), 0);
	assert_string_equal(found, id(1));
	history_live(history, "shop", id(2), id(1), "slow, too");
	assert_string_equal(outcomes(1), "1:active 2:rolled-back 3:rolled-back");
	assert_int_equal(history_previous(history, "shop", id(1), found, NULL), -ENOENT);
	/* Unless it is named. */
	assert_int_equal(history_find(history, "shop", id(1), "33333333", found, NULL), 0);
	history_live(history, "shop", id(1), id(3), "better");
	assert_string_equal(outcomes(3), "3:active 1:rolled-back 2:rolled-back");
}

/* An automatic rollback begins, and the daemon is killed before what was there before serves. */
static void one_that_is_condemned_is_not_gone_back_to(void **unused)
{
	(void)unused;
	deploy(1, 0);
	deploy(2, 1);
	history_condemn(history, "shop", id(2), "it crashed");
	reopen();
	assert_string_equal(outcomes(2), "2:active 1:previous");
	deploy(3, 2);
	assert_string_equal(outcomes(3), "3:active 2:rolled-back 1:previous");
}

static void what_failed_is_remembered_for_a_while(void **unused)
{
	char found[STORE_ID_SIZE];
	struct error error = {0};
	(void)unused;
	deploy(1, 0);
	begin(2, 1);
	assert_string_equal(outcomes(1), "2:trying 1:active");
	assert_int_equal(kept(1, 2), 1); /* while it is tried */
	history_failed(history, "shop", id(1), id(2), "boot-failed: oh\nno");
	assert_string_equal(outcomes(1), "2:failed 1:active");
	assert_int_equal(kept(1, 2), 0);
	assert_int_equal(history_find(history, "shop", id(1), id(2), found, &error), -ESTALE);
	assert_non_null(strstr(error.message, "failed (boot-failed: oh no)"));
	for (unsigned n = 3; n < 12; n++) {
		begin(n, 1);
		history_failed(history, "shop", id(1), id(n), "again");
	}
	assert_string_equal(outcomes(1), "11:failed 10:failed 9:failed 8:failed 7:failed 1:active");
	/* It did go live: a failure that is told late changes nothing. */
	history_failed(history, "shop", id(1), id(1), "late");
	assert_string_equal(outcomes(1), "11:failed 10:failed 9:failed 8:failed 7:failed 1:active");
}

static void a_good_one_that_fails_again_stays_good(void **unused)
{
	(void)unused;
	deploy(1, 0);
	deploy(2, 1);
	begin(1, 2);
	history_failed(history, "shop", id(2), id(1), "no port");
	assert_string_equal(outcomes(2), "2:active 1:previous");
	begin(2, 2);
	history_failed(history, "shop", id(2), id(2), "no port");
	assert_string_equal(outcomes(2), "2:active 1:previous");
}

static void a_daemon_that_is_killed_leaves_a_true_story(void **unused)
{
	(void)unused;
	deploy(1, 0);
	begin(2, 1);
	reopen(); /* before it was live */
	assert_string_equal(outcomes(1), "2:failed 1:active");
	begin(3, 1);
	reopen(); /* after the state file was written, before history_live */
	assert_string_equal(outcomes(3), "3:active 2:failed 1:previous");
	deploy(4, 3);
	assert_string_equal(outcomes(4), "4:active 3:previous 2:failed 1:kept");
	assert_int_equal(kept(4, 3), 1);
}

static void a_tenant_that_is_older_than_its_history(void **unused)
{
	char found[STORE_ID_SIZE];
	(void)unused;
	assert_string_equal(outcomes(7), "7:active");
	assert_int_equal(history_find(history, "shop", id(7), "7777", found, NULL), 0);
	begin(8, 7);
	history_live(history, "shop", id(7), id(8), NULL);
	assert_string_equal(outcomes(8), "8:active 7:previous");
}

static void a_damaged_file_is_put_aside(void **unused)
{
	static const char *const wrong[] = {"", "{", "[]", "{\"version\": 1}",
		"{\"version\": 2, \"releases\": []}",
		"{\"version\": 1, \"releases\": [{\"release\": \"../../etc\"}]}"};
	char path[128], aside[128];
	struct stat status;
	(void)unused;
	snprintf(path, sizeof path, "%s/history/shop.json", folder);
	snprintf(aside, sizeof aside, "%s/history/shop.json.damaged", folder);
	for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
		FILE *file = fopen(path, "we");
		assert_non_null(file);
		fputs(wrong[i], file);
		fclose(file);
		assert_string_equal(outcomes(1), "1:active");
		assert_int_equal(stat(aside, &status), 0);
		assert_int_equal(unlink(aside), 0);
	}
	deploy(2, 1);
	assert_string_equal(outcomes(2), "2:active 1:previous");
}

static void names_are_found_by_their_beginning(void **unused)
{
	char found[STORE_ID_SIZE];
	struct error error = {0};
	(void)unused;
	deploy(1, 0);
	deploy(2, 1);
	assert_int_equal(history_find(history, "shop", id(2), "previous", found, NULL), 0);
	assert_string_equal(found, id(1));
	assert_int_equal(history_find(history, "shop", id(2), "active", found, NULL), 0);
	assert_string_equal(found, id(2));
	assert_int_equal(history_find(history, "shop", id(2), "1111", found, NULL), 0);
	assert_string_equal(found, id(1));
	assert_int_equal(history_find(history, "shop", id(2), "111", found, &error), -EINVAL);
	assert_int_equal(history_find(history, "shop", id(2), "11xy", found, &error), -EINVAL);
	assert_int_equal(history_find(history, "shop", id(2), "9999", found, &error), -ENOENT);
	/* Two that begin alike. */
	const struct history_attempt attempt = {
		.release = "1111111122222222222222222222222222222222222222222222222222222222",
		.by = &somebody};
	assert_int_equal(history_begin(history, "shop", id(2), &attempt, NULL), 0);
	assert_int_equal(history_find(history, "shop", id(2), "1111", found, &error), -EINVAL);
	assert_non_null(strstr(error.message, "could be"));
}

/* ---- operations ---- */

static void take(void *data, json_t *object)
{
	json_array_append(data, object);
}

static json_t *last(struct operations *operations, const char *tenant, size_t lines)
{
	json_t *found = json_array();
	operations_last(operations, tenant, lines, take, found);
	return found;
}

static void note(struct operations *operations, const char *tenant, const char *message)
{
	operations_note(operations, &(struct operation){
					    .action = "deploy",
					    .tenant = tenant,
					    .by = &somebody,
					    .to = id(1),
					    .result = "ok",
					    .message = message,
				    });
}

static void half_a_line_spoils_no_other(void **unused)
{
	struct operations *operations;
	char path[128];
	(void)unused;
	assert_int_equal(operations_open(folder_fd, &operations, NULL), 0);
	note(operations, "shop", "one");
	operations_close(operations);
	snprintf(path, sizeof path, "%s/operations/operations.jsonl", folder);
	struct stat status;
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	/* Cut in the middle of its last line, at every place. */
	for (off_t length = status.st_size; length >= 0; length--) {
		assert_int_equal(truncate(path, length), 0);
		assert_int_equal(operations_open(folder_fd, &operations, NULL), 0);
		note(operations, "shop", "two \"\x1b[31m\n");
		json_t *found = last(operations, NULL, 10);
		/* Without its newline a line is whole all the same. */
		assert_int_equal(json_array_size(found), length >= status.st_size - 1 ? 2 : 1);
		const json_t *two = json_array_get(found, json_array_size(found) - 1);
		assert_string_equal(
			json_string_value(json_object_get(two, "message")), "two \"\\x1b[31m\\x0a");
		assert_string_equal(
			json_string_value(json_object_get(json_object_get(two, "by"), "user")),
			"alice");
		json_decref(found);
		operations_close(operations);
	}
}

static void the_log_is_bounded(void **unused)
{
	struct operations *operations;
	char message[OPERATIONS_MESSAGE_MAX], path[128];
	struct stat status;
	(void)unused;
	memset(message, 'x', sizeof message - 1);
	message[sizeof message - 1] = '\0';
	/* As if it had been written for years. */
	snprintf(path, sizeof path, "%s/operations", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	for (int i = 0; i < OPERATIONS_FILES; i++) {
		snprintf(path, sizeof path,
			i ? "%s/operations/operations.%d.jsonl" : "%s/operations/operations.jsonl",
			folder, i);
		FILE *file = fopen(path, "we");
		assert_non_null(file);
		fprintf(file, "{\"tenant\":\"old-%d\",\"n\":%d}\n", i, i);
		if (i == 0)
			for (long used = 0; used < OPERATIONS_FILE_BYTES - 100; used += 2)
				fputs("\n\n", file);
		fclose(file);
	}
	assert_int_equal(operations_open(folder_fd, &operations, NULL), 0);
	note(operations, "shop", "opens the file");
	note(operations, "shop", message);
	snprintf(path, sizeof path, "%s/operations/operations.jsonl", folder);
	assert_int_equal(stat(path, &status), 0);
	assert_true(status.st_size < 4096);
	snprintf(path, sizeof path, "%s/operations/operations.%d.jsonl", folder, OPERATIONS_FILES);
	assert_int_equal(stat(path, &status), -1);
	json_t *found = last(operations, NULL, 100);
	assert_int_equal(json_array_size(found), OPERATIONS_FILES + 1);
	json_decref(found);
	found = last(operations, "old-3", 100);
	assert_int_equal(json_array_size(found), 1);
	json_decref(found);
	found = last(operations, NULL, 1);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(found, 0), "message")), message);
	json_decref(found);
	operations_close(operations);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_last_to_go_live_comes_first),
		TEST(as_many_are_kept_as_was_said),
		TEST(no_number_changes_no_number),
		TEST(what_cannot_be_read_is_not_taken_for_nothing),
		TEST(one_that_was_rolled_back_is_not_gone_back_to),
		TEST(one_that_is_condemned_is_not_gone_back_to),
		TEST(what_failed_is_remembered_for_a_while),
		TEST(a_good_one_that_fails_again_stays_good),
		TEST(a_daemon_that_is_killed_leaves_a_true_story),
		TEST(a_tenant_that_is_older_than_its_history),
		TEST(a_damaged_file_is_put_aside),
		TEST(names_are_found_by_their_beginning),
		TEST(half_a_line_spoils_no_other),
		TEST(the_log_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
