/* The operator's policy of one tenant: policy.d/NAME.json, read, validated, printed.
 * Nothing granted means nothing reachable; an unknown key is an error; what this
 * version cannot enforce yet is refused, never ignored. Pure functions: no I/O but
 * reading the file. docs/policy.md is the reference for operators.
 *
 * An error's message holds one line for each problem, in order of place, as many as
 * fit: `FILE:LINE:COLUMN: /json/pointer: what is wrong, and what to do`. Whatever it
 * quotes is escaped (common/escape.h). */
#pragma once

#include "common/error.h"
#include "common/tier.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#define POLICY_LENGTH_MAX (1024 * 1024) /* bytes of a policy file or tenant.json */
#define POLICY_LIST_MAX 256             /* entries of one list */
#define POLICY_LISTENERS_MAX 16
#define POLICY_ENVIRONMENT_MAX (96 * 1024) /* bytes of a tenant's whole environment */

/* Strings that belong to the list. */
struct policy_list {
	char **items;
	size_t count;
};

enum policy_net_kind {
	POLICY_NET_HOST,    /* api.example.com: exactly this name */
	POLICY_NET_SUFFIX,  /* *.example.com: any name below it, not itself */
	POLICY_NET_ADDRESS, /* 10.1.0.0/16, 192.0.2.1, 2001:db8::/32 */
	POLICY_NET_UNIX,    /* unix:/run/db.sock */
};

/* One entry of net.connect or net.deny. */
struct policy_net_rule {
	enum policy_net_kind kind;
	char name[256];      /* HOST: lower case; SUFFIX: the same, from its dot on; UNIX: path */
	int family;          /* ADDRESS: AF_INET or AF_INET6 */
	uint8_t address[16]; /* ADDRESS: network order, bits behind the prefix are 0 */
	uint8_t prefix;      /* ADDRESS: bits, at most 32 or 128 */
	uint16_t port_first, port_last; /* 0 and 65535: any port. Not for UNIX */
};

struct policy_net_rules {
	struct policy_net_rule *items;
	size_t count;
};

/* One entry of net.listen. */
struct policy_listen {
	int family;          /* AF_INET, AF_INET6 or AF_UNIX */
	uint8_t address[16]; /* network order */
	uint16_t port;       /* 0: any free port */
	char name[64];       /* "": none. [a-z0-9-] as a tenant's */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

struct policy_listeners {
	struct policy_listen *items;
	size_t count;
};

/* One entry of net.ingress: what of the ports that tenants share is the tenant's
 * (common/site.h). */
struct policy_site {
	char *host; /* lower case; "*.example.com" */
	char *path; /* "/", "/api" */
	char *certificate, *key; /* absolute paths of PEM files; NULL: no TLS */
};

struct policy_sites {
	struct policy_site *items;
	size_t count;
};

struct policy_variable {
	char *name;
	char *value;
};

struct policy_variables {
	struct policy_variable *items;
	size_t count;
};

enum policy_audit { POLICY_AUDIT_OFF, POLICY_AUDIT_DENIED, POLICY_AUDIT_ALL };

/* Every limit is always set; each fits 32 bits, except bytes. Ranges: policy/parse.c. */
struct policy_limits {
	uint64_t memory_bytes;
	uint64_t cpu_percent; /* 100 is one core */
	uint64_t pids;        /* threads and processes */
	uint64_t files;       /* open descriptors of a process */
	uint64_t tmp_bytes;   /* of /tmp; 0: there is none */
	uint64_t time_ms;     /* of a whole run or job; 0: no limit */
	uint64_t stack_bytes; /* of JavaScript */
	struct {
		uint64_t concurrent; /* connections that are being made */
		uint64_t rate;       /* and so many a second */
		uint64_t time_ms;    /* to make one */
	} connect;
	struct {
		uint64_t cpu_ms;
		bool cpu_named; /* by the file; else cpu_ms is the default, for servers */
		uint64_t time_ms;
		uint64_t body_bytes;
		uint64_t concurrent;
	} request;
};

struct policy {
	uint64_t version;
	struct {
		struct policy_list read, write; /* absolute, normalised paths */
	} fs;
	struct {
		struct policy_net_rules connect, deny;
		struct policy_listeners listen;
		struct policy_sites ingress;
	} net;
	struct policy_list child_exec; /* absolute, normalised paths */
	struct {
		struct policy_list pass; /* names taken over from the daemon */
		struct policy_variables set;
		struct policy_list secrets; /* names */
	} env;
	bool allow_eval, allow_wasm, allow_jit;
	struct policy_limits limits;
	enum policy_audit audit;
	enum tier tier; /* the least that the tenant accepts; TIER_NONE: any */
	struct policy_list signed_by; /* public keys: base64, or paths; none: need not be signed */
};

/* Parses and validates LENGTH bytes of TEXT. FILE_NAME stands in messages only.
 * Returns 0 and a policy for policy_free, or -EINVAL (-ENOMEM) with ERROR filled. */
int policy_parse(const char *text, size_t length, const char *file_name, struct policy **ret,
	struct error *error);

/* Reads and parses the file PATH below DIR_FD (AT_FDCWD: the current folder). As
 * policy_parse, and the errors of open(2), read(2), -EFBIG. */
int policy_read(int dir_fd, const char *path, struct policy **ret, struct error *error);

/* The policy of a tenant that was given none: nothing but one listener on a free port
 * of 127.0.0.1. NULL when out of memory. */
struct policy *policy_default(void);

/* "off", "denied", "all"; -1 when NAME is none of them. */
const char *policy_audit_name(enum policy_audit audit);
int policy_audit_find(const char *name);

/* Takes NULL; returns NULL. */
struct policy *policy_free(struct policy *policy);

/* The policy as canonical JSON, every key present, a newline at the end: equal
 * policies print equally, and parsing the text gives the same policy. NULL when out
 * of memory. The text is the caller's to free. */
char *policy_print(const struct policy *policy);

/* Is NAME a tenant's name ([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)? 0 or -EINVAL. */
int policy_check_name(const char *name, struct error *error);

/* The environment of the tenant: the variables of ENVIRON that env.pass names, in
 * its order, then env.set; where both have a name, env.set wins. "NAME=value" each.
 * What ENVIRON lacks is left out. -E2BIG when it is over POLICY_ENVIRONMENT_MAX in
 * all, or one entry over 64 KiB. Free with policy_list_clear. */
int policy_environment(const struct policy *policy, char *const *environment,
	struct policy_list *ret, struct error *error);
void policy_list_clear(struct policy_list *list);

/* One entry of net.connect or net.deny: HOST, *.SUFFIX, ADDRESS, ADDRESS/PREFIX, each
 * with an optional :PORT or :FIRST-LAST, or unix:/PATH. */
int policy_net_rule_parse(const char *text, struct policy_net_rule *ret, struct error *error);

/* One entry of net.listen: 127.0.0.1:8080, [::1]:8080, unix:/path, each with NAME= before
 * it or without. */
int policy_listen_parse(const char *text, struct policy_listen *ret, struct error *error);

/* Both back into their canonical text, at most POLICY_NET_TEXT_MAX with the NUL. */
#define POLICY_NET_TEXT_MAX 320
void policy_net_rule_format(const struct policy_net_rule *rule, char text[POLICY_NET_TEXT_MAX]);
void policy_listen_format(const struct policy_listen *listen, char text[POLICY_NET_TEXT_MAX]);

/* "shop.example.com/api", for messages and for people. */
void policy_site_format(const struct policy_site *site, char text[POLICY_NET_TEXT_MAX * 2]);
void policy_sites_clear(struct policy_sites *sites);

/* The address for bind(2). Returns its length. */
socklen_t policy_listen_address(const struct policy_listen *listen, struct sockaddr_storage *ret);
