#include "deploy/bundle_private.h"

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/file.h"
#include "deploy/esbuild.h"
#include "deploy/source_paths.h"
#include "deploy/tree.h"
#include "policy/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#define METAFILE_MAX (64 * 1024 * 1024)

/* ---- what to bundle ---- */

bool bundle_ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);
	return length > end_length && strcmp(text + length - end_length, end) == 0;
}

static bool needs_bundling(const char *entry)
{
	static const char *const ends[] = {".ts", ".mts", ".cts", ".tsx", ".jsx", ".cjs"};
	for (size_t i = 0; i < ARRAY_LENGTH(ends); i++)
		if (bundle_ends_with(entry, ends[i]))
			return true;
	return false;
}

/* 1 and the parsed file, 0 when there is none. */
static int read_json(struct source *source, const char *name, json_t **ret, struct error *error)
{
	cleanup_free char *text = NULL;
	size_t length;
	json_error_t where;
	int result = file_read(source->fd, name, DEPLOY_MANIFEST_MAX, &text, &length, error);
	if (result == -ENOENT)
		return 0;
	if (result < 0)
		return error_prefix(error, "%s", source->shown);
	*ret = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
	if (*ret == NULL)
		return error_set(error, EINVAL, "%s/%s:%d:%d: %s", source->shown, name, where.line,
			where.column, where.text);
	return 1;
}

/* The daemon will say the same, but after all of the work. */
static int check_manifest(const struct source *source, struct error *error)
{
	cleanup_free char *text = NULL;
	char name[600];
	size_t length;
	struct manifest *manifest;
	int result =
		file_read(source->fd, DEPLOY_MANIFEST, DEPLOY_MANIFEST_MAX, &text, &length, error);
	if (result < 0)
		return result;
	snprintf(name, sizeof name, "%s/%s", source->shown, DEPLOY_MANIFEST);
	result = manifest_parse(text, length, name, &manifest, error);
	if (result == 0)
		manifest_free(manifest);
	return result;
}

static bool exists(const struct source *source, const char *path)
{
	struct stat status;
	return fstatat(source->fd, path, &status, 0) == 0 && S_ISREG(status.st_mode);
}

static int take_entry(
	struct source *source, const char *entry, const char *where, struct error *error)
{
	char shown[512];
	while (entry[0] == '.' && entry[1] == '/')
		entry += 2;
	escape_line(shown, sizeof shown, entry, strlen(entry), 0);
	int result = deploy_path_check(entry, strlen(entry), error);
	if (result < 0)
		return error_prefix(error, "%s/%s", source->shown, where);
	if (!exists(source, entry))
		return error_set(error, EINVAL, "%s/%s names %s, and there is no such file",
			source->shown, where, shown);
	snprintf(source->entry, sizeof source->entry, "%s", entry);
	return 0;
}

/* The entry by tenant.json, else "main" of package.json if that file is there (of a
 * TypeScript project it often is what a build would make), else the first of these. */
static int find_entry(struct source *source, const json_t *package, struct error *error)
{
	static const char *const names[] = {"main.js", "main.mjs", "index.js", "index.mjs",
		"main.ts", "main.mts", "main.tsx", "main.jsx", "index.ts", "index.mts", "index.tsx",
		"index.jsx", "src/main.ts", "src/main.tsx", "src/index.ts", "src/index.tsx"};
	const char *entry = json_string_value(json_object_get(source->manifest, "entry"));
	if (entry)
		return take_entry(source, entry, DEPLOY_MANIFEST ": /entry", error);
	entry = json_string_value(json_object_get(package, "main"));
	if (entry && exists(source, entry))
		return take_entry(source, entry, "package.json: /main", error);
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (exists(source, names[i]))
			return take_entry(source, names[i], "", error);
	return 0; /* archive_make says what is missing */
}

static int open_folder(struct source *source, const char *path, struct error *error)
{
	json_t *package = NULL;
	source->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (source->fd < 0)
		return error_errno(error, errno, "cannot open %s", source->shown);
	int result = read_json(source, DEPLOY_MANIFEST, &source->manifest, error);
	if (result > 0)
		result = check_manifest(source, error);
	if (result >= 0)
		result = read_json(source, "package.json", &package, error);
	if (result >= 0)
		result = find_entry(source, package, error);
	source->has_packages = json_object_size(json_object_get(package, "dependencies")) > 0;
	json_decref(package);
	return result;
}

/* Fills SOURCE for PATH. */
static int open_source(struct source *source, const char *path, struct error *error)
{
	struct stat status;
	if (!realpath(path, source->folder) || stat(source->folder, &status) < 0)
		return error_errno(error, errno, "cannot open %s", source->shown);
	if (S_ISDIR(status.st_mode))
		return open_folder(source, source->folder, error);
	source->is_file = true;
	char *slash = strrchr(source->folder, '/');
	snprintf(source->entry, sizeof source->entry, "%s", slash + 1);
	slash[slash == source->folder] = '\0';
	source->fd = open(source->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return source->fd < 0
		       ? error_errno(error, errno, "cannot open the folder of %s", source->shown)
		       : 0;
}

/* ---- what esbuild has made ---- */

/* "src/main.ts" → "src/main.js"; "src/" */
static void name_of_bundle(const char *entry, char name[DEPLOY_PATH_MAX], size_t *ret_folder)
{
	const char *slash = strrchr(entry, '/'), *dot = strrchr(entry, '.');
	*ret_folder = slash ? (size_t)(slash + 1 - entry) : 0;
	snprintf(name, DEPLOY_PATH_MAX, "%.*s.js", (int)(dot ? dot - entry : 0), entry);
}

static int compare_files(const void *a, const void *b)
{
	return strcmp(
		((const struct archive_file *)a)->path, ((const struct archive_file *)b)->path);
}

int bundle_add(struct archive_overlay *overlay, const char *path, char *content, size_t size,
	struct error *error)
{
	cleanup_free char *own = content;
	struct archive_file *larger =
		reallocarray(overlay->files, overlay->count + 1, sizeof *larger);
	if (larger)
		overlay->files = larger;
	char *own_path = larger ? strdup(path) : NULL;
	if (!own_path)
		return error_errno(error, ENOMEM, "cannot list what was bundled");
	overlay->files[overlay->count++] = (struct archive_file){own_path, take_pointer(own), size};
	return 0;
}

static int take_output(struct archive_overlay *overlay, const struct source *source, int out_fd,
	const char *out, const char *name, struct error *error)
{
	char path[DEPLOY_PATH_MAX], bundle[DEPLOY_PATH_MAX];
	cleanup_free char *content = NULL;
	size_t size, folder;
	name_of_bundle(source->entry, bundle, &folder);
	int result = file_read(out_fd, name, DEPLOY_BYTES_MAX, &content, &size, error);
	if (result == 0 && bundle_ends_with(name, ".map"))
		result = source_paths_rewrite(&content, &size, out, source->folder, bundle, error);
	if (result < 0)
		return error_prefix(error, "what was bundled of %s", source->shown);
	if ((size_t)snprintf(path, sizeof path, "%.*s%s", (int)folder, source->entry, name) >=
		sizeof path)
		return error_set(error, ENAMETOOLONG, "the path of %s is too long", name);
	return bundle_add(overlay, path, take_pointer(content), size, error);
}

static int take_outputs(struct archive_overlay *overlay, const struct source *source,
	const char *out, struct error *error)
{
	cleanup_closedir DIR *folder = opendir(out);
	int result = folder ? 0 : error_errno(error, errno, "cannot open %s", out);
	while (result == 0) {
		const struct dirent *entry = readdir(folder);
		if (!entry)
			break;
		if (entry->d_name[0] != '.')
			result = take_output(
				overlay, source, dirfd(folder), out, entry->d_name, error);
	}
	return result;
}

/* The files that went into the bundle. Those of packages go with node_modules. */
static int leave_inputs_out(
	struct archive_overlay *overlay, const char *metafile, struct error *error)
{
	cleanup_free char *text = NULL;
	size_t length;
	const char *path;
	const json_t *about;
	int result = file_read(AT_FDCWD, metafile, METAFILE_MAX, &text, &length, error);
	if (result < 0)
		return result;
	json_t *meta = json_loadb(text, length, 0, NULL);
	json_t *inputs = json_object_get(meta, "inputs");
	if (!inputs)
		result = error_set(error, EIO, "esbuild's own account of its work makes no sense");
	json_object_foreach(inputs, path, about)
	{
		if (result == 0 && strncmp(path, "../", 3) != 0 && path[0] != '/' &&
			!strstr(path, "node_modules/"))
			result = bundle_add(overlay, path, NULL, 0, error);
	}
	json_decref(meta);
	return result;
}

int bundle_add_manifest(
	struct archive_overlay *overlay, const struct source *source, struct error *error)
{
	json_t *manifest = source->manifest ? json_copy(source->manifest) : json_object();
	json_object_set_new(manifest, "entry", json_string(overlay->entry));
	char *text = json_dumps(manifest, JSON_INDENT(2));
	json_decref(manifest);
	if (!text)
		return error_set(error, EINVAL, "cannot name the entry in %s", DEPLOY_MANIFEST);
	return bundle_add(overlay, DEPLOY_MANIFEST, text, strlen(text), error);
}

void bundle_sort(struct archive_overlay *overlay)
{
	size_t kept = 0;
	qsort(overlay->files, overlay->count, sizeof *overlay->files, compare_files);
	for (size_t i = 0; i < overlay->count; i++) {
		struct archive_file *file = &overlay->files[i];
		struct archive_file *last = kept ? &overlay->files[kept - 1] : NULL;
		if (!last || strcmp(last->path, file->path) != 0) {
			overlay->files[kept++] = *file;
			continue;
		}
		if (!last->content) {
			last->content = take_pointer(file->content);
			last->size = file->size;
		}
		free(file->path);
		free(file->content);
	}
	overlay->count = kept;
}

static int collect(struct archive_overlay *overlay, const struct source *source, const char *out,
	const char *metafile, struct error *error)
{
	size_t folder;
	name_of_bundle(source->entry, overlay->entry, &folder);
	overlay->without_packages = true;
	int result = take_outputs(overlay, source, out, error);
	if (result == 0 && !source->is_file)
		result = leave_inputs_out(overlay, metafile, error);
	if (result == 0)
		result = bundle_add_manifest(overlay, source, error);
	if (result == 0)
		bundle_sort(overlay);
	return result;
}

/* ---- bundling ---- */

/* In a folder of its own, which goes afterwards. */
static int run(const struct source *source, struct archive_overlay *overlay, struct error *error)
{
	char home[256], out[300], metafile[300];
	const char *folder = getenv("TMPDIR");
	if (!folder || folder[0] != '/' || strlen(folder) > 200)
		folder = "/tmp";
	snprintf(home, sizeof home, "%s/tenantctl-XXXXXX", folder);
	if (!mkdtemp(home))
		return error_errno(error, errno, "cannot make a folder in %s", folder);
	snprintf(out, sizeof out, "%s/out", home);
	snprintf(metafile, sizeof metafile, "%s/meta.json", home);
	int result = mkdir(out, 0700) < 0 ? error_errno(error, errno, "cannot make %s", out) : 0;
	if (result == 0)
		result = esbuild_run(
			source->folder, source->entry, out, metafile, source->shown, error);
	if (result == 0)
		result = collect(overlay, source, out, metafile, error);
	(void)tree_remove(AT_FDCWD, home);
	return result;
}

static bool is_wanted(const struct source *source, enum bundle_when when)
{
	if (source->entry[0] == '\0')
		return false;
	return when == BUNDLE_ALWAYS || needs_bundling(source->entry) || source->has_packages;
}

static int make(struct source *source, enum bundle_when when, struct archive_overlay **ret_overlay,
	struct error *error)
{
	if (when == BUNDLE_NEVER)
		return transform_make(source, ret_overlay, error);
	if (!is_wanted(source, when)) {
		*ret_overlay = NULL;
		return 0;
	}
	if (source->has_packages && faccessat(source->fd, "node_modules", F_OK, 0) < 0)
		return error_set(error, ENOENT,
			"%s has dependencies, and they are not installed: run `npm ci` in it",
			source->shown);
	struct archive_overlay *overlay = calloc(1, sizeof *overlay);
	if (!overlay)
		return error_errno(error, ENOMEM, "cannot bundle %s", source->shown);
	int result = run(source, overlay, error);
	*ret_overlay = result < 0 ? archive_overlay_free(overlay) : overlay;
	return result;
}

int bundle_make(const char *path, enum bundle_when when, struct archive_overlay **ret_overlay,
	struct error *error)
{
	char shown[512];
	size_t length = strlen(path);
	while (length > 1 && path[length - 1] == '/')
		length--;
	escape_line(shown, sizeof shown, path, length, 0);
	struct source source = {.shown = shown, .fd = -1};
	int result = open_source(&source, path, error);
	if (result >= 0)
		result = make(&source, when, ret_overlay, error);
	json_decref(source.manifest);
	close_fd(&source.fd);
	return result;
}
