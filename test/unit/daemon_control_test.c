/* The control socket: who may connect, what is refused, what waits. */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/control.h"
#include "common/message.h"
#include "daemon/control.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

static char path[64];
static sd_event *event;
static struct control *control;

/* ---- verbs of the test ---- */

static struct control_connection *held;
static unsigned held_closed, held_messages;

static void echo_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	(void)fds;
	control_item(connection, json_pack("{s:O}", "you said", request));
	control_done(connection, json_pack("{s:i}", "descriptors", (int)fd_count));
}

static void on_held_closed(void *data)
{
	(void)data;
	held_closed++;
	held = NULL;
}

static void on_held_message(void *data, const json_t *message)
{
	(void)data;
	(void)message;
	held_messages++;
}

static const struct control_hold silent_hold = {on_held_closed, NULL};
static const struct control_hold talking_hold = {on_held_closed, on_held_message};

static void hold_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	(void)fds;
	(void)fd_count;
	held = connection;
	control_hold(connection,
		json_is_true(json_object_get(request, "talk")) ? &talking_hold : &silent_hold,
		&held, (uint32_t)json_integer_value(json_object_get(request, "ms")));
}

static void flood_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	static char text[64 * 1024];
	(void)request;
	(void)fds;
	(void)fd_count;
	memset(text, 'x', sizeof text - 1);
	for (json_int_t i = json_integer_value(json_object_get(request, "count")); i > 0; i--)
		control_item(connection, json_pack("{s:s}", "text", text));
	control_done(connection, NULL);
}

static const struct control_verb test_verbs[] = {
	{"echo", echo_verb, 0, 2, true},
	{"hold", hold_verb, 0, 0, false},
	{"flood", flood_verb, 0, 0, false},
};

/* ---- set-up ---- */

static int open_control(void **unused)
{
	struct error error = {0};
	(void)unused;
	held_closed = held_messages = 0;
	snprintf(path, sizeof path, "/tmp/control-test-%d.sock", getpid());
	return sd_event_new(&event) < 0 ||
	       control_open(event, path, test_verbs, ARRAY_LENGTH(test_verbs), NULL, &control,
		       &error) < 0;
}

static int close_control(void **unused)
{
	(void)unused;
	control = control_close(control);
	event = sd_event_unref(event);
	return access(path, F_OK) == 0;
}

static int connect_client(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static void turn_loop(unsigned milliseconds)
{
	uint64_t until = clock_ms() + milliseconds;
	do
		sd_event_run(event, 2000);
	while (clock_ms() < until);
}

/* The next answer, as text; "" when the connection was closed. */
static const char *receive(int fd)
{
	static char buffer[CONTROL_LENGTH_MAX + 1];
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	for (int i = 0; i < 400 && poll(&poll_fd, 1, 0) == 0; i++)
		sd_event_run(event, 5000);
	ssize_t length = recv(fd, buffer, sizeof buffer - 1, MSG_DONTWAIT);
	if (length < 0 && errno != ECONNRESET)
		fail_msg("nothing was answered");
	buffer[length < 0 ? 0 : length] = '\0';
	return buffer;
}

static void ask(int fd, const char *text)
{
	assert_int_equal(message_send(fd, text, strlen(text), NULL, 0), 0);
}

static void assert_says(const char *answer, const char *part)
{
	if (strstr(answer, part) == NULL)
		fail_msg("\"%s\" does not hold \"%s\"", answer, part);
}

/* ---- tests ---- */

static void test_a_request_is_answered(void **unused)
{
	(void)unused;
	int fds[] = {0, 1};
	struct stat status;
	cleanup_close int client = connect_client();
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0660);
	ask(client, "{\"verb\":\"echo\",\"a\":1}");
	assert_string_equal(
		receive(client), "{\"item\":{\"you said\":{\"verb\":\"echo\",\"a\":1}}}");
	assert_string_equal(receive(client), "{\"done\":{\"descriptors\":0}}");
	/* Another one on the same connection, with descriptors. */
	assert_int_equal(message_send(client, "{\"verb\":\"echo\"}", 15, fds, 2), 0);
	receive(client);
	assert_string_equal(receive(client), "{\"done\":{\"descriptors\":2}}");
}

static void test_nonsense_is_refused(void **unused)
{
	(void)unused;
	static const struct {
		const char *request, *part;
	} cases[] = {
		{"x", "not a JSON object"},
		{"[1]", "not a JSON object"},
		{"{\"verb\":\"echo\",\"verb\":\"echo\"}", "not a JSON object"},
		{"{}", "unknown-verb"},
		{"{\"verb\":3}", "unknown-verb"},
		{"{\"verb\":\"nope\\u001b[31m\"}", "nope\\\\x1b"},
		{"\xff\xfe", "not a JSON object"},
	};
	cleanup_close int client = connect_client();
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		ask(client, cases[i].request);
		const char *answer = receive(client);
		assert_says(answer, "{\"error\":");
		assert_says(answer, cases[i].part);
	}
}

static int open_descriptors(void)
{
	int count = 0;
	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void test_too_many_descriptors_are_closed(void **unused)
{
	(void)unused;
	int fds[12] = {0};
	cleanup_close int client = connect_client();
	turn_loop(10);
	int before = open_descriptors();
	assert_int_equal(message_send(client, "{\"verb\":\"echo\"}", 15, fds, 3), 0);
	assert_says(receive(client), "descriptors");
	assert_int_equal(message_send(client, "{\"verb\":\"echo\"}", 15, fds, 12), 0);
	assert_says(receive(client), "error");
	assert_int_equal(open_descriptors(), before);
}

static void test_a_request_that_is_too_long_is_refused(void **unused)
{
	(void)unused;
	static char text[CONTROL_LENGTH_MAX + 1];
	cleanup_close int client = connect_client();
	memset(text, ' ', sizeof text);
	memcpy(text, "{\"verb\":\"echo\"}", 15);
	assert_int_equal(message_send(client, text, sizeof text, NULL, 0), 0);
	assert_says(receive(client), "more than");
}

static void test_a_deadline_ends_the_wait(void **unused)
{
	(void)unused;
	cleanup_close int client = connect_client();
	ask(client, "{\"verb\":\"hold\",\"ms\":50}");
	const char *answer = receive(client);
	assert_says(answer, "\"code\":\"timeout\"");
	assert_says(answer, "\"exit\":124");
	assert_int_equal(held_closed, 1);
	ask(client, "{\"verb\":\"echo\"}");
	assert_says(receive(client), "item");
}

static void test_a_client_that_leaves_is_noticed(void **unused)
{
	(void)unused;
	int client = connect_client();
	ask(client, "{\"verb\":\"hold\"}");
	turn_loop(20);
	assert_non_null(held);
	close(client);
	turn_loop(20);
	assert_int_equal(held_closed, 1);
}

static void test_a_message_out_of_turn_ends_the_connection(void **unused)
{
	(void)unused;
	cleanup_close int client = connect_client();
	ask(client, "{\"verb\":\"hold\"}");
	ask(client, "{\"verb\":\"echo\"}");
	assert_string_equal(receive(client), "");
	assert_int_equal(held_closed, 1);
	cleanup_close int other = connect_client();
	ask(other, "{\"verb\":\"hold\",\"talk\":true}");
	ask(other, "{\"verb\":\"signal\"}");
	turn_loop(20);
	assert_int_equal(held_messages, 1);
	control_done(held, NULL);
	assert_string_equal(receive(other), "{\"done\":{}}");
	assert_int_equal(held_closed, 1);
}

/* Whoever holds the connection would go on to use it after it was freed. */
static void test_nonsense_out_of_turn_tells_who_holds_the_connection(void **unused)
{
	(void)unused;
	static char long_text[CONTROL_LENGTH_MAX + 1];
	memset(long_text, ' ', sizeof long_text - 1);
	const struct {
		const char *text;
		size_t length;
	} nonsense[] = {{"[", 1}, {"[1]", 3}, {long_text, sizeof long_text}};
	for (size_t i = 0; i < ARRAY_LENGTH(nonsense); i++) {
		cleanup_close int client = connect_client();
		held_closed = 0;
		ask(client, "{\"verb\":\"hold\",\"talk\":true}");
		turn_loop(20);
		assert_non_null(held);
		/* Larger than what message_send lets out. */
		assert_int_equal(setsockopt(client, SOL_SOCKET, SO_SNDBUFFORCE,
					 &(int){4 * CONTROL_LENGTH_MAX}, sizeof(int)),
			0);
		assert_true(send(client, nonsense[i].text, nonsense[i].length, 0) > 0);
		turn_loop(20);
		assert_int_equal(held_closed, 1);
		assert_null(held);
		assert_string_equal(receive(client), "");
	}
}

static void test_a_client_that_does_not_read_is_bounded(void **unused)
{
	(void)unused;
	cleanup_close int slow = connect_client();
	/* 4 MiB wait for it … */
	ask(slow, "{\"verb\":\"flood\",\"count\":64}");
	turn_loop(20);
	unsigned items = 0;
	while (strncmp(receive(slow), "{\"item\"", 7) == 0)
		items++;
	assert_int_equal(items, 64);
	/* … 16 MiB do not: it is cut off. */
	ask(slow, "{\"verb\":\"flood\",\"count\":256}");
	turn_loop(20);
	const char *answer;
	for (items = 0; *(answer = receive(slow)) != '\0'; items++)
		assert_says(answer, "item");
	assert_uint_in_range(items, 1, 200);
}

static void test_connections_are_bounded(void **unused)
{
	(void)unused;
	static int clients[CONTROL_CONNECTIONS_MAX + 1];
	for (size_t i = 0; i < ARRAY_LENGTH(clients); i++) {
		clients[i] = connect_client();
		sd_event_run(event, 1000);
	}
	turn_loop(20);
	assert_says(receive(clients[CONTROL_CONNECTIONS_MAX]), "too many");
	ask(clients[0], "{\"verb\":\"echo\"}");
	assert_says(receive(clients[0]), "item");
	for (size_t i = 0; i < ARRAY_LENGTH(clients); i++)
		close(clients[i]);
	turn_loop(20);
}

static void test_stopping_refuses_what_begins_something(void **unused)
{
	(void)unused;
	cleanup_close int client = connect_client();
	control_set_stopping(control);
	ask(client, "{\"verb\":\"hold\"}");
	assert_says(receive(client), "stopping");
	ask(client, "{\"verb\":\"echo\"}");
	assert_says(receive(client), "item");
}

static void test_a_second_daemon_is_refused_a_stale_socket_replaced(void **unused)
{
	(void)unused;
	struct control *second;
	struct error error = {0};
	assert_int_equal(
		control_open(event, path, test_verbs, 1, NULL, &second, &error), -EADDRINUSE);
	assert_non_null(strstr(error.message, path));
	char stale[80];
	snprintf(stale, sizeof stale, "%s.stale", path);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, stale);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	close(fd);
	assert_int_equal(control_open(event, stale, test_verbs, 1, NULL, &second, &error), 0);
	control_close(second);
}

/* Needs root, to become somebody else. */
static void test_a_file_that_is_no_socket_is_left_alone(void **unused)
{
	(void)unused;
	struct control *second = NULL;
	struct error error = {0};
	char file[80];
	snprintf(file, sizeof file, "%s.file", path);
	cleanup_close int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(control_open(event, file, test_verbs, ARRAY_LENGTH(test_verbs), NULL,
				 &second, &error),
		-EEXIST);
	assert_int_equal(unlink(file), 0);
}

static void test_other_users_are_refused(void **unused)
{
	(void)unused;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(path, 0666), 0); /* so that only the check stands in the way */
	pid_t pid = fork();
	if (pid == 0) {
		struct sockaddr_un address = {.sun_family = AF_UNIX};
		char answer[256] = "";
		strcpy(address.sun_path, path);
		if (setresuid(65534, 65534, 65534) < 0)
			_exit(2);
		int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
			_exit(3);
		(void)!recv(fd, answer, sizeof answer - 1, 0);
		_exit(strstr(answer, "only root") ? 0 : 4);
	}
	turn_loop(200);
	int status = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define CONTROL_TEST(name) cmocka_unit_test_setup_teardown(name, open_control, close_control)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONTROL_TEST(test_a_request_is_answered),
		CONTROL_TEST(test_nonsense_is_refused),
		CONTROL_TEST(test_too_many_descriptors_are_closed),
		CONTROL_TEST(test_a_request_that_is_too_long_is_refused),
		CONTROL_TEST(test_a_deadline_ends_the_wait),
		CONTROL_TEST(test_a_client_that_leaves_is_noticed),
		CONTROL_TEST(test_a_message_out_of_turn_ends_the_connection),
		CONTROL_TEST(test_nonsense_out_of_turn_tells_who_holds_the_connection),
		CONTROL_TEST(test_a_client_that_does_not_read_is_bounded),
		CONTROL_TEST(test_connections_are_bounded),
		CONTROL_TEST(test_stopping_refuses_what_begins_something),
		CONTROL_TEST(test_a_second_daemon_is_refused_a_stale_socket_replaced),
		CONTROL_TEST(test_a_file_that_is_no_socket_is_left_alone),
		CONTROL_TEST(test_other_users_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
