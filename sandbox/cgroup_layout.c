/* Where the control groups are, and in which of them we are: read from
 * /proc/self/mountinfo and /proc/self/cgroup (proc(5), cgroups(7)). */
#include "sandbox/cgroup_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const controller_names[] = {
	[CGROUP_MEMORY] = "memory",
	[CGROUP_CPU] = "cpu",
	[CGROUP_PIDS] = "pids",
	[CGROUP_CPUACCT] = "cpuacct",
	[CGROUP_FREEZER] = "freezer",
};

const char *cgroup_controller_name(enum cgroup_controller controller)
{
	return controller_names[controller];
}

int cgroup_controller_find(const char *name, size_t length)
{
	for (int i = 0; i < CGROUP_CONTROLLER_COUNT; i++)
		if (strlen(controller_names[i]) == length &&
			memcmp(controller_names[i], name, length) == 0)
			return i;
	return -1;
}

/* The ones of ours in a list like "rw,cpu,cpuacct". */
static unsigned controllers_of(const char *list, size_t length)
{
	unsigned bits = 0;
	while (length > 0) {
		const char *comma = memchr(list, ',', length);
		size_t word = comma ? (size_t)(comma - list) : length;
		int controller = cgroup_controller_find(list, word);
		if (controller >= 0)
			bits |= CGROUP_BIT(controller);
		list += word + (comma != NULL);
		length -= word + (comma != NULL);
	}
	return bits;
}

struct field {
	const char *text;
	size_t length;
};

/* Splits a line at spaces. Returns the number of fields, at most MOST. */
static size_t split(const char *line, size_t length, struct field *fields, size_t most)
{
	size_t count = 0;
	const char *end = line + length;
	while (line < end && count < most) {
		const char *space = memchr(line, ' ', (size_t)(end - line));
		const char *stop = space ? space : end;
		fields[count++] = (struct field){line, (size_t)(stop - line)};
		line = stop + (space != NULL);
	}
	return count;
}

static bool is(const struct field *field, const char *text)
{
	return field->length == strlen(text) && memcmp(field->text, text, field->length) == 0;
}

/* mountinfo writes space, tab, newline and backslash as \ooo. False: does not fit. */
static bool unescape(const struct field *field, char *target, size_t size)
{
	size_t used = 0;
	for (size_t i = 0; i < field->length; i++) {
		char byte = field->text[i];
		if (byte == '\\' && i + 3 < field->length) {
			byte = (char)((field->text[i + 1] - '0') << 6 |
				      (field->text[i + 2] - '0') << 3 | (field->text[i + 3] - '0'));
			i += 3;
		}
		if (used + 1 >= size)
			return false;
		target[used++] = byte;
	}
	target[used] = '\0';
	return true;
}

/* The path in /proc/self/cgroup of the hierarchy that has one of CONTROLLERS, or of v2. */
static bool find_own_path(
	const char *self_cgroup, bool v2, unsigned controllers, char *path, size_t size)
{
	while (*self_cgroup) {
		size_t length = strcspn(self_cgroup, "\n");
		const char *end = self_cgroup + length;
		const char *list = memchr(self_cgroup, ':', length);
		const char *own = list ? memchr(list + 1, ':', (size_t)(end - list - 1)) : NULL;
		if (own) {
			size_t list_length = (size_t)(own - list - 1);
			bool match =
				v2 ? self_cgroup[0] == '0' && list_length == 0
				   : (controllers_of(list + 1, list_length) & controllers) != 0;
			if (match) {
				size_t own_length = (size_t)(end - own - 1);
				if (own_length >= size)
					return false;
				memcpy(path, own + 1, own_length);
				path[own_length] = '\0';
				return true;
			}
		}
		self_cgroup = end + (*end == '\n');
	}
	return false;
}

/* PATH as seen below a mount whose root is ROOT; NULL: not visible there. */
static const char *below(const char *path, const char *root)
{
	/* Outside of the cgroup namespace's root, both are shown with "..". */
	if (strncmp(path, "/..", 3) == 0 || strncmp(root, "/..", 3) == 0)
		return NULL;
	size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);
	if (strncmp(path, root, length) != 0 || (path[length] != '/' && path[length] != '\0'))
		return NULL;
	path += length;
	return strcmp(path, "/") == 0 ? "" : path;
}

static void add_mount(
	const char *line, size_t length, const char *self_cgroup, struct cgroup_layout *layout)
{
	struct field fields[32];
	size_t count = split(line, length, fields, 32), dash = 6;
	while (dash < count && !is(&fields[dash], "-"))
		dash++;
	if (dash + 3 >= count || layout->count == CGROUP_HIERARCHIES_MAX)
		return;
	bool v2 = is(&fields[dash + 1], "cgroup2");
	if (!v2 && !is(&fields[dash + 1], "cgroup"))
		return;

	struct cgroup_place *place = &layout->places[layout->count];
	place->v2 = v2;
	place->controllers =
		v2 ? 0 : controllers_of(fields[dash + 3].text, fields[dash + 3].length);
	/* Each hierarchy once, whatever number of mounts shows it; named ones never. */
	unsigned known = 0;
	for (size_t i = 0; i < layout->count; i++) {
		if (v2 && layout->places[i].v2)
			return;
		known |= layout->places[i].controllers;
	}
	if (!v2 && (place->controllers == 0 || (place->controllers & known)))
		return;

	char root[PATH_MAX], path[PATH_MAX];
	if (!unescape(&fields[3], root, sizeof root) ||
		!unescape(&fields[4], place->mount, sizeof place->mount) ||
		!find_own_path(self_cgroup, v2, place->controllers, path, sizeof path))
		return;
	const char *own = below(path, root);
	if (!own)
		return;
	snprintf(place->own, sizeof place->own, "%s", own);
	layout->count++;
}

void cgroup_layout_parse(
	const char *mountinfo, const char *self_cgroup, struct cgroup_layout *ret_layout)
{
	ret_layout->count = 0;
	while (*mountinfo) {
		size_t length = strcspn(mountinfo, "\n");
		add_mount(mountinfo, length, self_cgroup, ret_layout);
		mountinfo += length + (mountinfo[length] == '\n');
	}
}
