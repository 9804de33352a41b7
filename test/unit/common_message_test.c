#include "common/cleanup.h"
#include "common/message.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

/* The lowest free descriptor: it rises when something leaks. */
static int next_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	close(fd);
	return fd;
}

static int setup(void **state)
{
	static int fds[2];
	*state = fds;
	return message_pair(fds);
}

static int teardown(void **state)
{
	int *fds = *state;
	close_fd(&fds[0]);
	close_fd(&fds[1]);
	return 0;
}

static bool is_close_on_exec(int fd)
{
	return fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

static void a_pair_is_close_on_exec_and_blocking(void **state)
{
	const int *fds = *state;
	for (int i = 0; i < 2; i++) {
		int type = 0;
		socklen_t size = sizeof type;
		assert_true(is_close_on_exec(fds[i]));
		assert_false(fcntl(fds[i], F_GETFL) & O_NONBLOCK);
		assert_int_equal(getsockopt(fds[i], SOL_SOCKET, SO_TYPE, &type, &size), 0);
		assert_int_equal(type, SOCK_SEQPACKET);
	}
}

static void messages_keep_their_boundaries(void **state)
{
	const int *fds = *state;
	char data[16];
	assert_int_equal(message_send(fds[0], "one", 3, NULL, 0), 0);
	assert_int_equal(message_send(fds[0], "three", 5, NULL, 0), 0);
	assert_int_equal(message_receive(fds[1], data, sizeof data, NULL, NULL, 0), 3);
	assert_memory_equal(data, "one", 3);
	assert_int_equal(message_receive(fds[1], data, sizeof data, NULL, NULL, 0), 5);
	assert_memory_equal(data, "three", 5);
	assert_int_equal(
		message_receive(fds[1], data, sizeof data, NULL, NULL, MSG_DONTWAIT), -EAGAIN);
}

static void descriptors_arrive_open_and_close_on_exec(void **state)
{
	const int *fds = *state;
	int pipe_fds[2], got[MESSAGE_FDS_MAX];
	size_t count = MESSAGE_FDS_MAX;
	char data[16];
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_int_equal(message_send(fds[0], "x", 1, pipe_fds, 2), 0);
	/* They are the sender's still. */
	assert_true(fcntl(pipe_fds[0], F_GETFD) >= 0);
	assert_int_equal(message_receive(fds[1], data, sizeof data, got, &count, 0), 1);
	assert_int_equal(count, 2);
	assert_true(is_close_on_exec(got[0]) && is_close_on_exec(got[1]));
	assert_int_equal(write(got[1], "y", 1), 1);
	assert_int_equal(read(pipe_fds[0], data, 1), 1);
	assert_int_equal(data[0], 'y');
	for (int i = 0; i < 2; i++) {
		close(got[i]);
		close(pipe_fds[i]);
	}
	/* And a message without any says so. */
	count = MESSAGE_FDS_MAX;
	assert_int_equal(message_send(fds[0], "x", 1, NULL, 0), 0);
	assert_int_equal(message_receive(fds[1], data, sizeof data, got, &count, 0), 1);
	assert_int_equal(count, 0);
}

static void the_most_descriptors_fit(void **state)
{
	const int *fds = *state;
	int sent[MESSAGE_FDS_MAX + 1], got[MESSAGE_FDS_MAX];
	size_t count = MESSAGE_FDS_MAX;
	char data[4];
	for (size_t i = 0; i <= MESSAGE_FDS_MAX; i++)
		sent[i] = fds[0];
	assert_int_equal(message_send(fds[0], "x", 1, sent, MESSAGE_FDS_MAX + 1), -EMSGSIZE);
	assert_int_equal(message_send(fds[0], "x", 1, sent, MESSAGE_FDS_MAX), 0);
	assert_int_equal(message_receive(fds[1], data, sizeof data, got, &count, 0), 1);
	assert_int_equal(count, MESSAGE_FDS_MAX);
	for (size_t i = 0; i < count; i++)
		close(got[i]);
}

static void more_descriptors_than_expected_are_closed(void **state)
{
	const int *fds = *state;
	int sent[3] = {fds[0], fds[0], fds[0]}, got[2];
	char data[4];
	int before = next_fd();
	for (size_t room = 0; room <= 2; room++) {
		size_t count = room;
		assert_int_equal(message_send(fds[0], "x", 1, sent, 3), 0);
		assert_int_equal(
			message_receive(fds[1], data, sizeof data, got, &count, 0), -EMSGSIZE);
		assert_int_equal(count, 0);
		assert_int_equal(next_fd(), before);
	}
	assert_int_equal(message_send(fds[0], "x", 1, sent, 3), 0);
	assert_int_equal(message_receive(fds[1], data, sizeof data, NULL, NULL, 0), -EMSGSIZE);
	assert_int_equal(next_fd(), before);
}

static void a_message_that_is_too_long_is_refused_with_its_descriptors(void **state)
{
	const int *fds = *state;
	int got[4];
	size_t count = 4;
	char data[4];
	int before = next_fd();
	assert_int_equal(message_send(fds[0], "12345", 5, fds, 2), 0);
	assert_int_equal(message_receive(fds[1], data, sizeof data, got, &count, 0), -EMSGSIZE);
	assert_int_equal(count, 0);
	assert_int_equal(next_fd(), before);
	static char large[MESSAGE_LENGTH_MAX + 1];
	assert_int_equal(message_send(fds[0], large, sizeof large, NULL, 0), -EMSGSIZE);
	assert_int_equal(message_send(fds[0], "", 0, NULL, 0), -EMSGSIZE);
}

static void the_longest_message_arrives_whole(void **state)
{
	const int *fds = *state;
	static char sent[MESSAGE_LENGTH_MAX], got[MESSAGE_LENGTH_MAX];
	memset(sent, 'x', sizeof sent);
	sent[sizeof sent - 1] = 'y';
	assert_int_equal(message_send(fds[0], sent, sizeof sent, NULL, 0), 0);
	assert_int_equal(
		message_receive(fds[1], got, sizeof got, NULL, NULL, 0), MESSAGE_LENGTH_MAX);
	assert_memory_equal(sent, got, sizeof sent);
}

static void a_peer_that_is_gone_is_seen_on_both_sides(void **state)
{
	int *fds = *state;
	char data[4];
	close_fd(&fds[0]);
	assert_int_equal(message_receive(fds[1], data, sizeof data, NULL, NULL, 0), 0);
	/* Without SIGPIPE, which would end this program. */
	assert_int_equal(message_send(fds[1], "x", 1, NULL, 0), -EPIPE);
}

static void a_full_non_blocking_socket_says_so(void **state)
{
	const int *fds = *state;
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	int result = 0;
	for (int i = 0; i < 100000 && result == 0; i++)
		result = message_send(fds[0], "x", 1, NULL, 0);
	assert_int_equal(result, -EAGAIN);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_pair_is_close_on_exec_and_blocking),
		TEST(messages_keep_their_boundaries),
		TEST(descriptors_arrive_open_and_close_on_exec),
		TEST(the_most_descriptors_fit),
		TEST(more_descriptors_than_expected_are_closed),
		TEST(a_message_that_is_too_long_is_refused_with_its_descriptors),
		TEST(the_longest_message_arrives_whole),
		TEST(a_peer_that_is_gone_is_seen_on_both_sides),
		TEST(a_full_non_blocking_socket_says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
