/* What a tenant.json asks for that the policy does not grant. */
#include "common/cleanup.h"
#include "policy/manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* MISSING: "one, another"; "": all is granted. Both are the inside of "permissions". */
struct row {
	const char *granted, *asked, *missing;
};

static void check(const struct row *row)
{
	char text[2048], got[2048] = "";
	struct error error = {0};
	struct policy *policy;
	struct manifest *manifest;
	struct policy_list missing;
	snprintf(text, sizeof text, "{\"version\": 1, \"permissions\": {%s}}", row->granted);
	if (policy_parse(text, strlen(text), "policy", &policy, &error) < 0)
		fail_msg("%s", error.message);
	snprintf(text, sizeof text, "{\"permissions\": {%s}}", row->asked);
	if (manifest_parse(text, strlen(text), "tenant.json", &manifest, &error) < 0)
		fail_msg("%s", error.message);
	assert_int_equal(manifest_missing_permissions(manifest, policy, &missing, &error), 0);
	for (size_t i = 0; i < missing.count; i++)
		snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i ? ", " : "",
			missing.items[i]);
	if (strcmp(got, row->missing) != 0)
		fail_msg("%s where there is %s: missing is \"%s\", not \"%s\"", row->asked,
			row->granted, got, row->missing);
	policy_list_clear(&missing);
	manifest_free(manifest);
	policy_free(policy);
}

static void check_all(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check(&rows[i]);
}

static void test_files(void **state)
{
	static const struct row rows[] = {
		{"", "", ""},
		{"", "\"fs\": {\"read\": [\"/srv/x\"], \"write\": [\"/srv/y\"]}",
			"fs.read /srv/x, fs.write /srv/y"},
		{"\"fs\": {\"read\": [\"/srv\"]}", "\"fs\": {\"read\": [\"/srv/x\"]}", ""},
		{"\"fs\": {\"read\": [\"/srv\"]}", "\"fs\": {\"write\": [\"/srv/x\"]}",
			"fs.write /srv/x"},
		{"\"fs\": {\"write\": [\"/srv\"]}", "\"fs\": {\"read\": [\"/srv/x\"]}", ""},
		{"\"fs\": {\"read\": [\"/srv/x\"]}", "\"fs\": {\"read\": [\"/srv\", \"/srv/xy\"]}",
			"fs.read /srv, fs.read /srv/xy"},
		{"\"child\": {\"exec\": [\"/usr/bin\"]}",
			"\"child\": {\"exec\": [\"/usr/bin/git\", \"/bin/sh\"]}",
			"child.exec /bin/sh"},
	};
	(void)state;
	check_all(rows, ARRAY_LENGTH(rows));
}

#define CONNECT(list) "\"net\": {\"connect\": [" list "]}"

static void test_net(void **state)
{
	static const struct row rows[] = {
		{"", CONNECT("\"a.example:443\""), "net.connect a.example:443"},
		{CONNECT("\"a.example:443\""), CONNECT("\"A.example:443\""), ""},
		{CONNECT("\"a.example:443\""), CONNECT("\"a.example:80\""),
			"net.connect a.example:80"},
		{CONNECT("\"a.example:443\""), CONNECT("\"a.example\""), "net.connect a.example"},
		{CONNECT("\"a.example\""), CONNECT("\"a.example:1-500\""), ""},
		{CONNECT("\"*.example:443\""), CONNECT("\"a.example:443\", \"*.b.example:443\""),
			""},
		{CONNECT("\"*.b.example:443\""), CONNECT("\"*.example:443\", \"b.example:443\""),
			"net.connect *.example:443, net.connect b.example:443"},
		/* One host is not all hosts. */
		{CONNECT("\"a.b.example\""), CONNECT("\"*.b.example\""), "net.connect *.b.example"},
		{CONNECT("\"10.0.0.0/8\""), CONNECT("\"10.1.0.0/16:5432\""), ""},
		{CONNECT("\"10.1.0.0/16\""), CONNECT("\"10.0.0.0/8\""), "net.connect 10.0.0.0/8"},
		{CONNECT("\"10.1.2.3:1-65535\""), CONNECT("\"10.1.2.3:80\", \"10.1.2.4:80\""),
			"net.connect 10.1.2.4:80"},
		/* Neighbours of two rules are not one range. */
		{CONNECT("\"10.0.0.0/9\", \"10.128.0.0/9\""), CONNECT("\"10.0.0.0/8\""),
			"net.connect 10.0.0.0/8"},
		/* All addresses are not the private ones. */
		{CONNECT("\"0.0.0.0/0\""), CONNECT("\"10.1.0.0/16\""), "net.connect 10.1.0.0/16"},
		{CONNECT("\"0.0.0.0/0\""), CONNECT("\"192.0.9.0/24\""), ""},
		{CONNECT("\"2a00::/16\""), CONNECT("\"2a00:1::/32\""), ""},
		{"\"net\": {\"connect\": [\"*.example\"], \"deny\": [\"a.example\"]}",
			CONNECT("\"a.example:443\""), "net.connect a.example:443"},
		{CONNECT("\"unix:/run/db.sock\""),
			CONNECT("\"unix:/run/db.sock\", \"unix:/run/x.sock\""),
			"net.connect unix:/run/x.sock"},
		{"\"net\": {\"listen\": [\"127.0.0.1:80\", \"web=127.0.0.1:0\"]}",
			"\"net\": {\"listen\": [\"127.0.0.1:80\", \"web=0.0.0.0:8080\", "
			"\"[::1]:80\"]}",
			"net.listen [::1]:80"},
	};
	(void)state;
	check_all(rows, ARRAY_LENGTH(rows));
}

#define INGRESS(list) "\"net\": {\"ingress\": [" list "]}"

static void test_ingress(void **state)
{
	static const struct row rows[] = {
		{"", INGRESS("\"shop.example\""), "net.ingress shop.example"},
		{INGRESS("\"shop.example\""), INGRESS("\"SHOP.example\", \"shop.example/api\""),
			""},
		{INGRESS("\"shop.example/api\""),
			INGRESS("\"shop.example/api/v1\", \"shop.example/apis\", \"shop.example\""),
			"net.ingress shop.example/apis, net.ingress shop.example"},
		{INGRESS("\"*.shop.example\""),
			INGRESS("\"a.shop.example\", \"*.a.shop.example\", \"*.shop.example/x\""),
			""},
		{INGRESS("\"*.a.shop.example\""), INGRESS("\"*.shop.example\", \"a.shop.example\""),
			"net.ingress *.shop.example, net.ingress a.shop.example"},
		/* One name is not all of them. */
		{INGRESS("\"a.shop.example\""), INGRESS("\"*.shop.example\""),
			"net.ingress *.shop.example"},
	};
	(void)state;
	check_all(rows, ARRAY_LENGTH(rows));
}

static void test_the_rest(void **state)
{
	static const struct row rows[] = {
		{"\"env\": {\"pass\": [\"A\"], \"set\": {\"B\": \"1\"}, \"secrets\": [\"C\"]}",
			"\"env\": {\"pass\": [\"A\", \"B\", \"D\"], \"set\": {\"X\": \"1\"}, "
			"\"secrets\": [\"C\", \"E\"]}",
			"env.pass D, env.set X, env.secrets E"},
		{"\"env\": {\"set\": {\"B\": \"1\"}}", "\"env\": {\"set\": {\"B\": \"2\"}}", ""},
		{"", "\"eval\": true, \"wasm\": true, \"jit\": true", "eval"},
		{"\"eval\": true, \"wasm\": false", "\"eval\": true, \"wasm\": true, \"jit\": true",
			"wasm"},
		{"\"jit\": false", "\"jit\": true", "jit"},
		{"\"jit\": false", "\"jit\": false, \"eval\": false", ""},
		{"", "\"net\": {\"deny\": [\"example.com\"]}", ""},
	};
	(void)state;
	check_all(rows, ARRAY_LENGTH(rows));
}

static void test_nothing_is_asked_for_by_default(void **state)
{
	struct policy_list missing;
	struct manifest *manifest = manifest_default();
	struct policy *policy = policy_default();
	(void)state;
	assert_null(manifest->asks);
	assert_null(manifest->permissions);
	assert_int_equal(manifest_missing_permissions(manifest, policy, &missing, NULL), 0);
	assert_int_equal(missing.count, 0);
	manifest_free(manifest);
	policy_free(policy);
}

static void test_only_what_is_asked_for_is_printed(void **state)
{
	static const char text[] =
		"{\"permissions\": {\"fs\": {\"read\": [\"/srv\"], \"write\": []}, "
		"\"eval\": false, \"wasm\": true}}";
	struct manifest *manifest;
	(void)state;
	assert_int_equal(manifest_parse(text, strlen(text), "x", &manifest, NULL), 0);
	assert_string_equal(manifest->permissions, "{\n  \"fs\": {\n    \"read\": [\n      "
						   "\"/srv\"\n    ]\n  },\n  \"wasm\": true\n}\n");
	manifest_free(manifest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_net),
		cmocka_unit_test(test_ingress),
		cmocka_unit_test(test_the_rest),
		cmocka_unit_test(test_nothing_is_asked_for_by_default),
		cmocka_unit_test(test_only_what_is_asked_for_is_printed),
	};
	return cmocka_run_group_tests_name("manifest_asks", tests, NULL, NULL);
}
