/* When the instances of a fleet begin to start: in their turn, and not before their release is
 * proved to be what it should be. */
#include "daemon_fleet_world.h"

#include "common/clock.h"

#include <errno.h>
#include <unistd.h>

/* ---- turns ---- */

#define QUEUED 5
static struct fleet *queued[QUEUED];

/* As the daemon's start does with all tenants. */
static void start_patiently(uint32_t count)
{
	struct error error = {0};
	const struct fleet_options options = {
		.supervisor = &supervisor,
		.tenant = "shop",
		.program = &program,
		.count = count,
		.patient = true,
		.events = &fleet_owner,
	};
	supervisor.start_queue.most = 2;
	for (size_t i = 0; i < QUEUED; i++)
		assert_int_equal(fleet_new(&options, &queued[i], &error), 0);
	assert_int_equal(made_count, 0);
}

static void free_queued(void)
{
	for (size_t i = 0; i < QUEUED; i++)
		queued[i] = fleet_free(queued[i]);
	assert_null(supervisor.start_queue.first);
}

static bool nothing_more_is_made(void)
{
	const size_t before = made_count;
	const uint64_t until = clock_ms() + 50;
	while (clock_ms() < until)
		sd_event_run(supervisor.event, 10000);
	return made_count == before;
}

static void test_few_start_at_a_time(void **unused)
{
	(void)unused;
	start_patiently(1);
	assert_true(until_made(2));
	assert_true(nothing_more_is_made());
	become_ready(0); /* makes room for one more */
	assert_true(until_made(3));
	assert_true(nothing_more_is_made());
	die(1); /* so does one that ends */
	assert_true(until_made(4));
	for (size_t i = 2; i < 5; i++) {
		assert_true(until_made(i + 1));
		become_ready(i);
	}
	for (size_t i = 0; i < QUEUED; i++)
		assert_int_equal(fleet_serving(queued[i]), i != 1);
	free_queued();
}

static void test_a_fleet_is_ready_with_those_that_waited(void **unused)
{
	(void)unused;
	start_patiently(3);
	assert_true(until_made(2));
	become_ready(0);
	become_ready(1);
	assert_int_equal(ready, 0);
	assert_true(until_made(3));
	become_ready(2);
	assert_int_equal(ready, 1);
	free_queued();
}

static void test_who_is_wanted_does_not_wait(void **unused)
{
	(void)unused;
	start_patiently(2);
	assert_true(until_made(2));
	fleet_hurry(queued[3]);
	assert_true(until_made(4));
	assert_int_equal(queued[3]->member_count, 2);
	assert_true(nothing_more_is_made());
	/* Who did not wait counts. */
	become_ready(0);
	become_ready(1);
	assert_true(nothing_more_is_made());
	become_ready(2);
	assert_true(until_made(5));
	free_queued();
}

static void test_who_goes_leaves_the_queue(void **unused)
{
	(void)unused;
	start_patiently(1);
	assert_true(until_made(2));
	fleet_drain(queued[2], END_OPERATOR, "no longer wanted");
	queued[2] = fleet_free(queued[2]);
	fleet_kill(queued[4], END_OPERATOR, "no longer wanted");
	queued[4] = fleet_free(queued[4]);
	become_ready(0);
	become_ready(1);
	assert_true(until_made(3));
	assert_int_equal(queued[3]->member_count, 1);
	assert_null(supervisor.start_queue.first);
	free_queued();
}

/* One that cannot be started neither holds the queue up, nor is forgotten. */
static void test_a_turn_that_fails(void **unused)
{
	(void)unused;
	starts_to_fail = 1;
	start_patiently(1);
	assert_true(until_made(2));
	assert_int_equal(not_started, 1);
	assert_int_equal(unfit, 1);
	free_queued();
}

/* It leaves the processor to others for longer than it is looked at. */
static void test_one_that_only_waits_makes_room(void **unused)
{
	(void)unused;
	start_patiently(1);
	assert_true(until_made(2));
	made[1]->pid = getpid(); /* which sleeps in poll(2) below */
	const uint64_t until = clock_ms() + 4 * START_QUEUE_LOOK_MS;
	while (made_count < 3 && clock_ms() < until)
		sd_event_run(supervisor.event, 100000);
	assert_int_equal(made_count, 3);
	assert_true(made[1]->start_waits);
	free_queued();
}

/* ---- proofs ---- */

static void test_nothing_starts_before_it_is_proved(void **unused)
{
	(void)unused;
	unproved = true;
	assert_int_equal(start(2, true), 0);
	assert_int_equal(made_count, 0);
	end_proof(0);
	assert_int_equal(made_count, 2);
	become_ready(0);
	become_ready(1);
	assert_int_equal(ready, 1);
	assert_int_equal(not_started, 0);
}

static void test_what_is_not_proved_is_unfit(void **unused)
{
	(void)unused;
	for (int strict = 0; strict < 2; strict++) {
		unproved = true;
		unfit = not_started = 0;
		assert_int_equal(start(3, strict), 0);
		end_proof(-EUCLEAN);
		assert_int_equal(made_count, 0);
		assert_int_equal(not_started, 1);
		assert_int_equal(unfit, 1);
		fleet = fleet_free(fleet);
	}
}

static void test_a_fleet_that_goes_needs_no_proof(void **unused)
{
	(void)unused;
	unproved = true;
	assert_int_equal(start(1, false), 0);
	fleet_drain(fleet, END_OPERATOR, "no longer wanted");
	assert_int_equal(proofs_cancelled, 1);
	assert_true(fleet_is_empty(fleet));
}

/* What serves goes on while its successor's release is hashed again. */
static void test_a_replacement_waits_for_its_proof(void **unused)
{
	(void)unused;
	struct error error = {0};
	start_ready(1);
	unproved = true;
	assert_int_equal(fleet_replace(made[0], "requests 10", &error), 0);
	assert_int_equal(fleet_replace(made[0], "requests 10", &error), -EALREADY);
	assert_int_equal(fleet_serving(fleet), 1);
	die(0); /* it comes anyway */
	assert_int_equal(went_on, 1);
	end_proof(0);
	assert_int_equal(made_count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_few_start_at_a_time),
		TEST(test_a_fleet_is_ready_with_those_that_waited),
		TEST(test_who_is_wanted_does_not_wait),
		TEST(test_who_goes_leaves_the_queue),
		TEST(test_a_turn_that_fails),
		TEST(test_one_that_only_waits_makes_room),
		TEST(test_nothing_starts_before_it_is_proved),
		TEST(test_what_is_not_proved_is_unfit),
		TEST(test_a_fleet_that_goes_needs_no_proof),
		TEST(test_a_replacement_waits_for_its_proof),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
