/* A tenant that demands more confinement than the daemon gives is not started. */
#include "daemon/instance.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void ready(struct instance *instance, void *data)
{
	(void)instance;
	(void)data;
	fail();
}

static const struct instance_events events = {ready, ready};

static void a_tier_below_what_the_policy_demands_refuses_the_start(void **state)
{
	struct factory factory = {.tier = TIER_CONTAINER};
	struct policy *policy = policy_default();
	struct instance_spec spec = {.tenant = "shop", .policy = policy};
	struct instance *instance = NULL;
	struct error error = {0};
	(void)state;
	policy->tier = TIER_FULL;
	assert_int_equal(
		instance_start(&factory, &spec, &events, NULL, &instance, &error), -ENOTSUP);
	assert_non_null(strstr(error.message, "demands the tier \"full\""));
	assert_non_null(strstr(error.message, "gives \"container\""));
	assert_null(instance);
	factory.tier = TIER_SINGLE;
	policy->tier = TIER_CONTAINER;
	assert_int_equal(
		instance_start(&factory, &spec, &events, NULL, &instance, &error), -ENOTSUP);
	assert_non_null(strstr(error.message, "gives \"single\""));
	policy_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tier_below_what_the_policy_demands_refuses_the_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
