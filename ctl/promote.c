#include "ctl/client.h"
#include "ctl/outcome.h"
#include "ctl/output.h"

#include <jansson.h>

static int run(const struct invocation *invocation)
{
	const char *name = invocation->arguments[0];
	json_t *done = NULL;
	int code = client_check_name(name);
	if (code)
		return code;
	json_t *request = client_request("promote", name);
	code = client_put_wait(invocation, request);
	if (!code)
		code = outcome_put_options(invocation, request);
	if (code) {
		json_decref(request);
		return code;
	}
	code = client_call(invocation, request, NULL, 0, NULL, NULL, &done);
	if (code)
		return code;
	char release[OUTPUT_TEXT_MAX];
	const json_t *tenant = client_tenant(done);
	output_release(release, tenant);
	output_result(
		json_pack("{s:O}", "tenant", tenant), "%s is on release %s alone", name, release);
	json_decref(done);
	return 0;
}

const struct command command_promote = {
	.name = "promote",
	.group = GROUP_DEPLOY,
	.arguments = "NAME",
	.summary = "make the canary of a tenant its only release",
	.details = "What is missing of its instances is started, then the old release drains.\n",
	.options = OPTION_BIT(OPTION_MESSAGE) | OPTION_BIT(OPTION_TIMEOUT),
	.arguments_least = 1,
	.arguments_most = 1,
	.kinds = {ARGUMENT_TENANT},
	.run = run,
};
