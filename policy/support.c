#include "policy/support.h"

#include "common/cleanup.h"

#include <string.h>

static bool uses_fs_read(const struct policy *policy)
{
	return policy->fs.read.count > 0;
}

static bool uses_fs_write(const struct policy *policy)
{
	return policy->fs.write.count > 0;
}

static bool uses_connect(const struct policy *policy)
{
	return policy->net.connect.count > 0;
}

static bool uses_deny(const struct policy *policy)
{
	return policy->net.deny.count > 0;
}

static bool uses_child(const struct policy *policy)
{
	return policy->child_exec.count > 0;
}

static bool uses_secrets(const struct policy *policy)
{
	return policy->env.secrets.count > 0;
}

static bool uses_tmp(const struct policy *policy)
{
	return policy->limits.tmp_bytes > 0;
}

static bool uses_audit_all(const struct policy *policy)
{
	return policy->audit == POLICY_AUDIT_ALL;
}

/* Whoever makes one of these work deletes its row, and nothing else here. */
static const struct {
	const char *path[3];
	bool (*uses)(const struct policy *policy);
} unsupported[] = {
	{{"permissions", "fs", "read"}, uses_fs_read},
	{{"permissions", "fs", "write"}, uses_fs_write},
	{{"permissions", "net", "connect"}, uses_connect},
	{{"permissions", "net", "deny"}, uses_deny},
	{{"permissions", "child", "exec"}, uses_child},
	{{"permissions", "env", "secrets"}, uses_secrets},
	{{"limits", "tmp"}, uses_tmp},
	{{"audit"}, uses_audit_all},
};

void support_check(struct document *document, const struct policy *policy)
{
	for (size_t i = 0; i < ARRAY_LENGTH(unsupported); i++) {
		if (!unsupported[i].uses(policy))
			continue;
		struct field field = document_root(document);
		for (size_t j = 0; j < 3 && unsupported[i].path[j]; j++)
			field = document_member(document, field, unsupported[i].path[j]);
		document_problem(document, field, "not supported yet: remove it");
	}
}
