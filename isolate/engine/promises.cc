/* Promises, and what an inspector sees inside of objects. */
#include "isolate/engine/internal.h"

engine_value *engine_async_context(struct engine *engine)
{
	return from_local(engine->isolate->GetContinuationPreservedEmbedderData());
}

void engine_set_async_context(struct engine *engine, engine_value *value)
{
	engine->isolate->SetContinuationPreservedEmbedderData(to_local(value));
}

engine_value *engine_promise_new(struct engine *engine, engine_value **ret_resolver)
{
	v8::TryCatch try_catch(engine->isolate);
	v8::Local<v8::Promise::Resolver> resolver;
	if (!v8::Promise::Resolver::New(context_of(engine)).ToLocal(&resolver)) {
		exceptions_keep(engine, try_catch);
		return nullptr;
	}
	*ret_resolver = from_local(resolver);
	return from_local(resolver->GetPromise());
}

int engine_promise_resolve(struct engine *engine, engine_value *resolver, engine_value *value)
{
	v8::TryCatch try_catch(engine->isolate);
	v8::Maybe<bool> done = to_local<v8::Promise::Resolver>(resolver)->Resolve(
		context_of(engine), to_local(value));
	return done.IsJust() ? 0 : exceptions_keep(engine, try_catch);
}

int engine_promise_reject(struct engine *engine, engine_value *resolver, engine_value *reason)
{
	v8::TryCatch try_catch(engine->isolate);
	v8::Maybe<bool> done = to_local<v8::Promise::Resolver>(resolver)->Reject(
		context_of(engine), to_local(reason));
	return done.IsJust() ? 0 : exceptions_keep(engine, try_catch);
}

enum engine_promise_state engine_promise_state(const engine_value *promise)
{
	if (!to_local(promise)->IsPromise())
		return ENGINE_PENDING;
	switch (to_local<v8::Promise>(promise)->State()) {
	case v8::Promise::kFulfilled:
		return ENGINE_FULFILLED;
	case v8::Promise::kRejected:
		return ENGINE_REJECTED;
	default:
		return ENGINE_PENDING;
	}
}

engine_value *engine_promise_result(struct engine *engine, engine_value *value)
{
	if (!to_local(value)->IsPromise())
		return engine_undefined(engine);
	v8::Local<v8::Promise> promise = to_local<v8::Promise>(value);
	if (promise->State() == v8::Promise::kPending)
		return engine_undefined(engine);
	return from_local(promise->Result());
}

static engine_value *preview_promise(struct engine *engine, v8::Local<v8::Promise> promise)
{
	enum engine_promise_state state = engine_promise_state(from_local(promise));
	engine_value *items[] = {
		engine_int32(engine, state),
		engine_promise_result(engine, from_local(promise)),
	};
	return engine_array(engine, items, state == ENGINE_PENDING ? 1 : 2);
}

static engine_value *preview_entries(struct engine *engine, v8::Local<v8::Object> object)
{
	v8::Local<v8::Context> context = context_of(engine);
	bool pairs;
	v8::Local<v8::Array> flat;
	if (!object->PreviewEntries(&pairs).ToLocal(&flat) || !pairs)
		return from_local(flat);
	v8::LocalVector<v8::Value> entries(engine->isolate);
	for (uint32_t i = 0; i + 1 < flat->Length(); i += 2) {
		v8::Local<v8::Value> pair[2];
		if (!flat->Get(context, i).ToLocal(&pair[0]) ||
			!flat->Get(context, i + 1).ToLocal(&pair[1]))
			return nullptr;
		entries.push_back(v8::Array::New(engine->isolate, pair, 2));
	}
	return from_local(v8::Array::New(engine->isolate, entries.data(), entries.size()));
}

engine_value *engine_preview(struct engine *engine, engine_value *value)
{
	v8::Local<v8::Value> local = to_local(value);
	if (local->IsPromise())
		return preview_promise(engine, local.As<v8::Promise>());
	if (local->IsProxy()) {
		engine_value *items[] = {
			from_local(local.As<v8::Proxy>()->GetTarget()),
			from_local(local.As<v8::Proxy>()->GetHandler()),
		};
		return engine_array(engine, items, 2);
	}
	if (local->IsMapIterator() || local->IsSetIterator() || local->IsWeakMap() ||
		local->IsWeakSet())
		return preview_entries(engine, local.As<v8::Object>());
	return nullptr;
}

/* Typed arrays come before the rest: IsArrayBufferView and the like overlap. A proxy
 * comes first, since nothing else may look at it. */
static const struct {
	bool (v8::Value::*test)() const;
	const char *name;
} kinds[] = {
	{&v8::Value::IsProxy, "Proxy"},
	{&v8::Value::IsArray, "Array"},
	{&v8::Value::IsAsyncFunction, "AsyncFunction"},
	{&v8::Value::IsGeneratorFunction, "GeneratorFunction"},
	{&v8::Value::IsPromise, "Promise"},
	{&v8::Value::IsNativeError, "Error"},
	{&v8::Value::IsMap, "Map"},
	{&v8::Value::IsSet, "Set"},
	{&v8::Value::IsUint8Array, "Uint8Array"},
	{&v8::Value::IsUint8ClampedArray, "Uint8ClampedArray"},
	{&v8::Value::IsInt8Array, "Int8Array"},
	{&v8::Value::IsUint16Array, "Uint16Array"},
	{&v8::Value::IsInt16Array, "Int16Array"},
	{&v8::Value::IsUint32Array, "Uint32Array"},
	{&v8::Value::IsInt32Array, "Int32Array"},
	{&v8::Value::IsFloat16Array, "Float16Array"},
	{&v8::Value::IsFloat32Array, "Float32Array"},
	{&v8::Value::IsFloat64Array, "Float64Array"},
	{&v8::Value::IsBigInt64Array, "BigInt64Array"},
	{&v8::Value::IsBigUint64Array, "BigUint64Array"},
	{&v8::Value::IsDataView, "DataView"},
	{&v8::Value::IsArrayBuffer, "ArrayBuffer"},
	{&v8::Value::IsSharedArrayBuffer, "SharedArrayBuffer"},
	{&v8::Value::IsDate, "Date"},
	{&v8::Value::IsRegExp, "RegExp"},
	{&v8::Value::IsMapIterator, "Map Iterator"},
	{&v8::Value::IsSetIterator, "Set Iterator"},
	{&v8::Value::IsWeakMap, "WeakMap"},
	{&v8::Value::IsWeakSet, "WeakSet"},
	{&v8::Value::IsWeakRef, "WeakRef"},
	{&v8::Value::IsGeneratorObject, "Generator"},
	{&v8::Value::IsModuleNamespaceObject, "Module"},
	{&v8::Value::IsArgumentsObject, "Arguments"},
	{&v8::Value::IsNumberObject, "Number"},
	{&v8::Value::IsStringObject, "String"},
	{&v8::Value::IsBooleanObject, "Boolean"},
	{&v8::Value::IsSymbolObject, "Symbol"},
	{&v8::Value::IsBigIntObject, "BigInt"},
	{&v8::Value::IsWasmModuleObject, "WebAssembly.Module"},
	{&v8::Value::IsWasmMemoryObject, "WebAssembly.Memory"},
	{&v8::Value::IsExternal, "External"},
};

const char *engine_kind(const engine_value *value)
{
	v8::Local<v8::Value> local = to_local(value);
	if (!local->IsObject())
		return "";
	/* V8 says of an async generator function that it is both. */
	if (local->IsAsyncFunction() && local->IsGeneratorFunction())
		return "AsyncGeneratorFunction";
	v8::Value *object = *local;
	for (const auto &kind : kinds)
		if ((object->*kind.test)())
			return kind.name;
	return "";
}
