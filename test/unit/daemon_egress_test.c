/* The supervisor's side of tenantd-egress, with the real process (root): it starts when
 * needed, and its death costs what was under way there and nothing else. */
#include "common/cleanup.h"
#include "common/egress.h"
#include "common/message.h"
#include "daemon/egress.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cmocka.h>

static const char *program;

struct world {
	sd_event *event;
	struct egress *egress;
	int listener;
	uint16_t port;
	char rule[64];
	struct policy *policy;
	int renewed; /* the newest channel that was brought */
	unsigned renewals, audits;
	char resource[512];
	bool allowed;
};

static void audited(
	void *data, uint32_t instance, const char *resource, bool allowed, const char *reason)
{
	struct world *world = data;
	assert_int_equal(instance, 5);
	assert_true(reason[0] != '\0');
	world->audits++;
	world->allowed = allowed;
	snprintf(world->resource, sizeof world->resource, "%s", resource);
}

static void renewed(void *data, int channel)
{
	struct world *world = data;
	close_fd(&world->renewed);
	world->renewed = fcntl(channel, F_DUPFD_CLOEXEC, 3);
	world->renewals++;
}

static int open_world(void **state)
{
	static struct world world;
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	char text[256];
	struct error error;
	sigset_t mask;
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	world = (struct world){.renewed = -1};
	assert_true(sd_event_new(&world.event) >= 0);
	world.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(world.listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(world.listener, 16), 0);
	getsockname(world.listener, (struct sockaddr *)&address, &length);
	world.port = ntohs(address.sin_port);
	world.policy = policy_default();
	snprintf(world.rule, sizeof world.rule, "127.0.0.1:%u", world.port);
	snprintf(text, sizeof text, "%s", world.rule);
	world.policy->net.connect.items = calloc(1, sizeof(struct policy_net_rule));
	world.policy->net.connect.count = 1;
	world.policy->audit = POLICY_AUDIT_ALL;
	assert_int_equal(policy_net_rule_parse(text, world.policy->net.connect.items, &error), 0);
	const struct egress_options options = {
		.program = program, .uid = 65533, .audit = audited, .audit_data = &world};
	assert_int_equal(egress_new(world.event, &options, &world.egress, &error), 0);
	*state = &world;
	return 0;
}

static int close_world(void **state)
{
	struct world *world = *state;
	egress_free(world->egress);
	close_fd(&world->renewed);
	close_fd(&world->listener);
	policy_free(world->policy);
	sd_event_unref(world->event);
	return 0;
}

static int add(struct world *world)
{
	struct error error = {0};
	int channel = -1;
	const struct egress_add_options options = {.instance = 5,
		.tenant = "shop",
		.policy = world->policy,
		.renewed = renewed,
		.data = world};
	if (egress_add(world->egress, &options, &channel, &error) < 0)
		fail_msg("%s", error.message);
	return channel;
}

/* Asks for HOST and the listener's port; runs the loop until the answer is there. Returns
 * the socket, or the negative refusal; -1000 when the channel is closed. */
static int ask(struct world *world, int channel, const char *host)
{
	struct {
		struct egress_connect connect;
		char host[64];
	} message = {.connect = {.header = {EGRESS_CONNECT, 1}, .port = world->port}};
	static _Alignas(8) char answer[4096];
	struct egress_refused refused;
	int fd = -1;
	size_t count = 1;
	snprintf(message.host, sizeof message.host, "%s", host);
	if (message_send(channel, &message, sizeof message.connect + strlen(host), NULL, 0) < 0)
		return -1000;
	for (int i = 0; i < 500; i++) {
		count = 1;
		ssize_t length =
			message_receive(channel, answer, sizeof answer, &fd, &count, MSG_DONTWAIT);
		if (length == -EAGAIN) {
			sd_event_run(world->event, 20000);
			continue;
		}
		if (length <= 0)
			return -1000;
		memcpy(&refused, answer, sizeof refused);
		sd_event_run(world->event, 20000); /* its AUDIT */
		return refused.header.type == EGRESS_CONNECTED ? fd : -(int)refused.refusal;
	}
	return -2000;
}

static void assert_connects(struct world *world, int channel)
{
	int fd = ask(world, channel, "127.0.0.1");
	if (fd < 0)
		fail_msg("refused: %d", -fd);
	int peer = accept(world->listener, NULL, NULL);
	assert_true(peer >= 0);
	close(peer);
	close(fd);
}

static void test_starts_when_needed(void **state)
{
	struct world *world = *state;
	assert_int_equal(egress_pid(world->egress), 0);
	cleanup_close int channel = add(world);
	assert_true(egress_pid(world->egress) > 0);
	assert_connects(world, channel);
	assert_int_equal(ask(world, channel, "127.0.0.2"), -EGRESS_DENIED);
	for (int i = 0; i < 50 && world->audits < 2; i++)
		sd_event_run(world->event, 20000);
	assert_int_equal(world->audits, 2);
	assert_false(world->allowed);
	assert_non_null(strstr(world->resource, "127.0.0.2:"));
	assert_int_equal(egress_starts(world->egress), 1);
}

static void test_a_crash_brings_a_new_channel(void **state)
{
	struct world *world = *state;
	cleanup_close int channel = add(world);
	assert_connects(world, channel);
	kill(egress_pid(world->egress), SIGKILL);
	for (int i = 0; i < 200 && world->renewals == 0; i++)
		sd_event_run(world->event, 20000);
	assert_int_equal(world->renewals, 1);
	assert_int_equal(ask(world, channel, "127.0.0.1"), -1000);
	assert_connects(world, world->renewed);
	assert_int_equal(egress_starts(world->egress), 2);
}

/* Asked before the next process serves: it waits, and is answered. */
static void test_requests_wait_for_the_next_process(void **state)
{
	struct world *world = *state;
	cleanup_close int channel = add(world);
	for (int i = 0; i < 3; i++) {
		assert_connects(world, world->renewals ? world->renewed : channel);
		unsigned before = world->renewals;
		kill(egress_pid(world->egress), SIGKILL);
		while (world->renewals == before)
			sd_event_run(world->event, 20000);
	}
	assert_connects(world, world->renewed);
}

static void test_what_was_dropped_stays_dropped(void **state)
{
	struct world *world = *state;
	struct error error;
	cleanup_close int channel = add(world);
	assert_connects(world, channel);
	assert_int_equal(egress_drop(world->egress, 5, "not a rule!", &error), -EINVAL);
	assert_int_equal(egress_drop(world->egress, 6, "", &error), -ENOENT);
	assert_int_equal(egress_drop(world->egress, 5, world->rule, &error), 0);
	assert_int_equal(ask(world, channel, "127.0.0.1"), -EGRESS_DENIED);
	kill(egress_pid(world->egress), SIGKILL);
	for (int i = 0; i < 200 && world->renewals == 0; i++)
		sd_event_run(world->event, 20000);
	assert_int_equal(ask(world, world->renewed, "127.0.0.1"), -EGRESS_DENIED);
}

/* What a worker dropped on its own channel is known to the next process, too. */
static void test_what_a_worker_dropped_stays_dropped(void **state)
{
	struct world *world = *state;
	const struct {
		struct egress_header header;
		char text;
	} drop = {.header = {EGRESS_DROP, 0}};
	cleanup_close int channel = add(world);
	assert_connects(world, channel);
	assert_int_equal(message_send(channel, &drop, sizeof drop.header + 1, NULL, 0), 0);
	assert_int_equal(ask(world, channel, "127.0.0.1"), -EGRESS_DENIED);
	for (int i = 0; i < 10; i++)
		sd_event_run(world->event, 10000);
	kill(egress_pid(world->egress), SIGKILL);
	for (int i = 0; i < 200 && world->renewals == 0; i++)
		sd_event_run(world->event, 20000);
	assert_int_equal(ask(world, world->renewed, "127.0.0.1"), -EGRESS_DENIED);
}

static void test_forgotten_instances_are_cut_off(void **state)
{
	struct world *world = *state;
	cleanup_close int channel = add(world);
	assert_connects(world, channel);
	egress_forget(world->egress, 5);
	egress_forget(world->egress, 5);
	assert_int_equal(ask(world, channel, "127.0.0.1"), -1000);
	cleanup_close int again = add(world);
	assert_connects(world, again);
	assert_int_equal(egress_starts(world->egress), 1);
}

static void test_the_same_instance_twice_is_an_error(void **state)
{
	struct world *world = *state;
	struct error error;
	int other = -1;
	const struct egress_add_options options = {
		.instance = 5, .tenant = "shop", .policy = world->policy};
	cleanup_close int channel = add(world);
	assert_int_equal(egress_add(world->egress, &options, &other, &error), -EEXIST);
	assert_connects(world, channel);
}

/* More than a socket's buffer takes at once. */
static void test_many_instances_come_back_after_a_crash(void **state)
{
	enum { MANY = 300 };
	struct world *world = *state;
	static struct policy_net_rule rules[200];
	struct error error;
	int channels[MANY];
	for (size_t i = 0; i < ARRAY_LENGTH(rules); i++) {
		char text[300];
		memset(text, 'a', 60);
		snprintf(text + 60, sizeof text - 60, ".%zu.example:%zu", i, i + 1);
		assert_int_equal(policy_net_rule_parse(text, &rules[i], &error), 0);
	}
	struct policy big = *world->policy;
	big.net.deny = (struct policy_net_rules){rules, ARRAY_LENGTH(rules)};
	for (uint32_t i = 0; i < MANY; i++) {
		const struct egress_add_options options = {
			.instance = 100 + i, .tenant = "other", .policy = &big};
		assert_int_equal(egress_add(world->egress, &options, &channels[i], &error), 0);
	}
	cleanup_close int channel = add(world);
	assert_connects(world, channel);
	kill(egress_pid(world->egress), SIGKILL);
	for (int i = 0; i < 200 && world->renewals == 0; i++)
		sd_event_run(world->event, 20000);
	assert_connects(world, world->renewed);
	assert_int_equal(egress_starts(world->egress), 2);
	for (size_t i = 0; i < MANY; i++)
		close(channels[i]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_starts_when_needed, open_world, close_world),
		cmocka_unit_test_setup_teardown(
			test_a_crash_brings_a_new_channel, open_world, close_world),
		cmocka_unit_test_setup_teardown(
			test_requests_wait_for_the_next_process, open_world, close_world),
		cmocka_unit_test_setup_teardown(
			test_what_was_dropped_stays_dropped, open_world, close_world),
		cmocka_unit_test_setup_teardown(
			test_what_a_worker_dropped_stays_dropped, open_world, close_world),
		cmocka_unit_test_setup_teardown(
			test_forgotten_instances_are_cut_off, open_world, close_world),
		cmocka_unit_test_setup_teardown(
			test_the_same_instance_twice_is_an_error, open_world, close_world),
		cmocka_unit_test_setup_teardown(
			test_many_instances_come_back_after_a_crash, open_world, close_world),
	};
	if (argc != 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
