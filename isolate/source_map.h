/* The source maps of a release (ECMA-426): where in the sources a place of bundled code is.
 * Nothing is read before the first stack of an error asks. A map that is wrong, or too
 * large, is as good as none. */
#pragma once

#include <stddef.h>

/* Looks whether a module that is loaded, of this URL (file:) and source, names a map, and
 * keeps where. To be called for every module of the release. */
void source_map_note(const char *url, const char *source, size_t length);
