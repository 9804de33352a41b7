/* The policy as canonical JSON. Every key is printed, in the order of the reference,
 * so that a reader sees what the defaults are. A failed allocation makes json_pack or
 * json_dumps fail, since each passes a NULL value on. */
#include "policy/print.h"

#include "common/units.h"
#include "policy/permissions.h"
#include "policy/policy.h"

#include <stdlib.h>
#include <string.h>

/* Adds TEXT, or gives up ARRAY: what is printed must never be a part of the policy. */
static json_t *add(json_t *array, const char *text)
{
	if (array && json_array_append_new(array, json_string(text)) == 0)
		return array;
	json_decref(array);
	return NULL;
}

static json_t *strings(const struct policy_list *list)
{
	json_t *array = json_array();
	for (size_t i = 0; i < list->count; i++)
		array = add(array, list->items[i]);
	return array;
}

static json_t *net_rules(const struct policy_net_rules *rules)
{
	json_t *array = json_array();
	for (size_t i = 0; i < rules->count; i++) {
		char text[POLICY_NET_TEXT_MAX];
		policy_net_rule_format(&rules->items[i], text);
		array = add(array, text);
	}
	return array;
}

static json_t *listeners(const struct policy_listeners *list)
{
	json_t *array = json_array();
	for (size_t i = 0; i < list->count; i++) {
		char text[POLICY_NET_TEXT_MAX];
		policy_listen_format(&list->items[i], text);
		array = add(array, text);
	}
	return array;
}

static json_t *variables(const struct policy_variables *list)
{
	json_t *object = json_object();
	for (size_t i = 0; i < list->count && object; i++) {
		if (json_object_set_new(
			    object, list->items[i].name, json_string(list->items[i].value)) < 0) {
			json_decref(object);
			object = NULL;
		}
	}
	return object;
}

json_t *print_size(uint64_t bytes)
{
	char text[UNITS_TEXT_MAX];
	units_format_size(bytes, text);
	return json_string(text);
}

static json_t *print_percent(uint64_t percent)
{
	char text[UNITS_TEXT_MAX];
	units_format_percent(percent, text);
	return json_string(text);
}

json_t *print_duration(uint64_t ms)
{
	char text[UNITS_TEXT_MAX];
	units_format_duration(ms, text);
	return json_string(text);
}

char *print_json(json_t *root)
{
	char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
	json_decref(root);
	if (!text)
		return NULL;
	size_t length = strlen(text);
	char *longer = realloc(text, length + 2);
	if (!longer) {
		free(text);
		return NULL;
	}
	memcpy(longer + length, "\n", 2);
	return longer;
}

json_t *permissions_print(const struct policy *policy)
{
	json_t *root = json_pack("{s:{s:o, s:o}, s:{s:o, s:o, s:o}, s:{s:o}, s:{s:o, s:o, s:o}, "
			 "s:b, s:b, s:b}",
		"fs", "read", strings(&policy->fs.read), "write", strings(&policy->fs.write), "net",
		"connect", net_rules(&policy->net.connect), "deny", net_rules(&policy->net.deny),
		"listen", listeners(&policy->net.listen), "child", "exec",
		strings(&policy->child_exec), "env", "pass", strings(&policy->env.pass), "set",
		variables(&policy->env.set), "secrets", strings(&policy->env.secrets), "eval",
		policy->allow_eval, "wasm", policy->allow_wasm, "jit", policy->allow_jit);
	/* Only where there is one: most tenants have ports of their own. */
	if (root && policy->net.ingress.count > 0 &&
		json_object_set_new(json_object_get(root, "net"), "ingress",
			sites_print(&policy->net.ingress)) < 0) {
		json_decref(root);
		root = NULL;
	}
	return root;
}

static json_t *limits(const struct policy_limits *limits)
{
	return json_pack("{s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:{s:I, s:I, s:o}, "
			 "s:{s:o, s:o, s:o, s:I}}",
		"memory", print_size(limits->memory_bytes), "cpu",
		print_percent(limits->cpu_percent), "pids", (json_int_t)limits->pids, "files",
		(json_int_t)limits->files, "tmp", print_size(limits->tmp_bytes), "time",
		print_duration(limits->time_ms), "stack", print_size(limits->stack_bytes),
		"connect", "concurrent", (json_int_t)limits->connect.concurrent, "rate",
		(json_int_t)limits->connect.rate, "time", print_duration(limits->connect.time_ms),
		"request", "cpu", print_duration(limits->request.cpu_ms), "time",
		print_duration(limits->request.time_ms), "body",
		print_size(limits->request.body_bytes), "concurrent",
		(json_int_t)limits->request.concurrent);
}

char *policy_print(const struct policy *policy)
{
	json_t *root = json_pack("{s:I, s:o, s:o, s:s}", "version", (json_int_t)policy->version,
		"permissions", permissions_print(policy), "limits", limits(&policy->limits), "audit",
		policy_audit_name(policy->audit));
	/* The two keys without a spelled default: a tenant that names no tier takes any, and a
	 * release need not be signed. */
	if (root && policy->tier != TIER_NONE &&
		json_object_set_new(root, "tier", json_string(tier_name(policy->tier))) < 0) {
		json_decref(root);
		root = NULL;
	}
	if (root && policy->signed_by.count > 0 &&
		json_object_set_new(root, "signedBy", strings(&policy->signed_by)) < 0) {
		json_decref(root);
		root = NULL;
	}
	return print_json(root);
}
