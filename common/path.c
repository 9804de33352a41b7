#include "common/path.h"

#include <string.h>

bool path_next(const char **rest, struct path_name *ret)
{
	const char *from = *rest + strspn(*rest, "/");
	*ret = (struct path_name){from, strcspn(from, "/")};
	*rest = from + ret->length;
	return ret->length > 0;
}

bool path_is_here(struct path_name name)
{
	return name.length == 1 && name.text[0] == '.';
}

bool path_is_up(struct path_name name)
{
	return name.length == 2 && name.text[0] == '.' && name.text[1] == '.';
}

enum path_flaw path_find_flaw(const char *names)
{
	for (const char *at = names;; at++) {
		const struct path_name name = {at, strcspn(at, "/")};
		if (name.length == 0)
			return *at ? PATH_EMPTY_NAME : PATH_SLASH_AT_END;
		if (path_is_here(name))
			return PATH_HERE;
		if (path_is_up(name))
			return PATH_UP;
		at += name.length;
		if (*at == '\0')
			return PATH_GOOD;
	}
}

bool path_is_normal(const char *path)
{
	return path[0] == '/' && (path[1] == '\0' || path_find_flaw(path + 1) == PATH_GOOD);
}

bool path_is_in(const char *path, const char *folder)
{
	size_t length = strlen(folder);
	if (length == 0)
		return false;
	while (length > 0 && folder[length - 1] == '/')
		length--;
	return strncmp(path, folder, length) == 0 &&
	       (path[length] == '/' || (path[length] == '\0' && length > 0));
}

bool path_is_below(const char *path, const char *folder)
{
	const char *rest;
	struct path_name name;
	if (!path_is_in(path, folder))
		return false;
	for (rest = folder; path_next(&rest, &name);)
		path_next(&path, &name);
	return path_next(&path, &name);
}

bool path_go(char *path, size_t size, const char *route)
{
	size_t length = strlen(path);
	struct path_name name;
	while (path_next(&route, &name)) {
		if (path_is_here(name))
			continue;
		if (path_is_up(name)) {
			while (length > 0 && path[--length] != '/')
				;
		} else {
			if (length + 1 + name.length >= size)
				return false;
			path[length++] = '/';
			memcpy(path + length, name.text, name.length);
			length += name.length;
		}
		path[length] = '\0';
	}
	return true;
}
