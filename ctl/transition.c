#include "ctl/transition.h"

#include "ctl/client.h"
#include "ctl/output.h"

#include <stdio.h>
#include <string.h>

int transition_run(const struct invocation *invocation, const char *verb)
{
	const char *name = invocation->arguments[0];
	json_t *done = NULL;
	int code = client_check_name(name);
	if (code)
		return code;
	json_t *request = client_request(verb, name);
	code = client_put_wait(invocation, request);
	if (code) {
		json_decref(request);
		return code;
	}
	code = client_call(invocation, request, NULL, 0, NULL, NULL, &done);
	if (code)
		return code;

	if (!done) {
		output_result(json_pack("{s:s, s:s}", "name", name, "told", verb),
			"%s was told to %s", name, verb);
		return 0;
	}
	const json_t *tenant = client_tenant(done);
	char ready[OUTPUT_TEXT_MAX], after[OUTPUT_TEXT_MAX + 32] = "";
	const char *state = output_string(tenant, "state");
	if (strcmp(state, "running") == 0)
		snprintf(after, sizeof after, ", ready after %s",
			output_duration(ready, output_number(tenant, "ready_ms")));
	output_result(json_pack("{s:O}", "tenant", tenant), "%s is %s%s", name, state, after);
	json_decref(done);
	return 0;
}
