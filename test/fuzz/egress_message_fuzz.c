/* Any bytes as ADD, and as its rules: what is accepted comes back the same. */
#include "common/cleanup.h"
#include "common/egress.h"
#include "daemon/egress/private.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct egress_add add, back;
	static char encoded[256 * 1024];
	struct policy_net_rules connect, deny;
	struct error error = {0};
	/* Of the right size, so that reading behind it is seen. */
	cleanup_free uint8_t *copy = malloc(size + !size);
	require(copy != NULL);
	memcpy(copy, data, size);
	if (egress_add_decode(copy, size, &add, &error) < 0) {
		require(error.message[0] != '\0');
		return 0;
	}
	ssize_t length = egress_add_encode(&add, 1, encoded, sizeof encoded);
	require(length == (ssize_t)size);
	require(egress_add_decode(encoded, (size_t)length, &back, &error) == 0);
	require(back.connect_count == add.connect_count && back.deny_count == add.deny_count);
	require(strcmp(back.tenant, add.tenant) == 0 && back.proxy == add.proxy);
	if (rules_parse(&connect, add.connect, add.connect_count, &error) < 0)
		return 0;
	if (rules_parse(&deny, add.deny, add.deny_count, &error) == 0) {
		const size_t before = connect.count;
		if (add.deny_count > 0)
			rules_drop(&connect, &deny, add.deny[0], &error);
		require(connect.count <= before);
		require(rules_drop(&connect, &deny, "", &error) >= 0 && connect.count == 0);
		rules_free(&deny);
	}
	rules_free(&connect);
	return 0;
}
