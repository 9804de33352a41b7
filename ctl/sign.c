#include "common/cleanup.h"
#include "common/control.h"
#include "common/file.h"
#include "ctl/client.h"
#include "ctl/output.h"
#include "ctl/signing.h"
#include "deploy/signature.h"

#include <fcntl.h>
#include <string.h>

static int sign(const struct invocation *invocation, struct signature *ret_signature,
	char path[4096], struct error *error)
{
	char text[SIGNATURE_TEXT_MAX], release[STORE_ID_SIZE];
	struct archive_made made = {.fd = -1};
	int result = signing_path(invocation->arguments[0], path, 4096, error);
	if (result == 0)
		result = signing_open(invocation, invocation->arguments[0], &made, error);
	if (result == 0)
		result = archive_id(made.fd, release, error);
	close_fd(&made.fd);
	if (result == 0)
		result = signature_make(invocation->options[OPTION_KEY], release,
			invocation->options[OPTION_TENANT], ret_signature, error);
	if (result < 0)
		return result;
	signature_print(ret_signature, text);
	return file_write_atomic(AT_FDCWD, path, text, strlen(text), 0644, error);
}

static int run(const struct invocation *invocation)
{
	const char *tenant = invocation->options[OPTION_TENANT];
	struct signature signature;
	struct error error = {0};
	char path[4096], key[SIGNATURE_KEY_TEXT_SIZE];
	int code = tenant ? client_check_name(tenant) : 0;
	if (code)
		return code;
	if (!invocation->options[OPTION_KEY])
		return output_fail(CONTROL_EXIT_USAGE, "usage",
			"say with --key which private key is to sign; `tenantctl keygen` makes "
			"one");
	if (sign(invocation, &signature, path, &error) < 0)
		return output_fail(CONTROL_EXIT_FAILURE, "signature", "%s", error.message);
	signature_key_print(signature.key, key);
	output_result(json_pack("{s:s, s:s, s:s, s:s?}", "release", signature.release, "file", path,
			      "key", key, "tenant", tenant),
		"the release %.12s is signed: %s", signature.release, path);
	return 0;
}

const struct command command_sign = {
	.name = "sign",
	.group = GROUP_RUN,
	.arguments = "FILE|DIR|ARCHIVE",
	.summary = "sign a release, for policies that demand it",
	.details =
		"Writes the signature to a file of the same name with .sig at the end, where "
		"deploy finds it. What is signed is the release's id, which is the hash of all of "
		"its files: copies of the folder, under whatever name, have the same. With "
		"--tenant "
		"the signature is good for that tenant only. An archive ends with .tar or "
		".tar.zst. No daemon is needed.\n",
	.options = OPTION_BIT(OPTION_KEY) | OPTION_BIT(OPTION_TENANT) | OPTION_BIT(OPTION_BUNDLE),
	.arguments_least = 1,
	.arguments_most = 1,
	.kinds = {ARGUMENT_PATH},
	.run = run,
};
