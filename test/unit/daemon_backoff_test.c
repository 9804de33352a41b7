/* Delays after failures: growing, jittered, bounded, forgotten; and giving up. */
#include "daemon/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct backoff_limits limits = {
	.base_ms = 100,
	.cap_ms = 1000,
	.floor_ms = 10,
	.healthy_ms = 5000,
	.give_up_count = 4,
	.give_up_window_ms = 10000,
};

static void test_delay_doubles_up_to_the_cap(void **unused)
{
	(void)unused;
	static const uint32_t bounds[] = {100, 200, 400, 800, 1000, 1000};
	struct backoff backoff = {0};
	for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
		backoff_failed(&backoff, &limits, i * 100000, 0);
		/* RANDOM is taken modulo the bound plus one: this is the longest delay. */
		assert_int_equal(backoff_delay_ms(&backoff, &limits, bounds[i]), bounds[i]);
		assert_int_equal(backoff_delay_ms(&backoff, &limits, bounds[i] + 1), 10);
	}
	backoff.failures = 4000000000u; /* no overflow of the shift */
	assert_int_equal(backoff_delay_ms(&backoff, &limits, 1000), 1000);
}

static void test_delay_is_random_but_never_below_the_floor(void **unused)
{
	(void)unused;
	struct backoff backoff = {0};
	uint64_t random = 88172645463325252u;
	uint32_t least = UINT32_MAX, most = 0;
	backoff_failed(&backoff, &limits, 0, 0);
	for (int i = 0; i < 2000; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		uint32_t delay = backoff_delay_ms(&backoff, &limits, random);
		least = delay < least ? delay : least;
		most = delay > most ? delay : most;
	}
	assert_int_equal(least, 10);
	assert_int_equal(most, 100);
}

static void test_gives_up_after_too_many_within_the_window(void **unused)
{
	(void)unused;
	struct backoff backoff = {0};
	assert_false(backoff_failed(&backoff, &limits, 1000, 0));
	assert_false(backoff_failed(&backoff, &limits, 2000, 0));
	assert_false(backoff_failed(&backoff, &limits, 3000, 0));
	assert_true(backoff_failed(&backoff, &limits, 11000, 0)); /* 10 s after the first */
}

static void test_rare_failures_do_not_give_up(void **unused)
{
	(void)unused;
	struct backoff backoff = {0};
	for (uint64_t i = 0; i < 50; i++)
		assert_false(backoff_failed(&backoff, &limits, i * 4000, 0));
	/* One that comes quickly makes four within the window: 192, 196, 200 and 200 s. */
	assert_false(backoff_failed(&backoff, &limits, 200000, 0));
	assert_true(backoff_failed(&backoff, &limits, 200001, 0));
}

static void test_a_healthy_time_forgets(void **unused)
{
	(void)unused;
	struct backoff backoff = {0};
	for (int i = 0; i < 3; i++)
		backoff_failed(&backoff, &limits, 1000, 0);
	assert_false(backoff_failed(&backoff, &limits, 2000, 5000));
	assert_int_equal(backoff.failures, 1);
	assert_int_equal(backoff_delay_ms(&backoff, &limits, 100), 100);
	backoff_reset(&backoff);
	assert_int_equal(backoff.failures, 0);
}

static void test_limits_are_those_of_tenant_json(void **unused)
{
	(void)unused;
	struct manifest manifest = {
		.backoff = {.base_ms = 7,
			.cap_ms = 70,
			.reset_ms = 700,
			.crashloop_count = 3,
			.crashloop_window_ms = 7000},
	};
	struct backoff_limits mine = backoff_limits_of(&manifest);
	assert_int_equal(mine.base_ms, 7);
	assert_int_equal(mine.cap_ms, 70);
	assert_int_equal(mine.healthy_ms, 700);
	assert_int_equal(mine.give_up_count, 3);
	assert_int_equal(mine.give_up_window_ms, 7000);
	assert_int_equal(mine.floor_ms, backoff_defaults.floor_ms);
	manifest.backoff.crashloop_count = BACKOFF_FAILURES_MAX + 1; /* no more are remembered */
	assert_int_equal(
		backoff_limits_of(&manifest).give_up_count, BACKOFF_FAILURES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delay_doubles_up_to_the_cap),
		cmocka_unit_test(test_delay_is_random_but_never_below_the_floor),
		cmocka_unit_test(test_gives_up_after_too_many_within_the_window),
		cmocka_unit_test(test_rare_failures_do_not_give_up),
		cmocka_unit_test(test_a_healthy_time_forgets),
		cmocka_unit_test(test_limits_are_those_of_tenant_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
