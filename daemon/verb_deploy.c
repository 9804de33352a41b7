/* The verb `deploy`: archive → store → a candidate that the tenant tries beside what
 * runs → answered when it is live, or with the reason why not and what it printed.
 * Nothing of a deployment that fails stays: not the tenant, if it was new, not the
 * policy that came with it. */
#include "common/cleanup.h"
#include "common/control.h"
#include "daemon/supervisor.h"
#include "daemon/unpack_job.h"
#include "daemon/verbs.h"

#include <errno.h>
#include <string.h>

struct deploy {
	struct supervisor *supervisor;
	struct control_connection *connection; /* NULL: the client is gone */
	char name[CONTROL_NAME_MAX + 1];
	char previous[STORE_ID_SIZE];
	struct policy *policy; /* that came with the request; NULL: none */
	char *policy_text;
	bool following;
};

static struct deploy *deploy_free(struct deploy *deploy)
{
	if (deploy == NULL)
		return NULL;
	policy_free(deploy->policy);
	free(deploy->policy_text);
	free(deploy);
	return NULL;
}

static void fail(struct deploy *deploy, const char *code, const char *message)
{
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
	const bool its = tenant && tenant->next && tenant->next->id == entry->instance;
	if (deploy->connection && (its || entry->stream == LOG_STREAM_DAEMON))
		control_item(deploy->connection, json_pack("{s:s}", "log", entry->line));
}

/* The client is gone, or does not want to wait any longer: the deployment goes on. */
static void client_gone(void *data)
{
	struct deploy *deploy = data;
	deploy->connection = NULL;
}

static const struct control_hold deploy_hold = {client_gone, NULL};

static void settled(void *data, struct tenant *tenant, int result, const char *message)
{
	struct deploy *deploy = data;
	if (deploy->following)
		tenant_log_unfollow(tenant->log, deploy);
	if (result < 0) {
		fail(deploy, "failed", message);
		return;
	}
	if (deploy->connection)
		control_done(deploy->connection,
			json_pack("{s:o, s:s, s:o, s:f}", "tenant", tenant_describe(tenant),
				"release", tenant->record.release, "previous",
				deploy->previous[0] ? json_string(deploy->previous) : json_null(),
				"ready_ms", (double)(tenant->ready_us / 100) / 10));
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

static int make_program(struct deploy *deploy, const char *release, struct program **ret_program,
	struct error *error)
{
	char file[256];
	int result = 0;
	if (deploy->policy)
		snprintf(file, sizeof file, "%s.json", deploy->name);
	else
		result = program_policy(
			deploy->supervisor->policy_fd, deploy->name, &deploy->policy, file, error);
	if (result < 0)
		return result;
	return program_new(deploy->supervisor->store, release, take_pointer(deploy->policy), file,
		ret_program, error);
}

static int try_release(struct deploy *deploy, const char *release, struct error *error)
{
	struct deployment *deployment = calloc(1, sizeof *deployment);
	if (deployment == NULL)
		return error_set(error, ENOMEM, "no memory for a deployment");
	int result = make_program(deploy, release, &deployment->program, error);
	struct tenant *tenant = result == 0 ? find_or_add(deploy, error) : NULL;
	if (tenant == NULL) {
		deployment_free(deployment, NULL);
		return -error->code;
	}
	deployment->policy_text = take_pointer(deploy->policy_text);
	snprintf(deploy->previous, sizeof deploy->previous, "%.*s", STORE_ID_LENGTH,
		tenant->record.release);
	deploy->following = tenant_log_follow(tenant->log, send_line, deploy) == 0;
	result = tenant_wait(tenant, WAIT_UP, settled, deploy);
	if (result < 0) {
		deployment_free(deployment, NULL);
		error_set(error, ENOMEM, "no memory for a deployment");
	} else {
		result = tenant_deploy(tenant, deployment, "deployed", error);
		if (result == 0)
			return 0; /* settled was or will be called */
		tenant_forget_waiter(tenant, deploy);
	}
	tenant_log_unfollow(tenant->log, deploy);
	if (tenant->machine.state == TENANT_NEW && tenant->candidate == NULL)
		supervisor_remove(deploy->supervisor, tenant);
	return result;
}

static void unpacked(
	void *data, int result, const struct unpack_result *what, const struct error *why)
{
	struct deploy *deploy = data;
	struct error error = {0};
	if (result < 0) {
		fail(deploy, "bad-archive", why->message);
		return;
	}
	if (deploy->supervisor->stopping) {
		fail(deploy, "stopping", "tenantd is stopping");
		return;
	}
	result = try_release(deploy, what->release, &error);
	if (result < 0) {
		supervisor_changed(
			deploy->supervisor, CHANGED_RELEASES); /* the release is nobody's */
		fail(deploy, result == -EBUSY || result == -EPERM ? "busy" : "failed",
			error.message);
	}
}

static int take_request(struct deploy *deploy, const json_t *request, struct error *error)
{
	const char *name = json_string_value(json_object_get(request, "name"));
	const char *policy = json_string_value(json_object_get(request, "policy"));
	const char *file = json_string_value(json_object_get(request, "policy_file"));
	if (name == NULL)
		return error_set(error, EINVAL, "the request has no name");
	int result = policy_check_name(name, error);
	if (result < 0)
		return result;
	snprintf(deploy->name, sizeof deploy->name, "%s", name);
	if (policy == NULL)
		return 0;
	deploy->policy_text = strdup(policy);
	if (deploy->policy_text == NULL)
		return error_set(error, ENOMEM, "no memory for a policy");
	return policy_parse(policy, strlen(policy), file ? file : "policy", &deploy->policy, error);
}

void deploy_verb(
	struct control_connection *connection, const json_t *request, int *fds, size_t fd_count)
{
	struct error error = {0};
	struct deploy *deploy = calloc(1, sizeof *deploy);
	struct unpack_job *job;
	(void)fd_count;
	if (deploy == NULL) {
		control_fail(connection, "no-memory", CONTROL_EXIT_FAILURE, "out of memory");
		return;
	}
	deploy->supervisor = control_data(connection);
	int result = take_request(deploy, request, &error);
	if (result < 0) {
		control_fail(connection, "invalid", CONTROL_EXIT_USAGE, "%s", error.message);
		deploy_free(deploy);
		return;
	}
	result =
		unpack_job_start(deploy->supervisor, fds[0], false, unpacked, deploy, &job, &error);
	if (result < 0) {
		control_fail(connection, "failed", CONTROL_EXIT_FAILURE, "%s", error.message);
		deploy_free(deploy);
		return;
	}
	deploy->connection = connection;
	control_hold(connection, &deploy_hold, deploy, verb_wait_ms(request));
}
