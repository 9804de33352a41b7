/* The audit log: its lines, what is asked of it, rotation, the rate, what a worker may
 * claim. */
#include "daemon/audit.h"

#include "common/cleanup.h"
#include "common/file.h"
#include "daemon/instance.h"

#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static int folder_fd;
static struct audit *audit;
static struct factory factory;
static struct instance instance;

static int open_log(void **state)
{
	struct error error = {0};
	(void)state;
	strcpy(folder, "/tmp/audit-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (audit_open(NULL, folder_fd, &audit, &error) < 0)
		return -1;
	factory.audit = audit;
	instance = (struct instance){
		.factory = &factory,
		.tenant = "shop",
		.release = "abc",
		.pid = 42,
		.audit = POLICY_AUDIT_DENIED,
	};
	return 0;
}

static int close_log(void **state)
{
	char command[128];
	(void)state;
	audit = audit_close(audit);
	close(folder_fd);
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

struct lines {
	size_t count;
	json_t *items[4096];
};

static void collect(void *data, const char *line, size_t length)
{
	struct lines *lines = data;
	json_error_t error;
	json_t *item = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
	if (item == NULL)
		fail_msg("no JSON: %s: %.*s", error.text, (int)length, line);
	if (lines->count < 4096)
		lines->items[lines->count++] = item;
}

static struct lines *last(const char *tenant, bool denied, size_t count)
{
	static struct lines lines;
	while (lines.count > 0)
		json_decref(lines.items[--lines.count]);
	assert_true(audit_last(audit,
		&(struct audit_query){.tenant = tenant, .denied_only = denied, .lines = count},
		collect, &lines));
	return &lines;
}

static const char *text(const json_t *item, const char *key)
{
	const char *value = json_string_value(json_object_get(item, key));
	return value ? value : "";
}

static void write_for(const char *tenant, bool allowed, const char *resource)
{
	audit_write(audit, &(struct audit_event){.tenant = tenant,
				   .permission = AUDIT_FS_READ,
				   .resource = resource,
				   .allowed = allowed,
				   .layer = AUDIT_LAYER_MOUNT});
}

static void a_record_has_all_that_is_known(void **state)
{
	(void)state;
	audit_record(&instance, AUDIT_NET_CONNECT, "example.com:443", false, AUDIT_LAYER_EGRESS,
		"no rule");
	struct lines *lines = last(NULL, false, 10);
	assert_int_equal(lines->count, 1);
	const json_t *item = lines->items[0];
	assert_string_equal(text(item, "tenant"), "shop");
	assert_string_equal(text(item, "release"), "abc");
	assert_int_equal(json_integer_value(json_object_get(item, "pid")), 42);
	assert_string_equal(text(item, "permission"), "net.connect");
	assert_string_equal(text(item, "resource"), "example.com:443");
	assert_string_equal(text(item, "result"), "denied");
	assert_string_equal(text(item, "layer"), "egress");
	assert_string_equal(text(item, "detail"), "no rule");
	assert_int_equal(strlen(text(item, "time")), 24);
	char path[128];
	struct stat status;
	snprintf(path, sizeof path, "%s/audit/audit.jsonl", folder);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
}

static void the_policy_says_what_is_recorded(void **state)
{
	(void)state;
	audit_record(&instance, AUDIT_FS_READ, "/a", true, AUDIT_LAYER_MOUNT, NULL);
	assert_int_equal(last(NULL, false, 10)->count, 0);
	instance.audit = POLICY_AUDIT_ALL;
	audit_record(&instance, AUDIT_FS_READ, "/a", true, AUDIT_LAYER_MOUNT, NULL);
	assert_int_equal(last(NULL, false, 10)->count, 1);
	instance.audit = POLICY_AUDIT_OFF;
	audit_record(&instance, AUDIT_FS_READ, "/a", false, AUDIT_LAYER_MOUNT, NULL);
	assert_int_equal(last(NULL, false, 10)->count, 1);
}

static void what_a_tenant_names_cannot_break_a_line(void **state)
{
	static char large[AUDIT_RESOURCE_MAX + 1];
	(void)state;
	write_for(
		"shop", false, "/x\",\"tenant\":\"victim\"\n{\"result\":\"denied\"}\x1b[2J\xff\\");
	memset(large, '\x01', AUDIT_RESOURCE_MAX);
	write_for("shop", false, large);
	assert_int_equal(last("victim", false, 10)->count, 0);
	struct lines *lines = last("shop", false, 10);
	assert_int_equal(lines->count, 2);
	assert_non_null(strstr(text(lines->items[0], "resource"), "\\x0a"));
	assert_null(strchr(text(lines->items[0], "resource"), '\x1b'));
	assert_non_null(strstr(text(lines->items[1], "resource"), "…"));
}

static void questions_are_answered_by_tenant_result_and_number(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		char path[16];
		snprintf(path, sizeof path, "/%d", i);
		write_for(i % 2 ? "shop" : "sho", i % 4 < 2, path);
	}
	assert_int_equal(last(NULL, false, 100)->count, 10);
	assert_int_equal(last("sho", false, 100)->count, 5);
	assert_int_equal(last("shop", true, 100)->count, 2);
	assert_int_equal(last("sh", false, 100)->count, 0);
	assert_int_equal(last(NULL, false, 0)->count, 0);
	struct lines *lines = last("shop", false, 2);
	assert_int_equal(lines->count, 2);
	assert_string_equal(text(lines->items[0], "resource"), "/7");
	assert_string_equal(text(lines->items[1], "resource"), "/9");
}

static void the_rate_of_one_tenant_is_not_anothers(void **state)
{
	(void)state;
	for (int i = 0; i < AUDIT_BURST + 300; i++)
		write_for("noisy", false, "/a");
	write_for("quiet", false, "/b");
	size_t count = last("noisy", false, 4096)->count;
	assert_true(count >= AUDIT_BURST && count < AUDIT_BURST + 50);
	assert_int_equal(last("quiet", false, 10)->count, 1);
	usleep(2 * 1000000 / AUDIT_RATE);
	write_for("noisy", false, "/again");
	struct lines *lines = last("noisy", false, 2);
	assert_true(json_integer_value(json_object_get(lines->items[0], "dropped")) >= 250);
	assert_non_null(strstr(text(lines->items[0], "detail"), "records dropped"));
	assert_string_equal(text(lines->items[1], "resource"), "/again");
}

static size_t claim(uint32_t permission, uint32_t layer, uint32_t allowed, int number,
	const char *resource, char *target)
{
	struct message_audit head = {
		.header = {.type = MESSAGE_AUDIT, .instance = 1},
		.permission = permission,
		.layer = layer,
		.allowed = allowed,
		.syscall = number,
	};
	memcpy(target, &head, sizeof head);
	strcpy(target + sizeof head, resource);
	return sizeof head + strlen(resource) + 1;
}

static void a_worker_may_claim_only_what_it_can_see(void **state)
{
	char message[AUDIT_MESSAGE_MAX];
	(void)state;
	size_t length = claim(AUDIT_SYSCALL, AUDIT_LAYER_SECCOMP, 0, 165, "mount", message);
	assert_true(audit_message(&instance, message, length));
	const json_t *item = last("shop", true, 1)->items[0];
	assert_string_equal(text(item, "layer"), "seccomp");
	assert_non_null(strstr(text(item, "detail"), "165"));
	assert_non_null(strstr(text(item, "detail"), "told by the worker"));
	length = claim(AUDIT_SYSCALL, AUDIT_LAYER_SECCOMP, 0, 165, "", message);
	assert_true(audit_message(&instance, message, length));
	assert_string_equal(text(last("shop", true, 1)->items[0], "resource"), "mount");
	/* Not in the name of egress. */
	length = claim(AUDIT_NET_CONNECT, AUDIT_LAYER_EGRESS, 0, -1, "a:1", message);
	assert_true(audit_message(&instance, message, length));
	assert_string_equal(text(last("shop", true, 1)->items[0], "layer"), "engine");
	length = claim(AUDIT_FS_READ, AUDIT_LAYER_COUNT, 0, -1, "/a", message);
	assert_false(audit_message(&instance, message, length));
	length = claim(AUDIT_PERMISSION_COUNT, AUDIT_LAYER_MOUNT, 0, -1, "/a", message);
	assert_false(audit_message(&instance, message, length));
	length = claim(AUDIT_FS_READ, AUDIT_LAYER_MOUNT, 2, -1, "/a", message);
	assert_false(audit_message(&instance, message, length));
	length = claim(AUDIT_FS_READ, AUDIT_LAYER_MOUNT, 0, -1, "/a", message);
	assert_false(audit_message(&instance, message, length - 1)); /* without its end */
	assert_false(audit_message(&instance, message, sizeof(struct message_audit)));
}

/* It has a rate of its own, and tells how many decisions that kept back. */
static void what_a_worker_kept_back_is_counted(void **state)
{
	char message[AUDIT_MESSAGE_MAX];
	(void)state;
	size_t length = claim(AUDIT_FS_READ, AUDIT_LAYER_MOUNT, 0, -1, "/a", message);
	const uint32_t many = 1234, most = UINT32_MAX;
	memcpy(message + offsetof(struct message_audit, dropped), &many, sizeof many);
	assert_true(audit_message(&instance, message, length));
	struct lines *lines = last("shop", false, 10);
	assert_int_equal(lines->count, 2);
	assert_int_equal(json_integer_value(json_object_get(lines->items[0], "dropped")), 1234);
	assert_non_null(strstr(text(lines->items[0], "detail"), "from its workers"));
	assert_string_equal(text(lines->items[1], "resource"), "/a");
	/* Whatever it claims, it gets no more lines by it. */
	memcpy(message + offsetof(struct message_audit, dropped), &most, sizeof most);
	for (int i = 0; i < AUDIT_BURST + 100; i++)
		assert_true(audit_message(&instance, message, length));
	assert_true(last("shop", false, 4096)->count <= 2 * (AUDIT_BURST + 30));
	instance.audit = POLICY_AUDIT_OFF;
	size_t before = last("shop", false, 4096)->count;
	assert_true(audit_message(&instance, message, length));
	assert_int_equal(last("shop", false, 4096)->count, before);
}

static void claims_do_not_hide_what_others_saw(void **state)
{
	char message[AUDIT_MESSAGE_MAX];
	(void)state;
	size_t length = claim(AUDIT_FS_READ, AUDIT_LAYER_MOUNT, 0, -1, "/flood", message);
	for (int i = 0; i < AUDIT_BURST + 100; i++)
		assert_true(audit_message(&instance, message, length));
	audit_record(
		&instance, AUDIT_NET_CONNECT, "evil.example:443", false, AUDIT_LAYER_EGRESS, NULL);
	struct lines *lines = last("shop", false, 1);
	assert_string_equal(text(lines->items[0], "resource"), "evil.example:443");
}

static void files_rotate_and_old_ones_go(void **state)
{
	static char resource[2048];
	char path[128], name[32];
	struct stat status;
	(void)state;
	memset(resource, 'r', sizeof resource - 1);
	/* More than all files hold, of tenants enough for the rate. */
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof name, "t%d", i / 400);
		write_for(name, false, resource);
	}
	for (int i = 0; i <= AUDIT_FILES_KEPT + 1; i++) {
		snprintf(path, sizeof path, "%s/audit/audit%s%s.jsonl", folder, i ? "." : "",
			i == 0   ? ""
			: i == 1 ? "1"
			: i == 2 ? "2"
			: i == 3 ? "3"
				 : "4");
		if (i > AUDIT_FILES_KEPT) {
			assert_int_equal(stat(path, &status), -1);
			continue;
		}
		assert_int_equal(stat(path, &status), 0);
		assert_true(status.st_size <= AUDIT_FILE_BYTES);
	}
	struct lines *lines = last(NULL, false, 1);
	assert_string_equal(text(lines->items[0], "tenant"), "t24");
	struct lines none = {0};
	assert_false(audit_last(
		audit, &(struct audit_query){.lines = SIZE_MAX}, collect, &none)); /* cut */
	while (none.count > 0)
		json_decref(none.items[--none.count]);
}

static void half_a_line_does_not_spoil_the_next(void **state)
{
	struct error error = {0};
	char path[128];
	(void)state;
	write_for("shop", false, "/a");
	audit = audit_close(audit);
	snprintf(path, sizeof path, "%s/audit/audit.jsonl", folder);
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "{\"time\":\"20", 11), 11);
	close(fd);
	assert_int_equal(audit_open(NULL, folder_fd, &audit, &error), 0);
	write_for("shop", false, "/b");
	assert_int_equal(last("shop", false, 10)->count, 2);
}

static size_t followed;

static void follow(void *data, const char *line, size_t length)
{
	(void)data;
	(void)line;
	followed += length > 0;
}

static void followers_get_what_they_asked_for(void **state)
{
	(void)state;
	const struct audit_query query = {.tenant = "shop", .denied_only = true};
	followed = 0;
	assert_int_equal(audit_follow(audit, &query, follow, &followed), 0);
	write_for("shop", false, "/a");
	write_for("shop", true, "/a");
	write_for("other", false, "/a");
	assert_int_equal(followed, 1);
	audit_unfollow(audit, &followed);
	write_for("shop", false, "/a");
	assert_int_equal(followed, 1);
}

static void a_file_that_cannot_be_written_stalls_nobody(void **state)
{
	char path[128];
	(void)state;
	snprintf(path, sizeof path, "%s/audit/audit.jsonl", folder);
	/* A folder where the file should be: every write fails. */
	assert_int_equal(mkdir(path, 0700), 0);
	for (int i = 0; i < 100; i++)
		write_for("shop", false, "/a");
	assert_int_equal(last(NULL, false, 10)->count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_log, close_log)
	const struct CMUnitTest tests[] = {
		TEST(a_record_has_all_that_is_known),
		TEST(the_policy_says_what_is_recorded),
		TEST(what_a_tenant_names_cannot_break_a_line),
		TEST(questions_are_answered_by_tenant_result_and_number),
		TEST(the_rate_of_one_tenant_is_not_anothers),
		TEST(a_worker_may_claim_only_what_it_can_see),
		TEST(what_a_worker_kept_back_is_counted),
		TEST(claims_do_not_hide_what_others_saw),
		TEST(files_rotate_and_old_ones_go),
		TEST(half_a_line_does_not_spoil_the_next),
		TEST(followers_get_what_they_asked_for),
		TEST(a_file_that_cannot_be_written_stalls_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
