/* Where ES modules come from: files of the release, below /app (in tier container where it
 * lies on the disk: START says), and the modules that are built in (isolate/js/node/index.js). */
#pragma once

#include "isolate/runtime.h"

/* Looks up the hook of built-in modules: once, in the zygote. */
void modules_bind(void);

/* Connects the engine's modules with the release. */
void modules_init(void);

/* The path of a file: URL, percent escapes decoded; false when it is none, or holds an
 * escaped slash or NUL, which would name another file than it seems to. */
bool module_path(const char *url, char *path, size_t size);

/* Resolves SPECIFIER as written in REFERRER (a file: URL, "" for the entry) to the URL
 * of a file: relative (./ ../), absolute (/app/…) or a file: URL; percent escapes are
 * decoded, `..` is resolved. No file is looked at. Returns 0 with *ret_url malloc'ed, or
 * a negative errno with the message for the import and *ret_code, Node's error code. */
int module_resolve(const char *specifier, const char *referrer, char **ret_url,
	const char **ret_code, struct error *error);
