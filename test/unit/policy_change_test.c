/* A policy that comes with a release: whatever the moment at which the daemon is killed, the state
 * file says which of two policies holds, and what the operator writes afterwards is theirs. */
#include "common/cleanup.h"
#include "common/file.h"
#include "daemon/policy_change.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char folder[64];
static int folder_fd = -1;

static int set_up(void **unused)
{
	(void)unused;
	snprintf(folder, sizeof folder, "/tmp/policy-change-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return folder_fd < 0;
}

static int tear_down(void **unused)
{
	char command[128];
	(void)unused;
	close_fd(&folder_fd);
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

static void write_policy(const char *text)
{
	assert_int_equal(
		file_write_atomic(folder_fd, "shop.json", text, strlen(text), 0644, NULL), 0);
}

/* NULL: there is none. */
static void holds(const char *expected)
{
	cleanup_free char *text = NULL;
	int result = file_read(folder_fd, "shop.json", 1000, &text, NULL, NULL);
	if (expected == NULL) {
		assert_int_equal(result, -ENOENT);
		return;
	}
	assert_int_equal(result, 0);
	assert_string_equal(text, expected);
}

static void prepare(const char *text, char change[POLICY_CHANGE_SIZE])
{
	struct error error = {0};
	if (policy_change_prepare(folder_fd, "shop", text, change, &error) < 0)
		fail_msg("%s", error.message);
	assert_true(policy_change_valid(change));
}

static void apply(const char *change)
{
	struct error error = {0};
	if (policy_change_apply(folder_fd, "shop", change, &error) != 0)
		fail_msg("%s", error.message);
}

/* "shop" has the change whose number is in DATA. */
static bool is_named(void *data, const char *tenant, const char *number)
{
	const char *change = data;
	return change && strcmp(tenant, "shop") == 0 &&
	       strcmp(strchr(change, '-') + 1, number) == 0;
}

static int hidden(void)
{
	char command[128];
	snprintf(command, sizeof command, "test $(ls -A %s | grep -c '^[.]') = 0", folder);
	return system(command);
}

static void nothing_holds_before_it_is_applied(void **unused)
{
	char change[POLICY_CHANGE_SIZE];
	(void)unused;
	write_policy("old");
	prepare("new", change);
	holds("old");
	apply(change);
	holds("new");
	assert_int_equal(hidden(), 0);
}

static void what_the_operator_wrote_since_is_kept(void **unused)
{
	char change[POLICY_CHANGE_SIZE];
	(void)unused;
	prepare("new", change);
	apply(change);
	write_policy("the operator's");
	apply(change); /* a daemon that was killed before the state file forgot it */
	holds("the operator's");
}

static void a_policy_goes_once(void **unused)
{
	char change[POLICY_CHANGE_SIZE];
	(void)unused;
	write_policy("old");
	prepare(NULL, change);
	holds("old");
	apply(change);
	holds(NULL);
	/* The very same text: it is another file. */
	write_policy("old");
	apply(change);
	holds("old");
	policy_change_forget(folder_fd, "shop", change);
	assert_int_equal(hidden(), 0);
	prepare(NULL, change);
	unlinkat(folder_fd, "shop.json", 0);
	apply(change); /* there is none any more */
	holds(NULL);
}

static void what_nobody_names_is_swept(void **unused)
{
	char one[POLICY_CHANGE_SIZE], two[POLICY_CHANGE_SIZE];
	(void)unused;
	write_policy("old");
	prepare("one", one);
	prepare("two", two);
	static const char *const others[] = {".hidden", ".shop.json.swp", ".shop.json.0123",
		"other.json.0123456789abcdef", ".shop.json.0123456789abcdeg"};
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
		close(openat(folder_fd, others[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	policy_change_sweep(folder_fd, is_named, two);
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
		assert_int_equal(unlinkat(folder_fd, others[i], 0), 0);
	apply(one); /* gone */
	holds("old");
	apply(two);
	holds("two");
	assert_int_equal(hidden(), 0);
}

static void what_cannot_be_done_is_said_in_time(void **unused)
{
	char change[POLICY_CHANGE_SIZE];
	struct error error = {0};
	(void)unused;
	assert_int_equal(mkdirat(folder_fd, "shop.json", 0700), 0);
	assert_int_equal(policy_change_prepare(folder_fd, "shop", "new", change, &error), -EISDIR);
	assert_int_equal(hidden(), 0);
	assert_false(policy_change_valid("put-"));
	assert_false(policy_change_valid("put-0123456789abcde/"));
	assert_false(policy_change_valid("take-0123456789abcdef"));
	assert_false(policy_change_valid("put-0123456789abcdef0"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_holds_before_it_is_applied),
		TEST(what_the_operator_wrote_since_is_kept),
		TEST(a_policy_goes_once),
		TEST(what_nobody_names_is_swept),
		TEST(what_cannot_be_done_is_said_in_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
