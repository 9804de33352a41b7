/* Paths as text, by their names alone: no file system is asked, no link followed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* One name of a path, between two slashes: not a string. */
struct path_name {
	const char *text;
	size_t length;
};

/* The next name of *REST, which then begins behind it, with a slash or at its end. However
 * many slashes stand before it, and none needs to. False when there is none any more. */
bool path_next(const char **rest, struct path_name *ret);
/* "." and "..". */
bool path_is_here(struct path_name name);
bool path_is_up(struct path_name name);

/* What keeps a path from being the only spelling of itself. */
enum path_flaw {
	PATH_GOOD,
	PATH_EMPTY_NAME, /* two slashes, or one at the beginning */
	PATH_SLASH_AT_END,
	PATH_HERE,
	PATH_UP,
};
/* The first flaw of NAMES, a path without the slash at its beginning; "" has one at its end. */
enum path_flaw path_find_flaw(const char *names);
/* Absolute and without a flaw, as realpath(3) would have it; "/" is. */
bool path_is_normal(const char *path);

/* Is PATH the FOLDER or somewhere in it? Both normal; slashes at the end of FOLDER do not
 * matter, nothing is in "", and everything in "/". */
bool path_is_in(const char *path, const char *folder);
/* Not the folder itself. */
bool path_is_below(const char *path, const char *folder);

/* Goes from the absolute and normal PATH ("" for the root), which has room for SIZE bytes,
 * along ROUTE, "." and ".." applied; above the root is the root. PATH stays absolute and
 * normal, "" for the root. False when it is too long; then PATH is how far it came. */
bool path_go(char *path, size_t size, const char *route);
