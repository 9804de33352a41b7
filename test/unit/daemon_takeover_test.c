/* What one daemon leaves to the next: it comes out as it went in, and nothing else is taken for
 * it. */
#include "common/cleanup.h"
#include "daemon/deaths.h"
#include "daemon/events.h"
#include "daemon/secrets.h"
#include "daemon/takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

static struct error error;

/* Writes TAKEOVER and reads it again, as execve would leave it. */
static void hand_over(struct takeover *takeover)
{
	const int fd = takeover_seal(takeover, &error);
	assert_true(fd >= 0);
	takeover_keep(takeover, true);
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	/* The old side ends with the process: what it has open stays. */
	json_decref(takeover->root);
	free(takeover->fds);
	assert_int_equal(takeover_read(fd, takeover, &error), 0);
}

static void what_was_put_is_taken(void **unused)
{
	struct takeover takeover;
	cleanup_free char *data = NULL;
	size_t length;
	int ends[2];
	(void)unused;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(takeover_new(&takeover, &error), 0);
	json_t *root = takeover.root;
	json_object_set_new(root, "fd", takeover_put_fd(&takeover, ends[0]));
	json_object_set_new(root, "none", takeover_put_fd(&takeover, -1));
	json_object_set_new(root, "first", takeover_put_bytes(&takeover, "\0\377one", 5));
	json_object_set_new(root, "second", takeover_put_bytes(&takeover, "two", 3));
	json_object_set_new(root, "text", takeover_text("bad \377 text"));
	json_object_set_new(root, "number", json_integer(1234567890123));
	hand_over(&takeover);
	root = takeover.root;
	assert_int_equal(
		takeover_take_bytes(&takeover, json_object_get(root, "second"), &data, &length), 0);
	assert_int_equal(length, 3);
	assert_string_equal(data, "two");
	free(take_pointer(data));
	assert_int_equal(
		takeover_take_bytes(&takeover, json_object_get(root, "first"), &data, &length), 0);
	assert_int_equal(length, 5);
	assert_memory_equal(data, "\0\377one", 5);
	assert_int_equal(takeover_number(root, "number"), 1234567890123);
	assert_string_equal(takeover_string(root, "text"), "bad \\xff text");
	assert_int_equal(takeover_number(root, "missing"), 0);
	assert_string_equal(takeover_string(root, "missing"), "");
	assert_false(takeover_flag(root, "missing"));
	assert_int_equal(takeover_take_fd(&takeover, json_object_get(root, "none")), -EBADF);
	/* One owner, and no child inherits it. */
	assert_int_equal(takeover_take_fd(&takeover, json_object_get(root, "fd")), ends[0]);
	assert_int_equal(takeover_take_fd(&takeover, json_object_get(root, "fd")), -EBADF);
	assert_int_equal(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
	takeover_clear(&takeover);
	assert_int_equal(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
	close(ends[0]);
	close(ends[1]);
}

static void what_nobody_takes_is_closed(void **unused)
{
	struct takeover takeover;
	int ends[2];
	(void)unused;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(takeover_new(&takeover, &error), 0);
	json_object_set_new(takeover.root, "fd", takeover_put_fd(&takeover, ends[0]));
	hand_over(&takeover);
	takeover_clear(&takeover);
	assert_int_equal(fcntl(ends[0], F_GETFD), -1);
	close(ends[1]);
}

static void a_place_that_is_none_is_refused(void **unused)
{
	struct takeover takeover;
	char *data;
	size_t length;
	(void)unused;
	assert_int_equal(takeover_new(&takeover, &error), 0);
	json_object_set_new(takeover.root, "far", json_pack("[i, i]", 100, 1));
	json_object_set_new(takeover.root, "huge", json_pack("[i, I]", 0, (json_int_t)1 << 40));
	hand_over(&takeover);
	const json_t *root = takeover.root;
	assert_int_equal(
		takeover_take_bytes(&takeover, json_object_get(root, "far"), &data, &length),
		-EINVAL);
	assert_int_equal(
		takeover_take_bytes(&takeover, json_object_get(root, "huge"), &data, &length),
		-EINVAL);
	assert_int_equal(
		takeover_take_bytes(&takeover, json_object_get(root, "none"), &data, &length),
		-EINVAL);
	takeover_clear(&takeover);
}

static int memfd_of(const char *text, bool sealed)
{
	const int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	if (sealed)
		assert_int_equal(fcntl(fd, F_ADD_SEALS,
					 F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL),
			0);
	return fd;
}

static void what_no_daemon_wrote_is_refused(void **unused)
{
	struct takeover takeover;
	(void)unused;
	assert_int_equal(takeover_read(open("/dev/null", O_RDONLY), &takeover, &error), -EINVAL);
	assert_non_null(strstr(error.message, "is no handover"));
	assert_int_equal(
		takeover_read(memfd_of("{\"version\":1}", false), &takeover, &error), -EINVAL);
	assert_int_equal(
		takeover_read(memfd_of("{\"version\":999}", true), &takeover, &error), -ENOTSUP);
	assert_non_null(strstr(error.message, "version 999"));
	assert_int_equal(takeover_read(memfd_of("no JSON", true), &takeover, &error), -ENOTSUP);
	assert_int_equal(
		takeover_read(memfd_of("{\"version\":1}", true), &takeover, &error), -EBADF);
	assert_int_equal(takeover_read(9999, &takeover, &error), -EINVAL);
}

static void secrets_are_left_out_by_the_next_daemon_too(void **unused)
{
	static const char entries[] = "KEY=very-secret\0OTHER=two\nlines-of-it";
	char text[] = "a very-secret word and lines-of-it";
	struct secrets *secrets;
	(void)unused;
	assert_int_equal(secrets_restore(entries, sizeof entries, &secrets, &error), 0);
	assert_int_equal(secrets_count(secrets), 2);
	assert_string_equal(secrets_entry(secrets, 0), "KEY=very-secret");
	secrets_redact_string(secrets, text);
	assert_string_equal(text, "a *** word and ***");
	secrets_free(secrets);
	assert_int_equal(secrets_restore("nothing", 8, &secrets, &error), -EINVAL);
	assert_int_equal(secrets_restore(NULL, 0, &secrets, &error), 0);
	assert_null(secrets);
}

static void take(void *data, json_t *event)
{
	json_array_append_new(data, event);
}

static void events_and_deaths_are_kept(void **unused)
{
	struct events *before = events_new(), *after = events_new();
	struct deaths *deaths = NULL, *kept = NULL;
	json_t *all = json_array(), *again = json_array();
	(void)unused;
	for (int i = 0; i < EVENTS_KEPT + 10; i++)
		events_add(before, &(struct event){.tenant = i % 2 ? "odd" : "even",
					   .name = "ready",
					   .to = "running",
					   .message = "a \"message\"",
					   .pid = i});
	json_t *packed = events_pack(before);
	events_restore(after, packed);
	json_decref(packed);
	events_last(before, NULL, EVENTS_KEPT, take, all);
	events_last(after, NULL, EVENTS_KEPT, take, again);
	assert_int_equal(json_array_size(again), EVENTS_KEPT);
	assert_true(json_equal(all, again));
	json_decref(all);
	json_decref(again);
	events_free(before);
	events_free(after);

	for (int i = 0; i < DEATHS_KEPT + 3; i++) {
		struct instance_end end = {.reason = END_OOM, .exit_code = -1, .signal = 9};
		end.time_us = (uint64_t)i;
		deaths_add(&deaths, &end, "release", 100 + i, 7);
	}
	packed = deaths_pack(deaths);
	deaths_restore(&kept, packed);
	json_decref(packed);
	all = deaths_describe(deaths);
	again = deaths_describe(kept);
	assert_int_equal(json_array_size(again), DEATHS_KEPT);
	assert_true(json_equal(all, again));
	json_decref(all);
	json_decref(again);
	deaths_free(deaths);
	deaths_free(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_put_is_taken),
		cmocka_unit_test(what_nobody_takes_is_closed),
		cmocka_unit_test(a_place_that_is_none_is_refused),
		cmocka_unit_test(what_no_daemon_wrote_is_refused),
		cmocka_unit_test(secrets_are_left_out_by_the_next_daemon_too),
		cmocka_unit_test(events_and_deaths_are_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
