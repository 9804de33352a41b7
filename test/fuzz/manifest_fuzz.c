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

/* It goes into a message as it is. */
static void check_probe(const struct manifest_probe *probe)
{
	require(!probe->wanted || probe->kind < PROBE_KIND_COUNT);
	require(!probe->wanted || (probe->kind == PROBE_HTTP) == (probe->path != NULL));
	require(probe->period_ms >= 1000 && probe->timeout_ms >= 1000);
	require(probe->failure_threshold >= 1 && probe->success_threshold >= 1);
	if (probe->path)
		require(probe->path[0] == '/' && strlen(probe->path) <= PROBE_PATH_MAX);
}

/* Nothing is granted by default but a listener; what is asked for and granted by nobody is
 * missing, whatever it is. */
static void check_asks(const struct manifest *manifest)
{
	struct policy_list missing = {0};
	struct policy *policy = policy_default();
	require(policy != NULL);
	require(manifest_missing_permissions(manifest, policy, &missing, NULL) == 0);
	if (manifest->asks)
		require(missing.count >= manifest->asks->fs.read.count +
						 manifest->asks->fs.write.count +
						 manifest->asks->net.connect.count +
						 manifest->asks->env.secrets.count);
	policy_list_clear(&missing);
	policy_free(policy);
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
	require(manifest->instances >= 1 && manifest->instances <= MANIFEST_INSTANCES_MAX);
	require(manifest->schedule_count <= MANIFEST_SCHEDULES_MAX);
	for (size_t i = 0; i < manifest->schedule_count; i++)
		require(manifest->schedules[i].cron != NULL);
	for (size_t i = 0; i < MANIFEST_PROBE_ROLES; i++)
		check_probe(&manifest->probes[i]);
	check_asks(manifest);
	cleanup_free char *printed = manifest_print(manifest);
	require(printed != NULL);
	require(manifest_parse(printed, strlen(printed), "fuzz", &again, &error) == 0);
	cleanup_free char *printed_again = manifest_print(again);
	require(printed_again && strcmp(printed, printed_again) == 0);
	manifest_free(manifest);
	manifest_free(again);
	return 0;
}
