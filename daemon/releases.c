#include "daemon/releases.h"

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "daemon/deploying.h"
#include "daemon/history.h"
#include "daemon/operations.h"
#include "daemon/supervisor.h"
#include "deploy/signature.h"
#include "deploy/tree.h"

#include <errno.h>
#include <string.h>

/* ---- signatures ---- */

/* What the release came with: this time, or before, as an older tenantd kept it, too. */
static char *find_signature(
	struct supervisor *supervisor, const char *tenant, const struct program *program)
{
	char *text = NULL;
	struct error error = {0};
	if (program->signature)
		return strdup(program->signature);
	if (store_signature_get(supervisor->store, program->release, tenant, &text, &error) == 0)
		return text;
	if (error.code != ENOENT)
		log_warn("event=signature-unreadable tenant=%s message=\"%s\"", tenant,
			escape_for_log(error.message));
	text = history_signature(supervisor->history, tenant, program->release);
	if (text) /* from now on it is with the release */
		(void)store_signature_put(supervisor->store, program->release, tenant, text, NULL);
	return text;
}

static int check_signature(struct supervisor *supervisor, const char *tenant,
	const struct program *program, struct error *error)
{
	const struct policy_list *keys = &program->policy->signed_by;
	cleanup_free char *text = find_signature(supervisor, tenant, program);
	if (text == NULL)
		return error_set(error, EKEYREJECTED,
			"the release %.12s is not signed, and the policy demands it "
			"(\"signedBy\"): deploy it with --sign-key, or with what `tenantctl sign` "
			"writes",
			program->release);
	return signature_check(text, (const char *const *)keys->items, keys->count,
		program->release, tenant, NULL, error);
}

char *release_signature(struct supervisor *supervisor, const char *tenant, const char *release)
{
	char *text = NULL;
	if (store_signature_get(supervisor->store, release, tenant, &text, NULL) == 0)
		return text;
	return history_signature(supervisor->history, tenant, release);
}

/* Is the release what its id says? What has not been touched since it was hashed is. Nobody
 * but root can write to the store, and a process of root's that wants to deceive has shorter
 * ways; this is against what happens to disks, backups and by hand. */
static int check_content(struct program *program, struct error *error)
{
	unsigned char print[TREE_HASH_SIZE];
	int result = tree_fingerprint(program->release_fd, print, error);
	if (result < 0)
		return error_prefix(error, "the release %.12s", program->release);
	if (program->proof && memcmp(program->proof, print, sizeof print) == 0)
		return 0;
	free(take_pointer(program->proof));
	return 1;
}

int release_check(struct supervisor *supervisor, const char *tenant, struct program *program,
	struct error *error)
{
	if (program->policy->signed_by.count == 0)
		return 0;
	int result = check_signature(supervisor, tenant, program, error);
	return result < 0 ? result : check_content(program, error);
}

void release_is_fresh(struct program *program)
{
	unsigned char *print = program->policy->signed_by.count > 0 ? malloc(TREE_HASH_SIZE) : NULL;
	if (print && tree_fingerprint(program->release_fd, print, NULL) < 0)
		free(take_pointer(print));
	free(program->proof);
	program->proof = print;
}

/* ---- what becomes of them ---- */

void release_is_live(struct tenant *tenant, const char *from, const struct deployment *deployment)
{
	struct supervisor *supervisor = tenant->supervisor;
	const char *to = deployment->program->release, *name = tenant->record.name;
	const struct deploying *doing = deploying_of(supervisor, name);
	const char *why = deployment->automatic        ? tenant->reason
			  : doing && doing->rolls_back ? doing->why
						       : NULL;
	/* A policy that changed: the release is the one that served. */
	if (strcmp(from, to) == 0 && doing == NULL)
		return;
	history_live(supervisor->history, name, from, to, why);
	if (deployment->automatic)
		operations_note(supervisor->operations, &(struct operation){
								.action = "auto-rollback",
								.tenant = name,
								.by = &who_daemon,
								.from = from,
								.to = to,
								.result = "ok",
								.detail = why,
							});
}

void release_is_condemned(struct tenant *tenant, const char *reason)
{
	history_condemn(
		tenant->supervisor->history, tenant->record.name, tenant->record.release, reason);
}

void release_is_rejected(
	struct tenant *tenant, const struct deployment *deployment, const char *reason)
{
	history_failed(tenant->supervisor->history, tenant->record.name, tenant->record.release,
		deployment->program->release, reason ? reason : "it was given up");
}

void release_policy_changed(struct tenant *tenant, const char *result, const char *why)
{
	const char *release = tenant->record.release;
	operations_note(tenant->supervisor->operations, &(struct operation){
								.action = "policy",
								.tenant = tenant->record.name,
								.by = &tenant->supervisor->reloader,
								.from = release,
								.to = release,
								.result = result,
								.detail = why,
							});
}

bool releases_keep(const struct tenant *tenant, const char ***keep, size_t *count, size_t *room)
{
	const char (*ids)[STORE_ID_SIZE];
	const ssize_t found = history_kept(
		tenant->supervisor->history, tenant->record.name, tenant->record.release, &ids);
	if (found < 0) {
		log_warn("event=prune-failed tenant=%s message=\"cannot read which releases are "
			 "kept: %s\"",
			tenant->record.name, strerror((int)-found));
		return false;
	}
	const size_t more = (size_t)found;
	if (*count + more > *room) {
		const size_t larger = *room * 2 + more;
		void *place = reallocarray(*keep, larger, sizeof **keep);
		if (place == NULL)
			return false;
		*keep = place;
		*room = larger;
	}
	for (size_t i = 0; i < more; i++)
		(*keep)[(*count)++] = ids[i];
	return true;
}
