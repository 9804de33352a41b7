/* Which module of a folder is the one to start with. */
#include "common/cleanup.h"
#include "common/escape.h"
#include "common/file.h"
#include "deploy/archive_private.h"
#include "policy/manifest.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

static bool ends_with(const char *string, const char *end)
{
	size_t length = strlen(string), end_length = strlen(end);
	return length > end_length && strcmp(string + length - end_length, end) == 0;
}

int archive_check_entry_type(const char *path, const char *shown, struct error *error)
{
	static const struct {
		const char *end, *language;
	} bundled[] = {
		{".ts", "TypeScript"},
		{".mts", "TypeScript"},
		{".cts", "TypeScript"},
		{".tsx", "TypeScript"},
		{".jsx", "JSX"},
	};
	if (ends_with(path, ".js") || ends_with(path, ".mjs") || ends_with(path, ".cjs"))
		return 0;
	for (size_t i = 0; i < ARRAY_LENGTH(bundled); i++)
		if (ends_with(path, bundled[i].end))
			return error_set(error, EINVAL,
				"%s is %s, which tenantctl turns into JavaScript: let it make the "
				"archive",
				shown, bundled[i].language);
	if (ends_with(path, ".json"))
		return error_set(error, EINVAL, "%s is data, not a program", shown);
	return error_set(error, EINVAL,
		"%s is not a JavaScript module: its name must end with "
		".js, .mjs or .cjs",
		shown);
}

/* The file of this path in the list, NULL if there is none or it is a folder. */
static const struct archive_item *find_file(const struct archive_list *list, const char *path)
{
	const struct archive_item *item = archive_list_find(list, path);
	return item && !item->folder ? item : NULL;
}

static bool exists(const char *path, void *data)
{
	return find_file(data, path) != NULL;
}

static int read_file(const struct archive_list *list, const char *file, char **ret_text,
	size_t *ret_length, struct error *error)
{
	int result = file_read(list->root, file, DEPLOY_MANIFEST_MAX, ret_text, ret_length, error);
	return result < 0 ? error_prefix(error, "%s", list->shown) : 0;
}

/* Checks ENTRY, which WHERE names, and takes it over. */
static int take_entry(
	struct archive_list *list, const char *entry, const char *where, struct error *error)
{
	char shown[512];
	escape_line(shown, sizeof shown, entry, strlen(entry), 0);
	if (!find_file(list, entry))
		return error_set(error, EINVAL, "%s/%s names %s, and there is no such file",
			list->shown, where, shown);
	int result = archive_check_entry_type(entry, shown, error);
	if (result < 0)
		return error_prefix(error, "%s/%s", list->shown, where);
	snprintf(list->entry, sizeof list->entry, "%s", entry);
	return 0;
}

int archive_set_entry(struct archive_list *list, const char *entry, struct error *error)
{
	json_t *manifest = json_pack("{s:s}", "entry", entry);
	char *text = manifest ? json_dumps(manifest, JSON_COMPACT) : NULL;
	json_decref(manifest);
	if (!text)
		return error_set(error, EINVAL, "cannot name the entry in %s", DEPLOY_MANIFEST);
	snprintf(list->entry, sizeof list->entry, "%s", entry);
	return archive_list_add(list, DEPLOY_MANIFEST, false, strlen(text), text, error);
}

/* Takes the "main" of package.json. 1 if there is one, 0 if not. */
static int entry_of_package(struct archive_list *list, struct error *error)
{
	static const char file[] = "package.json";
	cleanup_free char *text = NULL;
	size_t length;
	int result = read_file(list, file, &text, &length, error);
	if (result < 0)
		return result;
	json_error_t where;
	json_t *package = json_loadb(text, length, 0, &where);
	if (!package)
		return error_set(error, EINVAL, "%s/%s:%d:%d: %s", list->shown, file, where.line,
			where.column, where.text);
	const char *entry = json_string_value(json_object_get(package, "main"));
	if (entry) {
		while (entry[0] == '.' && entry[1] == '/')
			entry += 2;
		result = take_entry(list, entry, "package.json: /main", error);
		if (result == 0)
			result = archive_set_entry(list, list->entry, error);
	}
	bool found = entry != NULL;
	json_decref(package);
	return result < 0 ? result : found;
}

/* A folder without any entry: why. */
static int no_entry(const struct archive_list *list, struct error *error)
{
	static const char *const typescript[] = {"main.ts", "index.ts"};
	for (size_t i = 0; i < ARRAY_LENGTH(typescript); i++)
		if (find_file(list, typescript[i]))
			return archive_check_entry_type(typescript[i], typescript[i], error);
	return error_set(error, EINVAL,
		"%s: which module to start with? There is no main.js or index.js: name it in "
		"%s/%s: {\"entry\": \"FILE.js\"}",
		list->shown, list->shown, DEPLOY_MANIFEST);
}

int archive_find_entry(struct archive_list *list, struct error *error)
{
	struct manifest *manifest = NULL;
	int result = 0;
	if (find_file(list, DEPLOY_MANIFEST)) {
		cleanup_free char *text = NULL;
		char name[600];
		size_t length;
		result = read_file(list, DEPLOY_MANIFEST, &text, &length, error);
		snprintf(name, sizeof name, "%s/%s", list->shown, DEPLOY_MANIFEST);
		if (result == 0)
			result = manifest_parse(text, length, name, &manifest, error);
	} else {
		if (find_file(list, "package.json"))
			result = entry_of_package(list, error);
		if (result > 0)
			return 0;
		manifest = manifest_default();
		if (result == 0 && !manifest)
			result = error_errno(error, ENOMEM, "cannot find the entry");
	}
	if (result == 0) {
		/* The same rule as the daemon's. */
		const char *entry = manifest_entry(manifest, exists, list, error);
		if (entry)
			result = take_entry(list, entry, DEPLOY_MANIFEST, error);
		else if (manifest->entry)
			result = error_prefix(error, "%s", list->shown);
		else
			result = no_entry(list, error);
	}
	manifest_free(manifest);
	return result;
}
