#include "common/egress.h"

#include "common/cleanup.h"
#include "common/wire.h"

#include <errno.h>

#define RULE_TEXT_MAX 512 /* POLICY_NET_TEXT_MAX fits */
#define TENANT_MAX 63

static void put_rules(struct wire_writer *writer, const char *const *rules, size_t count)
{
	wire_put_u32(writer, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		wire_put_string(writer, rules[i]);
}

static size_t get_rules(struct wire_reader *reader, const char **rules, size_t most)
{
	const size_t count = wire_get_u32(reader);
	if (count > most) {
		reader->failed = true;
		return 0;
	}
	for (size_t i = 0; i < count; i++)
		rules[i] = wire_get_string(reader, RULE_TEXT_MAX);
	return count;
}

ssize_t egress_add_encode(const struct egress_add *add, uint32_t instance, void *data, size_t size)
{
	struct wire_writer writer = {.data = data, .size = size};
	wire_put_u32(&writer, EGRESS_ADD);
	wire_put_u32(&writer, instance);
	wire_put_string(&writer, add->tenant);
	wire_put_u32(&writer, add->audit);
	wire_put_u32(&writer, add->proxy);
	wire_put_u32(&writer, add->concurrent);
	wire_put_u32(&writer, add->rate_per_second);
	wire_put_u32(&writer, add->timeout_ms);
	put_rules(&writer, add->connect, add->connect_count);
	put_rules(&writer, add->deny, add->deny_count);
	return writer.failed ? -EMSGSIZE : (ssize_t)writer.length;
}

int egress_add_decode(
	const void *data, size_t length, struct egress_add *ret_add, struct error *error)
{
	struct wire_reader reader = {.data = data, .length = length};
	struct egress_add *add = ret_add;
	if (wire_get_u32(&reader) != EGRESS_ADD)
		reader.failed = true;
	wire_get_u32(&reader); /* instance */
	add->tenant = wire_get_string(&reader, TENANT_MAX);
	add->audit = wire_get_u32(&reader);
	const uint32_t proxy = wire_get_u32(&reader);
	add->proxy = proxy == 1;
	add->concurrent = wire_get_u32(&reader);
	add->rate_per_second = wire_get_u32(&reader);
	add->timeout_ms = wire_get_u32(&reader);
	add->connect_count = get_rules(&reader, add->connect, ARRAY_LENGTH(add->connect));
	add->deny_count = get_rules(&reader, add->deny, ARRAY_LENGTH(add->deny));
	if (!wire_get_end(&reader) || add->audit > 2 || proxy > 1 || add->concurrent == 0 ||
		add->rate_per_second == 0 || add->timeout_ms == 0)
		return error_set(error, EBADMSG, "a malformed ADD message");
	return 0;
}
