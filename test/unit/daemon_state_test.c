/* The state file: what was written is read, and what makes no sense is refused with
 * its place. */
#include "common/cleanup.h"
#include "common/file.h"
#include "daemon/state.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

static char folder[] = "/tmp/state-test-XXXXXX";
static int folder_fd = -1;

static int set_up(void **unused)
{
	(void)unused;
	if (mkdtemp(folder) == NULL)
		return -1;
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return folder_fd < 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	unlinkat(folder_fd, STATE_FILE, 0);
	close(folder_fd);
	return rmdir(folder);
}

static struct state_tenant make(const char *name, uint32_t slot)
{
	struct state_tenant tenant = {.running = true, .uid_slot = slot};
	snprintf(tenant.name, sizeof tenant.name, "%s", name);
	memset(tenant.release, 'a', 64);
	return tenant;
}

static void assert_same(const struct state_tenant *one, const struct state_tenant *other)
{
	assert_string_equal(one->name, other->name);
	assert_string_equal(one->release, other->release);
	assert_int_equal(one->running, other->running);
	assert_int_equal(one->uid_slot, other->uid_slot);
	assert_string_equal(one->policy_change, other->policy_change);
	assert_int_equal(one->port_count, other->port_count);
	for (size_t i = 0; i < one->port_count; i++) {
		assert_string_equal(one->ports[i].spec, other->ports[i].spec);
		assert_int_equal(one->ports[i].port, other->ports[i].port);
	}
}

static void test_no_file_is_no_tenants(void **unused)
{
	(void)unused;
	struct state state = {.count = 9};
	struct error error = {0};
	assert_int_equal(state_read(folder_fd, &state, &error), 0);
	assert_int_equal(state.count, 0);
}

static void test_what_is_written_is_read(void **unused)
{
	(void)unused;
	struct state_tenant one = make("shop", 0), two = make("blog-2", 7);
	const struct state_tenant *tenants[] = {&one, &two};
	struct state state;
	struct error error = {0};
	two.running = false;
	strcpy(two.policy_change, "put-0123456789abcdef");
	struct listener_port ports[] = {{"127.0.0.1:0", 40123}, {"odd\"\\name=[::1]:0", 65535}};
	two.ports = ports;
	two.port_count = 2;
	assert_int_equal(state_write(folder_fd, tenants, 2, &error), 0);
	assert_int_equal(state_read(folder_fd, &state, &error), 0);
	assert_int_equal(state.count, 2);
	assert_same(&state.tenants[0], &one);
	assert_same(&state.tenants[1], &two);
	state_clear(&state);
}

static void refuse(const char *text, const char *part)
{
	struct state state = {.count = 77};
	struct error error = {0};
	assert_int_equal(
		file_write_atomic(folder_fd, STATE_FILE, text, strlen(text), 0600, &error), 0);
	assert_int_equal(state_read(folder_fd, &state, &error), -EINVAL);
	assert_int_equal(state.count, 77);
	if (!strstr(error.message, STATE_FILE) || !strstr(error.message, part))
		fail_msg("\"%s\" does not say \"%s\"", error.message, part);
}

#define TENANT(name, release, slot, ports)                                                         \
	"{\"name\":\"" name "\",\"release\":\"" release "\",\"running\":true,\"uid_slot\":" slot   \
	",\"ports\":" ports "}"
#define FILE_OF(list) "{\"version\":1,\"tenants\":[" list "]}"

static void test_a_corrupted_file_is_refused_with_its_place(void **unused)
{
	(void)unused;
	refuse("", ":1:0:");
	refuse("{\"version\": 1,\n  \"tenants\": [}", ":2:");
	refuse("[]", "not a state file");
	refuse("{\"version\":1}", "tenants");
	refuse("{\"version\":1,\"tenants\":[],\"more\":1}", "more");
	refuse("{\"version\":2,\"tenants\":[]}", "version 2");
	refuse(FILE_OF("3"), "/tenants/0");
	refuse(FILE_OF(TENANT("ok", "a", "1", "{}") "," TENANT("../x", "a", "2", "{}")),
		"/tenants/1");
	refuse(FILE_OF(TENANT("ok", "../../etc", "1", "{}")), "release");
	refuse(FILE_OF(TENANT("ok", "a", "-1", "{}")), "uid_slot");
	refuse(FILE_OF(TENANT("ok", "a", "1", "[]")), "ports");
	refuse(FILE_OF(TENANT("ok", "a", "1", "{\"x\":0}")), "ports");
	refuse(FILE_OF(TENANT("ok", "a", "1", "{},\"policy_change\":\"put-../../../etc/x\"")),
		"policy_change");
	refuse(FILE_OF(TENANT("ok", "a", "1", "{}") "," TENANT("ok", "a", "2", "{}")), "twice");
	refuse(FILE_OF(TENANT("ok", "a", "1", "{}") "," TENANT("no", "a", "1", "{}")),
		"another tenant");
	refuse("{\"version\":1,\"version\":1,\"tenants\":[]}", "duplicate");
}

/* A child writes without end and is killed; whatever the moment, the file is whole. */
static void test_kill_at_any_moment_leaves_a_whole_file(void **unused)
{
	(void)unused;
	struct state_tenant records[40];
	const struct state_tenant *tenants[40];
	struct error error = {0};
	for (uint32_t i = 0; i < 40; i++) {
		char name[16];
		snprintf(name, sizeof name, "tenant-%u", i);
		records[i] = make(name, i);
		tenants[i] = &records[i];
	}
	assert_int_equal(state_write(folder_fd, tenants, 40, &error), 0);
	for (int round = 0; round < 20; round++) {
		pid_t pid = fork();
		if (pid == 0)
			for (size_t count = 0;; count = (count + 1) % 41)
				state_write(folder_fd, tenants, count, &error);
		usleep(1000 + (useconds_t)round * 700);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		struct state state;
		if (state_read(folder_fd, &state, &error) < 0)
			fail_msg("%s", error.message);
		for (size_t i = 0; i < state.count; i++)
			assert_same(&state.tenants[i], tenants[i]);
		state_clear(&state);
	}
	unlinkat(folder_fd, STATE_FILE ".new", 0); /* the next write's to replace */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_file_is_no_tenants),
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_a_corrupted_file_is_refused_with_its_place),
		cmocka_unit_test(test_kill_at_any_moment_leaves_a_whole_file),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
