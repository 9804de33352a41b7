/* The table of a tenant's states: every state × event against a second table, written
 * down independently, and what must hold for any such table. */
#include "common/cleanup.h"
#include "common/error.h"
#include "common/file.h"
#include "daemon/machine.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *states_file;

/* What each event leads to: N new, O stopped, S starting, R running, P replacing, V proving,
 * K canary, I idle, B backoff, L crashloop, F failed, D stopping (drains), C cycling, X
 * removing; `<` whatever the deployment found; `.` refused. Columns: deploy start stop restart
 * reset promote remove wake ready trial canary rejected unfit exited finished gave-up failed
 * idle backoff-over empty. */
static const char letters[] = "NOSRPVKIBLFDCX";
static const char *const expected[TENANT_STATE_COUNT] = {
	[TENANT_NEW] = "S...................",
	[TENANT_STOPPED] = "SSOSO.X............O",
	[TENANT_STARTING] = "SSDSS.XSRV.<B.OLF..S",
	[TENANT_RUNNING] = "PRDPR.XR.....BOLFI..",
	[TENANT_REPLACING] = "PPDPP.XPRVK<.SSSS...",
	[TENANT_PROVING] = ".VD.V.XVR..<.VVVV...",
	[TENANT_CANARY] = ".KD.KPXK...<.KKKK...",
	[TENANT_IDLE] = "SSDSI.XS...........I",
	[TENANT_BACKOFF] = "SSDSS.XB..........SB",
	[TENANT_CRASHLOOP] = "SSDSS.X............L",
	[TENANT_FAILED] = "SSDSS.X............F",
	[TENANT_STOPPING] = ".CDC..X............O",
	[TENANT_CYCLING] = ".CDC..XC...........S",
	[TENANT_REMOVING] = "..X...X............N",
};

static void test_every_state_and_event(void **unused)
{
	(void)unused;
	for (int state = 0; state < TENANT_STATE_COUNT; state++)
		for (int event = 0; event < TENANT_EVENT_COUNT; event++) {
			struct machine machine = {.state = state, .back = TENANT_FAILED};
			struct machine_step step;
			int result = machine_step(&machine, event, &step);
			char want = expected[state][event];
			char got = result < 0 ? '.'
				   : want == '<' && machine.state == TENANT_FAILED
					   ? '<'
					   : letters[machine.state];
			if (got != want)
				fail_msg("%s on %s: %c instead of %c", tenant_event_name(event),
					tenant_state_name(state), got, want);
			if (result < 0)
				assert_int_equal(machine.state, state);
			else
				assert_int_equal(step.to, machine.state);
		}
}

static bool allows(enum tenant_state state, enum tenant_event event)
{
	struct machine machine = {.state = state};
	struct machine_step step;
	return machine_step(&machine, event, &step) == 0;
}

/* Whoever starts an instance must be ready for each way that can go. */
static void test_a_start_can_succeed_and_fail(void **unused)
{
	(void)unused;
	for (int state = 0; state < TENANT_STATE_COUNT; state++)
		for (int event = 0; event < TENANT_EVENT_COUNT; event++) {
			struct machine machine = {.state = state, .back = TENANT_BACKOFF};
			struct machine_step step;
			if (machine_step(&machine, event, &step) < 0 ||
				!(step.actions & TENANT_ACTION_START))
				continue;
			assert_true(step.actions & TENANT_ACTION_OPEN);
			assert_true(allows(step.to, TENANT_EVENT_READY));
			assert_true(allows(step.to, TENANT_EVENT_REJECTED));
			if (step.to == TENANT_STARTING) {
				assert_true(allows(step.to, TENANT_EVENT_UNFIT));
				assert_true(allows(step.to, TENANT_EVENT_FINISHED));
				assert_true(allows(step.to, TENANT_EVENT_GAVE_UP));
				assert_true(allows(step.to, TENANT_EVENT_FAILED));
			}
			/* One instance at a time starts. */
			if (state == TENANT_STARTING || state == TENANT_REPLACING)
				assert_true(step.actions & TENANT_ACTION_CANCEL);
		}
}

static void follow(struct machine *machine, enum tenant_event event)
{
	struct machine_step step;
	assert_int_equal(machine_step(machine, event, &step), 0);
}

/* From wherever it is, a tenant can be stopped and removed. */
static void test_stop_and_remove_lead_home(void **unused)
{
	(void)unused;
	for (int state = TENANT_STOPPED; state < TENANT_STATE_COUNT; state++) {
		struct machine machine = {.state = state};
		follow(&machine, TENANT_EVENT_STOP);
		if (machine.state == TENANT_STOPPING)
			follow(&machine, TENANT_EVENT_EMPTY);
		if (state == TENANT_REMOVING)
			assert_int_equal(machine.state, TENANT_REMOVING);
		else
			assert_int_equal(machine.state, TENANT_STOPPED);
		machine.state = state;
		follow(&machine, TENANT_EVENT_REMOVE);
		follow(&machine, TENANT_EVENT_EMPTY);
		assert_int_equal(machine.state, TENANT_NEW);
	}
}

/* A deployment that fails leaves the tenant as it was. */
static void test_a_rejected_deployment_goes_back(void **unused)
{
	(void)unused;
	static const enum tenant_state from[] = {TENANT_NEW, TENANT_STOPPED, TENANT_BACKOFF,
		TENANT_CRASHLOOP, TENANT_FAILED, TENANT_IDLE, TENANT_RUNNING};
	for (size_t i = 0; i < ARRAY_LENGTH(from); i++) {
		struct machine machine = {.state = from[i]};
		follow(&machine, TENANT_EVENT_DEPLOY);
		follow(&machine, TENANT_EVENT_REJECTED);
		assert_int_equal(machine.state, from[i]);
		/* Also when it had been ready, and then did not stay well. */
		follow(&machine, TENANT_EVENT_DEPLOY);
		follow(&machine, TENANT_EVENT_TRIAL);
		follow(&machine, TENANT_EVENT_REJECTED);
		assert_int_equal(machine.state, from[i]);
	}
	/* What was starting by itself starts again, after a delay. */
	struct machine machine = {.state = TENANT_STARTING, .back = TENANT_NEW};
	follow(&machine, TENANT_EVENT_DEPLOY);
	follow(&machine, TENANT_EVENT_REJECTED);
	assert_int_equal(machine.state, TENANT_BACKOFF);
	/* The old instance dies while the new one starts, and then that fails too. */
	machine = (struct machine){.state = TENANT_RUNNING, .back = TENANT_NEW};
	follow(&machine, TENANT_EVENT_DEPLOY);
	follow(&machine, TENANT_EVENT_EXITED);
	follow(&machine, TENANT_EVENT_REJECTED);
	assert_int_equal(machine.state, TENANT_BACKOFF);
}

/* Two kinds of instances serve: either the new ones take over or the old ones go on; and if
 * those die meanwhile, the new ones go on until the operator decides. */
static void test_a_canary_ends_either_way(void **unused)
{
	(void)unused;
	struct machine machine = {.state = TENANT_RUNNING};
	follow(&machine, TENANT_EVENT_DEPLOY);
	follow(&machine, TENANT_EVENT_CANARY);
	follow(&machine, TENANT_EVENT_REJECTED);
	assert_int_equal(machine.state, TENANT_RUNNING);
	follow(&machine, TENANT_EVENT_DEPLOY);
	follow(&machine, TENANT_EVENT_CANARY);
	follow(&machine, TENANT_EVENT_PROMOTE);
	assert_int_equal(machine.state, TENANT_REPLACING);
	follow(&machine, TENANT_EVENT_READY);
	assert_int_equal(machine.state, TENANT_RUNNING);
	/* The old ones are gone: there is nothing to go back to but another start. */
	follow(&machine, TENANT_EVENT_DEPLOY);
	follow(&machine, TENANT_EVENT_CANARY);
	follow(&machine, TENANT_EVENT_GAVE_UP);
	assert_int_equal(machine.state, TENANT_CANARY);
	follow(&machine, TENANT_EVENT_PROMOTE);
	follow(&machine, TENANT_EVENT_REJECTED);
	assert_int_equal(machine.state, TENANT_BACKOFF);
}

static void test_who_sleeps_keeps_its_ports_and_wakes(void **unused)
{
	(void)unused;
	struct machine machine = {.state = TENANT_RUNNING};
	struct machine_step step;
	assert_int_equal(machine_step(&machine, TENANT_EVENT_IDLE, &step), 0);
	assert_true(step.actions & TENANT_ACTION_WATCH);
	assert_true(step.actions & TENANT_ACTION_RETIRE);
	assert_false(step.actions & TENANT_ACTION_CLOSE);
	assert_int_equal(machine_step(&machine, TENANT_EVENT_WAKE, &step), 0);
	assert_int_equal(machine.state, TENANT_STARTING);
	assert_true(step.actions & TENANT_ACTION_START);
}

static void test_ports_stay_open_unless_nothing_should_run(void **unused)
{
	(void)unused;
	for (int state = 0; state < TENANT_STATE_COUNT; state++)
		for (int event = 0; event < TENANT_EVENT_COUNT; event++) {
			struct machine machine = {.state = state, .back = TENANT_BACKOFF};
			struct machine_step step;
			if (machine_step(&machine, event, &step) < 0)
				continue;
			bool closes = step.actions & TENANT_ACTION_CLOSE;
			bool rests = step.to == TENANT_STOPPED || step.to == TENANT_FAILED ||
				     step.to == TENANT_CRASHLOOP || step.to == TENANT_STOPPING || step.to == TENANT_REMOVING;
			assert_int_equal(closes, rests && step.from != step.to);
		}
}

static void test_documentation_is_up_to_date(void **unused)
{
	(void)unused;
	cleanup_free char *printed = NULL, *stored = NULL;
	size_t length = 0;
	struct error error = {0};
	if (states_file == NULL)
		skip();
	FILE *file = open_memstream(&printed, &length);
	machine_print(file);
	fclose(file);
	if (file_read(AT_FDCWD, states_file, 1 << 20, &stored, NULL, &error) < 0)
		fail_msg("%s", error.message);
	if (strcmp(printed, stored) != 0)
		fail_msg("%s is not what tenantd --print-states prints", states_file);
}

int main(int argc, char **argv)
{
	states_file = argc > 1 ? argv[1] : NULL;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_state_and_event),
		cmocka_unit_test(test_a_start_can_succeed_and_fail),
		cmocka_unit_test(test_stop_and_remove_lead_home),
		cmocka_unit_test(test_a_rejected_deployment_goes_back),
		cmocka_unit_test(test_a_canary_ends_either_way),
		cmocka_unit_test(test_who_sleeps_keeps_its_ports_and_wakes),
		cmocka_unit_test(test_ports_stay_open_unless_nothing_should_run),
		cmocka_unit_test(test_documentation_is_up_to_date),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
