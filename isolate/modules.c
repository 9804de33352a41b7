#include "isolate/modules.h"

#include "common/cleanup.h"
#include "common/file.h"
#include "isolate/source_map.h"

#include <ada_c.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MODULE_BYTES_MAX (64u << 20)

static engine_ref *builtin_module;

/* The folder of the release as a URL, with a slash at its end. */
static char root_url[3 * PATH_MAX];

bool module_path(const char *url, char *path, size_t size)
{
	size_t out = 0;
	const char *in = url + strlen("file://");
	if (strncmp(url, "file:///", 8) != 0)
		return false;
	while (*in && *in != '?' && *in != '#') {
		unsigned value = (unsigned char)*in++;
		if (value == '%' && sscanf(in, "%2x", &value) == 1 && in[0] && in[1]) {
			in += 2;
			if (value == '/' || value == 0)
				return false;
		}
		if (out + 1 >= size)
			return false;
		path[out++] = (char)value;
	}
	path[out] = '\0';
	return true;
}

static const char *from(const char *referrer)
{
	static char text[PATH_MAX + 32];
	text[0] = '\0';
	if (*referrer)
		snprintf(text, sizeof text, " imported from %s", referrer + strlen("file://"));
	return text;
}

static bool is_path(const char *specifier)
{
	return specifier[0] == '/' || strncmp(specifier, "./", 2) == 0 ||
	       strncmp(specifier, "../", 3) == 0 || strcmp(specifier, ".") == 0 ||
	       strcmp(specifier, "..") == 0;
}

/* ---- modules that are built in ---- */

/* The exports of the module NAME ("fs", "node:fs"), NULL when none is built in. */
static engine_value *builtin_exports(const char *name)
{
	engine_value *argument = engine_string(runtime.engine, name);
	engine_value *exports = NULL;
	if (engine_call_function(runtime.engine, engine_ref_get(runtime.engine, builtin_module),
		    engine_undefined(runtime.engine), &argument, 1, &exports) < 0) {
		engine_exception_take(runtime.engine);
		return NULL;
	}
	return engine_typeof(exports) == ENGINE_OBJECT || engine_typeof(exports) == ENGINE_FUNCTION
		       ? exports
		       : NULL;
}

/* Whether SPECIFIER is one: then SOURCE has its exports, and its URL, which is the same
 * with and without the prefix. */
static bool load_builtin(const char *specifier, struct engine_module_source *source)
{
	const bool whole =
		strncmp(specifier, "node:", 5) == 0 || strncmp(specifier, "tenantd:", 8) == 0;
	if (is_path(specifier) || strlen(specifier) > NAME_MAX)
		return false;
	source->exports = builtin_exports(specifier);
	if (!source->exports)
		return false;
	if (asprintf(&source->url, "%s%s", whole ? "" : "node:", specifier) < 0)
		source->url = NULL;
	return source->url != NULL;
}

/* ---- files ---- */

static int refuse_bare(
	const char *specifier, const char *referrer, const char **ret_code, struct error *error)
{
	if (strncmp(specifier, "node:", 5) == 0 || strncmp(specifier, "tenantd:", 8) == 0) {
		*ret_code = "ERR_UNKNOWN_BUILTIN_MODULE";
		return error_set(
			error, ENOENT, "No such built-in module: %s%s", specifier, from(referrer));
	}
	if (ada_can_parse(specifier, strlen(specifier))) {
		*ret_code = "ERR_UNSUPPORTED_ESM_URL_SCHEME";
		return error_set(error, EINVAL,
			"Only file: URLs of the release can be imported, not '%s'%s", specifier,
			from(referrer));
	}
	*ret_code = "ERR_MODULE_NOT_FOUND";
	return error_set(error, ENOENT,
		"Cannot find package '%s'%s (bundle npm packages into the release, for example "
		"with esbuild --bundle --format=esm)",
		specifier, from(referrer));
}

int module_resolve(const char *specifier, const char *referrer, char **ret_url,
	const char **ret_code, struct error *error)
{
	*ret_code = "ERR_MODULE_NOT_FOUND";
	if (!is_path(specifier) && strncmp(specifier, "file:", 5) != 0)
		return refuse_bare(specifier, referrer, ret_code, error);
	const char *base = *referrer ? referrer : root_url;
	ada_url url = ada_parse_with_base(specifier, strlen(specifier), base, strlen(base));
	ada_string href = {0};
	if (ada_is_valid(url))
		href = ada_get_href(url);
	cleanup_free char *copy = href.data ? strndup(href.data, href.length) : NULL;
	ada_free(url);
	if (!copy) {
		*ret_code = "ERR_INVALID_MODULE_SPECIFIER";
		return error_set(error, EINVAL, "Invalid module specifier '%s'%s", specifier,
			from(referrer));
	}
	if (strncmp(copy, root_url, strlen(root_url)) != 0)
		return error_set(error, ENOENT,
			"Cannot find module '%s'%s: it lies outside of the release (%s)", specifier,
			from(referrer), runtime.start->root);
	*ret_url = take_pointer(copy);
	return 0;
}

static bool ends_with(const char *string, const char *end)
{
	size_t length = strlen(string), end_length = strlen(end);
	return length >= end_length && strcmp(string + length - end_length, end) == 0;
}

/* The import attribute must say what the file is, as the standard demands of JSON. */
static int check_type(const char *path, const char *type, struct engine_module_source *source,
	struct error *error)
{
	source->json = strcmp(type, "json") == 0;
	if (*type && !source->json) {
		source->code = "ERR_IMPORT_ATTRIBUTE_UNSUPPORTED";
		return error_set(error, EINVAL,
			"Import attribute \"type\" with value \"%s\" is not supported", type);
	}
	if (ends_with(path, ".json") && !source->json) {
		source->code = "ERR_IMPORT_ATTRIBUTE_MISSING";
		return error_set(error, EINVAL,
			"Module \"%s\" needs an import attribute of \"type: json\"", path);
	}
	if (source->json && !ends_with(path, ".json")) {
		source->code = "ERR_IMPORT_ATTRIBUTE_TYPE_INCOMPATIBLE";
		return error_set(error, EINVAL, "Module \"%s\" is not of type \"json\"", path);
	}
	return 0;
}

static int read_module(const char *path, const char *specifier, const char *referrer,
	struct engine_module_source *source, struct error *error)
{
	struct stat status;
	source->code = "ERR_MODULE_NOT_FOUND";
	if (stat(path, &status) < 0)
		return error_set(error, errno, "Cannot find module '%s'%s", path, from(referrer));
	if (S_ISDIR(status.st_mode)) {
		source->code = "ERR_UNSUPPORTED_DIR_IMPORT";
		return error_set(error, EISDIR,
			"Directory import '%s' is not supported resolving '%s'%s", path, specifier,
			from(referrer));
	}
	return file_read(AT_FDCWD, path, MODULE_BYTES_MAX, &source->source, &source->length, error);
}

static int load(void *arg, const char *specifier, const char *referrer, const char *type,
	struct engine_module_source *ret_source, struct error *error)
{
	(void)arg;
	char path[PATH_MAX];
	struct engine_module_source source = {0};
	cleanup_free char *url = NULL;
	if (load_builtin(specifier, &source)) {
		*ret_source = source;
		return 0;
	}
	int result = module_resolve(specifier, referrer, &url, &source.code, error);
	if (result == 0 && !module_path(url, path, sizeof path)) {
		source.code = "ERR_INVALID_MODULE_SPECIFIER";
		result = error_set(error, EINVAL, "Invalid module specifier '%s'%s", specifier,
			from(referrer));
	}
	if (result == 0)
		result = check_type(path, type, &source, error);
	if (result == 0)
		result = read_module(path, specifier, referrer, &source, error);
	if (result == 0 && !source.json)
		source_map_note(url, source.source, source.length);
	if (result == 0)
		source.url = take_pointer(url);
	*ret_source = source;
	return result;
}

static void set_meta(struct engine *engine, void *arg, const char *url, engine_value *meta)
{
	(void)arg;
	char path[PATH_MAX];
	engine_set(engine, meta, "url", engine_string(engine, url));
	if (!module_path(url, path, sizeof path))
		return;
	engine_set(engine, meta, "filename", engine_string(engine, path));
	char *slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
	engine_set(engine, meta, "dirname", engine_string(engine, path));
}

void modules_bind(void)
{
	builtin_module = runtime_hook("builtinModule");
}

/* Where the release is: at /app, or, where nothing can be mounted, where it lies. */
static void set_root(const char *root)
{
	static const char base[] = "file:///";
	char path[PATH_MAX + 2];
	snprintf(path, sizeof path, "%s/", root);
	/* The parser escapes what a URL cannot hold, but for these. */
	size_t out = strlen("file://");
	memcpy(root_url, base, sizeof base);
	for (const char *in = path; *in && out + 4 < sizeof root_url; in++)
		if (strchr("%?#\\", *in))
			out += (size_t)snprintf(
				root_url + out, sizeof root_url - out, "%%%02X", (unsigned)*in);
		else
			root_url[out++] = *in;
	root_url[out] = '\0';
	ada_url url = ada_parse(root_url, out);
	if (ada_is_valid(url)) {
		ada_string href = ada_get_href(url);
		snprintf(root_url, sizeof root_url, "%.*s", (int)href.length, href.data);
	}
	ada_free(url);
}

void modules_init(void)
{
	set_root(runtime.start->root);
	engine_modules_init(runtime.engine, load, set_meta, NULL);
}
