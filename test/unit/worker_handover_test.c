/* Connections that somebody else accepted, and the listeners that a worker leaves alone: with
 * a real worker, confined as always. worker_handover_test TENANT_ZYGOTE SNAPSHOT. */
#include "common/cleanup.h"
#include "common/message.h"
#include "test/unit/worker_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PACKET sizeof(struct handover)

static const char *program, *snapshot;

static const char echo[] =
	"export default { fetch(request, env, ctx) {"
	" return new Response(`${new URL(request.url).pathname} ${ctx.listener?.name}`); } };";

static int set_up(void **unused)
{
	(void)unused;
	return harness_zygote_start(program, snapshot);
}

static int tear_down(void **unused)
{
	(void)unused;
	harness_zygote_stop();
	return 0;
}

/* Hands a new connection over. Returns the client's end. */
static int hand(int channel, int domain)
{
	int pair[2];
	connect_pair(domain, pair);
	assert_int_equal(handover_send(channel, 0, PACKET, &pair[1], 1), 0);
	close(pair[1]);
	return pair[0];
}

static void test_a_handed_connection_is_served_as_any_other(void **unused)
{
	(void)unused;
	struct worker worker = worker_serve(echo);
	int channel = worker_handover(&worker);
	const int domains[] = {AF_INET, AF_UNIX};
	for (size_t i = 0; i < ARRAY_LENGTH(domains); i++) {
		int client = hand(channel, domains[i]);
		client_send(client, GET("/one"));
		client_expect(client, "/one undefined");
		client_send(client, GET("/two") GET("/three"));
		client_expect(client, "/two undefined");
		client_expect(client, "/three undefined");
		close(client);
	}
	assert_int_equal(worker.stats->requests, 6);
	close(channel);
	worker_end(&worker);
}

/* The supervisor accepts on the tenant's own listener while it weighs two releases. */
static void test_a_connection_to_its_listener_is_known_as_such(void **unused)
{
	(void)unused;
	struct worker_options options = {0};
	for (int i = 0; i < 2; i++) {
		options.unix_listener = i;
		struct worker worker = worker_begin(echo, &options);
		worker_expect(&worker, MESSAGE_READY);
		worker_accept(&worker, false);
		int channel = worker_handover(&worker);
		usleep(100000);
		int client = client_connect(&worker);
		cleanup_close int fd = accept4(worker.listener, NULL, NULL, SOCK_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(handover_send(channel, 0, PACKET, &fd, 1), 0);
		client_send(client, GET("/x"));
		client_expect(client, "/x main");
		close(client);
		close(channel);
		worker_end(&worker);
	}
}

static void test_a_program_of_node_net_gets_its_connections(void **unused)
{
	(void)unused;
	struct worker worker = worker_serve("import net from 'node:net';"
					    "net.createServer((socket) => { socket.end(`hello "
					    "${socket.remoteFamily}`); }).listen(0);");
	int channel = worker_handover(&worker);
	worker_accept(&worker, false);
	usleep(100000);
	int client = client_connect(&worker);
	int fd = accept4(worker.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(fd >= 0); /* ACCEPT off holds for it, too */
	assert_int_equal(handover_send(channel, 0, PACKET, &fd, 1), 0);
	close(fd);
	client_expect(client, "hello IPv4");
	close(client);
	/* What came to nobody's listener can only be HTTP, which this program does not speak. */
	client = hand(channel, AF_INET);
	client_send(client, GET("/"));
	client_expect(client, "500");
	worker_wait_log(&worker, "the default export has no fetch function");
	close(client);
	close(channel);
	worker_end(&worker);
}

static void test_a_service_without_listeners_is_handed_connections(void **unused)
{
	(void)unused;
	const struct worker_options options = {.no_listener = true};
	struct worker worker = worker_begin(echo, &options);
	int channel = worker_handover(&worker); /* before it is ready: it waits in the channel */
	int early = hand(channel, AF_INET);
	client_send(early, GET("/early"));
	worker_expect(&worker, MESSAGE_READY);
	client_expect(early, "/early undefined");
	int client = hand(channel, AF_INET);
	client_send(client, GET("/"));
	client_expect(client, "200");
	assert_null(worker_message(&worker, MESSAGE_AUDIT, 100)); /* nothing was refused */
	close(early);
	close(client);
	close(channel);
	worker_end(&worker);
}

/* Sends a packet that is none; the client's end of what it carries must see its close. */
static void expect_dropped(
	int channel, uint32_t flags, size_t length, const int *fds, size_t count, int client)
{
	assert_int_equal(handover_send(channel, flags, length, fds, count), 0);
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
	if (client >= 0) {
		assert_true(client_closed(client, 3000));
		close(client);
	}
}

static void test_wrong_packets_are_dropped_with_what_they_carry(void **unused)
{
	(void)unused;
	struct worker worker = worker_serve(echo);
	int channel = worker_handover(&worker), pair[2], other[2];
	expect_dropped(channel, 0, PACKET, NULL, 0, -1);
	connect_pair(AF_INET, pair);
	connect_pair(AF_INET, other);
	expect_dropped(channel, 0, PACKET, (int[]){pair[1], other[1]}, 2, pair[0]);
	assert_true(client_closed(other[0], 3000));
	close(other[0]);
	connect_pair(AF_INET, pair);
	expect_dropped(channel, 0, PACKET - 1, &pair[1], 1, pair[0]);
	connect_pair(AF_INET, pair);
	expect_dropped(channel, 0, PACKET + 1, &pair[1], 1, pair[0]);
	connect_pair(AF_INET, pair);
	expect_dropped(channel, 1u << 31, PACKET, &pair[1], 1, pair[0]);
	connect_pair(AF_INET, pair);
	expect_dropped(channel, HANDOVER_TLS, PACKET, &pair[1], 1, pair[0]);
	worker_wait_log(&worker, "handed over for TLS");
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	expect_dropped(channel, 0, PACKET, &pair[1], 1, pair[0]);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(listen(listener, 1), 0);
	expect_dropped(channel, 0, PACKET, &listener, 1, -1);
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(handover_send(channel, 0, PACKET, &pair[1], 1), 0);
	close(pair[1]);
	char byte;
	assert_int_equal(read(pair[0], &byte, 1), 0);
	close(pair[0]);
	/* And the channel is as good as ever. */
	int client = hand(channel, AF_INET);
	client_send(client, GET("/"));
	client_expect(client, "200");
	assert_int_equal(worker.stats->connections, 1);
	close(client);
	close(channel);
	worker_end(&worker);
}

static void test_several_channels(void **unused)
{
	(void)unused;
	struct worker worker = worker_serve(echo);
	int channels[3], clients[3];
	for (int i = 0; i < 3; i++)
		channels[i] = worker_handover(&worker);
	for (int i = 0; i < 3; i++)
		clients[i] = hand(channels[i], AF_INET);
	close(channels[1]); /* what it brought stays */
	for (int i = 0; i < 3; i++) {
		client_send(clients[i], GET("/"));
		client_expect(clients[i], "200");
		close(clients[i]);
	}
	int client = hand(channels[2], AF_INET);
	client_send(client, GET("/"));
	client_expect(client, "200");
	close(client);
	/* There is a bound: a channel too many is closed, and its sender sees that. */
	int more[40];
	for (int i = 0; i < 40; i++)
		more[i] = worker_handover(&worker);
	assert_true(client_closed(more[39], 3000));
	for (int i = 0; i < 40; i++)
		close(more[i]);
	close(channels[0]);
	close(channels[2]);
	worker_end(&worker);
}

static void test_a_full_worker_lets_them_wait_in_the_channel(void **unused)
{
	(void)unused;
	enum { CLIENTS = 60 };
	const struct worker_options options = {.files = 40}; /* 20 connections */
	struct worker worker = worker_begin("export default { async fetch() { await new "
					    "Promise((done) => setTimeout(done, 30));"
					    " return new Response('served'); } };",
		&options);
	worker_expect(&worker, MESSAGE_READY);
	int channel = worker_handover(&worker), clients[CLIENTS];
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = hand(channel, AF_INET);
		client_send(clients[i],
			"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	}
	for (int i = 0; i < CLIENTS; i++) {
		client_expect(clients[i], "served");
		close(clients[i]);
	}
	close(channel);
	worker_end(&worker);
}

static void test_what_is_queued_when_the_drain_begins_is_served(void **unused)
{
	(void)unused;
	enum { CLIENTS = 40 };
	struct worker worker = worker_serve(
		"export default { fetch(request) {"
		" if (request.url.endsWith('/block')) {"
		"  console.log('blocked'); for (const end = Date.now() + 300; Date.now() < end;); }"
		" return new Response('served'); } };");
	int channel = worker_handover(&worker), clients[CLIENTS];
	int first = hand(channel, AF_INET);
	client_send(first, GET("/block"));
	worker_wait_log(&worker, "blocked");
	/* All of this happens while the worker does not look. */
	worker_drain(&worker, 5000);
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = hand(channel, i % 2 ? AF_INET : AF_UNIX);
		client_send(clients[i], GET("/"));
	}
	client_expect(first, "served");
	for (int i = 0; i < CLIENTS; i++) {
		const char *response = client_response(clients[i], 5000);
		assert_non_null(response);
		assert_non_null(strstr(response, "served"));
		assert_non_null(strstr(response, "connection: close"));
		close(clients[i]);
	}
	/* From the drain on the sender is told to go elsewhere. */
	int pair[2];
	connect_pair(AF_INET, pair);
	assert_int_equal(handover_send(channel, 0, PACKET, &pair[1], 1), -EPIPE);
	worker_expect_end(&worker, MESSAGE_EXITING, WORKER_REASON_DRAINED, "drained");
	close(pair[0]);
	close(pair[1]);
	close(first);
	close(channel);
	worker_end(&worker);
}

static void test_accept_off_and_on(void **unused)
{
	(void)unused;
	struct worker worker = worker_serve(echo);
	int kept = client_connect(&worker);
	client_send(kept, GET("/"));
	client_expect(kept, "200");
	worker_accept(&worker, false);
	worker_probe(&worker, 1, PROBE_TCP, ""); /* when this is answered, it has read the other */
	worker_expect_outcome(&worker, MESSAGE_PROBED, 1, true, NULL);
	int waiting = client_connect(&worker);
	client_send(waiting, GET("/waits"));
	assert_null(client_response(waiting, 200));
	client_send(kept, GET("/goes/on"));
	client_expect(kept, "/goes/on main");
	assert_int_equal(worker.stats->connections, 1);
	worker_accept(&worker, true);
	client_expect(waiting, "/waits main");
	close(kept);
	close(waiting);
	worker_end(&worker);
}

/* A worker that goes leaves whoever it has not accepted to the others. */
static void test_a_drain_leaves_the_queue_of_the_listener_alone(void **unused)
{
	(void)unused;
	struct worker worker = worker_serve(echo);
	worker_accept(&worker, false);
	worker_drain(&worker, 3000);
	worker_expect_end(&worker, MESSAGE_EXITING, WORKER_REASON_DRAINED, "drained");
	int client = client_connect(&worker);
	int fd = accept4(worker.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(fd >= 0);
	close(fd);
	close(client);
	worker_end(&worker);
}

int main(int argc, char **argv)
{
	if (argc != 3 || geteuid() != 0)
		return 77;
	program = argv[1];
	snapshot = argv[2];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_handed_connection_is_served_as_any_other),
		cmocka_unit_test(test_a_connection_to_its_listener_is_known_as_such),
		cmocka_unit_test(test_a_program_of_node_net_gets_its_connections),
		cmocka_unit_test(test_a_service_without_listeners_is_handed_connections),
		cmocka_unit_test(test_wrong_packets_are_dropped_with_what_they_carry),
		cmocka_unit_test(test_several_channels),
		cmocka_unit_test(test_a_full_worker_lets_them_wait_in_the_channel),
		cmocka_unit_test(test_what_is_queued_when_the_drain_begins_is_served),
		cmocka_unit_test(test_accept_off_and_on),
		cmocka_unit_test(test_a_drain_leaves_the_queue_of_the_listener_alone),
	};
	return cmocka_run_group_tests_name("worker_handover", tests, set_up, tear_down);
}
