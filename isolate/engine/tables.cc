/* The native functions and classes that JavaScript sees. A function in the heap knows
 * only its row of the tables: one trampoline of each kind, with the row as its data,
 * stands for all of them. That is what a snapshot can hold. */
#include "isolate/engine/internal.h"

#include <stdlib.h>

struct engine_call {
	const v8::FunctionCallbackInfo<v8::Value> *info;
};

/* ---- trampolines ---- */

static inline int row_of(const v8::FunctionCallbackInfo<v8::Value> &info)
{
	return info.Data().As<v8::Int32>()->Value();
}

static inline void run_native(struct engine *engine, engine_native_function function,
	const v8::FunctionCallbackInfo<v8::Value> &info)
{
	struct engine_call call = {&info};
	engine->native_depth++;
	engine_value *result = function(engine, &call);
	engine->native_depth--;
	if (__builtin_expect(engine->pending || engine->terminated, false))
		exceptions_rethrow(engine);
	else if (result)
		info.GetReturnValue().Set(to_local(result));
}

static void call_native(const v8::FunctionCallbackInfo<v8::Value> &info)
{
	struct engine *engine = engine_current;
	run_native(engine, engine->tables.natives[row_of(info)].function, info);
}

/* Methods and getters: the class in the upper half of the data, the row in the lower. */
#define MEMBER_BITS 12
#define MEMBER_MASK ((1 << MEMBER_BITS) - 1)

static void call_method(const v8::FunctionCallbackInfo<v8::Value> &info)
{
	struct engine *engine = engine_current;
	int row = row_of(info);
	const struct engine_class &type = engine->tables.classes[row >> MEMBER_BITS];
	run_native(engine, type.methods[row & MEMBER_MASK].function, info);
}

static void call_getter(const v8::FunctionCallbackInfo<v8::Value> &info)
{
	struct engine *engine = engine_current;
	int row = row_of(info);
	const struct engine_class &type = engine->tables.classes[row >> MEMBER_BITS];
	run_native(engine, type.getters[row & MEMBER_MASK].function, info);
}

static void clear_fields(struct engine *engine, v8::Local<v8::Object> object, int class_index)
{
	object->SetAlignedPointerInInternalField(FIELD_STATE, nullptr);
	object->SetInternalField(FIELD_CLASS, v8::Integer::New(engine->isolate, class_index));
	object->SetAlignedPointerInInternalField(FIELD_INSTANCE, nullptr);
}

static void call_constructor(const v8::FunctionCallbackInfo<v8::Value> &info)
{
	struct engine *engine = engine_current;
	int row = row_of(info);
	const struct engine_class &type = engine->tables.classes[row];
	if (!type.construct || !info.IsConstructCall()) {
		if (!type.construct)
			engine_throw(engine, "TypeError", "ERR_ILLEGAL_CONSTRUCTOR",
				"Illegal constructor");
		else
			engine_throw(engine, "TypeError", nullptr,
				"Class constructor %s cannot be invoked without 'new'", type.name);
		exceptions_rethrow(engine);
		return;
	}
	/* A program that makes many of them in one go must not wait for its end. */
	if (__builtin_expect(engine->dead != nullptr, false))
		tables_destroy_dead(engine);
	clear_fields(engine, info.This(), row);
	struct engine_call call = {&info};
	engine->native_depth++;
	type.construct(engine, &call);
	engine->native_depth--;
	if (engine->pending || engine->terminated)
		exceptions_rethrow(engine);
}

void tables_references(struct engine *engine)
{
	engine->external_references = {
		(intptr_t)call_native,
		(intptr_t)call_method,
		(intptr_t)call_getter,
		(intptr_t)call_constructor,
		0,
	};
}

/* ---- what JavaScript gets ---- */

static v8::Local<v8::Function> make_function(struct engine *engine, size_t index)
{
	const struct engine_native &row = engine->tables.natives[index];
	v8::Local<v8::Function> function = v8::Function::New(context_of(engine), call_native,
		v8::Integer::New(engine->isolate, (int)index), row.length,
		v8::ConstructorBehavior::kThrow)
						   .ToLocalChecked();
	function->SetName(string_of(engine, row.name));
	return function;
}

static v8::Local<v8::FunctionTemplate> make_member(struct engine *engine,
	v8::FunctionCallback callback, int data, v8::Local<v8::Signature> signature,
	const struct engine_native &row)
{
	v8::Local<v8::FunctionTemplate> member = v8::FunctionTemplate::New(engine->isolate,
		callback, v8::Integer::New(engine->isolate, data), signature, row.length,
		v8::ConstructorBehavior::kThrow);
	member->SetClassName(string_of(engine, row.name));
	return member;
}

static v8::Local<v8::FunctionTemplate> make_class(struct engine *engine, int index)
{
	v8::Isolate *isolate = engine->isolate;
	const struct engine_class &type = engine->tables.classes[index];
	if (type.method_count > MEMBER_MASK || type.getter_count > MEMBER_MASK)
		abort();
	v8::Local<v8::FunctionTemplate> result = v8::FunctionTemplate::New(
		isolate, call_constructor, v8::Integer::New(isolate, index));
	result->SetClassName(string_of(engine, type.name));
	result->ReadOnlyPrototype();
	result->InstanceTemplate()->SetInternalFieldCount(FIELD_COUNT);
	/* V8 itself refuses a call on anything but an instance. */
	v8::Local<v8::Signature> signature = v8::Signature::New(isolate, result);
	for (size_t i = 0; i < type.method_count; i++)
		result->PrototypeTemplate()->Set(string_of(engine, type.methods[i].name),
			make_member(engine, call_method, index << MEMBER_BITS | (int)i, signature,
				type.methods[i]),
			v8::DontEnum);
	for (size_t i = 0; i < type.getter_count; i++)
		result->PrototypeTemplate()->SetAccessorProperty(
			string_of(engine, type.getters[i].name),
			make_member(engine, call_getter, index << MEMBER_BITS | (int)i, signature,
				type.getters[i]),
			v8::Local<v8::FunctionTemplate>(), v8::DontEnum);
	return result;
}

void tables_install(struct engine *engine)
{
	v8::Isolate *isolate = engine->isolate;
	v8::Local<v8::Context> context = context_of(engine);
	v8::Local<v8::Object> native = v8::Object::New(isolate);
	for (size_t i = 0; i < engine->tables.native_count; i++)
		native->CreateDataProperty(context,
			      string_of(engine, engine->tables.natives[i].name),
			      make_function(engine, i))
			.Check();
	for (size_t i = 0; i < engine->tables.class_count; i++) {
		v8::Local<v8::FunctionTemplate> type = make_class(engine, (int)i);
		engine->class_templates.emplace_back(isolate, type);
		native->CreateDataProperty(context,
			      string_of(engine, engine->tables.classes[i].name),
			      type->GetFunction(context).ToLocalChecked())
			.Check();
	}
	context->Global()
		->DefineOwnProperty(context, string_of(engine, "native"), native, v8::DontEnum)
		.Check();
	engine->native.Reset(isolate, native);
}

engine_value *engine_function(struct engine *engine, size_t native_index)
{
	return from_local(make_function(engine, native_index));
}

engine_value *engine_native_object(struct engine *engine)
{
	return from_local(engine->native.Get(engine->isolate));
}

/* ---- one call ---- */

int engine_call_count(const struct engine_call *call)
{
	return call->info->Length();
}

engine_value *engine_call_argument(struct engine *, const struct engine_call *call, int index)
{
	return from_local((*call->info)[index]);
}

engine_value *engine_call_this(struct engine *, const struct engine_call *call)
{
	return from_local(call->info->This());
}

void *engine_call_state(const struct engine_call *call)
{
	return call->info->This()->GetAlignedPointerFromInternalField(
		call->info->GetIsolate(), FIELD_STATE);
}

int32_t engine_argument_int32(const struct engine_call *call, int index)
{
	v8::Local<v8::Value> value = (*call->info)[index];
	if (__builtin_expect(value->IsInt32(), true))
		return value.As<v8::Int32>()->Value();
	return engine_to_int32(engine_current, from_local(value));
}

double engine_argument_number(const struct engine_call *call, int index)
{
	v8::Local<v8::Value> value = (*call->info)[index];
	return value->IsNumber() ? value.As<v8::Number>()->Value() : 0;
}

bool engine_argument_bool(const struct engine_call *call, int index)
{
	return (*call->info)[index]->IsTrue();
}

/* ---- instances ---- */

static void unlink_instance(class_instance *instance)
{
	struct engine *engine = instance->engine;
	if (instance->previous)
		instance->previous->next = instance->next;
	else
		engine->instances = instance->next;
	if (instance->next)
		instance->next->previous = instance->previous;
}

/* V8 is in the middle of a collection here: only note it. */
static void on_collected(const v8::WeakCallbackInfo<class_instance> &info)
{
	class_instance *instance = info.GetParameter();
	instance->object.Reset();
	unlink_instance(instance);
	instance->next = instance->engine->dead;
	instance->engine->dead = instance;
}

static void link_instance(struct engine *engine, v8::Local<v8::Object> object, void *state,
	const struct engine_class &type)
{
	class_instance *instance = new class_instance();
	instance->object.Reset(engine->isolate, object);
	instance->object.SetWeak(instance, on_collected, v8::WeakCallbackType::kParameter);
	instance->destroy = type.destroy;
	instance->state = state;
	instance->engine = engine;
	instance->next = engine->instances;
	if (engine->instances)
		engine->instances->previous = instance;
	engine->instances = instance;
	object->SetAlignedPointerInInternalField(FIELD_INSTANCE, instance);
}

void engine_set_state(engine_value *value, void *state)
{
	struct engine *engine = engine_current;
	v8::Local<v8::Object> object = to_local<v8::Object>(value);
	class_instance *instance = static_cast<class_instance *>(
		object->GetAlignedPointerFromInternalField(engine->isolate, FIELD_INSTANCE));
	object->SetAlignedPointerInInternalField(FIELD_STATE, state);
	if (instance && state) {
		instance->state = state;
	} else if (instance) {
		object->SetAlignedPointerInInternalField(FIELD_INSTANCE, nullptr);
		unlink_instance(instance);
		delete instance;
	} else if (state) {
		int index = object->GetInternalField(FIELD_CLASS)
				    .As<v8::Value>()
				    .As<v8::Int32>()
				    ->Value();
		link_instance(engine, object, state, engine->tables.classes[index]);
	}
}

void *engine_get_state(struct engine *engine, engine_value *value, size_t class_index)
{
	if (!view_of(engine->class_templates[class_index])->HasInstance(to_local(value)))
		return nullptr;
	return to_local<v8::Object>(value)->GetAlignedPointerFromInternalField(
		engine->isolate, FIELD_STATE);
}

engine_value *engine_instance_new(struct engine *engine, size_t class_index, void *state)
{
	/* As in call_constructor. */
	if (__builtin_expect(engine->dead != nullptr, false))
		tables_destroy_dead(engine);
	v8::TryCatch try_catch(engine->isolate);
	v8::Local<v8::Object> object;
	if (!view_of(engine->class_templates[class_index])
			->InstanceTemplate()
			->NewInstance(context_of(engine))
			.ToLocal(&object)) {
		exceptions_keep(engine, try_catch);
		return nullptr;
	}
	clear_fields(engine, object, (int)class_index);
	engine_set_state(from_local(object), state);
	return from_local(object);
}

void tables_destroy_dead(struct engine *engine)
{
	while (class_instance *instance = engine->dead) {
		engine->dead = instance->next;
		if (instance->destroy)
			instance->destroy(instance->state);
		delete instance;
	}
}

void tables_destroy_all(struct engine *engine)
{
	v8::HandleScope scope(engine->isolate);
	while (class_instance *instance = engine->instances) {
		v8::Local<v8::Object> object = instance->object.Get(engine->isolate);
		object->SetAlignedPointerInInternalField(FIELD_STATE, nullptr);
		object->SetAlignedPointerInInternalField(FIELD_INSTANCE, nullptr);
		instance->object.Reset();
		unlink_instance(instance);
		instance->next = engine->dead;
		engine->dead = instance;
	}
	tables_destroy_dead(engine);
}

const char *tables_class_alive(struct engine *engine)
{
	if (!engine->instances)
		return nullptr;
	v8::HandleScope scope(engine->isolate);
	v8::Local<v8::Object> object = engine->instances->object.Get(engine->isolate);
	int index = object->GetInternalField(FIELD_CLASS).As<v8::Value>().As<v8::Int32>()->Value();
	return engine->tables.classes[index].name;
}
