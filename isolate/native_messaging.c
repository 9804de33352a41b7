/* Natives of isolate/js/messaging.js: message ports, and values that are serialized. */

#include "common/cleanup.h"
#include "isolate/message_port.h"
#include "isolate/messaging.h"
#include "isolate/natives.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PORTS_MAX 4096  /* in one message */
#define TURN_LEAST 1000 /* messages of one port before the loop goes on */

static size_t port_class, message_class; /* the same in every thread */
static _Thread_local engine_ref *on_port;
static _Thread_local struct engine_message_hooks hooks;

/* ---- messages ---- */

static void destroy_message(void *state)
{
	engine_message_unref(state);
}

static engine_value *message_instance(struct engine *engine, engine_message *message)
{
	engine_value *instance = engine_instance_new(engine, message_class, message);
	if (!instance)
		engine_message_unref(message);
	return instance;
}

/* An array of ArrayBuffers, as the library has checked it. */
static int take_buffers(
	struct engine *engine, engine_value *list, engine_value ***ret_buffers, uint32_t *ret_count)
{
	const uint32_t count = engine_is_array(list) ? engine_array_length(list) : 0;
	engine_value **buffers = count ? calloc(count, sizeof(engine_value *)) : NULL;
	if (count > 0 && !buffers)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		buffers[i] = engine_get_index(engine, list, i);
		if (!buffers[i] || strcmp(engine_kind(buffers[i]), "ArrayBuffer") != 0) {
			free(buffers);
			return -EINVAL;
		}
	}
	*ret_buffers = buffers;
	*ret_count = count;
	return 0;
}

/* messageWrite(value, buffers): a NativeMessage. */
static engine_value *message_write(struct engine *engine, struct engine_call *call)
{
	engine_value **buffers = NULL;
	uint32_t count = 0;
	if (take_buffers(engine, engine_call_argument(engine, call, 1), &buffers, &count) < 0)
		return engine_throw(engine, "TypeError", NULL, "messageWrite: bad buffers");
	engine_message *message =
		engine_message_write(engine, engine_call_argument(engine, call, 0), buffers, count);
	free(buffers);
	return message ? message_instance(engine, message) : NULL;
}

/* read(context): the value; CONTEXT goes to hooks.readHost. */
static engine_value *message_read(struct engine *engine, struct engine_call *call)
{
	engine_message *message = engine_call_state(call);
	if (!message)
		return engine_throw(engine, "TypeError", NULL, "Illegal invocation");
	return engine_message_read(engine, message, engine_call_argument(engine, call, 0));
}

/* ---- ports ---- */

static void destroy_port(void *state)
{
	port_unref(state);
}

/* The library's number for a port is what it is told about it by. */
static void deliver(struct letter *letter)
{
	struct port *port = (struct port *)letter; /* its first member */
	const uint32_t id = port->id;
	bool gone;
	size_t count = port_waiting(port, &gone);
	if (count < TURN_LEAST)
		count = TURN_LEAST;
	if (id == 0)
		return;
	port_ref(port);
	for (bool more = true; more && !engine_stopped(runtime.engine); count--) {
		struct engine_scope scope;
		engine_scope_open(runtime.engine, &scope);
		engine_value *argument = engine_number(runtime.engine, id), *result = NULL;
		if (engine_call_function(runtime.engine, engine_ref_get(runtime.engine, on_port),
			    engine_undefined(runtime.engine), &argument, 1, &result) < 0)
			runtime_uncaught();
		else
			more = engine_to_bool(runtime.engine, result);
		runtime_tick();
		engine_scope_close(runtime.engine, &scope);
		if (more && count <= 1) {
			if (port->id == id)
				port_again(port);
			break;
		}
	}
	port_unref(port);
}

engine_value *messaging_port_instance(struct port *port)
{
	if (port_own(port, deliver) < 0) {
		port_unref(port);
		return engine_throw(runtime.engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED",
			"cannot make a message port");
	}
	engine_value *instance = engine_instance_new(runtime.engine, port_class, port);
	if (!instance)
		port_unref(port);
	return instance;
}

struct port *messaging_take_port(engine_value *instance)
{
	struct port *port = engine_get_state(runtime.engine, instance, port_class);
	if (port)
		engine_set_state(instance, NULL);
	return port;
}

/* portPair(): two NativePorts. */
static engine_value *new_pair(struct engine *engine, struct engine_call *call)
{
	(void)call;
	struct port *first, *second;
	if (port_pair(&first, &second) < 0)
		return engine_throw(engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED",
			"cannot make a message channel");
	engine_value *items[] = {messaging_port_instance(first), NULL};
	if (items[0])
		items[1] = messaging_port_instance(second);
	else
		port_unref(second);
	return items[0] && items[1] ? engine_array(engine, items, 2) : NULL;
}

/* portBroadcast(name) */
static engine_value *new_broadcast(struct engine *engine, struct engine_call *call)
{
	size_t length;
	cleanup_free char *name =
		engine_to_utf8(engine, engine_call_argument(engine, call, 0), &length);
	struct port *port = name ? port_broadcast(name) : NULL;
	if (!port)
		return engine_throw(engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED",
			"cannot make a broadcast channel");
	return messaging_port_instance(port);
}

/* start(number) */
static engine_value *start(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	struct port *port = engine_call_state(call);
	if (!port)
		return NULL;
	port->id = (uint32_t)engine_argument_int32(call, 0);
	port_start(port);
	return NULL;
}

/* name(number): to be told when the other end closes. */
static engine_value *name(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	struct port *port = engine_call_state(call);
	if (!port)
		return NULL;
	port->id = (uint32_t)engine_argument_int32(call, 0);
	port_again(port);
	return NULL;
}

static engine_value *stop(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	if (engine_call_state(call))
		port_stop(engine_call_state(call));
	return NULL;
}

/* hold(whether it keeps the program alive) */
static engine_value *hold(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	if (engine_call_state(call))
		port_hold(engine_call_state(call), engine_argument_bool(call, 0));
	return NULL;
}

static engine_value *close_port(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	struct port *port = engine_call_state(call);
	if (!port)
		return NULL;
	engine_set_state(engine_call_this(engine, call), NULL);
	port->id = 0;
	port_close(port);
	port_unref(port);
	return NULL;
}

/* take(): [types, NativeMessage, …NativePorts]; undefined: nothing waits; null: and nothing
 * will, the other end is closed. */
static engine_value *take(struct engine *engine, struct engine_call *call)
{
	struct port *port = engine_call_state(call);
	bool gone;
	if (!port)
		return NULL;
	struct port_message *message = port_take(port);
	if (!message)
		return port_waiting(port, &gone) == 0 && gone ? engine_null(engine) : NULL;
	engine_value *result = engine_array(engine, NULL, 0);
	engine_value *body = message_instance(engine, engine_message_ref(message->message));
	engine_set_index(engine, result, 0, engine_string(engine, message->types));
	if (body)
		engine_set_index(engine, result, 1, body);
	for (size_t i = 0; body && i < message->port_count; i++) {
		engine_value *instance = messaging_port_instance(take_pointer(message->ports[i]));
		if (!instance)
			break;
		engine_set_index(engine, result, (uint32_t)i + 2, instance);
	}
	port_message_free(message);
	return engine_exception_pending(engine) ? NULL : result;
}

/* ended(): nothing waits, and nothing will come. */
static engine_value *ended(struct engine *engine, struct engine_call *call)
{
	struct port *port = engine_call_state(call);
	bool gone = true;
	return engine_bool(engine, !port || (port_waiting(port, &gone) == 0 && gone));
}

/* The ports of LIST, still the library's. 0 or -EINVAL. */
static int look_at_ports(struct engine *engine, engine_value *list, struct port **ports,
	uint32_t count, const struct port *sender)
{
	for (uint32_t i = 0; i < count; i++) {
		engine_value *instance = engine_get_index(engine, list, i);
		ports[i] = instance ? engine_get_state(engine, instance, port_class) : NULL;
		if (!ports[i] || ports[i] == sender)
			return -EINVAL;
		for (uint32_t j = 0; j < i; j++)
			if (ports[j] == ports[i])
				return -EINVAL;
	}
	return 0;
}

/* post(NativeMessage, types, NativePorts): 0 or a negative errno. */
static engine_value *post(struct engine *engine, struct engine_call *call)
{
	struct port *port = engine_call_state(call);
	engine_message *message =
		engine_get_state(engine, engine_call_argument(engine, call, 0), message_class);
	engine_value *list = engine_call_argument(engine, call, 2);
	cleanup_free char *types =
		engine_to_utf8(engine, engine_call_argument(engine, call, 1), NULL);
	const uint32_t count = engine_is_array(list) ? engine_array_length(list) : 0;
	if (!port || !message || !types || count > PORTS_MAX)
		return engine_int32(engine, -EINVAL);
	cleanup_free struct port **ports = calloc(count ? count : 1, sizeof(struct port *));
	int result = ports ? look_at_ports(engine, list, ports, count, port) : -ENOMEM;
	if (result == 0)
		result = port_post(port, engine_message_ref(message), ports, count, types);
	for (uint32_t i = 0; result == 0 && i < count; i++)
		engine_set_state(engine_get_index(engine, list, i), NULL);
	return engine_int32(engine, result);
}

/* ---- the table ---- */

static void find_class(void)
{
	const struct engine_tables *tables = natives_tables();
	for (size_t i = 0; i < tables->class_count; i++) {
		if (strcmp(tables->classes[i].name, "NativePort") == 0)
			port_class = i;
		if (strcmp(tables->classes[i].name, "NativeMessage") == 0)
			message_class = i;
	}
}

static void find_hooks(void)
{
	find_class();
	on_port = runtime_hook("onPort");
	hooks = (struct engine_message_hooks){
		.is_host = runtime_hook("isHost"),
		.write_host = runtime_hook("writeHost"),
		.read_host = runtime_hook("readHost"),
		.make_error = runtime_hook("makeCloneError"),
	};
	engine_messages_init(runtime.engine, &hooks);
}

/* Half of what the tenant has: messages are copies of what lies in its heap. */
static void set_limit(void)
{
	if (!runtime.thread)
		port_set_limit((size_t)(runtime.start->memory_bytes / 2));
}

static const struct engine_native port_methods[] = {
	{"start", start, 1},
	{"name", name, 1},
	{"stop", stop, 0},
	{"hold", hold, 1},
	{"close", close_port, 0},
	{"take", take, 0},
	{"ended", ended, 0},
	{"post", post, 3},
};

static const struct engine_native message_methods[] = {
	{"read", message_read, 1},
};

static const struct engine_class classes[] = {
	{
		.name = "NativePort",
		.methods = port_methods,
		.method_count = ARRAY_LENGTH(port_methods),
		.destroy = destroy_port,
	},
	{
		.name = "NativeMessage",
		.methods = message_methods,
		.method_count = ARRAY_LENGTH(message_methods),
		.destroy = destroy_message,
	},
};

static const struct engine_native natives[] = {
	{"messageWrite", message_write, 2},
	{"portPair", new_pair, 0},
	{"portBroadcast", new_broadcast, 1},
};

const struct native_module messaging_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
	.bind = find_hooks,
	.start = set_limit,
};
