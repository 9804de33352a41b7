/* What of the shared ports is the tenant's (common/site.h): tenantd-ingress looks at the first
 * request of a connection only; the others are looked at here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Listens for the supervisor's SITES. Call when the channel is there. */
void http_sites_start(void);

/* May a request for this URL ("http://host:port/path?query", or
 * https:, normalised) be answered here?
 * Yes as long as there were no SITES. */
bool http_sites_allow(const char *url, size_t length);
