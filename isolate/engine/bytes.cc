/* ArrayBuffers and their memory, which has a budget of its own: V8 gives none. */
#include "isolate/engine/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool byte_allocator::reserve(size_t length)
{
	if (length > limit || used > limit - length)
		return false;
	used += length;
	return true;
}

void byte_allocator::release(size_t length)
{
	used -= length;
}

void *byte_allocator::Allocate(size_t length)
{
	/* V8 collects garbage and asks again before it throws a RangeError. */
	if (!reserve(length))
		return nullptr;
	void *data = calloc(length ? length : 1, 1);
	if (!data)
		release(length);
	return data;
}

void *byte_allocator::AllocateUninitialized(size_t length)
{
	return Allocate(length);
}

void byte_allocator::Free(void *data, size_t length)
{
	free(data);
	release(length);
}

static engine_value *throw_no_memory(struct engine *engine)
{
	return engine_throw(engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED",
		"Array buffer allocation failed");
}

engine_value *engine_bytes_new(struct engine *engine, size_t length, void **ret_data)
{
	v8::TryCatch try_catch(engine->isolate);
	v8::Local<v8::ArrayBuffer> buffer;
	if (!v8::ArrayBuffer::MaybeNew(engine->isolate, length).ToLocal(&buffer))
		return throw_no_memory(engine);
	if (ret_data)
		*ret_data = buffer->Data();
	return from_local(v8::Uint8Array::New(buffer, 0, length));
}

engine_value *engine_bytes_copy(struct engine *engine, const void *data, size_t length)
{
	void *target;
	engine_value *bytes = engine_bytes_new(engine, length, &target);
	if (bytes && length > 0)
		memcpy(target, data, length);
	return bytes;
}

static void free_taken(void *data, size_t length, void *allocator)
{
	free(data);
	static_cast<byte_allocator *>(allocator)->release(length);
}

engine_value *engine_bytes_take(struct engine *engine, void *data, size_t length)
{
	byte_allocator *allocator = engine->bytes.get();
	if (!allocator->reserve(length)) {
		engine->isolate->LowMemoryNotification();
		if (!allocator->reserve(length)) {
			free(data);
			return throw_no_memory(engine);
		}
	}
	std::shared_ptr<v8::BackingStore> store =
		v8::ArrayBuffer::NewBackingStore(data, length, free_taken, allocator);
	v8::Local<v8::ArrayBuffer> buffer = v8::ArrayBuffer::New(engine->isolate, store);
	return from_local(v8::Uint8Array::New(buffer, 0, length));
}

bool engine_bytes_get(engine_value *value, void **ret_data, size_t *ret_length)
{
	v8::HandleScope scope(engine_current->isolate);
	v8::Local<v8::Value> local = to_local(value);
	if (local->IsArrayBufferView()) {
		v8::Local<v8::ArrayBufferView> view = local.As<v8::ArrayBufferView>();
		/* Buffer() moves a small array out of the heap, where it would not stay in
		 * its place. */
		char *start = static_cast<char *>(view->Buffer()->Data());
		*ret_length = view->ByteLength();
		*ret_data = start ? start + view->ByteOffset() : nullptr;
		return true;
	}
	if (local->IsArrayBuffer()) {
		*ret_data = local.As<v8::ArrayBuffer>()->Data();
		*ret_length = local.As<v8::ArrayBuffer>()->ByteLength();
		return true;
	}
	if (local->IsSharedArrayBuffer()) {
		*ret_data = local.As<v8::SharedArrayBuffer>()->Data();
		*ret_length = local.As<v8::SharedArrayBuffer>()->ByteLength();
		return true;
	}
	return false;
}

int engine_buffer_detach(struct engine *engine, engine_value *value)
{
	v8::Local<v8::Value> local = to_local(value);
	if (!local->IsArrayBuffer() || !local.As<v8::ArrayBuffer>()->IsDetachable())
		return -EINVAL;
	v8::TryCatch try_catch(engine->isolate);
	v8::Maybe<bool> done = local.As<v8::ArrayBuffer>()->Detach(v8::Local<v8::Value>());
	return done.IsJust() ? 0 : exceptions_keep(engine, try_catch);
}
