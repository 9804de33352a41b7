/* Audit records into the least policy. */
#include "policy/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The host as these tests see it. */
static enum suggest_place look(const char *path)
{
	static const char *const folders[] = {"/srv", "/srv/data", "/srv/data/deep", "/etc", "/var",
		"/var/out", "/usr", "/usr/bin"};
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
		if (strcmp(folders[i], path) == 0)
			return SUGGEST_FOLDER;
	return strstr(path, "missing") ? SUGGEST_NOTHING : SUGGEST_FILE;
}

struct record {
	enum audit_permission permission;
	const char *resource;
	bool allowed;
};

static char notes[8192];

#define BASE(permissions, audit)                                                                   \
	"{\"version\": 1, \"permissions\": {\"net\": {\"listen\": [\"127.0.0.1:0\"]}" permissions  \
	"}, \"audit\": \"" audit "\"}"
static const char *base_text = BASE("", "denied");
static const char *releases = "/app";

/* The suggested policy for RECORDS (the last has no resource). */
static struct policy *suggest(const struct record *records)
{
	struct suggestion *suggestion = suggest_new(look, releases);
	struct policy *base = NULL, *policy = NULL;
	struct error error = {0};
	assert_int_equal(policy_parse(base_text, strlen(base_text), "base", &base, &error), 0);
	for (; records->resource; records++)
		suggest_add(suggestion, records->permission, records->resource, records->allowed);
	assert_int_equal(suggest_policy(suggestion, base, &policy, &error), 0);
	notes[0] = '\0';
	for (size_t i = 0; i < suggest_notes(suggestion)->count; i++) {
		strcat(notes, suggest_notes(suggestion)->items[i]);
		strcat(notes, "\n");
	}
	policy_free(base);
	suggest_free(suggestion);
	return policy;
}

static void assert_list(const struct policy_list *list, const char *const *expected)
{
	size_t count = 0;
	while (expected[count])
		count++;
	assert_int_equal(list->count, count);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(list->items[i], expected[i]);
}
#define LIST(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void what_was_used_is_granted_and_nothing_else(void **state)
{
	(void)state;
	struct policy *policy = suggest((struct record[]){{AUDIT_FS_READ, "/srv/data/a", true},
		{AUDIT_FS_READ, "/srv/data/a", false}, {AUDIT_FS_WRITE, "/var/out/log", true},
		{AUDIT_CHILD, "/usr/bin/git", false}, {AUDIT_FS_READ, "/app/main.js", true},
		{AUDIT_NET_CONNECT, "API.example.com:443", false},
		{AUDIT_NET_CONNECT, "10.1.2.3:5432", true}, {0}});
	assert_list(&policy->fs.read, LIST("/srv/data/a"));
	assert_list(&policy->fs.write, LIST("/var/out/log"));
	assert_list(&policy->child_exec, LIST("/usr/bin/git"));
	assert_int_equal(policy->net.connect.count, 2);
	assert_string_equal(policy->net.connect.items[1].name, "api.example.com");
	assert_string_equal(notes, "");
	policy_free(policy);
}

static void who_may_write_need_not_be_granted_reading(void **state)
{
	(void)state;
	struct policy *policy = suggest((struct record[]){{AUDIT_FS_READ, "/srv/data/deep/x", true},
		{AUDIT_FS_WRITE, "/srv/data/deep", true}, {0}});
	assert_list(&policy->fs.read, LIST());
	assert_list(&policy->fs.write, LIST("/srv/data/deep"));
	policy_free(policy);
}

static void siblings_become_their_folder_and_it_is_said(void **state)
{
	(void)state;
	struct policy *policy = suggest((struct record[]){{AUDIT_FS_READ, "/srv/data/a", true},
		{AUDIT_FS_READ, "/srv/data/b", true}, {AUDIT_FS_READ, "/srv/data/c", true},
		{AUDIT_FS_READ, "/srv/data/deep/x", true}, {0}});
	assert_list(&policy->fs.read, LIST("/srv/data"));
	assert_non_null(strstr(notes, "/srv/data is granted as a whole, for reading: 3 files"));
	policy_free(policy);
}

static void two_files_stay_two_files(void **state)
{
	(void)state;
	struct policy *policy = suggest((struct record[]){
		{AUDIT_FS_READ, "/srv/data/a", true}, {AUDIT_FS_READ, "/srv/data/b", true}, {0}});
	assert_list(&policy->fs.read, LIST("/srv/data/a", "/srv/data/b"));
	policy_free(policy);
}

static void folders_of_the_host_are_never_granted(void **state)
{
	(void)state;
	struct policy *policy = suggest((struct record[]){{AUDIT_FS_READ, "/etc/a", false},
		{AUDIT_FS_READ, "/etc/b", false}, {AUDIT_FS_READ, "/etc/c", false},
		{AUDIT_FS_READ, "/etc/d", false}, {AUDIT_FS_WRITE, "/etc/missing", false}, {0}});
	assert_list(&policy->fs.read, LIST("/etc/a", "/etc/b", "/etc/c", "/etc/d"));
	assert_list(&policy->fs.write, LIST());
	assert_non_null(strstr(notes, "left out: \"/etc/missing\""));
	policy_free(policy);
}

static void a_file_to_be_made_needs_its_folder(void **state)
{
	(void)state;
	struct policy *policy =
		suggest((struct record[]){{AUDIT_FS_WRITE, "/var/out/missing", false},
			{AUDIT_FS_READ, "/srv/data/missing", false}, {0}});
	assert_list(&policy->fs.write, LIST("/var/out"));
	assert_list(&policy->fs.read, LIST());
	assert_non_null(strstr(notes, "/var/out is granted as a whole, for writing"));
	assert_non_null(strstr(notes, "left out: \"/srv/data/missing\", which is not there"));
	policy_free(policy);
}

static void four_hosts_become_a_suffix_and_three_do_not(void **state)
{
	(void)state;
	char text[POLICY_NET_TEXT_MAX];
	struct policy *policy = suggest((struct record[]){
		{AUDIT_NET_CONNECT, "a.s.example.com:443", 1},
		{AUDIT_NET_CONNECT, "b.s.example.com:443", 1},
		{AUDIT_NET_CONNECT, "c.s.example.com:443", 1},
		{AUDIT_NET_CONNECT, "d.s.example.com:443", 1},
		{AUDIT_NET_CONNECT, "a.other.org:80", 1}, {AUDIT_NET_CONNECT, "b.other.org:80", 1},
		{AUDIT_NET_CONNECT, "one.com:1", 1}, {AUDIT_NET_CONNECT, "two.com:1", 1},
		{AUDIT_NET_CONNECT, "three.com:1", 1}, {AUDIT_NET_CONNECT, "four.com:1", 1},
		{AUDIT_NET_CONNECT, "not a host", 0}, {0}});
	assert_int_equal(policy->net.connect.count, 7); /* never *.com */
	policy_net_rule_format(&policy->net.connect.items[0], text);
	assert_string_equal(text, "*.s.example.com:443");
	assert_non_null(strstr(notes, "*.s.example.com:443 is granted: 4 hosts"));
	assert_non_null(strstr(notes, "left out: a connection to \"not a host\""));
	policy_free(policy);
}

static void what_no_policy_grants_is_told(void **state)
{
	(void)state;
	struct policy *policy = suggest((struct record[]){{AUDIT_SYSCALL, "mount", false},
		{AUDIT_RESOURCE, "limits.memory", false}, {AUDIT_FS_WRITE, "/tmp/missing", false},
		{0}});
	assert_non_null(strstr(notes, "\"mount\" was denied (syscall)"));
	assert_non_null(strstr(notes, "\"limits.memory\" was reached"));
	assert_non_null(strstr(notes, "limits.tmp"));
	assert_list(&policy->fs.write, LIST());
	assert_int_equal(policy->net.listen.count, 1); /* of the base */
	policy_free(policy);
}

static void code_that_is_made_is_granted(void **state)
{
	(void)state;
	struct policy *policy = suggest(
		(struct record[]){{AUDIT_EVAL, "main.js:3:1", false}, {AUDIT_WASM, "", true}, {0}});
	assert_true(policy->allow_eval && policy->allow_wasm);
	assert_non_null(strstr(notes, "eval is granted: code is made from strings at "
				      "\"main.js:3:1\""));
	policy_free(policy);
	base_text = BASE(", \"wasm\": false", "denied");
	policy = suggest((struct record[]){{AUDIT_WASM, "main.js:3:1", false}, {0}});
	assert_true(!policy->allow_eval && policy->allow_wasm);
	policy_free(policy);
	base_text = BASE(", \"jit\": false", "denied");
	policy = suggest((struct record[]){{AUDIT_WASM, "main.js:3:1", false}, {0}});
	assert_false(policy->allow_wasm);
	assert_non_null(strstr(notes, "left out: WebAssembly, which needs \"jit\": true"));
	policy_free(policy);
	base_text = BASE("", "denied");
}

/* Where only denials are recorded, nobody knows whether it was used. */
static void what_was_never_made_is_taken_back(void **state)
{
	(void)state;
	base_text = BASE(", \"eval\": true", "denied");
	struct policy *policy = suggest((struct record[]){{0}});
	assert_true(policy->allow_eval && policy->allow_wasm);
	policy_free(policy);
	base_text = BASE(", \"eval\": true", "all");
	policy = suggest((struct record[]){{0}});
	assert_false(policy->allow_eval || policy->allow_wasm);
	policy_free(policy);
	base_text = BASE("", "denied");
}

static void a_release_is_no_grant_wherever_it_lies(void **state)
{
	(void)state;
	releases = "/srv/data/releases";
	struct policy *policy =
		suggest((struct record[]){{AUDIT_FS_READ, "/srv/data/releases/abc/main.js", true},
			{AUDIT_FS_WRITE, "/srv/data/releases/abc/out", false},
			{AUDIT_FS_READ, "/app/x", false}, {0}});
	assert_list(&policy->fs.read, LIST("/app/x"));
	assert_list(&policy->fs.write, LIST());
	policy_free(policy);
	releases = "";
	policy = suggest((struct record[]){{AUDIT_FS_READ, "/srv/data/x", true}, {0}});
	assert_list(&policy->fs.read, LIST("/srv/data/x"));
	policy_free(policy);
	releases = "/app";
}

static void an_address_that_was_refused_is_granted_beside_its_name(void **state)
{
	(void)state;
	char text[2][POLICY_NET_TEXT_MAX];
	struct policy *policy = suggest((struct record[]){
		{AUDIT_NET_CONNECT, "api.example.com:443 (93.184.216.34)", true}, {0}});
	assert_int_equal(policy->net.connect.count, 1);
	policy_net_rule_format(&policy->net.connect.items[0], text[0]);
	assert_string_equal(text[0], "api.example.com:443");
	assert_string_equal(notes, "");
	policy_free(policy);
	policy = suggest(
		(struct record[]){{AUDIT_NET_CONNECT, "db.internal:5432 (fd00::5)", false}, {0}});
	assert_int_equal(policy->net.connect.count, 2);
	policy_net_rule_format(&policy->net.connect.items[0], text[0]);
	policy_net_rule_format(&policy->net.connect.items[1], text[1]);
	assert_string_equal(text[0], "[fd00::5]:5432");
	assert_string_equal(text[1], "db.internal:5432");
	assert_non_null(strstr(notes, "db.internal:5432 is granted by its address"));
	policy_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_used_is_granted_and_nothing_else),
		cmocka_unit_test(who_may_write_need_not_be_granted_reading),
		cmocka_unit_test(siblings_become_their_folder_and_it_is_said),
		cmocka_unit_test(two_files_stay_two_files),
		cmocka_unit_test(folders_of_the_host_are_never_granted),
		cmocka_unit_test(a_file_to_be_made_needs_its_folder),
		cmocka_unit_test(four_hosts_become_a_suffix_and_three_do_not),
		cmocka_unit_test(what_no_policy_grants_is_told),
		cmocka_unit_test(code_that_is_made_is_granted),
		cmocka_unit_test(what_was_never_made_is_taken_back),
		cmocka_unit_test(a_release_is_no_grant_wherever_it_lies),
		cmocka_unit_test(an_address_that_was_refused_is_granted_beside_its_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
