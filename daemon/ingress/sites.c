/* The table of sites: sorted by host and path, so that a name is found by halving, and a
 * request costs the same whoever else has how many. */
#include "daemon/ingress/private.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int sites_stage(struct tenant *tenant, const struct ingress_sites *sites)
{
	size_t bytes = 0;
	for (size_t i = 0; i < sites->count; i++)
		bytes += strlen(sites->sites[i].host) + strlen(sites->sites[i].path) + 2;
	struct site_block *block =
		malloc(sizeof *block + sites->count * sizeof block->sites[0] + bytes);
	if (block == NULL)
		return -ENOMEM;
	char *text = (char *)&block->sites[sites->count];
	block->count = sites->count;
	for (size_t i = 0; i < sites->count; i++) {
		struct site *site = &block->sites[i];
		const size_t host = strlen(sites->sites[i].host) + 1;
		const size_t path = strlen(sites->sites[i].path) + 1;
		site->host = memcpy(text, sites->sites[i].host, host);
		site->path = memcpy(text + host, sites->sites[i].path, path);
		site->tenant = tenant;
		site->tls = sites->sites[i].tls;
		text += host + path;
	}
	free(tenant->staged);
	tenant->staged = block;
	tenant->has_staged = true;
	return 0;
}

static int by_host(const void *a, const void *b)
{
	const struct site *left = a, *right = b;
	const int order = strcmp(left->host, right->host);
	return order ? order : strcmp(left->path, right->path);
}

int sites_commit(struct world *world)
{
	size_t count = 0;
	for (size_t i = 0; i < INGRESS_TENANTS_MAX; i++) {
		struct tenant *tenant = world->tenants[i];
		if (tenant == NULL)
			continue;
		const struct site_block *block =
			tenant->has_staged ? tenant->staged : tenant->sites;
		count += block ? block->count : 0;
	}
	struct site *items = malloc((count + !count) * sizeof *items);
	if (items == NULL)
		return -ENOMEM;
	size_t used = 0;
	for (size_t i = 0; i < INGRESS_TENANTS_MAX; i++) {
		struct tenant *tenant = world->tenants[i];
		if (tenant == NULL)
			continue;
		if (tenant->has_staged) {
			free(tenant->sites);
			tenant->sites = take_pointer(tenant->staged);
			tenant->has_staged = false;
			tenant->committed = true;
		}
		for (size_t j = 0; tenant->sites && j < tenant->sites->count; j++)
			items[used++] = tenant->sites->sites[j];
	}
	qsort(items, used, sizeof *items, by_host);
	free(world->table.items);
	world->table = (struct site_table){items, used};
	return 0;
}

/* The first whose host is not before HOST. */
static size_t lower_bound(const struct site_table *table, const char *host)
{
	size_t first = 0, last = table->count;
	while (first < last) {
		const size_t middle = first + (last - first) / 2;
		if (strcmp(table->items[middle].host, host) < 0)
			first = middle + 1;
		else
			last = middle;
	}
	return first;
}

/* Among the sites of exactly this host (or wildcard). */
static const struct site *find_path(
	const struct site_table *table, const char *host, const char *path)
{
	const struct site *best = NULL;
	for (size_t i = lower_bound(table, host); i < table->count; i++) {
		const struct site *site = &table->items[i];
		if (strcmp(site->host, host) != 0)
			break;
		if (path ? !site_path_matches(site->path, path) : !site->tls)
			continue;
		if (best == NULL || strlen(site->path) > strlen(best->path))
			best = site;
	}
	return best;
}

const struct site *sites_find(const struct site_table *table, const char *host, const char *path)
{
	char pattern[SITE_HOST_MAX + 2];
	const struct site *site = find_path(table, host, path);
	for (const char *dot = strchr(host, '.'); site == NULL && dot; dot = strchr(dot + 1, '.')) {
		if (dot == host)
			continue;
		snprintf(pattern, sizeof pattern, "*%s", dot);
		site = find_path(table, pattern, path);
	}
	return site;
}
