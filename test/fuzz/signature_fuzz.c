/* Any bytes as the file of a signature: what is accepted is written in the one way that there
 * is, and verifying it does no harm; and as a key of a policy. */
#include "common/cleanup.h"
#include "deploy/signature.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_message(const struct error *error)
{
	require(error->message[0] != '\0');
	for (const char *next = error->message; *next; next++)
		require((unsigned char)*next >= 0x20 && *next != 0x7F);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct signature signature;
	struct error error = {0};
	char again[SIGNATURE_TEXT_MAX], printed[SIGNATURE_KEY_TEXT_SIZE];
	unsigned char key[SIGNATURE_KEY_SIZE];
	cleanup_free char *text = strndup((const char *)data, size);
	if (text == NULL)
		return 0;
	/* Paths would be opened. */
	if (text[0] != '/' && signature_key_read(text, key, NULL) == 0) {
		signature_key_print(key, printed);
		require(strcmp(printed, text) == 0);
	}
	if (signature_parse((const char *)data, size, &signature, &error) < 0) {
		check_message(&error);
		return 0;
	}
	require(store_id_valid(signature.release));
	signature_print(&signature, again);
	require(strlen(again) == size && memcmp(again, data, size) == 0);
	if (signature_verify(&signature, &error) < 0)
		check_message(&error);
	return 0;
}
