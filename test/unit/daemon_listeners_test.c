/* The listening sockets of tenants: stable ports, sharing, precise refusals. */
#include "common/cleanup.h"
#include "daemon/listeners.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

static struct policy_listen item;
static struct policy_listeners wanted = {&item, 1};

static const struct policy_listeners *want(const char *text)
{
	struct error error = {0};
	if (policy_listen_parse(text, &item, &error) < 0)
		fail_msg("%s", error.message);
	return &wanted;
}

static bool connects(const struct listener *listener)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	assert_int_equal(getsockname(listener->fd, (struct sockaddr *)&address, &length), 0);
	cleanup_close int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return connect(fd, (struct sockaddr *)&address, length) == 0;
}

static void test_a_free_port_is_chosen_and_kept(void **unused)
{
	(void)unused;
	struct listeners first, second;
	struct listener_ports ports = {0};
	struct error error = {0};
	assert_int_equal(listeners_open(want("127.0.0.1:0"), NULL, &ports, &first, &error), 0);
	assert_int_equal(first.count, 1);
	assert_true(connects(&first.items[0]));
	uint16_t port = first.items[0].port;
	assert_int_not_equal(port, 0);
	assert_int_equal(ports.count, 1);
	assert_int_equal(ports.items[0].port, port);
	char address[64], url[64];
	snprintf(address, sizeof address, "tcp:127.0.0.1:%u", port);
	snprintf(url, sizeof url, "http://127.0.0.1:%u/", port);
	assert_string_equal(first.items[0].address, address);
	assert_string_equal(first.items[0].url, url);
	assert_int_equal(fcntl(first.items[0].fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(fcntl(first.items[0].fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	listeners_close(&first, NULL);
	assert_int_equal(first.count, 0);
	assert_int_equal(listeners_open(want("127.0.0.1:0"), NULL, &ports, &second, &error), 0);
	assert_int_equal(second.items[0].port, port);
	listeners_close(&second, NULL);
}

static void test_a_kept_port_that_is_taken_is_replaced(void **unused)
{
	(void)unused;
	struct listeners thief, mine;
	struct listener_ports thief_ports = {0}, ports;
	struct error error = {0};
	assert_int_equal(
		listeners_open(want("127.0.0.1:0"), NULL, &thief_ports, &thief, &error), 0);
	ports = thief_ports;
	assert_int_equal(listeners_open(want("127.0.0.1:0"), NULL, &ports, &mine, &error), 0);
	assert_int_not_equal(mine.items[0].port, thief.items[0].port);
	assert_int_equal(ports.items[0].port, mine.items[0].port);
	listeners_close(&mine, NULL);
	listeners_close(&thief, NULL);
}

static void test_a_port_in_use_is_named(void **unused)
{
	(void)unused;
	struct listeners first, second = {.count = 77};
	struct listener_ports ports = {0};
	struct error error = {0};
	char text[64];
	assert_int_equal(listeners_open(want("127.0.0.1:0"), NULL, &ports, &first, &error), 0);
	snprintf(text, sizeof text, "127.0.0.1:%u", first.items[0].port);
	assert_int_equal(listeners_open(want(text), NULL, &ports, &second, &error), -EADDRINUSE);
	assert_int_equal(second.count, 77); /* only set on success */
	assert_non_null(strstr(error.message, text));
	assert_non_null(strstr(error.message, "in use"));
	assert_non_null(strstr(error.message, "net.listen"));
	listeners_close(&first, NULL);
}

static void test_an_address_that_is_not_ours_is_named(void **unused)
{
	(void)unused;
	struct listeners listeners;
	struct listener_ports ports = {0};
	struct error error = {0};
	assert_int_equal(listeners_open(want("192.0.2.1:8080"), NULL, &ports, &listeners, &error),
		-EADDRNOTAVAIL);
	assert_non_null(strstr(error.message, "192.0.2.1:8080"));
}

static void test_all_or_none(void **unused)
{
	(void)unused;
	struct policy_listen items[2];
	struct policy_listeners two = {items, 2};
	struct listeners taken, listeners;
	struct listener_ports ports = {0}, other = {0};
	struct error error = {0};
	assert_int_equal(listeners_open(want("127.0.0.1:0"), NULL, &ports, &taken, &error), 0);
	/* The first of the two is free; once the second has failed, it must be so again. */
	struct listeners probe;
	assert_int_equal(listeners_open(want("127.0.0.1:0"), NULL, &other, &probe, &error), 0);
	items[0] = item;
	items[0].port = probe.items[0].port;
	items[1] = item;
	items[1].port = taken.items[0].port;
	listeners_close(&probe, NULL);
	assert_int_equal(listeners_open(&two, NULL, &other, &listeners, &error), -EADDRINUSE);
	two.count = 1;
	assert_int_equal(listeners_open(&two, NULL, &other, &listeners, &error), 0);
	listeners_close(&listeners, NULL);
	listeners_close(&taken, NULL);
}

static void test_a_deployment_shares_what_is_open(void **unused)
{
	(void)unused;
	struct listeners old, new;
	struct listener_ports ports = {0};
	struct error error = {0};
	assert_int_equal(listeners_open(want("127.0.0.1:0"), NULL, &ports, &old, &error), 0);
	assert_int_equal(listeners_open(want("127.0.0.1:0"), &old, &ports, &new, &error), 0);
	assert_int_equal(new.items[0].port, old.items[0].port);
	listeners_close(&old, &new);
	assert_true(connects(&new.items[0]));
	listeners_close(&new, NULL);
}

static void test_ports_stay_with_their_names(void **unused)
{
	(void)unused;
	static const char *const texts[][3] = {
		{"a=127.0.0.1:0", "b=127.0.0.1:0", "127.0.0.1:0"},
		{"127.0.0.1:0", "b=127.0.0.1:0", "a=127.0.0.1:0"},
	};
	struct listeners sets[2];
	struct listener_ports ports = {0};
	struct error error = {0};
	for (size_t i = 0; i < 2; i++) {
		struct policy_listen items[3];
		for (size_t j = 0; j < 3; j++)
			assert_int_equal(policy_listen_parse(texts[i][j], &items[j], &error), 0);
		const struct policy_listeners three = {items, 3};
		assert_int_equal(
			listeners_open(&three, i ? &sets[0] : NULL, &ports, &sets[i], &error), 0);
	}
	for (size_t j = 0; j < 3; j++) {
		const struct listener *before = &sets[0].items[j], *after = &sets[1].items[2 - j];
		if (j == 1)
			after = &sets[1].items[1];
		assert_string_equal(before->name, after->name);
		assert_int_equal(before->port, after->port);
	}
	assert_string_equal(sets[0].items[0].name, "a");
	assert_int_not_equal(sets[0].items[0].port, sets[0].items[1].port);
	assert_null(strchr(sets[0].items[0].url, '='));
	listeners_close(&sets[0], &sets[1]);
	listeners_close(&sets[1], NULL);
}

static void test_two_free_ports_of_one_address_are_two(void **unused)
{
	(void)unused;
	struct listeners first, second;
	struct listener_ports ports = {0};
	struct error error = {0};
	struct policy_listen items[2];
	assert_int_equal(policy_listen_parse("127.0.0.1:0", &items[0], &error), 0);
	items[1] = items[0];
	const struct policy_listeners two = {items, 2};
	assert_int_equal(listeners_open(&two, NULL, &ports, &first, &error), 0);
	assert_int_not_equal(first.items[0].port, first.items[1].port);
	assert_int_equal(listeners_open(&two, &first, &ports, &second, &error), 0);
	assert_int_equal(first.items[0].port, second.items[0].port);
	assert_int_equal(first.items[1].port, second.items[1].port);
	listeners_close(&first, &second);
	listeners_close(&second, NULL);
}

static void test_unix_sockets(void **unused)
{
	(void)unused;
	struct listeners first, second, shared;
	struct listener_ports ports = {0};
	struct error error = {0};
	struct stat status;
	char path[64], text[80];
	snprintf(path, sizeof path, "/tmp/listeners-test-%d.sock", getpid());
	snprintf(text, sizeof text, "unix:%s", path);
	assert_int_equal(listeners_open(want(text), NULL, &ports, &first, &error), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0660);
	assert_string_equal(first.items[0].address, text);
	assert_true(connects(&first.items[0]));
	/* One that somebody listens on stays. */
	assert_int_equal(listeners_open(want(text), NULL, &ports, &second, &error), -EADDRINUSE);
	/* A stale one goes. */
	close(first.items[0].fd);
	free(first.items);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(listeners_open(want(text), NULL, &ports, &second, &error), 0);
	/* Handed over, the path stays; closed for good, it goes. */
	assert_int_equal(listeners_open(want(text), &second, &ports, &shared, &error), 0);
	listeners_close(&second, &shared);
	assert_int_equal(access(path, F_OK), 0);
	listeners_close(&shared, NULL);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_a_file_in_the_way_is_not_removed(void **unused)
{
	(void)unused;
	struct listeners listeners;
	struct listener_ports ports = {0};
	struct error error = {0};
	char path[64], text[80];
	snprintf(path, sizeof path, "/tmp/listeners-test-%d.file", getpid());
	snprintf(text, sizeof text, "unix:%s", path);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(listeners_open(want(text), NULL, &ports, &listeners, &error), -EADDRINUSE);
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_free_port_is_chosen_and_kept),
		cmocka_unit_test(test_a_kept_port_that_is_taken_is_replaced),
		cmocka_unit_test(test_a_port_in_use_is_named),
		cmocka_unit_test(test_an_address_that_is_not_ours_is_named),
		cmocka_unit_test(test_all_or_none),
		cmocka_unit_test(test_a_deployment_shares_what_is_open),
		cmocka_unit_test(test_ports_stay_with_their_names),
		cmocka_unit_test(test_two_free_ports_of_one_address_are_two),
		cmocka_unit_test(test_unix_sockets),
		cmocka_unit_test(test_a_file_in_the_way_is_not_removed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
