/* The instances of one program: one that ends alone is replaced alone, one that is to go goes
 * when its successor is ready, and the owner hears when all is lost. */
#include "daemon_fleet_world.h"

#include "common/clock.h"

#include <errno.h>
#include <string.h>

static void test_ready_when_all_are(void **unused)
{
	(void)unused;
	assert_int_equal(start(3, false), 0);
	assert_int_equal(made_count, 3);
	become_ready(1);
	become_ready(0);
	assert_int_equal(ready, 0);
	become_ready(2);
	assert_int_equal(ready, 1);
	assert_int_equal(joined, 3);
	assert_int_equal(fleet_serving(fleet), 3);
}

static void test_one_that_ends_alone_is_replaced_alone(void **unused)
{
	(void)unused;
	start_ready(3);
	die(1);
	assert_int_equal(went_on, 1);
	assert_int_equal(lost, 0);
	assert_int_equal(fleet_serving(fleet), 2);
	assert_true(until_made(4));
	become_ready(3);
	assert_int_equal(fleet_serving(fleet), 3);
	assert_int_equal(ready, 1);
	assert_int_equal(fleet->restarts, 1);
}

/* The delay grows, and it never gives up, as long as another serves. */
static void test_one_that_ends_again_and_again_does_not_take_the_others_along(void **unused)
{
	(void)unused;
	start_ready(2);
	size_t victim = 1;
	for (size_t i = 0; i < 6; i++) {
		die(victim);
		assert_true(until_made(3 + i));
		victim = 2 + i;
		become_ready(victim);
	}
	assert_int_equal(went_on, 6);
	assert_int_equal(lost, 0);
	assert_int_equal(fleet->slots[1].backoff.failures, 6);
	assert_int_equal(fleet->slots[0].backoff.failures, 0);
}

static void test_the_last_one_that_ends_loses_the_fleet(void **unused)
{
	(void)unused;
	start_ready(2);
	die(0);
	die(1);
	assert_int_equal(lost, 1);
	assert_int_equal(last.ending, FLEET_FAILED);
	assert_true(last.was_ready);
}

static void test_not_lost_while_another_starts(void **unused)
{
	(void)unused;
	start_ready(2);
	die(0);
	assert_true(until_made(3));
	die(1);
	assert_int_equal(lost, 0);
	become_ready(2);
	assert_int_equal(fleet_serving(fleet), 1);
	die(2);
	assert_int_equal(lost, 1);
}

static void test_strict_is_unfit_with_the_first_that_fails(void **unused)
{
	(void)unused;
	assert_int_equal(start(3, true), 0);
	become_ready(0);
	end_with(1, END_BOOT_FAILED, 1);
	assert_int_equal(unfit, 1);
	assert_int_equal(ready, 0);
}

static void test_not_strict_is_ready_with_those_that_can(void **unused)
{
	(void)unused;
	assert_int_equal(start(3, false), 0);
	become_ready(0);
	end_with(1, END_BOOT_FAILED, 1);
	assert_int_equal(unfit, 0);
	become_ready(2);
	assert_int_equal(ready, 1);
	assert_true(until_made(4)); /* the one that failed is tried again */
	become_ready(3);
	assert_int_equal(ready, 1);
	assert_int_equal(fleet_serving(fleet), 3);
}

/* The last that is waited for fails: the others are all that there will be for now. */
static void test_the_last_start_that_fails_does_not_hold_the_others_back(void **unused)
{
	(void)unused;
	assert_int_equal(start(2, false), 0);
	become_ready(0);
	end_with(1, END_BOOT_FAILED, 1);
	assert_int_equal(ready, 1);
}

static void test_unfit_when_none_can_be_started(void **unused)
{
	(void)unused;
	assert_int_equal(start(2, false), 0);
	end_with(0, END_BOOT_FAILED, 1);
	assert_int_equal(unfit, 0);
	end_with(1, END_BOOT_FAILED, 1);
	assert_int_equal(unfit, 1);
}

static void test_a_successor_comes_first(void **unused)
{
	(void)unused;
	struct error error = {0};
	start_ready(2);
	assert_int_equal(fleet_replace(made[0], "requests 10", &error), 0);
	assert_int_equal(made_count, 3);
	assert_false(made[0]->draining);
	assert_int_equal(fleet_replace(made[0], "requests 10", &error), -EALREADY);
	become_ready(2);
	assert_true(made[0]->draining);
	assert_int_equal(made[0]->kill_reason, END_RETIRED);
	assert_false(made[1]->draining);
	assert_int_equal(leaving, 1);
	assert_int_equal(fleet_replace(made[0], "requests 10", &error), -EPERM);
	end_with(0, END_DRAINED, 0);
	assert_int_equal(left, 1);
	assert_int_equal(fleet_serving(fleet), 2);
	assert_false(until_made(4)); /* nobody is missing */
}

static void test_a_successor_that_fails_leaves_all_as_it_was(void **unused)
{
	(void)unused;
	struct error error = {0};
	start_ready(1);
	manifest.backoff.base_ms = 60000;
	manifest.backoff.cap_ms = 60000;
	assert_int_equal(fleet_replace(made[0], "requests 10", &error), 0);
	end_with(1, END_BOOT_FAILED, 1);
	assert_int_equal(went_on, 1);
	assert_false(made[0]->draining);
	assert_int_equal(fleet_serving(fleet), 1);
	/* Not again at once, every second. */
	assert_int_equal(fleet_replace(made[0], "requests 10", &error), -EAGAIN);
	fleet_reset(fleet);
	assert_int_equal(fleet_replace(made[0], "requests 10", &error), 0);
	/* The old one dies while its successor starts: that one is enough. */
	die(0);
	assert_int_equal(lost, 0);
	become_ready(2);
	assert_int_equal(fleet_serving(fleet), 1);
	assert_false(until_made(4));
}

static void test_endings_after_which_nothing_is_started(void **unused)
{
	(void)unused;
	manifest.stop_codes[0] = 64;
	manifest.stop_code_count = 1;
	start_ready(3);
	end_with(0, END_EXIT, 64);
	assert_int_equal(last.ending, FLEET_FINISHED);
	assert_int_equal(last.outcome, FLEET_GOES_ON);
	end_with(1, END_EXIT, 64);
	assert_false(until_made(4));
	end_with(2, END_EXIT, 64);
	assert_int_equal(last.outcome, FLEET_LOST);
	assert_int_equal(last.ending, FLEET_FINISHED);
}

static void test_restart_says_what_is_a_failure(void **unused)
{
	(void)unused;
	manifest.restart = MANIFEST_RESTART_ON_FAILURE;
	start_ready(3);
	end_with(0, END_EXIT, 0);
	assert_int_equal(last.ending, FLEET_FINISHED);
	end_with(1, END_EXIT, 1);
	assert_int_equal(last.ending, FLEET_FAILED);
	manifest.restart = MANIFEST_RESTART_NEVER;
	end_with(2, END_EXIT, 1);
	assert_int_equal(last.ending, FLEET_NEVER);
}

/* While a canary serves beside it, a fleet of one does not end with its instance. */
static void test_resilient_starts_again_until_it_is_too_much(void **unused)
{
	(void)unused;
	start_ready(1);
	fleet->resilient = true;
	die(0);
	assert_int_equal(lost, 0);
	assert_true(until_made(2));
	become_ready(1);
	die(1);
	assert_true(until_made(3));
	become_ready(2);
	die(2); /* the third within the window */
	assert_int_equal(lost, 1);
	assert_true(last.gave_up);
}

static void test_growing_is_ready_again(void **unused)
{
	(void)unused;
	struct error error = {0};
	assert_int_equal(start(1, true), 0);
	become_ready(0);
	assert_int_equal(ready, 1);
	assert_int_equal(fleet_grow(fleet, 1, &error), 1);
	assert_int_equal(fleet_grow(fleet, 3, &error), 0);
	assert_int_equal(made_count, 3);
	become_ready(1);
	assert_int_equal(ready, 1);
	become_ready(2);
	assert_int_equal(ready, 2);
}

static void test_draining_ends_with_the_last(void **unused)
{
	(void)unused;
	struct error error = {0};
	start_ready(2);
	assert_int_equal(fleet_replace(made[0], "requests 10", &error), 0);
	fleet_drain(fleet, END_DEPLOY, "no longer wanted");
	assert_true(made[0]->draining && made[1]->draining);
	assert_string_equal(made[2]->kill_message, "no longer wanted");
	assert_int_equal(leaving, 2);
	become_ready(2); /* it was on its way */
	assert_int_equal(joined, 2);
	end_with(0, END_DRAINED, 0);
	die(2);
	assert_int_equal(empty, 0);
	end_with(1, END_DRAINED, 0);
	assert_int_equal(empty, 1);
	assert_int_equal(left, 3);
	assert_true(fleet_is_empty(fleet));
	assert_false(until_made(4));
}

static void test_a_start_that_is_refused_is_tried_again(void **unused)
{
	(void)unused;
	start_ready(2);
	starts_to_fail = 1;
	die(0);
	assert_true(until_made(3));
	assert_int_equal(not_started, 1);
	assert_int_equal(lost, 0);
	/* The first of all, or any of a strict fleet: that is the owner's to know. */
	fleet = fleet_free(fleet);
	starts_to_fail = 1;
	assert_int_equal(start(2, false), -EMFILE);
	fleet = NULL;
}

static void test_idle_after_nothing_to_do(void **unused)
{
	(void)unused;
	manifest.stop_after_ms = 30;
	start_ready(2);
	const uint64_t until = clock_ms() + 100;
	pretended_stats.connections = 1; /* kept alive */
	while (clock_ms() < until) {
		fleet_watch(made[0]);
		sd_event_run(supervisor.event, 5000);
	}
	assert_int_equal(idle, 0);
	pretended_stats.connections = 0;
	const uint64_t later = clock_ms() + 300;
	while (clock_ms() < later && idle == 0) {
		fleet_watch(made[0]);
		fleet_watch(made[1]);
		sd_event_run(supervisor.event, 5000);
	}
	assert_int_equal(idle, 1);
}

static void test_unready_is_told(void **unused)
{
	(void)unused;
	start_ready(1);
	unready = true;
	made[0]->events->readiness(made[0], made[0]->data);
	unready = false;
	made[0]->events->readiness(made[0], made[0]->data);
	assert_int_equal(unwell, 1);
}

static void test_turns_come_round(void **unused)
{
	(void)unused;
	start_ready(3);
	assert_ptr_equal(fleet_pick(fleet, 0), made[0]);
	assert_ptr_equal(fleet_pick(fleet, 1), made[1]);
	assert_ptr_equal(fleet_pick(fleet, 5), made[2]);
	assert_null(fleet_pick(NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ready_when_all_are),
		TEST(test_one_that_ends_alone_is_replaced_alone),
		TEST(test_one_that_ends_again_and_again_does_not_take_the_others_along),
		TEST(test_the_last_one_that_ends_loses_the_fleet),
		TEST(test_not_lost_while_another_starts),
		TEST(test_strict_is_unfit_with_the_first_that_fails),
		TEST(test_not_strict_is_ready_with_those_that_can),
		TEST(test_the_last_start_that_fails_does_not_hold_the_others_back),
		TEST(test_unfit_when_none_can_be_started),
		TEST(test_a_successor_comes_first),
		TEST(test_a_successor_that_fails_leaves_all_as_it_was),
		TEST(test_endings_after_which_nothing_is_started),
		TEST(test_restart_says_what_is_a_failure),
		TEST(test_resilient_starts_again_until_it_is_too_much),
		TEST(test_growing_is_ready_again),
		TEST(test_draining_ends_with_the_last),
		TEST(test_a_start_that_is_refused_is_tried_again),
		TEST(test_idle_after_nothing_to_do),
		TEST(test_unready_is_told),
		TEST(test_turns_come_round),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
