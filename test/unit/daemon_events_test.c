/* What happened to tenants: the last ones are kept, in their order; followers get each. And
 * the ring of deaths. */
#include "daemon/deaths.h"
#include "daemon/events.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static json_t *taken;

static void take(void *data, json_t *event)
{
	json_array_append_new(data ? data : taken, event);
}

static int begin(void **unused)
{
	(void)unused;
	taken = json_array();
	return 0;
}

static int end(void **unused)
{
	(void)unused;
	json_decref(taken);
	return 0;
}

static const char *text(size_t index, const char *key)
{
	const char *string =
		json_string_value(json_object_get(json_array_get(taken, index), key));
	return string ? string : "";
}

static void add(struct events *events, const char *tenant, const char *message)
{
	events_add(events, &(struct event){.tenant = tenant,
				   .name = "exited",
				   .from = "running",
				   .to = "backoff",
				   .reason = "oom",
				   .message = message,
				   .pid = 42});
}

static void test_the_last_ones_are_kept_in_their_order(void **unused)
{
	(void)unused;
	struct events *events = events_new();
	char message[32];
	for (int i = 0; i < EVENTS_KEPT + 5; i++) {
		snprintf(message, sizeof message, "number %d", i);
		add(events, "shop", message);
	}
	events_last(events, NULL, 2 * EVENTS_KEPT, take, NULL);
	assert_int_equal(json_array_size(taken), EVENTS_KEPT);
	assert_string_equal(text(0, "message"), "number 5");
	assert_string_equal(text(EVENTS_KEPT - 1, "message"), "number 1004");
	json_array_clear(taken);
	events_last(events, NULL, 2, take, NULL);
	assert_int_equal(json_array_size(taken), 2);
	assert_string_equal(text(0, "message"), "number 1003");
	events_free(events);
}

static void test_an_event_says_what_came_of_what(void **unused)
{
	(void)unused;
	struct events *events = events_new();
	add(events, "shop", "over its memory limit");
	events_add(events, &(struct event){.tenant = "shop", .name = "note", .reason = "idle"});
	events_last(events, NULL, 10, take, NULL);
	assert_string_equal(text(0, "tenant"), "shop");
	assert_string_equal(text(0, "event"), "exited");
	assert_string_equal(text(0, "from"), "running");
	assert_string_equal(text(0, "to"), "backoff");
	assert_string_equal(text(0, "reason"), "oom");
	assert_int_equal(
		json_integer_value(json_object_get(json_array_get(taken, 0), "pid")), 42);
	assert_int_equal(strlen(text(0, "time")), strlen("2026-11-21T00:00:00.000Z"));
	assert_true(json_is_null(json_object_get(json_array_get(taken, 1), "from")));
	assert_true(json_is_null(json_object_get(json_array_get(taken, 1), "pid")));
	events_free(events);
}

static void test_one_tenant_alone(void **unused)
{
	(void)unused;
	struct events *events = events_new();
	for (int i = 0; i < 20; i++)
		add(events, i % 2 ? "shop" : "blog", i % 2 ? "s" : "b");
	events_last(events, "shop", 3, take, NULL);
	assert_int_equal(json_array_size(taken), 3);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(text(i, "tenant"), "shop");
	events_free(events);
}

static void test_followers_get_what_comes_until_they_go(void **unused)
{
	(void)unused;
	struct events *events = events_new();
	json_t *other = json_array();
	add(events, "shop", "before");
	assert_int_equal(events_follow(events, NULL, take, taken), 0);
	assert_int_equal(events_follow(events, "blog", take, other), 0);
	add(events, "shop", "one");
	add(events, "blog", "two");
	assert_int_equal(json_array_size(taken), 2);
	assert_int_equal(json_array_size(other), 1);
	events_unfollow(events, taken);
	add(events, "shop", "three");
	assert_int_equal(json_array_size(taken), 2);
	for (int i = 1; i < EVENTS_FOLLOWERS_MAX; i++)
		assert_int_equal(events_follow(events, NULL, take, taken), 0);
	assert_int_equal(events_follow(events, NULL, take, taken), -EUSERS);
	events_free(events);
	json_decref(other);
}

static void test_deaths_last_first_with_one_line_each(void **unused)
{
	(void)unused;
	struct deaths *deaths = NULL;
	static struct instance_end how = {.reason = END_UNCAUGHT, .exit_code = 1};
	taken = (json_decref(taken), deaths_describe(NULL));
	assert_int_equal(json_array_size(taken), 0);
	for (int i = 0; i < DEATHS_KEPT + 3; i++) {
		how.time_us = 1000000;
		snprintf(how.message, sizeof how.message, "Error: %d\n    at main.js:1", i);
		deaths_add(&deaths, &how, "abc", 7, 1500);
	}
	taken = (json_decref(taken), deaths_describe(deaths));
	assert_int_equal(json_array_size(taken), DEATHS_KEPT);
	assert_string_equal(text(0, "message"), "Error: 12");
	assert_string_equal(text(DEATHS_KEPT - 1, "message"), "Error: 3");
	assert_string_equal(text(0, "reason"), "uncaught");
	assert_int_equal(
		json_integer_value(json_object_get(json_array_get(taken, 0), "served_ms")), 1500);
	/* A long line is cut, not in the middle of a character. */
	memset(how.message, 'x', 158);
	strcpy(how.message + 158, "\u00e4\u00e4");
	deaths_add(&deaths, &how, "abc", 7, 0);
	taken = (json_decref(taken), deaths_describe(deaths));
	assert_int_equal(strlen(text(0, "message")), 158);
	deaths_free(deaths);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_the_last_ones_are_kept_in_their_order, begin, end),
		cmocka_unit_test_setup_teardown(test_an_event_says_what_came_of_what, begin, end),
		cmocka_unit_test_setup_teardown(test_one_tenant_alone, begin, end),
		cmocka_unit_test_setup_teardown(
			test_followers_get_what_comes_until_they_go, begin, end),
		cmocka_unit_test_setup_teardown(
			test_deaths_last_first_with_one_line_each, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
