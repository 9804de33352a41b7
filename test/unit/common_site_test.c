/* Hosts and paths of requests as sites see them. */
#include "common/site.h"

#include "common/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void check_host(const char *text, int result, const char *expected)
{
	char host[SITE_HOST_MAX + 1] = "";
	assert_int_equal(site_host(text, strlen(text), host), result);
	if (result == 0)
		assert_string_equal(host, expected);
}

static void test_hosts(void **state)
{
	(void)state;
	check_host("shop.example.com", 0, "shop.example.com");
	check_host("Shop.EXAMPLE.com:8080", 0, "shop.example.com");
	check_host("shop.example.com:", 0, "shop.example.com");
	check_host("shop.example.com.", 0, "shop.example.com");
	check_host("shop.example.com.:80", 0, "shop.example.com");
	check_host("localhost", 0, "localhost");
	check_host("a_b.xn--bcher-kva.example", 0, "a_b.xn--bcher-kva.example");
	check_host("127.0.0.1:80", 0, "127.0.0.1");
	check_host("[::1]:80", -ENOENT, NULL);
	check_host("[::1]", -ENOENT, NULL);
	static const char *const bad[] = {"", ".", "..", "a..b", ".a", "a.b..", "a b", "a/b",
		"a%62", "a:80x", "a:123456", "a:-1", "a@b", "*.a", "a,b", "[]", "[::1", "[::1]x",
		"[::1]:x",
		"b\xc3\xbc"
		"cher.example",
		":80", "a\tb"};
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		check_host(bad[i], -EINVAL, NULL);
	char host[SITE_HOST_MAX + 1];
	assert_int_equal(site_host("a\0b", 3, host), -EINVAL);
	char longest[SITE_HOST_MAX + 2];
	memset(longest, 'a', sizeof longest);
	for (size_t i = 60; i < sizeof longest; i += 60)
		longest[i] = '.';
	assert_int_equal(site_host(longest, SITE_HOST_MAX, host), 0);
	assert_int_equal(site_host(longest, SITE_HOST_MAX + 1, host), -EINVAL);
	memset(longest, 'a', 64);
	assert_int_equal(site_host(longest, 63, host), 0);
	assert_int_equal(site_host(longest, 64, host), -EINVAL);
}

static void check_path(const char *target, const char *expected)
{
	char path[SITE_PATH_KEPT];
	assert_int_equal(site_path(target, strlen(target), path), 0);
	assert_string_equal(path, expected);
	/* What is normal stays so. */
	char again[SITE_PATH_KEPT];
	assert_int_equal(site_path(path, strlen(path), again), 0);
	assert_string_equal(again, path);
}

/* As the URL standard reads them: a worker must see the path that ingress decided by. */
static void test_paths(void **state)
{
	(void)state;
	check_path("/", "/");
	check_path("/api", "/api");
	check_path("/api/", "/api/");
	check_path("/api?x=/other", "/api");
	check_path("/api#x", "/api");
	check_path("/?", "/");
	check_path("/a/./b", "/a/b");
	check_path("/a/.", "/a/");
	check_path("/a/..", "/");
	check_path("/a/b/..", "/a/");
	check_path("/a/../b", "/b");
	check_path("/..", "/");
	check_path("/../../api", "/api");
	check_path("/x/%2e%2E/api", "/api");
	check_path("/x/.%2e/api", "/api");
	check_path("/x/%2e/api", "/x/api");
	check_path("/x\\..\\api", "/api");
	check_path("//api", "//api");
	check_path("/a//../b", "/a/b");
	check_path("/...", "/...");
	check_path("/%2e%2e%2e", "/%2e%2e%2e");
	check_path("/.a", "/.a");
	check_path("/%61pi", "/%61pi"); /* stays encoded in a URL, too */
	char path[SITE_PATH_KEPT];
	assert_int_equal(site_path("", 0, path), -EINVAL);
	assert_int_equal(site_path("api", 3, path), -EINVAL);
	assert_int_equal(site_path("*", 1, path), -EINVAL);
}

/* Dot segments far behind what is kept still lead back. */
static void test_long_paths(void **state)
{
	char target[8192], path[SITE_PATH_KEPT];
	size_t length = 0;
	(void)state;
	for (int i = 0; i < 600; i++)
		length += (size_t)snprintf(target + length, sizeof target - length, "/ab");
	assert_int_equal(site_path(target, length, path), 0);
	assert_int_equal(strlen(path), SITE_PATH_KEPT - 1);
	for (int i = 0; i < 600; i++)
		length += (size_t)snprintf(target + length, sizeof target - length, "/..");
	length += (size_t)snprintf(target + length, sizeof target - length, "/api");
	assert_int_equal(site_path(target, length, path), 0);
	assert_string_equal(path, "/api");
}

static void test_matching(void **state)
{
	(void)state;
	assert_true(site_host_matches("a.b", "a.b"));
	assert_false(site_host_matches("a.b", "x.a.b"));
	assert_true(site_host_matches("*.a.b", "x.a.b"));
	assert_true(site_host_matches("*.a.b", "y.x.a.b"));
	assert_false(site_host_matches("*.a.b", "a.b"));
	assert_false(site_host_matches("*.a.b", "xa.b"));
	assert_true(site_path_matches("/", "/anything"));
	assert_true(site_path_matches("/api", "/api"));
	assert_true(site_path_matches("/api", "/api/x"));
	assert_false(site_path_matches("/api", "/apix"));
	assert_false(site_path_matches("/api", "/ap"));
}

static void test_specificity(void **state)
{
	(void)state;
	assert_true(site_compare("a.b.c", "/", "*.b.c", "/long/path") > 0);
	assert_true(site_compare("*.b.c", "/", "*.c", "/long") > 0);
	assert_true(site_compare("a.b", "/api", "a.b", "/") > 0);
	assert_true(site_compare("a.b", "/", "a.b", "/api") < 0);
	assert_int_equal(site_compare("a.b", "/api", "a.b", "/api"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_long_paths),
		cmocka_unit_test(test_matching),
		cmocka_unit_test(test_specificity),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
