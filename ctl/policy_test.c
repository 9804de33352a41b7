/* `policy test`: the question put to the matcher that enforces. */
#include "common/cleanup.h"
#include "common/control.h"
#include "common/path.h"
#include "common/route.h"
#include "common/site.h"
#include "common/units.h"
#include "ctl/output.h"
#include "ctl/policy.h"
#include "policy/match.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct verdict {
	bool allowed;
	bool usage;      /* the question itself is wrong */
	char text[1024]; /* the rule that decides, or what is missing */
};

static void decide(struct verdict *verdict, bool allowed, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void decide(struct verdict *verdict, bool allowed, const char *format, ...)
{
	va_list args;
	verdict->allowed = allowed;
	va_start(args, format);
	vsnprintf(verdict->text, sizeof verdict->text, format, args);
	va_end(args);
}

static void refuse_question(struct verdict *verdict, const char *why)
{
	verdict->usage = true;
	decide(verdict, false, "%s", why);
}

/* ---- files and programs ---- */

static const char *find_path(const struct policy_list *list, const char *path)
{
	return policy_match_path(list, path);
}

/* Where it is not told, of a file's tenant, no path is the release. */
static bool is_released(const struct subject *subject, const char *path)
{
	return subject->release[0] && path_is_in(path, subject->release);
}

static void test_path(
	const struct subject *subject, const char *path, bool write, struct verdict *verdict)
{
	const struct policy *policy = subject->policy;
	const bool tmp = policy->limits.tmp_bytes > 0 && subject->tier == TIER_FULL;
	const char *by_write = find_path(&policy->fs.write, path);
	const char *by_read = find_path(&policy->fs.read, path);
	char size[UNITS_TEXT_MAX];
	if (path[0] != '/')
		refuse_question(verdict, "the path must begin with /");
	else if (by_write)
		decide(verdict, true, "fs.write grants %s", by_write);
	else if (by_read && !write)
		decide(verdict, true, "fs.read grants %s", by_read);
	else if (path_is_in(path, "/tmp") && tmp) {
		units_format_size(policy->limits.tmp_bytes, size);
		decide(verdict, true, "the tenant's own /tmp, of %s (limits.tmp)", size);
	} else if (is_released(subject, path) && !write)
		decide(verdict, true, "the tenant's release, read-only");
	else if (is_released(subject, path))
		decide(verdict, false, "the tenant's release is read-only: no policy changes that");
	else if (by_read)
		decide(verdict, false,
			"fs.read grants %s for reading only: add \"%s\" to permissions.fs.write",
			by_read, path);
	else
		decide(verdict, false, "nothing grants it: add \"%s\" to permissions.fs.%s", path,
			write ? "write" : "read");
}

static void test_read(const struct invocation *invocation, const struct subject *subject,
	const char *what, struct verdict *verdict)
{
	(void)invocation;
	test_path(subject, what, false, verdict);
}

static void test_write(const struct invocation *invocation, const struct subject *subject,
	const char *what, struct verdict *verdict)
{
	(void)invocation;
	test_path(subject, what, true, verdict);
}

static void test_exec(const struct invocation *invocation, const struct subject *subject,
	const char *what, struct verdict *verdict)
{
	const char *by = find_path(&subject->policy->child_exec, what);
	(void)invocation;
	if (what[0] != '/')
		refuse_question(verdict, "a program is granted by its absolute path");
	else if (subject->tier == TIER_CONTAINER)
		decide(verdict, false, "the tier container has no programs");
	else if (by)
		decide(verdict, true, "child.exec grants %s", by);
	else
		decide(verdict, false, "nothing grants it: add \"%s\" to permissions.child.exec",
			what);
}

/* ---- connections ---- */

/* HOST:PORT, [ADDRESS]:PORT or unix:/PATH. */
static int parse_target(const char *what, struct policy_target *target, struct error *error)
{
	if (strncmp(what, "unix:", 5) == 0)
		return policy_target_parse(what + 5, strlen(what + 5), 0, true, target, error);
	const char *colon = strrchr(what, ':');
	char *end;
	long port = colon ? strtol(colon + 1, &end, 10) : 0;
	if (colon == NULL || end == colon + 1 || *end || port < 1 || port > 65535)
		return error_set(error, EINVAL,
			"%s has no port: write HOST:PORT, [IPV6]:PORT or unix:/PATH", what);
	return policy_target_parse(
		what, (size_t)(colon - what), (uint16_t)port, false, target, error);
}

static const char *rule_text(const struct policy_net_rule *rule, char text[POLICY_NET_TEXT_MAX])
{
	text[0] = '\0';
	if (rule)
		policy_net_rule_format(rule, text);
	return text;
}

/* As egress asks; where this host is another one than tenantd's, so is the answer. */
static bool is_own(int family, const uint8_t address[16])
{
	struct error error;
	cleanup_close int route = route_open(&error);
	return route >= 0 && route_is_own(route, family, address);
}

/* One address that the name has. */
static bool test_address(const struct policy *policy, const struct policy_target *target,
	const struct sockaddr *address, char *text, size_t size)
{
	struct policy_decision decision = {0};
	uint8_t bytes[16] = {0};
	char shown[INET6_ADDRSTRLEN] = "";
	if (address->sa_family == AF_INET)
		memcpy(bytes, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
	else
		memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
	inet_ntop(address->sa_family, bytes, shown, sizeof shown);
	policy_match_address(&policy->net.connect, &policy->net.deny, target, address->sa_family,
		bytes, is_own(address->sa_family, bytes), &decision);
	snprintf(text, size, "%s: %s%s%s", shown, decision.allowed ? "allowed" : "denied",
		decision.reason[0] ? ", " : "", decision.reason);
	return decision.allowed;
}

/* It is reachable when one of its addresses is. */
static void test_resolved(
	const struct policy *policy, const struct policy_target *target, struct verdict *verdict)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	int code = getaddrinfo(target->name, NULL, &hints, &list);
	if (code != 0) {
		decide(verdict, false, "cannot resolve %s here: %s", target->name,
			gai_strerror(code));
		return;
	}
	bool allowed = false;
	size_t used = 0;
	char text[sizeof verdict->text] = "";
	for (const struct addrinfo *one = list; one; one = one->ai_next) {
		char line[512];
		allowed |= test_address(policy, target, one->ai_addr, line, sizeof line);
		if (used < sizeof text)
			used += (size_t)snprintf(
				text + used, sizeof text - used, "%s%s", used ? "\n" : "", line);
	}
	freeaddrinfo(list);
	decide(verdict, allowed, "%s", text);
}

static void test_connect(const struct invocation *invocation, const struct subject *subject,
	const char *what, struct verdict *verdict)
{
	const struct policy *policy = subject->policy;
	struct policy_target target;
	struct policy_decision decision = {0};
	struct error error = {0};
	char text[POLICY_NET_TEXT_MAX];
	if (parse_target(what, &target, &error) < 0) {
		refuse_question(verdict, error.message);
		return;
	}
	if (target.kind == POLICY_NET_ADDRESS)
		policy_match_address(&policy->net.connect, &policy->net.deny, &target,
			target.family, target.address, is_own(target.family, target.address),
			&decision);
	else
		policy_match_target(&policy->net.connect, &policy->net.deny, &target, &decision);
	rule_text(decision.rule, text);
	if (!decision.allowed) {
		decide(verdict, false, "%s",
			decision.reason[0] ? decision.reason : "nothing grants it");
		return;
	}
	if (target.kind == POLICY_NET_HOST && invocation->options[OPTION_RESOLVE]) {
		test_resolved(policy, &target, verdict);
		return;
	}
	if (target.kind != POLICY_NET_HOST)
		decide(verdict, true, "net.connect grants %s", text);
	else if (decision.rule)
		decide(verdict, true,
			"net.connect grants the name by %s; its addresses are checked when it is "
			"resolved: a private one needs a grant by address (--resolve tests them "
			"here "
			"and now)",
			text);
	else
		decide(verdict, true,
			"no entry names it; it is localhost or all addresses are granted, so it "
			"is resolved, and reached at addresses that net.connect grants (--resolve "
			"tests them here and now)");
}

/* ---- listeners, environment ---- */

static void test_listen(const struct invocation *invocation, const struct subject *subject,
	const char *what, struct verdict *verdict)
{
	const struct policy *policy = subject->policy;
	struct policy_listen wanted;
	struct error error = {0};
	char text[POLICY_NET_TEXT_MAX];
	(void)invocation;
	if (policy_listen_parse(what, &wanted, &error) < 0) {
		refuse_question(verdict, error.message);
		return;
	}
	for (size_t i = 0; i < policy->net.listen.count; i++) {
		const struct policy_listen *own = &policy->net.listen.items[i];
		if (own->family != wanted.family || strcmp(own->path, wanted.path) != 0 ||
			memcmp(own->address, wanted.address, sizeof own->address) != 0 ||
			(own->port != wanted.port && own->port != 0))
			continue;
		policy_listen_format(own, text);
		decide(verdict, true, "net.listen has %s%s", text,
			own->family != AF_UNIX && own->port == 0
				? ": a free port, which tenantd chooses"
				: "");
		return;
	}
	decide(verdict, false, "nothing grants it: add \"%s\" to permissions.net.listen", what);
}

/* HOST or HOST/PATH, of a request: no site's pattern. */
static void test_site(const struct invocation *invocation, const struct subject *subject,
	const char *what, struct verdict *verdict)
{
	char host[SITE_HOST_MAX + 1], path[SITE_PATH_KEPT] = "/", text[POLICY_NET_TEXT_MAX * 2];
	const char *slash = strchrnul(what, '/');
	(void)invocation;
	if (site_host(what, (size_t)(slash - what), host) < 0 ||
		(*slash && site_path(slash, strlen(slash), path) < 0)) {
		refuse_question(verdict, "that is no host: write HOST or HOST/PATH, of a request");
		return;
	}
	const struct policy_site *site =
		policy_match_site(&subject->policy->net.ingress, host, path);
	if (site == NULL) {
		decide(verdict, false, "nothing grants it: add \"%s%s\" to permissions.net.ingress",
			host, strcmp(path, "/") == 0 ? "" : path);
		return;
	}
	policy_site_format(site, text);
	decide(verdict, true,
		"net.ingress has %s, %s a certificate; a more specific site of another tenant "
		"would go before",
		text, site->certificate ? "with" : "without");
}

static void test_env(const struct invocation *invocation, const struct subject *subject,
	const char *what, struct verdict *verdict)
{
	const struct policy *policy = subject->policy;
	(void)invocation;
	for (size_t i = 0; i < policy->env.set.count; i++)
		if (strcmp(policy->env.set.items[i].name, what) == 0) {
			decide(verdict, true, "env.set sets it");
			return;
		}
	for (size_t i = 0; i < policy->env.secrets.count; i++)
		if (strcmp(policy->env.secrets.items[i], what) == 0) {
			decide(verdict, true, "env.secrets has it: a start needs it to be there");
			return;
		}
	for (size_t i = 0; i < policy->env.pass.count; i++)
		if (strcmp(policy->env.pass.items[i], what) == 0) {
			decide(verdict, true, "env.pass takes it over, if tenantd has it");
			return;
		}
	decide(verdict, false,
		"nothing grants it: add it to permissions.env.pass, .set or .secrets");
}

/* ---- switches of the engine ---- */

static void test_switch(bool on, const char *name, struct verdict *verdict)
{
	if (on)
		decide(verdict, true, "permissions.%s is true", name);
	else
		decide(verdict, false, "permissions.%s is false", name);
}

static void test_eval(const struct invocation *invocation, const struct subject *subject,
	const char *what, struct verdict *verdict)
{
	(void)invocation;
	(void)what;
	test_switch(subject->policy->allow_eval, "eval", verdict);
}

static void test_wasm(const struct invocation *invocation, const struct subject *subject,
	const char *what, struct verdict *verdict)
{
	(void)invocation;
	(void)what;
	if (!subject->policy->allow_jit)
		decide(verdict, false, "permissions.jit is false, without which there is none");
	else
		test_switch(subject->policy->allow_wasm, "wasm", verdict);
}

/* ---- the verb ---- */

static const struct {
	const char *name;
	bool bare; /* there is nothing to be asked about */
	void (*test)(const struct invocation *invocation, const struct subject *subject,
		const char *what, struct verdict *verdict);
} questions[] = {
	{"read", false, test_read},
	{"write", false, test_write},
	{"connect", false, test_connect},
	{"exec", false, test_exec},
	{"listen", false, test_listen},
	{"site", false, test_site},
	{"env", false, test_env},
	{"eval", true, test_eval},
	{"wasm", true, test_wasm},
};

int policy_test_run(const struct invocation *invocation)
{
	const bool alone = invocation->argument_count == 3;
	const char *question = invocation->arguments[2];
	const char *what = alone ? "" : invocation->arguments[3], *space = alone ? "" : " ";
	struct verdict verdict = {0};
	struct subject subject;
	char shown[128];
	size_t i = 0;
	while (i < ARRAY_LENGTH(questions) && strcmp(questions[i].name, question) != 0)
		i++;
	if (i == ARRAY_LENGTH(questions))
		return output_fail(CONTROL_EXIT_USAGE, "usage",
			"policy test %s: there are read, write, connect, exec, listen, site, env, "
			"eval and wasm",
			output_safe(shown, sizeof shown, question));
	if (questions[i].bare != alone)
		return output_fail(CONTROL_EXIT_USAGE, "usage",
			alone ? "policy test %s: of what?" : "policy test %s: it takes no more",
			question);
	int code = subject_read(invocation, invocation->arguments[1], &subject);
	if (code)
		return code;
	questions[i].test(invocation, &subject, what, &verdict);
	if (verdict.usage)
		code = output_fail(CONTROL_EXIT_USAGE, "usage", "%s%s%s: %s", question, space, what,
			verdict.text);
	else
		output_result(json_pack("{s:s, s:s, s:s, s:s, s:s}", "question", question, "what",
				      what, "result", verdict.allowed ? "allowed" : "denied",
				      "because", verdict.text, "policy", subject.source),
			"%s: %s%s%s: %s", verdict.allowed ? "allowed" : "denied", question, space,
			what, verdict.text);
	subject_clear(&subject);
	if (code)
		return code;
	return verdict.allowed ? CONTROL_EXIT_OK : CONTROL_EXIT_FAILURE;
}
