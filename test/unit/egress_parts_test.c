/* The parts of tenantd-egress that need no process: ADD's encoding, limits, giving up
 * rules, what proxies' clients say. The rest: test/integration/egress_test.py. */
#include "common/cleanup.h"
#include "daemon/egress/private.h"
#include "daemon/egress/proxy_parse.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct egress_add example(void)
{
	return (struct egress_add){
		.tenant = "shop",
		.audit = 2,
		.proxy = true,
		.concurrent = 64,
		.rate_per_second = 100,
		.timeout_ms = 30000,
		.connect_count = 2,
		.connect = {"example.com:443", "10.0.0.0/8"},
		.deny_count = 1,
		.deny = {"*.evil.example"},
	};
}

static void test_add_comes_back(void **state)
{
	static char data[4096];
	static struct egress_add add, back;
	struct error error;
	(void)state;
	add = example();
	ssize_t length = egress_add_encode(&add, 7, data, sizeof data);
	assert_true(length > 0);
	assert_int_equal(egress_add_decode(data, (size_t)length, &back, &error), 0);
	assert_string_equal(back.tenant, "shop");
	assert_int_equal(back.audit, 2);
	assert_true(back.proxy);
	assert_int_equal(back.concurrent, 64);
	assert_int_equal(back.rate_per_second, 100);
	assert_int_equal(back.timeout_ms, 30000);
	assert_int_equal(back.connect_count, 2);
	assert_string_equal(back.connect[1], "10.0.0.0/8");
	assert_int_equal(back.deny_count, 1);
	assert_string_equal(back.deny[0], "*.evil.example");
	for (size_t cut = 0; cut < (size_t)length; cut++)
		assert_int_equal(egress_add_decode(data, cut, &back, &error), -EBADMSG);
	assert_int_equal(egress_add_decode(data, (size_t)length + 1, &back, &error), -EBADMSG);
	for (size_t size = 0; size < (size_t)length; size++)
		assert_int_equal(egress_add_encode(&add, 7, data, size), -EMSGSIZE);
}

static void test_add_without_limits_is_refused(void **state)
{
	static char data[4096];
	static struct egress_add add, back;
	struct error error;
	(void)state;
	for (int i = 0; i < 4; i++) {
		add = example();
		*(uint32_t *[]){&add.concurrent, &add.rate_per_second, &add.timeout_ms,
			&add.audit}[i] = i == 3 ? 3 : 0;
		ssize_t length = egress_add_encode(&add, 1, data, sizeof data);
		assert_int_equal(egress_add_decode(data, (size_t)length, &back, &error), -EBADMSG);
	}
}

static void test_bucket(void **state)
{
	struct bucket bucket;
	(void)state;
	bucket_init(&bucket, 10, 1000);
	for (int i = 0; i < 10; i++)
		assert_true(bucket_take(&bucket, 1000));
	assert_false(bucket_take(&bucket, 1000));
	assert_false(bucket_take(&bucket, 1099));
	assert_true(bucket_take(&bucket, 1100));
	assert_false(bucket_take(&bucket, 1100));
	int taken = 0;
	while (bucket_take(&bucket, 1000000))
		taken++;
	assert_int_equal(taken, 10);
	bucket_init(&bucket, UINT32_MAX, 0);
	assert_true(bucket_take(&bucket, UINT64_MAX));
}

static void test_rules_that_are_given_up(void **state)
{
	static const char *const connect_texts[] = {
		"*.example.com", "a.example.com:443", "10.0.0.0/8"};
	struct policy_net_rules connect, deny;
	struct policy_target target;
	struct policy_decision decision;
	struct error error;
	(void)state;
	assert_int_equal(rules_parse(&connect, connect_texts, 3, &error), 0);
	assert_int_equal(rules_parse(&deny, NULL, 0, &error), 0);
	assert_int_equal(rules_drop(&connect, &deny, "A.example.com:443", &error), 1);
	assert_int_equal(connect.count, 2);
	/* What was given up before is no news: nobody is to be told again and again. */
	assert_int_equal(rules_drop(&connect, &deny, "a.example.com:443", &error), 0);
	/* Also not by the wider rule. */
	assert_int_equal(policy_target_parse("a.example.com", 13, 443, false, &target, &error), 0);
	policy_match_target(&connect, &deny, &target, &decision);
	assert_false(decision.allowed);
	assert_int_equal(policy_target_parse("b.example.com", 13, 443, false, &target, &error), 0);
	policy_match_target(&connect, &deny, &target, &decision);
	assert_true(decision.allowed);
	assert_int_equal(rules_drop(&connect, &deny, "no rule!", &error), -EINVAL);
	for (int i = 1; i < 2000; i++) {
		char text[32];
		snprintf(text, sizeof text, "h%d.example", i);
		assert_true(rules_drop(&connect, &deny, text, &error) >= 0);
	}
	assert_int_equal(connect.count, 0); /* too much was given up: all of it */
	assert_int_equal(rules_drop(&connect, &deny, "", &error), 0);
	assert_true(deny.count <= 512);
	rules_free(&connect);
	rules_free(&deny);
}

/* ---- the proxy's clients ---- */

static const struct {
	const char *request;
	unsigned status; /* 0: it is fine */
	const char *host;
	uint16_t port;
	uint64_t body;
	const char *head; /* as the upstream gets it; NULL: a tunnel */
} requests[] = {
	{"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", 0, "example.com", 443,
		0, NULL},
	{"CONNECT [::1]:443 HTTP/1.1\r\n\r\n", 0, "[::1]", 443, 0, NULL},
	{"CONNECT example.com HTTP/1.1\r\n\r\n", 400, NULL, 0, 0, NULL},
	{"CONNECT example.com:0 HTTP/1.1\r\n\r\n", 400, NULL, 0, 0, NULL},
	{"CONNECT example.com:65536 HTTP/1.1\r\n\r\n", 400, NULL, 0, 0, NULL},
	{"CONNECT :443 HTTP/1.1\r\n\r\n", 400, NULL, 0, 0, NULL},
	{"CONNECT [::1:443 HTTP/1.1\r\n\r\n", 400, NULL, 0, 0, NULL},
	{"CONNECT [::1]x:443 HTTP/1.1\r\n\r\n", 400, NULL, 0, 0, NULL},
	{"GET http://example.com/a?b HTTP/1.1\r\nHost: other.example\r\nAccept: */*\r\n\r\n", 0,
		"example.com", 80, 0,
		"GET /a?b HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\nConnection: "
		"close\r\n\r\n"},
	{"GET http://example.com:8080 HTTP/1.1\r\n\r\n", 0, "example.com", 8080, 0,
		"GET / HTTP/1.1\r\nHost: example.com:8080\r\nConnection: close\r\n\r\n"},
	{"GET http://example.com?q HTTP/1.1\r\n\r\n", 0, "example.com", 80, 0,
		"GET /?q HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n"},
	{"GET HTTP://Example.com/ HTTP/1.0\r\n\r\n", 0, "Example.com", 80, 0,
		"GET / HTTP/1.1\r\nHost: Example.com\r\nConnection: close\r\n\r\n"},
	{"POST http://a/ HTTP/1.1\r\nContent-Length: 12\r\n\r\n", 0, "a", 80, 12,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\nConnection: close\r\n\r\n"},
	{"POST http://a/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 0, "a", 80, UINT64_MAX,
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: "
		"close\r\n\r\n"},
	/* hop by hop; what frames the body stays, though Connection names it */
	{"GET http://a/ HTTP/1.1\r\nX: 1\r\nConnection: y, X , content-length\r\nY: 2\r\nTE: t\r\n"
	 "Keep-Alive: 5\r\nProxy-Connection: z\r\nProxy-Authorization: p\r\nContent-Length: "
	 "0\r\nZ: 3\r\n\r\n",
		0, "a", 80, 0,
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nZ: 3\r\nConnection: "
		"close\r\n\r\n"},
	{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL, 0, 0, NULL},
	{"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL, 0, 0, NULL},
	{"GET https://a/ HTTP/1.1\r\n\r\n", 400, NULL, 0, 0, NULL},
	{"GET http://u:p@a/ HTTP/1.1\r\n\r\n", 400, NULL, 0, 0, NULL},
	{"GET http:///x HTTP/1.1\r\n\r\n", 400, NULL, 0, 0, NULL},
	{"POST http://a/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
		NULL, 0, 0, NULL},
	{"POST http://a/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, NULL, 0,
		0, NULL},
	{"GET http://a/ HTTP/1.1\r\nA : b\r\n\r\n", 400, NULL, 0, 0, NULL},
	{"GET http://a/ HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400, NULL, 0, 0, NULL},
	{"nonsense\r\n\r\n", 400, NULL, 0, 0, NULL},
};

static void test_requests(void **state)
{
	static struct proxy_request request;
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
		const char *text = requests[i].request, *why = NULL;
		const size_t length = strlen(text);
		unsigned status = 0;
		int used = proxy_parse_request(text, length, &request, &status, &why);
		if (requests[i].status) {
			if (used != -EBADMSG || status != requests[i].status || why == NULL)
				fail_msg("row %zu was not refused", i);
			continue;
		}
		if (used != (int)length)
			fail_msg("row %zu: %d %s", i, used, why ? why : "");
		assert_string_equal(request.host, requests[i].host);
		assert_int_equal(request.port, requests[i].port);
		assert_true(request.body == requests[i].body);
		assert_true(request.tunnel == (requests[i].head == NULL));
		if (requests[i].head) {
			request.head[request.head_length] = '\0';
			assert_string_equal(request.head, requests[i].head);
		}
		for (size_t cut = 0; cut < length; cut++)
			assert_int_equal(
				proxy_parse_request(text, cut, &request, &status, &why), 0);
	}
}

static void test_long_heads(void **state)
{
	static char data[2 * PROXY_HEAD_MAX];
	static struct proxy_request request;
	const char *why;
	unsigned status = 0;
	(void)state;
	memset(data, 'a', sizeof data);
	assert_int_equal(proxy_parse_request(data, PROXY_HEAD_MAX - 1, &request, &status, &why), 0);
	assert_int_equal(
		proxy_parse_request(data, PROXY_HEAD_MAX, &request, &status, &why), -EBADMSG);
	assert_int_equal(status, 431);
	size_t length = (size_t)sprintf(data, "GET http://a/ HTTP/1.1\r\n");
	for (int i = 0; i < 200; i++)
		length += (size_t)sprintf(data + length, "A%d: b\r\n", i);
	length += (size_t)sprintf(data + length, "\r\n");
	assert_int_equal(proxy_parse_request(data, length, &request, &status, &why), -EBADMSG);
}

static void test_responses(void **state)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\nA: b\r\n\r\n"
				   "HTTP/1.0 200 OK\r\nConnection: keep-alive, b\r\nB: c\r\n"
				   "Content-Length: 3\r\n\r\nabc";
	char out[1024];
	size_t length;
	bool interim;
	(void)state;
	int used =
		proxy_rewrite_response(text, sizeof text - 1, out, sizeof out, &length, &interim);
	assert_true(interim);
	out[length] = '\0';
	assert_string_equal(out, "HTTP/1.1 100 Continue\r\nA: b\r\n\r\n");
	int more = proxy_rewrite_response(
		text + used, sizeof text - 1 - (size_t)used, out, sizeof out, &length, &interim);
	assert_false(interim);
	out[length] = '\0';
	assert_string_equal(
		out, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n");
	assert_string_equal(text + used + more, "abc");
	assert_int_equal(proxy_rewrite_response(text, 10, out, sizeof out, &length, &interim), 0);
	assert_int_equal(proxy_rewrite_response("x\r\n\r\n", 5, out, sizeof out, &length, &interim),
		-EBADMSG);
	assert_int_equal(
		proxy_rewrite_response(text, sizeof text - 1, out, 8, &length, &interim), -EBADMSG);
}

#define SOCKS(bytes) (const uint8_t *)(bytes), sizeof(bytes) - 1

static void test_socks(void **state)
{
	static struct proxy_request request;
	uint8_t reply;
	(void)state;
	assert_int_equal(socks_parse_greeting(SOCKS("\5\1\0")), 3);
	assert_int_equal(socks_parse_greeting(SOCKS("\5\2\2\0rest")), 4);
	assert_int_equal(socks_parse_greeting(SOCKS("\5\2\0")), 0);
	assert_int_equal(socks_parse_greeting(SOCKS("\5\1\2")), -EBADMSG);
	assert_int_equal(socks_parse_greeting(SOCKS("\5\0")), -EBADMSG);
	assert_int_equal(socks_parse_greeting(SOCKS("\4\1")), -EBADMSG);
	assert_int_equal(
		socks_parse_request(SOCKS("\5\1\0\3\4a.bc\0\x50more"), &request, &reply), 11);
	assert_string_equal(request.host, "a.bc");
	assert_int_equal(request.port, 80);
	assert_int_equal(
		socks_parse_request(SOCKS("\5\1\0\1\x7f\0\0\1\1\xbb"), &request, &reply), 10);
	assert_string_equal(request.host, "127.0.0.1");
	assert_int_equal(request.port, 443);
	assert_int_equal(socks_parse_request(SOCKS("\5\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1"),
				 &request, &reply),
		22);
	assert_string_equal(request.host, "0:0:0:0:0:0:0:1");
	/* A NUL in the name stays in it, for the matcher to see. */
	assert_int_equal(socks_parse_request(SOCKS("\5\1\0\3\3a\0b\0\x50"), &request, &reply), 10);
	assert_int_equal(request.host_length, 3);
	assert_int_equal(
		socks_parse_request(SOCKS("\5\2\0\1\x7f\0\0\1\0\x50"), &request, &reply), -EBADMSG);
	assert_int_equal(reply, SOCKS_NO_COMMAND);
	assert_int_equal(
		socks_parse_request(SOCKS("\5\1\0\2\x7f\0\0\1\0\x50"), &request, &reply), -EBADMSG);
	assert_int_equal(reply, SOCKS_NO_ADDRESS_TYPE);
	assert_int_equal(socks_parse_request(SOCKS("\5\1\0\3\4a.b"), &request, &reply), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_comes_back),
		cmocka_unit_test(test_add_without_limits_is_refused),
		cmocka_unit_test(test_bucket),
		cmocka_unit_test(test_rules_that_are_given_up),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_long_heads),
		cmocka_unit_test(test_responses),
		cmocka_unit_test(test_socks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
