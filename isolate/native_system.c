/* Natives of isolate/js/node: numbers and names of the system, domain names, what only the
 * engine can make. Nothing here tells of the host. */

#include "common/cleanup.h"
#include "isolate/natives.h"

#include <ada_c.h>
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct constant {
	const char *name;
	int value;
};
#define CONSTANT(name) {#name, name}

static const struct constant signals[] = {
	CONSTANT(SIGHUP),
	CONSTANT(SIGINT),
	CONSTANT(SIGQUIT),
	CONSTANT(SIGILL),
	CONSTANT(SIGTRAP),
	CONSTANT(SIGABRT),
	CONSTANT(SIGIOT),
	CONSTANT(SIGBUS),
	CONSTANT(SIGFPE),
	CONSTANT(SIGKILL),
	CONSTANT(SIGUSR1),
	CONSTANT(SIGSEGV),
	CONSTANT(SIGUSR2),
	CONSTANT(SIGPIPE),
	CONSTANT(SIGALRM),
	CONSTANT(SIGTERM),
	CONSTANT(SIGCHLD),
	CONSTANT(SIGSTKFLT),
	CONSTANT(SIGCONT),
	CONSTANT(SIGSTOP),
	CONSTANT(SIGTSTP),
	CONSTANT(SIGTTIN),
	CONSTANT(SIGTTOU),
	CONSTANT(SIGURG),
	CONSTANT(SIGXCPU),
	CONSTANT(SIGXFSZ),
	CONSTANT(SIGVTALRM),
	CONSTANT(SIGPROF),
	CONSTANT(SIGWINCH),
	CONSTANT(SIGIO),
	CONSTANT(SIGPOLL),
	CONSTANT(SIGPWR),
	CONSTANT(SIGSYS),
};

static const struct constant error_numbers[] = {
	CONSTANT(E2BIG),
	CONSTANT(EACCES),
	CONSTANT(EADDRINUSE),
	CONSTANT(EADDRNOTAVAIL),
	CONSTANT(EAFNOSUPPORT),
	CONSTANT(EAGAIN),
	CONSTANT(EALREADY),
	CONSTANT(EBADF),
	CONSTANT(EBADMSG),
	CONSTANT(EBUSY),
	CONSTANT(ECANCELED),
	CONSTANT(ECHILD),
	CONSTANT(ECONNABORTED),
	CONSTANT(ECONNREFUSED),
	CONSTANT(ECONNRESET),
	CONSTANT(EDEADLK),
	CONSTANT(EDESTADDRREQ),
	CONSTANT(EDOM),
	CONSTANT(EDQUOT),
	CONSTANT(EEXIST),
	CONSTANT(EFAULT),
	CONSTANT(EFBIG),
	CONSTANT(EHOSTUNREACH),
	CONSTANT(EIDRM),
	CONSTANT(EILSEQ),
	CONSTANT(EINPROGRESS),
	CONSTANT(EINTR),
	CONSTANT(EINVAL),
	CONSTANT(EIO),
	CONSTANT(EISCONN),
	CONSTANT(EISDIR),
	CONSTANT(ELOOP),
	CONSTANT(EMFILE),
	CONSTANT(EMLINK),
	CONSTANT(EMSGSIZE),
	CONSTANT(EMULTIHOP),
	CONSTANT(ENAMETOOLONG),
	CONSTANT(ENETDOWN),
	CONSTANT(ENETRESET),
	CONSTANT(ENETUNREACH),
	CONSTANT(ENFILE),
	CONSTANT(ENOBUFS),
	CONSTANT(ENODATA),
	CONSTANT(ENODEV),
	CONSTANT(ENOENT),
	CONSTANT(ENOEXEC),
	CONSTANT(ENOLCK),
	CONSTANT(ENOLINK),
	CONSTANT(ENOMEM),
	CONSTANT(ENOMSG),
	CONSTANT(ENOPROTOOPT),
	CONSTANT(ENOSPC),
	CONSTANT(ENOSR),
	CONSTANT(ENOSTR),
	CONSTANT(ENOSYS),
	CONSTANT(ENOTCONN),
	CONSTANT(ENOTDIR),
	CONSTANT(ENOTEMPTY),
	CONSTANT(ENOTSOCK),
	CONSTANT(ENOTSUP),
	CONSTANT(ENOTTY),
	CONSTANT(ENXIO),
	CONSTANT(EOPNOTSUPP),
	CONSTANT(EOVERFLOW),
	CONSTANT(EPERM),
	CONSTANT(EPIPE),
	CONSTANT(EPROTO),
	CONSTANT(EPROTONOSUPPORT),
	CONSTANT(EPROTOTYPE),
	CONSTANT(ERANGE),
	CONSTANT(EROFS),
	CONSTANT(ESPIPE),
	CONSTANT(ESRCH),
	CONSTANT(ESTALE),
	CONSTANT(ETIME),
	CONSTANT(ETIMEDOUT),
	CONSTANT(ETXTBSY),
	CONSTANT(EWOULDBLOCK),
	CONSTANT(EXDEV),
};

static const struct constant priorities[] = {
	{"PRIORITY_LOW", 19},
	{"PRIORITY_BELOW_NORMAL", 10},
	{"PRIORITY_NORMAL", 0},
	{"PRIORITY_ABOVE_NORMAL", -7},
	{"PRIORITY_HIGH", -14},
	{"PRIORITY_HIGHEST", -20},
};

static const struct constant dlopen_flags[] = {
	CONSTANT(RTLD_LAZY),
	CONSTANT(RTLD_NOW),
	CONSTANT(RTLD_GLOBAL),
	CONSTANT(RTLD_LOCAL),
	CONSTANT(RTLD_DEEPBIND),
};

static void set_constants(
	struct engine *engine, engine_value *object, const struct constant *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		engine_set(engine, object, list[i].name, engine_int32(engine, list[i].value));
}

static void set_group(struct engine *engine, engine_value *object, const char *name,
	const struct constant *list, size_t count)
{
	engine_value *group = engine_object(engine);
	set_constants(engine, group, list, count);
	engine_set(engine, object, name, group);
}

static engine_value *error_row(
	struct engine *engine, int number, const char *name, const char *message)
{
	engine_value *items[] = {
		engine_int32(engine, number),
		engine_string(engine, name),
		engine_string(engine, message),
	};
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

/* systemConstants(): [[number, name, message] of each error of libuv, os.constants]. */
static engine_value *system_constants(struct engine *engine, struct engine_call *call)
{
	(void)call;
	engine_value *errors = engine_array(engine, NULL, 0);
	engine_value *constants = engine_object(engine);
	uint32_t count = 0;
#define ROW(name, message)                                                                         \
	engine_set_index(engine, errors, count++, error_row(engine, UV_##name, #name, message));
	UV_ERRNO_MAP(ROW)
#undef ROW
	engine_set(engine, constants, "UV_UDP_REUSEADDR", engine_int32(engine, UV_UDP_REUSEADDR));
	set_group(engine, constants, "dlopen", dlopen_flags, ARRAY_LENGTH(dlopen_flags));
	set_group(engine, constants, "errno", error_numbers, ARRAY_LENGTH(error_numbers));
	set_group(engine, constants, "signals", signals, ARRAY_LENGTH(signals));
	set_group(engine, constants, "priority", priorities, ARRAY_LENGTH(priorities));
	engine_value *items[] = {errors, constants};
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

/* handleType(fd): "PIPE", "FILE", "TTY", "TCP", "UDP" or "UNKNOWN", as uv_guess_handle. */
static engine_value *handle_type(struct engine *engine, struct engine_call *call)
{
	switch (uv_guess_handle(engine_argument_int32(call, 0))) {
	case UV_TCP:
		return engine_string_internalized(engine, "TCP");
	case UV_TTY:
		return engine_string_internalized(engine, "TTY");
	case UV_UDP:
		return engine_string_internalized(engine, "UDP");
	case UV_FILE:
		return engine_string_internalized(engine, "FILE");
	case UV_NAMED_PIPE:
		return engine_string_internalized(engine, "PIPE");
	default:
		return engine_string_internalized(engine, "UNKNOWN");
	}
}

static engine_value *convert_domain(struct engine *engine, struct engine_call *call,
	ada_owned_string (*convert)(const char *, size_t))
{
	size_t length;
	cleanup_free char *domain =
		engine_to_utf8(engine, engine_call_argument(engine, call, 0), &length);
	if (!domain)
		return engine_string_latin1(engine, "", 0);
	ada_owned_string result = convert(domain, length);
	engine_value *string = engine_string_utf8(engine, result.data, result.length);
	ada_free_owned_string(result);
	return string;
}

/* domainToASCII(string) and back: "" for what is no domain. */
static engine_value *domain_to_ascii(struct engine *engine, struct engine_call *call)
{
	return convert_domain(engine, call, ada_idna_to_ascii);
}

static engine_value *domain_to_unicode(struct engine *engine, struct engine_call *call)
{
	return convert_domain(engine, call, ada_idna_to_unicode);
}

/* privateSymbol(name): a new symbol whose properties nobody sees who does not have it. */
static engine_value *private_symbol(struct engine *engine, struct engine_call *call)
{
	return engine_private_symbol(engine, engine_call_argument(engine, call, 0));
}

static engine_value *get_async_context(struct engine *engine, struct engine_call *call)
{
	(void)call;
	return engine_async_context(engine);
}

static engine_value *set_async_context(struct engine *engine, struct engine_call *call)
{
	engine_set_async_context(engine, engine_call_argument(engine, call, 0));
	return NULL;
}

/* errorPlace(error): [source line, first column] of where ERROR was made, undefined when
 * that is not known. */
static engine_value *error_place(struct engine *engine, struct engine_call *call)
{
	int column;
	engine_value *line =
		engine_error_place(engine, engine_call_argument(engine, call, 0), &column);
	if (!line)
		return NULL;
	engine_value *items[] = {line, engine_int32(engine, column)};
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

/* limits(): [bytes of memory, user id] of START. */
static engine_value *limits(struct engine *engine, struct engine_call *call)
{
	(void)call;
	engine_value *items[] = {
		engine_number(engine, runtime.start ? (double)runtime.start->memory_bytes : 0),
		engine_number(engine, runtime.start ? runtime.start->uid : 0),
	};
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

static const struct engine_native natives[] = {
	{"systemConstants", system_constants, 0},
	{"handleType", handle_type, 1},
	{"domainToASCII", domain_to_ascii, 1},
	{"domainToUnicode", domain_to_unicode, 1},
	{"privateSymbol", private_symbol, 1},
	{"getAsyncContext", get_async_context, 0},
	{"setAsyncContext", set_async_context, 1},
	{"errorPlace", error_place, 1},
	{"limits", limits, 0},
};

const struct native_module system_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
};
