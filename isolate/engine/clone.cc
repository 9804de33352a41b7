/* The structured clone algorithm (HTML, 2.7), on V8's serializer. */
#include "isolate/engine/internal.h"

#include <stdlib.h>

namespace
{

/* What does not go through the bytes, but is shared or remade on the other side. */
struct passed_objects {
	explicit passed_objects(v8::Isolate *isolate) : shared(isolate), wasm(isolate)
	{
	}
	v8::LocalVector<v8::SharedArrayBuffer> shared;
	v8::LocalVector<v8::WasmModuleObject> wasm;
};

template <class T>
uint32_t index_in(v8::LocalVector<T> &list, v8::Local<T> object)
{
	for (size_t i = 0; i < list.size(); i++)
		if (list[i] == object)
			return (uint32_t)i;
	list.push_back(object);
	return (uint32_t)(list.size() - 1);
}

class writer_delegate final : public v8::ValueSerializer::Delegate
{
      public:
	writer_delegate(struct engine *owner, engine_value *make, passed_objects *objects)
	    : engine(owner), make_error(make), passed(objects)
	{
	}

	void ThrowDataCloneError(v8::Local<v8::String> message) override
	{
		engine_value *argument = from_local(message);
		engine_value *exception = nullptr;
		if (engine_call_function(engine, make_error, engine_undefined(engine), &argument, 1,
			    &exception) == 0)
			engine->isolate->ThrowException(to_local(exception));
		else
			exceptions_rethrow(engine);
	}
	v8::Maybe<bool> WriteHostObject(v8::Isolate *, v8::Local<v8::Object> object) override
	{
		std::string message = "#<" + utf8_of(engine, object->GetConstructorName()) +
				      "> could not be cloned.";
		ThrowDataCloneError(v8::String::NewFromUtf8(engine->isolate, message.c_str())
				.FromMaybe(v8::String::Empty(engine->isolate)));
		return v8::Nothing<bool>();
	}
	v8::Maybe<uint32_t> GetSharedArrayBufferId(
		v8::Isolate *, v8::Local<v8::SharedArrayBuffer> buffer) override
	{
		return v8::Just(index_in(passed->shared, buffer));
	}
	v8::Maybe<uint32_t> GetWasmModuleTransferId(
		v8::Isolate *, v8::Local<v8::WasmModuleObject> module) override
	{
		return v8::Just(index_in(passed->wasm, module));
	}
	/* The bytes are outside of V8's heap, but the tenant's all the same. */
	void *ReallocateBufferMemory(void *old, size_t size, size_t *actual) override
	{
		if (size > engine->bytes->limit)
			return nullptr;
		void *data = realloc(old, size);
		if (data)
			*actual = size;
		return data;
	}
	void FreeBufferMemory(void *data) override
	{
		free(data);
	}

      private:
	struct engine *engine;
	engine_value *make_error;
	passed_objects *passed;
};

class reader_delegate final : public v8::ValueDeserializer::Delegate
{
      public:
	explicit reader_delegate(passed_objects *objects) : passed(objects)
	{
	}

	v8::MaybeLocal<v8::SharedArrayBuffer> GetSharedArrayBufferFromId(
		v8::Isolate *isolate, uint32_t id) override
	{
		if (id >= passed->shared.size())
			return {};
		return v8::SharedArrayBuffer::New(isolate, passed->shared[id]->GetBackingStore());
	}
	v8::MaybeLocal<v8::WasmModuleObject> GetWasmModuleFromId(
		v8::Isolate *isolate, uint32_t id) override
	{
		if (id >= passed->wasm.size())
			return {};
		return v8::WasmModuleObject::FromCompiledModule(
			isolate, passed->wasm[id]->GetCompiledModule());
	}

      private:
	passed_objects *passed;
};

using buffer_list = v8::LocalVector<v8::ArrayBuffer>;

void throw_clone_error(struct engine *engine, writer_delegate *delegate, const char *message)
{
	delegate->ThrowDataCloneError(v8::String::NewFromUtf8(engine->isolate, message)
			.FromMaybe(v8::String::Empty(engine->isolate)));
}

bool check_transfer(struct engine *engine, writer_delegate *delegate, engine_value *const *transfer,
	size_t count, buffer_list *ret_buffers)
{
	for (size_t i = 0; i < count; i++) {
		v8::Local<v8::Value> value = to_local(transfer[i]);
		if (!value->IsArrayBuffer()) {
			throw_clone_error(engine, delegate,
				"Value at index of the transfer list is not transferable.");
			return false;
		}
		v8::Local<v8::ArrayBuffer> buffer = value.As<v8::ArrayBuffer>();
		if (buffer->WasDetached() || !buffer->IsDetachable()) {
			throw_clone_error(engine, delegate,
				"An ArrayBuffer is detached and could not be cloned.");
			return false;
		}
		for (const v8::Local<v8::ArrayBuffer> other : *ret_buffers) {
			if (other == buffer) {
				throw_clone_error(engine, delegate,
					"ArrayBuffer occurs in the transfer list more than once.");
				return false;
			}
		}
		ret_buffers->push_back(buffer);
	}
	return true;
}

/* Getters of the value may have detached one while it was written. */
bool check_still_attached(
	struct engine *engine, writer_delegate *delegate, const buffer_list &buffers)
{
	for (const v8::Local<v8::ArrayBuffer> buffer : buffers) {
		if (buffer->WasDetached()) {
			throw_clone_error(engine, delegate,
				"An ArrayBuffer is detached and could not be cloned.");
			return false;
		}
	}
	return true;
}

bool transfer_buffers(
	struct engine *engine, v8::ValueDeserializer *reader, const buffer_list &buffers)
{
	uint32_t id = 0;
	for (const v8::Local<v8::ArrayBuffer> buffer : buffers) {
		std::shared_ptr<v8::BackingStore> store = buffer->GetBackingStore();
		if (buffer->Detach(v8::Local<v8::Value>()).IsNothing())
			return false;
		reader->TransferArrayBuffer(
			id++, v8::ArrayBuffer::New(engine->isolate, std::move(store)));
	}
	return true;
}

v8::MaybeLocal<v8::Value> clone(struct engine *engine, v8::Local<v8::Value> value,
	writer_delegate *delegate, passed_objects *passed, const buffer_list &buffers)
{
	v8::Local<v8::Context> context = context_of(engine);
	v8::ValueSerializer writer(engine->isolate, delegate);
	uint32_t id = 0;
	for (const v8::Local<v8::ArrayBuffer> buffer : buffers)
		writer.TransferArrayBuffer(id++, buffer);
	writer.WriteHeader();
	if (!writer.WriteValue(context, value).FromMaybe(false) ||
		!check_still_attached(engine, delegate, buffers))
		return {};
	std::pair<uint8_t *, size_t> bytes = writer.Release();
	std::unique_ptr<uint8_t, decltype(&free)> owned(bytes.first, free);

	reader_delegate reading(passed);
	v8::ValueDeserializer reader(engine->isolate, bytes.first, bytes.second, &reading);
	if (!transfer_buffers(engine, &reader, buffers) ||
		!reader.ReadHeader(context).FromMaybe(false))
		return {};
	return reader.ReadValue(context);
}

} // namespace

engine_value *engine_structured_clone(struct engine *engine, engine_value *value,
	engine_value *const *transfer, size_t transfer_count, engine_value *make_error)
{
	v8::EscapableHandleScope scope(engine->isolate);
	v8::TryCatch try_catch(engine->isolate);
	passed_objects passed(engine->isolate);
	writer_delegate delegate(engine, make_error, &passed);
	buffer_list buffers(engine->isolate);
	v8::Local<v8::Value> result;
	if (!check_transfer(engine, &delegate, transfer, transfer_count, &buffers) ||
		!clone(engine, to_local(value), &delegate, &passed, buffers).ToLocal(&result)) {
		exceptions_keep(engine, try_catch);
		return nullptr;
	}
	return from_local(scope.Escape(result));
}
