/* The probe of `tenantctl doctor`, on this machine. */
#include "sandbox/probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_item_is_told_and_all_of_them_fit(void **state)
{
	static struct probe_report report;
	(void)state;
	probe_run(&(struct probe_options){.state_folder = "/tmp", .uid_base = 1, .uid_count = 4000},
		&report);
	assert_true(report.count > 15);
	assert_true(report.count < PROBE_ITEMS_MAX);
	for (size_t i = 0; i < report.count; i++) {
		const struct probe_item *item = &report.items[i];
		assert_true(item->name[0] && item->value[0]);
		if (item->state >= PROBE_WEAKER)
			assert_true(item->cost[0]);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(report.items[k].name, item->name);
	}
}

static void what_is_missing_costs_the_tier(void **state)
{
	struct probe_report report = {.count = 1};
	(void)state;
	report.items[0].state = PROBE_WEAKER;
	assert_int_equal(probe_tier(&report), TIER_FULL);
	report.items[0].state = PROBE_MISSING;
	assert_int_equal(probe_tier(&report), TIER_CONTAINER);
	report.items[0].state = PROBE_FATAL;
	assert_int_equal(probe_tier(&report), TIER_NONE);
}

static void ids_that_are_not_mapped_are_missing(void **state)
{
	static struct probe_report report;
	bool found = false;
	(void)state;
	probe_run(&(struct probe_options){.uid_base = UINT32_MAX - 2, .uid_count = 100}, &report);
	for (size_t i = 0; i < report.count; i++)
		if (strcmp(report.items[i].name, "user ids") == 0)
			found = report.items[i].state == PROBE_MISSING;
	assert_true(found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_item_is_told_and_all_of_them_fit),
		cmocka_unit_test(what_is_missing_costs_the_tier),
		cmocka_unit_test(ids_that_are_not_mapped_are_missing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
