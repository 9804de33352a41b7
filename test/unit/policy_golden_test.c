/* policy_golden_test FOLDER REFERENCE...: each FOLDER/NAME.json is a policy, each
 * FOLDER/manifest/NAME.json a tenant.json. NAME.out beside it holds the canonical text
 * that it leads to, NAME.err the errors; a case has exactly one of the two. The JSON
 * examples of each manual page REFERENCE must be accepted too.
 * With UPDATE_GOLDEN=1 the expected files are written anew: read the diff. */
#include "common/cleanup.h"
#include "common/file.h"
#include "policy/manifest.h"
#include "policy/policy.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CASES_MAX 256
#define REFERENCES_MAX 4

struct golden {
	char path[512]; /* without .json */
	char title[256];
	bool manifest;
};

/* What FILE leads to: canonical text, or errors and a newline. */
static char *outcome(
	const char *file_name, const char *text, size_t length, bool is_manifest, bool *ret_good)
{
	struct policy *policy = NULL;
	struct manifest *manifest = NULL;
	struct error error = {0};
	int result = is_manifest ? manifest_parse(text, length, file_name, &manifest, &error)
				 : policy_parse(text, length, file_name, &policy, &error);
	char *printed = NULL;
	*ret_good = result == 0;
	if (result < 0) {
		assert_int_equal(result, -EINVAL);
		assert_int_equal(error.code, EINVAL);
		assert_true(asprintf(&printed, "%s\n", error.message) > 0);
		return printed;
	}
	printed = is_manifest ? manifest_print(manifest) : policy_print(policy);
	policy_free(policy);
	manifest_free(manifest);
	assert_non_null(printed);
	return printed;
}

static void check_round_trip(const char *printed, bool is_manifest)
{
	bool good;
	cleanup_free char *again = outcome("printed", printed, strlen(printed), is_manifest, &good);
	assert_string_equal(again, printed);
	assert_true(good);
}

static void check_case(void **state)
{
	const struct golden *golden = *state;
	char json[520], expected_path[520], other_path[520];
	struct error error = {0};
	cleanup_free char *text = NULL, *expected = NULL;
	size_t length;
	bool good;

	snprintf(json, sizeof json, "%s.json", golden->path);
	assert_int_equal(file_read(AT_FDCWD, json, 1 << 24, &text, &length, &error), 0);
	cleanup_free char *got =
		outcome(strrchr(json, '/') + 1, text, length, golden->manifest, &good);
	snprintf(expected_path, sizeof expected_path, "%s.%s", golden->path, good ? "out" : "err");
	snprintf(other_path, sizeof other_path, "%s.%s", golden->path, good ? "err" : "out");
	if (getenv("UPDATE_GOLDEN")) {
		unlink(other_path);
		assert_int_equal(
			file_write_atomic(AT_FDCWD, expected_path, got, strlen(got), 0644, &error),
			0);
	}
	if (access(other_path, F_OK) == 0)
		fail_msg("%s was expected, but this came out:\n%s", other_path, got);
	if (file_read(AT_FDCWD, expected_path, 1 << 24, &expected, NULL, &error) < 0)
		fail_msg("%s", error.message);
	assert_string_equal(got, expected);
	if (good)
		check_round_trip(got, golden->manifest);
}

/* Each ```json block: a policy when it has a version, otherwise a tenant.json. */
static void check_reference(void **state)
{
	const char *reference = *state;
	cleanup_free char *text = NULL;
	struct error error = {0};
	assert_int_equal(file_read(AT_FDCWD, reference, 1 << 20, &text, NULL, &error), 0);
	size_t count = 0;
	const char *open = "\n```json\n";
	for (char *next = strstr(text, open); next; next = strstr(next, open)) {
		next += strlen(open);
		char *end = strstr(next, "\n```\n");
		assert_non_null(end);
		size_t length = (size_t)(end - next) + 1;
		bool good, manifest = !memmem(next, length, "\"version\"", 9);
		cleanup_free char *got = outcome("example", next, length, manifest, &good);
		if (!good)
			fail_msg("%s: an example is refused: %s", reference, got);
		next = end;
		count++;
	}
	assert_true(count >= 2);
}

static size_t find_cases(const char *folder, bool manifest, struct golden *golden, size_t most)
{
	size_t count = 0;
	struct dirent **entries;
	int entry_count = scandir(folder, &entries, NULL, alphasort);
	for (int i = 0; i < entry_count; i++) {
		const char *name = entries[i]->d_name;
		size_t length = strlen(name);
		if (length > 5 && strcmp(name + length - 5, ".json") == 0 && count < most) {
			struct golden *here = &golden[count++];
			here->manifest = manifest;
			snprintf(here->path, sizeof here->path, "%s/%.*s", folder, (int)length - 5,
				name);
			snprintf(here->title, sizeof here->title, "%s%.*s",
				manifest ? "manifest/" : "", (int)length - 5, name);
		}
		free(entries[i]);
	}
	if (entry_count >= 0)
		free(entries);
	return count;
}

int main(int argc, char **argv)
{
	static struct golden golden[CASES_MAX];
	static struct CMUnitTest tests[CASES_MAX + REFERENCES_MAX];
	char manifests[512];
	if (argc < 3 || argc > 2 + REFERENCES_MAX) {
		fprintf(stderr, "usage: policy_golden_test FOLDER REFERENCE...\n");
		return 2;
	}
	snprintf(manifests, sizeof manifests, "%s/manifest", argv[1]);
	size_t policies = find_cases(argv[1], false, golden, CASES_MAX);
	size_t count =
		policies + find_cases(manifests, true, golden + policies, CASES_MAX - policies);
	if (policies == 0 || count == policies || count == CASES_MAX) {
		fprintf(stderr, "%s: %zu policies, %zu manifests: this cannot be right\n", argv[1],
			policies, count - policies);
		return 1;
	}
	for (size_t i = 0; i < count; i++)
		tests[i] = (struct CMUnitTest){
			.name = golden[i].title,
			.test_func = check_case,
			.initial_state = &golden[i],
		};
	for (int i = 2; i < argc; i++)
		tests[count++] = (struct CMUnitTest){
			.name = argv[i],
			.test_func = check_reference,
			.initial_state = argv[i],
		};
	return _cmocka_run_group_tests("policy_golden", tests, count, NULL, NULL);
}
