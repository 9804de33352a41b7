#include "common/protocol.h"

#include "common/wire.h"

#include <errno.h>
#include <string.h>

const struct message_rule *message_check(const struct message_rule *rules, size_t rule_count,
	uint32_t state, const void *message, size_t length, size_t fd_count, struct error *error)
{
	struct message_header header;
	if (length < sizeof header) {
		error_set(error, EBADMSG, "a message of %zu bytes is too short", length);
		return NULL;
	}
	memcpy(&header, message, sizeof header);
	for (size_t i = 0; i < rule_count; i++) {
		const struct message_rule *rule = &rules[i];
		if (rule->type != header.type)
			continue;
		if (!(rule->states & state)) {
			error_set(error, EBADMSG, "message %u is not allowed in this state",
				header.type);
			return NULL;
		}
		if (length < rule->least || length > rule->most) {
			error_set(error, EBADMSG, "message %u has %zu bytes, expected %zu to %zu",
				header.type, length, rule->least, rule->most);
			return NULL;
		}
		if (fd_count < rule->fds_least || fd_count > rule->fds_most) {
			error_set(error, EBADMSG,
				"message %u has %zu descriptors, expected %zu to %zu", header.type,
				fd_count, rule->fds_least, rule->fds_most);
			return NULL;
		}
		return rule;
	}
	error_set(error, EBADMSG, "message %u is not one of this channel", header.type);
	return NULL;
}

static void put_list(struct wire_writer *writer, const char *const *list, size_t count)
{
	wire_put_u32(writer, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		wire_put_string(writer, list[i]);
}

static size_t get_list(struct wire_reader *reader, const char **list, size_t most)
{
	size_t count = wire_get_u32(reader);
	if (count > most) {
		reader->failed = true;
		return 0;
	}
	for (size_t i = 0; i < count; i++)
		list[i] = wire_get_string(reader, WORKER_STRING_MAX);
	return count;
}

ssize_t worker_start_encode(
	const struct worker_start *start, uint32_t instance, void *data, size_t size)
{
	struct wire_writer writer = {.data = data, .size = size};
	wire_put_u32(&writer, MESSAGE_START);
	wire_put_u32(&writer, instance);
	wire_put_string(&writer, start->tenant);
	wire_put_string(&writer, start->entry);
	wire_put_u32(&writer, start->mode);
	wire_put_u32(&writer, start->uid);
	wire_put_u32(&writer,
		(uint32_t)(start->allow_eval | start->allow_wasm << 1 | start->allow_jit << 2));
	wire_put_u64(&writer, start->memory_bytes);
	wire_put_u32(&writer, start->files);
	wire_put_u32(&writer, start->turn_cpu_ms);
	wire_put_u32(&writer, start->request_ms);
	wire_put_u64(&writer, start->body_bytes);
	wire_put_u32(&writer, start->concurrent);
	wire_put_u32(&writer, start->idle_ms);
	put_list(&writer, start->environment, start->environment_count);
	put_list(&writer, start->arguments, start->argument_count);
	put_list(&writer, start->listeners, start->listener_count);
	return writer.failed ? -EMSGSIZE : (ssize_t)writer.length;
}

int worker_start_decode(
	const void *data, size_t length, struct worker_start *ret_start, struct error *error)
{
	struct wire_reader reader = {.data = data, .length = length};
	struct worker_start *start = ret_start;
	if (wire_get_u32(&reader) != MESSAGE_START)
		reader.failed = true;
	wire_get_u32(&reader); /* instance */
	start->tenant = wire_get_string(&reader, WORKER_STRING_MAX);
	start->entry = wire_get_string(&reader, WORKER_STRING_MAX);
	start->mode = wire_get_u32(&reader);
	start->uid = wire_get_u32(&reader);
	uint32_t flags = wire_get_u32(&reader);
	start->allow_eval = flags & 1;
	start->allow_wasm = flags & 2;
	start->allow_jit = flags & 4;
	start->memory_bytes = wire_get_u64(&reader);
	start->files = wire_get_u32(&reader);
	start->turn_cpu_ms = wire_get_u32(&reader);
	start->request_ms = wire_get_u32(&reader);
	start->body_bytes = wire_get_u64(&reader);
	start->concurrent = wire_get_u32(&reader);
	start->idle_ms = wire_get_u32(&reader);
	start->environment_count = get_list(&reader, start->environment, WORKER_STRINGS_MAX);
	start->argument_count = get_list(&reader, start->arguments, WORKER_STRINGS_MAX);
	start->listener_count = get_list(&reader, start->listeners, WORKER_LISTENERS_MAX);
	if (!wire_get_end(&reader) || start->mode > WORKER_MODE_SCRIPT || start->uid == 0 ||
		flags > 7)
		return error_set(error, EBADMSG, "a malformed START message");
	return 0;
}

size_t message_report_encode(void *data, size_t size, enum message_type type, uint32_t instance,
	enum worker_reason reason, uint32_t exit_code, const char *text)
{
	struct message_report report = {
		.header = {.type = type, .instance = instance},
		.reason = reason,
		.exit_code = exit_code,
	};
	size_t length = strlen(text);
	size_t room = size - sizeof report - 1;
	if (length > room)
		length = room;
	if (length > MESSAGE_TEXT_MAX)
		length = MESSAGE_TEXT_MAX;
	memcpy(data, &report, sizeof report);
	memcpy((char *)data + sizeof report, text, length);
	((char *)data)[sizeof report + length] = '\0';
	return sizeof report + length + 1;
}

const char *message_report_text(const void *data, size_t length)
{
	const char *text = (const char *)data + sizeof(struct message_report);
	if (length <= sizeof(struct message_report) || ((const char *)data)[length - 1] != '\0')
		return "";
	return text;
}
