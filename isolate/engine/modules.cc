/* ES modules: finding, compiling and linking a graph. The graph is loaded with a list
 * of work, and linked from its far end, so that its depth costs no C stack. */
#include "isolate/engine/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct module_entry {
	std::string url;
	v8::Global<v8::Module> module; /* empty when it failed */
	v8::Global<v8::Value> error;   /* why it failed: the same at every import */
	v8::Global<v8::Value> value;   /* of a JSON module, or exports of a built-in one */
	bool is_json = false;
	bool resolved = false; /* REQUESTS is complete */
	bool visited = false;  /* during one load */
	std::unordered_map<std::string, module_entry *> requests;
};

v8::Local<v8::Module> modules_module(const module_entry *entry)
{
	return view_of(entry->module);
}

const std::string &modules_url(const module_entry *entry)
{
	return entry->url;
}

module_entry *modules_find(struct engine *engine, v8::Local<v8::Module> module)
{
	auto range = engine->modules_by_hash.equal_range(module->GetIdentityHash());
	for (auto i = range.first; i != range.second; i++)
		if (view_of(i->second->module) == module)
			return i->second;
	return nullptr;
}

void modules_forget(struct engine *engine)
{
	for (auto &pair : engine->modules)
		delete pair.second;
	engine->modules.clear();
	engine->modules_by_hash.clear();
}

/* ---- attributes ---- */

static std::string request_key(const std::string &specifier, const std::string &type)
{
	std::string key = specifier;
	key += '\0';
	key += type;
	return key;
}

int modules_attributes(struct engine *engine, v8::Local<v8::FixedArray> attributes, int step,
	std::string *ret_type)
{
	v8::Local<v8::Context> context = context_of(engine);
	ret_type->clear();
	for (int i = 0; i + 1 < attributes->Length(); i += step) {
		std::string key = utf8_of(engine, attributes->Get(context, i).As<v8::String>());
		std::string value =
			utf8_of(engine, attributes->Get(context, i + 1).As<v8::String>());
		if (key != "type" || value != "json") {
			engine_throw(engine, "TypeError", "ERR_IMPORT_ATTRIBUTE_UNSUPPORTED",
				"Import attribute \"%s\" with value \"%s\" is not supported",
				key.c_str(), value.c_str());
			return -ECANCELED;
		}
		*ret_type = value;
	}
	return 0;
}

static bool type_fits(struct engine *engine, const char *url, bool json, const std::string &type)
{
	if (json && type.empty())
		engine_throw(engine, "TypeError", "ERR_IMPORT_ATTRIBUTE_MISSING",
			"Module \"%s\" needs an import attribute of \"type: json\"", url);
	else if (!json && !type.empty())
		engine_throw(engine, "TypeError", "ERR_IMPORT_ATTRIBUTE_TYPE_INCOMPATIBLE",
			"Module \"%s\" is not of type \"%s\"", url, type.c_str());
	return json == !type.empty();
}

/* ---- one module ---- */

static void enter(struct engine *engine, module_entry *entry, v8::Local<v8::Module> module)
{
	entry->module.Reset(engine->isolate, module);
	engine->modules_by_hash.emplace(module->GetIdentityHash(), entry);
}

/* What evaluating a synthetic module returns. */
static v8::MaybeLocal<v8::Value> evaluated(struct engine *engine)
{
	v8::Local<v8::Promise::Resolver> resolver;
	if (!v8::Promise::Resolver::New(context_of(engine)).ToLocal(&resolver) ||
		resolver->Resolve(context_of(engine), v8::Undefined(engine->isolate)).IsNothing())
		return {};
	return resolver->GetPromise();
}

static v8::MaybeLocal<v8::Value> set_json(v8::Local<v8::Context>, v8::Local<v8::Module> module)
{
	struct engine *engine = engine_current;
	v8::Isolate *isolate = engine->isolate;
	module_entry *entry = modules_find(engine, module);
	if (module->SetSyntheticModuleExport(
			  isolate, string_of(engine, "default"), entry->value.Get(isolate))
			.IsNothing())
		return {};
	return evaluated(engine);
}

/* Takes the source out of SOURCE. */
static int make_json(
	struct engine *engine, module_entry *entry, struct engine_module_source *source)
{
	v8::Isolate *isolate = engine->isolate;
	char *data = source->source;
	source->source = nullptr;
	size_t length = source->length;
	if (length >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
		length -= 3;
		memmove(data, data + 3, length);
	}
	v8::Local<v8::String> text;
	v8::Local<v8::Value> value;
	v8::TryCatch try_catch(isolate);
	if (!source_string(isolate, data, length).ToLocal(&text)) {
		engine_throw(engine, "RangeError", "ERR_STRING_TOO_LONG",
			"%s: %zu bytes are too long", entry->url.c_str(), length);
		return -ECANCELED;
	}
	if (!v8::JSON::Parse(context_of(engine), text).ToLocal(&value)) {
		if (exceptions_keep(engine, try_catch) == -ETIMEDOUT)
			return -ETIMEDOUT;
		v8::Local<v8::Message> message = try_catch.Message();
		exceptions_drop(engine);
		std::string why = message.IsEmpty() ? "bad JSON" : utf8_of(engine, message->Get());
		const char *uncaught = "Uncaught SyntaxError: ";
		if (why.compare(0, strlen(uncaught), uncaught) == 0)
			why.erase(0, strlen(uncaught));
		engine_throw(engine, "SyntaxError", "ERR_INVALID_JSON", "%s: %s",
			entry->url.c_str(), why.c_str());
		return -ECANCELED;
	}
	entry->value.Reset(isolate, value);
	const v8::Local<v8::String> names[] = {string_of(engine, "default")};
	enter(engine, entry,
		v8::Module::CreateSyntheticModule(isolate, string_of(engine, entry->url.c_str()),
			v8::MemorySpan<const v8::Local<v8::String>>(names, 1), set_json));
	entry->resolved = true;
	return 0;
}

/* ---- modules that are built in ---- */

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
	v8::Local<v8::Object> exports =
		modules_find(engine, module)->value.Get(isolate).As<v8::Object>();
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

static int make_builtin(
	struct engine *engine, module_entry *entry, const struct engine_module_source *source)
{
	v8::Isolate *isolate = engine->isolate;
	v8::TryCatch try_catch(isolate);
	v8::Local<v8::Object> exports = to_local<v8::Object>(source->exports);
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
	entry->value.Reset(isolate, exports);
	enter(engine, entry,
		v8::Module::CreateSyntheticModule(isolate, string_of(engine, entry->url.c_str()),
			v8::MemorySpan<const v8::Local<v8::String>>(list.data(), list.size()),
			set_exports));
	entry->resolved = true;
	return 0;
}

/* ---- modules of JavaScript ---- */

static v8::MaybeLocal<v8::Module> compile_text(
	struct engine *engine, const std::string &url, v8::Local<v8::String> text)
{
	v8::ScriptOrigin origin = source_origin(engine, url.c_str(), true);
	auto found = engine->code_caches.find(url);
	if (found == engine->code_caches.end()) {
		v8::ScriptCompiler::Source source(text, origin);
		return v8::ScriptCompiler::CompileModule(engine->isolate, &source);
	}
	struct code_cache cache = found->second;
	engine->code_caches.erase(found);
	/* The Source owns the CachedData, which does not own the bytes. */
	v8::ScriptCompiler::Source source(
		text, origin, new v8::ScriptCompiler::CachedData(cache.data, (int)cache.length));
	v8::MaybeLocal<v8::Module> module = v8::ScriptCompiler::CompileModule(
		engine->isolate, &source, v8::ScriptCompiler::kConsumeCodeCache);
	engine->code_caches_rejected += source.GetCachedData()->rejected;
	free(cache.data);
	return module;
}

/* Takes the source out of SOURCE. */
static int make_script(
	struct engine *engine, module_entry *entry, struct engine_module_source *source)
{
	char *data = source->source;
	source->source = nullptr;
	v8::TryCatch try_catch(engine->isolate);
	v8::Local<v8::String> text;
	v8::Local<v8::Module> module;
	if (!source_string(engine->isolate, data, source->length).ToLocal(&text)) {
		engine_throw(engine, "RangeError", "ERR_STRING_TOO_LONG",
			"%s: %zu bytes are too long", entry->url.c_str(), source->length);
		return -ECANCELED;
	}
	if (!compile_text(engine, entry->url, text).ToLocal(&module))
		return exceptions_keep(engine, try_catch);
	enter(engine, entry, module);
	return 0;
}

static void throw_not_found(struct engine *engine, const char *code, const char *message,
	const std::string &specifier, const std::string &referrer)
{
	std::string text = message[0] ? message : "Cannot load module '" + specifier + "'";
	if (!referrer.empty() && text.find("imported from") == std::string::npos)
		text += " imported from " + referrer;
	engine_throw(engine, "Error", code ? code : "ERR_MODULE_NOT_FOUND", "%s", text.c_str());
}

/* The entry of SOURCE, made now if it is new; NULL with an exception pending. */
static module_entry *enter_source(struct engine *engine, struct engine_module_source *source,
	const std::string &specifier, const std::string &referrer, const std::string &type)
{
	if (!type_fits(engine, source->url, source->json, type))
		return nullptr;
	auto found = engine->modules.find(source->url);
	if (found != engine->modules.end()) {
		if (found->second->error.IsEmpty())
			return found->second;
		engine_throw_value(engine, from_local(found->second->error.Get(engine->isolate)));
		return nullptr;
	}
	if (!source->source && !source->exports) {
		throw_not_found(engine, source->code, "", specifier, referrer);
		return nullptr;
	}
	module_entry *entry = new module_entry();
	entry->url = source->url;
	entry->is_json = source->json;
	int result = source->exports ? make_builtin(engine, entry, source)
		     : source->json  ? make_json(engine, entry, source)
				     : make_script(engine, entry, source);
	if (result == -ETIMEDOUT) {
		delete entry;
		return nullptr;
	}
	engine->modules.emplace(entry->url, entry);
	if (result == 0)
		return entry;
	entry->error.Reset(engine->isolate, view_of(engine->exception));
	return nullptr;
}

static module_entry *fetch(struct engine *engine, const std::string &specifier,
	const std::string &referrer, const std::string &type)
{
	struct engine_module_source source = {};
	struct error error = {};
	int result = -ENOSYS;
	if (engine->module_loader)
		result = engine->module_loader(engine->module_arg, specifier.c_str(),
			referrer.c_str(), type.c_str(), &source, &error);
	module_entry *entry = nullptr;
	if (result < 0 || !source.url)
		throw_not_found(engine, source.code, error.message, specifier, referrer);
	else
		entry = enter_source(engine, &source, specifier, referrer, type);
	free(source.url);
	free(source.source);
	return entry;
}

/* ---- the graph ---- */

/* Finds the modules that ENTRY itself asks for. */
static int resolve_requests(struct engine *engine, module_entry *entry)
{
	v8::HandleScope scope(engine->isolate);
	v8::Local<v8::FixedArray> requests = modules_module(entry)->GetModuleRequests();
	for (int i = 0; i < requests->Length(); i++) {
		v8::Local<v8::ModuleRequest> request =
			requests->Get(context_of(engine), i).As<v8::ModuleRequest>();
		std::string type;
		if (modules_attributes(engine, request->GetImportAttributes(), 3, &type) < 0)
			return -ECANCELED;
		std::string specifier = utf8_of(engine, request->GetSpecifier());
		std::string key = request_key(specifier, type);
		if (entry->requests.count(key))
			continue;
		module_entry *child = fetch(engine, specifier, entry->url, type);
		if (!child)
			return engine->pending ? -ECANCELED : -ETIMEDOUT;
		entry->requests.emplace(key, child);
	}
	entry->resolved = true;
	return 0;
}

static bool is_linked(const module_entry *entry)
{
	return modules_module(entry)->GetStatus() >= v8::Module::kInstantiated;
}

/* Puts ROOT and all below it that is not linked yet into GRAPH, near ones first. */
static int load_graph(struct engine *engine, module_entry *root, std::vector<module_entry *> *graph)
{
	int result = 0;
	root->visited = true;
	graph->push_back(root);
	for (size_t i = 0; i < graph->size() && result == 0; i++) {
		module_entry *entry = (*graph)[i];
		if (!entry->resolved)
			result = resolve_requests(engine, entry);
		if (result < 0 || is_linked(entry))
			continue;
		for (auto &pair : entry->requests) {
			if (pair.second->visited)
				continue;
			pair.second->visited = true;
			graph->push_back(pair.second);
		}
	}
	for (module_entry *entry : *graph)
		entry->visited = false;
	return result;
}

static v8::MaybeLocal<v8::Module> on_resolve(v8::Local<v8::Context>,
	v8::Local<v8::String> specifier, v8::Local<v8::FixedArray> attributes,
	v8::Local<v8::Module> referrer)
{
	struct engine *engine = engine_current;
	module_entry *entry = modules_find(engine, referrer);
	std::string type;
	if (entry && modules_attributes(engine, attributes, 3, &type) == 0) {
		auto found = entry->requests.find(request_key(utf8_of(engine, specifier), type));
		if (found != entry->requests.end())
			return modules_module(found->second);
	}
	exceptions_drop(engine);
	engine->isolate->ThrowError("a module was asked for that was not loaded");
	return {};
}

/* V8 links a module after what it imports, by recursion. Begun at the far end, most of
 * a chain is linked already when its head comes. */
static int link_graph(struct engine *engine, const std::vector<module_entry *> &graph)
{
	v8::TryCatch try_catch(engine->isolate);
	for (size_t i = graph.size(); i-- > 0;) {
		v8::HandleScope scope(engine->isolate);
		if (!is_linked(graph[i]) &&
			!modules_module(graph[i])
				->InstantiateModule(context_of(engine), on_resolve)
				.FromMaybe(false))
			return exceptions_keep(engine, try_catch);
	}
	return 0;
}

module_entry *modules_load(struct engine *engine, const std::string &specifier,
	const std::string &referrer, const std::string &type)
{
	v8::HandleScope scope(engine->isolate);
	std::vector<module_entry *> graph;
	module_entry *root = fetch(engine, specifier, referrer, type);
	if (!root || load_graph(engine, root, &graph) < 0 || link_graph(engine, graph) < 0)
		return nullptr;
	return root;
}
