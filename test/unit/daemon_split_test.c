/* How a canary's connections are shared: exactly by the weight, and as evenly as can be. */
#include "daemon/split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_each_hundred_has_exactly_its_share(void **unused)
{
	(void)unused;
	for (uint32_t percent = 1; percent < 100; percent++) {
		uint32_t error = 0, window = 0;
		bool chosen[1000];
		for (int i = 0; i < 1000; i++)
			chosen[i] = split_choose(&error, percent);
		/* Not only from the first one on. */
		for (int i = 0; i < 1000; i++) {
			window += chosen[i];
			if (i >= 100)
				window -= chosen[i - 100];
			if (i >= 99)
				assert_int_equal(window, percent);
		}
	}
}

static void test_it_is_spread_evenly(void **unused)
{
	(void)unused;
	for (uint32_t percent = 1; percent < 100; percent++) {
		uint32_t error = 0, count = 0;
		for (uint32_t i = 1; i <= 500; i++) {
			count += split_choose(&error, percent);
			/* Never one too many, never one behind. */
			assert_int_equal(count, i * percent / 100);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_hundred_has_exactly_its_share),
		cmocka_unit_test(test_it_is_spread_evenly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
