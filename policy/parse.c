/* The policy file: its keys, defaults and ranges. */
#include "policy/policy.h"

#include "common/cleanup.h"
#include "common/file.h"
#include "common/units.h"
#include "policy/check.h"
#include "policy/document.h"
#include "policy/fields.h"
#include "policy/permissions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HOURS(hours) ((hours) * UINT64_C(3600000))
#define VARIABLE_VALUE_MAX (32 * 1024)

static const struct policy defaults = {
	.allow_wasm = true,
	.allow_jit = true,
	.audit = POLICY_AUDIT_DENIED,
	.limits =
		{
			.memory_bytes = 128 * UNITS_MIB,
			.cpu_percent = 100,
			.pids = 32,
			.files = 256,
			.stack_bytes = 984 * UNITS_KIB, /* V8's own choice on 64-bit hosts */
			.connect = {.concurrent = 64, .rate = 100, .time_ms = 30000},
			.request =
				{
					.cpu_ms = 500,
					.time_ms = 30000,
					.body_bytes = 10 * UNITS_MIB,
					.concurrent = 100,
				},
		},
};

static void read_version(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	if (!json_is_integer(field.value)) {
		document_type_problem(document, field, "the number 1");
		return;
	}
	if (json_integer_value(field.value) != 1) {
		document_problem(document, field,
			"version %" JSON_INTEGER_FORMAT
			" is not known: this tenantd reads version 1",
			json_integer_value(field.value));
		return;
	}
	*(uint64_t *)((char *)target + rule->offset) = 1;
}

static void read_tier(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	char quoted[QUOTED_MAX];
	const char *text = field_text(document, field, "one of container, full");
	int tier = text ? tier_find(text) : -1;
	if (tier >= TIER_CONTAINER) /* less than that is what every tier gives */
		*(enum tier *)((char *)target + rule->offset) = (enum tier)tier;
	else if (text)
		document_problem(document, field, "expected one of container, full, not %s",
			document_quote(quoted, text));
}

/* An empty list would be a trap: who writes it means "by nobody", and would get "unsigned". */
static void read_signers(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	struct field_rule strings = *rule;
	if (json_is_array(field.value) && json_array_size(field.value) == 0) {
		document_problem(document, field,
			"names no key: nothing could be deployed; leave \"signedBy\" out if "
			"releases need not be signed");
		return;
	}
	strings.check = check_public_key;
	field_strings(document, field, &strings, target);
}

static bool same_rule(const struct policy_net_rule *a, const struct policy_net_rule *b)
{
	return a->kind == b->kind && strcmp(a->name, b->name) == 0 && a->family == b->family &&
	       memcmp(a->address, b->address, sizeof a->address) == 0 && a->prefix == b->prefix &&
	       a->port_first == b->port_first && a->port_last == b->port_last;
}

static bool same_listen(const struct policy_listen *a, const struct policy_listen *b)
{
	return a->family == b->family && a->port == b->port && strcmp(a->path, b->path) == 0 &&
	       memcmp(a->address, b->address, sizeof a->address) == 0;
}

static void read_net_rules(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	struct policy_net_rules *rules = (struct policy_net_rules *)((char *)target + rule->offset);
	struct field_walk walk;
	if (!field_list_begin(document, field, "a list of strings such as \"example.com:443\"",
		    POLICY_LIST_MAX, &walk))
		return;
	while (field_next(&walk)) {
		struct policy_net_rule item;
		struct error error;
		const char *text =
			field_text(document, walk.field, "a string such as \"example.com:443\"");
		if (!text)
			continue;
		if (policy_net_rule_parse(text, &item, &error) < 0) {
			document_problem(document, walk.field, "%s", error.message);
			continue;
		}
		bool twice = false;
		for (size_t i = 0; i < rules->count && !twice; i++)
			twice = same_rule(&rules->items[i], &item);
		if (twice) {
			document_problem(document, walk.field, "is there twice: remove one");
			continue;
		}
		struct policy_net_rule *place = field_append(
			document, (void **)&rules->items, &rules->count, sizeof *rules->items);
		if (!place)
			return;
		*place = item;
	}
}

static bool has_listener(const struct policy_listeners *listeners, const char *name)
{
	for (size_t i = 0; name[0] && i < listeners->count; i++)
		if (strcmp(listeners->items[i].name, name) == 0)
			return true;
	return false;
}

static void read_listeners(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	struct policy_listeners *listeners =
		(struct policy_listeners *)((char *)target + rule->offset);
	struct field_walk walk;
	if (!field_list_begin(document, field, "a list of strings such as \"127.0.0.1:8080\"",
		    POLICY_LISTENERS_MAX, &walk))
		return;
	while (field_next(&walk)) {
		struct policy_listen item;
		struct error error;
		const char *text =
			field_text(document, walk.field, "a string such as \"127.0.0.1:8080\"");
		if (!text)
			continue;
		if (policy_listen_parse(text, &item, &error) < 0) {
			document_problem(document, walk.field, "%s", error.message);
			continue;
		}
		/* Port 0 twice is two different ports. */
		bool fixed = item.family == AF_UNIX || item.port != 0, twice = false;
		for (size_t i = 0; fixed && i < listeners->count && !twice; i++)
			twice = same_listen(&listeners->items[i], &item);
		if (twice) {
			document_problem(document, walk.field, "is there twice: remove one");
			continue;
		}
		if (has_listener(listeners, item.name)) {
			document_problem(document, walk.field,
				"another listener is named \"%s\": give this one another name",
				item.name);
			continue;
		}
		struct policy_listen *place = field_append(document, (void **)&listeners->items,
			&listeners->count, sizeof *listeners->items);
		if (!place)
			return;
		*place = item;
	}
}

/* Is the variable fit to be set? Notes why not. */
static bool check_set(
	struct document *document, struct field member, const char *name, size_t *total)
{
	struct error error;
	if (check_variable(name, &error) < 0) {
		document_key_problem(document, member, "%s", error.message);
		return false;
	}
	if (!field_text(document, member, "a string in double quotes"))
		return false;
	size_t length = json_string_length(member.value);
	if (length > VARIABLE_VALUE_MAX) {
		document_problem(document, member, "%zu bytes: at most %d are allowed", length,
			VARIABLE_VALUE_MAX);
		return false;
	}
	size_t before = *total;
	*total += strlen(name) + length + 2;
	if (before <= POLICY_ENVIRONMENT_MAX && *total > POLICY_ENVIRONMENT_MAX)
		document_problem(document, member,
			"the variables up to here are %zu bytes: at most %d are allowed", *total,
			POLICY_ENVIRONMENT_MAX);
	return *total <= POLICY_ENVIRONMENT_MAX;
}

static void read_set(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	struct policy_variables *variables =
		(struct policy_variables *)((char *)target + rule->offset);
	if (!json_is_object(field.value)) {
		document_type_problem(document, field, "an object of names and strings");
		return;
	}
	if (json_object_size(field.value) > POLICY_LIST_MAX) {
		document_problem(document, field, "%zu entries: at most %d are allowed",
			json_object_size(field.value), POLICY_LIST_MAX);
		return;
	}
	const char *name;
	size_t total = 0;
	struct field member = {.place = places_child(&document->places, field.place)};
	json_object_foreach(field.value, name, member.value)
	{
		if (check_set(document, member, name, &total)) {
			struct policy_variable *variable =
				field_append(document, (void **)&variables->items,
					&variables->count, sizeof *variables->items);
			if (!variable)
				return;
			variable->name = strdup(name);
			variable->value = strdup(json_string_value(member.value));
			document->out_of_memory |= !variable->name || !variable->value;
		}
		member.place = places_sibling(&document->places, member.place);
	}
}

/* ---- the tables: one for each object of the file ---- */

#define AT(member) .offset = offsetof(struct policy, member)
#define OBJECT(table) .read = field_object, .keys = table, .key_count = ARRAY_LENGTH(table)

static const struct field_rule fs_keys[] = {
	{"read", field_strings, AT(fs.read), .check = check_path},
	{"write", field_strings, AT(fs.write), .check = check_path},
};
static const struct field_rule net_keys[] = {
	{"connect", read_net_rules, AT(net.connect)},
	{"deny", read_net_rules, AT(net.deny)},
	{"listen", read_listeners, AT(net.listen)},
	{"ingress", sites_read, AT(net.ingress)},
};
static const struct field_rule child_keys[] = {
	{"exec", field_strings, AT(child_exec), .check = check_path},
};
static const struct field_rule env_keys[] = {
	{"pass", field_strings, AT(env.pass), .check = check_variable},
	{"set", read_set, AT(env.set)},
	{"secrets", field_strings, AT(env.secrets), .check = check_variable},
};
static const struct field_rule permissions_keys[] = {
	{"fs", OBJECT(fs_keys)},
	{"net", OBJECT(net_keys)},
	{"child", OBJECT(child_keys)},
	{"env", OBJECT(env_keys)},
	{"eval", field_boolean, AT(allow_eval)},
	{"wasm", field_boolean, AT(allow_wasm)},
	{"jit", field_boolean, AT(allow_jit)},
};

void permissions_read(struct document *document, struct field field, struct policy *policy)
{
	static const struct field_rule permissions = {OBJECT(permissions_keys)};
	field_object(document, field, &permissions, policy);
}

static const struct field_rule request_keys[] = {
	{"cpu", field_duration, AT(limits.request.cpu_ms), .least = 1, .most = HOURS(24)},
	{"time", field_duration, AT(limits.request.time_ms), .least = 1, .most = HOURS(24)},
	{"body", field_size, AT(limits.request.body_bytes), .least = 1, .most = UNITS_TIB},
	{"concurrent", field_count, AT(limits.request.concurrent), .least = 1, .most = 65535},
};
static const struct field_rule connect_keys[] = {
	{"concurrent", field_count, AT(limits.connect.concurrent), .least = 1, .most = 65535},
	{"rate", field_count, AT(limits.connect.rate), .least = 1, .most = 1000000},
	{"time", field_duration, AT(limits.connect.time_ms), .least = 1, .most = HOURS(1)},
};
/* A smaller stack than 128K does not hold V8's own functions; a larger one than 64M is in
 * the way of the mappings below it. */
static const struct field_rule limits_keys[] = {
	{"memory", field_size, AT(limits.memory_bytes), .least = 16 * UNITS_MIB,
		.most = 64 * UNITS_TIB},
	{"cpu", field_percent, AT(limits.cpu_percent), .least = 1, .most = 102400},
	{"pids", field_count, AT(limits.pids), .least = 8, .most = 4194304},
	{"files", field_count, AT(limits.files), .least = 32, .most = 1048576},
	{"tmp", field_size, AT(limits.tmp_bytes), .least = 0, .most = UNITS_TIB},
	{"time", field_duration, AT(limits.time_ms), .least = 0, .most = HOURS(24)},
	{"stack", field_size, AT(limits.stack_bytes), .least = 128 * UNITS_KIB,
		.most = 64 * UNITS_MIB},
	{"connect", OBJECT(connect_keys)},
	{"request", OBJECT(request_keys)},
};
static const char *const audit_names[] = {
	[POLICY_AUDIT_OFF] = "off",
	[POLICY_AUDIT_DENIED] = "denied",
	[POLICY_AUDIT_ALL] = "all",
};
static const struct field_rule policy_keys[] = {
	{"version", read_version, AT(version)},
	{"permissions", OBJECT(permissions_keys)},
	{"limits", OBJECT(limits_keys)},
	{"audit", field_choice, AT(audit), .names = audit_names,
		.name_count = ARRAY_LENGTH(audit_names)},
	{"tier", read_tier, AT(tier)},
	{"signedBy", read_signers, AT(signed_by)},
};
static const struct field_rule whole_file = {OBJECT(policy_keys)};

/* V8 has no WebAssembly without its compilers. Who asks for it all the same is told;
 * the policy says what will be. */
static void check_jit(struct document *document, struct policy *policy)
{
	if (policy->allow_jit)
		return;
	struct field permissions =
		document_member(document, document_root(document), "permissions");
	struct field wasm = document_member(document, permissions, "wasm");
	if (json_is_true(wasm.value))
		document_problem(document, wasm,
			"WebAssembly needs the compilers: set \"jit\" to true, or this to false");
	policy->allow_wasm = false;
}

/* A secret that is a variable, too: whoever reads the policy must not have to know which
 * of the two wins. */
static void check_secrets(struct document *document, const struct policy *policy)
{
	struct field env = document_member(document, document_root(document), "permissions");
	env = document_member(document, env, "env");
	struct field field = document_member(document, env, "secrets");
	struct field_walk walk;
	/* Nothing was kept of what is no list, or too long. */
	if (policy->env.secrets.count == 0 ||
		!field_list_begin(document, field, "a list of strings", POLICY_LIST_MAX, &walk))
		return;
	while (field_next(&walk)) {
		const char *name = json_string_value(walk.field.value), *where = NULL;
		for (size_t i = 0; name && i < policy->env.pass.count; i++)
			if (strcmp(policy->env.pass.items[i], name) == 0)
				where = "env.pass";
		for (size_t i = 0; name && i < policy->env.set.count; i++)
			if (strcmp(policy->env.set.items[i].name, name) == 0)
				where = "env.set";
		if (where)
			document_problem(document, walk.field, "is in %s, too: remove one", where);
	}
}

/* The default would end a script that only computes: a script has the limit only where
 * the file asks for it. */
static void note_cpu(const struct document *document, struct policy *policy)
{
	struct field field = document_root(document);
	field = document_member(document, field, "limits");
	field = document_member(document, field, "request");
	policy->limits.request.cpu_named = document_member(document, field, "cpu").value != NULL;
}

int policy_parse(const char *text, size_t length, const char *file_name, struct policy **ret,
	struct error *error)
{
	struct policy *policy = malloc(sizeof *policy);
	if (!policy)
		return error_errno(error, ENOMEM, "cannot read %s", file_name);
	*policy = defaults;

	struct document document;
	document_open(&document, file_name, text, length);
	if (document.root) {
		struct field root = document_root(&document);
		field_object(&document, root, &whole_file, policy);
		if (json_is_object(root.value) && !json_object_get(root.value, "version"))
			document_problem(
				&document, root, "the version is missing: add \"version\": 1");
		check_jit(&document, policy);
		check_secrets(&document, policy);
		note_cpu(&document, policy);
	}
	int result = document_close(&document, error);
	if (result < 0) {
		policy_free(policy);
		return result;
	}
	*ret = policy;
	return 0;
}

int policy_read(int dir_fd, const char *path, struct policy **ret, struct error *error)
{
	cleanup_free char *text = NULL;
	size_t length;
	int result = file_read(dir_fd, path, POLICY_LENGTH_MAX, &text, &length, error);
	return result < 0 ? result : policy_parse(text, length, path, ret, error);
}
