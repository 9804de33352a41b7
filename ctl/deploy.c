#include "common/cleanup.h"
#include "common/clock.h"
#include "common/control.h"
#include "ctl/client.h"
#include "ctl/output.h"
#include "deploy/archive.h"

#include <stdio.h>
#include <string.h>

/* What the new release writes while it starts: not a result, so to standard error. */
static void show_log(const json_t *item, void *data)
{
	json_t *shown = data;
	const char *line = json_string_value(json_object_get(item, "log"));
	size_t size = line ? strlen(line) * 10 + 1 : 0;
	cleanup_free char *safe = line ? malloc(size) : NULL;
	if (!safe)
		return;
	fprintf(stderr, "  | %s\n", output_safe(safe, size, line));
	json_array_append_new(shown, json_string(line));
}

/* Was LINE, of LENGTH bytes, among what was shown, or at the end of such a line? */
static bool was_shown(const json_t *shown, const char *line, size_t length)
{
	const json_t *one;
	size_t i;
	json_array_foreach(shown, i, one)
	{
		size_t have = json_string_length(one);
		if (have >= length &&
			memcmp(json_string_value(one) + have - length, line, length) == 0)
			return true;
	}
	return false;
}

/* Reports why the deployment failed. A stack that the release has just written to its
 * log is not repeated. */
static int report(const json_t *failed, const json_t *shown, bool json)
{
	const char *message = output_string(failed, "message"), *end = strchr(message, '\n');
	for (const char *line = end; line && *line; line += strcspn(line, "\n")) {
		line++;
		if (!was_shown(shown, line, strcspn(line, "\n")))
			end = NULL;
	}
	if (json || !end)
		return client_report(failed);
	json_t *shorter = json_copy((json_t *)failed);
	json_object_set_new(shorter, "message", json_stringn(message, (size_t)(end - message)));
	int code = client_report(shorter);
	json_decref(shorter);
	return code;
}

/* Takes DONE. */
static void show_done(const char *name, json_t *done, double total_ms)
{
	const json_t *tenant = client_tenant(done), *listener;
	char sentence[2048], release[OUTPUT_TEXT_MAX], total[OUTPUT_TEXT_MAX],
		ready[OUTPUT_TEXT_MAX];
	const char *previous = output_string(done, "previous");
	bool replaced = previous[0] && strcmp(previous, output_string(done, "release")) != 0;
	int length = snprintf(sentence, sizeof sentence,
		"%s is live after %s: release %s, ready in %s%s%.12s", name,
		output_duration(total, total_ms), output_release(release, done),
		output_duration(ready, output_number(done, "ready_ms")),
		replaced ? ", in place of " : "", replaced ? previous : "");
	size_t i;
	json_array_foreach(json_object_get(tenant, "listeners"), i, listener)
	{
		size_t used = (size_t)length;
		if (used < sizeof sentence)
			length += snprintf(sentence + used, sizeof sentence - used, "\n  %s%s%s",
				output_string(listener, "url"),
				output_string(listener, "name")[0] ? "  " : "",
				output_string(listener, "name"));
	}
	json_object_set_new(done, "total_ms", json_real(total_ms));
	output_result(done, "%s", sentence);
}

static int run(const struct invocation *invocation)
{
	const char *name = invocation->arguments[0];
	uint64_t begin_ns = clock_ns();
	struct error error = {0};
	struct archive_made made;
	int code = client_check_name(name);
	if (code)
		return code;
	json_t *request = client_request("deploy", name);
	code = client_put_wait(invocation, request);
	if (!code)
		code = client_put_policy(invocation, request);
	if (!code && archive_make(invocation->arguments[1], &made, &error) < 0)
		code = output_fail(CONTROL_EXIT_FAILURE, "release", "%s", error.message);
	if (code) {
		json_decref(request);
		return code;
	}
	json_t *done = NULL, *failed = NULL, *shown = json_array();
	code = client_exchange(invocation, request, &made.fd, 1, show_log, shown, &done, &failed);
	close(made.fd);
	if (failed)
		code = report(failed, shown, invocation->options[OPTION_JSON] != NULL);
	else if (code == 0)
		show_done(name, done, (double)(clock_ns() - begin_ns) / 1e6);
	json_decref(failed);
	json_decref(shown);
	return code;
}

const struct command command_deploy = {
	.name = "deploy",
	.group = GROUP_DEPLOY,
	.arguments = "NAME FILE|DIR",
	.summary = "make a script or a folder the live release of a tenant",
	.details =
		"FILE is one ES module, NAME.js or NAME.mjs. Of a folder everything is taken but "
		".git and node_modules/.bin; it is started with the module that its tenant.json "
		"names as \"entry\", else with \"main\" of its package.json, else with main.js, "
		"main.mjs, index.js or index.mjs. Symbolic links are refused.\n"
		"A tenant of that NAME is made if there is none. If there is one, the new release "
		"starts beside the old and takes over its ports when it is ready; if it does not "
		"become ready, the old one goes on, and deploy fails with the reason.\n"
		"Without --policy a tenant keeps the policy that it has. A new one then gets the "
		"default: nothing but a listener on a free port of 127.0.0.1, which is printed.\n",
	.options = OPTION_BIT(OPTION_POLICY) | OPTION_BIT(OPTION_TIMEOUT),
	.arguments_least = 2,
	.arguments_most = 2,
	.kinds = {ARGUMENT_TENANT, ARGUMENT_PATH},
	.run = run,
};
