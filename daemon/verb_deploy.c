/* The verbs `deploy` and `rollback`: a release, from an archive or from the store, becomes a
 * candidate that the tenant tries beside what runs; answered when it is live, or with the
 * reason why not and what it printed. Nothing of a deployment that fails stays but a line of
 * history: not the tenant, if it was new, not the policy that came with it. */
#include "common/cleanup.h"
#include "common/control.h"
#include "daemon/deploying.h"
#include "daemon/history.h"
#include "daemon/releases.h"
#include "daemon/supervisor.h"
#include "daemon/unpack_job.h"
#include "daemon/verbs.h"
#include "deploy/signature.h"

#include <errno.h>
#include <string.h>

#define MESSAGE_MAX 1000 /* bytes of -m */
#define MIN_HEALTHY_MAX (24 * 3600 * 1000)

struct deploy {
	struct deploying lock; /* first */
	struct supervisor *supervisor;
	struct control_connection *connection; /* NULL: the client is gone */
	const char *name;                      /* the lock's */
	int archive_fd;                        /* -1: a rollback */
	char *target;                          /* of a rollback; NULL: the previous release */
	struct unpack_result unpacked;
	char release[STORE_ID_SIZE]; /* "" until it is known */
	char previous[STORE_ID_SIZE];
	struct policy *policy; /* that came with the request; NULL: none */
	char *policy_text;
	char *signature; /* NULL: none */
	enum deployment_strategy strategy;
	uint32_t canary_instances, canary_weight_percent, keep;
	uint64_t min_healthy_ms;
	bool wait, following, noted;
};

static struct deploy *deploy_free(struct deploy *deploy)
{
	if (deploy == NULL)
		return NULL;
	deploying_leave(&deploy->lock);
	close_fd(&deploy->archive_fd);
	policy_free(deploy->policy);
	free(deploy->policy_text);
	free(deploy->signature);
	free(deploy->target);
	free(deploy);
	return NULL;
}

/* Records what came of it. */
static void note(const struct deploy *deploy, const char *result, const char *detail)
{
	operations_note(deploy->supervisor->operations,
		&(struct operation){
			.action = deploy->lock.rolls_back ? "rollback" : "deploy",
			.tenant = deploy->name,
			.by = &deploy->lock.who,
			.from = deploy->previous,
			.to = deploy->release,
			.result = result,
			.message = deploy->lock.why,
			.detail = detail,
		});
}

static void fail(struct deploy *deploy, const char *code, const char *message)
{
	const struct tenant *tenant = supervisor_find(deploy->supervisor, deploy->name);
	if (deploy->noted && tenant)
		history_failed(deploy->supervisor->history, deploy->name, tenant->record.release,
			deploy->release, message);
	note(deploy, "failed", message);
	if (deploy->connection)
		control_fail(deploy->connection, code, CONTROL_EXIT_FAILURE, "%s: %s", deploy->name,
			message);
	deploy_free(deploy);
}

/* What the new instance prints while it starts. */
static void send_line(void *data, const struct log_entry *entry)
{
	const struct deploy *deploy = data;
	const struct tenant *tenant = supervisor_find(deploy->supervisor, deploy->name);
	const bool its = tenant && tenant_is_candidate(tenant, entry->instance);
	if (deploy->connection && (its || entry->stream == LOG_STREAM_DAEMON))
		control_item(deploy->connection, json_pack("{s:s}", "log", entry->line));
}

/* The client is gone, or does not want to wait any longer: what has begun goes on; who only
 * waited for their turn gives it up. */
static void client_gone(void *data)
{
	struct deploy *deploy = data;
	deploy->connection = NULL;
	if (!deploy->lock.begun)
		deploy_free(deploy);
}

static const struct control_hold deploy_hold = {.closed = client_gone};

static bool is_canary(const struct tenant *tenant)
{
	return tenant->candidate && tenant->candidate->strategy == DEPLOY_CANARY;
}

static void settled(void *data, struct tenant *tenant, int result, const char *message)
{
	struct deploy *deploy = data;
	if (deploy->following)
		tenant_log_unfollow(tenant->log, deploy);
	if (result < 0) {
		fail(deploy, "failed", message);
		return;
	}
	const bool canary = is_canary(tenant);
	note(deploy, canary ? "canary" : "ok", NULL);
	if (deploy->connection)
		verb_done(deploy->connection,
			json_pack("{s:o, s:s, s:o, s:f, s:b, s:b}", "tenant",
				tenant_describe(tenant), "release", deploy->release, "previous",
				deploy->previous[0] ? json_string(deploy->previous) : json_null(),
				"ready_ms", (double)(tenant->ready_us / 100) / 10, "canary", canary,
				"rollback", deploy->lock.rolls_back));
	deploy_free(deploy);
}

/* The tenant to deploy to; a new one if need be. */
static struct tenant *find_or_add(struct deploy *deploy, struct error *error)
{
	struct tenant *tenant = supervisor_find(deploy->supervisor, deploy->name);
	struct state_tenant record = {.running = true};
	if (tenant)
		return tenant;
	int64_t slot = supervisor_free_slot(deploy->supervisor);
	if (slot < 0) {
		error_set(error, EUSERS, "no user ids are left for another tenant");
		return NULL;
	}
	snprintf(record.name, sizeof record.name, "%s", deploy->name);
	record.uid_slot = (uint32_t)slot;
	if (supervisor_add(deploy->supervisor, &record, &tenant, error) < 0)
		return NULL;
	return tenant;
}

/* ---- trying a release ---- */

static int make_program(struct deploy *deploy, struct program **ret_program, struct error *error)
{
	char file[256];
	struct program *program;
	int result = 0;
	if (deploy->policy)
		snprintf(file, sizeof file, "%s.json", deploy->name);
	else
		result = program_policy(
			deploy->supervisor->policy_fd, deploy->name, &deploy->policy, file, error);
	if (result < 0)
		return result;
	result = program_new(deploy->supervisor->store, deploy->release,
		take_pointer(deploy->policy), file, &program, error);
	if (result < 0)
		return result;
	/* What the release was deployed with before still holds, if it comes without. */
	program->signature = deploy->signature ? strdup(deploy->signature) : NULL;
	if (!deploy->lock.rolls_back)
		release_is_fresh(program);
	/* What is yet to be hashed is, before its first instance starts. */
	result = release_check(deploy->supervisor, deploy->name, program, error);
	if (result < 0) {
		program_free(program, NULL);
		return result;
	}
	*ret_program = program;
	return 0;
}

/* Writes down that it is tried, before it is. A rollback's release is known already. */
static int begin_history(
	struct deploy *deploy, const struct tenant *tenant, bool verified, struct error *error)
{
	char key[SIGNATURE_KEY_TEXT_SIZE] = "";
	struct signature signature;
	cleanup_free char *kept = NULL;
	const char *text = deploy->signature;
	if (deploy->lock.rolls_back)
		return 0;
	if (text == NULL) /* the same release again, without: what was signed is */
		text = kept = release_signature(deploy->supervisor, deploy->name, deploy->release);
	if (text && store_signature_put(deploy->supervisor->store, deploy->release, deploy->name,
			    text, error) < 0)
		return -error->code;
	if (verified && text && signature_parse(text, strlen(text), &signature, NULL) == 0)
		signature_key_print(signature.key, key);
	int result =
		history_begin(deploy->supervisor->history, deploy->name, tenant->record.release,
			&(struct history_attempt){
				.release = deploy->release,
				.from = deploy->previous,
				.by = &deploy->lock.who,
				.message = deploy->lock.why,
				.signed_by = key,
				.bytes = deploy->unpacked.bytes,
				.entries = deploy->unpacked.entries,
				.keep = deploy->keep,
			},
			error);
	deploy->noted = result == 0;
	return result;
}

static char *describe_who(const struct deploy *deploy)
{
	char text[WHO_TEXT_MAX];
	return strdup(who_text(&deploy->lock.who, text));
}

static int try_release(struct deploy *deploy, struct error *error)
{
	struct deployment *deployment = calloc(1, sizeof *deployment);
	if (deployment == NULL)
		return error_set(error, ENOMEM, "no memory for a deployment");
	int result = make_program(deploy, &deployment->program, error);
	struct tenant *tenant = result == 0 ? find_or_add(deploy, error) : NULL;
	if (tenant == NULL) {
		deployment_free(deployment, NULL);
		return -error->code;
	}
	deployment->policy_text = take_pointer(deploy->policy_text);
	deployment->strategy = deploy->strategy;
	deployment->canary_instances = deploy->canary_instances;
	deployment->canary_weight_percent = deploy->canary_weight_percent;
	deployment->min_healthy_ms = deploy->min_healthy_ms;
	deployment->who = describe_who(deploy);
	snprintf(deploy->previous, sizeof deploy->previous, "%.*s", STORE_ID_LENGTH,
		tenant->record.release);
	const bool verified = deployment->program->policy->signed_by.count > 0;
	result = begin_history(deploy, tenant, verified, error);
	if (result == 0 && tenant_wait(tenant, WAIT_UP, settled, deploy) < 0)
		result = error_set(error, ENOMEM, "no memory for a deployment");
	if (result < 0) {
		deployment_free(deployment, NULL);
	} else {
		deploy->following = tenant_log_follow(tenant->log, send_line, deploy) == 0;
		result = tenant_deploy(tenant, deployment,
			deploy->lock.rolls_back ? "rolled back" : "deployed", error);
		if (result == 0)
			return 0; /* settled was or will be called */
		tenant_forget_waiter(tenant, deploy);
		tenant_log_unfollow(tenant->log, deploy);
	}
	if (tenant->machine.state == TENANT_NEW && tenant->candidate == NULL)
		supervisor_remove(deploy->supervisor, tenant);
	return result;
}

static void go_on(struct deploy *deploy)
{
	struct error error = {0};
	int result = try_release(deploy, &error);
	if (result == 0)
		return;
	supervisor_changed(deploy->supervisor, CHANGED_RELEASES); /* the release is nobody's */
	fail(deploy,
		result == -EBUSY || result == -EPERM ? "busy"
		: result == -EKEYREJECTED            ? "unsigned"
						     : "failed",
		error.message);
}

static void unpacked(
	void *data, int result, const struct unpack_result *what, const struct error *why)
{
	struct deploy *deploy = data;
	if (result < 0) {
		fail(deploy, "bad-archive", why->message);
		return;
	}
	deploy->unpacked = *what;
	memcpy(deploy->release, what->release, sizeof deploy->release);
	if (deploy->supervisor->stopping)
		fail(deploy, "stopping", "tenantd is stopping");
	else
		go_on(deploy);
}

/* ---- the lock, and what a rollback goes back to ---- */

/* Something else is tried at the moment, e.g. a policy that was read again. */
static void candidate_over(void *data, struct tenant *tenant, int result, const char *message)
{
	struct deploy *deploy = data;
	(void)tenant;
	(void)result;
	(void)message;
	if (deploying_retry(&deploy->lock) < 0)
		fail(deploy, "no-memory", "out of memory");
}

/* Is something under way that was not begun here? Then this one waits, or fails. A rollback of
 * a canary is the end of that. */
static bool is_held_up(struct deploy *deploy, struct tenant *tenant)
{
	char text[512], since[32];
	const struct deployment *other = tenant ? tenant->candidate : NULL;
	if (other == NULL)
		return false;
	if (is_canary(tenant)) {
		snprintf(text, sizeof text,
			"the release %.12s is its canary since %s, by %s: promote it, or roll it "
			"back",
			other->program->release, format_time(since, other->since_us),
			other->who ? other->who : "tenantd");
		fail(deploy, "busy", text);
		return true;
	}
	if (deploy->wait && tenant_wait(tenant, WAIT_UP, candidate_over, deploy) == 0)
		return true;
	fail(deploy, "busy", "another release or policy of it is being tried: wait with --wait");
	return true;
}

/* The canary ends here: what served before goes on alone. */
static void abort_canary(struct deploy *deploy, struct tenant *tenant)
{
	struct error error = {0};
	char release[STORE_ID_SIZE];
	snprintf(release, sizeof release, "%s", tenant->candidate->program->release);
	const char *why = deploy->lock.why[0] ? deploy->lock.why : "the canary was rolled back";
	memcpy(deploy->previous, release, sizeof release);
	snprintf(deploy->release, sizeof deploy->release, "%.*s", STORE_ID_LENGTH,
		tenant->record.release);
	if (tenant_abort_candidate(tenant, why, &error) < 0) {
		fail(deploy, "failed", error.message);
		return;
	}
	note(deploy, "ok", NULL);
	tenant = supervisor_find(deploy->supervisor, deploy->name);
	if (deploy->connection && tenant)
		verb_done(deploy->connection,
			json_pack("{s:o, s:s, s:s, s:f, s:b, s:b}", "tenant",
				tenant_describe(tenant), "release", deploy->release, "previous",
				release, "ready_ms", 0.0, "canary", false, "rollback", true));
	else if (deploy->connection)
		verb_done(deploy->connection, NULL);
	deploy_free(deploy);
}

static void begin_rollback(struct deploy *deploy)
{
	struct supervisor *supervisor = deploy->supervisor;
	struct tenant *tenant = supervisor_find(supervisor, deploy->name);
	struct error error = {0};
	int result = 0;
	if (tenant == NULL) {
		fail(deploy, "unknown-tenant", "it is gone");
		return;
	}
	if (is_canary(tenant) && deploy->target == NULL) {
		abort_canary(deploy, tenant);
		return;
	}
	if (is_held_up(deploy, tenant))
		return;
	const char *active = tenant->record.release;
	if (deploy->target)
		result = history_find(supervisor->history, deploy->name, active, deploy->target,
			deploy->release, &error);
	else
		result = history_previous(
			supervisor->history, deploy->name, active, deploy->release, &error);
	if (result == 0 && strcmp(deploy->release, active) == 0)
		result = error_set(&error, EALREADY, "%.12s is its active release", active);
	if (result < 0)
		fail(deploy, "no-release", error.message);
	else
		go_on(deploy);
}

static void begin(struct deploying *lock)
{
	struct deploy *deploy = (struct deploy *)lock;
	struct error error = {0};
	struct unpack_job *job;
	if (deploy->supervisor->stopping) {
		fail(deploy, "stopping", "tenantd is stopping");
		return;
	}
	if (lock->rolls_back) {
		begin_rollback(deploy);
		return;
	}
	if (is_held_up(deploy, supervisor_find(deploy->supervisor, deploy->name)))
		return;
	int result = unpack_job_start(deploy->supervisor, deploy->archive_fd, deploy->name,
		unpacked, deploy, &job, &error);
	close_fd(&deploy->archive_fd);
	if (result < 0)
		fail(deploy, "failed", error.message);
}

/* ---- the requests ---- */

static int take_string(
	const json_t *request, const char *key, size_t most, char **ret_text, struct error *error)
{
	const json_t *value = json_object_get(request, key);
	if (value == NULL || json_is_null(value))
		return 0;
	if (!json_is_string(value) || json_string_length(value) > most)
		return error_set(error, EINVAL, "%s: text of at most %zu bytes", key, most);
	*ret_text = strdup(json_string_value(value));
	return *ret_text ? 0 : error_set(error, ENOMEM, "out of memory");
}

static int take_number(const json_t *request, const char *key, json_int_t least, json_int_t most,
	uint64_t *ret_number, struct error *error)
{
	const json_t *value = json_object_get(request, key);
	if (value == NULL)
		return 0;
	if (!json_is_integer(value) || json_integer_value(value) < least ||
		json_integer_value(value) > most)
		return error_set(error, EINVAL, "%s: a number from %lld to %lld", key, least, most);
	*ret_number = (uint64_t)json_integer_value(value);
	return 0;
}

static int take_strategy(struct deploy *deploy, const json_t *request, struct error *error)
{
	uint64_t instances = 0, weight = 0, keep = 0;
	int result = take_number(
		request, "canary_instances", 1, MANIFEST_INSTANCES_MAX, &instances, error);
	if (result == 0)
		result = take_number(request, "canary_weight", 1, 99, &weight, error);
	if (result == 0)
		result = take_number(request, "min_healthy_ms", 0, MIN_HEALTHY_MAX,
			&deploy->min_healthy_ms, error);
	if (result == 0)
		result = take_number(request, "keep", 1, HISTORY_KEEP_MAX, &keep, error);
	if (result < 0)
		return result;
	deploy->canary_instances = (uint32_t)instances;
	deploy->canary_weight_percent = (uint32_t)weight;
	deploy->keep = (uint32_t)keep;
	if (instances || weight)
		deploy->strategy = DEPLOY_CANARY;
	return 0;
}

static int take_policy(struct deploy *deploy, const json_t *request, struct error *error)
{
	const char *policy = json_string_value(json_object_get(request, "policy"));
	const char *file = json_string_value(json_object_get(request, "policy_file"));
	if (policy == NULL)
		return 0;
	deploy->policy_text = strdup(policy);
	if (deploy->policy_text == NULL)
		return error_set(error, ENOMEM, "no memory for a policy");
	return policy_parse(policy, strlen(policy), file ? file : "policy", &deploy->policy, error);
}

static int take_request(struct deploy *deploy, const json_t *request, struct error *error)
{
	const char *name = json_string_value(json_object_get(request, "name"));
	cleanup_free char *message = NULL;
	if (name == NULL)
		return error_set(error, EINVAL, "the request has no name");
	int result = policy_check_name(name, error);
	if (result < 0)
		return result;
	snprintf(deploy->lock.tenant, sizeof deploy->lock.tenant, "%s", name);
	result = take_string(request, "message", MESSAGE_MAX, &message, error);
	if (result == 0)
		result = take_string(
			request, "signature", SIGNATURE_TEXT_MAX, &deploy->signature, error);
	if (result == 0)
		result = take_string(request, "release", STORE_ID_SIZE, &deploy->target, error);
	if (result == 0)
		result = take_strategy(deploy, request, error);
	if (result == 0)
		result = take_policy(deploy, request, error);
	if (message)
		snprintf(deploy->lock.why, sizeof deploy->lock.why, "%s", message);
	deploy->wait = json_is_true(json_object_get(request, "wait"));
	return result;
}

static void start(struct control_connection *connection, const json_t *request, int archive_fd,
	bool rolls_back)
{
	struct error error = {0};
	struct deploy *deploy = calloc(1, sizeof *deploy);
	if (deploy == NULL) {
		close_fd(&archive_fd);
		control_fail(connection, "no-memory", CONTROL_EXIT_FAILURE, "out of memory");
		return;
	}
	deploy->archive_fd = archive_fd;
	deploy->supervisor = deploy->lock.supervisor = control_data(connection);
	deploy->name = deploy->lock.tenant;
	deploy->lock.rolls_back = rolls_back;
	deploy->lock.begin = begin;
	control_who(connection, &deploy->lock.who);
	int result = take_request(deploy, request, &error);
	if (result < 0) {
		control_fail(connection, "invalid", CONTROL_EXIT_USAGE, "%s", error.message);
		deploy_free(deploy);
		return;
	}
	result = deploying_enter(&deploy->lock, deploy->wait, &error);
	if (result < 0) {
		note(deploy, "refused", error.message);
		control_fail(connection, "locked", CONTROL_EXIT_FAILURE, "%s: %s", deploy->name,
			error.message);
		deploy_free(deploy);
		return;
	}
	deploy->connection = connection;
	control_hold(connection, &deploy_hold, deploy, verb_wait_ms(request));
	if (result > 0)
		begin(&deploy->lock);
}

void deploy_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	(void)fd_count;
	start(connection, request, take_fd(&fds[0]), false);
}

void rollback_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	(void)fds;
	(void)fd_count;
	if (verb_tenant(connection, request))
		start(connection, request, -1, true);
}
