/* The attacks inside a real worker: a test-only zygote has this native module, and its
 * programs the global function `attack`. Never part of what is installed.
 *
 *   attack() -> [[id, name, flags], …]
 *   attack(index, { port, victim, abstract, socket, read, write, file })
 *       -> [succeeded, errno]
 *   attackSend(descriptor, bytes) -> the number of bytes sent, or -errno: as a program would
 *       that has taken the runtime's place, to those who listen to the runtime */

#include "common/cleanup.h"
#include "isolate/natives.h"
#include "test/escape/attack.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define FDS_MAX 128
#define OWN_INSTANCE 0xffffffffu /* in a message's header: this worker's own number */

/* What a worker has: standard ones, channel, stats, listeners; and of libuv's own only
 * what has no name (epoll, eventfd) and pipes. */
static size_t find_granted(int *granted)
{
	const int handed_over = 6 + (int)(runtime.start ? runtime.start->listener_count : 0);
	size_t count = 0;
	for (int fd = 3; fd < FDS_MAX; fd++) {
		struct stat status;
		bool anonymous = fstat(fd, &status) == 0 &&
				 ((status.st_mode & S_IFMT) == 0 || S_ISFIFO(status.st_mode));
		if (fd < handed_over || anonymous)
			granted[count++] = fd;
	}
	return count;
}

static engine_value *list_attacks(struct engine *engine)
{
	engine_value *list = engine_array(engine, NULL, 0);
	for (size_t i = 0; i < attack_count; i++) {
		engine_value *items[] = {
			engine_string(engine, attacks[i].id),
			engine_string(engine, attacks[i].name),
			engine_int32(engine, (int32_t)attacks[i].flags),
		};
		engine_set_index(engine, list, (uint32_t)i,
			engine_array(engine, items, ARRAY_LENGTH(items)));
	}
	return list;
}

static char *text_of(engine_value *aim, const char *name)
{
	return engine_to_utf8(runtime.engine, engine_get(runtime.engine, aim, name), NULL);
}

static engine_value *run_attack(struct engine *engine, struct engine_call *call)
{
	if (engine_call_count(call) == 0)
		return list_attacks(engine);
	size_t index = (size_t)engine_argument_int32(call, 0);
	engine_value *aim = engine_call_argument(engine, call, 1);
	if (index >= attack_count || engine_typeof(aim) != ENGINE_OBJECT)
		return engine_throw(engine, "RangeError", NULL, "attack(index, target)");
	cleanup_free char *abstract = text_of(aim, "abstract");
	cleanup_free char *socket_path = text_of(aim, "socket");
	cleanup_free char *read_folder = text_of(aim, "read"),
			  *write_folder = text_of(aim, "write");
	cleanup_free char *read_file = text_of(aim, "file");
	int granted[FDS_MAX];
	struct attack_target target = {
		.outside_file = "/etc/passwd",
		.folder = runtime.start->root,
		.abstract_name = abstract,
		.socket_path = socket_path,
		.tcp_port = engine_to_int32(engine, engine_get(engine, aim, "port")),
		.listener = runtime.start->listener_count ? 6 : -1,
		.connected = -1,
		.accomplice = -1,
		.read_folder = read_folder,
		.write_folder = write_folder,
		.read_file = read_file,
		.victim = engine_to_int32(engine, engine_get(engine, aim, "victim")),
		.granted = granted,
		.granted_count = find_granted(granted),
	};
	int code = 0;
	int succeeded = attack_run(&attacks[index], &target, &code);
	engine_value *items[] = {engine_int32(engine, succeeded), engine_int32(engine, code)};
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

static engine_value *send_raw(struct engine *engine, struct engine_call *call)
{
	void *data = NULL;
	size_t length = 0;
	if (!engine_bytes_get(engine_call_argument(engine, call, 1), &data, &length))
		return engine_throw(engine, "TypeError", NULL, "attackSend(descriptor, bytes)");
	struct message_header header;
	if (length >= sizeof header) {
		memcpy(&header, data, sizeof header);
		if (header.instance == OWN_INSTANCE) {
			header.instance = runtime.instance;
			memcpy(data, &header, sizeof header);
		}
	}
	ssize_t sent =
		send(engine_argument_int32(call, 0), data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	return engine_int32(engine, sent < 0 ? -errno : (int32_t)sent);
}

static const struct engine_native natives[] = {
	{"attack", run_attack, 2},
	{"attackSend", send_raw, 2},
};

static void start(void)
{
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	for (size_t i = 0; i < ARRAY_LENGTH(natives); i++)
		engine_set(runtime.engine, engine_global(runtime.engine), natives[i].name,
			engine_get(runtime.engine, engine_native_object(runtime.engine),
				natives[i].name));
	engine_scope_close(runtime.engine, &scope);
}

const struct native_module attack_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.start = start,
};
