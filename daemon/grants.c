#include "daemon/grants.h"

#include "common/escape.h"
#include "common/log.h"
#include "common/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One path of the policy, and where it stands there. */
struct wish {
	const char *path;
	const char *list; /* "read" or "write" */
	size_t index;
	bool write;
};

/* By path; of two of the same path the one that may write comes first. */
static int compare(const void *left, const void *right)
{
	const struct wish *a = left, *b = right;
	int order = strcmp(a->path, b->path);
	return order ? order : (int)b->write - (int)a->write;
}

static size_t collect(const struct policy *policy, struct wish *wishes)
{
	const struct policy_list *read = &policy->fs.read, *write = &policy->fs.write;
	size_t count = 0, kept = 0;
	for (size_t i = 0; i < read->count; i++)
		wishes[count++] = (struct wish){read->items[i], "read", i, false};
	for (size_t i = 0; i < write->count; i++)
		wishes[count++] = (struct wish){write->items[i], "write", i, true};
	qsort(wishes, count, sizeof *wishes, compare);
	for (size_t i = 0; i < count; i++)
		if (kept == 0 || strcmp(wishes[kept - 1].path, wishes[i].path) != 0)
			wishes[kept++] = wishes[i];
	return kept;
}

static void warn(const char *tenant, const struct wish *wish, const char *message)
{
	log_warn("event=grant tenant=%s message=\"/permissions/fs/%s/%zu: %s\"", tenant, wish->list,
		wish->index, escape_for_log(message));
}

/* A grant to write a folder is one to write all in it: Landlock cannot take a part out
 * again, policy_match_path does not either, and so the mount must not seem to. */
static void inherit(const char *tenant, struct wish *wishes, size_t at)
{
	for (size_t i = 0; i < at && !wishes[at].write; i++) {
		char message[512];
		if (!wishes[i].write || !path_is_below(wishes[at].path, wishes[i].path))
			continue;
		wishes[at].write = true;
		snprintf(message, sizeof message,
			"%.200s is in %.200s, which may be written: it may be written, too",
			wishes[at].path, wishes[i].path);
		warn(tenant, &wishes[at], message);
	}
}

static int open_one(const struct wish *wish, const char *tenant, uint32_t id, enum tier tier,
	struct sandbox_grant *ret, struct error *error)
{
	char warning[256];
	*ret = (struct sandbox_grant){
		.path = wish->path,
		.mount = -1,
		.flags = wish->write ? SANDBOX_GRANT_WRITE : 0,
	};
	int result = tier_is_bare(tier) ? sandbox_grant_place(ret, id, warning, error)
					    : sandbox_grant_mount(ret, id, warning, error);
	if (result < 0)
		return error_prefix(error, "/permissions/fs/%s/%zu", wish->list, wish->index);
	if (warning[0])
		warn(tenant, wish, warning);
	return 0;
}

static int check(
	const struct policy *policy, const struct wish *wishes, size_t count, struct error *error)
{
	if (count > WORKER_GRANTS_MAX)
		return error_set(error, E2BIG,
			"/permissions/fs: %zu files and folders are granted, at most %d fit: grant "
			"a folder that holds several",
			count, WORKER_GRANTS_MAX);
	for (size_t i = 0; i < count && policy->limits.tmp_bytes > 0; i++)
		if (strcmp(wishes[i].path, "/tmp") == 0)
			return error_set(error, EEXIST,
				"/permissions/fs/%s/%zu: /tmp: is the tenant's own with "
				"limits.tmp: "
				"take one of the two away",
				wishes[i].list, wishes[i].index);
	return 0;
}

int grants_open(const struct policy *policy, const char *tenant, uint32_t id, enum tier tier,
	struct grants *ret, struct error *error)
{
	static struct wish wishes[2 * POLICY_LIST_MAX];
	size_t count = collect(policy, wishes);
	int result = check(policy, wishes, count, error);
	ret->count = 0;
	/* First, so that no link in them is followed on the way to another. */
	grants_distrust(policy);
	for (size_t i = 0; i < count && result == 0; i++) {
		inherit(tenant, wishes, i);
		result = open_one(&wishes[i], tenant, id, tier, &ret->items[i], error);
		ret->count += result == 0;
	}
	if (result < 0)
		grants_close(ret);
	return result;
}

void grants_distrust(const struct policy *policy)
{
	for (size_t i = 0; i < policy->fs.write.count; i++)
		sandbox_grant_distrust(policy->fs.write.items[i]);
}

void grants_close(struct grants *grants)
{
	for (size_t i = 0; i < grants->count; i++)
		close(grants->items[i].mount);
	grants->count = 0;
}

void grants_put(const struct grants *grants, struct worker_start *start)
{
	for (size_t i = 0; i < grants->count; i++)
		start->grants[start->grant_count++] = (struct worker_grant){
			.path = grants->items[i].path,
			.write = grants->items[i].flags & SANDBOX_GRANT_WRITE,
			.folder = grants->items[i].flags & SANDBOX_GRANT_FOLDER,
		};
}
