/* Paths by their names alone. What decides about grants rests on these. */
#include "common/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The names of PATH, each in brackets, and what is behind each. */
static const char *names_of(const char *path)
{
	static char text[256];
	struct path_name name;
	size_t length = 0;
	text[0] = '\0';
	while (path_next(&path, &name))
		length += (size_t)snprintf(text + length, sizeof text - length, "[%.*s]%s",
			(int)name.length, name.text, *path ? "" : "$");
	assert_int_equal(name.length, 0);
	assert_int_equal(*path, '\0');
	return text;
}

static void names_come_one_by_one(void **state)
{
	(void)state;
	assert_string_equal(names_of(""), "");
	assert_string_equal(names_of("/"), "");
	assert_string_equal(names_of("///"), "");
	assert_string_equal(names_of("/a"), "[a]$");
	assert_string_equal(names_of("a"), "[a]$");
	assert_string_equal(names_of("/a/b"), "[a][b]$");
	assert_string_equal(names_of("//a///b/"), "[a][b]");
	assert_string_equal(names_of("./../..."), "[.][..][...]$");
}

static void dots_are_told_from_names(void **state)
{
	static const struct {
		const char *text;
		bool here, up;
	} cases[] = {{"", false, false}, {".", true, false}, {"..", false, true},
		{"...", false, false}, {".a", false, false}, {"a.", false, false},
		{"a", false, false}, {"..a", false, false}, {".x", false, false}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct path_name name = {cases[i].text, strlen(cases[i].text)};
		assert_int_equal(path_is_here(name), cases[i].here);
		assert_int_equal(path_is_up(name), cases[i].up);
	}
	/* Not beyond its length. */
	assert_true(path_is_here((struct path_name){"..", 1}));
	assert_true(path_is_up((struct path_name){"../..", 2}));
}

static void the_first_flaw_is_found(void **state)
{
	(void)state;
	assert_int_equal(path_find_flaw("a"), PATH_GOOD);
	assert_int_equal(path_find_flaw("a/b.c/..d/...e"), PATH_GOOD);
	assert_int_equal(path_find_flaw(""), PATH_SLASH_AT_END);
	assert_int_equal(path_find_flaw("a/"), PATH_SLASH_AT_END);
	assert_int_equal(path_find_flaw("/a"), PATH_EMPTY_NAME);
	assert_int_equal(path_find_flaw("a//b"), PATH_EMPTY_NAME);
	assert_int_equal(path_find_flaw("a//"), PATH_EMPTY_NAME);
	assert_int_equal(path_find_flaw("."), PATH_HERE);
	assert_int_equal(path_find_flaw("a/./b"), PATH_HERE);
	assert_int_equal(path_find_flaw("a/."), PATH_HERE);
	assert_int_equal(path_find_flaw(".."), PATH_UP);
	assert_int_equal(path_find_flaw("a/../b"), PATH_UP);
	assert_int_equal(path_find_flaw("a/.."), PATH_UP);
	assert_int_equal(path_find_flaw("a/./../b//"), PATH_HERE);
}

static void a_normal_path_has_one_spelling(void **state)
{
	static const char *const good[] = {"/", "/a", "/a/b", "/a/.b", "/a/..b", "/...", "/a b"};
	static const char *const bad[] = {"", "a", "a/b", "//", "//a", "/a/", "/a//b", "/.", "/..",
		"/a/.", "/a/..", "/a/./b", "/a/../b", ".", ".."};
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		if (!path_is_normal(good[i]))
			fail_msg("%s is normal", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (path_is_normal(bad[i]))
			fail_msg("\"%s\" is not normal", bad[i]);
}

static void a_folder_holds_itself_and_what_is_below(void **state)
{
	static const struct {
		const char *path, *folder;
		bool in, below;
	} cases[] = {
		{"/a", "/a", true, false},
		{"/a/b", "/a", true, true},
		{"/a/b/c", "/a", true, true},
		{"/a/b/c", "/a/b", true, true},
		{"/", "/a", false, false},
		{"/a", "/a/b", false, false},
		/* A prefix that is no name. */
		{"/ab", "/a", false, false},
		{"/a.b", "/a", false, false},
		{"/a-", "/a", false, false},
		{"/data2/x", "/data", false, false},
		/* Slashes at its end. */
		{"/a", "/a/", true, false},
		{"/a/b", "/a/", true, true},
		{"/a/b", "/a///", true, true},
		{"/ab", "/a/", false, false},
		/* The root. */
		{"/", "/", true, false},
		{"/a", "/", true, true},
		{"/a/b", "/", true, true},
		{"/a", "//", true, true},
		/* Nothing is in nothing, and nothing that is relative in the root. */
		{"", "", false, false},
		{"/a", "", false, false},
		{"", "/", false, false},
		{"a", "/", false, false},
		{"", "/a", false, false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (path_is_in(cases[i].path, cases[i].folder) != cases[i].in)
			fail_msg("\"%s\" in \"%s\"", cases[i].path, cases[i].folder);
		if (path_is_below(cases[i].path, cases[i].folder) != cases[i].below)
			fail_msg("\"%s\" below \"%s\"", cases[i].path, cases[i].folder);
	}
}

static void a_route_is_gone_by_names(void **state)
{
	static const struct {
		const char *from, *route, *to;
	} cases[] = {
		{"", "", ""},
		{"/a", "", "/a"},
		{"/a", "b", "/a/b"},
		{"/a", "/b/", "/a/b"},
		{"/a", "b//c/./d", "/a/b/c/d"},
		{"/a/b", "..", "/a"},
		{"/a", "..", ""},
		{"", "..", ""},
		{"/a", "../../../b", "/b"},
		{"/a", "b/../..", ""},
		{"/a", "...", "/a/..."},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char path[32];
		strcpy(path, cases[i].from);
		assert_true(path_go(path, sizeof path, cases[i].route));
		assert_string_equal(path, cases[i].to);
	}
}

static void a_route_that_is_too_long_is_refused(void **state)
{
	char path[8] = "/abc";
	(void)state;
	assert_true(path_go(path, sizeof path, "de"));
	assert_string_equal(path, "/abc/de"); /* 7 bytes and the end */
	assert_false(path_go(path, sizeof path, "../def"));
	assert_string_equal(path, "/abc");
	assert_false(path_go(path, sizeof path, "a-name-longer-than-all"));
	assert_string_equal(path, "/abc");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_come_one_by_one),
		cmocka_unit_test(dots_are_told_from_names),
		cmocka_unit_test(the_first_flaw_is_found),
		cmocka_unit_test(a_normal_path_has_one_spelling),
		cmocka_unit_test(a_folder_holds_itself_and_what_is_below),
		cmocka_unit_test(a_route_is_gone_by_names),
		cmocka_unit_test(a_route_that_is_too_long_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
