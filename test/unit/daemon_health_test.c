/* Probes: what is asked when, and what follows from the answers. The worker is the other end
 * of a socket; periods are milliseconds here. */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/message.h"
#include "daemon/factory.h"
#include "daemon/health.h"
#include "daemon/instance.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct factory factory;
static struct instance instance;
static struct manifest *manifest;
static int worker; /* the worker's end */
static unsigned ready_count, change_count, end_count;
static struct instance_end end;

static void on_ready(struct instance *it, void *data)
{
	(void)it;
	(void)data;
	ready_count++;
}

static void on_ended(struct instance *it, void *data)
{
	(void)data;
	end_count++;
	end = *it->end;
}

static void on_readiness(struct instance *it, void *data)
{
	(void)it;
	(void)data;
	change_count++;
}

static const struct instance_events events = {
	.ready = on_ready, .ended = on_ended, .readiness = on_readiness};

static int set_up(void **state)
{
	int pair[2];
	(void)state;
	assert_true(sd_event_new(&factory.event) >= 0);
	assert_int_equal(message_pair(pair), 0);
	assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	worker = pair[1];
	instance = (struct instance){
		.id = 7,
		.stage = INSTANCE_READY,
		.mode = WORKER_MODE_SERVE,
		.factory = &factory,
		.events = &events,
		.channel = pair[0],
		.peer = -1,
		.pidfd = -1,
		.cgroup_is_parents = true, /* there is none */
	};
	manifest = manifest_default();
	ready_count = change_count = end_count = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	instance.health = health_free(instance.health);
	free(instance.end);
	sd_event_source_disable_unref(instance.finish);
	close_fd(&instance.channel);
	close_fd(&worker);
	manifest_free(manifest);
	factory.event = sd_event_unref(factory.event);
	return 0;
}

static struct manifest_probe *want(enum manifest_probe_role role, enum probe_kind kind)
{
	struct manifest_probe *probe = &manifest->probes[role];
	probe->wanted = true;
	probe->kind = kind;
	probe->path = kind == PROBE_HTTP ? strdup("/healthz") : NULL;
	probe->period_ms = 40;
	probe->timeout_ms = 20;
	return probe;
}

static void make(bool must_be_ready)
{
	struct error error = {0};
	assert_int_equal(
		health_new(&instance, manifest, must_be_ready, &instance.health, &error), 0);
	assert_non_null(instance.health);
}

/* Lets the loop turn for MS. */
static void turn(uint64_t ms)
{
	const uint64_t until = clock_ms() + ms;
	for (uint64_t now; (now = clock_ms()) < until;)
		sd_event_run(factory.event, (until - now) * 1000);
}

/* The next message of TYPE to the worker, within MS; its id or `on`. -1: none came. */
static int64_t next_message(enum message_type type, uint64_t ms, char *path)
{
	const uint64_t until = clock_ms() + ms;
	_Alignas(8) char data[2048];
	size_t fds = 0;
	while (clock_ms() < until) {
		ssize_t length =
			message_receive(worker, data, sizeof data, NULL, &fds, MSG_DONTWAIT);
		if (length <= 0) {
			turn(2);
			continue;
		}
		const struct message_probe *probe = (const void *)data;
		assert_int_equal(probe->header.instance, 7);
		if (probe->header.type != type)
			continue;
		if (type == MESSAGE_ACCEPT)
			return ((const struct message_accept *)(const void *)data)->on;
		if (path)
			strcpy(path, data + sizeof *probe);
		return probe->id;
	}
	return -1;
}

static bool answer(int64_t id, bool ok, const char *text)
{
	_Alignas(8) char data[sizeof(struct message_outcome) + 128];
	const struct message_outcome outcome = {
		.header = {.type = MESSAGE_PROBED, .instance = 7},
		.id = (uint32_t)id,
		.ok = ok,
	};
	memcpy(data, &outcome, sizeof outcome);
	strcpy(data + sizeof outcome, text);
	return health_answer(instance.health, data, sizeof outcome + strlen(text) + 1);
}

/* Asked within MS, and answered. */
static void ask_and_answer(bool ok, const char *text)
{
	int64_t id = next_message(MESSAGE_PROBE, 1000, NULL);
	assert_true(id > 0);
	assert_true(answer(id, ok, text));
}

static void test_no_probes_cost_nothing(void **state)
{
	struct error error = {0};
	(void)state;
	assert_int_equal(health_new(&instance, manifest, false, &instance.health, &error), 0);
	assert_null(instance.health);
	assert_true(health_accepts(NULL));
	assert_true(health_is_ready(&instance));
}

static void test_startup_holds_ready_back(void **state)
{
	char path[64] = "";
	(void)state;
	want(MANIFEST_PROBE_STARTUP, PROBE_HTTP);
	want(MANIFEST_PROBE_LIVENESS, PROBE_HEALTH);
	make(false);
	assert_false(health_accepts(instance.health));
	assert_false(health_begin(instance.health));
	int64_t id = next_message(MESSAGE_PROBE, 1000, path);
	assert_true(id > 0);
	assert_string_equal(path, "/healthz");
	assert_true(answer(id, false, "status 503"));
	assert_int_equal(ready_count, 0);
	ask_and_answer(false, "status 503"); /* the second, before any liveness */
	ask_and_answer(true, "");
	assert_int_equal(ready_count, 1);
	assert_true(health_accepts(instance.health));
	assert_true(health_is_ready(&instance));
	/* Then liveness, and startup never again. */
	id = next_message(MESSAGE_PROBE, 1000, path);
	assert_true(id > 0);
	assert_string_equal(path, "");
	assert_true(answer(id, true, ""));
	assert_int_equal(ready_count, 1);
}

static void test_startup_fails(void **state)
{
	(void)state;
	want(MANIFEST_PROBE_STARTUP, PROBE_HTTP)->failure_threshold = 2;
	make(false);
	health_begin(instance.health);
	ask_and_answer(false, "status 500");
	assert_int_equal(end_count, 0);
	ask_and_answer(false, "status 503\n\x1b[1m");
	turn(20);
	assert_int_equal(ready_count, 0);
	assert_int_equal(end_count, 1);
	assert_int_equal(end.reason, END_PROBE_FAILED);
	assert_non_null(strstr(
		end.message, "startup probe GET /healthz failed 2 times in a row: status 503"));
	assert_null(strchr(end.message, '\x1b'));
	assert_int_equal(next_message(MESSAGE_PROBE, 100, NULL), -1); /* nobody asks any more */
}

static void test_liveness_without_an_answer(void **state)
{
	(void)state;
	want(MANIFEST_PROBE_LIVENESS, PROBE_TCP)->failure_threshold = 3;
	make(false);
	assert_true(health_begin(instance.health)); /* it holds nothing back */
	const uint64_t begin_ms = clock_ms();
	while (end_count == 0 && clock_ms() - begin_ms < 3000)
		turn(5);
	assert_int_equal(end.reason, END_PROBE_FAILED);
	assert_non_null(strstr(
		end.message, "liveness probe tcpSocket failed 3 times in a row: no answer within"));
	/* Asked at 0, 40 and 80, waited for until 100. */
	assert_uint_in_range(clock_ms() - begin_ms, 99, 1000);
}

static void test_one_success_begins_liveness_anew(void **state)
{
	(void)state;
	want(MANIFEST_PROBE_LIVENESS, PROBE_HEALTH)->failure_threshold = 2;
	make(false);
	health_begin(instance.health);
	for (int i = 0; i < 4; i++) {
		ask_and_answer(false, "no");
		ask_and_answer(true, "");
	}
	assert_int_equal(end_count, 0);
	assert_true(health_is_ready(&instance));
}

static void test_readiness_decides_about_connections(void **state)
{
	(void)state;
	struct manifest_probe *probe = want(MANIFEST_PROBE_READINESS, PROBE_HEALTH);
	probe->failure_threshold = 2;
	probe->success_threshold = 2;
	make(false);
	instance.accept_off_now = true; /* as the worker was told behind START */
	assert_false(health_begin(instance.health));
	ask_and_answer(true, "");
	assert_int_equal(ready_count, 0);
	ask_and_answer(true, "");
	assert_int_equal(ready_count, 1);
	assert_int_equal(next_message(MESSAGE_ACCEPT, 500, NULL), 1);
	ask_and_answer(false, "too busy");
	assert_true(health_is_ready(&instance));
	ask_and_answer(false, "too busy");
	assert_false(health_is_ready(&instance));
	assert_int_equal(next_message(MESSAGE_ACCEPT, 500, NULL), 0);
	assert_int_equal(change_count, 1);
	ask_and_answer(true, "");
	assert_false(health_is_ready(&instance));
	/* Its owner does not want any either: then readiness alone changes nothing. */
	instance_accept(&instance, false);
	ask_and_answer(true, "");
	assert_true(health_is_ready(&instance));
	assert_int_equal(change_count, 2);
	assert_true(instance.accept_off_now);
	instance_accept(&instance, true);
	assert_int_equal(next_message(MESSAGE_ACCEPT, 500, NULL), 1);
	assert_int_equal(end_count, 0);
	assert_int_equal(ready_count, 1);
}

static void test_unready_from_the_start(void **state)
{
	(void)state;
	want(MANIFEST_PROBE_READINESS, PROBE_HEALTH)->failure_threshold = 2;
	make(false);
	instance.accept_off_now = true;
	health_begin(instance.health);
	ask_and_answer(false, "no database");
	assert_int_equal(ready_count, 0);
	ask_and_answer(false, "no database");
	assert_int_equal(ready_count, 1); /* it is there, and waits */
	assert_false(health_is_ready(&instance));
	assert_true(instance.accept_off_now);
	json_t *told = health_describe(&instance);
	assert_false(json_is_true(json_object_get(told, "ready")));
	const json_t *first = json_array_get(json_object_get(told, "probes"), 0);
	assert_string_equal(json_string_value(json_object_get(first, "role")), "readiness");
	assert_string_equal(json_string_value(json_object_get(first, "message")), "no database");
	json_decref(told);
	ask_and_answer(true, "");
	assert_true(health_is_ready(&instance));
	assert_int_equal(next_message(MESSAGE_ACCEPT, 500, NULL), 1);
}

static void test_a_release_that_is_tried_must_be_ready(void **state)
{
	(void)state;
	struct manifest_probe *probe = want(MANIFEST_PROBE_READINESS, PROBE_HEALTH);
	probe->failure_threshold = 2;
	probe->success_threshold = 2;
	make(true);
	health_begin(instance.health);
	/* Now and then is not enough, and does not put the end off forever. */
	ask_and_answer(false, "no");
	ask_and_answer(true, "");
	ask_and_answer(false, "no");
	turn(20);
	assert_int_equal(ready_count, 0);
	assert_int_equal(end_count, 1);
	assert_int_equal(end.reason, END_PROBE_FAILED);
	assert_non_null(strstr(end.message, "readiness probe health() failed 2 times"));
}

static void test_initial_delay(void **state)
{
	(void)state;
	want(MANIFEST_PROBE_LIVENESS, PROBE_TCP)->initial_delay_ms = 150;
	make(false);
	health_begin(instance.health);
	assert_int_equal(next_message(MESSAGE_PROBE, 100, NULL), -1);
	assert_true(next_message(MESSAGE_PROBE, 500, NULL) > 0);
}

static void test_answers_to_nothing(void **state)
{
	(void)state;
	want(MANIFEST_PROBE_LIVENESS, PROBE_TCP);
	make(false);
	health_begin(instance.health);
	int64_t id = next_message(MESSAGE_PROBE, 500, NULL);
	assert_false(answer(0, true, ""));
	assert_false(answer(id + 1, true, ""));
	assert_true(answer(id, true, ""));
	assert_true(answer(id, true, "")); /* as one that comes too late */
}

static void test_nobody_asks_who_drains(void **state)
{
	(void)state;
	want(MANIFEST_PROBE_LIVENESS, PROBE_TCP)->failure_threshold = 1;
	make(false);
	health_begin(instance.health);
	assert_true(next_message(MESSAGE_PROBE, 500, NULL) > 0);
	health_stop(instance.health);
	turn(100);
	assert_int_equal(end_count, 0);
	assert_int_equal(next_message(MESSAGE_PROBE, 60, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_probes_cost_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_startup_holds_ready_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_startup_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_liveness_without_an_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_one_success_begins_liveness_anew, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_readiness_decides_about_connections, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unready_from_the_start, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_release_that_is_tried_must_be_ready, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_initial_delay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_answers_to_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nobody_asks_who_drains, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("daemon_health", tests, NULL, NULL);
}
