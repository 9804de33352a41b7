/* Entries of net.connect, net.deny and net.listen: text to struct and back. What is
 * accepted has one meaning only: 2130706433, 0x7f.1 and ::ffff:127.0.0.1 are ways to
 * write 127.0.0.1 past a rule, so they are refused here, where an operator can see it. */
#include "policy/check.h"
#include "policy/document.h"
#include "policy/policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define HOST_LENGTH_MAX 253
#define LABEL_LENGTH_MAX 63

/* TEXT taken apart at its brackets, slash and last colon. */
struct parts {
	char host[HOST_LENGTH_MAX + 3];
	const char *prefix; /* digits, up to PREFIX_LENGTH; NULL for none */
	size_t prefix_length;
	const char *port; /* to the end of the text; NULL for none */
	bool brackets;
};

static int copy_host(
	struct parts *parts, const char *host, size_t length, const char *text, struct error *error)
{
	char quoted[QUOTED_MAX];
	if (length == 0)
		return error_set(error, EINVAL, "%s has no host before the port",
			document_quote(quoted, text));
	if (length >= sizeof parts->host)
		return error_set(
			error, EINVAL, "the host is longer than %d characters", HOST_LENGTH_MAX);
	memcpy(parts->host, host, length);
	parts->host[length] = '\0';
	return 0;
}

static int split_brackets(const char *text, struct parts *parts, struct error *error)
{
	char quoted[QUOTED_MAX];
	document_quote(quoted, text);
	const char *close = strchr(text, ']');
	if (!close)
		return error_set(error, EINVAL, "%s has no ] after the address", quoted);
	if (close[1] != '\0' && close[1] != ':')
		return error_set(
			error, EINVAL, "%s goes on after ]: only :PORT may follow", quoted);
	parts->port = close[1] == ':' ? close + 2 : NULL;
	parts->brackets = true;
	const char *slash = memchr(text, '/', (size_t)(close - text));
	if (slash) {
		parts->prefix = slash + 1;
		parts->prefix_length = (size_t)(close - parts->prefix);
	}
	return copy_host(
		parts, text + 1, (size_t)((slash ? slash : close) - text) - 1, text, error);
}

static int split(const char *text, struct parts *parts, struct error *error)
{
	char quoted[QUOTED_MAX];
	*parts = (struct parts){0};
	if (text[0] == '\0')
		return error_set(error, EINVAL, "the address is empty");
	if (strstr(text, "://"))
		return error_set(error, EINVAL, "%s is a URL: write its host and port only",
			document_quote(quoted, text));
	if (text[0] == '[')
		return split_brackets(text, parts, error);
	const char *slash = strchr(text, '/');
	const char *colon = strchr(slash ? slash : text, ':');
	const char *end = slash ? slash : colon ? colon : text + strlen(text);
	if (!slash && colon && strchr(colon + 1, ':'))
		end = text + strlen(text), colon = NULL; /* IPv6 without brackets */
	if (slash) {
		parts->prefix = slash + 1;
		parts->prefix_length =
			colon ? (size_t)(colon - parts->prefix) : strlen(parts->prefix);
	}
	parts->port = colon ? colon + 1 : NULL;
	return copy_host(parts, text, (size_t)(end - text), text, error);
}

/* LENGTH digits as a number in LEAST..MOST. */
static int parse_number(const char *text, size_t length, const char *what, unsigned least,
	unsigned most, unsigned *ret, struct error *error)
{
	char quoted[QUOTED_MAX], digits[16];
	unsigned value = 0;
	if (length == 0)
		return error_set(error, EINVAL, "the %s is missing", what);
	snprintf(digits, sizeof digits, "%.*s", length < 15 ? (int)length : 15, text);
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return error_set(error, EINVAL, "%s %s is not a number", what,
				document_quote(quoted, digits));
		if (value <= most) /* then it cannot overflow */
			value = value * 10 + (unsigned)(text[i] - '0');
	}
	if (value < least || value > most)
		return error_set(
			error, EINVAL, "%s %s is out of range %u-%u", what, digits, least, most);
	*ret = value;
	return 0;
}

static int parse_ports(const char *text, struct policy_net_rule *rule, struct error *error)
{
	unsigned first, last;
	rule->port_first = 0;
	rule->port_last = UINT16_MAX;
	if (!text)
		return 0;
	size_t length = strcspn(text, "-");
	int result = parse_number(text, length, "port", 1, UINT16_MAX, &first, error);
	if (result < 0)
		return result;
	last = first;
	if (text[length] == '-')
		result = parse_number(text + length + 1, strlen(text + length + 1), "port", 1,
			UINT16_MAX, &last, error);
	if (result < 0)
		return result;
	if (first > last)
		return error_set(error, EINVAL,
			"port range %u-%u ends before it begins: write %u-%u", first, last, last,
			first);
	rule->port_first = (uint16_t)first;
	rule->port_last = (uint16_t)last;
	return 0;
}

/* Returns the number of bytes of the address, 0 when HOST is none. */
static size_t parse_address(const char *host, int *ret_family, uint8_t address[16])
{
	memset(address, 0, 16);
	if (inet_pton(AF_INET, host, address) == 1) {
		*ret_family = AF_INET;
		return 4;
	}
	if (inet_pton(AF_INET6, host, address) == 1) {
		*ret_family = AF_INET6;
		return 16;
	}
	return 0;
}

static int refuse_mapped(int family, const uint8_t address[16], struct error *error)
{
	char text[INET_ADDRSTRLEN];
	struct in6_addr six;
	memcpy(&six, address, sizeof six);
	if (family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&six))
		return 0;
	inet_ntop(AF_INET, address + 12, text, sizeof text);
	return error_set(error, EINVAL, "an IPv4 address in IPv6 form: write %s", text);
}

static int parse_address_rule(
	const struct parts *parts, struct policy_net_rule *rule, struct error *error)
{
	char quoted[QUOTED_MAX];
	size_t bytes = parse_address(parts->host, &rule->family, rule->address);
	if (bytes == 0 || (parts->brackets && bytes == 4))
		return error_set(error, EINVAL, "%s is not an %s address",
			document_quote(quoted, parts->host), parts->brackets ? "IPv6" : "IP");
	int result = refuse_mapped(rule->family, rule->address, error);
	if (result < 0)
		return result;
	unsigned prefix = (unsigned)bytes * 8;
	if (parts->prefix)
		result = parse_number(parts->prefix, parts->prefix_length, "prefix length", 0,
			prefix, &prefix, error);
	if (result < 0)
		return result;
	rule->kind = POLICY_NET_ADDRESS;
	rule->prefix = (uint8_t)prefix;
	uint8_t masked[16] = {0};
	for (size_t i = 0; i < bytes; i++) {
		unsigned bits = prefix > i * 8 ? prefix - (unsigned)i * 8 : 0;
		masked[i] = rule->address[i] & (uint8_t)(bits >= 8 ? 0xFF : 0xFF00 >> bits);
	}
	if (memcmp(masked, rule->address, sizeof masked) == 0)
		return 0;
	char text[INET6_ADDRSTRLEN];
	inet_ntop(rule->family, masked, text, sizeof text);
	return error_set(error, EINVAL, "%s has bits behind its prefix: write %s/%u",
		document_quote(quoted, parts->host), text, prefix);
}

/* A DNS name. What WHATWG's URL standard takes for an IPv4 address (the last label is
 * a number) would not reach DNS at all. */
/* SHOWN is the host as it was written. */
static int check_host(const char *host, const char *shown, struct error *error)
{
	char quoted[QUOTED_MAX];
	document_quote(quoted, shown);
	size_t length = strlen(host);
	if (length > HOST_LENGTH_MAX)
		return error_set(
			error, EINVAL, "the host is longer than %d characters", HOST_LENGTH_MAX);
	for (const char *label = host;;) {
		size_t label_length = strcspn(label, ".");
		if (label_length == 0 && label[0] == '\0' && label != host)
			return error_set(error, EINVAL, "%s ends with a dot: leave it out", quoted);
		if (label_length == 0)
			return error_set(error, EINVAL, "%s has an empty label", quoted);
		if (label_length > LABEL_LENGTH_MAX)
			return error_set(error, EINVAL, "%s has a label longer than %d characters",
				quoted, LABEL_LENGTH_MAX);
		if (label[0] == '-' || label[label_length - 1] == '-')
			return error_set(
				error, EINVAL, "%s has a label that begins or ends with -", quoted);
		const char *good =
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
		char wrong = label[strspn(label, good)];
		if (wrong == '*')
			return error_set(error, EINVAL,
				"%s: * may only stand for whole labels at the front, as in "
				"*.example.com",
				quoted);
		if ((unsigned char)wrong >= 0x80)
			return error_set(error, EINVAL,
				"%s is not ASCII: write its IDNA form (xn--...)", quoted);
		if (wrong != '\0' && wrong != '.')
			return error_set(error, EINVAL,
				"%s is no host name: %c may not stand there", quoted,
				wrong < 0x20 || wrong == 0x7F ? '?' : wrong);
		if (label[label_length] == '\0') {
			if (strspn(label, "0123456789") == label_length ||
				(label[0] == '0' && (label[1] | 0x20) == 'x' &&
					strspn(label + 2, "0123456789abcdefABCDEF") ==
						label_length - 2))
				return error_set(error, EINVAL,
					"%s is a number, not a name: write an address as a.b.c.d",
					quoted);
			return 0;
		}
		label += label_length + 1;
	}
}

static int parse_host_rule(
	const struct parts *parts, struct policy_net_rule *rule, struct error *error)
{
	const char *host = parts->host;
	if (strcmp(host, "*") == 0)
		return error_set(error, EINVAL,
			"* alone is too wide: write *.example.com, or 0.0.0.0/0 and ::/0");
	bool suffix = strncmp(host, "*.", 2) == 0;
	int result = check_host(suffix ? host + 2 : host, host, error);
	if (result < 0)
		return result;
	rule->kind = suffix ? POLICY_NET_SUFFIX : POLICY_NET_HOST;
	size_t length = 0;
	for (const char *next = suffix ? host + 1 : host; *next; next++)
		rule->name[length++] = *next >= 'A' && *next <= 'Z' ? (char)(*next | 0x20) : *next;
	return 0;
}

/* unix:/path. Abstract sockets belong to a network namespace, not to a path. */
static int parse_unix(const char *path, char *target, struct error *error)
{
	char quoted[QUOTED_MAX];
	const size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
	if (path[0] == '@')
		return error_set(error, EINVAL,
			"%s is an abstract socket: only sockets with a path can be granted",
			document_quote(quoted, path));
	int result = check_path(path, error);
	if (result < 0)
		return result;
	if (path[1] == '\0')
		return error_set(error, EINVAL, "/ is a folder: write the path of a socket");
	if (strlen(path) > most)
		return error_set(error, EINVAL,
			"the path of a socket has at most %zu bytes, this one has %zu", most,
			strlen(path));
	strcpy(target, path);
	return 0;
}

int policy_net_rule_parse(const char *text, struct policy_net_rule *ret, struct error *error)
{
	struct policy_net_rule rule = {0};
	struct parts parts;
	uint8_t address[16];
	int family, result;
	if (strncmp(text, "unix:", 5) == 0) {
		rule.kind = POLICY_NET_UNIX;
		result = parse_unix(text + 5, rule.name, error);
		if (result == 0)
			*ret = rule;
		return result;
	}
	result = split(text, &parts, error);
	if (result < 0)
		return result;
	/* 2001:db8::1:443 is an address of its own, and hardly what was meant. */
	if (!parts.brackets && !parts.prefix && strchr(parts.host, ':')) {
		char quoted[QUOTED_MAX];
		return error_set(error, EINVAL,
			"%s: write an IPv6 address in brackets, [::1] or [::1]:443",
			document_quote(quoted, parts.host));
	}
	bool parses = parse_address(parts.host, &family, address) > 0;
	if (parses || parts.brackets || parts.prefix)
		result = parse_address_rule(&parts, &rule, error);
	else
		result = parse_host_rule(&parts, &rule, error);
	if (result == 0)
		result = parse_ports(parts.port, &rule, error);
	if (result == 0)
		*ret = rule;
	return result;
}

/* Takes "NAME=" off the front of TEXT, if it is there: a path may have a = too. */
static int parse_listener_name(const char **text, struct policy_listen *listen, struct error *error)
{
	char quoted[QUOTED_MAX], name[128];
	const size_t length = strcspn(*text, "=:/[");
	if ((*text)[length] != '=')
		return 0;
	snprintf(name, sizeof name, "%.*s", length < 127 ? (int)length : 127, *text);
	document_quote(quoted, name);
	if (length == 0)
		return error_set(error, EINVAL,
			"there is no name before the =: write NAME=127.0.0.1:8080, or the address "
			"only");
	if (length >= sizeof listen->name)
		return error_set(error, EINVAL, "the listener's name is longer than %zu characters",
			sizeof listen->name - 1);
	if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != length || name[0] == '-' ||
		name[length - 1] == '-')
		return error_set(error, EINVAL,
			"the listener's name %s may have a-z, 0-9 and - only, and no - at its ends",
			quoted);
	memcpy(listen->name, name, length + 1);
	*text += length + 1;
	return 0;
}

int policy_listen_parse(const char *text, struct policy_listen *ret, struct error *error)
{
	struct policy_listen listen = {0};
	struct parts parts;
	char quoted[QUOTED_MAX];
	unsigned port;
	int result = parse_listener_name(&text, &listen, error);
	if (result < 0)
		return result;
	if (strncmp(text, "unix:", 5) == 0) {
		listen.family = AF_UNIX;
		result = parse_unix(text + 5, listen.path, error);
		if (result == 0)
			*ret = listen;
		return result;
	}
	document_quote(quoted, text);
	if ((text[0] == ':' && text[1] != ':') || text[0] == '*')
		return error_set(error, EINVAL,
			"%s has no address: write 127.0.0.1:8080 for this host only, 0.0.0.0:8080 "
			"or "
			"[::]:8080 for all",
			quoted);
	result = split(text, &parts, error);
	if (result < 0)
		return result;
	size_t bytes = parse_address(parts.host, &listen.family, listen.address);
	if (parts.prefix)
		return error_set(error, EINVAL, "%s is a network: listen on one address", quoted);
	if (bytes == 0)
		return error_set(error, EINVAL,
			"%s is not an address to listen on: write 127.0.0.1:8080, [::1]:8080 or "
			"unix:/path",
			quoted);
	if (bytes == 16 && !parts.brackets)
		return error_set(
			error, EINVAL, "%s: write an IPv6 address in brackets, [::1]:8080", quoted);
	if (bytes == 4 && parts.brackets)
		return error_set(error, EINVAL, "%s: an IPv4 address has no brackets", quoted);
	result = refuse_mapped(listen.family, listen.address, error);
	if (result == 0 && !parts.port)
		return error_set(error, EINVAL,
			"%s has no port: write :8080 behind it, or :0 for "
			"any free port",
			quoted);
	if (result == 0)
		result = parse_number(
			parts.port, strlen(parts.port), "port", 0, UINT16_MAX, &port, error);
	if (result < 0)
		return result;
	listen.port = (uint16_t)port;
	*ret = listen;
	return 0;
}

void policy_net_rule_format(const struct policy_net_rule *rule, char text[POLICY_NET_TEXT_MAX])
{
	char address[INET6_ADDRSTRLEN];
	size_t used = 0;
	const size_t size = POLICY_NET_TEXT_MAX;
	switch (rule->kind) {
	case POLICY_NET_UNIX:
		snprintf(text, size, "unix:%s", rule->name);
		return;
	case POLICY_NET_HOST:
	case POLICY_NET_SUFFIX:
		used = (size_t)snprintf(
			text, size, "%s%s", rule->kind == POLICY_NET_SUFFIX ? "*" : "", rule->name);
		break;
	case POLICY_NET_ADDRESS:
		inet_ntop(rule->family, rule->address, address, sizeof address);
		bool six = rule->family == AF_INET6;
		used = (size_t)snprintf(text, size, "%s%s", six ? "[" : "", address);
		if (rule->prefix < (six ? 128 : 32))
			used += (size_t)snprintf(text + used, size - used, "/%u", rule->prefix);
		used += (size_t)snprintf(text + used, size - used, "%s", six ? "]" : "");
		break;
	}
	if (rule->port_first == 0)
		return;
	used += (size_t)snprintf(text + used, size - used, ":%u", rule->port_first);
	if (rule->port_last != rule->port_first)
		snprintf(text + used, size - used, "-%u", rule->port_last);
}

void policy_listen_format(const struct policy_listen *listen, char text[POLICY_NET_TEXT_MAX])
{
	char address[INET6_ADDRSTRLEN];
	const char *name = listen->name, *equals = name[0] ? "=" : "";
	if (listen->family == AF_UNIX) {
		snprintf(text, POLICY_NET_TEXT_MAX, "%s%sunix:%s", name, equals, listen->path);
		return;
	}
	inet_ntop(listen->family, listen->address, address, sizeof address);
	snprintf(text, POLICY_NET_TEXT_MAX,
		listen->family == AF_INET6 ? "%s%s[%s]:%u" : "%s%s%s:%u", name, equals, address,
		listen->port);
}

socklen_t policy_listen_address(const struct policy_listen *listen, struct sockaddr_storage *ret)
{
	*ret = (struct sockaddr_storage){0};
	if (listen->family == AF_UNIX) {
		struct sockaddr_un unix_address = {.sun_family = AF_UNIX};
		memcpy(unix_address.sun_path, listen->path, sizeof unix_address.sun_path);
		memcpy(ret, &unix_address, sizeof unix_address);
		return sizeof unix_address;
	}
	if (listen->family == AF_INET6) {
		struct sockaddr_in6 six = {
			.sin6_family = AF_INET6, .sin6_port = htons(listen->port)};
		memcpy(&six.sin6_addr, listen->address, sizeof six.sin6_addr);
		memcpy(ret, &six, sizeof six);
		return sizeof six;
	}
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(listen->port)};
	memcpy(&four.sin_addr, listen->address, sizeof four.sin_addr);
	memcpy(ret, &four, sizeof four);
	return sizeof four;
}
