/* The probe of `tenantctl doctor`, on this machine. */
#include "sandbox/probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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
	report.no_ids = true;
	assert_int_equal(probe_tier(&report), TIER_SINGLE);
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

/* What is said of the console, with these files. */
static const struct probe_item *console_of(const char *consoles, const char *printk)
{
	static struct probe_report report;
	char folder[] = "/tmp/probe-XXXXXX", path[128];
	const struct {
		const char *name, *text;
	} files[] = {{"consoles", consoles}, {"sys/kernel/printk", printk}};
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "mkdir -p %s/sys/kernel", folder);
	assert_int_equal(system(path), 0);
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, files[i].name);
		FILE *file = fopen(path, "we");
		assert_non_null(file);
		fputs(files[i].text, file);
		fclose(file);
	}
	probe_run(&(struct probe_options){.uid_base = 1, .uid_count = 1, .proc = folder}, &report);
	snprintf(path, sizeof path, "rm -r %s", folder);
	assert_int_equal(system(path), 0);
	for (size_t i = 0; i < report.count; i++)
		if (strcmp(report.items[i].name, "kernel messages") == 0)
			return &report.items[i];
	fail_msg("nothing is said of it");
	return NULL;
}

static void a_loud_serial_console_is_told(void **state)
{
	static const char serial[] = "ttyS0                -W- (EC p a)    4:64\n";
	static const char both[] = "tty0                 -WU (EC p  )    4:7\n"
				   "ttyS0                -W- (E  p a)    4:64\n"
				   "hvc0                 -W- (E  p  )  229:0\n";
	static const char screen[] = "tty0                 -WU (EC p  )    4:7\n"
				     "ttyS0                -W- (   p a)    4:64\n"
				     "ttynull0             --- (E     )\n";
	const struct probe_item *item = console_of(serial, "7\t4\t1\t7\n");
	(void)state;
	assert_int_equal(item->state, PROBE_WEAKER);
	assert_string_equal(item->value, "to ttyS0, below level 7");
	assert_non_null(strstr(item->cost, "kernel.printk=3"));
	assert_true(strlen(item->cost) + 1 < sizeof item->cost);
	assert_int_equal(console_of(serial, "4\t4\t1\t7\n")->state, PROBE_WEAKER);
	assert_int_equal(console_of(serial, "3\t4\t1\t7\n")->state, PROBE_FINE);
	assert_string_equal(
		console_of(both, "7\t4\t1\t7\n")->value, "to ttyS0, hvc0, below level 7");
	item = console_of(screen, "7\t4\t1\t7\n");
	assert_int_equal(item->state, PROBE_FINE);
	assert_string_equal(item->value, "to no serial console, below level 7");
	assert_int_equal(console_of("", "")->state, PROBE_FINE);
	assert_string_equal(console_of("", "")->value, "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_item_is_told_and_all_of_them_fit),
		cmocka_unit_test(what_is_missing_costs_the_tier),
		cmocka_unit_test(ids_that_are_not_mapped_are_missing),
		cmocka_unit_test(a_loud_serial_console_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
