#include "policy/suggest.h"

#include "common/cleanup.h"
#include "common/path.h"
#include "policy/check.h"
#include "policy/document.h"
#include "policy/match.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#define PATHS_MAX 4096 /* different ones; a run that uses more is suggested folders anyway */
#define NOTES_MAX 200
#define FILES_OF_A_FOLDER 3
#define HOSTS_OF_A_NAME 4

struct suggestion {
	enum suggest_place (*look)(const char *path);
	const char *releases;
	struct policy_list read, write, connect, exec;
	struct policy_list notes;
	bool eval, wasm; /* code was made from strings, WebAssembly compiled, or it was tried */
	bool failed;     /* no memory */
};

struct suggestion *suggest_new(enum suggest_place (*look)(const char *path), const char *releases)
{
	struct suggestion *suggestion = calloc(1, sizeof *suggestion);
	if (suggestion == NULL)
		return NULL;
	suggestion->look = look;
	suggestion->releases = releases;
	return suggestion;
}

struct suggestion *suggest_free(struct suggestion *suggestion)
{
	if (suggestion == NULL)
		return NULL;
	policy_list_clear(&suggestion->read);
	policy_list_clear(&suggestion->write);
	policy_list_clear(&suggestion->connect);
	policy_list_clear(&suggestion->exec);
	policy_list_clear(&suggestion->notes);
	free(suggestion);
	return NULL;
}

const struct policy_list *suggest_notes(const struct suggestion *suggestion)
{
	return &suggestion->notes;
}

/* ---- lists: sorted, each string once ---- */

static bool list_put(struct policy_list *list, const char *text, size_t most)
{
	size_t low = 0, high = list->count;
	while (low < high) {
		const size_t middle = (low + high) / 2;
		const int order = strcmp(list->items[middle], text);
		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (list->count >= most)
		return true;
	char *copy = strdup(text);
	char **larger = reallocarray(list->items, list->count + 1, sizeof *larger);
	if (larger)
		list->items = larger;
	if (copy == NULL || larger == NULL) {
		free(copy);
		return false;
	}
	memmove(list->items + low + 1, list->items + low,
		(list->count - low) * sizeof *list->items);
	list->items[low] = copy;
	list->count++;
	return true;
}

static void list_drop(struct policy_list *list, size_t index)
{
	free(list->items[index]);
	list->count--;
	memmove(list->items + index, list->items + index + 1,
		(list->count - index) * sizeof *list->items);
}

static void put(struct suggestion *suggestion, struct policy_list *list, const char *text)
{
	suggestion->failed |= !list_put(list, text, PATHS_MAX);
}

static void note(struct suggestion *suggestion, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void note(struct suggestion *suggestion, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	suggestion->failed |= !list_put(&suggestion->notes, text, NOTES_MAX);
}

/* ---- records ---- */

static void put_connect(struct suggestion *suggestion, const char *resource)
{
	struct policy_net_rule rule;
	struct error error = {0};
	char text[POLICY_NET_TEXT_MAX], quoted[QUOTED_MAX];
	if (policy_net_rule_parse(resource, &rule, &error) < 0) {
		note(suggestion, "left out: a connection to %s, which no rule can grant: %s",
			document_quote(quoted, resource), error.message);
		return;
	}
	policy_net_rule_format(&rule, text);
	put(suggestion, &suggestion->connect, text);
}

/* RESOURCE is as egress writes it: "example.com:443", once the name is resolved
 * "example.com:443 (93.184.216.34)". Where the address was what was refused, the name alone
 * would not do. */
static void add_connect(struct suggestion *suggestion, const char *resource, bool allowed)
{
	char name[POLICY_NET_TEXT_MAX], rule[POLICY_NET_TEXT_MAX];
	const char *address = strstr(resource, " (");
	const size_t length = address ? (size_t)(address - resource) : strlen(resource);
	if (address == NULL || length >= sizeof name) {
		put_connect(suggestion, resource);
		return;
	}
	snprintf(name, sizeof name, "%.*s", (int)length, resource);
	put_connect(suggestion, name);
	const char *port = strrchr(name, ':'), *end = strchr(address, ')');
	if (allowed || port == NULL || end == NULL)
		return;
	address += 2;
	const bool six = memchr(address, ':', (size_t)(end - address)) != NULL;
	snprintf(rule, sizeof rule, "%s%.*s%s%s", six ? "[" : "", (int)(end - address), address,
		six ? "]" : "", port);
	put_connect(suggestion, rule);
	note(suggestion, "%s is granted by its address, %s: that is no public one", name, rule);
}

static void add_path(
	struct suggestion *suggestion, struct policy_list *list, const char *what, const char *path)
{
	struct error error = {0};
	char quoted[QUOTED_MAX];
	/* The release and its devices are there without a grant. */
	if ((suggestion->releases[0] && path_is_in(path, suggestion->releases)) ||
		path_is_in(path, "/dev"))
		return;
	if (check_path(path, &error) < 0)
		note(suggestion, "left out: %s %s: %s", what, document_quote(quoted, path),
			error.message);
	else
		put(suggestion, list, path);
}

void suggest_add(struct suggestion *suggestion, enum audit_permission permission,
	const char *resource, bool allowed)
{
	char quoted[QUOTED_MAX];
	switch (permission) {
	case AUDIT_FS_READ:
		add_path(suggestion, &suggestion->read, "reading", resource);
		break;
	case AUDIT_FS_WRITE:
		add_path(suggestion, &suggestion->write, "writing", resource);
		break;
	case AUDIT_CHILD:
		add_path(suggestion, &suggestion->exec, "running", resource);
		break;
	case AUDIT_NET_CONNECT:
		add_connect(suggestion, resource, allowed);
		break;
	case AUDIT_EVAL:
		suggestion->eval = true;
		if (resource[0])
			note(suggestion, "eval is granted: code is made from strings at %s",
				document_quote(quoted, resource));
		break;
	case AUDIT_WASM:
		suggestion->wasm = true;
		break;
	case AUDIT_RESOURCE:
		if (!allowed)
			note(suggestion,
				"%s was reached: raise it, if that was not the program's fault",
				document_quote(quoted, resource));
		break;
	default:
		if (!allowed)
			note(suggestion, "%s was denied (%s): no policy grants that",
				document_quote(quoted, resource),
				audit_permission_name(permission));
		break;
	}
}

/* ---- files ---- */

/* The folder that PATH is in; false when that is / or right below it: granting such a one
 * would be to grant the host. */
static bool folder_of(const char *path, char folder[PATH_LENGTH_MAX + 1])
{
	const char *slash = strrchr(path, '/');
	snprintf(folder, PATH_LENGTH_MAX + 1, "%.*s", (int)(slash - path), path);
	return strchr(folder + (folder[0] != '\0'), '/') != NULL;
}

/* A file that is not there yet cannot be granted: the folder is where it is made. */
static void resolve_missing(struct suggestion *suggestion, struct policy_list *list, bool write)
{
	for (size_t i = 0; i < list->count;) {
		char folder[PATH_LENGTH_MAX + 1], quoted[QUOTED_MAX];
		const char *path = list->items[i];
		if (suggestion->look(path) != SUGGEST_NOTHING) {
			i++;
			continue;
		}
		document_quote(quoted, path);
		const bool deep = folder_of(path, folder);
		if (!write)
			note(suggestion, "left out: %s, which is not there", quoted);
		else if (!deep || suggestion->look(folder) != SUGGEST_FOLDER)
			note(suggestion,
				"left out: %s, which is written, and neither it nor a folder that "
				"could be granted for it is there",
				quoted);
		else
			note(suggestion, "%s is granted as a whole, for writing: %s is made in it",
				folder, quoted);
		const bool take = write && deep && suggestion->look(folder) == SUGGEST_FOLDER;
		list_drop(list, i);
		if (take) {
			put(suggestion, list, folder);
			i = 0; /* sorted anew */
		}
	}
}

/* What is below a /tmp of the tenant's own, or could be. */
static void drop_tmp(
	struct suggestion *suggestion, struct policy_list *list, const struct policy *base)
{
	for (size_t i = 0; i < list->count;) {
		const char *path = list->items[i];
		const bool own = base->limits.tmp_bytes > 0;
		if (!path_is_in(path, "/tmp") ||
			(!own && strcmp(path, "/tmp") != 0 &&
				suggestion->look(path) != SUGGEST_NOTHING)) {
			i++;
			continue;
		}
		if (!own)
			note(suggestion, "/tmp is used: give it a size (limits.tmp)");
		list_drop(list, i);
	}
}

/* Drops what a folder of LIST, or of OTHER (may be NULL), covers. */
static void drop_covered(struct policy_list *list, const struct policy_list *other)
{
	for (size_t i = 0; i < list->count;) {
		char *path = list->items[i];
		const char *by = other ? policy_match_path(other, path) : NULL;
		for (size_t k = 0; by == NULL && k < list->count; k++) {
			struct policy_list one = {.items = &list->items[k], .count = 1};
			by = k == i ? NULL : policy_match_path(&one, path);
		}
		if (by)
			list_drop(list, i);
		else
			i++;
	}
}

static size_t count_in(const struct policy_list *list, const char *folder)
{
	char own[PATH_LENGTH_MAX + 1];
	size_t count = 0;
	for (size_t i = 0; i < list->count; i++)
		if (folder_of(list->items[i], own) && strcmp(own, folder) == 0)
			count++;
	return count;
}

/* Three files of one folder become the folder, if that is no folder of the host's. */
static void merge_files(struct suggestion *suggestion, struct policy_list *list, const char *verb)
{
	for (size_t i = 0; i < list->count; i++) {
		char folder[PATH_LENGTH_MAX + 1], own[PATH_LENGTH_MAX + 1];
		if (!folder_of(list->items[i], folder))
			continue;
		const size_t count = count_in(list, folder);
		if (count < FILES_OF_A_FOLDER || suggestion->look(folder) != SUGGEST_FOLDER)
			continue;
		note(suggestion, "%s is granted as a whole, for %s: %zu files of it were used",
			folder, verb, count);
		for (size_t k = 0; k < list->count;)
			if (folder_of(list->items[k], own) && strcmp(own, folder) == 0)
				list_drop(list, k);
			else
				k++;
		put(suggestion, list, folder);
		i = (size_t)-1; /* from the beginning: a folder counts in its own */
	}
}

/* ---- hosts ---- */

/* ".example.com:443" of "api.example.com:443": what follows the first label, when that is
 * a name of two labels at least. NULL for anything else. */
static const char *parent_of(const char *rule)
{
	struct policy_net_rule parsed;
	if (policy_net_rule_parse(rule, &parsed, NULL) < 0 || parsed.kind != POLICY_NET_HOST)
		return NULL;
	const char *parent = strchr(rule, '.');
	return parent && memchr(parent + 1, '.', strcspn(parent + 1, ":")) ? parent : NULL;
}

static size_t count_below(const struct policy_list *list, const char *parent)
{
	size_t count = 0;
	for (size_t i = 0; i < list->count; i++) {
		const char *own = parent_of(list->items[i]);
		count += own && strcmp(own, parent) == 0;
	}
	return count;
}

static void merge_hosts(struct suggestion *suggestion, struct policy_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const char *parent = parent_of(list->items[i]);
		const size_t count = parent ? count_below(list, parent) : 0;
		if (count < HOSTS_OF_A_NAME)
			continue;
		char rule[POLICY_NET_TEXT_MAX + 1];
		snprintf(rule, sizeof rule, "*%s", parent);
		note(suggestion, "%s is granted: %zu hosts below it were used", rule, count);
		for (size_t k = 0; k < list->count;) {
			const char *own = parent_of(list->items[k]);
			if (own && strcmp(own, rule + 1) == 0)
				list_drop(list, k);
			else
				k++;
		}
		put(suggestion, list, rule);
		i = (size_t)-1;
	}
}

/* ---- the policy ---- */

static int check_lengths(const struct suggestion *suggestion, struct error *error)
{
	const struct {
		const struct policy_list *list;
		const char *name;
	} lists[] = {
		{&suggestion->read, "fs.read"},
		{&suggestion->write, "fs.write"},
		{&suggestion->connect, "net.connect"},
		{&suggestion->exec, "child.exec"},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++)
		if (lists[i].list->count > POLICY_LIST_MAX)
			return error_set(error, E2BIG,
				"%s would have %zu entries, and at most %d are allowed: grant "
				"folders "
				"and *.NAMEs by hand",
				lists[i].name, lists[i].list->count, POLICY_LIST_MAX);
	return 0;
}

static int put_rules(
	const struct policy_list *list, struct policy_net_rules *rules, struct error *error)
{
	free(rules->items);
	*rules = (struct policy_net_rules){.items = calloc(list->count + 1, sizeof *rules->items)};
	if (rules->items == NULL)
		return error_errno(error, ENOMEM, "cannot make a policy");
	for (size_t i = 0; i < list->count; i++)
		if (policy_net_rule_parse(list->items[i], &rules->items[rules->count], NULL) == 0)
			rules->count++;
	return 0;
}

static void put_list(struct policy_list *target, struct policy_list *source)
{
	policy_list_clear(target);
	*target = *source;
	*source = (struct policy_list){0};
}

/* Uses of what is granted are known where the policy has them recorded. */
static void put_switches(
	struct suggestion *suggestion, const struct policy *base, struct policy *policy)
{
	const bool all = base->audit == POLICY_AUDIT_ALL;
	policy->allow_eval = suggestion->eval || (base->allow_eval && !all);
	policy->allow_wasm = base->allow_wasm && (suggestion->wasm || !all);
	if (!suggestion->wasm || base->allow_wasm)
		return;
	policy->allow_wasm = base->allow_jit;
	if (!base->allow_jit)
		note(suggestion, "left out: WebAssembly, which needs \"jit\": true");
}

int suggest_policy(struct suggestion *suggestion, const struct policy *base,
	struct policy **ret_policy, struct error *error)
{
	struct policy *policy = NULL;
	drop_tmp(suggestion, &suggestion->read, base);
	drop_tmp(suggestion, &suggestion->write, base);
	resolve_missing(suggestion, &suggestion->write, true);
	resolve_missing(suggestion, &suggestion->read, false);
	resolve_missing(suggestion, &suggestion->exec, false);
	drop_covered(&suggestion->write, NULL);
	drop_covered(&suggestion->read, &suggestion->write); /* who may write may read */
	merge_files(suggestion, &suggestion->write, "writing");
	merge_files(suggestion, &suggestion->read, "reading");
	drop_covered(&suggestion->write, NULL);
	drop_covered(&suggestion->read, &suggestion->write);
	merge_hosts(suggestion, &suggestion->connect);
	int result = check_lengths(suggestion, error);
	if (result < 0)
		return result;
	/* A copy of BASE: what it prints is what it reads. */
	cleanup_free char *text = policy_print(base);
	if (text == NULL || suggestion->failed)
		return error_errno(error, ENOMEM, "cannot make a policy");
	result = policy_parse(text, strlen(text), "the policy", &policy, error);
	if (result == 0)
		result = put_rules(&suggestion->connect, &policy->net.connect, error);
	if (result < 0) {
		policy_free(policy);
		return result;
	}
	if (policy->net.connect.count == 0) { /* exceptions from nothing */
		free(policy->net.deny.items);
		policy->net.deny = (struct policy_net_rules){0};
	}
	put_switches(suggestion, base, policy);
	put_list(&policy->fs.read, &suggestion->read);
	put_list(&policy->fs.write, &suggestion->write);
	put_list(&policy->child_exec, &suggestion->exec);
	*ret_policy = policy;
	return 0;
}
