/* Patterns of URLs (the URL Pattern standard), by ada: what a pattern says of each
 * component of a URL. ada's patterns are C++ templates, and so live in this folder; V8 has no
 * part in it. Regular expressions are the caller's to make and to run. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* UTF-8, not terminated; DATA is NULL where there is none. */
struct url_pattern_text {
	const char *data;
	size_t length;
};

enum {
	URL_PATTERN_PROTOCOL,
	URL_PATTERN_USERNAME,
	URL_PATTERN_PASSWORD,
	URL_PATTERN_HOSTNAME,
	URL_PATTERN_PORT,
	URL_PATTERN_PATHNAME,
	URL_PATTERN_SEARCH,
	URL_PATTERN_HASH,
	URL_PATTERN_COMPONENTS
};

/* A string, or (TEXT.data is NULL) a URLPatternInit. */
struct url_pattern_input {
	struct url_pattern_text text;
	struct url_pattern_text members[URL_PATTERN_COMPONENTS];
	struct url_pattern_text base;
};

/* Whether the regular expression SOURCE (flag v) can be made, and, if INPUT.data is not
 * NULL, matches INPUT. */
typedef bool (*url_pattern_regexp)(
	void *arg, struct url_pattern_text source, struct url_pattern_text input);

/* How a component matches. */
enum url_pattern_kind {
	URL_PATTERN_EMPTY,    /* only what is empty */
	URL_PATTERN_LITERAL,  /* only what equals TEXT */
	URL_PATTERN_ANYTHING, /* everything, as the group with the one name */
	URL_PATTERN_REGEXP,   /* what the regular expression TEXT matches */
};

struct url_pattern_component {
	struct url_pattern_text pattern; /* normalized */
	enum url_pattern_kind kind;
	struct url_pattern_text text;
	bool regexp_groups;
	size_t name_count; /* names of the groups */
};

struct url_pattern;

/* NULL when INPUT is not a pattern. */
struct url_pattern *url_pattern_parse(const struct url_pattern_input *input, bool ignore_case,
	url_pattern_regexp regexp, void *arg);
struct url_pattern *url_pattern_free(struct url_pattern *pattern); /* takes and returns NULL */

/* Texts are PATTERN's. */
void url_pattern_get(const struct url_pattern *pattern, unsigned index,
	struct url_pattern_component *ret_component);
struct url_pattern_text url_pattern_name(
	const struct url_pattern *pattern, unsigned component, size_t index);

/* The components of a URLPatternInit as those of a URL, to be matched: calls TAKE with each
 * of them. False when they are none. */
bool url_pattern_process(const struct url_pattern_input *input,
	void (*take)(void *arg, unsigned index, struct url_pattern_text text), void *arg);

#ifdef __cplusplus
}
#endif
