/* The matcher: every spelling of an address is one target, every special address needs a
 * grant of its own, deny beats allow, and a suffix or path ends where it should. */
#include "common/cleanup.h"
#include "policy/match.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

/* ---- targets ---- */

static const struct {
	const char *host, *canonical; /* NULL: refused */
} spellings[] = {
	{"example.com", "example.com"},
	{"EXAMPLE.Com", "example.com"},
	{"example.com.", "example.com"},
	{"a_b.example", "a_b.example"},
	{"xn--bcher-kva.example", "xn--bcher-kva.example"},
	{"localhost", "localhost"},
	{"1.example", "1.example"},
	{"0x7f.example", "0x7f.example"},
	{"1e100.net", "1e100.net"},
	{"127.0.0.1.nip.io", "127.0.0.1.nip.io"},
	{"deadbeef", "deadbeef"},
	/* IPv4, however it is written (Deno #33203) */
	{"127.0.0.1", "127.0.0.1"},
	{"127.0.0.1.", "127.0.0.1"},
	{"2130706433", "127.0.0.1"},
	{"0x7f000001", "127.0.0.1"},
	{"0X7F000001", "127.0.0.1"},
	{"017700000001", "127.0.0.1"},
	{"127.1", "127.0.0.1"},
	{"127.0.1", "127.0.0.1"},
	{"0x7f.1", "127.0.0.1"},
	{"0177.0.0.01", "127.0.0.1"},
	{"0x7f.0x0.0x0.0x1", "127.0.0.1"},
	{"10.65535", "10.0.255.255"},
	{"1.2.65535", "1.2.255.255"},
	{"4294967295", "255.255.255.255"},
	{"0", "127.0.0.1"}, /* this host: what connect(2) makes of it */
	{"0.0.0.0", "127.0.0.1"},
	{"0x0", "127.0.0.1"},
	{"000", "127.0.0.1"},
	{"192.168.0.1", "192.168.0.1"},
	{"0300.0250.0.1", "192.168.0.1"},
	/* numbers that are none */
	{"4294967296", NULL},
	{"99999999999999999999999999", NULL},
	{"256.0.0.1", NULL},
	{"1.2.3.256", NULL},
	{"1.2.65536", NULL},
	{"1.16777216", NULL},
	{"1.2.3.4.5", NULL},
	{"08", NULL},
	{"0xg", "0xg"},
	{"0x", NULL},
	{"1.2.3.0x", NULL},
	{"09.0.0.1", NULL},
	{"example.123", NULL},
	{"example.0x1f", NULL},
	{"1..2", NULL},
	/* IPv6 */
	{"::1", "::1"},
	{"[::1]", "::1"},
	{"0:0:0:0:0:0:0:1", "::1"},
	{"::", "::1"},
	{"[::]", "::1"},
	{"2001:DB8::1", "2001:db8::1"},
	{"[fe80::1]", "fe80::1"},
	{"64:ff9b::7f00:1", "64:ff9b::7f00:1"},
	{"::127.0.0.1", "::127.0.0.1"},
	/* mapped (Deno #33223) */
	{"::ffff:127.0.0.1", "127.0.0.1"},
	{"[::ffff:127.0.0.1]", "127.0.0.1"},
	{"::ffff:7f00:1", "127.0.0.1"},
	{"::FFFF:7F00:0001", "127.0.0.1"},
	{"0:0:0:0:0:ffff:a9fe:a9fe", "169.254.169.254"},
	{"::ffff:0.0.0.0", "127.0.0.1"},
	{"::ffff:8.8.8.8", "8.8.8.8"},
	{"[::1", NULL},
	{"::1]", NULL},
	{"[]", NULL},
	{"[", NULL},
	{"[127.0.0.1]", NULL},
	{"[example.com]", NULL},
	{"::1%lo", NULL},
	{"fe80::1%25eth0", NULL},
	{"[fe80::1%1]", NULL},
	{":::", NULL},
	{"1:2:3:4:5:6:7:8:9", NULL},
	{"::ffff:127.0.0.1.", NULL},
	{"::ffff:0x7f.0.0.1", NULL},
	{"12345::", NULL},
	/* what is no name */
	{"", NULL},
	{".", NULL},
	{"..", NULL},
	{".example.com", NULL},
	{"example..com", NULL},
	{"example.com..", NULL},
	{"-a.example", NULL},
	{"a-.example", NULL},
	{"*.example.com", NULL},
	{"*", NULL},
	{"a b", NULL},
	{" example.com", NULL},
	{"example.com ", NULL},
	{"example.com\t", NULL},
	{"example.com\n", NULL},
	{"example\r\n.com", NULL},
	{"a\x7f.example", NULL},
	{"example.com/", NULL},
	{"example.com/x", NULL},
	{"user@example.com", NULL},
	{"example.com:80", NULL},
	{"exa%6dple.com", NULL},
	{"example%00.com", NULL},
	{"example.com%2e", NULL},
	{"example,com", NULL},
	{"b\xc3\xbc"
	 "cher.example",
		NULL},
	{"\xe2\x92\x88.example", NULL},
	{"example\xe3\x80\x82"
	 "com",
		NULL},
	{"\xff\xfe", NULL},
	{"a\\b", NULL},
	{"a#b", NULL},
	{"a?b", NULL},
	{"a;b", NULL},
	{"a\"b", NULL},
	{"a'b", NULL},
	{"a$b", NULL},
};

static void show(const struct policy_target *target, char text[300])
{
	if (target->kind == POLICY_NET_ADDRESS)
		inet_ntop(target->family, target->address, text, 300);
	else
		snprintf(text, 300, "%s", target->name);
}

static void test_spellings(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(spellings); i++) {
		struct policy_target target;
		struct error error = {0};
		char text[300];
		int result = policy_target_parse(
			spellings[i].host, strlen(spellings[i].host), 80, false, &target, &error);
		if (spellings[i].canonical == NULL) {
			if (result != -EINVAL || error.message[0] == '\0')
				fail_msg("\"%s\" was not refused", spellings[i].host);
			continue;
		}
		if (result < 0)
			fail_msg("%s", error.message);
		show(&target, text);
		assert_string_equal(text, spellings[i].canonical);
		assert_int_equal(target.port, 80);
	}
}

/* NULs cut a C string short, and with it whatever is checked (Node's CVE-2026-105482 and
 * 48930). */
static void test_bytes_that_end_a_string(void **state)
{
	static const char host[] = "good.example\0.evil.example";
	struct policy_target target;
	struct error error;
	(void)state;
	for (size_t length = 13; length < sizeof host; length++)
		assert_int_equal(
			policy_target_parse(host, length, 80, false, &target, &error), -EINVAL);
	assert_non_null(strstr(error.message, "NUL"));
	assert_int_equal(policy_target_parse("\0", 1, 80, false, &target, &error), -EINVAL);
	assert_int_equal(policy_target_parse("/run/a\0b", 8, 0, true, &target, &error), -EINVAL);
}

static void test_lengths(void **state)
{
	char name[300], label[70];
	struct policy_target target;
	struct error error;
	(void)state;
	memset(label, 'a', sizeof label);
	assert_int_equal(policy_target_parse(label, 63, 80, false, &target, &error), 0);
	assert_int_equal(policy_target_parse(label, 64, 80, false, &target, &error), -EINVAL);
	for (size_t i = 0; i < sizeof name; i++)
		name[i] = i % 50 == 49 ? '.' : 'a';
	assert_int_equal(policy_target_parse(name, 253, 80, false, &target, &error), 0);
	assert_int_equal(policy_target_parse(name, 254, 80, false, &target, &error), -EINVAL);
	assert_int_equal(policy_target_parse(name, 300, 80, false, &target, &error), -EINVAL);
}

static void test_unix_paths(void **state)
{
	static const struct {
		const char *path;
		bool good;
	} paths[] = {{"/run/db.sock", true}, {"/a", true}, {"run/db.sock", false}, {"", false},
		{"/run//db", false}, {"/run/../db", false}, {"/run/./db", false}, {"/run/", false},
		{"@abstract", false}, {"/run/\n", false}};
	struct policy_target target;
	struct error error;
	char path[200];
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++)
		assert_int_equal(policy_target_parse(paths[i].path, strlen(paths[i].path), 0, true,
					 &target, &error) == 0,
			paths[i].good);
	memset(path, 'a', sizeof path);
	path[0] = '/';
	assert_int_equal(policy_target_parse(path, 107, 0, true, &target, &error), 0);
	assert_int_equal(policy_target_parse(path, 108, 0, true, &target, &error), -EINVAL);
}

/* ---- kinds of addresses ---- */

static const struct {
	const char *address, *kind;
} kinds[] = {
	{"8.8.8.8", NULL},
	{"1.1.1.1", NULL},
	{"93.184.216.34", NULL},
	{"9.255.255.255", NULL},
	{"11.0.0.0", NULL},
	{"100.63.255.255", NULL},
	{"100.128.0.0", NULL},
	{"126.255.255.255", NULL},
	{"128.0.0.0", NULL},
	{"169.253.255.255", NULL},
	{"169.255.0.0", NULL},
	{"172.15.255.255", NULL},
	{"172.32.0.0", NULL},
	{"192.167.255.255", NULL},
	{"192.169.0.0", NULL},
	{"198.17.255.255", NULL},
	{"198.20.0.0", NULL},
	{"223.255.255.255", NULL},
	{"0.0.0.0", "unspecified"},
	{"0.1.2.3", "reserved"},
	{"10.0.0.0", "private"},
	{"10.255.255.255", "private"},
	{"100.64.0.0", "carrier-grade NAT"},
	{"100.127.255.255", "carrier-grade NAT"},
	{"100.100.100.200", "metadata"},
	{"127.0.0.1", "loopback"},
	{"127.255.255.255", "loopback"},
	{"168.63.129.16", "metadata"},
	{"168.63.129.17", NULL},
	{"169.254.0.1", "link-local"},
	{"169.254.169.254", "metadata"},
	{"169.254.170.2", "metadata"},
	{"172.16.0.0", "private"},
	{"172.31.255.255", "private"},
	{"192.0.0.1", "reserved"},
	{"192.168.1.1", "private"},
	{"198.18.0.1", "benchmark"},
	{"198.19.255.255", "benchmark"},
	{"224.0.0.1", "multicast"},
	{"239.255.255.255", "multicast"},
	{"240.0.0.1", "reserved"},
	{"255.255.255.255", "broadcast"},
	{"2606:2800::1", NULL},
	{"2a00:1450:4001::1", NULL},
	{"2002:808:808::1", NULL},
	{"64:ff9b::8.8.8.8", NULL},
	{"::", "unspecified"},
	{"::1", "loopback"},
	{"::2", "IPv4-compatible"},
	{"::8.8.8.8", "IPv4-compatible"},
	{"::127.0.0.1", "loopback"},
	{"::10.0.0.1", "private"},
	{"::ffff:127.0.0.1", "loopback"},
	{"::ffff:8.8.8.8", NULL},
	{"::ffff:0:10.0.0.1", "private"},
	{"::ffff:0:8.8.8.8", "reserved"},
	{"64:ff9b::127.0.0.1", "loopback"},
	{"64:ff9b::169.254.169.254", "metadata"},
	{"64:ff9b::10.1.2.3", "private"},
	{"64:ff9b:1::1", "private"},
	{"64:ff9c::1", "reserved"},
	{"2002:7f00:1::", "loopback"},
	{"2002:a9fe:a9fe::1", "metadata"},
	{"2002:a00:1::5", "private"},
	{"2001::1", "Teredo"},
	{"2001:2::1", "benchmark"},
	{"2001:10::1", "reserved"},
	{"2001:20::1", "reserved"},
	{"2001:db8::1", "documentation"},
	{"2001:4860::1", NULL},
	{"3fff::1", "documentation"},
	{"3fff:1000::1", NULL},
	{"100::1", "discard"},
	{"fc00::1", "private"},
	{"fd12:3456::1", "private"},
	{"fd00:ec2::254", "metadata"},
	{"fd00:ec2::255", "private"},
	{"fd20:ce::254", "metadata"},
	{"fe80::1", "link-local"},
	{"febf::1", "link-local"},
	{"fec0::1", "site-local"},
	{"ff02::1", "multicast"},
	{"4000::1", "reserved"},
	{"8000::1", "reserved"},
	{"1::1", "reserved"},
};

static int parse_address(const char *text, uint8_t address[16])
{
	memset(address, 0, 16);
	if (inet_pton(AF_INET, text, address) == 1)
		return AF_INET;
	assert_int_equal(inet_pton(AF_INET6, text, address), 1);
	return AF_INET6;
}

static void test_kinds(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
		uint8_t address[16];
		int family = parse_address(kinds[i].address, address);
		const char *kind = policy_address_kind(family, address);
		if ((kind == NULL) != (kinds[i].kind == NULL) ||
			(kind && strcmp(kind, kinds[i].kind) != 0))
			fail_msg("%s is \"%s\", not \"%s\"", kinds[i].address,
				kind ? kind : "public", kinds[i].kind ? kinds[i].kind : "public");
	}
}

/* ---- rules ---- */

#define RULES_MOST 4

struct rules {
	struct policy_net_rule items[RULES_MOST];
	struct policy_net_rules list;
};

static void parse_rules(const char *const texts[RULES_MOST], struct rules *rules)
{
	struct error error;
	rules->list = (struct policy_net_rules){.items = rules->items};
	for (size_t i = 0; i < RULES_MOST && texts[i]; i++)
		if (policy_net_rule_parse(texts[i], &rules->items[rules->list.count++], &error) < 0)
			fail_msg("%s: %s", texts[i], error.message);
}

static const struct {
	const char *connect[RULES_MOST], *deny[RULES_MOST];
	const char *host;
	uint16_t port;
	bool allowed;
	const char *reason; /* part of it; NULL: any */
} targets[] = {
	{{"example.com:443"}, {0}, "example.com", 443, true, "\"example.com:443\" in net.connect"},
	{{"example.com:443"}, {0}, "EXAMPLE.COM.", 443, true, NULL},
	{{"example.com:443"}, {0}, "example.com", 80, false, "add \"example.com:80\""},
	{{"example.com"}, {0}, "example.com", 1, true, NULL},
	{{"example.com"}, {0}, "example.com", 65535, true, NULL},
	{{"example.com:8000-8100"}, {0}, "example.com", 7999, false, NULL},
	{{"example.com:8000-8100"}, {0}, "example.com", 8000, true, NULL},
	{{"example.com:8000-8100"}, {0}, "example.com", 8100, true, NULL},
	{{"example.com:8000-8100"}, {0}, "example.com", 8101, false, NULL},
	{{0}, {0}, "example.com", 443, false, "no rule allows it"},
	{{"example.com"}, {0}, "www.example.com", 443, false, NULL},
	{{"example.com"}, {0}, "example.com.evil.org", 443, false, NULL},
	{{"example.com"}, {0}, "xexample.com", 443, false, NULL},
	{{"example.com"}, {0}, "example.co", 443, false, NULL},
	/* CVE-2024-27932, 2026-58043, 2026-106071 */
	{{"*.example.com"}, {0}, "www.example.com", 443, true, NULL},
	{{"*.example.com"}, {0}, "a.b.example.com", 443, true, NULL},
	{{"*.example.com"}, {0}, "example.com", 443, false, NULL},
	{{"*.example.com"}, {0}, "evil-example.com", 443, false, NULL},
	{{"*.example.com"}, {0}, "evilexample.com", 443, false, NULL},
	{{"*.example.com"}, {0}, "www.example.com.evil.org", 443, false, NULL},
	{{"*.example.com"}, {0}, "www.example.co", 443, false, NULL},
	{{"*.example.com:443"}, {0}, "www.example.com", 80, false, NULL},
	/* deny beats allow (CVE-2025-48888) */
	{{"example.com"}, {"example.com"}, "example.com", 443, false, "in net.deny denies it"},
	{{"*.example.com"}, {"internal.example.com"}, "internal.example.com", 443, false, NULL},
	{{"*.example.com"}, {"internal.example.com"}, "www.example.com", 443, true, NULL},
	{{"internal.example.com"}, {"*.example.com"}, "internal.example.com", 443, false, NULL},
	{{"example.com"}, {"example.com:25"}, "example.com", 25, false, NULL},
	{{"example.com"}, {"example.com:25"}, "example.com", 443, true, NULL},
	/* addresses */
	{{"192.0.2.1:443"}, {0}, "192.0.2.1", 443, true, NULL},
	{{"192.0.2.1:443"}, {0}, "192.0.2.1", 80, false, NULL},
	{{"192.0.2.1"}, {0}, "192.0.2.2", 80, false, NULL},
	{{"10.1.0.0/16:5432"}, {0}, "10.1.255.255", 5432, true, NULL},
	{{"10.1.0.0/16:5432"}, {0}, "10.2.0.0", 5432, false, NULL},
	{{"8.8.8.0/23"}, {0}, "8.8.9.255", 53, true, NULL},
	{{"8.8.8.0/23"}, {0}, "8.8.10.0", 53, false, "add \"8.8.10.0:53\""},
	{{"[2001:db8::/32]:443"}, {0}, "[2001:db8:ffff::1]", 443, true, NULL},
	{{"[2001:db8::/32]:443"}, {0}, "[2001:db9::1]", 443, false, NULL},
	{{"127.0.0.1:80"}, {0}, "2130706433", 80, true, NULL},
	{{"127.0.0.1:80"}, {0}, "0x7f.1", 80, true, NULL},
	{{"127.0.0.1:80"}, {0}, "::ffff:127.0.0.1", 80, true, NULL},
	{{"127.0.0.1:80"}, {0}, "0.0.0.0", 80, true, NULL},
	{{"127.0.0.1:80"}, {0}, "127.0.0.2", 80, false, "loopback address 127.0.0.2 needs"},
	{{"[::1]:80"}, {0}, "::", 80, true, NULL},
	{{"127.0.0.1"}, {0}, "::1", 80, false, "loopback"},
	{{"[::1]"}, {0}, "127.0.0.1", 80, false, "loopback"},
	{{"*.example.com"}, {0}, "127.0.0.1", 80, false, NULL},
	{{"0.0.0.0/0"}, {0}, "8.8.8.8", 80, true, NULL},
	{{"0.0.0.0/0"}, {"8.8.8.8"}, "8.8.8.8", 80, false, NULL},
	{{"0.0.0.0/0"}, {"8.8.8.0/24:80"}, "8.8.8.8", 443, true, NULL},
	/* a wide grant is no grant of what is special */
	{{"0.0.0.0/0"}, {0}, "127.0.0.1", 80, false, "needs a grant by address of its own"},
	{{"0.0.0.0/0"}, {0}, "10.0.0.5", 80, false, "e.g. \"10.0.0.5:80\""},
	{{"0.0.0.0/0", "[::/0]"}, {0}, "169.254.169.254", 80, false, "metadata"},
	{{"169.254.0.0/16"}, {0}, "169.254.169.254", 80, false, "metadata"},
	{{"169.254.0.0/16"}, {0}, "169.254.1.1", 80, true, NULL},
	{{"169.254.169.254:80"}, {0}, "169.254.169.254", 80, true, NULL},
	{{"[::/0]"}, {0}, "::1", 80, false, "loopback"},
	{{"[::/0]"}, {0}, "fd00::1", 80, false, "private"},
	{{"[fd00::/8]"}, {0}, "fd00::1", 80, true, NULL},
	{{"[fd00::/8]"}, {0}, "fd00:ec2::254", 80, false, "metadata"},
	{{"[::/0]"}, {0}, "2606:2800::1", 80, true, NULL},
	/* an IPv4 address in an IPv6 one */
	{{"[::/0]"}, {0}, "64:ff9b::8.8.8.8", 80, true, NULL},
	{{"[::/0]"}, {0}, "64:ff9b::127.0.0.1", 80, false, "loopback"},
	{{"[64:ff9b::/96]"}, {0}, "64:ff9b::127.0.0.1", 80, false, "loopback"},
	{{"[64:ff9b::7f00:0/104]"}, {0}, "64:ff9b::127.0.0.1", 80, true, NULL},
	{{"[::/0]"}, {0}, "2002:7f00:1::", 80, false, "loopback"},
	{{"[::/0]"}, {0}, "2002:a9fe:a9fe::", 80, false, "metadata"},
	{{"[::/0]"}, {0}, "::7f00:1", 80, false, "loopback"},
	{{"[::/0]"}, {"8.8.8.8"}, "64:ff9b::8.8.8.8", 80, false, "in net.deny"},
	{{"[::/0]"}, {"8.8.8.8"}, "2002:808:808::1", 80, false, "in net.deny"},
	{{"[::/0]", "0.0.0.0/0"}, {"8.8.8.8"}, "::ffff:8.8.8.8", 80, false, "in net.deny"},
	/* names that addresses may allow */
	{{"0.0.0.0/0:5432"}, {0}, "db.internal", 5432, true, "its addresses decide"},
	{{"[::/0]"}, {0}, "db.internal", 5432, true, "its addresses decide"},
	{{"0.0.0.0/0:5432"}, {0}, "db.internal", 80, false, NULL},
	{{"127.0.0.1:80"}, {0}, "localhost", 80, true, "its addresses decide"},
	{{"127.0.0.1:80"}, {0}, "api.localhost", 80, true, "its addresses decide"},
	/* a name is not told to servers outside for an address's sake */
	{{"10.0.0.0/8:5432"}, {0}, "db.internal", 5432, false, "add \"db.internal:5432\" to"},
	{{"10.0.0.5:5432"}, {0}, "secret.attacker.example", 0, false, NULL},
	{{"127.0.0.1:80"}, {0}, "notlocalhost", 80, false, NULL},
	{{"10.0.0.0/8"}, {"db.internal"}, "db.internal", 80, false, "in net.deny"},
	{{"unix:/run/db.sock"}, {0}, "db.internal", 80, false, NULL},
	/* to look a name up, port 0 */
	{{"example.com:443"}, {0}, "example.com", 0, true, NULL},
	{{"example.com"}, {"example.com:25"}, "example.com", 0, true, NULL},
	{{"example.com"}, {"example.com"}, "example.com", 0, false, NULL},
	{{"example.com"}, {0}, "example.org", 0, false, "add \"example.org\" to"},
};

static void test_targets(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(targets); i++) {
		struct rules connect, deny;
		struct policy_target target;
		struct policy_decision decision;
		struct error error;
		parse_rules(targets[i].connect, &connect);
		parse_rules(targets[i].deny, &deny);
		if (policy_target_parse(targets[i].host, strlen(targets[i].host), targets[i].port,
			    false, &target, &error) < 0)
			fail_msg("%s", error.message);
		policy_match_target(&connect.list, &deny.list, &target, &decision);
		if (decision.allowed != targets[i].allowed ||
			(targets[i].reason && !strstr(decision.reason, targets[i].reason)))
			fail_msg("row %zu: %s:%u was %s: %s", i, targets[i].host, targets[i].port,
				decision.allowed ? "allowed" : "denied", decision.reason);
	}
}

static const struct {
	const char *connect[RULES_MOST], *deny[RULES_MOST];
	const char *host;
	uint16_t port;
	const char *address;
	bool allowed;
} resolved[] = {
	{{"example.com:443"}, {0}, "example.com", 443, "93.184.216.34", true},
	{{"example.com:443"}, {0}, "example.com", 443, "2606:2800::1", true},
	{{"example.com:443"}, {0}, "example.com", 443, "64:ff9b::8.8.8.8", true},
	/* rebinding: a public name, a private address (2026-49859, #36486) */
	{{"example.com:443"}, {0}, "example.com", 443, "127.0.0.1", false},
	{{"example.com:443"}, {0}, "example.com", 443, "0.0.0.0", false},
	{{"example.com:443"}, {0}, "example.com", 443, "10.0.0.5", false},
	{{"example.com:443"}, {0}, "example.com", 443, "169.254.169.254", false},
	{{"example.com:443"}, {0}, "example.com", 443, "::1", false},
	{{"example.com:443"}, {0}, "example.com", 443, "::", false},
	{{"example.com:443"}, {0}, "example.com", 443, "::ffff:127.0.0.1", false},
	{{"example.com:443"}, {0}, "example.com", 443, "::ffff:10.0.0.5", false},
	{{"example.com:443"}, {0}, "example.com", 443, "64:ff9b::10.0.0.5", false},
	{{"example.com:443"}, {0}, "example.com", 443, "2002:a00:5::1", false},
	{{"example.com:443"}, {0}, "example.com", 443, "fd00::1", false},
	{{"example.com:443"}, {0}, "example.com", 443, "fe80::1", false},
	{{"example.com:443"}, {0}, "example.com", 443, "ff02::1", false},
	{{"example.com:443"}, {0}, "example.com", 443, "255.255.255.255", false},
	{{"127.0.0.1.nip.io"}, {0}, "127.0.0.1.nip.io", 80, "127.0.0.1", false},
	{{"example.com", "0.0.0.0/0", "[::/0]"}, {0}, "example.com", 80, "10.0.0.5", false},
	/* the address of its own */
	{{"example.com", "10.0.0.5:80"}, {0}, "example.com", 80, "10.0.0.5", true},
	{{"example.com", "10.0.0.5:80"}, {0}, "example.com", 443, "10.0.0.5", false},
	{{"10.0.0.0/8:80"}, {0}, "db.internal", 80, "10.0.0.5", true},
	{{"10.0.0.0/8:80"}, {0}, "db.internal", 80, "8.8.8.8", false},
	{{"127.0.0.1:80"}, {0}, "localhost", 80, "127.0.0.1", true},
	{{"127.0.0.1:80"}, {0}, "localhost", 80, "::ffff:127.0.0.1", true},
	{{"127.0.0.1:80"}, {0}, "localhost", 80, "::1", false},
	/* deny, by either */
	{{"example.com"}, {"93.184.216.34"}, "example.com", 443, "93.184.216.34", false},
	{{"example.com"}, {"93.184.0.0/16"}, "example.com", 443, "93.184.216.34", false},
	{{"example.com"}, {"93.184.0.0/16:80"}, "example.com", 443, "93.184.216.34", true},
	{{"example.com"}, {"93.184.216.34"}, "example.com", 443, "::ffff:93.184.216.34", false},
	{{"example.com"}, {"93.184.216.34"}, "example.com", 443, "64:ff9b::93.184.216.34", false},
	{{"example.com", "10.0.0.5"}, {"example.com"}, "example.com", 443, "10.0.0.5", false},
	{{"10.0.0.0/8"}, {"10.0.0.5"}, "db.internal", 443, "10.0.0.5", false},
	{{"10.0.0.0/8"}, {"db.internal"}, "db.internal", 443, "10.0.0.5", false},
};

static void test_resolved_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(resolved); i++) {
		struct rules connect, deny;
		struct policy_target target;
		struct policy_decision decision;
		struct error error;
		uint8_t address[16];
		parse_rules(resolved[i].connect, &connect);
		parse_rules(resolved[i].deny, &deny);
		assert_int_equal(policy_target_parse(resolved[i].host, strlen(resolved[i].host),
					 resolved[i].port, false, &target, &error),
			0);
		int family = parse_address(resolved[i].address, address);
		policy_match_address(
			&connect.list, &deny.list, &target, family, address, false, &decision);
		if (decision.allowed != resolved[i].allowed || decision.reason[0] == '\0')
			fail_msg("row %zu: %s at %s was %s: %s", i, resolved[i].host,
				resolved[i].address, decision.allowed ? "allowed" : "denied",
				decision.reason);
	}
}

/* What is public and this host's own is reached by a rule for that one address only. */
static void test_own_addresses(void **state)
{
	static const struct {
		const char *connect[RULES_MOST], *deny[RULES_MOST];
		const char *host, *address;
		bool allowed;
	} rows[] = {
		{{"0.0.0.0/0"}, {0}, "203.0.113.7", "203.0.113.7", false},
		{{"203.0.113.0/24"}, {0}, "203.0.113.7", "203.0.113.7", false},
		{{"203.0.113.7/32"}, {0}, "203.0.113.7", "203.0.113.7", true},
		{{"203.0.113.7:80"}, {0}, "203.0.113.7", "203.0.113.7", false},
		{{"203.0.113.7:443"}, {0}, "203.0.113.7", "203.0.113.7", true},
		{{"203.0.113.7"}, {"203.0.113.0/24"}, "203.0.113.7", "203.0.113.7", false},
		{{"example.com"}, {0}, "example.com", "203.0.113.7", false},
		{{"example.com", "203.0.113.7"}, {0}, "example.com", "203.0.113.7", true},
		{{"example.com"}, {0}, "example.com", "::ffff:203.0.113.7", false},
		{{"[::/0]"}, {0}, "2606:2800::7", "2606:2800::7", false},
		{{"[2606:2800::/64]"}, {0}, "2606:2800::7", "2606:2800::7", false},
		{{"[2606:2800::7]:443"}, {0}, "2606:2800::7", "2606:2800::7", true},
		/* what is special anyway stays what it is */
		{{"10.0.0.0/8"}, {0}, "10.0.0.5", "10.0.0.5", true},
		{{"127.0.0.0/8"}, {0}, "127.0.0.1", "127.0.0.1", true},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct rules connect, deny;
		struct policy_target target;
		struct policy_decision decision;
		uint8_t address[16];
		parse_rules(rows[i].connect, &connect);
		parse_rules(rows[i].deny, &deny);
		assert_int_equal(policy_target_parse(rows[i].host, strlen(rows[i].host), 443, false,
					 &target, NULL),
			0);
		int family = parse_address(rows[i].address, address);
		policy_match_address(
			&connect.list, &deny.list, &target, family, address, true, &decision);
		if (decision.allowed != rows[i].allowed)
			fail_msg("row %zu: %s", i, decision.reason);
	}
}

static void test_sockets(void **state)
{
	static const char *const connect_texts[RULES_MOST] = {"unix:/run/db.sock", "0.0.0.0/0"};
	static const char *const deny_texts[RULES_MOST] = {"unix:/run/no.sock"};
	static const struct {
		const char *path;
		bool allowed;
	} paths[] = {{"/run/db.sock", true}, {"/run/db.sock2", false}, {"/run/db", false},
		{"/run", false}, {"/run/no.sock", false}, {"/run/db.sock/x", false}};
	struct rules connect, deny;
	(void)state;
	parse_rules(connect_texts, &connect);
	parse_rules(deny_texts, &deny);
	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
		struct policy_target target;
		struct policy_decision decision;
		struct error error;
		assert_int_equal(policy_target_parse(paths[i].path, strlen(paths[i].path), 0, true,
					 &target, &error),
			0);
		policy_match_target(&connect.list, &deny.list, &target, &decision);
		assert_int_equal(decision.allowed, paths[i].allowed);
	}
}

/* A reason holds the longest names. */
static void test_long_reasons(void **state)
{
	char name[254], rule[300];
	const char *texts[RULES_MOST] = {rule};
	struct rules connect, deny = {0};
	struct policy_target target;
	struct policy_decision decision;
	struct error error;
	(void)state;
	for (size_t i = 0; i < 253; i++)
		name[i] = i % 50 == 49 ? '.' : 'a';
	name[253] = '\0';
	snprintf(rule, sizeof rule, "%s:1000-2000", name);
	parse_rules(texts, &connect);
	assert_int_equal(policy_target_parse(name, 253, 1500, false, &target, &error), 0);
	policy_match_target(&connect.list, &deny.list, &target, &decision);
	assert_true(decision.allowed);
	policy_match_target(&deny.list, &connect.list, &target, &decision);
	assert_false(decision.allowed);
	assert_true(strlen(decision.reason) < sizeof decision.reason);
}

/* ---- paths ---- */

static void test_paths(void **state)
{
	static char *items[] = {"/srv/data", "/usr/bin/git", "/a/b"};
	static char *root[] = {"/"};
	const struct policy_list list = {items, ARRAY_LENGTH(items)}, all = {root, 1}, none = {0};
	static const struct {
		const char *path, *item;
	} paths[] = {
		{"/srv/data", "/srv/data"},
		{"/srv/data/x/y", "/srv/data"},
		{"/srv/database", NULL},
		{"/srv", NULL},
		{"/", NULL},
		{"/a/b", "/a/b"},
		{"/a/bc", NULL}, /* Node's CVE-2026-58043 */
		{"/a/b/../c", NULL},
		{"/a/b/./c", NULL},
		{"/a/b/", NULL},
		{"/a//b", NULL},
		{"a/b", NULL},
		{"", NULL},
		{"/usr/bin/git", "/usr/bin/git"},
		{"/usr/bin/git-shell", NULL},
		{"/A/B", NULL},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
		const char *item = policy_match_path(&list, paths[i].path);
		if ((item == NULL) != (paths[i].item == NULL) ||
			(item && strcmp(item, paths[i].item) != 0))
			fail_msg("%s", paths[i].path);
	}
	assert_string_equal(policy_match_path(&all, "/etc/passwd"), "/");
	assert_string_equal(policy_match_path(&all, "/"), "/");
	assert_null(policy_match_path(&none, "/etc"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spellings),
		cmocka_unit_test(test_bytes_that_end_a_string),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_unix_paths),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_resolved_addresses),
		cmocka_unit_test(test_own_addresses),
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_long_reasons),
		cmocka_unit_test(test_paths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
