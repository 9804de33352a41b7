/* The one matcher of net.connect, net.deny and lists of paths. A target has one spelling
 * only before anything is compared, and an IPv4 address that hides in an IPv6 one (mapped,
 * compatible, NAT64, 6to4) is looked at too. */
#include "policy/match.h"

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/path.h"
#include "common/site.h"
#include "policy/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define HOST_LENGTH_MAX 253
#define LABEL_LENGTH_MAX 63

/* ---- which addresses need a grant of their own ---- */

struct block {
	uint8_t address[16];
	uint8_t prefix;
	const char *kind;
};

/* IANA's registries of special-purpose addresses (RFC 6890), and where clouds hand out
 * credentials. The narrowest come first: a grant must lie within the block that is found,
 * so that 169.254.0.0/16 does not open 169.254.169.254. */
static const struct block four_blocks[] = {
	{{169, 254, 169, 254}, 32, "metadata"}, /* AWS, Google, Azure, OpenStack, … */
	{{169, 254, 170, 2}, 32, "metadata"},   /* AWS ECS */
	{{169, 254, 170, 23}, 32, "metadata"},  /* AWS EKS */
	{{168, 63, 129, 16}, 32, "metadata"},   /* Azure's wire server */
	{{100, 100, 100, 200}, 32, "metadata"}, /* Alibaba */
	{{192, 0, 0, 192}, 32, "metadata"},     /* Oracle */
	{{255, 255, 255, 255}, 32, "broadcast"},
	{{0, 0, 0, 0}, 32, "unspecified"},
	{{0}, 8, "reserved"},
	{{10}, 8, "private"},
	{{100, 64}, 10, "carrier-grade NAT"},
	{{127}, 8, "loopback"},
	{{169, 254}, 16, "link-local"},
	{{172, 16}, 12, "private"},
	{{192, 0, 0}, 24, "reserved"},
	{{192, 31, 196}, 24, "reserved"},
	{{192, 52, 193}, 24, "reserved"},
	{{192, 88, 99}, 24, "reserved"},
	{{192, 168}, 16, "private"},
	{{192, 175, 48}, 24, "reserved"},
	{{198, 18}, 15, "benchmark"},
	{{224}, 4, "multicast"},
	{{240}, 4, "reserved"},
};

static const struct block six_blocks[] = {
	{{0xfd, 0, 0x0e, 0xc2, [14] = 2, 0x54}, 128, "metadata"}, /* AWS fd00:ec2::254 */
	{{0xfd, 0, 0x0e, 0xc2, [14] = 0, 0x23}, 128, "metadata"}, /* AWS EKS fd00:ec2::23 */
	{{0xfd, 0x20, 0, 0xce, [14] = 2, 0x54}, 128, "metadata"}, /* Google fd20:ce::254 */
	{{0}, 128, "unspecified"},
	{{[15] = 1}, 128, "loopback"},
	{{0}, 96, "IPv4-compatible"},
	{{[10] = 0xff, 0xff}, 96, "IPv4-mapped"},
	{{0, 0x64, 0xff, 0x9b, 0, 1}, 48, "private"}, /* NAT64 within a network, RFC 8215 */
	{{1}, 64, "discard"},
	{{0x20, 0x01, 0x0d, 0xb8}, 32, "documentation"},
	{{0x3f, 0xff}, 20, "documentation"},
	{{0x20, 0x01, 0, 2}, 48, "benchmark"},
	{{0x20, 0x01}, 32, "Teredo"},
	{{0x20, 0x01}, 23, "reserved"},
	{{0xfc}, 7, "private"},
	{{0xfe, 0x80}, 10, "link-local"},
	{{0xfe, 0xc0}, 10, "site-local"},
	{{0xff}, 8, "multicast"},
};

/* What is not global unicast (2000::/3) is not the Internet, whatever it will be. */
static const struct block six_reserved[] = {
	{{0}, 3, "reserved"},
	{{0x40}, 2, "reserved"},
	{{0x80}, 1, "reserved"},
};

static const struct block nat64 = {{0, 0x64, 0xff, 0x9b}, 96, NULL}; /* RFC 6052 */
static const struct block siit = {{[8] = 0xff, 0xff}, 96, NULL};     /* RFC 2765 */
static const struct block six_to_four = {{0x20, 0x02}, 16, NULL};    /* RFC 3056 */
static const struct block compatible = {{0}, 96, NULL};              /* RFC 4291 2.5.5.1 */

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	if (memcmp(a, b, bits / 8) != 0)
		return false;
	const unsigned rest = bits % 8;
	return rest == 0 || ((a[bits / 8] ^ b[bits / 8]) & (uint8_t)(0xFF00 >> rest)) == 0;
}

static const struct block *find_block(
	const struct block *blocks, size_t count, const uint8_t *address)
{
	for (size_t i = 0; i < count; i++)
		if (same_bits(blocks[i].address, address, blocks[i].prefix))
			return &blocks[i];
	return NULL;
}

/* The IPv4 address inside of an IPv6 one: where it begins, in bits; -1: there is none. */
static int embedded_at(const uint8_t address[16])
{
	static const uint8_t none[16];
	if (same_bits(address, nat64.address, nat64.prefix) ||
		same_bits(address, siit.address, siit.prefix))
		return 96;
	if (same_bits(address, six_to_four.address, six_to_four.prefix))
		return 16;
	/* Not :: and ::1, which are what they are: below 0.0.1.0 there is no IPv4 host. */
	if (same_bits(address, compatible.address, compatible.prefix) &&
		!same_bits(address, none, 120))
		return 96;
	return -1;
}

struct special {
	const char *kind; /* NULL: a public address */
	unsigned prefix;  /* a grant must have at least as many bits */
	bool own;         /* public, and this host's */
};

static struct special special_of(int family, const uint8_t *address)
{
	const struct block *block;
	if (family == AF_INET) {
		block = find_block(four_blocks, ARRAY_LENGTH(four_blocks), address);
		return block ? (struct special){.kind = block->kind, .prefix = block->prefix}
			     : (struct special){0};
	}
	int at = embedded_at(address);
	if (at >= 0) {
		block = find_block(four_blocks, ARRAY_LENGTH(four_blocks), address + at / 8);
		if (block)
			return (struct special){
				.kind = block->kind, .prefix = block->prefix + (unsigned)at};
		if (same_bits(address, nat64.address, nat64.prefix) ||
			same_bits(address, six_to_four.address, six_to_four.prefix))
			return (struct special){0};
	}
	block = find_block(six_blocks, ARRAY_LENGTH(six_blocks), address);
	if (block == NULL)
		block = find_block(six_reserved, ARRAY_LENGTH(six_reserved), address);
	return block ? (struct special){.kind = block->kind, .prefix = block->prefix}
		     : (struct special){0};
}

const char *policy_address_kind(int family, const uint8_t address[16])
{
	static const struct block mapped = {{[10] = 0xff, 0xff}, 96, NULL};
	if (family == AF_INET6 && same_bits(address, mapped.address, mapped.prefix))
		return special_of(AF_INET, address + 12).kind;
	return special_of(family, address).kind;
}

/* ---- one spelling only ---- */

/* What connect(2) makes of it: a mapped address is the IPv4 address, and the unspecified
 * address is this host. */
static void canonical_address(int family, const uint8_t *address, int *ret_family, uint8_t ret[16])
{
	static const uint8_t mapped[16] = {[10] = 0xff, 0xff}, none[16];
	memset(ret, 0, 16);
	*ret_family = family;
	if (family == AF_INET6 && same_bits(address, mapped, 96)) {
		*ret_family = AF_INET;
		memcpy(ret, address + 12, 4);
	} else {
		memcpy(ret, address, family == AF_INET ? 4 : 16);
	}
	if (*ret_family == AF_INET && memcmp(ret, none, 4) == 0)
		memcpy(ret, (const uint8_t[]){127, 0, 0, 1}, 4);
	else if (*ret_family == AF_INET6 && memcmp(ret, none, 16) == 0)
		ret[15] = 1;
}

static int bad(struct error *error, const char *host, size_t length, const char *why)
{
	char shown[200];
	escape_line(shown, sizeof shown, host, length < 128 ? length : 128, 0);
	return error_set(
		error, EINVAL, "\"%s%s\" is not a host: %s", shown, length > 128 ? "…" : "", why);
}

/* One part of an IPv4 address: decimal, octal (leading 0) or hexadecimal (leading 0x), as
 * inet_aton(3) and the URL standard read it. */
static int parse_part(const char *text, size_t length, uint64_t *ret_value)
{
	unsigned base = 10;
	uint64_t value = 0;
	if (length >= 2 && text[0] == '0' && text[1] == 'x') {
		base = 16;
		text += 2;
		length -= 2;
	} else if (length >= 2 && text[0] == '0') {
		base = 8;
	}
	if (length == 0)
		return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		const char *digits = "0123456789abcdef";
		const char *digit = text[i] ? strchr(digits, text[i]) : NULL;
		if (digit == NULL || (unsigned)(digit - digits) >= base)
			return -EINVAL;
		if (value <= UINT32_MAX)
			value = value * base + (unsigned)(digit - digits);
	}
	*ret_value = value;
	return 0;
}

/* HOST, lower case: 127.1, 0x7f.0.0.1, 017700000001, 2130706433. */
static int parse_four(const char *host, uint8_t address[16])
{
	uint64_t parts[4], value = 0;
	size_t count = 0;
	for (const char *part = host;;) {
		size_t length = strcspn(part, ".");
		if (count == 4 || parse_part(part, length, &parts[count++]) < 0)
			return -EINVAL;
		if (part[length] == '\0')
			break;
		part += length + 1;
	}
	for (size_t i = 0; i + 1 < count; i++) {
		if (parts[i] > 255)
			return -EINVAL;
		value |= parts[i] << (24 - 8 * i);
	}
	if (parts[count - 1] > UINT32_MAX >> (8 * (count - 1)))
		return -EINVAL;
	value |= parts[count - 1];
	for (int i = 0; i < 4; i++)
		address[i] = (uint8_t)(value >> (24 - 8 * i));
	return 0;
}

/* Does the last label make it a number (URL standard: "ends in a number")? Then it is an
 * address or nothing: no name in the DNS ends so. */
static bool ends_in_number(const char *host)
{
	const char *label = strrchr(host, '.');
	label = label ? label + 1 : host;
	const size_t length = strlen(label);
	return strspn(label, "0123456789") == length ||
	       (label[0] == '0' && label[1] == 'x' &&
		       strspn(label + 2, "0123456789abcdef") == length - 2);
}

/* Why NAME, lower case, is no name; NULL if it is one. */
static const char *check_name(const char *name)
{
	if (strlen(name) > HOST_LENGTH_MAX)
		return "it is longer than 253 characters";
	for (const char *label = name;;) {
		size_t length = strcspn(label, ".");
		if (length == 0)
			return "it has an empty label";
		if (length > LABEL_LENGTH_MAX)
			return "it has a label longer than 63 characters";
		if (label[0] == '-' || label[length - 1] == '-')
			return "it has a label that begins or ends with -";
		if (strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") < length)
			return "only letters, digits, - and _ may stand between its dots";
		if (label[length] == '\0')
			return NULL;
		label += length + 1;
	}
}

/* Bytes that no host has. The reasons are those which a person would ask for. */
static const char *check_bytes(const char *host, size_t length)
{
	if (length == 0)
		return "it is empty";
	if (memchr(host, '\0', length))
		return "it has a NUL in it";
	for (size_t i = 0; i < length; i++) {
		const unsigned char byte = (unsigned char)host[i];
		if (byte <= ' ' || byte == 0x7F)
			return "it has whitespace or a control character in it";
		if (byte >= 0x80)
			return "it is not ASCII: write its IDNA form (xn--…)";
		if (byte == '%')
			return "neither percent-encoding nor a zone (%…) may stand in it";
	}
	return NULL;
}

static int parse_six(const char *host, size_t length, struct policy_target *target)
{
	char text[INET6_ADDRSTRLEN + 1];
	uint8_t address[16];
	if (length >= sizeof text)
		return -EINVAL;
	memcpy(text, host, length);
	text[length] = '\0';
	if (inet_pton(AF_INET6, text, address) != 1)
		return -EINVAL;
	target->kind = POLICY_NET_ADDRESS;
	canonical_address(AF_INET6, address, &target->family, target->address);
	return 0;
}

static int parse_host(
	const char *host, size_t length, struct policy_target *target, struct error *error)
{
	char name[256];
	uint8_t four[16] = {0};
	const char *why = check_bytes(host, length);
	if (why)
		return bad(error, host, length, why);
	const bool brackets = host[0] == '[';
	if (brackets && (length < 2 || host[length - 1] != ']'))
		return bad(error, host, length, "it has no ] at its end");
	if (brackets || memchr(host, ':', length)) {
		if (parse_six(host + brackets, length - 2 * (size_t)brackets, target) == 0)
			return 0;
		return bad(error, host, length, "it is no IPv6 address");
	}
	size_t kept = host[length - 1] == '.' ? length - 1 : length;
	if (kept >= sizeof name)
		return bad(error, host, length, "it is longer than 253 characters");
	for (size_t i = 0; i < kept; i++)
		name[i] = host[i] >= 'A' && host[i] <= 'Z' ? (char)(host[i] | 0x20) : host[i];
	name[kept] = '\0';
	why = check_name(name);
	if (why)
		return bad(error, host, length, why);
	if (ends_in_number(name)) {
		if (parse_four(name, four) < 0)
			return bad(error, host, length, "it is a number, and no IPv4 address");
		target->kind = POLICY_NET_ADDRESS;
		canonical_address(AF_INET, four, &target->family, target->address);
		return 0;
	}
	target->kind = POLICY_NET_HOST;
	memcpy(target->name, name, kept + 1);
	return 0;
}

static int parse_path(
	const char *path, size_t length, struct policy_target *target, struct error *error)
{
	if (memchr(path, '\0', length))
		return error_set(error, EINVAL, "the path of a socket has a NUL in it");
	if (length >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return error_set(error, EINVAL, "the path of a socket has at most 107 bytes");
	memcpy(target->name, path, length);
	target->name[length] = '\0';
	target->kind = POLICY_NET_UNIX;
	return check_path(target->name, error);
}

int policy_target_parse(const char *host, size_t length, uint16_t port, bool unix_socket,
	struct policy_target *ret, struct error *error)
{
	struct policy_target target = {.port = unix_socket ? 0 : port};
	int result = unix_socket ? parse_path(host, length, &target, error)
				 : parse_host(host, length, &target, error);
	if (result == 0)
		*ret = target;
	return result;
}

/* ---- rules ---- */

/* Port 0, of a name that is only resolved: any port that the rule has. */
static bool port_matches(const struct policy_net_rule *rule, uint16_t port)
{
	return port == 0 || (port >= rule->port_first && port <= rule->port_last);
}

/* To deny a name as such takes a rule for all of its ports. */
static bool port_denied(const struct policy_net_rule *rule, uint16_t port)
{
	if (port == 0)
		return rule->port_first <= 1 && rule->port_last == UINT16_MAX;
	return port_matches(rule, port);
}

/* *.example.com is ".example.com": some label must stand before the dot. */
static bool name_matches(const struct policy_net_rule *rule, const char *name)
{
	if (rule->kind == POLICY_NET_HOST)
		return strcmp(rule->name, name) == 0;
	if (rule->kind != POLICY_NET_SUFFIX)
		return false;
	const size_t length = strlen(name), suffix = strlen(rule->name);
	return length > suffix && strcmp(name + length - suffix, rule->name) == 0;
}

static bool address_matches(const struct policy_net_rule *rule, int family, const uint8_t *address)
{
	return rule->kind == POLICY_NET_ADDRESS && rule->family == family &&
	       same_bits(rule->address, address, rule->prefix);
}

static const struct policy_net_rule *find_name(const struct policy_net_rules *rules,
	const char *name, uint16_t port,
	bool (*port_fits)(const struct policy_net_rule *, uint16_t))
{
	for (size_t i = 0; i < rules->count; i++)
		if (port_fits(&rules->items[i], port) && name_matches(&rules->items[i], name))
			return &rules->items[i];
	return NULL;
}

/* Deny holds for the address and for the IPv4 address in it. */
static const struct policy_net_rule *find_denied(
	const struct policy_net_rules *rules, int family, const uint8_t *address, uint16_t port)
{
	const int at = family == AF_INET6 ? embedded_at(address) : -1;
	for (size_t i = 0; i < rules->count; i++) {
		const struct policy_net_rule *rule = &rules->items[i];
		if (port_denied(rule, port) &&
			(address_matches(rule, family, address) ||
				(at >= 0 && address_matches(rule, AF_INET, address + at / 8))))
			return rule;
	}
	return NULL;
}

/* A special address needs a rule within its own block: 0.0.0.0/0 means the Internet, not
 * this host's databases. */
static const struct policy_net_rule *find_granted(const struct policy_net_rules *rules, int family,
	const uint8_t *address, uint16_t port, struct special special)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct policy_net_rule *rule = &rules->items[i];
		if (port_matches(rule, port) && address_matches(rule, family, address) &&
			(special.kind == NULL || rule->prefix >= special.prefix))
			return rule;
	}
	return NULL;
}

static const struct policy_net_rule *find_unix(
	const struct policy_net_rules *rules, const char *path)
{
	for (size_t i = 0; i < rules->count; i++)
		if (rules->items[i].kind == POLICY_NET_UNIX &&
			strcmp(rules->items[i].name, path) == 0)
			return &rules->items[i];
	return NULL;
}

/* ---- decisions ---- */

__attribute__((format(printf, 4, 5))) static void decide(struct policy_decision *decision,
	bool allowed, const struct policy_net_rule *rule, const char *format, ...)
{
	va_list arguments;
	decision->allowed = allowed;
	decision->rule = rule;
	va_start(arguments, format);
	vsnprintf(decision->reason, sizeof decision->reason, format, arguments);
	va_end(arguments);
}

static void decide_by_rule(
	struct policy_decision *decision, bool allowed, const struct policy_net_rule *rule)
{
	char text[POLICY_NET_TEXT_MAX];
	policy_net_rule_format(rule, text);
	decide(decision, allowed, rule, "\"%.200s\" in net.%s %s it", text,
		allowed ? "connect" : "deny", allowed ? "allows" : "denies");
}

static void format_address(int family, const uint8_t *address, uint16_t port, char text[64])
{
	char plain[INET6_ADDRSTRLEN];
	inet_ntop(family, address, plain, sizeof plain);
	const bool six = family == AF_INET6;
	int length = snprintf(text, 64, "%s%s%s", six ? "[" : "", plain, six ? "]" : "");
	if (port)
		snprintf(text + length, 64 - (size_t)length, ":%u", port);
}

static void decide_nothing_matches(
	struct policy_decision *decision, const char *what, uint16_t port)
{
	if (port)
		decide(decision, false, NULL, "no rule allows it: add \"%.180s:%u\" to net.connect",
			what, port);
	else
		decide(decision, false, NULL, "no rule allows it: add \"%.180s\" to net.connect",
			what);
}

/* FAMILY and ADDRESS are canonical. OWN: it is this host's. BY_NAME: what allows the name
 * that led here. */
static void match_address(const struct policy_net_rules *connect,
	const struct policy_net_rules *deny, int family, const uint8_t *address, uint16_t port,
	bool own, const struct policy_net_rule *by_name, struct policy_decision *ret)
{
	char text[64], bare[64];
	struct special special = special_of(family, address);
	/* What listens on all addresses of the host is not the Internet, either. */
	if (own && special.kind == NULL)
		special = (struct special){
			.kind = "public", .prefix = family == AF_INET ? 32 : 128, .own = true};
	const struct policy_net_rule *rule = find_denied(deny, family, address, port);
	if (rule) {
		decide_by_rule(ret, false, rule);
		return;
	}
	rule = find_granted(connect, family, address, port, special);
	if (rule == NULL && special.kind == NULL)
		rule = by_name;
	if (rule) {
		decide_by_rule(ret, true, rule);
		return;
	}
	format_address(family, address, 0, bare);
	format_address(family, address, port, text);
	if (special.kind)
		decide(ret, false, NULL,
			"the %s address %s%s needs a grant by address of its own, e.g. \"%s\" in "
			"net.connect",
			special.kind, bare, special.own ? " of this host itself" : "", text);
	else
		decide(ret, false, NULL, "no rule allows it: add \"%s\" to net.connect", text);
}

/* Names that never leave the host: RFC 6761, 6.3. */
static bool is_local_name(const char *name)
{
	static const char suffix[] = ".localhost";
	size_t length = strlen(name), tail = sizeof suffix - 1;
	return strcmp(name, suffix + 1) == 0 ||
	       (length > tail && strcmp(name + length - tail, suffix) == 0);
}

/* Whether a name that no rule names may be looked up for its addresses to decide. Looking
 * up is telling somebody outside: only where all of the Internet is granted anyway. */
static bool addresses_may_decide(
	const struct policy_net_rules *rules, const char *name, uint16_t port)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct policy_net_rule *rule = &rules->items[i];
		if (rule->kind == POLICY_NET_ADDRESS && port_matches(rule, port) &&
			(rule->prefix == 0 || is_local_name(name)))
			return true;
	}
	return false;
}

void policy_match_target(const struct policy_net_rules *connect,
	const struct policy_net_rules *deny, const struct policy_target *target,
	struct policy_decision *ret)
{
	const struct policy_net_rule *rule;
	char path[160];
	*ret = (struct policy_decision){0};
	switch (target->kind) {
	case POLICY_NET_ADDRESS:
		match_address(connect, deny, target->family, target->address, target->port, false,
			NULL, ret);
		return;
	case POLICY_NET_UNIX:
		rule = find_unix(deny, target->name);
		if (rule) {
			decide_by_rule(ret, false, rule);
			return;
		}
		rule = find_unix(connect, target->name);
		if (rule) {
			decide_by_rule(ret, true, rule);
			return;
		}
		snprintf(path, sizeof path, "unix:%.150s", target->name);
		decide_nothing_matches(ret, path, 0);
		return;
	default:
		break;
	}
	rule = find_name(deny, target->name, target->port, port_denied);
	if (rule) {
		decide_by_rule(ret, false, rule);
		return;
	}
	rule = find_name(connect, target->name, target->port, port_matches);
	if (rule)
		decide_by_rule(ret, true, rule);
	else if (addresses_may_decide(connect, target->name, target->port))
		decide(ret, true, NULL, "its addresses decide");
	else
		decide_nothing_matches(ret, target->name, target->port);
}

void policy_match_address(const struct policy_net_rules *connect,
	const struct policy_net_rules *deny, const struct policy_target *target, int family,
	const uint8_t address[16], bool own, struct policy_decision *ret)
{
	const struct policy_net_rule *by_name = NULL;
	uint8_t canonical[16];
	*ret = (struct policy_decision){0};
	canonical_address(family, address, &family, canonical);
	if (target->kind == POLICY_NET_UNIX) {
		decide(ret, false, NULL, "a socket's path has no address");
		return;
	}
	if (target->kind == POLICY_NET_HOST) {
		const struct policy_net_rule *denied =
			find_name(deny, target->name, target->port, port_denied);
		if (denied) {
			decide_by_rule(ret, false, denied);
			return;
		}
		by_name = find_name(connect, target->name, target->port, port_matches);
	}
	match_address(connect, deny, family, canonical, target->port, own, by_name, ret);
}

const char *policy_match_path(const struct policy_list *list, const char *path)
{
	struct error error;
	if (check_path(path, &error) < 0)
		return NULL;
	for (size_t i = 0; i < list->count; i++) {
		const char *item = list->items[i];
		if (path_is_in(path, item))
			return item;
	}
	return NULL;
}

const struct policy_site *policy_match_site(
	const struct policy_sites *sites, const char *host, const char *path)
{
	const struct policy_site *best = NULL;
	for (size_t i = 0; i < sites->count; i++) {
		const struct policy_site *site = &sites->items[i];
		if (site_host_matches(site->host, host) && site_path_matches(site->path, path) &&
			(!best || site_compare(site->host, site->path, best->host, best->path) > 0))
			best = site;
	}
	return best;
}

bool policy_covers_site(const struct policy_sites *sites, const struct policy_site *wanted)
{
	/* Every name below the dot is below a wildcard that its own suffix is. */
	const char *host = wanted->host[0] == '*' ? wanted->host + 1 : wanted->host;
	for (size_t i = 0; i < sites->count; i++) {
		const struct policy_site *site = &sites->items[i];
		const bool wide = site->host[0] == '*' && site_host_matches(site->host, host);
		if ((wide || strcmp(site->host, wanted->host) == 0) &&
			site_path_matches(site->path, wanted->path))
			return true;
	}
	return false;
}
