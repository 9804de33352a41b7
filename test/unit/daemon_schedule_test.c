/* Schedules: what is sent when, what counts as missed, and what a new daemon knows. The
 * worker is the other end of a socket. Time passes by moving back what was accounted for. */
#include "common/cleanup.h"
#include "common/file.h"
#include "common/message.h"
#include "daemon/factory.h"
#include "daemon/instance.h"
#include "daemon/schedule_private.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static sd_event *event;
static struct schedules *schedules;
static struct instance instance;
static struct manifest *manifest;
static char folder[64];
static int folder_fd, worker;
static bool serves, wakes;
static unsigned wake_count;
static char told[512];
static struct tenant *const shop = (struct tenant *)&serves; /* only passed on */

static struct instance *pick(struct tenant *tenant, uint32_t number)
{
	(void)number;
	assert_ptr_equal(tenant, shop);
	return serves ? &instance : NULL;
}

static int wake(struct tenant *tenant)
{
	assert_ptr_equal(tenant, shop);
	wake_count++;
	assert_true(wake_count < 10);
	/* As a change of the tenant's state does. */
	if (wakes)
		schedules_review(schedules, shop, "shop", manifest, true);
	return wakes ? 0 : -EPERM;
}

static void tell(struct tenant *tenant, const char *result, const char *line)
{
	assert_ptr_equal(tenant, shop);
	snprintf(told, sizeof told, "%s: %s", result, line);
}

static const struct schedule_calls calls = {pick, wake, tell};

static void open_all(void)
{
	struct error error = {0};
	assert_int_equal(schedules_open(event, folder_fd, &calls, &schedules, &error), 0);
}

static int set_up(void **state)
{
	int pair[2];
	(void)state;
	strcpy(folder, "/tmp/tenantd-schedule-XXXXXX");
	assert_non_null(mkdtemp(folder));
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(message_pair(pair), 0);
	assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	worker = pair[1];
	instance = (struct instance){
		.id = 7, .tenant = "shop", .stage = INSTANCE_READY, .channel = pair[0]};
	manifest = NULL;
	serves = wakes = true;
	wake_count = 0;
	told[0] = '\0';
	open_all();
	return 0;
}

static int tear_down(void **state)
{
	char command[128];
	(void)state;
	schedules = schedules_close(schedules);
	event = sd_event_unref(event);
	close_fd(&instance.channel);
	close_fd(&worker);
	close_fd(&folder_fd);
	manifest_free(manifest);
	snprintf(command, sizeof command, "rm -r %s", folder);
	return system(command);
}

static void use(const char *text)
{
	struct error error = {0};
	manifest = manifest_free(manifest);
	if (manifest_parse(text, strlen(text), "test", &manifest, &error) < 0)
		fail_msg("%s", error.message);
}

static void review(bool active)
{
	schedules_review(schedules, shop, "shop", manifest, active);
}

static struct schedule *first(void)
{
	assert_non_null(schedules->tables);
	assert_true(schedules->tables->count > 0);
	return &schedules->tables->items[0];
}

/* As if the last COUNT times that were due had not been looked at: the last one was due at
 * this very minute. */
static void let_pass(unsigned count)
{
	int64_t now = time(NULL);
	first()->accounted = now - now % 60 - 60 * (int64_t)count;
	first()->next = first()->accounted + 60;
	assert_non_null(schedules->tables->timer);
	sd_event_source_set_time(schedules->tables->timer, 1);
	for (int i = 0; i < 3; i++)
		sd_event_run(event, 60000);
}

/* The next SCHEDULED; false: there is none. */
static bool next_scheduled(struct message_scheduled *ret, char *text)
{
	_Alignas(8) char data[1024];
	size_t fds = 0;
	ssize_t length = message_receive(worker, data, sizeof data, NULL, &fds, MSG_DONTWAIT);
	if (length <= 0)
		return false;
	memcpy(ret, data, sizeof *ret);
	assert_int_equal(ret->header.type, MESSAGE_SCHEDULED);
	assert_int_equal(ret->header.instance, 7);
	if (text)
		strcpy(text, data + sizeof *ret);
	return true;
}

static bool done(uint32_t id, bool ok, const char *why)
{
	_Alignas(8) char data[sizeof(struct message_outcome) + 128];
	const struct message_outcome outcome = {
		.header = {.type = MESSAGE_SCHEDULED_DONE, .instance = 7}, .id = id, .ok = ok};
	memcpy(data, &outcome, sizeof outcome);
	strcpy(data + sizeof outcome, why);
	return schedules_done(schedules, &instance, data, sizeof outcome + strlen(why) + 1);
}

static json_t *described(void)
{
	json_t *list = schedules_describe(schedules, "shop");
	json_t *object = json_incref(json_array_get(list, 0));
	json_decref(list);
	return object;
}

#define EVERY_MINUTE "{\"schedules\": [{\"cron\": \"* * * * *\"}]}"

/* The tests below look at whole minutes: not at the very end of one. */
static void avoid_minute_end(void)
{
	while (time(NULL) % 60 >= 58)
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
}

static void test_a_run(void **state)
{
	struct message_scheduled due, none;
	char text[300];
	(void)state;
	avoid_minute_end();
	use(EVERY_MINUTE);
	review(true);
	assert_false(next_scheduled(&due, text)); /* not for being new */
	let_pass(1);
	assert_true(next_scheduled(&due, text));
	assert_string_equal(text, "* * * * *");
	assert_int_equal(due.late, 0);
	assert_int_equal(due.due_ms % 60000, 0);
	assert_uint_in_range((uint64_t)time(NULL) - due.due_ms / 1000, 0, 60);
	assert_true(schedules_busy(schedules, "shop"));
	assert_false(next_scheduled(&none, NULL));
	assert_true(done(due.id, true, ""));
	assert_false(schedules_busy(schedules, "shop"));
	json_t *object = described();
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(object, "last"), "outcome")),
		"ok");
	assert_true(json_is_string(json_object_get(object, "next")));
	json_decref(object);
	assert_false(done(due.id + 1, true, "")); /* never begun */
	assert_true(done(due.id, true, ""));      /* twice: of a run that is no more */
}

static void test_a_failure_is_told(void **state)
{
	struct message_scheduled due;
	(void)state;
	avoid_minute_end();
	use(EVERY_MINUTE);
	review(true);
	let_pass(1);
	assert_true(next_scheduled(&due, NULL));
	assert_true(done(due.id, false, "Error: no disk\x1b[1m"));
	assert_string_equal(told, "failed: schedule \"* * * * *\" failed: Error: no disk\\x1b[1m");
}

static void test_no_overlap(void **state)
{
	struct message_scheduled due, other;
	(void)state;
	avoid_minute_end();
	use(EVERY_MINUTE);
	review(true);
	let_pass(1);
	assert_true(next_scheduled(&due, NULL));
	let_pass(1);
	let_pass(1);
	assert_false(next_scheduled(&other, NULL));
	assert_non_null(strstr(told, "missed: schedule \"* * * * *\" missed: 1 run: the one before "
				     "is still under way"));
	assert_true(done(due.id, true, ""));
	assert_false(next_scheduled(&other, NULL)); /* what was missed is not made up for */
	let_pass(1);
	assert_true(next_scheduled(&other, NULL));
	assert_int_equal(other.late, 2);
	assert_true(done(other.id, true, ""));
	let_pass(1);
	assert_true(next_scheduled(&other, NULL));
	assert_int_equal(other.late, 0);
}

static void test_overlap_where_asked(void **state)
{
	struct message_scheduled one, two;
	(void)state;
	avoid_minute_end();
	use("{\"schedules\": [{\"cron\": \"* * * * *\", \"overlap\": true}]}");
	review(true);
	let_pass(1);
	let_pass(1);
	assert_true(next_scheduled(&one, NULL));
	assert_true(next_scheduled(&two, NULL));
	assert_true(one.id != two.id);
	assert_true(done(one.id, true, ""));
	assert_true(schedules_busy(schedules, "shop"));
	assert_true(done(two.id, true, ""));
	/* Not without bound. */
	for (int i = 0; i < 20; i++)
		let_pass(1);
	for (int i = 0; i < 16; i++)
		assert_true(next_scheduled(&one, NULL));
	assert_false(next_scheduled(&one, NULL));
	assert_non_null(strstr(told, "too many are under way"));
}

static void test_missed_while_away(void **state)
{
	struct message_scheduled due;
	(void)state;
	avoid_minute_end();
	use(EVERY_MINUTE);
	review(true);
	let_pass(5); /* four too many: the daemon slept */
	assert_true(next_scheduled(&due, NULL));
	assert_int_equal(due.late, 4);
	assert_non_null(strstr(told, "missed: 4 runs: tenantd, or the tenant, did not run then"));
}

static void test_a_new_daemon_knows(void **state)
{
	struct message_scheduled due;
	(void)state;
	avoid_minute_end();
	use(EVERY_MINUTE);
	review(true);
	let_pass(1);
	assert_true(next_scheduled(&due, NULL));
	assert_true(done(due.id, false, "Error: \"no\"\ndisk"));
	first()->accounted -= 600;
	schedules->changed = true;
	schedules = schedules_close(schedules);
	open_all();
	json_t *object = described(); /* even before the tenant is there */
	json_t *last = json_object_get(object, "last");
	assert_string_equal(json_string_value(json_object_get(last, "outcome")), "failed");
	assert_true(json_is_null(json_object_get(object, "next")));
	json_decref(object);
	review(true);
	assert_int_equal(first()->late, 10); /* the one that was made among them */
	assert_int_equal(first()->missed, 10);
	assert_false(next_scheduled(&due, NULL)); /* reported, not run */
	let_pass(1);
	assert_true(next_scheduled(&due, NULL));
	assert_int_equal(due.late, 10);
}

static void test_a_stopped_tenant(void **state)
{
	struct message_scheduled due;
	(void)state;
	avoid_minute_end();
	use(EVERY_MINUTE);
	review(true);
	review(false);
	first()->accounted -= 180;
	review(true);
	assert_int_equal(first()->late, 3);
	assert_false(next_scheduled(&due, NULL));
}

static void test_a_tenant_that_sleeps(void **state)
{
	struct message_scheduled due;
	(void)state;
	avoid_minute_end();
	use(EVERY_MINUTE);
	serves = false;
	review(true);
	let_pass(1);
	assert_int_equal(wake_count, 1);
	assert_true(schedules_busy(schedules, "shop"));
	assert_false(next_scheduled(&due, NULL));
	review(true); /* nothing new: it still starts */
	sd_event_run(event, 60000);
	assert_int_equal(wake_count, 1);
	serves = true;
	review(true); /* it is ready */
	assert_true(next_scheduled(&due, NULL));
	assert_true(done(due.id, true, ""));
	/* One that does not come in time; the next takes its place. */
	serves = false;
	let_pass(1);
	let_pass(1);
	assert_non_null(strstr(told, "no instance was ready until the next was due"));
	serves = true;
	review(true);
	assert_true(next_scheduled(&due, NULL));
	assert_int_equal(due.late, 1);
	assert_true(done(due.id, true, ""));
	/* One that cannot be woken. */
	serves = wakes = false;
	let_pass(1);
	assert_non_null(strstr(told, "the tenant does not run"));
	assert_false(schedules_busy(schedules, "shop"));
}

static void test_a_worker_that_dies(void **state)
{
	struct message_scheduled due;
	(void)state;
	avoid_minute_end();
	use(EVERY_MINUTE);
	review(true);
	let_pass(1);
	assert_true(next_scheduled(&due, NULL));
	struct instance_end end = {.reason = END_OOM};
	instance.end = &end;
	schedules_forget_instance(schedules, &instance);
	assert_non_null(strstr(told, "failed: its worker ended: oom"));
	assert_false(schedules_busy(schedules, "shop"));
}

/* At the daemon's end, whoever has not died in time. */
static void test_a_worker_that_is_forgotten_alive(void **state)
{
	struct message_scheduled due;
	(void)state;
	avoid_minute_end();
	use(EVERY_MINUTE);
	review(true);
	let_pass(1);
	assert_true(next_scheduled(&due, NULL));
	instance.kill_reason = END_OPERATOR;
	schedules_forget_instance(schedules, &instance);
	assert_non_null(strstr(told, "failed: its worker ended: operator"));
	assert_false(schedules_busy(schedules, "shop"));
}

static void test_another_worker_may_not_answer(void **state)
{
	struct message_scheduled due;
	(void)state;
	avoid_minute_end();
	use(EVERY_MINUTE);
	review(true);
	let_pass(1);
	assert_true(next_scheduled(&due, NULL));
	instance.id = 8;
	assert_false(done(due.id, true, ""));
	instance.id = 7;
	assert_true(done(due.id, true, ""));
}

static void test_a_new_release(void **state)
{
	struct message_scheduled due;
	(void)state;
	avoid_minute_end();
	use(EVERY_MINUTE);
	review(true);
	let_pass(1);
	assert_true(next_scheduled(&due, NULL));
	first()->missed = 5;
	use("{\"schedules\": [{\"cron\": \"@daily\"}, {\"cron\": \"* * * * *\"}]}");
	review(true);
	assert_int_equal(schedules->tables->count, 2);
	assert_string_equal(first()->text, "@daily");
	assert_int_equal(schedules->tables->items[1].missed, 5);
	assert_int_equal(schedules->tables->items[1].run_count, 1);
	use("{}");
	review(true);
	assert_null(schedules->tables);
	assert_true(done(due.id, true, "")); /* of a schedule that is no more */
}

static void test_a_removed_tenant_leaves_nothing(void **state)
{
	cleanup_free char *text = NULL;
	struct error error = {0};
	(void)state;
	use(EVERY_MINUTE);
	review(true);
	schedules_forget_tenant(schedules, "shop", true);
	assert_null(schedules->tables);
	assert_int_equal(file_read(folder_fd, SCHEDULES_FILE, 1 << 20, &text, NULL, &error), 0);
	assert_null(strstr(text, "shop"));
}

static void test_a_file_that_makes_no_sense(void **state)
{
	static const char *const texts[] = {"", "{", "[]", "{\"version\": 2, \"schedules\": []}",
		"{\"version\": 1}", "{\"version\": 1, \"schedules\": [{\"tenant\": \"../x\"}]}",
		"{\"version\": 1, \"schedules\": [{\"tenant\": \"a\", \"cron\": \"x\", "
		"\"accounted\": 0, \"late\": 0, \"missed\": 0}]}"};
	struct error error = {0};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		schedules = schedules_close(schedules);
		assert_int_equal(file_write_atomic(folder_fd, SCHEDULES_FILE, texts[i],
					 strlen(texts[i]), 0600, &error),
			0);
		open_all();
		assert_int_equal(faccessat(folder_fd, SCHEDULES_FILE, F_OK, 0), -1);
		assert_int_equal(faccessat(folder_fd, SCHEDULES_FILE ".bad", F_OK, 0), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_run, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_failure_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_overlap, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_overlap_where_asked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_missed_while_away, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_new_daemon_knows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_stopped_tenant, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_tenant_that_sleeps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_worker_that_dies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_worker_that_is_forgotten_alive, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_another_worker_may_not_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_new_release, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_removed_tenant_leaves_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_file_that_makes_no_sense, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("daemon_schedule", tests, NULL, NULL);
}
