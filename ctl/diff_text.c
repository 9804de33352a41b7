#include "ctl/diff_text.h"

#include "common/cleanup.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define CONTEXT 3
#define DISTANCE_MAX 1000 /* memory goes with its square */

struct line {
	const char *text;
	size_t length;
};

struct text {
	struct line *lines;
	size_t count;
};

/* Which lines of both are part of neither or of one: what diff finds. */
struct script {
	bool *removed, *added;
};

bool diff_is_text(const char *data, size_t length)
{
	if (length > DIFF_TEXT_BYTES_MAX || memchr(data, '\0', length))
		return false;
	for (const char *line = data, *end = data + length; line < end;) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		if ((newline ? newline : end) - line > DIFF_TEXT_LINE_MAX)
			return false;
		line = newline ? newline + 1 : end;
	}
	return true;
}

static bool split(const char *data, size_t length, struct text *ret_text)
{
	size_t count = 0;
	struct line *lines = calloc(DIFF_TEXT_LINES_MAX, sizeof *lines);
	const char *end = data + length;
	while (lines && data < end) {
		const char *newline = memchr(data, '\n', (size_t)(end - data));
		const char *after = newline ? newline + 1 : end;
		if (count == DIFF_TEXT_LINES_MAX) {
			free(lines);
			return false;
		}
		lines[count++] = (struct line){data, (size_t)((newline ? newline : end) - data)};
		data = after;
	}
	*ret_text = (struct text){lines, count};
	return lines != NULL;
}

static bool same(const struct line *a, const struct line *b)
{
	return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

/* ---- Myers, "An O(ND) Difference Algorithm", 1986 ---- */

/* Follows the shortest path back from the end, by the furthest points of each distance. */
static void backtrack(int32_t *const *trace, int distance, int n, int m, size_t first,
	const struct script *script)
{
	int x = n, y = m;
	for (int d = distance; d > 0; d--) {
		const int32_t *v = trace[d - 1];
		const int k = x - y, offset = d; /* v holds -(d-1)-1 … at v[offset + k] */
		const bool down = k == -d || (k != d && v[offset + k - 1] < v[offset + k + 1]);
		const int before = down ? k + 1 : k - 1;
		const int from_x = v[offset + before], from_y = from_x - before;
		if (down)
			script->added[first + (size_t)from_y] = true;
		else
			script->removed[first + (size_t)from_x] = true;
		x = from_x;
		y = from_y;
	}
}

/* Compares the N and M lines behind the FIRST ones. False if they differ in too much. */
static bool compare(const struct text *a, const struct text *b, size_t first, int n, int m,
	const struct script *script)
{
	static int32_t v[2 * DISTANCE_MAX + 3];
	static int32_t *trace[DISTANCE_MAX + 1];
	const int most = n + m < DISTANCE_MAX ? n + m : DISTANCE_MAX;
	const int middle = DISTANCE_MAX + 1;
	bool found = false;
	int kept = 0;
	v[middle + 1] = 0;
	for (int d = 0; d <= most && !found; d++) {
		for (int k = -d; k <= d && !found; k += 2) {
			const bool down =
				k == -d || (k != d && v[middle + k - 1] < v[middle + k + 1]);
			int x = down ? v[middle + k + 1] : v[middle + k - 1] + 1, y = x - k;
			while (x < n && y < m &&
				same(&a->lines[first + (size_t)x], &b->lines[first + (size_t)y])) {
				x++;
				y++;
			}
			v[middle + k] = x;
			found = x >= n && y >= m;
		}
		if (found) {
			backtrack(trace, d, n, m, first, script);
			break;
		}
		/* What the next distance begins with: diagonals -d-1 to d+1. */
		trace[d] = malloc((2 * (size_t)d + 3) * sizeof *trace[d]);
		if (trace[d] == NULL)
			break;
		memcpy(trace[d], v + middle - d - 1, (2 * (size_t)d + 3) * sizeof *trace[d]);
		kept = d + 1;
	}
	for (int d = 0; d < kept; d++)
		free(trace[d]);
	return found;
}

static void find_script(const struct text *a, const struct text *b, const struct script *script)
{
	size_t first = 0, last = 0;
	while (first < a->count && first < b->count && same(&a->lines[first], &b->lines[first]))
		first++;
	while (last < a->count - first && last < b->count - first &&
		same(&a->lines[a->count - 1 - last], &b->lines[b->count - 1 - last]))
		last++;
	const size_t n = a->count - first - last, m = b->count - first - last;
	if (compare(a, b, first, (int)n, (int)m, script))
		return;
	memset(script->removed + first, true, n);
	memset(script->added + first, true, m);
}

/* ---- showing ---- */

/* One stretch of changes that lie at most two contexts apart. */
struct hunk {
	size_t a, b, a_end, b_end;
};

/* Goes over one place where the texts differ or agree. */
static bool step(const struct text *a, const struct text *b, const struct script *script, size_t *i,
	size_t *j)
{
	const size_t from_i = *i, from_j = *j;
	while (*i < a->count && script->removed[*i])
		(*i)++;
	while (*j < b->count && script->added[*j])
		(*j)++;
	return *i != from_i || *j != from_j;
}

/* The next hunk from lines I and J on. False when there is none. */
static bool next_hunk(const struct text *a, const struct text *b, const struct script *script,
	size_t i, size_t j, struct hunk *ret_hunk)
{
	struct hunk hunk = {0};
	size_t equal = 0;
	bool found = false;
	while (i < a->count || j < b->count) {
		const size_t before_i = i, before_j = j;
		if (step(a, b, script, &i, &j)) {
			const size_t context = equal < CONTEXT ? equal : CONTEXT;
			if (!found)
				hunk.a = before_i - context, hunk.b = before_j - context;
			found = true;
			hunk.a_end = i;
			hunk.b_end = j;
			equal = 0;
			continue;
		}
		if (found && equal == 2 * CONTEXT)
			break;
		i++;
		j++;
		equal++;
	}
	if (!found)
		return false;
	for (size_t n = 0; n < CONTEXT && hunk.a_end < a->count && hunk.b_end < b->count; n++) {
		hunk.a_end++;
		hunk.b_end++;
	}
	*ret_hunk = hunk;
	return true;
}

static void print_hunk(const struct text *a, const struct text *b, const struct script *script,
	const struct hunk *hunk, diff_print_fn *print, void *data)
{
	char head[128];
	const size_t a_count = hunk->a_end - hunk->a, b_count = hunk->b_end - hunk->b;
	int length = snprintf(head, sizeof head, "@@ -%zu,%zu +%zu,%zu @@",
		a_count ? hunk->a + 1 : hunk->a, a_count, b_count ? hunk->b + 1 : hunk->b, b_count);
	print(data, '@', head, (size_t)length);
	size_t i = hunk->a, j = hunk->b;
	while (i < hunk->a_end || j < hunk->b_end) {
		if (i < hunk->a_end && script->removed[i]) {
			print(data, '-', a->lines[i].text, a->lines[i].length);
			i++;
		} else if (j < hunk->b_end && script->added[j]) {
			print(data, '+', b->lines[j].text, b->lines[j].length);
			j++;
		} else {
			print(data, ' ', a->lines[i].text, a->lines[i].length);
			i++;
			j++;
		}
	}
}

void diff_text(const char *a, size_t a_length, const char *b, size_t b_length, diff_print_fn *print,
	void *data)
{
	struct text first = {0}, second = {0};
	struct hunk hunk = {0};
	if (!split(a, a_length, &first) || !split(b, b_length, &second)) {
		static const char message[] = "@@ too many lines to compare @@";
		print(data, '@', message, sizeof message - 1);
		free(first.lines);
		return;
	}
	const struct script script = {
		calloc(first.count + 1, 1),
		calloc(second.count + 1, 1),
	};
	if (script.removed && script.added) {
		find_script(&first, &second, &script);
		while (next_hunk(&first, &second, &script, hunk.a_end, hunk.b_end, &hunk))
			print_hunk(&first, &second, &script, &hunk, print, data);
	}
	free(script.removed);
	free(script.added);
	free(first.lines);
	free(second.lines);
}
