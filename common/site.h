/* Sites: what belongs to whom on the ports that tenants share. A site is a host
 * ("shop.example.com"; "*.shop.example.com", every name below it, not itself) and a path
 * prefix by whole segments ("/", "/api"). Among the sites that a request matches the most
 * specific one has it: an exact host before a wildcard, a longer wildcard before a shorter
 * one, then the longer path.
 *
 * tenantd-ingress and the workers ask the same functions, about the first request of a
 * connection and about each that follows: what one took for another would be let through. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SITE_HOST_MAX 253 /* RFC 1035; without the NUL, as the next one */
#define SITE_PATH_MAX 192 /* of a prefix */
/* What is compared of a request's path: more than any prefix has. */
#define SITE_PATH_KEPT (SITE_PATH_MAX + 2)

/* The name in LENGTH bytes of a Host field or of SNI: lower case, without port and one
 * final dot. -EINVAL for what is no name of letters, digits, - and _, nor an IPv4 address
 * (an address in brackets is -ENOENT: correct, and no site's). */
int site_host(const char *text, size_t length, char ret_host[SITE_HOST_MAX + 1]);

/* The path of a request target in origin form ("/a/./b?c"), LENGTH bytes, as the URL
 * standard reads it: dot segments gone, also where the dots are %2e; \ is /. Cut behind
 * SITE_PATH_KEPT - 1 bytes. -EINVAL when it does not begin with a slash. */
int site_path(const char *target, size_t length, char ret_path[SITE_PATH_KEPT]);

/* HOST, PATH as above make; PATTERN, PREFIX are a site's, in canonical form. */
bool site_host_matches(const char *pattern, const char *host);
bool site_path_matches(const char *prefix, const char *path);
/* Above 0 when the first site is more specific than the second, 0 when they are the same.
 * Only for sites that both match some request. */
int site_compare(const char *host_a, const char *path_a, const char *host_b, const char *path_b);
