/* What the golden files of test/policy cannot show. */
#include "common/cleanup.h"
#include "common/file.h"
#include "policy/manifest.h"
#include "policy/policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct policy *parse(const char *text)
{
	struct policy *policy = NULL;
	struct error error = {0};
	if (policy_parse(text, strlen(text), "test.json", &policy, &error) < 0)
		fail_msg("%s", error.message);
	return policy;
}

static void the_default_grants_one_free_loopback_port_and_no_more(void **state)
{
	(void)state;
	struct policy *policy = policy_default();
	assert_non_null(policy);
	assert_int_equal(policy->net.listen.count, 1);
	assert_int_equal(policy->net.listen.items[0].family, AF_INET);
	assert_int_equal(policy->net.listen.items[0].port, 0);
	assert_memory_equal(policy->net.listen.items[0].address, "\x7f\0\0\1", 4);
	assert_int_equal(policy->fs.read.count + policy->fs.write.count, 0);
	assert_int_equal(policy->net.connect.count + policy->net.deny.count, 0);
	assert_int_equal(policy->child_exec.count, 0);
	assert_int_equal(
		policy->env.pass.count + policy->env.set.count + policy->env.secrets.count, 0);
	assert_false(policy->allow_eval);
	assert_true(policy->allow_wasm && policy->allow_jit);
	assert_int_equal(policy->audit, POLICY_AUDIT_DENIED);
	policy_free(policy);
}

static void an_empty_policy_grants_nothing(void **state)
{
	(void)state;
	struct policy *policy = parse("{\"version\": 1}");
	assert_int_equal(policy->net.listen.count, 0);
	assert_false(policy->allow_eval);
	assert_int_equal(policy->limits.tmp_bytes, 0);
	policy_free(policy);
}

static void whether_the_cpu_limit_of_a_turn_was_named_is_known(void **state)
{
	static const struct {
		const char *text;
		bool named;
	} cases[] = {
		{"{\"version\": 1}", false},
		{"{\"version\": 1, \"limits\": {\"cpu\": \"50%\"}}", false},
		{"{\"version\": 1, \"limits\": {\"request\": {\"time\": \"1s\"}}}", false},
		{"{\"version\": 1, \"limits\": {\"request\": {\"cpu\": \"500ms\"}}}", true},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct policy *policy = parse(cases[i].text);
		assert_int_equal(policy->limits.request.cpu_named, cases[i].named);
		assert_int_equal(policy->limits.request.cpu_ms, 500);
		policy_free(policy);
	}
}

static void a_refused_policy_leaves_the_result_alone(void **state)
{
	(void)state;
	struct policy *policy = (struct policy *)&policy;
	struct error error = {0};
	assert_int_equal(policy_parse("{}", 2, "x", &policy, &error), -EINVAL);
	assert_ptr_equal(policy, &policy);
	assert_int_equal(error.code, EINVAL);
	assert_int_equal(policy_parse("{}", 2, "x", &policy, NULL), -EINVAL);
}

static void a_file_over_one_mebibyte_is_refused(void **state)
{
	(void)state;
	size_t length = POLICY_LENGTH_MAX + 1;
	cleanup_free char *text = malloc(length);
	assert_non_null(text);
	memset(text, ' ', length);
	memcpy(text, "{\"version\": 1}", 14);
	struct policy *policy = NULL;
	struct error error = {0};
	assert_int_equal(policy_parse(text, length, "big.json", &policy, &error), -EINVAL);
	assert_string_equal(error.message, "big.json:1:1: larger than 1 MiB");
	assert_int_equal(policy_parse(text, length - 1, "big.json", &policy, &error), 0);
	policy_free(policy);
}

/* COUNT variables of LENGTH bytes each. */
static int parse_variables(size_t count, size_t length, struct error *error)
{
	size_t size = 100 + count * (length + 20), used;
	cleanup_free char *text = malloc(size);
	struct policy *policy = NULL;
	assert_non_null(text);
	used = (size_t)snprintf(
		text, size, "{\"version\": 1, \"permissions\": {\"env\": {\"set\": {");
	for (size_t i = 0; i < count; i++) {
		used += (size_t)snprintf(
			text + used, size - used, "%s\n\"A%zu\": \"", i ? "," : "", i);
		memset(text + used, 'x', length);
		used += length;
		text[used++] = '"';
	}
	used += (size_t)snprintf(text + used, size - used, "}}}}");
	int result = policy_parse(text, used, "env.json", &policy, error);
	policy_free(result == 0 ? policy : NULL);
	return result;
}

static void variables_have_a_size_each_and_in_all(void **state)
{
	(void)state;
	struct error error = {0};
	assert_int_equal(parse_variables(1, 32768, &error), 0);
	assert_int_equal(parse_variables(1, 32769, &error), -EINVAL);
	assert_string_equal(error.message, "env.json:2:7: /permissions/env/set/A0: 32769 bytes: "
					   "at most 32768 are allowed");
	/* 4 for its name, = and NUL */
	assert_int_equal(parse_variables(4, 98304 / 4 - 4, &error), 0);
	assert_int_equal(parse_variables(4, 98304 / 4 - 3, &error), -EINVAL);
	assert_string_equal(error.message, "env.json:5:7: /permissions/env/set/A3: the variables "
					   "up to here are 98308 bytes: at most 98304 are allowed");
}

/* Hostile shapes take no quadratic time and no deep recursion. */
static void a_large_hostile_file_is_refused_quickly(void **state)
{
	(void)state;
	size_t length = POLICY_LENGTH_MAX;
	cleanup_free char *text = malloc(length);
	assert_non_null(text);
	struct policy *policy = NULL;
	struct error error = {0};
	memset(text, '[', length);
	assert_int_equal(policy_parse(text, length, "x", &policy, &error), -EINVAL);
	for (size_t i = 0; i + 1 < length; i += 2)
		memcpy(text + i, i == 0 ? "[0" : ",0", 2);
	text[length - 1] = ']';
	text[length - 2] = ' ';
	assert_int_equal(policy_parse(text, length, "x", &policy, &error), -EINVAL);
	assert_non_null(strstr(error.message, "expected an object, not a list"));
}

static void messages_fit_whatever_the_file_is_called(void **state)
{
	(void)state;
	char name[2000];
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	struct policy *policy = NULL;
	struct error error = {0};
	static const char text[] = "{\"version\": 1, \"a\": 1, \"b\": 2}";
	assert_int_equal(policy_parse(text, strlen(text), name, &policy, &error), -EINVAL);
	assert_true(strlen(error.message) < sizeof error.message);
	/* 300 characters: one line fits, its successors are counted. */
	name[800] = '\0';
	assert_int_equal(policy_parse(text, strlen(text), name, &policy, &error), -EINVAL);
	assert_non_null(strstr(error.message, ": /a: unknown key"));
	assert_non_null(strstr(error.message, "\n(and 1 more)"));
}

static void a_policy_is_read_from_a_file(void **state)
{
	(void)state;
	char folder[] = "/tmp/policy-test-XXXXXX";
	assert_non_null(mkdtemp(folder));
	cleanup_close int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct error error = {0};
	struct policy *policy = NULL;
	struct manifest *manifest = NULL;

	assert_int_equal(policy_read(fd, "shop.json", &policy, &error), -ENOENT);
	assert_non_null(strstr(error.message, "cannot open shop.json"));
	static const char good[] = "{\"version\": 1, \"limits\": {\"pids\": 77}}";
	assert_int_equal(file_write_atomic(fd, "shop.json", good, strlen(good), 0600, &error), 0);
	assert_int_equal(policy_read(fd, "shop.json", &policy, &error), 0);
	assert_int_equal(policy->limits.pids, 77);
	policy_free(policy);
	assert_int_equal(file_write_atomic(fd, "shop.json", "{\"a\":1}", 7, 0600, &error), 0);
	assert_int_equal(policy_read(fd, "shop.json", &policy, &error), -EINVAL);
	assert_non_null(strstr(error.message, "shop.json:1:2: /a: unknown key"));

	/* tenant.json may be missing, but not wrong. */
	assert_int_equal(manifest_read(fd, MANIFEST_FILE, &manifest, &error), 0);
	assert_null(manifest->entry);
	assert_int_equal(manifest->grace_ms, 10000);
	manifest_free(manifest);
	assert_int_equal(file_write_atomic(fd, MANIFEST_FILE, "{", 1, 0600, &error), 0);
	assert_int_equal(manifest_read(fd, MANIFEST_FILE, &manifest, &error), -EINVAL);
	assert_non_null(strstr(error.message, "tenant.json:1:2: "));
	unlinkat(fd, MANIFEST_FILE, 0);
	unlinkat(fd, "shop.json", 0);
	rmdir(folder);
}

static void names_are_checked_precisely(void **state)
{
	(void)state;
	static const char long63[] =
		"abcdefghijklmnopqrstuvwxyz-0123456789-abcdefghijklmnopqrstuvwxy";
	static const char *const good[] = {"a", "0", "shop", "shop-2", "a--b", long63};
	for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
		assert_int_equal(policy_check_name(good[i], NULL), 0);
	static const struct {
		const char *name, *message;
	} bad[] = {
		{"", "the tenant's name is empty"},
		{"-a", "tenant name \"-a\" must begin and end with a letter or digit"},
		{"a-", "tenant name \"a-\" must begin and end with a letter or digit"},
		{"Shop", "tenant name \"Shop\" has an upper-case letter: write it in lower case"},
		{"a/b", "tenant name \"a/b\" has a character other than a-z, 0-9 and - at "
			"position 2"},
		{"..", "tenant name \"..\" has a character other than a-z, 0-9 and - at "
		       "position 1"},
		{"a_b", "tenant name \"a_b\" has a character other than a-z, 0-9 and - at "
			"position 2"},
		{"a\x1b[2J", "tenant name \"a\\x1b[2J\" has a character other than a-z, 0-9 and - "
			     "at position 2"},
		{"\xc3\xa9", "tenant name \"\xc3\xa9\" has a character other than a-z, 0-9 and - "
			     "at position 1"},
		{"abcdefghijklmnopqrstuvwxyz-0123456789-abcdefghijklmnopqrstuvwxyz",
			"tenant name "
			"\"abcdefghijklmnopqrstuvwxyz-0123456789-abcdefghijklmnopqrstuvwxyz\" has "
			"64 characters: at most 63 are allowed"},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		struct error error = {0};
		assert_int_equal(policy_check_name(bad[i].name, &error), -EINVAL);
		assert_string_equal(error.message, bad[i].message);
	}
}

/* Where to cut between two characters, when there are none. */
static void a_name_of_continuation_bytes_is_refused(void **state)
{
	(void)state;
	for (size_t length = 1; length < 200; length++) {
		char name[201];
		struct error error = {0};
		memset(name, 0xBF, length);
		name[length] = '\0';
		assert_int_equal(policy_check_name(name, &error), -EINVAL);
		for (const char *next = error.message; *next; next++)
			assert_true((unsigned char)*next < 0x80);
	}
}

static void net_rules_are_printed_canonically(void **state)
{
	(void)state;
	static const struct {
		const char *text, *canonical;
		enum policy_net_kind kind;
	} cases[] = {
		{"API.Example.COM:443", "api.example.com:443", POLICY_NET_HOST},
		{"localhost", "localhost", POLICY_NET_HOST},
		{"my_db:5432", "my_db:5432", POLICY_NET_HOST},
		{"xn--bcher-kva.example:1-65535", "xn--bcher-kva.example:1-65535", POLICY_NET_HOST},
		{"3com.com", "3com.com", POLICY_NET_HOST},
		{"*.Storage.example.com:8000-8100", "*.storage.example.com:8000-8100",
			POLICY_NET_SUFFIX},
		{"*.com", "*.com", POLICY_NET_SUFFIX},
		{"10.1.0.0/16:5432", "10.1.0.0/16:5432", POLICY_NET_ADDRESS},
		{"10.1.2.3/32:80", "10.1.2.3:80", POLICY_NET_ADDRESS},
		{"0.0.0.0/0", "0.0.0.0/0", POLICY_NET_ADDRESS},
		{"192.0.2.1", "192.0.2.1", POLICY_NET_ADDRESS},
		{"::/0", "[::/0]", POLICY_NET_ADDRESS},
		{"[::/0]:80", "[::/0]:80", POLICY_NET_ADDRESS},
		{"[2001:DB8::1]", "[2001:db8::1]", POLICY_NET_ADDRESS},
		{"[2001:db8:0::]:443-443", "[2001:db8::]:443", POLICY_NET_ADDRESS},
		{"fd00::/8:53", "[fd00::/8]:53", POLICY_NET_ADDRESS},
		{"[fe80::/9]", "[fe80::/9]", POLICY_NET_ADDRESS},
		{"unix:/run/db.sock", "unix:/run/db.sock", POLICY_NET_UNIX},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct policy_net_rule rule, again;
		struct error error = {0};
		char text[POLICY_NET_TEXT_MAX];
		if (policy_net_rule_parse(cases[i].text, &rule, &error) < 0)
			fail_msg("%s: %s", cases[i].text, error.message);
		assert_int_equal(rule.kind, cases[i].kind);
		policy_net_rule_format(&rule, text);
		assert_string_equal(text, cases[i].canonical);
		assert_int_equal(policy_net_rule_parse(text, &again, &error), 0);
		policy_net_rule_format(&again, text);
		assert_string_equal(text, cases[i].canonical);
	}
}

static void net_rules_hold_what_a_matcher_needs(void **state)
{
	(void)state;
	struct policy_net_rule rule;
	assert_int_equal(policy_net_rule_parse("*.Example.com:80-90", &rule, NULL), 0);
	assert_string_equal(rule.name, ".example.com");
	assert_int_equal(rule.port_first, 80);
	assert_int_equal(rule.port_last, 90);
	assert_int_equal(policy_net_rule_parse("172.16.0.0/12", &rule, NULL), 0);
	assert_int_equal(rule.family, AF_INET);
	assert_int_equal(rule.prefix, 12);
	assert_memory_equal(rule.address, "\xac\x10\0\0\0", 5);
	assert_int_equal(rule.port_first, 0);
	assert_int_equal(rule.port_last, 65535);
	assert_int_equal(policy_net_rule_parse("[2001:db8::]:443", &rule, NULL), 0);
	assert_int_equal(rule.family, AF_INET6);
	assert_int_equal(rule.prefix, 128);
	assert_int_equal(rule.address[0], 0x20);
	assert_int_equal(rule.address[1], 0x01);
}

static void listen_addresses_can_be_bound(void **state)
{
	(void)state;
	struct policy_listen listen;
	struct sockaddr_storage storage;
	char text[POLICY_NET_TEXT_MAX];

	assert_int_equal(policy_listen_parse("127.0.0.1:8080", &listen, NULL), 0);
	assert_int_equal(policy_listen_address(&listen, &storage), sizeof(struct sockaddr_in));
	const struct sockaddr_in *four = (const struct sockaddr_in *)&storage;
	assert_int_equal(four->sin_family, AF_INET);
	assert_int_equal(ntohs(four->sin_port), 8080);
	assert_int_equal(ntohl(four->sin_addr.s_addr), INADDR_LOOPBACK);

	assert_int_equal(policy_listen_parse("[::1]:0", &listen, NULL), 0);
	assert_int_equal(policy_listen_address(&listen, &storage), sizeof(struct sockaddr_in6));
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&storage;
	assert_int_equal(six->sin6_family, AF_INET6);
	assert_int_equal(six->sin6_port, 0);
	assert_memory_equal(&six->sin6_addr, &in6addr_loopback, 16);
	policy_listen_format(&listen, text);
	assert_string_equal(text, "[::1]:0");

	assert_int_equal(policy_listen_parse("unix:/run/a.sock", &listen, NULL), 0);
	assert_int_equal(policy_listen_address(&listen, &storage), sizeof(struct sockaddr_un));
	const struct sockaddr_un *un = (const struct sockaddr_un *)&storage;
	assert_int_equal(un->sun_family, AF_UNIX);
	assert_string_equal(un->sun_path, "/run/a.sock");
	/* The longest path that sockaddr_un holds with its NUL. */
	char longest[5 + 107 + 1] = "unix:/";
	memset(longest + 6, 'x', 106);
	assert_int_equal(policy_listen_parse(longest, &listen, NULL), 0);
	policy_listen_format(&listen, text);
	assert_string_equal(text, longest);
}

static void the_environment_is_pass_then_set_and_set_wins(void **state)
{
	(void)state;
	struct policy *policy = parse(
		"{\"version\": 1, \"permissions\": {\"env\": {"
		"\"pass\": [\"LANG\", \"MISSING\", \"MODE\", \"EMPTY\", \"LANGUAGE\"],"
		"\"set\": {\"PORT\": \"80\", \"MODE\": \"production\", \"EQUALS\": \"a=b\"}}}}");
	char *environment[] = {"LANGUAGE=de", "MODE=test", "SECRET=x", "LANG=C.UTF-8",
		"EMPTY=", "MISSINGNOT=1", "WITHOUT_EQUALS", NULL};
	struct policy_list list = {0};
	assert_int_equal(policy_environment(policy, environment, &list, NULL), 0);
	static const char *const expected[] = {"LANG=C.UTF-8", "EMPTY=", "LANGUAGE=de", "PORT=80",
		"MODE=production", "EQUALS=a=b"};
	assert_int_equal(list.count, ARRAY_LENGTH(expected));
	for (size_t i = 0; i < list.count; i++)
		assert_string_equal(list.items[i], expected[i]);
	policy_list_clear(&list);
	assert_int_equal(policy_environment(policy, NULL, &list, NULL), 0);
	assert_int_equal(list.count, 3);
	policy_list_clear(&list);
	policy_free(policy);
}

static void an_environment_that_is_too_large_is_refused(void **state)
{
	(void)state;
	struct policy *policy =
		parse("{\"version\": 1, \"permissions\": {\"env\": {\"pass\": [\"A\", \"B\"]}}}");
	char a[60000], b[60000], c[70000];
	memset(a, 'x', sizeof a);
	memset(b, 'x', sizeof b);
	memset(c, 'x', sizeof c);
	memcpy(a, "A=", 2);
	memcpy(b, "B=", 2);
	memcpy(c, "A=", 2);
	a[sizeof a - 1] = b[sizeof b - 1] = c[sizeof c - 1] = '\0';
	struct policy_list list = {0};
	struct error error = {0};
	assert_int_equal(policy_environment(policy, (char *[]){a, b, NULL}, &list, &error), -E2BIG);
	assert_non_null(strstr(error.message, "up to variable B has 120000 bytes"));
	assert_int_equal(policy_environment(policy, (char *[]){c, NULL}, &list, &error), -E2BIG);
	assert_non_null(strstr(error.message, "variable A has 69997 bytes"));
	assert_int_equal(list.count, 0);
	assert_int_equal(policy_environment(policy, (char *[]){a, NULL}, &list, &error), 0);
	policy_list_clear(&list);
	policy_free(policy);
}

static bool is_in(const char *path, void *data)
{
	for (const char *const *names = data; *names; names++)
		if (strcmp(*names, path) == 0)
			return true;
	return false;
}

static void the_entry_is_the_named_or_the_first_that_is_there(void **state)
{
	(void)state;
	struct error error = {0};
	struct manifest *manifest = manifest_default();
	assert_string_equal(
		manifest_entry(manifest, is_in,
			(const char *[]){"index.js", "main.mjs", "main.js", NULL}, &error),
		"main.js");
	assert_string_equal(manifest_entry(manifest, is_in,
				    (const char *[]){"index.mjs", "index.js", NULL}, &error),
		"index.js");
	assert_null(manifest_entry(manifest, is_in, (const char *[]){"main.ts", NULL}, &error));
	assert_int_equal(error.code, ENOENT);
	assert_non_null(strstr(error.message, "add main.js"));
	manifest_free(manifest);

	static const char text[] = "{\"entry\": \"./src/app.js\"}";
	assert_int_equal(manifest_parse(text, strlen(text), "tenant.json", &manifest, &error), 0);
	assert_string_equal(
		manifest_entry(manifest, is_in, (const char *[]){"src/app.js", NULL}, &error),
		"src/app.js");
	assert_null(manifest_entry(manifest, is_in, (const char *[]){"main.js", NULL}, &error));
	assert_non_null(strstr(error.message, "\"src/app.js\""));
	manifest_free(manifest);
}

static void freeing_nothing_is_allowed(void **state)
{
	(void)state;
	assert_null(policy_free(NULL));
	assert_null(manifest_free(NULL));
	struct policy_list list = {0};
	policy_list_clear(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_default_grants_one_free_loopback_port_and_no_more),
		cmocka_unit_test(an_empty_policy_grants_nothing),
		cmocka_unit_test(whether_the_cpu_limit_of_a_turn_was_named_is_known),
		cmocka_unit_test(a_refused_policy_leaves_the_result_alone),
		cmocka_unit_test(a_file_over_one_mebibyte_is_refused),
		cmocka_unit_test(variables_have_a_size_each_and_in_all),
		cmocka_unit_test(a_large_hostile_file_is_refused_quickly),
		cmocka_unit_test(messages_fit_whatever_the_file_is_called),
		cmocka_unit_test(a_policy_is_read_from_a_file),
		cmocka_unit_test(names_are_checked_precisely),
		cmocka_unit_test(a_name_of_continuation_bytes_is_refused),
		cmocka_unit_test(net_rules_are_printed_canonically),
		cmocka_unit_test(net_rules_hold_what_a_matcher_needs),
		cmocka_unit_test(listen_addresses_can_be_bound),
		cmocka_unit_test(the_environment_is_pass_then_set_and_set_wins),
		cmocka_unit_test(an_environment_that_is_too_large_is_refused),
		cmocka_unit_test(the_entry_is_the_named_or_the_first_that_is_there),
		cmocka_unit_test(freeing_nothing_is_allowed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
