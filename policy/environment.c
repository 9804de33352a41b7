#include "policy/policy.h"

#include "common/cleanup.h"
#include "common/protocol.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The value of NAME in ENVIRONMENT; NULL when it is not there. */
static const char *lookup(char *const *environment, const char *name)
{
	size_t length = strlen(name);
	for (; environment && *environment; environment++)
		if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
			return *environment + length + 1;
	return NULL;
}

static bool is_set(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->env.set.count; i++)
		if (strcmp(policy->env.set.items[i].name, name) == 0)
			return true;
	return false;
}

/* LIST has room. */
static int add(struct policy_list *list, const char *name, const char *value, size_t *total,
	struct error *error)
{
	size_t length = strlen(name) + 1 + strlen(value);
	*total += length + 1;
	if (length > WORKER_STRING_MAX)
		return error_set(error, E2BIG,
			"environment variable %s has %zu bytes: at most %d are allowed", name,
			strlen(value), WORKER_STRING_MAX);
	if (*total > POLICY_ENVIRONMENT_MAX)
		return error_set(error, E2BIG,
			"the environment up to variable %s has %zu bytes: at most %d are allowed",
			name, *total, POLICY_ENVIRONMENT_MAX);
	char *entry = malloc(length + 1);
	if (!entry)
		return error_errno(error, ENOMEM, "cannot make the environment");
	snprintf(entry, length + 1, "%s=%s", name, value);
	list->items[list->count++] = entry;
	return 0;
}

int policy_environment(const struct policy *policy, char *const *environment,
	struct policy_list *ret, struct error *error)
{
	size_t most = policy->env.pass.count + policy->env.set.count, total = 0;
	struct policy_list list = {.items = calloc(most + 1, sizeof *list.items)};
	if (!list.items)
		return error_errno(error, ENOMEM, "cannot make the environment");
	int result = 0;
	for (size_t i = 0; i < policy->env.pass.count && result == 0; i++) {
		const char *name = policy->env.pass.items[i];
		const char *value = lookup(environment, name);
		if (value && !is_set(policy, name))
			result = add(&list, name, value, &total, error);
	}
	for (size_t i = 0; i < policy->env.set.count && result == 0; i++)
		result = add(&list, policy->env.set.items[i].name, policy->env.set.items[i].value,
			&total, error);
	if (result < 0) {
		policy_list_clear(&list);
		return result;
	}
	*ret = list;
	return 0;
}
