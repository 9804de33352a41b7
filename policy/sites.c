/* net.ingress: which hosts and paths of the shared ports are the tenant's. */
#include "common/site.h"
#include "policy/check.h"
#include "policy/document.h"
#include "policy/fields.h"
#include "policy/permissions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EXPECTED "a string such as \"shop.example.com/api\", or an object with host"

void policy_sites_clear(struct policy_sites *sites)
{
	for (size_t i = 0; i < sites->count; i++) {
		free(sites->items[i].host);
		free(sites->items[i].path);
		free(sites->items[i].certificate);
		free(sites->items[i].key);
	}
	free(sites->items);
	*sites = (struct policy_sites){0};
}

/* ---- hosts and paths ---- */

/* RET_HOST has room for "*." and a name. */
static int parse_host(
	const char *text, size_t length, char ret_host[SITE_HOST_MAX + 3], struct error *error)
{
	char quoted[QUOTED_MAX], copy[SITE_HOST_MAX + 8];
	const bool wildcard = length >= 2 && text[0] == '*' && text[1] == '.';
	const char *name = wildcard ? text + 2 : text;
	const size_t name_length = wildcard ? length - 2 : length;
	snprintf(copy, sizeof copy, "%.*s", length < sizeof copy ? (int)length : 0, text);
	document_quote(quoted, copy);
	if (length == 0)
		return error_set(error, EINVAL, "the host is empty: begin with a name");
	if (name_length > SITE_HOST_MAX)
		return error_set(
			error, EINVAL, "the host is longer than %d characters", SITE_HOST_MAX);
	if (memchr(text, ':', length) || text[0] == '[')
		return error_set(error, EINVAL,
			"%s has a port, or is an address: write a name only; tenantd's --http and "
			"--https say where it listens",
			quoted);
	if (memchr(name, '*', name_length))
		return error_set(error, EINVAL,
			"%s: a wildcard stands for everything before the first dot only: "
			"*.example.com",
			quoted);
	for (size_t i = 0; i < name_length; i++)
		if ((unsigned char)name[i] >= 0x80)
			return error_set(error, EINVAL,
				"%s has other characters than ASCII: write the name as DNS has it, "
				"xn--…",
				quoted);
	if (site_host(name, name_length, ret_host + (wildcard ? 2 : 0)) < 0)
		return error_set(error, EINVAL,
			"%s is no host: letters, digits, - and _ with dots between them", quoted);
	if (wildcard)
		memcpy(ret_host, "*.", 2);
	if (wildcard && strlen(ret_host) > SITE_HOST_MAX)
		return error_set(
			error, EINVAL, "the host is longer than %d characters", SITE_HOST_MAX);
	return 0;
}

static bool is_path_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("-._~!$&'()*+,;=:@/", c));
}

/* TEXT as it is to be compared, a slash at its end left out. */
static int parse_path(const char *text, char ret_path[SITE_PATH_MAX + 1], struct error *error)
{
	char quoted[QUOTED_MAX], normal[SITE_PATH_KEPT];
	size_t length = strlen(text);
	document_quote(quoted, text);
	if (text[0] != '/')
		return error_set(error, EINVAL, "path %s does not begin with /", quoted);
	while (length > 1 && text[length - 1] == '/')
		length--;
	if (length > SITE_PATH_MAX)
		return error_set(
			error, EINVAL, "the path is longer than %d characters", SITE_PATH_MAX);
	for (size_t i = 0; i < length; i++)
		if (!is_path_character(text[i]))
			return error_set(error, EINVAL,
				"path %s has a character that stands in no path as itself: use "
				"letters, digits and -._~!$&'()*+,;=:@",
				quoted);
	memcpy(ret_path, text, length);
	ret_path[length] = '\0';
	if (strstr(ret_path, "//"))
		return error_set(error, EINVAL, "path %s has // in it: write one /", quoted);
	if (site_path(ret_path, length, normal) < 0 || strcmp(normal, ret_path) != 0)
		return error_set(error, EINVAL,
			"path %s has a part . or ..: write the path that it leads to", quoted);
	return 0;
}

/* ---- entries ---- */

/* What an entry says, before it is copied. */
struct entry {
	char host[SITE_HOST_MAX + 3], path[SITE_PATH_MAX + 1];
	const char *certificate, *key;
};

static bool read_text(struct document *document, struct field field, struct entry *entry)
{
	struct error error;
	const char *text = json_string_value(field.value);
	if (strlen(text) != json_string_length(field.value)) {
		document_problem(document, field, "has a NUL in it");
		return false;
	}
	const char *slash = strchr(text, '/');
	const size_t host = slash ? (size_t)(slash - text) : strlen(text);
	int result = strstr(text, "://")
			     ? error_set(&error, EINVAL, "is a URL: write host and path only")
			     : parse_host(text, host, entry->host, &error);
	if (result == 0)
		result = parse_path(slash ? slash : "/", entry->path, &error);
	if (result < 0)
		document_problem(document, field, "%s", error.message);
	return result == 0;
}

static bool read_file(struct document *document, struct field field, const char **ret_path)
{
	struct error error;
	const char *text = field_text(document, field, "the absolute path of a PEM file");
	if (text == NULL)
		return false;
	if (check_path(text, &error) < 0) {
		document_problem(document, field, "%s", error.message);
		return false;
	}
	*ret_path = text;
	return true;
}

static bool read_member(
	struct document *document, struct field member, const char *name, struct entry *entry)
{
	static const char *const names[] = {"host", "path", "certificate", "key"};
	struct error error = {0};
	const char *text;
	if (strcmp(name, "certificate") == 0)
		return read_file(document, member, &entry->certificate);
	if (strcmp(name, "key") == 0)
		return read_file(document, member, &entry->key);
	if (strcmp(name, "host") != 0 && strcmp(name, "path") != 0) {
		const char *near = field_nearest(name, names, sizeof names / sizeof names[0]);
		if (near)
			document_key_problem(
				document, member, "unknown key: did you mean \"%s\"?", near);
		else
			document_key_problem(document, member,
				"unknown key: known here are host, path, certificate, key");
		return false;
	}
	text = field_text(document, member, "a string in double quotes");
	if (text == NULL)
		return false;
	if ((name[0] == 'h' ? parse_host(text, strlen(text), entry->host, &error)
			    : parse_path(text, entry->path, &error)) < 0)
		document_problem(document, member, "%s", error.message);
	return error.code == 0;
}

static bool read_object(struct document *document, struct field field, struct entry *entry)
{
	struct field member = {.place = places_child(&document->places, field.place)};
	const char *name;
	bool good = true;
	json_object_foreach(field.value, name, member.value)
	{
		good = read_member(document, member, name, entry) && good;
		member.place = places_sibling(&document->places, member.place);
	}
	if (!good)
		return false;
	if (entry->host[0] == '\0')
		document_problem(
			document, field, "has no host: add \"host\": \"shop.example.com\"");
	else if ((entry->certificate == NULL) != (entry->key == NULL))
		document_problem(document, field, "has a %s, but no %s: TLS needs both",
			entry->key ? "key" : "certificate", entry->key ? "certificate" : "key");
	else if (entry->certificate && strcmp(entry->path, "/") != 0)
		document_problem(document, field,
			"has a path and a certificate: TLS tells the host only, so that a "
			"certificate is of all of it; give the path an entry of its own");
	else
		return true;
	return false;
}

static bool is_there(const struct policy_sites *sites, const struct entry *entry)
{
	for (size_t i = 0; i < sites->count; i++)
		if (strcmp(sites->items[i].host, entry->host) == 0 &&
			strcmp(sites->items[i].path, entry->path) == 0)
			return true;
	return false;
}

/* Returns false when there is no memory. */
static bool append(struct document *document, struct policy_sites *sites, const struct entry *entry)
{
	struct policy_site *site =
		field_append(document, (void **)&sites->items, &sites->count, sizeof *sites->items);
	if (site == NULL)
		return false;
	site->host = strdup(entry->host);
	site->path = strdup(entry->path);
	site->certificate = entry->certificate ? strdup(entry->certificate) : NULL;
	site->key = entry->key ? strdup(entry->key) : NULL;
	document->out_of_memory |= !site->host || !site->path ||
				   (entry->certificate && (!site->certificate || !site->key));
	return !document->out_of_memory;
}

void sites_read(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	struct policy_sites *sites = (struct policy_sites *)((char *)target + rule->offset);
	struct field_walk walk;
	if (!field_list_begin(document, field, "a list of strings such as \"shop.example.com\"",
		    POLICY_LIST_MAX, &walk))
		return;
	while (field_next(&walk)) {
		struct entry entry = {.path = "/"};
		if (json_is_string(walk.field.value)) {
			if (!read_text(document, walk.field, &entry))
				continue;
		} else if (json_is_object(walk.field.value)) {
			if (!read_object(document, walk.field, &entry))
				continue;
		} else {
			document_type_problem(document, walk.field, EXPECTED);
			continue;
		}
		if (is_there(sites, &entry))
			document_problem(document, walk.field, "is there twice: remove one");
		else if (!append(document, sites, &entry))
			return;
	}
}

/* ---- and back ---- */

void policy_site_format(const struct policy_site *site, char text[POLICY_NET_TEXT_MAX * 2])
{
	snprintf(text, POLICY_NET_TEXT_MAX * 2, "%s%s", site->host,
		strcmp(site->path, "/") == 0 ? "" : site->path);
}

json_t *sites_print(const struct policy_sites *sites)
{
	json_t *list = json_array();
	for (size_t i = 0; i < sites->count && list; i++) {
		const struct policy_site *site = &sites->items[i];
		char text[POLICY_NET_TEXT_MAX * 2];
		policy_site_format(site, text);
		json_t *item = site->certificate
				       ? json_pack("{s:s, s:s, s:s}", "host", site->host,
						 "certificate", site->certificate, "key", site->key)
				       : json_string(text);
		if (item && json_array_append_new(list, item) == 0)
			continue;
		json_decref(list);
		list = NULL;
	}
	return list;
}
