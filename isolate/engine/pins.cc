/* Memory of buffers that a thread works on while JavaScript goes on. */
#include "isolate/engine/internal.h"

struct engine_pin {
	std::shared_ptr<v8::BackingStore> store;
};

static std::shared_ptr<v8::BackingStore> store_of(v8::Local<v8::Value> value)
{
	if (value->IsArrayBufferView())
		value = value.As<v8::ArrayBufferView>()->Buffer();
	if (value->IsArrayBuffer())
		return value.As<v8::ArrayBuffer>()->GetBackingStore();
	if (value->IsSharedArrayBuffer())
		return value.As<v8::SharedArrayBuffer>()->GetBackingStore();
	return nullptr;
}

engine_pin *engine_pin_new(engine_value *value, bool *ret_fixed)
{
	v8::HandleScope scope(engine_current->isolate);
	std::shared_ptr<v8::BackingStore> store = store_of(to_local(value));
	if (!store)
		return nullptr;
	*ret_fixed = !store->IsResizableByUserJavaScript();
	return new engine_pin{std::move(store)};
}

engine_pin *engine_pin_free(engine_pin *pin)
{
	delete pin;
	return nullptr;
}
