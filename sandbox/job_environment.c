/* What a program finds in its environment: what the policy (or the tenant, for its child)
 * says, and what programs expect to find everywhere. Nothing of the daemon's. */
#include "common/cleanup.h"
#include "sandbox/job_steps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROXY_SIZE 64

static bool is_named(const struct worker_start *start, const char *entry)
{
	size_t length = strcspn(entry, "=") + 1;
	for (size_t i = 0; i < start->environment_count; i++)
		if (strncmp(start->environment[i], entry, length) == 0)
			return true;
	return false;
}

/* Programs do not agree on the letters' case, nor on what a proxy is called. */
static size_t put_proxies(char **list, uint16_t port)
{
	static char entries[9][PROXY_SIZE];
	static const struct {
		const char *name, *scheme;
	} names[] = {
		{"HTTP_PROXY", "http"},
		{"http_proxy", "http"},
		{"HTTPS_PROXY", "http"},
		{"https_proxy", "http"},
		{"ALL_PROXY", "socks5h"},
		{"all_proxy", "socks5h"},
	};
	size_t count = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		snprintf(entries[count], PROXY_SIZE, "%s=%s://127.0.0.1:%u", names[i].name,
			names[i].scheme, port);
		list[count] = entries[count];
		count++;
	}
	list[count++] = (char *)"NO_PROXY=localhost,127.0.0.1,::1";
	list[count++] = (char *)"no_proxy=localhost,127.0.0.1,::1";
	list[count++] = (char *)"NODE_USE_ENV_PROXY=1"; /* fetch() of Node 24 */
	return count;
}

char **job_environment(const struct worker_start *start, uint16_t proxy_port, struct error *error)
{
	static const char *const defaults[] = {"HOME=" JOB_HOME, "PATH=" JOB_PATH, "USER=tenant",
		"LOGNAME=tenant", "SHELL=/bin/sh", "TERM=dumb", "TMPDIR=/tmp"};
	char *proxies[16];
	size_t proxy_count = proxy_port ? put_proxies(proxies, proxy_port) : 0;
	static const char secrets[] = "CREDENTIALS_DIRECTORY=" JOB_SECRETS;
	char **list = calloc(
		start->environment_count + ARRAY_LENGTH(defaults) + proxy_count + 2, sizeof *list);
	if (list == NULL) {
		error_set(error, ENOMEM, "no memory for the environment");
		return NULL;
	}
	size_t count = 0;
	for (size_t i = 0; i < start->environment_count; i++)
		list[count++] = (char *)start->environment[i];
	for (size_t i = 0; i < ARRAY_LENGTH(defaults); i++)
		if (!is_named(start, defaults[i]))
			list[count++] = (char *)defaults[i];
	if (start->secret_count > 0 && !is_named(start, secrets))
		list[count++] = (char *)secrets;
	for (size_t i = 0; i < proxy_count; i++)
		if (!is_named(start, proxies[i]))
			list[count++] = proxies[i];
	return list;
}
