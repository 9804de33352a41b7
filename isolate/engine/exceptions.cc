/* Exceptions between C and JavaScript. At most one is pending: C either takes it, or
 * returns to the JavaScript that called it, which then gets it. */
#include "isolate/engine/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set_pending(
	struct engine *engine, v8::Local<v8::Value> value, v8::Local<v8::Message> message)
{
	engine->exception.Reset(engine->isolate, value);
	if (message.IsEmpty())
		engine->message.Reset();
	else
		engine->message.Reset(engine->isolate, message);
	engine->pending = true;
}

int exceptions_keep(struct engine *engine, const v8::TryCatch &try_catch)
{
	if (try_catch.HasTerminated() || !try_catch.CanContinue()) {
		engine->terminated = engine->native_depth > 0;
		return -ETIMEDOUT;
	}
	/* V8 can fail without an exception only when it is being terminated. */
	if (!try_catch.HasCaught())
		return -ETIMEDOUT;
	set_pending(engine, try_catch.Exception(), try_catch.Message());
	return -ECANCELED;
}

void exceptions_drop(struct engine *engine)
{
	engine->pending = false;
	engine->exception.Reset();
	engine->message.Reset();
}

void exceptions_rethrow(struct engine *engine)
{
	if (engine->terminated || !engine->pending) {
		/* Nobody took the termination back: it goes on in the JavaScript above. */
		engine->terminated = false;
		exceptions_drop(engine);
		engine->isolate->TerminateExecution();
		return;
	}
	v8::Local<v8::Value> exception = engine->exception.Get(engine->isolate);
	exceptions_drop(engine);
	engine->isolate->ThrowException(exception);
}

engine_value *engine_error_new(
	struct engine *engine, const char *type, const char *code, const char *message)
{
	v8::Isolate *isolate = engine->isolate;
	v8::Local<v8::String> text;
	if (!v8::String::NewFromUtf8(isolate, message).ToLocal(&text))
		text = v8::String::Empty(isolate);
	v8::Local<v8::Value> error;
	if (strcmp(type, "TypeError") == 0)
		error = v8::Exception::TypeError(text);
	else if (strcmp(type, "RangeError") == 0)
		error = v8::Exception::RangeError(text);
	else if (strcmp(type, "SyntaxError") == 0)
		error = v8::Exception::SyntaxError(text);
	else if (strcmp(type, "ReferenceError") == 0)
		error = v8::Exception::ReferenceError(text);
	else
		error = v8::Exception::Error(text);
	if (code)
		ignore(error.As<v8::Object>()->CreateDataProperty(
			context_of(engine), string_of(engine, "code"), string_of(engine, code)));
	return from_local(error);
}

engine_value *engine_throw_value(struct engine *engine, engine_value *value)
{
	set_pending(engine, to_local(value), v8::Local<v8::Message>());
	return nullptr;
}

engine_value *engine_throw(
	struct engine *engine, const char *type, const char *code, const char *format, ...)
{
	char *message = nullptr;
	va_list arguments;
	va_start(arguments, format);
	if (vasprintf(&message, format, arguments) < 0)
		message = nullptr;
	va_end(arguments);
	engine_throw_value(
		engine, engine_error_new(engine, type, code, message ? message : "out of memory"));
	free(message);
	return nullptr;
}

engine_value *engine_error_place(struct engine *engine, engine_value *error, int *ret_column)
{
	v8::Local<v8::Message> message =
		v8::Exception::CreateMessage(engine->isolate, to_local(error));
	v8::Local<v8::String> line;
	if (message.IsEmpty() || !message->GetSourceLine(context_of(engine)).ToLocal(&line))
		return nullptr;
	*ret_column = message->GetStartColumn();
	return from_local(line);
}

bool engine_exception_pending(struct engine *engine)
{
	return engine->pending;
}

engine_value *engine_exception_take(struct engine *engine)
{
	if (!engine->pending)
		return nullptr;
	v8::Local<v8::Value> exception = engine->exception.Get(engine->isolate);
	engine->taken_exception = std::move(engine->exception);
	engine->taken_message = std::move(engine->message);
	engine->pending = false;
	return from_local(exception);
}
