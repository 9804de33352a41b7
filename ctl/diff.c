/* Two releases of a tenant, compared: the daemon hands both folders over, and this process,
 * which anybody may kill, reads what tenants wrote. */
#include "common/cleanup.h"
#include "common/control.h"
#include "common/escape.h"
#include "common/file.h"
#include "ctl/client.h"
#include "ctl/diff_text.h"
#include "ctl/output.h"
#include "deploy/limits.h"
#include "deploy/tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define EXIT_SAME 0
#define EXIT_DIFFERENT 1
#define EXIT_TROUBLE 2 /* as diff(1) */

struct side {
	int fd;
	struct tree tree;
};

struct comparison {
	struct side a, b;
	json_t *files;       /* [{path, change, size_a, size_b}] */
	json_t *permissions; /* [{change, permission}] */
};

/* ---- files ---- */

static void note_file(
	struct comparison *comparison, const struct tree_entry *a, const struct tree_entry *b)
{
	const struct tree_entry *one = a ? a : b;
	char path[2 * DEPLOY_PATH_MAX];
	const bool changed =
		a && b && (a->folder != b->folder || memcmp(a->hash, b->hash, sizeof a->hash) != 0);
	if (a && b && !changed)
		return;
	if (one->folder && (!a || !b || b->folder))
		return; /* its files tell of it; an empty one is no difference to see */
	escape_line(path, sizeof path, one->path, strlen(one->path), 0);
	json_array_append_new(comparison->files,
		json_pack("{s:s, s:s, s:o, s:o}", "path", path, "change",
			!a   ? "added"
			: !b ? "removed"
			     : "changed",
			"size_a", a ? json_integer((json_int_t)a->size) : json_null(), "size_b",
			b ? json_integer((json_int_t)b->size) : json_null()));
}

/* Calls VISIT with each path that is in either. */
static void each_path(struct comparison *comparison,
	void (*visit)(struct comparison *, const struct tree_entry *, const struct tree_entry *))
{
	const struct tree *a = &comparison->a.tree, *b = &comparison->b.tree;
	size_t i = 0, k = 0;
	while (i < a->count || k < b->count) {
		const int order = i == a->count   ? 1
				  : k == b->count ? -1
						  : strcmp(a->entries[i].path, b->entries[k].path);
		visit(comparison, order <= 0 ? &a->entries[i] : NULL,
			order >= 0 ? &b->entries[k] : NULL);
		i += order <= 0;
		k += order >= 0;
	}
}

/* ---- what tenant.json asks for ---- */

/* Every leaf of VALUE as "a.b value", into SET. */
static void flatten(json_t *set, const char *path, const json_t *value, int depth)
{
	const char *key;
	json_t *child;
	size_t i;
	char longer[512];
	if (depth > 8)
		return;
	if (json_is_object(value)) {
		json_object_foreach((json_t *)value, key, child)
		{
			snprintf(longer, sizeof longer, "%s%s%s", path, path[0] ? "." : "", key);
			flatten(set, longer, child, depth + 1);
		}
	} else if (json_is_array(value)) {
		json_array_foreach(value, i, child) flatten(set, path, child, depth + 1);
	} else {
		cleanup_free char *text = json_is_string(value)
						  ? strdup(json_string_value(value))
						  : json_dumps(value, JSON_ENCODE_ANY);
		snprintf(longer, sizeof longer, "%s %s", path, text ? text : "");
		json_object_set_new(set, longer, json_true());
	}
}

static json_t *permissions_of(const struct side *side)
{
	cleanup_free char *text = NULL;
	size_t length;
	json_t *set = json_object();
	if (store_release_manifest(side->fd, &text, &length, NULL) < 0)
		return set;
	json_t *manifest = json_loadb(text, length, 0, NULL);
	flatten(set, "", json_object_get(manifest, "permissions"), 0);
	json_decref(manifest);
	return set;
}

static void note_missing(json_t *list, json_t *from, json_t *other, const char *change)
{
	const char *key;
	json_t *value;
	json_object_foreach(from, key, value)
	{
		if (!json_object_get(other, key))
			json_array_append_new(
				list, json_pack("{s:s, s:s}", "change", change, "permission", key));
	}
}

static void compare_permissions(struct comparison *comparison)
{
	json_t *a = permissions_of(&comparison->a), *b = permissions_of(&comparison->b);
	note_missing(comparison->permissions, a, b, "removed");
	note_missing(comparison->permissions, b, a, "added");
	json_decref(a);
	json_decref(b);
}

/* ---- for people ---- */

static void print_coloured(enum colour colour, const char *text)
{
	const bool plain = output == &output_plain;
	printf("%s%s%s\n", plain ? "" : output_colour(colour), text,
		plain ? "" : output_colour(COLOUR_NONE));
}

static void print_line(void *data, char mark, const char *line, size_t length)
{
	const size_t size = length * 10 + 2;
	cleanup_free char *text = malloc(size);
	(void)data;
	if (text == NULL)
		return;
	text[0] = mark;
	escape_line(text + 1, size - 1, line, length, 1);
	print_coloured(mark == '-'   ? COLOUR_RED
		       : mark == '+' ? COLOUR_GREEN
		       : mark == '@' ? COLOUR_DIM
				     : COLOUR_NONE,
		mark == '@' ? text + 1 : text);
}

/* Reads a file of a release; an empty one where there is none. NULL: it is no text. */
static char *read_text(const struct side *side, const struct tree_entry *entry, size_t *ret_length)
{
	char *text = NULL;
	*ret_length = 0;
	if (entry == NULL || entry->folder)
		return strdup("");
	if (entry->size > DIFF_TEXT_BYTES_MAX ||
		file_read(side->fd, entry->path, DIFF_TEXT_BYTES_MAX, &text, ret_length, NULL) < 0)
		return NULL;
	if (diff_is_text(text, *ret_length))
		return text;
	free(text);
	return NULL;
}

static void print_file(
	struct comparison *comparison, const struct tree_entry *a, const struct tree_entry *b)
{
	const struct tree_entry *one = a ? a : b;
	char path[2 * DEPLOY_PATH_MAX], head[2 * DEPLOY_PATH_MAX + 16], sizes[2][OUTPUT_TEXT_MAX];
	size_t a_length, b_length;
	if (one->folder || (b && b->folder) ||
		(a && b && memcmp(a->hash, b->hash, sizeof a->hash) == 0))
		return;
	escape_line(path, sizeof path, one->path, strlen(one->path), 0);
	cleanup_free char *old = read_text(&comparison->a, a, &a_length);
	cleanup_free char *new = read_text(&comparison->b, b, &b_length);
	snprintf(head, sizeof head, "--- %s%s", a ? "a/" : "/dev/null", a ? path : "");
	print_coloured(COLOUR_BOLD, head);
	snprintf(head, sizeof head, "+++ %s%s", b ? "b/" : "/dev/null", b ? path : "");
	print_coloured(COLOUR_BOLD, head);
	if (old && new)
		diff_text(old, a_length, new, b_length, print_line, NULL);
	else
		printf("%s, and %s: not shown\n",
			output_bytes(sizes[0], a ? (json_int_t)a->size : 0),
			output_bytes(sizes[1], b ? (json_int_t)b->size : 0));
}

static void print_summary(const struct comparison *comparison)
{
	const json_t *one;
	size_t i;
	char line[4096], a[OUTPUT_TEXT_MAX], b[OUTPUT_TEXT_MAX];
	json_array_foreach(comparison->files, i, one)
	{
		const char *change = output_string(one, "change");
		const bool added = strcmp(change, "added") == 0;
		const bool removed = strcmp(change, "removed") == 0;
		output_bytes(a, output_integer(one, "size_a"));
		output_bytes(b, output_integer(one, "size_b"));
		snprintf(line, sizeof line, "%-8s %s  (%s%s%s)", change, output_string(one, "path"),
			added ? "" : a, added || removed ? "" : " -> ", removed ? "" : b);
		print_coloured(added ? COLOUR_GREEN : removed ? COLOUR_RED : COLOUR_YELLOW, line);
	}
	json_array_foreach(comparison->permissions, i, one)
	{
		char safe[1024];
		snprintf(line, sizeof line, "%-8s permission asked for: %s",
			output_string(one, "change"),
			output_safe(safe, sizeof safe, output_string(one, "permission")));
		print_coloured(COLOUR_YELLOW, line);
	}
	if (json_array_size(comparison->files) > 0)
		printf("\n");
}

/* ---- the command ---- */

static int compare(
	const struct invocation *invocation, const json_t *done, struct comparison *comparison)
{
	struct error error = {0};
	int result = tree_read(comparison->a.fd, &comparison->a.tree, &error);
	if (result == 0)
		result = tree_read(comparison->b.fd, &comparison->b.tree, &error);
	if (result < 0)
		return output_fail(EXIT_TROUBLE, "release", "%s", error.message);
	each_path(comparison, note_file);
	compare_permissions(comparison);
	if (invocation->options[OPTION_JSON]) {
		json_t *document = json_pack("{s:O, s:O, s:O, s:O}", "a",
			json_object_get(done, "a"), "b", json_object_get(done, "b"), "files",
			comparison->files, "permissions", comparison->permissions);
		output->result(document, "");
		json_decref(document);
	} else {
		print_summary(comparison);
		each_path(comparison, print_file);
	}
	return json_array_size(comparison->files) > 0 ? EXIT_DIFFERENT : EXIT_SAME;
}

static int run(const struct invocation *invocation)
{
	const char *name = invocation->arguments[0];
	struct comparison comparison = {.a.fd = -1, .b.fd = -1};
	json_t *done = NULL;
	int fds[2], code = client_check_name(name);
	size_t fd_count = 2;
	if (code)
		return code;
	json_t *request = client_request("diff", name);
	if (invocation->argument_count > 1)
		json_object_set_new(request, "a", json_string(invocation->arguments[1]));
	if (invocation->argument_count > 2)
		json_object_set_new(request, "b", json_string(invocation->arguments[2]));
	code = client_call_fds(invocation, request, &done, fds, &fd_count);
	if (code) {
		json_decref(done);
		return code == CONTROL_EXIT_FAILURE ? EXIT_TROUBLE : code;
	}
	comparison.a.fd = fd_count > 0 ? fds[0] : -1;
	comparison.b.fd = fd_count > 1 ? fds[1] : -1;
	comparison.files = json_array();
	comparison.permissions = json_array();
	code = compare(invocation, done, &comparison);
	tree_clear(&comparison.a.tree);
	tree_clear(&comparison.b.tree);
	json_decref(comparison.files);
	json_decref(comparison.permissions);
	json_decref(done);
	close_fd(&comparison.a.fd);
	close_fd(&comparison.b.fd);
	return code;
}

const struct command command_diff = {
	.name = "diff",
	.group = GROUP_DEPLOY,
	.arguments = "NAME [A [B]]",
	.summary = "show in what two releases of a tenant differ",
	.details =
		"Which files were added, removed or changed, with their sizes; which permissions "
		"tenant.json asks for; and the lines of text files of up to 512 KiB. A and B are "
		"ids, or the beginning of them, or the words previous and active, which they are "
		"if "
		"left out. Exits with 0 if they are the same, 1 if they differ, 2 if they could "
		"not be compared.\n",
	.arguments_least = 1,
	.arguments_most = 3,
	.kinds = {ARGUMENT_TENANT, ARGUMENT_RELEASE, ARGUMENT_RELEASE},
	.run = run,
};
