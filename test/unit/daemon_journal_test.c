/* daemon/journal: entries as journald wants them, and a journald that hangs. */
#include "daemon/journal.h"

#include "common/clock.h"

#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/journal-test-XXXXXX";
static char path[64];
static int journald = -1;
static int saved_stderr = -1, other_end = -1;
static char datagram[65536];

static int setup(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat status;
	char stream[64];
	(void)state;
	/* Standard error is one end of a socket, as under systemd. */
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	saved_stderr = dup(STDERR_FILENO);
	dup2(ends[0], STDERR_FILENO);
	close(ends[0]);
	other_end = ends[1];
	assert_int_equal(fstat(STDERR_FILENO, &status), 0);
	snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)status.st_dev,
		(uintmax_t)status.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/socket", folder);
	strcpy(address.sun_path, path);
	journald = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(journald, (struct sockaddr *)&address, sizeof address), 0);
	journal_open(path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	journal_close();
	dup2(saved_stderr, STDERR_FILENO);
	/* What cmocka said meanwhile. */
	ssize_t length = recv(other_end, datagram, sizeof datagram, MSG_DONTWAIT);
	if (length > 0)
		length = write(saved_stderr, datagram, (size_t)length);
	close(other_end);
	close(saved_stderr);
	close(journald);
	unlink(path);
	rmdir(folder);
	return 0;
}

/* The next entry, or -1. */
static ssize_t next_entry(void)
{
	ssize_t length = recv(journald, datagram, sizeof datagram - 1, 0);
	if (length >= 0)
		datagram[length] = '\0';
	return length;
}

static bool has_field(const char *line)
{
	char whole[256];
	snprintf(whole, sizeof whole, "%s\n", line);
	return strstr(datagram, whole) == datagram || strstr(datagram, whole) != NULL;
}

/* MESSAGE, which is the last field, in its form with a length. */
static void assert_message(ssize_t entry, const char *text, size_t length)
{
	static const char name[] = "MESSAGE\n";
	const char *at = memmem(datagram, (size_t)entry, name, sizeof name - 1);
	uint64_t size;
	assert_non_null(at);
	memcpy(&size, at + sizeof name - 1, sizeof size);
	assert_int_equal(le64toh(size), length);
	assert_memory_equal(at + sizeof name - 1 + 8, text, length);
	assert_ptr_equal(at + sizeof name - 1 + 8 + length + 1, datagram + entry);
	assert_int_equal(datagram[entry - 1], '\n');
}

static void test_a_line_of_the_daemon_has_its_words_as_fields(void **state)
{
	static const char line[] =
		"event=ready tenant=shop release=abc pid=7 message=\"tenant=other "
		"event=no\" instance=3";
	(void)state;
	log_warn("%s", line);
	ssize_t length = next_entry();
	assert_true(length > 0);
	assert_true(has_field("PRIORITY=4"));
	assert_true(has_field("SYSLOG_IDENTIFIER=tenantd"));
	assert_true(has_field("EVENT=ready"));
	assert_true(has_field("TENANT=shop"));
	assert_true(has_field("RELEASE=abc"));
	/* What is in quotes, and behind it, is somebody else's. */
	assert_null(strstr(datagram, "TENANT=other"));
	assert_null(strstr(datagram, "INSTANCE="));
	assert_message(length, line, sizeof line - 1);
}

static void test_a_line_of_prose_has_none(void **state)
{
	(void)state;
	log_error("cannot listen on tenant=x: no");
	assert_true(next_entry() > 0);
	assert_true(has_field("PRIORITY=3"));
	assert_null(strstr(datagram, "TENANT="));
}

static void test_a_tenants_line_holds_any_byte(void **state)
{
	static const char bytes[] = "a\nTENANT=root\n\0b\xff";
	(void)state;
	journal_tenant_line(&(struct journal_line){
		.tenant = "sshd",
		.release = "0123456789ab",
		.stream = "stderr",
		.instance = 12,
		.priority = 4,
		.message = bytes,
		.length = sizeof bytes - 1,
	});
	ssize_t length = next_entry();
	assert_true(length > 0);
	assert_true(has_field("TENANT=sshd"));
	assert_true(has_field("RELEASE=0123456789ab"));
	assert_true(has_field("INSTANCE=12"));
	assert_true(has_field("STREAM=stderr"));
	assert_true(has_field("PRIORITY=4"));
	assert_true(has_field("SYSLOG_IDENTIFIER=tenantd/sshd"));
	assert_message(length, bytes, sizeof bytes - 1);
}

static void test_what_is_not_known_is_no_field(void **state)
{
	(void)state;
	journal_tenant_line(&(struct journal_line){.tenant = "a",
		.stream = "tenantd",
		.release = "",
		.priority = 5,
		.message = "x",
		.length = 1});
	assert_true(next_entry() > 0);
	assert_null(strstr(datagram, "RELEASE="));
	assert_null(strstr(datagram, "INSTANCE="));
}

static void test_a_journald_that_hangs_costs_little(void **state)
{
	(void)state;
	/* Nobody reads: the queue of the socket fills. */
	const uint64_t begin = clock_ms();
	for (int i = 0; i < 5000; i++)
		log_info("event=flood number=%d", i);
	assert_true(clock_ms() - begin < 1000 + 3 * JOURNAL_WAIT_MS);
	int taken = 0;
	while (next_entry() > 0)
		taken++;
	assert_true(taken >= 1 && taken < 5000);
	/* Once it reads again, it is told how much is missing. */
	usleep((JOURNAL_PAUSE_MS + 50) * 1000);
	log_info("event=after");
	char text[80];
	snprintf(text, sizeof text, "event=journal-lost lines=%d", 5000 - taken);
	assert_true(next_entry() > 0);
	assert_true(has_field("EVENT=journal-lost"));
	assert_true(memmem(datagram, sizeof datagram, text, strlen(text)) != NULL);
	assert_true(next_entry() > 0);
	assert_true(has_field("EVENT=after"));
}

static void test_elsewhere_nothing_changes(void **state)
{
	(void)state;
	setenv("JOURNAL_STREAM", "1:2", 1); /* inherited; standard error leads elsewhere */
	journal_open(path);
	log_info("event=plain");
	journal_tenant_line(&(struct journal_line){
		.tenant = "a", .stream = "stdout", .message = "x", .length = 1});
	assert_int_equal(next_entry(), -1);
	assert_int_equal(errno, EAGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_a_line_of_the_daemon_has_its_words_as_fields, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_line_of_prose_has_none, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_tenants_line_holds_any_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_what_is_not_known_is_no_field, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_journald_that_hangs_costs_little, setup, teardown),
		cmocka_unit_test_setup_teardown(test_elsewhere_nothing_changes, setup, teardown),
	};
	log_init("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
