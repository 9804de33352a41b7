/* Instances whose workers misbehave: each is ended, with the right reason, and nothing
 * of it stays. Needs root and control groups. */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "daemon/factory.h"
#include "daemon/instance.h"
#include "daemon/stock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static const char *program;
static sd_event *event;
static struct cgroup_host *cgroups;
static struct factory factory;
static struct policy *policy;
static struct tenant_log *tenant_log;
static char folder[] = "/tmp/instance-test-XXXXXX";
static int folder_fd = -1;

static struct instance *instance;
static unsigned ready_count, ended_count;
static struct instance_end end;
static char logged[4096];

static void on_ready(struct instance *which, void *data)
{
	(void)which;
	(void)data;
	ready_count++;
}

static void on_ended(struct instance *which, void *data)
{
	(void)data;
	ended_count++;
	end = *which->end;
	instance = instance_free(which);
}

static const struct instance_events test_events = {on_ready, on_ended};

static void on_line(void *data, const struct log_entry *entry)
{
	(void)data;
	size_t length = strlen(logged);
	snprintf(logged + length, sizeof logged - length, "%s|%s\n", log_stream_name(entry->stream),
		entry->line);
}

/* ---- set-up ---- */

static int set_up(void **unused)
{
	struct error error = {0};
	char name[64];
	(void)unused;
	snprintf(name, sizeof name, "tenantd-test-%d", getpid());
	policy = policy_default();
	if (mkdtemp(folder) == NULL || policy == NULL)
		return -1;
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup_host_open(name, false, &cgroups, &error) < 0) {
		fprintf(stderr, "%s\n", error.message);
		return -1;
	}
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	cgroups = cgroup_host_close(cgroups);
	policy = policy_free(policy);
	close(folder_fd);
	return rmdir(folder);
}

static void open_factory(const char *mode)
{
	struct zygote_options options = zygote_defaults;
	struct error error = {0};
	options.program = program;
	options.snapshot = mode;
	options.spawn_ms = 500;
	if (sd_event_new(&event) < 0 ||
		factory_open(&factory, event, cgroups, &options, 1879048192, 131072, &error) < 0 ||
		tenant_log_new(event, folder_fd, "test", &tenant_log, &error) < 0)
		fail_msg("%s", error.message);
	tenant_log_follow(tenant_log, on_line, logged);
	ready_count = ended_count = 0;
	logged[0] = '\0';
	memset(&end, 0, sizeof end);
}

/* Nothing may stay: no child, no control group. */
static void close_factory(void)
{
	struct error error = {0};
	instance = instance_free(instance);
	factory.stock = stock_free(factory.stock);
	factory_close(&factory, 2000);
	tenant_log = tenant_log_free(tenant_log);
	tenant_log_delete(folder_fd, "test");
	event = sd_event_unref(event);
	uint64_t until = clock_ms() + 2000;
	while (waitpid(-1, NULL, WNOHANG) >= 0 && clock_ms() < until)
		usleep(1000);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(factory.instances, NULL);
	/* Fails when a group is left that is not empty. */
	if (cgroup_host_clean(cgroups, 0, &error) < 0)
		fail_msg("%s", error.message);
}

static void start(const char *entry, uint32_t startup_ms)
{
	struct error error = {0};
	struct instance_spec spec = {
		.tenant = "test",
		.release = "none",
		.release_fd = folder_fd,
		.entry = entry,
		.mode = WORKER_MODE_SERVE,
		.policy = policy,
		.uid_slot = 3,
		.startup_ms = startup_ms,
		.idle_ms = 1000,
		.log = tenant_log,
	};
	if (instance_start(&factory, &spec, &test_events, NULL, &instance, &error) < 0)
		fail_msg("%s", error.message);
}

static void turn_until(const unsigned *counter, unsigned count, unsigned most_ms)
{
	uint64_t until = clock_ms() + most_ms;
	while (*counter < count && clock_ms() < until)
		sd_event_run(event, 10000);
	if (*counter < count)
		fail_msg("nothing happened within %u ms; stage %d, pid %d", most_ms,
			instance ? (int)instance->stage : -1, instance ? instance->pid : -1);
}

/* ---- tests ---- */

static void test_ready_then_drained(void **unused)
{
	(void)unused;
	open_factory("good");
	start("good.js", 5000);
	turn_until(&ready_count, 1, 3000);
	assert_true(instance_ready_us(instance) > 0);
	assert_true(instance->pid > 0);
	assert_int_equal(instance->uid, 1879048192 + 3 * FACTORY_IDS_PER_SLOT + 1);
	instance_drain(instance, 2000, END_OPERATOR);
	turn_until(&ended_count, 1, 3000);
	assert_int_equal(end.reason, END_DRAINED);
	assert_int_equal(end.exit_code, 0);
	close_factory();
}

static void test_output_and_exit_code_arrive(void **unused)
{
	(void)unused;
	open_factory("good");
	start("print.js", 5000);
	turn_until(&ended_count, 1, 3000);
	assert_int_equal(end.reason, END_EXIT);
	assert_int_equal(end.exit_code, 7);
	assert_string_equal(end.message, "ended with exit code 7");
	assert_non_null(strstr(logged, "stdout|to stdout\n"));
	assert_non_null(strstr(logged, "stderr|to stderr, without an end\n"));
	close_factory();
}

static void test_every_misbehaviour_ends_the_worker(void **unused)
{
	(void)unused;
	static const struct {
		const char *entry;
		enum end_reason reason;
	} cases[] = {
		{"garbage.js", END_PROTOCOL},
		{"early.js", END_PROTOCOL},
		{"flood.js", END_PROTOCOL},
		{"fds.js", END_PROTOCOL},
		{"other.js", END_PROTOCOL},
		{"spawned.js", END_PROTOCOL},
		{"hang.js", END_START_TIMEOUT},
		{"long.js", END_BOOT_FAILED},
		{"unterminated.js", END_EXIT},
		{"exit3.js", END_EXIT},
		{"closed.js", END_PROTOCOL},
		{"liar.js", END_PROTOCOL},
	};
	open_factory("good");
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		ended_count = 0;
		start(cases[i].entry, 300);
		turn_until(&ended_count, 1, 6000);
		if (end.reason != cases[i].reason)
			fail_msg("%s: %s (%s)", cases[i].entry, end_reason_name(end.reason),
				end.message);
		assert_null(strchr(end.message, '\x1b'));
		assert_true(strlen(end.message) < sizeof end.message);
	}
	close_factory();
}

static void test_who_does_not_drain_is_killed(void **unused)
{
	(void)unused;
	open_factory("good");
	start("deaf.js", 5000);
	turn_until(&ready_count, 1, 3000);
	uint64_t before = clock_ms();
	instance_drain(instance, 150, END_DEPLOY);
	turn_until(&ended_count, 1, 3000);
	assert_uint_in_range(clock_ms() - before, 150, 1000);
	assert_int_equal(end.reason, END_DEPLOY);
	assert_int_equal(end.signal, SIGKILL);
	close_factory();
}

static void test_without_grace_it_is_killed_at_once(void **unused)
{
	(void)unused;
	open_factory("good");
	start("deaf.js", 5000);
	turn_until(&ready_count, 1, 3000);
	instance_drain(instance, 0, END_OPERATOR);
	turn_until(&ended_count, 1, 1000);
	assert_int_equal(end.reason, END_OPERATOR);
	close_factory();
}

static void test_killed_before_it_was_forked(void **unused)
{
	(void)unused;
	open_factory("hang");
	start("good.js", 5000);
	instance_kill(instance, END_OPERATOR, "changed my mind");
	assert_int_equal(ended_count, 0); /* never from within the call */
	turn_until(&ended_count, 1, 1000);
	assert_string_equal(end.message, "changed my mind");
	close_factory();
}

/* What a zygote of the fixture leaves when it dies after the fork. */
static int unlink_marker(void)
{
	char path[64];
	snprintf(path, sizeof path, "/tmp/bad-zygote-%d", getpid());
	return unlink(path);
}

static void test_a_zygote_that_dies_is_asked_once_more(void **unused)
{
	(void)unused;
	static const char *const modes[] = {"die", "die-after-fork"};
	for (size_t i = 0; i < ARRAY_LENGTH(modes); i++) {
		open_factory(modes[i]); /* the next one dies too */
		start("good.js", 5000);
		turn_until(&ended_count, 1, 5000);
		assert_int_equal(end.reason, END_SANDBOX_FAILED);
		assert_non_null(strstr(end.message, "zygote"));
		close_factory();
		unlink_marker();
	}
}

static void test_what_a_dying_zygote_forked_is_started_anew(void **unused)
{
	(void)unused;
	unlink_marker();
	open_factory("die-after-fork-once");
	start("late.js", 5000);
	turn_until(&ready_count, 1, 5000);
	assert_int_equal(unlink_marker(), 0); /* one did die */
	instance_drain(instance, 2000, END_OPERATOR);
	turn_until(&ended_count, 1, 3000);
	assert_int_equal(end.reason, END_DRAINED);
	close_factory();
}

static void test_a_spawn_that_fails_says_why(void **unused)
{
	(void)unused;
	open_factory("fail");
	start("good.js", 5000);
	turn_until(&ended_count, 1, 3000);
	assert_int_equal(end.reason, END_SANDBOX_FAILED);
	assert_string_equal(end.message, "no room");
	close_factory();
}

/* kill -9 of the zygote: its workers go on, and the next start finds another one. */
static void test_workers_outlive_their_zygote(void **unused)
{
	(void)unused;
	struct instance *first;
	open_factory("good");
	start("good.js", 5000);
	turn_until(&ready_count, 1, 3000);
	first = instance;
	for (pid_t pid = first->pid - 1; pid > 0; pid--)
		if (zygote_owns(factory.zygotes[0], pid)) {
			kill(pid, SIGKILL);
			break;
		}
	for (int i = 0; i < 20; i++)
		sd_event_run(event, 5000);
	start("good.js", 5000);
	turn_until(&ready_count, 2, 3000);
	assert_int_equal(ended_count, 0);
	assert_int_equal(kill(first->pid, 0), 0);
	instance_free(first);
	close_factory();
}

static void test_the_stock_gives_and_refills(void **unused)
{
	(void)unused;
	struct error error = {0};
	open_factory("good");
	uint64_t until = clock_ms() + 3000;
	while (!zygote_is_ready(factory.zygotes[0]) && clock_ms() < until)
		sd_event_run(event, 10000);
	assert_int_equal(stock_new(&factory, 2, &factory.stock, &error), 0);
	while (clock_ms() < until &&
		(stock_count(factory.stock) < 2 || factory_expects_children(&factory)))
		sd_event_run(event, 10000);
	assert_int_equal(stock_count(factory.stock), 2);
	start("good.js", 5000);
	assert_true(instance->pid > 0); /* it was there already */
	assert_int_equal(stock_count(factory.stock), 1);
	turn_until(&ready_count, 1, 1000);
	until = clock_ms() + 1000;
	while (stock_count(factory.stock) < 2 && clock_ms() < until)
		sd_event_run(event, 10000);
	assert_int_equal(stock_count(factory.stock), 2);
	instance_drain(instance, 1000, END_OPERATOR);
	turn_until(&ended_count, 1, 2000);
	assert_int_equal(end.reason, END_DRAINED);
	close_factory();
}

static void test_descriptors_do_not_leak(void **unused)
{
	(void)unused;
	int before = 0, after = 0;
	open_factory("good");
	for (int round = 0; round < 12; round++) {
		ended_count = 0;
		start(round % 2 ? "print.js" : "garbage.js", 1000);
		turn_until(&ended_count, 1, 3000);
		/* The dead one's group may go a little later, and a spare one comes. */
		uint64_t until = clock_ms() + 3000;
		while ((factory.grave_count > 0 || factory.spare_cgroup == NULL) &&
			clock_ms() < until)
			sd_event_run(event, 10000);
		int count = 0;
		for (int fd = 0; fd < 1024; fd++)
			count += fcntl(fd, F_GETFD) >= 0;
		if (round == 3)
			before = count;
		after = count;
	}
	assert_int_equal(after, before);
	close_factory();
}

int main(int argc, char **argv)
{
	if (argc < 2 || geteuid() != 0) {
		fprintf(stderr, "skipped: needs root, and the path of daemon_bad_zygote\n");
		return 77;
	}
	program = argv[1];
	log_init("test");
	signal(SIGPIPE, SIG_IGN);
	sigset_t children;
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_BLOCK, &children, NULL);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ready_then_drained),
		cmocka_unit_test(test_output_and_exit_code_arrive),
		cmocka_unit_test(test_every_misbehaviour_ends_the_worker),
		cmocka_unit_test(test_who_does_not_drain_is_killed),
		cmocka_unit_test(test_without_grace_it_is_killed_at_once),
		cmocka_unit_test(test_killed_before_it_was_forked),
		cmocka_unit_test(test_a_zygote_that_dies_is_asked_once_more),
		cmocka_unit_test(test_what_a_dying_zygote_forked_is_started_anew),
		cmocka_unit_test(test_a_spawn_that_fails_says_why),
		cmocka_unit_test(test_workers_outlive_their_zygote),
		cmocka_unit_test(test_the_stock_gives_and_refills),
		cmocka_unit_test(test_descriptors_do_not_leak),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
