#include "common/site.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define LABEL_MAX 63

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Digits behind a colon, or nothing. An empty port is allowed (RFC 3986). */
static bool is_port(const char *text, size_t length)
{
	if (length == 0)
		return true;
	if (text[0] != ':' || length > 6)
		return false;
	for (size_t i = 1; i < length; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	return true;
}

static int bracketed(const char *text, size_t length)
{
	const char *close = memchr(text, ']', length);
	if (close == NULL || close == text + 1)
		return -EINVAL;
	for (const char *at = text + 1; at < close; at++)
		if (!is_name(lower(*at)) && *at != ':' && *at != '.')
			return -EINVAL;
	const size_t used = (size_t)(close + 1 - text);
	return is_port(close + 1, length - used) ? -ENOENT : -EINVAL;
}

int site_host(const char *text, size_t length, char ret_host[SITE_HOST_MAX + 1])
{
	if (length > 0 && text[0] == '[')
		return bracketed(text, length);
	const char *colon = memchr(text, ':', length);
	size_t name = colon ? (size_t)(colon - text) : length;
	if (colon && !is_port(colon, length - name))
		return -EINVAL;
	if (name > 1 && text[name - 1] == '.')
		name--;
	if (name == 0 || name > SITE_HOST_MAX)
		return -EINVAL;
	size_t label = 0;
	for (size_t i = 0; i < name; i++) {
		const char c = lower(text[i]);
		if (c == '.' ? label == 0 : !is_name(c) || label == LABEL_MAX)
			return -EINVAL;
		label = c == '.' ? 0 : label + 1;
		ret_host[i] = c;
	}
	if (label == 0)
		return -EINVAL;
	ret_host[name] = '\0';
	return 0;
}

/* How many bytes of TEXT are a dot, as itself or as %2e; 0: none. */
static size_t dot(const char *text, size_t length)
{
	if (length >= 1 && text[0] == '.')
		return 1;
	return length >= 3 && text[0] == '%' && text[1] == '2' && lower(text[2]) == 'e' ? 3 : 0;
}

/* 1 for ".", 2 for "..", 0 for any other segment. */
static int dots(const char *segment, size_t length)
{
	size_t first = dot(segment, length);
	if (first == 0)
		return 0;
	if (first == length)
		return 1;
	size_t second = dot(segment + first, length - first);
	return second > 0 && first + second == length ? 2 : 0;
}

static bool is_slash(char c)
{
	return c == '/' || c == '\\';
}

/* LENGTH counts what the path is in truth; of which only the first bytes are kept. A ".."
 * must know where the segment before began even behind those: it is found in the target,
 * from DEPTH, the number of segments that are there. */
int site_path(const char *target, size_t length, char ret_path[SITE_PATH_KEPT])
{
	/* Where the segments begin in RET_PATH; those that begin behind its end are only
	 * counted. Each takes a byte at least. */
	uint16_t begins[SITE_PATH_KEPT];
	size_t depth = 0, used = 0, at = 0;
	if (length == 0 || target[0] != '/')
		return -EINVAL;
	while (at < length && is_slash(target[at])) {
		const char *segment = target + ++at;
		while (at < length && !is_slash(target[at]) && target[at] != '?' &&
			target[at] != '#')
			at++;
		const size_t size = (size_t)(target + at - segment);
		const bool last = at == length || !is_slash(target[at]);
		const int kind = dots(segment, size);
		if (kind == 2 && depth > 0) {
			depth--;
			used = depth < SITE_PATH_KEPT && begins[depth] < used ? begins[depth]
									      : used;
		}
		if (kind != 0 && !last)
			continue;
		/* A last segment of dots leaves the slash in front of it. */
		if (depth < SITE_PATH_KEPT)
			begins[depth] = (uint16_t)used;
		depth++;
		if (used < SITE_PATH_KEPT - 1)
			ret_path[used++] = '/';
		for (size_t i = 0; kind == 0 && i < size && used < SITE_PATH_KEPT - 1; i++)
			ret_path[used++] = segment[i];
	}
	ret_path[used] = '\0';
	return 0;
}

bool site_host_matches(const char *pattern, const char *host)
{
	if (pattern[0] != '*')
		return strcmp(pattern, host) == 0;
	const size_t suffix = strlen(pattern) - 1, length = strlen(host);
	return length > suffix && strcmp(host + length - suffix, pattern + 1) == 0;
}

bool site_path_matches(const char *prefix, const char *path)
{
	const size_t length = strlen(prefix);
	if (length == 1) /* "/" */
		return true;
	return strncmp(path, prefix, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

int site_compare(const char *host_a, const char *path_a, const char *host_b, const char *path_b)
{
	const bool wild_a = host_a[0] == '*', wild_b = host_b[0] == '*';
	if (wild_a != wild_b)
		return wild_a ? -1 : 1;
	const size_t host_length_a = strlen(host_a), host_length_b = strlen(host_b);
	if (host_length_a != host_length_b)
		return host_length_a > host_length_b ? 1 : -1;
	const size_t length_a = strlen(path_a), length_b = strlen(path_b);
	return length_a == length_b ? 0 : length_a > length_b ? 1 : -1;
}
