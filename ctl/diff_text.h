/* The lines in which two texts differ, as diff -u shows them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define DIFF_TEXT_BYTES_MAX (512 * 1024)
#define DIFF_TEXT_LINES_MAX 20000
#define DIFF_TEXT_LINE_MAX 1000 /* bytes */

/* Is it text, fit to be shown: no NUL, within the bounds above? Source maps and what is
 * minified have lines that nobody reads. */
bool diff_is_text(const char *data, size_t length);

/* Calls PRINT with each line to show: MARK is '@' for a heading, '-', '+' or ' '. What differs
 * in more than a thousand lines is shown as one text in place of the other. */
typedef void diff_print_fn(void *data, char mark, const char *line, size_t length);
void diff_text(const char *a, size_t a_length, const char *b, size_t b_length, diff_print_fn *print,
	void *data);
