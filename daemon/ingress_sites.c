/* Sites of different tenants, beside each other: none may be of two, and a worker must know
 * which parts of its own are somebody else's. */
#include "daemon/ingress_private.h"

#include "common/escape.h"
#include "common/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int ingress_sites_copy(const struct policy_sites *from, struct policy_sites *ret_sites)
{
	struct policy_sites copy = {0};
	bool good = true;
	if (from->count > 0) {
		copy.items = calloc(from->count, sizeof *copy.items);
		good = copy.items != NULL;
	}
	for (size_t i = 0; good && i < from->count; i++) {
		const struct policy_site *site = &from->items[i];
		struct policy_site *place = &copy.items[copy.count++];
		place->host = strdup(site->host);
		place->path = strdup(site->path);
		place->certificate = site->certificate ? strdup(site->certificate) : NULL;
		place->key = site->key ? strdup(site->key) : NULL;
		good = place->host && place->path && (!site->certificate || place->certificate) &&
		       (!site->key || place->key);
	}
	if (!good) {
		policy_sites_clear(&copy);
		return -ENOMEM;
	}
	*ret_sites = copy;
	return 0;
}

static bool same(const struct policy_site *a, const struct policy_site *b)
{
	return strcmp(a->host, b->host) == 0 && strcmp(a->path, b->path) == 0;
}

static bool same_file(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool ingress_sites_equal(const struct policy_sites *a, const struct policy_sites *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!same(&a->items[i], &b->items[i]) ||
			!same_file(a->items[i].certificate, b->items[i].certificate) ||
			!same_file(a->items[i].key, b->items[i].key))
			return false;
	return true;
}

int ingress_sites_check(const struct ingress_tenant *tenants, const char *tenant,
	const struct policy_sites *sites, struct error *error)
{
	char text[POLICY_NET_TEXT_MAX * 2];
	for (const struct ingress_tenant *other = tenants; other; other = other->next) {
		if (other->removed || strcmp(other->name, tenant) == 0)
			continue;
		for (size_t i = 0; i < sites->count; i++)
			for (size_t j = 0; j < other->sites.count; j++) {
				if (!same(&sites->items[i], &other->sites.items[j]))
					continue;
				policy_site_format(&sites->items[i], text);
				return error_set(error, EADDRINUSE,
					"net.ingress: %s is of %s already, and cannot be of %s, "
					"too: take it out of one of the two policies",
					escape_for_log(text), other->name, tenant);
			}
	}
	return 0;
}

ssize_t ingress_sites_message(const struct ingress_tenant *tenant, void *data, size_t size)
{
	static struct ingress_sites message;
	const struct policy_sites *sites = &tenant->sites;
	_Static_assert(INGRESS_SITES_MAX >= POLICY_LIST_MAX, "a tenant's sites fit");
	message.tenant = tenant->name;
	message.count = tenant->removed ? 0 : sites->count;
	for (size_t i = 0; i < message.count; i++)
		message.sites[i] = (struct ingress_site){sites->items[i].host, sites->items[i].path,
			sites->items[i].certificate != NULL};
	return ingress_sites_encode(&message, tenant->id, data, size);
}

/* May a request match both, and is FOREIGN then the more specific one? */
static bool shadows(const struct policy_site *foreign, const struct policy_site *own)
{
	if (strcmp(foreign->host, own->host) == 0)
		return strlen(foreign->path) > strlen(own->path) &&
		       site_path_matches(own->path, foreign->path);
	if (own->host[0] != '*')
		return false;
	const char *host = foreign->host[0] == '*' ? foreign->host + 1 : foreign->host;
	return site_host_matches(own->host, host);
}

static bool concerns(const struct ingress_tenant *tenant, const struct policy_site *foreign)
{
	for (size_t i = 0; i < tenant->sites.count; i++)
		if (shadows(foreign, &tenant->sites.items[i]))
			return true;
	return false;
}

static bool add(struct worker_sites *message, const struct policy_site *site, bool own)
{
	if (message->count == WORKER_SITES_MAX)
		return false;
	message->sites[message->count++] = (struct worker_site){site->host, site->path, own};
	return true;
}

ssize_t ingress_worker_message(const struct ingress_tenant *tenants,
	const struct ingress_tenant *tenant, uint32_t instance, void *data, size_t size)
{
	static struct worker_sites message;
	bool all = true;
	message.count = 0;
	for (size_t i = 0; i < tenant->sites.count; i++)
		add(&message, &tenant->sites.items[i], true);
	for (const struct ingress_tenant *other = tenants; other; other = other->next)
		for (size_t i = 0; other != tenant && !other->removed && i < other->sites.count;
			i++)
			if (concerns(tenant, &other->sites.items[i]))
				all = add(&message, &other->sites.items[i], false) && all;
	ssize_t length = worker_sites_encode(&message, instance, data, size);
	/* Its own it must know; the others' only the first request is then kept from it. */
	while (length == -EMSGSIZE && message.count > tenant->sites.count) {
		message.count -= (message.count - tenant->sites.count + 1) / 2;
		all = false;
		length = worker_sites_encode(&message, instance, data, size);
	}
	if (!all)
		log_warn("event=ingress-sites-cut tenant=%s message=\"too many sites of others "
			 "are below its own: kept-alive connections are not checked for all\"",
			tenant->name);
	return length;
}
