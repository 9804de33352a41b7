#include "policy/manifest_private.h"

#include "common/cleanup.h"
#include "common/file.h"
#include "common/path.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MINUTES(minutes) ((minutes) * UINT64_C(60000))
#define ENTRY_LENGTH_MAX 1024

/* Kubernetes'. */
#define PROBE_DEFAULTS                                                                             \
	{.period_ms = 10000, .timeout_ms = 1000, .failure_threshold = 3, .success_threshold = 1}

static const struct manifest defaults = {
	.restart = MANIFEST_RESTART_ALWAYS,
	.backoff =
		{
			.base_ms = 100,
			.cap_ms = MINUTES(1),
			.reset_ms = 30000,
			.crashloop_count = 10,
			.crashloop_window_ms = MINUTES(5),
		},
	.startup_ms = 10000,
	.grace_ms = 10000,
	.idle_ms = 75000,
	.probes =
		{
			[MANIFEST_PROBE_STARTUP] = PROBE_DEFAULTS,
			[MANIFEST_PROBE_READINESS] = PROBE_DEFAULTS,
			[MANIFEST_PROBE_LIVENESS] = PROBE_DEFAULTS,
		},
	.instances = 1,
};

/* A path that cannot lead out of the release: no "..", not absolute. */
static int check_entry(const char *entry, struct error *error)
{
	char quoted[QUOTED_MAX];
	document_quote(quoted, entry);
	if (entry[0] == '\0')
		return error_set(
			error, EINVAL, "the path is empty: name the entry module, such as main.js");
	if (strlen(entry) > ENTRY_LENGTH_MAX)
		return error_set(
			error, EINVAL, "the path is longer than %d bytes", ENTRY_LENGTH_MAX);
	if (entry[0] == '/')
		return error_set(error, EINVAL,
			"%s is an absolute path: write it relative to the release", quoted);
	for (const char *next = entry; *next; next++)
		if (iscntrl((unsigned char)*next))
			return error_set(error, EINVAL, "%s has a control character", quoted);
	switch (path_find_flaw(entry)) {
	case PATH_UP:
		return error_set(error, EINVAL,
			"%s has a part ..: the entry must be inside the release", quoted);
	case PATH_SLASH_AT_END:
		return error_set(error, EINVAL, "%s ends with /: name a file", quoted);
	case PATH_EMPTY_NAME:
		return error_set(
			error, EINVAL, "%s has a part that is empty: leave it out", quoted);
	case PATH_HERE:
		return error_set(error, EINVAL, "%s has a part that is .: leave it out", quoted);
	default:
		return 0;
	}
}

static void read_entry(
	struct document *document, struct field field, const struct field_rule *rule, void *target)
{
	(void)rule;
	struct manifest *manifest = target;
	struct error error;
	const char *text = field_text(document, field, "a path such as \"main.js\"");
	if (!text)
		return;
	/* ./main.js, as people write it in package.json. */
	const char *entry = strncmp(text, "./", 2) == 0 ? text + 2 : text;
	if (check_entry(entry, &error) < 0) {
		document_problem(document, field, "%s", error.message);
		return;
	}
	manifest->entry = strdup(entry);
	document->out_of_memory |= manifest->entry == NULL;
}

#define AT(member) .offset = offsetof(struct manifest, member)

static const struct field_rule manifest_keys[] = {
	{"entry", read_entry},
	{"restart", manifest_read_restart},
	{"startup", field_duration, AT(startup_ms), .least = 100, .most = MINUTES(10)},
	{"grace", field_duration, AT(grace_ms), .least = 0, .most = MINUTES(10)},
	{"idle_timeout", field_duration, AT(idle_ms), .least = 1000, .most = MINUTES(60)},
	{"ready", manifest_read_ready},
	{"probes", manifest_read_probes},
	{"instances", field_count, AT(instances), .least = 1, .most = MANIFEST_INSTANCES_MAX},
	{"idle", manifest_read_idle},
	{"warm", field_count, AT(warm), .least = 0, .most = MANIFEST_WARM_MAX},
	{"retire", manifest_read_retire},
	{"schedules", manifest_read_schedules},
	{"min_healthy", field_duration, AT(min_healthy_ms), .least = 0, .most = MINUTES(60)},
	{"permissions", manifest_read_permissions},
};
static const struct field_rule whole_file = {
	.read = field_object,
	.keys = manifest_keys,
	.key_count = ARRAY_LENGTH(manifest_keys),
};

int manifest_parse(const char *text, size_t length, const char *file_name, struct manifest **ret,
	struct error *error)
{
	struct manifest *manifest = manifest_default();
	if (!manifest)
		return error_errno(error, ENOMEM, "cannot read %s", file_name);
	struct document document;
	document_open(&document, file_name, text, length);
	if (document.root)
		field_object(&document, document_root(&document), &whole_file, manifest);
	int result = document_close(&document, error);
	if (result == 0 && manifest->asks) {
		manifest->permissions = manifest_print_asks(manifest->asks);
		if (manifest->permissions == NULL)
			result = error_errno(error, ENOMEM, "cannot read %s", file_name);
	}
	if (result < 0) {
		manifest_free(manifest);
		return result;
	}
	*ret = manifest;
	return 0;
}

int manifest_read(int dir_fd, const char *path, struct manifest **ret, struct error *error)
{
	cleanup_free char *text = NULL;
	size_t length;
	int result = file_read(dir_fd, path, POLICY_LENGTH_MAX, &text, &length, error);
	if (result == -ENOENT) {
		*ret = manifest_default();
		return *ret ? 0 : error_errno(error, ENOMEM, "cannot read %s", path);
	}
	return result < 0 ? result : manifest_parse(text, length, path, ret, error);
}

struct manifest *manifest_default(void)
{
	struct manifest *manifest = malloc(sizeof *manifest);
	if (manifest)
		*manifest = defaults;
	return manifest;
}

struct manifest *manifest_free(struct manifest *manifest)
{
	if (!manifest)
		return NULL;
	free(manifest->entry);
	for (size_t i = 0; i < MANIFEST_PROBE_ROLES; i++)
		free(manifest->probes[i].path);
	for (size_t i = 0; i < manifest->schedule_count; i++) {
		free(manifest->schedules[i].cron);
		free(manifest->schedules[i].time_zone);
	}
	free(manifest->schedules);
	policy_free(manifest->asks);
	free(manifest->permissions);
	free(manifest);
	return NULL;
}

const char *manifest_entry(
	const struct manifest *manifest, manifest_exists *exists, void *data, struct error *error)
{
	static const char *const names[] = {"main.js", "main.mjs", "index.js", "index.mjs"};
	if (manifest->entry) {
		if (exists(manifest->entry, data))
			return manifest->entry;
		char quoted[QUOTED_MAX];
		error_set(error, ENOENT, "the release has no file %s, its entry by %s",
			document_quote(quoted, manifest->entry), MANIFEST_FILE);
		return NULL;
	}
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (exists(names[i], data))
			return names[i];
	error_set(error, ENOENT,
		"the release has no entry: add main.js, main.mjs, index.js or index.mjs, or name "
		"one in " MANIFEST_FILE ", {\"entry\": \"app.js\"}");
	return NULL;
}
