/* The supervisor's side of tenantd-ingress, with the real process (root) and workers that are
 * a channel: who gets a connection, who waits, and what the process's death costs. */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/message.h"
#include "common/protocol.h"
#include "daemon/ingress.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define WORKERS 4

static const char *program;

/* What tenantd-ingress and the supervisor tell a worker. */
struct fake_worker {
	int channels[4];
	size_t channel_count;
	char sites[4096];
	size_t sites_length;
};

struct world {
	sd_event *event;
	struct ingress *ingress;
	struct fake_worker workers[WORKERS];
	char wanted[64];
	unsigned wants;
	uint16_t port;
};

static void wanted(void *data, const char *tenant)
{
	struct world *world = data;
	snprintf(world->wanted, sizeof world->wanted, "%s", tenant);
	world->wants++;
}

static int tell(void *data, const void *message, size_t length, int fd)
{
	struct fake_worker *worker = data;
	const struct message_header *header = message;
	if (header->type == MESSAGE_HANDOVER) {
		assert_true(fd >= 0 && worker->channel_count < ARRAY_LENGTH(worker->channels));
		worker->channels[worker->channel_count++] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	} else {
		assert_int_equal(header->type, MESSAGE_SITES);
		assert_int_equal(worker->channel_count > 0 || worker->sites_length == 0, 1);
		memcpy(worker->sites, message, length);
		worker->sites_length = length;
	}
	return 0;
}

static void turn(struct world *world)
{
	sd_event_run(world->event, 20000);
}

static int open_world(void **state)
{
	static struct world world;
	static struct ingress_port port = {"127.0.0.1:0", -1, false};
	struct error error = {0};
	sigset_t mask;
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	world = (struct world){0};
	assert_true(sd_event_new(&world.event) >= 0);
	const struct ingress_options options = {
		.program = program,
		.uid = 65532,
		.ports = &port,
		.port_count = 1,
		.wanted = wanted,
		.data = &world,
	};
	if (ingress_new(world.event, &options, &world.ingress, &error) < 0)
		fail_msg("%s", error.message);
	ingress_open(world.ingress);
	*state = &world;
	return 0;
}

static int close_world(void **state)
{
	struct world *world = *state;
	ingress_free(world->ingress);
	for (size_t i = 0; i < WORKERS; i++)
		for (size_t j = 0; j < world->workers[i].channel_count; j++)
			close(world->workers[i].channels[j]);
	sd_event_unref(world->event);
	return 0;
}

/* ---- sites ---- */

static void set_sites(struct world *world, const char *tenant, const char *list)
{
	char text[512];
	struct policy *policy;
	struct error error = {0};
	snprintf(text, sizeof text, "{\"version\":1,\"permissions\":{\"net\":{\"ingress\":[%s]}}}",
		list);
	if (policy_parse(text, strlen(text), "test", &policy, &error) < 0 ||
		ingress_set_sites(world->ingress, tenant, &policy->net.ingress, &error) < 0)
		fail_msg("%s", error.message);
	policy_free(policy);
}

static void add_worker(struct world *world, uint32_t id, const char *tenant)
{
	struct error error = {0};
	if (ingress_add(world->ingress, id, tenant, tell, &world->workers[id], &error) < 0)
		fail_msg("%s", error.message);
}

static uint16_t port_of(struct world *world, const char *tenant)
{
	json_t *object = ingress_describe(world->ingress, tenant);
	const char *address =
		json_string_value(json_array_get(json_object_get(object, "ports"), 0));
	assert_non_null(address);
	const uint16_t port = (uint16_t)atoi(strrchr(address, ':') + 1);
	json_decref(object);
	return port;
}

static uint64_t count_of(struct world *world, const char *tenant, const char *name)
{
	json_t *object = ingress_describe(world->ingress, tenant);
	const uint64_t count = (uint64_t)json_integer_value(json_object_get(object, name));
	json_decref(object);
	return count;
}

/* ---- clients ---- */

static int connect_to(struct world *world)
{
	const struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(world->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (const struct sockaddr *)&address, sizeof address), 0);
	return client;
}

static void say(int client, const char *text)
{
	assert_int_equal(send(client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static int ask(struct world *world, const char *host, const char *path)
{
	char text[512];
	int client = connect_to(world);
	snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host);
	say(client, text);
	return client;
}

/* The connection that WORKER gets within MS, or -1. */
static int take(struct world *world, uint32_t id, int ms)
{
	struct fake_worker *worker = &world->workers[id];
	const uint64_t until = clock_ms() + (uint64_t)ms;
	do {
		for (size_t i = 0; i < worker->channel_count; i++) {
			struct handover handover;
			int fd = -1;
			size_t count = 1;
			if (message_receive(worker->channels[i], &handover, sizeof handover, &fd,
				    &count, MSG_DONTWAIT) == sizeof handover)
				return fd;
		}
		turn(world);
	} while (clock_ms() < until);
	return -1;
}

/* All the bytes that the client sent are still there. */
static void check_connection(int connection, const char *begin)
{
	char data[512] = "";
	assert_true(connection >= 0);
	/* The last of them may still be on their way. */
	for (size_t length = 0; length < strlen(begin);) {
		ssize_t got = recv(connection, data + length, sizeof data - 1 - length, 0);
		assert_true(got > 0);
		length += (size_t)got;
	}
	assert_int_equal(strncmp(data, begin, strlen(begin)), 0);
	close(connection);
}

static void expect_answer(struct world *world, int client, const char *begin)
{
	char data[1024] = "";
	size_t length = 0;
	const uint64_t until = clock_ms() + 5000;
	while (clock_ms() < until) {
		ssize_t here = recv(client, data + length, sizeof data - 1 - length, MSG_DONTWAIT);
		if (here == 0)
			break;
		length += here > 0 ? (size_t)here : 0;
		turn(world);
	}
	data[length] = '\0';
	if (strncmp(data, begin, strlen(begin)) != 0)
		fail_msg("not %s but %s", begin, data);
	close(client);
}

/* ---- the tests ---- */

static void test_routing(void **state)
{
	struct world *world = *state;
	set_sites(world, "shop", "\"a.b\"");
	set_sites(world, "api", "\"a.b/api\", \"*.b\"");
	world->port = port_of(world, "shop");
	add_worker(world, 1, "shop");
	add_worker(world, 2, "api");
	int clients[] = {
		ask(world, "a.b", "/"), ask(world, "a.b", "/api/1"), ask(world, "x.b", "/")};
	check_connection(take(world, 1, 5000), "GET / HTTP/1.1\r\nHost: a.b\r\n\r\n");
	check_connection(take(world, 2, 5000), "GET /");
	check_connection(take(world, 2, 5000), "GET /");
	for (size_t i = 0; i < ARRAY_LENGTH(clients); i++)
		close(clients[i]);
	expect_answer(world, ask(world, "c.d", "/"), "HTTP/1.1 404 ");
	expect_answer(world, ask(world, "c d", "/"), "HTTP/1.1 400 ");
	assert_int_equal(count_of(world, "shop", "handed"), 1);
	assert_int_equal(count_of(world, "api", "handed"), 2);
}

/* Its own sites, and those of others that cut into them. */
static void test_workers_know(void **state)
{
	static struct worker_sites sites;
	struct world *world = *state;
	struct error error = {0};
	const struct fake_worker *worker = &world->workers[1];
	assert_int_equal(
		worker_sites_decode(worker->sites, worker->sites_length, &sites, &error), 0);
	assert_int_equal(sites.count, 2);
	assert_true(sites.sites[0].own && strcmp(sites.sites[0].path, "/") == 0);
	assert_true(!sites.sites[1].own && strcmp(sites.sites[1].path, "/api") == 0);
}

static void test_conflicts_name_both(void **state)
{
	struct world *world = *state;
	struct error error = {0};
	struct policy_site site = {.host = "a.b", .path = "/api"};
	const struct policy_sites sites = {&site, 1};
	assert_int_equal(ingress_check(world->ingress, "shop", &sites, &error), -EADDRINUSE);
	assert_non_null(strstr(error.message, "a.b/api"));
	assert_non_null(strstr(error.message, "shop"));
	assert_non_null(strstr(error.message, " api "));
	assert_int_equal(ingress_set_sites(world->ingress, "shop", &sites, &error), -EADDRINUSE);
	assert_int_equal(ingress_check(world->ingress, "api", &sites, &error), 0);
}

/* Two instances share; one that goes gives back what it has not taken. */
static void test_removal_returns(void **state)
{
	struct world *world = *state;
	int clients[4];
	add_worker(world, 3, "shop");
	for (size_t i = 0; i < ARRAY_LENGTH(clients); i++)
		clients[i] = ask(world, "a.b", "/");
	for (int i = 0; i < 20; i++)
		turn(world);
	ingress_remove(world->ingress, 3);
	for (size_t i = 0; i < ARRAY_LENGTH(clients); i++) {
		check_connection(take(world, 1, 5000), "GET / ");
		close(clients[i]);
	}
	assert_int_equal(take(world, 3, 100), -1);
	assert_int_equal(count_of(world, "shop", "handed"), 5);
}

/* While there is no instance they wait, ask for one, and get it. */
static void test_waiting(void **state)
{
	struct world *world = *state;
	ingress_remove(world->ingress, 1);
	world->wants = 0;
	int first = ask(world, "a.b", "/"), second = ask(world, "a.b", "/2");
	while (world->wants == 0)
		turn(world);
	assert_string_equal(world->wanted, "shop");
	for (int i = 0; i < 20; i++)
		turn(world);
	assert_int_equal(world->wants, 1); /* once for both */
	assert_int_equal(count_of(world, "shop", "waiting"), 2);
	add_worker(world, 0, "shop");
	check_connection(take(world, 0, 5000), "GET / ");
	check_connection(take(world, 0, 5000), "GET /2 ");
	close(first);
	close(second);
	assert_int_equal(count_of(world, "shop", "waiting"), 0);
	/* One that will not come is not waited for. */
	ingress_remove(world->ingress, 0);
	int late = ask(world, "a.b", "/");
	while (count_of(world, "shop", "waiting") == 0)
		turn(world);
	ingress_set_wait(world->ingress, "shop", false);
	expect_answer(world, late, "HTTP/1.1 503 ");
	expect_answer(world, ask(world, "a.b", "/"), "HTTP/1.1 503 ");
	ingress_set_wait(world->ingress, "shop", true);
}

/* The listeners stay: nobody is refused; a new process knows all; what a worker had in its
 * channel it still has. */
static void test_death(void **state)
{
	struct world *world = *state;
	int queued = ask(world, "x.b", "/queued");
	for (int i = 0; i < 20; i++)
		turn(world);
	const pid_t before = ingress_pid(world->ingress);
	kill(before, SIGKILL);
	int meanwhile = ask(world, "x.b", "/meanwhile");
	while (ingress_pid(world->ingress) == before || ingress_pid(world->ingress) == 0)
		turn(world);
	check_connection(take(world, 2, 5000), "GET /queued ");
	check_connection(take(world, 2, 5000), "GET /meanwhile ");
	assert_int_equal(world->workers[2].channel_count, 2);
	assert_int_equal(ingress_starts(world->ingress), 2);
	expect_answer(world, ask(world, "c.d", "/"), "HTTP/1.1 404 ");
	close(queued);
	close(meanwhile);
}

/* A head that comes byte by byte, and one that never comes to its end. */
static void test_slow_heads(void **state)
{
	struct world *world = *state;
	static const char text[] = "GET /slow HTTP/1.1\r\nX-A: b\r\nHost: x.b\r\n\r\n";
	int client = connect_to(world);
	for (size_t i = 0; i < sizeof text - 1; i++) {
		assert_int_equal(send(client, text + i, 1, MSG_NOSIGNAL), 1);
		turn(world);
	}
	check_connection(take(world, 2, 5000), text);
	close(client);
	client = connect_to(world);
	say(client, "GET / HTTP/1.1\r\n");
	for (int i = 0; i < 300; i++) {
		char filler[64];
		memset(filler, 'a', sizeof filler);
		memcpy(filler, "X: ", 3);
		memcpy(filler + 62, "\r\n", 2);
		if (send(client, filler, sizeof filler, MSG_NOSIGNAL) < 0)
			break;
	}
	expect_answer(world, client, "HTTP/1.1 431 ");
}

static unsigned synced, not_synced;

static void count_sync(void *data, bool applied)
{
	(void)data;
	synced += applied;
	not_synced += !applied;
}

static struct ingress_wait *sync_now(struct world *world)
{
	struct ingress_wait *wait;
	ingress_sync(world->ingress, count_sync, NULL, &wait);
	return wait;
}

/* Who waits is told when the process goes by what it was told, and not before. */
static void test_what_is_in_effect(void **state)
{
	struct world *world = *state;
	synced = not_synced = 0;
	ingress_sync(NULL, count_sync, NULL, &(struct ingress_wait *){NULL});
	assert_int_equal(synced, 1);
	while (sync_now(world))
		turn(world);
	/* Nothing is new: at once. */
	synced = 0;
	assert_null(sync_now(world));
	assert_int_equal(synced, 1);
	kill(ingress_pid(world->ingress), SIGSTOP);
	set_sites(world, "shop", "\"s1.b\"");
	assert_non_null(sync_now(world));
	struct ingress_wait *gone = sync_now(world);
	set_sites(world, "shop", "\"s1.b\", \"s2.b\"");
	assert_non_null(sync_now(world));
	assert_null(ingress_sync_cancel(gone));
	assert_true(ingress_syncing(world->ingress));
	for (int i = 0; i < 5; i++)
		turn(world);
	assert_int_equal(synced, 1);
	kill(ingress_pid(world->ingress), SIGCONT);
	while (synced < 3)
		turn(world);
	assert_false(ingress_syncing(world->ingress));
	assert_int_equal(not_synced, 0);
}

static void test_nobody_waits_for_ever(void **state)
{
	struct world *world = *state;
	synced = not_synced = 0;
	kill(ingress_pid(world->ingress), SIGSTOP);
	set_sites(world, "shop", "\"t1.b\"");
	assert_non_null(sync_now(world));
	const uint64_t begin = clock_ms();
	while (not_synced == 0)
		turn(world);
	assert_true(clock_ms() - begin >= INGRESS_SYNC_MS - 10);
	/* The next process begins with what holds. */
	set_sites(world, "shop", "\"t1.b\", \"t2.b\"");
	assert_non_null(sync_now(world));
	kill(ingress_pid(world->ingress), SIGKILL);
	while (synced == 0)
		turn(world);
	assert_int_equal(not_synced, 1);
	while (ingress_pid(world->ingress) == 0)
		turn(world);
}

static void test_forgotten(void **state)
{
	struct world *world = *state;
	ingress_forget(world->ingress, "api");
	expect_answer(world, ask(world, "x.b", "/"), "HTTP/1.1 404 ");
	struct error error = {0};
	struct policy_site site = {.host = "*.b", .path = "/"};
	const struct policy_sites sites = {&site, 1};
	assert_int_equal(ingress_check(world->ingress, "shop", &sites, &error), 0);
	assert_true(json_is_null(ingress_describe(world->ingress, "api")));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routing),
		cmocka_unit_test(test_workers_know),
		cmocka_unit_test(test_conflicts_name_both),
		cmocka_unit_test(test_removal_returns),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_death),
		cmocka_unit_test(test_slow_heads),
		cmocka_unit_test(test_what_is_in_effect),
		cmocka_unit_test(test_nobody_waits_for_ever),
		cmocka_unit_test(test_forgotten),
	};
	if (argc != 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, open_world, close_world);
}
