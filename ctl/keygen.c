#include "common/control.h"
#include "ctl/command.h"
#include "ctl/output.h"
#include "deploy/signature.h"

static int run(const struct invocation *invocation)
{
	const char *path = invocation->arguments[0];
	unsigned char key[SIGNATURE_KEY_SIZE];
	char text[SIGNATURE_KEY_TEXT_SIZE];
	struct error error = {0};
	if (signature_key_generate(path, key, &error) < 0)
		return output_fail(CONTROL_EXIT_FAILURE, "key", "%s", error.message);
	signature_key_print(key, text);
	output_result(
		json_pack("{s:s, s:s+, s:s}", "private", path, "public", path, ".pub", "key", text),
		"%s is the private key, %s.pub the public one; in a policy:\n  \"signedBy\": "
		"[\"%s\"]",
		path, path, text);
	return 0;
}

const struct command command_keygen = {
	.name = "keygen",
	.group = GROUP_RUN,
	.arguments = "FILE",
	.summary = "make a key to sign releases with",
	.details = "The private key (Ed25519, PEM, no passphrase, mode 0600) goes to FILE, the "
		   "public one to FILE.pub. What is printed goes into the policies of the tenants "
		   "whose releases it is to sign. Neither file may exist. No daemon is needed.\n",
	.arguments_least = 1,
	.arguments_most = 1,
	.kinds = {ARGUMENT_PATH},
	.run = run,
};
