#include "daemon/egress/proxy_parse.h"

#include "common/cleanup.h"

#include <errno.h>
#include <llhttp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HEADERS_MAX 128

struct piece {
	const char *at;
	size_t length;
};

/* A head as llhttp takes it apart; pieces point into the data. */
struct head {
	struct piece url, status;
	struct piece names[HEADERS_MAX], values[HEADERS_MAX];
	size_t count; /* of whole headers */
	bool in_value;
	bool failed; /* too many, or in pieces that are not side by side */
	bool complete;
};

static void extend(struct head *head, struct piece *piece, const char *at, size_t length)
{
	if (piece->at == NULL)
		*piece = (struct piece){at, length};
	else if (piece->at + piece->length == at)
		piece->length += length;
	else
		head->failed = true;
}

static int on_url(llhttp_t *parser, const char *at, size_t length)
{
	struct head *head = parser->data;
	extend(head, &head->url, at, length);
	return 0;
}

static int on_status(llhttp_t *parser, const char *at, size_t length)
{
	struct head *head = parser->data;
	extend(head, &head->status, at, length);
	return 0;
}

static int on_name(llhttp_t *parser, const char *at, size_t length)
{
	struct head *head = parser->data;
	if (head->count == HEADERS_MAX)
		head->failed = true;
	else
		extend(head, &head->names[head->count], at, length);
	return head->failed ? -1 : 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t length)
{
	struct head *head = parser->data;
	if (head->count == HEADERS_MAX)
		head->failed = true;
	else
		extend(head, &head->values[head->count], at, length);
	return head->failed ? -1 : 0;
}

static int on_value_complete(llhttp_t *parser)
{
	struct head *head = parser->data;
	if (head->count < HEADERS_MAX)
		head->count++;
	return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
	struct head *head = parser->data;
	head->complete = true;
	return HPE_PAUSED;
}

/* The whole head, LENGTH bytes up to and with its empty line. */
static bool parse_head(
	llhttp_t *parser, llhttp_type_t type, const char *data, size_t length, struct head *head)
{
	static llhttp_settings_t settings;
	*head = (struct head){0};
	llhttp_settings_init(&settings);
	settings.on_url = on_url;
	settings.on_status = on_status;
	settings.on_header_field = on_name;
	settings.on_header_value = on_value;
	settings.on_header_value_complete = on_value_complete;
	settings.on_headers_complete = on_headers_complete;
	llhttp_init(parser, type, &settings);
	parser->data = head;
	llhttp_execute(parser, data, length);
	return head->complete && !head->failed;
}

/* Where the head ends, 0: not here. */
static size_t head_end(const char *data, size_t length)
{
	const char *end = memmem(data, length, "\r\n\r\n", 4);
	return end ? (size_t)(end - data) + 4 : 0;
}

static bool is(const struct piece *name, const char *what)
{
	return name->length == strlen(what) && strncasecmp(name->at, what, name->length) == 0;
}

/* Is NAME one of the tokens in a Connection header? */
static bool named_by_connection(const struct head *head, const struct piece *name)
{
	for (size_t i = 0; i < head->count; i++) {
		const struct piece *value = &head->values[i];
		if (!is(&head->names[i], "connection"))
			continue;
		for (size_t at = 0; at < value->length;) {
			while (at < value->length && strchr(", \t", value->at[at]))
				at++;
			size_t begin = at;
			while (at < value->length && !strchr(", \t", value->at[at]))
				at++;
			if (at - begin == name->length && at > begin &&
				strncasecmp(value->at + begin, name->at, name->length) == 0)
				return true;
		}
	}
	return false;
}

/* Headers of one connection only (RFC 9110 7.6.1). What frames the body stays, also when
 * Connection names it: or two servers would see two bodies. */
static bool is_hop_by_hop(const struct head *head, const struct piece *name)
{
	static const char *const names[] = {"connection", "proxy-connection", "keep-alive", "te",
		"upgrade", "proxy-authorization", "proxy-authenticate",
		"proxy-authentication-info"};
	if (is(name, "transfer-encoding") || is(name, "content-length") || is(name, "host"))
		return false;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (is(name, names[i]))
			return true;
	return named_by_connection(head, name);
}

struct output {
	char *data;
	size_t size, length;
	bool failed;
};

static void put(struct output *output, const char *data, size_t length)
{
	if (output->size - output->length < length) {
		output->failed = true;
		return;
	}
	memcpy(output->data + output->length, data, length);
	output->length += length;
}

static void put_text(struct output *output, const char *text)
{
	put(output, text, strlen(text));
}

static void put_headers(struct output *output, const struct head *head, const char *without)
{
	for (size_t i = 0; i < head->count; i++) {
		const struct piece *name = &head->names[i], *value = &head->values[i];
		if (is_hop_by_hop(head, name) || (without && is(name, without)))
			continue;
		put(output, name->at, name->length);
		put_text(output, ": ");
		if (value->length)
			put(output, value->at, value->length);
		put_text(output, "\r\n");
	}
}

/* ---- requests ---- */

/* HOST:PORT, HOST alone when DEFAULT_PORT is not 0, [IPv6]:PORT. */
static bool split_authority(
	struct piece authority, uint16_t default_port, struct proxy_request *ret)
{
	const char *at = authority.at, *end = at + authority.length, *colon = NULL;
	const char *bracket =
		authority.length && *at == '[' ? memchr(at, ']', authority.length) : NULL;
	for (const char *next = bracket ? bracket : at; next < end; next++)
		if (*next == ':')
			colon = next;
	const char *host_end = colon ? colon : end;
	uint32_t port = default_port;
	if (authority.length && *at == '[' && (bracket == NULL || host_end != bracket + 1))
		return false;
	if (colon) {
		port = 0;
		if (end - colon < 2 || end - colon > 6)
			return false;
		for (const char *next = colon + 1; next < end; next++) {
			if (*next < '0' || *next > '9')
				return false;
			port = port * 10 + (uint32_t)(*next - '0');
		}
	}
	ret->host_length = (size_t)(host_end - at);
	if (port == 0 || port > UINT16_MAX || ret->host_length == 0 ||
		ret->host_length > EGRESS_HOST_MAX)
		return false;
	memcpy(ret->host, at, ret->host_length);
	ret->host[ret->host_length] = '\0';
	ret->port = (uint16_t)port;
	return true;
}

/* http://AUTHORITY/PATH?QUERY */
static const char *split_url(struct piece url, struct piece *ret_authority, struct piece *ret_path)
{
	static const char scheme[] = "http://";
	const size_t skip = sizeof scheme - 1;
	if (url.length && url.at[0] == '/')
		return "this is a proxy, not a server: the address must begin with http://";
	if (url.length <= skip || strncasecmp(url.at, scheme, skip) != 0)
		return "only http:// is forwarded: use CONNECT for anything else";
	const char *at = url.at + skip, *end = url.at + url.length, *path = at;
	while (path < end && *path != '/' && *path != '?' && *path != '#')
		path++;
	*ret_authority = (struct piece){at, (size_t)(path - at)};
	*ret_path = (struct piece){path, (size_t)(end - path)};
	if (memchr(at, '@', ret_authority->length))
		return "a user name may not stand in the address";
	if (memchr(path, '#', ret_path->length))
		return "a fragment may not stand in the address";
	return NULL;
}

static bool write_request(const llhttp_t *parser, const struct head *head, struct piece authority,
	struct piece path, struct proxy_request *ret)
{
	struct output output = {.data = ret->head, .size = sizeof ret->head};
	put_text(&output, llhttp_method_name((llhttp_method_t)parser->method));
	put_text(&output, path.length && path.at[0] == '/' ? " " : " /");
	put(&output, path.at, path.length);
	put_text(&output, " HTTP/1.1\r\nHost: ");
	put(&output, authority.at, authority.length);
	put_text(&output, "\r\n");
	put_headers(&output, head, "host");
	put_text(&output, "Connection: close\r\n\r\n");
	ret->head_length = output.length;
	return !output.failed;
}

static int fail(unsigned *ret_status, const char **ret_why, unsigned status, const char *why)
{
	*ret_status = status;
	*ret_why = why;
	return -EBADMSG;
}

int proxy_parse_request(const char *data, size_t length, struct proxy_request *ret,
	unsigned *ret_status, const char **ret_why)
{
	llhttp_t parser;
	struct head head;
	struct piece authority, path;
	const size_t end = head_end(data, length);
	if (end == 0 && length < PROXY_HEAD_MAX)
		return 0;
	if (end == 0 || end > PROXY_HEAD_MAX)
		return fail(ret_status, ret_why, 431, "the head of the request is too long");
	if (!parse_head(&parser, HTTP_REQUEST, data, end, &head))
		return fail(ret_status, ret_why, 400, "this is not HTTP/1.1");
	ret->tunnel = parser.method == HTTP_CONNECT;
	ret->body = 0;
	ret->head_length = 0;
	if (ret->tunnel) {
		if (!split_authority(head.url, 0, ret))
			return fail(ret_status, ret_why, 400, "CONNECT wants HOST:PORT");
		return (int)end;
	}
	const char *why = split_url(head.url, &authority, &path);
	if (why)
		return fail(ret_status, ret_why, 400, why);
	if (!split_authority(authority, 80, ret))
		return fail(ret_status, ret_why, 400, "the address has no proper host and port");
	if (parser.flags & F_CHUNKED)
		ret->body = UINT64_MAX;
	else if (parser.flags & F_CONTENT_LENGTH)
		ret->body = parser.content_length;
	if (!write_request(&parser, &head, authority, path, ret))
		return fail(ret_status, ret_why, 431, "the head of the request is too long");
	return (int)end;
}

int proxy_rewrite_response(const char *data, size_t length, char *ret, size_t size,
	size_t *ret_length, bool *ret_interim)
{
	llhttp_t parser;
	struct head head;
	char line[64];
	const size_t end = head_end(data, length);
	if (end == 0)
		return length < PROXY_RESPONSE_HEAD_MAX ? 0 : -EBADMSG;
	if (!parse_head(&parser, HTTP_RESPONSE, data, end, &head) || parser.status_code == 101)
		return -EBADMSG;
	struct output output = {.data = ret, .size = size};
	snprintf(line, sizeof line, "HTTP/1.1 %u ", parser.status_code);
	put_text(&output, line);
	if (head.status.length)
		put(&output, head.status.at, head.status.length);
	put_text(&output, "\r\n");
	put_headers(&output, &head, NULL);
	*ret_interim = parser.status_code < 200;
	put_text(&output, *ret_interim ? "\r\n" : "Connection: close\r\n\r\n");
	*ret_length = output.length;
	return output.failed ? -EBADMSG : (int)end;
}

/* ---- SOCKS5 ---- */

int socks_parse_greeting(const uint8_t *data, size_t length)
{
	if (length < 2)
		return 0;
	if (data[0] != 5 || data[1] == 0)
		return -EBADMSG;
	const size_t whole = 2u + data[1];
	if (length < whole)
		return 0;
	return memchr(data + 2, 0, data[1]) ? (int)whole : -EBADMSG;
}

static void format_socks_address(struct proxy_request *ret, const uint8_t *address, size_t bytes)
{
	int length = 0;
	if (bytes == 4) {
		length = snprintf(ret->host, sizeof ret->host, "%u.%u.%u.%u", address[0],
			address[1], address[2], address[3]);
	} else {
		for (size_t i = 0; i < 16; i += 2)
			length += snprintf(ret->host + length, sizeof ret->host - (size_t)length,
				"%s%x", i ? ":" : "", address[i] << 8 | address[i + 1]);
	}
	ret->host_length = (size_t)length;
}

int socks_parse_request(
	const uint8_t *data, size_t length, struct proxy_request *ret, uint8_t *ret_reply)
{
	size_t host = 4, bytes;
	*ret_reply = SOCKS_FAILED;
	if (length < 5)
		return 0;
	if (data[0] != 5 || data[2] != 0)
		return -EBADMSG;
	switch (data[3]) {
	case 1:
		bytes = 4;
		break;
	case 3:
		host = 5;
		bytes = data[4];
		break;
	case 4:
		bytes = 16;
		break;
	default:
		*ret_reply = SOCKS_NO_ADDRESS_TYPE;
		return -EBADMSG;
	}
	if (length < host + bytes + 2)
		return 0;
	if (data[1] != 1) {
		*ret_reply = SOCKS_NO_COMMAND;
		return -EBADMSG;
	}
	*ret = (struct proxy_request){.tunnel = true,
		.port = (uint16_t)(data[host + bytes] << 8 | data[host + bytes + 1])};
	if (data[3] == 3) {
		memcpy(ret->host, data + host, bytes);
		ret->host_length = bytes;
	} else {
		format_socks_address(ret, data + host, bytes);
	}
	return (int)(host + bytes + 2);
}
