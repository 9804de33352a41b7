#include "isolate/modules.h"

#include "common/cleanup.h"
#include "common/file.h"
#include "isolate/natives.h"
#include "isolate/source_map.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MODULE_BYTES_MAX (64u << 20)

static _Thread_local engine_ref *load_hook, *meta_hook, *entry_hook, *find_hook;

/* What the hook loadModule gives: isolate/js/node/modules.js. */
enum { LOADED_URL, LOADED_PATH, LOADED_KIND, LOADED_A, LOADED_B, LOADED_OBJECT };
enum {
	KIND_FILE,    /* PATH is JavaScript */
	KIND_EXPORTS, /* A is an object */
	KIND_NAMES,   /* A names, B a function */
	KIND_TEXT,    /* A is JavaScript */
};

/* ---- files of the release ---- */

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

static bool has_dots(const char *path)
{
	for (const char *part = path; part; part = strchr(part, '/')) {
		part += *part == '/';
		size_t length = strcspn(part, "/");
		if (length == 2 && part[0] == '.' && part[1] == '.')
			return true;
	}
	return false;
}

bool module_path_inside(const char *path)
{
	const char *root = runtime.start ? runtime.start->root : NULL;
	const size_t length = root ? strlen(root) : 0;
	return root && strncmp(path, root, length) == 0 &&
	       (path[length] == '/' || path[length] == '\0') && !has_dots(path);
}

static int read_file(const char *path, char **ret_data, size_t *ret_length, struct error *error)
{
	if (!module_path_inside(path))
		return error_set(error, ENOENT, "%s is not in the release", path);
	return file_read(AT_FDCWD, path, MODULE_BYTES_MAX, ret_data, ret_length, error);
}

/* ---- for the engine ---- */

static char *text_at(engine_value *array, uint32_t index)
{
	engine_value *value = engine_get_index(runtime.engine, array, index);
	return value && engine_typeof(value) == ENGINE_STRING
		       ? engine_to_utf8(runtime.engine, value, NULL)
		       : NULL;
}

static int take_file(engine_value *loaded, struct engine_module_source *source, struct error *error)
{
	cleanup_free char *path = text_at(loaded, LOADED_PATH);
	if (!path || engine_module_state(runtime.engine, source->url) != ENGINE_MODULE_NONE)
		return 0;
	int result = read_file(path, &source->source, &source->length, error);
	if (result == 0)
		source_map_note(source->url, source->source, source->length);
	return result;
}

/* What the hook found. */
static int take(engine_value *loaded, struct engine_module_source *source, struct error *error)
{
	struct engine *engine = runtime.engine;
	engine_value *a = engine_get_index(engine, loaded, LOADED_A);
	engine_value *b = engine_get_index(engine, loaded, LOADED_B);
	engine_value *object = engine_get_index(engine, loaded, LOADED_OBJECT);
	source->url = text_at(loaded, LOADED_URL);
	if (!source->url || !a || !b)
		return error_set(error, EINVAL, "a module has no URL");
	if (object && engine_typeof(object) == ENGINE_OBJECT)
		source->object = object;
	switch (engine_to_int32(engine, engine_get_index(engine, loaded, LOADED_KIND))) {
	case KIND_EXPORTS:
		source->exports = a;
		return 0;
	case KIND_NAMES:
		source->names = a;
		source->evaluate = b;
		return 0;
	case KIND_TEXT:
		source->source = engine_to_utf8(engine, a, &source->length);
		return source->source ? 0 : error_errno(error, ENOMEM, "cannot make a module");
	default:
		return take_file(loaded, source, error);
	}
}

static int load(void *arg, const char *specifier, const char *referrer, const char *type,
	struct engine_module_source *ret_source, struct error *error)
{
	(void)arg;
	struct engine *engine = runtime.engine;
	struct engine_module_source source = {0};
	engine_value *loaded = NULL;
	engine_value *arguments[] = {
		engine_string(engine, specifier),
		engine_string(engine, referrer),
		engine_string(engine, type),
	};
	int result = engine_call_function(engine, engine_ref_get(engine, load_hook),
		engine_undefined(engine), arguments, ARRAY_LENGTH(arguments), &loaded);
	if (result == 0)
		result = take(loaded, &source, error);
	if (strcmp(type, "text") == 0 || strcmp(type, "bytes") == 0)
		source.variant = *type == 't' ? "text" : "bytes";
	*ret_source = source;
	return result;
}

static void set_meta(struct engine *engine, void *arg, const char *url, engine_value *meta)
{
	(void)arg;
	engine_value *arguments[] = {meta, engine_string(engine, url)};
	/* A pending exception is dropped: V8 takes none from here. */
	(void)engine_call_function(engine, engine_ref_get(engine, meta_hook),
		engine_undefined(engine), arguments, ARRAY_LENGTH(arguments), NULL);
}

int modules_run_entry(const char *entry, engine_value **ret_promise, engine_value **ret_program)
{
	struct engine *engine = runtime.engine;
	engine_value *program = NULL, *argument = engine_string(engine, entry);
	*ret_promise = NULL;
	int result = engine_call_function(engine, engine_ref_get(engine, entry_hook),
		engine_undefined(engine), &argument, 1, &program);
	if (result < 0)
		return result;
	*ret_program = program;
	if (engine_typeof(program) == ENGINE_OBJECT)
		return 0;
	cleanup_free char *url = engine_to_utf8(engine, program, NULL);
	return url ? engine_module_import(engine, url, ret_promise, ret_program) : -ECANCELED;
}

char *modules_find_entry(const char *entry)
{
	struct engine *engine = runtime.engine;
	engine_value *url = NULL, *argument = engine_string(engine, entry);
	if (engine_call_function(engine, engine_ref_get(engine, find_hook),
		    engine_undefined(engine), &argument, 1, &url) < 0)
		return NULL;
	return engine_typeof(url) == ENGINE_STRING ? engine_to_utf8(engine, url, NULL) : NULL;
}

void modules_bind(void)
{
	find_hook = runtime_hook("findEntry");
	load_hook = runtime_hook("loadModule");
	meta_hook = runtime_hook("initializeMeta");
	entry_hook = runtime_hook("runEntry");
}

void modules_init(void)
{
	engine_modules_init(runtime.engine, load, set_meta, NULL);
}

/* ---- for the library ---- */

static char *text_argument(struct engine *engine, struct engine_call *call, int index)
{
	engine_value *value = engine_call_argument(engine, call, index);
	size_t length = 0;
	if (engine_typeof(value) != ENGINE_STRING)
		return NULL;
	char *text = engine_to_utf8(engine, value, &length);
	if (text && strlen(text) == length)
		return text;
	free(text);
	return NULL;
}

/* moduleStat(path): 0 for a file of the release, 1 for a folder, -2 for neither. What is
 * above the release are folders, which everybody knows. */
static engine_value *native_stat(struct engine *engine, struct engine_call *call)
{
	cleanup_free char *path = text_argument(engine, call, 0);
	struct stat status;
	if (!path)
		return engine_int32(engine, -ENOENT);
	if (!runtime.start) /* warmModules, in the zygote: there is no release yet */
		return engine_int32(engine, 0);
	if (!module_path_inside(path)) {
		const size_t length = strlen(path);
		const bool above = strcmp(path, "/") == 0 ||
				   (strncmp(runtime.start->root, path, length) == 0 &&
					   runtime.start->root[length] == '/');
		return engine_int32(engine, above ? 1 : -ENOENT);
	}
	if (stat(path, &status) < 0)
		return engine_int32(engine, -errno);
	return engine_int32(engine, S_ISDIR(status.st_mode) ? 1 : 0);
}

/* moduleText(path, url): the text of a file of the release; undefined when there is none.
 * With a URL it is a program, that may name a source map. */
static engine_value *native_text(struct engine *engine, struct engine_call *call)
{
	cleanup_free char *path = text_argument(engine, call, 0);
	cleanup_free char *url = text_argument(engine, call, 1);
	char *data = NULL;
	size_t length = 0;
	if (!path || read_file(path, &data, &length, NULL) < 0)
		return NULL;
	if (url)
		source_map_note(url, data, length);
	return engine_string_source(engine, data, length);
}

/* moduleBytes(path): the same as a Uint8Array. */
static engine_value *native_bytes(struct engine *engine, struct engine_call *call)
{
	cleanup_free char *path = text_argument(engine, call, 0);
	char *data = NULL;
	size_t length = 0;
	if (!path || read_file(path, &data, &length, NULL) < 0)
		return NULL;
	return engine_bytes_take(engine, data, length);
}

static bool are_strings(struct engine *engine, struct engine_call *call, int count)
{
	for (int i = 0; i < count; i++)
		if (engine_typeof(engine_call_argument(engine, call, i)) != ENGINE_STRING)
			return false;
	return true;
}

/* moduleCompile(source, filename, url, detect): engine_commonjs_compile; undefined: a module. */
static engine_value *native_compile(struct engine *engine, struct engine_call *call)
{
	engine_value *function = NULL;
	if (!are_strings(engine, call, 3))
		return engine_throw(engine, "TypeError", NULL, "a source is a string");
	(void)engine_commonjs_compile(engine, engine_call_argument(engine, call, 0),
		engine_call_argument(engine, call, 1), engine_call_argument(engine, call, 2),
		engine_argument_bool(call, 3), &function);
	return function;
}

/* moduleDetect(source, filename, url): whether it is a module. */
static engine_value *native_detect(struct engine *engine, struct engine_call *call)
{
	if (!are_strings(engine, call, 3))
		return engine_throw(engine, "TypeError", NULL, "a source is a string");
	return engine_bool(
		engine, engine_commonjs_is_module(engine, engine_call_argument(engine, call, 0),
				engine_call_argument(engine, call, 1),
				engine_call_argument(engine, call, 2)));
}

/* moduleSourceMap(url, lastLine) */
static engine_value *native_source_map(struct engine *engine, struct engine_call *call)
{
	cleanup_free char *url = text_argument(engine, call, 0);
	cleanup_free char *line = text_argument(engine, call, 1);
	if (url && line)
		source_map_note(url, line, strlen(line));
	return NULL;
}

static engine_value *native_require(struct engine *engine, struct engine_call *call)
{
	cleanup_free char *url = text_argument(engine, call, 0);
	return url ? engine_module_require(engine, url) : NULL;
}

static engine_value *native_facade(struct engine *engine, struct engine_call *call)
{
	cleanup_free char *url = text_argument(engine, call, 0);
	return url ? engine_module_facade(engine, url) : NULL;
}

static engine_value *native_state(struct engine *engine, struct engine_call *call)
{
	cleanup_free char *url = text_argument(engine, call, 0);
	return engine_int32(engine, url ? (int32_t)engine_module_state(engine, url) : 0);
}

static const struct engine_native natives[] = {
	{"moduleStat", native_stat, 1},
	{"moduleText", native_text, 2},
	{"moduleBytes", native_bytes, 1},
	{"moduleCompile", native_compile, 4},
	{"moduleDetect", native_detect, 3},
	{"moduleSourceMap", native_source_map, 2},
	{"moduleRequire", native_require, 1},
	{"moduleFacade", native_facade, 1},
	{"moduleState", native_state, 1},
};

const struct native_module module_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.bind = modules_bind,
};
