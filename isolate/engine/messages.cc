/* Values on their way between engines, as bytes of V8's serializer and what those refer
 * to: memory, shared or moved, and compiled WebAssembly. */
#include "isolate/engine/internal.h"

#include <errno.h>
#include <stdlib.h>

struct engine_message {
	std::atomic<unsigned> references = 1;
	uint8_t *data = nullptr;
	size_t length = 0, held = 0;
	std::vector<std::shared_ptr<v8::BackingStore>> moved, shared;
	std::vector<v8::CompiledWasmModule> modules;
	bool read = false; /* MOVED is gone */
};

namespace
{

class writer final : public v8::ValueSerializer::Delegate
{
      public:
	writer(struct engine *owner, engine_message *into)
	    : engine(owner), message(into), shared(owner->isolate), object_prototype(owner->isolate)
	{
		v8::Local<v8::Object> plain = v8::Object::New(owner->isolate);
		object_prototype.push_back(plain->GetPrototypeV2());
	}

	void ThrowDataCloneError(v8::Local<v8::String> text) override
	{
		engine_value *argument = from_local(text), *exception = nullptr;
		if (call(engine->message_hooks.make_error, &argument, 1, &exception))
			engine->isolate->ThrowException(to_local(exception));
	}
	bool HasCustomHostObject(v8::Isolate *) override
	{
		return true;
	}
	v8::Maybe<bool> IsHostObject(v8::Isolate *, v8::Local<v8::Object> object) override
	{
		v8::Local<v8::Value> prototype = object->GetPrototypeV2();
		if (prototype->IsNull() || prototype == object_prototype[0])
			return v8::Just(false);
		engine_value *argument = from_local(object), *result = nullptr;
		if (!call(engine->message_hooks.is_host, &argument, 1, &result))
			return v8::Nothing<bool>();
		return v8::Just(to_local(result)->IsTrue());
	}
	v8::Maybe<bool> WriteHostObject(v8::Isolate *, v8::Local<v8::Object> object) override
	{
		engine_value *argument = from_local(object), *result = nullptr;
		if (!call(engine->message_hooks.write_host, &argument, 1, &result))
			return v8::Nothing<bool>();
		return serializer->WriteValue(context_of(engine), to_local(result));
	}
	v8::Maybe<uint32_t> GetSharedArrayBufferId(
		v8::Isolate *, v8::Local<v8::SharedArrayBuffer> buffer) override
	{
		for (size_t i = 0; i < shared.size(); i++)
			if (shared[i] == buffer)
				return v8::Just((uint32_t)i);
		shared.push_back(buffer);
		message->shared.push_back(buffer->GetBackingStore());
		return v8::Just((uint32_t)(shared.size() - 1));
	}
	v8::Maybe<uint32_t> GetWasmModuleTransferId(
		v8::Isolate *, v8::Local<v8::WasmModuleObject> module) override
	{
		message->modules.push_back(module->GetCompiledModule());
		return v8::Just((uint32_t)(message->modules.size() - 1));
	}
	/* The bytes are outside of V8's heap, but the tenant's all the same. */
	void *ReallocateBufferMemory(void *old, size_t size, size_t *actual) override
	{
		if (size > message->held && !engine->bytes->reserve(size - message->held))
			return nullptr;
		void *data = realloc(old, size);
		if (!data) {
			if (size > message->held)
				engine->bytes->release(size - message->held);
			return nullptr;
		}
		if (size > message->held)
			message->held = size;
		*actual = size;
		return data;
	}
	void FreeBufferMemory(void *data) override
	{
		free(data);
	}

	v8::ValueSerializer *serializer = nullptr;

      private:
	/* What it throws goes on in V8. */
	bool call(engine_ref *function, engine_value **arguments, int count, engine_value **ret)
	{
		if (engine_call_function(engine, engine_ref_get(engine, function),
			    engine_undefined(engine), arguments, count, ret) == 0)
			return true;
		exceptions_rethrow(engine);
		return false;
	}

	struct engine *engine;
	engine_message *message;
	v8::LocalVector<v8::SharedArrayBuffer> shared;
	v8::LocalVector<v8::Value> object_prototype;
};

class reader final : public v8::ValueDeserializer::Delegate
{
      public:
	reader(struct engine *owner, engine_message *from, engine_value *for_hosts)
	    : engine(owner), message(from), context(for_hosts)
	{
	}

	v8::MaybeLocal<v8::Object> ReadHostObject(v8::Isolate *) override
	{
		v8::Local<v8::Value> value;
		engine_value *result = nullptr;
		if (!deserializer->ReadValue(context_of(engine)).ToLocal(&value))
			return {};
		/* V8 wants none run that could see what is half made: it is the library's. */
		v8::Isolate::AllowJavascriptExecutionScope allow(engine->isolate);
		engine_value *arguments[] = {from_local(value), context};
		if (engine_call_function(engine,
			    engine_ref_get(engine, engine->message_hooks.read_host),
			    engine_undefined(engine), arguments, 2, &result) < 0) {
			exceptions_rethrow(engine);
			return {};
		}
		return to_local(result)->IsObject()
			       ? v8::MaybeLocal<v8::Object>(to_local<v8::Object>(result))
			       : v8::MaybeLocal<v8::Object>();
	}
	v8::MaybeLocal<v8::SharedArrayBuffer> GetSharedArrayBufferFromId(
		v8::Isolate *isolate, uint32_t id) override
	{
		if (id >= message->shared.size())
			return {};
		return v8::SharedArrayBuffer::New(isolate, message->shared[id]);
	}
	v8::MaybeLocal<v8::WasmModuleObject> GetWasmModuleFromId(
		v8::Isolate *isolate, uint32_t id) override
	{
		if (id >= message->modules.size())
			return {};
		return v8::WasmModuleObject::FromCompiledModule(isolate, message->modules[id]);
	}

	v8::ValueDeserializer *deserializer = nullptr;

      private:
	struct engine *engine;
	engine_message *message;
	engine_value *context;
};

/* Between here and the message nothing can fail. */
bool move_buffers(engine_message *message, engine_value *const *buffers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		v8::Local<v8::ArrayBuffer> buffer = to_local<v8::ArrayBuffer>(buffers[i]);
		std::shared_ptr<v8::BackingStore> store = buffer->GetBackingStore();
		if (buffer->Detach(v8::Local<v8::Value>()).IsNothing())
			return false;
		message->moved.push_back(std::move(store));
	}
	return true;
}

/* Getters of the value may have detached one while it was written. */
bool all_attached(engine_value *const *buffers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (to_local<v8::ArrayBuffer>(buffers[i])->WasDetached())
			return false;
	return true;
}

bool write(struct engine *engine, engine_message *message, engine_value *value,
	engine_value *const *buffers, size_t count)
{
	writer delegate(engine, message);
	v8::ValueSerializer serializer(engine->isolate, &delegate);
	delegate.serializer = &serializer;
	for (size_t i = 0; i < count; i++)
		serializer.TransferArrayBuffer((uint32_t)i, to_local<v8::ArrayBuffer>(buffers[i]));
	serializer.WriteHeader();
	if (!serializer.WriteValue(context_of(engine), to_local(value)).FromMaybe(false))
		return false;
	if (!all_attached(buffers, count)) {
		delegate.ThrowDataCloneError(
			string_of(engine, "An ArrayBuffer is detached and could not be cloned."));
		return false;
	}
	std::pair<uint8_t *, size_t> bytes = serializer.Release();
	message->data = bytes.first;
	message->length = bytes.second;
	return move_buffers(message, buffers, count);
}

} // namespace

void engine_messages_init(struct engine *engine, const struct engine_message_hooks *hooks)
{
	engine->message_hooks = *hooks;
}

engine_message *engine_message_write(
	struct engine *engine, engine_value *value, engine_value *const *buffers, size_t count)
{
	v8::HandleScope scope(engine->isolate);
	v8::TryCatch try_catch(engine->isolate);
	engine_message *message = new engine_message();
	const bool written = write(engine, message, value, buffers, count);
	/* The queue of the one that is to read it has limits of its own. */
	engine->bytes->release(message->held);
	message->held = message->length;
	if (written)
		return message;
	exceptions_keep(engine, try_catch);
	return engine_message_unref(message);
}

engine_value *engine_message_read(
	struct engine *engine, engine_message *message, engine_value *context)
{
	v8::EscapableHandleScope scope(engine->isolate);
	v8::TryCatch try_catch(engine->isolate);
	reader delegate(engine, message, context);
	v8::ValueDeserializer deserializer(
		engine->isolate, message->data, message->length, &delegate);
	delegate.deserializer = &deserializer;
	v8::Local<v8::Value> value;
	if (message->read) {
		engine_throw(engine, "Error", nullptr, "a message with buffers was read twice");
		return nullptr;
	}
	message->read = !message->moved.empty();
	for (size_t i = 0; i < message->moved.size(); i++)
		deserializer.TransferArrayBuffer((uint32_t)i,
			v8::ArrayBuffer::New(engine->isolate, std::move(message->moved[i])));
	if (deserializer.ReadHeader(context_of(engine)).FromMaybe(false) &&
		deserializer.ReadValue(context_of(engine)).ToLocal(&value))
		return from_local(scope.Escape(value));
	if (exceptions_keep(engine, try_catch) == -ETIMEDOUT && !try_catch.HasTerminated())
		engine_throw(engine, "Error", nullptr, "Unable to deserialize cloned data.");
	return nullptr;
}

size_t engine_message_size(const engine_message *message)
{
	size_t size = message->length;
	for (const std::shared_ptr<v8::BackingStore> &store : message->moved)
		size += store ? store->ByteLength() : 0;
	return size;
}

engine_message *engine_message_ref(engine_message *message)
{
	message->references.fetch_add(1, std::memory_order_relaxed);
	return message;
}

engine_message *engine_message_unref(engine_message *message)
{
	if (message && message->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
		free(message->data);
		delete message;
	}
	return nullptr;
}
