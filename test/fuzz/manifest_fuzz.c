/* Any bytes as a tenant.json, which comes from the tenant: an accepted entry never
 * leads out of the release, and no message carries a control character. */
#include "common/cleanup.h"
#include "policy/manifest.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_entry(const char *entry)
{
	require(entry[0] != '\0' && entry[0] != '/');
	for (const char *part = entry; part;) {
		size_t length = strcspn(part, "/");
		require(length > 0);
		require(!(length == 1 && part[0] == '.'));
		require(!(length == 2 && part[0] == '.' && part[1] == '.'));
		part = part[length] ? part + length + 1 : NULL;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct manifest *manifest, *again;
	struct error error = {0};
	if (manifest_parse((const char *)data, size, "fuzz", &manifest, &error) < 0) {
		require(strncmp(error.message, "fuzz:", 5) == 0);
		require(strncmp(error.message, "fuzz:1:1: internal error", 24) != 0);
		for (const char *next = error.message; *next; next++)
			require(((unsigned char)*next >= 0x20 && *next != 0x7F) || *next == '\n');
		return 0;
	}
	if (manifest->entry)
		check_entry(manifest->entry);
	require(manifest->startup_ms >= 100 && manifest->startup_ms <= 600000);
	require(manifest->grace_ms <= 600000);
	require(manifest->idle_ms >= 1000 && manifest->idle_ms <= 3600000);
	cleanup_free char *printed = manifest_print(manifest);
	require(printed != NULL);
	require(manifest_parse(printed, strlen(printed), "fuzz", &again, &error) == 0);
	cleanup_free char *printed_again = manifest_print(again);
	require(printed_again && strcmp(printed, printed_again) == 0);
	manifest_free(manifest);
	manifest_free(again);
	return 0;
}
