/* Modules without a source: of the host's own objects, and of values that a function gives
 * when the module is evaluated. */
#include "isolate/engine/internal.h"

/* What evaluating a synthetic module returns. */
static v8::MaybeLocal<v8::Value> evaluated(struct engine *engine)
{
	v8::Local<v8::Promise::Resolver> resolver;
	if (!v8::Promise::Resolver::New(context_of(engine)).ToLocal(&resolver) ||
		resolver->Resolve(context_of(engine), v8::Undefined(engine->isolate)).IsNothing())
		return {};
	return resolver->GetPromise();
}

static void make(struct engine *engine, module_entry *entry,
	const std::vector<v8::Local<v8::String>> &names,
	v8::Module::SyntheticModuleEvaluationSteps steps)
{
	v8::Isolate *isolate = engine->isolate;
	modules_enter(engine, entry,
		v8::Module::CreateSyntheticModule(isolate, string_of(engine, entry->url.c_str()),
			v8::MemorySpan<const v8::Local<v8::String>>(names.data(), names.size()),
			steps));
	entry->resolved = true;
}

/* ---- an object of the host ---- */

/* Own enumerable names: strings without indices. */
static v8::MaybeLocal<v8::Array> export_names(struct engine *engine, v8::Local<v8::Object> exports)
{
	return exports->GetOwnPropertyNames(context_of(engine),
		static_cast<v8::PropertyFilter>(v8::ONLY_ENUMERABLE | v8::SKIP_SYMBOLS),
		v8::KeyConversionMode::kConvertToString);
}

static v8::MaybeLocal<v8::Value> set_exports(v8::Local<v8::Context>, v8::Local<v8::Module> module)
{
	struct engine *engine = engine_current;
	v8::Isolate *isolate = engine->isolate;
	v8::Local<v8::Context> context = context_of(engine);
	v8::Local<v8::Object> exports = modules_find(engine, module)->exports.Get(isolate);
	v8::Local<v8::String> default_name = string_of(engine, "default");
	v8::Local<v8::Array> names;
	if (module->SetSyntheticModuleExport(isolate, default_name, exports).IsNothing() ||
		!export_names(engine, exports).ToLocal(&names))
		return {};
	for (uint32_t i = 0; i < names->Length(); i++) {
		v8::Local<v8::Value> name, value;
		if (!names->Get(context, i).ToLocal(&name) ||
			!exports->Get(context, name).ToLocal(&value))
			return {};
		/* A name that the program added after the module was linked is not an
		 * export. */
		v8::TryCatch try_catch(isolate);
		if (!name->StrictEquals(default_name))
			ignore(module->SetSyntheticModuleExport(
				isolate, name.As<v8::String>(), value));
	}
	return evaluated(engine);
}

int synthetic_of_exports(struct engine *engine, module_entry *entry, v8::Local<v8::Object> exports)
{
	v8::Isolate *isolate = engine->isolate;
	v8::TryCatch try_catch(isolate);
	v8::Local<v8::String> default_name = string_of(engine, "default");
	v8::Local<v8::Array> names;
	if (!export_names(engine, exports).ToLocal(&names))
		return exceptions_keep(engine, try_catch);
	std::vector<v8::Local<v8::String>> list = {default_name};
	for (uint32_t i = 0; i < names->Length(); i++) {
		v8::Local<v8::Value> name;
		if (!names->Get(context_of(engine), i).ToLocal(&name))
			return exceptions_keep(engine, try_catch);
		if (!name->StrictEquals(default_name))
			list.push_back(name.As<v8::String>());
	}
	entry->exports.Reset(isolate, exports);
	make(engine, entry, list, set_exports);
	return 0;
}

/* ---- names, and a function ---- */

static v8::MaybeLocal<v8::Value> set_values(v8::Local<v8::Context>, v8::Local<v8::Module> module)
{
	struct engine *engine = engine_current;
	v8::Isolate *isolate = engine->isolate;
	v8::Local<v8::Context> context = context_of(engine);
	module_entry *entry = modules_find(engine, module);
	v8::Local<v8::Array> names = entry->names.Get(isolate);
	v8::Local<v8::Value> values;
	if (!entry->evaluate.Get(isolate)
			->Call(context, v8::Undefined(isolate), 0, nullptr)
			.ToLocal(&values) ||
		!values->IsArray())
		return {};
	entry->evaluate.Reset();
	entry->names.Reset();
	for (uint32_t i = 0; i < names->Length(); i++) {
		v8::Local<v8::Value> name, value;
		if (!names->Get(context, i).ToLocal(&name) ||
			!values.As<v8::Array>()->Get(context, i).ToLocal(&value))
			return {};
		if (module->SetSyntheticModuleExport(isolate, name.As<v8::String>(), value)
				.IsNothing())
			return {};
	}
	return evaluated(engine);
}

int synthetic_of_names(struct engine *engine, module_entry *entry, v8::Local<v8::Array> names,
	v8::Local<v8::Function> evaluate)
{
	std::vector<v8::Local<v8::String>> list;
	v8::TryCatch try_catch(engine->isolate);
	for (uint32_t i = 0; i < names->Length(); i++) {
		v8::Local<v8::Value> name;
		if (!names->Get(context_of(engine), i).ToLocal(&name))
			return exceptions_keep(engine, try_catch);
		if (!name->IsString()) {
			engine_throw(engine, "TypeError", nullptr, "an export's name is no string");
			return -ECANCELED;
		}
		list.push_back(name.As<v8::String>());
	}
	entry->names.Reset(engine->isolate, names);
	entry->evaluate.Reset(engine->isolate, evaluate);
	make(engine, entry, list, set_values);
	return 0;
}
