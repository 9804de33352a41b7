/* Scopes, references, values, strings and properties. */
#include "isolate/engine/internal.h"

#include <algorithm>
#include <new>
#include <stdlib.h>
#include <string.h>

/* ---- scopes and references ---- */

static_assert(sizeof(v8::HandleScope) <= sizeof(struct engine_scope));
static_assert(alignof(v8::HandleScope) <= alignof(struct engine_scope));

void engine_scope_open(struct engine *engine, struct engine_scope *scope)
{
	::new (scope) v8::HandleScope(engine->isolate);
}

void engine_scope_close(struct engine *, struct engine_scope *scope)
{
	std::launder(reinterpret_cast<v8::HandleScope *>(scope))->~HandleScope();
}

engine_value *engine_scope_escape(
	struct engine *engine, struct engine_scope *scope, engine_value *value)
{
	if (!value) {
		engine_scope_close(engine, scope);
		return nullptr;
	}
	/* The object's address outlives the handle's slot: nothing is allocated in V8's
	 * heap until the new handle is there. */
	uintptr_t address = *reinterpret_cast<const uintptr_t *>(value);
	engine_scope_close(engine, scope);
	v8::Local<v8::Value> old = std::bit_cast<v8::Local<v8::Value>>(&address);
	return from_local(v8::Local<v8::Value>::New(engine->isolate, old));
}

static_assert(sizeof(v8::Global<v8::Value>) == sizeof(void *));

struct engine_ref {
	v8::Global<v8::Value> global;
	engine_ref *previous, *next; /* in REFS */
};

/* Of this thread's engine: what is left of them goes with it. */
static __thread engine_ref *refs;

engine_ref *engine_ref_new(struct engine *engine, engine_value *value)
{
	engine_ref *ref = new engine_ref{
		v8::Global<v8::Value>(engine->isolate, to_local(value)), nullptr, refs};
	if (refs)
		refs->previous = ref;
	return refs = ref;
}

void values_free_refs(void)
{
	while (refs)
		engine_ref_free(refs);
}

engine_value *engine_ref_get(struct engine *engine, engine_ref *ref)
{
	return from_local(ref->global.Get(engine->isolate));
}

engine_ref *engine_ref_free(engine_ref *ref)
{
	if (!ref)
		return nullptr;
	if (ref->previous)
		ref->previous->next = ref->next;
	else
		refs = ref->next;
	if (ref->next)
		ref->next->previous = ref->previous;
	delete ref;
	return nullptr;
}

/* ---- making ---- */

engine_value *engine_private_symbol(struct engine *engine, engine_value *name)
{
	/* A private symbol is a symbol to V8, which says so in no type. */
	v8::Local<v8::Private> symbol =
		v8::Private::New(engine->isolate, text_of(engine->isolate, name));
	return from_local(std::bit_cast<v8::Local<v8::Value>>(symbol));
}

engine_value *engine_undefined(struct engine *engine)
{
	return from_local(v8::Undefined(engine->isolate));
}

engine_value *engine_null(struct engine *engine)
{
	return from_local(v8::Null(engine->isolate));
}

engine_value *engine_bool(struct engine *engine, bool value)
{
	return from_local(v8::Boolean::New(engine->isolate, value));
}

engine_value *engine_int32(struct engine *engine, int32_t value)
{
	return from_local(v8::Integer::New(engine->isolate, value));
}

engine_value *engine_number(struct engine *engine, double value)
{
	return from_local(v8::Number::New(engine->isolate, value));
}

engine_value *engine_bigint_u64(struct engine *engine, uint64_t value)
{
	return from_local(v8::BigInt::NewFromUnsigned(engine->isolate, value));
}

engine_value *engine_bigint_i64(struct engine *engine, int64_t value)
{
	return from_local(v8::BigInt::New(engine->isolate, value));
}

/* V8 makes no exception of its own when a string is too long. */
static engine_value *string_or_throw(struct engine *engine, v8::MaybeLocal<v8::String> string)
{
	if (!string.IsEmpty())
		return from_maybe(string);
	return engine_throw(engine, "RangeError", "ERR_STRING_TOO_LONG",
		"Cannot create a string longer than 0x%x characters", v8::String::kMaxLength);
}

engine_value *engine_string(struct engine *engine, const char *utf8)
{
	return engine_string_utf8(engine, utf8, strlen(utf8));
}

engine_value *engine_string_utf8(struct engine *engine, const char *utf8, size_t length)
{
	if (length > INT32_MAX)
		return string_or_throw(engine, {});
	return string_or_throw(engine, v8::String::NewFromUtf8(engine->isolate, utf8,
					       v8::NewStringType::kNormal, (int)length));
}

engine_value *engine_string_latin1(struct engine *engine, const char *data, size_t length)
{
	if (length > INT32_MAX)
		return string_or_throw(engine, {});
	return string_or_throw(engine,
		v8::String::NewFromOneByte(engine->isolate, reinterpret_cast<const uint8_t *>(data),
			v8::NewStringType::kNormal, (int)length));
}

engine_value *engine_string_utf16(struct engine *engine, const uint16_t *data, size_t length)
{
	if (length > INT32_MAX)
		return string_or_throw(engine, {});
	return string_or_throw(engine, v8::String::NewFromTwoByte(engine->isolate, data,
					       v8::NewStringType::kNormal, (int)length));
}

engine_value *engine_string_internalized(struct engine *engine, const char *ascii)
{
	return from_local(string_of(engine, ascii));
}

engine_value *engine_object(struct engine *engine)
{
	return from_local(v8::Object::New(engine->isolate));
}

engine_value *engine_record(struct engine *engine, engine_value *const *names,
	engine_value *const *values, size_t count)
{
	v8::Local<v8::Name> *keys =
		reinterpret_cast<v8::Local<v8::Name> *>(const_cast<engine_value **>(names));
	v8::Local<v8::Value> *locals =
		reinterpret_cast<v8::Local<v8::Value> *>(const_cast<engine_value **>(values));
	return from_local(
		v8::Object::New(engine->isolate, v8::Null(engine->isolate), keys, locals, count));
}

engine_value *engine_array(struct engine *engine, engine_value *const *items, size_t count)
{
	v8::Local<v8::Value> *locals =
		reinterpret_cast<v8::Local<v8::Value> *>(const_cast<engine_value **>(items));
	return from_local(v8::Array::New(engine->isolate, locals, count));
}

/* ---- asking ---- */

bool engine_bigint_to_i64(const engine_value *value, int64_t *ret_number)
{
	v8::Local<v8::Value> local = to_local(value);
	bool exact = false;
	if (!local->IsBigInt())
		return false;
	const int64_t number = local.As<v8::BigInt>()->Int64Value(&exact);
	if (exact)
		*ret_number = number;
	return exact;
}

enum engine_type engine_typeof(const engine_value *value)
{
	v8::Local<v8::Value> local = to_local(value);
	if (local->IsUndefined())
		return ENGINE_UNDEFINED;
	if (local->IsNull())
		return ENGINE_NULL;
	if (local->IsString())
		return ENGINE_STRING;
	if (local->IsNumber())
		return ENGINE_NUMBER;
	if (local->IsBoolean())
		return ENGINE_BOOLEAN;
	if (local->IsFunction())
		return ENGINE_FUNCTION;
	if (local->IsSymbol())
		return ENGINE_SYMBOL;
	if (local->IsBigInt())
		return ENGINE_BIGINT;
	return ENGINE_OBJECT;
}

bool engine_is_promise(const engine_value *value)
{
	return to_local(value)->IsPromise();
}

bool engine_is_error(const engine_value *value)
{
	return to_local(value)->IsNativeError();
}

bool engine_is_array(const engine_value *value)
{
	return to_local(value)->IsArray();
}

bool engine_is_buffer_or_view(const engine_value *value)
{
	v8::Local<v8::Value> local = to_local(value);
	return local->IsArrayBufferView() || local->IsArrayBuffer() || local->IsSharedArrayBuffer();
}

bool engine_is_date(const engine_value *value)
{
	return to_local(value)->IsDate();
}

bool engine_strict_equals(const engine_value *a, const engine_value *b)
{
	return to_local(a)->StrictEquals(to_local(b));
}

bool engine_to_bool(struct engine *engine, const engine_value *value)
{
	return to_local(value)->BooleanValue(engine->isolate);
}

double engine_to_number(struct engine *engine, const engine_value *value)
{
	v8::Local<v8::Value> local = to_local(value);
	if (local->IsNumber())
		return local.As<v8::Number>()->Value();
	return local->IsBoolean() && local->BooleanValue(engine->isolate) ? 1 : 0;
}

int32_t engine_to_int32(struct engine *engine, const engine_value *value)
{
	v8::Local<v8::Value> local = to_local(value);
	if (local->IsInt32())
		return local.As<v8::Int32>()->Value();
	/* A number or boolean: its conversion runs no JavaScript and cannot fail. */
	if (local->IsNumber() || local->IsBoolean())
		return local->Int32Value(context_of(engine)).FromMaybe(0);
	return 0;
}

/* ---- strings ---- */

size_t engine_string_length(const engine_value *string)
{
	v8::Local<v8::Value> value = to_local(string);
	return value->IsString() ? (size_t)value.As<v8::String>()->Length() : 0;
}

bool engine_string_is_one_byte(const engine_value *string)
{
	v8::Local<v8::Value> value = to_local(string);
	return value->IsString() && value.As<v8::String>()->IsOneByte();
}

size_t engine_string_utf8_length(struct engine *engine, const engine_value *string)
{
	return text_of(engine->isolate, string)->Utf8LengthV2(engine->isolate);
}

size_t engine_string_write_utf8(struct engine *engine, const engine_value *string, char *target,
	size_t size, size_t *ret_read)
{
	return text_of(engine->isolate, string)
		->WriteUtf8V2(engine->isolate, target, size,
			v8::String::WriteFlags::kReplaceInvalidUtf8, ret_read);
}

void engine_string_write_latin1(
	struct engine *engine, const engine_value *string, char *target, size_t length)
{
	v8::Local<v8::String> text = text_of(engine->isolate, string);
	const size_t there = std::min(length, (size_t)text->Length());
	text->WriteOneByteV2(
		engine->isolate, 0, (uint32_t)there, reinterpret_cast<uint8_t *>(target));
	memset(target + there, 0, length - there);
}

void engine_string_write_utf16(
	struct engine *engine, const engine_value *string, uint16_t *target, size_t length)
{
	v8::Local<v8::String> text = text_of(engine->isolate, string);
	const size_t there = std::min(length, (size_t)text->Length());
	text->WriteV2(engine->isolate, 0, (uint32_t)there, target);
	memset(target + there, 0, (length - there) * sizeof *target);
}

std::string utf8_of(struct engine *engine, v8::Local<v8::String> string)
{
	std::string result(string->Utf8LengthV2(engine->isolate), '\0');
	string->WriteUtf8V2(engine->isolate, result.data(), result.size(),
		v8::String::WriteFlags::kReplaceInvalidUtf8);
	return result;
}

static v8::MaybeLocal<v8::String> string_conversion(
	struct engine *engine, v8::Local<v8::Value> value)
{
	if (value->IsString())
		return value.As<v8::String>();
	/* ToString throws for a symbol, String() does not. */
	if (value->IsSymbol())
		return value->ToDetailString(context_of(engine));
	return value->ToString(context_of(engine));
}

char *engine_to_utf8(struct engine *engine, engine_value *value, size_t *ret_length)
{
	v8::HandleScope scope(engine->isolate);
	v8::TryCatch try_catch(engine->isolate);
	v8::Local<v8::String> string;
	if (!string_conversion(engine, to_local(value)).ToLocal(&string)) {
		if (try_catch.HasTerminated())
			engine->terminated = engine->native_depth > 0;
		return nullptr;
	}
	size_t length = string->Utf8LengthV2(engine->isolate);
	char *text = static_cast<char *>(malloc(length + 1));
	if (!text)
		return nullptr;
	length = string->WriteUtf8V2(
		engine->isolate, text, length, v8::String::WriteFlags::kReplaceInvalidUtf8);
	text[length] = '\0';
	if (ret_length)
		*ret_length = length;
	return text;
}

/* ---- properties ---- */

static engine_value *value_or_keep(
	struct engine *engine, v8::MaybeLocal<v8::Value> value, const v8::TryCatch &try_catch)
{
	if (value.IsEmpty())
		exceptions_keep(engine, try_catch);
	return from_maybe(value);
}

engine_value *engine_get(struct engine *engine, engine_value *object, const char *name)
{
	v8::Local<v8::Value> value = to_local(object);
	if (!value->IsObject())
		return engine_undefined(engine);
	v8::TryCatch try_catch(engine->isolate);
	return value_or_keep(engine,
		value.As<v8::Object>()->Get(context_of(engine), string_of(engine, name)),
		try_catch);
}

engine_value *engine_get_index(struct engine *engine, engine_value *object, uint32_t index)
{
	v8::Local<v8::Value> value = to_local(object);
	if (!value->IsObject())
		return engine_undefined(engine);
	v8::TryCatch try_catch(engine->isolate);
	return value_or_keep(
		engine, value.As<v8::Object>()->Get(context_of(engine), index), try_catch);
}

static int throw_no_object(struct engine *engine)
{
	engine_throw(engine, "TypeError", "ERR_INVALID_ARG_TYPE",
		"What should get a property is not an object");
	return -ECANCELED;
}

int engine_set(struct engine *engine, engine_value *object, const char *name, engine_value *value)
{
	if (!to_local(object)->IsObject())
		return throw_no_object(engine);
	v8::TryCatch try_catch(engine->isolate);
	v8::Maybe<bool> done = to_local<v8::Object>(object)->CreateDataProperty(
		context_of(engine), string_of(engine, name), to_local(value));
	return done.IsJust() ? 0 : exceptions_keep(engine, try_catch);
}

int engine_set_index(
	struct engine *engine, engine_value *object, uint32_t index, engine_value *value)
{
	if (!to_local(object)->IsObject())
		return throw_no_object(engine);
	v8::TryCatch try_catch(engine->isolate);
	v8::Maybe<bool> done = to_local<v8::Object>(object)->CreateDataProperty(
		context_of(engine), index, to_local(value));
	return done.IsJust() ? 0 : exceptions_keep(engine, try_catch);
}

void engine_set_prototype(struct engine *engine, engine_value *object, engine_value *prototype)
{
	if (!to_local(object)->IsObject())
		return;
	(void)to_local<v8::Object>(object)
		->SetPrototypeV2(context_of(engine), to_local(prototype))
		.FromMaybe(false);
}

uint32_t engine_array_length(const engine_value *array)
{
	v8::Local<v8::Value> value = to_local(array);
	return value->IsArray() ? value.As<v8::Array>()->Length() : 0;
}

engine_value *engine_global(struct engine *engine)
{
	return from_local(context_of(engine)->Global());
}
