#include "policy/policy.h"

#include "common/cleanup.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static const char *const audit_names[] = {
	[POLICY_AUDIT_OFF] = "off",
	[POLICY_AUDIT_DENIED] = "denied",
	[POLICY_AUDIT_ALL] = "all",
};

const char *policy_audit_name(enum policy_audit audit)
{
	return audit_names[audit];
}

int policy_audit_find(const char *name)
{
	for (int i = 0; i < (int)ARRAY_LENGTH(audit_names); i++)
		if (strcmp(audit_names[i], name) == 0)
			return i;
	return -1;
}

void policy_list_clear(struct policy_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct policy_list){0};
}

struct policy *policy_free(struct policy *policy)
{
	if (!policy)
		return NULL;
	policy_list_clear(&policy->fs.read);
	policy_list_clear(&policy->fs.write);
	policy_list_clear(&policy->child_exec);
	policy_list_clear(&policy->env.pass);
	policy_list_clear(&policy->env.secrets);
	policy_list_clear(&policy->signed_by);
	for (size_t i = 0; i < policy->env.set.count; i++) {
		free(policy->env.set.items[i].name);
		free(policy->env.set.items[i].value);
	}
	free(policy->env.set.items);
	free(policy->net.connect.items);
	free(policy->net.deny.items);
	free(policy->net.listen.items);
	policy_sites_clear(&policy->net.ingress);
	free(policy);
	return NULL;
}

struct policy *policy_default(void)
{
	struct policy *policy = NULL;
	/* The defaults of every limit stand in one place: those of a file that names none. */
	static const char text[] = "{\"version\": 1, \"permissions\": {\"net\": {"
				   "\"listen\": [\"127.0.0.1:0\"]}}}";
	if (policy_parse(text, sizeof text - 1, "the default policy", &policy, NULL) < 0)
		return NULL;
	return policy;
}
