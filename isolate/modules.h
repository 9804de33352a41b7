/* Where modules come from: files of the release, below /app (in tier container where it lies
 * on the disk: START says), and the modules that are built in. What a specifier means, and
 * what a file is, says the JavaScript library (isolate/js/node/modules.js), for import and
 * require alike; here files are read and given to the engine. */
#pragma once

#include "isolate/runtime.h"

/* The path of a file: URL, percent escapes decoded; false when it is none, or holds an
 * escaped slash or NUL, which would name another file than it seems to. */
bool module_path(const char *url, char *path, size_t size);

/* Looks up the hooks: once, in the zygote. */
void modules_bind(void);

/* Connects the engine's modules with the release. */
void modules_init(void);

/* Runs the entry of the release. *RET_PROMISE settles when it has been evaluated, NULL for a
 * CommonJS program, which has been. *RET_PROGRAM's `default` is what it exports. 0, or an
 * exception is pending. */
int modules_run_entry(const char *entry, engine_value **ret_promise, engine_value **ret_program);

/* The URL of the module ENTRY, malloc'ed, without running anything; NULL when it is none, but
 * CommonJS, say. */
char *modules_find_entry(const char *entry);

/* Whether PATH, absolute, is in the release. Neither looks at the disk nor follows `..`: a
 * path with such a part is not. */
bool module_path_inside(const char *path);
