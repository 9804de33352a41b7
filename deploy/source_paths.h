/* The paths in a source map. Private to the deploy folder. */
#pragma once

#include "common/error.h"

#include <stddef.h>

/* esbuild names the sources relative to where it wrote the map, OUT. Makes them relative to
 * the folder of BUNDLE in FOLDER instead, where the map will lie: the same sources then give
 * the same map, wherever they and OUT are. OUT and FOLDER are absolute. *TEXT is replaced. */
int source_paths_rewrite(char **text, size_t *size, const char *out, const char *folder,
	const char *bundle, struct error *error);
