/* The lines in which texts differ, held against diff(1) where its output must be the same, and
 * against patching where there is more than one shortest way. */
#include "ctl/diff_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char out[1 << 22];
static size_t used;

static void take(void *data, char mark, const char *line, size_t length)
{
	(void)data;
	if (mark != '@')
		out[used++] = mark;
	memcpy(out + used, line, length);
	used += length;
	out[used++] = '\n';
	out[used] = '\0';
}

static const char *diff(const char *a, const char *b)
{
	used = 0;
	out[0] = '\0';
	diff_text(a, strlen(a), b, strlen(b), take, NULL);
	return out;
}

static void small_ones(void **unused)
{
	(void)unused;
	assert_string_equal(diff("a\nb\n", "a\nb\n"), "");
	assert_string_equal(diff("", ""), "");
	assert_string_equal(diff("", "a\nb\n"), "@@ -0,0 +1,2 @@\n+a\n+b\n");
	assert_string_equal(diff("a\nb\n", ""), "@@ -1,2 +0,0 @@\n-a\n-b\n");
	assert_string_equal(diff("a\nb\nc\n", "a\nx\nc\n"), "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n");
	assert_string_equal(diff("a\nb", "a\nc"), "@@ -1,2 +1,2 @@\n a\n-b\n+c\n");
}

static void context_is_three_lines(void **unused)
{
	(void)unused;
	assert_string_equal(diff("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nx\n6\n7\n8\n9\n"),
		"@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n");
	/* Two changes with six lines between them are one hunk, with seven two. */
	assert_string_equal(diff("a\n1\n2\n3\n4\n5\n6\nb\n", "x\n1\n2\n3\n4\n5\n6\ny\n"),
		"@@ -1,8 +1,8 @@\n-a\n+x\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+y\n");
	assert_string_equal(diff("a\n1\n2\n3\n4\n5\n6\n7\nb\n", "x\n1\n2\n3\n4\n5\n6\n7\ny\n"),
		"@@ -1,4 +1,4 @@\n-a\n+x\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+y\n");
}

/* Applies the last diff to A; returns what comes out. */
static char *patched(const char *a)
{
	static char result[1 << 16];
	size_t length = 0, line = 1;
	const char *next = a;
	for (const char *hunk = out; *hunk;) {
		size_t begin = 0, count = 0;
		if (*hunk == '@') {
			assert_int_equal(sscanf(hunk, "@@ -%zu,%zu", &begin, &count), 2);
			for (; line < begin + (count == 0); line++) {
				size_t size = strcspn(next, "\n") + 1;
				memcpy(result + length, next, size);
				length += size;
				next += size;
			}
		} else {
			size_t size = strcspn(hunk, "\n");
			if (*hunk != '+') {
				assert_memory_equal(next, hunk + 1, size);
				next += size;
				line++;
			}
			if (*hunk != '-') {
				memcpy(result + length, hunk + 1, size);
				length += size;
			}
		}
		hunk += strcspn(hunk, "\n") + 1;
	}
	strcpy(result + length, next);
	return result;
}

static void whatever_differs_can_be_patched(void **unused)
{
	char a[4096], b[4096];
	uint32_t state = 1;
	(void)unused;
	for (int turn = 0; turn < 3000; turn++) {
		char *const texts[] = {a, b};
		for (int side = 0; side < 2; side++) {
			size_t length = 0;
			state = state * 1664525 + 1013904223;
			const int lines = (int)(state >> 16) % 30;
			for (int i = 0; i < lines; i++) {
				state = state * 1664525 + 1013904223;
				texts[side][length++] = (char)('a' + (state >> 16) % 4);
				texts[side][length++] = '\n';
			}
			texts[side][length] = '\0';
		}
		diff(a, b);
		assert_string_equal(patched(a), b);
	}
}

static void too_much_is_shown_as_a_whole(void **unused)
{
	static char a[1 << 16], b[1 << 16];
	size_t length = 0;
	(void)unused;
	for (int i = 0; i < 3000; i++)
		length += (size_t)snprintf(a + length, sizeof a - length, "a%d\n", i);
	length = 0;
	for (int i = 0; i < 3000; i++)
		length += (size_t)snprintf(b + length, sizeof b - length, "b%d\n", i);
	diff(a, b);
	assert_memory_equal(out, "@@ -1,3000 +1,3000 @@\n-a0\n", 26);
	assert_string_equal(patched(a), b);
}

static void what_nobody_can_read_is_no_text(void **state)
{
	(void)state;
	static char text[DIFF_TEXT_LINE_MAX + 2];
	assert_true(diff_is_text("", 0));
	assert_true(diff_is_text("a\nb", 3));
	assert_false(diff_is_text("a\0b", 3));
	memset(text, 'x', sizeof text);
	assert_true(diff_is_text(text, DIFF_TEXT_LINE_MAX));
	assert_false(diff_is_text(text, DIFF_TEXT_LINE_MAX + 1));
	text[1] = '\n';
	assert_true(diff_is_text(text, DIFF_TEXT_LINE_MAX + 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_nobody_can_read_is_no_text),
		cmocka_unit_test(small_ones),
		cmocka_unit_test(context_is_three_lines),
		cmocka_unit_test(whatever_differs_can_be_patched),
		cmocka_unit_test(too_much_is_shown_as_a_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
