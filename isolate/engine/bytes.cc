/* ArrayBuffers and their memory, which has a budget of its own: V8 gives none. */
#include "isolate/engine/internal.h"

#include <errno.h>
#include <mutex>
#include <stdlib.h>
#include <string.h>

bool byte_allocator::reserve(size_t length)
{
	const size_t most = limit.load(std::memory_order_relaxed);
	if (length > most)
		return false;
	if (used.fetch_add(length, std::memory_order_relaxed) <= most - length)
		return true;
	used.fetch_sub(length, std::memory_order_relaxed);
	return false;
}

void byte_allocator::release(size_t length)
{
	used.fetch_sub(length, std::memory_order_relaxed);
}

/* V8 collects the young generation when 64 MB of buffers hang on it, which is where it begins to
 * mark the whole heap because of them. That costs as much as the library is large, for what a
 * quick look at the young objects frees as well: programs that pass bodies on make a buffer for
 * each chunk. And the memory is the tenant's. */
#define YOUNG_BUFFER_BYTES (8u << 20)

/* V8 only does that on request with a flag, which gives each context that is made meanwhile a
 * function `gc` that programs shall not see: the flag is off while a thread makes its own. */
static std::mutex collecting;

static void collect_young(struct engine *engine, size_t length)
{
	engine->young_buffer_bytes += length;
	if (engine->young_buffer_bytes < YOUNG_BUFFER_BYTES || !engine->may_collect_young)
		return;
	std::unique_lock<std::mutex> lock(collecting, std::try_to_lock);
	if (!lock.owns_lock())
		return; /* with the next buffer */
	engine->young_buffer_bytes = 0;
	engine->isolate->RequestGarbageCollectionForTesting(v8::Isolate::kMinorGarbageCollection);
}

v8::Local<v8::Context> bytes_make_context(struct engine *engine)
{
	std::lock_guard<std::mutex> lock(collecting);
	v8::V8::SetFlagsFromString("--no-expose-gc");
	v8::Local<v8::Context> context = v8::Context::New(engine->isolate);
	v8::V8::SetFlagsFromString("--expose-gc");
	engine->may_collect_young = true;
	return context;
}

void *byte_allocator::Allocate(size_t length)
{
	/* V8 itself may collect garbage before it comes here. */
	if (engine_current && engine_current->bytes.get() == this)
		collect_young(engine_current, length);
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

/* The bytes may outlive the engine: another thread can have them. */
static void free_taken(void *data, size_t length, void *allocator)
{
	auto *owner = static_cast<std::shared_ptr<byte_allocator> *>(allocator);
	free(data);
	(*owner)->release(length);
	delete owner;
}

engine_value *engine_bytes_take(struct engine *engine, void *data, size_t length)
{
	byte_allocator *allocator = engine->bytes.get();
	/* V8 never calls the deleter of a store without memory. */
	if (!data)
		return engine_bytes_copy(engine, nullptr, 0);
	if (!allocator->reserve(length)) {
		engine->isolate->LowMemoryNotification();
		if (!allocator->reserve(length)) {
			free(data);
			return throw_no_memory(engine);
		}
	}
	collect_young(engine, length);
	std::shared_ptr<v8::BackingStore> store = v8::ArrayBuffer::NewBackingStore(
		data, length, free_taken, new std::shared_ptr<byte_allocator>(engine->bytes));
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

engine_value *engine_view_buffer(engine_value *view)
{
	v8::Local<v8::Value> local = to_local(view);
	return local->IsArrayBufferView() ? from_local(local.As<v8::ArrayBufferView>()->Buffer())
					  : nullptr;
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
