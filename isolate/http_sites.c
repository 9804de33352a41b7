#include "isolate/http_sites.h"

#include "common/cleanup.h"
#include "common/site.h"
#include "isolate/channel.h"

#include <string.h>

/* The sites and, behind them, the message that their strings are in. NULL: none came. */
static struct site_list {
	size_t count;
	struct worker_site sites[];
} *list;

bool http_sites_allow(const char *url, size_t length)
{
	char host[SITE_HOST_MAX + 1], path[SITE_PATH_KEPT];
	if (list == NULL)
		return true;
	const size_t scheme =
		length > 4 && url[4] == 's' ? sizeof "https://" - 1 : sizeof "http://" - 1;
	const char *authority = url + scheme, *end = url + length;
	const char *slash =
		length > scheme ? memchr(authority, '/', (size_t)(end - authority)) : NULL;
	if (slash == NULL || site_host(authority, (size_t)(slash - authority), host) < 0 ||
		site_path(slash, (size_t)(end - slash), path) < 0)
		return false;
	const struct worker_site *best = NULL;
	for (size_t i = 0; i < list->count; i++) {
		const struct worker_site *site = &list->sites[i];
		if (site_host_matches(site->host, host) && site_path_matches(site->path, path) &&
			(best == NULL ||
				site_compare(site->host, site->path, best->host, best->path) > 0))
			best = site;
	}
	return best && best->own;
}

/* When there is no memory the old list stands: the supervisor is trusted to be right about
 * what it says, not to be obeyed at any price. */
static void on_sites(const void *message, size_t length, int *fds, size_t fd_count)
{
	static struct worker_sites sites;
	struct error error;
	(void)fds;
	(void)fd_count;
	if (worker_sites_decode(message, length, &sites, &error) < 0)
		return;
	struct site_list *fresh =
		malloc(sizeof *fresh + sites.count * sizeof fresh->sites[0] + length);
	if (fresh == NULL)
		return;
	char *copy = memcpy(&fresh->sites[sites.count], message, length);
	fresh->count = sites.count;
	for (size_t i = 0; i < sites.count; i++) {
		const struct worker_site *site = &sites.sites[i];
		fresh->sites[i] = (struct worker_site){
			.host = copy + (site->host - (const char *)message),
			.path = copy + (site->path - (const char *)message),
			.own = site->own,
		};
	}
	free(list);
	list = fresh;
}

void http_sites_start(void)
{
	channel_on(MESSAGE_SITES, on_sites);
}
