/* From the lists of a policy to mounts: order, doubles, what cannot be. Needs root. */
#include "common/cleanup.h"
#include "common/log.h"
#include "daemon/grants.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define WORLD "/srv/tenantd-grants-test"
#define TENANT 0x20000007u

static struct grants grants;
static struct policy policy;

static struct policy_list list(char **items)
{
	struct policy_list made = {.items = items};
	while (items && items[made.count])
		made.count++;
	return made;
}
#define LIST(...) list((char *[]){__VA_ARGS__, NULL})

static int make_world(void **state)
{
	(void)state;
	policy = (struct policy){0};
	return system("rm -rf " WORLD " && mkdir -p " WORLD "/a/b " WORLD "/ab " WORLD
		      "/c && touch " WORLD "/a/file");
}

static int end_world(void **state)
{
	(void)state;
	grants_close(&grants);
	return system("rm -rf " WORLD);
}

static void grants_are_in_order_and_once(void **state)
{
	(void)state;
	struct error error = {0};
	policy.fs.read = LIST(WORLD "/c", WORLD "/a/b", WORLD "/ab", WORLD "/a", WORLD "/a");
	policy.fs.write = LIST(WORLD "/a/b", WORLD "/a/file");
	static const struct {
		const char *path;
		unsigned flags;
	} wanted[] = {{WORLD "/a", SANDBOX_GRANT_FOLDER},
		{WORLD "/a/b", SANDBOX_GRANT_FOLDER | SANDBOX_GRANT_WRITE},
		{WORLD "/a/file", SANDBOX_GRANT_WRITE}, {WORLD "/ab", SANDBOX_GRANT_FOLDER},
		{WORLD "/c", SANDBOX_GRANT_FOLDER}};
	assert_int_equal(grants_open(&policy, "shop", TENANT, TIER_FULL, &grants, &error), 0);
	assert_int_equal(grants.count, ARRAY_LENGTH(wanted));
	for (size_t i = 0; i < grants.count; i++) {
		assert_string_equal(grants.items[i].path, wanted[i].path);
		assert_int_equal(grants.items[i].flags, wanted[i].flags);
		assert_true(fcntl(grants.items[i].mount, F_GETFD) & FD_CLOEXEC);
	}
	static struct worker_start start;
	grants_put(&grants, &start);
	assert_int_equal(start.grant_count, grants.count);
	assert_true(start.grants[2].write && !start.grants[2].folder);
	assert_true(!start.grants[0].write && start.grants[0].folder);
}

static void what_lies_in_a_writable_folder_is_writable(void **state)
{
	(void)state;
	struct error error = {0};
	policy.fs.read = LIST(WORLD "/a/b", WORLD "/ab");
	policy.fs.write = LIST(WORLD "/a");
	assert_int_equal(grants_open(&policy, "shop", TENANT, TIER_FULL, &grants, &error), 0);
	assert_int_equal(grants.count, 3);
	assert_true(grants.items[1].flags & SANDBOX_GRANT_WRITE);
	assert_false(grants.items[2].flags & SANDBOX_GRANT_WRITE);
}

static size_t count_descriptors(void)
{
	int lowest = dup(0);
	close(lowest);
	return (size_t)lowest;
}

static void a_failure_names_the_grant_and_leaves_nothing(void **state)
{
	(void)state;
	struct error error = {0};
	size_t before;
	/* The namespaces that grants are made with stay open; make them first. */
	policy.fs.read = LIST(WORLD "/a");
	assert_int_equal(grants_open(&policy, "shop", TENANT, TIER_FULL, &grants, &error), 0);
	grants_close(&grants);
	before = count_descriptors();
	policy.fs.read = LIST(WORLD "/a", WORLD "/missing");
	assert_int_equal(grants_open(&policy, "shop", TENANT, TIER_FULL, &grants, &error), -ENOENT);
	assert_string_equal(error.message,
		"/permissions/fs/read/1: " WORLD "/missing: No such file or directory");
	policy.fs.read = LIST(WORLD "/a");
	policy.fs.write = LIST("/dev/null");
	assert_int_equal(grants_open(&policy, "shop", TENANT, TIER_FULL, &grants, &error), -EINVAL);
	assert_string_equal(error.message,
		"/permissions/fs/write/0: /dev/null: is neither a file nor a folder");
	policy.fs.write = LIST("/tmp");
	policy.limits.tmp_bytes = 4096;
	assert_int_equal(grants_open(&policy, "shop", TENANT, TIER_FULL, &grants, &error), -EEXIST);
	assert_non_null(strstr(error.message, "/permissions/fs/write/0: /tmp: "));
	assert_int_equal(count_descriptors(), before);
	assert_int_equal(grants.count, 0);
}

static void too_many_are_an_error(void **state)
{
	(void)state;
	static char names[WORKER_GRANTS_MAX + 1][16], *items[WORKER_GRANTS_MAX + 1];
	struct error error = {0};
	for (size_t i = 0; i <= WORKER_GRANTS_MAX; i++) {
		snprintf(names[i], sizeof names[i], "/x%zu", i);
		items[i] = names[i];
	}
	policy.fs.read = (struct policy_list){.items = items, .count = WORKER_GRANTS_MAX + 1};
	assert_int_equal(grants_open(&policy, "shop", TENANT, TIER_FULL, &grants, &error), -E2BIG);
	assert_non_null(strstr(error.message, "at most 192 fit"));
}

static void links_in_what_anybody_may_write_are_not_followed(void **state)
{
	(void)state;
	struct error error = {0};
	assert_int_equal(symlink("/etc", WORLD "/c/evil"), 0);
	/* Another tenant's policy, which was only read so far. */
	struct policy other = {.fs.write = LIST(WORLD "/c")};
	policy.fs.read = LIST(WORLD "/c/evil");
	assert_int_equal(grants_open(&policy, "shop", TENANT, TIER_FULL, &grants, &error), 0);
	grants_close(&grants);
	grants_distrust(&other);
	assert_int_equal(grants_open(&policy, "shop", TENANT, TIER_FULL, &grants, &error), -ELOOP);
}

int main(void)
{
	if (geteuid() != 0) {
		print_message("skipped: needs root\n");
		return 77;
	}
	log_init("test");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			grants_are_in_order_and_once, make_world, end_world),
		cmocka_unit_test_setup_teardown(
			what_lies_in_a_writable_folder_is_writable, make_world, end_world),
		cmocka_unit_test_setup_teardown(
			a_failure_names_the_grant_and_leaves_nothing, make_world, end_world),
		cmocka_unit_test_setup_teardown(too_many_are_an_error, make_world, end_world),
		cmocka_unit_test_setup_teardown(
			links_in_what_anybody_may_write_are_not_followed, make_world, end_world),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
