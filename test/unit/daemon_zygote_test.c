/* The zygote module against zygotes that die, hang and lie. Needs root. */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/message.h"
#include "daemon/zygote.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include <cmocka.h>

static const char *program;
static sd_event *event;
static struct zygote *zygote;
static unsigned ready_count;

static struct {
	unsigned count;
	int result;
	pid_t pid;
	char message[256];
} answer;

static void on_ready(void *data)
{
	(void)data;
	ready_count++;
}

static void on_spawned(void *data, int result, pid_t pid, int pidfd, const char *message)
{
	(void)data;
	answer.count++;
	answer.result = result;
	answer.pid = pid;
	snprintf(answer.message, sizeof answer.message, "%s", message);
	if (pidfd >= 0) {
		pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
		waitid(P_PIDFD, (id_t)pidfd, &(siginfo_t){0}, WEXITED);
		close(pidfd);
	}
}

static int reset(void **unused)
{
	(void)unused;
	memset(&answer, 0, sizeof answer);
	ready_count = 0;
	return sd_event_new(&event) < 0;
}

static int clean(void **unused)
{
	(void)unused;
	zygote = zygote_free(zygote);
	event = sd_event_unref(event);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		; /* what it forked and never told of */
	return 0;
}

static void start(const char *mode)
{
	struct zygote_options options = zygote_defaults;
	struct error error = {0};
	options.program = program;
	options.snapshot = mode;
	options.ready_ms = 300;
	options.spawn_ms = 300;
	options.spawns_max = 3;
	if (zygote_new(event, &options, on_ready, NULL, &zygote, &error) < 0)
		fail_msg("%s", error.message);
}

static void turn_until(const unsigned *counter, unsigned count, unsigned most_ms)
{
	uint64_t until = clock_ms() + most_ms;
	while (*counter < count && clock_ms() < until)
		sd_event_run(event, 10000);
	assert_true(*counter >= count);
}

static void turn_loop(unsigned milliseconds)
{
	uint64_t until = clock_ms() + milliseconds;
	while (clock_ms() < until)
		sd_event_run(event, 5000);
}

static void ask(uint32_t instance)
{
	struct error error = {0};
	int pair[2];
	assert_int_equal(message_pair(pair), 0);
	struct zygote_request request = {
		.instance = instance,
		.uid_base = 1879048192,
		.uid_count = 2,
		.channel = pair[1],
		.cgroup_v2 = -1,
		.spawned = on_spawned,
	};
	assert_int_equal(zygote_spawn(zygote, &request, &error), 0);
	close(pair[0]); /* the worker finds nobody and goes */
}

static void test_a_request_is_answered(void **unused)
{
	(void)unused;
	start("good");
	assert_false(zygote_is_ready(zygote));
	ask(1); /* waits until it is warm */
	assert_int_equal(zygote_pending(zygote), 1);
	turn_until(&answer.count, 1, 2000);
	assert_int_equal(answer.result, 0);
	assert_true(answer.pid > 0);
	assert_true(zygote_is_ready(zygote));
	assert_int_equal(zygote_pending(zygote), 0);
}

static void test_many_requests_are_answered_once_each(void **unused)
{
	(void)unused;
	start("good"); /* and it is replaced after three */
	for (uint32_t i = 1; i <= 40; i++)
		ask(i);
	turn_until(&answer.count, 40, 10000);
	turn_loop(50);
	assert_int_equal(answer.count, 40);
	assert_true(ready_count > 1);
}

static void test_a_failure_comes_with_its_reason(void **unused)
{
	(void)unused;
	start("fail");
	ask(1);
	turn_until(&answer.count, 1, 2000);
	assert_int_equal(answer.result, -ECHILD);
	assert_string_equal(answer.message, "no room");
}

/* All of these are deaths: the request may be made again, another zygote comes. */
static void test_deaths_and_lies_are_survived(void **unused)
{
	(void)unused;
	static const char *const modes[] = {
		"die", "die-after-fork", "hang", "wrong-answer", "no-pidfd"};
	for (size_t i = 0; i < ARRAY_LENGTH(modes); i++) {
		if (i > 0)
			reset(NULL);
		start(modes[i]);
		ask(1);
		turn_until(&answer.count, 1, 3000);
		assert_int_equal(answer.result, -EAGAIN);
		turn_until(&ready_count, 2, 3000);
		clean(NULL);
	}
	reset(NULL);
}

static void test_one_that_does_not_start_says_why(void **unused)
{
	(void)unused;
	static const struct {
		const char *mode, *part;
	} cases[] = {
		{"exit", "exit code 3"},
		{"complain", "a bad snapshot"},
		{"garbage", "too short"},
		{"early-spawned", "not allowed"},
		{"never-ready", "not ready in time"},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		if (i > 0)
			reset(NULL);
		start(cases[i].mode);
		uint64_t until = clock_ms() + 2000;
		while (zygote_is_alive(zygote) && clock_ms() < until)
			sd_event_run(event, 10000);
		assert_false(zygote_is_ready(zygote));
		if (strstr(zygote_last_error(zygote), cases[i].part) == NULL)
			fail_msg("\"%s\" instead of \"%s\"", zygote_last_error(zygote),
				cases[i].part);
		clean(NULL);
	}
	reset(NULL);
}

static void test_a_request_can_be_taken_back(void **unused)
{
	(void)unused;
	start("good");
	ask(1);
	zygote_forget(zygote, 1); /* not sent yet */
	assert_int_equal(zygote_pending(zygote), 0);
	turn_until(&ready_count, 1, 2000);
	ask(2);
	zygote_forget(zygote, 2); /* under way */
	ask(3);
	turn_until(&answer.count, 1, 2000);
	turn_loop(30);
	assert_int_equal(answer.count, 1);
}

static void test_free_kills_it(void **unused)
{
	(void)unused;
	start("good");
	turn_until(&ready_count, 1, 2000);
	zygote = zygote_free(zygote);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

#define ZYGOTE_TEST(name) cmocka_unit_test_setup_teardown(name, reset, clean)

int main(int argc, char **argv)
{
	if (argc < 2 || geteuid() != 0) {
		fprintf(stderr, "skipped: needs root, and the path of daemon_bad_zygote\n");
		return 77;
	}
	program = argv[1];
	log_init("test");
	sigset_t children;
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_BLOCK, &children, NULL);
	const struct CMUnitTest tests[] = {
		ZYGOTE_TEST(test_a_request_is_answered),
		ZYGOTE_TEST(test_many_requests_are_answered_once_each),
		ZYGOTE_TEST(test_a_failure_comes_with_its_reason),
		ZYGOTE_TEST(test_deaths_and_lies_are_survived),
		ZYGOTE_TEST(test_one_that_does_not_start_says_why),
		ZYGOTE_TEST(test_a_request_can_be_taken_back),
		ZYGOTE_TEST(test_free_kills_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
