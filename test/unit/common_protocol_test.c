#include "common/cleanup.h"
#include "common/message.h"
#include "common/protocol.h"
#include "common/tier.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { STATE_IDLE = 1, STATE_BUSY = 2 };

static const struct message_rule rules[] = {
	{MESSAGE_SPAWN, STATE_IDLE, sizeof(struct message_spawn), sizeof(struct message_spawn), 1,
		4},
	{MESSAGE_DRAIN, STATE_IDLE | STATE_BUSY, sizeof(struct message_drain),
		sizeof(struct message_drain) + 8, 0, 0},
};

static const struct message_rule *check(
	uint32_t type, uint32_t state, size_t length, size_t fd_count, struct error *error)
{
	unsigned char data[64] = {0};
	struct message_header header = {.type = type};
	memcpy(data, &header, sizeof header);
	*error = (struct error){0};
	return message_check(rules, ARRAY_LENGTH(rules), state, data, length, fd_count, error);
}

static void what_the_table_allows_passes(void **state)
{
	(void)state;
	struct error error;
	const size_t spawn = sizeof(struct message_spawn), drain = sizeof(struct message_drain);
	assert_ptr_equal(check(MESSAGE_SPAWN, STATE_IDLE, spawn, 1, &error), &rules[0]);
	assert_ptr_equal(check(MESSAGE_SPAWN, STATE_IDLE, spawn, 4, &error), &rules[0]);
	assert_ptr_equal(check(MESSAGE_DRAIN, STATE_IDLE, drain, 0, &error), &rules[1]);
	assert_ptr_equal(check(MESSAGE_DRAIN, STATE_BUSY, drain + 8, 0, &error), &rules[1]);
}

static void all_else_is_refused_with_the_reason(void **state)
{
	(void)state;
	const size_t spawn = sizeof(struct message_spawn), drain = sizeof(struct message_drain);
	const struct {
		uint32_t type, state;
		size_t length, fd_count;
		const char *reason;
	} cases[] = {
		{MESSAGE_SPAWN, STATE_IDLE, 7, 1, "too short"},
		{MESSAGE_SPAWN, STATE_IDLE, 0, 1, "too short"},
		{MESSAGE_SPAWN, STATE_BUSY, spawn, 1, "not allowed in this state"},
		{MESSAGE_SPAWN, 0, spawn, 1, "not allowed in this state"},
		{MESSAGE_SPAWN, STATE_IDLE, spawn - 1, 1, "bytes, expected"},
		{MESSAGE_SPAWN, STATE_IDLE, spawn + 1, 1, "bytes, expected"},
		{MESSAGE_DRAIN, STATE_IDLE, drain + 9, 0, "bytes, expected"},
		{MESSAGE_SPAWN, STATE_IDLE, spawn, 0, "descriptors, expected"},
		{MESSAGE_SPAWN, STATE_IDLE, spawn, 5, "descriptors, expected"},
		{MESSAGE_DRAIN, STATE_IDLE, drain, 1, "descriptors, expected"},
		{MESSAGE_READY, STATE_IDLE, 8, 0, "not one of this channel"},
		{0, STATE_IDLE, 8, 0, "not one of this channel"},
		{UINT32_MAX, STATE_IDLE, 8, 0, "not one of this channel"},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct error error;
		assert_null(check(
			cases[i].type, cases[i].state, cases[i].length, cases[i].fd_count, &error));
		assert_int_equal(error.code, EBADMSG);
		if (!strstr(error.message, cases[i].reason))
			fail_msg("case %zu: %s", i, error.message);
	}
}

static struct worker_start *example(void)
{
	static struct worker_start start;
	start = (struct worker_start){
		.tenant = "shop",
		.entry = "src/main.js",
		.mode = WORKER_MODE_SCRIPT,
		.uid = 1,
		.root = "/app",
		.tier = TIER_FULL,
		.allow_wasm = true,
		.memory_bytes = UINT64_C(1) << 40,
		.files = 256,
		.threads = 32,
		.stack_bytes = 1 << 20,
		.turn_cpu_ms = 500,
		.request_ms = 30000,
		.body_bytes = UINT64_MAX,
		.concurrent = 100,
		.idle_ms = 75000,
		.environment_count = 2,
		.environment = {"A=1", "B="},
		.argument_count = 1,
		.arguments = {""},
		.listener_count = 2,
		.listeners = {"tcp:127.0.0.1:8080", "unix:/run/x"},
		.listener_names = {"", "admin"},
		.tmp_bytes = 4096,
		.time_ms = 7,
		.folder = "/srv",
		.grant_count = 2,
		.grants = {{"/srv/data", false, true}, {"/srv/data/out", true, false}},
		.connect_count = 1,
		.connect = {"example.com:443"},
		.deny_count = 1,
		.deny = {"192.0.2.0/24"},
		.exec_count = 1,
		.exec = {"/usr/bin/git"},
		.secret_count = 1,
		.secrets = {"KEY=value"},
	};
	return &start;
}

static void start_survives_encoding(void **state)
{
	(void)state;
	static unsigned char data[MESSAGE_LENGTH_MAX], again[MESSAGE_LENGTH_MAX];
	static struct worker_start got;
	for (unsigned flags = 0; flags < 8; flags++) {
		struct worker_start *start = example();
		struct error error = {0};
		start->allow_eval = flags & 1;
		start->allow_wasm = flags & 2;
		start->allow_jit = flags & 4;
		ssize_t length = worker_start_encode(start, 42, data, sizeof data);
		assert_true(length > 0);
		struct message_header header;
		memcpy(&header, data, sizeof header);
		assert_int_equal(header.type, MESSAGE_START);
		assert_int_equal(header.instance, 42);
		assert_int_equal(worker_start_decode(data, (size_t)length, &got, &error), 0);
		assert_string_equal(got.tenant, "shop");
		assert_string_equal(got.root, "/app");
		assert_int_equal(got.tier, TIER_FULL);
		assert_int_equal(got.tmp_bytes, 4096);
		assert_int_equal(got.time_ms, 7);
		assert_int_equal(got.stack_bytes, 1 << 20);
		assert_string_equal(got.folder, "/srv");
		assert_string_equal(got.listener_names[1], "admin");
		assert_int_equal(got.grant_count, 2);
		assert_string_equal(got.grants[1].path, "/srv/data/out");
		assert_true(got.grants[1].write && !got.grants[1].folder);
		assert_true(!got.grants[0].write && got.grants[0].folder);
		assert_string_equal(got.connect[0], "example.com:443");
		assert_string_equal(got.deny[0], "192.0.2.0/24");
		assert_string_equal(got.exec[0], "/usr/bin/git");
		assert_string_equal(got.secrets[0], "KEY=value");
		assert_string_equal(got.entry, "src/main.js");
		assert_int_equal(got.mode, WORKER_MODE_SCRIPT);
		assert_int_equal(got.uid, 1);
		assert_int_equal(got.allow_eval, (flags & 1) != 0);
		assert_int_equal(got.allow_wasm, (flags & 2) != 0);
		assert_int_equal(got.allow_jit, (flags & 4) != 0);
		assert_true(got.memory_bytes == UINT64_C(1) << 40);
		assert_int_equal(got.files, 256);
		assert_int_equal(got.threads, 32);
		assert_int_equal(got.turn_cpu_ms, 500);
		assert_int_equal(got.request_ms, 30000);
		assert_true(got.body_bytes == UINT64_MAX);
		assert_int_equal(got.concurrent, 100);
		assert_int_equal(got.idle_ms, 75000);
		assert_int_equal(got.environment_count, 2);
		assert_string_equal(got.environment[1], "B=");
		assert_int_equal(got.argument_count, 1);
		assert_string_equal(got.arguments[0], "");
		assert_int_equal(got.listener_count, 2);
		assert_string_equal(got.listeners[1], "unix:/run/x");
		assert_int_equal(worker_start_encode(&got, 42, again, sizeof again), length);
		assert_memory_equal(data, again, (size_t)length);
	}
}

static void a_start_that_does_not_fit_is_refused(void **state)
{
	(void)state;
	static unsigned char data[MESSAGE_LENGTH_MAX];
	ssize_t length = worker_start_encode(example(), 1, data, sizeof data);
	for (ssize_t size = 0; size < length; size++)
		assert_int_equal(worker_start_encode(example(), 1, data, (size_t)size), -EMSGSIZE);
	assert_int_equal(worker_start_encode(example(), 1, data, (size_t)length), length);
}

static void every_cut_and_addition_of_a_start_is_refused(void **state)
{
	(void)state;
	static unsigned char data[4096];
	static struct worker_start got;
	struct error error;
	size_t length = (size_t)worker_start_encode(example(), 1, data, sizeof data);
	for (size_t cut = 0; cut < length; cut++)
		assert_int_equal(worker_start_decode(data, cut, &got, &error), -EBADMSG);
	assert_int_equal(worker_start_decode(data, length + 1, &got, &error), -EBADMSG);
	assert_int_equal(worker_start_decode(data, length, &got, &error), 0);
}

static void a_start_with_impossible_values_is_refused(void **state)
{
	(void)state;
	static unsigned char data[4096];
	static struct worker_start got;
	struct error error;

	struct worker_start *start = example();
	start->mode = WORKER_MODE_COMPILE + 1;
	ssize_t length = worker_start_encode(start, 1, data, sizeof data);
	assert_int_equal(worker_start_decode(data, (size_t)length, &got, &error), -EBADMSG);

	start = example();
	start->uid = 0; /* root of the user namespace */
	length = worker_start_encode(start, 1, data, sizeof data);
	assert_int_equal(worker_start_decode(data, (size_t)length, &got, &error), -EBADMSG);

	length = worker_start_encode(example(), 1, data, sizeof data);
	data[0] = MESSAGE_DRAIN;
	assert_int_equal(worker_start_decode(data, (size_t)length, &got, &error), -EBADMSG);
	assert_int_equal(error.code, EBADMSG);

	/* Permission bits that this version does not know. */
	length = worker_start_encode(example(), 1, data, sizeof data);
	size_t flags =
		8 + (4 + sizeof "shop") + (4 + sizeof "src/main.js") + 8 + (4 + sizeof "/app") + 8;
	assert_int_equal(data[flags], 2);
	data[flags] = WORKER_INSPECT_COUNT << 6;
	assert_int_equal(worker_start_decode(data, (size_t)length, &got, &error), -EBADMSG);
}

static void lists_that_are_too_long_are_refused(void **state)
{
	(void)state;
	static unsigned char data[MESSAGE_LENGTH_MAX];
	static struct worker_start got;
	struct error error;
	struct worker_start *start = example();
	/* Without any list an encoded START ends in the counts alone, one word each. */
	start->environment_count = start->argument_count = start->listener_count = 0;
	start->grant_count = start->connect_count = start->deny_count = 0;
	start->exec_count = start->secret_count = 0;
	size_t length = (size_t)worker_start_encode(start, 1, data, sizeof data);
	const uint32_t most[] = {WORKER_STRINGS_MAX, WORKER_STRINGS_MAX, WORKER_LISTENERS_MAX,
		WORKER_LISTENERS_MAX, WORKER_GRANTS_MAX, WORKER_RULES_MAX, WORKER_RULES_MAX,
		WORKER_RULES_MAX, WORKER_RULES_MAX};
	for (size_t list = 0; list < ARRAY_LENGTH(most); list++) {
		size_t place = length - 4 * (ARRAY_LENGTH(most) - list);
		uint32_t counts[] = {most[list] + 1, UINT32_MAX};
		for (size_t i = 0; i < 2; i++) {
			uint32_t zero = 0;
			assert_memory_equal(data + place, &zero, 4);
			memcpy(data + place, &counts[i], 4);
			assert_int_equal(worker_start_decode(data, length, &got, &error), -EBADMSG);
			memcpy(data + place, &zero, 4);
		}
	}
	assert_int_equal(worker_start_decode(data, length, &got, &error), 0);
}

static void grants_of_a_start_are_paths(void **state)
{
	(void)state;
	static unsigned char data[MESSAGE_LENGTH_MAX];
	static struct worker_start got;
	struct error error;
	struct worker_start *start = example();
	start->grants[0].path = "srv";
	ssize_t length = worker_start_encode(start, 1, data, sizeof data);
	assert_int_equal(worker_start_decode(data, (size_t)length, &got, &error), -EBADMSG);
}

static struct worker_child *example_child(void)
{
	static struct worker_child child;
	child = (struct worker_child){
		.child = 7,
		.stdio = {CHILD_STDIO_PIPE, CHILD_STDIO_IGNORE, CHILD_STDIO_INHERIT},
		.time_ms = 1000,
		.path = "/usr/bin/git",
		.folder = "/srv",
		.argument_count = 2,
		.arguments = {"git", ""},
		.environment_count = 1,
		.environment = {"A=1"},
	};
	return &child;
}

static void a_child_survives_encoding(void **state)
{
	(void)state;
	static unsigned char data[4096], again[4096];
	static struct worker_child got;
	struct error error;
	ssize_t length = worker_child_encode(example_child(), 42, data, sizeof data);
	assert_true(length > 0);
	assert_int_equal(worker_child_decode(data, (size_t)length, &got, &error), 0);
	assert_int_equal(got.child, 7);
	assert_int_equal(got.stdio[2], CHILD_STDIO_INHERIT);
	assert_int_equal(got.time_ms, 1000);
	assert_string_equal(got.path, "/usr/bin/git");
	assert_string_equal(got.folder, "/srv");
	assert_int_equal(got.argument_count, 2);
	assert_string_equal(got.arguments[1], "");
	assert_string_equal(got.environment[0], "A=1");
	assert_int_equal(worker_child_encode(&got, 42, again, sizeof again), length);
	assert_memory_equal(data, again, (size_t)length);
	for (ssize_t size = 0; size < length; size++) {
		assert_int_equal(worker_child_decode(data, (size_t)size, &got, &error), -EBADMSG);
		assert_int_equal(
			worker_child_encode(example_child(), 42, again, (size_t)size), -EMSGSIZE);
	}
	assert_int_equal(worker_child_decode(data, (size_t)length + 1, &got, &error), -EBADMSG);
}

static void a_child_with_impossible_values_is_refused(void **state)
{
	(void)state;
	static unsigned char data[4096];
	static struct worker_child got;
	struct error error;
	struct worker_child *child = example_child();
	child->path = "git";
	ssize_t length = worker_child_encode(child, 1, data, sizeof data);
	assert_int_equal(worker_child_decode(data, (size_t)length, &got, &error), -EBADMSG);
	child = example_child();
	child->stdio[1] = CHILD_STDIO_INHERIT + 1;
	length = worker_child_encode(child, 1, data, sizeof data);
	assert_int_equal(worker_child_decode(data, (size_t)length, &got, &error), -EBADMSG);
}

static void a_report_carries_its_text_and_is_cut_when_long(void **state)
{
	(void)state;
	static char data[MESSAGE_TEXT_MAX * 2], text[MESSAGE_TEXT_MAX + 100];
	struct message_report report;
	size_t length = message_report_encode(data, sizeof data, MESSAGE_EXITING, 7,
		WORKER_REASON_UNCAUGHT, 1, "Error: no\n    at main.js:1");
	memcpy(&report, data, sizeof report);
	assert_int_equal(report.header.type, MESSAGE_EXITING);
	assert_int_equal(report.header.instance, 7);
	assert_int_equal(report.reason, WORKER_REASON_UNCAUGHT);
	assert_int_equal(report.exit_code, 1);
	assert_string_equal(message_report_text(data, length), "Error: no\n    at main.js:1");

	memset(text, 'x', sizeof text - 1);
	length = message_report_encode(
		data, sizeof data, MESSAGE_FAILED, 7, WORKER_REASON_BOOT, 1, text);
	assert_int_equal(strlen(message_report_text(data, length)), MESSAGE_TEXT_MAX);
	length = message_report_encode(
		data, sizeof report + 4, MESSAGE_FAILED, 7, WORKER_REASON_BOOT, 1, text);
	assert_int_equal(length, sizeof report + 4);
	assert_string_equal(message_report_text(data, length), "xxx");
}

static void a_report_without_a_terminated_text_has_none(void **state)
{
	(void)state;
	char data[64];
	size_t length = message_report_encode(
		data, sizeof data, MESSAGE_FAILED, 7, WORKER_REASON_BOOT, 1, "text");
	assert_string_equal(message_report_text(data, length - 1), "");
	assert_string_equal(message_report_text(data, sizeof(struct message_report)), "");
	assert_string_equal(message_report_text(data, 0), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_table_allows_passes),
		cmocka_unit_test(all_else_is_refused_with_the_reason),
		cmocka_unit_test(start_survives_encoding),
		cmocka_unit_test(a_start_that_does_not_fit_is_refused),
		cmocka_unit_test(every_cut_and_addition_of_a_start_is_refused),
		cmocka_unit_test(a_start_with_impossible_values_is_refused),
		cmocka_unit_test(lists_that_are_too_long_are_refused),
		cmocka_unit_test(grants_of_a_start_are_paths),
		cmocka_unit_test(a_child_survives_encoding),
		cmocka_unit_test(a_child_with_impossible_values_is_refused),
		cmocka_unit_test(a_report_carries_its_text_and_is_cut_when_long),
		cmocka_unit_test(a_report_without_a_terminated_text_has_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
