/* What a tenant.json asks for. It is read by the policy's own reader, so that whatever
 * passes here can be copied there; and compared with what is granted by the policy's own
 * matcher. */
#include "policy/manifest_private.h"

#include "common/cleanup.h"
#include "policy/match.h"
#include "policy/permissions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void manifest_read_permissions(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	struct manifest *manifest = target;
	(void)rule;
	/* All of it off: not the policy's defaults, but what the file itself names. */
	manifest->asks = calloc(1, sizeof *manifest->asks);
	if (manifest->asks)
		permissions_read(document, field, manifest->asks);
	else
		document->out_of_memory = true;
}

/* ---- what is missing ---- */

/* A name that nobody has granted by itself: what is granted to it is granted to all. */
#define ANY_LABEL "any-name-of-tenantd"

static bool add(struct policy_list *list, const char *permission, const char *resource)
{
	char *text, **larger = reallocarray(list->items, list->count + 1, sizeof *list->items);
	if (larger)
		list->items = larger;
	if (!larger || asprintf(&text, "%s%s%s", permission, resource[0] ? " " : "", resource) < 0)
		return false;
	list->items[list->count++] = text;
	return true;
}

static bool contains(const struct policy_list *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], text) == 0)
			return true;
	return false;
}

static bool sets(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->env.set.count; i++)
		if (strcmp(policy->env.set.items[i].name, name) == 0)
			return true;
	return false;
}

/* May all that RULE stands for be reached? Its ends are asked for, and must be granted by the
 * same rule: what lies between is then, too. */
static bool is_reachable(const struct policy *policy, const struct policy_net_rule *rule)
{
	struct policy_target target = {.kind = rule->kind, .family = rule->family};
	struct policy_decision first, last;
	memcpy(target.address, rule->address, sizeof target.address);
	if (rule->kind == POLICY_NET_SUFFIX) {
		target.kind = POLICY_NET_HOST;
		if (strlen(rule->name) + sizeof ANY_LABEL > sizeof target.name)
			return false;
		snprintf(target.name, sizeof target.name, ANY_LABEL "%.200s", rule->name);
	} else {
		snprintf(target.name, sizeof target.name, "%s", rule->name);
	}
	target.port = rule->port_first ? rule->port_first : 1;
	policy_match_target(&policy->net.connect, &policy->net.deny, &target, &first);
	target.port = rule->port_last;
	const unsigned bits = rule->family == AF_INET ? 32 : 128;
	for (unsigned bit = rule->prefix; rule->kind == POLICY_NET_ADDRESS && bit < bits; bit++)
		target.address[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	policy_match_target(&policy->net.connect, &policy->net.deny, &target, &last);
	return first.allowed && last.allowed && first.rule == last.rule;
}

static bool same_listener(const struct policy_listen *a, const struct policy_listen *b)
{
	if (b->name[0] && strcmp(a->name, b->name) == 0)
		return true; /* the program finds it by its name, wherever it is */
	return a->family == b->family && a->port == b->port && strcmp(a->path, b->path) == 0 &&
	       memcmp(a->address, b->address, sizeof a->address) == 0;
}

static bool listens(const struct policy *policy, const struct policy_listen *wanted)
{
	for (size_t i = 0; i < policy->net.listen.count; i++)
		if (same_listener(&policy->net.listen.items[i], wanted))
			return true;
	return false;
}

static bool missing_files(
	const struct policy *asks, const struct policy *policy, struct policy_list *list)
{
	bool fits = true;
	for (size_t i = 0; i < asks->fs.read.count && fits; i++) {
		const char *path = asks->fs.read.items[i];
		if (!policy_match_path(&policy->fs.read, path) &&
			!policy_match_path(&policy->fs.write, path))
			fits = add(list, "fs.read", path);
	}
	for (size_t i = 0; i < asks->fs.write.count && fits; i++)
		if (!policy_match_path(&policy->fs.write, asks->fs.write.items[i]))
			fits = add(list, "fs.write", asks->fs.write.items[i]);
	return fits;
}

static bool missing_net(
	const struct policy *asks, const struct policy *policy, struct policy_list *list)
{
	char text[POLICY_NET_TEXT_MAX * 2];
	bool fits = true;
	for (size_t i = 0; i < asks->net.connect.count && fits; i++) {
		policy_net_rule_format(&asks->net.connect.items[i], text);
		if (!is_reachable(policy, &asks->net.connect.items[i]))
			fits = add(list, "net.connect", text);
	}
	for (size_t i = 0; i < asks->net.listen.count && fits; i++) {
		policy_listen_format(&asks->net.listen.items[i], text);
		if (!listens(policy, &asks->net.listen.items[i]))
			fits = add(list, "net.listen", text);
	}
	for (size_t i = 0; i < asks->net.ingress.count && fits; i++) {
		policy_site_format(&asks->net.ingress.items[i], text);
		if (!policy_covers_site(&policy->net.ingress, &asks->net.ingress.items[i]))
			fits = add(list, "net.ingress", text);
	}
	return fits;
}

static bool missing_environment(
	const struct policy *asks, const struct policy *policy, struct policy_list *list)
{
	bool fits = true;
	for (size_t i = 0; i < asks->child_exec.count && fits; i++)
		if (!policy_match_path(&policy->child_exec, asks->child_exec.items[i]))
			fits = add(list, "child.exec", asks->child_exec.items[i]);
	for (size_t i = 0; i < asks->env.pass.count && fits; i++) {
		const char *name = asks->env.pass.items[i];
		if (!contains(&policy->env.pass, name) && !sets(policy, name))
			fits = add(list, "env.pass", name);
	}
	/* Its value is the operator's choice. */
	for (size_t i = 0; i < asks->env.set.count && fits; i++) {
		const char *name = asks->env.set.items[i].name;
		if (!contains(&policy->env.pass, name) && !sets(policy, name))
			fits = add(list, "env.set", name);
	}
	for (size_t i = 0; i < asks->env.secrets.count && fits; i++)
		if (!contains(&policy->env.secrets, asks->env.secrets.items[i]))
			fits = add(list, "env.secrets", asks->env.secrets.items[i]);
	return fits;
}

int manifest_missing_permissions(const struct manifest *manifest, const struct policy *policy,
	struct policy_list *ret, struct error *error)
{
	const struct policy *asks = manifest->asks;
	struct policy_list list = {0};
	if (asks == NULL) {
		*ret = list;
		return 0;
	}
	bool fits = missing_files(asks, policy, &list) && missing_net(asks, policy, &list) &&
		    missing_environment(asks, policy, &list);
	if (fits && asks->allow_eval && !policy->allow_eval)
		fits = add(&list, "eval", "");
	if (fits && asks->allow_wasm && !policy->allow_wasm)
		fits = add(&list, "wasm", "");
	if (fits && asks->allow_jit && !policy->allow_jit)
		fits = add(&list, "jit", "");
	if (!fits) {
		policy_list_clear(&list);
		return error_set(error, ENOMEM, "no memory for a list of permissions");
	}
	*ret = list;
	return 0;
}
