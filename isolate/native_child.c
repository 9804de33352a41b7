/* Programs that the policy grants (child.exec). A worker can neither fork nor exec: it asks
 * the supervisor, which starts a job (daemon/child.c), and gets the other ends of its
 * pipes. The start is waited for, as in Node, where it takes no shorter: then there is a
 * pid and there are streams, or an error. */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/message.h"
#include "isolate/channel.h"
#include "isolate/native_net.h"
#include "isolate/natives.h"
#include "isolate/runtime.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define START_MS 35000 /* the supervisor gives up before */
#define STREAMS 3
#define READ_BYTES 65536
#define HOLD_MS ((uint64_t)1 << 40) /* never */

/* One that runs. */
struct child {
	struct child *next;
	uint32_t number;
	bool held; /* keeps the program alive */
};

/* What CHILD_START came to. */
struct started {
	int code; /* 0, or a negative errno */
	uint32_t number;
	int pid;
	int fds[STREAMS]; /* ours; -1: it has none */
};

static struct child *children;
static uint32_t last_number;
static uv_timer_t hold;
static bool hold_open;
static engine_ref *child_exited;

/* ---- keeping the program alive ---- */

static void on_hold(uv_timer_t *timer)
{
	(void)timer;
}

static void update_hold(void)
{
	bool held = false;
	for (const struct child *child = children; child; child = child->next)
		held |= child->held;
	if (held && !hold_open)
		uv_timer_init(&runtime.loop, &hold);
	hold_open |= held;
	if (held)
		uv_timer_start(&hold, on_hold, HOLD_MS, 0);
	else if (hold_open)
		uv_timer_stop(&hold);
}

static void forget(uint32_t number)
{
	for (struct child **place = &children; *place; place = &(*place)->next) {
		cleanup_free struct child *child = *place;
		if (child->number == number) {
			*place = child->next;
			update_hold();
			return;
		}
		(void)take_pointer(child);
	}
}

static int remember(uint32_t number)
{
	struct child *child = calloc(1, sizeof *child);
	if (child == NULL)
		return -ENOMEM;
	*child = (struct child){.next = children, .number = number, .held = true};
	children = child;
	update_hold();
	return 0;
}

/* ---- asking ---- */

static bool is_answer(const void *message, const void *number)
{
	struct message_header header;
	uint32_t child;
	memcpy(&header, message, sizeof header);
	if (header.type != MESSAGE_CHILD_STARTED && header.type != MESSAGE_CHILD_FAILED)
		return false;
	memcpy(&child, (const char *)message + sizeof header, sizeof child);
	return child == *(const uint32_t *)number;
}

static void wait_for_start(const struct worker_child *wanted, struct started *ret)
{
	static _Alignas(8) char answer[sizeof(struct message_child_failed) + MESSAGE_TEXT_MAX + 1];
	struct message_child_started started;
	struct message_child_failed failed;
	int fds[STREAMS];
	size_t count = STREAMS, next = 0;
	ssize_t length = channel_wait_for(
		is_answer, &wanted->child, answer, sizeof answer, fds, &count, START_MS);
	ret->code = length < 0 ? (int)length : 0;
	if (length < 0)
		return;
	memcpy(&started, answer, sizeof started);
	if (started.header.type == MESSAGE_CHILD_FAILED) {
		memcpy(&failed, answer, sizeof failed);
		ret->code = failed.code > 0 ? -failed.code : -EAGAIN;
		return;
	}
	ret->pid = started.pid;
	for (size_t i = 0; i < STREAMS; i++)
		if (wanted->stdio[i] == CHILD_STDIO_PIPE && next < count)
			ret->fds[i] = fds[next++];
	while (next < count)
		close(fds[next++]);
}

static void start(struct worker_child *wanted, struct started *ret)
{
	static char data[MESSAGE_LENGTH_MAX];
	*ret = (struct started){.number = ++last_number, .fds = {-1, -1, -1}};
	wanted->child = ret->number;
	if (runtime.channel < 0) {
		ret->code = -ENOSYS;
		return;
	}
	ssize_t length = worker_child_encode(wanted, runtime.instance, data, sizeof data);
	if (length < 0) {
		ret->code = -E2BIG;
		return;
	}
	ret->code = message_send(runtime.channel, data, (size_t)length, NULL, 0);
	if (ret->code == 0)
		wait_for_start(wanted, ret);
}

static int send_signal(uint32_t number, int signal)
{
	const struct message_child_signal message = {
		.header = {.type = MESSAGE_CHILD_SIGNAL, .instance = runtime.instance},
		.child = number,
		.number = signal,
	};
	return message_send(runtime.channel, &message, sizeof message, NULL, 0);
}

/* ---- what JavaScript says ---- */

/* Strings of a call's arguments, that live as long as the call. */
struct texts {
	char *items[2 * WORKER_STRINGS_MAX + 2];
	size_t count;
};

static void texts_clear(struct texts *texts)
{
	for (size_t i = 0; i < texts->count; i++)
		free(texts->items[i]);
	texts->count = 0;
}

static const char *take_text(struct engine *engine, engine_value *value, struct texts *texts)
{
	char *text = engine_to_utf8(engine, value, NULL);
	if (text)
		texts->items[texts->count++] = text;
	return text ? text : "";
}

static int take_list(struct engine *engine, engine_value *list, struct texts *texts,
	const char **items, size_t *ret_count)
{
	size_t count = engine_is_array(list) ? engine_array_length(list) : 0;
	if (count > WORKER_STRINGS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < count; i++)
		items[i] = take_text(engine, engine_get_index(engine, list, (uint32_t)i), texts);
	*ret_count = count;
	return 0;
}

/* Arguments 0 to 5 of both calls: path, folder, argv, environment, stdio (three numbers of
 * enum child_stdio), milliseconds. */
static int take_wanted(struct engine *engine, struct engine_call *call, struct texts *texts,
	struct worker_child *wanted)
{
	engine_value *stdio = engine_call_argument(engine, call, 4);
	wanted->path = take_text(engine, engine_call_argument(engine, call, 0), texts);
	wanted->folder = take_text(engine, engine_call_argument(engine, call, 1), texts);
	int result = take_list(engine, engine_call_argument(engine, call, 2), texts,
		wanted->arguments, &wanted->argument_count);
	if (result == 0)
		result = take_list(engine, engine_call_argument(engine, call, 3), texts,
			wanted->environment, &wanted->environment_count);
	if (result < 0 || wanted->path[0] != '/' || !engine_is_array(stdio))
		return result < 0 ? result : -EINVAL;
	for (uint32_t i = 0; i < STREAMS; i++)
		wanted->stdio[i] =
			(uint32_t)engine_to_int32(engine, engine_get_index(engine, stdio, i));
	wanted->time_ms = (uint32_t)engine_argument_int32(call, 5);
	return 0;
}

static int begin(struct engine *engine, struct engine_call *call, struct started *ret,
	struct worker_child **ret_wanted)
{
	static struct worker_child wanted; /* large */
	static struct texts texts;
	int result = take_wanted(engine, call, &texts, &wanted);
	if (result == 0) {
		start(&wanted, ret);
		result = ret->code;
	}
	texts_clear(&texts);
	*ret_wanted = &wanted;
	return result;
}

/* childSpawn(path, folder, argv, environment, stdio, ms): a negative errno, or
 * [number, pid, stream or null, …]. */
static engine_value *child_spawn(struct engine *engine, struct engine_call *call)
{
	struct started started;
	struct worker_child *wanted;
	engine_value *items[2 + STREAMS];
	int result = begin(engine, call, &started, &wanted);
	if (result == 0)
		result = remember(started.number);
	if (result < 0)
		return engine_int32(engine, result);
	items[0] = engine_number(engine, started.number);
	items[1] = engine_int32(engine, started.pid);
	for (size_t i = 0; i < STREAMS; i++) {
		items[2 + i] =
			started.fds[i] < 0 ? engine_null(engine) : net_stream_open(started.fds[i]);
		if (items[2 + i] == NULL)
			return NULL; /* with an exception: no memory */
	}
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

/* childSignal(number, signal): 0 or a negative errno. */
static engine_value *child_signal(struct engine *engine, struct engine_call *call)
{
	uint32_t number = (uint32_t)engine_argument_int32(call, 0);
	for (const struct child *child = children; child; child = child->next)
		if (child->number == number)
			return engine_int32(
				engine, send_signal(number, engine_argument_int32(call, 1)));
	return engine_int32(engine, -ESRCH);
}

/* childHold(number, whether it keeps the program alive). */
static engine_value *child_hold(struct engine *engine, struct engine_call *call)
{
	uint32_t number = (uint32_t)engine_argument_int32(call, 0);
	for (struct child *child = children; child; child = child->next)
		if (child->number == number)
			child->held = engine_argument_bool(call, 1);
	update_hold();
	return engine_undefined(engine);
}

/* ---- running one to its end ---- */

struct output {
	char *data;
	size_t length, room;
};

struct running {
	struct started *started;
	const char *input;
	size_t input_length;
	struct output outputs[STREAMS]; /* of 1 and 2 */
	size_t most;                    /* of one of them */
	int signal;                     /* that ends it */
	uint64_t deadline_ms;           /* 0: none */
	int code;                       /* why it was ended: -ETIMEDOUT, -ENOBUFS */
	bool exited;
	struct message_child_exited exit;
};

static void end_early(struct running *run, int code)
{
	if (run->code)
		return;
	run->code = code;
	run->deadline_ms = 0;
	(void)send_signal(run->started->number, run->signal);
}

static void write_input(struct running *run)
{
	int *fd = &run->started->fds[0];
	ssize_t sent = run->input_length == 0 ? 0
					      : send(*fd, run->input, run->input_length,
							MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent > 0) {
		run->input += sent;
		run->input_length -= (size_t)sent;
	}
	if (run->input_length == 0 || (sent < 0 && errno != EAGAIN && errno != EINTR))
		close_fd(fd);
}

/* What is over the limit is read, so that the program comes to its end, and dropped. */
static void keep_output(struct running *run, struct output *output, const char *data, size_t length)
{
	size_t wanted = length < run->most - output->length ? length : run->most - output->length;
	if (output->length + wanted > output->room) {
		size_t room = 2 * (output->length + wanted);
		char *larger = realloc(output->data, room);
		if (larger == NULL) {
			end_early(run, -ENOMEM);
			return;
		}
		output->data = larger;
		output->room = room;
	}
	if (wanted > 0)
		memcpy(output->data + output->length, data, wanted);
	output->length += wanted;
	if (wanted < length)
		end_early(run, -ENOBUFS);
}

static void read_output(struct running *run, size_t index)
{
	static char buffer[READ_BYTES];
	ssize_t got = recv(run->started->fds[index], buffer, sizeof buffer, MSG_DONTWAIT);
	if (got > 0)
		keep_output(run, &run->outputs[index], buffer, (size_t)got);
	else if (got == 0 || (errno != EAGAIN && errno != EINTR))
		close_fd(&run->started->fds[index]);
}

static bool is_exit(const void *message, const void *number)
{
	struct message_child_exited exit;
	memcpy(&exit.header, message, sizeof exit.header);
	if (exit.header.type != MESSAGE_CHILD_EXITED)
		return false;
	memcpy(&exit, message, sizeof exit);
	return exit.child == *(const uint32_t *)number;
}

static void look_for_exit(struct running *run)
{
	size_t no_fds = 0;
	/* What is not it is kept for the loop. */
	ssize_t length = channel_wait_for(
		is_exit, &run->started->number, &run->exit, sizeof run->exit, NULL, &no_fds, 1);
	run->exited = length == sizeof run->exit;
}

static int wait_ms(const struct running *run)
{
	if (run->deadline_ms == 0)
		return -1;
	uint64_t now = clock_ms();
	return now >= run->deadline_ms ? 0 : (int)(run->deadline_ms - now);
}

static void run_to_end(struct running *run)
{
	int *fds = run->started->fds;
	while (!run->exited || fds[1] >= 0 || fds[2] >= 0) {
		struct pollfd polled[STREAMS + 1] = {
			{.fd = fds[0], .events = POLLOUT},
			{.fd = fds[1], .events = POLLIN},
			{.fd = fds[2], .events = POLLIN},
			{.fd = run->exited ? -1 : runtime.channel, .events = POLLIN},
		};
		int ready = poll(polled, ARRAY_LENGTH(polled), wait_ms(run));
		if (ready < 0 && errno != EINTR)
			break;
		if (ready == 0)
			end_early(run, -ETIMEDOUT);
		if (ready <= 0)
			continue;
		if (polled[0].revents)
			write_input(run);
		for (size_t i = 1; i < STREAMS; i++)
			if (polled[i].revents)
				read_output(run, i);
		if (polled[3].revents)
			look_for_exit(run);
	}
	close_fd(&fds[0]);
}

static engine_value *describe(
	struct engine *engine, struct running *run, const struct worker_child *wanted)
{
	engine_value *items[6] = {
		engine_int32(engine, run->code),
		engine_int32(engine, run->started->pid),
		engine_int32(engine, run->exit.exit_code),
		engine_int32(engine, run->exit.signal),
	};
	for (size_t i = 1; i < STREAMS; i++) {
		struct output *output = &run->outputs[i];
		items[3 + i] = wanted->stdio[i] == CHILD_STDIO_PIPE
				       ? engine_bytes_copy(engine, output->data ? output->data : "",
						 output->length)
				       : engine_null(engine);
	}
	for (size_t i = 1; i < STREAMS; i++)
		free(run->outputs[i].data);
	for (size_t i = 0; i < ARRAY_LENGTH(items); i++)
		if (items[i] == NULL)
			return NULL; /* over the limit of memory */
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

/* childRun(path, folder, argv, environment, stdio, ms, input, timeout, most, signal): a
 * negative errno, or [negative errno or 0, pid, exit code, signal, output, errors]. */
static engine_value *child_run(struct engine *engine, struct engine_call *call)
{
	struct started started;
	struct worker_child *wanted;
	void *input = NULL;
	int result = begin(engine, call, &started, &wanted);
	if (result < 0)
		return engine_int32(engine, result);
	double timeout = engine_argument_number(call, 7), most = engine_argument_number(call, 8);
	struct running run = {
		.started = &started,
		.most = most >= 0 && most < (double)SIZE_MAX / 4 ? (size_t)most : SIZE_MAX / 4,
		.signal = engine_argument_int32(call, 9),
		.deadline_ms = timeout > 0 && timeout < 1e15 ? clock_ms() + (uint64_t)timeout : 0,
	};
	/* No JavaScript runs until it has ended: the bytes stay where they are. */
	if (engine_bytes_get(engine_call_argument(engine, call, 6), &input, &run.input_length))
		run.input = input;
	run_to_end(&run);
	return describe(engine, &run, wanted);
}

/* ---- what the supervisor says ---- */

static void on_exited(const void *message, size_t length, int *fds, size_t fd_count)
{
	struct message_child_exited exit;
	struct engine_scope scope;
	(void)length;
	(void)fds;
	(void)fd_count;
	memcpy(&exit, message, sizeof exit);
	forget(exit.child);
	engine_scope_open(runtime.engine, &scope);
	engine_value *arguments[] = {
		engine_number(runtime.engine, exit.child),
		engine_int32(runtime.engine, exit.exit_code),
		engine_int32(runtime.engine, exit.signal),
	};
	runtime_call(engine_ref_get(runtime.engine, child_exited), engine_undefined(runtime.engine),
		arguments, ARRAY_LENGTH(arguments));
	engine_scope_close(runtime.engine, &scope);
}

/* ---- the module ---- */

static void find_hooks(void)
{
	child_exited = runtime_hook("childExited");
}

static void listen_to_channel(void)
{
	channel_on(MESSAGE_CHILD_EXITED, on_exited);
}

static const struct engine_native natives[] = {
	{"childSpawn", child_spawn, 6},
	{"childRun", child_run, 10},
	{"childSignal", child_signal, 2},
	{"childHold", child_hold, 2},
};

const struct native_module child_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.bind = find_hooks,
	.start = listen_to_channel,
	.first_thread_only = true,
};
