#include "ctl/client.h"
#include "ctl/outcome.h"
#include "ctl/output.h"
#include "ctl/signing.h"

#include <jansson.h>

static int run(const struct invocation *invocation)
{
	const char *name = invocation->arguments[0];
	json_t *done = NULL;
	int code = client_check_name(name);
	if (code)
		return code;
	json_t *request = client_request("prune", name);
	code = outcome_put_number(invocation, request, OPTION_KEEP, "keep", 1, SIGNING_KEEP_MAX);
	if (code) {
		json_decref(request);
		return code;
	}
	code = client_call(invocation, request, NULL, 0, NULL, NULL, &done);
	if (code)
		return code;
	long long removed = output_integer(done, "removed"), kept = output_integer(done, "kept");
	output_result(done, "%lld release%s of %s removed, %lld kept", removed,
		removed == 1 ? "" : "s", name, kept);
	return 0;
}

const struct command command_prune = {
	.name = "prune",
	.group = GROUP_DEPLOY,
	.arguments = "NAME",
	.summary = "remove old releases of a tenant",
	.details = "Each deployment does that by itself: as many releases are kept as tenantd's "
		   "--keep-releases says (5), or --keep here or at a deployment, from then on. "
		   "The active one and the one to roll back to are never removed.\n",
	.options = OPTION_BIT(OPTION_KEEP),
	.arguments_least = 1,
	.arguments_most = 1,
	.kinds = {ARGUMENT_TENANT},
	.run = run,
};
