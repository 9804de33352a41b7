/* Releases that are not bundled: each file of TypeScript becomes JavaScript under its own name,
 * so that the names by which files import each other stay right, with its source map beside
 * it. The worker takes .ts for JavaScript (isolate/js/node/modules.js). */
#include "common/cleanup.h"
#include "common/file.h"
#include "deploy/bundle_private.h"
#include "deploy/esbuild.h"
#include "deploy/source_paths.h"
#include "deploy/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 4096

struct files {
	char *paths[FILES_MAX]; /* below the folder */
	size_t count;
};

static bool is_source(const char *name)
{
	static const char *const ends[] = {".ts", ".mts", ".cts", ".tsx", ".jsx"};
	if (bundle_ends_with(name, ".d.ts") || bundle_ends_with(name, ".d.mts") ||
		bundle_ends_with(name, ".d.cts"))
		return false;
	for (size_t i = 0; i < ARRAY_LENGTH(ends); i++)
		if (bundle_ends_with(name, ends[i]))
			return true;
	return false;
}

static void files_clear(struct files *files)
{
	while (files->count > 0)
		free(files->paths[--files->count]);
}

static int add_file(struct files *files, const char *path, struct error *error)
{
	if (files->count == FILES_MAX)
		return error_set(error, EFBIG,
			"there are more than %d files of TypeScript: bundle them", FILES_MAX);
	files->paths[files->count] = strdup(path);
	return files->paths[files->count++] ? 0 : error_errno(error, ENOMEM, "cannot list files");
}

/* Packages are made by their authors, and archives leave .git out. */
static bool is_left_out(const FTSENT *entry)
{
	return strcmp(entry->fts_name, "node_modules") == 0 ||
	       (entry->fts_level > 0 && strcmp(entry->fts_name, ".git") == 0);
}

static int find_files(struct source *source, struct files *files, struct error *error)
{
	char *const roots[] = {source->folder, NULL};
	const size_t start = strlen(source->folder) + 1;
	int result = 0;
	if (source->is_file)
		return is_source(source->entry) ? add_file(files, source->entry, error) : 0;
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT, NULL);
	if (!walk)
		return error_errno(error, errno, "cannot read %s", source->shown);
	for (FTSENT *entry; result == 0 && (entry = fts_read(walk));) {
		if (entry->fts_info == FTS_D && is_left_out(entry))
			fts_set(walk, entry, FTS_SKIP);
		else if (entry->fts_info != FTS_D && entry->fts_info != FTS_DP &&
			 is_source(entry->fts_name))
			result = add_file(files, entry->fts_path + start, error);
	}
	fts_close(walk);
	return result;
}

/* "src/a.ts" → "src/a.js" and its END */
static void name_of_output(const char *path, const char *end, char name[DEPLOY_PATH_MAX])
{
	const char *dot = strrchr(path, '.');
	snprintf(name, DEPLOY_PATH_MAX, "%.*s.js%s", (int)(dot - path), path, end);
}

static int take_file(struct archive_overlay *overlay, const struct source *source, int out_fd,
	const char *out, const char *path, struct error *error)
{
	char script[DEPLOY_PATH_MAX], map[DEPLOY_PATH_MAX], folder[PATH_MAX];
	cleanup_free char *content = NULL, *map_content = NULL;
	size_t size, map_size;
	name_of_output(path, "", script);
	name_of_output(path, ".map", map);
	snprintf(folder, sizeof folder, "%s/%s", out, script);
	*strrchr(folder, '/') = '\0';
	int result = file_read(out_fd, script, DEPLOY_BYTES_MAX, &content, &size, error);
	if (result == 0)
		result = file_read(out_fd, map, DEPLOY_BYTES_MAX, &map_content, &map_size, error);
	if (result == 0)
		result = source_paths_rewrite(
			&map_content, &map_size, folder, source->folder, script, error);
	if (result < 0)
		return error_prefix(error, "what was made of %s", path);
	result = bundle_add(overlay, path, take_pointer(content), size, error);
	if (result == 0)
		result = bundle_add(overlay, map, take_pointer(map_content), map_size, error);
	return result;
}

static int collect(struct archive_overlay *overlay, const struct source *source,
	const struct files *files, const char *out, struct error *error)
{
	cleanup_close int out_fd = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = out_fd < 0 ? error_errno(error, errno, "cannot open %s", out) : 0;
	snprintf(overlay->entry, sizeof overlay->entry, "%s", source->entry);
	for (size_t i = 0; result == 0 && i < files->count; i++)
		result = take_file(overlay, source, out_fd, out, files->paths[i], error);
	if (result == 0)
		result = bundle_add_manifest(overlay, source, error);
	if (result == 0)
		bundle_sort(overlay);
	return result;
}

/* In a folder of its own, which goes afterwards. */
static int run(const struct source *source, const struct files *files,
	struct archive_overlay *overlay, struct error *error)
{
	char home[256];
	const char *folder = getenv("TMPDIR");
	if (!folder || folder[0] != '/' || strlen(folder) > 200)
		folder = "/tmp";
	snprintf(home, sizeof home, "%s/tenantctl-XXXXXX", folder);
	if (!mkdtemp(home))
		return error_errno(error, errno, "cannot make a folder in %s", folder);
	int result = esbuild_transform(
		source->folder, files->paths, files->count, home, source->shown, error);
	if (result == 0)
		result = collect(overlay, source, files, home, error);
	(void)tree_remove(AT_FDCWD, home);
	return result;
}

int transform_make(struct source *source, struct archive_overlay **ret_overlay, struct error *error)
{
	struct files files = {.count = 0};
	struct archive_overlay *overlay = NULL;
	int result = find_files(source, &files, error);
	if (result == 0 && files.count > 0 && source->entry[0]) {
		overlay = calloc(1, sizeof *overlay);
		result = overlay ? run(source, &files, overlay, error)
				 : error_errno(error, ENOMEM, "cannot list what was made");
	}
	if (result < 0)
		overlay = archive_overlay_free(overlay);
	files_clear(&files);
	*ret_overlay = overlay;
	return result;
}
