#include "ctl/outcome.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/control.h"
#include "common/units.h"
#include "ctl/client.h"
#include "ctl/output.h"

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

/* Why there is a sentence of its own for a canary: nothing was replaced. */
static int show_head(
	char *target, size_t size, const char *name, const json_t *done, double total_ms)
{
	char release[OUTPUT_TEXT_MAX], total[OUTPUT_TEXT_MAX], ready[OUTPUT_TEXT_MAX];
	const char *previous = output_string(done, "previous");
	const bool replaced = previous[0] && strcmp(previous, output_string(done, "release")) != 0;
	const bool back = json_is_true(json_object_get(done, "rollback"));
	output_release(release, done);
	output_duration(total, total_ms);
	output_duration(ready, output_number(done, "ready_ms"));
	if (json_is_true(json_object_get(done, "canary")))
		return snprintf(target, size,
			"the release %s is a canary of %s, beside %.12s: `tenantctl promote %s` or "
			"`tenantctl rollback %s` ends that",
			release, name, previous, name, name);
	return snprintf(target, size, "%s is %s after %s: release %s, ready in %s%s%.12s", name,
		back ? "back" : "live", total, release, ready, replaced ? ", in place of " : "",
		replaced ? previous : "");
}

/* Takes DONE. */
static void show_done(const char *name, json_t *done, double total_ms)
{
	const json_t *tenant = client_tenant(done), *listener;
	char sentence[2048];
	int length = show_head(sentence, sizeof sentence, name, done, total_ms);
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

int outcome_run(const struct invocation *invocation, json_t *request, int fd, uint64_t begin_ns)
{
	json_t *done = NULL, *failed = NULL, *shown = json_array();
	int code =
		client_exchange(invocation, request, &fd, fd >= 0, show_log, shown, &done, &failed);
	if (failed)
		code = report(failed, shown, invocation->options[OPTION_JSON] != NULL);
	else if (code == 0)
		show_done(invocation->arguments[0], done, (double)(clock_ns() - begin_ns) / 1e6);
	json_decref(failed);
	json_decref(shown);
	return code;
}

/* ---- options ---- */

int outcome_put_number(const struct invocation *invocation, json_t *request, enum option_id id,
	const char *key, json_int_t least, json_int_t most)
{
	const char *text = invocation->options[id];
	if (!text)
		return 0;
	size_t length = strlen(text);
	json_int_t number =
		length > 0 && length < 9 && strspn(text, "0123456789") == length ? atoll(text) : -1;
	if (number < least || number > most)
		return output_fail(CONTROL_EXIT_USAGE, "usage",
			"--%s: `%s` is no number from %lld to %lld", options[id].name, text,
			(long long)least, (long long)most);
	json_object_set_new(request, key, json_integer(number));
	return 0;
}

static int put_min_healthy(const struct invocation *invocation, json_t *request)
{
	const char *text = invocation->options[OPTION_MIN_HEALTHY];
	uint64_t ms;
	if (!text)
		return 0;
	if (units_parse_duration(text, &ms) < 0 || ms > 24 * 3600 * 1000)
		return output_fail(CONTROL_EXIT_USAGE, "usage",
			"--min-healthy: `%s` is no time up to 24h, such as 500ms, 30s or 5m", text);
	json_object_set_new(request, "min_healthy_ms", json_integer((json_int_t)ms));
	return 0;
}

int outcome_put_options(const struct invocation *invocation, json_t *request)
{
	const char *message = invocation->options[OPTION_MESSAGE];
	if (message) {
		json_t *text = json_string(message);
		if (!text || strlen(message) > 1000) {
			json_decref(text);
			return output_fail(CONTROL_EXIT_USAGE, "usage",
				"--message: UTF-8 of at most 1000 bytes");
		}
		json_object_set_new(request, "message", text);
	}
	if (invocation->options[OPTION_WAIT])
		json_object_set_new(request, "wait", json_true());
	return put_min_healthy(invocation, request);
}
