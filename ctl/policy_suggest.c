/* `policy suggest`: the audit log of a tenant, as a policy. */
#include "common/cleanup.h"
#include "common/control.h"
#include "ctl/client.h"
#include "ctl/output.h"
#include "ctl/policy.h"
#include "policy/suggest.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define LINES 100000

struct reading {
	struct suggestion *suggestion;
	size_t count;
	json_int_t dropped;
};

static enum suggest_place look(const char *path)
{
	struct stat status;
	if (stat(path, &status) < 0)
		return SUGGEST_NOTHING;
	return S_ISDIR(status.st_mode) ? SUGGEST_FOLDER : SUGGEST_FILE;
}

static void take(const json_t *item, void *data)
{
	struct reading *reading = data;
	const char *permission = output_string(item, "permission");
	reading->dropped += output_integer(item, "dropped");
	for (int i = 0; i < AUDIT_PERMISSION_COUNT; i++) {
		if (strcmp(audit_permission_name((enum audit_permission)i), permission) != 0)
			continue;
		reading->count++;
		suggest_add(reading->suggestion, (enum audit_permission)i,
			output_string(item, "resource"),
			strcmp(output_string(item, "result"), "allowed") == 0);
	}
}

static void tell(const char *text)
{
	fprintf(stderr, "note: ");
	output_lines(true, text);
}

/* What the records cannot know. */
static void tell_limits(const struct reading *reading, const struct policy *policy, bool cut)
{
	char text[256];
	if (reading->count == 0)
		tell("there are no records of it: this is the policy without any grant");
	if (policy->audit != POLICY_AUDIT_ALL)
		tell("its policy records denials only: what was granted and used is missing here; "
		     "run it with \"audit\": \"all\"");
	if (cut)
		tell("there are more records than fit: the oldest were left out");
	if (reading->dropped > 0) {
		snprintf(text, sizeof text,
			"%lld records were dropped, since it asked too often: something may be "
			"missing",
			(long long)reading->dropped);
		tell(text);
	}
}

static int print(const struct invocation *invocation, struct suggestion *suggestion,
	const struct policy *policy)
{
	const struct policy_list *notes = suggest_notes(suggestion);
	cleanup_free char *text = policy_print(policy);
	if (text == NULL)
		return output_fail(CONTROL_EXIT_FAILURE, "memory", "out of memory");
	if (invocation->options[OPTION_JSON]) {
		json_t *list = json_array();
		for (size_t i = 0; i < notes->count; i++)
			json_array_append_new(list, json_string(notes->items[i]));
		output_result(
			json_pack("{s:o, s:o}", "policy", json_loads(text, 0, NULL), "notes", list),
			"%s", "");
		return CONTROL_EXIT_OK;
	}
	for (size_t i = 0; i < notes->count; i++)
		tell(notes->items[i]);
	fputs(text, stdout);
	return CONTROL_EXIT_OK;
}

int policy_suggest_run(const struct invocation *invocation)
{
	const char *name = invocation->arguments[1];
	struct error error = {0};
	struct subject subject = {0};
	struct policy *policy = NULL;
	struct reading reading = {.suggestion = suggest_new(look, subject.releases)};
	json_t *done = NULL;
	if (reading.suggestion == NULL)
		return output_fail(CONTROL_EXIT_FAILURE, "memory", "out of memory");
	int code = client_check_name(name);
	if (code == 0)
		code = subject_read(invocation, name, &subject);
	if (code == 0) {
		json_t *request = client_request("audit", name);
		json_object_set_new(request, "lines", json_integer(LINES));
		code = client_call(invocation, request, NULL, 0, take, &reading, &done);
	}
	if (code == 0) {
		tell_limits(&reading, subject.policy, json_is_true(json_object_get(done, "cut")));
		if (suggest_policy(reading.suggestion, subject.policy, &policy, &error) < 0)
			code = output_fail(CONTROL_EXIT_FAILURE, "policy", "%s", error.message);
		else
			code = print(invocation, reading.suggestion, policy);
	}
	json_decref(done);
	policy_free(policy);
	subject_clear(&subject);
	suggest_free(reading.suggestion);
	return code;
}
