/* Does a policy allow it? The one matcher: egress enforces with it, `tenantctl policy
 * test` and process.permission ask it. Pure functions. */
#pragma once

#include "policy/policy.h"

/* What a tenant asks to connect to, made canonical: a host in one spelling only. */
struct policy_target {
	enum policy_net_kind kind; /* HOST, ADDRESS or UNIX */
	char name[256];            /* HOST: lower case, no dot at the end; UNIX: path */
	int family;
	uint8_t address[16]; /* ADDRESS; a mapped IPv4 address is that IPv4 address */
	uint16_t port;
};

/* Makes HOST (LENGTH bytes, any bytes) canonical: names to lower case A-labels; numeric,
 * octal, hexadecimal and short addresses (0x7f.1, 2130706433) and ::ffff:a.b.c.d to the
 * address that connect(2) would use; brackets off. NULs, whitespace, %zone, empty labels and
 * whatever else is not a name: -EINVAL with the reason. UNIX_SOCKET: HOST is a path, absolute and
 * normalised. */
int policy_target_parse(const char *host, size_t length, uint16_t port, bool unix_socket,
	struct policy_target *ret, struct error *error);

struct policy_decision {
	bool allowed;
	/* The rule that decided, in connect or deny; NULL: no rule matches. */
	const struct policy_net_rule *rule;
	char reason[256]; /* in words */
};

/* Before resolving: may this name, address or path be asked for at all? A name must be
 * allowed by a HOST or SUFFIX rule, since looking it up tells it to servers outside. But for
 * localhost, and where a rule grants all addresses (0.0.0.0/0, ::/0), the addresses decide:
 * then allowed is true, RULE NULL. */
void policy_match_target(const struct policy_net_rules *connect,
	const struct policy_net_rules *deny, const struct policy_target *target,
	struct policy_decision *ret);

/* After resolving: may TARGET (a name, or this address) be reached at ADDRESS? Deny rules, by
 * name and by address, beat all. A private, loopback, link-local, multicast, documentation or
 * metadata address needs an ADDRESS rule of its own, whatever the name's rule says; so does a
 * public one that is OWN, an address of this host (common/route.h), the rule being that one
 * address. */
void policy_match_address(const struct policy_net_rules *connect,
	const struct policy_net_rules *deny, const struct policy_target *target, int family,
	const uint8_t address[16], bool own, struct policy_decision *ret);

/* Is the address one of those that need a grant by address? The kind in words ("loopback",
 * "private", "link-local", …), or NULL for a public one. */
const char *policy_address_kind(int family, const uint8_t address[16]);

/* Files and programs: PATH, absolute and normalised, is one of LIST or below it. /a/b is
 * below /a, /ab is not. The entry, or NULL. */
const char *policy_match_path(const struct policy_list *list, const char *path);

/* Shared ports: the most specific of SITES that a request for HOST and PATH matches, both as
 * common/site.h makes them; or NULL. */
const struct policy_site *policy_match_site(
	const struct policy_sites *sites, const char *host, const char *path);
/* Is each request that WANTED stands for matched by one of SITES? */
bool policy_covers_site(const struct policy_sites *sites, const struct policy_site *wanted);
