#include "ctl/policy.h"

#include "common/cleanup.h"
#include "common/control.h"
#include "ctl/client.h"
#include "ctl/output.h"

#include <fcntl.h>
#include <string.h>

static void put_tier(struct subject *subject, const char *name)
{
	const int tier = tier_find(name);
	subject->tier = tier == TIER_CONTAINER ? TIER_CONTAINER : TIER_FULL;
	if (subject->tier == TIER_CONTAINER)
		return;
	strcpy(subject->release, "/app");
	strcpy(subject->releases, "/app");
}

/* Of the daemon, if there is one: a file can be asked about without. */
static void ask_tier(const struct invocation *invocation, struct subject *subject)
{
	cleanup_close int fd = -1;
	struct error error;
	json_t *request = client_request("version", NULL), *answer = NULL;
	if (client_connect(invocation, &fd, &error) == 0 &&
		client_send(fd, request, NULL, 0, &error) == 0)
		(void)client_receive(fd, 0, &answer, &error);
	put_tier(subject, output_string(json_object_get(answer, "done"), "tier"));
	json_decref(request);
	json_decref(answer);
}

static int read_file(const struct invocation *invocation, const char *path, struct subject *subject)
{
	struct error error = {0};
	if (policy_read(AT_FDCWD, path, &subject->policy, &error) < 0)
		return output_fail(CONTROL_EXIT_FAILURE, "policy", "%s", error.message);
	snprintf(subject->source, sizeof subject->source, "%s", path);
	ask_tier(invocation, subject);
	return 0;
}

static int ask(const struct invocation *invocation, const char *name, struct subject *subject)
{
	json_t *done = NULL;
	struct error error = {0};
	int code = client_check_name(name);
	if (code == 0)
		code = client_call(
			invocation, client_request("policy", name), NULL, 0, NULL, NULL, &done);
	if (code)
		return code;
	const char *text = output_string(done, "policy"), *file = output_string(done, "file");
	if (policy_parse(text, strlen(text), name, &subject->policy, &error) < 0)
		code = output_fail(CONTROL_EXIT_FAILURE, "policy", "%s", error.message);
	if (strcmp(file, "default") == 0)
		snprintf(subject->source, sizeof subject->source, "the default policy");
	else
		snprintf(subject->source, sizeof subject->source, "%s", file);
	put_tier(subject, output_string(done, "tier"));
	snprintf(subject->release, sizeof subject->release, "%s", output_string(done, "release"));
	snprintf(
		subject->releases, sizeof subject->releases, "%s", output_string(done, "releases"));
	json_decref(done);
	return code;
}

int subject_read(
	const struct invocation *invocation, const char *argument, struct subject *ret_subject)
{
	*ret_subject = (struct subject){0};
	if (invocation->options[OPTION_POLICY])
		return read_file(invocation, invocation->options[OPTION_POLICY], ret_subject);
	if (strpbrk(argument, "/."))
		return read_file(invocation, argument, ret_subject);
	return ask(invocation, argument, ret_subject);
}

void subject_clear(struct subject *subject)
{
	subject->policy = policy_free(subject->policy);
}

static const struct {
	const char *name;
	size_t least, most; /* arguments, the verb's own included */
	const char *usage;
	int (*run)(const struct invocation *invocation);
} verbs[] = {
	{"explain", 2, 2, "explain NAME|FILE", policy_explain_run},
	{"suggest", 2, 2, "suggest NAME", policy_suggest_run},
	{"test", 3, 4, "test NAME|FILE read|write|connect|exec|listen|env WHAT, or eval, or wasm",
		policy_test_run},
};

static int run(const struct invocation *invocation)
{
	char shown[128];
	for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++) {
		if (strcmp(verbs[i].name, invocation->arguments[0]) != 0)
			continue;
		if (invocation->argument_count < verbs[i].least ||
			invocation->argument_count > verbs[i].most)
			return output_fail(CONTROL_EXIT_USAGE, "usage",
				"usage: tenantctl policy %s", verbs[i].usage);
		return verbs[i].run(invocation);
	}
	return output_fail(CONTROL_EXIT_USAGE, "usage",
		"policy %s: there are explain, suggest and test",
		output_safe(shown, sizeof shown, invocation->arguments[0]));
}

const struct command command_policy = {
	.name = "policy",
	.group = GROUP_RUN,
	.arguments = "VERB NAME|FILE [...]",
	.summary = "explain, test or suggest a policy",
	.details =
		"policy explain NAME|FILE says in words what is reachable and by which layer that "
		"is enforced, and what is not.\n"
		"policy test NAME|FILE read /PATH, write /PATH, exec /PATH, connect HOST:PORT, "
		"listen ADDRESS:PORT, site HOST/PATH, env NAME, eval or wasm asks what the "
		"enforcement asks, names the entry "
		"that decides or the one that is missing, and exits with 0 if it is allowed, with "
		"1 if it is not. An address that a name has is decided upon when it is resolved: "
		"with --resolve, here and now.\n"
		"policy suggest NAME prints the least policy that a tenant needed so far, from its "
		"audit records: run it with \"audit\": \"all\". What a person should look at goes "
		"to standard error. Of a run that had a --name, give its --policy too.\n"
		"An argument with a slash or a dot is a file; anything else is a tenant. All three "
		"speak of the tier that tenantd runs in; of a file, where no tenantd answers, of "
		"the tier full.\n",
	.options = OPTION_BIT(OPTION_POLICY) | OPTION_BIT(OPTION_RESOLVE),
	.arguments_least = 2,
	.arguments_most = 4,
	.kinds = {ARGUMENT_POLICY_VERB, ARGUMENT_TENANT, ARGUMENT_QUESTION, ARGUMENT_PATH},
	.run = run,
};
