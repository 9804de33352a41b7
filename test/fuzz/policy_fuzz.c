/* Any bytes as a policy file, and as single entries of its lists. What is accepted
 * prints canonically and reads back the same; what is refused is refused in clean
 * lines with a place; the scanner and jansson never disagree. */
#include "common/cleanup.h"
#include "policy/places.h"
#include "policy/policy.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* Every line is FILE:LINE:COLUMN: TEXT, or says how many more there are. */
static void check_message(const struct error *error)
{
	require(error->code != 0 && error->message[0] != '\0');
	require(strncmp(error->message, "fuzz:1:1: internal error", 24) != 0);
	for (const char *line = error->message; line;) {
		unsigned row, column;
		int used = 0;
		bool placed = sscanf(line, "fuzz:%u:%u: %n", &row, &column, &used) == 2 &&
			      used > 0 && row > 0 && column > 0;
		require(placed || strncmp(line, "(and ", 5) == 0);
		const char *end = strchr(line, '\n');
		for (const char *next = line; *next && next != end; next++)
			require((unsigned char)*next >= 0x20 && *next != 0x7F);
		line = end ? end + 1 : NULL;
	}
}

static void fuzz_file(const char *text, size_t size)
{
	struct policy *policy, *again;
	struct error error = {0};
	if (policy_parse(text, size, "fuzz", &policy, &error) < 0) {
		check_message(&error);
		return;
	}
	cleanup_free char *printed = policy_print(policy);
	require(printed != NULL);
	require(policy_parse(printed, strlen(printed), "fuzz", &again, &error) == 0);
	cleanup_free char *printed_again = policy_print(again);
	require(printed_again && strcmp(printed, printed_again) == 0);
	policy_free(policy);
	policy_free(again);
}

static void fuzz_places(const char *text, size_t size)
{
	struct places places;
	struct places_error error;
	int scanned = places_read(text, size, &places, &error);
	json_t *value = json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	if (scanned < 0) {
		require(error.offset <= size && error.message);
		/* jansson skips a NUL that follows a number. */
		require(!value || strstr(error.message, "nested too deeply") ||
			memchr(text, '\0', size));
	}
	char pointer[64];
	for (uint32_t i = 0; scanned == 0 && i < places.count && i < 100; i++)
		require(places_pointer(&places, i, pointer, sizeof pointer) < sizeof pointer);
	json_decref(value);
	places_clear(&places);
}

static void fuzz_entry(const char *text)
{
	struct policy_net_rule rule, rule_again;
	struct policy_listen listen, listen_again;
	struct sockaddr_storage storage;
	struct error error;
	char printed[POLICY_NET_TEXT_MAX], again[POLICY_NET_TEXT_MAX];
	if (policy_net_rule_parse(text, &rule, &error) == 0) {
		policy_net_rule_format(&rule, printed);
		require(policy_net_rule_parse(printed, &rule_again, &error) == 0);
		policy_net_rule_format(&rule_again, again);
		require(strcmp(printed, again) == 0 && rule.kind == rule_again.kind);
	}
	if (policy_listen_parse(text, &listen, &error) == 0) {
		policy_listen_format(&listen, printed);
		require(policy_listen_parse(printed, &listen_again, &error) == 0);
		policy_listen_format(&listen_again, again);
		require(strcmp(printed, again) == 0);
		require(policy_listen_address(&listen, &storage) > 0);
	}
	if (policy_check_name(text, &error) == 0)
		require(!strchr(text, '/') && text[0] != '.' && strlen(text) <= 63);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = malloc(size + 1);
	require(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	fuzz_file((const char *)data, size);
	fuzz_places((const char *)data, size);
	fuzz_entry(text);
	return 0;
}
