/* Runs esbuild. Private to the deploy folder. */
#pragma once

#include "common/error.h"

#include <stddef.h>

/* Bundles ENTRY of FOLDER into files right below OUT, an empty folder with an absolute path;
 * what it read and made is told in METAFILE, an absolute path. SHOWN names FOLDER in
 * messages. What esbuild has to say goes to standard error, from itself; -EINVAL when the
 * program is wrong. */
int esbuild_run(const char *folder, const char *entry, const char *out, const char *metafile,
	const char *shown, struct error *error);

/* Turns each of the COUNT FILES of FOLDER into JavaScript, on its own: OUT gets one of the same
 * path, with .js at its end, and a source map beside it. Else as above. */
int esbuild_transform(const char *folder, char *const *files, size_t count, const char *out,
	const char *shown, struct error *error);
