#include "common/protocol.h"

#include "common/cleanup.h"
#include "common/site.h"
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

enum { GRANT_WRITE = 1, GRANT_FOLDER = 2 };

static void put_grants(struct wire_writer *writer, const struct worker_start *start)
{
	wire_put_u32(writer, (uint32_t)start->grant_count);
	for (size_t i = 0; i < start->grant_count; i++) {
		const struct worker_grant *grant = &start->grants[i];
		wire_put_string(writer, grant->path);
		wire_put_u32(writer, (uint32_t)((grant->write ? GRANT_WRITE : 0) |
						(grant->folder ? GRANT_FOLDER : 0)));
	}
}

static void get_grants(struct wire_reader *reader, struct worker_start *start)
{
	start->grant_count = 0;
	size_t count = wire_get_u32(reader);
	if (count > WORKER_GRANTS_MAX) {
		reader->failed = true;
		return;
	}
	for (size_t i = 0; i < count; i++) {
		const char *path = wire_get_string(reader, WORKER_STRING_MAX);
		uint32_t flags = wire_get_u32(reader);
		if (path[0] != '/' || flags > (GRANT_WRITE | GRANT_FOLDER))
			reader->failed = true;
		start->grants[i] = (struct worker_grant){
			.path = path,
			.write = flags & GRANT_WRITE,
			.folder = flags & GRANT_FOLDER,
		};
	}
	start->grant_count = count;
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
	wire_put_string(&writer, start->root);
	wire_put_u32(&writer, start->tier);
	wire_put_u32(&writer, start->audit);
	wire_put_u32(&writer,
		(uint32_t)(start->allow_eval | start->allow_wasm << 1 | start->allow_jit << 2 |
			   start->egress << 3 | start->ready_signal << 4 | start->ingress << 5 |
			   start->inspect << 6));
	wire_put_u64(&writer, start->memory_bytes);
	wire_put_u64(&writer, start->stack_bytes);
	wire_put_u32(&writer, start->files);
	wire_put_u32(&writer, start->threads);
	wire_put_u32(&writer, start->turn_cpu_ms);
	wire_put_u32(&writer, start->request_ms);
	wire_put_u64(&writer, start->body_bytes);
	wire_put_u32(&writer, start->concurrent);
	wire_put_u32(&writer, start->idle_ms);
	wire_put_u64(&writer, start->tmp_bytes);
	wire_put_u32(&writer, start->time_ms);
	wire_put_string(&writer, start->folder);
	put_list(&writer, start->environment, start->environment_count);
	put_list(&writer, start->arguments, start->argument_count);
	put_list(&writer, start->listeners, start->listener_count);
	put_list(&writer, start->listener_names, start->listener_count);
	put_grants(&writer, start);
	put_list(&writer, start->connect, start->connect_count);
	put_list(&writer, start->deny, start->deny_count);
	put_list(&writer, start->exec, start->exec_count);
	put_list(&writer, start->secrets, start->secret_count);
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
	start->root = wire_get_string(&reader, WORKER_STRING_MAX);
	start->tier = wire_get_u32(&reader);
	start->audit = wire_get_u32(&reader);
	uint32_t flags = wire_get_u32(&reader);
	start->egress = flags & 8;
	start->allow_eval = flags & 1;
	start->allow_wasm = flags & 2;
	start->allow_jit = flags & 4;
	start->ready_signal = flags & 16;
	start->ingress = flags & 32;
	start->inspect = flags >> 6;
	start->memory_bytes = wire_get_u64(&reader);
	start->stack_bytes = wire_get_u64(&reader);
	start->files = wire_get_u32(&reader);
	start->threads = wire_get_u32(&reader);
	start->turn_cpu_ms = wire_get_u32(&reader);
	start->request_ms = wire_get_u32(&reader);
	start->body_bytes = wire_get_u64(&reader);
	start->concurrent = wire_get_u32(&reader);
	start->idle_ms = wire_get_u32(&reader);
	start->tmp_bytes = wire_get_u64(&reader);
	start->time_ms = wire_get_u32(&reader);
	start->folder = wire_get_string(&reader, WORKER_STRING_MAX);
	start->environment_count = get_list(&reader, start->environment, WORKER_STRINGS_MAX);
	start->argument_count = get_list(&reader, start->arguments, WORKER_STRINGS_MAX);
	start->listener_count = get_list(&reader, start->listeners, WORKER_LISTENERS_MAX);
	if (get_list(&reader, start->listener_names, WORKER_LISTENERS_MAX) != start->listener_count)
		reader.failed = true;
	get_grants(&reader, start);
	start->connect_count = get_list(&reader, start->connect, WORKER_RULES_MAX);
	start->deny_count = get_list(&reader, start->deny, WORKER_RULES_MAX);
	start->exec_count = get_list(&reader, start->exec, WORKER_RULES_MAX);
	start->secret_count = get_list(&reader, start->secrets, WORKER_RULES_MAX);
	if (!wire_get_end(&reader) || start->mode > WORKER_MODE_COMPILE || start->uid == 0 ||
		start->inspect >= WORKER_INSPECT_COUNT)
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

ssize_t worker_child_encode(
	const struct worker_child *child, uint32_t instance, void *data, size_t size)
{
	struct wire_writer writer = {.data = data, .size = size};
	wire_put_u32(&writer, MESSAGE_CHILD_START);
	wire_put_u32(&writer, instance);
	wire_put_u32(&writer, child->child);
	for (size_t i = 0; i < ARRAY_LENGTH(child->stdio); i++)
		wire_put_u32(&writer, child->stdio[i]);
	wire_put_u32(&writer, child->time_ms);
	wire_put_string(&writer, child->path);
	wire_put_string(&writer, child->folder);
	put_list(&writer, child->arguments, child->argument_count);
	put_list(&writer, child->environment, child->environment_count);
	return writer.failed ? -EMSGSIZE : (ssize_t)writer.length;
}

int worker_child_decode(
	const void *data, size_t length, struct worker_child *ret_child, struct error *error)
{
	struct wire_reader reader = {.data = data, .length = length};
	struct worker_child *child = ret_child;
	if (wire_get_u32(&reader) != MESSAGE_CHILD_START)
		reader.failed = true;
	wire_get_u32(&reader); /* instance */
	child->child = wire_get_u32(&reader);
	for (size_t i = 0; i < ARRAY_LENGTH(child->stdio); i++)
		if ((child->stdio[i] = wire_get_u32(&reader)) > CHILD_STDIO_INHERIT)
			reader.failed = true;
	child->time_ms = wire_get_u32(&reader);
	child->path = wire_get_string(&reader, WORKER_STRING_MAX);
	child->folder = wire_get_string(&reader, WORKER_STRING_MAX);
	child->argument_count = get_list(&reader, child->arguments, WORKER_STRINGS_MAX);
	child->environment_count = get_list(&reader, child->environment, WORKER_STRINGS_MAX);
	if (!wire_get_end(&reader) || child->path[0] != '/')
		return error_set(error, EBADMSG, "a malformed CHILD_START message");
	return 0;
}

ssize_t worker_sites_encode(
	const struct worker_sites *sites, uint32_t instance, void *data, size_t size)
{
	struct wire_writer writer = {.data = data, .size = size};
	wire_put_u32(&writer, MESSAGE_SITES);
	wire_put_u32(&writer, instance);
	wire_put_u32(&writer, (uint32_t)sites->count);
	for (size_t i = 0; i < sites->count; i++) {
		wire_put_string(&writer, sites->sites[i].host);
		wire_put_string(&writer, sites->sites[i].path);
		wire_put_u32(&writer, sites->sites[i].own);
	}
	return writer.failed ? -EMSGSIZE : (ssize_t)writer.length;
}

int worker_sites_decode(
	const void *data, size_t length, struct worker_sites *ret_sites, struct error *error)
{
	struct wire_reader reader = {.data = data, .length = length};
	if (wire_get_u32(&reader) != MESSAGE_SITES)
		reader.failed = true;
	wire_get_u32(&reader); /* instance */
	ret_sites->count = wire_get_u32(&reader);
	if (ret_sites->count > WORKER_SITES_MAX) {
		ret_sites->count = 0;
		reader.failed = true;
	}
	for (size_t i = 0; i < ret_sites->count; i++) {
		struct worker_site *site = &ret_sites->sites[i];
		site->host = wire_get_string(&reader, SITE_HOST_MAX);
		site->path = wire_get_string(&reader, SITE_PATH_MAX);
		const uint32_t own = wire_get_u32(&reader);
		site->own = own == 1;
		if (site->host[0] == '\0' || site->path[0] != '/' || own > 1)
			reader.failed = true;
	}
	if (!wire_get_end(&reader))
		return error_set(error, EBADMSG, "a malformed SITES message");
	return 0;
}

ssize_t worker_certificates_encode(
	const struct worker_certificate *list, size_t count, void *data, size_t size)
{
	struct wire_writer writer = {.data = data, .size = size};
	wire_put_u32(&writer, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		wire_put_string(&writer, list[i].host);
		wire_put_string(&writer, list[i].chain);
		wire_put_string(&writer, list[i].key);
	}
	return writer.failed ? -EMSGSIZE : (ssize_t)writer.length;
}

ssize_t worker_certificates_decode(
	const void *data, size_t length, struct worker_certificate *ret, struct error *error)
{
	struct wire_reader reader = {.data = data, .length = length};
	size_t count = wire_get_u32(&reader);
	if (count > CERTIFICATES_MAX) {
		reader.failed = true;
		count = 0;
	}
	for (size_t i = 0; i < count; i++) {
		ret[i].host = wire_get_string(&reader, SITE_HOST_MAX);
		ret[i].chain = wire_get_string(&reader, CERTIFICATE_CHAIN_MAX);
		ret[i].key = wire_get_string(&reader, CERTIFICATE_KEY_MAX);
		if (ret[i].host[0] == '\0')
			reader.failed = true;
	}
	if (!wire_get_end(&reader))
		return error_set(error, EBADMSG, "malformed CERTIFICATES");
	return (ssize_t)count;
}

const char *audit_permission_name(enum audit_permission permission)
{
	static const char *const names[] = {
		[AUDIT_FS_READ] = "fs.read",
		[AUDIT_FS_WRITE] = "fs.write",
		[AUDIT_NET_CONNECT] = "net.connect",
		[AUDIT_NET_LISTEN] = "net.listen",
		[AUDIT_CHILD] = "child",
		[AUDIT_ENV] = "env",
		[AUDIT_SYSCALL] = "syscall",
		[AUDIT_RESOURCE] = "resource",
		[AUDIT_EVAL] = "eval",
		[AUDIT_WASM] = "wasm",
	};
	return (unsigned)permission < ARRAY_LENGTH(names) ? names[permission] : "unknown";
}

const char *audit_layer_name(enum audit_layer layer)
{
	static const char *const names[] = {
		[AUDIT_LAYER_MOUNT] = "mount",
		[AUDIT_LAYER_LANDLOCK] = "landlock",
		[AUDIT_LAYER_SECCOMP] = "seccomp",
		[AUDIT_LAYER_EGRESS] = "egress",
		[AUDIT_LAYER_CGROUP] = "cgroup",
		[AUDIT_LAYER_SUPERVISOR] = "supervisor",
		[AUDIT_LAYER_ENGINE] = "engine",
	};
	return (unsigned)layer < ARRAY_LENGTH(names) ? names[layer] : "unknown";
}
