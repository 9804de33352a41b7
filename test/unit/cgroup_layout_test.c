/* Where the control groups are, on the hosts that there are. */
#include "common/cleanup.h"
#include "sandbox/cgroup_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct cgroup_layout layout;

static void parse(const char *mountinfo, const char *self_cgroup)
{
	memset(&layout, 0xaa, sizeof layout);
	cgroup_layout_parse(mountinfo, self_cgroup, &layout);
}

static void expect(size_t index, bool v2, unsigned controllers, const char *mount, const char *own)
{
	assert_true(index < layout.count);
	assert_int_equal(layout.places[index].v2, v2);
	assert_int_equal(layout.places[index].controllers, controllers);
	assert_string_equal(layout.places[index].mount, mount);
	assert_string_equal(layout.places[index].own, own);
}

static void debian_12_is_v2(void **state)
{
	(void)state;
	parse("24 30 0:22 / /proc rw,nosuid - proc proc rw\n"
	      "35 28 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 "
	      "cgroup2 rw,nsdelegate,memory_recursiveprot\n",
		"0::/system.slice/tenantd.service\n");
	assert_int_equal(layout.count, 1);
	expect(0, true, 0, "/sys/fs/cgroup", "/system.slice/tenantd.service");
}

static void hybrid_has_controllers_on_v1_and_a_v2_tree(void **state)
{
	(void)state;
	parse("31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
	      "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
	      "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
	      "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n"
	      "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n"
	      "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
		"9:name=systemd:/x\n8:pids:/\n4:memory:/process_api/2\n1:cpu:/\n0::/y\n");
	assert_int_equal(layout.count, 4);
	expect(0, false, CGROUP_BIT(CGROUP_CPU), "/sys/fs/cgroup/cpu", "");
	expect(1, false, CGROUP_BIT(CGROUP_MEMORY), "/sys/fs/cgroup/memory", "/process_api/2");
	expect(2, false, CGROUP_BIT(CGROUP_PIDS), "/sys/fs/cgroup/pids", "");
	expect(3, true, 0, "/sys/fs/cgroup/unified", "/y");
}

static void controllers_that_share_a_mount_are_one_hierarchy(void **state)
{
	(void)state;
	parse("33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:11 - cgroup cgroup "
	      "rw,cpu,cpuacct\n",
		"5:cpu,cpuacct:/user.slice\n");
	assert_int_equal(layout.count, 1);
	expect(0, false, CGROUP_BIT(CGROUP_CPU) | CGROUP_BIT(CGROUP_CPUACCT),
		"/sys/fs/cgroup/cpu,cpuacct", "/user.slice");
}

static void docker_on_v1_mounts_its_own_part(void **state)
{
	(void)state;
	parse("700 699 0:32 /docker/0123abc /sys/fs/cgroup/memory ro,nosuid master:17 - cgroup "
	      "cgroup rw,memory\n",
		"4:memory:/docker/0123abc/inner\n");
	assert_int_equal(layout.count, 1);
	expect(0, false, CGROUP_BIT(CGROUP_MEMORY), "/sys/fs/cgroup/memory", "/inner");
	/* Equal, and a name that only begins alike. */
	parse("700 699 0:32 /docker/0123abc /c ro - cgroup cgroup rw,memory\n",
		"4:memory:/docker/0123abc\n");
	expect(0, false, CGROUP_BIT(CGROUP_MEMORY), "/c", "");
	parse("700 699 0:32 /docker/0123 /c ro - cgroup cgroup rw,memory\n",
		"4:memory:/docker/0123abc\n");
	assert_int_equal(layout.count, 0);
}

static void a_cgroup_namespace_shows_its_root_as_slash(void **state)
{
	(void)state;
	parse("35 28 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "0::/\n");
	assert_int_equal(layout.count, 1);
	expect(0, true, 0, "/sys/fs/cgroup", "");
	/* A mount from outside, or a process outside: nothing that is ours to use. */
	parse("35 28 0:30 /../.. /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "0::/\n");
	assert_int_equal(layout.count, 0);
	parse("35 28 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "0::/../other\n");
	assert_int_equal(layout.count, 0);
}

static void a_hierarchy_mounted_twice_is_taken_once(void **state)
{
	(void)state;
	parse("1 1 0:30 / /a rw - cgroup2 cgroup rw\n2 1 0:30 / /b rw - cgroup2 cgroup rw\n"
	      "3 1 0:31 / /c rw - cgroup cgroup rw,memory\n4 1 0:31 / /d rw - cgroup cgroup "
	      "rw,memory\n",
		"4:memory:/\n0::/\n");
	assert_int_equal(layout.count, 2);
	expect(0, true, 0, "/a", "");
	expect(1, false, CGROUP_BIT(CGROUP_MEMORY), "/c", "");
}

static void escapes_in_paths_are_undone(void **state)
{
	(void)state;
	parse("1 1 0:30 / /a\\040b\\134c rw - cgroup2 cgroup rw\n", "0::/\n");
	expect(0, true, 0, "/a b\\c", "");
}

static void nonsense_is_left_out(void **state)
{
	(void)state;
	static const char *const lines[] = {"", "\n\n\n", "1", "1 2 3 4 5 6 7 8 9\n",
		"1 1 0:30 / /a rw - cgroup2\n", "1 1 0:30 / /a rw - cgroup cgroup rw,\n",
		"- - - - - - - - -\n", "1 1 0:30 / /a rw -"};
	for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
		parse(lines[i], "0::/\n");
		assert_int_equal(layout.count, 0);
	}
	parse("1 1 0:30 / /a rw - cgroup2 c rw\n", "");
	assert_int_equal(layout.count, 0);
	parse("1 1 0:30 / /a rw - cgroup2 c rw\n", "0\n:::\n0:\n1:memory\n");
	assert_int_equal(layout.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(debian_12_is_v2),
		cmocka_unit_test(hybrid_has_controllers_on_v1_and_a_v2_tree),
		cmocka_unit_test(controllers_that_share_a_mount_are_one_hierarchy),
		cmocka_unit_test(docker_on_v1_mounts_its_own_part),
		cmocka_unit_test(a_cgroup_namespace_shows_its_root_as_slash),
		cmocka_unit_test(a_hierarchy_mounted_twice_is_taken_once),
		cmocka_unit_test(escapes_in_paths_are_undone),
		cmocka_unit_test(nonsense_is_left_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
