/* As much of an HTTP/1 request as says whose it is: the request line and the fields up to
 * Host. Strict (RFC 9112): what the worker's parser might read differently is an error here,
 * so that nobody gets a connection under one name and is asked under another. What stands
 * behind the Host field is for the worker to judge; it refuses a second Host. */
#include "daemon/ingress/private.h"

#include <errno.h>
#include <string.h>

#define METHOD_MAX 32
#define EMPTY_LINES_MAX 2 /* in front of the request line: some old clients send one */

static const char scheme[] = "http://";

struct cursor {
	const char *at, *end;
};

/* The next line without its end in RET_LINE. MORE when the end has not come; BAD when it
 * is a bare LF, or a CR stands anywhere else. */
static enum parse_result next_line(struct cursor *cursor, struct cursor *ret_line)
{
	const size_t left = (size_t)(cursor->end - cursor->at);
	const char *feed = memchr(cursor->at, '\n', left);
	const char *stop = feed ? feed : cursor->end;
	const char *carriage = memchr(cursor->at, '\r', (size_t)(stop - cursor->at));
	if (carriage && carriage + 1 != stop)
		return PARSE_BAD;
	if (feed == NULL)
		return PARSE_MORE;
	if (carriage == NULL)
		return PARSE_BAD;
	*ret_line = (struct cursor){cursor->at, carriage};
	cursor->at = feed + 1;
	return PARSE_DONE;
}

/* tchar of RFC 9110 */
static bool is_token(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t token_length(struct cursor line)
{
	size_t length = 0;
	while (line.at + length < line.end && is_token(line.at[length]))
		length++;
	return length;
}

static bool has_control(struct cursor text)
{
	for (const char *at = text.at; at < text.end; at++)
		if ((unsigned char)*at <= ' ' || *at == 0x7f)
			return true;
	return false;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* What the absolute form says is kept in AUTHORITY, to be compared with Host. */
static enum parse_result take_target(
	struct cursor target, struct http_head *head, struct cursor *ret_authority)
{
	const size_t length = (size_t)(target.end - target.at);
	*ret_authority = (struct cursor){0};
	if (length == 0 || has_control(target))
		return PARSE_BAD;
	if (length == 1 && target.at[0] == '*') { /* OPTIONS */
		strcpy(head->path, "/");
		return PARSE_DONE;
	}
	if (target.at[0] == '/')
		return site_path(target.at, length, head->path) == 0 ? PARSE_DONE : PARSE_BAD;
	if (length <= sizeof scheme - 1 || strncasecmp(target.at, scheme, sizeof scheme - 1) != 0)
		return PARSE_BAD; /* of a proxy, or of CONNECT */
	const char *host = target.at + sizeof scheme - 1, *end = host;
	while (end < target.end && *end != '/' && *end != '?' && *end != '#' && *end != '\\')
		end++;
	*ret_authority = (struct cursor){host, end};
	if (end == target.end || *end != '/') {
		strcpy(head->path, "/");
		return end == target.end || *end == '?' ? PARSE_DONE : PARSE_BAD;
	}
	return site_path(end, (size_t)(target.end - end), head->path) == 0 ? PARSE_DONE : PARSE_BAD;
}

static enum parse_result take_request_line(
	struct cursor line, struct http_head *head, struct cursor *ret_authority)
{
	const size_t method = token_length(line);
	const char *last = memrchr(line.at, ' ', (size_t)(line.end - line.at));
	if (method == 0 || method > METHOD_MAX || line.at[method] != ' ' ||
		last == line.at + method)
		return PARSE_BAD;
	const char *version = last + 1;
	if (line.end - version != 8 || memcmp(version, "HTTP/", 5) != 0 || !is_digit(version[5]) ||
		version[6] != '.' || !is_digit(version[7]))
		return PARSE_BAD;
	if (version[5] != '1' || version[7] > '1')
		return PARSE_VERSION;
	return take_target((struct cursor){line.at + method + 1, last}, head, ret_authority);
}

/* Optional blanks around a value. */
static struct cursor trimmed(struct cursor value)
{
	while (value.at < value.end && (*value.at == ' ' || *value.at == '\t'))
		value.at++;
	while (value.at < value.end && (value.end[-1] == ' ' || value.end[-1] == '\t'))
		value.end--;
	return value;
}

static enum parse_result take_host(
	struct cursor value, struct cursor authority, struct http_head *head)
{
	const size_t length = (size_t)(value.end - value.at);
	const int result = site_host(value.at, length, head->host);
	if (result == -ENOENT)
		head->host[0] = '\0';
	else if (result < 0)
		return PARSE_BAD;
	if (authority.at && ((size_t)(authority.end - authority.at) != length ||
				    strncasecmp(authority.at, value.at, length) != 0))
		return PARSE_BAD;
	return PARSE_DONE;
}

/* A field of the head. MORE: it is not Host. */
static enum parse_result take_field(
	struct cursor line, struct cursor authority, struct http_head *head)
{
	const size_t name = token_length(line);
	/* An empty line: the head ends without Host. A blank: obs-fold, or one before the colon. */
	if (name == 0 || line.at + name == line.end || line.at[name] != ':')
		return PARSE_BAD;
	if (memchr(line.at, '\0', (size_t)(line.end - line.at)))
		return PARSE_BAD;
	if (name != 4 || strncasecmp(line.at, "host", 4) != 0)
		return PARSE_MORE;
	return take_host(trimmed((struct cursor){line.at + 5, line.end}), authority, head);
}

enum parse_result http_head_parse(const char *data, size_t length, struct http_head *ret_head)
{
	struct cursor cursor = {data, data + length}, line, authority;
	enum parse_result result = PARSE_DONE;
	int empty = 0;
	if (length > 0 && data[0] == 0x16)
		return PARSE_FOREIGN;
	do {
		result = next_line(&cursor, &line);
		if (result == PARSE_DONE && line.at == line.end && ++empty > EMPTY_LINES_MAX)
			return PARSE_BAD;
	} while (result == PARSE_DONE && line.at == line.end);
	/* A first line that can be none is told at once: it may be another protocol, whose
	 * client waits. */
	if (result == PARSE_MORE && cursor.at < cursor.end && *cursor.at != '\r') {
		const size_t method = token_length(cursor);
		if (method == 0 || method > METHOD_MAX ||
			(cursor.at + method < cursor.end && cursor.at[method] != ' '))
			return PARSE_BAD;
	}
	if (result != PARSE_DONE)
		return result;
	result = take_request_line(line, ret_head, &authority);
	if (result != PARSE_DONE)
		return result;
	for (;;) {
		result = next_line(&cursor, &line);
		if (result != PARSE_DONE)
			return result;
		result = take_field(line, authority, ret_head);
		if (result != PARSE_MORE)
			return result;
	}
}
