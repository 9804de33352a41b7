/* The parsers of tenantd-ingress, its table of sites, its choice of an instance, and its
 * messages. */
#include "daemon/ingress/private.h"

#include "common/cleanup.h"
#include "common/message.h"
#include "common/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

/* ---- HTTP ---- */

static void check_head(
	const char *text, enum parse_result expected, const char *host, const char *path)
{
	struct http_head head = {0};
	const size_t length = strlen(text);
	if (http_head_parse(text, length, &head) != expected)
		fail_msg("%s: %d, not %d", text, http_head_parse(text, length, &head), expected);
	if (expected != PARSE_DONE)
		return;
	assert_string_equal(head.host, host);
	assert_string_equal(head.path, path);
	/* Byte by byte it is incomplete until it is not, and never something else. */
	for (size_t i = 0; i < length; i++) {
		const enum parse_result partial = http_head_parse(text, i, &head);
		assert_true(partial == PARSE_MORE || partial == PARSE_DONE);
	}
}

static void test_heads(void **state)
{
	(void)state;
	check_head("GET / HTTP/1.1\r\nHost: a.b\r\n", PARSE_DONE, "a.b", "/");
	check_head("GET / HTTP/1.0\r\nHost:a.b\r\n\r\n", PARSE_DONE, "a.b", "/");
	check_head("\r\nGET /x/../api?q HTTP/1.1\r\nAccept: */*\r\nhOsT: \t A.b:80 \r\n\r\n",
		PARSE_DONE, "a.b", "/api");
	check_head("GET http://a.b/api HTTP/1.1\r\nHost: a.b\r\n", PARSE_DONE, "a.b", "/api");
	check_head("GET http://a.b HTTP/1.1\r\nHost: a.b\r\n", PARSE_DONE, "a.b", "/");
	check_head("GET http://a.b?q HTTP/1.1\r\nHost: a.b\r\n", PARSE_DONE, "a.b", "/");
	check_head("OPTIONS * HTTP/1.1\r\nHost: a.b\r\n", PARSE_DONE, "a.b", "/");
	check_head("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n", PARSE_DONE, "", "/");
	check_head("", PARSE_MORE, NULL, NULL);
	check_head("GE", PARSE_MORE, NULL, NULL);
	check_head("GET / HTTP/1.1\r\nHost: a.b", PARSE_MORE, NULL, NULL);
	check_head("GET / HTTP/1.1\r\nHost: a.b\r", PARSE_MORE, NULL, NULL);
}

static void test_bad_heads(void **state)
{
	static const char *const bad[] = {
		"GET / HTTP/1.1\r\n\r\n",                             /* no Host */
		"GET / HTTP/1.1\r\nHost:\r\n\r\n",                    /* an empty one */
		"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",                /* none of a host */
		"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n",                /* two */
		"GET / HTTP/1.1\nHost: a.b\r\n",                      /* bare LF */
		"GET / HTTP/1.1\r\nHost: a.b\n",                      /* there, too */
		"GET / HTTP/1.1\r\nX: a\rb\r\nHost: a.b\r\n",         /* bare CR */
		"GET / HTTP/1.1\r\nHost : a.b\r\n",                   /* a blank before the colon */
		"GET / HTTP/1.1\r\n Host: a.b\r\n",                   /* obs-fold */
		"GET / HTTP/1.1\r\nX: y\r\n folded\r\nHost: a.b\r\n", /* the same, later */
		"GET / HTTP/1.1\r\nnonsense\r\nHost: a.b\r\n",
		"GET  / HTTP/1.1\r\nHost: a.b\r\n",
		"GET /\r\nHost: a.b\r\n",
		"GET HTTP/1.1\r\nHost: a.b\r\n",
		"GET / HTTP/11\r\nHost: a.b\r\n",
		"GET / http/1.1\r\nHost: a.b\r\n",
		"GET /a b HTTP/1.1\r\nHost: a.b\r\n",
		"G(T / HTTP/1.1\r\nHost: a.b\r\n",
		" GET / HTTP/1.1\r\nHost: a.b\r\n",
		"GET a.b/ HTTP/1.1\r\nHost: a.b\r\n",
		"CONNECT a.b:443 HTTP/1.1\r\nHost: a.b:443\r\n",
		"GET https://a.b/ HTTP/1.1\r\nHost: a.b\r\n",
		"GET http://c.d/ HTTP/1.1\r\nHost: a.b\r\n", /* says two things */
		"GET http://a.b\\api HTTP/1.1\r\nHost: a.b\r\n",
		"\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a.b\r\n",
		"\x80\x01\x02",
		"SSH-2.0-OpenSSH_9.9\r\n",
		"{\"json\": true}",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		check_head(bad[i], PARSE_BAD, NULL, NULL);
	check_head("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", PARSE_VERSION, NULL, NULL);
	check_head("GET / HTTP/1.2\r\n", PARSE_VERSION, NULL, NULL);
	check_head("\x16\x03\x01\x02", PARSE_FOREIGN, NULL, NULL);
	struct http_head head;
	static const char nul[] = "GET / HTTP/1.1\r\nX: a\0b\r\nHost: a.b\r\n";
	assert_int_equal(http_head_parse(nul, sizeof nul - 1, &head), PARSE_BAD);
}

/* ---- TLS ---- */

struct hello {
	uint8_t bytes[4096];
	size_t length;
};

static void put(struct hello *hello, const void *data, size_t length)
{
	memcpy(hello->bytes + hello->length, data, length);
	hello->length += length;
}

static void put_number(struct hello *hello, size_t value, size_t bytes)
{
	while (bytes-- > 0)
		hello->bytes[hello->length++] = (uint8_t)(value >> (8 * bytes));
}

static void put_name(struct hello *hello, const char *name)
{
	const size_t length = strlen(name);
	put_number(hello, 0, 2);
	put_number(hello, length + 5, 2);
	put_number(hello, length + 3, 2);
	put_number(hello, 0, 1);
	put_number(hello, length, 2);
	put(hello, name, length);
}

static void put_protocols(struct hello *hello, const char *protocols)
{
	const size_t length = strlen(protocols);
	put_number(hello, 16, 2);
	put_number(hello, length + 2, 2);
	put_number(hello, length, 2);
	put(hello, protocols, length);
}

/* A ClientHello with EXTENSIONS, in records of at most PIECE bytes. */
static struct hello make_hello(const struct hello *extensions, size_t piece)
{
	struct hello body = {0}, whole = {0};
	put_number(&body, 0x0303, 2);
	body.length += 32;
	put_number(&body, 0, 1);
	put_number(&body, 2, 2);
	put_number(&body, 0x1301, 2);
	put_number(&body, 1, 1);
	put_number(&body, 0, 1);
	put_number(&body, extensions->length, 2);
	put(&body, extensions->bytes, extensions->length);
	struct hello message = {0};
	put_number(&message, 1, 1);
	put_number(&message, body.length, 3);
	put(&message, body.bytes, body.length);
	for (size_t at = 0; at < message.length; at += piece) {
		const size_t here = message.length - at < piece ? message.length - at : piece;
		put_number(&whole, 22, 1);
		put_number(&whole, 0x0301, 2);
		put_number(&whole, here, 2);
		put(&whole, message.bytes + at, here);
	}
	return whole;
}

static void test_client_hello(void **state)
{
	(void)state;
	struct hello extensions = {0};
	struct client_hello hello;
	put_number(&extensions, 0xff01, 2);
	put_number(&extensions, 1, 2);
	put_number(&extensions, 0, 1);
	put_name(&extensions, "Shop.Example.com");
	put_protocols(&extensions, "\x02h2\x08http/1.1");
	for (size_t piece = 1; piece < 200; piece += 33) {
		struct hello whole = make_hello(&extensions, piece);
		assert_int_equal(client_hello_parse(whole.bytes, whole.length, &hello), PARSE_DONE);
		assert_string_equal(hello.host, "shop.example.com");
		assert_true(hello.alpn && hello.http11 && hello.http2);
		for (size_t i = 0; i < whole.length; i++)
			assert_int_equal(client_hello_parse(whole.bytes, i, &hello), PARSE_MORE);
		/* Bytes that follow are somebody else's. */
		put(&whole, "\x17\x03\x03", 3);
		assert_int_equal(client_hello_parse(whole.bytes, whole.length, &hello), PARSE_DONE);
	}
}

static void check_hello(const struct hello *extensions, enum parse_result expected)
{
	struct client_hello hello;
	const struct hello whole = make_hello(extensions, 4096);
	assert_int_equal(client_hello_parse(whole.bytes, whole.length, &hello), expected);
}

static void test_bad_client_hello(void **state)
{
	(void)state;
	struct client_hello hello;
	struct hello extensions = {0};
	check_hello(&extensions, PARSE_DONE); /* without a name */
	put_protocols(&extensions, "\x03ssh");
	check_hello(&extensions, PARSE_PROTOCOL);
	extensions.length = 0;
	put_protocols(&extensions, "\x09http/1.1");
	check_hello(&extensions, PARSE_BAD); /* longer than its list */
	extensions.length = 0;
	put_name(&extensions, "a.b");
	put_name(&extensions, "c.d");
	check_hello(&extensions, PARSE_BAD);
	static const char *const names[] = {"a b", "a..b", "a.b:443", "[::1]", "*.a"};
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		extensions.length = 0;
		put_name(&extensions, names[i]);
		check_hello(&extensions, PARSE_BAD);
	}
	extensions.length = 0;
	put_name(&extensions, "a.b");
	extensions.bytes[3]++; /* the extension's length */
	check_hello(&extensions, PARSE_BAD);
	assert_int_equal(client_hello_parse((const uint8_t *)"GET / ", 6, &hello), PARSE_FOREIGN);
	/* No ClientHello; an empty record; one that is too long; a message beyond the bound. */
	static const uint8_t bad[][9] = {{22, 3, 1, 0, 4, 2, 0, 0, 0}, {22, 3, 1, 0, 0},
		{22, 3, 1, 0x40, 1}, {22, 2, 0, 0, 4}, {22, 3, 1, 0, 4, 1, 1, 0, 0}};
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		assert_int_equal(client_hello_parse(bad[i], 9, &hello), PARSE_BAD);
}

/* ---- sites ---- */

static struct world world;

static void add_sites(uint32_t id, size_t count, const struct ingress_site *sites)
{
	static struct ingress_sites message;
	message.tenant = "t";
	message.count = count;
	for (size_t i = 0; i < count; i++)
		message.sites[i] = sites[i];
	struct tenant *tenant = tenant_take(&world, id);
	assert_non_null(tenant);
	assert_int_equal(sites_stage(tenant, &message), 0);
}

static int owner(const char *host, const char *path)
{
	const struct site *site = sites_find(&world.table, host, path);
	return site ? (int)site->tenant->id : -1;
}

static void test_sites(void **state)
{
	(void)state;
	add_sites(1, 2, (struct ingress_site[]){{"a.b", "/", true}, {"*.b", "/", false}});
	add_sites(2, 3,
		(struct ingress_site[]){
			{"a.b", "/api", false}, {"*.x.b", "/", true}, {"y.b", "/only", false}});
	assert_int_equal(owner("a.b", "/"), -1); /* not committed */
	assert_int_equal(sites_commit(&world), 0);
	assert_int_equal(owner("a.b", "/"), 1);
	assert_int_equal(owner("a.b", "/api"), 2);
	assert_int_equal(owner("a.b", "/api/x"), 2);
	assert_int_equal(owner("a.b", "/apix"), 1);
	assert_int_equal(owner("q.b", "/api"), 1);
	assert_int_equal(owner("q.x.b", "/"), 2);
	assert_int_equal(owner("x.b", "/"), 1);
	assert_int_equal(owner("b", "/"), -1);
	assert_int_equal(owner("c.d", "/"), -1);
	assert_int_equal(owner("y.b", "/only"), 2);
	assert_int_equal(owner("y.b", "/"), 1); /* its own host has no such path: the wildcard */
	assert_int_equal(owner("a.b", NULL), 1);
	assert_int_equal(owner("q.b", NULL), -1); /* no certificate */
	assert_int_equal(owner("q.x.b", NULL), 2);
	/* Replaced as a whole, at once for both. */
	add_sites(1, 1, (struct ingress_site[]){{"y.b", "/", false}});
	add_sites(2, 0, NULL);
	assert_int_equal(owner("a.b", "/"), 1);
	assert_int_equal(sites_commit(&world), 0);
	assert_int_equal(owner("a.b", "/"), -1);
	assert_int_equal(owner("y.b", "/only"), 1);
	tenants_sweep(&world);
	assert_null(world.tenants[2]);
	tenants_free(&world);
}

/* ---- instances ---- */

static int workers[4];

static void add_instance(uint32_t id, uint32_t weight)
{
	int pair[2];
	struct error error = {0};
	assert_int_equal(message_pair(pair), 0);
	workers[id] = fcntl(pair[1], F_DUPFD_CLOEXEC, 0);
	const struct ingress_instance message = {{INGRESS_INSTANCE, id}, 7, weight};
	assert_int_equal(instance_add(&world, &message, pair[0], pair[1], &error), 0);
}

static size_t count_packets(uint32_t id)
{
	size_t count = 0;
	for (;; count++) {
		struct handover handover;
		int fd;
		size_t fds = 1;
		if (message_receive(
			    workers[id], &handover, sizeof handover, &fd, &fds, MSG_DONTWAIT) <= 0)
			return count;
		close(fd);
	}
}

static void hand_over(struct tenant *tenant, size_t count, enum choice expected)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(tenant_hand_over(tenant, pair[0], 0), expected);
	close(pair[0]);
	close(pair[1]);
}

/* Shares are exact. */
static void test_weights(void **state)
{
	(void)state;
	struct tenant *tenant = tenant_take(&world, 7);
	hand_over(tenant, 1, CHOICE_NONE);
	add_instance(1, 1);
	add_instance(2, 1);
	add_instance(3, 1);
	hand_over(tenant, 30, CHOICE_HANDED);
	for (uint32_t id = 1; id <= 3; id++)
		assert_int_equal(count_packets(id), 10);
	instance_set_weight(&world, 1, 90);
	instance_set_weight(&world, 2, 10);
	instance_set_weight(&world, 3, 0);
	hand_over(tenant, 100, CHOICE_HANDED);
	assert_int_equal(count_packets(1), 90);
	assert_int_equal(count_packets(2), 10);
	assert_int_equal(count_packets(3), 0);
	instance_set_weight(&world, 1, 0);
	instance_set_weight(&world, 2, 0);
	hand_over(tenant, 1, CHOICE_FULL);
}

/* One that drains says so by closing its end to reading: nothing is sent to it any more, and
 * that it was the last is no reason to refuse. */
static void test_leaving(void **state)
{
	(void)state;
	struct tenant *tenant = tenant_take(&world, 7);
	for (uint32_t id = 1; id <= 3; id++)
		instance_set_weight(&world, id, 1);
	shutdown(workers[1], SHUT_RD);
	hand_over(tenant, 10, CHOICE_HANDED);
	assert_int_equal(count_packets(1), 0);
	assert_int_equal(count_packets(2) + count_packets(3), 10);
	shutdown(workers[2], SHUT_RD);
	shutdown(workers[3], SHUT_RD);
	hand_over(tenant, 1, CHOICE_NONE);
}

/* A full channel: the others get it; all full: none. */
static void test_full(void **state)
{
	(void)state;
	struct tenant *tenant = tenant_take(&world, 7);
	for (uint32_t id = 1; id <= 3; id++) {
		instance_remove(&world, id);
		close(workers[id]);
	}
	add_instance(1, 1);
	add_instance(2, 1);
	int pair[2];
	size_t handed = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	while (tenant_hand_over(tenant, pair[0], 0) == CHOICE_HANDED)
		assert_true(++handed < 100000);
	const size_t first = count_packets(1), second = count_packets(2);
	assert_true(first > 10 && second > 10);
	assert_int_equal(first + second, handed);
	assert_int_equal(tenant_hand_over(tenant, pair[0], 0), CHOICE_HANDED);
	tenants_free(&world);
}

/* ---- messages ---- */

static void test_sites_message(void **state)
{
	static struct ingress_sites in, out;
	char data[1024];
	struct error error = {0};
	(void)state;
	in.tenant = "shop";
	in.count = 2;
	in.sites[0] = (struct ingress_site){"a.b", "/", true};
	in.sites[1] = (struct ingress_site){"*.b", "/x", false};
	ssize_t length = ingress_sites_encode(&in, 5, data, sizeof data);
	assert_true(length > 0);
	assert_int_equal(ingress_sites_decode(data, (size_t)length, &out, &error), 0);
	assert_int_equal(out.count, 2);
	assert_string_equal(out.sites[1].host, "*.b");
	assert_string_equal(out.sites[1].path, "/x");
	assert_true(out.sites[0].tls && !out.sites[1].tls);
	for (size_t cut = 0; cut < (size_t)length; cut++)
		assert_int_equal(ingress_sites_decode(data, cut, &out, &error), -EBADMSG);
	in.sites[0].path = "x";
	length = ingress_sites_encode(&in, 5, data, sizeof data);
	assert_int_equal(ingress_sites_decode(data, (size_t)length, &out, &error), -EBADMSG);
	in.sites[0].path = "/";
	length = ingress_sites_encode(&in, INGRESS_TENANTS_MAX, data, sizeof data);
	assert_int_equal(ingress_sites_decode(data, (size_t)length, &out, &error), -EBADMSG);
}

int main(void)
{
	static struct ingress_counts counts;
	world.counts = &counts;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_bad_heads),
		cmocka_unit_test(test_client_hello),
		cmocka_unit_test(test_bad_client_hello),
		cmocka_unit_test(test_sites),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_leaving),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_sites_message),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
