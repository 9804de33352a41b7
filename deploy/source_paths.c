#include "deploy/source_paths.h"

#include "common/cleanup.h"
#include "common/path.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

/* How to get from the folder FROM to PATH, both absolute and normal. */
static char *relative(const char *from, const char *path)
{
	size_t common = 0, ups = 0;
	for (size_t i = 0;; i++) {
		bool from_ends = from[i] == '\0' || from[i] == '/';
		bool path_ends = path[i] == '\0' || path[i] == '/';
		if (from_ends && path_ends)
			common = i;
		if (from[i] != path[i] || from[i] == '\0')
			break;
	}
	for (const char *rest = from + common; *rest; rest++)
		ups += *rest == '/';
	const char *rest = path + common + (path[common] == '/');
	char *text = malloc(ups * 3 + strlen(rest) + 1);
	if (!text)
		return NULL;
	for (size_t i = 0; i < ups; i++)
		memcpy(text + i * 3, "../", 3);
	strcpy(text + ups * 3, rest);
	return text;
}

static json_t *rewrite(const char *source, const char *out, const char *base)
{
	char path[PATH_MAX] = "";
	if (source[0] == '/' || strstr(source, "://") || !path_go(path, sizeof path, out) ||
		!path_go(path, sizeof path, source))
		return json_string(source);
	cleanup_free char *text = relative(base, path);
	return text ? json_string(text) : NULL;
}

int source_paths_rewrite(char **text, size_t *size, const char *out, const char *folder,
	const char *bundle, struct error *error)
{
	char base[PATH_MAX] = "";
	json_error_t where;
	json_t *map = json_loadb(*text, *size, 0, &where);
	json_t *sources = json_object_get(map, "sources"), *source;
	size_t i;
	if (!json_is_array(sources) || !path_go(base, sizeof base, folder) || !path_go(base, sizeof base, bundle) ||
		!path_go(base, sizeof base, "..")) {
		json_decref(map);
		return error_set(error, EIO, "esbuild's source map makes no sense");
	}
	json_array_foreach(sources, i, source)
	{
		if (json_is_string(source))
			json_array_set_new(
				sources, i, rewrite(json_string_value(source), out, base));
	}
	char *rewritten = json_dumps(map, JSON_COMPACT);
	json_decref(map);
	if (!rewritten)
		return error_errno(error, ENOMEM, "cannot rewrite a source map");
	free(*text);
	*text = rewritten;
	*size = strlen(rewritten);
	return 0;
}
