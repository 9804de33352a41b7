#include "common/clock.h"
#include "common/control.h"
#include "common/units.h"
#include "ctl/client.h"
#include "ctl/outcome.h"
#include "ctl/output.h"
#include "ctl/signing.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* How a canary gets its share. */
static int put_strategy(const struct invocation *invocation, json_t *request)
{
	const char *text = invocation->options[OPTION_WEIGHT];
	uint64_t percent;
	int code = outcome_put_number(
		invocation, request, OPTION_CANARY_INSTANCES, "canary_instances", 1, 64);
	if (code || !text)
		return code;
	if (units_parse_percent(text, &percent) < 0 || percent < 1 || percent > 99)
		return output_fail(CONTROL_EXIT_USAGE, "usage",
			"--weight: `%s` is no share between 1%% and 99%%", text);
	json_object_set_new(request, "canary_weight", json_integer((json_int_t)percent));
	return 0;
}

static int make_request(
	const struct invocation *invocation, json_t *request, struct archive_made *made)
{
	const char *path = invocation->arguments[1];
	struct error error = {0};
	int code = client_put_wait(invocation, request);
	if (!code)
		code = client_put_policy(invocation, request);
	if (!code)
		code = outcome_put_options(invocation, request);
	if (!code)
		code = put_strategy(invocation, request);
	if (!code)
		code = outcome_put_number(
			invocation, request, OPTION_KEEP, "keep", 1, SIGNING_KEEP_MAX);
	if (!code && signing_open(invocation, path, made, &error) < 0)
		code = output_fail(CONTROL_EXIT_FAILURE, "release", "%s", error.message);
	if (!code)
		code = signing_put(invocation, request, path, made->fd);
	return code;
}

static int run(const struct invocation *invocation)
{
	const char *name = invocation->arguments[0];
	uint64_t begin_ns = clock_ns();
	struct archive_made made = {.fd = -1};
	int code = client_check_name(name);
	if (code)
		return code;
	json_t *request = client_request("deploy", name);
	code = make_request(invocation, request, &made);
	if (code)
		json_decref(request);
	else
		code = outcome_run(invocation, request, made.fd, begin_ns);
	if (made.fd >= 0)
		close(made.fd);
	return code;
}

const struct command command_deploy = {
	.name = "deploy",
	.group = GROUP_DEPLOY,
	.arguments = "NAME FILE|DIR",
	.summary = "make a script or a folder the live release of a tenant",
	.details =
		"FILE is one module. Of a folder everything is taken but .git and "
		"node_modules/.bin; it is started with the module that its tenant.json names as "
		"\"entry\", else with \"main\" of its package.json, else with main, index, "
		"src/main "
		"or src/index .js, .mjs, .ts, .mts, .tsx or .jsx. Symbolic links are refused.\n"
		"A program in TypeScript, JSX or CommonJS, or whose package.json has dependencies, "
		"is made one module first, by esbuild, with a source map; node_modules is left "
		"out then. --bundle always or never decides otherwise.\n"
		"A tenant of that NAME is made if there is none. If there is one, the new release "
		"starts beside the old and takes over its ports when it is ready; if it does not "
		"become ready, the old one goes on, and deploy fails with the reason.\n"
		"Without --policy a tenant keeps the policy that it has. A new one then gets the "
		"default: nothing but a listener on a free port of 127.0.0.1, which is printed.\n"
		"With --canary-instances or --weight the new release serves beside the old until "
		"`tenantctl promote` or `tenantctl rollback` ends that.\n"
		"A policy may demand that releases are signed: --sign-key signs this one, or there "
		"is a file of its name with .sig at the end, as `tenantctl sign` writes it. FILE "
		"may also be an archive, .tar or .tar.zst.\n"
		"One deployment of a tenant at a time: a second one is refused, and told who is at "
		"it, or waits with --wait.\n",
	.options = OPTION_BIT(OPTION_POLICY) | OPTION_BIT(OPTION_TIMEOUT) |
		   OPTION_BIT(OPTION_BUNDLE) | OPTION_BIT(OPTION_MESSAGE) |
		   OPTION_BIT(OPTION_WAIT) | OPTION_BIT(OPTION_MIN_HEALTHY) |
		   OPTION_BIT(OPTION_CANARY_INSTANCES) | OPTION_BIT(OPTION_WEIGHT) |
		   OPTION_BIT(OPTION_SIGN_KEY) | OPTION_BIT(OPTION_KEEP),
	.arguments_least = 2,
	.arguments_most = 2,
	.kinds = {ARGUMENT_TENANT, ARGUMENT_PATH},
	.run = run,
};
